"""Every source read once into canonical Parquet, one folder per table and one file per branch.

A table is read again when a source file, its mapping, the contracts or the code of this package changed. All tables are
read before the first is replaced; a folder is swapped in whole, and a branch whose rows did not change keeps its file.
`_ingest.json` inside each folder records what was read and the fingerprints of its rows; `ingest.json` and
`fingerprints.parquet` beside the folders gather those of all tables.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from crm_analysis import contracts, files
from crm_analysis.errors import ProfileError, listed, nearest
from crm_analysis.profile import Profile
from crm_analysis.tables import cells, databases, decoding, delivery, fingerprints, mapping, sources, staging

RECORD = "_ingest.json"
REPORT = "ingest.json"
FINGERPRINTS = "fingerprints.parquet"
DAYS = "_days.pq"
WHOLE = "all.parquet"
_PARENTS_FIRST = ("customers", "commitments")
PARENTS = {"dues": ("commitments", "commitment_id"), "campaign_members": ("customers", "customer_id")}


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

    Raises UserError for whatever is wrong with the sources or the mapping; then the tables are as they were. Days of
    contact that were filled in on a list of contacts are taken back into its campaign first.
    """
    there = folder(profile)
    present = [place for place in (there, *there.parents) if place.is_dir()]
    try:
        with _writing(there):
            there.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(there)
            work = Path(tempfile.mkdtemp(prefix=f".work-{os.getpid()}-", dir=there))
            try:
                _ingest(profile, there, work)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except BaseException:
        for place in (there, *there.parents):
            if place in present or not place.is_dir() or any(place.iterdir()):
                break
            place.rmdir()
        raise


def _ingest(profile: Profile, there: Path, work: Path) -> None:
    delivery.take_back(profile)
    keys: dict[str, str] = {}
    records: dict[str, dict[str, Any]] = {}
    fresh: dict[str, Path] = {}
    common = {
        "code": code_version(),
        "contracts": contracts.fingerprint(),
        "currency": profile.currency,
        "list_prices": profile.margin.list_prices,
        "items": sorted(profile.survey.items),
    }
    for table in sorted(profile.tables, key=lambda name: (name not in _PARENTS_FIRST, name)):
        record = _record(there / table)
        depends = {**common, "parent": keys.get(PARENTS[table][0]) if table in PARENTS else None}
        keys[table], found, prints = _state_of(profile, table, record, depends)
        if record.get("key") != keys[table]:
            record = _read(profile, table, found, work / table, record, fresh)
            fresh[table] = work / table / "table"
        elif record["prints"] != prints:
            files.write_json(there / table / RECORD, {**record, "prints": prints})
        records[table] = {**record, "key": keys[table], "prints": prints}
    for table, made in fresh.items():
        files.write_json(made / RECORD, records[table])
        if (there / table).exists():
            os.rename(there / table, work / table / "old")
        os.rename(made, there / table)
    stale = [
        place
        for place in there.iterdir()
        if place.is_dir() and not place.name.startswith(".") and place.name not in profile.tables
    ]
    for place in stale:
        shutil.rmtree(place)
    gathered = files.read_json(there / REPORT) or {}
    if stale or gathered.get("keys") != keys or not (there / FINGERPRINTS).exists():
        _gather(there, records, keys)


def _record(table_folder: Path) -> dict[str, Any]:
    """What a table's folder says it holds; empty where it does not hold it."""
    record = files.read_json(table_folder / RECORD)
    if record is None or not all((table_folder / part["file"]).exists() for part in record["parts"]):
        return {}
    return record


def _remove_leftovers(there: Path) -> None:
    """Remove what processes that no longer run left behind."""
    for leftover in there.glob(".work-*"):
        if not _runs(int(leftover.name.split("-")[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def _runs(process: int) -> bool:
    """Whether another process of this number is alive."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into a clear UserError."""
    try:
        yield
    except OSError as error:
        raise files.cannot_write(Path(error.filename or path), error) from error
    except duckdb.IOException as error:
        if any(sign in str(error) for sign in ("No space left", "File too large", "Disk quota exceeded")):
            raise files.cannot_write(path, OSError(errno.ENOSPC, "No space left on device")) from error
        raise


def _layout(profile: Profile, table: str) -> mapping.Layout:
    known = contracts.load()
    if table not in known:
        raise ProfileError(
            f"{profile.path}: tables.{table} is not a canonical table.{nearest(table, known)} "
            f"Tables: {listed(known, 20)}."
        )
    own = {name: column.logical_type for name, column in known[table].columns.items()}
    mapped = dict.fromkeys(name for source in profile.tables[table].sources for name in source.columns)
    extra = {}
    for name in mapped:
        if name not in own and table == "customers":
            extra[name] = "string"
        elif name not in own and table == "survey_responses" and name in profile.survey.items:
            extra[name] = "number"
    return mapping.Layout(table, own, known[table].required, extra)


@functools.cache
def code_version() -> str:
    """A digest of the source that decides what a row looks like, and of the engine's version."""
    own = [
        Path(module.__file__ or "") for module in (cells, databases, decoding, fingerprints, mapping, sources, staging)
    ]
    return files.sha256_of([*own, Path(__file__)]) + duckdb.__version__ + version("openpyxl") + version("pyarrow")


def _state_of(
    profile: Profile, table: str, record: dict[str, Any], depends: dict[str, Any]
) -> tuple[str, staging.Found, dict[str, Any]]:
    """The key of everything a table depends on (`depends` and its own sources), its files, and their digests."""
    found: staging.Found = []
    for source in profile.tables[table].sources:
        find = sources.find if source.database is None else databases.find
        found += [(source, origin) for origin in find(source, profile.data_root, place=table)]
    known = record.get("prints", {})
    prints = {origin.print_name: origin.fingerprint(known.get(origin.print_name)) for _, origin in found}
    depends = {
        **depends,
        "sources": [source.model_dump(mode="json", by_alias=True) for source in profile.tables[table].sources],
        "files": [[name, state["sha256"]] for name, state in prints.items()],
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest(), found, prints


def _read(
    profile: Profile, table: str, found: staging.Found, work: Path, record: dict[str, Any], fresh: dict[str, Path]
) -> dict[str, Any]:
    """Read the files of a table into Parquet files under `work`/table; what the table's record says."""
    layout = _layout(profile, table)
    contract = contracts.load()[table]
    made = work / "table"
    made.mkdir(parents=True)
    con = connect(work)
    try:
        report = staging.stage(con, profile, layout, found, work)
        parts = _write(con, layout, made, old=folder(profile) / table, record=record)
        name, column = PARENTS.get(table, ("", ""))
        parent = (fresh.get(name, folder(profile) / name), column) if name in profile.tables else None
        grouped = fingerprints.of_rows(con, layout, contract.known_date, parent)
    finally:
        con.close()
    return {
        "table": table,
        "code": code_version(),
        "columns": sorted(report["supplied"]),
        "types": layout.types,
        "known_date": contract.known_date,
        "revealed_by": contract.revealed_by,
        "files": report["files"],
        "parts": parts,
        "fingerprints": grouped,
    }


def connect(work: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills to `work`, with the macros for cells."""
    con = duckdb.connect()
    con.execute(f"SET memory_limit = {cells.text(memory_limit())}")
    con.execute(f"SET temp_directory = {cells.text(str(work / 'spill'))}")
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    cells.install(con)
    return con


def _write(
    con: duckdb.DuckDBPyConnection,
    layout: mapping.Layout,
    fresh: Path,
    *,
    old: Path,
    record: dict[str, Any],
) -> list[dict[str, Any]]:
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
                f"COPY (SELECT * EXCLUDE (_hash) FROM accepted WHERE {rows_of}) TO {cells.text(str(fresh / file))} "
                "(FORMAT parquet, COMPRESSION snappy)"
            )
        written.append({"branch": name, "file": file, "rows": rows, "state": state})
    if layout.table == "transactions":
        con.execute(
            "COPY (SELECT branch, CAST(occurred_at AS DATE) AS day, count(*) AS rows FROM accepted "
            f"GROUP BY ALL ORDER BY ALL) TO {cells.text(str(fresh / DAYS))} (FORMAT parquet)"
        )
    return written


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _gather(there: Path, records: dict[str, dict[str, Any]], keys: dict[str, str]) -> None:
    """Write the report of all tables and their fingerprints."""
    grouped = [(table, *row) for table in sorted(records) for row in records[table]["fingerprints"]]
    fingerprints.write(there / FINGERPRINTS, grouped)
    tables = {}
    for table, record in sorted(records.items()):
        read = [
            {name: told for name, told in file.items() if name != "print"}
            | {"sha256": record["prints"][file["print"]]["sha256"]}
            for file in record["files"]
        ]
        total = sum(part["rows"] for part in record["parts"])
        tables[table] = {"rows": total, "columns": record["columns"], "files": read}
    files.write_json(there / REPORT, {"keys": keys, "tables": tables})
