"""Numbers for comparison and the front page that need no sentence."""

from __future__ import annotations

from crm_analysis import privacy
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.sentences import saying
from crm_analysis.findings import Finding
from crm_analysis.language import _


def measures(state: CustomerValue) -> list[Finding]:
    """Numbers for comparison and the front page that need no sentence."""
    found = [
        Finding(
            key="customer_value.customers",
            sentence="",
            value=None
            if privacy.small(state.n, state.scope.profile.privacy.min_cell)
            else saying.resting_on(state, saying.here(state), state.n),
            unit="count",
            basis=_("counted"),
            n=saying.resting_on(state, state.status, len(state.status), part="all"),
            label=_("Still here"),
            compare=True,
            definition=saying.say(state, _("{customers} who are new, active, overdue or reactivated.")),
            query=saying.summary_query(state),
        )
    ]
    if state.outlook.why == "one_time":
        found.append(
            Finding(
                key="customer_value.never_back",
                sentence="",
                **saying.measured(state, state.outlook.one_time, None),
                unit="share",
                basis=_("95 % interval"),
                n=saying.resting_on(state, state.status, state.outlook.one_time.n),
                label=_("Never came back"),
                definition=saying.say(
                    state,
                    _("{customers} without a second {order}, of those whose first is at least {days} days old."),
                    days=state.outlook.one_time_days,
                ),
                query=saying.summary_query(state),
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
                n=saying.resting_on(state, state.status, check.n),
                label=_("Forecast error in the holdout"),
            )
        )
    return found
