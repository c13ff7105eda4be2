"""What goes to a worker and what comes back. Light: the process that plans imports neither papermill nor a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """A notebook, its parameters, and where the finished parts are put for the planning process to take over."""

    notebook: Path
    parameters: Mapping[str, Any]
    chapter: str
    branch: str
    period: str
    made_notebook: Path
    made_findings: Path
    runtime: Path
    variables: Mapping[str, str]
    fork_socket: str = ""
    cell_seconds: int = 600


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a job ended. `error` is empty where both parts were written."""

    seconds: float
    error: str = ""
    traceback: str = ""
    stderr: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)


def attempt(job: Job) -> Attempt:
    """Execute a job, in the worker."""
    from crm_analysis.runs import notebook

    return notebook.execute(job)
