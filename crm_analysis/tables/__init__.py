"""The only door to data: sources read into canonical tables, opened as ibis tables, restricted to branch and period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_analysis.tables.ingestion import ingest
from crm_analysis.tables.staging import ALL

if TYPE_CHECKING:
    from crm_analysis.tables.opening import LATEST, Tables, open
    from crm_analysis.tables.scopes import Scope

__all__ = ["ALL", "LATEST", "Scope", "Tables", "ingest", "open"]


def __getattr__(name: str) -> Any:
    """Opening needs ibis, which the unchanged path of a run does without."""
    if name == "Scope":
        from crm_analysis.tables.scopes import Scope

        return Scope
    if name in __all__:
        from crm_analysis.tables import opening

        return getattr(opening, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
