"""What each customer brought in each stretch of tenure: what cohorts and years of tenure are made of."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import pandas as pd

from crm_analysis import customers
from crm_analysis.tables import Scope

SHORT, LONG = 48, 96  # months of history up to which tenure runs in quarters, then in half-years


@dataclass(frozen=True, slots=True)
class Lives:
    """Margin after refunds by tenure, counted from the first order.

    `members`: customer_id, branch, first_on, observed_to, truly_new, one row per customer who ever ordered. Truly new
    are those first seen later than `status.new_days` after the start of history; of them, who had joined before it is
    left out, since the first order on file is not the first.
    `stretches`: customer_id, unit (0 is the first `unit_months` from the first order on, and so on), n_orders, margin;
    only stretches in which something took place. The last one may not be over.
    """

    unit_months: int
    members: pd.DataFrame
    stretches: pd.DataFrame
    starts_on: pd.Timestamp


def lives(scope: Scope, status: pd.DataFrame) -> Lives:
    """Tenure in quarters where history is short, else half-years or years, so that a cohort has room for it."""
    known = status.loc[status["n_orders"] > 0, ["customer_id", "branch", "first_on", "observed_to"]].copy()
    for name in ("first_on", "observed_to"):
        known[name] = pd.to_datetime(known[name])
    starts_on = scope.profile.coverage.history_starts_on
    starts_on = pd.Timestamp(starts_on) if starts_on else pd.to_datetime(scope.coverage["first_day"]).min()
    known["truly_new"] = known["first_on"] > starts_on + pd.Timedelta(days=scope.profile.status.new_days)
    if scope.has("customers") and "joined_on" in scope.columns("customers"):
        table = scope.table("customers").select("customer_id", "joined_on").to_pandas()
        early = table.loc[pd.to_datetime(table["joined_on"]) < starts_on, "customer_id"]
        known = known[~(known["truly_new"] & known["customer_id"].isin(early))]
    months = _months(known["first_on"].min(), pd.Timestamp(scope.as_of)) if len(known) else 0
    unit = 3 if months <= SHORT else 6 if months <= LONG else 12
    return Lives(unit, known.reset_index(drop=True), _stretches(scope, known, unit), starts_on)


def _months(first: pd.Timestamp, last: pd.Timestamp) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def _stretches(scope: Scope, known: pd.DataFrame, unit_months: int) -> pd.DataFrame:
    if known.empty:
        return pd.DataFrame({"customer_id": [], "unit": [], "n_orders": [], "margin": []})
    rows = customers.known_until(customers.payments(scope), "occurred_at", customers.branch_ends(scope), scope.as_of)
    rows = rows.mutate(day=rows.occurred_at.cast("date"), gain=customers.row_margin(scope, rows))
    first = ibis.memtable(known[["customer_id", "first_on"]]).mutate(first_on=lambda t: t.first_on.cast("date"))
    rows = rows.join(first, "customer_id")
    months = (rows.day.year() - rows.first_on.year()) * 12 + rows.day.month() - rows.first_on.month()
    whole = months - (rows.day.day() < rows.first_on.day()).cast("int64")
    rows = rows.mutate(unit=ibis.greatest(whole, 0) // unit_months)
    return (
        rows.group_by("customer_id", "unit")
        .aggregate(n_orders=rows.day.nunique(where=rows.kind != "refund"), margin=rows.gain.sum())
        .to_pandas()
        .astype({"unit": "int64", "margin": "float64"})
        .sort_values(["customer_id", "unit"], ignore_index=True)
    )
