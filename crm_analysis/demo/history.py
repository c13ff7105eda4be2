"""What is known of each donor's payments around a given day; fast look-ups over sorted payments."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

_DAY = np.timedelta64(1, "D")
_SPAN = 40_000
"""Days per donor in the sort key; more than there are days since 1970."""


class History:
    """Payments of known donors, sorted by donor and day."""

    def __init__(self, payments: pd.DataFrame) -> None:
        known = payments[payments["donor"] >= 0]
        key = known["donor"].to_numpy("int64") * _SPAN + known["day"].to_numpy("M8[D]").astype("int64")
        order = np.argsort(key, kind="stable")
        self._keys = key[order]
        self._sums = np.concatenate([[0.0], np.cumsum(known["amount"].to_numpy(float)[order])])

    def _positions(self, donor: np.ndarray, when: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        key = np.asarray(donor, dtype="int64") * _SPAN + np.asarray(when, "M8[D]").astype("int64")
        return np.searchsorted(self._keys, key, side=side)

    def pays_again(self, donor: np.ndarray, when: np.ndarray, days: int) -> np.ndarray:
        """Whether a payment falls on one of the `days` days after `when`."""
        when = np.asarray(when, "M8[D]")
        return self._positions(donor, when + days * _DAY, "right") > self._positions(donor, when, "right")

    def amount_between(self, donor: np.ndarray, first: np.datetime64, last: np.datetime64) -> np.ndarray:
        """Amount paid from `first` to `last`, both included."""
        low = self._positions(donor, np.full(len(donor), first), "left")
        high = self._positions(donor, np.full(len(donor), last), "right")
        return self._sums[high] - self._sums[low]

    def days_since_last(self, donor: np.ndarray, when: np.ndarray) -> np.ndarray:
        """Days from the last payment up to and including `when`; NaN where there was none."""
        donor = np.asarray(donor, "int64")
        when = np.asarray(when, "M8[D]")
        position = self._positions(donor, when, "right") - 1
        key = self._keys[np.maximum(position, 0)]
        found = (position >= 0) & (key // _SPAN == donor)
        return np.where(found, when.astype("int64") - key % _SPAN, np.nan)


def draw_given_outcome(
    rng: np.random.Generator, outcome: np.ndarray, shares: tuple[float, ...], rates: tuple[float, ...]
) -> np.ndarray:
    """Class 0, 1, ... for each row, drawn from P(class | outcome) by Bayes' rule.

    Where the share of true outcomes is sum(shares * rates), P(outcome | class) equals `rates` exactly in expectation
    and classes have `shares`; at another share the odds ratios between classes still hold.
    """
    share, rate = np.array(shares), np.array(rates)
    if_true = np.cumsum(share * rate) / (share * rate).sum()
    if_false = np.cumsum(share * (1 - rate)) / (share * (1 - rate)).sum()
    draw = rng.random(len(outcome))
    return np.where(outcome, np.searchsorted(if_true, draw), np.searchsorted(if_false, draw))


def choose_at_rate(rng: np.random.Generator, outcome: np.ndarray, n: int, rate: float) -> np.ndarray:
    """Positions of at most `n` rows of which a share `rate` has a true outcome, up to binomial chance."""
    true, false = rng.permutation(np.flatnonzero(outcome)), rng.permutation(np.flatnonzero(~outcome))
    n = int(min(n, 0.98 * len(true) / rate, 0.98 * len(false) / (1 - rate)))
    n_true = min(int(rng.binomial(n, rate)), len(true))
    return np.sort(np.concatenate([true[:n_true], false[: n - n_true]]))
