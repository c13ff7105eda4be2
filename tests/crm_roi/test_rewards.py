"""Kinds of reward pooled, and win-back lists beside others as silent."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi import charts, displays
from crm_analysis.crm_roi.comebacks import comeback
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.rewards import compare_kinds
from crm_analysis.crm_roi.study import examine
from tests.crm_roi.conftest import FrameScope, association, make_profile


def result(name, ratio, reach):
    """A campaign whose margin gained for each unit of cost is `ratio`, give or take `reach`; without one where None."""
    roi = None if ratio is None else SimpleNamespace(
        roi=ratio - 1, roi_low=ratio - 1 - reach, roi_high=ratio - 1 + reach, n_treated=100, n_control=100
    )  # fmt: skip
    return SimpleNamespace(campaign_id=name, name=name, roi=roi)


def said(rewards):
    return displays.rewards.sentence(SimpleNamespace(rewards=rewards))


def test_kinds_are_pooled_by_inverse_variance():
    found = compare_kinds(
        [result("A", 2.0, 0.5), result("B", 3.0, 1.0), result("C", 1.0, 0.2), result("D", None, None)],
        {"A": "gift", "B": "gift", "C": "price", "D": "recognition"},
    )
    gift, price = found.measured[1], found.measured[0]
    assert (price.kind, gift.kind) == ("price", "gift")
    z = 1.959963984540054
    weights = np.array([(z / 0.5) ** 2, (z / 1.0) ** 2])
    q = float(weights @ (np.array([2.0, 3.0]) - weights @ [2.0, 3.0] / weights.sum()) ** 2)
    assert gift.pooled.q == pytest.approx(q)
    spread = max(0.0, (q - 1) / (weights.sum() - (weights**2).sum() / weights.sum()))
    weights = 1 / (1 / weights + spread)
    assert gift.pooled.mean == pytest.approx(weights @ [2.0, 3.0] / weights.sum())
    assert price.pooled.mean == pytest.approx(1.0) and price.pooled.p is None
    assert found.absent == ("recognition", "choice", "none")
    assert next(k for k in found.kinds if k.kind == "recognition").unmeasured == ("D",)


def test_the_sentence_turns_with_the_difference_and_says_what_is_missing():
    kinds = {"A": "gift", "B": "price"}
    assert "differs between kinds" in said(compare_kinds([result("A", 4.0, 0.5), result("B", 0.5, 0.5)], kinds))
    assert "No kind of reward is shown" in said(compare_kinds([result("A", 1.0, 0.5), result("B", 1.1, 0.5)], kinds))
    assert "Only one kind" in said(compare_kinds([result("A", 4.0, 0.5)], {"A": "gift"}))
    assert "cannot be compared" in said(compare_kinds([result("A", None, None)], {"A": "gift"}))


@pytest.mark.slow
def test_kinds_come_from_the_table_and_are_drawn():
    tables = association()
    tables["campaigns"]["reward_kind"] = ["Discount", "recognition", None]
    study = examine(FrameScope(tables, make_profile()))
    assert [k.kind for k in study.rewards.kinds] == ["price", "recognition"]
    assert study.rewards.kinds[1].unmeasured == ("Gala",)
    bars = displays.rewards.bars(study)
    assert len(bars) == 1 and "different lists" in displays.rewards.figure(study)["how_to_read"]
    assert charts.reward_kinds(bars) is not None
    roi = study.evaluation.measured[0].roi
    assert study.rewards.campaigns["gained"].iloc[0] == pytest.approx(roi.margin_per_treated / roi.cost_per_treated)


def winback(*, controlled: bool):
    """A list of silent customers, some as silent beside it, and everybody else; all return at the same rate."""
    rng = np.random.default_rng(2)
    n = 900
    ids = np.array([f"D{i:04d}" for i in range(n)])
    start = pd.Timestamp("2026-05-01")
    silence = np.where(np.arange(n) < 600, rng.integers(150, 400, n), rng.integers(1, 60, n))
    rows = [pd.DataFrame({"customer_id": ids, "occurred_at": start - pd.to_timedelta(silence, unit="D")})]
    back = rng.random(n) < 0.4
    days = pd.to_timedelta(rng.integers(1, 70, n), unit="D")
    rows.append(pd.DataFrame({"customer_id": ids[back], "occurred_at": start + days[back]}))
    paid = pd.concat(rows, ignore_index=True).assign(branch="seoul", amount=20_000.0, kind="gift")
    paid["transaction_id"] = [f"T{i}" for i in range(len(paid))]
    base = association(n=40)
    arm = np.where(controlled & (np.arange(400) % 4 == 0), "control", "treated")
    return {
        "transactions": paid,
        "customers": pd.DataFrame({"customer_id": ids, "branch": "seoul", "joined_on": date(2024, 1, 1)}),
        "campaigns": base["campaigns"].iloc[:1].assign(programme="winback"),
        "campaign_members": pd.DataFrame(
            {"campaign_id": "CALL26", "customer_id": ids[:400], "arm": arm, "assigned_on": date(2026, 5, 1)}
        ),
        "costs": base["costs"].iloc[:3],
    }


def test_a_silent_list_rises_by_itself_as_others_as_silent_do():
    scope = FrameScope(winback(controlled=True), make_profile(margin={"rate": 1.0}))
    found = comeback(scope, evaluate(scope))
    rows = found.groups.set_index("group")
    assert rows["n"].to_dict() == {"treated": 300, "held_out": 100, "others": rows.loc["others", "n"]}
    assert 150 <= rows.loc["others", "n"] <= 200, "those as silent as the middle nine tenths of the list"
    assert (rows["before"] == 0).all(), "nobody silent for 150 days paid in the 71 days before"
    assert (rows["low"] < 8_000).all() and (rows["high"] > 8_000).all(), "0.4 x 20,000 come back in every group"
    paid = scope.frames["transactions"]
    treated = evaluate(scope).closed[0].gate.units.query("arm == 'treated'")["customer_id"]
    inside = paid[paid["customer_id"].isin(treated) & (paid["occurred_at"] >= pd.Timestamp("2026-05-01"))]
    assert rows.loc["treated", "after"] == pytest.approx(inside["amount"].sum() / 300)


@pytest.mark.slow
def test_the_sentence_names_the_best_comparison_there_is():
    controlled = examine(FrameScope(winback(controlled=True), make_profile()))
    assert displays.comebacks.sentence(controlled).startswith("**The held-out members of Thank&#45;you call rose")
    alone = examine(FrameScope(winback(controlled=False), make_profile()))
    assert displays.comebacks.sentence(alone).startswith("**Others as silent as the list of Thank&#45;you call rose")
    assert charts.comebacks(displays.comebacks.groups(alone), currency="KRW") is not None
    assert len(displays.comebacks.figure(alone)["table"]) == 2
    none = examine(FrameScope(association(), make_profile()))
    assert none.comeback is None and "No win-back programme" in displays.comebacks.figure(none)["alt"]
