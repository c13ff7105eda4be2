"""Behaviour after an answer: windows, coverage, one answer per customer, and what is not measurable."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from crm_analysis.estimators.proportions import Estimate, two_proportions, wilson
from crm_analysis.profile.settings import Loyalty, Survey
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare
from crm_analysis.satisfaction_loyalty.followup import (
    FollowUp,
    follow,
    followed_up,
    in_money,
    margin_per_loyal,
    missing_by_outcome,
    paid_within,
    step_worth,
)
from crm_analysis.satisfaction_loyalty.shape import merge_levels, tabulate

AS_OF = date(2026, 9, 30)
RULE = Loyalty(window_days=180, gap_days=1, link_window_months=24)
COVERAGE = pd.DataFrame(
    {"branch": ["a", "b"], "last_covered_day": [pd.Timestamp("2026-09-30"), pd.Timestamp("2026-07-31")]}
)


def said(*rows: tuple[str | None, str, float], branch: str = "a") -> Answers:
    frame = pd.DataFrame(rows, columns=["customer_id", "answered_on", "satisfaction"])
    frame["answered_on"] = pd.to_datetime(frame["answered_on"])
    frame.insert(0, "response_id", [f"r{k}" for k in range(len(frame))])
    return prepare(frame.assign(branch=branch), Survey())


def paid(*rows: tuple[str, str, float, str], branch: str = "a") -> ibis.Table:
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind"])
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"])
    return ibis.memtable(frame.assign(branch=branch))


@pytest.fixture
def followed() -> Callable[..., FollowUp]:
    def run(answers: Answers, transactions: ibis.Table, rule: Loyalty = RULE, **limits: Any) -> FollowUp:
        limits = {"as_of": AS_OF, "period_end": AS_OF} | limits
        return follow(answers, transactions, COVERAGE, rule=rule, **limits)

    return run


def left(found: FollowUp) -> dict[str, int]:
    return dict(zip(found.counts["rule"], found.counts["rows"], strict=True))


@pytest.mark.parametrize(
    ("day", "loyal"),
    [("2026-01-01", False), ("2026-01-02", True), ("2026-06-30", True), ("2026-07-01", False)],
    ids=["same day", "next day", "last day", "day after"],
)
def test_edges_of_the_window(followed: Callable[..., FollowUp], day: str, loyal: bool) -> None:
    """An answer on 1 January is followed from 2 January to 30 June, both days included."""
    found = followed(said(("x", "2026-01-01", 5)), paid(("x", "2025-12-01", 10, "gift"), ("x", day, 10, "gift")))
    assert list(found.frame["loyal"]) == [loyal]


def test_a_gap_of_some_days_can_be_asked_for(followed: Callable[..., FollowUp]) -> None:
    money = paid(("x", "2025-12-01", 10, "sale"), ("x", "2026-01-10", 10, "sale"))
    answers = said(("x", "2026-01-01", 5))
    assert followed(answers, money, Loyalty(gap_days=9)).frame["loyal"].item()
    assert not followed(answers, money, Loyalty(gap_days=10)).frame["loyal"].item()


def test_refunds_are_no_loyalty_and_dues_are(followed: Callable[..., FollowUp]) -> None:
    money = paid(
        ("x", "2025-12-01", 10, "gift"), ("x", "2026-02-01", 10, "refund"),
        ("y", "2025-12-01", 10, "gift"), ("y", "2026-02-01", 10, "dues"),
    )  # fmt: skip
    found = followed(said(("x", "2026-01-01", 5), ("y", "2026-01-01", 2)), money).frame.set_index("customer_id")
    assert (found.loc["x", "loyal"], found.loc["y", "loyal"]) == (False, True)


def test_ten_answers_of_one_customer_count_once_with_the_first(followed: Callable[..., FollowUp]) -> None:
    rows = [("x", str(date(2025, 1, 1) + timedelta(days=20 * k)), float(1 + k % 5)) for k in range(10)]
    found = followed(said(*rows), paid(("x", "2024-12-01", 10, "gift")))
    assert found.n == 1 and found.frame["satisfaction"].item() == 1 and left(found)["later_answer"] == 9


def test_what_cannot_be_measured_is_counted_and_never_lost(followed: Callable[..., FollowUp]) -> None:
    money = paid(("x", "2025-01-01", 10, "gift"), branch="b")
    covered = followed(said(("x", "2026-02-01", 4), branch="b"), money)
    assert covered.n == 1
    silent = followed(said(("x", "2026-03-01", 4), branch="b"), money)
    assert silent.n == 0 and left(silent)["not_covered"] == 1
    early = followed(said(("x", "2026-05-01", 4), branch="b"), money)
    assert early.n == 0 and left(early)["running"] == 1


def test_a_silent_branch_on_its_own_page(followed: Callable[..., FollowUp]) -> None:
    """There `as_of` is the last covered day; a window that closed after it but within the period is not measurable."""
    money = paid(("x", "2025-01-01", 10, "gift"), branch="b")
    found = followed(said(("x", "2026-03-01", 4), branch="b"), money, as_of=date(2026, 7, 31))
    assert left(found)["not_covered"] == 1


def test_strangers_prospects_and_the_anonymous(followed: Callable[..., FollowUp]) -> None:
    answers = said((None, "2026-01-01", 5), ("", "2026-01-01", 5), ("new", "2026-01-01", 5), ("who", "2026-01-01", 5))
    found = followed(answers, paid(("new", "2026-01-05", 10, "gift")))
    assert found.n == 0
    assert (left(found)["anonymous"], left(found)["before_first"], left(found)["unknown_customer"]) == (2, 1, 1)


def test_only_first_orders_where_asked(followed: Callable[..., FollowUp]) -> None:
    money = paid(
        ("x", "2026-01-01", 10, "sale"), ("x", "2026-02-01", 10, "sale"), ("x", "2026-02-01", 5, "sale"),
    )  # fmt: skip
    answers = said(("x", "2026-01-01", 5), ("x", "2026-02-01", 1))
    found = followed(answers, money, Loyalty(first_orders_only=True))
    assert found.frame["satisfaction"].item() == 5 and found.frame["loyal"].item()
    assert left(found)["not_first_order"] == 1


def test_counts_foot_and_dates_are_those_used(followed: Callable[..., FollowUp]) -> None:
    rng = np.random.default_rng(3)
    days = [str(date(2024, 1, 1) + timedelta(days=int(d))) for d in rng.integers(0, 1000, 300)]
    rows = [(f"c{k % 120}", day, float(rng.integers(1, 6))) for k, day in enumerate(days)]
    money = paid(*[(f"c{k}", "2023-06-01", 10.0, "gift") for k in range(100)])
    found = followed(said(*rows), money)
    steps = found.counts.groupby("step")["rows"].sum()
    assert steps["answers"] == steps["left out"] + steps["used"] and steps["used"] == found.n
    assert found.first is not None and found.last is not None
    assert date(2024, 4, 3) < found.first <= found.last <= AS_OF - timedelta(days=180)
    assert found.frame["customer_id"].is_unique


def test_nothing_after_as_of_is_seen(followed: Callable[..., FollowUp]) -> None:
    money = [("x", "2025-01-01", 10.0, "gift"), ("y", "2025-01-01", 10.0, "gift"), ("y", "2025-08-01", 10.0, "gift")]
    answers = said(("x", "2025-07-01", 4), ("y", "2025-07-01", 4))
    limits = {"as_of": date(2025, 12, 31), "period_end": date(2025, 12, 31)}
    now = followed(answers, paid(*money), **limits)
    later = followed(answers, paid(*money, ("x", "2026-01-01", 10.0, "gift")), **limits)
    pd.testing.assert_frame_equal(now.frame, later.frame)


def test_the_query_of_a_finding_gives_what_the_page_followed(followed: Callable[..., FollowUp]) -> None:
    rng = np.random.default_rng(8)

    def days(n: int) -> list[str]:
        return [str(date(2024, 1, 1) + timedelta(days=int(day))) for day in rng.integers(0, 900, n)]

    answers = said(*[(f"c{rng.integers(40)}" if n % 9 else None, day, 4) for n, day in enumerate(days(200))])
    kinds = rng.choice(["sale", "gift", "refund"], 400)
    money = paid(
        *[(f"c{rng.integers(50)}", d, float(rng.integers(5, 90)), k) for d, k in zip(days(400), kinds, strict=True)]
    )
    found = followed(answers, money, margin_rate=0.4).frame.set_index("response_id")
    given = ibis.memtable(answers.frame[["response_id", "customer_id", "answered_on"]])
    asked = followed_up(given, money, rule=RULE, margin_rate=0.4).to_pandas().set_index("response_id")
    assert len(asked) == answers.n and len(found) > 25
    own = asked.loc[found.index]
    assert (own["paid"].fillna(0).gt(0) == found["loyal"]).all() and found["loyal"].nunique() == 2
    assert own["margin"].fillna(0).tolist() == pytest.approx(found["margin"].tolist())
    assert (pd.to_datetime(own["closes_on"]) - own["answered_on"]).dt.days.unique().tolist() == [180]
    assert asked.loc[asked["customer_id"].isna(), "paid"].isna().all()


def test_respondents_beside_the_silent(followed: Callable[..., FollowUp]) -> None:
    active = [(f"c{k}", "2025-06-01", 10.0, "gift") for k in range(10)]
    again = [(f"c{k}", "2026-02-01", 10.0, "gift") for k in (0, 1, 2, 7)]
    found = followed(said(*[(f"c{k}", "2026-01-01", 4.0) for k in range(4)]), paid(*active, *again))
    silence = found.silence
    assert silence is not None and silence.anchor == date(2026, 1, 1)
    assert (silence.answered.n, silence.silent.n) == (4, 6)
    assert silence.difference.value == pytest.approx(3 / 4 - 1 / 6)


def test_answers_without_a_score_are_tabulated_by_outcome() -> None:
    raw = said(("x", "2026-01-01", 4), ("y", "2026-01-01", 4)).frame
    raw.loc[raw["customer_id"] == "y", "satisfaction"] = np.nan
    money = paid(("x", "2025-01-01", 10, "sale"), ("y", "2025-01-01", 10, "sale"), ("y", "2026-03-01", 10, "sale"))
    found = missing_by_outcome(raw, money, COVERAGE, as_of=AS_OF, rule=RULE).set_index("group")
    assert found.loc["came_back", ["n", "missing"]].tolist() == [1, 1]
    assert found.loc["did_not", ["n", "missing"]].tolist() == [1, 0]
    assert found["n"].sum() == 4 and found["missing"].sum() == 2


def worth(mean: float, se: float = 0.0) -> Estimate:
    """What a customer who came back brought, known up to `se`."""
    half = 1.96 * se
    return Estimate(
        mean=mean, se=se, low=mean - half, high=mean + half, n=100, n_effective=100.0, level=0.95, basis="given"
    )


@pytest.mark.slow
def test_money_carries_the_error_of_the_step_and_of_the_margin() -> None:
    """Product of a difference of shares and a mean margin: the interval holds the truth in 19 of 20 samples."""
    share_under_cap = 0.98186  # mean of a gamma of shape 1/2 cut at its 99th percentile, by numerical integration
    rng = np.random.default_rng(int(os.environ.get("CRM_TEST_SEED", "7")))
    first, second, mean, n, runs = 0.40, 0.60, 50.0, 300, 800
    held = alone = 0
    for _ in range(runs):
        kept = [rng.binomial(n, p) for p in (first, second)]
        margin = rng.gamma(0.5, mean / 0.5, sum(kept))  # as uneven as gifts are
        frame = pd.DataFrame({"margin": margin}).assign(loyal=True, weight=1.0)
        capped = np.minimum(margin, np.quantile(margin, 0.99)).mean()
        table = pd.DataFrame({"label": list("45"), "rate": np.array(kept) / n, "n": n, "n_effective": float(n)})
        (step,) = step_worth(table, margin_per_loyal(frame))
        (bare,) = step_worth(table, worth(capped))
        truth = 100 * (second - first) * share_under_cap * mean
        held += step.money_low <= truth <= step.money_high
        alone += bare.money_low <= truth <= bare.money_high
    assert 0.915 < held / runs < 0.985, "four Monte Carlo errors"
    assert alone < held, "taking the margin as known would miss more often"


@pytest.mark.parametrize(("step", "low", "high"), [(0.10, 0.02, 0.12), (-0.05, -0.20, 0.01), (0.0, -0.1, 0.3)])
@pytest.mark.parametrize("se", [0.0, 1.0, 40.0])
def test_money_with_the_other_sign_is_the_mirror_image(step: float, low: float, high: float, se: float) -> None:
    """Whoever costs 50 brings minus what whoever brings 50 would: value and interval are turned at zero."""
    gains, costs = (in_money(step, low, high, worth(mean, se), level=0.95) for mean in (50.0, -50.0))
    assert costs == pytest.approx((-gains[0], -gains[2], -gains[1]))
    if se == 0:
        assert costs == pytest.approx((-5000 * step, -5000 * high, -5000 * low)), "known margins: the step's own limits"


def test_steps_are_worth_the_margin_of_those_who_stay() -> None:
    table = merge_levels(
        tabulate(np.repeat([4, 5], 100), np.r_[np.arange(100) < 40, np.arange(100) < 60], scale=(1, 5))
    )
    (step,) = step_worth(table, worth(50.0))
    assert step.difference.value == pytest.approx(0.2) and step.money_per_hundred == pytest.approx(100 * 0.2 * 50)
    assert step.money_low < step.money_per_hundred < step.money_high


@pytest.mark.slow
def test_the_interval_of_the_step_that_looks_largest_holds_though_it_was_picked() -> None:
    """Five levels with equal steps: the largest estimate's own interval misses too often, the one for all does not."""
    truth, n = np.array([0.30, 0.35, 0.40, 0.45, 0.50]), 400
    rng = np.random.default_rng(12)
    alone = held = 0
    draws = 400
    for _ in range(draws):
        rate = rng.binomial(n, truth) / n
        table = pd.DataFrame({"label": list("12345"), "rate": rate, "n": n, "n_effective": float(n)})
        best = max(step_worth(table, worth(1.0)), key=lambda step: step.difference.value)
        lower, upper = (wilson(rate[int(label) - 1] * n, n) for label in (best.lower, best.upper))
        own = two_proportions(lower, upper)
        assert best.difference.low < own.low and own.high < best.difference.high
        alone += own.low <= 0.05 <= own.high
        held += best.difference.low <= 0.05 <= best.difference.high
        assert best.money_low == pytest.approx(100 * best.difference.low), "money that is known adds no error"
    assert alone / draws < 0.94
    assert held / draws > 0.95


def test_margin_of_a_major_donor_is_capped() -> None:
    frame = pd.DataFrame({"loyal": [True] * 200 + [False], "margin": [10.0] * 199 + [1e9, 5.0], "weight": 1.0})
    assert margin_per_loyal(frame).mean < 1e8
    assert np.isnan(margin_per_loyal(frame[~frame["loyal"]]).mean)


def test_payments_of_the_last_year_are_net_of_refunds() -> None:
    money = paid(("x", "2026-05-01", 100, "sale"), ("x", "2026-05-03", 30, "refund"), ("x", "2024-01-01", 7, "sale"))
    assert paid_within(money, AS_OF)["paid_last_year"].item() == 70
