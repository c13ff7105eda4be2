"""Adjusting p-values and intervals when several questions are asked at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def _checked(p_values: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(p_values, dtype=float)
    if values.ndim != 1:
        raise ValueError("p-values come as one sequence")
    given = values[~np.isnan(values)]
    if given.size and (given.min() < 0 or given.max() > 1):
        raise ValueError(f"p-values lie between 0 and 1; found {given.min():g} to {given.max():g}")
    return values


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values, in the order given: the family-wise error rate is held.

    Undefined (nan) values stay undefined and do not count as tests. Holm 1979.
    """
    values = _checked(p_values)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    m = order.size
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * (m - np.arange(m))))
    return adjusted


def holm_levels(p_values: Sequence[float], *, level: float = 0.95) -> NDArray[np.float64]:
    """The confidence level of each interval that agrees with Holm's test at 1 - `level`.

    The interval of a parameter excludes zero exactly where Holm's procedure rejects it. A parameter that is not
    rejected gets the level of the step at which the procedure stopped.
    """
    values = _checked(p_values)
    levels = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    m = order.size
    alpha = 1.0 - level
    at = m
    stopped = False
    for rank, index in enumerate(order):
        if not stopped:
            at = m - rank
            stopped = values[index] > alpha / at
        levels[index] = 1.0 - alpha / at
    return levels


def benjamini_hochberg(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's adjusted p-values, in the order given: the false discovery rate is held.

    Undefined (nan) values stay undefined and do not count as tests. Benjamini and Hochberg 1995.
    """
    values = _checked(p_values)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    ratios = values[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(ratios[::-1])[::-1])
    return adjusted
