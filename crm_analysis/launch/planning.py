"""What a test of a list would show before anybody is contacted."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from crm_analysis.crm_roi.planning import DEFAULT_RETURN, Spread, TestPlan, plan_test, spread_of
from crm_analysis.errors import UserError
from crm_analysis.launch.campaign import Launched
from crm_analysis.launch.screening import latest_scope
from crm_analysis.tables import Tables

__all__ = ["Outlook", "plan", "shown_by"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """A test of a list: its plan on the plain comparison, the same read with CUPED, and the spread both rest on."""

    spread: Spread
    plain: TestPlan
    adjusted: TestPlan


def plan(
    tables: Tables,
    customer_ids: pd.Series,
    *,
    contact_cost: float,
    fixed_cost: float = 0.0,
    holdout_share: float | None = None,
    expected_roi: float,
    window_days: int,
) -> Outlook:
    """Plan a test of these customers on what they left in past windows of the same length.

    Raises UserError where the data hold no such window, nothing was paid in one, or the numbers make no test.
    """
    found = spread_of(latest_scope(tables), customer_ids, window_days=window_days)
    if found.n_windows == 0:
        raise UserError(
            f"The data hold no whole window of {window_days + 1} days with the year before it: take fewer "
            "--window-days, or plan when there is more history."
        )
    if not found.standard_deviation > 0:
        raise UserError(
            f"These {found.n_units:,} customers paid nothing in the last {found.n_windows} windows of "
            f"{window_days + 1} days, so nothing tells how far their margins vary. Plan on a wider list or a longer "
            "window."
        )
    ways = (found.standard_deviation, found.standard_deviation * (1 - found.explained) ** 0.5)
    share = holdout_share
    plans = []
    for spread in ways:
        try:
            made = plan_test(
                found.n_units,
                standard_deviation=spread,
                contact_cost=contact_cost,
                fixed_cost=fixed_cost,
                holdout_share=share,
                expected_roi=expected_roi,
                window_days=window_days,
                min_control=tables.profile.roi.min_control,
            )
        except ValueError as error:
            raise UserError(f"No test can be planned: {error}.") from error
        share = made.holdout_share
        plans.append(made)
    return Outlook(found, *plans)


def shown_by(tables: Tables, made: Launched) -> Outlook | None:
    """What a campaign that was just written can show; None where its cost or the spread is not known."""
    order = made.order
    if not order.contact_cost:
        return None
    try:
        return plan(
            tables,
            made.members["customer_id"],
            contact_cost=order.contact_cost,
            holdout_share=order.holdout_share,
            expected_roi=DEFAULT_RETURN,
            window_days=order.window_days,
        )
    except UserError:
        return None
