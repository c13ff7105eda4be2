"""What stands behind the link: bends, cuts, adjustment, branches, and the same people answering again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty import adjust, bends, between, loyalties, measure, shape
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.followup import FollowUp

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

ALL = "all"
FEWEST_PAIRS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """People who answered twice running: how the second answer follows the first.

    `table`: group (low, middle, high: first answer below, within or at the top of the scale), n, first, second (means),
    change, low, high (95 % interval of the mean change). Whoever was extreme comes back to the middle by chance alone:
    `correlation` of both answers, `pairs` of answers (one per person, the last two).
    """

    table: pd.DataFrame
    correlation: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """Results beside the link's own tests; each is None, or empty, where the data do not carry it."""

    loyalties: loyalties.Loyalties
    zone: bends.Zone | None
    hinge: bends.Hinge | None
    splines: tuple[bends.Spline, ...]
    adjusted: adjust.Adjusted | None
    between: between.Between | None
    again: Again | None


def look_further(
    scope: Scope,
    answers: Answers,
    said: pd.DataFrame,
    follow: FollowUp | None,
    link: shape.Shape | None,
    *,
    survey: Survey,
    shown: shape.Shape | None,
    seed: int,
) -> Further:
    """Compute all of it. `survey` has the weights of the index, given or estimated; `said` are the answers whose
    stated intentions count, `shown` the link that the page draws.
    """
    rule = scope.profile.loyalty
    status = loyalties.still_there(scope, follow) if follow is not None else None
    ways = loyalties.three_ways(answers, said, follow, status, margin=rule.indifference_margin, seed=seed)
    zone = hinge = None
    if shown is not None and shown.any_link is not None:
        zone = bends.indifference(shown)
        hinge = bends.hinge(shown, shape.straight_line(shown)["rate"].to_numpy(float))
    if follow is None or link is None or link.any_link is None:
        return Further(
            loyalties=ways,
            zone=zone,
            hinge=hinge,
            splines=(),
            adjusted=None,
            between=None,
            again=answered_again(answers),
        )
    return Further(
        loyalties=ways,
        zone=zone,
        hinge=hinge,
        splines=_splines(survey, answers, follow),
        adjusted=adjust.standardise(follow.frame, link, scale=answers.scale, seed=seed),
        between=between.compare(follow.frame, link, scale=answers.scale, weighted=answers.weighted, seed=seed)
        if scope.branch == ALL
        else None,
        again=answered_again(answers),
    )


def _splines(survey: Survey, answers: Answers, follow: FollowUp) -> tuple[bends.Spline, ...]:
    """A spline along the score where its scale is long, and along the index where that is more than the score."""
    frame, found = follow.frame, []
    weights = frame["weight"].to_numpy(float) if answers.weighted else None
    if round(answers.scale[1] - answers.scale[0]) + 1 > shape.MOST_LEVELS:
        found.append(bends.spline(frame["satisfaction"], frame["loyal"], what="satisfaction", weights=weights))
    scales, index_weights = measure.index_settings(answers, survey)
    if set(scales) != {"satisfaction"} and len(frame):
        index = measure.respondent_index(answers.frame, scales, index_weights)
        by_answer = pd.Series(index.to_numpy(float), index=answers.frame["response_id"])
        by_answer = by_answer[~by_answer.index.duplicated()]
        found.append(bends.spline(frame["response_id"].map(by_answer), frame["loyal"], what="index", weights=weights))
    return tuple(each for each in found if each is not None)


def answered_again(answers: Answers) -> Again | None:
    """The last two answers of everybody who answered twice; None where fewer than `FEWEST_PAIRS` did."""
    known = answers.frame[answers.frame["customer_id"].notna()]
    known = known.sort_values(["customer_id", "answered_on", "response_id"], kind="stable")
    last = known.groupby("customer_id", sort=False).tail(2)
    last = last[last.groupby("customer_id")["customer_id"].transform("size") == 2]
    first, second = last.iloc[0::2]["satisfaction"].to_numpy(float), last.iloc[1::2]["satisfaction"].to_numpy(float)
    if len(first) < FEWEST_PAIRS:
        return None
    bottom, top = answers.scale
    width = (top - bottom) / 4
    groups = {
        "low": first <= bottom + width,
        "middle": (first > bottom + width) & (first < top),
        "high": first >= top,
    }
    rows = []
    for name, here in groups.items():
        change = second[here] - first[here]
        n = int(here.sum())
        mean = float(change.mean()) if n else np.nan
        half = 1.96 * float(change.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
        start, end = (float(each[here].mean()) if n else np.nan for each in (first, second))
        rows.append((name, n, start, end, mean, mean - half, mean + half))
    spread = first.std() * second.std()
    return Again(
        table=pd.DataFrame(rows, columns=["group", "n", "first", "second", "change", "low", "high"]),
        correlation=float(np.mean((first - first.mean()) * (second - second.mean())) / spread)
        if spread > 0
        else np.nan,
        pairs=len(first),
    )
