"""Hillstrom's e-mail test as a user would bring it: files and a profile that declares list prices.

MineThatData challenge (Hillstrom 2008): 64,000 customers, men's e-mail, women's e-mail or none, spend in two weeks.
"""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm_analysis import profile, style, tables
from crm_analysis.crm_roi import captions, charts, displays, frames
from crm_analysis.crm_roi.displays import cards
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.planning import next_test
from crm_analysis.crm_roi.sentences import claims
from tests.crm_roi.conftest import FrameScope, association, make_profile

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
ASSIGNED = pd.Timestamp("2008-07-07")
PROFILE = """
id: hillstrom
name: A shop with two e-mails
currency: USD
data: .
margin: {rate: 0.4, list_prices: true}
coverage: {data_ends_on: 2008-09-30, last_covered_day: {us: 2008-09-30}}
roi: {planned_control_share: {MENS: 0.5, WOMENS: 0.5}}
tables:
  transactions: {files: [transactions.csv]}
  customers: {files: [customers.csv]}
  campaigns: {files: [campaigns.csv]}
  campaign_members: {files: [members.csv]}
  costs: {files: [costs.csv]}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.realdata("hillstrom.parquet"),
    pytest.mark.filterwarnings("ignore:fetch_arrow_table"),
]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hillstrom")
    write_files(pd.read_parquet(DATA / "hillstrom.parquet"), folder)
    (folder / "profile.yaml").write_text(PROFILE, encoding="utf-8")
    settings = profile.load(folder / "profile.yaml").model_copy(
        update={"data_root": folder, "build_dir": folder / "build"}
    )
    tables.ingest(settings)
    found = evaluate(tables.open(settings).scope("all", "2008Q3"))
    return found, claims(found, profile=settings), settings


def write_files(frame: pd.DataFrame, folder: Path) -> None:
    """The challenge's one table as the five tables of a shop; spend is at list price, a tenth of it discount."""
    frame = frame.assign(customer_id=[f"H{i:05d}" for i in frame.index])
    mailed = frame["segment"] != "No E-Mail"
    spent = frame[frame["spend"] > 0]
    now = pd.DataFrame(
        {
            "customer_id": spent["customer_id"],
            "occurred_at": ASSIGNED + pd.Timedelta(days=3),
            "amount": spent["spend"],
            "discount": (0.1 * spent["spend"]).where(mailed[spent.index], 0.0),
        }
    )
    past = pd.DataFrame(
        {
            "customer_id": frame["customer_id"],
            "occurred_at": ASSIGNED - pd.Timedelta(days=60),
            "amount": frame["history"],
            "discount": 0.0,
        }
    )
    sales = pd.concat([past, now], ignore_index=True).assign(branch="us", kind="sale")
    sales.insert(0, "transaction_id", [f"T{i}" for i in sales.index])
    sales.to_csv(folder / "transactions.csv", index=False)
    frame[["customer_id"]].assign(branch="us", joined_on="2007-07-01").to_csv(folder / "customers.csv", index=False)
    campaigns = pd.DataFrame({"campaign_id": ["MENS", "WOMENS"], "name": ["Men's e-mail", "Women's e-mail"]})
    campaigns.assign(
        programme="upsell", starts_on=ASSIGNED, ends_on=ASSIGNED, window_days=14, contact_cost=0.05
    ).to_csv(folder / "campaigns.csv", index=False)
    members, costs = [], []
    for campaign, segment in (("MENS", "Mens E-Mail"), ("WOMENS", "Womens E-Mail")):
        chosen = frame[frame["segment"].isin([segment, "No E-Mail"])]
        arm = chosen["segment"].map({segment: "treated", "No E-Mail": "control"})
        members.append(
            pd.DataFrame(
                {"campaign_id": campaign, "customer_id": chosen["customer_id"], "arm": arm, "assigned_on": ASSIGNED}
            )
        )
        sent = 0.05 * (frame["segment"] == segment).sum()
        costs += [(campaign, "campaign", sent, "contact"), (campaign, "staff", 1000.0, "fixed")]
    pd.concat(members).to_csv(folder / "members.csv", index=False)
    ledger = pd.DataFrame(costs, columns=["campaign_id", "category", "amount", "driver"])
    ledger.assign(
        cost_id=[f"C{i}" for i in ledger.index], incurred_on=ASSIGNED, planned_amount=ledger["amount"]
    ).to_csv(folder / "costs.csv", index=False)


def result(evaluation, campaign):
    return next(r for r in evaluation[0].closed if r.campaign_id == campaign)


def test_mens_email_from_files_has_the_published_money(evaluation):
    roi = result(evaluation, "MENS").roi
    assert (roi.n_treated, roi.n_control) == (21307, 21306)
    assert roi.margin_per_treated == pytest.approx(0.307931, abs=5e-7)
    assert roi.cost_per_treated == pytest.approx(0.239195, abs=5e-7)
    assert roi.net == pytest.approx(1464.56, abs=5e-3)
    assert roi.roi == pytest.approx(0.287366, abs=5e-7)
    assert (roi.roi_low, roi.roi_high) == pytest.approx((-0.117938, 0.638240), abs=5e-7)
    assert roi.break_even_contact_cost == pytest.approx(0.118736, abs=5e-7)


def test_mens_email_adjusted_for_history(evaluation):
    """CUPED on `history`: .76743850 (.48281285 to 1.05206415) of spend, forty per cent of it margin."""
    adjusted = result(evaluation, "MENS").effect("margin").adjusted
    assert adjusted.difference / 0.4 == pytest.approx(0.76743850, abs=5e-8)
    assert (adjusted.low / 0.4, adjusted.high / 0.4) == pytest.approx((0.48281285, 1.05206415), abs=5e-8)


@pytest.fixture(scope="module")
def spend():
    frame = pd.read_parquet(DATA / "hillstrom.parquet")
    return {name: group["spend"].to_numpy() for name, group in frame.groupby("segment")}


@pytest.mark.parametrize(("campaign", "segment"), [("MENS", "Mens E-Mail"), ("WOMENS", "Womens E-Mail")])
def test_each_email_has_the_effect_that_scipy_finds_and_the_profit_that_arithmetic_gives(
    evaluation, spend, campaign, segment
):
    """Through files and profile; the oracle needs nothing of the package but the published assumptions."""
    found = result(evaluation, campaign)
    treated, control = spend[segment], spend["No E-Mail"]
    oracle = stats.ttest_ind(0.4 * treated, 0.4 * control, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    plain = found.effect("margin").plain
    assert (plain.low, plain.high, plain.p_value) == pytest.approx((interval.low, interval.high, oracle.pvalue))
    cost = 0.1 * treated.sum() + 0.05 * treated.size + 1000
    net = treated.size * 0.4 * (treated.mean() - control.mean()) - cost
    error = treated.size * np.sqrt(
        (0.3 * treated).var(ddof=1) / treated.size + (0.4 * control).var(ddof=1) / control.size
    )
    assert found.roi.net == pytest.approx(net)
    assert (found.roi.net_low, found.roi.net_high) == pytest.approx(
        (net - 1.959964 * error, net + 1.959964 * error), rel=1e-5
    )
    assert found.roi.cost == pytest.approx(cost)


def test_both_lifts_are_significant_also_when_everything_is_looked_at_and_no_profit_is_settled(evaluation):
    men, women = (result(evaluation, name) for name in ("MENS", "WOMENS"))
    for found in (men, women):
        assert found.shares_control and found.correction == "Holm" and found.n_tests == 12
        for metric in ("margin", "revenue", "n_orders", "active"):
            assert found.effect(metric).plain.low > 0 and found.effect(metric).adjusted_p < 0.05
        assert found.roi.verdict == "unknown" and found.roi.roi_low < 0 < found.roi.roi_high
    assert men.roi.net > 0 > women.roi.net


def test_three_arms_fit_the_plan_together_as_published(evaluation):
    """Chi-squared .202531, p .903693 on 21,307, 21,387 and 21,306."""
    for name in ("MENS", "WOMENS"):
        check = next(c for c in result(evaluation, name).gate.checks if c.code == "sample_ratio_arms")
        assert check.numbers["chi2"] == pytest.approx(0.202531, abs=5e-7)
        assert check.numbers["p"] == pytest.approx(0.903693, abs=5e-7)


def test_amount_per_customer_is_the_published_one(evaluation):
    """Spend 1.42261651 and .65278936, Welch .48513973 to 1.05451458; here forty per cent of it is margin."""
    plain = result(evaluation, "MENS").effect("margin").plain
    assert (plain.mean_treated / 0.4, plain.mean_control / 0.4) == pytest.approx((1.42261651, 0.65278936), abs=5e-9)
    assert (plain.low / 0.4, plain.high / 0.4) == pytest.approx((0.48513973, 1.05451458), abs=5e-8)


def test_cards_state_lift_profit_interval_and_chance_of_each(evaluation):
    found, _said, settings = evaluation
    for name in ("MENS", "WOMENS"):
        card = cards.card(result(evaluation, name), found, settings).set_index("Question")["Answer"]
        assert "margin per member, p" in card["Effect"] and "over 12 outcomes, Holm)" in card["Effect"]
        assert "its control group serves 2 arms" in card["To whom"]
        assert card["Verdict"].startswith("Not settled: net ") and "the chance that it earned is" in card["Verdict"]


def test_the_waterfall_starts_before_the_discount_and_takes_it_off_once(evaluation, spend):
    """Spend is at list price: goods are sixty per cent of it, and the discount stands in a bar of its own."""
    steps = frames.waterfall(evaluation[0])
    none = spend["No E-Mail"].mean()
    mailed = [spend[name] for name in ("Mens E-Mail", "Womens E-Mail")]
    gained = sum(each.size * (each.mean() - none) for each in mailed)
    assert steps["label"].to_list()[:3] == [
        "difference in value before discount",
        "goods and handling",
        "discounts granted",
    ]
    assert steps["value"].to_list()[:3] == pytest.approx([gained, -0.6 * gained, -0.1 * sum(e.sum() for e in mailed)])


def test_words_about_discounts_turn_with_what_margins_count(evaluation):
    """Charged here, since spend is at list price; where amounts are after discount nothing is said to be charged."""
    elsewhere = evaluate(FrameScope(association(), make_profile()))
    charged = "Discounts that are charged to a programme are in no line of the ledger"
    for found, is_charged in ((evaluation[0], True), (elsewhere, False)):
        assert frames.discounts_charged(found) == is_charged
        assert (charged in captions.plan(found)["how_to_read"]) == is_charged
        said = displays.costing._discounts_said(found)
        assert ("charged to the programme" in said, "not deducted again" in said) == (is_charged, not is_charged)
        assert ("value before discount" in captions.waterfall(found)["alt"]) == is_charged


def test_what_each_email_brought_in_is_said_with_its_interval(evaluation):
    """Both lifts lie above zero, and the finding says so beside a profit that is not settled."""
    found, said, _profile = evaluation
    for name in ("MENS", "WOMENS"):
        roi = result(evaluation, name).roi
        sentence = next(f.sentence for f in said.findings if f.key == f"crm_roi.{name.lower()}.roi")
        assert roi.incremental_low > 0
        between = style.interval(roi.incremental_low, roi.incremental_high, "money", "USD")
        assert f"({between})" in sentence


def test_the_next_test_is_planned_for_the_return_seen_as_what_to_do_is(evaluation):
    """The interval of the men's e-mail excludes a return of 100 %; plan and advice then ask for the same number."""
    found, said, settings = evaluation
    plan = next_test(tables.open(settings).scope("all", "2008Q3"), found)
    men = result(evaluation, "MENS")
    assert plan.campaign.campaign_id == "MENS" and plan.plan.expected_roi == pytest.approx(0.287366, abs=5e-7)
    assert plan.plan.n_needed == pytest.approx(men.n_to_settle, rel=0.01)
    assert any(f"{math.ceil(men.n_to_settle / 100) * 100:,} customers" in action.text for action in said.actions)


def test_small_numbers_keep_digits_that_count(evaluation):
    """Two payments in a hundred customers more or less are not 0.00 (0.00 to 0.00)."""
    table = displays.effects.effects_table(evaluation[0])
    cells = table[table["Per member"] == "Days with a payment"]
    assert not cells.astype(str).apply(lambda column: column.str.contains(r"0\.00\b")).any().any()
    assert cells["Difference"].str.contains(r"^0\.00[1-9]").all()


def test_both_emails_stand_on_one_page_with_their_intervals(evaluation):
    found, said, _profile = evaluation
    assert [r.campaign_id for r in found.measured] == ["MENS", "WOMENS"]
    men, women = (result(evaluation, name) for name in ("MENS", "WOMENS"))
    assert men.effect("margin").plain.low > 0 and men.verdict == "unknown"
    assert women.verdict == "unknown"
    assert found.portfolio.n_overlapping == 21306
    assert found.portfolio.roi_low < 0 < found.portfolio.roi_high
    assert "is not settled" in said.verdict
    assert {"crm_roi.mens.roi", "crm_roi.womens.roi"} <= {f.key for f in said.findings}
    steps = frames.waterfall(found)
    assert steps.loc[steps["kind"] == "step", "value"].sum() == pytest.approx(found.portfolio.net)
    assert charts.portfolio(frames.portfolio_dots(found)) is not None
