"""Do several estimates differ by more than chance: Cochran's Q, DerSimonian and Laird's spread, shrunken estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["Pooled", "pool", "shrink"]

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


def pool(estimates: ArrayLike, errors: ArrayLike, *, confidence: float = 0.95) -> Pooled:
    """Pool independent estimates with known standard errors by inverse variance.

    Cochran 1954 for the test; DerSimonian and Laird 1986, eq. 8 and 9, for the spread and the mean. Raises ValueError
    without an estimate, or where an error is not positive.
    """
    y, s = _checked(estimates, errors)
    weight = 1 / s**2
    fixed = float(weight @ y / weight.sum())
    q = float(weight @ (y - fixed) ** 2)
    freedom = y.size - 1
    scale = float(weight.sum() - (weight @ weight) / weight.sum())
    spread = max(0.0, (q - freedom) / scale) if freedom else 0.0
    weight = 1 / (s**2 + spread)
    mean, se = float(weight @ y / weight.sum()), float(weight.sum() ** -0.5)
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * se
    return Pooled(
        n=int(y.size),
        mean=mean,
        se=se,
        low=mean - reach,
        high=mean + reach,
        tau=spread**0.5,
        q=q,
        freedom=freedom,
        p=float(stats.chi2.sf(q, freedom)) if freedom else None,
        confidence=confidence,
    )


def shrink(estimates: ArrayLike, errors: ArrayLike, *, confidence: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Empirical-Bayes estimates of each true value, with the ends of their intervals.

    Each estimate is drawn towards the pooled mean by the share of its variance that is chance. The interval's variance
    is Prasad and Rao's 1990 mean squared error g1 + g2 + 2 g3: of the value given the spread, of the pooled mean, and
    of the spread itself, which is what keeps the interval from closing when the spread is estimated as zero. True
    values are taken as normal around their mean. Three arrays in the order given; one estimate alone is not drawn.
    """
    y, s = _checked(estimates, errors)
    found = pool(y, s)
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    if y.size == 1:
        return y, y - z * s, y + z * s
    spread = found.tau**2
    total = spread + s**2
    kept = spread / total
    value = found.mean + kept * (y - found.mean)
    of_spread = 2 * float((total**2).sum()) / y.size**2
    error = kept * s**2 + (1 - kept) ** 2 * found.se**2 + 2 * s**4 / total**3 * of_spread
    # an interval wider than that of the estimate alone would say that the other estimates make it less sure
    reach = z * np.minimum(np.sqrt(error), s)
    return value, value - reach, value + reach


def _checked(estimates: ArrayLike, errors: ArrayLike) -> tuple[Floats, Floats]:
    y, s = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    if y.ndim != 1 or y.shape != s.shape or y.size == 0:
        raise ValueError("as many standard errors as estimates are needed, and at least one")
    if not (np.isfinite(y).all() and np.isfinite(s).all() and (s > 0).all()):
        raise ValueError("estimates must be finite and their standard errors positive")
    return y, s
