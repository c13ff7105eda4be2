"""Drivers and path model from files and a profile to the page: the truth flipped, bad items, the European index."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis import language, report, tables
from crm_analysis.findings import Claims
from crm_analysis.profile import load
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import captions, charts, displays
from crm_analysis.satisfaction_loyalty.sentences import claims
from crm_analysis.satisfaction_loyalty.study import Study, analyse
from crm_analysis.units import Period

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
PROFILE = """
id: shop
name: Shop
currency: EUR
tables:
  transactions: {files: [paid.csv]}
  survey_responses: {files: [survey.csv], columns: {COLUMNS}}
coverage: {data_ends_on: 2026-06-30}
calendar: {default_period: half}
survey:
  satisfaction: {scale: SCALE, label: Overall}
  MODEL
  items:
"""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    language.activate("en")
    yield
    language.activate("en")


def page(
    folder: Path, survey: pd.DataFrame, items: list[str], *, model: str = "", scale: tuple[int, int] = (1, 5)
) -> tuple[Study, Claims, Profile]:
    """The chapter on answers of 2026, one customer each."""
    frame = survey.assign(
        response_id=[f"r{k}" for k in range(len(survey))],
        customer_id=[f"c{k}" for k in range(len(survey))],
        branch="main",
        answered_on="2026-04-01",
    )
    paid = frame[["customer_id", "branch"]].assign(
        transaction_id=range(len(frame)), occurred_at="2025-03-01", amount=10, kind="sale"
    )
    frame.to_csv(folder / "survey.csv", index=False)
    paid.to_csv(folder / "paid.csv", index=False)
    text = PROFILE.replace("COLUMNS", ", ".join(f"{c}: {c}" for c in frame)).replace("SCALE", str(list(scale)))
    text = text.replace("  MODEL\n", f"  model: {model}\n" if model else "")
    (folder / "profile.yaml").write_text(text + "\n".join(f"    {item}" for item in items))
    profile = load(folder / "profile.yaml", data=folder)
    profile = profile.model_copy(update={"build_dir": folder / "build"})
    tables.ingest(profile)
    scope = tables.open(profile).scope("all", Period.parse("2026H1"))
    study = analyse(scope)
    return study, claims(study, scope), profile


def everything(study: Study, profile: Profile) -> str:
    """All words of the topic, drawn and tabulated."""
    charts.drivers(displays.drivers_frame(study, profile))
    charts.penalty_reward(displays.contrasts_frame(study, profile))
    charts.quadrants(displays.quadrants_frame(study, profile))
    figures = [words(study, profile) for words in (captions.drivers, captions.penalty_reward, captions.quadrants)]
    figures.append(captions.performance(study, profile))
    charts.performance(displays.performance_frame(study, profile), **displays.performance_axes())
    of_tables = (
        captions.fix_first, captions.paths, captions.reliability, captions.path_weights,
    )  # fmt: skip
    told = [table(study, profile) for table in of_tables]
    for table in told:
        report.table(**table)
    frames = [each.get("table", each.get("frame")) for each in (*figures, *told)]
    said = [str(text) for each in (*figures, *told) for key, text in each.items() if key not in ("table", "frame")]
    said += [frame.to_string() for frame in frames if frame is not None]
    assert not any("nan" in text.lower() or "{" in text for text in said)
    return " ".join(said)


def rated(n: int = 900, seed: int = 2) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.integers(1, 6, (n, 3)), columns=["speed", "price", "care"]), rng


def overall(pull: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(np.round(3 + pull + rng.normal(0, 0.6, len(pull))), 1, 5).astype(int)


ITEMS = ["speed: {target: 4, dimension: speed}", "price: {target: 4, dimension: price}", "care: {dimension: care}"]


@pytest.mark.parametrize(("strong", "other"), [("speed", "price"), ("price", "speed")])
def test_what_to_fix_turns_with_the_truth(tmp_path: Path, strong: str, other: str) -> None:
    survey, rng = rated()
    survey["satisfaction"] = overall(0.7 * (survey[strong] - 3) + 0.1 * (survey[other] - 3), rng)
    study, said, profile = page(tmp_path, survey, ITEMS, model="{paths: {satisfaction: [speed, price, care]}}")
    sentence = next(each.sentence for each in said.findings if each.key.endswith("fix_first"))
    assert sentence.startswith(f"Fix first: **{strong}**") and "points of the index" in sentence
    words = everything(study, profile)
    assert f"{strong} explains most" in words and f"Important and short of the target, beyond chance: {strong}" in words
    assert f"{strong.capitalize()} matters most for satisfaction" in words
    assert "1 items have no target in the profile" in words


def test_annoying_and_delighting_turn_with_the_truth(tmp_path: Path) -> None:
    survey, rng = rated()
    pull = 1.2 * (survey["speed"] >= 5) - 1.2 * (survey["price"] <= 2)
    study, _said, profile = page(tmp_path, survey.assign(satisfaction=overall(pull.to_numpy(), rng)), ITEMS)
    assert "ever being bad: price. Put what is left into these: speed." in everything(study, profile)
    (tmp_path / "b").mkdir()
    study, _said, profile = page(
        tmp_path / "b", survey.assign(satisfaction=overall(0.5 * (survey["care"].to_numpy() - 3), rng)), ITEMS
    )
    assert "No item is shown to harm more when poor" in everything(study, profile)


def test_items_that_explain_nothing_say_so(tmp_path: Path) -> None:
    survey, rng = rated()
    survey["satisfaction"] = rng.integers(1, 6, len(survey))
    study, said, profile = page(tmp_path, survey, ITEMS, model="{paths: {satisfaction: [speed, price, care]}}")
    assert not any(each.key.endswith("fix_first") for each in said.findings)
    assert any("no more of satisfaction than chance" in each for each in said.unknowns)
    words = everything(study, profile)
    assert "there is nothing to share out" in words and "No block is shown to go with satisfaction" in words


def test_two_hundred_and_collinear_items_get_a_plain_message(tmp_path: Path) -> None:
    survey, rng = rated()
    many = {f"q{k:03d}": rng.integers(1, 6, len(survey)) for k in range(197)}
    said_overall = overall(0.7 * (survey["speed"].to_numpy() - 3), rng)
    survey = pd.concat([survey.assign(satisfaction=said_overall), pd.DataFrame(many)], axis=1)
    study, _said, profile = page(tmp_path, survey, [*ITEMS, *(f"{name}: {{}}" for name in many)])
    assert "The survey has 200 items, more than can be told apart: the 30" in everything(study, profile)
    (tmp_path / "b").mkdir()
    twice = survey[["speed", "price", "satisfaction"]].assign(care=survey["speed"])
    study, said, profile = page(tmp_path / "b", twice, ITEMS)
    assert "cannot be told apart: speed, care" in everything(study, profile)
    first = next(each.sentence for each in said.findings if each.key.endswith("fix_first"))
    assert "not established" in first and "its own part cannot be told" in first


def test_korean_words_of_the_topic(tmp_path: Path) -> None:
    survey, rng = rated()
    survey["satisfaction"] = overall(0.7 * (survey["speed"].to_numpy() - 3), rng)
    study, _said, profile = page(tmp_path, survey, ITEMS, model="{paths: {satisfaction: [speed, price, care]}}")
    language.activate("ko")
    words = everything(study, profile)
    assert "가장 많이 설명하는 문항: speed" in words and "explains" not in words and "Path" not in words


@pytest.mark.realdata("ecsi_mobi.csv")
def test_the_european_index_through_a_profile(tmp_path: Path) -> None:
    """ECSI mobi (semPLS, plspm): index 72.454118, SE .911532, from the weights of the path model; paths on the page."""
    data = pd.read_csv(DATA / "ecsi_mobi.csv")
    block = {"IMAG": "image", "CUEX": "expectation", "PERQ": "quality", "PERV": "value", "CUSA": "satisfaction",
             "CUSC": "complaints", "CUSL": "loyalty"}  # fmt: skip
    role = {"expectation": "expectation", "quality": "perception", "loyalty": "repurchase"}
    items = [
        f"{name}: {{scale: [1, 10], dimension: {block[name[:4]]}, role: {role.get(block[name[:4]], 'perception')}}}"
        for name in data.columns
        if name != "CUSA1"
    ]
    study, _said, profile = page(
        tmp_path, data.rename(columns={"CUSA1": "satisfaction"}), items, model="{preset: ecsi}", scale=(1, 10)
    )
    assert study.wave.index.mean == pytest.approx(72.454118, abs=5e-7) and study.index_basis == "estimated"
    assert study.wave.index.se == pytest.approx(0.911532, abs=5e-6)
    paths = study.paths.paths.set_index(["source", "target"])["coefficient"]
    assert paths["satisfaction", "loyalty"] == pytest.approx(0.48547762, abs=2e-8)
    assert "Quality matters most for satisfaction" in everything(study, profile)
