"""Acquisition cohorts: which share still pays, and what an acquired customer has brought so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crm_analysis.customer_value.lives import Lives
from crm_analysis.estimators.means import bootstrap_means
from crm_analysis.estimators.proportions import Difference, Proportion, two_proportions, wilson
from crm_analysis.units import Period, add_months

KINDS = {3: "quarter", 6: "half", 12: "year"}
YEAR = 12  # months
DRAWS = 500
SEED = 20057


@dataclass(frozen=True, slots=True)
class Trend:
    """Share still paying `unit` stretches after the first, of older cohorts against newer ones."""

    unit: int
    older: Proportion
    newer: Proportion
    older_labels: tuple[str, str]
    newer_labels: tuple[str, str]
    difference: Difference


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Customers by the period of their first order, followed by tenure in the same unit.

    `cells`: cohort (label), truly_new (nobody in the cohort was first seen near the start of history), unit (0 is the
    stretch that begins with the first order), n (members whose branch covers the stretch for the whole cohort), paying
    (of them, with an order in the stretch), share, margin (their sum, after refunds), largest (one member's, by size),
    size (sum of the sizes), value (margin per member), cumulated (values added up). A cell that no branch covers to
    its end for the whole cohort is not there.
    `sizes`: members by cohort; `parts`: the same by branch (columns). `by_branch`: cohort, branch, unit, n,
    paying, largest and size, as in `cells`. `first_year`: margin of the first twelve months per truly new customer,
    with interval; `newcomers` are these customers (customer_id, brought), who never reach a page.
    """

    unit_months: int
    cells: pd.DataFrame
    sizes: pd.Series
    parts: pd.DataFrame
    by_branch: pd.DataFrame
    newcomers: pd.DataFrame
    first_year: float
    first_year_low: float
    first_year_high: float
    first_year_n: int
    trend: Trend | None


def cohorts(found: Lives, *, fiscal_year_starts: int) -> Cohorts:
    """Cohorts by quarter, half-year or year, whatever unit the tenure has."""
    months, members = found.unit_months, found.members.copy()
    days = members["first_on"].drop_duplicates()
    periods = {day: Period.containing(day.date(), KINDS[months], fiscal_year_starts=fiscal_year_starts) for day in days}
    members["cohort"] = members["first_on"].map({day: str(period) for day, period in periods.items()})
    ends = {str(period): period.end for period in periods.values()}
    by_branch = _by_branch(members, found.stretches, ends, months)
    cells = _cells(members, by_branch)
    year = first_year(found)
    low, high = math.nan, math.nan
    if len(year) > 1:
        drawn = bootstrap_means(year.to_numpy(float), draws=DRAWS, rng=np.random.default_rng(SEED))
        low, high = (float(limit) for limit in np.quantile(drawn, [0.025, 0.975]))
    return Cohorts(
        unit_months=months,
        cells=cells,
        sizes=members["cohort"].value_counts().sort_index(),
        parts=pd.crosstab(members["cohort"], members["branch"]),
        by_branch=by_branch,
        newcomers=year.rename("brought").rename_axis("customer_id").reset_index(),
        first_year=float(year.mean()) if len(year) else math.nan,
        first_year_low=low,
        first_year_high=high,
        first_year_n=len(year),
        trend=_trend(cells, months),
    )


def first_year(found: Lives) -> pd.Series:
    """Margin of the first twelve months of each truly new customer whose branch covers them."""
    members = found.members[found.members["truly_new"]]
    covered = members["first_on"] + pd.DateOffset(months=YEAR) - pd.Timedelta(days=1) <= members["observed_to"]
    early = found.stretches[found.stretches["unit"] < YEAR // found.unit_months]
    brought = early.groupby("customer_id")["margin"].sum()
    return brought.reindex(members.loc[covered, "customer_id"]).fillna(0.0)


def _by_branch(members: pd.DataFrame, stretches: pd.DataFrame, ends: dict[str, date], months: int) -> pd.DataFrame:
    """One line per cohort, branch and unit that the branch covers: n, paying, margin, largest, size."""
    groups = members.groupby(["cohort", "branch"], sort=True).agg(
        n=("customer_id", "size"), until=("observed_to", "max")
    )
    lines = []
    for (cohort, branch), row in groups.iterrows():
        unit = 0
        while add_months(ends[cohort], (unit + 1) * months) <= row.until.date():
            lines.append((cohort, branch, unit, row.n))
            unit += 1
    keys = ["cohort", "branch", "unit"]
    covered = pd.DataFrame(lines, columns=[*keys, "n"])
    if covered.empty:
        return covered.assign(paying=[], margin=[], largest=[], size=[])
    each = stretches.merge(members[["customer_id", "cohort", "branch"]], on="customer_id")
    each = each.assign(paid=each["n_orders"] > 0, size=each["margin"].abs())
    brought = each.groupby(keys).agg(
        paying=("paid", "sum"), margin=("margin", "sum"), largest=("size", "max"), size=("size", "sum")
    )
    covered = covered.join(brought, on=keys).fillna({name: 0 for name in brought.columns})
    return covered.astype({"paying": "int64"})


def _cells(members: pd.DataFrame, by_branch: pd.DataFrame) -> pd.DataFrame:
    """One line per cohort and unit that is covered, over the branches that cover it."""
    names = ["cohort", "truly_new", "unit", "n", "paying", "share", "margin", "largest", "size", "value", "cumulated"]
    if by_branch.empty:
        return pd.DataFrame(columns=names)
    cells = by_branch.groupby(["cohort", "unit"], as_index=False).agg(
        {"n": "sum", "paying": "sum", "margin": "sum", "largest": "max", "size": "sum"}
    )
    cells["truly_new"] = cells["cohort"].map(members.groupby("cohort")["truly_new"].all())
    cells["share"], cells["value"] = cells["paying"] / cells["n"], cells["margin"] / cells["n"]
    cells["cumulated"] = cells.groupby("cohort")["value"].cumsum()
    return cells[names]


def _trend(cells: pd.DataFrame, months: int) -> Trend | None:
    """The older half of the truly new cohorts against the newer half, a year after the first order or, where no two
    cohorts are that old, as late as two are. None with fewer than two cohorts.
    """
    true = cells[cells["truly_new"].astype(bool) & (cells["unit"] > 0) & (cells["unit"] <= YEAR // months)]
    there = true.groupby("unit").size()
    there = there[there > 1]
    if there.empty:
        return None
    unit = int(there.index.max())
    of = true[true["unit"] == unit].sort_values("cohort", ignore_index=True)
    half = len(of) // 2
    parts = [of.iloc[:half], of.iloc[half:]]
    older, newer = (wilson(int(part["paying"].sum()), int(part["n"].sum())) for part in parts)
    labels = [(str(part["cohort"].iloc[0]), str(part["cohort"].iloc[-1])) for part in parts]
    return Trend(unit, older, newer, labels[0], labels[1], two_proportions(older, newer))
