"""Comparisons without randomisation: definitions, oracles (statsmodels, brute force), published numbers, simulation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.treatment.tests as published
from scipy import stats
from scipy.optimize import approx_fprime
from statsmodels.treatment.treatment_effects import TreatmentEffect

from crm_analysis.estimators import observational as obs

CATTANEO = Path(published.__file__).parent / "results" / "cataneo2.csv"
"""Birth weights and smoking, 4,642 births (Cattaneo 2010), as Stata's manual of `teffects` and statsmodels use them."""


@pytest.fixture
def world():
    """A list that depends on two covariates, an effect of 5 on everybody, outcomes linear in the covariates."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(900, 2))
    treated = rng.random(900) < 1 / (1 + np.exp(1.5 - x[:, 0]))
    outcome = 10 + 4 * x[:, 0] - 2 * x[:, 1] + 5 * treated + rng.normal(0, 3, 900)
    return outcome, treated, x


def panel(rng, *, n=60, periods=4, drift=0.0):
    """Units x periods with effects of unit and period; the first third is treated in the last period."""
    treated = np.arange(n) < n // 3
    values = rng.normal(0, 5, (n, 1)) + rng.normal(0, 2, periods) + rng.normal(0, 1, (n, periods))
    values[treated] += drift * np.arange(periods)
    values[treated, -1] += 3
    return values, treated


def long(values, treated):
    n, periods = values.shape
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), periods),
            "period": np.tile(np.arange(periods), n),
            "y": values.ravel(),
            "treated": np.repeat(treated, periods).astype(int),
        }
    )


def two_way(frame, regressors):
    """Ordinary least squares with a dummy per unit and period, clustered by unit without small-sample factors."""
    dummies = pd.get_dummies(frame[["unit", "period"]].astype(str), drop_first=True, dtype=float)
    design = sm.add_constant(pd.concat([regressors, dummies], axis=1))
    groups = {"groups": frame["unit"], "use_correction": False}
    return sm.OLS(frame["y"], design).fit(cov_type="cluster", cov_kwds=groups)


def test_naive_difference_is_the_difference_in_means(world):
    outcome, treated, _ = world
    found = obs.naive_difference(outcome, treated)
    assert found.estimate == pytest.approx(outcome[treated].mean() - outcome[~treated].mean())
    assert (found.n_treated, found.n_comparison) == (treated.sum(), (~treated).sum())


def test_own_change_is_the_paired_t_test():
    rng = np.random.default_rng(6)
    before, after = rng.gamma(1, 10, 40), rng.gamma(1, 12, 40)
    oracle = stats.ttest_rel(after, before)
    found = obs.own_change(before, after)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert (found.n_treated, found.n_comparison) == (40, 0)


def test_ancova_equals_statsmodels_hc2(world):
    outcome, treated, x = world
    oracle = sm.OLS(outcome, sm.add_constant(np.column_stack([treated, x]))).fit(cov_type="HC2", use_t=True)
    found = obs.ancova(outcome, treated, x)
    assert found.estimate == pytest.approx(oracle.params[1])
    assert found.standard_error == pytest.approx(oracle.bse[1])
    assert (found.low, found.high) == pytest.approx(tuple(oracle.conf_int()[1]))
    assert found.p_value == pytest.approx(oracle.pvalues[1])


def test_difference_in_differences_is_the_two_way_regression(world):
    values, treated = panel(np.random.default_rng(3))
    frame = long(values, treated)
    post = (frame["treated"] * (frame["period"] == 3)).rename("effect").astype(float)
    oracle = two_way(frame, post.to_frame())
    found = obs.difference_in_differences(values[:, :3], values[:, 3], treated)
    assert found.estimate == pytest.approx(oracle.params["effect"])
    change = values[:, 3] - values[:, :3].mean(axis=1)
    biased = change[treated].var() / treated.sum() + change[~treated].var() / (~treated).sum()
    assert biased == pytest.approx(oracle.bse["effect"] ** 2), "the clustered variance, divisors n instead of n - 1"
    assert found.standard_error**2 == pytest.approx(
        change[treated].var(ddof=1) / treated.sum() + change[~treated].var(ddof=1) / (~treated).sum()
    )


def test_event_study_is_the_two_way_regression_and_its_joint_test():
    values, treated = panel(np.random.default_rng(4), n=60)
    even = np.r_[np.arange(20), np.arange(20, 40)]  # twenty in each group: one factor turns divisors n into n - 1
    values, treated = values[even], treated[even]
    frame = long(values, treated)
    names = {0: -3, 1: -2, 3: 0}
    terms = {f"k{k}": (frame["treated"] * (frame["period"] == at)).astype(float) for at, k in names.items()}
    oracle = two_way(frame, pd.DataFrame(terms))
    found = obs.event_study(values, treated, periods=(-3, -2, -1, 0))
    at = dict(zip(found.periods, found.estimates, strict=True))
    assert [at[k] for k in (-3, -2, 0)] == pytest.approx([oracle.params[f"k{k}"] for k in (-3, -2, 0)])
    assert at[-1] == 0.0 and np.isnan(found.low[2])
    wald = oracle.wald_test("k-3 = 0, k-2 = 0", scalar=True, use_f=False)
    assert found.statistic == pytest.approx(float(wald.statistic) * 19 / 20)
    assert found.rank == 2


def test_pre_trend_test_is_exact_for_normal_changes():
    rng = np.random.default_rng(8)
    p_values = []
    for _ in range(400):
        values, treated = panel(rng, n=45)
        p_values.append(obs.event_study(values, treated, periods=(-3, -2, -1, 0)).p_value)
    rejected = np.mean(np.array(p_values) < 0.05)
    assert rejected < 0.09, "at most the nominal 5 %, up to chance: the smaller group's degrees of freedom are used"
    values, treated = panel(rng, n=300, drift=1.0)
    assert obs.event_study(values, treated, periods=(-3, -2, -1, 0)).p_value < 0.001


def test_event_study_with_nothing_to_test():
    values, treated = panel(np.random.default_rng(5), periods=2)
    found = obs.event_study(values, treated, periods=(-1, 0))
    assert found.p_value is None and found.statistic is None
    assert found.estimates[1] == pytest.approx(
        obs.difference_in_differences(values[:, 0], values[:, 1], treated).estimate
    )


def test_aipw_equals_statsmodels_on_birth_weights():
    births = pd.read_csv(CATTANEO)
    names = ["prenatal1_", "mmarried_", "mage", "fbaby_"]
    arm = births["mbsmoke_"].to_numpy()
    x = births[names].to_numpy(float)
    design = sm.add_constant(births[names].astype(float))
    chosen = sm.Logit(arm, design).fit(disp=False)
    oracle = TreatmentEffect(sm.OLS(births["bweight"].astype(float), design), arm, results_select=chosen)
    full = oracle.aipw(return_results=True).results_gmm
    found = obs.aipw(births["bweight"], arm, x, target="all", trim=0)
    assert found.contrast.estimate == pytest.approx(oracle.aipw(return_results=False)[0], rel=1e-8)
    assert found.contrast.standard_error == pytest.approx(full.bse[0], rel=1e-3)


def equations(parameters, y, d, z):
    """The stacked estimating equations of AIPW on the treated, by their definition, one row per unit."""
    k = z.shape[1]
    chance_of, outcome_of, effect = parameters[:k], parameters[k : 2 * k], parameters[-1]
    chance = 1 / (1 + np.exp(-z @ chance_of))
    left = y - z @ outcome_of
    return np.column_stack(
        [
            z * (d - chance)[:, None],
            z * ((1 - d) * left)[:, None],
            d * (left - effect) - (1 - d) * chance / (1 - chance) * left,
        ]
    )


def test_aipw_on_the_treated_equals_glm_ols_and_the_stacked_equations(world):
    y, treated, x = world
    d, z = treated.astype(float), sm.add_constant(x)
    logit = sm.GLM(d, z, family=sm.families.Binomial()).fit(tol=1e-12)
    line = sm.OLS(y[~treated], z[~treated]).fit()
    odds = logit.mu / (1 - logit.mu)
    left = y - z @ line.params
    effect = (d * left - (1 - d) * odds * left).sum() / d.sum()
    found = obs.aipw(y, treated, x, trim=0)
    assert found.contrast.estimate == pytest.approx(effect, rel=1e-8)
    at = np.r_[logit.params, line.params, effect]
    bread = approx_fprime(at, lambda p: equations(p, y, d, z).mean(axis=0), 1e-6)
    meat = equations(at, y, d, z)
    half = np.linalg.solve(bread, meat.T / len(y))
    assert found.contrast.standard_error == pytest.approx(np.sqrt((half @ half.T)[-1, -1]), rel=1e-4)


def test_aipw_is_right_when_one_of_its_two_models_is():
    rng = np.random.default_rng(21)
    n = 60_000
    x = rng.normal(size=n)
    chosen_by_logit = rng.random(n) < 1 / (1 + np.exp(1 - x))
    bent = x**2 + x + 2 * chosen_by_logit + rng.normal(size=n)  # the line is wrong, the logit right
    assert obs.aipw(bent, chosen_by_logit, x, trim=0).contrast.estimate == pytest.approx(2, abs=0.25)
    chosen_oddly = rng.random(n) < np.where(x > 0, 0.5, 0.1)  # the logit is wrong, the line right
    straight = 3 * x + 2 * chosen_oddly + rng.normal(size=n)
    assert obs.aipw(straight, chosen_oddly, x, trim=0).contrast.estimate == pytest.approx(2, abs=0.1)
    assert obs.naive_difference(straight, chosen_oddly).low > 3


def test_weighting_balances_what_was_uneven(world):
    outcome, treated, x = world
    found = obs.aipw(outcome, treated, x)
    assert abs(found.differences_before[0]) > 0.5
    assert abs(found.differences_after[0]) < 0.1
    assert found.overlap.outside_share < 0.05
    assert 30 < found.overlap.effective_n < (~treated).sum()
    spread = np.std([1, 3], ddof=1)
    weights = ([1, 1], [1.0, 2.0, 3.0])
    assert obs.standardised_difference([1.0, 3.0], [0.0, 1.0, 2.0], weights=weights) == pytest.approx(
        (2 - 8 / 6) / spread
    )


def test_a_list_cut_off_at_a_value_has_no_overlap():
    rng = np.random.default_rng(2)
    value = rng.gamma(1, 10, 2_000)
    treated = value >= np.sort(value)[-100]
    outcome = value + rng.normal(size=2_000)
    found = obs.aipw(outcome, treated, value)
    assert found.contrast is None
    assert found.overlap == obs.Overlap(1.0, 0.0)
    noisy = value + rng.normal(0, 2, 2_000)
    nearly = noisy >= np.sort(noisy)[-100]
    assert obs.aipw(outcome, nearly, value).overlap.outside_share > 0.3


def test_units_outside_the_common_support_are_left_out(world):
    outcome, treated, x = world
    far = np.vstack([x, [[12.0, 0.0]]])
    found = obs.aipw(np.r_[outcome, 1e6], np.r_[treated, True], far)
    assert found.contrast.n_treated < treated.sum() + 1
    assert abs(found.contrast.estimate - 5) < 3, "the one unlike all others does not decide"


def test_robustness_values_of_darfur():
    """Cinelli and Hazlett 2020, section 5; digits from the quick start of their package sensemakr (t, df as there)."""
    assert obs.robustness_value(4.184449984808271, 783) == pytest.approx(0.13878, abs=5e-6)
    assert obs.robustness_value(4.184449984808271, 783, alpha=0.05) == pytest.approx(0.07626, abs=5e-6)
    assert obs.robustness_value(4.18, 783) == pytest.approx(0.139, abs=5e-4)
    assert obs.robustness_value(1.0, 783, alpha=0.05) == 0.0


def test_a_confounder_of_the_robustness_value_explains_the_estimate_away():
    """By its definition: an unrecorded column with that partial R2 on both sides brings the coefficient to zero."""
    rng = np.random.default_rng(31)
    n = 400
    before = rng.normal(size=n)
    arm = (rng.random(n) < 0.4).astype(float)
    outcome = before + 0.8 * arm + rng.normal(size=n)
    found = obs.hidden_bias(outcome, arm, before)
    base = sm.add_constant(np.column_stack([arm, before]))
    fit = sm.OLS(outcome, base).fit()
    f = abs(fit.tvalues[1]) / np.sqrt(fit.df_resid)
    assert found.robustness == pytest.approx(obs.robustness_value(fit.tvalues[1], fit.df_resid))
    r = found.robustness
    bias = np.sqrt(r * r / (1 - r)) * fit.bse[1] * np.sqrt(fit.df_resid)  # eq. 7
    assert bias == pytest.approx(abs(fit.params[1]), rel=1e-9)
    assert f == pytest.approx(r / np.sqrt(1 - r))
    without = sm.OLS(outcome, sm.add_constant(arm)).fit()
    assert found.benchmark_outcome == pytest.approx(1 - fit.ssr / without.ssr)
    assert found.benchmark_treatment == pytest.approx(np.corrcoef(arm, before)[0, 1] ** 2)


def test_undefined_is_not_certain():
    flat = obs.naive_difference([1.0, 1.0, 1.0, 1.0], [1, 1, 0, 0])
    assert (flat.estimate, flat.low, flat.p_value) == (0.0, None, None) and not flat.excludes_zero
    alone = obs.ancova([3.0, 1.0, 2.0, 1.5], [1, 0, 0, 0], [1.0, 2.0, 3.0, 4.0])
    assert alone.low is None
    assert obs.hidden_bias([1.0, 2.0, 3.0, 4.0, 5.0], [1, 0, 1, 0, 1], [2.0] * 5) is None
    assert np.isnan(obs.standardised_difference([1.0], [2.0]))
    assert obs.standardised_difference([1.0, 1.0], [1.0, 1.0]) == 0.0


@pytest.mark.parametrize(
    ("outcome", "treated", "message"),
    [
        ([1.0, np.nan], [1, 0], "1 of 2 outcomes are missing; no purchase is zero, say so"),
        ([1.0, 2.0], [1, 1], "both treated and comparison units are needed"),
        ([1.0, 2.0], [2, 0], r"a unit is treated \(true, 1\) or not \(false, 0\)"),
        ([1.0, 2.0, 3.0], [1, 0], "each unit needs one outcome and one mark of whether it was treated"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(outcome, treated, message):
    with pytest.raises(ValueError, match=message):
        obs.naive_difference(outcome, treated)


def test_order_of_units_and_scale_of_money_do_not_matter(world):
    outcome, treated, x = world
    order = np.random.default_rng(1).permutation(len(outcome))
    for estimator in (obs.ancova, obs.aipw):
        one, other = estimator(outcome, treated, x), estimator(1000 * outcome[order], treated[order], x[order])
        one, other = getattr(one, "contrast", one), getattr(other, "contrast", other)
        assert other.estimate == pytest.approx(1000 * one.estimate)
        assert other.low == pytest.approx(1000 * one.low)


@pytest.mark.slow
def test_intervals_cover_the_truth_where_their_assumption_holds():
    """Lists of about 250 among 2,000, four fifths of the outcomes zero; the habit of paying decides on the list.

    With lists of 120 from the same skewed amounts the interval of the difference in changes covers 92.5 %.
    """
    rng = np.random.default_rng(77)
    runs, effect = 1_000, 4.0
    hit = dict.fromkeys(("did", "aipw"), 0)
    means = dict.fromkeys(hit, 0.0)
    naive = 0.0
    for _ in range(runs):
        habit = rng.gamma(0.6, 20, 2_000)
        pay = rng.random((2_000, 5)) < 0.2
        values = np.where(pay, rng.gamma(1.5, habit[:, None] + 1, (2_000, 5)), 0.0)
        by_habit = rng.random(2_000) < 1 / (1 + np.exp(2.4 - habit / 25))
        values[:, -1] += np.where(by_habit & (rng.random(2_000) < 0.4), rng.gamma(2.0, effect / 0.8, 2_000), 0.0)
        found = {
            "did": obs.difference_in_differences(values[:, :4], values[:, 4], by_habit),
            "aipw": obs.aipw(values[:, 4], by_habit, habit).contrast,
        }
        naive += obs.naive_difference(values[:, 4], by_habit).estimate / runs
        for name, contrast in found.items():
            hit[name] += contrast.low <= effect <= contrast.high
            means[name] += contrast.estimate / runs
    assert naive > 1.5 * effect, "the list is of those who pay more anyway"
    for name in hit:
        assert abs(means[name] - effect) < 0.25, name
        assert 0.93 <= hit[name] / runs <= 0.97, (name, hit[name] / runs)


@pytest.mark.slow
def test_ancova_covers_where_its_line_holds():
    rng = np.random.default_rng(78)
    hit = 0
    for _ in range(2_000):
        before = rng.gamma(1, 10, 500)
        treated = rng.random(500) < np.clip(before / 80, 0.02, 0.9)
        outcome = 0.6 * before + 3 * treated + rng.gamma(0.3, 10, 500)
        found = obs.ancova(outcome, treated, before)
        hit += found.low <= 3 <= found.high
    assert 0.93 <= hit / 2_000 <= 0.97
