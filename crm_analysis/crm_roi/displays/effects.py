"""Effects per member, the effect on those reached, and the return counted in other ways, as tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import cells, words
from crm_analysis.crm_roi.captions import noted
from crm_analysis.crm_roi.money import RoiEstimate
from crm_analysis.crm_roi.results import CampaignResult, Effect, Evaluation
from crm_analysis.estimators.means import MeanDifference
from crm_analysis.language import _

__all__ = [
    "adjusted",
    "adjusted_table",
    "effects",
    "effects_table",
    "metric_unit",
    "other_ways",
    "reached",
    "reached_table",
    "ways_table",
]


def effects(evaluation: Evaluation) -> dict[str, Any]:
    """Effects per member, as keyword arguments of `report.table`."""
    note = _(
        "In brackets behind p: adjusted for all outcomes of the programme, and of those that shared its control group."
    )
    answered = _(
        "Satisfaction compares those who answered, who may differ between the arms for other reasons than the "
        "programme."
    )
    several = any(effect.answered for result in evaluation.closed for effect in result.effects)
    return noted(
        evaluation, _("Effect per member"), effects_table(evaluation), f"{note} {answered}" if several else note
    )


def adjusted(evaluation: Evaluation) -> dict[str, Any]:
    """Effects adjusted for the year before and for strata, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Effect per member, adjusted"),
        adjusted_table(evaluation),
        _("The plain difference decides. CUPED and Lin adjust for the year before; they should agree with it."),
    )


def reached(evaluation: Evaluation) -> dict[str, Any]:
    """Effect on those reached, as keyword arguments of `report.table`; no table where delivery is not recorded."""
    frame = reached_table(evaluation)
    return noted(
        evaluation,
        _("Effect on those whom the programme reached"),
        None if frame.empty else frame,
        _(
            "Everybody assigned still decides; this divides that effect by the share reached. It assumes that whoever "
            "was not reached was not touched by being on the list. It is no comparison of the reached with the held "
            "out."
        ),
    )


def other_ways(evaluation: Evaluation) -> dict[str, Any]:
    """The return counted in other ways fixed beforehand, as keyword arguments of `report.table`."""
    frame = ways_table(evaluation)
    return noted(
        evaluation,
        _("The return, counted in other ways"),
        None if frame.empty else frame,
        _(
            "The first line of each programme decides. Capped: margins above the profile's quantile count as that "
            "quantile, so that a single member cannot decide. By stratum: differences within strata, weighed by their "
            "treated; the bootstrap draws within strata."
        ),
    )


def effects_table(evaluation: Evaluation) -> pd.DataFrame:
    """Effects per member with their p-values; a capped margin behind the others."""
    rows = []
    for result in evaluation.closed:
        capped = () if result.capped is None else (Effect("capped", result.capped),)
        for effect in (*result.effects, *capped):
            plain, unit = effect.plain, metric_unit(effect.metric)
            level = "share" if unit == "points" else unit
            digits = cells.ratio_digits(plain) if unit == "ratio" else None
            rows.append(
                {
                    _("Programme"): style.plain(result.name),
                    _("Per member"): words.metric(effect.metric) + _answered(result, effect, evaluation),
                    _("Treated"): style.value(plain.mean_treated, level, evaluation.currency, digits),
                    _("Held out"): style.value(plain.mean_control, level, evaluation.currency, digits),
                    _("Difference"): cells.estimate(plain, unit, evaluation),
                    _("p (adjusted)"): _p_values(plain, effect.adjusted_p),
                }
            )
    return pd.DataFrame(rows)


def adjusted_table(evaluation: Evaluation) -> pd.DataFrame:
    """Effects beside those adjusted for value before, and those within strata where there are strata."""
    told = [
        (result, effect)
        for result in evaluation.closed
        for effect in result.effects
        if effect.adjusted is not None or effect.stratified is not None
    ]
    stratified = any(effect.stratified for _result, effect in told)
    rows = []
    for result, effect in told:
        unit = metric_unit(effect.metric)
        row = {
            _("Programme"): style.plain(result.name),
            _("Per member"): words.metric(effect.metric),
            _("Difference"): cells.estimate(effect.plain, unit, evaluation),
            _("CUPED"): cells.estimate(effect.adjusted, unit, evaluation),
            _("Lin"): cells.estimate(effect.lin, unit, evaluation),
        }
        within = {_("By stratum"): cells.estimate(effect.stratified, unit, evaluation)} if stratified else {}
        rows.append(row | within)
    return pd.DataFrame(rows)


def reached_table(evaluation: Evaluation) -> pd.DataFrame:
    """Per campaign with partial delivery: shares reached, margin per member assigned and per member reached."""
    rows = []
    for result in evaluation.closed:
        found, effect = result.reached, result.effect("margin")
        if found is None or effect is None:
            continue
        n_treated = round(found.reached_treated * result.n_treated)
        n_control = round(found.reached_control * result.n_control)
        rows.append(
            {
                _("Programme"): style.plain(result.name),
                _("Reached, of the treated"): style.share(n_treated, result.n_treated, evaluation.min_cell, 0),
                _("Reached, of the held out"): style.share(n_control, result.n_control, evaluation.min_cell, 0),
                _("Margin gained per member assigned"): cells.estimate(effect.plain, "money", evaluation),
                _("Margin gained per member reached"): cells.amount(
                    found.effect, found.low, found.high, evaluation.currency
                ),
            }
        )
    return pd.DataFrame(rows)


def ways_table(evaluation: Evaluation) -> pd.DataFrame:
    """Per campaign with a capped or a stratified return: each beside the one that decides."""
    rows = []
    for result in evaluation.measured:
        others = {_("margin capped"): result.capped_roi, _("by stratum"): result.stratified}
        told = {name: roi for name, roi in others.items() if roi is not None}
        if told and result.roi is not None:
            rows += [
                _way(result, name, roi, evaluation) for name, roi in ({_("as decided"): result.roi} | told).items()
            ]
    return pd.DataFrame(rows)


def _way(result: CampaignResult, name: str, roi: RoiEstimate, evaluation: Evaluation) -> dict[str, str]:
    return {
        _("Programme"): style.plain(result.name),
        _("Way"): name,
        _("Margin gained per member"): style.money(roi.margin_per_treated, evaluation.currency),
        _("Net"): cells.amount(roi.net, roi.net_low, roi.net_high, evaluation.currency),
        _("ROI, Fieller 95 %"): style.interval(roi.roi_low, roi.roi_high, "share", digits=0),
        _("ROI, bootstrap 95 %"): style.interval(roi.bootstrap_low, roi.bootstrap_high, "share", digits=0),
        _("Result"): words.verdict(roi.verdict),
    }


def metric_unit(metric: str) -> str:
    """The unit in which the effect on an outcome is printed."""
    return {"active": "points", "n_orders": "ratio", "satisfaction": "ratio"}.get(metric, "money")


def _answered(result: CampaignResult, effect: Effect, evaluation: Evaluation) -> str:
    if effect.answered is None:
        return ""
    treated, control = (
        style.share(part, whole, evaluation.min_cell, 0)
        for part, whole in zip(effect.answered, (result.n_treated, result.n_control), strict=True)
    )
    return " " + _("({treated} and {control})").format(treated=treated, control=control)


def _p_values(plain: MeanDifference, adjusted: float | None) -> str:
    own = style.p_value(plain.p_value)
    return own if adjusted is None else f"{own} ({style.p_value(adjusted)})"
