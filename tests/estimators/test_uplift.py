"""Qini curve and cross-fitted uplift: the definition by brute force, planted differences and none, coverage."""

import numpy as np
import pytest

from crm_analysis.estimators.uplift import cross_fit, forward_fit, mean_gain, qini


def people(seed, n=2400, *, differing=0.0, effect=2.0):
    rng = np.random.default_rng(seed)
    x, treated = rng.normal(size=(n, 4)), rng.random(n) < 0.6
    true = effect + differing * x[:, 0]
    spend = np.where(rng.random(n) < 0.3, rng.gamma(1.5, 20, n), 0.0)
    return spend + 3 * x[:, 1] + treated * true, treated, x, true


def radcliffe(y, w, order):
    """S_t - S_c N_t / N_c after each unit, over the treated, as Radcliffe 2007 and scikit-uplift define it."""
    curve = [0.0]
    for last in range(1, len(y) + 1):
        top = order[:last]
        t, c = top[w[top]], top[~w[top]]
        curve.append((y[t].sum() - y[c].sum() * len(t) / len(c)) / w.sum() if len(t) and len(c) else np.nan)
    return np.array(curve)


def test_qini_curve_equals_its_definition_unit_by_unit():
    rng = np.random.default_rng(3)
    n = 90
    y, w, rank = rng.normal(size=n), rng.random(n) < 0.5, rng.permutation(n) / n
    found = qini(y, w, rank, rng=rng, cells=n, draws=20)
    brute = radcliffe(y, w, np.argsort(rank))
    at = np.round(found.targeted * n).astype(int)
    assert found.gain == pytest.approx(brute[at])
    area = sum(
        (b - a) / n * (brute[a] + brute[b]) / 2 for a, b in zip(at[:-1], at[1:], strict=True)
    )  # fmt: skip
    assert found.coefficient == pytest.approx(area - brute[-1] / 2)
    assert found.gain[-1] == pytest.approx(y[w].mean() - y[~w].mean())


def test_order_of_rows_does_not_matter_and_ties_stay_together():
    rng = np.random.default_rng(5)
    y, w = rng.normal(size=400), rng.random(400) < 0.5
    rank = rng.integers(1, 5, 400) / 4
    mixed = rng.permutation(400)
    one = qini(y, w, rank, rng=np.random.default_rng(1), draws=5)
    other = qini(y[mixed], w[mixed], rank[mixed], rng=np.random.default_rng(1), draws=5)
    assert one.gain == pytest.approx(other.gain) and one.coefficient == pytest.approx(other.coefficient)
    assert len(one.targeted) == 5, "four ranks make four cuts and the origin"


def test_everybody_alike_is_the_straight_line():
    y, w, _x, _true = people(1)
    found = qini(y, w, np.ones(len(y)), rng=np.random.default_rng(1), draws=50)
    assert found.coefficient == 0.0 and found.targeted.tolist() == [0.0, 1.0]


def test_planted_differences_are_found_and_absent_ones_are_not():
    found = {}
    for differing in (0.0, 6.0):
        hits = []
        for seed in range(12):
            y, w, x, _true = people(seed, differing=differing)
            rng = np.random.default_rng(seed)
            curve = qini(y, w, cross_fit(y, w, x, rng=rng).rank, rng=rng, draws=200)
            hits.append(curve.coefficient_low > 0)
        found[differing] = np.mean(hits)
    assert found[6.0] > 0.9
    assert found[0.0] <= 0.25


def test_predictions_follow_the_truth_and_never_saw_the_unit():
    y, w, x, true = people(2, n=6000, differing=5.0)
    fit = cross_fit(y, w, x, rng=np.random.default_rng(0))
    assert np.corrcoef(fit.uplift, true)[0, 1] > 0.9
    changed = y.copy()
    changed[fit.fold == 3] += 1000.0 * w[fit.fold == 3]
    again = cross_fit(changed, w, x, rng=np.random.default_rng(0))
    assert again.uplift[fit.fold == 3] == pytest.approx(fit.uplift[fit.fold == 3])
    assert again.uplift[fit.fold == 0] != pytest.approx(fit.uplift[fit.fold == 0])


def test_forward_fit_learns_only_from_earlier_folds():
    y, w, x, _true = people(2, differing=5.0)
    fit = forward_fit(y, w, x, rng=np.random.default_rng(0))
    assert np.isnan(fit.uplift[fit.fold < 2]).all() and np.isfinite(fit.uplift[fit.fold >= 2]).all()
    changed = np.where(fit.fold == 4, y + 1000.0 * w, y)
    again = forward_fit(changed, w, x, rng=np.random.default_rng(0))
    assert again.uplift[fit.fold >= 2] == pytest.approx(fit.uplift[fit.fold >= 2])


def test_mean_score_is_the_average_effect():
    """Over all units the doubly robust score estimates the average effect, about as the difference in means does."""
    y, w, x, true = people(4, n=20_000, differing=3.0)
    fit = cross_fit(y, w, x, rng=np.random.default_rng(0))
    gain = mean_gain(fit.score)
    assert gain.low < true.mean() < gain.high
    assert gain.mean == pytest.approx(y[w].mean() - y[~w].mean(), abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("differing", [0.0, 4.0])
def test_the_interval_of_a_learned_rule_covers_its_true_worth(differing):
    """Where the cost is the average effect the rule is the closest call; cross-fitting covers some 90 % there."""
    held = []
    for seed in range(300):
        y, w, x, true = people(seed, n=800, differing=differing)
        fit = forward_fit(y, w, x, rng=np.random.default_rng(seed))
        judged = np.isfinite(fit.uplift)
        chosen = fit.uplift[judged] > 2.0
        gain = mean_gain(np.where(chosen, 0.0, 2.0 - fit.score[judged]))
        worth = np.where(chosen, 0.0, 2.0 - true[judged]).mean()
        held.append(gain.low is None or gain.low <= worth <= gain.high)
    assert np.mean(held) > 0.91


def test_the_bootstrap_interval_is_about_the_normal_one():
    """At the end of the curve stands the difference in means, whose standard error is known."""
    y, w, _x, _true = people(8, n=5000)
    found = qini(y, w, np.random.default_rng(0).permutation(5000), rng=np.random.default_rng(1), draws=999)
    error = np.sqrt(y[w].var(ddof=1) / w.sum() + y[~w].var(ddof=1) / (~w).sum())
    assert (found.high[-1] - found.low[-1]) / 2 == pytest.approx(1.96 * error, rel=0.15)


def test_too_few_units_raise():
    y, w, x, _true = people(1, n=20)
    with pytest.raises(ValueError, match="at least 10 units for 5 folds"):
        cross_fit(y, w & (np.arange(20) < 5), x, rng=np.random.default_rng(0))
