"""Money over time: present value, internal rate of return, payback, and the value of retention.

Flows are one amount per period, the first one today (period 0); rates are per the same period.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

__all__ = [
    "InternalRate",
    "customer_lifetime_value",
    "discounted_payback_periods",
    "internal_rate_of_return",
    "net_present_value",
    "payback_periods",
    "retention_elasticity",
]


@dataclass(frozen=True, slots=True)
class InternalRate:
    """Internal rate of return per period; `rate` is None with the `reason` when it is undefined.

    `sign_changes` counts how often the flows change sign.
    """

    rate: float | None
    reason: str
    sign_changes: int = 1


def net_present_value(flows: Sequence[float], *, rate: float) -> float:
    """Sum of flows[t] / (1 + rate)^t, t from 0."""
    if rate <= -1:
        raise ValueError("a discount rate of -100 % or less has no present value")
    return float(sum(flow / (1 + rate) ** t for t, flow in enumerate(flows)))


def internal_rate_of_return(flows: Sequence[float]) -> InternalRate:
    """The rate at which the present value is zero.

    Undefined, with the reason, when the flows never change sign (no rate) or change it more than once (several rates
    may fit, and none of them is the return).
    """
    signs = [math.copysign(1, flow) for flow in flows if flow != 0]
    changes = sum(a != b for a, b in pairwise(signs))
    if changes == 0:
        return InternalRate(None, "the flows never change sign: nothing is paid back, or nothing was paid", 0)
    if changes > 1:
        return InternalRate(None, f"the flows change sign {changes} times: several rates fit", changes)
    # One sign change: the present value crosses zero once in discount-factor space (Descartes).
    values = np.trim_zeros(np.asarray(flows, dtype=float), "f")

    def at_factor(factor: float) -> float:
        return float(np.polynomial.polynomial.polyval(factor, values))

    upper = 1.0
    while at_factor(upper) * signs[0] > 0 and upper < 1e12:
        upper *= 2
    factor = float(brentq(at_factor, 0.0, upper, xtol=1e-14)) if at_factor(0.0) * at_factor(upper) < 0 else upper
    return InternalRate(1 / factor - 1, "")


def payback_periods(flows: Sequence[float]) -> float | None:
    """Periods until the running total is no longer negative, linear within the period; None when never.

    A total that turns negative again later has not been paid back: the last crossing counts.
    """
    totals = np.cumsum(np.asarray(flows, dtype=float))
    below = np.flatnonzero(totals < 0)
    if below.size == 0:
        return 0.0
    last = int(below[-1])
    if last == totals.size - 1:
        return None
    return last + float(-totals[last] / (totals[last + 1] - totals[last]))


def discounted_payback_periods(flows: Sequence[float], *, rate: float) -> float | None:
    """`payback_periods` of the flows discounted at `rate`."""
    return payback_periods([flow / (1 + rate) ** t for t, flow in enumerate(flows)])


def customer_lifetime_value(margin: float, *, retention: float, rate: float) -> float:
    """m r / (1 + d - r): yearly margin at constant retention, first margin after one year (Gupta and Lehmann 2003)."""
    _check_retention(retention, rate)
    return margin * retention / (1 + rate - retention)


def retention_elasticity(*, retention: float, rate: float) -> float:
    """Elasticity of `customer_lifetime_value` in retention, (1 + d) / (1 + d - r)."""
    _check_retention(retention, rate)
    return (1 + rate) / (1 + rate - retention)


def _check_retention(retention: float, rate: float) -> None:
    if not 0 <= retention <= 1 or rate <= -1 or 1 + rate <= retention:
        raise ValueError("retention must lie between 0 and 1 and below 1 + the discount rate")
