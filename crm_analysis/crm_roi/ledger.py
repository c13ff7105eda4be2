"""The cost ledger: every line of `costs` once, planned beside actual, and what nobody planned named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from crm_analysis.crm_roi.outcomes import with_columns
from crm_analysis.units import DAYS_PER_MONTH

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["SHARED_CATEGORIES", "CampaignCost", "Ledger", "build_ledger", "campaign_cost"]

SHARED_CATEGORIES = ("software", "integration", "data", "training")
"""Costs without a campaign that serve the programmes together; other running costs serve the whole organisation."""
OWN_CATEGORIES = ("campaign", "reward")
"""Costs that only a campaign can cause: without a campaign they are in no return."""
LINE_COLUMNS = ["incurred_on", "category", "driver", "planned", "actual", "charged", "unplanned"]
_COLUMNS = {
    "cost_id": "string",
    "incurred_on": "date",
    "category": "string",
    "amount": "float64",
    "branch": "string",
    "campaign_id": "string",
    "planned_amount": "float64",
    "driver": "string",
    "useful_months": "float64",
    "shared": "boolean",
}


@dataclass(frozen=True, slots=True)
class Ledger:
    """Cost lines of a scope.

    `lines` has the canonical columns of `costs`, lines of a campaign only, negative ones left out. `shared` is the part
    of programme-wide costs that falls in the period. `orphaned_*` are campaign costs that name no campaign that exists;
    `negative_*` are lines below zero, left out and counted. `query` reads them all.
    """

    lines: pd.DataFrame
    shared: pd.DataFrame
    shared_total: float
    n_orphaned: int
    orphaned_total: float
    n_negative: int
    negative_total: float
    has_plan: bool
    query: str = ""


@dataclass(frozen=True, slots=True)
class CampaignCost:
    """Cost of one campaign, money in the profile's currency.

    `actual` is the whole cost that the scope can see; `charged` the part of it that the members compared have to earn,
    by category in `charged_categories`, and `charged_by_orders` what of it grows with what they buy. `in_scope` is the
    part of everybody treated in the scope, compared or not yet. `per_contact` is the part of contacts in `actual`.
    `planned` is None when no line has a plan. `unplanned` is the sum of lines that nobody planned,
    `unplanned_category` the largest of their categories. `estimated` marks a cost taken from the campaign's contact
    cost because the ledger has no line for it. `lines` are the lines themselves (`LINE_COLUMNS`): what was planned and
    spent, what is charged, and whether nobody planned it.
    """

    actual: float
    in_scope: float
    charged: float
    charged_by_orders: float
    charged_categories: Mapping[str, float]
    planned: float | None
    per_contact: float
    unplanned: float
    unplanned_category: str
    n_lines: int
    estimated: bool
    lines: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=LINE_COLUMNS), compare=False, repr=False)


def build_ledger(scope: Scope, campaign_ids: Sequence[str]) -> Ledger:
    """The ledger as known at the scope's `as_of`; an empty one without the table `costs`."""
    if not scope.has("costs"):
        empty = pd.DataFrame({name: pd.Series(dtype="object") for name in _COLUMNS})
        return Ledger(empty, empty.head(0), 0.0, 0, 0.0, 0, 0.0, False)
    expression = with_columns(scope.table("costs"), _COLUMNS).select(*_COLUMNS)
    frame = expression.execute()
    if scope.branch == "all":
        frame["shared"] = False
    found = split_ledger(
        frame,
        campaign_ids,
        start=scope.period.start,
        end=scope.period.end,
        has_plan="planned_amount" in scope.columns("costs"),
    )
    return replace(found, query=str(ibis.to_sql(expression, dialect="duckdb")))


def split_ledger(costs: pd.DataFrame, campaign_ids: Sequence[str], *, start: date, end: date, has_plan: bool) -> Ledger:
    """Sort cost lines into those of campaigns, shared ones, and those that cannot be used."""
    frame = costs.assign(incurred_on=pd.to_datetime(costs["incurred_on"]), amount=costs["amount"].astype(float))
    negative = frame["amount"] < 0
    usable = frame[~negative]
    named = usable["campaign_id"].isin(list(campaign_ids))
    orphaned = ~named & (
        usable["category"].isin(OWN_CATEGORIES) | usable["campaign_id"].fillna("").astype(str).str.len().gt(0)
    )
    recent = usable["incurred_on"].between(pd.Timestamp(start), pd.Timestamp(end))
    lost = usable[orphaned & recent]
    shared = usable[~named & ~orphaned & usable["category"].isin(SHARED_CATEGORIES)]
    shared = shared.assign(charged=_falls_in(shared, start=start, end=end))
    shared = shared[shared["charged"] > 0].reset_index(drop=True)
    return Ledger(
        lines=usable[named].reset_index(drop=True),
        shared=shared,
        shared_total=float(shared["charged"].sum()),
        n_orphaned=len(lost),
        orphaned_total=float(lost["amount"].sum()),
        n_negative=int(negative.sum()),
        negative_total=float(frame.loc[negative, "amount"].sum()),
        has_plan=has_plan,
    )


def campaign_cost(
    ledger: Ledger, campaign_id: str, *, n_treated: int, n_scope: int, n_everywhere: int, contact_cost: float | None
) -> CampaignCost | None:
    """Cost of one campaign; None when neither the ledger nor a contact cost tells it.

    `n_treated` members are compared, out of `n_scope` treated in the scope and `n_everywhere` in all branches. Lines
    that belong to the scope are charged by n_treated / n_scope, lines that all branches share by n_treated /
    n_everywhere. A campaign without a line is charged `contact_cost` for each treated member, marked as estimated.
    """
    lines = ledger.lines[ledger.lines["campaign_id"] == campaign_id]
    if lines.empty:
        if contact_cost is None or n_scope == 0:
            return None
        total, charged = contact_cost * n_scope, contact_cost * n_treated
        line = (pd.NaT, "campaign", "contact", np.nan, total, charged, False)
        told = pd.DataFrame([line], columns=LINE_COLUMNS)
        return CampaignCost(total, total, charged, 0.0, {"campaign": charged}, None, total, 0.0, "", 0, True, told)
    own, common = (n_treated / n if n else 0.0 for n in (n_scope, n_everywhere))
    shared = lines["shared"].fillna(False).astype(bool)
    weight = np.where(shared, common, own)
    charged_lines = lines["amount"] * weight
    of_all = n_scope / n_everywhere if n_everywhere else 0.0
    planned = lines["planned_amount"].astype(float)
    forgotten = lines[(planned.isna() | (planned == 0)) & (lines["amount"] > 0)] if ledger.has_plan else lines.head(0)
    by_category = forgotten.groupby("category")["amount"].sum()
    driver = lines["driver"].fillna("")
    return CampaignCost(
        actual=float(lines["amount"].sum()),
        in_scope=float((lines["amount"] * np.where(shared, of_all, 1.0)).sum()),
        charged=float(charged_lines.sum()),
        charged_by_orders=float(charged_lines[driver == "order"].sum()),
        charged_categories={str(k): float(v) for k, v in charged_lines.groupby(lines["category"]).sum().items()},
        planned=float(planned.sum()) if planned.notna().any() else None,
        per_contact=float(lines.loc[driver == "contact", "amount"].sum()),
        unplanned=float(forgotten["amount"].sum()),
        unplanned_category="" if by_category.empty else str(by_category.idxmax()),
        n_lines=len(lines),
        estimated=False,
        lines=pd.DataFrame(
            {
                "incurred_on": lines["incurred_on"],
                "category": lines["category"].astype(str),
                "driver": driver.astype(str),
                "planned": planned,
                "actual": lines["amount"],
                "charged": charged_lines,
                "unplanned": lines.index.isin(forgotten.index),
            }
        ).reset_index(drop=True),
    )


def _falls_in(lines: pd.DataFrame, *, start: date, end: date) -> pd.Series:
    """The part of each line that falls in the period: at once, or evenly over its useful months from its day on."""
    months = lines["useful_months"].astype(float).fillna(0.0)
    length = (months * DAYS_PER_MONTH).clip(lower=1.0)
    first = lines["incurred_on"]
    last = first + pd.to_timedelta(length, unit="D")
    opening = first.clip(lower=pd.Timestamp(start))
    closing = last.clip(upper=pd.Timestamp(end) + pd.Timedelta(days=1))
    overlap = (closing - opening) / pd.Timedelta(days=1)
    return lines["amount"] * (overlap.clip(lower=0.0) / length).clip(upper=1.0)
