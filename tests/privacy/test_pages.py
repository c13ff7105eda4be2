"""The four pages of an organisation with a branch of three customers: neither they nor their money can be read off."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from crm_analysis import profile, style, tables
from crm_analysis.report import BUNDLE
from crm_analysis.tables.failures import hold_to_contracts
from crm_analysis.tables.ingestion import ingest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHAPTERS = ("data_quality", "customer_value", "satisfaction_loyalty", "crm_roi")
SIZES = {"north": 61, "south": 47, "islet": 3}
RICH = 9_876_500.0
PERIOD = "2025Q4"


def gifts() -> list[list[str]]:
    """Two years of gifts; each of the three of `islet` gives once a quarter, one of `south` nearly all of it."""
    rng = np.random.default_rng(3)
    rows = []
    for branch, size in SIZES.items():
        for i in range(size):
            day = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 90)))
            while day <= date(2025, 12, 31):
                amount = 71_230 if branch == "islet" else int(rng.integers(10, 99)) * 100
                rows.append([f"{branch}-{i}", branch, day.isoformat(), str(amount)])
                day += timedelta(days=91 if branch == "islet" else int(rng.exponential(45)) + 1)
    rows += [["south-0", "south", f"2025-{month:02}-15", str(RICH)] for month in range(1, 13)]
    return rows


def answers(rows: list[list[str]]) -> list[list[str]]:
    """Everybody answers once, in the period."""
    rng = np.random.default_rng(4)
    who = dict.fromkeys((row[0], row[1]) for row in rows)
    return [[*person, f"2025-10-{1 + i % 28:02}", str(rng.integers(1, 6))] for i, person in enumerate(who)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], str]]:
    """The texts of every element, by chapter and branch, drawings apart."""
    folder = tmp_path_factory.mktemp("islet")
    rows = gifts()
    for name, head, lines in (
        ("gifts", ["customer_id", "branch", "occurred_at", "amount"], rows),
        ("answers", ["customer_id", "branch", "answered_on", "satisfaction"], answers(rows)),
    ):
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([head, *lines])
    given = {
        "id": "islet",
        "name": "Islands",
        "currency": "KRW",
        "data": ".",
        "coverage": {"data_ends_on": "2025-12-31"},
        "tables": {
            "transactions": {
                "files": ["gifts.csv"],
                "columns": {n: n for n in ("customer_id", "branch", "occurred_at", "amount")}
                | {"kind": {"constant": "gift"}},
            },
            "survey_responses": {
                "files": ["answers.csv"],
                "columns": {n: n for n in ("customer_id", "branch", "answered_on", "satisfaction")},
            },
        },
    }
    path = folder / "islet.yaml"
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_ANALYSIS_BUILD", str(folder / "build"))
        settings = profile.load(path)
        ingest(settings)
        hold_to_contracts(tables.open(settings))
        yield {
            (chapter, branch): " ".join(texts(chapter, path, branch))
            for chapter in CHAPTERS
            for branch in ("all", "islet", "south", "north")
        }


def texts(chapter: str, path: Path, branch: str) -> Iterator[str]:
    """What the cells of a chapter's notebook show, as a kernel would run them."""
    cells = json.loads((ROOT / "analyses" / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        block = ast.parse("".join(cell["source"]))
        last = block.body.pop() if isinstance(block.body[-1], ast.Expr) else None
        exec(compile(block, chapter, "exec"), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= {"profile": str(path), "branch": branch, "period": PERIOD, "language": "en"}
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), chapter, "eval"), names)
            for kind, text in shown._repr_mimebundle_().items():
                told = text["claims"] if kind == BUNDLE else text
                yield plain(told if isinstance(told, str) else json.dumps(told, ensure_ascii=False))


def plain(markup: str) -> str:
    """Words and numbers as a reader sees them."""
    markup = re.sub(r"<svg.*?</svg>|<style>.*?</style>|<[a-z/][^<>]*>", " ", markup, flags=re.DOTALL)
    return markup.replace("\\u00a0", " ").replace("\N{NO-BREAK SPACE}", " ").replace(",", "")


def numbers(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])\d+(?![\w%])", text))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_three_customers_are_not_counted(pages, chapter):
    text = pages[chapter, "islet"]
    assert not re.search(r"\bn 3\b|\b3 (customers|answers|of)\b|\bof 3\b|\"n\": [1-4]\b", text)
    assert sum(SIZES.values()) - 3 == 108


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_all_less_the_other_branches_does_not_count_them_either(pages, chapter):
    assert str(sum(SIZES.values())) not in numbers(pages[chapter, "all"])


def rows_of(shown: str, title: str, ends: str) -> str:
    """What stands between two texts of a page, once."""
    return re.sub(r"\s+", " ", shown).partition(title)[2].partition(ends)[0]


TABLES_OF_ALL = (
    ("Scores are cut at", "There is no matrix"),
    ("Where everybody stands", "One rule for every chapter"),
    ("What counts as the top share", "Too few people moved"),
    ("What moved with them", "together"),
    ("Does spend go with frequency?", "Relative spend is"),
    ("Would we have foreseen", "Models against rules"),
)


@pytest.mark.parametrize(("title", "ends"), TABLES_OF_ALL)
def test_no_table_of_all_adds_up_to_how_many_there_are(pages, title, ends):
    """Each has a cell that is hidden, and no share beside a count."""
    told = rows_of(pages["customer_value", "all"], title, ends)
    assert told and re.search(r"&gt; \d|withheld|> \d", told), told
    assert str(sum(SIZES.values())) not in numbers(told)


def test_what_only_the_three_are_missing_from_is_not_told(pages):
    """North and south alone are two amounts away from the money of all: nothing of either page gives the third."""
    told = re.sub(r"\s+", " ", pages["customer_value", "all"])
    assert "Paid otherwise withheld" in told and "Margin after refunds withheld" in told
    assert "Everybody else withheld withheld withheld" in told
    for figure in ("no bridge between two years", "no cohorts to follow", "no value of cohorts", "no Lorenz curve"):
        assert figure in told, figure


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize(("branch", "mine"), [("islet", "islet"), ("south", "south-0")])
def test_no_amount_tells_what_few_or_one_paid(pages, chapter, branch, mine):
    """Neither the sum of the three, nor that of the branch of the major donor, nor that of all."""
    rows = gifts()
    sums = {
        "few or one": sum(float(row[3]) for row in rows if mine in (row[0], row[1])),
        "branch": sum(float(row[3]) for row in rows if row[1] == branch),
        "all": sum(float(row[3]) for row in rows),
    }
    for page in (branch, "all"):
        for name, amount in sums.items():
            for said in (style.money(amount, "KRW"), f"{amount:.0f}", f"{amount:.1f}"):
                assert plain(said) not in pages[chapter, page], (page, name, said)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_mean_or_median_tells_it_either(pages, chapter):
    for amount in (71_230, 71_230 * 4, 71_230 * 8):
        assert plain(style.money(amount, "KRW")) not in pages[chapter, "islet"]


def test_a_branch_that_needs_no_protection_shows_its_money_and_its_people(pages):
    rows = [row for row in gifts() if row[1] == "north"]
    assert plain(style.money(sum(float(row[3]) for row in rows), "KRW")) in pages["data_quality", "north"]
    assert "n 61" in pages["customer_value", "north"]
