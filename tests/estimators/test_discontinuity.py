"""A jump at a line: rdrobust's numbers, statsmodels, coverage by simulation, and pushing that is seen."""

import numpy as np
import pytest
import statsmodels.api as sm

from crm_analysis.estimators.discontinuity import bandwidth, density_jump, jump, near_the_line


def published():
    """Data of the golden numbers below."""
    rng = np.random.default_rng(20261)
    n = 800
    x = rng.uniform(-1, 1, n)
    curve = 0.5 + 0.8 * x - 0.9 * x**2 + 0.6 * x**3
    return x, curve + (x >= 0) * 0.4 + rng.normal(0, 0.3, n) * (1 + 0.5 * np.abs(x))


# rdrobust 2.1.1 (Python, Calonico, Cattaneo, Farrell and Titiunik), on `published()`:
# rdrobust(y, x, c=0, h=h, b=h, kernel="triangular", vce="hc2", masspoints="off"), columns coef, se, N_h
GOLDEN = [
    (0.3, 0.5329168955016308, 0.5979808792249913, 0.14227421293089323, (112, 123)),
    (0.6, 0.4715694591680726, 0.5182724491527787, 0.09539064367707151, (231, 236)),
]


@pytest.mark.parametrize(("h", "conventional", "robust", "se", "counts"), GOLDEN)
def test_equals_rdrobust(h, conventional, robust, se, counts):
    found = jump(*published(), bandwidth=h)
    assert found.conventional == pytest.approx(conventional, rel=1e-10)
    assert found.value == pytest.approx(robust, rel=1e-10)
    assert found.se == pytest.approx(se, rel=1e-10)
    assert (found.n_below, found.n_above) == counts


def test_equals_weighted_least_squares_in_one_regression():
    x, y = published()
    h = 0.5
    near = np.abs(x) < h
    z, over = x[near], (x[near] >= 0).astype(float)
    design = np.column_stack([np.ones(near.sum()), over, z, z * over, z**2, z**2 * over])
    oracle = sm.WLS(y[near], design, weights=1 - np.abs(z) / h).fit(cov_type="HC2")
    found = jump(x, y, bandwidth=h)
    assert found.value == pytest.approx(oracle.params[1]) and found.se == pytest.approx(oracle.bse[1])
    line = sm.WLS(y[near], design[:, :4], weights=1 - np.abs(z) / h).fit()
    assert found.conventional == pytest.approx(line.params[1]) and found.below == pytest.approx(line.params[0])


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.0, 0.5])
def test_interval_covers_the_planted_jump(true):
    held, rejected = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = rng.normal(-1, 1, 2000)
        y = 0.5 * x + 0.5 * x**2 + true * (x >= 0) + rng.gamma(1, 0.7, 2000)
        found = jump(x, y, bandwidth=bandwidth(x, y))
        held.append(found.low <= true <= found.high)
        rejected.append(found.p < 0.05)
    assert 0.92 <= np.mean(held) <= 0.99
    assert np.mean(rejected) > 0.9 if true else np.mean(rejected) < 0.08


def test_bandwidth_does_not_depend_on_units():
    x, y = published()
    assert bandwidth(1000 * x, 7 * y + 3) == pytest.approx(1000 * bandwidth(x, y))
    found, scaled = jump(x, y, bandwidth=0.4), jump(1000 * x, 7 * y, bandwidth=400)
    assert scaled.value == pytest.approx(7 * found.value) and scaled.p == pytest.approx(found.p)


def test_density_sees_those_who_pushed_over_and_lets_a_smooth_one_pass():
    alarms = {}
    for pushed in (0.0, 0.5):
        hits = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            x = rng.normal(-1, 1, 3000)
            mine = (x < 0) & (x > -0.15) & (rng.random(3000) < pushed)
            x[mine] = rng.uniform(0, 0.1, mine.sum())
            found = density_jump(x)
            hits.append(found.p < 0.05 and found.log_jump > 0)
        alarms[pushed] = np.mean(hits)
    assert alarms[0.5] > 0.9 and alarms[0.0] < 0.15


def test_density_jump_of_two_uniform_halves():
    """Twice as dense above as below: the logarithm of the density jumps by log 2."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-1, 0, 10_000), rng.uniform(0, 1, 20_000)])
    found = density_jump(x)
    assert found.log_jump == pytest.approx(np.log(2), abs=4 * found.se) and found.se < 0.1
    assert found.binomial_p < 0.05 and found.near_above > found.near_below


def test_nearest_keeps_ties_and_thin_sides_have_no_answer():
    assert near_the_line([-3.0, -1.0, 1.0, 2.0, 5.0], 1).tolist() == [False, True, True, False, False]
    x = np.concatenate([np.linspace(-1, -0.01, 200), np.linspace(0.01, 1, 10)])
    assert jump(x, x, bandwidth=0.5) is None and bandwidth(x, x) is None and density_jump(x) is None
    assert jump(np.linspace(-1, 1, 200), np.ones(200), bandwidth=0.5) is None
