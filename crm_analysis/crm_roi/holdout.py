"""The universal holdout: those left out of every campaign against everybody else, beside the sum of the campaigns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.crm_roi import outcomes, portfolio
from crm_analysis.crm_roi.effects import withheld
from crm_analysis.crm_roi.gate import Gate, pass_gate
from crm_analysis.crm_roi.results import CampaignResult, Evaluation, Portfolio
from crm_analysis.errors import DataError, listed, nearest
from crm_analysis.estimators.means import MeanDifference

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Holdout", "reconcile"]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Margin per customer of everybody else less that of those left out of every campaign, from `since` to `until`.

    `state` is measured, not_started, withheld, or why the gate does not let it be measured. `total` is the difference
    times everybody else (with its interval): what all campaigns together changed, those without control included.
    `summed` are the measured campaigns that began and closed in that time, `gap` the total less their margin, its
    interval as if both were independent. `n_treated_anyway` counts those left out who were treated all the same.
    """

    campaign_id: str
    state: str
    since: date | None = None
    until: date | None = None
    complete: bool = False
    gate: Gate | None = None
    n_everybody: int = 0
    n_held_out: int = 0
    n_treated_anyway: int = 0
    difference: MeanDifference | None = None
    total: float | None = None
    total_low: float | None = None
    total_high: float | None = None
    summed: tuple[CampaignResult, ...] = ()
    unmeasured: tuple[CampaignResult, ...] = ()
    sum_of_campaigns: Portfolio | None = None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None


def reconcile(scope: Scope, evaluation: Evaluation) -> Holdout | None:
    """The universal holdout named by the profile (`roi.universal_holdout`); None where it names none.

    Everybody else are the members of the list's treated arm, or, where it has none, all customers known before the day
    of assignment; they are compared from that day to the end of the list's window or of the period. Raises DataError
    when no campaign has the name. Assumes that the holdout was drawn at random from those it is compared with.
    """
    name = scope.profile.roi.universal_holdout
    if name is None or evaluation.without_tables:
        return None
    known = scope.tables.accepted("campaigns").select("campaign_id").distinct().execute()["campaign_id"].to_list()
    if name not in known:
        raise DataError(
            f'roi.universal_holdout of {scope.profile.id} names "{name}", which is no campaign in `campaigns`.'
            f"{nearest(name, known)} Campaigns: {listed(sorted(known))}."
        )
    listing = outcomes.campaigns(scope)
    row = listing[listing["campaign_id"] == name]
    members = scope.table("campaign_members")
    members = members.filter(members.campaign_id == name)
    span = members.aggregate(first=members.assigned_on.cast("date").min(), last=members.assigned_on.cast("date").max())
    days = span.execute().iloc[0]
    if row.empty or pd.isna(days["first"]) or pd.Timestamp(days["last"]).date() >= scope.period.end:
        return Holdout(name, "not_started")
    since, closes_on = pd.Timestamp(days["first"]).date(), row["closes_on"].iloc[0]
    until = min(closes_on, scope.period.end)
    units = _members(scope, name, members, since, days=(until - pd.Timestamp(days["last"]).date()).days)
    n_treated = int((units["arm"] == "treated").sum())
    listed_treated = int(members.filter(members.arm == "treated").count().execute())
    gate = pass_gate(
        units,
        min_control=scope.profile.roi.min_control,
        sample_ratio_alpha=scope.profile.roi.sample_ratio_alpha,
        planned_treated_share=_planned(scope, name) if listed_treated else n_treated / max(len(units), 1),
    )
    found = {"since": since, "until": until, "complete": closes_on <= scope.period.end, "gate": gate}
    if gate.state != "measured":
        return Holdout(name, gate.state, **found)
    arms = gate.comparison()
    if any(withheld(frame["margin"], scope.profile) for frame in (arms.treated, arms.control)):
        return Holdout(name, "withheld", **found)
    return _beside_the_sum(scope, evaluation, Holdout(name, "measured", **found))


def _planned(scope: Scope, name: str) -> float | None:
    held = scope.profile.roi.planned_control_share.get(name)
    return 1 - held if isinstance(held, float) else None


def _members(scope: Scope, name: str, members: ibis.Table, since: date, *, days: int) -> pd.DataFrame:
    """Outcomes of the list's members, and of everybody else where the list names only those held out."""
    columns = {"campaign_id": "string", "customer_id": "string", "arm": "string", "assigned_on": "date"}
    rows = members.select(**{column: members[column].cast(kind) for column, kind in columns.items()})
    if not int(members.filter(members.arm == "treated").count().execute()):
        people = scope.table("customers" if scope.has("customers") else "transactions")
        others = (
            people.filter(people.customer_id.notnull() & (people.customer_id != "")).select("customer_id").distinct()
        )
        others = others.anti_join(rows, "customer_id").select(
            campaign_id=ibis.literal(name),
            customer_id=others.customer_id.cast("string"),
            arm=ibis.literal("treated"),
            assigned_on=ibis.literal(since),
        )
        rows = ibis.union(rows, others)
    profile = scope.profile
    expression = outcomes.outcome_expression(
        members=rows,
        transactions=scope.table("transactions"),
        customers=scope.table("customers") if scope.has("customers") else None,
        window_days={name: days},
        history_days=profile.roi.balance_history_days,
        margin_rate=profile.margin.rate,
        list_prices=profile.margin.list_prices,
    )
    found = outcomes.member_outcomes(scope, expression).assign(overlapping=False)
    known = (found["arm"] == "control") | (found["first_on"] < pd.Timestamp(since))
    return found[known].reset_index(drop=True)


def _beside_the_sum(scope: Scope, evaluation: Evaluation, found: Holdout) -> Holdout:
    assert found.gate is not None and found.since is not None and found.until is not None
    arms = found.gate.comparison()
    gained = arms.difference(*arms.values("margin"))
    n = len(arms.treated)
    every = [
        r
        for r in (*evaluation.earlier, *evaluation.closed)
        if found.since <= r.starts_on and r.closes_on <= found.until
    ]
    summed = [result for result in every if result.roi is not None]
    total = None if evaluation.ledger is None else portfolio.add_up(summed, evaluation.ledger, evaluation.branch)
    gap = low = high = None
    if gained.standard_error is not None:
        margin = 0.0 if total is None else total.incremental_margin
        error = 0.0 if total is None else (total.margin_high - total.margin_low) / 2
        gap = n * gained.difference - margin
        reach = math.hypot(n * (gained.high or 0.0) - n * gained.difference, error)
        low, high = gap - reach, gap + reach
    return Holdout(
        found.campaign_id,
        found.state,
        since=found.since,
        until=found.until,
        complete=found.complete,
        gate=found.gate,
        n_everybody=n,
        n_held_out=len(arms.control),
        n_treated_anyway=_treated_anyway(scope, found),
        difference=gained,
        total=n * gained.difference,
        total_low=None if gained.low is None else n * gained.low,
        total_high=None if gained.high is None else n * gained.high,
        summed=tuple(summed),
        unmeasured=tuple(result for result in every if result.roi is None and result.n_treated),
        sum_of_campaigns=total,
        gap=gap,
        gap_low=low,
        gap_high=high,
    )


def _treated_anyway(scope: Scope, found: Holdout) -> int:
    """People left out who were nevertheless treated by some campaign meanwhile."""
    assert found.since is not None and found.until is not None
    members = scope.table("campaign_members")
    left_out = members.filter((members.campaign_id == found.campaign_id) & (members.arm == "control"))
    others = members.filter(
        (members.campaign_id != found.campaign_id)
        & (members.arm == "treated")
        & members.assigned_on.cast("date").between(found.since, found.until)
    )
    touched = left_out.select("customer_id").distinct().semi_join(others, "customer_id")
    return int(touched.count().execute())
