"""Titles, text alternatives and reading notes of the chapter's figures."""

from __future__ import annotations

from crm_analysis import style
from crm_analysis.data_quality import listing
from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.wording import dimension_name
from crm_analysis.language import _


def scorecard(assessment: Assessment) -> dict[str, str]:
    """Words of the scorecard figure, as keyword arguments of `report.figure`."""
    dimensions = assessment.state.scorecard.dimensions
    if dimensions.empty:
        return {"title": "", "alt": _("Nothing could be checked for this branch and period."), "how_to_read": ""}
    lowest = dimensions.loc[dimensions["score"].idxmin()]
    how = _(
        "Filled: this state; hollow: a period ago. Each rule counts by its severity, not by its rows, so small tables "
        "weigh "
        "as much as large ones. Counted, not estimated: there is no sampling error."
    )
    if assessment.scope.branch == ALL:
        how += " " + _("Ticks: the branches, the lowest named where they are more than two points apart.")
    return {
        "title": _("Scorecard"),
        "alt": _("Share of checks passed by dimension; lowest is {dimension} with {share}.").format(
            dimension=dimension_name(str(lowest["dimension"])), share=style.percent(lowest["score"])
        ),
        "how_to_read": how,
    }


def deliveries(assessment: Assessment) -> dict[str, str]:
    """Words of the deliveries figure."""
    months = assessment.state.reporting.months
    silent = len(assessment.state.reporting.silences)
    n = months["branch"].nunique()
    if assessment.scope.branch == ALL and n > 1:
        how = _("Shade: lines of the month against the branch's own median; hatched: not delivered, which is not zero.")
        drawn = listing.months(assessment)["branch"].nunique()
        if drawn < n:
            how += " " + _("Only the {drawn} largest of {n} branches are drawn.").format(drawn=drawn, n=n)
    else:
        how = _("Bars: lines as delivered, before anything is set aside; hatched: not delivered, which is not zero.")
    return {
        "title": _("Lines per month"),
        "alt": _("Lines per month of {n} branches; {silent} stopped before the period's end.").format(
            n=n, silent=silent
        ),
        "how_to_read": how,
    }


def footing(assessment: Assessment) -> dict[str, str]:
    """Words of the footing figure."""
    foot = assessment.state.footing
    return {
        "title": _("From the files to the figures"),
        "alt": _(
            "Of {lines} lines {aside} are set aside and {anonymous} name nobody; {used} are used per customer."
        ).format(
            lines=style.number(foot.rows_in_files),
            aside=style.number(foot.rows_set_aside),
            anonymous=style.number(foot.rows_anonymous),
            used=style.number(foot.rows_used),
        ),
        "how_to_read": _(
            "Compare the lengths of the bars with each other, not with the marks: the axis is cut. Lines without "
            "customer stay "
            "in the totals."
        ),
    }
