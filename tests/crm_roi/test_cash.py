"""Money over time: identities, brute force, sampling, and the published rates through a campaign's own flows."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from crm_analysis.crm_roi import cashflow
from crm_analysis.crm_roi.amounts import cost_per_unit
from crm_analysis.crm_roi.cash import cash_over_time, monthly_rate, paybacks
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.flows import member_flows
from crm_analysis.crm_roi.programme import programme
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow


def cash_of(tables=None, **sections):
    scope = FrameScope(tables or association(), make_profile(**sections))
    evaluation = evaluate(scope)
    return cash_over_time(member_flows(scope, evaluation), scope)[0], evaluation


def test_without_discounting_the_present_value_is_the_net_of_the_return():
    found, evaluation = cash_of(value={"discount_rate_annual": 0.0})
    roi = evaluation.measured[0].roi
    assert found.present.value == pytest.approx(roi.net)
    assert (found.present.low, found.present.high) == pytest.approx((roi.net_low, roi.net_high))
    assert found.chance == pytest.approx(roi.probability_earned)
    assert found.curve["total"].iloc[-1] == pytest.approx(roi.net)
    assert (found.curve["low"].iloc[-1], found.curve["high"].iloc[-1]) == pytest.approx((roi.net_low, roi.net_high))


def test_present_value_is_the_sum_of_flows_discounted_by_hand():
    found, _ = cash_of(value={"discount_rate_annual": 0.08})
    by_hand = sum(flow / 1.08 ** (month / 12) for month, flow in enumerate(found.flows))
    assert found.present.value == pytest.approx(by_hand)
    assert (1 + monthly_rate(0.08)) ** 12 == pytest.approx(1.08)


def test_money_spent_later_falls_in_its_month():
    found, _ = cash_of()
    assert found.spent["contact"].to_list()[:2] == pytest.approx([1_800_000, 0])
    assert found.spent["other"].to_list()[:2] == pytest.approx([0, 900_000])
    assert found.spent["unplanned"].to_list()[:2] == pytest.approx([0, 300_000])
    tables = association()
    tables["costs"].loc[tables["costs"]["cost_id"] == "C2", "incurred_on"] = pd.Timestamp("2026-09-20").date()
    invoiced, _ = cash_of(tables)
    assert len(invoiced.curve) == 6 and invoiced.spent["other"].to_list() == pytest.approx([0, 0, 0, 0, 0, 900_000])
    assert invoiced.present.value > found.present.value


def test_payback_of_many_equals_payback_of_each():
    rng = np.random.default_rng(3)
    flows = rng.normal(0, 1, (400, 6)) + np.array([-2, 1, 1, 0, 0.5, 0])
    each = [cashflow.payback_periods(row) for row in flows]
    found = paybacks(flows)
    assert [None if np.isinf(value) else pytest.approx(value) for value in found] == each
    assert {None, 0.0} <= set(each), "the draws hold rows that never pay back and rows never in the red"


def test_published_rates_hold_for_rows_of_flows():
    """numpy-financial's documented examples (Gitman 2003, p. 346 and 348), as brute force sees them."""
    published = np.array([-100.0, 39, 59, 55, 20])
    root = optimize.brentq(lambda rate: sum(published / (1 + rate) ** np.arange(5)), 0.0, 1.0)
    assert cashflow.internal_rate_of_return(published).rate == pytest.approx(root) == pytest.approx(0.28095, abs=5e-6)
    flows = [-40_000, 5_000, 8_000, 12_000, 30_000]
    assert cashflow.net_present_value(flows, rate=0.08) == pytest.approx(3065.22267, abs=5e-6)


def test_the_internal_rate_and_its_interval_are_where_present_value_and_its_interval_meet_zero():
    tables = association(lift=20_000.0)
    tables["costs"]["incurred_on"] = pd.Timestamp("2026-05-01").date()
    found, _ = cash_of(tables)
    assert found.internal.rate is not None and found.internal.sign_changes == 1
    assert cashflow.net_present_value(found.flows, rate=found.internal.rate) == pytest.approx(0, abs=1)
    assert found.internal_low < found.internal.rate < found.internal_high
    for end, side in ((found.internal_low, "high"), (found.internal_high, "low")):
        other, _ = cash_of(tables, value={"discount_rate_annual": min(1.0, max(0.0, (1 + end) ** 12 - 1))})
        if 0 < (1 + end) ** 12 - 1 < 1:
            assert getattr(other.present, side) == pytest.approx(0, abs=0.05 * abs(found.flows[0]))


def test_payback_holds_the_draws_and_never_is_none():
    earned, _ = cash_of(association(lift=25_000.0))
    assert earned.payback.months is not None and earned.payback.chance > 0.97
    assert earned.payback.earliest < earned.payback.months < (earned.payback.latest or 9)
    assert earned.payback_discounted.months >= earned.payback.months
    lost, _ = cash_of(association(cost=30_000_000.0))
    assert lost.payback.months is None and lost.payback.latest is None and lost.payback.chance < 0.01
    assert (earned.present.low > 0) and (lost.present.high < 0)


def test_single_months_of_few_payers_are_withheld():
    tables = association()
    paid = tables["transactions"]
    since = (paid["occurred_at"] - pd.Timestamp("2026-05-01")).dt.days
    last = (since >= 61) & (since <= 70)
    lone = pd.DataFrame({**paid.iloc[0].to_dict(), "occurred_at": pd.Timestamp("2026-07-05")}, index=[0])
    treated = tables["campaign_members"].query("arm == 'treated' and campaign_id == 'CALL26'")["customer_id"].iloc[0]
    tables["transactions"] = pd.concat([paid[~last], lone.assign(customer_id=treated)], ignore_index=True)
    found, _ = cash_of(tables)
    assert found.withheld and not cash_of()[0].withheld


def test_cost_of_one_more_is_fiellers_set_of_ratios():
    """Every ratio inside the interval is one that the data do not reject, and none outside is (brute force)."""
    rng = np.random.default_rng(8)
    own, got, without = rng.gamma(1, 2, 400), rng.poisson(1.4, 400), rng.poisson(1.0, 300)
    found = cost_per_unit(own, got, without, fixed_cost=800.0)
    assert found.value == pytest.approx((own.mean() + 2) / (got.mean() - without.mean()))
    gain = got.mean() - without.mean()

    def rejected(ratio):
        spread = np.cov(own - ratio * got, ddof=1) / 400 + ratio**2 * without.var(ddof=1) / 300
        return abs(own.mean() + 2 - ratio * gain) > stats.norm.ppf(0.975) * np.sqrt(spread)

    for end, inward in ((found.low, 1), (found.high, -1)):
        assert not rejected(end * (1 + inward * 1e-6)) and rejected(end * (1 - inward * 1e-6))
    unclear = cost_per_unit(own, got, rng.poisson(1.35, 300), fixed_cost=800.0)
    assert unclear.high is None and unclear.low is not None and 0 < unclear.low < unclear.value
    assert cost_per_unit(own[:200], without[:200], got[:200], fixed_cost=1.0).value is None


def test_cost_of_one_more_covers_the_truth():
    rng = np.random.default_rng(21)
    held = 0
    for _ in range(600):
        got, without = rng.poisson(0.5, 300), rng.poisson(0.3, 300)
        found = cost_per_unit(np.full(300, 4.0), got, without, fixed_cost=0.0)
        if found.value is None:
            continue
        held += found.low <= 20.0 and (found.high is None or found.high >= 20.0)
    assert 0.92 < held / 600 < 0.98


def by_household():
    """The call drawn by households of two, whose members give alike; everybody left out of the other campaigns."""
    tables = association()
    number = tables["customers"]["customer_id"].str[1:].astype(int)
    tables["customers"] = tables["customers"].assign(household_id="H" + (number // 2).astype(str))
    members = tables["campaign_members"]
    mine = members["campaign_id"] == "CALL26"
    household = members["customer_id"].str[1:].astype(int) // 2
    drawn = np.random.default_rng(5).permutation(300) < 150
    arm = np.where(drawn[household], "treated", "control")
    tables["campaign_members"] = members.assign(arm=np.where(mine, arm, members["arm"]))
    tables["campaigns"] = tables["campaigns"].assign(randomisation_unit="household")
    number = tables["transactions"]["customer_id"].str[1:].astype(int)
    first = tables["transactions"][number % 2 == 0]
    second = first.assign(customer_id=[f"D{i + 1:04d}" for i in number[number % 2 == 0]])
    tables["transactions"] = pd.concat([first, second], ignore_index=True)
    return tables


def test_members_of_a_household_count_as_one_in_the_money_too():
    found, evaluation = cash_of(by_household(), value={"discount_rate_annual": 0.0})
    result = evaluation.measured[0]
    assert result.drawn_by == "household"
    assert (found.present.low, found.present.high) == pytest.approx((result.roi.net_low, result.roi.net_high))
    alone, _ = cash_of(by_household() | {"campaigns": association()["campaigns"]}, value={"discount_rate_annual": 0.0})
    assert found.present.high - found.present.low > 1.3 * (alone.present.high - alone.present.low)
    scope = FrameScope(by_household(), make_profile(value={"discount_rate_annual": 0.0}))
    whole = programme(member_flows(scope, evaluation), (found,), evaluation, scope)
    assert whole.net.high - whole.net.low == pytest.approx(evaluation.portfolio.high - evaluation.portfolio.low)


def test_strata_split_differently_by_plan_are_compared_within():
    tables = association(n=900)
    members = tables["campaign_members"]
    mine = members["campaign_id"] == "CALL26"
    stratum = np.where(np.arange(len(members)) % 3 == 0, "new", "old")
    rng = np.random.default_rng(2)
    arm = np.where(rng.random(len(members)) < np.where(stratum == "new", 0.8, 0.4), "treated", "control")
    tables["campaign_members"] = members.assign(stratum=stratum, arm=np.where(mine, arm, members["arm"]))
    planned = {"planned_control_share": {"CALL26": {"new": 0.2, "old": 0.6}}}
    found, evaluation = cash_of(tables, roi=planned, value={"discount_rate_annual": 0.0})
    result = evaluation.measured[0]
    assert result.gate.by_stratum
    assert found.present.value == pytest.approx(result.roi.net)
    assert (found.present.low, found.present.high) == pytest.approx((result.roi.net_low, result.roi.net_high))
