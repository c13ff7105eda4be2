"""Programmes without control: the pool, the panel, the rule, and pages that turn with the truth. Nothing is causal."""

import os
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi import charts, displays, pools
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.unrandomised import ADJUSTED, compare
from crm_analysis.language import activate
from crm_analysis.units import Period
from tests.crm_roi.conftest import FrameScope, make_profile

pytestmark = pytest.mark.slow

SEED = int(os.environ["CRM_TEST_SEED"])
DAY = pd.Timestamp("2026-05-01")
WINDOW = 70
TABLES = (displays.unrandomised.side_by_side, displays.unrandomised.checks, displays.unrandomised.balance)


def world(seed=1, *, n=1_200, listed=150, lift=0.0, chosen="by lot", cost=3_000_000.0, changes=None):
    """An association whose campaign GALA26 held nobody out.

    Its list was drawn `by lot` (which nobody recorded) or holds the best by `value` of the 71 days before. Each listed
    customer pays `lift` more in the window.
    """
    rng = np.random.default_rng(seed)
    ids = np.array([f"D{i:05d}" for i in range(n)])
    branch = np.where(np.arange(n) % 2 == 0, "seoul", "gwangju")
    n_gifts = rng.poisson(rng.gamma(2.0, 6.0, n))
    who = np.repeat(np.arange(n), n_gifts)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 1_000, len(who)), unit="D")
    gifts = pd.DataFrame({"who": who, "occurred_at": when, "amount": 1000.0 * rng.integers(5, 60, len(who))})
    before = gifts[(gifts["occurred_at"] < DAY) & (gifts["occurred_at"] >= DAY - pd.Timedelta(days=WINDOW + 1))]
    if chosen == "by lot":
        members = np.sort(rng.permutation(n)[:listed])
    else:
        given = before.groupby("who")["amount"].sum().reindex(range(n), fill_value=0.0)
        members = np.sort(np.argsort(-given.to_numpy(), kind="stable")[:listed])
    if lift:
        extra = DAY + pd.to_timedelta(rng.integers(1, WINDOW, listed), unit="D")
        gifts = pd.concat([gifts, pd.DataFrame({"who": members, "occurred_at": extra, "amount": lift})])
    gifts = gifts.assign(
        transaction_id=[f"T{i}" for i in range(len(gifts))],
        customer_id=ids[gifts["who"]],
        branch=branch[gifts["who"]],
        kind="gift",
        channel=np.where(gifts["who"] % 3 == 0, "web", "bank"),
    ).drop(columns="who")
    campaigns = pd.DataFrame(
        [("GALA26", "Gala", "vip", date(2026, 5, 1), date(2026, 5, 10), WINDOW, 5_000.0)],
        columns=["campaign_id", "name", "programme", "starts_on", "ends_on", "window_days", "contact_cost"],
    )
    listing = pd.DataFrame(
        {"campaign_id": "GALA26", "customer_id": ids[members], "arm": "treated", "assigned_on": DAY.date()}
    )
    costs = pd.DataFrame(
        [("C1", date(2026, 5, 1), "campaign", cost, "GALA26", cost, "fixed", np.nan)],
        columns=["cost_id", "incurred_on", "category", "amount", "campaign_id", "planned_amount", "driver",
                 "useful_months"],
    )  # fmt: skip
    joined = pd.to_datetime("2023-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    tables = {
        "transactions": gifts,
        "customers": pd.DataFrame({"customer_id": ids, "branch": branch, "joined_on": joined.date}),
        "campaigns": campaigns,
        "campaign_members": listing,
        "costs": costs,
    }
    for name, change in (changes or {}).items():
        tables[name] = change(tables[name])
    return {name: frame for name, frame in tables.items() if frame is not None}


def one_above_all(transactions):
    return transactions.assign(amount=np.where(transactions["customer_id"] == "D00002", 1e9, 1.0))


def study(tables, **scope):
    return examined(FrameScope(tables, make_profile(), **scope))


def examined(scope):
    """What the displays of this topic read of a study, without the other topics' work."""
    evaluation = evaluate(scope)
    return SimpleNamespace(evaluation=evaluation, unrandomised=compare(scope, evaluation))


def only(tables, **scope):
    (comparison,) = study(tables, **scope).unrandomised
    return comparison


@pytest.fixture(scope="module")
def works():
    return study(world(lift=30_000.0))


@pytest.fixture(scope="module")
def idle():
    return study(world())


@pytest.fixture(scope="module")
def best():
    return study(world(chosen="value"))


def test_a_list_drawn_by_lot_that_works_is_an_association_and_no_return(works):
    (found,) = works.unrandomised
    assert found.state == "compared" and found.identified and found.failed == ()
    for name in ADJUSTED:
        assert found.real.estimates[name].low <= 30_000 <= found.real.estimates[name].high, name
    said = displays.unrandomised.sentence(found, works)
    assert said.startswith("**Gala: not causal.** Adjusted for what is known, its members left ")
    assert "more each than others" in said and said.endswith("an association, since nobody was held out.")
    (finding,) = displays.unrandomised.findings(works)
    assert not finding.causal and finding.value == found.real.estimates["aipw"].estimate
    assert works.evaluation.measured == () and works.evaluation.closed[0].roi is None
    assert "had to bring 20,000\xa0won a member to break even" in displays.unrandomised.checks(works)["note"]


def test_the_page_turns_when_the_campaign_does_nothing(idle):
    (found,) = idle.unrandomised
    assert found.identified
    assert "no difference can be told" in displays.unrandomised.sentence(found, idle)


def test_best_customers_are_called_unidentified_and_why(best):
    (found,) = best.unrandomised
    assert not found.identified and {"pretrend", "placebo"} <= set(found.failed)
    own, naive = found.real.estimates["own"], found.real.estimates["naive"]
    assert naive.low > 0, "the plain difference says it worked; nothing was planted"
    assert abs(own.estimate) < abs(naive.estimate) * 5
    said = displays.unrandomised.sentence(found, best)
    assert said.startswith("**Gala: not causal, and nothing in the records identifies what it did**: list and others")
    (finding,) = displays.unrandomised.findings(best)
    assert finding.value is None and finding.low is None and finding.n is None
    assert finding.basis == "not causal: nothing identifies it"


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_whatever_the_seed_the_estimates_follow_the_truth(seed):
    worked, idle = only(world(seed, lift=60_000.0)), only(world(seed))
    for name in ADJUSTED:
        up, level = worked.real.estimates[name], idle.real.estimates[name]
        assert up.low > 0, (seed, name)
        assert (
            up.estimate - level.estimate == pytest.approx(60_000 * 0.97, rel=0.1)
            or abs(up.estimate - level.estimate - 60_000) < 5 * level.standard_error
        ), (seed, name)
        assert abs(level.estimate) < 6 * level.standard_error, (seed, name)
    chosen = only(world(seed, chosen="value"))
    assert not chosen.identified, seed
    assert chosen.real.estimates["naive"].low > 0, seed


def test_the_panel_equals_brute_force():
    tables = world()
    scope = FrameScope(tables, make_profile())
    evaluation = evaluate(scope)
    units = pools.pool_of(evaluation.closed[0], pools.known_customers(scope), pools.contacts(scope, evaluation)).sample(
        60, random_state=3
    )
    past = pools.past_of(units, scope, window_days=WINDOW, depth=3, shifts=(0, 1))
    paid = tables["transactions"]
    for row, unit in enumerate(units.itertuples(index=False)):
        own = paid[paid["customer_id"] == unit.customer_id]
        age = (own["occurred_at"] - DAY).dt.days
        for column, k in enumerate((3, 2, 1, 0)):
            inside = (age >= -71 * k) & (age < 71 * (1 - k))
            assert past.values[row, column] == pytest.approx(own.loc[inside, "amount"].sum())
        for shift in (0, 1):
            earlier = own[age < -71 * shift]
            habit = past.habits[shift].iloc[row]
            since = (DAY - pd.Timedelta(days=71 * shift) - earlier["occurred_at"].max()).days
            assert habit["days_since_last"] == since if len(earlier) else np.isnan(habit["days_since_last"])
            year = earlier[(earlier["occurred_at"] - DAY).dt.days >= -71 * shift - 365]
            assert habit["n_orders"] == year["occurred_at"].nunique()
            if len(earlier):
                last = earlier[earlier["occurred_at"] == earlier["occurred_at"].max()]
                assert habit["channel"] == last["channel"].max()


def test_the_query_behind_a_finding_is_the_same_each_time(idle):
    scope = FrameScope(world(), make_profile())
    first, second = (compare(scope, idle.evaluation)[0].query for _ in range(2))
    assert first == second and '"list_and_pool"' in first


def test_the_list_in_the_window_is_that_of_the_evaluation(works):
    units = works.evaluation.closed[0].gate.units
    found = works.unrandomised[0].real
    assert found.n_listed == len(units) == 150 and found.left_out == 0
    change = units["margin"].mean() - found.estimates["own"].estimate
    table = works.evaluation.closed[0].uncontrolled
    assert table.margin_in_window == pytest.approx(units["margin"].mean())
    assert change > 0


def test_nobody_treated_by_another_campaign_meanwhile_is_compared(idle):
    tables = world()
    others = sorted(set(tables["customers"]["customer_id"]) - set(tables["campaign_members"]["customer_id"]))
    listed = tables["campaign_members"]["customer_id"].to_list()
    call = tables["campaigns"].assign(campaign_id="CALL26", name="Call", contact_cost=100.0)
    busy = pd.DataFrame(
        {
            "campaign_id": "CALL26",
            "customer_id": [*others[:200], *listed[:20], *others[200:300]],
            "arm": ["treated"] * 220 + ["control"] * 100,
            "assigned_on": date(2026, 6, 1),
        }
    )
    more = tables | {
        "campaigns": pd.concat([tables["campaigns"], call]),
        "campaign_members": pd.concat([tables["campaign_members"], busy]),
    }
    found, without = only(more).real, idle.unrandomised[0].real
    assert without.n_pool - found.n_pool == 200, "those held out of the call may stand for the list"
    assert (found.n_listed, found.left_out) == (130, 20)
    assert found.by_branch["listed"] and sum(found.by_branch["listed"]) == 130


def test_days_of_the_list_are_dealt_over_the_pool():
    late = date(2026, 5, 21)
    tables = world(
        changes={
            "campaign_members": lambda m: m.assign(assigned_on=[DAY.date() if i % 4 else late for i in range(len(m))])
        }
    )
    scope = FrameScope(tables, make_profile())
    evaluation = evaluate(scope)
    units = pools.pool_of(evaluation.closed[0], pools.known_customers(scope), pools.contacts(scope, evaluation))
    share = units.groupby("listed")["event_on"].apply(lambda days: (days == pd.Timestamp(late)).mean())
    assert share[True] == pytest.approx(0.25, abs=0.01)
    assert share[False] == pytest.approx(0.25, abs=0.01)


def test_only_the_known_and_covered_stand_for_the_list():
    tables = world(
        changes={"customers": lambda c: c.assign(joined_on=[date(2026, 6, 1)] * 300 + [date(2023, 5, 5)] * 900)}
    )
    gone = {"gwangju": date(2026, 6, 15)}
    all_of = only(tables)
    assert all_of.real.n_listed + all_of.real.n_pool == 900
    covered = FrameScope(tables, make_profile(), last_covered=gone)
    (found,) = examined(covered).unrandomised
    assert found.real.n_pool < all_of.real.n_pool
    assert len(found.real.by_branch["pool"]) == 1, "a branch whose window is not covered stands for nobody"


def test_a_larger_pool_is_drawn_from_at_random_and_the_same_each_time(monkeypatch, idle):
    monkeypatch.setattr(pools, "MOST_COMPARED", 400)
    scope = FrameScope(world(), make_profile())
    customers, treated = pools.known_customers(scope), pools.contacts(scope, idle.evaluation)
    first, second = (pools.pool_of(idle.evaluation.closed[0], customers, treated) for _ in range(2))
    assert (~first["listed"]).sum() == 400
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("tables", "state", "words"),
    [
        (lambda: world(listed=12), "too_few", "too few of its list were known before it"),
        (lambda: world(n=165), "no_pool", "too few people outside its list"),
        (lambda: world(changes={"transactions": one_above_all}), "withheld", "one of them nearly all"),
        (
            lambda: world(changes={"transactions": lambda t: t[t["occurred_at"] < DAY - pd.Timedelta(days=5)]}),
            "compared",
            "not causal",
        ),
    ],
)
def test_thin_data_say_so(tables, state, words):
    found = study(tables())
    (comparison,) = found.unrandomised
    assert comparison.state == state
    assert words in displays.unrandomised.sentence(comparison, found)
    if state != "compared":
        assert displays.unrandomised.side_by_side(found)["note"] == displays.unrandomised.sentence(comparison, found)
        assert displays.unrandomised.estimates(found)["alt"] == displays.unrandomised.trend(found)["alt"] == " "
        assert charts.unrandomised.estimates(displays.unrandomised.bars(found), currency="KRW") is None
        assert charts.unrandomised.trends(displays.unrandomised.trend_points(found), currency="KRW") is None
        assert displays.unrandomised.checks(found) == displays.unrandomised.balance(found) == {"frame": None}


def test_a_list_of_one_giver_is_withheld():
    tables = world()
    listed = set(tables["campaign_members"]["customer_id"])
    keep = tables["transactions"]
    inside = keep[(keep["occurred_at"] >= DAY) & (keep["occurred_at"] <= DAY + pd.Timedelta(days=WINDOW))]
    one = min(listed & set(inside["customer_id"]))
    keep = keep[~keep["customer_id"].isin(listed - {one})]
    found = study(tables | {"transactions": keep})
    assert found.unrandomised[0].state == "withheld"
    assert "withheld" in displays.unrandomised.side_by_side(found)["note"]
    assert displays.unrandomised.side_by_side(found)["frame"].empty


def test_a_branch_whose_list_must_be_hidden_stays_out_of_the_sum():
    few = world()
    gwangju = few["customers"].set_index("customer_id")["branch"]
    members = few["campaign_members"]
    there = members["customer_id"].map(gwangju) == "gwangju"
    members = pd.concat([members[~there], members[there].head(3)])
    found = study(few | {"campaign_members": members})
    (comparison,) = found.unrandomised
    assert len(comparison.real.by_branch["listed"]) == 1
    assert comparison.real.left_out == 3
    frame = displays.unrandomised.side_by_side(found)["frame"]
    assert str(comparison.real.n_listed) not in "".join(frame["n"]), "beside the list's length it would tell the three"
    (finding,) = displays.unrandomised.findings(found)
    assert finding.n is None


def test_history_shorter_than_a_window_leaves_nothing_to_adjust_for():
    profile = make_profile(coverage={"history_starts_on": date(2026, 4, 1)})
    (found,) = compare(FrameScope(world(), profile), evaluate(FrameScope(world(), profile)))
    assert found.state == "short_history"


def test_history_of_one_window_cannot_be_tested_so_nothing_is_identified():
    profile = make_profile(coverage={"history_starts_on": date(2026, 1, 15)})
    found = examined(FrameScope(world(lift=30_000.0), profile))
    (comparison,) = found.unrandomised
    assert comparison.state == "compared" and not comparison.identified
    assert {c.code: c.status for c in comparison.checks}["placebo"] == "untested"
    assert "do not reach back" in displays.unrandomised.sentence(comparison, found)
    assert charts.unrandomised.estimates(displays.unrandomised.bars(found), currency="KRW") is not None


def test_with_transactions_alone_it_says_what_is_not_adjusted_for():
    tables = world(changes={"customers": lambda _c: None, "transactions": lambda t: t.drop(columns="channel")})
    found = study(tables)
    (comparison,) = found.unrandomised
    assert comparison.absent == ("channel", "tenure")
    assert "channel" not in set(comparison.real.balance["code"])
    assert (
        "No table supplies the channel of payments, when customers joined"
        in (displays.unrandomised.checks(found)["note"])
    )


def test_members_whom_the_table_of_customers_lacks_are_compared_all_the_same(idle):
    listed = set(world()["campaign_members"]["customer_id"].head(40))
    found = only(world(changes={"customers": lambda c: c[~c["customer_id"].isin(listed)]}))
    paid = world()["transactions"]
    unknown = listed - set(paid.loc[paid["occurred_at"] < DAY, "customer_id"])
    assert found.real.n_listed == idle.unrandomised[0].real.n_listed - len(unknown), "known by their first payment"
    assert found.real.n_pool == idle.unrandomised[0].real.n_pool


def test_a_branch_compares_its_own_list_with_its_own_customers(idle):
    whole = idle.unrandomised[0].real
    found = only(world(), branch="seoul").real
    branch = idle.evaluation.members.groupby("branch").size()
    assert found.n_listed == branch["seoul"] < whole.n_listed
    assert found.n_listed + found.n_pool == 600, "every second customer is Seoul's"
    assert found.estimates["naive"].n_treated == found.n_listed


def test_tables_and_figures_of_the_annex(works, best):
    for found in (works, best):
        table = displays.unrandomised.side_by_side(found)
        assert list(table["frame"].columns)[-3:] == [
            "In the window",
            "One window earlier, nothing happened",
            "A year earlier, nothing happened",
        ]
        assert len(table["frame"]) == 5
        for make in TABLES:
            assert not make(found)["frame"].empty and make(found)["title"]
        bars, points = displays.unrandomised.bars(found), displays.unrandomised.trend_points(found)
        assert charts.unrandomised.estimates(bars, currency="KRW") is not None
        assert charts.unrandomised.trends(points, currency="KRW") is not None
        assert list(points["window"]) == [-5, -4, -3, -2, -1, 0]
        assert points.loc[points["window"] == -1, "estimate"].item() == 0.0


def test_without_such_a_programme_nothing_is_shown():
    def with_control(members):
        return members.assign(arm=["treated", "control"] * (len(members) // 2))

    found = study(world(changes={"campaign_members": with_control}))
    assert found.unrandomised == () and displays.unrandomised.findings(found) == ()
    for make in TABLES:
        assert make(found) == {"frame": None}
    assert displays.unrandomised.estimates(found)["alt"] == displays.unrandomised.trend(found)["alt"] == " "
    tables = world()
    assert study({name: tables[name] for name in ("transactions", "customers")}).unrandomised == ()


def test_several_programmes_stand_below_each_other_the_costliest_first():
    tables = world()
    others = sorted(set(tables["customers"]["customer_id"]) - set(tables["campaign_members"]["customer_id"]))
    dinner = tables["campaigns"].assign(campaign_id="DINNER26", name="<b>Dinner</b>", contact_cost=90_000.0)
    guests = pd.DataFrame(
        {"campaign_id": "DINNER26", "customer_id": others[:150], "arm": "treated", "assigned_on": DAY.date()}
    )
    found = study(
        tables
        | {
            "campaigns": pd.concat([tables["campaigns"], dinner]),
            "campaign_members": pd.concat([tables["campaign_members"], guests]),
        }
    )
    assert [c.campaign_id for c in found.unrandomised] == ["DINNER26", "GALA26"]
    assert len(displays.unrandomised.side_by_side(found)["frame"]) == 10
    assert "<b>" not in displays.unrandomised.side_by_side(found)["note"]
    assert len(charts.unrandomised.estimates(displays.unrandomised.bars(found), currency="KRW").axes) == 2


def test_no_customer_reaches_a_table_or_a_sentence_and_keys_are_single(works, best):
    for found in (works, best):
        texts = [displays.unrandomised.sentence(c, found) for c in found.unrandomised]
        for make in TABLES:
            texts += [make(found)["note"], *make(found)["frame"].astype(str).to_numpy().ravel()]
        assert not any("D0" in text for text in texts)
        profile = make_profile()
        page = claims(found.evaluation, profile=profile, further=displays.unrandomised.findings(found))
        assert sum(f.key == "crm_roi.gala26.association" for f in page.measures) == 1
        assert page.verdict.startswith("**Nobody knows what Gala earned**")


def test_korean_pages_have_no_english_left(works, best):
    activate("ko")
    try:
        for found in (works, best):
            for make in TABLES:
                shown = make(found)
                words = " ".join([shown["title"], shown["note"], *map(str, shown["frame"].columns)])
                assert not {"the", "list", "others", "before"} & set(words.lower().split())
    finally:
        activate("en")


def test_a_period_without_data_a_year_earlier_leaves_that_column_empty():
    tables = world(changes={"transactions": lambda t: t[t["occurred_at"] >= "2025-10-01"]})
    profile = make_profile(coverage={"history_starts_on": date(2025, 10, 1)})
    found = examined(FrameScope(tables, profile))
    assert [occasion.kind for occasion in found.unrandomised[0].placebos] == ["window"]
    assert set(displays.unrandomised.side_by_side(found)["frame"]["A year earlier, nothing happened"]) == {"–"}


def test_dates_before_anybody_paid_tell_nothing():
    quiet = study(world(changes={"transactions": lambda t: t[t["occurred_at"] >= "2025-10-01"]}))
    (found,) = quiet.unrandomised
    (early,) = (occasion for occasion in found.placebos if occasion.kind == "year")
    assert early.estimates["did"].estimate == 0.0 and early.estimates["did"].low is None
    assert not displays.unrandomised.side_by_side(quiet)["frame"].empty


def test_study_takes_a_period_without_closed_campaigns():
    assert study(world(), period=Period.parse("2026Q1")).unrandomised == ()
