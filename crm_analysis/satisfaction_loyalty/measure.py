"""How satisfied respondents are: index 0-100, boxes, distribution, net promoter score, and change between waves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.estimators.proportions import (
    Difference,
    Estimate,
    effective_n,
    two_means,
    weighted_mean,
    wilson_limits,
)
from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.shape import bands

PROMOTER, DETRACTOR = 9, 6
RECOMMEND_SCALE = (0, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Satisfaction of one group of answers.

    `index` is on 0-100; the boxes are shares; `nps` is on -100 to 100 and None without a 0-10 recommend item.
    `distribution` has one row per level: score, label, n, share, low, high.
    """

    n: int
    index: Estimate
    top_box: Estimate
    top_two: Estimate
    bottom_box: Estimate
    nps: Estimate | None
    distribution: pd.DataFrame
    index_items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveChange:
    """A later wave beside an earlier one; `panel` counts customers who answered both."""

    index: Difference
    top_box: Difference
    previous: Wave
    panel: int


def respondent_index(
    items: pd.DataFrame, scales: Mapping[str, tuple[float, float]], weights: Mapping[str, float] | None = None
) -> pd.Series:
    """Index 0-100 of every respondent: sum of w_i (x_i - low_i) / (high_i - low_i) * 100, weights normalised.

    The ACSI form (Fornell, Johnson, Anderson, Cha and Bryant 1996, p. 17) on unstandardised items; equal weights where
    none are given. Missing where a respondent left out any item of the index.
    """
    w = {name: 1.0 for name in scales} if weights is None else {name: float(weights.get(name, 0.0)) for name in scales}
    total = sum(w.values())
    if total <= 0:
        raise ValueError("the weights of the index add up to nothing")
    return sum(
        (w[name] / total * (items[name] - low) / (high - low) * 100.0 for name, (low, high) in scales.items()),
        start=pd.Series(0.0, index=items.index),
    )


def index_settings(answers: Answers, survey: Survey) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Scales and weights of the index's items: those the profile weighs, else overall satisfaction alone."""
    scales = {"satisfaction": survey.satisfaction.scale} | {name: item.scale for name, item in answers.items.items()}
    weights = {name: w for name, w in survey.index_weights.items() if w > 0 and name in scales}
    if not weights:
        weights = {"satisfaction": 1.0}
    return {name: scales[name] for name in weights}, weights


def measure(rows: pd.DataFrame, answers: Answers, survey: Survey) -> Wave:
    """Satisfaction of `rows`, a part of `answers.frame`, with weights and strata where the survey has them."""
    weights = rows["weight"].to_numpy(float) if answers.weighted else None
    strata = rows["stratum"].fillna("").to_numpy() if answers.stratified else None
    low, high = answers.scale
    score = rows["satisfaction"]
    scales, index_weights = index_settings(answers, survey)
    index = respondent_index(rows, scales, index_weights)
    whole = index.notna()
    return Wave(
        n=len(rows),
        index=weighted_mean(
            index[whole],
            weights=None if weights is None else weights[whole],
            strata=None if strata is None else strata[whole],
        ),
        top_box=_box(score >= high, weights, strata),
        top_two=_box(score >= high - 1, weights, strata),
        bottom_box=_box(score <= low, weights, strata),
        nps=_nps(rows, answers),
        distribution=distribution(score, answers.scale, weights),
        index_items=tuple(scales),
    )


def _box(hit: pd.Series, weights: np.ndarray | None, strata: np.ndarray | None) -> Estimate:
    """A share with its linearised standard error and Wilson's interval on the effective n."""
    linear = weighted_mean(hit.to_numpy(float), weights=weights, strata=strata)
    if linear.n == 0:
        return linear
    low, high = wilson_limits(linear.mean, linear.n_effective)
    return Estimate(
        mean=linear.mean,
        se=linear.se,
        low=float(low),
        high=float(high),
        n=linear.n,
        n_effective=linear.n_effective,
        level=linear.level,
        basis="Wilson 95%",
    )


def _nps(rows: pd.DataFrame, answers: Answers) -> Estimate | None:
    names = [n for n, item in answers.items.items() if item.role == "recommend" and item.scale == RECOMMEND_SCALE]
    if not names:
        return None
    given = rows[rows[names[0]].notna()]
    return net_promoter_score(
        given[names[0]],
        weights=given["weight"] if answers.weighted else None,
        strata=given["stratum"].fillna("") if answers.stratified else None,
    )


def net_promoter_score(
    scores: pd.Series, *, weights: pd.Series | None = None, strata: pd.Series | None = None
) -> Estimate:
    """Promoters (9, 10) less detractors (0 to 6), in points from -100 to 100, from answers on 0 to 10.

    Without weights the standard error is the multinomial one.
    """
    signs = 100.0 * ((scores >= PROMOTER).astype(float) - (scores <= DETRACTOR).astype(float))
    return weighted_mean(signs, weights=weights, strata=strata, correction=weights is not None or strata is not None)


def distribution(scores: pd.Series, scale: tuple[float, float], weights: np.ndarray | None = None) -> pd.DataFrame:
    """Share of answers per level: score, label, n, share, low, high; shares add up to one."""
    w = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=float)
    s = scores.to_numpy(float)
    edges = bands(scale)
    at = np.searchsorted([top for _, top in edges], np.floor(s), side="left").clip(max=len(edges) - 1)
    total, worth = w.sum(), effective_n(w)
    share = np.bincount(at, weights=w, minlength=len(edges)) / total if total > 0 else np.full(len(edges), np.nan)
    lower, upper = wilson_limits(share, worth)
    return pd.DataFrame(
        {
            "score": [(first + last) / 2 for first, last in edges],
            "label": [f"{first:g}" if first == last else f"{first:g}-{last:g}" for first, last in edges],
            "n": np.bincount(at, minlength=len(edges)),
            "share": share,
            "low": lower,
            "high": upper,
        }
    )


def change(later: Wave, earlier: Wave, *, later_rows: pd.DataFrame, earlier_rows: pd.DataFrame) -> WaveChange:
    """Later less earlier, with both standard errors.

    Customers who answered both waves make the interval wider than need be when their answers agree; `panel` counts
    them.
    """
    both = set(later_rows["customer_id"].dropna()) & set(earlier_rows["customer_id"].dropna())
    return WaveChange(
        index=two_means(earlier.index, later.index),
        top_box=two_means(earlier.top_box, later.top_box),
        previous=earlier,
        panel=len(both),
    )


def item_scores(rows: pd.DataFrame, answers: Answers) -> pd.DataFrame:
    """Mean of every item with interval, on the item's own scale: item, role, dimension, n, mean, low, high, target."""
    found = []
    for name, item in answers.items.items():
        given = rows[rows[name].notna()]
        mean = weighted_mean(given[name], weights=given["weight"] if answers.weighted else None)
        found.append((name, item.role, item.dimension, mean.n, mean.mean, mean.low, mean.high, item.target))
    columns = ["item", "role", "dimension", "n", "mean", "low", "high", "target"]
    return pd.DataFrame(found, columns=columns)


def by_branch(answers: Answers, survey: Survey, rows: pd.DataFrame, *, fewest: int) -> pd.DataFrame:
    """Index and top box of every branch with at least `fewest` answers.

    Columns: branch, n, index, index_low, index_high, top_box, low, high.
    """
    found = []
    for branch, part in rows.groupby("branch", sort=True):
        if len(part) >= fewest:
            wave = measure(part, answers, survey)
            box = wave.top_box
            found.append(
                (branch, wave.n, wave.index.mean, wave.index.low, wave.index.high, box.mean, box.low, box.high)
            )
    columns = ["branch", "n", "index", "index_low", "index_high", "top_box", "low", "high"]
    return pd.DataFrame(found, columns=columns)
