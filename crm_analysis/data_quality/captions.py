"""Tables with their titles and notes; titles, text alternatives, reading notes and numbers of the figures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.data_quality import listing
from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.wording import dimension_name, passing, vocabulary
from crm_analysis.language import _


def scorecard(assessment: Assessment) -> dict[str, Any]:
    """Words and table of the scorecard figure, as keyword arguments of `report.figure`."""
    dimensions = assessment.state.scorecard.dimensions
    if dimensions.empty:
        return {"title": "", "alt": _("Nothing could be checked for this branch and period."), "how_to_read": ""}
    lowest = dimensions.loc[dimensions["score"].idxmin()]
    compared = listing.scores(assessment)["before"].notna()
    how = _("Filled: this state; hollow: a period ago.") if compared.any() else _("Dots: this state.")
    if compared.any() and not compared.all():
        how += " " + _("Without a hollow dot: not checked a period ago.")
    how += " " + _(
        "Each rule counts by its severity, not by its rows, so small tables weigh as much as large ones. Counted, not "
        "estimated: there is no sampling error."
    )
    if assessment.scope.branch == ALL:
        how += " " + _("Ticks: the branches, the lowest named where they are more than two points apart.")
    return {
        "table": listing.score_table(assessment),
        "title": _("Scorecard"),
        "alt": _("Share of checks passed by dimension; lowest is {dimension} with {share}.").format(
            dimension=dimension_name(str(lowest["dimension"])), share=passing(lowest["score"])
        ),
        "how_to_read": how,
    }


def deliveries(assessment: Assessment) -> dict[str, Any]:
    """Words and table of the deliveries figure."""
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
        "table": listing.month_table(assessment),
        "title": _("Lines per month"),
        "alt": (
            _("Lines per month of {n} branches; {silent} stopped before the period's end.").format(n=n, silent=silent)
            if n > 1
            else _("Lines per month; the deliveries stopped before the period's end.")
            if silent
            else _("Lines per month, delivered up to the period's end.")
        ),
        "how_to_read": how,
    }


def footing(assessment: Assessment) -> dict[str, Any]:
    """Words and table of the footing figure."""
    foot, customer = assessment.state.footing, vocabulary(assessment).customer
    return {
        "table": listing.step_table(assessment),
        "title": _("From the files to the figures"),
        "alt": _(
            "Of {lines} lines {aside} are set aside and {anonymous} name nobody; {used} are used per {customer}."
        ).format(
            customer=customer,
            lines=style.number(foot.rows_in_files),
            aside=style.number(foot.rows_set_aside),
            anonymous=style.number(foot.rows_anonymous),
            used=style.number(foot.rows_used),
        ),
        "how_to_read": _(
            "Compare the lengths of the bars with each other, not with the marks: the axis is cut. Lines without "
            "{customer} stay in the totals."
        ).format(customer=customer),
    }


def lines(assessment: Assessment) -> dict[str, Any]:
    """The lines before anything is set aside, as keyword arguments of `report.table`."""
    return _noted(
        _("Lines before anything is set aside"),
        listing.lines(assessment),
        _("The whole history up to the state's day. Set aside: share of lines with a critical breach."),
    )


def rules(assessment: Assessment) -> dict[str, Any]:
    """Every rule that fails, as keyword arguments of `report.table`."""
    note = _("A row can fail several rules. Critical breaches are set aside, the others are only reported.")
    if _earlier_than_rules(assessment):
        note += " " + _("Ages are counted here to the end of all data, elsewhere on this page to {day}.").format(
            day=style.day(assessment.scope.as_of)
        )
    return _noted(_("Rules that fail"), listing.failing(assessment), note)


def _earlier_than_rules(assessment: Assessment) -> bool:
    """Whether a rule on the age of contact data is shown beside ages counted to an earlier day."""
    ids = assessment.failing["id"]
    return assessment.scope.as_of < assessment.scope.tables.data_ends_on and "customers_contact_stale" in set(ids)


def totals(assessment: Assessment) -> dict[str, Any]:
    """The finance office's totals beside ours, as keyword arguments of `report.table`."""
    differ = assessment.state.footing.totals["off"].any()
    note = (
        _(
            "Totals that differ by more than the limit of {limit}, then the last that agree, as an example of size. "
            "Refunds are negative."
        )
        if differ
        else _(
            "Every total agrees within the limit of {limit}; the last are shown as an example of size. Refunds are "
            "negative."
        )
    )
    return _noted(
        _("Against the finance office"),
        listing.totals(assessment) if assessment.scope.has("control_totals") else None,
        note.format(limit=style.percent(assessment.scope.profile.quality.control_total_tolerance)),
    )


def attitudes(assessment: Assessment) -> dict[str, Any]:
    """How many have their attitudes on record, as keyword arguments of `report.table`."""
    return _noted(
        _("Attitudes on record"),
        listing.attitudes(assessment) if assessment.scope.has("customers") else None,
        _("Segments by motive rest on these only; missing is not at random: who answers is more attached."),
    )


def contacts(assessment: Assessment) -> dict[str, Any]:
    """Age of contact data, as keyword arguments of `report.table`."""
    return _noted(
        _("Age of contact data"),
        listing.contact_ages(assessment) if assessment.scope.has("customers") else None,
        _(
            "The rate of loss is measured by returned contacts where there are enough, else assumed. Here the age is "
            "that on {day}; on the page of a branch that stopped reporting it is that on its own last day."
        ).format(day=style.day(assessment.scope.as_of)),
    )


def persons(assessment: Assessment) -> dict[str, Any]:
    """Pairs of numbers that may be one person, as keyword arguments of `report.table`."""
    return _noted(
        _("The same person under two numbers"),
        listing.same_person_rules(assessment) if assessment.scope.has("customers") else None,
        _("Pairs by the strongest rule that finds them. Those expected by chance are different people."),
    )


def days(assessment: Assessment) -> dict[str, Any]:
    """Last day delivered, as keyword arguments of `report.table`."""
    how = _("Last day with a row, set-aside rows included.")
    n = assessment.last_days["branch"].nunique()
    if n > listing.MOST_BRANCHES:
        how += " " + _("Only the {drawn} of {n} branches that end first are shown.").format(
            drawn=listing.MOST_BRANCHES, n=n
        )
    return _noted(_("Last day delivered"), listing.last_days(assessment), how)


def mix(assessment: Assessment) -> dict[str, Any]:
    """The mix of lines against the previous period, as keyword arguments of `report.table`."""
    return _noted(
        _("Mix of lines against the previous period"),
        listing.drifts(assessment),
        _("Beyond noise needs more than both: sampling noise of as many {customers}, and earlier changes.").format(
            customers=vocabulary(assessment).customers
        ),
    )


def amounts(assessment: Assessment) -> dict[str, Any]:
    """Quantiles of the amount against the previous period, as keyword arguments of `report.table`."""
    return _noted(
        _("Amounts against the previous period"),
        listing.amount_quantiles(assessment),
        _("Half of the lines are below the amount beside 50 %."),
    )


def fields(assessment: Assessment) -> dict[str, Any]:
    """Columns with gaps, as keyword arguments of `report.table`."""
    return _noted(
        _("Columns with gaps"),
        listing.fields(assessment),
        _("An empty cell can be right: an end date of what has not ended, a campaign where there was none."),
    )


def _noted(title: str, frame: pd.DataFrame | None, note: str) -> dict[str, Any]:
    """The note only where there is something to note."""
    return {"title": title, "frame": frame, "note": "" if frame is None or frame.empty else note}
