"""What to do, by whom, and what it may bring at most."""

from __future__ import annotations

from dataclasses import replace

from crm_analysis import language, privacy
from crm_analysis.customer_value.assessment import MIN_GROUP, CustomerValue
from crm_analysis.customer_value.sentences import saying
from crm_analysis.customer_value.sentences.findings import contacted_in_vain
from crm_analysis.findings import Action
from crm_analysis.language import _


def actions(state: CustomerValue) -> list[Action | None]:
    return [_repair(state), _call(state), _cheaper(state)]


def _owner(state: CustomerValue, programme: str) -> str:
    profile = state.scope.profile
    return profile.owner(programme, language.active()) or profile.owner("customer_value", language.active())


def _repair(state: CustomerValue) -> Action | None:
    """Overdue commitments: repair the payment."""
    late = state.status[state.status["committed"] & (state.status["status"] == "overdue")]
    if late.empty or saying.hidden(state, late["amount_a_year"], late["customer_id"]):
        return None
    ratios = {each.standing: each for each in state.outlook.yields if each.n >= MIN_GROUP}
    gap = ratios["up to date"].ratio - ratios["overdue"].ratio if {"up to date", "overdue"} <= ratios.keys() else None
    most = float(late["amount_a_year"].sum()) * gap if gap is not None and gap > 0 else None
    return Action(
        key="customer_value.repair",
        text=saying.say(
            state,
            _("Within a week, repair the failed payments of {n} {customers} who are still here"),
            n=saying.count(state, late),
        ),
        owner=_owner(state, "retention"),
        value=most / 2 if most is not None else None,
        low=0.0 if most is not None else None,
        high=most,
        resting_on=_("middle between nothing and collecting as from the others; not tested: hold out half first")
        if most is not None
        else _("not known: hold out half and measure"),
    )


def _call(state: CustomerValue) -> Action | None:
    """Overdue without a commitment, of high value, and expected to pay for it: a personal contact.

    How many is not said where the finding, which counts all of high value who are overdue, would tell how few the
    others are.
    """
    if state.outlook.why == "one_time":
        return None
    everybody = state.slipping.customers
    called = ~everybody["committed"] & state.matrix.pays(everybody["customer_id"])
    late, others = everybody[called], everybody[~called]
    if saying.hidden(state, late["worth"], late["customer_id"]):
        return None
    most = replace(state.slipping, customers=late).at_most(committed=False)
    cell = saying.min_cell(state)
    untold = privacy.small(len(others), cell) or privacy.total_tells(saying.parts(state, others), cell)
    return Action(
        key="customer_value.call",
        text=saying.say(
            state,
            _told_called(untold=untold, priced=state.matrix.lines.priced),
            line=saying.line(state),
            n=saying.count(state, late),
        ),
        owner=_owner(state, "vip"),
        value=most / 2 if most is not None else None,
        low=0.0 if most is not None else None,
        high=most,
        resting_on=_(
            "middle between nothing and losing no more than those of high value who were not overdue, by the lists of "
            "a year ago and what they brought since; not tested: hold out half first"
        )
        if most is not None
        else _("not known: hold out half and measure"),
    )


def _told_called(*, untold: bool, priced: bool) -> str:
    if not priced:
        return (
            _("Contact the {customers} of high value who are overdue and expected to bring {line} or more, in person")
            if untold
            else _(
                "Contact the {n} {customers} of high value who are overdue and expected to bring {line} or more, in "
                "person"
            )
        )
    return (
        _("Contact the {customers} of high value who are overdue and expected to pay for it, in person")
        if untold
        else _("Contact the {n} {customers} of high value who are overdue and expected to pay for it, in person")
    )


def _cheaper(state: CustomerValue) -> Action | None:
    """Contact below-cost customers by the cheapest channel."""
    saving, below = contacted_in_vain(state)
    if saying.hidden(state, below["vain"], below["customer_id"]):
        return None
    return Action(
        key="customer_value.cheapest_channel",
        text=saying.say(
            state, _("Reach the {n} {customers} below cost by the cheapest channel only"), n=saying.count(state, below)
        ),
        owner=_owner(state, "customer_value"),
        value=saving / 2,
        low=0.0,
        high=saving,
        resting_on=_(
            "middle between nothing and all that contacting them cost last year, if they give no less without it; not "
            "tested"
        ),
    )
