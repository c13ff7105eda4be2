"""The steps from last year's margin to this year's add up, mean what they say, and cannot be made up from nothing."""

import itertools
import math
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.customer_value import bridge, charts
from crm_analysis.customer_value.displays import bridge as shown
from crm_analysis.customer_value.profits import customer_profits

NUMBERS = ("orders", "kinds", "gross", "sales", "refunded")
FLAGS = ("began", "known", "came", "gone")


def made(n: int = 400, seed: int = 7) -> pd.DataFrame:
    """Two years of random customers, refunds, losses and orders of nothing among them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"customer_id": [f"c{i:04}" for i in range(n)]})
    for year in (0, 1):
        frame[f"orders_{year}"] = rng.poisson(1.5, n)
        there = frame[f"orders_{year}"] > 0
        frame[f"kinds_{year}"] = np.minimum(rng.integers(1, 4, n), frame[f"orders_{year}"])
        frame[f"gross_{year}"] = np.where(there & (rng.random(n) > 0.05), rng.gamma(2, 50, n), 0.0)
        frame[f"sales_{year}"] = frame[f"gross_{year}"] * rng.normal(0.3, 0.3, n) - (there & (rng.random(n) < 0.05))
        frame[f"refunded_{year}"] = np.where(rng.random(n) < 0.1, rng.gamma(1, 10, n), 0.0)
    for flag in FLAGS:
        frame[flag] = rng.random(n) < 0.2
    return frame


def test_the_steps_of_each_customer_sum_to_the_difference():
    years = made()
    parts = bridge.decompose(years)
    change = (years["sales_1"] - years["refunded_1"]) - (years["sales_0"] - years["refunded_0"])
    np.testing.assert_allclose(parts[list(bridge.STEPS)].sum(axis=1), change, atol=1e-9)


def test_shapley_is_the_mean_over_all_orders():
    """Against brute force over the 24 orders of four factors; signs of any kind."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, (2, 6, 4))
    expected = np.zeros((6, 4))
    for order in itertools.permutations(range(4)):
        at = first.copy()
        for factor in order:
            before = at.prod(1)
            at[:, factor] = second[:, factor]
            expected[:, factor] += (at.prod(1) - before) / 24
    np.testing.assert_allclose(np.column_stack(bridge.shapley(first, second)), expected)


def test_each_lever_is_found_where_it_was_pulled():
    """One customer each who bought more kinds, more often, for more, at a better rate."""
    base = {"orders": 2, "kinds": 1, "gross": 100.0, "sales": 50.0, "refunded": 0.0}
    changed = [
        {"orders": 4, "kinds": 2, "gross": 200.0, "sales": 100.0},  # as often per kind, two kinds
        {"orders": 4, "gross": 200.0, "sales": 100.0},
        {"gross": 200.0, "sales": 100.0},
        {"sales": 60.0},
    ]
    rows = [
        {f"{k}_0": v for k, v in base.items()}
        | {f"{k}_1": v for k, v in (base | c).items()}
        | dict.fromkeys(FLAGS, False)
        for c in changed
    ]
    parts = bridge.decompose(pd.DataFrame(rows).assign(customer_id=list("abcd")))
    np.testing.assert_allclose(parts[list(bridge.FACTORS)], np.diag([50.0, 50.0, 50.0, 10.0]))


def log(*rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind", "product"])
    return frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"]))


ROWS = (
    ("old", "2024-01-05", 100.0, "sale", "a"),
    ("old", "2025-05-05", 100.0, "sale", "a"),
    ("old", "2026-05-05", 300.0, "sale", "a"),
    ("left", "2024-01-07", 10.0, "sale", "a"),
    ("left", "2025-01-07", 70.0, "sale", "a"),
    ("back", "2024-01-09", 10.0, "sale", "b"),
    ("back", "2026-02-09", 20.0, "sale", "b"),
    ("new", "2026-02-09", 40.0, "sale", "b"),
    ("new", "2026-02-10", 15.0, "refund", "b"),
    ("young", "2025-07-01", 5.0, "sale", "b"),
    ("young", "2026-07-01", 9.0, "sale", "b"),
)


def test_by_hand(scope_of):
    scope = scope_of({"transactions": log(*ROWS)}, margin={"rate": 0.5}, status={"dormant_days": 300, "lost_days": 400})
    found = bridge.bridge(scope, customers.status(scope))
    amounts = found.steps.set_index("step")["amount"].to_dict()
    assert (found.before, found.after, found.kinds) == (87.5, 177.0, "product")
    assert amounts == pytest.approx(
        {"began": 0, "lost": -35, "leaving": 0, "new": 20, "ripened": 2, "back": 10, "breadth": 0, "frequency": 0}
        | {"amount": 100, "rate": 0, "refunds": -7.5}
    )
    assert sum(amounts.values()) == pytest.approx(found.change)


def test_a_silent_branch_is_compared_over_its_own_two_years(scope_of):
    """One order a month in both years; branch y stops three months early: nothing changed there."""
    days = pd.date_range("2023-10-05", "2026-09-30", freq="MS") + pd.Timedelta(days=4)
    rows = [(f"{branch}{i}", day, 10.0, "sale", branch) for branch in "xy" for i in range(6) for day in days]
    frame = log(*rows).assign(branch=lambda f: f["product"]).drop(columns="product")
    frame = frame[(frame["branch"] == "x") | (frame["occurred_at"] <= "2026-06-30")]
    scope = scope_of({"transactions": frame}, last_day={"y": date(2026, 6, 30)})
    found = bridge.bridge(scope, customers.status(scope))
    assert found.before == found.after == 12 * 12 * 10.0
    assert (found.steps["amount"].fillna(0) == 0).all()


def test_too_short_a_history_has_no_bridge(scope_of):
    scope = scope_of({"transactions": log(*ROWS[6:])})
    found = bridge.bridge(scope, customers.status(scope))
    assert (found.why, math.isnan(found.before)) == ("short", True)
    state = SimpleNamespace(
        bridge=found, scope=scope, profits=SimpleNamespace(customers=pd.DataFrame({"margin": [1.0]}))
    )
    assert charts.waterfall(shown.waterfall(state)) is None
    assert "do not reach back" in shown.figure(state)["alt"]


def test_a_branch_that_began_late_is_a_step_of_its_own(scope_of):
    frame = log(*ROWS).assign(branch="x")
    late = log(("z", "2026-01-01", 500.0, "sale", "a"), ("z", "2026-03-01", 100.0, "refund", "a")).assign(branch="y")
    scope = scope_of({"transactions": pd.concat([frame, late])})
    found = bridge.bridge(scope, customers.status(scope))
    assert found.step("began")["amount"] == pytest.approx(400.0 * scope.profile.margin.rate)
    assert found.steps["amount"].sum() == pytest.approx(found.change)


@pytest.mark.slow
def test_the_interval_covers_the_truth():
    """Customers leave with a known probability: the interval of what they take holds its expectation, 95 times in
    a hundred or so."""
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        years = made(300, 5).assign(**dict.fromkeys(FLAGS, False))
        for name in NUMBERS:
            years[f"{name}_0"] = 1.0
        there = rng.random(300) < 0.7
        worth = rng.gamma(2, 50, 300)
        years = years.assign(gross_0=worth, sales_0=worth, refunded_0=0.0, refunded_1=0.0)
        for name in ("orders", "kinds", "gross", "sales"):
            years[f"{name}_1"] = np.where(there, years[f"{name}_0"], 0.0)
        found = bridge._bridge(years, kinds="product", as_of=date(2026, 9, 30))
        step = found.step("lost")
        inside += step["low"] <= -0.3 * 100 * 300 <= step["high"]
    assert inside >= 53


def shown_where_few(scope_of, few):
    """The state where one customer each takes the steps in `few`, and nine customers each of the others."""
    copies = [log(*((f"{row[0]}{i}", *row[1:]) for row in ROWS if row[0] not in few)) for i in range(8)]
    scope = scope_of({"transactions": pd.concat([log(*ROWS), *copies])}, margin={"rate": 0.5})
    status = customers.status(scope)
    found, earned = bridge.bridge(scope, status), customer_profits(scope, status)
    return SimpleNamespace(bridge=found, scope=scope, status=status, profits=earned)


def test_few_people_are_not_told(scope_of):
    state = shown_where_few(scope_of, ["back"])
    steps = shown.shown_steps(state)
    assert "back" not in set(steps["step"]) and "others" in set(steps["step"])
    assert steps["amount"].sum() == pytest.approx(state.bridge.change)
    assert charts.waterfall(shown.waterfall(state)) is not None
    assert "**Margin rose by" in shown.figure(state)["how_to_read"]


def test_few_people_in_several_steps_take_the_next_smallest_with_them(scope_of):
    """Two customers are too few together as well: another step joins them, and the bridge still stands."""
    state = shown_where_few(scope_of, ["back", "new"])
    steps = shown.shown_steps(state).set_index("step")
    found = state.bridge.steps.set_index("step")
    assert (found["n"] > 0).sum() > 4 and set(found.index[found["n"].between(1, 4)]) == {"back", "new", "refunds"}
    few = found.loc[["back", "new", "refunds"]]
    joins = found[found["n"] > 4]["amount"].abs().idxmin()
    assert set(found.index[found["n"] > 0]) - set(steps.index) == {*few.index, joins}
    assert steps.loc["others", "amount"] == pytest.approx(few["amount"].sum() + found.loc[joins, "amount"])
    assert "**Margin rose by" in shown.figure(state)["how_to_read"]
    assert "Those who came" not in shown.sentence(state)


@pytest.mark.parametrize("few", [[], ["back"], ["new"], ["left"], ["back", "new", "young"]])
def test_who_came_and_who_went_are_weighed_only_where_all_their_steps_are_told(scope_of, few):
    """A hidden step is not nothing: without it "those who came brought" would be too little, and the advice wrong."""
    state = shown_where_few(scope_of, few)
    said = shown.sentence(state).replace("\N{NO-BREAK SPACE}", " ")
    assert ("Those who came brought €288, those who left or are leaving took €315" in said) is (not few)
    assert ("Those who came" in said) is (not few)
