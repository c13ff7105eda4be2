"""What the models of purchases at random moments share, however their customers drop out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis.errors import DataError
from crm_analysis.units import DAYS_PER_YEAR
from crm_analysis.value_models.fitting import Fit, distinct_rows
from crm_analysis.value_models.histories import Histories

ONE_COHORT = "all customers were observed for the same time: the fit holds for that one cohort"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseFit(Fit, ABC):
    """A fitted model in which a customer alive at T goes on as a new one, with parameters that depend on x and T."""

    @abstractmethod
    def _given(self, frame: pd.DataFrame) -> Any:
        """The parameters of customers alive at T."""

    @abstractmethod
    def _alive(self, histories: Histories) -> np.ndarray:
        """P(alive at T)."""

    @abstractmethod
    def _count_probability(self, given: Any, n: int, t: float) -> np.ndarray:
        """P(n purchases in (T, T + t] | alive at T), t in `unit`."""

    @abstractmethod
    def probability_alive(self, histories: Histories, *, later_days: float = 0.0) -> pd.Series:
        """P(alive at T, or `later_days` after it | history)."""

    @abstractmethod
    def new_customer_purchases(self, days: float | np.ndarray) -> np.ndarray:
        """Expected repeat purchases of a new customer in the first `days`."""

    @abstractmethod
    def new_customer_probabilities(self, *, horizon_days: float, upto: int) -> np.ndarray:
        """P(n repeat purchases of a new customer in `horizon_days`) for n from 0 to `upto`."""

    def purchase_probabilities(self, histories: Histories, *, horizon_days: float, upto: int) -> pd.DataFrame:
        """P(n purchases in (T, T + horizon] | history), a column for each n from 0 to `upto`.

        Raises DataError where the histories are in another unit of time than the fit.
        """
        self._same_unit(histories)
        firsts, where = distinct_rows(histories.frame, ("x", "T"))
        given = self._given(histories.frame.iloc[firsts])
        alive = self._alive(histories)
        t = self._time(horizon_days)
        found = {n: alive * self._count_probability(given, n, t)[where] for n in range(upto + 1)}
        found[0] = found[0] + (1 - alive)
        return pd.DataFrame(found, histories.frame.index)

    def _force_of_interest(self, rate_annual: float) -> float:
        """The continuous discount rate per `unit` of an endless horizon. Raises DataError without a discount."""
        if not rate_annual > 0:
            raise DataError(
                f"An endless horizon needs a discount rate above zero; it is {rate_annual:g} a year. Use "
                "`residual_purchases` for the purchases to come without discount, or give a horizon to "
                "`discounted_purchases`."
            )
        return float(np.log1p(rate_annual) / self._time(DAYS_PER_YEAR))

    def _into_lifetimes(self, fitter: Any, histories: Histories | None) -> None:
        """Give a fitter of the lifetimes library what its own `fit` would have left behind."""
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
