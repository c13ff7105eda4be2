"""Transactions to one row per customer, as one ibis expression that runs inside any engine."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Literal

import ibis
import pandas as pd

from crm_analysis.contracts.totals import signed_amount

ONE_TIME_SHARE = 0.9  # with more customers than this without a repeat purchase, repeat buying decides nothing
UNITS = {"day": "D", "week": "W", "month": "M"}
COLUMNS = (
    "customer_id",
    "branch",
    "first_on",
    "last_on",
    "observed_to",
    "n_orders",
    "n_repeat_orders",
    "gross",
    "refunds",
    "net",
    "margin",
    "mean_per_repeat_period",
)


def summarize(
    transactions: ibis.Table,
    *,
    as_of: date,
    coverage: pd.DataFrame | None = None,
    period: Literal["day", "week", "month"] = "day",
) -> ibis.Table:
    """One row per customer with what was bought up to and including `as_of`.

    `transactions` has the canonical columns customer_id, branch, occurred_at, amount and kind, and optionally margin
    or cost. Rows without a customer are left out. Purchases of one customer within one `period` are one order, in
    whatever branch; rows of kind refund are money, never orders. A refund is taken off whether its source writes it
    as a positive or a negative amount.

    `coverage` (branch, last_covered_day) ends the observation of a branch that stopped reporting before `as_of`.

    Columns of the result:

    - customer_id, and branch: the branch of the last order (the last in alphabetical order where several saw the
      customer in that period; of the refunds for a customer who has nothing else)
    - first_on, last_on (date): first and last order, at the start of their `period`; null without any order
    - observed_to (date): the earlier of `as_of` and the last covered day of that branch, at the start of its `period`
    - n_orders, n_repeat_orders: distinct periods with an order, and those after the first
    - gross, refunds, net: money in the profile's currency, net = gross - refunds
    - margin: null unless every row of the customer tells it (margin, or amount less cost)
    - mean_per_repeat_period: gross per repeat order, the first order left out; null without a repeat order

    The day of an event is taken by casting to date, which means the same in every engine.
    """
    rows = transactions.filter(
        transactions.customer_id.notnull(),
        transactions.customer_id != "",
        transactions.occurred_at.cast("timestamp") < datetime.combine(as_of + timedelta(days=1), time()),
    )
    on = rows.occurred_at.cast("date")
    if period != "day":
        on = on.truncate(UNITS[period])
    is_order = rows.kind != "refund"
    grain: dict[str, Any] = {
        "value": is_order.ifelse(rows.amount, rows.amount.abs()).sum(),
        "branch": rows.branch.max(),
    }
    if (known := _margin(rows)) is not None:
        grain |= {"margin": signed_amount(rows, known).sum(), "rows_without_margin": known.isnull().sum()}
    # Refunds of a customer share the group without a period, so one pass serves orders and refunds.
    by_period = rows.group_by(rows.customer_id, period=is_order.ifelse(on, ibis.null("date"))).aggregate(**grain)
    bought = by_period.period.notnull()
    money: dict[str, Any] = {}
    if known is not None:
        money = {"margin": by_period.margin.sum(), "rows_without_margin": by_period.rows_without_margin.sum()}
    result = by_period.group_by("customer_id").aggregate(
        branch=by_period.branch.argmax(by_period.period.fill_null(date.min)),
        first_on=by_period.period.min(),
        last_on=by_period.period.max(),
        n_orders=by_period.period.count(),
        gross=by_period.value.sum(where=bought).fill_null(0.0),
        refunds=by_period.value.sum(where=~bought).fill_null(0.0),
        value_of_first=by_period.value.argmin(by_period.period),
        **money,
    )
    unknown = ibis.null("float64")
    margin = (result.rows_without_margin == 0).ifelse(result.margin, unknown) if known is not None else unknown
    n_repeat = (result.n_orders > 0).ifelse(result.n_orders - 1, 0)
    return result.mutate(
        observed_to=_observed_to(result.branch, as_of, coverage, period),
        n_repeat_orders=n_repeat,
        net=result.gross - result.refunds,
        margin=margin,
        mean_per_repeat_period=(result.gross - result.value_of_first) / n_repeat.nullif(0),
    ).select(*COLUMNS)


def _margin(rows: ibis.Table) -> ibis.Value | None:
    """What each row leaves, where the columns tell it."""
    known = []
    if "margin" in rows.columns:
        known.append(rows.margin)
    if "cost" in rows.columns:
        known.append(rows.amount.abs() - rows.cost.abs())
    return ibis.coalesce(*known).cast("float64") if known else None


def last_covered_days(as_of: date, coverage: pd.DataFrame | None) -> dict[str, date]:
    """The last covered day of each branch whose data end before `as_of`."""
    if coverage is None:
        return {}
    days = pd.Series(pd.to_datetime(coverage["last_covered_day"]).to_numpy(), index=coverage["branch"]).dropna()
    return {str(branch): day.date() for branch, day in days.items() if day.date() < as_of}


def _observed_to(branch: ibis.Value, as_of: date, coverage: pd.DataFrame | None, period: str) -> ibis.Value:
    ended = last_covered_days(as_of, coverage)
    day = ibis.literal(as_of)
    if ended:
        day = ibis.cases(*((branch == name, ibis.literal(last)) for name, last in ended.items()), else_=day)
    return day if period == "day" else day.truncate(UNITS[period])


def under_commitment(rows: ibis.Table) -> ibis.Value:
    """Whether a transaction was paid under a commitment: dues, or anything that names one."""
    dues = rows.kind == "dues"
    return dues | rows.commitment_id.notnull() if "commitment_id" in rows.columns else dues


def never_back(summary: pd.DataFrame, days: int) -> pd.Series:
    """Of each customer of a summary first seen at least `days` ago, whether they never came back.

    Whoever came later has not had the time to: counting them would call every growing organisation one of one-time
    buyers.
    """
    seen_for = (pd.to_datetime(summary["observed_to"]) - pd.to_datetime(summary["first_on"])).dt.days
    return summary.loc[seen_for >= days, "n_repeat_orders"] == 0
