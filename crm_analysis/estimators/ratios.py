"""Ratios with intervals: the delta method for ratio metrics, Fieller's interval where the denominator is uncertain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["FiellerInterval", "Ratio", "RatioDifference", "delta_ratio", "delta_ratio_difference", "fieller"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Mean of the numerator over mean of the denominator across randomised units; delta-method normal interval."""

    ratio: float
    standard_error: float | None
    low: float | None
    high: float | None
    n: int
    confidence: float


@dataclass(frozen=True, slots=True)
class RatioDifference:
    """Treated ratio minus control ratio, with the ratios themselves."""

    treated: Ratio
    control: Ratio
    difference: float
    standard_error: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class FiellerInterval:
    """Ratio of two estimates and Fieller's interval for it.

    `low` and `high` are None, and `bounded` is False, when the denominator does not differ from zero at the stated
    confidence: the set of ratios that the data allow then has no ends.
    """

    ratio: float
    low: float | None
    high: float | None
    bounded: bool
    confidence: float


def delta_ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    *,
    unit: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of means over units (Deng, Knoblich and Lu 2018, eq. 3), e.g. amount per order with members as units.

    Rows with the same number in `unit` were drawn together: their residuals are added up before they are squared.
    """
    top, bottom = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    if top.shape != bottom.shape or top.ndim != 1:
        raise ValueError("numerator and denominator need one value per unit")
    if unit is not None:
        _names, code = np.unique(unit, return_inverse=True)
        top, bottom = np.bincount(code, weights=top), np.bincount(code, weights=bottom)
    n = int(top.size)
    if n == 0 or bottom.mean() == 0:
        raise ValueError("the ratio is undefined: no unit has anything in the denominator")
    ratio = float(top.mean() / bottom.mean())
    if n < 2:
        return Ratio(ratio, None, None, None, n, confidence)
    residual: NDArray[np.float64] = top - ratio * bottom
    error = float(residual.std(ddof=1) / math.sqrt(n) / abs(bottom.mean()))
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    return Ratio(ratio, error, ratio - reach, ratio + reach, n, confidence)


def delta_ratio_difference(
    *,
    treated_numerator: ArrayLike,
    treated_denominator: ArrayLike,
    control_numerator: ArrayLike,
    control_denominator: ArrayLike,
    treated_unit: NDArray[np.int64] | None = None,
    control_unit: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
) -> RatioDifference:
    """Difference of two arms' ratios; arms are independent, units within an arm too."""
    treated = delta_ratio(treated_numerator, treated_denominator, unit=treated_unit, confidence=confidence)
    control = delta_ratio(control_numerator, control_denominator, unit=control_unit, confidence=confidence)
    difference = treated.ratio - control.ratio
    if treated.standard_error is None or control.standard_error is None:
        return RatioDifference(treated, control, difference, None, None, None, None)
    error = math.hypot(treated.standard_error, control.standard_error)
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(difference) / error)) if error > 0 else None
    return RatioDifference(treated, control, difference, error, difference - reach, difference + reach, p_value)


def fieller(
    numerator: float,
    denominator: float,
    *,
    variance_numerator: float,
    variance_denominator: float,
    covariance: float = 0.0,
    confidence: float = 0.95,
    quantile: float | None = None,
) -> FiellerInterval:
    """Fieller's interval (Fieller 1954) for numerator / denominator, both approximately normal.

    The ends are the roots in r of (N - r D)^2 = z^2 (V_N - 2 r C + r^2 V_D); z is the normal quantile, or `quantile`
    where few units call for that of a t distribution.
    """
    if denominator == 0:
        raise ValueError("the ratio is undefined: its denominator is zero")
    ratio = numerator / denominator
    z = float(stats.norm.ppf(0.5 + confidence / 2)) if quantile is None else quantile
    a = denominator**2 - z**2 * variance_denominator
    b = numerator * denominator - z**2 * covariance
    c = numerator**2 - z**2 * variance_numerator
    if a <= 0:
        return FiellerInterval(ratio, None, None, False, confidence)
    root = math.sqrt(max(b * b - a * c, 0.0))
    return FiellerInterval(ratio, (b - root) / a, (b + root) / a, True, confidence)
