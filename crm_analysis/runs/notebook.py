"""One notebook executed: what a worker does. Needs nothing but the job, so that it can run on another machine."""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from typing import Any

import papermill
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from crm_analysis import files
from crm_analysis.errors import UserError
from crm_analysis.runs import kernels
from crm_analysis.runs.jobs import DIED, NO_FINDINGS, NOT_EXECUTED, NOT_WRITTEN, STOPPED, TOO_LONG, Attempt, Job, Public

BUNDLE = "application/vnd.crm-analysis.findings+json"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CLASS = re.compile(r"[A-Za-z]{0,40}(Error|Exception|Exit|Interrupt|Warning)")
_LONGEST_TEXT = 4000
_STARTUP_SECONDS = 180


def execute(job: Job) -> Attempt:
    """Execute the notebook; never raises but for what ends the process itself.

    Only what was raised counts: after a dead kernel or a cell beyond its time limit the notebook itself claims that
    every cell was completed.
    """
    began = time.perf_counter()
    stderr = ""
    error = traceback = ""
    public = Public(NOT_EXECUTED)
    made: dict[str, Any] = {}
    try:
        executed = _run(job)
        stderr = _tidy(executed)
        public = Public(NO_FINDINGS)
        bundle = _findings(executed, job)
        public = Public(NOT_WRITTEN)
        files.write_text(job.made_findings, json.dumps(bundle, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
        files.write_text(job.made_notebook, json.dumps(executed, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        made = _described(job, bundle)
    except PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}" if failure.ename != "UserError" else str(failure.evalue)
        traceback = _COLOURS.sub("", "\n".join(failure.traceback))
        public = _stopped(job, failure)
    except DeadKernelError:
        error = "The kernel died. The usual cause is that memory ran out; try with fewer --workers."
        public = Public(DIED)
    except CellTimeoutError:
        error = f"A cell ran longer than {job.cell_seconds} seconds and was stopped."
        public = Public(TOO_LONG)
    except UserError as failure:
        error = str(failure)
    except Exception as failure:  # whatever went wrong is this cell's failure, not the run's
        error = f"{type(failure).__name__}: {failure}"
    finally:
        ensure_event_loop().close()  # jupyter keeps one per thread, and would leave it open
    if error:
        job.made_notebook.unlink(missing_ok=True)
        job.made_findings.unlink(missing_ok=True)
        shutil.rmtree(job.made_lists, ignore_errors=True)
    return Attempt(time.perf_counter() - began, _short(error), public, _short(traceback), _short(stderr), made)


def _stopped(job: Job, failure: PapermillExecutionError) -> Public:
    """Where a notebook stopped, counted as in the notebook itself, which lacks the cell of injected parameters."""
    cells = json.loads(job.notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [n for n, cell in enumerate(cells) if "parameters" in cell.get("metadata", {}).get("tags", ())]
    injected = bool(tagged) and failure.cell_index > tagged[0]
    named = _CLASS.fullmatch(str(failure.ename))  # a class made at run time may be called anything
    return Public(STOPPED, failure.cell_index + (0 if injected else 1), failure.ename if named else "Exception")


def _run(job: Job) -> Any:
    try:
        return _papermill(job, job.fork_socket)
    except DeadKernelError:
        raise
    except RuntimeError:
        if not job.fork_socket:
            raise
        return _papermill(job, "")  # the fork server is gone or would not start: an ordinary kernel instead


def _papermill(job: Job, fork_socket: str) -> Any:
    return papermill.execute_notebook(
        job.notebook,
        None,
        parameters=dict(job.parameters),
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=_STARTUP_SECONDS,
        execution_timeout=job.cell_seconds,
        kernel_manager_class=kernels.RunKernelManager,
        config=kernels.config(job, fork_socket),
        iopub_timeout=60,
        shutdown_kernel="immediate",
    )


def _tidy(executed: Any) -> str:
    """Make the executed notebook the same for the same inputs; returns what it wrote to standard error."""
    stderr = []
    executed.metadata.pop("papermill", None)
    executed.metadata.pop("widgets", None)
    for number, cell in enumerate(executed.cells):
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
        elif "id" not in cell:
            cell["id"] = uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {cell.source}").hex[:8]
        if {"parameters", "injected-parameters"} & set(tags):
            cell.metadata["tags"] = [*tags, "remove-cell"]
        if cell.cell_type != "code":
            continue
        kept: list[Any] = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                stderr.append(output.text)
            elif output.output_type == "stream" and kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(output)
        cell.outputs = kept
    return "".join(stderr)


def _findings(executed: Any, job: Job) -> dict[str, Any]:
    """Take the bundle of findings out of the notebook's outputs."""
    found = []
    for cell in executed.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if BUNDLE in data:
                found.append(data.pop(BUNDLE))
    if len(found) != 1:
        raise UserError(
            f"{job.notebook} ended without its findings: its last cell has to call `page.close(claims)`."
            if not found
            else f"{job.notebook} closed its page {len(found)} times; once is right."
        )
    bundle: dict[str, Any] = found[0]
    for name, wanted in (("chapter", job.chapter), ("branch", job.branch), ("period", job.period)):
        if bundle.get(name, wanted) != wanted:
            raise UserError(f'{job.notebook} closed a page for {name} "{bundle[name]}", not "{wanted}".')
    return bundle


def _described(job: Job, bundle: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bytes": [job.made_notebook.stat().st_size, job.made_findings.stat().st_size],
        "as_of": bundle.get("as_of", ""),
        "lists": sorted(dict(bundle.get("lists") or {}).values()),
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:200]}\n...\n{text[200 - _LONGEST_TEXT :]}"
