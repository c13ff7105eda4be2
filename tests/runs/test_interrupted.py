"""Killed, interrupted and starved runs: nothing half-written, nothing left running, and the next run finishes."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from crm_analysis import runs

CHECKOUT = Path(runs.__file__).parents[2]
RUN = """
import sys
from pathlib import Path
from crm_analysis import profile, runs
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = profile.load(folder / "profile.yaml").model_copy(update={"build_dir": folder / "build"})
    plan = runs.plan(settings, periods=["2026Q1"], analyses=folder / "analyses")
    print("started", flush=True)
    results = runs.execute(plan, workers=2, progress=lambda result: print(result.name, result.status, flush=True))
    print(sorted({result.status for result in results}), [r.error for r in results if r.error], flush=True)
"""


def start(office, **options: object) -> subprocess.Popen:
    """The run in a process of its own."""
    script = office.folder / "run.py"
    script.write_text(RUN)
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.Popen(
        [sys.executable, str(script), str(office.folder)],
        cwd=office.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )


def processes(folder: Path) -> list[str]:
    """Living processes that know this folder: kernels, workers, fork servers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            variables = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(entry.name) != os.getpid() and (str(folder) in command or f"{folder}/build" in variables):
            found.append(f"{entry.name} {command[:120]}")
    return found


def gone(folder: Path, within_seconds: float = 15) -> list[str]:
    """Processes that are still there after a while."""
    until = time.monotonic() + within_seconds
    while (left := processes(folder)) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def whole(office) -> None:
    """Every output is complete, and the manifest tells the truth."""
    for name, content in office.files().items():
        if Path(name).name.startswith("."):
            continue  # judged below
        if name.endswith(".ipynb"):
            nbformat.validate(nbformat.reads(content.decode(), as_version=4))
        else:
            assert json.loads(content)["claims"]["verdict"] == "fine"
    manifest = office.folder / "build" / "manifest.json"
    if manifest.exists():
        json.loads(manifest.read_text())
    shown = [path for path in hidden(office) if ".part" not in path.name]
    assert not shown  # all else that is left is what the next run knows to remove
    for status in runs.status(office.profile):
        assert status.state in ("fresh", "missing"), status


def hidden(office) -> list[Path]:
    """Temporary files and folders anywhere below the build folder, but those of the lock and of living kernels."""
    found = [path for path in (office.folder / "build").rglob(".*") if path.name not in (".lock", ".sources.json")]
    return [path for path in found if ".runtime" not in path.parts]


LISTING = """
import os, time
from pathlib import Path
from crm_analysis import files
for name in ("one.a.parquet", "one.b.parquet"):
    with files.replacing(Path(os.environ[files.LISTS_VARIABLE]) / name, suffix=".parquet") as temporary:
        temporary.write_text("customers")
        time.sleep(0.1)
print(branch)
"""


def fill(office) -> None:
    office.notebook("one", LISTING)
    office.notebook("two", "print(branch * 1000)")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_kill_at_ten_random_moments_then_finish(office) -> None:
    fill(office)
    moments = random.Random(7)
    for _ in range(10):
        run = start(office)
        assert run.stdout is not None and run.stdout.readline() == "started\n"
        time.sleep(moments.uniform(0, 6))
        run.kill()
        run.communicate()
        assert gone(office.folder) == []
        whole(office)
        if moments.random() < 0.3:  # start anew now and then, so that early moments are met as well
            (office.folder / "build" / "manifest.json").unlink(missing_ok=True)
    finished = start(office).communicate()[0]
    assert "'failed'" not in finished
    assert not office.plan().due
    assert len(office.files()) == 12
    assert not hidden(office)
    assert not (office.folder / "build" / ".runtime").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_ctrl_c_ends_everything_and_keeps_what_is_finished(office) -> None:
    fill(office)
    # a shell that puts the tests into the background lets them ignore Ctrl-C, which the run would inherit
    run = start(office, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert run.stdout is not None and run.stdout.readline() == "started\n"
    first = run.stdout.readline()
    assert first.endswith("done\n")
    began = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    _, stderr = run.communicate(timeout=20)
    assert time.monotonic() - began < 8
    assert run.returncode == -signal.SIGINT and "KeyboardInterrupt" in stderr
    assert gone(office.folder) == []
    assert not (office.folder / "build" / ".runtime").exists()
    whole(office)
    assert first.split()[0] not in {cell.name for cell in office.plan().due}


@pytest.mark.slow
def test_disk_full_fails_cells_and_leaves_nothing_half_written(office) -> None:
    office.notebook("one", "print(branch)")
    office.notebook("two", "print('x' * 3_000_000)")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    out, stderr = start(office, preexec_fn=limit).communicate()
    assert "two failed" in out and "one done" in out, (out, stderr)
    assert "The disk is full" in out
    assert all(Path(name).stem.startswith("one") for name in office.files())
    assert not [name for name in office.files() if Path(name).name.startswith(".")]


@pytest.mark.slow
def test_worker_killed_by_the_system_fails_its_cells_only(office) -> None:
    office.notebook("fine")
    office.notebook("kills", KILL_PARENT)
    plan = office.plan(branches=["all"])
    results = {result.chapter: result for result in runs.execute(plan, workers=1)}
    assert results["fine"].status == "done"
    assert results["kills"].status == "failed" and "was killed" in results["kills"].error


# the kernel's parent is the worker, or the fork server, whose client the worker started
KILL_PARENT = """
import os, signal, time
from pathlib import Path
def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
for entry in Path("/proc").glob("[0-9]*"):
    try:
        command = (entry / "cmdline").read_bytes()
    except OSError:
        continue
    if b"fork_client.py" in command and os.environ["JUPYTER_RUNTIME_DIR"].encode() in (entry / "environ").read_bytes():
        os.kill(parent(entry.name), signal.SIGKILL)
        break
else:
    os.kill(os.getppid(), signal.SIGKILL)
time.sleep(30)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_workers_are_forked_from_is_deaf_to_ctrl_c_from_its_start():
    script = (
        "import pathlib\n"
        "from multiprocessing import forkserver\n"
        "from crm_analysis.runs import executing\n"
        "executing.start_forkserver()\n"
        "state = pathlib.Path(f'/proc/{forkserver._forkserver._forkserver_pid}/status').read_text()\n"
        "ignored = int(state.split('SigIgn:')[1].split()[0], 16)\n"
        "print(bool(ignored >> 1 & 1))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True\n"
