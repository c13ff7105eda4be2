"""The association at any size: millions of donors made inside DuckDB, a batch at a time, written as Parquet.

The laws are those of the truth (occasional gifts by BG/NBD and Gamma-Gamma, transfers by the shifted beta-geometric
law, the satisfaction link by its odds, one randomised call); what only a small association needs (contacts, cases,
prospects, most faults) is left out. Draws are hashes of seed, donor and purpose, so that the rows depend on nothing
else; gamma and beta laws come from tables of quantiles.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis.demo.donors import branch_sizes
from crm_analysis.demo.folders import fresh_folder
from crm_analysis.demo.truth import END, ID_PREFIX, START, Truth, truth
from crm_analysis.errors import UserError

_BATCH: Final = 250_000
_GRID: Final = 4096
_MEMORY: Final = "2GB"
_CALL: Final = "WELCOME26"
_DUPLICATE_ONE_IN: Final = 5_000

_PROFILE: Final = """\
# The built-in association at {customers:,} donors, as Parquet under canonical names.
id: scaled
name: "Haneul, a demonstration charity, {customers:,} donors"
language: en
currency: KRW
words: {{customer: donor, customers: donors, order: gift, orders: gifts}}
data: .

tables:
  transactions: {{files: ["transactions/*.parquet"]}}
  customers: {{files: ["customers/*.parquet"]}}
  commitments: {{files: ["commitments/*.parquet"]}}
  survey_responses: {{files: ["survey_responses/*.parquet"]}}
  campaigns: {{files: [campaigns.parquet]}}
  campaign_members: {{files: ["campaign_members/*.parquet"]}}
  costs: {{files: [costs.parquet]}}
  branches: {{files: [branches.parquet]}}
  control_totals: {{files: [control_totals.parquet]}}

coverage: {{history_starts_on: {start}, data_ends_on: {end}}}
margin: {{rate: 0.97}}
roi: {{planned_control_share: {{{call}: {holdout}}}}}
"""


def generate_scaled(folder: str | Path, customers: int, *, seed: int = 20261) -> None:
    """Write an association of `customers` donors to `folder`, replacing it whole or not at all.

    Memory stays below some 2 GB whatever the number. The folder also gets a profile.yaml that reads it.
    Raises UserError for fewer than 1,000 customers, and for a folder that holds other files or cannot be written.
    """
    if customers < 1_000:
        raise UserError(f"{customers:,} customers are too few for six branches. Ask for 1,000 or more.")
    with fresh_folder(Path(folder), "profile.yaml") as fresh:
        _write(fresh, customers, truth(seed))


def _write(folder: Path, customers: int, planted: Truth) -> None:
    spill = folder / ".spill"
    with duckdb.connect() as con:
        con.execute(f"SET memory_limit = '{_MEMORY}'")
        con.execute(f"SET temp_directory = '{spill}'")
        con.execute(f"SET VARIABLE seed = {planted.seed}")
        con.execute(
            "CREATE MACRO u(i, purpose) AS ((hash(i, purpose, getvariable('seed')) % 9007199254740992)::DOUBLE + 0.5)"
            " / 9007199254740992"
        )
        con.execute(f"CREATE MACRO cell(i, purpose) AS floor(u(i, purpose) * {_GRID})::INTEGER")
        _law_tables(con, customers, planted)
        for name in ("transactions", "customers", "commitments", "survey_responses", "campaign_members"):
            (folder / name).mkdir()
        for number, low in enumerate(range(0, customers, _BATCH)):
            _batch(con, folder, number, low, min(low + _BATCH, customers), planted)
        _small_tables(con, folder, customers, planted)
    shutil.rmtree(spill, ignore_errors=True)
    campaign = planted.campaigns[_CALL]
    text = _PROFILE.format(
        customers=customers, start=START.isoformat(), end=END.isoformat(), call=_CALL, holdout=campaign.holdout
    )
    (folder / "profile.yaml").write_text(text, encoding="utf-8")


def _law_tables(con: duckdb.DuckDBPyConnection, customers: int, planted: Truth) -> None:
    """Branches with the donor numbers they hold, and quantiles of each branch's laws."""
    ends = np.cumsum(branch_sizes(planted, customers))
    grid = (np.arange(_GRID) + 0.5) / _GRID
    branches, laws = [], []
    for code, branch in enumerate(planted.branches.values()):
        branches.append(
            {
                "code": code,
                "branch": branch.branch,
                "name": branch.name_ko,
                "low": int(ends[code - 1]) if code else 0,
                "high": int(ends[code]),
                "last_day": pd.Timestamp(branch.last_day),
                "shares": list(branch.level_shares),
                "rates": list(branch.repeat_by_level),
                "spend_p": branch.spend_p,
                "silent_end_share": branch.silent_end_share,
            }
        )
        laws.append(
            pd.DataFrame(
                {
                    "code": code,
                    "cell": np.arange(_GRID),
                    "gifts_a_day": stats.gamma.ppf(grid, branch.r) / branch.alpha_weeks / 7.0,
                    "dropout": stats.beta.ppf(grid, branch.a, branch.b),
                    "mean_scale": branch.spend_gamma / stats.gamma.ppf(grid, branch.spend_q),
                    "gift_shape": stats.gamma.ppf(grid, branch.spend_p),
                    "churn": np.clip(stats.beta.ppf(grid, branch.churn_alpha, branch.churn_beta), 1e-4, 0.999),
                }
            )
        )
    branch_frame, law_frame = pd.DataFrame(branches), pd.concat(laws, ignore_index=True)
    con.register("branch_frame", branch_frame)
    con.register("law_frame", law_frame)
    con.execute("CREATE TABLE branches AS SELECT * REPLACE (last_day::DATE AS last_day) FROM branch_frame")
    con.execute("CREATE TABLE laws AS SELECT * FROM law_frame")
    con.execute("CREATE TABLE totals (branch VARCHAR, month DATE, rows BIGINT, amount DOUBLE)")
    con.unregister("branch_frame")
    con.unregister("law_frame")


def _batch(con: duckdb.DuckDBPyConnection, folder: Path, number: int, low: int, high: int, planted: Truth) -> None:
    """Everything about donors `low` to `high`: people, what they give, what they answer, who was called."""
    call = planted.campaigns[_CALL]
    start, end = START.isoformat(), END.isoformat()
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE people AS
        SELECT i, '{ID_PREFIX}D' || lpad((i + 1)::VARCHAR, 9, '0') AS customer_id, b.code, b.branch, b.last_day,
            u(i, 'kind') < 0.46 AS occasional,
            DATE '{start}' + floor(u(i, 'joined') * (b.last_day - DATE '{start}' + 1))::INTEGER AS joined_on
        FROM range({low}, {high}) r(i) JOIN branches b ON i >= b.low AND i < b.high""")
    con.execute("""
        CREATE OR REPLACE TEMP TABLE givers AS
        SELECT p.i, p.code, p.joined_on, p.last_day, p.last_day - p.joined_on AS days, rate.gifts_a_day AS rate,
            scale.mean_scale AS scale,
            1 + floor(ln(u(i, 'dropout')) / ln(1 - least(greatest(quits.dropout, 1e-6), 0.999999))) AS repeats_at_most
        FROM people p
        JOIN laws rate ON rate.code = p.code AND rate.cell = cell(p.i, 'rate')
        JOIN laws quits ON quits.code = p.code AND quits.cell = cell(p.i, 'quits')
        JOIN laws scale ON scale.code = p.code AND scale.cell = cell(p.i, 'scale')
        WHERE p.occasional""")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE regulars AS
        SELECT p.*, '{ID_PREFIX}M' || lpad((i + 1)::VARCHAR, 9, '0') AS commitment_id,
            [10000, 20000, 30000, 50000][1 + floor(4 * u(i, 'amount') ** 1.4)::INTEGER] AS amount,
            1 + floor(ln(u(i, 'churn')) / ln(1 - l.churn))::BIGINT AS paid,
            date_trunc('month', joined_on)::DATE + INTERVAL 1 MONTH + INTERVAL 9 DAY AS first_due
        FROM people p JOIN laws l ON l.code = p.code AND l.cell = cell(p.i, 'theta')
        WHERE NOT p.occasional""")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE called AS
        SELECT i, customer_id, u(i, 'arm') < {call.holdout} AS control, last_day
        FROM people
        WHERE joined_on >= DATE '{call.starts_on}' - 125 AND joined_on < DATE '{call.starts_on}'""")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE paid AS
        WITH waits AS (
            SELECT i, k, code, joined_on, last_day, scale, repeats_at_most,
                sum(-ln(u(i, 'wait' || k)) / rate) OVER (PARTITION BY i ORDER BY k) AS elapsed, days
            FROM givers,
                range(1, least(repeats_at_most, ceil(rate * days + 6 * sqrt(rate * days) + 8))::BIGINT + 1) r(k)
        ), gifts AS (
            SELECT i, 0 AS k, code, joined_on AS day, scale, last_day FROM givers
            UNION ALL
            SELECT i, k, code, joined_on + floor(least(elapsed, 9999) + u(i, 'noon'))::INTEGER, scale, last_day
            FROM waits
            WHERE elapsed + u(i, 'noon') < days + 1
        )
        SELECT g.i, 'G' || k AS what, day, greatest(round(l.gift_shape * scale / 1000), 1) * 1000.0 AS amount,
            'gift' AS kind, NULL::VARCHAR AS commitment_id, NULL::VARCHAR AS campaign_id
        FROM gifts g JOIN laws l ON l.code = g.code AND l.cell = cell(g.i, 'gift' || k)
        WHERE day <= last_day
        UNION ALL
        SELECT i, 'U' || k, (first_due + to_months(k::INTEGER))::DATE, amount::DOUBLE, 'dues', commitment_id, NULL
        FROM regulars, range(0, least(paid, 37)) r(k)
        WHERE (first_due + to_months(k::INTEGER))::DATE <= last_day
        UNION ALL
        SELECT i, 'W0', DATE '{call.starts_on}' + 2 + floor(u(i, 'when') * {call.window_days - 2})::INTEGER,
            greatest(round(-{call.treated_mean} * ln(u(i, 'much')) / 1000), 1) * 1000.0, 'gift', NULL,
            CASE WHEN u(i, 'label') < 0.35 THEN '{_CALL}' END
        FROM called WHERE NOT control AND u(i, 'follows') < {call.treated_rate}""")
    part = f"part-{number:05d}.parquet"
    transaction = f"""
        SELECT '{ID_PREFIX}T' || lpad((t.i + 1)::VARCHAR, 9, '0') || t.what AS transaction_id, p.customer_id, p.branch,
            t.day::TIMESTAMP AS occurred_at, t.amount, t.kind, t.commitment_id, t.campaign_id
        FROM paid t JOIN people p USING (i) WHERE t.day <= p.last_day"""
    _copy(con, f"""{transaction} UNION ALL {transaction} AND u(t.i, 'twice' || t.what) < {1 / _DUPLICATE_ONE_IN}""",
          folder / "transactions" / part)  # fmt: skip
    _copy(con, """
        SELECT customer_id, branch, joined_on,
            CASE WHEN u(i, 'motive') < 0.6 THEN 'children' END AS motive,
            joined_on + floor(u(i, 'verified') * (last_day - joined_on))::INTEGER AS contact_verified_on,
            CASE WHEN u(i, 'returned') < 0.08 THEN 'returned' ELSE 'valid' END AS contact_status,
            u(i, 'consent') < 0.86 AS consent_contact
        FROM people""", folder / "customers" / part)  # fmt: skip
    _copy(con, """
        SELECT commitment_id, customer_id, branch, joined_on AS started_on, amount::DOUBLE AS amount, 1 AS cycle_months,
            CASE WHEN (first_due + to_months(least(paid - 1, 600)::INTEGER))::DATE + 12 <= last_day
                THEN (first_due + to_months(least(paid - 1, 600)::INTEGER))::DATE + 12 END AS ended_on
        FROM regulars""", folder / "commitments" / part)  # fmt: skip
    _copy(con, f"""
        SELECT '{_CALL}' AS campaign_id, customer_id, CASE WHEN control THEN 'control' ELSE 'treated' END AS arm,
            DATE '{call.starts_on}' AS assigned_on,
            CASE WHEN NOT control THEN DATE '{call.starts_on}' + 1 + (i % 20)::INTEGER END AS contacted_on
        FROM called""", folder / "campaign_members" / part)  # fmt: skip
    con.execute("""
        INSERT INTO totals
        SELECT p.branch, date_trunc('month', t.day)::DATE, count(*), sum(t.amount)
        FROM paid t JOIN people p USING (i) WHERE t.day <= p.last_day GROUP BY ALL""")
    _copy(con, _answers(end), folder / "survey_responses" / part)


def _answers(end: str) -> str:
    """One answer of three donors in ten, its level drawn given what the donor does in the 180 days after."""
    return f"""
        WITH asked AS (
            SELECT i, code, customer_id, branch,
                joined_on + 30 + floor(u(i, 'asked') * greatest(last_day - joined_on - 30, 0))::INTEGER AS answered_on
            FROM people WHERE u(i, 'answers') < 0.3 AND joined_on + 30 <= last_day
        ), outcome AS (
            SELECT a.*, EXISTS (
                FROM paid t WHERE t.i = a.i AND t.day > a.answered_on AND t.day <= a.answered_on + 180) AS again
            FROM asked a
        ), odds AS (
            SELECT o.*, CASE WHEN again THEN list_transform(list_zip(b.shares, b.rates), lambda x: x[1] * x[2])
                ELSE list_transform(list_zip(b.shares, b.rates), lambda x: x[1] * (1 - x[2])) END AS weights
            FROM outcome o JOIN branches b USING (code)
        )
        SELECT '{ID_PREFIX}S' || lpad((i + 1)::VARCHAR, 9, '0') AS response_id, branch, answered_on, customer_id,
            'customer' AS respondent_kind,
            1 + len(list_filter([1, 2, 3, 4],
                lambda k: u(i, 'level') > list_sum(weights[1:k]) / list_sum(weights)))::INTEGER AS satisfaction
        FROM odds WHERE answered_on <= DATE '{end}'"""


def _small_tables(con: duckdb.DuckDBPyConnection, folder: Path, customers: int, planted: Truth) -> None:
    call = planted.campaigns[_CALL]
    members = f"read_parquet('{folder}/campaign_members/*.parquet')"
    _copy(con, "SELECT branch, name FROM branches ORDER BY code", folder / "branches.parquet")
    _copy(con, f"""
        SELECT '{_CALL}' AS campaign_id, '{call.name}' AS name, '{call.programme}' AS programme,
            DATE '{call.starts_on}' AS starts_on, DATE '{call.ends_on}' AS ends_on, {call.window_days} AS window_days,
            'customer' AS randomisation_unit, 'none' AS reward_kind, {call.contact_cost}::DOUBLE AS contact_cost""",
        folder / "campaigns.parquet")  # fmt: skip
    fixed = (call.actual_cost - 1440 * call.contact_cost) * customers / 20_000
    _copy(con, f"""
        SELECT '{ID_PREFIX}X1' AS cost_id, DATE '{call.starts_on}' AS incurred_on, 'campaign' AS category,
            count(*) * {call.contact_cost}::DOUBLE AS amount, '{_CALL}' AS campaign_id, 'contact' AS driver
        FROM {members} WHERE arm = 'treated'
        UNION ALL
        SELECT '{ID_PREFIX}X2', DATE '{call.starts_on}', 'staff', {fixed}::DOUBLE, '{_CALL}', 'fixed'""",
        folder / "costs.parquet")  # fmt: skip
    _copy(con, """
        SELECT 'transactions' AS "table", branch, month, sum(rows)::BIGINT AS rows, sum(amount) AS amount,
            'ledger' AS source
        FROM totals GROUP BY ALL ORDER BY branch, month""", folder / "control_totals.parquet")  # fmt: skip


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
