"""What satisfaction hangs on: shares of explained variance, penalties and rewards, and what to fix first.

Associations within one survey: whoever likes one thing tends to tick high everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crm_analysis.estimators import moments
from crm_analysis.estimators.importance import johnson, lmg, rank_intervals
from crm_analysis.estimators.proportions import effective_n, weighted_mean
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.contrasts import COLUMNS as CONTRASTS
from crm_analysis.satisfaction_loyalty.contrasts import penalty_reward, robust_regression

MOST_FOR_ALL_SUBSETS = 15
MOST_ITEMS = 30
ANSWERS_PER_ITEM = 10
DRAWS = 499
MOST_MISSING = 0.5
LEVEL = 0.95
TOLERANCE = 0.05
ALIKE = 1e-8
FEWEST_FOLLOWED = 30

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """Shares of the variance of overall satisfaction that each item explains.

    `table` has one row per item, largest share first: item, dimension, share (of the explained variance; they add up to
    one), low, high, rank_first, rank_last (the ranks it can have), r2 (its part of R2), n, mean, mean_low, mean_high,
    scale_low, scale_high, target, gap (target less mean, missing without a target), room (what is left
    to the target or the top of the scale), fix_first, fix_last (the places by gain it can have), what
    `contrasts.penalty_reward` finds, and what goes with lifting the item to its target, or to the top of its scale:
    gain (points of the index, 0 to 100), gain_low, gain_high, loyalty (share), loyalty_low, loyalty_high, established
    (whether the interval of the gain lies above zero).

    `method` is LMG or Johnson. `left_out` names items that were not used; of these `crowded` are the ones that go least
    with satisfaction, where there were too many. `collinear` items were answered nearly as others together predict. `n`
    of the `n_scored` respondents with a score (`parts` of them in each branch) answered every item used. `slope` is the
    difference in loyalty (share) that goes with one point of satisfaction on 0 to 100. `reason` is empty, or why there
    is no table: no_items, too_few, no_variation, one_item, unexplained.
    """

    table: pd.DataFrame
    r2: float
    n: int
    n_scored: int
    parts: tuple[int, ...]
    method: str
    left_out: tuple[str, ...]
    crowded: tuple[str, ...]
    collinear: tuple[str, ...]
    slope: float
    reason: str
    seed: int


def _candidates(rows: pd.DataFrame, answers: Answers) -> tuple[list[str], list[str], list[str]]:
    """Items to use, those that say too little, and those beyond the first `MOST_ITEMS` by correlation."""
    asked = [name for name, item in answers.items.items() if item.role in ("driver", "perception")]
    thin = [n for n in asked if len(rows) == 0 or rows[n].isna().mean() > MOST_MISSING or rows[n].nunique() <= 1]
    names = [n for n in asked if n not in thin]
    if len(names) <= MOST_ITEMS or rows["satisfaction"].nunique() <= 1:
        return names[:MOST_ITEMS], thin, names[MOST_ITEMS:]
    strength = rows[names].corrwith(rows["satisfaction"]).abs().fillna(0.0)
    kept = set(strength.sort_values(ascending=False, kind="stable").index[:MOST_ITEMS])
    return [n for n in names if n in kept], thin, [n for n in names if n not in kept]


def tolerances(correlation: Array) -> Array:
    """What the other items leave of each item's variance, from the correlations (p, p) of the items."""
    p = len(correlation)
    found = np.ones(p)
    for j in range(p):
        others = np.delete(np.arange(p), j)
        if others.size:
            crossed = correlation[others, j]
            within = np.linalg.pinv(correlation[np.ix_(others, others)], rcond=1e-10, hermitian=True)
            found[j] = 1 - crossed @ within @ crossed
    return found


def _slope(followed: pd.DataFrame | None, scale: tuple[float, float]) -> tuple[float, float]:
    """Loyalty (share) per point of satisfaction on 0 to 100, and its robust standard error; nan where unknown."""
    followed = None if followed is None else followed[followed["satisfaction"].notna()]
    if followed is None or len(followed) < FEWEST_FOLLOWED or followed["satisfaction"].nunique() <= 1:
        return math.nan, math.nan
    placed = 100 * (followed["satisfaction"].to_numpy(float) - scale[0]) / (scale[1] - scale[0])
    design = np.column_stack([np.ones(len(placed)), placed])
    loyal, weight = followed["loyal"].to_numpy(float), followed["weight"].to_numpy(float)
    coefficients, covariance = robust_regression(design, loyal, weight)
    return float(coefficients[1]), math.sqrt(covariance[1, 1])


def importance(
    rows: pd.DataFrame,
    answers: Answers,
    *,
    index: pd.Series | None = None,
    followed: pd.DataFrame | None = None,
    seed: int = 1,
    draws: int = DRAWS,
) -> Drivers:
    """Driver table for complete answers in `rows`, with percentile bootstrap intervals over respondents.

    `index` is each respondent's satisfaction index, 0 to 100, by default overall satisfaction placed there; `followed`
    has satisfaction, weight and loyal of customers whose follow-up is known, for the gain in loyalty. Beyond
    `moments.MOST_BLOCKS` respondents whole random blocks of them are drawn.

    Items of role driver or perception are used; those that more than half left out or that never vary are left out,
    and of more than `MOST_ITEMS` those whose correlation with satisfaction is weakest. Up to fifteen items are shared
    out by LMG, more by Johnson's weights. With fewer than ten complete answers per item, or where the items together
    explain no more than chance would (F test), nothing is claimed and `reason` says so.

    The gain is the item's coefficient in the joint linear regression of the index on all items, times the room left;
    the gain in loyalty passes it on by the slope of loyalty on satisfaction, whose error is drawn independently.
    """
    rows = rows.reset_index(drop=True)
    names, thin, crowded = _candidates(rows, answers)
    left_out = (*thin, *crowded)
    exact = len(names) <= MOST_FOR_ALL_SUBSETS
    share_out: Callable[[Array], Array] = lmg if exact else johnson
    span = answers.scale[1] - answers.scale[0]
    placed = 100 * (rows["satisfaction"] - answers.scale[0]) / span if index is None else index.to_numpy(float)
    whole = rows[[*names, "satisfaction", "weight"]].assign(_index=placed).dropna()
    n, p = len(whole), len(names)
    by_branch = tuple(rows["branch"].value_counts())
    slope, slope_error = _slope(followed, answers.scale)

    def said(reason: str, table: pd.DataFrame, r2: float = math.nan, collinear: tuple[str, ...] = ()) -> Drivers:
        return Drivers(
            table=table, r2=r2, n=n, n_scored=len(rows), parts=by_branch, method="LMG" if exact else "Johnson",
            left_out=left_out, crowded=tuple(crowded), collinear=collinear, slope=slope, reason=reason, seed=seed,
        )  # fmt: skip

    if not names and not left_out:
        return said("no_items", _empty())
    if n < ANSWERS_PER_ITEM * max(p, 2):
        return said("too_few", _empty())
    if p == 0 or whole["satisfaction"].nunique() < 2 or (whole[names].nunique() < 2).any():
        return said("no_variation", _empty())
    if p == 1:
        return said("one_item", _empty())
    rng = np.random.default_rng(seed)
    data, weight = whole[[*names, "satisfaction", "_index"]].to_numpy(float), whole["weight"].to_numpy(float)
    people = moments.clusters(rows.loc[whole.index, "customer_id"])
    summed = moments.blocks(data, weight, rng, cluster=people)
    total = summed.sum(axis=0)
    correlation = moments.correlation(total)
    tolerance = tolerances(correlation[:p, :p])
    parts = share_out(correlation[: p + 1, : p + 1])
    r2 = float(parts.sum())
    collinear = tuple(name for name, left in zip(names, tolerance, strict=True) if left < TOLERANCE)
    spare = effective_n(weight) - p - 1
    if stats.f.sf(r2 / p / max((1 - r2) / spare, 1e-300), p, spare) >= 1 - LEVEL:
        return said("unexplained", _empty(), r2, collinear)
    drawn = moments.resample(summed, rng, draws)
    again = share_out(moments.correlation(drawn)[:, : p + 1, : p + 1])
    again /= np.maximum(again.sum(axis=1, keepdims=True), 1e-12)
    shares = parts / max(r2, 1e-12)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(again, (tail, 1 - tail), axis=0)
    first, last = rank_intervals(shares, again, level=LEVEL)
    table = pd.DataFrame(
        {
            "item": names,
            "dimension": [answers.items[name].dimension for name in names],
            "share": shares,
            "low": low,
            "high": high,
            "rank_first": first,
            "rank_last": last,
            "r2": parts,
        }
    )
    table = table.merge(_scores(rows, names, answers), on="item")
    table = table.merge(penalty_reward(whole, names, answers, level=LEVEL), on="item")
    aim = table["target"].fillna(table["scale_high"])
    table["room"] = (aim - table["mean"]).clip(0)
    room = table["room"].to_numpy(float)
    moved = moments.means(drawn)[:, :p] - moments.means(total)[:p]  # the mean of a draw less the mean of all
    slopes = slope + slope_error * rng.standard_normal(draws)
    gains, gains_drawn = _gain(moments.covariance(total), moments.covariance(drawn), p, room, moved)
    table["fix_first"], table["fix_last"] = rank_intervals(gains[:, 1], gains_drawn[..., 1], level=LEVEL)
    gains[tolerance < ALIKE], gains_drawn[:, tolerance < ALIKE] = math.nan, math.nan
    table["gain"] = gains[:, 1]
    table["gain_low"], table["gain_high"] = np.quantile(gains_drawn[..., 1], (tail, 1 - tail), axis=0)
    table["loyalty"] = gains[:, 0] * 100 / span * slope
    passed_on = gains_drawn[..., 0] * 100 / span * slopes[:, None]
    table["loyalty_low"], table["loyalty_high"] = np.quantile(passed_on, (tail, 1 - tail), axis=0)
    table["established"] = table["gain_low"] > 0
    table = table.sort_values("share", ascending=False, kind="stable", ignore_index=True)
    return said("", table, r2, collinear)


def _gain(covariance: Array, drawn: Array, p: int, room: Array, moved: Array) -> tuple[Array, Array]:
    """Coefficient times room of every item for satisfaction and for the index: (p, 2), and drawn (draws, p, 2)."""

    def coefficients(matrix: Array) -> Array:
        found: Array = np.linalg.pinv(matrix[..., :p, :p], rcond=1e-10, hermitian=True) @ matrix[..., :p, p:]
        return found

    left = np.where(room > 0, np.maximum(room - moved, 0.0), 0.0)
    return coefficients(covariance) * room[:, None], coefficients(drawn) * left[..., None]


def _empty() -> pd.DataFrame:
    names = ["item", "dimension", "share", "low", "high", "rank_first", "rank_last", "r2", "n", "mean", "mean_low"]
    names += [
        "mean_high",
        "scale_low",
        "scale_high",
        "target",
        "gap",
        *CONTRASTS[1:],
        "room",
        "fix_first",
        "fix_last",
    ]
    return pd.DataFrame(
        columns=[*names, "gain", "gain_low", "gain_high", "loyalty", "loyalty_low", "loyalty_high", "established"]
    )


def _scores(rows: pd.DataFrame, names: list[str], answers: Answers) -> pd.DataFrame:
    found = []
    for name in names:
        given = rows[rows[name].notna()]
        item = answers.items[name]
        mean = weighted_mean(given[name], weights=given["weight"] if answers.weighted else None)
        target = math.nan if item.target is None else item.target
        found.append((name, len(given), mean.mean, mean.low, mean.high, *item.scale, target, target - mean.mean))
    columns = ["item", "n", "mean", "mean_low", "mean_high", "scale_low", "scale_high", "target", "gap"]
    return pd.DataFrame(found, columns=columns)


def first_to_fix(drivers: Drivers, *, most: int = 3) -> pd.DataFrame:
    """Items below their target, or the top of the scale: those with the largest gain in the index first.

    Items whose gain is not established come after those whose gain is, by the share they explain.
    """
    table = drivers.table
    below = table[table["room"] > 0]
    sure = below["established"].astype(bool)
    ordered = below.assign(_gain=below["gain"].where(sure)).sort_values(
        ["_gain", "share"], ascending=False, kind="stable", na_position="last"
    )
    return ordered.drop(columns="_gain").head(most)


def may_come_first(drivers: Drivers) -> tuple[str, ...]:
    """Items whose gain is established and that may be the one to fix first: chance alone may have ranked them lower."""
    below = first_to_fix(drivers, most=len(drivers.table))
    return tuple(below.loc[below["established"].astype(bool) & (below["fix_first"] == 1), "item"])


def quadrants(drivers: Drivers) -> pd.DataFrame:
    """Importance against performance, the stated targets as one axis and an equal share as the other.

    One row per item with a target: item, share, low, high, even (one over the number of items), distance (score less
    target, in points of 100 of the item's scale), distance_low, distance_high, place: fix (important, below target),
    keep (important, target met), later (less important, below target), enough (less important, target met), or open
    where an interval covers one of the axes.
    """
    table = drivers.table[drivers.table["target"].notna()]
    width = (table["scale_high"] - table["scale_low"]) / 100
    found = table[["item", "share", "low", "high"]].assign(
        even=1 / max(len(drivers.table), 1),
        distance=(table["mean"] - table["target"]) / width,
        distance_low=(table["mean_low"] - table["target"]) / width,
        distance_high=(table["mean_high"] - table["target"]) / width,
    )
    covered = (found["low"] <= found["even"]) & (found["even"] <= found["high"])
    covered |= (found["distance_low"] <= 0) & (found["distance_high"] >= 0)
    places = np.where(
        found["share"] > found["even"],
        np.where(found["distance"] < 0, "fix", "keep"),
        np.where(found["distance"] < 0, "later", "enough"),
    )
    return found.assign(place=np.where(covered, "open", places)).reset_index(drop=True)
