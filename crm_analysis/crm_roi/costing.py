"""Where a campaign's money went: every cost line once, what discounts went to buyers anyway, and break-even points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crm_analysis.crm_roi.amounts import Amount, PerUnit, cost_per_unit, total
from crm_analysis.crm_roi.effects import treated_costs
from crm_analysis.crm_roi.flows import MemberFlows, split
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.customers import GONE
from crm_analysis.estimators.arms import Arm, arm_mean
from crm_analysis.estimators.ratios import fieller

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Costing", "cost_in_depth", "made_anyway", "own_costs", "rests_on_rate"]

Floats = NDArray[np.float64]
KINDS = ("contact", "fulfilment", "reward", "software", "integration", "data", "staff", "training", "service", "fixed")
"""What a cost line is, tried in this order: by its driver (contact, order), else by its category."""


@dataclass(frozen=True, slots=True)
class Costing:
    """The cost of one measured campaign in depth; money in the profile's currency, for the treated members compared.

    `lines` has each kind of cost once: kind, planned (empty without a plan), actual, charged. `shared` is the part of
    the programme-wide costs of the period that falls to the campaign by its share of the treated members; None on a
    branch's page and for earlier periods. `discount` is the discount the treated took beyond what the control took at
    the same rate, `subsidy` what of it went to purchases that would have been made anyway: as many as the control made
    of the same goods. Both are None where the treated took none. `holdout` is the net margin that the held-out members
    would have brought had they been treated too, at the cost of one more member; negative where holding out saved it.
    `kept` are customers who are neither dormant nor lost at the scope's end.
    """

    key: str
    name: str
    lines: pd.DataFrame
    shared: float | None
    net: Amount
    discount: Amount | None
    subsidy: Amount | None
    holdout: Amount
    per_order: PerUnit
    per_kept: PerUnit | None
    break_even_contact: Amount | None
    break_even_margin: Amount
    break_even_rate: Amount | None
    margin_gained: Amount
    break_even_lift: Amount | None
    lift: Amount | None


def cost_in_depth(
    flows: Sequence[MemberFlows], evaluation: Evaluation, scope: Scope, *, status: pd.DataFrame | None
) -> tuple[Costing, ...]:
    """`Costing` of the period's measured campaigns. `status` (customer_id, status) at the scope's end says who stayed.

    Assumes randomised arms, and for the subsidy that a discount is spread alike over the purchases it was taken on.
    """
    wanted = {result.campaign_id for result in evaluation.closed}
    mine = [flow for flow in flows if flow.result.campaign_id in wanted]
    treated = sum(int(flow.treated.sum()) for flow in mine)
    shared = evaluation.ledger.shared_total if evaluation.ledger and evaluation.branch == "all" else 0.0
    there = None if status is None else set(status.loc[~status["status"].isin(GONE), "customer_id"])
    rate = scope.profile.margin.rate if rests_on_rate(scope) else None
    return tuple(
        _costing(flow, shared=shared * int(flow.treated.sum()) / treated if shared else None, there=there, rate=rate)
        for flow in mine
    )


def own_costs(flow: MemberFlows) -> Floats:
    """What each treated member cost by behaviour of their own, month by month: discount charged and orders handled."""
    orders = flow.n_orders[flow.treated]
    own = flow.charged_discount[flow.treated].copy()
    assert flow.result.cost is not None
    if orders.sum() > 0:
        own += flow.result.cost.charged_by_orders * orders / orders.sum()
    return own


def rests_on_rate(scope: Scope) -> bool:
    """Whether margins come from the profile's rate, since no column tells them."""
    return not {"margin", "cost"} & scope.columns("transactions")


def _costing(flow: MemberFlows, *, shared: float | None, there: set[str] | None, rate: float | None) -> Costing:
    result = flow.result
    roi, cost = result.roi, result.cost
    assert roi is not None and cost is not None
    n_t, n_c = int(flow.treated.sum()), int((~flow.treated).sum())
    comparison = flow.arms()
    how: dict[str, Any] = {"arms": comparison.arms, "quantile": flow.quantile}
    own, fixed = treated_costs(comparison.treated, cost)
    margin_t, margin_c = comparison.values("margin")
    contact = float(cost.lines.loc[cost.lines["driver"] == "contact", "charged"].sum()) / n_t
    per_kept = None
    if there is not None:
        kept_t, kept_c = (
            frame["customer_id"].isin(there).to_numpy(float) for frame in (comparison.treated, comparison.control)
        )
        kept = np.concatenate([kept_t, kept_c])
        if kept.any() and not kept.all():
            per_kept = cost_per_unit(own, kept_t, kept_c, fixed_cost=fixed, **how)
    return Costing(
        key=result.key,
        name=result.name,
        lines=_by_kind(cost.lines, has_plan=cost.planned is not None),
        shared=shared,
        net=Amount(roi.net, roi.net_low, roi.net_high),
        **_discounts(flow),
        holdout=total(comparison.difference(margin_t - own - contact, margin_c), n_c),
        per_order=cost_per_unit(own, *comparison.values("n_orders"), fixed_cost=fixed, **how),
        per_kept=per_kept,
        break_even_contact=_shifted(
            Amount(roi.net / n_t, roi.net_low / n_t, roi.net_high / n_t), roi.break_even_contact_cost - roi.net / n_t
        )
        if roi.break_even_contact_cost is not None
        else None,
        break_even_margin=_shifted(total(comparison.difference(own, np.zeros(n_c)), 1.0), fixed / n_t),
        break_even_rate=_break_even_rate(cost_per_unit(own, margin_t, margin_c, fixed_cost=fixed, **how), rate),
        margin_gained=Amount(roi.margin_per_treated, roi.incremental_low / n_t, roi.incremental_high / n_t),
        break_even_lift=_over_control(own + fixed / n_t, margin_c, **how),
        lift=_lift(margin_t, margin_c, **how),
    )


def _shifted(amount: Amount, by: float) -> Amount:
    low, high = (None if end is None else end + by for end in (amount.low, amount.high))
    return Amount(amount.value + by, low, high)


def _by_kind(lines: pd.DataFrame, *, has_plan: bool) -> pd.DataFrame:
    """Each line in one kind; a line that nobody planned is in its kind with a plan of nothing."""
    by_driver = {"contact": "contact", "order": "fulfilment"}
    kind = lines["driver"].map(by_driver).fillna(lines["category"].replace({"campaign": "fixed"}))
    reward = lines["category"] == "reward"
    grouped = lines.assign(kind=np.where(reward, "reward", kind)).groupby("kind")
    found = grouped[["actual", "charged"]].sum()
    found["planned"] = grouped["planned"].sum() if has_plan else math.nan
    order = [name for name in KINDS if name in found.index]
    return found.loc[order, ["planned", "actual", "charged"]].reset_index()


def _discounts(flow: MemberFlows) -> dict[str, Amount | None]:
    """Discount beyond the control's, and the part of it that went to purchases that would have been made anyway."""
    nothing: dict[str, Amount | None] = {"discount": None, "subsidy": None}
    if "promoted" not in flow.in_window:
        return nothing
    granted_t, granted_c = split(flow.in_window["granted"].to_numpy(), flow.treated)
    arms = flow.arms()
    extra = arms.difference(granted_t, granted_c)
    if extra.low is None or extra.low <= 0:
        return nothing
    bought = split(flow.in_window["promoted"].to_numpy(), flow.treated)
    return {"discount": total(extra, granted_t.size), "subsidy": made_anyway(granted_t, *bought, arms=arms.arms)}


def made_anyway(
    granted_treated: ArrayLike,
    bought_treated: ArrayLike,
    bought_control: ArrayLike,
    *,
    arms: tuple[Arm, Arm] | None = None,
) -> Amount:
    """Discount that went to purchases that would have been made without it, over all treated members.

    Discounts times the control's purchases of the same goods over the treated's, all of them where the control bought
    as often; delta method. Assumes randomised arms and a discount that is spread alike over the purchases. `arms` say
    which members were drawn together and in which strata.
    """
    granted, got = np.asarray(granted_treated, dtype=float), np.asarray(bought_treated, dtype=float)
    without = np.asarray(bought_control, dtype=float)
    treated, control = arms or (Arm(granted.size), Arm(without.size))
    first, second = arm_mean(np.column_stack([granted, got]), treated), arm_mean(without, control)
    each, bought = float(first.mean[0]), float(first.mean[1])
    share = min(float(second.mean[0]) / bought, 1.0)
    spread, other = first.covariance, second.covariance
    if spread is None or other is None:
        return Amount(each * share * granted.size, None, None)
    slope = np.array([1.0, 0.0]) if share == 1 else share * np.array([1.0, -each / bought])
    variance = float(slope @ spread @ slope) + (0.0 if share == 1 else (each / bought) ** 2 * float(other[0, 0]))
    return Amount.around(each * share * granted.size, math.sqrt(variance) * granted.size)


def _break_even_rate(per_margin: PerUnit, rate: float | None) -> Amount | None:
    """The margin rate at which the net would be nothing: the rate times cost over gain."""
    if rate is None or per_margin.value is None:
        return None
    low, high = (None if end is None else end * rate for end in (per_margin.low, per_margin.high))
    return Amount(per_margin.value * rate, low, high)


def _lift(margin_t: Floats, margin_c: Floats, **how: Any) -> Amount | None:
    """Relative difference in margin; None where the control left nothing."""
    found = _over_control(margin_t, margin_c, **how)
    return None if found is None else _shifted(found, -1.0)


def _over_control(treated: Floats, margin_c: Floats, *, arms: tuple[Arm, Arm], quantile: float) -> Amount | None:
    """Mean of the treated over the control's mean margin, Fieller's interval; None where the control left nothing."""
    first, second = arm_mean(treated, arms[0]), arm_mean(margin_c, arms[1])
    spread, other = first.covariance, second.covariance
    if second.mean[0] <= 0 or spread is None or other is None:
        return None
    found = fieller(
        float(first.mean[0]),
        float(second.mean[0]),
        variance_numerator=float(spread[0, 0]),
        variance_denominator=float(other[0, 0]),
        quantile=quantile,
    )
    return Amount(found.ratio, found.low, found.high)
