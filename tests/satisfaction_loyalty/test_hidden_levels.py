"""Levels beside their mean: what is hidden cannot be solved for from the total and the score printed beside it."""

from __future__ import annotations

import os
from itertools import product

import numpy as np
import pandas as pd
import pytest

from crm_analysis import privacy
from crm_analysis.satisfaction_loyalty.displays.names import levels_hidden, levels_shown

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


def test_many_answers_are_no_burden() -> None:
    assert levels_hidden(pd.Series([3, 40_000, 90_000, 120_000, 0, 0, 4]), CELL).sum() >= 3
