"""What the present value rests on: the tornado and the draws."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import cells
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.sensitivity import PERCENTILES, Sensitivity
from crm_analysis.crm_roi.study import Study
from crm_analysis.language import _

__all__ = ["bars", "draws", "figure"]

MOST_PANELS = 3


def assumption(code: str) -> str:
    """An assumption by name."""
    return {
        "effect": _("effect, 95 % interval"),
        "margin_rate": _("margin rate"),
        "contact_cost": _("cost of contacts"),
        "other_costs": _("other planned costs"),
        "unplanned": _("costs nobody planned"),
        "discount_rate": _("discount rate"),
        "shared": _("part of the shared systems"),
        "after": _("what followed the window"),
    }[code]


def _setting(code: str, low: float, high: float) -> str:
    """What an assumption was set to at either end."""
    if code in ("margin_rate", "discount_rate"):
        return style.interval(low, high, "share", digits=0)
    if code in ("contact_cost", "other_costs"):
        return _("{low} to {high} times").format(low=style.number(low, 1), high=style.number(high, 1))
    return {
        "effect": _("sampling error"),
        "unplanned": _("as much as elsewhere here, or avoided"),
        "shared": _("charged, or not"),
        "after": _("not counted, or counted"),
    }[code]


def _shown(study: Study) -> list[Sensitivity]:
    return sorted(study.finance.sensitivity, key=lambda each: -abs(each.base))[:MOST_PANELS]


def bars(study: Study) -> pd.DataFrame:
    """name, base, label, at_low, at_high, per assumption, widest first; those campaigns with most money."""
    parts = [
        each.bars.assign(
            name=each.name,
            base=each.base,
            label=[assumption(code) for code in each.bars["assumption"]],
        )
        for each in _shown(study)
    ]
    columns = ["name", "base", "label", "at_low", "at_high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def figure(study: Study) -> dict[str, Any]:
    """The tornado, as keyword arguments of `report.figure`."""
    evaluation = study.evaluation
    currency = evaluation.currency
    found = _shown(study)
    if evaluation.without_tables:
        alt = " "
    elif not found:
        alt = _("No programme of this period has a present value whose assumptions could be moved.")
    else:
        alt = " ".join(_sentence(each, currency) for each in found)
    rows = [
        (
            style.plain(each.name),
            assumption(row.assumption),
            _setting(row.assumption, row.low_input, row.high_input),
            style.money(row.at_low, currency),
            style.money(row.at_high, currency),
        )
        for each in study.finance.sensitivity
        for row in each.bars.itertuples(index=False)
    ]
    columns = [_("Programme"), _("Assumption"), _("Set to"), _("Present value then, first"), _("second")]
    return {
        "table": pd.DataFrame(rows, columns=columns),
        "title": _("What the result rests on"),
        "alt": alt,
        "how_to_read": _(
            "Each bar moves one assumption between its ends and leaves the others; the widest matters most. The dark "
            "line is the present value as it stands, the thin one zero: a bar that crosses zero can turn the verdict. "
            "On the right: the present value at either end. Ends of margin rate, costs and discount rate are settings "
            "of the profile (roi.ranges)."
        ),
    }


def _sentence(each: Sensitivity, currency: str) -> str:
    crossing = [assumption(row.assumption) for row in each.bars.itertuples(index=False)
                if min(row.at_low, row.at_high) < 0 < max(row.at_low, row.at_high)]  # fmt: skip
    said = {
        "name": style.plain(each.name),
        "value": style.money(each.base, currency),
        "names": ", ".join(crossing),
    }
    if crossing:
        return _("{name}: present value {value}; these could turn it: {names}.").format(**said)
    return _("{name}: present value {value}; no single assumption turns it.").format(**said)


def draws(study: Study) -> dict[str, Any]:
    """The present value with everything drawn together, as keyword arguments of `report.table`."""
    evaluation = study.evaluation
    currency = evaluation.currency
    rows = [
        {
            _("Programme"): style.plain(each.name),
            _("Present value"): style.money(each.base, currency),
            _("Chance that it is above zero"): cells.chance(each.chance),
            **{_("{p} % of draws below").format(p=p): style.money(each.percentiles[p], currency) for p in PERCENTILES},
        }
        for each in study.finance.sensitivity
    ]
    n = study.finance.sensitivity[0].n_draws if study.finance.sensitivity else 0
    return intervals.noted(
        evaluation,
        _("Everything drawn together"),
        pd.DataFrame(rows),
        _(
            "{n} draws, the same each time: the effect from its sampling distribution, margin rate, costs and discount "
            "rate between the ends of the figure above, the profile's own value the likeliest. Costs nobody planned "
            "are as they were; shared systems and what followed the window are left out."
        ).format(n=style.number(n)),
    )
