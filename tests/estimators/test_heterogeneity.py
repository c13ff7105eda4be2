"""Pooling and shrinking of several estimates: published numbers, another library, coverage."""

import numpy as np
import pytest
from statsmodels.stats.meta_analysis import combine_effects

from crm_analysis.estimators.heterogeneity import pool, shrink

SCHOOLS = [28, 8, -3, 7, -1, 1, 18, 12]
SCHOOL_ERRORS = [15, 10, 16, 11, 9, 11, 10, 18]


def test_eight_schools_published():
    """Gelman, Carlin, Stern and Rubin, Bayesian Data Analysis, section 5.5: pooled estimate 7.7, standard error 4.1."""
    found = pool(SCHOOLS, SCHOOL_ERRORS)
    assert round(found.mean, 1) == 7.7 and round(found.se, 1) == 4.1
    assert found.tau == 0.0 and found.p > 0.5
    value, low, high = shrink(SCHOOLS, SCHOOL_ERRORS)
    assert value == pytest.approx(np.full(8, found.mean))
    assert (low < found.low).all() and (high > found.high).all(), "a spread estimated as zero is not known to be zero"


@pytest.mark.parametrize("seed", range(5))
def test_pooling_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.5, 2, 9)
    estimates = rng.normal(3, 2, 9) + rng.normal(0, errors)
    found, oracle = pool(estimates, errors), combine_effects(estimates, errors**2, method_re="dl")
    assert found.q == pytest.approx(oracle.q)
    assert found.tau**2 == pytest.approx(oracle.tau2)
    assert found.mean == pytest.approx(oracle.mean_effect_re)
    assert found.se == pytest.approx(oracle.sd_eff_w_re)


def test_shrinking_equals_the_formula_by_hand():
    estimates, errors = np.array([0.0, 4.0, 10.0]), np.array([1.0, 1.0, 1.0])
    spread = np.var(estimates, ddof=1) - 1  # with equal errors DerSimonian and Laird's is the plain excess variance
    value, low, high = shrink(estimates, errors)
    kept = spread / (spread + 1)
    assert value == pytest.approx(estimates.mean() + kept * (estimates - estimates.mean()))
    g1, g2 = kept, (1 - kept) ** 2 * (spread + 1) / 3
    g3 = 2 * (spread + 1) ** 2 / 3 / (spread + 1) ** 3
    assert (high - low) / 2 == pytest.approx(np.full(3, 1.959964 * min(np.sqrt(g1 + g2 + 2 * g3), 1.0)), rel=1e-6)
    assert (np.abs(value - estimates.mean()) <= np.abs(estimates - estimates.mean())).all()


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0, 3.0])
def test_shrunken_intervals_cover_the_true_values(spread):
    rng = np.random.default_rng(7)
    held = []
    for _replication in range(800):
        truth, errors = rng.normal(5, spread, 8), rng.uniform(0.5, 1.5, 8)
        _value, low, high = shrink(rng.normal(truth, errors), errors)
        held.append(((low <= truth) & (truth <= high)).mean())
    assert np.mean(held) > 0.94


def test_one_estimate_stands_alone_and_bad_input_raises():
    value, low, high = shrink([5.0], [2.0])
    assert value[0] == 5.0 and high[0] - low[0] == pytest.approx(2 * 1.959964 * 2, rel=1e-6)
    assert pool([5.0], [2.0]).p is None
    with pytest.raises(ValueError, match="as many standard errors"):
        pool([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="positive"):
        pool([1.0, 2.0], [1.0, 0.0])
