"""What the evaluation of campaigns finds: one result per campaign, their sum, and all of a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from crm_analysis.crm_roi.gate import Gate
from crm_analysis.crm_roi.ledger import CampaignCost, Ledger
from crm_analysis.crm_roi.money import RoiEstimate
from crm_analysis.estimators.arms import ComplierEffect
from crm_analysis.estimators.means import MeanDifference

__all__ = ["CampaignResult", "Effect", "Evaluation", "Portfolio", "Uncontrolled"]


@dataclass(frozen=True, slots=True)
class Effect:
    """Intention-to-treat effect on one outcome per member: plain, and adjusted for value before where there is one.

    `stratified` is the difference within strata, weighed by their treated. `plain.p_value` becomes `adjusted_p` when
    all outcomes of the campaign, and of those that shared its control group, are looked at together. For a ratio
    (margin per order) the means are ratios. `answered` are the shares of the treated and of the control of whom there
    is an outcome at all, where that is not everybody: the difference is then one between those who answered.
    """

    metric: str
    plain: MeanDifference
    adjusted: MeanDifference | None = None
    lin: MeanDifference | None = None
    stratified: MeanDifference | None = None
    adjusted_p: float | None = None
    answered: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Uncontrolled:
    """What can be said of a campaign without control: nothing causal.

    Money per treated member: `margin_in_window`, `margin_before` (a window of the same length before), and
    `cost_per_treated`, which is break-even. `own_lift_low` and `own_lift_high` are the smallest and largest relative
    lift among the organisation's own controlled campaigns. A hold-out of `holdout_share` (n_holdout members) next time
    would show a return of `detectable_roi` or more with 80 % power on the plain difference; the share is None when the
    list is too short even for half of it to show a return of `MOST_USEFUL_ROI`, both where its amounts are withheld or
    did not vary, or its cost is not known. `detectable_active` is the difference in the share who pay at all that half
    held out would show.
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
    no_treated, small_control, blocked, not_measurable, no_members, too_early, whole_branches (drawn by branch: only all
    branches together have both arms). `assigned` counts the members of each arm by branch, those whose window is still
    open included.

    `drawn_by` is what was drawn: customer, household or branch. `reached` is the effect on the margin of those reached,
    `capped_roi` the return with the margin capped at the profile's quantile, `stratified` the return from differences
    within strata. `shares_control` names the campaigns that were compared with the same held-out members; `correction`
    is how p-values of their outcomes were adjusted, over `n_tests` of them. `elsewhere` marks, on a branch's page, that
    other branches' customers were treated too.
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
    drawn_by: str = "customer"
    reward_kind: str = ""
    reached: ComplierEffect | None = None
    capped_roi: RoiEstimate | None = None
    stratified: RoiEstimate | None = None
    shares_control: tuple[str, ...] = ()
    correction: str = ""
    n_tests: int = 0
    elsewhere: bool = False

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

    The intervals cluster by customer, or by what was drawn where that holds several: a member of two campaigns counts
    in both, and `n_overlapping` says how many do.
    `incremental_revenue` is the difference in what was paid, before the discounts that are charged as a cost.
    `margin_low` and `margin_high` are the interval of the incremental margin, before any cost; `roi` is the sum of nets
    over the sum of costs, `roi_low` and `roi_high` Fieller's interval of it.
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
    roi: float
    roi_low: float | None
    roi_high: float | None
    shared: float

    @property
    def verdict(self) -> str:
        """earned, lost or unknown."""
        return _verdict(self.low, self.high)

    @property
    def verdict_with_shared(self) -> str:
        """earned, lost or unknown once the shared costs are paid too."""
        return _verdict(self.low - self.shared, self.high - self.shared)

    @property
    def settled_by_shared(self) -> bool:
        """Whether only the shared costs settle what is not settled before them."""
        return self.verdict == "unknown" and self.verdict_with_shared != "unknown"


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "earned"
    return "lost" if high < 0 else "unknown"


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
