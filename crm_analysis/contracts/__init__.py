"""Data contracts: what each canonical table must hold, and the check that holds the data to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_analysis.contracts.loading import fingerprint, load, prove
from crm_analysis.contracts.model import Column, Contract, Freshness, Relationship, Rule
from crm_analysis.contracts.written import complete

if TYPE_CHECKING:
    from crm_analysis.contracts.checking import check
    from crm_analysis.contracts.presenting import dictionary, render
    from crm_analysis.contracts.recording import last_report
    from crm_analysis.contracts.results import Report, Result

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

_HOME = {
    "Report": "results",
    "Result": "results",
    "check": "checking",
    "last_report": "recording",
    "dictionary": "presenting",
    "render": "presenting",
}


def __getattr__(name: str) -> Any:
    """What few callers need is imported on first use: most read the contracts only."""
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
