"""Recency, frequency and monetary scores, and named segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.customers import GONE
from crm_analysis.profile.settings import Value

Test = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
QUANTILES = (0.2, 0.4, 0.6, 0.8)

# Tried in this order; the first that holds names the segment, and the last one takes what is left of score 1 in
# recency, so that every one of the 125 codes is in exactly one.
SEGMENTS: tuple[tuple[str, Test], ...] = (
    ("best", lambda r, f, m: (r >= 4) & (f >= 4) & (m >= 4)),
    ("slipping", lambda r, f, m: (r <= 2) & (f >= 4)),
    ("large", lambda r, f, m: (r >= 3) & (m == 5)),
    ("loyal", lambda r, f, m: (r >= 3) & (f >= 4)),
    ("newcomers", lambda r, f, m: (r >= 4) & (f == 1)),
    ("growing", lambda r, f, m: (r >= 3) & (f >= 2)),
    ("cooling", lambda r, f, m: r == 3),
    ("large_gone", lambda r, f, m: m >= 4),
    ("sleeping", lambda r, f, m: r == 2),
    ("gone", lambda r, f, m: r == 1),
)


@dataclass(frozen=True, slots=True)
class Cuts:
    """Four inner cut points per measure: recency in days, number of orders, money after refunds over all history.

    An interval is open below and closed above: a value equal to a cut point gets the lower score (the higher one in
    recency, where few days are good). Equal values always get equal scores, so that tied quantiles leave a score
    empty. Values outside the range at the base get the first or last score. Multiplying all money by a constant
    changes nothing.
    """

    recency_days: tuple[float, ...]
    frequency: tuple[float, ...]
    monetary: tuple[float, ...]
    source: str


def cuts(customers: pd.DataFrame, settings: Value, *, source: str) -> Cuts:
    """The profile's cut points, else the quintiles of `customers` (observed values, never interpolated)."""
    measures = _measures(customers)
    chosen = {}
    for name in ("recency_days", "frequency", "monetary"):
        given = settings.score_cuts.get(name)
        chosen[name] = tuple(given) if given else _quintiles(measures[name])
    return Cuts(**chosen, source=source)


def _quintiles(values: pd.Series) -> tuple[float, ...]:
    if values.empty:
        return (0.0,) * len(QUANTILES)
    return tuple(float(value) for value in np.quantile(values.to_numpy(float), QUANTILES, method="inverted_cdf"))


def _measures(customers: pd.DataFrame) -> pd.DataFrame:
    bought = customers[customers["n_orders"] > 0]
    days = (pd.to_datetime(bought["observed_to"]) - pd.to_datetime(bought["last_on"])).dt.days
    return pd.DataFrame({"recency_days": days, "frequency": bought["n_orders"], "monetary": bought["net"]})


def score_customers(customers: pd.DataFrame, cuts: Cuts) -> pd.DataFrame:
    """customer_id, recency, frequency, monetary (1 to 5) and segment of everybody with an order.

    Who holds a commitment with nothing overdue is here, however long its cycle: an annual giver is not silent in month
    seven. The score in recency is then 5.
    """
    measures = _measures(customers)
    r = 5 - np.searchsorted(cuts.recency_days, measures["recency_days"], side="left")
    r = np.where(_in_good_standing(customers.loc[measures.index]), 5, r)
    f = 1 + np.searchsorted(cuts.frequency, measures["frequency"], side="left")
    m = 1 + np.searchsorted(cuts.monetary, measures["monetary"], side="left")
    return pd.DataFrame(
        {
            "customer_id": customers.loc[measures.index, "customer_id"],
            "recency": r,
            "frequency": f,
            "monetary": m,
            "segment": segment(r, f, m),
        }
    ).reset_index(drop=True)


def _in_good_standing(customers: pd.DataFrame) -> np.ndarray:
    if "committed" not in customers:
        return np.zeros(len(customers), bool)
    return (customers["committed"] & ~customers["status"].isin(["overdue", *GONE])).to_numpy(bool)


def segment(recency: np.ndarray, frequency: np.ndarray, monetary: np.ndarray) -> np.ndarray:
    """The segment of each code of scores."""
    r, f, m = (np.asarray(scores) for scores in (recency, frequency, monetary))
    return np.select([test(r, f, m) for _, test in SEGMENTS], [name for name, _ in SEGMENTS], default="")
