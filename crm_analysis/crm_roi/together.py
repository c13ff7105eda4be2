"""Campaigns beside each other: whether two that overlap change each other's effect, and which earned most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.arms import Arm, arm_mean
from crm_analysis.estimators.multiplicity import holm
from crm_analysis.estimators.shrinkage import shrink

__all__ = ["Interaction", "Together", "compare_campaigns"]

FEWEST_IN_A_CELL = 10
CELLS = (("treated", "treated"), ("treated", "control"), ("control", "treated"), ("control", "control"))
"""Arm in the first campaign and in the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """Members who were in two controlled campaigns at once, by their arms.

    `n` members were in both, in branches as `by_branch` says.
    `means` is the margin per member in the window of the campaign that began later, by `CELLS`, with `counts`.
    `interaction` is the effect of the second among those treated by the first, less its effect among those whom the
    first held out: 0 when the effects add up. The numbers are None where a cell is too small (`state` few) or may not
    be shown (withheld).
    """

    first: str
    second: str
    state: str
    n: int
    by_branch: tuple[int, ...]
    counts: tuple[int, ...]
    means: tuple[float, ...] = ()
    interaction: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """`interactions` of overlapping pairs; `ranking` of all campaigns with a stated return, best first.

    Ranking columns: campaign_id, name, roi, low, high (own, normal), shrunk, shrunk_low, shrunk_high, weight (of its
    own result), net, p (of net zero, two-sided), p_adjusted (Holm over the ranking). `spread` is the standard deviation
    of the true returns as far as the data tell; None with fewer than four campaigns, where nothing is drawn anywhere.
    """

    interactions: tuple[Interaction, ...]
    ranking: pd.DataFrame
    spread: float | None


def compare_campaigns(evaluation: Evaluation) -> Together:
    """Interactions of the period's campaigns, and the ranking of all measured so far."""
    people = _numbered(evaluation.measured)
    pairs = [_interaction(*pair, evaluation, people) for pair in combinations(evaluation.measured, 2)]
    every = [result for result in (*evaluation.closed, *evaluation.earlier) if result.roi is not None]
    ranking, spread = _ranking(every)
    return Together(tuple(pair for pair in pairs if pair is not None), ranking, spread)


def _numbered(results: Sequence[CampaignResult]) -> dict[str, np.ndarray]:
    """Each campaign's customers as numbers, the same for a customer in several: pairs are matched without text."""
    if not results:
        return {}
    number, _names = pd.factorize(pd.concat([result.gate.units["customer_id"] for result in results]))
    ends = np.cumsum([len(result.gate.units) for result in results])
    return {result.campaign_id: of for result, of in zip(results, np.split(number, ends[:-1]), strict=True)}


def _interaction(
    one: CampaignResult, other: CampaignResult, evaluation: Evaluation, people: dict[str, np.ndarray]
) -> Interaction | None:
    """None where nobody was in both while both windows were open, or only as held out by both."""
    first, second = sorted((one, other), key=lambda result: (result.starts_on, result.campaign_id))
    _numbers, *rows = np.intersect1d(
        people[first.campaign_id], people[second.campaign_id], assume_unique=True, return_indices=True
    )
    mine, theirs = (
        of.gate.units.iloc[row].reset_index(drop=True) for of, row in zip((first, second), rows, strict=True)
    )
    both = theirs[["unit", "branch", "margin"]].assign(arm_first=mine["arm"], arm_second=theirs["arm"])
    both = both[(mine["assigned_on"] <= theirs["window_end"]) & (theirs["assigned_on"] <= mine["window_end"])]
    if both.empty:
        return None
    of_cells = [both[(both["arm_first"] == a) & (both["arm_second"] == b)] for a, b in CELLS]
    counts = tuple(len(cell) for cell in of_cells)
    if counts[3] == len(both):  # arms of one test: all they share is the control group
        return None
    of_branches = tuple(int(n) for n in both["branch"].value_counts())
    told: dict[str, Any] = {
        "first": first.campaign_id,
        "second": second.campaign_id,
        "n": len(both),
        "by_branch": of_branches,
    }
    if min(counts) < max(FEWEST_IN_A_CELL, evaluation.min_cell):
        return Interaction(**told, state="few", counts=counts)
    hide = evaluation.min_cell, evaluation.dominance_share
    if any(privacy.withhold(cell["margin"], *hide) for cell in of_cells):
        return Interaction(**told, state="withheld", counts=counts)
    found = [arm_mean(cell["margin"], Arm(len(cell), pd.factorize(cell["unit"])[0])) for cell in of_cells]
    parts = [part for of in found for part in of.parts]
    variance = sum(float(part[0, 0]) for part, _units in parts)
    if variance <= 0 or any(units < 2 for _part, units in parts):  # noqa: PLR2004
        return Interaction(**told, state="few", counts=counts)
    means = tuple(float(of.mean[0]) for of in found)
    gap = (means[0] - means[1]) - (means[2] - means[3])
    freedom = variance**2 / sum(float(part[0, 0]) ** 2 / (units - 1) for part, units in parts)
    error = math.sqrt(variance)
    reach = float(stats.t.ppf(0.975, freedom)) * error
    p_value = float(2 * stats.t.sf(abs(gap) / error, freedom))
    return Interaction(
        **told,
        state="measured",
        counts=counts,
        means=means,
        interaction=gap,
        low=gap - reach,
        high=gap + reach,
        p_value=p_value,
    )


def _ranking(results: Sequence[CampaignResult]) -> tuple[pd.DataFrame, float | None]:
    columns = [
        "campaign_id", "name", "roi", "low", "high", "shrunk", "shrunk_low", "shrunk_high", "weight", "net", "p",
        "p_adjusted",
    ]  # fmt: skip
    told = [(result, result.roi) for result in results if result.roi is not None and result.roi.roi_error > 0]
    if len(told) < 2:  # noqa: PLR2004 - one campaign has no rank
        return pd.DataFrame(columns=columns), None
    own = np.array([roi.roi for _result, roi in told])
    errors = np.array([roi.roi_error for _result, roi in told])
    drawn = shrink(own, errors)
    reach = float(stats.norm.ppf(0.975)) * errors
    nets = np.array([roi.net for _result, roi in told])
    p_values = 2 * stats.norm.sf(np.abs(nets) / np.array([roi.net_error for _result, roi in told]))
    frame = pd.DataFrame(
        {
            "campaign_id": [result.campaign_id for result, _roi in told],
            "name": [result.name for result, _roi in told],
            "roi": own,
            "low": own - reach,
            "high": own + reach,
            "shrunk": drawn.value,
            "shrunk_low": drawn.low,
            "shrunk_high": drawn.high,
            "weight": drawn.weight,
            "net": nets,
            "p": p_values,
            "p_adjusted": holm(list(p_values)),
        }
    )
    ranked = frame.sort_values(["shrunk", "campaign_id"], ascending=[False, True], ignore_index=True)
    return ranked, drawn.spread if len(told) > 3 else None  # noqa: PLR2004
