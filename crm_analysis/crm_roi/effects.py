"""Effects, return and derived numbers of a campaign whose gate is passed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.ledger import CampaignCost
from crm_analysis.crm_roi.money import estimate_roi
from crm_analysis.crm_roi.results import Effect
from crm_analysis.estimators.means import cuped, lin_adjusted, welch

if TYPE_CHECKING:
    from crm_analysis.profile import Profile

__all__ = ["measure", "treated_costs", "withheld"]

_POWER_REACH = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))


def measure(
    treated: pd.DataFrame,
    control: pd.DataFrame,
    cost: CampaignCost | None,
    *,
    n_everywhere: int,
    contact: float | None,
    row: Any,
    profile: Profile,
) -> dict[str, Any]:
    """Effects, return and derived numbers of a campaign whose gate is passed."""
    if not (treated["n_orders"].any() or control["n_orders"].any()):
        return {"state": "no_outcomes"}
    if any(withheld(arm[name], profile) for arm in (treated, control) for name in ("margin", "revenue")):
        return {"state": "withheld"}
    effects = [
        _effect(treated, control, "margin", "margin_before"),
        _effect(treated, control, "revenue", "revenue_before"),
    ]
    effects.append(_effect(treated, control, "n_orders", None))
    bought = [frame.assign(active=(frame["n_orders"] > 0).astype(float)) for frame in (treated, control)]
    effects.append(_effect(bought[0], bought[1], "active", None))
    details: dict[str, Any] = {"state": "measured", "effects": tuple(effects)}
    if profile.roi.cap_quantile is not None:
        cap = float(np.quantile(np.concatenate([treated["margin"], control["margin"]]), profile.roi.cap_quantile))
        details["capped"] = welch(treated["margin"].clip(upper=cap), control["margin"].clip(upper=cap))
    if cost is None:
        return details | {"state": "no_cost"}
    own, fixed = treated_costs(treated, cost)
    per_contact = cost.per_contact / n_everywhere if cost.per_contact and n_everywhere else contact
    roi = estimate_roi(
        treated["margin"],
        control["margin"],
        fixed_cost=fixed,
        treated_cost=own,
        contact_cost=per_contact,
        salt=row.campaign_id,
    )
    if roi is None:
        return details | {"state": "no_cost"}
    extra_orders = effects[2].plain.difference * len(treated)
    details |= {"roi": roi, "cost_per_extra_order": roi.cost / extra_orders if extra_orders > 0 else None}
    if roi.verdict == "unknown" and roi.net != 0:
        details["n_to_settle"] = math.ceil(
            (_POWER_REACH * roi.net_error / roi.net) ** 2 * (len(treated) + len(control))
        )
    return details


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


def _effect(treated: pd.DataFrame, control: pd.DataFrame, metric: str, before: str | None) -> Effect:
    outcome = treated[metric].to_numpy(float), control[metric].to_numpy(float)
    plain = welch(*outcome)
    if before is None:
        return Effect(metric, plain)
    past = {"treated_before": treated[before].to_numpy(float), "control_before": control[before].to_numpy(float)}
    return Effect(metric, plain, cuped(*outcome, **past), lin_adjusted(*outcome, **past))
