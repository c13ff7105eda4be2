"""The finance office's totals beside ours: with which sign an amount counts, which months, what differs."""

from __future__ import annotations

from datetime import date

import ibis
import pandas as pd

COLUMNS = [
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


def signed_amount(transactions: ibis.Table, value: ibis.Value | None = None) -> ibis.Value:
    """`value` (the amount where none is given) with refunds negative, as a column of a finance ledger adds up.

    A refund is taken off whether its source writes it as a positive or a negative amount.
    """
    value = transactions["amount"] if value is None else value
    return (transactions["kind"] == "refund").ifelse(-value.abs(), value)


def within_coverage(totals: pd.DataFrame, coverage: pd.DataFrame | None, as_of: date) -> pd.Series:
    """Whether the data of the branch cover the month to its end: for each line of `totals` (branch, month).

    `coverage`: branch, last_covered_day. A branch that is not in it counts as covered to `as_of`, so that a branch of
    which no row arrived is missed.
    """
    reached = pd.Series(pd.Timestamp(as_of), index=totals.index)
    if coverage is not None:
        last = pd.to_datetime(coverage.set_index("branch")["last_covered_day"])
        reached = pd.to_datetime(totals["branch"].map(last)).fillna(pd.Timestamp(as_of)).clip(upper=pd.Timestamp(as_of))
    return pd.to_datetime(month(totals["month"])) + pd.offsets.MonthEnd(0) <= reached


def compare(used: pd.DataFrame, totals: pd.DataFrame, *, tolerance: float) -> pd.DataFrame:
    """Finance's totals of one table beside ours: COLUMNS, one line per total, by branch and month.

    used: branch, month, rows, amount of accepted rows. totals: table, branch, month, rows, amount, source. A month
    without any row of ours is a difference of the whole total; where finance states nothing there is nothing to differ
    from. tolerance: share of finance's total, for amounts and for numbers of rows.
    """
    asked = totals.copy()
    if "source" not in asked:
        asked["source"] = ""
    asked["month"] = month(asked["month"])
    both = asked.rename(columns={"rows": "rows_finance", "amount": "amount_finance"}).merge(
        used.rename(columns={"rows": "rows_used", "amount": "amount_used"}), on=["branch", "month"], how="left"
    )
    numbers = ["rows_finance", "amount_finance", "rows_used", "amount_used"]
    both[numbers] = both[numbers].astype(float)
    both[["rows_used", "amount_used"]] = both[["rows_used", "amount_used"]].fillna(0.0)
    both["difference"] = both["amount_used"] - both["amount_finance"]
    both["share"] = both["difference"] / both["amount_finance"].abs().where(both["amount_finance"] != 0)
    both["off"] = _apart(both["amount_used"], both["amount_finance"], tolerance) | _apart(
        both["rows_used"], both["rows_finance"], tolerance
    )
    return both[COLUMNS].sort_values(["branch", "month"], ignore_index=True)


def month(values: pd.Series) -> pd.Series:
    """Days or texts as months, "2026-05"."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m")
    return values.astype("string").str[:7].astype(object)


def _apart(ours: pd.Series, theirs: pd.Series, tolerance: float) -> pd.Series:
    return (ours - theirs).abs() > tolerance * theirs.abs() + 1e-6
