"""What was asked for: chapters, branches and periods, every name checked against what is there before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from crm_analysis import files
from crm_analysis.errors import ScopeError, UserError, listed, nearest, no_such_branch
from crm_analysis.profile import Profile
from crm_analysis.units import Period

_OWN_PARAMETERS = ("profile", "branch", "period", "language")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part of the matrix that was asked for."""

    branches: tuple[str, ...]
    periods: tuple[str, ...]
    chapters: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]]


def wanted(
    profile: Profile,
    branches: Sequence[str] | None,
    periods: Sequence[str] | None,
    chapters: Sequence[str] | None,
    *,
    incomplete: bool = False,
    parameters: Sequence[str] = (),
) -> Wanted:
    """What was asked for, every default filled in and every name checked before anything runs."""
    chosen, extra = named(chapters, parameters)
    extent = extent_of(profile)
    spans = _periods(profile, extent, periods, incomplete=incomplete)
    for branch in branches or ():
        if branch != "all" and branch not in extent["coverage"]:
            raise no_such_branch(branch, extent["coverage"], profile.id)
        if branch != "all" and not any(has_data(extent["coverage"][branch], span) for span in spans):
            reach = extent["coverage"][branch]
            raise ScopeError(
                f'The branch "{branch}" has no rows in {listed([str(span) for span in spans])}: its data run from '
                f"{reach['first_day']} to {reach['last_covered_day']}. Ask for a period within them, or leave "
                "the branch out."
            )
    return Wanted(
        tuple(sorted(dict.fromkeys(branches), key=lambda branch: branch != "all"))
        if branches
        else ("all", *extent["branches"]),
        tuple(str(span) for span in spans),
        chosen,
        extra,
    )


def named(
    chapters: Sequence[str] | None, parameters: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """The chapters asked for in the book's order, and their further parameters; needs no data.

    Raises UserError for a chapter or a parameter that does not exist.
    """
    from crm_analysis.book.contents import Contents
    from crm_analysis.runs.keys import Notebook, refuse_stray

    known = Contents.read().chapters
    extra = _parameters(parameters)
    for chapter in (*(chapters or ()), *extra):
        if chapter not in known:
            raise UserError(f'There is no chapter "{chapter}".{nearest(chapter, known)} Chapters: {listed(known)}.')
    for chapter, given in extra.items():
        for name in given:
            if name in _OWN_PARAMETERS:
                raise UserError(f"--set {chapter}.{name}: the run itself gives every notebook its {name}.")
        Notebook.read(chapter).check(given)
    chosen = tuple(chapter for chapter in known if not chapters or chapter in chapters)
    refuse_stray(extra, chosen)
    return chosen, extra


def _periods(
    profile: Profile, extent: Mapping[str, Any], labels: Sequence[str] | None, *, incomplete: bool
) -> list[Period]:
    fiscal = profile.calendar.fiscal_year_starts
    ends, starts = date.fromisoformat(extent["data_ends_on"]), date.fromisoformat(extent["data_start_on"])
    if not labels:
        last = Period.last_complete(ends, profile.calendar.default_period, fiscal_year_starts=fiscal)
        if last.end < starts:
            running = last.next()
            raise ScopeError(
                f"The data of {profile.id} run from {starts} to {ends} and cover no {last.kind} to its end. "
                f"Ask for {running} as it stands: --period {running} --incomplete."
            )
        return [last]
    spans = [Period.parse(label, fiscal_year_starts=fiscal) for label in dict.fromkeys(labels)]
    for span in spans:
        span.check_over(ends, profile.id, incomplete=incomplete)
        if span.end < starts:
            last = Period.last_complete(ends, span.kind, fiscal_year_starts=fiscal)
            raise ScopeError(
                f"{span} holds no rows: the data of {profile.id} run from {starts} to {ends}. "
                f"The last complete {span.kind} is {last}."
            )
    return sorted(spans, key=lambda span: span.end, reverse=True)


def extent_of(profile: Profile) -> dict[str, Any]:
    """Branches, coverage and ends of the data, described once per reading of the sources."""
    folder = profile.build_dir / "tables"
    read = folder / "ingest.json"
    if not read.exists():
        raise UserError(
            f"The sources of {profile.id} were not read yet. "
            f"`crm-analysis report --profile {profile.path}` does everything in turn."
        )
    settings = profile.model_dump_json(include={"coverage", "branches", "calendar"})
    described = files.sha256_of([read, *code_of("tables")]) + settings
    stored = files.read_json(folder / "extent.json")
    if stored and stored["described"] == described:
        return dict(stored)
    from crm_analysis import tables

    opened = tables.open(profile)
    coverage = [
        {name: str(value) if isinstance(value, date) else value for name, value in row.items()}
        for row in opened.coverage.to_dict("records")
    ]
    extent = {
        "described": described,
        "branches": opened.branches(),
        "coverage": {row["branch"]: row for row in coverage},
        "data_start_on": str(opened.data_start_on),
        "data_ends_on": str(opened.data_ends_on),
    }
    files.write_json(folder / "coverage.json", coverage)
    files.write_json(folder / "extent.json", extent)
    return extent


def has_data(covered: Mapping[str, Any], span: Period) -> bool:
    """Whether the data of a branch reach into a period."""
    return bool(covered["first_day"] <= str(span.end) and covered["last_covered_day"] >= str(span.start))


def code_of(*packages: str) -> list[Path]:
    """The source files that decide what is read and how far it reaches."""
    own = Path(__file__).parents[1]
    return [own / "units.py", *(path for name in packages for path in sorted((own / name).glob("*.py")))]


def _parameters(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`chapter.name=value` as parameters per chapter; values read as YAML."""
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        chapter, dot, parameter = name.partition(".")
        if not (equals and dot):
            raise UserError(
                f'"{text}" is not a parameter. Write CHAPTER.NAME=VALUE, such as satisfaction_loyalty.seed=2.'
            )
        try:
            found.setdefault(chapter, {})[parameter] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(
                f'--set {text}: "{value}" is not a value. Quote text that holds brackets or colons.'
            ) from None
    return found
