"""Pooling and shrinkage of many estimates: published numbers, another library, limits, coverage."""

import numpy as np
import pytest
from statsmodels.stats.meta_analysis import combine_effects

from crm_analysis.estimators.shrinkage import pool, shrink

SCHOOLS = [28, 8, -3, 7, -1, 1, 18, 12]
SCHOOL_ERRORS = [15, 10, 16, 11, 9, 11, 10, 18]
HITS = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]
"""Hits in the first 45 times at bat of 1970, 18 players (Efron and Morris 1977, the first table)."""
DRAWN = [
    0.294,
    0.289,
    0.285,
    0.280,
    0.275,
    0.275,
    0.270,
    0.266,
    0.261,
    0.261,
    0.256,
    0.256,
    0.256,
    0.256,
    0.256,
    0.251,
    0.247,
    0.242,
]
"""Their James-Stein averages as printed there."""


def test_batting_averages_published():
    """With equal errors the weights are James and Stein's, 1 - (k - 3) s^2 / sum (x - mean)^2: .212 in that paper."""
    averages = np.array(HITS) / 45
    found = shrink(averages, np.full(18, np.sqrt(0.2654 * 0.7346 / 45)))
    assert found.weight == pytest.approx(np.full(18, 0.212), abs=0.002)
    assert found.value == pytest.approx(np.array(DRAWN), abs=0.0011)


def test_eight_schools_published():
    """Gelman, Carlin, Stern and Rubin, Bayesian Data Analysis, section 5.5: pooled estimate 7.7, standard error 4.1."""
    found = pool(SCHOOLS, SCHOOL_ERRORS)
    assert round(found.mean, 1) == 7.7 and round(found.se, 1) == 4.1
    assert found.tau == 0.0 and found.p > 0.5
    drawn = shrink(SCHOOLS, SCHOOL_ERRORS)
    assert drawn.weight == pytest.approx(np.full(8, 2 / 7)), "a spread estimated as zero is not known to be zero"
    assert (drawn.low < found.low).all() and (drawn.high > found.high).all()


@pytest.mark.parametrize("seed", [0, 1, 3, 4])  # statsmodels' iteration does not arrive for every seed
def test_pooling_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.5, 2, 9)
    estimates = rng.normal(3, 2, 9) + rng.normal(0, errors)
    found = pool(estimates, errors)
    oracle = combine_effects(estimates, errors**2, method_re="iterated", atol=1e-10)
    assert found.q == pytest.approx(oracle.q)
    assert found.tau**2 == pytest.approx(oracle.tau2, rel=1e-5, abs=1e-9)
    assert found.mean == pytest.approx(oracle.mean_effect_re, rel=1e-5)
    assert found.se == pytest.approx(oracle.sd_eff_w_re, rel=1e-5)
    assert (((estimates - found.mean) ** 2) / (errors**2 + found.tau**2)).sum() == pytest.approx(8), "the definition"


def test_one_estimate_is_pooled_as_it_is_and_bad_input_raises():
    alone = pool([5.0], [2.0])
    assert alone.p is None and alone.mean == 5.0 and alone.high - alone.low == pytest.approx(2 * 1.959964 * 2, rel=1e-6)
    with pytest.raises(ValueError, match="as many standard errors"):
        pool([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="positive"):
        pool([1.0, 2.0], [1.0, 0.0])


def test_equal_truths_are_drawn_together_and_far_ones_are_left_alone():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, 20)
    alike = shrink(noise - noise.mean() + 3, np.full(20, 3.0))
    assert alike.spread == 0 and np.ptp(alike.value) < 0.2 * np.ptp(noise)
    apart = shrink(np.arange(20.0) * 100, np.full(20, 1.0))
    assert apart.value == pytest.approx(np.arange(20.0) * 100, abs=0.1)
    assert (apart.low < apart.value).all() and (apart.value < apart.high).all()


def test_the_noisier_is_drawn_further():
    found = shrink([10.0, 10.0, -5.0, -6.0, 0.0], [1.0, 8.0, 1.0, 1.0, 1.0])
    assert found.weight[1] < found.weight[0] and abs(found.value[1]) < abs(found.value[0])


def test_errors_fall_and_intervals_hold_on_average():
    rng = np.random.default_rng(4)
    own = drawn = hits = total = 0.0
    for _run in range(400):
        errors = rng.uniform(0.5, 3.0, 8)
        truth = rng.normal(2, 1.0, 8)
        seen = rng.normal(truth, errors)
        found = shrink(seen, errors)
        own += ((seen - truth) ** 2).sum()
        drawn += ((found.value - truth) ** 2).sum()
        hits += ((found.low <= truth) & (truth <= found.high)).sum()
        total += 8
    assert drawn < 0.7 * own
    assert 0.92 <= hits / total <= 0.995


def test_three_are_left_as_they_are():
    found = shrink([1.0, 2.0, 9.0], [1.0, 1.0, 2.0])
    assert found.value.tolist() == [1.0, 2.0, 9.0] and (found.weight == 1).all()
    assert found.high - found.value == pytest.approx(1.959964 * np.array([1.0, 1.0, 2.0]), rel=1e-6)


@pytest.mark.parametrize(
    ("x", "s", "said"), [([1.0], [1.0], "at least 2"), ([1.0] * 4, [1.0, 0.0, 1.0, 1.0], "positive")]
)
def test_too_few_or_certain_estimates_are_refused(x, s, said):
    with pytest.raises(ValueError, match=said):
        shrink(x, s)
