"""Notebooks really executed: outputs, failures, and what is recorded of them."""

import fcntl
import json
import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from crm_analysis import files, runs
from crm_analysis.errors import UserError
from crm_analysis.runs import executing
from crm_analysis.runs.jobs import Public
from crm_analysis.runs.manifest import alone

pytestmark = pytest.mark.slow


def states(office) -> dict[str, str]:
    return {f"{s.branch}/{s.chapter}": s.state for s in runs.status(office.profile)}


def text_of(notebook: Path) -> str:
    """All text that a notebook shows."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "".join("".join(o.get("text", "")) for c in cells for o in c.get("outputs", ()))


def test_matrix_leaves_notebooks_findings_and_a_manifest_and_nothing_else(office) -> None:
    office.notebook(
        "one", "import sys\nprint(branch, period, language, sys.executable)\nprint('aside', file=sys.stderr)"
    )
    office.notebook(
        "two",
        "import os, sys\nprint(os.environ['OMP_NUM_THREADS'], sys.flags.utf8_mode)",
    )
    seen = []
    results = runs.execute(office.plan(), workers=2, progress=seen.append)
    assert {result.status for result in results} == {"done"}, results
    assert {result.name for result in seen} == {cell.name for cell in office.plan().cells}
    made = office.files()
    assert set(made) == {
        f"2026Q1/{b}/{c}{s}"
        for b in ("all", "north", "south")
        for c in ("one", "two")
        for s in (".ipynb", ".findings.json")
    }
    assert {path.name for path in (office.folder / "build").glob(".*")} <= {".sources.json", ".lock"}
    one = next(s for s in runs.status(office.profile) if (s.branch, s.chapter) == ("north", "one"))
    assert text_of(one.notebook) == f"north 2026Q1 en {sys.executable}\n"
    assert next(r for r in results if r.name == "2026Q1/north/one").stderr == "aside\n"
    two = next(s for s in runs.status(office.profile) if (s.branch, s.chapter) == ("north", "two"))
    assert text_of(two.notebook) == "1 1\n"
    assert json.loads(one.findings.read_text())["branch"] == "north"
    cells = json.loads(one.notebook.read_text())["cells"]
    assert not [o for c in cells for o in c["outputs"] if "findings+json" in json.dumps(o)]
    assert one.versions["python"] and one.made_at
    tags = [c["metadata"].get("tags", []) for c in cells]
    assert tags[:2] == [["parameters", "remove-cell"], ["injected-parameters", "remove-cell"]]

    # forked kernels above, ordinary ones here: the same bytes
    runs.execute(office.plan(force=True, branches=["north"]), workers=2)
    assert office.files() == made


def test_any_executor_will_do(office) -> None:
    office.notebook("one", "print(branch)")
    with ThreadPoolExecutor(2) as threads:
        results = runs.execute(office.plan(branches=["all", "north"]), executor=threads)
        assert threads.submit(int).result() == 0  # left open
    assert [(r.status, r.error) for r in results] == [("done", ""), ("done", "")]


def test_customer_lists_belong_to_the_output(office, instant) -> None:
    office.notebook("one")
    made = office.folder / "build" / "exports" / "lists" / "one.parquet"
    made.parent.mkdir(parents=True)
    made.write_text("list")
    runs.execute(office.plan(branches=["all"]), executor=instant(lists=["exports/lists/one.parquet"]))
    assert not office.plan(branches=["all"]).due
    made.unlink()
    assert office.plan(branches=["all"]).due


def test_failures_are_told_apart_and_do_not_stop_the_others(office) -> None:
    office.notebook("fine")
    office.notebook("raises", "1 / 0")
    office.notebook("refuses", "from crm_analysis.errors import UserError\nraise UserError('Fill in the margin.')")
    office.notebook("dies", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    office.notebook("hangs", "import time\ntime.sleep(60)")
    office.notebook("open", closing=False)
    results = runs.execute(office.plan(branches=["all"]), workers=2, cell_seconds=3)
    errors = {result.chapter: result.error for result in results}
    assert errors == {
        "fine": "",
        "raises": "ZeroDivisionError: division by zero",
        "refuses": "Fill in the margin.",
        "dies": "The kernel died. The usual cause is that memory ran out; try with fewer --workers.",
        "hangs": "A cell ran longer than 3 seconds and was stopped.",
        "open": f"{office.analyses / 'open.ipynb'} ended without its findings: "
        "its last cell has to call `page.close(claims)`.",
    }
    public = {s.chapter: s.public for s in runs.status(office.profile)}
    assert public == {
        "fine": None,
        "raises": Public("The notebook stopped in its cell {cell} ({exception}).", 2, "ZeroDivisionError"),
        "refuses": Public("The notebook stopped in its cell {cell} ({exception}).", 2, "UserError"),
        "dies": Public("Its kernel died."),
        "hangs": Public("It ran past its time limit."),
        "open": Public("It left no findings."),
    }
    assert {k for k, v in states(office).items() if v == "fresh"} == {"all/fine"}
    assert set(office.files()) == {"2026Q1/all/fine.ipynb", "2026Q1/all/fine.findings.json"}
    assert "1 / 0" in next(r.traceback for r in results if r.chapter == "raises")


def test_dead_kernel_and_time_limit_without_a_fork_server(office) -> None:
    office.notebook("dies", "import os\nos._exit(0)")
    office.notebook("hangs", "while True:\n    pass")
    results = runs.execute(office.plan(branches=["all"]), workers=2, cell_seconds=2)
    assert [result.status for result in results] == ["failed", "failed"]


def test_last_good_output_stays_and_is_called_stale(office, instant, monkeypatch: pytest.MonkeyPatch) -> None:
    office.notebook("one")
    runs.execute(office.plan(), executor=instant())
    before = office.files()
    times = iter([f"2026-05-0{day}T00:00:00+00:00" for day in (1, 2, 3)])
    monkeypatch.setattr("crm_analysis.runs.manifest.now", lambda: next(times))
    for _ in range(2):
        runs.execute(office.plan(branches=["all"], force=True), executor=instant("one"))
    assert office.files() == before
    shown = runs.published(office.profile, "one", "all", "2026Q1")
    assert (shown.state, shown.error, shown.stale_since) == (
        "failed",
        "ValueError: no luck",
        "2026-05-01T00:00:00+00:00",
    )
    assert shown.notebook is not None and shown.made_at
    runs.execute(office.plan(branches=["all"]), executor=instant())
    assert runs.published(office.profile, "one", "all", "2026Q1").state == "fresh"


def test_outcome_judges_by_what_is_there_now(office, instant) -> None:
    office.notebook("one")
    runs.execute(office.plan(branches=["all", "north"]), executor=instant())
    office.notebook("one", "print(1)")
    assert [s.state for s in runs.outcome(office.plan())] == ["stale", "stale", "missing"]


def test_branch_names_become_safe_folders(office, instant) -> None:
    names = ["../../etc", "a/b", "=cmd()", "<script>alert(1)</script>", "지점 1", "🏬", "x" * 300, "all "]
    office.rows([("transactions", name, "2026-01", 1, "1") for name in names])
    office.notebook("one")
    results = runs.execute(office.plan(), executor=instant())
    assert [r.status for r in results] == ["done"] * 9
    assert len(office.files()) == 18
    assert {p.parts[0] for p in map(Path, office.files())} == {"2026Q1"}
    assert not runs.execute(office.plan(), executor=instant())[0].seconds


def test_second_run_at_the_same_time_is_refused(office, instant) -> None:
    office.notebook("one")
    plan = office.plan()
    with open(office.folder / "build" / ".lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # a handle of its own stands for another process
        with pytest.raises(UserError, match="Another run is at work"):
            runs.execute(plan, executor=instant())
    with alone(office.folder / "build"), alone(office.folder / "build"):  # within a process it is shared
        assert runs.execute(plan, executor=instant())[0].status == "done"


def test_leftovers_of_a_killed_run_are_removed(office, instant) -> None:
    office.notebook("one")
    folder = office.folder / "build" / "executed" / "2026Q1" / "all"
    folder.mkdir(parents=True)
    (folder / ".one.ipynb.part").write_text("half")
    build = office.folder / "build"
    (build / ".manifest.json.abc.part").write_text("half")
    for name in ("exports/lists/2026Q1/north/one.x.parquet", "exports/x.xlsx", "data_quality/failures.parquet"):
        with files.replacing(build / name, suffix=Path(name).suffix) as temporary:
            kept = temporary.with_name(temporary.name.replace(".part", "9.part"))
            kept.write_text("customers")
    staged = files.lists_folder(build, "2026Q1", "south") / ".one.part" / "one.x.parquet"
    staged.parent.mkdir(parents=True)
    staged.write_text("customers")
    (build / ".source.abc.part" / "fresh").mkdir(parents=True)
    (build / "source" / ".parts").mkdir(parents=True)  # somebody's own
    assert len([path for path in build.rglob("*.part*") if path.is_file()]) == 5
    assert staged.exists()
    runs.execute(office.plan(), executor=instant())
    assert not [p for p in build.rglob("*.part*") if p.name != ".parts"]
    assert (build / "source" / ".parts").exists()


def test_what_kernels_of_a_killed_run_left_is_removed_also_where_nothing_is_due(office) -> None:
    left = office.folder / "build" / ".runtime" / "jupyter"
    left.mkdir(parents=True)
    with alone(office.folder / "build"):
        assert not left.parent.exists()


def test_customer_lists_are_replaced_when_their_page_is(office) -> None:
    """What a notebook that fails had written is gone; the lists of the last good page stay, and no others."""
    write = """
    import os
    from pathlib import Path
    folder = Path(os.environ["CRM_ANALYSIS_LISTS"])
    folder.mkdir(parents=True)
    {stop}
    (folder / "one.{name}.parquet").write_text("{name}")
    """
    folder = files.lists_folder(office.folder / "build", "2026Q1", "all")
    folder.mkdir(parents=True)
    (folder / "two.kept.parquet").write_text("of another chapter")

    def run(name: str, stop: str = "") -> dict[str, str]:
        office.notebook("one", write.format(name=name, stop=stop), closing=False)
        path = office.analyses / "one.ipynb"
        closing = CLOSING.format(name=f"exports/lists/2026Q1/{folder.name}/one.{name}.parquet")
        book = json.loads(path.read_text())
        book["cells"].append({**book["cells"][-1], "id": "closing", "source": ("1 / 0" if stop else closing)})
        path.write_text(json.dumps(book))
        runs.execute(office.plan(branches=["all"]), workers=1)
        return {path.name: path.read_text() for path in sorted(folder.iterdir())}

    other = {"two.kept.parquet": "of another chapter"}
    assert run("first") == {"one.first.parquet": "first", **other}
    assert run("second", "(folder / 'one.first.parquet').write_text('half')") == {"one.first.parquet": "first", **other}
    assert run("third") == {"one.third.parquet": "third", **other}
    assert not office.plan(branches=["all"]).due


CLOSING = """
from IPython.display import display
bundle = {{"as_of": "2026-03-31", "lists": {{"x": "{name}"}}}}
display({{"application/vnd.crm-analysis.findings+json": bundle}}, raw=True)
"""


class Breaking(Executor):
    """Takes one job, then is broken."""

    def __init__(self, first: Executor) -> None:
        self.first = first
        self.taken = 0

    def submit(self, fn: object, job: object) -> Future:  # type: ignore[override]
        """The first job; none after."""
        self.taken += 1
        if self.taken > 1:
            raise BrokenProcessPool
        return self.first.submit(fn, job)


def test_an_executor_that_breaks_fails_what_it_has_not_done(office, instant) -> None:
    office.notebook("one")
    results = runs.execute(office.plan(), executor=Breaking(instant()))
    assert sorted(r.status for r in results) == ["done", "failed", "failed"]
    assert {r.error for r in results if r.error} == {executing.KILLED}


@pytest.mark.parametrize(
    ("number", "message"), [(13, "No permission to write"), (28, "The disk is full"), (30, "No permission to write")]
)
def test_output_that_cannot_be_put_in_place_fails_its_cell(
    office, instant, monkeypatch, number: int, message: str
) -> None:
    office.notebook("one")
    plan = office.plan(branches=["all"])
    really = os.replace

    def refuse(old: Path, new: Path) -> None:
        if str(new).endswith("one.ipynb"):
            raise OSError(number, os.strerror(number))
        really(old, new)

    monkeypatch.setattr(executing.os, "replace", refuse)
    (result,) = runs.execute(plan, executor=instant())
    assert result.status == "failed" and message in result.error


def test_build_folder_that_cannot_be_made_is_one_clear_message(office, instant) -> None:
    office.notebook("one")
    plan = office.plan()
    (office.folder / "build" / ".runtime").write_text("in the way")
    with pytest.raises(UserError, match="could not be written"):
        runs.execute(plan, executor=instant())


def test_damaged_manifest_means_running_again(office, instant) -> None:
    office.notebook("one")
    runs.execute(office.plan(), executor=instant())
    (office.folder / "build" / "manifest.json").write_text('{"format": 1, "cells": {"2026Q')
    assert len(office.plan().due) == 3
    assert runs.status(office.profile) == []


def test_manifest_names_no_customer_and_is_plain_json(office, instant) -> None:
    office.notebook("one")
    runs.execute(office.plan(), executor=instant())
    stored = files.read_json(office.folder / "build" / "manifest.json")
    assert stored["profile"] == "tiny"
    assert set(stored["cells"]) == {"2026Q1/all/one", "2026Q1/north/one", "2026Q1/south/one"}


def test_workers_and_commands_compile_no_grammar_of_web_addresses():
    """jsonschema asks for one where it is installed: two seconds in every process, for a check that nobody makes."""
    for module in ("crm_analysis.runs.notebook", "crm_analysis.cli; crm_analysis.cli.main([]); import jsonschema"):
        code = f"import sys, {module}\nprint('jsonschema' in sys.modules, sys.modules['rfc3987_syntax'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "True None", module
