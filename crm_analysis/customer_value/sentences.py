"""From the chapter's results to what its page claims."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd

from crm_analysis import customers, language, privacy, style
from crm_analysis.customer_value import listing
from crm_analysis.customer_value.assessment import MIN_GROUP, CustomerValue
from crm_analysis.customer_value.profits import n_best
from crm_analysis.customer_value.wording import words
from crm_analysis.estimators.proportions import Proportion
from crm_analysis.findings import Action, Change, Claims, Finding
from crm_analysis.language import _
from crm_analysis.units import add_months

CONCENTRATED = 0.05  # share of profit taken away that makes customers below cost the first thing to say
MANY_BELOW = 0.10
FEW_BELOW = 0.02
ALPHA = 0.05
MOST_PERSONAL = 300  # customers that can be looked after by name
CORRELATED = 0.1


def claims(state: CustomerValue) -> Claims:
    """Verdict, findings, actions and unknowns for a branch and period."""
    if not len(state.status):
        return Claims(verdict=_say(state, _("There are no {customers} to value in this branch and period.")))
    if len(state.status) < state.scope.profile.privacy.min_cell:
        said = _(
            "There are fewer than {n} {customers} in this branch: their figures are in those of all branches only."
        )
        return Claims(verdict=_say(state, said, n=state.scope.profile.privacy.min_cell))
    found = [_retention(state), _below_cost(state), _next_year(state), _slipping(state), _concentration(state)]
    findings = tuple(finding for finding in found if finding is not None)
    return Claims(
        verdict=_verdict(state),
        findings=findings,
        actions=tuple(action for action in _actions(state) if action is not None),
        unknowns=tuple(_unknowns(state)),
        measures=tuple(_measures(state)),
    )


def _say(state: CustomerValue, template: str, **values: object) -> str:
    said = words(state.scope.profile)
    return template.format(
        **{
            "customer": said.customer,
            "customers": said.customers,
            "order": said.order,
            "orders": said.orders,
            "period": style.period(state.previous_label),
        }
        | values
    )


def _money(state: CustomerValue, amount: float) -> str:
    return style.money(amount, state.scope.profile.currency)


def _share(state: CustomerValue, share: Proportion, digits: int = 1) -> str:
    return style.share(round(share.share * share.n) if share.n else 0, share.n, _min_cell(state), digits)


def _min_cell(state: CustomerValue) -> int:
    return state.scope.profile.privacy.min_cell


def _measured(state: CustomerValue, share: Proportion, change: customers.ShareChange | None) -> dict[str, Any]:
    """The numbers of a finding about a share of customers; none where they would tell how few they are."""
    if privacy.tells(round(share.share * share.n), share.n, _min_cell(state)):
        return {"value": None}
    if listing.total_hidden(state):  # an interval tells how many a share is of
        return {"value": round(share.share, 2)}
    return {"value": share.share, "low": share.low, "high": share.high, "change": _change(change)}


def _parts(state: CustomerValue, frame: pd.DataFrame) -> list[int]:
    """How many of the customers the pages of the branches count, where this page counts them all."""
    return frame["branch"].value_counts().to_list() if state.scope.branch == "all" else []


def _count(state: CustomerValue, frame: pd.DataFrame) -> str:
    return privacy.count(len(frame), state.scope.profile.privacy.min_cell, parts=_parts(state, frame))


def _resting_on(state: CustomerValue, frame: pd.DataFrame, n: int) -> int | None:
    """`n`, of the customers in `frame`, unless it would tell how many a small branch has."""
    return None if privacy.total_tells(_parts(state, frame), state.scope.profile.privacy.min_cell) else n


def _direction(state: CustomerValue) -> str:
    """up, down, noise, or alone where there is no earlier period."""
    change = state.retention_change
    if change is None:
        return "alone"
    if change.p >= ALPHA:
        return "noise"
    return "up" if change.difference > 0 else "down"


def _change(change: customers.ShareChange | None) -> Change | None:
    if change is None:
        return None
    return Change(previous=change.previous, difference=change.difference, low=change.low, high=change.high, p=change.p)


def _verdict(state: CustomerValue) -> str:
    parts = [_verdict_on_staying(state), _verdict_on_profit(state), _verdict_on_future(state)]
    return " ".join(part for part in parts if part)


def _verdict_on_staying(state: CustomerValue) -> str:
    share = _share(state, state.kept)
    if state.outlook.why == "one_time":
        return _say(
            state,
            _(
                "**{share} of the {customers} whose first {order} is at least {days} days old never came back**: who "
                "comes next decides, not who stays."
            ),
            share=_share(state, state.outlook.one_time, 0),
            days=style.number(state.outlook.one_time_days),
        )
    if not state.retention.n:
        return _say(state, _("The data do not reach back far enough to say how many {customers} stay."))
    if state.silent_since is not None:
        return _say(
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
            "{period}."
        ),
        "down": _(
            "**We lose {customers} faster: only {share} of those of a year ago are still here**, {points} points fewer "
            "than in {period}."
        ),
        "noise": _("{share} of the {customers} of a year ago are still here: no change beyond noise since {period}."),
        "alone": _(
            "{share} of the {customers} of a year ago are still here; there is nothing earlier to compare with."
        ),
    }[_direction(state)]
    return _say(state, template, share=share, points=points)


def _verdict_on_profit(state: CustomerValue) -> str:
    shape = state.concentration
    if not _top_shown(state):
        if not state.profits.costs_known or (shape.total <= 0 and not _total_shown(state)):
            return ""
        template = _("{below} of {customers} cost more than they bring.")
    elif not state.profits.costs_known:
        template = _(
            "The best tenth brings {top} of the margin; what it costs to serve {customers} is not in the data."
        )
    elif shape.total <= 0 and not _total_shown(state):
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
    return _say(
        state,
        template,
        below=_share(state, shape.below_cost),
        taken=style.percent(shape.taken),
        top=style.percent(shape.top_share, 0),
        loss=_money(state, shape.total),
    )


def _top_shown(state: CustomerValue) -> bool:
    """Whether the best tenth are enough customers to speak of, none of whom is most of it."""
    profit = state.profits.customers["profit"].astype(float)
    return not _hidden(state, profit.nlargest(n_best(state.concentration.n)))


def _total_shown(state: CustomerValue) -> bool:
    return not _hidden(state, state.profits.customers["profit"], state.profits.customers["customer_id"])


def _hidden(state: CustomerValue, amounts: pd.Series, ids: pd.Series | None = None) -> bool:
    """Whether a sum of customers' amounts must not be shown; nothing is not worth a sentence either.

    With `ids`, the customers, also where it would tell what one branch's page withholds.
    """
    given = amounts[amounts != 0]
    branch = listing.branch_of(state, ids[amounts != 0]) if ids is not None else None
    return given.empty or listing.hidden_amount(state, given, branch)


def _withheld(state: CustomerValue) -> bool:
    """Whether the value to come cannot be shown: nothing expected, or too few or too dominant customers behind it."""
    foreseen = state.outlook.customers
    expected = foreseen["expected_value"]
    return _hidden(state, expected[expected > 0]) or listing.rests_on_one(
        state, listing.margins(state, foreseen["customer_id"])
    )


def _verdict_on_future(state: CustomerValue) -> str:
    outlook = state.outlook
    if _withheld(state):
        return ""
    template = {
        "": _(
            "Today's {customers} should bring {value} over the next {months} months; the forecast beats rules of thumb."
        ),
        "lost": _(
            "Today's {customers} should bring {value} over the next {months} months; the model of {orders} does not "
            "beat a rule of thumb here, so recent experience is used."
        ),
        "few": _(
            "Today's {customers} should bring {value} over the next {months} months; too few come back to fit a model "
            "of {orders}."
        ),
        "one_time": _(
            "Today's {customers} should bring {value} over the next {months} months; models of repeat {orders} add "
            "nothing here."
        ),
        "young": _(
            "Today's {customers} should bring some {value} over the next {months} months, a first guess: the history "
            "is too short to check it."
        ),
        "diagnosis": _(
            "Today's {customers} should bring {value} over the next {months} months, by a rule of thumb: the model of "
            "{orders} could not be fitted reliably."
        ),
    }[outlook.why]
    return _say(state, template, value=_money(state, outlook.value), months=outlook.months)


def _retention(state: CustomerValue) -> Finding | None:
    if not state.retention.n:
        return None
    change = state.retention_change
    template = {
        "up": _("**{share} of the {customers} active a year earlier stayed**, {points} points more than in {period}."),
        "down": _(
            "**{share} of the {customers} active a year earlier stayed**, {points} points fewer than in {period}."
        ),
        "noise": _(
            "**{share} of the {customers} active a year earlier stayed**, {points} points from {period}: within noise."
        ),
        "alone": _("**{share} of the {customers} active a year earlier stayed.**"),
    }[_direction(state)]
    direction = _direction(state)
    signed = change is not None and direction == "noise"
    sentence = _say(
        state,
        template,
        share=_share(state, state.kept),
        points=style.points(change.difference, sign=signed) if change else "",
    )
    why = _why_gone(state)
    return Finding(
        key="customer_value.retention",
        sentence=f"{sentence} {why}".strip(),
        **_measured(state, state.kept, change),
        unit="share",
        basis=_("Wilson 95 %"),
        n=_resting_on(state, state.retention.customers, state.retention.n),
        stake=_stake_of_staying(state),
        tone={"up": "good", "down": "bad"}.get(direction, "neutral"),
        label=_("12-month retention"),
        compare=True,
        definition=_say(
            state,
            _(
                "Of the {customers} who were neither dormant nor lost twelve months before the last covered day of "
                "their branch, the share who are neither on that day. With a commitment, dormant means six months of "
                "unpaid dues; without one, silent for longer than their own rhythm and the profile's limit."
            ),
        ),
        filters=(_("accepted transactions of known customers, up to the last covered day of the branch"),),
        query=_summary_query(state),
    )


def _why_gone(state: CustomerValue) -> str:
    """How those who left did so, where regular commitments tell it apart."""
    base = state.retention.customers
    gone = base[~base["kept"]]
    held = gone[gone["committed"]]
    smallest = state.scope.profile.privacy.min_cell
    if len(held) < max(MIN_GROUP, smallest):
        return ""
    now = state.status.set_index("customer_id").reindex(held["customer_id"])
    unpaid = int((now["status"] == "dormant").sum())
    if min(unpaid, len(held) - unpaid) < smallest:
        return ""
    return _say(
        state,
        _(
            "Of those who left, {held} held a regular commitment: {cancelled} of them ended it, **{unpaid} simply "
            "stopped being paid**, long enough ago to count as gone, and can still be repaired."
        ),
        held=style.percent(len(held) / len(gone), 0),
        cancelled=style.number(len(held) - unpaid),
        unpaid=style.number(unpaid),
    )


def _stake_of_staying(state: CustomerValue) -> float:
    """A year's margin of one point of retention... of all who left, at the mean margin of those here."""
    mean = state.outlook.value / max(state.n, 1)
    return float(max(state.retention.n - state.retention.kept, 0) * mean)


def _summary_query(state: CustomerValue) -> str:
    summary = customers.summarize(
        state.scope.table("transactions"), as_of=state.scope.as_of, coverage=state.scope.coverage
    )
    return str(ibis.to_sql(summary))


def _saving(state: CustomerValue) -> tuple[float, pd.DataFrame]:
    """What contacting customers below cost was spent in vain over the year; zero where it is withheld.

    The frame is the customers below cost, with `vain`, what contacting each of them is spent in vain.
    """
    frame = state.profits.customers
    below = frame[frame["profit"] < 0]
    vain = np.minimum(below["contact_cost"], -below["profit"])
    below = below.assign(vain=vain)
    if _hidden(state, vain, below["customer_id"]):
        return 0.0, below
    return float(vain.sum()), below


def _below_cost(state: CustomerValue) -> Finding | None:
    shape = state.concentration
    if not state.profits.costs_known or not shape.n:
        return None
    saving, _below = _saving(state)
    if shape.total <= 0 and not _total_shown(state):
        template = _("{below} of {customers} cost more than they bring.")
    elif shape.total <= 0:
        template = _(
            "**{below} of {customers} cost more than they bring**, and all together they do: {loss} in a year."
        )
    elif shape.taken >= CONCENTRATED and saving > 0:
        template = _(
            "**{below} of {customers} cost more than they bring** and take away {taken} of the profit (the curve "
            "peaks at {peak}). Contacting them cost {saving} that did not come back: use the cheapest channel."
        )
    elif saving > 0:
        template = _(
            "**{below} of {customers} cost more than they bring**, though it takes away only {taken} of the profit. "
            "Contacting them cost {saving} that did not come back: use the cheapest channel, and do not expect more "
            "than that."
        )
    else:
        template = _("**{below} of {customers} cost more than they bring**; it takes away {taken} of the profit.")
    bad = shape.total <= 0 or shape.taken >= CONCENTRATED
    return Finding(
        key="customer_value.below_cost_share",
        sentence=_say(
            state,
            template,
            below=_share(state, shape.below_cost),
            taken=style.percent(shape.taken),
            peak=style.percent(shape.peak, 0),
            saving=_money(state, saving),
            loss=_money(state, shape.total),
        ),
        **_measured(state, shape.below_cost, state.below_cost_change),
        unit="share",
        basis=_("Wilson 95 %"),
        n=_resting_on(state, state.profits.customers, shape.n),
        stake=saving,
        tone="bad" if bad else "neutral",
        label=_("Below cost"),
        compare=True,
        definition=_say(
            state,
            _(
                "{customers}: those with {orders}, contacted at a cost or not lost in the twelve months. "
                "Profit is margin after refunds, less the cost of contacts and the cost to serve as the method page "
                "allocates it; below cost is a profit under zero."
            ),
        ),
        filters=(_("transactions and contacts of the twelve months up to the last covered day of the branch"),),
        query=_summary_query(state),
    )


def _next_year(state: CustomerValue) -> Finding | None:
    outlook = state.outlook
    if _withheld(state):
        return None
    sentence = (
        _say(
            state,
            _(
                "**Today's {customers} should bring {value} of margin over the next {months} months**, {regular} of it "
                "from running commitments."
            ),
            value=_money(state, outlook.value),
            months=outlook.months,
            regular=style.percent(outlook.regular / outlook.value, 0),
        )
        if outlook.regular > 0 and _parts_shown(state)
        else _say(
            state,
            _("**Today's {customers} should bring {value} of margin over the next {months} months.**"),
            value=_money(state, outlook.value),
            months=outlook.months,
        )
    )
    return Finding(
        key="customer_value.value_next_12m",
        sentence=f"{sentence} {_how_sure(state)}".strip(),
        value=outlook.value,
        low=outlook.low,
        high=outlook.high,
        unit="money",
        basis=_basis_of_outlook(state),
        n=_resting_on(state, state.status, len(outlook.customers)),
        stake=0.0,
        tone="good" if outlook.why == "" and outlook.way == "model" else "wait",
        label=_("Value, next {months} months").format(months=outlook.months),
        compare=True,
        definition=_say(
            state,
            _(
                "Margin expected from {customers} known today, not discounted, without new ones. Commitments: the "
                "amount promised times what was collected per promise over the last year. Others: expected {orders} "
                "times expected worth."
            ),
        ),
        filters=(_("customers with an order or a commitment up to the last covered day of the branch"),),
        query=_summary_query(state),
    )


def _parts_shown(state: CustomerValue) -> bool:
    """Whether what commitments bring may be told from what all others bring."""
    both = state.outlook.customers.groupby("part")["expected_value"]
    return not any(_hidden(state, part) for _name, part in both if part.any())


def _basis_of_outlook(state: CustomerValue) -> str:
    if state.outlook.way == "model":
        return _("95 %: parameters (delta method), chance, and the error in the holdout")
    if state.outlook.way == "class" and state.outlook.holdout is not None:
        text = _("95 %: spread between customers over the last {months} months, scaled to {ahead} months")
        return text.format(months=state.outlook.holdout.months, ahead=state.outlook.months)
    return _("not checked: no interval")


def _how_sure(state: CustomerValue) -> str:
    outlook = state.outlook
    check = outlook.holdout
    model = check.model if check else None
    if outlook.why == "one_time":
        return _say(
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
        return _say(
            state,
            template,
            n=privacy.count(outlook.repeat_customers, state.scope.profile.privacy.min_cell),
            needed=style.number(outlook.min_repeat_customers),
        )
    if check is not None and model is None:
        return _say(
            state,
            _(
                "No model of {orders} could be fitted to what came before the last {months} months, so recent "
                "experience is used instead."
            ),
            months=check.months,
        )
    if check is None or model is None:
        return _("The history is too short to hold any of it out: treat this as a first guess.")
    best = check.thumb
    if check.model_wins:
        template = _(
            "Tried on the last {months} months, the model foresaw {model} {orders} and {actual} took place; its "
            "error per {customer} is {error}, that of the best rule of thumb {other}: **the model beats it**, plan "
            "with it."
        )
    elif model.root_mean_squared_error < best.root_mean_squared_error:
        template = _(
            "Tried on the last {months} months, the model foresaw {model} {orders} and {actual} took place; its error "
            "per {customer} is {error}, that of the best rule of thumb {other}: **no better than chance would make "
            "it**, so recent experience is used instead."
        )
    else:
        template = _(
            "Tried on the last {months} months, the model foresaw {model} {orders} and {actual} took place; its error "
            "per {customer} is {error}, that of the best rule of thumb {other}: **the model does not beat it**, so "
            "recent experience is used instead."
        )
    return _say(
        state,
        template,
        months=check.months,
        model=style.number(model.total),
        actual=style.number(check.actual),
        error=style.number(model.root_mean_squared_error, 2),
        other=style.number(best.root_mean_squared_error, 2),
    )


def _slipping(state: CustomerValue) -> Finding | None:
    late = state.slipping
    if state.outlook.why == "one_time":  # nobody was expected back, so nobody is late
        return None
    if _hidden(state, late.customers["brought"], late.customers["customer_id"]):
        return None
    known = late.stay_less
    template = (
        _(
            "**{n} {customers} of high value are overdue**; last year they brought {brought}. Of those overdue a year "
            "ago only {recovers} stayed, against {stays} of the others: contact them this month."
        )
        if known
        else _(
            "**{n} {customers} of high value are overdue**; last year they brought {brought}: contact them this month."
        )
    )
    return Finding(
        key="customer_value.slipping_away",
        sentence=_say(
            state,
            template,
            n=_count(state, late.customers),
            brought=_money(state, late.brought),
            recovers=_share(state, late.recovers, 0),
            stays=_share(state, late.stays, 0),
        ),
        value=_resting_on(state, late.customers, len(late.customers)),
        unit="count",
        basis=_("counted; the difference to the others is an association") if known else _("counted"),
        n=_resting_on(state, _here(state), state.n),
        stake=sum(late.at_most(committed=held) or 0.0 for held in (True, False)),
        tone="bad",
        label=_("High value and overdue"),
        definition=_say(
            state,
            _(
                "{customers} among the best fifth by margin of the last twelve months (or by the amount promised, "
                "where that is more) whose next {order} is overdue by their own rhythm or whose dues are unpaid."
            ),
        ),
        query=_summary_query(state),
    )


def _here(state: CustomerValue) -> pd.DataFrame:
    """Customers who are neither dormant nor lost."""
    return state.status[~state.status["status"].isin(customers.GONE)]


def _concentration(state: CustomerValue) -> Finding | None:
    shape = state.concentration
    if style.undefined(shape.top_share) or not _top_shown(state):
        return None
    worth = shape.top_share * shape.total
    size = n_best(shape.n)
    loss = _loss_of_one_in_ten(state)
    if state.outlook.why == "one_time":
        template = _(
            "**The best tenth of {customers} brings {top} of the profit**, {each} each: too little for personal care; "
            "spend on a second {order} instead."
        )
    elif loss is None:
        template = _("**The best tenth of {customers} brings {top} of the profit.**")
    elif size <= MOST_PERSONAL:
        template = _(
            "**The best tenth of {customers} brings {top} of the profit.** By what the best tenth of a year ago have "
            "brought since, losing one in ten would cost about {loss} a year: {n} are few enough to know by name, as "
            "long as that costs less."
        )
    else:
        template = _(
            "**The best tenth of {customers} brings {top} of the profit.** By what the best tenth of a year ago have "
            "brought since, losing one in ten would cost about {loss} a year: a programme of their own for the {n} may "
            "cost up to that."
        )
    return Finding(
        key="customer_value.top_tenth_share",
        sentence=_say(
            state,
            template,
            top=style.percent(shape.top_share, 0),
            loss=_money(state, loss or 0.0),
            each=_money(state, worth / size),
            n=listing.of_total(state, style.number(size)),
        ),
        value=shape.top_share,
        low=shape.top_low,
        high=shape.top_high,
        unit="share",
        basis=_("bootstrap 95 %"),
        n=_resting_on(state, state.profits.customers, shape.n),
        stake=loss or 0.0,
        label=_("Profit from the best tenth"),
        definition=_say(
            state,
            _("Share of the profit of the last twelve months that the most profitable tenth of {customers} brought."),
        ),
        query=_summary_query(state),
    )


def _loss_of_one_in_ten(state: CustomerValue) -> float | None:
    """What a tenth of the best tenth is worth a year; None where that is not known, not positive or not to be shown."""
    since = state.best_since
    if not len(since) or _hidden(state, since) or since.sum() <= 0:
        return None
    return float(since.mean()) * n_best(state.concentration.n) / 10


def _actions(state: CustomerValue) -> list[Action | None]:
    return [_repair(state), _call(state), _cheaper(state)]


def _owner(state: CustomerValue, programme: str) -> str:
    profile = state.scope.profile
    return profile.owner(programme, language.active()) or profile.owner("customer_value", language.active())


def _repair(state: CustomerValue) -> Action | None:
    """Overdue commitments: repair the payment."""
    late = state.status[state.status["committed"] & (state.status["status"] == "overdue")]
    if late.empty or _hidden(state, late["amount_a_year"], late["customer_id"]):
        return None
    ratios = {each.standing: each for each in state.outlook.yields if each.n >= MIN_GROUP}
    gap = ratios["up to date"].ratio - ratios["overdue"].ratio if {"up to date", "overdue"} <= ratios.keys() else None
    most = float(late["amount_a_year"].sum()) * gap if gap is not None and gap > 0 else None
    return Action(
        key="customer_value.repair",
        text=_say(
            state,
            _("Within a week, repair the failed payments of {n} {customers} who are still here"),
            n=_count(state, late),
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
    """Overdue without a commitment, of high value: a personal contact."""
    if state.outlook.why == "one_time":
        return None
    late = state.slipping.customers
    late = late[~late["committed"]]
    if _hidden(state, late["worth"], late["customer_id"]):
        return None
    most = state.slipping.at_most(committed=False)
    return Action(
        key="customer_value.call",
        text=_say(
            state, _("Contact the {n} {customers} of high value who are overdue, in person"), n=_count(state, late)
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


def _cheaper(state: CustomerValue) -> Action | None:
    """Contact below-cost customers by the cheapest channel."""
    saving, below = _saving(state)
    if _hidden(state, below["vain"], below["customer_id"]):
        return None
    return Action(
        key="customer_value.cheapest_channel",
        text=_say(
            state, _("Reach the {n} {customers} below cost by the cheapest channel only"), n=_count(state, below)
        ),
        owner=_owner(state, "customer_value"),
        value=saving,
        resting_on=_(
            "counted, not estimated: what contacting them cost last year; at most that, if they give no less without it"
        ),
    )


def _unknowns(state: CustomerValue) -> list[str]:
    outlook = state.outlook
    found = []
    if not state.profits.costs_known:
        found.append(
            _say(
                state,
                _(
                    "What it costs to contact and serve {customers}: profit is margin here. A cost on `contacts`, or "
                    "`cost_to_serve` in the profile, would say it."
                ),
            )
        )
    last_new = pd.to_datetime(state.status["first_on"]).max()
    if len(state.status) and last_new <= pd.Timestamp(add_months(state.scope.as_of, -12)):
        found.append(
            _say(
                state,
                _(
                    "What newcomers bring and how long they stay: nobody has come for the first time since {day}. The "
                    "page is of one group, which can only shrink."
                ),
                day=style.day(last_new.date()),
            )
        )
    if left_out := outlook.histories.n_left_out:
        found.append(
            _say(
                state,
                _(
                    "{n} {customers} are left out of the forecast: a history such as theirs cannot be (a last {order} "
                    "after the end of the data, an endless amount). The others are not touched by it."
                ),
                n=privacy.count(left_out, state.scope.profile.privacy.min_cell),
            )
        )
    spend = outlook.spend
    if (
        outlook.way == "model"
        and spend is not None
        and abs(spend.correlation) > CORRELATED
        and spend.correlation_p < 0.01
    ):
        template = (
            _(
                "The spend model takes it that how often and how much are unrelated; here those who come more often "
                "give more each time (rank correlation {r}), so their value is rather too low."
            )
            if spend.correlation > 0
            else _(
                "The spend model takes it that how often and how much are unrelated; here those who come more often "
                "give less each time (rank correlation {r}), so their value is rather too high."
            )
        )
        found.append(_say(state, template, r=style.number(spend.correlation, 2)))
    if outlook.way == "class" and outlook.why != "one_time" and outlook.holdout is not None:
        months = outlook.holdout.months
        if months < outlook.months:
            found.append(
                _say(
                    state,
                    _(
                        "What the whole year brings: the forecast carries the last {months} months on for {ahead}; "
                        "{customers} who leave later on are still in it, so it is rather too high."
                    ),
                    months=months,
                    ahead=outlook.months,
                )
            )
    if outlook.fit is not None and outlook.fit.notes:
        found.append(
            _("The purchase model is at the edge of what the data can tell; its parameters are on the annex page.")
        )
    if outlook.why != "one_time" and len(state.slipping.customers) >= state.scope.profile.privacy.min_cell:
        found.append(
            _say(
                state,
                _(
                    "Whether a contact keeps {customers} who are overdue: nobody was held out. Hold out half of the "
                    "list and the next edition will say."
                ),
            )
        )
    return found


def _measures(state: CustomerValue) -> list[Finding]:
    """Numbers for comparison and the front page that need no sentence."""
    found = [
        Finding(
            key="customer_value.customers",
            sentence="",
            value=None
            if privacy.small(state.n, state.scope.profile.privacy.min_cell)
            else _resting_on(state, _here(state), state.n),
            unit="count",
            basis=_("counted"),
            n=_resting_on(state, state.status, len(state.status)),
            label=_say(state, _("Active {customers}")),
            compare=True,
            definition=_say(state, _("{customers} who are new, active, overdue or reactivated.")),
            query=_summary_query(state),
        )
    ]
    if state.outlook.why == "one_time":
        found.append(
            Finding(
                key="customer_value.never_back",
                sentence="",
                **_measured(state, state.outlook.one_time, None),
                unit="share",
                basis=_("Wilson 95 %"),
                n=_resting_on(state, state.status, state.outlook.one_time.n),
                label=_("Never came back"),
                definition=_say(
                    state,
                    _("{customers} without a second {order}, of those whose first is at least {days} days old."),
                    days=state.outlook.one_time_days,
                ),
                query=_summary_query(state),
            )
        )
    check = state.outlook.holdout
    model = check.model if check else None
    if check is not None and model is not None and check.actual > 0:
        found.append(
            Finding(
                key="customer_value.holdout_bias",
                sentence="",
                value=model.total / check.actual - 1,
                unit="points",
                basis=_("holdout"),
                n=_resting_on(state, state.status, check.n),
                label=_("Forecast error in the holdout"),
            )
        )
    return found
