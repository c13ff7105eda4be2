"""Rows told apart without looking at them again: per table, branch and month their number and a hash in any order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from crm_analysis import files
from crm_analysis.tables import cells
from crm_analysis.tables.mapping import Layout

# table, branch, month in which the rows became known, rows, hash
Entry = tuple[str, str | None, str | None, int, str]
_NAMES = ("table", "branch", "known_month", "rows", "hash")


def of_rows(
    con: duckdb.DuckDBPyConnection, layout: Layout, known_date: str | None, parent: tuple[Path, str] | None
) -> list[list[Any]]:
    """Branch, month in which the rows became known, number of rows and an order-independent hash of them.

    `con` holds the rows in the view `accepted`, hashed as `_hash`. Rows without a branch of their own are counted under
    the branches of their `parent`: the folder of a table with branches, and the column that leads to it.
    """
    month = f"coalesce(strftime(CAST(a.{known_date} AS DATE), '%Y-%m'), '')" if known_date else "''"
    branch, join = "CAST(NULL AS VARCHAR)", ""
    if "branch" in layout.types:
        branch = "a.branch"
    elif parent is not None:
        folder, column = parent
        paths = ", ".join(cells.path(path) for path in sorted(folder.glob("*.parquet")))
        branch = "p.branch"
        join = f"LEFT JOIN (SELECT DISTINCT {column}, branch FROM read_parquet([{paths}])) p USING ({column})"
    rows = con.execute(
        f"SELECT coalesce({branch}, ''), {month}, count(*), CAST(sum(CAST(a._hash AS HUGEINT)) AS VARCHAR) "
        f"FROM accepted a {join} GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    return [list(row) for row in rows]


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write fingerprints as Parquet: table, branch, known_month, rows, hash."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name == "rows" else pa.string()) for name in _NAMES])
    rows = [dict(zip(_NAMES, entry, strict=True)) for entry in entries]
    with files.replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
