"""Evaluate the campaigns of a branch and period: gate, effect, cost, return, and what stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from crm_analysis import files
from crm_analysis.crm_roi import effects, outcomes, portfolio, uncontrolled
from crm_analysis.crm_roi.gate import overlaps, pass_gate
from crm_analysis.crm_roi.ledger import Ledger, build_ledger, campaign_cost
from crm_analysis.crm_roi.results import CampaignResult, Effect, Evaluation, Portfolio, Uncontrolled
from crm_analysis.language import active

if TYPE_CHECKING:
    from crm_analysis.profile import Profile
    from crm_analysis.tables import Scope

__all__ = [
    "REQUIRED",
    "CampaignResult",
    "Effect",
    "Evaluation",
    "Portfolio",
    "Uncontrolled",
    "evaluate",
    "member_lists",
]

REQUIRED = ("campaigns", "campaign_members", "costs")


def evaluate(scope: Scope) -> Evaluation:
    """Evaluate every campaign known in `scope`.

    A campaign belongs to the period in which its outcome window closed; one that started and has not closed by the
    period's end is running. In a branch, effects are those of the branch's own members, and a campaign's costs are
    charged by the branch's share of the treated. Without the tables of `REQUIRED` the result is empty and says which
    are missing; `costs` alone may be absent where campaigns carry a contact cost.
    """
    profile = scope.profile
    missing = tuple(name for name in REQUIRED if not scope.has(name))
    common: dict[str, Any] = {
        "branch": scope.branch,
        "period": str(scope.period),
        "as_of": scope.as_of,
        "currency": profile.currency,
        "min_cell": profile.privacy.min_cell,
        "dominance_share": profile.privacy.dominance_share,
        "missing": missing,
    }
    nothing = Evaluation(**common)
    if nothing.without_tables:
        return nothing
    listing = outcomes.campaigns(scope)
    listing = listing[listing["starts_on"] <= scope.period.end].reset_index(drop=True)
    listing["key"] = _keys(listing["campaign_id"])
    expression = outcomes.scope_expression(scope, listing)
    members = outcomes.member_outcomes(scope, expression)
    members["overlapping"] = overlaps(members)
    mine = set(members["campaign_id"])
    if scope.branch != "all":
        listing = listing[listing["campaign_id"].isin(mine)].reset_index(drop=True)
    ledger = build_ledger(scope, list(listing["campaign_id"]))
    everywhere = _treated_everywhere(scope)
    results = [
        _evaluate_campaign(
            row,
            members[members["campaign_id"] == row.campaign_id],
            ledger=ledger,
            treated_everywhere=everywhere.get(row.campaign_id, 0),
            scope=scope,
        )
        for row in listing.itertuples(index=False)
    ]
    by_time = sorted(results, key=lambda r: (r.starts_on, r.campaign_id))
    closed = [r for r in by_time if scope.period.start <= r.closes_on <= scope.period.end]
    earlier = [r for r in by_time if r.closes_on < scope.period.start]
    own = [r for r in earlier + closed if r.roi is not None]
    closed = [uncontrolled.with_range(result, own) for result in closed]
    return Evaluation(
        **common,
        closed=tuple(closed),
        running=tuple(r for r in by_time if r.closes_on > scope.period.end),
        earlier=tuple(earlier),
        portfolio=portfolio.add_up(closed, ledger, scope.branch),
        ledger=ledger,
        members=members[members["campaign_id"].isin([r.campaign_id for r in closed])].reset_index(drop=True),
        query=str(ibis.to_sql(expression, dialect="duckdb")),
    )


def _evaluate_campaign(
    row: Any,
    members: pd.DataFrame,
    *,
    ledger: Ledger,
    treated_everywhere: int,
    scope: Scope,
) -> CampaignResult:
    profile = scope.profile
    gate = pass_gate(
        members,
        min_control=profile.roi.min_control,
        sample_ratio_alpha=profile.roi.sample_ratio_alpha,
        planned_treated_share=_planned_share(profile, row.campaign_id),
    )
    units = gate.units
    treated, control = units[units["arm"] == "treated"], units[units["arm"] == "control"]
    n_scope = int((members["arm"] == "treated").sum())
    n_everywhere = max(treated_everywhere, n_scope)
    contact = None if pd.isna(row.contact_cost) else float(row.contact_cost)
    cost = campaign_cost(
        ledger,
        row.campaign_id,
        n_treated=len(treated),
        n_scope=n_scope,
        n_everywhere=n_everywhere,
        contact_cost=contact,
    )
    state = "too_early" if row.closes_on > scope.period.end else gate.state
    details: dict[str, Any] = {}
    if state == "measured":
        details = effects.measure(
            treated, control, cost, n_everywhere=n_everywhere, contact=contact, row=row, profile=profile
        )
        state = details.pop("state")
    elif state == "not_causal":
        details = {
            "uncontrolled": uncontrolled.describe(treated, cost, window_days=int(row.window_days), profile=profile)
        }
    delivered = None
    if len(treated) and treated["delivered_on"].notna().any():
        delivered = float(treated["delivered_on"].notna().mean())
    return CampaignResult(
        campaign_id=row.campaign_id,
        key=row.key,
        name=profile.campaign_name(row.campaign_id, row.name if isinstance(row.name, str) else None, active()),
        programme=str(row.programme or ""),
        owner=row.owner if isinstance(row.owner, str) else "",
        starts_on=row.starts_on,
        closes_on=row.closes_on,
        window_days=int(row.window_days),
        state=state,
        gate=gate,
        n_treated=len(treated),
        n_control=len(control),
        delivered_share=delivered,
        cost=cost,
        assigned=_by_arm_and_branch(members),
        **details,
    )


def _by_arm_and_branch(members: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    if members.empty:
        return {}
    counts = members.groupby(["arm", "branch"], dropna=False).size()
    return {str(arm): tuple(int(n) for n in of_arm) for arm, of_arm in counts.groupby(level="arm")}


def _keys(ids: pd.Series) -> list[str]:
    """Short, safe and distinct names of campaigns for finding keys."""
    lower = ids.str.lower()
    clash = lower.duplicated(keep=False)
    return [files.safe_name(name if twice else name.lower()) for name, twice in zip(ids, clash, strict=True)]


def _planned_share(profile: Profile, campaign_id: str) -> float | None:
    held = profile.roi.planned_control_share.get(campaign_id)
    return None if held is None else 1 - held


def _treated_everywhere(scope: Scope) -> Mapping[str, int]:
    """Treated members per campaign in all branches together, by which a campaign's costs are shared out."""
    members = scope.tables.accepted("campaign_members")
    treated = members.filter((members.arm == "treated") & (members.assigned_on.cast("date") <= scope.period.end))
    frame = treated.group_by("campaign_id").aggregate(n=treated.customer_id.nunique()).execute()
    return dict(zip(frame["campaign_id"], frame["n"].astype(int), strict=True))


def member_lists(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """The customers behind each campaign's finding: arm, window and what they left in it, by finding key."""
    columns = ["customer_id", "branch", "arm", "assigned_on", "window_end", "revenue", "margin", "n_orders"]
    ends = {"not_causal": "break_even", "no_cost": "margin"}
    return {
        f"{result.key}.{'roi' if result.roi is not None else ends[result.state]}": result.gate.units[columns]
        for result in evaluation.closed
        if result.roi is not None or result.state in ends
    }
