"""Shares and weighted means: definitions, statsmodels as oracle, published figures."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from crm_analysis.estimators.proportions import (
    effective_n,
    two_means,
    two_proportions,
    weighted_mean,
    wilson,
    wilson_limits,
)

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.realdata("sfo_2017.csv")


@pytest.mark.parametrize(("x", "n"), [(0, 7), (3, 7), (7, 7), (20, 100), (684, 2690)])
def test_wilson_agrees_with_statsmodels(x: int, n: int) -> None:
    low, high = proportion_confint(x, n, method="wilson")
    found = wilson(x, n)
    assert found.share == pytest.approx(x / n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_wilson_of_nobody_is_undefined() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.share) and math.isnan(found.low) and math.isnan(found.high)


def test_wilson_widens_with_unequal_weights() -> None:
    plain, weighted = wilson(20, 100), wilson(20, 100, n_effective=50)
    assert weighted.low < plain.low < plain.share < plain.high < weighted.high


def test_wilson_refuses_more_successes_than_answers() -> None:
    with pytest.raises(ValueError, match="make no share"):
        wilson(3, 2)


def test_wilson_limits_take_arrays() -> None:
    low, high = wilson_limits([0.0, 0.5, 1.0], [10, 10, 10])
    assert low[0] == 0 and high[2] == 1 and low[1] + high[1] == pytest.approx(1)


@pytest.mark.parametrize(("x1", "n1", "x2", "n2"), [(56, 70, 48, 80), (9, 10, 3, 10), (0, 10, 5, 30)])
def test_difference_is_newcombes(x1: int, n1: int, x2: int, n2: int) -> None:
    """Newcombe 1998, table II, cases (a) and (b): 56/70 - 48/80 gives .0524 to .3339, 9/10 - 3/10 .1705 to .8090."""
    low, high = confint_proportions_2indep(x2, n2, x1, n1, compare="diff", method="newcomb")
    found = two_proportions(wilson(x1, n1), wilson(x2, n2))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-10)


def test_difference_reproduces_newcombes_table() -> None:
    found = two_proportions(wilson(48, 80), wilson(56, 70))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    found = two_proportions(wilson(3, 10), wilson(9, 10))
    assert (found.low, found.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_effective_n_of_equal_weights_is_n() -> None:
    assert effective_n([0.3] * 12) == pytest.approx(12)
    assert effective_n([1, 0, 0]) == pytest.approx(1)
    assert effective_n([]) == 0


def test_weighted_mean_ignores_scale_and_order() -> None:
    rng = np.random.default_rng(1)
    y, w, s = rng.normal(size=60), rng.uniform(0.2, 3, 60), rng.integers(0, 4, 60)
    base = weighted_mean(y, weights=w, strata=s)
    turned = weighted_mean(y[::-1], weights=7 * w[::-1], strata=s[::-1])
    assert (turned.mean, turned.se, turned.n_effective) == pytest.approx((base.mean, base.se, base.n_effective))


def test_unweighted_mean_has_the_textbook_error() -> None:
    y = np.array([1.0, 2, 4, 9])
    assert weighted_mean(y).se == pytest.approx(y.std(ddof=1) / 2)
    assert weighted_mean(y, correction=False).se == pytest.approx(y.std() / 2)


def test_undefined_means() -> None:
    assert math.isnan(weighted_mean([]).mean)
    assert math.isnan(weighted_mean([3.0]).se)
    assert math.isnan(weighted_mean([3.0, 4.0], weights=[0, 0]).mean)
    with pytest.raises(ValueError, match="1 weights are negative"):
        weighted_mean([3.0, 4.0], weights=[-1, 2])


def test_net_promoter_score_of_a_published_distribution() -> None:
    """Promoters 1/2, passives 1/3, detractors 1/6 of n = 324: standard error .0414087 (multinomial)."""
    scores = np.repeat([1.0, 0.0, -1.0], [162, 108, 54])
    assert weighted_mean(scores, correction=False).se == pytest.approx(0.0414087, abs=5e-8)


@needs_data
def test_sfo_net_promoter_score() -> None:
    """SFO passenger survey 2017: NPS 39.8398 (37.225 to 42.455); weighted 40.3984, SE 1.4457, with strata 1.4434."""
    frame = pd.read_csv(DATA / "sfo_2017.csv")
    frame["NETPRO"] = pd.to_numeric(frame["NETPRO"], errors="coerce")
    frame = frame[frame["NETPRO"].between(0, 10)]
    score = 100.0 * ((frame["NETPRO"] >= 9).astype(int) - (frame["NETPRO"] <= 6).astype(int))
    plain = weighted_mean(score, correction=False)
    assert plain.n == 2746
    assert plain.mean == pytest.approx(39.8398, abs=5e-5)
    assert (plain.low, plain.high) == pytest.approx((37.225, 42.455), abs=5e-4)
    weighted = weighted_mean(score, weights=frame["WEIGHT"])
    assert weighted.mean == pytest.approx(40.3984, abs=5e-5)
    assert weighted.se == pytest.approx(1.4457, abs=5e-5)
    assert weighted_mean(score, weights=frame["WEIGHT"], strata=frame["STRATA"]).se == pytest.approx(1.4434, abs=5e-5)


@needs_data
def test_sfo_waves() -> None:
    """SFO overall rating, top-box share 2013 .21334 (SE .00784), 2017 .26502 (SE .00941), z 4.218 (n-1 form 4.2174)."""
    waves = []
    for year, column in ((2013, "Q7O_WHOLE"), (2017, "Q7ALL")):
        frame = pd.read_csv(DATA / f"sfo_{year}.csv", low_memory=False)
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
        frame = frame[frame[column].between(1, 5)]
        waves.append((frame[column] == 5, frame["WEIGHT"]))
    n_form = [weighted_mean(top, weights=w, correction=False) for top, w in waves]
    assert [e.mean for e in n_form] == pytest.approx([0.21334, 0.26502], abs=5e-6)
    assert [e.se for e in n_form] == pytest.approx([0.00784, 0.00941], abs=5e-6)
    change = two_means(*n_form)
    assert change.value / math.hypot(*(e.se for e in n_form)) == pytest.approx(4.218, abs=5e-4)
    corrected = [weighted_mean(top, weights=w) for top, w in waves]
    change = two_means(*corrected)
    assert change.value / math.hypot(*(e.se for e in corrected)) == pytest.approx(4.2174, abs=5e-5)
