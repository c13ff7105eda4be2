"""Chapter pages as MyST text."""

from __future__ import annotations

import html
import types
from dataclasses import replace
from pathlib import Path

import pytest

from crm_analysis.book.cells import Outcome, of_status
from crm_analysis.book.pages import Writer
from crm_analysis.runs import CellStatus
from crm_analysis.runs.jobs import Public


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    profile = types.SimpleNamespace(branch_name=lambda branch, _language: branch, currency="BRL")
    return Writer(tmp_path, profile, "en", {"x": "Title"})


def element(kind: str, text: str) -> dict[str, str]:
    return {"kind": kind, "myst": text, "foot": ""}


def outcome(elements: list[dict[str, str]], annex: list[dict[str, str]]) -> Outcome:
    return Outcome("x", "b", "2026Q3", elements=elements, annex=annex)


def test_amounts_are_no_mathematics_and_bold_ends_before_a_particle(writer: Writer, tmp_path: Path):
    writer.write("page", "**71.8 %**이며 R$ 5 to $7\n\n<td>R$ 9</td>\n\n:alt: R$ 9")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == (
        "<b>71.8\xa0%</b>이며 R&#36; 5 to &#36;7\n\n<td>R&#36; 9</td>\n\n:alt: R$ 9\n"
    )


def test_a_chapter_without_its_tables_is_its_opening_and_end(writer: Writer, tmp_path: Path):
    elements = [
        element("opening", "Nothing is measured."),
        element("missing", "Needs a table."),
        element("heading", "## What to fix first"),
        element("text", "Nothing to show."),
        element("closing", "Unknown."),
    ]
    assert writer.chapter(outcome(elements, [element("text", "Nothing to show.")]), []) == ["2026Q3/b/x"]
    page = (tmp_path / "2026Q3" / "b" / "x.md").read_text(encoding="utf-8")
    assert "Needs a table." in page and "Unknown." in page
    assert "Nothing to show." not in page and "What to fix first" not in page and "Annex" not in page


def test_a_failed_page_says_so_without_the_words_of_the_exception(writer: Writer, tmp_path: Path):
    """An exception's message may hold a customer and stays in the terminal and the manifest."""
    secret = "could not read C0001234, kim@example.org"
    place = ("x", "b", "2026Q3")
    told = Public("The notebook stopped in its cell {cell} ({exception}).", 7, "ValueError")
    status = CellStatus(*place, "failed", error=f"ValueError: {secret}", stale_since="2026-10-02T08:00:00", public=told)
    failed = of_status(status)
    writer.chapter(failed, [])
    page = html.unescape((tmp_path / "2026Q3" / "b" / "x.md").read_text(encoding="utf-8"))
    assert "failed since 2026-10-02. The notebook stopped in its cell 7 (ValueError). `crm-analysis status`" in page
    unknown = of_status(CellStatus(*place, "failed", error=secret, public=Public(secret)))
    assert unknown.failure == "It could not be executed."
    assert secret not in page + repr(failed) + repr(unknown)

    shown = Outcome(*place, elements=[element("opening", "o")], failure="Its kernel died.", made_on="2026-10-01")
    (banner,) = writer.standing(replace(shown, failed_on="2026-10-02"))
    said = "This page has failed since 2026-10-02; what stands here is from 2026-10-01. Its kernel died."
    assert said in html.unescape(banner)


def test_what_can_be_shown_without_the_missing_tables_is_shown(writer: Writer):
    elements = [element("opening", "o"), element("missing", "m"), element("text", "t"), element("closing", "c")]
    assert len(writer.chapter(outcome(elements, [element("table", "<table></table>")]), [])) == 2


def test_an_amount_in_a_table_of_branches_has_the_scale_of_its_interval(writer: Writer):
    net = {"value": -177_000.0, "low": -3.45e6, "high": 3.09e6, "unit": "money", "n": 900}
    writer.profile = types.SimpleNamespace(currency="KRW", privacy=types.SimpleNamespace(min_cell=5))
    assert writer.measure(net).startswith("−0.18\xa0m\xa0won<br>")
