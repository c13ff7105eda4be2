"""What a contract says once it is read: columns, keys, rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
Level = Literal["row", "table"]

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
DIMENSIONS = ("completeness", "validity", "uniqueness", "consistency", "timeliness")

# Rules of our own that Great Expectations lacks, or would answer many times slower: the arguments each takes, and
# whether it counts rows or judges the table as a whole. One ibis expression each, in `deriving`.
OWN_TYPES: Mapping[str, tuple[frozenset[str], Level]] = {
    "duplicate_key": (frozenset({"properties"}), "row"),
    "exact_duplicate": (frozenset(), "row"),
    "foreign_key": (frozenset({"relationship"}), "row"),
    "refund_without_sale": (frozenset({"near_history_start"}), "row"),
    "joined_after_first_transaction": (frozenset(), "row"),
    "later_than": (frozenset({"column", "after", "days", "at_most_percent"}), "row"),
    "off_scale": (frozenset({"column"}), "row"),
    "row_count": (frozenset({"more_than"}), "table"),
    "row_count_change": (frozenset(), "table"),
    "month_without_rows": (frozenset(), "table"),
    "stopped_reporting": (frozenset({"sla"}), "table"),
    "out_of_date": (frozenset({"sla"}), "table"),
    "control_total": (frozenset(), "table"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One canonical column.

    `required`: the column must be supplied. `nullable`: single values may be empty all the same. `revealed_by`: the
    date column before whose day nobody could know the value. `chapters`: those whose numbers read it.
    """

    name: str
    logical_type: str
    required: bool
    nullable: bool
    unit: str
    description: str
    examples: tuple[Any, ...]
    owner: str
    chapters: tuple[str, ...]
    revealed_by: str | None = None
    classification: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """A foreign key: `column` of the contract's table points at `to_table`.`to_column`."""

    id: str
    column: str
    to_table: str
    to_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """A service level from `slaProperties`: `days` is the oldest that the newest `column` may be."""

    id: str
    column: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One quality rule. `columns` are those of the rule's own table without which it does not apply.

    `engine` is `gx` (an expectation of Great Expectations, `type` its snake-case name) or `own` (`type` a key of
    OWN_TYPES). `at_most_share` is the share of failing rows that is still accepted.
    """

    id: str
    table: str
    column: str
    columns: tuple[str, ...]
    dimension: str
    severity: Severity
    level: Level
    what: str
    action: str
    chapters: tuple[str, ...]
    engine: Literal["gx", "own"]
    type: str
    arguments: Mapping[str, Any] = field(hash=False)
    at_most_share: float = 0.0

    @property
    def sets_aside(self) -> bool:
        """Rows that fail are kept out of every chapter."""
        return self.level == "row" and self.severity == "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One canonical table. `known_date` is the column from whose day on a row is known; None: always known."""

    table: str
    title: str
    purpose: str
    usage: str
    limitations: str
    owner: str
    grain: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    relationships: tuple[Relationship, ...]
    rules: tuple[Rule, ...]
    freshness: tuple[Freshness, ...]
    known_date: str | None
    chapters: tuple[str, ...]
    path: Path

    @property
    def revealed_by(self) -> dict[str, str]:
        """Column -> the date column before whose day its value was unknown."""
        return {name: column.revealed_by for name, column in self.columns.items() if column.revealed_by}

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that must be supplied."""
        return tuple(name for name, column in self.columns.items() if column.required)
