"""Who delivered, how far, and what a silence is worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.tables.footing import monthly

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

DATED = {
    "transactions": "occurred_at",
    "customers": "joined_on",
    "commitments": "started_on",
    "dues": "due_on",
    "survey_responses": "answered_on",
    "campaigns": "starts_on",
    "campaign_members": "assigned_on",
    "costs": "incurred_on",
    "contacts": "occurred_at",
    "cases": "received_at",
    "prospects": "first_seen_on",
}
TYPICAL_MONTHS = 6


@dataclass(frozen=True, slots=True)
class Silence:
    """A branch whose deliveries stop before the period does.

    rows_missing, amount_missing: what the branch's own last six covered months make one expect for the days that are
    missing; not a measurement. longest_gap_days: the longest stretch without a row before, None without two days.
    """

    branch: str
    last_covered_day: date
    days_missing: int
    rows_missing: float
    amount_missing: float
    longest_gap_days: int | None


@dataclass(frozen=True, slots=True)
class Reporting:
    """Deliveries by branch and month.

    months: branch, month, rows, amount (raw rows, months without any row included as zero between a branch's first
    month and the period's end; `covered` False where the branch had stopped). days_due, days_covered: branch-days of
    the period.
    """

    months: pd.DataFrame
    silences: tuple[Silence, ...]
    days_due: int
    days_covered: int


def reporting(scope: Scope) -> Reporting:
    """Deliveries of the scope's branches up to the period's end."""
    raw = scope.raw("transactions")
    coverage = scope.coverage.copy()
    for column in ("first_day", "last_covered_day"):
        coverage[column] = pd.to_datetime(coverage[column])
    end, start = pd.Timestamp(scope.period.end), pd.Timestamp(scope.period.start)
    data_end = min(end, pd.Timestamp(scope.tables.data_ends_on))
    months = all_months(monthly(raw), coverage, data_end)
    reach = coverage["last_covered_day"].clip(upper=data_end)
    due = int((data_end - start).days + 1) * len(coverage)
    covered = int(((reach - start).dt.days + 1).clip(lower=0).sum()) if len(coverage) else 0
    stopped = coverage[coverage["silent"].astype(bool) & (coverage["last_covered_day"] < data_end)]
    silences = tuple(
        silence(raw, months, branch=row.branch, last_covered=row.last_covered_day, until=data_end)
        for row in stopped.itertuples()
    )
    return Reporting(
        months=months,
        silences=silences,
        days_due=max(due, 0),
        days_covered=min(covered, max(due, 0)),
    )


def all_months(counted: pd.DataFrame, coverage: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """`counted` (branch, month, rows, amount) with a zero row for every month in which a branch could have "
    "delivered."""
    wanted = []
    for row in coverage.itertuples():
        for month in pd.period_range(row.first_day, until, freq="M"):
            wanted.append((row.branch, str(month), month.start_time <= row.last_covered_day))
    grid = pd.DataFrame(wanted, columns=["branch", "month", "covered"])
    merged = grid.merge(counted, on=["branch", "month"], how="left")
    return merged.fillna({"rows": 0, "amount": 0.0}).astype({"rows": "int64"})


def silence(
    raw: ibis.Table, months: pd.DataFrame, *, branch: str, last_covered: pd.Timestamp, until: pd.Timestamp
) -> Silence:
    """What a silence hides, by the branch's own last six whole months before it."""
    own = months[months["branch"] == branch]
    whole = own[pd.PeriodIndex(own["month"], freq="M").end_time.normalize() <= last_covered].tail(TYPICAL_MONTHS)
    days = int(sum(pd.PeriodIndex(whole["month"], freq="M").days_in_month))
    missing = int((until - last_covered).days)
    theirs = raw.filter(raw["branch"] == branch)
    seen = theirs.select(day=theirs["occurred_at"].date()).distinct().execute()["day"]
    gaps = pd.to_datetime(seen).sort_values().diff().dt.days.dropna()
    return Silence(
        branch=branch,
        last_covered_day=last_covered.date(),
        days_missing=missing,
        rows_missing=float(whole["rows"].sum()) / days * missing if days else 0.0,
        amount_missing=float(whole["amount"].sum()) / days * missing if days else 0.0,
        longest_gap_days=int(gaps.max()) if len(gaps) else None,
    )


def last_days(scope: Scope) -> pd.DataFrame:
    """table, branch (None where the table names none), last_day: the last day of a raw row that the data can cover."""
    parts = []
    for table, column in DATED.items():
        if not scope.has(table) or column not in scope.columns(table):
            continue
        raw = scope.raw(table)
        day = raw[column].cast("date")
        branch = raw["branch"] if "branch" in raw.columns else ibis.null("string")
        dated = raw.select(branch=branch, day=day).filter(day <= scope.tables.data_ends_on)
        parts.append(dated.group_by("branch").agg(last_day=dated["day"].max()).mutate(table=ibis.literal(table)))
    if not parts:
        return pd.DataFrame(columns=["table", "branch", "last_day"])
    frame = (parts[0] if len(parts) == 1 else ibis.union(*parts)).execute()
    frame["last_day"] = pd.to_datetime(frame["last_day"]).dt.date
    return frame[["table", "branch", "last_day"]].sort_values(["table", "branch"], ignore_index=True)
