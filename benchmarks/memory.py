"""The customer summary of 100 million transactions under a memory limit: seconds, and the peak of the process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import ibis

from benchmarks.measuring import Comparison
from benchmarks.summary import MAKE, SEED
from crm_analysis import customers

BAR_GIB = 6.0


def run(*, quick: bool) -> Iterator[Comparison]:
    """100 million rows of 10 million customers, a tenth when `quick`, in a process of its own; no peer."""
    rows = 10_000_000 if quick else 100_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transactions.parquet"
        with duckdb.connect() as con:
            con.execute("SET preserve_insertion_order = false")
            con.execute(MAKE.format(seed=SEED, customers=rows // 10, rows=rows, path=path))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", folder], check=True, stdout=subprocess.PIPE, text=True
        )
        seconds, peak_gib = (float(word) for word in done.stdout.split())
    verdict = "met" if peak_gib <= BAR_GIB else "MISSED"
    print(f"customer summary, {rows:,} rows: {seconds:.1f} s, peak {peak_gib:.1f} GiB; bar {BAR_GIB:g} GiB, {verdict}")
    yield from ()


def _summarize(folder: Path) -> None:
    """Summarise into a table on disk, with the limits under which the package opens its tables."""
    limits = {"memory_limit": "4096MiB", "temp_directory": str(folder / "spill")}
    engine = ibis.duckdb.connect(folder / "summary.duckdb", **limits)
    engine.raw_sql("SET preserve_insertion_order = false")
    table = engine.read_parquet(str(folder / "transactions.parquet"), table_name="transactions")
    began = time.perf_counter()
    summary = customers.summarize(table, as_of=date(2025, 12, 31))
    engine.raw_sql(f"CREATE TABLE summary AS {ibis.to_sql(summary)}")
    took = time.perf_counter() - began
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30, flush=True)
    os._exit(0)  # what is left to do is closing a file that nobody keeps


if __name__ == "__main__":
    _summarize(Path(sys.argv[1]))
