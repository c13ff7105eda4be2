"""The chapter's figures, drawn from finished frames: one module per topic."""

from crm_analysis.customer_value.charts.bridge import waterfall
from crm_analysis.customer_value.charts.cohorts import cohort_map
from crm_analysis.customer_value.charts.concentration import lorenz
from crm_analysis.customer_value.charts.future import survival, tracking, value_map
from crm_analysis.customer_value.charts.matrix import value_matrix
from crm_analysis.customer_value.charts.migration import migration
from crm_analysis.customer_value.charts.overview import foreseen, profit_curve, segment_map
from crm_analysis.customer_value.charts.tenure import tenure_lines

__all__ = [
    "cohort_map",
    "foreseen",
    "lorenz",
    "migration",
    "profit_curve",
    "segment_map",
    "survival",
    "tenure_lines",
    "tracking",
    "value_map",
    "value_matrix",
    "waterfall",
]
