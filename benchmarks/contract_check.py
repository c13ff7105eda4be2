"""The contract of transactions held against a million rows: ours against bare Great Expectations on the same rules."""

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
from crm_analysis import contracts
from crm_analysis.contracts import compiling, deriving
from crm_analysis.profile import Profile

SEED = 20261
ENDS = date(2025, 12, 31)
CUSTOMERS = 100_000
# Some rows fail each of a few rules: negative amounts, unknown kinds, dates in the future, orphans, empty customers.
MAKE = """
COPY (
    SELECT i::BIGINT AS _row, 'transactions.csv' AS _source, i + 2 AS _line,
           't' || i AS transaction_id,
           CASE WHEN hash(i, 1) % 20 = 0 THEN NULL ELSE 'c' || (hash(i, 2) % {known}) END AS customer_id,
           'b' || (hash(i, 3) % 6) AS branch,
           TIMESTAMP '2023-01-01' + to_seconds((hash(i, 4) % (1097 * 86400))::BIGINT) AS occurred_at,
           CASE WHEN hash(i, 5) % 1000 = 0 THEN -5.0 ELSE (100 + hash(i, 5) % 100000) / 100.0 END AS amount,
           CASE hash(i, 6) % 5000 WHEN 0 THEN 'unknown' ELSE 'sale' END AS kind,
           1.0 * (hash(i, 7) % 5) AS quantity,
           amount + (hash(i, 8) % 300) / 100.0 AS list_amount,
           (hash(i, 8) % 300) / 100.0 AS discount,
           1.0 * (hash(i, 9) % 100) AS points_used,
           amount * 0.4 AS margin,
           occurred_at + to_days((hash(i, 10) % 40)::INTEGER) AS recorded_at
    FROM range({rows}) t(i)
) TO '{path}' (FORMAT parquet)
"""


def run(*, quick: bool) -> Iterator[Comparison]:
    """One million rows; a tenth when `quick`."""
    rows = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path, people = Path(folder) / "transactions.parquet", Path(folder) / "customers.parquet"
        with duckdb.connect() as con:
            con.execute(MAKE.format(known=CUSTOMERS + 200, rows=rows, path=path))
            con.execute(
                f"COPY (SELECT i::BIGINT AS _row, 'c' || i AS customer_id, 'b' || (i % 6) AS branch, "
                f"DATE '2023-01-01' AS joined_on FROM range({CUSTOMERS}) t(i)) TO '{people}' (FORMAT parquet)"
            )
        own = contracts.load()
        chosen = {"transactions": own["transactions"]}
        settings = Profile.model_validate(
            {
                "id": "bench", "name": "Benchmark", "currency": "EUR", "path": Path(folder) / "profile.yaml",
                "data_root": Path(folder), "build_dir": Path(folder) / "build",
                "tables": {"transactions": {"files": ["transactions.parquet"]}},
            }
        )  # fmt: skip
        engine = ibis.duckdb.connect()
        tables = {"transactions": engine.read_parquet(str(path)), "customers": engine.read_parquet(str(people))}
        supplied = {name: frozenset(table.columns) for name, table in tables.items()}
        compiling.import_great_expectations()

        def ours() -> contracts.Report:
            return contracts.check(tables, supplied, settings, data_ends_on=ENDS, contracts=chosen, force=True)

        setting = deriving.Setting(
            tables=tables, supplied=supplied, contracts=chosen, profile=settings, data_ends_on=ENDS, coverage=None
        )
        report = ours()
        native = [item.rule for item in report.results if item.rule.engine == "gx"]
        keys = [item.rule for item in report.results if item.rule.type in ("duplicate_key", "exact_duplicate")]
        foreign = [item.rule for item in report.results if item.rule.type == "foreign_key"]
        peers = len(native) + len(keys) + len(foreign) + 1
        print(f"seed {SEED}, {rows:,} rows, ours {len(report.results)} rules, bare Great Expectations {peers} of them")

        def bare() -> None:
            _bare(path, people, native, chosen["transactions"], deriving.parameters(setting), keys, bool(foreign))

        first = f"contract check, {rows / 1e6:g} million rows"
        yield Comparison(first, seconds(ours, repeat=2), "bare Great Expectations", seconds(bare, repeat=2), at_most=2)


def _bare(path: Path, people: Path, native: list, contract: object, values: dict, keys: list, foreign: bool) -> None:  # type: ignore[type-arg]
    """As one writes it by hand: the file into pandas, a foreign key as a derived column, one suite, one validation."""
    import great_expectations as gx
    from great_expectations import expectations as e
    from great_expectations.data_context.types.base import ProgressBarsConfig

    frame = pd.read_parquet(path)
    for column in ("occurred_at", "recorded_at"):
        frame[column] = frame[column].astype("int64") / 86_400e6
    if foreign:
        known = pd.read_parquet(people, columns=["customer_id"])["customer_id"]
        frame["customer_known"] = frame["customer_id"].isin(known) | frame["customer_id"].isna()
    rules = [compiling.expectation(rule, contract, values) for rule in native]  # type: ignore[arg-type]
    rules += [e.ExpectTableRowCountToBeBetween(min_value=1)]
    for rule in keys:
        if rule.type == "duplicate_key":
            rules.append(e.ExpectColumnValuesToBeUnique(column="transaction_id"))
        else:
            whole = [c for c in frame.columns if not c.startswith("_") and c != "customer_known"]
            rules.append(e.ExpectCompoundColumnsToBeUnique(column_list=whole))
    if foreign:
        rules.append(e.ExpectColumnValuesToBeInSet(column="customer_known", value_set=[True]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("bare").add_dataframe_asset("bare")
        batch = asset.add_batch_definition_whole_dataframe("bare").get_batch(batch_parameters={"dataframe": frame})
        batch.validate(gx.ExpectationSuite("bare", expectations=rules), result_format="SUMMARY")
