"""Arms of a test whose members were drawn together (households, branches) or within strata.

Every estimate here is a mean of members whose variance comes from the units that were drawn: the members of one unit
share their fate, so their residuals are added up before they are squared. Where every member is a unit of its own and
there are no strata, each function gives Welch's result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crm_analysis.estimators.means import MeanDifference, bootstrap_means
from crm_analysis.estimators.ratios import FiellerInterval, fieller

__all__ = [
    "Arm",
    "ArmMean",
    "ComplierEffect",
    "arm_mean",
    "bootstrap_arm",
    "complier_effect",
    "difference",
    "influence",
    "shares",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arm:
    """The members of one arm, row by row.

    `unit` numbers the drawn unit of each member (None: everybody was drawn alone), `stratum` the stratum within which
    it was drawn, 0 to S - 1 alike in both arms (None: one stratum). `share` weighs the strata and sums to 1.
    """

    n: int
    unit: Codes | None = None
    stratum: Codes | None = None
    share: tuple[float, ...] = (1.0,)

    @property
    def n_units(self) -> int:
        """Units drawn into this arm."""
        return self.n if self.unit is None else int(np.unique(self.unit).size)

    def parts(self) -> list[tuple[NDArray[np.int64] | slice, float]]:
        """Rows of each stratum with its weight; strata of weight 0 are left out."""
        if self.stratum is None:
            return [(slice(None), 1.0)]
        rows = [np.flatnonzero(self.stratum == code) for code in range(len(self.share))]
        if any(share > 0 and of.size == 0 for of, share in zip(rows, self.share, strict=True)):
            raise ValueError("a stratum with weight has no member in one arm: its mean is undefined")
        return [(of, share) for of, share in zip(rows, self.share, strict=True) if share > 0]


@dataclass(frozen=True, slots=True)
class ArmMean:
    """Weighted means of one arm's columns, and the covariance that each stratum adds with the units behind it."""

    mean: Floats
    parts: tuple[tuple[Floats, int], ...]

    @property
    def covariance(self) -> Floats | None:
        """Covariance of the means; None where a stratum has fewer than two units."""
        if any(units < 2 for _part, units in self.parts):  # noqa: PLR2004
            return None
        total: Floats = np.sum([part for part, _units in self.parts], axis=0)
        return total


def influence(values: ArrayLike, arm: Arm) -> Floats:
    """What each member adds to the error of the arm's weighted mean, (n,) or (n, columns) as `values`.

    Summed within units and squared, they give the variance of the mean; the factor units / (units - 1) is in them.
    """
    array = np.asarray(values, dtype=float)
    found = np.zeros_like(array)
    for rows, weight in arm.parts():
        own = array[rows]
        units = len(own) if arm.unit is None else int(np.unique(arm.unit[rows]).size)
        scale = math.sqrt(units / (units - 1)) if units > 1 else 1.0
        found[rows] = weight * scale * (own - own.mean(axis=0)) / len(own)
    return found


def arm_mean(values: ArrayLike, arm: Arm) -> ArmMean:
    """Means of the columns of `values`, one row per member."""
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    if len(array) != arm.n or not np.isfinite(array).all():
        raise ValueError("each member of the arm needs one row of finite outcomes: no purchase is zero, not missing")
    errors = influence(array, arm)
    mean = np.zeros(array.shape[1])
    parts = []
    for rows, weight in arm.parts():
        mean += weight * array[rows].mean(axis=0)
        of_units = errors[rows] if arm.unit is None else _by_unit(errors[rows], arm.unit[rows])
        parts.append((of_units.T @ of_units, len(of_units)))
    return ArmMean(mean, tuple(parts))


def difference(
    treated_values: ArrayLike,
    control_values: ArrayLike,
    *,
    treated: Arm,
    control: Arm,
    confidence: float = 0.95,
    basis: str = "Welch",
) -> MeanDifference:
    """Difference in weighted means with a t interval, degrees of freedom by Satterthwaite over arms and strata.

    Assumes that units were drawn at random within strata. The variance of each arm and stratum is that of the sums of
    residuals over units (Liang and Zeger 1986); with few units it relies on the t distribution alone.
    """
    first, second = arm_mean(treated_values, treated), arm_mean(control_values, control)
    gap = float(first.mean[0] - second.mean[0])
    found = [(float(part[0, 0]), units) for part, units in first.parts + second.parts]
    total = sum(part for part, _units in found)
    error = low = high = p_value = freedom = None
    if all(units > 1 for _part, units in found) and total > 0:
        freedom = total**2 / sum(part**2 / (units - 1) for part, units in found)
        error = math.sqrt(total)
        reach = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
        low, high = gap - reach, gap + reach
        p_value = float(2 * stats.t.sf(abs(gap) / error, freedom))
    return MeanDifference(
        treated.n,
        control.n,
        float(first.mean[0]),
        float(second.mean[0]),
        gap,
        error,
        freedom,
        low,
        high,
        p_value,
        confidence,
        f"{basis} {confidence:.0%}",
    )


def shares(treated_stratum: Codes, control_stratum: Codes, *, over: Literal["treated", "all"]) -> tuple[float, ...]:
    """Weights of strata 0 to S - 1: their part of the treated, or of both arms."""
    size = int(max(treated_stratum.max(), control_stratum.max())) + 1
    counts = np.bincount(treated_stratum, minlength=size).astype(float)
    if over == "all":
        counts += np.bincount(control_stratum, minlength=size)
    return tuple(float(share) for share in counts / counts.sum())


def bootstrap_arm(values: ArrayLike, arm: Arm, *, draws: int, rng: np.random.Generator) -> Floats:
    """Bootstrap distribution of the arm's weighted means, (draws, columns): whole units are drawn, within strata."""
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    found = np.zeros((draws, array.shape[1]))
    for rows, weight in arm.parts():
        unit = None if arm.unit is None else arm.unit[rows]
        found += weight * bootstrap_means(array[rows], draws=draws, rng=rng, unit=unit)
    return found


@dataclass(frozen=True, slots=True)
class ComplierEffect:
    """Effect on those whom the assignment reached, in the unit of the outcome; Fieller's interval.

    `reached_treated` and `reached_control` are the shares reached in each arm. `low` and `high` are None where the
    share reached does not differ between the arms at the stated confidence.
    """

    effect: float
    low: float | None
    high: float | None
    reached_treated: float
    reached_control: float
    confidence: float


def complier_effect(
    treated_values: ArrayLike,
    control_values: ArrayLike,
    *,
    treated_reached: ArrayLike,
    control_reached: ArrayLike,
    treated: Arm,
    control: Arm,
    confidence: float = 0.95,
) -> ComplierEffect | None:
    """Intention-to-treat effect over the difference in the share reached (Bloom 1984; Imbens and Angrist 1994).

    Assumes exclusion (whoever was not reached is not touched by having been assigned) and that nobody is reached
    because he was held out. It is the effect on those reached by being assigned and says nothing of the others. None
    where both arms were reached alike.
    """
    first = arm_mean(np.column_stack([treated_values, np.asarray(treated_reached, dtype=float)]), treated)
    second = arm_mean(np.column_stack([control_values, np.asarray(control_reached, dtype=float)]), control)
    gain, reached = first.mean - second.mean
    spread_t, spread_c = first.covariance, second.covariance
    if reached == 0 or spread_t is None or spread_c is None:
        return None
    spread = spread_t + spread_c
    interval: FiellerInterval = fieller(
        float(gain),
        float(reached),
        variance_numerator=float(spread[0, 0]),
        variance_denominator=float(spread[1, 1]),
        covariance=float(spread[0, 1]),
        confidence=confidence,
    )
    return ComplierEffect(
        interval.ratio, interval.low, interval.high, float(first.mean[1]), float(second.mean[1]), confidence
    )


def _by_unit(rows: Floats, unit: Codes) -> Floats:
    """Sums of rows within units."""
    _names, code = np.unique(unit, return_inverse=True)
    return np.column_stack([np.bincount(code, weights=column) for column in rows.T])
