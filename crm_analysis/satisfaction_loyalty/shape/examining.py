"""The link that a table of levels shows, and its name by rules in a fixed order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from crm_analysis.estimators.proportions import normal_quantile
from crm_analysis.satisfaction_loyalty.shape import testing
from crm_analysis.satisfaction_loyalty.shape.levels import MERGE_UNDER, merge_levels
from crm_analysis.satisfaction_loyalty.shape.testing import DRAWS, Kink, Test

FEWEST_ANSWERS = 30
STRAIGHT_WITHIN = 0.20


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
    any_link = testing.tested(testing.lr_constant, pooled, x, m, score, k - 1, seed, draws)
    intercept, slope, slope_se = testing.line(x, m, score)
    a, b = testing.fit_logit(x[None, :], np.broadcast_to(m, (1, k)), score)
    straight_logit = straight_probability = None
    if k > 2:
        s_curve = special.expit(a[0] + b[0] * score)
        straight_logit = testing.tested(testing.lr_logit_rows, s_curve, x, m, score, k - 2, seed + 1, draws)
        line = np.clip(intercept + slope * score, 0.5 / (m + 1), 1 - 0.5 / (m + 1))
        straight_probability = testing.tested(testing.wald_steps, line, x, m, score, k - 2, seed + 2, draws)
    top, bottom = testing.kinks(x, m, score, level)
    levelling = testing.levelling(x, m, score, level)
    ends = np.zeros(k)
    ends[0], ends[-1] = -1.0, 1.0
    span_low, span_high = testing.contrast(ends, x, m, level)
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
    intercept, slope, _ = testing.line(x, shape.levels["n_effective"].to_numpy(float), score)
    return pd.DataFrame({"score": score, "rate": intercept + slope * score})
