"""The shape of the link between satisfaction and loyalty: is there one, is it straight, where does it bend.

Input is a table of levels, one row per level of satisfaction, made by `tabulate`. All tests treat customers as
independent, so each may appear once. The rules below are fixed before the data are seen:

- scales of more than seven levels are cut into five bands;
- an answer between two levels counts with the lower one;
- a level with fewer than `MERGE_UNDER` answers joins its neighbour towards the middle of the scale and takes its score;
- a level with fewer than `FLAG_UNDER` answers is shown and marked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from crm_analysis.estimators import multiplicity
from crm_analysis.estimators.proportions import effective_n, normal_quantile, wilson_limits

MERGE_UNDER = 10
FLAG_UNDER = 30
FEWEST_ANSWERS = 30
STRAIGHT_WITHIN = 0.20
THICK_CELL = 10
MOST_LEVELS = 7
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the levels say about the link.

    `kind` is one of: accelerating, takes_off, saturating, straight, uneven, flat, falling, no_link, not_established,
    too_few, one_level. `levels` is the merged table that was tested; `slope` the average step between neighbouring
    levels (share per scale point); `levelling` the last step less the mean of those before it, looked at only where
    equal steps are rejected; `span` the highest level's rate minus the lowest's, with its interval.
    """

    kind: str
    levels: pd.DataFrame
    n: int
    rate: float
    any_link: Test | None
    straight_probability: Test | None
    straight_logit: Test | None
    logit_slope: float
    slope: float
    slope_se: float
    top: Kink | None
    bottom: Kink | None
    levelling: Kink | None
    span: float
    span_low: float
    span_high: float
    margin: float
    level: float
    seed: int
    merged: tuple[str, ...]


def tabulate(
    scores: ArrayLike,
    loyal: ArrayLike,
    *,
    scale: tuple[float, float],
    weights: ArrayLike | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """One row per level of the scale, empty levels included, in rising order.

    Columns: score, label, n, loyal (counts), rate (weighted share), n_effective, low, high (Wilson on n_effective).
    """
    s = np.asarray(scores, dtype=float)
    y = np.asarray(loyal, dtype=float)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=float)
    edges = bands(scale)
    at = np.searchsorted([upper for _, upper in edges], s, side="left").clip(max=len(edges) - 1)
    between = s != np.floor(s)
    if between.any() and len(edges) == int(scale[1] - scale[0]) + 1:
        at = np.where(between, (np.floor(s) - scale[0]).astype(int).clip(0, len(edges) - 1), at)
    rows = []
    for k, (lower, upper) in enumerate(edges):
        here = at == k
        total = float(w[here].sum())
        rate = float(w[here] @ y[here]) / total if total > 0 else math.nan
        name = f"{lower:g}" if lower == upper else f"{lower:g}-{upper:g}"
        rows.append(((lower + upper) / 2, name, int(here.sum()), int(y[here].sum()), rate, effective_n(w[here])))
    frame = pd.DataFrame(rows, columns=["score", "label", "n", "loyal", "rate", "n_effective"])
    return _with_limits(frame, level)


def bands(scale: tuple[float, float]) -> list[tuple[float, float]]:
    """The levels that a scale is read in, as (lowest, highest) score of each.

    >>> bands((1, 5))
    [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)]
    >>> bands((0, 10))
    [(0.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0)]
    """
    low, high = float(scale[0]), float(scale[1])
    count = round(high - low) + 1
    if count <= MOST_LEVELS:
        return [(low + k, low + k) for k in range(count)]
    width = count // 5
    tops = [high - width * k for k in range(4, -1, -1)]
    return [(low if k == 0 else tops[k - 1] + 1, top) for k, top in enumerate(tops)]


def _with_limits(levels: pd.DataFrame, level: float) -> pd.DataFrame:
    low, high = wilson_limits(levels["rate"].to_numpy(), levels["n_effective"].to_numpy(), level=level)
    return levels.assign(low=low, high=high)


def merge_levels(levels: pd.DataFrame, *, fewest: int = MERGE_UNDER, level: float = 0.95) -> pd.DataFrame:
    """Adjacent levels merged until each holds at least `fewest` answers; empty levels vanish.

    The thinnest level goes first (the lower of two equally thin ones), towards the middle of the scale. A merged level
    keeps the score of the level that took it in and names both.
    """
    middle = float(levels["score"].iloc[0] + levels["score"].iloc[-1]) / 2 if len(levels) else 0.0
    kept = levels[levels["n"] > 0].to_dict("records")
    while len(kept) > 1:
        thin = min(range(len(kept)), key=lambda k: (kept[k]["n"], k))
        if kept[thin]["n"] >= fewest:
            break
        up = thin == 0 or (kept[thin]["score"] < middle and thin < len(kept) - 1)
        into = thin + 1 if up else thin - 1
        gone, host = kept[thin], kept[into]
        worth = gone["n_effective"] + host["n_effective"]
        rate = (gone["rate"] * gone["n_effective"] + host["rate"] * host["n_effective"]) / worth if worth else math.nan
        first, second = (gone, host) if up else (host, gone)
        host |= {
            "label": f"{first['label']}+{second['label']}",
            "n": gone["n"] + host["n"],
            "loyal": gone["loyal"] + host["loyal"],
            "rate": rate,
            "n_effective": worth,
        }
        del kept[thin]
    frame = pd.DataFrame(kept, columns=list(levels.columns))
    return _with_limits(frame, level)


def _safe_variance(x: Array, m: Array) -> Array:
    """Variance of each rate; a cell without any or with only loyal customers borrows half an answer of each kind."""
    extreme = (x <= 0) | (x >= m)
    p = np.where(extreme, (x + 0.5) / (m + 1), x / m)
    return p * (1 - p) / m


def _log_likelihood(x: Array, m: Array, p: Array) -> Array:
    return np.asarray((special.xlogy(x, p) + special.xlog1py(m - x, -p)).sum(axis=-1))


def _lr_constant(x: Array, m: Array, score: Array) -> Array:
    pooled = x.sum(axis=-1, keepdims=True) / m.sum(axis=-1, keepdims=True)
    return 2 * (_log_likelihood(x, m, x / m) - _log_likelihood(x, m, np.broadcast_to(pooled, x.shape)))


def _fit_logit(x: Array, m: Array, score: Array) -> tuple[Array, Array]:
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
    a, b = _fit_logit(x, m, score)
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


def _wald_steps(x: Array, m: Array, score: Array) -> Array:
    contrasts = _second_differences(score)
    off = (x / m) @ contrasts.T
    covariance = np.einsum("ik,...k,jk->...ij", contrasts, _safe_variance(x, m), contrasts)
    return np.asarray((off * np.linalg.solve(covariance, off[..., None])[..., 0]).sum(axis=-1))


def _line(x: Array, m: Array, score: Array) -> tuple[float, float, float]:
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


def _tested(statistic: object, null: Array, x: Array, m: Array, score: Array, df: int, seed: int, draws: int) -> Test:
    """Chi-squared p-value, or a parametric bootstrap under `null` where a cell expects few of either kind."""
    value = float(statistic(x, m, score))  # type: ignore[operator]
    p_chi2 = float(stats.chi2.sf(value, df))
    expected = np.minimum(m * null, m * (1 - null))
    if expected.min() >= THICK_CELL:
        return Test(statistic=value, df=df, p=p_chi2, p_chi2=p_chi2, basis="chi-squared")
    size = np.maximum(np.rint(m), 1).astype(int)
    drawn = np.random.default_rng(seed).binomial(size, null, size=(draws, m.size)).astype(float)
    simulated = statistic(drawn, size.astype(float), score)  # type: ignore[operator]
    p = (1 + int((simulated >= value - 1e-9).sum())) / (draws + 1)
    return Test(statistic=value, df=df, p=p, p_chi2=p_chi2, basis=f"parametric bootstrap, {draws} draws")


def _contrast(c: Array, x: Array, m: Array, level: float) -> tuple[float, float]:
    """Interval of a contrast of rates: normal for thick cells, else combined from Wilson limits (Zou, Donner 2008)."""
    p = x / m
    value = float(c @ p)
    used = c != 0
    if np.minimum(x, m - x)[used].min() >= THICK_CELL:
        half = normal_quantile(level) * math.sqrt(float(c**2 @ _safe_variance(x, m)))
        return value - half, value + half
    low, high = wilson_limits(p, m, level=level)
    down, up = np.where(c > 0, p - low, high - p), np.where(c > 0, high - p, p - low)
    return value - float(np.linalg.norm(c * down)), value + float(np.linalg.norm(c * up))


def _contrast_p(c: Array, x: Array, m: Array) -> float:
    """The p-value that agrees with `_contrast`: one minus the level at which its interval just touches zero."""
    value = float(c @ (x / m))
    if abs(value) < 1e-9:
        return 1.0

    def gap(z: float) -> float:
        low, high = _contrast(c, x, m, 2 * float(stats.norm.cdf(z)) - 1)
        return low if value > 0 else -high

    if gap(8.0) > 0:
        return 0.0
    z = float(optimize.brentq(gap, 0.0, 8.0))
    return 2 * float(stats.norm.sf(z))


def _kinks(x: Array, m: Array, score: Array, level: float) -> tuple[Kink | None, Kink | None]:
    contrasts = _second_differences(score)
    if not len(contrasts):
        return None, None
    chosen = {"top": contrasts[-1]} | ({"bottom": contrasts[0]} if len(contrasts) > 1 else {})
    raw = [_contrast_p(c, x, m) for c in chosen.values()]
    adjusted = multiplicity.holm(raw)
    levels = multiplicity.holm_levels(raw, level=level)
    reach = normal_quantile(1 - (1 - level) / len(raw)) + float(stats.norm.ppf(POWER))
    found: dict[str, Kink] = {}
    for (where, c), p, at in zip(chosen.items(), adjusted, levels, strict=True):
        low, high = _contrast(c, x, m, float(at))
        se = math.sqrt(float(c**2 @ _safe_variance(x, m)))
        found[where] = Kink(
            where=where, value=float(c @ (x / m)), low=low, high=high, se=se, p=float(p), detectable=reach * se
        )
    return found["top"], found.get("bottom", found["top"] if len(contrasts) == 1 else None)


def _levelling(x: Array, m: Array, score: Array, level: float) -> Kink | None:
    """The last step less the mean of the steps before it, per unit of the last step's distance; needs four levels."""
    if score.size < 4:
        return None
    unit = score[-1] - score[-2]
    before = unit / (score[-2] - score[0])
    c = np.zeros(score.size)
    c[-1], c[-2], c[0] = 1.0, -1.0 - before, before
    low, high = _contrast(c, x, m, level)
    se = math.sqrt(float(c**2 @ _safe_variance(x, m)))
    reach = normal_quantile(level) + float(stats.norm.ppf(POWER))
    return Kink(
        where="levelling",
        value=float(c @ (x / m)),
        low=low,
        high=high,
        se=se,
        p=_contrast_p(c, x, m),
        detectable=reach * se,
    )


def examine(
    levels: pd.DataFrame,
    *,
    margin: float = 0.05,
    level: float = 0.95,
    seed: int = 1,
    draws: int = DRAWS,
    fewest: int = MERGE_UNDER,
) -> Shape:
    """Test the link that a table of levels (see `tabulate`) shows, and name its shape.

    `margin` is the difference in loyalty that does not matter (a share), held to at most half of the overall rate or of
    its complement: a doubling is never flat. The link is nearly flat where no level lies further from the overall rate,
    and the intervals of top less bottom and of the straight line's whole rise lie within it.

    The rules, in order of precedence: too few answers; one level; nearly flat; no link (saturated against constant,
    likelihood ratio); falling; top kink (accelerating, saturating); bottom kink (takes off, saturating); equal steps
    rejected without either kink (saturating where the last step is smaller than the mean of those before it, else
    uneven); straight where a top kink of `STRAIGHT_WITHIN` would have been seen with a chance of `POWER`; otherwise not
    established. Kinks are contrasts of rates, (p5 - p4) - (p4 - p3) at the top and (p3 - p2) - (p2 - p1) at the bottom,
    adjusted together by Holm.
    """
    used = merge_levels(levels, fewest=fewest, level=level)
    n = int(used["n"].sum())
    m = used["n_effective"].to_numpy(float)
    x = used["rate"].to_numpy(float) * m
    score = used["score"].to_numpy(float)
    k = len(used)
    rate = float(x.sum() / m.sum()) if k else math.nan
    merged = tuple(label for label in used["label"] if "+" in label)
    margin = min(margin, min(rate, 1 - rate) / 2) if k else margin
    base = {"levels": used, "n": n, "rate": rate, "margin": margin, "level": level, "seed": seed, "merged": merged}
    if n < FEWEST_ANSWERS or k < 2:
        return _undecided("too_few" if n < FEWEST_ANSWERS else "one_level", base)
    pooled = np.full(k, rate)
    any_link = _tested(_lr_constant, pooled, x, m, score, k - 1, seed, draws)
    intercept, slope, slope_se = _line(x, m, score)
    a, b = _fit_logit(x[None, :], np.broadcast_to(m, (1, k)), score)
    straight_logit = straight_probability = None
    if k > 2:
        s_curve = special.expit(a[0] + b[0] * score)
        straight_logit = _tested(_lr_logit_any, s_curve, x, m, score, k - 2, seed + 1, draws)
        line = np.clip(intercept + slope * score, 0.5 / (m + 1), 1 - 0.5 / (m + 1))
        straight_probability = _tested(_wald_steps, line, x, m, score, k - 2, seed + 2, draws)
    top, bottom = _kinks(x, m, score, level)
    levelling = _levelling(x, m, score, level)
    ends = np.zeros(k)
    ends[0], ends[-1] = -1.0, 1.0
    span_low, span_high = _contrast(ends, x, m, level)
    reach = (score[-1] - score[0]) * np.array([slope, slope - _half(slope_se, level), slope + _half(slope_se, level)])
    apart = np.abs(x / m - rate).max()
    flat = bool(max(apart, np.abs(reach).max(), abs(span_low), abs(span_high)) < margin)
    kind = _kind(flat, any_link, straight_probability, slope, slope_se, (top, bottom, levelling), level)
    return Shape(
        kind=kind,
        any_link=any_link,
        straight_probability=straight_probability,
        straight_logit=straight_logit,
        logit_slope=float(b[0]),
        slope=slope,
        slope_se=slope_se,
        top=top,
        bottom=bottom,
        levelling=levelling,
        span=float(ends @ (x / m)),
        span_low=span_low,
        span_high=span_high,
        **base,
    )


def _half(se: float, level: float) -> float:
    return normal_quantile(level) * se


def _lr_logit_any(x: Array, m: Array, score: Array) -> Array:
    rows = np.atleast_2d(x)
    found = _lr_logit(rows, np.broadcast_to(m, rows.shape), score)
    return found if x.ndim > 1 else found[0]


def _undecided(kind: str, base: dict[str, object]) -> Shape:
    return Shape(
        kind=kind,
        any_link=None,
        straight_probability=None,
        straight_logit=None,
        logit_slope=math.nan,
        slope=math.nan,
        slope_se=math.nan,
        top=None,
        bottom=None,
        levelling=None,
        span=math.nan,
        span_low=math.nan,
        span_high=math.nan,
        **base,  # type: ignore[arg-type]
    )


def _kind(
    flat: bool,
    any_link: Test,
    steps: Test | None,
    slope: float,
    slope_se: float,
    kinks: tuple[Kink | None, Kink | None, Kink | None],
    level: float,
) -> str:
    top, bottom, levelling = kinks
    alpha = 1 - level
    rejected = steps is not None and steps.p < alpha
    rules = (
        (flat, "flat"),
        (any_link.p >= alpha, "no_link"),
        (slope + normal_quantile(level) * slope_se < 0, "falling"),
        (top is None, "not_established"),
        (top is not None and top.low > 0, "accelerating"),
        (top is not None and top.high < 0, "saturating"),
        (bottom is not None and bottom.high < 0, "saturating"),
        (bottom is not None and bottom.low > 0, "takes_off"),
        (rejected and levelling is not None and levelling.high < 0, "saturating"),
        (rejected, "uneven"),
        (top is not None and top.detectable <= STRAIGHT_WITHIN, "straight"),
    )
    return next((kind for holds, kind in rules if holds), "not_established")


def of_interest(link: Shape | None, stated: dict[str, Shape]) -> tuple[Shape | None, str]:
    """The link that a page is about, and the survey item where it is one of what people say, else an empty name.

    What respondents did; where none of them could be followed at all, what they say they will do. Never both in one.
    """
    if link is None or link.n == 0:
        for item, said in stated.items():
            if said.kind not in ("too_few", "one_level"):
                return said, item
    return link, ""


def straight_line(shape: Shape) -> pd.DataFrame:
    """Where a straight link would run: the weighted line through the levels, as columns score and rate."""
    x = shape.levels["rate"].to_numpy(float) * shape.levels["n_effective"].to_numpy(float)
    score = shape.levels["score"].to_numpy(float)
    if len(score) < 2:
        return pd.DataFrame({"score": score, "rate": shape.levels["rate"]})
    intercept, slope, _ = _line(x, shape.levels["n_effective"].to_numpy(float), score)
    return pd.DataFrame({"score": score, "rate": intercept + slope * score})
