"""The built-in association: what was planted is found, and page and advice turn when the truth is turned."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crm_analysis import demo, profile, tables
from crm_analysis.crm_roi import displays
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.study import Study, examine

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:fetch_arrow_table")]
DEMO = Path(__file__).parents[2] / "analyses" / "profiles" / "demo.yaml"
EXPECTED = {"earns": "earned", "loses": "lost"}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., tuple[Study, profile.Profile]]]:
    """A function from seed and flips to what the chapter knows of that association, and its profile."""
    made: dict[tuple[int, tuple[str, ...]], tuple[Study, profile.Profile]] = {}
    with pytest.MonkeyPatch.context() as patch:

        def study(seed: int, flips: tuple[str, ...] = ()) -> tuple[Study, profile.Profile]:
            if (seed, flips) not in made:
                patch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path_factory.mktemp("association")))
                settings = profile.load(DEMO)
                demo.generate(settings.data_root, seed=seed, flips=flips)
                tables.ingest(settings)
                made[seed, flips] = examine(tables.open(settings).scope("all", "2026Q3")), settings
            return made[seed, flips]

        yield study


@pytest.mark.parametrize("flips", [(), ("welcome_loses",), ("spring_earns",)])
def test_planted_truth_is_found_and_the_page_turns_with_it(studied, flips):
    study, settings = studied(71, flips)
    found, truth = study.evaluation, demo.truth(71, flips=flips)
    said = claims(found, profile=settings)
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


def test_the_money_in_depth_holds_what_was_planted(studied):
    seed = int(os.environ["CRM_TEST_SEED"])
    study, _ = studied(seed)
    truth = demo.truth(seed)
    money = {each.key: each for each in study.finance.costing}
    spring, planted = money["spring26"], truth.campaigns["SPRING26"]
    reward = spring.lines.set_index("kind").loc["reward"]
    assert (reward["planned"], reward["actual"]) == (0, pytest.approx(planted.forgotten_cost, rel=0.01))
    treated = study.evaluation.measured[-1].n_treated
    anyway = planted.control_rate * treated * planted.treated_mean
    reach = spring.subsidy.high - spring.subsidy.value
    assert abs(spring.subsidy.value - anyway) < 2.5 * reach, "an interval and a half of the planted value, for any seed"
    for each in study.finance.of_period:
        roi = next(r.roi for r in study.evaluation.measured if r.key == each.key)
        assert each.curve["total"].iloc[-1] == pytest.approx(roi.net)
        assert (each.present.value > 0) == (roi.net > 0) or abs(roi.net) < 0.05 * roi.cost
    after = {each.key: each for each in study.finance.aftermath}
    assert abs(after["spring26"].margin.difference) < 5 * after["spring26"].margin.standard_error, "nothing is planted"
    complaints = next(each for each in study.finance.claims if each.code == "complaints")
    assert complaints.verdict == "holds", "the association's own truth: recovered complainers return far more often"
    assert next(each for each in study.finance.claims if each.code == "six_times").needs == "costs, acquisition"


def test_the_concert_that_did_nothing_is_called_unidentified(studied):
    """Planted effect zero, the list the best of the 200 days before: the plain difference sees a gain of its size."""
    study, settings = studied(72)
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


@pytest.mark.parametrize("flips", [(), ("welcome_loses",)])
def test_nobody_is_told_apart_where_all_respond_alike_and_the_concert_does_nothing(studied, flips):
    found, _ = studied(71, flips)
    planted = demo.truth(71, flips=flips).campaigns
    who = {one.campaign_id: one for one in found.responders}
    assert set(who) == {"WELCOME26", "SPRING26"}
    for name, one in who.items():
        policy = one.policy
        truth = policy.n * (0.97 * planted[name].effect_per_treated - policy.contact_cost) - policy.fixed_cost
        error = (policy.everybody.high - policy.everybody.low) / (2 * 1.96)
        assert abs(policy.everybody.mean - truth) < 4 * error, "every member responds alike"
        assert policy.advice != "target"
    assert who["WELCOME26"].policy.advice in (("nobody", "unsettled") if flips else ("everybody", "unsettled"))
    (line,) = found.thresholds
    assert line.campaign_id == "CONCERT26" and line.n_in == pytest.approx(240, abs=5)
    assert abs(line.effect.value) < 4 * line.effect.se, "the planted effect is zero"
    assert {kind.kind for kind in found.rewards.measured} == {"price", "none"}
    back = found.comeback.groups.set_index("group")
    assert found.comeback.campaign_id == "CALL25" and (back["before"] < back["low"]).all()
