"""Present value times future value: heat map, table and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import customers, privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.matrix import FUTURE, PRESENT
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _


def treatment_name(key: str) -> str:
    """What a cell recommends, as a word."""
    return {
        "protect": _("Protect"),
        "grow": _("Grow"),
        "win_back": _("Win back"),
        "low_cost": _("Keep at low cost"),
        "let_go": _("Let go"),
    }[key]


def present_name(state: CustomerValue, key: str) -> str:
    """A level of present value."""
    return {
        "high": _("Profit of {line} or more"),
        "middle": _("Profit under {line}"),
        "low": _("No profit, or a loss"),
        "gone_high": _("Gone; brought {line} or more a year"),
        "gone_low": _("Gone; brought less"),
    }[key].format(line=_line(state))


def future_name(state: CustomerValue, key: str) -> str:
    """A level of future value."""
    ahead = style.money(state.matrix.lines.upper * state.matrix.months / 12, state.scope.profile.currency)
    return {"high": _("{line} or more"), "middle": _("under {line}"), "low": _("nothing, or a loss")}[key].format(
        line=ahead
    )


def _line(state: CustomerValue) -> str:
    return style.money(state.matrix.lines.upper, state.scope.profile.currency)


def shown_cells(state: CustomerValue) -> pd.DataFrame:
    """The cells with somebody in them, as `Matrix.cells`, with finished text in n_text, profit_text and expected_text
    and whether the count is `hidden`. Empty where too few customers, or one above all, make the matrix up, and where
    hardly anybody comes back.
    """
    found, rule = state.matrix, state.scope.profile.privacy
    cells, each = found.cells, found.customers
    cells = cells[cells["n"] > 0].reset_index(drop=True)
    branch, behind = (of(state, each["customer_id"]) for of in (disclosure.branch_of, disclosure.margins))
    veiled = any(disclosure.hidden_amount(state, each[name], branch) for name in ("profit", "expected_value"))
    veiled = veiled or disclosure.rests_on_one(state, behind)
    if len(each) < disclosure.TELLING * rule.min_cell or veiled or found.one_time:
        return cells.iloc[:0]
    places = {cell: place for place, cell in enumerate(zip(cells["present"], cells["future"], strict=True))}
    own_place = pd.Series([places[cell] for cell in zip(each["present"], each["future"], strict=True)], each.index)
    sizes = disclosure.tally(state, each["customer_id"], own_place, cells.index)
    hidden = disclosure.hidden_here_and_gone(state, sizes, cells["present"].isin(("gone_high", "gone_low")))
    groups = dict(list(each.groupby(["present", "future"])))
    own = [groups[present, future] for present, future in zip(cells["present"], cells["future"], strict=True)]
    for name, text in (("profit", "profit_text"), ("expected_value", "expected_text")):
        parts = {str(place): group[name] for place, group in enumerate(own)}
        amounts = disclosure.sums(state, parts, branch, behind=behind if name == "expected_value" else None)
        cells[text] = [_("withheld") if veil else amounts[str(place)] for place, veil in hidden.items()]
    few = cells["n"].map(lambda n: privacy.small(n, rule.min_cell))
    return cells.assign(n_text=disclosure.counts(state, sizes).mask(hidden & ~few, _("withheld")), hidden=hidden)


def heat(state: CustomerValue) -> pd.DataFrame:
    """For the chart, one row per cell shown: present, future (finished names), share (of the expected margin; missing
    where withheld), label (finished text). Rows from the most valuable down, columns likewise.
    """
    cells = shown_cells(state)
    if cells.empty:
        return pd.DataFrame(columns=["present", "future", "share", "label"])
    total = float(cells["expected_value"].sum())
    share = cells["expected_value"] / total if total > 0 else cells["expected_value"] * np.nan
    told = ~cells["hidden"] & (cells["expected_text"] != _("withheld"))
    label = [
        "\n".join(
            (treatment_name(row.treatment), _say(state, _("{n} {customers}"), n=row.n_text), row.expected_text)
            if not row.hidden
            else (treatment_name(row.treatment), _("withheld"))
        )
        for row in cells.itertuples(index=False)
    ]
    return pd.DataFrame(
        {
            "present": [present_name(state, key) for key in cells["present"]],
            "future": [future_name(state, key) for key in cells["future"]],
            "share": share.where(told),
            "label": label,
        }
    )


def axes(state: CustomerValue) -> dict[str, list[str]]:
    """The order of the chart's rows and columns, those with nobody left out."""
    cells = shown_cells(state)
    return {
        "rows": [present_name(state, key) for key in PRESENT if key in set(cells["present"])],
        "columns": [future_name(state, key) for key in FUTURE if key in set(cells["future"])],
    }


def table(state: CustomerValue) -> pd.DataFrame:
    """The cells as text."""
    cells = shown_cells(state)
    if cells.empty:
        return pd.DataFrame()

    def of_cell(name: str) -> list[str]:
        return [
            style.DASH if veil else style.percent(part / n, 0)
            for part, n, veil in zip(cells[name], cells["n"], cells["hidden"], strict=True)
        ]

    return pd.DataFrame(
        {
            _("Last twelve months"): [present_name(state, key) for key in cells["present"]],
            _("Next {months} months, after serving").format(months=state.matrix.months): [
                future_name(state, key) for key in cells["future"]
            ],
            _("What to do"): [treatment_name(key) for key in cells["treatment"]],
            disclosure.who(state): cells["n_text"].to_list(),
            _("Share"): [
                style.DASH if veil else disclosure.of_total(state, style.percent(share))
                for share, veil in zip(cells["share"], cells["hidden"], strict=True)
            ],
            _("Profit, 12 months"): cells["profit_text"].to_list(),
            _("Expected margin"): cells["expected_text"].to_list(),
            _("Cell in doubt"): of_cell("doubtful"),
            _("Turn out elsewhere"): of_cell("elsewhere"),
        }
    )


def figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the matrix, as keyword arguments of `report.figure`."""
    if shown_cells(state).empty:
        alt = (
            _(
                "There is no matrix of present and future value: hardly anybody comes back, so that what is expected "
                "tells nobody from anybody. Reach all at the least cost, and look at who comes first."
            )
            if state.matrix.one_time
            else _("There is no matrix of present and future value: too few people, or one above all, make it up.")
        )
        return {"title": "", "alt": alt, "how_to_read": ""}
    return {
        "table": table(state),
        "title": _("Present value times future value: whom to protect, grow, win back, let go"),
        "alt": _(
            "Customers by profit of the last twelve months and by what is expected of them, with a treatment each."
        ),
        "how_to_read": f"{sentence(state)} {_reading(state)}",
    }


def sentence(state: CustomerValue) -> str:
    """Which cell holds most money and what to do, with the uncertainty of the cells."""
    cells, found = shown_cells(state), state.matrix
    told = cells[~cells["hidden"] & (cells["expected_text"] != _("withheld"))]
    total = float(cells["expected_value"].sum())
    parts = []
    if len(told) and total > 0:
        most = told.loc[told["expected_value"].idxmax()]
        template = {
            "protect": _("**{share} of the expected margin lies with {n} {customers} to protect**: serve them first."),
            "grow": _(
                "**{share} of the expected margin lies with {n} {customers} to grow**: they bring more than so far."
            ),
            "win_back": _(
                "**{share} of the expected margin lies with {n} {customers} to win back**: one attempt each."
            ),
            "low_cost": _("**{share} of the expected margin lies with {n} {customers} to keep at low cost.**"),
            "let_go": _("**{share} of the expected margin lies with {n} {customers} not worth their cost.**"),
        }[most["treatment"]]
        parts.append(_say(state, template, n=most["n_text"], share=style.percent(most["expected_value"] / total, 0)))
    # A sum over several cells, one of them hidden, would tell that one.
    treated = {key: group for key, group in cells.groupby("treatment") if not group["hidden"].any()}
    if "win_back" in treated:
        parts.append(
            _say(
                state,
                _("To win back: {n}, the most valuable first, as long as an attempt costs less than it brings."),
                n=style.number(treated["win_back"]["n"].sum()),
            )
        )
    if "let_go" in treated:
        parts.append(
            _say(
                state,
                _("To let go: {n} of whom no more is expected than they cost to serve."),
                n=style.number(treated["let_go"]["n"].sum()),
            )
        )
    if not style.undefined(found.share("elsewhere")):
        parts.append(
            _(
                "The forecast itself leaves the cell of {doubtful} in doubt; as single people vary, {elsewhere} will "
                "prove to belong in another cell, {otherwise} in one with another treatment: these are odds, not "
                "labels."
            ).format(
                doubtful=style.percent(found.share("doubtful"), 0),
                elsewhere=style.percent(found.share("elsewhere"), 0),
                otherwise=style.percent(found.share("otherwise"), 0),
            )
        )
    if found.customers["status"].isin(customers.GONE).any() and state.outlook.way == "class":
        parts.append(
            _(
                "No model tells who has gone for good: all who have been silent for the months last checked are "
                "expected to bring the same, too much for those dormant or lost."
            )
        )
    return " ".join(parts)


def _say(state: CustomerValue, template: str, **values: str) -> str:
    return template.format(customers=words(state.scope.profile).customers, **values)


def _reading(state: CustomerValue) -> str:
    lines = {
        "contact": _(
            "The lines come from costs: zero, and {line}, what contacting one of them costs a year; future value is "
            "the expected margin less the cost to serve."
        ),
        "serve": _(
            "The lines come from costs: zero, and {line}, what serving one of them costs a year, as contacts carry no "
            "cost; future value is the expected margin less the cost to serve."
        ),
        "median": _(
            "No cost is known, so nobody can be said to cost too much; the line is {line}, the median of the profits "
            "above zero: it divides, it does not say what pays."
        ),
    }[state.matrix.lines.basis]
    return " ".join(
        (
            lines.format(line=_line(state)),
            _("Darker: more of the expected margin. Gone: dormant or lost, by what they used to bring."),
            _("Blank: nobody. Withheld: too few to show, or left out so that those cannot be worked out."),
        )
    )
