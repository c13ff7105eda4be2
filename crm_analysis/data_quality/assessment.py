"""Everything the chapter knows about one branch and period, put together once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from crm_analysis import files, tables
from crm_analysis.contracts.totals import signed_amount
from crm_analysis.data_quality import completeness, facts, matching, mix, reporting, scorecard, staleness
from crm_analysis.data_quality.footing import Footing, footing
from crm_analysis.errors import DataError, ScopeError

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

ALL = "all"
IDENTITY = ("name", "phone", "email", "birth_date")
_CUSTOMER_COLUMNS = (
    "customer_id",
    "branch",
    *IDENTITY,
    *completeness.ATTITUDES,
    "contact_verified_on",
    "contact_status",
    "valid_from",
    "joined_on",
    "_row",
)
RECENT_DAYS = 365


@dataclass(frozen=True, slots=True)
class State:
    """The state of the data on the scope's day. Parts that need a table the organisation lacks are None."""

    branch: str
    facts: facts.LineFacts
    footing: Footing
    reporting: reporting.Reporting
    contacts: staleness.Staleness | None
    persons: matching.SamePersons | None
    attitudes: pd.DataFrame
    scorecard: scorecard.Scorecard
    customers: pd.DataFrame = field(repr=False)

    def rate(self, name: str) -> float | None:
        """Share by name: set_aside, anonymous, copies, stale, surplus; None where undefined."""
        lines = self.facts.lines
        return {
            "set_aside": self.footing.set_aside_share,
            "anonymous": self.facts.without_customer / lines if lines else None,
            "copies": self.facts.copies / lines if lines else None,
            "stale": self.contacts.share if self.contacts else None,
            "surplus": self.persons.n_surplus / self.persons.n_customers
            if self.persons and self.persons.n_customers
            else None,
        }[name]


@dataclass(frozen=True, slots=True)
class Assessment:
    """One page's worth: the state, the same a period ago, the branches beside each other (in `all`), and drift.

    rules: the check's rules with rows_failed and share_failed in this scope. queries: SQL by topic, for `explain`.
    """

    scope: Scope = field(repr=False)
    state: State
    previous: State | None
    branches: dict[str, State]
    mix: mix.Mix
    fields: pd.DataFrame
    rules: pd.DataFrame
    last_days: pd.DataFrame
    queries: dict[str, str]

    @property
    def failing(self) -> pd.DataFrame:
        """Rules broken in this scope by more than they accept: critical first, then by rows."""
        order = self.rules.assign(rank=self.rules["severity"].map({"critical": 0, "warning": 1}).fillna(2))
        return (
            order[order["share_failed"] > order["at_most_share"]]
            .sort_values(["rank", "rows_failed", "id"], ascending=[True, False, True], ignore_index=True)
            .drop(columns="rank")
        )


def assess(scope: Scope) -> Assessment:
    """Assess the scope's data. Raises DataError where the contracts have not been checked yet.

    An incomplete period, and a branch that stopped reporting, are compared with nothing.
    """
    rules = scorecard.rules_frame(read_report(scope.profile.build_dir))
    current = state(scope, rules)
    stopped = scope.branch != ALL and bool(current.reporting.silences)
    before = scope.previous() if scope.complete and not stopped else None
    siblings: dict[str, State] = {}
    if scope.branch == ALL:
        everything = tables.open(scope.profile)
        for branch in everything.branches():
            try:
                siblings[branch] = state(everything.scope(branch, scope.period, incomplete=True), rules)
            except ScopeError:
                continue
    silent = tuple(found.branch for found in current.reporting.silences)
    every = tuple(reporting.DATED)
    return Assessment(
        scope=scope,
        state=current,
        previous=state(before, rules) if before else None,
        branches=siblings,
        mix=mix.mix(scope, silent),
        fields=completeness.fields(scope, every),
        rules=_rules_here(scope, rules, current),
        last_days=reporting.last_days(scope),
        queries=_queries(scope),
    )


def state(scope: Scope, rules: pd.DataFrame) -> State:
    """The state of a scope's data; `rules` are those of the check (`scorecard.rules_frame`)."""
    delivered = reporting.reporting(scope)
    foot = footing(scope)
    people = _customers(scope)
    contacts = persons = None
    attitude = pd.DataFrame(columns=completeness.ATTITUDE_COLUMNS)
    if people is not None:
        people = completeness.one_row_each(people)
        quality = scope.profile.quality
        if "contact_verified_on" in people:
            contacts = staleness.staleness(
                people,
                as_of=scope.as_of,
                limit_days=quality.contact_stale_days,
                decay_annual=quality.contact_decay_annual,
            )
        if any(name in people for name in IDENTITY):
            persons = matching.same_persons(people)
        attitude = completeness.attitudes(people, recent_customers(scope))
    single = attitude[attitude["field"] != completeness.EVERY]
    own_rules, own_counts = scorecard.own_checks(
        days_covered=delivered.days_covered,
        days_due=delivered.days_due,
        n_dated=contacts.n_dated if contacts else 0,
        n_stale=contacts.n_stale if contacts else 0,
        n_customers=persons.n_customers if persons else 0,
        n_surplus=persons.n_surplus if persons else 0,
        totals_compared=len(foot.totals),
        totals_off=int(foot.totals["off"].sum()),
        attitude_cells=int(single["n_recent"].sum()),
        attitude_empty=int(single["n_recent"].sum() - single["filled_recent"].sum()),
    )
    counted = scorecard.rule_counts(scope, rules, failures(scope))
    return State(
        branch=scope.branch,
        facts=facts.of(scope),
        footing=foot,
        reporting=delivered,
        contacts=contacts,
        persons=persons,
        attitudes=attitude,
        scorecard=scorecard.score(
            pd.concat([rules, own_rules], ignore_index=True), pd.concat([counted, own_counts], ignore_index=True)
        ),
        customers=people if people is not None else pd.DataFrame(columns=["customer_id", "branch"]),
    )


def read_report(build_dir: Path) -> dict[str, Any]:
    """What the last check wrote: its rules, and rows by table. Raises DataError where there is none."""
    path = Path(build_dir) / "data_quality" / "report.json"
    found = files.read_json(path)
    if found is None:
        raise DataError(f"{path} is not there: run `crm-analysis check` before the data-quality chapter.")
    return dict(found)


def failures(scope: Scope) -> ibis.Table | None:
    """The failing rows of the last check (table, _row, rule, severity, set_aside), in the scope's own engine."""
    path = Path(scope.profile.build_dir) / "data_quality" / "failures.parquet"
    if not path.exists():
        return None
    return scope.raw("transactions").get_backend().read_parquet(str(path), table_name="failing_rows")


def recent_customers(scope: Scope) -> set[str]:
    """Customers with an accepted payment in the 365 days up to the state's day."""
    transactions = scope.table("transactions")
    day = transactions["occurred_at"].date()
    since = scope.as_of - timedelta(days=RECENT_DAYS - 1)
    found = transactions.filter(day.between(since, scope.as_of) & transactions["customer_id"].notnull())
    return set(found.select("customer_id").distinct().execute()["customer_id"])


def _customers(scope: Scope) -> pd.DataFrame | None:
    if not scope.has("customers"):
        return None
    table = scope.table("customers")
    kept = [
        name
        for name in _CUSTOMER_COLUMNS
        if name in table.columns and (name in scope.columns("customers") or name in ("branch", "_row"))
    ]
    return table.select(kept).execute()


def _rules_here(scope: Scope, rules: pd.DataFrame, current: State) -> pd.DataFrame:
    """Row rules counted in the scope, and the branches or months in which a rule on the whole table is broken."""
    rows = current.scorecard.rules
    here = rows[rows["level"] == "row"].drop(columns="weight")
    whole = rules[rules["level"] != "row"]
    if scope.branch != ALL:
        own = [[line for line in lines if line.get("branch") == scope.branch] for lines in whole["details"]]
        whole = whole.assign(rows_failed=[len(lines) for lines in own])
    whole = whole.assign(share_failed=whole["rows_failed"] / whole["rows_checked"].clip(lower=1))
    return pd.concat([here, whole[list(here.columns)]], ignore_index=True)


def _queries(scope: Scope) -> dict[str, str]:
    raw = scope.raw("transactions")
    lines = raw.aggregate(
        lines=raw.count(), without_customer=raw["customer_id"].isnull().sum(), refunds=(raw["kind"] == "refund").sum()
    )
    used = scope.table("transactions")
    months = used.group_by(["branch", used["occurred_at"].strftime("%Y-%m").name("month")]).agg(
        rows=lambda t: t.count(),
        amount=lambda t: signed_amount(t).sum(),
    )
    if scope.has("control_totals"):
        totals = scope.tables.without_set_aside(
            "control_totals", scope.tables.of_branch("control_totals", scope.branch)
        )
        stated = totals.filter(totals["table"] == "transactions").select(
            "branch",
            month=totals["month"].strftime("%Y-%m"),
            rows_finance=totals["rows"],
            amount_finance=totals["amount"],
        )
        months = stated.left_join(months, ["branch", "month"]).drop("branch_right", "month_right")
        months = months.order_by(["branch", "month"])
    found = {"lines": str(ibis.to_sql(lines)), "months": str(ibis.to_sql(months))}
    failed = failures(scope)
    if failed is not None:
        by_rule = raw.select("_row").inner_join(failed.filter(failed["table"] == "transactions"), "_row")
        found["rules"] = str(
            ibis.to_sql(by_rule.group_by(["rule", "severity", "set_aside"]).agg(rows=lambda t: t.count()))
        )
    seen = raw.filter(raw["occurred_at"].date() <= scope.tables.data_ends_on)
    seen = seen.group_by("branch").agg(last_day=seen["occurred_at"].max().date(), rows=seen.count())
    found["days"] = str(ibis.to_sql(seen.order_by("branch")))
    if scope.has("customers"):
        customers = scope.table("customers")
        found["persons"] = str(ibis.to_sql(customers.select("customer_id", "branch", *IDENTITY)))
        verified = customers["contact_verified_on"]
        limit = scope.as_of - timedelta(days=scope.profile.quality.contact_stale_days)
        ages = customers.aggregate(dated=verified.notnull().sum(), stale=(verified < limit).sum())
        found["stale"] = str(ibis.to_sql(ages))
        since = scope.as_of - timedelta(days=RECENT_DAYS - 1)
        active = used.filter(used["occurred_at"].date().between(since, scope.as_of)).select("customer_id").distinct()
        known = customers.semi_join(active, "customer_id").aggregate(
            active=customers["customer_id"].nunique(),
            **{name: customers[name].notnull().sum() for name in completeness.ATTITUDES},
        )
        found["attitudes"] = str(ibis.to_sql(known))
    return found
