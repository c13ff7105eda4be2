"""The measured campaigns of a period together, clustered by customer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis.crm_roi.effects import treated_costs
from crm_analysis.crm_roi.ledger import Ledger
from crm_analysis.crm_roi.money import net_influence
from crm_analysis.crm_roi.results import CampaignResult, Portfolio

__all__ = ["add_up"]


def add_up(closed: Sequence[CampaignResult], ledger: Ledger, branch: str) -> Portfolio | None:
    """Sum of the measured campaigns; the variance of the net adds each customer's influence over campaigns first."""
    measured = [result for result in closed if result.roi is not None]
    if not measured:
        return None
    parts, margin_parts = [], []
    revenue = margin = cost = net = 0.0
    for result in measured:
        assert result.roi is not None and result.cost is not None
        units = result.gate.units
        treated, control = units[units["arm"] == "treated"], units[units["arm"] == "control"]
        own, _ = treated_costs(treated, result.cost)
        for frame, influence in zip(
            (treated, control), net_influence(treated["margin"], control["margin"], own), strict=True
        ):
            parts.append(pd.Series(influence, index=frame["customer_id"].to_numpy()))
        gross = net_influence(treated["margin"], control["margin"], np.zeros(len(treated)))
        for frame, influence in zip((treated, control), gross, strict=True):
            margin_parts.append(pd.Series(influence, index=frame["customer_id"].to_numpy()))
        gained = result.effect("revenue")
        revenue += gained.plain.difference * len(treated) if gained else 0.0
        margin += result.roi.incremental_margin
        cost += result.roi.cost
        net += result.roi.net
    stacked = pd.concat(parts)
    per_customer = stacked.groupby(level=0).sum()
    reach = _reach(per_customer)
    margin_reach = _reach(pd.concat(margin_parts).groupby(level=0).sum())
    return Portfolio(
        n_campaigns=len(measured),
        n_members=len(per_customer),
        n_overlapping=int((stacked.groupby(level=0).size() > 1).sum()),
        incremental_revenue=revenue,
        incremental_margin=margin,
        margin_low=margin - margin_reach,
        margin_high=margin + margin_reach,
        cost=cost,
        net=net,
        low=net - reach,
        high=net + reach,
        shared=ledger.shared_total if branch == "all" else 0.0,
    )


def _reach(influence: pd.Series) -> float:
    return float(stats.norm.ppf(0.975)) * math.sqrt(float((influence**2).sum()))
