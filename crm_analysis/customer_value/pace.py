"""Rules of thumb that rest on each customer's own pace and silence."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from crm_analysis.units import DAYS_PER_WEEK


def silence(frame: pd.DataFrame) -> pd.Series:
    """Time since the last purchase, of histories."""
    return frame["T"] - frame["t_x"]


def at_pace(frame: pd.DataFrame, days: float) -> pd.Series:
    """Repeat purchases of histories over `days` at the pace so far; in less than that time no more than seen."""
    return frame["x"] / (frame["T"] * DAYS_PER_WEEK).clip(lower=days) * days


def hiatus(past: pd.DataFrame, came: pd.Series, days: float) -> tuple[float, float]:
    """The rule of thumb of managers (Wuebben and von Wangenheim 2008): who has been silent for a cut or longer buys no
    more, who has not goes on at the own pace times a rate. Cut (in the histories' unit) and rate by least squares.

    `past` are histories and `came` the purchases in the `days` after them.
    """
    pace, quiet = at_pace(past, days).to_numpy(float), silence(past).to_numpy(float)
    y = came.to_numpy(float)
    best = (math.inf, math.inf, 1.0)
    for cut in [*np.unique(np.quantile(quiet, np.linspace(0.05, 0.95, 19))), math.inf]:
        active = quiet < cut
        square = float((pace[active] ** 2).sum())
        rate = float((pace[active] * y[active]).sum()) / square if square > 0 else 0.0
        error = float(((np.where(active, rate * pace, 0.0) - y) ** 2).sum())
        if error < best[0]:
            best = (error, float(cut), rate)
    return best[1], best[2]
