"""Campaigns beside each other, and beside those left out of all of them."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from crm_analysis.crm_roi import charts
from crm_analysis.crm_roi.displays import findings, holdout, together
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.holdout import reconcile
from crm_analysis.crm_roi.study import examine
from crm_analysis.crm_roi.together import compare_campaigns
from crm_analysis.errors import DataError
from tests.crm_roi.conftest import FrameScope, make_profile

pytestmark = pytest.mark.slow

START = pd.Timestamp("2026-05-01")
PLAN = {"balance_history_days": 100}


def world(lifts, *, n=2000, both=0.0, seed=1, holdout_share=0.0, cost=500.0, anyway=0):
    """Campaigns A, B, ... drawn independently over the same people, each adding its lift; `both` is what A and B add
    when they meet. A share is left out of all of them and listed as HOLDOUT.
    """
    rng = np.random.default_rng(seed)
    ids = np.array([f"D{i:05d}" for i in range(n)])
    left_out = rng.permutation(n) < round(holdout_share * n)
    gain, members, treated = 10_000 + rng.gamma(2, 1_500, n), [], {}
    for number, lift in enumerate(lifts):
        name = chr(ord("A") + number)
        mine = np.flatnonzero(~left_out)
        arm = rng.permutation(mine.size) % 2 == 0
        treated[name] = np.zeros(n, bool)
        treated[name][mine[arm]] = True
        gain = gain + treated[name] * lift * rng.uniform(0.5, 1.5, n)
        members.append(listed(name, ids[mine], np.where(arm, "treated", "control")))
    if both:
        gain = gain + both * (treated["A"] & treated["B"])
    if holdout_share:
        members.append(listed("HOLDOUT", ids[left_out], "control"))
    if anyway:
        members.append(listed("A", ids[left_out][:anyway], "treated"))
    paid = pd.DataFrame(
        {
            "transaction_id": [f"T{i}" for i in range(2 * n)],
            "customer_id": np.r_[ids, ids],
            "branch": "seoul",
            "occurred_at": np.repeat([START - pd.Timedelta(days=40), START + pd.Timedelta(days=10)], n),
            "amount": np.r_[rng.gamma(2, 1_500, n), gain],
            "kind": "sale",
        }
    )
    names = [*treated, *(["HOLDOUT"] if holdout_share else [])]
    campaigns = pd.DataFrame({"campaign_id": names, "name": [f"Letter {name}" for name in names]}).assign(
        programme="retention", starts_on=START.date(), ends_on=START.date(), window_days=90
    )
    costs = pd.DataFrame(
        {
            "cost_id": [f"C{name}" for name in treated],
            "incurred_on": START.date(),
            "category": "campaign",
            "amount": [cost * of.sum() for of in treated.values()],
            "campaign_id": list(treated),
            "planned_amount": 1.0,
            "driver": "contact",
            "useful_months": np.nan,
        }
    )
    people = pd.DataFrame({"customer_id": ids, "branch": "seoul", "joined_on": date(2025, 1, 1)})
    tables = {"transactions": paid, "customers": people, "campaigns": campaigns, "costs": costs}
    return tables | {"campaign_members": pd.concat(members, ignore_index=True)}, treated, gain


def listed(campaign, ids, arm):
    return pd.DataFrame({"campaign_id": campaign, "customer_id": ids, "arm": arm, "assigned_on": START.date()})


def scope_of(tables, **roi):
    return FrameScope(tables, make_profile(roi=PLAN | roi))


def test_portfolio_is_the_sum_over_the_sum_with_fieller_clustered_by_person():
    tables, _treated, _gain = world((900.0, 200.0))
    evaluation = evaluate(scope_of(tables))
    portfolio = evaluation.portfolio
    first, second = (result.roi for result in evaluation.measured)
    assert portfolio.roi == pytest.approx((first.net + second.net) / (first.cost + second.cost))
    assert portfolio.roi_low < portfolio.roi < portfolio.roi_high
    # the cost does not vary here, so that the interval is that of the net over the cost
    assert portfolio.roi_low == pytest.approx(portfolio.low / portfolio.cost)
    finding = next(f for f in findings(examine(scope_of(tables)), profile=make_profile()) if f.key == "crm_roi.return")
    assert (finding.value, finding.low) == (portfolio.roi, portfolio.roi_low)


@pytest.mark.parametrize(("both", "settled"), [(0.0, False), (4_000.0, True), (-4_000.0, True)])
def test_interaction_of_two_programmes_is_that_of_a_regression(both, settled):
    tables, treated, gain = world((900.0, 200.0), both=both)
    (pair,) = compare_campaigns(evaluate(scope_of(tables))).interactions
    a, b = treated["A"].astype(float), treated["B"].astype(float)
    fit = sm.OLS(gain, sm.add_constant(np.column_stack([a, b, a * b]))).fit()
    assert pair.state == "measured" and pair.n == 2000
    assert pair.interaction == pytest.approx(fit.params[3])
    assert pair.high - pair.low == pytest.approx(2 * 1.96 * fit.bse[3], rel=0.15)
    if settled:
        assert (pair.low > 0) if both > 0 else (pair.high < 0)
    table = together.interactions_table(examine(scope_of(tables)))
    assert table["First"].tolist() == ["Letter A"] and table["In both"].tolist() == ["2,000"]


def test_arms_of_one_test_and_separate_lists_do_not_interact(evaluated):
    assert compare_campaigns(evaluated).interactions == ()


def test_too_few_in_a_group_say_so():
    tables, _treated, _gain = world((900.0, 200.0), n=400)
    members = tables["campaign_members"]
    late = members["campaign_id"].eq("B") & ~members["customer_id"].isin([f"D{i:05d}" for i in range(20)])
    tables["campaign_members"] = members.assign(
        customer_id=members["customer_id"].where(~late, "X" + members["customer_id"].str[1:])
    )
    study = examine(scope_of(tables))
    (pair,) = study.together.interactions
    assert pair.state == "few" and pair.interaction is None
    assert together.interactions_table(study)["Result"].tolist() == ["too few in a group"]


def test_ranking_draws_the_luckiest_back():
    tables, _treated, _gain = world((1_200.0, 600.0, 500.0, 500.0, 400.0))
    study = examine(scope_of(tables))
    frame = study.together.ranking
    assert len(frame) == 5 and study.together.spread is not None
    assert frame["shrunk"].is_monotonic_decreasing and frame["name"][0] == "Letter A"
    assert np.ptp(frame["shrunk"]) < np.ptp(frame["roi"])
    assert (frame["p_adjusted"] >= frame["p"]).all()
    assert charts.ranking(frame) is not None and len(together.ranking_table(study)) == 5


def test_one_programme_has_no_rank_and_three_are_left_as_they_are(scope, evaluated):
    assert compare_campaigns(evaluated).ranking.empty
    assert charts.ranking(compare_campaigns(evaluated).ranking) is None
    assert (
        together.ranking(examine(scope))["alt"]
        == "A ranking needs two programmes with a return; there are fewer so far."
    )
    tables, _treated, _gain = world((1_200.0, 600.0, 500.0))
    study = examine(scope_of(tables))
    assert study.together.spread is None and (study.together.ranking["weight"] == 1).all()
    shown = together.ranking(study)
    assert "each is shown as it came out" in shown["how_to_read"] and "drawn towards" not in shown["how_to_read"]
    assert not any("drawn" in column or "Weight" in column for column in shown["table"])
    (ax,) = charts.ranking(study.together.ranking).axes
    assert ax.get_legend() is None and len(ax.collections) == 1, "one bar each, not the same bar twice"


def test_the_universal_holdout_agrees_with_the_sum_of_the_programmes():
    tables, treated, gain = world((900.0, 400.0), holdout_share=0.2)
    scope = scope_of(tables, universal_holdout="HOLDOUT")
    evaluation = evaluate(scope)
    assert [result.campaign_id for result in evaluation.closed] == ["A", "B"], "the holdout is no programme"
    found = reconcile(scope, evaluation)
    left_out = ~(treated["A"] | treated["B"])
    held = tables["campaign_members"].query("campaign_id == 'HOLDOUT'")["customer_id"]
    outside = pd.Series(gain, index=[f"D{i:05d}" for i in range(2000)])
    brute = outside[~outside.index.isin(held)].mean() - outside[held].mean()
    assert left_out.sum() > 400 and (found.n_held_out, found.n_everybody) == (400, 1600)
    assert found.difference.difference == pytest.approx(brute)
    assert found.total == pytest.approx(1600 * brute)
    assert found.sum_of_campaigns.incremental_margin == pytest.approx(evaluation.portfolio.incremental_margin)
    assert found.gap_low < 0 < found.gap_high
    study = examine(scope)
    lines = holdout.reconciliation_table(study).set_index("Line")["Amount"]
    assert lines["Result"] == "they agree within chance"
    assert any(f.key == "crm_roi.holdout" and f.causal for f in findings(study, profile=scope.profile))


def test_programmes_that_stand_in_each_others_way_add_up_wrongly_and_the_holdout_shows_it():
    """Each alone adds 3,000, both together cost 3,000: what they take from each other counts twice in the sum."""
    tables, _treated, _gain = world((3_000.0, 3_000.0), both=-9_000.0, n=6000, holdout_share=0.2)
    study = examine(scope_of(tables, universal_holdout="HOLDOUT"))
    assert study.holdout.total_low > 0 > study.holdout.sum_of_campaigns.margin_high
    assert study.holdout.gap_low > 0
    lines = holdout.reconciliation_table(study).set_index("Line")["Amount"]
    assert lines["Result"] == "more than the programmes add up to"
    (pair,) = study.together.interactions
    assert pair.high < 0


def test_those_left_out_and_treated_all_the_same_are_counted():
    tables, _treated, _gain = world((900.0,), holdout_share=0.2, anyway=30)
    scope = scope_of(tables, universal_holdout="HOLDOUT")
    assert reconcile(scope, evaluate(scope)).n_treated_anyway == 30


def test_a_holdout_that_is_no_campaign_is_refused_with_the_names_that_are():
    tables, _treated, _gain = world((900.0,), holdout_share=0.2)
    scope = scope_of(tables, universal_holdout="HOLDOUTS")
    with pytest.raises(DataError) as refused:
        examine(scope)
    assert str(refused.value) == (
        'roi.universal_holdout of test names "HOLDOUTS", which is no campaign in `campaigns`. Did you mean "HOLDOUT"? '
        "Campaigns: A, HOLDOUT."
    )


def test_a_holdout_still_running_is_measured_so_far_and_one_to_come_says_so():
    tables, _treated, _gain = world((900.0,), holdout_share=0.2)
    year = tables | {
        "campaigns": tables["campaigns"].assign(
            window_days=tables["campaigns"]["window_days"].where(tables["campaigns"]["campaign_id"] != "HOLDOUT", 365)
        )
    }
    study = examine(scope_of(year, universal_holdout="HOLDOUT"))
    assert study.holdout.until == date(2026, 9, 30) and not study.holdout.complete
    assert "So far: the time of the holdout is not over." in holdout.reconciliation(study)["note"]
    members = tables["campaign_members"]
    later = members["assigned_on"].where(members["campaign_id"] != "HOLDOUT", date(2026, 10, 5))
    study = examine(
        scope_of(year | {"campaign_members": members.assign(assigned_on=later)}, universal_holdout="HOLDOUT")
    )
    assert study.holdout.state == "not_started"
    assert holdout.reconciliation_table(study)["Amount"].tolist()[-1] == "has not begun"


def test_a_holdout_too_small_states_nothing():
    tables, _treated, _gain = world((900.0,), holdout_share=0.01)
    study = examine(scope_of(tables, universal_holdout="HOLDOUT"))
    assert study.holdout.state == "small_control" and study.holdout.total is None
    assert holdout.reconciliation_table(study)["Amount"].tolist()[-1] == "control too small"
    assert not any(f.key == "crm_roi.holdout" for f in findings(study, profile=make_profile()))


def test_without_the_setting_there_is_no_table(scope):
    assert holdout.reconciliation(examine(scope)) == {"frame": None}
