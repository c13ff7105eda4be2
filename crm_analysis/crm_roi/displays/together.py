"""Campaigns beside each other: their ranking, and the effect of being in two at once."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import captions, cells
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.crm_roi.study import Study
from crm_analysis.crm_roi.together import Interaction
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["findings", "interactions", "interactions_table", "ranking", "ranking_table"]


def ranking(study: Study) -> dict[str, Any]:
    """Which programme earned most per unit of cost, as keyword arguments of `report.figure`."""
    frame = study.together.ranking
    if study.evaluation.without_tables:
        alt = captions.SILENT
    elif frame.empty:
        alt = _("A ranking needs two programmes with a return; there are fewer so far.")
    elif study.together.spread is None:
        alt = _("Return on cost of {n} programmes, best first.").format(n=len(frame))
    else:
        alt = _("Return on cost of {n} programmes, the best guess of each drawn towards the mean of all.").format(
            n=len(frame)
        )
    overlap = _("Where bars overlap widely the order is not settled.")
    how = (
        _(
            "The best of several results is partly the luckiest. With three programmes or fewer it is not known how "
            "much they truly differ, so each is shown as it came out."
        )
        if study.together.spread is None
        else _(
            "The best of several results is partly the luckiest. Full dots: each result drawn towards the mean of all "
            "programmes, the more the less certain it is."
        )
    )
    return {
        "table": ranking_table(study),
        "title": _("Which programme to extend first"),
        "alt": alt,
        "how_to_read": f"{how} {overlap}",
    }


def ranking_table(study: Study) -> pd.DataFrame:
    """The ranking as text."""
    frame, evaluation = study.together.ranking, study.evaluation
    drawn = {
        _("ROI, drawn towards all"): [
            cells.with_interval(style.percent(row.shrunk, 0), row.shrunk_low, row.shrunk_high, "share", evaluation)
            for row in frame.itertuples()
        ],
        _("Weight of its own result"): [style.percent(weight, 0) for weight in frame["weight"]],
    }
    return pd.DataFrame(
        {
            _("Programme"): [style.plain(name) for name in frame["name"]],
            _("ROI"): [
                cells.with_interval(style.percent(row.roi, 0), row.low, row.high, "share", evaluation)
                for row in frame.itertuples()
            ],
            **({} if study.together.spread is None else drawn),
            _("Net"): [style.money(net, evaluation.currency) for net in frame["net"]],
            _("p (adjusted)"): [
                f"{style.p_value(row.p)} ({style.p_value(row.p_adjusted)})" for row in frame.itertuples()
            ],
        }
    )


def interactions(study: Study) -> dict[str, Any]:
    """Members of two programmes at once, as keyword arguments of `report.table`; no table where there are none."""
    frame = interactions_table(study)
    return captions.noted(
        study.evaluation,
        _("Members of two programmes at once"),
        None if frame.empty else frame,
        _(
            "Both programmes drew by chance, so that the four groups may be compared. The last but one column is what "
            "the second programme adds among those treated by the first, less what it adds among the others: below "
            "zero they stand in each other's way. Such small groups settle little."
        ),
    )


def interactions_table(study: Study) -> pd.DataFrame:
    """Pairs of overlapping programmes: margin per member by both arms, and the interaction."""
    return pd.DataFrame([_row(pair, study.evaluation) for pair in study.together.interactions])


def _row(pair: Interaction, evaluation: Evaluation) -> dict[str, str]:
    names = {result.campaign_id: style.plain(result.name) for result in evaluation.closed}
    means = [style.money(mean, evaluation.currency) for mean in pair.means] or [style.DASH] * 4
    interaction = style.DASH
    if pair.interaction is not None:
        interaction = cells.amount(pair.interaction, pair.low, pair.high, evaluation.currency)
    why = {"few": _("too few in a group"), "withheld": _("withheld")}
    return {
        _("First"): names[pair.first],
        _("Second"): names[pair.second],
        _("In both"): privacy.count(pair.n, evaluation.min_cell, parts=pair.by_branch),
        _("Treated by both"): means[0],
        _("By the first alone"): means[1],
        _("By the second alone"): means[2],
        _("By neither"): means[3],
        _("Added together"): interaction,
        _("Result"): why.get(pair.state) or style.p_value(pair.p_value),
    }


def findings(study: Study) -> tuple[Finding, ...]:
    """The return of all measured programmes of the period together, for comparison between branches."""
    portfolio = study.evaluation.portfolio
    if portfolio is None:
        return ()
    return (
        Finding(
            key="crm_roi.return",
            sentence="",
            value=portfolio.roi,
            low=portfolio.roi_low,
            high=portfolio.roi_high,
            unit="ratio",
            basis=_("randomised, Fieller 95 %, clustered by person"),
            n=portfolio.n_members,
            tone={"earned": "good", "lost": "bad", "unknown": "wait"}[portfolio.verdict],
            causal=True,
            label=_("ROI of programmes together"),
            definition=_(
                "Sum of nets over sum of costs of the controlled programmes whose window closed in the period; a "
                "person in several of them counts once in the interval."
            ),
            query=study.evaluation.query,
        ),
    )
