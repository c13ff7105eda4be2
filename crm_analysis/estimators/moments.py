"""Covariances drawn again by the bootstrap without drawing rows: cross-products are summed once, then weighted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_BLOCKS = 4000

Array = NDArray[np.float64]


def blocks(
    data: Array,
    weight: Array,
    rng: np.random.Generator,
    *,
    cluster: NDArray[np.int64] | None = None,
    most: int = MOST_BLOCKS,
) -> Array:
    """Weighted cross-products of (1, data), summed within random blocks of rows: (blocks, q, q), q = columns + 1.

    Up to `most` rows each is a block of its own; beyond that, rows share blocks of equal size, give or take one, and a
    bootstrap draws whole blocks, whose sums vary as those of rows do. Rows with the same number in `cluster` (0, 1,
    ...) stay together, so that somebody who answered ten times is drawn as one. Columns are centred first, which
    changes no covariance and saves digits.
    """
    who = np.arange(len(data)) if cluster is None else cluster
    units = int(who.max()) + 1
    count = min(units, most)
    at = (rng.permutation(units) % count)[who]
    order = np.argsort(at, kind="stable")
    sizes = np.bincount(at, minlength=count)
    within = np.arange(len(data)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    z = np.zeros((count, int(sizes.max()), data.shape[1] + 1))
    w = np.zeros((count, int(sizes.max()), 1))
    z[at[order], within, 0] = 1.0
    z[at[order], within, 1:] = (data - data.mean(axis=0))[order]
    w[at[order], within, 0] = weight[order]
    found: Array = np.swapaxes(z * w, 1, 2) @ z
    return found


def clusters(identity: pd.Series) -> NDArray[np.int64]:
    """A number for each person, from 0; whoever is not known stands alone."""
    codes, known = pd.factorize(identity)
    alone = codes < 0
    codes = codes.astype(np.int64)
    codes[alone] = len(known) + np.arange(int(alone.sum()))
    return codes


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
