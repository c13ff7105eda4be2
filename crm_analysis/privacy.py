"""What a page may show: counts of customers, their complements, and amounts that one customer dominates.

A count is shown when it is zero or at least `min_cell` (the profile's `privacy.min_cell`). A share of a known number
tells its count, and the count of the others: it is shown when both may be (`style.share` writes it). Where counts stand
beside their total, more of them are hidden until the total no longer tells a hidden one (complementary suppression). An
amount is shown when enough customers make it up and none holds more than `privacy.dominance_share` of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis.language import _
from crm_analysis.tables.footing import IN_FILES, SET_ASIDE, USED

if TYPE_CHECKING:
    from crm_analysis.tables.footing import Contributions

TOLERANCE = 1e-9


def small(n: float, min_cell: int) -> bool:
    """Whether a count must not be shown: some, yet fewer than `min_cell`.

    >>> small(3, 5), small(0, 5), small(5, 5)
    (True, False, False)
    """
    return 0 < n < min_cell


def tells(part: float, whole: float, min_cell: int) -> bool:
    """Whether a share, beside the number it is of, tells a count that must not be shown: its own or that of the rest.

    >>> tells(3, 200, 5), tells(198, 200, 5), tells(0, 200, 5), tells(100, 200, 5)
    (True, True, False, False)
    """
    return small(part, min_cell) or small(whole - part, min_cell)


def count(n: int, min_cell: int, *, parts: Iterable[int] = ()) -> str:
    """A count as text. `parts` are the counts shown elsewhere that make it up, as on the pages of the branches.

    Where the parts that a reader knows would tell one that is hidden, what is hidden is left out of the count.

    >>> count(3, 5), count(1234, 5), count(0, 5), count(43, 5, parts=(40, 3)), count(46, 5, parts=(40, 3, 3))
    ('< 5', '1,234', '0', '> 40', '46')
    """
    if small(n, min_cell):
        return f"< {min_cell}"
    parts = list(parts)
    if total_tells(parts, min_cell):
        return f"> {max(n - sum(part for part in parts if small(part, min_cell)), 0):,}"
    return f"{n:,}"


def total_tells(parts: Iterable[int], min_cell: int) -> bool:
    """Whether a total, beside those of its parts that are shown, tells a part that is not.

    True where exactly one part is hidden, and where several can only be all one or all the largest hidden count.

    >>> total_tells((40, 3), 5), total_tells((40, 3, 2), 5), total_tells((40, 1, 1), 5), total_tells((40, 9), 5)
    (True, False, True, False)
    """
    hidden = [part for part in parts if small(part, min_cell)]
    return bool(hidden) and _possible(sum(hidden), len(hidden), 0, min_cell) < 2


def hide(counts: pd.Series, min_cell: int) -> pd.Series:
    """Which counts of a table that has a total are hidden (True): the small ones, and the next smallest with them.

    Cells are added, smallest first and empty ones last, until at least two values fit every small cell, or none is
    left. `counts` are whole numbers; the result has their index.
    """
    little = (counts > 0) & (counts < min_cell)
    hidden = little.copy()
    rest = counts[~little].sort_values(kind="stable")
    for cell in [*rest.index[rest > 0], *rest.index[rest == 0]]:
        if _safe(counts, hidden, min_cell):
            break
        hidden[cell] = True
    return hidden


def shown(counts: pd.Series, min_cell: int) -> pd.Series:
    """The counts of a table that has a total, as text.

    Small ones are "< 5", those hidden for their sake "withheld"; where even hiding all would tell which count each
    small one is, all are "withheld".
    """
    hidden = hide(counts, min_cell)
    marked = _safe(counts, hidden, min_cell)
    text = [
        count(int(n), min_cell) if not veiled or (marked and small(n, min_cell)) else _("withheld")
        for n, veiled in zip(counts, hidden, strict=True)
    ]
    return pd.Series(text, index=counts.index, dtype=object)


def hide_of_all(parts: pd.DataFrame, min_cell: int) -> pd.Series:
    """Which counts of a table of all branches are hidden (True): `parts` has a row per cell, a column per branch.

    Besides those that `hide` hides of the sums: a cell of which exactly one branch's part is hidden on that branch's
    page, and one that would tell a small part. Where one cell alone is hidden beside a total that is known, another
    goes with it, first one of which a branch hides its part. Where the total is not told, one cell at least is hidden.
    """
    whole = parts.sum(axis=1)
    hidden = hide(whole, min_cell)
    if parts.shape[1] < 2:  # noqa: PLR2004 - one branch
        return hidden
    veiled = pd.DataFrame({name: _veiled(parts[name], min_cell) for name in parts})
    told = [total_tells(row, min_cell) for row in parts.itertuples(index=False)]
    hidden |= (veiled.sum(axis=1) == 1) | pd.Series(told, parts.index, dtype=bool)
    rest = whole[~hidden & (whole > 0)]
    if hidden.sum() == (0 if total_tells(parts.sum(), min_cell) else 1) and len(rest):
        also = rest[veiled.loc[rest.index].any(axis=1)]
        hidden[(also if len(also) else rest).idxmin()] = True
    return hidden


def _veiled(counts: pd.Series, min_cell: int) -> pd.Series:
    """Which cells of a branch must not be told from the tables of all branches.

    Empty ones only where they keep the small ones from being worked out: not in a branch of too few customers, nor
    where even hiding all would tell them and one is large, so that its page withholds every cell and a reader who knows
    which are empty still does not know which is the large one.
    """
    hidden = hide(counts, min_cell)
    if counts.sum() < min_cell:
        return (counts > 0) & (counts < min_cell)
    needed = _safe(counts, hidden, min_cell) or counts.max() < min_cell
    return hidden if needed else hidden & (counts > 0)


def shown_of_all(parts: pd.DataFrame, min_cell: int) -> pd.Series:
    """The counts of a table of all branches as text: what `hide_of_all` hides is "> 40", "< 5" or "withheld"."""
    whole = parts.sum(axis=1)
    text, hidden = shown(whole, min_cell), hide_of_all(parts, min_cell)
    for cell in hidden.index[hidden & ~hide(whole, min_cell)]:
        own = parts.loc[cell]
        told = total_tells(own, min_cell)
        text[cell] = count(int(whole[cell]), min_cell, parts=own) if told else _("withheld")
    return text


def hide_lines(
    counts: np.ndarray, lines: Iterable[np.ndarray], min_cell: int, *, also: np.ndarray | None = None
) -> np.ndarray:
    """Which cells of a table are hidden (True) where the sum of each line is known too; `also` are hidden from the
    start.

    `counts` may have any shape, each line is a mask of that shape: its rows, its columns, and whatever else a page
    tells the sum of. Hidden are the small cells, and in each line others until at least two values fit every small one;
    no line has one hidden cell alone, since its sum would tell it, nor do all lines together tell one that is to be
    hidden. Others are taken where the lines through them have hidden cells already, so that one does not ask for the
    next, and of those the smallest; in the end those that were not needed after all are shown, the largest first.
    """
    flat = np.asarray(counts).ravel()
    needed = (flat > 0) & (flat < min_cell)
    if also is not None:
        needed |= also.ravel()
    parts = [np.flatnonzero(np.asarray(line).ravel()) for line in lines]
    through = [[part for part in parts if cell in part] for cell in range(len(flat))]
    hidden = needed.copy()

    def close(part: np.ndarray) -> bool:
        n = hidden[part].sum()
        return n in (0, len(part)) or (n > 1 and _safe(flat[part], hidden[part], min_cell))

    def hide_one(places: np.ndarray) -> None:
        rest = places[~hidden[places]]
        opened = [sum(not hidden[line].any() for line in through[cell]) for cell in rest]
        hidden[rest[np.lexsort(np.array([flat[rest], opened, flat[rest] == 0]))[0]]] = True

    while True:
        if loose := [part for part in parts if not close(part)]:
            hide_one(loose[0])
            continue
        beside = [np.unique(np.concatenate(through[cell])) for cell in np.flatnonzero(_solved(hidden, parts) & needed)]
        beside = [places for places in beside if not hidden[places].all()]
        if not beside:
            break
        hide_one(beside[0])
    told = _solved(hidden, parts) & needed  # with nothing left to hide beside them
    for cell in sorted(np.flatnonzero(hidden & ~needed), key=lambda cell: -flat[cell]):
        hidden[cell] = False
        hidden[cell] = not all(map(close, through[cell])) or bool((_solved(hidden, parts) & needed & ~told).any())
    return hidden.reshape(np.shape(counts))


def _solved(hidden: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Which hidden cells the sums of all lines together tell; `parts` are the places of each line's cells."""
    told = np.zeros(len(hidden), bool)
    unknown = np.flatnonzero(hidden)
    if len(unknown):
        _left, sizes, basis = np.linalg.svd(np.array([np.isin(unknown, part) for part in parts], float))
        free = basis[(sizes > TOLERANCE).sum() :]  # in what directions the hidden cells may move, all sums the same
        told[unknown] = np.abs(free).max(axis=0, initial=0.0) < TOLERANCE
    return told


def _safe(counts: pd.Series | np.ndarray, hidden: pd.Series | np.ndarray, min_cell: int) -> bool:
    n_small = int((hidden & (counts > 0) & (counts < min_cell)).sum())
    return not n_small or _possible(int(counts[hidden].sum()), n_small, int(hidden.sum()) - n_small, min_cell) > 1


def dominated(amounts: Iterable[float], share: float) -> bool:
    """Whether one customer holds more than `share` of the amounts (one per customer), by size.

    >>> dominated((900.0, 50.0, 50.0), 0.85), dominated((10.0, 10.0), 0.85), dominated((), 0.85)
    (True, False, False)
    """
    sizes = np.abs(np.fromiter(amounts, float))
    return bool(sizes.size and sizes.max() > share * sizes.sum())


def withhold(amounts: Iterable[float], min_cell: int, share: float) -> bool:
    """Whether a sum of customers' amounts must not be shown: some, but from too few customers, or one dominates."""
    sizes = np.fromiter(amounts, float)
    given = sizes[sizes != 0]
    return bool(given.size) and (given.size < min_cell or dominated(given, share))


def complement(hidden: pd.Series, amounts: pd.Series) -> pd.Series:
    """Hidden amounts of a sum that is shown: a single one takes the next smallest that is not nothing with it."""
    rest = amounts[~hidden & (amounts != 0)]
    if hidden.sum() != 1 or rest.empty:
        return hidden
    return hidden | (amounts.index == rest.abs().idxmin())


def withheld_steps(held: Contributions, min_cell: int, share: float) -> frozenset[tuple[str, str | None]]:
    """Which amounts of a footing must not be shown: pairs of step and rule (missing for all that is set aside).

    `held` as `tables.footing.contributions` gives it. Besides amounts of too few customers, or of which one holds too
    much: those of all branches where exactly one branch's is withheld, that of all that is set aside where the hidden
    rules together are such an amount, and the amount in the files where the other steps would otherwise tell one that
    is.
    """
    steps = held.steps
    few = (steps["customers"] > 0) & (steps["customers"] < min_cell)
    own = few | (steps["largest"] > share * steps["size"])
    rules = [None if pd.isna(rule) else rule for rule in steps["rule"]]
    hidden: set[tuple[str, str | None]] = set()
    parts: dict[tuple[str, str | None], list[bool]] = {}
    for key, branch, veiled in zip(zip(steps["step"], rules, strict=True), steps["branch"], own, strict=True):
        if pd.isna(branch):
            hidden |= {key} if veiled else set()
        elif branch:
            parts.setdefault(key, []).append(bool(veiled))
    hidden |= {key for key, of_branches in parts.items() if sum(of_branches) == 1}
    veiled_rules = [rule for step, rule in hidden if step == SET_ASIDE and rule is not None]
    together = held.aside[held.aside["rule"].isin(veiled_rules)].groupby("person")["net"].sum()
    if len(veiled_rules) == 1 or withhold(together, min_cell, share):
        hidden.add((SET_ASIDE, None))  # less the rules that are shown it would tell what the hidden ones hold together
    if hidden == {(IN_FILES, "")}:
        hidden.add((USED, ""))
    return frozenset(hidden | {(IN_FILES, "")} if hidden else hidden)


def _possible(total: int, n_small: int, n_others: int, min_cell: int) -> int:
    """How many values a small cell may have, to one who knows the sum of the hidden cells.

    `n_small` cells hold 1 to `min_cell` - 1, `n_others` hold nothing or at least `min_cell`.
    """
    rest = n_small - 1

    def fits(left: int) -> bool:
        return rest <= left <= rest * (min_cell - 1) or (n_others > 0 and left >= rest + min_cell)

    return sum(fits(total - value) for value in range(1, min_cell))
