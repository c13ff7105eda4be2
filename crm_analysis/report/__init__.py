"""What a notebook shows: the opening of a page, its figures and tables, its footing, and the bundle of its findings.

Every element displays as HTML in JupyterLab and carries, under `ELEMENT`, what the book makes of it. `Page.close` ends
a notebook and carries, under `BUNDLE`, the findings that the run matrix stores.
"""

from __future__ import annotations

from crm_analysis.report.elements import (
    BUNDLE,
    ELEMENT,
    Closing,
    Element,
    figure,
    heading,
    svg,
    table,
    table_html,
    tables_below,
    text,
)
from crm_analysis.report.lines import actions_html, footing_line, rule_in_short, support_line
from crm_analysis.report.page import Page, open_page

__all__ = [
    "BUNDLE",
    "ELEMENT",
    "Closing",
    "Element",
    "Page",
    "actions_html",
    "figure",
    "footing_line",
    "heading",
    "open_page",
    "rule_in_short",
    "support_line",
    "svg",
    "table",
    "table_html",
    "tables_below",
    "text",
]
