"""What the data cannot say, and what would let them."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.sentences import saying
from crm_analysis.language import _
from crm_analysis.units import add_months

CORRELATED = 0.1


def unknowns(state: CustomerValue) -> list[str]:
    outlook = state.outlook
    found = []
    if not state.profits.costs_known:
        found.append(
            saying.say(
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
            saying.say(
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
            saying.say(
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
        found.append(saying.say(state, template, r=style.number(spend.correlation, 2)))
    if outlook.way == "class" and outlook.why != "one_time" and outlook.holdout is not None:
        months = outlook.holdout.months
        if months < outlook.months:
            found.append(
                saying.say(
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
            saying.say(
                state,
                _(
                    "Whether a contact keeps {customers} who are overdue: nobody was held out. Hold out half of the "
                    "list and the next edition will say."
                ),
            )
        )
    return found
