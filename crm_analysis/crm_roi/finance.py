"""The money of a scope's programmes beyond the basic return: one result that holds every part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm_analysis.crm_roi.cash import Cash, cash_over_time
from crm_analysis.crm_roi.costing import Costing, cost_in_depth
from crm_analysis.crm_roi.discounts import Aftermath, DiscountUse, aftermaths, discount_use
from crm_analysis.crm_roi.flows import member_flows
from crm_analysis.crm_roi.lifetime import Extrapolation, Keeping, extrapolations, keeping
from crm_analysis.crm_roi.programme import Alongside, Programme, alongside, programme
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.crm_roi.sensitivity import Sensitivity, sensitivities
from crm_analysis.crm_roi.textbook import Claim, textbook_claims

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Finance", "examine_money"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finance:
    """Costs in depth, money over time, what it rests on, discounts, retention, the whole programme, textbook claims.

    `costing` and `sensitivity` hold the measured campaigns of the period, `cash`, `aftermath` and `scenario` those of
    earlier periods too; `keeping` is None without campaign tables.
    """

    costing: tuple[Costing, ...] = ()
    cash: tuple[Cash, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    use: DiscountUse | None = None
    aftermath: tuple[Aftermath, ...] = ()
    keeping: Keeping | None = None
    scenario: tuple[Extrapolation, ...] = ()
    programme: Programme | None = None
    alongside: tuple[Alongside, ...] = ()
    claims: tuple[Claim, ...] = ()

    @property
    def of_period(self) -> tuple[Cash, ...]:
        """The money over time of the period's campaigns."""
        mine = {each.key for each in self.costing}
        return tuple(each for each in self.cash if each.key in mine)


def examine_money(scope: Scope, evaluation: Evaluation) -> Finance:
    """Every part of the money, from the evaluation of the same scope; empty where campaigns are not recorded."""
    if evaluation.without_tables:
        return Finance()
    flows = member_flows(scope, evaluation)
    kept = keeping(scope)
    costs = cost_in_depth(flows, evaluation, scope, status=kept.status)
    cash = cash_over_time(flows, scope)
    return Finance(
        costing=costs,
        cash=cash,
        sensitivity=sensitivities(cash, costs, flows, evaluation, scope),
        use=discount_use(scope),
        aftermath=aftermaths(flows, scope),
        keeping=kept,
        scenario=extrapolations(flows, cash, kept, history_days=scope.profile.roi.balance_history_days),
        programme=programme(flows, cash, evaluation, scope),
        alongside=alongside(scope, evaluation),
        claims=textbook_claims(scope, kept),
    )
