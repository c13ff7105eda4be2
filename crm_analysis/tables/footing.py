"""From the rows in the files to the rows used, so that every number on a page can be added up by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.contracts import totals
from crm_analysis.contracts.totals import signed_amount

if TYPE_CHECKING:
    from crm_analysis.tables.scopes import Scope

COLUMNS = ["table", "step", "rule", "rows", "amount"]
IN_FILES, SET_ASIDE, ANONYMOUS, USED = "in files", "set aside", "anonymous", "used"
FUTURE = "dated_after_end_of_data"


def steps(scope: Scope, table: str) -> pd.DataFrame:
    """One line per step and rule of one table: table, step, rule, rows, amount.

    Rows in the files = rows set aside (a row that breaks several rules counts under one) + anonymous rows
    (transactions without customer) + rows used; amounts likewise, refunds counted negative. Tables without an `amount`
    have not-a-number there. Rows dated after the end of the data are set aside even where no rule says so.
    """
    marked = _marked(scope, table)
    has_amount = "amount" in scope.raw(table).columns
    counted = marked.group_by(["why", "anonymous"]).agg(rows=marked.count(), amount=marked["signed"].sum()).execute()
    if not has_amount:
        counted["amount"] = float("nan")
    aside_rows = counted[counted["why"].notna()].groupby("why")[["rows", "amount"]].sum(min_count=1)
    kept = counted[counted["why"].isna()]
    lines = [(table, IN_FILES, "", *_total(counted))]
    lines += [(table, SET_ASIDE, why, row["rows"], row["amount"]) for why, row in aside_rows.sort_index().iterrows()]
    if table == "transactions":
        lines.append((table, ANONYMOUS, "", *_total(kept[kept["anonymous"]])))
    lines.append((table, USED, "", *_total(kept[~kept["anonymous"]])))
    return pd.DataFrame(lines, columns=COLUMNS).astype({"rows": "int64", "amount": "float64"})


@dataclass(frozen=True, slots=True)
class Contributions:
    """What customers hold of the amounts of `steps` of the transactions. A row without customer counts as one.

    `steps` has one line per branch (missing for all of them together, "" for rows that name none), step and rule, and
    one for everything set aside (rule missing): branch, step, rule, customers (whose amounts are not nothing), largest
    and size (the largest and the sum of customers' net amounts, by size). `aside` has rule, person and net of what is
    set aside, all branches together.
    """

    steps: pd.DataFrame
    aside: pd.DataFrame


def contributions(scope: Scope) -> Contributions:
    """See `Contributions`."""
    marked = _marked(scope, "transactions")
    step = ibis.cases((marked["why"].notnull(), SET_ASIDE), (marked["anonymous"], ANONYMOUS), else_=USED)
    marked = marked.mutate(step=step, rule=ibis.coalesce(marked["why"], ""))
    each = marked.group_by(["branch", "step", "rule", "person"]).agg(net=marked["signed"].sum()).execute()
    each["branch"] = each["branch"].astype(object).where(each["branch"].notna(), "")
    aside = each[each["step"] == SET_ASIDE].assign(rule=None)
    files = each.assign(step=IN_FILES, rule="")
    every = pd.concat([each, aside, files], ignore_index=True).astype({"branch": object, "rule": object})
    parts = []
    for rows in (every, every.assign(branch=None)):
        held = rows.groupby(["branch", "step", "rule", "person"], dropna=False)["net"].sum().abs()
        held = held[held > 0].groupby(["branch", "step", "rule"], dropna=False)
        parts.append(held.agg(customers="size", largest="max", size="sum").reset_index())
    steps = pd.concat([part.astype({"branch": object}) for part in parts], ignore_index=True)
    set_aside = each.loc[each["step"] == SET_ASIDE, ["rule", "person", "net"]]
    return Contributions(steps, set_aside.groupby(["rule", "person"], as_index=False)["net"].sum())


def _marked(scope: Scope, table: str) -> ibis.Table:
    """The rows in the files with the rule that sets them aside: branch, person, why, anonymous, signed."""
    rows = scope.raw(table)
    rule = ibis.null("string")
    if table in scope.tables._tables_with_failures:
        aside = scope.tables.set_aside(table)
        rows = rows.left_join(aside, "_row")
        rule = rows["rule"]
    future = rows[scope.tables.known_date(table)].cast("date") > scope.tables.data_ends_on
    rule = ibis.coalesce(rule, future.ifelse(FUTURE, ibis.null("string")))
    anonymous = rows["customer_id"].isnull() if table == "transactions" else ibis.literal(False)
    if table == "transactions":
        amount = signed_amount(rows)
    else:
        amount = rows["amount"] if "amount" in rows.columns else ibis.literal(0.0)
    person = rows["customer_id"] if table == "transactions" else ibis.null("string")
    return rows.select(
        branch=rows["branch"] if "branch" in rows.columns else ibis.null("string"),
        person=ibis.coalesce(person, ibis.literal("row ") + rows["_row"].cast("string")),
        why=rule,
        anonymous=anonymous,
        signed=amount.fill_null(0.0),
    )


def _total(counted: pd.DataFrame) -> tuple[int, float]:
    amounts = counted["amount"]
    return int(counted["rows"].sum()), float(amounts.sum(skipna=False)) if len(amounts) else 0.0


def monthly(transactions: ibis.Table) -> pd.DataFrame:
    """branch, month ("2026-05"), rows, amount (net of refunds) of a table of transactions."""
    rows = transactions.select(
        "branch", month=transactions["occurred_at"].strftime("%Y-%m"), signed=signed_amount(transactions)
    )
    found = rows.group_by(["branch", "month"]).agg(rows=rows.count(), amount=rows["signed"].sum())
    return found.order_by(["branch", "month"]).execute()


def control(scope: Scope) -> pd.DataFrame:
    """The finance office's totals of the transactions beside the accepted rows; see `totals.compare`.

    Only months that the branch's data cover to their end: a branch that stopped reporting differs from nothing after.
    """
    stated = scope.control_totals()
    stated = stated[stated["table"] == "transactions"]
    stated = stated[totals.within_coverage(stated, scope.coverage, scope.as_of)]
    if stated.empty:
        return pd.DataFrame(columns=totals.COLUMNS).astype({"off": bool})
    tolerance = scope.profile.quality.control_total_tolerance
    return totals.compare(monthly(scope.table("transactions")), stated, tolerance=tolerance)


def against_control(scope: Scope) -> dict[str, float] | None:
    """Accepted transaction rows and amount beside the finance office's, over the branches and months that it stated.

    Keys: rows, amount, rows_stated, amount_stated. None where no control total of the transactions is known.
    """
    both = control(scope)
    if both.empty:
        return None
    return {
        name + end: float(both.loc[both[f"{name}_finance"].notna(), f"{name}_{column}"].sum())
        for column, end in (("used", ""), ("finance", "_stated"))
        for name in ("rows", "amount")
    }
