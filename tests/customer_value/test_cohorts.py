"""Cohorts by tenure: counted by hand, undefined where not covered, marked near the start of history."""

import math
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.customer_value import charts, cohorts, lives
from crm_analysis.customer_value.displays import cohorts as shown


def log(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])
    return frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"]))


def found(scope) -> cohorts.Cohorts:
    return cohorts.cohorts(lives.lives(scope, customers.status(scope)), fiscal_year_starts=1)


def cell(of: cohorts.Cohorts, cohort: str, unit: int) -> pd.Series | None:
    own = of.cells[(of.cells["cohort"] == cohort) & (of.cells["unit"] == unit)]
    return own.iloc[0] if len(own) else None


ROWS = [
    ("start", "2025-01-02", 1.0),
    ("a", "2025-04-10", 100.0),
    ("a", "2025-07-09", 10.0),  # still the first three months of tenure
    ("a", "2025-07-10", 20.0),  # the second stretch begins on this day
    ("b", "2025-06-30", 50.0),
    ("b", "2026-01-15", 30.0),
    ("c", "2025-08-01", 7.0),
]


def test_by_hand(scope_of):
    of = found(scope_of({"transactions": log(ROWS)}, margin={"rate": 1.0}))
    assert of.unit_months == 3
    assert [cell(of, "2025Q2", unit)["share"] for unit in range(3)] == [1.0, 0.5, 0.5]
    assert [cell(of, "2025Q2", unit)["cumulated"] for unit in range(3)] == [80.0, 90.0, 105.0]
    assert cell(of, "2025Q2", 4)["unit"] == 4  # until 2026-09-29 for who came on 30 June 2025
    assert cell(of, "2025Q2", 5) is None and cell(of, "2025Q3", 4) is None
    assert not cell(of, "2025Q1", 0)["truly_new"] and cell(of, "2025Q2", 0)["truly_new"]
    assert (of.first_year, of.first_year_n) == (pytest.approx((130 + 80 + 7) / 3), 3)


def test_the_first_stretch_is_everybody_and_shares_are_shares(scope_of):
    rng = np.random.default_rng(3)
    days = pd.Timestamp(2024, 1, 1) + pd.to_timedelta(rng.integers(0, 1000, 3000), unit="D")
    frame = pd.DataFrame({"customer_id": rng.integers(0, 800, 3000).astype(str), "occurred_at": days, "amount": 1.0})
    of = found(scope_of({"transactions": frame}, margin={"rate": 1.0}))
    assert (of.cells.loc[of.cells["unit"] == 0, "share"] == 1).all()
    assert of.cells["share"].between(0, 1).all()
    assert of.sizes.sum() == frame["customer_id"].nunique()
    brute = 0.0  # margin of the first stretch of 2024Q3, from the rows
    for _who, own in frame.groupby("customer_id"):
        first = own["occurred_at"].min()
        if pd.Timestamp(2024, 7, 1) <= first <= pd.Timestamp(2024, 9, 30):
            brute += own.loc[own["occurred_at"] < first + pd.DateOffset(months=3), "amount"].sum()
    assert cell(of, "2024Q3", 0)["margin"] == pytest.approx(brute)
    shuffled = found(scope_of({"transactions": frame.sample(frac=1, random_state=1)}, margin={"rate": 1.0}))
    pd.testing.assert_frame_equal(of.cells, shuffled.cells)


def test_a_silent_branch_leaves_the_cells_that_it_does_not_cover(scope_of):
    rows = [(f"{branch}{i}", f"2025-05-{i + 1:02}", 10.0) for branch in "xy" for i in range(20)]
    frame = log([("x-start", "2025-01-01", 1.0), ("y-start", "2025-01-01", 1.0), *rows])
    frame["branch"] = frame["customer_id"].str[0]
    of = found(scope_of({"transactions": frame}, last_day={"y": date(2025, 12, 31)}))
    assert [cell(of, "2025Q2", unit)["n"] for unit in range(5)] == [40, 40, 20, 20, 20]


def test_who_had_joined_before_history_is_in_no_cohort(scope_of):
    people = pd.DataFrame({"customer_id": ["a", "b"], "branch": "x", "joined_on": [date(2019, 1, 1), date(2025, 6, 1)]})
    of = found(scope_of({"transactions": log(ROWS), "customers": people}))
    assert of.sizes["2025Q2"] == 1


@pytest.mark.parametrize(("years", "unit"), [(2, 3), (6, 6), (12, 12)])
def test_long_histories_have_longer_stretches(scope_of, years, unit):
    first = pd.Timestamp(2026 - years, 10, 1)
    of = found(scope_of({"transactions": log([("a", first, 1.0), ("b", "2026-09-01", 1.0)])}))
    assert of.unit_months == unit


def state_of(scope) -> SimpleNamespace:
    status = customers.status(scope)
    return SimpleNamespace(scope=scope, cohorts=found(scope), status=status, scores=status[["customer_id"]])


def many(share_old: float, share_new: float) -> pd.DataFrame:
    """Six quarters of a hundred newcomers each, of whom a share pays again in every quarter."""
    rows = [("start", "2024-01-01", 5.0)]
    for quarter in range(6):
        share = share_old if quarter < 2 else share_new
        for i in range(100):
            for k in range(10 - quarter if i < 100 * share else 1):
                day = pd.Timestamp(2024, 7, 2) + pd.DateOffset(months=3 * (quarter + k))
                rows.append((f"c{quarter}-{i}", day, 10.0))
    return log(rows)


@pytest.mark.parametrize(
    ("old", "new", "said"), [(0.6, 0.3, "leave sooner"), (0.3, 0.6, "hold better"), (0.5, 0.5, "within noise")]
)
def test_the_sentence_turns_with_the_data(scope_of, old, new, said):
    state = state_of(scope_of({"transactions": many(old, new)}))
    assert said in shown.trend_sentence(state)
    assert f"{new * 100:.1f}" in shown.trend_sentence(state)
    drawn = charts.cohort_map(shown.shares(state), unit=shown.unit(state))
    assert drawn is not None
    assert shown.value_table(state).shape[0] == len(shown.values(state))


def test_amounts_on_the_map_are_in_the_unit_that_its_title_names(scope_of):
    """Large amounts in thousands, which fit their cells; map and table alike."""
    for factor, divisor, unit in ((1.0, 1.0, "EUR"), (50_000.0, 1_000.0, "thousand EUR")):
        rows = many(0.5, 0.5)
        state = state_of(scope_of({"transactions": rows.assign(amount=rows["amount"] * factor)}))
        state.status = pd.DataFrame({"customer_id": rows["customer_id"].unique(), "branch": "x"})
        assert shown.money_unit(state) == (divisor, unit)
        assert shown.value_figure(state)["title"].endswith(f"has brought, {unit}")
        cells = state.cohorts.cells.query("cohort == '2024Q3' and unit == 0")
        told = shown.values(state).loc["2024Q3", "1"]
        assert told * divisor == pytest.approx(cells["cumulated"].item())
        table = shown.value_table(state)
        text = table.set_index(table.columns[0]).loc["2024Q3", "1"]
        assert float(text.replace(",", "")) == pytest.approx(told, abs=0.51)


def test_few_are_not_told(scope_of):
    """Three of a hundred who pay again: neither the map nor the table tells how many."""
    state = state_of(scope_of({"transactions": many(0.03, 0.5)}))
    assert "2024Q3" not in shown.shares(state).index and "2025Q1" in shown.shares(state).index
    table = shown.share_table(state)
    assert "< 5.0" in table.set_index(table.columns[0]).loc["2024Q3", "2"]
    assert shown.values(state).loc["2024Q3"].notna().sum() == 1


def test_cohorts_do_not_add_up_to_what_tells_how_few_never_paid(scope_of):
    """How many have a status stands elsewhere: where nobody has come lately, less all cohorts it is who never paid."""
    rows = many(0.4, 0.5)
    state = state_of(scope_of({"transactions": rows[rows["customer_id"] != "start"]}))
    people = state.status[["customer_id", "branch"]]
    for n, hides in ((3, True), (30, False)):
        unpaid = pd.DataFrame({"customer_id": [f"u{i}" for i in range(n)], "branch": people["branch"].iloc[0]})
        state.status, state.scores = pd.concat([people, unpaid], ignore_index=True), people[["customer_id"]]
        for table in (shown.share_table(state), shown.value_table(state)):
            assert ("withheld" in table.iloc[:, 1].to_list()) is hides, table


def test_one_short_cohort_says_so(scope_of):
    state = state_of(scope_of({"transactions": log([("a", "2026-08-01", 1.0), ("b", "2026-09-01", 2.0)])}))
    assert state.cohorts.cells.empty and math.isnan(state.cohorts.first_year)
    assert charts.cohort_map(shown.shares(state), unit="quarter") is None
    assert "too short" in shown.share_figure(state)["alt"]
    assert "too short" in shown.value_figure(state)["alt"]
