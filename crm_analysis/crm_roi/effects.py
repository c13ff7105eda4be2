"""Effects, return and derived numbers of a campaign whose gate is passed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.comparison import Comparison
from crm_analysis.crm_roi.gate import Gate
from crm_analysis.crm_roi.ledger import CampaignCost
from crm_analysis.crm_roi.money import RoiEstimate, estimate_roi
from crm_analysis.crm_roi.results import CampaignResult, Effect
from crm_analysis.estimators.arms import ComplierEffect, complier_effect
from crm_analysis.estimators.means import MeanDifference, cuped_outcomes, lin_adjusted
from crm_analysis.estimators.multiplicity import benjamini_hochberg, holm
from crm_analysis.estimators.ratios import delta_ratio_difference

if TYPE_CHECKING:
    from crm_analysis.profile import Profile

__all__ = [
    "MANY_TESTS",
    "correct",
    "measure",
    "member_weights",
    "net_of_behaviour",
    "reached",
    "treated_costs",
    "withheld",
]

MANY_TESTS = 20
"""Beyond this many outcomes at once the false discovery rate is held instead of the family-wise error rate."""
_POWER_REACH = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))


def measure(
    gate: Gate,
    cost: CampaignCost | None,
    *,
    n_everywhere: int,
    contact: float | None,
    campaign_id: str,
    profile: Profile,
) -> dict[str, Any]:
    """Effects, return and derived numbers of a campaign whose gate is passed."""
    units = gate.units
    if not units["n_orders"].any():
        return {"state": "no_outcomes"}
    arms = gate.comparison()
    if any(withheld(frame[name], profile) for frame in (arms.treated, arms.control) for name in ("margin", "revenue")):
        return {"state": "withheld"}
    within = gate.comparison_by_stratum()
    effects = [
        _effect(arms, within, "margin", "margin_before"),
        _effect(arms, within, "revenue", "revenue_before"),
        _effect(arms, within, "n_orders"),
        _effect(arms, within, "active"),
        *(found for name, top in (("order_value", "revenue"), ("order_margin", "margin"))
          if (found := _per_order(arms, name, top))),
        *([found] if (found := _satisfaction(gate, profile)) else []),
    ]  # fmt: skip
    details: dict[str, Any] = {"state": "measured", "effects": tuple(effects), "reached": _reached(arms)}
    cap = None
    if profile.roi.cap_quantile is not None:
        cap = float(np.quantile(np.concatenate(arms.values("margin")), profile.roi.cap_quantile))
        treated, control = arms.values("margin")
        details["capped"] = arms.difference(np.minimum(treated, cap), np.minimum(control, cap), basis="capped")
    if cost is None:
        return details | {"state": "no_cost"}
    common: dict[str, Any] = {"cost": cost, "salt": campaign_id}
    common["contact"] = cost.per_contact / n_everywhere if cost.per_contact and n_everywhere else contact
    roi = _return(arms, **common)
    if roi is None:
        return details | {"state": "no_cost"}
    details["capped_roi"] = None if cap is None else _return(arms, **common, cap=cap)
    details["stratified"] = None if within is None else _return(within, **common)
    extra_orders = effects[2].plain.difference * len(arms.treated)
    details |= {"roi": roi, "cost_per_extra_order": roi.cost / extra_orders if extra_orders > 0 else None}
    if roi.verdict == "unknown" and roi.net != 0:
        details["n_to_settle"] = math.ceil((_POWER_REACH * roi.net_error / roi.net) ** 2 * len(units))
    return details


def correct(results: Sequence[CampaignResult]) -> list[CampaignResult]:
    """Campaigns that shared a control group, their p-values adjusted over all their outcomes together."""
    p_values = [effect.plain.p_value for result in results for effect in result.effects]
    tests = [math.nan if p is None else p for p in p_values]
    n_tests = sum(p is not None for p in p_values)
    adjusted = iter(holm(tests) if n_tests <= MANY_TESTS else benjamini_hochberg(tests))
    corrected = []
    for result in results:
        effects = tuple(
            replace(effect, adjusted_p=None if math.isnan(p) else float(p))
            for effect, p in zip(result.effects, adjusted, strict=False)
        )
        others = tuple(other.campaign_id for other in results if other is not result)
        manner = "" if n_tests == 0 else "Holm" if n_tests <= MANY_TESTS else "Benjamini-Hochberg"
        corrected.append(replace(result, effects=effects, shares_control=others, correction=manner, n_tests=n_tests))
    return corrected


def withheld(amounts: pd.Series, profile: Profile) -> bool:
    """Whether what members paid may not be shown: too few of them paid, or one nearly all."""
    return privacy.withhold(amounts, profile.privacy.min_cell, profile.privacy.dominance_share)


def treated_costs(treated: pd.DataFrame, cost: CampaignCost) -> tuple[np.ndarray, float]:
    """Cost by each treated member's own behaviour, and the rest of the cost charged to these members."""
    own = treated["discount"].to_numpy(float).copy()
    orders = treated["n_orders"].to_numpy(float)
    fixed = cost.charged - cost.charged_by_orders
    if orders.sum() > 0:
        own += cost.charged_by_orders * orders / orders.sum()
    else:
        fixed += cost.charged_by_orders
    return own, fixed


def net_of_behaviour(units: pd.DataFrame, cost: CampaignCost | None) -> np.ndarray:
    """Margin less what each treated member's own behaviour cost: discounts taken, orders handled."""
    net = units["margin"].to_numpy(float).copy()
    treated = (units["arm"] == "treated").to_numpy()
    if cost is not None:
        net[treated] -= treated_costs(units[treated], cost)[0]
    return net


def _return(
    arms: Comparison, *, cost: CampaignCost, contact: float | None, salt: str, cap: float | None = None
) -> RoiEstimate | None:
    own, fixed = treated_costs(arms.treated, cost)
    treated, control = (of if cap is None else np.minimum(of, cap) for of in arms.values("margin"))
    return estimate_roi(
        treated,
        control,
        fixed_cost=fixed,
        treated_cost=own,
        contact_cost=contact,
        treated=arms.arms[0],
        control=arms.arms[1],
        salt=salt,
    )


def _outcome(arms: Comparison, metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric != "active":
        return arms.values(metric)
    treated, control = ((of > 0).astype(float) for of in arms.values("n_orders"))
    return treated, control


def _effect(arms: Comparison, within: Comparison | None, metric: str, before: str | None = None) -> Effect:
    outcome = _outcome(arms, metric)
    plain = arms.difference(*outcome)
    stratified = None if within is None else within.difference(*_outcome(within, metric))
    if before is None:
        return Effect(metric, plain, stratified=stratified)
    treated_before, control_before = arms.values(before)
    shorn = cuped_outcomes(*outcome, treated_before=treated_before, control_before=control_before)
    adjusted = arms.difference(*shorn, "CUPED")
    lin = None
    if arms.arms[0].stratum is None:  # a slope of its own in each arm adjusts for no stratum
        treated, control = arms.arms
        lin = lin_adjusted(
            *outcome,
            treated_before=treated_before,
            control_before=control_before,
            treated_unit=treated.unit,
            control_unit=control.unit,
        )
    return Effect(metric, plain, adjusted, lin, stratified)


def _per_order(arms: Comparison, metric: str, amount: str) -> Effect | None:
    """Amount over days with a payment, both summed over the arm: a ratio of means, by the delta method."""
    weights = [member_weights(arm.stratum, arm.share, arm.n) for arm in arms.arms]
    (top_t, top_c), (orders_t, orders_c) = arms.values(amount), arms.values("n_orders")
    if not orders_t.any() or not orders_c.any():
        return None
    found = delta_ratio_difference(
        treated_numerator=weights[0] * top_t,
        treated_denominator=weights[0] * orders_t,
        control_numerator=weights[1] * top_c,
        control_denominator=weights[1] * orders_c,
        treated_unit=arms.arms[0].unit,
        control_unit=arms.arms[1].unit,
    )
    plain = MeanDifference(
        arms.arms[0].n,
        arms.arms[1].n,
        found.treated.ratio,
        found.control.ratio,
        found.difference,
        found.standard_error,
        None,
        found.low,
        found.high,
        found.p_value,
        found.treated.confidence,
        f"delta method {found.treated.confidence:.0%}",
    )
    return Effect(metric, plain)


def member_weights(stratum: np.ndarray | None, share: tuple[float, ...], n: int) -> np.ndarray:
    """Weight of each member, 1 on average, with which the arm has the strata's shares."""
    if stratum is None:
        return np.ones(n)
    counts = np.bincount(stratum, minlength=len(share))
    found: np.ndarray = (n * np.asarray(share) / np.maximum(counts, 1))[stratum]
    return found


def _satisfaction(gate: Gate, profile: Profile) -> Effect | None:
    """Mean score of those who answered in their window; None where too few did in either arm."""
    answered = replace(gate, units=gate.units[gate.units["satisfaction"].notna()])
    counts = [int((answered.units["arm"] == arm).sum()) for arm in ("treated", "control")]
    if min(counts) < profile.roi.min_control:
        return None
    arms = replace(answered, by_stratum=False).comparison()
    return Effect("satisfaction", arms.difference(*arms.values("satisfaction")), answered=(counts[0], counts[1]))


def reached(*frames: pd.DataFrame) -> list[pd.Series]:
    """Per member, whether the campaign reached it: delivered_on or, where no delivery at all is recorded, contacted_on.

    `frames` are the arms of one campaign.
    """
    recorded = any(frame["delivered_on"].notna().any() for frame in frames)
    return [frame["delivered_on" if recorded else "contacted_on"].notna() for frame in frames]


def _reached(arms: Comparison) -> ComplierEffect | None:
    """Effect on the margin of those reached, where it is recorded and was partial."""
    delivered = [of.to_numpy() for of in reached(arms.treated, arms.control)]
    if not delivered[0].any() or (delivered[0].all() and not delivered[1].any()):
        return None
    return complier_effect(
        *arms.values("margin"),
        treated_reached=delivered[0],
        control_reached=delivered[1],
        treated=arms.arms[0],
        control=arms.arms[1],
    )
