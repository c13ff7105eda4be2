"""One truth reversed in the files, and the front page of the built book turns with it: verdict, actions, findings.

The chapters' own verdicts are tried in tests/demo/test_flips.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

pytestmark = pytest.mark.slow

SEED = 77031
ASKED = ["--chapter", "data_quality", "--chapter", "crm_roi"]
ASKED += ["--branch", "all", "--branch", "busan", "--branch", "gwangju"]


class Front:
    """The parts of a front page, as read."""

    def __init__(self, page: Path) -> None:
        article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")

        def text(selector: str) -> str:
            return " ".join(" ".join(found.get_text(" ").split()) for found in article.select(selector))

        self.verdict = text(".verdict")
        self.findings = text("#what-we-found li")
        self.actions = text("#what-to-do tbody")
        self.branches = text("#branches tbody")


@pytest.fixture(scope="module")
def front(association):
    """The front page of the association in which the truths named are reversed."""
    made: dict[tuple[str, ...], Front] = {}

    def read(*flips: str) -> Front:
        if flips not in made:
            place = association(seed=SEED, donors=6000, flips=flips)
            done = place.command("report", *ASKED)
            assert done.returncode == 0, done.stdout + done.stderr
            made[flips] = Front(place.build / "html" / "index.html")
        return made[flips]

    return read


EARNING = ("spring_earns", "gwangju_reports")
LOSING = ("welcome_loses", "busan_silent")


def test_what_the_programmes_earned_opens_the_front_page(front):
    assert "The programmes that can be measured earned" in front(*EARNING).verdict
    assert "The programmes that can be measured lost" in front(*LOSING).verdict
    assert "The programmes that can be measured earned" not in front().verdict


def test_what_to_do_follows_what_was_earned(front):
    assert "Stop Spring discount 2026" in front().actions
    assert "Stop Spring discount 2026" not in front(*EARNING).actions
    assert "Spring discount 2026" in front(*EARNING).actions  # it is now the programme to repeat
    assert "Repeat Welcome call 2026" in front().actions
    assert "Repeat Welcome call 2026" not in front(*LOSING).actions


def test_the_branch_that_went_silent_is_the_one_on_the_front_page(front):
    assert "Gwangju delivered nothing after 31 July 2026" in front().findings
    assert "Gwangju data to 31 July 2026" in front().branches
    assert "delivered nothing" not in front(*EARNING).findings
    assert "data to 31 July 2026" not in front(*EARNING).branches
    said = front(*LOSING)
    assert "2 branches stopped reporting, among them Busan and Gwangju" in said.findings
    assert "Busan data to 31 July 2026" in said.branches
