"""The cumulative profit curve, shares of the best, groups, and the Gini coefficient."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.customer_value import charts, concentration, profits
from crm_analysis.customer_value.displays import concentration as shown


def of(profit: np.ndarray) -> profits.Profits:
    ids = np.arange(len(profit)).astype(str)
    return profits.Profits(pd.DataFrame({"customer_id": ids, "profit": profit, "margin": profit, "n_orders": 1}), True)


def test_the_curve_of_the_case_from_the_field():
    """REFERENCE: 5, 11, 28, 28 and 28 % of customers bring 80, 25, 16, 2 and -22 % of profit (as quoted: sum 101)."""
    groups = ((5, 80.0), (11, 25.0), (28, 16.0), (28, 2.0), (28, -22.0))
    shape = concentration.concentration(of(np.concatenate([np.full(n, total / n) for n, total in groups])))
    assert shape.below_cost.share == 0.28
    assert shape.loss == pytest.approx(22.0)
    assert shape.peak * shape.total == pytest.approx(123.0)
    assert shape.taken == pytest.approx(22 / 101)
    assert shape.peak_at == 0.72
    curve = shape.curve
    assert curve.iloc[0].tolist() == [0.0, 0.0]
    assert curve.iloc[-1].tolist() == pytest.approx([1.0, 1.0])
    assert curve["share_of_profit"].max() == pytest.approx(shape.peak)


def test_bootstrap_interval_agrees_with_resampling_customers():
    profit = np.random.default_rng(2).gamma(0.5, 100.0, 4000)
    shape = concentration.concentration(of(profit))
    rng, shares = np.random.default_rng(3), []
    for _ in range(300):
        drawn = np.sort(rng.choice(profit, len(profit)))[::-1]
        shares.append(drawn[:400].sum() / drawn.sum())
    low, high = np.quantile(shares, [0.025, 0.975])
    assert (shape.top_low, shape.top_high) == pytest.approx((low, high), abs=0.004)
    assert shape.top_low < shape.top_share < shape.top_high


def test_shares_of_a_loss_are_undefined():
    shape = concentration.concentration(of(np.array([5.0, -10.0, -1.0])))
    assert (shape.below_cost.n, shape.total) == (3, -6.0)
    assert np.isnan([shape.taken, shape.peak, shape.top_share]).all()


def test_the_groups_of_the_case_from_the_field():
    """REFERENCE: 5, 11, 28, 28 and 28 % bring 80, 25, 16, 2 and -22 % of profit: as quoted, to the rounded share."""
    groups = ((5, 80.0), (11, 25.0), (28, 16.0), (28, 2.0), (28, -22.0))
    profit = np.concatenate([np.full(n * 20, total / n) for n, total in groups])
    told = concentration.profit_groups(profit)
    assert told["profit"].to_list() == pytest.approx([20 * total for _n, total in groups])
    assert told["n"].to_list() == [100, 220, 560, 560, 560]
    assert (told["share"] * 1.01).to_list() == pytest.approx([0.80, 0.25, 0.16, 0.02, -0.22])  # the quoted sum is 101
    assert told["share"].sum() == pytest.approx(1.0)
    assert ((told["low"] <= told["share"]) & (told["share"] <= told["high"])).all()


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng, n: rng.random(n), 1 / 3),  # uniform
        (lambda rng, n: rng.exponential(1.0, n), 1 / 2),
        (lambda rng, n: rng.pareto(5.0, n) + 1, 1 / 9),  # 1 / (2 alpha - 1)
    ],
)
def test_gini_of_known_distributions_and_its_interval(draw, truth):
    inside = 0
    for seed in range(200):
        value, low, high = concentration.gini(draw(np.random.default_rng(seed), 800))
        inside += low <= truth <= high
        assert value == pytest.approx(truth, abs=0.08)
    assert inside >= 180


def test_gini_is_half_the_mean_difference_over_the_mean():
    """Brute force over pairs; the order and the currency make no difference."""
    x = np.random.default_rng(9).gamma(0.5, 10.0, 200)
    pairs = np.abs(x[:, None] - x[None, :]).sum() / (200 * 199)
    assert concentration.gini(x)[0] == pytest.approx(pairs / (2 * x.mean()))
    assert concentration.gini(x[::-1] * 1300)[0] == pytest.approx(concentration.gini(x)[0])
    with pytest.raises(ValueError, match="at least 0"):
        concentration.gini(np.array([3.0, -1.0]))


@pytest.mark.parametrize("amounts", [[], [5.0], [0.0, 0.0]])
def test_gini_of_nothing_is_undefined(amounts):
    assert np.isnan(concentration.gini(np.array(amounts))).all()


def test_top_shares_and_their_intervals():
    profit = np.sort(np.random.default_rng(2).gamma(0.5, 100.0, 4000))[::-1]
    tops = concentration.top_shares(profit)
    assert tops["share"].to_list() == pytest.approx(
        [profit[:n].sum() / profit.sum() for n in (40, 200, 400, 800, 2000)]
    )
    assert (tops["low"] < tops["share"]).all() and (tops["share"] < tops["high"]).all()
    shape = concentration.concentration(of(profit))
    assert tops.loc[2, ["low", "high"]].to_list() == [shape.top_low, shape.top_high]


class State(SimpleNamespace):
    """Told apart by identity, as `CustomerValue` is: what is told of one is kept."""

    __eq__, __hash__ = object.__eq__, object.__hash__


def state_of(scope) -> State:
    status = customers.status(scope)
    earned = profits.customer_profits(scope, status)
    everybody = SimpleNamespace(customers=status, outside=status.iloc[:0])
    return State(
        scores=status,
        **dict.fromkeys(("matrix", "outlook", "tiers"), everybody),
        scope=scope,
        status=status,
        profits=earned,
        inequality=concentration.inequality(earned),
        concentration=concentration.concentration(earned),
    )


def log(amounts: np.ndarray) -> pd.DataFrame:
    days = pd.Timestamp(2026, 1, 1) + pd.to_timedelta(np.arange(len(amounts)) % 200, unit="D")
    return pd.DataFrame({"customer_id": [f"c{i}" for i in range(len(amounts))], "occurred_at": days, "amount": amounts})


def test_the_page_says_how_uneven_it_is(scope_of):
    amounts = np.random.default_rng(4).gamma(0.3, 100.0, 1000)
    state = state_of(scope_of({"transactions": log(amounts)}, margin={"rate": 0.5}))
    assert state.inequality.gini == pytest.approx(concentration.gini(amounts)[0])
    assert charts.lorenz(shown.lorenz(state), who="donors") is not None
    said = shown.figure(state)["how_to_read"]
    assert f"{state.inequality.gini:.2f}" in said
    assert len(shown.top_table(state)) == 5 and len(shown.group_table(state)["frame"]) == 5
    even = state_of(scope_of({"transactions": log(np.full(1000, 10.0))}))
    assert "spread evenly" in shown.figure(even)["how_to_read"]


def test_few_people_one_above_all_or_a_loss_show_nothing(scope_of):
    few = state_of(scope_of({"transactions": log(np.arange(1.0, 20.0))}))
    major = state_of(scope_of({"transactions": log(np.array([1e9, *range(1, 300)]))}))
    for state in (few, major):
        assert charts.lorenz(shown.lorenz(state), who="donors") is None
        assert "There is no Lorenz curve" in shown.figure(state)["alt"]
    loss = state_of(scope_of({"transactions": log(np.arange(1.0, 300.0))}, cost_to_serve={"per_order": 999.0}))
    assert loss.inequality.tops["share"].isna().all() and not math.isnan(loss.inequality.gini)
    assert shown.top_table(loss).empty
