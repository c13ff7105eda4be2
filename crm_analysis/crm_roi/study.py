"""Everything the chapter knows about one branch and period, from a scope: one field per topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm_analysis.crm_roi.evaluation import Evaluation, evaluate
from crm_analysis.crm_roi.finance import Finance, examine_money
from crm_analysis.crm_roi.holdout import Holdout, reconcile
from crm_analysis.crm_roi.together import Together, compare_campaigns

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Study", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """`evaluation` holds gate, effect, cost and return of every campaign; the other fields what goes beyond them.

    `finance` follows the money further (costs in depth, over time, what it rests on); `together` compares campaigns
    with each other, `holdout` those left out of all of them with everybody else (None where the profile names no such
    list).
    """

    evaluation: Evaluation
    finance: Finance
    together: Together
    holdout: Holdout | None


def examine(scope: Scope) -> Study:
    """Compute the chapter; absent tables and thin data leave their parts empty."""
    evaluation = evaluate(scope)
    return Study(
        evaluation=evaluation,
        finance=examine_money(scope, evaluation),
        together=compare_campaigns(evaluation),
        holdout=reconcile(scope, evaluation),
    )
