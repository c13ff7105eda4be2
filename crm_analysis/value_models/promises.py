"""What running commitments will bring: promises by what promises turned out to be worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = [
    "COLUMNS",
    "STANDINGS",
    "Z95",
    "Yield",
    "margin_rate",
    "mean_discount",
    "moved",
    "over_years",
    "regular",
    "standing_of",
    "tilt",
]
STANDINGS = ("up to date", "overdue", "dormant")
COLUMNS = (
    "customer_id",
    "expected_value",
    "low",
    "high",
    "discounted_value",
    "probability_alive",
    "expected_purchases",
    "part",
)
Z95 = 1.96


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


def mean_discount(rate_annual: float, start: float, years: float) -> float:
    """What money coming in evenly over `years` from `start` years ahead is worth now, per unit."""
    force = math.log1p(rate_annual)
    if force * years == 0:
        return (1 + rate_annual) ** -start
    return (math.exp(-force * start) - math.exp(-force * (start + years))) / (force * years)


def margin_rate(profits: pd.DataFrame) -> float:
    """Margin after refunds per money paid, over all customers of the last year."""
    gross = float(profits["gross"].sum())
    return float(profits["margin"].sum()) / gross if gross > 0 else 1.0


def regular(
    running: pd.DataFrame,
    year_ago: pd.DataFrame,
    profits: pd.DataFrame,
    years: float,
    rate_annual: float = 0.0,
    by_tenure: pd.Series | None = None,
) -> tuple[pd.DataFrame, tuple[Yield, ...], float]:
    """Expected value over `years` of those with a running commitment. Also the variance of the sum.

    Dues count by the yield of their standing, further one-off payments as last year, in the same proportion as those
    of a year ago went on. Both are of a year: part of a year counts in proportion, and each further year is worth what
    will be left of the promises by then (see `moved`).
    """
    paid = profits.set_index("customer_id")
    rate = margin_rate(profits)
    base = year_ago[year_ago["committed"]] if "amount_a_year" in year_ago else year_ago.iloc[:0]
    if running.empty or "amount_a_year" not in running:
        nobody = pd.DataFrame({name: pd.Series(dtype=float) for name in COLUMNS})
        return nobody.astype({"customer_id": object, "part": object}), (), 0.0
    standing_then, standing_now = standing_of(base), standing_of(running)
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
    moves = moved(base.assign(standing=standing_then), running.assign(now=standing_now))
    worth, discounted = over_years(a_year, moves, years), over_years(a_year, moves, years, rate_annual)
    stretch = (worth / a_year.where(a_year > 0)).fillna(years)
    promised_now = running.groupby(standing_now)["amount_a_year"].sum()
    errors = pd.Series({each.standing: each.standard_error for each in yields}) * stretch
    variance = float(((promised_now * rate * errors).fillna(0.0) ** 2).sum())
    further = paid["one_off"].reindex(running["customer_id"]).fillna(0.0).to_numpy(float)
    goes_on = min(float(worth["up to date"]), years)
    variance += years * goes_on * float((rate * further) @ (rate * further))  # further payments come or do not
    promised = running["amount_a_year"].to_numpy(float)
    if by_tenure is not None:
        promised = promised * tilt(running, standing_now, by_tenure)
    value = rate * (promised * standing_now.map(worth).to_numpy(float) + further * goes_on)
    half = abs(rate) * Z95 * promised * standing_now.map(errors).to_numpy(float)
    less = mean_discount(rate_annual, 0.0, years)
    frame = pd.DataFrame(
        {
            "customer_id": running["customer_id"].to_numpy(),
            "expected_value": value,
            "low": value - half,
            "high": value + half,
            "discounted_value": rate
            * (promised * standing_now.map(discounted).to_numpy(float) + further * goes_on * less),
            "part": "regular",
            "probability_alive": np.nan,
            "expected_purchases": np.nan,
        }
    )
    return frame, tuple(yields), variance


def tilt(running: pd.DataFrame, standing: pd.Series, by_tenure: pd.Series) -> np.ndarray:
    """By what each promise counts more or less for its tenure; those up to date share out the same sum."""
    up_to_date = (standing == "up to date").to_numpy()
    factor = by_tenure.reindex(running["customer_id"]).fillna(1.0).to_numpy(float)
    factor = np.where(up_to_date, factor, 1.0)
    promised = running["amount_a_year"].to_numpy(float)[up_to_date]
    total = float((promised * factor[up_to_date]).sum())
    return np.where(up_to_date, factor * (promised.sum() / total if total > 0 else 1.0), 1.0)


def moved(base: pd.DataFrame, running: pd.DataFrame) -> pd.DataFrame:
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


def over_years(a_year: pd.Series, moves: pd.DataFrame, years: float, rate_annual: float = 0.0) -> pd.Series:
    """Money per money promised a year over `years`, by standing: this year's yield, then that of what is left.
    Discounted at `rate_annual`.
    """
    total, then, start = a_year * 0.0, a_year, 0.0
    while years > 0:
        part = min(years, 1.0)
        total = total + part * mean_discount(rate_annual, start, part) * then
        then, years, start = moves @ then, years - 1.0, start + 1.0
    return total


def standing_of(frame: pd.DataFrame) -> pd.Series:
    """How the running commitment of each customer stands, by `status`: one of `STANDINGS`; all else is up to date."""
    return frame["status"].map(lambda status: status if status in ("overdue", "dormant") else "up to date")
