"""Every item against the wave before and against its target, adjusted for asking many items at once."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis.estimators.multiplicity import holm
from crm_analysis.estimators.proportions import detectable, two_means
from crm_analysis.profile.settings import Item
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.measure import distribution, mean_of, panel_covariance

FEWEST = 30
BESIDE = ("expectation", "importance")  # roles that stand beside another item, in the service gaps
COLUMNS = (
    "item",
    "role",
    "n",
    "mean",
    "se",
    "before",
    "change",
    "change_se",
    "change_low",
    "change_high",
    "change_p",
    "detectable",
    "target",
    "to_target",
    "to_target_low",
    "to_target_high",
    "to_target_p",
)


def asked(answers: Answers) -> dict[str, Item]:
    """The items that stand for themselves."""
    return {name: item for name, item in answers.items.items() if item.role not in BESIDE}


def item_gaps(rows: pd.DataFrame, earlier: pd.DataFrame | None, answers: Answers) -> pd.DataFrame:
    """One row per item with `COLUMNS`, on the item's own scale; items of the roles `BESIDE` have none.

    `change` is against `earlier` (missing where fewer than `FEWEST` answered either wave) with both standard errors and
    the covariance of customers who answered both; `detectable` the smallest true change seen with 80 % power.
    `to_target` is the mean less the target. Both p-values are Holm-adjusted over the items; intervals are not.
    """
    found = []
    for name, item in asked(answers).items():
        now = mean_of(rows[name], rows, answers)
        row = dict.fromkeys(COLUMNS, math.nan) | {
            "item": name, "role": item.role, "n": now.n, "mean": now.mean, "se": now.se, "target": item.target
        }  # fmt: skip
        if earlier is not None and now.n >= FEWEST and earlier[name].notna().sum() >= FEWEST:
            past = mean_of(earlier[name], earlier, answers)
            shared = panel_covariance(
                earlier[name], rows[name], earlier_rows=earlier, later_rows=rows, weighted=answers.weighted
            )
            moved = two_means(past, now, covariance=shared)
            row |= {
                "before": past.mean,
                "change": moved.value,
                "change_se": moved.se,
                "change_low": moved.low,
                "change_high": moved.high,
                "change_p": moved.p,
                "detectable": detectable(moved.se),
            }
        if item.target is not None and now.n >= FEWEST:
            gap = now.mean - item.target
            row |= {
                "to_target": gap,
                "to_target_low": now.low - item.target,
                "to_target_high": now.high - item.target,
                "to_target_p": 2 * float(stats.norm.sf(abs(gap) / now.se)) if now.se > 0 else math.nan,
            }
        found.append(row)
    table = pd.DataFrame(found, columns=list(COLUMNS))
    for column in ("change_p", "to_target_p"):
        table[column] = holm(table[column].astype(float).to_list()) if len(table) else np.array([])
    return table


def item_spread(rows: pd.DataFrame, answers: Answers) -> pd.DataFrame:
    """The whole distribution of every item: item, place (0 is the lowest level), levels, label, n, share, mean,
    parts (see `distribution`).

    `levels` is how many the item has; the shares of an item add up to one. Items without an answer are left out.
    """
    found = []
    for name, item in asked(answers).items():
        given = rows[rows[name].notna()]
        if len(given):
            weights = given["weight"].to_numpy(float) if answers.weighted else None
            levels = distribution(given[name], item.scale, weights, branches=given["branch"])
            mean = mean_of(rows[name], rows, answers).mean
            found.append(levels.assign(item=name, place=range(len(levels)), levels=len(levels), mean=mean))
    columns = ["item", "place", "levels", "label", "n", "share", "mean", "parts"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
