"""What each customer is expected to bring, and what the page says of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crm_analysis.customer_value import charts
from crm_analysis.customer_value.assessment import assess
from crm_analysis.customer_value.displays import future as displays
from crm_analysis.value_models import promises
from tests.customer_value.test_chapter import buyers, clockwork, once

pytestmark = pytest.mark.slow


def test_each_customers_value_has_an_interval_and_is_worth_less_today(scope_of):
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    frame = state.outlook.customers
    assert tuple(frame.columns) == promises.COLUMNS and frame["customer_id"].is_unique
    assert state.outlook.way == "model"
    assert (frame["low"] <= frame["expected_value"]).all() and (frame["expected_value"] <= frame["high"]).all()
    assert frame["probability_alive"].between(0, 1).all()
    ratio = frame["discounted_value"] / frame["expected_value"]
    assert ratio.between(1.1**-1, 1.0).all() and ratio.mean() == pytest.approx(1.1**-0.5, rel=0.02)
    assert state.outlook.discounted == pytest.approx(frame["discounted_value"].sum())
    undiscounted = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}, value={"discount_rate_annual": 0}))
    assert undiscounted.outlook.discounted == pytest.approx(undiscounted.outlook.value)
    assert undiscounted.outlook.value == pytest.approx(state.outlook.value)


def test_without_a_model_the_class_has_an_interval_and_nobody_a_probability(scope_of):
    frame = assess(scope_of({"transactions": clockwork()})).outlook.customers
    assert frame["probability_alive"].isna().all() and (frame["low"] <= frame["expected_value"]).all()


def test_dues_are_discounted_year_by_year():
    ids = [f"c{n}" for n in range(10)]
    then = pd.DataFrame({"customer_id": ids, "status": "active", "committed": True, "amount_a_year": 120.0})
    now = then.iloc[2:]
    earned = pd.DataFrame({"customer_id": ids, "gross": 108.0, "margin": 108.0, "regular": 108.0, "one_off": 0.0})
    frame = promises.regular(now, then, earned, 2.0, 0.10)[0]
    first = promises.mean_discount(0.10, 0.0, 1.0)
    assert frame["discounted_value"].sum() == pytest.approx(8 * 108.0 * first * (1 + 0.8 / 1.1))
    assert (frame["low"] <= frame["expected_value"]).all()


def test_the_map_averages_to_the_whole(scope_of):
    state = assess(scope_of({"transactions": buyers()}, privacy={"min_cell": 2, "dominance_share": 1.0}))
    table, each = displays.value_map(state), displays._one_off(state)
    sizes = each.groupby(["frequency", "silent"]).size().unstack().reindex_like(table)
    shown = table.notna()
    assert (sizes[~shown].fillna(0) < 2).all().all()
    hidden = each["value"].sum() - float((table * sizes).sum().sum())
    assert abs(hidden) < 0.05 * state.outlook.one_off
    assert charts.value_map(table, currency="EUR") is not None
    said = displays.heat(state)
    assert said["how_to_read"].startswith("**€") and len(said["table"]) == len(table)
    silent = displays._one_off(state).loc[lambda frame: frame["frequency"] == "10+"].groupby("silent")["value"].mean()
    assert silent["up to 3"] > silent.drop("up to 3").max(), "who was here lately is worth more"


def test_small_cells_of_the_map_are_blank(scope_of):
    state = assess(scope_of({"transactions": buyers(400)}, privacy={"min_cell": 25}))
    table, each = displays.value_map(state), displays._one_off(state)
    sizes = each.groupby(["frequency", "silent"]).size().unstack().reindex_like(table)
    assert table[sizes < 25].isna().all().all() and table.notna().any().any()


def test_one_branch_and_no_model_make_no_tables(scope_of):
    state = assess(scope_of({"transactions": buyers(400)}))
    assert displays.branch_outlook(state)["frame"] is None and displays.branch_parameters(state)["frame"] is None
    empty = assess(scope_of({"transactions": clockwork(3)}))
    assert charts.value_map(displays.value_map(empty), currency="EUR") is None
    assert displays.spend(empty)["frame"] is None and displays.heat(empty)["title"] == ""


def test_spend_by_frequency_is_shown_with_its_verdict(scope_of):
    state = assess(scope_of({"transactions": buyers()}))
    said = displays.spend(state)
    assert said["note"].startswith("**No sign of it") and len(said["frame"]) >= 4
    log = buyers()
    often = log.groupby("customer_id")["amount"].transform("size")
    more = assess(scope_of({"transactions": log.assign(amount=log["amount"] * often)}))
    assert displays.spend(more)["note"].startswith("**It does: rank correlation")


def test_branches_side_by_side(scope_of):
    """Two branches that differ, and one too small that takes the fit of both."""
    parts = [
        buyers(700, 1, (1.2, 40.0, 0.4, 3.0)).assign(branch="near"),
        buyers(700, 2, (0.4, 60.0, 1.0, 2.0)).assign(branch="far"),
        buyers(60, 3).assign(branch="tiny"),
    ]
    log = pd.concat([part.assign(customer_id=part["branch"] + part["customer_id"]) for part in parts])
    state = assess(scope_of({"transactions": log}))
    said = displays.branch_outlook(state)
    assert said["note"].startswith("**Branches differ (p < .001")
    assert "Where the model is that of all branches" in said["note"]
    frame = said["frame"].set_index("Branch")
    assert (
        frame.loc["tiny", "Model"] == "of all branches: too few came back" and frame.loc["near", "Model"] == "its own"
    )
    assert len(displays.branch_parameters(state)["frame"]) == 2
    assert not any("margin" in name for name in frame), "a branch's money is on its own page, by its own forecast"
    alone = assess(scope_of({"transactions": log[log["branch"] == "tiny"]}, branch="tiny"))
    assert alone.pooling is None and alone.outlook.why == "few"


def test_spend_is_called_slight_only_where_those_who_come_most_often_keep_to_it(scope_of):
    """A correlation near nil beside a last class that chance does not explain is no matter of indifference."""
    state = assess(scope_of({"transactions": buyers(700)}))
    fit = replace(state.outlook.spend, correlation=0.05, correlation_p=0.001)
    table = state.outlook.independence.assign(low=0.4, high=0.6, relative_spend=0.5)
    far = table.assign(relative_spend=np.where(np.arange(len(table)) == len(table) - 1, 0.61, 0.5))
    said = [
        displays.spend(replace(state, outlook=replace(state.outlook, spend=fit, independence=each)))["note"]
        for each in (table, far)
    ]
    assert "too slight to matter" in said[0] and "the spend model errs for them" not in said[0]
    assert "too slight to matter" not in said[1] and "the spend model errs for them" in said[1]


@pytest.mark.parametrize("log", [once, lambda: once(2000, 0)])
def test_one_time_buyers_need_no_model(scope_of, log):
    state = assess(scope_of({"transactions": log()}))
    assert state.outlook.way == "class" and state.outlook.why == "one_time" and state.pooling is None
    assert np.isfinite(state.outlook.value)
