"""A shop whose sales live in DuckDB, through the installed command: the same report, and what is said when it fails."""

from __future__ import annotations

import json
import subprocess
import sys

import duckdb
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def in_duckdb(new_shop):
    """The shop, its sales in the table `sales` of a DuckDB file and nowhere else."""
    new_shop.write()
    with duckdb.connect(str(new_shop.folder / "shop.duckdb")) as con:
        con.execute(f"CREATE TABLE sales AS SELECT * FROM read_csv('{new_shop.folder / 'sales.csv'}')")
        con.execute("CREATE TABLE stock (i INTEGER)")
    (new_shop.folder / "sales.csv").unlink()
    source = new_shop.profile["tables"]["transactions"]
    del source["files"]
    source |= {"database": "shop.duckdb", "table": "sales"}
    _write(new_shop)
    return new_shop


def _write(shop) -> None:
    """The profile alone."""
    shop.write()
    (shop.folder / "sales.csv").unlink()


def _source(shop) -> dict:
    return shop.profile["tables"]["transactions"]


def test_a_check_tells_the_same_of_a_database_as_of_a_file(in_duckdb, checked_shop):
    before = (in_duckdb.folder / "shop.duckdb").read_bytes()
    done = in_duckdb.check()
    assert done.returncode == 0, done.stderr
    made, expected = (
        json.loads((folder / "build/shop/data_quality/report.json").read_text(encoding="utf-8"))
        for folder in (in_duckdb.folder, checked_shop)
    )
    assert made.pop("key") != expected.pop("key")  # of the sources
    assert made == expected and made["rules"]
    again = in_duckdb.check()
    assert again.returncode == 0 and again.stdout == done.stdout
    assert not [name for name in again.added | again.touched if "/tables/" in name]
    assert (in_duckdb.folder / "shop.duckdb").read_bytes() == before


def test_a_database_that_is_not_there(in_duckdb, refused):
    _source(in_duckdb)["database"] = "shp.duckdb"
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        f'transactions: there is no database "shp.duckdb" in {in_duckdb.folder}. Did you mean "shop.duckdb"?'
    )


def test_a_table_that_is_not_there(in_duckdb, refused):
    _source(in_duckdb)["table"] = "sale"
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == ('transactions: there is no table sale in shop.duckdb. Did you mean "sales"?')
    _source(in_duckdb)["table"] = "2025; DROP TABLE stock"
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        "transactions: there is no table 2025; DROP TABLE stock in shop.duckdb. Tables there: sales, stock."
    )


def test_a_column_that_is_not_there(in_duckdb, refused):
    _source(in_duckdb)["columns"]["amount"] = "payed"
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        'transactions.amount: sales in shop.duckdb has no column "payed". Did you mean "paid"? Its headers: receipt, '
        "customer, store, day, paid, kind."
    )


def test_a_table_without_rows(in_duckdb, refused):
    with duckdb.connect(str(in_duckdb.folder / "shop.duckdb")) as con:
        con.execute("DELETE FROM sales")
    assert refused(in_duckdb.check()) == (
        "transactions: sales in shop.duckdb holds no rows. Fill it, or take the table out of the profile."
    )


def test_a_database_that_another_program_writes(in_duckdb, refused):
    file = in_duckdb.folder / "shop.duckdb"
    hold = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "held\n"
        said = refused(in_duckdb.check())
        writer.stdin.close()
    assert said == (
        f"transactions: another program (process {writer.pid}) has shop.duckdb open for writing. Close it there, or "
        "let `database` name a copy."
    )


def test_a_database_that_is_none_and_one_that_is_damaged(in_duckdb, refused):
    file = in_duckdb.folder / "shop.duckdb"
    whole = file.read_bytes()
    file.write_text("receipt,customer\n" * 1000, encoding="utf-8")
    said = refused(in_duckdb.check())
    assert said.startswith("transactions: shop.duckdb is not a DuckDB database, or is damaged (")
    assert said.endswith("). Restore it from a backup, or export its tables as files.")
    for damaged in (whole[:8192], whole[:12288] + bytes(len(whole) - 12288)):
        file.write_bytes(damaged)
        said = refused(in_duckdb.check())
        assert said.startswith("transactions: shop.duckdb is not a DuckDB database, or is damaged (")


def test_settings_that_do_not_go_together(in_duckdb, refused):
    _source(in_duckdb)["delimiter"] = ";"
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        "shop.yaml: `tables.transactions.sources.0`: `delimiter` is about files; a table of a database does without it"
    )
    del _source(in_duckdb)["delimiter"], _source(in_duckdb)["table"]
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        "shop.yaml: `tables.transactions.sources.0`: `database` needs `table`, the table or view to read"
    )
    _source(in_duckdb)["files"] = ["sales.csv"]
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        "shop.yaml: `tables.transactions.sources.0`: say where the rows are: either `files`, or `database` and `table`"
    )


def test_a_password_in_a_profile_is_refused_and_not_repeated(in_duckdb, refused):
    for address in ("postgresql://reader:{word}@db/shop", "postgresql://reader@db/shop?{key}={word}"):
        _source(in_duckdb)["database"] = address.format(word="open sesame", key="password")
        _write(in_duckdb)
        assert refused(in_duckdb.check()) == (
            "shop.yaml: `tables.transactions.sources.0`: a profile holds no password: take it out and set PGPASSWORD "
            "or ~/.pgpass instead"
        )


def test_a_server_whose_port_is_no_number(in_duckdb, refused):
    _source(in_duckdb)["database"] = "postgresql://reader@db:54x/shop"
    _write(in_duckdb)
    assert refused(in_duckdb.check()) == (
        "shop.yaml: `tables.transactions.sources.0`: the server's port is no number; write "
        "postgresql://USER@HOST:PORT/NAME"
    )


def test_a_server_without_the_driver_says_how_to_install_it(in_duckdb, refused, tmp_path_factory):
    _source(in_duckdb)["database"] = "postgresql://reader@127.0.0.1:1/shop"
    _write(in_duckdb)
    without = tmp_path_factory.mktemp("without")
    (without / "psycopg.py").write_text("raise ModuleNotFoundError(name='psycopg')\n", encoding="utf-8")
    assert refused(in_duckdb.check(environment={"PYTHONPATH": str(without)})) == (
        "transactions: reading sales in shop at 127.0.0.1:1 needs the PostgreSQL driver, which is not installed. Run: "
        "python -m pip install 'psycopg[binary]'"
    )


def test_a_server_that_does_not_answer(in_duckdb, refused):
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    _source(in_duckdb)["database"] = "postgresql://reader@127.0.0.1:1/shop"
    _write(in_duckdb)
    said = refused(in_duckdb.check())
    assert said.startswith("transactions: sales in shop at 127.0.0.1:1 cannot be read: ")
    assert "Connection refused" in said
    assert said.endswith("Check `database` in the profile, and the password in PGPASSWORD or ~/.pgpass.")
