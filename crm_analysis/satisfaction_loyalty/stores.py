"""Two stores with the same satisfaction index and different customers: a constructed pair for the method page.

The field quotes two stores with the same index of 87 that keep 52.4 % and 19.2 % of their customers, with 33.5 % and
5.5 % "completely satisfied". No scale is stated, and on a five-point index a store with 5.5 % at the top cannot exceed
76.4, so the figures cannot share one curve. The pair below is made to have equal indexes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

FIRST = (0.10, 0.10, 0.15, 0.25, 0.40)
SECOND = (0.00, 0.025, 0.255, 0.665, 0.055)
CURVE = (0.10, 0.12, 0.16, 0.24, 0.60)
FLATTER = (0.08, 0.10, 0.13, 0.18, 0.30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two distributions over levels 1 to 5 with one index, and what they keep under a curve.

    `table` has rows (level, first, second, curve, second_curve). `index` is on 0-100. `kept_first` and `kept_second`
    are shares of customers; their difference splits into `by_distribution` (same curve, other distribution) and
    `by_curve` (same distribution, other curve).
    """

    table: pd.DataFrame
    index_first: float
    index_second: float
    kept_first: float
    kept_second: float
    by_distribution: float
    by_curve: float


def two_stores(
    first: tuple[float, ...] = FIRST,
    second: tuple[float, ...] = SECOND,
    curve: tuple[float, ...] = CURVE,
    second_curve: tuple[float, ...] = FLATTER,
) -> Pair:
    """Compare two stores: `first` on `curve` against `second` on `second_curve`.

    The distribution's part is taken on the first store's curve, the curve's part on the second store's distribution;
    they add up to the whole difference. Raises ValueError where shares do not add up to one.
    """
    p, q, f, g = (np.asarray(values, dtype=float) for values in (first, second, curve, second_curve))
    for shares in (p, q):
        if abs(shares.sum() - 1) > 1e-9:
            raise ValueError(f"the shares of a store add up to {shares.sum():g}, not to 1")
    position = np.arange(len(p)) / (len(p) - 1) * 100
    levels = np.arange(1, len(p) + 1)
    return Pair(
        table=pd.DataFrame({"level": levels, "first": p, "second": q, "curve": f, "second_curve": g}),
        index_first=float(p @ position),
        index_second=float(q @ position),
        kept_first=float(p @ f),
        kept_second=float(q @ g),
        by_distribution=float(p @ f - q @ f),
        by_curve=float(q @ f - q @ g),
    )


def highest_index(top_share: float, levels: int = 5) -> float:
    """The highest index (0-100) of a store with `top_share` on the top level: everybody else one level below.

    >>> round(highest_index(0.055), 1)
    76.4
    """
    return 100.0 * (top_share + (1 - top_share) * (levels - 2) / (levels - 1))
