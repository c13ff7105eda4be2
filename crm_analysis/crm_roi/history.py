"""What customers left in windows that are over: the raw material for planning a test and for replaying one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.crm_roi.outcomes import priced

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Window", "margins_in", "past_windows", "recent_margin"]


@dataclass(frozen=True, slots=True)
class Window:
    """Days of a past window, both included, as the outcome window of a campaign assigned on `start`."""

    start: date
    end: date


def past_windows(scope: Scope, *, window_days: int, most: int) -> tuple[Window, ...]:
    """Up to `most` windows of `window_days` + 1 days, one after the other without overlap, the latest first.

    The latest ends on the scope's last known day. Before each, the data reach back over the profile's
    `roi.balance_history_days`.
    """
    coverage = scope.coverage
    if coverage.empty:
        return ()
    first = pd.Timestamp(min(coverage["first_day"])).date() + timedelta(days=scope.profile.roi.balance_history_days)
    found: list[Window] = []
    end = scope.as_of
    while len(found) < most:
        window = Window(end - timedelta(days=window_days), end)
        if window.start < first:
            break
        found.append(window)
        end = window.start - timedelta(days=1)
    return tuple(found)


def margins_in(scope: Scope, windows: Sequence[Window], customer_ids: pd.Index | None = None) -> pd.DataFrame:
    """One row per window and customer who paid in the `roi.balance_history_days` before it or in it,
    of `customer_ids` where they are given.

    Columns: window (its number in `windows`), customer_id, branch (of the last transaction before the window's end),
    revenue, margin, n_orders in the window, revenue_before, margin_before, n_orders_before. Money as in the evaluation
    of campaigns. Customers of a branch whose data do not reach to the end of the window are left out: nothing is known
    of them there. Sorted by window and customer.
    """
    profile = scope.profile
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    if customer_ids is not None:
        wanted = ibis.memtable(pd.DataFrame({"customer_id": pd.Series(customer_ids, dtype="str")}))
        rows = rows.semi_join(wanted, "customer_id")
    coverage = scope.coverage
    reach = dict(zip(coverage["branch"], pd.to_datetime(coverage["last_covered_day"]).dt.date, strict=True))
    frames = []
    for number, window in enumerate(windows):
        covered = [branch for branch, last in reach.items() if last >= window.end]
        since = window.start - timedelta(days=profile.roi.balance_history_days)
        mine = rows.filter((rows.on >= since) & (rows.on <= window.end))
        inside, before = mine.on >= window.start, mine.on < window.start
        sums = mine.group_by("customer_id").aggregate(
            branch=mine.branch.argmax(mine.on),
            revenue=mine.paid.sum(where=inside),
            margin=mine.left.sum(where=inside),
            n_orders=mine.on.nunique(where=inside & mine.is_order),
            revenue_before=mine.paid.sum(where=before),
            margin_before=mine.left.sum(where=before),
            n_orders_before=mine.on.nunique(where=before & mine.is_order),
        )
        frame = (
            sums.filter(sums.branch.isin(covered))
            .execute()
            .fillna({name: 0.0 for name in ("revenue", "margin", "revenue_before", "margin_before")})
        )
        frames.append(frame.assign(window=number))
    columns = ["window", "customer_id", "branch", "revenue", "margin", "n_orders"]
    columns += ["revenue_before", "margin_before", "n_orders_before"]
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames)[columns].sort_values(["window", "customer_id"], ignore_index=True)


def recent_margin(scope: Scope) -> pd.DataFrame:
    """customer_id, branch (of the last transaction) and margin over the `roi.balance_history_days` up to `as_of`.

    One row per customer of the scope who ever paid, sorted by customer; margin is zero for who paid before that only.
    """
    profile = scope.profile
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    since = scope.as_of - timedelta(days=profile.roi.balance_history_days)
    sums = rows.group_by("customer_id").aggregate(
        branch=rows.branch.argmax(rows.on), margin=rows.left.sum(where=rows.on > since)
    )
    return sums.execute().fillna({"margin": 0.0}).sort_values("customer_id", ignore_index=True)
