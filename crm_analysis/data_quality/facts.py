"""Counts of the raw lines before anything is set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    from crm_analysis.tables import Scope


@dataclass(frozen=True, slots=True)
class LineFacts:
    """Lines of the transactions as delivered.

    without_customer: anonymous lines. refunds: lines of kind refund (cancellations). copies: lines that repeat an
    earlier one in every column the source gave, identifiers made by the loader apart. zero: lines of amount 0.
    """

    lines: int
    without_customer: int
    refunds: int
    copies: int
    zero: int
    negative: int
    customers: int


def line_facts(raw: ibis.Table, supplied: frozenset[str] | set[str]) -> LineFacts:
    """Facts about raw transactions; `supplied` are the columns that the source really gave.

    A transaction_id that only repeats the loader's row number identifies nothing and is left out of the comparison.
    """
    customer = raw["customer_id"]
    anonymous = customer.isnull() | (customer.strip() == "")
    counted = (
        raw.aggregate(
            lines=raw.count(),
            without_customer=anonymous.sum(),
            refunds=(raw["kind"] == "refund").sum(),
            zero=(raw["amount"] == 0).sum(),
            negative=(raw["amount"] < 0).sum(),
            customers=customer.nunique(where=~anonymous),
        )
        .execute()
        .iloc[0]
        .fillna(0)
        .astype(int)
    )
    made = bool((raw["transaction_id"] == raw["_row"].cast("string")).all().execute())
    compared = supplied - {"transaction_id"} if made else supplied
    return LineFacts(copies=int(counted["lines"]) - distinct_lines(raw, compared), **counted.to_dict())


def distinct_lines(raw: ibis.Table, supplied: frozenset[str] | set[str]) -> int:
    """Lines that differ in at least one supplied column."""
    columns = sorted(name for name in raw.columns if name in supplied and not name.startswith("_"))
    return int(raw.select(columns).distinct().count().execute())


def of(scope: Scope) -> LineFacts:
    """Facts about the scope's transactions."""
    return line_facts(scope.raw("transactions"), scope.columns("transactions"))
