"""Title, text alternative, reading help and numbers of each figure; title, frame and note of each table.

Where nothing can be drawn, a sentence says so.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import frames
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.language import _

__all__ = [
    "earlier",
    "ledger",
    "money",
    "noted",
    "plan",
    "portfolio",
    "recovery",
    "regression",
    "results",
    "shared",
    "uncontrolled",
    "waterfall",
]


SILENT = " "
"""Stands for a figure on a page whose opening has already said that the chapter's tables are missing."""


def portfolio(evaluation: Evaluation) -> dict[str, Any]:
    """The dots of return by programme."""
    measured = evaluation.measured
    if evaluation.without_tables:
        alt = SILENT
    elif not measured:
        alt = _("No programme of this period has a return that can be stated.")
    else:
        alt = (
            _("Return on cost of one programme with its interval.")
            if len(measured) == 1
            else _("Return on cost of {n} programmes with intervals; {earned} clearly earned, {lost} clearly lost.")
        ).format(
            n=len(measured),
            earned=sum(r.verdict == "earned" for r in measured),
            lost=sum(r.verdict == "lost" for r in measured),
        )
    return {
        "table": frames.portfolio_table(evaluation),
        "title": _("Which programme earned its cost"),
        "alt": alt,
        "how_to_read": _(
            "Right of the line earned more than it cost. A bar that crosses it is not settled. Dots: return on cost; "
            "bars: "
            "95 % interval. A programme without held-out members has no dot, whatever its members paid."
        )
        + (
            " "
            + _("Not drawn, and in the table alone, since too early to judge: {names}.").format(
                names=", ".join(style.escape(result.name) for result in evaluation.running)
            )
            if evaluation.running
            else ""
        ),
    }


def waterfall(evaluation: Evaluation) -> dict[str, Any]:
    """From incremental amount to net."""
    portfolio_ = evaluation.portfolio
    if evaluation.without_tables:
        alt = SILENT
    elif portfolio_ is None:
        alt = _("There is no measured programme whose money could be followed from gain to net.")
    else:
        alt = _("From the {first} ({revenue}) through the programmes' costs to {net} net.").format(
            first=frames.waterfall(evaluation)["label"].iloc[0],
            revenue=style.money(portfolio_.incremental_revenue, evaluation.currency),
            net=style.money(portfolio_.net, evaluation.currency),
        )
    return {
        "table": frames.waterfall_table(evaluation),
        "title": _("From what was paid to what was left"),
        "alt": alt,
        "how_to_read": _(
            "Controlled programmes only. Each bar starts where the one above ended. Shared systems and data are "
            "charged to "
            "the period they fall in and to no single programme; a branch's page leaves them out."
        ),
    }


def plan(evaluation: Evaluation) -> dict[str, Any]:
    """Actual cost beside the plan."""
    costs = frames.cost_plan(evaluation)
    if evaluation.without_tables:
        alt = SILENT
    elif costs.empty:
        alt = _("No programme of this period has both a planned and an actual cost.")
    else:
        over = float((costs["actual"] - costs["planned"]).sum())
        alt = (
            _("Actual cost of one programme beside the plan; {over} over it.")
            if len(costs) == 1
            else _("Actual cost of {n} programmes beside the plan; {over} over it altogether.")
        ).format(n=len(costs), over=style.money(over, evaluation.currency))
    return {
        "table": frames.cost_plan_table(evaluation),
        "title": _("What was planned and what it cost")
        if evaluation.branch == "all"
        else _("What was planned and what it cost, all branches together"),
        "alt": alt,
        "how_to_read": _(
            "Bars: actual cost of the whole programme; the upright line: its plan. Red: lines of the ledger that "
            "nobody had "
            "planned. An overrun without red is a planned line that became dearer."
        )
        + (
            " " + _("Discounts that are charged to a programme are in no line of the ledger and not drawn.")
            if frames.discounts_charged(evaluation)
            else ""
        ),
    }


def regression(falls: pd.DataFrame, evaluation: Evaluation) -> dict[str, Any]:
    """Why a list chosen by past value falls by itself."""
    if evaluation.without_tables:
        alt = SILENT
    elif falls.empty:
        alt = _(
            "No programme without control in this period whose members' amounts may be shown, so there is no list to "
            "look at."
        )
    else:
        alt = _("Margin per member before and after, for the programme's list and for a list without any programme.")
    return {
        "table": frames.regression_table(falls, evaluation),
        "title": _("What would have happened to such a list anyway"),
        "alt": alt,
        "how_to_read": _fall(falls, evaluation)
        + _(
            "Not an effect. The best of one year are partly the lucky ones of that year and tend to fall "
            "back in the next, programme or not: the dashed line shows what such a list did without one. A fall is no "
            "failure and a smaller fall no success; only a held-out share can tell."
        ),
    }


def _fall(falls: pd.DataFrame, evaluation: Evaluation) -> str:
    """What the list without a programme did by itself, in front of how to read it."""
    alone = falls[falls["group"] == "year_before"]
    if alone.empty:
        return ""
    before, after = (style.money(alone[end].iloc[0], evaluation.currency) for end in ("before", "after"))
    change = style.percent(alone["after"].iloc[0] / alone["before"].iloc[0] - 1, 0)
    between = style.interval(alone["low"].iloc[0], alone["high"].iloc[0], "money", evaluation.currency)
    template = _(
        "**Without any programme the best of a year earlier went from {before} to {after} each ({change}; change "
        "{interval}).**"
    )
    return template.format(before=before, after=after, change=change, interval=between) + " "


def recovery(groups: pd.DataFrame, *, days: int) -> dict[str, Any]:
    """Complainers by how fast they were answered."""
    if groups.empty:
        alt = _("There are no complaints whose follow-up has closed, or the table `cases` is missing.")
    else:
        alt = _(
            "Share of complainers who paid again within {days} days, by how fast their complaint was resolved."
        ).format(days=days)
    return {
        "table": frames.recovery_table(groups),
        "title": _("Complaints resolved quickly, and who paid again"),
        "alt": alt,
        "how_to_read": _(
            "An association, not an effect: complaints that are easily resolved may come from people who would have "
            "stayed anyway. Bars: 95 % interval."
        ),
    }


def results(evaluation: Evaluation) -> dict[str, Any]:
    """Programmes of the period and what each earned, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Programmes of the period and running ones"),
        frames.portfolio_table(evaluation),
        _("Everybody assigned counts, reached or not. In brackets: 95 % intervals."),
    )


def money(evaluation: Evaluation) -> dict[str, Any]:
    """Break-even points and the second interval, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Break-even and cross-check"),
        frames.money_table(evaluation),
        _("The two intervals are made in different ways; where they differ much, trust neither."),
    )


def ledger(evaluation: Evaluation) -> dict[str, Any]:
    """The cost ledger, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Cost ledger, every line once, all branches together"),
        frames.ledger_table(evaluation),
    )


def shared(evaluation: Evaluation) -> dict[str, Any]:
    """Costs of all programmes together; no table on the page of one branch, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Shared costs that fall in the period"),
        frames.shared_table(evaluation) if evaluation.branch == "all" else None,
        _("Investments are spread evenly over their useful months. They are in no programme's return."),
    )


def uncontrolled(evaluation: Evaluation) -> dict[str, Any]:
    """Programmes without control, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Programmes without control: not causal"),
        frames.uncontrolled_table(evaluation),
        _("Before and after are no comparison: the next figure shows why. No return follows from this table."),
    )


def earlier(evaluation: Evaluation) -> dict[str, Any]:
    """Programmes whose window closed before the period, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("Programmes of earlier periods"),
        frames.earlier_table(evaluation),
    )


def noted(evaluation: Evaluation, title: str, frame: pd.DataFrame | None, note: str = "") -> dict[str, Any]:
    """The note only where there is something to note, and no table where the chapter's tables are missing."""
    if frame is None or evaluation.without_tables:
        return {"frame": None}
    return {"title": title, "frame": frame, "note": "" if frame.empty else note}
