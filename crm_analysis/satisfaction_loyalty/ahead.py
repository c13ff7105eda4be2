"""What a customer who came back is worth over the twelve months ahead, beside one who did not.

Margin within the follow-up is only the start of what a customer who stays will bring. Here the customers followed are
valued as the organisation's customers are: running commitments by what promises turned out to be worth, all else by
BG/NBD and Gamma-Gamma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import customers, value_models
from crm_analysis.estimators.proportions import Estimate, normal_quantile, weighted_mean
from crm_analysis.satisfaction_loyalty.followup import MARGIN_CAP
from crm_analysis.units import months_to_days
from crm_analysis.value_models import CannotFit, GammaGammaFit, Histories, promises
from crm_analysis.value_models.bg_nbd import BgNbdFit

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

MONTHS = 12
FEWEST = 30  # customers who came back, and who did not
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Expected margin of the `MONTHS` ahead of customers who came back, less that of those who did not.

    `gap` carries how much customers differ and what the parameters leave open: those of the models, and the yields of
    promises. `back` and `away` are the two means, `n_back` and `n_away` the customers. `why` says why there is none:
    "few" (of either), "no_model" (too few came back more than once, hardly anybody does, no fit, or one whose error is
    not known), or is empty.
    """

    gap: Estimate | None
    back: float = float("nan")
    away: float = float("nan")
    n_back: int = 0
    n_away: int = 0
    why: str = ""


def value_ahead(scope: Scope, followed: pd.DataFrame) -> Ahead:
    """`followed` has customer_id, loyal and weight of customers whose follow-up is known; no weight does not count.

    Values stand as of the scope's end, undiscounted. Values above the 99th percentile of the customers followed count
    as that percentile, so that one major donor does not set the figure.
    """
    followed = followed[followed["weight"] > 0]
    loyal = followed["loyal"].to_numpy(bool)
    n_back, n_away = int(loyal.sum()), int((~loyal).sum())
    if min(n_back, n_away) < FEWEST:
        return Ahead(gap=None, n_back=n_back, n_away=n_away, why="few")
    status = customers.status(scope)
    running = status[status["committed"] & (status["status"] != "lost")]
    brought = _brought(scope)
    rate = promises.margin_rate(brought)
    regular, _yields, _variance = promises.regular(running, customers.status_back(scope, MONTHS), brought, MONTHS / 12)
    summary = customers.one_off(scope, 0)
    free = summary[~summary["customer_id"].isin(running["customer_id"])]
    histories = value_models.histories(free, as_of=scope.as_of)
    ids = followed["customer_id"].astype(str)
    open_ones = histories.frame.index.intersection(ids)
    value = regular.set_index("customer_id")["expected_value"].astype(float)
    weight = followed["weight"].to_numpy(float)
    signed = np.where(loyal, weight / weight[loyal].sum(), -weight / weight[~loyal].sum())
    contrast = pd.Series(signed, index=ids.to_numpy())
    error = _promised_error(regular, running, contrast)
    if len(open_ones):
        fits = _fitted(scope, free, histories)
        if fits is None:
            return Ahead(gap=None, n_back=n_back, n_away=n_away, why="no_model")
        part = Histories(histories.frame.loc[open_ones], histories.unit, histories.as_of)
        one_off, spread = _by_model(part, *fits, rate, contrast.loc[open_ones])
        value, error = pd.concat([value, one_off]), float(np.hypot(error, spread))
    each = value.reindex(ids).fillna(0.0).to_numpy(float)
    each = np.minimum(each, np.quantile(each, MARGIN_CAP))
    back, away = (weighted_mean(each[here], weights=weight[here]) for here in (loyal, ~loyal))
    mean, se = back.mean - away.mean, float(np.sqrt(back.se**2 + away.se**2 + error**2))
    if not np.isfinite(se):
        return Ahead(gap=None, n_back=n_back, n_away=n_away, why="no_model")
    half = normal_quantile(LEVEL) * se
    gap = Estimate(
        mean=mean, se=se, low=mean - half, high=mean + half, n=len(followed),
        n_effective=back.n_effective + away.n_effective, level=LEVEL, basis="customers and parameters, normal",
    )  # fmt: skip
    return Ahead(gap=gap, back=back.mean, away=away.mean, n_back=n_back, n_away=n_away)


def _brought(scope: Scope) -> pd.DataFrame:
    """What each customer brought over the last twelve months: gross, regular, one_off, margin after refunds."""
    on, ends = customers.months_back(scope, 0)
    rows = customers.within_year(customers.payments(scope), ends, on)
    return rows.group_by("customer_id").aggregate(**customers.brought(scope, rows)).to_pandas().fillna(0.0)


def _fitted(scope: Scope, free: pd.DataFrame, histories: Histories) -> tuple[BgNbdFit, GammaGammaFit] | None:
    """The models of those without a running commitment; None where they have nothing to say."""
    one_time = float(customers.never_back(free, scope.profile.status.dormant_days).mean())
    repeat = int((histories.frame["x"] > 0).sum())
    if repeat < scope.profile.value.min_repeat_customers or one_time > customers.ONE_TIME_SHARE:
        return None
    try:
        with np.errstate(all="ignore"):  # a search that ends badly is told by `converged`
            fit, spend = value_models.fit_bg_nbd(histories), value_models.fit_gamma_gamma(histories)
    except CannotFit:
        return None
    return (fit, spend) if fit.converged and np.isfinite(spend.mean) else None


def _by_model(
    part: Histories, fit: BgNbdFit, spend: GammaGammaFit, rate: float, contrast: pd.Series
) -> tuple[pd.Series, float]:
    """Expected margin of each customer, and the standard error that the parameters give to their contrast."""
    days = months_to_days(MONTHS)
    worth = np.asarray(spend.expected_value(part), float) * rate
    bought = np.asarray(fit.expected_purchases(part, horizon_days=days), float)
    signed = contrast.to_numpy(float)
    by_fit = fit.delta(
        lambda each: float(np.asarray(each.expected_purchases(part, horizon_days=days), float) @ (worth * signed))
    )
    by_spend = spend.delta(lambda each: float(np.asarray(each.expected_value(part), float) @ (bought * rate * signed)))
    error = float(np.hypot(by_fit.standard_error, by_spend.standard_error))
    return pd.Series(bought * worth, index=part.frame.index), error


def _promised_error(regular: pd.DataFrame, running: pd.DataFrame, contrast: pd.Series) -> float:
    """The standard error that the yields of promises give to the contrast; those of one standing err together."""
    if regular.empty:
        return 0.0
    half = (regular["high"] - regular["expected_value"]).astype(float)
    share = regular["customer_id"].map(contrast).fillna(0.0)
    together = (share * half).groupby(promises.standing_of(running).to_numpy()).sum()
    return float(np.sqrt((together**2).sum()) / promises.Z95)
