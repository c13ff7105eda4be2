"""What a check found, for the terminal; what the contracts say, for the book's data dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crm_analysis.contracts.model import Column, Contract
from crm_analysis.contracts.results import Report, Result
from crm_analysis.language import _

_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


def render(report: Report) -> Group:
    """The breaches as a table for the terminal, and a closing line. Holds identifiers: never for a page."""
    if not report.breaches:
        return Group(Text(closing(report), style="green"))
    table = Table(show_lines=True, expand=True)
    for heading, ratio in ((_("Rule"), 7), (_("Table"), 4), (_("Column"), 3)):
        table.add_column(heading, ratio=ratio, overflow="fold")
    table.add_column(_("Rows"), justify="right", no_wrap=True)
    table.add_column(_("Share"), justify="right", no_wrap=True)
    table.add_column(_("First examples"), ratio=7, overflow="fold")
    table.add_column(_("What is wrong, what to do"), ratio=9, overflow="fold")
    for item in report.breaches:
        rule = item.rule
        table.add_row(
            Text.assemble(rule.id, "\n", (_(rule.severity), _STYLES[rule.severity])),
            Text(rule.table),
            Text(rule.column or ", ".join(rule.columns)),
            Text(f"{item.rows_failed:,}"),
            Text(share(item)),
            Text("\n".join(item.examples)),
            Text(f"{_(rule.what)} {_(rule.action)}"),
        )
    return Group(table, Text(closing(report), style=_STYLES[report.breaches[0].rule.severity]))


def share(item: Result) -> str:
    """Share of failing rows, never rounded to nothing."""
    value = item.share
    return "< 0.01 %" if 0 < value < 0.0001 else f"{value:.2%}".replace("%", " %")


def closing(report: Report) -> str:
    """One sentence: rules checked and broken, rows set aside, whether a report can follow."""
    away, rows = sum(report.set_aside.values()), sum(report.rows.values())
    facts = {
        "rules": len(report.results), "others": len(report.not_applicable), "breaches": len(report.breaches),
        "critical": sum(item.rule.severity == "critical" for item in report.breaches),
        "away": f"{away:,}", "rows": f"{rows:,}",
    }  # fmt: skip
    if report.stopping:
        names = ", ".join(item.rule.id for item in report.stopping)
        return _(
            "{breaches} of {rules} rules broken. No report can be made until these are put right: {names}."
        ).format(names=names, **facts)
    if not report.breaches:
        return _("{rules} rules checked, none broken; {others} do not apply. No row of {rows} is set aside.").format(
            **facts
        )
    if not away:
        return _(
            "{rules} rules checked, {breaches} broken, none critical; {others} do not apply. "
            "No row of {rows} is set aside."
        ).format(**facts)
    return _(
        "{breaches} of {rules} rules broken, {critical} of them critical; {others} do not apply. {away} of {rows} rows "
        "are set aside; a report can be made of the others."
    ).format(**facts)


# -- dictionary -------------------------------------------------------------------------------------------------------

_TYPES = {
    "string": "text", "number": "number", "integer": "whole number", "date": "date", "timestamp": "date and time",
    "boolean": "yes or no",
}  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~^&])")


def escaped(text: str) -> str:
    """Text that Markdown and MyST show as it is, inside a table cell too; the book itself makes `$` inert."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def dictionary(contracts: Mapping[str, Contract]) -> dict[str, str]:
    """One Markdown page per table: every column with its meaning, every rule with what happens when it is broken."""
    return {name: _page(contract) for name, contract in contracts.items()}


def _page(contract: Contract) -> str:
    parts = [
        f"# {escaped(contract.title)}",
        f"`{contract.table}`: "
        + " ".join(escaped(_(text)) for text in (contract.purpose, contract.usage, contract.limitations)),
        _rows([
            (_("One row"), escaped(_(contract.grain))),
            (_("Key"), ", ".join(f"`{name}`" for name in contract.primary_key)),
            (_("Known from"), f"`{contract.known_date}`" if contract.known_date else _("always")),
            (_("Owner"), escaped(_(contract.owner))),
            (_("Read by"), ", ".join(f"`{chapter}`" for chapter in ("data_quality", *contract.chapters))),
        ]),
        f"## {_('Columns')}",
        _grid(
            (_("Column"), _("Meaning"), _("Type"), _("Unit"), _("Must be supplied"), _("Examples"), _("Owner")),
            [_column_cells(column) for column in contract.columns.values()],
        ),
    ]  # fmt: skip
    if contract.relationships:
        parts += [
            f"## {_('Foreign keys')}",
            "\n".join(f"- `{link.column}` → `{link.to_table}.{link.to_column}`" for link in contract.relationships),
        ]
    if contract.freshness:
        parts += [
            f"## {_('Freshness')}",
            "\n".join(
                "- "
                + _("`{column}`: the newest is at most {days} days old.").format(column=item.column, days=item.days)
                for item in contract.freshness
            ),
        ]
    parts += [
        f"## {_('Rules')}",
        _grid(
            (_("Rule"), _("Dimension"), _("Severity"), _("Broken when"), _("What to do")),
            [
                (
                    f"`{rule.id}`", _(rule.dimension), _severity(rule.severity, rule.level),
                    escaped(_(rule.what)), escaped(_(rule.action)),
                )
                for rule in contract.rules
            ],
        ),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _column_cells(column: Column) -> tuple[str, ...]:
    meaning = escaped(_(column.description))
    if column.revealed_by and column.revealed_by != column.name:
        meaning += " " + _("Known from `{column}` on.").format(column=column.revealed_by)
    need = _("yes, may be empty") if column.required and column.nullable else _("yes") if column.required else ""
    examples = ", ".join(f"`{_plain(value)}`" for value in column.examples)
    return (
        f"`{column.name}`",
        meaning,
        _(_TYPES[column.logical_type]),
        escaped(_(column.unit)),
        need,
        examples,
        escaped(_(column.owner)),
    )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("`", "'").replace("|", "/")


def _severity(severity: str, level: str) -> str:
    if severity != "critical":
        return _(severity)
    return _("critical: the row is set aside") if level == "row" else _("critical: no report is made")


def _rows(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}**: {value}" for name, value in pairs if value)


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*table, *("| " + " | ".join(line) + " |" for line in lines)])
