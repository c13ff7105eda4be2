"""Index, boxes, distribution and promoters against published figures and their definitions."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis.estimators.proportions import weighted_mean
from crm_analysis.profile.settings import Item, Survey
from crm_analysis.satisfaction_loyalty.answers import prepare
from crm_analysis.satisfaction_loyalty.measure import (
    change,
    distribution,
    mean_of,
    measure,
    net_promoter_score,
    respondent_index,
)
from crm_analysis.satisfaction_loyalty.stores import highest_index, two_stores

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.realdata("ecsi_mobi.csv")
SURVEY = Survey.model_validate(
    {
        "satisfaction": {"role": "overall", "scale": [1, 5], "codes": [9]},
        "items": {
            "advice": {"scale": [0, 10], "role": "recommend", "codes": [99]},
            "queue": {"scale": [1, 5], "reversed": True, "codes": [9]},
        },
    }
)


def frame(scores: list[float], **columns: object) -> pd.DataFrame:
    n = len(scores)
    return pd.DataFrame(
        {
            "response_id": [f"r{k}" for k in range(n)],
            "customer_id": [f"c{k}" for k in range(n)],
            "branch": "a",
            "answered_on": pd.Timestamp("2026-08-01"),
            "satisfaction": scores,
            **columns,
        }
    )


def test_acsi_form() -> None:
    """ACSI: item means 8.2, 7.4, 7.0 with weights .3885, .3190, .2925 give 73.264444; equal weights 72.592593."""
    means = pd.DataFrame({"a": [8.2], "b": [7.4], "c": [7.0]})
    scales = {name: (1.0, 10.0) for name in "abc"}
    weighted = respondent_index(means, scales, {"a": 0.3885, "b": 0.3190, "c": 0.2925})
    assert weighted[0] == pytest.approx(73.264444, abs=5e-7)
    assert respondent_index(means, scales)[0] == pytest.approx(72.592593, abs=5e-7)


@needs_data
def test_ecsi_index() -> None:
    """ECSI mobile phones (250 customers): 72.454118, SD 14.412583, SE 0.911532, 95 % CI 70.6675 to 74.2407."""
    items = pd.read_csv(DATA / "ecsi_mobi.csv")
    scales = {name: (1.0, 10.0) for name in ("CUSA1", "CUSA2", "CUSA3")}
    index = respondent_index(items, scales, {"CUSA1": 0.38363402, "CUSA2": 0.28155007, "CUSA3": 0.33481592})
    found = weighted_mean(index)
    assert found.mean == pytest.approx(72.454118, abs=5e-6)
    assert index.std() == pytest.approx(14.412583, abs=5e-6)
    assert found.se == pytest.approx(0.911532, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((70.6675, 74.2407), abs=6e-5)


@needs_data
def test_standardised_weights_give_another_index() -> None:
    """ECSI mobile phones: weights of the standardised items on raw ones give 71.782434, the commonest error."""
    items = pd.read_csv(DATA / "ecsi_mobi.csv")
    names = {"CUSA1": 0.38363402, "CUSA2": 0.28155007, "CUSA3": 0.33481592}
    assert items[list(names)].mean().tolist() == pytest.approx([7.988, 7.128, 7.316], abs=5e-4)
    standardised = {name: weight * items[name].std() for name, weight in names.items()}
    index = respondent_index(items, dict.fromkeys(names, (1.0, 10.0)), standardised)
    assert index.mean() == pytest.approx(71.782434, abs=5e-6)


def test_index_needs_weights_that_add_up() -> None:
    with pytest.raises(ValueError, match="add up to nothing"):
        respondent_index(pd.DataFrame({"a": [1.0]}), {"a": (1, 5)}, {"a": 0.0})


def test_codes_reversed_items_and_range() -> None:
    answers = prepare(frame([5, 9, 3, 7, np.nan, 1], queue=[1, 2, 9, 4, 5, 5], advice=[10, 9, 99, 0, 1, 2]), SURVEY)
    assert list(answers.frame["satisfaction"]) == [5, 3, 1]
    assert answers.frame["queue"].tolist()[0] == 5 and math.isnan(answers.frame["queue"].tolist()[1])
    left = dict(zip(answers.counts["rule"], answers.counts["rows"], strict=True))
    assert (left["blank"], left["code"], left["out_of_range"]) == (1, 1, 1)
    steps = answers.counts.groupby("step")["rows"].sum()
    assert steps["answers"] == steps["left out"] + steps["used"]


def test_callers_frame_is_unchanged() -> None:
    given = frame([5, 9, 3], queue=[1, 2, 3])
    before = given.copy(deep=True)
    prepare(given, SURVEY)
    pd.testing.assert_frame_equal(given, before)


def test_wrong_scale_uses_nothing() -> None:
    answers = prepare(frame([8, 9, 10, 7, 4, 3]), SURVEY)
    assert answers.faults == ("scale_mismatch",) and answers.n == 0


def test_weights_zero_negative_and_missing() -> None:
    answers = prepare(frame([5, 4, 3, 2], weight=[1.0, 0.0, -1.0, np.nan]), SURVEY)
    assert answers.n == 1 and answers.weighted
    unusable = prepare(frame([5, 4], weight=[0.0, -1.0]), SURVEY)
    assert unusable.n == 2 and not unusable.weighted and unusable.faults == ("no_usable_weight",)


def test_staff_are_not_customers() -> None:
    answers = prepare(frame([5, 4, 3], respondent_kind=["customer", "staff", None]), SURVEY)
    assert list(answers.frame["satisfaction"]) == [5, 3]


def test_a_wave_by_hand() -> None:
    answers = prepare(frame([5, 5, 4, 3, 1], advice=[10, 9, 8, 6, 0]), SURVEY)
    wave = measure(answers.frame, answers, SURVEY)
    assert wave.index.mean == pytest.approx((100 + 100 + 75 + 50 + 0) / 5)
    assert (wave.top_box.mean, wave.top_two.mean, wave.bottom_box.mean) == pytest.approx((0.4, 0.6, 0.2))
    assert wave.nps is not None and wave.nps.mean == pytest.approx(0.0)
    assert wave.distribution["share"].sum() == pytest.approx(1)
    assert list(wave.distribution["n"]) == [1, 0, 1, 1, 2]
    assert mean_of(answers.frame["advice"], answers.frame, answers).mean == pytest.approx(6.6)


def test_nobody_is_undefined_not_zero() -> None:
    answers = prepare(frame([]), SURVEY)
    wave = measure(answers.frame, answers, SURVEY)
    assert wave.n == 0 and math.isnan(wave.index.mean) and math.isnan(wave.top_box.mean)
    assert wave.distribution["share"].isna().all()


def test_change_uses_both_errors() -> None:
    answers = prepare(frame([5, 5, 4, 3, 1, 2] * 20), SURVEY)
    first, second = answers.frame.iloc[:60], answers.frame.iloc[60:]
    moved = change(
        measure(second, answers, SURVEY),
        measure(first, answers, SURVEY),
        later_rows=second,
        earlier_rows=first,
        answers=answers,
        survey=SURVEY,
    )
    assert moved.index.value == pytest.approx(0)
    half = 1.959964 * math.sqrt(2) * measure(first, answers, SURVEY).index.se
    assert moved.index.high == pytest.approx(half, rel=1e-6)
    assert moved.panel == 0


def test_distribution_of_a_long_scale_is_banded() -> None:
    found = distribution(pd.Series([0.0, 1, 2, 9, 10]), (0, 10))
    assert list(found["label"]) == ["0-2", "3-4", "5-6", "7-8", "9-10"]
    assert list(found["n"]) == [3, 0, 0, 0, 2]


def test_net_promoter_score_runs_from_minus_to_plus_a_hundred() -> None:
    assert net_promoter_score(pd.Series([10.0] * 9)).mean == 100
    assert net_promoter_score(pd.Series([0.0] * 9)).mean == -100


def test_two_stores_share_an_index_and_split_their_difference() -> None:
    pair = two_stores()
    assert pair.index_first == pytest.approx(pair.index_second)
    assert pair.table[["first", "second"]].sum().tolist() == pytest.approx([1, 1])
    assert pair.by_distribution + pair.by_curve == pytest.approx(pair.kept_first - pair.kept_second)
    assert pair.by_distribution > 0.05
    with pytest.raises(ValueError, match="add up to"):
        two_stores(first=(0.5, 0.1, 0.1, 0.1, 0.1))


def test_quoted_stores_cannot_share_one_curve() -> None:
    """5.5 % completely satisfied caps a five-point index at 76.4, below the quoted 87."""
    assert highest_index(0.055) == pytest.approx(76.375)
    assert highest_index(0.335) > 76.375


def test_survey_item_defaults() -> None:
    assert Item().scale == (1, 5)
