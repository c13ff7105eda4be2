"""What a check found: a result by rule, and the report of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_analysis.contracts.model import SEVERITIES, Contract, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One rule and what it found.

    rows_checked, rows_failed: rows that the rule could judge and that break it; for a rule on a whole table the
    branches, months or tables compared. `details` of such a rule name the branches and months that break it. `examples`
    hold identifiers: for the terminal and for exports, never for a page.
    """

    rule: Rule
    rows_checked: int
    rows_failed: int
    details: tuple[dict[str, Any], ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of what was checked that fails, 0 where nothing was checked."""
        return self.rows_failed / self.rows_checked if self.rows_checked else 0.0

    @property
    def passed(self) -> bool:
        """No more fails than the rule accepts."""
        return self.rows_failed == 0 or (self.rule.at_most_share > 0 and self.share <= self.rule.at_most_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found: results of the rules that apply, in the contracts' order, and why the others do not.

    rows and set_aside: rows by table, in the files and kept out of every chapter.
    """

    key: str
    results: tuple[Result, ...]
    not_applicable: tuple[tuple[Rule, str], ...]
    rows: Mapping[str, int]
    set_aside: Mapping[str, int]

    @property
    def breaches(self) -> tuple[Result, ...]:
        """Results that did not pass: those that stop a report first, then by severity, then by rows."""
        failed = [item for item in self.results if not item.passed]
        return tuple(
            sorted(
                failed,
                key=lambda item: (item not in self.stopping, SEVERITIES.index(item.rule.severity), -item.rows_failed),
            )
        )

    @property
    def stopping(self) -> tuple[Result, ...]:
        """Critical breaches of whole tables: no report can be made."""
        return tuple(
            item for item in self.results
            if not item.passed and item.rule.severity == "critical" and item.rule.level == "table"
        )  # fmt: skip

    def exit_code(self, *, strict: bool = False) -> int:
        """0 clean, 1 warnings when `strict`, 2 critical breaches."""
        found = {item.rule.severity for item in self.breaches}
        if "critical" in found:
            return 2
        return 1 if strict and "warning" in found else 0


def implied_rules(contract: Contract) -> list[Rule]:
    """Breaches that every contract implies: a missing required column, too many rows set aside."""
    shared: dict[str, Any] = {
        "table": contract.table, "columns": (), "severity": "critical", "level": "table",
        "chapters": contract.chapters, "engine": "own", "arguments": {},
    }  # fmt: skip
    rules = [
        Rule(
            **shared, id=f"{contract.table}_{column}_column_missing", column=column, dimension="completeness",
            type="column_missing", what=f"The required column {column} is missing.",
            action="Map it to a column of the source in the profile, or give it a constant or an expression there.",
        )
        for column in contract.required
    ]  # fmt: skip
    rules.append(
        Rule(
            **shared, id=f"{contract.table}_set_aside_share", column="", dimension="validity", type="set_aside_share",
            what="More rows would be set aside than the profile's quality.max_set_aside allows.",
            action="Correct the export or its mapping first: what remains would not stand for the whole.",
        )
    )  # fmt: skip
    return rules
