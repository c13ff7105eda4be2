"""The built-in association: what was planted is found, and page and advice turn when the truth is turned."""

import os
from pathlib import Path

import pytest

from crm_analysis import demo, profile, tables
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


def test_the_money_in_depth_holds_what_was_planted(tmp_path, monkeypatch):
    seed = int(os.environ["CRM_TEST_SEED"])
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path))
    settings = profile.load(DEMO)
    demo.generate(settings.data_root, seed=seed)
    tables.ingest(settings)
    study = examine(tables.open(settings).scope("all", "2026Q3"))
    truth = demo.truth(seed)
    money = {each.key: each for each in study.finance.costing}
    spring, planted = money["spring26"], truth.campaigns["SPRING26"]
    reward = spring.lines.set_index("kind").loc["reward"]
    assert (reward["planned"], reward["actual"]) == (0, pytest.approx(planted.forgotten_cost, rel=0.01))
    treated = study.evaluation.measured[-1].n_treated
    anyway = planted.control_rate * treated * planted.treated_mean
    reach = spring.subsidy.high - spring.subsidy.value
    assert abs(spring.subsidy.value - anyway) < 2.5 * reach, "an interval and a half of the planted value, for any seed"
    assert money["welcome26"].discount is None, "the few who also got the discount are in both arms"
    for each in study.finance.of_period:
        roi = next(r.roi for r in study.evaluation.measured if r.key == each.key)
        assert each.curve["total"].iloc[-1] == pytest.approx(roi.net)
        assert (each.present.value > 0) == (roi.net > 0) or abs(roi.net) < 0.05 * roi.cost
    after = {each.key: each for each in study.finance.aftermath}
    assert abs(after["spring26"].margin.difference) < 5 * after["spring26"].margin.standard_error, "nothing is planted"
    complaints = next(each for each in study.finance.claims if each.code == "complaints")
    assert complaints.verdict == "holds", "the association's own truth: recovered complainers return far more often"
    assert next(each for each in study.finance.claims if each.code == "six_times").needs == "costs, acquisition"
