"""Reading a profile from YAML, and saying clearly what is wrong with one."""

from __future__ import annotations

import glob
import importlib.util
import os
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from crm_analysis.errors import ProfileError, listed, nearest
from crm_analysis.profile.settings import PATTERNS, Profile, Source, Table

DATA_VARIABLE = "CRM_ANALYSIS_DATA"
BUILD_VARIABLE = "CRM_ANALYSIS_BUILD"
OUTBOX_TABLES = ("campaigns", "campaign_members")
"""Tables of which every folder of the outbox holds one Parquet file."""
_SET_BY_PROGRAM = ("path", "data_root", "build_dir")


def refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """Raise YAMLError for a key that stands twice in one place, of which YAML silently keeps the last."""
    first: dict[str, yaml.ScalarNode] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and first.setdefault(key.value, key) is not key:
            line = first[key.value].start_mark.line + 1
            problem = f"`{key.value}` stands there already, in line {line}; keep one of the two"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)


class _Once(yaml.SafeLoader):
    """Refuses a key that stands twice in one place."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        refuse_repeated_keys(node)
        return node


def load(path: str | Path, *, data: str | Path | None = None, language: str | None = None) -> Profile:
    """The profile at `path`.

    The data folder is `data`, else the environment variable CRM_ANALYSIS_DATA, else the profile's own `data`; a value
    such as `package:lifetimes/datasets` names a folder inside an installed package, whose files are nowhere else, so
    that neither of the two replaces it, as neither replaces the built-in association. Everything made goes to
    `build/<id>` in the working directory, or below CRM_ANALYSIS_BUILD. Campaigns that `crm-analysis export` left in the
    outbox are sources of `campaigns` and `campaign_members` beside those that the profile names.

    Raises ProfileError with every fault of the file at once, the nearest key suggested for a misspelt one.
    """
    path = Path(path)
    raw = _mapping(path)
    for key in _SET_BY_PROGRAM:
        if key in raw:
            raise ProfileError(f"{path}: `{key}` is set by the program and cannot be written in a profile.")
    if language:
        raw["language"] = language
    build = Path(os.environ.get(BUILD_VARIABLE) or "build") / str(raw.get("id", ""))
    raw |= {"path": path, "build_dir": build, "data_root": _data_root(path, raw, data, build)}
    try:
        return _with_outbox(Profile.model_validate(raw))
    except PermissionError as error:
        folder = Path(error.filename).parent
        raise ProfileError(f"No permission to read the folder {folder}. Ask its owner for read access.") from None
    except ValidationError as error:
        faults = [_fault(item) for item in error.errors()]
        raise ProfileError(f"{path}: " + "; ".join(faults)) from None


def _with_outbox(profile: Profile) -> Profile:
    """The profile with the campaigns of its outbox among its tables."""
    tables = dict(profile.tables)
    # A pattern relative to the data folder names the files alike wherever both folders are moved together.
    outbox = Path(os.path.relpath(profile.outbox_dir, profile.data_root))
    for name in OUTBOX_TABLES:
        if any(profile.outbox_dir.glob(f"*/{name}.parquet")):
            kept = tables[name].sources if name in tables else []
            source = Source(files=[f"{glob.escape(outbox.as_posix())}/*/{name}.parquet"])
            tables[name] = Table(sources=[*kept, source])
    return profile.model_copy(update={"tables": tables})


def load_tiers(path: str | Path, profile: Profile) -> Profile:
    """The profile with the tiers that a file of their own proposes: `preset` or `rules`, and `year`, alone or under
    `tiers:` as they would stand in a profile.

    Raises ProfileError with every fault of the file at once, the nearest key suggested for a misspelt one.
    """
    path = Path(path)
    raw = _mapping(path, what="rules")
    raw = raw["tiers"] if set(raw) == {"tiers"} else raw
    try:
        return Profile.model_validate(profile.model_dump(by_alias=True, exclude_unset=True) | {"tiers": raw})
    except ValidationError as error:
        faults = [_fault(item) for item in error.errors()]
        raise ProfileError(f"{path}: " + "; ".join(faults)) from None


def _mapping(path: Path, *, what: str = "profile") -> dict[str, Any]:
    """What stands in a YAML file. Raises ProfileError where it cannot be read or holds no settings."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Once)
    except FileNotFoundError:
        there = sorted(str(found) for found in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        if what == "rules":
            raise ProfileError(
                f"There is no file of rules {path}. Without a file, --preview shows the profile's own."
            ) from None
        known = f" Profiles in that folder: {listed(there)}." if there else ""
        raise ProfileError(
            f"There is no profile {path}.{known} `crm-analysis init FOLDER` writes one to fill in."
        ) from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        raise ProfileError(f"{path} is not valid YAML{_fault_of_text(error)}") from None
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {error.strerror}.") from None
    if not isinstance(raw, dict):
        if what == "rules":
            raise ProfileError(
                f"{path} holds no rules. Write `preset: deciles`, or `rules:` as under `tiers:` in a profile."
            )
        raise ProfileError(f"{path} holds no settings. `crm-analysis init FOLDER` writes a profile to fill in.")
    return raw


def _fault_of_text(error: yaml.YAMLError) -> str:
    """Line and problem of a text that YAML cannot read."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return f": {' '.join(str(error).split())}"
    return f" in line {mark.line + 1}: {problem}."


def _data_root(path: Path, raw: dict[str, Any], data: str | Path | None, build: Path) -> Path:
    if raw.get("built_in") is not None:
        return build / "source"
    own = str(raw.get("data") or "")
    wanted = None if own.startswith("package:") else data or os.environ.get(DATA_VARIABLE)
    given = str(wanted or own)
    if given.startswith("package:"):
        package, _, folder = given.removeprefix("package:").partition("/")
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise ProfileError(f"{path}: `data` names the package {package}, which is not installed.")
        return Path(next(iter(found.submodule_search_locations))) / folder
    if wanted:
        return Path(given)
    return path.parent / given


def _fault(item: Any) -> str:
    where = ".".join(
        str(part) for part in item["loc"] if not str(part).startswith(("function-", "Column", "constrained"))
    )
    if item["type"] == "extra_forbidden":
        known = _keys_at(item["loc"][:-1])
        return f"`{where}` is not a setting.{nearest(str(item['loc'][-1]), known) or f' Known here: {listed(known)}.'}"
    if item["type"] == "missing":
        return f"`{where}` is missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "string_pattern_mismatch":
        message = PATTERNS[item["ctx"]["pattern"]]
    shown = item.get("input")
    example = f" (found {shown!r})" if isinstance(shown, str | int | float | bool) else ""
    return f"`{where}`: {message[0].lower() + message[1:]}{example}"


def _keys_at(location: tuple[Any, ...]) -> list[str]:
    """The settings that exist where a misspelt one was found."""
    here: Any = Profile
    for part in location:
        fields = _fields(here)
        if fields:
            here = _container(fields[part]) if part in fields else None
        elif get_origin(here) in (dict, list):
            here = _container(get_args(here)[-1])
    return [name for name in _fields(here) if name not in _SET_BY_PROGRAM]


def _fields(annotation: Any) -> dict[Any, Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
    return {}


def _container(annotation: Any) -> Any:
    """The settings model, mapping or list inside an annotation such as `str | Column`."""
    if _fields(annotation) or get_origin(annotation) in (dict, list):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _container(inner)) is not None), None)
