"""From the rows in the files to the rows used, and from there to the finance office's totals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis import privacy
from crm_analysis.contracts.totals import signed_amount
from crm_analysis.tables.footing import ANONYMOUS, IN_FILES, SET_ASIDE, USED, contributions, control
from crm_analysis.tables.footing import steps as row_steps

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

EXAMPLES = 3  # totals that agree, shown beside those that differ


@dataclass(frozen=True, slots=True)
class Footing:
    """Rows and net amounts of the transactions from the files to the analysis.

    by_rule: rule, rows, amount of the rows set aside, most rows first. totals: as `contracts.totals.compare` gives
    them, one line per branch and month for which finance gave a total and that the data cover.
    Amounts that must not be shown are missing: those of too few customers, and those of which one holds too much.
    """

    rows_in_files: int
    amount_in_files: float
    rows_set_aside: int
    amount_set_aside: float
    rows_anonymous: int
    amount_anonymous: float
    rows_used: int
    amount_used: float
    by_rule: pd.DataFrame
    totals: pd.DataFrame

    @property
    def set_aside_share(self) -> float | None:
        """Rows set aside of the rows in the files."""
        return self.rows_set_aside / self.rows_in_files if self.rows_in_files else None

    @property
    def mismatches(self) -> pd.DataFrame:
        """The totals that do not agree, largest difference first."""
        off = self.totals[self.totals["off"]]
        return off.reindex(off["difference"].abs().sort_values(ascending=False).index)


def footing(scope: Scope) -> Footing:
    """The footing of the scope's transactions."""
    steps = row_steps(scope, "transactions")
    rows, amount = (steps.groupby("step")[field].sum() for field in ("rows", "amount"))
    aside = steps[steps["step"] == SET_ASIDE].groupby("rule", as_index=False)[["rows", "amount"]].sum()
    rule = scope.profile.privacy
    hidden = privacy.withheld_steps(contributions(scope), rule.min_cell, rule.dominance_share)
    aside["amount"] = aside["amount"].where([(SET_ASIDE, name) not in hidden for name in aside["rule"]])

    def shown(step: str, name: str | None = "") -> float:
        return math.nan if (step, name) in hidden else float(amount.get(step, 0.0))

    totals = control(scope)
    if len(totals):
        totals = _without_few(totals, scope)
    return Footing(
        rows_in_files=int(rows.get("in files", 0)),
        amount_in_files=shown(IN_FILES),
        rows_set_aside=int(rows.get("set aside", 0)),
        amount_set_aside=shown(SET_ASIDE, None),
        rows_anonymous=int(rows.get("anonymous", 0)),
        amount_anonymous=shown(ANONYMOUS),
        rows_used=int(rows.get("used", 0)),
        amount_used=shown(USED),
        by_rule=aside.sort_values("rows", ascending=False, ignore_index=True),
        totals=totals,
    )


def _without_few(totals: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The totals, amounts missing in branch-months that differ or agree last, where they tell a customer's."""
    off = totals["off"]
    months = sorted({*totals.loc[off, "month"], *totals.loc[~off, "month"].sort_values().tail(EXAMPLES)})
    rows = scope.table("transactions")
    rows = rows.select(
        "branch",
        month=rows["occurred_at"].strftime("%Y-%m"),
        person=ibis.coalesce(rows["customer_id"], ibis.literal("row ") + rows["_row"].cast("string")),
        signed=signed_amount(rows),
    )
    rows = rows.filter(rows["month"].isin(months))
    held = rows.group_by(["branch", "month", "person"]).agg(net=rows["signed"].sum()).execute()
    rule = scope.profile.privacy
    few = {
        key
        for key, net in held.groupby(["branch", "month"])["net"]
        if privacy.withhold(net, rule.min_cell, rule.dominance_share)
    }
    veiled = [key in few for key in zip(totals["branch"], totals["month"], strict=True)]
    amounts = ["amount_finance", "amount_used", "difference", "share"]
    totals[amounts] = totals[amounts].astype(float).mask(pd.Series(veiled, index=totals.index), axis=0)
    return totals
