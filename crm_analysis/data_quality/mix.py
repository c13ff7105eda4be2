"""The mix of transactions and commitments in consecutive periods, counted inside the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from crm_analysis.data_quality.drift import Drift, drift
from crm_analysis.estimators.multiplicity import holm
from crm_analysis.units import Period

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

EARLIER_PERIODS = 8
CATEGORIES = ("kind", "channel", "category")
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MOST_CATEGORIES = 30
_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Mix:
    """Distributions of the period against the one before.

    drifts: one per variable. adjusted: Holm-adjusted p per variable. quantiles: quantile, before, now of the amount.
    comparable: False where the period or the one before is not covered in full; then nothing is claimed.
    """

    drifts: tuple[Drift, ...]
    adjusted: tuple[float, ...]
    quantiles: pd.DataFrame
    comparable: bool

    @property
    def beyond_noise(self) -> tuple[Drift, ...]:
        """The distributions that moved more than noise and habit explain, largest distance first."""
        kept = [d for d, p in zip(self.drifts, self.adjusted, strict=True) if p < _ALPHA and d.beyond]
        return tuple(sorted(kept, key=lambda found: -found.distance))


def windows(period: Period, first_day: pd.Timestamp) -> list[Period]:
    """The period, the one before and up to eight earlier ones that lie within the history, oldest first."""
    found = [period]
    while len(found) < EARLIER_PERIODS + 2:
        before = found[0].previous()
        if pd.Timestamp(before.start) < first_day:
            break
        found.insert(0, before)
    return found


def counts(table: ibis.Table, day: ibis.Value, category: ibis.Value, periods: list[Period]) -> pd.DataFrame:
    """Rows per category (index) and period label (columns, in the order given); other days are left out."""
    step = ibis.cases(*[(day.between(period.start, period.end), i) for i, period in enumerate(periods)], else_=-1)
    labelled = table.select(step=step, category=category.cast("string").fill_null("(empty)"))
    found = labelled.filter(labelled["step"] >= 0).group_by(["step", "category"]).agg(n=lambda t: t.count()).execute()
    wide = found.pivot_table(index="category", columns="step", values="n", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=range(len(periods)), fill_value=0).sort_index()
    wide.columns = pd.Index([period.label for period in periods])
    return _lumped(wide)


def mix(scope: Scope, left_out: tuple[str, ...] = ()) -> Mix:
    """Drift of the scope's period; branches in `left_out` (those that stopped reporting) are compared nowhere."""
    empty = Mix((), (), pd.DataFrame(columns=["quantile", "before", "now"]), False)
    coverage = scope.coverage[~scope.coverage["branch"].isin(left_out)]
    if not scope.complete or coverage.empty:
        return empty
    first = pd.to_datetime(coverage["first_day"]).min()
    periods = windows(scope.period, first)
    if len(periods) < 2:
        return empty
    transactions = scope.table("transactions")
    if left_out:
        transactions = transactions.filter(~transactions["branch"].isin(left_out))
    day = transactions["occurred_at"].date()
    units = _customers(transactions, day, periods)
    drifts = []
    for name in CATEGORIES:
        if name in scope.columns("transactions"):
            drifts.append(drift(counts(transactions, day, transactions[name], periods), variable=name, units=units))
    before, now = (_quantiles(transactions, day, period) for period in periods[-2:])
    quantiles = pd.DataFrame({"quantile": QUANTILES, "before": before, "now": now})
    edges = sorted(
        {
            float(edge)
            for edge in _quantiles(transactions, day, periods[-2], tuple(np.arange(1, 10) / 10))
            if np.isfinite(edge)
        }
    )
    if edges:
        drifts.append(
            drift(
                counts(transactions, day, _bin(transactions["amount"], edges), periods), variable="amount", units=units
            )
        )
    if scope.has("commitments") and "payment_method" in scope.columns("commitments"):
        commitments = scope.table("commitments")
        if left_out:
            commitments = commitments.filter(~commitments["branch"].isin(left_out))
        table = counts(commitments, commitments["started_on"], commitments["payment_method"], periods)
        drifts.append(drift(table, variable="payment_method", units=table.sum()))
    measured = tuple(found for found in drifts if found is not None)
    adjusted = tuple(float(p) for p in holm([found.p for found in measured])) if measured else ()
    return Mix(measured, adjusted, quantiles, True)


def _lumped(wide: pd.DataFrame) -> pd.DataFrame:
    if len(wide) <= _MOST_CATEGORIES:
        return wide
    order = wide.sum(axis=1).sort_values(ascending=False, kind="stable").index
    kept = wide.loc[order[: _MOST_CATEGORIES - 1]]
    rest = wide.loc[order[_MOST_CATEGORIES - 1 :]].sum().to_frame("(other)").T
    return pd.concat([kept, rest])


def _customers(transactions: ibis.Table, day: ibis.Value, periods: list[Period]) -> pd.Series:
    row = (
        transactions.aggregate(
            **{
                f"p{i}": transactions["customer_id"].nunique(where=day.between(period.start, period.end))
                for i, period in enumerate(periods)
            }
        )
        .execute()
        .iloc[0]
    )
    return pd.Series(row.to_numpy(dtype=float), index=[period.label for period in periods])


def _quantiles(table: ibis.Table, day: ibis.Value, period: Period, at: tuple[float, ...] = QUANTILES) -> list[float]:
    row = table.filter(day.between(period.start, period.end))["amount"].quantile(list(at)).execute()
    return [float("nan")] * len(at) if row is None else [float(value) for value in row]


def _bin(amount: ibis.Value, edges: list[float]) -> ibis.Value:
    """Bins closed on the right; amounts on an edge belong below it."""
    labels = [f"≤ {edges[0]:,.0f}", *[f"{a:,.0f} – {b:,.0f}" for a, b in zip(edges, edges[1:], strict=False)]]
    return ibis.cases(
        *[(amount <= edge, label) for edge, label in zip(edges, labels, strict=True)], else_=f"> {edges[-1]:,.0f}"
    )
