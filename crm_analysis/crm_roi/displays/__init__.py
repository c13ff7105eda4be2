"""Figures, tables and findings of the topics beyond the evaluation itself: one module per topic."""

from __future__ import annotations

import pandas as pd

from crm_analysis.crm_roi.displays import (
    cards,
    cash,
    comebacks,
    costing,
    discounts,
    effects,
    gate,
    holdout,
    lifetime,
    planning,
    programme,
    replay,
    responders,
    rewards,
    sensitivity,
    textbook,
    thresholds,
    together,
    unrandomised,
)
from crm_analysis.crm_roi.evaluation import member_lists
from crm_analysis.crm_roi.responders import advised_lists
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.profile import Profile

__all__ = [
    "cards",
    "cash",
    "comebacks",
    "costing",
    "discounts",
    "effects",
    "findings",
    "gate",
    "holdout",
    "lifetime",
    "lists",
    "planning",
    "programme",
    "replay",
    "responders",
    "rewards",
    "sensitivity",
    "textbook",
    "thresholds",
    "together",
    "unrandomised",
]


def findings(study: Study, *, profile: Profile) -> tuple[Finding, ...]:
    """The findings of every topic, in the order of the annex."""
    found: list[Finding] = []
    topics = (
        together,
        holdout,
        unrandomised,
        costing,
        cash,
        discounts,
        lifetime,
        programme,
        planning,
        replay,
        responders,
        thresholds,
        rewards,
    )
    for topic in topics:
        found += topic.findings(study)
    return tuple(found)


def lists(study: Study) -> dict[str, pd.DataFrame]:
    """The customers behind the findings, and those whom an advised rule would choose, by finding key."""
    return member_lists(study.evaluation) | advised_lists(study.responders)
