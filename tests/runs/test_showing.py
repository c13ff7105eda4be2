"""How a run is told on a terminal."""

from __future__ import annotations

import sys

from crm_analysis.pipeline.showing import Progress
from crm_analysis.runs.manifest import CellResult


def test_a_branch_named_like_markup_does_not_end_the_run(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(2) as progress:
        progress(CellResult("crm_roi", "north [/x]", "2026Q3", "done", 1.0))
        progress._bar.refresh()
    assert progress.done == 1
