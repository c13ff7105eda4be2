"""All that the chapter computes for one branch and period."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import pandas as pd

from crm_analysis import customers
from crm_analysis.customer_value import future, pooling, renewals, scores
from crm_analysis.customer_value.bridge import Bridge, bridge
from crm_analysis.customer_value.cohorts import Cohorts, cohorts
from crm_analysis.customer_value.concentration import Concentration, Inequality, concentration, inequality
from crm_analysis.customer_value.lives import lives
from crm_analysis.customer_value.matrix import Matrix, value_matrix
from crm_analysis.customer_value.migration import Migrations, between
from crm_analysis.customer_value.profits import Profits, customer_profits, since_chosen
from crm_analysis.customer_value.standing import Standing, standing
from crm_analysis.customer_value.tenure import Tenure, tenure
from crm_analysis.customer_value.tiers import Tiered, now_and_before
from crm_analysis.estimators.multiplicity import holm
from crm_analysis.estimators.proportions import Proportion, two_proportions, wilson
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_YEAR, add_months

WORTHY = 0.8  # slipping away matters among the best fifth
MIN_GROUP = 30  # customers that a rate of its own needs


@dataclass(frozen=True, slots=True)
class Slipping:
    """Customers of high value whose next payment is overdue: customer_id, branch, status, committed, worth (margin a
    year), last_on. `recovers` and `stays` are the shares kept of those who were overdue and of those who were not, a
    year ago; `lost_margin` is what the list is worth a year times the difference.
    """

    customers: pd.DataFrame
    threshold: float
    recovers: Proportion
    stays: Proportion

    @property
    def worth(self) -> float:
        """Margin a year of the customers on the list."""
        return float(self.customers["worth"].sum())

    @property
    def lost_margin(self) -> float:
        """Margin a year that would be kept if they stayed as often as the others; not a number where unknown."""
        gap = self.stays.share - self.recovers.share
        known = min(self.stays.n, self.recovers.n) >= MIN_GROUP
        return self.worth * max(gap, 0.0) if known else math.nan


@dataclass(frozen=True, slots=True)
class CustomerValue:
    """What the chapter knows. Frames are at customer grain and never reach a page.

    `best_since` is what each of the best tenth of a year ago brought since; empty where the data do not reach back over
    the year that chose them.
    """

    scope: Scope
    status: pd.DataFrame
    retention: customers.Retention
    kept: Proportion
    retention_change: customers.ShareChange | None
    profits: Profits
    concentration: Concentration
    inequality: Inequality
    best_since: pd.Series
    below_cost_change: customers.ShareChange | None
    cuts: scores.Cuts
    scores: pd.DataFrame
    outlook: future.Outlook
    pooling: pooling.Pooling | None
    renewals: renewals.Renewals | None
    matrix: Matrix
    slipping: Slipping
    bridge: Bridge
    cohorts: Cohorts
    tenure: Tenure
    standing: Standing
    branches: pd.DataFrame
    tiers: Tiered
    migration: Migrations
    previous_label: str
    silent_since: date | None

    @property
    def n(self) -> int:
        """Customers who are neither dormant nor lost."""
        return int((~self.status["status"].isin(customers.GONE)).sum())


def assess(scope: Scope) -> CustomerValue:
    """Read the scope once and compute everything the chapter says about it."""
    settings = scope.profile.value
    status = customers.status(scope)
    year_ago = customers.status_back(scope, 12)
    kept = customers.retention(scope, now=status, before=year_ago)
    earned = customer_profits(scope, status)
    change, below_change, label, earlier = None, None, "", None
    previous = scope.previous() if scope.complete else None
    if previous is not None:
        label = str(previous.period)
        status_before = customers.status_at(previous, previous.as_of)
        change = customers.retention_change(kept, customers.retention(previous, now=status_before))
        earlier = (previous, status_before, customer_profits(previous, status_before))
        below_change = customers.share_change(*(_below(each) for each in (earned, earlier[2])))
    base, source = _base(scope, year_ago)
    tenures = lives(scope, status)
    cut_points = scores.cuts(base, settings, source=source)
    tiers, tiers_before = now_and_before(scope, status, earned, earlier)
    lasting = renewals.renewals(scope)
    by_tenure = lasting.factor if lasting is not None and lasting.model_wins else None
    ahead = future.outlook(scope, status, year_ago, earned.customers, settings, by_tenure=by_tenure)
    silent = scope.coverage.loc[scope.coverage["silent"], "last_covered_day"]
    return CustomerValue(
        scope=scope,
        status=status,
        retention=kept,
        kept=wilson(kept.kept, kept.n),
        retention_change=change,
        profits=earned,
        concentration=concentration(earned),
        inequality=inequality(earned),
        best_since=_best_since(scope, year_ago, earned),
        below_cost_change=below_change,
        cuts=cut_points,
        scores=scores.score_customers(status, cut_points),
        outlook=ahead,
        pooling=pooling.pool(ahead, status) if scope.branch == "all" else None,
        renewals=lasting,
        matrix=value_matrix(status, year_ago, earned, ahead, scope.profile.margin),
        slipping=_slipping(status, earned.customers, kept),
        branches=_branches(kept),
        tiers=tiers,
        migration=between(
            (tiers, status, earned), (tiers_before, *earlier[1:]) if earlier else None, cut_points, label=label
        ),
        bridge=bridge(scope, status),
        cohorts=cohorts(tenures, fiscal_year_starts=scope.profile.calendar.fiscal_year_starts),
        tenure=tenure(tenures),
        standing=standing(scope, status, earned, ahead.customers, tenures),
        previous_label=label,
        silent_since=max(silent) if len(silent) and scope.branch != "all" else None,
    )


def _best_since(scope: Scope, year_ago: pd.DataFrame, earned: Profits) -> pd.Series:
    first_day = pd.to_datetime(scope.coverage["first_day"]).min() if len(scope.coverage) else pd.NaT
    if not len(year_ago) or not first_day <= pd.Timestamp(add_months(scope.as_of, -24)):
        return pd.Series(dtype=float)
    return since_chosen(customer_profits(scope, year_ago, months_ago=12), earned)


def _below(earned: Profits) -> pd.Series:
    return earned.customers.set_index("customer_id")["profit"] < 0


def _base(scope: Scope, year_ago: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Whose quintiles cut the scores: those of the profile's base period, else of a year ago, else today's.

    A year ago serves only where there was a year of history before it: days since the last order would be too few.
    """
    wanted = scope.profile.value.base_period
    if wanted is not None:
        base = scope.tables.scope(scope.branch, wanted)
        return customers.status_at(base, base.as_of), wanted
    before = scope.year_before()
    first_day = pd.to_datetime(scope.coverage["first_day"]).min()
    if before is not None and len(year_ago) and (pd.Timestamp(before.as_of) - first_day).days >= DAYS_PER_YEAR:
        return year_ago, str(before.period)
    return customers.status_at(scope, scope.as_of), str(scope.period)


def _slipping(status: pd.DataFrame, earned: pd.DataFrame, kept: customers.Retention) -> Slipping:
    there = status[~status["status"].isin(customers.GONE)]
    margin = there["customer_id"].map(earned.set_index("customer_id")["margin"]).fillna(0.0)
    promised = there.get("amount_a_year", 0.0)
    there = there.assign(worth=margin.where(margin > promised, promised))
    threshold = float(there["worth"].quantile(WORTHY)) if len(there) else math.nan
    late = there[(there["status"] == "overdue") & (there["worth"] >= threshold) & (there["worth"] > 0)]
    columns = ["customer_id", "branch", "status", "committed", "worth", "last_on"]
    base = kept.customers
    overdue = base["status"] == "overdue"
    return Slipping(
        late.sort_values("worth", ascending=False)[columns].reset_index(drop=True),
        threshold,
        wilson(int(base.loc[overdue, "kept"].sum()), int(overdue.sum())),
        wilson(int(base.loc[~overdue, "kept"].sum()), int((~overdue).sum())),
    )


def _branches(kept: customers.Retention) -> pd.DataFrame:
    """Retention by branch against all others together: branch, n, kept, low, high, difference, p (Holm)."""
    counts = kept.customers.groupby("branch")["kept"].agg(["size", "sum"])
    rows = []
    for branch, n, stayed in counts.itertuples():
        share = wilson(int(stayed), int(n))
        rest = wilson(kept.kept - int(stayed), kept.n - int(n))
        gap = two_proportions(rest, share)
        rows.append((branch, int(n), share.share, share.low, share.high, gap.value, gap.low, gap.high, gap.p))
    names = ["branch", "n", "share", "low", "high", "difference", "difference_low", "difference_high", "p"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(p=holm(frame["p"].to_list()) if len(frame) > 1 else math.nan)
