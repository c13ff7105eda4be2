"""Rules that no single row decides: keys, foreign keys, rules across tables, counts, freshness, control totals.

Row rules are ibis expressions of the failing rows' `_row`; table rules are small frames of the branches, months or
tables that were compared. Everything is computed by the engine that holds the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd

from crm_analysis.contracts import totals
from crm_analysis.contracts.model import Contract, Rule
from crm_analysis.profile import Profile
from crm_analysis.units import Period

NEAR_START_DAYS = 92
FIRST_PLAUSIBLE_DAY = date(1950, 1, 1)
# A month without rows means something where rows are many a month and such months the exception.
ROWS_PER_MONTH = 10
EXCEPTION = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the rules look at: tables by name, the columns really supplied, how far the data reach."""

    tables: Mapping[str, ibis.Table]
    supplied: Mapping[str, frozenset[str]]
    contracts: Mapping[str, Contract]
    profile: Profile
    data_ends_on: date
    coverage: pd.DataFrame | None
    set_aside: Mapping[str, np.ndarray] = field(default_factory=dict)

    def has(self, table: str, column: str) -> bool:
        """The column is there: supplied, or required and therefore made by the loader."""
        contract = self.contracts.get(table)
        if table not in self.tables or contract is None or column not in self.tables[table].columns:
            return False
        return column in self.supplied.get(table, ()) or (
            column in contract.columns and contract.columns[column].required
        )

    def history_starts_on(self) -> date | None:
        """The profile's first day of history, else the first day that any branch covers."""
        given = self.profile.coverage.history_starts_on
        if given is not None:
            return given
        if self.coverage is None or self.coverage.empty:
            return None
        return _day(pd.to_datetime(self.coverage["first_day"]).min())

    def accepted(self, table: str) -> ibis.Table:
        """The table without the rows set aside so far."""
        rows = self.set_aside.get(table)
        if rows is None or not len(rows):
            return self.tables[table]
        away = ibis.memtable(pd.DataFrame({"_row": rows}))
        return self.tables[table].anti_join(away, "_row")


def why_not(rule: Rule, setting: Setting) -> str:
    """Why a rule does not apply to these tables, in words; empty when it does."""
    for column in rule.columns:
        if not setting.has(rule.table, column):
            if rule.type == "duplicate_key" and not setting.contracts[rule.table].columns[column].required:
                continue
            return f"the column {column} is not supplied"
    if rule.type == "duplicate_key" and not _key(rule, setting):
        return "the loader makes the key"
    if rule.type == "exact_duplicate" and not _mapped(rule, setting):
        return "no column is mapped"
    if rule.type == "foreign_key":
        link = _link(rule, setting)
        if link.to_table not in setting.tables:
            return f"the table {link.to_table} is not given"
        if not setting.has(link.to_table, link.to_column):
            return f"the column {link.to_table}.{link.to_column} is not supplied"
    if (
        rule.type == "refund_without_sale"
        and setting.history_starts_on() is None
        and rule.arguments["near_history_start"]
    ):
        return "the start of the history is not known"
    if rule.type == "joined_after_first_transaction" and "transactions" not in setting.tables:
        return "the table transactions is not given"
    if rule.type == "control_total" and "control_totals" not in setting.tables:
        return "the table control_totals is not given"
    return ""


# -- row rules: the failing rows --------------------------------------------------------------------------------------


def failing_rows(rule: Rule, setting: Setting) -> ibis.Table:
    """One column `_row`: the rows that break an own rule of level `row`."""
    return _ROW_RULES[rule.type](rule, setting)


def judged(rule: Rule, table: ibis.Table) -> ibis.Value:
    """Number of rows that the rule can judge: those where no column it needs is empty."""
    if rule.type in ("duplicate_key", "exact_duplicate"):
        return table.count()
    if rule.type == "refund_without_sale":
        return ((table["kind"] == "refund") & table["customer_id"].notnull()).sum().fill_null(0)
    filled = [table[column].notnull() for column in rule.columns]
    return ibis.and_(*filled).sum().fill_null(0)


def _mapped(rule: Rule, setting: Setting) -> list[str]:
    table = setting.tables[rule.table]
    return [column for column in table.columns if column in setting.supplied.get(rule.table, ()) and column[0] != "_"]


def _key(rule: Rule, setting: Setting) -> list[str]:
    """The key's columns that the source itself gave; empty where the loader made up one that identifies a row."""
    contract, supplied = setting.contracts[rule.table], setting.supplied.get(rule.table, frozenset())
    names = [column for column in rule.arguments["properties"] if setting.has(rule.table, column)]
    own = names[0] if len(rule.arguments["properties"]) == 1 else ""
    return [] if own and own not in supplied and contract.columns[own].required else names


def _later_copies(table: ibis.Table, columns: list[str]) -> ibis.Table:
    """Rows that repeat an earlier row in `columns`, empty cells being equal to each other."""
    position = ibis.row_number().over(group_by=columns, order_by="_row")
    return table.select("_row", *columns).mutate(_position=position).filter(lambda t: t["_position"] > 0).select("_row")


def _duplicate_key(rule: Rule, setting: Setting) -> ibis.Table:
    table, columns = setting.tables[rule.table], _key(rule, setting)
    must = [column for column in columns if not setting.contracts[rule.table].columns[column].nullable]
    if must:
        table = table.filter([table[column].notnull() for column in must])
    repeated = table.group_by(columns).having(lambda t: t.count() > 1).aggregate().select(columns)
    suspects = table.semi_join(repeated, [table[column].identical_to(repeated[column]) for column in columns])
    return _later_copies(suspects, columns)


def _exact_duplicate(rule: Rule, setting: Setting) -> ibis.Table:
    """Copies share their key; where the loader made the key, rows are sorted by a hash first.

    Whole rows are compared only where keys or hashes meet.
    """
    table, columns = setting.tables[rule.table], _mapped(rule, setting)
    key = [column for column in setting.contracts[rule.table].primary_key if column in columns]
    if set(setting.contracts[rule.table].primary_key) <= set(setting.supplied[rule.table]):
        repeated = table.group_by(key).having(lambda t: t.count() > 1).aggregate().select(key)
        return _later_copies(
            table.semi_join(repeated, [table[column].identical_to(repeated[column]) for column in key]), columns
        )
    mark = ibis.literal(0, type="int64")
    for column in columns:
        mark = (mark * 31 + table[column].hash().fill_null(7) % 1_000_003) % 288_230_376_151_711
    hashed = table.select("_row", *columns, _mark=mark)
    repeated = hashed.group_by("_mark").having(lambda t: t.count() > 1).aggregate()
    return _later_copies(hashed.semi_join(repeated, "_mark"), columns)


def _link(rule: Rule, setting: Setting) -> Any:
    links = setting.contracts[rule.table].relationships
    return next(link for link in links if link.id == rule.arguments["relationship"])


def _foreign_key(rule: Rule, setting: Setting) -> ibis.Table:
    link = _link(rule, setting)
    table = setting.tables[rule.table].select("_row", _value=link.column)
    target = setting.tables[link.to_table].select(_value=link.to_column).distinct()
    return table.filter(table["_value"].notnull()).anti_join(target, "_value").select("_row")


def _first_payments(setting: Setting) -> ibis.Table:
    """customer_id and the day of the customer's first payment."""
    paid = setting.tables["transactions"]
    plausible = paid["occurred_at"].cast("date") >= FIRST_PLAUSIBLE_DAY
    paid = paid.filter((paid["kind"] != "refund") & paid["customer_id"].notnull() & plausible)
    return paid.group_by("customer_id").agg(_first=lambda t: t["occurred_at"].min().cast("date"))


def _refund_without_sale(rule: Rule, setting: Setting) -> ibis.Table:
    table = setting.tables[rule.table]
    refunds = table.filter(
        (table["kind"] == "refund") & table["customer_id"].notnull() & table["occurred_at"].notnull()
    )
    refunds = refunds.select("_row", "customer_id", _day=refunds["occurred_at"].cast("date"))
    joined = refunds.left_join(_first_payments(setting), "customer_id")
    alone = joined.filter(joined["_first"].isnull() | (joined["_first"] > joined["_day"]))
    start = setting.history_starts_on()
    if start is None:
        return alone.select("_row")
    near = alone["_day"] < start + timedelta(days=NEAR_START_DAYS)
    return alone.filter(near if rule.arguments["near_history_start"] else ~near).select("_row")


def _joined_after_first_transaction(rule: Rule, setting: Setting) -> ibis.Table:
    customers = setting.tables["customers"].select("_row", "customer_id", "joined_on")
    joined = customers.inner_join(_first_payments(setting), "customer_id")
    return joined.filter(joined["joined_on"] > joined["_first"]).select("_row")


def _later_than(rule: Rule, setting: Setting) -> ibis.Table:
    table, given = setting.tables[rule.table], rule.arguments
    limit = table[given["after"]] + ibis.interval(days=given["days"])
    return table.filter(table[given["column"]] > limit).select("_row")


def _off_scale(rule: Rule, setting: Setting) -> ibis.Table:
    """Answers outside the profile's scale that are not declared as codes for no answer."""
    item = setting.profile.survey.satisfaction
    table = setting.tables[rule.table]
    value = table[rule.arguments["column"]]
    off = ~value.between(*item.scale)
    return table.filter(off & value.notin(item.codes) if item.codes else off).select("_row")


_ROW_RULES: Mapping[str, Callable[[Rule, Setting], ibis.Table]] = {
    "duplicate_key": _duplicate_key,
    "exact_duplicate": _exact_duplicate,
    "foreign_key": _foreign_key,
    "refund_without_sale": _refund_without_sale,
    "joined_after_first_transaction": _joined_after_first_transaction,
    "later_than": _later_than,
    "off_scale": _off_scale,
}


# -- table rules: what was compared -----------------------------------------------------------------------------------


def compared(rule: Rule, setting: Setting) -> pd.DataFrame:
    """One row per branch, month or table that a table rule compares; the boolean column `failed` says which break it.

    An empty frame: there was nothing to compare.
    """
    return _TABLE_RULES[rule.type](rule, setting)


def _day(value: Any) -> date | None:
    stamp = pd.Timestamp(value)
    return None if stamp is pd.NaT else stamp.date()


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
            return _day(found["first_day"].iloc[0]), _day(found["last_covered_day"].iloc[0])
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
        begins, ends = _covered(setting, branch, (_day(first), setting.data_ends_on))
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
        _, covered = _covered(setting, branch, (None, _day(seen)))
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
    last = _day(dated["day"].max().execute())
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


def parameters(setting: Setting) -> dict[str, Any]:
    """Values of the parameters that contracts may name."""
    ends, quality = setting.data_ends_on, setting.profile.quality
    return {
        "data_ends_on": ends,
        "after_data_ends": ends + timedelta(days=1),
        "contact_stale_before": ends - timedelta(days=quality.contact_stale_days),
    }


def missing_columns(contract: Contract, table: ibis.Table) -> list[str]:
    """Required columns that the table lacks."""
    return [column for column in contract.required if column not in table.columns]


def present_columns(rules: Collection[Rule], contract: Contract) -> dict[str, str]:
    """Columns that row rules of Great Expectations read, with their logical types."""
    names = dict.fromkeys(column for rule in rules for column in rule.columns)
    return {name: contract.columns[name].logical_type for name in names}
