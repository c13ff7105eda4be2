"""What a cell of the matrix depends on, as fingerprints: its notebook, the code behind it, settings, versions, words.

Modules are read, not imported: an unchanged run costs neither pandas nor a chapter.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crm_analysis
from crm_analysis import files, language
from crm_analysis.errors import ScopeError, UserError, nearest
from crm_analysis.profile import Profile

PACKAGE = Path(crm_analysis.__file__).parent
CONTRACTS = files.project_folder("data_contracts")
ANALYSES = files.project_folder("analyses")
LIBRARIES = (
    "babel", "duckdb", "ibis-framework", "ipykernel", "koreanize-matplotlib", "matplotlib", "numpy", "pandas",
    "papermill", "pyarrow", "scipy", "seaborn", "statsmodels",
)  # fmt: skip
_RUN_SETTINGS = {"path", "data_root", "build_dir"}


def digest(value: Any) -> str:
    """Twenty hexadecimal digits for any plain value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True, slots=True)
class Notebook:
    """A chapter's notebook as stored: its path, its cells' source, the names and defaults of its parameters."""

    chapter: str
    path: Path
    source: tuple[tuple[str, str, tuple[str, ...]], ...]
    parameters: Mapping[str, Any]

    @classmethod
    def read(cls, chapter: str, folder: Path = ANALYSES) -> Notebook:
        """Raises UserError where there is no such chapter, or its notebook has no parameters cell of plain values."""
        path = folder / f"{chapter}.ipynb"
        if not path.is_file():
            known = available(folder)
            raise UserError(f'There is no chapter "{chapter}".{nearest(chapter, known)} Chapters: {", ".join(known)}.')
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        except (ValueError, KeyError) as error:
            raise UserError(f"{path} is not a notebook: {error}. Restore it from version control.") from None
        source = tuple(
            (cell["cell_type"], "".join(cell["source"]), tuple(cell.get("metadata", {}).get("tags", ())))
            for cell in cells
        )
        return cls(chapter, path, source, _parameters(path, source))

    @property
    def code(self) -> str:
        """All code cells, one below the other; lines meant for IPython are left out."""
        lines = "\n".join(text for kind, text, _ in self.source if kind == "code").splitlines()
        return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))

    def check(self, given: Mapping[str, Any]) -> None:
        """Raises UserError for a parameter that the notebook does not have, or a value of another kind than its own."""
        for name, value in given.items():
            if name not in self.parameters:
                hint = nearest(name, self.parameters)
                raise UserError(
                    f'{self.path} has no parameter "{name}".{hint} Its parameters: {", ".join(self.parameters)}.'
                )
            own = self.parameters[name]
            if own is None or type(value) is type(own) or (type(own) is float and type(value) is int):
                continue
            kinds = [_KINDS.get(type(each), type(each).__name__) for each in (own, value)]
            raise UserError(
                f'{self.path}: the parameter "{name}" is {kinds[0]}, such as {own}; {value!r} is {kinds[1]}.'
            )


def refuse_stray(parameters: Iterable[str], chapters: Iterable[str]) -> None:
    """Raises ScopeError where one of the chapters that `parameters` are for is not among those to run."""
    for chapter in set(parameters) - set(chapters):
        raise ScopeError(f'Parameters are given for "{chapter}", which is not among the chapters to run.')


def available(folder: Path = ANALYSES) -> list[str]:
    """Chapters that have a notebook."""
    return sorted(path.stem for path in folder.glob("*.ipynb"))


def _parameters(path: Path, source: tuple[tuple[str, str, tuple[str, ...]], ...]) -> dict[str, Any]:
    tagged = [text for kind, text, tags in source if kind == "code" and "parameters" in tags]
    if len(tagged) != 1:
        raise UserError(f"{path} has {len(tagged)} cells tagged `parameters`; it needs exactly one.")
    found = {}
    for statement in ast.parse(tagged[0]).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if not isinstance(target, ast.Name) or value is None:
            raise UserError(f'{path}: the parameters cell may hold only lines like `branch = "all"`.')
        try:
            found[target.id] = ast.literal_eval(value)
        except ValueError:
            raise UserError(f"{path}: the parameter `{target.id}` is not a plain value.") from None
    return found


class Sources:
    """The package's modules, read once: their hashes, what they import, which settings they touch.

    What was read is remembered in `memory` by size and modification time.
    """

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        self._known: dict[str, dict[str, Any]] = files.read_json(memory) or {}
        self._fresh: dict[str, dict[str, Any]] = {}

    def save(self) -> None:
        """Remember what was read, if anything was new."""
        if any(self._known.get(name) != entry for name, entry in self._fresh.items()):
            files.write_json(self.memory, self._fresh)

    def closure(self, code: str) -> list[dict[str, Any]]:
        """Entries of every module of the package that `code` reaches through imports, sorted by name."""
        reached: dict[str, dict[str, Any]] = {}
        waiting = sorted(read(code, "")["imports"])
        while waiting:
            name = waiting.pop()
            entry = self._entry(name)
            if entry is None or entry["name"] in reached:
                continue
            reached[entry["name"]] = entry
            waiting += entry["imports"]
            parent = entry["name"].rpartition(".")[0]
            if parent:
                waiting.append(parent)
        return [reached[name] for name in sorted(reached)]

    def _entry(self, name: str) -> dict[str, Any] | None:
        """The module called `name`, or the one that holds the function called so; None outside the package."""
        path = _module_path(name)
        while path is None and "." in name:
            name = name.rpartition(".")[0]
            path = _module_path(name)
        if path is None:
            return None
        stat = path.stat()
        stamp = [stat.st_mtime_ns, stat.st_size]
        entry = self._fresh.get(name) or self._known.get(name)
        if entry is None or entry["stamp"] != stamp or entry["path"] != str(path):
            text = path.read_text(encoding="utf-8")
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            entry = {"name": name, "path": str(path), "stamp": stamp, "sha": digest(text), **read(text, package)}
        self._fresh[name] = entry
        return entry


@functools.cache
def _module_path(name: str) -> Path | None:
    top, *rest = name.split(".")
    if top != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*rest)
    for path in (base / "__init__.py", base.with_suffix(".py")) if rest else (base / "__init__.py",):
        if path.is_file():
            return path
    return None


def read(text: str, package: str) -> dict[str, list[str]]:
    """Dotted names that code imports, of the package and of others, and settings of a profile that it may read."""
    own: set[str] = set()
    others: set[str] = set()
    settings: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            names = [f"{source}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            settings.add(node.attr)
        for name in names:
            (own if name.split(".")[0] == PACKAGE.name else others).add(name)
    others = {name for name in others if name.split(".")[0] not in sys.stdlib_module_names}
    return {"imports": sorted(own), "others": sorted(others), "settings": sorted(settings & set(Profile.model_fields))}


def settings_used(profile: Profile, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The profile's sections that some of `entries` may read; where its files are is not among them."""
    named = {name for entry in entries for name in entry["settings"]} - _RUN_SETTINGS
    return profile.model_dump(mode="json", include=named)


def package_data() -> str:
    """Fingerprint of the package's files that are no modules (style sheets, templates), catalogs apart."""
    kept = (".css", ".json", ".yaml", ".md", ".js")
    paths = [p for p in sorted(PACKAGE.rglob("*")) if p.suffix in kept and p.is_file()]
    return files.sha256_of(paths)[:20]


def contracts() -> str:
    """Fingerprint of the data contracts."""
    return files.sha256_of(sorted(CONTRACTS.glob("*.yaml")))[:20]


def catalog(name: str) -> str:
    """Fingerprint of a language's catalog; empty for the source language."""
    return "" if name == language.SOURCE else files.sha256_of(sorted((language.FOLDER / name).glob("*.po")))[:20]


@functools.cache
def versions() -> dict[str, str]:
    """Python and the libraries that numbers and pages depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "crm-analysis": crm_analysis.__version__}
    for name in LIBRARIES:
        found[name] = importlib.metadata.version(name)
    return found
