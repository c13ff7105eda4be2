"""Evaluate the campaigns of a branch and period: gate, effect, cost, return, and what stays unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import files, privacy
from crm_analysis.crm_roi import outcomes
from crm_analysis.crm_roi.gate import Gate, overlaps, pass_gate
from crm_analysis.crm_roi.ledger import CampaignCost, Ledger, build_ledger, campaign_cost
from crm_analysis.crm_roi.money import RoiEstimate, estimate_roi, net_influence
from crm_analysis.estimators.designs import smallest_detectable_difference
from crm_analysis.estimators.means import MeanDifference, cuped, lin_adjusted, welch
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
HOLDOUT_SHARES = (0.1, 0.2, 0.3, 0.5)
ENOUGH_ROI, MOST_USEFUL_ROI = 1.0, 3.0
_POWER_REACH = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))


@dataclass(frozen=True, slots=True)
class Effect:
    """Intention-to-treat effect on one outcome per member: plain, and adjusted for value before where there is one."""

    metric: str
    plain: MeanDifference
    adjusted: MeanDifference | None = None
    lin: MeanDifference | None = None


@dataclass(frozen=True, slots=True)
class Uncontrolled:
    """What can be said of a campaign without control: nothing causal.

    Money per treated member: `margin_in_window`, `margin_before` (a window of the same length before), and the
    break-even `cost_per_treated`. `own_lift_low` and `own_lift_high` are the smallest and largest relative lift among
    the organisation's own controlled campaigns. A hold-out of `holdout_share` (n_holdout members) next time would show
    a return of `detectable_roi` or more with 80 % power, after adjusting for value before; the share is None when the
    list is too short even for half of it to show a return of `MOST_USEFUL_ROI`. `detectable_active` is the difference
    in the share who pay at all that half held out would show.
    """

    cost_per_treated: float | None
    margin_in_window: float
    margin_before: float
    break_even_lift: float | None
    own_lift_low: float | None
    own_lift_high: float | None
    n_own: int
    holdout_share: float | None
    n_holdout: int
    detectable_roi: float | None
    detectable_active: float | None


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """One campaign in one scope.

    `state`: measured, no_outcomes (nobody bought in either arm), no_cost (effect known, cost in no table), not_causal,
    no_treated, small_control, blocked, not_measurable, no_members, too_early. `assigned` counts the members of each
    arm by branch, those whose window is still open included.
    """

    campaign_id: str
    key: str
    name: str
    programme: str
    owner: str
    starts_on: date
    closes_on: date
    window_days: int
    state: str
    gate: Gate
    n_treated: int
    n_control: int
    delivered_share: float | None
    cost: CampaignCost | None
    effects: tuple[Effect, ...] = ()
    capped: MeanDifference | None = None
    roi: RoiEstimate | None = None
    uncontrolled: Uncontrolled | None = None
    cost_per_extra_order: float | None = None
    n_to_settle: int | None = None
    assigned: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """earned, lost or unknown."""
        return "unknown" if self.roi is None else self.roi.verdict

    def by_branch(self, arm: str) -> list[int]:
        """Members that count in an arm ("treated", "control"), by branch."""
        units = self.gate.units
        return units.loc[units["arm"] == arm, "branch"].value_counts().to_list() if len(units) else []

    def effect(self, metric: str) -> Effect | None:
        """The effect on one outcome, None when it was not measured."""
        return next((effect for effect in self.effects if effect.metric == metric), None)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Sum over the measured campaigns of the period, money in the profile's currency.

    The interval clusters by customer: a member of two campaigns counts in both, and `n_overlapping` says how many do.
    `margin_low` and `margin_high` are the interval of the incremental margin, before any cost.
    `shared` are programme-wide costs that fall in the period and are charged to no single campaign.
    """

    n_campaigns: int
    n_members: int
    n_overlapping: int
    incremental_revenue: float
    incremental_margin: float
    margin_low: float
    margin_high: float
    cost: float
    net: float
    low: float
    high: float
    shared: float

    @property
    def verdict(self) -> str:
        """earned, lost or unknown."""
        if self.low > 0:
            return "earned"
        return "lost" if self.high < 0 else "unknown"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All campaigns of a scope: those of the period, the running ones, and earlier ones for comparison."""

    branch: str
    period: str
    as_of: date
    currency: str
    min_cell: int
    dominance_share: float
    missing: tuple[str, ...]
    closed: tuple[CampaignResult, ...] = ()
    running: tuple[CampaignResult, ...] = ()
    earlier: tuple[CampaignResult, ...] = ()
    portfolio: Portfolio | None = None
    ledger: Ledger | None = None
    members: pd.DataFrame | None = None
    query: str = ""

    @property
    def without_tables(self) -> bool:
        """Whether nothing can be evaluated because campaigns or their members are not supplied."""
        return not {"campaigns", "campaign_members"}.isdisjoint(self.missing)

    @property
    def measured(self) -> tuple[CampaignResult, ...]:
        """Campaigns of the period with a stated return."""
        return tuple(result for result in self.closed if result.roi is not None)


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
    closed = [_with_range(result, own) for result in closed]
    return Evaluation(
        **common,
        closed=tuple(closed),
        running=tuple(r for r in by_time if r.closes_on > scope.period.end),
        earlier=tuple(earlier),
        portfolio=_portfolio(closed, ledger, scope.branch),
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
        planned_treated_share=_planned_share(profile, row),
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
        details = _measure(treated, control, cost, n_everywhere=n_everywhere, contact=contact, row=row, profile=profile)
        state = details.pop("state")
    elif state == "not_causal":
        details = {"uncontrolled": _uncontrolled(treated, cost, window_days=int(row.window_days), profile=profile)}
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


def _measure(
    treated: pd.DataFrame,
    control: pd.DataFrame,
    cost: CampaignCost | None,
    *,
    n_everywhere: int,
    contact: float | None,
    row: Any,
    profile: Profile,
) -> dict[str, Any]:
    """Effects, return and derived numbers of a campaign whose gate is passed."""
    if not (treated["n_orders"].any() or control["n_orders"].any()):
        return {"state": "no_outcomes"}
    if any(_withheld(arm[name], profile) for arm in (treated, control) for name in ("margin", "revenue")):
        return {"state": "withheld"}
    effects = [
        _effect(treated, control, "margin", "margin_before"),
        _effect(treated, control, "revenue", "revenue_before"),
    ]
    effects.append(_effect(treated, control, "n_orders", None))
    bought = [frame.assign(active=(frame["n_orders"] > 0).astype(float)) for frame in (treated, control)]
    effects.append(_effect(bought[0], bought[1], "active", None))
    details: dict[str, Any] = {"state": "measured", "effects": tuple(effects)}
    if profile.roi.cap_quantile is not None:
        cap = float(np.quantile(np.concatenate([treated["margin"], control["margin"]]), profile.roi.cap_quantile))
        details["capped"] = welch(treated["margin"].clip(upper=cap), control["margin"].clip(upper=cap))
    if cost is None:
        return details | {"state": "no_cost"}
    own, fixed = _treated_costs(treated, cost)
    per_contact = cost.per_contact / n_everywhere if cost.per_contact and n_everywhere else contact
    roi = estimate_roi(
        treated["margin"],
        control["margin"],
        fixed_cost=fixed,
        treated_cost=own,
        contact_cost=per_contact,
        salt=row.campaign_id,
    )
    if roi is None:
        return details | {"state": "no_cost"}
    extra_orders = effects[2].plain.difference * len(treated)
    details |= {"roi": roi, "cost_per_extra_order": roi.cost / extra_orders if extra_orders > 0 else None}
    if roi.verdict == "unknown" and roi.net != 0:
        details["n_to_settle"] = math.ceil(
            (_POWER_REACH * roi.net_error / roi.net) ** 2 * (len(treated) + len(control))
        )
    return details


def _withheld(amounts: pd.Series, profile: Profile) -> bool:
    """Whether what members paid may not be shown: too few of them paid, or one nearly all."""
    return privacy.withhold(amounts, profile.privacy.min_cell, profile.privacy.dominance_share)


def _treated_costs(treated: pd.DataFrame, cost: CampaignCost) -> tuple[np.ndarray, float]:
    """Cost by each treated member's own behaviour, and the rest of the cost charged to these members."""
    own = treated["discount"].to_numpy(float).copy()
    orders = treated["n_orders"].to_numpy(float)
    fixed = cost.charged - cost.charged_by_orders
    if orders.sum() > 0:
        own += cost.charged_by_orders * orders / orders.sum()
    else:
        fixed += cost.charged_by_orders
    return own, fixed


def _effect(treated: pd.DataFrame, control: pd.DataFrame, metric: str, before: str | None) -> Effect:
    outcome = treated[metric].to_numpy(float), control[metric].to_numpy(float)
    plain = welch(*outcome)
    if before is None:
        return Effect(metric, plain)
    past = {"treated_before": treated[before].to_numpy(float), "control_before": control[before].to_numpy(float)}
    return Effect(metric, plain, cuped(*outcome, **past), lin_adjusted(*outcome, **past))


def _uncontrolled(
    treated: pd.DataFrame, cost: CampaignCost | None, *, window_days: int, profile: Profile
) -> Uncontrolled:
    margin = treated["margin"].to_numpy(float)
    n = margin.size
    before = float(treated["margin_before"].mean()) * (window_days + 1) / profile.roi.balance_history_days
    per_treated = None if cost is None or n == 0 else (cost.charged + float(treated["discount"].sum())) / n
    held, detectable = _holdout(treated, per_treated, min_control=profile.roi.min_control)
    mean = float(margin.mean()) if n else 0.0
    if _withheld(treated["margin"], profile):
        mean = math.nan
    if _withheld(treated["margin_before"], profile):
        before = math.nan
    return Uncontrolled(
        cost_per_treated=per_treated,
        margin_in_window=mean,
        margin_before=before,
        break_even_lift=per_treated / (mean - per_treated) if per_treated and mean > per_treated else None,
        own_lift_low=None,
        own_lift_high=None,
        n_own=0,
        holdout_share=held,
        n_holdout=round((held or 0.0) * n),
        detectable_roi=detectable,
        detectable_active=_detectable_active(treated, min_control=profile.roi.min_control),
    )


def _holdout(
    treated: pd.DataFrame, per_treated: float | None, *, min_control: int
) -> tuple[float | None, float | None]:
    """Smallest share to hold out next time that shows a return of 100 %, and the smallest return it shows."""
    n = len(treated)
    if not per_treated or n < 2 * min_control:
        return None, None
    margin, before = treated["margin"].to_numpy(float), treated["margin_before"].to_numpy(float)
    explained = float(np.corrcoef(margin, before)[0, 1]) ** 2 if margin.std() > 0 and before.std() > 0 else 0.0
    spread = float(margin.std(ddof=1)) * math.sqrt(1 - explained)
    seen = None
    for share in HOLDOUT_SHARES:
        n_held = round(share * n)
        if n_held < min_control:
            continue
        seen = smallest_detectable_difference(n - n_held, n_held, standard_deviation=spread) / per_treated
        if seen <= ENOUGH_ROI:
            return share, seen
    if seen is not None and seen <= MOST_USEFUL_ROI:
        return HOLDOUT_SHARES[-1], seen
    return None, seen


def _detectable_active(treated: pd.DataFrame, *, min_control: int) -> float | None:
    """Smallest difference in the share who pay at all that shows when half of the list is held out."""
    half = len(treated) // 2
    if half < min_control:
        return None
    share = float(np.clip((treated["n_orders"] > 0).mean(), 0.05, 0.95))
    return smallest_detectable_difference(half, half, standard_deviation=math.sqrt(share * (1 - share)))


def _with_range(result: CampaignResult, own: list[CampaignResult]) -> CampaignResult:
    """An uncontrolled campaign with the lifts that the organisation's controlled campaigns reached."""
    if result.uncontrolled is None:
        return result
    lifts = []
    for other in own:
        effect = other.effect("margin")
        if effect is not None and effect.plain.mean_control > 0:
            lifts.append(effect.plain.difference / effect.plain.mean_control)
    if not lifts:
        return result
    known = replace(result.uncontrolled, own_lift_low=min(lifts), own_lift_high=max(lifts), n_own=len(lifts))
    return replace(result, uncontrolled=known)


def _portfolio(closed: list[CampaignResult], ledger: Ledger, branch: str) -> Portfolio | None:
    """Sum of the measured campaigns; the variance of the net adds each customer's influence over campaigns first."""
    measured = [result for result in closed if result.roi is not None]
    if not measured:
        return None
    parts, margin_parts = [], []
    revenue = margin = cost = net = 0.0
    for result in measured:
        assert result.roi is not None and result.cost is not None
        units = result.gate.units
        treated, control = units[units["arm"] == "treated"], units[units["arm"] == "control"]
        own, _ = _treated_costs(treated, result.cost)
        for frame, influence in zip(
            (treated, control), net_influence(treated["margin"], control["margin"], own), strict=True
        ):
            parts.append(pd.Series(influence, index=frame["customer_id"].to_numpy()))
        gross = net_influence(treated["margin"], control["margin"], np.zeros(len(treated)))
        for frame, influence in zip((treated, control), gross, strict=True):
            margin_parts.append(pd.Series(influence, index=frame["customer_id"].to_numpy()))
        gained = result.effect("revenue")
        revenue += gained.plain.difference * len(treated) if gained else 0.0
        margin += result.roi.incremental_margin
        cost += result.roi.cost
        net += result.roi.net
    stacked = pd.concat(parts)
    per_customer = stacked.groupby(level=0).sum()
    reach = _reach(per_customer)
    margin_reach = _reach(pd.concat(margin_parts).groupby(level=0).sum())
    return Portfolio(
        n_campaigns=len(measured),
        n_members=len(per_customer),
        n_overlapping=int((stacked.groupby(level=0).size() > 1).sum()),
        incremental_revenue=revenue,
        incremental_margin=margin,
        margin_low=margin - margin_reach,
        margin_high=margin + margin_reach,
        cost=cost,
        net=net,
        low=net - reach,
        high=net + reach,
        shared=ledger.shared_total if branch == "all" else 0.0,
    )


def _reach(influence: pd.Series) -> float:
    return float(stats.norm.ppf(0.975)) * math.sqrt(float((influence**2).sum()))


def _keys(ids: pd.Series) -> list[str]:
    """Short, safe and distinct names of campaigns for finding keys."""
    lower = ids.str.lower()
    clash = lower.duplicated(keep=False)
    return [files.safe_name(name if twice else name.lower()) for name, twice in zip(ids, clash, strict=True)]


def _planned_share(profile: Profile, row: Any) -> float | None:
    """Share treated by plan: the profile's, else the one written with the campaign before it started."""
    held = profile.roi.planned_control_share.get(row.campaign_id)
    if held is None and 0 < row.planned_control_share < 1:
        held = float(row.planned_control_share)
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
