"""The Gamma-Gamma model of spend per purchase (Fader and Hardie 2013, "The Gamma-Gamma model of monetary value").

A purchase is worth Gamma(p, nu), nu ~ Gamma(q, gamma) over customers, independent of how often they buy. That
independence is an assumption: `independence` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy.special import gammaln, psi
from scipy.stats import spearmanr

from crm_analysis.value_models.fitting import CannotFit, Fit, dot, maximise
from crm_analysis.value_models.histories import Histories

if TYPE_CHECKING:
    from lifetimes import GammaGammaFitter

MIN_REPEAT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaGammaFit(Fit):
    """A fitted Gamma-Gamma model. `correlation` (Spearman, with `correlation_p`) is that of frequency and spend among
    repeat customers, which the model takes to be nil.
    """

    names: ClassVar[tuple[str, ...]] = ("p", "q", "gamma")
    model: ClassVar[str] = "Gamma-Gamma"

    correlation: float
    correlation_p: float

    @property
    def mean(self) -> float:
        """Mean worth of a purchase over all customers, in the unit of the values; not a number when q <= 1."""
        p, q, gamma = self.values
        return p * gamma / (q - 1) if q > 1 else float("nan")

    def expected_value(self, histories: Histories) -> pd.Series:
        """Expected worth of a future purchase given each history (eq. 5): a weighted mean of the customer's own mean
        and the population's. The population's for customers without a repeat purchase or with none of positive worth.
        """
        p, q, gamma = self.values
        frame = histories.frame
        own = frame["mean_value"].to_numpy(float)
        x = np.where(own > 0, frame["x"].to_numpy(float), 0.0)
        value = p * (gamma + x * np.where(x > 0, own, 0.0)) / (p * x + q - 1)
        return pd.Series(np.where(p * x + q > 1, value, np.nan), frame.index, name="expected_value")

    def to_lifetimes(self) -> GammaGammaFitter:
        """The same model as a fitter of the lifetimes library, which calls gamma v."""
        from lifetimes import GammaGammaFitter

        fitter = GammaGammaFitter()
        fitter.params_ = pd.Series(dict(zip(("p", "q", "v"), self.values, strict=True)))
        fitter._scale = 1.0
        return fitter


def fit_gamma_gamma(histories: Histories) -> GammaGammaFit:
    """Fit Gamma-Gamma to the repeat customers whose mean worth is positive (eq. 1a).

    Raises CannotFit with fewer than ten of them.
    """
    frame = histories.frame
    used = frame[(frame["x"] > 0) & (frame["mean_value"] > 0)]
    if len(used) < MIN_REPEAT:
        raise CannotFit(
            f"Gamma-Gamma needs at least {MIN_REPEAT} repeat customers with positive spend; there are {len(used)}."
        )
    x, z = used["x"].to_numpy(float), used["mean_value"].to_numpy(float)
    log_x, log_z = np.log(x), np.log(z)
    counts, code = np.unique(x, return_inverse=True)
    n = np.bincount(code).astype(float)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, gamma = theta
        log_sum = np.log(gamma + x * z)
        per_sum = 1 / (gamma + x * z)
        by_x = gammaln(p * counts + q) - gammaln(p * counts) - gammaln(q)
        value = n @ by_x + len(x) * q * np.log(gamma)
        value += ((p * x - 1) * log_z + p * x * log_x - (p * x + q) * log_sum).sum()
        upper = psi(p * counts + q)
        gradient = np.array(
            [
                n @ (counts * (upper - psi(p * counts))) + dot(x, log_z + log_x - log_sum),
                n @ (upper - psi(q)) + len(x) * np.log(gamma) - log_sum.sum(),
                len(x) * q / gamma - dot(p * x + q, per_sum),
            ]
        )
        return float(value), gradient

    start = {"p": 5.0, "q": 4.0, "gamma": float(np.median(z))}
    found = maximise(likelihood, start, n_customers=len(used))
    varied = used["x"].nunique() > 1 and used["mean_value"].nunique() > 1
    rank = spearmanr(x, z) if varied else None
    notes = found.pop("notes")
    if found["values"][1] <= 1:
        notes = (*notes, "q <= 1: spend has so heavy a tail that its mean is undefined")
    return GammaGammaFit(
        **found,
        notes=notes,
        n_distinct=len(used),
        unit=histories.unit,
        as_of=histories.as_of,
        correlation=float(rank.statistic) if rank else float("nan"),
        correlation_p=float(rank.pvalue) if rank else float("nan"),
    )
