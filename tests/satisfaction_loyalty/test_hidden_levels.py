"""Levels beside their mean: what is hidden cannot be solved for from the total and the score printed beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import pytest

from crm_analysis import privacy
from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty import shape, waves
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare
from crm_analysis.satisfaction_loyalty.displays import measuring
from crm_analysis.satisfaction_loyalty.displays.link import (
    bounds,
    level_n,
    level_rate,
    levels_told,
    link_n,
    link_n_told,
)
from crm_analysis.satisfaction_loyalty.displays.names import groups_told, levels_hidden, levels_shown, score_told
from crm_analysis.satisfaction_loyalty.measure import Wave, groups_of, measure, promoters

CELL = 5


def solutions(counts: list[int], hidden: list[bool]) -> list[tuple[int, ...]]:
    """Every way to fill the hidden levels that a reader who knows total, mean and which are small cannot rule out."""
    ways = [
        [n] if not veiled else range(1, CELL) if 0 < n < CELL else [0, *range(CELL, sum(counts) + 1)]
        for n, veiled in zip(counts, hidden, strict=True)
    ]
    mean = np.dot(range(len(counts)), counts)
    return [way for way in product(*ways) if sum(way) == sum(counts) and np.dot(range(len(way)), way) == mean]


def test_the_index_does_not_solve_a_pair() -> None:
    """Counts 2, 3, 10, 20, 25: with two dashes the index of 76.2 left one solution."""
    counts = pd.Series([2, 3, 10, 20, 25])
    pair = privacy.hide(counts, CELL).tolist()
    assert pair == [True, True, False, False, False] and len(solutions(counts.to_list(), pair)) == 1
    assert levels_hidden(counts, CELL).tolist() == [True, True, True, False, False]
    assert levels_shown(counts, CELL) == ["< 5", "< 5", "withheld", "20", "25"]


def test_enough_answers_everywhere_hide_nothing() -> None:
    counts = pd.Series([5, 0, 10, 20, 25])
    assert not levels_hidden(counts, CELL).any() and levels_shown(counts, CELL) == ["5", "0", "10", "20", "25"]


@pytest.mark.parametrize("draw", range(12))
def test_no_small_count_has_one_solution_unless_all_are_hidden(draw: int) -> None:
    rng = np.random.default_rng([int(os.environ.get("CRM_TEST_SEED", "5")), draw])
    counts = pd.Series([*rng.integers(0, 5, 2), *rng.integers(5, 14, 3)])[rng.permutation(5)].reset_index(drop=True)
    hidden = levels_hidden(counts, CELL)
    assert hidden[(counts > 0) & (counts < CELL)].all()
    if hidden.all():
        return
    found = solutions(counts.to_list(), hidden.to_list())
    assert tuple(counts) in found
    for place in np.flatnonzero((counts > 0) & (counts < CELL)):
        assert len({way[place] for way in found}) > 1, counts.to_list()


def test_a_level_that_one_branch_hides_is_hidden_of_all_too() -> None:
    """109 of all less the other branches told the three of the small one."""
    parts = pd.Series([(3, 40), (6, 50), (9, 60), (20, 90), (30, 80)])
    counts = parts.map(sum)
    assert not levels_hidden(counts, CELL).any(), "by itself each is large enough"
    own = levels_hidden(parts.str[0], CELL)
    hidden = levels_hidden(counts, CELL, parts)
    assert own[0] and hidden[own].all() and hidden.sum() >= 3  # noqa: PLR2004 - total and mean solve two
    assert "< 5" not in levels_shown(counts, CELL, parts)
    both = pd.Series([(4, 4), (6, 50), (9, 60), (20, 90), (30, 80)])
    assert levels_hidden(both.map(sum), CELL, both)[0], "two under five that make eight are four each"
    apart = pd.Series([(5, 40), (6, 50), (9, 60), (20, 90), (30, 80)])
    assert not levels_hidden(apart.map(sum), CELL, apart).any()


def levels_of(answers: dict[str, list[tuple[int, int]]]) -> pd.DataFrame:
    """The table of levels where, per branch, of so many answers to each level so many were loyal."""
    rows = [
        (branch, level, k < loyal)
        for branch, counts in answers.items()
        for level, (n, loyal) in enumerate(counts, start=1)
        for k in range(n)
    ]
    frame = pd.DataFrame(rows, columns=["branch", "score", "loyal"])
    return shape.tabulate(frame["score"], frame["loyal"], scale=(1, 5), branches=frame["branch"])


LARGE = [(40, 10), (60, 20), (90, 40), (120, 70), (90, 70)]


@pytest.mark.parametrize(
    "small", [[(0, 0), (0, 0), (1, 0), (0, 0), (2, 1)], [(3, 0), (12, 6), (20, 10), (30, 20), (20, 12)]]
)
def test_a_small_branch_neither_changes_the_shape_nor_tells_how_few_answered_in_it(small) -> None:
    """43 of all less the 40 of the other branch told the three of the small one."""
    link = shape.examine(levels_of({"large": LARGE, "other": LARGE, "small": small}))
    assert list(link.levels["label"]) == ["1", "2", "3", "4", "5"]
    few = [0 < n < CELL for n, _loyal in small]
    assert levels_told(link, CELL)[few].all()
    texts = [level_n(row, CELL) for row in link.levels.itertuples()]
    for text, level, veil in zip(texts, LARGE, few, strict=True):
        assert (text == f"> {2 * level[0]}") == veil
    whole = sum(n for n, _loyal in small)
    assert (link_n_told(link, CELL) is None) == (whole < CELL)
    assert link_n(link, CELL) == ("> 800" if whole < CELL else str(800 + whole))


def test_a_rate_that_would_tell_how_few_came_back_in_one_branch_is_given_to_the_tenth() -> None:
    levels = levels_of({"large": LARGE, "small": [(10, 5), (12, 6), (20, 10), (30, 20), (20, 17)]})
    link = shape.examine(levels)
    assert levels_told(link, CELL).tolist() == [False, False, False, False, True], "three of the small one did not"
    assert [level_rate(row, CELL).replace("\xa0", " ") for row in link.levels.tail(2).itertuples()] == [
        "60 %",
        "70 % to 80 %",
    ]
    for row in link.levels.itertuples():
        low, high = bounds(row, CELL)
        assert low <= row.rate <= high
        assert low == high or (high - low) * row.n >= CELL, "as many counts fit as a cell needs"
    alone = shape.examine(levels_of({"large": LARGE}))
    assert not levels_told(alone, CELL).any()


@pytest.mark.parametrize("loyal", [0, 20, 42, 43])
def test_a_veiled_rate_stands_in_a_range_of_a_cell_or_more_at_either_end_of_the_scale(loyal: int) -> None:
    """43 answers, three of them of one branch: at 100 % the tenth had no width, near it less than a cell's."""
    level = pd.Series(
        {"rate": loyal / 43, "n": 43, "n_parts": (40, 3), "loyal_parts": (min(loyal, 40), max(loyal - 40, 0))}
    )
    low, high = bounds(level, CELL)
    assert -1e-12 <= low <= loyal / 43 <= high + 1e-12 <= 1 + 2e-12  # noqa: PLR2004
    assert (high - low) * 43 >= CELL - 1e-9 or privacy.tells(loyal, 43, CELL)


def test_promoters_of_all_tell_no_small_count_of_one_branch() -> None:
    scores = pd.Series([0] * 30 + [7] * 30 + [10] * 30 + [2] * 20 + [8] * 20 + [9] * 3)
    branches = pd.Series(["large"] * 90 + ["small"] * 43)
    table = promoters(scores, branches=branches)
    assert groups_of(table) == [(30, 20), (30, 20), (30, 3)]
    assert groups_told(groups_of(table), CELL) and not groups_told(groups_of(promoters(scores)), CELL)


def test_many_answers_are_no_burden() -> None:
    assert levels_hidden(pd.Series([3, 40_000, 90_000, 120_000, 0, 0, 4]), CELL).sum() >= 3


ASKED = Survey.model_validate(
    {"satisfaction": {"scale": [1, 5]}, "items": {"advice": {"role": "recommend", "scale": [0, 10]}}}
)


def answered(counts: list[int], advice: dict[int, int]) -> Answers:
    """So many answers on each level, and on each score from 0 to 10, of one wave."""
    scores = np.repeat(np.arange(1.0, 6.0), counts)
    given = np.repeat(list(advice), list(advice.values())).astype(float)
    n = max(len(scores), len(given))
    names = [f"c{k}" for k in range(n)]
    frame = pd.DataFrame(
        {
            "response_id": names, "customer_id": names, "branch": "a", "wave": "one",
            "answered_on": pd.Timestamp("2026-08-01"), "satisfaction": np.resize(scores, n),
            "advice": np.append(given, np.full(n - len(given), np.nan)),
        }
    )  # fmt: skip
    return prepare(frame, ASKED)


@dataclass(frozen=True)
class Shown:
    """As much of a study as these pages need."""

    answers: Answers
    min_cell: int = CELL

    @property
    def wave(self) -> Wave:
        return measure(self.answers.frame, self.answers, ASKED)

    @property
    def period_rows(self) -> pd.DataFrame:
        return self.answers.frame

    @property
    def trend(self) -> pd.DataFrame:
        return waves.over_time(self.answers, ASKED, until=date(2026, 12, 31), fewest=CELL)

    @property
    def trend_spread(self) -> pd.DataFrame:
        return waves.spread(self.answers, self.trend)


@pytest.mark.parametrize(
    ("counts", "stands"), [([10, 10, 10, 10, 60], True), ([4, 0, 0, 0, 96], False), ([2, 3, 0, 0, 60], False)]
)
def test_the_top_level_of_a_wave_is_hidden_wherever_its_bar_is(counts: list[int], stands: bool) -> None:
    """A level hidden as the last resort, though it holds enough answers, was printed in the table of waves."""
    study = Shown(answered(counts, {9: sum(counts)}))
    table = measuring.waves_table(study)  # type: ignore[arg-type]
    assert (table["Top level"].item() != "–") == stands
    assert measuring.waves_spread(study)["share"].notna().iloc[-1] == stands  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("advice", "told"),
    [
        ({2: 30, 8: 10, 9: 3, 10: 1}, True),  # four promoters
        ({3: 4, 8: 20, 10: 40}, True),  # four detractors
        ({3: 30, 7: 2, 8: 2, 10: 40}, True),  # four passives
        ({3: 30, 8: 20, 10: 40}, False),
        ({8: 20, 10: 40}, False),  # nobody is no small number
    ],
)
def test_the_promoter_score_does_not_tell_a_hidden_count(advice: dict[int, int], told: bool) -> None:
    """Score, answers and interval give promoters less detractors and both together: so each group's number."""
    study = Shown(answered([20, 20, 20, 20, 20], advice))
    score, n = study.wave.nps, sum(advice.values())
    assert score is not None and score.n == n
    apart, both = score.mean / 100 * n, n * ((score.se / 100) ** 2 * n + (score.mean / 100) ** 2)
    groups = study.wave.promoters.groupby("group")["n"].sum()
    assert (both + apart) / 2 == pytest.approx(groups["promoters"]), "what a reader can work out"
    assert (both - apart) / 2 == pytest.approx(groups["detractors"])
    assert score_told(study.wave, CELL) == told
    assert (measuring.promoters_text(study) == "") == told  # type: ignore[arg-type]
    assert measuring.promoters_frame(study).empty == told  # type: ignore[arg-type]
    assert ("Net promoter score" in measuring.waves_table(study)) != told  # type: ignore[arg-type]


def test_beside_the_promoter_score_each_group_hides_two_counts_or_none() -> None:
    study = Shown(answered([20] * 5, {0: 3, 4: 6, 6: 40, 7: 20, 8: 12, 9: 3, 10: 40}))
    shown = measuring.promoters_frame(study).set_index("score")  # type: ignore[arg-type]
    assert shown.loc[[9, 10], "share"].isna().all(), "the group's number less the other would tell it"
    assert shown.loc[[0, 4], "share"].isna().all() and shown.loc[[6, 7, 8], "share"].notna().all()
    assert shown.loc[10, "n"] == "withheld" and shown.loc[9, "n"] == "< 5"
