"""The check of the last months over time: chart, table and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import customers, privacy, style
from crm_analysis.customer_value import disclosure, listing
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.holdout import MODELS, Holdout, Rule
from crm_analysis.customer_value.wording import rule_name, words
from crm_analysis.language import _
from crm_analysis.units import add_months

COLUMNS = ("month", "actual", "expected", "low", "high")
MIN_MONTHS = 6


def tracking(state: CustomerValue) -> pd.DataFrame:
    """Repeat purchases by month, the oldest first: month (its last day), actual, expected, low, high, each again with
    `_so_far` for the cumulated, and hidden (not known to the model). Months of few customers or few purchases are left
    out, with these what took place cumulated, which would tell them; empty without a model or with too few months.
    """
    check = state.outlook.holdout
    end, _ends = customers.months_back(state.scope, 0)
    if check is None or check.tracking is None:
        return pd.DataFrame(columns=[*COLUMNS, "hidden"])
    return _over_time(
        state, check.tracking, [pd.Timestamp(add_months(end, -int(ago))) for ago in check.tracking["ago"]]
    )


def drawn(state: CustomerValue) -> pd.DataFrame:
    """The same by week, for the chart; by month where a week would tell few purchases."""
    check = state.outlook.holdout
    if check is None or check.weekly is None:
        return tracking(state)
    end, _ends = customers.months_back(state.scope, 0)
    days = [pd.Timestamp(end) - pd.Timedelta(weeks=int(ago)) for ago in check.weekly["ago"]]
    weeks = _over_time(state, check.weekly, days)
    return tracking(state) if weeks.empty or weeks["actual"].isna().any() else weeks


def _over_time(state: CustomerValue, found: pd.DataFrame, days: list[pd.Timestamp]) -> pd.DataFrame:
    cell = state.scope.profile.privacy.min_cell
    frame = found.assign(month=days)[found["customers"] >= disclosure.TELLING * cell]
    if len(frame) < MIN_MONTHS or not frame["hidden"].any():
        return pd.DataFrame(columns=[*COLUMNS, "hidden"])
    few = pd.Series([privacy.small(number, cell) for number in frame["actual"]], frame.index)
    so_far = np.nan if few.any() else frame["actual_so_far"]
    frame = frame.assign(actual=frame["actual"].mask(few), actual_so_far=so_far)
    return frame.drop(columns=["ago", "customers"]).reset_index(drop=True)


def by_week(state: CustomerValue) -> bool:
    """Whether the chart is by week, while the table stays by month."""
    return len(drawn(state)) > len(tracking(state))


def pace(state: CustomerValue) -> str:
    """What one point of the chart's first panel is, as its title."""
    return _("each week") if by_week(state) else _("each month")


def inside(frame: pd.DataFrame) -> tuple[int, int]:
    """Of the hidden months that are shown with an interval, how many lie in it; and how many there are."""
    hidden = frame[frame["hidden"].astype(bool) & frame[["actual", "low", "high"]].notna().all(axis=1)]
    return int(hidden["actual"].between(hidden["low"], hidden["high"]).sum()), len(hidden)


def track(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the tracking figure, as keyword arguments of `report.figure`."""
    frame = tracking(state)
    check = state.outlook.holdout
    if frame.empty or check is None or check.model is None:
        alt = _("There is no forecast to follow over time: no model could be tried on the last months.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    held, months = inside(frame)
    values = {
        "model": rule_name(check.model.key),
        "orders": words(state.scope.profile).orders,
        "customers": words(state.scope.profile).customers,
        "held": held,
        "months": months,
        "day": style.day(check.calibrated_to),
        "foreseen": style.number(check.model.total),
        "actual": style.number(check.actual),
    }
    read = (
        _(
            "**Shown, not used**: the months to come are valued without the {model}. {held} of the {months} hidden "
            "months lie within the interval. Repeat {orders} of the {customers} known on {day}; the model was "
            "fitted to "
            "what came before that day (dashed line). The band holds 95 %: uncertain parameters, and how much "
            "{customers} vary."
        )
        if state.outlook.way != "model" and months
        else _(
            "**Shown, not used**: the months to come are valued without the {model}, whose forecast over time has no "
            "interval (the data hardly determine the parameters, or too few purchases may be shown). Repeat {orders} "
            "of the {customers} known on {day}; the model was fitted to what came before that day (dashed line)."
        )
        if state.outlook.way != "model"
        else _(
            "**The forecast over time has no interval**: the data hardly determine the parameters, or too few "
            "purchases may be shown. Repeat {orders} of the {customers} known on {day}; the {model} was fitted to what "
            "came before that day (dashed line)."
        )
        if not months
        else _(
            "**{held} of the {months} hidden months lie within the interval**: the forecast may be used month by "
            "month. "
            "Repeat {orders} of the {customers} known on {day}; the {model} was fitted to what came before that day "
            "(dashed line). The band holds 95 %: uncertain parameters, and how much {customers} vary."
        )
        if held >= 0.8 * months
        else _(
            "**Only {held} of the {months} hidden months lie within the interval**: the model misses a season or a "
            "change, so use its sums for a year at most. Repeat {orders} of the {customers} known on {day}; the "
            "{model} "
            "was fitted to what came before that day (dashed line). The band holds 95 %: uncertain parameters, and how "
            "much {customers} vary."
        )
    )
    return {
        "table": tracking_table(state),
        "title": _("The forecast over time"),
        "alt": (
            _("Repeat {orders} by week and cumulated: what took place against the {model}.")
            if by_week(state)
            else _("Repeat {orders} by month and cumulated: what took place against the {model}.")
        ).format(**values),
        "how_to_read": read.format(**values)
        + (" " + _("Drawn week by week; the table, and the count of months, are by month.") if by_week(state) else ""),
    }


def tracking_table(state: CustomerValue) -> pd.DataFrame:
    """The hidden months as text."""
    frame = tracking(state)
    frame = frame[frame["hidden"].astype(bool)]
    return pd.DataFrame(
        {
            _("Month up to"): [style.day(day.date()) for day in frame["month"]],
            _("What took place"): frame["actual"].map(style.number),
            _("Foreseen"): frame["expected"].map(style.number),
            _("95 % interval"): [
                style.interval(low, high, "count") for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
            _("Cumulated, took place"): frame["actual_so_far"].map(style.number),
            _("Cumulated, foreseen"): frame["expected_so_far"].map(style.number),
        }
    )


def rules(state: CustomerValue) -> dict[str, Any]:
    """The models against rules of thumb, as keyword arguments of `report.table`."""
    check = state.outlook.holdout
    frame = listing.rule_table(state)
    if check is None or frame.empty:
        return {"title": _("Models against rules of thumb"), "frame": frame, "note": ""}
    best, thumb = check.model, check.thumb
    if best is None:
        said = _("**No model could be fitted: the rule of thumb stands.** ")
    elif check.model_wins:
        said = _("**The {model} is used: it beats the best rule of thumb ({thumb}) beyond noise.** ")
    else:
        said = _("**No model beats the best rule of thumb ({thumb}) beyond noise, so recent experience is used.** ")
    note = said.format(model=rule_name(best.key) if best else "", thumb=rule_name(thumb.key)) + _(
        "Errors are per head, in {orders} over the holdout; bias is foreseen less actual. Lift: {orders} of the tenth "
        "foreseen to be most frequent, times the mean. Squared error saved is against the best rule of thumb, with an "
        "interval widened for the number of models tried; a model is used where it lies above zero."
    ).format(orders=words(state.scope.profile).orders)
    if best is not None:
        note += _choice(check, best) + _by_absolute_error(check, best)
    for key, why in check.failed:
        note += " " + _("{model} could not be fitted ({why}).").format(model=rule_name(key), why=style.plain(why))
    return {"title": _("Models against rules of thumb"), "frame": frame, "note": note}


def _choice(check: Holdout, chosen: Rule) -> str:
    """How the model was chosen among those tried; empty where a single one was."""
    if len(check.models) == 1:
        return ""
    level = check.level
    if len(level) == 1:
        template = _("The errors of the {model} are smaller than those of the other models beyond noise.")
    elif 0 < sum(check.beats(rule) for rule in level) < len(level):
        template = _(
            "The errors of these models do not differ beyond noise (paired bootstrap, 95 %): {models}. Of those among "
            "them that beat the rule of thumb, the {model} is taken, which has the best AIC on what came before."
        )
    else:
        template = _(
            "The errors of these models do not differ beyond noise (paired bootstrap, 95 %): {models}. Of them the "
            "{model} is taken, which has the best AIC on what came before."
        )
    return " " + template.format(models=", ".join(rule_name(rule.key) for rule in level), model=rule_name(chosen.key))


def _by_absolute_error(check: Holdout, chosen: Rule) -> str:
    """That a rule of thumb errs less by the other measure, where the model is used and one does."""
    best = min((rule for rule in check.rules if rule.key not in MODELS), key=lambda rule: rule.mean_absolute_error)
    if not check.model_wins or best.mean_absolute_error >= chosen.mean_absolute_error:
        return ""
    return " " + _(
        "By the mean absolute error, which forgives large misses, a rule of thumb ({rule}) errs less, {other} against "
        "{error}."
    ).format(
        rule=rule_name(best.key),
        other=style.number(best.mean_absolute_error, 2),
        error=style.number(chosen.mean_absolute_error, 2),
    )
