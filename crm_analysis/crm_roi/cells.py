"""Counts, amounts and estimates with their intervals, as cells of the chapter's tables."""

from __future__ import annotations

import math
from collections.abc import Callable

from crm_analysis import privacy, style
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.means import MeanDifference
from crm_analysis.language import _

__all__ = ["amount", "assigned_tell", "chance", "count", "estimate", "money", "ratio_digits", "with_interval"]


def assigned_tell(result: CampaignResult, evaluation: Evaluation) -> bool:
    """Whether an arm is so small in a branch that those assigned, beside their sum on the page, would tell it."""
    return any(privacy.small(n, evaluation.min_cell) for counts in result.assigned.values() for n in counts)


def money(evaluation: Evaluation) -> Callable[[float | None], str]:
    """Amounts in the currency of the evaluation."""
    return lambda amount: style.money(amount, evaluation.currency)


def with_interval(
    text: str, low: float | None, high: float | None, unit: str, evaluation: Evaluation, digits: int | None = None
) -> str:
    """A value with its interval in brackets, alone where it has none."""
    if low is None or high is None:
        return text
    digits = 0 if unit == "share" else digits
    return _("{value} ({interval})").format(
        value=text, interval=style.interval(low, high, unit, evaluation.currency, digits)
    )


def amount(value: float | None, low: float | None, high: float | None, currency: str) -> str:
    """An amount at the scale of its interval, in brackets; alone where it has none."""
    if value is None or low is None or high is None or low == high:
        return style.money(value, currency)
    return _("{value} ({interval})").format(
        value=style.money(value, currency, like=max(abs(low), abs(high))),
        interval=style.interval(low, high, "money", currency),
    )


def estimate(found: MeanDifference | None, unit: str, evaluation: Evaluation) -> str:
    """A difference with its interval; a dash where there is none."""
    if found is None:
        return style.DASH
    if unit == "money":
        return amount(found.difference, found.low, found.high, evaluation.currency)
    digits = ratio_digits(found) if unit == "ratio" else None
    text = style.value(found.difference, unit, evaluation.currency, digits)
    if unit == "points" and text != style.DASH:
        text = _("{difference} points").format(difference=text)
    return with_interval(text, found.low, found.high, unit, evaluation, digits)


def ratio_digits(found: MeanDifference) -> int:
    """Digits behind the point with which the larger end of the interval has two that count: at least 2, at most 6."""
    reach = max(abs(end or 0.0) for end in (found.low, found.high))
    return 2 if reach == 0 else min(max(2, 1 - math.floor(math.log10(reach))), 6)


def chance(probability: float) -> str:
    """A chance in per cent, bounded where it rounds to none or all."""
    if 0.005 <= probability <= 0.995:
        return style.percent(probability, 0)
    return f"< {style.percent(0.01, 0)}" if probability < 0.5 else f"> {style.percent(0.99, 0)}"


def count(result: CampaignResult, arm: str, evaluation: Evaluation) -> str:
    """Members of an arm, as far as they may be shown."""
    n = result.n_treated if arm == "treated" else result.n_control
    if n == 0 and result.gate.n_assigned > 0:
        running = result.state == "too_early" and not assigned_tell(result, evaluation)
        return style.number(sum(result.assigned.get(arm, ()))) if running else style.DASH
    return privacy.count(n, evaluation.min_cell, parts=result.by_branch(arm))
