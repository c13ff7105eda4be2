"""The shape of the link: published figures, definitions, and what simulation says about size and power."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from crm_analysis.satisfaction_loyalty.shape import (
    FEWEST_ANSWERS,
    bands,
    examine,
    merge_levels,
    straight_line,
    tabulate,
)

SFO = {"n": (5, 31, 436, 1473, 680), "loyal": (0, 2, 60, 718, 605)}
CONVEX = (0.28, 0.36, 0.44, 0.52, 0.82)
STRAIGHT = (0.34, 0.44, 0.54, 0.64, 0.74)
SATURATING = (0.18, 0.36, 0.54, 0.74, 0.74)


def levels_of(n: tuple[int, ...], loyal: tuple[int, ...], scale: tuple[float, float] = (1, 5)) -> pd.DataFrame:
    scores = np.repeat(np.arange(scale[0], scale[0] + len(n)), n)
    outcome = np.concatenate([np.r_[np.ones(x), np.zeros(m - x)] for m, x in zip(n, loyal, strict=True)])
    return tabulate(scores, outcome, scale=scale)


def drawn(rates: tuple[float, ...], n: tuple[int, ...], seed: int) -> pd.DataFrame:
    return levels_of(n, tuple(int(x) for x in np.random.default_rng(seed).binomial(n, rates)))


def test_sfo_2017_rating_to_promoter() -> None:
    """SFO passenger survey 2017: rates, slope, both straightness tests and the top kink as published."""
    found = examine(levels_of(**SFO))
    assert list(found.levels["n"]) == [36, 436, 1473, 680]
    assert list(found.levels["rate"]) == pytest.approx([0.0556, 0.1376, 0.4874, 0.8897], abs=5e-5)
    assert found.merged == ("1+2",)
    assert found.logit_slope == pytest.approx(1.96243, abs=5e-6)
    assert found.straight_logit is not None and found.straight_probability is not None and found.top is not None
    assert found.straight_logit.statistic == pytest.approx(4.4732, abs=5e-5)
    assert (found.straight_logit.df, found.straight_logit.p_chi2) == (2, pytest.approx(0.107, abs=5e-4))
    assert found.straight_probability.statistic == pytest.approx(50.52, abs=5e-3)
    assert found.top.value == pytest.approx(0.0524, abs=5e-5)
    assert (found.top.low, found.top.high) == pytest.approx((-0.0124, 0.1173), abs=5e-5)
    assert found.kind == "takes_off", "steps unequal, acceleration at the top not established"


def test_logistic_line_agrees_with_statsmodels() -> None:
    table = drawn(STRAIGHT, (40, 80, 150, 300, 200), 3)
    x, m = table["loyal"].to_numpy(float), table["n"].to_numpy(float)
    fit = sm.GLM(np.c_[x, m - x], sm.add_constant(table["score"].to_numpy()), family=sm.families.Binomial()).fit()
    found = examine(table)
    assert found.straight_logit is not None and found.any_link is not None
    assert found.logit_slope == pytest.approx(fit.params[1], rel=1e-7)
    assert found.straight_logit.statistic == pytest.approx(fit.deviance, rel=1e-7)
    assert found.any_link.statistic == pytest.approx(fit.null_deviance, rel=1e-7)


def test_kinks_are_differences_of_steps() -> None:
    found = examine(levels_of((100, 100, 100, 100, 100), (20, 30, 45, 50, 80)))
    assert found.top is not None and found.bottom is not None
    assert found.top.value == pytest.approx((0.80 - 0.50) - (0.50 - 0.45))
    assert found.bottom.value == pytest.approx((0.45 - 0.30) - (0.30 - 0.20))
    assert found.top.detectable > found.top.se > 0


@pytest.mark.parametrize(
    ("rates", "kind"),
    [
        (CONVEX, "accelerating"),
        (STRAIGHT, "straight"),
        (SATURATING, "saturating"),
        ((0.10, 0.11, 0.12, 0.42, 0.72), "uneven"),
        ((0.10, 0.12, 0.50, 0.88, 0.92), "saturating"),
        ((0.5, 0.5, 0.51, 0.5, 0.5), "flat"),
        ((0.8, 0.7, 0.6, 0.5, 0.4), "falling"),
    ],
)
def test_clear_truths_get_their_names(rates: tuple[float, ...], kind: str) -> None:
    n = (4000, 4000, 4000, 4000, 4000)
    assert examine(levels_of(n, tuple(round(m * p) for m, p in zip(n, rates, strict=True)))).kind == kind


def test_a_threshold_is_a_takeoff() -> None:
    assert examine(levels_of((3000,) * 4, (300, 360, 1500, 2640), (1, 4))).kind == "takes_off"


def test_thin_data_say_so() -> None:
    assert examine(drawn(STRAIGHT, (4, 6, 8, 6, 4), 1)).kind == "too_few"
    assert examine(levels_of((0, 0, 0, 0, 90), (0, 0, 0, 0, 50))).kind == "one_level"
    thin = examine(drawn((0.3, 0.4, 0.5, 0.6, 0.75), (12, 20, 40, 60, 40), 5))
    assert thin.kind in ("not_established", "no_link")
    assert examine(levels_of((0, 0, 200, 0, 200), (0, 0, 80, 0, 140))).kind == "not_established"


@pytest.mark.parametrize("loyal", [(0, 0, 0, 0, 0), (40, 60, 80, 90, 60), (0, 20, 30, 50, 60)])
def test_levels_without_loyal_or_without_disloyal(loyal: tuple[int, ...]) -> None:
    found = examine(levels_of((40, 60, 80, 90, 60), loyal))
    assert found.kind in ("flat", "no_link", "accelerating", "uneven", "saturating", "straight", "not_established")
    assert found.top is not None and math.isfinite(found.top.low) and math.isfinite(found.top.p)


def test_levels_keep_every_answer() -> None:
    rng = np.random.default_rng(2)
    scores, loyal = rng.integers(0, 11, 500), rng.random(500) < 0.4
    table = tabulate(scores, loyal, scale=(0, 10))
    assert table["n"].sum() == 500 and table["loyal"].sum() == loyal.sum()
    merged = merge_levels(table)
    assert merged["n"].sum() == 500 and merged["loyal"].sum() == loyal.sum()


def test_half_scores_go_with_the_lower_level() -> None:
    table = tabulate([2.5, 2.0, 3.0, 4.5], [1, 0, 1, 1], scale=(1, 5))
    assert list(table["n"]) == [0, 2, 1, 1, 0]


def test_merging_goes_towards_the_middle_and_names_both() -> None:
    merged = merge_levels(levels_of((3, 40, 50, 60, 4), (1, 10, 20, 30, 2)))
    assert list(merged["label"]) == ["1+2", "3", "4+5"]
    assert list(merged["score"]) == [2, 3, 4]
    assert list(merged["n"]) == [43, 50, 64]


def test_bands_cover_long_scales() -> None:
    assert bands((1, 10)) == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]
    assert bands((0, 10))[0] == (0, 2)
    assert bands((1, 7)) == [(k, k) for k in range(1, 8)]


def test_weights_shrink_the_effective_number() -> None:
    rng = np.random.default_rng(8)
    scores, loyal, weights = rng.integers(1, 6, 800), rng.random(800) < 0.5, rng.uniform(0.2, 4, 800)
    plain = tabulate(scores, loyal, scale=(1, 5))
    weighted = tabulate(scores, loyal, scale=(1, 5), weights=weights)
    assert (weighted["n_effective"] < plain["n"]).all()
    assert ((weighted["high"] - weighted["low"]) > (plain["high"] - plain["low"]) * 0.95).all()
    level_one = scores == 1
    assert weighted["rate"].iloc[0] == pytest.approx(np.average(loyal[level_one], weights=weights[level_one]))


def test_order_of_rows_and_seed_do_not_move_the_statistics() -> None:
    rng = np.random.default_rng(4)
    scores, loyal = rng.integers(1, 6, 200), rng.random(200) < 0.5
    turn = rng.permutation(200)
    first = examine(tabulate(scores, loyal, scale=(1, 5)), seed=1)
    second = examine(tabulate(scores[turn], loyal[turn], scale=(1, 5)), seed=1)
    assert first.any_link == second.any_link and first.top == second.top


def test_the_straight_line_passes_a_straight_truth() -> None:
    table = levels_of((1000,) * 5, tuple(round(1000 * p) for p in STRAIGHT))
    assert straight_line(examine(table))["rate"].to_numpy() == pytest.approx(STRAIGHT, abs=1e-9)


def _rejections(rates: tuple[float, ...], n: tuple[int, ...], runs: int, draws: int) -> dict[str, float]:
    rng = np.random.default_rng(20261)
    hits = dict.fromkeys(("any", "probability", "logit", "top"), 0)
    kept = 0
    for run in range(runs):
        found = examine(levels_of(n, tuple(int(x) for x in rng.binomial(n, rates))), seed=run, draws=draws)
        if found.top is None or len(found.levels) < len(n):
            continue
        kept += 1
        assert found.any_link and found.straight_probability and found.straight_logit
        hits["any"] += found.any_link.p < 0.05
        hits["probability"] += found.straight_probability.p < 0.05
        hits["logit"] += found.straight_logit.p < 0.05
        hits["top"] += not found.top.low <= 0 <= found.top.high
    return {name: count / kept for name, count in hits.items()}


def test_size_and_power_in_a_small_simulation() -> None:
    """Straight truth: about one rejection in twenty; convex truth: nearly always found."""
    straight = _rejections(STRAIGHT, (80, 150, 320, 430, 260), 200, 99)
    assert straight["probability"] < 0.10 and straight["top"] < 0.08 and straight["any"] > 0.99
    convex = _rejections(CONVEX, (80, 150, 320, 430, 260), 60, 99)
    assert convex["probability"] > 0.9 and convex["top"] > 0.75


def test_the_fewest_answers_are_a_rule() -> None:
    assert examine(drawn(STRAIGHT, (5, 5, 5, 7, 7), 1)).kind == "too_few"
    assert FEWEST_ANSWERS == 30
