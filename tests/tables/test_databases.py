"""Tables read where they are: the same rows as from a file, nothing written, names never taken for SQL."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pandas as pd
import pytest

from crm_analysis import files, tables
from crm_analysis.errors import DataError

LINES = [
    "1,A,seoul,2026-01-05,1000.5",
    '2,"B ""the boss"", Kim",seoul,2026-02-07,2000',
    "3,,부산,2026-03-08,-30",
    "4,A,부산,2026-03-09,40",
]
GIFTS = {
    "transaction_id": "number",
    "customer_id": "donor",
    "branch": "branch",
    "occurred_at": "day",
    "amount": "paid",
    "kind": {"constant": "gift"},
}
VALUES = """VALUES (1, 'A', 'seoul', DATE '2026-01-05', 1000.5), (2, 'B "the boss", Kim', 'seoul', '2026-02-07', 2000),
    (3, NULL, '부산', '2026-03-08', -30), (4, 'A', '부산', '2026-03-09', 40)"""
CREATE = "CREATE TABLE {} (number INTEGER, donor VARCHAR, branch VARCHAR, day DATE, paid DECIMAL(12, 2))"


@pytest.fixture
def shop(workplace):
    """A DuckDB file with the same gifts in a table, a view, and under a name that is hard to write."""
    file = workplace.data / "shop.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(CREATE.format("gifts"))
        con.execute(f"INSERT INTO gifts {VALUES}")
        con.execute("CREATE VIEW recent AS SELECT * FROM gifts WHERE day >= '2026-03-01'")
        con.execute('CREATE SCHEMA "Books; & more"')
        con.execute('CREATE TABLE "Books; & more"."the ""gifts""" AS SELECT * FROM gifts')
        con.execute("CREATE TABLE other (i INTEGER)")
    return file


def over(workplace, table: str, *, database: str = "shop.duckdb", **settings):
    source = {"database": database, "table": table, "columns": GIFTS, **settings}
    return workplace.profile({"transactions": source}, coverage={"data_ends_on": "2026-03-31"})


def rows(profile) -> pd.DataFrame:
    tables.ingest(profile)
    frame = tables.open(profile).raw("transactions").order_by("transaction_id").execute()
    return frame.drop(columns=["_row", "_source", "_line"])


def record(profile) -> dict:
    return files.read_json(profile.build_dir / "tables" / "transactions" / "_ingest.json")


@pytest.mark.parametrize("table", ["gifts", "main.gifts", 'Books; & more.the "gifts"'])
def test_a_table_of_duckdb_gives_the_rows_that_a_file_gives(workplace, shop, table):
    before = shop.read_bytes()
    read = rows(over(workplace, table))
    expected = rows(workplace.gifts(*LINES))
    pd.testing.assert_frame_equal(read, expected)
    assert shop.read_bytes() == before and not shop.with_name("shop.duckdb.wal").exists()


def test_a_view_and_a_condition_are_read_as_they_select(workplace, shop):
    assert list(rows(over(workplace, "recent"))["transaction_id"]) == ["3", "4"]
    assert list(rows(over(workplace, "gifts", where="paid < 0"))["transaction_id"]) == ["3"]


def test_a_name_is_never_taken_for_sql(workplace, shop):
    before = shop.read_bytes()
    for name in ('gifts"; DROP TABLE gifts; --', "gifts WHERE paid < 0", "(SELECT 1)"):
        with pytest.raises(DataError, match="there is no table"):
            tables.ingest(over(workplace, name))
    assert shop.read_bytes() == before


@pytest.mark.parametrize(
    ("view", "afterwards", "why"),
    [
        ("SELECT * FROM old", "DROP TABLE old", "Table with name old does not exist"),
        ("SELECT donor, old.* FROM old", "ALTER TABLE old DROP donor", '"donor" not found'),
        ("SELECT * FROM read_csv('{}')", "DROP TABLE old", 'No files found that match the pattern "{}"'),
        ("SELECT * REPLACE (CAST(donor AS INTEGER) AS number) FROM old", "CHECKPOINT", "Could not convert string 'A'"),
    ],
)
def test_a_view_that_cannot_be_read_is_to_be_mended(workplace, shop, view, afterwards, why):
    outside = workplace.write("outside.csv", "number,donor,branch,day,paid\n")
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE old AS FROM gifts")
        con.execute(f"CREATE VIEW outdated AS {view.format(outside)}")
        con.execute(afterwards)
    outside.unlink()
    with pytest.raises(DataError) as refused:
        tables.ingest(over(workplace, "outdated"))
    said = str(refused.value)
    assert said.startswith("transactions: the view outdated in shop.duckdb cannot be read: ")
    assert why.format(outside) in said
    assert said.endswith(". Mend the view in the database, or name another table or view under `table`.")


def test_an_unchanged_database_is_not_opened_again(workplace, shop, monkeypatch):
    profile = over(workplace, "gifts")
    tables.ingest(profile)
    first = record(profile)
    monkeypatch.setattr("duckdb.connect", None)
    tables.ingest(profile)
    assert record(profile) == first


def test_a_change_elsewhere_in_the_database_reads_nothing_again(workplace, shop):
    profile = over(workplace, "gifts")
    tables.ingest(profile)
    first = record(profile)
    part = profile.build_dir / "tables" / "transactions" / "seoul.parquet"
    written = part.stat().st_mtime_ns
    with duckdb.connect(str(shop)) as con:
        con.execute("INSERT INTO other VALUES (1)")
    tables.ingest(profile)
    second = record(profile)
    assert second["key"] == first["key"] and second["prints"] != first["prints"]
    with duckdb.connect(str(shop)) as con:
        con.execute("UPDATE gifts SET paid = 41 WHERE number = 4")
    tables.ingest(profile)
    third = record(profile)
    assert third["key"] != first["key"]
    assert part.stat().st_mtime_ns == written  # the other branch keeps its file
    assert list(rows(profile)["amount"]) == [1000.5, 2000, -30, 41]


def test_a_column_is_asked_for_by_its_whole_name(workplace, shop):
    with duckdb.connect(str(shop)) as con:
        con.execute(
            "CREATE TABLE people AS SELECT *, 'Kim' AS surname, 'Ana' AS name, 1 AS id, 'x' AS \"a \"\"b\" FROM gifts"
        )
    columns = {**GIFTS, "customer_id": {"expression": 'upper(SurName) || "a ""b"'}}
    profile = over(workplace, "people", columns=columns, where="paid IS NOT NULL")
    assert set(rows(profile)["customer_id"]) == {"KIMx"}
    first = record(profile)
    for change, asked in (
        ("name = 'Bo'", False),
        ("id = 2", False),
        ("surname = 'Lee'", True),
        ('"a ""b" = \'y\'', True),
    ):
        with duckdb.connect(str(shop)) as con:
            con.execute(f"UPDATE people SET {change}")
        tables.ingest(profile)
        assert (record(profile)["key"] != first["key"]) is asked, change
        first = record(profile)
    assert set(rows(profile)["customer_id"]) == {"LEEy"}


def test_rows_that_are_still_in_the_log_are_read(workplace, shop):
    profile = over(workplace, "gifts")
    assert len(rows(profile)) == 4
    writer = (
        "import duckdb, os, sys; con = duckdb.connect(sys.argv[1]); "
        "con.execute(\"INSERT INTO gifts VALUES (5, 'C', 'seoul', DATE '2026-03-10', 7)\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", writer, str(shop)], check=True)
    assert shop.with_name("shop.duckdb.wal").exists()
    assert list(rows(profile)["transaction_id"]) == ["1", "2", "3", "4", "5"]


def test_moments_need_to_know_whose_clock_decides(workplace, shop):
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE moments AS SELECT * REPLACE (TIMESTAMPTZ '2026-01-31 20:00:00+00' AS day) FROM gifts")
    with pytest.raises(DataError) as refused:
        tables.ingest(over(workplace, "moments"))
    assert str(refused.value) == (
        'transactions.occurred_at: "day" of moments in shop.duckdb holds moments with a time zone, and which day a '
        "moment belongs to depends on whose clock is asked. Write it under tables.transactions in the profile, for "
        "example `time_zone: Asia/Seoul`."
    )
    read = rows(over(workplace, "moments", time_zone="Asia/Seoul"))
    assert set(read["occurred_at"]) == {pd.Timestamp("2026-02-01 05:00:00")}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("day", '"day" of moments in shop.duckdb'),
        ("CAST(DAY AS DATE)", '"day" of moments in shop.duckdb'),
        ("strftime(day, '%Y-%m-%d')", '"day" of moments in shop.duckdb'),
        ("to_timestamp(number)", "the expression (to_timestamp(number)) on moments in shop.duckdb"),
    ],
)
def test_moments_in_an_expression_need_it_too(workplace, shop, expression, told):
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE moments AS SELECT * REPLACE (TIMESTAMPTZ '2026-01-31 20:00:00+00' AS day) FROM gifts")
    columns = {**GIFTS, "occurred_at": {"expression": expression}}
    with pytest.raises(DataError) as refused:
        tables.ingest(over(workplace, "moments", columns=columns))
    assert str(refused.value).startswith(f"transactions.occurred_at: {told} holds moments with a time zone, and which")


def test_a_condition_on_moments_needs_it_too(workplace, shop):
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE moments AS SELECT *, TIMESTAMPTZ '2026-01-31 20:00:00+00' AS seen FROM gifts")
    february = "number = 1 OR CAST(seen AS DATE) = DATE '2026-02-01'"
    with pytest.raises(DataError) as refused:
        tables.ingest(over(workplace, "moments", where=february))
    assert str(refused.value).startswith('tables.transactions.where: "seen" of moments in shop.duckdb holds moments')
    assert len(rows(over(workplace, "moments", where=february, time_zone="UTC"))) == 1
    assert len(rows(over(workplace, "moments", where=february, time_zone="Asia/Seoul"))) == 4
    for of_no_clock in ("seen IS NOT NULL", "number <> 0 AND branch <> 'seen'"):
        assert len(rows(over(workplace, "moments", where=of_no_clock))) == 4


@pytest.mark.parametrize(
    ("expression", "time_zone", "shown"),
    [
        ("CAST(day AS DATE)", "Asia/Seoul", "2026-02-01"),
        ("to_timestamp(1769889600 + number - number)", "Asia/Seoul", "2026-02-01 05:00"),
        ("day AT TIME ZONE 'Asia/Seoul'", None, "2026-02-01 05:00"),
        ("timezone('Asia/Seoul', day)", None, "2026-02-01 05:00"),
    ],
)
def test_moments_in_an_expression_are_read_by_the_clock_that_is_told(workplace, shop, expression, time_zone, shown):
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE moments AS SELECT * REPLACE (TIMESTAMPTZ '2026-01-31 20:00:00+00' AS day) FROM gifts")
    columns = {**GIFTS, "occurred_at": {"expression": expression}}
    read = rows(over(workplace, "moments", columns=columns, time_zone=time_zone))
    assert set(read["occurred_at"]) == {pd.Timestamp(shown)}


def test_a_cell_that_cannot_be_read_is_named(workplace, shop):
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE texts AS SELECT * REPLACE (CAST(paid AS VARCHAR) AS paid) FROM gifts")
        con.execute("UPDATE texts SET paid = 'much' WHERE number = 2")
    with pytest.raises(DataError) as refused:
        tables.ingest(over(workplace, "texts"))
    assert str(refused.value) == (
        'transactions.amount: 1 of 4 cells is not readable as amounts (first: "much" in line 2 of texts in '
        'shop.duckdb). Correct the source, or list codes that mean "no value" under `missing:` of tables.transactions '
        "in the profile."
    )


def two_amounts(table: str) -> dict:
    """The table read twice: what was paid, and the fee of it."""
    common = {"database": "shop.duckdb", "table": table}
    columns = {**GIFTS, "transaction_id": {"expression": "CAST(number AS VARCHAR) || 'f'"}, "amount": "fee"}
    return {"transactions": {"sources": [{**common, "columns": GIFTS}, {**common, "columns": columns}]}}


@pytest.mark.parametrize("changed", ["paid", "fee"])
def test_a_change_in_what_either_of_two_sources_reads_is_seen(workplace, shop, changed):
    with duckdb.connect(str(shop)) as con:
        con.execute("CREATE TABLE wide AS SELECT *, 3 AS fee FROM gifts")
    profile = workplace.profile(two_amounts("wide"), coverage={"data_ends_on": "2026-03-31"})
    assert list(rows(profile)["amount"]) == [1000.5, 3, 2000, 3, -30, 3, 40, 3]
    with duckdb.connect(str(shop)) as con:
        con.execute(f"UPDATE wide SET {changed} = 7 WHERE number = 1")
    assert list(rows(profile)["amount"])[:2] == ([7, 3] if changed == "paid" else [1000.5, 7])


def test_a_view_of_files_is_looked_at_again_each_time(workplace, shop):
    workplace.write("outside.csv", "number,donor,branch,day,paid\n" + "\n".join(LINES) + "\n")
    with duckdb.connect(str(shop)) as con:
        con.execute(f"CREATE VIEW outside AS SELECT * FROM read_csv('{workplace.data / 'outside.csv'}')")
    profile = over(workplace, "outside")
    assert list(rows(profile)["amount"]) == [1000.5, 2000, -30, 40]
    first = record(profile)
    assert len(rows(profile)) == 4 and record(profile) == first
    workplace.write("outside.csv", "number,donor,branch,day,paid\n" + "\n".join(LINES[:3]) + "\n")
    assert list(rows(profile)["amount"]) == [1000.5, 2000, -30]
