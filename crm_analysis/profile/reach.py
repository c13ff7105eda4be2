"""Which customers a tier rule can reach: bounds of measures, and rules that nobody is left for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_analysis.profile.settings import Condition, Range, TierRule

MOST_WAYS = 500  # in which one rule may be fulfilled
Bounds = tuple[tuple[float, bool], tuple[float, bool]]
Way = dict[str, Any]


def ranges(condition: Condition) -> dict[str, Range]:
    """The measures that a condition bounds itself, by name."""
    found = {
        "visits": condition.visits,
        "amount": condition.amount,
        "profit": condition.profit,
        "n_orders": condition.n_orders,
        "tenure_months": condition.tenure_months,
        "unpaid_months": condition.unpaid_months,
        "days_since_last": condition.days_since_last,
    }
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def within(bounds: Range) -> Bounds | None:
    """Lower and upper limit, each with whether it is open; None where no value lies between."""
    low = max((value, opened) for value, opened in _limits(bounds.at_least, bounds.more_than, -math.inf))
    high = min((value, not opened) for value, opened in _limits(bounds.at_most, bounds.less_than, math.inf))
    return _between(low, (high[0], not high[1]))


def _limits(closed: float | None, opened: float | None, else_: float) -> list[tuple[float, bool]]:
    given = [(value, is_open) for value, is_open in ((closed, False), (opened, True)) if value is not None]
    return given or [(else_, False)]


def _between(low: tuple[float, bool], high: tuple[float, bool]) -> Bounds | None:
    empty = low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))
    return None if empty else (low, high)


def fault(rules: Sequence[TierRule]) -> str:
    """What is wrong with rules tried in this order, or an empty text.

    Names twice, a last rule that leaves somebody out, a rule that nobody can fulfil, and one that everybody who
    fulfils it has fulfilled before. The last is found where one earlier rule takes each way of fulfilling it in.
    """
    if not rules:
        return ""
    seen: dict[str, str] = {}
    earlier: list[tuple[str, Way]] = []
    for rule in rules:
        name = rule.name if isinstance(rule.name, str) else next(iter(rule.name.values()))
        for text in {rule.name} if isinstance(rule.name, str) else set(rule.name.values()):
            if text.strip().casefold() in seen:
                return f'two rules are named "{text}"; each tier needs a name of its own'
            seen[text.strip().casefold()] = name
        found = ways(rule)
        if len(found) > MOST_WAYS:
            return f'"{name}" can be fulfilled in more than {MOST_WAYS} ways; write it as several rules'
        if not found:
            return f'nobody can fulfil "{name}": its conditions contradict each other'
        takers = [next((by for by, taken in earlier if _inside(way, taken)), None) for way in found]
        if all(taker is not None for taker in takers):
            return (
                f'nobody is left for "{name}": whoever fulfils it is in "{takers[0]}" before; put it first or change it'
            )
        earlier += [(name, way) for way in found]
    if not any(not way for _name, way in earlier):
        return f'the last rule, "{name}", leaves somebody without a tier: add one without conditions (`- name: Others`)'
    return ""


def ways(condition: Condition) -> list[Way]:
    """Each way of fulfilling a condition: by measure the bounds, values or largest top share that it leaves.

    Contradictory ways are left out; the list stops just beyond `MOST_WAYS`.
    """
    own: Way = {}
    for name, bounds in ranges(condition).items():
        limits = within(bounds)
        if limits not in (None, ((-math.inf, False), (math.inf, False))):
            own[name] = limits
        if bounds.top_share is not None:
            own[f"{name} top"] = bounds.top_share
    if condition.regular_transfer is not None:
        own["regular_transfer"] = frozenset([condition.regular_transfer])
    if condition.status is not None:
        own["status"] = frozenset(condition.status)
    found = [own]
    parts = [ways(part) for part in condition.all]
    if condition.any:
        parts.append([way for part in condition.any for way in ways(part)])
    for part in parts:
        both = (_both(*pair) for pair in product(found, part[: MOST_WAYS + 1]))
        found = [way for way in both if way is not None][: MOST_WAYS + 1]
    return found


def _both(first: Way, second: Way) -> Way | None:
    """A way that is both; None where they contradict each other."""
    result = dict(first)
    for name, limits in second.items():
        joined = limits
        if name in result:
            held = result[name]
            if isinstance(limits, frozenset):
                joined = held & limits or None
            elif isinstance(limits, float):
                joined = min(held, limits)
            else:
                low, high = max(held[0], limits[0]), min(held[1], limits[1], key=lambda end: (end[0], not end[1]))
                joined = _between(low, high)
        if joined is None:
            return None
        result[name] = joined
    return result


def _inside(way: Way, other: Way) -> bool:
    """Whether everybody who fulfils `way` fulfils `other`."""
    return all(name in way and _narrower(way[name], limits) for name, limits in other.items())


def _narrower(limits: Any, other: Any) -> bool:
    if isinstance(limits, frozenset | float):
        return bool(limits <= other)
    (low, high), (other_low, other_high) = limits, other
    return low >= other_low and (high[0], not high[1]) <= (other_high[0], not other_high[1])
