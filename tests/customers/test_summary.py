"""`customers.summarize` against lifetimes on CDNOW, and by its own definition."""

import importlib.util
from datetime import date, datetime
from pathlib import Path

import ibis
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_analysis import customers


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    """The log of the 2,357 customers that papers use, from the lifetimes wheel."""
    package = Path(importlib.util.find_spec("lifetimes").submodule_search_locations[0])
    with open(package / "datasets" / "CDNOW_sample.txt", encoding="ascii") as stream:
        log = pd.read_csv(stream, sep=r"\s+", header=None, names=["all", "customer_id", "day", "quantity", "amount"])
    log["customer_id"] = log["customer_id"].astype(str)
    log["occurred_at"] = pd.to_datetime(log["day"].astype(str))
    return log.assign(branch="us", kind="sale")[["customer_id", "branch", "occurred_at", "amount", "kind"]]


@pytest.mark.parametrize(("period", "freq"), [("day", "D"), ("week", "W")])
@pytest.mark.parametrize("as_of", [date(1997, 9, 28), date(1998, 6, 28)])
def test_equals_lifetimes_on_cdnow_customer_by_customer(cdnow, period, freq, as_of):
    """Both ends are Sundays, the last day of lifetimes' weeks."""
    from lifetimes import utils as lifetimes_utils

    ours = customers.summarize(ibis.memtable(cdnow), as_of=as_of, period=period).to_pandas().set_index("customer_id")
    theirs = lifetimes_utils.summary_data_from_transaction_data(
        cdnow, "customer_id", "occurred_at", "amount", observation_period_end=pd.Timestamp(as_of), freq=freq
    )
    unit = pd.Timedelta(days={"day": 1, "week": 7}[period])
    first, last, end = (pd.to_datetime(ours[name]) for name in ("first_on", "last_on", "observed_to"))
    mine = pd.DataFrame(
        {
            "frequency": ours["n_repeat_orders"].astype(float),
            "recency": (last - first) / unit,
            "T": (end - first) / unit,
            "monetary_value": ours["mean_per_repeat_period"].fillna(0.0),
        }
    )
    pd.testing.assert_frame_equal(mine.sort_index(), theirs.sort_index(), check_names=False, rtol=1e-12)


def test_cdnow_counts_of_the_papers(cdnow):
    """Fader, Hardie and Lee (2005): calibration to 30 September 1997, same-day purchases merged."""
    summary = customers.summarize(ibis.memtable(cdnow), as_of=date(1997, 9, 30)).to_pandas()
    assert len(summary) == 2357
    assert (summary["n_repeat_orders"] == 0).sum() == 1411
    assert summary["n_repeat_orders"].sum() == 2457


def log(*rows: tuple) -> ibis.Table:
    names = ["customer_id", "branch", "occurred_at", "amount", "kind", "margin"][: len(rows[0])]
    frame = pd.DataFrame(rows, columns=names)
    return ibis.memtable(frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"], format="ISO8601")))


def test_refunds_are_money_and_never_orders():
    table = log(
        ("a", "x", "2026-01-01 09:00", 100.0, "sale"),
        ("a", "x", "2026-01-01 18:00", 20.0, "sale"),
        ("a", "y", "2026-02-01", 50.0, "sale"),
        ("a", "x", "2026-03-01", 30.0, "refund"),
        ("b", "y", "2026-01-05", 10.0, "refund"),
        (None, "y", "2026-01-05", 10.0, "sale"),
        ("a", "y", "2026-04-01 00:00", 70.0, "sale"),
    )
    frame = customers.summarize(table, as_of=date(2026, 3, 31)).to_pandas().set_index("customer_id")
    assert set(frame.index) == {"a", "b"}
    a, b = frame.loc["a"], frame.loc["b"]
    assert (a["n_orders"], a["n_repeat_orders"], a["branch"]) == (2, 1, "y")
    assert (a["gross"], a["refunds"], a["net"], a["mean_per_repeat_period"]) == (170.0, 30.0, 140.0, 50.0)
    assert pd.Timestamp(a["first_on"]) == pd.Timestamp("2026-01-01")
    assert pd.Timestamp(a["last_on"]) == pd.Timestamp("2026-02-01")
    assert (b["n_orders"], b["n_repeat_orders"], b["branch"], b["net"]) == (0, 0, "y", -10.0)
    assert pd.isna(b["first_on"]) and pd.isna(b["mean_per_repeat_period"])


def test_margin_only_where_every_row_tells_it():
    table = log(
        ("a", "x", "2026-01-01", 100.0, "sale", 40.0),
        ("a", "x", "2026-01-09", 50.0, "refund", 20.0),
        ("b", "x", "2026-01-01", 100.0, "sale", None),
    )
    frame = customers.summarize(table, as_of=date(2026, 1, 31)).to_pandas().set_index("customer_id")
    assert frame.loc["a", "margin"] == 20.0
    assert pd.isna(frame.loc["b", "margin"])


def test_a_silent_branch_is_observed_to_its_last_covered_day():
    table = log(("a", "silent", "2026-01-01", 1.0, "sale"), ("b", "open", "2026-01-01", 1.0, "sale"))
    coverage = pd.DataFrame({"branch": ["silent", "open"], "last_covered_day": [date(2026, 2, 1), date(2026, 9, 30)]})
    frame = customers.summarize(table, as_of=date(2026, 3, 31), coverage=coverage).to_pandas().set_index("customer_id")
    assert pd.Timestamp(frame.loc["a", "observed_to"]) == pd.Timestamp("2026-02-01")
    assert pd.Timestamp(frame.loc["b", "observed_to"]) == pd.Timestamp("2026-03-31")


row = st.tuples(
    st.sampled_from(["a", "b", "c", None, ""]),
    st.sampled_from(["x", "y"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 12)),
    st.integers(0, 1000).map(float),
    st.sampled_from(["sale", "gift", "dues", "refund"]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(row, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_totals_are_conserved_and_order_of_rows_is_irrelevant(rows, random):
    as_of = date(2026, 1, 9)
    frame = pd.DataFrame(rows, columns=["customer_id", "branch", "occurred_at", "amount", "kind"])
    frame = frame.astype({"customer_id": "str"}).where(frame["customer_id"].notna())
    shuffled = frame.sample(frac=1, random_state=random.randrange(2**32))
    first, second = (
        customers.summarize(ibis.memtable(each), as_of=as_of).to_pandas().sort_values("customer_id", ignore_index=True)
        for each in (frame, shuffled)
    )
    pd.testing.assert_frame_equal(first, second)
    used = frame[
        frame["customer_id"].notna()
        & (frame["customer_id"] != "")
        & (frame["occurred_at"] < pd.Timestamp("2026-01-10"))
    ]
    sign = (used["kind"] != "refund") * 2.0 - 1.0
    assert first["net"].sum() == pytest.approx((sign * used["amount"]).sum())
    orders = used[used["kind"] != "refund"]
    days = orders.assign(day=orders["occurred_at"].dt.date)[["customer_id", "day"]].drop_duplicates()
    assert first["n_orders"].sum() == len(days)
    assert (first["n_repeat_orders"] == (first["n_orders"] - 1).clip(lower=0)).all()
