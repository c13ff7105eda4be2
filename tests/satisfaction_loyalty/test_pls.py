"""Path model: the published ECSI figures, recovery of a known structure, and input that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from crm_analysis.profile.settings import PathModel, Survey
from crm_analysis.satisfaction_loyalty import pls
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
ECSI = PathModel(preset="ecsi")
PREFIX = {
    "IMAG": "image", "CUEX": "expectation", "PERQ": "quality", "PERV": "value", "CUSA": "satisfaction",
    "CUSC": "complaints", "CUSL": "loyalty",
}  # fmt: skip


@pytest.fixture(scope="module")
def mobi() -> pls.PathModel:
    """The mobile-phone customers of Tenenhaus et al. 2005, as R's semPLS and plspm ship them."""
    data = pd.read_csv(DATA / "ecsi_mobi.csv")
    block_of = {name: PREFIX[name[:4]] for name in data.columns}
    return pls.fit(data, block_of, ECSI.arrows(), scales=dict.fromkeys(block_of, (1, 10)), draws=199)


@pytest.mark.realdata("ecsi_mobi.csv")
def test_ecsi_paths_and_r2(mobi: pls.PathModel) -> None:
    """SmartPLS 2, semPLS and plspm agree on these, path weighting scheme."""
    paths = mobi.paths.set_index(["source", "target"])["coefficient"]
    assert paths["satisfaction", "loyalty"] == pytest.approx(0.48547762, abs=2e-8)
    assert paths["image", "satisfaction"] == pytest.approx(0.17873950, abs=2e-8)
    assert paths["quality", "satisfaction"] == pytest.approx(0.51202394, abs=2e-8)
    blocks = mobi.blocks.set_index("block")
    assert blocks.loc["satisfaction", "r2"] == pytest.approx(0.681078, abs=5e-7)
    assert blocks.loc["loyalty", "r2"] == pytest.approx(0.456944, abs=6e-7)
    assert np.isnan(blocks.loc["image", "r2"])


@pytest.mark.realdata("ecsi_mobi.csv")
def test_ecsi_reliability_and_index(mobi: pls.PathModel) -> None:
    """Cronbach's alpha of R's psych, raw and standardised; index of the ECSI from unstandardised normalised weights."""
    satisfaction = mobi.blocks.set_index("block").loc["satisfaction"]
    assert satisfaction["alpha"] == pytest.approx(0.77920, abs=5e-6)
    assert satisfaction["alpha_raw"] == pytest.approx(0.77011, abs=5e-6)
    weights = pls.index_weights(mobi)
    assert weights == pytest.approx({"CUSA1": 0.38363402, "CUSA2": 0.28155007, "CUSA3": 0.33481592}, abs=6e-8)
    assert satisfaction["mean"] == pytest.approx(72.454118, abs=5e-7)
    assert satisfaction["rho_c"] > satisfaction["rho_a"] > satisfaction["alpha"] > satisfaction["ave"]


@pytest.mark.realdata("ecsi_mobi.csv")
def test_intervals_hold_the_estimates(mobi: pls.PathModel) -> None:
    for frame, value, low, high in (
        (mobi.paths, "coefficient", "low", "high"),
        (mobi.items, "loading", "loading_low", "loading_high"),
        (mobi.effects, "points", "points_low", "points_high"),
    ):
        assert ((frame[low] <= frame[value]) & (frame[value] <= frame[high])).mean() > 0.95
    assert mobi.failed_draws == 0 and mobi.rounds < 20
    table = pls.importance_performance(mobi)
    assert table["block"].iloc[0] == "quality" and set(table["block"]) == {"image", "expectation", "quality", "value"}


def test_total_effects_add_up_along_the_arrows() -> None:
    paths = np.zeros((3, 3))
    paths[0, 1], paths[1, 2], paths[0, 2] = 0.5, 0.4, 0.1
    effects = pls.total_effects(paths)
    assert effects[0, 2] == pytest.approx(0.1 + 0.5 * 0.4) and effects[2, 0] == 0


def test_single_items_are_plain_regression() -> None:
    """With one item a block, a path model is the standardised regression of each block on what leads to it."""
    data, answers = _survey(800)
    found = pls.model(answers.frame, answers, PathModel(paths={"satisfaction": ("care", "price")}), draws=60)
    x = answers.frame[["care1", "price1", "satisfaction"]].to_numpy()
    r = np.corrcoef(x.T)
    expected = np.linalg.solve(r[:2, :2], r[:2, 2])
    single = pls.fit(
        answers.frame, {"care1": "care", "price1": "price", "satisfaction": "satisfaction"},
        (("care", "satisfaction"), ("price", "satisfaction")), scales=dict.fromkeys(data, (1, 10)), draws=20,
    )  # fmt: skip
    assert single.paths["coefficient"].to_numpy() == pytest.approx(expected)
    assert single.blocks["alpha"].isna().all()
    paths = found.paths.set_index("source")
    assert paths.loc["care", "low"] > paths.loc["price", "high"]  # planted .7 against .1


def _survey(n: int, **changes: object) -> tuple[pd.DataFrame, Answers]:
    rng = np.random.default_rng(3)
    care, price = rng.normal(size=(2, n))
    overall = 0.7 * care + 0.1 * price + 0.5 * rng.normal(size=n)

    def asked(value: np.ndarray) -> np.ndarray:
        return np.clip(np.round(5.5 + 1.6 * value + 0.8 * rng.normal(size=n)), 1, 10)

    data = pd.DataFrame(
        {"care1": asked(care), "care2": asked(care), "price1": asked(price), "price2": asked(price)}
    ).assign(**({"satisfaction": asked(overall)} | changes))
    items = {name: {"scale": [1, 10], "dimension": name[:-1]} for name in data if name != "satisfaction"}
    survey = Survey.model_validate({"satisfaction": {"scale": [1, 10]}, "items": items})
    raw = data.assign(response_id=np.arange(n).astype(str), branch="a", answered_on=pd.Timestamp("2026-01-01"))
    return data, prepare(raw, survey)


def test_reversed_blocks_are_turned_up() -> None:
    """A block whose items all run the other way keeps positive loadings; its path is negative."""
    data, answers = _survey(600)
    answers.frame[["price1", "price2"]] = 11 - answers.frame[["care1", "care2"]].to_numpy()
    found = pls.model(answers.frame, answers, PathModel(paths={"satisfaction": ("price",)}), draws=20)
    assert (found.items["loading"] > 0).all() and found.paths["coefficient"].iloc[0] < 0


def test_expectations_and_points_join_no_block_that_holds_items() -> None:
    items = {
        "found": {"role": "perception", "expects": "hoped", "dimension": "care"},
        "hoped": {"role": "expectation", "dimension": "care"},
        "points": {"role": "importance", "dimension": "care", "scale": [0, 100]},
    }
    survey = Survey.model_validate({"items": items})
    rng = np.random.default_rng(1)
    raw = pd.DataFrame({name: rng.integers(1, 6, 90) for name in ("found", "hoped", "points", "satisfaction")})
    raw = raw.assign(response_id=raw.index.astype(str), branch="a", answered_on=pd.Timestamp("2026-01-01"))
    answers = prepare(raw, survey)
    found = pls.model(answers.frame, answers, PathModel(paths={"satisfaction": ("care",)}), draws=20)
    assert found.reason == "" and list(found.items["item"]) == ["found", "satisfaction"]


def test_blocks_without_items_drop_out_with_their_arrows() -> None:
    _data, answers = _survey(300)
    structure = PathModel(paths={"satisfaction": ("care", "price", "brand"), "loyalty": ("satisfaction",)})
    found = pls.model(answers.frame, answers, structure, draws=20)
    assert set(found.left_out) == {"brand", "loyalty"} and len(found.paths) == 2
    assert sum(pls.index_weights(found, "care").values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "changes", "reason"), [(40, {}, "too_few"), (200, {"satisfaction": 7.0}, "no_variation")]
)
def test_what_cannot_be_fitted_says_why(n: int, changes: dict[str, object], reason: str) -> None:
    _data, answers = _survey(n, **changes)
    found = pls.model(answers.frame, answers, PathModel(paths={"satisfaction": ("care", "price")}), draws=20)
    assert found.reason == reason and pls.index_weights(found) == {} and pls.importance_performance(found).empty
    assert pls.model(answers.frame, answers, None).reason == "no_model"


def test_order_of_rows_and_weights_do_not_matter_to_the_estimate() -> None:
    _data, answers = _survey(300)
    structure = PathModel(paths={"satisfaction": ("care", "price")})
    first = pls.model(answers.frame, answers, structure, draws=20)
    twice = pd.concat([answers.frame, answers.frame[::-1]])
    again = pls.model(twice.assign(weight=2.5), answers, structure, draws=20)
    assert again.paths["coefficient"].to_numpy() == pytest.approx(first.paths["coefficient"].to_numpy(), abs=1e-8)


@pytest.mark.slow
def test_intervals_cover_in_nineteen_of_twenty() -> None:
    """Single items, so that the truth is a regression: correlation .5 of a bivariate normal."""
    rng = np.random.default_rng(8)
    hits = 0
    for k in range(300):
        x = rng.normal(size=300)
        data = pd.DataFrame({"x": 50 + 10 * x, "y": 50 + 10 * (0.5 * x + np.sqrt(0.75) * rng.normal(size=300))})
        found = pls.fit(
            data, {"x": "a", "y": "b"}, (("a", "b"),), scales={"x": (0, 100), "y": (0, 100)}, draws=299, seed=k
        )
        hits += bool(found.paths["low"].iloc[0] <= 0.5 <= found.paths["high"].iloc[0])
    assert 0.92 <= hits / 300 <= 0.98


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give either `preset: ecsi` or `paths`"),
        ({"preset": "ecsi", "paths": {"a": ["b"]}}, "give either `preset: ecsi` or `paths`"),
        ({"paths": {"satisfaction": ["care"], "care": ["satisfaction"]}}, "lead round in a circle"),
        ({"paths": {"loyalty": ["care"]}}, "block of satisfaction, `satisfaction`"),
    ],
)
def test_structures_that_make_no_sense_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PathModel.model_validate(given)
