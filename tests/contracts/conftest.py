"""Small data sets in the form the loader hands over: every canonical column, typed, those not supplied empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_analysis import contracts
from crm_analysis.contracts.checking import check
from crm_analysis.contracts.results import Report
from crm_analysis.profile.settings import Profile

ENDS = date(2026, 9, 30)
_TYPES = {
    "string": pa.string(), "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}  # fmt: skip
Rows = list[dict[str, Any]]


def typed(value: Any, logical_type: str) -> Any:
    """A cell as the column's type wants it; dates and times may be written as ISO text."""
    if value is None or not isinstance(value, str) or logical_type not in ("date", "timestamp"):
        return value
    stamp = datetime.fromisoformat(value)
    return stamp.date() if logical_type == "date" else stamp


class DataSet:
    """Tables written as Parquet and opened as ibis tables, checked with a small profile."""

    def __init__(self, folder: Path, tables: Mapping[str, Rows], **settings: Any) -> None:
        self.folder, self.tables = folder, tables
        self.con = ibis.duckdb.connect()
        self.con.raw_sql("SET enable_progress_bar = false")
        self.profile = Profile.model_validate({
            "id": "small", "name": "Small", "currency": "KRW", "path": folder / "small.yaml", "data_root": folder,
            "build_dir": folder / "build" / "small", "tables": {name: {"files": ["x.csv"]} for name in tables},
            **settings,
        })  # fmt: skip
        self.raw = {name: self._open(name, rows) for name, rows in tables.items()}
        self.supplied = {name: frozenset().union(*(set(row) for row in rows)) for name, rows in tables.items()}

    def _open(self, name: str, rows: Rows) -> ibis.Table:
        columns = contracts.load()[name].columns
        arrays = {
            column: pa.array([typed(row.get(column), spec.logical_type) for row in rows], _TYPES[spec.logical_type])
            for column, spec in columns.items()
        }
        arrays["_row"] = pa.array(range(len(rows)), pa.int64())
        arrays["_source"] = pa.array([f"{name}.csv"] * len(rows), pa.string())
        arrays["_line"] = pa.array(range(2, len(rows) + 2), pa.int64())
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.table(arrays), path)
        return self.con.read_parquet(str(path), table_name=f"raw_{name}")

    def check(self, **kwargs: Any) -> Report:
        given = {"data_ends_on": ENDS, "coverage": None} | kwargs
        return check(self.raw, self.supplied, self.profile, **given)

    def failures(self) -> pd.DataFrame:
        return pd.read_parquet(self.profile.build_dir / "data_quality" / "failures.parquet")

    @staticmethod
    def failed(report: Report) -> dict[str, int]:
        """Rule id -> rows that fail, for every rule that some row fails."""
        return {item.rule.id: item.rows_failed for item in report.results if item.rows_failed}

    def rows_of(self, rule: str) -> list[int]:
        """_row of every row that broke a rule."""
        found = self.failures()
        return sorted(found.loc[found["rule"] == rule, "_row"])


class Maker:
    """Makes data sets in a fresh folder; holds the words the cases are written in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, settings: dict[str, Any] | None = None, **tables: Rows) -> DataSet:
        return DataSet(self.folder, tables, **(settings or {}))

    @staticmethod
    def payment(number: int, **changes: Any) -> dict[str, Any]:
        """A plausible gift."""
        return {
            "transaction_id": f"T-{number:05d}", "customer_id": "A", "branch": "seoul", "occurred_at": "2026-09-01",
            "amount": 1000.0, "kind": "gift",
        } | changes  # fmt: skip

    @classmethod
    def several(cls, n: int) -> Rows:
        """`n` further gifts."""
        return [cls.payment(1000 + k) for k in range(n)]

    @classmethod
    def monthly(cls, branch: str, months: dict[str, int], start: int = 0) -> Rows:
        """So many gifts of a branch in each month, on its first days."""
        days = [f"{month}-{1 + k % 28:02d}" for month, n in months.items() for k in range(n)]
        return [cls.payment(start + place, branch=branch, occurred_at=day) for place, day in enumerate(days)]

    @staticmethod
    def coverage(*lines: tuple[str, str, str, bool]) -> pd.DataFrame:
        """branch, first_day, last_covered_day, silent."""
        frame = pd.DataFrame(lines, columns=["branch", "first_day", "last_covered_day", "silent"]).assign(source="test")
        for column in ("first_day", "last_covered_day"):
            frame[column] = [date.fromisoformat(day) for day in frame[column]]
        return frame

    @staticmethod
    def clean_tables() -> dict[str, Rows]:
        """Every table with every column supplied, and nothing wrong anywhere."""
        return clean_tables()


@pytest.fixture
def data_set(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def clean_tables() -> dict[str, Rows]:
    """Every table with every column supplied, and nothing wrong anywhere."""
    days = [date(2024, 1, 15) + timedelta(days=30 * k) for k in range(33)]
    people = [f"C{k}" for k in range(4)]
    return {
        "branches": [
            {"branch": "seoul", "name": "Seoul", "opened_on": "2015-01-01", "closed_on": None, "successor": None,
             "peer_group": "large"},
            {"branch": "busan", "name": "Busan", "opened_on": "2016-01-01", "closed_on": None, "successor": None,
             "peer_group": "large"},
            {"branch": "old", "name": "Old", "opened_on": "2010-01-01", "closed_on": "2015-01-01", "successor": "seoul",
             "peer_group": "small"},
        ],
        "customers": [
            {"customer_id": c, "branch": "seoul", "joined_on": "2024-01-01", "name": c, "phone": "010-1234-5678",
             "email": f"{c}@example.org", "birth_date": "1980-01-01", "gender": "female", "household_id": "H1",
             "tier_given": "gold", "credit_grade": "good", "motive": "empathy", "stay_reason": "trust",
             "interests": "children", "attitude_recorded_on": "2026-01-01", "contact_verified_on": "2026-02-01",
             "contact_status": "valid", "preferred_channel": "phone", "consent_contact": True,
             "consent_changed_on": "2025-01-01", "valid_from": "2024-01-01", "valid_to": "2027-01-01"}
            for c in people
        ],
        "commitments": [
            {"commitment_id": f"K{k}", "customer_id": c, "branch": "seoul", "started_on": "2024-02-01", "amount": 10.0,
             "cycle_months": 1, "product": "x", "expires_on": "2027-01-01", "ended_on": "2026-05-01",
             "end_reason": "cancelled", "payment_method": "card"}
            for k, c in enumerate(people)
        ],
        "dues": [
            {"due_id": f"D{k}", "commitment_id": "K0", "due_on": day, "amount_due": 10.0, "collected_on": day,
             "amount_collected": 10.0, "failure_reason": None}
            for k, day in enumerate(days)
        ],
        "transactions": [
            Maker.payment(k, customer_id=people[k % 4], occurred_at=day.isoformat(), order_id=f"O{k}", line_no=1,
                          quantity=1.0, list_amount=1100.0, discount=100.0, tax=0.0, points_used=0.0, cost=400.0,
                          margin=600.0, refund_of=None, commitment_id="K0", campaign_id="P1", product="x", category="y",
                          channel="web", restricted=False, recorded_at=day.isoformat())
            for k, day in enumerate(days)
        ] + [Maker.payment(900, customer_id="C0", kind="refund", refund_of="T-00000", occurred_at="2026-01-02",
                           recorded_at="2026-01-02")],
        "campaigns": [
            {"campaign_id": "P1", "name": "Call", "programme": "welcome", "starts_on": "2026-02-01",
             "ends_on": "2026-03-01", "window_days": 90, "branch": "seoul", "randomisation_unit": "customer",
             "reward_kind": "none", "contact_cost": 10.0, "planned_reach": 4, "owner": "marketing",
             "planned_control_share": 0.5}
        ],
        "campaign_members": [
            {"campaign_id": "P1", "customer_id": c, "arm": "treated", "assigned_on": "2026-02-01", "stratum": "s",
             "contacted_on": "2026-02-02", "delivered_on": "2026-02-03", "responded_on": "2026-02-04"}
            for c in people[:3]
        ] + [{"campaign_id": "P1", "customer_id": "C3", "arm": "control", "assigned_on": "2026-02-01"}],
        "costs": [
            {"cost_id": "X1", "incurred_on": "2026-02-01", "category": "campaign", "amount": 100.0, "branch": "seoul",
             "campaign_id": "P1", "planned_amount": 90.0, "driver": "contact", "useful_months": 12}
        ],
        "prospects": [
            {"prospect_id": "Q1", "branch": "seoul", "source": "web", "first_seen_on": "2026-01-01",
             "converted_customer_id": "C0"}
        ],
        "contacts": [
            {"contact_id": "N1", "branch": "seoul", "occurred_at": "2026-02-02T10:00", "channel": "phone",
             "direction": "out", "customer_id": "C0", "prospect_id": "Q1", "touchpoint": "call", "element": "human",
             "staff_id": "S1", "campaign_id": "P1", "repeat_of": None, "cost": 10.0}
        ],
        "cases": [
            {"case_id": "V1", "branch": "seoul", "received_at": "2026-02-02T10:00", "channel": "phone",
             "kind": "complaint", "customer_id": "C0", "topic": "t", "cause": "c", "company_at_fault": True,
             "severity": "low", "wanted_remedy": "apology", "remedy": "apology", "remedy_cost": 0.0,
             "resolved_at": "2026-02-03T10:00", "recovery_confirmed_on": "2026-02-10", "escalated_to": "head",
             "repeat_of": None}
        ],
        "survey_responses": [
            {"response_id": "R1", "branch": "seoul", "answered_on": "2026-03-01", "satisfaction": 5.0,
             "customer_id": "C0", "respondent_kind": "customer", "wave": "w", "invited_on": "2026-02-20",
             "contact_id": "N1", "case_id": "V1", "weight": 1.0, "stratum": "s"}
        ],
        "targets": [
            {"measure": "nps", "period": "2026Q3", "value": 40.0, "branch": "seoul", "kind": "target", "source": "plan"}
        ],
        "control_totals": [
            {"table": "transactions", "branch": "seoul", "month": "2026-01-01", "rows": 2, "amount": 0.0,
             "source": "ledger", "covered_to": "2026-09-30"}
        ],
    }  # fmt: skip
