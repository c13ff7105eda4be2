"""The integrals of Pareto/NBD, for any parameters, without hypergeometric functions.

All have a logarithmically concave integrand, in the logarithm of time, with one peak, found in closed form. From the
peak each side is integrated by a Gauss-Legendre rule down to where the integrand has fallen to e**-36 of the peak. The
integral that the likelihood needs ten thousand times over,

    I(a, b; t) = integral from t to infinity of (alpha+u)^-a (beta+u)^-b du,

has a shorter way. With w = (alpha+t)/(alpha+u), m = a + b - 1 and d = (beta-alpha)/(alpha+t) it is (alpha+t)^-m times
the integral of w^(m-1) (1+dw)^-b over w from 0 to 1, and with w = y^c and c six times the scale on which that falls,
a Gauss-Legendre rule in y needs 16 to 40 nodes: how many follows from where the integrand has its pole in the plane of
complex y. Where that would be more, the first way is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

POWER = 6.0
RULES = (16, 24, 40)  # nodes
DIGITS = 13.0  # minus the natural logarithm of the error, over two: 1e-11
SIDE_NODES = 64
DROP = 36.0
AT_ONCE = 32_768  # so many numbers stay in the processor's cache


@lru_cache
def _rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre on (0, 1)."""
    at, weight = np.polynomial.legendre.leggauss(nodes)
    return (1 + at) / 2, weight / 2


class Block(NamedTuple):
    """A rule for some of the integrals: which `rows`; I is the exponential of `log_scale` times the sum of `density`
    over a row; with the logarithms of w = (alpha+t)/(alpha+u) and of (beta+u)/(alpha+u) at its nodes.
    """

    rows: np.ndarray
    log_scale: np.ndarray
    density: np.ndarray
    log_w: np.ndarray
    log_ratio: np.ndarray


class Tails(NamedTuple):
    """The logarithm of I, and means under its integrand of log(alpha+u), log(beta+u), 1/(alpha+u), 1/(beta+u)."""

    log_value: np.ndarray
    log_alpha_u: np.ndarray
    log_beta_u: np.ndarray
    per_alpha_u: np.ndarray
    per_beta_u: np.ndarray


def log_tail(a: np.ndarray, b: float, alpha: float, beta: float, t: np.ndarray) -> np.ndarray:
    """log I(a, b; t) for each a > 0 and t; a + b > 1."""
    found = np.empty(len(t))
    for block in _blocks(a, b, alpha, beta, t):
        found[block.rows] = block.log_scale + np.log(block.density.sum(1))
    return found


def tails(a: np.ndarray, b: float, alpha: float, beta: float, t: np.ndarray) -> Tails:
    """I(a, b; t) with the means that make its derivatives, for each a and t."""
    found = np.empty((5, len(t)))
    for rows, log_scale, density, log_w, log_ratio in _blocks(a, b, alpha, beta, t):
        start = alpha + t[rows]
        total = density.sum(1)
        w = np.exp(log_w)
        log_alpha_u = np.log(start) - np.einsum("ij,ij->i", density, log_w) / total
        found[0, rows] = log_scale + np.log(total)
        found[1, rows] = log_alpha_u
        found[2, rows] = log_alpha_u + np.einsum("ij,ij->i", density, log_ratio) / total
        w *= density
        found[3, rows] = w.sum(1) / total / start
        w *= np.exp(-log_ratio)
        found[4, rows] = w.sum(1) / total / start
    return Tails(*found)


def _blocks(a: np.ndarray, b: float, alpha: float, beta: float, t: np.ndarray) -> Iterator[Block]:
    """Rules for all integrals, each kind in blocks that fit the cache."""
    m = a + b - 1
    d = (beta - alpha) / (alpha + t)
    slope = m - b * d / (1 + d)  # of the logarithm of the integrand, at w = 1, in log w
    rising = np.maximum(d, 0)
    scale = np.where(d > 0, np.maximum(slope, m / (1 + b * np.log1p(rising))), m)
    c = POWER / scale
    nodes = np.where((m > 0.4) & (slope > 0.02 * m) & (slope < 3 * m), _nodes_needed(d, c, b), np.inf)
    kind = np.searchsorted(RULES, nodes)
    for each in np.unique(kind):
        rows = np.flatnonzero(kind == each)
        size = RULES[each] if each < len(RULES) else 2 * SIDE_NODES
        for first in range(0, len(rows), AT_ONCE // size):
            part = rows[first : first + AT_ONCE // size]
            if each == len(RULES):
                yield _two_sided(part, a[part], b, alpha + t[part], beta + t[part])
                continue
            at, weight = _rule(size)
            log_w = c[part, None] * np.log(at)
            log_ratio = np.log(1 + d[part, None] * np.exp(log_w))
            log_end = np.log(1 + d[part])
            density = np.exp((m - scale)[part, None] * log_w - b * (log_ratio - log_end[:, None]))
            density *= POWER * weight * at ** (POWER - 1)
            log_scale = -np.log(scale[part]) - b * log_end - m[part] * np.log(alpha + t[part])
            yield Block(part, log_scale, density, log_w, log_ratio)


def _nodes_needed(d: np.ndarray, c: np.ndarray, b: float) -> np.ndarray:
    """Nodes for an error of 1e-11, from the pole of order b at y^c = -1/d (Trefethen 2008, "Is Gauss quadrature better
    than Clenshaw-Curtis?", theorem 4.5; a pole of order b multiplies the error of a simple one by n^(b-1) / Gamma(b)).
    """
    with np.errstate(divide="ignore", over="ignore"):
        radius = np.minimum(np.exp(-np.log(np.abs(d)) / c), 1e6)
    pole = 2 * radius * np.exp(1j * np.where(d > 0, np.pi / c, 0.0)) - 1
    root = np.sqrt(pole * pole - 1)
    ellipse = np.maximum(np.abs(pole + root), np.abs(pole - root))
    order = max((b - 1) * np.log(RULES[-1]) - gammaln(b), 0.0) / 2
    return (DIGITS + order) / np.log(np.where((d > 0) & (c < 1), 1e6, ellipse))


def _two_sided(rows: np.ndarray, a: np.ndarray, b: float, alpha_t: np.ndarray, beta_t: np.ndarray) -> Block:
    """The first way, in the logarithm of u - t."""

    def log_density(log_time: np.ndarray) -> np.ndarray:
        time = np.exp(log_time)
        return log_time - a[:, None] * np.log(alpha_t[:, None] + time) - b * np.log(beta_t[:, None] + time)

    peak = np.log(positive_root(1 - a - b, alpha_t * (1 - b) + beta_t * (1 - a), alpha_t * beta_t))
    log_time, density, log_scale = about_peak(log_density, peak)
    time = np.exp(log_time)
    log_w = -np.log1p(time / alpha_t[:, None])
    return Block(rows, log_scale, density, log_w, np.log((beta_t[:, None] + time) / (alpha_t[:, None] + time)))


def positive_root(second: np.ndarray, first: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """The positive root of second v^2 + first v + constant, where second < 0 < constant."""
    root = np.sqrt(first * first - 4 * second * constant)
    return np.where(first > 0, (first + root) / (-2 * second), 2 * constant / (root - np.minimum(first, 0)))


def about_peak(
    log_density: Callable[[np.ndarray], np.ndarray], peak: np.ndarray, end: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes, densities times weights over that at the peak, and the logarithm of that at the peak: a row for each
    integral over the real line, or up to `end`, of a logarithmically concave density that peaks at `peak` <= `end`.
    """
    top = log_density(peak[:, None])
    at, weight = _rule(SIDE_NODES)
    nodes, weights = [], []
    for sign in (-1.0, 1.0):
        near, far = np.zeros((len(peak), 1)), np.ones((len(peak), 1))
        for _ in range(60):
            short = log_density(peak[:, None] + sign * far) > top - DROP
            if not short.any():
                break
            near, far = np.where(short, far, near), np.where(short, 2 * far, far)
        for _ in range(6):
            middle = (near + far) / 2
            short = log_density(peak[:, None] + sign * middle) > top - DROP
            near, far = np.where(short, middle, near), np.where(short, far, middle)
        if sign > 0 and end is not None:
            far = np.minimum(far, (end - peak)[:, None])
        nodes.append(peak[:, None] + sign * far * at)
        weights.append(far * weight)
    log_time = np.concatenate(nodes, axis=1)
    density = np.exp(log_density(log_time) - top) * np.concatenate(weights, axis=1)
    return log_time, density, top[:, 0]
