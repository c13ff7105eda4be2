"""What can be said of a campaign without control: nothing causal, but what would settle it next time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis.crm_roi.effects import withheld
from crm_analysis.crm_roi.ledger import CampaignCost
from crm_analysis.crm_roi.results import CampaignResult, Uncontrolled
from crm_analysis.estimators.designs import smallest_detectable_difference

if TYPE_CHECKING:
    from crm_analysis.profile import Profile

__all__ = ["describe", "with_range"]

HOLDOUT_SHARES = (0.1, 0.2, 0.3, 0.5)
ENOUGH_ROI, MOST_USEFUL_ROI = 1.0, 3.0


def describe(treated: pd.DataFrame, cost: CampaignCost | None, *, window_days: int, profile: Profile) -> Uncontrolled:
    """What is known of the members of a campaign without control, none of it an effect."""
    margin = treated["margin"].to_numpy(float)
    n = margin.size
    before = float(treated["margin_before"].mean()) * (window_days + 1) / profile.roi.balance_history_days
    per_treated = None if cost is None or n == 0 else (cost.charged + float(treated["discount"].sum())) / n
    held, detectable = _holdout(treated, per_treated, min_control=profile.roi.min_control)
    mean = float(margin.mean()) if n else 0.0
    if withheld(treated["margin"], profile):
        mean = math.nan
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
        detectable_active=_detectable_active(treated, min_control=profile.roi.min_control),
    )


def _holdout(
    treated: pd.DataFrame, per_treated: float | None, *, min_control: int
) -> tuple[float | None, float | None]:
    """Smallest share to hold out next time that shows a return of 100 %, and the smallest return it shows."""
    n = len(treated)
    if not per_treated or n < 2 * min_control:
        return None, None
    margin, before = treated["margin"].to_numpy(float), treated["margin_before"].to_numpy(float)
    explained = float(np.corrcoef(margin, before)[0, 1]) ** 2 if margin.std() > 0 and before.std() > 0 else 0.0
    spread = float(margin.std(ddof=1)) * math.sqrt(1 - explained)
    seen = None
    for share in HOLDOUT_SHARES:
        n_held = round(share * n)
        if n_held < min_control:
            continue
        seen = smallest_detectable_difference(n - n_held, n_held, standard_deviation=spread) / per_treated
        if seen <= ENOUGH_ROI:
            return share, seen
    if seen is not None and seen <= MOST_USEFUL_ROI:
        return HOLDOUT_SHARES[-1], seen
    return None, seen


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
