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
    made_lists: Path
    runtime: Path
    variables: Mapping[str, str]
    fork_socket: str = ""
    cell_seconds: int = 600


STOPPED = "The notebook stopped in its cell {cell} ({exception})."
DIED = "Its kernel died."
TOO_LONG = "It ran past its time limit."
NO_FINDINGS = "It left no findings."
NOT_WRITTEN = "Its pages could not be stored."
NOT_EXECUTED = "It could not be executed."
# Every sentence that a page may show of a failure.
FAILURES = (STOPPED, DIED, TOO_LONG, NO_FINDINGS, NOT_WRITTEN, NOT_EXECUTED)


@dataclass(frozen=True, slots=True)
class Public:
    """What anybody may read of a failure: one of `FAILURES`, never the message, which may hold values of the data.

    `cell` counts the notebook's cells from 1; `exception` is the name of a class.
    """

    sentence: str = NOT_EXECUTED
    cell: int = 0
    exception: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a job ended. `error` is empty where both parts were written; `public` is what a page may say of it."""

    seconds: float
    error: str = ""
    public: Public = Public()
    traceback: str = ""
    stderr: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)


def attempt(job: Job) -> Attempt:
    """Execute a job, in the worker."""
    from crm_analysis.runs import notebook

    return notebook.execute(job)
