"""Partial least squares on correlation matrices: outer weights, paths, total effects, reliability of the blocks.

Mode A, path weighting scheme, standardised items (Lohmöller 1989, chapter 2; Tenenhaus, Esposito Vinzi, Chatelin and
Lauro 2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SINGLE = 1
TOLERANCE = 1e-9
MOST_ROUNDS = 300
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Outer weights and what follows from them, for any leading shape of covariance matrices.

    `weights` (..., items) make latent variables of variance one from standardised items; `loadings` (..., items) are
    their correlations; `latent` (..., blocks, blocks) correlations of the latent variables; `paths` [..., i, j] the
    coefficient of block i in the regression of block j; `r2` (..., blocks), nan where nothing leads to a block.
    """

    weights: Array
    loadings: Array
    latent: Array
    paths: Array
    r2: Array
    rounds: int
    converged: NDArray[np.bool_]


def solve(correlation: Array, member: NDArray[np.int64], edges: NDArray[np.bool_]) -> Solution:
    """Partial least squares on correlation matrices (..., items, items).

    `member` gives each item's block, `edges[i, j]` whether block i leads to block j. Every latent variable is turned so
    that its loadings add up to more than zero: higher is better, as its items are. `converged` says of each matrix
    whether no weight moved by more than `TOLERANCE` within `MOST_ROUNDS`.
    """
    belongs = member[:, None] == np.arange(len(edges))
    weights = np.broadcast_to(np.ones(len(member)), correlation.shape[:-1]).copy()
    weights, outer = _standardised(weights, belongs, correlation)
    rounds, moved = 0, np.full(correlation.shape[:-2], np.inf)
    while rounds < MOST_ROUNDS and np.any(moved > TOLERANCE):
        rounds += 1
        latent = np.swapaxes(outer, -1, -2) @ correlation @ outer
        inner = outer @ _inner(latent, edges)
        fresh = (correlation @ inner)[..., np.arange(len(member)), member]
        fresh, outer = _standardised(fresh, belongs, correlation)
        moved = np.abs(fresh - weights).max(axis=-1)
        weights = fresh
    latent = np.swapaxes(outer, -1, -2) @ correlation @ outer
    paths, r2 = _regressions(latent, edges)
    loadings = (correlation @ outer)[..., np.arange(len(member)), member]
    return Solution(
        weights=weights,
        loadings=loadings,
        latent=latent,
        paths=paths,
        r2=r2,
        rounds=rounds,
        converged=moved <= TOLERANCE,
    )


def _standardised(weights: Array, belongs: NDArray[np.bool_], correlation: Array) -> tuple[Array, Array]:
    """Weights (..., items) and their matrix (..., items, blocks) for latent variables of variance one, turned up."""
    outer = weights[..., :, None] * belongs
    crossed = correlation @ outer
    size = np.sqrt(np.maximum((outer * crossed).sum(axis=-2), 1e-300))
    turn = np.where((crossed * belongs).sum(axis=-2) < 0, -1.0, 1.0) / size
    outer = outer * turn[..., None, :]
    return outer.sum(axis=-1), outer


def _inner(latent: Array, edges: NDArray[np.bool_]) -> Array:
    """Inner weights of the path scheme: regression on what leads to a block, correlation with what it leads to."""
    found, _r2 = _regressions(latent, edges)
    return np.asarray(found + latent * edges.T)


def _regressions(latent: Array, edges: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Coefficients [..., i, j] of block i for block j, and R2 (..., blocks)."""
    found = np.zeros_like(latent)
    r2 = np.full(latent.shape[:-1], np.nan)
    for j in range(len(edges)):
        sources = np.flatnonzero(edges[:, j])
        if sources.size:
            within, outcome = latent[..., sources[:, None], sources], latent[..., sources, j]
            solved = (np.linalg.pinv(within, rcond=1e-10, hermitian=True) @ outcome[..., None])[..., 0]
            found[..., sources, j] = solved
            r2[..., j] = (solved * outcome).sum(axis=-1)
    return found, r2


def total_effects(paths: Array) -> Array:
    """Direct and indirect effects [..., i, j] of block i on block j: inverse of (identity - paths), less identity."""
    one = np.eye(paths.shape[-1])
    return np.asarray(np.linalg.inv(one - paths) - one)


def alpha(covariance: Array) -> Array:
    """Cronbach's alpha of the items of a covariance (raw) or correlation (standardised) matrix (..., k, k).

    nan for a single item. Cronbach 1951, eq. 2.
    """
    k = covariance.shape[-1]
    if k == SINGLE:
        return np.full(covariance.shape[:-2], np.nan)
    total = covariance.sum(axis=(-1, -2))
    return np.asarray(k / (k - 1) * (1 - np.trace(covariance, axis1=-2, axis2=-1) / np.maximum(total, 1e-300)))


def rho_a(correlation: Array, weights: Array) -> float:
    """Consistent reliability of mode A scores, weights scaled to a score of variance one; nan for a single item.

    Dijkstra and Henseler 2015, eq. 3.
    """
    crossed = np.outer(weights, weights)
    np.fill_diagonal(crossed, 0.0)
    apart = correlation - np.diag(np.diag(correlation))
    below = float(weights @ crossed @ weights)
    if len(weights) == SINGLE or below <= 0:
        return math.nan
    return float((weights @ weights) ** 2 * (weights @ apart @ weights) / below)


def rho_c(loadings: Array) -> float:
    """Composite reliability (Dillon and Goldstein's rho) from loadings; nan for a single item."""
    if len(loadings) == SINGLE:
        return math.nan
    common = float(loadings.sum()) ** 2
    return common / (common + float((1 - loadings**2).sum()))
