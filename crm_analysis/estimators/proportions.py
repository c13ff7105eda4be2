"""Shares and weighted means with their intervals.

A share of nobody is undefined (nan), never zero; one answer has no standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share between 0 and 1 with its interval; `n` counts answers, `n_effective` what they are worth."""

    share: float
    low: float
    high: float
    n: int
    n_effective: float
    level: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean with its standard error and interval, in the unit of the values averaged."""

    mean: float
    se: float
    low: float
    high: float
    n: int
    n_effective: float
    level: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Second minus first, with interval and two-sided p-value; `se` where the interval was made from one."""

    value: float
    low: float
    high: float
    p: float
    level: float
    basis: str
    se: float = math.nan


def normal_quantile(level: float) -> float:
    """The half-width, in standard errors, of a two-sided normal interval of confidence `level`."""
    return float(special.ndtri(0.5 + level / 2))


def effective_n(weights: ArrayLike) -> float:
    """Kish's effective sample size, (sum w)^2 / sum w^2; 0 for no weight at all."""
    w = np.asarray(weights, dtype=float)
    squares = float(w @ w)
    return float(w.sum()) ** 2 / squares if squares > 0 else 0.0


def wilson_limits(
    share: ArrayLike, n: ArrayLike, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's score limits for shares (0 to 1) of `n` (may be effective and fractional); nan where n is 0.

    Wilson 1927; recommended for small n by Brown, Cai and DasGupta 2001.
    """
    p, size = np.broadcast_arrays(np.asarray(share, dtype=float), np.asarray(n, dtype=float))
    z = normal_quantile(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (p + z**2 / (2 * size)) / (1 + z**2 / size)
        half = z / (1 + z**2 / size) * np.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    low = np.where(size > 0, np.where(p <= 0, 0.0, np.maximum(centre - half, 0.0)), np.nan)
    high = np.where(size > 0, np.where(p >= 1, 1.0, np.minimum(centre + half, 1.0)), np.nan)
    return low, high


def wilson(successes: float, n: float, *, level: float = 0.95, n_effective: float | None = None) -> Proportion:
    """The share `successes / n` with Wilson's interval, computed on `n_effective` where answers are weighted."""
    if n < 0 or successes < 0 or successes > n:
        raise ValueError(f"{successes:g} successes of {n:g} make no share")
    size = n if n_effective is None else n_effective
    share = successes / n if n > 0 else math.nan
    low, high = wilson_limits(share, size, level=level)
    return Proportion(
        share=share,
        low=float(low),
        high=float(high),
        n=round(n),
        n_effective=float(size),
        level=level,
        basis=f"Wilson {level:.0%}",
    )


def two_proportions(first: Proportion, second: Proportion, *, level: float = 0.95) -> Difference:
    """Second share minus first, independent samples: Newcombe's hybrid score interval, pooled z test.

    Newcombe 1998, method 10. The limits are recomputed at `level` on the effective sizes.
    """
    p1, p2, n1, n2 = first.share, second.share, first.n_effective, second.n_effective
    if n1 <= 0 or n2 <= 0:
        return Difference(value=math.nan, low=math.nan, high=math.nan, p=math.nan, level=level, basis="undefined")
    l1, u1 = (float(limit) for limit in wilson_limits(p1, n1, level=level))
    l2, u2 = (float(limit) for limit in wilson_limits(p2, n2, level=level))
    value = p2 - p1
    pooled = (p1 * n1 + p2 * n2) / (n1 + n2)
    se = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    p = 2 * float(special.ndtr(-abs(value) / se)) if se > 0 else 1.0
    return Difference(
        value=value,
        low=value - math.hypot(p2 - l2, u1 - p1),
        high=value + math.hypot(u2 - p2, p1 - l1),
        p=p,
        level=level,
        basis=f"Newcombe {level:.0%}",
    )


def weighted_mean(
    values: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    correction: bool = True,
) -> Estimate:
    """Mean of `values` with the linearised standard error of a survey mean.

    `weights` are sampling weights, not negative, of any scale; `strata` are labels, strata with one answer being
    pooled into one; `clusters` say which answers came from one person, who then counts as one draw. With `correction`
    each stratum's variance carries n / (n - 1), as survey packages do; without it the plain form of a multinomial
    share. Assumes sampling with replacement within strata (no finite population correction). Särndal, Swensson and
    Wretman 1992, section 5.5. Values and weights must be finite; drop missing ones first. Raises ValueError on negative
    weights.
    """
    y = np.asarray(values, dtype=float)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=float)
    if y.shape != w.shape:
        raise ValueError("values and weights differ in length")
    if y.size and not (np.isfinite(y).all() and np.isfinite(w).all()):
        raise ValueError("values and weights must be finite")
    if (w < 0).any():
        raise ValueError(f"{int((w < 0).sum())} weights are negative")
    n, total = int(y.size), float(w.sum())
    if n == 0 or total <= 0:
        return Estimate(
            mean=math.nan,
            se=math.nan,
            low=math.nan,
            high=math.nan,
            n=n,
            n_effective=0.0,
            level=level,
            basis="undefined",
        )
    mean = float(w @ y) / total
    scores = w * (y - mean) / total
    drawn = w
    if clusters is not None:
        scores, strata, drawn = _summed_by_cluster(scores, strata, clusters, w)
    se = math.sqrt(_variance_of_total(scores, strata, correction)) if scores.size > 1 else math.nan
    half = normal_quantile(level) * se
    return Estimate(
        mean=mean,
        se=se,
        low=mean - half,
        high=mean + half,
        n=n,
        n_effective=effective_n(drawn),
        level=level,
        basis="linearised, weighted" if weights is not None else "normal",
    )


def _summed_by_cluster(
    scores: NDArray[np.float64], strata: ArrayLike | None, clusters: ArrayLike, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.float64]]:
    """Scores and weights added up per cluster and stratum, with the stratum of each sum."""
    labels = np.zeros(scores.size, dtype=int).astype(str) if strata is None else np.asarray(strata).astype(str)
    _, layer = np.unique(labels, return_inverse=True)
    _, person = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
    _, first, at = np.unique(person * (layer.max() + 1) + layer, return_index=True, return_inverse=True)
    summed = np.bincount(at, weights=scores).astype(float), np.bincount(at, weights=weights).astype(float)
    return summed[0], labels[first].astype(np.str_), summed[1]


def _variance_of_total(scores: NDArray[np.float64], strata: ArrayLike | None, correction: bool) -> float:
    if strata is None:
        group = np.zeros(scores.size, dtype=int)
    else:
        _, group = np.unique(np.asarray(strata).astype(str), return_inverse=True)
        alone = np.bincount(group)[group] == 1
        group = np.where(alone, group.max() + 1, group)
    size = np.bincount(group).astype(float)
    total = np.bincount(group, weights=scores)
    squares = np.bincount(group, weights=scores**2)
    used = size > 1
    spread = squares[used] - total[used] ** 2 / size[used]
    factor = size[used] / (size[used] - 1) if correction else 1.0
    return float(np.maximum(spread * factor, 0.0).sum())


def linear_scores(values: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """What each answer adds to the error of the weighted mean: w (y - mean) / sum w. They add up to zero."""
    y = np.asarray(values, dtype=float)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=float)
    total = float(w.sum())
    return w * (y - float(w @ y) / total) / total if total > 0 else np.full(y.shape, np.nan)


def two_means(first: Estimate, second: Estimate, *, covariance: float = 0.0, level: float = 0.95) -> Difference:
    """Second mean minus first, normal interval from both standard errors.

    `covariance` of the two means is zero for independent samples; positive where the same people answered twice.
    Kish 1965, section 12.4.
    """
    value = second.mean - first.mean
    se = math.sqrt(max(first.se**2 + second.se**2 - 2 * covariance, 0.0))
    half = normal_quantile(level) * se
    p = 2 * float(special.ndtr(-abs(value) / se)) if se > 0 else (1.0 if value == 0 else math.nan)
    return Difference(
        value=value, low=value - half, high=value + half, p=p, level=level, basis="normal, both standard errors", se=se
    )


def detectable(se: float, *, level: float = 0.95, power: float = 0.80) -> float:
    """The smallest true difference that a two-sided test at 1 - `level` finds with probability `power`."""
    return (normal_quantile(level) + float(special.ndtri(power))) * se
