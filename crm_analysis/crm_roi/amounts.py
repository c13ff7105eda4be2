"""Amounts with their intervals, and cost per unit gained where the gain is an estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from crm_analysis.estimators.arms import Arm, arm_mean
from crm_analysis.estimators.means import MeanDifference
from crm_analysis.estimators.ratios import fieller

__all__ = ["NORMAL_REACH", "Amount", "PerUnit", "cost_per_unit", "total"]

NORMAL_REACH = float(stats.norm.ppf(0.975))


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its 95 % interval, None at an end where it has none."""

    value: float
    low: float | None
    high: float | None

    @property
    def side(self) -> int:
        """1 above zero, -1 below, 0 where the interval does not settle it."""
        if self.low is not None and self.low > 0:
            return 1
        return -1 if self.high is not None and self.high < 0 else 0

    @classmethod
    def around(cls, value: float, error: float) -> Amount:
        """A normal interval from a standard error."""
        return cls(value, value - NORMAL_REACH * error, value + NORMAL_REACH * error)


@dataclass(frozen=True, slots=True)
class PerUnit:
    """Cost of one unit gained. `value` is None where nothing was gained.

    `low` and `high` are Fieller's interval. Where the gain does not differ from zero there is no upper end: any higher
    cost is possible too, up to having gained nothing; `low` then is the least it cost.
    """

    value: float | None
    low: float | None
    high: float | None
    gained: Amount


def total(found: MeanDifference, n: float) -> Amount:
    """A difference per member times the number of members."""
    low, high = (None if end is None else end * n for end in (found.low, found.high))
    return Amount(found.difference * n, low, high)


def cost_per_unit(
    cost_treated: ArrayLike,
    units_treated: ArrayLike,
    units_control: ArrayLike,
    *,
    fixed_cost: float,
    arms: tuple[Arm, Arm] | None = None,
    quantile: float = NORMAL_REACH,
) -> PerUnit:
    """What one more unit (an order, a customer kept) cost: cost of the treated over units beyond the control's.

    `cost_treated` is each treated member's own cost, `fixed_cost` the rest for all of them together. Fieller's interval
    (1954) with the covariance of own cost and units; assumes randomised arms. `arms` say which members were drawn
    together and in which strata, `quantile` the half-width of the interval in standard errors.
    """
    cost, got = np.asarray(cost_treated, dtype=float), np.asarray(units_treated, dtype=float)
    without = np.asarray(units_control, dtype=float)
    n_t = got.size
    treated, control = arms or (Arm(n_t), Arm(without.size))
    first, second = arm_mean(np.column_stack([cost, got]), treated), arm_mean(without, control)
    spread, other = first.covariance, second.covariance
    gain, spent = float(first.mean[1] - second.mean[0]), float(first.mean[0]) + fixed_cost / n_t
    if spread is None or other is None:
        return PerUnit(spent / gain if gain > 0 else None, None, None, Amount(gain * n_t, None, None))
    variance_spent, variance_gain = float(spread[0, 0]), float(spread[1, 1] + other[0, 0])
    shared = float(spread[0, 1])
    reach = quantile * math.sqrt(variance_gain) * n_t
    gained = Amount(gain * n_t, gain * n_t - reach, gain * n_t + reach)
    if gain <= 0:
        return PerUnit(None, None, None, gained)
    interval = fieller(
        spent,
        gain,
        variance_numerator=variance_spent,
        variance_denominator=variance_gain,
        covariance=shared,
        quantile=quantile,
    )
    low, high = interval.low, interval.high
    if not interval.bounded:
        low = _least(spent, gain, variance_spent, variance_gain, shared, quantile)
    return PerUnit(spent / gain, low, high, gained)


def _least(
    spent: float, gain: float, variance_spent: float, variance_gain: float, shared: float, quantile: float
) -> float | None:
    """The lowest positive ratio that an interval without upper end holds."""
    a = gain**2 - quantile**2 * variance_gain
    b = spent * gain - quantile**2 * shared
    c = spent**2 - quantile**2 * variance_spent
    if a == 0 or b * b < a * c:
        return None
    roots = sorted((b + sign * math.sqrt(b * b - a * c)) / a for sign in (-1, 1))
    positive = [root for root in roots if root > 0]
    return positive[0] if positive else None
