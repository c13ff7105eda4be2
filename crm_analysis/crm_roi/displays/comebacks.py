"""How a win-back list came back by itself: table and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi.study import Study
from crm_analysis.language import _

__all__ = ["figure", "groups", "sentence"]


def groups(study: Study) -> pd.DataFrame:
    """Margin before and after by group; empty without a win-back list."""
    if study.comeback is None:
        return pd.DataFrame(columns=["group", "n", "before", "after", "low", "high"])
    return study.comeback.groups


def figure(study: Study) -> dict[str, Any]:
    """Words and table, as keyword arguments of `report.figure`."""
    title = _("How a win-back list comes back by itself")
    found = study.comeback
    if study.evaluation.without_tables:
        return {"title": "", "alt": " ", "how_to_read": ""}
    if found is None:
        return {
            "title": title,
            "alt": _("No win-back programme has closed so far, so there is no list to look at."),
            "how_to_read": "",
        }
    note = _(
        "Before: as long a time just before the start, in which the silent paid little or nothing by definition. "
        "Whoever is chosen for silence can only rise. The grey line is no fair comparison, since somebody chose the "
        "list; the held-out members are, being drawn at random. The rise itself is no effect of the programme."
    )
    return {
        "title": title,
        "table": _table(study),
        "alt": _("Margin per person before and after the start of {name}, by group.").format(name=found.name),
        "how_to_read": f"{sentence(study)} {note}",
    }


def sentence(study: Study) -> str:
    """By how much people came back without the programme."""
    found = study.comeback
    if found is None:
        return ""
    currency = study.evaluation.currency
    rows = found.groups.set_index("group")
    for group, template in (
        (
            "held_out",
            _("**The held-out members of {name} rose from {before} to {after} each without it** ({interval})."),
        ),
        (
            "others",
            _("**Others as silent as the list of {name} rose from {before} to {after} each without it** ({interval})."),
        ),
        (
            "treated",
            _(
                "The members of {name} rose from {before} to {after} each ({interval}); how much of it by themselves "
                "nobody can say."
            ),
        ),
    ):
        if group in rows.index:
            row = rows.loc[group]
            return template.format(
                name=style.escape(found.name),
                before=style.money(row["before"], currency),
                after=style.money(row["after"], currency),
                interval=style.interval(row["low"], row["high"], "money", currency),
            )
    return ""


def _table(study: Study) -> pd.DataFrame:
    found, currency = study.comeback, study.evaluation.currency
    if found is None:
        return pd.DataFrame()
    names = {
        "treated": _("on the list, called"),
        "held_out": _("on the list, held out"),
        "others": _("not on the list, silent for {low} to {high} days too").format(
            low=found.silent_from, high=found.silent_to
        ),
    }
    frame = found.groups
    return pd.DataFrame(
        {
            _("Group"): [names[group] for group in frame["group"]],
            _("People"): [style.number(n) for n in frame["n"]],
            _("Margin each, as long before"): [style.money(value, currency) for value in frame["before"]],
            _("Margin each, in the window"): [
                _("{value} ({interval})").format(
                    value=style.money(after, currency), interval=style.interval(low, high, "money", currency)
                )
                for after, low, high in zip(frame["after"], frame["low"], frame["high"], strict=True)
            ],
        }
    )
