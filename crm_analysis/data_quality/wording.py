"""How the chapter names things, and how it rounds and withholds them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.data_quality.completeness import EVERY
from crm_analysis.language import _
from crm_analysis.tables.footing import FUTURE


def counted(n: int, min_cell: int, *, parts: Iterable[int] = ()) -> str:
    """A number of people in a sentence by the rule of `privacy.count`, in words where there are few.

    >>> counted(3, 5), counted(12, 5), counted(0, 5)
    ('fewer than 5', '12', '0')
    """
    if privacy.small(n, min_cell):
        return _("fewer than {n}").format(n=min_cell)
    return privacy.count(n, min_cell, parts=parts)


def passing(share: float | None) -> str:
    """A share that passes; never rounded up to all of them.

    >>> passing(0.99996), passing(1.0)
    ('> 99.9\\xa0%', '100.0\\xa0%')
    """
    if share is not None and share < 1 and round(share, 3) == 1:
        return f"> {style.percent(0.999)}"
    return style.percent(share)


def small_percent(share: float | None) -> str:
    """A share that is often tiny; what is there is never written as nothing.

    >>> small_percent(0.00002), small_percent(0.0021)
    ('< 0.01\\xa0%', '0.21\\xa0%')
    """
    if share and abs(share) < 0.00005:
        return f"< {style.percent(0.0001, 2)}"
    return style.percent(share, 2)


def signed_percent(share: float | None, digits: int = 2) -> str:
    """A share that may be negative, with a true minus sign."""
    text = style.percent(share, digits)
    return f"−{text.removeprefix('-')}" if text.startswith("-") else text


def attitude_name(field: str) -> str:
    """An attitude column in words."""
    return {
        "motive": _("motive"),
        "stay_reason": _("reason to stay"),
        "interests": _("interests"),
        EVERY: _("all of them"),
    }.get(field, field)


def variable_name(variable: str) -> str:
    """A distribution in words."""
    return {
        "kind": _("kind"),
        "channel": _("channel"),
        "category": _("category"),
        "amount": _("amount"),
        "payment_method": _("payment method"),
    }.get(variable, variable)


def category_name(category: str) -> str:
    """The two categories that are ours, in words; the data's own are left as they are."""
    return {"(empty)": _("(empty)"), "(other)": _("(other)")}.get(category, category)


def dimension_name(dimension: str) -> str:
    """A dimension of quality in words."""
    return {
        "completeness": _("Completeness"),
        "validity": _("Validity"),
        "uniqueness": _("Uniqueness"),
        "consistency": _("Consistency"),
        "timeliness": _("Timeliness"),
    }.get(dimension, dimension)


def chapter_name(chapter: str) -> str:
    """A chapter in words."""
    return {
        "customer_value": _("Customer value"),
        "satisfaction_loyalty": _("Satisfaction and loyalty"),
        "crm_roi": _("Programmes"),
        "data_quality": _("Data quality"),
    }.get(chapter, chapter)


def rule_label(assessment: Assessment, rule: str) -> str:
    """What is wrong by a rule, in words, for charts and tables (not escaped)."""
    match = assessment.rules.loc[assessment.rules["id"] == rule, "what"]
    if rule == FUTURE:
        return _("dated after the end of the data")
    return _(str(match.iloc[0])) if len(match) else str(rule)


def branch_name(assessment: Assessment, branch: str) -> str:
    return style.escape(assessment.scope.profile.branch_name(branch, language.active()))


def money(assessment: Assessment, amount: float) -> str:
    """An amount; one that may not be shown is missing and says so."""
    if style.undefined(amount):
        return _("withheld")
    return style.money(amount, assessment.scope.profile.currency)


def vocabulary(assessment: Assessment) -> Any:
    return assessment.scope.profile.vocabulary(language.active())


def month_name(month: str) -> str:
    stamp = pd.Period(month, freq="M")
    if language.active() == "ko":
        return f"{stamp.year}년 {stamp.month}월"
    return stamp.strftime("%B %Y")


def listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return _("{first} and {last}").format(first=", ".join(names[:-1]), last=names[-1])


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def rounded(value: float | None) -> float | None:
    """Two significant digits: an expectation is not a count."""
    if value is None or value == 0 or not math.isfinite(value):
        return value
    scale = 10 ** (math.floor(math.log10(abs(value))) - 1)
    return round(value / scale) * scale


def people(n_persons: int, n_surplus: int, min_cell: int) -> str:
    """Persons, unless their number would give away a surplus that is not shown."""
    return _("almost as many") if privacy.small(n_surplus, min_cell) else counted(n_persons, min_cell)


def share_of(part: int, whole: int, min_cell: int) -> str:
    return style.DASH if privacy.small(part, min_cell) else style.percent(part / whole if whole else None, 2)
