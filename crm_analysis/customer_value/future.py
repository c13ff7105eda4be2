"""What customers will bring over the months ahead, and whether a model says it better than a rule of thumb.

Regular transfers are valued through the commitment: what was promised a year ago against what has come in since.
Everything else (one-off purchases of those without a running commitment) goes through the model of repeat buying that
foresaw the last months best and Gamma-Gamma, and is replaced by recent experience where no model beats the rules of
thumb.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import customers, value_models
from crm_analysis.customer_value import holdout
from crm_analysis.customer_value.holdout import UNIT, Holdout, RepeatFit, View, purchase_class
from crm_analysis.estimators.proportions import Proportion, wilson
from crm_analysis.profile.settings import Value
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_WEEK, months_to_days
from crm_analysis.value_models import CannotFit, Fit, GammaGammaFit, Histories, promises


@dataclass(frozen=True, slots=True)
class Outlook:
    """Margin expected over the next `months` from today's customers, in the profile's currency: `value` undiscounted,
    `discounted` at `rate_annual`.

    `customers`: customer_id, expected_value with low and high, discounted_value, probability_alive, expected_purchases,
    part (regular or one_off). low and high hold the uncertainty of parameters and ratios alone: what a single customer
    will do varies far more. P(alive) and purchases are not a number where no model is used; expected_purchases are
    one-off ones. `histories` are those of the one-off part.

    `way` says how the one-off part was made: "model", or "class" (what customers with as many purchases lately brought
    in the holdout) with the reason in `why`: "" (the model won), "lost", "few" (too few repeat customers), "one_time",
    "young" (no holdout possible), "diagnosis"; "rate" where nothing can be checked, "none" where there is nothing to
    foresee. `one_time` is the share of those without a running commitment, first seen at least `one_time_days` ago, who
    have not come back. `independence` is the spend by frequency (see GammaGammaFit.independence).
    """

    months: int
    rate_annual: float
    customers: pd.DataFrame
    value: float
    low: float
    high: float
    discounted: float
    regular: float
    one_off: float
    way: str
    why: str
    one_time: Proportion
    one_time_days: int
    repeat_customers: int
    min_repeat_customers: int
    holdout: Holdout | None
    fit: RepeatFit | None
    spend: GammaGammaFit | None
    independence: pd.DataFrame | None
    histories: Histories
    yields: tuple[promises.Yield, ...]


def outlook(
    scope: Scope,
    status: pd.DataFrame,
    year_ago: pd.DataFrame,
    profits: pd.DataFrame,
    settings: Value,
    *,
    by_tenure: pd.Series | None = None,
) -> Outlook:
    """The profile's `value.horizon_months` ahead.

    `year_ago` is the status frame of twelve months back, `profits` that of the last year. `by_tenure` is what the
    tenure of a running commitment makes it worth against others, by customer_id, where that foretells anything.
    """
    months, ahead = holdout.holdout_months(scope, settings), settings.horizon_months
    rate_annual = settings.discount_rate_annual
    seen = holdout.view(scope, months)
    running = status[status["committed"] & ~status["status"].isin(["lost"])]
    regular, yields, regular_variance = promises.regular(running, year_ago, profits, ahead / 12, rate_annual, by_tenure)
    free = seen.now[~seen.now["customer_id"].isin(running["customer_id"])]
    histories = value_models.histories(free, unit=UNIT, as_of=scope.as_of)
    one_time = never_back(free, scope.profile.status.dormant_days)
    repeat = int((histories.frame["x"] > 0).sum())
    margin = promises.margin_rate(profits)

    committed_then = year_ago if months == 12 else customers.status_back(scope, months) if months else year_ago
    check = holdout.check(scope, seen, committed_then, months, settings) if months else None
    fit, spend, why = _fitted(histories, check, one_time.share, repeat, settings)
    if why == "" and fit is not None and spend is not None:
        way = "model"
        frame, variance = _by_model(histories, fit, spend, margin, ahead, rate_annual)
        error = _relative_error(check)
    elif check is not None and len(histories):
        way = "class"
        scale = _to_a_year(scope, seen, months, profits) * ahead / 12
        lately = seen.between(0, months).reindex(histories.frame.index).fillna(0.0)
        frame, variance = _by_class(histories, check, margin, lately, scale)
        error = 0.0
    else:
        way = "none" if not len(histories) else "rate"
        frame, variance, error = _by_rate(histories, margin, ahead), math.nan if len(histories) else 0.0, 0.0
    if "discounted_value" not in frame:
        frame["discounted_value"] = frame["expected_value"] * promises.mean_discount(rate_annual, 0.0, ahead / 12)
    one_off = float(frame["expected_value"].sum())
    half = math.sqrt(max(promises.Z95**2 * (variance + regular_variance) + (error * one_off) ** 2, 0.0))
    both = pd.concat([regular, frame.reset_index().assign(part="one_off")], ignore_index=True)[list(promises.COLUMNS)]
    value = float(both["expected_value"].sum())
    return Outlook(
        months=ahead,
        rate_annual=rate_annual,
        customers=both,
        value=value,
        low=value - half,
        high=value + half,
        discounted=float(both["discounted_value"].sum()),
        regular=float(regular["expected_value"].sum()),
        one_off=one_off,
        way=way,
        why=why,
        one_time=one_time,
        one_time_days=scope.profile.status.dormant_days,
        repeat_customers=repeat,
        min_repeat_customers=settings.min_repeat_customers,
        holdout=check,
        fit=fit,
        spend=spend,
        independence=None if spend is None else spend.independence(histories),
        histories=histories,
        yields=yields,
    )


def never_back(summary: pd.DataFrame, days: int) -> Proportion:
    """Share of the customers first seen at least `days` ago who never came back; undefined where there are none."""
    once = customers.never_back(summary, days)
    return wilson(int(once.sum()), len(once))


def _fitted(
    histories: Histories, check: Holdout | None, one_time: float, repeat: int, settings: Value
) -> tuple[RepeatFit | None, GammaGammaFit | None, str]:
    """The models, and why they are not used (empty when they are)."""
    if repeat < settings.min_repeat_customers:
        return None, None, "one_time" if one_time > customers.ONE_TIME_SHARE else "few"
    best = check.model if check is not None else None
    try:
        with np.errstate(all="ignore"):  # a search that ends badly is told by `converged`
            fit = holdout.MODELS[best.key if best is not None else "bg_nbd"](histories)
        spend = value_models.fit_gamma_gamma(histories)
    except CannotFit:
        return None, None, "few"
    if one_time > customers.ONE_TIME_SHARE:
        return fit, spend, "one_time"
    if check is None:
        return fit, spend, "young"
    if not check.model_wins:
        return fit, spend, "lost"
    if not fit.converged or math.isnan(spend.mean):
        return fit, spend, "diagnosis"
    return fit, spend, ""


def _by_model(
    histories: Histories, fit: RepeatFit, spend: GammaGammaFit, margin: float, ahead: int, rate_annual: float
) -> tuple[pd.DataFrame, float]:
    days = months_to_days(ahead)
    bought = fit.interval(lambda each, group: each.expected_purchases(group, horizon_days=days), histories)
    each_worth = spend.interval(lambda each, group: each.expected_value(group), histories)
    purchases, worth = bought["value"], each_worth["value"]
    discounted = fit.discounted_purchases(histories, horizon_months=ahead, rate_annual=rate_annual)
    frame = value_models.product(bought, each_worth) * margin
    frame = frame.rename(columns={"value": "expected_value"}).assign(
        discounted_value=discounted * worth * margin,
        probability_alive=fit.probability_alive(histories),
        expected_purchases=purchases,
    )
    # Chance: a Poisson number of purchases whose worth varies within a customer with 1 / p as its squared coefficient.
    chance = float(purchases @ worth**2) * (1 + 1 / spend.values[0])
    by_fit = fit.delta(lambda each: float(each.expected_purchases(histories, horizon_days=days) @ worth))
    by_spend = spend.delta(lambda each: float(purchases @ each.expected_value(histories)))
    return frame, margin**2 * (by_fit.standard_error**2 + by_spend.standard_error**2 + chance)


def _relative_error(check: Holdout | None) -> float:
    """How far the model's total was off in the holdout, as a share of what took place."""
    model = check.model if check is not None else None
    if model is None or check is None or check.actual <= 0:
        return 0.0
    return abs(model.total - check.actual) / check.actual


def _to_a_year(scope: Scope, seen: View, months: int, profits: pd.DataFrame) -> float:
    """What the latest months are to be multiplied by for a year: by what the last twelve months brought against them,
    so that a season does not pass for a year; by the months alone where less than a year has been observed.
    """
    first_day = pd.to_datetime(scope.coverage["first_day"]).min()
    latest = float(seen.now["gross"].sum() - seen.then["gross"].sum())
    if first_day > pd.Timestamp(scope.as_of) - pd.DateOffset(months=12) or latest <= 0 or "one_off" not in profits:
        return 12 / months
    return max(float(profits["one_off"].sum()) / latest, 1.0)


def _by_class(
    histories: Histories, check: Holdout, margin: float, lately: pd.Series, scale: float
) -> tuple[pd.DataFrame, float]:
    """What customers with as many purchases in the months before the holdout brought in it, times `scale`.

    `lately` counts purchases over as many months up to now. Classes by all purchases ever would call a customer of ten
    purchases in two years the equal of one of ten in one year, and so foresee too much as the history grows.
    """
    then, now = purchase_class(check.customers["lately"]), purchase_class(lately)
    groups = check.customers.groupby(then)
    value = groups["actual_value"].mean() * scale * margin
    purchases = groups["actual"].mean() * scale
    spread = groups["actual_value"].var().fillna(0) / groups.size() * (scale * margin) ** 2
    expected = now.map(value).fillna(check.customers["actual_value"].mean() * scale * margin)
    half = promises.Z95 * now.map(spread) ** 0.5
    frame = pd.DataFrame(
        {
            "expected_value": expected,
            "low": expected - half,
            "high": expected + half,
            "probability_alive": np.nan,
            "expected_purchases": now.map(purchases).fillna(check.customers["actual"].mean() * scale),
        },
        index=histories.frame.index,
    )
    return frame, float((now.value_counts() ** 2 * spread).sum())


def _by_rate(histories: Histories, margin: float, ahead: int) -> pd.DataFrame:
    """Each customer's own mean rate and spend so far: all that a short history can say."""
    frame = histories.frame
    observed = frame["T"] * DAYS_PER_WEEK
    purchases = (frame["x"] / observed.where(observed > 0) * months_to_days(ahead)).fillna(0.0)
    return pd.DataFrame(
        {
            "expected_value": purchases * frame["mean_value"].fillna(0.0) * margin,
            "low": np.nan,
            "high": np.nan,
            "probability_alive": np.nan,
            "expected_purchases": purchases,
        },
        index=frame.index,
    )


def parameters(fits: tuple[Fit | None, ...]) -> pd.DataFrame:
    """model, parameter, value, standard_error of the fits there are."""
    rows: list[dict[str, Any]] = []
    for fit in fits:
        if fit is not None:
            errors = fit.standard_errors
            rows += [
                {"model": fit.model, "parameter": name, "value": value, "standard_error": errors[name]}
                for name, value in fit.parameters.items()
            ]
    return pd.DataFrame(rows, columns=["model", "parameter", "value", "standard_error"])
