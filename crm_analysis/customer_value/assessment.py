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
from crm_analysis.estimators.proportions import Difference, Proportion, two_proportions, wilson
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_YEAR, add_months

WORTHY = 0.8  # slipping away matters among the best fifth
MIN_GROUP = 30  # customers that a rate of its own needs


@dataclass(frozen=True, slots=True)
class Slipping:
    """Customers of high value whose next payment is overdue: customer_id, branch, status, committed, brought (margin
    of the last year), worth (that, or the amount promised a year where it is more), last_on.

    `recovers` and `stays` are the shares kept of those who were overdue and of those who were not, a year ago.
    `followed` are the customers of high value by the same rule a year ago: committed, overdue, worth then, and since
    (what each brought in the year since); empty where the data do not reach back over the year that chose them.
    """

    customers: pd.DataFrame
    threshold: float
    recovers: Proportion
    stays: Proportion
    followed: pd.DataFrame

    @property
    def brought(self) -> float:
        """Margin that the customers on the list brought in the last year."""
        return float(self.customers["brought"].sum())

    @property
    def gap(self) -> Difference:
        """By how much more often the others were kept than those overdue a year ago."""
        return two_proportions(self.recovers, self.stays)

    @property
    def stay_less(self) -> bool:
        """Whether those overdue a year ago were kept less often beyond noise; false where too few to tell."""
        return min(self.stays.n, self.recovers.n) >= MIN_GROUP and self.gap.low > 0

    def at_most(self, *, committed: bool) -> float | None:
        """What those on the list with a commitment, or without, would bring more a year if being overdue took nothing
        away; None where unknown.

        The year that chose them flatters them all. So both sides are followed through the year after: of what they
        were worth, those of high value a year ago who were not overdue brought one share since, those who were overdue
        another. The difference is taken of what those on the list are worth.
        """
        base = self.followed[self.followed["committed"] == committed]
        late, others = base[base["overdue"]], base[~base["overdue"]]
        if min(len(late), len(others)) < MIN_GROUP:
            return None
        gap = float(others["since"].sum() / others["worth"].sum() - late["since"].sum() / late["worth"].sum())
        worth = float(self.customers.loc[self.customers["committed"] == committed, "worth"].sum())
        return worth * gap if gap > 0 and worth > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
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
    def year_covered(self) -> bool:
        """Whether the data reach back over the last twelve months."""
        first_day = pd.to_datetime(self.scope.coverage["first_day"]).min()
        return bool(first_day <= pd.Timestamp(add_months(self.scope.as_of, -12)) + pd.Timedelta(days=1))

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
    then = _profits_then(scope, year_ago)
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
        best_since=since_chosen(then, earned) if then is not None else pd.Series(dtype=float),
        below_cost_change=below_change,
        cuts=cut_points,
        scores=scores.score_customers(status, cut_points),
        outlook=ahead,
        pooling=pooling.pool(ahead, status) if scope.branch == "all" else None,
        renewals=lasting,
        matrix=value_matrix(status, year_ago, earned, ahead, scope.profile.margin),
        slipping=_slipping(status, earned, kept, year_ago, then),
        branches=_branches(kept),
        tiers=tiers,
        migration=between(
            (tiers, status, earned),
            (tiers_before, *earlier[1:]) if earlier and tiers_before else None,
            cut_points,
            label=label,
        ),
        bridge=bridge(scope, status),
        cohorts=cohorts(tenures, fiscal_year_starts=scope.profile.calendar.fiscal_year_starts),
        tenure=tenure(tenures),
        standing=standing(scope, status, earned, ahead.customers, tenures),
        previous_label=label,
        silent_since=max(silent) if len(silent) and scope.branch != "all" else None,
    )


def _profits_then(scope: Scope, year_ago: pd.DataFrame) -> Profits | None:
    """Profits of the year before the last; None where the data do not reach back over it."""
    first_day = pd.to_datetime(scope.coverage["first_day"]).min() if len(scope.coverage) else pd.NaT
    if not len(year_ago) or not first_day <= pd.Timestamp(add_months(scope.as_of, -24)):
        return None
    return customer_profits(scope, year_ago, months_ago=12)


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


def _worthy(status: pd.DataFrame, earned: Profits) -> tuple[pd.DataFrame, float]:
    """The best fifth of those neither dormant nor lost, with brought and worth, and the worth where they begin."""
    there = status[~status["status"].isin(customers.GONE)]
    margin = there["customer_id"].map(earned.customers.set_index("customer_id")["margin"]).fillna(0.0)
    promised = there.get("amount_a_year", 0.0)
    there = there.assign(brought=margin, worth=margin.where(margin > promised, promised))
    threshold = float(there["worth"].quantile(WORTHY)) if len(there) else math.nan
    return there[(there["worth"] >= threshold) & (there["worth"] > 0)], threshold


def _followed(year_ago: pd.DataFrame, then: Profits | None, earned: Profits) -> pd.DataFrame:
    if then is None:
        return pd.DataFrame({"committed": [], "overdue": [], "worth": [], "since": []}).astype(
            {"committed": bool, "overdue": bool}
        )
    worthy, _threshold = _worthy(year_ago, then)
    since = worthy["customer_id"].map(earned.customers.set_index("customer_id")["margin"]).fillna(0.0)
    return worthy.assign(overdue=worthy["status"] == "overdue", since=since)[["committed", "overdue", "worth", "since"]]


def _slipping(
    status: pd.DataFrame, earned: Profits, kept: customers.Retention, year_ago: pd.DataFrame, then: Profits | None
) -> Slipping:
    worthy, threshold = _worthy(status, earned)
    late = worthy[worthy["status"] == "overdue"]
    columns = ["customer_id", "branch", "status", "committed", "brought", "worth", "last_on"]
    base = kept.customers
    overdue = base["status"] == "overdue"
    return Slipping(
        late.sort_values("worth", ascending=False)[columns].reset_index(drop=True),
        threshold,
        wilson(int(base.loc[overdue, "kept"].sum()), int(overdue.sum())),
        wilson(int(base.loc[~overdue, "kept"].sum()), int((~overdue).sum())),
        _followed(year_ago, then, earned),
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
