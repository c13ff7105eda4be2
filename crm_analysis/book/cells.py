"""What the run matrix left behind for one chapter, branch and period, read as page elements and findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_analysis.language import _
from crm_analysis.report import ELEMENT
from crm_analysis.runs import CellStatus
from crm_analysis.runs.jobs import FAILURES, NOT_EXECUTED, Public


@dataclass(frozen=True)
class Outcome:
    """A cell of the matrix as the book sees it.

    `elements` and `annex` are the page elements of the notebook's cells without and with the tag `annex`. `failure`
    says how the latest run failed, never in the words of an exception, which may hold values of the data; `failed_on`
    is the day of the first that failed. `stale` is what changed since the last good one, `made_on` the day of that one,
    whose elements are shown.
    """

    chapter: str
    branch: str
    period: str
    elements: tuple[Mapping[str, Any], ...] = ()
    annex: tuple[Mapping[str, Any], ...] = ()
    bundle: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    stale: str = ""
    made_on: str = ""
    failed_on: str = ""

    @property
    def claims(self) -> Mapping[str, Any]:
        """The verdict, findings, actions and measures; empty where nothing was ever executed."""
        return self.bundle.get("claims", {})

    def every_finding(self) -> list[Mapping[str, Any]]:
        """Findings and measures together."""
        return [*self.claims.get("findings", ()), *self.claims.get("measures", ())]

    def finding(self, key: str) -> Mapping[str, Any] | None:
        """The finding or measure named `key`."""
        return next((found for found in self.every_finding() if found["key"] == key), None)


def of_status(status: CellStatus) -> Outcome:
    """The outcome of a cell of the run matrix; empty with a failure where nothing was ever made."""
    place = (status.chapter, status.branch, status.period)
    failure = _failure(status.public) if status.public else ""
    failed_on = status.stale_since[:10]
    stale = status.reason if status.state == "stale" else ""
    if status.notebook is None or status.findings is None:
        return Outcome(*place, failure=failure or _("It was never executed."), failed_on=failed_on)
    cells = json.loads(status.notebook.read_text(encoding="utf-8"))["cells"]
    elements: list[Mapping[str, Any]] = []
    annex: list[Mapping[str, Any]] = []
    for cell in cells:
        shown = annex if "annex" in cell.get("metadata", {}).get("tags", ()) else elements
        shown += [output["data"][ELEMENT] for output in cell.get("outputs", ()) if ELEMENT in output.get("data", {})]
    bundle = json.loads(status.findings.read_text(encoding="utf-8"))
    return Outcome(*place, tuple(elements), tuple(annex), bundle, failure, stale, status.made_at[:10], failed_on)


def _failure(public: Public) -> str:
    """One of the sentences that a page may show of a failure; no other text gets through."""
    sentence = public.sentence if public.sentence in FAILURES else NOT_EXECUTED
    return _(sentence).format(cell=int(public.cell), exception=public.exception)
