"""The steps from an organisation's files to its book, each skipped where nothing it depends on changed.

Heavy libraries are imported inside the steps that need them: a run with nothing to do loads none of them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from crm_analysis import files
from crm_analysis import profile as profiles
from crm_analysis.contracts.written import complete
from crm_analysis.errors import ScopeError, UserError, listed, nearest
from crm_analysis.language import activate
from crm_analysis.profile import Profile
from crm_analysis.profile.settings import BuiltIn
from crm_analysis.units import Period

if TYPE_CHECKING:
    from crm_analysis.contracts.checking import Report, Result

_OWNER_ONLY = ("source", "tables", "data_quality", "executed", "exports")
_MOST_REASONS = 3
_OWN_PARAMETERS = ("profile", "branch", "period", "language")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part of the matrix that was asked for."""

    branches: tuple[str, ...]
    periods: tuple[str, ...]
    chapters: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps for one profile."""

    profile: Profile

    @classmethod
    def of(cls, path: str, *, data: str | None = None, language: str | None = None) -> Steps:
        """Load the profile; notebooks of this process read the same data folder."""
        if data:
            os.environ[profiles.DATA_VARIABLE] = str(Path(data).resolve())
        settings = profiles.load(path, data=data, language=language)
        return cls(settings)

    def alone(self) -> AbstractContextManager[None]:
        """Keeps other processes off the build folder. Raises BusyError where one is at work there."""
        from crm_analysis import runs

        return runs.alone(self.profile.build_dir)

    # Preparing the data

    def read(self) -> None:
        """Read the sources into canonical tables, where they changed.

        Raises UserError where one cannot be read or a contract is wrong; then nothing was changed.
        """
        from crm_analysis import contracts

        contracts.prove()
        with files.writing(self.profile.build_dir):
            for name in _OWNER_ONLY:
                folder = self.profile.build_dir / name
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
        if self.profile.built_in is not None:
            self._write_built_in(self.profile.built_in)
        from crm_analysis.tables.ingestion import ingest

        ingest(self.profile)

    def hold_to_contracts(self) -> None:
        """Check what was read, where it or a contract changed; row-level breaches are set aside and counted.

        Raises UserError where a table cannot be used at all.
        """
        checked = files.read_json(self._checked_file)
        key = self._check_key()
        if not checked or checked["key"] != key or not complete(self.profile.build_dir):
            checked = self._check(key)
        if checked["stopping"]:
            raise UserError(
                f"The data of {self.profile.id} cannot be used: {'; '.join(checked['stopping'])} "
                f"`crm-analysis check --profile {self.profile.path}` prints all breaches."
            )

    def check(self, *, strict: bool = False) -> int:
        """Print every breach of the contracts; 0 clean, 1 warnings with `strict`, 2 critical."""
        self.read()
        self._check(self._check_key())
        from rich.console import Console

        from crm_analysis import contracts

        report = contracts.last_report(self.profile.build_dir)
        if report is None:
            raise UserError(f"The check of {self.profile.id} left no report. Run it again.")
        Console(width=None if sys.stdout.isatty() else 160).print(contracts.render(report))
        return report.exit_code(strict=strict)

    @property
    def _checked_file(self) -> Path:
        return self.profile.build_dir / "data_quality" / "checked.json"

    def _check_key(self) -> str:
        """A digest over all that the check depends on."""
        made_of = [
            self.profile.build_dir / "tables" / "ingest.json",
            *sorted(files.project_folder("data_contracts").glob("*.yaml")),
            *_code("contracts", "tables"),
        ]
        settings = self.profile.model_dump_json(include={"calendar", "coverage", "branches", "quality", "survey"})
        stated = f"{version('great-expectations')} {settings}"
        return files.sha256_of(made_of) + hashlib.sha256(stated.encode()).hexdigest()

    def _check(self, key: str) -> dict[str, Any]:
        from crm_analysis import tables
        from crm_analysis.tables.failures import hold_to_contracts

        opened = tables.open(self.profile)
        _ = opened.coverage  # refuses a setting that names no branch while the former check still stands
        self._checked_file.unlink(missing_ok=True)
        report = hold_to_contracts(opened, fingerprint=key)
        stopping = [
            f"{item.rule.table}.{item.rule.column or '*'}: {item.rule.what}{_reasons(report, item)} {item.rule.action}"
            for item in report.stopping
        ]
        checked = {"key": key, "stopping": stopping}
        files.write_json(self._checked_file, checked)
        return checked

    def _write_built_in(self, built_in: BuiltIn) -> None:
        """Write the built-in association, unless it stands there from the same seed and the same code."""
        code = sorted((Path(__file__).parent / "demo").glob("*.py"))
        key = f"{built_in.seed} {built_in.donors} {files.sha256_of(code)}"
        record = self.profile.build_dir / "built_in.json"
        if (files.read_json(record) or {}).get("key") == key and self.profile.data_root.is_dir():
            return
        from crm_analysis import demo

        with files.writing(self.profile.data_root):
            demo.generate(self.profile.data_root, seed=built_in.seed, donors=built_in.donors)
        files.write_json(record, {"key": key})

    # The matrix

    def wanted(
        self,
        branches: Sequence[str] | None,
        periods: Sequence[str] | None,
        chapters: Sequence[str] | None,
        *,
        incomplete: bool = False,
        parameters: Sequence[str] = (),
    ) -> Wanted:
        """What was asked for, every default filled in and every name checked before anything runs."""
        named, extra = self.named(chapters, parameters)
        extent = self._extent()
        spans = self._periods(extent, periods, incomplete=incomplete)
        for branch in branches or ():
            if branch != "all" and branch not in extent["coverage"]:
                there = ["all", *extent["coverage"]]
                raise ScopeError(
                    f'There is no branch "{branch}" in {self.profile.id}.{nearest(branch, there)} '
                    f"Branches: {listed(there, 40)}."
                )
            if branch != "all" and not any(_has_data(extent["coverage"][branch], span) for span in spans):
                reach = extent["coverage"][branch]
                raise ScopeError(
                    f'The branch "{branch}" has no rows in {listed([str(span) for span in spans])}: its data run from '
                    f"{reach['first_day']} to {reach['last_covered_day']}. Ask for a period within them, or leave "
                    "the branch out."
                )
        return Wanted(
            tuple(dict.fromkeys(branches)) if branches else ("all", *extent["branches"]),
            tuple(str(span) for span in spans),
            named,
            extra,
        )

    def named(
        self, chapters: Sequence[str] | None, parameters: Sequence[str]
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

    def _periods(self, extent: Mapping[str, Any], labels: Sequence[str] | None, *, incomplete: bool) -> list[Period]:
        fiscal = self.profile.calendar.fiscal_year_starts
        ends, starts = date.fromisoformat(extent["data_ends_on"]), date.fromisoformat(extent["data_start_on"])
        if not labels:
            running = Period.containing(ends, self.profile.calendar.default_period, fiscal_year_starts=fiscal)
            last = running if running.end <= ends else running.previous()
            if last.end < starts:
                raise ScopeError(
                    f"The data of {self.profile.id} run from {starts} to {ends} and cover no {last.kind} to its end. "
                    f"Ask for {running} as it stands: --period {running} --incomplete."
                )
            return [last]
        spans = [Period.parse(label, fiscal_year_starts=fiscal) for label in dict.fromkeys(labels)]
        for span in spans:
            last = Period.containing(ends, span.kind, fiscal_year_starts=fiscal)
            last = last if last.end <= ends else last.previous()
            if span.start > ends or (span.end > ends and not incomplete):
                state = "lies after the end of the data" if span.start > ends else "is not over"
                request = "" if span.start > ends else ", or ask for it as it stands with --incomplete"
                raise ScopeError(
                    f"{span} {state}: the data of {self.profile.id} end on {ends}. "
                    f"The last complete {span.kind} is {last}; take that one{request}."
                )
            if span.end < starts:
                raise ScopeError(
                    f"{span} holds no rows: the data of {self.profile.id} run from {starts} to {ends}. "
                    f"The last complete {span.kind} is {last}."
                )
        return sorted(spans, key=lambda span: span.end, reverse=True)

    def _extent(self) -> dict[str, Any]:
        """Branches, coverage and ends of the data, described once per reading of the sources."""
        folder = self.profile.build_dir / "tables"
        read = folder / "ingest.json"
        if not read.exists():
            raise UserError(
                f"The sources of {self.profile.id} were not read yet. "
                f"`crm-analysis report --profile {self.profile.path}` does everything in turn."
            )
        settings = self.profile.model_dump_json(include={"coverage", "branches", "calendar"})
        described = files.sha256_of([read, *_code("tables")]) + settings
        stored = files.read_json(folder / "extent.json")
        if stored and stored["described"] == described:
            return dict(stored)
        from crm_analysis import tables

        opened = tables.open(self.profile)
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

    def plan(self, wanted: Wanted, *, force: bool = False) -> Any:
        """What would run, and why; branches that had no data yet in a period have no page there."""
        from crm_analysis import runs

        extent = self._extent()["coverage"]
        fiscal = self.profile.calendar.fiscal_year_starts
        plan = runs.plan(
            self.profile,
            periods=wanted.periods,
            branches=wanted.branches,
            chapters=wanted.chapters,
            parameters=wanted.parameters,
            language=self.profile.language,
            force=force,
        )
        spans = {label: Period.parse(label, fiscal_year_starts=fiscal) for label in wanted.periods}

        cells = tuple(
            cell for cell in plan.cells if cell.branch == "all" or _has_data(extent[cell.branch], spans[cell.period])
        )
        return replace(plan, cells=cells)

    def run(self, wanted: Wanted, *, workers: int | None, force: bool) -> Sequence[Any]:
        """Execute what is due, with a progress bar on a terminal and a line per notebook elsewhere."""
        from crm_analysis import runs

        plan = self.plan(wanted, force=force)
        if not plan.due:
            return runs.execute(plan, workers=workers)
        with _Progress(len(plan.due)) as progress:
            return runs.execute(plan, workers=workers, progress=progress)

    def summary(self, results: Sequence[Any]) -> int:
        """Print how the matrix ended as a table of branches and chapters; returns how many cells failed."""
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        failed = [result for result in results if result.status == "failed"]
        if any(result.status != "skipped" for result in results):
            chapters = list(dict.fromkeys(result.chapter for result in results))
            table = Table("period", "branch", *chapters)
            rows: dict[tuple[str, str], dict[str, str]] = {}
            for result in results:
                said = {"done": f"{result.seconds:.1f} s", "skipped": "unchanged"}.get(
                    result.status, result.status.upper()
                )
                rows.setdefault((result.period, result.branch), {})[result.chapter] = said
            for (period, branch), cells in rows.items():
                table.add_row(period, escape(branch), *(cells.get(chapter, "") for chapter in chapters))
            Console(width=None if sys.stdout.isatty() else 120).print(table)
        counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
        print(f"{counts['done']} notebooks run, {counts['skipped']} unchanged, {counts['failed']} failed.")
        for result in failed:
            print(f"failed  {result.name}: {result.error}", file=sys.stderr)
        return len(failed)

    def export_customer_value(
        self, branch: str, period: str | None, kinds: Sequence[str], *, incomplete: bool = False
    ) -> list[tuple[Path, int]]:
        """Write one row per customer under `exports/`, computed as the page is; paths and their rows.

        Reads and checks the sources where they changed, as a run does.
        """
        with self.alone():
            opened, label = self.opened(branch, period, incomplete=incomplete)
        from crm_analysis.customer_value import exporting
        from crm_analysis.customer_value.assessment import assess

        activate(self.profile.language)
        state = assess(opened.scope(branch, label, incomplete=incomplete))
        return exporting.write(state, self.profile.build_dir / "exports", kinds)

    def opened(self, branch: str, period: str | None, *, incomplete: bool = False) -> tuple[Any, str]:
        """The tables, read and checked where the sources changed, and the period asked for or the last complete one."""
        self.read()
        wanted = self.wanted([branch], [period] if period else None, None, incomplete=incomplete)
        self.hold_to_contracts()
        from crm_analysis import tables

        return tables.open(self.profile), wanted.periods[0]

    def export_campaign(
        self, name: str, order: Any, period: str | None, kind: str, *, incomplete: bool = False
    ) -> tuple[Any, Any]:
        """Turn a list into a campaign (`launch.Order`); the campaign, and what it can show where that can be told.

        Reads and checks the sources where they changed, as a run does, and keeps other processes off meanwhile.
        """
        from crm_analysis import launch

        with self.alone():
            opened, label = self.opened(order.branch, period, incomplete=incomplete)
            source = launch.choose(opened, name, order.branch, label)
            made = launch.launch(opened, source, order, kind=kind, today=date.today())
        return made, launch.shown_by(opened, made)

    def plan_list(
        self, name: str, branch: str, period: str | None, *, incomplete: bool = False, **numbers: Any
    ) -> tuple[Any, Any, Any]:
        """The list, who of it may be contacted tomorrow, and what a test of those would show (`launch.plan`)."""
        from crm_analysis import launch

        with self.alone():
            opened, label = self.opened(branch, period, incomplete=incomplete)
        source = launch.choose(opened, name, branch, label)
        starts_on = max(date.today(), opened.data_ends_on + timedelta(days=1))
        screening = launch.screen(
            opened, source.customer_ids, starts_on=starts_on, window_days=int(numbers["window_days"])
        )
        return source, screening, launch.plan(opened, screening.kept["customer_id"], **numbers)

    def preview_tiers(self, rules: str, branch: str, period: str | None) -> None:
        """Print the shares that the tier rules of a file (the profile's own where there is none named) would give.

        Reads and checks the sources where they changed, as a run does; nothing else is written.
        """
        profile = profiles.load_tiers(rules, self.profile) if rules else self.profile
        with self.alone():
            self.read()
            wanted = self.wanted([branch], [period] if period else None, None)
            self.hold_to_contracts()
        from rich.console import Console

        from crm_analysis import tables
        from crm_analysis.customer_value import tier_preview
        from crm_analysis.customer_value.wording import tier_name

        activate("en")
        found = tier_preview.preview(tables.open(profile).scope(branch, wanted.periods[0]))
        title = profile.text(profile.name, "en")
        shown = tier_preview.render(found, title, lambda key: tier_name(profile, key))
        Console(width=None if sys.stdout.isatty() else 160).print(shown)

    # The book

    def book(self, wanted: Wanted) -> tuple[Path, int]:
        """Build the book of what was run, or leave it where nothing changed.

        Returns its front page, and how many of its pages failed or were never run; those say so themselves.
        """
        from crm_analysis import runs
        from crm_analysis.book import state

        plan = self.plan(wanted)
        statuses = runs.outcome(plan)
        broken = sum(found.state in ("failed", "missing") for found in statuses)
        key = state.key(self.profile, statuses)
        if state.unchanged(self.profile, key):
            return state.index_page(self.profile), broken
        from crm_analysis import contracts
        from crm_analysis.book import cells, status
        from crm_analysis.book.build import build
        from crm_analysis.book.contents import Contents

        language = self.profile.language
        activate(language)  # the status page and the dictionary are written before the book's own pages
        outcomes = [cells.of_status(found) for found in statuses]
        state.forget(self.profile)
        page = build(
            self.profile,
            Contents.read(),
            outcomes,
            language=language,
            notebooks=plan.analyses,
            dictionary=contracts.dictionary(contracts.load()),
            status_page=status.page(statuses, self._report()),
        )
        state.record(self.profile, key)
        return page, broken

    def _report(self) -> dict[str, Any]:
        return files.read_json(self.profile.build_dir / "data_quality" / "report.json") or {"rules": []}

    # Showing

    def show_plan(self, wanted: Wanted, *, force: bool) -> None:
        """Print the cells asked for and the reason for which each would run."""
        plan = self.plan(wanted, force=force)
        for cell in plan.cells:
            print(f"{'run ' if cell.is_due else 'skip'}  {cell.name}  {cell.reason or 'unchanged'}")
        print(f"{len(plan.due)} of {len(plan.cells)} would run.")

    def show_status(self, wanted: Wanted) -> None:
        """Read sources that changed and print every cell asked for: state, age, reason to run again."""
        from datetime import UTC, datetime

        from crm_analysis import runs

        now = datetime.now(UTC)
        for cell in runs.outcome(self.plan(wanted)):
            made = datetime.fromisoformat(cell.made_at) if cell.made_at else None
            age = _age((now - made).total_seconds()) if made else "never"
            detail = cell.error or cell.reason
            print(f"{cell.state:<8}{age:>10}  {cell.period}/{cell.branch}/{cell.chapter}  {detail}".rstrip())


def _has_data(covered: Mapping[str, Any], span: Period) -> bool:
    """Whether the data of a branch reach into a period."""
    return bool(covered["first_day"] <= str(span.end) and covered["last_covered_day"] >= str(span.start))


def _code(*packages: str) -> list[Path]:
    """The source files that decide what is read and how far it reaches."""
    own = Path(__file__).parent
    return [own / "units.py", *(path for name in packages for path in sorted((own / name).glob("*.py")))]


class _Progress:
    """A bar on a terminal, a line per finished notebook elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._bar: Any = None

    def __enter__(self) -> _Progress:
        if sys.stderr.isatty():
            from rich.progress import Progress

            self._bar = Progress(transient=True)
            self._bar.start()
            self._task = self._bar.add_task("notebooks", total=self.total)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, result: Any) -> None:
        if result.status == "skipped":
            return
        self.done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, description=result.name)
        else:
            print(f"[{self.done}/{self.total}] {result.status:<9} {result.seconds:5.1f} s  {result.name}", flush=True)


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


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _reasons(report: Report, stopped: Result) -> str:
    """Why a table's rows would be set aside, the commonest reasons first; empty where that is not what stops it."""
    if stopped.rule.type != "set_aside_share":
        return ""
    found = [
        item
        for item in report.results
        if item.rule.table == stopped.rule.table
        and item.rule.level == "row"
        and item.rule.severity == "critical"
        and item.rows_failed
    ]
    found.sort(key=lambda item: -item.rows_failed)
    said = [
        f"{item.rule.what.removesuffix('.')} ({item.rows_failed:,} of {item.rows_checked:,} rows; {item.rule.action})"
        for item in found[:_MOST_REASONS]
    ]
    return f" {' '.join(said)}" if said else ""
