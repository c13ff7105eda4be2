"""The one rule that says whether a customer is new, active, overdue, dormant, lost or reactivated, and who was kept.

Every chapter that speaks of retained, lost or won-back customers takes it from here.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from crm_analysis.contracts.totals import signed_amount
from crm_analysis.customers.summary import last_covered_days, summarize, under_commitment
from crm_analysis.units import add_months, months_to_days

if TYPE_CHECKING:
    from crm_analysis.profile.settings import StatusRule
    from crm_analysis.tables import Scope

STATUSES = ("new", "active", "overdue", "reactivated", "dormant", "lost")
GONE = ("dormant", "lost")
REQUIRED = ("customer_id", "branch", "occurred_at", "amount", "kind")
OPTIONAL = (
    "margin",
    "cost",
    "commitment_id",
    "restricted",
    "discount",
    "points_used",
    "product",
    "category",
    "channel",
)
MIN_GAPS = 2  # gaps between orders that make a rhythm of one's own
DATES = ("first_on", "last_on", "observed_to", "unpaid_since", "ended_on", "started_on")


@dataclass(frozen=True, slots=True)
class Retention:
    """Who of those active `months` ago is still there.

    `customers` has one row per customer who was neither dormant nor lost then: customer_id; branch, status and
    committed as they were at that time; kept (neither dormant nor lost now). Each branch is looked at from its own last
    covered day, `months` back. Empty where the data do not reach that far: then retention is not measurable.
    """

    as_of: date
    months: int
    customers: pd.DataFrame

    @property
    def n(self) -> int:
        """Customers who were there `months` ago."""
        return len(self.customers)

    @property
    def kept(self) -> int:
        """Those of them who are still there."""
        return int(self.customers["kept"].sum())

    @property
    def share(self) -> float:
        """Share kept; not a number where nobody can be looked at."""
        return self.kept / self.n if self.n else math.nan


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A share now less the share before, with standard error, 95 % interval and two-sided p-value."""

    previous: float
    difference: float
    standard_error: float
    low: float
    high: float
    p: float


def classify(customers: pd.DataFrame, rule: StatusRule, *, history_starts_on: date | None = None) -> pd.Series:
    """The status of each customer, tried in order of precedence: lost, dormant, overdue, new, active.

    `customers` has first_on, last_on, observed_to and n_repeat_orders as `summarize` makes them and, for those with a
    commitment (a regular transfer, a contract): committed (bool), cycle_months, unpaid_since (the first due after the
    last one paid that has fallen due and is unpaid), started_on and ended_on (the end of the last commitment of those
    whose commitments have all ended). Optional column was_gone: dormant or lost some time ago; who ordered since
    then is reactivated.

    With a commitment: dormant once the due that makes `dormant_unpaid_months` of unpaid dues has gone by, counted in
    months from the first unpaid due whatever the cycle, so that an annual giver is not dormant in month seven.
    Overdue when a due is unpaid for half a cycle (`overdue_rhythm` less one), one month at most. Lost when all
    commitments were ended and nothing came since. Without: the customer's own rhythm is the mean gap between orders,
    known from the third order on. Overdue when silent longer than `overdue_rhythm` gaps; dormant when silent longer
    than both `dormant_rhythm` gaps and `dormant_days`; lost when silent longer than `lost_days`.

    Silence ends at observed_to, the last covered day of the branch. Whoever was first seen within `new_days` of
    `history_starts_on` is not new: they may have been there before.
    """
    frame = customers.copy()
    for name in DATES:
        frame[name] = pd.to_datetime(frame[name]) if name in frame else pd.NaT
    committed = _flag(frame, "committed")
    first = frame["first_on"].fillna(frame["started_on"])
    last = frame["last_on"].fillna(frame["started_on"])
    silent_days = (frame["observed_to"] - last).dt.days
    n_repeat = frame["n_repeat_orders"].fillna(0)
    rhythm_days = ((last - first).dt.days / n_repeat.where(n_repeat >= MIN_GAPS)).astype(float)

    unpaid_days = (frame["observed_to"] - frame["unpaid_since"]).dt.days.where(committed)
    cycle_months = (frame["cycle_months"] if "cycle_months" in frame else pd.Series(np.nan, frame.index)).astype(float)
    grace_days = np.minimum((rule.overdue_rhythm - 1) * months_to_days(1) * cycle_months, months_to_days(1))
    sixth_due = frame["unpaid_since"] + pd.DateOffset(months=math.ceil(rule.dormant_unpaid_months) - 1)
    unpaid_dormant = committed & (frame["observed_to"] >= sixth_due)

    ended = ~committed & frame["ended_on"].notna()
    nothing_since = last <= frame["ended_on"] + pd.Timedelta(days=math.ceil(months_to_days(1)))
    dormant_after = np.fmax(rule.dormant_rhythm * rhythm_days, rule.dormant_days)

    since = first
    if history_starts_on is not None:
        since = first.where(first > pd.Timestamp(history_starts_on) + pd.Timedelta(days=rule.new_days))
    rules = (
        ("lost", (ended & nothing_since) | (~committed & (silent_days > rule.lost_days))),
        ("dormant", unpaid_dormant | (~committed & (silent_days > dormant_after))),
        ("overdue", (unpaid_days > grace_days) | (~committed & (silent_days > rule.overdue_rhythm * rhythm_days))),
        ("reactivated", _flag(frame, "was_gone")),
        ("new", (frame["observed_to"] - since).dt.days < rule.new_days),
    )
    return pd.Series(
        np.select([test.to_numpy(bool) for _, test in rules], [name for name, _ in rules], default="active"),
        index=customers.index,
        name="status",
    )


def status(scope: Scope) -> pd.DataFrame:
    """One row per customer of the scope who ever ordered or holds a commitment, with the status at the scope's end.

    Columns: those of `summarize`, then committed, amount_a_year (of the running commitments), cycle_months,
    unpaid_since, ended_on, n_dues and n_paid_dues (of the last twelve months) where commitments are known, and status.
    Reactivated are those who were dormant or lost `new_days` ago and have ordered since.
    """
    return status_at(scope, scope.as_of, reactivated=True)


def status_at(scope: Scope, on: date, *, reactivated: bool = False) -> pd.DataFrame:
    """The status as it stood on an earlier day, from what was known then. See `status`."""
    return _status(scope, last_covered_days(on, scope.coverage), on, reactivated=reactivated)


def status_back(scope: Scope, months: int) -> pd.DataFrame:
    """The status as it stood `months` before the scope's end, each branch looked at from its own last covered day."""
    then, ends = months_back(scope, months)
    return _status(scope, ends, then)


def retention(
    scope: Scope, months: int = 12, *, now: pd.DataFrame | None = None, before: pd.DataFrame | None = None
) -> Retention:
    """Of those neither dormant nor lost `months` ago, who is still neither. See `Retention`.

    Nobody is in it where less than the profile's `status.new_days` had been observed by then: whoever shows up in the
    first days of a history comes often, and would stand for all.

    `now` and `before` may hand over the frames of `status(scope)` and `status_back(scope, months)`, to save time.
    """
    before = status_back(scope, months) if before is None else before
    now = _status(scope, branch_ends(scope), scope.as_of) if now is None else now
    first_day = pd.to_datetime(scope.coverage["first_day"]).min() if len(scope.coverage) else pd.NaT
    seen_for = pd.Timedelta(days=scope.profile.status.new_days)
    if pd.isna(first_day) or pd.Timestamp(add_months(scope.as_of, -months)) <= first_day + seen_for:
        before = before.iloc[:0]
    there = before.loc[~before["status"].isin(GONE), ["customer_id", "branch", "status", "committed"]]
    gone = now.loc[now["status"].isin(GONE), "customer_id"]
    return Retention(scope.as_of, months, there.assign(kept=~there["customer_id"].isin(gone)).reset_index(drop=True))


def retention_change(now: Retention, before: Retention) -> ShareChange | None:
    """Change of the share kept from an earlier look; None where either cannot be measured."""
    return share_change(*(each.customers.set_index("customer_id")["kept"] for each in (now, before)))


def share_change(now: pd.Series, before: pd.Series) -> ShareChange | None:
    """Change of a share of customers; both series are true or false by customer_id. None where one is empty.

    Customers seen both times make the two shares depend on each other; their covariance is taken into account.
    """
    if not len(now) or not len(before):
        return None
    first, second = before.astype(float), now.astype(float)
    previous, share = float(first.mean()), float(second.mean())
    both = pd.concat([second.rename("now"), first.rename("before")], axis=1, join="inner")
    shared = float(((both["now"] - share) * (both["before"] - previous)).sum()) / (len(now) * len(before))
    variance = share * (1 - share) / len(now) + previous * (1 - previous) / len(before) - 2 * shared
    difference, error = share - previous, math.sqrt(max(variance, 0.0))
    p = math.erfc(abs(difference) / error / math.sqrt(2)) if error > 0 else float(difference == 0)
    return ShareChange(previous, difference, error, difference - 1.96 * error, difference + 1.96 * error, p)


def _flag(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        return pd.Series(False, frame.index)
    return frame[name].astype("boolean").fillna(False).astype(bool)


def branch_ends(scope: Scope) -> dict[str, date]:
    """The last day observed of the branches that stopped reporting before the scope's end."""
    return last_covered_days(scope.as_of, scope.coverage)


def months_back(scope: Scope, months: int) -> tuple[date, dict[str, date]]:
    """The day `months` before the scope's end, and before the last covered day of each branch that ends earlier."""
    ends = {branch: add_months(end, -months) for branch, end in branch_ends(scope).items()}
    return add_months(scope.as_of, -months), ends


def _status(scope: Scope, ends: dict[str, date], on: date, *, reactivated: bool = False) -> pd.DataFrame:
    frame = _known(scope, ends, on)
    rule, starts = scope.profile.status, scope.profile.coverage.history_starts_on
    if reactivated:
        back = timedelta(days=rule.new_days)
        earlier = _status(scope, {branch: end - back for branch, end in ends.items()}, on - back)
        gone = earlier.loc[earlier["status"].isin(GONE), "customer_id"]
        since = pd.to_datetime(frame["last_on"]) > pd.to_datetime(frame["observed_to"]) - back
        frame["was_gone"] = frame["customer_id"].isin(gone) & since
    frame["status"] = classify(frame, rule, history_starts_on=starts)
    return frame.drop(columns="was_gone", errors="ignore")


def known_until(table: ibis.Table, column: str, ends: dict[str, date], on: date) -> ibis.Table:
    """Rows dated up to the day at which their branch is looked at: `on`, or its own day in `ends`."""
    return table.filter(table[column].cast("date") <= end_of(table.branch, ends, on))


def end_of(branch: ibis.Value, ends: dict[str, date], on: date) -> ibis.Value:
    """The day at which a row's branch is looked at."""
    if not ends:
        return ibis.literal(on)
    return ibis.cases(*((branch == name, ibis.literal(end)) for name, end in ends.items()), else_=ibis.literal(on))


@functools.lru_cache(maxsize=4)
def payments(scope: Scope) -> ibis.Table:
    """The scope's transactions of known customers: the columns that money and status rest on, as far as supplied.

    Read once: status, retention and value pass over them many times.
    """
    table = scope.table("transactions")
    wanted = [*REQUIRED, *(name for name in OPTIONAL if name in scope.columns("transactions"))]
    known = table.filter(table.customer_id.notnull(), table.customer_id != "").select(*wanted)
    return _kept(known, "payments")


@functools.lru_cache(maxsize=4)
def _commitments(scope: Scope) -> ibis.Table:
    return _kept(scope.table("commitments"), "commitments")


@functools.lru_cache(maxsize=4)
def _all_dues(scope: Scope) -> ibis.Table:
    """commitment_id, due and collected (days) of every due of the scope."""
    dues = scope.table("dues")
    days = dues.select("commitment_id", due=dues.due_on.cast("date"), collected=dues.collected_on.cast("date"))
    return _kept(days, "dues")


def _kept(rows: ibis.Table, name: str) -> ibis.Table:
    """Rows read once and kept in the engine: the status is looked at on a dozen days of one scope."""
    return rows.get_backend().create_table(ibis.util.gen_name(name), rows, temp=True)


def row_margin(scope: Scope, rows: ibis.Table) -> ibis.Value:
    """Margin of each payment, refunds negative: the row's own, else amount less cost, else the profile's rate."""
    known = [rows[name] for name in ("margin",) if name in rows.columns]
    if "cost" in rows.columns:
        known.append(rows.amount.abs() - rows.cost.abs())
    return signed_amount(rows, ibis.coalesce(*known, rows.amount.abs() * scope.profile.margin.rate))


def within_year(table: ibis.Table, ends: dict[str, date], on: date) -> ibis.Table:
    """The rows of the twelve months up to each branch's end, or up to `on`; `_day` is the day of `occurred_at`."""
    table = table.mutate(_day=table.occurred_at.cast("date"), _end=end_of(table.branch, ends, on))
    return table.filter(table._day <= table._end, table._day > table._end - ibis.interval(months=12))


def brought(scope: Scope, rows: ibis.Table) -> dict[str, ibis.Value]:
    """What customers brought with payments `rows`, to aggregate: gross, regular (collected under commitments), one_off,
    and margin after refunds.
    """
    order, committed = rows.kind != "refund", under_commitment(rows)
    return {
        "gross": rows.amount.sum(where=order),
        "regular": rows.amount.sum(where=order & committed),
        "one_off": rows.amount.sum(where=order & ~committed),
        "margin": row_margin(scope, rows).sum(),
    }


def one_off(scope: Scope, months: int) -> pd.DataFrame:
    """The summary of purchases outside commitments as it stood `months` before the scope's end."""
    on, ends = months_back(scope, months)
    rows = payments(scope)
    rows = rows.filter(~under_commitment(rows))
    coverage = pd.DataFrame({"branch": list(ends), "last_covered_day": list(ends.values())})
    summary = summarize(known_until(rows, "occurred_at", ends, on), as_of=on, coverage=coverage)
    frame = summary.to_pandas()
    return frame[frame["n_orders"] > 0].sort_values("customer_id", ignore_index=True)


def _known(scope: Scope, ends: dict[str, date], on: date) -> pd.DataFrame:
    """What is known of each customer on a day: the summary, and the standing of their commitments."""
    coverage = pd.DataFrame({"branch": list(ends), "last_covered_day": list(ends.values())})
    transactions = known_until(payments(scope), "occurred_at", ends, on)
    frame = summarize(transactions, as_of=on, coverage=coverage).to_pandas()
    if scope.has("commitments"):
        standing = _standing(scope, ends, on)
        frame = frame.merge(standing, on="customer_id", how="outer", suffixes=("", "_of_commitment"))
        frame["branch"] = frame["branch"].fillna(frame.pop("branch_of_commitment"))
        frame["committed"] = _flag(frame, "committed")
        frame["observed_to"] = pd.to_datetime(frame["observed_to"]).fillna(
            pd.to_datetime(frame["branch"].map(lambda branch: ends.get(branch, on)))
        )
        frame[["n_orders", "n_repeat_orders"]] = frame[["n_orders", "n_repeat_orders"]].fillna(0).astype("int64")
        frame[["gross", "refunds", "net"]] = frame[["gross", "refunds", "net"]].fillna(0.0)
        frame = frame[(frame["n_orders"] > 0) | frame["started_on"].notna()]
    else:
        frame = frame[frame["n_orders"] > 0].assign(committed=False)
    return frame.sort_values("customer_id", ignore_index=True)


def _standing(scope: Scope, ends: dict[str, date], on: date) -> pd.DataFrame:
    """One row per customer who ever held a commitment: whether one runs, what is unpaid, when the last one ended."""
    commitments = known_until(_commitments(scope), "started_on", ends, on)
    end = end_of(commitments.branch, ends, on)
    finish = commitments.ended_on if "ended_on" in commitments.columns else ibis.null("date")
    if "expires_on" in commitments.columns:
        finish = ibis.coalesce(finish, commitments.expires_on)
    commitments = commitments.select(
        "commitment_id",
        "customer_id",
        "branch",
        "amount",
        "cycle_months",
        started_on=commitments.started_on.cast("date"),
        end=end,
        finish=(finish.cast("date") <= end).ifelse(finish.cast("date"), ibis.null("date")),
    )
    each = commitments.to_pandas()
    if scope.has("dues"):
        each = each.merge(_dues(scope, commitments).to_pandas(), on="commitment_id", how="left")
    elif "commitment_id" in scope.columns("transactions"):
        each = each.merge(_last_payments(scope, commitments).to_pandas(), on="commitment_id", how="left")
        each["unpaid_since"] = _next_due(each)
    else:
        each["unpaid_since"] = pd.NaT
    each = each.reindex(columns=[*each.columns, *(name for name in ("n_dues", "n_paid_dues") if name not in each)])
    for name in ("started_on", "end", "finish", "unpaid_since"):
        each[name] = pd.to_datetime(each[name])
    each["running"] = each["finish"].isna()
    each["amount_a_year"] = (each["amount"] * 12 / each["cycle_months"]).where(each["running"], 0.0)
    # Paying one of several commitments is paying: only when none is paid up does the latest lapse count.
    each["paid_up"] = each["running"] & each["unpaid_since"].isna()
    by_customer = each.groupby("customer_id", sort=True)
    running = each[each["running"]].groupby("customer_id")
    result = by_customer.agg(
        branch=("branch", "last"),
        committed=("running", "any"),
        amount_a_year=("amount_a_year", "sum"),
        started_on=("started_on", "min"),
        n_dues=("n_dues", "sum"),
        n_paid_dues=("n_paid_dues", "sum"),
    )
    result["ended_on"] = by_customer["finish"].max().where(~result["committed"])
    result["cycle_months"] = running["cycle_months"].min().reindex(result.index)
    unpaid = running["unpaid_since"].max().reindex(result.index)
    result["unpaid_since"] = unpaid.where(~by_customer["paid_up"].any())
    return result.reset_index()


def _dues(scope: Scope, commitments: ibis.Table) -> ibis.Table:
    """Per commitment the first unpaid due after the last paid one, and the dues of the last twelve months."""
    dues = _all_dues(scope).join(commitments.select("commitment_id", "end"), "commitment_id")
    dues = dues.filter(dues.due <= dues.end)
    dues = dues.mutate(paid=(dues.collected <= dues.end).fill_null(False))
    last = dues.group_by(key="commitment_id").aggregate(last_paid=dues.due.max(where=dues.paid))
    dues = dues.left_join(last, dues.commitment_id == last.key)
    unpaid = dues.last_paid.isnull() | (dues.due > dues.last_paid)
    recent = dues.due > dues.end - ibis.interval(months=12)
    return dues.group_by("commitment_id").aggregate(
        unpaid_since=dues.due.min(where=unpaid),
        n_dues=dues.count(where=recent),
        n_paid_dues=dues.count(where=recent & dues.paid),
    )


def _last_payments(scope: Scope, commitments: ibis.Table) -> ibis.Table:
    """Per commitment the day of the last payment, from the transactions that name it."""
    paid = payments(scope)
    paid = paid.filter(paid.commitment_id.notnull(), paid.kind != "refund")
    paid = paid.join(commitments.select("commitment_id", "end"), "commitment_id")
    paid = paid.mutate(day=paid.occurred_at.cast("date"))
    return paid.filter(paid.day <= paid.end).group_by("commitment_id").aggregate(last_paid=lambda t: t.day.max())


def _next_due(commitments: pd.DataFrame) -> pd.Series:
    """Without a table of dues, the next one falls due a cycle after the last payment (or the start)."""
    last = pd.to_datetime(commitments["last_paid"]).fillna(pd.to_datetime(commitments["started_on"]))
    next_due = last + pd.to_timedelta(np.ceil(months_to_days(1) * commitments["cycle_months"]), unit="D")
    return next_due.where(next_due <= pd.to_datetime(commitments["end"]))
