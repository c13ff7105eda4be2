"""What can be said of a campaign without control: nothing causal, but what would settle it next time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import privacy
from crm_analysis.crm_roi.effects import withheld
from crm_analysis.crm_roi.ledger import CampaignCost
from crm_analysis.crm_roi.planning import MOST_USEFUL_ROI, plan_test, spread_in_window
from crm_analysis.crm_roi.results import CampaignResult, Uncontrolled
from crm_analysis.estimators.designs import smallest_detectable_difference

if TYPE_CHECKING:
    from crm_analysis.profile import Profile

__all__ = ["describe", "with_range"]


def describe(treated: pd.DataFrame, cost: CampaignCost | None, *, window_days: int, profile: Profile) -> Uncontrolled:
    """What is known of the members of a campaign without control, none of it an effect."""
    margin = treated["margin"].to_numpy(float)
    n = margin.size
    before = float(treated["margin_before"].mean()) * (window_days + 1) / profile.roi.balance_history_days
    per_treated = None if cost is None or n == 0 else (cost.charged + float(treated["discount"].sum())) / n
    mean = float(margin.mean()) if n else 0.0
    held, detectable = None, None
    if withheld(treated["margin"], profile):  # what a test would show tells how far the amounts vary
        mean = math.nan
    else:
        held, detectable = _holdout(treated, cost, per_treated, min_control=profile.roi.min_control)
    if withheld(treated["margin_before"], profile):
        before = math.nan
    return Uncontrolled(
        cost_per_treated=per_treated,
        margin_in_window=mean,
        margin_before=before,
        break_even_lift=per_treated / (mean - per_treated) if per_treated and mean > per_treated else None,
        own_lift_low=None,
        own_lift_high=None,
        n_own=0,
        holdout_share=held,
        n_holdout=round((held or 0.0) * n),
        detectable_roi=detectable,
        detectable_active=None
        if privacy.small(int((treated["n_orders"] > 0).sum()), profile.privacy.min_cell)
        else _detectable_active(treated, min_control=profile.roi.min_control),
    )


def _holdout(
    treated: pd.DataFrame, cost: CampaignCost | None, per_treated: float | None, *, min_control: int
) -> tuple[float | None, float | None]:
    """Smallest share to hold out next time that shows a return of 100 %, and the smallest return it shows.

    Half where none does, and no share where half would only show a return above `MOST_USEFUL_ROI`; neither where the
    cost is not known, the list is too short or margins did not vary. It is the plan that `planning.next_test` makes of
    the same list.
    """
    n = len(treated)
    spread = spread_in_window(treated, cost, window_days=0).standard_deviation
    if not per_treated or n < 2 * min_control or not spread > 0:
        return None, None
    plan = plan_test(n, standard_deviation=spread, contact_cost=per_treated, min_control=min_control)
    return plan.holdout_share if plan.detectable_roi <= MOST_USEFUL_ROI else None, plan.detectable_roi


def _detectable_active(treated: pd.DataFrame, *, min_control: int) -> float | None:
    """Smallest difference in the share who pay at all that shows when half of the list is held out."""
    half = len(treated) // 2
    if half < min_control:
        return None
    share = float(np.clip((treated["n_orders"] > 0).mean(), 0.05, 0.95))
    return smallest_detectable_difference(half, half, standard_deviation=math.sqrt(share * (1 - share)))


def with_range(result: CampaignResult, own: Sequence[CampaignResult]) -> CampaignResult:
    """An uncontrolled campaign with the lifts that the organisation's controlled campaigns reached."""
    if result.uncontrolled is None:
        return result
    lifts = []
    for other in own:
        effect = other.effect("margin")
        if effect is not None and effect.plain.mean_control > 0:
            lifts.append(effect.plain.difference / effect.plain.mean_control)
    if not lifts:
        return result
    known = replace(result.uncontrolled, own_lift_low=min(lifts), own_lift_high=max(lifts), n_own=len(lifts))
    return replace(result, uncontrolled=known)
