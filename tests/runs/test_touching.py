"""From files to fingerprints to a plan: touching one branch's rows re-runs that branch and `all`, nothing else."""

import json
from pathlib import Path

import duckdb
import pytest

from crm_analysis import profile as profiles
from crm_analysis import tables
from crm_analysis.runs.data import SHARED, Fingerprints
from crm_analysis.tables import opening
from crm_analysis.tables.failures import fingerprint_failures
from crm_analysis.units import Period

QUARTER = Period.parse("2026Q1")
HEADER = "id,who,branch,day,amount,kind"
LINES = [
    f"t{number},c{number % 7},{'north' if number % 2 else 'south'},2026-0{number % 4 + 1}-1{number % 9},{number},sale"
    for number in range(40)
] + ["b1,c1,north,2026-02-03,-5,sale", "b2,c2,south,2026-02-03,-5,sale", "b3,c3,,2026-02-04,-5,sale"]


class Shop:
    """One file of transactions for two branches; rows with negative amounts fail a rule."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "profile.yaml").write_text(
            "id: shop\nname: Shop\ncurrency: EUR\ndata: .\ncoverage: {data_ends_on: 2026-04-30}\n"
            "tables:\n  transactions:\n    files: [t.csv]\n    columns:\n"
            "      {transaction_id: id, customer_id: who, branch: branch, occurred_at: day, amount: amount, "
            "kind: kind}\n"
        )
        self.profile = profiles.load(folder / "profile.yaml").model_copy(update={"build_dir": folder / "build"})

    def prints(self, lines: list[str]) -> dict[str, str]:
        """Each scope's fingerprint after reading `lines`."""
        (self.folder / "t.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        tables.ingest(self.profile)
        opened = tables.open(self.profile)
        failures = self.folder / "build" / "data_quality" / "failures.parquet"
        failures.parent.mkdir(exist_ok=True)
        parts = self.folder / "build" / "tables" / "transactions" / "*.parquet"
        with duckdb.connect() as con:
            con.execute(
                "COPY (SELECT 'transactions' AS \"table\", _row, 'negative' AS rule, 'critical' AS severity, "
                f"true AS set_aside FROM read_parquet('{parts}') WHERE amount < 0 ORDER BY _row) "
                f"TO '{failures}' (FORMAT parquet)"
            )
        fingerprint_failures(opened)
        extent = {"data_ends_on": str(opened.data_ends_on)}
        (self.folder / "build" / "tables" / "extent.json").write_text(json.dumps(extent))
        found = Fingerprints.read(self.profile)
        return {branch: found.scope(branch, QUARTER) for branch in ("all", "north", "south")}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("line", "touched"),
    [
        ("n1,c1,south,2026-02-01,7,sale", {"all", "south"}),
        ("n2,c1,north,2026-01-01,-7,sale", {"all", "north"}),
        ("n3,c1,,2026-02-01,7,sale", {"all"}),
        ("n4,c1,south,2026-04-01,7,sale", set()),  # known only after the quarter
        ("n5,c1,south,2027-01-01,7,sale", {"all", "south"}),  # dated after the end of the data: a fault at any time
    ],
)
def test_a_line_added_on_top_touches_its_branch_and_all(shop: Shop, line: str, touched: set[str]) -> None:
    before = shop.prints(LINES)
    assert changed(before, shop.prints([line, *LINES])) == touched


def test_the_order_of_lines_touches_nothing(shop: Shop) -> None:
    assert changed(shop.prints(LINES), shop.prints(LINES[::-1])) == set()


def test_shared_tables_are_those_of_the_reading_side() -> None:
    assert set(SHARED) == set(opening._OF_NO_BRANCH)
