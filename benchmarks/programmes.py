"""Ten campaigns with a million members: gate, effects, return with 1,999 bootstrap draws, portfolio, ranking.

The bar is a minute on two processors and 6 GiB, from ingested tables to the page's claims. Bootstraps draw sums of
random blocks, never rows (`estimators.means.bootstrap_means`). The peer draws frames: one campaign's return, a tenth of
the draws.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.measuring import Comparison, seconds
from crm_analysis import profile, tables
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.money import estimate_roi
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.together import compare_campaigns

SEED = 20265
CAMPAIGNS = 10
DRAWS = 1999
MOST_SECONDS = 60.0
BAR_GIB = 6.0
PROFILE = """
id: programmes
name: A shop with ten campaigns
currency: KRW
data: .
margin: {rate: 0.4}
roi: {cap_quantile: 0.999}
coverage: {data_ends_on: 2026-09-30, last_covered_day: {east: 2026-09-30}}
tables:
  transactions: {files: [transactions.parquet]}
  customers: {files: [customers.parquet]}
  campaigns: {files: [campaigns.parquet]}
  campaign_members: {files: [members.parquet]}
  costs: {files: [costs.parquet]}
"""
MAKE = """
SELECT setseed({seed});
COPY (SELECT 'C' || lpad(i::VARCHAR, 7, '0') AS customer_id, 'east' AS branch,
             DATE '2024-01-01' + (i % 600)::INTEGER AS joined_on
      FROM range({people}) t(i)) TO '{folder}/customers.parquet';
COPY (SELECT 'L' || (i % {campaigns}) AS campaign_id, 'C' || lpad((hash(i) % {people})::VARCHAR, 7, '0') AS customer_id,
             CASE WHEN random() < 0.8 THEN 'treated' ELSE 'control' END AS arm,
             DATE '2026-04-01' + 5 * (i % 10)::INTEGER AS assigned_on,
             CASE WHEN random() < 0.5 THEN 'new' ELSE 'old' END AS stratum,
             CASE WHEN random() < 0.7 THEN DATE '2026-06-01' END AS delivered_on
      FROM range({members}) t(i)) TO '{folder}/raw.parquet';
COPY (SELECT campaign_id, customer_id, min(arm) AS arm, assigned_on, min(stratum) AS stratum,
             CASE WHEN min(arm) = 'treated' THEN min(delivered_on) END AS delivered_on
      FROM '{folder}/raw.parquet' GROUP BY ALL HAVING count(*) = 1) TO '{folder}/members.parquet';
COPY (SELECT 'T' || i AS transaction_id, 'C' || lpad((hash(i, 7) % {people})::VARCHAR, 7, '0') AS customer_id,
             'east' AS branch, TIMESTAMP '2025-01-01' + INTERVAL 1 DAY * floor(random() * 638) AS occurred_at,
             round(1000 * exp(3 + 0.9 * sqrt(-2 * ln(random() + 1e-12)) * cos(6.2831853 * random()))) AS amount,
             'sale' AS kind
      FROM range({rows}) t(i)) TO '{folder}/transactions.parquet';
COPY (SELECT 'L' || i AS campaign_id, 'Letter ' || i AS name, 'retention' AS programme, DATE '2026-04-01' AS starts_on,
             DATE '2026-06-01' AS ends_on, 100 AS window_days, 500.0 AS contact_cost
      FROM range({campaigns}) t(i)) TO '{folder}/campaigns.parquet';
COPY (SELECT 'X' || i AS cost_id, DATE '2026-04-01' AS incurred_on, 'campaign' AS category, 40000000.0 AS amount,
             'L' || i AS campaign_id, 40000000.0 AS planned_amount, 'contact' AS driver
      FROM range({campaigns}) t(i)) TO '{folder}/costs.parquet';
"""


def run(*, quick: bool) -> Iterator[Comparison]:
    """A million members of ten campaigns and five million transactions, a tenth when `quick`."""
    members = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        with duckdb.connect() as con:
            sizes = {"people": members, "members": members, "rows": 5 * members}
            con.execute(MAKE.format(seed=SEED / 100_000, folder=folder, campaigns=CAMPAIGNS, **sizes))
        (Path(folder) / "profile.yaml").write_text(PROFILE, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.programmes", folder], check=True, stdout=subprocess.PIPE, text=True
        )
        took, worked, peak_gib, kept, measured = (float(word) for word in done.stdout.split()[-5:])
    verdict = "met" if peak_gib <= BAR_GIB else "MISSED"
    print(
        f"seed {SEED}, {kept:,.0f} members of {CAMPAIGNS} campaigns ({measured:.0f} measured), {5 * members:,} "
        f"transactions, {DRAWS} draws each: {took:.1f} s ({worked:.1f} s of processor), peak {peak_gib:.1f} GiB; "
        f"bar {BAR_GIB:g} GiB, {verdict}"
    )
    yield Comparison(f"programmes, {members:,} members", took, "a minute", MOST_SECONDS, at_most=1.0)

    rng = np.random.default_rng(SEED)
    frame = pd.DataFrame(
        {"treated": rng.random(members // CAMPAIGNS) < 0.8, "margin": rng.gamma(0.2, 20_000, members // CAMPAIGNS)}
    )
    few = DRAWS // 10
    ours = seconds(lambda: _ours(frame, few), repeat=3)
    theirs = seconds(lambda: _frames(frame, few))
    yield Comparison(f"one return, {few} draws", ours, "drawn frames", theirs, at_least=10)


def _ours(frame: pd.DataFrame, draws: int) -> None:
    treated = frame["treated"].to_numpy()
    margin = frame["margin"].to_numpy()
    estimate_roi(margin[treated], margin[~treated], fixed_cost=float(treated.sum()), draws=draws)


def _frames(frame: pd.DataFrame, draws: int) -> np.ndarray:
    """The plain way: every draw is a frame."""
    found = []
    for draw in range(draws):
        drawn = frame.sample(len(frame), replace=True, random_state=draw).groupby("treated")["margin"].mean()
        found.append(drawn[True] - drawn[False])
    limits: np.ndarray = np.quantile(found, (0.025, 0.975))
    return limits


def _evaluate(folder: Path) -> None:
    """Read the files, then time evaluation and claims alone, as a page computes them."""
    settings = profile.load(folder / "profile.yaml").model_copy(
        update={"data_root": folder, "build_dir": folder / "build"}
    )
    tables.ingest(settings)
    scope = tables.open(settings).scope("all", "2026Q3")
    began, busy = time.perf_counter(), time.process_time()
    evaluation = evaluate(scope)
    compare_campaigns(evaluation)
    claims(evaluation, profile=settings)
    took, worked = time.perf_counter() - began, time.process_time() - busy
    kept = sum(len(result.gate.units) for result in evaluation.closed)
    assert scope.as_of == date(2026, 9, 30)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30
    print(took, worked, peak, kept, len(evaluation.measured))


if __name__ == "__main__":
    _evaluate(Path(sys.argv[1]))
