"""Waves, items, service gaps and repeated answers, against published figures, brute force and simulation."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from crm_analysis import style
from crm_analysis.estimators.proportions import detectable, linear_scores, two_means, weighted_mean
from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty import displays, gaps, servqual, waves
from crm_analysis.satisfaction_loyalty.answers import STAFF_KINDS, Answers, prepare
from crm_analysis.satisfaction_loyalty.displays import measuring
from crm_analysis.satisfaction_loyalty.measure import change, measure, panel_covariance

DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.realdata("sfo_2017.csv")
DIMENSIONS = ("tangibles", "reliability", "responsiveness", "assurance", "empathy")
SERVICE = Survey.model_validate(
    {
        "satisfaction": {"role": "overall", "scale": [1, 7]},
        "items": {
            **{f"e_{d}": {"role": "expectation", "scale": [1, 7], "dimension": d} for d in DIMENSIONS},
            **{
                f"p_{d}": {"role": "perception", "scale": [1, 7], "dimension": d, "expects": f"e_{d}"}
                for d in DIMENSIONS
            },
            **{f"w_{d}": {"role": "importance", "scale": [0, 100], "dimension": d} for d in DIMENSIONS},
        },
    }
)
PLAIN = Survey.model_validate({"items": {"advice": {"scale": [0, 10], "role": "recommend"}, "a": {"target": 4}}})


def frame(scores: object, **columns: object) -> pd.DataFrame:
    scores = np.asarray(scores, dtype=float)
    names = [f"c{k}" for k in range(len(scores))]
    given = {"customer_id": names, "branch": "a", "answered_on": pd.Timestamp("2026-08-01")} | columns
    return pd.DataFrame({"response_id": [f"r{k}" for k in range(len(scores))], "satisfaction": scores, **given})


def service(gap: tuple[float, ...], points: tuple[float, ...] | None, n: int = 60) -> Answers:
    """Every respondent expects 6, finds 6 plus the gap of the dimension, and gives the same points."""
    columns: dict[str, object] = {f"e_{d}": 6.0 for d in DIMENSIONS}
    columns |= {f"p_{d}": 6.0 + g for d, g in zip(DIMENSIONS, gap, strict=True)}
    if points is not None:
        columns |= {f"w_{d}": w for d, w in zip(DIMENSIONS, points, strict=True)}
    return prepare(frame(np.full(n, 5), **columns), SERVICE)


def test_published_service_gaps() -> None:
    """Gaps -.65, -1.10, -.83, -.70, -1.01: plain -.858; with 100-point weights 11, 32, 22, 19, 16: -.9007."""
    answers = service((-0.65, -1.10, -0.83, -0.70, -1.01), (11, 32, 22, 19, 16))
    found = servqual.examine(answers.frame, answers, fewest=30)
    assert found.plain is not None and found.plain.mean == pytest.approx(-0.858)
    assert found.weighted is not None and found.weighted.mean == pytest.approx(-0.9007)
    assert list(found.dimensions["dimension"]) == list(DIMENSIONS)
    assert found.dimensions["importance"].tolist() == pytest.approx([0.11, 0.32, 0.22, 0.19, 0.16])


def test_each_respondents_weights_come_before_the_average() -> None:
    """Two respondents, opposite gaps and opposite points: average weights would hide that each misses what matters."""
    gap = pd.DataFrame({"x": [-2.0, 0.0], "y": [0.0, -2.0]})
    points = pd.DataFrame({"x": [100.0, 0.0], "y": [0.0, 100.0]})
    assert servqual.overall(gap, points).tolist() == [-2.0, -2.0]
    assert servqual.overall(gap).tolist() == [-1.0, -1.0]
    assert servqual.overall(gap, points * 7).tolist() == [-2.0, -2.0], "points of any total"
    assert servqual.overall(gap, points * 0).isna().all(), "no points, no weights"


def test_service_gaps_say_why_there_are_none() -> None:
    answers = prepare(frame([1, 2, 3]), SERVICE)
    assert servqual.examine(answers.frame, answers, fewest=30).reason == "no_pairs"
    few = service((0, 0, 0, 0, 0), None, n=5)
    assert servqual.examine(few.frame, few, fewest=30).reason == "too_few"
    without = service((-1, 0, 0, 0, 0), None)
    found = servqual.examine(without.frame, without, fewest=30)
    assert found.weighted is None and found.dimensions["importance"].isna().all()
    assert math.isnan(found.dimensions["p"].iloc[0]), "no variation, no test"


@needs_data
def test_sfo_waves() -> None:
    """SFO overall rating, weighted top box: .21334 (SE .00784) in 2013, .26502 (.00941) in 2017, z 4.218 (n form)."""
    waves_of = {}
    for year, column in ((2013, "Q7O_WHOLE"), (2017, "Q7ALL")):
        raw = pd.read_csv(DATA / f"sfo_{year}.csv")
        score = pd.to_numeric(raw[column], errors="coerce")
        kept = score.between(1, 5)
        waves_of[year] = [
            weighted_mean((score[kept] == 5).astype(float), weights=raw.loc[kept, "WEIGHT"], correction=correction)
            for correction in (False, True)
        ]
    before, now = waves_of[2013][0], waves_of[2017][0]
    assert (before.mean, now.mean) == pytest.approx((0.21334, 0.26502), abs=6e-6)
    assert (before.se, now.se) == pytest.approx((0.00784, 0.00941), abs=6e-6)
    moved = two_means(before, now)
    assert moved.value / moved.se == pytest.approx(4.218, abs=6e-4)
    corrected = two_means(waves_of[2013][1], waves_of[2017][1])
    assert corrected.value / corrected.se == pytest.approx(4.2174, abs=6e-5)


def test_panel_of_everybody_is_the_paired_test() -> None:
    """Where the same people answer twice, the change has the standard error of the paired differences."""
    rng = np.random.default_rng(4)
    first = rng.integers(1, 6, 200).astype(float)
    second = np.clip(first + rng.integers(-1, 2, 200), 1, 5)
    answers = prepare(frame(np.concatenate([first, second]), customer_id=[f"c{k}" for k in range(200)] * 2), PLAIN)
    early, late = answers.frame.iloc[:200], answers.frame.iloc[200:]
    moved = change(
        measure(late, answers, PLAIN),
        measure(early, answers, PLAIN),
        later_rows=late,
        earlier_rows=early,
        answers=answers,
        survey=PLAIN,
    )
    paired = 25 * (second - first)
    assert moved.panel == 200
    assert moved.index.value == pytest.approx(paired.mean())
    assert moved.index.se == pytest.approx(paired.std(ddof=1) / math.sqrt(200))
    assert moved.detectable_index == pytest.approx(detectable(moved.index.se))
    assert moved.detectable_index / moved.index.se == pytest.approx(1.959964 + 0.841621, abs=1e-5)


def test_covariance_without_a_panel_is_nothing() -> None:
    values = pd.Series([1.0, 2.0, 3.0])
    known, unknown = (pd.DataFrame({"customer_id": ids, "weight": 1.0}) for ids in (["a", "b", "c"], [None] * 3))
    assert panel_covariance(values, values, earlier_rows=known, later_rows=unknown, weighted=False) == 0
    assert linear_scores(values).sum() == pytest.approx(0)


@pytest.mark.slow
def test_partial_panel_covers() -> None:
    """Half of the people answer twice: the interval covers the true change 93 to 97 times in a hundred."""
    rng, n, hits = np.random.default_rng(11), 160, 0
    trials = 1500
    for _ in range(trials):
        person = rng.normal(0, 1, 240)
        early, late = np.arange(160), np.arange(80, 240)
        values = [pd.Series(person[who] + rng.normal(0, 0.6, n)) for who in (early, late)]
        rows = [pd.DataFrame({"customer_id": who.astype(str), "weight": 1.0}) for who in (early, late)]
        shared = panel_covariance(*values, earlier_rows=rows[0], later_rows=rows[1], weighted=False)
        moved = two_means(weighted_mean(values[0]), weighted_mean(values[1]), covariance=shared)
        hits += moved.low <= 0 <= moved.high
    assert 0.93 <= hits / trials <= 0.97


def test_one_respondent_answering_ten_times_is_one_draw() -> None:
    """Everybody ten times over: the interval is as wide as with everybody once."""
    scores = np.array([5.0, 4, 4, 3, 1, 5, 2, 4, 3, 5] * 4)
    once = prepare(frame(scores), PLAIN)
    often = prepare(frame(np.tile(scores, 10), customer_id=[f"c{k}" for k in range(40)] * 10), PLAIN)
    a, b = (measure(each.frame, each, PLAIN) for each in (once, often))
    assert b.repeats == 360 and a.repeats == 0
    assert b.index.mean == pytest.approx(a.index.mean) and b.index.se == pytest.approx(a.index.se)
    assert b.index.n_effective == pytest.approx(40)
    assert (b.top_box.low, b.top_box.high) == pytest.approx((a.top_box.low, a.top_box.high), abs=0.002)


def test_clusters_by_brute_force() -> None:
    rng = np.random.default_rng(2)
    y, w, stratum, who = rng.normal(size=40), rng.uniform(0.5, 2, 40), rng.integers(0, 2, 40), rng.integers(0, 15, 40)
    z = w * (y - (w @ y) / w.sum()) / w.sum()
    total = 0.0
    for layer in (0, 1):
        sums = pd.Series(z[stratum == layer]).groupby(who[stratum == layer]).sum()
        total += len(sums) / (len(sums) - 1) * ((sums - sums.mean()) ** 2).sum()
    assert weighted_mean(y, weights=w, strata=stratum, clusters=who).se == pytest.approx(math.sqrt(total))


def test_item_gaps_are_adjusted_and_know_their_target() -> None:
    rng = np.random.default_rng(8)
    survey = Survey.model_validate({"items": {name: {"target": 3.0} for name in "abcdef"}})
    columns = {name: rng.integers(1, 6, 240).astype(float) for name in "abcdef"}
    columns["a"][120:] = np.clip(columns["a"][120:] + 1, 1, 5)
    answers = prepare(frame(np.full(240, 4), **columns), survey)
    table = gaps.item_gaps(answers.frame.iloc[120:], answers.frame.iloc[:120], answers).set_index("item")
    z = {n: stats.ttest_ind(columns[n][120:], columns[n][:120], equal_var=False).statistic for n in "abcdef"}
    alone = {n: 2 * float(stats.norm.sf(abs(value))) for n, value in z.items()}
    adjusted = multipletests(list(alone.values()), method="holm")[1]
    assert table["change_p"].to_dict() == pytest.approx(dict(zip(alone, adjusted, strict=True)))
    assert table["change_p"]["a"] < 0.001
    assert table["to_target"].tolist() == pytest.approx((table["mean"] - 3).tolist())
    assert gaps.item_gaps(answers.frame, None, answers)["change"].isna().all()


def test_few_answers_have_no_change_and_identical_answers_no_error() -> None:
    answers = prepare(frame(np.full(80, 5), a=np.full(80, 5.0)), PLAIN)
    table = gaps.item_gaps(answers.frame.iloc[20:], answers.frame.iloc[:20], answers)
    assert table["change"].isna().all(), "fewer than thirty before"
    same = gaps.item_gaps(answers.frame.iloc[40:], answers.frame.iloc[:40], answers).iloc[0]
    assert (same["change"], same["change_p"], same["detectable"]) == (0, 1.0, 0)
    assert math.isnan(same["to_target_p"])


def test_items_count_where_the_overall_score_is_missing_and_faults_are_counted() -> None:
    survey = Survey.model_validate(
        {"items": {"advice": {"scale": [0, 10], "role": "recommend", "codes": [11]}, "b": {"codes": [9]}, "c": {}}}
    )
    answers = prepare(
        frame(
            [5, np.nan, 4, 77, 3, 2, 1],
            advice=[10, 10, 0, 9, 11, 3, np.nan],
            b=[1, 9, 7, 5, 4, 3, 2],
            c=[8, 9, 10, 1, 2, 3, 10],
        ),
        survey,
    )
    assert answers.n == 5 and len(answers.unscored) == 2
    assert answers.off_scale[["item", "given"]].values.tolist() == [
        ["satisfaction", 77.0],
        ["b", 7.0],
        ["c", 8.0],
        ["c", 9.0],
        ["c", 10.0],
        ["c", 10.0],
    ], "set aside, not lost"
    wave = measure(answers.whole, answers, survey)
    assert wave.n == 5 and wave.nps is not None and wave.nps.n == 5
    assert wave.nps.mean == pytest.approx(100 * (3 - 2) / 5)
    assert wave.promoters.groupby("group")["share"].sum()["promoters"] == pytest.approx(0.6)
    assert wave.promoters["share"].sum() == pytest.approx(1)
    counts = answers.item_counts.set_index("item")
    assert counts.loc["b", ["blank", "code", "out_of_range", "used"]].tolist() == [0, 1, 1, 5]
    assert counts["fault"].to_dict() == {"advice": "", "b": "", "c": "scale_mismatch"} and "c" not in answers.items
    parts = counts[["blank", "code", "out_of_range", "used"]].sum(axis=1)
    assert (parts.loc[["advice", "b"]] == counts.loc[["advice", "b"], "answers"]).all()


def test_given_equal_and_estimated_weights() -> None:
    survey = Survey.model_validate({"items": {"a": {}, "b": {}}, "index_weights": {"a": 3, "b": 1}})
    answers = prepare(frame([3, 3], a=[5, 5], b=[1, 1]), survey)
    assert measure(answers.frame, answers, survey).index.mean == pytest.approx(75)
    estimated = survey.model_copy(update={"index_weights": {"a": 0.2, "b": 0.6}})
    found = measure(answers.frame, answers, estimated)
    assert found.index.mean == pytest.approx(25) and found.index_items == ("a", "b")
    equal = survey.model_copy(update={"index_weights": {"a": 1, "b": 1}})
    assert measure(answers.frame, answers, equal).index.mean == pytest.approx(50)


def test_waves_in_order_and_the_one_before() -> None:
    when = pd.to_datetime(["2024-05-01"] * 4 + ["2026-05-01"] * 6 + ["2025-05-01"] * 5)
    answers = prepare(frame(np.full(15, 4), answered_on=when, wave=["z"] * 4 + ["a"] * 6 + ["m"] * 5), PLAIN)
    table = waves.over_time(answers, PLAIN, until=pd.Timestamp("2026-12-31").date(), fewest=5)
    assert list(table["wave"]) == ["m", "a"], "by date, small waves left out"
    name, rows = waves.before(answers, pd.Timestamp("2026-01-01").date())
    assert name == "m" and len(rows) == 5
    assert waves.before(answers, pd.Timestamp("2020-01-01").date())[0] == ""


def test_staff_and_dealers_by_the_same_functions() -> None:
    kinds = ["customer"] * 10 + ["staff"] * 6 + ["dealer"] * 6
    raw = frame([4] * 10 + [2] * 6 + [5] * 6, respondent_kind=kinds, branch=["a"] * 16 + ["b"] * 6)
    customers, others = prepare(raw, PLAIN), prepare(raw, PLAIN, kinds=STAFF_KINDS)
    day = pd.Timestamp("2026-08-01").date()
    table = waves.kinds_by_branch(customers, others, PLAIN, first=day, last=day, fewest=5)
    assert table[["branch", "kind", "n"]].values.tolist() == [
        ["a", "customer", 10],
        ["a", "staff", 6],
        ["b", "dealer", 6],
    ]
    assert table["index"].tolist() == [75, 25, 100]
    assert [[n for _label, n, _share in levels] for levels in table["levels"]] == [
        [0, 0, 0, 10, 0],
        [0, 6, 0, 0, 0],
        [0, 0, 0, 0, 6],
    ]


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ((150, 150, 150, 150, 400), (100, 120, 160, 470, 150), True),  # indexes 62.5 and 61.2
        ((6, 8, 10, 12, 54), (12, 14, 12, 17, 35), False),  # 77.8 and 63.6: apart in both
        ((3, 2, 6, 10, 20), (0, 3, 7, 20, 12), False),  # alike, the top levels apart by chance
    ],
)
def test_two_groups_are_only_named_where_indexes_are_alike_and_tops_apart_over_all_pairs(
    first: tuple[int, ...], second: tuple[int, ...], named: bool
) -> None:
    """The largest of many differences is found by looking at all of them."""
    groups = {}
    for name, counts in (("a", first), ("b", second), *((f"c{k}", second) for k in range(8))):
        answers = prepare(frame(np.repeat(np.arange(1, 6), counts)), PLAIN)
        groups[name] = measure(answers.frame, answers, PLAIN)
    study = SimpleNamespace(branches=groups)
    profile = SimpleNamespace(privacy=SimpleNamespace(min_cell=1), branch_name=lambda branch, _language: branch)
    said = displays.groups_says(study, profile)  # type: ignore[arg-type]
    assert bool(said) == named, said
    assert not named or said.startswith("a and b have indexes that do not differ beyond chance")


def test_the_distribution_of_a_group_hides_small_counts_and_two_more_as_its_index_stands_beside_it() -> None:
    levels = tuple((str(k), n, n / 40) for k, n in enumerate((0, 3, 7, 10, 20), start=1))
    shown = measuring._level_shares(levels, 5)
    assert [shown[level] for level in "2345"] == ["–", "–", "–", style.percent(0.5)]
    assert measuring._level_shares(levels, 1)["2"] == style.percent(0.075)
