"""What keeping customers is worth: published figures, identities, simulation, and cost of winning against keeping."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.cash import cash_over_time
from crm_analysis.crm_roi.flows import member_flows
from crm_analysis.crm_roi.lifetime import bucket, extrapolations, five_points, keeping, retention_value
from crm_analysis.crm_roi.textbook import judge, textbook_claims
from crm_analysis.customers import retention
from tests.crm_roi.conftest import FrameScope, association, make_profile


def test_five_points_published():
    """At d .10 and r .80 five more points raise CLV by 27.5 %, elasticity 1.1 / 0.3 (Gupta and Lehmann 2003)."""
    assert five_points(0.80, rate_annual=0.10) == pytest.approx(0.275)
    kept = np.arange(1000) < 800
    found = retention_value(kept, np.full(1000, 100.0), n_now=500, rate_annual=0.10)
    assert found.rise.value == pytest.approx(0.275)
    assert found.elasticity == pytest.approx(1.1 / 0.3)
    assert found.value.value == pytest.approx(100 * 0.8 / 0.3)
    assert found.gain.value == pytest.approx(0.275 * 100 * 0.8 / 0.3)
    assert found.gain_all.value == pytest.approx(500 * found.gain.value)
    brute = sum(100 * 0.8**t / 1.1**t for t in range(1, 500))
    assert found.value.value == pytest.approx(brute)


def test_above_ninety_five_per_cent_five_points_cannot_be_had():
    found = retention_value(np.arange(1000) < 970, np.full(1000, 100.0), n_now=10, rate_annual=0.1)
    assert found.gain is None and found.gain_all is None and found.rise is None and found.value.value > 0
    with pytest.raises(ValueError, match="without a customer kept"):
        retention_value(np.zeros(5, bool), np.ones(5), n_now=5, rate_annual=0.1)


def test_intervals_of_value_and_gain_cover_the_truth():
    rng = np.random.default_rng(31)
    worth = 50_000 * 2 * 0.7 / 0.4
    more = 50_000 * 2 * 0.75 / 0.35 - worth
    held = np.zeros(3)
    for _ in range(500):
        kept = rng.random(900) < 0.7
        found = retention_value(kept, rng.gamma(2, 50_000, 900), n_now=1, rate_annual=0.1)
        held += (
            found.value.low <= worth <= found.value.high,
            found.gain.low <= more <= found.gain.high,
            found.rise.low <= five_points(0.7, rate_annual=0.1) <= found.rise.high,
        )
    assert ((held / 500 > 0.92) & (held / 500 < 0.98)).all(), held


def test_the_bucket_foots_and_the_leak_is_what_the_lost_had_left():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.random((400, 3)) < [0.6, 0.5, 0.7], columns=["there_before", "there_now", "known_before"])
    frame["known_before"] |= frame["there_before"]
    frame["margin_before"] = rng.gamma(1, 10_000, 400)
    found = bucket(frame, lasting=2.0)
    assert found.n_before - found.n_lost + found.n_new + found.n_back == found.n_now
    assert found.net == found.n_now - found.n_before
    lost = frame["there_before"] & ~frame["there_now"]
    assert found.leak.value == pytest.approx(frame.loc[lost, "margin_before"].sum())
    assert found.leak_lasting.value == pytest.approx(2 * found.leak.value)
    again = rng.integers(0, 400, (2000, 400))
    sums = np.where(lost, frame["margin_before"], 0.0)[again].sum(axis=1)
    assert (found.leak.low, found.leak.high) == pytest.approx(np.quantile(sums, [0.025, 0.975]), rel=0.06)


@pytest.fixture(scope="module")
def kept(scope):
    return keeping(scope)


def test_retention_is_that_of_the_one_status_rule(scope, kept):
    told = retention(scope)
    here = kept.values[0]
    assert (here.n, here.n_kept) == (told.n, told.kept)
    assert here.retention.value == pytest.approx(told.share)
    assert kept.buckets[0].n_before - kept.buckets[0].n_lost == told.kept


def test_branches_add_up_to_all(kept):
    whole, *parts = kept.buckets
    for name in ("n_before", "n_lost", "n_new", "n_back", "n_now"):
        assert getattr(whole, name) == sum(getattr(part, name) for part in parts)
    assert whole.leak.value == pytest.approx(sum(part.leak.value for part in parts))
    assert whole.n_before - whole.n_lost + whole.n_new + whole.n_back == whole.n_now


def test_margins_of_the_two_years_equal_brute_force(scope, kept):
    paid = scope.frames["transactions"]
    told = retention(scope).customers
    stayed = told.loc[told["kept"], "customer_id"]
    year = paid[(paid["occurred_at"] > "2025-09-30") & (paid["occurred_at"] <= "2026-09-30")]
    left = year.groupby("customer_id")["amount"].sum().reindex(stayed, fill_value=0)
    assert kept.values[0].margin_year.value == pytest.approx(left.mean())
    before = paid[paid["occurred_at"] <= "2025-09-30"].groupby("customer_id")["amount"].sum()
    gone = told.loc[~told["kept"], "customer_id"]
    assert kept.buckets[0].leak.value == pytest.approx(before.reindex(gone, fill_value=0).sum())


def shops(sizes: dict[str, tuple[int, int]]) -> FrameScope:
    """Branches by customers of a year ago and how many of them are still there; each paid the same each month."""
    rows = []
    for branch, (n, still) in sizes.items():
        for number in range(n):
            last = date(2026, 9, 1) if number < still else date(2025, 7, 1)
            days = pd.date_range(date(2024, 10, 5), last, freq="30D")
            rows += [(f"{branch}{number:03d}", branch, day, 10_000.0 + number) for day in days]
    frame = pd.DataFrame(rows, columns=["customer_id", "branch", "occurred_at", "amount"])
    frame = frame.assign(kind="sale", transaction_id=[f"T{i}" for i in range(len(frame))])
    return FrameScope(association(n=40) | {"transactions": frame}, make_profile())


@pytest.mark.parametrize(("small", "withheld"), [((7, 4), True), ((40, 30), False)])
def test_where_one_branch_is_hidden_the_share_kept_of_all_would_tell_it(small, withheld):
    """Kept in a year of all, times all there a year ago, less the same of the others, is the hidden branch's count."""
    found = keeping(shops({"seoul": (60, 45), "gwangju": (50, 40), "incheon": small}))
    assert ("incheon" in {value.branch for value in found.values}) is not withheld
    assert found.whole_withheld is withheld and (found.here is None) is withheld
    assert {"seoul", "gwangju"} <= {value.branch for value in found.values}
    whole = found.buckets[0]
    assert whole.branch == "all" and (whole.leak_lasting is None) is withheld


def test_a_short_history_has_no_retention():
    tables = association()
    young = tables["transactions"]["occurred_at"] > "2026-02-01"
    scope = FrameScope(tables | {"transactions": tables["transactions"][young]}, make_profile())
    scope.coverage["first_day"] = date(2026, 2, 1)
    found = keeping(scope)
    assert found.values == () and found.buckets == ()
    claims = {claim.code: claim for claim in textbook_claims(scope, found)}
    assert claims["five_points"].verdict == "untestable" and claims["five_points"].needs == "short"


def with_acquisition(amount, *, keep=3_000_000.0):
    tables = association(cost=keep)
    fair = {"campaign_id": "FAIR26", "name": "Street stand", "programme": "acquisition", "window_days": 30}
    more = tables["campaigns"].iloc[[0]].assign(**fair)
    line = tables["costs"].iloc[[0]].assign(cost_id="C8", category="campaign", campaign_id="FAIR26", amount=amount)
    return tables | {
        "campaigns": pd.concat([tables["campaigns"], more], ignore_index=True),
        "costs": pd.concat([tables["costs"], line], ignore_index=True),
    }


def winning_of(tables, **kwargs):
    scope = FrameScope(tables, make_profile(), **kwargs)
    found = keeping(scope)
    return found.winning, textbook_claims(scope, found)[0]


def test_winning_against_keeping_by_hand_and_the_claim_turns_with_the_costs(kept):
    dear, holds = winning_of(with_acquisition(300_000_000.0))
    assert dear.winning.value == pytest.approx(300_000_000 / dear.n_new)
    assert dear.keeping.value == pytest.approx(6_000_000 / dear.n_kept), "the call and the gala serve to keep"
    assert dear.ratio.value == pytest.approx(dear.winning.value / dear.keeping.value)
    assert holds.verdict == "holds" and dear.ratio.low > 6
    cheap, fails = winning_of(with_acquisition(3_000_000.0))
    assert fails.verdict == "fails" and cheap.ratio.high < 6
    at_six = 6 * 6_000_000 / dear.n_kept * dear.n_new
    assert winning_of(with_acquisition(at_six))[1].verdict == "unsettled"
    assert kept.winning.ratio is None and kept.winning.missing == "no_acquisition"


def test_the_six_times_claim_says_no_more_than_the_table_of_costs_may():
    tables = with_acquisition(300_000_000.0)
    scope = FrameScope(tables, make_profile())
    found = keeping(scope)
    told = replace(found, winning=replace(found.winning, n_new=3, new_by_branch=(3,)))
    claim = textbook_claims(scope, told)[0]
    assert (claim.verdict, claim.needs, claim.found) == ("untestable", "withheld", None)
    assert textbook_claims(scope, found)[0].found is not None


def test_lines_that_branches_share_are_in_no_branchs_average():
    found, claim = winning_of(with_acquisition(300_000_000.0), branch="seoul")
    assert found.winning is None and claim.verdict == "untestable"


def test_ratio_interval_covers_the_truth():
    from crm_analysis.crm_roi.amounts import NORMAL_REACH

    rng = np.random.default_rng(2)
    new, kept_ = rng.poisson(80, 4000), rng.poisson(300, 4000)
    reach = np.exp(NORMAL_REACH * np.sqrt(1 / new + 1 / kept_))
    ratio = (6.0 * 80 / new) / (300 / kept_)
    assert 0.94 < ((ratio / reach <= 6) & (ratio * reach >= 6)).mean() < 0.965


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.3, 0.8), "holds"),
        ((0.2, 0.3), "unsettled"),
        ((0.1, 0.2), "fails"),
        ((0.9, 1.0), "fails"),
        ((0.8, 0.9), "unsettled"),
    ],
)
def test_a_claim_holds_inside_and_fails_outside(ends, verdict):
    from crm_analysis.crm_roi.amounts import Amount

    assert judge(Amount(sum(ends) / 2, *ends), low=0.25, high=0.85) == verdict
    assert judge(Amount(0.5, None, None), low=0.25) == "unsettled"


def test_five_points_turn_with_the_retention_of_the_data():
    """At a rate of 10 % the claim of 25 to 85 % needs a retention of about 76 % or more."""
    assert five_points(0.75, rate_annual=0.1) < 0.25 < five_points(0.77, rate_annual=0.1)
    verdicts = []
    for share in (0.60, 0.85):
        kept = np.arange(4000) < share * 4000
        rise = retention_value(kept, np.full(4000, 1.0), n_now=1, rate_annual=0.1).rise
        verdicts.append(judge(rise, low=0.25, high=0.85))
    assert verdicts == ["fails", "holds"]


def cases(quick_again, slow_again):
    """Two hundred complaints, half answered within a week, and who of each half paid again."""
    received = pd.Timestamp("2025-12-01")
    tables = association()
    ids = [f"Z{i:03d}" for i in range(200)]
    again = ids[:quick_again] + ids[100 : 100 + slow_again]
    paid = pd.DataFrame(
        {
            "customer_id": again,
            "branch": "seoul",
            "occurred_at": received + pd.Timedelta(days=9),
            "amount": 1e4,
            "kind": "gift",
        }
    ).assign(transaction_id=[f"Z{i}" for i in range(len(again))])
    complaints = pd.DataFrame(
        {
            "case_id": ids,
            "customer_id": ids,
            "branch": "seoul",
            "received_at": received,
            "kind": "complaint",
            "resolved_at": [received + pd.Timedelta(days=2 if i < 100 else 30) for i in range(200)],
        }
    )
    return tables | {"cases": complaints, "transactions": pd.concat([tables["transactions"], paid], ignore_index=True)}


@pytest.mark.parametrize(("quick", "slow", "verdict"), [(80, 30, "holds"), (30, 80, "fails"), (52, 50, "unsettled")])
def test_complainers_turn_with_the_truth(quick, slow, verdict, kept):
    claim = textbook_claims(FrameScope(cases(quick, slow), make_profile()), kept)[2]
    assert claim.verdict == verdict and claim.n == 200
    assert claim.found.value == pytest.approx((quick - slow) / 100)
    assert textbook_claims(FrameScope(association(), make_profile()), kept)[2].needs == "cases"


def test_the_scenario_is_margin_times_retention_over_what_is_lost(scope, evaluated, kept):
    flows = member_flows(scope, evaluated)
    cash = cash_over_time(flows, scope)
    (found,) = extrapolations(flows, cash, kept, history_days=365)
    paid = flows[0].n_orders.sum(axis=1) > 0
    extra = 300 * (paid[flows[0].treated].mean() - paid[~flows[0].treated].mean())
    r = kept.values[0].retention.value
    assert found.extra.value == pytest.approx(extra)
    assert found.value.value == pytest.approx(extra * found.margin_year * r / (1.1 - r))
    assert found.present.value == pytest.approx(cash[0].present.value + found.value.value)
    assert found.present.high - found.present.low > cash[0].present.high - cash[0].present.low
