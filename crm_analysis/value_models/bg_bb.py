"""The beta-geometric / beta-Bernoulli model of giving on discrete occasions (Fader, Hardie and Shang 2010,
"Customer-base analysis in a discrete-time noncontractual setting", Marketing Science 29(6)).

At the start of each occasion a living customer drops out with probability theta ~ Beta(gamma, delta); whoever is alive
gives with probability p ~ Beta(alpha, beta). The two are independent and do not change with time. Equations are cited
by their numbers in that paper. Customers may have different numbers of occasions.

The likelihood (the paper's sum over the occasion of dropping out) is taken in logarithms throughout. Its terms depend
on x and on the occasion k alone, so that one table of tail sums over k, for each x, serves every history: a sum from
t_x to n - 1 is the difference of two of its entries. As the terms fall with k, the difference loses no more digits than
the logarithm of the number of occasions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import betaln, gammaln, psi

from crm_analysis.errors import DataError
from crm_analysis.value_models.discounting import discount_factor, discounted_stay, endless_discount_factor, whole_steps
from crm_analysis.value_models.fitting import CannotFit, Fit, distinct_rows, dot, maximise
from crm_analysis.value_models.occasions import MONTHS_PER_OCCASION, Occasions

if TYPE_CHECKING:
    from lifetimes import BetaGeoBetaBinomFitter

OCCASIONS = "occasions"
MIN_REPEAT = 10
MIN_OCCASIONS = 3  # two occasions show four patterns, three free shares: fewer than the parameters
ONE_COHORT = "all customers had the same number of occasions: the fit holds for that one cohort"
WORDS = {
    ("alpha", "up"): "those alive all give about equally often",
    ("beta", "up"): "those alive all give about equally often",
    ("gamma", "up"): "all drop out about equally fast",
    ("delta", "up"): "hardly anybody drops out, or all do so about equally fast",
    ("alpha", "down"): "those alive give always or never",
    ("beta", "down"): "those alive give always or never",
    ("gamma", "down"): "hardly anybody drops out, or customers drop out at once or never",
    ("delta", "down"): "customers drop out at once or never",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BgBbFit(Fit):
    """A fitted BG/BB model: alpha and beta of the probability to give on an occasion while alive, gamma and delta of
    the probability to drop out before it. Horizons are counted in occasions of `unit`.
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta", "gamma", "delta")
    model: ClassVar[str] = "BG/BB"
    columns: ClassVar[tuple[str, ...]] = ("x", "t_x", "n")

    @property
    def undefined(self) -> dict[str, str]:
        """Predictions without a finite mean: expectations without end and without discount when gamma <= 1."""
        gamma = self.values[2]
        if gamma > 1:
            return {}
        reason = (
            f"gamma is {gamma:.4g}, not above 1: so many customers hardly ever drop out that the mean number of "
            "further occasions is infinite. Give a horizon or a discount rate."
        )
        return {"residual_lifetime_occasions": reason, "residual_purchases": reason}

    def probability_alive(self, occasions: Occasions, *, later: int = 0) -> pd.Series:
        """P(alive on occasion n + later | history) (eq. A10; the paper's eq. 11 is `later=1`)."""
        self._same_occasions(occasions)
        alive = self._alive(occasions) * self._stays(_column(occasions, "n"), whole_steps(later, OCCASIONS))
        return pd.Series(alive, occasions.frame.index, name="probability_alive")

    def expected_purchases(self, occasions: Occasions, *, horizon: int, start: int = 0) -> pd.Series:
        """Expected occasions with a gift among n + start + 1, ..., n + start + horizon, given each history (eq. 13)."""
        first = whole_steps(start, OCCASIONS)
        weights = np.ones(first + whole_steps(horizon, OCCASIONS))
        weights[:first] = 0.0
        return self._weighted(occasions, weights).rename("expected_purchases")

    def discounted_purchases(self, occasions: Occasions, *, horizon: int, rate_annual: float) -> pd.Series:
        """Expected gifts on the next `horizon` occasions, the first of them discounted by one occasion."""
        weights = discount_factor(rate_annual, MONTHS_PER_OCCASION[self.unit]) ** np.arange(
            1, whole_steps(horizon, OCCASIONS) + 1
        )
        return self._weighted(occasions, weights).rename("discounted_purchases")

    def discounted_residual_purchases(self, occasions: Occasions, *, rate_annual: float) -> pd.Series:
        """Expected gifts on all later occasions, discounted, the next by one occasion (eq. 14, DERT).

        Finite whatever the parameters; raises DataError at a rate of zero.
        """
        instead = "`residual_purchases` for the sum without discount, or give a horizon to `discounted_purchases`"
        v = endless_discount_factor(rate_annual, MONTHS_PER_OCCASION[self.unit], instead=instead)
        gamma, delta = self.values[2:]
        kinds, where = np.unique(_column(occasions, "n"), return_inverse=True)
        whole = discounted_stay(gamma, delta + kinds, v)
        expected = self._rate_now(occasions) * whole[where]
        return pd.Series(expected, occasions.frame.index, name="discounted_residual_purchases")

    def residual_purchases(self, occasions: Occasions) -> pd.Series:
        """Expected gifts on all later occasions; not a number when gamma <= 1: see `undefined`."""
        further = self._further(_column(occasions, "n"))
        return pd.Series(self._rate_now(occasions) * further, occasions.frame.index, name="residual_purchases")

    def residual_lifetime_occasions(self, occasions: Occasions) -> pd.Series:
        """Expected number of later occasions that the customer is alive on; not a number when gamma <= 1."""
        self._same_occasions(occasions)
        further = self._alive(occasions) * self._further(_column(occasions, "n"))
        return pd.Series(further, occasions.frame.index, name="residual_lifetime_occasions")

    def purchase_probabilities(self, occasions: Occasions, *, horizon: int, upto: int | None = None) -> pd.DataFrame:
        """P(gifts on exactly k of the next `horizon` occasions | history), a column for each k from 0 to `upto` (all of
        them by default): eq. 7 with the history's posterior.
        """
        self._same_occasions(occasions)
        alive = self._alive(occasions)
        firsts, where = distinct_rows(occasions.frame, ("x", "n"))
        x, n = (_column(occasions, name)[firsts] for name in ("x", "n"))
        alpha, beta, gamma, delta = self.values
        given = (alpha + x, beta + n - x, np.full(len(x), gamma), delta + n)
        counts = range((whole_steps(horizon, OCCASIONS) if upto is None else upto) + 1)
        found = {k: alive * np.exp(_log_counts(given, k, horizon))[where] for k in counts}
        found[0] = found[0] + (1 - alive)
        return pd.DataFrame(found, occasions.frame.index)

    def new_customer_probabilities(self, horizon: int) -> np.ndarray:
        """P(gifts on exactly k of the `horizon` occasions after that of the first gift), k from 0 on (eq. 7)."""
        given = tuple(np.array([value]) for value in self.values)
        return np.array([float(np.exp(_log_counts(given, k, horizon))[0]) for k in range(horizon + 1)])

    def new_customer_purchases(self, horizon: int | np.ndarray) -> np.ndarray:
        """Expected gifts of a new customer on the `horizon` occasions after that of the first gift (eq. 8)."""
        alpha, beta, gamma, delta = self.values
        upto = np.asarray(horizon, int)
        stays = np.exp(betaln(gamma, delta + np.arange(upto.max() + 1)) - betaln(gamma, delta))
        stays[0] = 0.0
        return np.asarray(alpha / (alpha + beta) * np.cumsum(stays)[upto])

    def purchase_probability(self, occasions: Occasions) -> pd.Series:
        """Posterior mean of p, the probability to give on an occasion while alive, given each history."""
        alpha, beta = self.values[:2]
        x = _column(occasions, "x")
        mean = self._posterior_mean(
            occasions, lambda n: (alpha + x) / (alpha + beta + n), lambda x, k: (alpha + x) / (alpha + beta + k)
        )
        return pd.Series(mean, occasions.frame.index, name="purchase_probability")

    def dropout_probability(self, occasions: Occasions) -> pd.Series:
        """Posterior mean of theta, the probability to drop out before an occasion, given each history."""
        gamma, delta = self.values[2:]
        mean = self._posterior_mean(
            occasions,
            lambda n: gamma / (gamma + delta + n),
            lambda x, k: (gamma + 1) / (gamma + 1 + delta + k) + 0 * x,
        )
        return pd.Series(mean, occasions.frame.index, name="dropout_probability")

    def simulate(self, n: np.ndarray, *, seed: int, ahead: int = 0) -> pd.DataFrame:
        """Histories x, t_x, n drawn from the model for customers with `n` occasions each.

        Also `alive` on occasion n, `future`, the gifts on the `ahead` occasions after it, and the customer's own p and
        theta.
        """
        alpha, beta, gamma, delta = self.values
        rng = np.random.default_rng(seed)
        n = np.asarray(n, int)
        p, theta = rng.beta(alpha, beta, len(n)), rng.beta(gamma, delta, len(n))
        with np.errstate(divide="ignore"):
            life = np.floor(np.log(rng.random(len(n))) / np.log1p(-theta))  # occasions on which the customer is alive
        x, t_x, future = (np.zeros(len(n), int) for _ in range(3))
        for k in range(1, int(n.max(initial=0)) + ahead + 1):
            gives = (k <= life) & (rng.random(len(n)) < p)
            x += gives & (k <= n)
            t_x[gives & (k <= n)] = k
            future += gives & (k > n) & (k <= n + ahead)
        return pd.DataFrame({"x": x, "t_x": t_x, "n": n, "alive": life >= n, "future": future, "p": p, "theta": theta})

    def to_lifetimes(self, occasions: Occasions | None = None) -> BetaGeoBetaBinomFitter:
        """The same model as a fitter of the lifetimes library, with the data too when `occasions` are given.

        lifetimes adds 1e-15 to the likelihood of having dropped out, which drowns long histories (some 30 gifts).
        """
        from lifetimes import BetaGeoBetaBinomFitter

        fitter = BetaGeoBetaBinomFitter()
        fitter.params_ = pd.Series(self.parameters)
        fitter.variance_matrix_ = pd.DataFrame(self.covariance, index=self.names, columns=self.names)
        fitter.standard_errors_ = pd.Series(self.standard_errors)
        fitter.AIC_ = self.aic
        if occasions is not None:
            self._same_occasions(occasions)
            fitter.data = occasions.compressed().set_axis(["frequency", "recency", "n_periods", "weights"], axis=1)
        return fitter

    def _same_occasions(self, occasions: Occasions) -> None:
        if occasions.unit != self.unit:
            raise DataError(
                f"The model was fitted with one occasion a {self.unit} and the giving histories have one a "
                f'{occasions.unit}: make them with `occasions(transactions, unit="{self.unit}", ...)`.'
            )

    def _log_parts(self, occasions: Occasions) -> tuple[_Table, np.ndarray, np.ndarray]:
        """The table of terms, and for each customer the logarithms of the alive and of the gone part."""
        x, t_x, n = (_column(occasions, name).astype(int) for name in ("x", "t_x", "n"))
        table = _table(np.array(self.values), x, t_x, n)
        return table, _log_alive(np.array(self.values), x, n), table.between(table.log_terms)

    def _alive(self, occasions: Occasions) -> np.ndarray:
        _, log_alive, log_gone = self._log_parts(occasions)
        return np.asarray(np.exp(log_alive - np.logaddexp(log_alive, log_gone)))

    def _stays(self, n: np.ndarray, later: int) -> np.ndarray:
        """P(still alive `later` occasions after occasion n | alive on it)."""
        gamma, delta = self.values[2:]
        kinds, where = np.unique(n, return_inverse=True)
        return np.asarray(np.exp(betaln(gamma, delta + kinds + later) - betaln(gamma, delta + kinds))[where])

    def _rate_now(self, occasions: Occasions) -> np.ndarray:
        """P(alive on occasion n) times the mean of p given that."""
        self._same_occasions(occasions)
        alpha, beta = self.values[:2]
        x, n = _column(occasions, "x"), _column(occasions, "n")
        return self._alive(occasions) * (alpha + x) / (alpha + beta + n)

    def _further(self, n: np.ndarray) -> np.ndarray:
        gamma, delta = self.values[2:]
        return (delta + n) / (gamma - 1) if gamma > 1 else np.full(len(n), np.nan)

    def _weighted(self, occasions: Occasions, weights: np.ndarray) -> pd.Series:
        """Expected sum over later occasions of the gift times the occasion's weight."""
        gamma, delta = self.values[2:]
        kinds, where = np.unique(_column(occasions, "n"), return_inverse=True)
        ahead = np.arange(1, len(weights) + 1)
        stays = np.exp(betaln(gamma, delta + kinds[:, None] + ahead) - betaln(gamma, delta + kinds)[:, None])
        return pd.Series(self._rate_now(occasions) * (stays @ weights)[where], occasions.frame.index)

    def _posterior_mean(self, occasions: Occasions, if_alive: Any, if_gone: Any) -> np.ndarray:
        self._same_occasions(occasions)
        table, log_alive, log_gone = self._log_parts(occasions)
        total = np.logaddexp(log_alive, log_gone)
        gone = table.weighted(if_gone(table.x[:, None], table.k))
        return np.asarray(np.exp(log_alive - total) * if_alive(_column(occasions, "n")) + np.exp(gone - total))


class _Table(NamedTuple):
    """Distinct x, occasions k, the logarithm of the likelihood of x gifts and dropping out after occasion k (minus
    infinity where k < x), and for each history its row and its range of k.
    """

    x: np.ndarray
    k: np.ndarray
    log_terms: np.ndarray
    row: np.ndarray
    first: np.ndarray
    end: np.ndarray

    def between(self, log_terms: np.ndarray) -> np.ndarray:
        """For each history the logarithm of the sum of terms from k = t_x to n - 1."""
        tails = np.full((len(self.x), len(self.k) + 1), -np.inf)
        tails[:, :-1] = np.logaddexp.accumulate(log_terms[:, ::-1], axis=1)[:, ::-1]
        whole, rest = tails[self.row, self.first], tails[self.row, self.end]
        some = (self.first < self.end) & (whole > -np.inf)
        with np.errstate(divide="ignore"):
            log_sum = whole + np.log(-np.expm1(np.where(some, rest, -np.inf) - np.where(some, whole, 0.0)))
        return np.where(some, log_sum, -np.inf)

    def weighted(self, factors: np.ndarray) -> np.ndarray:
        """The same with each term times a factor of zero or more."""
        with np.errstate(divide="ignore"):
            return self.between(self.log_terms + np.log(factors))


def _table(theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, n: np.ndarray) -> _Table:
    alpha, beta, gamma, delta = theta
    kinds, row = np.unique(x, return_inverse=True)
    k = np.arange(n.max(initial=0))
    idle = k - kinds[:, None]
    log_terms = (
        gammaln(alpha + kinds)[:, None]
        + np.where(idle >= 0, gammaln(beta + k)[np.maximum(idle, 0)], -np.inf)
        + (gammaln(gamma + 1) - gammaln(alpha + beta + k) + gammaln(delta + k) - gammaln(gamma + 1 + delta + k))
        - (betaln(alpha, beta) + betaln(gamma, delta))
    )
    return _Table(kinds, k, log_terms, row, t_x, n)


def _log_alive(theta: np.ndarray, x: np.ndarray, n: np.ndarray) -> np.ndarray:
    alpha, beta, gamma, delta = theta
    gave = betaln(alpha + x, beta + n - x) - betaln(alpha, beta)
    return np.asarray(gave + betaln(gamma, delta + n) - betaln(gamma, delta))


def _log_counts(theta: tuple[np.ndarray, ...], count: int, horizon: int) -> np.ndarray:
    """Logarithm of P(gifts on `count` of `horizon` occasions | alive before the first of them) (eq. 7)."""
    alpha, beta, gamma, delta = (value[:, None] for value in theta)
    if count > horizon:
        return np.full(len(alpha), -np.inf)
    i = np.arange(count, horizon + 1)  # the last occasion alive; at the horizon the customer may live on
    ways = gammaln(i + 1) - gammaln(count + 1) - gammaln(i - count + 1)
    gave = betaln(alpha + count, beta + i - count) - betaln(alpha, beta)
    left = np.where(i < horizon, betaln(gamma + 1, delta + i), betaln(gamma, delta + i)) - betaln(gamma, delta)
    return np.asarray(np.logaddexp.reduce(ways + gave + left, axis=1))


def _column(occasions: Occasions, name: str) -> np.ndarray:
    return occasions.frame[name].to_numpy(float)


def fit_bg_bb(occasions: Occasions) -> BgBbFit:
    """Fit BG/BB to giving histories.

    Raises CannotFit with fewer than ten repeat customers, or where nobody has been looked at for three occasions: the
    shares of the patterns that two can show are fewer than the parameters.
    """
    frame = occasions.frame
    repeat = int((frame["x"] > 0).sum())
    longest = int(frame["n"].max()) if len(frame) else 0
    if longest < MIN_OCCASIONS:
        raise CannotFit(
            f"BG/BB needs customers with at least {MIN_OCCASIONS} occasions after the first gift; the longest of "
            f"{len(occasions)} histories has {longest}. Wait, or take shorter occasions than a {occasions.unit}."
        )
    if repeat < MIN_REPEAT:
        raise CannotFit(
            f"BG/BB needs at least {MIN_REPEAT} customers with a repeat gift; {repeat} of {len(occasions)} have one."
        )
    distinct = occasions.compressed()
    start = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "delta": 3.0}
    found = maximise(_likelihood(distinct), start, n_customers=len(occasions), words=WORDS)
    return BgBbFit(
        **found,
        n_distinct=len(distinct),
        unit=occasions.unit,
        as_of=occasions.as_of,
        remarks=(ONE_COHORT,) if frame["n"].nunique() == 1 else (),
    )


def _likelihood(distinct: pd.DataFrame) -> Any:
    """Total log-likelihood and gradient over distinct histories."""
    x, t_x, n = (distinct[name].to_numpy(int) for name in ("x", "t_x", "n"))
    weight = distinct["customers"].to_numpy(float)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        alpha, beta, gamma, delta = theta
        table = _table(theta, x, t_x, n)
        log_alive = _log_alive(theta, x, n)
        each = np.logaddexp(log_alive, table.between(table.log_terms))
        alive = weight * np.exp(log_alive - each)
        kinds, k = table.x[:, None], table.k
        lost = np.maximum(k - kinds, 0)
        both = psi(alpha + beta + k)
        falls = (  # minus the slopes of the terms' logarithms, constants left out: positive all
            np.maximum(both - psi(alpha + kinds), 0),
            both - psi(beta + k)[lost],
            psi(gamma + 1 + delta + k) - psi(gamma + 1) + 0 * kinds,
            psi(gamma + 1 + delta + k) - psi(delta + k) + 0 * kinds,
        )
        gone = [dot(weight, np.exp(table.weighted(fall) - each)) for fall in falls]
        end = psi(alpha + beta + n), psi(gamma + delta + n)
        lived = [
            dot(alive, psi(alpha + x) - end[0]),
            dot(alive, psi(beta + n - x) - end[0]),
            dot(alive, psi(gamma) - end[1]),
            dot(alive, psi(delta + n) - end[1]),
        ]
        prior = np.array(
            [
                psi(alpha) - psi(alpha + beta),
                psi(beta) - psi(alpha + beta),
                psi(gamma) - psi(gamma + delta),
                psi(delta) - psi(gamma + delta),
            ]
        )
        return dot(weight, each), np.array(lived) - np.array(gone) - weight.sum() * prior

    return likelihood
