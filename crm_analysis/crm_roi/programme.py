"""The programme as a whole: all campaigns so far with software, integration and data, and what changed alongside."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis.crm_roi.amounts import NORMAL_REACH, Amount
from crm_analysis.crm_roi.cash import DRAWS, Cash, discount_factors, monthly_rate, paybacks
from crm_analysis.crm_roi.costing import own_costs
from crm_analysis.crm_roi.flows import MemberFlows
from crm_analysis.crm_roi.ledger import SHARED_CATEGORIES
from crm_analysis.crm_roi.outcomes import with_columns
from crm_analysis.crm_roi.portfolio import drawn_together
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.estimators.arms import influence
from crm_analysis.estimators.means import MeanDifference, welch
from crm_analysis.units import add_months

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Alongside", "Programme", "alongside", "programme"]

Floats = NDArray[np.float64]
FEWEST = 30
"""Answers, or new customers, on each side of a comparison before and after."""
FEWEST_MONTHS = 6
CYCLE_DAYS = 90
"""Somebody interested who has not bought by then counts as not won; both sides are followed that long."""


@dataclass(frozen=True, slots=True)
class Programme:
    """All measured campaigns so far and the systems they share, month by month; money in the profile's currency.

    `curve` has month (its first day), margin, campaigns, shared, flow, total (running), low and high (95 %, clustered
    by customer). `payback_months` counts from the first month with a cost; None where it is not paid back so far, and
    `chance` is that of having been. `margin` and `campaigns` count what the treated's own behaviour cost (discounts,
    orders) as cost; in the curve it is off `margin`, in the month in which it fell. `unjudged` is the cost of campaigns
    whose gain nobody knows: it is not in the net.
    """

    n_campaigns: int
    first_month: date
    margin: float
    campaigns: float
    shared: float
    by_category: dict[str, float]
    unjudged: float
    net: Amount
    present: Amount
    rate_annual: float
    payback_months: float | None
    chance: float
    curve: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Alongside:
    """A measure in the year before the first campaign and in the latest one. A description, never an effect.

    `measure`: satisfaction (mean answer), sales_cycle (days from first interest to first purchase, of those who bought
    within `CYCLE_DAYS`) or productivity (paid per unit of staff cost, by month). `found` is None where it cannot be
    computed; `missing` then names the table, or says `few`.
    """

    measure: str
    found: MeanDifference | None
    missing: str


def programme(
    flows: Sequence[MemberFlows], cash: Sequence[Cash], evaluation: Evaluation, scope: Scope
) -> Programme | None:
    """`Programme` up to the scope's end; None on a branch's page, whose systems are shared, and without campaigns.

    A campaign's margin falls in the calendar months that its months from the start end in. Assumes randomised arms.
    """
    if evaluation.branch != "all" or not flows or not scope.has("costs"):
        return None
    shared = _shared_lines(scope)
    starts = [flow.result.starts_on for flow in flows]
    firsts = [*starts, *(pd.to_datetime(shared["incurred_on"]).dt.date)]
    first = min(firsts).replace(day=1)
    n = _month(scope.as_of, first) + 1
    gained, spent, systems = np.zeros(n), np.zeros(n), np.zeros(n)
    own = 0.0
    at: list[NDArray[np.int64]] = []
    for flow, money in zip(flows, cash, strict=True):
        months = [min(_month(add_months(flow.result.starts_on, k), first), n - 1) for k in range(len(money.curve))]
        where = np.array(months, dtype=int)
        at.append(where[1 : flow.months + 1])
        np.add.at(gained, at[-1], money.n_treated * (money.lifts - money.own))
        own += money.n_treated * float(money.own.sum())
        np.add.at(spent, where, money.spent.to_numpy().sum(axis=1))
    np.add.at(systems, [_month(day.date(), first) for day in pd.to_datetime(shared["incurred_on"])], shared["amount"])
    flow_by_month = gained - spent - systems
    covariance, position = _covariance(flows), np.concatenate(at)
    rate = monthly_rate(scope.profile.value.discount_rate_annual)
    factors = discount_factors(n, rate)

    def error(weights: Floats) -> float:
        chosen = weights[position]
        return math.sqrt(max(float(chosen @ covariance @ chosen), 0.0))

    totals = flow_by_month.cumsum()
    reach = NORMAL_REACH * np.array([error((np.arange(n) <= month).astype(float)) for month in range(n)])
    rng = np.random.default_rng(zlib.crc32(b"programme"))
    # numpy holds rounding of squared amounts against an absolute tolerance; this matrix is a sum of squares
    noise = rng.multivariate_normal(
        np.zeros(len(position)), covariance, size=DRAWS, method="eigh", check_valid="ignore"
    )
    drawn = np.tile(flow_by_month, (DRAWS, 1))
    for column, month in enumerate(position):
        drawn[:, month] += noise[:, column]
    paid_back = float(paybacks(flow_by_month[None, :])[0])
    return Programme(
        n_campaigns=len(flows),
        first_month=first,
        margin=float(gained.sum()) + own,
        campaigns=float(spent.sum()) + own,
        shared=float(systems.sum()),
        by_category={str(k): float(v) for k, v in shared.groupby("category")["amount"].sum().items()},
        unjudged=sum(r.cost.actual for r in evaluation.earlier + evaluation.closed if r.roi is None and r.cost),
        net=Amount.around(float(flow_by_month.sum()), error(np.ones(n))),
        present=Amount.around(float(factors @ flow_by_month), error(factors)),
        rate_annual=scope.profile.value.discount_rate_annual,
        payback_months=paid_back if math.isfinite(paid_back) else None,
        chance=float(np.isfinite(paybacks(drawn)).mean()),
        curve=pd.DataFrame(
            {
                "month": [add_months(first, k) for k in range(n)],
                "margin": gained,
                "campaigns": spent,
                "shared": systems,
                "flow": flow_by_month,
                "total": totals,
                "low": totals - reach,
                "high": totals + reach,
            }
        ),
    )


def _month(day: date, first: date) -> int:
    return (day.year - first.year) * 12 + day.month - first.month


def _shared_lines(scope: Scope) -> pd.DataFrame:
    """Lines of the categories that serve the programmes together and that name no campaign, as they were paid."""
    costs = with_columns(scope.table("costs"), {"campaign_id": "string"})
    unnamed = costs.campaign_id.isnull() | (costs.campaign_id == "")
    wanted = unnamed & costs.category.isin(SHARED_CATEGORIES) & (costs.amount > 0)
    wanted &= costs.incurred_on.cast("date") <= ibis.literal(scope.as_of)
    frame = costs.filter(wanted).select("cost_id", "incurred_on", "category", "amount").order_by("cost_id").execute()
    return frame.drop_duplicates("cost_id")


def _covariance(flows: Sequence[MemberFlows]) -> Floats:
    """Covariance of the campaigns' months (their net margin in money).

    A customer in several campaigns counts in each; where one drew households or branches, all in them count as one.
    """
    together = drawn_together([flow.result for flow in flows])
    parts = []
    for number, flow in enumerate(flows):
        frame = pd.DataFrame(_influence(flow), columns=[f"{number} {month}" for month in range(flow.months)])
        people = flow.result.gate.units["customer_id"].reset_index(drop=True)
        parts.append(frame.groupby(people if together is None else people.map(together)).sum())
    rows = []
    for mine in parts:
        rows.append([_crossed(mine, other) for other in parts])
    found: Floats = np.block(rows)
    return (found + found.T) / 2


def _crossed(mine: pd.DataFrame, other: pd.DataFrame) -> Floats:
    """Sums of products over those in both."""
    place = mine.index.get_indexer(other.index)
    both = place >= 0
    found: Floats = mine.to_numpy()[place[both]].T @ other.to_numpy()[both]
    return found


def _influence(flow: MemberFlows) -> Floats:
    """Each member's influence on the campaign's net margin by month (see `money.net_influence`)."""
    treated, (first, second) = flow.treated, flow.arms().arms
    n_treated = int(treated.sum())
    found = np.empty_like(flow.margin)
    found[treated] = n_treated * influence(flow.margin[treated] - own_costs(flow), first)
    found[~treated] = -n_treated * influence(flow.margin[~treated], second)
    return found


def alongside(scope: Scope, evaluation: Evaluation) -> tuple[Alongside, ...]:
    """Satisfaction, sales cycle and productivity in the year before the first campaign and in the latest year.

    Empty without a campaign. Much else changed in between: nothing here is an effect of the programmes.
    """
    results = evaluation.earlier + evaluation.closed
    if not results:
        return ()
    begun = min(result.starts_on for result in results)
    before = add_months(begun, -12), begun - timedelta(days=1)
    after = max(add_months(scope.as_of, -12) + timedelta(days=1), begun), scope.as_of
    return (
        _satisfaction(scope, before, after),
        _sales_cycle(scope, before, (after[0] - timedelta(days=CYCLE_DAYS), after[1] - timedelta(days=CYCLE_DAYS))),
        _productivity(scope, before, after),
    )


def _compared(measure: str, days: pd.Series, values: pd.Series, *spans: tuple[date, date], fewest: int) -> Alongside:
    """The later span against the earlier one."""
    when = pd.to_datetime(days)
    earlier, later = (values[when.between(pd.Timestamp(first), pd.Timestamp(last))] for first, last in spans)
    if min(len(earlier), len(later)) < fewest:
        return Alongside(measure, None, "few")
    return Alongside(measure, welch(later, earlier), "")


def _satisfaction(scope: Scope, *spans: tuple[date, date]) -> Alongside:
    if not scope.has("survey_responses"):
        return Alongside("satisfaction", None, "survey_responses")
    answers = with_columns(scope.table("survey_responses"), {"respondent_kind": "string"})
    answers = answers.filter(answers.respondent_kind.isnull() | (answers.respondent_kind == "customer"))
    codes = scope.profile.survey.satisfaction.codes
    answers = answers.filter(answers.satisfaction.notnull())
    frame = answers.select(on=answers.answered_on.cast("date"), value=answers.satisfaction.cast("float64")).execute()
    frame = frame[~frame["value"].isin(codes)]
    return _compared("satisfaction", frame["on"], frame["value"], *spans, fewest=FEWEST)


def _sales_cycle(scope: Scope, *spans: tuple[date, date]) -> Alongside:
    if not scope.has("prospects") or "converted_customer_id" not in scope.columns("prospects"):
        return Alongside("sales_cycle", None, "prospects")
    prospects = scope.table("prospects")
    won = prospects.filter(prospects.converted_customer_id.notnull())
    rows = scope.table("transactions")
    first = rows.filter(rows.kind != "refund").group_by("customer_id")
    bought = first.aggregate(bought_on=lambda t: t.occurred_at.cast("date").min())
    won = won.select("prospect_id", seen_on=won.first_seen_on.cast("date"), customer_id=won.converted_customer_id)
    frame = won.join(bought, "customer_id").select("prospect_id", "seen_on", "bought_on").execute()
    took = (pd.to_datetime(frame["bought_on"]) - pd.to_datetime(frame["seen_on"])).dt.days
    within = took.between(0, CYCLE_DAYS)
    return _compared("sales_cycle", frame["seen_on"][within], took[within].astype(float), *spans, fewest=FEWEST)


def _productivity(scope: Scope, *spans: tuple[date, date]) -> Alongside:
    if not scope.has("costs"):
        return Alongside("productivity", None, "costs")
    costs = scope.table("costs")
    staff = costs.filter((costs.category == "staff") & (costs.amount > 0))
    if scope.branch != "all":
        staff = staff.filter(~staff.shared)
    rows = scope.table("transactions")
    paid = rows.filter(rows.kind != "refund")
    spent = _monthly(staff.select(on=staff.incurred_on.cast("date"), amount=staff.amount))
    earned = _monthly(paid.select(on=paid.occurred_at.cast("date"), amount=paid.amount))
    both = pd.concat([earned.rename("paid"), spent.rename("staff")], axis=1, join="inner")
    both = both[both["staff"] > 0].sort_index()
    if both.empty:
        return Alongside("productivity", None, "costs")
    ratio = (both["paid"] / both["staff"]).reset_index(drop=True)
    return _compared("productivity", pd.Series(both.index), ratio, *spans, fewest=FEWEST_MONTHS)


def _monthly(rows: ibis.Table) -> pd.Series:
    by_month = rows.group_by(month=rows.on.truncate("M")).aggregate(total=rows.amount.sum().cast("float64"))
    frame = by_month.order_by("month").execute()
    return pd.Series(frame["total"].to_numpy(), index=pd.to_datetime(frame["month"]))
