"""The chapter's figures, drawn from finished frames: one module per topic."""

from crm_analysis.satisfaction_loyalty.charts.drivers import drivers, penalty_reward, performance, quadrants
from crm_analysis.satisfaction_loyalty.charts.link import link_curve, smooth_link
from crm_analysis.satisfaction_loyalty.charts.scores import (
    answered_again,
    distribution,
    promoters,
    service_gaps,
    spread,
    waves,
)
from crm_analysis.satisfaction_loyalty.charts.types import type_map

__all__ = [
    "answered_again",
    "distribution",
    "drivers",
    "link_curve",
    "penalty_reward",
    "performance",
    "promoters",
    "quadrants",
    "service_gaps",
    "smooth_link",
    "spread",
    "type_map",
    "waves",
]
