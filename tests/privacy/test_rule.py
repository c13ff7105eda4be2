"""The rule of suppression: its definition, and what somebody with a pencil could work out from what is shown."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_analysis import privacy, style

CELLS = st.lists(st.integers(0, 12), min_size=1, max_size=6)


def solutions(cells: list[int], texts: list[str], min_cell: int) -> list[set[int]]:
    """For every cell, the counts that agree with the texts and with the total: every table is tried."""
    total = sum(cells)
    every = all(text == "withheld" for text in texts)
    may = [
        {int(text)}
        if text.isdigit()
        else set(range(1, min_cell))
        if text.startswith("<")
        else set(range(total + 1)) - (set() if every else set(range(1, min_cell)))
        for text in texts
    ]
    found: list[set[int]] = [set() for _ in cells]
    for guess in itertools.product(*may[:-1]):
        last = total - sum(guess)
        if last in may[-1]:
            for values, value in zip(found, (*guess, last), strict=True):
                values.add(value)
    return found


@settings(deadline=None)
@given(cells=st.lists(st.integers(0, 9), min_size=2, max_size=4), min_cell=st.integers(2, 6))
def test_no_suppressed_count_can_be_worked_out_from_the_total(cells, min_cell):
    if privacy.small(sum(cells), min_cell):
        return  # a total that is itself small is not shown
    texts = list(privacy.shown(pd.Series(cells), min_cell))
    for cell, possible in zip(cells, solutions(cells, texts, min_cell), strict=True):
        assert cell in possible
        if min_cell > 2 and privacy.small(cell, min_cell):
            assert len(possible) > 1, (cells, texts)


TABLES = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=4), min_size=2, max_size=3).filter(
    lambda rows: len({len(row) for row in rows}) == 1
)


@settings(deadline=None)
@given(TABLES, st.integers(3, 5))
def test_a_table_of_all_branches_tells_no_cell_that_one_branch_alone_hides(columns, min_cell):
    parts = pd.DataFrame(columns).T
    hidden, whole = privacy.hide_of_all(parts, min_cell), parts.sum(axis=1)
    texts = privacy.shown_of_all(parts, min_cell)
    for cell in parts.index:
        small = [n for n in parts.loc[cell] if privacy.small(n, min_cell)]
        if len(small) == 1:
            assert hidden[cell] and texts[cell] != str(whole[cell]), (parts, texts)
        if hidden[cell]:
            assert not texts[cell].isdigit()
    if privacy.total_tells(parts.sum(), min_cell) and whole.any():
        assert hidden.any()  # or the cells would add up to a total that is not told
    elif whole.gt(0).sum() > 1:
        assert hidden.sum() != 1, (parts, texts)  # the total would tell it


def test_the_cell_that_one_branch_hides_is_told_without_it():
    parts = pd.DataFrame({"north": [40, 20, 30], "south": [10, 20, 30], "islet": [3, 0, 0]})
    assert list(privacy.shown_of_all(parts, 5)) == ["> 50", "40", "60"]
    parts["islet"] = [3, 6, 30]
    assert list(privacy.shown_of_all(parts, 5)) == ["> 50", "withheld", "90"]
    assert list(privacy.shown_of_all(parts[["north"]], 5)) == ["40", "20", "30"]


def test_an_empty_cell_of_one_branch_is_told_unless_it_keeps_its_small_ones_from_being_worked_out():
    large = [50, 20, 10]
    needed = pd.DataFrame({"north": large, "south": large, "islet": [4, 4, 0]})  # 4 and 4, were the third known as none
    assert privacy.shown_of_all(needed, 5)[2] == "withheld"
    in_vain = pd.DataFrame({"north": large, "south": large, "islet": [5, 1, 0]})  # its page withholds all three
    assert privacy.shown_of_all(in_vain, 5)[2] == "20"
    ones = pd.DataFrame({"north": [50] * 6, "south": [50] * 6, "islet": [1, 1, 1, 1, 1, 0]})  # five ones and a none
    assert privacy.shown_of_all(ones, 5)[5] == "withheld"


@settings(deadline=None)
@given(CELLS, st.integers(2, 8))
def test_small_counts_are_never_shown_and_zero_and_large_ones_only_hidden_for_their_sake(cells, min_cell):
    counts = pd.Series(cells)
    hidden = privacy.hide(counts, min_cell)
    little = [privacy.small(cell, min_cell) for cell in cells]
    assert all(hidden[little])
    assert any(little) or not hidden.any()
    assert hidden.sum() != 1 or len(cells) == 1
    texts = privacy.shown(counts, min_cell)
    assert all(text == f"{cell:,}" for cell, text, hide in zip(cells, texts, hidden, strict=True) if not hide)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(3, 6))
def test_a_total_tells_no_hidden_part(parts, min_cell):
    said = privacy.count(sum(parts), min_cell, parts=parts)
    hidden = [part for part in parts if privacy.small(part, min_cell)]
    if not said.replace(",", "").isdigit():
        assert said == f"< {min_cell}" or said == f"> {sum(parts) - sum(hidden)}"
        return
    left = sum(hidden)
    ways = [guess for guess in itertools.product(range(1, min_cell), repeat=len(hidden)) if sum(guess) == left]
    assert not hidden or len(set(ways)) > 1


def test_the_next_smallest_goes_with_a_single_small_one():
    counts = pd.Series({"a": 3, "b": 0, "c": 9, "d": 40})
    assert privacy.shown(counts, 5).to_dict() == {"a": "< 5", "b": "0", "c": "withheld", "d": "40"}
    assert privacy.shown(pd.Series([0, 40, 9, 5]), 5).to_list() == ["0", "40", "9", "5"]
    assert privacy.shown(pd.Series([2, 3, 40]), 5).to_list() == ["< 5", "< 5", "40"]
    assert privacy.shown(pd.Series([4, 4, 40]), 5).to_list() == ["< 5", "< 5", "withheld"]  # 8 could only be 4 and 4


def test_all_lines_of_a_table_together_tell_no_small_cell():
    """Each row and column on its own may leave a small cell open that all of them together solve: the first one does.

    Told is a cell whose unit vector adds nothing to the rank of the sums. Nothing is hidden in vain: each cell hidden
    for another's sake, shown, would tell one.
    """
    rng = np.random.default_rng(7)
    drawn = [rng.choice([0, 0, 0, 1, 3, 6, 20, 50, 200], (6, 6)) for _ in range(150)]
    bridge = np.array([[9, 9, 0, 0], [9, 9, 0, 0], [0, 3, 9, 9], [0, 0, 9, 9]])
    for counts in (bridge, *drawn):
        place = np.indices(counts.shape)
        lines = [place[axis] == i for axis in (0, 1) for i in range(len(counts))]
        also = counts == 9
        hidden, small = privacy.hide_lines(counts, lines, 5, also=also), (counts > 0) & (counts < 5)

        def told(hidden: np.ndarray, cell: np.ndarray, lines: list[np.ndarray] = lines) -> bool:
            sums = np.array([line[hidden] for line in lines], float)
            unit = cell[hidden].astype(float)
            return np.linalg.matrix_rank(np.vstack([sums, unit])) == np.linalg.matrix_rank(sums)

        needed = [np.arange(counts.size).reshape(counts.shape) == cell for cell in np.flatnonzero(small | also)]
        if hidden.all():
            continue
        assert hidden[small | also].all() and not any(told(hidden, cell) for cell in needed), counts
        for extra in np.argwhere(hidden & ~small & ~also):
            shown = hidden.copy()
            shown[tuple(extra)] = False
            lines_left = [(counts[line], shown[line]) for line in lines if 0 < shown[line].sum() < line.sum()]
            assert any(veil.sum() == 1 or not privacy._safe(each, veil, 5) for each, veil in lines_left) or any(
                told(shown, cell) for cell in needed
            ), (counts, extra)


@settings(deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), max_size=30), st.floats(0.5, 0.99))
def test_dominance_is_one_customers_share_of_the_whole(amounts, share):
    sizes = [abs(amount) for amount in amounts]
    assert privacy.dominated(amounts, share) == any(size > share * sum(sizes) for size in sizes)


def test_an_amount_needs_enough_customers_none_of_whom_dominates():
    assert privacy.withhold([10.0] * 4, 5, 0.85) and not privacy.withhold([10.0] * 5, 5, 0.85)
    assert privacy.withhold([1000.0] + [1.0] * 20, 5, 0.85)
    assert not privacy.withhold([0.0, 0.0], 5, 0.85)  # nothing is shown as nothing


def test_a_single_hidden_amount_of_a_sum_takes_the_next_smallest_with_it():
    amounts = pd.Series([-5.0, 0.0, 70.0, 30.0])
    assert privacy.complement(amounts < 0, amounts).to_list() == [True, False, False, True]
    assert not privacy.complement(amounts > 99, amounts).any()


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 60), st.integers(2, 8))
def test_a_share_tells_no_count_that_is_itself_too_small_to_show(part, others, min_cell):
    """Whoever knows the number it is of finds no single count under the text, unless that count may be shown."""
    whole = part + others
    said = style.share(part, whole, min_cell)
    fits = [n for n in range(whole + 1) if style.share(n, whole, min_cell) == said]
    assert part in fits
    if min_cell > 2 and (privacy.small(part, min_cell) or privacy.small(others, min_cell)):
        assert len(fits) > 1 and said != style.percent(part / whole)


def test_a_side_is_never_written_as_nothing_or_everything():
    assert style.share(3, 100_000, 5) == f"< 0.01{style.SPACE}%"
    assert style.share(99_999, 100_000, 5) in (f"> 99.99{style.SPACE}%", f"> 100.00{style.SPACE}%")
    assert style.share(0, 0, 5) == style.DASH


def test_examples():
    assert not doctest.testmod(privacy).failed
