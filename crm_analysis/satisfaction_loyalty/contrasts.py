"""Penalty and reward: whether an attribute does more harm when poor than good when excellent."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crm_analysis.estimators import multiplicity
from crm_analysis.estimators.proportions import normal_quantile
from crm_analysis.satisfaction_loyalty.answers import Answers

POOR, EXCELLENT = 0.4, 0.8
FEWEST_IN_GROUP = 10
COLUMNS = ("item", "penalty", "penalty_low", "penalty_high", "reward", "reward_low", "reward_high", "asymmetry",
           "asymmetry_low", "asymmetry_high", "p", "kind", "n_poor", "n_excellent")  # fmt: skip

Array = NDArray[np.float64]


def robust_regression(design: Array, outcome: Array, weight: Array) -> tuple[Array, Array]:
    """Weighted least squares with HC3 errors: coefficients (k,) and their covariance (k, k).

    A coefficient that the design cannot tell from the others (collinear columns) is nan, with its covariances.
    MacKinnon and White 1985, eq. 12.
    """
    root = np.sqrt(weight)
    x, y = design * root[:, None], outcome * root
    values, vectors = np.linalg.eigh(x.T @ x)
    tied = values <= values[-1] * 1e-10
    inverse = (vectors[:, ~tied] / values[~tied]) @ vectors[:, ~tied].T
    coefficients = inverse @ (x.T @ y)
    leverage = ((x @ inverse) * x).sum(axis=1)
    residual = (y - x @ coefficients) / np.maximum(1 - leverage, 1e-8)
    influence = (x * residual[:, None]) @ inverse
    covariance = influence.T @ influence
    unknown = (np.abs(vectors[:, tied]) > 1e-6).any(axis=1)
    coefficients[unknown] = math.nan
    covariance[unknown], covariance[:, unknown] = math.nan, math.nan
    return coefficients, covariance


def penalty_reward(whole: pd.DataFrame, names: list[str], answers: Answers, *, level: float = 0.95) -> pd.DataFrame:
    """Penalty and reward of every item, and whether they differ: one row per item, columns `COLUMNS`.

    One regression of satisfaction on two dummies per item, poor (the lowest two fifths of its scale) and excellent
    (the highest fifth), unstandardised, HC3 errors (Brandt 1987; Mikulić and Prebežac 2008). `asymmetry` is their sum
    at equal distance: poor scores lie further from the middle ones than excellent scores do, so each is first scaled
    from its own mean distance to the mean of both, and an item that works in a straight line has none. It carries the
    interval of its step in Holm's procedure and the Holm-adjusted `p`. An item delights where reward outweighs
    penalty, annoys where penalty outweighs reward, and is undetermined where that interval covers zero, where a group
    holds fewer than ten answers, or where the item cannot be told from others. Penalty and reward have ordinary
    intervals, all in points of the satisfaction scale.
    """
    hits: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for name in names:
        low, high = answers.items[name].scale
        place = (whole[name].to_numpy(float) - low) / (high - low)
        hits[name, "poor"], hits[name, "excellent"] = place <= POOR, place > EXCELLENT
    counts = {key: int(hit.sum()) for key, hit in hits.items()}
    used = [key for key in hits if FEWEST_IN_GROUP <= counts[key] <= len(whole) - FEWEST_IN_GROUP]
    value = dict.fromkeys(hits, math.nan)
    table = pd.DataFrame({"item": names})
    variance: dict[str, float] = dict.fromkeys(names, math.nan)
    sums = np.full(len(names), math.nan)
    error = dict.fromkeys(hits, math.nan)
    if used and len(whole) > 2 * (len(used) + 1):
        design = np.column_stack([np.ones(len(whole)), *(hits[key].astype(float) for key in used)])
        outcome, weight = whole["satisfaction"].to_numpy(float), whole["weight"].to_numpy(float)
        coefficients, covariance = robust_regression(design, outcome, weight)
        at = {key: k + 1 for k, key in enumerate(used)}
        for key, k in at.items():
            value[key], error[key] = float(coefficients[k]), math.sqrt(covariance[k, k])
        for k, name in enumerate(names):
            if (name, "poor") in at and (name, "excellent") in at:
                pair = [at[name, "poor"], at[name, "excellent"]]
                scaled = _at_equal_distance(
                    whole[name].to_numpy(float), weight, hits[name, "poor"], hits[name, "excellent"]
                )
                sums[k] = float(scaled @ coefficients[pair])
                variance[name] = float(scaled @ covariance[np.ix_(pair, pair)] @ scaled)
    z = normal_quantile(level)
    for side, column in (("poor", "penalty"), ("excellent", "reward")):
        estimate = np.array([value[name, side] for name in names])
        half = z * np.array([error[name, side] for name in names])
        table[column], table[f"{column}_low"], table[f"{column}_high"] = estimate, estimate - half, estimate + half
    spread = np.sqrt(np.maximum(np.array([variance[name] for name in names]), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.norm.sf(np.abs(sums) / spread)
    reach = [normal_quantile(q) if q == q else math.nan for q in multiplicity.holm_levels(list(p), level=level)]
    half = np.array(reach) * spread
    table["asymmetry"], table["asymmetry_low"], table["asymmetry_high"] = sums, sums - half, sums + half
    table["p"] = multiplicity.holm(list(p))
    table["kind"] = np.where(sums - half > 0, "delights", np.where(sums + half < 0, "annoys", "undetermined"))
    table["n_poor"] = [counts[name, "poor"] for name in names]
    table["n_excellent"] = [counts[name, "excellent"] for name in names]
    return table[list(COLUMNS)]


def _at_equal_distance(
    score: Array, weight: Array, poor: NDArray[np.bool_], excellent: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Multipliers of penalty and reward that put both at the mean of their distances from the middle scores.

    Where nobody scored in the middle, both stand against each other and are left as they are.
    """
    middle = ~poor & ~excellent
    if not middle.any():
        return np.ones(2)
    centre = np.average(score[middle], weights=weight[middle])
    below = centre - np.average(score[poor], weights=weight[poor])
    above = np.average(score[excellent], weights=weight[excellent]) - centre
    scaled: Array = (below + above) / 2 / np.array([below, above])
    return scaled
