"""The data behind a cell, as fingerprints that reading and checking them left behind: no row is looked at here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from crm_analysis import files
from crm_analysis.errors import UserError
from crm_analysis.profile import Profile
from crm_analysis.runs.keys import digest
from crm_analysis.units import Period

# Tables whose rows without a branch belong to every branch, as `tables` reads them.
SHARED = ("campaigns", "costs", "targets")
# table, branch, month in which the rows became known, rows, hash of them in any order
Grouped = tuple[str, str, str, int, str]


class Fingerprints:
    """Rows and hashes per table, branch and month in which a row became known; coverage; rows set aside.

    A scope's fingerprint covers what was known at its period's end, of its own branch or of all, and between which days
    the data lie: they decide whether a period is over and whether there is one before. Rows of no branch
    belong to every branch in the tables that `tables` shares between them, and in those that know no branches. Rows
    that carry no date count as always known; so do rows dated after the end of the data, which every page counts among
    the rows in the files.
    """

    def __init__(self, grouped: list[Grouped], coverage: list[dict[str, Any]], extent: Mapping[str, Any]) -> None:
        self._starts_on = str(extent.get("data_start_on", ""))
        self._ends_on = data_end_on = str(extent.get("data_ends_on", ""))
        self._by_branch: dict[str, list[Grouped]] = defaultdict(list)
        self._transactions: dict[str, int] = defaultdict(int)
        for entry in sorted(grouped):
            table, branch, _, rows, _ = entry
            self._by_branch[branch].append(entry)
            if table == "transactions":
                self._transactions[branch] += rows
        with_branches = {table for table, branch, *_ in grouped if branch} - set(SHARED)
        self._of_every_branch = [entry for entry in self._by_branch[""] if entry[0] not in with_branches]
        self._false_from = f"{date.fromisoformat(data_end_on) + timedelta(days=1):%Y-%m}" if data_end_on else "9999-99"
        self._coverage = {str(entry["branch"]): entry for entry in coverage}

    @classmethod
    def read(cls, profile: Profile) -> Fingerprints:
        """Raises UserError where the data were not ingested yet."""
        folder = Path(profile.build_dir) / "tables"
        stored = folder / "fingerprints.parquet"
        if not stored.exists():
            raise UserError(f"{folder} holds no tables yet. `crm-analysis report` reads the sources first.")
        import duckdb

        failures = folder.parent / "data_quality" / "failures.fingerprints.parquet"
        query = (
            "SELECT ? || \"table\", coalesce(branch, ''), coalesce(known_month, ''), rows, hash FROM read_parquet(?)"
        )
        with duckdb.connect() as con:
            grouped = con.execute(query, ["", str(stored)]).fetchall()
            if failures.exists():
                grouped += con.execute(query, ["failing rows of ", str(failures)]).fetchall()
        extent = files.read_json(folder / "extent.json") or {}
        return cls(grouped, files.read_json(folder / "coverage.json") or [], extent)

    @property
    def branches(self) -> list[str]:
        """Branches that have transactions, sorted."""
        return sorted(branch for branch in self._transactions if branch)

    def rows(self, branch: str) -> int:
        """Transactions of a branch, or of all."""
        return sum(self._transactions.values()) if branch == "all" else self._transactions.get(branch, 0)

    def scope(self, branch: str, period: Period) -> str:
        """Fingerprint of what was known of `branch` (or `all`) at the end of `period`."""
        last = f"{period.end:%Y-%m}"
        if branch == "all":
            entries = [entry for name in sorted(self._by_branch) for entry in self._by_branch[name]]
        else:
            entries = [*self._of_every_branch, *self._by_branch.get(branch, ())]
        known = [entry for entry in entries if entry[2] <= last or entry[2] >= self._false_from]
        covered = [self._covered(name, period) for name in sorted(self._coverage) if branch in ("all", name)]
        return digest([known, covered, self._starts_on, min(self._ends_on, period.end.isoformat())])

    def _covered(self, branch: str, period: Period) -> list[Any]:
        entry = self._coverage[branch]
        reach = min(str(entry["last_covered_day"])[:10], period.end.isoformat())
        return [branch, str(entry["first_day"])[:10], reach, bool(entry["silent"]), entry.get("source", "")]
