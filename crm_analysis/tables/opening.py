"""Canonical tables opened as ibis tables, with how far the data of each branch reach."""

from __future__ import annotations

import contextlib
import functools
import os
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pandas as pd

from crm_analysis import files
from crm_analysis.errors import DataError, ScopeError, listed, nearest, no_such_branch
from crm_analysis.profile import Profile
from crm_analysis.tables import cells, coverage
from crm_analysis.tables.ingestion import DAYS, PARENTS, RECORD, WHOLE, folder, memory_limit
from crm_analysis.tables.scopes import SHARED, Scope
from crm_analysis.tables.staging import ALL
from crm_analysis.units import Period

LATEST = "latest"
_OF_NO_BRANCH = (*SHARED, "targets")


def open(profile: Profile) -> Tables:  # noqa: A001
    """The canonical tables of a profile. Raises DataError when they were not ingested yet."""
    return Tables(profile)


class Tables:
    """All canonical tables of a profile, lazily, in one DuckDB connection (`con`, an ibis backend)."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._folder = folder(profile)
        self._records: dict[str, dict[str, Any]] = {}
        for table in profile.tables:
            record = files.read_json(self._folder / table / RECORD)
            if record is None:
                raise DataError(
                    f"{table} of {profile.id} was not read yet. `crm-analysis check --profile {profile.path}` reads it."
                )
            self._records[table] = record
        self.con = ibis.duckdb.connect(
            memory_limit=memory_limit(), temp_directory=str(self._folder / f".work-{os.getpid()}-spill")
        )
        with contextlib.suppress(duckdb.InvalidInputException):  # in a notebook without ipywidgets it is off and locked
            self.con.raw_sql("SET enable_progress_bar = false")
        self._views: dict[tuple[str, str], ibis.Table] = {}

    def has(self, table: str) -> bool:
        """Whether the profile supplies a table."""
        return table in self._records

    def columns(self, table: str) -> frozenset[str]:
        """The canonical columns that the sources really supply; the others exist and are empty."""
        return frozenset(self._record(table)["columns"])

    def known_date(self, table: str) -> str | None:
        """The column from whose day on a row is known; None for tables that are always known."""
        return self._record(table)["known_date"]

    def raw(self, table: str) -> ibis.Table:
        """Every row of a table, set-aside rows included. Columns the sources lack are there and empty."""
        return self._view(table, ALL)

    def accepted(self, table: str) -> ibis.Table:
        """Rows of a table without those that the contract check set aside."""
        return self.without_set_aside(table, self.raw(table))

    def without_set_aside(self, table: str, rows: ibis.Table) -> ibis.Table:
        """`rows` of a table less those that the contract check set aside."""
        if table not in self._tables_with_failures:
            return rows
        return rows.anti_join(self.set_aside(table), "_row")

    def set_aside(self, table: str) -> ibis.Table:
        """`_row` and `rule` of each row of a table that was set aside, once per row, under the first of its rules."""
        found = self._failures
        own = found.filter((found["table"] == table) & found["set_aside"])
        return own.group_by("_row").agg(rule=own["rule"].min())

    @functools.cached_property
    def _failures(self) -> ibis.Table:
        return self.con.read_parquet(_escaped(self.failures_path), table_name="failing_rows")

    @property
    def failures_path(self) -> Path:
        """Where the contract check lists failing rows: table, _row, rule, severity, set_aside."""
        return self.profile.build_dir / "data_quality" / "failures.parquet"

    @functools.cached_property
    def _tables_with_failures(self) -> frozenset[str]:
        if not self.failures_path.exists():
            return frozenset()
        found = self._failures
        return frozenset(found.filter(found["set_aside"]).select("table").distinct().execute()["table"])

    @functools.cached_property
    def days(self) -> pd.DataFrame:
        """branch, day, rows of the transactions."""
        table = self.con.read_parquet(_escaped(self._folder / "transactions" / DAYS))
        frame = table.order_by(["branch", "day"]).execute()
        return frame.assign(day=pd.to_datetime(frame["day"]), branch=frame["branch"].astype(object))

    @functools.cached_property
    def data_ends_on(self) -> date:
        """The last day that the data set covers; see `coverage.data_end`."""
        return coverage.data_end(self.days, self.profile)

    @functools.cached_property
    def data_start_on(self) -> date:
        """The day on which history starts: the profile's, else the first day with a transaction."""
        return self.profile.coverage.history_starts_on or min(self.coverage["first_day"])

    @functools.cached_property
    def coverage(self) -> pd.DataFrame:
        """branch, first_day, last_covered_day (dates), silent, source; see `coverage.coverage`."""
        found = coverage.coverage(
            self.days, self.profile, self.data_ends_on, self._covered_to(), self._branch_days("closed_on")
        )
        there = list(found["branch"])
        for branch in self.profile.coverage.last_covered_day:
            if branch not in there:
                raise ScopeError(
                    f'coverage.last_covered_day: there is no branch "{branch}" in the transactions of '
                    f"{self.profile.id}.{nearest(branch, there)} Branches: {listed(there, 40)}."
                )
        return found

    def _covered_to(self) -> dict[str, date]:
        if not self.has("control_totals") or "covered_to" not in self.columns("control_totals"):
            return {}
        totals = self.raw("control_totals")
        given = totals.filter((totals["table"] == "transactions") & totals["covered_to"].notnull())
        last = given.group_by("branch").agg(day=given["covered_to"].max()).execute()
        return {row.branch: pd.Timestamp(row.day).date() for row in last.itertuples()}

    def _branch_days(self, column: str) -> dict[str, date]:
        if not self.has("branches") or column not in self.columns("branches"):
            return {}
        rows = self.raw("branches").select("branch", day=column).execute().dropna()
        return {row.branch: pd.Timestamp(row.day).date() for row in rows.itertuples()}

    def all_branches(self) -> list[str]:
        """Every branch that has transactions, by name."""
        return list(self.coverage["branch"])

    def branches(self) -> list[str]:
        """The branches that get pages of their own: the profile's `branches.include`, else its `largest` by number of
        transactions, else every one. Raises ScopeError for an included branch that does not exist.
        """
        chosen = self.profile.branches
        there = self.all_branches()
        if chosen.include is not None:
            for branch in chosen.include:
                self._check_branch(branch)
            there = chosen.include
        if chosen.largest is not None:
            size = self.days.groupby("branch")["rows"].sum()
            there = sorted(there, key=lambda branch: (-int(size[branch]), branch))[: chosen.largest]
        return list(there)

    def last_complete_period(self, kind: str | None = None) -> Period:
        """The last period of a kind (the profile's default where None) that the data cover to its end."""
        calendar = self.profile.calendar
        return Period.last_complete(
            self.data_ends_on, kind or calendar.default_period, fiscal_year_starts=calendar.fiscal_year_starts
        )

    def periods(self, kind: str | None = None, branch: str = ALL) -> list[Period]:
        """Periods of a kind that overlap the data of a branch, incomplete ones included, oldest first."""
        calendar = self.profile.calendar
        first, last = self._reach(branch)
        period = Period.containing(
            first, kind or calendar.default_period, fiscal_year_starts=calendar.fiscal_year_starts
        )
        found = []
        while period.start <= last:
            found.append(period)
            period = period.next()
        return found

    def _reach(self, branch: str) -> tuple[date, date]:
        own = self.coverage if branch == ALL else self.coverage[self.coverage["branch"] == branch]
        return min(own["first_day"]), max(own["last_covered_day"])

    def _check_branch(self, branch: str) -> None:
        there = self.all_branches()
        if branch not in there:
            raise no_such_branch(branch, there, self.profile.id)

    def scope(self, branch: str, period: str | Period, *, incomplete: bool = False) -> Scope:
        """The tables as the branch (`all` for every row) knew them at the period's end.

        `period` is a label, a Period or `latest`, the last complete period of the profile's default kind. A period
        that the data do not yet cover to its end is refused unless `incomplete`. Raises ScopeError naming what exists.
        """
        if branch != ALL:
            self._check_branch(branch)
        if period == LATEST:
            period = self.last_complete_period()
        elif isinstance(period, str):
            period = Period.parse(period, fiscal_year_starts=self.profile.calendar.fiscal_year_starts)
        period.check_over(self.data_ends_on, self.profile.id, incomplete=incomplete)
        first, last = self._reach(branch)
        if period.end < first or period.start > last:
            there = [str(found) for found in self.periods(period.kind, branch)]
            whose = "the data" if branch == ALL else f'the branch "{branch}"'
            raise ScopeError(
                f"{period} holds no rows of {whose}, which run from {first} to {last}. There are: {listed(there, 60)}."
            )
        return Scope(self, branch, period)

    def _record(self, table: str) -> dict[str, Any]:
        if table not in self._records:
            raise DataError(
                f"The profile {self.profile.id} has no table {table}.{nearest(table, self._records)} "
                f"Tables: {listed(self._records, 20)}."
            )
        return self._records[table]

    def _view(self, table: str, branch: str) -> ibis.Table:
        """A table over the files of one branch, or over all."""
        if (table, branch) not in self._views:
            wanted, there = self._parts(table, branch)
            view = self.con.read_parquet(wanted or there[:1], table_name=_view_name(table, branch))
            self._views[table, branch] = view if wanted else view.filter(ibis.literal(False))
        return self._views[table, branch]

    def _parts(self, table: str, branch: str) -> tuple[list[str], list[str]]:
        """Paths of the files that hold rows of a branch, and of all files of the table."""
        parts = self._record(table)["parts"]
        own = (
            part["file"]
            for part in parts
            if branch in (ALL, part["branch"]) or (table in _OF_NO_BRANCH and part["file"] == WHOLE)
        )
        paths = {part["file"]: _escaped(self._folder / table / part["file"]) for part in parts}
        return [paths[file] for file in own], list(paths.values())

    def views_in(self, query: str) -> list[tuple[str, str]]:
        """The tables that a query reads, and for each the statement that makes it in a DuckDB of one's own."""
        paths = {"failing_rows": ("", [_escaped(self.failures_path)])} if self.failures_path.exists() else {}
        for table in self._records:
            for branch in [ALL, *self.all_branches()]:
                wanted, there = self._parts(table, branch)
                paths[_view_name(table, branch)] = table, wanted or there[:1]
        found = []
        for name, (table, files_of_it) in paths.items():
            view = cells.name(name)
            if view in query:
                paths_of_it = ", ".join(cells.text(os.path.abspath(path)) for path in files_of_it)
                found.append((table, f"CREATE OR REPLACE TEMP VIEW {view} AS FROM read_parquet([{paths_of_it}])"))
        return found

    def of_branch(self, table: str, branch: str) -> ibis.Table:
        """Raw rows of one branch.

        Dues belong to the branch of their commitment, campaign members to the branches of their customer. Campaigns,
        costs and targets without a branch belong to every branch.
        """
        if branch == ALL or "branch" in self._record(table)["types"]:
            return self._view(table, branch)
        rows = self.raw(table)
        if table not in PARENTS:
            return rows
        parent, column = PARENTS[table]
        if not self.has(parent):
            parent = "transactions"
        return rows.semi_join(self._view(parent, branch), column)


def _view_name(table: str, branch: str) -> str:
    return table if branch == ALL else f"{table}_{files.safe_name(branch)}"


def _escaped(path: Path) -> str:
    """A path for DuckDB in which no sign is a wildcard."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))
