"""Driver shares: relaimpo's figures, brute force, and the kinds of attributes."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from crm_analysis.estimators.importance import johnson, lmg, rank_intervals
from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty import charts
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare
from crm_analysis.satisfaction_loyalty.contrasts import penalty_reward, robust_regression
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix, importance, may_come_first, quadrants

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.realdata("swiss.csv")


@needs_data
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
    answers.frame["i1"] = 3.0
    assert importance(answers.frame, answers).reason == "one_item", "it varies, yet there is none to share with"
    answers.frame["satisfaction"] = 4.0
    assert importance(answers.frame, answers).reason == "no_variation"
    answers.frame[["i0", "i1"]] = 3.0
    assert importance(answers.frame, answers).reason == "no_variation", "enough answers, and none differs"


def test_shares_of_fifteen_items_agree_with_all_subsets() -> None:
    """Swept R2 against the sum over subsets by plain regressions, on a size where both can run."""
    correlation = _correlation(7, 3)
    outcome = correlation[:7, 7]
    whole = float(outcome @ np.linalg.solve(correlation[:7, :7], outcome))
    shares = lmg(np.stack([correlation, correlation]))
    assert shares.sum(axis=1) == pytest.approx(whole) and (shares >= 0).all()
    order = [6, 0, 1, 2, 3, 4, 5, 7]
    assert lmg(correlation[np.ix_(order, order)])[1:] == pytest.approx(shares[0][:6])
    big = lmg(_correlation(15, 4))
    assert big.shape == (15,) and (big >= 0).all()


def test_ranks_are_open_where_items_are_alike_and_closed_where_they_are_not() -> None:
    answers = _answers(2000, items=4)
    table = importance(answers.frame, answers, draws=199).table.set_index("item")
    assert table.loc["i2", ["rank_first", "rank_last"]].tolist() == [3, 4]
    assert table.loc["i3", ["rank_first", "rank_last"]].tolist() == [3, 4]
    assert (table["rank_first"] <= table["rank_last"]).all()
    rng = np.random.default_rng(6)
    values = np.array([5.0, 3.0, 1.0])
    first, last = rank_intervals(values, values + 0.1 * rng.normal(size=(500, 3)))
    assert first.tolist() == last.tolist() == [1, 2, 3]
    assert [edge.tolist() for edge in rank_intervals(np.array([1.0]), np.ones((10, 1)))] == [[1], [1]]


def test_rank_intervals_cover_where_items_tie() -> None:
    """Three equal values, each of which may stand anywhere: at least 95 % of the sets hold all three ranks."""
    rng = np.random.default_rng(9)
    whole = 0
    for _k in range(400):
        values = rng.normal(size=3)
        first, last = rank_intervals(values, values + rng.normal(size=(299, 3)))
        whole += int(first[0] == 1 and last[0] == 3)
    assert whole / 400 >= 0.92


def test_robust_regression_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(7)
    x = np.column_stack([np.ones(90), rng.normal(size=(90, 3))])
    y, w = x @ [1.0, 2.0, 0.0, -1.0] + rng.normal(size=90) * (1 + abs(x[:, 1])), rng.uniform(0.2, 3, 90)
    theirs = sm.WLS(y, x, weights=w).fit(cov_type="HC3")
    coefficients, covariance = robust_regression(x, y, w)
    assert coefficients == pytest.approx(theirs.params) and covariance == pytest.approx(theirs.cov_params())
    tied, _covariance = robust_regression(np.column_stack([x, x[:, 1]]), y, w)
    assert np.isnan(tied[[1, 4]]).all() and tied[2] == pytest.approx(coefficients[2])


def test_the_gain_is_the_coefficient_times_the_room() -> None:
    answers = _answers(1500)
    levels = pd.Series([1.0, 2, 3, 4, 5] * 400)
    followed = pd.DataFrame({"satisfaction": levels, "weight": 1.0, "loyal": np.tile([0, 0, 1, 1, 1], 400)})
    found = importance(answers.frame, answers, followed=followed, draws=199)
    x = np.column_stack([np.ones(1500), answers.frame[["i0", "i1", "i2"]]])
    b = np.linalg.lstsq(x, 25 * (answers.frame["satisfaction"].to_numpy() - 1), rcond=None)[0][1:]
    table = found.table.set_index("item").loc[["i0", "i1", "i2"]]
    assert table["gain"].to_numpy() == pytest.approx(b * (4.5 - table["mean"].to_numpy()))
    assert found.slope == pytest.approx(0.3 / 25)  # of a straight line through 0 0 1 1 1
    assert table["loyalty"].to_numpy() == pytest.approx(table["gain"].to_numpy() * 0.3 / 25)
    assert table["established"].tolist() == [True, True, False]
    assert (table["gain_low"] <= table["gain"]).all() and (table["gain"] <= table["gain_high"]).all()
    alone = importance(answers.frame, answers, draws=50)
    assert alone.table["loyalty"].isna().all() and np.isnan(alone.slope)


def test_items_that_explain_nothing_are_not_ranked() -> None:
    answers = _answers(400)
    answers.frame["satisfaction"] = np.random.default_rng(4).integers(1, 6, 400).astype(float)
    found = importance(answers.frame, answers, draws=50)
    assert found.reason == "unexplained" and found.table.empty and first_to_fix(found).empty


def test_an_item_asked_twice_is_named_and_has_no_gain_of_its_own() -> None:
    answers = _answers(800)
    answers.frame["i2"] = answers.frame["i0"]
    found = importance(answers.frame, answers, draws=50)
    assert set(found.collinear) == {"i0", "i2"}
    table = found.table.set_index("item")
    assert table.loc["i0", "share"] == pytest.approx(table.loc["i2", "share"])
    assert table.loc[["i0", "i2"], ["gain", "penalty"]].isna().all().all() and table.loc["i1", "gain"] > 0
    assert (table.loc[["i0", "i2"], "kind"] == "undetermined").all()


def test_the_strongest_items_are_kept_where_there_are_too_many() -> None:
    many = _answers(600, items=200)
    found = importance(many.frame, many, draws=20)
    assert len(found.crowded) == 170 and {"i0", "i1"} <= set(found.table["item"])


def test_the_map_has_the_stated_targets_as_its_axis() -> None:
    answers = _answers(1500, items=4)
    found = importance(answers.frame, answers, draws=99)
    places = quadrants(found).set_index("item")["place"]
    assert places["i2"] == places["i3"] == "later" and "fix" in set(places)
    items = {
        name: item.model_copy(update={"target": None if name == "i3" else 1.5}) for name, item in answers.items.items()
    }
    lower = replace(answers, items=items)
    places = quadrants(importance(lower.frame, lower, draws=99)).set_index("item")["place"]
    assert "i3" not in places and set(places) <= {"keep", "enough", "open"} and places["i2"] == "enough"


def test_whoever_answers_often_is_drawn_as_one() -> None:
    """Every answer given five times by the same person: intervals as wide as those of single answers."""
    answers = _answers(400)
    again = pd.concat([answers.frame] * 5, ignore_index=True)
    once = importance(answers.frame, answers, draws=299).table.set_index("item")
    often = importance(again, answers, draws=299).table.set_index("item")
    apart = importance(again.assign(customer_id=None), answers, draws=299).table.set_index("item")
    width, same, narrow = ((t["high"] - t["low"])["i0"] for t in (once, often, apart))
    assert same == pytest.approx(width, rel=0.25) and narrow < 0.6 * width


@pytest.mark.slow
def test_asymmetry_is_claimed_of_straight_items_once_in_twenty_at_most() -> None:
    """Items that work in a straight line neither delight nor annoy, however their scores lie."""
    rng = np.random.default_rng(11)
    survey = Survey.model_validate({"items": {name: {} for name in ("a", "b", "c")}})
    wrong = 0
    for _k in range(300):
        scores = rng.choice(5, (300, 3), p=[0.1, 0.15, 0.25, 0.3, 0.2]) + 1.0
        raw = pd.DataFrame(scores, columns=["a", "b", "c"]).assign(
            response_id=np.arange(300).astype(str), answered_on=pd.Timestamp("2026-01-01"), branch="x",
            satisfaction=3.0,
        )  # fmt: skip
        answers = prepare(raw, survey)
        answers.frame["satisfaction"] = 3 + (scores - 3) @ [0.5, 0.3, 0.1] + rng.normal(size=300)
        kinds = penalty_reward(answers.frame, ["a", "b", "c"], answers)["kind"]
        wrong += int((kinds != "undetermined").any())
    assert wrong / 300 <= 0.075


def _worth_fixing(rng: np.random.Generator, slopes: tuple[float, ...], n: int) -> Answers:
    """Items of 1 to 5 alike in their mean, satisfaction rising with each by its slope."""
    scores = rng.integers(1, 6, (n, len(slopes))).astype(float)
    wish = 3 + (scores - 3) @ np.asarray(slopes) + rng.normal(0, 0.7, n)
    columns = {f"i{k}": scores[:, k] for k in range(len(slopes))}
    raw = pd.DataFrame(
        {
            "response_id": range(n), "branch": "a", "answered_on": pd.Timestamp("2026-05-01"),
            "customer_id": [f"c{k}" for k in range(n)], "satisfaction": np.clip(np.round(wish), 1, 5), **columns,
        }
    )  # fmt: skip
    return prepare(raw, Survey.model_validate({"items": {name: {"scale": [1, 5]} for name in columns}}))


def test_what_comes_first_is_open_where_two_are_worth_the_same_and_closed_where_one_leads() -> None:
    rng = np.random.default_rng(int(os.environ.get("CRM_TEST_SEED", "3")))
    alike = _worth_fixing(rng, (0.3, 0.3, 0.0), 4000)
    found = importance(alike.frame, alike, draws=300)
    assert may_come_first(found)[0] == first_to_fix(found, most=1)["item"].item()
    assert "i2" not in may_come_first(found), "what explains nothing never comes first"
    leading = _worth_fixing(rng, (0.5, 0.15, 0.15), 4000)
    found = importance(leading.frame, leading, draws=300)
    assert may_come_first(found) == ("i0",)
    assert found.table.set_index("item").loc["i0", ["fix_first", "fix_last"]].tolist() == [1, 1]
    assert (found.n, found.n_scored, found.parts) == (4000, 4000, (4000,))


def test_what_to_fix_is_ranked_by_the_gain_that_is_printed_and_not_by_the_share_explained() -> None:
    """Everybody scores i1 low, so it explains little; yet more goes with its target than with that of i0."""
    rng = np.random.default_rng(int(os.environ.get("CRM_TEST_SEED", "3")))
    answers = _worth_fixing(rng, (0.3, 0.0, 0.0), 4000)
    answers.frame["i1"] = rng.integers(1, 3, 4000).astype(float)
    answers.frame["satisfaction"] = (answers.frame["satisfaction"] + 0.4 * (answers.frame["i1"] - 1.5)).clip(1, 5)
    found = importance(answers.frame, answers, draws=300)
    table = found.table.set_index("item")
    assert table.loc["i0", "share"] > 0.5 and table.loc["i1", "gain_low"] > table.loc["i0", "gain_high"]
    assert list(first_to_fix(found)["item"])[:2] == ["i1", "i0"]
    assert may_come_first(found) == ("i1",) and table.loc["i1", ["fix_first", "fix_last"]].tolist() == [1, 1]


@pytest.mark.slow
def test_the_true_first_to_fix_is_among_those_that_may_come_first() -> None:
    """Two of the same worth: both are named in 95 of 100 samples or more (the larger of both always is)."""
    rng = np.random.default_rng(11)
    runs = 60
    both = 0
    for _ in range(runs):
        answers = _worth_fixing(rng, (0.3, 0.3, 0.1), 600)
        both += {"i0", "i1"} <= set(may_come_first(importance(answers.frame, answers, draws=200)))
    assert both / runs > 0.95 - 4 * np.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize("share", [0.19, 0.2, 0.22, 0.24])
@pytest.mark.parametrize("distance", [-14.0, -0.5, 0.5])
def test_no_name_on_the_map_of_targets_is_struck_by_a_line(share: float, distance: float) -> None:
    points = pd.DataFrame({"name": ["Transfer problems solved"], "share": [share], "distance": [distance], "even": 0.2})
    points = points.assign(
        low=share - 0.05, high=0.5, distance_low=distance - 1, distance_high=distance + 20, known=True
    )
    drawing = charts.quadrants(points)
    assert drawing is not None
    (axes,) = drawing.axes
    (name,) = (text for text in axes.texts if text.get_text() == "Transfer problems solved")
    drawing.draw_without_rendering()
    box, (x, y) = name.get_window_extent(), axes.transData.transform((0.0, 0.2))
    assert not box.x0 <= x <= box.x1 and not box.y0 <= y <= box.y1
