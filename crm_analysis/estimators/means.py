"""Differences in means between a treated and a control arm.

The intervals are about the effect of the *assignment*: they assume that arms were drawn at random before the outcome
window opened. Without that, the same number is a difference between two groups and not an effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "MeanDifference",
    "Moments",
    "bootstrap_means",
    "cuped",
    "cuped_outcomes",
    "lin_adjusted",
    "welch",
    "welch_from_moments",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and sample variance (divisor n - 1) of one arm; `variance` is None for fewer than two units."""

    n: int
    mean: float
    variance: float | None

    @classmethod
    def of(cls, values: ArrayLike) -> Moments:
        """Moments of a one-dimensional array without missing values."""
        array = _finite(values, "values")
        if array.size == 0:
            raise ValueError("an arm without units has no mean")
        variance = float(array.var(ddof=1)) if array.size > 1 else None
        return cls(int(array.size), float(array.mean()), variance)


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """Treated mean minus control mean, in the unit of the outcome per randomised unit.

    `low`, `high`, `standard_error` and `p_value` are None where they are undefined: an arm with fewer than two units,
    or no variation in either arm.
    """

    n_treated: int
    n_control: int
    mean_treated: float
    mean_control: float
    difference: float
    standard_error: float | None
    degrees_of_freedom: float | None
    low: float | None
    high: float | None
    p_value: float | None
    confidence: float
    basis: str


def welch(treated: ArrayLike, control: ArrayLike, *, confidence: float = 0.95) -> MeanDifference:
    """Welch's difference in means: unequal variances, Satterthwaite degrees of freedom (Welch 1947)."""
    return welch_from_moments(Moments.of(treated), Moments.of(control), confidence=confidence)


def welch_from_moments(treated: Moments, control: Moments, *, confidence: float = 0.95) -> MeanDifference:
    """`welch` from each arm's count, mean and variance, so that the rows can stay in the database."""
    if treated.variance is None or control.variance is None:
        return _difference(treated.n, control.n, treated.mean, control.mean, None, None, confidence, "Welch")
    part_treated, part_control = treated.variance / treated.n, control.variance / control.n
    total = part_treated + part_control
    freedom = None
    if total > 0:
        freedom = total**2 / (part_treated**2 / (treated.n - 1) + part_control**2 / (control.n - 1))
    return _difference(treated.n, control.n, treated.mean, control.mean, math.sqrt(total), freedom, confidence, "Welch")


def cuped(
    treated: ArrayLike,
    control: ArrayLike,
    *,
    treated_before: ArrayLike,
    control_before: ArrayLike,
    confidence: float = 0.95,
) -> MeanDifference:
    """Welch's difference after removing what the period before the assignment predicts (Deng et al. 2013, CUPED).

    One slope for both arms, the covariance of outcome and covariate over all units divided by the covariate's variance;
    the covariate must have been fixed before the assignment. Without variation in the covariate it is `welch`.
    The means reported are the adjusted ones.
    """
    adjusted = cuped_outcomes(treated, control, treated_before=treated_before, control_before=control_before)
    return _renamed(welch(*adjusted, confidence=confidence), "CUPED, Welch")


def cuped_outcomes(
    treated: ArrayLike, control: ArrayLike, *, treated_before: ArrayLike, control_before: ArrayLike
) -> tuple[Floats, Floats]:
    """Outcomes of both arms less what the period before predicts, as `cuped` compares them."""
    outcome_t, outcome_c = _finite(treated, "treated"), _finite(control, "control")
    before_t = _finite(treated_before, "treated_before")
    before_c = _finite(control_before, "control_before")
    if before_t.shape != outcome_t.shape or before_c.shape != outcome_c.shape:
        raise ValueError("each unit needs one outcome and one value from before the assignment")
    before = np.concatenate([before_t, before_c])
    outcome = np.concatenate([outcome_t, outcome_c])
    centred = before - before.mean()
    spread = float(centred @ centred)
    slope = float(centred @ outcome) / spread if spread > 0 else 0.0
    return outcome_t - slope * (before_t - before.mean()), outcome_c - slope * (before_c - before.mean())


def lin_adjusted(
    treated: ArrayLike,
    control: ArrayLike,
    *,
    treated_before: ArrayLike,
    control_before: ArrayLike,
    treated_unit: NDArray[np.int64] | None = None,
    control_unit: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
) -> MeanDifference:
    """Regression-adjusted difference with a slope of its own in each arm (Lin 2013), HC2 standard error.

    Covariates are one column or several, fixed before the assignment; they are centred over both arms, so that the
    coefficient of the treatment is the average effect. Degrees of freedom are units less coefficients. Where members
    were drawn together (`treated_unit`, `control_unit`), scores are added up within units (CR1).
    """
    outcome_t, outcome_c = _finite(treated, "treated"), _finite(control, "control")
    before_t = _columns(treated_before, outcome_t.size)
    before_c = _columns(control_before, outcome_c.size)
    centre = np.concatenate([before_t, before_c]).mean(axis=0)
    arm_t = _arm_regression(outcome_t, before_t - centre, treated_unit)
    arm_c = _arm_regression(outcome_c, before_c - centre, control_unit)
    freedom = float(arm_t.units + arm_c.units - arm_t.rank - arm_c.rank)
    if arm_t.variance is None or arm_c.variance is None or freedom <= 0:
        return _difference(
            outcome_t.size, outcome_c.size, arm_t.intercept, arm_c.intercept, None, None, confidence, "Lin"
        )
    return _difference(
        outcome_t.size,
        outcome_c.size,
        arm_t.intercept,
        arm_c.intercept,
        math.sqrt(arm_t.variance + arm_c.variance),
        freedom,
        confidence,
        "Lin, HC2" if treated_unit is None else "Lin, clustered",
    )


def bootstrap_means(
    values: ArrayLike,
    *,
    draws: int,
    rng: np.random.Generator,
    blocks: int = 1000,
    unit: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Bootstrap distribution of the column means of one arm, shape (draws, columns), from block sums.

    Units are dealt at random into at most `blocks` blocks of equal size (sizes differ by one at most); blocks are then
    resampled with replacement and the resampled totals divided by the resampled counts. With no more units than blocks
    this is the ordinary bootstrap; with more it costs draws x blocks, whatever the number of units. Rows with the same
    number in `unit` were drawn together and stay together.
    """
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[0] == 0:
        raise ValueError("an arm without units cannot be resampled")
    counts = np.ones(array.shape[0])
    if unit is not None:
        _names, code = np.unique(unit, return_inverse=True)
        array = np.column_stack([np.bincount(code, weights=column) for column in array.T])
        counts = np.bincount(code).astype(float)
    n = array.shape[0]
    n_blocks = min(n, blocks)
    order = rng.permutation(n)
    edges = np.linspace(0, n, n_blocks + 1).astype(int)
    sums = np.add.reduceat(array[order], edges[:-1], axis=0)
    sizes = np.add.reduceat(counts[order], edges[:-1])
    drawn = rng.integers(0, n_blocks, size=(draws, n_blocks)) + n_blocks * np.arange(draws)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=draws * n_blocks).reshape(draws, n_blocks).astype(float)
    return np.asarray((weights @ sums) / (weights @ sizes)[:, None])


@dataclass(frozen=True, slots=True)
class _ArmFit:
    intercept: float
    variance: float | None
    rank: int
    units: int


def _arm_regression(outcome: Floats, centred: Floats, unit: NDArray[np.int64] | None) -> _ArmFit:
    """Intercept at the pooled covariate mean and its variance within one arm: HC2, or by units drawn together."""
    design = np.column_stack([np.ones(outcome.size), centred])
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ (design.T @ outcome)
    rank = int(np.linalg.matrix_rank(design))
    units = outcome.size if unit is None else int(np.unique(unit).size)
    if units <= rank:
        return _ArmFit(float(coefficients[0]), None, rank, units)
    residual = outcome - design @ coefficients
    if unit is not None:
        _names, code = np.unique(unit, return_inverse=True)
        scores = np.bincount(code, weights=(design @ inverse[:, 0]) * residual)
        return _ArmFit(float(coefficients[0]), float(scores @ scores) * units / (units - 1), rank, units)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    scaled = residual**2 / np.clip(1 - leverage, 1e-12, None)
    influence = design @ inverse[:, 0]
    return _ArmFit(float(coefficients[0]), float((influence**2) @ scaled), rank, units)


def _difference(
    n_treated: int,
    n_control: int,
    mean_treated: float,
    mean_control: float,
    standard_error: float | None,
    freedom: float | None,
    confidence: float,
    basis: str,
) -> MeanDifference:
    difference = mean_treated - mean_control
    low = high = p_value = None
    if standard_error is not None and freedom is not None and standard_error > 0:
        reach = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * standard_error
        low, high = difference - reach, difference + reach
        p_value = float(2 * stats.t.sf(abs(difference) / standard_error, freedom))
    else:
        standard_error = None
    return MeanDifference(
        n_treated,
        n_control,
        mean_treated,
        mean_control,
        difference,
        standard_error,
        freedom,
        low,
        high,
        p_value,
        confidence,
        f"{basis} {confidence:.0%}",
    )


def _renamed(result: MeanDifference, basis: str) -> MeanDifference:
    return MeanDifference(
        result.n_treated,
        result.n_control,
        result.mean_treated,
        result.mean_control,
        result.difference,
        result.standard_error,
        result.degrees_of_freedom,
        result.low,
        result.high,
        result.p_value,
        result.confidence,
        f"{basis} {result.confidence:.0%}",
    )


def _finite(values: ArrayLike, what: str) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise ValueError(f"{what}: one value per unit is needed, got an array of {array.ndim} dimensions")
    if not np.isfinite(array).all():
        missing = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{what}: {missing} of {array.size} outcomes are missing; exclude those units or state their value"
        )
    return array


def _columns(values: ArrayLike, n: int) -> Floats:
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[0] != n:
        raise ValueError("each unit needs one outcome and one row of covariates")
    if not np.isfinite(array).all():
        raise ValueError("covariates: missing values; exclude those units or state their value")
    return array
