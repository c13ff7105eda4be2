"""Expectations beside perceptions: the service quality gap of every dimension, plain and weighted by importance.

Parasuraman, Zeithaml and Berry 1988 (the gap, perception less expectation); 1991 (100 points per respondent).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis.estimators.multiplicity import holm
from crm_analysis.estimators.proportions import Estimate
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.measure import mean_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Perception less expectation, in points of the items' scale; negative where the service falls short.

    `items`: item, expectation, dimension, n, expected, perceived, gap, se, low, high. `dimensions`: dimension, n, gap,
    se, low, high, p (Holm), importance (mean share of the points, missing without points). `plain` averages the
    dimensions of each respondent, `weighted` by the respondent's own points; None where nobody gave any. `reason` is
    empty, or no_pairs, too_few.
    """

    items: pd.DataFrame
    dimensions: pd.DataFrame
    plain: Estimate | None
    weighted: Estimate | None
    reason: str


ITEM_COLUMNS = ("item", "expectation", "dimension", "n", "expected", "perceived", "gap", "se", "low", "high")
DIMENSION_COLUMNS = ("dimension", "n", "gap", "se", "low", "high", "p", "importance")


def pairs(answers: Answers) -> dict[str, str]:
    """The expectation item of every perception item that names one under `expects` and shares its scale."""
    items = answers.items
    return {
        name: item.expects
        for name, item in items.items()
        if item.expects in items and items[item.expects].scale == item.scale
    }


def overall(gaps: pd.DataFrame, points: pd.DataFrame | None = None) -> pd.Series:
    """The gap of every respondent over the dimensions (columns of `gaps`), missing where one is missing.

    Without `points` the dimensions count alike; with them, each respondent's own points of the same dimensions, of any
    total, are the weights: the weight comes first, then the average over respondents.
    """
    whole = gaps.notna().all(axis=1)
    if points is None:
        return gaps.mean(axis=1).where(whole)
    own = points[list(gaps.columns)]
    total = own.sum(axis=1)
    usable = whole & own.notna().all(axis=1) & (own >= 0).all(axis=1) & (total > 0)
    return ((gaps * own).sum(axis=1) / total.where(total > 0)).where(usable)


def examine(rows: pd.DataFrame, answers: Answers, *, fewest: int) -> Gaps:
    """The gaps of `rows`, a part of `answers.frame`; a respondent's dimension is the mean of its answered pairs."""
    found = pairs(answers)
    if not found:
        return _nothing("no_pairs")
    each = pd.DataFrame({item: rows[item] - rows[expected] for item, expected in found.items()}, index=rows.index)
    if each.notna().any(axis=1).sum() < fewest:
        return _nothing("too_few")
    dimension = {item: answers.items[item].dimension or item for item in found}
    items = []
    for item, expected in found.items():
        both = each[item].notna()
        gap = mean_of(each[item], rows, answers)
        means = [mean_of(rows[name].where(both), rows, answers).mean for name in (expected, item)]
        items.append((item, expected, dimension[item], gap.n, *means, gap.mean, gap.se, gap.low, gap.high))
    order = list(dict.fromkeys(dimension.values()))
    per_person = pd.DataFrame(
        {name: each[[item for item in found if dimension[item] == name]].mean(axis=1) for name in order}
    )
    points = _points(rows, answers, order)
    weighed = overall(per_person, points) if points is not None else None
    share = None if points is None else points.div(points.sum(axis=1).where(lambda total: total > 0), axis=0)
    dimensions = []
    for name in order:
        gap = mean_of(per_person[name], rows, answers)
        p = 2 * float(stats.norm.sf(abs(gap.mean) / gap.se)) if gap.se > 0 else np.nan
        weight = np.nan if share is None else mean_of(share[name], rows, answers).mean
        dimensions.append((name, gap.n, gap.mean, gap.se, gap.low, gap.high, p, weight))
    table = pd.DataFrame(dimensions, columns=list(DIMENSION_COLUMNS))
    return Gaps(
        items=pd.DataFrame(items, columns=list(ITEM_COLUMNS)),
        dimensions=table.assign(p=holm(table["p"].to_list())),
        plain=mean_of(overall(per_person), rows, answers),
        weighted=mean_of(weighed, rows, answers) if weighed is not None and weighed.notna().any() else None,
        reason="",
    )


def _points(rows: pd.DataFrame, answers: Answers, dimensions: list[str]) -> pd.DataFrame | None:
    """The points every respondent gave each dimension; None unless every dimension has an item of role importance."""
    asked = {item.dimension: name for name, item in answers.items.items() if item.role == "importance"}
    if not all(name in asked for name in dimensions):
        return None
    return pd.DataFrame({name: rows[asked[name]] for name in dimensions})


def _nothing(reason: str) -> Gaps:
    return Gaps(
        items=pd.DataFrame(columns=list(ITEM_COLUMNS)),
        dimensions=pd.DataFrame(columns=list(DIMENSION_COLUMNS)),
        plain=None,
        weighted=None,
        reason=reason,
    )
