"""A commented profile to start from, with a mapping proposed from an export's own header."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import unicodedata
from pathlib import Path
from string import Template
from typing import Final

import yaml

from crm_analysis.errors import UserError, nearest
from crm_analysis.files import cannot_write, write_text
from crm_analysis.profile.kinds import TEMPLATES, Kind
from crm_analysis.profile.proposing import Proposal, known_words, propose_mapping, template_text

_NOBODY: Final = frozenset(
    ("branch", "occurred_at", "amount", "quantity", "discount", "product", "category", "channel", "joined_on")
    + ("started_on", "cycle_months", "due_on", "amount_due", "answered_on", "satisfaction", "wave")
)
"""Columns whose first cell may stand in the profile as an example: they tell of nobody."""


def init(folder: str | Path, template: str = "charity", *, source: str | Path | None = None) -> Path:
    """Write `folder`/profile.yaml for an organisation of the kind `template`; with `source`, mapped to that export.

    Returns the profile's path. Raises UserError where a profile is there already, the template is unknown, the source
    cannot be read or the folder cannot be written.
    """
    if template not in TEMPLATES:
        raise UserError(
            f'There is no template "{template}".{nearest(template, TEMPLATES)} Templates: {", ".join(TEMPLATES)}.'
        )
    folder = Path(folder)
    path = folder / "profile.yaml"
    if path.exists():
        raise UserError(f"{path} is there already. Name another folder, or remove it first.")
    kind = TEMPLATES[template]
    proposal = propose_mapping(source) if source is not None else None
    data = Path(os.path.relpath(proposal.path.parent.resolve(), folder.resolve())).as_posix() if proposal else "data"
    text = Template(template_text("profile.yaml")).substitute(
        path=shlex.quote(path.as_posix()),
        id=_identifier(folder),
        name=_scalar(kind.name),
        words="{"
        + f"customer: {kind.customer}, customers: {kind.customers}, order: {kind.order}, orders: {kind.orders}"
        + "}",
        data=_scalar(data),
        tables=_tables(kind, proposal),
        status="".join(f"  {key}: {value:g}  # {kind.status_notes[key]}\n" for key, value in kind.status.items()),
        margin=f"{kind.margin:g}",
        margin_note=kind.margin_note,
        per_order=kind.per_order,
        per_order_note=kind.per_order_note,
        window_days=kind.window_days,
        window_note=kind.window_note,
        tiers=kind.tiers,
        owners="\n".join(f"  {key}: {value}" for key, value in kind.owners.items()),
    )
    try:
        (folder / "data" if proposal is None else folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_text(path, text)
    return path


def _identifier(folder: Path) -> str:
    """The folder's name as an id; where that loses letters, a digest keeps two organisations apart."""
    given = unicodedata.normalize("NFC", folder.resolve().name.lower())
    name = re.sub(r"[^a-z0-9_-]+", "-", given).strip("-_")[:33]
    if name and given.isascii():
        return _scalar(name)
    return _scalar(f"{name or 'organisation'}-{hashlib.sha256(given.encode()).hexdigest()[:6]}")


def _scalar(value: str) -> str:
    """A text as YAML writes it on one line."""
    return yaml.safe_dump(value, allow_unicode=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _tables(kind: Kind, proposal: Proposal | None) -> str:
    given = _proposed(kind, proposal) if proposal else ""
    lines = [] if proposal and proposal.table == "transactions" else _example_transactions(kind)
    mapped = proposal.table if proposal else ""
    return (
        given
        + "".join(f"{line}\n" for line in lines)
        + "".join(_commented(table) for table in kind.more_tables if table != mapped)
    )


def _example_transactions(kind: Kind) -> list[str]:
    return [
        "  # The one table that must be there: a row for each payment. Left the canonical column, right your header.",
        "  # `crm-analysis init FOLDER --from FILE.csv` proposes this mapping from the file itself.",
        "  transactions:",
        '    files: ["transactions*.csv"]   # fill in; one file or several of one layout',
        "    encoding: auto               # utf-8, cp949 and euc-kr are told apart",
        "    columns:",
        "      transaction_id: 거래번호",
        "      customer_id: 고객번호        # may be empty: anonymous",
        "      branch: 지점                 # or  branch: {constant: main}",
        "      occurred_at: 거래일자",
        "      amount: 금액                 # what was paid, after discount, before value-added tax",
        f"      kind: {{constant: {kind.movement}}}   # or kind: {{from: 구분, values: {{환불: refund}}}}",
    ]


def _proposed(kind: Kind, proposal: Proposal) -> str:
    """A mapping as YAML, what was not recognised as comments beside it."""
    lines = [
        f"  # Proposed from the header of {proposal.path.name}: look at every line.",
        f"  {proposal.table}:",
        f"    files: [{_scalar(proposal.path.name)}]",
        f"    encoding: {proposal.encoding}",
    ]
    if proposal.delimiter != ",":
        lines.append(f"    delimiter: {_quoted(proposal.delimiter)}")
    if proposal.header_row > 1:
        lines.append(f"    header_row: {proposal.header_row}  # what stands above it is not read")
    lines.append("    columns:")
    for column, header in proposal.columns.items():
        example = proposal.examples.get(header) if column in _NOBODY else None
        note = f"  # for example {_short(example)}" if example else ""
        if column == "kind":
            lines += _kind_lines(header, proposal.kinds, kind)
        elif column == "amount" and proposal.paid_back:
            lines += _signed_lines(header, proposal, kind)
        else:
            lines.append(f"      {column}: {_scalar(header)}{note}")
    missing = [name for name in proposal.missing if not (name == "kind" and proposal.paid_back)]
    lines += [f"      {line}" for name in missing for line in _missing_line(name, kind)]
    if proposal.unmatched:
        lines.append("      # not mapped; give them a canonical name if they hold one of the contract's columns:")
        lines += [f"      #   {_scalar(header)}" for header in proposal.unmatched]
    return "".join(f"{line}\n" for line in lines)


def _kind_lines(header: str, kinds: dict[str, str], kind: Kind) -> list[str]:
    sure = {cell: found for cell, found in kinds.items() if found}
    pairs = ", ".join(f"{_quoted(cell)}: {found}" for cell, found in sure.items())
    lines = [f"      kind: {{from: {_quoted(header)}, values: {{{pairs}}}}}  # to sale, refund, gift or dues"]
    unsure = [cell for cell, found in kinds.items() if not found]
    if unsure:
        told = ", ".join(_short(cell) for cell in unsure)
        example = f"{_quoted(_short(unsure[0]))}: {kind.movement}"
        lines.append(f"      # fill in above what these are: {told}; such as  {example}")
    return lines


def _signed_lines(header: str, proposal: Proposal, kind: Kind) -> list[str]:
    """The amount without the minus of what was paid back, and the kind where nothing but the minus tells it."""
    cell = _column(header)
    minus = f"as_amount({cell}) < 0"
    lines = []
    paid_back = minus
    if "kind" in proposal.columns:
        words = ", ".join("'" + word.replace("'", "''") + "'" for word in proposal.paid_back)
        paid_back = f"{_column(proposal.columns['kind'])} IN ({words}) AND {minus}"
    else:
        told = f"CASE WHEN {minus} THEN 'refund' ELSE '{kind.movement}' END"
        lines += [
            "      kind:  # no column found; a minus is taken as paid back",
            f"        expression: {_scalar(told)}",
        ]
    unsigned = f"CASE WHEN {paid_back} THEN CAST(-as_amount({cell}) AS VARCHAR) ELSE {cell} END"
    return [
        *lines,
        f"      amount:  # {_scalar(header)}, a refund without its minus",
        f"        expression: {_scalar(unsigned)}",
    ]


def _column(header: str) -> str:
    """A header as an expression names it."""
    return '"' + header.replace('"', '""') + '"'


def _missing_line(name: str, kind: Kind) -> list[str]:
    match name:
        case "kind":
            return [f"kind: {{constant: {kind.movement}}}  # no column found; all rows are taken as this"]
        case "branch":
            return ["branch: {constant: main}  # no column found; fill in if there are several"]
        case "transaction_id" | "due_id" | "response_id":
            return [f"# {name}: no column found; rows are numbered"]
        case "cycle_months":
            return ["cycle_months: {constant: 1}  # no column found; taken as monthly"]
        case _:
            return [f"# {name}: fill in; it is required and no header looks like it"]


def _commented(table: str) -> str:
    words = known_words()
    columns = [f"{name}: {words.columns[table][name][0]}" for name in words.required.get(table, ())]
    lines = [f"  # {table}:", f'  #   files: ["{table}*.csv"]']
    if columns:
        lines.append("  #   columns:")
        lines += [f"  #     {column}" for column in columns]
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{escaped}"'


def _short(cell: str | None) -> str:
    text = " ".join((cell or "").split())
    return text if len(text) <= 24 else text[:23] + "…"
