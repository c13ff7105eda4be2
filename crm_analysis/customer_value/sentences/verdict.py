"""What the page says first: who stays, who brings the profit, what is to come."""

from __future__ import annotations

from crm_analysis import style
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.sentences import saying
from crm_analysis.language import _

CONCENTRATED = 0.05  # share of profit taken away that makes customers below cost the first thing to say
MANY_BELOW = 0.10
FEW_BELOW = 0.02


def verdict(state: CustomerValue) -> str:
    parts = [_verdict_on_staying(state), _verdict_on_profit(state), _verdict_on_future(state)]
    return " ".join(part for part in parts if part)


def _verdict_on_staying(state: CustomerValue) -> str:
    share = saying.share(state, state.kept)
    if state.outlook.why == "one_time":
        return saying.say(
            state,
            _(
                "**{share} of the {customers} whose first {order} is at least {days} days old never came back**{sure}: "
                "who comes next decides, not who stays."
            ),
            share=saying.share(state, state.outlook.one_time, 0),
            days=style.number(state.outlook.one_time_days),
            sure=saying.sure(state, state.outlook.one_time),
        )
    if not state.retention.n:
        return saying.say(state, _("The data do not reach back far enough to say how many {customers} stay."))
    if state.silent_since is not None:
        return saying.say(
            state,
            _(
                "**Nothing has been reported since {day}.** Up to then {share} of the {customers} of a year before had "
                "stayed; nobody is counted as lost since."
            ),
            day=style.day(state.silent_since),
            share=share,
        )
    change = state.retention_change
    points = style.points(change.difference, sign=False) if change else ""
    template = {
        "up": _(
            "**We keep more {customers}: {share} of those of a year ago are still here**, {points} points more than in "
            "{period}{span}."
        ),
        "down": _(
            "**We lose {customers} faster: only {share} of those of a year ago are still here**, {points} points fewer "
            "than in {period}{span}."
        ),
        "noise": _("{share} of the {customers} of a year ago are still here: no change beyond noise since {period}."),
        "alone": _(
            "{share} of the {customers} of a year ago are still here; there is nothing earlier to compare with."
        ),
    }[saying.direction(state)]
    return saying.say(state, template, share=share, points=points, span=saying.span(state))


def _verdict_on_profit(state: CustomerValue) -> str:
    shape = state.concentration
    if not saying.top_shown(state):
        if not state.profits.costs_known or (shape.total <= 0 and not saying.total_shown(state)):
            return ""
        template = _("{below} of {customers} cost more than they bring.")
    elif not state.profits.costs_known:
        template = _(
            "The best tenth brings {top} of the margin; what it costs to serve {customers} is not in the data."
        )
    elif shape.total <= 0 and not saying.total_shown(state):
        template = _("{below} of {customers} cost more than they bring.")
    elif shape.total <= 0:
        template = _("**Over the last twelve months {customers} cost more than they brought: {loss}.**")
    elif shape.taken >= CONCENTRATED:
        template = _("**{below} of {customers} cost more than they bring and take away {taken} of the profit.**")
    elif shape.below_cost.share >= MANY_BELOW:
        template = _(
            "{below} of {customers} cost more than they bring, but that takes away only {taken} of the profit: **the "
            "money is at the top, where a tenth brings {top}**."
        )
    elif shape.below_cost.share >= FEW_BELOW:
        template = _("Few {customers} cost more than they bring ({below}); the best tenth brings {top} of the profit.")
    else:
        template = _(
            "Hardly any of the {customers} costs more than they bring; the best tenth brings {top} of the profit."
        )
    return saying.say(
        state,
        template,
        below=saying.below(state),
        taken=style.percent(shape.taken),
        top=style.percent(shape.top_share, 0),
        loss=saying.money(state, shape.total),
    )


def _verdict_on_future(state: CustomerValue) -> str:
    outlook = state.outlook
    if saying.withheld(state):
        return ""
    template = {
        "": _(
            "All {customers} known so far, still here or not, should bring {value} over the next {months} months; "
            "where {orders} are foreseen by a model, it beat the rules of thumb when tried on months already over."
        ),
        "lost": _(
            "All {customers} known so far, still here or not, should bring {value} over the next {months} months; the "
            "model of {orders} does not beat a rule of thumb here, so recent experience is used."
        ),
        "few": _(
            "All {customers} known so far, still here or not, should bring {value} over the next {months} months; too "
            "few come back to fit a model of {orders}."
        ),
        "one_time": _(
            "All {customers} known so far, still here or not, should bring {value} over the next {months} months; "
            "models of repeat {orders} add nothing here."
        ),
        "young": _(
            "All {customers} known so far, still here or not, should bring some {value} over the next {months} months, "
            "a first guess: the history is too short to check it."
        ),
        "diagnosis": _(
            "All {customers} known so far, still here or not, should bring {value} over the next {months} months, by a "
            "rule of thumb: the model of {orders} could not be fitted reliably."
        ),
    }[outlook.why]
    return saying.say(state, template, value=saying.money(state, outlook.value), months=outlook.months)
