"""Ratios and designs: definitions, oracles and published figures."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from crm_analysis.estimators import designs, ratios


def test_fieller_ends_solve_their_equation():
    found = ratios.fieller(3.0, 2.0, variance_numerator=0.4, variance_denominator=0.05, covariance=0.03)
    z = stats.norm.ppf(0.975)
    for end in (found.low, found.high):
        variance = 0.4 - 2 * end * 0.03 + end**2 * 0.05
        assert (3.0 - end * 2.0) ** 2 == pytest.approx(z**2 * variance)
    assert found.low < found.ratio < found.high


def test_fieller_with_a_known_denominator_is_the_plain_interval():
    found = ratios.fieller(3.0, 2.0, variance_numerator=0.25, variance_denominator=0.0)
    assert (found.low, found.high) == pytest.approx((1.5 - 1.959964 * 0.25, 1.5 + 1.959964 * 0.25), rel=1e-6)


def test_fieller_unbounded_is_reported_not_invented():
    found = ratios.fieller(3.0, 0.5, variance_numerator=0.4, variance_denominator=0.1)
    assert not found.bounded and found.low is None and found.high is None


def test_fieller_of_nothing_is_undefined():
    with pytest.raises(ValueError, match="denominator is zero"):
        ratios.fieller(1.0, 0.0, variance_numerator=1.0, variance_denominator=0.0)


def test_fieller_covers_in_simulation():
    rng = np.random.default_rng(20)
    covered = 0
    for _ in range(2000):
        top, bottom = rng.multivariate_normal([2.0, 4.0], [[0.3, 0.1], [0.1, 0.5]])
        found = ratios.fieller(top, bottom, variance_numerator=0.3, variance_denominator=0.5, covariance=0.1)
        covered += found.bounded and found.low <= 0.5 <= found.high
    assert 0.93 < covered / 2000 < 0.97


def test_delta_ratio_of_constant_denominator_is_the_mean():
    values = np.array([1.0, 4.0, 7.0, 0.0])
    found = ratios.delta_ratio(values, np.full(4, 2.0))
    assert found.ratio == pytest.approx(values.mean() / 2)
    assert found.standard_error == pytest.approx(values.std(ddof=1) / 2 / 2)


def test_delta_ratio_matches_the_bootstrap():
    rng = np.random.default_rng(4)
    orders = rng.poisson(2, 4000)
    amount = orders * rng.gamma(3, 10, 4000)
    found = ratios.delta_ratio(amount, orders)
    picks = rng.integers(0, 4000, (1500, 4000))
    brute = (amount[picks].mean(axis=1) / orders[picks].mean(axis=1)).std()
    assert found.standard_error == pytest.approx(brute, rel=0.08)


def test_delta_ratio_difference_combines_independent_arms():
    rng = np.random.default_rng(8)
    found = ratios.delta_ratio_difference(
        treated_numerator=rng.gamma(2, 1, 50),
        treated_denominator=np.ones(50),
        control_numerator=rng.gamma(2, 1, 40),
        control_denominator=np.ones(40),
    )
    assert found.standard_error == pytest.approx(np.hypot(found.treated.standard_error, found.control.standard_error))
    assert found.difference == pytest.approx(found.treated.ratio - found.control.ratio)


def test_ratio_without_a_denominator_is_refused():
    with pytest.raises(ValueError, match="undefined"):
        ratios.delta_ratio([1.0, 2.0], [0.0, 0.0])


def test_sample_ratio_published_figures():
    """9,463 against 7,681 of a 50:50 split; Hillstrom's three arms (REFERENCE, MineThatData challenge 2008)."""
    mismatch = designs.sample_ratio([9463, 7681])
    assert mismatch.chi2 == pytest.approx(185.2266, abs=5e-5)
    assert mismatch.p_value < 0.001
    three = designs.sample_ratio([21307, 21387, 21306])
    assert three.chi2 == pytest.approx(0.202531, abs=5e-7)
    assert three.p_value == pytest.approx(0.903693, abs=5e-7)


def test_sample_ratio_equals_scipy_for_planned_shares():
    found = designs.sample_ratio([880, 120], expected_shares=[9, 1])
    oracle = stats.chisquare([880, 120], [900, 100])
    assert (found.chi2, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_power_of_two_proportions():
    """10 % against 12 %, two-sided 5 %, power 80 % (Cohen 1988, arcsine)."""
    assert designs.cohens_h(0.10, 0.12) == pytest.approx(0.06398210, abs=5e-9)
    assert designs.cohens_h(0.10, 0.12) == pytest.approx(proportion_effectsize(0.12, 0.10))
    assert designs.units_per_arm_for_proportions(0.10, 0.12) == pytest.approx(3834.60, abs=5e-3)
    oracle = NormalIndPower().solve_power(designs.cohens_h(0.10, 0.12), alpha=0.05, power=0.8)
    assert designs.units_per_arm_for_proportions(0.10, 0.12) == pytest.approx(oracle, rel=1e-5)
    with pytest.raises(ValueError, match="equal shares"):
        designs.units_per_arm_for_proportions(0.1, 0.1)


def test_holdout_share_finds_the_difference_it_was_made_for():
    share = designs.control_share_for_difference(2400, difference=4000, standard_deviation=20_000)
    held = share * 2400
    seen = designs.smallest_detectable_difference(2400 - held, held, standard_deviation=20_000)
    assert seen == pytest.approx(4000)
    assert 0 < share < 0.5
    assert designs.control_share_for_difference(100, difference=1, standard_deviation=1000) is None
