"""Best-customer campaigns that a line lets customers into: the effect at the line, and who pushes to get over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.outcomes import priced
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.discontinuity import Density, Jump, bandwidth, density_jump, jump
from crm_analysis.estimators.means import MeanDifference, welch
from crm_analysis.profile.settings import EntryRule

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["BAND", "PUSH_DAYS", "Threshold", "thresholds"]

PUSH_DAYS = 30
"""Days before the start in which somebody just below the line could still push over it."""
BAND = 0.6
"""Just below the line: from this share of it up to it."""
YEAR_DAYS = 364
"""A year earlier on the same day of the week."""
DOTS, PER_DOT = 12, 10
"""Most dots on a side of the figure, and the fewest customers behind one."""
NEAR = 1.25
"""Near the line: from it divided by this up to this many times it."""
DENSITY_REACH = np.log(4.0)
"""The density test looks at values from a quarter of the line to four times it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The line of one campaign; money in the profile's currency, per customer.

    `state` is measured, too_few (around the line), not_covered (the window is not over in the data), or no_line (the
    members cannot be told from the others by the rule). Distances are logarithms of the value over the `line`.
    `effect` is the jump of the margin in the window, `halved` and `doubled` the same at other bandwidths, `placebo` the
    jump of the margin in as long a window that ended before anybody could count towards the line: it should be none.
    `in_below` and `in_above` are the shares who are members within the bandwidth, 0 and 1 where the line decides.
    `near` counts who stands just over and just below the line (within `NEAR`), `near_before` the same a year earlier,
    when there was no line; `near_p` is Fisher's exact test that the share over it is the same. That comparison is free
    of the heaps that round amounts make, which the `density` test is not.
    `pushed` compares what those just below the line paid (or left, as the rule measures) in the last `PUSH_DAYS` days
    with the same band a year earlier, `left_out` the margin in the window of those who stayed just below.
    `dots` (position, value, n) and `lines` (position, value, over) are for the figure.
    """

    campaign_id: str
    key: str
    name: str
    rule: EntryRule
    state: str
    line: float
    n_in: int
    n_outside: int
    cost_per_treated: float | None
    effect: Jump | None = None
    halved: Jump | None = None
    doubled: Jump | None = None
    density: Density | None = None
    near: tuple[int, int] | None = None
    near_before: tuple[int, int] | None = None
    near_p: float | None = None
    placebo: Jump | None = None
    in_below: float | None = None
    in_above: float | None = None
    pushed: MeanDifference | None = None
    left_out: MeanDifference | None = None
    dots: pd.DataFrame | None = None
    lines: pd.DataFrame | None = None


def thresholds(scope: Scope, evaluation: Evaluation) -> tuple[Threshold, ...]:
    """The effect at the line for every campaign of the period that `roi.entry_rules` of the profile names."""
    rules = scope.profile.roi.entry_rules
    named = [r for r in evaluation.closed if r.campaign_id in rules and r.n_treated]
    return tuple(_of_campaign(result, rules[result.campaign_id], scope, evaluation) for result in named)


def _of_campaign(result: CampaignResult, rule: EntryRule, scope: Scope, evaluation: Evaluation) -> Threshold:
    units = result.gate.units
    treated = units[units["arm"] == "treated"]
    spent = result.uncontrolled.cost_per_treated if result.uncontrolled is not None else None
    found = _around(scope, result.starts_on, rule, window_days=result.window_days)
    found["entered"] = found["customer_id"].isin(treated["customer_id"])
    found = found[found["value"] > 0].reset_index(drop=True)
    line = rule.threshold if rule.threshold is not None else _line(found)
    common: dict[str, Any] = {
        "campaign_id": result.campaign_id,
        "key": result.key,
        "name": result.name,
        "rule": rule,
        "n_in": int(found["entered"].sum()),
        "n_outside": int((~found["entered"]).sum()),
        "cost_per_treated": spent,
    }
    if line is None:
        return Threshold(**common, state="no_line", line=float("nan"))
    ends = dict(zip(scope.coverage["branch"], pd.to_datetime(scope.coverage["last_covered_day"]), strict=True))
    closes = pd.Timestamp(result.starts_on + timedelta(days=result.window_days))
    found = found[found["branch"].map(ends).fillna(pd.Timestamp(scope.as_of)) >= closes].reset_index(drop=True)
    if found.empty:
        return Threshold(**common, state="not_covered", line=line)
    position, margin = np.log(found["value"].to_numpy() / line), found["margin"].to_numpy(float)
    width = bandwidth(position, margin)
    effect = None if width is None else jump(position, margin, bandwidth=width)
    if effect is None or width is None or _hidden(position, margin, width, evaluation):
        return Threshold(**common, state="too_few", line=line)
    inside = np.abs(position) < width
    over = position >= 0
    entered = found["entered"].to_numpy()
    before, placebo_width = found["margin_earlier"].to_numpy(float), None
    if _reaches(scope, result.starts_on - timedelta(days=rule.days + result.window_days + 1)):
        placebo_width = bandwidth(position, before)
    spill_over = _spill_over(scope, result, rule, line, evaluation)
    return Threshold(
        **common,
        state="measured",
        line=line,
        effect=effect,
        halved=jump(position, margin, bandwidth=width / 2),
        doubled=jump(position, margin, bandwidth=2 * width),
        density=density_jump(position[np.abs(position) < DENSITY_REACH]),
        placebo=None if placebo_width is None else jump(position, before, bandwidth=placebo_width),
        in_below=float(entered[inside & ~over].mean()),
        in_above=float(entered[inside & over].mean()),
        **spill_over,
        dots=_dots(position, margin, 1.5 * width, evaluation),
        lines=_lines(position, margin, width),
    )


def _around(scope: Scope, start: date, rule: EntryRule, *, window_days: int) -> pd.DataFrame:
    """One row per customer around a start: value by the rule, of which in the last `PUSH_DAYS` days, margin in the
    window, and margin in as long a window that ended before the value began to count."""
    profile = scope.profile
    rows = priced(scope.table("transactions"), margin_rate=profile.margin.rate, list_prices=profile.margin.list_prices)
    measured = rows.paid if rule.measure == "amount" else rows.left
    opened = start - timedelta(days=rule.days)
    counts = (rows.on >= opened) & (rows.on < start)
    late = counts & (rows.on >= start - timedelta(days=PUSH_DAYS))
    earlier = (rows.on < opened) & (rows.on >= opened - timedelta(days=window_days + 1))
    window = (rows.on >= start) & (rows.on <= start + timedelta(days=window_days))
    sums = rows.group_by("customer_id").aggregate(
        branch=rows.branch.argmax(rows.on),
        value=measured.sum(where=counts).fill_null(0.0),
        late=measured.sum(where=late).fill_null(0.0),
        margin=rows.left.sum(where=window).fill_null(0.0),
        margin_earlier=rows.left.sum(where=earlier).fill_null(0.0),
    )
    return sums.order_by(ibis.desc("value"), "customer_id").execute()


def _line(found: pd.DataFrame) -> float | None:
    """The value that tells members from the others with the fewest on the wrong side, between two neighbours.

    None where every twentieth member or more is on the wrong side of even the best line: value did not decide.
    """
    ordered = found.sort_values("value", ascending=False, ignore_index=True)
    value, entered = ordered["value"].to_numpy(float), ordered["entered"].to_numpy()
    if not entered.any() or entered.all():
        return None
    wrong = np.cumsum(~entered) + entered.sum() - np.cumsum(entered)
    between = np.flatnonzero(value[:-1] > value[1:])
    if between.size == 0:
        return None
    best = between[int(np.argmin(wrong[between]))]
    if wrong[best] > 0.05 * entered.sum():
        return None
    return float((value[best] + value[best + 1]) / 2)


def _hidden(position: np.ndarray, margin: np.ndarray, width: float, evaluation: Evaluation) -> bool:
    """Whether either side within the bandwidth has too few payers, or one above all."""
    sides = (margin[(np.abs(position) < width) & side] for side in (position < 0, position >= 0))
    return any(privacy.withhold(side, evaluation.min_cell, evaluation.dominance_share) for side in sides)


def _reaches(scope: Scope, day: date) -> bool:
    """Whether the data of every branch of the scope go back to a day."""
    return bool(pd.Timestamp(max(scope.coverage["first_day"])) <= pd.Timestamp(day))


def _spill_over(
    scope: Scope, result: CampaignResult, rule: EntryRule, line: float, evaluation: Evaluation
) -> dict[str, Any]:
    """Those around the line against the same band a year earlier: who is over it, what those below paid and left."""
    start = result.starts_on - timedelta(days=YEAR_DAYS)
    if not _reaches(scope, start - timedelta(days=rule.days)):
        return {}
    years = [_around(scope, day, rule, window_days=result.window_days) for day in (result.starts_on, start)]
    counts = [
        tuple(int(year["value"].between(low, high, inclusive="left").sum()) for low, high in _beside(line))
        for year in years
    ]
    late = [year[(year["value"] - year["late"]).between(BAND * line, line, inclusive="left")]["late"] for year in years]
    stayed = [year[year["value"].between(BAND * line, line, inclusive="left")]["margin"] for year in years]
    return {
        "near": counts[0],
        "near_before": counts[1],
        "near_p": float(stats.fisher_exact(counts).pvalue),
        "pushed": _compared(late, scope, evaluation),
        "left_out": _compared(stayed, scope, evaluation),
    }


def _beside(line: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Just over the line, and just below it."""
    return (line, line * NEAR), (line / NEAR, line)


def _compared(years: list[pd.Series], scope: Scope, evaluation: Evaluation) -> MeanDifference | None:
    """This year less the year before; None where a year has too few people, too few payers, or one above all."""
    fewest = max(scope.profile.roi.min_control, evaluation.min_cell)
    if min(map(len, years)) < fewest:
        return None
    if any(privacy.withhold(year, evaluation.min_cell, evaluation.dominance_share) for year in years):
        return None
    return welch(*years)


def _dots(position: np.ndarray, margin: np.ndarray, reach: float, evaluation: Evaluation) -> pd.DataFrame:
    """Means by distance from the line, `DOTS` equal steps a side from the line outwards, thin ones taken together.

    A dot of too few payers, or of one above all, is left out.
    """
    rows = []
    fewest = max(PER_DOT, evaluation.min_cell)
    for side in (position < 0, position >= 0):
        mine = side & (np.abs(position) < reach)
        step = np.minimum((np.abs(position[mine]) / reach * DOTS).astype(int), DOTS - 1)
        where, what = position[mine], margin[mine]
        first = 0
        for last in range(DOTS):
            part = (step >= first) & (step <= last)
            if part.sum() < fewest:
                continue
            first = last + 1
            if not privacy.withhold(what[part], evaluation.min_cell, evaluation.dominance_share):
                rows.append((float(where[part].mean()), float(what[part].mean()), int(part.sum())))
    return pd.DataFrame(rows, columns=["position", "value", "n"]).sort_values("position", ignore_index=True)


def _lines(position: np.ndarray, margin: np.ndarray, width: float) -> pd.DataFrame:
    """The two local linear fits, as their ends."""
    rows = []
    for over in (False, True):
        inside = (np.abs(position) < width) & ((position >= 0) == over)
        weight = np.sqrt(1 - np.abs(position[inside]) / width)
        fit = np.polyfit(position[inside], margin[inside], 1, w=weight)
        ends = (0.0, width) if over else (-width, 0.0)
        rows += [(end, float(np.polyval(fit, end)), over) for end in ends]
    return pd.DataFrame(rows, columns=["position", "value", "over"])
