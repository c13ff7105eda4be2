"""Whom the page counts: customers by status, and how many each part of the page counts and leaves out."""

from __future__ import annotations

import functools
from itertools import combinations

import numpy as np
import pandas as pd

from crm_analysis import customers, privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import status_name, words
from crm_analysis.language import _

HERE, OUTSIDE = "here", "outside"
TOLERANCE = 1e-9


def _by_status(state: CustomerValue) -> tuple[pd.DataFrame, pd.Series]:
    """Customers by status and branch; and which statuses are hidden, where how many are still here is known."""
    status = state.status["status"]
    sizes = disclosure.tally(state, state.status["customer_id"], status, customers.STATUSES)
    gone = pd.Series(sizes.index.isin(customers.GONE), sizes.index)
    return sizes, disclosure.hidden_here_and_gone(state, sizes, gone)


def status_table(state: CustomerValue) -> pd.DataFrame:
    """Customers by status."""
    parts, hidden = _by_status(state)
    sizes = parts.sum(axis=1)
    few = sizes.map(lambda n: privacy.small(n, state.scope.profile.privacy.min_cell))
    shown = disclosure.counts(state, parts).mask(hidden & ~few, _("withheld"))
    share = (sizes / max(sizes.sum(), 1)).map(style.percent)
    return pd.DataFrame(
        {
            _("Status"): [status_name(key) for key in sizes.index],
            disclosure.who(state): shown.to_list(),
            _("Share"): share.where(~hidden & ("all" in told(state)), style.DASH).to_list(),
        }
    )


def _parts(state: CustomerValue) -> dict[str, pd.DataFrame]:
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
    where those are too few to be shown.
    """
    ids, parts = state.status["customer_id"], _parts(state)
    place = pd.Index(ids.to_numpy(object))
    counted = {**parts, OUTSIDE: state.tiers.outside}
    sets = {key: _among(place, frame["customer_id"]) for key, frame in counted.items()}
    sets |= {name: (state.status["status"] == name).to_numpy(bool) for name in customers.STATUSES}
    branch = disclosure.branch_of(state, ids)
    here = np.zeros(len(ids), int) if branch is None else branch.to_numpy(object)
    cells = pd.DataFrame(sets)
    sizes = cells.assign(branch=here).groupby(list(cells))["branch"].value_counts().unstack(fill_value=0)
    groups = dict(zip(cells, sizes.index.to_frame().to_numpy(float).T, strict=True))
    both = [a * b for a, b in combinations([*groups.values(), *(1 - group for group in groups.values())], 2)]
    few = np.unique([each for each in both if disclosure.few(state, each @ sizes.to_numpy(float))] or [], axis=0)
    hidden = _by_status(state)[1]
    known = [groups[HERE], *(groups[name] for name in customers.STATUSES if not hidden[name])]
    known += [groups[OUTSIDE]] if not disclosure.few(state, groups[OUTSIDE] @ sizes.to_numpy(float)) else []
    found = {HERE}
    for key in ("all", "segments", "matrix", "tiers", "ahead", "profit"):
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


def population_table(state: CustomerValue) -> pd.DataFrame:
    """How many of those with a status each part of the page counts, and how many it leaves out."""
    everybody, open_ = state.status["customer_id"], told(state)
    names = {
        "all": (_("Status"), _("with {orders} or a commitment, ever")),
        "segments": (_("Segments"), _("with {orders}, ever")),
        "matrix": (_("Matrix of present and future value"), _("everybody with a status")),
        "profit": (_("Profit"), _("with {orders} or contacted at a cost within twelve months, or not lost")),
        "ahead": (
            _("Months ahead"),
            _("still here or not, with a running commitment or {orders} that could be repeated"),
        ),
        "tiers": (_("Tiers"), _("not lost")),
        HERE: (_("Still here"), _("neither dormant nor lost")),
    }
    rows = []
    for key, frame in _parts(state).items():
        side = everybody.isin(frame["customer_id"]).map({True: "in", False: "out"})
        sizes = disclosure.tally(state, everybody, side, ("in", "out"))
        shown = disclosure.counts(state, sizes)
        few = sizes.sum(axis=1).map(lambda n: privacy.small(n, state.scope.profile.privacy.min_cell))
        veiled = pd.Series({"in": key not in open_, "out": key != "all" and not {key, "all"} <= open_})
        shown = shown.mask(veiled & ~few, _("withheld"))
        if key == HERE or key == "all" in open_:
            shown["in"] = disclosure.count(state, int(sizes.loc["in"].sum()), frame["customer_id"])
        name, whom = names[key]
        rows.append((name, whom.format(orders=words(state.scope.profile).orders), shown["in"], shown["out"]))
    return pd.DataFrame(rows, columns=[_("Counted in"), _("Whom it counts"), disclosure.who(state), _("Left out")])
