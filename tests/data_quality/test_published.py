"""Published counts of a public data set: UCI Online Retail (Chen 2015, CC BY 4.0), 541,909 invoice lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crm_analysis import profile, tables
from crm_analysis.data_quality import facts
from crm_analysis.tables.ingestion import ingest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or ROOT.parent / "shared" / "data")


@pytest.mark.slow
@pytest.mark.realdata("online_retail.parquet")
def test_lines_before_anything_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path))
    settings = profile.load(ROOT / "analyses/profiles/online_retail.yaml", data=DATA)
    ingest(settings)
    found = facts.of(tables.open(settings).scope("all", "2011Q4", incomplete=True))
    assert (found.lines, found.without_customer, found.refunds, found.copies) == (541_909, 135_080, 9_288, 5_268)
