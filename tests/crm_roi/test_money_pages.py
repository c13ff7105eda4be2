"""The money on the page: every table and figure, in both languages, with nothing of a customer in it."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from crm_analysis import language
from crm_analysis.crm_roi import captions, charts, displays
from crm_analysis.crm_roi.amounts import Amount, PerUnit
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.lifetime import Bucket
from crm_analysis.crm_roi.sentences import claims
from crm_analysis.crm_roi.study import examine
from tests.crm_roi.conftest import FrameScope, association, make_profile

pytestmark = pytest.mark.slow

PROFILE = make_profile()
TABLES = {
    "lines": displays.costing.lines,
    "one_more": displays.costing.one_more,
    "break_even": displays.costing.break_even,
    "summary": displays.cash.summary,
    "scenario": displays.cash.scenario,
    "draws": displays.sensitivity.draws,
    "use": lambda study: displays.discounts.use(study, PROFILE.vocabulary("en")),
    "after_window": displays.discounts.after_window,
    "five_points": lambda study: displays.lifetime.five_points(study, PROFILE),
    "bucket": lambda study: displays.lifetime.bucket(study, PROFILE),
    "winning": displays.lifetime.winning,
    "alongside": displays.programme.alongside,
    "claims": displays.textbook.claims,
}
FIGURES = {
    "cash": lambda s: (charts.cash_curves(displays.cash.curves(s), currency="KRW"), displays.cash.figure(s)),
    "tornado": lambda s: (charts.tornado(displays.sensitivity.bars(s), currency="KRW"), displays.sensitivity.figure(s)),
    "whole": lambda s: (
        charts.programme_curve(displays.programme.curve(s), currency="KRW"),
        displays.programme.figure(s),
    ),
}


@pytest.fixture(scope="module")
def study(scope):
    return examine(scope)


def test_whether_the_whole_has_paid_closes_the_verdict_and_only_where_it_is_known(study, branch):
    sentence = displays.programme.sentence(study.finance.programme, "KRW")
    for found, told in ((study, True), (branch, False)):
        said = claims(found.evaluation, profile=PROFILE, further=displays.findings(found, profile=PROFILE))
        assert said.verdict.endswith(sentence) == told and ("their systems included" in said.verdict) == told
    assert "**" not in displays.programme.figure(study)["alt"]


def test_a_branch_page_says_that_planned_costs_are_those_of_all_branches(study, branch):
    assert captions.plan(branch.evaluation)["title"].endswith(", all branches together")
    assert not captions.plan(study.evaluation)["title"].endswith(", all branches together")


def test_a_running_programme_is_said_to_be_in_the_table_alone(study):
    assert "since too early to judge: Autumn letter." in captions.portfolio(study.evaluation)["how_to_read"]
    nothing = dataclasses.replace(study.evaluation, running=())
    assert "too early" not in captions.portfolio(nothing)["how_to_read"]


@pytest.mark.parametrize(
    ("rate", "cell"),
    [
        (Amount(74.9, 1.21, None), "> 100\xa0%"),
        (Amount(0.33, 0.23, 1.4), "33\xa0% (at least 23\xa0%)"),
        (Amount(0.33, 0.23, 0.56), "33\xa0% (23 to 56\xa0%)"),
    ],
)
def test_a_margin_rate_that_cannot_be_reached_has_no_digits(study, rate, cell):
    costing = tuple(dataclasses.replace(each, break_even_rate=rate) for each in study.finance.costing)
    turned = dataclasses.replace(study, finance=dataclasses.replace(study.finance, costing=costing))
    assert set(displays.costing.break_even(turned)["frame"]["Margin rate at least"]) == {cell}


def test_no_cell_shows_raw_marks(study, branch, empty):
    for found in (study, branch, empty):
        frames = [make(found)["frame"] for make in TABLES.values()]
        frames += [item["frame"] for item in displays.cards.cards(found, profile=PROFILE)["given"]]
        for frame in frames:
            assert frame is None or not frame.astype(str).apply(lambda column: column.str.contains("`")).any().any()


@pytest.fixture(scope="module")
def empty():
    tables = association()
    del tables["campaigns"], tables["campaign_members"]
    return examine(FrameScope(tables, PROFILE))


@pytest.fixture(scope="module")
def branch():
    return examine(FrameScope(association(), PROFILE, branch="seoul"))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_title_and_words_and_no_customer(name, study, branch):
    for page in (study, branch):
        told = TABLES[name](page)
        assert told["title"] and told["note"]
        text = " ".join(told["frame"].astype(str).to_numpy().ravel())
        assert not re.search(r"D0\d\d\d|nan|None|inf\b", text), text


@pytest.mark.parametrize("name", TABLES)
def test_without_campaigns_there_is_no_table(name, empty):
    assert TABLES[name](empty) == {"frame": None}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_its_words_and_its_table(name, study, empty):
    drawing, words = FIGURES[name](study)
    assert drawing is not None and words["alt"].strip() and words["how_to_read"] and len(words["table"])
    nothing, silent = FIGURES[name](empty)
    assert nothing is None and silent["alt"] == " "


def test_a_branch_page_says_where_the_whole_is(branch):
    drawing, words = FIGURES["whole"](branch)
    assert drawing is None and "is on the page of all" in words["alt"]


@pytest.mark.parametrize("name", TABLES)
def test_korean_pages_are_korean(name, study):
    language.activate("ko")
    try:
        told = TABLES[name](study)
    finally:
        language.activate("en")
    assert re.search("[가-힣]", told["title"]) and re.search("[가-힣]", told["note"])
    assert not any(re.search(r"\b(the|of|and)\b", str(column)) for column in told["frame"])


def test_findings_are_named_once_and_carry_their_interval(study):
    every = [each.key for each in displays.findings(study, profile=PROFILE)]
    assert len(set(every)) == len(every)
    topics = displays.costing, displays.cash, displays.discounts, displays.lifetime, displays.programme
    found = [each for topic in topics for each in topic.findings(study)]
    keys = [each.key for each in found]
    assert set(keys) <= set(every)
    assert {"crm_roi.call26.present_value", "crm_roi.five_points", "crm_roi.leak", "crm_roi.programme_net"} <= set(keys)
    assert all(each.low is not None and each.basis and each.definition for each in found)


def test_the_forgotten_cost_is_found_by_planned_against_actual(study):
    table = displays.costing.lines(study)["frame"]
    row = table[table["Cost"] == "rewards"].iloc[0]
    assert (row["Planned"], row["Actual"], row["Over the plan"]) == ("0\xa0won", "300,000\xa0won", "300,000\xa0won")


def test_the_page_turns_with_the_truth():
    def told(**kwargs):
        found = examine(FrameScope(association(**kwargs), PROFILE))
        return displays.sensitivity.figure(found)["alt"], displays.cash.summary(found)["frame"].iloc[0]

    earned, lost = told(lift=60_000.0), told(cost=30_000_000.0)
    assert re.match(r"0\.\d\smonths \(0\.\d to 0\.\d\smonths\)", earned[1]["Paid back after"]), earned[1]
    assert lost[1]["Paid back after"] == "never"
    assert "> 99" in earned[1]["Chance that it is above zero"] and "< 1" in lost[1]["Chance that it is above zero"]
    assert "no single assumption turns it" in earned[0]


def test_what_an_interval_lacks_is_said():
    assert intervals.amount(Amount(5.0, 2.0, None), "money", "KRW") == "5\xa0won (at least 2\xa0won)"
    assert intervals.amount(Amount(5.0, None, 9.0), "money", "KRW") == "5\xa0won (at most 9\xa0won)"
    assert intervals.amount(Amount(5.0, None, None), "money", "KRW") == "5\xa0won"
    assert intervals.amount(None, "money") == "–"
    assert displays.costing._per_unit(PerUnit(None, None, None, Amount(-1, -2, 1)), "KRW") == "none"
    assert intervals.months(None) == "never"


def bucket_of(branch, kept, lost, new, back):
    return Bucket(branch, kept + lost, lost, new, back, kept + new + back, None, None)


def test_small_counts_of_the_bucket_are_hidden_with_what_would_tell_them():
    parts = (bucket_of("seoul", 300, 40, 60, 3), bucket_of("gwangju", 200, 30, 50, 20))
    whole = bucket_of("all", 500, 70, 110, 23)
    told = displays.lifetime._counts((whole, *parts), 5)
    seoul, gwangju = told[1], told[2]
    assert seoul["n_back"] == "withheld" and "withheld" in (seoul["n_new"], seoul["kept"])
    assert gwangju["n_back"] == "20", "the branch's own page shows it"
    assert told[0]["n_back"] == "withheld", "all of them less Gwangju's would be Seoul's"
    numbers = dict(zip(("kept", "n_lost", "n_new", "n_back"), (300, 40, 60, 3), strict=True))
    hidden = [name for name in numbers if seoul[name] == "withheld"]
    for line in (("kept", "n_lost"), ("kept", "n_new", "n_back")):
        assert sum(name in hidden for name in line) != 1, "one hidden cell alone would follow from its sum"


def test_money_of_single_months_that_few_paid_is_not_drawn(study):
    veiled = tuple(dataclasses.replace(each, withheld=True) for each in study.finance.cash)
    page = dataclasses.replace(study, finance=dataclasses.replace(study.finance, cash=veiled))
    drawing, words = FIGURES["cash"](page)
    assert drawing is None and "month by month" in words["alt"] and words["table"].empty
    assert len(displays.cash.summary(page)["frame"]) == 1, "the total stays"


def test_many_programmes_share_panels_and_long_names_fit():
    curves = pd.concat(
        pd.DataFrame(
            {
                "name": f"Programme {i} " + "x" * 60,
                "month": range(4),
                "total": np.arange(4) - i,
                "low": -3.0,
                "high": 3.0,
            }
        )
        for i in range(4)
    )
    assert len(charts.cash_curves(curves, currency="KRW").axes) == 4
