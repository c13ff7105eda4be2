"""Drift of distributions against noise and habit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_analysis.data_quality.drift import drift, noise_of, total_variation


def table(*periods: list[int]) -> pd.DataFrame:
    return pd.DataFrame({f"p{i}": counts for i, counts in enumerate(periods)}, index=list("abc")[: len(periods[0])])


def units(counts: pd.DataFrame) -> pd.Series:
    return counts.sum()


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.lists(st.floats(0.01, 1), min_size=2, max_size=6))
def test_distance_is_a_metric_between_0_and_1(a: list[float], b: list[float]) -> None:
    size = min(len(a), len(b))
    p, q = np.array(a[:size]) / sum(a[:size]), np.array(b[:size]) / sum(b[:size])
    assert 0 <= total_variation(p, q) <= 1
    assert total_variation(p, q) == pytest.approx(total_variation(q, p))
    assert total_variation(p, p) == 0


def test_identical_periods_do_not_drift() -> None:
    counts = table([50, 30, 20], [50, 30, 20])
    found = drift(counts, variable="kind", units=units(counts))
    assert found is not None and found.distance == 0 and found.p == 1 and not found.beyond


def test_a_move_of_ten_points_among_thousands_is_beyond_noise() -> None:
    counts = table([5000, 3000, 2000], [4000, 4000, 2000])
    found = drift(counts, variable="kind", units=units(counts))
    assert found is not None and found.distance == pytest.approx(0.1) and found.beyond and found.habit is None
    assert (found.biggest, found.share_before, found.share_now) == ("a", 0.5, 0.4)


def test_the_same_move_every_period_is_habit() -> None:
    counts = table([5000, 3000, 2000], [4000, 4000, 2000], [5000, 3000, 2000], [4000, 4000, 2000], [5000, 3000, 2000])
    found = drift(counts, variable="kind", units=units(counts))
    assert found is not None and found.p < 0.01 and found.habit == pytest.approx(0.1) and not found.beyond


def test_few_customers_make_noise_however_many_rows_they_have() -> None:
    counts = table([5000, 3000, 2000], [4000, 4000, 2000])
    few = drift(counts, variable="kind", units=pd.Series([30, 30], index=counts.columns))
    assert few is not None and not few.beyond


def test_false_alarms_are_five_per_cent() -> None:
    rng = np.random.default_rng(3)
    alarms = 0
    for seed in range(200):
        a, b = rng.multinomial(800, [0.5, 0.3, 0.2], size=2)
        null = noise_of(a, b, units_now=800, units_before=800, draws=400, seed=seed)
        alarms += total_variation(a / 800, b / 800) > np.quantile(null, 0.95)
    assert 2 <= alarms <= 20


def test_an_empty_period_has_no_distance() -> None:
    counts = table([5, 3, 2], [0, 0, 0])
    assert drift(counts, variable="kind", units=units(counts)) is None


def test_noise_agrees_with_the_half_normal_of_two_categories() -> None:
    # for two categories the distance is |p1 - p2|: mean sqrt(2/pi) * sqrt(2 p q / n)
    null = noise_of(np.array([500, 500]), np.array([500, 500]), units_now=1000, units_before=1000, draws=20_000, seed=1)
    assert null.mean() == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(2 * 0.25 / 1000), rel=0.03)
