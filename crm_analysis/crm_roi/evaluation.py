"""Evaluate the campaigns of a branch and period: gate, effect, cost, return, and what stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from crm_analysis import files
from crm_analysis.crm_roi import effects, outcomes, portfolio, uncontrolled
from crm_analysis.crm_roi.gate import Gate, judge_arms, overlaps, pass_gate, shared_controls
from crm_analysis.crm_roi.ledger import Ledger, build_ledger, campaign_cost
from crm_analysis.crm_roi.results import CampaignResult, Effect, Evaluation, Portfolio, Uncontrolled
from crm_analysis.errors import DataError, selection_refused
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
EVERYBODY = "assigned"


def evaluate(scope: Scope, *, among: str | None = None) -> Evaluation:
    """Evaluate every campaign known in `scope`.

    A campaign belongs to the period in which its outcome window closed; one that started and has not closed by the
    period's end is running. In a branch, effects are those of the branch's own members, and a campaign's costs are
    charged by the branch's share of the treated. Without the tables of `REQUIRED` the result is empty and says which
    are missing; `costs` alone may be absent where campaigns carry a contact cost.

    `among` says whose outcomes are compared, by default what the profile says: everybody assigned. Anything else is
    refused with the reason (DataError).
    """
    profile = scope.profile
    among = among or profile.roi.among
    if among != EVERYBODY:
        raise DataError(selection_refused(among))
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
    everybody_left_alone = profile.roi.universal_holdout
    listing = listing[listing["campaign_id"] != everybody_left_alone].reset_index(drop=True)
    expression = outcomes.scope_expression(scope, listing)
    drawn_by = {row.campaign_id: _drawn_by(row.randomisation_unit) for row in listing.itertuples(index=False)}
    members = outcomes.member_outcomes(scope, expression, drawn_by=drawn_by)
    members["overlapping"] = overlaps(members)
    groups = dict(list(members.groupby("campaign_id", sort=False)))
    if scope.branch != "all":
        listing = listing[listing["campaign_id"].isin(groups)].reset_index(drop=True)
    ledger = build_ledger(scope, list(listing["campaign_id"]))
    everywhere = _treated_everywhere(scope)
    written = dict(zip(listing["campaign_id"], listing["planned_control_share"].astype(float), strict=True))
    gates = {
        key: pass_gate(
            groups.get(key, members.head(0)),
            min_control=profile.roi.min_control,
            sample_ratio_alpha=profile.roi.sample_ratio_alpha,
            planned_treated_share=_planned_share(profile, key, written),
            drawn_by=drawn_by[key],
        )
        for key in listing["campaign_id"]
    }
    families = shared_controls(gates)
    for family in families:
        planned = {key: share for key in family if isinstance(share := _planned_share(profile, key, written), float)}
        gates |= judge_arms({key: gates[key] for key in family}, planned, alpha=profile.roi.sample_ratio_alpha)
    found = {
        row.campaign_id: _evaluate_campaign(
            row,
            groups.get(row.campaign_id, members.head(0)),
            gates[row.campaign_id],
            ledger=ledger,
            drawn_by=drawn_by[row.campaign_id],
            treated_everywhere=everywhere.get(row.campaign_id, 0),
            scope=scope,
        )
        for row in listing.itertuples(index=False)
    }
    alone = [(key,) for key in found if not any(key in family for family in families)]
    for family in [*families, *alone]:
        found |= {result.campaign_id: result for result in effects.correct([found[key] for key in family])}
    by_time = sorted(found.values(), key=lambda r: (r.starts_on, r.campaign_id))
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
        query=";\n".join(filter(None, [str(ibis.to_sql(expression, dialect="duckdb")), ledger.query])),
    )


def _evaluate_campaign(
    row: Any,
    members: pd.DataFrame,
    gate: Gate,
    *,
    ledger: Ledger,
    drawn_by: str,
    treated_everywhere: int,
    scope: Scope,
) -> CampaignResult:
    profile = scope.profile
    units = gate.units
    treated = units[units["arm"] == "treated"]
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
    if drawn_by == "branch" and scope.branch != "all" and state in ("not_causal", "no_treated"):
        state = "whole_branches"
    details: dict[str, Any] = {}
    if state == "measured":
        details = effects.measure(
            gate, cost, n_everywhere=n_everywhere, contact=contact, campaign_id=row.campaign_id, profile=profile
        )
        state = details.pop("state")
    elif state == "not_causal":
        details = {"uncontrolled": uncontrolled.describe(treated, cost, window_days=row.window_days, profile=profile)}
    delivered = None
    of_treated, _of_control = effects.reached(treated, units[units["arm"] == "control"])
    if of_treated.any():
        delivered = float(of_treated.mean())
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
        n_control=int((units["arm"] == "control").sum()),
        delivered_share=delivered,
        cost=cost,
        assigned=_by_arm_and_branch(members),
        drawn_by=drawn_by,
        reward_kind=row.reward_kind if isinstance(row.reward_kind, str) else "",
        elsewhere=scope.branch != "all" and n_everywhere > n_scope,
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


def _planned_share(profile: Profile, campaign_id: str, written: Mapping[str, float]) -> float | dict[str, float] | None:
    """The treated share by plan, one or one for each stratum; None where none is stated.

    The profile's, else the one `written` with the campaign before it started.
    """
    held = profile.roi.planned_control_share.get(campaign_id)
    if held is None and 0 < written.get(campaign_id, 0.0) < 1:
        held = float(written[campaign_id])
    if isinstance(held, dict):
        return {stratum: 1 - share for stratum, share in held.items()}
    return None if held is None else 1 - held


def _drawn_by(unit: Any) -> str:
    """What was drawn: customer (also where the table says nothing), household or branch."""
    return unit if isinstance(unit, str) and unit in ("household", "branch") else "customer"


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
