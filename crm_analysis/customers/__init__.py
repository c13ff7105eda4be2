"""What every chapter shares about customers: one row per customer, and the one status rule."""

from crm_analysis.customers.status import (
    GONE,
    STATUSES,
    Retention,
    RetentionChange,
    classify,
    retention,
    retention_change,
    status,
    status_at,
)
from crm_analysis.customers.summary import summarize

__all__ = [
    "GONE",
    "STATUSES",
    "Retention",
    "RetentionChange",
    "classify",
    "retention",
    "retention_change",
    "status",
    "status_at",
    "summarize",
]
