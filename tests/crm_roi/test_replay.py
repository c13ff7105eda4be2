"""A/A replay: the tests cry wolf as often as they say, and the page says where they do not."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.history import past_windows
from crm_analysis.crm_roi.replay import false_alarms, replay
from crm_analysis.estimators.means import welch
from tests.crm_roi.conftest import FrameScope, association, make_profile

SEED = int(os.environ["CRM_TEST_SEED"])


def test_it_counts_what_welchs_test_split_by_split_finds():
    """Brute force: the same random splits, each through `welch`."""
    outcome = np.random.default_rng(1).gamma(0.5, 10.0, (300, 2))
    found = false_alarms(outcome, share=0.3, replications=400, rng=np.random.default_rng(9))
    rng = np.random.default_rng(9)
    held = rng.random((400, 300), dtype=np.float32) < 0.3
    for column in range(2):
        by_hand = sum(welch(outcome[~row, column], outcome[row, column]).p_value < 0.05 for row in held)
        assert found[column] == by_hand


def test_an_outcome_that_never_varies_is_never_a_finding():
    found = false_alarms(np.zeros((100, 1)), share=0.5, replications=50, rng=np.random.default_rng(1))
    assert found.tolist() == [0]


@pytest.mark.parametrize(("share", "n"), [(0.2, 8000), (0.5, 3000)])
def test_skewed_spend_with_many_zeros_is_called_an_effect_in_five_of_a_hundred(share, n):
    """Over data sets, one split each: nine in ten customers pay nothing."""
    rng = np.random.default_rng(SEED)
    draws = 1500
    hits = 0
    for _ in range(draws):
        spend = rng.lognormal(3.0, 0.8, (n, 1)) * (rng.random((n, 1)) < 0.1)
        hits += int(false_alarms(spend, share=share, replications=1, rng=rng)[0])
    assert stats.binomtest(hits, draws, 0.05).pvalue > 1e-5


def test_a_drawn_effect_is_found_far_more_often():
    """The replay is able to fail: a planted difference that follows the split is found nearly always."""
    rng = np.random.default_rng(3)
    outcome = rng.normal(0.0, 1.0, 2000)
    held = rng.random(2000) < 0.5
    assert welch(outcome[~held] + 0.3, outcome[held]).p_value < 0.05


def test_one_giant_among_few_breaks_the_promise_and_the_cap_mends_it():
    frames = association(n=1600)
    rows = frames["transactions"]
    for window in past_windows(FrameScope(frames, make_profile()), window_days=70, most=4):
        inside = rows.index[rows["occurred_at"].between(pd.Timestamp(window.start), pd.Timestamp(window.end))]
        rows.loc[inside[:3], "amount"] = [4e9, 3e9, 2e9][: len(inside)]
    scope = FrameScope(frames, make_profile(privacy={"dominance_share": 0.99}))
    found = replay(scope, evaluate(scope), replications=800)
    assert found.state == "replayed"
    assert found.find("margin", "plain").state != "kept"
    assert found.find("margin", "capped").state == "kept"


def test_the_associations_own_customers(scope, evaluated):
    found = replay(scope, evaluated)
    assert found.state == "replayed" and found.control_share == 0.5 and found.window_days == 70
    assert {(each.metric, each.way) for each in found.alarms} == {
        ("margin", "plain"), ("revenue", "plain"), ("n_orders", "plain"), ("active", "plain"),
        ("margin", "cuped"), ("revenue", "cuped"), ("margin", "capped"),
    }  # fmt: skip
    assert all(each.rate.n == found.replications and each.state == "kept" for each in found.alarms)
    assert replay(scope, evaluated) == found


def test_too_few_customers_or_too_short_a_history_is_said(scope, evaluated):
    few = FrameScope(association(n=40), make_profile())
    assert replay(few, evaluate(few)).state == "few_customers"
    old = FrameScope(scope.frames, make_profile(roi={"balance_history_days": 990}))
    assert replay(old, evaluated).state == "short_history"
