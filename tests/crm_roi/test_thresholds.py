"""The effect at an entry line: found by hand, planted and absent, pushed over, and said when there is none."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi import charts, displays
from crm_analysis.crm_roi.study import examine
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow

LINE, COST = 1_000_000.0, 20_000.0
START = pd.Timestamp("2026-05-01")
RULE = {"measure": "amount", "days": 200}


def gala(*, effect: float, pushed: float = 0.0, seed: int = 1, n: int = 4000, mixed: bool = False):
    """Everybody over the line is invited; `pushed` of those 15 % below it gave the rest in the last week."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"D{i:04d}" for i in range(n)])
    years = {0: rng.gamma(6, LINE / 8, n), 364: rng.gamma(6, LINE / 8, n)}
    value = years[0]
    short = (value < LINE) & (value > 0.85 * LINE) & (rng.random(n) < pushed)
    top_up = np.where(short, LINE - value + rng.uniform(0, 0.03 * LINE, n), 0.0)
    total = value + top_up
    invited = np.argsort(-total)[: int((total >= LINE).sum())]
    if mixed:
        invited = rng.permutation(n)[: invited.size]
    rows = []
    for shift, amount in years.items():
        when = START - pd.to_timedelta(shift + rng.integers(40, 190, n), unit="D")
        rows.append(pd.DataFrame({"i": np.arange(n), "occurred_at": when, "amount": amount}))
    long_ago = START - pd.to_timedelta(rng.integers(210, 260, n), unit="D")
    rows.append(pd.DataFrame({"i": np.arange(n), "occurred_at": long_ago, "amount": rng.gamma(2, 10_000, n)}))
    late = START - pd.to_timedelta(rng.integers(1, 7, n), unit="D")
    rows.append(
        pd.DataFrame({"i": np.flatnonzero(top_up), "occurred_at": late[top_up > 0], "amount": top_up[top_up > 0]})
    )
    after = 0.05 * total + rng.gamma(2, 10_000, n)
    after[invited] += effect / 0.97
    when = START + pd.to_timedelta(rng.integers(1, 60, n), unit="D")
    rows.append(pd.DataFrame({"i": np.arange(n), "occurred_at": when, "amount": after}))
    paid = pd.concat(rows, ignore_index=True)
    paid = paid.assign(customer_id=ids[paid["i"]], branch=np.where(paid["i"] % 2 == 0, "seoul", "gwangju"), kind="gift")
    paid["transaction_id"] = [f"T{i}" for i in range(len(paid))]
    base = association(n=40)
    return {
        "transactions": paid.drop(columns="i"),
        "customers": pd.DataFrame(
            {"customer_id": ids, "branch": np.where(np.arange(n) % 2 == 0, "seoul", "gwangju"),
             "joined_on": date(2024, 6, 1)}
        ),
        "campaigns": base["campaigns"].iloc[1:2].assign(contact_cost=COST),
        "campaign_members": pd.DataFrame(
            {"campaign_id": "GALA26", "customer_id": ids[invited], "arm": "treated", "assigned_on": START.date()}
        ),
        "costs": base["costs"].iloc[3:4].assign(amount=COST * invited.size),
    }  # fmt: skip


def study(*, rule=RULE, branch="all", **truth):
    profile = make_profile(roi={"entry_rules": {"GALA26": rule} if rule else {}}, margin={"rate": 0.97})
    return examine(FrameScope(gala(**truth), profile, branch=branch))


def test_the_line_is_found_between_members_and_others():
    found = study(effect=0.0)
    (at,) = found.thresholds
    units = set(found.evaluation.closed[0].gate.units["customer_id"])
    assert at.state == "measured" and at.n_in == len(units)
    assert at.line == pytest.approx(LINE, rel=0.01)
    assert (at.in_below, at.in_above) == (0.0, 1.0)
    assert at.cost_per_treated == pytest.approx(COST)
    (given,) = study(effect=0.0, rule=RULE | {"threshold": LINE}).thresholds
    assert given.line == LINE and given.effect.value == pytest.approx(at.effect.value, abs=given.effect.se)


@pytest.mark.parametrize(
    ("effect", "words"), [(80_000.0, "added"), (0.0, "did not pay")], ids=["it pays", "it does nothing"]
)
def test_planted_effect_is_inside_the_interval_and_turns_the_sentence(effect, words):
    found = study(effect=effect)
    (at,) = found.thresholds
    for looked in (at.effect, at.halved, at.doubled):
        assert abs(looked.value - effect) < 4 * looked.se
    assert at.effect.se < 8_000
    assert abs(at.placebo.value) < 4 * at.placebo.se
    said = displays.thresholds.sentence(at, found)
    assert words in said and ("did not pay" in said) == (effect == 0.0)
    (finding,) = displays.thresholds.findings(found)
    assert (
        finding.value == at.effect.value and finding.low < effect < finding.high or abs(finding.value - effect) < 20_000
    )


def test_pushing_over_the_line_is_seen_and_warned_of():
    alarms = {}
    for pushed in (0.0, 0.7):
        found = study(effect=0.0, pushed=pushed)
        (at,) = found.thresholds
        alarms[pushed] = at
        assert ("some pushed" in displays.thresholds.sentence(at, found)) == (pushed > 0)
    assert alarms[0.7].density.p < 0.01 and alarms[0.7].density.log_jump > 0
    assert alarms[0.7].near_p < 0.001 and alarms[0.0].near_p > 0.001
    assert alarms[0.7].pushed.low > 0
    assert abs(alarms[0.0].pushed.difference) < 4 * (alarms[0.0].pushed.standard_error or 1.0)


def test_counts_near_the_line_equal_brute_force():
    found = study(effect=0.0)
    (at,) = found.thresholds
    paid = gala(effect=0.0)["transactions"]
    inside = paid[(paid["occurred_at"] < START) & (paid["occurred_at"] >= START - pd.Timedelta(days=200))]
    value = inside.groupby("customer_id")["amount"].sum()
    assert at.near == (
        int(value.between(at.line, 1.25 * at.line, inclusive="left").sum()),
        int(value.between(at.line / 1.25, at.line, inclusive="left").sum()),
    )


def test_no_line_no_rule_and_too_few_say_so():
    nothing = study(effect=0.0, rule=None)
    assert nothing.thresholds == () and "roi.entry_rules" in displays.thresholds.figure(nothing)["alt"]
    assert displays.thresholds.table(nothing)["frame"] is None
    mixed = study(effect=0.0, mixed=True)
    assert mixed.thresholds[0].state == "no_line"
    assert "no line to look at" in displays.thresholds.figure(mixed)["alt"].replace("\n", " ")
    small = study(effect=0.0, n=60)
    assert small.thresholds[0].state == "too_few" and displays.thresholds.findings(small) == ()
    assert "too few people" in displays.thresholds.figure(small)["alt"]


def test_dots_are_means_of_enough_people_and_the_figure_is_drawn():
    found = study(effect=50_000.0)
    (at,) = found.thresholds
    assert at.dots["n"].min() >= 10 and at.dots["position"].is_monotonic_increasing
    gap = at.lines.loc[at.lines["over"], "value"].iloc[0] - at.lines.loc[~at.lines["over"], "value"].iloc[-1]
    assert gap == pytest.approx(at.effect.conventional)
    assert charts.around_the_line(*displays.thresholds.drawn(found), currency="KRW") is not None
    assert len(displays.thresholds.table(found)["frame"]) == 11


@pytest.mark.parametrize("n_over", [0, 2, 3])
def test_a_fit_is_drawn_only_where_dots_on_either_side_carry_it(n_over):
    found = study(effect=50_000.0)
    (at,) = found.thresholds
    over, near = at.dots["position"] >= 0, at.dots["position"].abs() < at.effect.bandwidth
    assert (over & near).sum() >= 3 and (~over & near).sum() >= 3, "drawn as it is"
    thin = pd.concat([at.dots[~over], at.dots[over & near].head(n_over)])
    found = replace(found, thresholds=(replace(at, dots=thin),))
    dots, lines = displays.thresholds.drawn(found)
    said = displays.thresholds.figure(found)["how_to_read"]
    assert len(dots) == len(thin) and lines.empty == (n_over < 3)
    assert ("No line is drawn" in said) == (n_over < 3) and ("local fits" in said) == (n_over == 3)
    assert charts.around_the_line(dots, lines, currency="KRW") is not None


def test_far_beyond_the_line_digits_say_nothing():
    found = study(effect=0.0)
    (at,) = found.thresholds
    wide = replace(at, doubled=replace(at.doubled, bandwidth=6.5))
    table = displays.thresholds.table(replace(found, thresholds=(wide,)))["frame"]
    assert any("from < 10\xa0% to > 1,000\xa0% of the line" in text for text in table["Found"])


def test_a_rule_is_checked_when_the_profile_is_read():
    with pytest.raises(ValueError, match="measure"):
        make_profile(roi={"entry_rules": {"GALA26": {"measure": "visits", "days": 200}}})
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        make_profile(roi={"entry_rules": {"GALA26": {"days": 0}}})
