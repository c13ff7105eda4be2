"""Repeat purchases over time against what the model says of new customers of the same age."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis.errors import DataError
from crm_analysis.value_models.purchasing import PurchaseFit

DRAWS = 60
GRID = 120  # points at which the mean number of purchases of a new customer is worked out
Z95 = 1.959963984540054


def track(fit: PurchaseFit, now: pd.DataFrame, counts: pd.DataFrame, *, months: int, days: int) -> pd.DataFrame:
    """Repeat purchases over time, those of the customers who were fitted and what the model says of new customers.

    `now` has first_on and observed_to, `counts` their orders by `ago`, the months before the end; `months` of them have
    `days` (1 and 7 where they are weeks). One row per month, the oldest first: ago, customers (who had come by its
    end), actual, expected, low, high, and the same cumulated from the start (actual_so_far and so on). The interval
    takes in the parameters' uncertainty and how much customers vary.
    """
    known = now[now["first_on"].notna()]
    ages = (pd.to_datetime(known["observed_to"]) - pd.to_datetime(known["first_on"])).dt.days.to_numpy(float)
    first_ago = (ages * months // days).astype(int)
    ago = np.arange(first_ago.max(initial=0) + 1, -1, -1)  # edges
    age, alike = np.unique(ages, return_counts=True)
    at_edge = np.maximum(age[:, None] - ago * days / months, 0.0)
    points = np.linspace(0.0, 1.0, GRID) ** 2 * max(float(ages.max(initial=1.0)), 1.0)

    def so_far(each: PurchaseFit) -> np.ndarray:
        mean = np.concatenate([[0.0], each.new_customer_purchases(points[1:])])
        return np.einsum("i,ij->j", alike, np.interp(at_edge, points, mean))

    with np.errstate(all="ignore"):
        expected = so_far(fit)
        try:
            drawn = np.array([so_far(each) for each in fit.draws(DRAWS, seed=1)])
        except DataError:
            drawn = np.full((2, len(expected)), np.nan)
    first = pd.DataFrame({"customer_id": known.index, "ago": first_ago, "orders": -1})
    repeats = pd.concat([counts[["customer_id", "ago", "orders"]], first], ignore_index=True)
    repeats = repeats.groupby(["customer_id", "ago"], sort=False)["orders"].sum().reset_index()
    repeats = repeats.sort_values(["customer_id", "ago"], ascending=[True, False])
    upto = repeats.groupby("customer_id")["orders"].cumsum()
    squares = (repeats["orders"] ** 2).groupby(repeats["ago"]).sum()
    growth = (upto**2 - (upto - repeats["orders"]) ** 2).groupby(repeats["ago"]).sum()
    at = ago[1:]
    n = len(known)
    actual = repeats.groupby("ago")["orders"].sum().reindex(at).fillna(0).to_numpy(float)
    total = actual.cumsum()
    chance = squares.reindex(at).fillna(0).to_numpy(float) - actual**2 / max(n, 1)
    chance_so_far = growth.reindex(at).fillna(0).to_numpy(float).cumsum() - total**2 / max(n, 1)
    frame = pd.DataFrame({"ago": at, "customers": np.einsum("i,ij->j", alike, at_edge[:, 1:] > 0)})
    for name, seen, mean, drawn_spread, spread in (
        ("", actual, np.diff(expected), _spread(drawn, cumulated=False), chance),
        ("_so_far", total, expected[1:], _spread(drawn, cumulated=True), chance_so_far),
    ):
        half = Z95 * np.sqrt(drawn_spread + np.maximum(spread, 0.0))
        frame[f"actual{name}"], frame[f"expected{name}"] = seen, mean
        frame[f"low{name}"], frame[f"high{name}"] = np.maximum(mean - half, 0.0), mean + half
    return frame


def _spread(drawn: np.ndarray, *, cumulated: bool) -> np.ndarray:
    """The variance over draws (rows) at each edge but the first, cumulated or not; not a number where any overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        spread = (drawn[:, 1:] if cumulated else np.diff(drawn, axis=1)).var(axis=0, ddof=1)
    return np.where(np.isfinite(spread).all(), spread, np.nan)
