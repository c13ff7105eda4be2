"""What all tests share: one fresh seed for those that reverse planted truths, where published data are, and a scope
over frames in memory, enough of one for a chapter.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import ibis
import pandas as pd
import pytest

from crm_analysis import language
from crm_analysis.profile.settings import Profile
from crm_analysis.units import Period

PUBLISHED = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[2] / "shared" / "data")


def pytest_configure() -> None:
    os.environ.setdefault("CRM_TEST_SEED", str(secrets.randbelow(1_000_000)))  # the same in every worker


def pytest_report_header() -> str:
    return f"CRM_TEST_SEED={os.environ['CRM_TEST_SEED']} (set it to repeat a run)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of published data that are not there, and say what would let it run."""
    for marker in item.iter_markers("realdata"):
        for name in marker.args:
            if not (PUBLISHED / name).exists():
                pytest.skip(f"{name} is others' data and not in this project: CRM_ANALYSIS_DATA names its folder")


@dataclass(frozen=True)
class Scope:
    """The part of `tables.Scope` that chapters use."""

    profile: Profile
    frames: MappingProxyType
    last_day: MappingProxyType
    period: Period
    branch: str = "all"

    def __hash__(self) -> int:
        return hash((id(self.frames), self.period))

    @cached_property
    def as_of(self) -> date:
        if self.branch == "all":
            return self.period.end
        return min(self.period.end, self.last_day.get(self.branch, self.period.end))

    @property
    def complete(self) -> bool:
        return True

    @cached_property
    def coverage(self) -> pd.DataFrame:
        log = self.frames["transactions"]
        first = log.groupby("branch")["occurred_at"].min()
        rows = []
        for branch in first.index[first <= pd.Timestamp(self.as_of)]:
            last = self.last_day.get(branch, date(2100, 1, 1))
            rows.append((branch, first[branch].date(), last, last < self.period.end, min(last, self.as_of)))
        return pd.DataFrame(rows, columns=["branch", "first_day", "last_covered_day", "silent", "observed_to"])

    def has(self, name: str) -> bool:
        return name in self.frames

    def columns(self, name: str) -> frozenset[str]:
        return frozenset(self.frames[name].columns)

    def table(self, name: str) -> ibis.Table:
        table = ibis.memtable(self.frames[name])
        dated = next(
            (column for column in ("occurred_at", "started_on", "incurred_on") if column in table.columns), None
        )
        return table.filter(table[dated].cast("date") <= self.as_of) if dated else table

    def previous(self) -> Scope | None:
        return self._at(self.period.previous())

    def year_before(self) -> Scope | None:
        return self._at(self.period.year_before())

    def _at(self, period: Period) -> Scope | None:
        first = self.frames["transactions"]["occurred_at"].min()
        return replace(self, period=period) if pd.Timestamp(period.start) + timedelta(days=14) >= first else None


@pytest.fixture
def scope_of(tmp_path: Path):
    """A function from frames to a scope; settings of the profile go in as keywords."""

    def make(frames: dict[str, pd.DataFrame], *, period: str = "2026Q3", last_day=None, branch="all", **settings):
        log = frames["transactions"]
        defaults = {"branch": "x", "kind": "sale"}
        log = log.assign(**{name: value for name, value in defaults.items() if name not in log})
        profile = Profile.model_validate(
            {
                "id": "t",
                "name": "Test",
                "currency": "EUR",
                "tables": {"transactions": {"files": ["t.csv"]}},
                "path": tmp_path / "t.yaml",
                "data_root": tmp_path,
                "build_dir": tmp_path,
                **settings,
            }
        )
        held = MappingProxyType({**frames, "transactions": log})
        return Scope(profile, held, MappingProxyType(last_day or {}), Period.parse(period), branch)

    language.activate("en")
    return make
