"""From the rows in the files to the rows used, and from there to the finance office's totals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis import privacy
from crm_analysis.tables.footing import ANONYMOUS, IN_FILES, SET_ASIDE, USED, contributions
from crm_analysis.tables.footing import steps as row_steps

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

REFUND = "refund"
EXAMPLES = 3  # totals that agree, shown beside those that differ
TOTAL_COLUMNS = [
    "table",
    "branch",
    "month",
    "rows_finance",
    "rows_used",
    "amount_finance",
    "amount_used",
    "source",
    "difference",
    "share",
    "off",
]


@dataclass(frozen=True, slots=True)
class Footing:
    """Rows and net amounts of the transactions from the files to the analysis.

    by_rule: rule, rows, amount of the rows set aside, most rows first. totals: TOTAL_COLUMNS, one line per branch and
    month for which finance gave a total and data were delivered; `off` marks differences beyond the tolerance.
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


def signed_amount(transactions: ibis.Table) -> ibis.Value:
    """The amount with refunds negative: what a column of a finance ledger would add up."""
    return (transactions["kind"] == REFUND).ifelse(-transactions["amount"].abs(), transactions["amount"])


def monthly(transactions: ibis.Table) -> pd.DataFrame:
    """branch, month ("2026-05"), rows, amount (net of refunds) of a table of transactions."""
    month = transactions["occurred_at"].strftime("%Y-%m")
    table = transactions.select("branch", month=month, signed=signed_amount(transactions))
    found = (
        table.group_by(["branch", "month"])
        .agg(rows=lambda t: t.count(), amount=lambda t: t["signed"].sum())
        .order_by(["branch", "month"])
    )
    return found.execute()


def compare_totals(used: pd.DataFrame, totals: pd.DataFrame, *, tolerance: float) -> pd.DataFrame:
    """Finance's totals beside ours.

    used: branch, month, rows, amount of accepted rows. totals: table, branch, month, rows, amount, source; only
    `transactions` are compared. A month without any row of ours is a difference of the whole total.
    tolerance: share of finance's total, for amounts and for numbers of rows.
    """
    asked = totals[totals["table"] == "transactions"].copy()
    if "source" not in asked:
        asked["source"] = ""
    asked["month"] = _month(asked["month"])
    both = asked.rename(columns={"rows": "rows_finance", "amount": "amount_finance"}).merge(
        used.rename(columns={"rows": "rows_used", "amount": "amount_used"}), on=["branch", "month"], how="left"
    )
    both[["rows_used", "amount_used"]] = both[["rows_used", "amount_used"]].fillna(0.0)
    both["difference"] = both["amount_used"] - both["amount_finance"]
    both["share"] = both["difference"] / both["amount_finance"].abs().where(both["amount_finance"] != 0)
    both["off"] = _apart(both["amount_used"], both["amount_finance"], tolerance) | _apart(
        both["rows_used"], both["rows_finance"], tolerance
    )
    return both[TOTAL_COLUMNS].sort_values(["branch", "month"], ignore_index=True)


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

    given = scope.control_totals()
    totals = pd.DataFrame(columns=TOTAL_COLUMNS)
    if len(given):
        delivered = scope.coverage.set_index("branch")["last_covered_day"]
        ends = pd.to_datetime(_month(given["month"])) + pd.offsets.MonthEnd(0)
        reached = pd.to_datetime(given["branch"].map(delivered)).clip(upper=pd.Timestamp(scope.as_of))
        kept = given[(ends <= reached).to_numpy(dtype=bool)]
        totals = compare_totals(
            monthly(scope.table("transactions")), kept, tolerance=scope.profile.quality.control_total_tolerance
        )
    totals["off"] = totals["off"].astype(bool)
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


def _apart(ours: pd.Series, theirs: pd.Series, tolerance: float) -> pd.Series:
    """Further apart than the tolerance; where finance states nothing there is nothing to differ from."""
    return (ours - theirs).abs() > tolerance * theirs.abs() + 1e-6


def _month(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m")
    return values.astype("string").str[:7].astype(object)
