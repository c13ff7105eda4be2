"""The bridge from last year's value to this year's: chart, table and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.bridge import CAME, FACTORS, STEPS, WENT, Bridge
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _


def step_name(key: str) -> str:
    """The name of a step."""
    return {
        "began": _("Branches new to the data"),
        "lost": _("Left: nothing this year"),
        "leaving": _("Leaving: dormant or lost by now"),
        "new": _("New this year"),
        "ripened": _("New last year, now a whole year"),
        "back": _("Came back this year"),
        "breadth": _("Stayed: more or fewer kinds"),
        "frequency": _("Stayed: how often, within a kind"),
        "amount": _("Stayed: amount each time"),
        "rate": _("Stayed: margin rate"),
        "refunds": _("Refunds"),
        "others": _("Other steps together"),
    }[key]


def shown_steps(state: CustomerValue) -> pd.DataFrame:
    """The steps a page may show: step, amount, low, high, n; what must not be shown stands together as `others`.

    Steps that nobody took are left out. `others` takes the next smallest steps until it may be shown itself. Empty
    where there is no bridge, or its ends must not be shown, or nothing but all steps together may be.
    """
    found, rule, year = state.bridge, state.scope.profile.privacy, state.profits.customers
    frame = found.steps[found.steps["n"] > 0]
    each = found.customers
    if (
        frame.empty
        or len(each) < rule.min_cell
        or privacy.dominated(year["margin"], rule.dominance_share)
        or disclosure.hidden_amount(state, year["margin"], disclosure.branch_of(state, year["customer_id"]))
    ):
        return found.steps.iloc[:0]
    branch = disclosure.branch_of(state, each["customer_id"])
    hidden = pd.Series(
        {step: disclosure.hidden_amount(state, each[step], branch) for step in frame["step"]}, dtype=bool
    )
    hidden = privacy.complement(hidden, frame.set_index("step")["amount"])
    veiled = frame["step"].map(hidden)
    if not veiled.any():
        return frame.reset_index(drop=True)
    together = each[list(frame.loc[veiled, "step"])].sum(axis=1)
    while disclosure.hidden_amount(state, together, branch):
        rest = frame.loc[~veiled, "amount"].abs()
        if rest.empty:
            return found.steps.iloc[:0]
        veiled[rest.idxmin()] = True
        together = each[list(frame.loc[veiled, "step"])].sum(axis=1)
    other = pd.DataFrame({"step": ["others"], "amount": together.sum(), "n": int((together != 0).sum())})
    return pd.concat([frame[~veiled], other], ignore_index=True)


def waterfall(state: CustomerValue) -> pd.DataFrame:
    """step (finished name), start, end, low, high (of the end), label, kind (total, up, down), from top to bottom."""
    steps, found, currency = shown_steps(state), state.bridge, state.scope.profile.currency
    columns = ["step", "start", "end", "low", "high", "label", "kind"]
    if steps.empty:
        return pd.DataFrame(columns=columns)
    rows = [(_("Twelve months before"), 0.0, found.before, None, None, style.money(found.before, currency), "total")]
    at = found.before
    for row in steps.itertuples(index=False):
        text = f"{'+' if row.amount > 0 else ''}{style.money(row.amount, currency)}"
        kind = "up" if row.amount > 0 else "down"
        rows.append((step_name(row.step), at, at + row.amount, at + row.low, at + row.high, text, kind))
        at += row.amount
    rows.append((_("Last twelve months"), 0.0, found.after, None, None, style.money(found.after, currency), "total"))
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(low=frame["low"].astype(float), high=frame["high"].astype(float))


def table(state: CustomerValue) -> pd.DataFrame:
    """The steps as text."""
    steps, found, currency = shown_steps(state), state.bridge, state.scope.profile.currency
    if steps.empty:
        return pd.DataFrame()
    each, apart = found.customers, [step for step in steps["step"] if step != "others"]
    rest = [step for step in found.steps["step"] if step not in apart]
    took = {step: each[step] != 0 for step in apart} | {"others": (each[rest].sum(axis=1) != 0)}
    rows = [(_("Twelve months before"), style.DASH, style.money(found.before, currency), style.DASH)]
    for row in steps.itertuples(index=False):
        low_high = style.interval(row.low, row.high, "money", currency)
        n = disclosure.count(state, row.n, each.loc[took[row.step], "customer_id"])
        rows.append((step_name(row.step), n, style.money(row.amount, currency), low_high))
    if not found.kinds:
        rows.append((step_name("breadth"), style.DASH, style.DASH, _("no column tells kinds apart")))
    rows.append((_("Last twelve months"), style.DASH, style.money(found.after, currency), style.DASH))
    who = words(state.scope.profile).customers
    return pd.DataFrame(rows, columns=[_("Step"), who[:1].upper() + who[1:], _("Margin"), _("95 % interval")])


def figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the bridge, as keyword arguments of `report.figure`."""
    found, currency = state.bridge, state.scope.profile.currency
    if shown_steps(state).empty:
        alt = {
            "short": _("There is no bridge between two years: the data do not reach back over both."),
            "empty": _("There is no bridge between two years: nobody bought in either."),
        }.get(found.why, _("There is no bridge between two years: too few people, or one above all, make it up."))
        return {"title": "", "alt": alt, "how_to_read": ""}
    return {
        "table": table(state),
        "title": _("Why value rose or fell"),
        "alt": _("Margin from {before} to {after}, step by step.").format(
            before=style.money(found.before, currency), after=style.money(found.after, currency)
        ),
        "how_to_read": f"{sentence(state)} {_reading(state)}",
    }


def _reading(state: CustomerValue) -> str:
    return _(
        "Margin after refunds of the twelve months up to each branch's last covered day, against the twelve before. "
        "The steps add up exactly, in whatever order; whiskers: 95 % interval over {customers}. A step counts those "
        "whose margin it changed. Those who stayed are split by what each of them did, which is not why they did it."
    ).format(customers=words(state.scope.profile).customers)


def sentence(state: CustomerValue) -> str:
    """What the bridge says, with its interval, and what to do."""
    found, currency = state.bridge, state.scope.profile.currency
    said = {
        "customers": words(state.scope.profile).customers,
        "change": style.money(abs(found.change), currency),
        "interval": style.interval(found.change_low, found.change_high, "money", currency),
        "after": style.money(found.after, currency),
    }
    if found.change_low > 0:
        head = _("**Margin rose by {change} to {after}** (change {interval}).")
    elif found.change_high < 0:
        head = _("**Margin fell by {change} to {after}** (change {interval}).")
    else:
        head = _("**Margin is {after}; its change from the year before is within noise** ({interval}).")
    return f"{head.format(**said)} {_advice(state)}".strip()


def _advice(state: CustomerValue) -> str:
    found, shown = state.bridge, list(shown_steps(state)["step"])
    parts = [_came_and_went(state, shown)]
    worst = _worst(found, shown)
    if worst:
        parts.append(
            _("Among those who stayed, the loss is in one step ({step}: {loss}): look there first.").format(
                step=step_name(worst).lower(),
                loss=style.money(-found.step(worst)["amount"], state.scope.profile.currency),
            )
        )
    return " ".join(part for part in parts if part)


def _came_and_went(state: CustomerValue, shown: list[str]) -> str:
    """Whether to keep or to recruit first; nothing where a step of those who came or went is not shown, or nobody
    went.
    """
    found, currency = state.bridge, state.scope.profile.currency
    taken = set(found.steps.loc[found.steps["n"] > 0, "step"])
    if not taken & {*CAME, *WENT} <= set(shown) or not taken & set(WENT):
        return ""
    came, went = (found.steps.loc[found.steps["step"].isin(group), "amount"].sum() for group in (CAME, WENT))
    both, low, high = found.together((*CAME, *WENT))
    if high < 0:
        template = _(
            "Those who came brought {came}, those who left or are leaving took {went}, {both} more "
            "({interval}): keep before you recruit."
        )
    elif low > 0:
        template = _(
            "Those who came brought {came}, those who left or are leaving took {went}, {both} less ({interval}): see "
            "that newcomers stay."
        )
    else:
        template = _(
            "Those who came brought {came}, those who left or are leaving took {went}: the difference is within noise "
            "({interval}), so this does not say whether to keep or to recruit first."
        )
    return template.format(
        came=style.money(came, currency),
        went=style.money(-went, currency),
        both=style.money(abs(both), currency),
        interval=style.interval(*((-high, -low) if high < 0 else (low, high)), "money", currency),
    )


def _worst(found: Bridge, shown: list[str]) -> str:
    """The factor that took most from those who stayed, beyond noise; empty where none did."""
    down = found.steps[found.steps["step"].isin(set(FACTORS) & set(shown)) & (found.steps["high"] < 0)]
    return str(down.loc[down["amount"].idxmin(), "step"]) if len(down) else ""


__all__ = ["STEPS", "figure", "sentence", "shown_steps", "step_name", "table", "waterfall"]
