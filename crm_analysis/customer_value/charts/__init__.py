"""The chapter's figures, drawn from finished frames: one module per topic."""

from crm_analysis.customer_value.charts.bridge import waterfall
from crm_analysis.customer_value.charts.overview import foreseen, profit_curve, segment_map

__all__ = ["waterfall", "foreseen", "profit_curve", "segment_map"]
