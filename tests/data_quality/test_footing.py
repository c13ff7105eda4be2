"""Totals of the finance office beside ours."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest

from crm_analysis.contracts.totals import compare
from crm_analysis.tables.footing import monthly


def totals(*rows: tuple[str, str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["branch", "month", "rows", "amount"]).assign(
        table="transactions", source="ledger"
    )


def used(*rows: tuple[str, str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["branch", "month", "rows", "amount"])


def test_the_tolerance_is_a_share_of_the_finance_offices_amount() -> None:
    found = compare(
        used(("a", "2026-05", 10, 995.0), ("b", "2026-05", 10, 994.9)),
        totals(("a", "2026-05", 10, 1000.0), ("b", "2026-05", 10, 1000.0)),
        tolerance=0.005,
    )
    assert list(found["off"]) == [False, True]
    assert found["difference"].tolist() == pytest.approx([-5.0, -5.1])


def test_a_month_without_rows_is_a_difference_of_the_whole_total() -> None:
    found = compare(used(), totals(("a", "2026-05", 10, 1000.0)), tolerance=0.005)
    assert found.iloc[0]["difference"] == -1000.0 and found.iloc[0]["share"] == -1.0 and found.iloc[0]["off"]


def test_rows_that_differ_are_a_difference_even_where_amounts_agree() -> None:
    found = compare(used(("a", "2026-05", 90, 1000.0)), totals(("a", "2026-05", 100, 1000.0)), tolerance=0.005)
    assert found.iloc[0]["off"]


def test_nothing_stated_is_nothing_to_differ_from() -> None:
    stated = totals(("a", "2026-05", 10, float("nan")))
    assert not compare(used(("a", "2026-05", 10, 7.0)), stated, tolerance=0.005).iloc[0]["off"]


def test_dates_are_months() -> None:
    stated = totals(("a", "2026-05", 10, 7.0)).assign(month=pd.Timestamp("2026-05-01"))
    found = compare(used(("a", "2026-05", 10, 7.0)), stated, tolerance=0.005)
    assert len(found) == 1 and found.iloc[0]["month"] == "2026-05" and not found.iloc[0]["off"]


def test_refunds_are_negative_in_a_month() -> None:
    table = ibis.memtable(
        pd.DataFrame(
            {
                "branch": "a",
                "occurred_at": pd.to_datetime(["2026-05-01", "2026-05-31", "2026-06-01"]),
                "amount": [10.0, 4.0, 1.0],
                "kind": ["gift", "refund", "gift"],
            }
        )
    )
    assert monthly(table)[["month", "rows", "amount"]].values.tolist() == [["2026-05", 2, 6.0], ["2026-06", 1, 1.0]]
