"""What is wrong with the files: rows that a contract check must find, in the counts that the truth states."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis.demo.donors import day
from crm_analysis.demo.truth import END, Faults
from crm_analysis.demo.world import World

_DAY = np.timedelta64(1, "D")
_REFUNDS = 70
ORPHANS_FROM = 9_000_000
"""Donor numbers from here on belong to nobody."""


def counted(faults: Faults, name: str, scale: float) -> int:
    """Rows of a fault in an association of this scale; at least one."""
    return max(round(getattr(faults, name) * scale), 1)


def transaction_rows(rng: np.random.Generator, world: World) -> pd.DataFrame:
    """Payments as the branches wrote them down: numbered, a few refunded, and with every planted fault.

    Adds number (of the transaction), channel, recorded (day), refund_of (number or -1), branch_known, and fault (a
    label that no file shows; '' for a sound row).
    """
    faults, scale = world.truth.faults, world.scale
    rows = world.payments.assign(recorded=world.payments["day"], refund_of=-1, branch_known=True, fault="")
    rows["number"] = np.arange(1, len(rows) + 1)
    online = rng.random(len(rows)) < 0.55
    rows["channel"] = np.select(
        [rows["kind"] == "dues", rows["donor"] < 0, online], ["CMS", "모금함", "홈페이지"], "계좌이체"
    )
    gifts = rng.permutation(
        np.flatnonzero(((rows["kind"] == "gift") & (rows["donor"] >= 0) & (rows["amount"] < 500_000)).to_numpy())
    )
    taken = iter(np.split(gifts, np.cumsum([counted(faults, name, scale) for name in (
        "orphans", "future_dated", "negative_gifts", "missing_branch", "restated", "exact_duplicates")])))  # fmt: skip
    orphans = rows.iloc[next(taken)].assign(fault="orphan")
    orphans["donor"] = ORPHANS_FROM + np.arange(len(orphans))
    future = rows.iloc[next(taken)].assign(fault="future_dated")
    future["day"] = (day(END) + rng.integers(20, 400, len(future)) * _DAY).astype("M8[s]")
    negative = rows.iloc[next(taken)].assign(fault="negative_gift")
    negative["amount"] = -negative["amount"]
    unknown = next(taken)
    rows.loc[unknown, ["branch_known", "fault"]] = [False, "missing_branch"]
    restated = rows.iloc[next(taken)].assign(fault="restated")
    last = np.array([day(b.last_day) for b in world.truth.branches.values()])[restated["branch"]]
    later = restated["day"].to_numpy("M8[D]") + rng.integers(15, 40, len(restated)) * _DAY
    restated["recorded"] = np.minimum(later, last).astype("M8[s]")
    restated["amount"] = restated["amount"] + 10_000.0
    restated["list_amount"] = restated["amount"]
    duplicates = rows.iloc[next(taken)].assign(fault="exact_duplicate")
    refunds = _refunds(rng, world, rows, next(taken)[: round(_REFUNDS * scale)])
    added = pd.concat([orphans, future, negative, refunds], ignore_index=True)
    added["number"] = len(rows) + 1 + np.arange(len(added))
    return pd.concat([rows, added, restated, duplicates], ignore_index=True)


def _refunds(rng: np.random.Generator, world: World, rows: pd.DataFrame, position: np.ndarray) -> pd.DataFrame:
    """Gifts paid back within three weeks; the amount is what was paid back, without a sign."""
    refunds = rows.iloc[position].assign(kind="refund", campaign="")
    refunds["refund_of"] = rows["number"].to_numpy()[position]
    refunds["day"] = (refunds["day"].to_numpy("M8[D]") + rng.integers(1, 21, len(refunds)) * _DAY).astype("M8[s]")
    refunds["recorded"] = refunds["day"]
    last = np.array([day(b.last_day) for b in world.truth.branches.values()])[refunds["branch"]]
    return refunds[refunds["day"].to_numpy("M8[D]") <= last]


def control_totals(rows: pd.DataFrame, world: World) -> pd.DataFrame:
    """What the finance office booked per branch and month: sound rows, the corrected amount where one was restated.

    Money of donors nobody knows is money too. Amounts are net of refunds.
    """
    final = rows[rows["fault"].isin(["", "missing_branch", "restated", "orphan"])]
    final = final.drop_duplicates("number", keep="last")
    month = final["day"].to_numpy("M8[M]")
    signed = np.where(final["kind"] == "refund", -final["amount"], final["amount"])
    totals = (
        final.assign(month=month.astype("M8[s]"), signed=signed)
        .groupby(["branch", "month"], as_index=False)
        .agg(rows=("number", "size"), amount=("signed", "sum"))
    )
    branches = list(world.truth.branches)
    faults = world.truth.faults
    wrong = (totals["branch"] == branches.index(faults.mismatch_branch)) & (
        totals["month"] == pd.Timestamp(faults.mismatch_month)
    )
    totals.loc[wrong, "amount"] += faults.mismatch_amount * max(world.scale, 0.1)
    totals.loc[wrong, "rows"] += max(round(41 * world.scale), 1)
    totals["covered_to"] = totals["month"] + pd.offsets.MonthEnd(0)
    if "rhythm_only" in world.truth.flips:
        totals["covered_to"] = pd.NaT
    return totals


def survey_out_of_range(rng: np.random.Generator, world: World) -> np.ndarray:
    """Satisfaction as typed in: a few answers outside the scale that are no codes either."""
    typed = world.surveys["satisfaction"].to_numpy().copy()
    n = counted(world.truth.faults, "survey_out_of_range", world.scale)
    typed[rng.permutation(len(typed))[:n]] = rng.choice([0, 6, 7, 55], n)
    return typed


def missing_joined(rng: np.random.Generator, world: World) -> np.ndarray:
    """Which donors' day of joining nobody wrote down."""
    missing = np.zeros(len(world.donors), dtype=bool)
    missing[rng.permutation(len(missing))[: counted(world.truth.faults, "missing_joined_on", world.scale)]] = True
    return missing
