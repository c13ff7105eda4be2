"""Discounts: who buys at one, and what followed the programmes' windows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi.amounts import Amount, total
from crm_analysis.crm_roi.discounts import Aftermath
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _
from crm_analysis.profile.settings import Words

__all__ = ["after_window", "findings", "use"]


def use(study: Study, spoken: Words) -> dict[str, Any]:
    """Share of sales on discount by customer group, as keyword arguments of `report.table`."""
    evaluation, found = study.evaluation, study.finance.use
    if found is None:
        return {"frame": None}
    names = {
        "all": _("all together"),
        "new": _("new within the year"),
        "best": _("of the others, the fifth who paid most"),
        "middle": _("the next two fifths"),
        "rest": _("the rest"),
    }
    title = spoken.customers[:1].upper() + spoken.customers[1:]
    rows = []
    for row in found.groups.itertuples(index=False):
        share = (
            intervals.amount(Amount(row.share, row.low, row.high), "share", digits=2) if row.shown else _("withheld")
        )
        users = style.share(row.users, row.n, evaluation.min_cell) if row.shown else _("withheld")
        rows.append((names[row.group], privacy.count(int(row.n), evaluation.min_cell), users, share))
    columns = [_("Group"), title, _("Bought at a discount"), _("Share of what was paid")]
    empty = (
        _("Nobody bought at a discount in the last twelve months.")
        if found.supplied
        else _("Needs the column `discount` of the table `transactions`.")
    )
    return intervals.noted(
        evaluation,
        _("Who buys at a discount"),
        pd.DataFrame(rows, columns=columns),
        _(
            "The twelve months up to {day}. A description: whoever likes a bargain buys at a discount, and whoever is "
            "offered one does too."
        ).format(day=style.day(evaluation.as_of)),
        empty,
    )


def after_window(study: Study) -> dict[str, Any]:
    """Treated against held out after the window, as keyword arguments of `report.table`."""
    evaluation = study.evaluation
    currency = evaluation.currency
    rows = [
        {
            _("Programme"): style.plain(each.name),
            _("Days after the window"): style.number(each.days),
            _("Margin per member"): intervals.amount(
                Amount(each.margin.difference, each.margin.low, each.margin.high), "money", currency
            ),
            _("Days with a payment per member"): intervals.amount(
                Amount(each.orders.difference, each.orders.low, each.orders.high), "ratio"
            ),
            _("Of the gain in the window"): style.percent(each.of_gain, 0),
            _("Share paid at a discount"): _price_sensitivity(each),
            _("What it says"): _verdict(each),
        }
        for each in study.finance.aftermath
    ]
    return intervals.noted(
        evaluation,
        _("After the window: pulled forward, or price-sensitive?"),
        pd.DataFrame(rows),
        _(
            "Treated less held out, everybody followed as long. Less margin after the window means that purchases were "
            "only pulled forward; a higher share at a discount means that a discount taught people to wait for the "
            "next. Holds as far as neither arm was treated again meanwhile. None of it is in a programme's net."
        ),
        _("No programme's members can be followed four weeks beyond its window yet."),
    )


def _price_sensitivity(each: Aftermath) -> str:
    if not each.took_discount:
        return _("no discount was given")
    if each.on_discount is None:
        return _("too few bought at a discount")
    found = each.on_discount
    return intervals.amount(Amount(found.difference, found.low, found.high), "points")


def _verdict(each: Aftermath) -> str:
    side = Amount(each.margin.difference, each.margin.low, each.margin.high).side
    return {
        -1: _("purchases were pulled forward"),
        0: _("no difference beyond chance"),
        1: _("the gain lasted"),
    }[side]


def findings(study: Study) -> list[Finding]:
    """The margin after the window of the period's campaigns."""
    evaluation = study.evaluation
    mine = {each.key for each in study.finance.costing}
    return [
        intervals.finding(
            evaluation,
            f"{each.key}.after",
            total(each.margin, each.n_treated),
            label=_("Margin after the window, {name}").format(name=each.name),
            sentence=_("In the {days} days after the window of {name}: {said}.").format(
                days=each.days, name=style.escape(each.name), said=_verdict(each)
            ),
            basis=_("randomised, Welch 95 %"),
            n=intervals.members(evaluation, each.key),
            causal=True,
            definition=_("Treated members x difference in margin per member over the days after the outcome window."),
        )
        for each in study.finance.aftermath
        if each.key in mine
    ]
