"""The chapter's sentences turn when the data turn."""

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis import style
from crm_analysis.customer_value import captions, charts, disclosure, future, holdout, listing, populations
from crm_analysis.customer_value.assessment import CustomerValue, Slipping, assess
from crm_analysis.customer_value.concentration import concentration
from crm_analysis.customer_value.displays import holdout as shown_holdout
from crm_analysis.customer_value.displays import tiers as shown_tiers
from crm_analysis.customer_value.sentences import claims, findings, outlook
from crm_analysis.estimators.proportions import wilson
from crm_analysis.value_models import promises

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NO_BREAK = "\N{NO-BREAK SPACE}"
START = pd.Timestamp(2023, 10, 1)
END = date(2026, 9, 30)
DAYS = 1096


def buyers(n: int = 900, seed: int = 1, parameters: tuple[float, ...] = (0.7, 60.0, 0.6, 3.0)) -> pd.DataFrame:
    """A log drawn from BG/NBD in days with Gamma spend."""
    r, alpha, a, b = parameters
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        t, rate, drop = rng.uniform(0, 700), rng.gamma(r, 1 / alpha), rng.beta(a, b)
        level = 1 / rng.gamma(3.0, 1 / 100)
        while t < DAYS:
            rows.append((f"c{i}", START + pd.Timedelta(days=int(t)), round(rng.gamma(4.0, level * 10), 2)))
            if t > 0 and rng.random() < drop and rows[-2:-1] and rows[-2][0] == f"c{i}":
                break
            t += rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def clockwork(n: int = 300, every: int = 30) -> pd.DataFrame:
    """Everybody buys by the clock, at a pace of their own: the last period says all there is to say."""
    rows = [
        (f"c{i}", START + pd.Timedelta(days=day), 10.0 + i % 7)
        for i in range(n)
        for day in range(i % every, DAYS, every * (1 + i % 4))
    ]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def once(n: int = 2000, again: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    days = rng.integers(0, DAYS, n)
    rows = [(f"c{i}", START + pd.Timedelta(days=int(day)), 20.0) for i, day in enumerate(days)]
    rows += [(f"c{i}", START + pd.Timedelta(days=min(int(days[i]) + 200, DAYS - 1)), 20.0) for i in range(again)]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def verdict(state: CustomerValue) -> str:
    """The verdict with ordinary blanks."""
    return claims(state).verdict.replace(NO_BREAK, " ")


def finding(state: CustomerValue, key: str):
    said = claims(state)
    return next(item for item in (*said.findings, *said.measures) if item.key == f"customer_value.{key}")


def test_buyers_drawn_from_the_model_are_foreseen_by_it(scope_of):
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    assert (state.outlook.way, state.outlook.why) == ("model", "")
    said = claims(state)
    assert "it beat the rules of thumb" in said.verdict
    value = finding(state, "value_next_12m")
    assert "**it beats the rules of thumb**" in value.sentence
    assert "without a running commitment" not in value.sentence, "nobody here has one"
    thumbs = [rule for rule in state.outlook.holdout.rules if rule.key not in holdout.MODELS]
    errs_less = min(rule.mean_absolute_error for rule in thumbs) < state.outlook.holdout.model.mean_absolute_error
    assert ("By the mean absolute error" in shown_holdout.rules(state)["note"]) == errs_less
    last = state.profits.customers["margin"].sum()
    assert f"The last twelve months brought {style.money(last, 'EUR')}" in value.sentence
    assert value.low < value.value < value.high
    parts = state.outlook.customers.groupby("part")["expected_value"].sum()
    assert parts.sum() == pytest.approx(state.outlook.value) and "regular" not in parts.index


def test_a_forecast_that_beats_the_rules_and_is_far_off_is_planned_with_by_its_interval(scope_of):
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    check = state.outlook.holdout

    def said(total: float) -> str:
        rules = [replace(rule, total=total) if rule.key in holdout.MODELS else rule for rule in check.rules]
        tried = replace(check, rules=tuple(rules))
        foreseen = replace(state, outlook=replace(state.outlook, holdout=tried))
        return finding(foreseen, "value_next_12m").sentence.replace(NO_BREAK, " ")

    far = "**it beats the rules of thumb**, yet was 20 % out. Plan with the interval, not with its middle."
    assert far in said(0.8 * check.actual) and far in said(1.2 * check.actual)
    assert "**it beats the rules of thumb**, plan with it." in said(0.95 * check.actual)
    check = state.outlook.holdout
    assert check.model.total == pytest.approx(check.actual, rel=0.15)
    rules = tuple(replace(rule, better_error=np.inf) if rule.key in holdout.MODELS else rule for rule in check.rules)
    by_chance = replace(state, outlook=replace(state.outlook, why="lost", holdout=replace(check, rules=rules)))
    assert "**by no more than chance would make it**" in finding(by_chance, "value_next_12m").sentence


def test_the_months_ahead_say_that_those_gone_are_counted(scope_of):
    """Whoever is dormant or lost is in the forecast; a sentence on today's customers would leave them out."""
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    value, here = finding(state, "value_next_12m"), finding(state, "customers")
    gone = state.status.loc[state.status["status"].isin(["dormant", "lost"]), "customer_id"]
    counted = state.outlook.customers["customer_id"]
    assert value.n == len(counted) > here.value and counted.isin(gone).any()
    assert "known so far, still here or not," in value.sentence and "still here or not" in verdict(state)


def test_an_interval_says_of_what_it_is(scope_of):
    """The interval that follows a finding says in plain words what it is the interval of."""
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    for item in claims(state).findings:
        if item.low is not None:
            assert "interval of the " in item.basis, item.key
            assert not any(name in item.basis for name in ("Wilson", "bootstrap", "delta method")), item.key


def test_clockwork_is_not(scope_of):
    """Where everybody repeats the last period, the model does not beat it, and the page says so and does without."""
    state = assess(scope_of({"transactions": clockwork()}))
    assert (state.outlook.way, state.outlook.why) == ("class", "lost")
    assert "does not beat a rule of thumb" in verdict(state)
    assert "**it does not beat the best rule of thumb**" in finding(state, "value_next_12m").sentence


@pytest.mark.parametrize("years", [1, 3])
def test_steady_custom_is_expected_to_go_on_however_long_it_has_been_known(scope_of, years):
    """Recent experience counts purchases over months as long as those held out, not over the whole history."""
    log = clockwork().loc[lambda frame: frame["occurred_at"] >= START + pd.DateOffset(years=3 - years)]
    state = assess(scope_of({"transactions": log}, value={"min_repeat_customers": 500, "holdout_months": 4}))
    assert (state.outlook.way, state.outlook.why) == ("class", "few")
    assert state.outlook.value == pytest.approx(float(state.profits.customers["margin"].sum()), rel=0.15)


@pytest.mark.parametrize(("log", "way"), [(buyers, "model"), (clockwork, "class")])
def test_the_horizon_is_the_profiles(scope_of, log, way):
    """Twice as far ahead brings more; where nobody drops out, twice as much. The page says how far."""
    near, far = (assess(scope_of({"transactions": log()}, value={"horizon_months": n})) for n in (12, 24))
    assert near.outlook.way == far.outlook.way == way
    ratio = far.outlook.value / near.outlook.value
    assert 1.2 < ratio < 2.0 if way == "model" else ratio == pytest.approx(2.0)
    value = finding(far, "value_next_12m")
    assert "over the next 24 months" in value.sentence and value.label == "Value, next 24 months"
    assert "over the next 24 months" in verdict(far) and "over the next 12 months" in verdict(near)
    assert listing.outlook_table(far).columns[-2] == "Expected margin, next 24 months"


def test_promises_count_in_proportion_to_the_horizon():
    ids = [f"c{n}" for n in range(10)]
    then = pd.DataFrame({"customer_id": ids, "status": "active", "committed": True, "amount_a_year": 120.0})
    earned = pd.DataFrame({"customer_id": ids, "gross": 90.0, "margin": 90.0, "regular": 90.0, "one_off": 10.0})
    year, half = (promises.regular(then, then, earned, years) for years in (1.0, 0.5))
    assert year[0]["expected_value"].sum() == pytest.approx(10 * (90.0 + 0.75 * 10.0))
    assert half[0]["expected_value"].sum() == pytest.approx(year[0]["expected_value"].sum() / 2)
    assert half[2] == pytest.approx(year[2] / 4)


def test_beyond_a_year_only_what_is_left_of_the_promises_counts():
    """A fifth of the promises ended over the year: the second year is worth four fifths of the first, and so on."""
    ids = [f"c{n}" for n in range(10)]
    then = pd.DataFrame({"customer_id": ids, "status": "active", "committed": True, "amount_a_year": 120.0})
    now = then.iloc[2:]
    earned = pd.DataFrame({"customer_id": ids, "gross": 108.0, "margin": 108.0, "regular": 108.0, "one_off": 0.0})
    value = {years: promises.regular(now, then, earned, years)[0]["expected_value"].sum() for years in (1.0, 2.0, 3.5)}
    assert value[1.0] == pytest.approx(8 * 108.0)
    assert value[2.0] == pytest.approx(8 * 108.0 * (1 + 0.8))
    assert value[3.5] == pytest.approx(8 * 108.0 * (1 + 0.8 + 0.8**2 + 0.5 * 0.8**3))


def test_promises_beyond_a_year_move_between_standings():
    """Half of those up to date fall overdue within a year and pay half; of the overdue none is left after one."""
    ids = [f"c{n}" for n in range(6)]
    then = pd.DataFrame({"customer_id": ids, "committed": True, "amount_a_year": 100.0})
    then["status"] = ["active"] * 4 + ["overdue"] * 2
    now = then.iloc[:4].assign(status=["active", "active", "overdue", "overdue"])
    earned = pd.DataFrame({"customer_id": ids, "one_off": 0.0, "regular": [100.0] * 4 + [50.0] * 2})
    earned = earned.assign(gross=earned["regular"], margin=earned["regular"])
    frame, _yields, _variance = promises.regular(now, then, earned, 2.0)
    worth = frame.set_index("customer_id")["expected_value"]
    assert worth["c0"] == pytest.approx(100.0 + 0.5 * 100.0 + 0.5 * 50.0)
    assert worth["c2"] == pytest.approx(50.0)
    moves = promises.moved(then.iloc[:4].assign(standing="up to date"), now.assign(now=promises.standing_of(now)))
    assert moves.loc["up to date"].to_list() == moves.loc["dormant"].to_list() == [0.5, 0.5, 0.0]


def test_a_season_does_not_pass_for_a_year(scope_of):
    """Everybody buys three times in the autumn and never else: the year to come is three purchases, not nine."""
    days = [pd.Timestamp(year, month, 10) for year in (2023, 2024, 2025) for month in (10, 11, 12)]
    log = pd.DataFrame(
        [(f"c{i}", day + pd.Timedelta(days=i % 15), 10.0) for i in range(200) for day in days],
        columns=["customer_id", "occurred_at", "amount"],
    )
    settings = {"min_repeat_customers": 500, "holdout_months": 4}
    state = assess(scope_of({"transactions": log}, period="2025Q4", value=settings))
    assert (state.outlook.way, state.outlook.why) == ("class", "few")
    assert state.outlook.value == pytest.approx(200 * 3 * 10.0, rel=0.05)
    carried_on = [gap for gap in claims(state).unknowns if "rather too high" in gap]
    assert bool(carried_on) is (state.outlook.holdout.months < state.outlook.months)
    money = listing.money_table(state).set_index("Item")["Last twelve months"]
    assert money["Margin after refunds"].endswith("6,000")
    assert "Cost of goods and handling" not in money.index  # the margin is all that is paid
    assert set(money[["Cost of contacts", "Cost to serve", "Profit"]]) == {style.DASH}  # no cost is recorded


def test_one_time_buyers_are_called_that(scope_of):
    state = assess(scope_of({"transactions": once()}))
    assert state.outlook.why == "one_time"
    assert verdict(state).startswith(
        "**98 % of the customers whose first purchase is at least 365 days old never came back** ("
    )
    sure = state.outlook.one_time
    assert f"{sure.low * 100:.1f} to {sure.high * 100:.1f} %; n {sure.n:,}): who comes next decides" in verdict(state)
    treated = listing.segment_table(state).set_index("Segment")["What to do"]
    assert treated["Newcomers"] == "try for a second purchase, at low cost", (
        "two contacts would cost more than they bring"
    )
    assert "nothing to work with" in finding(state, "value_next_12m").sentence
    assert next(each for each in claims(state).measures if each.key.endswith("never_back")).value > 0.9


def test_who_came_lately_has_not_had_the_time_to_come_back(scope_of):
    """Of sixty known for over a year half came back; the thousand of the last months leave that share as it is."""
    old = pd.DataFrame({"n_repeat_orders": [0, 1] * 30, "first_on": date(2025, 1, 1)}).assign(observed_to=END)
    lately = pd.DataFrame({"n_repeat_orders": [0] * 1000, "first_on": date(2026, 6, 1)}).assign(observed_to=END)
    assert future.never_back(pd.concat([old, lately]), 365).share == 0.5
    assert math.isnan(future.never_back(lately, 365).share)
    log = clockwork(60)
    new = [(f"n{i}", pd.Timestamp(2026, 8, 1 + i % 28), 10.0) for i in range(2000)]
    grown = pd.concat([log, pd.DataFrame(new, columns=log.columns)])
    assert assess(scope_of({"transactions": grown})).outlook.why == "few"


def luck(n: int = 1000, years: int = 3) -> pd.DataFrame:
    """Everybody is alike: what one of them gives in a year is luck, and so is who was best."""
    rng = np.random.default_rng(8)
    days = [START + pd.Timedelta(days=365 * year + 100) for year in range(3 - years, 3)]
    rows = [(f"c{i}", day, round(rng.lognormal(4.0, 1.0), 2)) for i in range(n) for day in days]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def test_the_best_are_valued_by_a_year_that_did_not_choose_them(scope_of):
    """Among equals the best tenth are worth as much as any tenth in the year to come: their good year was luck."""
    state = assess(scope_of({"transactions": luck()}))
    said = finding(state, "top_tenth_share")
    anybody = state.concentration.total / state.concentration.n
    assert said.stake == pytest.approx(anybody * 100 / 10, rel=0.2)
    assert said.stake < state.concentration.top_share * state.concentration.total / 10 / 2
    assert "By what the best tenth of a year ago have brought since" in said.sentence
    assert style.money(said.stake, "EUR") in said.sentence


def test_those_overdue_are_valued_by_what_such_a_list_brought_since():
    """Overdue brought 300 of 1,000 since, the others 600 of 1,000: of a list worth 5,000 a year, 1,500 is at most lost.

    That the year that chose them flatters both by as much drops out.
    """
    followed = pd.DataFrame({"committed": False, "overdue": [True] * 40 + [False] * 40, "worth": 25.0, "since": 7.5})
    followed.loc[~followed["overdue"], "since"] = 15.0
    some = wilson(20, 40)
    late = Slipping(pd.DataFrame({"committed": [False, True], "worth": [5000.0, 7.0]}), 0.0, some, some, followed)
    assert late.at_most(committed=False) == pytest.approx(1500.0)
    assert late.at_most(committed=True) is None
    assert replace(late, followed=followed[:60]).at_most(committed=False) is None
    alike = followed.assign(since=10.0)
    assert replace(late, followed=alike).at_most(committed=False) is None


def test_the_share_collected_keeps_within_its_bounds():
    low, high = promises.Yield("dormant", 50, 1000.0, 9.0, 0.009, 0.0087).interval
    assert 0 < low < 0.009 < high < 0.1
    low, high = promises.Yield("up to date", 50, 1000.0, 990.0, 0.99, 0.01).interval
    assert 0.9 < low < 0.99 < high < 1
    assert promises.Yield("up to date", 50, 1000.0, 1100.0, 1.1, 0.1).interval == pytest.approx((0.92, 1.31), abs=0.01)
    assert all(math.isnan(end) for end in promises.Yield("dormant", 50, 1000.0, 0.0, 0.0, 0.0).interval)


def test_without_a_year_before_nothing_is_said_of_what_losing_the_best_would_cost(scope_of):
    said = finding(assess(scope_of({"transactions": luck(years=1)})), "top_tenth_share")
    assert said.stake == 0.0 and "losing" not in said.sentence


def test_what_was_spent_in_vain_is_the_most_that_can_be_saved(scope_of):
    """It is a bound, not an estimate: from nothing to all that contacts of last year's list cost."""
    log = buyers(400)
    state = assess(scope_of({"transactions": log, "contacts": contacts_of(log, 1e3)}, margin={"rate": 0.5}))
    action = next(each for each in claims(state).actions if each.key == "customer_value.cheapest_channel")
    below = state.profits.customers[state.profits.customers["profit"] < 0]
    vain = np.minimum(below["contact_cost"], -below["profit"]).sum()
    assert (action.low, action.value, action.high) == pytest.approx((0.0, vain / 2, vain)) and vain > 0
    method = (ROOT / "book" / "methods" / "customer_value.md").read_text(encoding="utf-8")
    assert "a range, from nothing to all of it, and shows its middle" in method and "carries no interval" not in method


def test_a_branch_too_small_for_a_model_says_so(scope_of):
    state = assess(scope_of({"transactions": buyers(120)}, value={"min_repeat_customers": 500}))
    assert (state.outlook.way, state.outlook.why) == ("class", "few")
    assert "fewer than the 500 a model needs here" in finding(state, "value_next_12m").sentence


def test_too_few_customers_are_not_shown(scope_of):
    state = assess(scope_of({"transactions": clockwork(3)}))
    said = claims(state)
    assert said.verdict == (
        "There are fewer than 5 customers in this branch: their figures are in those of all branches only."
    )
    assert not said.findings and not said.measures and not said.actions


def leaving(year: int) -> pd.DataFrame:
    """Two hundred regular buyers, of whom half stop at the end of May: a quarter by a pace fast enough to be missed."""
    log = clockwork(200).loc[lambda frame: frame["occurred_at"] >= START]
    half = log["customer_id"].str[1:].astype(int) % 2 == 0
    return log[~(half & (log["occurred_at"] > pd.Timestamp(year, 5, 31)))]


def test_the_verdict_turns_when_customers_stay_or_leave(scope_of):
    rule = {"dormant_days": 60, "lost_days": 400}
    steady = assess(scope_of({"transactions": clockwork(200)}, status=rule))
    assert verdict(steady).startswith("100.0 % of the customers of a year ago are still here: no change beyond noise")
    falling = assess(scope_of({"transactions": leaving(2026)}, status={"dormant_days": 100, "lost_days": 400}))
    assert verdict(falling).startswith("**We lose customers faster: only 75.0 % of those of a year ago")
    assert finding(falling, "retention").tone == "bad"
    assert finding(falling, "retention").change.p < 0.001


def test_a_silent_branch_loses_nobody_and_the_verdict_says_since_when(scope_of):
    log = clockwork(200).assign(branch="x")
    quiet = log[log["occurred_at"] <= pd.Timestamp(2026, 5, 31)]
    state = assess(scope_of({"transactions": quiet}, branch="x", last_day={"x": date(2026, 5, 31)}))
    assert state.kept.share == 1.0
    assert verdict(state).startswith("**Nothing has been reported since 31 May 2026.** Up to then 100.0 %")


def contacts_of(log: pd.DataFrame, cost: float) -> pd.DataFrame:
    who = log.loc[log["occurred_at"] > pd.Timestamp(2025, 9, 30), "customer_id"].unique()
    return pd.DataFrame({"customer_id": who, "branch": "x", "occurred_at": pd.Timestamp(2026, 6, 1), "cost": cost})


def test_the_verdict_turns_with_what_contacts_cost(scope_of):
    """Contacts for pennies, for more than many of them bring, for more than all of them bring together."""
    log = buyers(400)
    recent = log[log["occurred_at"] > pd.Timestamp(2025, 9, 30)]
    margin_each = 0.5 * recent["amount"].sum() / recent["customer_id"].nunique()
    said = []
    for cost in (0.01, 0.6 * margin_each, 1.5 * margin_each):
        state = assess(scope_of({"transactions": log, "contacts": contacts_of(log, cost)}, margin={"rate": 0.5}))
        said.append(verdict(state))
    assert "Hardly any of the customers costs more than they bring" in said[0]
    assert "cost more than they bring and take away" in said[1]
    assert "customers cost more than they brought" in said[2]


def test_regular_transfers_are_valued_through_their_commitment(scope_of):
    """A monthly giver is worth what was collected per promise last year, not what a purchase model makes of dues."""
    people = [f"r{i}" for i in range(120)]
    commitments = pd.DataFrame(
        {
            "commitment_id": people,
            "customer_id": people,
            "branch": "x",
            "started_on": date(2024, 1, 1),
            "amount": 10.0,
            "cycle_months": 1,
            "ended_on": pd.to_datetime([date(2026, 1, 10) if i < 24 else None for i in range(120)]),
        }
    )
    rows = [
        (person, month, 10.0, "dues", person)
        for i, person in enumerate(people)
        for month in pd.date_range("2024-01-05", "2026-01-05" if i < 24 else "2026-09-05", freq="MS")
        + pd.Timedelta(days=4)
    ]
    log = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind", "commitment_id"])
    state = assess(scope_of({"transactions": log, "commitments": commitments}))
    collected = (96 * 12 + 24 * 4) * 10.0 / (120 * 120.0)
    assert state.outlook.yields[0].ratio == pytest.approx(collected, rel=0.02)
    assert state.outlook.regular == pytest.approx(96 * 120 * state.outlook.yields[0].ratio)
    assert state.outlook.one_off == 0.0
    assert state.kept.share == pytest.approx(0.8)


def test_every_figure_and_table_of_the_page_can_be_made(scope_of):
    state = assess(scope_of({"transactions": buyers(400), "contacts": contacts_of(buyers(400), 20.0)}))
    assert charts.profit_curve(listing.curve(state), who="customers") is not None
    assert charts.segment_map(listing.segments(state)) is not None
    assert charts.foreseen(listing.classes(state)) is not None
    shares = listing.segments(state).groupby("measure")["share"].sum()
    assert shares.to_list() == pytest.approx([1.0, 1.0])
    for words in (captions.profit_curve, captions.segments, captions.holdout):
        assert set(words(state)) == {"title", "alt", "how_to_read", "table"}
    for table in (
        captions.statuses,
        captions.money,
        captions.outlook,
        captions.cuts,
        captions.parameters,
    ):
        assert not table(state)["frame"].empty
    assert captions.branches(state)["frame"] is None, "one branch alone stands beside none"
    assert captions.yields(state)["frame"] is None, "nobody has a commitment"
    lists = listing.lists(state)
    assert set(lists) == {"below_cost", "slipping_away", "most_valuable"}
    assert len(lists["below_cost"]) == round(state.concentration.below_cost.share * state.concentration.n)
    assert (lists["below_cost"]["profit"] < 0).all()


def test_a_curve_that_ends_at_its_top_names_the_best_tenth_instead():
    def named(top: float) -> str:
        curve = pd.DataFrame({"share_of_customers": [0, 0.1, 0.5, 1], "share_of_profit": [0, 0.59, top, 1.0]})
        return charts.profit_curve(curve, who="customers").axes[0].texts[0].get_text().replace(NO_BREAK, " ")

    assert named(0.9) == "59.0 % of the profit with the best 10 % of customers"
    assert named(1.2) == "120.0 % of the profit with the best 50 % of customers"


def test_an_empty_page_draws_as_plain_sentences(scope_of):
    state = assess(scope_of({"transactions": clockwork(3)}))
    assert charts.profit_curve(listing.curve(state), who="customers") is None
    assert charts.segment_map(listing.segments(state)) is None
    assert charts.foreseen(listing.classes(state)) is None
    assert listing.cut_table(state).empty and listing.rule_table(state).empty


def test_small_counts_are_suppressed_with_their_complement(scope_of):
    state = assess(scope_of({"transactions": clockwork(20)}))
    shown = disclosure.counts(state, pd.Series({"a": 3, "b": 0, "c": 9, "d": 40}))
    assert shown.to_dict() == {"a": "< 5", "b": "0", "c": "withheld", "d": "40"}
    assert disclosure.amount_of(state, pd.Series([1000.0] + [1.0] * 20)) == "withheld"
    assert disclosure.amount_of(state, pd.Series([10.0] * 20)) == "€200"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(12083.4, 4, "12,080"), (0.04567, 2, "0.046"), (8.692, 4, "8.692"), (math.nan, 2, "–"), (0.0, 2, "0")],
)
def test_parameters_are_written_out(value, digits, shown):
    assert listing._significant(value, digits) == shown


def test_a_share_that_would_tell_few_customers_is_not_shown(scope_of):
    """Three of sixty left: neither sentence nor number of the finding gives 95 %."""
    log = clockwork(60)
    gone = log["customer_id"].isin(["c0", "c4", "c8"]) & (log["occurred_at"] > pd.Timestamp(2026, 2, 1))
    state = assess(scope_of({"transactions": log[~gone]}, status={"dormant_days": 150, "lost_days": 400}))
    assert (state.retention.n - state.retention.kept, state.retention.n) == (3, 60)
    said = finding(state, "retention")
    assert said.value is said.low is said.high is said.change is None
    assert f"> 91.7{NO_BREAK}%" in said.sentence and "> 91.7 %" in verdict(state)
    assert "95.0" not in said.sentence + verdict(state)


def test_purchase_classes():
    named = holdout.purchase_class(pd.Series([0, 1, 2, 3, 4, 5, 9, 10, 400]))
    assert named.to_list() == ["0", "1", "2", "3-4", "3-4", "5-9", "5-9", "10+", "10+"]


def test_the_model_in_use_is_the_fitted_one(scope_of):
    state = assess(scope_of({"transactions": buyers()}))
    fit = state.outlook.fit
    assert holdout.MODELS[state.outlook.holdout.model.key](state.outlook.histories).values == fit.values
    table = listing.parameter_table(state)
    assert set(table.iloc[:, 1]) == {*fit.names, "p", "q", "gamma"}


@pytest.mark.parametrize(("log", "digits"), [(buyers, 2), (once, 4)])
def test_errors_of_rare_purchases_have_digits_enough(scope_of, log, digits):
    table = listing.rule_table(assess(scope_of({"transactions": log()})))
    assert {len(cell.partition(".")[2]) for cell in table["Root mean squared error"].iloc[:-1]} == {digits}


def test_whom_each_number_counts_adds_up_and_hides_what_is_small(scope_of):
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    table = captions.populations(state)["frame"].set_index("Counted in")
    everybody = int(table.loc["Status", "Customers"].replace(",", ""))
    assert everybody == len(state.status)
    told = table[~table.isin(["withheld", "< 5"]).any(axis=1)]
    inside = told["Customers"].str.replace(",", "").astype(int)
    assert (inside + told["Left out"].str.replace(",", "").astype(int) == everybody).all()
    assert inside["Still here"] == state.n and inside["Segments"] == len(state.scores)
    few = replace(state, scores=state.scores.iloc[3:])
    hidden = captions.populations(few)["frame"].set_index("Counted in").loc["Segments"]
    assert hidden["Left out"] == "< 5" and hidden["Customers"] == "withheld"


def overdue_a_year_ago(state: CustomerValue, late: tuple[int, int], others: tuple[int, int]) -> CustomerValue:
    """The state where so many of so many who were overdue a year ago stayed, and so many of the others."""
    kept = [n < part for part, whole in (late, others) for n in range(whole)]
    base = pd.DataFrame({"status": ["overdue"] * late[1] + ["active"] * others[1], "kept": kept, "branch": "x"})
    slipping = replace(state.slipping, recovers=wilson(*late), stays=wilson(*others))
    return replace(state, slipping=slipping, retention=replace(state.retention, customers=base.assign(committed=False)))


def test_what_is_said_of_those_overdue_a_year_ago_follows_the_interval_and_hides_the_few(scope_of):
    """Sizes and interval where the gap is beyond noise; nothing of the shares where it is not, or where one of them is
    of too few, since the size, the other share and the gap would tell it. In all, one branch's few are told likewise.
    """
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))

    def said(given: CustomerValue) -> str:
        return finding(given, "slipping_away").sentence.replace(NO_BREAK, " ")

    clear = overdue_a_year_ago(state, (20, 60), (640, 800))
    assert "Of the 60 overdue a year ago only 33 % stayed, against 80 % of the 800 others (46.7 points, +" in said(
        clear
    )
    plain = said(overdue_a_year_ago(state, (24, 30), (810, 1000)))
    assert "stayed" not in plain and "points" not in plain
    for late, others in (((3, 40), (307, 341)), ((37, 40), (338, 341)), ((20, 60), (797, 800))):
        assert said(overdue_a_year_ago(state, late, others)) == plain
    base = clear.retention.customers
    few = base["status"].eq("overdue") & base["kept"] & (base.groupby(["status", "kept"]).cumcount() < 3)
    some = few | (~base["kept"] & (base.groupby(["status", "kept"]).cumcount() < 10))
    apart = base.assign(branch=np.where(some, "y", "x"))
    assert said(replace(clear, retention=replace(clear.retention, customers=apart))) == plain


def town(state: CustomerValue, *, dormant: int = 30, lost: int = 40, outside: int = 20, unpaid: int = 20):
    """The same customers with so many dormant and lost, of the lost so many who paid or cost something in the year, and
    so many who never paid. The last of those in a tier, and of those in a segment, are in the smaller of two.
    """
    ids = state.status["customer_id"].to_numpy()
    stands = np.repeat(["active", "dormant", "lost"], [len(ids) - dormant - lost, dormant, lost])
    kept, left, paid = ids[stands != "lost"], ids[stands == "lost"], ids[unpaid:]
    status = state.status.assign(status=stands)
    tiers = pd.DataFrame({"customer_id": kept, "branch": "x", "revenue": 1.0, "profit": 1.0})
    tiers["tier"] = np.where(np.arange(len(kept)) < 100, "first", "rest")
    tiers.loc[100:129, "profit"] = -0.1
    beyond = tiers.iloc[:outside].assign(customer_id=left[:outside])
    scores = pd.DataFrame({"customer_id": paid, "segment": np.where(np.arange(len(paid)) < 120, "best", "gone")})
    earned = replace(
        state.profits, customers=pd.concat([tiers, beyond]).assign(margin=1.0, contact_cost=0.05, serve_cost=0.0)
    )
    return replace(
        state,
        status=status,
        scores=scores,
        concentration=concentration(earned),
        tiers=replace(state.tiers, order=("first", "rest"), customers=tiers, outside=beyond),
        matrix=replace(state.matrix, customers=status[["customer_id", "branch", "status"]]),
        profits=replace(earned, costs_known=True),
        outlook=replace(state.outlook, customers=tiers.assign(expected_value=1.0)),
    )


def counted(state: CustomerValue) -> dict[str, pd.DataFrame]:
    """What the page prints of how many there are."""
    frames = {
        "status": captions.statuses(state)["frame"],
        "parts": captions.populations(state)["frame"],
        "tiers": shown_tiers.table(state),
        "segments": listing.segment_table(state),
    }
    frames["curve"] = listing.curve_table(state)
    found = [findings.below_cost(state), findings.concentration(state), outlook.next_year(state)]
    bare = [each.low is None and each.key.endswith("below_cost_share") for each in found]
    frames["findings"] = pd.DataFrame(
        {
            "finding": [each.key for each in found],
            "Customers": [str(each.n or "withheld") for each in found],
            "Share": ["withheld" if each else "told" for each in bare],
        }
    )
    return {
        name: frame.set_index(frame.columns[0])[frame.columns.intersection(["Customers", "Left out", "Share"])]
        for name, frame in frames.items()
    }


@pytest.mark.parametrize(
    ("few", "fewer"),
    [
        ({"dormant": 3}, {"dormant": 2, "lost": 41}),
        ({"outside": 3}, {"outside": 2}),
        ({"unpaid": 3}, {"unpaid": 2}),
    ],
    ids=["dormant", "lost yet paid", "never paid"],
)
def test_no_count_beside_another_tells_who_are_too_few_to_show(scope_of, few, fewer):
    """Two towns that differ in one of a few people print the same numbers: nothing printed tells how few they are.

    Where nobody is few, nothing is withheld.
    """
    state = assess(scope_of({"transactions": clockwork(200)}))
    plain, one, other = (counted(town(state, **given)) for given in ({}, few, fewer))
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[name])
        assert not plain[name].isin(["withheld", "< 5"]).any(axis=None)


def test_all_do_not_tell_what_exactly_one_branch_keeps_to_itself(scope_of, monkeypatch):
    """Less the numbers of the other branches, that of all would be its own."""
    log = clockwork(60)
    parts = [log.assign(branch=name, customer_id=name + log["customer_id"]) for name in "xyz"]
    state = assess(scope_of({"transactions": pd.concat(parts, ignore_index=True)}))
    everything = {"here", *populations.ORDER}
    for quiet, untold in (({"x"}, {"profit"}), ({"x", "y"}, set()), (set(), set())):
        monkeypatch.setattr(
            populations,
            "_told",
            lambda _state, _groups, sizes, _hidden, quiet=quiet: frozenset(
                everything - ({"profit"} if set(sizes) <= quiet else set())
            ),
        )
        populations.told.cache_clear()
        assert populations.told(state) == everything - untold
    populations.told.cache_clear()


def left_in_a_year(state: CustomerValue, *, unpaid: int, ended: int, ratio: float, n: int = 400) -> str:
    """What is said of why they left, where so many of those with a commitment stopped paying and so many ended it.

    Ten of those who ended theirs gave once more, and are dormant by their own silence.
    """
    ids = [f"m{i}" for i in range(unpaid + ended)]
    stands = ["dormant"] * (unpaid + 10) + ["lost"] * (ended - 10)
    now = pd.DataFrame({"customer_id": ids, "branch": "x", "status": stands})
    now["committed"] = [True] * unpaid + [False] * ended
    then = now.assign(status="active", committed=True, kept=False)
    late = promises.Yield("dormant", n, 100.0 * n, 100.0 * n * ratio, ratio, 0.02)
    given = replace(
        state,
        status=now,
        retention=replace(state.retention, customers=then),
        outlook=replace(state.outlook, yields=(late,)),
    )
    return findings._why_gone(given).replace(NO_BREAK, " ")


def test_those_who_stopped_paying_are_said_to_be_won_back_only_as_far_as_such_were(scope_of):
    """The advice follows what was collected of such commitments, and flips with it."""
    state = assess(scope_of({"transactions": clockwork(200)}))
    said = left_in_a_year(state, unpaid=40, ended=60, ratio=0.02)
    assert "60 of them ended it, **40 simply stopped being paid**" in said, "who ended it and gave once more ended it"
    assert "only 2.0 % came in since (" in said and "n 400): repair a payment before it is that old." in said
    likely = left_in_a_year(state, unpaid=40, ended=60, ratio=0.6)
    few = left_in_a_year(state, unpaid=40, ended=60, ratio=0.02, n=20)
    assert likely == few and likely.endswith("long enough ago to count as gone: ask whether they mean to leave.")
    assert not left_in_a_year(state, unpaid=3, ended=60, ratio=0.02)


def test_less_than_a_year_on_record_is_not_called_a_year(scope_of):
    log = clockwork(300)
    for days, said in ((DAYS, "The last twelve months brought"), (300, "The months on record, fewer than twelve,")):
        recent = log[log["occurred_at"] > pd.Timestamp(END) - pd.Timedelta(days=days)]
        state = assess(scope_of({"transactions": recent}))
        assert said in finding(state, "value_next_12m").sentence
        assert ("shorter than that year" in captions.money(state)["note"]) is (days == 300)


def test_how_many_there_are_is_not_told_where_few_are_gone(scope_of):
    """How many are still here stands with the findings."""
    parts = counted(town(assess(scope_of({"transactions": clockwork(200)})), dormant=0, lost=3, outside=0))["parts"]
    assert parts.loc["Still here"].to_list() == ["197", "< 5"]
    assert (
        parts.loc["Status", "Customers"] == parts.loc["Matrix of present and future value", "Customers"] == "withheld"
    )


def test_only_those_expected_to_pay_for_it_are_contacted(scope_of):
    """Advice agrees with the matrix; and the called are not counted where those who are not called are too few."""
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    state = replace(state, matrix=replace(state.matrix, lines=replace(state.matrix.lines, basis="contact")))
    late = state.slipping.customers["customer_id"]
    assert len(late) >= 15

    def treated(**given: pd.Index) -> CustomerValue:
        treatment = pd.Series("grow", state.matrix.customers["customer_id"])
        for name, ids in given.items():
            treatment[ids] = name
        frame = state.matrix.customers.assign(treatment=treatment.to_numpy())
        return replace(state, matrix=replace(state.matrix, customers=frame))

    def advice(given: CustomerValue) -> tuple[str, str]:
        called = [each.text for each in claims(given).actions if each.key == "customer_value.call"]
        return finding(given, "slipping_away").sentence, *called

    sentence, called = advice(treated())
    assert sentence.endswith("contact them this month.") and called.startswith(f"Contact the {len(late)} customers of")
    sentence, called = advice(treated(let_go=late[:5], low_cost=late[5:8]))
    assert sentence.endswith("contact this month whoever of them is expected to pay for it.")
    assert called.startswith(f"Contact the {len(late) - 8} customers of")
    assert advice(treated(let_go=late[:3]))[1].startswith("Contact the customers of high value")
    free = treated(let_go=late[:5])
    free = replace(free, matrix=replace(free.matrix, lines=replace(free.matrix.lines, basis="median")))
    sentence, called = advice(free)
    assert "whoever of them is expected to bring " in sentence and "what a contact costs is not known." in sentence
    assert "expected to bring " in called and "pay for it" not in sentence + called
    assert advice(treated(low_cost=late)) == (
        f"{sentence.partition(': ')[0]}: reach them at low cost, as none is expected to pay for a contact.",
    )
    assert listing.lists(treated(let_go=late[:5]))["slipping_away"]["treatment"].value_counts()["let_go"] == 5


def test_a_change_in_who_stayed_has_its_interval(scope_of):
    state = assess(scope_of({"transactions": buyers()}, margin={"rate": 0.5}))
    change = replace(state.retention_change, difference=0.1, low=0.05, high=0.15, p=0.001)
    said = finding(replace(state, retention_change=change), "retention").sentence.replace(NO_BREAK, " ")
    assert "points more than in 2026Q2 (+5.0 to +15.0)" in said
