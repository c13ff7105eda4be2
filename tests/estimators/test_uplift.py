"""Qini curve and cross-fitted uplift: the definition by brute force, planted differences and none, coverage."""

import numpy as np
import pytest
from scipy import stats

from crm_analysis.estimators.uplift import cross_fit, qini, target


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


def test_the_scores_average_to_the_effect():
    """Over all units the doubly robust score estimates the average effect, about as the difference in means does."""
    y, w, x, true = people(4, n=20_000, differing=3.0)
    score = cross_fit(y, w, x, rng=np.random.default_rng(0)).score
    assert abs(score.mean() - true.mean()) < 4 * score.std() / np.sqrt(score.size)
    assert score.mean() == pytest.approx(y[w].mean() - y[~w].mean(), abs=0.5)


def test_predictions_equal_the_regressions_they_stand_for():
    """The last fold by brute force, on rows instead of sums: least squares, then the free uplift of the R-learner."""
    y, w, x, _true = people(6, n=300)
    alike = np.ones((300, 1))
    fit = cross_fit(y, w, alike, rng=np.random.default_rng(0))
    learned = fit.fold != 4
    rest, lead = y[learned] - y[learned].mean(), w[learned] - w.mean()
    assert fit.uplift[~learned] == pytest.approx(np.full((~learned).sum(), lead @ rest / (lead @ lead)))
    steep = y + 100.0 * w * x[:, 0]
    fit = cross_fit(steep, w, x[:, :1], rng=np.random.default_rng(0))
    slope = np.polyfit(x[fit.fold == 4, 0], fit.uplift[fit.fold == 4], 1)[0]
    assert slope == pytest.approx(100.0, rel=0.1)


@pytest.mark.parametrize("differing", [0.0, 4.0])
def test_treating_everybody_is_worth_the_difference_in_means(differing):
    y, w, x, _true = people(2, n=800, differing=differing)
    found = target(y, w, x, cost=1.5, rng=np.random.default_rng(0))
    welch = stats.ttest_ind(y[w], y[~w], equal_var=False)
    assert found.everybody.mean == pytest.approx(y[w].mean() - y[~w].mean() - 1.5)
    error = (found.everybody.mean + 1.5) / welch.statistic
    assert found.everybody.high - found.everybody.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)
    assert found.targeted.mean == pytest.approx(found.everybody.mean + found.over_everybody.mean)
    assert ((found.chosen >= 0) & (found.chosen <= 1)).all()


def test_a_rule_for_all_or_for_none_is_worth_just_that():
    y, w, x, _true = people(3, n=800)
    everybody = target(y, w, x, cost=-1e6, rng=np.random.default_rng(0))
    assert everybody.over_everybody.mean == 0.0 and everybody.over_everybody.low is None
    assert everybody.targeted.mean == everybody.everybody.mean and everybody.share_idle == 0.0
    nobody = target(y, w, x, cost=1e6, rng=np.random.default_rng(0))
    assert nobody.targeted.mean == pytest.approx(0.0, abs=1e-6) and nobody.targeted.low is None
    assert nobody.over_everybody.mean == pytest.approx(-nobody.everybody.mean) and nobody.share_idle == 1.0


def test_the_point_does_not_hang_on_one_draw_of_folds():
    y, w, x, _true = people(2, n=800, differing=4.0)
    one, many = (
        [target(y, w, x, cost=2.0, rng=np.random.default_rng(seed), draws=draws).targeted.mean for seed in range(12)]
        for draws in (1, 10)
    )
    assert np.std(many) < 0.6 * np.std(one)
    again = target(y, w, x, cost=2.0, rng=np.random.default_rng(0))
    assert again.targeted.mean == many[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("differing", "cost", "noise"), [(0.0, 1.0, 0.6), (0.0, 2.0, 1.0), (4.0, 2.0, 1.0)], ids=["near", "call", "told"]
)
def test_intervals_of_a_learned_rule_cover_its_true_worth(differing, cost, noise):
    """Where the cost is near the effect the rule is a close call, and a single draw of folds covers too seldom."""
    held = []
    for seed in range(200):
        y, w, x, true = people(seed, n=800, differing=differing)
        y = noise * (y - w * true) + w * true
        found = target(y, w, x, cost=cost, rng=np.random.default_rng(seed))
        more = ((1 - found.chosen) * (cost - true)).mean()
        everybody = (true - cost).mean()
        worths = (everybody, everybody + more, more)
        held.append(
            [
                gain.low is None or gain.low <= worth <= gain.high
                for gain, worth in zip((found.everybody, found.targeted, found.over_everybody), worths, strict=True)
            ]
        )
    assert (np.mean(held, axis=0) > 0.91).all(), np.mean(held, axis=0)


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
