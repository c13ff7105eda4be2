"""What a page may tell of customers: counts, sums and shares, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _

TELLING = 10  # times the smallest cell: the fewest customers that a curve is drawn of


def who_lower(state: CustomerValue) -> str:
    """The organisation's word for customers."""
    return words(state.scope.profile).customers


def who(state: CustomerValue) -> str:
    """The organisation's word for customers, as a table head."""
    return who_lower(state)[:1].upper() + who_lower(state)[1:]


def branch_of(state: CustomerValue, ids: pd.Series | pd.Index) -> pd.Series | None:
    """The branch whose page counts each of these customers, under the same index; None on the page of one branch."""
    if state.scope.branch != "all":
        return None
    known = state.status.set_index("customer_id")["branch"]
    index = ids.index if isinstance(ids, pd.Series) else ids
    return pd.Series(known.reindex(ids).fillna("").to_numpy(object), index=index)


def tally(state: CustomerValue, ids: pd.Series | pd.Index, groups: pd.Series, order: Iterable[Any]) -> pd.DataFrame:
    """Customers by group (rows, in this order) and branch (columns; a single one on the page of one branch)."""
    branch = branch_of(state, ids)
    each = np.full(len(groups), state.scope.branch) if branch is None else branch.to_numpy(object)
    table = pd.crosstab(np.asarray(groups, object), each)
    return table.reindex(list(order), fill_value=0) if len(table) else pd.DataFrame({"": 0}, index=list(order))


def amount_of(state: CustomerValue, amounts: pd.Series, branch: pd.Series | None = None) -> str:
    """The sum of customers' amounts, withheld where too few customers make it up or one holds most of it."""
    return (
        _("withheld")
        if hidden_amount(state, amounts, branch)
        else style.money(float(amounts.sum()), state.scope.profile.currency)
    )


def hidden_amount(state: CustomerValue, amounts: pd.Series, branch: pd.Series | None = None) -> bool:
    """Whether the sum of customers' amounts is withheld; `branch` as `branch_of` gives it.

    With it, also where exactly one branch's sum is withheld, or where those withheld would tell too much together.
    """
    return _veiled(state, {"": amounts}, branch)[""]


def _withhold(state: CustomerValue, amounts: pd.Series) -> bool:
    rule = state.scope.profile.privacy
    return privacy.withhold(amounts, rule.min_cell, rule.dominance_share)


def _veiled(state: CustomerValue, parts: dict[str, pd.Series], branch: pd.Series | None) -> dict[str, bool]:
    """Which sums are withheld, as `hidden_amount` says it of one; a branch's page withholds the next smallest too."""
    hidden = {name: _withhold(state, part) for name, part in parts.items()}
    if branch is None:
        return hidden
    own = {name: dict(list(part.groupby(branch.reindex(part.index)))) for name, part in parts.items()}
    apart: dict[str, list[pd.Series]] = {name: [] for name in parts}
    for each in branch.unique():
        here = {name: groups[each] for name, groups in own.items() if each in groups}
        veil = pd.Series({name: _withhold(state, part) for name, part in here.items()}, dtype=bool)
        veil = privacy.complement(veil, pd.Series({name: part.sum() for name, part in here.items()}, dtype=float))
        for name in veil.index[veil]:
            apart[name].append(here[name])
    return {
        name: veil or len(apart[name]) == 1 or (bool(apart[name]) and _withhold(state, pd.concat(apart[name])))
        for name, veil in hidden.items()
    }


def sums(
    state: CustomerValue,
    parts: dict[str, pd.Series],
    branch: pd.Series | None = None,
    *,
    behind: pd.Series | None = None,
) -> dict[str, str]:
    """Sums of customers' amounts whose own sum is shown: where one alone is withheld, the next smallest is too.

    `branch` as `branch_of` gives it, under the index of the parts. `behind` is, under the same index, the money that
    estimates rest on: where one customer holds most of it, the estimate is withheld.
    """
    amounts = pd.Series({name: float(part.sum()) for name, part in parts.items()}, dtype=float)
    veil = _veiled(state, parts, branch)
    if behind is not None:
        veil = {name: veil[name] or rests_on_one(state, behind.reindex(part.index)) for name, part in parts.items()}
    hidden = privacy.complement(pd.Series(veil, dtype=bool), amounts)
    return {
        name: _("withheld") if hidden[name] else style.money(amounts[name], state.scope.profile.currency)
        for name in parts
    }


def rests_on_one(state: CustomerValue, margins: pd.Series) -> bool:
    """Whether one customer holds most of the money that an estimate rests on."""
    return privacy.dominated(margins.dropna(), state.scope.profile.privacy.dominance_share)


def margins(state: CustomerValue, ids: pd.Series | pd.Index) -> pd.Series:
    """What these customers brought over the last twelve months, under the same index."""
    known = state.profits.customers.set_index("customer_id")["margin"].astype(float)
    index = ids.index if isinstance(ids, pd.Series) else ids
    return pd.Series(known.reindex(ids).fillna(0.0).to_numpy(), index=index)


def counts(state: CustomerValue, sizes: pd.Series | pd.DataFrame) -> pd.Series:
    """Counts of a table whose total is known, as text: small ones suppressed, and others that would tell them.

    By branch, as `tally` gives them, also those that tell what a branch's page hides.
    """
    cell = state.scope.profile.privacy.min_cell
    return privacy.shown_of_all(sizes, cell) if isinstance(sizes, pd.DataFrame) else privacy.shown(sizes, cell)


def hidden_counts(state: CustomerValue, sizes: pd.Series | pd.DataFrame) -> pd.Series:
    """Which of these counts are hidden (True)."""
    cell = state.scope.profile.privacy.min_cell
    return privacy.hide_of_all(sizes, cell) if isinstance(sizes, pd.DataFrame) else privacy.hide(sizes, cell)


def hidden_here_and_gone(state: CustomerValue, sizes: pd.DataFrame, gone: pd.Series) -> pd.Series:
    """Which cells' counts are hidden (True), where how many are gone and how many are not is known from elsewhere too.

    `sizes` as `tally` gives them; `gone` says which cells are of those gone. On the page of all branches also where
    exactly one branch hides its part.
    """
    lines = [np.ones(len(gone), bool), gone.to_numpy(), ~gone.to_numpy()]
    cell = state.scope.profile.privacy.min_cell
    also = np.zeros(len(gone), bool)
    for line in lines:
        if line.any():
            also[line] |= hidden_counts(state, sizes[line]).to_numpy()
    parts = [sizes[branch].to_numpy(int) for branch in sizes] if sizes.shape[1] > 1 else []
    also |= sum((privacy.hide_lines(part, lines, cell) & (part > 0) for part in parts), np.zeros(len(gone), int)) == 1
    return pd.Series(privacy.hide_lines(sizes.sum(axis=1).to_numpy(int), lines, cell, also=also), sizes.index)


def count(state: CustomerValue, n: int, ids: pd.Series | pd.Index | None = None) -> str:
    """A number of customers as text; on the page of all branches it does not tell that of a small branch.

    `ids` are the customers counted; without them, they are taken to be all.
    """
    branch = branch_of(state, state.status["customer_id"] if ids is None else ids)
    parts = () if branch is None else branch.value_counts()
    return privacy.count(n, state.scope.profile.privacy.min_cell, parts=parts)


def few(state: CustomerValue, by_branch: pd.Series | np.ndarray) -> bool:
    """Whether so many customers, by branch, are too few to be shown, or would tell those of a branch that are."""
    cell, parts = state.scope.profile.privacy.min_cell, [int(n) for n in by_branch]
    return privacy.small(sum(parts), cell) or privacy.total_tells(parts, cell)


def total_hidden(state: CustomerValue) -> bool:
    """Whether how many customers there are must not be told, as it would tell how few one branch has.

    Then a share beside its count, and a count of the best so many per cent, must not be told either.
    """
    branch = branch_of(state, state.status["customer_id"])
    return branch is not None and privacy.total_tells(branch.value_counts(), state.scope.profile.privacy.min_cell)


def of_total(state: CustomerValue, text: str) -> str:
    """A share, an interval or a count that would tell how many customers there are: a dash where that is hidden."""
    return style.DASH if total_hidden(state) else text
