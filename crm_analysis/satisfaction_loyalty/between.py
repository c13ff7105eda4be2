"""Whether branches share one link: level by branch, partial pooling of the top step, distribution against curve.

Computed where several branches are seen at once. Customers count once, in the branch where they answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from crm_analysis.estimators import multiplicity
from crm_analysis.estimators.proportions import effective_n, normal_quantile
from crm_analysis.estimators.shrinkage import between_spread
from crm_analysis.satisfaction_loyalty.shape import THICK_CELL, Shape, Test, tabulate

FEWEST_OF_A_BRANCH = 30
DRAWS = 399

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Links of several branches side by side.

    `interaction` is the likelihood ratio of level by branch against level plus branch on the logit scale: do the curves
    differ in shape; `wald` the Wald test of equal top steps on the probability scale. `table` has per branch n, rate,
    top_share, top_loyal and top_n, below_loyal and below_n (who came back of how many on the two highest levels),
    step, step_low, step_high (the top step as a share), shrunk, shrunk_low, shrunk_high (partially pooled),
    apart (own top step less that of the other branches together), p and p_adjusted of that (false discovery rate),
    by_distribution and by_curve (the branch's rate less that of all, split), distinct. `tau` is the spread of true top
    steps between branches, `pooled` their mean, `left_out` how many branches were too thin.
    """

    interaction: Test | None
    wald: Test | None
    table: pd.DataFrame
    tau: float
    pooled: float
    left_out: int


def compare(
    frame: pd.DataFrame, link: Shape, *, scale: tuple[float, float], weighted: bool = False, seed: int = 1
) -> Between | None:
    """Compare branches on the levels of the pooled link; None under two branches or two levels that can be compared.

    `frame` has branch, satisfaction, loyal, weight. A branch with fewer than `FEWEST_OF_A_BRANCH` followed answers is
    left out and counted. Levels that were merged for all branches together are merged in each.
    """
    if len(link.levels) < 2 or link.any_link is None:
        return None
    sizes = frame["branch"].value_counts()
    names = sorted(sizes.index[sizes >= FEWEST_OF_A_BRANCH])
    if len(names) < 2:
        return None
    groups = [_merged_like(link, frame[frame["branch"] == name], scale, weighted) for name in names]
    x = np.array([kept for kept, _m in groups])
    m = np.array([size for _kept, size in groups])
    table = _table(names, sizes, x, m, link)
    steps, variances, whole = _top_steps(x, m)
    usable = np.isfinite(steps)
    tau, pooled = between_spread(steps[usable], variances[usable])
    table = _shrunk(table, steps, variances, tau, pooled, link.level)
    return Between(
        interaction=interaction(x, m, seed=seed),
        wald=_equal_steps(steps[usable], variances[usable]) if whole.sum() > 1 else None,
        table=table,
        tau=tau,
        pooled=pooled,
        left_out=len(sizes) - len(names),
    )


def _merged_like(link: Shape, rows: pd.DataFrame, scale: tuple[float, float], weighted: bool) -> tuple[Array, Array]:
    """Loyal and all answers of a branch on the levels of the pooled link, in effective numbers."""
    own = tabulate(rows["satisfaction"], rows["loyal"], scale=scale).set_index("label")
    kept, size = [], []
    if weighted:
        w = rows["weight"].to_numpy(float)
        worth = effective_n(w) / w.sum()
        heavy = tabulate(rows["satisfaction"], rows["loyal"], scale=scale, weights=w).set_index("label")
        sums = heavy["n_effective"] if worth > 0 else own["n"]
        own = own.assign(n=sums, loyal=(heavy["rate"].fillna(0.0) * sums))
    for label in link.levels["label"]:
        parts = [part for part in str(label).split("+") if part in own.index]
        size.append(float(own.loc[parts, "n"].sum()))
        kept.append(float(own.loc[parts, "loyal"].sum()))
    return np.array(kept), np.array(size)


def _variance(x: Array, m: Array) -> Array:
    p = (x + 0.5) / (m + 1)
    with np.errstate(divide="ignore"):
        return np.asarray(p * (1 - p) / np.maximum(m, 1e-12))


def _top_steps(x: Array, m: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Top step of each branch with its variance; undefined where a branch has nobody on either level."""
    whole = (m[:, -1] > 0) & (m[:, -2] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = x / m
    variance = _variance(x, m)
    steps = np.where(whole, rate[:, -1] - rate[:, -2], np.nan)
    return steps, np.where(whole, variance[:, -1] + variance[:, -2], np.nan), whole


def _table(names: list[str], sizes: pd.Series, x: Array, m: Array, link: Shape) -> pd.DataFrame:
    """Numbers of each branch, and the split of its distance to all into distribution and curve."""
    shares = m / m.sum(axis=1, keepdims=True)
    all_shares, all_rates = m.sum(axis=0) / m.sum(), x.sum(axis=0) / np.maximum(m.sum(axis=0), 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(m > 0, x / m, all_rates)
    rest_x, rest_m = x.sum(axis=0) - x, m.sum(axis=0) - m
    own, own_variance, _whole = _top_steps(x, m)
    rest, rest_variance, _whole = _top_steps(rest_x, rest_m)
    apart = own - rest
    with np.errstate(invalid="ignore"):
        p = 2 * stats.norm.sf(np.abs(apart) / np.sqrt(own_variance + rest_variance))
    adjusted = multiplicity.benjamini_hochberg(list(p))
    return pd.DataFrame(
        {
            "branch": names,
            "n": [int(sizes[name]) for name in names],
            "rate": x.sum(axis=1) / m.sum(axis=1),
            "top_share": shares[:, -1],
            "top_loyal": x[:, -1],
            "top_n": m[:, -1],
            "below_loyal": x[:, -2],
            "below_n": m[:, -2],
            "apart": apart,
            "p": p,
            "p_adjusted": adjusted,
            "distinct": adjusted < 1 - link.level,
            "by_distribution": (shares - all_shares) @ all_rates,
            "by_curve": (shares * (rates - all_rates)).sum(axis=1),
        }
    )


def _shrunk(
    table: pd.DataFrame, steps: Array, variances: Array, tau: float, pooled: float, level: float
) -> pd.DataFrame:
    """Top steps drawn to their mean by as much as they are uncertain (empirical Bayes, Efron and Morris 1975).

    The interval counts the uncertainty of the mean, not that of the spread.
    """
    half = normal_quantile(level) * np.sqrt(variances)
    known = np.isfinite(steps)
    total = float((1 / (variances[known] + tau**2)).sum()) if known.any() else math.nan
    own = tau**2 / (tau**2 + variances)
    drawn = np.where(known, own * steps + (1 - own) * pooled, pooled)
    rest = np.where(known, own * variances, tau**2) + np.where(known, 1 - own, 1.0) ** 2 / total
    wide = normal_quantile(level) * np.sqrt(rest)
    return table.assign(
        step=steps,
        step_low=steps - half,
        step_high=steps + half,
        shrunk=drawn,
        shrunk_low=drawn - wide,
        shrunk_high=drawn + wide,
    )


def _equal_steps(steps: Array, variances: Array) -> Test:
    weight = 1 / variances
    mean = float(weight @ steps / weight.sum())
    statistic = float(weight @ (steps - mean) ** 2)
    p = float(stats.chi2.sf(statistic, steps.size - 1))
    return Test(statistic=statistic, df=steps.size - 1, p=p, p_chi2=p, basis="Wald")


def _additive(x: Array, m: Array) -> Array:
    """Fitted rates of a logistic model of level plus branch, for each table (branches by levels) in `x`."""
    rows, columns = x.shape[-2:]
    design = np.zeros((rows, columns, rows + columns - 1))
    for b in range(rows):
        design[b, :, b] = 1
    for k in range(1, columns):
        design[:, k, rows + k - 1] = 1
    flat = design.reshape(rows * columns, -1)
    y, n = x.reshape(*x.shape[:-2], -1), m.reshape(-1)
    start = special.logit((x.sum(axis=-1) + 0.5) / (m.sum(axis=-1) + 1))
    beta = np.concatenate([start, np.zeros((*x.shape[:-2], columns - 1))], axis=-1)
    ridge = 1e-9 * np.eye(flat.shape[1])
    for _ in range(25):
        p = special.expit(beta @ flat.T)
        gradient = (y - n * p) @ flat
        hessian = np.einsum("...k,ki,kj->...ij", n * p * (1 - p), flat, flat, optimize=True) + ridge
        move = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        beta = np.clip(beta + np.clip(move, -3, 3), -30, 30)
        if np.max(np.abs(move)) < 1e-8:
            break
    return np.asarray(special.expit(beta @ flat.T)).reshape(x.shape)


def _likelihood_ratio(x: Array, m: Array) -> tuple[Array, Array]:
    fitted = np.clip(_additive(x, m), 1e-12, 1 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(m > 0, x / np.where(m > 0, m, 1), 0.5)

    def log_likelihood(p: Array) -> Array:
        return np.asarray((special.xlogy(x, p) + special.xlog1py(m - x, -p)).sum(axis=(-2, -1)))

    return np.maximum(2 * (log_likelihood(own) - log_likelihood(fitted)), 0.0), fitted


def interaction(x: Array, m: Array, *, seed: int = 1, draws: int = DRAWS) -> Test:
    """Likelihood ratio of level by branch: loyal `x` of `m` customers, branches by levels.

    P-value from chi-squared, or from a parametric bootstrap under level plus branch where a cell expects few.
    """
    statistic, fitted = _likelihood_ratio(x, m)
    value = float(statistic)
    df = int((m > 0).sum()) - m.shape[0] - m.shape[1] + 1
    p_chi2 = float(stats.chi2.sf(value, df)) if df > 0 else math.nan
    expected = np.minimum(m * fitted, m * (1 - fitted))
    if expected.min() >= THICK_CELL:
        return Test(statistic=value, df=df, p=p_chi2, p_chi2=p_chi2, basis="chi-squared")
    size = np.rint(m).astype(int)
    drawn = np.random.default_rng(seed).binomial(size, fitted, size=(draws, *m.shape)).astype(float)
    simulated, _fitted = _likelihood_ratio(drawn, size.astype(float))
    p = (1 + int((simulated >= value - 1e-9).sum())) / (draws + 1)
    return Test(statistic=value, df=df, p=p, p_chi2=p_chi2, basis=f"parametric bootstrap, {draws} draws")
