"""The chapter's figures, drawn from finished frames: one module per topic."""

from crm_analysis.satisfaction_loyalty.charts.drivers import drivers, penalty_reward, quadrants
from crm_analysis.satisfaction_loyalty.charts.link import link_curve, smooth_link
from crm_analysis.satisfaction_loyalty.charts.scores import distribution, item_spread, promoters, service_gaps, waves
from crm_analysis.satisfaction_loyalty.charts.types import type_map

__all__ = [
    "distribution",
    "drivers",
    "item_spread",
    "link_curve",
    "penalty_reward",
    "promoters",
    "quadrants",
    "service_gaps",
    "smooth_link",
    "type_map",
    "waves",
]
