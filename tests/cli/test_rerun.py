"""Running again: nothing is done twice, and one branch's new data reach that branch and the whole alone."""

from __future__ import annotations

import re
import time

import duckdb
import pytest

pytestmark = pytest.mark.slow

CHAPTERS = ("data_quality", "customer_value", "satisfaction_loyalty", "crm_roi")
BRANCHES = ("all", "busan", "seoul")
ASKED = tuple(word for branch in BRANCHES for word in ("--branch", branch))


@pytest.fixture(scope="module")
def built(association):
    """An association whose report was made, and the seconds that it took."""
    place = association(seed=5150, donors=1500)
    began = time.perf_counter()
    done = place.command("report", *ASKED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 notebooks run" in done.stdout
    return place, time.perf_counter() - began


def due(place) -> dict[str, str]:
    """Name and reason of every cell that would run."""
    done = place.command("run", *ASKED, "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = [re.split(r" {2,}", line, maxsplit=2) for line in done.stdout.splitlines()[:-1]]
    assert len(lines) == len(CHAPTERS) * len(BRANCHES)
    return {name: reason for what, name, reason in lines if what == "run"}


def test_an_unchanged_report_executes_nothing_and_imports_nothing_heavy(built):
    place, first = built
    page = place.build / "html" / "index.html"
    stamp = page.stat().st_mtime_ns
    began = time.perf_counter()
    done = place.command("report", *ASKED)
    again = time.perf_counter() - began
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "0 notebooks run, 12 unchanged, 0 failed.",
        "build/haneul/html/index.html",
    ]
    assert page.stat().st_mtime_ns == stamp
    assert again < 0.05 * first

    traced = place.command("report", *ASKED, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[-1].strip() for line in traced.stderr.splitlines() if "|" in line}
    assert "crm_analysis.pipeline" in imported
    heavy = {"great_expectations", "pandas", "matplotlib", "ibis", "papermill", "sphinx"}
    heavy |= {f"crm_analysis.{chapter}" for chapter in CHAPTERS}
    assert imported & heavy == set()


@pytest.mark.parametrize(
    ("file", "encoding", "column", "branch", "known"),
    [
        ("gifts_seoul.csv", "utf-8", "거래번호", "seoul", "서울지부"),
        ("gifts_busan.csv", "cp949", "거래번호", "busan", "부산지부"),
        ("survey.csv", "utf-8", "response_id", "seoul", "seoul"),
        ("donors.csv", "utf-8-sig", "후원자번호", "busan", "부산지부"),
    ],
)
def test_one_branch_s_new_row_runs_that_branch_and_all(built, file, encoding, column, branch, known):
    """The row is put in at the top of its file, so that every row below it moves a line."""
    place, _ = built
    path = place.folder / "data" / file
    before = path.read_bytes()
    header, *rows = before.decode(encoding).splitlines(keepends=True)
    row = next(row for row in rows if f",{known}," in row).split(",")
    row[header.split(",").index(column)] = "HNL-X0000001"
    try:
        path.write_bytes("".join([header, ",".join(row), *rows]).encode(encoding))
        found = due(place)
        assert set(found) == {f"2026Q3/{where}/{chapter}" for where in ("all", branch) for chapter in CHAPTERS}
        assert set(found.values()) == {"its data changed"}
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_a_finding_rests_on_can_be_asked_of_a_database_that_knows_nothing(built, branch):
    """The query of every finding on the pages runs as it is printed, and its answer meets the number."""
    place, _ = built
    values, answers = {}, {}
    for chapter in CHAPTERS:
        for finding in place.claims(chapter, branch)["findings"]:
            told = place.command("explain", finding["key"], "--branch", branch)
            assert told.returncode == 0, told.stderr
            with duckdb.connect() as con:
                answers[finding["key"]] = con.execute(told.stdout.partition("  query\n")[2]).df()
            values[finding["key"]] = finding["value"]
    assert len(values) > len(CHAPTERS)
    if branch != "all":
        return
    days = answers["data_quality.silent_branches"].set_index("branch")["last_day"]
    assert str(days["gwangju"])[:7] == "2026-07" and str(days["seoul"])[:7] == "2026-09"
    months = answers["data_quality.control_totals"]
    gap = (months["amount"].fillna(0) - months["amount_finance"]).sum()
    assert gap == pytest.approx(values["data_quality.control_totals"])


def test_after_the_change_is_taken_back_nothing_is_due(built):
    assert due(built[0]) == {}
