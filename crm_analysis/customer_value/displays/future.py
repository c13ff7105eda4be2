"""What customers are expected to bring, by how often and how lately they bought; spend; and branches side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.holdout import CLASSES, purchase_class
from crm_analysis.customer_value.pace import silence
from crm_analysis.customer_value.pooling import BranchFit
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _
from crm_analysis.units import DAYS_PER_MONTH, DAYS_PER_WEEK

SILENT_MONTHS = (0, 3, 6, 12, 24)
ALPHA = 0.05
MIN_RENEWALS = 3
MONTHS = 12
SLIGHT = 0.1  # a rank correlation below this changes no decision


def silent_names() -> list[str]:
    """Classes of months of silence, as printed."""
    return [_("up to 3"), _("3 to 6"), _("6 to 12"), _("12 to 24"), _("over 24")]


def silent_classes(history: pd.DataFrame) -> pd.Series:
    """The class of months since the last purchase, of histories in weeks."""
    months = silence(history) * DAYS_PER_WEEK / DAYS_PER_MONTH
    places = np.maximum(np.searchsorted(SILENT_MONTHS, months, side="left") - 1, 0)
    return pd.Series(np.array(silent_names())[places], history.index)


def _one_off(state: CustomerValue) -> pd.DataFrame:
    """frequency (class of repeat purchases), silent (class of months since the last), value and margin (of the last
    twelve months) of the one-off part."""
    history = state.outlook.histories.frame
    part = state.outlook.customers[state.outlook.customers["part"] == "one_off"].set_index("customer_id")
    return pd.DataFrame(
        {
            "frequency": purchase_class(history["x"]),
            "silent": silent_classes(history),
            "value": part["expected_value"].reindex(history.index).astype(float),
            "margin": disclosure.margins(state, history.index),
        }
    )


def _bounds(state: CustomerValue, each: pd.DataFrame, cell: tuple[str, str]) -> tuple[float, float]:
    """Ends of the interval of a cell's mean: the parameters move all in it together."""
    inside = each.index[(each["frequency"] == cell[0]) & (each["silent"] == cell[1])]
    part = state.outlook.customers[state.outlook.customers["part"] == "one_off"].set_index("customer_id")
    low, high = part.loc[inside, ["low", "high"]].astype(float).mean()
    return float(low), float(high)


def value_map(state: CustomerValue) -> pd.DataFrame:
    """Mean margin expected per customer over the months ahead, by repeat purchases (rows) and months of silence
    (columns). Missing where nobody is, or where too few or one customer above all make the cell up.
    """
    if state.outlook.way == "none":
        return pd.DataFrame()
    each, rule = _one_off(state), state.scope.profile.privacy
    branch = disclosure.branch_of(state, each.index)
    if disclosure.rests_on_one(state, each["margin"]):
        return pd.DataFrame()
    means = {
        (str(row), str(column)): float(group["value"].mean())
        for (row, column), group in each.groupby(["frequency", "silent"])
        if len(group) >= rule.min_cell
        and not disclosure.hidden_amount(state, group["value"], None if branch is None else branch[group.index])
        and not disclosure.rests_on_one(state, group["margin"])
    }
    if len(each) < disclosure.TELLING * rule.min_cell or not means:
        return pd.DataFrame()
    table = pd.Series(means).unstack()
    return table.reindex(
        index=[name for _lower, name in CLASSES if name in table.index],
        columns=[name for name in silent_names() if name in table.columns],
    )


def heat(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the map of value by frequency and recency, as keyword arguments of `report.figure`."""
    table = value_map(state)
    if table.size < 4:
        alt = _("There is no map of value by frequency and recency: too few are expected to buy without a commitment.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    currency = state.scope.profile.currency
    flat = table.stack()
    most, least = flat.idxmax(), flat.idxmin()
    each = _one_off(state)
    late = each["silent"].isin(silent_names()[3:])
    share = each.loc[late, "value"].sum() / each["value"].sum() if each["value"].sum() > 0 else np.nan
    values = {
        "customers": words(state.scope.profile).customers,
        "months": state.outlook.months,
        "best": style.money(float(flat[most]), currency),
        "interval": style.interval(*_bounds(state, each, most), "money", currency),
        "worst": style.money(float(flat[least]), currency),
        "x": most[0],
        "silent": most[1],
        "share": style.percent(share, 0),
        "of": style.percent(late.mean(), 0),
    }
    tells = privacy.tells(int(late.sum()), len(late), state.scope.profile.privacy.min_cell)
    read = (
        _(
            "**{best} each ({interval}) is expected of those with {x} repeats, silent for {silent} months**, {worst} "
            "where least is. Means per head over the next {months} months, without running commitments; blank cells "
            "hold too few."
        )
        if tells or not late.any() or style.undefined(share)
        else _(
            "**{best} each ({interval}) is expected of those with {x} repeats, silent for {silent} months**, {worst} "
            "where least is. The {of} of {customers} silent for over a year hold {share} of what is expected: spend on "
            "contacts accordingly. Means per head over the next {months} months, without running commitments; blank "
            "cells hold too few."
        )
    )
    shown = table.map(lambda value: style.money(value, currency) if value == value else style.DASH)
    return {
        "table": shown.rename_axis(index=_repeats(state), columns=None).reset_index(),
        "title": _("Expected value by frequency and recency"),
        "alt": _("Mean expected margin per head by number of repeats and months of silence."),
        "how_to_read": read.format(**values),
    }


def _repeats(state: CustomerValue) -> str:
    return _("Repeat {orders}").format(orders=words(state.scope.profile).orders)


def spend(state: CustomerValue) -> dict[str, Any]:
    """Whether how much is unrelated to how often, as keyword arguments of `report.table`."""
    title = _("Does spend go with frequency?")
    table, fit, currency = state.outlook.independence, state.outlook.spend, state.scope.profile.currency
    if table is None or fit is None:
        return {"title": title, "frame": None, "note": ""}
    table = table[table["customers"] >= state.scope.profile.privacy.min_cell]
    history = state.outlook.histories.frame
    history = history[history["mean_value"].notna()] if "mean_value" in history else history.iloc[:0]
    own = [history[history["x"].between(low, high)] for low, high in zip(table["from"], table["to"], strict=True)]
    sizes = [
        disclosure.tally(state, part.index, pd.Series(place, part.index), [place]) for place, part in enumerate(own)
    ]
    shown = disclosure.counts(state, pd.concat(sizes).fillna(0).astype(int)).to_list() if sizes else []
    spent = [
        _("withheld") if disclosure.rests_on_one(state, part["x"] * part["mean_value"]) else style.money(mean, currency)
        for part, mean in zip(own, table["mean_value"], strict=True)
    ]
    frame = pd.DataFrame(
        {
            _repeats(state): [
                f"{low:.0f}" if low == high else f"{low:.0f}+" if np.isinf(high) else f"{low:.0f}-{high:.0f}"
                for low, high in zip(table["from"], table["to"], strict=True)
            ],
            disclosure.who(state): shown,
            _("Mean spend"): spent,
            _("Relative spend"): table["relative_spend"].map(lambda value: style.number(value, 3)).to_list(),
            _("If unrelated"): [
                style.interval(low, high, "ratio", digits=3)
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
        }
    )
    if style.undefined(fit.correlation):
        said = _("**It cannot be said here**: frequency or spend hardly vary. ")
    elif fit.correlation_p < ALPHA and abs(fit.correlation) > SLIGHT:
        said = _("**It does: rank correlation {r} ({p})**, so the spend model errs for the most frequent. ")
    elif fit.correlation_p < ALPHA and _last_apart(table):
        said = _(
            "**It does, slightly: rank correlation {r} ({p})**, and those who come most often lie outside what chance "
            "leaves: the spend model errs for them. "
        )
    elif fit.correlation_p < ALPHA:
        said = _("**It does, but hardly: rank correlation {r} ({p})**: too slight to matter. ")
    else:
        said = _("**No sign of it: rank correlation {r} ({p})**, as the spend model takes it to be. ")
    note = said.format(r=style.number(fit.correlation, 2), p=style.p_value(fit.correlation_p)) + _(
        "Relative spend is the rank, from 0 to 1, that the model gives a customer's mean spend; its mean is 0.5 at "
        "every "
        "frequency if the two are unrelated."
    )
    return {"title": title, "frame": frame, "note": note}


def _last_apart(table: pd.DataFrame) -> bool:
    """Whether the spend of those who come most often lies outside what chance leaves it."""
    if table.empty:
        return False
    last = table.iloc[-1]
    return not last["low"] <= last["relative_spend"] <= last["high"]


def lasting(state: CustomerValue) -> pd.DataFrame:
    """Share of commitments kept by number of renewals: renewals, counted, low, high, model; empty where unknown."""
    found = state.renewals
    columns = ["renewals", "counted", "low", "high", "model"]
    if found is None or len(found.curve) < MIN_RENEWALS:
        return pd.DataFrame(columns=columns)
    return found.curve[columns]


def survival(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the survival curve of commitments, as keyword arguments of `report.figure`."""
    frame, found = lasting(state), state.renewals
    if frame.empty or found is None:
        alt = _("There is no curve of how long commitments last: none renew, or too few have been seen to.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    a_year = min(12 // found.cycle_months, len(frame) - 1) if found.cycle_months <= MONTHS else 1
    kept = frame.iloc[a_year]
    values = {
        "n": disclosure.count(state, found.n),
        "months": found.cycle_months,
        "renewals": a_year,
        "kept": style.percent(kept["counted"], 0),
        "between": style.interval(kept["low"], kept["high"], "share", digits=0),
        "held": disclosure.count(state, found.held_out),
        "model": style.number(found.model_total),
        "ratio": style.number(found.ratio_total),
        "actual": style.number(found.actual_total),
    }
    later = frame["counted"].iloc[min(2 * a_year, len(frame) - 1)] / kept["counted"] if kept["counted"] > 0 else 1.0
    said = (
        _(
            "**{kept} of commitments are still kept after {renewals} renewals** ({between}): more leave early than "
            "later, so care for new ones first."
        )
        if kept["counted"] < later
        else _("**{kept} of commitments are still kept after {renewals} renewals** ({between}).")
    )
    if found.fit is None:
        used = _("No model of renewals could be fitted: every promise counts by what was collected per promise.")
    elif not found.held_out:
        used = _("The history is too short to try the model: every promise counts by what was collected per promise.")
    elif found.model_wins:
        used = _(
            "Of {held} commitments of a year ago the model foresaw {model} renewals, one ratio for all {ratio}; "
            "{actual} "
            "took place. The model is nearer for each, beyond noise: promises are weighted by their tenure, and their "
            "sum is left to what was collected per promise."
        )
    else:
        used = _(
            "Of {held} commitments of a year ago the model foresaw {model} renewals, one ratio for all {ratio}; "
            "{actual} "
            "took place. The model is no nearer beyond noise: every promise counts by what was collected per promise."
        )
    every = (
        _("{n} commitments, a renewal a month.")
        if found.cycle_months == 1
        else _("{n} commitments, a renewal every {months} months.")
    )
    read = _(
        "Black: counted (Kaplan-Meier, band 95 %); blue: the model (sBG). Those that still run count for as long as "
        "they were seen."
    )
    return {
        "table": survival_table(state),
        "title": _("How long commitments last"),
        "alt": _("Share of commitments still kept by number of renewals."),
        "how_to_read": f"{said} {used} {every} {read}".format(**values),
    }


def survival_table(state: CustomerValue) -> pd.DataFrame:
    """The survival curve at ten places, as text."""
    frame = lasting(state)
    frame = frame.iloc[:: max(len(frame) // 10, 1)]
    return pd.DataFrame(
        {
            _("Renewals"): frame["renewals"].map(style.number),
            _("Still kept"): frame["counted"].map(style.percent),
            _("95 % interval"): [
                style.interval(low, high, "share") for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
            _("By the model"): frame["model"].map(style.percent),
        }
    )


def _why(each: BranchFit) -> str:
    return {
        "": _("its own"),
        "few": _("of all branches: too few came back"),
        "new": _("of all branches: too new"),
        "diagnosis": _("of all branches: its own fit failed"),
    }[each.why]


def _name(state: CustomerValue, branch: str) -> str:
    return style.plain(state.scope.profile.branch_name(branch, language.active()))


def branch_outlook(state: CustomerValue) -> dict[str, Any]:
    """Branches side by side, as keyword arguments of `report.table`; no table where there is one, or no model."""
    title, pooling = _("Branches: how often people come back"), state.pooling
    if pooling is None:
        return {"title": title, "frame": None, "note": ""}
    cell = state.scope.profile.privacy.min_cell
    told = [each for each in pooling.branches if each.n >= cell]
    sizes = disclosure.counts(state, pd.Series({each.branch: each.n for each in pooling.branches}))
    rows = [
        (
            _name(state, each.branch),
            sizes[each.branch],
            _why(each),
            style.number(each.new_customer.value, 2),
            style.interval(each.new_customer.low, each.new_customer.high, "ratio"),
        )
        for each in sorted(told, key=lambda each: -each.new_customer.value)
    ]
    rows.append(
        (
            _("All together"),
            style.DASH,
            pooling.model,
            style.number(pooling.new_customer.value, 2),
            style.interval(pooling.new_customer.low, pooling.new_customer.high, "ratio"),
        )
    )
    names = (
        _("Branch"),
        disclosure.who(state),
        _("Model"),
        _("Repeats of a new customer, 52 weeks"),
        _("95 % interval"),
    )
    return {
        "title": title,
        "frame": pd.DataFrame(rows, columns=list(names)),
        "note": _said_of_branches(state),
    }


def _said_of_branches(state: CustomerValue) -> str:
    pooling = state.pooling
    if pooling is None:
        return ""
    own = sorted((each for each in pooling.branches if each.own), key=lambda each: -each.new_customer.value)
    if pooling.test is None:
        said = _("**Whether branches differ cannot be said**: fewer than two can bear a model of their own.")
    else:
        template = (
            _(
                "**Branches differ ({p}, likelihood ratio, {freedom} degrees of freedom)**: a new {customer} of "
                "{first} "
                "should come back {high} times within 52 weeks, one of {last} {low} times. Plan each branch by its own "
                "number."
            )
            if pooling.test.p < ALPHA
            else _(
                "**No difference between branches beyond noise ({p}, likelihood ratio, {freedom} degrees of "
                "freedom)**: "
                "one number serves all."
            )
        )
        said = template.format(
            p=style.p_value(pooling.test.p),
            freedom=pooling.test.degrees_of_freedom,
            customer=words(state.scope.profile).customer,
            first=_name(state, own[0].branch),
            last=_name(state, own[-1].branch),
            high=style.number(own[0].new_customer.value, 1),
            low=style.number(own[-1].new_customer.value, 1),
        )
    if pooling.unreliable and pooling.test is not None:
        said += " " + _("With {branches} at the end of a parameter's range the p-value is only an upper bound.").format(
            branches=", ".join(_name(state, branch) for branch in pooling.unreliable)
        )
    if pooling.on_pooled:
        said += " " + _("Where the model is that of all branches, so is the number: it says nothing of that branch.")
    if not state.scope.has("commitments"):
        return said
    whose = _("Habits are those of {customers} who never held a commitment.")
    return f"{said} {whose.format(customers=words(state.scope.profile).customers)}"


def branch_parameters(state: CustomerValue) -> dict[str, Any]:
    """Parameters by branch, as keyword arguments of `report.table`."""
    title, pooling = _("Parameters by branch"), state.pooling
    if pooling is None:
        return {"title": title, "frame": None, "note": ""}
    cell = state.scope.profile.privacy.min_cell
    rows = []
    for each in pooling.branches:
        if not each.own or each.n < cell * disclosure.TELLING:
            continue
        table = each.fit.parameter_table()
        cells = [
            f"{style.number(row.estimate, 2)} ({style.interval(row.low, row.high, 'ratio')})"
            for row in table.itertuples(index=False)
        ]
        rows.append((_name(state, each.branch), *cells))
    if not rows:
        return {"title": title, "frame": None, "note": ""}
    return {
        "title": title,
        "frame": pd.DataFrame(rows, columns=[_("Branch"), *pooling.pooled.names]),
        "note": _("{model}, time in weeks; in brackets 95 % intervals, from the curvature of the likelihood.").format(
            model=pooling.model
        ),
    }
