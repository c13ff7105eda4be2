"""How old the contact data are, and how fast contacts stop working."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2

from crm_analysis.estimators.proportions import wilson
from crm_analysis.units import DAYS_PER_YEAR

RETURNED = frozenset({"returned", "bounced", "invalid", "wrong", "moved", "unreachable", "반송", "결번", "수취인불명"})
_FEWEST_RETURNED = 5


@dataclass(frozen=True, slots=True)
class Decay:
    """Share of contacts that stop working within a year, and where the figure comes from."""

    rate_annual: float
    low: float | None
    high: float | None
    source: Literal["own", "profile"]
    n_checked: int
    n_returned: int


@dataclass(frozen=True, slots=True)
class Staleness:
    """State of contact data on `as_of`.

    share: of the customers with a verification date, those verified more than `limit_days` ago (Wilson interval).
    n_undated: customers without such a date. expected_dead: contacts expected not to work any more, by `decay` and the
    age of each contact (undated ones left out), those already returned included.
    """

    as_of: date
    limit_days: int
    n_customers: int
    n_dated: int
    n_undated: int
    n_stale: int
    share: float | None
    low: float | None
    high: float | None
    median_age_days: float | None
    expected_dead: float | None
    decay: Decay


def decay_rate(age_years: np.ndarray, returned: np.ndarray) -> tuple[float, float, float]:
    """Annual hazard of contacts that are seen once, at a known age, to work or not: maximum likelihood, 95 % interval.

    P(not working at age a) = 1 - exp(-hazard a), "current status" data (Sun 2006, Statistical Analysis of
    Interval-censored Failure Time Data, ch. 3). The interval is the profile likelihood's. Ages in years, above zero.
    Raises ValueError without any returned or any working contact, where no maximum exists.
    """
    dead, alive = age_years[returned], age_years[~returned]
    if not len(dead) or not len(alive):
        raise ValueError("needs at least one returned and one working contact")
    exposure = float(alive.sum())

    def loglik(hazard: float) -> float:
        return float(np.log(-np.expm1(-hazard * dead)).sum()) - hazard * exposure

    def score(hazard: float) -> float:
        return float((dead / np.expm1(hazard * dead)).sum()) - exposure

    lowest, highest = 1e-8, 1.0
    while score(highest) > 0:
        highest *= 2
    best = float(brentq(score, lowest, highest))
    target = loglik(best) - float(chi2.ppf(0.95, 1)) / 2
    low = float(brentq(lambda h: loglik(h) - target, lowest, best)) if loglik(lowest) < target else 0.0
    top = 2 * best
    while loglik(top) > target:
        top *= 2
    return best, low, float(brentq(lambda h: loglik(h) - target, best, top))


def staleness(customers: pd.DataFrame, *, as_of: date, limit_days: int, decay_annual: float) -> Staleness:
    """Age of contact data.

    customers: one row per customer, with contact_verified_on and contact_status where the organisation has them.
    decay_annual: the share per year to assume where fewer than five contacts came back.
    """
    n = len(customers)
    if "contact_verified_on" in customers:
        verified = pd.to_datetime(customers["contact_verified_on"], errors="coerce")
    else:
        verified = pd.Series(pd.NaT, index=customers.index, dtype="datetime64[ns]")
    dated = verified.notna() & (verified <= pd.Timestamp(as_of))
    age_days = (pd.Timestamp(as_of) - verified[dated]).dt.days.to_numpy(dtype=float)
    status = customers["contact_status"] if "contact_status" in customers else pd.Series(None, index=customers.index)
    status = status.astype("string").str.strip().str.casefold()
    returned = status.isin(RETURNED).fillna(False).to_numpy(dtype=bool)
    checked = status.notna().to_numpy(dtype=bool) & dated.to_numpy()
    decay = _decay(verified, returned, checked, as_of, decay_annual)
    n_dated, n_stale = int(dated.sum()), int((age_days > limit_days).sum())
    found = wilson(n_stale, n_dated) if n_dated else None
    gone = returned[dated.to_numpy()]
    hazard = -math.log1p(-min(decay.rate_annual, 0.999))
    expected = float(np.where(gone, 1.0, -np.expm1(-hazard * age_days / DAYS_PER_YEAR)).sum()) if n_dated else None
    return Staleness(
        as_of=as_of,
        limit_days=limit_days,
        n_customers=n,
        n_dated=n_dated,
        n_undated=n - n_dated,
        n_stale=n_stale,
        share=found.share if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        median_age_days=float(np.median(age_days)) if n_dated else None,
        expected_dead=expected,
        decay=decay,
    )


def _decay(verified: pd.Series, returned: np.ndarray, checked: np.ndarray, as_of: date, assumed: float) -> Decay:
    n_checked, n_returned = int(checked.sum()), int((returned & checked).sum())
    if not _FEWEST_RETURNED <= n_returned < n_checked:
        return Decay(assumed, None, None, "profile", n_checked, n_returned)
    age = (pd.Timestamp(as_of) - verified[checked]).dt.days.to_numpy(dtype=float) / DAYS_PER_YEAR
    hazard, low, high = decay_rate(np.maximum(age, 1 / DAYS_PER_YEAR), returned[checked])
    rate, low, high = (float(-math.expm1(-each)) for each in (hazard, low, high))
    return Decay(rate, low, high, "own", n_checked, n_returned)
