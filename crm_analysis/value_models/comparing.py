"""Several fits together: whether branches differ, and the interval of one prediction times another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from crm_analysis.errors import DataError
from crm_analysis.value_models.fitting import Fit


@dataclass(frozen=True, slots=True)
class Difference:
    """Likelihood-ratio test of one set of parameters for all branches against own ones for each: twice the gain in
    log-likelihood, degrees of freedom, p, and by how much own parameters lower AIC (below zero: they do not).
    """

    statistic: float
    degrees_of_freedom: int
    p: float
    aic_gain: float


def difference(pooled: Fit, parts: Sequence[Fit]) -> Difference:
    """Whether the branches fitted in `parts` differ, given the fit of all their customers together.

    The chi-squared law holds for many customers a branch and no parameter at the end of its range; with one there the
    p-value is on the safe side.
    """
    ours = sum(part.n_customers for part in parts)
    if len(parts) < 2 or any(part.model != pooled.model or part.unit != pooled.unit for part in parts):
        raise DataError(
            f"Branches are compared by two fits or more of {pooled.model} in {pooled.unit}s; these are "
            f"{', '.join(f'{part.model} in {part.unit}s' for part in parts) or 'none'}."
        )
    if ours != pooled.n_customers:
        raise DataError(
            f"The pooled fit is of {pooled.n_customers:,} customers and those of the branches of {ours:,}: "
            "fit them to the same customers."
        )
    statistic = 2 * (sum(part.log_likelihood for part in parts) - pooled.log_likelihood)
    freedom = (len(parts) - 1) * len(pooled.values)
    return Difference(statistic, freedom, float(chi2.sf(max(statistic, 0.0), freedom)), statistic - 2 * freedom)


def product(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One prediction times another, such as purchases times their worth: value, low, high for each customer.

    Takes frames of `Fit.interval` whose fits are independent, as Gamma-Gamma takes spend to be of frequency. The two
    distances on the log scale add in quadrature.
    """
    if not first.index.equals(second.index):
        raise DataError("The two predictions are not for the same customers in the same order.")
    value = first["value"] * second["value"]
    with np.errstate(divide="ignore", invalid="ignore"):
        down, up = (
            np.exp(np.hypot(np.log(first["value"] / first[end]), np.log(second["value"] / second[end])))
            for end in ("low", "high")
        )
    low, high = (value / down).where(value > 0, value), (value * up).where(value > 0, value)
    return pd.DataFrame({"value": value, "low": low, "high": high})
