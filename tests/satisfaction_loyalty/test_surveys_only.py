"""An organisation of which only a survey is known: SFO from its profile to the page, and files with every bad input."""

from __future__ import annotations

import os
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis import language, style, tables
from crm_analysis.findings import Claims
from crm_analysis.profile import load
from crm_analysis.satisfaction_loyalty import captions, charts, displays
from crm_analysis.satisfaction_loyalty.displays import measuring
from crm_analysis.satisfaction_loyalty.sentences import claims
from crm_analysis.satisfaction_loyalty.study import Study, analyse
from crm_analysis.units import Period

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.realdata("sfo_2017.csv")
PROFILE = """
id: service
name: Service
currency: EUR
tables:
  transactions: {files: [paid.csv]}
  survey_responses: {files: [survey.csv], columns: {COLUMNS}}
coverage: {data_ends_on: 2026-06-30}
calendar: {default_period: half}
survey:
  satisfaction: {scale: [1, 5], codes: [9]}
  items:
    recommend: {role: recommend, scale: [0, 10]}
    fast_expected: {role: expectation, scale: [1, 7], dimension: speed}
    fast_found: {role: perception, scale: [1, 7], dimension: speed, expects: fast_expected, label: Quick answers}
    kind_expected: {role: expectation, scale: [1, 7], dimension: empathy}
    kind_found: {role: perception, scale: [1, 7], dimension: empathy, expects: kind_expected, label: Kind words}
    speed_points: {role: importance, scale: [0, 100], dimension: speed}
    kind_points: {role: importance, scale: [0, 100], dimension: empathy}
"""


def study_of(profile_path: Path, period: str, data: Path) -> tuple[Study, Claims, object]:
    language.activate("en")
    profile = load(profile_path, data=data)
    profile = profile.model_copy(update={"build_dir": data / "build"}) if profile.id != "sfo" else profile
    tables.ingest(profile)
    scope = tables.open(profile).scope("all", Period.parse(period))
    study = analyse(scope)
    return study, claims(study, scope), profile


def made(folder: Path, **changes: object) -> tuple[Study, Claims, object]:
    """The chapter on the files of `write`."""
    write(folder, **changes)
    return study_of(folder / "profile.yaml", "2026H1", folder)


def write(folder: Path, **changes: object) -> None:
    """Two hundred customers and twenty of staff over two half years, through files and the profile."""
    rng, n = np.random.default_rng(5), 440
    level = rng.choice([1, 2, 3, 4, 5], n, p=[0.1, 0.1, 0.3, 0.3, 0.2])
    survey = pd.DataFrame(
        {
            "response_id": [f"r{k}" for k in range(n)],
            "customer_id": [f"c{k % 300}" for k in range(n)],
            "branch": "main",
            "answered_on": pd.to_datetime(np.where(np.arange(n) < 220, "2025-10-01", "2026-04-01")).strftime(
                "%Y-%m-%d"
            ),
            "satisfaction": level,
            "respondent_kind": np.where(np.arange(n) % 11 == 0, "staff", "customer"),
            "recommend": np.clip(level * 2 + rng.integers(-1, 2, n), 0, 10),
            "fast_expected": 6,
            "fast_found": rng.integers(3, 6, n),
            "kind_expected": 6,
            "kind_found": rng.integers(5, 8, n),
            "speed_points": 80,
            "kind_points": 20,
        }
    ).assign(**changes)
    paid = survey[["customer_id", "branch"]].drop_duplicates()
    paid = paid.assign(transaction_id=range(len(paid)), occurred_at="2025-03-01", amount=10, kind="sale")
    survey.to_csv(folder / "survey.csv", index=False)
    paid.to_csv(folder / "paid.csv", index=False)
    (folder / "profile.yaml").write_text(PROFILE.replace("COLUMNS", ", ".join(f"{c}: {c}" for c in survey)))


def drawn(study: Study, profile: object) -> dict[str, bool]:
    """Every figure and table of the measurement, and whether it could be drawn."""
    figures = {
        "waves": charts.waves(**measuring.waves(study)),
        "promoters": charts.promoters(**measuring.promoters(study)),
        "items": charts.spread(measuring.spread_frame(study, profile), head="mean"),  # type: ignore[arg-type]
        "service": charts.service_gaps(**measuring.service_gaps(study)),
        "distribution": charts.distribution(**displays.distribution(study, profile)),  # type: ignore[arg-type]
    }
    words = (
        captions.waves(study),
        captions.promoters(study, profile),  # type: ignore[arg-type]
        captions.item_spread(study, profile),  # type: ignore[arg-type]
        captions.service_gaps(study),
    )
    assert all(each["alt"] for each in words[:-1])
    assert bool(words[-1]["alt"]) == (study.expectations.reason != "no_pairs")
    assert not any("{" in str(text) for each in words for key, text in each.items() if key != "table")
    return {name: figure is not None for name, figure in figures.items()}


@needs_data
def test_sfo_index_promoters_drivers_and_shape() -> None:
    """NPS 2017 weighted 40.3984, SE 1.4434 with strata; top box .21334 to .26502; the shape of the stated link."""
    study, said, profile = study_of(ROOT / "analyses" / "profiles" / "sfo.yaml", "2017", DATA)
    assert study.wave.nps is not None and study.changed is not None
    assert (study.wave.nps.n, study.wave.nps.mean, study.wave.nps.se) == (
        2746,
        pytest.approx(40.3984, abs=5e-5),
        pytest.approx(1.4434, abs=5e-5),
    )
    assert study.changed.since == "2013" and study.changed.nps is None
    assert study.changed.previous.top_box.mean == pytest.approx(0.21334, abs=6e-6)
    assert study.wave.top_box.mean == pytest.approx(0.26502, abs=6e-6)
    assert "cannot be followed" in said.verdict and "acceleration at the top is not established" in said.verdict
    said_only, top_box = said.findings[:2]
    assert (said_only.key, said_only.n) == ("satisfaction_loyalty.stated_link", 2625)
    assert said_only.value == pytest.approx(0.402, abs=0.001) and 0.34 < said_only.low < said_only.high < 0.46
    assert said_only.basis == "last step, 95 % interval for all 3 steps at once; association within one survey"
    assert "in the wave 2013" in top_box.sentence
    assert said.findings[-1].sentence.startswith("**The net promoter score is 40.4**")
    assert all(each.change is None for each in said.findings + said.measures), (
        "an earlier wave is not the period before"
    )
    assert displays.curve(study, profile)["ylabel"].endswith(": 9 or higher")  # type: ignore[arg-type]
    assert "answer “Would recommend SFO” with 9 or higher" in said.verdict
    fix = next(each.sentence for each in said.findings if each.key.endswith("fix_first"))
    assert "with reaching 5 go" in fix
    level = "That it comes before Escalators and walkways, Retail shops is not established"
    assert level in fix, "three are worth about the same"
    assert (study.drivers.n, study.drivers.n_scored) == (1483, 2688)
    assert displays.groups_spread(study, profile).empty, "one group stands in the distribution already"
    assert top_box.basis.startswith("95 % interval on the effective number")
    weighted = "Shares are weighted, the numbers of answers are not."
    for words in (captions.link_curve, captions.distribution, captions.promoters):
        assert words(study, profile)["how_to_read"].endswith(weighted)  # type: ignore[arg-type]
    assert drawn(study, profile) == {
        "waves": True,
        "promoters": True,
        "items": True,
        "service": False,
        "distribution": True,
    }
    assert study.item_gaps.set_index("item").loc["wifi", "change"] > 0.3
    assert not study.drivers.table.empty and not study.steps


def test_a_service_survey_from_files_to_page(tmp_path: Path) -> None:
    study, _said, profile = made(tmp_path)
    assert drawn(study, profile) == dict.fromkeys(("waves", "promoters", "items", "service", "distribution"), True)
    gaps = study.expectations.dimensions.set_index("dimension")
    assert gaps.loc["speed", "gap"] < -1 < gaps.loc["empathy", "gap"] and gaps.loc[
        "speed", "importance"
    ] == pytest.approx(0.8)
    plain, weighted = study.expectations.plain, study.expectations.weighted
    assert plain is not None and weighted is not None and weighted.mean < plain.mean
    whole = captions.service_gaps(study)["table"].tail(2)
    assert whole["Dimension"].tolist() == ["all, counted alike", "all, by each respondent's own points"]
    assert whole["Gap"].tolist() == [style.number(plain.mean, 2), style.number(weighted.mean, 2)]
    assert not captions.distribution(study, profile)["how_to_read"].endswith("are not."), "no weights, no word of them"  # type: ignore[arg-type]
    assert "Furthest short of what was expected: speed" in captions.service_gaps(study)["how_to_read"]
    assert list(captions.service_items(study, profile)["frame"]["Dimension"]) == ["speed", "empathy"]  # type: ignore[arg-type]
    assert set(study.kinds["kind"]) == {"customer", "staff"}
    groups = captions.kinds(study, profile)["frame"]  # type: ignore[arg-type]
    assert list(groups["Group"]) == ["Customers", "Staff"] and len(groups.columns) == 5 + 5
    assert groups.iloc[0, 5:].str.endswith("%").all(), "every level of some hundred customers is shown"
    few = study.kinds.loc[study.kinds["kind"] == "staff", "levels"].item()
    assert (groups.iloc[1, 5:] == "–").sum() >= sum(0 < n < 5 for _label, n, _share in few) > 0  # noqa: PLR2004
    assert study.changed is not None and study.changed.panel > 0


@pytest.mark.parametrize(
    ("changes", "said", "alive"),
    [
        ({"satisfaction": 5, "fast_found": 4, "recommend": 9}, "", True),
        ({"satisfaction": [8, 9, 10, 7] * 110}, "do not fit the scale", False),
        ({"weight": -1}, "No weight in the survey is positive", True),
        ({"weight": [1, 0, -1, None] * 110}, "worth", True),
        ({"customer_id": "c1"}, "further ones of the same person", True),
        ({"customer_id": [f"nobody{k}" for k in range(440)]}, "", True),
        ({"fast_found": [70, 4] * 220}, "survey.items.fast_found.scale", True),
        ({"kind_found": [70] + [4] * 439}, "", True),
    ],
)
def test_bad_input_is_said_and_the_rest_lives(
    tmp_path: Path, changes: dict[str, object], said: str, alive: bool
) -> None:
    study, spoken, profile = made(tmp_path, **changes)
    figures = drawn(study, profile)
    text = " ".join(
        [
            spoken.verdict,
            *spoken.unknowns,
            measuring.scores_note(study, profile),
            captions.item_spread(study, profile)["how_to_read"],  # type: ignore[arg-type]
        ]
    )
    assert said in unescape(text), text
    assert figures["distribution"] is alive and figures["items"]


def test_withheld_levels_keep_their_place_in_the_bar() -> None:
    """Bars of an item fill 0 to 1; what is withheld of the lowest levels lies at the left, not at the right."""
    shares = [np.nan, np.nan, 0.2, 0.4, 0.37]
    table = pd.DataFrame({"name": "speed", "place": range(5), "levels": 5, "share": shares, "mean": "4.1 (1–5)"})
    drawing = charts.spread(table, head="mean")
    assert drawing is not None
    bars = [bar for bar in drawing.axes[0].patches if bar.get_width() > 0]  # type: ignore[attr-defined]
    assert [round(bar.get_x(), 2) for bar in bars] == [0.0, 0.03, 0.23, 0.63]  # type: ignore[attr-defined]
    assert [bool(bar.get_hatch()) for bar in bars] == [True, False, False, False]


def test_a_scale_that_does_not_fit_stops_the_installed_command_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, satisfaction=[8, 9, 10, 7] * 110)
    asked = ["report", "--profile", "profile.yaml", "--chapter", "satisfaction_loyalty", "--branch", "all"]
    done = subprocess.run(
        [sys.executable, "-m", "crm_analysis", *asked], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert (
        "survey_responses.*: More rows would be set aside than the profile's quality.max_set_aside allows. "
        "satisfaction lies outside the scale that the profile states and is no declared code (330 of 440 rows; Declare "
        "codes for no answer under survey.satisfaction.codes in the profile, or correct the scale.) Correct the export"
    ) in " ".join(done.stderr.split())
