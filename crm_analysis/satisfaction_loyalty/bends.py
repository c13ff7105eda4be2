"""Where the link bends: monotone fit for display, hinges, the zone of indifference, and splines for long scales.

Nothing here changes the verdict of `shape.examine`; it shows where on the scale the link is flat or turns.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from crm_analysis.estimators import multiplicity
from crm_analysis.estimators.proportions import normal_quantile, two_proportions, wilson
from crm_analysis.satisfaction_loyalty.shape import DRAWS, FLAG_UNDER, Shape

SPLINE_KNOTS = (0.05, 0.35, 0.65, 0.95)
SPLINE_POINTS = 21
FEWEST_FOR_SPLINE = 200

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinge:
    """The inner level at which a broken line fits best, and whether it beats a straight one.

    `change` is the slope above less the slope below (share per scale point) on the probability scale; `p` is that of
    the largest statistic over all inner levels, from a parametric bootstrap under the straight line.
    """

    label: str
    change: float
    statistic: float
    p: float
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Steps tested for equivalence, and the longest run of neighbouring levels that are all alike within `margin`.

    `steps`: lower, upper (labels), value, low, high (the 90 % interval that agrees with two one-sided tests at 5 %), p
    (Holm-adjusted over the steps), alike. `first` and `last` are the labels of the run, empty where there is none.
    """

    steps: pd.DataFrame
    first: str
    last: str
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spline:
    """A restricted cubic spline of the log-odds of loyalty on a long scale, against the straight line.

    `curve`: score, rate, low, high, n (answers between the point and the next). `p` tests the bends (likelihood ratio,
    `df` degrees of freedom); `what` is satisfaction or index.
    """

    what: str
    curve: pd.DataFrame
    statistic: float
    df: int
    p: float
    n: int


def isotonic(levels: pd.DataFrame, *, falling: bool = False) -> Array:
    """Rates of a table of levels pooled until none falls (or rises), weighted by effective numbers. Display only.

    Pool adjacent violators, Barlow, Bartholomew, Bremner and Brunk 1972.
    """
    if levels.empty:
        return np.array([])
    fit = optimize.isotonic_regression(
        levels["rate"].to_numpy(float), weights=levels["n_effective"].to_numpy(float), increasing=not falling
    )
    return np.asarray(fit.x, dtype=float)


def equivalent(difference: float, se: float, margin: float) -> float:
    """P-value of two one-sided tests that a difference lies within plus and minus `margin` (Schuirmann 1987).

    >>> round(equivalent(0.0, 0.02, 0.05), 4)
    0.0062
    """
    if not se > 0:
        return 0.0 if abs(difference) < margin else 1.0
    return float(stats.norm.sf((margin - abs(difference)) / se))


def indifference(link: Shape) -> Zone:
    """Where on the scale satisfaction makes no difference worth acting on: each step, and the longest run of levels.

    Two levels are alike where the difference of their rates is shown, not merely not contradicted, to lie within the
    link's margin. A run counts when every step in it is alike after Holm's adjustment and so is its last level less its
    first. Variances come from rates moved half an answer inwards.
    """
    rows = link.levels.to_dict("records")
    shrunk = [(r["rate"] * r["n_effective"] + 0.5) / (r["n_effective"] + 1) for r in rows]
    variance = [p * (1 - p) / r["n_effective"] for p, r in zip(shrunk, rows, strict=True)]
    found = []
    for k, (lower, upper) in enumerate(itertools.pairwise(rows)):
        first, second = (wilson(r["rate"] * r["n"], r["n"], n_effective=r["n_effective"]) for r in (lower, upper))
        step = two_proportions(first, second, level=2 * link.level - 1)
        p = equivalent(step.value, math.sqrt(variance[k] + variance[k + 1]), link.margin)
        found.append((lower["label"], upper["label"], step.value, step.low, step.high, p))
    steps = pd.DataFrame(found, columns=["lower", "upper", "value", "low", "high", "p"])
    steps["p"] = multiplicity.holm(steps["p"].to_list())
    steps["alike"] = steps["p"] < 1 - link.level
    best: tuple[int, int] | None = None
    for start in range(len(rows)):
        for end in range(start + 1, len(rows)):
            if not steps["alike"].iloc[start:end].all():
                break
            across = rows[end]["rate"] - rows[start]["rate"]
            whole = equivalent(across, math.sqrt(variance[start] + variance[end]), link.margin)
            if whole < 1 - link.level and (best is None or end - start > best[1] - best[0]):
                best = (start, end)
    first_label, last_label = (str(rows[k]["label"]) for k in best) if best else ("", "")
    return Zone(steps=steps, first=first_label, last=last_label, margin=link.margin)


def _hinge_statistics(x: Array, m: Array, score: Array) -> tuple[Array, Array]:
    """Squared z of each inner level's change of slope in a broken line through the rates, for each row of `x`."""
    rate = x / m
    safe = (x + 0.5) / (m + 1)
    weight = m / (safe * (1 - safe))
    squares, changes = [], []
    for knot in score[1:-1]:
        design = np.stack([np.ones_like(score), score - knot, np.maximum(score - knot, 0.0)], axis=1)
        normal = np.einsum("...k,ki,kj->...ij", weight, design, design)
        moment = np.einsum("...k,ki->...i", weight * rate, design)
        inverse = np.linalg.inv(normal)
        change = np.einsum("...i,...i->...", inverse[..., 2, :], moment)
        changes.append(change)
        squares.append(change**2 / inverse[..., 2, 2])
    return np.stack(squares, axis=-1), np.stack(changes, axis=-1)


def hinge(link: Shape, line: ArrayLike, *, draws: int = DRAWS) -> Hinge | None:
    """The best hinge at an observed inner level; `line` are the rates of the straight link. None under four levels.

    With three levels a hinge is the kink that `shape.examine` already tests. The largest statistic over all inner
    levels is compared with the largest in samples drawn on the straight line, so that having looked everywhere is paid.
    """
    m = link.levels["n_effective"].to_numpy(float)
    score = link.levels["score"].to_numpy(float)
    if score.size < 4:
        return None
    x = link.levels["rate"].to_numpy(float) * m
    squares, changes = _hinge_statistics(x, m, score)
    at = int(np.argmax(squares))
    size = np.maximum(np.rint(m), 1).astype(int)
    null = np.clip(np.asarray(line, dtype=float), 0.5 / (m + 1), 1 - 0.5 / (m + 1))
    drawn = np.random.default_rng(link.seed + 3).binomial(size, null, size=(draws, size.size)).astype(float)
    simulated = _hinge_statistics(drawn, size.astype(float), score)[0].max(axis=-1)
    return Hinge(
        label=str(link.levels["label"].iloc[at + 1]),
        change=float(changes[at]),
        statistic=float(squares[at]),
        p=(1 + int((simulated >= squares[at] - 1e-9).sum())) / (draws + 1),
        draws=draws,
    )


def restricted_cubic(values: ArrayLike, knots: ArrayLike) -> Array:
    """Basis of a cubic spline that is straight beyond its outer knots: the value itself, then one column per bend.

    Harrell 2015, Regression Modeling Strategies, section 2.4.5.
    """
    x, t = np.asarray(values, dtype=float), np.asarray(knots, dtype=float)
    unit = (t[-1] - t[0]) ** 2

    def cubed(knot: float) -> Array:
        return np.maximum(x - knot, 0.0) ** 3

    columns = [x]
    for knot in t[:-2]:
        columns.append(
            (
                cubed(knot)
                - cubed(t[-2]) * (t[-1] - knot) / (t[-1] - t[-2])
                + cubed(t[-1]) * (t[-2] - knot) / (t[-1] - t[-2])
            )
            / unit
        )
    return np.stack(columns, axis=1)


def spline(
    scores: ArrayLike, loyal: ArrayLike, *, what: str, weights: ArrayLike | None = None, level: float = 0.95
) -> Spline | None:
    """Loyalty along a long scale (0 to 10, or the index from 0 to 100), smooth; None where the data carry no spline.

    Four knots at the quantiles `SPLINE_KNOTS`, fewer where they coincide; at least three are needed. Weights are scaled
    to the effective number of answers.
    """
    import statsmodels.api as sm  # noqa: PLC0415  (slow to import, and most surveys have short scales)

    s, y = np.asarray(scores, dtype=float), np.asarray(loyal, dtype=float)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=float)
    known = np.isfinite(s)
    s, y, w = s[known], y[known], w[known]
    knots = np.unique(np.quantile(s, SPLINE_KNOTS)) if s.size else np.array([])
    if s.size < FEWEST_FOR_SPLINE or knots.size < 3 or min(y.sum(), (1 - y).sum()) < FLAG_UNDER:
        return None
    w = w * w.sum() / float(w @ w)
    points, at = np.unique(s, return_inverse=True)
    total, kept = np.bincount(at, weights=w), np.bincount(at, weights=w * y)
    outcome = np.column_stack([kept, total - kept])
    centre, spread = float(s.mean()), float(s.std())
    basis = restricted_cubic((points - centre) / spread, (knots - centre) / spread)
    bent = sm.GLM(outcome, sm.add_constant(basis), family=sm.families.Binomial()).fit()
    straight = sm.GLM(outcome, sm.add_constant(basis[:, :1]), family=sm.families.Binomial()).fit()
    grid = np.linspace(points[0], points[-1], SPLINE_POINTS)
    design = np.column_stack(
        [np.ones_like(grid), restricted_cubic((grid - centre) / spread, (knots - centre) / spread)]
    )
    middle = design @ bent.params
    half = normal_quantile(level) * np.sqrt(np.einsum("ij,jk,ik->i", design, bent.cov_params(), design))
    counts = np.histogram(s, bins=np.append(grid, grid[-1] + 1e-9))[0]
    df = basis.shape[1] - 1
    statistic = max(float(straight.deviance - bent.deviance), 0.0)
    return Spline(
        what=what,
        curve=pd.DataFrame(
            {
                "score": grid,
                "rate": special.expit(middle),
                "low": special.expit(middle - half),
                "high": special.expit(middle + half),
                "n": counts,
            }
        ),
        statistic=statistic,
        df=df,
        p=float(stats.chi2.sf(statistic, df)),
        n=int(s.size),
    )
