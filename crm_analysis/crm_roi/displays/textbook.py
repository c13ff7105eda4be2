"""Textbook claims beside the organisation's own numbers, one sentence each."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.study import Study
from crm_analysis.crm_roi.textbook import Claim
from crm_analysis.language import _

__all__ = ["claims", "sentence"]


def claims(study: Study) -> dict[str, Any]:
    """The claims, as keyword arguments of `report.table`."""
    names = {
        "six_times": _("Winning a customer costs six times as much as keeping one"),
        "five_points": _("Five points of retention raise profit by 25 to 85 %"),
        "complaints": _("Complainers who are answered quickly come back"),
    }
    units = {"six_times": ("ratio", 1), "five_points": ("share", 1), "complaints": ("points", 0)}
    verdicts = {
        "holds": _("holds here"),
        "fails": _("does not hold here"),
        "unsettled": _("not settled"),
        "untestable": _("cannot be tested"),
    }
    rows = []
    for each in study.finance.claims:
        unit, digits = units[each.code]
        found = intervals.amount(each.found, unit, digits=digits)
        rows.append((names[each.code], found, verdicts[each.verdict], sentence(each)))
    columns = [_("Textbook"), _("Here"), _("Verdict"), _("In a sentence")]
    return intervals.noted(
        study.evaluation,
        _("What the textbooks say, on this organisation's own data"),
        pd.DataFrame(rows, columns=columns),
        _(
            "A claim holds where the whole 95 % interval does, and does not where none of it does. Profit is taken as "
            "the worth of a customer at constant retention; the margin cancels out. Winning and keeping: cost of "
            "acquisition programmes per new customer over cost of welcome, retention, win-back and care programmes per "
            "customer kept, within a year. Quick: within a week, an association."
        ),
    )


def sentence(each: Claim) -> str:
    """What is known of one claim here."""
    if each.verdict == "untestable":
        return {
            "costs": _("Cannot be tested: needs the tables “costs” and “campaigns”."),
            "costs, acquisition": _(
                "Cannot be tested: needs lines in the table “costs” for campaigns whose programme is acquisition."
            ),
            "costs, retention": _(
                "Cannot be tested: needs lines in the table “costs” for campaigns that serve to keep customers."
            ),
            "cases": _("Cannot be tested: needs the table “cases”."),
            "withheld": _("Withheld: it would tell how many were won or kept where they are too few."),
            "few": _("Cannot be tested: too few complaints on one side whose follow-up has closed."),
        }.get(each.needs, _("Cannot be tested: needs a year of “transactions” before the period's end."))
    found = each.found
    assert found is not None
    said = {"n": style.number(each.n)}
    match each.code:
        case "six_times":
            said |= {"value": style.number(found.value, 1)}
            return {
                "holds": _("Winning one costs {value} times as much as keeping one."),
                "fails": _("Winning one costs {value} times as much as keeping one, not six times."),
                "unsettled": _("Winning one costs {value} times as much; six times is within the interval."),
            }[each.verdict].format(**said)
        case "five_points":
            said |= {"value": style.percent(found.value, 0)}
            return {
                "holds": _("Five points more raise the worth of a customer by {value}."),
                "fails": _("Five points more raise the worth of a customer by {value}, which lies outside."),
                "unsettled": _("Five points more raise it by {value}; the interval crosses an end of the claim."),
            }[each.verdict].format(**said)
        case _:
            said |= {"value": style.points(found.value, 0, sign=False)}
            return {
                "holds": _("Those answered within a week paid again more often, by {value} points (n {n})."),
                "fails": _("Those answered within a week did not pay again more often (n {n})."),
                "unsettled": _("Whether those answered within a week pay again more often is within chance (n {n})."),
            }[each.verdict].format(**said)
