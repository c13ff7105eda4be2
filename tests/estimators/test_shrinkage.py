"""Shrinkage of many estimates: limits, order of magnitude against simulation."""

import numpy as np
import pytest

from crm_analysis.estimators.shrinkage import shrink


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


@pytest.mark.parametrize(("x", "s"), [([1.0], [1.0]), ([1.0] * 4, [1.0, 0.0, 1.0, 1.0])])
def test_too_few_or_certain_estimates_are_refused(x, s):
    with pytest.raises(ValueError, match="two estimates or more"):
        shrink(x, s)
