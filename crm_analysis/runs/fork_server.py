"""A process that has imported what notebooks import, and forks one kernel per request (Linux only).

Started as `python -m crm_analysis.runs.fork_server DESCRIPTOR` with a listening socket, and a JSON list of modules to
import as the first line of its standard input. It ends, and takes every kernel with it, when standard input is closed:
so also when whoever started it is killed. It forks only while it has a single thread; with more, or after any fault at
start, it ends, and callers start ordinary kernels.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import sys
import warnings
from pathlib import Path


def preload(names: list[str]) -> None:
    """Import modules, or as much of `package.module.name` as is one; the kernel will say what cannot be imported."""
    for wanted in ["ipykernel.kernelapp", "ipykernel.ipkernel", "IPython.core.interactiveshell", *names]:
        name = wanted
        while name:
            try:
                importlib.import_module(name)
                break
            except ModuleNotFoundError:
                name = name.rpartition(".")[0]
            except Exception:
                break
    # the drawing back end hooks itself into the kernel that first imports it
    for name in [name for name in sys.modules if name.startswith("matplotlib_inline")]:
        del sys.modules[name]


def warm_up() -> None:
    """Do once what every notebook's first chart and first query would do again: find fonts, load the compiler."""
    import ibis

    from crm_analysis import style

    figure, axes = style.figure()
    axes.plot([0, 1])
    axes.set_title("1 가")
    figure.savefig(io.BytesIO(), format="svg")
    table = ibis.table({"day": "date", "amount": "float64"}, name="t")
    days = table.filter(table.amount > 0).group_by("day").aggregate(total=table.amount.sum())
    ibis.to_sql(days.join(table, "day").mutate(share=ibis._.amount / ibis._.total), dialect="duckdb")


def threads() -> int:
    """Threads of this process, those of libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


class Server:
    """One listening socket, one connection per living kernel."""

    def __init__(self, listener: socket.socket) -> None:
        self.kernels: dict[int, socket.socket | None] = {}  # None: the client went away, the kernel was killed
        self.wake, self.wake_in = socket.socketpair()
        for end in (self.wake, self.wake_in):
            end.setblocking(False)
        signal.set_wakeup_fd(self.wake_in.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.listener = listener

    def serve(self) -> None:
        """Until standard input is closed."""
        try:
            while True:
                clients = [client for client in self.kernels.values() if client]
                ready, _, _ = select.select([sys.stdin, self.wake, self.listener, *clients], [], [])
                if sys.stdin in ready:
                    return
                if self.wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        self.wake.recv(4096)
                    self._reap()
                if self.listener in ready:
                    self._start(self.listener.accept()[0])
                for pid, client in list(self.kernels.items()):
                    if client and client in ready:
                        self._pass_on(pid, client)
        finally:
            for pid in self.kernels:
                _signal(pid, signal.SIGKILL)

    def _start(self, client: socket.socket) -> None:
        client.settimeout(10)
        text = b""
        try:
            while not text.endswith(b"\n"):
                chunk = client.recv(65536)
                if not chunk:
                    raise ConnectionError
                text += chunk
            request = json.loads(text)
        except (OSError, ValueError):
            client.close()
            return
        client.settimeout(None)
        pid = os.fork()
        if pid == 0:
            self._become_kernel(client, request)
        self.kernels[pid] = client

    def _become_kernel(self, client: socket.socket, request: dict) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for end in (client, self.listener, self.wake, self.wake_in, *self.kernels.values()):
                if end:
                    end.close()
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(request["env"], JPY_PARENT_PID=str(os.getppid()))
            os.chdir(request["cwd"])
            sys.argv = ["ipykernel_launcher", *request["argv"]]
            from ipykernel.kernelapp import IPKernelApp

            IPKernelApp.launch_instance(sys.argv[1:])
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # a forked process must never return into the server's loop
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _pass_on(self, pid: int, client: socket.socket) -> None:
        try:
            wanted = client.recv(1)
        except OSError:
            wanted = b""
        _signal(pid, {b"I": signal.SIGINT, b"T": signal.SIGTERM}.get(wanted, signal.SIGKILL))
        if not wanted:
            client.close()
            self.kernels[pid] = None

    def _reap(self) -> None:
        while True:
            try:
                pid, how = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            client = self.kernels.pop(pid)
            if client:
                with contextlib.suppress(OSError):
                    client.sendall(f"{os.waitstatus_to_exitcode(how)}\n".encode())
                client.close()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _line(descriptor: int) -> bytes:
    """One line, and not a byte more: the rest is for whoever waits for the end of the stream."""
    text = b""
    while not text.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        text += byte
    return text


def main() -> int:
    """Import, check, serve."""
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        with warnings.catch_warnings(action="ignore"):
            wanted = json.loads(_line(sys.stdin.fileno()))
            preload(wanted)
            if "crm_analysis.report" in wanted:
                warm_up()
        if threads() != 1:
            return 3
        gc.collect()
        gc.freeze()
        Server(listener).serve()
    return 0


if __name__ == "__main__":
    os._exit(main())
