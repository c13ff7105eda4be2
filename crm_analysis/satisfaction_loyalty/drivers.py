"""What satisfaction hangs on: shares of explained variance, penalties and rewards, and what to fix first.

Associations within one survey: whoever likes one thing tends to tick high everywhere.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from crm_analysis.estimators import multiplicity
from crm_analysis.estimators.proportions import normal_quantile
from crm_analysis.satisfaction_loyalty.answers import Answers

MOST_FOR_ALL_SUBSETS = 10
MOST_ITEMS = 30
ANSWERS_PER_ITEM = 10
DRAWS = 499
MOST_BLOCKS = 4000
MOST_MISSING = 0.5

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """Shares of the variance of overall satisfaction that each item explains.

    `table` has one row per item, largest share first: item, dimension, share (of the explained variance; they add up to
    one), low, high, r2 (its part of R2), n, mean, scale_low, scale_high, target, gap (target less mean, missing
    without a target), priority (share times room left to the target or the top of the scale), penalty, reward, kind
    (delights, annoys, undetermined). `method` is LMG or Johnson.
    """

    table: pd.DataFrame
    r2: float
    n: int
    method: str
    left_out: tuple[str, ...]
    reason: str
    seed: int


def lmg(correlation: Array) -> Array:
    """LMG shares of R2 from a correlation matrix with the outcome last: averages over all orders of entry.

    `correlation` is (..., p + 1, p + 1); the result (..., p) adds up to R2. Lindeman, Merenda and Gold 1980, p. 119;
    Grömping 2006, eq. 6. Collinear items share what they explain.
    """
    p = correlation.shape[-1] - 1
    explained: dict[frozenset[int], Array] = {frozenset(): np.zeros(correlation.shape[:-2])}
    for size in range(1, p + 1):
        subsets = [list(s) for s in itertools.combinations(range(p), size)]
        index = np.array(subsets)
        within = correlation[..., index[:, :, None], index[:, None, :]]
        outcome = correlation[..., index, p]
        solved = (np.linalg.pinv(within, rcond=1e-10, hermitian=True) @ outcome[..., None])[..., 0]
        r2 = (outcome * solved).sum(axis=-1)
        for k, subset in enumerate(subsets):
            explained[frozenset(subset)] = r2[..., k]
    shares = np.zeros((*correlation.shape[:-2], p))
    for entered, before in explained.items():
        size = len(entered)
        for item in range(p):
            if item not in entered:
                weight = math.factorial(size) * math.factorial(p - size - 1) / math.factorial(p)
                shares[..., item] += weight * (explained[entered | {item}] - before)
    return shares


def johnson(correlation: Array) -> Array:
    """Johnson's relative weights of R2 from a correlation matrix with the outcome last. Johnson 2000, eq. 8.

    `correlation` is (..., p + 1, p + 1); the result (..., p) adds up to R2 and is never negative.
    """
    within, outcome = correlation[..., :-1, :-1], correlation[..., :-1, -1]
    values, vectors = np.linalg.eigh(within)
    root = np.sqrt(np.clip(values, 0, None))
    inverse = np.where(root > 1e-7, 1 / np.maximum(root, 1e-7), 0.0)
    half = (vectors * root[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    beta = (vectors * inverse[..., None, :]) @ np.swapaxes(vectors, -1, -2) @ outcome[..., None]
    return ((half**2) @ beta**2)[..., 0]


def _moments(data: Array, weight: Array, rng: np.random.Generator) -> Array:
    """Weighted cross-products of (1, data), summed within random blocks of answers: (blocks, q, q), q = columns + 1.

    Up to `MOST_BLOCKS` answers each is a block of its own; beyond that, answers share blocks of equal size.
    """
    n = len(data)
    size = -(-n // MOST_BLOCKS)
    blocks = -(-n // size)
    order = rng.permutation(n)
    z = np.zeros((blocks * size, data.shape[1] + 1))
    w = np.zeros(blocks * size)
    z[:n, 0], z[:n, 1:], w[:n] = 1.0, (data - data.mean(axis=0))[order], weight[order]
    z = z.reshape(blocks, size, -1)
    return np.swapaxes(z * w.reshape(blocks, size, 1), 1, 2) @ z


def _correlation(moments: Array) -> Array:
    """Correlation matrices (..., q - 1, q - 1) from summed cross-products (..., q, q) of (1, data)."""
    scaled = moments / moments[..., :1, :1]
    mean = scaled[..., 0, 1:]
    covariance = scaled[..., 1:, 1:] - mean[..., :, None] * mean[..., None, :]
    spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 1e-12))
    return covariance / (spread[..., :, None] * spread[..., None, :])


def importance(rows: pd.DataFrame, answers: Answers, *, seed: int = 1, draws: int = DRAWS) -> Drivers:
    """Driver table for complete answers in `rows`, with percentile bootstrap intervals over answers.

    Beyond `MOST_BLOCKS` answers whole random blocks of answers are drawn.

    Items of role driver or perception are used; those that more than half left out, that never vary, or that come
    after the first `MOST_ITEMS` are left out and named. Up to ten items are shared out by LMG, more by Johnson's
    weights. With fewer than ten complete answers per item nothing is claimed and `reason` says so.
    """
    candidates = [name for name, item in answers.items.items() if item.role in ("driver", "perception")]
    thin = [n for n in candidates if len(rows) == 0 or rows[n].isna().mean() > MOST_MISSING or rows[n].nunique() < 2]
    names = [n for n in candidates if n not in thin]
    left_out = (*thin, *names[MOST_ITEMS:])
    names = names[:MOST_ITEMS]
    method = "LMG" if len(names) <= MOST_FOR_ALL_SUBSETS else "Johnson"
    whole = rows[[*names, "satisfaction", "weight"]].dropna()
    n = len(whole)
    reason = ""
    if not candidates:
        reason = "no_items"
    elif len(names) < 2 or n < ANSWERS_PER_ITEM * len(names):
        reason = "too_few"
    elif whole["satisfaction"].nunique() < 2 or (whole[names].nunique() < 2).any():
        reason = "no_variation"
    if reason:
        return Drivers(table=_empty(), r2=math.nan, n=n, method=method, left_out=left_out, reason=reason, seed=seed)
    data = whole[[*names, "satisfaction"]].to_numpy(float)
    weight = whole["weight"].to_numpy(float)
    share_out = lmg if method == "LMG" else johnson
    rng = np.random.default_rng(seed)
    moments = _moments(data, weight, rng)
    parts = share_out(_correlation(moments.sum(axis=0)))
    blocks, q = moments.shape[:2]
    counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(float)
    drawn = (counts @ moments.reshape(blocks, -1)).reshape(draws, q, q)
    again = np.maximum(share_out(_correlation(drawn)), 0)
    again /= np.maximum(again.sum(axis=1, keepdims=True), 1e-12)
    parts = np.maximum(parts, 0)
    r2 = float(parts.sum())
    table = pd.DataFrame(
        {
            "item": names,
            "dimension": [answers.items[name].dimension for name in names],
            "share": parts / max(r2, 1e-12),
            "low": np.quantile(again, 0.025, axis=0),
            "high": np.quantile(again, 0.975, axis=0),
            "r2": parts,
        }
    )
    table = table.merge(_scores(rows, names, answers), on="item").merge(
        penalty_reward(whole, names, answers), on="item"
    )
    aim = table["target"].fillna(table["scale_high"])
    table["priority"] = table["share"] * ((aim - table["mean"]) / (table["scale_high"] - table["scale_low"])).clip(0)
    table = table.sort_values("share", ascending=False, kind="stable", ignore_index=True)
    return Drivers(table=table, r2=r2, n=n, method=method, left_out=left_out, reason="", seed=seed)


def _empty() -> pd.DataFrame:
    names = ["item", "dimension", "share", "low", "high", "r2", "n", "mean", "scale_low", "scale_high", "target"]
    return pd.DataFrame(columns=[*names, "gap", "penalty", "reward", "kind", "priority"])


def _scores(rows: pd.DataFrame, names: list[str], answers: Answers) -> pd.DataFrame:
    found = []
    for name in names:
        given = rows[rows[name].notna()]
        item = answers.items[name]
        mean = float(np.average(given[name], weights=given["weight"]))
        target = math.nan if item.target is None else item.target
        found.append((name, len(given), mean, *item.scale, target, target - mean))
    return pd.DataFrame(found, columns=["item", "n", "mean", "scale_low", "scale_high", "target", "gap"])


def penalty_reward(whole: pd.DataFrame, names: list[str], answers: Answers, *, level: float = 0.95) -> pd.DataFrame:
    """Penalty and reward of every item, and whether they differ: item, penalty, reward, kind.

    One regression of satisfaction on two dummies per item, low (the lowest two fifths of its scale) and high (the
    highest fifth), unstandardised, HC3 errors (Brandt 1987; Mikulić and Prebežac 2008). An item delights where reward
    outweighs penalty, annoys where penalty outweighs reward, and is undetermined where the Holm-adjusted interval of
    their sum covers zero or one of the groups holds fewer than ten answers.
    """
    columns, dummies = [], []
    for name in names:
        low, high = answers.items[name].scale
        place = (whole[name] - low) / (high - low)
        for side, hit in (("low", place <= 0.4), ("high", place > 0.8)):
            if 10 <= hit.sum() <= len(whole) - 10:
                columns.append((name, side))
                dummies.append(hit.to_numpy(float))
    blank = pd.DataFrame({"item": names, "penalty": math.nan, "reward": math.nan, "kind": "undetermined"})
    if not dummies:
        return blank
    design = np.column_stack([np.ones(len(whole)), *dummies])
    if np.linalg.matrix_rank(design) < design.shape[1] or len(whole) <= 2 * design.shape[1]:
        return blank
    fit = sm.WLS(whole["satisfaction"].to_numpy(float), design, weights=whole["weight"].to_numpy(float)).fit(
        cov_type="HC3"
    )
    at = {key: k + 1 for k, key in enumerate(columns)}
    penalty = np.array([fit.params[at[name, "low"]] if (name, "low") in at else math.nan for name in names])
    reward = np.array([fit.params[at[name, "high"]] if (name, "high") in at else math.nan for name in names])
    sums, errors = penalty + reward, np.full(len(names), np.nan)
    covariance = np.asarray(fit.cov_params())
    for k, name in enumerate(names):
        if (name, "low") in at and (name, "high") in at:
            i, j = at[name, "low"], at[name, "high"]
            errors[k] = math.sqrt(max(covariance[i, i] + covariance[j, j] + 2 * covariance[i, j], 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.norm.sf(abs(sums) / errors)
    reach = np.array([normal_quantile(q) if q == q else math.nan for q in multiplicity.holm_levels(p, level=level)])
    kind = np.where(
        sums - reach * errors > 0, "delights", np.where(sums + reach * errors < 0, "annoys", "undetermined")
    )
    return pd.DataFrame({"item": names, "penalty": penalty, "reward": reward, "kind": kind})


def first_to_fix(drivers: Drivers, *, most: int = 3) -> pd.DataFrame:
    """Items that explain much and score below their target, or the top of the scale: highest priority first."""
    table = drivers.table
    return table[table["priority"] > 0].sort_values("priority", ascending=False, kind="stable").head(most)
