"""Why value rose or fell: the steps from last year's margin to this year's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import numpy as np
import pandas as pd

from crm_analysis import customers
from crm_analysis.estimators.means import bootstrap_means
from crm_analysis.tables import Scope
from crm_analysis.units import add_months

YEAR = 12  # months
DRAWS = 500
SEED = 20053
FACTORS = ("breadth", "frequency", "amount", "rate")
STEPS = ("began", "lost", "leaving", "new", "ripened", "back", *FACTORS, "refunds")
CAME, WENT = ("new", "ripened", "back"), ("lost", "leaving")
KINDS = ("category", "product")  # the first that tells more than one kind says what a customer buys


@dataclass(frozen=True, slots=True)
class Bridge:
    """Margin after refunds of the twelve months before last, the steps, and the last twelve months.

    `steps`: step, amount, low, high (95 %, bootstrap over customers), n (customers it comes from); the amounts sum to
    `after` - `before`. `customers` holds the amount of each step per customer and never reaches a page. Steps:

    - began: customers of branches whose data begin within the two years
    - lost, new, back: customers who ordered only in the first year; only in the second, for the first time ever; only
      in the second, having ordered before both
    - leaving, ripened: customers who ordered in both years, and are dormant or lost by now; or came in the first year,
      of which they had only a part
    - breadth, frequency, amount, rate: of all others who ordered in both years, through kinds bought, orders per kind,
      amount per order, margin per amount
    - refunds: margin refunded, of all customers

    `kinds` is the column that breadth counts, empty where nothing tells kinds apart (breadth is then undefined and
    frequency is orders per customer). `why` says why there is no bridge: "short" (the data do not reach back over two
    years), "empty" (nobody ordered in either).
    """

    before: float
    after: float
    change_low: float
    change_high: float
    steps: pd.DataFrame
    customers: pd.DataFrame
    kinds: str
    as_of: date
    why: str = ""

    @property
    def change(self) -> float:
        """The difference that the steps add up to."""
        return self.after - self.before

    def step(self, name: str) -> pd.Series:
        """One row of `steps`."""
        return self.steps.set_index("step").loc[name]

    def together(self, names: Iterable[str]) -> tuple[float, float, float]:
        """What some of the steps come to together, with its 95 % interval (bootstrap over customers)."""
        total = self.customers[list(names)].to_numpy(float).sum(1)
        if len(total) < 2:
            return float(total.sum()), math.nan, math.nan
        low, high = np.quantile(_drawn_sums(total), [0.025, 0.975])
        return float(total.sum()), float(low), float(high)


def bridge(scope: Scope, status: pd.DataFrame) -> Bridge:
    """The bridge of the two years up to each branch's last covered day. `status` is that of the scope's end.

    Exact, and the order of the steps makes no difference: see `shapley`.
    """
    first_day = pd.to_datetime(scope.coverage["first_day"])
    starts_on = pd.Timestamp(add_months(scope.as_of, -2 * YEAR))
    if not len(first_day) or first_day.min() > starts_on + pd.Timedelta(days=1):
        return _none(scope, "short")
    kinds = _kinds(scope)
    years = _years(scope, kinds)
    known = status[["customer_id", "branch", "first_on", "status"]]
    years = years.merge(known, on="customer_id").sort_values("customer_id", ignore_index=True)
    history = pd.Timestamp(scope.profile.coverage.history_starts_on or first_day.min())
    first_on = pd.to_datetime(years["first_on"])
    young = first_on > history + pd.Timedelta(days=scope.profile.status.new_days)
    years["came"] = young & (first_on >= pd.to_datetime(years["first_day"]))
    years["known"] = first_on < pd.to_datetime(years["first_day"])
    years["gone"] = years["status"].isin(customers.GONE)
    if not (years[["orders_0", "orders_1"]] > 0).to_numpy().any():
        return _none(scope, "empty")
    late = scope.coverage["branch"][first_day.to_numpy() > starts_on + pd.Timedelta(days=scope.profile.status.new_days)]
    return _bridge(years.assign(began=years["branch"].isin(late)), kinds=kinds, as_of=scope.as_of)


def _none(scope: Scope, why: str) -> Bridge:
    steps = pd.DataFrame({"step": STEPS, "amount": math.nan, "low": math.nan, "high": math.nan, "n": 0})
    nobody = pd.DataFrame(columns=["customer_id", *STEPS])
    return Bridge(math.nan, math.nan, math.nan, math.nan, steps, nobody, "", scope.as_of, why)


def _bridge(years: pd.DataFrame, *, kinds: str, as_of: date) -> Bridge:
    parts = decompose(years)
    values = parts[list(STEPS)].to_numpy(float)
    sums = values.sum(0)
    before = float((years["sales_0"] - years["refunded_0"]).sum())
    after = float((years["sales_1"] - years["refunded_1"]).sum())
    low = high = np.full(len(STEPS) + 1, math.nan)
    if len(parts) > 1:
        both = np.column_stack([values, values.sum(1)])
        low, high = np.quantile(_drawn_sums(both), [0.025, 0.975], axis=0)
    counted = (values != 0).sum(0)
    steps = pd.DataFrame({"step": STEPS, "amount": sums, "low": low[:-1], "high": high[:-1], "n": counted})
    empty = (steps["n"] == 0) & (steps["step"] != "breadth") | (steps["step"] == "breadth") & (not kinds)
    steps.loc[empty, ["low", "high"]] = math.nan
    steps.loc[(steps["step"] == "breadth") & (not kinds), "amount"] = math.nan
    return Bridge(before, after, float(low[-1]), float(high[-1]), steps, parts, kinds, as_of)


def _drawn_sums(values: np.ndarray) -> np.ndarray:
    """Sums over as many customers drawn with replacement; the same draws at every call."""
    return bootstrap_means(values, draws=DRAWS, rng=np.random.default_rng(SEED)) * len(values)


def decompose(years: pd.DataFrame) -> pd.DataFrame:
    """The amount of each of STEPS per customer; each row sums to the customer's difference in margin after refunds.

    `years` has, for the first year (suffix _0) and the second (_1): orders, kinds, gross, sales (margin of orders) and
    refunded (margin of refunds); and true or false: began (the branch's data begin within the two years), known
    (ordered before both), came (ordered for the first time in either), gone (dormant or lost by now).
    """
    first, second = (years[f"orders_{year}"].to_numpy(float) > 0 for year in (0, 1))
    sales = [years[f"sales_{year}"].to_numpy(float) for year in (0, 1)]
    refunded = years["refunded_1"].to_numpy(float) - years["refunded_0"].to_numpy(float)
    began, known, came, gone = (years[name].to_numpy(bool) for name in ("began", "known", "came", "gone"))
    case = np.select(
        [
            began,
            first & ~second,
            second & ~first & known,
            second & ~first,
            first & second & gone,
            first & second & came,
        ],
        ["began", "lost", "back", "new", "leaving", "ripened"],
        default="",
    )
    change = sales[1] - sales[0]
    amounts = {name: np.where(case == name, change, 0.0) for name in STEPS}
    amounts["began"] -= np.where(began, refunded, 0.0)
    amounts["refunds"] = np.where(began, 0.0, -refunded)
    kept = first & second & (case == "")
    for name, amount in zip(FACTORS, shapley(*(_factors(years[kept], year) for year in (0, 1))), strict=True):
        amounts[name][kept] = amount
    free = kept & ~(years[["gross_0", "gross_1"]] != 0).all(axis=1).to_numpy(bool)  # orders of nothing have no rate
    amounts["rate"][free] += change[free] - sum(amounts[name][free] for name in FACTORS)
    return pd.DataFrame({"customer_id": years["customer_id"].to_numpy(), **amounts})


def _factors(years: pd.DataFrame, year: int) -> np.ndarray:
    """Kinds, orders per kind, amount per order and margin per amount, one row per customer; their product is the
    margin of the year's orders. Orders of nothing have the margin per amount of the other year.
    """
    of = {name: years[f"{name}_{year}"].to_numpy(float) for name in ("orders", "kinds", "gross", "sales")}
    other = [years[f"{name}_{1 - year}"].to_numpy(float) for name in ("sales", "gross")]
    kinds = np.maximum(of["kinds"], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(of["gross"] != 0, of["sales"] / of["gross"], other[0] / other[1])
    return np.column_stack([kinds, of["orders"] / kinds, of["gross"] / of["orders"], np.nan_to_num(rate).round(12)])


def shapley(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """The change of a product of factors, shared out among them: one array per column of `first` and `second`.

    A factor gets the mean, over all orders in which the factors can change one after another, of the difference that
    its own change makes (Shorrocks 2013, J. Econ. Inequality 11): exact, symmetric, defined for any sign.
    """
    n_factors = first.shape[1]
    shares = []
    for own in range(n_factors):
        others = [factor for factor in range(n_factors) if factor != own]
        total = np.zeros(len(first))
        for size in range(n_factors):
            weight = math.factorial(size) * math.factorial(n_factors - size - 1) / math.factorial(n_factors)
            for moved in itertools.combinations(others, size):
                rest = np.ones(len(first))
                for factor in others:
                    rest = rest * (second if factor in moved else first)[:, factor]
                total += weight * rest
        shares.append(total * (second[:, own] - first[:, own]))
    return shares


def _kinds(scope: Scope) -> str:
    rows = customers.payments(scope)
    there = [name for name in KINDS if name in rows.columns]
    if not there:
        return ""
    distinct = rows.aggregate(**{name: rows[name].nunique() for name in there}).to_pandas().iloc[0]
    return next((name for name in there if distinct[name] > 1), "")


def _years(scope: Scope, kinds: str) -> pd.DataFrame:
    """Orders, kinds, gross, sales and refunded of either year per customer, and the first year's first day."""
    on, ends = scope.as_of, customers.branch_ends(scope)
    rows = customers.payments(scope)
    rows = rows.mutate(
        _day=rows.occurred_at.cast("date"),
        _end=customers.end_of(rows.branch, ends, on),
        _margin=customers.row_margin(scope, rows),
    )
    rows = rows.filter(rows._day <= rows._end, rows._day > rows._end - ibis.interval(months=2 * YEAR))
    second = rows._day > rows._end - ibis.interval(months=YEAR)
    order = rows.kind != "refund"
    measures: dict[str, Any] = {"first_day": (rows._end - ibis.interval(months=2 * YEAR)).max()}
    for year, within in ((0, ~second), (1, second)):
        measures |= {
            f"orders_{year}": rows._day.nunique(where=order & within),
            f"gross_{year}": rows.amount.sum(where=order & within),
            f"sales_{year}": rows._margin.sum(where=order & within),
            f"refunded_{year}": -rows._margin.sum(where=~order & within),
            f"kinds_{year}": rows[kinds].nunique(where=order & within) if kinds else ibis.literal(1),
        }
    frame = rows.group_by("customer_id").aggregate(**measures).to_pandas()
    numbers = [name for name in measures if name != "first_day"]
    return frame.assign(**{name: frame[name].astype(float).fillna(0.0) for name in numbers})
