"""Which parts of the page count whom, and which of their numbers may be told beside each other."""

from __future__ import annotations

import functools
from itertools import combinations

import numpy as np
import pandas as pd

from crm_analysis import customers, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue

HERE, OUTSIDE = "here", "outside"
ORDER = ("all", "segments", "matrix", "tiers", "ahead", "profit")  # what is told first where not all may be
TOLERANCE = 1e-9


def by_status(state: CustomerValue) -> tuple[pd.DataFrame, pd.Series]:
    """Customers by status and branch; and which statuses are hidden, where how many are still here is known."""
    sizes = disclosure.tally(state, state.status["customer_id"], state.status["status"], customers.STATUSES)
    return sizes, _hidden_statuses(state, sizes)


def _hidden_statuses(state: CustomerValue, sizes: pd.DataFrame) -> pd.Series:
    gone = pd.Series(sizes.index.isin(customers.GONE), sizes.index)
    return disclosure.hidden_here_and_gone(state, sizes, gone)


def parts(state: CustomerValue) -> dict[str, pd.DataFrame]:
    """The customers that each part of the page counts."""
    return {
        "all": state.status,
        "segments": state.scores,
        "matrix": state.matrix.customers,
        "profit": state.profits.customers,
        "ahead": state.outlook.customers,
        "tiers": state.tiers.customers,
        HERE: state.status[~state.status["status"].isin(customers.GONE)],
    }


@functools.lru_cache(maxsize=2)
def told(state: CustomerValue) -> frozenset[str]:
    """Which parts of the page may be counted: "all", "segments", "matrix", "profit", "ahead", "tiers", "here".

    Known are how many are still here (it stands with the findings), the statuses that are shown, and those lost who
    paid or cost something, unless they are few. One part after the other is told unless, by adding and subtracting what
    is known by then, it would give away how many are in two of all these groups at once, or in one and not in another,
    where those are too few to be shown. On the page of all branches neither is what exactly one branch's page does not
    tell, since the others' numbers are known.
    """
    ids = state.status["customer_id"]
    place = pd.Index(ids.to_numpy(object))
    counted = {**parts(state), OUTSIDE: state.tiers.outside}
    cells = pd.DataFrame({key: _among(place, frame["customer_id"]) for key, frame in counted.items()})
    cells = cells.assign(**{name: (state.status["status"] == name).to_numpy(bool) for name in customers.STATUSES})
    branch = disclosure.branch_of(state, ids)
    here = np.zeros(len(ids), int) if branch is None else branch.to_numpy(object)
    sizes = cells.assign(branch=here).groupby(list(cells))["branch"].value_counts().unstack(fill_value=0)
    groups = dict(zip(cells, sizes.index.to_frame().to_numpy(float).T, strict=True))
    by_branch, hidden = by_status(state)
    found = _told(state, groups, sizes, hidden)
    if branch is None:
        return found
    apart = [
        _told(state, groups, sizes[[name]], _hidden_statuses(state, by_branch[[name]])) for name in branch.unique()
    ]
    return frozenset(key for key in found if key == HERE or sum(key not in each for each in apart) != 1)


def _told(
    state: CustomerValue, groups: dict[str, np.ndarray], sizes: pd.DataFrame, hidden: pd.Series
) -> frozenset[str]:
    """The parts that may be counted of customers in so many cells of `groups`, a column of `sizes` per branch."""
    there = sizes.sum(axis=1).to_numpy() > 0
    groups, count = {key: group[there] for key, group in groups.items()}, sizes.to_numpy(float)[there]
    both = [a * b for a, b in combinations([*groups.values(), *(1 - group for group in groups.values())], 2)]
    few = np.unique([each for each in both if disclosure.few(state, each @ count)] or [], axis=0)
    known = [groups[HERE], *(groups[name] for name in customers.STATUSES if not hidden[name])]
    known += [groups[OUTSIDE]] if not disclosure.few(state, groups[OUTSIDE] @ count) else []
    found = {HERE}
    for key in ORDER:
        if not len(few) or not (_follow(few, [*known, groups[key]]) & ~_follow(few, known)).any():
            known.append(groups[key])
            found.add(key)
    return frozenset(found)


def _among(place: pd.Index, ids: pd.Series) -> np.ndarray:
    """Which of those in `place` are among `ids`."""
    found = np.zeros(len(place), bool)
    at = place.get_indexer(pd.Index(ids.to_numpy(object)))
    found[at[at >= 0]] = True
    return found


def _follow(sets: np.ndarray, known: list[np.ndarray]) -> np.ndarray:
    """Which groups' sizes are sums and differences of known ones, whatever the sizes of the smallest parts."""
    basis = np.column_stack(known)
    return np.abs(basis @ np.linalg.lstsq(basis, sets.T)[0] - sets.T).max(axis=0) < TOLERANCE


def unsaid(state: CustomerValue, part: str) -> bool:
    """Whether how many a part of the page counts must not be told.

    Then neither must a share of them beside its count, nor an interval, nor how many the best so many per cent are.
    """
    return part not in told(state) or disclosure.total_hidden(state)


def said(state: CustomerValue, part: str, text: str) -> str:
    """A text that would tell how many a part of the page counts: a dash where that must not be told."""
    return style.DASH if unsaid(state, part) else text
