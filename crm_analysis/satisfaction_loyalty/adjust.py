"""Loyalty by level among people alike in what was known before the answer: standardisation by a logistic model.

An adjusted association. It would be an effect only if nothing else, beyond tenure, prior value, channel and branch,
moved both satisfaction and loyalty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from crm_analysis.satisfaction_loyalty.shape import Shape, bands

DRAWS = 199
QUARTERS = 4
MOST_CHANNELS = 6
FEWEST_PER_COLUMN = 10
NEWTON_STEPS = 30
REFIT_STEPS = 8
RIDGE = 0.001

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """Loyalty by level, raw and standardised to all customers followed.

    `table`: label, n, raw, adjusted, low, high (percentiles of the bootstrap). `last_raw` and `last_adjusted` are the
    top step before and after, with the interval of the latter. `used` and `unused` name covariates (tenure, prior,
    channel, branch); `reason` says why there is no table (empty, too_few), and is empty where there is one.
    """

    table: pd.DataFrame
    last_raw: float
    last_adjusted: float
    last_low: float
    last_high: float
    used: tuple[str, ...]
    unused: tuple[str, ...]
    draws: int
    reason: str


def standardise(
    frame: pd.DataFrame, link: Shape, *, scale: tuple[float, float], level: float = 0.95, draws: int = DRAWS, seed: int
) -> Adjusted:
    """Standardised loyalty (g-computation; Robins 1986, Snowden, Rose and Mortimer 2011) at every level of the link.

    `frame` has customer_id, branch, answered_on, satisfaction, loyal, weight, first_on, prior, channel. A logistic
    model holds a dummy per level and per class of each covariate: quarters of tenure and of prior value, the commonest
    channels, branches. Every customer's loyalty is then predicted at every level and averaged. The bootstrap draws
    customers, with all their rows. Levels and quarters are formed once, on the whole sample.
    """
    at = _levels_of(frame["satisfaction"].to_numpy(float), link, scale)
    inside = at >= 0
    rows, at = frame[inside], at[inside]
    covariates, unused = _classes(rows)
    columns = len(link.levels) + sum(codes.max() for codes in covariates.values())
    fewer = min(rows["loyal"].sum(), (~rows["loyal"].astype(bool)).sum()) if len(rows) else 0
    if len(link.levels) < 2 or link.any_link is None:
        return _nothing("empty", covariates, unused)
    if fewer < FEWEST_PER_COLUMN * columns:
        return _nothing("too_few", covariates, unused)
    cells, cell_of = _cells(at, covariates)
    y, w = rows["loyal"].to_numpy(float), rows["weight"].to_numpy(float)
    clusters, cluster_of = np.unique(rows["customer_id"].astype(str), return_inverse=True)
    rng = np.random.default_rng(seed)
    design = _design(cells, len(link.levels), covariates)
    even = np.full(len(clusters), 1 / len(clusters))
    drawn = np.empty((draws + 1, len(link.levels)))
    start, inverse = np.array([]), np.array([])
    for draw in range(draws + 1):
        weight = w * rng.multinomial(len(clusters), even)[cluster_of] if draw else w
        total = np.bincount(cell_of, weights=weight, minlength=len(cells)).astype(float)
        kept = np.bincount(cell_of, weights=weight * y, minlength=len(cells)).astype(float)
        if draw == 0:
            start, inverse = _fit(design, kept, total)
        beta = start if draw == 0 else _refit(design, kept, total, start, inverse)
        drawn[draw] = _averaged(design, beta, total, len(link.levels))
    low, high = np.quantile(drawn[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
    steps = drawn[1:, -1] - drawn[1:, -2]
    last_low, last_high = np.quantile(steps, [(1 - level) / 2, (1 + level) / 2])
    raw = link.levels["rate"].to_numpy(float)
    return Adjusted(
        table=pd.DataFrame(
            {
                "label": link.levels["label"],
                "n": link.levels["n"],
                "raw": raw,
                "adjusted": drawn[0],
                "low": low,
                "high": high,
            }
        ),
        last_raw=float(raw[-1] - raw[-2]),
        last_adjusted=float(drawn[0, -1] - drawn[0, -2]),
        last_low=float(last_low),
        last_high=float(last_high),
        used=tuple(covariates),
        unused=unused,
        draws=draws,
        reason="",
    )


def _nothing(reason: str, covariates: dict[str, NDArray[np.int64]], unused: tuple[str, ...]) -> Adjusted:
    nan = float("nan")
    return Adjusted(
        table=pd.DataFrame(columns=["label", "n", "raw", "adjusted", "low", "high"]),
        last_raw=nan,
        last_adjusted=nan,
        last_low=nan,
        last_high=nan,
        used=tuple(covariates),
        unused=unused,
        draws=0,
        reason=reason,
    )


def _levels_of(scores: Array, link: Shape, scale: tuple[float, float]) -> NDArray[np.int64]:
    """Position of every score among the link's merged levels; -1 where its level vanished."""
    edges = bands(scale)
    names = [f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in edges]
    host = {part: k for k, label in enumerate(link.levels["label"]) for part in str(label).split("+")}
    whole = len(edges) == int(scale[1] - scale[0]) + 1
    read = np.floor(scores) if whole else scores
    position = np.searchsorted([high for _low, high in edges], read, side="left").clip(0, len(edges) - 1)
    return np.array([host.get(name, -1) for name in names], dtype=np.int64)[position]


def _classes(rows: pd.DataFrame) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Every covariate as class numbers from 0, and the names of those that are all alike or unknown."""
    tenure = (rows["answered_on"] - pd.to_datetime(rows["first_on"])).dt.days.astype(float)
    found = {"tenure": _quarters(tenure), "prior": _quarters(rows["prior"].astype(float))}
    for name in ("channel", "branch"):
        value = rows[name].astype("string").fillna("")
        common = sorted(value.value_counts().head(MOST_CHANNELS).index) if name == "channel" else sorted(value.unique())
        number = {each: k for k, each in enumerate(common)}
        found[name] = value.map(number).fillna(len(common)).to_numpy(dtype=np.int64)
    found = {name: np.unique(codes, return_inverse=True)[1].astype(np.int64) for name, codes in found.items()}
    used = {name: codes for name, codes in found.items() if codes.size and codes.max() > 0}
    return used, tuple(name for name in found if name not in used)


def _quarters(values: pd.Series) -> NDArray[np.int64]:
    """Classes by quarters, ties with the lower one; each value its own class where there are no more than four."""
    if values.empty:
        return np.array([], dtype=np.int64)
    distinct = np.unique(values)
    if distinct.size <= QUARTERS:
        return np.searchsorted(distinct, values.to_numpy()).astype(np.int64)
    cuts = np.unique(values.quantile([k / QUARTERS for k in range(1, QUARTERS)]))
    return np.searchsorted(cuts, values.to_numpy(), side="left").astype(np.int64)


def _cells(
    at: NDArray[np.int64], covariates: dict[str, NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct combinations of level and classes (level first), and the one of each row."""
    table = np.column_stack([at, *covariates.values()])
    cells, where = np.unique(table, axis=0, return_inverse=True)
    return cells, where.reshape(-1)


def _design(cells: NDArray[np.int64], levels: int, covariates: dict[str, NDArray[np.int64]]) -> Array:
    columns = [(cells[:, 0] == k).astype(float) for k in range(levels)]
    for position, codes in enumerate(covariates.values(), start=1):
        columns += [(cells[:, position] == k).astype(float) for k in range(1, int(codes.max()) + 1)]
    return np.column_stack(columns)


def _fit(design: Array, kept: Array, total: Array) -> tuple[Array, Array]:
    """Logistic coefficients by Newton steps, and the inverse of the last information matrix.

    The ridge is too weak to matter unless a class holds only one outcome.
    """
    beta = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        p = special.expit(design @ beta)
        gradient = design.T @ (kept - total * p) - RIDGE * beta
        hessian = (design * (total * p * (1 - p))[:, None]).T @ design + RIDGE * np.eye(beta.size)
        move = np.clip(np.linalg.solve(hessian, gradient), -3, 3)
        beta = beta + move
        if np.max(np.abs(move)) < 1e-6:
            break
    return beta, np.linalg.inv(hessian)


def _refit(design: Array, kept: Array, total: Array, beta: Array, inverse: Array) -> Array:
    """Coefficients of a bootstrap sample: steps from the whole sample's fit, with its information throughout."""
    for _ in range(REFIT_STEPS):
        move = inverse @ (design.T @ (kept - total * special.expit(design @ beta)) - RIDGE * beta)
        beta = beta + np.clip(move, -3, 3)
        if np.max(np.abs(move)) < 1e-3:
            break
    return beta


def _averaged(design: Array, beta: Array, total: Array, levels: int) -> Array:
    """Mean predicted loyalty with everybody placed on each level in turn."""
    rest = design[:, levels:] @ beta[levels:]
    return np.array([float(total @ special.expit(rest + beta[k])) / float(total.sum()) for k in range(levels)])
