"""Pictures that are no effects: regression to the mean of a list chosen by past value, and complaint recovery."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.effects import withheld
from crm_analysis.crm_roi.evaluation import CampaignResult, Evaluation
from crm_analysis.crm_roi.outcomes import priced, with_columns
from crm_analysis.estimators.proportions import wilson

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["QUICK_DAYS", "complaint_recovery", "past_value_fall"]

QUICK_DAYS = 7
"""A complaint resolved within this many days counts as quickly resolved."""
LOOK_BACK_DAYS = 730
YEAR_DAYS = 364
"""A year earlier on the same day of the week."""


def past_value_fall(scope: Scope, evaluation: Evaluation) -> pd.DataFrame:
    """Margin per window before and after for a list without control, beside a list without a programme.

    The list is that of the best customers, the costliest of several; without one, the costliest list of any purpose.

    The second list holds as many customers, the best by what they left in the year before a day one year earlier. High
    values are partly luck, so it falls back by itself; a list chosen by past value does too. Columns: group (members,
    year_before), n, before, after: margin per member and window, `before` scaled from the year before; low, high: 95 %
    interval of the mean change (paired t). Empty without such a programme and where its members' amounts are withheld;
    `year_before` is left out where the data do not reach back two years, or its amounts are withheld.
    """
    columns = ["group", "n", "before", "after", "low", "high"]
    chosen = _costliest(evaluation)
    if chosen is None or len(chosen.gate.units) < scope.profile.privacy.min_cell:
        return pd.DataFrame(columns=columns)
    units = chosen.gate.units
    scale = (chosen.window_days + 1) / scope.profile.roi.balance_history_days
    rows = [_fall("members", units["margin_before"], units["margin"], scale, scope)]
    start = (units["assigned_on"].median() - pd.Timedelta(days=YEAR_DAYS)).date()
    best = _best_at(scope, start, n=len(units), window_days=chosen.window_days)
    if best is not None:
        rows.append(_fall("year_before", best["before"], best["after"], scale, scope))
    if rows[0] is None:
        return pd.DataFrame(columns=columns)
    return pd.DataFrame([row for row in rows if row is not None], columns=columns)


def _fall(
    group: str, year: pd.Series, after: pd.Series, scale: float, scope: Scope
) -> tuple[str, int, float, float, float, float] | None:
    """One list before and after; None where its amounts may not be shown."""
    if withheld(year, scope.profile) or withheld(after, scope.profile):
        return None
    change = after.to_numpy(float) - scale * year.to_numpy(float)
    error = float(stats.sem(change))
    low, high = (
        stats.t.interval(0.95, change.size - 1, loc=float(change.mean()), scale=error) if error else (np.nan,) * 2
    )
    return group, change.size, scale * float(year.mean()), float(after.mean()), float(low), float(high)


def _best_at(scope: Scope, start: date, *, n: int, window_days: int) -> pd.DataFrame | None:
    """The `n` customers with the highest margin in the year before `start`, with their margin before and after."""
    profile = scope.profile
    days = profile.roi.balance_history_days
    if pd.Timestamp(min(scope.coverage["first_day"])) > pd.Timestamp(start - timedelta(days=days)):
        return None
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    before = (rows.on < start) & (rows.on >= start - timedelta(days=days))
    after = (rows.on >= start) & (rows.on <= start + timedelta(days=window_days))
    sums = rows.group_by("customer_id").aggregate(
        before=rows.left.sum(where=before).fill_null(0.0), after=rows.left.sum(where=after).fill_null(0.0)
    )
    best = sums.order_by(ibis.desc("before"), "customer_id").limit(n).execute()
    return best if len(best) == n and (best["before"] > 0).all() else None


def _costliest(evaluation: Evaluation) -> CampaignResult | None:
    """The costliest list without control, those of the best customers first: they were chosen by past value."""
    lists = [r for r in evaluation.closed if r.state == "not_causal" and len(r.gate.units)]
    return max(lists, key=lambda r: (r.programme == "vip", r.cost.actual if r.cost else 0.0), default=None)


def complaint_recovery(scope: Scope) -> pd.DataFrame:
    """Share of complainers who paid again, by how their complaint was resolved. An association.

    Complaints and claims of the two years before the follow-up closed; paid again means a purchase within the
    profile's `loyalty.window_days` after the complaint. Complaints whose follow-up the data do not cover are left
    out, and so are groups whose share would tell how few paid or did not. Columns: group (quick, slow, open), n,
    share, low, high (Wilson 95 %). Empty without the table `cases`.
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
        again, cell = int(mine["again"].sum()), scope.profile.privacy.min_cell
        if len(mine) < cell or privacy.tells(again, len(mine), cell):
            continue
        found = wilson(again, len(mine))
        rows.append((group, len(mine), found.share, found.low, found.high))
    return pd.DataFrame(rows, columns=columns)
