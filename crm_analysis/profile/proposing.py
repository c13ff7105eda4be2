"""A mapping of columns proposed from an export's own header."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import re
import statistics
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import yaml

from crm_analysis.errors import UserError

_ENCODINGS: Final = ("utf-8-sig", "cp949")
_DELIMITERS: Final = ",\t;|"
_ROWS_LOOKED_AT: Final = 20_000
_HEADER_WITHIN: Final = 15  # filled rows of a file among which its header is
_MOST_KINDS: Final = 12
_PAID_BACK: Final = re.compile(
    r"(?:[A-Z]{3})?\W*?[-−–△▲]\W*\d[\d.,]*\D*|\D*\d[\d.,]*\s*\D?[-−]|\D*\(\W*\d[\d.,]*\D?\)\D*"
)
"""An amount with a minus: before it, after it, or as brackets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A mapping proposed for one file. `columns` holds canonical column -> header; nothing is mapped twice.

    `header_row` is the line of the header, below a title. `paid_back` holds the words of `kinds` for refunds whose
    amounts stand with a minus; it holds an empty one where no column tells kinds, and amounts with a minus do.
    """

    path: Path
    table: str
    encoding: str
    delimiter: str
    header_row: int
    columns: dict[str, str]
    kinds: dict[str, str]
    unmatched: tuple[str, ...]
    missing: tuple[str, ...]
    examples: dict[str, str]
    paid_back: tuple[str, ...]


def propose_mapping(path: str | Path) -> Proposal:
    """The table that a CSV file most looks like, and which of its headers hold which canonical columns.

    Headers are compared without blanks, punctuation, case and units in brackets; whole matches come before partial
    ones. Raises UserError where the file cannot be read as text with a header.
    """
    path = Path(path)
    text, encoding = _text(path)
    if not text.strip():
        raise UserError(f"{path} is empty. Export it again with its header.")
    delimiter = max(_DELIMITERS, key=lambda sign: _width(text, sign))
    rows = list(itertools.islice(_filled_rows(text, delimiter), _ROWS_LOOKED_AT))
    named = [_headers(row) for _, row in rows[:_HEADER_WITHIN]]
    if max(len(headers) for headers in named) < 2:
        raise UserError(
            f"{path} has one column. `crm-analysis init` needs a CSV file with a header, its cells separated by "
            "commas, semicolons or tabs."
        )
    at = max(range(len(named)), key=lambda place: (*_likeness(named[place]), -place))
    headers, header_row, rows = named[at], rows[at][0], rows[at:]
    found = _matches(headers)
    table = max(found, key=lambda name: (_fit(name, found[name]), -list(found).index(name)))
    columns = found[table]
    cells = {
        header: [row[position].strip() if len(row) > position else "" for _, row in rows[1:]]
        for position, header in enumerate(headers)
    }
    kinds = _kinds(cells[columns["kind"]]) if "kind" in columns else {}
    return Proposal(
        path=path,
        table=table,
        encoding=encoding,
        delimiter=delimiter,
        header_row=header_row,
        columns=columns,
        kinds=kinds,
        unmatched=tuple(header for header in headers if header and header not in columns.values()),
        missing=tuple(name for name in known_words().required[table] if name not in columns),
        examples={header: next(filter(None, values)) for header, values in cells.items() if any(values)},
        paid_back=_paid_back(cells, columns, kinds) if table == "transactions" else (),
    )


@dataclass(frozen=True, slots=True)
class Words:
    """Headers and cells that are recognised: table -> canonical column -> words; kind -> words."""

    required: dict[str, tuple[str, ...]]
    columns: dict[str, dict[str, tuple[str, ...]]]
    kinds: dict[str, tuple[str, ...]]


@functools.cache
def known_words() -> Words:
    """The words by which headers and kinds are recognised."""
    raw = yaml.safe_load(template_text("headers.yaml"))
    shared = {name: raw[name] for name in ("customer_words", "branch_words")}

    def split(words: str) -> tuple[str, ...]:
        return tuple(part for word in words.split() for part in shared.get(word, word).split())

    return Words(
        {table: tuple(given["required"]) for table, given in raw["tables"].items()},
        {
            table: {column: split(words) for column, words in given["columns"].items()}
            for table, given in raw["tables"].items()
        },
        {kind: split(words) for kind, words in raw["kinds"].items()},
    )


def template_text(name: str) -> str:
    """A file of the templates."""
    return resources.files("crm_analysis.profile").joinpath("templates", name).read_text("utf-8")


def _text(path: Path) -> tuple[str, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if raw[:2] == b"PK":
        raise UserError(
            f"{path} is an Excel workbook. Save a sheet as CSV for this; the profile may name the workbook."
        )
    for encoding in _ENCODINGS if raw[:2] not in (b"\xff\xfe", b"\xfe\xff") else ("utf-16",):
        try:
            return raw.decode(encoding), "utf-8" if encoding == "utf-8-sig" else encoding
        except UnicodeDecodeError:
            continue
    raise UserError(f"{path} is text in neither utf-8 nor cp949. Save it as UTF-8.")


def _filled_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that hold something, each with the line on which it begins."""
    read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = 0
    for row in read:
        if any(cell.strip() for cell in row):
            yield before + 1, row
        before = read.line_num


def _width(text: str, delimiter: str) -> tuple[float, int]:
    """How many cells a row of the file's beginning has, by its median and its maximum."""
    widths = [len(row) for _, row in itertools.islice(_filled_rows(text, delimiter), 2 * _HEADER_WITHIN)]
    return statistics.median(widths), max(widths)


def _headers(row: list[str]) -> list[str]:
    return [unicodedata.normalize("NFC", " ".join(header.split())) for header in row]


def _likeness(headers: list[str]) -> tuple[float, bool]:
    """How much a row is like the header of some table; a title, which fills one cell, is not like any."""
    best = max((_fit(table, columns) for table, columns in _matches(headers).items()), default=0.0)
    return best, sum(map(bool, headers)) > 1


def _matches(headers: list[str]) -> dict[str, dict[str, str]]:
    return {table: _match(table, headers) for table in known_words().columns}


def _paid_back(cells: dict[str, list[str]], columns: dict[str, str], kinds: dict[str, str]) -> tuple[str, ...]:
    """The words for refunds beside amounts with a minus; `("",)` where there is no word but a minus."""
    amounts = cells.get(columns.get("amount", ""), [])
    negative = [bool(_PAID_BACK.fullmatch(amount)) for amount in amounts]
    if "kind" not in columns:
        return ("",) if any(negative) else ()
    beside = {cell for cell, minus in zip(cells[columns["kind"]], negative, strict=True) if minus}
    return tuple(cell for cell, kind in kinds.items() if kind == "refund" and cell in beside)


def _plain(header: str) -> str:
    header = unicodedata.normalize("NFKC", header).lower()
    header = re.sub(r"[(\[<].*?[)\]>]", "", header)
    return re.sub(r"[\W_]+", "", header)


def _match(table: str, headers: list[str]) -> dict[str, str]:
    """Canonical column -> header; whole matches first, then the longest known word at a header's beginning or end."""
    wanted = known_words().columns[table]
    known = {word: column for column, words in wanted.items() for word in words}
    known |= {_plain(column): column for column in wanted}
    columns: dict[str, str] = {}
    for header in headers:
        column = known.get(_plain(header))
        if column is not None and column not in columns:
            columns[column] = header
    for header in headers:
        plain = _plain(header)
        if header in columns.values() or len(plain) < 3:
            continue
        partial = [word for word in known if len(word) > 1 and (plain.endswith(word) or plain.startswith(word))]
        partial = [word for word in partial if known[word] not in columns and len(word) * 2 >= len(plain)]
        if partial:
            columns[known[max(partial, key=len)]] = header
    return {column: columns[column] for column in wanted if column in columns}


def _fit(table: str, columns: dict[str, str]) -> float:
    """Share of the required columns found, and a little for each other one."""
    required = known_words().required[table]
    return sum(name in columns for name in required) / len(required) + 0.02 * len(columns)


def _kinds(cells: list[str]) -> dict[str, str]:
    """Cell -> sale, refund, gift or dues, for the cells that are recognised; '' for those that are not."""
    known = {word: kind for kind, words in known_words().kinds.items() for word in words}
    distinct = list(dict.fromkeys(filter(None, cells)))
    if len(distinct) > _MOST_KINDS:
        return {}
    return {cell: known.get(_plain(cell), "") for cell in distinct}
