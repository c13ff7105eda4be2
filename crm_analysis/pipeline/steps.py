"""The steps from an organisation's files to its book, each skipped where nothing it depends on changed.

Heavy libraries are imported inside the steps that need them: a run with nothing to do loads none of them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crm_analysis import files
from crm_analysis import profile as profiles
from crm_analysis.contracts.written import complete
from crm_analysis.errors import UserError
from crm_analysis.language import activate
from crm_analysis.pipeline import asking, showing
from crm_analysis.profile import Profile
from crm_analysis.profile.settings import BuiltIn
from crm_analysis.units import Period

if TYPE_CHECKING:
    from crm_analysis.contracts.results import Report, Result

_OWNER_ONLY = ("source", "tables", "data_quality", "executed", "exports")
_MOST_REASONS = 3


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

        Raises UserError where one cannot be read or a contract is wrong; then the tables are as they were.
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
        if any(report.set_aside.values()):
            print(f"The rows set aside, with the reasons: {self.profile.build_dir / 'exports' / 'set_aside'}")
        return report.exit_code(strict=strict)

    @property
    def _checked_file(self) -> Path:
        return self.profile.build_dir / "data_quality" / "checked.json"

    def _check_key(self) -> str:
        """A digest over all that the check depends on."""
        made_of = [
            self.profile.build_dir / "tables" / "ingest.json",
            *sorted(files.project_folder("data_contracts").glob("*.yaml")),
            *asking.code_of("contracts", "tables"),
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
        code = sorted((Path(__file__).parents[1] / "demo").glob("*.py"))
        key = f"{built_in.seed} {built_in.donors} {files.sha256_of(code)}"
        record = self.profile.build_dir / "built_in.json"
        if (files.read_json(record) or {}).get("key") == key and self.profile.data_root.is_dir():
            return
        from crm_analysis import demo

        with files.writing(self.profile.data_root):
            demo.generate(self.profile.data_root, seed=built_in.seed, donors=built_in.donors)
        files.write_json(record, {"key": key})

    # The matrix

    def plan(self, wanted: asking.Wanted, *, force: bool = False) -> Any:
        """What would run, and why; branches that had no data yet in a period have no page there."""
        from crm_analysis import runs

        extent = asking.extent_of(self.profile)["coverage"]
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
            cell
            for cell in plan.cells
            if cell.branch == "all" or asking.has_data(extent[cell.branch], spans[cell.period])
        )
        return replace(plan, cells=cells)

    def run(self, wanted: asking.Wanted, *, workers: int | None, force: bool) -> Sequence[Any]:
        """Execute what is due, with a progress bar on a terminal and a line per notebook elsewhere."""
        from crm_analysis import runs

        plan = self.plan(wanted, force=force)
        if not plan.due:
            return runs.execute(plan, workers=workers)
        with showing.Progress(len(plan.due)) as progress:
            return runs.execute(plan, workers=workers, progress=progress)

    def export_customer_value(
        self, branch: str, period: str | None, kinds: Sequence[str], *, incomplete: bool = False
    ) -> list[tuple[Path, int]]:
        """Write one row per customer under `exports/`, computed as the page is; paths and their rows.

        Reads and checks the sources where they changed, as a run does.
        """
        from crm_analysis.customer_value import exporting
        from crm_analysis.customer_value.assessment import assess

        activate(self.profile.language)
        with self.alone():
            opened, label = self.opened(branch, period, incomplete=incomplete)
            state = assess(opened.scope(branch, label, incomplete=incomplete))
        return exporting.write(state, self.profile.build_dir / "exports", kinds)

    def opened(self, branch: str, period: str | None, *, incomplete: bool = False) -> tuple[Any, str]:
        """The tables, read and checked where the sources changed, and the period asked for or the last complete one."""
        self.read()
        wanted = asking.wanted(self.profile, [branch], [period] if period else None, None, incomplete=incomplete)
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
        from rich.console import Console

        from crm_analysis import tables
        from crm_analysis.customer_value import tier_preview
        from crm_analysis.customer_value.wording import tier_name

        activate("en")
        with self.alone():
            self.read()
            wanted = asking.wanted(self.profile, [branch], [period] if period else None, None)
            self.hold_to_contracts()
            found = tier_preview.preview(tables.open(profile).scope(branch, wanted.periods[0]))
        title = profile.text(profile.name, "en")
        shown = tier_preview.render(found, title, lambda key: tier_name(profile, key))
        Console(width=None if sys.stdout.isatty() else 160).print(shown)

    # The book

    def book(self, wanted: asking.Wanted) -> tuple[Path, int]:
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

    def show_plan(self, wanted: asking.Wanted, *, force: bool) -> None:
        """Print the cells asked for and the reason for which each would run."""
        plan = self.plan(wanted, force=force)
        for cell in plan.cells:
            print(f"{'run ' if cell.is_due else 'skip'}  {cell.name}  {cell.reason or 'unchanged'}")
        print(f"{len(plan.due)} of {len(plan.cells)} would run.")

    def show_status(self, wanted: asking.Wanted) -> None:
        """Read sources that changed and print every cell asked for: state, age, reason to run again."""
        from datetime import UTC, datetime

        from crm_analysis import runs

        now = datetime.now(UTC)
        for cell in runs.outcome(self.plan(wanted)):
            made = datetime.fromisoformat(cell.made_at) if cell.made_at else None
            age = showing.age((now - made).total_seconds()) if made else "never"
            detail = cell.error or cell.reason
            print(f"{cell.state:<8}{age:>10}  {cell.period}/{cell.branch}/{cell.chapter}  {detail}".rstrip())


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
