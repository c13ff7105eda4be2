"""Loyalty in three ways that are never mixed: what people say, what they do, and where the relationship stands.

Stated: an answer at or above a cut to an item on repurchase or recommendation, in the same questionnaire.
Behavioural: days with a payment within the follow-up, at or above a cut. Relationship: the status (`customers.status`)
once the follow-up has ended, at most a quarter later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis.customers import GONE, status_at
from crm_analysis.estimators import multiplicity
from crm_analysis.satisfaction_loyalty import shape
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.followup import FollowUp
from crm_analysis.units import add_months

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

LOOK_EVERY_MONTHS = 3
MOST_TIMES = 3
CUT_DRAWS = 199
SURE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Loyalties:
    """Every definition of loyalty against the same levels of satisfaction.

    `cuts` has one row per definition: way (stated, behavioural, relationship), item (the survey's item, or empty), cut
    (from which answer or how many payment days; for the relationship 1 is neither dormant nor lost, 2 not overdue
    either), share (loyal of all), n, kink, low, high (top kink, Holm with the bottom one), bend (up, down, unclear,
    none where fewer than three levels), shown (False where fewer than thirty are loyal by it, or are not). `main` marks
    the definitions that the page uses. `turns` says whether one cut bends up and another bends down, each for sure
    (Holm over all of them); `signs` whether estimates alone do. `relationship` is the link to the status, None where it
    is not known.
    """

    cuts: pd.DataFrame
    relationship: shape.Shape | None
    turns: bool
    signs: bool


def still_there(scope: Scope, follow: FollowUp) -> pd.Series:
    """The status of everybody followed at the first look on or after the end of their follow-up, by row of its frame.

    Looks are `LOOK_EVERY_MONTHS` apart and end with the scope's `as_of`; missing where no status is known. Everybody is
    looked at about equally long after the answer: where looks lay a year apart, who answered early in the year would
    have had more time to grow dormant.
    """
    frame = follow.frame
    found = pd.Series(pd.NA, index=frame.index, dtype="string")
    if frame.empty:
        return found
    closes = (frame["answered_on"] + pd.Timedelta(days=follow.window_days)).dt.date
    look: date = scope.as_of
    looks = [look]
    while (look := add_months(look, -LOOK_EVERY_MONTHS)) >= closes.min():
        looks.append(look)
    when = closes.map(lambda day: min((each for each in looks if each >= day), default=scope.as_of))
    for each in sorted(set(when)):
        known = status_at(scope, each).set_index("customer_id")["status"]
        known = known[~known.index.duplicated()]
        here = when == each
        found[here] = frame.loc[here, "customer_id"].map(known).astype("string")
    return found


def three_ways(
    answers: Answers,
    said: pd.DataFrame,
    follow: FollowUp | None,
    status: pd.Series | None,
    *,
    margin: float,
    seed: int,
) -> Loyalties:
    """Tabulate and test every cut of every definition. `said` are the answers whose intentions count."""
    rows: list[dict[str, object]] = []

    def add(way: str, item: str, cut: float, main: bool, frame: pd.DataFrame, loyal: pd.Series) -> shape.Shape | None:
        loyal = loyal.astype(bool)
        share = float(np.average(loyal, weights=frame["weight"])) if len(loyal) else np.nan
        link = None
        shown = bool(min(loyal.sum(), (~loyal).sum()) >= shape.FLAG_UNDER)
        if shown:
            weights = frame["weight"] if answers.weighted else None
            levels = shape.tabulate(
                frame["satisfaction"], loyal, scale=answers.scale, weights=weights, branches=frame["branch"]
            )
            link = shape.examine(levels, margin=margin, seed=seed, draws=CUT_DRAWS)
        kink = link.top if link else None
        bend = "none" if kink is None else "up" if kink.low > 0 else "down" if kink.high < 0 else "unclear"
        rows.append(
            {
                "way": way,
                "item": item,
                "cut": cut,
                "share": share,
                "n": len(loyal),
                "kink": kink.value if kink else np.nan,
                "low": kink.low if kink else np.nan,
                "high": kink.high if kink else np.nan,
                "p": kink.p if kink else np.nan,
                "bend": bend,
                "shown": shown,
                "main": main,
            }
        )
        return link

    for name, item in answers.items.items():
        if item.role in ("recommend", "repurchase") and name in said:
            given = said[said[name].notna()]
            main = item.scale[1] - 1
            first = max(item.scale[0] + 1, item.scale[1] - 5)
            for cut in np.arange(first, item.scale[1] + 1):
                add("stated", name, float(cut), cut == main, given, given[name] >= cut)
    relationship = None
    if follow is not None and follow.n:
        for times in range(1, MOST_TIMES + 1):
            add("behavioural", "", times, times == 1, follow.frame, follow.frame["times"] >= times)
        if status is not None and status.notna().any():
            known = follow.frame[status.notna()]
            there = status[status.notna()]
            relationship = add("relationship", "", 1, True, known, ~there.isin(GONE))
            add("relationship", "", 2, False, known, ~there.isin([*GONE, "overdue"]))
    columns = ["way", "item", "cut", "share", "n", "kink", "low", "high", "p", "bend", "shown", "main"]
    cuts = pd.DataFrame(rows, columns=columns)
    sure = cuts.loc[multiplicity.holm(cuts["p"].to_list()) < SURE, "kink"]
    return Loyalties(
        cuts=cuts,
        relationship=relationship,
        turns=bool((sure > 0).any() and (sure < 0).any()),
        signs=bool((cuts["kink"] > 0).any() and (cuts["kink"] < 0).any()),
    )
