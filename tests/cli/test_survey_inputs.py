"""Surveys as nobody wants them, through the installed command: what the analyst reads, and the rest of the chapter.

One shop has a branch for each kind of bad answers beside a good one, so that a single run tries them all.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup

pytestmark = pytest.mark.slow

N = {"few": 20, "tenfold": 40, "scale": 60}  # customers of a branch, where not 150
BRANCHES = ("plain", "steps", "level", "early", "tenfold", "strangers", "few", "weights", "scale")
WEIGHTS = ("1", "0", "-1", "")  # one after another in the branch of that name


@dataclass(frozen=True)
class Read:
    """What the run of one branch left: what the chapter claims, and all words of its notebook."""

    verdict: str
    unknowns: str
    findings: str
    page: str


def answers(branch: str, rng: np.random.Generator, *, items: int) -> tuple[list[list[str]], list[list[object]]]:
    """Sales (customer, day, amount) and answers (customer, day, score, weight, items) of one branch.

    The higher the score, the more come back within half a year, but for what the branch's name says.
    """
    sales, survey = [], []
    for k in range(N.get(branch, 150)):
        customer = f"{branch}-{k:03d}"
        level = 4 if branch == "level" else int(rng.choice([1, 2, 3, 4, 5], p=[0.1, 0.15, 0.25, 0.3, 0.2]))
        asked = date(2025, 2, 1) + timedelta(days=int(rng.integers(0, 60)))
        first = date(2024, 1, 10) + timedelta(days=int(rng.integers(0, 150)))
        again = level > 1 if branch == "steps" else rng.random() < 0.15 + 0.13 * level
        days = [first, asked + timedelta(days=int(rng.integers(10, 150)))][: 1 + again]
        if branch == "early":
            days = [asked + timedelta(days=int(rng.integers(5, 90)))]
        sales += [[customer, day.isoformat(), f"{rng.gamma(4, 8):.2f}"] for day in days]
        marks = [3 if branch == "level" else int(np.clip(level + rng.integers(-1, 2), 1, 5)) for _ in range(items)]
        marks[1] = marks[0]
        for nth in range(10 if branch == "tenfold" else 1):
            survey.append(
                [
                    f"stranger-{k}" if branch == "strangers" else customer,
                    (asked + timedelta(days=nth)).isoformat(),
                    level * 2 if branch == "scale" else level,
                    WEIGHTS[k % 4] if branch == "weights" else "1",
                    *marks,
                ]
            )
    closed = [*(f"2025-{month:02d}-28" for month in range(1, 13)), "2025-12-31"]
    return sales + [["", day, "5.00"] for day in closed], survey


def write(shop, branches: tuple[str, ...], *, items: int) -> None:
    """The shop's files, with a survey and a profile that maps it."""
    rng = np.random.default_rng(11)
    names = [f"i{k}" for k in range(items)]
    sold, said = [], []
    for branch in branches:
        sales, survey = answers(branch, rng, items=items)
        sold += [[customer, branch, day, paid, "sale"] for customer, day, paid in sales]
        said += [[customer, branch, *rest] for customer, *rest in survey]
    shop.rows = [[f"R{k:05d}", *row] for k, row in enumerate(sorted(sold, key=lambda row: row[2]))]
    with (shop.folder / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["answer", "customer", "store", "day", "mark", "weight", *names])
        out.writerows([f"A{k:05d}", *row] for k, row in enumerate(said))
    columns = {"response_id": "answer", "customer_id": "customer", "branch": "store", "answered_on": "day"}
    shop.profile["tables"]["survey_responses"] = {
        "files": ["answers.csv"],
        "columns": columns | {"satisfaction": "mark", "weight": "weight"} | {name: name for name in names},
    }
    shop.profile["survey"] = {
        "satisfaction": {"scale": [1, 5]},
        "items": {name: {"role": "driver", "scale": [1, 5]} for name in names},
    }
    shop.profile["coverage"] = {"data_ends_on": date(2025, 12, 31)}
    shop.write()


def left(folder: Path, branch: str) -> Read:
    """What the run of a branch left to read."""
    base = folder / "build" / "shop" / "executed" / "2025" / branch / "satisfaction_loyalty"
    said = json.loads(base.with_suffix(".findings.json").read_text(encoding="utf-8"))["claims"]
    shown = []
    for cell in json.loads(base.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown += [
                BeautifulSoup("".join(data[kind]), "html.parser").get_text(" ")
                for kind in ("text/markdown", "text/html")
                if kind in data
            ][:1]
    findings = [finding["sentence"] for finding in said["findings"]]
    texts = ([said["verdict"]], said["unknowns"], findings, shown)
    return Read(*(re.sub(r"\s+", " ", " ".join(each)) for each in texts))  # no-break spaces are plain ones


@pytest.fixture(scope="module")
def tried(tmp_path_factory, new_shop_in) -> Callable[[str], Read]:
    """What a branch left, of one run over all of them that left nothing out."""
    shop = new_shop_in(tmp_path_factory.mktemp("survey"))
    write(shop, BRANCHES, items=4)
    done = shop.run("run", "--profile", "shop.yaml", "--chapter", "satisfaction_loyalty", "--period", "2025")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(BRANCHES) + 1} notebooks run, 0 unchanged, 0 failed." in done.stdout
    told = shop.check()
    assert told.returncode == 2, told.stdout
    said = re.sub(r"[\s│]+", " ", told.stdout)
    assert re.search(r"response_id A\d+, weight 0 .*weight -1 ", said), said
    assert re.search(r"A\d+, satisfaction [68] ", re.sub(r" (?=satisfaction)", " ", said)), said
    assert "119 of 3,084 rows are set aside; a report can be made of the others." in said
    return lambda branch: left(shop.folder, branch)


def test_a_good_branch_beside_them_is_whole(tried):
    read = tried("plain")
    assert (
        "Of 150 customers who answered" in read.findings and "Satisfied customers come back more often" in read.verdict
    )


def test_everybody_gives_the_same_answer(tried):
    read = tried("level")
    assert read.verdict.startswith("**All 150 answers with a covered follow-up are on one level**")
    assert "the index stands at 75.0 of 100" in read.findings
    assert "All answers to an item, or to overall satisfaction, are the same: there is nothing to explain." in read.page


def test_a_level_without_a_loyal_customer_and_levels_without_a_disloyal_one(tried):
    read = tried("steps")
    assert read.verdict.startswith("Loyalty rises fast and flattens: **the step up from “score 1” goes with 100 points")
    assert "0.0 % at “score 1”, 100 % at “score 4”, 100 % at “score 5”" in read.findings
    assert re.search(r"score 1 \d+ \*? ?0\.0 % 0\.0 to \d+\.\d %", read.page), (
        "an interval where a level has no loyal one"
    )
    assert re.search(r"score 5 \d+ \*? ?100\.0 % \d+\.\d to 100\.0 %", read.page)


def test_answers_before_the_first_transaction(tried):
    read = tried("early")
    assert read.verdict.startswith("**Too few answers to say where satisfaction turns into loyalty**: 0 customers")
    assert "150 answers were given before the first transaction and say nothing of coming back." in read.unknowns
    assert "answers 150 → answered before the first transaction 150 → used 0" in read.page
    assert "the index stands at" in read.findings and "Fix first" in read.findings


def test_one_respondent_answering_ten_times(tried):
    read = tried("tenfold")
    assert "answers 400 → a further answer of the same person 360 → used 40" in read.page
    assert "for the index they are worth 40 of a simple sample" in read.page
    assert "Of 40 customers who answered" in read.findings


def test_unknown_customers(tried):
    read = tried("strangers")
    assert (
        "150 answers carry a number under which no transaction stands, so what they led to is not known: ask whether "
        "the survey numbers customers as the transactions do."
    ) in read.unknowns
    assert "number without any transaction 150 → used 0" in read.page and "the index stands at" in read.findings


def test_fewer_than_thirty_answers(tried):
    read = tried("few")
    assert "20 customers have a score and a covered follow-up of 180 days; 30 are the fewest that are tested" in (
        read.verdict
    )
    assert "Only 20 answers fall in this period: its index and shares are uncertain." in read.unknowns
    assert "Only 20 complete answers: too few to share out satisfaction among the items." in read.page
    assert "the index stands at" in read.findings


def test_weights_zero_negative_and_missing(tried):
    """Zero and negative ones break the contract and are set aside; the missing ones are left out of the scores."""
    read = tried("weights")
    assert "Rows set aside in other tables: 75." in read.page
    assert "left out weight missing, zero or negative 37 Scores, all periods used 38" in read.page
    assert "Of 38 customers who answered" in read.findings


def test_a_branch_that_answers_on_another_scale(tried):
    """One to ten where the profile says one to five: what lies outside is set aside, and what is left is too little."""
    read = tried("scale")
    assert "Rows set aside in other tables: 44." in read.page
    assert "Only 16 answers fall in this period" in read.unknowns and read.verdict.startswith("**Too few answers")


def test_items_answered_alike(tried):
    for branch in ("plain", "all"):
        assert (
            "Answered so much like other items that they cannot be told apart: i0, i1. They share what they explain; "
            "take it as one thing, or ask one of them only."
        ) in tried(branch).page


def test_two_hundred_items(new_shop):
    write(new_shop, ("plain", "steps"), items=200)
    asked = ("--chapter", "satisfaction_loyalty", "--branch", "all", "--period", "2025")
    done = new_shop.run("run", "--profile", "shop.yaml", *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    read = left(new_shop.folder, "all")
    assert "The survey has 200 items, more than can be told apart: the 30 that go most with satisfaction" in read.page
    assert "Of 300 customers who answered" in read.findings
