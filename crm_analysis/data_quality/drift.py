"""Has the mix of transactions changed since the previous period by more than noise and habit?

The distance between two distributions over categories is the total variation distance: the share of rows that would
have to change category for the two periods to look alike. It is judged against two things, never against a fixed
figure: what sampling alone would produce with this many customers (a multinomial bootstrap under "nothing changed"),
and how far consecutive earlier periods were usually apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DRAWS = 2_000
SEED = 20_240_917
_FEWEST_HABIT = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """One distribution against the previous period.

    distance: total variation, 0 to 1. noise: its 95 % quantile under "nothing changed". habit: the largest distance
    between consecutive earlier periods (None with fewer than three). p: bootstrap, one-sided, not adjusted.
    biggest: the category that moved most, with its shares before and now. n_now, n_before: rows; draws are made with
    the number of customers instead, since one customer's rows resemble each other.
    """

    variable: str
    distance: float
    noise: float
    habit: float | None
    p: float
    n_now: int
    n_before: int
    biggest: str
    share_before: float
    share_now: float

    @property
    def beyond(self) -> bool:
        """More than noise, and more than the periods before usually differed."""
        return self.distance > self.noise and (self.habit is None or self.distance > self.habit)


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Half the sum of absolute differences of two probability vectors.

    >>> total_variation(np.array([0.5, 0.5]), np.array([0.8, 0.2])).__round__(3)
    0.3
    """
    return float(np.abs(np.asarray(p) - np.asarray(q)).sum() / 2)


def noise_of(
    counts_now: np.ndarray,
    counts_before: np.ndarray,
    *,
    units_now: int,
    units_before: int,
    draws: int = DRAWS,
    seed: int = SEED,
) -> np.ndarray:
    """Total variation distances between two samples of `units_now` and `units_before` from the pooled distribution."""
    rng = np.random.default_rng(seed)
    pooled = _shares(_shares(counts_now) + _shares(counts_before))
    now = rng.multinomial(units_now, pooled, size=draws) / units_now
    before = rng.multinomial(units_before, pooled, size=draws) / units_before
    return np.abs(now - before).sum(axis=1) / 2


def drift(
    counts: pd.DataFrame, *, variable: str, units: pd.Series, draws: int = DRAWS, seed: int = SEED
) -> Drift | None:
    """Compare the newest period with the one before.

    counts: one row per category, one column per period, oldest first, the last two being the previous and the current
    one. units: independent units (customers) per period, indexed like the columns. None when either period is empty
    or there is only one category.
    """
    table = counts.loc[counts.sum(axis=1) > 0]
    if table.shape[1] < 2 or len(table) < 2 or (table.iloc[:, -2:].sum() == 0).any():
        return None
    now, before = table.iloc[:, -1].to_numpy(dtype=float), table.iloc[:, -2].to_numpy(dtype=float)
    distance = total_variation(_shares(now), _shares(before))
    null = noise_of(
        now,
        before,
        units_now=max(1, int(units.iloc[-1])),
        units_before=max(1, int(units.iloc[-2])),
        draws=draws,
        seed=seed,
    )
    earlier = [
        total_variation(_shares(table.iloc[:, i].to_numpy(float)), _shares(table.iloc[:, i + 1].to_numpy(float)))
        for i in range(table.shape[1] - 2)
        if (table.iloc[:, i : i + 2].sum() > 0).all()
    ]
    moved = np.abs(_shares(now) - _shares(before))
    at = int(moved.round(9).argmax())
    return Drift(
        variable=variable,
        distance=distance,
        noise=float(np.quantile(null, 0.95)),
        habit=max(earlier) if len(earlier) >= _FEWEST_HABIT else None,
        p=(1 + int((null >= distance).sum())) / (draws + 1),
        n_now=int(now.sum()),
        n_before=int(before.sum()),
        biggest=str(table.index[at]),
        share_before=float(_shares(before)[at]),
        share_now=float(_shares(now)[at]),
    )


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum()
