"""Everything the chapter knows about one branch and period, from a scope: one field per topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm_analysis.crm_roi.evaluation import Evaluation, evaluate
from crm_analysis.crm_roi.finance import Finance, examine_money

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Study", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """`evaluation` holds gate, effect, cost and return of every campaign; the other fields what goes beyond them."""

    evaluation: Evaluation
    finance: Finance


def examine(scope: Scope) -> Study:
    """Compute the chapter; absent tables and thin data leave their parts empty."""
    evaluation = evaluate(scope)
    return Study(evaluation=evaluation, finance=examine_money(scope, evaluation))
