"""Money over time: the running total by month, present value, payback and internal rate, and what retention may add."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import cells
from crm_analysis.crm_roi.amounts import Amount
from crm_analysis.crm_roi.cash import Cash, Payback
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["curves", "figure", "findings", "scenario", "summary"]

MOST_PANELS = 4


def curves(study: Study) -> pd.DataFrame:
    """name, month, total, low, high of the period's campaigns that may be shown, those with most money first."""
    shown = [each for each in study.finance.of_period if not each.withheld]
    largest = sorted(shown, key=lambda each: -abs(each.present.value))[:MOST_PANELS]
    parts = [each.curve[["month", "total", "low", "high"]].assign(name=each.name) for each in largest]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["name", "month", "total"])


def figure(study: Study) -> dict[str, Any]:
    """The running total by month, as keyword arguments of `report.figure`."""
    evaluation = study.evaluation
    shown = curves(study)
    if evaluation.without_tables:
        alt = " "
    elif shown.empty:
        alt = _("No programme of this period has money that could be followed month by month.")
    else:
        n = shown["name"].nunique()
        alt = (
            _("Running total of margin gained less cost by month, for one programme, with its band.")
            if n == 1
            else _("Running total of margin gained less cost by month, for {n} programmes, with bands.")
        ).format(n=n)
    return {
        "table": _by_month(study),
        "title": _("When the money came back"),
        "alt": alt,
        "how_to_read": _(
            "Margin gained less cost so far, by month from the start; where the line crosses zero the programme is "
            "paid back. Band: 95 % interval of the running total. The line ends where the control was no longer left "
            "alone: nothing after it is counted."
        ),
    }


def _by_month(study: Study) -> pd.DataFrame:
    currency = study.evaluation.currency
    rows = []
    for each in study.finance.of_period:
        if each.withheld:
            continue
        for row in each.curve.itertuples(index=False):
            total = Amount(row.total, row.low, row.high) if row.high > row.low else Amount(row.total, None, None)
            rows.append(
                (
                    style.plain(each.name),
                    style.number(row.month),
                    style.money(row.flow, currency),
                    intervals.amount(total, "money", currency),
                    style.money(row.present, currency),
                )
            )
    columns = [_("Programme"), _("Month"), _("In the month"), _("So far"), _("So far, discounted")]
    return pd.DataFrame(rows, columns=columns)


def summary(study: Study) -> dict[str, Any]:
    """Present value, payback and internal rate, as keyword arguments of `report.table`."""
    evaluation = study.evaluation
    rows = [
        {
            _("Programme"): style.plain(each.name),
            _("Days followed"): style.number(each.days),
            _("Present value"): intervals.amount(each.present, "money", evaluation.currency),
            _("Chance that it is above zero"): cells.chance(each.chance),
            _("Paid back after"): _payback(each.payback),
            _("Discounted"): _payback(each.payback_discounted),
            _("Internal rate a month"): _internal(each),
        }
        for each in study.finance.cash
    ]
    rate = style.percent(study.finance.cash[0].rate_annual, 0) if study.finance.cash else ""
    return intervals.noted(
        evaluation,
        _("Present value and payback"),
        pd.DataFrame(rows),
        _(
            "Discounted at {rate} a year. Months count from the start; what a month brings is taken to come at its "
            "end. In brackets 95 % intervals, for payback from draws of the months' sampling distribution. An internal "
            "rate is stated only where the flows change sign once. Chance: every value equally likely beforehand."
        ).format(rate=rate),
        _("No programme so far has a return that could be discounted."),
    )


def _payback(found: Payback) -> str:
    if found.months is None and found.earliest is None:
        return _("never")
    first = intervals.months(found.earliest) if found.latest is None else style.number(found.earliest, 1)
    between = _("{low} to {high}").format(low=first, high=intervals.months(found.latest))
    return _("{value} ({interval})").format(value=intervals.months(found.months), interval=between)


def _internal(each: Cash) -> str:
    found = each.internal
    if found.rate is None:
        return (
            _("undefined: no change of sign")
            if found.sign_changes == 0
            else _("undefined: {n} changes of sign").format(n=found.sign_changes)
        )
    if each.internal_low is None and each.internal_high is None:
        return _("{value} (no bounded interval)").format(value=style.percent(found.rate, 0))
    return intervals.amount(Amount(found.rate, each.internal_low, each.internal_high), "share", digits=0)


def scenario(study: Study) -> dict[str, Any]:
    """What retention may add later, labelled as a scenario, as keyword arguments of `report.table`."""
    evaluation, kept = study.evaluation, study.finance.keeping
    currency = evaluation.currency
    rows = [
        {
            _("Programme"): style.plain(each.name),
            _("Paid at all beyond the held-out"): intervals.amount(each.extra, "count"),
            _("Margin a year, member of the list"): style.money(each.margin_year, currency),
            _("Worth later, if they stay"): intervals.amount(each.value, "money", currency),
            _("Present value with it"): intervals.amount(each.present, "money", currency),
        }
        for each in study.finance.scenario
    ]
    said = ""
    here = None if kept is None else kept.here
    if here is not None:
        said = _(
            "**A scenario, nothing in it is measured.** It takes everybody whom a programme made pay at all to leave "
            "as much a year as its list did before, and to stay as customers usually do here ({retention} a year, "
            "money a year later worth {rate} less): margin x r / (1 + d - r). Whoever pays once because of a call may "
            "well not pay again."
        ).format(
            retention=style.percent(here.retention.value, 0),
            rate=style.percent(here.rate_annual, 0),
        )
    return intervals.noted(
        evaluation,
        _("If those it made pay stay on: a scenario"),
        pd.DataFrame(rows),
        said,
        _("No scenario: the data do not reach a year back, or no programme has a return."),
    )


def findings(study: Study) -> list[Finding]:
    """Present value of the period's campaigns."""
    evaluation = study.evaluation
    return [
        intervals.finding(
            evaluation,
            f"{each.key}.present_value",
            each.present,
            label=_("Present value, {name}").format(name=each.name),
            sentence=_("{name} is worth {value} today ({interval}).").format(
                name=style.escape(each.name),
                value=style.money(each.present.value, evaluation.currency),
                interval=intervals.interval(each.present, "money", evaluation.currency),
            ),
            basis=_("randomised, normal 95 %"),
            n=intervals.members(evaluation, each.key),
            causal=True,
            definition=_(
                "Margin gained less cost, month by month while the control was left alone, discounted at the profile's "
                "rate."
            ),
        )
        for each in study.finance.of_period
    ]
