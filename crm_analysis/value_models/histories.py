"""Purchase histories as the models see them: repeat count, time of the last purchase, time observed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crm_analysis.errors import DataError
from crm_analysis.units import DAYS_PER_MONTH, DAYS_PER_WEEK, DAYS_PER_YEAR

DAYS_PER_UNIT = {"day": 1.0, "week": DAYS_PER_WEEK, "month": DAYS_PER_MONTH, "year": DAYS_PER_YEAR}


@dataclass(frozen=True, slots=True)
class Histories:
    """One row per customer, indexed by customer: x repeat purchases, the last of them t_x after the first purchase,
    observed for T after the first purchase; t_x and T in `unit`. mean_value is the mean worth of a repeat purchase, not
    a number where there is none.

    Fader, Hardie and Lee (2005) call (x, t_x, T) sufficient: when the purchases in between took place does not matter
    to the models here.

    A frame with a history that cannot be is refused; `histories` leaves such customers out and counts them in
    `n_left_out`, so that a single one never keeps all others from being foreseen.
    """

    frame: pd.DataFrame
    unit: str
    as_of: date | None = None
    n_left_out: int = 0

    def __post_init__(self) -> None:
        _known(self.unit)
        lacking = [name for name in ("x", "t_x", "T") if name not in self.frame]
        if lacking:
            raise DataError(
                f"Purchase histories need the columns x (repeat purchases), t_x (time of the last) and T (time "
                f"observed); there is no {', no '.join(lacking)}."
            )
        for what, wrong in _faults(self.frame).items():
            if wrong.any():
                row = self.frame.loc[wrong].iloc[0]
                raise DataError(
                    f"{int(wrong.sum())} of {len(self.frame)} purchase histories {what}; first: x {row['x']}, "
                    f"t_x {row['t_x']}, T {row['T']}. Make them with `customers.summarize`, which counts purchases on "
                    "one day as one."
                )

    def __len__(self) -> int:
        return len(self.frame)

    def compressed(self) -> pd.DataFrame:
        """Distinct (x, t_x, T) with the number of customers who share them, as `n`."""
        columns = ("x", "t_x", "T")
        codes, kinds = zip(*(pd.factorize(self.frame[name].to_numpy(), sort=True) for name in columns), strict=True)
        if math.prod(len(each) for each in kinds) >= 2**62:
            return self.frame.groupby(list(columns), sort=True).size().rename("n").reset_index()
        key = (codes[0] * len(kinds[1]) + codes[1]) * len(kinds[2]) + codes[2]
        key.sort()
        first = np.flatnonzero(np.diff(key, prepend=-1))
        rest, end = np.divmod(key[first], len(kinds[2]))
        x, last = np.divmod(rest, len(kinds[1]))
        found = {name: values[code] for name, values, code in zip(columns, kinds, (x, last, end), strict=True)}
        return pd.DataFrame({**found, "n": np.diff(first, append=len(key))})


def histories(summary: pd.DataFrame, *, unit: str = "week", as_of: date | None = None) -> Histories:
    """Histories from the frame of `customers.summarize`, without the customers who never ordered.

    Customers whose history cannot be (a last order after the end of observation, a missing or infinite value) are left
    out and counted in `n_left_out`.
    """
    _known(unit)
    bought = summary[summary["n_orders"] > 0]
    days = DAYS_PER_UNIT[unit]
    first, last, end = (pd.to_datetime(bought[name]) for name in ("first_on", "last_on", "observed_to"))
    frame = pd.DataFrame(
        {
            "x": bought["n_repeat_orders"].to_numpy(float),
            "t_x": ((last - first).dt.days / days).to_numpy(float),
            "T": ((end - first).dt.days / days).to_numpy(float),
            "mean_value": bought["mean_per_repeat_period"].to_numpy(float),
        },
        index=pd.Index(bought["customer_id"], name="customer_id"),
    )
    wrong = np.logical_or.reduce(list(_faults(frame).values()))
    possible = frame[~wrong].astype({"x": "int64"})
    return Histories(possible, unit, as_of, n_left_out=int(wrong.sum()))


def _faults(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which histories cannot be, by what is wrong with them."""
    x, t_x, observed = (frame[name].to_numpy(float) for name in ("x", "t_x", "T"))
    worth = frame["mean_value"].to_numpy(float) if "mean_value" in frame else np.zeros(len(frame))
    return {
        "have a value missing or negative": ~((x >= 0) & (t_x >= 0) & (observed >= 0)),
        "have an infinite value": np.isinf(x) | np.isinf(t_x) | np.isinf(observed) | np.isinf(worth),
        "have a repeat count that is no whole number": x != np.floor(x),
        "have their last purchase after the end of observation (t_x > T)": t_x > observed,
        "have no repeat purchase but a time of one (x = 0, t_x > 0)": (x == 0) & (t_x > 0),
        "have repeat purchases but no time between them (x > 0, t_x = 0)": (x > 0) & (t_x == 0),
    }


def _known(unit: str) -> None:
    if unit not in DAYS_PER_UNIT:
        raise DataError(f'"{unit}" is not a unit of time here: use one of {", ".join(DAYS_PER_UNIT)}.')
