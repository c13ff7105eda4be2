"""What winning a customer cost against keeping one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis import privacy
from crm_analysis.crm_roi.amounts import NORMAL_REACH, Amount
from crm_analysis.crm_roi.outcomes import with_columns
from crm_analysis.units import add_months

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["YEAR_MONTHS", "WinningCost", "winning_cost"]

YEAR_MONTHS = 12
ACQUISITION = ("acquisition",)
KEEPING = ("welcome", "retention", "winback", "vip")
"""Purposes of a campaign that serve to keep customers."""


@dataclass(frozen=True, slots=True)
class WinningCost:
    """What winning a customer cost against keeping one, over the twelve months up to the scope's end.

    `winning` is the cost of acquisition campaigns per new customer, `keeping` that of campaigns that serve to keep
    customers per customer kept; `ratio` is winning over keeping. Intervals take the numbers of new and kept customers
    for the draw (Poisson, log scale), the costs for known. `missing` says why there is no ratio: no_costs,
    no_acquisition, no_keeping, short, nobody. `new_by_branch` and `kept_by_branch` are the counts of the branches, of
    which each page states its own.
    """

    winning: Amount | None
    keeping: Amount | None
    ratio: Amount | None
    n_new: int
    n_kept: int
    missing: str
    new_by_branch: tuple[int, ...] = ()
    kept_by_branch: tuple[int, ...] = ()

    def veiled(self, min_cell: int) -> tuple[bool, bool]:
        """Whether what a new, and what a kept, customer cost would tell how many there are of too few."""
        new, kept = (
            privacy.small(n, min_cell) or privacy.total_tells(parts, min_cell)
            for n, parts in ((self.n_new, self.new_by_branch), (self.n_kept, self.kept_by_branch))
        )
        return new, kept


def winning_cost(scope: Scope, looked_at: pd.DataFrame, status: pd.DataFrame) -> WinningCost:
    """`WinningCost` of the twelve months up to the scope's end, all branches together on their page."""
    if not (scope.has("costs") and scope.has("campaigns")):
        return WinningCost(None, None, None, 0, 0, "no_costs")
    purpose = _purposes(scope)
    won, kept_cost = (_spent_on(scope, purpose, codes) for codes in (ACQUISITION, KEEPING))
    kept_by_branch = _by_branch(looked_at.loc[looked_at["kept"].astype(bool), "branch"]) if len(looked_at) else ()
    new_by_branch = _newcomers(scope, status)
    n_kept, n_new = sum(kept_by_branch), sum(new_by_branch)
    missing = next(
        (
            why
            for why, true in (
                ("no_acquisition", won <= 0),
                ("no_keeping", kept_cost <= 0),
                ("short", not len(looked_at)),
                ("nobody", n_new == 0 or n_kept == 0),
            )
            if true
        ),
        "",
    )
    winning = _per_head(won, n_new) if won > 0 and n_new else None
    keeping_one = _per_head(kept_cost, n_kept) if kept_cost > 0 and n_kept else None
    ratio = None
    if not missing:
        reach = math.exp(NORMAL_REACH * math.sqrt(1 / n_new + 1 / n_kept))
        value = (won / n_new) / (kept_cost / n_kept)
        ratio = Amount(value, value / reach, value * reach)
    return WinningCost(winning, keeping_one, ratio, n_new, n_kept, missing, new_by_branch, kept_by_branch)


def _purposes(scope: Scope) -> dict[str, str]:
    """The programme of every campaign known, those without members too."""
    table = with_columns(scope.table("campaigns"), {"programme": "string"})
    frame = table.select("campaign_id", "programme").execute()
    return dict(zip(frame["campaign_id"], frame["programme"].fillna(""), strict=True))


def _spent_on(scope: Scope, purpose: dict[str, str], codes: Sequence[str]) -> float:
    """Cost of the campaigns of some purposes in the last twelve months; lines that branches share are in `all` only."""
    costs = with_columns(scope.table("costs"), {"campaign_id": "string"})
    start = add_months(scope.as_of, -YEAR_MONTHS)
    costs = costs.filter(costs.campaign_id.isin([key for key, code in purpose.items() if code in codes]))
    day = costs.incurred_on.cast("date")
    costs = costs.filter((day > ibis.literal(start)) & (day <= ibis.literal(scope.as_of)) & (costs.amount > 0))
    if scope.branch != "all":
        costs = costs.filter(~costs.shared)
    return float(costs.amount.sum().fill_null(0.0).execute())


def _by_branch(branch: pd.Series) -> tuple[int, ...]:
    return tuple(int(n) for n in branch.fillna("").value_counts())


def _newcomers(scope: Scope, status: pd.DataFrame) -> tuple[int, ...]:
    """Customers whose first purchase lies in the last twelve months, by branch."""
    rows = scope.table("transactions")
    rows = rows.filter(rows.customer_id.notnull() & (rows.kind != "refund"))
    first = rows.group_by("customer_id").aggregate(first_on=rows.occurred_at.cast("date").min())
    start = add_months(scope.as_of, -YEAR_MONTHS)
    if status.empty:
        return ()
    new = first.filter(first.first_on > ibis.literal(start)).select("customer_id").execute()["customer_id"]
    return _by_branch(new.map(status.drop_duplicates("customer_id").set_index("customer_id")["branch"]))


def _per_head(cost: float, n: int) -> Amount:
    """Cost over a number of people that is one Poisson draw, interval on the log scale."""
    reach = math.exp(NORMAL_REACH / math.sqrt(n))
    return Amount(cost / n, cost / n / reach, cost / n * reach)
