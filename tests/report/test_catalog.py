"""Everything that reaches a page is translated, with the same placeholders."""

from __future__ import annotations

import ast
import re
import string
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_analysis import contracts, language, style
from crm_analysis.book.build import title_of
from crm_analysis.runs.jobs import FAILURES
from crm_analysis.runs.planning import PARTS

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "crm_analysis").rglob("*.py"))
# Korean names a respondent where the source says {customers}, so the word is not repeated.
DROPPED = {"customer", "customers", "order", "orders"}


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def _marked() -> dict[str, str]:
    """Texts marked with `_` in the package, each with the place it stands at."""
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                assert not isinstance(node.args[0], ast.JoinedStr), f"{place}: a template cannot be an f-string"
                found |= dict.fromkeys(_texts(node.args[0]), place)
    return found


def _named_elsewhere() -> dict[str, str]:
    """Texts that are looked up under a name: chapters' titles, rules, states, reasons to run again, and failures."""
    titles = {title_of(path): path.name for path in (ROOT / "analyses").glob("*.ipynb")}
    rules = {
        text: rule.id
        for contract in contracts.load().values()
        for rule in contract.rules
        for text in (rule.what, rule.action, rule.severity, rule.dimension)
    }
    states = dict.fromkeys(("fresh", "stale", "failed", "missing"), "runs/manifest.py")
    reasons = dict.fromkeys(PARTS.values(), "runs/planning.py") | dict.fromkeys(FAILURES, "runs/jobs.py")
    return titles | rules | states | reasons


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_marked_text_is_in_the_korean_catalog():
    catalog = language._catalog("ko")
    wanted = _marked() | _named_elsewhere()
    assert len(wanted) > 500
    missing = {text: place for text, place in wanted.items() if text not in catalog}
    assert not missing


def test_translations_have_the_placeholders_of_their_source():
    catalog = language._catalog("ko")
    wrong = []
    for text, place in _marked().items():
        source, translated = _placeholders(text), _placeholders(catalog.get(text, text))
        if translated - source or source - translated - DROPPED:
            wrong.append((place, text, source ^ translated))
    assert not wrong


def test_a_text_has_one_translation():
    """Of two, the one read last would win on every page: a segment was called by the name of a column of shares."""
    found = defaultdict(list)
    for path in (language.FOLDER / "ko").glob("*.po"):
        entries = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', path.read_text(encoding="utf-8"), flags=re.M)
        assert len(entries) == len({text for text, _ in entries}), f"{path.name} holds a text twice"
        for text, translated in entries:
            found[text].append(translated)
    assert len(found) == len(language._catalog("ko")) > 500
    assert not {text: each for text, each in found.items() if len(set(each)) > 1}


@pytest.mark.parametrize("text", ["No row was set aside.", "What we found"])
def test_a_translation_is_not_its_source(text):
    assert language._catalog("ko")[text] != text


def test_rules_that_set_transactions_aside_are_named_in_short():
    from crm_analysis.report import rule_in_short

    language.activate("ko")
    try:
        rules = [rule.id for each in contracts.load().values() for rule in each.rules if rule.severity == "critical"]
        short = {rule: rule_in_short(rule) for rule in rules if rule.startswith("transactions_")}
        short.pop("transactions_empty")  # stops the report: nothing is set aside
        assert short and not [rule for rule, name in short.items() if name.isascii()]
    finally:
        language.activate("en")


def test_periods_read_as_words_in_korean():
    language.activate("ko")
    try:
        said = [style.period(label) for label in ("2026", "2026H1", "2026Q3", "2026-09")]
    finally:
        language.activate("en")
    assert said == ["2026년", "2026년 상반기", "2026년 3분기", "2026년 9월"]
    assert style.period("2026Q3") == "2026Q3"


def test_percent_signs_close_up_in_korean_on_pages_and_in_the_catalog():
    language.activate("ko")
    try:
        said = style.percent(0.7712)
    finally:
        language.activate("en")
    assert said == "77.1%" and style.percent(0.7712) == "77.1\xa0%"
    assert not [text for text in language._catalog("ko").values() if re.search(r"\d %", text)]
