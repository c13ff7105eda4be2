"""What the first figures say, and the segments of the customers of CDNOW."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers, profile, style
from crm_analysis.customer_value import captions, listing, scores
from crm_analysis.customer_value.assessment import assess
from crm_analysis.customer_value.displays import holdout as displays
from crm_analysis.customer_value.displays import migration, overview
from crm_analysis.customer_value.wording import segment_treatment
from crm_analysis.estimators.proportions import wilson
from crm_analysis.profile.settings import Value

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def log_of(n: int = 600, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        day, rate, drop = rng.uniform(0, 700), rng.gamma(0.8, 1 / 40), rng.beta(0.8, 3.0)
        while day < 1096:
            rows.append((f"c{i}", pd.Timestamp(2023, 10, 1) + pd.Timedelta(days=int(day)), 20.0 + i % 50))
            if rng.random() < drop:
                break
            day += rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


@pytest.fixture
def state(scope_of):
    costs = {"per_customer_year": 40.0}
    return assess(scope_of({"transactions": log_of()}, margin={"rate": 0.5}, cost_to_serve=costs))


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_profit_curve_names_who_takes_away(state, scope_of):
    shape = state.concentration
    below = style.percent(shape.below_cost.share)
    assert shape.below_cost.share > 0 and f"{below} (" in overview.curve(state)
    assert "cheapest channel" in captions.profit_curve(state)["how_to_read"]
    free = assess(scope_of({"transactions": log_of()}, margin={"rate": 0.5}))
    assert "take" not in overview.curve(free) and "The best tenth brings" in overview.curve(free)


def test_the_segment_named_is_the_one_worth_most(state):
    margin = state.profits.customers.set_index("customer_id")["margin"]
    worth = state.scores["customer_id"].map(margin).fillna(0.0).groupby(state.scores["segment"]).sum()
    best = listing.segment_name(worth.idxmax())
    size = wilson(int((state.scores["segment"] == worth.idxmax()).sum()), len(state.scores))
    said = overview.segments(state)
    assert said.startswith(f"**{best}: {style.percent(size.share)} of customers")
    assert style.interval(size.low, size.high, "share") in said


def test_shares_of_segments_are_of_all_also_where_some_are_hidden(state):
    """A segment too small to show does not make the others larger."""
    shares = listing.segments(state)
    sizes = state.scores["segment"].map(listing.segment_name).value_counts(normalize=True)
    shown = shares[shares["measure"] == "customers"].set_index("segment")["share"]
    assert shown.to_dict() == pytest.approx(sizes[shown.index].to_dict())


def test_nobody_is_called_in_person_where_hardly_anybody_comes_back(state):
    for key in ("large_gone", "slipping", "cooling"):
        assert segment_treatment(key, commitments=False, one_time=True) == "cheapest channel only"
    once = replace(state, outlook=replace(state.outlook, why="one_time"))
    assert "who comes first" in overview.curve(replace(once, profits=replace(state.profits, costs_known=False)))
    assert "Contact first" not in migration.tiers(once)["how_to_read"]


def test_a_segment_is_contacted_only_where_the_matrix_expects_it_to_pay():
    for key in ("large_gone", "slipping"):
        assert "where the matrix expects it to pay" in segment_treatment(key, commitments=True)


def test_the_check_says_how_many_classes_were_foreseen(state):
    said = overview.classes(state)
    check = state.outlook.holdout
    assert "classes foreseen within their interval" in said
    way = (check.model if check.model_wins else check.thumb).key
    shocked = check.customers.assign(**{way: check.customers[way] * 10 + 5})
    wrong = replace(state, outlook=replace(state.outlook, holdout=replace(check, customers=shocked)))
    assert "0 of" in overview.classes(wrong) and "Plan by the sum" in overview.classes(wrong)


def test_the_forecast_is_drawn_week_by_week_and_adds_up(state):
    check = state.outlook.holdout
    assert check.weekly["actual"].sum() == check.tracking["actual"].sum()
    assert check.weekly["expected"].sum() == pytest.approx(check.tracking["expected"].sum(), rel=1e-6)
    many = check.weekly.assign(actual=check.weekly["actual"].clip(lower=10.0))
    weekly, monthly = (
        replace(state, outlook=replace(state.outlook, holdout=replace(check, weekly=weeks))) for weeks in (many, None)
    )
    assert len(displays.drawn(weekly)) > len(displays.tracking(weekly))
    for each, pace in ((weekly, "week"), (monthly, "month")):
        said = displays.track(each)
        assert displays.pace(each) == f"each {pace}"
        assert f"by {pace} and cumulated" in said["alt"], "the words are of what is drawn"
        assert ("Drawn week by week; the table" in said["how_to_read"]) == (pace == "week")


def test_a_month_of_few_purchases_is_not_told_by_the_cumulated_ones(state):
    check = state.outlook.holdout
    few = check.tracking.assign(actual=check.tracking["actual"].where(check.tracking["ago"] != 1, 2.0))
    shown = displays.tracking(
        replace(state, outlook=replace(state.outlook, holdout=replace(check, tracking=few, weekly=None)))
    )
    assert shown["actual"].isna().sum() == 1 and shown["actual_so_far"].isna().all()


def test_no_default_segment_on_cdnow():
    """2,357 customers of the lifetimes wheel: everybody has a segment by a rule, and each code but one segment.

    Fader, Hardie and Lee (2005) use the same log; more than half of them bought once, so that quintiles tie.
    """
    package = Path(importlib.util.find_spec("lifetimes").submodule_search_locations[0])
    with open(package / "datasets" / "CDNOW_sample.txt", encoding="ascii") as stream:
        rows = pd.read_csv(stream, sep=r"\s+", header=None, names=["all", "customer_id", "day", "quantity", "amount"])
    rows = rows.assign(
        customer_id=rows["customer_id"].astype(str), occurred_at=pd.to_datetime(rows["day"].astype(str)), branch="us"
    )
    log = rows.assign(kind="sale")[["customer_id", "branch", "occurred_at", "amount", "kind"]]
    summary = customers.summarize(ibis.memtable(log), as_of=date(1998, 6, 30)).to_pandas()
    scored = scores.score_customers(summary, scores.cuts(summary, Value(), source="now"))
    assert len(scored) == 2357
    named = {name for name, _test in scores.SEGMENTS}
    assert set(scored["segment"]) <= named and "" not in set(scored["segment"])
    assert scored["segment"].nunique() >= 8
    assert scored["segment"].value_counts(normalize=True).max() < 0.3
    assert scored.groupby(["recency", "frequency", "monetary"])["segment"].nunique().eq(1).all()


def test_data_inside_a_package_are_not_looked_for_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("CRM_ANALYSIS_DATA", str(tmp_path))
    found = profile.load(ROOT / "analyses" / "profiles" / "cdnow.yaml").data_root
    assert (found / "CDNOW_sample.txt").exists()
    assert profile.load(ROOT / "analyses" / "profiles" / "cdnow.yaml", data=tmp_path).data_root == found
