"""Canonical tables restricted to a branch, a period and what was known at its end."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.profile import Profile
from crm_analysis.tables import footing
from crm_analysis.tables.staging import ALL
from crm_analysis.units import Period

if TYPE_CHECKING:
    from crm_analysis.tables.opening import Tables

SHARED = ("campaigns", "costs")
_PLANNED_AHEAD = ("commitments", "dues", "campaigns", "campaign_members", "costs")


@dataclass(frozen=True)
class Scope:
    """Tables restricted to a branch (`all` for every row) and to what was known at a period's end."""

    tables: Tables
    branch: str
    period: Period

    @property
    def profile(self) -> Profile:
        """The organisation's settings."""
        return self.tables.profile

    @functools.cached_property
    def as_of(self) -> date:
        """The last day known: the period's end, or the last day that the branch's data cover where that is earlier."""
        ends = self.tables.data_ends_on if self.branch == ALL else self.tables._reach(self.branch)[1]
        return min(self.period.end, ends)

    @property
    def complete(self) -> bool:
        """Whether the data set covers the period to its end; a single branch may still have stopped before."""
        return self.period.end <= self.tables.data_ends_on

    @functools.cached_property
    def coverage(self) -> pd.DataFrame:
        """branch, first_day, last_covered_day, silent, source of the scope's branches, as seen at the period's end.

        `observed_to` is the earlier of the last covered day and `as_of`. `silent` is True where a branch stopped
        reporting before the period's end. Branches that began later are left out.
        """
        own = self.tables.coverage
        if self.branch != ALL:
            own = own[own["branch"] == self.branch]
        own = own[own["first_day"] <= self.as_of].reset_index(drop=True)
        return own.assign(
            observed_to=[min(day, self.as_of) for day in own["last_covered_day"]],
            silent=own["silent"] & (own["last_covered_day"] < min(self.period.end, self.tables.data_ends_on)),
        )

    def has(self, table: str) -> bool:
        """Whether the profile supplies a table."""
        return self.tables.has(table)

    def columns(self, table: str) -> frozenset[str]:
        """The canonical columns that the sources really supply; the others exist and are empty."""
        return self.tables.columns(table)

    def table(self, table: str) -> ibis.Table:
        """Accepted rows of this branch known by `as_of`.

        Values that became known later (a resolution, a collection, an end) are empty. Of a customer with several
        versions the one valid at `as_of` is kept, the first one where none was valid yet. Campaigns and costs carry
        the column `shared`: True where they name no branch and belong to all.
        """
        rows = self.tables.of_branch(table, self.branch)
        column = self.tables.known_date(table)
        if column is not None:
            day = rows[column].cast("date")
            rows = rows.filter(day.isnull() | (day <= self.as_of))
        rows = self.tables.without_set_aside(table, rows)
        if table == "customers" and "valid_from" in self.columns(table):
            rows = self._valid(rows)
        return self._shared(table, self._masked(table, rows))

    def raw(self, table: str) -> ibis.Table:
        """The rows in the files that belong to this scope, set-aside rows included.

        Rows dated after the end of the data are among them whatever the period, because their date cannot be true;
        not so in tables of what may be planned ahead (commitments, dues, campaigns and their members, costs).
        """
        rows = self.tables.of_branch(table, self.branch)
        column = self.tables.known_date(table)
        if column is not None:
            day = rows[column].cast("date")
            known = day.isnull() | (day <= self.as_of)
            rows = rows.filter(known if table in _PLANNED_AHEAD else known | (day > self.tables.data_ends_on))
        return self._shared(table, self._masked(table, rows))

    def _masked(self, table: str, rows: ibis.Table) -> ibis.Table:
        masks = {}
        for column, revealed_by in self.tables._record(table)["revealed_by"].items():
            if column in self.columns(table) and revealed_by in self.columns(table):
                later = rows[revealed_by].cast("date") > self.as_of
                masks[column] = later.fill_null(False).ifelse(ibis.null(rows[column].type()), rows[column])
        return rows.mutate(**masks) if masks else rows

    def _valid(self, customers: ibis.Table) -> ibis.Table:
        began = (customers["valid_from"].isnull() | (customers["valid_from"] <= self.as_of)).cast("int64")
        order = [
            began.desc(),
            (began == 1).ifelse(customers["valid_from"], ibis.null("date")).desc(nulls_first=False),
            customers["valid_from"].asc(),
            customers["_row"].asc(),
        ]
        ranked = customers.mutate(_version=ibis.row_number().over(group_by=["customer_id", "branch"], order_by=order))
        return ranked.filter(ranked["_version"] == 0).drop("_version")

    @staticmethod
    def _shared(table: str, rows: ibis.Table) -> ibis.Table:
        return rows.mutate(shared=rows["branch"].isnull()) if table in SHARED else rows

    def previous(self) -> Scope | None:
        """The scope of the period before; None when the data do not reach back to that period's start, or when this
        period is incomplete and nothing compares with it.
        """
        return self._earlier(self.period.previous())

    def year_before(self) -> Scope | None:
        """The scope of the same period a year before; None when the data do not reach that far back."""
        return self._earlier(self.period.year_before())

    def _earlier(self, period: Period) -> Scope | None:
        first, last = self.tables._reach(self.branch)
        grace = timedelta(days=self.profile.coverage.silent_after_days)
        too_early = period.start + grace < self.tables.data_start_on or period.end < first
        if not self.complete or too_early or period.start > last:
            return None
        return Scope(self.tables, self.branch, period)

    def footing(self) -> pd.DataFrame:
        """From rows in the files to rows used; see `footing.steps`."""
        return pd.concat([footing.steps(self, table) for table in self._counted()], ignore_index=True)

    def _counted(self) -> Iterator[str]:
        return (table for table in self.profile.tables if self.tables.known_date(table) is not None)

    def control_totals(self) -> pd.DataFrame:
        """The finance office's totals of whole months up to `as_of`: table, branch, month, rows, amount, source,
        covered_to. Empty where there are none.
        """
        if not self.has("control_totals"):
            return pd.DataFrame(columns=["table", "branch", "month", "rows", "amount", "source", "covered_to"])
        totals = self.tables.without_set_aside("control_totals", self.tables.of_branch("control_totals", self.branch))
        frame = totals.order_by(["table", "branch", "month"]).execute()
        month = pd.to_datetime(frame["month"])
        known = (month + pd.offsets.MonthEnd(0)) <= pd.Timestamp(self.as_of)
        return frame[known].drop(columns=["_row", "_source", "_line"]).reset_index(drop=True)

    def target(self, measure: str) -> float | None:
        """The organisation's own target for a measure in this branch and period, the general one where the branch has
        none; None where there is none.
        """
        if not self.has("targets"):
            return None
        rows = self.tables.without_set_aside("targets", self.tables.of_branch("targets", self.branch))
        wanted = rows.filter(
            (rows["measure"] == measure)
            & (rows["period"] == self.period.label)
            & (rows["kind"].isnull() | (rows["kind"] == "target"))
        )
        frame = wanted.select("branch", "value").execute()
        own = frame[frame["branch"] == self.branch]
        general = frame[frame["branch"].isna()]
        chosen = own if len(own) else general
        return float(chosen["value"].iloc[0]) if len(chosen) else None
