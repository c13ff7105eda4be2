"""Pictures that are no effects: regression to the mean of a list chosen by past value, and complaint recovery."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from crm_analysis.crm_roi.evaluation import CampaignResult, Evaluation
from crm_analysis.crm_roi.outcomes import priced, with_columns
from crm_analysis.estimators.proportions import wilson

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["QUICK_DAYS", "complaint_recovery", "past_value_bands"]

QUICK_DAYS = 7
"""A complaint resolved within this many days counts as quickly resolved."""
LOOK_BACK_DAYS = 730
BANDS = 10


def past_value_bands(scope: Scope, evaluation: Evaluation) -> pd.DataFrame:
    """Margin per window before and after for the costliest list without control, beside customers not on it.

    Customers who paid anything in the year before are put into ten bands of equal size by what they left; bands of fewer
    than the smallest cell are left out. Columns: group (others, members), n, before, after. High values before are partly
    luck, so the top bands fall back without any campaign: a list chosen from them falls too. Empty without such a list.
    """
    columns = ["group", "n", "before", "after"]
    chosen = _costliest(evaluation)
    if chosen is None or evaluation.members is None:
        return pd.DataFrame(columns=columns)
    profile = scope.profile
    units = chosen.gate.units
    start = units["assigned_on"].median().date()
    days = profile.roi.balance_history_days
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    before = (rows.on < start) & (rows.on >= start - timedelta(days=days))
    after = (rows.on >= start) & (rows.on <= start + timedelta(days=chosen.window_days))
    sums = rows.group_by("customer_id").aggregate(
        branch=rows.branch.max(), before=rows.left.sum(where=before), after=rows.left.sum(where=after)
    )
    frame = sums.filter(sums.before > 0).execute()
    covered = scope.coverage
    reach = pd.to_datetime(covered["last_covered_day"])
    closed = set(covered.loc[reach < pd.Timestamp(start + timedelta(days=chosen.window_days)), "branch"])
    frame = frame[~frame["branch"].isin(closed)].fillna({"after": 0.0})
    frame["before"] *= (chosen.window_days + 1) / days
    on_list = frame["customer_id"].isin(units["customer_id"])
    others = frame[~on_list].sort_values(["before", "customer_id"], ignore_index=True)
    others["band"] = np.arange(len(others)) * BANDS // max(len(others), 1)
    grouped = others.groupby("band").agg(n=("before", "size"), before=("before", "mean"), after=("after", "mean"))
    members = frame[on_list]
    own = pd.DataFrame(
        [{"group": "members", "n": len(members), "before": members["before"].mean(), "after": members["after"].mean()}]
    )
    found = pd.concat([grouped.assign(group="others"), own], ignore_index=True)
    return found.loc[found["n"] >= profile.privacy.min_cell, columns].reset_index(drop=True)


def _costliest(evaluation: Evaluation) -> CampaignResult | None:
    lists = [r for r in evaluation.closed if r.state == "not_causal" and len(r.gate.units)]
    return max(lists, key=lambda r: r.cost.actual if r.cost else 0.0, default=None)


def complaint_recovery(scope: Scope) -> pd.DataFrame:
    """Share of complainers who paid again, by how their complaint was resolved. An association.

    Complaints and claims of the two years before the follow-up closed; paid again means a purchase in the days after the
    complaint that the profile's `loyalty.window_days` counts. Complaints whose follow-up the data do not cover are left
    out. Columns: group (quick, slow, open), n, share, low, high (Wilson 95 %). Empty without the table `cases`.
    """
    columns = ["group", "n", "share", "low", "high"]
    if not scope.has("cases"):
        return pd.DataFrame(columns=columns)
    window = scope.profile.loyalty.window_days
    cases = with_columns(scope.table("cases"), {"customer_id": "string", "resolved_at": "timestamp"})
    cases = cases.filter(cases.kind.isin(["complaint", "claim"]) & cases.customer_id.notnull())
    cases = cases.select(
        "case_id",
        "customer_id",
        "branch",
        received_on=cases.received_at.cast("date"),
        resolved_on=cases.resolved_at.cast("date"),
    )
    last = scope.as_of - timedelta(days=window)
    cases = cases.filter((cases.received_on <= last) & (cases.received_on > last - timedelta(days=LOOK_BACK_DAYS)))
    paid = scope.table("transactions")
    paid = paid.filter((paid.kind != "refund") & paid.customer_id.notnull())
    paid = paid.select("customer_id", on=paid.occurred_at.cast("date"))
    pairs = cases.join(paid, "customer_id")
    returned = (
        pairs.filter((pairs.on > pairs.received_on) & (pairs.on <= pairs.received_on + ibis.interval(days=window)))
        .select("case_id")
        .distinct()
    )
    frame = cases.left_join(returned.mutate(again=True), "case_id").execute()
    if frame.empty:
        return pd.DataFrame(columns=columns)
    ends = dict(zip(scope.coverage["branch"], pd.to_datetime(scope.coverage["last_covered_day"]), strict=True))
    received = pd.to_datetime(frame["received_on"])
    covered = received + pd.Timedelta(days=window) <= frame["branch"].map(ends).fillna(pd.Timestamp(scope.as_of))
    took = (pd.to_datetime(frame["resolved_on"]) - received).dt.days
    frame["group"] = np.select([took.isna(), took <= QUICK_DAYS], ["open", "quick"], default="slow")
    frame["again"] = frame["again"].fillna(False).astype(bool)
    rows = []
    for group in ("quick", "slow", "open"):
        mine = frame[covered & (frame["group"] == group)]
        if len(mine) < scope.profile.privacy.min_cell:
            continue
        found = wilson(int(mine["again"].sum()), len(mine))
        rows.append((group, len(mine), found.share, found.low, found.high))
    return pd.DataFrame(rows, columns=columns)
