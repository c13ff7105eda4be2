"""Whether the model has the customers that there are, and who is still there by it: tables and words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.displays.future import silent_classes, silent_names
from crm_analysis.customer_value.fit_check import repeats, still_there
from crm_analysis.customer_value.holdout import CLASSES, purchase_class
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _


def counted(state: CustomerValue) -> dict[str, Any]:
    """How many came back how often, counted and by the model, as keyword arguments of `report.table`."""
    title, outlook = _("Does the model have them as they are?"), state.outlook
    cell = state.scope.profile.privacy.min_cell
    if outlook.fit is None or outlook.why == "one_time" or len(outlook.histories) < disclosure.TELLING * cell:
        return {"title": title, "frame": None, "note": ""}
    found = repeats(outlook.fit, outlook.histories).set_index("repeat_purchases")
    history = outlook.histories.frame
    sizes = disclosure.tally(state, history.index, purchase_class(history["x"]), found.index)
    shown, hidden = disclosure.counts(state, sizes), disclosure.hidden_counts(state, sizes)
    found = found.assign(hidden=hidden)
    told = found[~found["hidden"]]
    who = words(state.scope.profile)
    frame = pd.DataFrame(
        {
            _("Repeat {orders}").format(orders=who.orders): list(found.index),
            disclosure.who(state): shown.to_list(),
            _("By the model"): [_or_dash(row.hidden, style.number(row.foreseen)) for row in found.itertuples()],
            _("By chance, if it holds"): [
                _or_dash(row.hidden, style.interval(row.low, row.high, "count")) for row in found.itertuples()
            ],
        }
    )
    outside = told[~told["n"].between(told["low"], told["high"])]
    values = {"model": outlook.fit.model, "classes": len(told), "missed": len(outside), "orders": who.orders}
    if outside.empty:
        said = _("**Yes: in all {classes} classes as many as the {model} model says, within chance.** ")
    else:
        worst = (outside["n"] - outside["foreseen"]).abs().idxmax()
        values |= {
            "repeats": worst,
            "foreseen": style.number(outside.loc[worst, "foreseen"]),
            "n": style.number(outside.loc[worst, "n"]),
        }
        said = _(
            "**Not quite: beyond chance in {missed} of {classes} classes**, most of all at number of repeats "
            "{repeats}, {foreseen} by the {model} model and {n} counted. Trust it for sums, not for that class. "
        )
    read = _(
        "Counted: all those valued without a commitment. By the model: as many new ones, observed for as long. With "
        "many people the smallest misfit is beyond chance; the holdout says whether it matters."
    )
    return {"title": title, "frame": frame, "note": said.format(**values) + read}


def _or_dash(hidden: bool, text: str) -> str:
    return style.DASH if hidden else text


def alive(state: CustomerValue) -> dict[str, Any]:
    """The chance of being still there by repeats and silence, as keyword arguments of `report.table`."""
    title, outlook = _("Who is still there, by the model?"), state.outlook
    history = outlook.histories.frame
    came_back = history[history["x"] > 0]
    cell = state.scope.profile.privacy.min_cell
    if outlook.way != "model" or outlook.fit is None or len(came_back) < disclosure.TELLING * cell:
        return {"title": title, "frame": None, "note": ""}
    chance = outlook.customers.set_index("customer_id")["probability_alive"].reindex(came_back.index).astype(float)
    groups = chance.groupby([purchase_class(came_back["x"]), silent_classes(came_back)])
    means = groups.mean()[groups.size() >= cell].unstack()
    means = means.reindex(
        index=[name for _lower, name in CLASSES if name in means.index],
        columns=[name for name in silent_names() if name in means.columns],
    )
    shown = means.map(lambda value: style.percent(value, 0) if value == value else style.DASH)
    share = still_there(outlook.fit, replace(outlook.histories, frame=came_back))
    who = words(state.scope.profile)
    note = _(
        "**Of the {customers} who came back at least once, {share} ({interval}) are still there.** Cells: mean chance, "
        "by months of silence. The same silence says more of those who came often: call the frequent ones early. It is "
        "a chance, no list; each one's own is in the export. Who never came back cannot be judged by silence and is "
        "left out; a dash: too few."
    ).format(
        customers=who.customers,
        share=style.percent(share.value, 0),
        interval=style.interval(share.low, share.high, "share"),
    )
    frame = shown.rename_axis(index=_("Repeat {orders}").format(orders=who.orders), columns=None).reset_index()
    return {"title": title, "frame": frame, "note": note}
