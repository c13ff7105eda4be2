"""Rules on whole tables: counts, freshness, control totals.

Each gives a small frame of the branches, months or tables that were compared, computed by the engine that holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import ibis
import pandas as pd

from crm_analysis.contracts import totals
from crm_analysis.contracts.deriving import FIRST_PLAUSIBLE_DAY, Setting, day_of
from crm_analysis.contracts.model import Rule
from crm_analysis.units import Period

# A month without rows means something where rows are many a month and such months the exception.
ROWS_PER_MONTH = 10
EXCEPTION = 0.1


def compared(rule: Rule, setting: Setting) -> pd.DataFrame:
    """One row per branch, month or table that a table rule compares; the boolean column `failed` says which break it.

    An empty frame: there was nothing to compare.
    """
    return _TABLE_RULES[rule.type](rule, setting)


def _row_count(rule: Rule, setting: Setting) -> pd.DataFrame:
    rows = int(setting.tables[rule.table].count().execute())
    return pd.DataFrame({"rows": [rows], "failed": [rows <= rule.arguments["more_than"]]})


def _dated(rule: Rule, setting: Setting) -> ibis.Table | None:
    """branch ('' where the table has none), day and order (a row is its own where none is given) of covered rows."""
    contract, table = setting.contracts[rule.table], setting.tables[rule.table]
    if contract.known_date is None or not setting.has(rule.table, contract.known_date):
        return None
    branch = table["branch"] if setting.has(rule.table, "branch") else ibis.literal("")
    order = table["order_id"] if setting.has(rule.table, "order_id") else table["_row"].cast("string")
    dated = table.select(branch=branch, day=table[contract.known_date].cast("date"), order=order)
    return dated.filter(dated["branch"].notnull() & dated["day"].between(FIRST_PLAUSIBLE_DAY, setting.data_ends_on))


def _covered(
    setting: Setting, branch: str, fallback: tuple[date | None, date | None]
) -> tuple[date | None, date | None]:
    """First and last covered day of a branch."""
    coverage = setting.coverage
    if coverage is not None:
        found = coverage[coverage["branch"] == branch]
        if len(found):
            return day_of(found["first_day"].iloc[0]), day_of(found["last_covered_day"].iloc[0])
    return fallback


def _row_count_change(rule: Rule, setting: Setting) -> pd.DataFrame:
    """Rows of the last complete period against the one before, by branch.

    A change is a breach where it passes the profile's limit and twice its standard error, rows counted as Poisson and
    lines of one order as one observation.
    """
    dated = _dated(rule, setting)
    if dated is None:
        return pd.DataFrame({"failed": []})
    rules = setting.profile.calendar
    last = Period.containing(setting.data_ends_on, rules.default_period, fiscal_year_starts=rules.fiscal_year_starts)
    last = last if last.end <= setting.data_ends_on else last.previous()
    before = last.previous()
    counts = (
        dated.group_by("branch")
        .agg(
            rows=lambda t: t["day"].between(last.start, last.end).sum(),
            previous=lambda t: t["day"].between(before.start, before.end).sum(),
            first=lambda t: t["day"].min(),
            lines_per_order=lambda t: t.count() / t["order"].nunique(),
        )
        .order_by("branch")
        .execute()
    )
    lines = []
    for branch, rows, previous, first, per_order in counts.itertuples(index=False, name=None):
        begins, ends = _covered(setting, branch, (day_of(first), setting.data_ends_on))
        if begins is None or begins > before.start or ends is None or ends < last.end or not previous:
            continue
        change = rows / previous - 1
        beyond_chance = abs(rows - previous) > 2 * ((rows + previous) * per_order) ** 0.5
        failed = abs(change) > setting.profile.quality.row_count_change and beyond_chance
        lines.append(
            {"branch": branch, "period": last.label, "rows": int(rows), "previous": int(previous), "change": change,
             "failed": failed}
        )  # fmt: skip
    return pd.DataFrame(lines, columns=["branch", "period", "rows", "previous", "change", "failed"])


def _month_without_rows(rule: Rule, setting: Setting) -> pd.DataFrame:
    dated = _dated(rule, setting)
    if dated is None:
        return pd.DataFrame({"failed": []})
    counts = (
        dated.group_by(["branch", dated["day"].truncate("M").name("month")])
        .agg(rows=lambda t: t.count())
        .order_by(["branch", "month"])
        .execute()
    )
    lines = []
    for branch, group in counts.groupby("branch", sort=True):
        months = pd.PeriodIndex(pd.to_datetime(group["month"]), freq="M")
        every = pd.period_range(months.min(), months.max(), freq="M")
        present = set(months)
        if group["rows"].sum() < ROWS_PER_MONTH * len(every) or len(every) - len(present) > EXCEPTION * len(every):
            continue
        lines += [{"branch": branch, "month": str(month), "failed": month not in present} for month in every]
    return pd.DataFrame(lines, columns=["branch", "month", "failed"])


def _stopped_reporting(rule: Rule, setting: Setting) -> pd.DataFrame:
    dated = _dated(rule, setting)
    if dated is None:
        return pd.DataFrame({"failed": []})
    limit = _days(rule, setting)
    last = dated.group_by("branch").agg(last=lambda t: t["day"].max()).order_by("branch").execute()
    lines = []
    for branch, seen in last.itertuples(index=False, name=None):
        _, covered = _covered(setting, branch, (None, day_of(seen)))
        silent = False
        if setting.coverage is not None and "silent" in setting.coverage:
            silent = bool(setting.coverage.loc[setting.coverage["branch"] == branch, "silent"].any())
        late = covered is not None and (setting.data_ends_on - covered).days > limit
        lines.append({"branch": branch, "last_covered_day": str(covered), "failed": silent or late})
    return pd.DataFrame(lines, columns=["branch", "last_covered_day", "failed"])


def _days(rule: Rule, setting: Setting) -> int:
    return next(item.days for item in setting.contracts[rule.table].freshness if item.id == rule.arguments["sla"])


def _out_of_date(rule: Rule, setting: Setting) -> pd.DataFrame:
    dated = _dated(rule, setting)
    if dated is None:
        return pd.DataFrame({"failed": []})
    last = day_of(dated["day"].max().execute())
    late = last is None or (setting.data_ends_on - last).days > _days(rule, setting)
    return pd.DataFrame({"last_day": [str(last)], "failed": [late]})


def _amount(table: str, rows: ibis.Table, setting: Setting) -> ibis.Value | None:
    """What a control total of `table` adds up: income net of refunds, dues collected, costs."""
    if table == "transactions":
        return totals.signed_amount(rows)
    if table == "dues" and setting.has(table, "amount_collected"):
        return rows["amount_collected"]
    return rows["amount"] if table == "costs" else None


def _control_total(rule: Rule, setting: Setting) -> pd.DataFrame:
    columns = ["branch", "month", "rows", "rows_stated", "amount", "amount_stated", "failed"]
    contract, nothing = setting.contracts[rule.table], pd.DataFrame(columns=columns)
    stated = setting.accepted("control_totals")
    stated = stated.filter(stated["table"] == rule.table).select("table", "branch", "month", "rows", "amount").execute()
    stated = stated.dropna(subset=["branch", "month"]).drop_duplicates(["branch", "month"])
    if stated.empty or contract.known_date is None or not setting.has(rule.table, contract.known_date):
        return nothing
    stated["month"] = totals.month(stated["month"])
    rows = setting.accepted(rule.table)
    has_branch = setting.has(rule.table, "branch")
    covered = totals.within_coverage(stated, setting.coverage, setting.data_ends_on)
    stated = stated[covered if has_branch else covered.groupby(stated["month"]).transform("all")]
    if not has_branch:
        stated = stated.groupby(["table", "month"], as_index=False)[["rows", "amount"]].sum(min_count=1)
        stated["branch"] = ""
    amount = _amount(rule.table, rows, setting)
    if amount is None:
        stated["amount"] = float("nan")
    rows = rows.select(
        branch=rows["branch"] if has_branch else ibis.literal(""),
        month=rows[contract.known_date].strftime("%Y-%m"),
        amount=ibis.literal(0.0) if amount is None else amount,
    )
    used = rows.group_by(["branch", "month"]).agg(rows=rows.count(), amount=rows["amount"].sum()).execute()
    both = totals.compare(used, stated, tolerance=setting.profile.quality.control_total_tolerance)
    lines = [
        {"branch": line["branch"], "month": line["month"], "rows": int(line["rows_used"]),
         "rows_stated": _number(line["rows_finance"]), "amount": None if amount is None else line["amount_used"],
         "amount_stated": _number(line["amount_finance"]), "failed": line["off"]}
        for line in both.to_dict("records")
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=columns)


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


_TABLE_RULES: Mapping[str, Callable[[Rule, Setting], pd.DataFrame]] = {
    "row_count": _row_count,
    "row_count_change": _row_count_change,
    "month_without_rows": _month_without_rows,
    "stopped_reporting": _stopped_reporting,
    "out_of_date": _out_of_date,
    "control_total": _control_total,
}
