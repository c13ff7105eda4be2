"""A campaign's money over time: month by month, present value, payback and internal rate, each with its interval."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.amounts import Amount
from crm_analysis.crm_roi.cashflow import InternalRate, internal_rate_of_return, net_present_value, payback_periods
from crm_analysis.crm_roi.costing import own_costs
from crm_analysis.crm_roi.flows import MemberFlows
from crm_analysis.crm_roi.results import CampaignResult
from crm_analysis.estimators.arms import arm_mean
from crm_analysis.units import DAYS_PER_MONTH

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Cash", "Payback", "cash_over_time", "monthly_rate", "paybacks"]

Floats = NDArray[np.float64]
DRAWS = 1999
SPENT = ("contact", "other", "unplanned")
RATES_PER_MONTH = np.unique(np.concatenate([np.linspace(-0.9, 2, 581), np.geomspace(2, 1000, 400)]))


@dataclass(frozen=True, slots=True)
class Payback:
    """Months until the running total is no longer negative; None where it never is within the months followed.

    `earliest` and `latest` hold the middle 95 % of draws from the sampling distribution; `chance` is the share of draws
    that pay back at all.
    """

    months: float | None
    earliest: float | None
    latest: float | None
    chance: float


@dataclass(frozen=True, slots=True)
class Cash:
    """One campaign's money by month from assignment; money in the profile's currency, rates as ratios.

    Month 0 holds what was spent up to the start; the margin gained in a month, and what was spent in it, fall at its
    end. `curve` has month, flow, total (running), low and high (95 % of the running total) and present (running total
    of discounted flows). `lifts` and `own` are the differences in margin per treated member and the treated's own costs
    by month, `covariance` that of both together (2 x months), `spent` the other costs by month from 0, split into
    `contact`, `other` and `unplanned`. `internal` is per month; `internal_low` and `internal_high` hold the rates
    around it at which the interval of the present value contains zero, None without end. `withheld` where single months
    rest on too few payers to be shown: then only present value and total are.
    """

    campaign_id: str
    key: str
    name: str
    n_treated: int
    n_control: int
    days: int
    held_on: bool
    rate_annual: float
    lifts: Floats
    own: Floats
    covariance: Floats
    spent: pd.DataFrame
    curve: pd.DataFrame
    present: Amount
    payback: Payback
    payback_discounted: Payback
    internal: InternalRate
    internal_low: float | None
    internal_high: float | None
    withheld: bool

    @property
    def flows(self) -> list[float]:
        """Flow of each month, month 0 first."""
        return [float(flow) for flow in self.curve["flow"]]

    @property
    def chance(self) -> float:
        """Chance of a present value above zero, every value taken for equally likely beforehand."""
        error = _error(self, discount_factors(len(self.curve), monthly_rate(self.rate_annual)))
        return float(stats.norm.cdf(self.present.value / error)) if error > 0 else float(self.present.value > 0)


def monthly_rate(rate_annual: float) -> float:
    """The rate per month that makes `rate_annual` in a year."""
    return float((1 + rate_annual) ** (1 / 12) - 1)


def discount_factors(n: int, rate: float) -> Floats:
    """(1 + rate)^-t for t from 0."""
    factors: Floats = (1.0 + rate) ** -np.arange(n, dtype=float)
    return factors


def cash_over_time(flows: Sequence[MemberFlows], scope: Scope) -> tuple[Cash, ...]:
    """`Cash` of every measured campaign, discounted at the profile's `value.discount_rate_annual`.

    At a rate of nothing and over the outcome window the present value is the campaign's net. Assumes randomised arms,
    and that the control was left alone for as long as the months reach.
    """
    return tuple(_cash(flow, scope) for flow in flows)


def _cash(flow: MemberFlows, scope: Scope) -> Cash:
    result = flow.result
    rate_annual = scope.profile.value.discount_rate_annual
    margin_t, margin_c = flow.margin[flow.treated], flow.margin[~flow.treated]
    own = own_costs(flow)
    n_t, n_c, months = len(margin_t), len(margin_c), flow.months
    treated, control = flow.arms().arms
    first, second = arm_mean(np.hstack([margin_t, own]), treated), arm_mean(margin_c, control)
    assert first.covariance is not None and second.covariance is not None  # or there would be no return
    joint = first.covariance.copy()
    joint[:months, :months] += second.covariance
    spent = _spent(result, months=months, by_orders=bool(flow.n_orders[flow.treated].sum() > 0))
    lifts, own_mean = first.mean[:months] - second.mean, first.mean[months:]
    amounts = -spent.sum(axis=1).to_numpy(float)
    amounts[1 : months + 1] += n_t * (lifts - own_mean)
    rate = monthly_rate(rate_annual)
    errors = [_spread(joint, n_t, np.where(np.arange(months) < month, 1.0, 0.0)) for month in range(len(amounts))]
    totals = amounts.cumsum()
    curve = pd.DataFrame(
        {
            "month": np.arange(len(amounts)),
            "flow": amounts,
            "total": totals,
            "low": totals - flow.quantile * np.array(errors),
            "high": totals + flow.quantile * np.array(errors),
            "present": (amounts * discount_factors(len(amounts), rate)).cumsum(),
        }
    )
    draws = draw_flows(amounts, joint, n_t, months, draws=DRAWS, salt=f"payback {result.campaign_id}")
    discounted = discount_factors(len(amounts), rate)
    internal = internal_rate_of_return(list(amounts))
    low, high = None, None
    if internal.rate is not None:
        low, high = _internal_interval(amounts, joint, n_t, months, internal.rate, flow.quantile)
    error = _spread(joint, n_t, discounted[1 : months + 1])
    value = net_present_value(list(amounts), rate=rate)
    return Cash(
        campaign_id=result.campaign_id,
        key=result.key,
        name=result.name,
        n_treated=n_t,
        n_control=n_c,
        days=flow.days,
        held_on=flow.held_on,
        rate_annual=rate_annual,
        lifts=lifts,
        own=own_mean,
        covariance=joint,
        spent=spent,
        withheld=_few_payers(flow, scope),
        curve=curve,
        present=Amount(value, value - flow.quantile * error, value + flow.quantile * error),
        payback=_payback(amounts, draws),
        payback_discounted=_payback(amounts * discounted, draws * discounted),
        internal=internal,
        internal_low=low,
        internal_high=high,
    )


def _error(cash: Cash, factors: Floats) -> float:
    return _spread(cash.covariance, cash.n_treated, factors[1 : len(cash.lifts) + 1])


def _spread(joint: Floats, n_treated: int, weights: Floats) -> float:
    """Standard error of the weighted sum of months, for all treated members together."""
    both = np.concatenate([weights, -weights])
    return n_treated * math.sqrt(max(float(both @ joint @ both), 0.0))


def _spent(result: CampaignResult, *, months: int, by_orders: bool) -> pd.DataFrame:
    """Costs charged that do not depend on behaviour by month: contact, other and unplanned, month 0 first."""
    assert result.cost is not None
    lines = result.cost.lines
    if by_orders:  # these follow the orders and are in each member's own cost
        lines = lines[lines["driver"] != "order"]
    at = _months_after(lines["incurred_on"], result.starts_on)
    column = np.select([lines["unplanned"].to_numpy(bool), (lines["driver"] == "contact").to_numpy()], [2, 0], 1)
    values = np.zeros((max(months, int(at.max(initial=0))) + 1, len(SPENT)))
    np.add.at(values, (at, column), lines["charged"].to_numpy(float))
    return pd.DataFrame(values, columns=list(SPENT))


def _months_after(days: pd.Series, start: date) -> NDArray[np.int64]:
    """The month in which a cost fell: 0 up to the start, then counted from it."""
    since = (pd.to_datetime(days) - pd.Timestamp(start)).dt.days.fillna(0).clip(lower=0).to_numpy(float)
    return np.ceil(since / DAYS_PER_MONTH).astype(int)


def _few_payers(flow: MemberFlows, scope: Scope) -> bool:
    rule = scope.profile.privacy
    arms = flow.margin[flow.treated], flow.margin[~flow.treated]
    return any(privacy.withhold(arm[:, month], rule.min_cell, rule.dominance_share)
               for arm in arms for month in range(flow.months))  # fmt: skip


def draw_flows(flows: Floats, joint: Floats, n_treated: int, months: int, *, draws: int, salt: str) -> Floats:
    """Monthly flows as another sample would have given them (draws x months), normal; the same salt, the same draws."""
    rng = np.random.default_rng(zlib.crc32(salt.encode()))
    noise = rng.multivariate_normal(np.zeros(2 * months), joint, size=draws, method="eigh")
    drawn = np.tile(flows, (draws, 1))
    drawn[:, 1 : months + 1] += n_treated * (noise[:, :months] - noise[:, months:])
    return drawn


def paybacks(flows: Floats) -> Floats:
    """`cashflow.payback_periods` of each row of flows, infinite where never."""
    totals = flows.cumsum(axis=1)
    n, length = totals.shape
    below = totals < 0
    last = length - 1 - below[:, ::-1].argmax(axis=1)
    found = np.full(n, np.inf)
    found[~below.any(axis=1)] = 0.0
    crossed = below.any(axis=1) & (last < length - 1)
    row, at = np.flatnonzero(crossed), last[crossed]
    found[row] = at - totals[row, at] / (totals[row, at + 1] - totals[row, at])
    return found


def _payback(flows: Floats, draws: Floats) -> Payback:
    drawn = paybacks(draws)
    earliest, latest = (float(end) for end in np.quantile(drawn, [0.025, 0.975], method="higher"))
    return Payback(
        payback_periods(list(flows)),
        earliest if math.isfinite(earliest) else None,
        latest if math.isfinite(latest) else None,
        float(np.isfinite(drawn).mean()),
    )


def _internal_interval(
    flows: Floats, joint: Floats, n_treated: int, months: int, rate: float, quantile: float
) -> tuple[float | None, float | None]:
    """The rates per month around the estimate at which the interval of the present value holds zero.

    None at an end that lies beyond `RATES_PER_MONTH`.
    """

    def holds(candidate: float) -> bool:
        factors = discount_factors(len(flows), candidate)
        return abs(float(factors @ flows)) <= quantile * _spread(joint, n_treated, factors[1 : months + 1])

    at = int(np.searchsorted(RATES_PER_MONTH, rate))
    sides = RATES_PER_MONTH[:at][::-1], RATES_PER_MONTH[at:]
    low, high = (next((float(r) for r in side if not holds(float(r))), None) for side in sides)
    return low, high
