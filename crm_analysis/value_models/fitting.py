"""Maximum likelihood for all models: search on the log scale, covariance on the original one, diagnosis in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from crm_analysis.errors import DataError
from crm_analysis.value_models.histories import DAYS_PER_UNIT, Histories

Likelihood = Callable[[np.ndarray], tuple[float, np.ndarray]]
Z95 = 1.959963984540054
FURTHER_STARTS = ((1.0, 1.0, -1.0, -1.0), (-1.0, -1.0, 1.0, 1.0))
LOG_LIMIT = 7.0  # the search ends at e**7 and e**-7 of a parameter's start; one within 1 of that has run off


MIN_REPEAT = 10
SPREAD_LOST = "customers differ less in this respect than the model can say"
THINNED_TO = 20_000
DRAWN_AT_ONCE = 20_000_000  # numbers that `interval` by draws holds in memory


class CannotFit(DataError):
    """The data cannot bear the model; the message says why, with the number."""


class Customers(Protocol):
    """What a model predicts for: a frozen dataclass with one row per customer in `frame`."""

    @property
    def frame(self) -> pd.DataFrame: ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantity with its standard error and 95 % interval from the uncertainty of the parameters alone."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted model. `values` are the parameters in the order of `names`, `covariance` theirs, on the original scale
    (inverse of minus the Hessian of the total log-likelihood; not a number for parameters that run to the end of their
    range, which the rest take as known). `unit` is the unit of time they were fitted in.
    `notes` says in words what is wrong with the fit; empty when nothing is. `remarks` says what to know of a fit with
    which nothing is wrong. `columns` are those of a history on which
    predictions depend.

    A prediction that has no finite mean under the parameters is not a number, and `undefined` says why under its name.
    """

    names: ClassVar[tuple[str, ...]] = ()
    model: ClassVar[str] = ""
    columns: ClassVar[tuple[str, ...]] = ("x", "t_x", "T")

    values: tuple[float, ...]
    covariance: np.ndarray
    log_likelihood: float
    n_customers: int
    n_distinct: int
    converged: bool
    notes: tuple[str, ...]
    unit: str
    as_of: date | None = None
    remarks: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by name."""
        return dict(zip(self.names, self.values, strict=True))

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors by name; not a number where the likelihood does not determine them."""
        with np.errstate(invalid="ignore"):
            return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2 * len(self.values) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Bayesian information criterion, with the number of customers as the size of the sample."""
        return math.log(self.n_customers) * len(self.values) - 2 * self.log_likelihood

    @property
    def undefined(self) -> dict[str, str]:
        """Predictions that these parameters leave without a finite mean: name of the method, and the reason."""
        return {}

    def parameter_table(self) -> pd.DataFrame:
        """One row per parameter: estimate, standard_error, and low and high of the 95 % interval on the log scale."""
        estimate = np.array(self.values)
        error = np.array(list(self.standard_errors.values()))
        width = np.exp(Z95 * error / estimate)
        return pd.DataFrame(
            {"estimate": estimate, "standard_error": error, "low": estimate / width, "high": estimate * width},
            index=pd.Index(self.names, name="parameter"),
        )

    def delta(self, quantity: Callable[[Self], float]) -> Estimate:
        """`quantity` of the fit with its 95 % interval by the delta method, on the log scale of the parameters."""
        theta = np.array(self.values)
        step = 1e-4
        gradient = np.empty(len(theta))
        for i in range(len(theta)):
            up, down = theta.copy(), theta.copy()
            up[i] *= math.exp(step)
            down[i] *= math.exp(-step)
            gradient[i] = (quantity(self._at(up)) - quantity(self._at(down))) / (2 * step)
        value = float(quantity(self))
        variance = float(gradient @ self._log_spread() @ gradient)
        error = math.sqrt(variance) if variance >= 0 else math.nan
        return Estimate(value, error, value - Z95 * error, value + Z95 * error)

    def draws(self, n: int, *, seed: int) -> list[Self]:
        """`n` fits with parameters drawn from their distribution (normal on the log scale).

        Raises DataError where the likelihood does not determine the parameters, so that there is nothing to draw from.
        """
        spread = self._log_spread()
        if not np.isfinite(spread).all():
            raise DataError(
                f"The {self.model} fit has no covariance to draw parameters from: "
                f"{'; '.join(self.notes) or 'it was not estimated'}."
            )
        drawn = np.random.default_rng(seed).multivariate_normal(np.log(self.values), spread, size=n, method="eigh")
        return [self._at(row) for row in np.exp(drawn)]

    def interval(
        self,
        quantity: Callable[[Self, Any], pd.Series | np.ndarray],
        customers: Customers,
        *,
        method: Literal["delta", "draws"] = "delta",
        upper: float | None = None,
        draws: int = 200,
        seed: int = 1,
    ) -> pd.DataFrame:
        """A prediction for each customer with the 95 % interval that the uncertainty of the parameters alone gives it:
        value, low, high, in the customers' order. What each customer will do varies far more than that.

        `quantity` takes a fit and customers and returns one number of zero or more for each, for example
        `lambda fit, group: fit.expected_purchases(group, horizon_days=364)`; where it cannot exceed a number, as a
        probability cannot exceed one, that is `upper`. It is worked out once for each distinct history. By `delta` the
        interval is symmetric on the log scale (on the logit scale where there is an upper limit); by `draws` its ends
        are the 2.5 and 97.5 % quantiles over `draws` drawn parameters, among which those without a finite mean count
        as beyond any number. low and high are not a number where the likelihood does not determine the parameters.
        """
        if method not in ("delta", "draws"):
            raise DataError(f'Intervals are made by "delta" or by "draws", not by "{method}".')
        firsts, where = distinct_rows(customers.frame, self.columns)
        group: Any = replace(customers, frame=customers.frame.iloc[firsts])  # type: ignore[type-var]
        value = np.asarray(quantity(self, group), float)
        if not np.isfinite(self._log_spread()).all():
            low = high = np.full(len(value), np.nan)
        elif method == "delta":
            low, high = self._delta_bounds(lambda fit: np.asarray(quantity(fit, group), float), value, upper)
        else:
            low, high = self._drawn_bounds(quantity, group, self.draws(draws, seed=seed))
        return pd.DataFrame({"value": value[where], "low": low[where], "high": high[where]}, customers.frame.index)

    def _delta_bounds(
        self, quantity: Callable[[Self], np.ndarray], value: np.ndarray, upper: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        theta, step = np.array(self.values), 1e-4
        gradient = []
        for i in range(len(theta)):
            move = np.ones(len(theta))
            move[i] = math.exp(step)
            gradient.append((quantity(self._at(theta * move)) - quantity(self._at(theta / move))) / (2 * step))
        slope = np.array(gradient)
        error = np.sqrt(np.maximum(np.einsum("in,ij,jn->n", slope, self._log_spread(), slope, optimize=True), 0))
        room = np.ones(len(value)) if upper is None else np.maximum(1 - value / upper, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.exp(np.where(error > 0, Z95 * error / (value * room), 0.0))
            if upper is None:
                return value / width, value * width
            share = value / upper
            low, high = share / (share + room * width), share / (share + room / width)
        return upper * low, upper * high

    def _drawn_bounds(
        self, quantity: Callable[[Self, Any], pd.Series | np.ndarray], group: Any, fits: list[Self]
    ) -> tuple[np.ndarray, np.ndarray]:
        frame = group.frame
        order = np.lexsort([frame[name].to_numpy() for name in self.columns])  # neighbours share what is costly
        low, high = np.empty(len(frame)), np.empty(len(frame))
        at_once = max(DRAWN_AT_ONCE // len(fits), 1)
        for first in range(0, len(frame), at_once):
            rows = order[first : first + at_once]
            part = replace(group, frame=frame.iloc[rows])
            drawn = np.sort([np.asarray(quantity(fit, part), float) for fit in fits], axis=0)  # not a number goes last
            for share, bound in ((0.025, low), (0.975, high)):
                place = share * (len(fits) - 1)
                below = math.floor(place)
                above = min(below + 1, len(fits) - 1)
                bound[rows] = drawn[below] + (place - below) * (drawn[above] - drawn[below])
        return low, high

    def _log_spread(self) -> np.ndarray:
        """Covariance of the logarithms of the parameters; parameters at the end of their range count as known."""
        spread = self.covariance / np.outer(self.values, self.values)
        unknown = np.isnan(np.diag(spread))
        return spread if unknown.all() else np.where(unknown[:, None] | unknown, 0.0, spread)

    def _at(self, theta: np.ndarray) -> Self:
        return replace(self, values=tuple(float(value) for value in theta))

    def _same_unit(self, histories: Histories) -> None:
        if histories.unit != self.unit:
            raise DataError(
                f"The model was fitted in {self.unit}s and the purchase histories are in {histories.unit}s: "
                f'make them with `histories(summary, unit="{self.unit}")`.'
            )

    def _time(self, days: float) -> float:
        if not days >= 0:
            raise DataError(f"A prediction looks ahead by zero days or more; asked for {days:g}.")
        return days / DAYS_PER_UNIT[self.unit]


def dot(first: np.ndarray, second: np.ndarray) -> float:
    """Inner product without BLAS, whose threads stall each other where several notebooks run at once."""
    return float(np.einsum("i,i->", first, second))


def distinct_rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the first of each distinct row in `columns`, and for each row which of those it equals."""
    code = np.zeros(len(frame), dtype=np.int64)
    for name in columns:
        each, kinds = pd.factorize(frame[name].to_numpy(), use_na_sentinel=False)
        code = pd.factorize(code * max(len(kinds), 1) + each)[0]
    seen = np.full(int(code.max(initial=-1)) + 1, -1)
    seen[code[::-1]] = np.arange(len(code))[::-1]
    return seen, code


def thinned(distinct: pd.DataFrame) -> pd.DataFrame | None:
    """A sample of many distinct histories (x, t_x, T, n) to find a neighbourhood in; None when they are few.

    Every k-th of them stands for k; those that k customers or more share all stay.
    """
    if len(distinct) <= 2 * THINNED_TO:
        return None
    k = len(distinct) // THINNED_TO
    light = distinct["n"].to_numpy() < k
    few = distinct[light].iloc[::k]
    return pd.concat([distinct[~light], few.assign(n=few["n"] * k)], ignore_index=True)


def need_repeat(histories: Histories, model: str) -> None:
    """Raise CannotFit with fewer than ten customers who have a repeat purchase."""
    repeat = int((histories.frame["x"] > 0).sum())
    if repeat < MIN_REPEAT:
        raise CannotFit(
            f"{model} needs at least {MIN_REPEAT} customers with a repeat purchase; "
            f"{repeat} of {len(histories)} have one."
        )


def maximise(
    likelihood: Likelihood,
    start: dict[str, float],
    *,
    n_customers: int,
    rough: Likelihood | None = None,
    words: dict[tuple[str, str], str] | None = None,
) -> dict[str, Any]:
    """The fields of a `Fit` that the search determines.

    `likelihood` gives the total log-likelihood and its gradient for parameters on the original scale. The search runs
    on their logarithms, by L-BFGS and then Newton steps; further starts are tried only when the first ends badly: not
    converged, or with a parameter at the end of its range. Where `rough`, the likelihood of a sample, is given, L-BFGS
    runs on that and only the Newton steps on all. `words` says what it means that a parameter runs off: by name and
    side ("up" or "down").
    """
    first_guess = np.log(list(start.values()))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        value, log_theta, converged = _search(likelihood, first_guess, rough)
        for scale in FURTHER_STARTS:
            if converged and np.abs(log_theta - first_guess).max() <= LOG_LIMIT - 1:
                break
            found = _search(likelihood, first_guess + np.array(scale[: len(start)]))
            if found[0] > value + max(1e-6, 1e-9 * abs(value)):
                value, log_theta, converged = found
        theta = np.exp(log_theta)
        at_end = np.abs(log_theta - first_guess) > LOG_LIMIT - 1
        covariance = _covariance(likelihood, log_theta, at_end)
    notes = []
    if not converged:
        notes.append("the search did not converge: the parameters are the best found, not a maximum")
    unknown = np.isnan(np.diag(covariance))
    log_errors = np.sqrt(np.diag(covariance)) / theta
    for name, where, first, error, ended in zip(start, log_theta, first_guess, log_errors, at_end, strict=True):
        if ended:
            side = "without limit" if where > first else "towards zero"
            meaning = (words or {}).get((name, "up" if where > first else "down"), SPREAD_LOST)
            notes.append(f"{name} runs {side}: {meaning}")
        elif error > 2:
            notes.append(f"{name} is hardly determined by these data (standard error larger than the value)")
    if unknown.all():
        notes.append("the likelihood is flat around its best point: no standard errors")
    elif unknown.any():
        names = " and ".join(name for name, lost in zip(start, unknown, strict=True) if lost)
        notes.append(f"no standard errors for {names}: those of the others take them as known")
    return {
        "values": tuple(theta.tolist()),
        "covariance": covariance,
        "log_likelihood": value,
        "n_customers": n_customers,
        "converged": converged,
        "notes": tuple(notes),
    }


def _search(
    likelihood: Likelihood, start: np.ndarray, rough: Likelihood | None = None
) -> tuple[float, np.ndarray, bool]:
    hessian = None
    if rough is not None:
        rough_value, log_theta, near = _search(rough, start)
        value, gradient = likelihood(np.exp(log_theta))
        if near:
            hessian = _log_hessian(rough, log_theta) * (value / rough_value)
    if hessian is None:
        log_theta = _by_lbfgs(likelihood, start)
        value, gradient = likelihood(np.exp(log_theta))
    size = max(abs(value), 1.0)
    slope = gradient * np.exp(log_theta)
    for _step in range(30):
        before = np.abs(slope).max()
        if before <= 1e-9 * size:
            break
        if hessian is None:
            hessian = _log_hessian(likelihood, log_theta)
        try:
            step = np.linalg.solve(hessian, -slope)
        except np.linalg.LinAlgError:
            break
        inside = np.abs(log_theta + step - start).max() < LOG_LIMIT
        if not step @ slope > 0 or not inside:  # also where the step is not a number
            break
        step *= min(1.0, 1.0 / np.abs(step).max())
        while np.abs(step).max() > 1e-12:
            new_value, new_gradient = likelihood(np.exp(log_theta + step))
            if new_value >= value - 1e-12 * size:
                break
            step /= 2
        else:
            break
        log_theta = log_theta + step
        value, slope = new_value, new_gradient * np.exp(log_theta)
        if np.abs(slope).max() > 0.1 * before:  # the second derivatives of a step ago serve while they help
            hessian = None
    held = (np.abs(log_theta - start) > LOG_LIMIT - 1e-6) & (slope * (log_theta - start) > 0)  # at the end of its range
    return float(value), log_theta, bool(np.abs(slope[~held]).max(initial=0) <= 1e-6 * size)


def _by_lbfgs(likelihood: Likelihood, start: np.ndarray) -> np.ndarray:
    size = max(abs(likelihood(np.exp(start))[0]), 1.0)

    def objective(log_theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = np.exp(log_theta)
        found, slope = likelihood(theta)
        if not math.isfinite(found):
            return 1e10, np.zeros(len(theta))
        return -found / size, -slope * theta / size

    bounds = [(centre - LOG_LIMIT, centre + LOG_LIMIT) for centre in start]
    until = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=until).x
    return np.asarray(found, float)


def _log_hessian(likelihood: Likelihood, log_theta: np.ndarray) -> np.ndarray:
    """Hessian of the log-likelihood in the logarithms, by central differences of the analytic gradient."""
    step = 1e-5
    rows = []
    for i in range(len(log_theta)):
        shifted = []
        for sign in (1, -1):
            moved = log_theta.copy()
            moved[i] += sign * step
            shifted.append(likelihood(np.exp(moved))[1] * np.exp(moved))
        rows.append((shifted[0] - shifted[1]) / (2 * step))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _covariance(likelihood: Likelihood, log_theta: np.ndarray, at_end: np.ndarray) -> np.ndarray:
    """Inverse of minus the Hessian on the original scale. Where there is none, that of the parameters not at the end of
    their range; not a number for the rest, or for all.
    """
    theta = np.exp(log_theta)
    slope = likelihood(theta)[1] * theta
    # d2L/dlog2 = theta theta' d2L/dtheta2 + diag(theta dL/dtheta)
    scaled = np.diag(slope) - _log_hessian(likelihood, log_theta)
    covariance = np.full(scaled.shape, np.nan)
    for kept in (np.ones(len(theta), bool), ~at_end):
        block = scaled[np.ix_(kept, kept)]
        if block.size and np.isfinite(block).all() and np.linalg.eigvalsh(block).min() > 1e-10 * abs(np.trace(block)):
            inverse = np.linalg.inv(block) * np.outer(theta[kept], theta[kept])
            covariance[np.ix_(kept, kept)] = (inverse + inverse.T) / 2
            break
    return covariance
