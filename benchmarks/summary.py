"""Transactions to one row per customer: ours against lifetimes and against the leanest hand-written DuckDB query."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import ibis
import pandas as pd

from benchmarks.measuring import Comparison, seconds
from crm_analysis import customers

SEED = 20261
START, AS_OF = date(2023, 1, 1), date(2025, 12, 31)
# Six branches; a customer's purchases are spread over the 1,096 days, with time of day; one in fifty rows is a refund.
MAKE = """
COPY (
    SELECT 'c' || (hash(i, {seed}) % {customers}) AS customer_id,
           'b' || (hash(i, {seed}) % {customers} % 6) AS branch,
           TIMESTAMP '2023-01-01' + to_seconds((hash(i, {seed} + 1) % (1096 * 86400))::BIGINT) AS occurred_at,
           CASE WHEN hash(i, {seed} + 2) % 50 = 0 THEN 'refund' ELSE 'sale' END AS kind,
           (100 + hash(i, {seed} + 3) % 100000) / 100.0 AS amount
    FROM range({rows}) t(i)
) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 1000000)
"""
# What nobody can leave out: refunds apart, distinct days, first day's value out of the mean per repeat day.
LEAN = """
CREATE OR REPLACE TABLE lean AS
WITH daily AS (
    SELECT customer_id, CASE WHEN kind <> 'refund' THEN occurred_at::DATE END AS day, max(branch) AS branch,
           sum(CASE WHEN kind <> 'refund' THEN amount ELSE abs(amount) END) AS value
    FROM read_parquet('{path}') WHERE customer_id <> '' AND occurred_at < DATE '2026-01-01' GROUP BY ALL
)
SELECT customer_id, arg_max(branch, coalesce(day, DATE '0001-01-01')) AS branch,
       min(day) AS first_on, max(day) AS last_on, count(day) AS n_orders, sum(value) FILTER (day IS NOT NULL) AS gross,
       sum(value) FILTER (day IS NULL) AS refunds,
       (gross - arg_min(value, day)) / nullif(n_orders - 1, 0) AS mean_per_repeat_period
FROM daily GROUP BY customer_id
"""


def run(*, quick: bool) -> Iterator[Comparison]:
    """10 million rows, 1 million customers; a tenth when `quick`."""
    from lifetimes.utils import summary_data_from_transaction_data

    rows = 1_000_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transactions.parquet"
        with duckdb.connect() as con:
            con.execute(MAKE.format(seed=SEED, customers=rows // 10, rows=rows, path=path))
            distinct, people = con.execute(
                "SELECT count(DISTINCT (x, t_x, T)), count(*) FROM (SELECT count(DISTINCT occurred_at::DATE) - 1 AS x, "
                f"max(occurred_at::DATE) - min(occurred_at::DATE) AS t_x, DATE '{AS_OF}' - min(occurred_at::DATE) AS T "
                f"FROM read_parquet('{path}') WHERE kind = 'sale' GROUP BY customer_id)"
            ).fetchone()
        print(
            f"seed {SEED}, {rows:,} rows, {people:,} customers, {distinct / people:.0%} of (x, t_x, T) distinct, "
            "daily T, refunds 2 %"
        )

        engine = ibis.duckdb.connect()

        def ours() -> None:
            table = customers.summarize(engine.read_parquet(str(path), table_name="transactions"), as_of=AS_OF)
            engine.raw_sql(f"CREATE OR REPLACE TABLE ours AS {ibis.to_sql(table)}")

        with duckdb.connect() as con:

            def lean() -> None:
                con.execute(LEAN.format(path=path))

            lean_seconds = seconds(lean, repeat=3)
            expected = con.execute("SELECT sum(n_orders), sum(gross), sum(refunds) FROM lean").fetchone()
        our_seconds = seconds(ours, repeat=3)
        got = engine.raw_sql("SELECT sum(n_orders), sum(gross), sum(refunds) FROM ours").fetchone()
        assert got is not None and expected is not None
        assert got[0] == expected[0] and abs(got[1] / expected[1] - 1) < 1e-9 and abs(got[2] / expected[2] - 1) < 1e-9

        # lifetimes knows no refunds and reads pandas: the orders alone, already loaded, count in its favour.
        frame = pd.read_parquet(path, columns=["customer_id", "occurred_at", "amount", "kind"])
        frame = frame[frame["kind"] == "sale"].drop(columns="kind")

        def theirs() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                summary_data_from_transaction_data(
                    frame, "customer_id", "occurred_at", "amount", observation_period_end=pd.Timestamp(AS_OF)
                )

        peer_seconds = seconds(theirs)
        size = f"customer summary, {rows / 1e6:g} million rows"
        yield Comparison(size, our_seconds, "lifetimes", peer_seconds, at_least=5)
        yield Comparison(size, our_seconds, "leanest DuckDB query", lean_seconds, at_most=1.5)
