"""The finding of the months ahead, and how sure it is."""

from __future__ import annotations

from crm_analysis import privacy, style
from crm_analysis.customer_value import listing
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.sentences import saying
from crm_analysis.findings import Finding
from crm_analysis.language import _

FAR_OFF = 0.1  # of what took place in the holdout: a forecast as far out is planned with by its interval


def next_year(state: CustomerValue) -> Finding | None:
    outlook = state.outlook
    if saying.withheld(state):
        return None
    sentence = (
        saying.say(
            state,
            _(
                "**All {customers} known so far, still here or not, should bring {value} of margin over the next "
                "{months} months**, {regular} of it from running commitments."
            ),
            value=saying.money(state, outlook.value),
            months=outlook.months,
            regular=style.percent(outlook.regular / outlook.value, 0),
        )
        if outlook.regular > 0 and _parts_shown(state)
        else saying.say(
            state,
            _(
                "**All {customers} known so far, still here or not, should bring {value} of margin over the next "
                "{months} months.**"
            ),
            value=saying.money(state, outlook.value),
            months=outlook.months,
        )
    )
    return Finding(
        key="customer_value.value_next_12m",
        sentence=" ".join(part for part in (sentence, _last_year(state), _how_sure(state)) if part),
        value=outlook.value,
        low=outlook.low,
        high=outlook.high,
        unit="money",
        basis=_basis_of_outlook(state),
        n=saying.resting_on(state, state.status, len(outlook.customers), part="ahead"),
        stake=0.0,
        tone="good" if outlook.why == "" and outlook.way == "model" else "wait",
        label=_("Value, next {months} months").format(months=outlook.months),
        compare=True,
        definition=saying.say(
            state,
            _(
                "Margin expected from {customers} known today, not discounted, without new ones. Commitments: the "
                "amount promised times what was collected per promise over the last year. Others: expected {orders} "
                "times expected worth."
            ),
        ),
        filters=(_("customers with an order or a commitment up to the last covered day of the branch"),),
        query=saying.summary_query(state),
    )


def _last_year(state: CustomerValue) -> str:
    """What the last twelve months brought, to hold the forecast against."""
    brought = listing.results(state)[_("Margin after refunds")]
    if brought == _("withheld"):
        return ""
    return saying.say(
        state,
        _("The last twelve months brought {brought}; {customers} yet to come are not in the forecast.")
        if state.year_covered
        else _(
            "The months on record, fewer than twelve, brought {brought}; {customers} yet to come are not in the "
            "forecast."
        ),
        brought=brought,
    )


def _parts_shown(state: CustomerValue) -> bool:
    """Whether what commitments bring may be told from what all others bring."""
    both = state.outlook.customers.groupby("part")["expected_value"]
    return not any(saying.hidden(state, part) for _name, part in both if part.any())


def _basis_of_outlook(state: CustomerValue) -> str:
    if state.outlook.way == "model":
        return _(
            "95 % interval of the expected margin: what the model leaves open, chance, and how far it was off when "
            "tried"
        )
    if state.outlook.way == "class" and state.outlook.holdout is not None:
        text = _(
            "95 % interval of the expected margin: spread between customers over the last {months} months, scaled to "
            "{ahead} months"
        )
        return text.format(months=state.outlook.holdout.months, ahead=state.outlook.months)
    return _("not checked: no interval")


def _how_sure(state: CustomerValue) -> str:
    outlook = state.outlook
    check = outlook.holdout
    model = check.model if check else None
    if outlook.why == "one_time":
        return saying.say(
            state,
            _(
                "Only {n} of them ever came back, so a model of repeat {orders} has nothing to work with: spend on the "
                "second {order}, not on forecasts."
            ),
            n=privacy.count(outlook.repeat_customers, state.scope.profile.privacy.min_cell),
        )
    if outlook.why == "few":
        template = (
            _(
                "{n} came back at least once, fewer than the {needed} a model needs here. The figure is what similar "
                "{customers} brought lately."
            )
            if state.scope.branch == "all"
            else _(
                "{n} came back at least once, fewer than the {needed} a model needs here: see the fit for all "
                "branches. The figure is what similar {customers} brought lately."
            )
        )
        return saying.say(
            state,
            template,
            n=privacy.count(outlook.repeat_customers, state.scope.profile.privacy.min_cell),
            needed=style.number(outlook.min_repeat_customers),
        )
    if check is not None and model is None:
        return saying.say(
            state,
            _(
                "No model of {orders} could be fitted to what came before the last {months} months, so recent "
                "experience is used instead."
            ),
            months=check.months,
        )
    if check is None or model is None:
        return _("The history is too short to hold any of it out: treat this as a first guess.")
    off = abs(model.total - check.actual)
    if check.model_wins and off > FAR_OFF * check.actual:
        template = _(
            "{tried}, the model foresaw {model} {orders} and {actual} took place: **it beats the rules of thumb**, yet "
            "was {off} out. Plan with the interval, not with its middle."
        )
    elif check.model_wins:
        template = _(
            "{tried}, the model foresaw {model} {orders} and {actual} took place: **it beats the rules of thumb**, "
            "plan with it."
        )
    elif model.root_mean_squared_error < check.thumb.root_mean_squared_error:
        template = _(
            "{tried}, the model foresaw {model} {orders} and {actual} took place. It missed by less than the best rule "
            "of thumb, but **by no more than chance would make it**, so recent experience is used instead."
        )
    else:
        template = _(
            "{tried}, the model foresaw {model} {orders} and {actual} took place: **it does not beat the best rule of "
            "thumb**, so recent experience is used instead."
        )
    tried = (
        _("Tried on the last {months} months, on {customers} without a running commitment alone")
        if state.scope.has("commitments")
        else _("Tried on the last {months} months")
    )
    return saying.say(
        state,
        template,
        tried=saying.say(state, tried, months=check.months),
        model=style.number(model.total),
        actual=style.number(check.actual),
        off=style.percent(off / check.actual if check.actual else None, 0),
    )
