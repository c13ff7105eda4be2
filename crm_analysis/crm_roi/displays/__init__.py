"""Figures, tables and findings of the topics beyond the evaluation itself: one module per topic."""

from __future__ import annotations

from crm_analysis.crm_roi.displays import (
    cards,
    cash,
    costing,
    discounts,
    effects,
    gate,
    holdout,
    lifetime,
    programme,
    sensitivity,
    textbook,
    together,
)
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.profile import Profile

__all__ = [
    "cards",
    "cash",
    "costing",
    "discounts",
    "effects",
    "findings",
    "gate",
    "holdout",
    "lifetime",
    "programme",
    "sensitivity",
    "textbook",
    "together",
]


def findings(study: Study, *, profile: Profile) -> tuple[Finding, ...]:
    """The findings of every topic, in the order of the annex."""
    found: list[Finding] = []
    for topic in (together, holdout, costing, cash, discounts, lifetime, programme):
        found += topic.findings(study)
    return tuple(found)
