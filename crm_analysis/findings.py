"""What a page may claim: findings with size, uncertainty and basis, actions, and the verdict they add up to."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

TONES = ("good", "bad", "wait", "neutral")
UNITS = ("share", "points", "money", "count", "ratio", "days", "index", "years", "none")
MOST_FINDINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Difference of a value from the previous period, with its 95 % interval and two-sided p-value."""

    previous: float | None
    difference: float
    low: float | None
    high: float | None
    p: float | None
    against: str = "previous period"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim, with all that is needed to print, compare, explain and order it.

    `value`, `low` and `high` are in `unit`: shares as 0..1, points as differences of shares (0.05 is five points),
    money in the profile's currency, an index on 0..100. `n` counts the units the value rests on. `basis` says how the
    interval was made and what it assumes. `stake` is the money a year that hangs on it. `compare` puts the value beside
    the other branches'. `definition`, `filters` and `query` are what `crm-analysis explain` prints.
    """

    key: str
    sentence: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str
    basis: str
    n: int | None
    stake: float = 0.0
    tone: str = "neutral"
    causal: bool = False
    label: str = ""
    compare: bool = False
    change: Change | None = None
    definition: str = ""
    filters: tuple[str, ...] = ()
    query: str = ""

    def __post_init__(self) -> None:
        if self.tone not in TONES:
            raise ValueError(f"{self.key}: tone {self.tone!r} is none of {TONES}")
        if self.unit not in UNITS:
            raise ValueError(f"{self.key}: unit {self.unit!r} is none of {UNITS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something to do, who does it, what it is expected to bring in a year, and what that expectation rests on."""

    key: str
    text: str
    owner: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    resting_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """All that a chapter says about one branch and period.

    `findings` are what the page prints, most important first, at most five. `measures` are further values for
    comparison between branches and for the front page; they need no sentence.
    """

    verdict: str
    findings: tuple[Finding, ...] = ()
    actions: tuple[Action, ...] = ()
    unknowns: tuple[str, ...] = ()
    measures: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if len(self.findings) > MOST_FINDINGS:
            raise ValueError(
                f"{len(self.findings)} findings; a page holds at most {MOST_FINDINGS}, the rest are measures"
            )
        keys = [finding.key for finding in self.findings + self.measures]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"findings named twice: {', '.join(twice)}")


def to_json(value: Any) -> Any:
    """A finding, action or claims as plain JSON: undefined numbers are null, others have twelve digits, since sums of
    amounts differ in their last ones with the order in which rows were added up.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value
