"""Members' money by month: sums, what follows the window, and how long the control is followed."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.flows import MIN_AFTER_DAYS, member_flows
from crm_analysis.units import DAYS_PER_MONTH
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow

ASSIGNED = pd.Timestamp("2026-05-01")


def flow_of(tables, **sections):
    scope = FrameScope(tables, make_profile(**sections))
    return member_flows(scope, evaluate(scope))[0]


def test_the_months_of_a_window_add_up_to_it(scope, evaluated):
    (flow,) = member_flows(scope, evaluated)
    units = flow.result.gate.units
    assert flow.margin.sum(axis=1) == pytest.approx(units["margin"].to_numpy(float))
    assert flow.n_orders.sum(axis=1) == pytest.approx(units["n_orders"].to_numpy(float))
    assert flow.in_window["paid"].to_numpy() == pytest.approx(units["revenue"].to_numpy(float))
    assert (flow.days, flow.months, flow.held_on) == (71, 3, False)


def test_each_month_equals_brute_force(scope, evaluated):
    (flow,) = member_flows(scope, evaluated)
    paid = scope.frames["transactions"]
    since = (paid["occurred_at"] - ASSIGNED).dt.days
    for month in range(3):
        inside = (since >= 0) & (since <= 70) & (np.floor(since / DAYS_PER_MONTH) == month)
        told = paid[inside].groupby("customer_id")["amount"].sum()
        every = flow.result.gate.units["customer_id"]
        assert flow.margin[:, month] == pytest.approx(told.reindex(every, fill_value=0).to_numpy())


def later(tables, *, day, amount, who):
    """One more gift of each of `who`, so many days after the assignment."""
    rows = pd.DataFrame(
        {
            "customer_id": who,
            "branch": "seoul",
            "occurred_at": ASSIGNED + pd.Timedelta(days=day),
            "amount": amount,
            "kind": "gift",
        }
    )
    rows["transaction_id"] = [f"L{day}-{i}" for i in range(len(rows))]
    return tables | {"transactions": pd.concat([tables["transactions"], rows], ignore_index=True)}


def test_what_follows_the_window_is_apart_from_it():
    tables = association()
    who = tables["customers"]["customer_id"].to_list()[:50]
    plain, more = flow_of(tables), flow_of(later(tables, day=90, amount=7_000.0, who=who))
    assert more.margin == pytest.approx(plain.margin)
    assert more.after_days == 71
    assert more.after["left"].sum() == pytest.approx(plain.after["left"].sum() + 50 * 7_000)
    last_day = flow_of(later(tables, day=141, amount=7_000.0, who=who))
    one_later = flow_of(later(tables, day=142, amount=7_000.0, who=who))
    assert last_day.after["left"].sum() > 0 and one_later.after["left"].sum() == 0


def test_the_months_reach_as_far_as_the_control_was_left_alone():
    tables = association()
    tables = later(tables, day=100, amount=9_000.0, who=tables["customers"]["customer_id"].to_list()[:60])
    until = {"roi": {"held_out_until": {"CALL26": date(2026, 8, 29)}}}
    plain, longer = flow_of(tables), flow_of(tables, **until)
    assert (longer.days, longer.months, longer.held_on) == (121, 4, True)
    assert longer.margin.sum() == pytest.approx(plain.margin.sum() + 60 * 9_000)
    before = flow_of(tables, roi={"held_out_until": {"CALL26": date(2026, 6, 1)}})
    assert before.days == 71, "a control left alone for less than the window is followed through the window"
    beyond = flow_of(tables, roi={"held_out_until": {"CALL26": date(2027, 6, 1)}})
    assert beyond.days == 153, "nothing is counted beyond the last day that the data cover"


def test_too_few_days_after_the_window_are_no_aftermath():
    tables = association()
    scope = FrameScope(tables, make_profile(), last_covered={b: date(2026, 8, 3) for b in ("seoul", "gwangju")})
    scope.as_of = date(2026, 8, 3)
    flow = member_flows(scope, evaluate(scope))[0]
    assert flow.after is None and (date(2026, 8, 3) - date(2026, 7, 10)).days < MIN_AFTER_DAYS
