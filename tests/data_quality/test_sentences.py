"""Words: verdicts that differ in kind, numbers withheld, and a Korean for each of them."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import json
import math
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from crm_analysis import language
from crm_analysis.contracts.totals import COLUMNS as TOTAL_COLUMNS
from crm_analysis.data_quality import drift, matching, wording
from crm_analysis.data_quality.completeness import ATTITUDE_COLUMNS, attitudes
from crm_analysis.data_quality.drift import Drift
from crm_analysis.data_quality.footing import Footing
from crm_analysis.data_quality.judgement import KINDS, reservations
from crm_analysis.data_quality.matching import same_persons
from crm_analysis.data_quality.mix import Mix
from crm_analysis.data_quality.reporting import Reporting, Silence
from crm_analysis.data_quality.scorecard import Scorecard
from crm_analysis.data_quality.sentences import claims
from crm_analysis.data_quality.staleness import staleness
from crm_analysis.profile.settings import Privacy, Quality, Words
from crm_analysis.units import Period

ROOT = Path(__file__).parents[2]
AS_OF = date(2026, 9, 30)
WORDS = Words(customer="donor", customers="donors")


def people(n: int, *, twice: int = 0, known: float = 1.0, stale: float = 0.0) -> pd.DataFrame:
    frame = pd.DataFrame({"customer_id": [f"c{i:04}" for i in range(n)], "branch": "a"})
    frame["name"] = [f"name {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(n)]
    frame["phone"] = [f"010-{1000 + i:04}-{5000 + i * 3 % 4999:04}" for i in range(n)]
    frame["birth_date"] = pd.date_range("1950-01-01", periods=n, freq="7D")
    frame["motive"] = ["empathy" if i < known * n else None for i in range(n)]
    age = [400 if i < stale * n else 10 for i in range(n)]
    frame["contact_verified_on"] = [pd.Timestamp(AS_OF) - pd.Timedelta(days=days) for days in age]
    second = frame.head(twice).assign(customer_id=[f"d{i:04}" for i in range(twice)], branch="b")
    return pd.concat([frame, second], ignore_index=True)


def assessment(
    branch: str = "a",
    *,
    anonymous: int = 0,
    set_aside: int = 0,
    silent: bool = False,
    gap: float = 0.0,
    customers: pd.DataFrame | None = None,
) -> Any:
    """An assessment made by hand: what `assess` would return for such data."""
    folk = people(200) if customers is None else customers
    totals = pd.DataFrame(
        [("transactions", "a", "2026-08", 100, 100, 1000.0, 1000.0 + gap, "", gap, gap / 1000, bool(gap))],
        columns=TOTAL_COLUMNS,
    )
    foot = Footing(
        1000, 9e6, set_aside, 1e4, anonymous, 1e5, 1000 - set_aside - anonymous, 8e6,
        pd.DataFrame({"rule": ["r"], "rows": [set_aside], "amount": [1e4]}), totals,
    )  # fmt: skip
    months = pd.DataFrame({"branch": "a", "month": ["2026-07", "2026-08", "2026-09"], "rows": 100, "amount": 1.0})
    quiet = (Silence("a", date(2026, 7, 31), 61, 123.4, 54_321.0, 3),) if silent else ()
    persons = same_persons(folk)
    state = SimpleNamespace(
        branch=branch,
        facts=SimpleNamespace(lines=1000, without_customer=anonymous, refunds=3, copies=2),
        footing=foot,
        reporting=Reporting(months=months.assign(covered=True), silences=quiet, days_due=92, days_covered=92),
        contacts=staleness(folk, as_of=AS_OF, limit_days=365, decay_annual=0.2),
        persons=persons,
        attitudes=attitudes(folk, set(folk["customer_id"]))
        if "motive" in folk
        else pd.DataFrame(columns=ATTITUDE_COLUMNS),
        scorecard=Scorecard(pd.DataFrame(), pd.DataFrame(), 0.99, 1000, 1),
    )
    rates = {
        "set_aside": set_aside / 1000,
        "anonymous": anonymous / 1000,
        "surplus": persons.n_surplus / persons.n_customers,
    }
    state.rate = rates.get
    profile = SimpleNamespace(
        currency="KRW",
        privacy=Privacy(),
        quality=Quality(),
        branch_name=lambda name, _language: name.upper(),
        vocabulary=lambda _language: WORDS,
        owner=lambda _key, _language: "",
    )
    scope = SimpleNamespace(
        branch=branch,
        profile=profile,
        period=Period.parse("2026Q3"),
        as_of=AS_OF,
        coverage=pd.DataFrame({"branch": ["a", "b"]}),
    )
    rules = pd.DataFrame(
        {
            "id": ["r"],
            "what": ["amount is negative."],
            "action": ["Correct <b>it</b>."],
            "severity": "critical",
            "table": "transactions",
        }
    )
    return SimpleNamespace(
        scope=scope, state=state, previous=None, branches={"a": state}, mix=Mix((), (), pd.DataFrame(), False),
        rules=rules, failing=rules, queries={},
    )  # fmt: skip


CASES = {
    "silent": {"silent": True},
    "totals": {"gap": -50.0},
    "anonymous": {"anonymous": 200},
    "set_aside": {"set_aside": 30},
    "duplicates": {"customers": people(200, twice=10)},
    "attitude": {"customers": people(200, known=0.2)},
    "stale": {"customers": people(200, stale=0.5)},
}


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_of_fault_has_a_verdict_of_its_own(kind: str) -> None:
    found = assessment(**CASES[kind])
    assert reservations(found) == (kind,)
    said = claims(found)
    assert said.verdict.startswith("**")
    assert said.actions, kind
    others = {claims(assessment(**case)).verdict for other, case in CASES.items() if other != kind}
    assert said.verdict not in others


def test_clean_data_need_no_reservation() -> None:
    found = assessment()
    assert reservations(found) == ()
    said = claims(found)
    assert said.verdict.startswith("**Usable for everything in this book**") and said.actions == ()


def test_the_gravest_comes_first_and_the_rest_is_counted() -> None:
    found = assessment("all", silent=True, gap=-50.0, anonymous=200, customers=people(200, stale=0.5))
    assert reservations(found) == ("silent", "totals", "anonymous", "stale")
    verdict = claims(found).verdict
    assert "A cannot be compared for 2026Q3" in verdict and "August 2026" in verdict
    assert verdict.endswith("Further reservations: lines that name nobody and old contact data.")


def test_a_small_silent_branch_without_a_page_does_not_decide_about_all() -> None:
    found = assessment("all", silent=True)
    found.branches = {}
    months = found.state.reporting.months
    months["rows"] = 1_000_000
    assert reservations(found) == ()
    assert claims(found).findings[0].key == "data_quality.silent_branches"


def test_where_the_silent_branch_is_the_only_one_there_are_no_others_to_use() -> None:
    found = assessment("all", silent=True)
    found.scope.coverage = found.scope.coverage[found.scope.coverage["branch"] == "a"]
    assert claims(found).verdict.startswith("**Not usable after")
    (silence,) = found.state.reporting.silences
    nothing = dataclasses.replace(silence, rows_missing=0.2, amount_missing=0.0)
    found.state.reporting = dataclasses.replace(found.state.reporting, silences=(nothing,))
    said = next(f for f in claims(found).findings if f.key == "data_quality.silent_branches").sentence
    assert said.endswith(".** Every chapter ends its figures there and calls nobody lost.")


def test_kinds_are_ordered_and_complete() -> None:
    assert set(CASES) | {"drift"} == set(KINDS)


def test_fewer_customers_than_a_cell_holds_are_not_counted_out() -> None:
    said = claims(assessment("all", customers=people(200, twice=3)))
    finding = next(f for f in said.findings + said.measures if f.key == "data_quality.same_person")
    assert "fewer than 5" in finding.sentence and finding.value is None
    assert not re.search(r"\b(3|200)\b people|1\.48|1\.5", finding.sentence)


def test_an_amount_that_may_not_be_shown_leaves_the_sentence() -> None:
    found = assessment(anonymous=200, set_aside=30)
    amounts = {"amount_anonymous": math.nan, "amount_set_aside": math.nan}
    found.state.footing = dataclasses.replace(found.state.footing, **amounts)
    said = {finding.key: finding.sentence for finding in claims(found).findings}
    assert said["data_quality.anonymous_share"].endswith("They are in the totals, in nothing per head.")
    assert "are set aside**; the commonest reason" in said["data_quality.set_aside_share"]


def test_a_mix_of_too_few_customers_is_not_said_to_stand_still() -> None:
    found = assessment()
    still = Drift("kind", 0.1, 0.7, None, 1.0, 900, 900, "refund", 0.1, 0.2)
    for noise, judged in ((0.1, True), (0.7, False)):
        found.mix = Mix((dataclasses.replace(still, noise=noise),), (1.0,), pd.DataFrame(), True)
        said = claims(found)
        keys = {finding.key for finding in said.findings + said.measures}
        assert ("data_quality.drift" in keys) is judged
        assert any("too few donors" in gap for gap in said.unknowns) is not judged


def test_every_finding_can_be_explained() -> None:
    said = claims(assessment("all", **CASES["duplicates"]))
    for finding in said.findings + said.measures:
        assert finding.key.startswith("data_quality.") and finding.definition and finding.filters and finding.label
    assert len(said.findings) <= 5
    compared = {finding.key for finding in said.findings + said.measures if finding.compare}
    measured = ("score", "set_aside_share", "stale_contacts", "attitude_known")
    assert compared == {f"data_quality.{name}" for name in measured}


def test_text_from_outside_is_inert() -> None:
    said = claims(assessment(set_aside=30))
    assert "<b>it" not in said.actions[0].text


def test_owner_and_branch_come_from_the_profile() -> None:
    found = assessment("all", silent=True)
    found.scope.profile.owner = lambda key, _language: {"branches": "Field office"}.get(key, "")
    action = claims(found).actions[0]
    assert action.owner == "Field office" and "from A since 31 July 2026" in action.text


# -- Korean -----------------------------------------------------------------------------------------------------------


def marked() -> list[str]:
    """Every string of the chapter that is marked for translation."""
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "crm_analysis/data_quality").glob("*.py"))]
    notebook = json.loads((ROOT / "analyses/data_quality.ipynb").read_text(encoding="utf-8"))
    sources += ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [
        node.args[0].value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "_"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]


def test_every_string_has_a_korean_with_the_same_places_to_fill() -> None:
    catalog = language._catalog("ko")
    for text in marked():
        assert text in catalog, text
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", catalog[text])), text


def test_korean_verdicts_are_korean_and_differ_in_kind() -> None:
    before = language.active()
    language.activate("ko")
    try:
        verdicts = [claims(assessment(**case)).verdict for case in CASES.values()]
    finally:
        language.activate(before)
    assert len(set(verdicts)) == len(CASES)
    assert all(re.search("[가-힣]", verdict) and "Usable" not in verdict for verdict in verdicts)


@pytest.mark.parametrize("module", [wording, matching, drift], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
