"""The files of one table as rows of DuckDB, once nothing in them is wrong."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

from crm_analysis.errors import DataError, listed
from crm_analysis.profile import Profile
from crm_analysis.profile.settings import Source
from crm_analysis.tables import cells, databases, mapping, sources

ALL = "all"  # stands for all branches together in every command and on every page
_FILE_BITS, _LINE_BITS = 17, 36
Found = list[tuple[Source, sources.Origin]]


def stage(
    con: duckdb.DuckDBPyConnection,
    profile: Profile,
    layout: mapping.Layout,
    found: Found,
    work: Path,
) -> dict[str, Any]:
    """Read every file of a table into the temporary table `staged`; what was read, file by file."""
    columns = ", ".join(f"{cells.name(name)} {kind}" for name, kind in mapping.row_type(layout))
    con.execute(f"CREATE TEMP TABLE staged ({columns})")
    numbers = _file_numbers([file.label for _, file in found])
    report: list[dict[str, Any]] = []
    starts: list[int] = []
    supplied: set[str] = set()
    for (source, file), number in zip(found, numbers, strict=True):
        for sheet, relation in enumerate(file.relations(con, source, place=layout.table, work=work)):
            start = (number << _LINE_BITS) + (sheet << (_LINE_BITS - 8))
            select = mapping.select(
                con,
                layout,
                source,
                relation,
                file_number=start,
                currency=profile.currency,
                list_prices=profile.margin.list_prices,
            )
            try:
                con.execute(f"INSERT INTO staged BY NAME {select}", {"source": relation.label})
            except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
                said = str(error).splitlines()[0]
                if cells.WITHOUT_CLOCK in said:
                    cell = _short(said.partition(cells.WITHOUT_CLOCK)[2])
                    whose = mapping.whose_clock(layout.table)
                    said = f'an expression reads a moment with a time zone ("{cell}"), {whose}'
                raise DataError(f"{layout.table}: {relation.label}: {said}") from error
            supplied |= set(mapping.supplied(layout, source, list(relation.types))) & set(layout.types)
            entry = {"source": relation.label, "file": file.label, "encoding": relation.encoding}
            report.append({**entry, "print": file.print_name})
            starts.append(start)
    con.execute(
        f"UPDATE staged SET _state = CASE WHEN _line > last THEN {mapping.TOTAL} ELSE {mapping.DATA} END "
        f"FROM (SELECT _source AS s, coalesce(max(_line) FILTER (_state = {mapping.DATA}), 0) AS last "
        "FROM staged GROUP BY 1) "
        f"WHERE s = _source AND _state = {mapping.PERHAPS_TOTAL}"
    )
    counts = _counted(con)
    nothing = {"rows": 0, "blank_rows": 0, "total_rows": 0}
    report = [{**entry, **counts.get(start, nothing)} for entry, start in zip(report, starts, strict=True)]
    _refuse(con, profile, layout, report)
    return {"supplied": supplied, "files": report}


def _file_numbers(labels: list[str]) -> list[int]:
    """A number for each file that depends on its name, so that a new file leaves the rows of the others alone.

    A file that several sources read gets one for each of them, the first being that of a file read once.
    """
    copies: Counter[str] = Counter()
    places = []
    for label in labels:
        places.append((copies[label], label))
        copies[label] += 1
    numbers: dict[tuple[int, str], int] = {}
    taken: set[int] = set()
    for copy, label in sorted(places):
        name = label + f"\0{copy}" * (copy > 0)
        number = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:4]) >> (
            32 - _FILE_BITS
        )
        while number in taken:
            number = (number + 1) % (1 << _FILE_BITS)
        taken.add(number)
        numbers[copy, label] = number
    return [numbers[place] for place in places]


def _counted(con: duckdb.DuckDBPyConnection) -> dict[int, dict[str, Any]]:
    """Rows of each kind by the number before the first line of a file or sheet, as one source reads it."""
    rows = con.execute(
        f"""SELECT _row - _line, count(*) FILTER (_state = {mapping.DATA}), count(*) FILTER (_state = {mapping.BLANK}),
            count(*) FILTER (_state = {mapping.TOTAL}) FROM staged GROUP BY 1"""
    ).fetchall()
    return {row[0]: {"rows": row[1], "blank_rows": row[2], "total_rows": row[3]} for row in rows}


_WHAT = {"date": "dates", "timestamp": "dates", "number": "amounts", "integer": "whole numbers", "boolean": "yes or no"}


def _refuse(
    con: duckdb.DuckDBPyConnection, profile: Profile, layout: mapping.Layout, report: list[dict[str, Any]]
) -> None:
    """Raise for an empty table, the total as a branch, unreadable cells (all columns at once), a second currency."""
    data = f"_state = {mapping.DATA}"
    read = sum(entry["rows"] for entry in report)
    if not read:
        mend = "Fill it" if report[0]["encoding"] in databases.ENGINES else "Export it again"
        raise DataError(
            f"{layout.table}: {listed(dict.fromkeys(entry['source'] for entry in report))} holds no rows. {mend}, or "
            "take the table out of the profile."
        )
    if "branch" in layout.types:
        _refuse_total_as_branch(con, layout, read)
    parts, kinds = [], []
    for name in layout.checked:
        bad = cells.name(f"_bad_{name}")
        moment = f"moment({bad}) IS NOT NULL" if layout.types[name] in cells.DATES else "false"
        for is_moment, which in ((False, f"{bad} IS NOT NULL AND NOT ({moment})"), (True, moment)):
            first = f"arg_min([{bad}, _source, CAST(_line AS VARCHAR)], _row) FILTER ({which})"
            parts += [f"count(*) FILTER ({which})", first]
            kinds.append((name, is_moment))
    if not parts:
        return
    values = con.execute(f"SELECT {', '.join(parts)} FROM staged WHERE {data}").fetchone() or ()
    messages = []
    for (name, is_moment), count, first in zip(kinds, values[::2], values[1::2], strict=True):
        if not count:
            continue
        where = f'(first: "{_short(first[0])}" in line {first[2]} of {first[1]})'
        cells_told = f"{layout.table}.{name}: {count:,} of {read:,} cells"
        if is_moment:
            hold = "holds a moment" if count == 1 else "hold moments"
            messages.append(f"{cells_told} {hold} with a time zone {where}, {mapping.whose_clock(layout.table)}")
        else:
            be = "is" if count == 1 else "are"
            what = _WHAT[layout.types[name]]
            messages.append(f"{cells_told} {be} not readable as {what} {where}. {_mend(layout, name, first[0])}")
    if messages:
        raise DataError("\n".join(messages))
    marked = con.execute(
        f"SELECT _mark, count(*), arg_min([_source, CAST(_line AS VARCHAR)], _row) FROM staged "
        f"WHERE {data} AND _mark IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
    ).fetchall()
    if marked:
        mark, count, (source, line) = marked[0]
        carry = "carries" if count == 1 else "carry"
        raise DataError(
            f"{layout.table}: the profile's currency is {profile.currency}, but {count:,} of {read:,} rows {carry} "
            f"{mark} (first: line {line} of {source}). One profile has one currency: convert the amounts, or keep the "
            "other currency in a profile of its own."
        )


_DAY_FIRST = re.compile(r"\d{1,2}[-./ ]\d{1,2}[-./ ](\d{2}|\d{4})(?!\d).*")
_DECIMAL_COMMA = re.compile(r"\D*\d[\d.]*,\d{1,2}\D*")


def _mend(layout: mapping.Layout, name: str, cell: str) -> str:
    """What to do about a column of which `cell` cannot be read."""
    if layout.types[name] in cells.DATES and _DAY_FIRST.fullmatch(cell):
        why = "Which of its numbers is the year, the month and the day only you know"
        say = "strptime(HEADER, '%d/%m/%Y')"
    elif layout.types[name] == "number" and _DECIMAL_COMMA.fullmatch(cell):
        why = "Where a comma stands before decimals"
        say = "replace(replace(HEADER, '.', ''), ',', '.')"
    else:
        return (
            f'Correct the source, or list codes that mean "no value" under `missing:` of tables.{layout.table} in the '
            "profile."
        )
    return f'{why}: write, for example, `{name}: {{expression: "{say}"}}` under tables.{layout.table}.columns.'


def _refuse_total_as_branch(con: duckdb.DuckDBPyConnection, layout: mapping.Layout, read: int) -> None:
    """Raise for rows of a branch called as all branches together are: no page could tell the two apart."""
    found = con.execute(
        "SELECT count(*), arg_min([_source, CAST(_line AS VARCHAR)], _row) FROM staged "
        f"WHERE _state = {mapping.DATA} AND branch = {cells.text(ALL)}"
    ).fetchone()
    if found is None or not found[0]:
        return
    count, (source, line) = found
    have = "has" if count == 1 else "have"
    empty = "" if "branch" in layout.required else ", or leave it empty (`null`) where the row is of no single branch"
    raise DataError(
        f'{layout.table}.branch: {count:,} of {read:,} rows {have} the branch "{ALL}" (first: line {line} of '
        f"{source}). That name stands for all branches together. Give the branch another one with `values:` under "
        f"tables.{layout.table}.columns.branch in the profile{empty}."
    )


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:39] + "…"
