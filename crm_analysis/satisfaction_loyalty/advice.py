"""What to do: what the shape of the link suggests, and whom to call back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.findings import Action
from crm_analysis.language import _
from crm_analysis.satisfaction_loyalty.displays import (
    item_name,
    kind_name,
)
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix
from crm_analysis.satisfaction_loyalty.study import Study, very_dissatisfied_valuable
from crm_analysis.satisfaction_loyalty.verdicts import Told, largest_step, left_above

if TYPE_CHECKING:
    from crm_analysis.tables import Scope
from crm_analysis.satisfaction_loyalty.verdicts import CHAPTER

WORTH_SEEING = 0.10


def actions(told: Told | None, study: Study, scope: Scope) -> tuple[Action, ...]:
    profile = scope.profile
    owner = profile.owner(CHAPTER, language.active()) or profile.owner("retention", language.active())
    service = profile.owner("service", language.active()) or owner
    found = []
    if told is not None:
        direction = _direction(told, study)
        if direction is not None:
            if study.branches_differ:
                direction += " " + _("Only in branches whose own page says so: they do not share one curve.")
            found.append(_direction_action(direction, owner))
    calls = very_dissatisfied_valuable(study, scope)
    if len(calls) and (told is None or told.link.kind != "flat"):  # where dissatisfaction drives nobody away, no calls
        number = privacy.count(len(calls), study.min_cell, parts=calls["branch"].value_counts())
        found.append(
            Action(
                key=f"{CHAPTER}.call_back",
                text=_(
                    "Call back the {customers} on the lowest level who are among the most valuable quarter "
                    "of those who answered: {number}."
                ).format(number=number, customers=profile.vocabulary(language.active()).customers),
                owner=service,
                resting_on=_("answers of the period, payments of the last 365 days"),
            )
        )
    return tuple(found)


def _direction_action(text: str, owner: str) -> Action:
    """What the shape suggests; without an expected value, since the link is an association."""
    return Action(
        key=f"{CHAPTER}.direction",
        text=text,
        owner=owner,
        resting_on=_("association; a trial with a random half would show the effect"),
    )


def _perfection(told: Told, position: int) -> str:
    """What is left above the level at `position` where the link saturates: nothing, or what is not excluded."""
    most = left_above(told, position)
    if not most:
        return _("Nothing on perfection above it.")
    if told.told(position, -1):
        return _("Perfection above it comes second: a further rise from there is not excluded.")
    return _("Perfection above it comes second: a rise of up to {most} points from there is not excluded.").format(
        most=style.points(most, 0, sign=False)
    )


def _direction(told: Told, study: Study) -> str | None:
    kind = told.link.kind
    fitting = "delights" if kind == "accelerating" else "annoys"
    item = _item_for(told, study, fitting)
    first, of_kind = _first_of_another_kind(told, study, fitting)
    top = told.link.top
    if kind == "accelerating":
        shown = {"below": told.name(-2), "top": told.name(-1), "item": item, "first": first}
        if first:
            template = (
                _(
                    "Work on turning “{below}” into “{top}”, starting with {item}, the first of its kind in the list "
                    "of what to fix; {first} leads that list, but keeps {customers} from being annoyed rather than "
                    "delighting them. Try it on a random half of the “{below}” first."
                )
                if of_kind == "annoys"
                else _(
                    "Work on turning “{below}” into “{top}”, starting with {item}, the first of its kind in the list "
                    "of what to fix; {first} leads that list, but whether it delights or annoys is undetermined. Try "
                    "it on a random half of the “{below}” first."
                )
            )
            return template.format(**shown, customers=told.words.customers)
        if item:
            return _(
                "Work on turning “{below}” into “{top}”, starting with {item}; try it on a random half of the "
                "“{below}” first."
            ).format(**shown)
        return _("Work on turning “{below}” into “{top}”; try it on a random half of the “{below}” first.").format(
            **shown
        )
    if kind == "saturating":
        early = told.link.bottom is not None and told.link.bottom.high < 0 and not (top is not None and top.high < 0)
        to = 1 if early else -2
        if first:
            lift = (
                _(
                    "Spend on lifting the dissatisfied up to “{to}”, starting with {item}, the first of its kind in "
                    "the list of what to fix; {first} leads that list, but delights {customers} rather than keeping "
                    "them from being annoyed. Try it on a random half first."
                )
                if of_kind == "delights"
                else _(
                    "Spend on lifting the dissatisfied up to “{to}”, starting with {item}, the first of its kind in "
                    "the list of what to fix; {first} leads that list, but whether it annoys or delights is "
                    "undetermined. Try it on a random half first."
                )
            )
        elif item:
            lift = _(
                "Spend on lifting the dissatisfied up to “{to}”, starting with {item}; try it on a random half first."
            )
        else:
            lift = _("Spend on lifting the dissatisfied up to “{to}”; try it on a random half first.")
        lift = lift.format(to=told.name(to), item=item, first=first, customers=told.words.customers)
        return f"{lift} {_perfection(told, to)}"
    if kind in ("takes_off", "uneven"):
        at = 2 if kind == "takes_off" else largest_step(told)
        return _("Lift “{low}” to “{next}”, where loyalty rises most; try it on a random half first.").format(
            low=told.name(at - 1), next=told.name(at)
        )
    if kind == "straight":
        return _(
            "Spend where a step up is cheapest, at whatever level: that one level returns more than another is not "
            "shown; try it on a random half first."
        )
    if kind == "flat":
        return _(
            "Do not pay for higher scores in the hope of more {orders}: look to occasion, need and offer for what "
            "brings {customers} back."
        ).format(orders=told.words.orders, customers=told.words.customers)
    if kind in ("not_established", "no_link") and top is not None and top.detectable > WORTH_SEEING:
        needed = math.ceil(told.link.n * (told.detectable() / WORTH_SEEING) ** 2 / 100) * 100
        return _(
            "Collect more answers before spending on one level rather than another: some {n} followed answers would "
            "show a kink of {seen} points."
        ).format(n=style.number(needed), seen=style.points(WORTH_SEEING, 0, sign=False))
    return None


def _ranked(study: Study) -> pd.DataFrame:
    """What to fix, first of all first; only items whose gain is established."""
    ranked = first_to_fix(study.drivers, most=len(study.drivers.table))
    return ranked[ranked["established"].astype(bool)]


def _item_for(told: Told, study: Study, kind: str) -> str:
    """The attribute to start with: the first of the fitting kind (delights, annoys), else the first of all."""
    ranked = _ranked(study)
    if ranked.empty:
        return ""
    fitting = ranked[ranked["kind"] == kind]
    first = (fitting if len(fitting) else ranked).iloc[0]
    name = f"“{style.escape(item_name(told.profile, first['item']))}”"
    return name if first["kind"] == "undetermined" else f"{name} ({kind_name(first['kind'])})"


def _first_of_another_kind(told: Told, study: Study, kind: str) -> tuple[str, str]:
    """The attribute to fix first of all with its kind, where it does not fit and others do; else empty."""
    ranked = _ranked(study)
    if ranked.empty or ranked.iloc[0]["kind"] == kind or not (ranked["kind"] == kind).any():
        return "", ""
    return f"“{style.escape(item_name(told.profile, ranked.iloc[0]['item']))}”", str(ranked.iloc[0]["kind"])
