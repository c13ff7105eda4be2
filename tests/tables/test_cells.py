"""Every spelling of a date or amount that the module promises to read gives the value that was written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_analysis.tables import cells

DATE_SPELLINGS = {
    "20260301": lambda d: f"{d:%Y%m%d}",
    "2026.03.01": lambda d: f"{d:%Y.%m.%d}",
    "2026. 3. 1.": lambda d: f"{d.year}. {d.month}. {d.day}.",
    "2026. 3. 1": lambda d: f"{d.year}. {d.month}. {d.day}",
    "2026.3.1": lambda d: f"{d.year}.{d.month}.{d.day}",
    "2026-03-01": lambda d: f"{d:%Y-%m-%d}",
    "2026-3-1": lambda d: f"{d.year}-{d.month}-{d.day}",
    "2026/03/01": lambda d: f"{d:%Y/%m/%d}",
    "2026년 3월 1일": lambda d: f"{d.year}년 {d.month}월 {d.day}일",
    "2026년03월01일": lambda d: f"{d:%Y년%m월%d일}",
    "2026-03-01(일)": lambda d: f"{d:%Y-%m-%d}({'월화수목금토일'[d.weekday()]})",
    "Excel serial": lambda d: str((d - date(1899, 12, 30)).days),
}
TIME_SPELLINGS = {
    "2026-03-01 14:05": lambda t: f"{t:%Y-%m-%d %H:%M}",
    "2026-03-01 14:05:09": lambda t: f"{t:%Y-%m-%d %H:%M}:00",
    "2026.03.01 14:05": lambda t: f"{t:%Y.%m.%d %H:%M}",
    "2026. 3. 1. 14:05": lambda t: f"{t.year}. {t.month}. {t.day}. {t.hour}:{t:%M}",
    "2026/03/01 14:05:09": lambda t: f"{t:%Y/%m/%d %H:%M}:00",
    "2026년 3월 1일 14시 5분": lambda t: f"{t.year}년 {t.month}월 {t.day}일 {t.hour}시 {t.minute}분",
    "202603011405": lambda t: f"{t:%Y%m%d%H%M}",
    "20260301140509": lambda t: f"{t:%Y%m%d%H%M}00",
    "2026-03-01 오후 2:05": lambda t: f"{t:%Y-%m-%d} {'오전' if t.hour < 12 else '오후'} {t.hour % 12 or 12}:{t:%M}",
    "2026-03-01 2:05 PM": lambda t: f"{t:%Y-%m-%d} {t.hour % 12 or 12}:{t:%M} {'AM' if t.hour < 12 else 'PM'}",
    "Excel serial": lambda t: repr((t - datetime(1899, 12, 30)) / timedelta(days=1)),
}
MOMENT_SPELLINGS = {
    "2026-03-01T05:05:09Z": lambda t: f"{t:%Y-%m-%dT%H:%M}:00Z",
    "2026-03-01T05:05:09.123Z": lambda t: f"{t:%Y-%m-%dT%H:%M}:00.000Z",
    "2026-03-01 05:05:09 UTC": lambda t: f"{t:%Y-%m-%d %H:%M}:00 UTC",
    "2026.03.01 05:05 GMT": lambda t: f"{t:%Y.%m.%d %H:%M} GMT",
    "2026-03-01T05:05:09+00:00": lambda t: f"{t:%Y-%m-%dT%H:%M}:00+00:00",
    "2026년 3월 1일 5시 5분 +0000": lambda t: f"{t.year}년 {t.month}월 {t.day}일 {t.hour}시 {t.minute}분 +0000",
    "2026-03-01 14:05+09": lambda t: f"{t + timedelta(hours=9):%Y-%m-%d %H:%M}+09",
    "2026-02-28T23:35:09-05:30": lambda t: f"{t - timedelta(hours=5, minutes=30):%Y-%m-%dT%H:%M}:00-05:30",
}
AMOUNT_SPELLINGS = {
    "1234": lambda n: f"{n}",
    "1,234원": lambda n: f"{n:,}원",
    "1,234 원": lambda n: f"{n:,} 원",
    "₩1,234": lambda n: f"₩{n:,}",
    "₩ 1,234": lambda n: f"₩ {n:,}",
    "KRW 1,234": lambda n: f"KRW {n:,}",
    "1,234.00": lambda n: f"{n:,}.00",
    "+1,234": lambda n: f"+{n:,}",
    **{
        f"1 234 with U+{ord(blank):04X}": lambda n, blank=blank: f"{n:,}{blank}원".replace(",", blank)
        for blank in " \u00a0\u2009\u202f\u2007\u200b\u3000"
    },
}
NEGATIVE_SPELLINGS = {
    "-1,234": lambda n: f"-{n:,}",
    "(1,234)": lambda n: f"({n:,})",
    "(₩1,234)": lambda n: f"(₩{n:,})",
    "1,234-": lambda n: f"{n:,}-",
    "△1,234": lambda n: f"△{n:,}",
    "▲ 1,234원": lambda n: f"▲ {n:,}원",
    "−1,234": lambda n: f"−{n:,}",
    "-₩1,234": lambda n: f"-₩{n:,}",
}
con = duckdb.connect()
cells.install(con)


def read(macro: str, text: str | None) -> object:
    """The value of one cell."""
    return con.execute(f"SELECT {macro}(CAST($1 AS VARCHAR))", [text]).fetchone()[0]


def read_all(macro: str, spellings: dict[str, Callable[[Any], str]], value: object) -> dict[str, object]:
    """What each spelling of a value is read as."""
    texts = {name: spell(value) for name, spell in spellings.items()}
    rows = con.execute(f"SELECT {macro}(t) FROM (SELECT unnest($1) AS t)", [list(texts.values())]).fetchall()
    return dict(zip(texts, (row[0] for row in rows), strict=True))


@settings(max_examples=60, deadline=None)
@given(day=st.dates(date(1930, 1, 1), date(2099, 12, 31)))
def test_dates_come_back(day: date) -> None:
    assert read_all("as_date", DATE_SPELLINGS, day) == dict.fromkeys(DATE_SPELLINGS, day)


@settings(max_examples=60, deadline=None)
@given(moment=st.datetimes(datetime(1950, 1, 1), datetime(2099, 12, 31)))
def test_times_come_back_to_the_minute(moment: datetime) -> None:
    moment = moment.replace(second=0, microsecond=0)
    assert read_all("as_timestamp", TIME_SPELLINGS, moment) == dict.fromkeys(TIME_SPELLINGS, moment)


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York", "UTC"])
@settings(max_examples=20, deadline=None)
@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2035, 12, 31)))
def test_moments_are_what_the_clock_of_a_time_zone_showed(zone: str, moment: datetime) -> None:
    moment = moment.replace(second=0, microsecond=0)
    shown = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    cells.set_clock(con, zone)
    try:
        assert read_all("as_timestamp", MOMENT_SPELLINGS, moment) == dict.fromkeys(MOMENT_SPELLINGS, shown)
        assert read_all("as_date", MOMENT_SPELLINGS, moment) == dict.fromkeys(MOMENT_SPELLINGS, shown.date())
        month = shown.date().replace(day=1)
        assert read_all("as_month", MOMENT_SPELLINGS, moment) == dict.fromkeys(MOMENT_SPELLINGS, month)
    finally:
        cells.set_clock(con, None)


@pytest.mark.parametrize("macro", ["as_timestamp", "as_date", "as_month"])
def test_a_moment_without_a_time_zone_to_read_it_by_is_an_error(macro: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="a moment without whose clock: 2026-03-01T14:05:09Z"):
        read(macro, "2026-03-01T14:05:09Z")
    assert read("timestamp_of", "2026-03-01T14:05:09Z") is None


@settings(max_examples=60, deadline=None)
@given(amount=st.integers(1, 10**12))
def test_amounts_come_back(amount: int) -> None:
    assert read_all("as_amount", AMOUNT_SPELLINGS, amount) == dict.fromkeys(AMOUNT_SPELLINGS, amount)
    assert read_all("as_amount", NEGATIVE_SPELLINGS, amount) == dict.fromkeys(NEGATIVE_SPELLINGS, -amount)


@settings(max_examples=60, deadline=None)
@given(amount=st.floats(-1e15, 1e15, allow_nan=False))
def test_plain_numbers_come_back_exactly(amount: float) -> None:
    assert read("as_amount", repr(amount)) == amount


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=30) | st.from_regex(r"[-+.,:/() 0-9년월일원TZ]{0,20}", fullmatch=True)))
def test_no_text_breaks_a_reader(texts: list[str]) -> None:
    texts = [text.replace("\x00", "") for text in texts]
    for macro in ("timestamp_of", "month_of", "moment", "as_amount", "as_count", "as_flag", "currency_of"):
        con.execute(f"SELECT {macro}(t) FROM (SELECT unnest($1) AS t)", [texts]).fetchall()


@pytest.mark.parametrize(
    "text",
    ["2026-13-01", "2026-02-30", "20261301", "26-03-01", "01/03/2026", "3/1/2026", "2026-03", "x", "infinity", "epoch",
     "2026-03-01 25:00", "2026-03-01 25:00Z", "2026-03-01 14:05+19", "2026-03-01 14:05 KST", "2026-03-01 14:057",
     "1234", "2026-03-01 (BC)", "2026-03-01 오후 14:05"],
)  # fmt: skip
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    assert read("as_timestamp", text) is None


@pytest.mark.parametrize(
    "text",
    ["1,23", "12,34,567", "1.234,56", "1천원", "1,234만원", "nan", "inf", "1_000", "abc", "--5", "(5", "5)", "1 - 2"],
)
def test_what_is_no_amount_is_not_guessed(text: str) -> None:
    assert read("as_amount", text) is None


def test_a_dash_alone_is_zero_as_accountants_write_it() -> None:
    assert read("as_amount", "-") == 0.0


@pytest.mark.parametrize("text", ["2026-03", "2026.3", "202603", "2026년 3월", "2026-03-01", "20260315"])
def test_months(text: str) -> None:
    assert read("as_month", text) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "value"), [("Y", True), ("예", True), ("1", True), ("아니오", False), ("N", False), ("?", None)]
)
def test_flags(text: str, value: bool | None) -> None:
    assert read("as_flag", text) is value


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1,234원", "KRW"), ("₩1", "KRW"), ("$5", "$"), ("US$5", "USD"), ("5 EUR", "EUR"), ("£5", "GBP"), ("¥5", "¥"),
     ("1,234", None), ("(5)", None)],
)  # fmt: skip
def test_currency_marks(text: str, currency: str | None) -> None:
    assert read("currency_of", text) == currency


def test_whole_numbers_do_not_lose_digits() -> None:
    assert read("as_count", "9007199254740993") == 9007199254740993
    assert read("as_count", "12.0") == 12
    assert read("as_count", "12.5") is None
