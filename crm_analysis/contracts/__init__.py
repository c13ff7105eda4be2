"""Data contracts: what each canonical table must hold, and the check that holds the data to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_analysis.contracts.loading import fingerprint, load, prove
from crm_analysis.contracts.model import Column, Contract, Freshness, Relationship, Rule
from crm_analysis.contracts.written import complete

if TYPE_CHECKING:
    from crm_analysis.contracts.checking import Report, Result, check, last_report
    from crm_analysis.contracts.presenting import dictionary, render

__all__ = [
    "Column",
    "Contract",
    "Freshness",
    "Relationship",
    "Report",
    "Result",
    "Rule",
    "check",
    "complete",
    "dictionary",
    "fingerprint",
    "last_report",
    "load",
    "prove",
    "render",
]

_CHECKING = ("Report", "Result", "check", "last_report")
_PRESENTING = ("dictionary", "render")


def __getattr__(name: str) -> Any:
    """What few callers need is imported on first use: most read the contracts only."""
    if name in _CHECKING:
        from crm_analysis.contracts import checking

        return getattr(checking, name)
    if name in _PRESENTING:
        from crm_analysis.contracts import presenting

        return getattr(presenting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
