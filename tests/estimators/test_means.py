"""Differences in means: definitions, oracles (scipy, statsmodels, brute force) and the Hillstrom figures."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from crm_analysis.estimators import means

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.fixture
def arms():
    rng = np.random.default_rng(7)
    before_t, before_c = rng.gamma(2, 30, 180), rng.gamma(2, 30, 120)
    return before_t * 0.5 + rng.normal(12, 20, 180), before_c * 0.5 + rng.normal(5, 30, 120), before_t, before_c


def test_welch_equals_scipy(arms):
    treated, control, *_ = arms
    result = means.welch(treated, control)
    oracle = stats.ttest_ind(treated, control, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert result.p_value == pytest.approx(oracle.pvalue)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert result.difference == pytest.approx(treated.mean() - control.mean())
    assert result.degrees_of_freedom == pytest.approx(oracle.df)


def test_order_of_units_is_irrelevant_and_arms_are_antisymmetric(arms):
    treated, control, *_ = arms
    forward, backward = means.welch(treated, control), means.welch(control[::-1], treated[::-1])
    assert forward.difference == pytest.approx(-backward.difference)
    assert forward.low == pytest.approx(-backward.high)


def test_moments_are_enough(arms):
    treated, control, *_ = arms
    from_rows = means.welch(treated, control)
    from_moments = means.welch_from_moments(
        means.Moments(treated.size, treated.mean(), treated.var(ddof=1)),
        means.Moments(control.size, control.mean(), control.var(ddof=1)),
    )
    assert from_rows == from_moments


def test_undefined_is_not_certain():
    single = means.welch([3.0], [1.0, 2.0])
    assert single.difference == 1.5
    assert single.low is None and single.high is None and single.p_value is None
    flat = means.welch([0.0, 0.0, 0.0], [0.0, 0.0])
    assert flat.difference == 0 and flat.low is None and flat.standard_error is None


def test_missing_outcomes_are_refused():
    with pytest.raises(ValueError, match="treated: 1 of 2 outcomes are missing"):
        means.cuped([1.0, np.nan], [1.0], treated_before=[1, 2], control_before=[1])


def test_cuped_without_variation_before_is_welch(arms):
    treated, control, *_ = arms
    plain = means.welch(treated, control)
    adjusted = means.cuped(treated, control, treated_before=np.ones(180), control_before=np.ones(120))
    assert (adjusted.low, adjusted.high) == pytest.approx((plain.low, plain.high))


def test_cuped_is_narrower_when_the_past_predicts(arms):
    treated, control, before_t, before_c = arms
    plain = means.welch(treated, control)
    adjusted = means.cuped(treated, control, treated_before=before_t, control_before=before_c)
    assert adjusted.standard_error < plain.standard_error


@pytest.mark.parametrize("columns", [1, 2])
def test_lin_equals_statsmodels_interacted_regression(arms, columns):
    treated, control, before_t, before_c = arms
    rng = np.random.default_rng(3)
    x_t, x_c = before_t[:, None], before_c[:, None]
    if columns == 2:
        x_t, x_c = np.c_[x_t, rng.normal(size=180)], np.c_[x_c, rng.normal(size=120)]
    result = means.lin_adjusted(treated, control, treated_before=x_t, control_before=x_c)
    arm = np.r_[np.ones(180), np.zeros(120)]
    x = np.r_[x_t, x_c]
    x = x - x.mean(axis=0)
    fit = sm.OLS(np.r_[treated, control], np.c_[np.ones(300), arm, x, arm[:, None] * x]).fit(cov_type="HC2", use_t=True)
    assert result.difference == pytest.approx(fit.params[1])
    assert result.standard_error == pytest.approx(fit.bse[1])
    assert (result.low, result.high) == pytest.approx(tuple(fit.conf_int()[1]))


def test_bootstrap_of_block_sums_has_the_mean_and_error_of_the_arm():
    rng = np.random.default_rng(11)
    values = np.where(rng.random(30_000) < 0.9, 0.0, rng.lognormal(3, 1, 30_000))
    draws = means.bootstrap_means(values, draws=1999, rng=np.random.default_rng(1))
    assert draws.shape == (1999, 1)
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert draws.mean() == pytest.approx(values.mean(), abs=4 * error / np.sqrt(1999) + 1e-9)
    assert draws.std(ddof=1) == pytest.approx(error, rel=0.08)


def test_bootstrap_of_few_units_is_the_ordinary_bootstrap():
    values = np.array([[0.0, 1.0], [4.0, 1.0], [10.0, 1.0]])
    draws = means.bootstrap_means(values, draws=4000, rng=np.random.default_rng(5))
    assert (draws[:, 1] == 1.0).all()
    every = {(a + b + c) / 3 for a in (0, 4, 10) for b in (0, 4, 10) for c in (0, 4, 10)}
    assert {round(x, 9) for x in draws[:, 0]} == {round(x, 9) for x in every}


@pytest.mark.realdata("hillstrom.parquet")
def test_hillstrom_mens_email():
    """MineThatData challenge (Hillstrom 2008): men's e-mail against none, spend in the two weeks after."""
    frame = pd.read_parquet(DATA / "hillstrom.parquet")
    treated = frame[frame["segment"] == "Mens E-Mail"]
    control = frame[frame["segment"] == "No E-Mail"]
    plain = means.welch(treated["spend"], control["spend"])
    assert (plain.n_treated, plain.n_control) == (21307, 21306)
    assert plain.mean_treated == pytest.approx(1.42261651, abs=5e-9)
    assert plain.mean_control == pytest.approx(0.65278936, abs=5e-9)
    assert plain.difference == pytest.approx(0.76982716, abs=5e-9)
    assert (plain.low, plain.high) == pytest.approx((0.48513973, 1.05451458), abs=5e-9)
    adjusted = means.cuped(
        treated["spend"], control["spend"], treated_before=treated["history"], control_before=control["history"]
    )
    assert adjusted.difference == pytest.approx(0.76743850, abs=5e-9)
    assert (adjusted.low, adjusted.high) == pytest.approx((0.48281285, 1.05206415), abs=1e-8)
    visits = means.welch(treated["visit"], control["visit"])
    assert (visits.mean_treated, visits.mean_control) == pytest.approx((0.18275684, 0.10616728), abs=5e-9)
