"""How long commitments last, counted and by the model, and which of the two is used."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis.customer_value import charts
from crm_analysis.customer_value.assessment import assess
from crm_analysis.customer_value.displays import future as displays
from crm_analysis.customer_value.renewals import renewals, survival
from crm_analysis.value_models import Tenures
from crm_analysis.value_models import promises as valued


def promises(n: int = 900, seed: int = 1, alpha: float = 0.7, beta: float = 9.0) -> dict[str, pd.DataFrame]:
    """Monthly transfers of 10 that end by sBG, and what was paid of them."""
    rng = np.random.default_rng(seed)
    months = pd.period_range("2023-10", "2026-09", freq="M")
    start = rng.integers(0, 30, n)
    life = rng.geometric(np.clip(rng.beta(alpha, beta, n), 1e-6, 1))
    rows, held = [], []
    for i in range(n):
        last = start[i] + life[i]
        ended = (months[last].start_time + pd.Timedelta(days=1)).date() if last < len(months) else None
        begins = (months[start[i]].start_time + pd.Timedelta(days=4)).date()
        held.append((f"k{i}", f"r{i}", "x", begins, 10.0, 1, ended))
        rows += [
            (f"r{i}", months[m].start_time + pd.Timedelta(days=4), 10.0, "dues", f"k{i}")
            for m in range(start[i], min(last, len(months)))
        ]
    names = ["commitment_id", "customer_id", "branch", "started_on", "amount", "cycle_months", "ended_on"]
    commitments = pd.DataFrame(held, columns=names).assign(ended_on=lambda frame: pd.to_datetime(frame["ended_on"]))
    log = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind", "commitment_id"])
    return {"transactions": log, "commitments": commitments}


def test_survival_is_the_product_of_shares_renewed():
    """By hand, then with ten commitments seen from their third renewal on."""
    frame = pd.DataFrame({"renewals": [0] * 20 + [1] * 40 + [3] * 40, "ended": [True] * 60 + [False] * 40})
    curve = survival(Tenures(frame, 1), None)
    assert curve["counted"].to_list() == pytest.approx([1.0, 0.8, 0.4, 0.4])
    assert curve["at_risk"].to_list() == [100, 100, 80, 40] and curve["model"].isna().all()
    late = pd.concat([frame.assign(seen_from=0), pd.DataFrame({"renewals": [3] * 10, "ended": False, "seen_from": 2})])
    assert survival(Tenures(late, 1), None)["at_risk"].to_list() == [110, 100, 80, 50]
    assert (curve["low"] <= curve["counted"]).all() and (curve["counted"] <= curve["high"]).all()


def test_commitments_drawn_from_the_model_are_foreseen_by_it(scope_of):
    found = renewals(scope_of(promises()))
    assert found.cycle_months == 1 and found.n == 900 and found.fit is not None
    inside = found.curve["model"].between(found.curve["low"], found.curve["high"])
    assert inside.mean() > 0.9
    assert found.held_out > 100 and found.model_wins
    assert found.model_total == pytest.approx(found.actual_total, rel=0.1)
    assert found.factor.mean() == pytest.approx(1.0) and found.factor.min() < 1 < found.factor.max()


@pytest.mark.slow
def test_old_commitments_count_for_more_and_the_sum_stays(scope_of):
    state = assess(scope_of(promises()))
    frame = state.outlook.customers.set_index("customer_id")["expected_value"]
    assert state.renewals.model_wins and state.outlook.customers["part"].eq("regular").all()
    assert frame.corr(state.renewals.factor.reindex(frame.index)) > 0.5
    said = displays.survival(state)
    assert "promises are weighted by their tenure" in said["how_to_read"]
    assert "more leave early than later" in said["how_to_read"] and "a renewal a month" in said["how_to_read"]
    assert charts.survival(displays.lasting(state)) is not None and len(said["table"]) >= 8
    lost = replace(state, renewals=replace(state.renewals, saved=0.0))
    assert "no nearer beyond noise" in displays.survival(lost)["how_to_read"]


def test_a_tilt_leaves_the_sum():
    ids = [f"c{n}" for n in range(4)]
    running = pd.DataFrame({"customer_id": ids, "amount_a_year": [100.0, 50.0, 20.0, 10.0]})
    standing = pd.Series(["up to date", "up to date", "overdue", "up to date"])
    tilt = valued.tilt(running, standing, pd.Series({"c0": 0.5, "c1": 2.0, "c2": 3.0}))
    assert tilt[2] == 1.0 and tilt[1] / tilt[0] == pytest.approx(4.0)
    assert (tilt * running["amount_a_year"]).sum() == pytest.approx(180.0)


def test_few_or_no_commitments_are_said_to_be(scope_of):
    few = promises(12)
    found = renewals(scope_of(few))
    assert found.fit is None and "sBG needs at least 10 commitments that ended" in found.why
    assert not found.model_wins and found.held_out == 0
    assert renewals(scope_of({"transactions": few["transactions"].drop(columns="commitment_id")})) is None


def test_one_that_ends_before_it_starts_breaks_nothing(scope_of):
    frames = promises(200)
    bad = (
        frames["commitments"]
        .iloc[[0]]
        .assign(commitment_id="bad", started_on=date(2025, 5, 5), ended_on=pd.Timestamp(2024, 1, 1))
    )
    frames["commitments"] = pd.concat([frames["commitments"], bad], ignore_index=True)
    assert renewals(scope_of(frames)).n == 200


@pytest.mark.slow
def test_where_nobody_leaves_early_it_is_not_said(scope_of):
    """All stay for a year and a half, then a third goes at once."""
    frames = promises(600, alpha=1.0, beta=1e6)
    state = assess(scope_of(frames))
    curve = state.renewals.curve.assign(counted=lambda frame: np.where(frame["renewals"] < 18, 1.0, 0.66))
    turned = replace(state, renewals=replace(state.renewals, curve=curve))
    assert "leave early" not in displays.survival(turned)["how_to_read"]
    assert "No model of renewals could be fitted" in displays.survival(turned)["how_to_read"]
