"""Fitting purchase models and foreseeing value: ours against lifetimes on the same rows, each with its optimum."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measuring import Comparison, seconds
from crm_analysis.value_models import BgNbdFit, Histories, ParetoNbdFit, fit_bg_nbd, fit_pareto_nbd, pareto_nbd
from crm_analysis.value_models.beta_geometric import log_likelihood

SEED = 20261
DAYS = 1096
BG_NBD = (0.6, 60.0, 0.9, 2.5)  # r, alpha in days, a, b
PARETO_NBD = (0.6, 60.0, 0.7, 90.0)  # r, alpha in days, s, beta in days
MONTHS, RATE_MONTHLY = 12, 0.01


def run(*, quick: bool) -> Iterator[Comparison]:
    """One million customers for BG/NBD, 100,000 for Pareto/NBD; a tenth when `quick`."""
    customers = 100_000 if quick else 1_000_000
    yield from _bg_nbd(customers)
    yield _pareto_nbd(customers // 10)


def daily(truth: Any, customers: int) -> pd.DataFrame:
    """Histories x, t_x, T of customers acquired on any of 1,096 days and seen day by day, drawn from a model."""
    observed = np.random.default_rng(SEED).integers(1, DAYS, customers).astype(float)
    frame = truth.simulate(observed, seed=SEED)[["x", "t_x", "T"]]
    return frame.assign(t_x=np.ceil(frame["t_x"]))


def planted(kind: Any, *values: float) -> Any:
    """A model with given parameters, in days."""
    size = len(values)
    return kind(
        values=values, covariance=np.zeros((size, size)), log_likelihood=0.0, n_customers=1, n_distinct=1,
        converged=True, notes=(), unit="day",
    )  # fmt: skip


def told(name: str, parameters: dict[str, float], total: float) -> None:
    """One line with the optimum."""
    shown = "  ".join(f"{key} {value:.7g}" for key, value in parameters.items())
    print(f"  {name:<10} {shown}  log-likelihood {total:.4f}")


def _bg_nbd(customers: int) -> Iterator[Comparison]:
    from lifetimes import BetaGeoFitter

    frame = daily(planted(BgNbdFit, *BG_NBD), customers)
    x, t_x, observed = frame["x"], frame["t_x"], frame["T"]
    size = f"{customers / 1e6:g} million customers"
    fit = fit_bg_nbd(Histories(frame, "day"))
    ours = seconds(lambda: fit_bg_nbd(Histories(frame, "day")), repeat=3)
    peer = BetaGeoFitter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = seconds(lambda: peer.fit(x, t_x, observed))
    print(
        f"seed {SEED}, {customers:,} customers drawn from BG/NBD {BG_NBD} in days, daily T from 1 to {DAYS - 1}, "
        f"{fit.n_distinct / customers:.0%} of (x, t_x, T) distinct"
    )
    total = log_likelihood(Histories(frame, "day").compressed(), 0)
    told("ours", fit.parameters, fit.log_likelihood)
    told("lifetimes", dict(peer.params_), total(peer.params_.to_numpy(float))[0])
    apart = max(abs(peer.params_[name] / value - 1) for name, value in fit.parameters.items())
    print(f"  parameters apart by {apart:.1e} at most")
    yield Comparison(f"BG/NBD fit, {size}", ours, "lifetimes", theirs, at_least=15)

    histories = Histories(frame, "day")
    worth = pd.Series(50.0, frame.index)
    rate_annual = (1 + RATE_MONTHLY) ** 12 - 1
    value = worth * fit.discounted_purchases(histories, horizon_months=MONTHS, rate_annual=rate_annual)
    ours = seconds(
        lambda: worth * fit.discounted_purchases(histories, horizon_months=MONTHS, rate_annual=rate_annual), repeat=3
    )
    fitter, found = fit.to_lifetimes(histories), {}

    def peer_value() -> None:
        found["value"] = _customer_lifetime_value(fitter, x, t_x, observed, worth)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = seconds(peer_value)
    their_way = sum(
        (fit.expected_purchases(histories, horizon_days=30, start_days=30 * month) * worth).sum()
        / (1 + RATE_MONTHLY) ** (month + 1)
        for month in range(MONTHS)
    )
    print(
        f"  ours, months of 30.44 days discounted from the middle: {value.sum():.2f}\n"
        f"  lifetimes, months of 30 days discounted from the end:  {found['value'].sum():.2f}\n"
        f"  ours with their months and discount:                   {their_way:.2f}"
    )
    yield Comparison(f"12-month discounted value, {size}", ours, "lifetimes", theirs, at_least=10)


def _pareto_nbd(customers: int) -> Comparison:
    from lifetimes import ParetoNBDFitter

    frame = daily(planted(ParetoNbdFit, *PARETO_NBD), customers)
    fit = fit_pareto_nbd(Histories(frame, "day"))
    ours = seconds(lambda: fit_pareto_nbd(Histories(frame, "day")), repeat=3)
    peer = ParetoNBDFitter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        theirs = seconds(lambda: peer.fit(frame["x"], frame["t_x"], frame["T"], initial_params=np.ones(4)))
    print(
        f"seed {SEED}, {customers:,} customers drawn from Pareto/NBD {PARETO_NBD} in days, "
        f"daily T from 1 to {DAYS - 1}, {fit.n_distinct / customers:.0%} of (x, t_x, T) distinct"
    )
    total = pareto_nbd.log_likelihood(Histories(frame, "day").compressed())
    reached = total(peer.params_.to_numpy(float))[0]
    told("ours", fit.parameters, fit.log_likelihood)
    told("lifetimes", dict(peer.params_), reached)
    better = "same or better" if fit.log_likelihood >= reached - 1e-6 else "WORSE"
    print(f"  our optimum is {better}, by {fit.log_likelihood - reached:.6f} in log-likelihood")
    return Comparison(f"Pareto/NBD fit, {customers:,} customers", ours, "lifetimes", theirs, at_least=20)


def _customer_lifetime_value(
    fitter: Any, x: pd.Series, t_x: pd.Series, observed: pd.Series, worth: pd.Series
) -> pd.Series:
    from lifetimes.utils import _customer_lifetime_value as loop

    return loop(fitter, x, t_x, observed, worth, time=MONTHS, discount_rate=RATE_MONTHLY, freq="D")
