"""Files as they come: encodings, headers, lines, total rows, workbooks, and the message where one cannot be read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import pytest

from crm_analysis import files, tables
from crm_analysis.errors import DataError, ProfileError
from crm_analysis.profile import Profile
from crm_analysis.tables.failures import hold_to_contracts
from tests.tables.conftest import GIFTS, HEADER, Workplace

LINE = "1,C1,서울,2026-03-01,1000"


def rows(profile: Profile, *columns: str) -> list[tuple[Any, ...]]:
    """Ingested transactions, file by file in the order of their lines."""
    tables.ingest(profile)
    made = [str(path) for path in (profile.build_dir / "tables" / "transactions").glob("*.parquet")]
    query = f"SELECT {', '.join(columns)} FROM read_parquet($1) ORDER BY _source, _line"
    return duckdb.connect().execute(query, [made]).fetchall()


def report(profile: Profile, table: str = "transactions") -> list[dict[str, Any]]:
    """What the ingest report says about the files of a table."""
    return files.read_json(profile.build_dir / "tables" / "ingest.json")["tables"][table]["files"]


def refused(profile: Profile) -> str:
    """The message with which ingest refuses; nothing may be left behind."""
    with pytest.raises((DataError, ProfileError)) as caught:
        tables.ingest(profile)
    assert not profile.build_dir.exists()
    return str(caught.value)


@pytest.mark.parametrize("declared", [False, True])
def test_korean_encodings(workplace: Workplace, declared: bool) -> None:
    guesses = {"cp949": "cp949", "euc-kr": "cp949", "utf-16": "utf-16", "utf-8": "utf-8", "utf-8-sig": "utf-8-sig"}
    sources = []
    for encoding in guesses:
        workplace.write(f"{encoding}.csv", f"{HEADER}\n{LINE}\n", encoding)
        sources.append({"files": [f"{encoding}.csv"], "columns": GIFTS, "encoding": encoding if declared else "auto"})
    profile = workplace.profile({"transactions": {"sources": sources}})
    assert rows(profile, "branch", "amount") == [("서울", 1000.0)] * len(guesses)
    expected = list(guesses if declared else guesses.values())
    assert [entry["encoding"] for entry in report(profile)] == expected


def test_wrong_encoding_names_line_byte_and_the_right_one(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"번호\n{LINE}\n", "cp949")
    source = {"files": ["gifts.csv"], "columns": GIFTS, "encoding": "utf-8"}
    assert refused(workplace.profile({"transactions": source})) == (
        "transactions: gifts.csv is not utf-8: line 1 holds the byte 0xB9 at position 0 of the file. It reads as "
        "cp949: write `encoding: cp949` (or auto) for this source in the profile."
    )


def test_utf8_declared_as_cp949_is_not_read_as_nonsense(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    source = {"files": ["gifts.csv"], "columns": GIFTS, "encoding": "cp949"}
    message = refused(workplace.profile({"transactions": source}))
    assert "It reads as utf-8" in message or "but it is UTF-8" in message


def test_neither_encoding(workplace: Workplace) -> None:
    (workplace.data / "gifts.csv").write_bytes(b"a,b\n1,2\n3,\xff\xff\n")
    assert refused(workplace.profile()) == (
        "transactions: gifts.csv is neither UTF-8 (line 3, byte 0xFF) nor cp949 (line 3, byte 0xFF). Say which it is "
        "under `encoding:` in the profile, or save the file as UTF-8."
    )


def test_unknown_encoding(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    source = {"files": ["gifts.csv"], "columns": GIFTS, "encoding": "utf-nine"}
    assert refused(workplace.profile({"transactions": source})) == (
        'transactions: "utf-nine" is not an encoding. Use auto, utf-8, cp949 or euc-kr under `encoding:` in the '
        "profile."
    )


def test_delimiters_are_found(workplace: Workplace) -> None:
    for number, sign in enumerate([",", ";", "\t", "|"]):
        workplace.write(f"gifts{number}.csv", f"{HEADER}\n{LINE}\n".replace(",", sign))
    profile = workplace.profile({"transactions": {"files": ["gifts*.csv"], "columns": GIFTS}})
    assert rows(profile, "customer_id", "amount") == [("C1", 1000.0)] * 4


def test_lines_count_the_header_and_empty_lines_and_line_breaks_in_cells(workplace: Workplace) -> None:
    profile = workplace.gifts(
        "1,C1,서울,2026-03-01,1",
        "",
        '2,"C\n2",서울,2026-03-01,2',
        "3,C3,서울,2026-03-01",
        ",,,,",
        "4,C4,서울,2026-03-01,4",
    )
    assert rows(profile, "_line", "transaction_id", "_source") == [
        (2, "1", "gifts.csv"), (4, "2", "gifts.csv"), (6, "3", "gifts.csv"), (8, "4", "gifts.csv")
    ]  # fmt: skip
    assert (report(profile)[0]["rows"], report(profile)[0]["blank_rows"]) == (4, 2)


def test_a_cell_too_many(workplace: Workplace) -> None:
    assert refused(workplace.gifts(LINE, "2,C1,서울,2026-03-01,1,000")) == (
        "transactions: line 3 of gifts.csv has 6 cells, the header has 5. A cell that holds the separator must stand "
        "in double quotes."
    )


@pytest.mark.parametrize("later", ["", ',"네, 좋아요"'])
def test_a_quotation_mark_that_is_never_closed_swallows_no_rows(workplace: Workplace, later: str) -> None:
    lines = [f"{number},C{number},서울,2026-03-01,5" for number in range(2, 9)]
    workplace.write(
        "gifts.csv",
        "\n".join([f"{HEADER},메모", f"{LINE},", f'{lines[0]},"감사', *lines[1:5], *[r + later for r in lines[5:]]]),
    )
    assert refused(workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": GIFTS}})) == (
        f"transactions: gifts.csv: the row in line 3 runs on to line {9 - bool(later)}, because a quotation mark opens "
        'a cell and is not closed before other rows. Close it, or double a mark that belongs to the text ("").'
    )


def test_blanks_of_no_width_are_no_part_of_a_cell(workplace: Workplace) -> None:
    profile = workplace.gifts("1,\u200bC1\u200e,\u2009서울\u00a0,\ufeff2026-03-01\u202f,1\u2009000")
    assert rows(profile, "customer_id", "branch", "amount") == [("C1", "서울", 1000.0)]


def test_a_note_of_several_lines_with_many_commas_is_a_note(workplace: Workplace) -> None:
    workplace.write(
        "gifts.csv", f'{HEADER},메모\n{LINE},"가\n나, 다, 라, 마, 바, ""사"", 아"\n2,C2,서울,2026-03-01,5,x\n'
    )
    profile = workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": {**GIFTS, "product": "메모"}}})
    assert rows(profile, "product") == [('가\n나, 다, 라, 마, 바, "사", 아',), ("x",)]


def test_the_upper_line_of_a_merged_header_is_named_as_what_it_may_be(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"고객,,,거래,\n{HEADER}\n{LINE}\n")
    assert refused(workplace.profile()).endswith(
        'Its headers: 고객, column 2, column 3, 거래, column 5. If "고객, 거래" is a title, set `header_row` to the '
        "row of the header; another separator is set by `delimiter`."
    )


def test_one_file_of_several_in_another_layout(workplace: Workplace) -> None:
    other = HEADER.replace("금액", "결제금액")
    workplace.write("gifts1.csv", f"{HEADER}\n{LINE}\n")
    workplace.write("gifts2.csv", f"{other}\n2,C2,서울,2026-03-01,5\n")
    assert refused(workplace.profile({"transactions": {"files": ["gifts*.csv"], "columns": GIFTS}})) == (
        'transactions.amount: gifts2.csv has no column "금액". Did you mean "결제금액"? Its headers: '
        f"{', '.join(other.split(','))}. If other files have it, list both layouts under tables.transactions.sources, "
        "each with its own `files` and `columns`."
    )
    apart = [
        {"files": ["gifts1.csv"], "columns": GIFTS},
        {"files": ["gifts2.csv"], "columns": {**GIFTS, "amount": "결제금액"}},
    ]
    assert rows(workplace.profile({"transactions": {"sources": apart}}), "amount") == [(1000.0,), (5.0,)]


def test_a_workbook_that_is_called_csv(workplace: Workplace) -> None:
    (workplace.data / "gifts.csv").write_bytes(b"PK\x03\x04rest")
    assert refused(workplace.profile()) == (
        "transactions: gifts.csv is no text but an Excel workbook or another packed file. Give a workbook its ending "
        ".xlsx and name it so under `files:` in the profile."
    )


@pytest.mark.parametrize("pattern", ["", "**.csv"])
def test_a_pattern_that_is_none(workplace: Workplace, pattern: str) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    assert refused(workplace.profile({"transactions": {"files": [pattern], "columns": GIFTS}})) == (
        f'transactions: "{pattern}" under `files:` in the profile is no pattern of file names. Write one such as '
        '"sales*.csv", or "**/sales*.csv" for the folders below too.'
    )


def test_a_file_may_be_named_without_a_list(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    assert rows(workplace.profile({"transactions": {"files": "gifts.csv", "columns": GIFTS}}), "amount") == [(1000.0,)]


@pytest.mark.parametrize("day", ["31/12/2026", "03.01.2026", "1-3-26", "26.03.01"])
def test_dates_that_only_their_owner_can_read_are_read_by_an_expression(workplace: Workplace, day: str) -> None:
    assert refused(workplace.gifts(f"1,C1,서울,{day},5")).endswith(
        f'(first: "{day}" in line 2 of gifts.csv). Which of its numbers is the year, the month and the day only you '
        "know: write, for example, `occurred_at: {expression: \"strptime(HEADER, '%d/%m/%Y')\"}` under "
        "tables.transactions.columns."
    )
    columns = {**GIFTS, "occurred_at": {"expression": "strptime(거래일자, '%d/%m/%Y')"}}
    workplace.write("gifts.csv", f"{HEADER}\n1,C1,서울,31/12/2026,5\n")
    found = rows(workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": columns}}), "occurred_at")
    assert str(found[0][0])[:10] == "2026-12-31"


@pytest.mark.parametrize("amount", ["12,5", "1.234,50", "€ 1.234,50"])
def test_amounts_with_a_comma_before_decimals_are_read_by_an_expression(workplace: Workplace, amount: str) -> None:
    assert refused(workplace.gifts(f'1,C1,서울,2026-03-01,"{amount}"')).endswith(
        f'(first: "{amount}" in line 2 of gifts.csv). Where a comma stands before decimals: write, for example, '
        "`amount: {expression: \"replace(replace(HEADER, '.', ''), ',', '.')\"}` under tables.transactions.columns."
    )
    columns = {**GIFTS, "amount": {"expression": "replace(replace(금액, '.', ''), ',', '.')"}}
    workplace.write("gifts.csv", f'{HEADER}\n1,C1,서울,2026-03-01,"1.234,50"\n')
    assert rows(workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": columns}}), "amount") == [
        (1234.5,)
    ]


def test_total_rows_at_the_end_are_dropped_and_counted(workplace: Workplace) -> None:
    labels = ["합계", "총계", "소 계", "합계:", "TOTAL", "Grand Total", "sum", "합계 (2건)", "총합계", "계"]
    for number, label in enumerate(labels):
        lines = [HEADER, LINE, "2,C2,서울,2026-03-01,5", f"{label},,,,1005", ",,,,", ""]
        workplace.write(f"gifts{number}.csv", "\n".join(lines))
    profile = workplace.profile({"transactions": {"files": ["gifts*.csv"], "columns": GIFTS}})
    assert rows(profile, "amount") == [(1000.0,), (5.0,)] * len(labels)
    assert [(entry["rows"], entry["total_rows"]) for entry in report(profile)] == [(2, 1)] * len(labels)


def test_a_customer_called_total_stays(workplace: Workplace) -> None:
    profile = workplace.gifts("total,C1,서울,2026-03-01,1000", LINE)
    assert rows(profile, "transaction_id") == [("total",), ("1",)]


def test_subtotals_inside_a_file_are_dropped(workplace: Workplace) -> None:
    profile = workplace.gifts(LINE, "소계,,,,1000", "2,C2,부산,2026-03-01,5", "소계,,,,5", "합계,,,,1005")
    assert rows(profile, "amount") == [(1000.0,), (5.0,)]
    assert report(profile)[0]["total_rows"] == 3


def test_repeated_and_empty_headers(workplace: Workplace) -> None:
    workplace.write(
        "gifts.csv", "번호,고객번호,지점,거래일자,금액,금액,,Fee,fee,_line\n1,C1,서울,2026-03-01,1000,7,x,3,4,5\n"
    )
    columns = {**GIFTS, "amount": "금액 (2)", "product": "column 7", "cost": "fee (2)", "quantity": "_line (2)"}
    profile = workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": columns}})
    assert rows(profile, "amount", "product", "cost", "quantity") == [(7.0, "x", 4.0, 5.0)]


def test_titles_above_the_header(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"2026년 후원 내역\n\n{HEADER}\n{LINE}\n")
    profile = workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": GIFTS, "header_row": 3}})
    assert rows(profile, "_line", "amount") == [(4, 1000.0)]


def test_a_file_without_header(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{LINE}\n")
    source = {"files": ["gifts.csv"], "columns": GIFTS, "header_row": None, "names": HEADER.split(",")}
    assert rows(workplace.profile({"transactions": source}), "_line", "amount") == [(1, 1000.0)]


def test_one_file_per_branch_by_glob(workplace: Workplace) -> None:
    workplace.write("branch/seoul.csv", f"{HEADER}\n{LINE}\n")
    workplace.write("branch/busan.csv", f"{HEADER}\n{LINE.replace('서울', '부산')}\n", "cp949")
    profile = workplace.profile({"transactions": {"files": ["branch/*.csv"], "columns": GIFTS}})
    assert sorted(rows(profile, "_source", "branch")) == [("branch/busan.csv", "부산"), ("branch/seoul.csv", "서울")]
    made = {path.name for path in (workplace.build / "tables" / "transactions").glob("*.parquet")}
    assert made == {"부산.parquet", "서울.parquet"}


def test_several_layouts_constants_values_and_expressions(workplace: Workplace) -> None:
    workplace.write("a.csv", 'id,who,day,gross,fee,type\n1,C1,20260301,"1,100",100,S\n2,C1,20260302,50,0,R\n')
    workplace.write("b.csv", f"{HEADER}\n{LINE}\n")
    first = {
        "files": ["a.csv"],
        "columns": {
            "transaction_id": "id", "customer_id": "who", "branch": {"constant": "webshop"}, "occurred_at": "day",
            "amount": {"expression": "as_amount(gross) - as_amount(fee)"},
            "kind": {"from": "type", "values": {"S": "sale", "R": "refund"}},
        },
    }  # fmt: skip
    profile = workplace.profile({"transactions": {"sources": [first, {"files": ["b.csv"], "columns": GIFTS}]}})
    assert sorted(rows(profile, "branch", "amount", "kind")) == [
        ("webshop", 50.0, "refund"), ("webshop", 1000.0, "sale"), ("서울", 1000.0, "gift")
    ]  # fmt: skip


def test_canonical_headers_need_no_mapping_and_other_rows_can_be_left_out(workplace: Workplace) -> None:
    workplace.write(
        "t.csv",
        "transaction_id,customer_id,branch,occurred_at,amount,kind,note\n"
        "1,C1,a,2026-03-01,5,gift,x\n2,,a,2026-03-01,5,pledge,\n",
    )
    profile = workplace.profile({"transactions": {"files": ["t.csv"], "where": "kind <> 'pledge'"}})
    assert rows(profile, "transaction_id", "product") == [("1", None)]
    opened = tables.open(profile)
    assert opened.columns("transactions") == {
        "transaction_id",
        "customer_id",
        "branch",
        "occurred_at",
        "amount",
        "kind",
    }
    assert opened.raw("transactions").schema()["margin"].is_floating()


def test_codes_that_mean_no_value(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n1,없음,서울,2026-03-01,1000\n")
    profile = workplace.profile(
        {"transactions": {"files": ["gifts.csv"], "columns": GIFTS, "missing": ["없음", "9999"]}}
    )
    assert rows(profile, "customer_id") == [(None,)]


def test_workbook_sheets_dates_serials_and_totals(workplace: Workplace) -> None:
    book = openpyxl.Workbook()
    for sheet, day in ((book.active, dt.datetime(2026, 3, 1, 14, 5)), (book.create_sheet("이월"), 46082)):
        sheet.append(HEADER.split(","))
        sheet.append([1, "C1", "서울", day, 1000.0])
        sheet.append(["합계", None, None, None, 1000])
    book.save(workplace.data / "gifts.xlsx")
    source = {"files": ["gifts.xlsx"], "columns": GIFTS}
    every = workplace.profile({"transactions": {**source, "sheet": "*"}})
    assert rows(every, "_source", "_line", "transaction_id", "occurred_at", "amount") == [
        ("gifts.xlsx [Sheet]", 2, "1", dt.datetime(2026, 3, 1, 14, 5), 1000.0),
        ("gifts.xlsx [이월]", 2, "1", dt.datetime(2026, 3, 1), 1000.0),
    ]
    assert [entry["total_rows"] for entry in report(every)] == [1, 1]
    for sheet in ("이월", 2):
        one = workplace.profile({"transactions": {**source, "sheet": sheet}})
        assert rows(one, "_source") == [("gifts.xlsx [이월]",)]


def test_missing_sheet_and_broken_workbook(workplace: Workplace) -> None:
    book = openpyxl.Workbook()
    book.active.title = "2026년"
    book.save(workplace.data / "gifts.xlsx")
    source = {"files": ["gifts.xlsx"], "columns": GIFTS}
    assert refused(workplace.profile({"transactions": {**source, "sheet": "2025년"}})) == (
        'transactions: gifts.xlsx has no sheet "2025년". Did you mean "2026년"?'
    )
    assert refused(workplace.profile({"transactions": {**source, "sheet": 2}})) == (
        "transactions: gifts.xlsx has 1 sheet, no sheet 2. Sheets: 2026년."
    )
    (workplace.data / "gifts.xlsx").write_bytes(b"not a workbook")
    assert refused(workplace.profile({"transactions": source})) == (
        "transactions: gifts.xlsx is not a readable Excel workbook. If it has a password, save it without one; if "
        "it is text, give it the ending .csv."
    )


def test_parquet_keeps_types_and_whole_number_identifiers(workplace: Workplace) -> None:
    frame = pd.DataFrame(
        {
            "번호": [1, 2], "고객번호": [17850.0, None], "지점": ["서울", "서울"],
            "거래일자": pd.to_datetime(["2026-03-01 08:26", "2026-03-02 00:00"]), "금액": [2.55, float("nan")],
        }
    )  # fmt: skip
    frame.to_parquet(workplace.data / "gifts.parquet")
    profile = workplace.profile({"transactions": {"files": ["gifts.parquet"], "columns": GIFTS}})
    found = rows(profile, "transaction_id", "customer_id", "occurred_at", "amount")
    assert found[0] == ("1", "17850", dt.datetime(2026, 3, 1, 8, 26), 2.55)
    assert found[1][1] is None and found[1][3] is None


@pytest.mark.parametrize("name", ["_line", "_source", "_first", "file_row_number", "금액  (원)"])
def test_parquet_columns_may_be_called_as_ours_are(workplace: Workplace, name: str) -> None:
    frame = pd.DataFrame(
        {
            "번호": ["1", "2"],
            "고객번호": ["C1", "C2"],
            "지점": ["서울"] * 2,
            "거래일자": ["2026-03-01"] * 2,
            name: [7, 8],
        }
    )
    frame.to_parquet(workplace.data / "gifts.parquet")
    shown = {"금액  (원)": "금액  (원)", "file_row_number": "file_row_number"}.get(name, f"{name} (2)")
    source = {"files": ["gifts.parquet"], "columns": {**GIFTS, "amount": shown}}
    assert rows(workplace.profile({"transactions": source}), "_line", "_source", "amount") == [
        (1, "gifts.parquet", 7), (2, "gifts.parquet", 8)
    ]  # fmt: skip


def test_parquet_moments_need_to_know_whose_clock_decides(workplace: Workplace) -> None:
    frame = pd.DataFrame(
        {"번호": ["1"], "고객번호": ["C1"], "지점": ["서울"], "거래일자": ["2026-02-28 16:00+00:00"], "금액": [1.0]}
    )
    frame["거래일자"] = pd.to_datetime(frame["거래일자"])
    frame.to_parquet(workplace.data / "gifts.parquet")
    source = {"files": ["gifts.parquet"], "columns": GIFTS}
    assert refused(workplace.profile({"transactions": source})).startswith(
        'transactions.occurred_at: "거래일자" of gifts.parquet holds moments with a time zone'
    )
    told = workplace.profile({"transactions": {**source, "time_zone": "Asia/Seoul"}})
    assert rows(told, "occurred_at") == [(dt.datetime(2026, 3, 1, 1, 0),)]


ZONED = ["1,C1,서울,2026-02-28T16:00:00Z,1", "2,C2,서울,2026-03-01,2", "3,C3,서울,2026-03-01 08:00 +09:00,3"]


def test_moments_in_text_need_to_know_whose_clock_decides(workplace: Workplace) -> None:
    workplace.gifts(*ZONED)
    source = {"files": ["gifts.csv"], "columns": GIFTS}
    assert refused(workplace.profile({"transactions": source})) == (
        'transactions.occurred_at: 2 of 3 cells hold moments with a time zone (first: "2026-02-28T16:00:00Z" in line 2 '
        "of gifts.csv), and which day a moment belongs to depends on whose clock is asked. Write it under "
        "tables.transactions in the profile, for example `time_zone: Asia/Seoul`."
    )
    told = workplace.profile({"transactions": {**source, "time_zone": "Asia/Seoul"}})
    assert rows(told, "occurred_at") == [
        (dt.datetime(2026, 3, 1, 1, 0),), (dt.datetime(2026, 3, 1),), (dt.datetime(2026, 3, 1, 8, 0),)
    ]  # fmt: skip


def test_moments_that_an_expression_reads_from_text_need_it_too(workplace: Workplace) -> None:
    workplace.gifts(*ZONED)
    columns = {**GIFTS, "occurred_at": {"expression": "coalesce(as_date(거래일자), DATE '2000-01-01')"}}
    source = {"files": ["gifts.csv"], "columns": columns}
    assert refused(workplace.profile({"transactions": source})) == (
        'transactions: gifts.csv: an expression reads a moment with a time zone ("2026-02-28T16:00:00Z"), and which '
        "day a moment belongs to depends on whose clock is asked. Write it under tables.transactions in the profile, "
        "for example `time_zone: Asia/Seoul`."
    )
    told = workplace.profile({"transactions": {**source, "time_zone": "Asia/Seoul"}})
    assert rows(told, "occurred_at") == [(dt.datetime(2026, 3, 1),)] * 3


def test_unreadable_cells_and_moments_are_told_apart(workplace: Workplace) -> None:
    message = refused(workplace.gifts(*ZONED[:2], "3,C3,서울,2026-13-01T00:00Z,1"))
    unreadable, moments = message.splitlines()
    assert '1 of 3 cells is not readable as dates (first: "2026-13-01T00:00Z" in line 4' in unreadable
    assert '1 of 3 cells holds a moment with a time zone (first: "2026-02-28T16:00:00Z" in line 2' in moments


def test_each_source_has_a_clock_of_its_own(workplace: Workplace) -> None:
    for name in ("a", "b"):
        workplace.write(f"{name}.csv", f"{HEADER}\n{ZONED[0]}\n")
    seoul = {"files": ["a.csv"], "columns": GIFTS, "time_zone": "Asia/Seoul"}
    london = {"files": ["b.csv"], "columns": GIFTS, "time_zone": "Europe/London"}
    assert rows(workplace.profile({"transactions": {"sources": [seoul, london]}}), "occurred_at") == [
        (dt.datetime(2026, 3, 1, 1, 0),), (dt.datetime(2026, 2, 28, 16, 0),)
    ]  # fmt: skip


def test_a_key_is_made_where_the_source_has_none(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n{LINE}\n")
    columns = {name: column for name, column in GIFTS.items() if name != "transaction_id"}
    profile = workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": columns}})
    made = [row[0] for row in rows(profile, "transaction_id")]
    assert len(set(made)) == 2 and all(made)


def two_amounts(files: list[str], **settings: Any) -> list[dict[str, Any]]:
    """Sources that read the same files twice: the gift in each line, and the fee in it."""
    common = {"customer_id": "who", "branch": {"constant": "a"}, "occurred_at": "day"}
    return [
        {"files": files, **settings, "columns": {**common, "amount": name, "kind": {"constant": kind}}}
        for name, kind in (("amt", "gift"), ("fee", "sale"))
    ]


@pytest.mark.slow
def test_a_file_that_two_sources_read_has_rows_of_two_numbers(workplace: Workplace) -> None:
    lines = [f"C{n},2026-03-{n % 28 + 1:02d},{-5 if n in (3, 9) else 10},3" for n in range(1, 41)]
    workplace.write("wide.csv", "\n".join(["who,day,amt,fee", *lines, "total,,390,120"]) + "\n")
    profile = workplace.profile(
        {"transactions": {"sources": two_amounts(["wide.csv"])}}, coverage={"data_ends_on": "2026-03-31"}
    )
    found = rows(profile, "_row", "transaction_id", "kind")
    assert len({row for row, _, _ in found}) == len({key for _, key, _ in found}) == 80
    assert [(entry["rows"], entry["total_rows"]) for entry in report(profile)] == [(40, 1)] * 2
    checked = hold_to_contracts(tables.open(profile))
    (negative,) = [item for item in checked.results if item.rule.id == "transactions_amount_negative"]
    assert (negative.rows_failed, negative.rows_checked) == (2, 80)
    assert negative.examples[0].endswith("(wide.csv, line 4)")
    opened = tables.open(profile)
    assert opened.accepted("transactions").count().execute() == 78
    assert opened.set_aside("transactions").count().execute() == 2


def test_a_file_keeps_its_numbers_when_a_second_source_comes_to_read_it(workplace: Workplace) -> None:
    workplace.write("wide.csv", "who,day,amt,fee\nC1,2026-03-01,10,3\n")
    workplace.write("other.csv", "who,day,amt,fee\nC1,2026-03-01,10,3\n")
    gifts, fees = two_amounts(["*.csv"])
    before = rows(workplace.profile({"transactions": {"sources": [gifts]}}), "_source", "_row")
    both = workplace.profile({"transactions": {"sources": [gifts, fees]}})
    assert set(before) < set(rows(both, "_source", "_row"))


def test_sheets_of_a_workbook_may_have_a_source_each(workplace: Workplace) -> None:
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("fees")):
        sheet.append(["who", "day", "amt", "fee"])
        sheet.append(["C1", "2026-03-01", 10, 3])
    book.save(workplace.data / "wide.xlsx")
    sources = [{**source, "sheet": n} for n, source in enumerate(two_amounts(["wide.xlsx"]), start=1)]
    found = rows(workplace.profile({"transactions": {"sources": sources}}), "_source", "_row", "amount")
    assert len({row for _, row, _ in found}) == 2
    assert [(source, amount) for source, _, amount in found] == [("wide.xlsx [Sheet]", 10), ("wide.xlsx [fees]", 3)]


def test_a_message_counts_the_cells_of_both_sources_once(workplace: Workplace) -> None:
    workplace.write("wide.csv", "who,day,amt,fee\nC1,2026-03-01,much,3\nC2,2026-03-01,10,3\n")
    message = refused(workplace.profile({"transactions": {"sources": two_amounts(["wide.csv"])}}))
    assert message.startswith('transactions.amount: 1 of 4 cells is not readable as amounts (first: "much" in line 2')


def test_list_prices_are_converted_once(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER},할인\n{LINE},200\n2,C1,서울,2026-03-01,50,\n")
    profile = workplace.profile(
        {"transactions": {"files": ["gifts.csv"], "columns": {**GIFTS, "discount": "할인"}}},
        margin={"list_prices": True},
    )
    assert rows(profile, "amount", "discount")[0] == (800.0, 200.0)
    assert rows(profile, "amount")[1] == (50.0,)


def test_missing_file_names_the_nearest(workplace: Workplace) -> None:
    workplace.write("gift.csv", f"{HEADER}\n{LINE}\n")
    assert refused(workplace.profile()) == (
        f'transactions: no file matches "gifts.csv" in {workplace.data}. Did you mean "gift.csv"?'
    )
    profile = workplace.profile(data_root=workplace.data / "elsewhere")
    assert refused(profile) == (
        f'transactions: no file matches "gifts.csv" in {workplace.data}/elsewhere. The folder does not exist: set '
        "`data` in "
        "the profile, or give --data."
    )


def test_missing_required_column(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    columns = {name: column for name, column in GIFTS.items() if name != "amount"}
    assert refused(workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": columns}})) == (
        "transactions.amount: the required column is missing in gifts.csv. Its headers: 번호, 고객번호, 지점, "
        "거래일자, 금액. Map one to `amount` under tables.transactions.columns in the profile."
    )


def test_mapped_header_that_is_not_there(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    columns = {**GIFTS, "occurred_at": "거래일"}
    assert refused(workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": columns}})) == (
        'transactions.occurred_at: gifts.csv has no column "거래일". Did you mean "거래일자"? Its headers: 번호, '
        "고객번호, "
        "지점, 거래일자, 금액."
    )


def test_unknown_canonical_column_and_table(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    source = {"files": ["gifts.csv"], "columns": {**GIFTS, "occured_at": "거래일자"}}
    assert refused(workplace.profile({"transactions": source})) == (
        'tables.transactions.columns: `occured_at` is not a column of transactions. Did you mean "occurred_at"? See '
        "data_contracts/transactions.yaml."
    )
    good = {"files": ["gifts.csv"], "columns": GIFTS}
    message = refused(workplace.profile({"transactions": good, "donors": good}))
    assert message.startswith(f"{workplace.data}/test.yaml: tables.donors is not a canonical table. Tables: branches,")


def test_expression_that_cannot_be_used(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n{LINE}\n")
    source = {"files": ["gifts.csv"], "columns": {**GIFTS, "amount": {"expression": "as_amount(없는열)"}}}
    told = "tables.transactions.columns.amount: the expression {} cannot be used on gifts.csv: {}"
    assert refused(workplace.profile({"transactions": source})) == told.format(
        "(as_amount(없는열))", 'it has no column "없는열". Its headers: 번호, 고객번호, 지점, 거래일자, 금액.'
    )
    source["columns"]["amount"] = {"expression": "as_amount(거래일)"}
    assert refused(workplace.profile({"transactions": source})) == told.format(
        "(as_amount(거래일))", 'it has no column "거래일". Did you mean "거래일자"?'
    )
    source["columns"]["amount"] = {"expression": "no_such_function(금액)"}
    assert refused(workplace.profile({"transactions": source})).startswith(
        told.format("(no_such_function(금액))", "Catalog Error: ")
    )


def test_unreadable_dates_and_amounts_are_all_named_at_once(workplace: Workplace) -> None:
    profile = workplace.gifts(LINE, "2,C1,서울,2026-13-01,일천원", "3,C1,서울,31/12/2026,5")
    assert refused(profile) == (
        'transactions.occurred_at: 2 of 3 cells are not readable as dates (first: "2026-13-01" in line 3 of '
        'gifts.csv). Correct the source, or list codes that mean "no value" under `missing:` of tables.transactions in '
        'the profile.\ntransactions.amount: 1 of 3 cells is not readable as amounts (first: "일천원" in line 3 of '
        'gifts.csv). Correct the source, or list codes that mean "no value" under `missing:` of tables.transactions in '
        "the profile."
    )


@pytest.mark.parametrize("text", ["", f"{HEADER}\n", f"{HEADER}\n합계,,,,0\n"])
def test_empty_table(workplace: Workplace, text: str) -> None:
    workplace.write("gifts.csv", text)
    assert refused(workplace.profile()) in (
        "transactions: gifts.csv is empty, even of a header. Export it again, or move it out of the folder.",
        "transactions: gifts.csv holds no rows. Export it again, or take the table out of the profile.",
    )


def test_two_currencies(workplace: Workplace) -> None:
    profile = workplace.gifts('1,C1,서울,2026-03-01,"1,000원"', "2,C1,서울,2026-03-02,$5")
    assert refused(profile) == (
        "transactions: the profile's currency is KRW, but 1 of 2 rows carries $ (first: line 3 of gifts.csv). One "
        "profile has one currency: convert the amounts, or keep the other currency in a profile of its own."
    )


def test_a_currency_column_is_compared_and_not_kept(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER},통화\n{LINE},krw\n2,C2,서울,2026-03-01,5,KRW\n")
    settings = {"transactions": {"files": ["gifts.csv"], "columns": {**GIFTS, "currency": "통화"}}}
    assert rows(workplace.profile(settings), "amount") == [(1000.0,), (5.0,)]
    workplace.write("more.csv", f"{HEADER},통화\n{LINE},KRW\n2,C2,서울,2026-03-01,5,USD\n")
    settings["transactions"]["files"] = ["more.csv"]
    with pytest.raises(DataError, match="the profile's currency is KRW, but 1 of 2 rows carries USD"):
        tables.ingest(workplace.profile(settings))


def test_a_dollar_is_any_dollar(workplace: Workplace) -> None:
    workplace.write("gifts.csv", f"{HEADER}\n1,C1,a,2026-03-01,$5\n")
    assert rows(workplace.profile(currency="CAD"), "amount") == [(5.0,)]
