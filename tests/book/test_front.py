"""The front page's verdict follows the data in kind, not only in digits."""

from __future__ import annotations

import types
from dataclasses import replace

import pytest

from crm_analysis import style
from crm_analysis.book.cells import Outcome
from crm_analysis.book.compare import BranchGap, moved
from crm_analysis.book.contents import Contents
from crm_analysis.book.front import (
    _actions,
    _bookkeeping,
    _branch_table,
    _branches,
    _changes,
    _unfinished,
    _unknowns,
    write_front,
)
from crm_analysis.book.front import verdict as front_verdict
from crm_analysis.book.pages import period_name
from crm_analysis.language import activate
from crm_analysis.profile.settings import Words


@pytest.fixture
def writer():
    profile = types.SimpleNamespace(
        currency="KRW", vocabulary=lambda _language: Words(customers="donors"), branch_name=lambda name, _lang: name
    )
    return types.SimpleNamespace(
        profile=profile,
        language="en",
        branch_name=lambda name: "All branches" if name == "all" else name,
        measure=lambda finding: style.percent(finding["value"]) if finding else style.DASH,
    )


def verdict(writer, by_chapter, contents):
    accepted = {(change.branch, change.finding["key"]) for change in moved(list(by_chapter.values()))[0]}
    return front_verdict(writer, by_chapter, contents, accepted)


def whole(chapter: str, key: str, value: float | None, low=None, high=None, change=None) -> dict[str, Outcome]:
    finding = {
        "key": key,
        "value": value,
        "low": low,
        "high": high,
        "change": change,
        "n": 9,
        "unit": "share",
        "label": "",
    }
    return {
        chapter: Outcome(
            chapter, "all", "2026Q3", bundle={"claims": {"verdict": "v", "findings": [finding], "measures": []}}
        )
    }


def kept(p: float | None, difference: float = 0.02) -> dict[str, Outcome]:
    change = None if p is None else {"p": p, "difference": difference, "previous": 0.75, "low": 0, "high": 0}
    return whole("customer_value", "customer_value.retention", 0.771, 0.76, 0.78, change)


def test_retention_up_down_unchanged_or_without_a_past(writer):
    contents = Contents.read()
    up, down = verdict(writer, kept(0.001), contents), verdict(writer, kept(0.001, -0.02), contents)
    assert up == "We kept **77.1\xa0%** of our donors, 2.0 points more than the period before."
    assert down == "We kept **77.1\xa0%** of our donors, 2.0 points fewer than the period before."
    assert verdict(writer, kept(0.4), contents) == "We kept **77.1\xa0%** of our donors: no change beyond noise."
    assert "no earlier period" in verdict(writer, kept(None), contents)


def test_where_nearly_all_come_once_retention_does_not_lead(writer):
    once = {"key": "customer_value.never_back", "value": 0.978, "low": 0.97, "high": 0.98, "change": None}
    chapters = kept(0.001)
    chapters["customer_value"].claims["measures"].append(once)
    said = verdict(writer, chapters, Contents.read())
    assert "**98\xa0% never came back after their first" in said and "kept" not in said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(1e7, 9e7, "earned"), (-9e7, -1e7, "lost"), (-1e7, 9e7, "is not settled")],
)
def test_programmes_earned_lost_or_not_settled(writer, low, high, said):
    outcome = whole("crm_roi", "crm_roi.net", (low + high) / 2, low, high)
    assert said in verdict(writer, outcome, Contents.read())


def test_what_a_test_has_shown_is_done_before_what_may_bring_nothing(writer):
    actions = [
        {"key": "hoped", "text": "Hope", "owner": "A", "value": 9e7, "low": 0.0, "high": 18e7, "resting_on": ""},
        {"key": "tested", "text": "Repeat", "owner": "B", "value": 2e7, "low": 1e7, "high": 3e7, "resting_on": ""},
    ]
    outcome = Outcome("crm_roi", "all", "2026Q3", bundle={"claims": {"actions": actions}})
    shown = _actions(writer, [outcome], [outcome])[1]
    assert shown.index("Repeat") < shown.index("Hope")


def test_what_a_single_branch_is_to_do_names_it(writer):
    def offers(branch: str, *keys: str) -> Outcome:
        doing = [
            {"key": k, "text": f"Do {k}", "owner": "A", "value": None, "low": None, "resting_on": ""} for k in keys
        ]
        return Outcome("crm_roi", branch, "2026Q3", bundle={"claims": {"actions": doing}})

    both = [offers("all", "x.one"), offers("north", "x.one", "x.two")]
    shown = _actions(writer, both[:1], both)[1]
    assert "<td>Do x.one</td>" in shown and "<td>north: Do x.two</td>" in shown and shown.count("x.one") == 1
    assert "north: Do x.one" in _actions(writer, [], both[1:])[1]  # nothing is said for all of them together
    assert "<td>Do x.two</td>" in _actions(writer, both[1:], both[1:])[1]  # the page is of north alone


def test_the_line_of_all_branches_stands_in_the_figure_of_branches(writer, monkeypatch):
    drawn = {}
    monkeypatch.setattr("crm_analysis.book.front.draw_branches", lambda *_, whole: drawn.update(whole=whole))
    monkeypatch.setattr("crm_analysis.book.front.svg", lambda *_: "")
    contents = replace(Contents.read(), front_columns=())
    chapter = contents.front_chart.partition(".")[0]
    writer.profile.privacy = types.SimpleNamespace(min_cell=5)
    writer.figure = lambda *_: ""
    outcomes = [Outcome("data_quality", branch, "2026Q3") for branch in ("all", "north")]
    outcomes += [*whole(chapter, contents.front_chart, 0.7, 0.6, 0.8).values()]
    gap = BranchGap("north", 0.8, 0.7, 0.9, 50, 0.7, 0.1, 0.0, 0.2, 0.5)
    _branches(writer, outcomes, [gap], contents, frozenset())
    assert drawn == {"whole": 0.7}


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-28e6, -10e6, "**lost 19.0 m won** after all costs, 10.0 m won of shared systems and data among them (10.0"),
        (-28e6, 1e6, "whether the programmes that can be measured earn money after all costs"),
    ],
    ids=["settled by the shared costs", "not settled"],
)
def test_customers_and_programmes_after_all_costs_are_one_sentence(writer, low, high, said):
    chapters = kept(0.4) | whole("crm_roi", "crm_roi.net", -9e6, -18e6, 11e6)
    after = {"key": "crm_roi.net_after_shared", "value": -19e6, "low": low, "high": high}
    chapters["crm_roi"].claims["measures"].append(after)
    sentence = verdict(writer, chapters, Contents.read()).replace("\xa0", " ")
    assert sentence.startswith("We kept **77.1 %** of our donors, no change beyond noise, and ")
    assert said in sentence and ". " not in sentence and sentence.endswith(").")


def test_without_either_measure_the_first_chapter_speaks(writer):
    assert verdict(writer, whole("data_quality", "data_quality.score", 0.9), Contents.read()) == "v"


def test_where_only_branches_were_asked_for_nothing_is_said_to_have_failed(writer):
    assert verdict(writer, {}, Contents.read()) == (
        "All branches together were not asked for: each branch's pages say what was found there."
    )


def test_periods_are_named_in_words():
    assert period_name("2026Q3") == "Third quarter 2026"
    assert period_name("2026H1") == "First half 2026"
    assert period_name("2026") == "Year 2026"
    assert period_name("2026-09") == "September 2026"
    activate("ko")
    try:
        assert period_name("2026Q3") == "2026년 3분기"
        assert period_name("2026-09") == "2026년 9월"
    finally:
        activate("en")


def spoken(chapter: str, said: str, findings: list) -> dict[str, Outcome]:
    return {
        chapter: Outcome(
            chapter, "all", "2026Q3", bundle={"claims": {"verdict": said, "findings": findings, "measures": []}}
        )
    }


def test_without_either_measure_the_chapter_on_customers_speaks_first(writer):
    contents = Contents.read()
    chapters = spoken("data_quality", "Usable.", [{"key": "x"}]) | spoken("customer_value", "Value.", [{"key": "y"}])
    assert verdict(writer, chapters, contents) == "Value."
    chapters["customer_value"].claims["findings"].clear()
    assert verdict(writer, chapters, contents) == "Usable."
    chapters["data_quality"].claims["findings"].clear()
    assert verdict(writer, chapters, contents) == "Value."


@pytest.mark.parametrize(
    ("tone", "low", "unit", "kept_off"),
    [
        ("neutral", None, "share", True),  # rows set aside
        ("good", None, "points", True),  # the mix did not move
        ("wait", None, "share", False),  # lines without customer
        ("bad", None, "days", False),  # a branch fell silent
        ("neutral", 0.2, "share", False),  # an estimate
        ("neutral", None, "money", False),
    ],
)
def test_counts_that_neither_warn_nor_estimate_stay_off_the_front_page(tone, low, unit, kept_off):
    assert _bookkeeping({"tone": tone, "low": low, "unit": unit}) is kept_off


def test_a_period_that_is_not_over_says_so_on_the_front_page():
    def made(complete: bool) -> Outcome:
        return Outcome("x", "all", "2011Q4", bundle={"as_of": "2011-12-09", "complete": complete})

    assert _unfinished("2011Q4", [made(True)]) == []
    assert "2011Q4 is not over: the data reach to 9 December 2011" in _unfinished("2011Q4", [made(False)])[0]


def test_each_chapter_has_its_say_on_what_is_not_known():
    chapters = [
        Outcome(name, "all", "2026Q3", bundle={"claims": {"unknowns": [f"{name}{i}" for i in range(count)]}})
        for name, count in (("a", 5), ("b", 1), ("c", 2))
    ]
    assert _unknowns(chapters)[1].splitlines() == ["- a0", "- b0", "- c0", "- a1", "- c1"]


def branch(name: str, value: float) -> Outcome:
    change = {"p": 0.001, "previous": value - 0.02, "difference": 0.02, "low": 0.005, "high": 0.035}
    finding = {"key": "x.kept", "value": value, "unit": "share", "label": "Kept", "change": change}
    claims = {"verdict": "v", "findings": [finding], "measures": []}
    return Outcome("x", name, "2026Q3", bundle={"as_of": "2026-09-30", "claims": claims})


def test_differences_of_shares_are_points(writer):
    table = _changes(writer, [branch("all", 0.7)])[1].replace(style.SPACE, " ")
    for cell in ("68.0 %", "70.0 %", "+2.0 points", "+0.5 to +3.5 points"):
        assert f">{cell}</td>" in table


@pytest.mark.parametrize(
    ("others", "rows"), [([0.7], ["a"]), ([0.6], ["a", "All branches"]), ([0.7, 0.7], ["a", "b", "All branches"])]
)
def test_the_table_of_a_single_branch_names_it_once(writer, others, rows):
    outcomes = [branch("all", 0.7), *map(branch, "ab", others)]
    table = _branch_table(writer, outcomes, list("ab")[: len(others)], ["x.kept"], {("all", "x.kept")})
    assert [cell.split("<")[0] for cell in table.split("<tr")[2:] for cell in cell.split("<td>")[1:]] == rows
    assert table.count("+2.0") == 1


@pytest.fixture
def front(writer):
    """The text of the front page of these outcomes."""
    written = {}
    vars(writer.profile).update(
        name="The shop", note="", text=lambda text, _language: text, privacy=types.SimpleNamespace(min_cell=5)
    )
    writer.profile.branches = types.SimpleNamespace(largest=None)
    writer.titles = {"x": "Title", "customer_value": "Customer value"}
    writer.place = lambda outcome: f"{outcome.branch}/{outcome.chapter}"
    writer.write = written.__setitem__
    writer.figure = lambda _svg, _alt, how: how

    def read(outcomes):
        write_front(writer, "index", "2026Q3", outcomes, Contents.read())
        return written["index"].replace(style.SPACE, " ")

    return read


def stayed(name: str, value: float, p: float = 0.4) -> Outcome:
    (outcome,) = kept(p).values()
    change = {"p": p, "previous": value - 0.02, "difference": 0.02, "low": 0.005, "high": 0.035}
    found = {"key": "customer_value.retention", "value": value, "low": value - 0.02, "high": value + 0.02, "n": 900}
    found |= {"unit": "share", "label": "Kept", "change": change, "sentence": f"{name} kept.", "basis": "counted"}
    claims = outcome.claims | {"findings": [found | {"stake": 1.0, "tone": "good"}], "verdict": f"Of {name}."}
    return replace(outcome, branch=name, bundle={"as_of": "2026-09-30", "complete": True, "claims": claims})


def test_an_edition_of_one_branch_is_told_of_that_branch(front):
    page = front([stayed("north", 0.7, p=0.001)])
    assert "The shop, north. State on 30 September 2026." in page
    assert "We kept **70.0 %** of our donors, 2.0 points more than the period before" in page
    assert "1. north kept." in page
    assert "All branches" not in page and "Nothing could be computed" not in page


def test_an_edition_of_several_branches_without_all_says_so(front):
    page = front([stayed("north", 0.7), stayed("south", 0.6)])
    assert "The shop, 2 branches. State on" in page
    assert "All branches together were not asked for: each branch's pages say" in page
    assert ">All branches" not in page and "Nothing could be computed" not in page
    assert "Nothing changed beyond noise (changes examined: 2)." in page


def test_of_many_branches_those_furthest_from_the_others_are_drawn_and_the_page_says_so(front, monkeypatch):
    drawn = []
    monkeypatch.setattr("crm_analysis.book.front.draw_branches", lambda gaps, *_, **__: drawn.extend(gaps))
    monkeypatch.setattr("crm_analysis.book.front.svg", lambda *_: "")
    values = [0.70 + 0.001 * number for number in range(39)] + [0.30]
    page = front([stayed("all", 0.7), *(stayed(f"b{number}", value) for number, value in enumerate(values))])
    assert len(drawn) == 30 and drawn[-1].branch == "b39"  # the worst of all, at the bottom
    assert "Drawn: the 30 of 40 branches that differ most; the table has them all." in page


def test_where_more_changed_than_is_shown_the_page_says_so(front):
    page = front([stayed("all", 0.7), *(stayed(f"b{number}", 0.5 + number / 100, p=0.001) for number in range(20))])
    assert "20 of 21 changes examined are more than noise" in page
    assert "The 12 least likely to be chance are shown." in page
    assert page.split("What changed since")[1].count("<tr>") == 13


def test_a_list_of_failed_pages_that_is_cut_shows_that_it_is(front):
    outcomes = [stayed("all", 0.7), *(Outcome("x", f"b{number}", "2026Q3", failure="No.") for number in range(7))]
    assert "7 of 8 pages failed" in front(outcomes) and ", …\n:::" in front(outcomes)
    assert "…" not in front(outcomes[:-1])
