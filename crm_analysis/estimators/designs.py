"""Planning and checking a randomised test: arm sizes, smallest detectable effects, sample-ratio check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq

__all__ = [
    "SampleRatio",
    "cohens_h",
    "control_share_for_difference",
    "sample_ratio",
    "smallest_detectable_difference",
    "units_per_arm_for_proportions",
]


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Chi-squared test of assigned counts against the shares that were planned."""

    counts: tuple[int, ...]
    expected_shares: tuple[float, ...]
    chi2: float
    p_value: float


def sample_ratio(counts: Sequence[int], *, expected_shares: Sequence[float] | None = None) -> SampleRatio:
    """Sample-ratio check on assigned counts; equal shares unless others were planned."""
    observed = np.asarray(counts, dtype=float)
    shares = np.full(observed.size, 1.0) if expected_shares is None else np.asarray(expected_shares, dtype=float)
    if shares.size != observed.size or observed.size < 2 or (shares <= 0).any() or observed.sum() <= 0:
        raise ValueError("two arms or more, each with a positive planned share, are needed")
    shares = shares / shares.sum()
    expected = shares * observed.sum()
    chi2 = float(((observed - expected) ** 2 / expected).sum())
    p_value = float(stats.chi2.sf(chi2, observed.size - 1))
    return SampleRatio(tuple(int(c) for c in counts), tuple(float(s) for s in shares), chi2, p_value)


def cohens_h(share_a: float, share_b: float) -> float:
    """Difference of arcsine-transformed shares, b - a (Cohen 1988, chapter 6)."""
    return 2 * math.asin(math.sqrt(share_b)) - 2 * math.asin(math.sqrt(share_a))


def units_per_arm_for_proportions(
    share_a: float, share_b: float, *, significance: float = 0.05, power: float = 0.8
) -> float:
    """Units per arm to tell two shares apart, two-sided (both tails counted), equal arms; not rounded up."""
    effect = abs(cohens_h(share_a, share_b))
    if effect == 0:
        raise ValueError("equal shares cannot be told apart with any number of units")
    critical = float(stats.norm.ppf(1 - significance / 2))

    def shortfall(shift: float) -> float:
        return float(stats.norm.sf(critical - shift) + stats.norm.cdf(-critical - shift)) - power

    shift = float(brentq(shortfall, 0.0, critical + float(stats.norm.ppf(power)) + 1.0, xtol=1e-13))
    return 2 * (shift / effect) ** 2


def smallest_detectable_difference(
    n_treated: int, n_control: int, *, standard_deviation: float, significance: float = 0.05, power: float = 0.8
) -> float:
    """Smallest true difference in means that a two-sided test finds with the stated power; same unit as the outcome."""
    if n_treated < 1 or n_control < 1:
        raise ValueError("both arms need units")
    return _reach(significance, power) * standard_deviation * math.sqrt(1 / n_treated + 1 / n_control)


def control_share_for_difference(
    n_units: int, *, difference: float, standard_deviation: float, significance: float = 0.05, power: float = 0.8
) -> float | None:
    """Smallest share of `n_units` to hold out so that `difference` is found; None when half of them would not do."""
    if difference == 0 or n_units < 2:
        return None
    needed = (_reach(significance, power) * standard_deviation / difference) ** 2 / n_units
    # s (1 - s) = needed, the smaller root
    if needed > 0.25:
        return None
    return (1 - math.sqrt(1 - 4 * needed)) / 2


def _reach(significance: float, power: float) -> float:
    return float(stats.norm.ppf(1 - significance / 2) + stats.norm.ppf(power))
