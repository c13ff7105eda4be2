"""Figures, tables and findings of the topics beyond the evaluation itself: one module per topic."""

from __future__ import annotations

from crm_analysis.crm_roi.displays import (
    cards,
    comebacks,
    effects,
    gate,
    holdout,
    planning,
    replay,
    responders,
    rewards,
    thresholds,
    together,
    unrandomised,
)
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.profile import Profile

__all__ = [
    "cards",
    "comebacks",
    "effects",
    "findings",
    "gate",
    "holdout",
    "planning",
    "replay",
    "responders",
    "rewards",
    "thresholds",
    "together",
    "unrandomised",
]


def findings(study: Study, *, profile: Profile) -> tuple[Finding, ...]:
    """The findings of every topic, in the order of the annex."""
    return (
        *together.findings(study),
        *holdout.findings(study),
        *unrandomised.findings(study),
        *planning.findings(study),
        *replay.findings(study),
        *responders.findings(study),
        *thresholds.findings(study),
        *rewards.findings(study),
    )
