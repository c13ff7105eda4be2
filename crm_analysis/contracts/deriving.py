"""Row rules that need more than the row: keys, foreign keys, rules across tables.

They are ibis expressions of the failing rows' `_row`, computed by the engine that holds the tables. Rules on whole
tables are in `comparing`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd

from crm_analysis.contracts.model import Contract, Rule
from crm_analysis.profile import Profile

NEAR_START_DAYS = 92
FIRST_PLAUSIBLE_DAY = date(1950, 1, 1)


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
        return day_of(pd.to_datetime(self.coverage["first_day"]).min())

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
    refunds = refunds.select("_row", "customer_id", day_of=refunds["occurred_at"].cast("date"))
    joined = refunds.left_join(_first_payments(setting), "customer_id")
    alone = joined.filter(joined["_first"].isnull() | (joined["_first"] > joined["day_of"]))
    start = setting.history_starts_on()
    if start is None:
        return alone.select("_row")
    near = alone["day_of"] < start + timedelta(days=NEAR_START_DAYS)
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


def day_of(value: Any) -> date | None:
    """The day of a moment; None for a missing one."""
    stamp = pd.Timestamp(value)
    return None if stamp is pd.NaT else stamp.date()


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
