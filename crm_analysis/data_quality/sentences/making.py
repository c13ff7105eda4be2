"""How a finding of this chapter is made."""

from __future__ import annotations

from typing import Any

from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.findings import Change, Finding

CHAPTER = "data_quality"


def finding(assessment: Assessment, name: str, sentence: str, *, query: str, **rest: Any) -> Finding:
    """A finding under its name in this chapter, with the query behind it."""
    return Finding(key=f"{CHAPTER}.{name}", sentence=sentence, query=assessment.queries.get(query, ""), **rest)


def change(now: float | None, before: float | None) -> Change | None:
    """The difference to the period before, of which no interval is known; None where one of the two is not."""
    if now is None or before is None:
        return None
    return Change(previous=before, difference=now - before, low=None, high=None, p=None)
