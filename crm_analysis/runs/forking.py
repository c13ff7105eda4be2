"""Starting and ending the process that forks kernels, and the variables that every kernel is given."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import crm_analysis

# Imported before forking although no module names them: what lies behind the first query and the first figure.
_BEHIND = ("ibis.backends.duckdb", "matplotlib.figure", "matplotlib.backends.backend_svg", "pyarrow.parquet")
# Slow to import, and not for notebooks.
_NOT_FOR_NOTEBOOKS = {"great_expectations", "open_data_contract_standard", "papermill", "jupyter_book", "lifetimes"}
LONGEST_SOCKET_PATH = 90


def environment(runtime: Path) -> dict[str, str]:
    """A kernel's variables: UTF-8, one thread per numeric library, reproducible hashes, nobody's own settings."""
    checkout = Path(crm_analysis.__file__).parents[1]  # kernels use the code that was fingerprinted, and no other copy
    own = [str(checkout)] if checkout.name != "site-packages" else []
    path = os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])])
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS", "PYTHONSTARTUP")
    return {name: value for name, value in os.environ.items() if name not in unwanted} | {
        "PYTHONPATH": path,
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "IPYTHONDIR": str((runtime / "ipython").resolve()),
        "JUPYTER_CONFIG_DIR": str((runtime / "jupyter").resolve()),
        "JUPYTER_RUNTIME_DIR": str((runtime / "jupyter").resolve()),
        "SOURCE_DATE_EPOCH": "0",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator would start a thread; no fork then
    }


@contextlib.contextmanager
def fork_server(runtime: Path, modules: Iterable[str]) -> Iterator[str]:
    """A fork server that has imported `modules`; yields its socket, or an empty string where there can be none."""
    address = os.path.relpath(runtime / "fork")
    if not sys.platform.startswith("linux") or len(address.encode()) > LONGEST_SOCKET_PATH:
        yield ""
        return
    wanted = [name for name in [*modules, *_BEHIND] if name.split(".")[0] not in _NOT_FOR_NOTEBOOKS]
    with socket.socket(socket.AF_UNIX) as listener, open(runtime / "fork.log", "wb") as log:
        listener.bind(address)
        listener.listen(64)  # from here on, whoever connects waits for the imports to end
        server = subprocess.Popen(
            [sys.executable, "-m", "crm_analysis.runs.fork_server", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment(runtime),
            start_new_session=True,
        )
    assert server.stdin is not None
    try:
        server.stdin.write(json.dumps(wanted).encode() + b"\n")
        server.stdin.flush()
        yield address
    finally:
        with contextlib.suppress(BrokenPipeError):
            server.stdin.close()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
