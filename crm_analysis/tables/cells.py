"""What a cell of an export means: dates, amounts, counts and yes/no in the spellings real files hold, as SQL macros.

The macros take trimmed text, give NULL for what they cannot read, and may be used in a profile's expressions:

`as_timestamp(t)`  `20260301`, `2026.03.01`, `2026. 3. 1.`, `2026/03/01`, `2026년 3월 1일`, `2026-03-01 14:05`,
                   `2026-03-01 오후 2:05`, `20260301140500`, Excel serial days (`46082`, `46082.5`). A clock with its
                   zone (`2026-03-01T05:05:00Z`, `2026-03-01 14:05 +09:00`) is a moment: it becomes what the clock of
                   the source's `time_zone` showed then, and is an error where none is given. Two-digit years and
                   day-first dates are not read, because nobody can know what they mean.
`as_month(t)`      the same and `2026-03`, `2026.3`, `202603`, `2026년 3월`: the first day of the month
`as_amount(t)`     `1,234,000원`, `₩1,234`, `(1,200)`, `1,200-`, `△1,200`, `-` (zero), `1234.5`. Commas must stand
                   between groups of three digits.
`as_count(t)`      a whole number
`as_flag(t)`       y, yes, true, 1, 예, 동의 ... or n, no, false, 0, 아니오, 거부 ...
`currency_of(t)`   the currency that an amount is marked with: KRW, USD, EUR, GBP, JPY/CNY (¥); NULL where unmarked
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_DATE = r"(\d{4})\s*[-./년]\s*(\d{1,2})\s*[-./월]\s*(\d{1,2})\s*[.일]?\s*(?:\([월화수목금토일]\))?"
_CLOCK = r"(\d{1,2}\s*[:시]\s*\d{1,2}(?:\s*[:분]\s*\d{1,2}(?:\.\d{1,9})?)?)\s*[분초]?"
_ZONE = r"\s*(Z|UTC|GMT|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)"
_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_MARKS = r"KRW|USD|EUR|GBP|JPY|CNY|US\$|원|₩|￦|\\|\$|€|£|¥|￥|円|元"
_YES = "'y','yes','true','t','1','o','예','네','동의','유'"
_NO = "'n','no','false','f','0','x','아니오','아니요','거부','미동의','무'"

WITHOUT_CLOCK = "a moment without whose clock: "
MOMENT = "TIMESTAMP WITH TIME ZONE"
_SPACES = (0x20, 0x09, 0x0A, 0x0C, 0x0D, 0xA0, *range(0x2000, 0x2010), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)
"""Blanks, narrow ones and ones of no width included, as web pages and office programs leave them around text."""
SPACE = "'" + "".join(map(chr, _SPACES)) + "'"

MACROS = (
    f"""CREATE OR REPLACE TEMP MACRO dated(t) AS TRY_CAST(CASE
        WHEN regexp_full_match(t, '{_DATE}') THEN regexp_replace(t, '^{_DATE}$', '\\1-\\2-\\3')
        WHEN regexp_full_match(t, '{_DATE}[T ,]*{_CLOCK}') THEN regexp_replace(regexp_replace(
            t, '^{_DATE}[T ,]*{_CLOCK}$', '\\1-\\2-\\3 \\4'), '\\s*[:시분]\\s*', ':', 'g')
        WHEN regexp_full_match(t, '\\d{{8}}(?:\\.0)?')
            THEN substr(t, 1, 4) || '-' || substr(t, 5, 2) || '-' || substr(t, 7, 2)
        WHEN regexp_full_match(t, '\\d{{12}}|\\d{{14}}')
            THEN substr(t, 1, 4) || '-' || substr(t, 5, 2) || '-' || substr(t, 7, 2) || ' ' || substr(t, 9, 2) || ':'
                || substr(t, 11, 2) || ':' || rpad(substr(t, 13, 2), 2, '0')
        END AS TIMESTAMP)""",
    f"""CREATE OR REPLACE TEMP MACRO moment(t) AS TRY_CAST(CASE
        WHEN regexp_full_match(t, '{_DATE}[T ,]*{_CLOCK}{_ZONE}') THEN regexp_replace(regexp_replace(regexp_replace(t,
            '^{_DATE}[T ,]*{_CLOCK}{_ZONE}$', '\\1-\\2-\\3 \\4\\5'), '\\s*[:시분]\\s*', ':', 'g'), 'Z|UTC|GMT', '+00')
        END AS TIMESTAMPTZ)""",
    f"""CREATE OR REPLACE TEMP MACRO twelve_hours(t) AS try_strptime(
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(t,
            '^{_DATE}\\s*(오전|오후|AM|PM|am|pm)\\s*{_CLOCK}$', '\\1-\\2-\\3 \\5 \\4'),
            '^{_DATE}\\s*{_CLOCK}\\s*(AM|PM|am|pm)$', '\\1-\\2-\\3 \\4 \\5'),
            '오전', 'AM'), '오후', 'PM'),
        ['%Y-%m-%d %I:%M:%S %p', '%Y-%m-%d %I:%M %p'])""",
    """CREATE OR REPLACE TEMP MACRO serial_day(t) AS
        TIMESTAMP '1899-12-30' + to_seconds(CAST(round(CAST(t AS DOUBLE) * 86400) AS BIGINT))""",
    """CREATE OR REPLACE TEMP MACRO timestamp_of(t) AS CASE
        WHEN t IS NULL THEN NULL
        WHEN regexp_full_match(t, '\\d{4}-\\d{1,2}-\\d{1,2}(?: \\d{1,2}:\\d{2}(?::\\d{2})?)?')
            THEN TRY_CAST(t AS TIMESTAMP)
        WHEN regexp_full_match(t, '\\d{4}[./]\\d{1,2}[./]\\d{1,2}') THEN TRY_CAST(translate(t, './', '--') AS TIMESTAMP)
        WHEN regexp_full_match(t, '\\d{5}(?:\\.\\d+)?') THEN serial_day(t)
        WHEN regexp_matches(t, '[AaPp][Mm]|오[전후]') THEN twelve_hours(t)
        ELSE coalesce(dated(t), on_clock(moment(t))) END""",
    f"""CREATE OR REPLACE TEMP MACRO clocked(stamp, t) AS CASE
        WHEN stamp IS NULL AND moment(t) IS NOT NULL THEN error('{WITHOUT_CLOCK}' || t) ELSE stamp END""",
    """CREATE OR REPLACE TEMP MACRO as_timestamp(t) AS clocked(timestamp_of(t), t)""",
    """CREATE OR REPLACE TEMP MACRO date_of(t) AS CAST(timestamp_of(t) AS DATE)""",
    """CREATE OR REPLACE TEMP MACRO as_date(t) AS CAST(as_timestamp(t) AS DATE)""",
    """CREATE OR REPLACE TEMP MACRO month_of(t) AS CAST(date_trunc('month', coalesce(
        TRY_CAST(CASE WHEN regexp_full_match(t, '\\d{6}') THEN substr(t, 1, 4) || '-' || substr(t, 5, 2) || '-1'
        WHEN regexp_full_match(t, '\\d{4}\\s*[-./년]\\s*\\d{1,2}\\s*[.월]?')
            THEN regexp_replace(t, '^(\\d{4})\\s*[-./년]\\s*(\\d{1,2})\\s*[.월]?$', '\\1-\\2-1') END AS TIMESTAMP),
        timestamp_of(t))) AS DATE)""",
    """CREATE OR REPLACE TEMP MACRO as_month(t) AS clocked(month_of(t), t)""",
    f"""CREATE OR REPLACE TEMP MACRO unmarked(t) AS regexp_replace(
        regexp_replace(translate(t, {SPACE}, ''), '{_MARKS}|,*$', '', 'gi'),
        '^(?:\\(([0-9.,]+)\\)|[-−–△▲]([0-9.,]+)|([0-9.,]+)[-−])$', '-\\1\\2\\3')""",
    """CREATE OR REPLACE TEMP MACRO grouped(t) AS CASE
        WHEN regexp_full_match(t, '[+-]?(?:\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\.\\d*)?|[+-]?\\.\\d+')
            THEN TRY_CAST(replace(t, ',', '') AS DOUBLE)
        WHEN t IN ('-', '−', '–') THEN 0.0 END""",
    f"""CREATE OR REPLACE TEMP MACRO as_amount(t) AS CASE
        WHEN t IS NULL THEN NULL
        WHEN regexp_full_match(t, '{_PLAIN}') THEN TRY_CAST(t AS DOUBLE)
        WHEN regexp_full_match(t, '₩?\\d{{1,3}}(?:,\\d{{3}})*원?') THEN TRY_CAST(translate(t, ',₩원', '') AS DOUBLE)
        ELSE grouped(unmarked(t)) END""",
    """CREATE OR REPLACE TEMP MACRO as_count(t) AS CASE
        WHEN t IS NULL THEN NULL
        WHEN regexp_full_match(t, '[+-]?\\d{1,18}') THEN TRY_CAST(t AS BIGINT)
        WHEN as_amount(t) = trunc(as_amount(t)) THEN TRY_CAST(as_amount(t) AS BIGINT) END""",
    f"""CREATE OR REPLACE TEMP MACRO as_flag(t) AS CASE
        WHEN lower(t) IN ({_YES}) THEN true WHEN lower(t) IN ({_NO}) THEN false END""",
    """CREATE OR REPLACE TEMP MACRO currency_of(t) AS CASE
        WHEN t IS NULL OR regexp_full_match(t, '[-+0-9.,() ]*') THEN NULL
        WHEN regexp_matches(t, '원|₩|￦|KRW', 'i') THEN 'KRW'
        WHEN regexp_matches(t, '€|EUR', 'i') THEN 'EUR'
        WHEN regexp_matches(t, '£|GBP', 'i') THEN 'GBP'
        WHEN regexp_matches(t, 'JPY|円', 'i') THEN 'JPY'
        WHEN regexp_matches(t, 'CNY|元', 'i') THEN 'CNY'
        WHEN regexp_matches(t, '¥|￥', 'i') THEN '¥'
        WHEN regexp_matches(t, 'USD|US\\$', 'i') THEN 'USD'
        WHEN contains(t, '$') THEN '$' END""",
)

SAME_CURRENCY = {
    "$": {"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "BRL", "CLP", "COP", "ARS"},
    "¥": {"JPY", "CNY"},
}


def install(con: Any) -> None:
    """Define the macros on a DuckDB connection."""
    for macro in MACROS:
        con.execute(macro)
    set_clock(con, None)


def set_clock(con: Any, time_zone: str | None) -> None:
    """From now on moments become what the clock of a time zone shows; without one they are not read."""
    shown = "CAST(NULL AS TIMESTAMP)" if time_zone is None else f"timezone({text(time_zone)}, m)"
    con.execute(f"CREATE OR REPLACE TEMP MACRO on_clock(m) AS {shown}")


def mentions(sql: str, name: str) -> bool:
    """Whether an SQL text may name a column: as a whole word, in whatever case.

    >>> mentions("upper(surname)", "Surname"), mentions("upper(surname)", "name")
    (True, False)
    """
    return any(
        re.search(rf"(?<!\w){re.escape(spelt)}(?!\w)", sql, re.IGNORECASE) for spelt in (name, name.replace('"', '""'))
    )


def text(value: str) -> str:
    """An SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """An SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def renamed(columns: Sequence[str], headers: Sequence[str]) -> str:
    """The list of a SELECT that gives columns other names."""
    return ", ".join(f"{name(old)} AS {name(new)}" for old, new in zip(columns, headers, strict=True))


def path(value: object) -> str:
    """An SQL text literal for one file, whatever signs its path holds."""
    return text("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(value)))


def trimmed(column: str, missing: Sequence[str] = ()) -> str:
    """SQL that trims a text column; empty cells and the codes in `missing` become NULL."""
    cell = f"nullif(trim({column}, {SPACE}), '')"
    if not missing:
        return cell
    codes = ", ".join(text(code.strip()) for code in missing)
    return f"CASE WHEN {cell} NOT IN ({codes}) THEN {cell} END"


_READ = {
    "date": "date_of",
    "timestamp": "timestamp_of",
    "number": "as_amount",
    "integer": "as_count",
    "boolean": "as_flag",
}
DATES = ("date", "timestamp")
TYPES = {
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "number": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
}


def converted(expression: str, source_type: str, logical_type: str, *, month: bool = False) -> tuple[str, bool]:
    """SQL that turns `expression`, of a DuckDB type, into a logical type; and whether a cell of it can fail."""
    source = source_type.upper()
    numeric = source in ("FLOAT", "DOUBLE") or source.startswith("DECIMAL")
    whole = source.endswith("INT") or source == "INTEGER"
    as_text = f"CAST({expression} AS VARCHAR)"
    if numeric:
        as_text = f"CASE WHEN isfinite(CAST({expression} AS DOUBLE)) THEN regexp_replace({as_text}, '\\.0+$', '') END"
    if logical_type == "string":
        return (expression if source == "VARCHAR" else as_text), False
    if logical_type in DATES and source == MOMENT:
        return f"CAST(on_clock({expression}) AS {TYPES[logical_type]})", False
    if logical_type in DATES and (source == "DATE" or source.startswith("TIMESTAMP")):
        return f"CAST({expression} AS {TYPES[logical_type]})", False
    if logical_type == "number" and (numeric or whole):
        return f"CASE WHEN isfinite(CAST({expression} AS DOUBLE)) THEN CAST({expression} AS DOUBLE) END", False
    if logical_type == "integer" and whole:
        return f"CAST({expression} AS BIGINT)", False
    if logical_type == "boolean" and source == "BOOLEAN":
        return expression, False
    reader = "month_of" if month else _READ[logical_type]
    return f"{reader}({expression if source == 'VARCHAR' else as_text})", True
