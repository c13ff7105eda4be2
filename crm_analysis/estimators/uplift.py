"""Who responds to a randomised treatment: predicted uplift by cross-fitting, the Qini curve, the worth of targeting.

All of it assumes that the treated were drawn at random with one chance for everybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crm_analysis.estimators.arms import Arm, influence

__all__ = ["CrossFitted", "Gain", "Qini", "Targeting", "cross_fit", "mean_gain", "qini", "target"]

Floats = NDArray[np.float64]
_RIDGES = np.array([*np.logspace(-3, 3, 25), np.inf])


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """Per unit, from a model that never saw the unit's own fold.

    `uplift` is the predicted effect of treating the unit, in the outcome's unit; `rank` its place among its fold, from
    just above 0 (highest predicted uplift) to 1, equal predictions in random order, and 1 for everybody where no fold
    tells any unit from another; `score` the doubly robust score whose mean over any group chosen without the outcome
    estimates the group's average effect; `fold` the fold.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Targeting:
    """What treating only those is worth of whom more than it costs is expected, against everybody and nobody; per unit.

    `everybody` is the difference in means of the arms less the cost; `targeted` treats by the rule; `over_everybody` is
    the second less the first, and their means add up. `share_idle` is the share of the draws in which the rule would
    treat nobody. Per unit, in the order given: `expected`, the mean predicted effect, and `chosen`, the share of draws
    in which the rule would treat the unit.
    """

    everybody: Gain
    targeted: Gain
    over_everybody: Gain
    share_idle: float
    expected: Floats
    chosen: Floats


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
    return _fit(*_checked(outcome, treated, features, folds), rng=rng, folds=folds)


def target(
    outcome: ArrayLike,
    treated: ArrayLike,
    features: ArrayLike,
    *,
    cost: float,
    rng: np.random.Generator,
    draws: int = 10,
    folds: int = 5,
    confidence: float = 0.95,
) -> Targeting:
    """Judge the rule "treat whoever is expected to gain more than `cost`" on all units, by repeated `cross_fit`.

    In each draw of folds every unit is judged by a rule that has not seen it. The effect on those left out is the mean
    of their doubly robust scores, moved by one constant so that the scores of all average to the difference in means:
    treating everybody is then worth just what the comparison of the arms says. Means are averaged over the draws, so
    that they do not hang on one; the variance is the mean over draws of their own and of their squared distance from
    the average (Chernozhukov et al. 2018, section 3.4): repeated draws are no new units. That keeps intervals honest
    also where the rule is a close call and each fold's outcomes decide about the others (a single draw covered some
    90 % there). The rule judged is one learned from four of five folds.
    """
    y, w, design = _checked(outcome, treated, features, folds)
    arms = [(of, influence(y[of], Arm(int(of.sum())))) for of in (w, ~w)]
    own = np.zeros(y.size)  # each unit's part in the error of the difference in means
    for sign, (of, part) in zip((1.0, -1.0), arms, strict=True):
        own[of] = sign * part
    gap = float(y[w].mean() - y[~w].mean())
    left_out, idle, own_variance = [], [], []
    expected, chosen = np.zeros(y.size), np.zeros(y.size)
    for _draw in range(draws):
        fit = _fit(y, w, design, rng=rng, folds=folds)
        treat = fit.uplift > cost
        middle = float(fit.score.mean())
        saved = np.where(treat, 0.0, cost - fit.score - (gap - middle))
        share = 1 - float(treat.mean())
        apart = (saved - saved.mean() + share * (fit.score - middle)) / y.size - share * own
        left_out.append(float(saved.mean()))
        idle.append(not treat.any())
        own_variance.append((float(apart @ apart), float((own + apart) @ (own + apart))))
        expected += fit.uplift / draws
        chosen += treat / draws
    over, spread = float(np.mean(left_out)), float(np.var(left_out))
    of_over, of_rule = np.mean(own_variance, axis=0) + spread
    reach = float(stats.norm.ppf(0.5 + confidence / 2))

    def told(mean: float, variance: float) -> Gain:
        error = math.sqrt(variance)
        if error <= 1e-9 * math.sqrt(float(own @ own)):
            return Gain(mean, None, None, y.size)
        return Gain(mean, mean - reach * error, mean + reach * error, y.size)

    return Targeting(
        everybody=told(gap - cost, float(own @ own)),
        targeted=told(gap - cost + over, of_rule),
        over_everybody=told(over, of_over),
        share_idle=float(np.mean(idle)),
        expected=expected,
        chosen=chosen,
    )


def _checked(
    outcome: ArrayLike, treated: ArrayLike, features: ArrayLike, folds: int
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Outcome, treatment, and the design: ones and the standardised features that vary."""
    y, w = np.asarray(outcome, dtype=float), np.asarray(treated, dtype=bool)
    x = np.asarray(features, dtype=float)
    if min(int(w.sum()), int((~w).sum())) < 2 * folds:
        raise ValueError(f"each arm needs at least {2 * folds} units for {folds} folds")
    centre, spread = x.mean(axis=0), x.std(axis=0)
    told = spread > 1e-9 * np.maximum(np.abs(centre), 1.0)
    return y, w, np.column_stack([np.ones(y.size), (x[:, told] - centre[told]) / spread[told]])


def _fit(y: Floats, w: NDArray[np.bool_], design: Floats, *, rng: np.random.Generator, folds: int) -> CrossFitted:
    """One draw of folds. Sums of squares and products of each fold are all that the models of the others need."""
    fold = np.empty(y.size, dtype=np.int64)
    for arm in (w, ~w):
        fold[arm] = rng.permutation(int(arm.sum())) % folds
    at, k = float(w.mean()), design.shape[1]
    members = [np.flatnonzero(fold == number) for number in range(folds)]
    of_folds = np.empty((folds, 2 * k + 1, 2 * k + 1))
    for number, mine in enumerate(members):
        known = design[mine]
        both = np.column_stack([known, (w[mine] - at)[:, None] * known, y[mine]])
        of_folds[number] = both.T @ both
    every = of_folds.sum(axis=0)
    uplift, rank, score = (np.empty(y.size) for _copy in range(3))
    told_apart = False
    for number, mine in enumerate(members):
        usual_coefficients, effect_coefficients = _learn(every - of_folds[number], k, y.size - mine.size)
        judged, treated, found = design[mine], w[mine], y[mine]
        usual, effect = judged @ usual_coefficients, judged @ effect_coefficients
        if_treated, if_not = usual + (1 - at) * effect, usual - at * effect
        missed = np.where(treated, (found - if_treated) / at, -(found - if_not) / (1 - at))
        uplift[mine], score[mine] = effect, effect + missed
        drawn = rng.permutation(effect.size)
        rank[mine] = (np.argsort(np.lexsort((drawn, -effect))) + 1) / effect.size
        told_apart |= bool(np.ptp(effect) > 0)
    if not told_apart:
        rank[:] = 1.0
    return CrossFitted(uplift, rank, score, fold)


def _learn(sums: Floats, k: int, n: int) -> tuple[Floats, Floats]:
    """Coefficients of what everybody pays and of the uplift, from sums of products of design, its products with the
    centred treatment, and the outcome.

    Of the uplift's the first is free, the others are ridged by generalised cross-validation.
    """
    plain, crossed, products = sums[:k, :k], sums[:k, k:-1], sums[k:-1, k:-1]
    of_design, of_products, of_outcome = sums[:k, -1], sums[k:-1, -1], float(sums[-1, -1])
    usual = np.asarray(np.linalg.lstsq(plain, of_design, rcond=None)[0], dtype=np.float64)
    rest = of_products - crossed.T @ usual
    total = of_outcome - 2 * float(usual @ of_design) + float(usual @ plain @ usual)
    norm, lead = float(products[0, 0]), float(rest[0])
    slopes = products[0, 1:] / norm
    squares, axes = np.linalg.eigh(products[1:, 1:] - norm * np.outer(slopes, slopes))
    positive = squares > 1e-10 * squares.max(initial=0.0)
    d, axes = np.sqrt(squares[positive]), axes[:, positive]
    onto = axes.T @ (rest[1:] - slopes * lead) / d
    unexplained = total - lead**2 / norm - float(onto @ onto)
    typical = float((d**2).mean()) if d.size else 1.0
    kept = [np.zeros_like(d) if np.isinf(ridge) else d**2 / (d**2 + ridge * typical) for ridge in _RIDGES]
    loss = [(unexplained + float((((1 - keep) * onto) ** 2).sum())) / (1 - (1 + keep.sum()) / n) ** 2 for keep in kept]
    ridged = axes @ (kept[int(np.argmin(loss))] * onto / d)
    return usual, np.concatenate([[lead / norm - float(slopes @ ridged)], ridged])


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
