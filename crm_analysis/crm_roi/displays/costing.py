"""Costs in depth: every line once, what one more cost, and where a programme would break even."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import frames, words
from crm_analysis.crm_roi.amounts import Amount, PerUnit
from crm_analysis.crm_roi.costing import Costing
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["break_even", "findings", "lines", "one_more"]


def kind(code: str) -> str:
    """What a cost line is for."""
    return {"contact": _("contacts"), "fulfilment": _("orders handled"), "fixed": _("material and other")}.get(
        code, words.category(code)
    )


def lines(study: Study) -> dict[str, Any]:
    """Every cost of a programme once, and what stands beside it, as keyword arguments of `report.table`."""
    evaluation = study.evaluation
    currency = evaluation.currency
    rows: list[tuple[str, ...]] = []
    for each in study.finance.costing:
        for line in each.lines.itertuples(index=False):
            over = line.actual - line.planned
            rows.append(
                (
                    style.plain(each.name),
                    kind(line.kind),
                    style.money(line.planned, currency),
                    style.money(line.actual, currency),
                    style.money(over, currency),
                    style.money(line.charged, currency),
                )
            )
        rows += [(style.plain(each.name), label, *[style.DASH] * 3, text) for label, text in _beside(each, currency)]
    columns = [_("Programme"), _("Cost"), _("Planned"), _("Actual"), _("Over the plan"), _("Charged to those compared")]
    return intervals.noted(
        evaluation,
        _("Where the money went"),
        pd.DataFrame(rows, columns=columns),
        _(
            "Planned and actual: the whole programme; charged: the part of the treated compared. All shared systems of "
            "the period are divided by the treated members of the controlled programmes; a branch's page leaves them "
            "out. {discounts} What went to purchases made anyway takes a discount to be spread alike over the "
            "purchases of the goods it was given on. Holding out: the margin that the held-out members would have "
            "brought, less the cost of one more member for each; it is the price of knowing and no part of the net."
        ).format(discounts=_discounts_said(evaluation)),
        _("No programme of this period has a return whose cost could be followed."),
    )


def _discounts_said(evaluation: Evaluation) -> str:
    """Whether discounts are a cost of the programme, being in no margin, or already off what was paid."""
    if frames.discounts_charged(evaluation):
        return _(
            "Margins count the value before discount, so what the treated took in discounts is charged to the "
            "programme beside these lines, once."
        )
    return _("A discount already lowers what was paid and is not deducted again.")


def _beside(each: Costing, currency: str) -> list[tuple[str, str]]:
    rows = []
    if each.discount is not None and each.subsidy is not None:
        rows.append((_("discounts taken beyond the held-out"), intervals.amount(each.discount, "money", currency)))
        rows.append((_("of them on purchases made anyway"), intervals.amount(each.subsidy, "money", currency)))
    if each.shared is not None:
        rows.append((_("its part of the shared systems"), style.money(each.shared, currency)))
        ends = (None if end is None else end - each.shared for end in (each.net.low, each.net.high))
        after = Amount(each.net.value - each.shared, *ends)
        rows.append((_("net after its part of the shared systems"), intervals.amount(after, "money", currency)))
    label = _("margin forgone by holding out") if each.holdout.value >= 0 else _("saved by holding out")
    shown = each.holdout if each.holdout.value >= 0 else _turned(each.holdout)
    rows.append((label, intervals.amount(shown, "money", currency)))
    return rows


def _turned(found: Amount) -> Amount:
    low, high = (None if end is None else -end for end in (found.high, found.low))
    return Amount(-found.value, low, high)


def one_more(study: Study) -> dict[str, Any]:
    """What one more payment and one more customer kept cost, as keyword arguments of `report.table`."""
    evaluation = study.evaluation
    currency = evaluation.currency
    rows = [
        {
            _("Programme"): style.plain(each.name),
            _("Days with a payment gained"): intervals.amount(each.per_order.gained, "count"),
            _("Cost of one more"): _per_unit(each.per_order, currency),
            _("Customers kept"): style.DASH
            if each.per_kept is None
            else intervals.amount(each.per_kept.gained, "count"),
            _("Cost of one kept"): style.DASH if each.per_kept is None else _per_unit(each.per_kept, currency),
        }
        for each in study.finance.costing
    ]
    return intervals.noted(
        evaluation,
        _("What one more cost"),
        pd.DataFrame(rows),
        _(
            "The programme's cost over what the treated did beyond the held-out. Kept: neither dormant nor lost on "
            "{day}. In brackets: 95 % intervals, Fieller's for the cost; where a gain does not differ from none, only "
            "the least it cost can be said."
        ).format(day=style.day(evaluation.as_of)),
    )


def _per_unit(found: PerUnit, currency: str) -> str:
    if found.value is None:
        return _("none")
    return intervals.amount(Amount(found.value, found.low, found.high), "money", currency)


def _rate(found: Amount | None) -> str:
    """A margin rate to break even at, as far as it can be reached."""
    if found is None:
        return style.DASH
    if found.value > 1:
        return f"> {style.percent(1.0, 0)}"
    reachable = found.high is not None and found.high <= 1
    return intervals.amount(Amount(found.value, found.low, found.high if reachable else None), "share", digits=0)


def break_even(study: Study) -> dict[str, Any]:
    """Contact cost, margin, margin rate and lift that would break even, as keyword arguments of `report.table`."""
    evaluation = study.evaluation
    currency = evaluation.currency
    rows = []
    for each in study.finance.costing:
        contact = each.break_even_contact
        rows.append(
            {
                _("Programme"): style.plain(each.name),
                _("Cost of a contact at most"): style.DASH
                if contact is None
                else _("none")
                if contact.value < 0
                else intervals.amount(contact, "money", currency),
                _("Margin per member at least"): intervals.amount(each.break_even_margin, "money", currency),
                _("Margin gained per member"): intervals.amount(each.margin_gained, "money", currency),
                _("Margin rate at least"): _rate(each.break_even_rate),
                _("Lift at least"): intervals.amount(each.break_even_lift, "share", digits=0),
                _("Lift reached"): intervals.amount(each.lift, "share", digits=0),
            }
        )
    return intervals.noted(
        evaluation,
        _("Where it would break even"),
        pd.DataFrame(rows),
        _(
            "Each column moves one thing and leaves the others as they were. “none”: even free contacts would not have "
            "paid. A margin rate above 100 % cannot be reached."
        ),
    )


def findings(study: Study) -> list[Finding]:
    """Cost per payment gained and per customer kept, and what discounts went to buyers anyway."""
    evaluation = study.evaluation
    found = []
    basis = _("randomised, Fieller 95 %")
    for each in study.finance.costing:
        said = {"name": style.escape(each.name)}
        n = intervals.members(evaluation, each.key)
        for per, code, label, sentence in (
            (
                each.per_order,
                "per_order",
                _("Cost of one more payment, {name}"),
                _("One more day with a payment cost {name} {value}."),
            ),
            (
                each.per_kept,
                "per_kept",
                _("Cost of one customer kept, {name}"),
                _("One customer kept cost {name} {value}."),
            ),
        ):
            if per is None or per.value is None:
                continue
            value = Amount(per.value, per.low, per.high)
            found.append(
                intervals.finding(
                    evaluation,
                    f"{each.key}.{code}",
                    value,
                    label=label.format(name=each.name),
                    sentence=sentence.format(value=style.money(per.value, evaluation.currency), **said),
                    basis=basis,
                    n=n,
                    causal=True,
                    definition=_("Programme cost over what the treated did beyond the held-out members."),
                )
            )
        if each.subsidy is not None:
            found.append(
                intervals.finding(
                    evaluation,
                    f"{each.key}.subsidy",
                    each.subsidy,
                    label=_("Discounts on purchases made anyway, {name}").format(name=each.name),
                    sentence=_("{value} of {name}'s discounts went to purchases that were made anyway.").format(
                        value=style.money(each.subsidy.value, evaluation.currency), **said
                    ),
                    basis=_("randomised, delta method 95 %"),
                    n=n,
                    causal=True,
                    definition=_(
                        "Discounts the treated took, times the held-out members' purchases of the same goods over "
                        "theirs."
                    ),
                )
            )
    return found
