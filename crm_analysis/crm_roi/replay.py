"""Replaying tests in which nothing was done (A/A): how often the method would call chance an effect here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from crm_analysis import privacy
from crm_analysis.crm_roi.history import Window, margins_in, past_windows
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.estimators.proportions import Proportion, wilson

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["METRICS", "FalseAlarms", "Replay", "false_alarms", "replay"]

METRICS = ("margin", "revenue", "n_orders", "active")
SIGNIFICANCE = 0.05
REPLICATIONS = 2000
MOST_UNITS = 20_000
MOST_WINDOWS = 4
USUAL_CONTROL_SHARE, USUAL_WINDOW_DAYS = 0.2, 90
CAP_QUANTILE = 0.99
TOLERANCE = 0.01
"""A rate of false alarms within a point of 5 % is as promised for all that matters."""
_CELLS_AT_A_TIME = 4_000_000


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """How often a test found an effect where there was none. `way` is plain, cuped or capped."""

    metric: str
    way: str
    rate: Proportion

    @property
    def state(self) -> str:
        """`kept`: as promised; `too_many` or `too_few` where the interval lies beyond a point from 5 %."""
        if self.rate.low > SIGNIFICANCE + TOLERANCE:
            return "too_many"
        return "too_few" if self.rate.high < SIGNIFICANCE - TOLERANCE else "kept"


@dataclass(frozen=True, slots=True)
class Replay:
    """False alarms of the chapter's tests on the scope's own customers, in windows that are over.

    `state` is replayed, or why nothing was: short_history, few_customers (or nobody paid), withheld. `windows` are the
    replayed ones, the latest first; `n_units` is the number of customers in the latest, `by_branch` by branch. A random
    sample of at most `MOST_UNITS` of them is split. In the way `capped` outcomes end at `cap_quantile`.
    """

    state: str
    alarms: tuple[FalseAlarms, ...] = ()
    windows: tuple[Window, ...] = ()
    n_units: int = 0
    by_branch: tuple[int, ...] = ()
    control_share: float = USUAL_CONTROL_SHARE
    window_days: int = USUAL_WINDOW_DAYS
    cap_quantile: float = CAP_QUANTILE
    replications: int = REPLICATIONS

    def find(self, metric: str, way: str) -> FalseAlarms | None:
        """One rate, None where that was not replayed."""
        return next((each for each in self.alarms if (each.metric, each.way) == (metric, way)), None)


def replay(scope: Scope, evaluation: Evaluation, *, replications: int = REPLICATIONS) -> Replay:
    """Split past customers at random `replications` times, as if a campaign had started, and test for an effect.

    Customers who paid in the year before each of up to four past windows are split as the scope's own controlled
    campaigns were (the median share held out and the median window; 20 % and 90 days where there are none), and the
    tests of the chapter are run on each split: Welch on margin, revenue, orders and whether anything was paid; CUPED on
    the two amounts; Welch on capped margin. Nothing was done to anybody, so that each finding is a false alarm.
    """
    share, days = _usual(evaluation)
    common = {"control_share": share, "window_days": days, "replications": replications}
    rule = scope.profile.privacy
    windows = past_windows(scope, window_days=days, most=MOST_WINDOWS)
    if not windows:
        return Replay("short_history", **common)  # type: ignore[arg-type]
    found = margins_in(scope, windows)
    found = found[found["n_orders_before"] > 0].assign(active=lambda f: (f["n_orders"] > 0).astype(float))
    bought, sizes = found.groupby("window")["n_orders"].sum(), found.groupby("window").size()
    enough = min(share, 1 - share) * sizes >= scope.profile.roi.min_control
    used = [int(number) for number in sizes.index[enough & (bought > 0)]]
    if not used:
        return Replay("few_customers", **common)  # type: ignore[arg-type]
    latest = found[found["window"] == used[0]]
    if any(privacy.withhold(latest[name], rule.min_cell, rule.dominance_share) for name in ("margin", "revenue")):
        return Replay("withheld", **common)  # type: ignore[arg-type]
    cap = scope.profile.roi.cap_quantile or CAP_QUANTILE
    rng = np.random.default_rng(2026)
    n_found: dict[tuple[str, str], int] = {}
    n_tried: dict[tuple[str, str], int] = {}
    for number, part in zip(used, np.array_split(np.arange(replications), len(used)), strict=True):
        units = found[found["window"] == number]
        if len(units) > MOST_UNITS:
            units = units.iloc[np.sort(rng.choice(len(units), MOST_UNITS, replace=False))]
        columns = _ways(units, cap)
        hits = false_alarms(np.column_stack(list(columns.values())), share=share, replications=len(part), rng=rng)
        for key, n in zip(columns, hits, strict=True):
            n_found[key] = n_found.get(key, 0) + int(n)
            n_tried[key] = n_tried.get(key, 0) + len(part)
    alarms = tuple(
        FalseAlarms(metric, way, wilson(n_found[metric, way], n_tried[metric, way])) for metric, way in n_found
    )
    by_branch = tuple(int(n) for n in latest["branch"].value_counts())
    return Replay(
        "replayed",
        alarms,
        tuple(windows[number] for number in used),
        len(latest),
        by_branch,
        cap_quantile=cap,
        **common,  # type: ignore[arg-type]
    )


def false_alarms(
    outcomes: NDArray[np.float64],
    *,
    share: float,
    replications: int,
    rng: np.random.Generator,
    significance: float = SIGNIFICANCE,
) -> NDArray[np.int64]:
    """In how many of `replications` random splits Welch's test finds a difference, for each column of `outcomes`.

    A row is a customer; each is held out with chance `share`, for itself. An outcome without any variation in an arm
    is no finding. Sums over the arm held out come from one matrix product; those of the other arm are the rest.
    """
    values = np.asarray(outcomes, dtype=float)
    values = values - values.mean(axis=0)  # a test of a difference does not see it, and squares stay small
    n = len(values)
    stacked = np.column_stack([np.ones(n), values, values**2])
    total = stacked.sum(axis=0)
    width = values.shape[1]
    found = np.zeros(width, dtype=np.int64)
    step = max(1, _CELLS_AT_A_TIME // n)
    for first in range(0, replications, step):
        size = min(step, replications - first)
        held = (rng.random((size, n), dtype=np.float32) < share).astype(float) @ stacked
        arms = [_moments(held, width), _moments(total - held, width)]
        parts = [variance / count for count, _, variance in arms]
        error = parts[0] + parts[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = error**2 / sum(part**2 / (count - 1) for part, (count, _, _) in zip(parts, arms, strict=True))
            t = np.abs(arms[1][1] - arms[0][1]) / np.sqrt(error)
            p = 2 * special.stdtr(freedom, -t)
        found += np.nansum((p < significance) & (error > 0), axis=0).astype(np.int64)
    return found


def _moments(sums: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], ...]:
    """Count, mean and sample variance of each column in an arm, from its sums; NaN in an arm of fewer than two."""
    count = sums[:, :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums[:, 1 : width + 1] / count
        variance = (sums[:, width + 1 :] - count * mean**2) / (count - 1)
    return np.where(count > 1, count, np.nan), mean, np.clip(variance, 0.0, None)


def _ways(units: pd.DataFrame, cap_quantile: float) -> dict[tuple[str, str], NDArray[np.float64]]:
    """The outcome of each test per customer; CUPED's slope is over all units, so that it is the same in every split."""
    found = {(metric, "plain"): units[metric].to_numpy(float) for metric in METRICS}
    for metric in ("margin", "revenue"):
        before = units[f"{metric}_before"].to_numpy(float)
        centred = before - before.mean()
        spread = float(centred @ centred)
        outcome = found[metric, "plain"]
        found[metric, "cuped"] = outcome - (float(centred @ outcome) / spread if spread > 0 else 0.0) * centred
    margin = found["margin", "plain"]
    found["margin", "capped"] = np.minimum(margin, np.quantile(margin, cap_quantile))
    return found


def _usual(evaluation: Evaluation) -> tuple[float, int]:
    """The share held out (to whole 5 %) and the window of the scope's own controlled campaigns, their medians."""
    own = [each for each in (*evaluation.earlier, *evaluation.closed) if each.n_control and each.n_treated]
    if not own:
        return USUAL_CONTROL_SHARE, USUAL_WINDOW_DAYS
    share = float(np.median([each.n_control / (each.n_control + each.n_treated) for each in own]))
    share = min(max(round(share * 20) / 20, 0.05), 0.5)
    return share, int(np.median([each.window_days for each in own]))
