"""Who moved from one tier or segment to another since the period before, and what moved with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.customer_value import scores
from crm_analysis.customer_value.profits import Profits
from crm_analysis.customer_value.tiers import Tiered
from crm_analysis.estimators.proportions import normal_quantile, wilson

NEW, BACK, LOST = ":new", ":back", ":lost"  # a colon, since a tier may be called "new"
MOVES = ("up", "same", "down", LOST, NEW, BACK)
BEST_FIRST = (
    "best", "large", "loyal", "growing", "newcomers", "slipping", "cooling", "large_gone", "sleeping", "gone",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Migration:
    """Customers of the period before and of now, each exactly once.

    `order` are the groups, the best first. `matrix` counts customers: rows where they were (the groups, then `NEW`:
    not known before, and `BACK`: known, but in no group before), columns where they are (the groups, then `LOST`).
    `moves`, one row for each of `MOVES`: move, n, of (how many it is a share of: those of before, for new and back
    those of now), share, low, high (Wilson), value (what moved, a year: value now less value before, summed),
    value_low, value_high. `customers`: customer_id, before, after, move, value_before, value_after.
    `why` says why there is no migration: `no_previous` (no period to compare with) or `short` (the year before it is
    not covered); the frames are empty then. `before` is the label of the period before.
    """

    order: tuple[str, ...]
    matrix: pd.DataFrame
    moves: pd.DataFrame
    customers: pd.DataFrame
    before: str
    net: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    why: str = ""


def undefined(why: str, order: Sequence[str] = (), before: str = "") -> Migration:
    """No migration, with the reason."""
    columns = ["customer_id", "before", "after", "move", "value_before", "value_after"]
    empty = pd.DataFrame({name: [] for name in columns})
    return Migration(tuple(order), _matrix(empty, order), _moves(empty), empty, before, why=why)


@dataclass(frozen=True, slots=True)
class Migrations:
    """Between tiers, worth a year's profit, and between segments."""

    by_tier: Migration
    by_segment: Migration


def between(
    now: tuple[Tiered, pd.DataFrame, Profits],
    before: tuple[Tiered, pd.DataFrame, Profits] | None,
    cuts: scores.Cuts,
    *,
    label: str,
) -> Migrations:
    """Migration from the period before (called `label`) to now; each is given as tiers, status and profits.

    Not defined where there is no period before, or where the history does not reach back over the year before it: a
    year that the data cut short would let everybody rise.
    """
    order = now[0].order
    if before is None or not before[0].covered:
        why = "no_previous" if before is None else "short"
        return Migrations(undefined(why, order, label), undefined(why, BEST_FIRST, label))
    known = before[1]["customer_id"]
    tiers = (
        each[0].customers.set_axis(["customer_id", "branch", "group", "revenue", "value"], axis=1)
        for each in (before, now)
    )
    segments = (_segments(status, earned, cuts) for _tiers, status, earned in (before, now))
    by_tier = migrate(
        *(each[["customer_id", "group", "value"]] for each in tiers), order=order, known=known, label=label
    )
    return Migrations(by_tier, migrate(*segments, order=BEST_FIRST, known=known, label=label))


def _segments(status: pd.DataFrame, earned: Profits, cuts: scores.Cuts) -> pd.DataFrame:
    scored = scores.score_customers(status, cuts)
    profit = earned.customers.set_index("customer_id")["profit"].astype(float)
    value = scored["customer_id"].map(profit).fillna(0.0)
    return pd.DataFrame({"customer_id": scored["customer_id"], "group": scored["segment"], "value": value})


def migrate(
    before: pd.DataFrame, after: pd.DataFrame, *, order: Sequence[str], known: pd.Series, label: str
) -> Migration:
    """From the groups of `before` to those of `after`; both have customer_id, group and value (a year's money).

    `order` names the groups, best first: up is towards the first. `known` are the ids of everybody known in the period
    before, in a group or not. The same cut points must have made both frames, or nothing would be seen to move.
    """
    for frame in (before, after):
        stray = set(frame["group"]) - set(order)
        if stray or frame["customer_id"].duplicated().any():
            raise ValueError(f"each customer is in one group of {order}; found {sorted(stray) or 'a customer twice'}")
    each = before.rename(columns={"group": "before", "value": "value_before"}).merge(
        after.rename(columns={"group": "after", "value": "value_after"}), on="customer_id", how="outer"
    )
    each[["value_before", "value_after"]] = each[["value_before", "value_after"]].astype(float).fillna(0.0)
    came = np.where(each["customer_id"].isin(known), BACK, NEW)
    rank = {name: place for place, name in enumerate(order)}
    step = each["before"].map(rank).astype(float) - each["after"].map(rank).astype(float)
    each["move"] = np.select(
        [each["before"].isna(), each["after"].isna(), step > 0, step < 0], [came, LOST, "up", "down"], default="same"
    )
    each["before"] = each["before"].where(each["before"].notna(), each["move"])
    each["after"] = each["after"].where(each["after"].notna(), LOST)
    each = each[["customer_id", "before", "after", "move", "value_before", "value_after"]]
    net = summed(gains(each))
    return Migration(tuple(order), _matrix(each, order), _moves(each), each.reset_index(drop=True), label, net)


def gains(each: pd.DataFrame) -> pd.Series:
    """What each customer of a migration is worth more, or less, than before."""
    return each["value_after"].astype(float) - each["value_before"].astype(float)


def summed(gain: pd.Series) -> tuple[float, float, float]:
    """A sum over customers with its normal interval, customers taken as a sample."""
    value = float(gain.sum())
    half = normal_quantile(0.95) * math.sqrt(len(gain)) * float(gain.std(ddof=1)) if len(gain) > 1 else math.nan
    return value, value - half, value + half


def _matrix(each: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    counts = pd.crosstab(each["before"], each["after"])
    return counts.reindex(index=[*order, NEW, BACK], columns=[*order, LOST], fill_value=0).fillna(0).astype(int)


def _moves(each: pd.DataFrame) -> pd.DataFrame:
    was, is_ = int((~each["move"].isin([NEW, BACK])).sum()), int((each["move"] != LOST).sum())
    gain, rows = gains(each), []
    for move in MOVES:
        here = each["move"] == move
        share = wilson(int(here.sum()), is_ if move in (NEW, BACK) else was)
        moved = summed(gain.where(here, 0.0))
        rows.append((move, int(here.sum()), share.n, share.share, share.low, share.high, *moved))
    names = ["move", "n", "of", "share", "low", "high", "value", "value_low", "value_high"]
    return pd.DataFrame(rows, columns=names)
