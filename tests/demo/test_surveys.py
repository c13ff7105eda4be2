"""The items of the association's survey: five dimensions, each with what was expected and its part of 100 points."""

import numpy as np
import pandas as pd
import pytest

from crm_analysis.demo.surveys import DONT_KNOW, EXPECTED, ITEMS, POINTS, TANGIBLES, add_expectations, add_tangibles

PLAIN = 6_000


@pytest.fixture(scope="module")
def before() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    scores = {item: rng.integers(1, 6, PLAIN) for item in ITEMS}
    return add_expectations(rng, pd.DataFrame({"level": rng.integers(1, 6, PLAIN)} | scores))


@pytest.fixture(scope="module")
def answers(before: pd.DataFrame) -> pd.DataFrame:
    return add_tangibles(np.random.default_rng(6), before)


def test_everybody_shares_out_a_hundred_points_among_five(answers) -> None:
    points = answers[[*(f"{item}_points" for item in POINTS), "letters_points"]]
    assert points.shape[1] == 5 and (points.sum(axis=1) == 100).all() and (points >= 0).all(axis=None)


def test_the_fifth_pair_changes_nothing_but_the_scale_of_the_others_points(before, answers) -> None:
    points = [f"{item}_points" for item in POINTS]
    assert set(answers.columns) - set(before.columns) == set(TANGIBLES)
    pd.testing.assert_frame_equal(answers[before.columns.drop(points)], before.drop(columns=points))
    kept = before[points].mul(100 - answers["letters_points"], axis=0) / 100
    assert (answers[points] - kept).abs().max(axis=None) < len(points), "less than one point of rounding for each"


def test_letters_exceed_what_is_expected_and_have_nothing_to_do_with_the_level(answers) -> None:
    known = answers[answers["letters"] != DONT_KNOW]
    assert 0 < len(answers) - len(known) < 0.06 * len(answers)
    gap = known["letters"] - known["letters_expected"]
    assert gap.mean() > 0.1 and set(known["letters"]) == {1, 2, 3, 4, 5}
    assert known["letters_expected"].mean() < min(EXPECTED.values())
    assert abs(np.corrcoef(known["letters"], known["level"])[0, 1]) < 4 / np.sqrt(len(known))
