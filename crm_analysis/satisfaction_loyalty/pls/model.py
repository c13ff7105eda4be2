"""The path model of a survey: fitted to answers, drawn again for intervals, and read as index weights and a map.

All of it needs the items' covariance matrix alone, so a bootstrap draw is a covariance and a short iteration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis.estimators import moments
from crm_analysis.profile.settings import PathModel as Structure
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.pls.algorithm import (
    SINGLE,
    TOLERANCE,
    Array,
    alpha,
    rho_a,
    rho_c,
    solve,
    total_effects,
)

DRAWS = 499
ANSWERS_PER_ITEM = 5
FEWEST_ANSWERS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PathModel:
    """A fitted path model with percentile bootstrap intervals over respondents.

    `items`: item, block, loading, weight (standardised), share (the weight on the unstandardised item placed on 0 to
    100, normalised to one within its block), each with `_low` and `_high`. `blocks`: block, n_items, mean (0 to 100),
    alpha, alpha_raw, rho_a, rho_c, ave, r2, with `r2_low` and `r2_high`; reliability is missing for a single item.
    `paths`: source, target, coefficient, low, high. `effects`: source, target, total, low, high (standardised), points,
    points_low, points_high (unstandardised: points of 100 of the target per point of the source). `reason` is empty, or
    why there is no model: no_model, too_few, no_variation, not_converged. `left_out` names what could not be used.
    """

    items: pd.DataFrame
    blocks: pd.DataFrame
    paths: pd.DataFrame
    effects: pd.DataFrame
    n: int
    rounds: int
    draws: int
    failed_draws: int
    left_out: tuple[str, ...]
    satisfaction: str
    loyalty: str
    reason: str
    seed: int


def fit(
    data: pd.DataFrame,
    block_of: Mapping[str, str],
    paths: Sequence[tuple[str, str]],
    *,
    scales: Mapping[str, tuple[float, float]],
    weight: Array | None = None,
    cluster: NDArray[np.int64] | None = None,
    satisfaction: str = "satisfaction",
    loyalty: str = "loyalty",
    draws: int = DRAWS,
    seed: int = 1,
    left_out: tuple[str, ...] = (),
) -> PathModel:
    """Fit the model to complete rows of `data`, one column per item, higher is better.

    `block_of` gives each item's block, `paths` the arrows (source, target) between blocks, `scales` the ends of each
    item's scale, `cluster` a number for each respondent who may have answered more than once. A draw that
    does not converge, or in which an item never varies, is left out and counted.
    """
    names = list(block_of)
    blocks = list(dict.fromkeys(block_of.values()))
    low, high = np.array([scales[name] for name in names], dtype=float).T
    values = 100.0 * (data[names].to_numpy(float) - low) / (high - low)
    w = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=float)
    nothing: dict[str, Any] = {
        "n": len(values),
        "seed": seed,
        "left_out": left_out,
        "satisfaction": satisfaction,
        "loyalty": loyalty,
    }
    if len(values) < max(FEWEST_ANSWERS, ANSWERS_PER_ITEM * len(names)):
        return empty("too_few", **nothing)
    if (np.ptp(values, axis=0) <= 0).any():
        return empty("no_variation", **nothing)
    member = np.array([blocks.index(block_of[name]) for name in names])
    edges = np.zeros((len(blocks), len(blocks)), dtype=bool)
    for source, target in paths:
        edges[blocks.index(source), blocks.index(target)] = True
    rng = np.random.default_rng(seed)
    summed = moments.blocks(values, w, rng, cluster=cluster)
    covariance = moments.covariance(summed.sum(axis=0))
    found = _Numbers.of(covariance, member, edges)
    if not found.converged:
        return empty("not_converged", **nothing)
    again = moments.covariance(moments.resample(summed, rng, draws))
    varies = (np.diagonal(again, axis1=-2, axis2=-1) > TOLERANCE).all(axis=-1)
    drawn = _Numbers.of(again[varies], member, edges)
    kept = np.flatnonzero(drawn.converged)
    limits = {name: np.quantile(getattr(drawn, name)[kept], (0.025, 0.975), axis=0) for name in _Numbers.NAMES}
    average = w @ values / w.sum()
    shares = found.shares
    performance = np.array([shares[member == b] @ average[member == b] for b in range(len(blocks))])
    return PathModel(
        items=_items_frame(names, [blocks[b] for b in member], found, limits),
        blocks=_blocks_frame(blocks, member, covariance, found, limits, performance),
        paths=_arrows(blocks, edges, found, limits),
        effects=_effects_frame(blocks, found, limits),
        rounds=found.rounds,
        draws=draws,
        failed_draws=draws - len(kept),
        reason="",
        **nothing,
    )


def empty(reason: str, *, n: int, seed: int, left_out: tuple[str, ...], satisfaction: str, loyalty: str) -> PathModel:
    """No model, and why."""
    nothing = pd.DataFrame()
    return PathModel(
        items=nothing, blocks=nothing, paths=nothing, effects=nothing, n=n, rounds=0, draws=0, failed_draws=0,
        left_out=left_out, satisfaction=satisfaction, loyalty=loyalty, reason=reason, seed=seed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """All that is drawn again: of one covariance matrix, or of many."""

    weights: Array
    loadings: Array
    shares: Array
    r2: Array
    paths: Array
    effects: Array
    points: Array
    converged: NDArray[np.bool_]
    rounds: int

    NAMES = ("weights", "loadings", "shares", "r2", "paths", "effects", "points")

    @classmethod
    def of(cls, covariance: Array, member: NDArray[np.int64], edges: NDArray[np.bool_]) -> _Numbers:
        spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 1e-12))
        solved = solve(covariance / (spread[..., :, None] * spread[..., None, :]), member, edges)
        raw = solved.weights / spread
        belongs = member[:, None] == np.arange(len(edges))
        total = raw @ belongs  # one over the standard deviation of the block on 0 to 100
        effects = total_effects(solved.paths)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = raw / total[..., member]
            points = effects * total[..., :, None] / total[..., None, :]
        return cls(
            weights=solved.weights, loadings=solved.loadings, shares=shares, r2=solved.r2, paths=solved.paths,
            effects=effects, points=points, converged=solved.converged, rounds=solved.rounds,
        )  # fmt: skip


def _items_frame(names: list[str], blocks: list[str], found: _Numbers, limits: dict[str, Array]) -> pd.DataFrame:
    columns: dict[str, object] = {"item": names, "block": blocks}
    for name, values in (("loading", "loadings"), ("weight", "weights"), ("share", "shares")):
        columns[name] = getattr(found, values)
        columns[f"{name}_low"], columns[f"{name}_high"] = limits[values]
    return pd.DataFrame(columns)


def _blocks_frame(
    blocks: list[str],
    member: NDArray[np.int64],
    covariance: Array,
    found: _Numbers,
    limits: dict[str, Array],
    performance: Array,
) -> pd.DataFrame:
    spread = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(spread, spread)
    rows = []
    for b, block in enumerate(blocks):
        own = np.flatnonzero(member == b)
        within, loadings = correlation[np.ix_(own, own)], found.loadings[own]
        reliability = (
            float(alpha(within)),
            float(alpha(covariance[np.ix_(own, own)])),
            rho_a(within, found.weights[own]),
            rho_c(loadings),
            float((loadings**2).mean()) if len(own) > 1 else math.nan,
        )
        explained = (found.r2[b], limits["r2"][0][b], limits["r2"][1][b])
        rows.append((block, len(own), performance[b], *reliability, *explained))
    columns = ["block", "n_items", "mean", "alpha", "alpha_raw", "rho_a", "rho_c", "ave", "r2", "r2_low", "r2_high"]
    return pd.DataFrame(rows, columns=columns)


def _arrows(blocks: list[str], edges: NDArray[np.bool_], found: _Numbers, limits: dict[str, Array]) -> pd.DataFrame:
    low, high = limits["paths"]
    rows = [
        (blocks[i], blocks[j], found.paths[i, j], low[i, j], high[i, j])
        for j in range(len(blocks))
        for i in np.flatnonzero(edges[:, j])
    ]
    return pd.DataFrame(rows, columns=["source", "target", "coefficient", "low", "high"])


def _effects_frame(blocks: list[str], found: _Numbers, limits: dict[str, Array]) -> pd.DataFrame:
    rows = [
        (
            blocks[i],
            blocks[j],
            *(each[i, j] for each in (found.effects, *limits["effects"], found.points, *limits["points"])),
        )
        for j in range(len(blocks))
        for i in range(len(blocks))
        if found.effects[i, j] != 0.0
    ]
    columns = ["source", "target", "total", "low", "high", "points", "points_low", "points_high"]
    return pd.DataFrame(rows, columns=columns)


def blocks_of(answers: Answers, structure: Structure) -> tuple[dict[str, str], tuple[str, ...]]:
    """The block of each item that the structure uses, and the blocks that no item belongs to.

    An item belongs to the block that bears the name of its `dimension`, overall satisfaction to the structure's block
    of satisfaction; expectations join only a block that holds nothing else.
    """
    wanted = structure.blocks()
    dimension = {"satisfaction": structure.satisfaction}
    dimension |= {name: item.dimension for name, item in answers.items.items() if item.role != "importance"}
    expected = {name for name, item in answers.items.items() if item.role == "expectation"}
    asked = {block for name, block in dimension.items() if name not in expected}
    found = {
        name: block
        for name, block in dimension.items()
        if block in wanted and not (name in expected and block in asked)
    }
    held = set(found.values())
    ordered = {name: block for block in wanted if block in held for name, own in found.items() if own == block}
    return ordered, tuple(block for block in wanted if block not in held)


def model(
    rows: pd.DataFrame, answers: Answers, structure: Structure | None, *, draws: int = DRAWS, seed: int = 1
) -> PathModel:
    """The path model of the profile on the complete answers in `rows`, a part of `answers.frame`.

    Blocks without items, and arrows from or to them, drop out and are named in `left_out`; so do items that never
    vary. Without a structure, a block of satisfaction or a single arrow there is no model.
    """
    if structure is None:
        return empty("no_model", n=0, seed=seed, left_out=(), satisfaction="satisfaction", loyalty="loyalty")
    rows = rows.reset_index(drop=True)
    settings: dict[str, Any] = {"satisfaction": structure.satisfaction, "loyalty": structure.loyalty}
    block_of, absent = blocks_of(answers, structure)
    still = [name for name in block_of if len(rows) and rows[name].nunique() <= SINGLE]
    block_of = {name: block for name, block in block_of.items() if name not in still}
    held = set(block_of.values())
    arrows = [(source, target) for source, target in structure.arrows() if source in held and target in held]
    linked = {block for arrow in arrows for block in arrow}
    block_of = {name: block for name, block in block_of.items() if block in linked}
    left_out = (*absent, *still)
    if structure.satisfaction not in linked:
        return empty("no_variation" if still else "no_model", n=0, seed=seed, left_out=left_out, **settings)
    whole = rows[[*dict.fromkeys([*block_of, "weight"])]].dropna()
    scales = {name: answers.scale if name == "satisfaction" else answers.items[name].scale for name in block_of}
    return fit(
        whole,
        block_of,
        arrows,
        scales=scales,
        weight=whole["weight"].to_numpy(float),
        cluster=moments.clusters(rows.loc[whole.index, "customer_id"]),
        draws=draws,
        seed=seed,
        left_out=left_out,
        **settings,
    )


def index_weights(found: PathModel, block: str | None = None) -> dict[str, float]:
    """Weights of an index from a fitted model: of the unstandardised items placed on 0 to 100, adding up to one.

    `block` is that of satisfaction by default. Empty without a model, or where a weight is negative: an index that
    falls when an answer gets better is none.
    """
    if found.reason:
        return {}
    own = found.items[found.items["block"] == (block or found.satisfaction)]
    if own.empty or (own["share"] < 0).any():
        return {}
    return dict(zip(own["item"], own["share"].astype(float), strict=True))


def importance_performance(found: PathModel, target: str | None = None) -> pd.DataFrame:
    """The map of what leads to `target` (satisfaction by default): block, importance with limits, performance.

    Importance is the unstandardised total effect, in points of 100 of the target per point of the block; performance
    the block's mean on 0 to 100. Columns: block, importance, low, high, performance; most important first.
    """
    columns = ["block", "importance", "low", "high", "performance"]
    if found.reason:
        return pd.DataFrame(columns=columns)
    effects = found.effects[found.effects["target"] == (target or found.satisfaction)]
    table = effects.merge(found.blocks[["block", "mean"]], left_on="source", right_on="block")
    table = table[["block", "points", "points_low", "points_high", "mean"]]
    table.columns = pd.Index(columns)
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
