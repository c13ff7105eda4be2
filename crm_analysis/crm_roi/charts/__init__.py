"""The chapter's figures, drawn from finished frames: one module per topic. None where there is nothing to draw."""

from crm_analysis.crm_roi.charts import unrandomised
from crm_analysis.crm_roi.charts.overview import plan_bars, portfolio, recovery, regression, waterfall
from crm_analysis.crm_roi.charts.together import ranking

__all__ = ["plan_bars", "portfolio", "ranking", "recovery", "regression", "unrandomised", "waterfall"]
