"""The Gamma-Gamma model of spend per purchase (Fader and Hardie 2013, "The Gamma-Gamma model of monetary value").

A purchase is worth Gamma(p, nu), nu ~ Gamma(q, gamma) over customers, independent of how often they buy. That
independence is an assumption, which every fit tests (`correlation`) and can show (`independence`).

The usual test, the rank correlation of the number of purchases and their mean worth, rejects where the assumption
holds: a mean over few purchases is skewed, so that its median lies lower. Here each mean worth is first turned into its
probability under the model given the number of purchases, x z / (gamma + x z) being Beta(p x, q); those are alike for
all when frequency and spend are unrelated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import betainc, gammaln, psi
from scipy.stats import spearmanr

from crm_analysis.errors import DataError
from crm_analysis.value_models.fitting import Z95, CannotFit, Fit, distinct_rows, dot, maximise
from crm_analysis.value_models.histories import Histories
from crm_analysis.value_models.occasions import Occasions

if TYPE_CHECKING:
    from lifetimes import GammaGammaFitter

MIN_REPEAT = 10
CLASSES = (1, 2, 3, 5, 9, 17)  # first number of repeat purchases of each class that `independence` shows
ALIKE = "customers hardly differ in what they spend"
WORDS = {
    ("p", "up"): "the purchases of one customer hardly differ in worth",
    ("p", "down"): "the purchases of one customer differ more in worth than the model can say",
    ("q", "up"): ALIKE,
    ("gamma", "up"): ALIKE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaGammaFit(Fit):
    """A fitted Gamma-Gamma model, to `n_customers` repeat customers of positive mean worth; `n_left_out` repeat
    customers had none.

    `correlation` (with `correlation_p`) is the rank correlation of frequency and spend, spend taken relative to what
    the model expects at that frequency: nil under the model's assumption. `correlation_raw` is Spearman's of the mean
    worth itself, which is not.
    """

    names: ClassVar[tuple[str, ...]] = ("p", "q", "gamma")
    model: ClassVar[str] = "Gamma-Gamma"
    columns: ClassVar[tuple[str, ...]] = ("x", "mean_value")

    correlation: float
    correlation_p: float
    correlation_raw: float
    n_left_out: int

    @property
    def undefined(self) -> dict[str, str]:
        """Predictions without a finite mean: those of customers without a repeat purchase when q <= 1."""
        q = self.values[1]
        if q > 1:
            return {}
        reason = (
            f"q is {q:.4g}, not above 1: so few customers spend so much that the mean over all customers is infinite"
        )
        return {"mean": reason, "expected_value": f"{reason}; defined from p x + q > 1 on."}

    @property
    def mean(self) -> float:
        """Mean worth of a purchase over all customers, in the unit of the values; not a number when q <= 1."""
        p, q, gamma = self.values
        return p * gamma / (q - 1) if q > 1 else float("nan")

    def expected_value(self, histories: Histories | Occasions) -> pd.Series:
        """Expected worth of a future purchase given each history (eq. 5): a weighted mean of the customer's own mean
        and the population's. The population's for customers without a repeat purchase or with none of positive worth.
        """
        p, q, gamma = self.values
        frame = histories.frame
        own = frame["mean_value"].to_numpy(float)
        x = np.where(own > 0, frame["x"].to_numpy(float), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = p * (gamma + x * np.where(x > 0, own, 0.0)) / (p * x + q - 1)
        return pd.Series(np.where(p * x + q > 1, value, np.nan), frame.index, name="expected_value")

    def relative_spend(self, histories: Histories | Occasions) -> pd.Series:
        """P(mean worth up to that observed | x), between 0 and 1, of the customers with positive worth: uniform
        whatever their frequency if the model holds.
        """
        p, q, gamma = self.values
        used = _used(histories.frame)
        x, z = used["x"].to_numpy(float), used["mean_value"].to_numpy(float)
        return pd.Series(betainc(p * x, q, x * z / (gamma + x * z)), used.index, name="relative_spend")

    def independence(self, histories: Histories | Occasions) -> pd.DataFrame:
        """Spend by frequency: one row per class of repeat purchases (from, to) with customers, their mean_value, their
        mean relative_spend, and low and high, where 95 % of such means lie if frequency and spend are unrelated.
        """
        used = _used(histories.frame).assign(relative_spend=self.relative_spend(histories))
        starts = np.array(CLASSES)
        used["class"] = np.searchsorted(starts, used["x"], side="right") - 1
        table = used.groupby("class").agg(
            customers=("x", "size"), mean_value=("mean_value", "mean"), relative_spend=("relative_spend", "mean")
        )
        to = np.append(starts[1:] - 1.0, np.inf)[table.index]
        width = Z95 / np.sqrt(12 * table["customers"])
        table.insert(0, "from", starts[table.index])
        table.insert(1, "to", to)
        return table.assign(low=0.5 - width, high=0.5 + width).reset_index(drop=True)

    def simulate(self, x: np.ndarray, *, seed: int) -> pd.DataFrame:
        """Customers drawn from the model with `x` repeat purchases each: x, mean_value (not a number where x is 0), and
        true_value, what a purchase of theirs is worth in the mean.
        """
        p, q, gamma = self.values
        rng = np.random.default_rng(seed)
        x = np.asarray(x, int)
        nu = rng.gamma(q, 1 / gamma, len(x))
        seen = np.maximum(x, 1)
        mean_value = np.where(x > 0, rng.gamma(p * seen, 1 / nu) / seen, np.nan)
        return pd.DataFrame({"x": x, "mean_value": mean_value, "true_value": p / nu})

    def to_lifetimes(self) -> GammaGammaFitter:
        """The same model as a fitter of the lifetimes library, which calls gamma v."""
        from lifetimes import GammaGammaFitter

        fitter = GammaGammaFitter()
        fitter.params_ = pd.Series(dict(zip(("p", "q", "v"), self.values, strict=True)))
        fitter._scale = 1.0
        return fitter


def _used(frame: pd.DataFrame) -> pd.DataFrame:
    if "mean_value" not in frame:
        raise DataError(
            "Spend needs the column mean_value, what a repeat purchase of the customer was worth on average."
        )
    return frame.loc[(frame["x"] > 0) & (frame["mean_value"] > 0), ["x", "mean_value"]]


def fit_gamma_gamma(histories: Histories | Occasions) -> GammaGammaFit:
    """Fit Gamma-Gamma to the repeat customers whose mean worth is positive (eq. 1a).

    Raises CannotFit with fewer than ten of them.
    """
    used = _used(histories.frame)
    repeat = int((histories.frame["x"] > 0).sum())
    left_out = repeat - len(used)
    if len(used) < MIN_REPEAT:
        others = f" of {repeat}: the purchases of the others are worth nothing or less, or unknown" if left_out else ""
        raise CannotFit(
            f"Gamma-Gamma needs at least {MIN_REPEAT} repeat customers with positive spend; there are "
            f"{len(used)}{others}."
        )
    firsts, where = distinct_rows(used, ("x", "mean_value"))
    distinct = used.iloc[firsts].assign(customers=np.bincount(where))
    start = {"p": 5.0, "q": 4.0, "gamma": float(used["mean_value"].median())}
    found = maximise(_likelihood(distinct), start, n_customers=len(used), words=WORDS)
    remarks: tuple[str, ...] = ()
    if left_out:
        remarks = (
            f"{left_out} of {repeat} repeat customers are left out: their purchases are worth nothing or less on "
            "average, or what they are worth is unknown",
        )
    fit = GammaGammaFit(
        **found,
        n_distinct=len(distinct),
        unit=histories.unit,
        as_of=histories.as_of,
        remarks=remarks,
        correlation=float("nan"),
        correlation_p=float("nan"),
        correlation_raw=float("nan"),
        n_left_out=left_out,
    )
    return _with_correlation(fit, used, histories)


def _with_correlation(fit: GammaGammaFit, used: pd.DataFrame, histories: Histories | Occasions) -> GammaGammaFit:
    notes = fit.notes
    if fit.undefined:
        notes = (*notes, "q <= 1: spend has so heavy a tail that its mean is undefined")
    relative = fit.relative_spend(histories)
    if used["x"].nunique() == 1 or used["mean_value"].nunique() == 1 or relative.nunique() == 1:
        return replace(fit, notes=notes)
    rank = spearmanr(used["x"], relative)
    return replace(
        fit,
        notes=notes,
        correlation=float(rank.statistic),
        correlation_p=float(rank.pvalue),
        correlation_raw=float(spearmanr(used["x"], used["mean_value"]).statistic),
    )


def _likelihood(distinct: pd.DataFrame) -> Any:
    """Total log-likelihood and gradient over distinct (x, mean_value)."""
    x, z, weight = (distinct[name].to_numpy(float) for name in ("x", "mean_value", "customers"))
    total = weight.sum()
    log_x, log_z = np.log(x), np.log(z)
    counts, code = np.unique(x, return_inverse=True)
    n = np.bincount(code, weights=weight)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, gamma = theta
        log_sum = np.log(gamma + x * z)
        by_x = gammaln(p * counts + q) - gammaln(p * counts) - gammaln(q)
        value = dot(n, by_x) + total * q * np.log(gamma)
        value += dot(weight, (p * x - 1) * log_z + p * x * log_x - (p * x + q) * log_sum)
        upper = psi(p * counts + q)
        gradient = np.array(
            [
                dot(n, counts * (upper - psi(p * counts))) + dot(weight * x, log_z + log_x - log_sum),
                dot(n, upper - psi(q)) + total * np.log(gamma) - dot(weight, log_sum),
                total * q / gamma - dot(weight, (p * x + q) / (gamma + x * z)),
            ]
        )
        return value, gradient

    return likelihood
