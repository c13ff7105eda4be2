"""The built-in association: what was planted is found, and page and advice turn when the truth is turned."""

from pathlib import Path

import pytest

from crm_analysis import demo, profile, tables
from crm_analysis.crm_roi import displays
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.study import examine

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:fetch_arrow_table")]
DEMO = Path(__file__).parents[2] / "analyses" / "profiles" / "demo.yaml"
EXPECTED = {"earns": "earned", "loses": "lost"}


def page(folder, monkeypatch, *, seed, flips=()):
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(folder))
    settings = profile.load(DEMO)
    demo.generate(settings.data_root, seed=seed, flips=flips)
    tables.ingest(settings)
    found = evaluate(tables.open(settings).scope("all", "2026Q3"))
    return found, claims(found, profile=settings), demo.truth(seed, flips=flips)


@pytest.mark.parametrize("flips", [(), ("welcome_loses",), ("spring_earns",)])
def test_planted_truth_is_found_and_the_page_turns_with_it(tmp_path, monkeypatch, flips):
    found, said, truth = page(tmp_path, monkeypatch, seed=71, flips=flips)
    results = {r.campaign_id: r for r in found.closed + found.running + found.earlier}
    rate = 0.97
    for name in ("WELCOME26", "SPRING26"):
        planted = truth.campaigns[name]
        effect = results[name].effect("margin").plain
        assert effect.low <= rate * planted.effect_per_treated <= effect.high
        assert results[name].verdict in (EXPECTED[planted.verdict], "unknown")
        opposite = {"earned": "lost", "lost": "earned"}[EXPECTED[planted.verdict]]
        assert results[name].verdict != opposite
        assert results[name].roi.cost == pytest.approx(planted.actual_cost, rel=0.01)
    assert results["SPRING26"].cost.unplanned == pytest.approx(truth.campaigns["SPRING26"].forgotten_cost, rel=0.01)
    assert results["CONCERT26"].state == "not_causal" and results["CONCERT26"].roi is None
    assert results["AUTUMN26"].state == "too_early"
    assert results["CALL25"] in found.earlier
    advice = {a.key: a.text for a in said.actions}
    for name in ("WELCOME26", "SPRING26"):
        opening = {"earned": "Repeat", "lost": ("Stop", "Run", "Repeat"), "unknown": ("Test", "Do not extend")}
        text = advice[f"crm_roi.{name.lower()}.action"]
        assert text.startswith(opening[results[name].verdict])
    assert any(f.key == "crm_roi.spring26.unplanned" for f in said.findings + said.measures)


def test_the_concert_that_did_nothing_is_called_unidentified(tmp_path, monkeypatch):
    """Planted effect zero, the list the best of the 200 days before: the plain difference sees a gain of its size."""
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path))
    settings = profile.load(DEMO)
    demo.generate(settings.data_root, seed=72)
    tables.ingest(settings)
    study = examine(tables.open(settings).scope("all", "2026Q3"))
    (found,) = study.unrandomised
    assert demo.truth(72).campaigns["CONCERT26"].effect_per_treated == 0.0
    assert found.campaign_id == "CONCERT26" and not found.identified
    assert {"pretrend", "placebo", "overlap"} <= set(found.failed)
    estimates = {name: contrast for name, contrast in found.real.estimates.items() if contrast is not None}
    assert estimates["naive"].low > 0
    assert abs(estimates["ancova"].estimate) < abs(estimates["naive"].estimate)
    said = displays.unrandomised.sentence(found, study)
    assert "not causal, and nothing in the records identifies what it did" in said
    (finding,) = (f for f in displays.findings(study, profile=settings) if f.key == "crm_roi.concert26.association")
    assert finding.value is None and not finding.causal
    assert all(result.roi is None for result in study.evaluation.closed if result.campaign_id == "CONCERT26")
