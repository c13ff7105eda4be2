"""The due cells of a plan, executed in parallel, each outcome recorded as it comes in."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from crm_analysis import files
from crm_analysis.errors import UserError
from crm_analysis.profile.loading import DATA_VARIABLE
from crm_analysis.runs import keys
from crm_analysis.runs.forking import fork_server
from crm_analysis.runs.jobs import DIED, NOT_WRITTEN, Attempt, Job, Public, attempt
from crm_analysis.runs.manifest import CellResult, Manifest, alone, findings_beside, output
from crm_analysis.runs.planning import Cell, Plan

CELL_SECONDS = 900
KILLED = "The process that ran it was killed. The usual cause is that memory ran out; try with fewer --workers."
Progress = Callable[[CellResult], None]


def execute(
    plan: Plan,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    cell_seconds: int = CELL_SECONDS,
) -> list[CellResult]:
    """Run what is due; results of every cell of the plan, in its order, `skipped` where nothing had changed.

    `workers` processes work at once (by default one per processor). `executor` takes their place, for a cluster that
    sees the same folders, and is left open. A failed cell does not stop the others; its last good output stays, and
    the manifest says since when it is stale. `cell_seconds` limits each notebook cell.

    Raises UserError where the build folder cannot be written or another run is at work in it, KeyboardInterrupt after
    Ctrl-C; in both cases what is finished stays recorded, and the rest is left to the next run.
    """
    due = plan.due
    results = {c.name: CellResult(c.chapter, c.branch, c.period, "skipped") for c in plan.cells}
    if due:
        build = Path(plan.profile.build_dir)
        with alone(build), _runtime(build) as runtime:
            run = _Run(plan, runtime, progress, cell_seconds)
            if executor is not None:
                run.with_executor(executor, due, "")
            else:
                run.with_processes(due, min(workers or _processors(), len(due)))
        results |= run.results
    return [results[cell.name] for cell in plan.cells]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _runtime(build: Path) -> Iterator[Path]:
    """A folder for connection files and kernel settings, for this user only, gone after the run."""
    folder = build / ".runtime"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise files.cannot_write(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Run:
    """One call of `execute`: jobs out, attempts in, the manifest written after each."""

    def __init__(self, plan: Plan, runtime: Path, progress: Progress | None, cell_seconds: int) -> None:
        self.plan = plan
        self.runtime = runtime
        self.progress = progress
        self.cell_seconds = cell_seconds
        self.manifest = Manifest(plan.profile)
        self.results: dict[str, CellResult] = {}

    def with_processes(self, due: tuple[Cell, ...], workers: int) -> None:
        """A pool of our own. A worker that is killed breaks its pool; what it had not finished is tried once more."""
        import multiprocessing

        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            start_forkserver()
        forking = fork_server(self.runtime, self.plan.modules) if len(due) > workers else _no_server()
        with forking as socket:
            left = due
            for last in (False, True):
                before = set(multiprocessing.active_children())
                pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle_worker)
                try:
                    self.with_executor(pool, left, socket, may_break=not last)
                except BaseException:
                    for process in set(multiprocessing.active_children()) - before:
                        process.terminate()
                    raise
                finally:
                    pool.shutdown(wait=True, cancel_futures=True)
                left = tuple(cell for cell in left if cell.name not in self.results)
                if not left:
                    return

    def with_executor(self, executor: Executor, due: tuple[Cell, ...], socket: str, *, may_break: bool = False) -> None:
        """Submit every cell and take in what comes back. On Ctrl-C nothing more is started."""
        waiting: dict[Future[Attempt], tuple[Cell, Job]] = {}
        try:
            with contextlib.suppress(BrokenExecutor):  # what was submitted before says itself how it ended
                for cell in due:
                    job = self._job(cell, socket)
                    waiting[executor.submit(attempt, job)] = (cell, job)
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    cell, job = waiting.pop(future)
                    with contextlib.suppress(BrokenExecutor):
                        self._take_in(cell, job, future.result())
        finally:
            for future in waiting:
                future.cancel()
        for cell in due:
            if cell.name not in self.results and not may_break:
                self._failed(cell, KILLED, Public(DIED))

    def _job(self, cell: Cell, socket: str) -> Job:
        final = output(self.plan.profile, cell.chapter, cell.branch, cell.period)
        parameters = {
            "profile": str(self.plan.profile.path),
            "branch": cell.branch,
            "period": cell.period,
            "language": self.plan.language,
            **self.plan.parameters.get(cell.chapter, {}),
        }
        profile = self.plan.profile
        lists = files.lists_folder(profile.build_dir, cell.period, cell.branch) / f".{cell.chapter}.part"
        return Job(
            notebook=self.plan.analyses / f"{cell.chapter}.ipynb",
            parameters=parameters,
            chapter=cell.chapter,
            branch=cell.branch,
            period=cell.period,
            made_notebook=final.with_name(f".{final.name}.part"),
            made_findings=final.with_name(f".{findings_beside(final).name}.part"),
            made_lists=lists,
            runtime=self.runtime,
            variables={files.LISTS_VARIABLE: str(lists.resolve())}
            | ({} if profile.built_in else {DATA_VARIABLE: str(profile.data_root)}),
            fork_socket=socket,
            cell_seconds=self.cell_seconds,
        )

    def _take_in(self, cell: Cell, job: Job, done: Attempt) -> None:
        """Put the new output in place of the old one and record it, or record the failure."""
        if done.error:
            self._failed(cell, done.error, done.public, done)
            return
        final = output(self.plan.profile, cell.chapter, cell.branch, cell.period)
        try:
            os.replace(job.made_findings, findings_beside(final))
            os.replace(job.made_notebook, final)
            _replace_lists(job, done.made["lists"])
        except OSError as error:
            self.manifest.forget_output(cell.chapter, cell.branch, cell.period)  # some of them may be in place
            self._failed(cell, str(files.cannot_write(final, error)), Public(NOT_WRITTEN), done)
            return
        result = CellResult(cell.chapter, cell.branch, cell.period, "done", done.seconds, stderr=done.stderr)
        made = {**done.made, "language": self.plan.language, "versions": keys.versions()}
        self._record(cell, result, made)

    def _failed(self, cell: Cell, error: str, public: Public, done: Attempt | None = None) -> None:
        seconds = done.seconds if done else 0.0
        trace, stderr = (done.traceback, done.stderr) if done else ("", "")
        scope = (cell.chapter, cell.branch, cell.period)
        self._record(cell, CellResult(*scope, "failed", seconds, error, trace, stderr, public), None)

    def _record(self, cell: Cell, result: CellResult, made: dict[str, Any] | None) -> None:
        self.manifest.finished(result, key=cell.key, parts=dict(cell.parts), made=made)
        self.manifest.save()
        self.results[cell.name] = result
        if self.progress is not None:
            self.progress(result)


def _replace_lists(job: Job, made: Sequence[str]) -> None:
    """Put a cell's new lists of customers in place of all its old ones."""
    folder = job.made_lists.parent
    names = {Path(name).name for name in made}
    for path in job.made_lists.glob("*"):
        if path.name in names:
            os.replace(path, folder / path.name)
    for path in folder.glob(f"{job.chapter}.*"):
        if path.name not in names:
            path.unlink()
    shutil.rmtree(job.made_lists, ignore_errors=True)


def start_forkserver() -> None:
    """Start the process that worker processes are forked from, deaf to Ctrl-C from its first moment.

    It would come to ignore it by itself, but only after its imports, and until then answer with a traceback.
    """
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload(["crm_analysis.runs.notebook"])
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _no_server() -> contextlib.nullcontext[str]:
    return contextlib.nullcontext("")


def _settle_worker() -> None:
    """Ctrl-C is the planning process's to handle; when that process is gone, so is the worker."""
    import multiprocessing
    from multiprocessing.connection import wait as wait_for

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        raise UserError("A worker has to be started by a run.")

    def follow() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
