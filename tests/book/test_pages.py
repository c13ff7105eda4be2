"""Chapter pages as MyST text."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from crm_analysis.book.cells import Outcome
from crm_analysis.book.pages import Writer


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
        "<b>71.8 %</b>이며 R&#36; 5 to &#36;7\n\n<td>R&#36; 9</td>\n\n:alt: R$ 9\n"
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


def test_what_can_be_shown_without_the_missing_tables_is_shown(writer: Writer):
    elements = [element("opening", "o"), element("missing", "m"), element("text", "t"), element("closing", "c")]
    assert len(writer.chapter(outcome(elements, [element("table", "<table></table>")]), [])) == 2
