"""What BG/NBD and MBG/NBD share: while alive a customer buys at a Poisson rate lambda ~ Gamma(r, alpha) and drops out
with probability p ~ Beta(a, b) at certain moments: after each repeat purchase, and in MBG/NBD at time zero too.

With k such moments passed by a customer with x repeat purchases (k = x, or x + 1 in MBG/NBD) the likelihood is
Gamma(r+x)/Gamma(r) alpha^r (alpha+T)^-(r+x) B(a,b+k)/B(a,b) (1 + odds), where
odds = a/(b+k-1) ((alpha+T)/(alpha+t_x))^(r+x) are those of having dropped out at t_x. A customer alive at T goes on
as a new BG/NBD customer with r+x, alpha+T, a and b+k, so that every prediction is one for those parameters times
P(alive at T). Hypergeometric functions are taken after Euler's or Pfaff's transformation, which leaves small first
parameters, a large third and an argument within (0, 1), stable for any x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from scipy.special import betainc, betaln, expit, gammaln, hyp2f1, psi

from crm_analysis.units import DAYS_PER_YEAR, months_to_days
from crm_analysis.value_models.fitting import Likelihood, distinct_rows, dot, maximise, need_repeat, thinned
from crm_analysis.value_models.histories import Histories
from crm_analysis.value_models.purchasing import ONE_COHORT, PurchaseFit

ROWS_AT_ONCE = 16_384  # so many numbers of each kind stay in the processor's cache
NEAR = 1e-5  # closer to a removable point than this, the mean of the two sides BESIDE it is taken
BESIDE = 1e-4
# The exp-sinh rule for integrals over (0, infinity): t = exp(v - exp(-v)), equal steps in v.
STEP = 0.2
V = np.arange(-3.6, 60.0, STEP)
WORDS = {
    ("r", "up"): "customers hardly differ in how often they buy",
    ("alpha", "up"): "customers hardly differ in how often they buy",
    ("a", "down"): "hardly anybody drops out",
    ("b", "up"): "hardly anybody drops out, or customers hardly differ in how readily they do",
    ("a", "up"): "customers hardly differ in how readily they drop out",
    ("b", "down"): "nearly everybody drops out at the first occasion",
}
ENDLESS = (
    "a is {a:.3g}, not above 1: so many customers hardly ever drop out that the mean of all purchases to come, "
    "undiscounted, is infinite"
)
LONG_LIFE = (
    "a is {a:.3g}, not above 1: so many customers hardly ever drop out that the mean of the time to dropout is infinite"
)


class Given(NamedTuple):
    """The parameters of customers alive at T: r + x, alpha + T, and b + k; a does not change."""

    r: np.ndarray
    alpha: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaGeometricFit(PurchaseFit):
    """A fitted model: r and alpha of the purchase rate (alpha in `unit`), a and b of the dropout probability."""

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    at_zero: ClassVar[int] = 0  # one where a customer may drop out before the first repeat purchase

    @property
    def undefined(self) -> dict[str, str]:
        """Predictions without a finite mean, and why. `residual_lifetime_days` may also be undefined for single
        customers: it needs r + x > 1.
        """
        a = self.values[2]
        if a > 1:
            return {}
        return {
            "residual_purchases": ENDLESS.format(a=a),
            "residual_lifetime_days": LONG_LIFE.format(a=a),
        }

    def probability_alive(self, histories: Histories, *, later_days: float = 0.0) -> pd.Series:
        """P(alive at T + later | history)."""
        self._same_unit(histories)
        alive = self._alive(histories)
        if later_days:
            alive = alive * self._for_each(histories, lambda given: self._still_alive(given, self._time(later_days)))
        return pd.Series(alive, histories.frame.index, name="probability_alive")

    def expected_purchases(self, histories: Histories, *, horizon_days: float, start_days: float = 0.0) -> pd.Series:
        """Expected repeat purchases in (T + start, T + start + horizon] given each history."""
        self._same_unit(histories)

        def growth(given: Given) -> np.ndarray:
            upto = self._mean_while_alive(given, self._time(start_days + horizon_days))
            return upto - self._mean_while_alive(given, self._time(start_days)) if start_days else upto

        expected = self._for_each(histories, growth) * self._alive(histories)
        return pd.Series(expected, histories.frame.index, name="expected_purchases")

    def discounted_purchases(self, histories: Histories, *, horizon_months: int, rate_annual: float) -> pd.Series:
        """Expected purchases of the next `horizon_months`, each month's discounted from its middle."""
        self._same_unit(histories)
        discount = (1 + rate_annual) ** -((np.arange(horizon_months) + 0.5) / 12)

        def growth(given: Given) -> np.ndarray:
            upto = [self._mean_while_alive(given, self._time(months_to_days(m))) for m in range(horizon_months + 1)]
            return np.tensordot(discount, np.diff(upto, axis=0), axes=1)

        expected = self._for_each(histories, growth) * self._alive(histories)
        return pd.Series(expected, histories.frame.index, name="discounted_purchases")

    def discounted_residual_purchases(self, histories: Histories, *, rate_annual: float) -> pd.Series:
        """Expected purchases after T without end, discounted continuously to T at (1 + rate_annual) a year: E[lambda /
        (lambda p + delta)] while alive, by numerical integration over time.

        Finite for every a once there is a discount; without one see `residual_purchases`.
        """
        self._same_unit(histories)
        delta = self._force_of_interest(rate_annual)

        def worth(given: Given) -> np.ndarray:
            scale = 1 / (delta + given.r / given.alpha)  # the shorter of what ends the integral
            total = np.zeros(len(given.r))
            for v in V:
                t = scale * np.exp(v - np.exp(-v))
                rows = np.flatnonzero(delta * t < 50)
                if not len(rows):
                    break
                t, part = t[rows], Given(*(each[rows] for each in given))
                total[rows] += np.exp(-delta * t) * self._intensity(part, t) * t * (1 + np.exp(-v))
            return STEP * total

        expected = self._for_each(histories, worth) * self._alive(histories)
        return pd.Series(expected, histories.frame.index, name="discounted_residual_purchases")

    def residual_purchases(self, histories: Histories) -> pd.Series:
        """Expected purchases after T without end and without discount: E[1/p] while alive. Not a number when a <= 1,
        where that mean is infinite.
        """
        self._same_unit(histories)
        a = self.values[2]
        given = self._given(histories.frame)
        total = (a + given.b - 1) / (a - 1) * self._alive(histories) if a > 1 else np.full(len(given.b), np.nan)
        return pd.Series(total, histories.frame.index, name="residual_purchases")

    def residual_lifetime_days(self, histories: Histories) -> pd.Series:
        """Expected days from T to dropout, none for who is gone already: E[1/lambda] E[1/p] while alive. Not a number
        when a <= 1, and for customers with r + x <= 1: there the mean is infinite. `median_lifetime_days` always is.
        """
        self._same_unit(histories)
        a = self.values[2]
        given = self._given(histories.frame)
        with np.errstate(divide="ignore"):
            days = given.alpha / (given.r - 1) * (a + given.b - 1) / (a - 1) / self._time(1.0)
        days = np.where((given.r > 1) & (a > 1), days * self._alive(histories), np.nan)
        return pd.Series(days, histories.frame.index, name="residual_lifetime_days")

    def median_lifetime_days(self, histories: Histories) -> pd.Series:
        """Days from T within which half of the customers with this history, if alive at T, drop out. Infinite beyond
        ten million years.
        """
        self._same_unit(histories)

        def median(given: Given) -> np.ndarray:
            low, high = np.full(len(given.r), -25.0), np.full(len(given.r), 25.0)  # of log(t / alpha)
            for _ in range(48):
                middle = (low + high) / 2
                longer = self._still_alive(given, given.alpha * np.exp(middle)) > 0.5
                low, high = np.where(longer, middle, low), np.where(longer, high, middle)
            t = given.alpha * np.exp((low + high) / 2) / self._time(1.0)
            return np.where(t < 1e7 * DAYS_PER_YEAR, t, np.inf)

        return pd.Series(self._for_each(histories, median), histories.frame.index, name="median_lifetime_days")

    def new_customer_purchases(self, days: float | np.ndarray) -> np.ndarray:
        """Expected repeat purchases of a new customer within `days` of the first purchase."""
        t = np.asarray(days, float) * self._time(1.0)
        return self._alive_at_zero() * self._mean_while_alive(self._new(t), t)

    def new_customer_probabilities(self, *, horizon_days: float, upto: int) -> np.ndarray:
        """P(n repeat purchases of a new customer within `horizon_days`), for n from 0 to `upto`."""
        t = self._time(horizon_days)
        given, alive = self._new(np.zeros(1)), self._alive_at_zero()
        found = np.array([alive * self._count_probability(given, n, t)[0] for n in range(upto + 1)])
        found[0] += 1 - alive
        return found

    def simulate(self, observed: np.ndarray, *, seed: int, days_ahead: float = 0.0) -> pd.DataFrame:
        """Histories x, t_x, T drawn from the model for customers observed for `observed` (in `unit`).

        Also `alive` at T and `future`, the purchases in the `days_ahead` after it.
        """
        r, alpha, a, b = self.values
        rng = np.random.default_rng(seed)
        observed = np.asarray(observed, float)
        size = len(observed)
        rate, p = rng.gamma(r, 1 / alpha, size), rng.beta(a, b, size)
        x, future, t_x, now = np.zeros(size, int), np.zeros(size, int), np.zeros(size), np.zeros(size)
        alive = rng.random(size) >= p if self.at_zero else np.ones(size, bool)
        going = np.flatnonzero(alive & (rate > 0))
        ends = observed + self._time(days_ahead)
        while len(going):
            now[going] += rng.exponential(1 / rate[going])
            going = going[now[going] <= ends[going]]
            seen, dropped = now[going] <= observed[going], rng.random(len(going)) < p[going]
            x[going[seen]] += 1
            t_x[going[seen]] = now[going[seen]]
            future[going[~seen]] += 1
            alive[going[seen & dropped]] = False
            going = going[~dropped]
        return pd.DataFrame({"x": x, "t_x": t_x, "T": observed, "alive": alive, "future": future})

    def _given(self, frame: pd.DataFrame) -> Given:
        r, alpha, _, b = self.values
        x = frame["x"].to_numpy(float)
        return Given(r + x, alpha + frame["T"].to_numpy(float), b + x + self.at_zero)

    def _new(self, like: np.ndarray) -> Given:
        r, alpha, _, b = self.values
        return Given(*(np.full(like.shape, value) for value in (r, alpha, b + self.at_zero)))

    def _alive_at_zero(self) -> float:
        _, _, a, b = self.values
        return b / (a + b) if self.at_zero else 1.0

    def _for_each(self, histories: Histories, quantity: Any) -> np.ndarray:
        """`quantity` of the parameters while alive, worked out once for each distinct x and T."""
        firsts, where = distinct_rows(histories.frame, ("x", "T"))
        return quantity(self._given(histories.frame.iloc[firsts]))[where]

    def _alive(self, histories: Histories) -> np.ndarray:
        """P(alive at T)."""
        r, alpha, a, b = self.values
        x, t_x, observed = (histories.frame[name].to_numpy(float) for name in ("x", "t_x", "T"))
        k = x + self.at_zero
        log_odds = np.log(a) - np.log(np.where(k > 0, b + k - 1, 1.0))
        log_odds += (r + x) * np.log1p((observed - t_x) / (alpha + t_x))
        return np.where(k > 0, expit(-log_odds), 1.0)

    def _mean_while_alive(self, given: Given, t: float | np.ndarray) -> np.ndarray:
        """Expected purchases in (T, T + t] of customers alive at T (Fader, Hardie and Lee 2005, eq. 9)."""
        r, alpha, a, b = self.values
        if abs(a - 1) < NEAR:
            sides = [self._at(np.array([r, alpha, 1 + e, b]))._mean_while_alive(given, t) for e in (-BESIDE, BESIDE)]
            return (sides[0] + sides[1]) / 2
        c = a + given.b - 1
        pole = np.abs(c) < NEAR
        if pole.any():
            sides = [
                self._mean_while_alive(given._replace(b=np.where(pole, 1 - a + e, given.b)), t)
                for e in (-BESIDE, BESIDE)
            ]
            return (sides[0] + sides[1]) / 2
        z = t / (given.alpha + t)
        return c / (a - 1) * (1 - (1 - z) ** (a - 1) * _hypergeometric(a - 1, c - given.r, c, z))

    def _still_alive(self, given: Given, t: float | np.ndarray) -> np.ndarray:
        """P(alive at T + t | alive at T): E[exp(-lambda p t)]."""
        a = self.values[2]
        z = t / (given.alpha + t)
        return (1 - z) ** a * _hypergeometric(a, a + given.b - given.r, a + given.b, z)

    def _intensity(self, given: Given, t: np.ndarray) -> np.ndarray:
        """Expected purchases per unit of time at T + t given alive at T: E[lambda exp(-lambda p t)]."""
        a = self.values[2]
        z = t / (given.alpha + t)
        return given.r / given.alpha * (1 - z) ** a * _hypergeometric(a, a + given.b - given.r - 1, a + given.b, z)

    def _count_probability(self, given: Given, n: int, t: float) -> np.ndarray:
        """P(n purchases in (T, T + t] | alive at T) (Fader, Hardie and Lee 2005, eq. 8). Its bracket is the chance that
        a negative binomial count reaches n, an incomplete beta function.
        """
        r, alpha, b = given
        a = self.values[2]
        z = t / (alpha + t)
        log_stay = betaln(a, b + n) - betaln(a, b) + r * np.log1p(-z)
        if n == 0:
            return np.exp(log_stay)
        log_stay += gammaln(r + n) - gammaln(r) - gammaln(n + 1) + n * np.log(z)
        return np.exp(log_stay) + np.exp(betaln(a + 1, b + n - 1) - betaln(a, b)) * betainc(n, r, z)


def _hypergeometric(a: float, b: np.ndarray, c: np.ndarray, z: float | np.ndarray) -> np.ndarray:
    found = hyp2f1(a, b, c, z)
    if not np.isfinite(found).all():  # scipy overflows where c - a - b is a whole number of a hundred and more
        beside = (hyp2f1(a, b - 1e-9, c, z) + hyp2f1(a, b + 1e-9, c, z)) / 2
        found = np.where(np.isfinite(found), found, beside)
    return found


F = TypeVar("F", bound=BetaGeometricFit)


def fit_beta_geometric(kind: type[F], histories: Histories) -> F:
    """Fit one of the models to histories. Raises CannotFit with fewer than ten repeat customers."""
    need_repeat(histories, kind.model)
    distinct = histories.compressed()
    sample = thinned(distinct)
    typical = float(np.average(distinct["T"], weights=distinct["n"]))
    found = maximise(
        log_likelihood(distinct, kind.at_zero),
        {"r": 1.0, "alpha": max(typical / 2, 1e-3), "a": 0.8, "b": 2.5},
        n_customers=len(histories),
        rough=None if sample is None else log_likelihood(sample, kind.at_zero),
        words=WORDS,
    )
    return kind(
        **found,
        n_distinct=len(distinct),
        unit=histories.unit,
        as_of=histories.as_of,
        remarks=(ONE_COHORT,) if distinct["T"].nunique() == 1 else (),
    )


def log_likelihood(distinct: pd.DataFrame, at_zero: int) -> Likelihood:
    """Total log-likelihood and gradient over distinct histories x, t_x, T shared by n customers each.

    Gamma functions are taken once per distinct x, logarithms once per distinct time. What is left for each history is
    the share of those gone, 1 / (1 + 1 / odds), in blocks that fit the processor's cache.
    """
    n, row_x, t_x, observed = (distinct[name].to_numpy(float) for name in ("n", "x", "t_x", "T"))
    xi, x = pd.factorize(row_x, sort=True)
    end_i, end = pd.factorize(observed)
    n_x = np.bincount(xi, weights=n)
    n_end, nx_end = np.bincount(end_i, weights=n), np.bincount(end_i, weights=n * row_x)
    total = n.sum()
    k = x + at_zero
    may_be_gone = k > 0
    rows = np.flatnonzero(row_x + at_zero > 0)
    n, row_x, xi, end_i = n[rows], row_x[rows], xi[rows], end_i[rows]
    last_i, last = pd.factorize(t_x[rows])
    blocks = [slice(first, first + ROWS_AT_ONCE) for first in range(0, len(rows), ROWS_AT_ONCE)]

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = theta
        log_end, log_last = np.log(alpha + end), np.log(alpha + last)
        per_end, per_last = 1 / (alpha + end), 1 / (alpha + last)
        base = np.where(may_be_gone, np.log(a) - np.log(np.where(may_be_gone, b + k - 1, 1.0)), 0.0)
        gone_x = np.zeros(len(x))
        softplus = by_r = by_alpha = 0.0
        for block in blocks:
            e, i, weight, count = end_i[block], last_i[block], n[block], row_x[block]
            stretch = log_end.take(e)
            stretch -= log_last.take(i)
            rate = count + r
            odds = rate * stretch
            odds += base.take(xi[block])
            small = np.exp(-np.abs(odds))
            gone = np.where(odds > 0, 1.0, small)
            gone /= 1 + small
            gone *= weight
            softplus += dot(weight, np.maximum(odds, 0) + np.log1p(small))
            by_r += dot(gone, stretch)
            by_alpha += float(np.einsum("i,i,i->", gone, rate, per_end.take(e) - per_last.take(i)))
            gone_x += np.bincount(xi[block], weights=gone, minlength=len(x))
        by_x = gammaln(r + x) - gammaln(r) + gammaln(a + b) - gammaln(a + b + k) + gammaln(b + k) - gammaln(b)
        value = dot(n_x, by_x) + total * r * np.log(alpha) + softplus - dot(r * n_end + nx_end, log_end)
        both = psi(a + b) - psi(a + b + k)
        per_b = np.where(may_be_gone, gone_x / np.where(may_be_gone, b + k - 1, 1.0), 0.0)
        gradient = np.array(
            [
                dot(n_x, psi(r + x) - psi(r)) + total * np.log(alpha) - dot(n_end, log_end) + by_r,
                total * r / alpha - dot(r * n_end + nx_end, per_end) + by_alpha,
                dot(n_x, both) + gone_x.sum() / a,
                dot(n_x, both + psi(b + k) - psi(b)) - per_b.sum(),
            ]
        )
        return float(value), gradient

    return likelihood
