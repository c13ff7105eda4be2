"""Months, silences and raw line facts, against pandas."""

from __future__ import annotations

import types
from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from crm_analysis.data_quality import captions, listing
from crm_analysis.data_quality.facts import line_facts
from crm_analysis.data_quality.mix import _bin, counts, windows
from crm_analysis.data_quality.reporting import all_months, silence
from crm_analysis.units import Period


def coverage(last: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"branch": ["a"], "first_day": [pd.Timestamp("2026-01-10")], "last_covered_day": [pd.Timestamp(last)]}
    )


def test_months_without_rows_are_there_and_marked_when_not_covered() -> None:
    counted = pd.DataFrame({"branch": ["a"], "month": ["2026-01"], "rows": [5], "amount": [50.0]})
    found = all_months(counted, coverage("2026-02-28"), pd.Timestamp("2026-04-30"))
    assert found["month"].tolist() == ["2026-01", "2026-02", "2026-03", "2026-04"]
    assert found["rows"].tolist() == [5, 0, 0, 0]
    assert found["covered"].tolist() == [True, True, False, False]


def test_a_silence_is_worth_the_branchs_own_days_times_the_days_missing() -> None:
    days = pd.date_range("2025-01-01", "2025-12-31")
    raw = ibis.memtable(pd.DataFrame({"branch": "a", "occurred_at": days}))
    months = pd.DataFrame({"branch": "a", "month": [f"2025-{m:02}" for m in range(1, 13)]})
    months["rows"] = [pd.Period(month).days_in_month for month in months["month"]]
    months["amount"] = months["rows"] * 10.0
    found = silence(raw, months, branch="a", last_covered=pd.Timestamp("2025-12-31"), until=pd.Timestamp("2026-01-31"))
    assert (found.days_missing, found.last_covered_day, found.longest_gap_days) == (31, date(2025, 12, 31), 1)
    assert found.rows_missing == pytest.approx(31) and found.amount_missing == pytest.approx(310)


def lines(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "transaction_id": [str(i) for i in range(n)],
            "customer_id": rng.choice(["c1", "c2", "", None], n),
            "kind": rng.choice(["sale", "refund"], n),
            "amount": rng.choice([0.0, -1.0, 5.0], n),
            "product": rng.choice(["x", "y", None], n),
        }
    )
    return frame.assign(_row=range(n))


def test_line_facts_agree_with_pandas() -> None:
    frame = lines(300, 4)
    supplied = frozenset({"customer_id", "kind", "amount", "product"})
    found = line_facts(ibis.memtable(frame), supplied)
    assert found.lines == 300
    assert found.without_customer == (frame["customer_id"].fillna("") == "").sum()
    assert (found.refunds, found.zero) == ((frame["kind"] == "refund").sum(), (frame["amount"] == 0).sum())
    assert found.copies == frame.duplicated(subset=sorted(supplied)).sum()


def test_a_key_the_loader_made_hides_no_duplicate_and_a_sources_own_key_tells_rows_apart() -> None:
    frame = lines(50, 5)
    supplied = frozenset({"transaction_id", "customer_id", "kind", "amount", "product"})
    assert line_facts(ibis.memtable(frame), supplied).copies > 0
    own = frame.assign(transaction_id=[f"T{i}" for i in range(50)])
    assert line_facts(ibis.memtable(own), supplied).copies == 0


def test_windows_stop_where_history_does() -> None:
    found = windows(Period.parse("2026Q3"), pd.Timestamp("2026-01-01"))
    assert [period.label for period in found] == ["2026Q1", "2026Q2", "2026Q3"]
    assert len(windows(Period.parse("2026Q3"), pd.Timestamp("2000-01-01"))) == 10


def test_counts_by_period_agree_with_pandas_and_leave_other_days_out() -> None:
    days = pd.to_datetime(["2026-03-31", "2026-04-01", "2026-06-30", "2026-07-01", "2026-09-30", "2026-10-01"])
    frame = pd.DataFrame({"day": days, "kind": ["a", "a", None, "b", "a", "a"]})
    table = ibis.memtable(frame)
    found = counts(table, table["day"].date(), table["kind"], [Period.parse("2026Q2"), Period.parse("2026Q3")])
    assert found.to_dict() == {"2026Q2": {"(empty)": 1, "a": 1, "b": 0}, "2026Q3": {"(empty)": 0, "a": 1, "b": 1}}


def test_bins_are_closed_on_the_right_and_hold_everything() -> None:
    table = ibis.memtable(pd.DataFrame({"amount": [9.0, 10.0, 10.01, 20.0, 21.0]}))
    binned = table.mutate(bin=_bin(table["amount"], [10.0, 20.0])).execute()["bin"].tolist()
    assert binned == ["≤ 10", "≤ 10", "10 – 20", "10 – 20", "> 20"]


@pytest.mark.parametrize(
    ("branches", "tables", "head"),
    [
        (("a", None), ("transactions", "customers", "contacts"), ["Table", "without branch", "a"]),
        (("a", "b", "c"), ("transactions", "customers"), ["Branch", "transactions", "customers"]),
    ],
)
def test_the_last_days_are_as_narrow_as_they_can_be(branches, tables, head) -> None:
    frame = pd.DataFrame([(table, branch, date(2026, 9, 1)) for table in tables for branch in branches])
    profile = types.SimpleNamespace(branch_name=lambda branch, _language: branch)
    state = types.SimpleNamespace(
        last_days=frame.set_axis(["table", "branch", "last_day"], axis=1), scope=types.SimpleNamespace(profile=profile)
    )
    shown = listing.last_days(state)
    assert list(shown.columns) == head
    assert (shown.iloc[:, 1:] == "2026-09-01").all(axis=None)
    assert len(shown) == max(len(branches), len(tables))


@pytest.mark.parametrize("unnamed", [False, True])
def test_of_many_branches_those_that_end_first_are_shown_and_the_note_says_so(unnamed) -> None:
    days = [("transactions", f"b{n:02d}", date(2026, 9, 30 - n)) for n in range(20)]
    days += [("transactions", None, date(2026, 9, 30))] if unnamed else []
    profile = types.SimpleNamespace(branch_name=lambda branch, _language: branch)
    state = types.SimpleNamespace(
        last_days=pd.DataFrame(days, columns=["table", "branch", "last_day"]),
        scope=types.SimpleNamespace(profile=profile),
    )
    shown = captions.days(state)
    first = [f"b{n:02d}" for n in range(19, 5, -1)]
    assert list(shown["frame"].iloc[:, 0]) == (["without branch", *first] if unnamed else first)
    assert "Only the 14 of 20 branches that end first are shown." in shown["note"]
