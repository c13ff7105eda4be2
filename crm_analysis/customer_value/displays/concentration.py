"""How unevenly margin and profit are spread: Lorenz curve, shares of the best, groups, and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.customer_value import disclosure, populations
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _

EVEN = 0.2  # a Gini coefficient below which nobody stands out
STEEP = 0.6  # above which a few carry the whole


def lorenz(state: CustomerValue) -> pd.DataFrame:
    """The Lorenz curve; empty where so few customers, or one above all, make it up that they show."""
    found, frame = state.inequality, state.profits.customers
    margin = frame.loc[frame["n_orders"] > 0, "margin"].clip(lower=0)
    best = margin.nlargest(max(round(len(margin) / 10), 1))
    shown = found.n >= disclosure.TELLING * state.scope.profile.privacy.min_cell
    return found.curve if shown and not disclosure.hidden_amount(state, best) else found.curve.iloc[:0]


def top_table(state: CustomerValue) -> pd.DataFrame:
    """What the best 1 to 50 % bring, with intervals; those of too few people or of one above all are left out."""
    profit = state.profits.customers["profit"].astype(float)
    rows = [
        (
            style.percent(row.top, 0),
            populations.said(state, "profit", style.number(row.n)),
            style.percent(row.share),
            style.interval(row.low, row.high, "share"),
        )
        for row in state.inequality.tops.itertuples(index=False)
        if row.n >= state.scope.profile.privacy.min_cell
        and not disclosure.hidden_amount(state, profit.nlargest(row.n))
        and not style.undefined(row.share)
    ]
    return pd.DataFrame(rows, columns=[_("The best"), disclosure.who(state), _("Share of profit"), _("95 % interval")])


def figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the Lorenz curve, as keyword arguments of `report.figure`."""
    found = state.inequality
    if lorenz(state).empty:
        alt = _("There is no Lorenz curve: too few people paid in the last twelve months, or one above all.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    note = _(
        "By margin from the smallest up, those {customers} who paid in the last twelve months (after refunds; below "
        "nothing counts as nothing). On the dashed line all would bring the same; the further the curve sags, the "
        "fewer carry the whole. The table is of profit, of all {customers}."
    ).format(customers=disclosure.who_lower(state))
    return {
        "table": top_table(state),
        "title": _("How unevenly margin is spread"),
        "alt": _("Lorenz curve of margin, Gini coefficient {gini}.").format(gini=style.number(found.gini, 2)),
        "how_to_read": f"{sentence(state)} {note}",
    }


def sentence(state: CustomerValue) -> str:
    """How uneven, with its interval, and what to do."""
    found = state.inequality
    said = {
        "customers": disclosure.who_lower(state),
        "gini": style.number(found.gini, 2),
        "interval": style.interval(found.low, found.high, "ratio"),
    }
    if found.gini < EVEN:
        text = _("**Margin is spread evenly over {customers}: Gini {gini}** ({interval}). One service for all will do.")
    elif found.gini < STEEP:
        text = _(
            "**Margin is spread unevenly over {customers}: Gini {gini}** ({interval}; 0 is all alike, 1 is one for "
            "all). Let effort follow the tiers."
        )
    else:
        text = _(
            "**A few carry the whole: Gini {gini}** ({interval}; 0 is all alike, 1 is one for all). Know the best "
            "{customers} by name, and do not plan on averages."
        )
    return text.format(**said)


def group_table(state: CustomerValue) -> dict[str, Any]:
    """Profit by group of customers, as keyword arguments of `report.table`."""
    found, currency = state.inequality.groups, state.scope.profile.currency
    title = _("Profit by group of {customers}").format(customers=words(state.scope.profile).customers)
    if lorenz(state).empty or found["share"].isna().any():
        return {"title": title, "frame": None, "note": ""}
    everybody = state.profits.customers
    profit = everybody["profit"].astype(float)
    if disclosure.hidden_amount(state, profit, disclosure.branch_of(state, everybody["customer_id"])):
        return {"title": title, "frame": None, "note": ""}
    profit = profit.sort_values(ascending=False, ignore_index=True)
    ends = found["n"].cumsum()
    parts = {str(row): profit.iloc[ends[row] - found["n"][row] : ends[row]] for row in found.index}
    amounts = disclosure.sums(state, parts)
    hidden = [amounts[str(row)] == _("withheld") for row in found.index]
    last = found.iloc[-1]
    note = _("Groups as a much quoted case cuts them (it has 80, 25, 16, 2 and −22 % of profit).")
    if last["high"] < 0 and not hidden[-1]:
        note = _(
            "**The last group takes {share} of the profit away again** ({interval}): serve it through the cheapest "
            "channel. Groups as a much quoted case cuts them (it has 80, 25, 16, 2 and −22 % of profit)."
        ).format(share=style.percent(-last["share"]), interval=style.interval(-last["high"], -last["low"], "share"))
    share = pd.Series([style.percent(value) for value in found["share"]])
    between = pd.Series([style.interval(a, b, "share") for a, b in zip(found["low"], found["high"], strict=True)])
    each = pd.Series([style.money(value, currency) for value in found["per_head"]])
    veil = pd.Series(hidden)
    frame = pd.DataFrame(
        {
            _("Most profitable first"): [style.percent(value, 0) for value in found["share_of_customers"]],
            disclosure.who(state): [populations.said(state, "profit", style.number(n)) for n in found["n"]],
            _("Profit"): [amounts[str(row)] for row in found.index],
            _("Share of profit"): share.mask(veil, style.DASH),
            _("95 % interval"): between.mask(veil, style.DASH),
            _("A head"): each.mask(veil | populations.unsaid(state, "profit"), style.DASH),
        }
    )
    return {"title": title, "frame": frame, "note": note}
