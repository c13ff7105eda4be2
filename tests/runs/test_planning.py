"""Which cells run, and why: every part of a key, one at a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crm_analysis import runs
from crm_analysis.errors import ScopeError, UserError
from crm_analysis.runs import keys
from crm_analysis.runs.keys import Notebook, Sources

ALL = {"2026Q1/all/one", "2026Q1/north/one", "2026Q1/south/one"}


@pytest.fixture
def done(office, instant):
    """An office whose one chapter ran for every branch."""
    office.notebook("one")
    runs.execute(office.plan(), executor=instant())
    return office


def test_everything_is_due_at_first_and_nothing_after(office, instant, reasons) -> None:
    office.notebook("one")
    first = office.plan()
    assert reasons(first) == dict.fromkeys(ALL, "never run")
    assert {result.status for result in runs.execute(first, executor=instant())} == {"done"}
    again = office.plan()
    assert reasons(again) == {}
    assert {result.status for result in runs.execute(again, executor=instant())} == {"skipped"}


def test_every_combination_stands_once_in_the_order_asked_for(office) -> None:
    office.notebook("one")
    office.notebook("two")
    cells = office.plan(
        periods=["2026Q1", "2026-04", "2026Q1"], branches=["south", "all"], chapters=["two", "one"]
    ).cells
    expected = [(p, b, c) for p in ("2026Q1", "2026-04") for b in ("south", "all") for c in ("two", "one")]
    assert [(cell.period, cell.branch, cell.chapter) for cell in cells] == expected
    assert len({cell.key for cell in cells}) == len(cells)


def test_one_branchs_data_touch_that_branch_and_all(done, reasons) -> None:
    done.rows([(t, b, m, n, "changed" if (b, m) == ("south", "2026-02") else h) for t, b, m, n, h in done.start])
    assert reasons(done.plan()) == dict.fromkeys(["2026Q1/all/one", "2026Q1/south/one"], "its data changed")


def test_what_became_known_after_the_period_touches_nothing(done, reasons) -> None:
    done.rows([*done.start, ("transactions", "south", "2026-05", 3, "late")])
    assert reasons(done.plan()) == {}


@pytest.mark.parametrize("row", [("targets", "", "", 1, "1"), ("campaigns", "", "2026-01", 1, "1")])
def test_rows_of_no_branch_touch_every_branch(done, reasons, row) -> None:
    done.rows([*done.start, row])
    assert set(reasons(done.plan())) == ALL


def test_failing_rows_touch_their_branch_and_all(done, reasons) -> None:
    failures = [("transactions", "south", "2026-02", 1, "1"), ("transactions", "north", "2026-05", 1, "1")]
    done.rows(failures, "data_quality/failures.fingerprints.parquet")
    assert set(reasons(done.plan())) == {"2026Q1/all/one", "2026Q1/south/one"}
    done.rows([("customers", None, None, 1, "1")], "data_quality/failures.fingerprints.parquet")
    assert set(reasons(done.plan())) == ALL


def test_coverage_touches_its_branch_and_all(done, reasons, instant) -> None:
    stored = done.folder / "build" / "tables" / "coverage.json"

    def cover(day: str) -> None:
        north = {"branch": "north", "first_day": "2026-01-01", "last_covered_day": day, "silent": False}
        stored.write_text(json.dumps([north, {**north, "branch": "south", "last_covered_day": "2026-04-30"}]))

    cover("2026-04-30")
    runs.execute(done.plan(force=True), executor=instant())
    cover("2026-05-31")  # both days lie after the period
    assert reasons(done.plan()) == {}
    cover("2026-03-15")
    assert set(reasons(done.plan())) == {"2026Q1/all/one", "2026Q1/north/one"}


def test_the_days_between_which_the_data_lie_touch_every_page(done, reasons, instant) -> None:
    """They decide whether a period is complete and whether it has one before."""
    stored = done.folder / "build" / "tables" / "extent.json"

    def reach(start: str, end: str) -> dict[str, str]:
        stored.write_text(json.dumps({"data_start_on": start, "data_ends_on": end}))
        return reasons(done.plan())

    reach("2026-01-01", "2026-04-30")
    runs.execute(done.plan(force=True), executor=instant())
    assert reach("2026-01-01", "2026-05-31") == {}  # both ends lie after the period
    assert reach("2026-01-01", "2026-03-30") == dict.fromkeys(ALL, "its data changed")
    assert reach("2025-01-01", "2026-04-30") == dict.fromkeys(ALL, "its data changed")


def test_outputs_and_formatting_of_a_notebook_do_not_count_its_source_does(done, reasons) -> None:
    path = done.analyses / "one.ipynb"
    book = json.loads(path.read_text())
    book["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "seen in JupyterLab"}]
    path.write_text(json.dumps(book, indent=3))
    assert reasons(done.plan()) == {}
    book["cells"][1]["source"] = "print(branch, period)"
    path.write_text(json.dumps(book))
    assert reasons(done.plan()) == dict.fromkeys(ALL, "its notebook changed")


def test_settings_count_where_some_module_reads_them(office, instant, reasons) -> None:
    office.notebook("one", "settings.currency")
    office.notebook("two", "settings.id")
    runs.execute(office.plan(), executor=instant())
    office.profile = office.profile.model_copy(update={"currency": "USD"})
    assert reasons(office.plan()) == dict.fromkeys(ALL, "the profile changed")


def test_language_parameters_and_force(done, reasons) -> None:
    assert set(reasons(done.plan(language="ko")).values()) == {"its parameters changed; the translation changed"}
    assert set(reasons(done.plan(force=True)).values()) == {"asked for"}


def test_further_parameters_reach_the_notebook(office, instant) -> None:
    office.notebook("one", parameters="horizon_months = 12\n")
    workers = instant()
    runs.execute(office.plan(branches=["all"], parameters={"one": {"horizon_months": 6}}), executor=workers)
    assert workers.jobs[0].parameters["horizon_months"] == 6
    assert office.plan(branches=["all"]).due[0].reason == "its parameters changed"


def test_removed_or_truncated_output_is_made_again(done, reasons) -> None:
    folder = done.folder / "build" / "executed" / "2026Q1"
    (folder / "north" / "one.findings.json").unlink()
    (folder / "south" / "one.ipynb").write_text("on")
    lost = "its output is missing or was changed"
    assert reasons(done.plan()) == {"2026Q1/north/one": lost, "2026Q1/south/one": lost}


def test_a_failed_cell_is_tried_again(office, instant, reasons) -> None:
    office.notebook("one")
    runs.execute(office.plan(), executor=instant("one"))
    assert reasons(office.plan()) == dict.fromkeys(ALL, "failed last time")


def test_longest_first(office, instant) -> None:
    office.notebook("one")
    office.rows([("transactions", "south", "2026-01", 9_000_000, "1"), ("transactions", "north", "2026-01", 1, "2")])
    assert [cell.branch for cell in office.plan().due] == ["all", "south", "north"]


def test_code_behind_a_chapter_is_found_through_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "crm_analysis"
    for name, text in {
        "__init__.py": "",
        "chapter/__init__.py": "from crm_analysis.chapter.model import fit",
        "chapter/model.py": "from ..shared import tool\nimport scipy.stats\ndef fit(profile): return profile.margin",
        "shared.py": "import json\ntool = 1",
        "other.py": "",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(keys, "PACKAGE", package)
    keys._module_path.cache_clear()
    try:
        memory = tmp_path / "memory.json"
        sources = Sources(memory)
        found = sources.closure("from crm_analysis import chapter\nchapter.fit(1)")
        names = ["crm_analysis", "crm_analysis.chapter", "crm_analysis.chapter.model", "crm_analysis.shared"]
        assert [entry["name"] for entry in found] == names
        assert found[2]["others"] == ["scipy.stats"]
        assert found[2]["settings"] == ["margin"]
        sources.save()
        assert Sources(memory).closure("import crm_analysis.chapter") == found
        (package / "shared.py").write_text("import json\ntool = 2")
        changed = Sources(memory).closure("from crm_analysis import chapter")
        assert [entry["name"] for entry in changed if entry not in found] == ["crm_analysis.shared"]
    finally:
        keys._module_path.cache_clear()


def test_unknown_parameter_is_refused_before_anything_runs(office) -> None:
    office.notebook("one", parameters="horizon_months = 12\n")
    with pytest.raises(UserError) as refused:
        office.plan(parameters={"one": {"horizon_month": 6}})
    assert str(refused.value) == (
        f'{office.analyses / "one.ipynb"} has no parameter "horizon_month". Did you mean "horizon_months"? '
        "Its parameters: profile, branch, period, language, horizon_months."
    )
    assert not (office.folder / "build" / "executed").exists()


@pytest.mark.parametrize(("value", "kind"), [("abc", "text"), (2.5, "a number"), (True, "true or false")])
def test_a_value_of_another_kind_is_refused_before_anything_runs(office, value, kind) -> None:
    office.notebook("one", parameters="horizon_months = 12\n")
    with pytest.raises(UserError) as refused:
        office.plan(parameters={"one": {"horizon_months": value}})
    assert str(refused.value) == (
        f'{office.analyses / "one.ipynb"}: the parameter "horizon_months" is a whole number, such as 12; '
        f"{value!r} is {kind}."
    )
    office.notebook("one", parameters="rate = 0.5\n")
    assert office.plan(parameters={"one": {"rate": 1}}).due


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"chapters": ["onee"]}, 'There is no chapter "onee". Did you mean "one"? Chapters: one.'),
        (
            {"branches": ["nort"]},
            'There is no branch "nort" in tiny. Did you mean "north"? Branches: all, north, south.',
        ),
        ({"parameters": {"two": {"a": 1}}}, 'Parameters are given for "two", which is not among the chapters to run.'),
    ],
)
def test_unknown_names_are_refused(office, asked, message) -> None:
    office.notebook("one")
    with pytest.raises(UserError) as refused:
        office.plan(**asked)
    assert str(refused.value) == message


def test_malformed_period_is_refused(office) -> None:
    office.notebook("one")
    with pytest.raises(ScopeError, match='"2026Q5" is not a period'):
        office.plan(periods=["2026Q5"])


def test_parameters_cell_must_be_plain(office) -> None:
    office.notebook("one", parameters="horizon_months = 12 * years()\n")
    with pytest.raises(UserError, match="`horizon_months` is not a plain value"):
        office.plan()
    office.notebook("one", parameters="import os\n")
    with pytest.raises(UserError, match="may hold only lines like"):
        office.plan()


def test_nothing_ingested_yet(office) -> None:
    office.notebook("one")
    (office.folder / "build" / "tables" / "fingerprints.parquet").unlink()
    with pytest.raises(UserError, match="holds no tables yet"):
        office.plan()


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys; from crm_analysis import profile, runs; runs.plan\n"
        "print({'pandas', 'ibis', 'great_expectations', 'papermill', 'jupyter_client'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=keys.PACKAGE.parent
    )
    assert out.stdout.strip() == "set()"


def test_magic_lines_do_not_hide_imports(office) -> None:
    office.notebook("one", "%matplotlib inline\nfrom crm_analysis import units")
    code = Notebook.read("one", office.analyses).code
    names = [entry["name"] for entry in Sources(office.folder / "memory.json").closure(code)]
    assert names == ["crm_analysis", "crm_analysis.errors", "crm_analysis.units"]
