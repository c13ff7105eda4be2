"""The settings of a profile, typed. A key that does not exist here is refused when the profile is loaded.

Amounts are in the profile's currency, rates are shares (0.05 is five per cent), lengths of time carry their unit in
the name.
"""

from __future__ import annotations

from crm_analysis.profile.settings.base import Settings
from crm_analysis.profile.settings.places import Column, Source, Table, is_server
from crm_analysis.profile.settings.profile import (
    PATTERNS,
    BuiltIn,
    CostToServe,
    Margin,
    Privacy,
    Profile,
    Quality,
    StatusRule,
    Value,
    Words,
)
from crm_analysis.profile.settings.programmes import EntryRule, Ranges
from crm_analysis.profile.settings.surveys import Item, Loyalty, PathModel, Survey
from crm_analysis.profile.settings.tiers import Condition, Range, TierRule, Tiers

__all__ = [
    "PATTERNS",
    "BuiltIn",
    "Column",
    "Condition",
    "CostToServe",
    "EntryRule",
    "Item",
    "Loyalty",
    "Margin",
    "PathModel",
    "Privacy",
    "Profile",
    "Quality",
    "Range",
    "Ranges",
    "Settings",
    "Source",
    "StatusRule",
    "Survey",
    "Table",
    "TierRule",
    "Tiers",
    "Value",
    "Words",
    "is_server",
]
