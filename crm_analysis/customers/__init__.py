"""What every chapter shares about customers: one row per customer, and the one status rule."""

from crm_analysis.customers.statuses import (
    GONE,
    STATUSES,
    Retention,
    ShareChange,
    branch_ends,
    classify,
    end_of,
    known_until,
    months_back,
    payments,
    retention,
    retention_change,
    share_change,
    status,
    status_at,
    status_back,
)
from crm_analysis.customers.summary import summarize, under_commitment

__all__ = [
    "GONE",
    "STATUSES",
    "Retention",
    "ShareChange",
    "branch_ends",
    "classify",
    "end_of",
    "known_until",
    "months_back",
    "payments",
    "retention",
    "retention_change",
    "share_change",
    "status",
    "status_at",
    "status_back",
    "summarize",
    "under_commitment",
]
