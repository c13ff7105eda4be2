"""A jump at a line: local linear regression discontinuity, its bandwidth, and whether people pushed over the line.

`position` is always the distance from the line, in any unit; at or above zero somebody is over it. The jump is the
effect of being over the line, for those at the line, where whatever else is smooth there and nobody can place himself
exactly; the density test asks about the latter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["Density", "Jump", "bandwidth", "density_jump", "jump", "near_the_line"]

Floats = NDArray[np.float64]
FEWEST = 15
"""Units on each side within the bandwidth below which no jump is stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """The jump of a mean at the line, in the outcome's unit.

    `conventional` is the local linear estimate; `value` with `se`, `low`, `high` and `p` the robust bias-corrected one
    of Calonico, Cattaneo and Titiunik 2014. `below` and `above` are the local linear means on either side of the line,
    `n_below` and `n_above` count the units within the bandwidth.
    """

    value: float
    se: float
    low: float
    high: float
    p: float
    conventional: float
    below: float
    above: float
    n_below: int
    n_above: int
    bandwidth: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """McCrary's jump of the logarithm of the density at the line: `log_jump` above 0 means more just over the line.

    `near_below` and `near_above` are the numbers nearest to the line on either side and `binomial_p` the exact test
    that both sides are equally likely there, which does not need a bandwidth.
    """

    log_jump: float
    se: float
    p: float
    bandwidth: float
    near_below: int
    near_above: int
    near_width: float
    binomial_p: float


def jump(position: ArrayLike, outcome: ArrayLike, *, bandwidth: float, confidence: float = 0.95) -> Jump | None:
    """The jump at zero by local regression with triangular weights within `bandwidth`.

    With one bandwidth for estimate and bias, the bias-corrected local linear estimate is the local quadratic one and so
    is its variance (Calonico, Cattaneo and Titiunik 2014, remark 7); HC2 variance. None where a side has fewer than
    `FEWEST` units within the bandwidth or its outcome does not vary. Assumes that whoever is at the line could have
    come out on either side.
    """
    x, y = np.asarray(position, dtype=float), np.asarray(outcome, dtype=float)
    sides = []
    for side in (x < 0, x >= 0):
        inside = side & (np.abs(x) < bandwidth)
        if inside.sum() < FEWEST or np.unique(x[inside]).size < 4:  # noqa: PLR2004 - a quadratic and one to spare
            return None
        weight = 1 - np.abs(x[inside]) / bandwidth
        line, _error = _at_zero(x[inside], y[inside], weight, degree=1)
        sides.append((line, *_at_zero(x[inside], y[inside], weight, degree=2), int(inside.sum())))
    (line_below, curve_below, variance_below, n_below), (line_above, curve_above, variance_above, n_above) = sides
    value, se = curve_above - curve_below, math.sqrt(variance_below + variance_above)
    if se <= 1e-12 * float(np.abs(y).max()):
        return None
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * se
    return Jump(
        value=value,
        se=se,
        low=value - reach,
        high=value + reach,
        p=float(2 * stats.norm.sf(abs(value) / se)),
        conventional=line_above - line_below,
        below=line_below,
        above=line_above,
        n_below=n_below,
        n_above=n_above,
        bandwidth=bandwidth,
        confidence=confidence,
    )


def _at_zero(x: Floats, y: Floats, weight: Floats, *, degree: int) -> tuple[float, float]:
    """Weighted polynomial fit at zero and its HC2 variance."""
    scale = float(np.abs(x).max()) or 1.0
    design = np.vander(x / scale, degree + 1, increasing=True)
    inverse = np.linalg.pinv((design * weight[:, None]).T @ design)
    coefficients = inverse @ (design * weight[:, None]).T @ y
    residual = y - design @ coefficients
    leverage = weight * np.einsum("ij,jk,ik->i", design, inverse, design)
    pull = weight * (design @ inverse[:, 0])
    return float(coefficients[0]), float(pull**2 @ (residual**2 / np.clip(1 - leverage, 1e-12, None)))


def bandwidth(position: ArrayLike, outcome: ArrayLike) -> float | None:
    """The bandwidth that makes the mean squared error of the local linear jump smallest (triangular weights).

    Imbens and Kalyanaraman 2012, section 4.2, with position and outcome in standard deviations, so that no unit of
    measure matters; the pilot bandwidth is widened where it holds fewer than `FEWEST` units on a side. None where a
    side has fewer altogether, or nothing varies.
    """
    x, y = np.asarray(position, dtype=float), np.asarray(outcome, dtype=float)
    n, over = x.size, x >= 0
    if min(int(over.sum()), int((~over).sum())) < FEWEST or not (y.std() > 0 and x.std() > 0):
        return None
    unit = float(x.std(ddof=1))
    x, y = x / unit, (y - y.mean()) / y.std()
    nearest = [float(np.partition(np.abs(x[side]), FEWEST - 1)[FEWEST - 1]) for side in (~over, over)]
    pilot = max(1.84 * n ** (-1 / 5), *nearest)
    near = np.abs(x) <= pilot
    counts = [int((near & side).sum()) for side in (~over, over)]
    density = sum(counts) / (2 * n * pilot)
    spread = [float(y[near & side].var(ddof=1)) for side in (~over, over)]
    cubic = np.column_stack([np.ones(n), over, x, x**2, x**3])
    third = 6 * float(np.linalg.lstsq(cubic, y, rcond=None)[0][4])
    bends, penalties = [], []
    for side, variance in zip((~over, over), spread, strict=True):
        wide = 3.56 * (variance / (density * max(third**2, 0.01))) ** (1 / 7) * int(side.sum()) ** (-1 / 7)
        inside = side & (np.abs(x) <= wide)
        if inside.sum() < FEWEST:
            return None
        bends.append(2 * float(np.polyfit(x[inside], y[inside], 2)[0]))
        penalties.append(2160 * variance / (int(inside.sum()) * wide**4))
    curve = (bends[1] - bends[0]) ** 2 + sum(penalties)
    if not curve > 0:
        return None
    return float(3.4375 * (sum(spread) / (density * curve)) ** (1 / 5) * n ** (-1 / 5)) * unit


def density_jump(position: ArrayLike, *, nearest: int = 50) -> Density | None:
    """Whether more stand just over the line than just below it.

    McCrary 2008: a histogram with bins of 2 s / sqrt(n), none across the line, smoothed by local linear regression on
    either side; the jump of its logarithm has variance (24/5)(1/f+ + 1/f-)/(n h). Bandwidth by his rule from a global
    quartic on each side, the mean of both. Beside it the exact binomial test among the `nearest` units, ties at the
    border kept. None with fewer than `FEWEST` units on a side. Amounts that come in round steps make heaps, which can
    look like pushing: read both tests, and the picture.
    """
    x = np.asarray(position, dtype=float)
    if min(int((x < 0).sum()), int((x >= 0).sum())) < FEWEST or not x.std() > 0:
        return None
    n, step = x.size, 2 * float(x.std(ddof=1)) / math.sqrt(x.size)
    at = np.floor(x / step).astype(int)
    middles = (np.arange(at.min(), at.max() + 1) + 0.5) * step
    heights = np.bincount(at - at.min()) / (n * step)
    widths = [_mccrary_width(middles[side], heights[side]) for side in (middles < 0, middles >= 0)]
    if None in widths:
        return None
    width = float(np.mean([value for value in widths if value is not None]))
    found = []
    for side in (middles < 0, middles >= 0):
        inside = side & (np.abs(middles) < width)
        if inside.sum() < 3:  # noqa: PLR2004 - a line and one to spare
            return None
        found.append(_at_zero(middles[inside], heights[inside], 1 - np.abs(middles[inside]) / width, degree=1)[0])
    near = near_the_line(x, nearest)
    below, above = int((x[near] < 0).sum()), int((x[near] >= 0).sum())
    exact = float(stats.binomtest(above, below + above).pvalue)
    reach = float(np.abs(x[near]).max())
    if min(found) <= 0:
        return None
    log_jump = math.log(found[1]) - math.log(found[0])
    se = math.sqrt(24 / 5 * (1 / found[1] + 1 / found[0]) / (n * width))
    return Density(
        log_jump=log_jump,
        se=se,
        p=float(2 * stats.norm.sf(abs(log_jump) / se)),
        bandwidth=width,
        near_below=below,
        near_above=above,
        near_width=reach,
        binomial_p=exact,
    )


def near_the_line(position: ArrayLike, nearest: int) -> NDArray[np.bool_]:
    """Which units lie as near to the line as the `nearest`-th nearest, ties included."""
    distance = np.abs(np.asarray(position, dtype=float))
    reach = np.partition(distance, min(nearest, distance.size) - 1)[min(nearest, distance.size) - 1]
    return np.asarray(distance <= reach)


def _mccrary_width(middles: Floats, heights: Floats) -> float | None:
    """McCrary's rule on one side: 3.348 (s2 length / sum of squared second derivatives) ** (1/5), global quartic."""
    if middles.size < 6:  # noqa: PLR2004 - a quartic and one to spare
        return None
    centre, length = float(middles.mean()), float(np.ptp(middles))
    scaled = (middles - centre) / length
    quartic = np.polyfit(scaled, heights, 4)
    residual = heights - np.polyval(quartic, scaled)
    variance = float(residual @ residual) / (middles.size - 5)
    second = np.polyval(np.polyder(quartic, 2), scaled) / length**2
    total = float(second @ second)
    return 3.348 * (variance * length / total) ** (1 / 5) if total > 0 and variance > 0 else None
