"""Amounts with intervals and months as cells of tables, and as findings; shared by the topics of money."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import captions, cells
from crm_analysis.crm_roi.amounts import Amount
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["amount", "finding", "interval", "members", "months", "noted", "result_of"]


def amount(found: Amount | None, unit: str, currency: str = "", digits: int | None = None) -> str:
    """The value and, in brackets, its interval; a dash without a value."""
    if found is None:
        return style.DASH
    if unit == "money" and found.low is not None and found.high is not None:
        return cells.amount(found.value, found.low, found.high, currency)
    text = style.value(found.value, unit, currency, digits)
    if unit == "points" and text != style.DASH:
        text = _("{difference} points").format(difference=text)
    if found.low is None and found.high is None:
        return text
    between = interval(found, unit, currency, digits)
    return _("{value} ({interval})").format(value=text, interval=between)


def interval(found: Amount, unit: str, currency: str = "", digits: int | None = None) -> str:
    """The interval alone; an end that it does not have is said."""
    low, high = found.low, found.high
    if low is None and high is None:
        return style.DASH
    if high is None:
        return _("at least {low}").format(low=style.value(low, unit, currency, digits))
    if low is None:
        return _("at most {high}").format(high=style.value(high, unit, currency, digits))
    return style.interval(low, high, unit, currency, digits)


def months(value: float | None) -> str:
    """Months to one digit; never, if never."""
    return _("never") if value is None else _("{n} months").format(n=style.number(value, 1))


def noted(evaluation: Evaluation, title: str, frame: pd.DataFrame | None, note: str, empty: str = "") -> dict[str, Any]:
    """`captions.noted`, with a note of its own for an empty table."""
    told = captions.noted(evaluation, title, frame, note)
    return told | {"note": empty} if told["frame"] is not None and told["frame"].empty else told


def result_of(evaluation: Evaluation, key: str) -> CampaignResult:
    """The campaign of a key."""
    return next(result for result in evaluation.earlier + evaluation.closed if result.key == key)


def members(evaluation: Evaluation, key: str) -> int | None:
    """Members of both arms, unless their number would tell that of a small branch."""
    result = result_of(evaluation, key)
    tells = any(privacy.total_tells(result.by_branch(arm), evaluation.min_cell) for arm in ("treated", "control"))
    return None if tells else result.n_treated + result.n_control


def finding(
    evaluation: Evaluation,
    key: str,
    found: Amount,
    *,
    label: str,
    sentence: str,
    basis: str,
    definition: str,
    unit: str = "money",
    n: int | None = None,
    causal: bool = False,
    compare: bool = False,
) -> Finding:
    """A measure of the money, for comparison between branches and for `explain`."""
    return Finding(
        key=f"crm_roi.{key}",
        sentence=sentence,
        value=found.value,
        low=found.low,
        high=found.high,
        unit=unit,
        basis=basis,
        n=n,
        causal=causal,
        compare=compare,
        label=label,
        definition=definition,
        query=evaluation.query,
    )
