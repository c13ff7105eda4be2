"""Title, text alternative and reading help of each figure; where nothing can be drawn, the sentence that says so."""

from __future__ import annotations

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi.evaluation import Evaluation
from crm_analysis.language import _

__all__ = ["note", "plan", "portfolio", "recovery", "regression", "waterfall"]


SILENT = " "
"""Stands for a figure or table on a page whose opening has already said that the chapter's tables are missing."""


def note(frame: pd.DataFrame, evaluation: Evaluation, text: str = "") -> str:
    """A table's note: nothing about a table that is not there."""
    if evaluation.without_tables:
        return SILENT
    return "" if frame.empty else text


def portfolio(evaluation: Evaluation) -> dict[str, str]:
    """The dots of return by programme."""
    measured = evaluation.measured
    if evaluation.without_tables:
        alt = SILENT
    elif not measured:
        alt = _("No programme of this period has a return that can be stated.")
    else:
        alt = _(
            "Return on cost of {n} programmes with intervals; {earned} clearly earned, {lost} clearly lost."
        ).format(
            n=len(measured),
            earned=sum(r.verdict == "earned" for r in measured),
            lost=sum(r.verdict == "lost" for r in measured),
        )
    return {
        "title": _("Which programme earned its cost"),
        "alt": alt,
        "how_to_read": _(
            "Right of the line earned more than it cost. A bar that crosses it is not settled. Dots: return on cost; "
            "bars: "
            "95 % interval. A programme without held-out members has no dot, whatever its members paid."
        ),
    }


def waterfall(evaluation: Evaluation) -> dict[str, str]:
    """From incremental amount to net."""
    portfolio_ = evaluation.portfolio
    if evaluation.without_tables:
        alt = SILENT
    elif portfolio_ is None:
        alt = _("There is no measured programme whose money could be followed from gain to net.")
    else:
        alt = _("From {revenue} paid more because of the programmes, through their costs, to {net} net.").format(
            revenue=style.money(portfolio_.incremental_revenue, evaluation.currency),
            net=style.money(portfolio_.net, evaluation.currency),
        )
    return {
        "title": _("From more paid to what was left"),
        "alt": alt,
        "how_to_read": _(
            "Controlled programmes only. Each bar starts where the one above ended. Shared systems and data are "
            "charged to "
            "the period they fall in and to no single programme; a branch's page leaves them out."
        ),
    }


def plan(costs: pd.DataFrame, evaluation: Evaluation) -> dict[str, str]:
    """Actual cost beside the plan."""
    if evaluation.without_tables:
        alt = SILENT
    elif costs.empty:
        alt = _("No programme of this period has both a planned and an actual cost.")
    else:
        over = float((costs["actual"] - costs["planned"]).sum())
        alt = _("Actual cost of {n} programmes beside the plan; {over} over it altogether.").format(
            n=len(costs), over=style.money(over, evaluation.currency)
        )
    return {
        "title": _("What was planned and what it cost"),
        "alt": alt,
        "how_to_read": _(
            "Bars: actual cost of the whole programme; the upright line: its plan. Red: lines of the ledger that "
            "nobody had "
            "planned. An overrun without red is a planned line that became dearer."
        ),
    }


def regression(falls: pd.DataFrame, evaluation: Evaluation) -> dict[str, str]:
    """Why a list chosen by past value falls by itself."""
    if evaluation.without_tables:
        alt = SILENT
    elif falls.empty:
        alt = _("No programme without control in this period, so there is no list to look at.")
    else:
        alt = _("Margin per member before and after, for the programme's list and for a list without any programme.")
    return {
        "title": _("What would have happened to such a list anyway"),
        "alt": alt,
        "how_to_read": _(
            "Not an effect. The best customers of one year are partly the lucky ones of that year and fall back in "
            "the next, "
            "programme or not: the dashed line shows how far. A fall is no failure and a smaller fall no success; "
            "only a "
            "held-out share can tell."
        ),
    }


def recovery(groups: pd.DataFrame, *, days: int) -> dict[str, str]:
    """Complainers by how fast they were answered."""
    if groups.empty:
        alt = _("There are no complaints whose follow-up has closed, or the table `cases` is missing.")
    else:
        alt = _(
            "Share of complainers who paid again within {days} days, by how fast their complaint was resolved."
        ).format(days=days)
    return {
        "title": _("Complaints resolved quickly, and who paid again"),
        "alt": alt,
        "how_to_read": _(
            "An association, not an effect: complaints that are easily resolved may come from customers who would have "
            "stayed anyway. Bars: 95 % interval."
        ),
    }
