"""A small scope in memory: frames behind the interface that chapters read, without files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.evaluation import Evaluation, evaluate
from crm_analysis.profile import Profile
from crm_analysis.units import Period

TABLES = {"transactions": {"files": ["t.csv"]}}


def make_profile(**sections: Any) -> Profile:
    return Profile.model_validate(
        {
            "id": "test",
            "name": "Test association",
            "currency": "KRW",
            "tables": TABLES,
            "owners": {"retention": "Donor service"},
            "path": Path("test.yaml"),
            "data_root": Path("."),
            "build_dir": Path("build/test"),
        }
        | sections
    )


@dataclass(eq=False)  # a scope is told apart by what it is, as real ones are kept in the engine by it
class FrameScope:
    """What a chapter sees of one branch and period, from plain frames."""

    frames: dict[str, pd.DataFrame]
    profile: Profile
    branch: str = "all"
    period: Period = Period.parse("2026Q3")
    last_covered: dict[str, date] | None = None
    unchecked: dict[str, pd.DataFrame] | None = None
    """Tables as they are in the files, where the contract set rows of them aside."""

    def __post_init__(self) -> None:
        self._tables = {name: ibis.memtable(frame) for name, frame in self.frames.items()}
        ends = self.last_covered or {}
        self.coverage = pd.DataFrame(
            [
                {
                    "branch": b,
                    "first_day": date(2024, 1, 1),
                    "last_covered_day": ends.get(b, date(2026, 9, 30)),
                    "silent": b in ends,
                }
                for b in ("seoul", "gwangju")
                if self.branch in ("all", b)
            ]
        )
        self.as_of = min(ends.get(self.branch, self.period.end), self.period.end)
        self.complete = True

    def has(self, name: str) -> bool:
        return name in self._tables

    def columns(self, name: str) -> frozenset[str]:
        return frozenset(self._tables[name].columns)

    @property
    def tables(self) -> FrameScope:
        return self

    def accepted(self, name: str) -> ibis.Table:
        return self._tables[name]

    def raw(self, name: str) -> ibis.Table:
        frame = (self.unchecked or {}).get(name)
        return self._tables[name] if frame is None else ibis.memtable(frame)

    def table(self, name: str) -> ibis.Table:
        table = self._tables[name]
        if name == "costs":
            table = table.mutate(shared=table.branch.isnull() if "branch" in table.columns else True)
        if self.branch == "all" or name not in ("transactions", "customers", "campaign_members"):
            return table
        if name == "campaign_members":
            customers = self._tables["customers"]
            mine = customers.filter(customers.branch == self.branch)
            return table.semi_join(mine, "customer_id")
        return table.filter(table.branch == self.branch)

    def of(self, **changes: Any) -> FrameScope:
        return replace(self, **changes)


def association(
    seed: int = 1, *, n: int = 600, lift: float = 12_000.0, cost: float = 3_000_000.0
) -> dict[str, pd.DataFrame]:
    """One controlled campaign, one without control, one running; two branches of equal size."""
    rng = np.random.default_rng(seed)
    ids = [f"D{i:04d}" for i in range(n)]
    branch = np.where(np.arange(n) % 2 == 0, "seoul", "gwangju")
    treated = rng.permutation(n) < n // 2
    days = pd.Timestamp("2026-05-01")
    rows = []
    for i in range(n):
        for _ in range(rng.poisson(2)):
            when = days - pd.Timedelta(days=int(rng.integers(1, 360)))
            rows.append((ids[i], branch[i], when, 10_000.0 * (1 + rng.integers(0, 5)), "gift"))
        if rng.random() < 0.35:
            when = days + pd.Timedelta(days=int(rng.integers(0, 61)))
            rows.append((ids[i], branch[i], when, 10_000.0 * (1 + rng.integers(0, 5)), "gift"))
        if treated[i] and rng.random() < 0.5:
            rows.append((ids[i], branch[i], days + pd.Timedelta(days=int(rng.integers(1, 60))), 2 * lift, "gift"))
    transactions = pd.DataFrame(rows, columns=["customer_id", "branch", "occurred_at", "amount", "kind"])
    transactions["transaction_id"] = [f"T{i}" for i in range(len(transactions))]
    customers = pd.DataFrame({"customer_id": ids, "branch": branch, "joined_on": pd.Timestamp("2025-01-01").date()})
    campaigns = pd.DataFrame(
        [
            ("CALL26", "Thank-you call", "retention", date(2026, 5, 1), date(2026, 5, 10), 70, 1_500.0),
            ("GALA26", "Gala", "vip", date(2026, 5, 1), date(2026, 5, 10), 70, 30_000.0),
            ("LATE26", "Autumn letter", "upsell", date(2026, 9, 1), date(2026, 9, 5), 60, 1_000.0),
        ],
        columns=["campaign_id", "name", "programme", "starts_on", "ends_on", "window_days", "contact_cost"],
    )
    members = pd.DataFrame(
        {
            "campaign_id": "CALL26",
            "customer_id": ids,
            "arm": np.where(treated, "treated", "control"),
            "assigned_on": date(2026, 5, 1),
        }
    )
    gala = pd.DataFrame(
        {"campaign_id": "GALA26", "customer_id": ids[:100], "arm": "treated", "assigned_on": date(2026, 5, 1)}
    )
    late = gala.assign(campaign_id="LATE26", assigned_on=date(2026, 9, 1))
    costs = pd.DataFrame(
        [
            ("C1", date(2026, 5, 1), "campaign", 0.6 * cost, "CALL26", 0.6 * cost, "contact", None),
            ("C2", date(2026, 5, 9), "staff", 0.3 * cost, "CALL26", 0.3 * cost, "fixed", None),
            ("C3", date(2026, 5, 9), "reward", 0.1 * cost, "CALL26", None, "fixed", None),
            ("C4", date(2026, 5, 9), "campaign", 3_000_000.0, "GALA26", 2_500_000.0, "fixed", None),
            ("C5", date(2026, 7, 1), "software", 900_000.0, None, 900_000.0, "fixed", None),
        ],
        columns=[
            "cost_id",
            "incurred_on",
            "category",
            "amount",
            "campaign_id",
            "planned_amount",
            "driver",
            "useful_months",
        ],
    )
    costs["useful_months"] = costs["useful_months"].astype("float64")
    return {
        "transactions": transactions,
        "customers": customers,
        "campaigns": campaigns,
        "campaign_members": pd.concat([members, gala, late], ignore_index=True),
        "costs": costs,
    }


@pytest.fixture(scope="session")
def scope() -> FrameScope:
    return FrameScope(association(), make_profile())


@pytest.fixture(scope="session")
def evaluated(scope: FrameScope) -> Evaluation:
    return evaluate(scope)
