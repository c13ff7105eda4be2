"""The only door to data: sources read into canonical tables, opened as ibis tables, restricted to branch and period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_analysis.tables.ingestion import ingest

if TYPE_CHECKING:
    from crm_analysis.tables.scopes import ALL, LATEST, Scope, Tables, open

__all__ = ["ALL", "LATEST", "Scope", "Tables", "ingest", "open"]


def __getattr__(name: str) -> Any:
    """Opening needs ibis, which the unchanged path of a run does without."""
    if name in __all__:
        from crm_analysis.tables import scopes

        return getattr(scopes, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
