"""What the members of each measured campaign paid and left, month by month from their assignment, and afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis.crm_roi.comparison import Comparison
from crm_analysis.crm_roi.outcomes import priced, with_columns
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.units import DAYS_PER_MONTH

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["MIN_AFTER_DAYS", "MemberFlows", "member_flows", "measured_results"]

MIN_AFTER_DAYS = 28
"""Fewer days after the window say nothing about purchases pulled forward."""
LEAST_OF_A_MONTH = 0.1
"""A shorter rest at the end joins the month before."""
Floats = NDArray[np.float64]
_SUMS = ("paid", "left", "discount", "granted", "n_orders", "paid_on_discount")


@dataclass(frozen=True, slots=True)
class MemberFlows:
    """One measured campaign: a row per member that counts, in the order of `result.gate.units`.

    `margin` and `charged_discount` (members x `months`, money) fall in the months from each member's assignment, of
    mean Gregorian length, the last one cut off `days` after the assignment; `n_orders` likewise. `days` is the outcome
    window, or longer where the profile says that the control was left alone longer and everybody's data reach so far.
    `in_window` has one column per name: paid, granted (discount as recorded), n_orders, paid_on_discount and, where a
    discount was taken, promoted (days with an order of what the treated got at a discount). `after` has the same sums
    and left (margin) over the `after_days` that follow the window, for the members `followed` through them; None with
    fewer than `MIN_AFTER_DAYS`.
    """

    result: CampaignResult
    days: int
    held_on: bool
    treated: NDArray[np.bool_]
    margin: Floats
    charged_discount: Floats
    n_orders: Floats
    in_window: pd.DataFrame
    after_days: int
    after: pd.DataFrame | None
    followed: NDArray[np.bool_]

    @property
    def months(self) -> int:
        """Months from the assignment, the last one perhaps cut off."""
        return int(self.margin.shape[1])

    @property
    def quantile(self) -> float:
        """Half-width in standard errors of the campaign's 95 % interval: normal, or of t where few units were drawn."""
        roi = self.result.roi
        assert roi is not None
        return (roi.net_high - roi.net) / roi.net_error

    def arms(self, *, followed: bool = False) -> Comparison:
        """Both arms as they were drawn; with `followed` of the members whose time after the window is covered."""
        gate = self.result.gate
        return (replace(gate, units=gate.units[self.followed]) if followed else gate).comparison()


def measured_results(evaluation: Evaluation) -> tuple[CampaignResult, ...]:
    """Campaigns with a stated return, of earlier periods too, by start."""
    found = [result for result in evaluation.earlier + evaluation.closed if result.roi is not None]
    return tuple(sorted(found, key=lambda result: (result.starts_on, result.campaign_id)))


def member_flows(scope: Scope, evaluation: Evaluation) -> tuple[MemberFlows, ...]:
    """The flows of every campaign with a stated return, in two passes over the transactions of their members."""
    results = measured_results(evaluation)
    if not results:
        return ()
    plans = [_plan(result, scope) for result in results]
    listing = pd.concat([plan.members for plan in plans], ignore_index=True)
    sums, promoted = _sums(scope, listing)
    by_campaign = dict(tuple(sums.groupby("campaign_id", sort=False)))
    bought = dict(tuple(promoted.groupby("campaign_id", sort=False)))
    nothing, no_goods = sums.head(0), promoted.head(0)
    return tuple(
        _flows(plan, by_campaign.get(plan.result.campaign_id, nothing), bought.get(plan.result.campaign_id, no_goods))
        for plan in plans
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    result: CampaignResult
    members: pd.DataFrame
    days: int
    held_on: bool
    after_days: int
    followed: NDArray[np.bool_]


def _plan(result: CampaignResult, scope: Scope) -> _Plan:
    """How long each member is followed: while the control is held out, and as long again after the window."""
    units = result.gate.units
    length = result.window_days + 1
    known = pd.Timestamp(scope.as_of)
    after_days = min(length, (known - units["window_end"].max()).days)
    after_days = after_days if after_days >= MIN_AFTER_DAYS else 0
    followed = (units["window_end"] + pd.Timedelta(days=after_days) <= units["observed_to"]).to_numpy()
    days = max(length, _held_out_days(units, scope.profile.roi.held_out_until.get(result.campaign_id)))
    members = pd.DataFrame(
        {
            "campaign_id": result.campaign_id,
            "customer_id": units["customer_id"].to_numpy(),
            "treated": (units["arm"] == "treated").to_numpy(),
            "assigned_on": units["assigned_on"].dt.date.to_numpy(),
            "window_end": units["window_end"].dt.date.to_numpy(),
            "followed_to": (units["window_end"] + pd.Timedelta(days=after_days)).dt.date.to_numpy(),
            "held_to": (units["assigned_on"] + pd.Timedelta(days=days - 1)).dt.date.to_numpy(),
            "member": np.arange(len(units)),
        }
    )
    return _Plan(result, members, days, days > length, after_days, followed)


def _held_out_days(units: pd.DataFrame, until: date | None) -> int:
    """Days from the assignment in which the control was left alone and every member's data are there."""
    if until is None:
        return 0
    last = min(pd.Timestamp(until), units["observed_to"].min())
    return int((last - units["assigned_on"].max()).days) + 1


def _sums(scope: Scope, listing: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per campaign, member and stretch of time the sums of `_SUMS`; and days with an order of discounted goods.

    A stretch is a month from the assignment within or after the outcome window (`after`), and within or after the time
    in which the control was left alone (`held`).
    """
    profile = scope.profile
    rows = priced(
        with_columns(scope.table("transactions"), {"product": "string"}),
        margin_rate=profile.margin.rate,
        list_prices=profile.margin.list_prices,
        keep=("product",),
    )
    joined = ibis.memtable(listing).join(rows, "customer_id")
    last = ibis.greatest(joined.followed_to, joined.held_to)
    joined = joined.filter((joined.on >= joined.assigned_on) & (joined.on <= last))
    since = joined.on.delta(joined.assigned_on, unit="day")
    joined = joined.mutate(
        month=(since / DAYS_PER_MONTH).floor().cast("int64"),
        after=joined.on > joined.window_end,
        beyond=joined.on > joined.held_to,
        reduced=joined.granted > 0,
    )
    keys = ["campaign_id", "member", "month", "after", "beyond"]
    sums = joined.group_by(keys).aggregate(
        paid=joined.paid.sum(),
        left=joined.left.sum(),
        discount=joined.discount.sum(),
        granted=joined.granted.sum(),
        n_orders=joined.on.nunique(where=joined.is_order),
        paid_on_discount=joined.paid.sum(where=joined.reduced).fill_null(0.0),
    )
    inside = joined.filter(~joined.after & joined.is_order).mutate(goods=joined["product"].fill_null(""))
    goods = inside.filter(inside.reduced & inside.treated).select("campaign_id", "goods").distinct()
    promoted = inside.semi_join(goods, ["campaign_id", "goods"]).group_by(["campaign_id", "member"])
    return sums.execute(), promoted.aggregate(promoted=lambda t: t.on.nunique()).execute()


def _flows(plan: _Plan, sums: pd.DataFrame, promoted: pd.DataFrame) -> MemberFlows:
    n = len(plan.members)
    months = max(math.ceil(plan.days / DAYS_PER_MONTH - LEAST_OF_A_MONTH), 1)
    held, inside = sums[~sums["beyond"].astype(bool)], sums[~sums["after"].astype(bool)]
    later = sums[sums["after"].astype(bool)]
    in_window = _by_member(inside, n).drop(columns=["left", "discount"])
    if len(promoted):
        in_window["promoted"] = np.bincount(promoted["member"], weights=promoted["promoted"], minlength=n)
    return MemberFlows(
        result=plan.result,
        days=plan.days,
        held_on=plan.held_on,
        treated=plan.members["treated"].to_numpy(),
        margin=_by_month(held, "left", n, months),
        charged_discount=_by_month(held, "discount", n, months),
        n_orders=_by_month(held, "n_orders", n, months),
        in_window=in_window,
        after_days=plan.after_days,
        after=_by_member(later[plan.followed[later["member"].to_numpy(int)]], n) if plan.after_days else None,
        followed=plan.followed,
    )


def _by_month(sums: pd.DataFrame, column: str, n: int, months: int) -> Floats:
    found = np.zeros((n, months))
    at = sums["member"].to_numpy(int), np.minimum(sums["month"].to_numpy(int), months - 1)
    np.add.at(found, at, sums[column].to_numpy(float))
    return found


def _by_member(sums: pd.DataFrame, n: int) -> pd.DataFrame:
    member = sums["member"].to_numpy(int)
    return pd.DataFrame({name: np.bincount(member, weights=sums[name].to_numpy(float), minlength=n) for name in _SUMS})


def split(values: Sequence[float] | Floats, treated: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """A column of members as the treated and the held-out part."""
    array = np.asarray(values, dtype=float)
    return array[treated], array[~treated]
