"""Tables of a PostgreSQL server, tried on one that is started for the purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from crm_analysis import files, tables
from crm_analysis.errors import DataError

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")


TABLE = '"Books; & more"."the ""gifts"""'


def _program(name: str) -> str | None:
    found = shutil.which(name) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    return str(found) if found else None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_program("initdb") is None, reason="PostgreSQL's server is not installed (Debian: postgresql)"),
]


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    """The folder of the socket of a server that listens there and nowhere else; it refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix="crm-pg-"))  # short: a socket's path has at most 107 signs
    as_postgres = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def run(*command: str) -> None:
        subprocess.run([*as_postgres, *command], check=True, capture_output=True, cwd=folder)

    try:
        data = str(folder / "data")
        run(_program("initdb"), "-D", data, "-A", "trust", "-U", "owner", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=America/New_York -c datestyle=German"
        run(_program("pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield folder
        finally:
            run(_program("pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shop(server) -> Iterator[psycopg.Connection]:
    """A database of its own, with gifts of every type that a column may have."""
    with psycopg.connect(f"postgresql://owner@/postgres?host={server}", autocommit=True) as con:
        con.execute("DROP DATABASE IF EXISTS shop")
        con.execute("CREATE DATABASE shop")
        if con.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'").fetchone() == (0,):
            con.execute("CREATE ROLE stranger LOGIN")
    with psycopg.connect(f"postgresql://owner@/shop?host={server}", autocommit=True) as con:
        con.execute("CREATE TYPE movement AS ENUM ('gift', 'refund'); CREATE DOMAIN won AS numeric(14, 2)")
        con.execute('CREATE SCHEMA "Books; & more"')
        con.execute(
            f"""CREATE TABLE {TABLE} (number bigint PRIMARY KEY, donor varchar(40),
            branch char(12), day date, at timestamptz, paid won, fee money DEFAULT 1.5, share real DEFAULT 0.5,
            kind movement DEFAULT 'gift', note text, labels text[] DEFAULT '{{a,b}}', more jsonb DEFAULT '{{"a": 1}}',
            photo bytea DEFAULT '\\xDEADBEEF', id uuid DEFAULT gen_random_uuid())"""
        )
        con.execute(
            f"""INSERT INTO {TABLE} (number, donor, branch, day, at, paid, note) VALUES
            (1, 'A', 'seoul', '2026-01-05', '2026-01-31 20:00+00', 1000.5, E'two\\r\\nlines, "quoted"'),
            (2, 'B "the boss", Kim', 'seoul', '2026-02-07', '2026-02-07 01:00+00', 2000, ''),
            (3, NULL, '부산', '2026-03-08', '2026-03-08 01:00+00', -30, E'\\\\N'),
            (4, 'A', '부산', '2026-03-09', '2026-03-09 01:00+00', 40, NULL)"""
        )
        con.execute(f"CREATE VIEW gifts AS SELECT * FROM {TABLE}")
        yield con


GIFTS = {
    "transaction_id": "number",
    "customer_id": "donor",
    "branch": "branch",
    "occurred_at": "day",
    "amount": "paid",
    "kind": "kind",
    "product": "note",
}


@pytest.fixture
def over(workplace, server):
    def make(table: str = 'Books; & more.the "gifts"', *, user: str = "owner", database: str = "shop", **settings):
        source = {"database": f"postgresql://{user}@/{database}?host={server}", "table": table, "columns": GIFTS}
        return workplace.profile({"transactions": source | settings}, coverage={"data_ends_on": "2026-03-31"})

    return make


def rows(profile) -> pd.DataFrame:
    tables.ingest(profile)
    return tables.open(profile).raw("transactions").order_by("transaction_id").execute()


def record(profile) -> dict:
    return files.read_json(profile.build_dir / "tables" / "transactions" / "_ingest.json")


def refusal(profile) -> str:
    with pytest.raises(DataError) as refused:
        tables.ingest(profile)
    return str(refused.value)


@pytest.mark.parametrize("table", ['Books; & more.the "gifts"', "gifts", "public.gifts"])
def test_a_table_of_a_server_gives_the_rows_that_a_file_gives(workplace, shop, over, table):
    read = rows(over(table))
    assert [None if pd.isna(note) else note for note in read["product"]] == [
        'two\r\nlines, "quoted"',
        None,
        "\\N",
        None,
    ]
    expected = rows(
        workplace.gifts(
            "1,A,seoul,2026-01-05,1000.5",
            '2,"B ""the boss"", Kim",seoul,2026-02-07,2000',
            "3,,부산,2026-03-08,-30",
            "4,A,부산,2026-03-09,40",
        )
    )
    apart = ["product", "_row", "_source", "_line"]
    pd.testing.assert_frame_equal(read.drop(columns=apart), expected.drop(columns=apart))


def test_every_type_of_a_column_arrives(shop, over):
    more = {
        "cost": "fee",
        "discount": "share",
        "product": "labels",
        "category": "more",
        "channel": "photo",
        "order_id": "id",
    }
    read = rows(over(columns=GIFTS | more)).iloc[0]
    assert (read["cost"], read["discount"]) == (1.5, 0.5)
    assert (read["product"], read["category"], read["channel"]) == ("{a,b}", '{"a": 1}', "\\xdeadbeef")
    assert len(read["order_id"]) == 36


def test_the_day_of_a_moment_is_that_of_the_clock_asked_for(shop, over):
    read = rows(over(columns=GIFTS | {"occurred_at": "at"}, time_zone="Asia/Seoul"))
    assert read["occurred_at"][0] == pd.Timestamp("2026-02-01 05:00:00")


def test_an_unchanged_table_is_not_read_again_whatever_else_changes(shop, over):
    profile = over()
    tables.ingest(profile)
    first = record(profile)
    shop.execute("CREATE TABLE other (i int); INSERT INTO other VALUES (1)")
    shop.execute(f"UPDATE {TABLE} SET paid = paid WHERE number = 1")  # moves a row, changes none
    tables.ingest(profile)
    assert record(profile) == first
    shop.execute(f"UPDATE {TABLE} SET paid = 41 WHERE number = 4")
    assert list(rows(profile)["amount"]) == [1000.5, 2000, -30, 41]
    assert record(profile)["key"] != first["key"]


def test_a_change_in_what_either_of_two_sources_reads_is_seen(workplace, shop, over):
    (first,) = over().model_dump(by_alias=True)["tables"]["transactions"]["sources"]
    first = {name: first[name] for name in ("database", "table", "columns")}
    fees = GIFTS | {"transaction_id": {"expression": "CAST(number AS VARCHAR) || 'f'"}, "amount": "fee"}
    profile = workplace.profile({"transactions": {"sources": [first, first | {"columns": fees}]}})
    assert list(rows(profile)["amount"][:2]) == [1000.5, 1.5]
    shop.execute(f"UPDATE {TABLE} SET paid = 7 WHERE number = 1")
    assert list(rows(profile)["amount"][:2]) == [7, 1.5]
    shop.execute(f"UPDATE {TABLE} SET fee = 8 WHERE number = 1")
    assert list(rows(profile)["amount"][:2]) == [7, 8]


def test_only_columns_that_the_profile_asks_for_leave_the_server(shop, over):
    shop.execute("CREATE VIEW broken AS SELECT *, 1 / (number - number) AS never FROM gifts")
    assert len(rows(over("broken"))) == 4
    assert "division by zero" in refusal(over("broken", columns=GIFTS | {"quantity": "never"}))
    assert "division by zero" in refusal(over("broken", where="Never > 0"))


def test_columns_that_differ_in_their_case_alone_are_told_apart(shop, over):
    shop.execute('CREATE VIEW cased AS SELECT *, 1 AS extra, 2 AS "Extra", 3 AS "EXTRA" FROM gifts')
    read = rows(over("cased", columns=GIFTS | {"cost": "Extra (2)", "discount": "EXTRA (3)"}))
    assert (read["cost"][0], read["discount"][0]) == (2, 3)


def test_what_is_not_there_or_not_allowed_is_said(shop, over, server):
    assert refusal(over("gift")) == (f'transactions: there is no table gift in shop at {server}. Did you mean "gifts"?')
    assert refusal(over("gifts", columns=GIFTS | {"amount": "payed"})).startswith(
        f'transactions.amount: gifts in shop at {server} has no column "payed". Did you mean "paid"? Its '
        "headers: number, donor, branch,"
    )
    assert refusal(over("gifts", user="stranger")) == (
        f"transactions: no permission to read gifts in shop at {server}. Ask for: GRANT SELECT on that table (and "
        "USAGE on its schema)."
    )
    assert 'database "shp" does not exist. Check `database`' in refusal(over("gifts", database="shp"))
    assert 'role "nobody" does not exist. Check `database`' in refusal(over("gifts", user="nobody"))


def test_a_name_is_never_taken_for_sql(shop, over):
    for name in ('gifts"; DROP VIEW gifts; --', "(SELECT 1)"):
        assert "there is no table" in refusal(over(name))
    assert shop.execute("SELECT count(*) FROM gifts").fetchone() == (4,)
