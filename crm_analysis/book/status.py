"""The run status page: what was made when, with which versions, and which rows were set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _
from crm_analysis.report import table_html
from crm_analysis.runs import CellStatus


def page(statuses: Sequence[CellStatus], report: Mapping[str, Any]) -> str:
    """The page's text: cells with state, age and data fingerprint, library versions, rows set aside by rule."""
    cells = pd.DataFrame(
        {
            _("Period"): [status.period for status in statuses],
            _("Branch"): [status.branch for status in statuses],
            _("Chapter"): [status.chapter for status in statuses],
            _("State"): [_(status.state) for status in statuses],
            _("Seconds"): [style.number(status.seconds, 1) for status in statuses],
            _("Made (UTC)"): [status.made_at.removesuffix("+00:00").replace("T", " ") for status in statuses],
            _("Data fingerprint"): [status.data[:12] for status in statuses],
        }
    )
    versions = next((status.versions for status in statuses if status.versions), {})
    libraries = pd.DataFrame({_("Library"): list(versions), _("Version"): list(versions.values())})
    aside = [
        rule
        for rule in report["rules"]
        if rule["severity"] == "critical" and rule["level"] == "row" and rule["rows_failed"]
    ]
    rows = pd.DataFrame(
        {
            _("Table"): [rule["table"] for rule in aside],
            _("Rule"): [rule["id"] for rule in aside],
            _("Rows"): [style.number(rule["rows_failed"]) for rule in aside],
            _("What is wrong"): [_(rule["what"]) for rule in aside],
        }
    )
    return "\n\n".join(
        [
            f"# {_('Run status')}",
            _("Every page of this book with its state, the seconds its notebook took, and when it was made."),
            table_html(cells),
            f"## {_('Rows set aside')}",
            table_html(rows) if len(rows) else _("No row was set aside."),
            _("A row that breaks several rules counts under each of them here, and once in the footing of a page.")
            if len(rows) > 1
            else "",
            f"## {_('Versions')}",
            table_html(libraries),
        ]
    )
