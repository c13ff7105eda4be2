"""A tiny organisation in a folder of its own: a profile, fingerprints as `ingest` would leave them, small notebooks."""

import json
import textwrap
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

import duckdb
import nbformat
import pytest

from crm_analysis import files, runs
from crm_analysis import profile as profiles
from crm_analysis.profile import Profile
from crm_analysis.runs.jobs import Attempt, Job

ROWS = [
    ("transactions", branch, month, 10, str(number))
    for branch in ("north", "south")
    for number, month in enumerate(("2026-01", "2026-02", "2026-03", "2026-04"))
]
CLOSING = """
from IPython.display import display
display({{"application/vnd.crm-analysis.findings+json": {{"chapter": "{chapter}", "branch": branch, "period": period,
         "as_of": "2026-03-31", "claims": {{"verdict": "fine"}}, "lists": {{}}}}}}, raw=True)
"""


class Office:
    """The folder, and what tests do to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start = ROWS
        self.analyses = folder / "analyses"
        self.analyses.mkdir()
        path = folder / "profile.yaml"
        path.write_text("id: tiny\nname: Tiny\ncurrency: EUR\ndata: .\ntables:\n  transactions: {files: [t.csv]}\n")
        self.profile: Profile = profiles.load(path).model_copy(update={"build_dir": folder / "build"})
        self.rows(ROWS)

    def rows(
        self, rows: list[tuple[str, str | None, str | None, int, str]], name: str = "tables/fingerprints.parquet"
    ) -> None:
        """Leave fingerprints as `tables.ingest` does, or, with the other name, as the check does."""
        stored = self.folder / "build" / name
        stored.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as con:
            con.execute(
                'CREATE TABLE f ("table" VARCHAR, branch VARCHAR, known_month VARCHAR, rows BIGINT, hash VARCHAR)'
            )
            con.executemany("INSERT INTO f VALUES (?, ?, ?, ?, ?)", rows)
            con.execute(f"COPY f TO '{stored}' (FORMAT parquet)")

    def notebook(
        self, chapter: str, body: str = "print(branch)", *, parameters: str = "", closing: bool = True
    ) -> None:
        """Write a chapter's notebook: parameters, one cell of work, the closing cell."""
        head = 'profile = ""\nbranch = "all"\nperiod = "latest"\nlanguage = "en"\n' + parameters
        book = nbformat.v4.new_notebook()
        cells = [
            nbformat.v4.new_code_cell(head, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(textwrap.dedent(body)),
        ]
        if closing:
            cells.append(nbformat.v4.new_code_cell(CLOSING.format(chapter=chapter).strip()))
        for number, cell in enumerate(cells):
            cell["id"] = f"cell-{number}"
        book.cells = cells
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        (self.analyses / f"{chapter}.ipynb").write_text(json.dumps(book), encoding="utf-8")

    def plan(self, **asked: object) -> runs.Plan:
        """Plan the first quarter."""
        given = {"periods": ["2026Q1"], "analyses": self.analyses} | asked
        return runs.plan(self.profile, **given)  # type: ignore[arg-type]

    def files(self) -> dict[str, bytes]:
        """Every executed file by its path below `executed/`."""
        top = self.folder / "build" / "executed"
        return {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}


class Instant(Executor):
    """Writes what a worker would have written, without a kernel; `failing` cells fail instead."""

    def __init__(self, *failing: str, lists: list[str] | None = None) -> None:
        self.failing = failing
        self.lists = lists or []
        self.jobs: list[Job] = []

    def submit(self, fn: object, job: Job) -> Future:  # type: ignore[override]
        """One job, at once."""
        self.jobs.append(job)
        future: Future = Future()
        if job.chapter in self.failing:
            future.set_result(Attempt(0.1, "ValueError: no luck"))
            return future
        text = f"{job.chapter} {job.branch} {job.period}"
        files.write_text(job.made_notebook, text)
        files.write_text(job.made_findings, text)
        made = {"bytes": [len(text), len(text)], "as_of": "", "lists": self.lists}
        future.set_result(Attempt(0.1, made=made))
        return future


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture
def reasons() -> Callable[[runs.Plan], dict[str, str]]:
    """Cells that are due, with their reasons."""
    return lambda plan: {cell.name: cell.reason for cell in plan.due}


@pytest.fixture
def instant() -> type[Instant]:
    """The class of executors that need no kernel."""
    return Instant
