"""Which cells of the matrix were asked for, and why each would run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crm_analysis.errors import no_such_branch
from crm_analysis.profile import Profile
from crm_analysis.runs import keys
from crm_analysis.runs.data import Fingerprints
from crm_analysis.runs.keys import Notebook, Sources, digest
from crm_analysis.runs.manifest import CellStatus, Manifest
from crm_analysis.units import Period

# What a changed part of the key is called in a reason.
PARTS = {
    "notebook": "its notebook changed",
    "modules": "code behind it changed",
    "contracts": "the data contracts changed",
    "profile": "the profile changed",
    "parameters": "its parameters changed",
    "versions": "library versions changed",
    "catalog": "the translation changed",
    "data": "its data changed",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One notebook for one branch and period. `reason` is empty where nothing it depends on changed."""

    chapter: str
    branch: str
    period: str
    key: str
    reason: str
    parts: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    expected_seconds: float = field(default=0.0, compare=False)

    @property
    def is_due(self) -> bool:
        """Whether it will run."""
        return bool(self.reason)

    @property
    def name(self) -> str:
        """`2026Q3/all/customer_value`."""
        return f"{self.period}/{self.branch}/{self.chapter}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells asked for, in the order of the book."""

    profile: Profile
    language: str
    cells: tuple[Cell, ...]
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    analyses: Path = keys.ANALYSES

    @property
    def due(self) -> tuple[Cell, ...]:
        """Cells that will run, the longest first, so that no worker is left with a long one at the end."""
        return tuple(sorted((c for c in self.cells if c.is_due), key=lambda c: (-c.expected_seconds, c.name)))


def plan(
    profile: Profile,
    *,
    periods: Iterable[str],
    branches: Iterable[str] | None = None,
    chapters: Iterable[str] | None = None,
    language: str | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    force: bool = False,
    analyses: Path = keys.ANALYSES,
) -> Plan:
    """What would run, and why.

    `branches` defaults to `all` and every branch in the data, `chapters` to every notebook in `analyses`. `parameters`
    holds further parameters per chapter. Raises UserError for an unknown chapter or parameter, ScopeError for an
    unknown branch or a malformed period.
    """
    data = Fingerprints.read(profile)
    wanted = list(dict.fromkeys(branches)) if branches is not None else ["all", *data.branches]
    for branch in wanted:
        if branch != "all" and branch not in data.branches:
            raise no_such_branch(branch, data.branches, profile.id)
    fiscal = profile.calendar.fiscal_year_starts
    spans = [Period.parse(label, fiscal_year_starts=fiscal) for label in dict.fromkeys(periods)]
    names = list(dict.fromkeys(chapters)) if chapters is not None else keys.available(analyses)
    spoken = language or profile.language
    extra = {chapter: dict(given) for chapter, given in (parameters or {}).items()}
    notebooks = [Notebook.read(chapter, analyses) for chapter in names]
    keys.refuse_stray(extra, names)

    manifest = Manifest(profile)
    sources = Sources(Path(profile.build_dir) / ".sources.json")
    shared = {
        "contracts": keys.contracts(),
        "versions": digest(keys.versions()),
        "catalog": keys.catalog(spoken),
    }
    page_files = keys.package_data()
    own: dict[str, dict[str, str]] = {}
    preload: dict[str, None] = {}
    for notebook in notebooks:
        notebook.check({"profile": "", "branch": "", "period": "", "language": "", **extra.get(notebook.chapter, {})})
        closure = sources.closure(notebook.code)
        itself = keys.read(notebook.code, "")
        own[notebook.chapter] = {
            "notebook": digest(notebook.source),
            "modules": digest([[(entry["name"], entry["sha"]) for entry in closure], page_files]),
            "profile": digest(keys.settings_used(profile, [itself, *closure])),
        }
        preload |= dict.fromkeys(itself["others"])
        preload |= dict.fromkeys(name for entry in closure for name in [entry["name"], *entry["others"]])
    sources.save()

    cells = []
    for span in spans:
        for branch in wanted:
            seen = data.scope(branch, span)
            for notebook in notebooks:
                chapter = notebook.chapter
                given = {"branch": branch, "period": span.label, "language": spoken, **extra.get(chapter, {})}
                parts = shared | own[chapter] | {"parameters": digest(given), "data": seen}
                reason = _reason(manifest, chapter, branch, span.label, parts, force=force)
                expected = _expected(manifest, chapter, branch, span.label, data.rows(branch))
                cells.append(Cell(chapter, branch, span.label, digest(parts), reason, parts, expected))
    return Plan(profile, spoken, tuple(cells), extra, tuple(preload), analyses)


def outcome(plan: Plan) -> list[CellStatus]:
    """What there is to show for every cell of a plan, judged by what its key would be now."""
    manifest = Manifest(plan.profile)
    return [manifest.status_of(c.chapter, c.branch, c.period, key=c.key, reason=c.reason) for c in plan.cells]


def _reason(
    manifest: Manifest, chapter: str, branch: str, period: str, parts: Mapping[str, str], *, force: bool
) -> str:
    record = manifest.record(chapter, branch, period)
    good = manifest.good(chapter, branch, period)
    if not record:
        return "never run"
    if record.get("last", {}).get("status") == "failed":
        return "failed last time"
    if good is None:
        return "its output is missing or was changed"
    if force:
        return "asked for"
    changed = [text for name, text in PARTS.items() if good["parts"].get(name) != parts.get(name)]
    return "; ".join(changed)


def _expected(manifest: Manifest, chapter: str, branch: str, period: str, rows: int) -> float:
    """Seconds as last time; for a cell never run, the longest of its chapter, else of any, else a guess by its rows."""
    last = manifest.record(chapter, branch, period).get("good")
    if last:
        return float(last["seconds"])
    known = [(r["chapter"] == chapter, r["good"]["seconds"]) for r in manifest.cells.values() if r.get("good")]
    return float(max(known)[1]) if known else 1.0 + rows / 1e6
