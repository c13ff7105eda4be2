"""How long regular commitments last, and whether the tenure of a commitment foretells how much of it will be paid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pandas as pd

from crm_analysis import customers, value_models
from crm_analysis.errors import DataError
from crm_analysis.tables import Scope
from crm_analysis.value_models import CannotFit, SbgFit, Tenures

MONTHS = 12
MIN_AT_RISK = 30
MIN_HELD = 100
Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Renewals:
    """Commitments that renew every `cycle_months`, the commonest cycle.

    `curve` is the share kept by number of renewals: renewals, at_risk, counted (Kaplan-Meier) with low and high
    (Greenwood), model (sBG; missing without a fit). Of `held_out` commitments that ran a year before, the renewals of
    the year were foreseen by sBG and by the mean ratio of the year before that: `saved` is the squared error of the
    ratio less that of sBG, with its standard error. `factor` is by customer_id what the fit expects of the commitment
    against the mean of all, 1 where it does not say; used only where `model_wins`.
    """

    cycle_months: int
    n: int
    fit: SbgFit | None
    why: str
    curve: pd.DataFrame
    held_out: int
    model_total: float
    ratio_total: float
    actual_total: float
    saved: float
    saved_error: float
    factor: pd.Series

    @property
    def model_wins(self) -> bool:
        """Whether sBG foresaw the last year's renewals better than one ratio for all, beyond noise."""
        return self.saved - Z95 * self.saved_error > 0


def renewals(scope: Scope) -> Renewals | None:
    """The chapter's renewals; None where there are no commitments."""
    if not scope.has("commitments"):
        return None
    rows = scope.table("commitments")
    wanted = ("commitment_id", "customer_id", "branch", "started_on", "cycle_months", "ended_on", "expires_on")
    table = rows.select(*(name for name in wanted if name in rows.columns)).to_pandas()
    table = table[table["started_on"].notna() & (table["cycle_months"] > 0)]
    backwards = pd.Series(False, table.index)
    for name in ("ended_on", "expires_on"):
        if name in table:
            backwards |= pd.to_datetime(table[name]) < pd.to_datetime(table["started_on"])
    table = table[~backwards]
    if table.empty:
        return None
    cycle = int(table["cycle_months"].mode().iloc[0])
    table = table[table["cycle_months"] == cycle]
    now, then, earlier = (_tenures(scope, table, cycle, back) for back in (0, MONTHS, 2 * MONTHS))
    if now is None or not len(now):
        return None
    fit, why = _fit(now)
    held, by_model, by_ratio, actual = _held_out(now, then, earlier, cycle)
    saved = (by_ratio - actual) ** 2 - (by_model - actual) ** 2
    known = len(held) >= MIN_HELD and np.isfinite(saved).all()
    return Renewals(
        cycle_months=cycle,
        n=len(now),
        fit=fit,
        why=why,
        curve=survival(now, fit),
        held_out=len(held) if known else 0,
        model_total=float(by_model.sum()) if known else math.nan,
        ratio_total=float(by_ratio.sum()) if known else math.nan,
        actual_total=float(actual.sum()) if known else math.nan,
        saved=float(saved.mean()) if known else math.nan,
        saved_error=float(saved.std() / math.sqrt(len(saved))) if known else math.nan,
        factor=_factor(now, fit, cycle),
    )


def survival(tenures: Tenures, fit: SbgFit | None) -> pd.DataFrame:
    """Share kept by number of renewals, counted (Kaplan and Meier 1958, left-truncated) with Greenwood's interval on
    the log(-log) scale, and by the model. As far as thirty commitments faced the renewal.
    """
    frame = tenures.frame
    made, ended = frame["renewals"].to_numpy(), frame["ended"].to_numpy(bool)
    start = frame["seen_from"].to_numpy() if "seen_from" in frame else np.zeros(len(frame), int)
    rows, share, spread = [(0, len(frame), 1.0, 1.0, 1.0)], 1.0, 0.0
    for j in range(1, int((made + ended).max(initial=0)) + 1):
        at_risk = int(((start < j) & (made + ended >= j)).sum())
        if at_risk < MIN_AT_RISK:
            break
        lost = int((ended & (made == j - 1) & (start < j)).sum())
        share *= 1 - lost / at_risk
        spread += lost / (at_risk * max(at_risk - lost, 1))
        if 0 < share < 1:
            width = math.exp(Z95 * math.sqrt(spread) / abs(math.log(share)))
            rows.append((j, at_risk, share, share**width, share ** (1 / width)))
        else:
            rows.append((j, at_risk, share, share, share))
    curve = pd.DataFrame(rows, columns=["renewals", "at_risk", "counted", "low", "high"])
    return curve.assign(model=np.nan if fit is None else fit.survival(curve["renewals"].to_numpy()))


def _tenures(scope: Scope, table: pd.DataFrame, cycle: int, back: int) -> Tenures | None:
    """Tenures as they were known `back` months before the end; None where nobody had begun."""
    on, ends = customers.months_back(scope, back)
    coverage = pd.DataFrame({"branch": list(ends), "last_covered_day": list(ends.values())})
    try:
        return value_models.tenures(
            table,
            cycle_months=cycle,
            as_of=on,
            dues=_last_dues(scope, on, ends),
            coverage=coverage if len(coverage) else None,
            history_starts_on=scope.profile.coverage.history_starts_on,
            lapsed_after_months=math.ceil(scope.profile.status.dormant_unpaid_months),
        )
    except DataError:
        return None


def _last_dues(scope: Scope, on: date, ends: dict[str, date]) -> pd.DataFrame | None:
    """Of each commitment the first due, and the last one collected by the day: all that tenures rest on."""
    if not scope.has("dues"):
        return None
    dues, held = scope.table("dues"), scope.table("commitments")
    dues = dues.join(held.select("commitment_id", end=customers.end_of(held.branch, ends, on)), "commitment_id")
    dues = dues.select("commitment_id", "end", due=dues.due_on.cast("date"), collected=dues.collected_on.cast("date"))
    dues = dues.filter(dues.due <= dues.end)
    paid = dues.filter((dues.collected <= dues.end).fill_null(False)).group_by("commitment_id")
    last = paid.aggregate(due_on=lambda t: t.due.max(), collected_on=lambda t: t.due.max())
    first = dues.group_by("commitment_id").aggregate(due_on=dues.due.min(), collected_on=ibis.null("date"))
    return ibis.union(last, first).to_pandas()


def _fit(tenures: Tenures) -> tuple[SbgFit | None, str]:
    try:
        with np.errstate(all="ignore"):
            fit = value_models.fit_sbg(tenures)
    except CannotFit as reason:
        return None, str(reason)
    return (fit, "") if fit.converged else (None, "; ".join(fit.notes))


def _held_out(
    now: Tenures, then: Tenures | None, earlier: Tenures | None, cycle: int
) -> tuple[pd.Index, np.ndarray, np.ndarray, np.ndarray]:
    """Commitments that ran a year before; their renewals of the year by the model, by one ratio for all, and made."""
    nothing = pd.Index([]), np.array([]), np.array([]), np.array([])
    horizon = MONTHS // cycle
    if then is None or earlier is None or horizon < 1:
        return nothing
    fit, _why = _fit(then)
    before = _made(earlier, then)
    held = _made(then, now)
    if fit is None or len(before) < MIN_HELD or not len(held):
        return nothing
    part = Tenures(then.frame.loc[held.index], cycle, then.as_of)
    by_model = fit.expected_renewals(part, horizon=horizon).to_numpy(float)
    return held.index, by_model, np.full(len(held), before.mean()), held.to_numpy(float)


def _made(first: Tenures, later: Tenures) -> pd.Series:
    """Renewals made from one look to a later one by the commitments that ran at the first."""
    running = first.frame.index[~first.frame["ended"]].intersection(later.frame.index)
    return (later.frame["renewals"].loc[running] - first.frame["renewals"].loc[running]).astype(float)


def _factor(tenures: Tenures, fit: SbgFit | None, cycle: int) -> pd.Series:
    """Expected renewals of a year of each running commitment over their mean, by customer_id."""
    running = tenures.frame[~tenures.frame["ended"]]
    horizon = MONTHS // cycle
    if fit is None or running.empty or horizon < 1:
        return pd.Series(dtype=float)
    expected = fit.expected_renewals(Tenures(running, cycle, tenures.as_of), horizon=horizon)
    by_customer = expected.groupby(running["customer_id"]).mean()
    return (by_customer / by_customer.mean()).rename("factor")
