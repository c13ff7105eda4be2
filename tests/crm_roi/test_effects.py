"""What was drawn, several arms, strata, ratios, satisfaction, those reached: definitions, oracles and bad input."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from statsmodels.stats.multitest import multipletests

from crm_analysis.crm_roi import comparison
from crm_analysis.crm_roi.displays import cards, effects, gate
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.study import examine
from crm_analysis.errors import DataError
from crm_analysis.estimators.means import welch
from tests.crm_roi.conftest import FrameScope, association, make_profile

DAY = date(2026, 5, 1)


def found(changes=None, *, profile=None, branch="all", **kwargs):
    """The association evaluated after its frames were changed."""
    tables = association(**kwargs)
    for name, change in (changes or {}).items():
        tables[name] = change(tables.get(name))
    return evaluate(FrameScope(tables, profile or make_profile(), branch=branch))


def call(evaluation):
    return next(r for r in (*evaluation.closed, *evaluation.running) if r.campaign_id == "CALL26")


def unknowns(evaluation, profile=None):
    return claims(evaluation, profile=profile or make_profile()).unknowns


def check(result, code):
    return next(item for item in result.gate.checks if item.code == code)


def arms_of(result):
    units = result.gate.units
    return units[units["arm"] == "treated"], units[units["arm"] == "control"]


def by_household(size=2):
    """Changes after which the call was drawn by households of `size`, in order of the customers."""

    def members(m):
        mine = m["campaign_id"] == "CALL26"
        number = m.loc[mine, "customer_id"].str[1:].astype(int) // size
        rng = np.random.default_rng(5)
        treated = rng.permutation(number.max() + 1) % 2 == 0
        return m.assign(
            arm=m["arm"].mask(mine, pd.Series(np.where(treated[number], "treated", "control"), number.index))
        )

    return {
        "campaigns": lambda c: c.assign(randomisation_unit="household"),
        "customers": lambda c: c.assign(household_id="H" + (c["customer_id"].str[1:].astype(int) // size).astype(str)),
        "campaign_members": members,
    }


# what was drawn


def test_households_are_counted_and_their_members_stand_together():
    result = call(found(by_household()))
    assert result.drawn_by == "household" and result.state == "measured"
    counts = check(result, "sample_ratio").numbers
    assert (counts["treated"], counts["control"]) == (150, 150), "households, not members"
    treated, control = arms_of(result)
    assert len(treated) + len(control) == 600
    plain = result.effect("margin").plain
    assert plain.difference == pytest.approx(treated["margin"].mean() - control["margin"].mean())
    errors = []
    for arm in (treated, control):
        sums = (arm["margin"] - arm["margin"].mean()).groupby(arm["unit"]).sum()
        errors.append(len(sums) / (len(sums) - 1) * (sums**2).sum() / len(arm) ** 2)
    assert plain.standard_error == pytest.approx(np.sqrt(sum(errors)))
    assert "households were drawn" in cards.card(result, found(by_household()), make_profile())["Answer"][1]


def test_a_household_in_both_arms_leaves_both_whole():
    changes = by_household()
    whole = changes["campaign_members"]

    def split(m):
        m = whole(m)
        m.loc[m["customer_id"].eq("D0000") & m["campaign_id"].eq("CALL26"), "arm"] = "treated"
        m.loc[m["customer_id"].eq("D0001") & m["campaign_id"].eq("CALL26"), "arm"] = "control"
        return m

    result = call(found(changes | {"campaign_members": split}))
    assert check(result, "both_arms").numbers["n"] == 1
    assert not {"D0000", "D0001"} & set(result.gate.units["customer_id"])


def test_a_second_arm_that_the_contract_set_aside_is_not_forgotten():
    """The key keeps the first row of a customer; the gate still sees that another row put him into the other arm."""
    tables = association()
    members = tables["campaign_members"]
    other = members.head(6).assign(arm=np.where(members.head(6)["arm"] == "treated", "control", "treated"))
    again = members.iloc[10:13]
    files = pd.concat([members, other, again])
    result = call(evaluate(FrameScope(tables, make_profile(), unchecked={"campaign_members": files})))
    assert check(result, "both_arms").numbers["n"] == 6 and check(result, "one_row").numbers["n"] == 3
    assert result.n_treated + result.n_control == 594


def test_households_that_nobody_recorded_block_the_return():
    changes = by_household() | {"customers": lambda c: c}
    evaluation = found(changes)
    assert call(evaluation).state == "blocked"
    assert any(
        "households were drawn, and for no member is it recorded which one" in line for line in unknowns(evaluation)
    )


def test_too_few_drawn_branches_have_no_return_and_a_branch_page_says_where_to_look():
    def by_branch(m):
        north = m["customer_id"].str[1:].astype(int) % 2 == 0
        return m.assign(arm=np.where((m["campaign_id"] == "CALL26") & ~north, "control", "treated"))

    changes = {"campaigns": lambda c: c.assign(randomisation_unit="branch"), "campaign_members": by_branch}
    evaluation = found(changes)
    assert call(evaluation).state == "small_control"
    profile = make_profile(privacy={"min_cell": 2})
    assert any("branches treated and" in line for line in unknowns(evaluation, profile))
    seoul = found(changes, branch="seoul")
    assert call(seoul).state == "whole_branches"
    assert any("The page of all branches compares them" in line for line in unknowns(seoul))


def test_held_out_members_who_were_contacted_are_counted():
    def touched(m):
        control = m.index[(m["arm"] == "control")][:9]
        return m.assign(contacted_on=pd.Series(DAY, index=control).reindex(m.index))

    evaluation = found({"campaign_members": touched})
    assert check(call(evaluation), "contamination").numbers["n"] == 9
    told = set(gate.gate_table(evaluation)["Found"])
    assert "9 held-out members were contacted all the same: the effect shown is too small" in told


def test_no_payment_is_said_to_be_zero(evaluated):
    numbers = check(call(evaluated), "zeros").numbers
    units = call(evaluated).gate.units
    assert numbers == {"n": int((units["n_orders"] == 0).sum()), "of": 600}
    assert any(
        "paid nothing and count as zero; nobody's outcome is missing" in text
        for text in gate.gate_table(evaluated)["Found"]
    )


# several arms and several outcomes


def two_letters(sizes=(200, 200, 200), *, same_list=True):
    """Two letters with one control group."""

    def members(m):
        ids = m.loc[m["campaign_id"] == "CALL26", "customer_id"].to_numpy()
        arm = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], sizes))
        rows = []
        for code, name in ((0, "CALL26"), (1, "GALA26")):
            mine = ids[arm == code]
            rows.append(pd.DataFrame({"campaign_id": name, "customer_id": mine, "arm": "treated", "assigned_on": DAY}))
            held = ids[arm == 2] if same_list or code == 0 else ids[arm == 2][1:]
            rows.append(pd.DataFrame({"campaign_id": name, "customer_id": held, "arm": "control", "assigned_on": DAY}))
        return pd.concat(rows, ignore_index=True)

    return {"campaign_members": members}


def test_arms_that_share_a_control_group_are_judged_and_corrected_together():
    evaluation = found(two_letters())
    first, second = evaluation.closed
    assert first.shares_control == ("GALA26",) and second.shares_control == ("CALL26",)
    joint = check(first, "sample_ratio_arms").numbers
    oracle = stats.chisquare([200, 200, 200])
    assert (joint["chi2"], joint["p"]) == pytest.approx((oracle.statistic, oracle.pvalue))
    own = [effect.plain.p_value for result in (first, second) for effect in result.effects]
    adjusted = [effect.adjusted_p for result in (first, second) for effect in result.effects]
    assert adjusted == pytest.approx(multipletests(own, method="holm")[1])
    assert first.correction == "Holm" and first.n_tests == len(own) == 12
    assert "its control group serves 2 arms" in cards.card(first, evaluation, make_profile())["Answer"][1]


def test_separate_control_groups_are_no_family():
    assert call(found(two_letters(same_list=False))).shares_control == ()


def test_arms_that_do_not_fit_together_block_each():
    profile = make_profile(roi={"planned_control_share": {"CALL26": 0.5, "GALA26": 0.5}, "sample_ratio_alpha": 0.2})
    evaluation = found(two_letters((220, 180, 200)), profile=profile)
    first, second = evaluation.closed
    assert check(first, "sample_ratio").status == check(second, "sample_ratio").status == "passed"
    assert first.state == second.state == "blocked"
    assert any("the 2 arms that share one control group do not fit" in line for line in unknowns(evaluation))


# effects


@pytest.mark.slow
def test_ratios_are_sums_over_sums():
    result = call(found())
    treated, control = arms_of(result)
    effect = result.effect("order_value").plain
    assert effect.mean_treated == pytest.approx(treated["revenue"].sum() / treated["n_orders"].sum())
    assert effect.mean_control == pytest.approx(control["revenue"].sum() / control["n_orders"].sum())
    rng = np.random.default_rng(2)
    drawn = []
    for _draw in range(1500):
        parts = [arm.iloc[rng.integers(0, len(arm), len(arm))] for arm in (treated, control)]
        ratio = [part["revenue"].sum() / part["n_orders"].sum() for part in parts]
        drawn.append(ratio[0] - ratio[1])
    assert effect.standard_error == pytest.approx(np.std(drawn), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["delivered_on", "contacted_on"])
def test_the_effect_on_those_reached_divides_by_the_share_reached(column):
    def delivered(m):
        mine = (m["campaign_id"] == "CALL26") & (m["arm"] == "treated") & (np.arange(len(m)) % 4 > 0)
        return m.assign(**{column: pd.Series(DAY, index=m.index[mine]).reindex(m.index)})

    evaluation = found({"campaign_members": delivered})
    result = call(evaluation)
    share = result.delivered_share
    assert 0.6 < share < 0.9
    assert result.reached.effect == pytest.approx(result.effect("margin").plain.difference / share)
    assert result.reached.low < result.reached.effect < result.reached.high
    told = effects.reached(evaluation)
    assert "not reached was not touched by being on the list" in told["note"] and len(told["frame"]) == 1
    assert effects.reached(found())["frame"] is None
    assert list(effects.adjusted(evaluation)["frame"]["Per member"]) == ["Contribution margin", "Amount paid"]
    # everybody assigned still decides
    assert result.roi.net == pytest.approx(call(found()).roi.net)


@pytest.mark.parametrize("among", ["responded", "opened", "redeemed", "delivered"])
def test_results_among_those_who_responded_are_refused_with_the_reason(scope, among):
    said = (
        f'Results among "{among}" are not computed: who opens, answers or redeems differs from who does not, campaign '
        "or not, so their difference from the held-out members is no effect. Everybody assigned is compared (among "
        '"assigned"); where `campaign_members.delivered_on` is given, the page states the effect on those reached '
        "beside it."
    )
    with pytest.raises(DataError) as refused:
        evaluate(scope, among=among)
    assert str(refused.value) == said
    with pytest.raises(ValidationError, match="Results among"):
        make_profile(roi={"among": among})


def test_satisfaction_compares_those_who_answered_and_says_so():
    ids = [f"D{i:04d}" for i in range(0, 600, 2)]
    answers = pd.DataFrame(
        {
            "response_id": [f"R{i}" for i in range(len(ids))],
            "customer_id": ids,
            "branch": "seoul",
            "answered_on": [date(2026, 6, 1)] * 250 + [date(2026, 4, 1)] * 50,
            "satisfaction": np.random.default_rng(11).integers(1, 7, len(ids)).astype(float),
        }
    )
    profile = make_profile(survey={"satisfaction": {"codes": [6], "role": "overall"}})
    evaluation = found({"survey_responses": lambda _none: answers}, profile=profile)
    effect = call(evaluation).effect("satisfaction")
    units = call(evaluation).gate.units
    valid = answers[(answers["satisfaction"] <= 5) & (answers.index < 250)].set_index("customer_id")["satisfaction"]
    arm = units.set_index("customer_id")["arm"]
    scores = [valid[valid.index.map(arm) == name] for name in ("treated", "control")]
    oracle = welch(*scores)
    assert effect.answered == (len(scores[0]), len(scores[1]))
    assert (effect.plain.low, effect.plain.high) == pytest.approx((oracle.low, oracle.high))
    assert "Satisfaction compares those who answered" in effects.effects(evaluation)["note"]


def test_a_cap_fixed_beforehand_stands_beside_the_uncapped():
    profile = make_profile(roi={"cap_quantile": 0.95})
    evaluation = found(profile=profile)
    result = call(evaluation)
    treated, control = arms_of(result)
    cap = np.quantile(np.r_[treated["margin"], control["margin"]], 0.95)
    oracle = welch(treated["margin"].clip(upper=cap), control["margin"].clip(upper=cap))
    assert (result.capped.low, result.capped.high) == pytest.approx((oracle.low, oracle.high))
    assert result.capped_roi.incremental_margin == pytest.approx(300 * oracle.difference)
    assert list(effects.other_ways(evaluation)["frame"]["Way"]) == ["as decided", "margin capped"]


# strata


def stratified(shares):
    """The call drawn within two strata by their own treated share; the first stratum's members pay much more."""

    def members(m):
        mine = (m["campaign_id"] == "CALL26").to_numpy()
        number = m["customer_id"].str[1:].astype(int).to_numpy()
        old = number < 300
        rng = np.random.default_rng(7)
        arm = m["arm"].to_numpy(object).copy()
        for flag, share in zip((True, False), shares, strict=True):
            rows = np.flatnonzero(mine & (old == flag))
            chosen = rng.permutation(rows)[: round(share * len(rows))]
            arm[rows] = "control"
            arm[chosen] = "treated"
        return m.assign(arm=arm, stratum=np.where(old, "old", "new"))

    def paid(t):
        old = t["customer_id"].str[1:].astype(int) < 300
        return t.assign(amount=t["amount"] + 200_000.0 * (old & (t["occurred_at"] >= pd.Timestamp(DAY))))

    return {"campaign_members": members, "transactions": paid}


PLAN = {"planned_control_share": {"CALL26": {"old": 0.2, "new": 0.7}}}


def test_strata_split_alike_have_a_stratified_estimate_beside_the_plain_one():
    evaluation = found(stratified((0.5, 0.5)))
    result = call(evaluation)
    treated, control = arms_of(result)
    brute = sum(
        (treated["stratum"] == name).mean()
        * (
            treated.loc[treated["stratum"] == name, "margin"].mean()
            - control.loc[control["stratum"] == name, "margin"].mean()
        )
        for name in ("old", "new")
    )
    effect = result.effect("margin")
    assert effect.stratified.difference == pytest.approx(brute)
    assert effect.stratified.standard_error < effect.plain.standard_error
    assert effect.plain.difference == pytest.approx(treated["margin"].mean() - control["margin"].mean())
    assert result.stratified.incremental_margin == pytest.approx(300 * brute)
    width = result.stratified.bootstrap_high - result.stratified.bootstrap_low
    assert width == pytest.approx(result.stratified.roi_high - result.stratified.roi_low, rel=0.1)
    assert "By stratum" in effects.adjusted_table(evaluation)
    assert list(effects.ways_table(evaluation)["Way"]) == ["as decided", "by stratum"]


def test_strata_split_differently_by_plan_are_compared_within():
    profile = make_profile(roi=PLAN)
    result = call(found(stratified((0.8, 0.3)), profile=profile))
    assert result.state == "measured" and result.gate.by_stratum
    treated, control = arms_of(result)
    within = sum(
        (treated["stratum"] == name).sum()
        * (
            treated.loc[treated["stratum"] == name, "margin"].mean()
            - control.loc[control["stratum"] == name, "margin"].mean()
        )
        for name in ("old", "new")
    )
    assert result.roi.incremental_margin == pytest.approx(within)
    plain = len(treated) * (treated["margin"].mean() - control["margin"].mean())
    assert abs(plain) > 3 * abs(within), "the plain difference would take the richer stratum for an effect"
    assert check(result, "balance_value").status == "passed"
    order = result.effect("order_value").plain
    assert order.mean_treated == pytest.approx(treated["revenue"].sum() / treated["n_orders"].sum())


@pytest.mark.slow
def test_without_the_plan_the_same_split_is_blocked_and_with_a_wrong_one_too():
    assert call(found(stratified((0.8, 0.3)))).state == "blocked"
    wrong = make_profile(roi={"planned_control_share": {"CALL26": {"old": 0.5, "new": 0.7}}})
    assert call(found(stratified((0.8, 0.3)), profile=wrong)).state == "blocked"
    short = make_profile(roi={"planned_control_share": {"CALL26": {"old": 0.2}}})
    evaluation = found(stratified((0.8, 0.3)), profile=short)
    assert call(evaluation).state == "blocked"
    assert any("complete `roi.planned_control_share`" in line for line in unknowns(evaluation, short))


def test_small_strata_are_put_together_and_never_lost():
    units = pd.DataFrame(
        {
            "unit": [f"u{i}" for i in range(40)],
            "arm": ["treated", "control"] * 20,
            "stratum": ["a"] * 30 + ["b"] * 3 + ["c"] * 7,
        }
    )
    units.loc[units["stratum"] == "c", "arm"] = ["treated"] * 5 + ["control"] * 2
    strata = comparison.usable_strata(units)
    assert strata.nunique() == 2, "b has one held out; with c, the smallest other, it has enough"
    assert (strata[units["stratum"] == "a"] == "a").all() and strata[units["stratum"] != "a"].nunique() == 1
    counts = pd.crosstab(strata, units["arm"])
    assert (counts >= 2).all().all() and counts.to_numpy().sum() == 40


def test_nobody_planned_to_be_held_out_contradicts_a_control_group():
    profile = make_profile(roi={"planned_control_share": {"CALL26": 0.0}})
    assert call(found(profile=profile)).state == "blocked"


@pytest.mark.slow
def test_cards_end_in_a_verdict_with_interval_and_chance_and_something_to_do():
    won, lost, open_ = found(lift=40_000.0), found(lift=0.0, cost=6e6), found()
    for evaluation, opening, step in (
        (won, "It earned: net", "Repeat"),
        (lost, "It lost: net", ("Stop", "Run")),
        (open_, "Not settled: net", "Test"),
    ):
        card = cards.card(call(evaluation), evaluation, make_profile()).set_index("Question")["Answer"]
        assert card["Verdict"].startswith(opening) and "the chance that it earned is" in card["Verdict"]
        assert card["What to do"].startswith(step)
        assert "treated" in card["To whom"] and "won (" in card["Money"] and "p " in card["Effect"]
    gala = next(r for r in open_.closed if r.campaign_id == "GALA26")
    card = cards.card(gala, open_, make_profile()).set_index("Question")["Answer"]
    assert card["Effect"] == "none stated" and "no return is stated" in card["Money"]
    assert "nobody was held out" in card["Verdict"]
    given = cards.cards(examine(FrameScope(association(), make_profile())), profile=make_profile())["given"]
    assert [item["title"] for item in given] == ["Thank&#45;you call", "Gala"]
