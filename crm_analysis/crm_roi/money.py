"""What a programme earned: incremental margin, cost, net and return with their intervals."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crm_analysis.estimators.means import bootstrap_means
from crm_analysis.estimators.ratios import fieller

__all__ = ["RoiEstimate", "estimate_roi"]


@dataclass(frozen=True, slots=True)
class RoiEstimate:
    """Return of one programme on its treated members; amounts in the profile's currency, ROI as a ratio (0.5 = 50 %).

    ROI is net incremental margin over programme cost. `roi_low` and `roi_high` are Fieller's 95 % interval, None when
    it has no ends; `net_low` and `net_high` always exist where the outcome varies. `probability_earned` is the
    posterior chance of a positive net under a flat prior (every net equally likely beforehand) and a normal likelihood.
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
    confidence: float = 0.95,
    draws: int = 1999,
    salt: str = "",
) -> RoiEstimate | None:
    """Return on the treated, from one margin per randomised unit.

    `fixed_cost` is the whole cost that does not depend on what a member did; `treated_cost` is what each treated member
    cost by behaviour of their own (a discount taken, an order packed), so that it varies and covaries with the margin.
    `contact_cost` is the cost of one contact contained in these, for the break-even; None where contacts are not
    priced. None when nothing varies or nothing was spent: there is no interval or no return then.

    Assumes that arms were drawn at random and that members do not influence each other.
    """
    margin_t, margin_c = np.asarray(treated_margin, dtype=float), np.asarray(control_margin, dtype=float)
    own = np.zeros(margin_t.size) if treated_cost is None else np.asarray(treated_cost, dtype=float)
    n_t, n_c = int(margin_t.size), int(margin_c.size)
    if n_t < 2 or n_c < 2:
        return None
    gain = float(margin_t.mean() - margin_c.mean())
    spent = float(own.mean()) + fixed_cost / n_t
    covariance = np.cov(margin_t, own, ddof=1)
    variance_gain = float(covariance[0, 0] / n_t + margin_c.var(ddof=1) / n_c)
    variance_spent = float(covariance[1, 1] / n_t)
    shared = float(covariance[0, 1] / n_t)
    variance_net = variance_gain - 2 * shared + variance_spent
    if spent <= 0 or variance_net <= 0:
        return None
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    interval = fieller(
        gain,
        spent,
        variance_numerator=variance_gain,
        variance_denominator=variance_spent,
        covariance=shared,
        confidence=confidence,
    )
    error = math.sqrt(variance_net)
    low, high = _bootstrap(margin_t, margin_c, own, fixed_cost / n_t, confidence=confidence, draws=draws, salt=salt)
    net = gain - spent
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
        roi=gain / spent - 1,
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
    confidence: float,
    draws: int,
    salt: str,
) -> tuple[float | None, float | None]:
    """Percentile interval of the ROI; the same salt gives the same draws."""
    if draws <= 0:
        return None, None
    rng = np.random.default_rng(zlib.crc32(salt.encode()))
    treated = bootstrap_means(np.column_stack([margin_t, own]), draws=draws, rng=rng)
    control = bootstrap_means(margin_c, draws=draws, rng=rng)
    spent = treated[:, 1] + fixed_per_treated
    if (spent <= 0).any():
        return None, None
    ratio = (treated[:, 0] - control[:, 0]) / spent - 1
    low, high = np.quantile(ratio, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def net_influence(
    treated_margin: ArrayLike, control_margin: ArrayLike, treated_cost: ArrayLike
) -> Sequence[np.ndarray]:
    """Each unit's influence on the programme's net, treated first, then control; they sum to zero within an arm.

    The sum of squares over customers, those of several programmes added up first, is the variance of a portfolio's net.
    """
    margin_t, margin_c = np.asarray(treated_margin, dtype=float), np.asarray(control_margin, dtype=float)
    net_t = margin_t - np.asarray(treated_cost, dtype=float)
    n_t, n_c = margin_t.size, margin_c.size
    scale_t, scale_c = math.sqrt(n_t / max(n_t - 1, 1)), math.sqrt(n_c / max(n_c - 1, 1))
    return (net_t - net_t.mean()) * scale_t, -(n_t / n_c) * (margin_c - margin_c.mean()) * scale_c
