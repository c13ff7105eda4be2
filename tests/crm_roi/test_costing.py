"""Costs in depth: every line once, discounts to buyers anyway, holding out, break-even points."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.costing import cost_in_depth, made_anyway, own_costs
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.flows import member_flows
from crm_analysis.crm_roi.money import estimate_roi
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow

MARKED = pd.Timestamp("2026-05-20")


def costing_of(tables=None, *, status=None, **sections):
    scope = FrameScope(tables or association(), make_profile(**sections))
    evaluation = evaluate(scope)
    flows = member_flows(scope, evaluation)
    return cost_in_depth(flows, evaluation, scope, status=status)[0], evaluation, flows[0]


def fair(seed=4, *, anyway=0.12, with_discount=0.40, n=1000):
    """Tickets at half price for the treated: `anyway` of the held-out buy one at the full price."""
    rng = np.random.default_rng(seed)
    tables = association(n=n)
    members = tables["campaign_members"].query("campaign_id == 'CALL26'")
    treated = (members["arm"] == "treated").to_numpy()
    buys = rng.random(len(members)) < np.where(treated, with_discount, anyway)
    tickets = pd.DataFrame(
        {
            "customer_id": members["customer_id"].to_numpy()[buys],
            "branch": "seoul",
            "occurred_at": MARKED,
            "amount": np.where(treated[buys], 10_000.0, 20_000.0),
            "discount": np.where(treated[buys], 10_000.0, 0.0),
            "product": "ticket",
            "kind": "sale",
            "transaction_id": [f"K{i}" for i in range(buys.sum())],
        }
    )
    gifts = tables["transactions"].assign(product="gift", discount=0.0)
    return tables | {"transactions": pd.concat([gifts, tickets], ignore_index=True)}, int((buys & treated).sum())


def test_every_line_is_charged_once():
    found, evaluation, flow = costing_of()
    roi = evaluation.measured[0].roi
    assert found.lines["charged"].sum() + own_costs(flow).sum() == pytest.approx(roi.cost)
    assert found.lines["actual"].sum() == pytest.approx(3_000_000)
    assert dict(zip(found.lines["kind"], found.lines["charged"], strict=True)) == pytest.approx(
        {"contact": 1_800_000, "staff": 900_000, "reward": 300_000}
    )
    assert found.lines.set_index("kind").loc["reward", "planned"] == 0, "nobody planned the rewards"


def test_orders_that_are_packed_are_in_fulfilment_and_in_the_members_own_cost():
    tables = association()
    tables["costs"].loc[tables["costs"]["cost_id"] == "C2", "driver"] = "order"
    found, evaluation, flow = costing_of(tables)
    assert found.lines.set_index("kind").loc["fulfilment", "charged"] == pytest.approx(900_000)
    assert own_costs(flow).sum() == pytest.approx(900_000)
    fixed = found.lines.loc[found.lines["kind"] != "fulfilment", "charged"].sum()
    assert fixed + own_costs(flow).sum() == pytest.approx(evaluation.measured[0].roi.cost)


def test_shared_systems_are_divided_by_treated_members_and_left_out_of_a_branch():
    found, evaluation, _ = costing_of()
    assert found.shared == pytest.approx(evaluation.ledger.shared_total) == pytest.approx(900_000)
    scope = FrameScope(association(), make_profile(), branch="seoul")
    alone = evaluate(scope)
    assert cost_in_depth(member_flows(scope, alone), alone, scope, status=None)[0].shared is None


def test_discounts_on_purchases_made_anyway_hold_what_was_planted():
    tables, taken = fair()
    found, _, flow = costing_of(tables)
    assert found.discount.value == pytest.approx(taken * 10_000)
    bought = flow.in_window["promoted"].to_numpy()
    assert found.subsidy.value == pytest.approx(
        taken * 10_000 * bought[~flow.treated].mean() / bought[flow.treated].mean()
    )
    assert found.subsidy.low < 0.12 * flow.treated.sum() * 10_000 < found.subsidy.high + 600_000


def test_discounts_to_buyers_anyway_cover_the_truth_in_simulation():
    rng = np.random.default_rng(12)
    held = 0
    for _ in range(500):
        got, without = rng.binomial(1, 0.40, 600), rng.binomial(1, 0.12, 400)
        found = made_anyway(10_000.0 * got, got, without)
        held += found.low <= 0.12 * 600 * 10_000 <= found.high
    assert 0.92 < held / 500 < 0.98


def test_discounts_to_buyers_anyway_turn_with_the_truth():
    rng = np.random.default_rng(13)
    got = rng.binomial(1, 0.4, 2000)
    many, few = (made_anyway(10_000.0 * got, got, rng.binomial(1, share, 2000)) for share in (0.30, 0.04))
    assert many.low > few.high
    everybody = made_anyway(10_000.0 * got, got, rng.binomial(1, 0.6, 2000))
    assert everybody.value == pytest.approx(10_000 * got.sum())


def test_without_a_discount_there_is_none():
    found, *_ = costing_of()
    assert found.discount is None and found.subsidy is None


def test_holding_out_costs_the_margin_of_those_held_out_less_one_more_contact_each():
    found, evaluation, flow = costing_of()
    units = evaluation.measured[0].gate.units
    gain = units.loc[flow.treated, "margin"].mean() - units.loc[~flow.treated, "margin"].mean()
    assert found.holdout.value == pytest.approx(300 * (gain - 1_800_000 / 300))
    assert found.holdout.low < found.holdout.value < found.holdout.high
    dear, *_ = costing_of(association(cost=60_000_000.0))
    assert dear.holdout.high < 0, "nobody should have been contacted: holding out saved money"


def test_at_each_break_even_point_the_net_is_nothing():
    found, evaluation, flow = costing_of(margin={"rate": 0.5})
    result = evaluation.measured[0]
    units = result.gate.units
    treated, control = units.loc[flow.treated, "margin"], units.loc[~flow.treated, "margin"]
    scale = found.break_even_rate.value / 0.5
    assert estimate_roi(treated * scale, control * scale, fixed_cost=result.roi.cost).net == pytest.approx(0, abs=1e-3)
    rest = result.roi.cost - 1_800_000
    at = estimate_roi(treated, control, fixed_cost=rest + 300 * found.break_even_contact.value)
    assert at.net == pytest.approx(0, abs=1e-3)
    assert found.break_even_margin.value == pytest.approx(result.roi.cost / 300)
    assert found.break_even_lift.value == pytest.approx(result.roi.cost_per_treated / control.mean())
    assert (found.lift.value > found.break_even_lift.value) == (result.roi.net > 0)


def test_a_margin_that_columns_tell_has_no_break_even_rate():
    tables = association()
    tables["transactions"] = tables["transactions"].assign(margin=lambda t: 0.5 * t["amount"])
    found, *_ = costing_of(tables)
    assert found.break_even_rate is None


def test_customers_kept_are_those_the_status_rule_keeps():
    tables = association()
    ids = tables["customers"]["customer_id"]
    members = tables["campaign_members"].query("campaign_id == 'CALL26'")
    treated = set(members.loc[members["arm"] == "treated", "customer_id"])
    gone = [name not in treated and i % 4 == 0 for i, name in enumerate(ids)]
    status = pd.DataFrame({"customer_id": ids, "status": np.where(gone, "lost", "active")})
    found, evaluation, _ = costing_of(tables, status=status)
    assert found.per_kept.gained.value == pytest.approx(sum(gone))
    assert found.per_kept.value == pytest.approx(evaluation.measured[0].roi.cost / sum(gone))
    nobody, *_ = costing_of(tables, status=status.assign(status="active"))
    assert nobody.per_kept is None


def test_the_ledger_lines_of_a_cost_add_up(evaluated):
    for result in evaluated.closed:
        lines = result.cost.lines
        assert lines["actual"].sum() == pytest.approx(result.cost.actual)
        assert lines["charged"].sum() == pytest.approx(result.cost.charged)
        assert lines.loc[lines["unplanned"], "actual"].sum() == pytest.approx(result.cost.unplanned)
    assert dataclasses.replace(evaluated.closed[0].cost) == evaluated.closed[0].cost
