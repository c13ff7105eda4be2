"""Campaign evaluation from tables: definitions, identities, bad input, and verdicts that turn with the data."""

import dataclasses
import html
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm_analysis import style
from crm_analysis.crm_roi import advice, associations, captions, cells, charts, frames
from crm_analysis.crm_roi.displays import effects, gate
from crm_analysis.crm_roi.evaluation import evaluate, member_lists
from crm_analysis.crm_roi.gate import overlaps
from crm_analysis.crm_roi.ledger import campaign_cost
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.language import activate
from tests.crm_roi.conftest import FrameScope, association, make_profile

ANNEX = (
    captions.results, effects.effects, captions.money, gate.checks, captions.ledger, captions.shared,
    captions.uncontrolled, captions.earlier,
)  # fmt: skip


def found(changes=None, *, profile=None, **kwargs):
    """The association evaluated after its frames were changed."""
    tables = association(**kwargs)
    for name, change in (changes or {}).items():
        tables[name] = change(tables[name])
        if tables[name] is None:
            del tables[name]
    return evaluate(FrameScope(tables, profile or make_profile()))


def call(evaluation):
    return next(r for r in (*evaluation.closed, *evaluation.running, *evaluation.earlier) if r.campaign_id == "CALL26")


def said(evaluation, profile=None):
    return claims(evaluation, profile=profile or make_profile())


def test_outcomes_equal_brute_force(scope, evaluated):
    evaluation = evaluated
    members = evaluation.members[evaluation.members["campaign_id"] == "CALL26"].set_index("customer_id")
    paid = scope.frames["transactions"]
    start, end = pd.Timestamp("2026-05-01"), pd.Timestamp("2026-05-01") + pd.Timedelta(days=70)
    inside = paid[(paid["occurred_at"] >= start) & (paid["occurred_at"] <= end)]
    before = paid[(paid["occurred_at"] < start) & (paid["occurred_at"] >= start - pd.Timedelta(days=365))]
    every = members.index
    assert members["revenue"].to_numpy() == pytest.approx(
        inside.groupby("customer_id")["amount"].sum().reindex(every, fill_value=0).to_numpy()
    )
    days = inside.groupby("customer_id")["occurred_at"].nunique().reindex(every, fill_value=0)
    assert (members["n_orders"] == days).all()
    assert members["revenue_before"].to_numpy() == pytest.approx(
        before.groupby("customer_id")["amount"].sum().reindex(every, fill_value=0).to_numpy()
    )
    assert len(members) == 600 and members.index.is_unique


def test_no_purchase_is_zero_and_everybody_assigned_counts(evaluated):
    result = call(evaluated)
    treated = result.gate.units[result.gate.units["arm"] == "treated"]
    control = result.gate.units[result.gate.units["arm"] == "control"]
    assert (treated["revenue"] == 0).any() and (control["revenue"] == 0).any()
    oracle = stats.ttest_ind(treated["margin"], control["margin"], equal_var=False)
    assert result.effect("margin").plain.p_value == pytest.approx(oracle.pvalue)
    assert result.roi.incremental_margin == pytest.approx(300 * (treated["margin"].mean() - control["margin"].mean()))
    assert (result.n_treated, result.n_control) == (300, 300)


def test_refunds_and_margin_come_off_and_discounts_are_not_deducted_twice():
    profile = make_profile(margin={"rate": 0.5})
    plain = found(profile=profile)
    assert call(plain).effect("margin").plain.difference == pytest.approx(
        0.5 * call(plain).effect("revenue").plain.difference
    )
    with_memo = found({"transactions": lambda t: t.assign(discount=5_000.0)}, profile=profile)
    assert call(with_memo).roi.net == pytest.approx(call(plain).roi.net)

    def refunded(t):
        back = t[(t["occurred_at"] >= "2026-05-01")].assign(kind="refund")
        return pd.concat([t, back.assign(transaction_id=back["transaction_id"] + "r")])

    assert call(found({"transactions": refunded})).effect("revenue").plain.difference == pytest.approx(0)


def test_list_prices_charge_the_discount_of_the_treated_once():
    profile = make_profile(margin={"rate": 0.4, "list_prices": True})
    result = call(
        found(
            {"transactions": lambda t: t.assign(discount=0.1 * t["amount"], amount=0.9 * t["amount"])}, profile=profile
        )
    )
    treated = result.gate.units[result.gate.units["arm"] == "treated"]
    control = result.gate.units[result.gate.units["arm"] == "control"]
    at_list = treated["revenue"].mean() / 0.9 - control["revenue"].mean() / 0.9
    assert result.roi.margin_per_treated == pytest.approx(0.4 * at_list)
    assert result.roi.cost == pytest.approx(3_000_000 + 0.1 * treated["revenue"].sum() / 0.9)


def test_a_campaign_belongs_to_the_period_in_which_its_window_closed(evaluated):
    evaluation = evaluated
    assert {r.campaign_id for r in evaluation.closed} == {"CALL26", "GALA26"}
    assert call(evaluation).closes_on == date(2026, 5, 1) + timedelta(days=70)
    assert [r.campaign_id for r in evaluation.running] == ["LATE26"]
    text = " ".join(said(evaluation).unknowns)
    assert "Autumn letter is too early to judge until 31 October 2026; 100 customers are being followed." in text


def test_a_running_programme_costs_a_branch_its_share(evaluated):
    ledger = evaluated.ledger
    shared = dataclasses.replace(ledger, lines=ledger.lines.assign(shared=True))
    cost = campaign_cost(shared, "CALL26", n_treated=0, n_scope=75, n_everywhere=300, contact_cost=None)
    assert (cost.actual, cost.in_scope, cost.charged) == (3_000_000, pytest.approx(750_000), 0)
    row = frames.portfolio_table(evaluated).set_index("Programme").loc["Autumn letter"]
    assert (row["Treated"], row["Held out"], row["Cost"]) == ("100", "0", "100,000\xa0won")


@pytest.mark.parametrize(
    ("margin", "low", "high", "words"),
    [
        (-10.0, -19.0, -1.0, "margin fell by"),
        (-10.0, -21.0, 1.0, "lower is within chance; only the net loss is settled"),
        (10.0, -1.0, 21.0, "higher is within chance; only the net loss is settled"),
        (10.0, 1.0, 19.0, "and brought in"),
    ],
)
def test_what_a_loss_did_to_margin_is_a_fact_only_outside_chance(evaluated, margin, low, high, words):
    result = call(evaluated)
    loss = {"net": -90.0, "net_low": -99.0, "net_high": -9.0}
    roi = dataclasses.replace(result.roi, incremental_margin=margin, incremental_low=low, incremental_high=high, **loss)
    turned = tuple(dataclasses.replace(r, roi=roi) if r is result else r for r in evaluated.closed)
    together = dataclasses.replace(
        evaluated.portfolio,
        n_campaigns=2,
        incremental_margin=margin,
        margin_low=low,
        margin_high=high,
        net=-90.0,
        low=-99.0,
        high=-9.0,
    )
    found = said(dataclasses.replace(evaluated, closed=turned, portfolio=together)).findings
    assert all(words in finding.sentence for finding in found if finding.key in ("crm_roi.net", "crm_roi.call26.roi"))
    assert ("brought in" in " ".join(finding.sentence for finding in found)) == (low > 0)


def test_branches_share_costs_and_members(scope, evaluated):
    whole = call(evaluated)
    parts = [call(evaluate(scope.of(branch=branch))) for branch in ("seoul", "gwangju")]
    assert sum(part.roi.cost for part in parts) == pytest.approx(whole.roi.cost)
    assert sum(part.n_treated for part in parts) == whole.n_treated


def test_costs_of_a_branch_stay_in_it():
    tables = association()
    tables["costs"] = tables["costs"].assign(branch=["seoul", None, None, None, None])
    scope = FrameScope(tables, make_profile())
    seoul = call(evaluate(scope.of(branch="seoul")))
    assert seoul.cost.charged == pytest.approx(1_800_000 + 1_200_000 * seoul.n_treated / 300)


def test_uncovered_outcomes_are_not_measurable_and_leave_both_arms(scope):
    evaluation = evaluate(scope.of(last_covered={"gwangju": date(2026, 6, 15)}))
    result = call(evaluation)
    assert result.gate.n_not_measurable == 300
    assert set(result.gate.units["branch"]) == {"seoul"}
    assert result.roi.cost == pytest.approx(3_000_000 * result.n_treated / 300)
    assert any("not measurable, not zero" in line for line in said(evaluation).unknowns)


def test_verdict_and_action_turn_with_the_data():
    earned, lost, unsettled = found(lift=40_000.0), found(lift=0.0, cost=6e6), found()
    assert [e.portfolio.verdict for e in (earned, lost, unsettled)] == ["earned", "lost", "unknown"]
    assert "**earned" in said(earned).verdict and "**lost" in said(lost).verdict
    assert "is not settled" in said(unsettled).verdict
    assert said(earned).actions[0].text.startswith("Repeat Thank&#45;you call")
    assert said(lost).actions[0].text.startswith(("Stop", "Run Thank&#45;you call only if"))
    assert said(unsettled).actions[0].text.startswith("Test Thank&#45;you call again with")
    assert said(earned).findings[0].tone == "good" and said(lost).findings[0].tone == "bad"


@pytest.mark.parametrize(
    ("net", "unplanned", "gained", "words"),
    [
        ((-5e6, -8e6, -2e6), 9e6, (-1e6, 3e6), "only without the unplanned cost"),
        ((-5e6, -8e6, -2e6), 6e6, (-1e6, 3e6), "whether it pays without is not settled"),
        ((-5e6, -8e6, -2e6), 0.0, (3e5, 9e5), "less than what it brings in, 2,000 won a member (1,000 to 3,000 won)"),
        ((-5e6, -8e6, -2e6), 0.0, (-3e5, 9e5), "Stop "),
    ],
    ids=["earned without it", "within chance without it", "brings in something", "nothing shown"],
)
def test_what_to_do_about_a_loss_is_no_more_than_its_interval_shows(evaluated, net, unplanned, gained, words):
    result = call(evaluated)
    low, high = gained
    roi = dataclasses.replace(
        result.roi, net=net[0], net_low=net[1], net_high=net[2], margin_per_treated=(low + high) / 2 / 300,
        incremental_low=low, incremental_high=high,
    )  # fmt: skip
    cost = dataclasses.replace(result.cost, unplanned=unplanned, charged=1e7, actual=1e7)
    step = advice.action(dataclasses.replace(result, roi=roi, cost=cost), evaluated, make_profile())
    text = html.unescape(step.text).replace("\xa0", " ")
    assert words in text and ("does not hang on that cost" in step.resting_on) == (unplanned > 0)


def test_in_korean_a_cost_is_held_against_the_margin_gained_and_brings_in_nothing_itself(evaluated):
    """It could be read as the margin that the cost brings."""
    result = call(evaluated)
    roi = dataclasses.replace(
        result.roi, net=-5e6, net_low=-8e6, net_high=-2e6, margin_per_treated=2_000.0, incremental_low=3e5,
        incremental_high=9e5,
    )  # fmt: skip
    cost = dataclasses.replace(result.cost, unplanned=0.0)
    activate("ko")
    try:
        text = advice.action(dataclasses.replace(result, roi=roi, cost=cost), evaluated, make_profile()).text
    finally:
        activate("en")
    assert "1인당 비용이 1인당 늘어난 공헌이익 2,000원(" in text.replace("\xa0", "") and "보다 적을 때만" in text


def test_a_branch_leaves_to_all_branches_only_what_ran_in_others_too(evaluated):
    """A campaign of one branch has no other page that could tell more of it."""
    result = call(evaluated)
    roi = dataclasses.replace(result.roi, net=1e5, net_low=-1e6, net_high=1.2e6)
    here = dataclasses.replace(evaluated, branch="seoul")
    told = {
        elsewhere: advice.action(
            dataclasses.replace(result, roi=roi, n_to_settle=1_200, elsewhere=elsewhere), here, make_profile()
        )
        for elsewhere in (True, False)
    }
    assert "by the result of all branches" in told[True].text
    assert "again with 1,200 customers" in told[False].text and "all branches" not in told[False].text
    assert "if it truly nets what it netted here" in told[False].resting_on


def test_a_chance_that_it_earned_says_what_was_believed_beforehand():
    finding = next(each for each in said(found()).findings if each.key.endswith(".roi"))
    assert "had every result been equally likely beforehand, the chance that it earned would be" in finding.sentence
    assert "flat prior" in finding.basis
    clear = next(each for each in said(found(lift=40_000.0)).findings if each.key.endswith(".roi"))
    assert "chance" not in clear.sentence and "prior" not in clear.basis


def test_without_control_there_is_no_return_but_what_would_settle_it(evaluated):
    evaluation = evaluated
    gala = next(r for r in evaluation.closed if r.campaign_id == "GALA26")
    assert gala.state == "not_causal" and gala.roi is None
    assert gala.uncontrolled.cost_per_treated == pytest.approx(30_000)
    assert gala.uncontrolled.own_lift_low == gala.uncontrolled.own_lift_high
    page = said(evaluation)
    assert "Of Gala nobody can say: nobody was held out." in page.verdict
    assert any(
        line.startswith("Whether Gala earned anything: nobody was held out. Next time hold out")
        for line in page.unknowns
    )
    assert not any(f.key == "crm_roi.gala26.roi" for f in page.findings + page.measures)


def test_the_forgotten_cost_is_named(evaluated):
    cost = call(evaluated).cost
    assert (cost.unplanned, cost.unplanned_category) == (300_000, "reward")
    assert cost.planned == pytest.approx(2_700_000)


def test_portfolio_adds_up_and_clusters_by_customer():
    def both(members):
        second = members[members["campaign_id"] == "CALL26"].assign(campaign_id="GALA26")
        return pd.concat([members[members["campaign_id"] == "CALL26"], second])

    evaluation = found({"campaign_members": both})
    first, second = evaluation.measured
    portfolio = evaluation.portfolio
    assert portfolio.net == pytest.approx(first.roi.net + second.roi.net)
    assert portfolio.cost == pytest.approx(first.roi.cost + second.roi.cost)
    assert portfolio.n_overlapping == 600
    # the same members twice: errors add, they do not average out
    assert portfolio.high - portfolio.net == pytest.approx(
        1.959964 * (first.roi.net_error + second.roi.net_error), rel=1e-5
    )


def test_overlap_equals_brute_force():
    rng = np.random.default_rng(4)
    start = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 200, 300), unit="D")
    members = pd.DataFrame(
        {
            "campaign_id": rng.choice(["A", "B", "C"], 300),
            "customer_id": rng.integers(0, 90, 300).astype(str),
            "arm": rng.choice(["treated", "control"], 300),
            "assigned_on": start,
            "window_end": start + pd.Timedelta(days=40),
        }
    ).drop_duplicates(["campaign_id", "customer_id"], ignore_index=True)
    brute = [
        any(
            other.customer_id == me.customer_id
            and other.campaign_id != me.campaign_id
            and other.arm == "treated"
            and other.assigned_on <= me.window_end
            and other.window_end >= me.assigned_on
            for other in members.itertuples()
        )
        for me in members.itertuples()
    ]
    assert 0 < sum(brute) < len(members)
    assert overlaps(members).tolist() == brute


def test_shared_costs_fall_in_their_months_and_in_no_return(evaluated):
    evaluation = evaluated
    assert evaluation.portfolio.shared == pytest.approx(900_000)

    def spread(costs):
        return costs.assign(useful_months=[None, None, None, None, 60.0], incurred_on=date(2025, 1, 1))

    share = found({"costs": spread}).portfolio.shared
    assert share == pytest.approx(900_000 * 92 / (60 * 365.2425 / 12), rel=1e-6)
    steps = frames.waterfall(evaluation)
    assert steps.loc[steps["kind"] == "step", "value"].sum() == pytest.approx(steps["value"].iloc[-1])


# bad input: a clear message, and the rest of the page alive


@pytest.mark.parametrize(
    ("net", "low", "high", "shared", "own", "together"),
    [
        (
            -9e6,
            -18e6,
            3e5,
            1e7,
            "Before shared systems and data, whether",
            "charged to the controlled programmes, **19.0 m won was lost",
        ),
        (2e7, 1.5e7, 2.5e7, 1e7, "**earned 20.0 m won", "10.0 m won was earned"),
        (1e7, 5e6, 1.5e7, 1e7, "**earned 10.0 m won", "it **is not settled**"),
        (0.0, -9e6, 9e6, 1e6, "Whether Thank-you call earned its cost **is not settled**", "it **is not settled**"),
    ],
    ids=["lost by the shared costs", "earned with them too", "earned before them", "not settled either way"],
)
def test_the_verdict_says_what_shared_costs_settle(evaluated, net, low, high, shared, own, together):
    portfolio = dataclasses.replace(evaluated.portfolio, net=net, low=low, high=high, shared=shared)
    found = said(dataclasses.replace(evaluated, portfolio=portfolio))
    verdict = html.unescape(found.verdict).replace("\xa0", " ")
    assert own in verdict and together in verdict
    measure = next(f for f in found.measures if f.key == "crm_roi.net_after_shared")
    assert measure.sentence in found.verdict and measure.value == net - shared
    assert ("before shared systems" in " ".join(f.sentence for f in found.measures)) == portfolio.settled_by_shared


def test_an_amount_stands_at_the_scale_of_its_interval():
    assert (
        cells.amount(898_000.0, 780_000.0, 1_010_000.0, "KRW").replace("\xa0", " ") == "0.90 m won (0.78 to 1.01 m won)"
    )
    assert cells.amount(-245.0, -3_515.0, 3_024.0, "KRW").replace("\xa0", " ") == "−245 won (−3,515 to 3,024 won)"
    assert cells.amount(1_200.0, None, None, "KRW") == "1,200\xa0won" and cells.amount(None, 1.0, 2.0, "KRW") == "–"


def test_control_smaller_than_30():
    def few(members):
        control = members.index[(members["arm"] == "control")][20:]
        return members.drop(control)

    profile = make_profile(roi={"planned_control_share": {"CALL26": 20 / 320}})
    evaluation = found({"campaign_members": few}, profile=profile)
    assert call(evaluation).state == "small_control"
    assert (
        "What Thank&#45;you call earned: 300 treated and 20 held out are too few here for a return."
        in said(evaluation).unknowns
    )


def test_sample_ratio_mismatch_blocks_the_return():
    def skewed(members):
        control = members.index[(members["arm"] == "control")][::2]
        return members.drop(control)

    profile = make_profile(roi={"planned_control_share": {"CALL26": 0.5}})
    evaluation = found({"campaign_members": skewed}, profile=profile)
    result = call(evaluation)
    assert result.state == "blocked" and result.roi is None
    page = said(evaluation)
    assert any("300 treated and 150 held out do not fit a planned share of 50" in line for line in page.unknowns)
    assert any("Find out how the list of Thank&#45;you call was split" in action.text for action in page.actions)


def test_strata_split_differently_block_the_return():
    def uneven(members):
        treated = (members["arm"] == "treated").to_numpy()
        return members.assign(stratum=np.where(treated & (np.arange(len(members)) % 4 < 3), "new", "old"))

    evaluation = found({"campaign_members": uneven})
    assert call(evaluation).state == "blocked"
    assert any("split every stratum alike next time" in line for line in said(evaluation).unknowns)


def test_an_unplanned_split_near_one_half_is_held_against_one_half():
    """9,463 against 7,681 must not pass for a planned 55:45."""
    from crm_analysis.crm_roi.gate import _sample_ratio

    check = _sample_ratio(9463, 7681, None, 0.001)
    assert check.status == "failed"
    assert check.numbers["planned"] == 0.5
    assert check.numbers["chi2"] == pytest.approx(185.2266, abs=5e-5)


def test_duplicate_assignment_counts_once(evaluated):
    evaluation = found({"campaign_members": lambda m: pd.concat([m, m.head(7)])})
    assert call(evaluation).n_treated == 300
    checks = gate.gate_table(evaluation)
    assert "7 assigned more than once, counted once" in set(checks["Found"])
    assert call(evaluation).roi.net == pytest.approx(call(evaluated).roi.net)


def test_customer_in_both_arms_leaves_both():
    def swapped(n):
        def change(members):
            copy = members.head(n)
            other = copy.assign(arm=np.where(copy["arm"] == "treated", "control", "treated"))
            return pd.concat([members, other])

        return change

    few = found({"campaign_members": swapped(6)})
    assert call(few).state == "measured"
    assert call(few).n_treated + call(few).n_control == 594
    assert "6 left out of both arms" in set(gate.gate_table(few)["Found"])
    many = found({"campaign_members": swapped(60)})
    assert call(many).state == "blocked"
    assert "What Thank&#45;you call earned: 60 members are in both arms, so no return is stated." in said(many).unknowns


def test_response_before_assignment_is_counted_and_not_used(evaluated):
    def early(members):
        members = members.assign(responded_on=pd.NaT)
        members.loc[members.index[:7], "responded_on"] = pd.Timestamp("2026-04-01")
        return members.assign(responded_on=members["responded_on"].dt.date)

    evaluation = found({"campaign_members": early})
    assert "7 responses dated before, not used" in set(gate.gate_table(evaluation)["Found"])
    assert call(evaluation).roi.net == pytest.approx(call(evaluated).roi.net)


def test_negative_costs_are_left_out_and_said():
    def credit(costs):
        return pd.concat([costs, costs.head(1).assign(cost_id="C9", amount=-500_000.0)])

    evaluation = found({"costs": credit})
    assert call(evaluation).roi.cost == pytest.approx(3_000_000)
    assert any(line.startswith("One cost line is negative (−500,000") for line in said(evaluation).unknowns)


def test_campaign_costs_without_campaign_are_said():
    def stray(costs):
        line = costs.head(1).assign(cost_id="C9", campaign_id=None, incurred_on=date(2026, 8, 1))
        typo = line.assign(cost_id="C10", campaign_id="CALL62", category="staff")
        return pd.concat([costs, line, typo])

    evaluation = found({"costs": stray})
    assert call(evaluation).roi.cost == pytest.approx(3_000_000)
    assert any(
        line.startswith("2 cost lines (3.60") and "name none that exists" in line for line in said(evaluation).unknowns
    )


def test_all_zero_outcomes():
    evaluation = found({"transactions": lambda t: t[t["occurred_at"] < "2026-05-01"]})
    assert call(evaluation).state == "no_outcomes"
    page = said(evaluation)
    assert page.verdict.startswith("**No return can be stated for 2026Q3**")
    assert any("nobody in either arm paid anything in the window" in line for line in page.unknowns)


def test_one_arm_lost_to_follow_up_blocks():
    tables = association()
    treated = tables["campaign_members"].query("arm == 'treated' and campaign_id == 'CALL26'")["customer_id"]
    lost = tables["customers"]["customer_id"].isin(treated.iloc[:60])
    tables["customers"].loc[lost, "branch"] = "gwangju"
    tables["customers"].loc[~lost, "branch"] = "seoul"
    evaluation = evaluate(FrameScope(tables, make_profile(), last_covered={"gwangju": date(2026, 6, 1)}))
    assert call(evaluation).state == "blocked"
    assert any("lost more members to follow-up" in line for line in said(evaluation).unknowns)


def test_cost_in_no_table():
    def gone(costs):
        return costs[costs["campaign_id"] != "CALL26"]

    estimated = call(found({"costs": gone}))
    assert estimated.cost.estimated and estimated.cost.actual == pytest.approx(300 * 1_500)
    nothing = found({"costs": gone, "campaigns": lambda c: c.drop(columns="contact_cost")})
    assert call(nothing).state == "no_cost"
    assert any(f.key == "crm_roi.call26.margin" for f in said(nothing).findings)
    without = found({"costs": lambda c: None})
    assert call(without).roi is not None
    assert any("the table `costs` is missing" in line for line in said(without).unknowns)


@pytest.mark.parametrize("table", ["campaigns", "campaign_members"])
def test_missing_tables_leave_a_page_that_says_so(table):
    evaluation = found({table: lambda t: None})
    page = said(evaluation)
    assert page.verdict.startswith("**What the programmes earn is not known here**")
    assert captions.portfolio(evaluation)["alt"] == captions.SILENT
    assert page.findings == () and len(page.unknowns) == 1
    assert charts.portfolio(frames.portfolio_dots(evaluation)) is None
    assert charts.waterfall(frames.waterfall(evaluation), currency="KRW") is None
    assert charts.plan_bars(frames.cost_plan(evaluation), currency="KRW") is None
    for make in (
        frames.portfolio_table,
        effects.effects_table,
        frames.money_table,
        gate.gate_table,
        frames.ledger_table,
        frames.uncontrolled_table,
        frames.shared_table,
        frames.earlier_table,
    ):
        assert make(evaluation).empty
    for table in ANNEX:
        assert table(evaluation) == {"frame": None}


def test_every_table_of_the_annex_has_its_title_and_the_shared_costs_only_in_all(evaluated):
    for table in ANNEX:
        told = table(evaluated)
        assert told["title"] and (told["note"] == "" or len(told["frame"]))
    assert captions.shared(dataclasses.replace(evaluated, branch="a"))["frame"] is None


def test_a_period_without_campaigns():
    evaluation = found({"campaigns": lambda c: c[c["campaign_id"] == "LATE26"]})
    assert said(evaluation).verdict == (
        "**No programme's outcome window closed in 2026Q3**; the first result is due on 31 October 2026."
    )
    nothing = found({"campaigns": lambda c: c.head(0)})
    assert said(nothing).verdict == "**No programme closed in 2026Q3 and none is running.**"


def test_no_customer_reaches_a_table_or_a_sentence(evaluated):
    evaluation = evaluated
    page = said(evaluation)
    texts = [page.verdict, *page.unknowns, *(f.sentence for f in page.findings), *(a.text for a in page.actions)]
    for make in (frames.portfolio_table, effects.effects_table, gate.gate_table, frames.ledger_table):
        texts += make(evaluation).astype(str).to_numpy().ravel().tolist()
    assert not any("D0" in text for text in texts)
    assert set(member_lists(evaluation)) == {"call26.roi", "gala26.break_even"}


def test_names_from_data_are_inert():
    evaluation = found({"campaigns": lambda c: c.assign(name="<script>alert(1)</script>")})
    page = said(evaluation)
    assert "<script>" not in page.verdict + "".join(f.sentence for f in page.findings)


def test_best_customers_of_a_year_earlier_fall_back_by_themselves():
    rng = np.random.default_rng(5)
    rows = [
        (
            f"D{i:04d}",
            "seoul",
            pd.Timestamp("2024-01-02") + pd.Timedelta(days=int(day)),
            float(rng.gamma(1, 30_000)),
            "gift",
        )
        for i in range(600)
        for day in rng.integers(0, 990, rng.poisson(6))
    ]
    gifts = pd.DataFrame(rows, columns=["customer_id", "branch", "occurred_at", "amount", "kind"])
    scope = FrameScope(
        association() | {"transactions": gifts.assign(transaction_id=[f"T{i}" for i in gifts.index])}, make_profile()
    )
    falls = associations.past_value_fall(scope, evaluate(scope)).set_index("group")
    assert falls.loc["year_before", "n"] == 100
    assert falls.loc["year_before", "after"] < 0.8 * falls.loc["year_before", "before"]
    assert falls.loc["year_before", "high"] < 0, "beyond chance"
    assert charts.regression(falls.reset_index(), currency="KRW") is not None
    told = captions.regression(falls.reset_index(), evaluate(scope))
    between = style.interval(falls.loc["year_before", "low"], falls.loc["year_before", "high"], "money", "KRW")
    assert f"change {between}" in told["how_to_read"] and between in told["table"].to_numpy()


def test_what_a_list_did_by_itself_has_the_interval_of_its_paired_change(evaluated, scope):
    gala = next(r for r in evaluated.closed if r.campaign_id == "GALA26").gate.units
    falls = associations.past_value_fall(scope, evaluated).set_index("group")
    paired = stats.ttest_rel(gala["margin"], gala["margin_before"] * 71 / 365).confidence_interval()
    assert tuple(falls.loc["members", ["low", "high"]]) == pytest.approx((paired.low, paired.high))


def test_a_list_of_which_one_member_left_nearly_all_tells_no_amounts():
    """Its mean would tell the gift, here as in the table of programmes without control."""

    def one_giver(rows):
        gift = (rows["customer_id"] == "D0000") & (rows["occurred_at"] >= "2026-05-01")
        first = rows.index[rows["customer_id"] == "D0000"][:1]
        rows.loc[first, "occurred_at"] = pd.Timestamp("2026-05-20")
        rows.loc[first, "amount"] = 9e9
        return rows[~gift | rows.index.isin(first)]

    tables = association()
    scope = FrameScope(tables | {"transactions": one_giver(tables["transactions"].copy())}, make_profile())
    evaluation = evaluate(scope)
    assert any(result.state == "not_causal" for result in evaluation.closed)
    falls = associations.past_value_fall(scope, evaluation)
    assert falls.empty and "may be shown" in captions.regression(falls, evaluation)["alt"]


def test_complaint_recovery_counts_those_who_paid_again():
    tables = association()
    received = pd.Timestamp("2025-12-01")
    cases = pd.DataFrame(
        {
            "case_id": [f"V{i}" for i in range(200)],
            "customer_id": [f"D{i:04d}" for i in range(200)],
            "branch": ["seoul"] * 200,
            "received_at": received,
            "kind": "complaint",
            "resolved_at": [received + pd.Timedelta(days=2 if i < 100 else 30) for i in range(200)],
        }
    )
    scope = FrameScope(tables | {"cases": cases}, make_profile())
    groups = associations.complaint_recovery(scope).set_index("group")
    paid = tables["transactions"]
    window = paid[(paid["occurred_at"] > received) & (paid["occurred_at"] <= received + pd.Timedelta(days=180))]
    quick = {f"D{i:04d}" for i in range(100)} & set(window["customer_id"])
    assert groups.loc["quick", "share"] == pytest.approx(len(quick) / 100)
    assert list(groups["n"]) == [100, 100]
    few = cases[~cases["customer_id"].isin(sorted(quick)[3:])]
    left = associations.complaint_recovery(FrameScope(tables | {"cases": few}, make_profile()))
    assert left["group"].to_list() == ["slow"], "of the quick ones only three paid again: their share would tell"
    assert associations.complaint_recovery(FrameScope(tables, make_profile())).empty
