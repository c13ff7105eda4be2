"""Planning against break-even: published and simulated power, the best share to hold out, and the next test."""

from __future__ import annotations

import html
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import NormalIndPower

from crm_analysis import style
from crm_analysis.crm_roi import displays
from crm_analysis.crm_roi.advice import action, why_unknown
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.history import margins_in, past_windows
from crm_analysis.crm_roi.money import estimate_roi
from crm_analysis.crm_roi.planning import (
    chance_of_verdict,
    holdout_options,
    next_test,
    plan_test,
    power_curve,
    spread_in_window,
    spread_of,
)
from crm_analysis.crm_roi.study import examine
from crm_analysis.estimators.designs import cohens_h, units_per_arm_for_proportions
from tests.crm_roi.conftest import FrameScope, association, make_profile

LIST = {"standard_deviation": 30_000.0, "contact_cost": 1_500.0}


def test_ten_against_twelve_per_cent():
    """REFERENCE: two-sided 5 %, 80 % power (Cohen 1988, chapter 6; statsmodels agrees)."""
    assert cohens_h(0.10, 0.12) == pytest.approx(0.06398210, abs=5e-9)
    assert units_per_arm_for_proportions(0.10, 0.12) == pytest.approx(3834.60, abs=0.005)


def test_the_smallest_return_that_shows_is_found_with_eighty_per_cent():
    plan = plan_test(20_000, holdout_share=0.2, **LIST)
    earned, _ = chance_of_verdict(
        plan.detectable_margin - plan.cost_per_treated, 30_000 * math.sqrt(1 / 16_000 + 1 / 4_000)
    )
    assert float(earned) == pytest.approx(0.8)
    assert plan.detectable_margin == pytest.approx(plan.cost_per_treated * (1 + plan.detectable_roi))


def test_it_is_break_even_and_not_zero_that_is_tested():
    """Against zero the same list would show a margin smaller by the whole cost of a contact."""
    plan = plan_test(20_000, holdout_share=0.5, **LIST)
    effect = NormalIndPower().solve_power(nobs1=10_000, alpha=0.05, power=0.8, alternative="two-sided")
    assert plan.detectable_margin == pytest.approx(1_500 + effect * 30_000, rel=1e-4)


def test_the_best_share_is_the_smallest_that_finds_the_return():
    plan = plan_test(40_000, **LIST)
    assert plan.best_share == plan.holdout_share
    options = holdout_options(plan, shares=SHARES)
    enough = [each for each in options if each.detectable_roi <= 1.0]
    assert plan.best_share == min(each.holdout_share for each in enough) > min(each.holdout_share for each in options)
    assert plan.best_share == min(enough, key=lambda each: each.forgone).holdout_share


SHARES = tuple(round(0.01 * k, 2) for k in range(1, 51))


def test_a_short_list_needs_waves_and_as_many_windows():
    plan = plan_test(1_000, window_days=60, **LIST)
    assert plan.best_share is None and plan.holdout_share == 0.5
    enough = plan_test(plan.n_needed, holdout_share=0.5, **LIST)
    assert enough.detectable_roi == pytest.approx(1.0, rel=1e-3)
    assert plan.n_waves == math.ceil(plan.n_needed / 1_000)
    assert plan.duration_days == plan.n_waves * 61


def test_fixed_costs_raise_the_bar_for_whoever_is_treated():
    plan = plan_test(2_000, holdout_share=0.5, fixed_cost=500_000.0, **LIST)
    assert plan.cost_per_treated == 1_500 + 500
    assert plan.cost == 2_000_000


def test_power_rises_with_the_return_and_is_the_level_at_break_even():
    curve = power_curve(plan_test(5_000, **LIST), shares=(0.1, 0.5))
    for _, part in curve.groupby("holdout_share"):
        assert part["earned"].is_monotonic_increasing and part["lost"].is_monotonic_decreasing
        level = part.loc[part["roi"] == 0, ["earned", "lost"]].to_numpy()
        assert level == pytest.approx(0.025)
    assert power_curve(plan_test(100, **LIST), shares=(0.05,)).empty


@pytest.mark.slow
@pytest.mark.parametrize("roi", [0.0, 0.6, 1.2])
def test_the_verdict_comes_as_often_as_planned(roi):
    """Simulated programmes judged by the chapter's own estimate of return, skewed margins with many zeros."""
    rng = np.random.default_rng(int(roi * 10) + 5)
    n, share, cost, draws = 2_000, 0.3, 2_000.0, 1_500
    spread = math.sqrt(0.3 * 2 * 10_000.0**2 - (0.3 * 10_000.0) ** 2)
    plan = plan_test(n, standard_deviation=spread, contact_cost=cost, holdout_share=share)
    expected = power_curve(plan, returns=(roi,))["earned"].iloc[0]
    verdicts = []
    for _ in range(draws):
        margin = rng.exponential(10_000.0, n) * (rng.random(n) < 0.3)
        treated = margin[plan.n_control :] + cost * (1 + roi)
        found = estimate_roi(treated, margin[: plan.n_control], fixed_cost=cost * plan.n_treated, draws=0)
        verdicts.append(found.verdict == "earned")
    error = math.sqrt(expected * (1 - expected) / draws)
    assert abs(np.mean(verdicts) - expected) < 4 * error + 0.01


@pytest.mark.parametrize(
    ("n", "more", "message"),
    [
        (59, {}, "two arms of at least 30 need 60 customers, not 59"),
        (500, {"standard_deviation": 0.0}, "without any spread"),
        (500, {"standard_deviation": math.nan}, "without any spread"),
        (500, {"contact_cost": 0.0}, "a return needs a cost"),
        (500, {"contact_cost": -1.0}, "a return needs a cost"),
        (500, {"holdout_share": 1.0}, "a share between 0 and 1"),
        (500, {"expected_roi": 0.0}, "above zero"),
    ],
)
def test_what_cannot_be_planned_is_refused(n, more, message):
    with pytest.raises(ValueError, match=message):
        plan_test(n, **(LIST | more))


def test_spread_is_that_of_a_sum_by_hand(scope):
    ids = scope.frames["customers"]["customer_id"]
    spread = spread_of(scope, ids, window_days=60)
    days = pd.to_datetime(scope.frames["transactions"]["occurred_at"])
    variances = []
    for window in past_windows(scope, window_days=60, most=4):
        inside = (days >= pd.Timestamp(window.start)) & (days < pd.Timestamp(window.end) + pd.Timedelta(days=1))
        sums = scope.frames["transactions"][inside].groupby("customer_id")["amount"].sum()
        variances.append(sums.reindex(ids).fillna(0.0).var(ddof=1))
    assert spread.n_windows == len(variances) == 4
    assert spread.standard_deviation == pytest.approx(math.sqrt(np.mean(variances)))
    assert 0 <= spread.explained < 1


def test_windows_do_not_overlap_and_have_a_year_before_them(scope):
    windows = past_windows(scope, window_days=60, most=20)
    assert windows[0].end == scope.as_of
    assert all((a.start - b.end).days == 1 for a, b in zip(windows, windows[1:], strict=False))
    assert all((w.end - w.start).days == 60 and w.start >= pd.Timestamp("2024-12-31").date() for w in windows)


def test_a_branch_that_stopped_reporting_is_not_taken_for_silent_customers():
    whole = FrameScope(association(), make_profile())
    silent = whole.of(last_covered={"gwangju": pd.Timestamp("2026-06-30").date()})
    latest = past_windows(whole, window_days=60, most=1)
    assert set(margins_in(whole, latest)["branch"]) == {"seoul", "gwangju"}
    assert set(margins_in(silent, latest)["branch"]) == {"seoul"}


def test_the_next_test_is_of_the_costliest_campaign_that_nobody_can_judge():
    cheaper = FrameScope(association(cost=2_500_000.0), make_profile())
    found = next_test(cheaper, evaluate(cheaper))
    assert (found.state, found.campaign.campaign_id) == ("planned", "GALA26")
    assert found.plan.n_units == 100 and found.plan.window_days == 70
    assert found.plan.cost_per_treated == pytest.approx(30_000.0)
    assert found.adjusted.detectable_roi <= found.plan.detectable_roi
    assert sum(found.by_branch) == 100


def test_a_list_that_no_test_can_settle_gives_way(scope):
    """Gala members who vary so much that no useful return would show; the call is next."""
    frames = {name: frame.copy() for name, frame in association(lift=1_000.0, cost=3_600_000.0).items()}
    rows = frames["transactions"]
    gala = rows["customer_id"].isin([f"D{i:04d}" for i in range(100)]) & (rows["occurred_at"] >= "2026-05-01")
    rows.loc[gala, "amount"] *= 17
    costs = frames["costs"]
    costs.loc[costs["campaign_id"] == "GALA26", "amount"] = 4_500_000.0
    varied = FrameScope(frames, make_profile())
    found = next_test(varied, evaluate(varied))
    assert [each.campaign_id for each in found.passed_over] == ["GALA26"]
    assert (found.state, found.campaign.campaign_id) == ("planned", "CALL26")


@pytest.mark.slow
def test_a_test_that_could_not_settle_anything_is_neither_shown_nor_drawn():
    frames = association(lift=40_000.0)
    rows = frames["transactions"]
    rows.loc[rows["customer_id"].isin([f"D{i:04d}" for i in range(60)]), "amount"] *= 19
    varied = FrameScope(frames, make_profile())
    study = examine(varied)
    assert (study.next_test.state, study.next_test.campaign.campaign_id) == ("hopeless", "GALA26")
    sheet = displays.planning.sheet(study, profile=varied.profile)
    assert sheet["frame"].empty and sheet["note"].startswith("No test of Gala is worth planning")
    assert displays.planning.curves(study.next_test).empty
    assert displays.planning.power(study.next_test, profile=varied.profile)["alt"] == " "
    assert displays.planning.findings(study) == ()


@pytest.mark.parametrize(("times", "state"), [(1, "planned"), (15, "hopeless")])
def test_the_plan_of_a_list_and_what_its_page_says_to_hold_out_are_one_number(times, state):
    """Against the standard deviation by hand: the same share, and the same smallest return, in every place."""
    frames = association(cost=2_500_000.0)
    rows = frames["transactions"]
    inside = rows["occurred_at"].between("2026-05-01", "2026-07-10")
    rows.loc[rows["customer_id"].isin([f"D{i:04d}" for i in range(100)]) & inside, "amount"] *= times
    scope = FrameScope(frames, make_profile())
    evaluation = evaluate(scope)
    plan, said = next_test(scope, evaluation), evaluation.closed[-1].uncontrolled
    paid = rows[inside].groupby("customer_id")["amount"].sum().reindex([f"D{i:04d}" for i in range(100)]).fillna(0.0)
    held = said.n_holdout or 50
    by_hand = 2.8015852 * paid.std() * math.sqrt(1 / held + 1 / (100 - held)) / 30_000
    assert (plan.state, plan.campaign.campaign_id) == (state, "GALA26")
    assert said.detectable_roi == pytest.approx(by_hand) and plan.plan.detectable_roi == pytest.approx(by_hand)
    assert said.holdout_share == (plan.plan.holdout_share if state == "planned" else None)


def test_the_spread_of_a_list_is_that_within_arms():
    """What a programme changed on average is no spread: shifting one arm leaves it as it was."""
    units = evaluate(FrameScope(association(), make_profile())).closed[0].gate.units
    treated = units["arm"] == "treated"
    found = spread_in_window(units, None, window_days=70)
    moved = spread_in_window(units.assign(margin=units["margin"] + 1e6 * treated), None, window_days=70)
    pooled = sum(units.loc[of, "margin"].var(ddof=1) * (of.sum() - 1) for of in (treated, ~treated)) / (len(units) - 2)
    assert found.standard_deviation == pytest.approx(math.sqrt(pooled))
    assert moved.standard_deviation == pytest.approx(found.standard_deviation, rel=1e-6)
    assert 0 <= found.explained < 1 and found.n_units == len(units)


def test_what_a_test_would_show_is_not_said_of_amounts_that_are_withheld():
    """The smallest return shown tells the standard deviation, and that of a list with one giver tells the gift."""
    frames = association()
    rows = frames["transactions"]
    gala = rows["customer_id"].isin([f"D{i:04d}" for i in range(100)]) & (rows["occurred_at"] >= "2026-05-01")
    frames["transactions"] = rows[~gala | (rows.index == rows.index[gala][0])]
    scope = FrameScope(frames, make_profile())
    evaluation = evaluate(scope)
    gala_result = evaluation.closed[-1]
    found = gala_result.uncontrolled
    assert (found.holdout_share, found.detectable_roi, found.detectable_active) == (None, None, None)
    assert math.isnan(found.margin_in_window)
    said = why_unknown(gala_result, evaluation, scope.profile)
    assert "what its members paid is withheld: too few paid, or one of them nearly all" in said


def test_the_curve_reaches_past_the_smallest_return_that_the_plan_shows():
    cheaper = FrameScope(association(cost=2_500_000.0), make_profile())
    found = next_test(cheaper, evaluate(cheaper))
    assert displays.planning.curves(found)["roi"].max() > found.plan.detectable_roi


@pytest.mark.parametrize(
    ("roi", "high", "expected"), [(0.3, 0.6, 0.3), (-0.2, 0.4, 0.4), (0.3, 1.4, 1.0), (0.3, None, 1.0)]
)
def test_no_test_is_planned_for_a_return_that_is_ruled_out_already(roi, high, expected):
    scope = FrameScope(association(lift=13_000.0, cost=4_000_000.0), make_profile())
    evaluation = evaluate(scope)
    result = evaluation.closed[0]
    turned = replace(result, roi=replace(result.roi, roi=roi, roi_high=high, net_low=-1.0, net_high=1.0))
    found = next_test(scope, replace(evaluation, closed=(turned,)))
    assert found.plan.expected_roi == pytest.approx(expected)


def near_break_even(roi, high, *, times=1.0, needed=10**7):
    """The call unsettled at this return, its spread in the window `times` what it was: (scope, evaluation)."""
    scope = FrameScope(association(lift=13_000.0, cost=4_000_000.0), make_profile())
    evaluation = evaluate(scope)
    call = evaluation.closed[0]
    units = call.gate.units
    turned = replace(
        call,
        roi=replace(call.roi, roi=roi, roi_high=high, net=roi * call.roi.cost, net_low=-1.0, net_high=1.0),
        gate=replace(call.gate, units=units.assign(margin=units["margin"] * times)),
        n_to_settle=needed,
    )
    return scope, replace(evaluation, closed=(turned, *evaluation.closed[1:]))


def planned_study(scope, evaluation):
    return replace(examine(scope), evaluation=evaluation, next_test=next_test(scope, evaluation))


@pytest.mark.parametrize(("roi", "high"), [(0.02, 0.9), (0.004, 0.9), (-0.3, 0.02)])
def test_no_test_is_planned_that_can_only_show_what_is_ruled_out(roi, high):
    """A return of 2 %, 90 % at most, once had thousands of waves planned, of which one shows more than 90 % alone."""
    scope, evaluation = near_break_even(roi, high)
    call = evaluation.closed[0]
    study = planned_study(scope, replace(evaluation, closed=(call,)))
    found = study.next_test
    assert (found.state, found.campaign.campaign_id) == ("too_near", "CALL26")
    assert found.plan.n_needed > 10 * found.plan.n_units and found.plan.expected_roi == (roi if roi > 0 else high)
    assert displays.planning.findings(study) == () and displays.planning.curves(found).empty
    sheet = displays.planning.sheet(study, profile=scope.profile)
    advised = html.unescape(action(call, evaluation, scope.profile).text)
    assert sheet["frame"].empty and html.unescape(sheet["note"]) == f"{advised}. No test of it is planned."
    assert advised.startswith("Do not extend Thank-you call: ") and "by a test of reasonable size" in advised
    assert ("what its result leaves of a gain" in advised) == (roi < 0)


def test_a_branch_too_small_for_what_is_left_leaves_the_advice_to_all_branches():
    frames = association(lift=15_000.0, cost=4_000_000.0)
    frames["campaigns"] = frames["campaigns"].query("campaign_id == 'CALL26'")
    scope = FrameScope(frames, make_profile(), branch="seoul")
    study = examine(scope)
    assert study.next_test.state == "too_near" and study.next_test.campaign.elsewhere
    note = displays.planning.sheet(study, profile=scope.profile)["note"]
    assert note.endswith("Decide by the result of all branches.") and "Do not extend" not in note
    advised = action(study.evaluation.closed[0], study.evaluation, scope.profile).text
    assert "by the result of all branches" in advised


def test_a_result_too_near_to_break_even_gives_way_to_the_next_costliest():
    scope, evaluation = near_break_even(0.02, 0.9)
    found = next_test(scope, evaluation)
    assert [each.campaign_id for each in found.passed_over] == ["CALL26"]
    assert found.campaign.campaign_id == "GALA26" and found.state == "planned"


@pytest.mark.parametrize(("roi", "high", "times"), [(0.4, 0.6, 1.7), (-0.004, 0.6, 2.0), (0.004, 1.4, 1.0)])
def test_what_to_do_and_the_plan_beside_it_name_one_test(roi, high, times):
    """The call is to be tested again wherever the page plans its test, and with as many as that plan needs."""
    scope, evaluation = near_break_even(roi, high, times=times)
    study = planned_study(scope, replace(evaluation, closed=evaluation.closed[:1]))
    plan = study.next_test.plan
    assert study.next_test.state == "planned" and plan.n_needed <= 10 * plan.n_units
    said = action(evaluation.closed[0], evaluation, scope.profile)
    n = math.ceil(max(plan.n_needed, plan.n_units) / 100) * 100
    assert html.unescape(said.text).startswith(f"Test Thank-you call again with {n:,} customers, ")
    assert said.resting_on.endswith(f"to find a return of {style.percent(plan.expected_roi, 0)}")


@pytest.mark.parametrize(("high", "excluded"), [(0.6, True), (1.4, False)])
def test_several_waves_are_said_where_one_shows_only_what_is_ruled_out(high, excluded):
    scope, evaluation = near_break_even(0.4, high, times=2.2)
    study = planned_study(scope, replace(evaluation, closed=evaluation.closed[:1]))
    found = study.next_test
    (finding,) = displays.planning.findings(study)
    rows = displays.planning.options(found, profile=scope.profile)["Test plan"]
    assert ("One wave can show" in set(rows), f"in {found.plan.n_waves} waves" in finding.sentence) == (excluded,) * 2
    if excluded:
        assert found.plan.detectable_roi > high and 1 < found.plan.n_waves <= 10
        together = plan_test(
            found.plan.n_waves * found.plan.n_units,
            standard_deviation=found.plan.standard_deviation,
            contact_cost=found.plan.cost_per_treated,
            holdout_share=found.plan.holdout_share,
        )
        assert together.detectable_roi <= finding.value == 0.4


@pytest.mark.parametrize(
    ("n", "cost", "why"),
    [
        (100, 30_000.0, "margins of its members did not vary in its window"),
        (40, 30_000.0, "the list is too short for a test"),
        (100, 0.0, "what it cost is not known"),
    ],
)
def test_why_a_list_without_payments_has_no_test_is_said_as_it_is(n, cost, why):
    """A win-back list on which nobody paid was called too short, beside the advice to hold out half of it."""
    frames = association()
    rows, members, costs = frames["transactions"], frames["campaign_members"], frames["costs"]
    ids = [f"D{i:04d}" for i in range(100)]
    frames["transactions"] = rows[~(rows["customer_id"].isin(ids) & (rows["occurred_at"] >= "2026-05-01"))]
    frames["campaign_members"] = members[(members["campaign_id"] != "GALA26") | members["customer_id"].isin(ids[:n])]
    if not cost:
        frames["costs"] = costs[costs["campaign_id"] != "GALA26"]
        frames["campaigns"] = frames["campaigns"].assign(
            contact_cost=frames["campaigns"]["contact_cost"].where(frames["campaigns"]["campaign_id"] != "GALA26")
        )
    scope = FrameScope(frames, make_profile())
    evaluation = evaluate(scope)
    gala = next(each for each in evaluation.closed if each.campaign_id == "GALA26")
    said = why_unknown(gala, evaluation, scope.profile)
    reasons = ("did not vary in its window", "too short for a test", "what it cost is not known")
    assert why in said and sum(each in said for each in reasons) == 1
    if n == 100 and cost:
        assert gala.uncontrolled.detectable_roi is None and "half held out (50 customers) shows a difference" in said
        assert action(gala, evaluation, scope.profile).text.startswith("Hold out half of the next Gala at random (50 ")


@pytest.mark.parametrize("branch", ["all", "seoul"])
def test_a_branch_plans_no_test_of_what_all_branches_have_settled(branch):
    """Its page says to decide by the result of all: the plan beside it must not send anybody to test it anew."""
    frames = association(lift=15_500.0, cost=4_000_000.0)
    frames["campaigns"] = frames["campaigns"].query("campaign_id == 'CALL26'")
    scope = FrameScope(frames, make_profile(), branch=branch)
    found = next_test(scope, evaluate(scope))
    assert (found.state, found.campaign.campaign_id) == ("planned", "CALL26")
    plan = displays.planning.options(found, profile=scope.profile).set_index("Test plan")["Value"]
    assert ("where that of all branches is, no test is needed" in plan["Why this one"]) == (branch == "seoul")


def test_where_every_programme_is_settled_there_is_nothing_to_test():
    frames = association(lift=40_000.0)
    frames["campaigns"] = frames["campaigns"].query("campaign_id == 'CALL26'")
    small = FrameScope(frames, make_profile())
    assert next_test(small, evaluate(small)).state == "settled"


def test_a_dear_unsettled_campaign_takes_the_place_of_a_cheap_one():
    frames = association(lift=15_500.0, cost=4_000_000.0)
    dear = FrameScope(frames, make_profile())
    assert next_test(dear, evaluate(dear)).campaign.campaign_id == "CALL26"


@pytest.mark.slow
@pytest.mark.parametrize(("written", "state"), [(0.5, "measured"), (0.1, "blocked")])
def test_the_split_is_held_against_the_share_written_before_the_start(written, state):
    frames = association()
    frames["campaigns"] = frames["campaigns"].assign(planned_control_share=[written, math.nan, math.nan])
    scope = FrameScope(frames, make_profile())
    found = {result.campaign_id: result for result in evaluate(scope).closed}["CALL26"]
    check = next(check for check in found.gate.checks if check.code == "sample_ratio")
    assert check.numbers["planned"] == pytest.approx(1 - written) and found.state == state
    profile = make_profile(roi={"planned_control_share": {"CALL26": 0.5}})  # the profile's own word comes first
    assert evaluate(FrameScope(frames, profile)).closed[0].state == "measured"
