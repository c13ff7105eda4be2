"""From the rows in the files to the rows used, so that every number on a page can be added up by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd

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


def contributions(scope: Scope) -> pd.DataFrame:
    """What the largest of them holds of the amounts of `steps` of the transactions.

    One line per branch (missing for all of them together), step and rule, and one for everything set aside (rule
    missing): branch, step, rule, customers (whose amounts are not nothing), largest and size (the largest and the sum
    of customers' net amounts, by size). A row without customer counts as one.
    """
    marked = _marked(scope, "transactions")
    step = ibis.cases((marked["why"].notnull(), SET_ASIDE), (marked["anonymous"], ANONYMOUS), else_=USED)
    marked = marked.mutate(step=step, rule=ibis.coalesce(marked["why"], ""))
    each = marked.group_by(["branch", "step", "rule", "person"]).agg(net=marked["signed"].sum()).execute()
    aside = each[each["step"] == SET_ASIDE].assign(rule=None)
    files = each.assign(step=IN_FILES, rule="")
    every = pd.concat([each, aside, files], ignore_index=True).astype({"branch": object, "rule": object})
    parts = []
    for rows in (every, every.assign(branch=None)):
        held = rows.groupby(["branch", "step", "rule", "person"], dropna=False)["net"].sum().abs()
        held = held[held > 0].groupby(["branch", "step", "rule"], dropna=False)
        parts.append(held.agg(customers="size", largest="max", size="sum").reset_index())
    return pd.concat([part.astype({"branch": object}) for part in parts], ignore_index=True)


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
    has_amount = "amount" in rows.columns
    amount = rows["amount"] if has_amount else ibis.literal(0.0)
    if table == "transactions":
        amount = (rows["kind"] == "refund").ifelse(-amount.abs(), amount)
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


def against_control(scope: Scope) -> dict[str, float] | None:
    """Accepted transaction rows and amount beside the finance office's, over the branches and months that it stated.

    Keys: rows, amount, rows_stated, amount_stated. None where no control total of the transactions is known.
    """
    stated = scope.control_totals()
    stated = stated[stated["table"] == "transactions"]
    if stated.empty:
        return None
    rows = scope.table("transactions")
    amount = (rows["kind"] == "refund").ifelse(-rows["amount"].abs(), rows["amount"])
    marked = rows.select("branch", month=rows["occurred_at"].strftime("%Y-%m"), signed=amount)
    ours = marked.group_by(["branch", "month"]).agg(rows=marked.count(), amount=marked["signed"].sum()).execute()
    both = stated.assign(month=pd.to_datetime(stated["month"]).dt.strftime("%Y-%m")).merge(
        ours, on=["branch", "month"], how="left", suffixes=("_stated", "")
    )
    return {name: float(both[name].sum()) for name in ("rows", "amount", "rows_stated", "amount_stated")}
