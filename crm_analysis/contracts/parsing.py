"""Columns, relationships and rules of a contract file, from the words of the standard to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crm_analysis.contracts.model import (
    DIMENSIONS,
    OWN_TYPES,
    SEVERITIES,
    Column,
    Level,
    Relationship,
    Rule,
)
from crm_analysis.errors import ContractError, listed, nearest

_STANDARD_DIMENSION = {"conformity": "validity", "accuracy": "validity", "coverage": "completeness"}
_CUSTOM = {
    "contract": ("knownDate", "chapters"),
    "property": ("unit", "owner", "mustBeSupplied", "revealedBy", "chapters"),
    "rule": ("action", "chapters"),
}
PARAMETERS = ("data_ends_on", "after_data_ends", "contact_stale_before")


def custom(path: Path, where: str, level: str, items: Iterable[Any] | None) -> dict[str, Any]:
    """Custom properties by name. Raises ContractError for one that is not known at this level."""
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


def column(path: Path, table: str, item: Any, chapters: tuple[str, ...], owner: str) -> Column:
    """One column, with all that pages and dictionary are made from."""
    where = f"{table}.{item.name}"
    own = custom(path, where, "property", item.customProperties)
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


def relationship(path: Path, table: str, item: Any) -> Relationship:
    """A foreign key."""
    if not isinstance(item.from_, str) or not isinstance(item.to, str):
        raise ContractError(f"{path.name}: relationship {item.id}: give one column in `from` and one in `to`.")
    _, _, column = item.from_.rpartition(".")
    to_table, _, to_column = item.to.rpartition(".")
    return Relationship(id=item.id or "", column=column, to_table=to_table, to_column=to_column)


def rule(
    path: Path,
    table: str,
    column: str,
    item: Any,
    columns: Mapping[str, Column],
    chapters: tuple[str, ...],
    links: Mapping[str, str],
) -> Rule:
    """One rule. Raises ContractError where it lacks what a reader needs, or cannot be compiled."""
    where = f"rule {item.id or '(without id)'}"
    if not item.id:
        raise ContractError(f"{path.name}: a rule of {table}{'.' + column if column else ''} has no id.")
    own = custom(path, where, "rule", item.customProperties)
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
