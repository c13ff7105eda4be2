"""The replay of tests in which nothing was done: chart, table, words and finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import words
from crm_analysis.crm_roi.replay import FalseAlarms, Replay
from crm_analysis.findings import Finding
from crm_analysis.language import _

if TYPE_CHECKING:
    from crm_analysis.crm_roi.study import Study

__all__ = ["figure", "findings", "rates", "verdict"]


def rates(found: Replay | None) -> pd.DataFrame:
    """label, share, low, high, kept of each test, for the chart."""
    columns = ["label", "share", "low", "high", "kept"]
    if found is None:
        return pd.DataFrame(columns=columns)
    rows = [(_label(e), e.rate.share, e.rate.low, e.rate.high, e.state == "kept") for e in found.alarms]
    return pd.DataFrame(rows, columns=columns)


def _label(alarm: FalseAlarms) -> str:
    way = {"plain": _("plain"), "cuped": _("CUPED"), "capped": _("capped")}[alarm.way]
    return _("{outcome}, {way}").format(outcome=words.metric(alarm.metric), way=way)


def figure(found: Replay | None) -> dict[str, Any]:
    """Words and table of the false alarms, as keyword arguments of `report.figure`."""
    if found is None:
        return {"title": "", "alt": " ", "how_to_read": ""}
    if not found.alarms:
        return {"title": "", "alt": verdict(found), "how_to_read": ""}
    table = pd.DataFrame(
        {
            _("Test"): [_label(each) for each in found.alarms],
            _("Splits"): [style.number(each.rate.n) for each in found.alarms],
            _("False alarms"): [style.percent(each.rate.share) for each in found.alarms],
            _("95 % interval"): [style.interval(each.rate.low, each.rate.high, "share") for each in found.alarms],
            _("As promised"): [_state(each.state) for each in found.alarms],
        }
    )
    return {
        "title": _("Do the tests cry wolf? Replayed on your own customers"),
        "table": table,
        "alt": verdict(found),
        "how_to_read": verdict(found)
        + " "
        + (
            _(
                "Customers of one past window of {days} days were split at random, {share} held out, {n} times; "
                "nothing was done to anybody, so whatever a test finds is a false alarm. Bars: 95 % interval (Wilson) "
                "over the splits."
            )
            if len(found.windows) == 1
            else _(
                "Customers of {windows} past windows of {days} days were split at random, {share} held out, {n} times; "
                "nothing was done to anybody, so whatever a test finds is a false alarm. Bars: 95 % interval (Wilson) "
                "over the splits."
            )
        ).format(
            windows=len(found.windows),
            days=found.window_days,
            share=style.percent(found.control_share, 0),
            n=style.number(found.replications),
        ),
    }


def _state(code: str) -> str:
    return {"kept": _("yes"), "too_many": _("no: too many"), "too_few": _("no: too few")}[code]


def verdict(found: Replay) -> str:
    """Whether the tests keep what they promise on this organisation's data, and what to do where they do not."""
    if not found.alarms:
        return {
            "short_history": _("The tests could not be replayed: no past window has a year of data before it."),
            "few_customers": _("The tests could not be replayed: too few customers paid in the windows that are over."),
            "withheld": _("The tests were not replayed: too few paid, or one nearly all."),
        }[found.state]
    margin = found.find("margin", "plain")
    assert margin is not None
    rate = style.percent(margin.rate.share)
    if margin.state == "kept":
        return _("The test that decides keeps its promise here: {rate} false alarms where 5 % are promised.").format(
            rate=rate
        )
    capped = found.find("margin", "capped")
    mended = capped is not None and capped.state == "kept"
    template = {
        "too_many": _("A few very large amounts break the test that decides: {rate} false alarms instead of 5 %."),
        "too_few": _(
            "A few very large amounts blunt the test that decides: {rate} false alarms instead of 5 %, so that it "
            "misses real effects too."
        ),
    }[margin.state]
    advice = (
        _(
            "Capped at the {quantile} quantile it keeps its promise: write `roi.cap_quantile: {value}` into the "
            "profile before the next programme starts."
        )
        if mended
        else _("Capping at the {quantile} quantile (`roi.cap_quantile: {value}`) does not mend it: hold out half.")
    )
    return f"{template} {advice}".format(
        rate=rate, quantile=style.percent(found.cap_quantile, 0), value=f"{found.cap_quantile:g}"
    )


def findings(study: Study) -> tuple[Finding, ...]:
    """The rate of false alarms of the test that decides."""
    found = study.replay
    margin = None if found is None else found.find("margin", "plain")
    if found is None or margin is None:
        return ()
    return (
        Finding(
            key="crm_roi.false_alarms",
            sentence=verdict(found),
            value=margin.rate.share,
            low=margin.rate.low,
            high=margin.rate.high,
            unit="share",
            basis=_("Wilson 95 % over random splits of past customers, nothing done to anybody"),
            n=margin.rate.n,
            label=_("False alarms of the test that decides"),
            definition=_(
                "random splits in which Welch's test of margin finds a difference at 5 %, over all splits tried"
            ),
        ),
    )
