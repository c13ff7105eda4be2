"""What the run matrix left behind for one chapter, branch and period, read as page elements and findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crm_analysis import files
from crm_analysis.report import ELEMENT


@dataclass(frozen=True)
class Outcome:
    """A cell of the matrix as the book sees it.

    `elements` and `annex` are the page elements of the notebook's cells without and with the tag `annex`. `failure` is
    the reason why the latest run failed; `stale_since` the day of the last good one, whose elements are then shown.
    """

    chapter: str
    branch: str
    period: str
    elements: tuple[Mapping[str, Any], ...] = ()
    annex: tuple[Mapping[str, Any], ...] = ()
    bundle: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    stale_since: str = ""

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


def read(folder: Path, chapter: str, branch: str, period: str, *, failure: str = "", stale_since: str = "") -> Outcome:
    """The outcome stored below `folder` (`executed/<period>/<branch>/`); empty with a failure where there is none."""
    notebook = folder / f"{chapter}.ipynb"
    bundle = files.read_json(folder / f"{chapter}.findings.json")
    if bundle is None or not notebook.exists():
        return Outcome(chapter, branch, period, failure=failure or "never executed")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    elements: list[Mapping[str, Any]] = []
    annex: list[Mapping[str, Any]] = []
    for cell in cells:
        shown = annex if "annex" in cell.get("metadata", {}).get("tags", ()) else elements
        shown += [output["data"][ELEMENT] for output in cell.get("outputs", ()) if ELEMENT in output.get("data", {})]
    return Outcome(chapter, branch, period, tuple(elements), tuple(annex), bundle, failure, stale_since)
