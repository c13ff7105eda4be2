"""The Pareto / negative binomial model (Schmittlein, Morrison and Colombo 1987; Fader and Hardie 2005, "A note on
deriving the Pareto/NBD model").

While alive a customer buys at a Poisson rate lambda ~ Gamma(r, alpha); the lifetime is exponential with rate
mu ~ Gamma(s, beta), independent of lambda. Unlike in BG/NBD a customer may drop out at any moment, also without ever
having bought again.

With I(a, b; t) the integral from t to infinity of (alpha+u)^-a (beta+u)^-b du, the likelihood of a history is
Gamma(r+x)/Gamma(r) alpha^r beta^s times (r+x) I(r+x+1, s; T) + s I(r+x, s+1; t_x). The second term is that of dropping
out at any time after t_x; what it counts too many, those who drop out after T and have bought in between, together with
those alive at T, is the first (integrate (alpha+T)^-(r+x) (beta+T)^-s by parts). Both are positive, so that nothing
cancels, and each depends on a pair, (x, T) or (x, t_x), of which there are far fewer than histories.

A customer alive at T goes on as a new one with r+x, alpha+T, s and beta+T: every prediction is one for those
parameters times P(alive at T).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import gammaln, psi

from crm_analysis.units import DAYS_PER_YEAR, months_to_days
from crm_analysis.value_models.fitting import Likelihood, distinct_rows, dot, maximise, need_repeat
from crm_analysis.value_models.histories import Histories
from crm_analysis.value_models.purchasing import ONE_COHORT, PurchaseFit
from crm_analysis.value_models.tail_integrals import about_peak, log_tail, positive_root, tails

if TYPE_CHECKING:
    from lifetimes import ParetoNBDFitter

ROWS_AT_ONCE = 512
WORDS = {
    ("r", "up"): "customers hardly differ in how often they buy",
    ("alpha", "up"): "customers hardly differ in how often they buy",
    ("r", "down"): "a few buy far more often than all others",
    ("alpha", "down"): "a few buy far more often than all others",
    ("s", "down"): "hardly anybody drops out",
    ("s", "up"): "customers hardly differ in how readily they drop out",
    ("beta", "up"): "hardly anybody drops out, or customers hardly differ in how readily they do",
    ("beta", "down"): "many drop out as soon as they have bought for the first time",
}
ENDLESS = (
    "s is {s:.3g}, not above 1: so many customers hardly ever drop out that the mean of all purchases to come, "
    "undiscounted, is infinite"
)
LONG_LIFE = (
    "s is {s:.3g}, not above 1: so many customers hardly ever drop out that the mean of the time to dropout is infinite"
)


class Given(NamedTuple):
    """The parameters of customers alive at T: r + x, alpha + T, beta + T; s does not change."""

    r: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoNbdFit(PurchaseFit):
    """A fitted Pareto/NBD model: r and alpha of the purchase rate, s and beta of the dropout rate, in `unit`."""

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    model: ClassVar[str] = "Pareto/NBD"

    @property
    def undefined(self) -> dict[str, str]:
        """Predictions without a finite mean, and why."""
        s = self.values[2]
        if s > 1:
            return {}
        return {"residual_purchases": ENDLESS.format(s=s), "residual_lifetime_days": LONG_LIFE.format(s=s)}

    def probability_alive(self, histories: Histories, *, later_days: float = 0.0) -> pd.Series:
        """P(alive at T + later | history)."""
        self._same_unit(histories)
        alive = self._alive(histories)
        if later_days:
            given, s = self._given(histories.frame), self.values[2]
            alive = alive * np.exp(-s * np.log1p(self._time(later_days) / given.beta))
        return pd.Series(alive, histories.frame.index, name="probability_alive")

    def expected_purchases(self, histories: Histories, *, horizon_days: float, start_days: float = 0.0) -> pd.Series:
        """Expected purchases in (T + start, T + start + horizon] given each history (Fader and Hardie 2005, eq. 41)."""
        self._same_unit(histories)
        given = self._given(histories.frame)
        start, horizon = self._time(start_days), self._time(horizon_days)
        upto, since = (self._lifetime(given, t) for t in (start + horizon, start))
        expected = given.r / given.alpha * (upto - since) * self._alive(histories)
        return pd.Series(expected, histories.frame.index, name="expected_purchases")

    def discounted_purchases(self, histories: Histories, *, horizon_months: int, rate_annual: float) -> pd.Series:
        """Expected purchases of the next `horizon_months`, each month's discounted from its middle."""
        self._same_unit(histories)
        firsts, where = distinct_rows(histories.frame, ("T",))
        given = self._given(histories.frame.iloc[firsts])
        discount = (1 + rate_annual) ** -((np.arange(horizon_months) + 0.5) / 12)
        upto = [self._lifetime(given, self._time(months_to_days(month))) for month in range(horizon_months + 1)]
        lifetime = np.tensordot(discount, np.diff(upto, axis=0), axes=1)[where]
        everyone = self._given(histories.frame)
        expected = everyone.r / everyone.alpha * lifetime * self._alive(histories)
        return pd.Series(expected, histories.frame.index, name="discounted_purchases")

    def discounted_residual_purchases(self, histories: Histories, *, rate_annual: float) -> pd.Series:
        """Expected purchases after T without end, discounted continuously to T at (1 + rate_annual) a year (DET in
        Fader, Hardie and Lee 2005, "RFM and CLV", eq. 2, DERT elsewhere).

        Its Psi(s, s; z), Tricomi's function, is z^(1-s) times the integral of exp(-zv) (1+v)^-s over v > 0, which is
        stable for any s and z. Finite for every s once there is a discount; without one see `residual_purchases`.
        """
        self._same_unit(histories)
        delta = self._force_of_interest(rate_annual)
        firsts, where = distinct_rows(histories.frame, ("T",))
        beta = self._given(histories.frame.iloc[firsts]).beta
        lifetime = (beta * _discounted_lifetime(self.values[2], delta * beta))[where]
        given = self._given(histories.frame)
        expected = given.r / given.alpha * lifetime * self._alive(histories)
        return pd.Series(expected, histories.frame.index, name="discounted_residual_purchases")

    def residual_purchases(self, histories: Histories) -> pd.Series:
        """Expected purchases after T without end and without discount. Not a number when s <= 1, where that mean is
        infinite.
        """
        self._same_unit(histories)
        given, s = self._given(histories.frame), self.values[2]
        total = np.full(len(given.r), np.nan)
        if s > 1:
            total = given.r / given.alpha * given.beta / (s - 1) * self._alive(histories)
        return pd.Series(total, histories.frame.index, name="residual_purchases")

    def residual_lifetime_days(self, histories: Histories) -> pd.Series:
        """Expected days from T to dropout, none for who is gone already. Not a number when s <= 1, where that mean is
        infinite; `median_lifetime_days` always is one.
        """
        self._same_unit(histories)
        given, s = self._given(histories.frame), self.values[2]
        days = np.full(len(given.r), np.nan)
        if s > 1:
            days = given.beta / (s - 1) / self._time(1.0) * self._alive(histories)
        return pd.Series(days, histories.frame.index, name="residual_lifetime_days")

    def median_lifetime_days(self, histories: Histories) -> pd.Series:
        """Days from T within which half of the customers with this history, if alive at T, drop out. Infinite beyond
        ten million years.
        """
        self._same_unit(histories)
        with np.errstate(over="ignore"):
            days = self._given(histories.frame).beta * np.expm1(np.log(2) / self.values[2]) / self._time(1.0)
        days = np.where(days < 1e7 * DAYS_PER_YEAR, days, np.inf)
        return pd.Series(days, histories.frame.index, name="median_lifetime_days")

    def new_customer_purchases(self, days: float | np.ndarray) -> np.ndarray:
        """Expected repeat purchases of a new customer within `days` of the first purchase (Fader and Hardie 2005, eq.
        27).
        """
        r, alpha, _, beta = self.values
        new = Given(*(np.asarray(value) for value in (r, alpha, beta)))
        return r / alpha * self._lifetime(new, np.asarray(days, float) * self._time(1.0))

    def new_customer_probabilities(self, *, horizon_days: float, upto: int) -> np.ndarray:
        """P(n repeat purchases of a new customer within `horizon_days`), for n from 0 to `upto` (Fader and Hardie 2006,
        "Deriving an expression for P(X(t) = x) under the Pareto/NBD model").
        """
        r, alpha, _, beta = self.values
        new = Given(*(np.array([value]) for value in (r, alpha, beta)))
        return np.array([self._count_probability(new, n, self._time(horizon_days))[0] for n in range(upto + 1)])

    def simulate(self, observed: np.ndarray, *, seed: int, days_ahead: float = 0.0) -> pd.DataFrame:
        """Histories x, t_x, T drawn from the model, `alive` at T, and `future` purchases in the `days_ahead` after."""
        r, alpha, s, beta = self.values
        rng = np.random.default_rng(seed)
        observed = np.asarray(observed, float)
        rate = rng.gamma(r, 1 / alpha, len(observed))
        with np.errstate(divide="ignore"):  # who drops out at a rate of zero lives for ever
            death = rng.exponential(1, len(observed)) / rng.gamma(s, 1 / beta, len(observed))
        ahead = self._time(days_ahead)
        span = np.minimum(observed, death)
        x = rng.poisson(rate * span)
        # Given their number, Poisson purchases fall uniformly: the last is the largest of x uniforms.
        t_x = np.where(x > 0, span * rng.random(len(observed)) ** (1 / np.maximum(x, 1)), 0.0)
        future = rng.poisson(rate * np.clip(np.minimum(observed + ahead, death) - observed, 0, None))
        return pd.DataFrame({"x": x, "t_x": t_x, "T": observed, "alive": death > observed, "future": future})

    def to_lifetimes(self, histories: Histories | None = None) -> ParetoNBDFitter:
        """The same model as a fitter of the lifetimes library, with the data too when `histories` are given."""
        from lifetimes import ParetoNBDFitter

        fitter = ParetoNBDFitter()
        self._into_lifetimes(fitter, histories)
        return fitter

    def _given(self, frame: pd.DataFrame) -> Given:
        r, alpha, _, beta = self.values
        observed = frame["T"].to_numpy(float)
        return Given(r + frame["x"].to_numpy(float), alpha + observed, beta + observed)

    def _alive(self, histories: Histories) -> np.ndarray:
        """P(alive at T)."""
        r, alpha, s, beta = self.values
        x, _, observed = columns = [histories.frame[name].to_numpy(float) for name in ("x", "t_x", "T")]
        log_alive = -(r + x) * np.log(alpha + observed) - s * np.log(beta + observed)
        return np.exp(np.minimum(log_alive - _log_both(self.values, *columns), 0.0))

    def _lifetime(self, given: Given, t: float | np.ndarray) -> np.ndarray:
        """Expected time alive in (T, T + t], given alive at T."""
        s = self.values[2]
        log_ratio = np.log1p(t / given.beta)
        return given.beta * (log_ratio if abs(s - 1) < 1e-9 else -np.expm1(-(s - 1) * log_ratio) / (s - 1))

    def _count_probability(self, given: Given, n: int, t: float) -> np.ndarray:
        """P(n purchases in (T, T + t] | alive at T): a negative binomial count over t for who is alive then, and over
        the time to dropout for all others (Fader and Hardie 2014, "Deriving the conditional PMF of the Pareto/NBD
        model", there in closed form, here by integration over the time of dropout).
        """
        s = self.values[2]
        if t <= 0:
            return np.full(len(given.r), float(n == 0))
        found = np.empty(len(given.r))
        for first in range(0, len(found), ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            r, alpha, beta = (each[rows] for each in given)
            ways = gammaln(r + n) - gammaln(r) - gammaln(n + 1)
            log_stayed = n * (np.log(t) - np.log(alpha + t)) - r * np.log1p(t / alpha) - s * np.log1p(t / beta)
            found[rows] = np.exp(ways + log_stayed) + np.exp(ways + _quitting(r, alpha, s, beta, n, t))
        return found


def _quitting(r: np.ndarray, alpha: np.ndarray, s: float, beta: np.ndarray, n: int, t: float) -> np.ndarray:
    """log of the integral over w from 0 to t of (alpha/(alpha+w))^r (w/(alpha+w))^n s/beta (beta/(beta+w))^(s+1)."""

    def log_density(log_time: np.ndarray) -> np.ndarray:
        time = np.exp(log_time)
        stretch = log_time - np.log(alpha[:, None] + time)
        return (
            log_time
            + n * stretch
            - r[:, None] * np.log1p(time / alpha[:, None])
            - (s + 1) * np.log1p(time / beta[:, None])
        )

    peak = positive_root(-(r + s), (n + 1) * (alpha + beta) - (r + n) * beta - (s + 1) * alpha, (n + 1) * alpha * beta)
    end = np.full(len(r), np.log(t))
    _, density, top = about_peak(log_density, np.minimum(np.log(peak), end), end)
    return np.log(s) - np.log(beta) + top + np.log(density.sum(1))


def _discounted_lifetime(s: float, z: np.ndarray) -> np.ndarray:
    """The integral of exp(-zv) (1+v)^-s over v > 0, which is U(1, 2-s, z)."""

    def log_density(log_v: np.ndarray) -> np.ndarray:
        v = np.exp(log_v)
        return log_v - z[:, None] * v - s * np.log1p(v)

    peak = np.log(positive_root(-z, 1 - z - s, np.ones(len(z))))
    _, density, top = about_peak(log_density, peak)
    return np.exp(top) * density.sum(1)


def _pairs(x: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct pairs, and for each history which it has."""
    firsts, where = distinct_rows(pd.DataFrame({"x": x, "t": t}), ("x", "t"))
    return x[firsts], t[firsts], where


def _log_both(theta: tuple[float, ...], x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The logarithm of (r+x) I(r+x+1, s; T) + s I(r+x, s+1; t_x) for each history."""
    r, alpha, s, beta = theta
    x_end, end, at_end = _pairs(x, observed)
    x_last, last, at_last = _pairs(x, t_x)
    log_end = np.log(r + x_end) + log_tail(r + x_end + 1, s, alpha, beta, end)
    log_last = np.log(s) + log_tail(r + x_last, s + 1, alpha, beta, last)
    return np.logaddexp(log_end[at_end], log_last[at_last])


def fit_pareto_nbd(histories: Histories) -> ParetoNbdFit:
    """Fit Pareto/NBD to histories. Raises CannotFit with fewer than ten repeat customers."""
    need_repeat(histories, ParetoNbdFit.model)
    distinct = histories.compressed()
    n, x, t_x, observed = (distinct[name].to_numpy(float) for name in ("n", "x", "t_x", "T"))
    gap, lifetime = dot(n, t_x) / dot(n, x), dot(n, observed) / n.sum() / 2
    found = maximise(
        log_likelihood(distinct),
        {"r": 1.0, "alpha": gap, "s": 0.8, "beta": lifetime},
        n_customers=len(histories),
        words=WORDS,
    )
    return ParetoNbdFit(
        **found,
        n_distinct=len(distinct),
        unit=histories.unit,
        as_of=histories.as_of,
        remarks=(ONE_COHORT,) if distinct["T"].nunique() == 1 else (),
    )


def log_likelihood(distinct: pd.DataFrame) -> Likelihood:
    """Total log-likelihood and gradient over distinct histories x, t_x, T shared by n customers each."""
    n, row_x, t_x, observed = (distinct[name].to_numpy(float) for name in ("n", "x", "t_x", "T"))
    x_end, end, at_end = _pairs(row_x, observed)
    x_last, last, at_last = _pairs(row_x, t_x)
    code, x = pd.factorize(row_x)
    n_x = np.bincount(code, weights=n)
    total = n.sum()

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, s, beta = theta
        by_end = tails(r + x_end + 1, s, alpha, beta, end)
        by_last = tails(r + x_last, s + 1, alpha, beta, last)
        log_end = (np.log(r + x_end) + by_end.log_value)[at_end]
        log_last = (np.log(s) + by_last.log_value)[at_last]
        log_both = np.logaddexp(log_end, log_last)
        value = dot(n_x, gammaln(r + x) - gammaln(r)) + total * (r * np.log(alpha) + s * np.log(beta))
        value += dot(n, log_both)
        share_end = n * np.exp(log_end - log_both)
        n_end = np.bincount(at_end, weights=share_end, minlength=len(end))
        n_last = np.bincount(at_last, weights=n - share_end, minlength=len(last))
        gradient = np.array(
            [
                dot(n_x, psi(r + x) - psi(r))
                + total * np.log(alpha)
                + dot(n_end, 1 / (r + x_end) - by_end.log_alpha_u)
                - dot(n_last, by_last.log_alpha_u),
                total * r / alpha
                - dot(n_end, (r + x_end + 1) * by_end.per_alpha_u)
                - dot(n_last, (r + x_last) * by_last.per_alpha_u),
                total * np.log(beta) - dot(n_end, by_end.log_beta_u) + dot(n_last, 1 / s - by_last.log_beta_u),
                total * s / beta - s * dot(n_end, by_end.per_beta_u) - (s + 1) * dot(n_last, by_last.per_beta_u),
            ]
        )
        return float(value), gradient

    return likelihood
