"""Tables with their titles and notes; titles, text alternatives, reading notes and numbers of the figures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.customer_value import disclosure, listing
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.displays import overview
from crm_analysis.customer_value.displays import populations as counting
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _


def profit_curve(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the profit curve, as keyword arguments of `report.figure`."""
    shape = state.concentration
    if style.undefined(shape.peak) or listing.curve(state).empty:
        alt = _("There is no profit curve: the profit of the last twelve months is not positive, or of too few people.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    return {
        "table": listing.curve_table(state),
        "title": _("Who brings the profit"),
        "alt": _("Cumulative profit, best {customers} first: it peaks at {peak} with the best {share}.").format(
            customers=disclosure.who_lower(state),
            peak=style.percent(shape.peak),
            share=style.percent(shape.peak_at, 0),
        ),
        "how_to_read": f"{overview.curve(state)} "
        + _(
            "From the most to the least profitable, last twelve months. Above the dashed line: profit that the rest "
            "takes away again (red). The curve says who paid, not why."
        ),
    }


def segments(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the segment map."""
    if listing.segments(state).empty:
        return {"title": "", "alt": _("There are no segments to show."), "how_to_read": ""}
    return {
        "table": listing.segment_table(state),
        "title": _("Segments by size and value"),
        "alt": _("Share of {customers} and of margin in each segment.").format(customers=disclosure.who_lower(state)),
        "how_to_read": f"{overview.segments(state)} ".lstrip()
        + _(
            "Grey: share of all {customers} with at least one {order}. Blue: share of the margin of the last twelve "
            "months. A blue bar longer than the grey one is a segment worth more than its size. Scores are cut at the "
            "fifths of {source}, each page's own: segments of the branches do not add up to those of all."
        ).format(
            customers=disclosure.who_lower(state),
            order=words(state.scope.profile).order,
            source=style.period(state.cuts.source),
        ),
    }


def holdout(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the holdout figure."""
    check = state.outlook.holdout
    if check is None or listing.classes(state)["repeat_purchases"].nunique() < 3:
        alt = _(
            "There is no check of a forecast: the history is too short, or nobody has more than a few {orders}."
        ).format(orders=words(state.scope.profile).orders)
        return {"title": "", "alt": alt, "how_to_read": ""}
    return {
        "table": listing.class_table(state),
        "title": _("Would we have foreseen the last {months} months?").format(months=check.months),
        "alt": _(
            "Mean number of {orders} in the holdout by number of repeat {orders} before: actual and foreseen."
        ).format(orders=words(state.scope.profile).orders),
        "how_to_read": f"{overview.classes(state)} "
        + (
            _(
                "{n} {customers} without a running commitment, foreseen from what was known on {day}. Black: what took "
                "place, with 95 % interval; a good forecast runs through it. The lines join classes only to guide the "
                "eye."
            )
            if state.scope.has("commitments")
            else _(
                "{n} {customers}, foreseen from what was known on {day}. Black: what took place, with 95 % interval; a "
                "good forecast runs through it. The lines join classes only to guide the eye."
            )
        ).format(
            n=disclosure.count(state, check.n),
            customers=words(state.scope.profile).customers,
            day=style.day(check.calibrated_to),
        ),
    }


def statuses(state: CustomerValue) -> dict[str, Any]:
    """Customers by status, as keyword arguments of `report.table`."""
    return _annexed(
        _("Where everybody stands"),
        counting.status_table(state),
        _(
            "One rule for every chapter: by commitment where there is one, else by each one's own rhythm of {orders}."
        ).format(orders=words(state.scope.profile).orders),
    )


def populations(state: CustomerValue) -> dict[str, Any]:
    """Whom each part of the page counts, as keyword arguments of `report.table`."""
    return _annexed(
        _("Whom the numbers count"),
        counting.population_table(state),
        _(
            "Parts of the page answer different questions, so they count different people; all are of those in the top "
            "row."
        ),
    )


def branches(state: CustomerValue) -> dict[str, Any]:
    """Retention by branch, as keyword arguments of `report.table`; no table where there is one branch alone."""
    return _annexed(
        _("Branches"),
        listing.branch_table(state) if len(state.branches) > 1 else None,
        _(
            "Each branch against all others together; neighbours in the order may have swapped by chance. Whoever came "
            "to several branches counts in one of them here; a branch's own page sees what came to it alone, so that "
            "its number may differ a little."
        ),
    )


def money(state: CustomerValue) -> dict[str, Any]:
    """From money paid to profit, as keyword arguments of `report.table`."""
    return _annexed(
        _("From money to profit"),
        listing.money_table(state),
        _("Last twelve months, up to each branch's last covered day. Fixed costs are not shared out.")
        + ("" if state.year_covered else " " + _("The history is shorter than that year: the amounts are too small.")),
    )


def outlook(state: CustomerValue) -> dict[str, Any]:
    """The months ahead, as keyword arguments of `report.table`."""
    return _annexed(
        _("What the expected margin consists of"),
        listing.outlook_table(state),
        _(
            "The expected margin is money as it comes; discounted, it is worth today what the last column says. Nobody "
            "who is not known today is in it. Counted are only those of whom anything is expected."
        ),
    )


def yields(state: CustomerValue) -> dict[str, Any]:
    """What commitments are worth, as keyword arguments of `report.table`; no table where there are none."""
    return _annexed(
        _("What commitments are worth"),
        listing.yield_table(state) if state.scope.has("commitments") else None,
        _("The year that has just passed: a commitment that lapsed then is in the lower rows."),
    )


def parameters(state: CustomerValue) -> dict[str, Any]:
    """Parameters of the models, as keyword arguments of `report.table`."""
    return _annexed(
        _("Parameters"),
        listing.parameter_table(state),
        _("Time in weeks; standard errors from the curvature of the likelihood."),
    )


def cuts(state: CustomerValue) -> dict[str, Any]:
    """Cut points of the scores, as keyword arguments of `report.table`."""
    return _annexed(
        _("Cut points of the scores"),
        listing.cut_table(state),
        _("A value equal to a cut point belongs to the lower score; in days, to the higher one.")
        + (
            " " + _("Whoever holds a commitment with nothing overdue has 5 for days, however long its cycle.")
            if state.scope.has("commitments")
            else ""
        ),
    )


def _annexed(title: str, frame: pd.DataFrame | None, note: str) -> dict[str, Any]:
    """The note only where there is something to note."""
    return {"title": title, "frame": frame, "note": "" if frame is None or frame.empty else note}
