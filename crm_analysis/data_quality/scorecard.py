"""The scorecard: how much of what was checked passes, by dimension.

Each rule of the contracts is looked at within the scope: its rows are the raw rows of its table that the branch had
delivered by the state's day, its failures those that the check marked. Four checks that no single row can show are
added: that deliveries reach the period's end, that contact data are fresh, that nobody has two numbers, and that the
finance office's totals agree.

A dimension's score is the mean over its rules of the share that passes, a critical rule counting four times, a warning
twice and an information once; the score of the data is the plain mean of the dimensions that have rules. Averaging
over rules keeps a small table with many faults visible beside a large clean one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

DIMENSIONS = ("completeness", "validity", "uniqueness", "consistency", "timeliness")
WEIGHTS = {"critical": 4.0, "warning": 2.0, "info": 1.0}
RULE_COLUMNS = [
    "id",
    "table",
    "column",
    "dimension",
    "severity",
    "level",
    "what",
    "action",
    "chapters",
    "at_most_share",
    "share_judged",
]
COUNT_COLUMNS = ["rule", "rows_checked", "rows_failed"]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Scores between 0 and 1.

    dimensions: dimension, score, rules, cells_checked, cells_failed, for the dimensions that have rules.
    rules: one line per rule with rows_checked, rows_failed, share_failed and weight.
    score: mean over dimensions; None when nothing could be checked.
    """

    dimensions: pd.DataFrame
    rules: pd.DataFrame
    score: float | None
    cells_checked: int
    cells_failed: int


def score(rules: pd.DataFrame, counts: pd.DataFrame) -> Scorecard:
    """Weigh counts of checked and failed rows into dimension scores.

    rules: RULE_COLUMNS. counts: rule, rows_checked, rows_failed; a rule that is absent or that checked no row is not
    scored, rather than counted as passing. A rule that tolerates a share of failures is broken only beyond it, but its
    failures count in full here.
    """
    table = rules[RULE_COLUMNS].merge(counts.rename(columns={"rule": "id"}), on="id", how="inner")
    table = table[table["rows_checked"] > 0].reset_index(drop=True)
    table["share_failed"] = table["rows_failed"] / table["rows_checked"]
    table["weight"] = table["severity"].map(WEIGHTS).fillna(WEIGHTS["info"])
    rows = []
    for dimension in DIMENSIONS:
        part = table[table["dimension"] == dimension]
        if part.empty:
            continue
        rows.append(
            {
                "dimension": dimension,
                "score": float(((1 - part["share_failed"]) * part["weight"]).sum() / part["weight"].sum()),
                "rules": len(part),
                "cells_checked": int(part["rows_checked"].sum()),
                "cells_failed": int(part["rows_failed"].sum()),
            }
        )
    dimensions = pd.DataFrame(rows, columns=["dimension", "score", "rules", "cells_checked", "cells_failed"])
    return Scorecard(
        dimensions=dimensions,
        rules=table,
        score=float(dimensions["score"].mean()) if len(dimensions) else None,
        cells_checked=int(dimensions["cells_checked"].sum()),
        cells_failed=int(dimensions["cells_failed"].sum()),
    )


def rules_frame(report: dict[str, Any]) -> pd.DataFrame:
    """The rules of the check's report as a frame with RULE_COLUMNS, details, rows_checked and rows_failed.

    share_judged: rows that the rule could judge of all rows of its table, in the whole data set.
    """
    rows = report.get("rows", {})
    lines = []
    for rule in report["rules"]:
        of_table = rows.get(rule["table"]) or rule["rows_checked"]
        lines.append(
            {
                **{name: rule.get(name, "") for name in RULE_COLUMNS},
                "chapters": tuple(rule.get("chapters") or ()),
                "at_most_share": float(rule.get("at_most_share") or 0.0),
                "share_judged": min(1.0, rule["rows_checked"] / of_table) if of_table else 0.0,
                "details": tuple(rule.get("details") or ()),
                "rows_checked": rule["rows_checked"],
                "rows_failed": rule["rows_failed"],
            }
        )
    return pd.DataFrame(lines, columns=[*RULE_COLUMNS, "details", "rows_checked", "rows_failed"])


def rule_counts(scope: Scope, rules: pd.DataFrame, failures: ibis.Table | None) -> pd.DataFrame:
    """COUNT_COLUMNS for the row rules of every table that the scope has; `failures`: table, _row, rule, ...

    rows_checked are the rows that a rule can judge. A rule that judged only a part of its table in the whole data set
    (`share_judged`, because the columns it reads were empty elsewhere) is taken to judge the same part of the scope.
    All tables are counted in one query and joined with their failures in another.
    """
    of_rows = rules[(rules["level"] == "row") & rules["table"].map(scope.has)]
    if of_rows.empty:
        return pd.DataFrame(columns=COUNT_COLUMNS)
    names = sorted(set(of_rows["table"]))
    parts = [scope.raw(name).select("_row").mutate(table=ibis.literal(name)) for name in names]
    rows = parts[0] if len(parts) == 1 else ibis.union(*parts)
    sizes = dict(
        rows.group_by("table").agg(n=rows.count()).execute()[["table", "n"]].itertuples(index=False, name=None)
    )
    failed: dict[str, int] = {}
    if failures is not None:
        joined = rows.inner_join(failures.select("table", "_row", "rule"), ["table", "_row"])
        counted = joined.group_by("rule").agg(n=joined.count()).execute()
        failed = dict(counted[["rule", "n"]].itertuples(index=False, name=None))
    found = []
    for rule in of_rows.itertuples(index=False):
        n_failed = int(failed.get(rule.id, 0))
        found.append((rule.id, max(round(sizes.get(rule.table, 0) * rule.share_judged), n_failed), n_failed))
    return pd.DataFrame(found, columns=COUNT_COLUMNS)


def own_checks(
    *,
    days_covered: int,
    days_due: int,
    n_dated: int,
    n_stale: int,
    n_customers: int,
    n_surplus: int,
    totals_compared: int,
    totals_off: int,
    attitude_cells: int,
    attitude_empty: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The checks that no single row can show, as (rules, counts) to be scored beside the contracts' rules."""
    rows = [
        ("chapter.delivered", "transactions", "", "timeliness", "critical", days_due, days_due - days_covered),
        ("chapter.contact_fresh", "customers", "contact_verified_on", "timeliness", "warning", n_dated, n_stale),
        ("chapter.one_number", "customers", "customer_id", "uniqueness", "warning", n_customers, n_surplus),
        ("chapter.totals", "control_totals", "amount", "consistency", "critical", totals_compared, totals_off),
        ("chapter.attitude", "customers", "motive", "completeness", "info", attitude_cells, attitude_empty),
    ]
    frame = pd.DataFrame(
        rows, columns=["id", "table", "column", "dimension", "severity", "rows_checked", "rows_failed"]
    )
    rules = frame.drop(columns=["rows_checked", "rows_failed"]).assign(
        level="chapter", what="", action="", at_most_share=0.0, share_judged=1.0
    )
    rules["chapters"] = [()] * len(rules)
    counts = frame.rename(columns={"id": "rule"})[COUNT_COLUMNS]
    return rules[RULE_COLUMNS], counts
