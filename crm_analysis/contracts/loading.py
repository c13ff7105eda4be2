"""Contract files read, held to the standard's own schema, and turned into `Contract` objects."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crm_analysis import files
from crm_analysis.contracts import parsing, standard
from crm_analysis.contracts.model import (
    Contract,
    Freshness,
)
from crm_analysis.errors import ContractError, listed, nearest
from crm_analysis.profile.loading import BUILD_VARIABLE

FOLDER = files.project_folder("data_contracts")


def load(folder: Path | str | None = None) -> dict[str, Contract]:
    """The contracts in `folder` (by default the repository's `data_contracts/`), by table name.

    Every file is validated against the Open Data Contract Standard's schema before it is read. Raises ContractError
    naming file, line, place and the nearest existing key for a misspelt one, and naming the rule where one refers to
    something that does not exist.
    """
    place = Path(folder) if folder is not None else FOLDER
    paths = sorted(place.glob("*.yaml"))
    if not paths:
        raise ContractError(f"No contract was found: {place} holds no .yaml file. Restore it from the repository.")
    texts = tuple((path, _text(path)) for path in paths)
    return dict(_loaded(texts, _digest(texts) == _known_valid()))


def prove() -> None:
    """Hold every contract to the standard and compile each rule of Great Expectations, before any data are read.

    Costs nothing where the build folder notes that these very files passed. Raises ContractError as `load` does, and
    for a rule that cannot be compiled.
    """
    texts = tuple((path, _text(path)) for path in sorted(FOLDER.glob("*.yaml")))
    if texts and _digest(texts) == _known_valid():
        return
    loaded = load()
    from crm_analysis.contracts.compiling import expectation

    some_day = dict.fromkeys(parsing.PARAMETERS, date(2000, 1, 1))
    for contract in loaded.values():
        for rule in contract.rules:
            if rule.engine == "gx":
                expectation(rule, contract, some_day)


def remember_valid(contracts: Mapping[str, Contract], build: Path) -> None:
    """Note in the build folder that these very files passed the standard's schema and their rules compile.

    Holding fourteen files to the schema takes a second; every process reads them, the check alone writes the note.
    """
    texts = tuple((contract.path, _text(contract.path)) for contract in contracts.values())
    if files.read_json(build / _NOTE) != {"valid": _digest(texts)}:
        files.write_json(build / _NOTE, {"valid": _digest(texts)})


_NOTE = "contracts.json"


def _known_valid() -> str:
    stored = files.read_json(Path(os.environ.get(BUILD_VARIABLE) or "build") / _NOTE)
    return str(stored.get("valid", "")) if isinstance(stored, dict) else ""


def _digest(texts: Iterable[tuple[Path, str]]) -> str:
    parts = sorted((path.name, text) for path, text in texts)
    reader = files.sha256_of(sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(repr((version("open-data-contract-standard"), reader, parts)).encode()).hexdigest()


def fingerprint(folder: Path | str | None = None) -> str:
    """A digest of the contract files: changes whenever a rule or its text does."""
    place = Path(folder) if folder is not None else FOLDER
    digest = hashlib.sha256()
    for path in sorted(place.glob("*.yaml")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path.name} cannot be read: {error}. Contracts are UTF-8 text.") from error


@functools.lru_cache(maxsize=4)
def _loaded(texts: tuple[tuple[Path, str], ...], valid: bool) -> Mapping[str, Contract]:
    contracts: dict[str, Contract] = {}
    for path, text in texts:
        contract = _contract(path, text, valid)
        if contract.table in contracts:
            raise ContractError(
                f'{path.name}: the table "{contract.table}" already has a contract, '
                f"{contracts[contract.table].path.name}."
            )
        contracts[contract.table] = contract
    _held_together(contracts)
    return contracts


def _contract(path: Path, text: str, valid: bool) -> Contract:
    raw = standard.parsed(path, text)
    if not valid:
        standard.validate(path, text, raw)
    from open_data_contract_standard.model import OpenDataContractStandard

    model: Any = OpenDataContractStandard(**raw)
    owner = getattr(model.team, "name", None) or ""
    if not model.schema_ or len(model.schema_) != 1:
        raise ContractError(f"{path.name}: `schema` must hold exactly one table.")
    body = model.schema_[0]
    table = body.name or ""
    own = parsing.custom(path, "the contract", "contract", model.customProperties)
    chapters = tuple(own.get("chapters", ()))
    columns = {item.name or "": parsing.column(path, table, item, chapters, owner) for item in body.properties or []}
    key = sorted(
        (item for item in body.properties or [] if item.primaryKey), key=lambda item: item.primaryKeyPosition or 0
    )
    description = model.description
    relationships = tuple(parsing.relationship(path, table, item) for item in body.relationships or [])
    rules = [
        parsing.rule(path, table, place, item, columns, chapters, {link.id: link.column for link in relationships})
        for place, items in [("", body.quality), *((prop.name or "", prop.quality) for prop in body.properties or [])]
        for item in items or []
    ]
    contract = Contract(
        table=table,
        title=model.name or table,
        purpose=description.purpose if description else "",
        usage=description.usage if description else "",
        limitations=description.limitations if description else "",
        owner=owner,
        grain=body.dataGranularityDescription or "",
        columns=columns,
        primary_key=tuple(item.name for item in key),
        relationships=relationships,
        rules=tuple(rules),
        freshness=tuple(
            Freshness(id=item.id or "", column=(item.element or "").rpartition(".")[2], days=int(item.value))
            for item in model.slaProperties or []
            if item.property == "latency"
        ),
        known_date=own.get("knownDate"),
        chapters=chapters,
        path=path,
    )
    _check_names(contract)
    return contract


def _check_names(contract: Contract) -> None:
    """Names that one part of a contract uses for another must exist."""
    file, columns = contract.path.name, contract.columns
    if contract.known_date is not None and contract.known_date not in columns:
        raise ContractError(
            f'{file}: knownDate names no column: "{contract.known_date}".{nearest(contract.known_date, columns)}'
        )
    for column in columns.values():
        if column.revealed_by and column.revealed_by not in columns:
            raise ContractError(
                f'{file}: {contract.table}.{column.name}: revealedBy names no column: "{column.revealed_by}".'
                f"{nearest(column.revealed_by, columns)}"
            )
    for link in contract.relationships:
        if link.column not in columns:
            raise ContractError(
                f'{file}: relationship {link.id}: no column "{link.column}".{nearest(link.column, columns)}'
            )
    relationships = {link.id for link in contract.relationships}
    levels = {item.id for item in contract.freshness}
    for rule in contract.rules:
        for key, known in (("relationship", relationships), ("sla", levels)):
            name = rule.arguments.get(key) if rule.engine == "own" else None
            if name is not None and name not in known:
                raise ContractError(
                    f'{file}: rule {rule.id} cannot be compiled: there is no {key} "{name}".{nearest(str(name), known)}'
                )
    checked = {rule.arguments["relationship"] for rule in contract.rules if rule.type == "foreign_key"}
    unchecked = relationships - checked
    if unchecked:
        raise ContractError(
            f"{file}: no rule checks the relationship {listed(sorted(unchecked))}; add one of type foreign_key."
        )


def _held_together(contracts: Mapping[str, Contract]) -> None:
    """Foreign keys lead somewhere, and a rule's id names one rule."""
    seen: dict[str, str] = {}
    for contract in contracts.values():
        for rule in contract.rules:
            if rule.id in seen:
                raise ContractError(f"{contract.path.name}: the rule id {rule.id} is already used in {seen[rule.id]}.")
            seen[rule.id] = contract.path.name
        for link in contract.relationships:
            target = contracts.get(link.to_table)
            if target is None or link.to_column not in target.columns:
                near = nearest(link.to_table, contracts) if target is None else nearest(link.to_column, target.columns)
                raise ContractError(
                    f"{contract.path.name}: relationship {link.id} leads to {link.to_table}.{link.to_column}, "
                    f"which no contract has.{near}"
                )
