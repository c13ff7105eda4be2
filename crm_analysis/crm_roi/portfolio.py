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
from crm_analysis.estimators.ratios import fieller

__all__ = ["add_up", "drawn_together"]

_Z = float(stats.norm.ppf(0.975))


def add_up(closed: Sequence[CampaignResult], ledger: Ledger, branch: str) -> Portfolio | None:
    """Sum of the measured campaigns; the variance adds each customer's influence over campaigns before squaring.

    Where a campaign drew households or branches, everybody in them counts as one, in every campaign.
    """
    measured = [result for result in closed if result.roi is not None]
    if not measured:
        return None
    together = drawn_together(measured)
    rows = []
    revenue = margin = cost = net = 0.0
    for result in measured:
        assert result.roi is not None and result.cost is not None
        arms = result.gate.comparison()
        treated, control = arms.arms
        own, _fixed = treated_costs(arms.treated, result.cost)
        margins = arms.values("margin")
        nets = net_influence(*margins, own, treated=treated, control=control)
        gross = net_influence(*margins, np.zeros(len(own)), treated=treated, control=control)
        for frame, of_net, of_margin in zip((arms.treated, arms.control), nets, gross, strict=True):
            rows.append(
                pd.DataFrame({"customer_id": frame["customer_id"].to_numpy(), "net": of_net, "margin": of_margin})
            )
        paid, granted = arms.values("revenue"), arms.values("discount")
        revenue += arms.difference(paid[0] + granted[0], paid[1] + granted[1]).difference * len(arms.treated)
        margin += result.roi.incremental_margin
        cost += result.roi.cost
        net += result.roi.net
    every = pd.concat(rows, ignore_index=True)
    sizes = every.groupby("customer_id").size()
    drawn = every["customer_id"] if together is None else every["customer_id"].map(together)
    sums = every.groupby(drawn)[["net", "margin"]].sum().assign(cost=lambda s: s["margin"] - s["net"]).to_numpy(float)
    spread = sums.T @ sums
    return_ = fieller(
        margin,
        cost,
        variance_numerator=float(spread[1, 1]),
        variance_denominator=float(spread[2, 2]),
        covariance=float(spread[1, 2]),
    )
    return Portfolio(
        n_campaigns=len(measured),
        n_members=len(sizes),
        n_overlapping=int((sizes > 1).sum()),
        incremental_revenue=revenue,
        incremental_margin=margin,
        margin_low=margin - _Z * math.sqrt(spread[1, 1]),
        margin_high=margin + _Z * math.sqrt(spread[1, 1]),
        cost=cost,
        net=net,
        low=net - _Z * math.sqrt(spread[0, 0]),
        high=net + _Z * math.sqrt(spread[0, 0]),
        roi=net / cost,
        roi_low=None if return_.low is None else return_.low - 1,
        roi_high=None if return_.high is None else return_.high - 1,
        shared=ledger.shared_total if branch == "all" else 0.0,
    )


def drawn_together(measured: Sequence[CampaignResult]) -> pd.Series | None:
    """The group of each customer when some campaign drew groups: households, or branches where those were drawn."""
    kinds = {result.drawn_by for result in measured} - {"customer"}
    if not kinds:
        return None
    column = "branch" if "branch" in kinds else "household_id"
    every = pd.concat([result.gate.units[["customer_id", column]] for result in measured]).drop_duplicates(
        "customer_id"
    )
    groups = every.set_index("customer_id")[column]
    found: pd.Series = groups.where(groups.notna() & (groups != ""), groups.index.to_series())
    return found
