"""How unevenly profit and margin are spread over customers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.customer_value.profits import TOP, Profits, n_best
from crm_analysis.estimators.proportions import Proportion, wilson

TOPS = (0.01, 0.05, 0.10, 0.20, 0.50)
GROUPS = (0.05, 0.11, 0.28, 0.28, 0.28)  # of customers, the most profitable first, as the field's case has them
DRAWS = 500
SEED = 20051
ALONE = 1000  # customers resampled one by one
POINTS = 200  # of a drawn curve


@dataclass(frozen=True, slots=True)
class Concentration:
    """How profit is spread over customers, the most profitable first.

    `below_cost` is the share of customers with a loss; `taken` what they take away and `peak` the top of the cumulative
    curve, both as shares of the profit of all; `top_share` the share that the best tenth brings, with its bootstrap
    interval. Shares of profit are undefined (nan) where the profit of all is not positive.
    """

    n: int
    total: float
    below_cost: Proportion
    loss: float
    taken: float
    peak: float
    peak_at: float
    top_share: float
    top_low: float
    top_high: float
    curve: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Inequality:
    """Gini coefficient and Lorenz curve of the margin of the last twelve months, and shares of profit by group.

    `gini` is over the `n` customers who ordered in the twelve months; margins below 0 (`n_negative` of them) count as
    0, since with negative amounts the coefficient has no upper bound. Its interval is asymptotic (Davidson
    2009). `curve`: share_of_customers, share_of_margin, the smallest first. `tops`: top (share of customers), n, share
    (of profit), low, high. `groups`: share_of_customers, n, profit, share, low, high, per_head, customers cut into
    GROUPS by profit. Shares of profit are undefined where the profit of all is not positive.
    """

    gini: float
    low: float
    high: float
    n: int
    n_negative: int
    curve: pd.DataFrame
    tops: pd.DataFrame
    groups: pd.DataFrame


def concentration(profits: Profits) -> Concentration:
    """The cumulative profit curve and what it says. The bootstrap resamples customers."""
    profit = np.sort(profits.customers["profit"].to_numpy(float))[::-1]
    n, total = len(profit), float(profit.sum())
    below = int((profit < 0).sum())
    loss = float(-profit[profit < 0].sum())
    sums = np.cumsum(profit)
    positive = total > 0
    top = n_best(n)
    low, high = _intervals(profit, (TOP,))[0] if positive and n > 1 else (math.nan, math.nan)
    at = np.unique(np.concatenate([np.linspace(0, n, min(n, 200) + 1).round().astype(int), [n - below]]))
    share = np.concatenate([[0.0], sums])[at] / total if positive else np.full(len(at), np.nan)
    return Concentration(
        n=n,
        total=total,
        below_cost=wilson(below, n),
        loss=loss,
        taken=loss / total if positive else math.nan,
        peak=float(sums.max() / total) if positive and n else math.nan,
        peak_at=(n - below) / n if n else math.nan,
        top_share=float(sums[top - 1] / total) if positive and n else math.nan,
        top_low=low,
        top_high=high,
        curve=pd.DataFrame({"share_of_customers": at / max(n, 1), "share_of_profit": share}).iloc[
            : len(at) if n else 0
        ],
    )


def inequality(profits: Profits) -> Inequality:
    """Gini and Lorenz curve of the margin of those who ordered; shares of profit of the best and by group."""
    frame = profits.customers
    margin = np.sort(frame.loc[frame["n_orders"] > 0, "margin"].to_numpy(float))
    sizes = np.maximum(margin, 0.0)
    value, low, high = gini(sizes)
    n, total = len(sizes), sizes.sum()
    at = np.unique(np.linspace(0, n, min(n, POINTS) + 1).round().astype(int))
    sums = np.concatenate([[0.0], np.cumsum(sizes)])[at]
    curve = pd.DataFrame({"share_of_customers": at / n, "share_of_margin": sums / total}) if total > 0 else None
    profit = np.sort(frame["profit"].to_numpy(float))[::-1]
    return Inequality(
        gini=value,
        low=low,
        high=high,
        n=n,
        n_negative=int((margin < 0).sum()),
        curve=pd.DataFrame(columns=["share_of_customers", "share_of_margin"]) if curve is None else curve,
        tops=top_shares(profit),
        groups=profit_groups(profit),
    )


def gini(amounts: np.ndarray) -> tuple[float, float, float]:
    """The Gini coefficient of amounts that are not negative, with its 95 % interval.

    Davidson 2009, *Journal of Econometrics* 150: plug-in estimate, its influence function for the standard
    error, and n / (n - 1) against bias. Undefined for fewer than two amounts, or where all are nothing.

    >>> round(gini(np.array([1.0, 1.0, 1.0]))[0], 6), round(gini(np.array([0.0, 0.0, 1.0]))[0], 6)
    (0.0, 1.0)
    """
    x = np.sort(np.asarray(amounts, float))
    n = len(x)
    if n < 2 or x.sum() <= 0:  # noqa: PLR2004 - one customer has no spread
        return math.nan, math.nan, math.nan
    if x[0] < 0:
        raise ValueError(f"the Gini coefficient needs amounts of at least 0; the smallest is {x[0]}")
    mean, rank = x.mean(), np.arange(1, n + 1)
    raw = 2 * (x * (rank - 0.5)).sum() / (mean * n**2) - 1
    z = -(raw + 1) * x + (2 * rank - 1) / n * x - 2 / n * np.cumsum(x)
    error = math.sqrt(((z - z.mean()) ** 2).sum()) / (n * mean)
    value = raw * n / (n - 1)
    return value, max(value - 1.96 * error, 0.0), min(value + 1.96 * error, 1.0)


def top_shares(profit: np.ndarray) -> pd.DataFrame:
    """Share of profit of the best 1, 5, 10, 20 and 50 %: top, n, share, low, high; `profit` from the best down."""
    n, total = len(profit), profit.sum()
    sizes = [min(max(math.ceil(round(top * n, 9)), 1), n) for top in TOPS]
    sums = np.concatenate([[0.0], np.cumsum(profit)])
    spans = _intervals(profit, TOPS) if total > 0 and n > 1 else [(math.nan, math.nan)] * len(TOPS)
    return pd.DataFrame(
        {
            "top": TOPS,
            "n": sizes,
            "share": sums[sizes] / total if total > 0 else math.nan,
            "low": [low for low, _high in spans],
            "high": [high for _low, high in spans],
        }
    )


def profit_groups(profit: np.ndarray, shares: Sequence[float] = GROUPS) -> pd.DataFrame:
    """Profit by group of customers, cut at `shares` of them from the most profitable down. See `Inequality`."""
    n, total = len(profit), profit.sum()
    edges = np.concatenate([[0.0], np.cumsum(shares)]).clip(max=1.0)
    cuts = np.rint(edges * n).astype(int)
    sums = np.diff(np.concatenate([[0.0], np.cumsum(profit)])[cuts])
    sizes = np.diff(cuts)
    frame = pd.DataFrame({"share_of_customers": shares, "n": sizes, "profit": sums})
    frame["share"] = sums / total if total > 0 else math.nan
    known = total > 0 and n > 1
    drawn = np.diff(_drawn(profit, tuple(edges)), axis=1) if known else np.full((1, len(sizes)), math.nan)
    frame["low"], frame["high"] = np.quantile(drawn, [0.025, 0.975], axis=0)
    frame["per_head"] = frame["profit"] / frame["n"].where(frame["n"] > 0)
    return frame


def _intervals(profit: np.ndarray, tops: Sequence[float]) -> list[tuple[float, float]]:
    """95 % bootstrap interval of the share of each top, `profit` sorted from the best down."""
    low, high = np.quantile(_drawn(profit, tops), [0.025, 0.975], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _drawn(profit: np.ndarray, tops: Sequence[float]) -> np.ndarray:
    """Bootstrap draws of the share of profit that each top brings, one column per top.

    The best customers are resampled one by one, the rest in groups of neighbours whose profits hardly differ: their
    number of draws is then Poisson with the group's size as mean.
    """
    n = len(profit)
    alone = min(n, ALONE)
    edges = np.unique(np.concatenate([np.arange(alone), np.linspace(alone, n, min(n - alone, ALONE) + 1).astype(int)]))
    edges = edges[edges < n]
    size = np.diff(np.append(edges, n))
    mean = np.add.reduceat(profit, edges) / size
    drawn = np.random.default_rng(SEED).poisson(size, (DRAWS, len(size)))
    total = drawn @ mean
    drawn, total = drawn[total > 0], total[total > 0]
    before = np.cumsum(drawn, axis=1) - drawn
    everybody = drawn.sum(1, keepdims=True)
    return np.column_stack([(np.clip(top * everybody - before, 0, drawn) @ mean) / total for top in tops])
