"""Tests on tables of levels: loyal `x` of `m` customers at each `score`; bootstrap where cells are thin.

`x` and `m` may have leading dimensions, one table after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from crm_analysis.estimators import multiplicity
from crm_analysis.estimators.proportions import normal_quantile, wilson_limits

THICK_CELL = 10
POWER = 0.80
DRAWS = 999
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kink:
    """One step minus the step below it, as a share of customers; interval and p-value adjusted by Holm."""

    where: str
    value: float
    low: float
    high: float
    se: float
    p: float
    detectable: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A test statistic with its degrees of freedom, p-value and how that was made; `p_chi2` is the large-sample one."""

    statistic: float
    df: int
    p: float
    p_chi2: float
    basis: str


def _safe_variance(x: Array, m: Array) -> Array:
    """Variance of each rate; a cell without any or with only loyal customers borrows half an answer of each kind."""
    extreme = (x <= 0) | (x >= m)
    p = np.where(extreme, (x + 0.5) / (m + 1), x / m)
    return p * (1 - p) / m


def _log_likelihood(x: Array, m: Array, p: Array) -> Array:
    return np.asarray((special.xlogy(x, p) + special.xlog1py(m - x, -p)).sum(axis=-1))


def lr_constant(x: Array, m: Array, score: Array) -> Array:
    pooled = x.sum(axis=-1, keepdims=True) / m.sum(axis=-1, keepdims=True)
    return 2 * (_log_likelihood(x, m, x / m) - _log_likelihood(x, m, np.broadcast_to(pooled, x.shape)))


def fit_logit(x: Array, m: Array, score: Array) -> tuple[Array, Array]:
    """Intercept and slope of a logistic line for each row of `x`, by damped Newton steps."""
    centre = score - (m @ score / m.sum(axis=-1))[..., None]
    pooled = (x.sum(axis=-1) + 0.5) / (m.sum(axis=-1) + 1)
    a, b = special.logit(pooled), np.zeros(x.shape[:-1])
    for _ in range(60):
        p = special.expit(a[..., None] + b[..., None] * centre)
        residual, weight = x - m * p, np.maximum(m * p * (1 - p), 1e-12)
        g0, g1 = residual.sum(axis=-1), (residual * centre).sum(axis=-1)
        h00, h01, h11 = weight.sum(axis=-1), (weight * centre).sum(axis=-1), (weight * centre**2).sum(axis=-1)
        det = np.maximum(h00 * h11 - h01**2, 1e-18)
        da, db = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
        size = np.maximum(1.0, np.maximum(abs(da), abs(db)) / 2)
        a, b = np.clip(a + da / size, -40, 40), np.clip(b + db / size, -40, 40)
        if np.max(abs(g0) + abs(g1)) < 1e-9:
            break
    return a - b * (m @ score / m.sum(axis=-1)), b


def _lr_logit(x: Array, m: Array, score: Array) -> Array:
    a, b = fit_logit(x, m, score)
    p = special.expit(a[..., None] + b[..., None] * score)
    return np.maximum(2 * (_log_likelihood(x, m, x / m) - _log_likelihood(x, m, p)), 0.0)


def _second_differences(score: Array) -> Array:
    """Contrasts that vanish when equal distances in score mean equal steps in rate; one row per inner level."""
    k = score.size
    contrasts = np.zeros((max(k - 2, 0), k))
    for row in range(k - 2):
        below, above = score[row + 1] - score[row], score[row + 2] - score[row + 1]
        unit = above if row == k - 3 else below
        contrasts[row, row : row + 3] = unit / below, -unit / below - unit / above, unit / above
    return contrasts


def wald_steps(x: Array, m: Array, score: Array) -> Array:
    contrasts = _second_differences(score)
    off = (x / m) @ contrasts.T
    covariance = np.einsum("ik,...k,jk->...ij", contrasts, _safe_variance(x, m), contrasts)
    return np.asarray((off * np.linalg.solve(covariance, off[..., None])[..., 0]).sum(axis=-1))


def line(x: Array, m: Array, score: Array) -> tuple[float, float, float]:
    """Weighted straight line through the rates: intercept, slope and the slope's standard error."""
    rate, weight = x / m, 1 / _safe_variance(x, m)
    for _ in range(8):
        centre = float(weight @ score / weight.sum())
        spread = float(weight @ (score - centre) ** 2)
        slope = float(weight @ ((score - centre) * rate)) / spread
        intercept = float(weight @ rate / weight.sum()) - slope * centre
        fitted = np.clip(intercept + slope * score, 0.5 / (m + 1), 1 - 0.5 / (m + 1))
        weight = m / (fitted * (1 - fitted))
    return intercept, slope, 1 / math.sqrt(spread)


def tested(statistic: object, null: Array, x: Array, m: Array, score: Array, df: int, seed: int, draws: int) -> Test:
    """Chi-squared p-value, or a parametric bootstrap under `null` where a cell expects few of either kind."""
    value = float(statistic(x, m, score))  # type: ignore[operator]
    p_chi2 = float(special.chdtrc(df, value))
    expected = np.minimum(m * null, m * (1 - null))
    if expected.min() >= THICK_CELL:
        return Test(statistic=value, df=df, p=p_chi2, p_chi2=p_chi2, basis="chi-squared")
    size = np.maximum(np.rint(m), 1).astype(int)
    drawn = np.random.default_rng(seed).binomial(size, null, size=(draws, m.size)).astype(float)
    simulated = statistic(drawn, size.astype(float), score)  # type: ignore[operator]
    p = (1 + int((simulated >= value - 1e-9).sum())) / (draws + 1)
    return Test(statistic=value, df=df, p=p, p_chi2=p_chi2, basis=f"parametric bootstrap, {draws} draws")


def _thick(c: Array, x: Array, m: Array) -> bool:
    """Whether every level of a contrast has enough of either kind for a normal interval."""
    return bool(np.minimum(x, m - x)[c != 0].min() >= THICK_CELL)


def contrast(c: Array, x: Array, m: Array, level: float) -> tuple[float, float]:
    """Interval of a contrast of rates: normal for thick cells, else combined from Wilson limits (Zou, Donner 2008)."""
    p = x / m
    value = float(c @ p)
    if _thick(c, x, m):
        half = normal_quantile(level) * math.sqrt(float(c**2 @ _safe_variance(x, m)))
        return value - half, value + half
    low, high = wilson_limits(p, m, level=level)
    down, up = np.where(c > 0, p - low, high - p), np.where(c > 0, high - p, p - low)
    return value - float(np.linalg.norm(c * down)), value + float(np.linalg.norm(c * up))


def _p_of_contrast(c: Array, x: Array, m: Array) -> float:
    """The p-value that agrees with `contrast`: one minus the level at which its interval just touches zero."""
    value = float(c @ (x / m))
    if abs(value) < 1e-9:
        return 1.0
    if _thick(c, x, m):
        return 2 * float(special.ndtr(-abs(value) / math.sqrt(float(c**2 @ _safe_variance(x, m)))))

    def gap(z: float) -> float:
        low, high = contrast(c, x, m, 2 * float(special.ndtr(z)) - 1)
        return low if value > 0 else -high

    if gap(8.0) > 0:
        return 0.0
    z = float(optimize.brentq(gap, 0.0, 8.0))
    return 2 * float(special.ndtr(-z))


def kinks(x: Array, m: Array, score: Array, level: float) -> tuple[Kink | None, Kink | None]:
    contrasts = _second_differences(score)
    if not len(contrasts):
        return None, None
    chosen = {"top": contrasts[-1]} | ({"bottom": contrasts[0]} if len(contrasts) > 1 else {})
    raw = [_p_of_contrast(c, x, m) for c in chosen.values()]
    adjusted = multiplicity.holm(raw)
    levels = multiplicity.holm_levels(raw, level=level)
    reach = normal_quantile(1 - (1 - level) / len(raw)) + float(special.ndtri(POWER))
    found: dict[str, Kink] = {}
    for (where, c), p, at in zip(chosen.items(), adjusted, levels, strict=True):
        low, high = contrast(c, x, m, float(at))
        se = math.sqrt(float(c**2 @ _safe_variance(x, m)))
        found[where] = Kink(
            where=where, value=float(c @ (x / m)), low=low, high=high, se=se, p=float(p), detectable=reach * se
        )
    return found["top"], found.get("bottom", found["top"] if len(contrasts) == 1 else None)


def levelling(x: Array, m: Array, score: Array, level: float) -> Kink | None:
    """The last step less the mean of the steps before it, per unit of the last step's distance; needs four levels."""
    if score.size < 4:
        return None
    unit = score[-1] - score[-2]
    before = unit / (score[-2] - score[0])
    c = np.zeros(score.size)
    c[-1], c[-2], c[0] = 1.0, -1.0 - before, before
    low, high = contrast(c, x, m, level)
    se = math.sqrt(float(c**2 @ _safe_variance(x, m)))
    reach = normal_quantile(level) + float(special.ndtri(POWER))
    return Kink(
        where="levelling",
        value=float(c @ (x / m)),
        low=low,
        high=high,
        se=se,
        p=_p_of_contrast(c, x, m),
        detectable=reach * se,
    )


def lr_logit_rows(x: Array, m: Array, score: Array) -> Array:
    rows = np.atleast_2d(x)
    found = _lr_logit(rows, np.broadcast_to(m, rows.shape), score)
    return found if x.ndim > 1 else found[0]
