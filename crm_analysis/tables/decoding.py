"""From the bytes of an export to UTF-8 text that an engine can read, with every guess reported.

Encodings are decoded here and not in DuckDB, whose own are a download.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import itertools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crm_analysis.errors import DataError

CHUNK = 1 << 23
GUESSES = ("utf-8", "cp949", "utf-16")
_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text file known to be readable: where its UTF-8 text is, which encoding it had, and its number of lines."""

    path: Path
    encoding: str
    lines: int


@dataclass(frozen=True, slots=True)
class _Fault:
    line: int
    position: int
    byte: int


def decode(path: Path, encoding: str, *, place: str, work: Path) -> Decoded:
    """Check `path` against an encoding (`auto` tries UTF-8, then cp949) and write it as UTF-8 to `work` where needed.

    Raises DataError naming the first byte that cannot be read, its line, and the encoding that would read it; or that
    the file is no text.
    """
    with open(path, "rb") as stream:
        start = stream.read(4)
    if start == b"PK\x03\x04":
        raise DataError(
            f"{place}: {path.name} is no text but an Excel workbook or another packed file. Give a workbook its ending "
            ".xlsx and name it so under `files:` in the profile."
        )
    if encoding == "auto":
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return _rewritten(path, "utf-16", work)
        utf8 = _fault(path, "utf-8")
        if utf8 is None:
            return Decoded(path, "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8", _count_lines(path))
        korean = _fault(path, "cp949")
        if korean is None:
            return _rewritten(path, "cp949", work)
        raise DataError(
            f"{place}: {path.name} is neither UTF-8 (line {utf8.line}, byte 0x{utf8.byte:02X}) nor cp949 "
            f"(line {korean.line}, byte 0x{korean.byte:02X}). Say which it is under `encoding:` in the profile, "
            "or save the file as UTF-8."
        )
    try:
        declared = codecs.lookup(encoding).name
    except LookupError:
        raise DataError(
            f'{place}: "{encoding}" is not an encoding. Use auto, utf-8, cp949 or euc-kr under `encoding:` in the '
            "profile."
        ) from None
    fault = _fault(path, declared)
    if fault is not None:
        raise DataError(
            f"{place}: {path.name} is not {encoding}: line {fault.line} holds the byte 0x{fault.byte:02X} at position "
            f"{fault.position} of the file. {_advice(path, declared)}"
        )
    if declared in ("utf-8", "utf-8-sig", "ascii"):
        return Decoded(path, encoding, _count_lines(path))
    if not declared.startswith("utf") and _has_wide_bytes(path) and _fault(path, "utf-8") is None:
        raise DataError(
            f"{place}: {path.name} is declared as {encoding}, but it is UTF-8. Write `encoding: utf-8` (or auto) for "
            "this source in the profile."
        )
    return _rewritten(path, encoding, work)


def _advice(path: Path, declared: str) -> str:
    for guess in GUESSES:
        if codecs.lookup(guess).name != declared and _fault(path, guess) is None:
            return f"It reads as {guess}: write `encoding: {guess}` (or auto) for this source in the profile."
    return "None of utf-8, cp949 and utf-16 reads it: save the file again as UTF-8."


def _fault(path: Path, encoding: str) -> _Fault | None:
    """The first byte of the file that the encoding cannot read."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    done, lines, held = 0, 1, 0
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                position = done - held + error.start
                bad = error.object[error.start]
                return _Fault(lines + error.object[: error.start].count(b"\n"), position, bad)
            except UnicodeError:
                return _Fault(1, 0, 0)
            if not chunk:
                return None
            done += len(chunk)
            lines += chunk.count(b"\n")
            held = len(decoder.getstate()[0])


def _has_wide_bytes(path: Path) -> bool:
    with open(path, "rb") as stream:
        return any(not chunk.isascii() for chunk in iter(lambda: stream.read(CHUNK), b""))


def _rewritten(path: Path, encoding: str, work: Path) -> Decoded:
    target = work / f"{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.csv"
    with open(path, encoding=encoding, newline="") as old, open(target, "w", encoding="utf-8", newline="") as new:
        for chunk in iter(lambda: old.read(CHUNK), ""):
            new.write(chunk)
    return Decoded(target, encoding, _count_lines(target))


def _count_lines(path: Path) -> int:
    """Physical lines, empty ones at the end left out."""
    breaks, tail, size = 0, b"", 0
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            breaks += chunk.count(b"\n")
            size += len(chunk)
            stripped = chunk.rstrip(b"\r\n")
            tail = chunk[len(stripped) :] if stripped else tail + chunk
    return breaks - tail.count(b"\n") + 1 if size > len(tail) else 0


def delimiter_of(header: str) -> str:
    """The separator that divides a header line into most cells, a comma where none does.

    >>> delimiter_of('a;"b;c,d,e,f";g')
    ';'
    """
    outside = "".join(part for index, part in enumerate(header.split('"')) if index % 2 == 0)
    return max(_DELIMITERS, key=lambda sign: (outside.count(sign), sign == ","))


def read_header(text: Decoded, row: int | None, delimiter: str | None) -> tuple[list[str], int, str]:
    """Header cells, the number of physical lines up to and including the header, and the delimiter.

    Without a header row the cells of the first line are returned with 0 lines used.
    """
    with open(text.path, encoding="utf-8-sig", newline="") as stream:
        sample = stream.read(_SAMPLE)
    lines = sample.splitlines(keepends=True)
    wanted = (row or 1) - 1
    if wanted >= len(lines):
        return [], 0, delimiter or ","
    sign = delimiter or delimiter_of(lines[wanted])
    reader = csv.reader(iter(lines[wanted:]), delimiter=sign)
    cells = next(reader, [])
    return cells, (wanted + reader.line_num if row else 0), sign


_END = "\x00end of file\x00"


def rows_of(text: Decoded, delimiter: str, skip: int, *, name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every record after `skip` lines, empty lines as empty lists.

    Raises DataError, in which the file is called `name`, where a quotation mark that is never closed, or only by one
    further down, has made rows part of a cell.
    """
    csv.field_size_limit(1 << 30)
    with open(text.path, encoding="utf-8-sig", newline="") as stream:
        for _ in range(skip):
            stream.readline()
        record: list[str] = []

        def lines() -> Iterator[str]:
            for line in itertools.chain(stream, [_END]):
                record.append(line)
                yield line

        reader = csv.reader(lines(), delimiter=delimiter)
        before = 0
        for cells in reader:
            if record == [_END]:
                return
            if len(record) > 1 and _swallowed(record, delimiter, len(cells)):
                last = skip + reader.line_num - (record[-1] == _END)
                raise DataError(
                    f"{name}: the row in line {skip + before + 1} runs on to line {last}, because a quotation mark "
                    "opens a cell and is not closed before other rows. Close it, or double a mark that belongs to the "
                    'text ("").'
                )
            yield skip + before + 1, cells
            before = reader.line_num
            record.clear()


def _swallowed(record: list[str], delimiter: str, width: int) -> bool:
    """Whether a record of several lines holds other rows: it is quoted wrongly, and a line looks like a row of it."""
    if record[-1] != _END and all(line.count(delimiter) < width - 1 for line in record[1:]):
        return False
    try:
        list(csv.reader(record, delimiter=delimiter, strict=True))
    except csv.Error:
        return True
    return False


def header_name(cell: str) -> str:
    """A header's name as it is compared: single spaces, composed letters."""
    return unicodedata.normalize("NFC", " ".join(cell.split()))


def distinct_headers(cells: list[str]) -> list[str]:
    """Header names, trimmed and normalised; an empty one is named after its place, a repeated one numbered.

    >>> distinct_headers(["날짜", "금액", "금액", ""])
    ['날짜', '금액', '금액 (2)', 'column 4']
    """
    names: list[str] = []
    taken = {"_line", "_source", "_first"}
    for place, cell in enumerate(cells, start=1):
        plain = header_name(str(cell)).strip("\ufeff") or f"column {place}"
        name, copy = plain, 2
        while name.lower() in taken:  # the engine does not tell Amount from amount
            name, copy = f"{plain} ({copy})", copy + 1
        taken.add(name.lower())
        names.append(name)
    return names


def doubt(headers: list[str]) -> str:
    """A hint where the row read as header holds one name only, as a title does, or one for every second column, as the
    upper line of a merged header does; else an empty text.
    """
    named = [header for header in headers if not header.startswith("column ")]
    if len(named) > max(1, len(headers) / 2):
        return ""
    return (
        f'If "{", ".join(named or headers[:1])}" is a title, set `header_row` to the row of the header; another '
        "separator is set by `delimiter`."
    )
