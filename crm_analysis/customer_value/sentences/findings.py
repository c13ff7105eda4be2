"""Findings of today: who stayed, who costs more than they bring, who is overdue, who brings the most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure, populations
from crm_analysis.customer_value.assessment import MIN_GROUP, CustomerValue
from crm_analysis.customer_value.migration import summed
from crm_analysis.customer_value.profits import n_best
from crm_analysis.customer_value.sentences import saying
from crm_analysis.customer_value.sentences.verdict import CONCENTRATED
from crm_analysis.findings import Finding
from crm_analysis.language import _

MOST_PERSONAL = 300  # customers that can be looked after by name
SELDOM = 0.5  # of what was promised: what is surely below it seldom comes in


def retention(state: CustomerValue) -> Finding | None:
    if not state.retention.n:
        return None
    change = state.retention_change
    template = {
        "up": _(
            "**{share} of the {customers} active a year earlier stayed**, {points} points more than in {period}{span}."
        ),
        "down": _(
            "**{share} of the {customers} active a year earlier stayed**, {points} points fewer than in {period}{span}."
        ),
        "noise": _(
            "**{share} of the {customers} active a year earlier stayed**, {points} points from {period}: within noise."
        ),
        "alone": _("**{share} of the {customers} active a year earlier stayed.**"),
    }[saying.direction(state)]
    direction = saying.direction(state)
    signed = change is not None and direction == "noise"
    sentence = saying.say(
        state,
        template,
        share=saying.share(state, state.kept),
        points=style.points(change.difference, sign=signed) if change else "",
        span=saying.span(state),
    )
    why = _why_gone(state)
    return Finding(
        key="customer_value.retention",
        sentence=f"{why} {sentence}".strip(),  # the interval that follows is of who stayed
        **saying.measured(state, state.kept, change),
        unit="share",
        basis=_("95 % interval of the share who stayed"),
        n=saying.resting_on(state, state.retention.customers, state.retention.n),
        stake=_stake_of_staying(state),
        tone={"up": "good", "down": "bad"}.get(direction, "neutral"),
        label=_("12-month retention"),
        compare=True,
        definition=saying.say(
            state,
            _(
                "Of the {customers} who were neither dormant nor lost twelve months before the last covered day of "
                "their branch, the share who are neither on that day. With a commitment, dormant means six months of "
                "unpaid dues; without one, silent for longer than their own rhythm and the profile's limit."
            ),
        ),
        filters=(_("accepted transactions of known customers, up to the last covered day of the branch"),),
        query=saying.summary_query(state),
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
    stopped = ((now["status"] == "dormant") & now["committed"].fillna(False).astype(bool)).to_numpy()
    sides = [held[stopped], held[~stopped]]
    if any(len(side) < smallest or privacy.total_tells(saying.parts(state, side), smallest) for side in sides):
        return ""
    late = next((each for each in state.outlook.yields if each.standing == "dormant" and each.n >= MIN_GROUP), None)
    seldom = late is not None and late.interval[1] < SELDOM and not disclosure.total_hidden(state)
    template = (
        _(
            "Of those who left within the year, {held} held a regular commitment: {cancelled} of them ended it, "
            "**{unpaid} simply stopped being paid**, long enough ago to count as gone. Of what such commitments "
            "promised a year ago only {ratio} came in since ({interval}; n {n}): repair a payment before it is that "
            "old."
        )
        if seldom
        else _(
            "Of those who left within the year, {held} held a regular commitment: {cancelled} of them ended it, "
            "**{unpaid} simply stopped being paid**, long enough ago to count as gone: ask whether they mean to leave."
        )
    )
    return saying.say(
        state,
        template,
        held=style.percent(len(held) / len(gone), 0),
        cancelled=style.number(len(sides[1])),
        unpaid=style.number(len(sides[0])),
        ratio=style.percent(late.ratio) if late else "",
        interval=style.interval(*late.interval, "share") if late else "",
        n=style.number(late.n) if late else "",
    )


def _stake_of_staying(state: CustomerValue) -> float:
    """What those who left would bring over the months ahead at the mean of those here."""
    mean = state.outlook.value / max(state.n, 1)
    return float(max(state.retention.n - state.retention.kept, 0) * mean)


def below_cost(state: CustomerValue) -> Finding | None:
    shape = state.concentration
    if not state.profits.costs_known or not shape.n:
        return None
    saving, _below = contacted_in_vain(state)
    if shape.total <= 0 and not saying.total_shown(state):
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
        sentence=saying.say(
            state,
            template,
            below=saying.below(state),
            taken=style.percent(shape.taken),
            peak=style.percent(shape.peak, 0),
            saving=saying.money(state, saving),
            loss=saying.money(state, shape.total),
        ),
        **saying.measured(state, shape.below_cost, state.below_cost_change, part="profit"),
        unit="share",
        basis=_("95 % interval of the share below cost"),
        n=saying.resting_on(state, state.profits.customers, shape.n, part="profit"),
        stake=saving,
        tone="bad" if bad else "neutral",
        label=_("Below cost"),
        compare=True,
        definition=saying.say(
            state,
            _(
                "{customers}: those with {orders}, contacted at a cost or not lost in the twelve months. "
                "Profit is margin after refunds, less the cost of contacts and the cost to serve as the method page "
                "allocates it; below cost is a profit under zero."
            ),
        ),
        filters=(_("transactions and contacts of the twelve months up to the last covered day of the branch"),),
        query=saying.summary_query(state),
    )


def contacted_in_vain(state: CustomerValue) -> tuple[float, pd.DataFrame]:
    """What contacting customers below cost was spent in vain over the year; zero where it is withheld.

    The frame is the customers below cost, with `vain`, what contacting each of them is spent in vain.
    """
    frame = state.profits.customers
    below = frame[frame["profit"] < 0]
    vain = np.minimum(below["contact_cost"], -below["profit"])
    below = below.assign(vain=vain)
    if saying.hidden(state, vain, below["customer_id"]):
        return 0.0, below
    return float(vain.sum()), below


def slipping(state: CustomerValue) -> Finding | None:
    late = state.slipping
    if state.outlook.why == "one_time":  # nobody was expected back, so nobody is late
        return None
    if saying.hidden(state, late.customers["brought"], late.customers["customer_id"]):
        return None
    paying = state.matrix.pays(late.customers["customer_id"])
    if paying.all():
        what = _("contact them this month.")
    elif paying.any():
        what = (
            _("contact this month whoever of them is expected to pay for it.")
            if state.matrix.lines.priced
            else _("contact this month whoever of them is expected to bring {line}; what a contact costs is not known.")
        )
    else:
        what = (
            _("reach them at low cost, as none is expected to pay for a contact.")
            if state.matrix.lines.priced
            else _("reach them at low cost, as none is expected to bring {line}.")
        )
    known = late.stay_less and _sides_told(state)
    if known:
        template = _(
            "**{n} {customers} of high value are overdue**; last year they brought {brought}. Of the {n_late} overdue "
            "a year ago only {recovers} stayed, against {stays} of the {n_others} others ({gap} points, {low_high}): "
            "{what}"
        )
    else:
        template = _("**{n} {customers} of high value are overdue**; last year they brought {brought}: {what}")
    return Finding(
        key="customer_value.slipping_away",
        sentence=saying.say(
            state,
            template,
            n=saying.count(state, late.customers),
            brought=saying.money(state, late.brought),
            recovers=saying.share(state, late.recovers, 0),
            stays=saying.share(state, late.stays, 0),
            n_late=style.number(late.recovers.n),
            n_others=style.number(late.stays.n),
            gap=style.points(late.gap.value, sign=False),
            low_high=style.interval(late.gap.low, late.gap.high, "points"),
            what=saying.say(state, what, line=saying.line(state)),
        ),
        value=saying.resting_on(state, late.customers, len(late.customers)),
        unit="count",
        basis=_("counted; the difference to the others is an association") if known else _("counted"),
        n=saying.resting_on(state, saying.here(state), state.n),
        stake=sum(late.at_most(committed=held) or 0.0 for held in (True, False)),
        tone="bad",
        label=_("High value and overdue"),
        definition=saying.say(
            state,
            _(
                "{customers} among the best fifth by margin of the last twelve months (or by the amount promised, "
                "where that is more) whose next {order} is overdue by their own rhythm or whose dues are unpaid."
            ),
        ),
        query=saying.summary_query(state),
    )


def _sides_told(state: CustomerValue) -> bool:
    """Whether sizes and shares of those overdue a year ago and of the others may be told: they tell how many of each
    side stayed and how many did not.
    """
    base, cell = state.retention.customers, saying.min_cell(state)
    sides = [part for _late, part in base.groupby(base["status"] == "overdue")]
    told = [*sides, *(part for side in sides for _kept, part in side.groupby("kept"))]
    return not any(
        privacy.small(len(part), cell) or privacy.total_tells(saying.parts(state, part), cell) for part in told
    )


def concentration(state: CustomerValue) -> Finding | None:
    shape = state.concentration
    if style.undefined(shape.top_share) or not saying.top_shown(state):
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
    elif populations.unsaid(state, "profit"):
        template = _(
            "**The best tenth of {customers} brings {top} of the profit.** By what the best tenth of a year ago have "
            "brought since, losing one in ten would cost about {loss} a year ({interval}): a programme of their own "
            "may cost up to that, if it keeps the one in ten who would have left."
        )
    elif size <= MOST_PERSONAL:
        template = _(
            "**The best tenth of {customers} brings {top} of the profit.** By what the best tenth of a year ago have "
            "brought since, losing one in ten would cost about {loss} a year ({interval}): {n} are few enough to know "
            "by name, as long as that costs less and keeps those who would have left."
        )
    else:
        template = _(
            "**The best tenth of {customers} brings {top} of the profit.** By what the best tenth of a year ago have "
            "brought since, losing one in ten would cost about {loss} a year ({interval}): a programme of their own "
            "for the {n} may cost up to that, if it keeps the one in ten who would have left."
        )
    return Finding(
        key="customer_value.top_tenth_share",
        sentence=saying.say(
            state,
            template,
            top=style.percent(shape.top_share, 0),
            loss=saying.money(state, loss[0]) if loss else "",
            interval=style.interval(*loss[1:], "money", state.scope.profile.currency) if loss else "",
            each=saying.money(state, worth / size),
            n=style.number(size),
        ),
        value=shape.top_share,
        low=shape.top_low,
        high=shape.top_high,
        unit="share",
        basis=_("95 % interval of the share of the best tenth"),
        n=saying.resting_on(state, state.profits.customers, shape.n, part="profit"),
        stake=loss[0] if loss else 0.0,
        label=_("Profit from the best tenth"),
        definition=saying.say(
            state,
            _("Share of the profit of the last twelve months that the most profitable tenth of {customers} brought."),
        ),
        query=saying.summary_query(state),
    )


def _loss_of_one_in_ten(state: CustomerValue) -> tuple[float, float, float] | None:
    """What a tenth of the best tenth is worth a year, with the 95 % interval of the mean it rests on; None where that
    is not known, not positive or not to be shown.
    """
    since = state.best_since
    if not len(since) or saying.hidden(state, since) or since.sum() <= 0:
        return None
    n_lost = n_best(state.concentration.n) / 10
    mean, low, high = (each / len(since) * n_lost for each in summed(since.astype(float)))
    return mean, low, high
