"""Value by year of tenure, three ways: chart, table and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _


def way_name(key: str) -> str:
    """The name of a way of looking at tenure."""
    return {
        "survivors": _("Those who paid in that year"),
        "followed": _("The same people, who paid in the last year"),
        "acquired": _("All who came, leavers with nothing"),
    }[key]


def lines(state: CustomerValue) -> pd.DataFrame:
    """year, way (finished name), mean, low, high, n, n_text; empty where too few are left, or one brings most."""
    found, cell = state.tenure, state.scope.profile.privacy.min_cell
    frame = found.years
    if frame.empty or (frame["n"] < 2 * cell).any() or _tells(found.n, frame["n"], cell):
        return frame.iloc[:0]
    if found.largest > state.scope.profile.privacy.dominance_share:
        return frame.iloc[:0]
    who = [
        found.members.index[found.members[found.n_years - 1 if way == "followed" else year - 1] | (way == "acquired")]
        for year, way in zip(frame["year"], frame["way"], strict=True)
    ]
    shown = [disclosure.count(state, n, ids) for n, ids in zip(frame["n"], who, strict=True)]
    return frame.assign(way=frame["way"].map(way_name), n_text=shown)


def _tells(whole: int, parts: pd.Series, cell: int) -> bool:
    return any(privacy.tells(part, whole, cell) for part in parts)


def table(state: CustomerValue) -> pd.DataFrame:
    """The means as text."""
    frame, currency = lines(state), state.scope.profile.currency
    who = words(state.scope.profile).customers
    return pd.DataFrame(
        {
            _("Year of tenure"): frame["year"].map(style.number),
            _("Way"): frame["way"],
            who[:1].upper() + who[1:]: frame["n_text"],
            _("Margin a head"): frame["mean"].map(lambda value: style.money(value, currency)),
            _("95 % interval"): [
                style.interval(low, high, "money", currency)
                for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
        }
    )


def figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the years of tenure, as keyword arguments of `report.figure`."""
    if lines(state).empty:
        alt = _("Value by year of tenure is not told: too few truly new {customers} have been here for two full years.")
        return {"title": "", "alt": alt.format(customers=words(state.scope.profile).customers), "how_to_read": ""}
    note = _(
        "{n} {customers} whose first {years} years are all covered, by years from their own first {order}; margin "
        "after refunds, since what a {customer} cost in earlier years is not recorded. Bars: 95 % interval over "
        "{customers}."
    ).format(
        n=disclosure.count(state, state.tenure.n, state.tenure.members.index),
        customers=words(state.scope.profile).customers,
        customer=words(state.scope.profile).customer,
        order=words(state.scope.profile).order,
        years=state.tenure.n_years,
    )
    return {
        "table": table(state),
        "title": _("Does value grow with the years?"),
        "alt": _("Margin a head by year of tenure: survivors, the same people followed, and all who came."),
        "how_to_read": f"{sentence(state)} {note}",
    }


def sentence(state: CustomerValue) -> str:
    """How much survivorship flatters, whether those who stayed grew, and what to do."""
    found, currency = state.tenure, state.scope.profile.currency
    said = {
        "customers": words(state.scope.profile).customers,
        "customer": words(state.scope.profile).customer,
        "year": found.n_years,
        "survivors": style.money(found.mean("survivors", found.n_years), currency),
        "acquired": style.money(found.mean("acquired", found.n_years), currency),
        "flattery": style.money(found.flattery, currency),
        "between": style.interval(found.flattery_low, found.flattery_high, "money", currency),
        "growth": style.money(found.growth, currency),
        "interval": style.interval(found.growth_low, found.growth_high, "money", currency),
    }
    head = _(
        "**Survivors flatter year {year} by {flattery} a head** ({between}): who still paid brought {survivors}, all "
        "who came {acquired}."
    )
    if found.growth_low > 0:
        tail = _(
            "The same people brought {growth} more than in their first year ({interval}): keeping them is worth more "
            "each year, so spend on the first year's leavers."
        )
    elif found.growth_high < 0:
        tail = _(
            "The same people brought less than in their first year ({growth}; {interval}): plan with all who came, not "
            "with survivors, and make the second year's offer."
        )
    else:
        tail = _(
            "The same people brought neither more nor less than in their first year, within noise ({interval}): plan "
            "with all who came, not with survivors."
        )
    return f"{head.format(**said)} {tail.format(**said)}"
