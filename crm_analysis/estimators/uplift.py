"""Who responds to a randomised treatment: predicted uplift by cross-fitting, the Qini curve, the worth of targeting.

All of it assumes that the treated were drawn at random with one chance for everybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["CrossFitted", "Gain", "Qini", "cross_fit", "forward_fit", "mean_gain", "qini"]

Floats = NDArray[np.float64]
_RIDGES = np.array([*np.logspace(-3, 3, 25), np.inf])


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """Per unit, from a model that never saw the unit's own fold.

    `uplift` is the predicted effect of treating the unit, in the outcome's unit; `rank` its place among its fold, from
    just above 0 (highest predicted uplift) to 1, equal predictions in random order, and 1 for everybody where no fold
    tells any unit from another; `score` the doubly robust
    score whose mean over any group chosen without the outcome estimates the group's average effect; `fold` the fold.
    """

    uplift: Floats
    rank: Floats
    score: Floats
    fold: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Qini:
    """The Qini curve and its coefficient.

    At `targeted` (share of all units, best predicted first, from 0 to 1) stands `gain`, the outcome gained by treating
    only these, per unit of the whole treated arm; `low` and `high` are its bootstrap interval at each point.
    `coefficient` is the area between the curve and the straight line to its end, which treating in random order would
    give: the gain over random order, averaged over all shares, per unit; with `coefficient_low`, `coefficient_high`.
    """

    targeted: Floats
    gain: Floats
    low: Floats
    high: Floats
    coefficient: float
    coefficient_low: float
    coefficient_high: float
    n_treated: int
    n_control: int
    draws: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Gain:
    """A mean per unit with its normal interval; `low` and `high` are None where nothing varies."""

    mean: float
    low: float | None
    high: float | None
    n: int


def cross_fit(
    outcome: ArrayLike, treated: ArrayLike, features: ArrayLike, *, rng: np.random.Generator, folds: int = 5
) -> CrossFitted:
    """Predict each unit's uplift from its `features` (units x columns, known before the treatment), honestly.

    In the other folds the outcome is first cleared of what features predict for everybody (least squares), then
    regressed on the centred treatment and its products with the standardised features, these ridged towards one uplift
    for all with the strength that generalised cross-validation chooses, no difference at all included: the R-learner
    of Nie and Wager 2021, eq. 4. The score is that of Robins, Rotnitzky and Zhao 1994 with the known share of treated.
    Ranks are made within folds: predictions of different folds rest on different averages, and a fold whose own
    average was high by chance is predicted low by the others. Raises ValueError where an arm has fewer than two units
    for each fold.
    """
    return _by_folds(outcome, treated, features, rng=rng, folds=folds, forward=False)


def forward_fit(
    outcome: ArrayLike, treated: ArrayLike, features: ArrayLike, *, rng: np.random.Generator, folds: int = 5
) -> CrossFitted:
    """`cross_fit` where each fold is predicted from the folds before it alone; the first two are only learned from.

    In cross-fitting each fold's outcomes also decide about the others, which makes an interval for the worth of a
    learned rule too narrow (some 90 % coverage for a nominal 95 % where the rule is a close call). Learning forward
    only, the errors of later folds are independent of all that was decided before, and the interval of the mean over
    these folds holds (Luedtke and van der Laan 2016). Units of the first two folds have nan for all but `fold`.
    """
    return _by_folds(outcome, treated, features, rng=rng, folds=folds, forward=True)


def _by_folds(
    outcome: ArrayLike, treated: ArrayLike, features: ArrayLike, *, rng: np.random.Generator, folds: int, forward: bool
) -> CrossFitted:
    y, w = np.asarray(outcome, dtype=float), np.asarray(treated, dtype=bool)
    x = np.asarray(features, dtype=float)
    if min(int(w.sum()), int((~w).sum())) < 2 * folds:
        raise ValueError(f"each arm needs at least {2 * folds} units for {folds} folds")
    fold = np.empty(y.size, dtype=np.int64)
    for arm in (w, ~w):
        fold[arm] = rng.permutation(int(arm.sum())) % folds
    uplift, rank, score = (np.full(y.size, np.nan) for _copy in range(3))
    at, told_apart = float(w.mean()), False
    for number in range(2 if forward else 0, folds):
        mine, learned = fold == number, fold < number if forward else fold != number
        centre, spread = x[learned].mean(axis=0), x[learned].std(axis=0)
        told = spread > 1e-9 * np.maximum(np.abs(centre), 1.0)
        design = np.column_stack([np.ones(y.size), (x[:, told] - centre[told]) / spread[told]])
        known, judged = design[learned], design[mine]
        usual = _least_squares(known, y[learned])
        share = float(w[learned].mean())
        effect = judged @ _effect(y[learned] - known @ usual, w[learned] - share, known)
        if_treated, if_not = judged @ usual + (1 - share) * effect, judged @ usual - share * effect
        missed = np.where(w[mine], (y[mine] - if_treated) / at, -(y[mine] - if_not) / (1 - at))
        uplift[mine], score[mine] = effect, effect + missed
        drawn = rng.permutation(effect.size)
        rank[mine] = (np.argsort(np.lexsort((drawn, -effect))) + 1) / effect.size
        told_apart |= bool(np.ptp(effect) > 0)
    if not told_apart:
        rank[~np.isnan(rank)] = 1.0
    return CrossFitted(uplift, rank, score, fold)


def _least_squares(design: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(design.T @ design, design.T @ y, rcond=None)[0], dtype=np.float64)


def _effect(rest: Floats, centred: Floats, design: Floats) -> Floats:
    """Coefficients of the uplift: the first free, the others ridged, by generalised cross-validation."""
    products = centred[:, None] * design
    lead = products[:, 0]
    norm = float(lead @ lead)
    slopes = lead @ products[:, 1:] / norm
    others = products[:, 1:] - lead[:, None] * slopes
    left = rest - lead * float(lead @ rest) / norm
    squares, axes = np.linalg.eigh(others.T @ others)
    positive = squares > 1e-12 * squares.max(initial=0.0)
    d, axes = np.sqrt(squares[positive]), axes[:, positive]
    onto = axes.T @ (others.T @ left) / d
    total = float(left @ left) - float(onto @ onto)
    typical = float((d**2).mean()) if d.size else 1.0
    kept = [np.zeros_like(d) if np.isinf(ridge) else d**2 / (d**2 + ridge * typical) for ridge in _RIDGES]
    loss = [
        (total + float((((1 - keep) * onto) ** 2).sum())) / (1 - (1 + keep.sum()) / rest.size) ** 2 for keep in kept
    ]
    keep = kept[int(np.argmin(loss))]
    ridged = axes @ (keep * onto / d)
    free = float(lead @ rest) / norm - float(slopes @ ridged)
    return np.concatenate([[free], ridged])


def qini(
    outcome: ArrayLike,
    treated: ArrayLike,
    rank: ArrayLike,
    *,
    rng: np.random.Generator,
    cells: int = 100,
    draws: int = 1999,
    blocks: int = 1000,
    confidence: float = 0.95,
) -> Qini:
    """The Qini curve of units ordered by `rank` (small first), with bootstrap intervals.

    Radcliffe 2007: among those up to a cut, the outcome of the treated less that of the controls scaled up to as many,
    S_t - S_c N_t / N_c; here over the size of the treated arm, so that lists of different size compare. Cuts lie at
    `cells` shares of the units (fewer where units share a rank: those stay together, so that their order in the data
    does not matter), and only where both arms are met. The bootstrap draws units within each arm, dealt into at most
    `blocks` blocks; the order is taken as given, so `rank` must come from a model that did not see the unit.
    """
    y, w = np.asarray(outcome, dtype=float), np.asarray(treated, dtype=bool)
    place = stats.rankdata(np.asarray(rank, dtype=float), method="max") / y.size
    cell = np.ceil(place * cells - 1e-9).astype(int) - 1
    sums = {arm: _sums(y[of], cell[of], cells, rng=rng, draws=draws, blocks=blocks) for arm, of in ((1, w), (0, ~w))}
    (t_counts, t_sums), (c_counts, c_sums) = sums[1], sums[0]
    counted = np.bincount(cell, minlength=cells).cumsum()
    met = (t_counts[0] > 0) & (c_counts[0] > 0) & (np.bincount(cell, minlength=cells) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        curves = (t_sums - c_sums * t_counts / c_counts) / t_counts[:, -1:]
    curves = np.column_stack([np.zeros(draws + 1), np.nan_to_num(curves[:, met], posinf=0.0, neginf=0.0)])
    shares = np.concatenate([[0.0], counted[met] / y.size])
    area = np.trapezoid(curves, shares, axis=1) - curves[:, -1] / 2
    tails = [0.5 - confidence / 2, 0.5 + confidence / 2]
    low, high = np.quantile(curves[1:], tails, axis=0)
    area_low, area_high = np.quantile(area[1:], tails)
    return Qini(
        targeted=shares,
        gain=curves[0],
        low=low,
        high=high,
        coefficient=float(area[0]),
        coefficient_low=float(area_low),
        coefficient_high=float(area_high),
        n_treated=int(w.sum()),
        n_control=int((~w).sum()),
        draws=draws,
        confidence=confidence,
    )


def _sums(
    y: Floats, cell: NDArray[np.int64], cells: int, *, rng: np.random.Generator, draws: int, blocks: int
) -> tuple[Floats, Floats]:
    """Cumulative counts and outcomes of one arm by cell: the arm itself first, then each bootstrap draw."""
    n_blocks = min(y.size, blocks)
    block = rng.permutation(y.size) % n_blocks
    at = block * cells + cell
    shape = (n_blocks, cells)
    counts = np.bincount(at, minlength=n_blocks * cells).reshape(shape).astype(float)
    sums = np.bincount(at, weights=y, minlength=n_blocks * cells).reshape(shape)
    times = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=draws).astype(float)
    times = np.vstack([np.ones(n_blocks), times])
    return np.cumsum(times @ counts, axis=1), np.cumsum(times @ sums, axis=1)


def mean_gain(values: ArrayLike, *, confidence: float = 0.95) -> Gain:
    """Mean of independent scores with its interval, normal; where every score is the same there is no interval."""
    array = np.asarray(values, dtype=float)
    n, mean = int(array.size), float(array.mean())
    error = float(array.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if error <= 0:
        return Gain(mean, None, None, n)
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    return Gain(mean, mean - reach, mean + reach, n)
