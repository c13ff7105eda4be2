"""What customers will bring over the months ahead, and whether a model says it better than a rule of thumb.

Regular transfers are valued through the commitment: what was promised a year ago against what has come in since.
Everything else (one-off purchases of those without a running commitment) goes through BG/NBD and Gamma-Gamma, checked
on the last months against two rules of thumb, and is replaced by one where it does not beat them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import customers, value_models
from crm_analysis.estimators.proportions import Proportion, wilson
from crm_analysis.profile.settings import Value
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_MONTH, months_to_days
from crm_analysis.value_models import BgNbdFit, CannotFit, Fit, GammaGammaFit, Histories

UNIT = "week"
CLASSES = ((0, "0"), (1, "1"), (2, "2"), (3, "3-4"), (5, "5-9"), (10, "10+"))
MIN_HOLDOUT_MONTHS = 3
ONE_TIME_SHARE = 0.9  # with more customers than this without a repeat purchase, repeat buying decides nothing
STANDINGS = ("up to date", "overdue", "dormant")
Z95 = 1.96


@dataclass(frozen=True, slots=True)
class Rule:
    """One way of foreseeing each customer's purchases, judged on the holdout.

    Errors are per customer, in purchases over the holdout; `total` is what it foresaw in all. `better` is the mean
    squared error of the best rule of thumb less this one's, with its standard error over customers.
    """

    key: str
    total: float
    mean_absolute_error: float
    root_mean_squared_error: float
    rank_correlation: float
    better: float = math.nan
    better_error: float = math.nan


@dataclass(frozen=True, slots=True)
class Holdout:
    """The check: everything known on `calibrated_to`, against what the `months` after it brought.

    `customers`: x (repeat purchases then), actual, model, mean_rate, last_period (purchases), actual_value.
    """

    calibrated_to: date
    months: int
    customers: pd.DataFrame
    rules: tuple[Rule, ...]

    @property
    def n(self) -> int:
        """Customers foreseen."""
        return len(self.customers)

    @property
    def actual(self) -> float:
        """Purchases that took place."""
        return float(self.customers["actual"].sum())

    def rule(self, key: str) -> Rule | None:
        """A way of foreseeing by its key."""
        return next((rule for rule in self.rules if rule.key == key), None)

    @property
    def model_wins(self) -> bool:
        """Whether the model's squared errors are smaller than those of both rules of thumb, beyond noise."""
        model = self.rule("model")
        return model is not None and model.better - Z95 * model.better_error > 0


@dataclass(frozen=True, slots=True)
class Yield:
    """Money collected in a year per money promised at its start, by how the commitment stood; with standard error."""

    standing: str
    n: int
    promised: float
    collected: float
    ratio: float
    standard_error: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the ratio, normal on log-odds (on the log, where more than all was collected).

        On these scales it stays within what a ratio can be. Not a number where nothing was collected.
        """
        if not self.ratio > 0 or self.ratio == 1:
            return math.nan, math.nan
        rest = max(1 - self.ratio, 0.0)
        odds = self.ratio / rest if rest else self.ratio
        reach = math.exp(Z95 * self.standard_error / (self.ratio * (rest or 1.0)))
        low, high = odds / reach, odds * reach
        return (low / (1 + low), high / (1 + high)) if rest else (low, high)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Margin expected over the next `months` from today's customers, in the profile's currency.

    `customers`: customer_id, expected_value, part (regular or one_off), probability_alive, expected_purchases.
    `way` says how the one-off part was made: "model", or "class" (what customers with as many purchases lately brought
    in the holdout) with the reason in `why`: "" (the model won), "lost", "few" (too few repeat customers), "one_time",
    "young" (no holdout possible), "diagnosis"; "none" where there is nothing to foresee. `one_time` is the share
    of those without a running commitment, first seen at least `one_time_days` ago, who have not come back.
    """

    months: int
    customers: pd.DataFrame
    value: float
    low: float
    high: float
    regular: float
    one_off: float
    way: str
    why: str
    one_time: Proportion
    one_time_days: int
    repeat_customers: int
    min_repeat_customers: int
    holdout: Holdout | None
    fit: BgNbdFit | None
    spend: GammaGammaFit | None
    yields: tuple[Yield, ...]


@dataclass(frozen=True, slots=True)
class _View:
    """Summaries of one-off purchases at three days: now, at calibration, and a holdout's length before it."""

    now: pd.DataFrame
    then: pd.DataFrame
    before: pd.DataFrame


def outlook(
    scope: Scope, status: pd.DataFrame, year_ago: pd.DataFrame, profits: pd.DataFrame, settings: Value
) -> Outlook:
    """The profile's `value.horizon_months` ahead.

    `year_ago` is the status frame of twelve months back, `profits` that of the last year.
    """
    months, ahead = _holdout_months(scope, settings), settings.horizon_months
    view = _View(
        _one_off(scope, 0),
        _one_off(scope, months) if months else _nothing(),
        _one_off(scope, 2 * months) if months else _nothing(),
    )
    running = status[status["committed"] & ~status["status"].isin(["lost"])]
    regular, yields, regular_variance = _regular(running, year_ago, profits, ahead / 12)
    free = view.now[~view.now["customer_id"].isin(running["customer_id"])]
    histories = value_models.histories(free, unit=UNIT, as_of=scope.as_of)
    one_time = never_back(free, scope.profile.status.dormant_days)
    repeat = int((histories.frame["x"] > 0).sum())
    margin = _margin_rate(profits)

    committed_then = year_ago if months == 12 else customers.status_back(scope, months) if months else year_ago
    check = _holdout(scope, view, committed_then, months, settings) if months else None
    fit, spend, why = _fitted(histories, check, one_time.share, repeat, settings)
    if why == "" and fit is not None and spend is not None:
        way = "model"
        frame, variance = _by_model(histories, fit, spend, margin, ahead)
        error = _relative_error(check, spend_mean=spend.mean)
    elif check is not None and len(histories):
        way = "class"
        scale = _to_a_year(scope, view, months, profits) * ahead / 12
        frame, variance = _by_class(histories, check, margin, _lately(view, histories), scale)
        error = 0.0
    else:
        way = "none" if not len(histories) else "rate"
        frame, variance, error = _by_rate(histories, margin, ahead), math.nan, 0.0
    one_off = float(frame["expected_value"].sum())
    half = math.sqrt(max(Z95**2 * (variance + regular_variance) + (error * one_off) ** 2, 0.0))
    both = pd.concat([regular, frame.reset_index().assign(part="one_off")], ignore_index=True)
    value = float(both["expected_value"].sum())
    return Outlook(
        months=ahead,
        customers=both,
        value=value,
        low=value - half,
        high=value + half,
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
        yields=yields,
    )


def never_back(summary: pd.DataFrame, days: int) -> Proportion:
    """Share of the customers first seen at least `days` ago who never came back; undefined where there are none.

    Whoever came later has not had the time to: counting them would call every growing organisation one of one-time
    buyers.
    """
    seen_for = (pd.to_datetime(summary["observed_to"]) - pd.to_datetime(summary["first_on"])).dt.days
    once = summary.loc[seen_for >= days, "n_repeat_orders"] == 0
    return wilson(int(once.sum()), len(once))


def _holdout_months(scope: Scope, settings: Value) -> int:
    """Whole months that can be held out: the profile's, or half of the history where that is less; 0 for none."""
    if scope.coverage.empty:
        return 0
    span = pd.Timestamp(scope.as_of) - pd.to_datetime(scope.coverage["first_day"]).min()
    months = min(int(settings.holdout_months), round(span.days / DAYS_PER_MONTH / 2))
    return months if months >= MIN_HOLDOUT_MONTHS else 0


def _one_off(scope: Scope, months: int) -> pd.DataFrame:
    """The summary of purchases outside commitments as it stood `months` before the scope's end."""
    on, ends = customers.months_back(scope, months)
    rows = customers.payments(scope)
    rows = rows.filter(~customers.under_commitment(rows))
    coverage = pd.DataFrame({"branch": list(ends), "last_covered_day": list(ends.values())})
    summary = customers.summarize(customers.known_until(rows, "occurred_at", ends, on), as_of=on, coverage=coverage)
    frame = summary.to_pandas()
    return frame[frame["n_orders"] > 0].sort_values("customer_id", ignore_index=True)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [], "n_orders": [], "gross": []})


def _margin_rate(profits: pd.DataFrame) -> float:
    """Margin after refunds per money paid, over all customers of the last year."""
    gross = float(profits["gross"].sum())
    return float(profits["margin"].sum()) / gross if gross > 0 else 1.0


def _regular(
    running: pd.DataFrame, year_ago: pd.DataFrame, profits: pd.DataFrame, years: float
) -> tuple[pd.DataFrame, tuple[Yield, ...], float]:
    """Expected value over `years` of those with a running commitment. Also the variance of the sum.

    Dues count by the yield of their standing, further one-off payments as last year, in the same proportion as those
    of a year ago went on. Both are of a year: part of a year counts in proportion, and each further year is worth what
    will be left of the promises by then (see `_moves`).
    """
    paid = profits.set_index("customer_id")
    rate = _margin_rate(profits)
    base = year_ago[year_ago["committed"]] if "amount_a_year" in year_ago else year_ago.iloc[:0]
    if running.empty or "amount_a_year" not in running:
        frame = pd.DataFrame({"customer_id": pd.Series(dtype=object), "expected_value": pd.Series(dtype=float)})
        return frame.assign(part="regular", probability_alive=np.nan, expected_purchases=np.nan), (), 0.0
    standing_then, standing_now = _standing(base), _standing(running)
    yields = []
    for standing in STANDINGS:
        group = base[standing_then == standing]
        promised = group["amount_a_year"].to_numpy(float)
        collected = paid["regular"].reindex(group["customer_id"]).fillna(0.0).to_numpy(float)
        ratio = collected.sum() / promised.sum() if promised.sum() > 0 else math.nan
        residual = collected - ratio * promised
        error = (
            math.sqrt(len(group) / max(len(group) - 1, 1) * (residual**2).sum()) / promised.sum()
            if promised.sum() > 0
            else 0.0
        )
        yields.append(Yield(standing, len(group), float(promised.sum()), float(collected.sum()), ratio, error))
    a_year = pd.Series({each.standing: each.ratio for each in yields})
    a_year = a_year.fillna(next(iter(a_year.dropna()), 1.0))
    worth = _over_years(a_year, _moves(base.assign(standing=standing_then), running.assign(now=standing_now)), years)
    stretch = (worth / a_year.where(a_year > 0)).fillna(years)
    promised_now = running.groupby(standing_now)["amount_a_year"].sum()
    variance = sum(
        (float(promised_now.get(each.standing, 0.0)) * rate * each.standard_error * stretch[each.standing]) ** 2
        for each in yields
    )
    further = paid["one_off"].reindex(running["customer_id"]).fillna(0.0).to_numpy(float)
    goes_on = min(float(worth["up to date"]), years)
    variance += years * goes_on * float((rate * further) @ (rate * further))  # further payments come or do not
    frame = pd.DataFrame(
        {
            "customer_id": running["customer_id"].to_numpy(),
            "expected_value": rate
            * (running["amount_a_year"].to_numpy(float) * standing_now.map(worth).to_numpy(float) + further * goes_on),
            "part": "regular",
            "probability_alive": np.nan,
            "expected_purchases": np.nan,
        }
    )
    return frame, tuple(yields), variance


def _moves(base: pd.DataFrame, running: pd.DataFrame) -> pd.DataFrame:
    """What became of each amount promised a year ago, per standing then (rows) and now (columns).

    Shares of the amount promised then; what is missing to one was ended or lowered. A standing that nobody had a year
    ago moves as all others together; where nothing was promised then, everything stays as it is.
    """
    index = pd.Index(STANDINGS)
    promised = base.groupby("standing")["amount_a_year"].sum().reindex(index, fill_value=0.0) if len(base) else None
    if promised is None or promised.sum() <= 0:
        return pd.DataFrame(np.eye(len(index)), index, index)
    now = running.set_index("customer_id")
    left = pd.DataFrame(
        {
            "then": base["standing"],
            "now": base["customer_id"].map(now["now"]),
            "amount": base["customer_id"].map(now["amount_a_year"]),
        }
    ).pivot_table(index="then", columns="now", values="amount", aggfunc="sum")
    left = left.reindex(index=index, columns=index).fillna(0.0)
    moves = left.div(promised.where(promised > 0), axis=0)
    moves.loc[promised <= 0] = (left.sum() / promised.sum()).to_numpy()
    return moves


def _over_years(a_year: pd.Series, moves: pd.DataFrame, years: float) -> pd.Series:
    """Money per money promised a year over `years`, by standing: this year's yield, then that of what is left."""
    total, then = a_year * 0.0, a_year
    while years > 0:
        total = total + min(years, 1.0) * then
        then, years = moves @ then, years - 1.0
    return total


def _standing(frame: pd.DataFrame) -> pd.Series:
    return frame["status"].map(lambda status: status if status in ("overdue", "dormant") else "up to date")


def _holdout(scope: Scope, view: _View, then: pd.DataFrame, months: int, settings: Value) -> Holdout | None:
    """Foresee the last `months` from before them, for those who had no running commitment then."""
    committed = then.loc[then["committed"] & (then["status"] != "lost"), "customer_id"]
    base = view.then[~view.then["customer_id"].isin(committed)]
    if base.empty:
        return None
    on, _ = customers.months_back(scope, months)
    histories = value_models.histories(base, unit=UNIT, as_of=on)
    index = histories.frame.index
    later = view.now.set_index("customer_id").reindex(index)
    sofar = base.set_index("customer_id")
    before = view.before.set_index("customer_id").reindex(index)
    days = months_to_days(months)
    observed_days = histories.frame["T"] * 7
    frame = pd.DataFrame(
        {
            "x": histories.frame["x"],
            "actual": (later["n_orders"] - sofar["n_orders"]).fillna(0).astype(float),
            "actual_value": (later["gross"] - sofar["gross"]).fillna(0.0),
            "mean_rate": (histories.frame["x"] / observed_days.where(observed_days > 0) * days).fillna(0.0),
            "last_period": (sofar["n_orders"] - before["n_orders"].fillna(0)).astype(float),
        }
    )
    ways = ["mean_rate", "last_period"]
    if int((frame["x"] > 0).sum()) >= settings.min_repeat_customers:
        try:
            fit = value_models.fit_bg_nbd(histories)
        except CannotFit:
            fit = None
        if fit is not None:
            frame["model"] = fit.expected_purchases(histories, horizon_days=days)
            ways.insert(0, "model")
    return Holdout(on, months, frame, tuple(_judged(frame, way) for way in ways))


def _judged(frame: pd.DataFrame, way: str) -> Rule:
    actual, foreseen = frame["actual"], frame[way]
    squared = (foreseen - actual) ** 2
    better = better_error = math.nan
    if way == "model" and len(frame) > 1:
        thumbs = [(frame[name] - actual) ** 2 for name in ("mean_rate", "last_period")]
        best = min(thumbs, key=lambda errors: errors.mean())
        better = float((best - squared).mean())
        better_error = float((best - squared).std() / math.sqrt(len(frame)))
    varied = actual.nunique() > 1 and foreseen.nunique() > 1
    return Rule(
        key=way,
        total=float(foreseen.sum()),
        mean_absolute_error=float((foreseen - actual).abs().mean()),
        root_mean_squared_error=float(math.sqrt(squared.mean())),
        rank_correlation=float(foreseen.rank().corr(actual.rank())) if varied else math.nan,
        better=better,
        better_error=better_error,
    )


def _fitted(
    histories: Histories, check: Holdout | None, one_time: float, repeat: int, settings: Value
) -> tuple[BgNbdFit | None, GammaGammaFit | None, str]:
    """The models, and why they are not used (empty when they are)."""
    if repeat < settings.min_repeat_customers:
        return None, None, "one_time" if one_time > ONE_TIME_SHARE else "few"
    try:
        fit, spend = value_models.fit_bg_nbd(histories), value_models.fit_gamma_gamma(histories)
    except CannotFit:
        return None, None, "few"
    if one_time > ONE_TIME_SHARE:
        return fit, spend, "one_time"
    if check is None:
        return fit, spend, "young"
    if not check.model_wins:
        return fit, spend, "lost"
    if not fit.converged or math.isnan(spend.mean):
        return fit, spend, "diagnosis"
    return fit, spend, ""


def _by_model(
    histories: Histories, fit: BgNbdFit, spend: GammaGammaFit, margin: float, ahead: int
) -> tuple[pd.DataFrame, float]:
    days = months_to_days(ahead)
    purchases = fit.expected_purchases(histories, horizon_days=days)
    worth = spend.expected_value(histories)
    frame = pd.DataFrame(
        {
            "expected_value": purchases * worth * margin,
            "probability_alive": fit.probability_alive(histories),
            "expected_purchases": purchases,
        }
    )
    # Chance: a Poisson number of purchases whose worth varies within a customer with 1 / p as its squared coefficient.
    chance = float(purchases @ worth**2) * (1 + 1 / spend.values[0])
    by_fit = fit.delta(lambda each: float(each.expected_purchases(histories, horizon_days=days) @ worth))
    by_spend = spend.delta(lambda each: float(purchases @ each.expected_value(histories)))
    return frame, margin**2 * (by_fit.standard_error**2 + by_spend.standard_error**2 + chance)


def _relative_error(check: Holdout | None, spend_mean: float) -> float:
    """How far the model's total was off in the holdout, as a share of what took place."""
    model = check.rule("model") if check is not None else None
    if model is None or check is None or check.actual <= 0:
        return 0.0
    return abs(model.total - check.actual) / check.actual


def _to_a_year(scope: Scope, view: _View, months: int, profits: pd.DataFrame) -> float:
    """What the latest months are to be multiplied by for a year: by what the last twelve months brought against them,
    so that a season does not pass for a year; by the months alone where less than a year has been observed.
    """
    first_day = pd.to_datetime(scope.coverage["first_day"]).min()
    latest = float(view.now["gross"].sum() - view.then["gross"].sum())
    if first_day > pd.Timestamp(scope.as_of) - pd.DateOffset(months=12) or latest <= 0 or "one_off" not in profits:
        return 12 / months
    return max(float(profits["one_off"].sum()) / latest, 1.0)


def _lately(view: _View, histories: Histories) -> pd.Series:
    """Purchases of each customer over the latest months, as many as were held out."""
    sofar, earlier = (each.set_index("customer_id")["n_orders"] for each in (view.now, view.then))
    index = histories.frame.index
    return sofar.reindex(index).fillna(0).astype(float) - earlier.reindex(index).fillna(0).astype(float)


def _by_class(
    histories: Histories, check: Holdout, margin: float, lately: pd.Series, scale: float
) -> tuple[pd.DataFrame, float]:
    """What customers with as many purchases in the months before the holdout brought in it, times `scale`.

    `lately` counts purchases over as many months up to now. Classes by all purchases ever would call a customer of ten
    purchases in two years the equal of one of ten in one year, and so foresee too much as the history grows.
    """
    then, now = purchase_class(check.customers["last_period"]), purchase_class(lately)
    by_class = check.customers.groupby(then)
    value = by_class["actual_value"].mean() * scale * margin
    purchases = by_class["actual"].mean() * scale
    spread = by_class["actual_value"].var().fillna(0) / by_class.size() * (scale * margin) ** 2
    frame = pd.DataFrame(
        {
            "expected_value": now.map(value).fillna(check.customers["actual_value"].mean() * scale * margin),
            "probability_alive": np.nan,
            "expected_purchases": now.map(purchases).fillna(check.customers["actual"].mean() * scale),
        },
        index=histories.frame.index,
    )
    return frame, float((now.value_counts() ** 2 * spread).sum())


def _by_rate(histories: Histories, margin: float, ahead: int) -> pd.DataFrame:
    """Each customer's own mean rate and spend so far: all that a short history can say."""
    frame = histories.frame
    observed = frame["T"] * 7
    purchases = (frame["x"] / observed.where(observed > 0) * months_to_days(ahead)).fillna(0.0)
    return pd.DataFrame(
        {
            "expected_value": purchases * frame["mean_value"].fillna(0.0) * margin,
            "probability_alive": np.nan,
            "expected_purchases": purchases,
        },
        index=frame.index,
    )


def purchase_class(x: pd.Series) -> pd.Series:
    """The class of a number of purchases, as printed."""
    edges = [lower for lower, _ in CLASSES]
    return pd.Series(
        np.array([label for _, label in CLASSES])[np.searchsorted(edges, x, side="right") - 1], index=x.index
    )


def by_class(check: Holdout) -> pd.DataFrame:
    """The holdout by number of repeat purchases: customers, mean actual purchases with standard error, and foreseen."""
    ways = [rule.key for rule in check.rules]
    groups = check.customers.groupby(purchase_class(check.customers["x"]))
    frame = groups[["actual", *ways]].mean()
    frame.insert(0, "n", groups.size())
    frame.insert(2, "error", (groups["actual"].std() / np.sqrt(groups.size())).fillna(0.0))
    order = [label for _, label in CLASSES if label in frame.index]
    return frame.loc[order].rename_axis("repeat_purchases").reset_index()


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
