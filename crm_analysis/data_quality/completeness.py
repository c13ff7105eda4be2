"""What is filled in: every supplied column, and the attitudes without which segments by motive are guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

ATTITUDES = ("motive", "stay_reason", "interests")
EVERY = "all three"
FIELD_COLUMNS = ["table", "column", "rows", "filled", "share"]
ATTITUDE_COLUMNS = ["field", "n", "filled", "share", "n_recent", "filled_recent", "share_recent"]


def one_row_each(customers: pd.DataFrame) -> pd.DataFrame:
    """The newest version of every customer: by valid_from, then by joining day; the caller's frame is unchanged."""
    order = [column for column in ("valid_from", "joined_on", "_row") if column in customers]
    newest = customers.sort_values(["customer_id", *order], na_position="first", kind="stable")
    return newest[newest["customer_id"].notna()].drop_duplicates("customer_id", keep="last").reset_index(drop=True)


def fields(scope: Scope, tables: tuple[str, ...]) -> pd.DataFrame:
    """FIELD_COLUMNS: share of raw rows in which a supplied column holds something; blank text is empty."""
    found = []
    for table in tables:
        if not scope.has(table):
            continue
        raw = scope.raw(table)
        columns = sorted(name for name in scope.columns(table) if name in raw.columns and not name.startswith("_"))
        if not columns:
            continue
        counts = {}
        for name in columns:
            given = raw[name].notnull()
            if raw[name].type().is_string():
                given = given & (raw[name].strip() != "")
            counts[name] = given.sum()
        row = raw.aggregate(rows_=raw.count(), **counts).execute().iloc[0]
        n = int(row["rows_"])
        for name in columns:
            filled = 0 if pd.isna(row[name]) else int(row[name])
            found.append(
                {
                    "table": table,
                    "column": name,
                    "rows": n,
                    "filled": filled,
                    "share": filled / n if n else float("nan"),
                }
            )
    return pd.DataFrame(found, columns=FIELD_COLUMNS)


def attitudes(customers: pd.DataFrame, recent: frozenset[str] | set[str]) -> pd.DataFrame:
    """ATTITUDE_COLUMNS for each attitude the organisation records, and for all of them together.

    customers: one row each. recent: customers with a payment in the last twelve months, those whom segments are for.
    Empty when no attitude column exists.
    """
    known = {name: _given(customers[name]) for name in ATTITUDES if name in customers}
    if not known:
        return pd.DataFrame(columns=ATTITUDE_COLUMNS)
    if len(known) > 1:
        known[EVERY] = pd.concat(known.values(), axis=1).all(axis=1)
    is_recent = customers["customer_id"].isin(recent)
    rows = []
    for name, given in known.items():
        n, n_recent = len(customers), int(is_recent.sum())
        filled, filled_recent = int(given.sum()), int((given & is_recent).sum())
        rows.append(
            {
                "field": name,
                "n": n,
                "filled": filled,
                "share": filled / n if n else float("nan"),
                "n_recent": n_recent,
                "filled_recent": filled_recent,
                "share_recent": filled_recent / n_recent if n_recent else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=ATTITUDE_COLUMNS)


def _given(values: pd.Series) -> pd.Series:
    return values.notna() & (values.astype("string").str.strip().fillna("") != "")
