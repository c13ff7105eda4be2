"""Maximum likelihood for all models: search on the log scale, covariance on the original one, diagnosis in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import minimize

from crm_analysis.errors import DataError
from crm_analysis.value_models.histories import DAYS_PER_UNIT, Histories

Likelihood = Callable[[np.ndarray], tuple[float, np.ndarray]]
Z95 = 1.959963984540054
FURTHER_STARTS = ((1.0, 1.0, -1.0, -1.0), (-1.0, -1.0, 1.0, 1.0))
LOG_LIMIT = 7.0  # the search ends at e**7 and e**-7 of a parameter's start; one within 1 of that has run off


class CannotFit(DataError):
    """The data cannot bear the model; the message says why, with the number."""


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
    (inverse of minus the Hessian of the total log-likelihood). `unit` is the unit of time they were fitted in.
    `notes` says in words what is wrong with the fit; empty when nothing is.
    """

    names: ClassVar[tuple[str, ...]] = ()
    model: ClassVar[str] = ""

    values: tuple[float, ...]
    covariance: np.ndarray
    log_likelihood: float
    n_customers: int
    n_distinct: int
    converged: bool
    notes: tuple[str, ...]
    unit: str
    as_of: date | None = None

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
        variance = float(gradient @ (self.covariance / np.outer(theta, theta)) @ gradient)
        error = math.sqrt(variance) if variance >= 0 else math.nan
        return Estimate(value, error, value - Z95 * error, value + Z95 * error)

    def draws(self, n: int, *, seed: int) -> list[Self]:
        """`n` fits with parameters drawn from their distribution (normal on the log scale)."""
        theta = np.array(self.values)
        spread = self.covariance / np.outer(theta, theta)
        drawn = np.random.default_rng(seed).multivariate_normal(np.log(theta), spread, size=n, method="eigh")
        return [self._at(row) for row in np.exp(drawn)]

    def _at(self, theta: np.ndarray) -> Self:
        return replace(self, values=tuple(float(value) for value in theta))

    def _same_unit(self, histories: Histories) -> None:
        if histories.unit != self.unit:
            raise DataError(
                f"The model was fitted in {self.unit}s and the purchase histories are in {histories.unit}s: "
                f'make them with `histories(summary, unit="{self.unit}")`.'
            )

    def _time(self, days: float) -> float:
        return days / DAYS_PER_UNIT[self.unit]


def dot(first: np.ndarray, second: np.ndarray) -> float:
    """Inner product without BLAS, whose threads stall each other where several notebooks run at once."""
    return float(np.einsum("i,i->", first, second))


def maximise(likelihood: Likelihood, start: dict[str, float], *, n_customers: int) -> dict[str, Any]:
    """The fields of a `Fit` that the search determines.

    `likelihood` gives the total log-likelihood and its gradient for parameters on the original scale. The search runs
    on their logarithms, by L-BFGS and then Newton steps; further starts are tried only when the first ends badly.
    """
    first_guess = np.log(list(start.values()))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        value, log_theta, converged = _search(likelihood, first_guess)
        for scale in FURTHER_STARTS:
            if converged:
                break
            found = _search(likelihood, first_guess + np.array(scale[: len(start)]))
            if found[0] > value + 1e-6:
                value, log_theta, converged = found
        theta = np.exp(log_theta)
        covariance, determined = _covariance(likelihood, log_theta)
    notes = []
    if not converged:
        notes.append("the search did not converge: the parameters are the best found, not a maximum")
    log_errors = np.sqrt(np.diag(covariance)) / theta if determined else np.full(len(theta), np.nan)
    for name, where, first, error in zip(start, log_theta, first_guess, log_errors, strict=True):
        if abs(where - first) > LOG_LIMIT - 1:
            side = "without limit" if where > first else "towards zero"
            notes.append(f"{name} runs {side}: customers differ less in this respect than the model can say")
        elif error > 2:
            notes.append(f"{name} is hardly determined by these data (standard error larger than the value)")
    if not determined:
        notes.append("the likelihood is flat around its best point: no standard errors")
    return {
        "values": tuple(theta.tolist()),
        "covariance": covariance,
        "log_likelihood": value,
        "n_customers": n_customers,
        "converged": converged,
        "notes": tuple(notes),
    }


def _search(likelihood: Likelihood, start: np.ndarray) -> tuple[float, np.ndarray, bool]:
    value, gradient = likelihood(np.exp(start))
    size = max(abs(value), 1.0)

    def objective(log_theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = np.exp(log_theta)
        found, slope = likelihood(theta)
        if not math.isfinite(found):
            return 1e10, np.zeros(len(theta))
        return -found / size, -slope * theta / size

    bounds = [(centre - LOG_LIMIT, centre + LOG_LIMIT) for centre in start]
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    log_theta = result.x
    value, gradient = likelihood(np.exp(log_theta))
    slope = gradient * np.exp(log_theta)
    for _step in range(20):
        if np.abs(slope).max() <= 1e-9 * size:
            break
        hessian = _log_hessian(likelihood, log_theta)
        try:
            step = np.linalg.solve(hessian, -slope)
        except np.linalg.LinAlgError:
            break
        inside = np.abs(log_theta + step - start).max() < LOG_LIMIT
        if step @ slope <= 0 or not inside:  # also where the step is not a number
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
    return float(value), log_theta, bool(np.abs(slope).max() <= 1e-6 * size)


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


def _covariance(likelihood: Likelihood, log_theta: np.ndarray) -> tuple[np.ndarray, bool]:
    """Inverse of minus the Hessian on the original scale, and whether it is one."""
    theta = np.exp(log_theta)
    slope = likelihood(theta)[1] * theta
    # d2L/dlog2 = theta theta' d2L/dtheta2 + diag(theta dL/dtheta)
    hessian = (_log_hessian(likelihood, log_theta) - np.diag(slope)) / np.outer(theta, theta)
    scaled = -hessian * np.outer(theta, theta)
    nothing = np.full((len(theta), len(theta)), np.nan)
    if not np.isfinite(scaled).all() or np.linalg.eigvalsh(scaled).min() <= 1e-10 * abs(np.trace(scaled)):
        return nothing, False
    covariance = np.linalg.inv(scaled) * np.outer(theta, theta)
    return (covariance + covariance.T) / 2, True
