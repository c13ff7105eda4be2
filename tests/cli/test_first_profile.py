"""From an export as it comes to a report, by what README says and by nothing else: init, fill in, check, report."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def visits() -> list[tuple[int, date, int]]:
    """Customer, day and amount of some 900 purchases in fifteen months, by day."""
    rng = np.random.default_rng(11)
    rows = []
    for customer in range(120):
        day = date(2025, 1, 2) + timedelta(days=int(rng.integers(0, 120)))
        while day <= date(2026, 3, 31):
            rows.append((customer, day, 1000 * int(rng.integers(2, 60))))
            day += timedelta(days=int(rng.exponential(45)) + 1)
    return sorted(rows, key=lambda row: row[1])


def charity(rows: list[tuple[int, date, int]]) -> bytes:
    """cp949, three spellings of dates and amounts, a note with quotes, blank and total rows at the end."""
    lines = ["영수증번호,후원자번호,지부,후원일자,후원금액,후원구분,비고"]
    for number, (customer, day, amount) in enumerate(rows):
        days = f"{day.year}. {day.month}. {day.day}.", f"{day.year}년 {day.month}월 {day.day}일", f"{day:%Y%m%d}"
        paid = f"{amount:,}원", f"￦{amount:,}", f" {amount} "
        kind, branch = ("정기", "일시")[customer % 2], ("서울지부", "부산지부")[customer % 3 == 0]
        note = '"감사 ""늘"" 합니다, 네"'
        lines.append(f'R{number},D{customer},{branch},{days[number % 3]},"{paid[number % 3]}",{kind},{note}')
    return "\r\n".join([*lines, "", f'총합계,,,,"{sum(row[2] for row in rows):,}원",,', ",,,,,,", ""]).encode("cp949")


def retail(rows: list[tuple[int, date, int]]) -> bytes:
    """Excel's Unicode text: tabs, UTF-16; returns in brackets and with the minus behind."""
    lines = ["승인번호\t회원번호\t매장명\t결제일시\t결제금액\t거래유형\t상품명"]
    known: set[int] = set()
    for number, (customer, day, amount) in enumerate(rows):
        back = number % 3 == 0 and customer in known
        known.add(customer)
        paid = f"({amount:,})" if back and number % 2 else f"{amount:,}-" if back else f"{amount:,}"
        kind, time = "반품" if back else "판매", f"오후 2:{number % 60:02d}"
        lines.append(f'A{number}\t{customer}\t강남점\t{day} {time}\t"{paid}"\t{kind}\t사과')
    return "\r\n".join(lines).encode("utf-16")


def bank(rows: list[tuple[int, date, int]]) -> bytes:
    """Semicolons, a byte order mark, Excel's serial days as text, a word for kinds that nobody can guess."""
    lines = ["거래번호;고객번호;지점;거래일자;거래금액;거래구분"]
    for number, (customer, day, amount) in enumerate(rows):
        lines.append(f"{number};{customer};본점;{(day - date(1899, 12, 30)).days};{amount}.00;수수료")
    return "\n".join(lines).encode("utf-8-sig")


def clinic(rows: list[tuple[int, date, int]]) -> bytes:
    """A title and an empty line above the header, lines of an old Macintosh, no number of a payment."""
    lines = ["2026년 1분기 수납 현황,,,,", "", "차트번호,진료일자,의원명,수납액,진료과"]
    lines += [f'{customer},{day:%Y.%m.%d},본원,"{amount:,}",내과' for customer, day, amount in rows]
    return "\r".join([*lines, '합 계,,,"9,999,999",']).encode("cp949")


@pytest.mark.parametrize(
    ("make", "branch", "filled"),
    [
        (charity, "서울지부", ()),
        (retail, "강남점", ()),
        (bank, "본점", ("values: {}", 'values: {"수수료": sale}')),
        (clinic, "본원", ()),
    ],
)
def test_an_export_as_it_comes_is_mapped_checked_and_reported(new_shop, read, make, branch, filled):
    rows, template = visits(), make.__name__
    (new_shop.folder / "내보내기.csv").write_bytes(make(rows))
    made = new_shop.run("init", "unit", "--template", template, "--from", "내보내기.csv")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [
        "unit/profile.yaml",
        'Open it, fill in what is marked "fill in", then: crm-analysis check --profile unit/profile.yaml',
    ]
    written = new_shop.folder / "unit" / "profile.yaml"
    text = written.read_text(encoding="utf-8")
    if filled:
        assert f"# fill in above what these are: 수수료; such as  {filled[1][9:-1]}" in text
        text = text.replace(*filled)
    written.write_text(text, encoding="utf-8")

    checked = new_shop.run("check", "--profile", "unit/profile.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"No row of {len(rows):,} is set aside." in checked.stdout
    asked = ("--profile", "unit/profile.yaml", "--branch", branch, "--chapter", "data_quality", "--workers", "1")
    reported = new_shop.run("report", *asked)
    assert reported.returncode == 0, reported.stdout + reported.stderr
    page = Path(new_shop.folder / reported.stdout.splitlines()[-1])
    assert f", {branch}. State on " in read(page)  # the front page of one branch speaks of it
    (found,) = page.parent.glob("2026Q1/*/data_quality.html")
    own = rows if make is not charity else [row for row in rows if row[0] % 3]
    assert branch in read(found) and f"The files hold {len(own):,} lines" in read(found)
