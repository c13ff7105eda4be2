"""Comparing a treated list with customers nobody drew at random: four estimators, and how far each can be trusted.

None of these intervals covers what nobody recorded. Each rests on an assumption of its own, named with the function;
where they disagree, or find an effect on a date when nothing happened, none of them is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crm_analysis.estimators.means import welch

__all__ = [
    "Contrast",
    "EventStudy",
    "HiddenBias",
    "Overlap",
    "Weighted",
    "aipw",
    "ancova",
    "difference_in_differences",
    "event_study",
    "hidden_bias",
    "naive_difference",
    "own_change",
    "robustness_value",
    "standardised_difference",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_STEPS = 60
_LARGEST_LOGIT = 30.0
_ARM = 2
"""Fewest units of an arm that have a variance."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Outcome of the treated less what stands for it without the treatment, in the outcome's unit per treated unit.

    `standard_error`, `low`, `high` and `p_value` are None where they are undefined: an arm with fewer than two units,
    or outcomes without variation. `degrees_of_freedom` is None where the interval is normal.
    """

    estimate: float
    standard_error: float | None
    degrees_of_freedom: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n_treated: int
    n_comparison: int
    basis: str

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval is known and lies on one side of zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class EventStudy:
    """Difference between the two groups in each period, less that of the reference period.

    `periods` are the columns of the panel, `estimates` their coefficients (zero at the reference) with `low` and `high`
    (pointwise, NaN at the reference). `p_value` is that of the joint test that the coefficients before the last
    column are all zero, None with nothing to test; `statistic` its Wald statistic on `rank` coefficients.
    """

    periods: tuple[int, ...]
    estimates: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    statistic: float | None
    rank: int
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far the comparison group holds units like the treated.

    `outside_share` is the share of treated units whose chance of being treated lies above that of every comparison unit
    or above one less the trimming limit; `effective_n` what the weighted comparison units are worth in units of equal
    weight (Kish 1965).
    """

    outside_share: float
    effective_n: float


@dataclass(frozen=True, slots=True)
class Weighted:
    """A doubly robust contrast with its overlap and balance; `contrast` is None where the groups do not overlap.

    `differences_before` and `differences_after` are standardised differences of each covariate, in order: raw, and with
    comparison units weighted and units outside the common support left out.
    """

    contrast: Contrast | None
    overlap: Overlap
    differences_before: tuple[float, ...]
    differences_after: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HiddenBias:
    """How strong something unrecorded would have to be (Cinelli and Hazlett 2020).

    A confounder that explains `robustness` of what is left of both the treatment and the outcome brings the estimate to
    zero; `robustness_interval` is enough for its 95 % interval to reach zero. `benchmark_treatment` and
    `benchmark_outcome` are the same two shares for the covariate that is known: its partial R2 with the treatment, and
    with the outcome beside the treatment.
    """

    robustness: float
    robustness_interval: float
    benchmark_treatment: float
    benchmark_outcome: float
    degrees_of_freedom: int


def naive_difference(outcome: ArrayLike, treated: ArrayLike) -> Contrast:
    """Difference in means, Welch 1947. Assumes that both groups would have had the same mean without the treatment."""
    y, d = _outcome(outcome, treated)
    found = welch(y[d], y[~d])
    return Contrast(
        found.difference,
        found.standard_error,
        found.degrees_of_freedom,
        found.low,
        found.high,
        found.p_value,
        found.n_treated,
        found.n_control,
        "Welch",
    )


def own_change(before: ArrayLike, outcome: ArrayLike) -> Contrast:
    """Mean change of the same units, paired t. Assumes that nothing else would have changed them meanwhile."""
    change = np.asarray(outcome, dtype=float) - np.asarray(before, dtype=float)
    marks = np.ones(change.size, dtype=bool)
    error = float(change.std(ddof=1)) / math.sqrt(change.size) if change.size >= _ARM else None
    return _contrast(float(change.mean()), error, float(change.size - 1), marks, "paired t")


def ancova(outcome: ArrayLike, treated: ArrayLike, before: ArrayLike) -> Contrast:
    """Difference after a common straight line on the value before, heteroskedasticity-robust (HC2).

    Assumes that among units with the same value before, the mean without the treatment is the same in both groups, and
    that one line holds for all. `before` is one column or several.
    """
    y, d = _outcome(outcome, treated)
    design = np.column_stack([np.ones(y.size), d.astype(float), _columns(before, y.size)])
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ (design.T @ y)
    residual = y - design @ coefficients
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    influence = design @ inverse[:, 1]
    freedom = y.size - int(np.linalg.matrix_rank(design))
    variance = float((influence**2) @ (residual**2 / np.clip(1 - leverage, 1e-12, None)))
    error = math.sqrt(variance) if freedom > 0 and min(d.sum(), (~d).sum()) >= _ARM else None
    return _contrast(float(coefficients[1]), error, float(freedom), d, "OLS, HC2")


def difference_in_differences(before: ArrayLike, outcome: ArrayLike, treated: ArrayLike) -> Contrast:
    """Change of the treated less change of the comparison units, clustered by unit.

    `before` has a column per period before the treatment, all of one length with the outcome's. With one date of
    treatment and a complete panel this is, exactly, the coefficient of the two-way regression with unit and period
    effects; the variance clusters by unit, each group with its own. Assumes parallel trends: without the treatment both
    groups would have changed by the same amount.
    """
    y, d = _outcome(outcome, treated)
    change = y - _columns(before, y.size).mean(axis=1)
    found = naive_difference(change, d)
    return _contrast(
        found.estimate, found.standard_error, found.degrees_of_freedom, d, "unit and period effects, clustered"
    )


def event_study(panel: ArrayLike, treated: ArrayLike, *, periods: tuple[int, ...], reference: int = -1) -> EventStudy:
    """Coefficients of group x period with unit and period effects, clustered by unit, and the joint pre-trend test.

    `panel` has a column per entry of `periods`; those below zero lie before the treatment. The joint test is
    Hotelling's: the Wald statistic of the coefficients before the reference, against an F with the smaller group's
    degrees of freedom, which errs on the side of not rejecting.
    """
    y = np.asarray(panel, dtype=float)
    d = np.asarray(treated, dtype=bool)
    if y.ndim != 2 or y.shape != (d.size, len(periods)) or reference not in periods:  # noqa: PLR2004 - a table
        raise ValueError("the panel needs a row per unit and a column per period, the reference among them")
    _both(d)
    at = periods.index(reference)
    change = y - y[:, [at]]
    estimates = change[d].mean(axis=0) - change[~d].mean(axis=0)
    covariance = _covariance(change[d]) + _covariance(change[~d])
    freedom = min(int(d.sum()), int((~d).sum())) - 1
    reach = stats.t.ppf(0.975, max(freedom, 1)) * np.sqrt(np.diag(covariance))
    reach[at] = np.nan
    early = [i for i, period in enumerate(periods) if period < 0 and i != at]
    statistic, rank, p_value = _wald(estimates[early], covariance[np.ix_(early, early)], freedom)
    return EventStudy(
        periods=periods,
        estimates=tuple(map(float, estimates)),
        low=tuple(map(float, estimates - reach)),
        high=tuple(map(float, estimates + reach)),
        statistic=statistic,
        rank=rank,
        p_value=p_value,
    )


def aipw(
    outcome: ArrayLike, treated: ArrayLike, covariates: ArrayLike, *, target: str = "treated", trim: float = 0.1
) -> Weighted:
    """Augmented inverse-probability weighting (Robins, Rotnitzky and Zhao 1994), for the treated or for everybody.

    Logit for the chance of being treated, a linear model of the outcome within each group; right when either is.
    The standard error counts that both are estimated (stacked estimating equations, Stefanski and Boos 2002). Units
    with a chance above 1 - `trim` (for everybody: below `trim` as well, Crump et al. 2009) and treated units above
    every comparison unit lie outside the common support and are left out; models are not fitted again. `trim` 0 keeps
    all. Assumes that nothing unrecorded decides on both the treatment and the outcome.
    """
    y, d = _outcome(outcome, treated)
    x = _columns(covariates, y.size)
    if target not in ("treated", "all"):
        raise ValueError(f"target {target!r} is neither 'treated' nor 'all'")
    raw = tuple(standardised_difference(column[d], column[~d]) for column in x.T)
    z = _standardised(x)
    chance = _logit(z, d)
    nothing = Weighted(None, Overlap(1.0, 0.0), raw, (math.nan,) * len(raw))
    if chance is None or min(d.sum(), (~d).sum()) < _ARM:
        return nothing
    inside = np.ones(y.size, dtype=bool)
    if trim > 0:
        inside = chance <= min(1 - trim, float(chance[~d].max()))
        if target == "all":
            inside &= chance >= trim
    weight = np.where(d, 1.0, chance / (1 - chance)) if target == "treated" else 1 / np.where(d, chance, 1 - chance)
    kept_t, kept_c = inside & d, inside & ~d
    outside = 1 - float(kept_t.sum()) / float(d.sum())
    if min(kept_t.sum(), kept_c.sum()) < _ARM:
        return nothing
    w = weight[kept_c]
    overlap = Overlap(outside, float(w.sum() ** 2 / (w @ w)))
    after = tuple(
        standardised_difference(column[kept_t], column[kept_c], weights=(weight[kept_t], w), spread_of=column[d])
        for column in x.T
    )
    if target == "treated":
        estimate, influence = _on_the_treated(y, d, z, chance, inside)
    else:
        estimate, influence = _on_everybody(y, d, z, chance, inside)
    error = math.sqrt(float(influence @ influence)) / y.size
    kept = d[inside]
    return Weighted(_contrast(estimate, error, None, kept, "AIPW, influence function"), overlap, raw, after)


def robustness_value(t_statistic: float, degrees_of_freedom: float, *, alpha: float | None = None) -> float:
    """Share of the residual variance of treatment and outcome that a confounder must explain to undo an estimate.

    With `alpha` it is enough that the estimate is no longer different from zero at that level. Cinelli and Hazlett
    (2020), eq. 18 and 20; `t_statistic` is that of ordinary least squares. Where the outcome's share would exceed what
    is left of it, the bound is that of a confounder explaining all of it (their extreme case).
    """
    if degrees_of_freedom <= 1:
        raise ValueError("a regression with two degrees of freedom or more is needed")
    f = abs(t_statistic) / math.sqrt(degrees_of_freedom)
    critical = 0.0
    if alpha is not None:
        critical = float(stats.t.ppf(1 - alpha / 2, degrees_of_freedom - 1)) / math.sqrt(degrees_of_freedom - 1)
    left = f - critical
    if left <= 0:
        return 0.0
    if f * critical > 1:
        return (f**2 - critical**2) / (1 + f**2)
    return 0.5 * (math.sqrt(left**4 + 4 * left**2) - left**2)


def hidden_bias(outcome: ArrayLike, treated: ArrayLike, before: ArrayLike) -> HiddenBias | None:
    """Robustness of `ancova` on one covariate to what is not recorded; None where the regression is undefined."""
    y, d = _outcome(outcome, treated)
    x = np.asarray(before, dtype=float)
    freedom = y.size - 3
    one = np.ones(y.size)
    arm = d.astype(float)
    if freedom <= 1 or x.std() == 0 or min(d.sum(), (~d).sum()) < _ARM:
        return None
    share = _partial_r2(y, arm, np.column_stack([one, x]))
    if share is None:
        return None
    t_statistic = math.sqrt(share / (1 - share) * freedom) if share < 1 else math.inf
    return HiddenBias(
        robustness=robustness_value(t_statistic, freedom),
        robustness_interval=robustness_value(t_statistic, freedom, alpha=0.05),
        benchmark_treatment=_partial_r2(arm, x, one[:, None]) or 0.0,
        benchmark_outcome=_partial_r2(y, x, np.column_stack([one, arm])) or 0.0,
        degrees_of_freedom=freedom,
    )


def standardised_difference(
    treated: ArrayLike,
    comparison: ArrayLike,
    *,
    weights: tuple[ArrayLike, ArrayLike] | None = None,
    spread_of: ArrayLike | None = None,
) -> float:
    """Difference in (weighted) means over a standard deviation: that of `spread_of`, the treated where None.

    NaN where that standard deviation is undefined, and where it is zero while the means differ.
    """
    a, b = np.asarray(treated, float), np.asarray(comparison, float)
    wa, wb = (None, None) if weights is None else (np.asarray(weights[0], float), np.asarray(weights[1], float))
    gap = float(np.average(a, weights=wa) - np.average(b, weights=wb))
    of = a if spread_of is None else np.asarray(spread_of, float)
    spread = float(of.std(ddof=1)) if of.size > 1 else math.nan
    if spread == 0:
        return 0.0 if gap == 0 else math.nan
    return gap / spread


def _on_the_treated(y: Floats, d: Flags, z: Floats, chance: Floats, inside: Flags) -> tuple[float, Floats]:
    odds = chance / (1 - chance)
    keep, arm = inside.astype(float), d.astype(float)
    fit = _fit(y, ~d, z)
    balance = keep * (arm - (1 - arm) * odds)
    part = balance * fit.residual
    count = float((keep * arm).sum()) / y.size
    estimate = float(part.mean()) / count
    by_outcome = -(balance[:, None] * z).mean(axis=0)
    by_chance = -((keep * (1 - arm) * odds * fit.residual)[:, None] * z).mean(axis=0)
    influence = part - keep * arm * estimate + fit.influence @ by_outcome + _score(z, arm, chance) @ by_chance
    return estimate, influence / count


def _on_everybody(y: Floats, d: Flags, z: Floats, chance: Floats, inside: Flags) -> tuple[float, Floats]:
    keep, arm = inside.astype(float), d.astype(float)
    of_treated, of_others = _fit(y, d, z), _fit(y, ~d, z)
    to_treated, to_others = arm / chance, (1 - arm) / (1 - chance)
    part = keep * (
        of_others.residual - of_treated.residual + to_treated * of_treated.residual - to_others * of_others.residual
    )
    count = float(keep.mean())
    estimate = float(part.mean()) / count
    by_treated = ((keep * (1 - to_treated))[:, None] * z).mean(axis=0)
    by_others = -((keep * (1 - to_others))[:, None] * z).mean(axis=0)
    tilt = to_treated * of_treated.residual * (1 - chance) + to_others * of_others.residual * chance
    by_chance = -((keep * tilt)[:, None] * z).mean(axis=0)
    influence = part - keep * estimate + of_treated.influence @ by_treated + of_others.influence @ by_others
    return estimate, (influence + _score(z, arm, chance) @ by_chance) / count


@dataclass(frozen=True, slots=True)
class _Fit:
    residual: Floats
    influence: Floats


def _fit(y: Floats, within: Flags, z: Floats) -> _Fit:
    """Least squares on the units `within`: everybody's residual, and each unit's influence on the coefficients."""
    own = z[within]
    inverse = np.linalg.pinv(own.T @ own / y.size)
    residual = y - z @ (inverse @ (own.T @ y[within] / y.size))
    return _Fit(residual, ((within * residual)[:, None] * z) @ inverse)


def _score(z: Floats, arm: Floats, chance: Floats) -> Floats:
    """Each unit's influence on the coefficients of the logit."""
    information = (z * (chance * (1 - chance))[:, None]).T @ z / arm.size
    return ((arm - chance)[:, None] * z) @ np.linalg.pinv(information)


def _logit(z: Floats, d: Flags) -> Floats | None:
    """Fitted chances by maximum likelihood (Newton); None where the covariates separate the groups."""
    arm, coefficients = d.astype(float), np.zeros(z.shape[1])
    for _step in range(_STEPS):
        linear = z @ coefficients
        if np.abs(linear).max() > _LARGEST_LOGIT and _separated(linear, d):
            return None
        chance = 1 / (1 + np.exp(-np.clip(linear, -500, 500)))
        information = (z * (chance * (1 - chance))[:, None]).T @ z
        step = np.linalg.pinv(information, hermitian=True) @ (z.T @ (arm - chance))
        largest = float(np.abs(z @ step).max())
        coefficients = coefficients + step * min(1.0, 5.0 / max(largest, 1e-300))
        if largest < 1e-9:  # noqa: PLR2004 - the likelihood is flat to rounding
            return np.clip(chance, 1e-15, 1 - 1e-15)
    return None


def _separated(linear: Floats, d: Flags) -> bool:
    return bool(linear[d].min() >= linear[~d].max())


def _partial_r2(y: Floats, of: Floats, beside: Floats) -> float | None:
    """Share of what `beside` leaves of `y` that `of` explains; None where nothing is left of either."""
    ortho, _triangle = np.linalg.qr(beside)
    left_y, left_of = y - ortho @ (ortho.T @ y), of - ortho @ (ortho.T @ of)
    total = float(left_y @ left_y) * float(left_of @ left_of)
    if total <= 1e-24 * max(float(y @ y) * float(of @ of), 1e-300):
        return None
    return min(float(left_y @ left_of) ** 2 / total, 1.0)


def _wald(estimates: Floats, covariance: Floats, freedom: int) -> tuple[float | None, int, float | None]:
    if not estimates.size:
        return None, 0, None
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if rank == 0 or freedom - rank + 1 < 1:
        return None, rank, None
    statistic = float(estimates @ np.linalg.pinv(covariance, hermitian=True) @ estimates)
    scaled = statistic * (freedom - rank + 1) / (freedom * rank)
    return statistic, rank, float(stats.f.sf(scaled, rank, freedom - rank + 1))


def _covariance(rows: Floats) -> Floats:
    """Covariance of the column means."""
    if len(rows) < _ARM:
        return np.full((rows.shape[1], rows.shape[1]), np.nan)
    return np.atleast_2d(np.cov(rows, rowvar=False)) / len(rows)


def _contrast(estimate: float, error: float | None, freedom: float | None, d: Flags, basis: str) -> Contrast:
    low = high = p_value = None
    if error is not None and error > 0:
        law = stats.norm if freedom is None else stats.t(freedom)
        reach = float(law.ppf(0.975)) * error
        low, high, p_value = estimate - reach, estimate + reach, float(2 * law.sf(abs(estimate) / error))
    else:
        error = None
    return Contrast(estimate, error, freedom, low, high, p_value, int(d.sum()), int((~d).sum()), basis)


def _standardised(x: Floats) -> Floats:
    """An intercept and the columns that vary, centred and scaled."""
    spread = x.std(axis=0)
    varies = spread > 0
    return np.column_stack([np.ones(len(x)), (x[:, varies] - x[:, varies].mean(axis=0)) / spread[varies]])


def _outcome(outcome: ArrayLike, treated: ArrayLike) -> tuple[Floats, Flags]:
    y, d = np.asarray(outcome, dtype=float), np.asarray(treated)
    if y.ndim != 1 or d.shape != y.shape:
        raise ValueError("each unit needs one outcome and one mark of whether it was treated")
    if not np.isfinite(y).all():
        raise ValueError(
            f"{int((~np.isfinite(y)).sum())} of {y.size} outcomes are missing; no purchase is zero, say so"
        )
    if not np.isin(d, (0, 1)).all():
        raise ValueError("a unit is treated (true, 1) or not (false, 0)")
    marks = d.astype(bool)
    _both(marks)
    return y, marks


def _both(marks: Flags) -> None:
    if not marks.any() or marks.all():
        raise ValueError("both treated and comparison units are needed")


def _columns(values: ArrayLike, n: int) -> Floats:
    array = np.asarray(values, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[0] != n:
        raise ValueError("each unit needs one outcome and one row of values before")
    if not np.isfinite(array).all():
        raise ValueError("values before are missing; state them or leave those units out")
    return array
