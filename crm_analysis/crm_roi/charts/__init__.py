"""The chapter's figures, drawn from finished frames: one module per topic. None where there is nothing to draw."""

from crm_analysis.crm_roi.charts.money import cash_curves, programme_curve, tornado
from crm_analysis.crm_roi.charts.overview import plan_bars, portfolio, recovery, regression, waterfall
from crm_analysis.crm_roi.charts.together import ranking

__all__ = [
    "cash_curves",
    "plan_bars",
    "portfolio",
    "programme_curve",
    "ranking",
    "recovery",
    "regression",
    "tornado",
    "waterfall",
]
