"""The Pareto / negative binomial model (Schmittlein, Morrison and Colombo 1987; Fader and Hardie 2005, "A note on
deriving the Pareto/NBD model").

While alive a customer buys at a Poisson rate lambda ~ Gamma(r, alpha); the lifetime is exponential with rate
mu ~ Gamma(s, beta), independent of lambda. Unlike in BG/NBD a customer may drop out at any moment, also without ever
having bought again.

The likelihood is Gamma(r+x) alpha^r beta^s / Gamma(r) times
(alpha+T)^-(r+x) (beta+T)^-s + s * integral from t_x to T of (alpha+u)^-(r+x) (beta+u)^-(s+1) du.
With m = r + s + x and y^6 = ((alpha+t_x)/(alpha+u))^m the integral becomes (alpha+t_x)^-m / m times that of
6 y^5 ((alpha+u)/(beta+u))^(s+1) over y from y(T) to 1: smooth and bounded whatever the parameters, so that a fixed
Gauss-Legendre rule gives likelihood and gradient to some ten digits without a hypergeometric function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, gammaln, logsumexp, psi

from crm_analysis.value_models.fitting import MIN_REPEAT, CannotFit, Fit, dot, maximise
from crm_analysis.value_models.histories import DAYS_PER_UNIT, Histories

if TYPE_CHECKING:
    from lifetimes import ParetoNBDFitter

POWER = 6
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoNbdFit(Fit):
    """A fitted Pareto/NBD model: r and alpha of the purchase rate, s and beta of the dropout rate, in `unit`."""

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    model: ClassVar[str] = "Pareto/NBD"

    def probability_alive(self, histories: Histories) -> pd.Series:
        """P(alive at T | history)."""
        self._same_unit(histories)
        frame = histories.frame
        log_alive, log_gone = _log_terms(
            np.array(self.values), *(frame[name].to_numpy(float) for name in ("x", "t_x", "T"))
        )
        return pd.Series(expit(log_alive - log_gone), frame.index, name="probability_alive")

    def expected_purchases(self, histories: Histories, *, horizon_days: float, start_days: float = 0.0) -> pd.Series:
        """Expected purchases in (T + start, T + start + horizon] given each history (Fader and Hardie 2005, eq. 41)."""
        r, alpha, s, beta = self.values
        frame = histories.frame
        x, observed = frame["x"].to_numpy(float), frame["T"].to_numpy(float)
        rate = (r + x) / (alpha + observed) * (beta + observed)
        upto, since = (_decay(s, beta + observed, self._time(days)) for days in (start_days + horizon_days, start_days))
        expected = rate * (upto - since) * self.probability_alive(histories).to_numpy()
        return pd.Series(expected, frame.index, name="expected_purchases")

    def new_customer_purchases(self, days: float | np.ndarray) -> np.ndarray:
        """Expected repeat purchases of a new customer within `days` of the first purchase."""
        r, alpha, s, beta = self.values
        t = np.asarray(days, float) / DAYS_PER_UNIT[self.unit]
        return r * beta / alpha * _decay(s, beta, t)

    def simulate(self, observed: np.ndarray, *, seed: int, days_ahead: float = 0.0) -> pd.DataFrame:
        """Histories x, t_x, T drawn from the model, `alive` at T, and `future` purchases in the `days_ahead` after."""
        r, alpha, s, beta = self.values
        rng = np.random.default_rng(seed)
        observed = np.asarray(observed, float)
        rate = rng.gamma(r, 1 / alpha, len(observed))
        death = rng.exponential(1, len(observed)) / rng.gamma(s, 1 / beta, len(observed))
        ahead = self._time(days_ahead)
        span = np.minimum(observed, death)
        x = rng.poisson(rate * span)
        # Given their number, Poisson purchases fall uniformly: the last is the largest of x uniforms.
        t_x = np.where(x > 0, span * rng.random(len(observed)) ** (1 / np.maximum(x, 1)), 0.0)
        future = rng.poisson(rate * np.clip(np.minimum(observed + ahead, death) - observed, 0, None))
        return pd.DataFrame({"x": x, "t_x": t_x, "T": observed, "alive": death > observed, "future": future})

    def to_lifetimes(self) -> ParetoNBDFitter:
        """The same model as a fitter of the lifetimes library."""
        from lifetimes import ParetoNBDFitter

        fitter = ParetoNBDFitter()
        fitter.params_ = pd.Series(self.parameters)
        fitter._scale = 1.0
        return fitter


def _decay(s: float, beta: Any, t: Any) -> Any:
    """(1 - (beta / (beta + t))^(s-1)) / (s - 1), with its limit at s = 1."""
    log_ratio = np.log1p(t / beta)
    return log_ratio if abs(s - 1) < 1e-9 else -np.expm1(-(s - 1) * log_ratio) / (s - 1)


def _log_terms(
    theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the alive and of the gone part of the likelihood, common factor left out."""
    r, alpha, s, beta = theta
    log_alive = -(r + x) * np.log(alpha + observed) - s * np.log(beta + observed)
    return log_alive, np.log(s) + logsumexp(_nodes(theta, x, t_x, observed).log_density, axis=1)


class Nodes(NamedTuple):
    """alpha + u and beta + u at the quadrature nodes of each history, log(alpha + u), and the logarithm of integrand
    times weight there.
    """

    from_alpha: np.ndarray
    from_beta: np.ndarray
    log_from_alpha: np.ndarray
    log_density: np.ndarray


def _nodes(theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> Nodes:
    """The quadrature nodes of each history."""
    r, alpha, s, beta = theta
    m = (r + s + x)[:, None]
    width = -np.expm1(-m / POWER * np.log1p((observed - t_x) / (alpha + t_x))[:, None])
    with np.errstate(divide="ignore"):  # no stretch to integrate over where T = t_x
        log_width = np.log(POWER * width / 2)
    log_y = np.log1p(-width * (1 + NODES) / 2)
    log_u = np.log(alpha + t_x)[:, None] - POWER / m * log_y
    from_alpha = np.exp(log_u)
    from_beta = from_alpha + (beta - alpha)
    log_density = (
        (s + 1) * (log_u - np.log(from_beta))
        - m * np.log(alpha + t_x)[:, None]
        - np.log(m)
        + (POWER - 1) * log_y
        + log_width
        + np.log(WEIGHTS)
    )
    return Nodes(from_alpha, from_beta, log_u, log_density)


def fit_pareto_nbd(histories: Histories) -> ParetoNbdFit:
    """Fit Pareto/NBD to histories. Raises CannotFit with fewer than ten repeat customers."""
    repeat = int((histories.frame["x"] > 0).sum())
    if repeat < MIN_REPEAT:
        raise CannotFit(
            f"Pareto/NBD needs at least {MIN_REPEAT} customers with a repeat purchase; "
            f"{repeat} of {len(histories)} have one."
        )
    distinct = histories.compressed()
    typical = float(np.average(distinct["T"], weights=distinct["n"]))
    start = {"r": 1.0, "alpha": max(typical / 2, 1e-3), "s": 0.8, "beta": max(typical / 2, 1e-3)}
    found = maximise(_likelihood(distinct), start, n_customers=len(histories))
    return ParetoNbdFit(**found, n_distinct=len(distinct), unit=histories.unit, as_of=histories.as_of)


def _likelihood(distinct: pd.DataFrame) -> Any:
    n, x, t_x, observed = (distinct[name].to_numpy(float) for name in ("n", "x", "t_x", "T"))
    total = n.sum()

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, s, beta = theta
        log_end, log_end_beta = np.log(alpha + observed), np.log(beta + observed)
        log_alive = -(r + x) * log_end - s * log_end_beta
        nodes = _nodes(theta, x, t_x, observed)
        log_density = nodes.log_density + np.log(s)
        top = np.maximum(log_alive, log_density.max(1))
        alive = np.exp(log_alive - top)
        gone = np.exp(log_density - top[:, None])
        both = alive + gone.sum(1)
        value = dot(n, gammaln(r + x) + top + np.log(both))
        value += total * (r * np.log(alpha) + s * np.log(beta) - gammaln(r))
        share_alive = n * alive / both
        share_gone = gone * (n / both)[:, None]
        by_r = psi(r + x) - psi(r) + np.log(alpha)
        log_u_beta = np.log(nodes.from_beta)
        per_u, per_u_beta = share_gone / nodes.from_alpha, share_gone / nodes.from_beta
        stopped = (share_gone * log_u_beta).sum()
        gradient = np.array(
            [
                dot(n, by_r) - dot(share_alive, log_end) - (share_gone * nodes.log_from_alpha).sum(),
                total * r / alpha - dot(r + x, share_alive / (alpha + observed) + per_u.sum(1)),
                total * np.log(beta) + share_gone.sum() / s - dot(share_alive, log_end_beta) - stopped,
                total * s / beta - s * dot(share_alive, 1 / (beta + observed)) - (s + 1) * per_u_beta.sum(),
            ]
        )
        return float(value), gradient

    return likelihood
