"""Members drawn together or within strata: Welch as the simplest case, statsmodels and brute force as oracles."""

import numpy as np
import pytest
import statsmodels.api as sm

from crm_analysis.estimators import arms, means, ratios


@pytest.fixture
def outcomes():
    rng = np.random.default_rng(5)
    return rng.gamma(2, 30, 240), rng.gamma(2, 25, 160)


def households(n, size, rng):
    return rng.permutation(np.repeat(np.arange(n // size + 1), size)[:n]).astype(np.int64)


def test_alone_and_without_strata_it_is_welch(outcomes):
    treated, control = outcomes
    found = arms.difference(treated, control, treated=arms.Arm(240), control=arms.Arm(160))
    welch = means.welch(treated, control)
    for name in ("difference", "low", "high", "p_value", "degrees_of_freedom", "standard_error"):
        assert getattr(found, name) == pytest.approx(getattr(welch, name))


def test_clusters_equal_statsmodels_but_for_its_small_sample_factor(outcomes):
    treated, control = outcomes
    rng = np.random.default_rng(6)
    unit_t, unit_c = households(240, 4, rng), households(160, 4, rng) + 1000
    found = arms.difference(treated, control, treated=arms.Arm(240, unit=unit_t), control=arms.Arm(160, unit=unit_c))
    design = sm.add_constant(np.r_[np.ones(240), np.zeros(160)])
    groups = np.r_[unit_t, unit_c]
    fit = sm.OLS(np.r_[treated, control], design).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    parts = [
        arms.arm_mean(y, arms.Arm(len(y), unit=u)).covariance[0, 0] for y, u in ((treated, unit_t), (control, unit_c))
    ]
    counts = [np.unique(unit).size for unit in (unit_t, unit_c)]
    raw = sum(part * (g - 1) / g for part, g in zip(parts, counts, strict=True))
    assert raw == pytest.approx(fit.bse[1] ** 2)
    assert found.standard_error**2 == pytest.approx(sum(parts))


def test_twins_count_once(outcomes):
    treated, control = outcomes
    twice = arms.difference(
        np.repeat(treated, 2),
        np.repeat(control, 2),
        treated=arms.Arm(480, unit=np.repeat(np.arange(240), 2)),
        control=arms.Arm(320, unit=np.repeat(np.arange(160), 2)),
    )
    once = means.welch(treated, control)
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    naive = means.welch(np.repeat(treated, 2), np.repeat(control, 2))
    assert naive.high - naive.low < 0.75 * (twice.high - twice.low)


def test_strata_weigh_each_difference_by_its_treated():
    rng = np.random.default_rng(8)
    s_t, s_c = np.r_[np.zeros(80, int), np.ones(20, int)], np.r_[np.zeros(20, int), np.ones(80, int)]
    treated, control = rng.normal(10 + 50 * s_t), rng.normal(5 + 50 * s_c)
    share = arms.shares(s_t, s_c, over="treated")
    assert share == (0.8, 0.2)
    found = arms.difference(
        treated,
        control,
        treated=arms.Arm(100, stratum=s_t, share=share),
        control=arms.Arm(100, stratum=s_c, share=share),
    )
    brute = 0.8 * (treated[s_t == 0].mean() - control[s_c == 0].mean()) + 0.2 * (
        treated[s_t == 1].mean() - control[s_c == 1].mean()
    )
    spread = sum(
        w**2 * (treated[s_t == s].var(ddof=1) / (s_t == s).sum() + control[s_c == s].var(ddof=1) / (s_c == s).sum())
        for s, w in ((0, 0.8), (1, 0.2))
    )
    assert found.difference == pytest.approx(brute)
    assert found.standard_error == pytest.approx(np.sqrt(spread))
    assert found.low < 5 < found.high, "the truth is 5 in both strata"
    assert means.welch(treated, control).high < 0, "the plain difference mixes strata"


def test_influence_squared_over_units_is_the_variance(outcomes):
    treated, _control = outcomes
    rng = np.random.default_rng(3)
    stratum = rng.integers(0, 3, 240)
    arm = arms.Arm(240, unit=households(240, 1, rng), stratum=stratum, share=(0.2, 0.5, 0.3))
    parts = arms.influence(treated, arm)
    assert (parts**2).sum() == pytest.approx(arms.arm_mean(treated, arm).covariance[0, 0])
    assert parts.sum() == pytest.approx(0, abs=1e-9)


def test_bootstrap_draws_whole_units_within_strata(outcomes):
    treated, _control = outcomes
    rng = np.random.default_rng(4)
    stratum = (np.arange(240) < 90).astype(np.int64)
    arm = arms.Arm(240, unit=np.arange(240) // 3, stratum=stratum, share=(0.6, 0.4))
    drawn = arms.bootstrap_arm(treated, arm, draws=4000, rng=rng)
    exact = arms.arm_mean(treated, arm)
    assert drawn.mean() == pytest.approx(exact.mean[0], rel=0.01)
    assert drawn.std() == pytest.approx(np.sqrt(exact.covariance[0, 0]), rel=0.06)


def test_an_empty_stratum_and_missing_outcomes_are_refused():
    with pytest.raises(ValueError, match="a stratum with weight has no member in one arm"):
        arms.arm_mean([1.0, 2.0], arms.Arm(2, stratum=np.zeros(2, np.int64), share=(0.5, 0.5)))
    with pytest.raises(ValueError, match="no purchase is zero, not missing"):
        arms.arm_mean([1.0, np.nan], arms.Arm(2))


def test_one_unit_has_no_interval():
    found = arms.difference(
        [1.0, 2.0], [3.0, 5.0, 4.0], treated=arms.Arm(2, unit=np.zeros(2, np.int64)), control=arms.Arm(3)
    )
    assert found.difference == pytest.approx(-2.5) and found.low is None and found.p_value is None


def test_ratio_and_lin_by_units_agree_with_members_alone(outcomes):
    treated, _control = outcomes
    orders = np.random.default_rng(2).integers(1, 5, 240).astype(float)
    alone, each = ratios.delta_ratio(treated, orders), ratios.delta_ratio(treated, orders, unit=np.arange(240))
    assert (each.low, each.high) == pytest.approx((alone.low, alone.high))
    twins = ratios.delta_ratio(np.repeat(treated, 2), np.repeat(orders, 2), unit=np.repeat(np.arange(240), 2))
    assert (twins.low, twins.high) == pytest.approx((alone.low, alone.high))


def test_lin_by_units_equals_statsmodels_clustered(outcomes):
    treated, control = outcomes
    rng = np.random.default_rng(12)
    before_t, before_c = rng.normal(treated, 20), rng.normal(control, 20)
    unit_t, unit_c = np.arange(240) // 3, np.arange(160) // 2 + 1000
    found = means.lin_adjusted(
        treated, control, treated_before=before_t, control_before=before_c, treated_unit=unit_t, control_unit=unit_c
    )
    centred = np.r_[before_t, before_c] - np.r_[before_t, before_c].mean()
    arm = np.r_[np.ones(240), np.zeros(160)]
    fit = sm.OLS(np.r_[treated, control], sm.add_constant(np.column_stack([arm, centred, arm * centred]))).fit(
        cov_type="cluster", cov_kwds={"groups": np.r_[unit_t, unit_c], "use_correction": False}
    )
    assert found.difference == pytest.approx(fit.params[1])
    assert found.standard_error == pytest.approx(fit.bse[1], rel=0.02)


def test_effect_on_the_reached_is_the_wald_ratio_and_covers():
    """Half of the treated are reached; each gains 10. Two-stage least squares gives the same number."""
    rng = np.random.default_rng(21)
    hits = 0
    for run in range(300):
        reached = rng.random(200) < 0.5
        treated, control = rng.normal(20, 15, 200) + 10 * reached, rng.normal(20, 15, 200)
        found = arms.complier_effect(
            treated,
            control,
            treated_reached=reached,
            control_reached=np.zeros(200),
            treated=arms.Arm(200),
            control=arms.Arm(200),
        )
        hits += found.low <= 10 <= found.high
        if run == 0:
            itt = treated.mean() - control.mean()
            assert found.effect == pytest.approx(itt / reached.mean())
    assert hits / 300 > 0.91


def test_reached_alike_has_no_effect_of_reaching(outcomes):
    treated, control = outcomes
    everybody = {"treated_reached": np.ones(240), "control_reached": np.ones(160)}
    assert arms.complier_effect(treated, control, **everybody, treated=arms.Arm(240), control=arms.Arm(160)) is None


@pytest.mark.slow
def test_clustered_interval_covers_where_the_plain_one_does_not():
    rng = np.random.default_rng(31)
    hits, naive = 0, 0
    for _run in range(800):
        unit = np.repeat(np.arange(60), 5)
        treated = rng.normal(0, 3, 60).repeat(5) + rng.normal(0, 3, 300)
        control = rng.normal(0, 3, 60).repeat(5) + rng.normal(0, 3, 300)
        found = arms.difference(treated, control, treated=arms.Arm(300, unit=unit), control=arms.Arm(300, unit=unit))
        plain = means.welch(treated, control)
        hits += found.low <= 0 <= found.high
        naive += plain.low <= 0 <= plain.high
    assert 0.93 <= hits / 800 <= 0.97 and naive / 800 < 0.85
