"""What a check leaves behind, written and read back: the failing rows, the report, the rows set aside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crm_analysis import files
from crm_analysis.contracts import loading
from crm_analysis.contracts.deriving import Setting
from crm_analysis.contracts.model import Contract, Rule
from crm_analysis.contracts.results import Report, Result, implied_rules

FAILURES = pa.schema(
    [
        ("table", pa.string()),
        ("_row", pa.int64()),
        ("rule", pa.string()),
        ("severity", pa.string()),
        ("set_aside", pa.bool_()),
    ]
)
Failing = Mapping[str, Mapping[Rule, np.ndarray]]  # failing rows by table and rule
LAYOUT = 1  # raise it when the files written below change their form


def last_report(build_dir: Path, contracts: Mapping[str, Contract] | None = None) -> Report | None:
    """The report of the last check, read back; None where there is none or the contracts have other rules now."""
    stored = files.read_json(Path(build_dir) / "data_quality" / "report.json")
    if not isinstance(stored, dict) or stored.get("layout") != LAYOUT:
        return None
    if not (Path(build_dir) / "data_quality" / "failures.parquet").is_file():
        return None
    own = contracts if contracts is not None else loading.load()
    rules = {rule.id: rule for contract in own.values() for rule in (*contract.rules, *implied_rules(contract))}
    examples = files.read_json(Path(build_dir) / "exports" / "set_aside" / "examples.json") or {}
    try:
        return Report(
            key=stored["key"],
            results=tuple(
                Result(
                    rule=rules[line["id"]], rows_checked=line["rows_checked"], rows_failed=line["rows_failed"],
                    details=tuple(line["details"]), examples=tuple(examples.get(line["id"], ())),
                )
                for line in stored["rules"]
            ),
            not_applicable=tuple((rules[line["id"]], line["reason"]) for line in stored["not_applicable"]),
            rows=stored["rows"],
            set_aside=stored["set_aside"],
        )  # fmt: skip
    except KeyError:
        return None


def write(report: Report, setting: Setting, failing: Failing) -> None:
    """Write failures, rows set aside, examples and the report of a check, each whole or not at all.

    The report goes last and its old self first: a run cut short in between is checked again.
    """
    folder = setting.profile.build_dir / "data_quality"
    exports = setting.profile.build_dir / "exports" / "set_aside"
    _remove(folder / "report.json")
    with files.replacing(folder / "failures.parquet") as temporary, pq.ParquetWriter(temporary, FAILURES) as writer:
        for name, by_rule in failing.items():
            for rule, rows in by_rule.items():
                writer.write_table(_failure_table(name, rule, rows))
    _export_set_aside(setting, failing, exports)
    examples = {item.rule.id: list(item.examples) for item in report.results if item.examples}
    with files.replacing(exports / "examples.json", owner_only=True) as temporary:
        temporary.write_text(json.dumps(examples, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    loading.remember_valid(setting.contracts, setting.profile.build_dir.parent)
    files.write_json(folder / "report.json", _stored(report))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise files.cannot_write(path, error) from error


def _failure_table(name: str, rule: Rule, rows: np.ndarray) -> pa.Table:
    n = len(rows)
    return pa.table(
        [
            pa.repeat(pa.scalar(name), n), pa.array(rows, pa.int64()), pa.repeat(pa.scalar(rule.id), n),
            pa.repeat(pa.scalar(rule.severity), n), pa.repeat(pa.scalar(rule.sets_aside), n),
        ],
        schema=FAILURES,
    )  # fmt: skip


def _export_set_aside(setting: Setting, failing: Failing, folder: Path) -> None:
    """One CSV per table with the rows set aside, as read, and the rules they break."""
    for name in setting.contracts:
        path = folder / f"{name}.csv"
        rows = setting.set_aside.get(name)
        if rows is None or not len(rows):
            _remove(path)
            continue
        parts = [
            pd.DataFrame({"_row": found, "rule": rule.id, "what": rule.what})
            for rule, found in failing[name].items()
            if rule.sets_aside
        ]
        reasons = pd.concat(parts).groupby("_row").agg(rules=("rule", "; ".join), reasons=("what", " ".join))
        table = setting.tables[name]
        wanted = ibis.memtable(pd.DataFrame({"_row": rows}))
        frame = table.semi_join(wanted, "_row").execute().sort_values("_row")
        supplied = setting.supplied.get(name, frozenset()) - {"_row"}
        kept = [
            c
            for c in frame.columns
            if c in supplied or c in setting.contracts[name].required or c in ("_source", "_line")
        ]
        frame = frame.set_index("_row")[kept].join(reasons)
        files.export_csv(frame.rename(columns={"_source": "file", "_line": "line"}), path)


def _stored(report: Report) -> dict[str, Any]:
    """The report as pages may read it: counts, never a row."""
    return {
        "layout": LAYOUT,
        "key": report.key,
        "rows": dict(report.rows),
        "set_aside": dict(report.set_aside),
        "rules": [
            {
                "id": item.rule.id, "table": item.rule.table, "column": item.rule.column,
                "dimension": item.rule.dimension, "severity": item.rule.severity, "level": item.rule.level,
                "what": item.rule.what, "action": item.rule.action, "rows_checked": item.rows_checked,
                "rows_failed": item.rows_failed, "passed": item.passed, "at_most_share": item.rule.at_most_share,
                "chapters": list(item.rule.chapters), "details": list(item.details),
            }
            for item in report.results
        ],
        "not_applicable": [
            {"id": rule.id, "table": rule.table, "column": rule.column, "reason": reason}
            for rule, reason in report.not_applicable
        ],
    }  # fmt: skip
