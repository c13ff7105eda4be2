"""How the chapter's numbers are said: words of the organisation, money, counts, and what must not be told."""

from __future__ import annotations

from typing import Any

import ibis
import pandas as pd

from crm_analysis import customers, privacy, style
from crm_analysis.customer_value import disclosure, populations
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.profits import n_best
from crm_analysis.customer_value.wording import words
from crm_analysis.estimators.proportions import Proportion
from crm_analysis.findings import Change

ALPHA = 0.05


def say(state: CustomerValue, template: str, **values: object) -> str:
    """A template with the organisation's own words in it."""
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


def money(state: CustomerValue, amount: float) -> str:
    """An amount in the profile's currency."""
    return style.money(amount, state.scope.profile.currency)


def share(state: CustomerValue, share: Proportion, digits: int = 1) -> str:
    """A share of customers; of few, not to the digit."""
    return style.share(round(share.share * share.n) if share.n else 0, share.n, min_cell(state), digits)


def min_cell(state: CustomerValue) -> int:
    """The fewest customers that may be told."""
    return state.scope.profile.privacy.min_cell


def line(state: CustomerValue) -> str:
    """What is to be expected of a customer over the months ahead, from which on the matrix advises a contact."""
    return money(state, state.matrix.lines.upper * state.matrix.months / 12)


def sure(state: CustomerValue, share: Proportion) -> str:
    """Interval and number of a share of customers, in brackets; empty where they would tell how few they are."""
    if disclosure.total_hidden(state) or privacy.tells(round(share.share * share.n), share.n, min_cell(state)):
        return ""
    return f" ({style.interval(share.low, share.high, 'share')}; n {style.number(share.n)})"


def count(state: CustomerValue, frame: pd.DataFrame) -> str:
    """A number of customers; one that would tell few is not shown."""
    return privacy.count(len(frame), state.scope.profile.privacy.min_cell, parts=parts(state, frame))


def parts(state: CustomerValue, frame: pd.DataFrame) -> list[int]:
    """How many of the customers the pages of the branches count, where this page counts them all."""
    return frame["branch"].value_counts().to_list() if state.scope.branch == "all" else []


def below(state: CustomerValue) -> str:
    """The share below cost; in whole per cent where it would tell, beside its count, how many the profit is of."""
    return share(state, state.concentration.below_cost, 0 if populations.unsaid(state, "profit") else 1)


def resting_on(state: CustomerValue, frame: pd.DataFrame, n: int, *, part: str = "") -> int | None:
    """`n`, of the customers in `frame`, unless it would tell how many a small branch has, or how many a `part` of the
    page counts that does not say so.
    """
    if part and part not in populations.told(state):
        return None
    return None if privacy.total_tells(parts(state, frame), state.scope.profile.privacy.min_cell) else n


def measured(
    state: CustomerValue, share: Proportion, change: customers.ShareChange | None, *, part: str = ""
) -> dict[str, Any]:
    """The numbers of a finding about a share of customers; none where they would tell how few they are, nor more than
    whole per cent where they would tell how many a `part` of the page counts.
    """
    if privacy.tells(round(share.share * share.n), share.n, min_cell(state)):
        return {"value": None}
    if disclosure.total_hidden(state) or (
        part and part not in populations.told(state)
    ):  # an interval tells how many a share is of
        return {"value": round(share.share, 2)}
    return {"value": share.share, "low": share.low, "high": share.high, "change": _change(change)}


def _change(change: customers.ShareChange | None) -> Change | None:
    if change is None:
        return None
    return Change(previous=change.previous, difference=change.difference, low=change.low, high=change.high, p=change.p)


def span(state: CustomerValue) -> str:
    """The interval of the change in who stayed, in brackets; empty where it would tell how few they are."""
    change, kept = state.retention_change, state.kept
    if change is None or privacy.tells(round(kept.share * kept.n), kept.n, min_cell(state)):
        return ""
    return "" if disclosure.total_hidden(state) else f" ({style.interval(change.low, change.high, 'points')})"


def direction(state: CustomerValue) -> str:
    """up, down, noise, or alone where there is no earlier period."""
    change = state.retention_change
    if change is None:
        return "alone"
    if change.p >= ALPHA:
        return "noise"
    return "up" if change.difference > 0 else "down"


def hidden(state: CustomerValue, amounts: pd.Series, ids: pd.Series | None = None) -> bool:
    """Whether a sum of customers' amounts must not be shown; nothing is not worth a sentence either.

    With `ids`, the customers, also where it would tell what one branch's page withholds.
    """
    given = amounts[amounts != 0]
    branch = disclosure.branch_of(state, ids[amounts != 0]) if ids is not None else None
    return given.empty or disclosure.hidden_amount(state, given, branch)


def top_shown(state: CustomerValue) -> bool:
    """Whether the best tenth are enough customers to speak of, none of whom is most of it."""
    profit = state.profits.customers["profit"].astype(float)
    return not hidden(state, profit.nlargest(n_best(state.concentration.n)))


def total_shown(state: CustomerValue) -> bool:
    return not hidden(state, state.profits.customers["profit"], state.profits.customers["customer_id"])


def withheld(state: CustomerValue) -> bool:
    """Whether the value to come cannot be shown: nothing expected, or too few or too dominant customers behind it."""
    foreseen = state.outlook.customers
    expected = foreseen["expected_value"]
    return hidden(state, expected[expected > 0]) or disclosure.rests_on_one(
        state, disclosure.margins(state, foreseen["customer_id"])
    )


def here(state: CustomerValue) -> pd.DataFrame:
    """Customers who are neither dormant nor lost."""
    return state.status[~state.status["status"].isin(customers.GONE)]


def summary_query(state: CustomerValue) -> str:
    summary = customers.summarize(
        state.scope.table("transactions"), as_of=state.scope.as_of, coverage=state.scope.coverage
    )
    return str(ibis.to_sql(summary))
