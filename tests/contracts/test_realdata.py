"""Published facts of truly dirty data, through the profile that ships with the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crm_analysis import profile, tables
from crm_analysis.tables.failures import hold_to_contracts

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
PROFILES = Path(__file__).parents[2] / "analyses" / "profiles"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.realdata("online_retail.parquet"),
]


def test_online_retail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """UCI Online Retail: 541,909 lines, 135,080 without customer, 5,268 exact duplicates, 2 negative sales."""
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path))
    settings = profile.load(PROFILES / "online_retail.yaml", data=DATA)
    tables.ingest(settings)
    opened = tables.open(settings)
    raw = opened.raw("transactions")
    report = hold_to_contracts(opened)
    found = {item.rule.id: item.rows_failed for item in report.results}
    assert report.rows == {"transactions": 541_909}
    assert found["transactions_customer_id_missing"] == 135_080
    assert found["transactions_exact_duplicate"] == 5_268
    assert found["transactions_amount_negative"] == 2
    assert int((raw["kind"] == "refund").sum().execute()) == 9_288
    assert not report.stopping
