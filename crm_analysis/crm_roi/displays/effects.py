"""Effects per member, as tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import cells, words
from crm_analysis.crm_roi.captions import noted
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.language import _

__all__ = ["effects", "effects_table"]


def effects(evaluation: Evaluation) -> dict[str, Any]:
    """Effects per member, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Effect per member"),
        effects_table(evaluation),
        _("The plain difference decides. CUPED and Lin adjust for the year before; they should agree with it."),
    )


def effects_table(evaluation: Evaluation) -> pd.DataFrame:
    """Effects per member: plain and adjusted for value before."""
    rows = []
    for result in evaluation.closed:
        for effect in result.effects:
            unit = {"active": "points", "n_orders": "ratio"}.get(effect.metric, "money")
            plain, adjusted, lin = effect.plain, effect.adjusted, effect.lin
            level = "share" if unit == "points" else unit
            rows.append(
                {
                    _("Programme"): style.plain(result.name),
                    _("Per member"): words.metric(effect.metric),
                    _("Treated"): style.value(plain.mean_treated, level, evaluation.currency),
                    _("Held out"): style.value(plain.mean_control, level, evaluation.currency),
                    _("Difference"): cells.estimate(plain, unit, evaluation),
                    _("CUPED"): cells.estimate(adjusted, unit, evaluation),
                    _("Lin"): cells.estimate(lin, unit, evaluation),
                }
            )
        if result.capped is not None:
            rows.append(
                {
                    _("Programme"): style.plain(result.name),
                    _("Per member"): _("Contribution margin, capped"),
                    _("Treated"): style.money(result.capped.mean_treated, evaluation.currency),
                    _("Held out"): style.money(result.capped.mean_control, evaluation.currency),
                    _("Difference"): cells.estimate(result.capped, "money", evaluation),
                    _("CUPED"): style.DASH,
                    _("Lin"): style.DASH,
                }
            )
    return pd.DataFrame(rows)
