"""What each customer left, and how costs are shared out."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.customer_value import profits


def of(profit: np.ndarray) -> profits.Profits:
    return profits.Profits(pd.DataFrame({"customer_id": np.arange(len(profit)).astype(str), "profit": profit}), True)


LOG = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "c", "a"],
        "occurred_at": pd.to_datetime(["2026-01-05", "2026-02-05", "2026-03-01", "2025-02-01", "2026-02-06"]),
        "amount": [100.0, 50.0, 10.0, 80.0, 30.0],
        "kind": ["sale", "sale", "sale", "sale", "refund"],
    }
)
CONTACTS = pd.DataFrame(
    {
        "customer_id": ["a", "b", "b", None],
        "branch": "x",
        "occurred_at": pd.to_datetime(["2026-05-01", "2026-05-01", "2025-09-30", "2026-05-01"]),
        "cost": [1.0, 20.0, 999.0, 5.0],
    }
)


def earned(scope) -> pd.DataFrame:
    found = profits.customer_profits(scope, customers.status(scope))
    return found.customers.set_index("customer_id")


def test_profit_by_hand(scope_of):
    """Margin 40 %, refunds taken off, contacts of the last twelve months only, one euro per order."""
    scope = scope_of(
        {"transactions": LOG, "contacts": CONTACTS}, margin={"rate": 0.4}, cost_to_serve={"per_order": 1.0}
    )
    frame = earned(scope)
    assert frame.loc["a", ["gross", "refunds", "n_orders"]].tolist() == [150.0, 30.0, 2]
    assert frame.loc["a", "profit"] == pytest.approx(0.4 * 120 - 1.0 - 2.0)
    assert frame.loc["b", "profit"] == pytest.approx(0.4 * 10 - 20.0 - 1.0)
    assert frame.loc["c", "profit"] == 0.0  # silent all year, and nobody spent anything on c


def test_costs_that_a_branch_bears_are_shared_out_and_conserved(scope_of):
    """1,000 a year by order: three orders in the year. The whole organisation's and the campaign's are left alone."""
    costs = pd.DataFrame(
        {
            "branch": ["x", None, "x", "x"],
            "incurred_on": [date(2026, 4, 1)] * 4,
            "driver": ["order", "order", "fixed", "order"],
            "campaign_id": [None, None, None, "C"],
            "amount": [1000.0, 7.0, 7.0, 7.0],
        }
    )
    frame = earned(scope_of({"transactions": LOG, "costs": costs}, cost_to_serve={"per_order": 5.0}))
    assert frame["serve_cost"].sum() == pytest.approx(1000.0)
    assert frame.loc["a", "serve_cost"] == pytest.approx(2000 / 3)


def test_rewards_are_a_cost_and_discounts_a_memo(scope_of):
    """Points at two cents each, and 90 of rewards by order over three orders; the campaign's rewards stay with it."""
    log = LOG.assign(points_used=[100.0, np.nan, 0.0, 500.0, 0.0], discount=[5.0, 2.0, 1.0, 9.0, 50.0])
    costs = pd.DataFrame(
        {
            "branch": "x",
            "incurred_on": date(2026, 4, 1),
            "driver": "order",
            "category": ["reward", "reward", "service"],
            "campaign_id": [None, "C", None],
            "amount": [90.0, 7.0, 30.0],
        }
    )
    settings = {"margin": {"rate": 0.4}, "cost_to_serve": {"per_point": 0.02}}
    frame = earned(scope_of({"transactions": log, "costs": costs}, **settings))
    assert frame["reward_cost"].to_dict() == {"a": pytest.approx(62.0), "b": pytest.approx(30.0), "c": 0.0}
    assert frame.loc["a", "serve_cost"] == pytest.approx(62.0 + 20.0)
    assert frame.loc["a", "profit"] == pytest.approx(0.4 * 120 - 82.0), "the discount is not taken off again"
    assert frame["discount"].to_dict() == {"a": 7.0, "b": 1.0, "c": 0.0}
    plain = earned(scope_of({"transactions": log}, margin={"rate": 0.4}))
    assert plain["reward_cost"].eq(0).all() and plain.loc["a", "profit"] == pytest.approx(0.4 * 120)


def test_the_margin_of_the_rows_comes_before_the_rate(scope_of):
    scope = scope_of({"transactions": LOG.assign(margin=[60.0, np.nan, 1.0, 1.0, 20.0])}, margin={"rate": 0.4})
    assert earned(scope).loc["a", "margin"] == pytest.approx(60 + 0.4 * 50 - 20)


def test_the_best_of_a_year_ago_are_followed_and_who_left_counts_with_nothing():
    then = of(np.array([100.0, 90.0, *([1.0] * 18)]))
    now = of(np.array([40.0, *([7.0] * 18)]))
    now.customers["customer_id"] = ["1", *map(str, range(2, 20))]
    assert profits.since_chosen(then, now).to_dict() == {"0": 0.0, "1": 40.0}


def test_a_year_ago_is_the_year_before(scope_of):
    scope = scope_of({"transactions": LOG}, margin={"rate": 0.4})
    before = profits.customer_profits(scope, customers.status_back(scope, 12), months_ago=12)
    assert before.customers.set_index("customer_id")["profit"].to_dict() == {"c": pytest.approx(0.4 * 80)}
