"""Contract files read, held to the standard's own schema, and turned into `Contract` objects."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from crm_analysis import files
from crm_analysis.contracts.model import (
    DIMENSIONS,
    OWN_TYPES,
    SEVERITIES,
    Column,
    Contract,
    Freshness,
    Level,
    Relationship,
    Rule,
)
from crm_analysis.errors import ContractError, listed, nearest
from crm_analysis.profile.loading import BUILD_VARIABLE

FOLDER = files.project_folder("data_contracts")
_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD_DIMENSION = {"conformity": "validity", "accuracy": "validity", "coverage": "completeness"}
_CUSTOM = {
    "contract": ("knownDate", "chapters"),
    "property": ("unit", "owner", "mustBeSupplied", "revealedBy", "chapters"),
    "rule": ("action", "chapters"),
}
PARAMETERS = ("data_ends_on", "after_data_ends", "contact_stale_before")


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

    some_day = dict.fromkeys(PARAMETERS, date(2000, 1, 1))
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
    return hashlib.sha256(repr((version("open-data-contract-standard"), parts)).encode()).hexdigest()


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
    raw = _raw(path, text)
    if not valid:
        _validate(path, text, raw)
    from open_data_contract_standard.model import OpenDataContractStandard

    model: Any = OpenDataContractStandard(**raw)
    owner = getattr(model.team, "name", None) or ""
    if not model.schema_ or len(model.schema_) != 1:
        raise ContractError(f"{path.name}: `schema` must hold exactly one table.")
    body = model.schema_[0]
    table = body.name or ""
    own = _custom(path, "the contract", "contract", model.customProperties)
    chapters = tuple(own.get("chapters", ()))
    columns = {item.name or "": _column(path, table, item, chapters, owner) for item in body.properties or []}
    key = sorted(
        (item for item in body.properties or [] if item.primaryKey), key=lambda item: item.primaryKeyPosition or 0
    )
    description = model.description
    relationships = tuple(_relationship(path, table, item) for item in body.relationships or [])
    rules = [
        _rule(path, table, place, item, columns, chapters, {link.id: link.column for link in relationships})
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


class _Once(_YAML):
    """Refuses a key that stands twice in one place: YAML keeps the last, and the rules of the first would be gone."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault(key.value, line) != line:
                problem = f'"{key.value}" stands there already, in line {lines[key.value]}; keep one of the two'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _raw(path: Path, text: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_Once)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ContractError(f"{path.name}{line} is not YAML: {getattr(error, 'problem', None) or error}.") from error
    if not isinstance(raw, dict):
        raise ContractError(f"{path.name} holds no contract: it must begin with apiVersion, kind and id.")
    return raw


# -- the standard's schema ------------------------------------------------------------------------------------------


@functools.cache
def _schema() -> tuple[Any, dict[str, Any]]:
    import jsonschema

    schema = json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema), schema


def _validate(path: Path, text: str, raw: dict[str, Any]) -> None:
    validator, schema = _schema()
    errors = [leaf for error in validator.iter_errors(raw) for leaf in _leaves(error)]
    if not errors:
        return
    # An inner fault makes the standard reject each object around it as well: the deepest is the one to correct.
    error = max(errors, key=lambda item: (len(item.absolute_path), item.validator in _EXTRA_KEYS))
    where = list(error.absolute_path)
    if error.validator in _EXTRA_KEYS and isinstance(error.instance, dict):
        known = _keys(error.schema, schema)
        for key in error.instance:
            if key not in known:
                raise ContractError(
                    f'{path.name}, line {_line(text, [*where, key])}: {_place(raw, where)} has no key "{key}".'
                    f"{nearest(str(key), known)} Keys are those of the Open Data Contract Standard 3.1."
                )
    raise ContractError(f"{path.name}, line {_line(text, where)}: {_place(raw, where)}: {error.message}.")


_EXTRA_KEYS = ("additionalProperties", "unevaluatedProperties")


def _leaves(error: Any) -> list[Any]:
    return [leaf for inner in error.context for leaf in _leaves(inner)] if error.context else [error]


def _keys(part: Any, schema: dict[str, Any], seen: frozenset[str] = frozenset()) -> set[str]:
    """Every key that `part` of the schema or anything it refers to allows."""
    if not isinstance(part, dict):
        return set()
    found = set(part.get("properties", {}))
    reference = part.get("$ref")
    if reference and reference not in seen:
        target: Any = schema
        for step in reference.lstrip("#/").split("/"):
            target = target[step]
        found |= _keys(target, schema, seen | {reference})
    for word in ("allOf", "anyOf", "oneOf"):
        for inner in part.get(word, []):
            found |= _keys(inner, schema, seen)
    for word in ("then", "else"):
        found |= _keys(part.get(word), schema, seen)
    return found


def _place(raw: Any, path: Sequence[Any]) -> str:
    """Where in the contract: table, column and rule by name, as far as the path goes."""
    names, node = [], raw
    for step in path:
        node = node[step]
        if isinstance(step, int) and isinstance(node, dict):
            names.append(str(node.get("name") or node.get("id") or node.get("property") or step))
        elif not isinstance(step, int) and step not in ("schema", "properties"):
            names.append(str(step))
    return ".".join(names) or "the contract"


def _line(text: str, path: Sequence[Any]) -> int:
    """1-based line of what `path` leads to."""
    node = yaml.compose(text, Loader=_YAML)
    line = node.start_mark.line if node else 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            match = next(((key, value) for key, value in node.value if key.value == step), None)
            if match is None:
                break
            line, node = match[0].start_mark.line, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line
    return line + 1


# -- parts ----------------------------------------------------------------------------------------------------------


def _custom(path: Path, where: str, level: str, items: Iterable[Any] | None) -> dict[str, Any]:
    known = _CUSTOM[level]
    found = {}
    for item in items or []:
        if item.property not in known:
            raise ContractError(
                f'{path.name}: {where} has no custom property "{item.property}".'
                f"{nearest(item.property, known)} Known here: {listed(known)}."
            )
        found[item.property] = item.value
    return found


def _column(path: Path, table: str, item: Any, chapters: tuple[str, ...], owner: str) -> Column:
    where = f"{table}.{item.name}"
    own = _custom(path, where, "property", item.customProperties)
    for what, given in (
        ("description", item.description),
        ("logicalType", item.logicalType),
        ("unit", own.get("unit")),
    ):
        if not given:
            raise ContractError(f"{path.name}: {where} lacks its {what}; pages and dictionary are made from it.")
    return Column(
        name=item.name,
        logical_type=item.logicalType,
        required=bool(item.required) or bool(own.get("mustBeSupplied")),
        nullable=not item.required,
        unit=own["unit"],
        description=item.description,
        examples=tuple(item.examples or ()),
        owner=own.get("owner", owner),
        chapters=tuple(own.get("chapters", chapters)),
        revealed_by=own.get("revealedBy"),
        classification=item.classification,
    )


def _relationship(path: Path, table: str, item: Any) -> Relationship:
    if not isinstance(item.from_, str) or not isinstance(item.to, str):
        raise ContractError(f"{path.name}: relationship {item.id}: give one column in `from` and one in `to`.")
    _, _, column = item.from_.rpartition(".")
    to_table, _, to_column = item.to.rpartition(".")
    return Relationship(id=item.id or "", column=column, to_table=to_table, to_column=to_column)


def _rule(
    path: Path,
    table: str,
    column: str,
    item: Any,
    columns: Mapping[str, Column],
    chapters: tuple[str, ...],
    links: Mapping[str, str],
) -> Rule:
    where = f"rule {item.id or '(without id)'}"
    if not item.id:
        raise ContractError(f"{path.name}: a rule of {table}{'.' + column if column else ''} has no id.")
    own = _custom(path, where, "rule", item.customProperties)
    if item.severity not in SEVERITIES:
        raise ContractError(
            f'{path.name}: {where}: severity "{item.severity}" is none of {listed(SEVERITIES)}.'
            f"{nearest(str(item.severity), SEVERITIES)}"
        )
    dimension = _STANDARD_DIMENSION.get(item.dimension or "", item.dimension or "")
    if dimension not in DIMENSIONS:
        raise ContractError(
            f"{path.name}: {where} needs a dimension: completeness, conformity, uniqueness, consistency or timeliness."
        )
    if not item.description or not own.get("action"):
        raise ContractError(
            f"{path.name}: {where} needs a description (what is wrong) and the custom property action (what to do)."
        )
    engine, kind, arguments, share = _means(path, where, column, item)
    level: Level = "row" if engine == "gx" else OWN_TYPES[kind][1]
    if arguments.get("relationship") in links and not column:
        column = links[arguments["relationship"]]
    reads = _reads(path, where, engine, kind, arguments, columns, column)
    shown = column or (reads[0] if len(reads) == 1 else "")
    touched = own.get("chapters") or (_touched(reads, columns) if reads else chapters)
    return Rule(
        id=item.id, table=table, column=shown, columns=reads, dimension=dimension, severity=item.severity, level=level,
        what=item.description, action=own["action"], chapters=tuple(touched), engine=engine, type=kind,
        arguments=arguments, at_most_share=share,
    )  # fmt: skip


def _touched(reads: Iterable[str], columns: Mapping[str, Column]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chapter for name in reads for chapter in columns[name].chapters))


def _means(path: Path, where: str, column: str, item: Any) -> tuple[Any, str, dict[str, Any], float]:
    """Engine, type, arguments and accepted share of one rule of the standard."""
    problem = f"{path.name}: {where} cannot be compiled: "
    given = dict(item.arguments or {})
    if item.metric == "rowCount":
        if item.mustBeGreaterThan is None:
            raise ContractError(problem + "rowCount needs mustBeGreaterThan.")
        return "own", "row_count", {"more_than": item.mustBeGreaterThan}, 0.0
    if item.metric == "duplicateValues":
        names = given.pop("properties", [column] if column else [])
        if not names or given or item.mustBe != 0:
            raise ContractError(problem + "duplicateValues needs arguments.properties and mustBe: 0.")
        return "own", "duplicate_key", {"properties": tuple(names)}, 0.0
    if item.metric in ("nullValues", "invalidValues"):
        if not column:
            raise ContractError(problem + f"{item.metric} belongs under a column.")
        share = _share(problem, item)
        kwargs: dict[str, Any] = {"column": column}
        if share:
            kwargs["mostly"] = 1 - share
        if item.metric == "nullValues":
            return "gx", "expect_column_values_to_not_be_null", kwargs, share
        if set(given) == {"validValues"}:
            return "gx", "expect_column_values_to_be_in_set", {**kwargs, "value_set": list(given["validValues"])}, share
        if set(given) == {"pattern"}:
            return "gx", "expect_column_values_to_match_regex", {**kwargs, "regex": given["pattern"]}, share
        raise ContractError(problem + "invalidValues needs arguments.validValues or arguments.pattern.")
    if item.type == "custom" and isinstance(item.implementation, dict):
        body = dict(item.implementation)
        kind = str(body.pop("type", ""))
        if item.engine == "greatExpectations":
            kwargs = dict(body.pop("kwargs", {}))
            if body:
                raise ContractError(problem + f'implementation has no key "{next(iter(body))}"; give type and kwargs.')
            return "gx", kind, kwargs, 1 - float(kwargs.get("mostly", 1.0))
        if item.engine == "crm_analysis":
            if kind not in OWN_TYPES:
                raise ContractError(
                    problem + f'there is no type "{kind}".{nearest(kind, OWN_TYPES)} Known: {listed(OWN_TYPES, 20)}.'
                )
            allowed = OWN_TYPES[kind][0]
            if set(body) != allowed:
                raise ContractError(
                    problem + f'type "{kind}" takes {listed(sorted(allowed)) or "no arguments"}, '
                    f"not {listed(sorted(body)) or 'none'}."
                )
            return "own", kind, body, float(body.get("at_most_percent", 0)) / 100
        raise ContractError(problem + f'engine "{item.engine}" is none of greatExpectations, crm_analysis.')
    raise ContractError(
        problem
        + "give a metric (nullValues, invalidValues, duplicateValues, rowCount) or type: custom with an implementation."
    )


def _share(problem: str, item: Any) -> float:
    if item.mustBe == 0:
        return 0.0
    if item.mustBeLessOrEqualTo is not None and item.unit == "percent":
        return float(item.mustBeLessOrEqualTo) / 100
    raise ContractError(problem + f"{item.metric} needs mustBe: 0, or mustBeLessOrEqualTo with unit: percent.")


def _reads(
    path: Path,
    where: str,
    engine: str,
    kind: str,
    arguments: Mapping[str, Any],
    columns: Mapping[str, Column],
    column: str,
) -> tuple[str, ...]:
    """Columns of the rule's own table that it cannot do without."""
    if engine == "own":
        names = [arguments[key] for key in ("column", "after") if key in arguments]
        names += {
            "refund_without_sale": ["customer_id", "kind", "occurred_at"],
            "joined_after_first_transaction": ["joined_on"],
        }.get(kind, [])
        names += arguments.get("properties", ())
    else:
        names = [value for key, value in arguments.items() if key in ("column", "column_A", "column_B")]
        names += arguments.get("column_list", [])
        condition = arguments.get("row_condition")
        if condition is not None:
            names += _condition_columns(f"{path.name}: {where}", condition)
        for key, value in arguments.items():
            if key == "row_condition" or not isinstance(value, dict):
                continue
            parameter = str(value.get("$PARAMETER"))
            if parameter not in PARAMETERS:
                raise ContractError(
                    f'{path.name}: {where} cannot be compiled: there is no parameter "{parameter}".'
                    f"{nearest(parameter, PARAMETERS)} Known: {listed(PARAMETERS)}."
                )
    for name in names:
        if name not in columns:
            raise ContractError(
                f'{path.name}: {where} cannot be compiled: the table has no column "{name}".'
                f"{nearest(str(name), columns)}"
            )
    return tuple(dict.fromkeys([*([column] if column else []), *names]))


def _condition_columns(where: str, condition: Any) -> list[str]:
    """Columns in a row condition: a comparison, a nullity, or several under `conditions`."""
    if isinstance(condition, dict) and isinstance(condition.get("conditions"), list):
        return [name for inner in condition["conditions"] for name in _condition_columns(where, inner)]
    if isinstance(condition, dict) and isinstance(condition.get("column"), dict) and condition["column"].get("name"):
        return [condition["column"]["name"]]
    raise ContractError(
        f"{where} cannot be compiled: write row_condition as {{type: comparison, column: {{name: ...}}, operator: ..., "
        "parameter: ...} or {type: nullity, column: {name: ...}, is_null: ...}."
    )


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
                raise ContractError(
                    f"{contract.path.name}: relationship {link.id} leads to {link.to_table}.{link.to_column}, "
                    "which no contract has."
                )
