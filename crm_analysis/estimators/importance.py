"""How much of an explained variance goes to each of several correlated items, and how sure their order is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
COLLINEAR = 1e-9
MOST_NUMBERS = 4_000_000


def lmg(correlation: Array) -> Array:
    """LMG shares of R2 from a correlation matrix with the outcome last: averages over all orders of entry.

    `correlation` is (..., p + 1, p + 1); the result (..., p) adds up to R2 and is never negative. Lindeman, Merenda and
    Gold 1980, p. 119; Grömping 2006, eq. 6. Collinear items share what they explain. The work grows as 2 to the power
    of p: fifteen items are 32,768 regressions, swept one item at a time.
    """
    p = correlation.shape[-1] - 1
    size = np.array([bin(subset).count("1") for subset in range(2**p)])
    factorial = np.array([math.factorial(k) for k in range(p + 1)], dtype=float)
    entering = np.where(size > 0, factorial[size - 1] * factorial[p - size] / factorial[p], 0.0)
    staying = np.where(size < p, factorial[size] * factorial[np.maximum(p - size - 1, 0)] / factorial[p], 0.0)
    holds = (np.arange(2**p)[:, None] >> np.arange(p)) & 1
    weights = np.where(holds == 1, entering[:, None], -staying[:, None])
    flat = correlation.reshape(-1, p + 1, p + 1)
    step = max(1, MOST_NUMBERS // 2 ** (p + 2))
    parts = [_explained(flat[at : at + step]) @ weights for at in range(0, len(flat), step)]
    return np.maximum(np.concatenate(parts), 0.0).reshape(*correlation.shape[:-2], p)


def _explained(matrices: Array) -> Array:
    """R2 of every subset of items, (draws, 2 ** p); bit k of a subset's number says whether item k is in."""
    left = matrices[:, None]
    found = np.zeros((len(matrices), 1))
    for _item in range(matrices.shape[-1] - 1):
        pivot, column, rest = left[..., 0, 0], left[..., 0, 1:], left[..., 1:, 1:]
        scale = np.where(pivot > COLLINEAR, 1 / np.maximum(pivot, COLLINEAR), 0.0)
        swept = rest - (column * scale[..., None])[..., :, None] * column[..., None, :]
        found = np.concatenate([found, found + column[..., -1] ** 2 * scale], axis=1)
        left = np.concatenate([rest, swept], axis=1)
    return found


def johnson(correlation: Array) -> Array:
    """Johnson's relative weights of R2 from a correlation matrix with the outcome last. Johnson 2000, eq. 8.

    `correlation` is (..., p + 1, p + 1); the result (..., p) adds up to R2 and is never negative.
    """
    within, outcome = correlation[..., :-1, :-1], correlation[..., :-1, -1]
    values, vectors = np.linalg.eigh(within)
    root = np.sqrt(np.clip(values, 0, None))
    inverse = np.where(root > 1e-7, 1 / np.maximum(root, 1e-7), 0.0)
    half = (vectors * root[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    beta = (vectors * inverse[..., None, :]) @ np.swapaxes(vectors, -1, -2) @ outcome[..., None]
    found: Array = ((half**2) @ beta**2)[..., 0]
    return found


def rank_intervals(values: Array, drawn: Array, *, level: float = 0.95) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last rank that each value (p,) can have, 1 being the largest, from its bootstrap draws (draws, p).

    An item is surely behind those whose difference to it, studentised, exceeds the largest difference that chance
    gives among all others: marginal confidence sets of Mogstad, Romano, Shaikh and Wilhelm 2024, section 3.1. Ranks
    read off the draws themselves would be too sure where values are close.
    """
    p = len(values)
    first, last = np.ones(p, dtype=np.int64), np.full(p, p, dtype=np.int64)
    for j in range(p):
        others = np.delete(np.arange(p), j)
        if not others.size:
            continue
        difference = values[others] - values[j]
        moved = drawn[:, others] - drawn[:, [j]] - difference
        error = np.maximum(moved.std(axis=0, ddof=1), 1e-12)
        reach = np.quantile(np.abs(moved / error).max(axis=1), level)
        first[j] += int((difference / error > reach).sum())
        last[j] -= int((difference / error < -reach).sum())
    return first, last
