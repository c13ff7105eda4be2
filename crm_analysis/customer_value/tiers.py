"""Tiers: under which rule of the profile each customer falls, and what each tier brings."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crm_analysis import customers
from crm_analysis.customer_value.profits import MONTHS, Profits, customer_profits
from crm_analysis.estimators.proportions import wilson_limits
from crm_analysis.profile import reach
from crm_analysis.profile.settings import Condition, TierRule, Tiers
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_MONTH, Period, add_months

LIVE = ["new", "active", "overdue", "reactivated"]
SETTLED = ["active", "overdue", "reactivated"]
DECILES = 10
BOUNDS = (
    ("at_least", operator.ge),
    ("more_than", operator.gt),
    ("at_most", operator.le),
    ("less_than", operator.lt),
)

# Best tier first; the first rule that holds names the tier. The texts are keys of `wording.tier_name`.
PRESETS: Mapping[str, tuple[TierRule, ...]] = {
    name: tuple(TierRule.model_validate(rule) for rule in rules)
    for name, rules in {
        "department_store": (
            {"name": "first", "visits": {"at_least": 34}, "amount": {"at_least": 6_700_000}},
            {"name": "second", "visits": {"at_least": 14}, "amount": {"at_least": 2_500_000}},
            {"name": "third", "visits": {"at_least": 6}, "amount": {"at_least": 1_200_000}},
            {"name": "rest"},
        ),
        "association": (
            {"name": "most_valuable", "status": LIVE, "amount": {"top_share": 0.05}},
            {"name": "regular", "status": SETTLED, "regular_transfer": True},
            {"name": "growing", "status": SETTLED, "profit": {"more_than": 0}},
            {"name": "new", "status": ["new"]},
            {"name": "below_cost", "status": SETTLED},
            {"name": "dormant"},
        ),
        "deciles": (
            *({"name": f"decile_{n}", "profit": {"top_share": n / DECILES}} for n in range(1, DECILES)),
            {"name": f"decile_{DECILES}"},
        ),
    }.items()
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Values above which a customer is in the top share of a measure: `values` by measure and share, in its unit.

    `source` is the period whose customers they were read from. An observed value; whoever equals it is not above it.
    """

    values: Mapping[tuple[str, float], float]
    source: str


@dataclass(frozen=True, slots=True)
class Tiered:
    """Every customer who is not lost in exactly one tier.

    `order` names the tiers, the best first; `customers` has customer_id, branch, tier, revenue (paid in the year after
    refunds), profit (of the year). `outside` are the same columns of those without a tier: lost, yet they paid or cost
    something in the year. The year ends on `year_ends` and, for branches that stopped before, on their last covered
    day; `covered` is False where the history is shorter than that year.
    """

    settings: Tiers
    order: tuple[str, ...]
    customers: pd.DataFrame
    outside: pd.DataFrame
    thresholds: Thresholds
    year_ends: date
    covered: bool

    @property
    def table(self) -> pd.DataFrame:
        """What each tier brings: tier, n, share, low, high (Wilson), revenue, profit, profit_each, then the running
        shares of customers and of the profit of all tiers, best tier first (not a number where that is not positive).
        """
        return tier_table(self.customers, self.order)


def rules_of(settings: Tiers) -> tuple[TierRule, ...]:
    """The rules of a profile: its own, else its preset's, else deciles."""
    return tuple(settings.rules) or PRESETS[settings.preset or "deciles"]


def key_of(rule: TierRule) -> str:
    """What a tier is called in frames: its name, or the first of its names."""
    return rule.name if isinstance(rule.name, str) else next(iter(rule.name.values()))


def tiered(
    scope: Scope,
    status: pd.DataFrame,
    earned: Profits,
    *,
    settings: Tiers | None = None,
    thresholds: Thresholds | None = None,
) -> Tiered:
    """The tiers of a scope, by the profile's rules or other `settings`.

    `status` and `earned` are those of the scope's end. `thresholds` of top shares come from the base period; without
    them they are read from the customers themselves.
    """
    settings = settings or scope.profile.tiers
    measured, earned, year_ends = measured_over(settings.year, scope, status, earned)
    rules = rules_of(settings)
    if thresholds is None:
        thresholds = top_shares(rules, measured, source=str(scope.period))
    tier = assign(measured, rules, thresholds)
    everybody = earned.customers.assign(revenue=earned.customers["gross"] - earned.customers["refunds"])
    money = everybody.set_index("customer_id")[["revenue", "profit"]].astype(float)
    inside = measured[["customer_id", "branch"]].assign(tier=tier)
    for name in ("revenue", "profit"):
        inside[name] = inside["customer_id"].map(money[name]).astype(float).fillna(0.0)
    columns = ["customer_id", "branch", "revenue", "profit"]
    return Tiered(
        settings=settings,
        order=tuple(key_of(rule) for rule in rules),
        customers=inside.reset_index(drop=True),
        outside=everybody.loc[~everybody["customer_id"].isin(inside["customer_id"]), columns].reset_index(drop=True),
        thresholds=thresholds,
        year_ends=year_ends,
        covered=covers(scope, year_ends),
    )


def last_fiscal_year(scope: Scope) -> Period:
    """The last fiscal year that was over on the scope's last day."""
    starts = scope.profile.calendar.fiscal_year_starts
    year = Period.containing(scope.as_of, "year", fiscal_year_starts=starts)
    return year if year.end <= scope.as_of else year.previous()


def measured_over(year: str, scope: Scope, status: pd.DataFrame, earned: Profits) -> tuple[pd.DataFrame, Profits, date]:
    """The measures of a scope over a `rolling` or `calendar` year, the profits of that year, and the day it ends.

    Standing (status, transfer, tenure, dues) is of the scope's end in both.
    """
    year_ends = scope.as_of
    if year == "calendar":
        year_ends = last_fiscal_year(scope).end
        earned = customer_profits(scope, customers.status_at(scope, year_ends), until=year_ends)
    return measures(status, earned), earned, year_ends


def covers(scope: Scope, year_ends: date) -> bool:
    """Whether the data reach back over the year that ends on a day."""
    first_day = pd.to_datetime(scope.coverage["first_day"]).min() if len(scope.coverage) else pd.NaT
    grace = timedelta(days=scope.profile.coverage.silent_after_days)
    return bool(first_day <= pd.Timestamp(add_months(year_ends, -MONTHS) + grace))


def measures(status: pd.DataFrame, earned: Profits) -> pd.DataFrame:
    """What rules may ask about each customer who is not lost.

    Columns: customer_id, branch, status, regular_transfer, and the measures of `profile.settings.Condition` in the
    units of their names. Amounts are held to a millionth, so that sums of cents meet a round threshold. Who owes
    nothing has 0 unpaid months; days since the last order are missing for whoever never ordered.
    """
    there = status[status["status"] != "lost"].reset_index(drop=True)
    year = earned.customers.set_index("customer_id")
    amount = (year["gross"] - year["refunds"]).astype(float)
    days = {name: pd.to_datetime(there[name]) for name in ("observed_to", "first_on", "last_on")}
    for name in ("started_on", "unpaid_since"):
        days[name] = pd.to_datetime(there[name]) if name in there else pd.Series(pd.NaT, there.index)
    began = days["first_on"].where(~(days["started_on"] < days["first_on"]), days["started_on"])
    began = began.fillna(days["started_on"])

    def by_customer(values: pd.Series) -> pd.Series:
        return there["customer_id"].map(values.astype(float)).fillna(0.0)

    return pd.DataFrame(
        {
            "customer_id": there["customer_id"],
            "branch": there["branch"],
            "status": there["status"],
            "regular_transfer": there["committed"].astype(bool),
            "visits": by_customer(year["n_orders"]),
            "amount": by_customer(amount).round(6),
            "profit": by_customer(year["profit"]).round(6),
            "n_orders": there["n_orders"].astype(float),
            "tenure_months": (days["observed_to"] - began).dt.days / DAYS_PER_MONTH,
            "unpaid_months": ((days["observed_to"] - days["unpaid_since"]).dt.days / DAYS_PER_MONTH).fillna(0.0),
            "days_since_last": (days["observed_to"] - days["last_on"]).dt.days.astype(float),
        }
    )


def top_shares(rules: Sequence[TierRule], measured: pd.DataFrame, *, source: str) -> Thresholds:
    """The thresholds of the top shares that rules name: the highest value of whoever is not among that share of
    `measured`. Without customers none is reached.
    """
    values = {}
    for name, share in sorted({pair for rule in rules for pair in _top_shares(rule)}):
        known = np.sort(measured[name].dropna().to_numpy(float))[::-1]
        n_above = math.floor(len(known) * share + 1e-9)  # 0.7 of 200 are 140, whatever 0.7 is in binary
        values[name, share] = float(known[n_above]) if len(known) else np.inf
    return Thresholds(values, source)


def _top_shares(condition: Condition) -> set[tuple[str, float]]:
    own = {(name, bounds.top_share) for name, bounds in reach.ranges(condition).items() if bounds.top_share is not None}
    return own.union(*(_top_shares(part) for part in (*condition.all, *condition.any)))


def assign(measured: pd.DataFrame, rules: Sequence[TierRule], thresholds: Thresholds) -> pd.Series:
    """The tier of each customer: the first rule that holds, so that everybody is in exactly one.

    The last of the rules that takes everybody (the profile holds them to having one) is where nobody is left over.
    """
    held = [holds(rule, measured, thresholds) for rule in rules]
    names = [key_of(rule) for rule in rules]
    return pd.Series(np.select(held, names, default=names[-1]), measured.index, name="tier", dtype=object)


def holds(condition: Condition, measured: pd.DataFrame, thresholds: Thresholds) -> np.ndarray:
    """Whether each customer fulfils a condition. A measure that is missing fulfils none."""
    found = np.ones(len(measured), bool)
    for name, bounds in reach.ranges(condition).items():
        values = measured[name].to_numpy(float)
        for bound, test in BOUNDS:
            if (limit := getattr(bounds, bound)) is not None:
                found &= test(values, limit)
        if bounds.top_share is not None:
            found &= values > thresholds.values[name, bounds.top_share]
    if condition.regular_transfer is not None:
        found &= measured["regular_transfer"].to_numpy(bool) == condition.regular_transfer
    if condition.status is not None:
        found &= measured["status"].isin(condition.status).to_numpy(bool)
    for part in condition.all:
        found &= holds(part, measured, thresholds)
    if condition.any:
        found &= functools.reduce(operator.or_, (holds(part, measured, thresholds) for part in condition.any))
    return found


def joined(settings: Tiers, how: str) -> Tiers:
    """The same tiers with the thresholds of each rule joined by `how`: `all` must hold, or `any` of them does.

    What is no threshold (status, regular transfer) goes on being required.
    """
    rules = [_joined(rule, how) for rule in rules_of(settings)]
    return settings.model_copy(update={"preset": None, "rules": rules})


def _joined(rule: TierRule, how: str) -> TierRule:
    parts: list[Condition] = []
    for source in (rule, *rule.all, *rule.any):
        parts += [Condition(**{name: bounds}) for name, bounds in reach.ranges(source).items()]
    gates = [part for part in (*rule.all, *rule.any) if not reach.ranges(part)]
    if len(parts) < 2:  # noqa: PLR2004 - one threshold has nothing to be joined with
        return rule
    # What stands beside a threshold inside a part stays with the rule as written.
    if any(reach.ranges(part) and _has_more(part) for part in (*rule.all, *rule.any)):
        return rule
    alone = dict.fromkeys(reach.ranges(rule))
    join = {"all": [*gates, *parts], "any": []} if how == "all" else {"all": gates, "any": parts}
    return rule.model_copy(update=alone | join)


def _has_more(part: Condition) -> bool:
    return bool(part.all or part.any or part.status is not None or part.regular_transfer is not None)


def tier_table(customers: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """See `Tiered.table`; `customers` has tier, revenue and profit."""
    grouped = customers.groupby("tier")[["revenue", "profit"]]
    table = grouped.sum().reindex(order).fillna(0.0)
    n = grouped.size().reindex(order).fillna(0).astype(int)
    total, profit = int(n.sum()), float(table["profit"].sum())
    share = n / total if total else n * np.nan
    low, high = wilson_limits(share.fillna(0.0), float(total))
    table = pd.DataFrame(
        {
            "n": n,
            "share": share,
            "low": low,
            "high": high,
            **{name: table[name] for name in ("revenue", "profit")},
            "profit_each": table["profit"] / n.where(n > 0),
            "customers_so_far": share.cumsum(),
            "profit_so_far": table["profit"].cumsum() / profit if profit > 0 else np.nan,
        }
    )
    return table.rename_axis("tier").reset_index()


def now_and_before(
    scope: Scope, status: pd.DataFrame, earned: Profits, before: tuple[Scope, pd.DataFrame, Profits] | None
) -> tuple[Tiered, Tiered | None]:
    """The tiers of a scope and those of the period before (its scope, status and profits), by the same thresholds.

    Thresholds of top shares are frozen at the base period: the profile's `value.base_period`, else the period before,
    else today's.
    """
    thresholds, wanted = None, scope.profile.value.base_period
    if wanted is not None:
        base = scope.tables.scope(scope.branch, wanted)
        there = customers.status_at(base, base.as_of)
        thresholds = replace(tiered(base, there, customer_profits(base, there)).thresholds, source=wanted)
    earlier = tiered(*before, thresholds=thresholds) if before is not None else None
    if thresholds is None and earlier is not None and earlier.covered:
        thresholds = earlier.thresholds
    return tiered(scope, status, earned, thresholds=thresholds), earlier
