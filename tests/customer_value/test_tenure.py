"""Survivors, the same customers followed, and all acquired: what each mean is, and that survivors flatter."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.customer_value import charts, lives, tenure
from crm_analysis.customer_value.displays import tenure as shown


def test_by_hand():
    margin = np.array([[10.0, 30.0], [10.0, 50.0], [40.0, 0.0], [40.0, 0.0]])
    of = tenure.ways(margin, margin > 0)
    assert [of.mean("survivors", year) for year in (1, 2)] == [25.0, 40.0]
    assert [of.mean("followed", year) for year in (1, 2)] == [10.0, 40.0]
    assert [of.mean("acquired", year) for year in (1, 2)] == [25.0, 20.0]
    assert (of.flattery, of.growth, of.n, of.n_years) == (20.0, 30.0, 4, 2)


def test_nobody_left_is_undefined_for_survivors_and_nothing_for_all():
    margin = np.array([[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    of = tenure.ways(margin, margin > 0)
    assert np.isnan(of.mean("survivors", 2)) and of.mean("acquired", 2) == 0.0
    assert np.isnan([of.flattery, of.growth, of.growth_low]).all()


def people(n: int, growth: float, leaving: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.gamma(4, 25, n)
    stays = np.cumprod(np.column_stack([np.ones(n), rng.random((n, 2)) > leaving]), axis=1)
    margin = base[:, None] * growth ** np.arange(3) * stays * rng.gamma(20, 1 / 20, (n, 3))
    return margin, stays > 0


def test_who_leaves_by_chance_does_not_flatter_growth():
    """Value a head of survivors is level, that of all falls as they leave; the followed tell the truth."""
    margin, paid = people(4000, growth=1.0, leaving=0.4)
    of = tenure.ways(margin, paid)
    assert of.growth_low < 0 < of.growth_high
    assert of.mean("acquired", 3) == pytest.approx(100 * 0.36, rel=0.1)
    assert of.flattery_low < 100 * 0.64 < of.flattery_high


def test_those_worth_more_stay_longer_and_survivors_seem_to_grow():
    """Nobody's value changes; the small ones leave. Survivors rise, the same people do not."""
    rng = np.random.default_rng(2)
    base = rng.gamma(1, 100, 3000)
    stays = np.column_stack([np.ones(3000), rng.random(3000) < base / (base + 100)])
    of = tenure.ways(base[:, None] * stays, stays > 0)
    assert of.mean("survivors", 2) > 1.2 * of.mean("survivors", 1)
    assert of.growth == pytest.approx(0.0)


def test_the_interval_holds_the_truth_and_agrees_with_plain_theory():
    margin, paid = people(3000, growth=1.2, leaving=0.3)
    of = tenure.ways(margin, paid)
    row = of.years[(of.years["way"] == "acquired") & (of.years["year"] == 2)].iloc[0]
    error = margin[:, 1].std(ddof=1) / np.sqrt(3000)
    assert (row["high"] - row["low"]) / (2 * 1.96 * error) == pytest.approx(1, abs=0.12)
    assert of.growth_low < 100 * (1.44 - 1) < of.growth_high


def log(n: int, second: float, start: str = "2024-03-01") -> pd.DataFrame:
    """n newcomers, of whom seven in ten pay again a year later."""
    rng = np.random.default_rng(5)
    first = pd.Timestamp(start) + pd.to_timedelta(rng.integers(0, 100, n), unit="D")
    rows = [("start", pd.Timestamp(2023, 10, 1), 1.0)]
    rows += [(f"c{i}", day, 100.0 + i % 9) for i, day in enumerate(first)]
    rows += [(f"c{i}", day + pd.DateOffset(months=14), second + i % 9) for i, day in enumerate(first) if i % 10 < 7]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def state_of(scope) -> SimpleNamespace:
    status = customers.status(scope)
    return SimpleNamespace(scope=scope, status=status, tenure=tenure.tenure(lives.lives(scope, status)))


@pytest.mark.parametrize(("second", "said"), [(180.0, "more than in"), (40.0, "brought less"), (100.0, "within noise")])
def test_the_sentence_turns_with_the_data(scope_of, second, said):
    state = state_of(scope_of({"transactions": log(400, second)}, margin={"rate": 1.0}))
    assert (state.tenure.n_years, state.tenure.n) == (2, 400)
    assert state.tenure.mean("acquired", 1) == pytest.approx(100 + np.mean(np.arange(400) % 9))
    assert said in shown.sentence(state) and "Survivors flatter year 2" in shown.sentence(state)
    assert charts.tenure_lines(shown.lines(state), currency="EUR") is not None
    assert len(shown.table(state)) == 6


def test_too_few_or_too_young_say_so(scope_of):
    for frame in (log(80, 100.0), log(400, 100.0, start="2025-03-01")):
        state = state_of(scope_of({"transactions": frame}))
        assert state.tenure.why == "short"
        assert charts.tenure_lines(shown.lines(state), currency="EUR") is None
        assert "not told" in shown.figure(state)["alt"]


def test_those_seen_near_the_start_of_history_are_not_in_it(scope_of):
    state = state_of(scope_of({"transactions": log(400, 100.0, start="2023-10-01")}))
    assert state.tenure.n < 400


def test_whiskers_are_drawn_to_their_ends():
    years = pd.DataFrame(
        {"year": [1, 2], "way": "all", "mean": [200.0, 260.0], "low": [-10.0, 230.0], "high": [220.0, 900.0]}
    )
    low, high = charts.tenure_lines(years, currency="EUR").axes[0].get_ylim()
    assert low < -10.0 and high > 900.0
