"""Page elements: escaped text, aligned tables, drawings with a text alternative, the footing line."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_analysis import report, style
from crm_analysis.findings import Action, Claims, Finding, to_json
from crm_analysis.language import activate


def finding(**changes) -> Finding:
    return Finding(
        **({"key": "x.a", "sentence": "s", "value": 0.5, "unit": "share", "basis": "Wilson 95 %", "n": 10} | changes)
    )


@given(st.text())
def test_text_from_data_is_inert_in_markdown_and_html(text):
    escaped = style.escape(text)
    assert not set(escaped.replace("&#", "").replace(";", "")) & set("<>*_[]`$|\\{}&\"'\n")


def test_names_with_marks_of_markdown_or_for_charts_stand_as_they_are():
    markup = report.table_html(pd.DataFrame({"name": ["**b**", style.plain("$50 off")], "n": ["1", "2"]}))
    assert "<td>&#42;&#42;b&#42;&#42;</td>" in markup and "<td>$50 off</td>" in markup


def test_table_cells_and_heads_are_escaped():
    markup = report.table_html(pd.DataFrame({"<script>": ["<img onerror=1>"]}))
    assert "<script>" not in markup and "<img" not in markup
    assert "&lt;img onerror=1&gt;" in markup


def test_columns_of_numbers_align_right_and_of_words_left():
    frame = pd.DataFrame(
        {
            "Measure": ["12-month retention"],
            "Share": ["77.1\xa0% (75.0 to 79.2\xa0%)"],
            "Net": ["−£1.20\xa0m"],
            "n": ["–"],
        }
    )
    markup = report.table_html(frame)
    assert "<th>Measure</th>" in markup
    assert markup.count('<th class="n">') == 3


def test_an_empty_table_says_so_under_its_heading():
    assert report.table(pd.DataFrame()).kind == "text"
    said = report.table(pd.DataFrame(), title="Costs", note="None was recorded.")
    assert (said.kind, said.myst) == ("text", "## Costs\n\nNone was recorded.")


def test_a_table_stands_under_the_same_heading_as_a_heading_alone():
    frame, head = pd.DataFrame({"a": ["1"]}), report.heading("Costs & more")
    bare, titled = report.table(frame, note="How."), report.table(frame, title="Costs & more", note="How.")
    assert titled.myst == f"{head.myst}\n\n{bare.myst}"
    assert titled.html == head.html + bare.html
    sheet, _axes = style.figure()
    assert report.figure(sheet, alt="", how_to_read="", title="Costs & more").html.startswith(head.html)


def test_a_table_that_does_not_apply_vanishes_with_its_heading():
    gone = report.table(None, title="Branches", note="n")
    assert (gone.kind, gone.html, gone.myst) == ("text", "", "")


def test_a_drawing_is_the_same_bytes_twice_and_has_a_text_alternative():
    def draw():
        sheet, axes = style.figure()
        axes.plot([1, 2], [3, 4])
        return report.svg(sheet, 'A line "up"')

    first = draw()
    assert first == draw()
    assert 'aria-label="A line &quot;up&quot;"' in first
    assert "<metadata" not in first and "http" not in first.replace("http://www.w3.org", "")


def test_the_support_line_states_interval_count_and_basis():
    said = report.support_line(finding(low=0.4, high=0.6), "EUR", min_cell=5)
    assert said == "(40.0 to 60.0\xa0%; n\xa010; Wilson 95\xa0%)"
    assert report.support_line(finding(n=None, basis=""), "EUR", min_cell=5) == ""
    assert report.support_line(finding(n=3), "EUR", min_cell=5) == "(n\xa0< 5; Wilson 95\xa0%)"


def test_a_return_is_named_beside_its_interval():
    said = report.support_line(finding(unit="ratio", low=-1.37, high=-0.68, basis=""), "KRW", min_cell=5)
    assert said == "(ROI −1.37 to −0.68; n\xa010)"


def test_expected_amounts_have_a_column_only_where_one_is_stated():
    without = Action(key="x.a", text="Ask", owner="Service")
    assert "Expected a year" not in report.actions_html((without,), "EUR")
    markup = report.actions_html((without, Action(key="x.b", text="Call", owner="Service", value=5.0)), "EUR")
    assert "Expected a year" in markup and markup.count("<td") == 8 and style.DASH in markup


def test_the_footing_line_adds_up():
    rows = [
        {"table": "transactions", "step": "in files", "rule": "", "rows": 100, "amount": 1000.0},
        {"table": "transactions", "step": "set aside", "rule": "exact_duplicate", "rows": 4, "amount": 40.0},
        {"table": "transactions", "step": "anonymous", "rule": "", "rows": 6, "amount": 60.0},
        {"table": "transactions", "step": "used", "rule": "", "rows": 90, "amount": 900.0},
    ]
    line = report.footing_line({"footing": rows}, "EUR")
    assert line == (
        "Transaction rows in the files 100 → set aside 4 (4.00\xa0%: exact duplicate 4) → anonymous 6 → used 90; "
        "amount used €900."
    )
    withheld = [row | ({"amount": None} if row["step"] == "used" else {}) for row in rows]
    assert report.footing_line({"footing": withheld}, "EUR").endswith("amount used withheld.")
    control = {"rows": 96.0, "amount": 960.0, "rows_stated": 96.0, "amount_stated": 1000.0}
    said = report.footing_line({"footing": rows, "control": control}, "EUR")
    assert "Accepted rows €960, finance office €1,000 over the months it stated: difference 4.00\xa0%." in said


def test_a_page_holds_at_most_five_findings_and_no_key_twice():
    with pytest.raises(ValueError, match="at most 5"):
        Claims(verdict="v", findings=tuple(finding(key=f"x.{i}") for i in range(6)))
    with pytest.raises(ValueError, match=r"named twice: x\.a"):
        Claims(verdict="v", findings=(finding(),), measures=(finding(),))


def test_undefined_numbers_become_null():
    assert to_json(finding(value=float("nan")))["value"] is None
    assert to_json(finding(value=29676.07000000001)) == to_json(finding(value=29676.070000000032)), "order of adding up"


def test_amounts_in_korean_are_in_man_and_eok():
    activate("ko")
    try:
        assert style.money(4.12e9, "KRW") == "41.2억원"
        assert style.money(38_200, "KRW") == "3.8만원"
        assert style.money(99_999_000, "KRW") == "1.00억원"
        assert style.money(950, "KRW") == "950원"
    finally:
        activate("en")


def test_tables_below_one_heading_keep_their_titles_one_level_down_and_their_notes():
    frame = pd.DataFrame({"Question": ["Money"], "Answer": ["1 < 2"]})
    shown = report.tables_below(
        "Each", [{"title": "One", "frame": frame, "note": "n 1"}, {"title": "Two", "frame": frame}]
    )
    assert [line for line in shown.myst.splitlines() if line.startswith("#")] == ["## Each", "### One", "### Two"]
    assert shown.html.count("<table>") == 2 and shown.html.count("1 &lt; 2") == 2 and "n 1" in shown.html
    assert shown.kind == "table" and report.tables_below("Each", []).html == ""
