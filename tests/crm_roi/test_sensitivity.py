"""What the present value rests on: every end recomputed from the tables, and draws against theory."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from crm_analysis.crm_roi.cash import cash_over_time
from crm_analysis.crm_roi.costing import cost_in_depth
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.flows import member_flows
from crm_analysis.crm_roi.sensitivity import present_value, sensitivities
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow

STILL = {"contact_cost": (1, 1), "other_costs": (1, 1), "margin_rate": (0.5, 0.5), "discount_rate_annual": (0.1, 0.1)}


def money_of(tables=None, **sections):
    scope = FrameScope(tables or association(), make_profile(**({"margin": {"rate": 0.5}} | sections)))
    evaluation = evaluate(scope)
    flows = member_flows(scope, evaluation)
    cash, costs = cash_over_time(flows, scope), cost_in_depth(flows, evaluation, scope, status=None)
    return cash[0], sensitivities(cash, costs, flows, evaluation, scope)[0]


@pytest.fixture(scope="module")
def plain():
    return money_of()


def test_base_values_give_the_present_value_itself(plain):
    cash, found = plain
    assert present_value(cash) == pytest.approx(cash.present.value) == pytest.approx(found.base)


def test_a_margin_rate_moved_alone_is_the_present_value_at_that_rate(plain):
    bar = plain[1].bars.set_index("assumption").loc["margin_rate"]
    assert (bar["low_input"], bar["high_input"]) == pytest.approx((0.45, 0.55))
    for rate, end in ((0.45, "at_low"), (0.55, "at_high")):
        assert bar[end] == pytest.approx(money_of(margin={"rate": rate})[0].present.value)


def test_costs_and_rate_moved_alone_are_the_present_value_of_those_tables(plain):
    bars = plain[1].bars.set_index("assumption")
    tables = association()
    contact = tables["costs"]["driver"] == "contact"
    for factor, end in ((0.8, "at_low"), (1.2, "at_high")):
        costs = tables["costs"].assign(
            amount=tables["costs"]["amount"].where(~contact, factor * tables["costs"]["amount"])
        )
        again = money_of(tables | {"costs": costs})[0]
        assert bars.loc["contact_cost", end] == pytest.approx(again.present.value)
    for rate, end in ((0.0, "at_low"), (0.2, "at_high")):
        again = money_of(value={"discount_rate_annual": rate})[0]
        assert bars.loc["discount_rate", end] == pytest.approx(again.present.value)


def test_the_effect_moves_between_the_ends_of_its_interval_and_bars_are_widest_first(plain):
    cash, found = plain
    bar = found.bars.set_index("assumption").loc["effect"]
    assert (bar["at_low"], bar["at_high"]) == (cash.present.low, cash.present.high)
    assert found.bars["swing"].is_monotonic_decreasing


def test_a_forgotten_cost_avoided_is_the_present_value_without_that_line(plain):
    bar = plain[1].bars.set_index("assumption").loc["unplanned"]
    tables = association()
    without = money_of(tables | {"costs": tables["costs"].query("cost_id != 'C3'")})[0]
    assert bar["at_high"] == pytest.approx(without.present.value)
    shared = plain[1].bars.set_index("assumption").loc["shared"]
    assert shared["at_high"] - shared["at_low"] == pytest.approx(900_000)


def test_draws_of_the_effect_alone_are_its_normal_distribution():
    cash, found = money_of(roi={"ranges": STILL})
    error = (cash.present.high - cash.present.value) / stats.norm.ppf(0.975)
    for share, value in found.percentiles.items():
        assert value == pytest.approx(stats.norm.ppf(share / 100, cash.present.value, error), abs=0.06 * error)
    assert found.chance == pytest.approx(cash.chance, abs=0.02)
    assert set(found.bars["assumption"]) & {"contact_cost", "other_costs", "margin_rate", "discount_rate"} == set()


def test_wider_ranges_draw_wider_and_the_same_draws_come_again(plain):
    wide = money_of(roi={"ranges": STILL | {"contact_cost": (0, 4), "margin_rate": (0.1, 0.9)}})[1]
    still = money_of(roi={"ranges": STILL})[1]
    spread = {name: each.percentiles[95] - each.percentiles[5] for name, each in (("wide", wide), ("still", still))}
    assert spread["wide"] > 1.2 * spread["still"]
    assert money_of()[1].percentiles == plain[1].percentiles


def test_the_chance_turns_with_the_truth():
    earned = money_of(association(lift=60_000.0))[1]
    lost = money_of(association(cost=30_000_000.0))[1]
    assert earned.chance > 0.99 and lost.chance < 0.01
    assert earned.percentiles[5] > 0 > lost.percentiles[95]


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"contact_cost": [1.4, 0.8]}, "the lowest value, 1.4, is above the highest, 0.8"),
        ({"other_costs": [1.1, 1.5]}, "are factors on the ledger: write ends that hold 1 between them"),
        ({"margin_rate": [0.6, 0.9]}, "does not hold the profile's own value, 0.5"),
        ({"discount_rate_annual": [0.12, 0.2]}, "does not hold the profile's own value, 0.1"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(ranges, words):
    with pytest.raises(ValidationError, match=words):
        make_profile(margin={"rate": 0.5}, roi={"ranges": ranges})


def test_what_is_not_there_has_no_bar():
    tables = association()
    tables["transactions"] = tables["transactions"].assign(margin=lambda t: 0.5 * t["amount"])
    cash, found = money_of(tables)
    assert "margin_rate" not in set(found.bars["assumption"])
    nothing = dataclasses.replace(cash, spent=pd.DataFrame(np.zeros_like(cash.spent), columns=cash.spent.columns))
    assert present_value(nothing, contact=9.0, other=9.0, unplanned=9.0) == pytest.approx(present_value(nothing))
