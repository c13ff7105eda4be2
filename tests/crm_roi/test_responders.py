"""Who responds: groups by hand, planted differences and none, and advice that turns with them."""

import html
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm_analysis import style
from crm_analysis.crm_roi import advice, charts, displays
from crm_analysis.crm_roi import responders as responders_module
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.responders import FEWEST_TO_LEARN, responders, split
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.study import examine
from crm_analysis.estimators import uplift
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow

CONTACT = 10_000.0


def campaign(*, new: float, old: float, seed: int = 3, n: int = 3000) -> dict[str, pd.DataFrame]:
    """One randomised campaign of two strata; what a treated member of each gives more, on average."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"D{i:04d}" for i in range(n)])
    branch = np.where(np.arange(n) % 2 == 0, "seoul", "gwangju")
    stratum = np.where(np.arange(n) % 4 < 2, "new", "old")
    treated = rng.permutation(n) < n // 2
    start = pd.Timestamp("2026-05-01")
    frames = []
    for who, amount in (
        (rng.random(n) < 0.6, rng.gamma(4, 5_000, n)),
        (treated & (stratum == "new") & (rng.random(n) < 0.5), np.full(n, 2 * new)),
        (treated & (stratum == "old") & (rng.random(n) < 0.5), np.full(n, 2 * old)),
    ):
        days = pd.to_timedelta(rng.integers(1, 60, n), unit="D")
        given = who & (amount > 0)
        frames.append(
            pd.DataFrame({"i": np.flatnonzero(given), "occurred_at": start + days[given], "amount": amount[given]})
        )
    earlier = pd.to_timedelta(rng.integers(1, 360, n), unit="D")
    frames.append(pd.DataFrame({"i": np.arange(n), "occurred_at": start - earlier, "amount": rng.gamma(2, 20_000, n)}))
    paid = pd.concat(frames, ignore_index=True)
    paid = paid.assign(customer_id=ids[paid["i"]], branch=branch[paid["i"]], kind="gift").drop(columns="i")
    paid["transaction_id"] = [f"T{i}" for i in range(len(paid))]
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 50 * 365, n), unit="D")
    base = association(n=40)
    members = pd.DataFrame(
        {
            "campaign_id": "CALL26",
            "customer_id": ids,
            "arm": np.where(treated, "treated", "control"),
            "assigned_on": date(2026, 5, 1),
            "stratum": stratum,
        }
    )
    costs = base["costs"].iloc[:2].assign(
        amount=[CONTACT * treated.sum(), 100_000.0], planned_amount=[CONTACT * treated.sum(), 100_000.0],
        driver=["contact", "fixed"],
    )  # fmt: skip
    return {
        "transactions": paid,
        "customers": pd.DataFrame(
            {"customer_id": ids, "branch": branch, "joined_on": date(2025, 1, 1), "birth_date": born.date}
        ),
        "campaigns": base["campaigns"].iloc[:1].assign(contact_cost=CONTACT),
        "campaign_members": members,
        "costs": costs,
    }


def study(**effects):
    return examine(FrameScope(campaign(**effects), make_profile()))


@pytest.fixture(scope="module")
def differing():
    return study(new=40_000.0, old=0.0)


def by_code(found, code):
    return next(s for s in found.splits if s.code == code)


def test_groups_are_welch_differences_of_their_members(differing):
    (found,) = differing.responders
    units = differing.evaluation.closed[0].gate.units
    for group in by_code(found, "stratum").groups:
        mine = units[units["stratum"] == group.code]
        t, c = (mine.loc[mine["arm"] == arm, "margin"] for arm in ("treated", "control"))
        assert group.found.difference == pytest.approx(t.mean() - c.mean())
        assert group.found.p_value == pytest.approx(stats.ttest_ind(t, c, equal_var=False).pvalue)
    for made in found.splits:
        assert sum(g.found.n_treated for g in made.groups) == found.n_treated
        assert sum(g.found.n_control for g in made.groups) == found.n_control
        assert min(min(g.found.n_treated, g.found.n_control) for g in made.groups) >= 30
    assert {made.code for made in found.splits} == {"stratum", "age", "branch", "value"}
    assert len(by_code(found, "value").groups) == 10


def test_planted_difference_is_found_shrunken_and_turned_into_advice(differing):
    (found,) = differing.responders
    strata = by_code(found, "stratum")
    assert strata.differs and strata.pooled.tau > 0
    assert not any(made.differs for made in found.splits if made.code in ("age", "branch"))
    new, old = strata.groups
    for group, planted in ((new, 40_000.0), (old, 0.0)):
        assert group.found.low < planted < group.found.high or abs(group.found.difference - planted) < 4_000
        assert group.shrunk is None, "how much two groups spread is not known"
    bands = by_code(found, "value")
    middle = np.average(
        [g.found.difference for g in bands.groups], weights=[g.found.standard_error**-2 for g in bands.groups]
    )
    for group in bands.groups:
        assert abs(group.shrunk - middle) < abs(group.found.difference - middle)
    assert found.qini.coefficient_low > 0
    policy = found.policy
    assert policy.advice == "target"
    assert policy.contact_cost == pytest.approx(CONTACT) and policy.fixed_cost == pytest.approx(100_000.0)
    assert new.n_targeted > 0.9 * new.n_judged and old.n_targeted < 0.1 * old.n_judged
    # half of the list gets nothing out of a contact that costs CONTACT
    error = (policy.over_everybody.high - policy.over_everybody.low) / (2 * 1.96)
    assert abs(policy.over_everybody.mean - CONTACT * policy.n / 2) < 4 * error
    assert policy.targeted.mean == pytest.approx(policy.everybody.mean + policy.over_everybody.mean)


@pytest.mark.parametrize(
    ("effects", "advice", "words"),
    [
        ({"new": 40_000.0, "old": 0.0}, "target", "Contact only"),
        ({"new": 25_000.0, "old": 25_000.0}, "everybody", "beat"),
        ({"new": 0.0, "old": 0.0}, "nobody", "contact nobody"),
    ],
)
def test_advice_turns_with_the_truth(effects, advice, words):
    found = study(**effects)
    (mine,) = found.responders
    assert mine.policy.advice == advice
    (finding,) = displays.responders.findings(found)
    assert words in finding.sentence and finding.key == "crm_roi.call26.targeting"
    assert (finding.low is None) == (mine.policy.over_everybody.low is None)
    note = displays.responders.targeting(found)["note"]
    assert finding.sentence in note
    if advice != "target":
        assert not by_code(mine, "stratum").differs
        assert "is shown to respond differently" in displays.responders.sentence(mine, found)


@pytest.mark.parametrize("effects", [{"new": 25_000.0, "old": 25_000.0}, {"new": 40_000.0, "old": 0.0}])
def test_contacting_everybody_is_the_net_as_it_ran_carried_over_to_all_members(effects):
    found = study(**effects)
    (one,), (result,) = found.responders, found.evaluation.closed
    roi, policy = result.roi, one.policy
    assert policy.n == roi.n_treated + roi.n_control == len(policy.members)
    for mine, its in (
        (policy.everybody.mean, roi.net), (policy.everybody.low, roi.net_low), (policy.everybody.high, roi.net_high),
    ):  # fmt: skip
        assert (mine + policy.fixed_cost) / policy.n == pytest.approx((its + policy.fixed_cost) / roi.n_treated)
    on_the_treated = policy.fixed_cost + policy.contact_cost * roi.n_treated
    assert on_the_treated == pytest.approx(roi.cost), "one definition of cost"
    assert policy.targeted.mean == pytest.approx(policy.everybody.mean + policy.over_everybody.mean)


def test_discounts_taken_and_costs_of_orders_are_in_the_worth_of_everybody():
    tables = campaign(new=25_000.0, old=25_000.0)
    per_order = tables["costs"].iloc[:1].assign(cost_id="order", driver="order", amount=900_000.0)
    tables["costs"] = pd.concat([tables["costs"], per_order], ignore_index=True)
    found = examine(FrameScope(tables, make_profile()))
    policy, roi = found.responders[0].policy, found.evaluation.closed[0].roi
    assert (policy.everybody.mean + policy.fixed_cost) / policy.n == pytest.approx(
        (roi.net + policy.fixed_cost) / roi.n_treated
    )
    assert policy.fixed_cost == pytest.approx(100_000.0), "what each order cost is no fixed cost"


def test_the_rule_becomes_what_to_do_where_it_beats_everybody_and_nobody(differing):
    (one,) = differing.responders
    said = claims(differing.evaluation, profile=make_profile(), policies=differing.policies)
    (step,) = (step for step in said.actions if step.key == "crm_roi.call26.action")
    assert step.text.startswith("Repeat Thank&#45;you call for ") and "of its list alone" in step.text
    # a tenth held out loses a tenth of the gain and saves a tenth of the contacts; what is spent anyway stays whole
    by_rule, fixed = one.policy.targeted, one.policy.fixed_cost
    for told, whole in ((step.value, by_rule.mean), (step.low, by_rule.low), (step.high, by_rule.high)):
        assert told == pytest.approx(0.9 * (whole + fixed) - fixed)
    assert 0 < step.low < step.value < step.high and step.owner
    gain = one.policy.over_everybody  # over the whole list; a tenth of those chosen stays held out
    assert f"{style.money(0.9 * gain.mean, 'KRW')} (" in step.text
    assert style.interval(0.9 * gain.low, 0.9 * gain.high, "money", "KRW") in step.text
    listed = displays.lists(differing)["call26.targeting"]
    assert "crm-analysis list crm_roi.call26.targeting" in step.text
    strata = differing.evaluation.closed[0].gate.units.set_index("customer_id")["stratum"].loc[listed["customer_id"]]
    assert (strata == "new").mean() > 0.9 and len(listed) == one.policy.n_targeted, "the share told is that of the list"
    assert style.share(len(listed), one.policy.n, 5, 0) in step.text
    card = displays.cards.cards(differing, profile=make_profile())["given"][0]["frame"]
    assert html.unescape(step.text).replace("`", "") in card["Answer"].to_list(), "a cell knows no markup"


def test_the_share_told_is_that_of_the_list_where_draws_disagree(monkeypatch):
    real = responders_module.target

    def wavering(*given, **settings):
        found = real(*given, **settings)
        chosen = np.where(found.expected > np.median(found.expected), 0.6, 0.0)
        return replace(found, chosen=chosen)

    monkeypatch.setattr(responders_module, "target", wavering)
    found = study(new=40_000.0, old=0.0)
    (one,) = found.responders
    listed = displays.lists(found)["call26.targeting"]
    assert one.policy.n_targeted == len(listed) == pytest.approx(0.5 * one.policy.n, abs=60)
    for made in one.splits:
        assert sum(group.n_targeted for group in made.groups) == len(listed)


def test_a_tenth_held_out_saves_nothing_of_what_is_spent_anyway(differing):
    (result,), gain = differing.evaluation.closed, uplift.Gain(1e6, 0.9e6, 1.1e6, 3000)
    policy = replace(differing.responders[0].policy, fixed_cost=2e6, targeted=gain, over_everybody=gain)
    step = advice.action(result, differing.evaluation, make_profile(), policy)
    assert (step.value, step.low, step.high) == pytest.approx((0.7e6, 0.61e6, 0.79e6))  # 0.9 of 3 m, less 2 m


def test_repeating_for_everybody_is_worth_what_the_table_says_of_everybody_less_a_tenth_held_out():
    found = study(new=25_000.0, old=25_000.0)
    (step,) = claims(found.evaluation, profile=make_profile(), policies=found.policies).actions
    policy = found.responders[0].policy
    everybody, fixed = policy.everybody, policy.fixed_cost
    assert "for everybody who qualifies" in step.text and fixed == pytest.approx(100_000.0)
    for told, whole in ((step.value, everybody.mean), (step.low, everybody.low), (step.high, everybody.high)):
        assert told == pytest.approx(0.9 * (whole + fixed) - fixed)


def test_a_rule_that_is_not_shown_to_beat_both_is_no_action():
    for effects in ({"new": 25_000.0, "old": 25_000.0}, {"new": 0.0, "old": 0.0}):
        found = study(**effects)
        with_rule = claims(found.evaluation, profile=make_profile(), policies=found.policies)
        assert with_rule.actions == claims(found.evaluation, profile=make_profile()).actions
        assert "call26.targeting" not in displays.lists(found)


def test_a_branch_leaves_a_campaign_of_several_branches_to_the_page_of_all(differing):
    assert differing.responders[0].policy.advice == "target"
    tables = campaign(new=40_000.0, old=0.0)
    here = examine(FrameScope(tables, make_profile(), branch="seoul"))
    (one,) = here.responders
    assert one.policy.advice == "all_branches" and one.policy.over_everybody.low > 0
    assert displays.lists(here).keys() == {"call26.roi"}
    (finding,) = displays.responders.findings(here)
    assert "decided over all branches" in finding.sentence and finding.tone == "neutral"
    assert displays.responders.targeting(here)["frame"]["Advice"].to_list() == ["see all branches"]
    (step,) = claims(here.evaluation, profile=make_profile(), policies=here.policies).actions
    assert "whom the page of all branches names" in step.text and "crm-analysis list" not in step.text
    seoul = tables["customers"].loc[tables["customers"]["branch"] == "seoul", "customer_id"]
    members = tables["campaign_members"]
    alone = tables | {"campaign_members": members[members["customer_id"].isin(seoul)]}
    own = examine(FrameScope(alone, make_profile(), branch="seoul"))
    assert own.responders[0].policy.advice == "target", "who ran it alone decides alone"


def judged_at(policy, *errors_above: float):
    """A policy whose rule stands so many standard errors above nobody and above everybody."""
    nobody, everybody = (
        uplift.Gain(z, z - stats.norm.ppf(0.975), z + stats.norm.ppf(0.975), policy.n) for z in errors_above
    )
    return replace(policy, targeted=nobody, over_everybody=everybody)


@pytest.mark.parametrize(
    ("errors_above", "advised"),
    [
        ([(2.1, 9.0)], [True]),
        ([(9.0, 1.9)], [False]),
        ([(2.1, 9.0), (9.0, 2.1)], [False, False]),  # 0.018 twice is above 0.025
        ([(2.1, 9.0), (9.0, 5.0)], [True, True]),  # the stronger is settled, and leaves one test
        ([(2.3, 9.0), (9.0, 2.3), (0.0, 0.0)], [False, False, False]),
    ],
)
def test_the_chance_of_one_false_rule_is_held_over_the_campaigns_of_a_page(differing, errors_above, advised):
    (one,) = differing.responders
    found = responders_module.judge_together(
        [replace(one, policy=judged_at(one.policy, *each)) for each in errors_above]
    )
    assert [each.policy.advice == "target" for each in found] == advised


def test_campaigns_without_a_rule_of_their_own_to_judge_are_no_tests(differing):
    (one,) = differing.responders
    close = replace(one, policy=judged_at(one.policy, 2.1, 9.0))
    elsewhere = replace(one, policy=replace(close.policy, decided_by_all=True))
    flat = replace(one, policy=replace(one.policy, over_everybody=uplift.Gain(0.0, None, None, one.policy.n)))
    found = responders_module.judge_together([close, elsewhere, flat, replace(one, policy=None)])
    assert [each.policy and each.policy.advice for each in found] == ["target", "all_branches", "everybody", None]


def test_a_small_arm_is_split_but_no_rule_is_learned():
    found = study(new=20_000.0, old=0.0, n=2 * FEWEST_TO_LEARN - 20)
    (mine,) = found.responders
    assert mine.qini is None and mine.policy is None and mine.splits
    assert displays.responders.findings(found) == ()
    assert charts.qini_curves(displays.responders.curves(found), currency="KRW") is None
    assert str(FEWEST_TO_LEARN) in displays.responders.qini_figure(found)["alt"]


def test_uncontrolled_campaigns_have_no_responders():
    tables = campaign(new=40_000.0, old=0.0, n=400)
    tables["campaign_members"]["arm"] = "treated"
    scope = FrameScope(tables, make_profile())
    assert responders(scope, evaluate(scope)) == ()


def test_few_payers_are_withheld_and_one_more_group_with_them():
    rng = np.random.default_rng(1)
    units = pd.DataFrame(
        {
            "arm": np.tile(["treated", "control"], 150),
            "branch": "seoul",
            "unit": np.arange(300),
            "margin": rng.gamma(2, 10, 300),
        }
    )
    label = pd.Series(np.repeat(["a", "b", "c"], [100, 80, 120]))
    units.loc[(label == "a") & (rng.random(300) < 0.99), "margin"] = 0.0
    made = split(units, label, code="stratum", fewest=30, privacy_rule=(5, 0.85))
    assert [g.withheld for g in made.groups] == [True, True, False]


def test_pages_say_withheld_and_draw(differing):
    table = displays.responders.groups(differing, make_profile())["frame"]
    assert len(table) == sum(len(s.groups) for s in differing.responders[0].splits)
    assert charts.qini_curves(displays.responders.curves(differing), currency="KRW") is not None
    assert charts.effect_bands(displays.responders.bands(differing), currency="KRW") is not None
    curve = displays.responders.curves(differing)
    assert curve["gain"].iloc[0] == 0.0 and curve["line"].iloc[-1] == pytest.approx(curve["gain"].iloc[-1])


def test_the_dashed_line_is_the_effect_on_all_that_the_tables_state(differing):
    bands = displays.responders.bands(differing)
    (result,) = (r for r in differing.evaluation.closed if r.campaign_id == differing.responders[0].campaign_id)
    effect = result.effect("margin").plain.difference
    assert set(bands["all"]) == {effect}
    fig = charts.effect_bands(bands, currency="KRW")
    (line,) = (each for each in fig.axes[0].lines if each.get_label() == "all together")
    assert set(line.get_ydata()) == {effect}
    assert by_code(differing.responders[0], "value").pooled.mean != pytest.approx(effect), "another number"


def legend_of(fig) -> list[str]:
    (legend,) = fig.legends
    return [text.get_text() for text in legend.get_texts()]


def test_too_few_bands_to_shrink_leave_no_word_of_shrinking(differing):
    few = study(new=20_000.0, old=0.0, n=180)
    assert 2 <= len(by_code(few.responders[0], "value").groups) <= 3
    bands = displays.responders.bands(few)
    assert not bands.empty and bands["shrunk"].isna().all()
    figure = displays.responders.band_figure(few)
    said = f"{figure['alt']} {figure['how_to_read']} {list(figure['table'])}"
    assert "hrunken" not in said and "Filled dots" not in said
    assert legend_of(charts.effect_bands(bands, currency="KRW")) == ["all together", "difference"]
    full = displays.responders.band_figure(differing)
    assert "Shrunken" in full["table"] and "Filled dots" in full["how_to_read"] and "shrunken" in full["alt"]
    (small,), (large,) = few.responders, differing.responders
    both = replace(differing, responders=(replace(small, name="Small"), large))
    drawn = legend_of(charts.effect_bands(displays.responders.bands(both), currency="KRW"))
    assert drawn == ["all together", "difference", "shrunken"], "one panel has filled dots, so the legend tells them"


def test_members_drawn_as_households_are_compared_as_households_and_not_ranked():
    tables = campaign(new=40_000.0, old=0.0, n=800)
    home = np.repeat(np.arange(400), 2)
    tables["customers"]["household_id"] = [f"H{i}" for i in home]
    arm = tables["campaign_members"]["arm"].to_numpy()
    tables["campaign_members"]["arm"] = arm[::2][home]
    tables["campaigns"]["randomisation_unit"] = "household"
    (found,) = examine(FrameScope(tables, make_profile())).responders
    assert found.qini is None and found.policy is None
    assert all("clustered" in group.found.basis for group in by_code(found, "stratum").groups)


def test_strata_drawn_at_shares_of_their_own_are_compared_within_alone():
    tables = campaign(new=20_000.0, old=20_000.0, n=1200)
    members = tables["campaign_members"]
    rng = np.random.default_rng(1)
    held = np.where(members["stratum"] == "new", 0.2, 0.5)
    members["arm"] = np.where(rng.random(len(members)) < held, "control", "treated")
    profile = make_profile(roi={"planned_control_share": {"CALL26": {"new": 0.2, "old": 0.5}}})
    found = examine(FrameScope(tables, profile)).responders
    assert [made.code for one in found for made in one.splits] == ["stratum"]
    assert found[0].qini is None
