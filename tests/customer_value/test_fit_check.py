"""Whether the model has the customers that there are, by its definition, and the words that turn with it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crm_analysis.customer_value import fit_check
from crm_analysis.customer_value.assessment import assess
from crm_analysis.customer_value.displays import fit as displays
from crm_analysis.value_models import BgNbdFit, Histories, ParetoNbdFit, fit_bg_nbd, fit_pareto_nbd
from tests.customer_value.test_chapter import buyers, clockwork, once

pytestmark = pytest.mark.slow

UPTO = 9


def planted(kind, *values):
    return kind(
        values=values, covariance=np.eye(4) * 1e-4, log_likelihood=0.0, n_customers=1, n_distinct=1, converged=True,
        notes=(), unit="week",
    )  # fmt: skip


MODELS = [planted(BgNbdFit, 0.8, 9.0, 0.6, 2.5), planted(ParetoNbdFit, 0.6, 10.0, 0.7, 30.0)]


def drawn(model, n: int = 4000, seed: int = 1) -> Histories:
    weeks = np.random.default_rng(seed).integers(10, 150, n).astype(float)
    return Histories(model.simulate(weeks, seed=seed)[["x", "t_x", "T"]], "week")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.model)
def test_foreseen_is_the_sum_over_customers(model):
    """Each customer's own probabilities, added up one by one."""
    histories = drawn(model, 300)
    each = sum(model.new_customer_probabilities(horizon_days=7 * t, upto=UPTO) for t in histories.frame["T"])
    found = fit_check.repeats(model, histories)
    by_hand = [each[0], each[1], each[2], each[3:5].sum(), each[5:].sum(), 300 - each.sum()]
    np.testing.assert_allclose(found["foreseen"], by_hand, rtol=0.01, atol=0.1)
    assert found["foreseen"].sum() == pytest.approx(300) and found["n"].sum() == 300


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.model)
def test_customers_drawn_from_the_model_lie_within_chance(model):
    inside = []
    for seed in range(20):
        found = fit_check.repeats(model, drawn(model, 2000, seed))
        inside += found["n"].between(found["low"], found["high"]).to_list()
    assert 0.88 <= np.mean(inside) <= 1.0


def test_a_model_that_does_not_have_them_is_told_from_one_that_does(scope_of):
    """The same buyers, drawn from BG/NBD: that model has them, Pareto/NBD has too many who never come back."""
    state = assess(scope_of({"transactions": buyers()}))
    histories = state.outlook.histories
    held, missed = (
        displays.counted(replace(state, outlook=replace(state.outlook, fit=model(histories))))
        for model in (fit_bg_nbd, fit_pareto_nbd)
    )
    assert "**Yes: in all 6 classes as many as the BG/NBD model says" in held["note"] and len(held["frame"]) == 6
    assert "**Not quite:" in missed["note"] and "Pareto/NBD model" in missed["note"]


def test_the_chance_of_being_there_falls_with_silence_and_faster_for_the_frequent(scope_of):
    state = assess(scope_of({"transactions": buyers()}))
    said = displays.alive(state)
    shown = said["frame"].set_index("Repeat purchases").replace("\u2013", None)
    shown = shown.apply(lambda column: pd.to_numeric(column.str.rstrip("%").str.strip()))
    assert (shown["up to 3"] > shown["12 to 24"])[shown["12 to 24"].notna()].all()
    assert "came back at least once" in said["note"]
    history = state.outlook.histories.frame
    chance = state.outlook.customers.set_index("customer_id")["probability_alive"][history.index[history["x"] > 0]]
    share = fit_check.still_there(state.outlook.fit, state.outlook.histories)
    assert share.low < share.value < share.high and f"{100 * chance.mean():.0f}" in said["note"]


@pytest.mark.parametrize("log", [clockwork, once])
def test_without_a_model_nobody_is_called_alive(scope_of, log):
    state = assess(scope_of({"transactions": log()}))
    assert displays.alive(state)["frame"] is None
    assert (displays.counted(state)["frame"] is None) is (log is once)
