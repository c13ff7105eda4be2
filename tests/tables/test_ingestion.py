"""What is written when: once, in safe names, only where rows changed, and never by halves."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crm_analysis import files, tables
from crm_analysis.errors import DataError, UserError
from crm_analysis.tables import ingestion, staging
from tests.tables.conftest import GIFTS, HEADER, Workplace

Tree = Callable[[Path], dict[str, bytes]]
STRANGE = [
    "../../etc",
    "a/b",
    "=cmd()",
    "<script>alert(1)</script>",
    "지점 1",
    "🎁",
    "x" * 300,
    "All",
    "AUX",
    "it's",
    'say "x"',
]
SEOUL, BUSAN = "1,C1,서울,2026-03-01,1000", "2,C2,부산,2026-03-02,2000"


def test_strange_branch_names_land_in_safe_files(workplace: Workplace) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in STRANGE]
    profile = workplace.gifts(*[f"{n},C{n},{name},2026-03-01,{n}" for n, name in enumerate(quoted)])
    tables.ingest(profile)
    folder = workplace.build / "tables" / "transactions"
    made = sorted(folder.glob("*.parquet"))
    assert len(made) == len(STRANGE)
    assert all(len(path.name.encode()) < 80 and path.parent == folder for path in made)
    assert {path.name for path in workplace.data.parent.iterdir()} == {"data", "build"}
    opened = tables.open(profile)
    assert sorted(opened.branches()) == sorted(STRANGE)
    for name in ("../../etc", "=cmd()", "x" * 300, 'say "x"'):
        found = opened.scope(name, "2026-03").table("transactions").execute()
        assert list(found["branch"]) == [name] and list(found["amount"]) == [STRANGE.index(name)]


def test_a_branch_called_as_the_total_is_refused(workplace: Workplace) -> None:
    workplace.gifts(SEOUL, "2,C2,all,2026-03-02,2000", "3,C3,all,2026-03-03,5")
    with pytest.raises(DataError) as caught:
        tables.ingest(workplace.profile())
    assert str(caught.value) == (
        'transactions.branch: 2 of 3 rows have the branch "all" (first: line 3 of gifts.csv). That name stands for all '
        "branches together. Give the branch another one with `values:` under tables.transactions.columns.branch in the "
        "profile."
    )
    renamed = {**GIFTS, "branch": {"from": "지점", "values": {"all": "head office"}}}
    profile = workplace.profile({"transactions": {"files": ["gifts.csv"], "columns": renamed}})
    tables.ingest(profile)
    assert sorted(tables.open(profile).branches()) == ["head office", "서울"]


def test_a_row_of_no_single_branch_may_not_say_all(workplace: Workplace) -> None:
    workplace.gifts(SEOUL)
    workplace.write("targets.csv", "measure,branch,period,value\nretention,all,2026,0.8\n")
    wanted = workplace.profile().tables["transactions"].model_dump(by_alias=True)
    targets = {"files": ["targets.csv"]}
    with pytest.raises(DataError, match=r"targets\.branch: 1 of 1 rows has .*or leave it empty \(`null`\)"):
        tables.ingest(workplace.profile({"transactions": wanted, "targets": targets}))


def test_unchanged_sources_are_not_read_again(
    workplace: Workplace, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = workplace.gifts(SEOUL, BUSAN)
    tables.ingest(profile)
    before = tree(workplace.build)
    monkeypatch.setattr(ingestion, "_read", lambda *_: pytest.fail("read again"))
    tables.ingest(profile)
    assert tree(workplace.build) == before
    os.utime(workplace.data / "gifts.csv", ns=(1, 1))
    tables.ingest(profile)
    unread = {name: held for name, held in tree(workplace.build).items() if not name.endswith("_ingest.json")}
    assert unread == {name: held for name, held in before.items() if not name.endswith("_ingest.json")}


def test_only_the_branch_whose_rows_changed_is_written_again(workplace: Workplace) -> None:
    workplace.write("seoul.csv", f"{HEADER}\n{SEOUL}\n")
    workplace.write("busan.csv", f"{HEADER}\n{BUSAN}\n")
    profile = workplace.profile({"transactions": {"files": ["*.csv"], "columns": GIFTS}})
    tables.ingest(profile)
    folder = workplace.build / "tables" / "transactions"
    before = {path.name: path.stat().st_ino for path in folder.glob("*.parquet")}
    workplace.write("busan.csv", f"{HEADER}\n{BUSAN}\n3,C3,부산,2026-03-03,5\n")
    workplace.write("daegu.csv", f"{HEADER}\n4,C4,대구,2026-03-03,5\n")
    tables.ingest(profile)
    after = {path.name: path.stat().st_ino for path in folder.glob("*.parquet")}
    assert after["서울.parquet"] == before["서울.parquet"]
    assert after["부산.parquet"] != before["부산.parquet"]
    assert set(after) == {"서울.parquet", "부산.parquet", "대구.parquet"}
    rows = duckdb.connect().execute("SELECT _row FROM read_parquet($1)", [str(folder / "*.parquet")]).fetchall()
    assert len({row[0] for row in rows}) == 4 and max(rows)[0] < 2**53


def fingerprints(workplace: Workplace) -> dict[tuple[str, str, str], tuple[int, str]]:
    """Rows and hash by table, branch and month."""
    path = str(workplace.build / "tables" / "fingerprints.parquet")
    found = duckdb.connect().execute("FROM read_parquet($1)", [path]).fetchall()
    return {row[:3]: row[3:] for row in found}


def test_fingerprints_follow_rows_and_nothing_else(workplace: Workplace) -> None:
    profile = workplace.gifts(SEOUL, BUSAN, "3,C3,부산,,5")
    tables.ingest(profile)
    before = fingerprints(workplace)
    assert {key: rows for key, (rows, _) in before.items()} == {
        ("transactions", "서울", "2026-03"): 1,
        ("transactions", "부산", "2026-03"): 1,
        ("transactions", "부산", ""): 1,
    }
    workplace.gifts("3,C3,부산,,5", BUSAN, SEOUL)
    tables.ingest(profile)
    assert fingerprints(workplace) == before
    workplace.gifts("3,C3,부산,,5", BUSAN, SEOUL.replace("1000", "1001"))
    tables.ingest(profile)
    changed = {key for key, value in fingerprints(workplace).items() if before[key] != value}
    assert changed == {("transactions", "서울", "2026-03")}


def linked(workplace: Workplace) -> dict[str, Any]:
    """Gifts, commitments of two branches and their dues."""
    workplace.gifts(SEOUL, BUSAN)
    workplace.write(
        "commitments.csv",
        "commitment_id,customer_id,branch,started_on,amount,cycle_months\n"
        "K1,C1,서울,2026-01-01,10,1\nK2,C2,부산,2026-01-01,10,1\n",
    )
    workplace.write("dues.csv", "due_id,commitment_id,due_on,amount_due\nD1,K1,2026-02-01,10\nD2,K2,2026-02-01,10\n")
    return {
        "transactions": {"files": ["gifts.csv"], "columns": GIFTS},
        "dues": {"files": ["dues.csv"]},
        "commitments": {"files": ["commitments.csv"]},
    }


def test_dues_are_fingerprinted_under_the_branch_of_their_commitment(workplace: Workplace) -> None:
    profile = workplace.profile(linked(workplace))
    tables.ingest(profile)
    assert {key[1] for key in fingerprints(workplace) if key[0] == "dues"} == {"서울", "부산"}
    workplace.write(
        "commitments.csv",
        "commitment_id,customer_id,branch,started_on,amount,cycle_months\n"
        "K1,C1,서울,2026-01-01,10,1\nK2,C2,서울,2026-01-01,10,1\n",
    )
    tables.ingest(profile)
    assert {key[1] for key in fingerprints(workplace) if key[0] == "dues"} == {"서울"}


def test_a_table_taken_out_of_the_profile_goes(workplace: Workplace) -> None:
    settings = linked(workplace)
    tables.ingest(workplace.profile(settings))
    del settings["dues"]
    tables.ingest(workplace.profile(settings))
    assert {path.name for path in (workplace.build / "tables").iterdir() if path.is_dir()} == {
        "transactions",
        "commitments",
    }
    assert "dues" not in {key[0] for key in fingerprints(workplace)}


def test_an_error_in_one_table_leaves_all_as_they_were(workplace: Workplace, tree: Tree) -> None:
    profile = workplace.profile(linked(workplace))
    tables.ingest(profile)
    before = tree(workplace.build)
    workplace.write("commitments.csv", "commitment_id\n")
    workplace.gifts(SEOUL, BUSAN.replace("2026-03-02", "soon"))
    with pytest.raises(DataError):
        tables.ingest(profile)
    assert tree(workplace.build) == before
    assert not list((workplace.build / "tables").glob(".*"))


@pytest.mark.parametrize("moment", ["replace", "rename"])
def test_an_interrupted_run_is_finished_by_the_next(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    profile = workplace.profile(linked(workplace))
    tables.ingest(profile)
    whole = fingerprints(workplace)
    workplace.gifts(SEOUL, BUSAN, "3,C3,대구,2026-03-02,5")
    done = []
    real = getattr(os, moment)

    def stop(*args: Any) -> None:
        done.append(args)
        if len(done) == 2:
            raise KeyboardInterrupt
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(ingestion.os, moment, stop)
        patch.setattr(ingestion.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            tables.ingest(profile)
    tables.ingest(profile)
    assert set(fingerprints(workplace)) == set(whole) | {("transactions", "대구", "2026-03")}
    assert not list((workplace.build / "tables").glob(".*"))
    shutil.rmtree(workplace.build)
    tables.ingest(profile)
    assert tables.open(profile).raw("transactions").count().execute() == 3


def test_a_full_disk_says_so_and_leaves_nothing(
    workplace: Workplace, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = workplace.gifts(SEOUL)
    tables.ingest(profile)
    before = tree(workplace.build)
    workplace.gifts(SEOUL, BUSAN)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staging, "stage", full)
    with pytest.raises(UserError) as caught:
        tables.ingest(profile)
    assert str(caught.value) == (
        f"The disk is full: {workplace.build / 'tables'} could not be written and nothing was left half-written. Free "
        "some space and run again; what is finished will be skipped."
    )
    assert tree(workplace.build) == before

    def engine_full(*_: Any, **__: Any) -> None:
        raise duckdb.IOException('IO Error: Could not write file "x": No space left on device')

    monkeypatch.setattr(staging, "stage", engine_full)
    with pytest.raises(UserError, match="The disk is full"):
        tables.ingest(profile)


def test_no_permission_to_write(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = workplace.gifts(SEOUL)

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(workplace.build))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(UserError) as caught:
        tables.ingest(profile)
    assert str(caught.value) == (
        f"No permission to write {workplace.build}. Give yourself write access to {workplace.build.parent} or run from "
        "another folder."
    )


def test_folders_whose_names_hold_wildcards(tmp_path: Path) -> None:
    odd = tmp_path / "CRM [2026] *it's*"
    odd.mkdir()
    workplace = Workplace(odd)
    profile = workplace.gifts(SEOUL, BUSAN)
    tables.ingest(profile)
    assert tables.open(profile).scope("서울", "2026-03").table("transactions").count().execute() == 1


def test_reading_before_ingest(workplace: Workplace) -> None:
    profile = workplace.gifts(SEOUL)
    with pytest.raises(DataError) as caught:
        tables.open(profile)
    assert str(caught.value) == (
        f"transactions of test was not read yet. `crm-analysis check --profile {profile.path}` reads it."
    )


def test_the_report_counts_rows_by_file(workplace: Workplace) -> None:
    profile = workplace.gifts(SEOUL, "", BUSAN, "합계,,,,3000")
    tables.ingest(profile)
    entry = files.read_json(workplace.build / "tables" / "ingest.json")["tables"]["transactions"]["files"][0]
    assert entry.pop("sha256") == hashlib.sha256((workplace.data / "gifts.csv").read_bytes()).hexdigest()
    assert entry == {
        "source": "gifts.csv", "file": "gifts.csv", "encoding": "utf-8", "rows": 2, "blank_rows": 1, "total_rows": 1
    }  # fmt: skip
