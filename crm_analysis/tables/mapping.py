"""From a source's own columns to canonical ones: the profile's mapping as one SELECT."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from crm_analysis.errors import DataError, ProfileError, listed, nearest
from crm_analysis.profile.settings import Column, Source
from crm_analysis.tables import cells, decoding
from crm_analysis.tables.sources import Relation

MADE_KEYS = {
    "transactions": "transaction_id",
    "dues": "due_id",
    "survey_responses": "response_id",
    "costs": "cost_id",
    "contacts": "contact_id",
    "cases": "case_id",
}
CURRENCY = "currency"
DATA, BLANK, TOTAL, PERHAPS_TOTAL = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Layout:
    """The canonical columns of one table, with logical types.

    `own` are those of its contract, `extra` those that the profile adds; `required` must be supplied by every source.
    """

    table: str
    own: Mapping[str, str]
    required: tuple[str, ...]
    extra: Mapping[str, str]

    @property
    def types(self) -> dict[str, str]:
        """Logical type by canonical column."""
        return {**self.own, **self.extra}

    @property
    def checked(self) -> list[str]:
        """Columns in which a cell can be unreadable."""
        return [name for name, kind in self.types.items() if kind != "string"]


def supplied(layout: Layout, source: Source, headers: list[str]) -> dict[str, Column]:
    """Canonical columns that a source maps; a source without a mapping is read by canonical header names."""
    if not source.columns:
        return {name: Column.model_validate({"from": name}) for name in layout.own if name in headers}
    return {
        name: Column.model_validate({"from": column}) if isinstance(column, str) else column
        for name, column in source.columns.items()
    }


def check_names(layout: Layout, source: Source, relation: Relation) -> dict[str, Column]:
    """The mapping of a source, once all its names exist. Raises DataError or ProfileError with the nearest names."""
    headers = list(relation.types)
    mapping = supplied(layout, source, headers)
    for name in mapping:
        if name not in layout.types and name != CURRENCY:
            raise ProfileError(
                f"tables.{layout.table}.columns: `{name}` is not a column of {layout.table}."
                f"{nearest(name, layout.types)} See data_contracts/{layout.table}.yaml."
            )
    for name in layout.required:
        if name not in mapping and name != MADE_KEYS.get(layout.table):
            raise DataError(
                f"{layout.table}.{name}: the required column is missing in {relation.label}."
                f"{nearest(name, headers)} Its headers: {listed(headers, 30)}. Map one to `{name}` under "
                f"tables.{layout.table}.columns in the profile."
            )
    for name, column in mapping.items():
        if column.from_ is not None and decoding.header_name(column.from_) not in relation.types:
            doubt = decoding.doubt(headers)
            several = len(source.files) > 1 or any(sign in pattern for pattern in source.files for sign in "*?[")
            apart = (
                f" If other files have it, list both layouts under tables.{layout.table}.sources, each with its own "
                "`files` and `columns`."
            )
            raise DataError(
                f'{layout.table}.{name}: {relation.label} has no column "{column.from_}".'
                f"{nearest(column.from_, headers)} Its headers: {listed(headers, 30)}.{doubt and ' ' + doubt}"
                f"{apart * several}"
            )
    return mapping


def _refuse_moments(layout: Layout, relation: Relation, name: str, column: Column, made: str) -> None:
    """Raise for a date made of moments, of type `made`: on which day one falls depends on whose clock is asked."""
    written = column.expression or ""
    header = decoding.header_name(column.from_ or "")
    found = header if relation.types.get(header) == cells.MOMENT else _moment_in(written, relation)
    if found is not None:
        what = f'"{found}" of {relation.label}'
    elif made == cells.MOMENT:
        what = f"the expression ({written}) on {relation.label}"
    else:
        return
    raise DataError(f"{layout.table}.{name}: {what} holds moments with a time zone, {whose_clock(layout.table)}")


def _moment_in(written: str, relation: Relation) -> str | None:
    """The first column of moments that an expression or condition reads by a clock without naming a time zone itself.

    Whether there is a moment at all (IS NULL) depends on no clock, and a text in quotes names no column.
    """
    asked = re.sub(r"'(?:[^']|'')*'", "''", written)
    if re.search(r"time\s*zone", asked, re.IGNORECASE):
        return None
    asked = re.sub(r'(?:"[^"]*"|\w+)\s+IS\s+(?:NOT\s+)?NULL', "TRUE", asked, flags=re.IGNORECASE)
    moments = (header for header, kind in relation.types.items() if kind == cells.MOMENT)
    return next((header for header in moments if cells.mentions(asked, header)), None)


def whose_clock(table: str) -> str:
    """The end of a message about moments where nobody said whose clock counts."""
    return (
        "and which day a moment belongs to depends on whose clock is asked. Write it under "
        f"tables.{table} in the profile, for example `time_zone: Asia/Seoul`."
    )


def select(
    con: duckdb.DuckDBPyConnection,
    layout: Layout,
    source: Source,
    relation: Relation,
    *,
    file_number: int,
    currency: str,
    list_prices: bool,
) -> str:
    """SQL that yields the canonical rows of a relation; the parameter `$source` is the name of the file.

    A mapped `currency` is compared with the profile's and not kept. Beside the canonical columns: `_row`, `_source`,
    `_line`, `_state` (data, blank, total row, perhaps a total row), `_bad_<column>` (the text of an unreadable cell)
    and `_mark` (a currency other than the profile's).
    """
    mapping = check_names(layout, source, relation)
    cells.set_clock(con, source.time_zone)
    inner = _source_view(relation, source)
    made = {name: _expression(column) for name, column in mapping.items()}
    types = _result_types(con, layout, relation, inner, made)
    for name, column in mapping.items():
        if source.time_zone is None and layout.types.get(name) in cells.DATES:
            _refuse_moments(layout, relation, name, column, types[name])
    if source.where:
        _check_where(con, layout, relation, inner, source)

    columns, problems, marks = [], [], []
    for name, kind in layout.types.items():
        if name not in made:
            columns.append(f"CAST(NULL AS {cells.TYPES[kind]}) AS {cells.name(name)}")
            continue
        cell = f"_of_{len(columns)}"
        sql, fallible = cells.converted(
            cells.name(cell), types[name], kind, month=(layout.table, name) == ("control_totals", "month")
        )
        if name == "branch":
            sql = f"nfc_normalize({sql})"
        columns.append(f"{sql} AS {cells.name(name)}")
        made[name] = f"{made[name]} AS {cells.name(cell)}"
        if fallible:
            problems.append((name, cells.name(cell)))
            if kind == "number" and types[name] == "VARCHAR":
                marks.append(f"currency_of({cells.name(cell)})")
    if CURRENCY in mapping:
        marks.append(f"upper(CAST({cells.name(CURRENCY)} AS VARCHAR))")
        made[CURRENCY] = f"{made[CURRENCY]} AS {cells.name(CURRENCY)}"
    wanted = ", ".join(made.values())
    state, first = _state(layout, source, relation, list(made))
    where = f"WHERE ({source.where})" if source.where else ""
    same = [currency, *(sign for sign, group in cells.SAME_CURRENCY.items() if currency in group)]
    known = ", ".join(cells.text(sign) for sign in same)
    others = [f"CASE WHEN {mark} NOT IN ({known}) THEN {mark} END" for mark in marks]
    mark = f"coalesce({', '.join(others)})" if others else "CAST(NULL AS VARCHAR)"
    amount = ""
    if layout.table == "transactions" and list_prices:
        amount = "REPLACE (amount - coalesce(discount, 0) AS amount)"
    flags = "".join(
        f", CASE WHEN {cells.name(n)} IS NULL THEN {c} END AS {cells.name('_bad_' + n)}" for n, c in problems
    )
    made_key = MADE_KEYS.get(layout.table)
    if made_key and made_key not in mapping:
        columns = [
            f"CAST({file_number} + _line AS VARCHAR) AS {cells.name(made_key)}"
            if c.endswith(f" AS {cells.name(made_key)}")
            else c
            for c in columns
        ]
    parsed = (
        f"SELECT {', '.join(columns)}, {file_number} + _line AS _row, $source AS _source, _line, _first, "
        f"{mark} AS _mark{flags} "
        f"FROM (SELECT {wanted}, {first} AS _first, _line FROM ({inner}) AS cells {where})"
    )
    return f"SELECT * EXCLUDE (_first) {amount}, {state} AS _state FROM ({parsed}) AS parsed"


def _source_view(relation: Relation, source: Source) -> str:
    """The source's columns, text trimmed and emptied of the codes that mean `no value`, moments as clocks show them."""
    shown = []
    for header, kind in relation.types.items():
        column = cells.name(header)
        if kind == "VARCHAR":
            shown.append(f"{cells.trimmed(column, source.missing)} AS {column}")
        elif kind == cells.MOMENT and source.time_zone is not None:
            shown.append(f"on_clock({column}) AS {column}")
        else:
            shown.append(column)
    return f"SELECT {', '.join(shown)}, $source AS _source, _line FROM ({relation.sql}) AS file"


def _expression(column: Column) -> str:
    if column.constant is not None:
        return cells.text(str(column.constant).lower() if isinstance(column.constant, bool) else str(column.constant))
    if column.expression is not None:
        return f"({column.expression})"
    header = cells.name(decoding.header_name(column.from_ or ""))
    if not column.values:
        return header
    pairs = " ".join(
        f"WHEN {cells.text(old)} THEN {'NULL' if new is None else cells.text(new)}"
        for old, new in column.values.items()
    )
    return f"CASE CAST({header} AS VARCHAR) {pairs} ELSE CAST({header} AS VARCHAR) END"


def _result_types(
    con: duckdb.DuckDBPyConnection, layout: Layout, relation: Relation, inner: str, made: Mapping[str, str]
) -> dict[str, str]:
    parameters = {"source": relation.label}
    listed_all = ", ".join(f"{expression} AS {cells.name(name)}" for name, expression in made.items())
    with contextlib.suppress(duckdb.Error):
        described = con.execute(f"DESCRIBE SELECT {listed_all} FROM ({inner}) AS cells", parameters).fetchall()
        return {row[0]: row[1] for row in described}
    for name, expression in made.items():
        try:
            con.execute(f"DESCRIBE SELECT {expression} AS made FROM ({inner}) AS cells", parameters)
        except duckdb.Error as error:
            raise ProfileError(
                f"tables.{layout.table}.columns.{name}: the expression {expression} cannot be used on "
                f"{relation.label}: {_why(error, relation)}"
            ) from error
    raise ProfileError(f"tables.{layout.table}.columns cannot be used on {relation.label}.")


def _check_where(
    con: duckdb.DuckDBPyConnection, layout: Layout, relation: Relation, inner: str, source: Source
) -> None:
    where = source.where or ""
    moment = _moment_in(where, relation) if source.time_zone is None else None
    if moment is not None:
        raise DataError(
            f'tables.{layout.table}.where: "{moment}" of {relation.label} holds moments with a time zone, '
            f"{whose_clock(layout.table)}"
        )
    try:
        con.execute(f"DESCRIBE SELECT 1 FROM ({inner}) AS cells WHERE ({where})", {"source": relation.label})
    except duckdb.Error as error:
        raise ProfileError(
            f"tables.{layout.table}.where: the condition {where} cannot be used on {relation.label}: "
            f"{_why(error, relation)}"
        ) from error


def _why(error: duckdb.Error, relation: Relation) -> str:
    """Why the engine cannot use an expression: a column that is not there in our words, the rest in its own."""
    said = str(error).splitlines()[0]
    absent = re.search(r'Referenced column "(.*?)" (?:was )?not found', said)
    if absent is None:
        return said
    known = list(relation.types)
    return f'it has no column "{absent[1]}".' + (nearest(absent[1], known) or f" Its headers: {listed(known, 30)}.")


def _state(layout: Layout, source: Source, relation: Relation, made: list[str]) -> tuple[str, str]:
    """SQL for a row's state, and for its first filled cell.

    A total row begins with one of the source's `total_words` and either has none of the table's required dates, or
    stands below the last row of data; the second is decided once the whole file is read.
    """
    if not relation.is_text:
        return str(DATA), "CAST(NULL AS VARCHAR)"
    first = f"coalesce({', '.join(cells.name(header) for header in relation.types)})"
    words = "|".join(_plain(word) for word in source.total_words)
    initials = ", ".join(sorted({cells.text(word.strip()[:1].lower()) for word in source.total_words}))
    squeezed = "regexp_replace(lower(_first), '[\\s:：.]', '', 'g')"
    label = f"(lower(left(_first, 1)) IN ({initials}) AND regexp_full_match({squeezed}, '(?:{words})(?:\\(.*)?'))"
    dates = [n for n in layout.required if n in made and layout.types[n] in cells.DATES]
    undated = " AND ".join(f"{cells.name(name)} IS NULL" for name in dates) or "false"
    if not words:
        label = "false"
    return (
        f"CASE WHEN _first IS NULL THEN {BLANK} WHEN NOT {label} THEN {DATA} WHEN {undated} THEN {TOTAL} "
        f"ELSE {PERHAPS_TOTAL} END",
        first,
    )


def _plain(word: str) -> str:
    letters = "".join(sign for sign in word.lower() if sign not in " \t:：.")
    return "".join(sign if sign.isalnum() else f"\\{sign}" for sign in letters).replace("'", "''")


def row_type(layout: Layout) -> list[tuple[str, str]]:
    """Name and DuckDB type of every column that `select` yields, unreadable cells included."""
    technical: list[tuple[str, str]] = [
        ("_row", "BIGINT"),
        ("_source", "VARCHAR"),
        ("_line", "BIGINT"),
        ("_mark", "VARCHAR"),
        ("_state", "TINYINT"),
    ]
    own: list[tuple[str, str]] = [(name, cells.TYPES[kind]) for name, kind in layout.types.items()]
    return own + technical + [(f"_bad_{name}", "VARCHAR") for name in layout.checked]
