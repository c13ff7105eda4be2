"""A commented profile to start from, with a mapping proposed from an export's own header."""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import re
import shlex
import unicodedata
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

import yaml

from crm_analysis.errors import UserError, nearest
from crm_analysis.files import cannot_write, write_text

_ENCODINGS: Final = ("utf-8-sig", "cp949")
_DELIMITERS: Final = ",\t;|"
_ROWS_LOOKED_AT: Final = 20_000
_MOST_KINDS: Final = 12
_NOBODY: Final = frozenset(
    ("branch", "occurred_at", "amount", "quantity", "discount", "product", "category", "channel", "joined_on")
    + ("started_on", "cycle_months", "due_on", "amount_due", "answered_on", "satisfaction", "wave")
)
"""Columns whose first cell may stand in the profile as an example: they tell of nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What differs between organisations of one kind and another."""

    name: str
    customer: str
    customers: str
    order: str
    orders: str
    movement: str  # kind of a transaction where no column says it
    status: dict[str, float]
    status_notes: dict[str, str]
    margin: float
    margin_note: str
    per_order: int
    per_order_note: str
    window_days: int
    window_note: str
    owners: dict[str, str]
    more_tables: tuple[str, ...]
    tiers: str = "deciles"


_STATUS_NOTES: Final = {
    "new_days": "days for which somebody counts as new",
    "overdue_rhythm": "silence, in multiples of the customer's own usual gap",
    "dormant_rhythm": "the same, for dormant",
    "dormant_days": "nobody is dormant before",
    "lost_days": "everybody silent for longer is lost",
    "dormant_unpaid_months": "with a commitment: months of unpaid dues",
}
TEMPLATES: Final = MappingProxyType(
    {
        "charity": Kind(
            name="Our association",
            customer="donor", customers="donors", order="gift", orders="gifts", movement="gift",
            status={"new_days": 90, "dormant_unpaid_months": 6, "dormant_days": 365, "lost_days": 730},
            status_notes=_STATUS_NOTES, margin=0.97, margin_note="gifts less payment fees", per_order=150,
            per_order_note="receipt and booking", window_days=180,
            window_note="a gift within half a year of the answer",
            owners={"welcome": "Donor service", "retention": "Donor service", "upsell": "Fundraising",
                    "vip": "Major gifts", "data_quality": "Data steward"},
            more_tables=("customers", "commitments", "dues", "survey_responses", "campaigns", "campaign_members",
                         "costs", "contacts", "cases", "control_totals"),
            tiers="association",
        ),
        "retail": Kind(
            name="Our shops", customer="customer", customers="customers", order="purchase", orders="purchases",
            movement="sale",
            status={"new_days": 60, "overdue_rhythm": 1.5, "dormant_rhythm": 3, "dormant_days": 120, "lost_days": 365},
            status_notes=_STATUS_NOTES, margin=0.30, margin_note="gross margin on sales, before value-added tax",
            per_order=500, per_order_note="packing, card fees, delivery", window_days=90,
            window_note="a purchase within three months of the answer",
            owners={"welcome": "Stores", "retention": "CRM team", "vip": "VIP desk", "winback": "CRM team",
                    "data_quality": "Data steward"},
            more_tables=("customers", "survey_responses", "campaigns", "campaign_members", "costs", "contacts",
                         "cases", "control_totals"),
        ),
        "bank": Kind(
            name="Our bank", customer="customer", customers="customers", order="transaction", orders="transactions",
            movement="sale",
            status={"new_days": 180, "dormant_unpaid_months": 6, "overdue_rhythm": 2, "dormant_days": 365,
                    "lost_days": 1095},
            status_notes=_STATUS_NOTES, margin=1.0, margin_note="1.0 where amounts are fees and net interest already",
            per_order=0, per_order_note="cost of one transaction in the branch or by app", window_days=365,
            window_note="a product or deposit within a year of the answer",
            owners={"cross_sell": "Product management", "retention": "Branches", "vip": "Private banking",
                    "data_quality": "Data office"},
            more_tables=("customers", "commitments", "survey_responses", "campaigns", "campaign_members", "costs",
                         "contacts", "cases", "control_totals"),
        ),
        "clinic": Kind(
            name="Our clinic", customer="patient", customers="patients", order="visit", orders="visits",
            movement="sale",
            status={"new_days": 90, "overdue_rhythm": 1.5, "dormant_rhythm": 3, "dormant_days": 270, "lost_days": 730},
            status_notes=_STATUS_NOTES, margin=0.45, margin_note="fees less material and doctors' share",
            per_order=3000,
            per_order_note="reception and consumables of one visit", window_days=180,
            window_note="a visit within half a year of the answer",
            owners={"welcome": "Reception", "retention": "Patient service", "winback": "Patient service",
                    "data_quality": "Office manager"},
            more_tables=("customers", "survey_responses", "campaigns", "campaign_members", "costs", "contacts",
                         "cases", "control_totals"),
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A mapping proposed for one file. `columns` holds canonical column -> header; nothing is mapped twice."""

    path: Path
    table: str
    encoding: str
    delimiter: str
    columns: dict[str, str]
    kinds: dict[str, str]
    unmatched: tuple[str, ...]
    missing: tuple[str, ...]
    examples: dict[str, str]


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
    text = Template(_template("profile.yaml")).substitute(
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


def propose_mapping(path: str | Path) -> Proposal:
    """The table that a CSV file most looks like, and which of its headers hold which canonical columns.

    Headers are compared without blanks, punctuation, case and units in brackets; whole matches come before partial
    ones. Raises UserError where the file cannot be read as text with a header.
    """
    path = Path(path)
    text, encoding = _text(path)
    lines = [line for line in text.splitlines()[:_ROWS_LOOKED_AT] if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty. Export it again with its header.")
    delimiter = max(_DELIMITERS, key=lambda sign: len(next(csv.reader([lines[0]], delimiter=sign))))
    rows = list(csv.reader(lines, delimiter=delimiter))
    headers = [header.strip() for header in rows[0]]
    if len(headers) < 2:
        raise UserError(
            f"{path} has one column in its first line. `crm-analysis init` needs a CSV file whose first line is the "
            "header: remove a title above it."
        )
    found = {table: _match(table, headers) for table in _words().columns}
    table = max(found, key=lambda name: (_fit(name, found[name]), -list(found).index(name)))
    columns = found[table]
    cells = {
        header: [row[position].strip() for row in rows[1:] if len(row) > position and row[position].strip()]
        for position, header in enumerate(headers)
    }
    return Proposal(
        path=path,
        table=table,
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        kinds=_kinds(cells[columns["kind"]]) if "kind" in columns else {},
        unmatched=tuple(header for header in headers if header and header not in columns.values()),
        missing=tuple(name for name in _words().required[table] if name not in columns),
        examples={header: values[0] for header, values in cells.items() if values},
    )


@dataclass(frozen=True, slots=True)
class Words:
    """Headers and cells that are recognised: table -> canonical column -> words; kind -> words."""

    required: dict[str, tuple[str, ...]]
    columns: dict[str, dict[str, tuple[str, ...]]]
    kinds: dict[str, tuple[str, ...]]


@functools.cache
def _words() -> Words:
    raw = yaml.safe_load(_template("headers.yaml"))
    shared = {name: raw[name] for name in ("customer_words", "branch_words")}

    def split(words: str) -> tuple[str, ...]:
        return tuple(part for word in words.split() for part in shared.get(word, word).split())

    return Words(
        {table: tuple(given["required"]) for table, given in raw["tables"].items()},
        {
            table: {column: split(words) for column, words in given["columns"].items()}
            for table, given in raw["tables"].items()
        },
        {kind: split(words) for kind, words in raw["kinds"].items()},
    )


def _template(name: str) -> str:
    return resources.files("crm_analysis.profile").joinpath("templates", name).read_text("utf-8")


def _text(path: Path) -> tuple[str, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if raw[:2] == b"PK":
        raise UserError(
            f"{path} is an Excel workbook. Save a sheet as CSV for this; the profile may name the workbook."
        )
    for encoding in _ENCODINGS if raw[:2] not in (b"\xff\xfe", b"\xfe\xff") else ("utf-16",):
        try:
            return raw.decode(encoding), "utf-8" if encoding == "utf-8-sig" else encoding
        except UnicodeDecodeError:
            continue
    raise UserError(f"{path} is text in neither utf-8 nor cp949. Save it as UTF-8.")


def _plain(header: str) -> str:
    header = unicodedata.normalize("NFKC", header).lower()
    header = re.sub(r"[(\[<].*?[)\]>]", "", header)
    return re.sub(r"[\W_]+", "", header)


def _match(table: str, headers: list[str]) -> dict[str, str]:
    """Canonical column -> header; whole matches first, then the longest known word at a header's beginning or end."""
    wanted = _words().columns[table]
    known = {word: column for column, words in wanted.items() for word in words}
    known |= {_plain(column): column for column in wanted}
    columns: dict[str, str] = {}
    for header in headers:
        column = known.get(_plain(header))
        if column is not None and column not in columns:
            columns[column] = header
    for header in headers:
        plain = _plain(header)
        if header in columns.values() or len(plain) < 3:
            continue
        partial = [word for word in known if len(word) > 1 and (plain.endswith(word) or plain.startswith(word))]
        partial = [word for word in partial if known[word] not in columns and len(word) * 2 >= len(plain)]
        if partial:
            columns[known[max(partial, key=len)]] = header
    return {column: columns[column] for column in wanted if column in columns}


def _fit(table: str, columns: dict[str, str]) -> float:
    """Share of the required columns found, and a little for each other one."""
    required = _words().required[table]
    return sum(name in columns for name in required) / len(required) + 0.02 * len(columns)


def _kinds(cells: list[str]) -> dict[str, str]:
    """Cell -> sale, refund, gift or dues, for the cells that are recognised; '' for those that are not."""
    known = {word: kind for kind, words in _words().kinds.items() for word in words}
    distinct = list(dict.fromkeys(cells))
    if len(distinct) > _MOST_KINDS:
        return {}
    return {cell: known.get(_plain(cell), "") for cell in distinct}


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
    lines.append("    columns:")
    for column, header in proposal.columns.items():
        example = proposal.examples.get(header) if column in _NOBODY else None
        note = f"  # for example {_short(example)}" if example else ""
        if column == "kind":
            lines += _kind_lines(header, proposal.kinds)
        else:
            lines.append(f"      {column}: {_scalar(header)}{note}")
    lines += [f"      {line}" for name in proposal.missing for line in _missing_line(name, kind)]
    if proposal.unmatched:
        lines.append("      # not mapped; give them a canonical name if they hold one of the contract's columns:")
        lines += [f"      #   {_scalar(header)}" for header in proposal.unmatched]
    return "".join(f"{line}\n" for line in lines)


def _kind_lines(header: str, kinds: dict[str, str]) -> list[str]:
    sure = {cell: found for cell, found in kinds.items() if found}
    pairs = ", ".join(f"{_quoted(cell)}: {found}" for cell, found in sure.items())
    lines = [f"      kind: {{from: {_quoted(header)}, values: {{{pairs}}}}}  # to sale, refund, gift or dues"]
    unsure = [cell for cell, found in kinds.items() if not found]
    if unsure:
        lines.append(f"      # fill in above what these are: {', '.join(_short(cell) for cell in unsure)}")
    return lines


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
    words = _words()
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
