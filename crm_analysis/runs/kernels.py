"""Kernels of the environment that the run itself is in: never one that a user installed elsewhere.

A kernel is an ordinary `python -m ipykernel_launcher`, or, where a fork server runs, a process forked from it that has
the libraries imported already. Both stand behind jupyter's own kernel manager, so that death, interruption and time
limits are the usual ones.
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict, Unicode
from traitlets.config import Config

from crm_analysis.runs.forking import LONGEST_SOCKET_PATH, environment
from crm_analysis.runs.jobs import Job

CLIENT = Path(__file__).parent / "fork_client.py"


class RunKernelManager(AsyncKernelManager):
    """Starts kernels of this environment, forked from `fork_socket` where it is set."""

    fork_socket = Unicode("").tag(config=True)
    runtime = Unicode(".").tag(config=True)
    variables = Dict().tag(config=True)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        name = uuid.uuid4().hex[:12]
        self.connection_file = str(Path(self.runtime).resolve() / f"{name}.json")
        sockets = os.path.relpath(Path(self.runtime) / name)
        if zmq.has("ipc") and len(sockets.encode()) < LONGEST_SOCKET_PATH:
            self.transport, self.ip = "ipc", sockets

    @property
    def kernel_spec(self) -> KernelSpec:
        """This environment's Python, whatever kernels are registered."""
        start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        if self.fork_socket:
            start = [sys.executable, "-I", "-S", str(CLIENT), self.fork_socket, "-f", "{connection_file}"]
        encrypted = {"supported_encryption": ["curve"]}
        return KernelSpec(
            argv=start, display_name="Python 3", language="python", interrupt_mode="signal", metadata=encrypted
        )

    async def start_kernel(self, **settings: Any) -> None:  # type: ignore[override]  # a wrapper in the base class
        """Start with the run's own environment variables."""
        await self._async_start_kernel(**settings | {"env": environment(Path(self.runtime)) | self.variables})


def config(job: Job, fork_socket: str) -> Config:
    """What papermill hands to the kernel manager.

    Kernels talk over sockets in the run's private folder: nobody else can listen, and no other program can take a port
    between its choice and its use. Where such sockets cannot be had, ports of this machine are used, encrypted.
    """
    own = {"fork_socket": fork_socket, "runtime": str(job.runtime), "variables": dict(job.variables)}
    own["transport_encryption"] = "auto" if zmq.has("curve") else "disabled"
    return Config({"RunKernelManager": own})
