"""What a programme earned: incremental margin, cost, net and return with their intervals."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crm_analysis.estimators.arms import Arm, arm_mean, bootstrap_arm, influence
from crm_analysis.estimators.ratios import fieller

__all__ = ["RoiEstimate", "estimate_roi", "net_influence"]


@dataclass(frozen=True, slots=True)
class RoiEstimate:
    """Return of one programme on its treated members; amounts in the profile's currency, ROI as a ratio (0.5 = 50 %).

    ROI is net incremental margin over programme cost. `roi_low` and `roi_high` are Fieller's 95 % interval, None when
    it has no ends; `net_low` and `net_high` always exist where the outcome varies. `roi_error` is the delta-method
    standard error. `probability_earned` is the posterior chance of a positive net under a flat prior (every net equally
    likely beforehand) and a normal likelihood.
    `break_even_margin` is the incremental margin per treated member that pays for the programme.
    """

    n_treated: int
    n_control: int
    margin_per_treated: float
    cost_per_treated: float
    incremental_margin: float
    incremental_low: float
    incremental_high: float
    cost: float
    net: float
    net_low: float
    net_high: float
    net_error: float
    roi: float
    roi_error: float
    roi_low: float | None
    roi_high: float | None
    bootstrap_low: float | None
    bootstrap_high: float | None
    probability_earned: float
    break_even_margin: float
    break_even_contact_cost: float | None
    basis: str

    @property
    def verdict(self) -> str:
        """`earned` or `lost` where the interval of the net excludes zero, else `unknown`."""
        if self.net_low > 0:
            return "earned"
        return "lost" if self.net_high < 0 else "unknown"


def estimate_roi(
    treated_margin: ArrayLike,
    control_margin: ArrayLike,
    *,
    fixed_cost: float,
    treated_cost: ArrayLike | None = None,
    contact_cost: float | None = None,
    treated: Arm | None = None,
    control: Arm | None = None,
    confidence: float = 0.95,
    draws: int = 1999,
    salt: str = "",
) -> RoiEstimate | None:
    """Return on the treated, from one margin per member.

    `fixed_cost` is the whole cost that does not depend on what a member did; `treated_cost` is what each treated member
    cost by behaviour of their own (a discount taken, an order packed), so that it varies and covaries with the margin.
    `contact_cost` is the cost of one contact contained in these, for the break-even; None where contacts are not
    priced. None when nothing varies or nothing was spent: there is no interval or no return then.

    `treated` and `control` say which members were drawn together (their quantiles are then those of a t distribution on
    the units) and in which strata; without them every member was drawn alone from one list.

    Assumes that units were drawn at random and that members of different units do not influence each other.
    """
    margin_t, margin_c = np.asarray(treated_margin, dtype=float), np.asarray(control_margin, dtype=float)
    own = np.zeros(margin_t.size) if treated_cost is None else np.asarray(treated_cost, dtype=float)
    n_t, n_c = int(margin_t.size), int(margin_c.size)
    arms = treated or Arm(n_t), control or Arm(n_c)
    if n_t < 2 or n_c < 2:
        return None
    first, second = arm_mean(np.column_stack([margin_t, own]), arms[0]), arm_mean(margin_c, arms[1])
    spread_t, spread_c = first.covariance, second.covariance
    if spread_t is None or spread_c is None:
        return None
    gain = float(first.mean[0] - second.mean[0])
    spent = float(own.mean()) + fixed_cost / n_t
    variance_gain = float(spread_t[0, 0] + spread_c[0, 0])
    variance_spent, shared = float(spread_t[1, 1]), float(spread_t[0, 1])
    variance_net = variance_gain - 2 * shared + variance_spent
    if spent <= 0 or variance_net <= 0:
        return None
    z = _quantile(confidence, arms, first.parts + second.parts)
    interval = fieller(
        gain,
        spent,
        variance_numerator=variance_gain,
        variance_denominator=variance_spent,
        covariance=shared,
        confidence=confidence,
        quantile=z,
    )
    error = math.sqrt(variance_net)
    low, high = _bootstrap(
        margin_t, margin_c, own, fixed_cost / n_t, arms=arms, confidence=confidence, draws=draws, salt=salt
    )
    net, ratio = gain - spent, gain / spent
    reach = z * math.sqrt(variance_gain)
    return RoiEstimate(
        n_treated=n_t,
        n_control=n_c,
        margin_per_treated=gain,
        cost_per_treated=spent,
        incremental_margin=gain * n_t,
        incremental_low=(gain - reach) * n_t,
        incremental_high=(gain + reach) * n_t,
        cost=spent * n_t,
        net=net * n_t,
        net_low=(net - z * error) * n_t,
        net_high=(net + z * error) * n_t,
        net_error=error * n_t,
        roi=ratio - 1,
        roi_error=math.sqrt(max(variance_gain - 2 * ratio * shared + ratio**2 * variance_spent, 0.0)) / spent,
        roi_low=None if interval.low is None else interval.low - 1,
        roi_high=None if interval.high is None else interval.high - 1,
        bootstrap_low=low,
        bootstrap_high=high,
        probability_earned=float(stats.norm.cdf(net / error)),
        break_even_margin=spent,
        break_even_contact_cost=None if contact_cost is None else contact_cost + net,
        basis=f"Fieller {confidence:.0%}",
    )


def _bootstrap(
    margin_t: NDArray[np.float64],
    margin_c: NDArray[np.float64],
    own: NDArray[np.float64],
    fixed_per_treated: float,
    *,
    arms: tuple[Arm, Arm],
    confidence: float,
    draws: int,
    salt: str,
) -> tuple[float | None, float | None]:
    """Percentile interval of the ROI; the same salt gives the same draws."""
    if draws <= 0:
        return None, None
    rng = np.random.default_rng(zlib.crc32(salt.encode()))
    treated = bootstrap_arm(np.column_stack([margin_t, own]), arms[0], draws=draws, rng=rng)
    control = bootstrap_arm(margin_c, arms[1], draws=draws, rng=rng)
    spent = treated[:, 1] + fixed_per_treated
    if (spent <= 0).any():
        return None, None
    ratio = (treated[:, 0] - control[:, 0]) / spent - 1
    low, high = np.quantile(ratio, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def _quantile(confidence: float, arms: tuple[Arm, Arm], parts: tuple[tuple[NDArray[np.float64], int], ...]) -> float:
    """The normal quantile, or that of a t distribution on the units where members were drawn together."""
    if arms[0].unit is None and arms[1].unit is None:
        return float(stats.norm.ppf(0.5 + confidence / 2))
    of_units = [(float(part[0, 0]), units) for part, units in parts]
    total, weights = sum(part for part, _units in of_units), sum(p**2 / (units - 1) for p, units in of_units)
    freedom = total**2 / weights if weights > 0 else sum(units - 1 for _part, units in of_units)
    return float(stats.t.ppf(0.5 + confidence / 2, freedom))


def net_influence(
    treated_margin: ArrayLike,
    control_margin: ArrayLike,
    treated_cost: ArrayLike,
    *,
    treated: Arm | None = None,
    control: Arm | None = None,
) -> Sequence[np.ndarray]:
    """Each member's influence on the programme's net, treated first, then control; they sum to zero within an arm.

    The sum of squares over customers, those of several programmes added up first, is the variance of a portfolio's net.
    """
    margin_t, margin_c = np.asarray(treated_margin, dtype=float), np.asarray(control_margin, dtype=float)
    net_t = margin_t - np.asarray(treated_cost, dtype=float)
    n_t, n_c = margin_t.size, margin_c.size
    return n_t * influence(net_t, treated or Arm(n_t)), -n_t * influence(margin_c, control or Arm(n_c))
