"""What a campaign's present value rests on: each assumption moved alone, and all of them drawn together."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis.crm_roi.cash import SPENT, Cash
from crm_analysis.crm_roi.costing import Costing, rests_on_rate
from crm_analysis.crm_roi.flows import MemberFlows, split
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.profile.settings import Ranges
from crm_analysis.units import DAYS_PER_MONTH

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Sensitivity", "present_value", "sensitivities"]

Floats = NDArray[np.float64]
DRAWS = 9_999
PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Present value of one campaign (money) under other assumptions.

    `bars` has one row per assumption that applies, widest first: assumption, low_input and high_input (what it was set
    to; empty for the effect and for what is either counted or not), at_low and at_high (present value then).
    `percentiles` maps 5, 25, 50, 75 and 95 to the present value below which that share of `n_draws` draws fell;
    `chance` is the share of draws above zero. Drawn are the effect (normal, from its sampling distribution) and the
    ranges of the profile (triangular, peak at the profile's own value). Costs that nobody planned, shared systems and
    what followed the window are moved alone and not drawn.
    """

    key: str
    name: str
    base: float
    bars: pd.DataFrame
    percentiles: dict[int, float]
    chance: float
    n_draws: int
    ranges: dict[str, tuple[float, float]]


def sensitivities(
    cash: Sequence[Cash],
    costing: Sequence[Costing],
    flows: Sequence[MemberFlows],
    evaluation: Evaluation,
    scope: Scope,
) -> tuple[Sensitivity, ...]:
    """`Sensitivity` of the period's measured campaigns, those of `costing`."""
    forgotten = _forgotten_share(evaluation)
    by_key = {each.key: each for each in cash}
    members = {flow.result.key: flow for flow in flows}
    return tuple(
        _sensitivity(by_key[each.key], each, members[each.key], forgotten=forgotten, scope=scope) for each in costing
    )


def present_value(
    cash: Cash,
    *,
    rate_annual: float | None = None,
    margin: Floats | float = 1.0,
    contact: Floats | float = 1.0,
    other: Floats | float = 1.0,
    unplanned: Floats | float = 1.0,
) -> float:
    """Present value with the margin and the parts of the cost multiplied, at another rate; base values reproduce it."""
    rates = np.atleast_1d(cash.rate_annual if rate_annual is None else rate_annual)
    factors = np.array([margin, contact, other, unplanned], dtype=float)[:, None]
    return float(_values(cash, np.concatenate([cash.lifts, cash.own])[None, :], factors, rates)[0])


def _values(cash: Cash, effects: Floats, factors: Floats, rates: Floats) -> Floats:
    """Present value per draw: `effects` (draws x 2 months), `factors` (4 x draws), `rates` annual (draws)."""
    months = len(cash.lifts)
    length = len(cash.curve)
    discount = (1.0 + monthly_rate_of(rates))[:, None] ** -np.arange(length)
    margin, contact, other, unplanned = factors
    gained = margin[:, None] * effects[:, :months] - other[:, None] * effects[:, months:]
    inflow = cash.n_treated * (discount[:, 1 : months + 1] * gained).sum(axis=1)
    spent = discount @ cash.spent[list(SPENT)].to_numpy(float)
    found: Floats = inflow - contact * spent[:, 0] - other * spent[:, 1] - unplanned * spent[:, 2]
    return found


def monthly_rate_of(rates: Floats) -> Floats:
    """`cash.monthly_rate` of each."""
    found: Floats = (1.0 + rates) ** (1 / 12) - 1.0
    return found


def _sensitivity(cash: Cash, costing: Costing, flow: MemberFlows, *, forgotten: float, scope: Scope) -> Sensitivity:
    base = present_value(cash)
    ranges = _ranges(cash, scope, on_rate=rests_on_rate(scope))
    rows: list[tuple[str, float, float, float, float]] = [
        ("effect", np.nan, np.nan, cash.present.low or base, cash.present.high or base)
    ]
    rate = scope.profile.margin.rate
    for name, (low, high) in ranges.items():
        match name:
            case "margin_rate":
                ends = [present_value(cash, margin=end / rate) for end in (low, high)]
            case "contact_cost":
                ends = [present_value(cash, contact=end) for end in (low, high)]
            case "other_costs":
                ends = [present_value(cash, other=end) for end in (low, high)]
            case _:
                ends = [present_value(cash, rate_annual=end) for end in (low, high)]
        rows.append((name, low, high, ends[0], ends[1]))
    rows += _either_or(cash, costing, flow, base=base, forgotten=forgotten)
    bars = pd.DataFrame(rows, columns=["assumption", "low_input", "high_input", "at_low", "at_high"])
    bars["swing"] = (bars["at_high"] - bars["at_low"]).abs()
    bars = bars[bars["swing"] > 0].sort_values("swing", ascending=False, kind="stable", ignore_index=True)
    drawn = _drawn(cash, ranges, rate=rate)
    return Sensitivity(
        key=cash.key,
        name=cash.name,
        base=base,
        bars=bars,
        percentiles={p: float(np.percentile(drawn, p)) for p in PERCENTILES},
        chance=float((drawn > 0).mean()),
        n_draws=DRAWS,
        ranges=ranges,
    )


def _ranges(cash: Cash, scope: Scope, *, on_rate: bool) -> dict[str, tuple[float, float]]:
    """The range of each assumption: the profile's, or the default that its setting states."""
    given: Ranges = scope.profile.roi.ranges
    rate = scope.profile.margin.rate
    found: dict[str, tuple[float, float]] = {}
    if on_rate and rate > 0:
        found["margin_rate"] = given.margin_rate or (0.9 * rate, min(1.1 * rate, 1.0))
    if cash.spent["contact"].any():
        found["contact_cost"] = given.contact_cost
    if cash.spent["other"].any() or cash.own.any():
        found["other_costs"] = given.other_costs
    found["discount_rate"] = given.discount_rate_annual or (0.0, 2 * cash.rate_annual)
    return found


def _either_or(
    cash: Cash, costing: Costing, flow: MemberFlows, *, base: float, forgotten: float
) -> list[tuple[str, float, float, float, float]]:
    """What is either counted or not: forgotten costs, shared systems, what followed the window."""
    rows = []
    unplanned = float(cash.spent["unplanned"].sum())
    planned = float(cash.spent[["contact", "other"]].to_numpy().sum())
    if unplanned or forgotten:
        worse = base - max(forgotten * planned - unplanned, 0.0)
        rows.append(("unplanned", np.nan, np.nan, worse, present_value(cash, unplanned=0.0)))
    if costing.shared:
        rows.append(("shared", np.nan, np.nan, base - costing.shared, base))
    if flow.after is not None and not flow.held_on:
        later = after_window(flow)
        months = (flow.days + flow.after_days) / DAYS_PER_MONTH
        factor = (1 + cash.rate_annual) ** (-months / 12)
        rows.append(("after", np.nan, np.nan, base, base + later * cash.n_treated * factor))
    return rows


def after_window(flow: MemberFlows) -> float:
    """Difference in margin per member over the days after the window."""
    assert flow.after is not None
    later = split(flow.after["left"].to_numpy()[flow.followed], flow.treated[flow.followed])
    return flow.arms(followed=True).difference(*later).difference


def _forgotten_share(evaluation: Evaluation) -> float:
    """Cost that nobody planned over planned cost, of all campaigns known that had a plan."""
    costs = [r.cost for r in evaluation.earlier + evaluation.closed if r.cost is not None and r.cost.planned]
    planned = sum(cost.planned or 0.0 for cost in costs)
    return sum(cost.unplanned for cost in costs) / planned if planned else 0.0


def _drawn(cash: Cash, ranges: dict[str, tuple[float, float]], *, rate: float) -> Floats:
    rng = np.random.default_rng(zlib.crc32(f"assumptions {cash.campaign_id}".encode()))
    centre = np.concatenate([cash.lifts, cash.own])
    effects = rng.multivariate_normal(centre, cash.covariance, size=DRAWS, method="eigh")

    def triangular(name: str, peak: float) -> Floats:
        low, high = ranges.get(name, (peak, peak))
        return rng.triangular(low, peak, high, DRAWS) if high > low else np.full(DRAWS, peak)

    margin = triangular("margin_rate", rate) / rate if rate > 0 else np.ones(DRAWS)
    factors = np.array([margin, triangular("contact_cost", 1.0), triangular("other_costs", 1.0), np.ones(DRAWS)])
    return _values(cash, effects, factors, triangular("discount_rate", cash.rate_annual))
