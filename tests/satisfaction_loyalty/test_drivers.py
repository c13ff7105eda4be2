"""Driver shares: relaimpo's figures, brute force, and the kinds of attributes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix, importance, johnson, lmg

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "swiss.csv").exists(), reason="real data are not here")


@needs_data
@pytest.mark.realdata
def test_swiss_lmg() -> None:
    """R data swiss, Fertility on all: R2 .706735 and LMG shares as relaimpo prints them."""
    data = pd.read_csv(DATA / "swiss.csv")
    names = ["Agriculture", "Examination", "Education", "Catholic", "Infant.Mortality"]
    shares = lmg(np.corrcoef(data[[*names, "Fertility"]].to_numpy().T))
    assert shares.sum() == pytest.approx(0.706735, abs=5e-7)
    expected = [0.057091221, 0.171173029, 0.260134679, 0.105570150, 0.112765923]
    assert shares == pytest.approx(expected, abs=5e-9)


def _correlation(p: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.corrcoef((rng.normal(size=(200, p + 1)) @ rng.normal(size=(p + 1, p + 1))).T)


def test_lmg_is_the_mean_over_orders() -> None:
    correlation = _correlation(4, 1)

    def r2(subset: tuple[int, ...]) -> float:
        s = list(subset)
        return float(correlation[s, 4] @ np.linalg.solve(correlation[np.ix_(s, s)], correlation[s, 4])) if s else 0.0

    brute = np.zeros(4)
    for order in itertools.permutations(range(4)):
        for k, item in enumerate(order):
            brute[item] += (r2(order[: k + 1]) - r2(order[:k])) / 24
    assert lmg(correlation) == pytest.approx(brute, abs=1e-10)


def test_relative_weights_add_up_and_agree_for_unrelated_items() -> None:
    correlation = _correlation(5, 2)
    within, outcome = correlation[:5, :5], correlation[:5, 5]
    r2 = outcome @ np.linalg.solve(within, outcome)
    assert johnson(correlation).sum() == pytest.approx(r2) and (johnson(correlation) >= 0).all()
    apart = np.eye(4)
    apart[:3, 3] = apart[3, :3] = (0.5, 0.3, 0.1)
    assert johnson(apart) == pytest.approx([0.25, 0.09, 0.01]) and lmg(apart) == pytest.approx([0.25, 0.09, 0.01])


def test_collinear_items_share_what_they_explain() -> None:
    twice = np.array([[1.0, 1.0, 0.6], [1.0, 1.0, 0.6], [0.6, 0.6, 1.0]])
    assert lmg(twice) == pytest.approx([0.18, 0.18])
    assert johnson(twice) == pytest.approx([0.18, 0.18])


def _answers(n: int, items: int = 3, seed: int = 5) -> Answers:
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 6, (n, items))
    wish = 1.5 + 0.7 * scores[:, 0] * (scores[:, 0] >= 5) - 1.3 * (scores[:, 1] <= 2) + 1.5 + rng.normal(0, 0.7, n)
    columns = {f"i{k}": scores[:, k].astype(float) for k in range(items)}
    raw = pd.DataFrame(
        {
            "response_id": np.arange(n).astype(str),
            "customer_id": np.arange(n).astype(str),
            "branch": "a",
            "answered_on": pd.Timestamp("2026-01-01"),
            "satisfaction": np.clip(np.round(wish), 1, 5),
            **columns,
        }
    )
    return prepare(raw, Survey.model_validate({"items": {name: {"target": 4.5} for name in columns}}))


def test_shares_add_up_and_kinds_are_found() -> None:
    answers = _answers(1500)
    found = importance(answers.frame, answers, draws=60)
    table = found.table.set_index("item")
    assert found.table["share"].sum() == pytest.approx(1)
    assert table["r2"].sum() == pytest.approx(found.r2)
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()
    assert (table.loc["i0", "kind"], table.loc["i1", "kind"], table.loc["i2", "kind"]) == (
        "delights", "annoys", "undetermined",
    )  # fmt: skip
    assert list(first_to_fix(found)["item"])[:2] in (["i0", "i1"], ["i1", "i0"])


def test_two_hundred_items_and_few_answers_are_said_plainly() -> None:
    many = _answers(600, items=200)
    found = importance(many.frame, many, draws=20)
    assert found.method == "Johnson" and len(found.table) == 30 and len(found.left_out) == 170
    few = _answers(20)
    assert importance(few.frame, few).reason == "too_few"
    none = prepare(few.frame.drop(columns=["i0", "i1", "i2"]), Survey())
    assert importance(none.frame, none).reason == "no_items"


def test_items_that_never_vary_are_left_out() -> None:
    answers = _answers(300)
    answers.frame["i2"] = 3.0
    found = importance(answers.frame, answers, draws=20)
    assert found.left_out == ("i2",) and set(found.table["item"]) == {"i0", "i1"}
    answers.frame["satisfaction"] = 4.0
    assert importance(answers.frame, answers).reason == "no_variation"
