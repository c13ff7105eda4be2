"""Whether a model would have foreseen the last months better than rules of thumb, from the log alone.

The last months are hidden. Models of repeat buying and rules of thumb are given what was known before them, and what
each foresaw of every customer is held against what took place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import norm

from crm_analysis import customers, value_models
from crm_analysis.customer_value.pace import at_pace, hiatus, silence
from crm_analysis.customer_value.tracking import track
from crm_analysis.estimators.means import bootstrap_means
from crm_analysis.profile.settings import Value
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_MONTH, DAYS_PER_WEEK, months_to_days
from crm_analysis.value_models import CannotFit, Histories, MbgNbdFit, ParetoNbdFit
from crm_analysis.value_models.bg_nbd import BgNbdFit

RepeatFit = BgNbdFit | MbgNbdFit | ParetoNbdFit

UNIT = "week"
CLASSES = ((0, "0"), (1, "1"), (2, "2"), (3, "3-4"), (5, "5-9"), (10, "10+"))
MIN_HOLDOUT_MONTHS = 3
MIN_FITTED = 30  # customers that a rule of thumb with something to fit is fitted to
MODELS: Mapping[str, Callable[[Histories], RepeatFit]] = MappingProxyType(
    {
        "bg_nbd": value_models.fit_bg_nbd,
        "mbg_nbd": value_models.fit_mbg_nbd,
        "pareto_nbd": value_models.fit_pareto_nbd,
    }
)
THUMBS = ("mean_rate", "last_period", "hiatus", "class")
ALPHA = 0.05
DECILE = 0.1
DRAWS = 999  # of customers, to tell models apart
ALIKE = 0.001  # of the smallest squared error: models that differ by less are one and the same
SEED = 20051


@dataclass(frozen=True, slots=True)
class Rule:
    """One way of foreseeing each customer's purchases, judged on the holdout.

    Errors are per customer, in purchases over the holdout; `total` is what it foresaw in all, `bias` the mean foreseen
    less the mean that took place. `lift` is the purchases of the tenth foreseen to buy most over those of any tenth.
    `better` is the mean squared error of the best rule of thumb less this one's, with its standard error over
    customers. `aic` is that of the fit to what came before; `behind_low` the mean squared error less that of the model
    with the smallest, at the lower end of its 95 % interval (paired bootstrap over customers). These four are not a
    number for a rule of thumb.
    """

    key: str
    total: float
    mean_absolute_error: float
    root_mean_squared_error: float
    bias: float
    rank_correlation: float
    lift: float
    better: float = math.nan
    better_error: float = math.nan
    aic: float = math.nan
    behind_low: float = math.nan


@dataclass(frozen=True, slots=True)
class Holdout:
    """The check: everything known on `calibrated_to`, against what the `months` after it brought.

    `customers`: x (repeat purchases then), actual, actual_value, lately (purchases in the last `months` before), and a
    column of foreseen purchases for each way in `rules`, models first. `failed` are the models that could not be
    fitted, with the reason. `tracking` is the forecast month by month and `weekly` week by week (see `track`); None
    without a model.
    """

    calibrated_to: date
    months: int
    customers: pd.DataFrame
    rules: tuple[Rule, ...]
    failed: tuple[tuple[str, str], ...] = ()
    tracking: pd.DataFrame | None = None
    weekly: pd.DataFrame | None = None

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
    def models(self) -> tuple[Rule, ...]:
        """The models that were fitted."""
        return tuple(rule for rule in self.rules if rule.key in MODELS)

    @property
    def level(self) -> tuple[Rule, ...]:
        """The models whose squared error does not differ beyond noise from the smallest, that one among them, nor by
        more than a thousandth of it: where nobody drops out all of them are the same.
        """
        smallest = min((rule.root_mean_squared_error**2 for rule in self.models), default=0.0)
        return tuple(rule for rule in self.models if rule.behind_low <= ALIKE * smallest)

    @property
    def model(self) -> Rule | None:
        """Of the models level with the best, the one with the smallest AIC before the hidden months; where only some of
        them beat the best rule of thumb, of those.
        """
        won = tuple(rule for rule in self.level if self.beats(rule))
        return min(won or self.level, key=lambda rule: rule.aic, default=None)

    @property
    def thumb(self) -> Rule:
        """The rule of thumb with the smallest squared error."""
        return min((rule for rule in self.rules if rule.key in THUMBS), key=lambda rule: rule.root_mean_squared_error)

    @property
    def needed(self) -> float:
        """Standard errors by which a model's squared error has to be smaller: 1.96, more where several models are
        tried, since the best of several looks better than it is (Bonferroni).
        """
        return float(norm.isf(ALPHA / 2 / max(len(self.models), 1)))

    def beats(self, model: Rule) -> bool:
        """Whether a model's squared errors are smaller than those of the best rule of thumb, beyond noise."""
        return model.better - self.needed * model.better_error > 0

    @property
    def model_wins(self) -> bool:
        """Whether the model that is chosen beats the best rule of thumb."""
        return self.model is not None and self.beats(self.model)


@dataclass(frozen=True, slots=True)
class View:
    """Summaries of one-off purchases now and at calibration, and at an earlier day (`inner_months` before calibration)
    from which rules of thumb are fitted. `counts`: customer_id, ago and week (months and weeks before the branch's end,
    the latest 0), orders.
    """

    now: pd.DataFrame
    then: pd.DataFrame
    earlier: pd.DataFrame
    inner_months: int
    counts: pd.DataFrame

    def between(self, first: int, last: int) -> pd.Series:
        """Orders by customer from `last` months to `first` months ago."""
        part = self.counts[(self.counts["ago"] >= first) & (self.counts["ago"] < last)]
        return part.groupby("customer_id")["orders"].sum()


def holdout_months(scope: Scope, settings: Value) -> int:
    """Whole months that can be held out: the profile's, or half of the history where that is less; 0 for none."""
    months = min(int(settings.holdout_months), round(_history_days(scope) / DAYS_PER_MONTH / 2))
    return months if months >= MIN_HOLDOUT_MONTHS else 0


def view(scope: Scope, months: int) -> View:
    """What is needed to hide the last `months`; nothing earlier than today where that is none."""
    if not months:
        return View(customers.one_off(scope, 0), _nothing(), _nothing(), 0, _counts(scope, 1))
    inner = months if _history_days(scope) / DAYS_PER_MONTH >= 2.5 * months else max(months // 2, 1)
    return View(
        customers.one_off(scope, 0),
        customers.one_off(scope, months),
        customers.one_off(scope, months + inner),
        inner,
        _counts(scope, months),
    )


def check(scope: Scope, seen: View, committed_then: pd.DataFrame, months: int, settings: Value) -> Holdout | None:
    """Foresee the last `months` from before them, for those who had no running commitment then.

    `committed_then` is the status frame of that day. None where nobody is left.
    """
    held = committed_then.loc[committed_then["committed"] & (committed_then["status"] != "lost"), "customer_id"]
    base = seen.then[~seen.then["customer_id"].isin(held)]
    if base.empty:
        return None
    on, _ = customers.months_back(scope, months)
    histories = value_models.histories(base, unit=UNIT, as_of=on)
    index = histories.frame.index
    later, sofar = (each.set_index("customer_id").reindex(index) for each in (seen.now, base))
    days = months_to_days(months)
    observed = histories.frame["T"] * DAYS_PER_WEEK
    frame = pd.DataFrame(
        {
            "x": histories.frame["x"],
            "actual": (later["n_orders"] - sofar["n_orders"]).fillna(0).astype(float),
            "actual_value": (later["gross"] - sofar["gross"]).fillna(0.0),
            "lately": seen.between(months, 2 * months).reindex(index).fillna(0.0),
            "mean_rate": (histories.frame["x"] / observed.where(observed > 0) * days).fillna(0.0),
        }
    )
    frame["last_period"] = frame["lately"]
    thumbs = ["mean_rate", "last_period", *_fitted_thumbs(frame, histories, seen, months)]
    fits: dict[str, RepeatFit] = {}
    failed: dict[str, str] = {}
    if int((frame["x"] > 0).sum()) >= settings.min_repeat_customers:
        for key, fit_model in MODELS.items():
            foreseen = _foreseen(fit_model, histories, days)
            if isinstance(foreseen, str):
                failed[key] = foreseen
            else:
                fits[key], frame[key] = foreseen
    by_thumb = _smallest(frame, thumbs)
    behind = behind_lows(frame, list(fits))
    models = (replace(judged(frame, way, by_thumb), aic=fit.aic, behind_low=behind[way]) for way, fit in fits.items())
    found = Holdout(
        calibrated_to=on,
        months=months,
        customers=frame,
        rules=(*models, *(judged(frame, way) for way in thumbs)),
        failed=tuple(failed.items()),
    )
    if found.model is None:
        return found
    counts = seen.counts[seen.counts["customer_id"].isin(index)]
    hidden = (customers.months_back(scope, 0)[0] - on).days
    fit = fits[found.model.key]
    tracking = track(fit, later, counts, months=months, days=hidden)
    tracking["hidden"] = tracking["ago"] < months
    weekly = track(fit, later, counts.assign(ago=counts["week"]), months=1, days=int(DAYS_PER_WEEK))
    weekly["hidden"] = weekly["ago"] < hidden // DAYS_PER_WEEK
    return Holdout(on, months, frame, found.rules, found.failed, tracking, weekly)


def _foreseen(
    fit_model: Callable[[Histories], RepeatFit], histories: Histories, days: float
) -> tuple[RepeatFit, pd.Series] | str:
    """A model and what it foresees; in words why there is none."""
    with np.errstate(all="ignore"):  # a model at the end of its range is looked at below
        try:
            fit = fit_model(histories)
        except CannotFit as reason:
            return str(reason)
        if not fit.converged:
            return "; ".join(fit.notes)
        foreseen = fit.expected_purchases(histories, horizon_days=days)
    return (fit, foreseen) if np.isfinite(foreseen).all() else "a forecast is not a number"


def _smallest(frame: pd.DataFrame, ways: list[str]) -> pd.Series:
    """The squared errors of the way whose mean is the smallest."""
    return min(((frame[way] - frame["actual"]) ** 2 for way in ways), key=lambda errors: errors.mean())


def behind_lows(frame: pd.DataFrame, ways: list[str]) -> dict[str, float]:
    """Each way's mean squared error less the smallest among them, at the lower end of its 95 % interval over draws of
    customers, the same for all ways; 0 for the smallest itself. At most 0: no more than noise.
    """
    if not ways:
        return {}
    best = _smallest(frame, ways)
    apart = np.column_stack([(frame[way] - frame["actual"]) ** 2 - best for way in ways])
    drawn = bootstrap_means(apart, draws=DRAWS, rng=np.random.default_rng(SEED))
    return dict(zip(ways, np.quantile(drawn, ALPHA / 2, axis=0).tolist(), strict=True))


def judged(frame: pd.DataFrame, way: str, by_thumb: pd.Series | None = None) -> Rule:
    """How well the column `way` foresaw the column `actual`; `by_thumb` are squared errors to be compared with."""
    actual, foreseen = frame["actual"], frame[way]
    squared = (foreseen - actual) ** 2
    better = better_error = math.nan
    if by_thumb is not None and len(frame) > 1:
        better = float((by_thumb - squared).mean())
        better_error = float((by_thumb - squared).std() / math.sqrt(len(frame)))
    varied = actual.nunique() > 1 and foreseen.nunique() > 1
    return Rule(
        key=way,
        total=float(foreseen.sum()),
        mean_absolute_error=float((foreseen - actual).abs().mean()),
        root_mean_squared_error=float(math.sqrt(squared.mean())),
        bias=float((foreseen - actual).mean()),
        rank_correlation=float(foreseen.rank().corr(actual.rank())) if varied else math.nan,
        lift=decile_lift(foreseen, actual),
        better=better,
        better_error=better_error,
    )


def decile_lift(foreseen: pd.Series, actual: pd.Series) -> float:
    """Mean actual purchases of the tenth foreseen to buy most, over the mean of all; equal forecasts share the last
    places. Not a number where nothing took place.
    """
    if not len(actual) or actual.sum() <= 0:
        return math.nan
    places = math.ceil(DECILE * len(actual))
    edge = foreseen.nlargest(places).iloc[-1]
    above, level = foreseen > edge, foreseen == edge
    bought = actual[above].sum() + (places - above.sum()) * actual[level].mean()
    return float(bought / places / actual.mean())


def _fitted_thumbs(frame: pd.DataFrame, histories: Histories, seen: View, months: int) -> list[str]:
    """Add the rules of thumb that are fitted to `frame`: on the months before calibration, from before those."""
    index, inner = histories.frame.index, seen.inner_months
    known = seen.earlier[seen.earlier["customer_id"].isin(index)]
    if len(known) < MIN_FITTED:
        return []
    days = months_to_days(inner)
    past = value_models.histories(known, unit=UNIT).frame
    came = seen.between(months, months + inner)
    then_came = came.reindex(past.index).fillna(0.0)
    cut, rate = hiatus(past, then_came, days)
    frame["hiatus"] = at_pace(histories.frame, days).where(silence(histories.frame) < cut, 0.0) * rate * months / inner
    earlier = seen.between(months + inner, months + 2 * inner).reindex(past.index).fillna(0.0)
    mean = then_came.groupby(purchase_class(earlier)).mean()
    lately = came.reindex(index).fillna(0.0)
    frame["class"] = purchase_class(lately).map(mean).fillna(then_came.mean()) * months / inner
    return ["hiatus", "class"]


def purchase_class(x: pd.Series) -> pd.Series:
    """The class of a number of purchases, as printed."""
    edges = [lower for lower, _ in CLASSES]
    return pd.Series(
        np.array([label for _, label in CLASSES])[np.searchsorted(edges, x, side="right") - 1], index=x.index
    )


def by_class(found: Holdout) -> pd.DataFrame:
    """The holdout by number of repeat purchases: customers, mean actual purchases with standard error, and foreseen."""
    ways = [rule.key for rule in found.rules]
    groups = found.customers.groupby(purchase_class(found.customers["x"]))
    frame = groups[["actual", *ways]].mean()
    frame.insert(0, "n", groups.size())
    frame.insert(2, "error", (groups["actual"].std() / np.sqrt(groups.size())).fillna(0.0))
    order = [label for _, label in CLASSES if label in frame.index]
    return frame.loc[order].rename_axis("repeat_purchases").reset_index()


def _history_days(scope: Scope) -> int:
    if scope.coverage.empty:
        return 0
    return int((pd.Timestamp(scope.as_of) - pd.to_datetime(scope.coverage["first_day"]).min()).days)


def _counts(scope: Scope, months: int) -> pd.DataFrame:
    """Orders outside commitments by customer, months and weeks before the branch's end: customer_id, ago, week, orders.

    A month is the mean one of the last `months`, so that these begin at the edge of one.
    """
    on, ends = customers.months_back(scope, 0)
    then, _ = customers.months_back(scope, months)
    rows = customers.payments(scope)
    rows = customers.known_until(
        rows.filter(~customers.under_commitment(rows), rows.kind != "refund"), "occurred_at", ends, on
    )
    day = rows.occurred_at.cast("date")
    back = customers.end_of(rows.branch, ends, on).delta(day, unit="day")
    each = rows.select(
        "customer_id",
        day=day,
        ago=(back * months / (on - then).days).floor().cast("int64"),
        week=(back / DAYS_PER_WEEK).floor().cast("int64"),
    )
    counted = each.group_by("customer_id", "ago", "week").aggregate(orders=each.day.nunique())
    return counted.to_pandas()


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [], "n_orders": [], "gross": []})
