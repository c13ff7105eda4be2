"""Figures, tables and findings of the topics beyond the evaluation itself: one module per topic."""

from __future__ import annotations

from crm_analysis.crm_roi.displays import (
    cash,
    costing,
    discounts,
    effects,
    gate,
    lifetime,
    programme,
    sensitivity,
    textbook,
)
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.profile import Profile

__all__ = [
    "cash",
    "costing",
    "discounts",
    "effects",
    "findings",
    "gate",
    "lifetime",
    "programme",
    "sensitivity",
    "textbook",
]


def findings(study: Study, *, profile: Profile) -> tuple[Finding, ...]:
    """The findings of every topic, in the order of the annex."""
    found: list[Finding] = []
    for topic in (costing, cash, discounts, lifetime, programme):
        found += topic.findings(study)
    return tuple(found)
