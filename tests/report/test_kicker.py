"""What stands above the verdict of a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

from crm_analysis.findings import Change, Claims, Finding
from crm_analysis.report.page import Page
from crm_analysis.units import Period

WITHOUT = Finding(key="x.share", sentence="S", value=0.5, unit="share", basis="counted", n=9)
WITH = replace(WITHOUT, change=Change(previous=0.4, difference=0.1, low=0.0, high=0.2, p=0.05))


@pytest.mark.parametrize(("finding", "said"), [(WITH, True), (WITHOUT, False)])
def test_a_day_of_comparison_is_named_only_where_a_change_is_stated(finding, said):
    profile = SimpleNamespace(name="N", text=lambda text, _language: text, calendar=SimpleNamespace(holidays={}))
    before = SimpleNamespace(as_of=date(2026, 6, 30))
    scope = SimpleNamespace(
        profile=profile,
        branch="all",
        period=Period.parse("2026Q3"),
        as_of=date(2026, 9, 30),
        complete=True,
        coverage=None,
        previous=lambda: before,
    )
    page = Page("x", scope, "en")
    assert ("change against 30 June 2026" in page._kicker(Claims(verdict="V", findings=(finding,)))) is said
