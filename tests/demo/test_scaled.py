"""The association at any size, made inside DuckDB."""

from pathlib import Path

import duckdb
import pytest

from crm_analysis import demo, profile
from crm_analysis.demo import scaled
from crm_analysis.demo.truth import ID_PREFIX
from crm_analysis.errors import UserError


def rows(folder: Path, table: str) -> list[tuple]:
    return duckdb.sql(f"FROM read_parquet('{folder}/{table}/*.parquet') ORDER BY ALL").fetchall()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaled") / "files"
    demo.generate_scaled(folder, 12_000, seed=5)
    return folder


def test_every_donor_is_there_once_under_the_prefix(folder):
    donors = [row[0] for row in rows(folder, "customers")]
    assert len(set(donors)) == len(donors) == 12_000
    assert all(donor.startswith(ID_PREFIX) for donor in donors)


def test_rows_do_not_depend_on_the_batches(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(scaled, "_BATCH", 5_000)
    demo.generate_scaled(tmp_path / "files", 12_000, seed=5)
    for table in ("transactions", "customers", "survey_responses", "campaign_members"):
        assert rows(tmp_path / "files", table) == rows(folder, table)


def test_another_seed_is_another_association(folder, tmp_path):
    demo.generate_scaled(tmp_path / "files", 12_000, seed=6)
    assert rows(tmp_path / "files", "transactions") != rows(folder, "transactions")


def test_each_branch_reaches_to_its_last_day(folder):
    planted = demo.truth()
    ends = duckdb.sql(
        f"SELECT branch, max(occurred_at)::DATE FROM read_parquet('{folder}/transactions/*.parquet') GROUP BY branch"
    ).fetchall()
    assert dict(ends) == {name: branch.last_day for name, branch in planted.branches.items()}


def test_ledger_matches_the_rows_without_duplicates(folder):
    counted = duckdb.sql(f"""
        SELECT count(*), sum(amount) FROM (
            SELECT DISTINCT * FROM read_parquet('{folder}/transactions/*.parquet'))""").fetchall()[0]
    booked = duckdb.sql(f"SELECT sum(rows), sum(amount) FROM '{folder}/control_totals.parquet'").fetchall()[0]
    assert counted == booked


def test_occasional_gifts_have_the_planted_mean(folder):
    """Gamma-Gamma: expected gift p * gamma / (q - 1), Fader and Hardie 2013."""
    means = duckdb.sql(f"""
        SELECT t.branch, avg(amount) FROM (
            SELECT branch, customer_id, avg(amount) AS amount FROM read_parquet('{folder}/transactions/*.parquet')
            WHERE kind = 'gift' AND campaign_id IS NULL GROUP BY ALL) t GROUP BY 1""").fetchall()
    for branch, mean in means:
        assert mean == pytest.approx(demo.truth().branches[branch].mean_gift, rel=0.12)


def test_the_call_brings_gifts(folder):
    shares = dict(
        duckdb.sql(f"""
        SELECT arm, avg((EXISTS (FROM read_parquet('{folder}/transactions/*.parquet') t
            WHERE t.customer_id = m.customer_id AND t.kind = 'gift' AND t.occurred_at > m.assigned_on
                AND t.occurred_at <= m.assigned_on + 90))::INTEGER)
        FROM read_parquet('{folder}/campaign_members/*.parquet') m GROUP BY arm""").fetchall()
    )
    assert shares["treated"] > shares["control"] + 0.10


def test_its_profile_reads_it(folder):
    settings = profile.load(folder / "profile.yaml")
    assert settings.data_root == folder
    for table in settings.tables.values():
        assert all(list(settings.data_root.glob(pattern)) for source in table.sources for pattern in source.files)


def test_too_few_donors_are_refused(tmp_path):
    with pytest.raises(UserError, match="999 customers are too few"):
        demo.generate_scaled(tmp_path / "files", 999)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_million_donors(tmp_path):
    demo.generate_scaled(tmp_path / "files", 1_000_000)
    count = duckdb.sql(f"SELECT count(*) FROM read_parquet('{tmp_path}/files/transactions/*.parquet')").fetchall()[0]
    assert count[0] > 8_000_000
