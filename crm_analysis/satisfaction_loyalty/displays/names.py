"""Names of levels, items and customers, and the pieces that several topics print."""

from __future__ import annotations

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile

OVERALL = "satisfaction"


def level_name(profile: Profile, label: str) -> str:
    """The name of a level; of merged levels, all their names; the score itself where the profile names none."""
    names = profile.survey.level_names
    found = []
    for part in label.split("+"):
        score = int(part) if part.lstrip("-").isdigit() else None
        known = names.get(score) if score is not None else None
        found.append(profile.text(known, language.active()) if known else _("score {score}").format(score=part))
    return " / ".join(found)


def item_name(profile: Profile, item: str) -> str:
    """The label of a survey item, or its column name; of overall satisfaction likewise."""
    if item == OVERALL:
        label = profile.survey.satisfaction.label
        return profile.text(label, language.active()) if label else _("overall satisfaction")
    settings = profile.survey.items.get(item)
    return (profile.text(settings.label, language.active()) if settings and settings.label else "") or item


def dimension_name(dimension: str) -> str:
    """The name of a dimension: the five of SERVQUAL in words, others as the profile writes them."""
    known = {
        "reliability": _("reliability"),
        "assurance": _("assurance"),
        "tangibles": _("tangibles"),
        "empathy": _("empathy"),
        "responsiveness": _("responsiveness"),
    }
    return known.get(dimension, style.plain(dimension.replace("_", " ")))


def who(profile: Profile) -> str:
    """The organisation's word for customers, as a table head."""
    word = profile.vocabulary(language.active()).customers
    return word[:1].upper() + word[1:]


def intervals(low: pd.Series, high: pd.Series, unit: str, currency: str = "") -> list[str]:
    return [style.interval(a, b, unit, currency) for a, b in zip(low, high, strict=True)]


def share_row(name: str, n: int, share: float, low: float, high: float, profile: Profile) -> tuple[str, ...]:
    if privacy.small(n, profile.privacy.min_cell):
        return name, privacy.count(n, profile.privacy.min_cell), style.DASH, style.DASH
    part, cell = round(share * n) if n else 0, profile.privacy.min_cell
    if privacy.tells(part, n, cell):
        return name, style.number(n), style.share(part, n, cell), style.DASH
    return name, style.number(n), style.percent(share), style.interval(low, high, "share")
