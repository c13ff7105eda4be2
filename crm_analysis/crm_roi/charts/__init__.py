"""The chapter's figures, drawn from finished frames: one module per topic. None where there is nothing to draw."""

from crm_analysis.crm_roi.charts import comparisons
from crm_analysis.crm_roi.charts.overview import plan_bars, portfolio, recovery, regression, waterfall

__all__ = ["comparisons", "plan_bars", "portfolio", "recovery", "regression", "waterfall"]
