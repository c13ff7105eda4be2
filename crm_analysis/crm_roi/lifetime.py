"""What keeping customers is worth: value at constant retention, the leaky bucket, winning against keeping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis import privacy
from crm_analysis.crm_roi.amounts import NORMAL_REACH, Amount
from crm_analysis.crm_roi.cash import Cash
from crm_analysis.crm_roi.cashflow import customer_lifetime_value, retention_elasticity
from crm_analysis.crm_roi.flows import MemberFlows, split
from crm_analysis.crm_roi.outcomes import priced
from crm_analysis.crm_roi.winning import YEAR_MONTHS, WinningCost, winning_cost
from crm_analysis.customers import GONE, branch_ends, end_of, retention, status_at, status_back
from crm_analysis.estimators.proportions import wilson
from crm_analysis.profile.settings import Privacy
from crm_analysis.units import DAYS_PER_YEAR, add_months

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = [
    "Bucket",
    "Extrapolation",
    "Keeping",
    "RetentionValue",
    "bucket",
    "extrapolations",
    "five_points",
    "keeping",
    "retention_value",
]

POINTS = 0.05


@dataclass(frozen=True, slots=True)
class RetentionValue:
    """Value of one customer at constant retention (m r / (1 + d - r)) in one branch; money in the profile's currency.

    `retention` is the share of customers of a year ago who are still there, `margin_year` what one of those kept left
    in the last twelve months. `gain` is what five more points of retention add to the value of one customer, `gain_all`
    to those of all `n_now` customers, `rise` the same as a ratio. They are None above 95 % retention. Intervals: delta
    method over customers; Wilson for retention, whose ends make those of `rise`. A scenario: it takes retention and
    margin to stay as they are for ever.
    """

    branch: str
    n: int
    n_kept: int
    n_now: int
    retention: Amount
    margin_year: Amount
    rate_annual: float
    value: Amount
    elasticity: float
    gain: Amount | None
    gain_all: Amount | None
    rise: Amount | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Twelve months of a branch's customers: `n_before` - `n_lost` + `n_new` + `n_back` = `n_now`.

    There are those neither dormant nor lost. `n_back` were known before and had gone. `leak` is the margin that those
    lost had left in the twelve months before: what stopping the leak altogether would keep in a year, at most; its
    interval is over customers. `leak_lasting` values the same customers at constant retention, a scenario. None where
    privacy forbids.
    """

    branch: str
    n_before: int
    n_lost: int
    n_new: int
    n_back: int
    n_now: int
    leak: Amount | None
    leak_lasting: Amount | None

    @property
    def net(self) -> int:
        """Gained less lost."""
        return self.n_now - self.n_before


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """Scenario: customers whom a campaign made pay at all stay as customers usually do here.

    `extra` are treated members who paid in the window beyond the control's share, `margin_year` what a member of the
    list left in the year before the campaign, `value` what the extra ones would leave later at that margin and constant
    retention, `present` the campaign's present value with it. None of it is measured.
    """

    key: str
    name: str
    extra: Amount
    margin_year: float
    value: Amount
    present: Amount


@dataclass(frozen=True, slots=True)
class Keeping:
    """Retention's worth in a scope: by branch (and all of them), the bucket, winning against keeping.

    `status` has customer_id, branch and status at the scope's end. Where the data do not reach a year back, `values`
    and `buckets` are empty. Branches whose counts or amounts may not be shown have no value; where that of all branches
    would tell one of them, it has none either and `whole_withheld` says so.
    """

    status: pd.DataFrame
    values: tuple[RetentionValue, ...]
    buckets: tuple[Bucket, ...]
    winning: WinningCost
    rate_annual: float
    branch: str = "all"
    whole_withheld: bool = False

    @property
    def here(self) -> RetentionValue | None:
        """The value of the scope itself; None where it cannot be told."""
        return next((value for value in self.values if value.branch == self.branch), None)


def keeping(scope: Scope) -> Keeping:
    """Retention, its worth and its cost, from the one status rule; each branch up to its own last covered day."""
    rate = scope.profile.value.discount_rate_annual
    now, before = status_at(scope, scope.as_of), status_back(scope, YEAR_MONTHS)
    looked_at = retention(scope, YEAR_MONTHS, now=now, before=before).customers
    status = now[["customer_id", "branch", "status"]]
    values: tuple[RetentionValue, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    whole_withheld = False
    if len(looked_at):
        frame = _two_years(scope, status, before, looked_at)
        names = ["all", *sorted(frame["branch"].dropna().unique())] if scope.branch == "all" else [scope.branch]
        rule = scope.profile.privacy
        parts = [(name, frame if name == scope.branch else frame[frame["branch"] == name]) for name in names]
        valued = {name: _value_of(name, part, rate, rule) for name, part in parts}
        unshown = [part[part["there_before"]] for name, part in parts if name != scope.branch and valued[name] is None]
        if valued[scope.branch] is not None and _tells_one(unshown, rule.min_cell):
            whole_withheld, valued[scope.branch] = True, None
        values = tuple(found for found in valued.values() if found is not None)
        by_branch = {found.branch: found for found in values}
        buckets = tuple(_bucket_of(name, part, rule, by_branch.get(name)) for name, part in parts)
    return Keeping(
        status,
        values,
        _veiled(buckets),
        winning_cost(scope, looked_at, status),
        rate,
        branch=scope.branch,
        whole_withheld=whole_withheld,
    )


def retention_value(
    kept: NDArray[np.bool_], margin_year: NDArray[np.float64], *, n_now: int, rate_annual: float, branch: str = "all"
) -> RetentionValue:
    """`RetentionValue` from customers of a year ago: whether each is still there, and what they left since.

    m is the mean over those kept. Raises ValueError where nobody was there or nobody was kept.
    """
    kept = np.asarray(kept, dtype=bool)
    margin = np.asarray(margin_year, dtype=float)
    n, n_kept = int(kept.size), int(kept.sum())
    if n_kept == 0:
        raise ValueError("without a customer kept there is no value of keeping one")
    share = wilson(n_kept, n)
    r, m = n_kept / n, float(margin[kept].mean())
    spread = float(margin[kept].std(ddof=1)) / math.sqrt(n_kept) if n_kept > 1 else math.nan
    gain = gain_all = rise = None
    in_r = (kept - r) / n
    in_m = np.where(kept, margin - m, 0.0) / n_kept
    d = rate_annual
    if r + POINTS <= 1 and 1 + d > r + POINTS:
        more = customer_lifetime_value(m, retention=r + POINTS, rate=d)
        now = customer_lifetime_value(m, retention=r, rate=d)
        slope_r = m * (1 + d) * (1 / (1 + d - r - POINTS) ** 2 - 1 / (1 + d - r) ** 2)
        slope_m = (more - now) / m if m else 0.0
        error = math.sqrt(float(((slope_r * in_r + slope_m * in_m) ** 2).sum()))
        gain, gain_all = Amount.around(more - now, error), Amount.around((more - now) * n_now, error * n_now)
        ends = sorted(five_points(min(end, 1 - POINTS), rate_annual=d) for end in (share.low, share.high) if end > 0)
        rise = Amount(five_points(r, rate_annual=d), ends[0], ends[-1])
    worth_error = math.sqrt(float((((m * (1 + d) / (1 + d - r) ** 2) * in_r + r / (1 + d - r) * in_m) ** 2).sum()))
    return RetentionValue(
        branch=branch,
        n=n,
        n_kept=n_kept,
        n_now=n_now,
        retention=Amount(r, share.low, share.high),
        margin_year=Amount.around(m, spread),
        rate_annual=d,
        value=Amount.around(customer_lifetime_value(m, retention=r, rate=d), worth_error),
        elasticity=retention_elasticity(retention=r, rate=d),
        gain=gain,
        gain_all=gain_all,
        rise=rise,
    )


def five_points(retention: float, *, rate_annual: float) -> float:
    """By how much five more points of retention raise the value of a customer, as a ratio; the margin cancels out."""
    now = customer_lifetime_value(1.0, retention=retention, rate=rate_annual)
    return customer_lifetime_value(1.0, retention=retention + POINTS, rate=rate_annual) / now - 1


def bucket(frame: pd.DataFrame, *, branch: str = "all", lasting: float | None = None) -> Bucket:
    """`Bucket` from customers with there_before, there_now, known_before (true or false) and margin_before.

    `lasting` is the value of one customer kept over a year's margin of one, for the scenario.
    """
    before, now, known = (frame[name].to_numpy(bool) for name in ("there_before", "there_now", "known_before"))
    lost = before & ~now
    left = np.where(lost, frame["margin_before"].to_numpy(float), 0.0)
    error = math.sqrt(len(left)) * float(left.std(ddof=1)) if len(left) > 1 else math.nan
    leak = Amount.around(float(left.sum()), error)
    return Bucket(
        branch=branch,
        n_before=int(before.sum()),
        n_lost=int(lost.sum()),
        n_new=int((now & ~known).sum()),
        n_back=int((now & known & ~before).sum()),
        n_now=int(now.sum()),
        leak=leak,
        leak_lasting=None if lasting is None else Amount.around(leak.value * lasting, error * lasting),
    )


def extrapolations(
    flows: Sequence[MemberFlows], cash: Sequence[Cash], kept: Keeping, *, history_days: int
) -> tuple[Extrapolation, ...]:
    """Each measured campaign with the later value of those it made pay at all. A scenario, labelled so.

    `history_days` is the length of time before the assignment over which `margin_before` was summed. Errors of the
    extra payers, the margin and the retention are taken for independent; that of the present value is added to theirs
    in full, since those who pay are those whose margin is counted.
    """
    here = kept.here
    if here is None or not here.margin_year.value:
        return ()
    lasting = here.value.value / here.margin_year.value  # r / (1 + d - r)
    d, r = here.rate_annual, here.retention.value
    lasting_error = (1 + d) / (1 + d - r) ** 2 * math.sqrt(r * (1 - r) / here.n)
    found = []
    for flow, money in zip(flows, cash, strict=True):
        paid_t, paid_c = split((flow.n_orders.sum(axis=1) > 0).astype(float), flow.treated)
        more = flow.arms().difference(paid_t, paid_c)
        year = flow.result.gate.units["margin_before"].to_numpy(float) * (DAYS_PER_YEAR / history_days)
        if more.standard_error is None or year.mean() <= 0:
            continue
        extra, error = more.difference * paid_t.size, more.standard_error * paid_t.size
        value = extra * float(year.mean()) * lasting
        relative = float(year.std(ddof=1)) / math.sqrt(year.size) / float(year.mean())
        value_error = (
            float(year.mean()) * lasting * math.hypot(error, extra * relative, extra * lasting_error / lasting)
        )
        measured = money.present.value
        assert money.present.high is not None
        found.append(
            Extrapolation(
                key=money.key,
                name=money.name,
                extra=Amount.around(extra, error),
                margin_year=float(year.mean()),
                value=Amount.around(value, value_error),
                present=Amount.around(measured + value, (money.present.high - measured) / NORMAL_REACH + value_error),
            )
        )
    return tuple(found)


def _two_years(scope: Scope, status: pd.DataFrame, before: pd.DataFrame, looked_at: pd.DataFrame) -> pd.DataFrame:
    """One row per customer known by now: there a year ago, there now, known then, margin of each year, home branch."""
    profile = scope.profile
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    ends = branch_ends(scope)
    end = end_of(rows.branch, ends, scope.as_of).cast("date")
    years = [{branch: add_months(day, -YEAR_MONTHS * back) for branch, day in ends.items()} for back in (1, 2)]
    starts = [
        end_of(rows.branch, days, add_months(scope.as_of, -YEAR_MONTHS * back)).cast("date")
        for back, days in zip((1, 2), years, strict=True)
    ]
    sums = (
        rows.group_by("customer_id")
        .aggregate(
            margin_now=rows.left.sum(where=(rows.on > starts[0]) & (rows.on <= end)),
            margin_before=rows.left.sum(where=(rows.on > starts[1]) & (rows.on <= starts[0])),
        )
        .order_by("customer_id")
        .execute()
    )
    frame = status.merge(sums, on="customer_id", how="left")
    frame[["margin_now", "margin_before"]] = frame[["margin_now", "margin_before"]].fillna(0.0)
    there = looked_at.set_index("customer_id")
    frame["there_before"] = frame["customer_id"].isin(there.index)
    frame["there_now"] = ~frame["status"].isin(GONE)
    frame["known_before"] = frame["customer_id"].isin(before["customer_id"])
    then = frame["customer_id"].map(there["branch"])
    return frame.assign(branch=then.fillna(frame["branch"]))


def _value_of(name: str, part: pd.DataFrame, rate: float, rule: Privacy) -> RetentionValue | None:
    then = part[part["there_before"]]
    kept = then["there_now"].to_numpy(bool)
    margin = then["margin_now"].to_numpy(float)
    if privacy.tells(int(kept.sum()), len(then), rule.min_cell) or kept.sum() < rule.min_cell:
        return None
    if privacy.withhold(margin[kept], rule.min_cell, rule.dominance_share):
        return None
    n_now = int(part["there_now"].sum())
    return retention_value(kept, margin, n_now=n_now, rate_annual=rate, branch=name)


def _tells_one(unshown: Sequence[pd.DataFrame], min_cell: int) -> bool:
    """Whether the share kept of all branches, beside those of the branches that are shown, tells one of the others.

    Each frame holds the customers of a year ago of a branch that is not shown.
    """
    some = [part["there_now"].to_numpy(bool) for part in unshown if len(part)]
    counts = [[int(kept.sum()) for kept in some], [int((~kept).sum()) for kept in some]]
    return len(some) == 1 or any(privacy.total_tells(of, min_cell) for of in counts)


def _bucket_of(name: str, part: pd.DataFrame, rule: Privacy, value: RetentionValue | None) -> Bucket:
    lasting = None
    if value is not None and value.margin_year.value > 0:
        lasting = value.value.value / value.margin_year.value
    found = bucket(part, branch=name, lasting=lasting)
    lost = part["there_before"] & ~part["there_now"]
    if privacy.withhold(part.loc[lost, "margin_before"], rule.min_cell, rule.dominance_share):
        return _without_amounts(found)
    return found


def _veiled(buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
    """Where exactly one branch's amount is withheld, that of all goes with it: the others would tell it."""
    parts = [each for each in buckets if each.branch != "all"]
    if sum(each.leak is None for each in parts) != 1:
        return buckets
    return tuple(_without_amounts(each) if each.branch == "all" else each for each in buckets)


def _without_amounts(found: Bucket) -> Bucket:
    return Bucket(found.branch, found.n_before, found.n_lost, found.n_new, found.n_back, found.n_now, None, None)
