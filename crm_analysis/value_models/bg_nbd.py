"""The beta-geometric / negative binomial model of repeat buying (Fader, Hardie and Lee 2005, Marketing Science 24(2)).

While alive a customer buys at a Poisson rate lambda ~ Gamma(r, alpha); after each repeat purchase the customer drops
out with probability p ~ Beta(a, b). Rate and dropout are independent, nothing depends on the season or on age.
Equations are cited by their numbers in that paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import expit, gammaln, hyp2f1, psi

from crm_analysis.units import months_to_days
from crm_analysis.value_models.fitting import CannotFit, Fit, dot, maximise
from crm_analysis.value_models.histories import Histories

if TYPE_CHECKING:
    from lifetimes import BetaGeoFitter

MIN_REPEAT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BgNbdFit(Fit):
    """A fitted BG/NBD model: r and alpha of the purchase rate (alpha in `unit`), a and b of the dropout probability."""

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    model: ClassVar[str] = "BG/NBD"

    def probability_alive(self, histories: Histories) -> pd.Series:
        """P(alive at T | history), (from eq. 8 and 10's denominator). One for customers without a repeat purchase."""
        self._same_unit(histories)
        frame = histories.frame
        alive = expit(-self._log_odds_gone(*(frame[name].to_numpy(float) for name in ("x", "t_x", "T"))))
        return pd.Series(alive, frame.index, name="probability_alive")

    def expected_purchases(self, histories: Histories, *, horizon_days: float, start_days: float = 0.0) -> pd.Series:
        """Expected repeat purchases in (T + start, T + start + horizon] given each history (eq. 10)."""
        self._same_unit(histories)
        frame = histories.frame
        x, t_x, observed = (frame[name].to_numpy(float) for name in ("x", "t_x", "T"))
        pairs, where = _distinct(x, observed)
        growth = self._mean_while_alive(*pairs, self._time(start_days + horizon_days))
        if start_days:
            growth = growth - self._mean_while_alive(*pairs, self._time(start_days))
        expected = growth[where] * expit(-self._log_odds_gone(x, t_x, observed))
        return pd.Series(expected, frame.index, name="expected_purchases")

    def discounted_purchases(self, histories: Histories, *, horizon_months: int, rate_annual: float) -> pd.Series:
        """Expected purchases of the next `horizon_months`, each month's discounted from its middle."""
        self._same_unit(histories)
        x, t_x, observed = (histories.frame[name].to_numpy(float) for name in ("x", "t_x", "T"))
        pairs, where = _distinct(x, observed)
        upto = [self._mean_while_alive(*pairs, self._time(months_to_days(m))) for m in range(horizon_months + 1)]
        discount = (1 + rate_annual) ** -((np.arange(horizon_months) + 0.5) / 12)
        growth = np.tensordot(discount, np.diff(upto, axis=0), axes=1)
        expected = growth[where] * expit(-self._log_odds_gone(x, t_x, observed))
        return pd.Series(expected, histories.frame.index, name="discounted_purchases")

    def new_customer_purchases(self, days: float | np.ndarray) -> np.ndarray:
        """Expected repeat purchases of a new customer within `days` of the first purchase (eq. 9)."""
        t = np.asarray(days, float) / self._unit_days()
        zero = np.zeros_like(t)
        return self._mean_while_alive(zero, zero, t)

    def simulate(self, observed: np.ndarray, *, seed: int, days_ahead: float = 0.0) -> pd.DataFrame:
        """Histories x, t_x, T drawn from the model for customers observed for `observed` (in `unit`).

        Also `alive` at T and `future`, the purchases in the `days_ahead` after it.
        """
        r, alpha, a, b = self.values
        rng = np.random.default_rng(seed)
        observed = np.asarray(observed, float)
        rate = rng.gamma(r, 1 / alpha, len(observed))
        p = rng.beta(a, b, len(observed))
        rows = []
        ahead = self._time(days_ahead)
        for end, lam, drop in zip(observed, rate, p, strict=True):
            t, x, t_x, future, alive = 0.0, 0, 0.0, 0, True
            while alive and lam > 0:
                t += rng.exponential(1 / lam)
                if t > end + ahead:
                    break
                if t <= end:
                    x, t_x = x + 1, t
                else:
                    future += 1
                alive = rng.random() >= drop
            rows.append((x, t_x, end, alive or t > end, future))
        return pd.DataFrame(rows, columns=["x", "t_x", "T", "alive", "future"])

    def to_lifetimes(self, histories: Histories | None = None) -> BetaGeoFitter:
        """The same model as a fitter of the lifetimes library, with the data too when `histories` are given."""
        from lifetimes import BetaGeoFitter

        fitter = BetaGeoFitter()
        fitter.params_ = pd.Series(self.parameters)
        fitter._scale = 1.0
        fitter.variance_matrix_ = pd.DataFrame(self.covariance, index=self.names, columns=self.names)
        fitter.standard_errors_ = pd.Series(self.standard_errors)
        fitter.AIC_ = self.aic
        if histories is not None:
            self._same_unit(histories)
            fitter.data = histories.frame[["x", "t_x", "T"]].set_axis(["frequency", "recency", "T"], axis=1)
            fitter.data = fitter.data.assign(weights=1)
            fitter.predict = fitter.conditional_expected_number_of_purchases_up_to_time
        return fitter

    def _unit_days(self) -> float:
        return 1.0 / self._time(1.0)

    def _log_odds_gone(self, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> np.ndarray:
        r, alpha, a, b = self.values
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(a) - np.log(b + x - 1) + (r + x) * np.log1p((observed - t_x) / (alpha + t_x))
        return np.where(x > 0, odds, -np.inf)

    def _mean_while_alive(self, x: np.ndarray, observed: np.ndarray, t: float | np.ndarray) -> np.ndarray:
        """Eq. 10 without its denominator.

        Euler's transformation of the hypergeometric function leaves small first parameters and a large third, stable
        for any x: (1 - z)^(r+x) F(r+x, b+x; a+b+x-1; z) = (1 - z)^(a-1) F(a-1, a+b-1-r; a+b+x-1; z).
        """
        r, alpha, a, b = self.values
        z = t / (alpha + observed + t)
        if abs(a - 1) < 1e-5:  # the limit at a = 1, from both sides
            near = [self._at(np.array([r, alpha, side, b])) for side in (1 - 1e-4, 1 + 1e-4)]
            below, above = (fit._mean_while_alive(x, observed, t) for fit in near)
            return (below + above) / 2
        c = a + b + x - 1
        return c / (a - 1) * (1 - (1 - z) ** (a - 1) * hyp2f1(a - 1, a + b - 1 - r, c, z))


def _distinct(x: np.ndarray, observed: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Distinct pairs of x and T, and where each customer's pair is."""
    ends, end_code = np.unique(observed, return_inverse=True)
    counts, count_code = np.unique(x, return_inverse=True)
    codes, where = np.unique(count_code * len(ends) + end_code, return_inverse=True)
    return (counts[codes // len(ends)], ends[codes % len(ends)]), where


def fit_bg_nbd(histories: Histories) -> BgNbdFit:
    """Fit BG/NBD to histories (eq. 6). Raises CannotFit with fewer than ten repeat customers."""
    repeat = int((histories.frame["x"] > 0).sum())
    if repeat < MIN_REPEAT:
        raise CannotFit(
            f"BG/NBD needs at least {MIN_REPEAT} customers with a repeat purchase; "
            f"{repeat} of {len(histories)} have one."
        )
    distinct = histories.compressed()
    likelihood = _likelihood(distinct)
    typical = float(np.average(distinct["T"], weights=distinct["n"]))
    start = {"r": 1.0, "alpha": max(typical / 2, 1e-3), "a": 0.8, "b": 2.5}
    found = maximise(likelihood, start, n_customers=len(histories))
    return BgNbdFit(**found, n_distinct=len(distinct), unit=histories.unit, as_of=histories.as_of)


def _likelihood(distinct: pd.DataFrame) -> Any:
    """Total log-likelihood and gradient over distinct histories.

    Gamma functions are taken once per distinct x, logarithms once per distinct time.
    """
    n = distinct["n"].to_numpy(float)
    x, xi = np.unique(distinct["x"].to_numpy(float), return_inverse=True)
    last, last_i = np.unique(distinct["t_x"].to_numpy(float), return_inverse=True)
    end, end_i = np.unique(distinct["T"].to_numpy(float), return_inverse=True)
    n_x = np.bincount(xi, weights=n)
    row_x = x[xi]
    repeat = row_x > 0
    total = n.sum()

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = theta
        log_last, log_end = np.log(alpha + last)[last_i], np.log(alpha + end)[end_i]
        per_last, per_end = (1 / (alpha + last))[last_i], (1 / (alpha + end))[end_i]
        log_b = np.zeros(len(x))
        log_b[x > 0] = np.log(b + x[x > 0] - 1)
        odds = np.where(repeat, np.log(a) - log_b[xi] + (r + row_x) * (log_end - log_last), -np.inf)
        gone = n * expit(odds)
        stayed = n - gone
        by_x = gammaln(r + x) - gammaln(r) + gammaln(a + b) - gammaln(a + b + x) + gammaln(b + x) - gammaln(b)
        value = n_x @ by_x + total * r * np.log(alpha) + dot(n, np.logaddexp(0, odds) - (r + row_x) * log_end)
        both = psi(a + b) - psi(a + b + x)
        gone_x = np.bincount(xi, weights=gone, minlength=len(x))
        per_b = np.divide(gone_x, b + x - 1, where=x > 0, out=np.zeros(len(x)))
        gradient = np.array(
            [
                n_x @ (psi(r + x) - psi(r)) + total * np.log(alpha) - dot(stayed, log_end) - dot(gone, log_last),
                total * r / alpha - dot(r + row_x, stayed * per_end + gone * per_last),
                n_x @ both + gone.sum() / a,
                n_x @ (both + psi(b + x) - psi(b)) - per_b.sum(),
            ]
        )
        return float(value), gradient

    return likelihood
