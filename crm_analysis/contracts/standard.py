"""Contract files held to the schema of the Open Data Contract Standard, each fault with its file, line and place."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from crm_analysis.errors import ContractError, nearest
from crm_analysis.profile.loading import refuse_repeated_keys

_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Once(_YAML):
    """Refuses a key that stands twice in one place: YAML keeps the last, and the rules of the first would be gone."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        refuse_repeated_keys(node)
        return super().construct_mapping(node, deep)


def parsed(path: Path, text: str) -> dict[str, Any]:
    """The mapping in a contract file. Raises ContractError where it is not YAML, or holds a key twice."""
    try:
        raw = yaml.load(text, Loader=_Once)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ContractError(f"{path.name}{line} is not YAML: {getattr(error, 'problem', None) or error}.") from error
    if not isinstance(raw, dict):
        raise ContractError(f"{path.name} holds no contract: it must begin with apiVersion, kind and id.")
    return raw


@functools.cache
def _schema() -> tuple[Any, dict[str, Any]]:
    import jsonschema

    schema = json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema), schema


def validate(path: Path, text: str, raw: dict[str, Any]) -> None:
    """Raise ContractError for what the standard does not know, the nearest key suggested."""
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
