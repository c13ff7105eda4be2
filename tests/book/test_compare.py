"""Comparisons between branches, and changes that are more than noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from crm_analysis.book.cells import Outcome
from crm_analysis.book.compare import branch_gaps, moved, without_repeats


def outcome(
    branch: str, value: float, spread: float, *, p: float | None = None, unit: str = "share", n: int = 100
) -> Outcome:
    finding = {
        "key": "x.rate", "value": value, "low": value - 1.959964 * spread, "high": value + 1.959964 * spread, "n": n,
        "unit": unit, "label": "rate", "change": None if p is None else {"p": p, "difference": 0.1, "previous": 0.5},
    }  # fmt: skip
    return Outcome("x", branch, "2026Q3", bundle={"claims": {"findings": [finding], "measures": []}})


def test_a_share_is_held_against_that_of_all_other_customers_together():
    sizes = {"a": (0.5, 100), "b": (0.6, 300), "c": (0.8, 100)}
    outcomes = [outcome(b, share, (share * (1 - share) / n) ** 0.5, n=n) for b, (share, n) in sizes.items()]
    gap = next(g for g in branch_gaps(outcomes, "x.rate") if g.branch == "a")
    assert gap.others == pytest.approx((0.6 * 300 + 0.8 * 100) / 400)
    spread = np.sqrt(0.5 * 0.5 / 100 + (0.6 * 0.4 * 300 + 0.8 * 0.2 * 100) / 400**2)
    assert gap.difference_high - gap.difference_low == pytest.approx(2 * stats.norm.ppf(0.975) * spread, rel=1e-5)


def test_a_gap_is_the_branch_less_the_precision_weighted_mean_of_the_others():
    outcomes = [outcome(b, v, e, unit="index") for b, v, e in (("a", 0.5, 0.01), ("b", 0.6, 0.01), ("c", 0.8, 0.02))]
    gaps = {g.branch: g for g in branch_gaps(outcomes, "x.rate")}
    others = (0.6 / 0.01**2 + 0.8 / 0.02**2) / (1 / 0.01**2 + 1 / 0.02**2)
    assert gaps["a"].others == pytest.approx(others)
    assert gaps["a"].difference == pytest.approx(0.5 - others)
    spread = np.hypot(0.01, (1 / 0.01**2 + 1 / 0.02**2) ** -0.5)
    assert gaps["a"].difference_high - gaps["a"].difference_low == pytest.approx(2 * stats.norm.ppf(0.975) * spread)


def test_with_fewer_than_three_branches_or_no_intervals_nothing_is_compared():
    assert branch_gaps([outcome("a", 0.5, 0.01), outcome("b", 0.9, 0.01), outcome("all", 0.7, 0.01)], "x.rate") == []
    assert branch_gaps([outcome(b, 0.5, 0.0) for b in "abc"], "x.rate") == []


def test_totals_are_not_compared_for_they_grow_with_the_branch():
    outcomes = [outcome(branch, value, 0.01) for branch, value in (("a", 0.1), ("b", 0.5), ("c", 0.9))]
    assert len(branch_gaps(outcomes, "x.rate")) == 3
    for each in outcomes:
        each.finding("x.rate")["unit"] = "money"
    assert branch_gaps(outcomes, "x.rate") == []


def test_equal_branches_stand_out_no_more_often_than_the_false_discovery_rate():
    rng = np.random.default_rng(3)
    flagged = 0
    for _ in range(400):
        outcomes = [outcome(str(i), 0.7 + rng.normal(0, 0.02), 0.02) for i in range(6)]
        flagged += any(gap.stands_out for gap in branch_gaps(outcomes, "x.rate"))
    assert flagged / 400 < 0.08


def test_only_changes_that_pass_the_false_discovery_rate_are_reported():
    passed, examined = moved(
        [outcome("a", 0.5, 0.1, p=0.001), *(outcome(str(i), 0.5, 0.1, p=0.04 + i / 40) for i in range(9))]
    )
    assert [change.branch for change in passed] == ["a"]
    assert examined == 10
    assert moved([outcome("a", 0.5, 0.1)]) == ([], 0)


def test_the_only_branch_repeats_the_whole_unless_they_differ():
    whole, branch = outcome("all", 0.5, 0.1, p=0.001), outcome("a", 0.5, 0.1, p=0.001)
    assert without_repeats([whole, branch]) == [whole]
    other = outcome("a", 0.6, 0.1)  # one of several branches, the only one with pages of its own
    for kept in ([whole, other], [whole, branch, outcome("b", 0.5, 0.1)], [whole], [branch]):
        assert without_repeats(kept) == kept
