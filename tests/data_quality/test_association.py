"""The chapter on the built-in association: what was planted is found, and turns with the truth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crm_analysis import demo, profile, tables
from crm_analysis.data_quality import listing
from crm_analysis.data_quality.assessment import Assessment, assess, read_report, state
from crm_analysis.data_quality.footing import footing
from crm_analysis.data_quality.scorecard import rules_frame
from crm_analysis.data_quality.sentences import claims
from crm_analysis.demo.truth import ID_PREFIX, truth
from crm_analysis.tables.failures import hold_to_contracts
from crm_analysis.tables.ingestion import ingest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DONORS = 2_000


def opened(folder: Path, patch: pytest.MonkeyPatch, **options: Any) -> tables.Tables:
    patch.setenv("CRM_ANALYSIS_BUILD", str(folder))
    settings = profile.load(ROOT / "analyses/profiles/demo.yaml")
    demo.generate(settings.data_root, donors=DONORS, **options)
    ingest(settings)
    hold_to_contracts(tables.open(settings))
    return tables.open(settings)


@pytest.fixture(scope="module")
def association(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tables.Tables]:
    with pytest.MonkeyPatch.context() as patch:
        yield opened(tmp_path_factory.mktemp("association"), patch)


@pytest.fixture(scope="module")
def everything(association: tables.Tables) -> Assessment:
    return assess(association.scope("all", "2026Q3"))


def test_the_silent_branch_is_named_with_its_last_day(everything: Assessment) -> None:
    (silence,) = everything.state.reporting.silences
    assert (silence.branch, silence.last_covered_day) == ("gwangju", date(2026, 7, 31))
    said = claims(everything)
    assert "Gwangju cannot be compared for 2026Q3" in said.verdict
    assert any(finding.key == "data_quality.silent_branches" for finding in said.findings)


def test_the_total_that_does_not_match_is_found(everything: Assessment) -> None:
    faults = truth().faults
    off = everything.state.footing.mismatches
    assert (faults.mismatch_branch, faults.mismatch_month) in set(zip(off["branch"], off["month"], strict=True))
    worst = off.iloc[0]
    assert worst["branch"] == faults.mismatch_branch and worst["difference"] < 0


def test_double_donors_are_found_and_only_they(everything: Assessment) -> None:
    persons = everything.state.persons
    assert persons is not None
    planted = max(1, round(truth().faults.double_donors * DONORS / 20_000))
    assert persons.n_surplus == persons.n_in_several_branches == pytest.approx(planted, abs=1)
    assert any(finding.key == "data_quality.same_person" for finding in claims(everything).findings)


def test_rows_and_amounts_foot(association: tables.Tables) -> None:
    for branch in ("all", "incheon", "gwangju"):
        foot = footing(association.scope(branch, "2026Q3"))
        assert foot.rows_in_files == foot.rows_set_aside + foot.rows_anonymous + foot.rows_used
        steps = association.scope(branch, "2026Q3").footing().query("table == 'transactions'")
        amounts = steps.set_index("step")["amount"]
        assert amounts["in files"] == pytest.approx(amounts.drop("in files").sum())
        assert foot.amount_used == pytest.approx(amounts["used"])
        assert foot.rows_set_aside == foot.by_rule["rows"].sum()


def test_branches_add_up_to_all(everything: Assessment) -> None:
    parts = sum(state.facts.lines for state in everything.branches.values())
    nowhere = everything.fields.set_index(["table", "column"]).loc[("transactions", "branch")]
    assert parts + nowhere["rows"] - nowhere["filled"] == everything.state.facts.lines


def test_a_branchs_page_and_the_page_of_all_say_the_same_of_it(
    association: tables.Tables, everything: Assessment
) -> None:
    own = assess(association.scope("gwangju", "2026Q3"))
    assert own.state.scorecard.score == pytest.approx(everything.branches["gwangju"].scorecard.score)
    assert claims(own).verdict.startswith("**Not usable after 31 July 2026")
    assert own.previous is None and own.mix.drifts == ()
    assert own.state.reporting.days_covered == 31 and own.state.reporting.days_due == 92


def test_months_that_were_not_delivered_are_a_dash_and_not_zero(everything: Assessment) -> None:
    shown = listing.month_table(everything).set_index("Branch")
    assert list(shown.loc["Gwangju", ["2026-08", "2026-09"]]) == ["–", "–"]
    assert "–" not in shown.drop(index="Gwangju").to_numpy()


def test_nothing_of_a_customer_reaches_the_page(everything: Assessment) -> None:
    said = claims(everything)
    text = " ".join(
        [said.verdict, *(f.sentence for f in said.findings + said.measures), *(a.text for a in said.actions)]
    )
    tables_shown = ["score_table", "month_table", "step_table", "lines", "failing", "attitudes", "contact_ages"]
    tables_shown += ["same_person_rules", "totals", "last_days", "drifts", "amount_quantiles", "fields"]
    text += " ".join(getattr(listing, name)(everything).to_csv() for name in tables_shown)
    assert ID_PREFIX not in text
    lists = listing.lists(everything)
    assert lists["same_person"]["customer_id"].str.startswith(ID_PREFIX).all()
    assert len(lists["stale_contacts"]) == everything.state.contacts.n_stale  # type: ignore[union-attr]


def test_the_state_before_is_recomputed_from_the_same_tables(association: tables.Tables) -> None:
    now = assess(association.scope("incheon", "2026Q3"))
    rules = rules_frame(read_report(association.profile.build_dir))
    before = state(association.scope("incheon", "2026Q2"), rules)
    assert now.previous is not None
    assert now.previous.scorecard.score == pytest.approx(before.scorecard.score)
    assert now.previous.facts == before.facts and now.state.facts.lines > before.facts.lines


def test_verdicts_turn_with_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turned = opened(tmp_path, monkeypatch, seed=7, flips=("gwangju_reports", "busan_silent"))
    said = claims(assess(turned.scope("all", "2026Q3")))
    assert "Busan cannot be compared" in said.verdict and "Gwangju" not in said.verdict
    assert claims(assess(turned.scope("busan", "2026Q3"))).verdict.startswith("**Not usable after 31 July 2026")
    assert "Not usable" not in claims(assess(turned.scope("gwangju", "2026Q3"))).verdict
