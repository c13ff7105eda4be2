"""Those who were on no list: whom a programme without control may be compared with, and what each left before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis.crm_roi.outcomes import priced
from crm_analysis.crm_roi.results import CampaignResult, Evaluation

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = [
    "MOST_COMPARED",
    "Past",
    "contacts",
    "in_campaign",
    "known_customers",
    "past_of",
    "pool_of",
    "supplied_channel",
]

MOST_COMPARED = 100_000
"""Customers of the pool that are compared; of a larger pool a random part, since more would not narrow anything."""
_GOLDEN = (np.sqrt(5) - 1) / 2
_YEAR_DAYS = 365
_DAY_BEFORE = re.compile(r"^[^|]*\|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The list and its pool, one row per customer, and what each left in windows of equal length.

    `units`: customer_id, branch, first_on, event_on (the day of assignment; of the pool, the day that stands for it),
    listed. `values` has a column per window, the last one being that of the outcome; `habits` gives per number of
    windows that a date lies earlier: last_on, n_orders (days with a purchase in the year before), channel.
    """

    units: pd.DataFrame
    values: NDArray[np.float64]
    habits: Mapping[int, pd.DataFrame]
    window_days: int
    query: str


def known_customers(scope: Scope) -> pd.DataFrame:
    """customer_id, branch, first_on (joined, else first purchase), covered_from, covered_to of everybody known.

    The customers of the table `customers` where there is one, otherwise everybody who ever paid.
    """
    rows = scope.table("transactions")
    rows = rows.filter(rows.customer_id.notnull() & (rows.customer_id != ""))
    rows = rows.select("customer_id", "branch", on=rows.occurred_at.cast("date"))
    firsts = rows.group_by("customer_id").aggregate(bought_first=rows.on.min(), sold_by=rows.branch.argmax(rows.on))
    if scope.has("customers"):
        table = scope.table("customers")
        owned = table.group_by("customer_id").aggregate(
            home=table.branch.min(), joined_on=table.joined_on.cast("date").min()
        )
        found = owned.left_join(firsts, "customer_id").drop("customer_id_right")
    else:
        found = firsts.mutate(home=ibis.null("string"), joined_on=ibis.null("date"))
    found = found.select(
        "customer_id",
        branch=ibis.coalesce(found.home, found.sold_by),
        first_on=ibis.coalesce(found.joined_on, found.bought_first),
    )
    frame = found.execute().dropna(subset=["customer_id", "first_on"])
    frame["first_on"] = pd.to_datetime(frame["first_on"])
    return _covered(frame.sort_values("customer_id", ignore_index=True), scope)


def contacts(scope: Scope, evaluation: Evaluation) -> pd.DataFrame:
    """campaign_id, customer_id, from_on, to_on: every treatment by any campaign, and the days its outcome is open."""
    members = scope.table("campaign_members")
    treated = members.filter((members.arm == "treated") & members.customer_id.notnull())
    frame = treated.select("campaign_id", "customer_id", from_on=treated.assigned_on.cast("date")).execute()
    days = {r.campaign_id: r.window_days for r in evaluation.closed + evaluation.running + evaluation.earlier}
    frame = frame[frame["campaign_id"].isin(list(days))]
    start = pd.to_datetime(frame["from_on"])
    return frame.assign(from_on=start, to_on=start + pd.to_timedelta(frame["campaign_id"].map(days), unit="D"))


def pool_of(result: CampaignResult, customers: pd.DataFrame, treated: pd.DataFrame) -> pd.DataFrame:
    """The list of a campaign and those who may stand for it: customer_id, branch, first_on, event_on, listed.

    The pool are customers known before their day, whose branch covers the window from it, and whom no campaign treated
    while that window was open. Days are those of the list, dealt over the pool in the list's proportions, so that both
    are compared over the same calendar days.
    """
    units = result.gate.units
    mine = units[["customer_id", "branch", "assigned_on"]].rename(columns={"assigned_on": "event_on"})
    mine = mine.merge(customers.drop(columns="branch"), on="customer_id", how="left").assign(listed=True)
    mine["first_on"] = mine["first_on"].fillna(pd.Series(units["first_on"].to_numpy(), index=mine.index))
    start = customers.groupby("branch")["covered_from"].min()
    mine["covered_from"] = mine["covered_from"].fillna(mine["branch"].map(start)).fillna(start.min())
    others = customers[~customers["customer_id"].isin(mine["customer_id"])].reset_index(drop=True)
    days = np.sort(mine["event_on"].to_numpy())
    turn = (np.arange(len(others)) * _GOLDEN) % 1
    others = others.assign(event_on=days[(turn * len(days)).astype(int)], listed=False)
    window = pd.Timedelta(days=result.window_days)
    others = others[(others["first_on"] < others["event_on"]) & (others["event_on"] + window <= others["covered_to"])]
    others = others[~in_campaign(others, treated, shift_days=0, window_days=result.window_days)]
    if len(others) > MOST_COMPARED:
        others = others.sample(MOST_COMPARED, random_state=np.random.default_rng(len(others)))
    return pd.concat([mine, others], ignore_index=True)


def in_campaign(
    units: pd.DataFrame, treated: pd.DataFrame, *, shift_days: int, window_days: int, but: str = ""
) -> NDArray[np.bool_]:
    """Whether another campaign's outcome was open while each unit's window, `shift_days` earlier, was open.

    `but` names the campaign whose own list does not count.
    """
    rows = units[["customer_id", "event_on", "listed"]].assign(unit=np.arange(len(units)))
    pairs = rows.merge(treated, on="customer_id")
    own = pairs["listed"] & (pairs["campaign_id"] == but)
    start = pairs["event_on"] - pd.Timedelta(days=shift_days)
    meets = (pairs["from_on"] <= start + pd.Timedelta(days=window_days)) & (pairs["to_on"] >= start)
    found = np.zeros(len(units), dtype=bool)
    found[pairs.loc[meets & ~own, "unit"].to_numpy(int)] = True
    return found


def past_of(units: pd.DataFrame, scope: Scope, *, window_days: int, depth: int, shifts: tuple[int, ...]) -> Past:
    """What each unit left in the outcome window and in the `depth` windows before it, and its habits at each date.

    One aggregate inside the engine. A window is `window_days` + 1 days, the day of assignment included.
    """
    profile, length = scope.profile, window_days + 1
    rows = priced(
        _with_channel(scope), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices, keep=("channel",)
    )
    days = ibis.memtable(units[["customer_id", "event_on"]])
    joined = rows.join(days.mutate(event_on=days.event_on.cast("date")), "customer_id")
    joined = joined.mutate(day=joined.on.delta(joined.event_on, unit="day"))
    joined = joined.filter(joined.day < length)
    sums = {
        f"w{k}": joined.left.sum(where=(joined.day >= -k * length) & (joined.day < (1 - k) * length))
        for k in range(depth + 1)
    }
    for shift in shifts:
        before = joined.is_order & (joined.day < -shift * length)
        year = before & (joined.day >= -shift * length - _YEAR_DAYS)
        sums[f"last{shift}"] = joined.day.max(where=before)
        sums[f"orders{shift}"] = joined.on.nunique(where=year)
        sums[f"channel{shift}"] = (joined.on.cast("string") + "|" + joined.channel).max(where=before)
    expression = joined.group_by("customer_id").aggregate(**sums)
    frame = units[["customer_id"]].merge(expression.execute(), on="customer_id", how="left")
    values = frame[[f"w{k}" for k in range(depth, -1, -1)]].fillna(0.0).to_numpy(float)
    habits = {
        shift: pd.DataFrame(
            {
                "days_since_last": -(frame[f"last{shift}"].astype(float) + shift * length),
                "n_orders": frame[f"orders{shift}"].fillna(0).astype(float),
                "channel": frame[f"channel{shift}"]
                .astype("string")
                .str.replace(_DAY_BEFORE, "", regex=True)
                .fillna("")
                .astype(object),
            }
        )
        for shift in shifts
    }
    return Past(
        units=units,
        values=values,
        habits=habits,
        window_days=window_days,
        # the table in memory has a name drawn anew each time, and findings are the same for the same data
        query="-- list_and_pool is made in memory: customer_id, and event_on, the day of assignment; of others on no "
        "list, one of the list's days\n"
        + str(ibis.to_sql(expression, dialect="duckdb")).replace(days.get_name(), "list_and_pool"),
    )


def supplied_channel(scope: Scope) -> bool:
    """Whether transactions say through which channel they came."""
    return "channel" in scope.columns("transactions")


def _with_channel(scope: Scope) -> ibis.Table:
    """Transactions whose channel is text, empty where none is supplied."""
    table = scope.table("transactions")
    known = table.channel.cast("string").fill_null("") if "channel" in table.columns else ibis.literal("")
    return table.mutate(channel=known)


def _covered(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The frame with the first and the last day that the data of each customer's branch cover."""
    reach = scope.coverage.set_index("branch")
    limit = pd.Timestamp(scope.period.end)
    start = scope.profile.coverage.history_starts_on
    first = pd.to_datetime(reach["first_day"])
    first = first.clip(lower=pd.Timestamp(start)) if start is not None else first
    return frame.assign(
        covered_from=frame["branch"].map(first).fillna(first.min()),
        covered_to=frame["branch"]
        .map(pd.to_datetime(reach["last_covered_day"]))
        .fillna(pd.Timestamp(scope.as_of))
        .clip(upper=limit),
    )
