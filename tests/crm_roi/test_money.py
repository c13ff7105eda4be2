"""Return of a programme: published figures, identities, coverage in simulation."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.money import RoiEstimate, estimate_roi, net_influence

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.mark.realdata("hillstrom.parquet")
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


MARGIN, RATE_TREATED, RATE_CONTROL, DISCOUNT, CONTACT = 0.4, 0.12, 0.10, 0.1, 0.3
MEAN_SPEND = np.exp(4 + 0.9**2 / 2)
TRUE_ROI = MARGIN * MEAN_SPEND * (RATE_TREATED - RATE_CONTROL) / (DISCOUNT * MEAN_SPEND * RATE_TREATED + CONTACT) - 1


def _skewed(rng: np.random.Generator, n_per_arm: int, *, draws: int, salt: str = "") -> RoiEstimate:
    """One simulated programme: nine in ten members spend nothing, the others a lognormal amount."""

    def spend(rate: float) -> np.ndarray:
        return np.where(rng.random(n_per_arm) < rate, rng.lognormal(4, 0.9, n_per_arm), 0.0)

    treated, control = spend(RATE_TREATED), spend(RATE_CONTROL)
    found = estimate_roi(
        MARGIN * treated,
        MARGIN * control,
        fixed_cost=CONTACT * n_per_arm,
        treated_cost=DISCOUNT * treated,
        draws=draws,
        salt=salt,
    )
    assert found is not None
    return found


def _coverage(n_per_arm: int, runs: int) -> float:
    """Share of Fieller intervals that hold the true ROI."""
    rng = np.random.default_rng(n_per_arm)
    estimates = (_skewed(rng, n_per_arm, draws=0) for _ in range(runs))
    return sum(e.roi_low is not None and e.roi_low <= TRUE_ROI <= e.roi_high for e in estimates) / runs


def test_roi_interval_covers_with_skewed_spend():
    """95 % nominal; with 1,500 runs three standard errors are 1.7 points."""
    assert 0.93 <= _coverage(500, 1500) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("n_per_arm", "runs"), [(500, 6000), (5000, 4000), (50_000, 2000)])
def test_roi_interval_covers_from_500_to_50000(n_per_arm, runs):
    assert 0.93 <= _coverage(n_per_arm, runs) <= 0.97


@pytest.mark.parametrize("n_per_arm", [500, 20_000])
def test_fieller_and_bootstrap_agree(n_per_arm):
    """Ends differ by less than a tenth of the interval on average over programmes."""
    rng = np.random.default_rng(1)
    gaps = []
    for run in range(12):
        found = _skewed(rng, n_per_arm, draws=999, salt=str(run))
        width = found.roi_high - found.roi_low
        gaps += [(found.bootstrap_low - found.roi_low) / width, (found.bootstrap_high - found.roi_high) / width]
    assert np.abs(gaps).mean() < 0.1


@pytest.mark.parametrize(("centre", "calibrated"), [(0.0, True), (-20.0, False)])
def test_the_chance_that_it_earned_holds_where_every_net_was_equally_likely(centre, calibrated):
    """Of programmes given a chance between 60 and 80 %, about 70 % earned; not where most of them lose."""
    rng = np.random.default_rng(9)
    spread = 40.0 if calibrated else 3.0
    truths = rng.uniform(centre - spread, centre + spread, 1200) + (0.0 if calibrated else 15.0)
    outcomes = []
    for truth in truths:
        treated, control = rng.normal(10 + truth, 30, 60), rng.normal(0, 30, 60)
        chance = estimate_roi(treated, control, fixed_cost=60 * 10.0, draws=0).probability_earned
        if 0.6 < chance < 0.8:
            outcomes.append(truth > 0)
    assert len(outcomes) > 25
    assert (abs(np.mean(outcomes) - 0.7) < 0.2) == calibrated
