"""Covariances drawn again by the bootstrap without drawing rows: cross-products are summed once, then weighted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_BLOCKS = 4000

Array = NDArray[np.float64]


def blocks(data: Array, weight: Array, rng: np.random.Generator, *, most: int = MOST_BLOCKS) -> Array:
    """Weighted cross-products of (1, data), summed within random blocks of rows: (blocks, q, q), q = columns + 1.

    Up to `most` rows each is a block of its own; beyond that, rows share blocks of equal size (the last may be smaller
    by less than one row in each block's size), and a bootstrap draws whole blocks, whose sums vary as those of rows do.
    Columns are centred first, which changes no covariance and saves digits.
    """
    n = len(data)
    size = -(-n // most)
    count = -(-n // size)
    order = rng.permutation(n)
    z = np.zeros((count * size, data.shape[1] + 1))
    w = np.zeros(count * size)
    z[:n, 0], z[:n, 1:], w[:n] = 1.0, (data - data.mean(axis=0))[order], weight[order]
    z = z.reshape(count, size, -1)
    return np.swapaxes(z * w.reshape(count, size, 1), 1, 2) @ z


def resample(summed: Array, rng: np.random.Generator, draws: int) -> Array:
    """Totals (draws, q, q) of `draws` bootstrap samples of the blocks."""
    count, q = summed.shape[:2]
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)
    drawn: Array = (times @ summed.reshape(count, -1)).reshape(draws, q, q)
    return drawn


def means(moments: Array) -> Array:
    """Means (..., q - 1) of the centred columns from totals (..., q, q) of (1, data)."""
    return moments[..., 0, 1:] / moments[..., :1, 0]


def covariance(moments: Array) -> Array:
    """Covariance matrices (..., q - 1, q - 1), divisor the sum of weights, from totals (..., q, q) of (1, data)."""
    scaled = moments / moments[..., :1, :1]
    mean = scaled[..., 0, 1:]
    found: Array = scaled[..., 1:, 1:] - mean[..., :, None] * mean[..., None, :]
    return found


def correlation(moments: Array) -> Array:
    """Correlation matrices (..., q - 1, q - 1) from totals (..., q, q) of (1, data)."""
    found = covariance(moments)
    spread = np.sqrt(np.maximum(np.diagonal(found, axis1=-2, axis2=-1), 1e-12))
    scaled: Array = found / (spread[..., :, None] * spread[..., None, :])
    return scaled
