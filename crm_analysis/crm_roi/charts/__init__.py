"""The chapter's figures, drawn from finished frames: one module per topic. None where there is nothing to draw."""

from crm_analysis.crm_roi.charts.overview import plan_bars, portfolio, recovery, regression, waterfall
from crm_analysis.crm_roi.charts.planning import power_curves
from crm_analysis.crm_roi.charts.replay import false_alarms
from crm_analysis.crm_roi.charts.together import ranking

__all__ = [
    "false_alarms",
    "plan_bars",
    "portfolio",
    "power_curves",
    "ranking",
    "recovery",
    "regression",
    "waterfall",
]
