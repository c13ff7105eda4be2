"""The chapter's figures, drawn from finished frames: one module per topic. None where there is nothing to draw."""

from crm_analysis.crm_roi.charts import unrandomised
from crm_analysis.crm_roi.charts.comebacks import comebacks
from crm_analysis.crm_roi.charts.money import cash_curves, programme_curve, tornado
from crm_analysis.crm_roi.charts.overview import plan_bars, portfolio, recovery, regression, waterfall
from crm_analysis.crm_roi.charts.planning import power_curves
from crm_analysis.crm_roi.charts.replay import false_alarms
from crm_analysis.crm_roi.charts.responders import effect_bands, qini_curves
from crm_analysis.crm_roi.charts.rewards import reward_kinds
from crm_analysis.crm_roi.charts.thresholds import around_the_line
from crm_analysis.crm_roi.charts.together import ranking

__all__ = [
    "around_the_line",
    "cash_curves",
    "comebacks",
    "effect_bands",
    "false_alarms",
    "plan_bars",
    "portfolio",
    "power_curves",
    "programme_curve",
    "qini_curves",
    "ranking",
    "recovery",
    "regression",
    "reward_kinds",
    "tornado",
    "unrandomised",
    "waterfall",
]
