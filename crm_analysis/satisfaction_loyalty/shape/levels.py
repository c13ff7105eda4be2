"""A table of levels: one row per level of satisfaction, thin ones merged by a rule fixed beforehand.

- Scales of more than seven levels are cut into five bands;
- an answer between two levels counts with the lower one;
- a level with fewer than `MERGE_UNDER` answers joins its neighbour towards the middle of the scale and takes its score;
- a level with fewer than `FLAG_UNDER` answers is shown and marked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crm_analysis.estimators.proportions import effective_n, wilson_limits

MERGE_UNDER = 10
FLAG_UNDER = 30
MOST_LEVELS = 7


def tabulate(
    scores: ArrayLike,
    loyal: ArrayLike,
    *,
    scale: tuple[float, float],
    weights: ArrayLike | None = None,
    branches: ArrayLike | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """One row per level of the scale, empty levels included, in rising order.

    Columns: score, label, n, loyal (counts), rate (weighted share), n_effective, low, high (Wilson on n_effective).
    With the branch of every answer also n_parts and loyal_parts: both counts in each branch, in order of name.
    """
    s = np.asarray(scores, dtype=float)
    y = np.asarray(loyal, dtype=float)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=float)
    edges = bands(scale)
    at = np.searchsorted([upper for _, upper in edges], s, side="left").clip(max=len(edges) - 1)
    between = s != np.floor(s)
    if between.any() and len(edges) == int(scale[1] - scale[0]) + 1:
        at = np.where(between, (np.floor(s) - scale[0]).astype(int).clip(0, len(edges) - 1), at)
    rows = []
    for k, (lower, upper) in enumerate(edges):
        here = at == k
        total = float(w[here].sum())
        rate = float(w[here] @ y[here]) / total if total > 0 else math.nan
        name = f"{lower:g}" if lower == upper else f"{lower:g}-{upper:g}"
        rows.append(((lower + upper) / 2, name, int(here.sum()), int(y[here].sum()), rate, effective_n(w[here])))
    frame = pd.DataFrame(rows, columns=["score", "label", "n", "loyal", "rate", "n_effective"])
    if branches is not None:
        for name, counted in (("n_parts", np.ones_like(y)), ("loyal_parts", y)):
            frame[name] = _parts(at, np.asarray(branches).astype(str), counted, len(edges))
    return _with_limits(frame, level)


def _parts(at: NDArray[np.int64], branches: NDArray[np.str_], counted: NDArray[np.float64], levels: int) -> list[Any]:
    """Per level, the sum of `counted` in each branch."""
    names, of = np.unique(branches, return_inverse=True)
    sums = np.bincount(at * len(names) + of, weights=counted, minlength=levels * len(names))
    return [tuple(row) for row in sums.astype(int).reshape(levels, len(names)).tolist()]


def bands(scale: tuple[float, float]) -> list[tuple[float, float]]:
    """The levels that a scale is read in, as (lowest, highest) score of each.

    >>> bands((1, 5))
    [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)]
    >>> bands((0, 10))
    [(0.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0)]
    """
    low, high = float(scale[0]), float(scale[1])
    count = round(high - low) + 1
    if count <= MOST_LEVELS:
        return [(low + k, low + k) for k in range(count)]
    width = count // 5
    tops = [high - width * k for k in range(4, -1, -1)]
    return [(low if k == 0 else tops[k - 1] + 1, top) for k, top in enumerate(tops)]


def _with_limits(levels: pd.DataFrame, level: float) -> pd.DataFrame:
    low, high = wilson_limits(levels["rate"].to_numpy(), levels["n_effective"].to_numpy(), level=level)
    return levels.assign(low=low, high=high)


def merge_levels(levels: pd.DataFrame, *, fewest: int = MERGE_UNDER, level: float = 0.95) -> pd.DataFrame:
    """Adjacent levels merged until each holds at least `fewest` answers; empty levels vanish.

    The thinnest level goes first (the lower of two equally thin ones), towards the middle of the scale. A merged level
    keeps the score of the level that took it in and names both.
    """
    if len(levels) and levels["n"].to_numpy().min() >= max(fewest, 1):
        return _with_limits(levels.reset_index(drop=True), level)
    middle = float(levels["score"].iloc[0] + levels["score"].iloc[-1]) / 2 if len(levels) else 0.0
    kept = levels[levels["n"] > 0].to_dict("records")
    while len(kept) > 1:
        thin = min(range(len(kept)), key=lambda k: (kept[k]["n"], k))
        if kept[thin]["n"] >= fewest:
            break
        up = thin == 0 or (kept[thin]["score"] < middle and thin < len(kept) - 1)
        into = thin + 1 if up else thin - 1
        gone, host = kept[thin], kept[into]
        worth = gone["n_effective"] + host["n_effective"]
        rate = (gone["rate"] * gone["n_effective"] + host["rate"] * host["n_effective"]) / worth if worth else math.nan
        first, second = (gone, host) if up else (host, gone)
        host |= {
            "label": f"{first['label']}+{second['label']}",
            "n": gone["n"] + host["n"],
            "loyal": gone["loyal"] + host["loyal"],
            "rate": rate,
            "n_effective": worth,
        }
        for parts in host.keys() & {"n_parts", "loyal_parts"}:
            host[parts] = tuple(a + b for a, b in zip(gone[parts], host[parts], strict=True))
        del kept[thin]
    frame = pd.DataFrame(kept, columns=list(levels.columns))
    return _with_limits(frame, level)
