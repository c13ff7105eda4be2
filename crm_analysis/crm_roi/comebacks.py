"""Win-back lists are chosen for their silence, so they can only rise: beside others as silent, whom nobody called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import privacy
from crm_analysis.crm_roi.outcomes import priced
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.uplift import mean_gain

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Comeback", "comeback"]

MIDDLE = (0.05, 0.95)
"""Others count as silent as the list when their silence lies between these quantiles of its members' silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comeback:
    """Margin per person before and after the start of a win-back campaign, in the profile's currency.

    `groups` has group (treated, held_out, others), n, before (as long a time before the start), after, low, high (95 %
    of the mean after): `others` were as silent on the day it started, `silent_from` to `silent_to` days, and not on the
    list. Not an effect; only the held out are comparable by chance.
    """

    campaign_id: str
    key: str
    name: str
    window_days: int
    silent_from: int
    silent_to: int
    groups: pd.DataFrame


def comeback(scope: Scope, evaluation: Evaluation) -> Comeback | None:
    """The picture of the latest win-back campaign whose window has closed; None without one that can be shown."""
    lists = [r for r in evaluation.earlier + evaluation.closed if r.programme == "winback" and len(r.gate.units)]
    if not lists:
        return None
    return _of_campaign(max(lists, key=lambda r: (r.closes_on, r.campaign_id)), scope, evaluation)


def _of_campaign(result: CampaignResult, scope: Scope, evaluation: Evaluation) -> Comeback | None:
    profile, start = scope.profile, result.starts_on
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    length = timedelta(days=result.window_days)
    before = (rows.on < start) & (rows.on >= start - length - timedelta(days=1))
    after = (rows.on >= start) & (rows.on <= start + length)
    found = (
        rows.group_by("customer_id")
        .aggregate(
            branch=rows.branch.argmax(rows.on),
            last=rows.on.max(where=(rows.on < start) & rows.is_order),
            before=rows.left.sum(where=before).fill_null(0.0),
            after=rows.left.sum(where=after).fill_null(0.0),
        )
        .execute()
    )
    ends = dict(zip(scope.coverage["branch"], pd.to_datetime(scope.coverage["last_covered_day"]), strict=True))
    covered = found["branch"].map(ends).fillna(pd.Timestamp(scope.as_of)) >= pd.Timestamp(start + length)
    found["silent"] = (pd.Timestamp(start) - pd.to_datetime(found["last"])).dt.days
    units = result.gate.units[["customer_id", "arm"]]
    members = units.merge(found, on="customer_id", how="left").fillna({"before": 0.0, "after": 0.0})
    if members["silent"].notna().sum() == 0:
        return None
    low, high = (float(q) for q in np.nanquantile(members["silent"], MIDDLE))
    others = found[covered & found["silent"].between(low, high) & ~found["customer_id"].isin(units["customer_id"])]
    lists = {
        "treated": members[members["arm"] == "treated"],
        "held_out": members[members["arm"] == "control"],
        "others": others.sort_values("customer_id"),
    }
    fewest = max(profile.roi.min_control, evaluation.min_cell)
    groups = []
    for name, people in lists.items():
        hidden = privacy.withhold(people["after"], evaluation.min_cell, evaluation.dominance_share) or privacy.withhold(
            people["before"], evaluation.min_cell, evaluation.dominance_share
        )
        if len(people) < fewest or hidden:
            continue
        mean = mean_gain(people["after"])
        ends_of_mean = (np.nan if mean.low is None else mean.low, np.nan if mean.high is None else mean.high)
        groups.append((name, len(people), float(people["before"].mean()), mean.mean, *ends_of_mean))
    if not groups:
        return None
    return Comeback(
        campaign_id=result.campaign_id,
        key=result.key,
        name=result.name,
        window_days=result.window_days,
        silent_from=round(low),
        silent_to=round(high),
        groups=pd.DataFrame(groups, columns=["group", "n", "before", "after", "low", "high"]),
    )
