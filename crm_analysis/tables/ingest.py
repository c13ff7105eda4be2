"""Every source read once into canonical Parquet, one folder per table and one file per branch.

A table is read again when a source file, its mapping, the contract's columns or this package's code changed. Its folder is
made beside the old one and swapped in whole; a branch whose rows did not change keeps its file. `_ingest.json` inside
each folder records what was read and the fingerprints of its rows; `ingest.json` and `fingerprints.parquet` beside the
folders gather those of all tables.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from crm_analysis import contracts, files
from crm_analysis.errors import DataError, ProfileError, listed, nearest
from crm_analysis.profile import Profile
from crm_analysis.tables import cells, mapping, sources

RECORD = "_ingest.json"
DAYS = "_days.pq"
WHOLE = "all.parquet"
_ORDER = ("branches", "customers", "commitments")
PARENTS = {"dues": ("commitments", "commitment_id"), "campaign_members": ("customers", "customer_id")}
_FILE_BITS, _LINE_BITS = 17, 36


def folder(profile: Profile) -> Path:
    """Where the canonical tables of a profile are."""
    return profile.build_dir / "tables"


def memory_limit() -> str:
    """Half of the machine's memory, at most 4 GiB, for one DuckDB connection."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "2048MiB"
    return f"{min(whole // 2, 4 << 30) >> 20}MiB"


def ingest(profile: Profile) -> None:
    """Bring the canonical tables of a profile up to date with its sources.

    Raises UserError for whatever is wrong with the sources or the mapping; the tables already there stay as they were.
    """
    there = folder(profile)
    with writing(there):
        there.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(there)
        layouts = _layouts(profile)
        keys: dict[str, str] = {}
        changed = False
        for table in sorted(profile.tables, key=lambda name: (name not in _ORDER, name)):
            changed |= _ingest_table(profile, table, layouts[table], keys)
        for stale in there.iterdir():
            if stale.is_dir() and stale.name not in profile.tables:
                shutil.rmtree(stale)
                changed = True
        gathered = files.read_json(there / "ingest.json") or {}
        if changed or gathered.get("keys") != keys or not (there / "fingerprints.parquet").exists():
            _gather(profile, keys)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into a clear UserError."""
    try:
        yield
    except OSError as error:
        raise files.cannot_write(Path(error.filename or path), error) from error
    except duckdb.IOException as error:
        if "No space left" in str(error) or "disk" in str(error).lower():
            raise files.cannot_write(path, OSError(errno.ENOSPC, "No space left on device")) from error
        raise


def _layouts(profile: Profile) -> dict[str, mapping.Layout]:
    known = contracts.load()
    layouts = {}
    for table, settings in profile.tables.items():
        if table not in known:
            raise ProfileError(
                f"{profile.path}: tables.{table} is not a canonical table.{nearest(table, known)} "
                f"Tables: {listed(known, 20)}."
            )
        contract = known[table]
        own = {name: column.logical_type for name, column in contract.columns.items()}
        mapped = dict.fromkeys(name for source in settings.sources for name in source.columns)
        extra = {}
        for name in mapped:
            if name not in own and table == "customers":
                extra[name] = "string"
            elif name not in own and table == "survey_responses" and name in profile.survey.items:
                extra[name] = "number"
        layouts[table] = mapping.Layout(table, own, contract.required, extra)
    return layouts


@functools.cache
def code_version() -> str:
    """A digest of this package's source and of the engine's version."""
    return files.sha256_of(sorted(Path(__file__).parent.glob("*.py"))) + duckdb.__version__


def _ingest_table(profile: Profile, table: str, layout: mapping.Layout, keys: dict[str, str]) -> bool:
    """Read a table where anything it depends on changed. True when it was read."""
    target = folder(profile) / table
    record = files.read_json(target / RECORD) or {}
    found = [
        (source, file)
        for source in profile.tables[table].sources
        for file in sources.find(source, profile.data_root, place=table)
    ]
    known = record.get("fingerprints_of_files", {})
    prints = {file.label: sources.fingerprint(file.path, known.get(file.label)) for _, file in found}
    contract = contracts.load()[table]
    depends = {
        "code": code_version(),
        "layout": [layout.types, layout.required, contract.known_date, contract.revealed_by],
        "sources": [mapping.settings(source) for source in profile.tables[table].sources],
        "files": [[label, state["sha256"]] for label, state in prints.items()],
        "currency": profile.currency,
        "list_prices": profile.margin.list_prices,
        "parent": keys.get(PARENTS[table][0]) if table in PARENTS else None,
    }
    key = hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()
    keys[table] = key
    if record.get("key") == key:
        if record["fingerprints_of_files"] != prints:
            files.write_json(target / RECORD, {**record, "fingerprints_of_files": prints})
        return False
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=folder(profile)))
    try:
        con = connect(work)
        try:
            report = _stage(con, profile, layout, found, work)
            fresh = work / "table"
            fresh.mkdir()
            described = _write(con, profile, layout, fresh, old=target, record=record)
        finally:
            con.close()
        files.write_json(
            fresh / RECORD,
            {
                "key": key,
                "table": table,
                "columns": sorted(report.pop("supplied")),
                "types": layout.types,
                "extra": sorted(layout.extra),
                "known_date": contract.known_date,
                "revealed_by": contract.revealed_by,
                **report,
                **described,
                "fingerprints_of_files": prints,
            },
        )
        _swap(fresh, target, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def connect(work: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills to `work`, with the macros for cells."""
    con = duckdb.connect()
    con.execute(f"SET memory_limit = {cells.text(memory_limit())}")
    con.execute(f"SET temp_directory = {cells.text(str(work / 'spill'))}")
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    cells.install(con)
    con.execute("CREATE TEMP MACRO nullif_in(value, known) AS CASE WHEN NOT list_contains(known, value) THEN value END")
    return con


def _stage(
    con: duckdb.DuckDBPyConnection,
    profile: Profile,
    layout: mapping.Layout,
    found: list[tuple[Any, sources.File]],
    work: Path,
) -> dict[str, Any]:
    """Read every file of a table into the temporary table `staged`; what was read, file by file."""
    columns = ", ".join(f"{cells.name(name)} {kind}" for name, kind in mapping.row_type(layout))
    con.execute(f"CREATE TEMP TABLE staged ({columns})")
    numbers = _file_numbers([file.label for _, file in found])
    report: list[dict[str, Any]] = []
    supplied: set[str] = set()
    for source, file in found:
        for sheet, relation in enumerate(
            sources.open_file(con, file, source, place=layout.table, work=work)
        ):
            select = mapping.select(
                con,
                layout,
                source,
                relation,
                file_number=(numbers[file.label] << _LINE_BITS) + (sheet << (_LINE_BITS - 8)),
                currency=profile.currency,
                list_prices=profile.margin.list_prices,
            )
            try:
                con.execute(f"INSERT INTO staged BY NAME {select}", {"source": relation.label})
            except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
                raise DataError(f"{layout.table}: {relation.label}: {str(error).splitlines()[0]}") from error
            supplied |= set(mapping.supplied(layout, source, list(relation.types)))
            report.append({"source": relation.label, "encoding": relation.encoding})
    made = mapping.MADE_KEYS.get(layout.table)
    con.execute(
        f"UPDATE staged SET _state = CASE WHEN _line > last THEN {mapping.TOTAL} ELSE {mapping.DATA} END "
        f"FROM (SELECT _source AS s, coalesce(max(_line) FILTER (_state = {mapping.DATA}), 0) AS last FROM staged GROUP BY 1) "
        f"WHERE s = _source AND _state = {mapping.PERHAPS_TOTAL}"
    )
    counts = _counted(con, layout)
    for entry in report:
        entry |= counts.get(entry["source"], {"rows": 0, "blank_rows": 0, "total_rows": 0})
    _refuse(con, profile, layout, report)
    return {"supplied": supplied | ({made} if made else set()), "files": report}


def _file_numbers(labels: list[str]) -> dict[str, int]:
    """A number for each file that depends on its name, so that a new file leaves the rows of the others alone."""
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for label in sorted(set(labels)):
        number = int.from_bytes(hashlib.sha256(label.encode("utf-8", "surrogateescape")).digest()[:4]) >> (32 - _FILE_BITS)
        while number in taken:
            number = (number + 1) % (1 << _FILE_BITS)
        taken.add(number)
        numbers[label] = number
    return numbers


def _counted(con: duckdb.DuckDBPyConnection, layout: mapping.Layout) -> dict[str, dict[str, Any]]:
    rows = con.execute(
        f"""SELECT _source, count(*) FILTER (_state = {mapping.DATA}), count(*) FILTER (_state = {mapping.BLANK}),
            count(*) FILTER (_state = {mapping.TOTAL}) FROM staged GROUP BY 1"""
    ).fetchall()
    return {row[0]: {"rows": row[1], "blank_rows": row[2], "total_rows": row[3]} for row in rows}


_WHAT = {"date": "dates", "timestamp": "dates", "number": "amounts", "integer": "whole numbers", "boolean": "yes or no"}


def _refuse(
    con: duckdb.DuckDBPyConnection, profile: Profile, layout: mapping.Layout, report: list[dict[str, Any]]
) -> None:
    """Raise for an empty table, unreadable cells (all columns at once) and a second currency."""
    data = f"_state = {mapping.DATA}"
    read = sum(entry["rows"] for entry in report)
    if not read:
        raise DataError(
            f"{layout.table}: {listed([entry['source'] for entry in report])} holds no rows. Export it again, or take the table "
            "out of the profile."
        )
    parts = []
    for name in layout.checked:
        bad = cells.name(f"_bad_{name}")
        parts += [f"count({bad})", f"arg_min([{bad}, _source, CAST(_line AS VARCHAR)], _row) FILTER ({bad} IS NOT NULL)"]
    if not parts:
        return
    values = con.execute(f"SELECT {', '.join(parts)} FROM staged WHERE {data}").fetchone() or ()
    messages = []
    for name, count, first in zip(layout.checked, values[::2], values[1::2], strict=True):
        if count:
            what = _WHAT[layout.types[name]]
            be = "is" if count == 1 else "are"
            messages.append(
                f"{layout.table}.{name}: {count:,} of {read:,} cells {be} not readable as {what} (first: "
                f'"{_short(first[0])}" in line {first[2]} of {first[1]}). Correct the file, or list codes that mean "no value" '
                f"under `missing:` of tables.{layout.table} in the profile."
            )
    if messages:
        raise DataError("\n".join(messages))
    marked = con.execute(
        f"SELECT _mark, count(*), arg_min([_source, CAST(_line AS VARCHAR)], _row) FROM staged "
        f"WHERE {data} AND _mark IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
    ).fetchall()
    if marked:
        mark, count, (source, line) = marked[0]
        raise DataError(
            f"{layout.table}: the profile's currency is {profile.currency}, but {count:,} of {read:,} rows carry {mark} "
            f"(first: line {line} of {source}). One profile has one currency: convert the amounts, or keep the other currency "
            "in a profile of its own."
        )


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:39] + "…"


def _write(
    con: duckdb.DuckDBPyConnection,
    profile: Profile,
    layout: mapping.Layout,
    fresh: Path,
    *,
    old: Path,
    record: dict[str, Any],
) -> dict[str, Any]:
    """Write the staged rows by branch into `fresh`, unchanged branches as links to their old files."""
    canonical = [cells.name(name) for name in layout.types]
    technical = ["_row", "_source", "_line"]
    con.execute(
        f"CREATE TEMP VIEW accepted AS SELECT {', '.join(canonical + technical)}, "
        f"hash({', '.join(canonical)}) AS _hash FROM staged WHERE _state = {mapping.DATA}"
    )
    branch = "branch" if "branch" in layout.types else "CAST(NULL AS VARCHAR)"
    con.execute(
        f"CREATE TEMP TABLE parts AS SELECT {branch} AS branch, count(*) AS rows, "
        f"CAST(sum(CAST(hash(_hash, {', '.join(technical)}) AS HUGEINT)) AS VARCHAR) AS state "
        "FROM accepted GROUP BY 1 ORDER BY 1"
    )
    parts = con.execute("SELECT rowid, branch, rows, state FROM parts ORDER BY rowid").fetchall()
    same_code = record.get("code") == code_version() and record.get("types") == layout.types
    before = {part["file"]: part for part in record.get("parts", [])} if same_code else {}
    written = []
    for number, name, rows, state in parts:
        file = WHOLE if name is None else f"{files.safe_name(name)}.parquet"
        previous = before.get(file)
        if previous and previous["state"] == state and previous["rows"] == rows and (old / file).exists():
            _link(old / file, fresh / file)
        else:
            rows_of = f"{branch} IS NOT DISTINCT FROM (SELECT branch FROM parts WHERE rowid = {number})"
            con.execute(
                f"COPY (SELECT * EXCLUDE (_hash) FROM accepted WHERE {rows_of} ORDER BY _row) TO {cells.text(str(fresh / file))} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
        written.append({"branch": name, "file": file, "rows": rows, "state": state})
    if layout.table == "transactions":
        con.execute(
            "COPY (SELECT branch, CAST(occurred_at AS DATE) AS day, count(*) AS rows FROM accepted GROUP BY ALL ORDER BY ALL) "
            f"TO {cells.text(str(fresh / DAYS))} (FORMAT parquet)"
        )
    return {"code": code_version(), "parts": written, "fingerprints": _fingerprints(con, profile, layout)}


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def known_day(table: str, known_date: str | None, alias: str = "") -> str | None:
    """SQL for the day from which a row is known: a transaction booked late is known when it was booked."""
    if known_date is None:
        return None
    day = f"CAST({alias}{known_date} AS DATE)"
    return f"greatest({day}, CAST({alias}recorded_at AS DATE))" if table == "transactions" else day


def _fingerprints(con: duckdb.DuckDBPyConnection, profile: Profile, layout: mapping.Layout) -> list[list[Any]]:
    """Branch, month in which the rows became known, number of rows and an order-independent hash of them."""
    day = known_day(layout.table, contracts.load()[layout.table].known_date, "a.")
    month = f"coalesce(strftime({day}, '%Y-%m'), '')" if day else "''"
    branch, join = "CAST(NULL AS VARCHAR)", ""
    if "branch" in layout.types:
        branch = "a.branch"
    elif layout.table in PARENTS and PARENTS[layout.table][0] in profile.tables:
        parent, column = PARENTS[layout.table]
        found = sorted((folder(profile) / parent).glob("*.parquet"))
        paths = ", ".join(cells.path(path) for path in found)
        branch = "p.branch"
        join = f"LEFT JOIN (SELECT DISTINCT {column}, branch FROM read_parquet([{paths}])) p USING ({column})"
    rows = con.execute(
        f"SELECT coalesce({branch}, ''), {month}, count(*), CAST(sum(CAST(a._hash AS HUGEINT)) AS VARCHAR) "
        f"FROM accepted a {join} GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    return [list(row) for row in rows]


def _swap(fresh: Path, target: Path, work: Path) -> None:
    """Put the new folder of a table in the place of the old one."""
    if target.exists():
        os.rename(target, work / "old")
    os.rename(fresh, target)


def _remove_leftovers(there: Path) -> None:
    for leftover in there.glob(".work-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _gather(profile: Profile, keys: dict[str, str]) -> None:
    """Write the report of all tables and their fingerprints."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = folder(profile)
    records = {table: files.read_json(there / table / RECORD) for table in sorted(profile.tables)}
    rows = [(table, *row) for table, record in records.items() for row in record["fingerprints"]]
    schema = pa.schema(
        [("table", pa.string()), ("branch", pa.string()), ("known_month", pa.string()), ("rows", pa.int64()), ("hash", pa.string())]
    )
    columns = list(zip(*rows, strict=True)) or [[]] * len(schema)
    with files.replacing(there / "fingerprints.parquet") as temporary:
        pq.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema), temporary)
    files.write_json(
        there / "ingest.json",
        {
            "keys": keys,
            "tables": {
                table: {
                    "rows": sum(part["rows"] for part in record["parts"]),
                    "columns": record["columns"],
                    "files": [
                        {**file, "sha256": record["fingerprints_of_files"][_file_of(file["source"], record)]["sha256"]}
                        for file in record["files"]
                    ],
                }
                for table, record in records.items()
            },
        },
    )


def _file_of(label: str, record: dict[str, Any]) -> str:
    known = record["fingerprints_of_files"]
    return label if label in known else label[: label.rindex(" [")]

