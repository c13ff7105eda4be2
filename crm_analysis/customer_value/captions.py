"""Titles, text alternatives and reading notes of the chapter's figures."""

from __future__ import annotations

from crm_analysis import style
from crm_analysis.customer_value import listing
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _


def profit_curve(state: CustomerValue) -> dict[str, str]:
    """Words of the profit curve, as keyword arguments of `report.figure`."""
    shape = state.concentration
    if style.undefined(shape.peak) or listing.curve(state).empty:
        alt = _("There is no profit curve: the profit of the last twelve months is not positive, or of too few people.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    return {
        "title": _("Who brings the profit"),
        "alt": _("Cumulative profit, best customers first: it peaks at {peak} with the best {share}.").format(
            peak=style.percent(shape.peak), share=style.percent(shape.peak_at, 0)
        ),
        "how_to_read": _(
            "From the most to the least profitable, last twelve months. Above the dashed line: profit that the rest "
            "takes away again (red). The curve says who paid, not why."
        ),
    }


def segments(state: CustomerValue) -> dict[str, str]:
    """Words of the segment map."""
    if listing.segments(state).empty:
        return {"title": "", "alt": _("There are no segments to show."), "how_to_read": ""}
    return {
        "title": _("Segments by size and value"),
        "alt": _("Share of customers and of margin in each segment."),
        "how_to_read": _(
            "Grey: share of all who ever bought. Blue: share of the margin of the last twelve months. A blue bar "
            "longer than the grey one is a segment worth more than its size. Scores are cut at the fifths of {source}."
        ).format(source=state.cuts.source),
    }


def holdout(state: CustomerValue) -> dict[str, str]:
    """Words of the holdout figure."""
    check = state.outlook.holdout
    if check is None or listing.classes(state)["repeat_purchases"].nunique() < 3:
        alt = _("There is no check of a forecast: the history is too short, or nobody buys more than a few times.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    return {
        "title": _("Would we have foreseen the last {months} months?").format(months=check.months),
        "alt": _("Purchases per customer in the holdout by earlier repeat purchases: actual and foreseen."),
        "how_to_read": _(
            "{n} {customers} without a running commitment, foreseen from what was known on {day}. Black: what took "
            "place, with 95 % interval; a good forecast runs through it. The lines join classes only to guide the eye."
        ).format(
            n=style.number(check.n), customers=words(state.scope.profile).customers, day=style.day(check.calibrated_to)
        ),
    }
