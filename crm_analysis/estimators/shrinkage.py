"""Many noisy estimates of alike things: do they differ by more than chance, how much, and each drawn to their mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

__all__ = ["Pooled", "Shrunk", "between_spread", "pool", "shrink"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Several independent estimates of one quantity taken together, in their unit.

    `mean` with `se`, `low`, `high` allows for a spread of the true values around it (random effects); `tau` is that
    spread's standard deviation, 0 where the estimates differ by no more than chance. `q` on `freedom` degrees of
    freedom and `p` are Cochran's test that all true values are equal; p is None for a single estimate.
    """

    n: int
    mean: float
    se: float
    low: float
    high: float
    tau: float
    q: float
    freedom: int
    p: float | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Empirical-Bayes estimates in the order given; `spread` is the standard deviation between the true values."""

    mean: float
    spread: float
    value: Floats
    low: Floats
    high: Floats
    weight: Floats
    """What each keeps of its own estimate; the rest is the mean's."""


def pool(estimates: ArrayLike, errors: ArrayLike, *, confidence: float = 0.95) -> Pooled:
    """Pool independent estimates with known standard errors by inverse variance.

    Cochran 1954 for the test; the spread of `between_spread`, and the mean weighed with it. Raises ValueError without
    an estimate, or where an error is not positive.
    """
    y, s = _checked(estimates, errors, fewest=1)
    weight = 1 / s**2
    fixed = float(weight @ y / weight.sum())
    q = float(weight @ (y - fixed) ** 2)
    freedom = y.size - 1
    spread, mean = between_spread(y, s**2) if freedom else (0.0, float(y[0]))
    se = float((1 / (s**2 + spread**2)).sum() ** -0.5)
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * se
    return Pooled(
        n=int(y.size),
        mean=mean,
        se=se,
        low=mean - reach,
        high=mean + reach,
        tau=spread,
        q=q,
        freedom=freedom,
        p=float(stats.chi2.sf(q, freedom)) if freedom else None,
        confidence=confidence,
    )


def shrink(estimates: ArrayLike, errors: ArrayLike, *, confidence: float = 0.95) -> Shrunk:
    """Normal empirical Bayes: true values vary normally about a common mean, estimates about them with known errors.

    The variance between true values solves sum (x - mean)^2 / (error^2 + variance) = k - 1 (Paule and Mandel 1982), at
    least 0. Intervals follow Morris (1983, section 5): the weight given to the mean is scaled by (k - 3) / (k - 1), and
    the uncertainty of mean and weight is added, so that they hold on average over the set. With three estimates or
    fewer nothing is drawn anywhere: their spread is not known. Errors must be positive. Ranks by shrunken values are
    the best guess, not a settled order.
    """
    x, s = _checked(estimates, errors, fewest=2)
    k = x.size
    spread, mean = between_spread(x, s**2)
    variance = spread**2
    weight = 1 / (s**2 + variance)
    pull = max(k - 3, 0) / (k - 1) * s**2 / (s**2 + variance)
    value = (1 - pull) * x + pull * mean
    of_mean = weight / weight.sum()
    doubt = 2 / max(k - 3, 1) * pull**2 * ((s**2).mean() + variance) / (s**2 + variance) * (x - mean) ** 2
    error = np.sqrt(s**2 * (1 - (1 - of_mean) * pull) + doubt)
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    return Shrunk(mean, spread, value, value - reach, value + reach, 1 - pull)


def between_spread(values: Floats, variances: Floats) -> tuple[float, float]:
    """Spread (standard deviation) of the true values between groups and their mean, by Paule and Mandel 1982.

    The variance between groups solves sum (x - mean)^2 / (error^2 + variance) = k - 1; the spread is 0 where the values
    differ no more than chance would have them.
    """
    if values.size < 2:  # noqa: PLR2004
        return math.nan, float(values.mean()) if values.size else math.nan

    def excess(variance: float) -> float:
        weight = 1 / (variances + variance)
        mean = float(weight @ values / weight.sum())
        return float(weight @ (values - mean) ** 2) - (values.size - 1)

    variance = 0.0
    if excess(0.0) > 0:
        upper = 1.0
        while excess(upper) > 0:
            upper *= 4
        variance = float(brentq(excess, 0.0, upper))
    weight = 1 / (variances + variance)
    return math.sqrt(variance), float(weight @ values / weight.sum())


def _checked(estimates: ArrayLike, errors: ArrayLike, *, fewest: int) -> tuple[Floats, Floats]:
    x, s = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    if x.ndim != 1 or x.shape != s.shape or x.size < fewest:
        raise ValueError(f"as many standard errors as estimates are needed, and at least {fewest} of them")
    if not (np.isfinite(x).all() and np.isfinite(s).all() and (s > 0).all()):
        raise ValueError("estimates must be finite and their standard errors positive")
    return x, s
