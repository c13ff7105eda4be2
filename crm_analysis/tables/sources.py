"""The files of a source: found by glob, fingerprinted, and opened as relations in DuckDB whatever their format.

Tables of a database are their siblings in `databases`; both are `Origin`s to whoever reads them.
"""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Protocol

import duckdb

from crm_analysis.errors import DataError, listed, nearest
from crm_analysis.profile.settings import Source
from crm_analysis.tables import cells, decoding

_BATCH = 50_000
EXCEL = (".xlsx", ".xlsm")
PARQUET = (".parquet", ".pq")
_ROW_NUMBER = "file_row_number"  # of the engine's reader, unless a column is called so


class Origin(Protocol):
    """Where rows come from: a file, or a table of a database. `label` is its name in `_source`."""

    @property
    def label(self) -> str: ...

    @property
    def print_name(self) -> str:
        """Under what its fingerprint is noted: `label`, and what is asked of it where the fingerprint depends on it."""

    def fingerprint(self, known: dict[str, Any] | None) -> dict[str, Any]:
        """What tells that nothing changed, its digest under `sha256`; `known` is what the last reading noted."""

    def relations(
        self, con: duckdb.DuckDBPyConnection, source: Source, *, place: str, work: Path
    ) -> Iterator[Relation]:
        """Its rows: one relation, or one per sheet of a workbook."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a source: its path, and the name under which it appears in `_source`."""

    path: Path
    label: str

    @property
    def print_name(self) -> str:
        """The file itself: its fingerprint is the same for whoever reads it."""
        return self.label

    def fingerprint(self, known: dict[str, Any] | None) -> dict[str, Any]:
        """Size, time of change and SHA-256; the digest comes from `known` while size and time are the same."""
        state = self.path.stat()
        quick = {"bytes": state.st_size, "changed_ns": state.st_mtime_ns}
        if known and all(known.get(key) == value for key, value in quick.items()):
            return {**quick, "sha256": known["sha256"]}
        try:
            with open(self.path, "rb") as stream:
                return {**quick, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
        except PermissionError as error:
            raise DataError(f"No permission to read {self.path}. Ask its owner for read access.") from error

    def relations(
        self, con: duckdb.DuckDBPyConnection, source: Source, *, place: str, work: Path
    ) -> Iterator[Relation]:
        """The relations of the file: one, or one per sheet of a workbook."""
        kind = self.path.suffix.lower()
        try:
            if kind in PARQUET:
                yield _parquet(con, self)
            elif kind in EXCEL:
                yield from _workbook(con, self, source, place=place, work=work)
            elif kind == ".xls":
                raise DataError(f"{place}: {self.label} is an old Excel file. Save it as .xlsx or CSV.")
            else:
                yield _text(con, self, source, place=place, work=work)
        except PermissionError as error:
            raise DataError(f"{place}: no permission to read {self.path}.") from error
        except FileNotFoundError as error:
            raise DataError(f"{place}: {self.path} disappeared while it was being read.") from error


@dataclass(frozen=True, slots=True)
class Relation:
    """A file, one sheet of it or a table of a database, as something DuckDB can select from.

    `sql` yields the source's columns under their header names, and `_line` (1-based, the header counted).
    `types` are DuckDB types by header name, `key` tells sheets of one workbook apart in `_source`.
    """

    sql: str
    types: dict[str, str]
    label: str
    encoding: str
    is_text: bool


def find(source: Source, data_root: Path, *, place: str) -> list[File]:
    """Files that match the source's globs, sorted by name.

    Raises DataError when a glob matches nothing, naming the nearest file there, or the folder may not be read.
    """
    try:
        return _found(source, data_root, place=place)
    except PermissionError as error:
        raise DataError(f"{place}: no permission to read {error.filename}. Ask its owner for read access.") from error


def _found(source: Source, data_root: Path, *, place: str) -> list[File]:
    found: dict[str, File] = {}
    for pattern in source.files:
        try:
            if Path(pattern).is_absolute():
                anchor = Path(Path(pattern).anchor)
                matches = sorted(anchor.glob(str(Path(pattern).relative_to(anchor))))
            else:
                matches = [data_root / pattern] if (data_root / pattern).is_file() else sorted(data_root.glob(pattern))
        except ValueError:
            raise DataError(
                f'{place}: "{pattern}" under `files:` in the profile is no pattern of file names. Write one such as '
                '"sales*.csv", or "**/sales*.csv" for the folders below too.'
            ) from None
        matches = [path for path in matches if path.is_file() and not path.name.startswith(("~$", "."))]
        if not matches:
            there = _there(data_root, pattern)
            raise DataError(f'{place}: no file matches "{pattern}" in {data_root.resolve()}.{there}')
        for path in matches:
            label = path.relative_to(data_root).as_posix() if path.is_relative_to(data_root) else path.as_posix()
            found.setdefault(label, File(path, label))
    return [found[label] for label in sorted(found)]


def _there(data_root: Path, pattern: str) -> str:
    if not data_root.is_dir():
        return " The folder does not exist: set `data` in the profile, or give --data."
    files = sorted(p.name for p in itertools.islice(data_root.iterdir(), 500) if p.is_file())
    if not files:
        return " The folder is empty: set `data` in the profile, or give --data."
    elsewhere = "If it is elsewhere, set `data` in the profile, or give --data."
    return nearest(pattern, files) or f" Files there: {listed(files)}. {elsewhere}"


def _parquet(con: duckdb.DuckDBPyConnection, file: File) -> Relation:
    try:
        found = con.execute(f"DESCRIBE FROM read_parquet({cells.path(file.path)})").fetchall()
    except duckdb.InvalidInputException as error:
        raise DataError(f"{file.label} is not a readable Parquet file.") from error
    names = [row[0] for row in found]
    headers = decoding.distinct_headers(names)
    numbered = _ROW_NUMBER not in [name.lower() for name in names]
    read = f"read_parquet({cells.path(file.path)}{f', {_ROW_NUMBER} = true' * numbered})"
    line = f"{_ROW_NUMBER} + 1" if numbered else "row_number() OVER ()"
    types = {header: row[1] for header, row in zip(headers, found, strict=True)}
    return Relation(
        f"SELECT {cells.renamed(names, headers)}, {line} AS _line FROM {read}", types, file.label, "parquet", False
    )


def _text(con: duckdb.DuckDBPyConnection, file: File, source: Source, *, place: str, work: Path) -> Relation:
    if file.path.stat().st_size == 0:
        raise DataError(
            f"{place}: {file.label} is empty, even of a header. Export it again, or move it out of the folder."
        )
    text = decoding.decode(file.path, source.encoding, place=place, work=work)
    found, used, delimiter = decoding.read_header(text, source.header_row, source.delimiter)
    headers = decoding.distinct_headers(_names(found, source, file, place=place))
    if _loaded(con, text, used, delimiter, len(headers)):
        renamed = ", ".join(f"c{i} AS {cells.name(header)}" for i, header in enumerate(headers))
        sql = f"SELECT {renamed}, rowid + {used + 1} AS _line FROM loaded"
    else:
        rows = decoding.rows_of(text, delimiter, used, name=f"{place}: {file.label}")
        sql = _stored(_checked(rows, headers, file, place=place), headers, file.label, work)
    return Relation(sql, dict.fromkeys(headers, "VARCHAR"), file.label, text.encoding, True)


def _loaded(con: duckdb.DuckDBPyConnection, text: decoding.Decoded, used: int, delimiter: str, width: int) -> bool:
    """Read a text file into the temporary table `loaded` by the engine's own reader.

    False where that reader does not see exactly one row per line (an empty line, a line break inside a cell, a short or
    a long row), so that its row numbers would not be line numbers.
    """
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(width))
    try:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE loaded AS SELECT * FROM read_csv({cells.path(text.path)}, "
            f"auto_detect = false, header = false, skip = {used}, delim = {cells.text(delimiter)}, "
            f"quote = '\"', escape = '\"', columns = {{{columns}}})"
        )
    except duckdb.InvalidInputException:
        return False
    return con.execute("SELECT count(*) FROM loaded").fetchone() == (max(text.lines - used, 0),)


def _names(found: list[str], source: Source, file: File, *, place: str) -> list[str]:
    if source.names is not None:
        if len(source.names) < len(found):
            raise DataError(
                f"{place}: {file.label} has {len(found)} columns, the profile's `names` gives {len(source.names)}."
            )
        return source.names
    if not any(str(cell or "").strip() for cell in found):
        raise DataError(
            f"{place}: {file.label} has no header in row {source.header_row or 1}. Set `header_row` in the profile, "
            "or for a workbook the sheets to read under `sheet`."
        )
    return found


def _checked(
    rows: Iterable[tuple[int, list[str]]], headers: list[str], file: File, *, place: str
) -> Iterator[tuple[int, list[str | None]]]:
    width = len(headers)
    for line, row in rows:
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise DataError(
                f"{place}: line {line} of {file.label} has {len(row)} cells, the header has {width}. "
                + (decoding.doubt(headers) or "A cell that holds the separator must stand in double quotes.")
            )
        yield line, [*row[:width], *[None] * (width - len(row))]


def _stored(rows: Iterable[tuple[int, list[str | None]]], headers: list[str], label: str, work: Path) -> str:
    """Rows written to a temporary Parquet file in batches; SQL that reads it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = work / f"{hashlib.sha256(label.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.parquet"
    schema = pa.schema([("_line", pa.int64()), *((f"c{i}", pa.string()) for i in range(len(headers)))])
    with pq.ParquetWriter(path, schema) as writer:
        remaining = iter(rows)
        while batch := list(itertools.islice(remaining, _BATCH)):
            columns = zip(*(values for _, values in batch), strict=True)
            arrays = [pa.array([line for line, _ in batch], pa.int64()), *(pa.array(c, pa.string()) for c in columns)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    renamed = ", ".join(f"c{i} AS {cells.name(header)}" for i, header in enumerate(headers))
    return f"SELECT {renamed}, _line FROM read_parquet({cells.path(path)})"


def _workbook(
    con: duckdb.DuckDBPyConnection, file: File, source: Source, *, place: str, work: Path
) -> Iterator[Relation]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(file.path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(
            f"{place}: {file.label} is not a readable Excel workbook. If it has a password, save it without "
            "one; if it is text, give it the ending .csv."
        ) from error
    try:
        for sheet in _sheets(book.sheetnames, source, file, place=place):
            page = book[sheet]
            page.reset_dimensions()
            grid = page.iter_rows(values_only=True)
            skipped = source.header_row or 0
            first = [None if value is None else _cell(value) for value in _nth(grid, skipped) or ()]
            while first and first[-1] is None:
                first.pop()
            if not skipped:
                grid = itertools.chain([tuple(first)], grid)
            label = f"{file.label} [{sheet}]"
            names = _names([cell or "" for cell in first], source, File(file.path, label), place=place)
            headers = decoding.distinct_headers(names)
            rows = ((line, [_cell(value) for value in row]) for line, row in enumerate(grid, start=skipped + 1))
            sql = _stored(_padded(rows, len(headers)), headers, label, work)
            yield Relation(sql, dict.fromkeys(headers, "VARCHAR"), label, "excel", True)
    finally:
        book.close()


def _nth(grid: Iterator[tuple[Any, ...]], row: int) -> tuple[Any, ...] | None:
    return next(itertools.islice(grid, max(row - 1, 0), None), None)


def _padded(rows: Iterable[tuple[int, list[str | None]]], width: int) -> Iterator[tuple[int, list[str | None]]]:
    for line, row in rows:
        yield line, [*row[:width], *[None] * (width - len(row))]


def _sheets(there: list[str], source: Source, file: File, *, place: str) -> list[str]:
    wanted = source.sheet
    if wanted is None:
        return there[:1]
    if wanted == "*":
        return there
    chosen = []
    for sheet in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(sheet, int):
            if not 1 <= sheet <= len(there):
                raise DataError(
                    f"{place}: {file.label} has {len(there)} {'sheet' if len(there) == 1 else 'sheets'}, no sheet "
                    f"{sheet}. Sheets: {listed(there)}."
                )
            chosen.append(there[sheet - 1])
        elif sheet in there:
            chosen.append(sheet)
        else:
            raise DataError(
                f'{place}: {file.label} has no sheet "{sheet}".{nearest(sheet, there) or f" Sheets: {listed(there)}."}'
            )
    return chosen


def _cell(value: Any) -> str | None:
    """A workbook cell as the text that a CSV export would hold."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
