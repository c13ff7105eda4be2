"""The shifted beta-geometric model of renewals (Fader and Hardie 2007, "How to project customer retention", Journal of
Interactive Marketing 21(1); 2010, "Customer-base valuation in a contractual setting", Marketing Science 29(1)).

At each renewal a customer leaves with probability theta ~ Beta(alpha, beta), the same at all of theirs. Nobody's
loyalty grows; retention rises with tenure because those who leave easily have left. Equations are cited by their
numbers in those papers, whose period t is here the t-th renewal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import betaln, psi

from crm_analysis.errors import DataError
from crm_analysis.value_models.discounting import discount_factor, discounted_stay, endless_discount_factor, whole_steps
from crm_analysis.value_models.fitting import CannotFit, Fit, maximise
from crm_analysis.value_models.tenures import Tenures

RENEWALS = "renewals"
MIN_ENDED = 10
MIN_RENEWALS = 2
UNITS = {1: "month", 3: "quarter", 6: "half", 12: "year"}
ALIKE = "retention does not rise with tenure, so that customers look alike in their loyalty"
WORDS = {
    ("alpha", "up"): ALIKE,
    ("beta", "up"): ALIKE,
    ("alpha", "down"): "customers leave at once or never",
    ("beta", "down"): "customers leave at once or never",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SbgFit(Fit):
    """A fitted shifted beta-geometric model: alpha and beta of the probability to leave at a renewal, one of which
    falls due every `cycle_months`. `n_customers` are commitments.
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    model: ClassVar[str] = "sBG"
    columns: ClassVar[tuple[str, ...]] = ("renewals", "ended")

    cycle_months: int

    @property
    def undefined(self) -> dict[str, str]:
        """Predictions without a finite mean: the number of further renewals, undiscounted, when alpha <= 1.

        Given k renewals theta is Beta(alpha, beta + k) and the mean lifetime that of 1 / theta, which is finite for
        alpha > 1 alone, whatever beta and k.
        """
        alpha = self.values[0]
        if alpha > 1:
            return {}
        return {
            "residual_renewals": (
                f"alpha is {alpha:.4g}, not above 1: so many customers hardly ever leave that the mean number of "
                "further renewals is infinite. Give a horizon or a discount rate."
            )
        }

    def retention_rate(self, renewal: int | np.ndarray) -> np.ndarray:
        """Share of those who face the `renewal`-th renewal (1 is the first) who make it (2007, eq. 8)."""
        alpha, beta = self.values
        t = np.asarray(renewal, float)
        return np.asarray((beta + t - 1) / (alpha + beta + t - 1))

    def survival(self, renewals: int | np.ndarray) -> np.ndarray:
        """Share of all who make the first `renewals` renewals (2007, eq. 6)."""
        alpha, beta = self.values
        return np.asarray(np.exp(betaln(alpha, beta + np.asarray(renewals, float)) - betaln(alpha, beta)))

    def curve(self, upto: int) -> pd.DataFrame:
        """Retention rate and survival by tenure with their 95 % intervals (delta, on the logit scale).

        One row per number of renewals, 0 to `upto`: survival, survival_low, survival_high: share who make that many;
        retention, retention_low, retention_high: share making the last of them among those who face it.
        """
        at = np.arange(upto + 1)
        steps = Tenures(pd.DataFrame({"renewals": at, "ended": False}), self.cycle_months)

        def column(group: Tenures) -> np.ndarray:
            return group.frame["renewals"].to_numpy(float)

        survival = self.interval(lambda fit, group: fit.survival(column(group)), steps, upper=1.0)
        later = Tenures(steps.frame[at > 0], self.cycle_months)
        retention = self.interval(lambda fit, group: fit.retention_rate(column(group)), later, upper=1.0)
        names = {"value": "", "low": "_low", "high": "_high"}
        return pd.concat(
            [
                frame.rename(columns={old: what + new for old, new in names.items()})
                for what, frame in (("survival", survival), ("retention", retention))
            ],
            axis=1,
        ).rename_axis("renewals")

    def probability_renewing(self, tenures: Tenures, *, renewals: int) -> pd.Series:
        """P(makes the next `renewals` renewals | renewals made so far); nil for those who ended."""
        self._same_cycle(tenures)
        alpha, beta = self.values
        k = tenures.frame["renewals"].to_numpy(float)
        stays = np.exp(betaln(alpha, beta + k + whole_steps(renewals, RENEWALS)) - betaln(alpha, beta + k))
        return self._running(tenures, stays).rename("probability_renewing")

    def expected_renewals(self, tenures: Tenures, *, horizon: int) -> pd.Series:
        """Expected renewals among the next `horizon` that fall due, given those made so far."""
        return self._weighted(tenures, np.ones(whole_steps(horizon, RENEWALS))).rename("expected_renewals")

    def discounted_renewals(
        self, tenures: Tenures, *, horizon: int, rate_annual: float, cycles_to_next: float = 0.0
    ) -> pd.Series:
        """Expected renewals among the next `horizon`, discounted, the next by `cycles_to_next`."""
        discount = discount_factor(rate_annual, self.cycle_months) ** (
            cycles_to_next + np.arange(whole_steps(horizon, RENEWALS))
        )
        return self._weighted(tenures, discount).rename("discounted_renewals")

    def residual_renewals(self, tenures: Tenures) -> pd.Series:
        """Expected number of all further renewals, given those made so far; not a number when alpha <= 1, as
        `undefined` explains. Nil for those who ended.
        """
        self._same_cycle(tenures)
        alpha, beta = self.values
        k = tenures.frame["renewals"].to_numpy(float)
        further = (beta + k) / (alpha - 1) if alpha > 1 else np.full(len(k), np.nan)
        return self._running(tenures, further).rename("residual_renewals")

    def discounted_residual_renewals(
        self, tenures: Tenures, *, rate_annual: float, cycles_to_next: float = 0.0
    ) -> pd.Series:
        """Expected number of all further renewals, discounted (DERL, 2010, eq. 6), given those made so far.

        The next renewal is discounted by `cycles_to_next`: 0 stands just before it, as in the paper, 1 just after the
        last. Finite whatever the parameters; raises DataError at a rate of zero. Nil for those who ended.
        """
        self._same_cycle(tenures)
        instead = "`residual_renewals` for the sum without discount, or give a horizon to `discounted_renewals`"
        v = endless_discount_factor(rate_annual, self.cycle_months, instead=instead)
        alpha, beta = self.values
        kinds, where = np.unique(tenures.frame["renewals"].to_numpy(float), return_inverse=True)
        whole = discounted_stay(alpha, beta + kinds, v) / v
        return self._running(tenures, v**cycles_to_next * whole[where]).rename("discounted_residual_renewals")

    def simulate(self, opportunities: np.ndarray, *, seed: int) -> pd.DataFrame:
        """Tenures (renewals, ended) drawn from the model, of customers who faced `opportunities` renewals; and the
        customer's own theta.
        """
        rng = np.random.default_rng(seed)
        faced = np.asarray(opportunities, int)
        alpha, beta = self.values
        theta = rng.beta(alpha, beta, len(faced))
        with np.errstate(divide="ignore"):
            life = np.floor(np.log(rng.random(len(faced))) / np.log1p(-theta))
        renewals = np.minimum(life, faced).astype(int)
        return pd.DataFrame({"renewals": renewals, "ended": life < faced, "theta": theta})

    def _same_cycle(self, tenures: Tenures) -> None:
        if tenures.cycle_months != self.cycle_months:
            raise DataError(
                f"The model was fitted to renewals every {self.cycle_months} months and these tenures count renewals "
                f"every {tenures.cycle_months}: fit each cycle on its own."
            )

    def _running(self, tenures: Tenures, values: np.ndarray) -> pd.Series:
        ended = tenures.frame["ended"].to_numpy(bool)
        return pd.Series(np.where(ended, 0.0, values), tenures.frame.index)

    def _weighted(self, tenures: Tenures, weights: np.ndarray) -> pd.Series:
        self._same_cycle(tenures)
        alpha, beta = self.values
        kinds, where = np.unique(tenures.frame["renewals"].to_numpy(float), return_inverse=True)
        ahead = np.arange(1, len(weights) + 1)
        stays = np.exp(betaln(alpha, beta + kinds[:, None] + ahead) - betaln(alpha, beta + kinds)[:, None])
        return self._running(tenures, (stays @ weights)[where])


def fit_sbg(tenures: Tenures) -> SbgFit:
    """Fit sBG to tenures, of one cohort or several (2007, eq. 9 with the survivors' term for each cohort).

    What was seen from a later renewal on counts given that it got there. Raises CannotFit with fewer than ten
    commitments that ended, or where nobody has faced a second renewal: one rate cannot tell two parameters.
    """
    frame = tenures.frame
    ended = frame["ended"].to_numpy(bool)
    faced = int((frame["renewals"] + ended).max()) if len(frame) else 0
    if ended.sum() < MIN_ENDED:
        raise CannotFit(
            f"sBG needs at least {MIN_ENDED} commitments that ended; {int(ended.sum())} of {len(tenures)} have."
        )
    if faced < MIN_RENEWALS:
        raise CannotFit(
            f"sBG needs commitments that faced at least {MIN_RENEWALS} renewals; none of {len(tenures)} has faced "
            f"more than {faced}. Wait for the next renewal, or take shorter cycles."
        )
    distinct = tenures.compressed()
    start = {"alpha": 1.0, "beta": 3.0}
    found = maximise(_likelihood(distinct), start, n_customers=len(tenures), words=WORDS)
    unit = UNITS.get(tenures.cycle_months, f"{tenures.cycle_months} months")
    return SbgFit(**found, n_distinct=len(distinct), unit=unit, as_of=tenures.as_of, cycle_months=tenures.cycle_months)


def _likelihood(distinct: pd.DataFrame) -> Any:
    """Total log-likelihood and gradient over distinct tenures."""
    k, weight = distinct["renewals"].to_numpy(float), distinct["customers"].to_numpy(float)
    gone = weight * distinct["ended"].to_numpy(bool)
    start = distinct["seen_from"].to_numpy(float)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        alpha, beta = theta
        stayed = betaln(alpha, beta + k) - betaln(alpha, beta + start)
        per_end = gone / (alpha + beta + k)
        both = psi(alpha + beta + start) - psi(alpha + beta + k)
        value = weight @ stayed + gone @ (np.log(alpha) - np.log(alpha + beta + k))
        gradient = np.array(
            [
                weight @ both + gone.sum() / alpha - per_end.sum(),
                weight @ (both + psi(beta + k) - psi(beta + start)) - per_end.sum(),
            ]
        )
        return float(value), gradient

    return likelihood
