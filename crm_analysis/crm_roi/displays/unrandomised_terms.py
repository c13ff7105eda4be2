"""Names of what stands in the comparisons without control: methods, dates, checks, covariates, reasons."""

from __future__ import annotations

from crm_analysis.crm_roi.unrandomised import Comparison
from crm_analysis.language import _

__all__ = ["absent", "assumption", "check", "covariate", "date", "method", "reason", "status", "window"]


def reason(code: str, found: Comparison) -> str:
    """Why nothing is identified, for the sentence."""
    if next(check.status for check in found.checks if check.code == code) == "untested":
        return {
            "pretrend": _("the data do not reach back far enough to see whether list and others moved alike"),
            "placebo": _("the data do not reach back to a date when nothing happened"),
        }[code]
    return {
        "pretrend": _("list and others were not moving alike before"),
        "placebo": _("the same methods find something on dates when nothing happened"),
        "overlap": _("too much of the list resembles nobody outside it"),
        "sign": _("the methods contradict each other even on the sign"),
    }[code]


def method(code: str) -> str:
    """The name of an estimate."""
    return {
        "own": _("The list's own change"),
        "naive": _("Plain difference"),
        "ancova": _("Adjusted for value before"),
        "did": _("Difference in changes"),
        "aipw": _("Weighted for likeness"),
    }[code]


def assumption(code: str) -> str:
    """What an estimate rests on."""
    return {
        "own": _("nothing else would have changed them"),
        "naive": _("list and others alike without the programme"),
        "ancova": _("alike at the same value before, on one line"),
        "did": _("both would have changed by the same amount"),
        "aipw": _("nothing unrecorded decides on list and margin"),
    }[code]


def date(kind: str) -> str:
    """The date for which the estimates stand."""
    return {
        "campaign": _("In the window"),
        "window": _("One window earlier, nothing happened"),
        "year": _("A year earlier, nothing happened"),
    }[kind]


def window(window: int) -> str:
    """A window of the panel."""
    return _("programme") if window == 0 else _("{n} before").format(n=-window)


def check(code: str) -> str:
    """A check of the rule."""
    return {
        "pretrend": _("List and others moved alike before"),
        "placebo": _("Nothing found when nothing happened"),
        "overlap": _("Others like those on the list"),
        "sign": _("Methods agree on the sign"),
    }[code]


def status(code: str) -> str:
    """Outcome of a check."""
    return {"passed": _("passed"), "failed": _("failed"), "untested": _("not testable")}[code]


def covariate(code: str) -> str:
    """What is known of a customer before."""
    return {
        "value": _("Margin per window before"),
        "value_log": _("Margin per window before, on a log scale"),
        "value_last": _("Margin in the last window before, on a log scale"),
        "recency": _("Days since the last payment, on a log scale"),
        "frequency": _("Days with a payment in the year before, on a log scale"),
        "tenure": _("Tenure, on a log scale"),
        "channel": _("Channel of the last payment, most unlike one"),
        "branch": _("Branch, most unlike one"),
    }[code]


def absent(codes: list[str]) -> str:
    """Covariates that no table supplies."""
    named = {"channel": _("the channel of payments"), "tenure": _("when customers joined (first payment stands in)")}
    return ", ".join(named[code] for code in codes)
