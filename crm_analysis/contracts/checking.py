"""The check: every rule of every contract held against the data, all breaches found before anything is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd

from crm_analysis.contracts import comparing, deriving, loading, written
from crm_analysis.contracts.compiling import Suite, batched, expectation
from crm_analysis.contracts.model import Contract, Rule
from crm_analysis.contracts.recording import LAYOUT, last_report, write
from crm_analysis.contracts.results import Report, Result, implied_rules
from crm_analysis.errors import ContractError, nearest
from crm_analysis.profile import Profile

BATCH_ROWS = 1_000_000
EXAMPLES = 3


def check(
    raw_tables: Mapping[str, ibis.Table],
    supplied_columns: Mapping[str, Collection[str]],
    profile: Profile,
    *,
    data_ends_on: date,
    coverage: pd.DataFrame | None = None,
    contracts: Mapping[str, Contract] | None = None,
    fingerprint: str = "",
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Hold the tables to their contracts and write what was found below `profile.build_dir`.

    raw_tables: canonical tables with `_row` (unique in its table), `_source`, `_line`. supplied_columns: the columns
    that the sources really gave, generated ids left out. data_ends_on: last day the data cover; coverage: branch,
    first_day, last_covered_day, silent. fingerprint: of the ingested data; where it, the contracts and the profile's
    sections that matter are those of the last check and all its files stand, its report is read back and Great
    Expectations is not imported. `force` checks all the same. `progress` is called with each table's name.

    Writes, each whole or not at all: data_quality/failures.parquet (table, _row, rule, severity, set_aside; one line
    per row and rule), data_quality/report.json, exports/set_aside/<table>.csv and exports/set_aside/examples.json
    (owner only). Raises ContractError for a rule that cannot be compiled.
    """
    own = contracts if contracts is not None else loading.load()
    key = _key(own, profile, data_ends_on, coverage, fingerprint, raw_tables)
    if fingerprint and not force and written.complete(profile.build_dir):
        known = last_report(profile.build_dir, own)
        if known is not None and known.key == key:
            return known
    setting = deriving.Setting(
        tables={name: table for name, table in raw_tables.items() if name in own},
        supplied={name: frozenset(columns) for name, columns in supplied_columns.items()},
        contracts=own,
        profile=profile,
        data_ends_on=data_ends_on,
        coverage=coverage,
    )
    run = _Run(setting)
    for name in own:
        if name in setting.tables:
            if progress:
                progress(name)
            run.rows_of(name)
    report = run.finish(key)
    write(report, run.setting, run.failing)
    return report


def _key(
    contracts: Mapping[str, Contract],
    profile: Profile,
    data_ends_on: date,
    coverage: pd.DataFrame | None,
    fingerprint: str,
    tables: Mapping[str, ibis.Table],
) -> str:
    sections = {name: getattr(profile, name).model_dump(mode="json") for name in ("calendar", "coverage", "quality")}
    scale = profile.survey.satisfaction
    covered = "" if coverage is None else coverage.sort_values("branch").to_csv(index=False)
    parts = [
        LAYOUT, fingerprint, sorted(tables), str(data_ends_on), covered, sections, [scale.scale, scale.codes],
        [hashlib.sha256(contract.path.read_bytes()).hexdigest() for contract in contracts.values()],
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(__file__).parent.glob("*.py"))],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class _Run:
    """One check under way: results by rule, and the failing rows by table and rule."""

    def __init__(self, setting: deriving.Setting) -> None:
        self.setting = setting
        self.results: list[Result] = []
        self.not_applicable: list[tuple[Rule, str]] = []
        self.failing: dict[str, dict[Rule, np.ndarray]] = {}
        self.rows: dict[str, int] = {}
        self._later: list[Rule] = []

    def rows_of(self, name: str) -> None:
        """All rules of one table except those that wait until every table's rows are judged."""
        contract, table = self.setting.contracts[name], self.setting.tables[name]
        lacking = deriving.missing_columns(contract, table)
        implied = {rule.column: rule for rule in implied_rules(contract) if rule.type == "column_missing"}
        for column in lacking:
            hint = nearest(column, set(table.columns) - set(contract.columns)).strip()
            self.results.append(
                Result(rule=implied[column], rows_checked=1, rows_failed=1, examples=(hint,) if hint else ())
            )
        applying = []
        for rule in contract.rules:
            reason = deriving.why_not(rule, self.setting)
            if reason:
                self.not_applicable.append((rule, reason))
            else:
                applying.append(rule)
        own_rows = [rule for rule in applying if rule.engine == "own" and rule.level == "row"]
        counted = table.aggregate(
            _rows=table.count(), **{rule.id: deriving.judged(rule, table) for rule in own_rows}
        ).execute().iloc[0]  # fmt: skip
        self.rows[name] = int(counted["_rows"])
        self.failing[name] = {}
        if not self.rows[name]:
            self._empty(applying)
            return
        natives = [rule for rule in applying if rule.engine == "gx"]
        derived = []
        for rule in own_rows:
            found = deriving.failing_rows(rule, self.setting).to_pyarrow()["_row"].to_numpy()
            if len(found):
                self.failing[name][rule] = np.sort(found)
            derived.append(Result(rule=rule, rows_checked=int(counted[rule.id]), rows_failed=len(found)))
        self.results += self._in_order(contract, [*self._native(contract, natives), *derived])
        self._later += [rule for rule in applying if rule.level == "table"]

    def _empty(self, applying: list[Rule]) -> None:
        for rule in applying:
            if rule.type == "row_count":
                self.results.append(
                    Result(rule=rule, rows_checked=1, rows_failed=int(rule.arguments["more_than"] >= 0))
                )
            else:
                self.not_applicable.append((rule, "the table is empty"))

    def _native(self, contract: Contract, rules: list[Rule]) -> Iterator[Result]:
        """Rules of Great Expectations, over batches of the table."""
        if not rules:
            return
        values = deriving.parameters(self.setting)
        suite = Suite(contract.table, {rule.id: expectation(rule, contract, values) for rule in rules})
        checked = dict.fromkeys((rule.id for rule in rules), 0)
        places: dict[str, list[np.ndarray]] = {rule.id: [] for rule in rules}
        columns = deriving.present_columns(rules, contract)
        for frame in batched(self.setting.tables[contract.table], columns, rows=BATCH_ROWS):
            rows = frame["_row"].to_numpy()
            for count in suite.run(frame, want_rows=True):
                checked[count.rule] += count.checked
                if count.places is not None:
                    places[count.rule].append(rows[count.places])
        for rule in rules:
            found = np.concatenate(places[rule.id]) if places[rule.id] else np.empty(0, dtype="int64")
            if len(found):
                self.failing[contract.table][rule] = np.sort(found)
            yield Result(rule=rule, rows_checked=checked[rule.id], rows_failed=len(found))

    def finish(self, key: str) -> Report:
        """Rules on whole tables, which look at what the row rules leave; then everything handed over in order."""
        away = {
            name: np.unique(np.concatenate(kept))
            for name, by_rule in self.failing.items()
            if (kept := [rows for rule, rows in by_rule.items() if rule.sets_aside])
        }
        self.setting = replace(self.setting, set_aside=away)
        for rule in self._later:
            found = comparing.compared(rule, self.setting)
            if not len(found):
                self.not_applicable.append((rule, "there is nothing to compare"))
                continue
            broken = found[found["failed"].astype(bool)].drop(columns="failed")
            self.results.append(
                Result(
                    rule=rule, rows_checked=len(found), rows_failed=len(broken),
                    details=tuple(_plain(line) for line in broken.to_dict("records")),
                )
            )  # fmt: skip
        for name, rows in away.items():
            if len(rows) > self.setting.profile.quality.max_set_aside * self.rows[name]:
                rule = implied_rules(self.setting.contracts[name])[-1]
                self.results.append(Result(rule=rule, rows_checked=self.rows[name], rows_failed=len(rows)))
        self._confirm_derived()
        order = {
            rule.id: number
            for number, rule in enumerate(
                rule
                for contract in self.setting.contracts.values()
                for rule in (*implied_rules(contract), *contract.rules)
            )
        }
        examples = self._examples()
        results = [
            replace(item, examples=item.examples or examples.get(item.rule.id, ()))
            for item in sorted(self.results, key=lambda item: order[item.rule.id])
        ]
        return Report(
            key=key,
            results=tuple(results),
            not_applicable=tuple(sorted(self.not_applicable, key=lambda item: order[item[0].id])),
            rows=dict(self.rows),
            set_aside={name: len(away.get(name, ())) for name in self.rows},
        )

    def _confirm_derived(self) -> None:
        """Hand the counts of derived rules to Great Expectations as one frame, a line per rule.

        Raises ContractError where it judges a rule otherwise than its Result does.
        """
        from great_expectations.expectations import ExpectColumnPairValuesAToBeGreaterThanB

        derived = [item for item in self.results if item.rule.engine == "own"]
        if not derived:
            return
        frame = pd.DataFrame({
            "accepted": [int(item.rule.at_most_share * item.rows_checked) for item in derived],
            "failed": [item.rows_failed for item in derived],
        })  # fmt: skip
        within = ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="accepted", column_B="failed", or_equal=True, meta={"rule": "derived"}
        )
        (found,) = Suite("derived", {"derived": within}).run(frame, want_rows=True)
        broken = set() if found.places is None else {derived[place].rule.id for place in found.places}
        differing = broken ^ {item.rule.id for item in derived if not item.passed}
        if differing:
            raise ContractError(f"Rules judged in two ways: {', '.join(sorted(differing))}. Report this as a fault.")

    def _in_order(self, contract: Contract, results: list[Result]) -> list[Result]:
        place = {rule.id: number for number, rule in enumerate(contract.rules)}
        return sorted(results, key=lambda item: place[item.rule.id])

    def _examples(self) -> dict[str, tuple[str, ...]]:
        """The first failing rows of each broken rule, in words: file and line, key, the value concerned."""
        found = {}
        for name, by_rule in self.failing.items():
            broken = {rule: rows[:EXAMPLES] for rule, rows in by_rule.items()}
            if not broken:
                continue
            contract, table = self.setting.contracts[name], self.setting.tables[name]
            wanted = sorted({int(row) for rows in broken.values() for row in rows})
            shown = dict.fromkeys(
                column
                for column in (
                    "_row",
                    "_source",
                    "_line",
                    *contract.primary_key,
                    *(c for rule in broken for c in rule.columns),
                )
                if column in table.columns
            )
            frame = table.filter(table["_row"].isin(wanted)).select(list(shown)).execute().set_index("_row")
            for rule, rows in broken.items():
                found[rule.id] = tuple(_example(contract, rule, frame.loc[int(row)]) for row in rows)
        for item in self.results:
            if item.details:
                found[item.rule.id] = tuple(_worded(line) for line in item.details[:EXAMPLES])
        return found


def _example(contract: Contract, rule: Rule, row: pd.Series) -> str:
    where = f"{row['_source']}, line {int(row['_line'])}" if "_line" in row and pd.notna(row.get("_line")) else ""
    names = dict.fromkeys([*contract.primary_key[:2], *rule.columns])
    shown = [f"{name} {_cell(row[name])}" for name in names if name in row]
    return f"{', '.join(shown)} ({where})" if where else ", ".join(shown)


def _cell(value: Any) -> str:
    if value is None or value is pd.NaT or value != value:
        return "empty"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d" if value == value.normalize() else "%Y-%m-%d %H:%M")
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _worded(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_rounded(value)}" for name, value in line.items() if value not in (None, ""))


def _rounded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plain(line: Mapping[Any, Any]) -> dict[str, Any]:
    """Values that JSON can hold."""
    plain = {}
    for name, value in line.items():
        item = value.item() if isinstance(value, np.generic) else value
        plain[str(name)] = None if isinstance(item, float) and item != item else item
    return plain
