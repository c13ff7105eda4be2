"""One row per customer through the installed command: the files, their safety, and what is refused."""

from __future__ import annotations

import csv
import stat
import sys

import openpyxl
import pandas as pd
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the command is tried on POSIX systems"),
]
EXPORT = ("export", "customer-value", "--profile", "shop.yaml")


def test_all_three_formats_say_the_same_and_cannot_run(shop):
    for row in shop.rows:
        if row[1] == "C0003":
            row[1] = '=HYPERLINK("http://x","y")'
    shop.write()
    done = shop.run(*EXPORT)
    assert done.returncode == 0, done.stderr
    stem = "build/shop/exports/customer-value-2025Q4-all"
    assert done.stdout.splitlines() == [
        f"{stem}.parquet  120 customers",
        f"{stem}.csv  120 customers",
        f"{stem}.xlsx  120 customers",
        f"{stem}-columns.md  what the columns mean",
    ]
    for kind in ("parquet", "csv", "xlsx"):
        assert stat.S_IMODE((shop.folder / f"{stem}.{kind}").stat().st_mode) == 0o600
    whole = pd.read_parquet(shop.folder / f"{stem}.parquet")
    with open(shop.folder / f"{stem}.csv", encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    book = openpyxl.load_workbook(shop.folder / f"{stem}.xlsx")
    assert book.sheetnames == ["customers", "columns"]
    head, *cells = book["customers"].iter_rows(values_only=True)
    assert list(head) == list(rows[0]) == list(whole.columns)
    assert (
        [row["treatment"] for row in rows]
        == whole["treatment"].to_list()
        == [row[head.index("treatment")] for row in cells]
    )
    assert sum(float(row["expected_value"]) for row in rows) == pytest.approx(whole["expected_value"].sum())
    assert whole["customer_id"].iloc[0].startswith("=HYPERLINK")  # Parquet runs nothing
    assert rows[0]["customer_id"].startswith("'=") and cells[0][0].startswith("'=")
    described = [row[0] for row in book["columns"].iter_rows(values_only=True)]
    text = (shop.folder / f"{stem}-columns.md").read_text(encoding="utf-8")
    assert described == ["column", *head] and all(f"| {name} |" in text for name in head)
    assert "| EUR |" in text


def test_one_branch_period_and_format(shop):
    shop.write()
    done = shop.run(*EXPORT, "--branch", "north", "--period", "2025Q3", "--format", "csv")
    assert done.returncode == 0, done.stderr
    path, columns = done.stdout.splitlines()
    assert path == "build/shop/exports/customer-value-2025Q3-north.csv  80 customers"
    frame = pd.read_csv(shop.folder / path.split("  ")[0])
    assert set(frame["branch"]) == {"north"} and len(frame) == 80
    exports = {name for name in done.added if "exports/" in name and "set_aside" not in name}
    assert exports == {path.split("  ")[0], columns.split("  ")[0]}


def test_an_unknown_branch(shop, refused):
    shop.write()
    assert refused(shop.run(*EXPORT, "--branch", "nrth"), reads=True) == (
        'There is no branch "nrth" in shop. Did you mean "north"? Branches: all, north, south.'
    )


def test_a_period_without_data(shop, refused):
    shop.write()
    assert refused(shop.run(*EXPORT, "--period", "2031Q1"), reads=True) == (
        "2031Q1 lies after the end of the data: the data of shop end on 2025-12-31. "
        "The last complete quarter is 2025Q4; take that one."
    )


def test_nobody_is_named(shop):
    for row in shop.rows:
        row[1] = ""
    shop.write()
    done = shop.run(*EXPORT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "crm-analysis: No customer is known in all up to 2025-12-31: every transaction there is anonymous. "
        "`customer_id` in the profile says which column names the customer.\n"
    )
    assert not any("customer-value" in name for name in done.added)


def test_amounts_in_mixed_currencies(shop, refused):
    shop.rows[4][4] = "$12.50"
    shop.write()
    assert refused(shop.run(*EXPORT)) == (
        "transactions: the profile's currency is EUR, but 1 of 944 rows carries $ (first: line 6 of sales.csv). One "
        "profile has one currency: convert the amounts, or keep the other currency in a profile of its own."
    )


def test_the_built_in_associations_rows_are_the_pages(association):
    made = association(seed=3, donors=1500)
    done = made.command("export", "customer-value", "--branch", "seoul", "--format", "parquet")
    assert done.returncode == 0, done.stderr
    path, said = done.stdout.splitlines()[0].split("  ")
    frame = pd.read_parquet(made.folder / path)
    assert said == f"{len(frame):,} customers" and frame["customer_id"].is_unique
    assert frame.groupby("treatment")["expected_value"].sum().idxmax() == "protect"
