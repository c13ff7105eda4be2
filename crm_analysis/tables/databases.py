"""Tables that already live in a database, read where they are: DuckDB files and PostgreSQL servers.

"Where they are" means that nobody exports them first, and that the database is only read. A DuckDB file is attached
read-only, and the SELECT that makes canonical columns runs on its table inside the engine. Rows of a PostgreSQL server
arrive as one COPY, which neither side holds in memory (`python -m pip install 'psycopg[binary]'` brings the driver).
Either way they end in the canonical Parquet that files end in, and later steps read that: every page of an edition
tells of the same rows however the database goes on changing, and what was set aside and the totals foot against
something that stands still.

Columns that the profile does not name are not read. A table is known to be unchanged from a hash of its rows in any
order, computed in the database; for a table of a DuckDB file (not a view, which may select from other files) the hash
of the last reading stands while size and time of the file are the same. Names from a profile are compared with those
that the database lists, and quoted; they are never part of a statement as they stand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb

from crm_analysis.errors import DataError, UserError, listed, nearest
from crm_analysis.profile.settings import Column, Source, is_server
from crm_analysis.tables import cells, decoding
from crm_analysis.tables.sources import Origin, Relation

DRIVER = "python -m pip install 'psycopg[binary]'"
ENGINES = ("duckdb", "postgresql")
_ALIAS = "source database"
_SECONDS_TO_CONNECT = 10
_Name = tuple[str, str]  # schema, table


def find(source: Source, data_root: Path, *, place: str) -> list[Origin]:
    """The table that a source names. Raises DataError where the database is a file that is not there."""
    database, table = source.database or "", source.table or ""
    if is_server(database):
        address = urlsplit(database)
        host = address.hostname or parse_qs(address.query).get("host", ["the default server"])[0]
        port = f":{address.port}" if address.port else ""
        name = unquote(address.path.strip("/")) or "the default database"
        return [ServerTable(source, f"{table} in {name} at {host}{port}", place)]
    path = data_root / database
    if not path.is_file():
        there = sorted(p.name for p in data_root.iterdir() if p.is_file()) if data_root.is_dir() else []
        hint = nearest(database, there) or (f" Files there: {listed(there)}." if there else " The folder is empty.")
        if not data_root.is_dir():
            hint = " The folder does not exist: set `data` in the profile, or give --data."
        raise DataError(f'{place}: there is no database "{database}" in {data_root.resolve()}.{hint}')
    return [FileTable(source, path, f"{table} in {database}", place)]


def _resolved(there: list[_Name], wanted: str, default: str, label: str, place: str) -> _Name:
    """The table called `wanted`, alone or after its schema. Raises DataError with the nearest name."""
    known = {f"{schema}.{table}": (schema, table) for schema, table in there}
    known |= {table: (schema, table) for schema, table in there if schema == default}
    if wanted in known:
        return known[wanted]
    names = [table if schema == default else f"{schema}.{table}" for schema, table in there]
    hint = nearest(wanted, names) or (f" Tables there: {listed(names)}." if names else " It holds no tables.")
    raise DataError(f"{place}: there is no table {label}.{hint}")


def _digest(columns: list[tuple[str, str]], rows: int, total: object) -> str:
    return hashlib.sha256(json.dumps([columns, rows, str(total)]).encode()).hexdigest()


def _print_name(source: Source, label: str) -> str:
    wanted = json.dumps(source.model_dump(mode="json", by_alias=True, include={"columns", "where"}), sort_keys=True)
    return f"{label} #{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class FileTable:
    """A table or view of a DuckDB file."""

    source: Source
    path: Path
    label: str
    place: str

    @property
    def print_name(self) -> str:
        """The table and what the source asks of it, since only that is hashed."""
        return _print_name(self.source, self.label)

    def fingerprint(self, known: dict[str, Any] | None) -> dict[str, Any]:
        """Size and time of the file and of its log, and a digest of the table: from `known` while those are same.

        A view is hashed each time: it may select from what lies elsewhere.
        """
        quick: dict[str, Any] = {}
        for name, path in (("", self.path), ("log_", self.path.with_name(self.path.name + ".wal"))):
            state = path.stat() if path.exists() else None
            quick[f"{name}bytes"] = state.st_size if state else 0
            quick[f"{name}changed_ns"] = state.st_mtime_ns if state else 0
        if known and known["is_table"] and all(known[key] == value for key, value in quick.items()):
            return known
        with duckdb.connect() as con, self._attached(con) as (table, columns, is_table):
            con.execute("SET TimeZone = 'UTC'")  # as where rows are read: a view may tell days by it
            asked = _asked_for(self.source, columns)
            names = ", ".join(cells.name(name) for name, _ in asked) or "0"
            rows, total = con.execute(f"SELECT count(*), sum(hash({names})) FROM {table}").fetchone() or (0, None)
        return {**quick, "is_table": is_table, "sha256": _digest(asked, rows, total)}

    def relations(
        self, con: duckdb.DuckDBPyConnection, source: Source, *, place: str, work: Path
    ) -> Iterator[Relation]:
        """The table as it stands in the file, which stays attached until the next relation is asked for."""
        with self._attached(con) as (table, columns, is_table):
            numbered = is_table and not any(name.lower() == "rowid" for name, _ in columns)
            names = [name for name, _ in columns]
            headers = decoding.distinct_headers(names)
            line = "rowid + 1" if numbered else "row_number() OVER ()"
            types = {header: kind for header, (_, kind) in zip(headers, columns, strict=True)}
            sql = f"SELECT {cells.renamed(names, headers)}, {line} AS _line FROM {table}"
            yield Relation(sql, types, self.label, "duckdb", False)

    @contextlib.contextmanager
    def _attached(self, con: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, list[tuple[str, str]], bool]]:
        """The table's quoted name, its columns with types, and whether it is a table and no view."""
        file = self.path.name
        try:
            con.execute(f"ATTACH {cells.text(str(self.path))} AS {cells.name(_ALIAS)} (READ_ONLY, TYPE duckdb)")
            try:
                listed_there = con.execute(
                    "SELECT table_schema, table_name, table_type = 'BASE TABLE' FROM information_schema.tables "
                    "WHERE table_catalog = ? ORDER BY ALL",
                    [_ALIAS],
                ).fetchall()
                names = {(schema, name): base for schema, name, base in listed_there}
                found = _resolved(list(names), self.source.table or "", "main", self.label, self.place)
                table = ".".join(cells.name(part) for part in (_ALIAS, *found))
                try:
                    described = con.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
                    yield table, [(row[0], row[1]) for row in described], names[found]
                except duckdb.Error as error:
                    if names[found] or "orrupt" in str(error):
                        raise
                    why = re.sub(r"^\w+ Error: ", "", str(error).splitlines()[0]).rstrip(".! ")
                    raise DataError(
                        f"{self.place}: the view {self.label} cannot be read: {why}. Mend the view in the database, or "
                        "name another table or view under `table`."
                    ) from error
            finally:
                with contextlib.suppress(duckdb.Error):  # a corrupt page leaves the connection without a catalog
                    con.execute(f"DETACH {cells.name(_ALIAS)}")
        except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException) as error:
            raise _unreadable(error, self.place, file) from error
        except duckdb.Error as error:
            if "orrupt" not in str(error) and type(error) is not duckdb.Error:
                raise
            raise _unreadable(error, self.place, file) from error


def _unreadable(error: duckdb.Error, place: str, file: str) -> UserError:
    """What keeps a DuckDB file from being read, in words."""
    text = " ".join(str(error).split())
    if "set lock" in text:
        holder = re.search(r"\(PID (\d+)\)", text)
        by = f" (process {holder[1]})" if holder else ""
        return DataError(
            f"{place}: another program{by} has {file} open for writing. Close it there, or let `database` name a copy."
        )
    if "Permission denied" in text:
        return DataError(f"{place}: no permission to read {file}. Ask its owner for read access.")
    if "version number" in text or "Serialization" in text:
        return DataError(
            f"{place}: {file} was written by another version of DuckDB than {duckdb.__version__}, which is installed "
            "here. Write it again with that version, or export the table as Parquet."
        )
    return DataError(
        f"{place}: {file} is not a DuckDB database, or is damaged ({text.removeprefix('IO Error: ')[:120]}). "
        "Restore it from a backup, or export its tables as files."
    )


@dataclass(frozen=True, slots=True)
class ServerTable:
    """A table or view of a PostgreSQL server."""

    source: Source
    label: str
    place: str

    @property
    def print_name(self) -> str:
        """The table and what the source asks of it, since only that is hashed."""
        return _print_name(self.source, self.label)

    def fingerprint(self, known: dict[str, Any] | None) -> dict[str, Any]:
        """A digest of the table, computed on the server. It tells of no time of change, so `known` does not help."""
        with self._connected() as con:
            table = self._resolved(con)
            columns = _columns(con, table)
            asked = _asked_for(self.source, columns)
            row = ", ".join(["{}"] * len(asked))
            query = f"SELECT count(*), sum(hashtextextended(ROW({row})::text, 0)::numeric) FROM {{table}}"
            rows, total = con.execute(_statement(query, table, [name for name, _ in asked])).fetchone()
            return {"sha256": _digest(asked, rows, total)}

    def relations(
        self, con: duckdb.DuckDBPyConnection, source: Source, *, place: str, work: Path
    ) -> Iterator[Relation]:
        """The table's rows in the temporary table `loaded`, in the order in which the server keeps them."""
        rows = work / "arrived.csv"
        with self._connected() as server:
            table = self._resolved(server)
            columns = _columns(server, table)
            read = dict(_asked_for(source, columns))
            cells_of = ", ".join(_CASTS.get(kind, "{}::text") if name in read else "NULL" for name, kind in columns)
            query = _statement(f"COPY (SELECT {cells_of} FROM {{table}}) TO STDOUT (FORMAT csv)", table, read)
            with open(rows, "wb") as stream, server.cursor().copy(query) as copy:
                for block in copy:
                    stream.write(block)
        headers = decoding.distinct_headers([column for column, _ in columns])
        types = {header: _TYPES.get(kind, "VARCHAR") for header, (_, kind) in zip(headers, columns, strict=True)}
        layout = ", ".join(f"{cells.text(header)}: {cells.text(kind)}" for header, kind in types.items())
        try:
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE loaded AS SELECT * FROM read_csv({cells.path(rows)}, "
                "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
                f"allow_quoted_nulls = false, new_line = '\\n', columns = {{{layout}}})"
            )
        except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
            why = next((line for line in str(error).splitlines() if "exceed" in line or "convert" in line), str(error))
            raise DataError(f"{place}: {self.label} holds a row that cannot be read: {why[:200]}") from error
        rows.unlink()
        yield Relation("SELECT *, rowid + 1 AS _line FROM loaded", types, self.label, "postgresql", False)

    def _resolved(self, con: Any) -> _Name:
        there = con.execute(
            "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname NOT IN ('pg_catalog', 'information_schema') "
            "AND nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2"
        ).fetchall()
        return _resolved([(row[0], row[1]) for row in there], self.source.table or "", "public", self.label, self.place)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """A connection that only reads, and shows values alike whatever the server's settings are."""
        try:
            import psycopg
        except ImportError as error:
            raise UserError(
                f"{self.place}: reading {self.label} needs the PostgreSQL driver, which is not installed. Run: {DRIVER}"
            ) from error
        try:
            with psycopg.connect(
                self.source.database or "", autocommit=True, connect_timeout=_SECONDS_TO_CONNECT
            ) as con:
                for setting in (
                    "default_transaction_read_only = on",
                    "synchronize_seqscans = off",
                    "client_encoding = 'UTF8'",
                    "TimeZone = 'UTC'",
                    "DateStyle = 'ISO'",
                    "IntervalStyle = 'postgres'",
                    "extra_float_digits = 1",
                ):
                    con.execute(f"SET {setting}")
                yield con
        except psycopg.errors.InsufficientPrivilege as error:
            raise DataError(
                f"{self.place}: no permission to read {self.label}. Ask for: GRANT SELECT on that table (and USAGE on "
                "its schema)."
            ) from error
        except psycopg.Error as error:
            text = " ".join(str(error).split())
            raise DataError(
                f"{self.place}: {self.label} cannot be read: {text[:200]}. Check `database` in the profile, and the "
                "password in PGPASSWORD or ~/.pgpass."
            ) from error


_TYPES = {
    "bool": "BOOLEAN",
    "int2": "BIGINT",
    "int4": "BIGINT",
    "int8": "BIGINT",
    "float4": "DOUBLE",
    "float8": "DOUBLE",
    "numeric": "DOUBLE",
    "money": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
"""What PostgreSQL's types become; all others become text."""
_CASTS = {kind: "{}" for kind in _TYPES} | {"numeric": "{}::float8", "money": "{}::numeric::float8"}


def _asked_for(source: Source, columns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The columns that the profile reads: by name, by an expression that names them, or all without a mapping."""
    given = [Column(**{"from": c}) if isinstance(c, str) else c for c in source.columns.values()]
    if not given:
        return columns
    named = {decoding.header_name(c.from_) for c in given if c.from_ is not None}
    written = " ".join([source.where or "", *(c.expression or "" for c in given)])
    headers = decoding.distinct_headers([name for name, _ in columns])
    return [
        column
        for column, header in zip(columns, headers, strict=True)
        if header in named or cells.mentions(written, header) or cells.mentions(written, column[0])
    ]


def _statement(query: str, table: _Name, columns: Iterable[str] = ()) -> Any:
    """A statement with the quoted table in place of {table}, and the quoted columns in place of {}."""
    from psycopg import sql

    return sql.SQL(query).format(*map(sql.Identifier, columns), table=sql.Identifier(*table))


def _columns(con: Any, table: _Name) -> list[tuple[str, str]]:
    """Name and type of the columns; the type of a domain is the one beneath it."""
    described = con.execute(_statement("SELECT * FROM {table} LIMIT 0", table)).description
    found = [(column.name, con.adapters.types.get(column.type_code), column.type_code) for column in described]
    # an array is found under the type of its items
    return [(name, kind.name if kind is not None and kind.oid == oid else str(oid)) for name, kind, oid in found]
