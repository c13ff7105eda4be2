"""Return of a programme: published figures, identities, coverage in simulation."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.money import estimate_roi, net_influence

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.mark.realdata
@pytest.mark.skipif(not (DATA / "hillstrom.parquet").exists(), reason="no folder of published data")
def test_hillstrom_lift_is_significant_and_profit_is_not():
    """Men's e-mail against none; margin 40 % before a discount of 10 %, .05 a contact and 1,000 fixed."""
    frame = pd.read_parquet(DATA / "hillstrom.parquet")
    treated = frame.loc[frame["segment"] == "Mens E-Mail", "spend"].to_numpy()
    control = frame.loc[frame["segment"] == "No E-Mail", "spend"].to_numpy()
    found = estimate_roi(
        0.4 * treated,
        0.4 * control,
        fixed_cost=1000 + 0.05 * treated.size,
        treated_cost=0.1 * treated,
        contact_cost=0.05,
    )
    assert found.margin_per_treated == pytest.approx(0.307931, abs=5e-7)
    assert found.cost_per_treated == pytest.approx(0.239195, abs=5e-7)
    assert found.net == pytest.approx(1464.56, abs=5e-3)
    assert found.roi == pytest.approx(0.287366, abs=5e-7)
    assert (found.roi_low, found.roi_high) == pytest.approx((-0.117938, 0.638240), abs=5e-7)
    assert found.break_even_contact_cost == pytest.approx(0.118736, abs=5e-7)
    assert found.verdict == "unknown" and found.incremental_low > 0
    assert (found.bootstrap_low, found.bootstrap_high) == pytest.approx((found.roi_low, found.roi_high), abs=0.04)


def test_net_is_margin_less_cost_and_roi_their_ratio():
    rng = np.random.default_rng(2)
    found = estimate_roi(rng.gamma(2, 10, 200), rng.gamma(2, 8, 150), fixed_cost=300.0)
    assert found.net == pytest.approx(found.incremental_margin - found.cost)
    assert found.roi == pytest.approx(found.net / found.cost)
    assert found.cost == pytest.approx(300)
    assert (found.net_low > 0) == (found.roi_low > 0)


def test_verdict_flips_with_the_cost():
    rng = np.random.default_rng(2)
    treated, control = rng.gamma(4, 10, 400), rng.gamma(2, 10, 400)
    assert estimate_roi(treated, control, fixed_cost=1000.0).verdict == "earned"
    assert estimate_roi(treated, control, fixed_cost=400 * 20.0).verdict == "unknown"
    assert estimate_roi(treated, control, fixed_cost=400 * 60.0).verdict == "lost"


def test_break_even_contact_cost_brings_the_net_to_zero():
    rng = np.random.default_rng(6)
    treated, control = rng.gamma(4, 10, 400), rng.gamma(2, 10, 400)
    found = estimate_roi(treated, control, fixed_cost=400 * 2.0 + 500, contact_cost=2.0)
    again = estimate_roi(treated, control, fixed_cost=400 * found.break_even_contact_cost + 500)
    assert again.net == pytest.approx(0, abs=1e-6)


def test_no_return_where_nothing_varies_or_nothing_was_spent():
    assert estimate_roi(np.zeros(50), np.zeros(50), fixed_cost=10.0) is None
    rng = np.random.default_rng(1)
    assert estimate_roi(rng.gamma(1, 1, 50), rng.gamma(1, 1, 50), fixed_cost=0.0) is None


def test_unbounded_interval_is_net_only():
    rng = np.random.default_rng(3)
    own = np.zeros(60)
    own[:2] = 500.0
    found = estimate_roi(rng.gamma(1, 50, 60) + own, rng.gamma(1, 50, 60), fixed_cost=0.0, treated_cost=own)
    assert found.roi_low is None and found.roi_high is None
    assert np.isfinite([found.net_low, found.net_high]).all()


def test_influence_gives_the_variance_of_the_net():
    rng = np.random.default_rng(9)
    treated, control, own = rng.gamma(2, 10, 80), rng.gamma(2, 10, 50), rng.gamma(1, 2, 80)
    parts = net_influence(treated, control, own)
    found = estimate_roi(treated, control, fixed_cost=10.0, treated_cost=own)
    assert np.sqrt(sum((part**2).sum() for part in parts)) == pytest.approx(found.net_error)


def _coverage(n_per_arm: int, runs: int, seed: int, draws: int = 399) -> tuple[float, float]:
    """Share of Fieller and of bootstrap intervals that hold the true ROI; nine in ten members spend nothing."""
    rng = np.random.default_rng(seed)
    margin, rate_t, rate_c, mean = 0.4, 0.12, 0.10, np.exp(4 + 0.9**2 / 2)
    cost_rate, contact = 0.1, 0.3
    truth_gain = margin * mean * (rate_t - rate_c)
    truth = truth_gain / (cost_rate * mean * rate_t + contact) - 1

    def spend(rate: float) -> np.ndarray:
        return np.where(rng.random(n_per_arm) < rate, rng.lognormal(4, 0.9, n_per_arm), 0.0)

    hits = np.zeros(2)
    for run in range(runs):
        treated, control = spend(rate_t), spend(rate_c)
        found = estimate_roi(
            margin * treated,
            margin * control,
            fixed_cost=contact * n_per_arm,
            treated_cost=cost_rate * treated,
            draws=draws,
            salt=str(run),
        )
        hits += [
            found.roi_low is not None and found.roi_low <= truth <= found.roi_high,
            found.bootstrap_low <= truth <= found.bootstrap_high,
        ]
    return tuple(hits / runs)


def test_roi_interval_covers_with_skewed_spend():
    """95 % nominal; 400 runs put 3 standard errors at 3.3 points."""
    exact, resampled = _coverage(500, 400, seed=20, draws=199)
    assert 0.92 <= exact <= 0.98
    assert 0.89 <= resampled <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("n_per_arm", "runs"), [(500, 4000), (5000, 3000), (50_000, 1500)])
def test_roi_interval_covers_from_500_to_50000(n_per_arm, runs):
    exact, resampled = _coverage(n_per_arm, runs, seed=n_per_arm)
    assert 0.93 <= exact <= 0.97
    assert abs(exact - resampled) < 0.02
