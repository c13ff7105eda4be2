"""What the chapter says: another kind of verdict for another kind of truth, and a plain message for bad input."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po

from crm_analysis import language, report, style
from crm_analysis.findings import Claims
from crm_analysis.profile import Profile, load
from crm_analysis.satisfaction_loyalty import advice, captions, charts, displays
from crm_analysis.satisfaction_loyalty.displays import further, measuring, types
from crm_analysis.satisfaction_loyalty.sentences import claims
from crm_analysis.satisfaction_loyalty.stores import two_stores
from crm_analysis.satisfaction_loyalty.study import Study, analyse, very_dissatisfied_valuable
from crm_analysis.satisfaction_loyalty.verdicts import Told
from crm_analysis.units import Period

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PERIOD = Period.parse("2026Q3")
CONVEX = (0.28, 0.36, 0.44, 0.52, 0.82)
STRAIGHT = (0.34, 0.44, 0.54, 0.64, 0.74)
SATURATING = (0.18, 0.36, 0.54, 0.74, 0.74)
FLAT = (0.50, 0.50, 0.50, 0.50, 0.50)


@dataclass(eq=False)
class FakeScope:
    """A scope over frames, for what the chapter asks of one."""

    profile: Profile
    frames: dict[str, pd.DataFrame]
    branch: str = "seoul"
    period: Period = PERIOD

    @property
    def as_of(self) -> date:
        return self.period.end

    @property
    def coverage(self) -> pd.DataFrame:
        return pd.DataFrame({"branch": ["seoul"], "last_covered_day": [pd.Timestamp(PERIOD.end)]})

    def has(self, table: str) -> bool:
        return table in self.frames

    def columns(self, table: str) -> frozenset[str]:
        return frozenset(self.frames[table].columns)

    def table(self, table: str) -> ibis.Table:
        return ibis.memtable(self.frames[table])

    def previous(self) -> FakeScope:
        return FakeScope(self.profile, self.frames, self.branch, self.period.previous())

    def year_before(self) -> FakeScope:
        return FakeScope(self.profile, self.frames, self.branch, self.period.year_before())


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load(ROOT / "analyses" / "profiles" / "demo.yaml")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    language.activate("en")
    yield
    language.activate("en")


def world(rates: tuple[float, ...], *, n: int = 6000, seed: int = 1, **columns: Any) -> dict[str, pd.DataFrame]:
    """Answers over two and a half years, each of a new customer who then stays with the rate of the level."""
    rng = np.random.default_rng(seed)
    level = rng.choice(5, n, p=[0.08, 0.12, 0.25, 0.33, 0.22]) + 1
    days = [PERIOD.end - timedelta(days=int(d)) for d in rng.integers(0, 900, n)]
    who = [f"HNL-{k}" for k in range(n)]
    stays = rng.random(n) < np.asarray(rates)[level - 1]
    survey = pd.DataFrame(
        {
            "response_id": [f"r{k}" for k in range(n)],
            "branch": "seoul",
            "answered_on": pd.to_datetime(days),
            "satisfaction": level.astype(float),
            "customer_id": who,
            "gift_use": np.clip(level + rng.integers(-1, 2, n), 1, 5).astype(float),
            "courtesy": rng.integers(1, 6, n).astype(float),
            **columns,
        }
    )
    paid = [(w, d - timedelta(days=40), 20_000.0) for w, d in zip(who, days, strict=True)]
    paid += [(w, d + timedelta(days=90), 30_000.0) for w, d, s in zip(who, days, stays, strict=True) if s]
    money = pd.DataFrame(paid, columns=["customer_id", "occurred_at", "amount"]).assign(branch="seoul", kind="gift")
    money["occurred_at"] = pd.to_datetime(money["occurred_at"])
    return {"survey_responses": survey, "transactions": money[money["occurred_at"] <= pd.Timestamp(PERIOD.end)]}


def told(profile: Profile, frames: dict[str, pd.DataFrame]) -> tuple[Study, Claims, FakeScope]:
    scope = FakeScope(profile, frames)
    study = analyse(scope)  # type: ignore[arg-type]
    return study, claims(study, scope), scope  # type: ignore[arg-type]


WORDS = load(ROOT / "analyses" / "profiles" / "demo.yaml").vocabulary("en")


@pytest.mark.parametrize(
    ("rates", "opening", "headline", "action"),
    [
        (
            CONVEX,
            "Loyalty accelerates at the top",
            "accelerates at the top",
            "Work on turning “satisfied” into “very satisfied”",
        ),
        (
            STRAIGHT,
            "Loyalty rises with satisfaction, and no bend is shown",
            "rises with satisfaction, and no bend is shown",
            "Spend where a step up is cheapest, at whatever level: that one level returns more than another is not",
        ),
        (
            SATURATING,
            "Loyalty saturates at the top",
            "saturates",
            "Spend on lifting the dissatisfied up to “satisfied”",
        ),
        (
            FLAT,
            "The link is nearly flat",
            "hardly depends on satisfaction",
            "Do not pay for higher scores in the hope of more gifts",
        ),
    ],
)
def test_verdict_and_action_turn_with_the_truth(
    profile: Profile, rates: tuple[float, ...], opening: str, headline: str, action: str
) -> None:
    study, said, _scope = told(profile, world(rates, n=24_000 if rates is FLAT else 9_000))
    assert said.verdict.startswith(opening), said.verdict
    assert said.findings[0].sentence.startswith(f"**Loyalty {headline}.**"), "the front page shows this one"
    assert said.actions[0].text.startswith(action)
    assert 2 <= len(said.findings) <= 5 and all(f.sentence for f in said.findings)
    assert not any(f.causal for f in said.findings + said.measures)
    assert all(a.value is None for a in said.actions), "an association is never an expected value"
    assert "HNL-" not in repr(said)
    assert {"satisfaction_loyalty.top_box", "satisfaction_loyalty.index"} <= {
        f.key for f in said.findings + said.measures if f.compare
    }
    assert study.changed is not None


def exactly(answered: list[int], came_back: list[int]) -> dict[str, pd.DataFrame]:
    """Levels 1 to 5 with so many customers each, of whom so many came back, all answered and followed in 2026."""
    level = np.repeat(np.arange(1, 6), answered)
    stays = np.concatenate([np.arange(n) < k for n, k in zip(answered, came_back, strict=True)])
    who = [f"HNL-{k}" for k in range(level.size)]
    survey = pd.DataFrame(
        {
            "response_id": who, "customer_id": who, "branch": "seoul", "answered_on": pd.Timestamp("2026-02-01"),
            "satisfaction": level.astype(float),
        }
    )  # fmt: skip
    paid = pd.DataFrame({"customer_id": who, "occurred_at": pd.Timestamp("2025-12-01"), "amount": 20_000.0})
    again = paid[stays].assign(occurred_at=pd.Timestamp("2026-05-01"), amount=30_000.0)
    money = pd.concat([paid, again], ignore_index=True).assign(branch="seoul", kind="gift")
    return {"survey_responses": survey, "transactions": money}


@pytest.mark.parametrize(
    ("answered", "came_back", "span_apart", "step_apart"),
    [
        ([104, 60, 108, 98, 88], [50, 27, 50, 43, 55], True, True),
        ([44, 83, 53, 92, 114], [24, 41, 29, 38, 68], False, True),
        ([100, 100, 100, 100, 100], [50, 48, 50, 49, 52], False, False),
    ],
)
def test_no_link_beside_an_interval_without_zero_is_explained(
    profile: Profile, answered: list[int], came_back: list[int], span_apart: bool, step_apart: bool
) -> None:
    """Two levels alone may look different where all of them together do not: the page says why both stand."""
    study, said, _scope = told(profile, exactly(answered, came_back))
    link, finding = study.link, said.findings[0]
    assert link is not None and link.kind == "no_link" and link.any_link is not None and link.any_link.p > 0.05
    assert (not link.span_low <= 0 <= link.span_high, not finding.low <= 0 <= finding.high) == (span_apart, step_apart)
    why = "is no contradiction: it looks at two levels only, the test at all 5 together"
    assert (why in said.verdict, why in finding.sentence) == (span_apart, step_apart)
    assert "all 5 levels tested together, p = ." in said.verdict
    assert "fits the data" not in said.verdict or not span_apart
    assert finding.basis.startswith("last step, 95 % interval for all 4 steps at once")
    assert "It shows none, so the rows below it are no findings" in displays.tests_note(study, profile)
    steps = displays.steps_table(study, profile)
    assert steps["95 % interval"].iloc[-1] == style.interval(finding.low, finding.high, "points"), "one interval of it"


@pytest.mark.parametrize(
    ("answered", "came_back", "opening", "perfection"),
    [
        ([600] * 5, [60, 360, 420, 480, 492], "Loyalty saturates at the top", "comes second: a rise of up to"),
        ([4000] * 5, [800, 1600, 2400, 3200, 3200], "Loyalty saturates at the top", "Nothing on perfection"),
        ([6000] * 5, [1200, 3000, 3360, 3480, 3600], "Loyalty rises fast and flat", "comes second: a rise of up to"),
        ([6000] * 5, [1200, 3000, 3030, 3030, 3060], "Loyalty rises fast and flat", "Nothing on perfection"),
    ],
)
def test_perfection_is_ruled_out_by_verdict_and_action_alike_and_only_where_the_whole_rise_above_is_small(
    profile: Profile, answered: list[int], came_back: list[int], opening: str, perfection: str
) -> None:
    study, said, _scope = told(profile, exactly(answered, came_back))
    assert study.link is not None and study.link.kind == "saturating"
    assert said.verdict.startswith(opening), said.verdict
    assert perfection in said.actions[0].text
    if opening.endswith("top"):
        assert ("not in perfection" in said.verdict) == (perfection == "Nothing on perfection")
    assert not any(word in said.verdict for word in (" adds ", "added", "is worth", "gain")), "an association"


@pytest.mark.parametrize(
    ("rates", "kinds", "said"),
    [
        (SATURATING, ("annoys", "delights"), "“A” (annoys when bad); try it"),
        (
            SATURATING,
            ("delights", "annoys"),
            "“B” (annoys when bad), the first of its kind in the list of what to fix; “A” leads that list, but "
            "delights donors rather than keeping them from being annoyed. Try it",
        ),
        (
            SATURATING,
            ("undetermined", "annoys"),
            "“B” (annoys when bad), the first of its kind in the list of what to fix; “A” leads that list, but "
            "whether it annoys or delights is undetermined. Try it",
        ),
        (SATURATING, ("undetermined", "delights"), "“A”; try it"),
        (CONVEX, ("delights", "annoys"), "“A” (delights when good); try it"),
        (
            CONVEX,
            ("annoys", "delights"),
            "“B” (delights when good), the first of its kind in the list of what to fix; “A” leads that list, but "
            "keeps donors from being annoyed rather than delighting them. Try it",
        ),
        (
            CONVEX,
            ("undetermined", "delights"),
            "“B” (delights when good), the first of its kind in the list of what to fix; “A” leads that list, but "
            "whether it delights or annoys is undetermined. Try it",
        ),
    ],
)
def test_the_action_never_passes_over_what_leads_the_list_in_silence(
    profile: Profile, rates: tuple[float, ...], kinds: tuple[str, str], said: str
) -> None:
    """It starts with the first item of the kind that the shape asks for, and names the one that it passes over."""
    n = [900] * 5
    study, _said, scope = told(profile, exactly(n, [round(900 * rate) for rate in rates]))
    asked = pd.DataFrame(
        {"item": ["A", "B"], "kind": kinds, "room": 20.0, "established": True, "gain": [9.0, 4.0], "share": [0.4, 0.6]}
    )
    study = replace(study, drivers=replace(study.drivers, table=asked))
    assert f"starting with {said}" in advice.actions(Told(study, profile, study.link, WORDS), study, scope)[0].text  # type: ignore[arg-type]


def test_no_contrast_tells_the_rate_of_a_level_that_is_not_shown(profile: Profile) -> None:
    """Two of the 400 very satisfied did not come back: kink, last step and its money beside the others gave the two."""
    study, said, _scope = told(profile, exactly([400] * 5, [100, 140, 180, 220, 398]))
    assert study.link is not None and study.link.kind == "accelerating"
    assert "came back 43 to 45 points more often" in said.verdict and "against 10 points" in said.verdict
    link = next(each for each in said.findings if each.key.endswith(".link"))
    assert (link.value, link.low, link.high, link.basis) == (None, None, None, "association, not proof")
    keys = {each.key.rpartition(".")[2] for each in said.findings + said.measures}
    assert not keys & {"step_worth", "top_kink"}
    tests = displays.tests_table(study, profile).set_index("Test")["Result"]
    assert tests[tests == "withheld"].index.tolist() == [
        "Kink at the top, points",
        "Smallest kink at the top we could have seen, points",
    ]
    assert tests["Kink at the bottom, points"].startswith("0.0 (")
    assert "changes by – points" in tests["Best single hinge, over all inner levels"]
    cuts = further.cuts_table(study, profile).set_index("Loyalty as").loc["behaviour *"]
    hidden = cuts[["Share loyal", "Kink at the top, points", "95 % interval"]]
    assert hidden.tolist() == ["–"] * 3 and cuts["Bends"] == "upwards"
    assert displays.curve_note(study) == "" and displays.steps_table(study, profile).iloc[-1, 1] == "–"
    shown, more, _scope = told(profile, exactly([400] * 5, [100, 140, 180, 220, 380]))
    assert displays.curve_note(shown) and "withheld" not in displays.tests_table(shown, profile)["Result"].to_list()
    assert {"step_worth", "top_kink"} <= {each.key.rpartition(".")[2] for each in more.findings + more.measures}


@pytest.mark.parametrize(
    ("came_back", "opening"),
    [
        ([2, 300, 330, 360, 560], "Loyalty"),
        ([40, 42, 38, 41, 3], "More satisfied"),
        ([2, 3, 2, 3, 1], "**No link"),
    ],
)
def test_a_verdict_beside_hidden_levels_prints_bounds_or_nothing(
    profile: Profile, came_back: list[int], opening: str
) -> None:
    study, said, _scope = told(profile, exactly([600] * 5, came_back))
    assert said.verdict.startswith(opening), said.verdict
    assert study.link is not None
    for rate in study.link.levels.loc[displays.levels_told(study.link, 5), "rate"]:
        assert style.percent(rate) not in said.verdict + said.findings[0].sentence
    if opening == "**No link":
        assert said.verdict.endswith(")."), "no span between two hidden rates"
    everything(study, profile)


@pytest.mark.parametrize(
    ("answered", "came_back"),
    [([60, 100, 200, 300, 60], [18, 50, 150, 282]), ([30, 40, 60, 60, 25], [15, 22, 38, 45])],
    ids=["saturating", "not established"],
)
def test_verdict_and_advice_are_the_same_whichever_few_of_the_highest_level_stayed_away(
    profile: Profile, answered: list[int], came_back: list[int]
) -> None:
    said = [told(profile, exactly(answered, [*came_back, answered[-1] - few]))[1] for few in (1, 2, 3, 4)]
    assert len({(each.verdict, *(action.text for action in each.actions)) for each in said}) == 1


def everything(study: Study, profile: Profile) -> None:
    """Draw and tabulate all of a page."""
    charts.link_curve(**displays.curve(study, profile))
    charts.distribution(**displays.distribution(study, profile))
    charts.drivers(displays.drivers_frame(study, profile))
    charts.type_map(**types.quadrants(study, profile))
    charts.smooth_link(**further.smooth_curve(study, profile))
    assert bool(captions.smooth(study)["alt"]) == bool(study.further.splines)
    assert "nan" not in str(captions.type_map(study, profile)).lower()
    figures = [words(study, profile) for words in (captions.link_curve, captions.distribution, captions.drivers)]
    for words in figures:
        assert set(words) - {"table"} == {"title", "alt", "how_to_read"}
    for words in figures[:2]:
        assert bool(words["alt"]) != bool(study.missing)
    assert bool(figures[2]["alt"]) == (not study.missing and len(study.drivers.table) > 0)
    of_both = (
        captions.fix_first, captions.scores, captions.steps, captions.silence, captions.unscored, captions.stated,
        captions.pitfalls, captions.ways, captions.cuts, captions.adjusted,
        captions.branch_steps, captions.branch_split, captions.type_cuts, captions.attachment_cuts,
    )  # fmt: skip
    beside = (captions.groups(study, profile), captions.answered_again(study), captions.waves(study))
    drawn = (
        charts.spread(displays.groups_spread(study, profile), head=displays.index_head()),
        charts.answered_again(displays.again_frame(study)),
        charts.waves(**measuring.waves(study)),
    )
    for words, drawing in zip(beside, drawn, strict=True):
        assert drawing is not None or "table" not in words
        assert "{" not in words["how_to_read"] and "nan" not in str(words.get("table", "")).lower()
    tables = [table(study, profile) for table in of_both]
    tables += [captions.tests(study, profile), captions.answers(study), captions.stores(study)]
    assert (tables[-1]["frame"] is None) == (len(study.branches) < 2)
    for frame in [words.get("table") for words in figures] + [table["frame"] for table in tables]:
        assert frame is None or "nan" not in frame.to_string().lower()
    for table in tables:
        report.table(**table)
    assert captions.tests(study, profile)["note"].endswith(displays.footing_line(study))


def test_a_page_without_survey_names_the_table(profile: Profile) -> None:
    study, said, scope = told(profile, {"transactions": world(FLAT, n=50)["transactions"]})
    assert "not measured" in said.verdict and not said.findings
    assert very_dissatisfied_valuable(study, scope).empty  # type: ignore[arg-type]
    everything(study, profile)


@pytest.mark.parametrize(
    ("change", "opening"),
    [
        (lambda s: s.head(20), "**Too few answers to say"),
        (lambda s: s.head(0), "**Too few answers to say"),
        (lambda s: s.assign(satisfaction=4.0), "**All "),
        (lambda s: s.assign(satisfaction=s["satisfaction"] * 2), "The answers do not fit the scale"),
        (lambda s: s.assign(customer_id=None), "**Too few answers to say"),
        (lambda s: s.assign(customer_id="nobody"), "**Too few answers to say"),
        (lambda s: s.assign(customer_id="HNL-1"), "**Too few answers to say"),
        (lambda s: s.assign(satisfaction=9.0), "**Too few answers to say"),
        (lambda s: s.assign(answered_on=s["answered_on"] - pd.Timedelta(days=60)), "**Too few answers to say"),
        (lambda s: pd.concat([s.head(3)] * 10), "**Too few answers to say"),
        (lambda s: s.assign(weight=np.where(np.arange(len(s)) % 2, 1.0, -1.0)), "Satisfied"),
    ],
    ids=[
        "20",
        "none",
        "one level",
        "wrong scale",
        "anonymous",
        "unknown",
        "one respondent",
        "only codes",
        "before the first transaction",
        "ten answers each",
        "every other weight negative",
    ],
)
def test_bad_input_gets_a_plain_message_and_the_page_lives(profile: Profile, change: Any, opening: str) -> None:
    frames = world(STRAIGHT, n=1500)
    frames["survey_responses"] = change(frames["survey_responses"])
    study, said, _scope = told(profile, frames)
    assert said.verdict.startswith(opening), said.verdict
    everything(study, profile)


def test_what_was_said_before_the_first_transaction_is_counted(profile: Profile) -> None:
    frames = world(STRAIGHT, n=1500)
    frames["survey_responses"] = frames["survey_responses"].assign(
        answered_on=frames["survey_responses"]["answered_on"] - pd.Timedelta(days=60)
    )
    study, _said, _scope = told(profile, frames)
    assert "answered before the first transaction" in displays.footing_line(study)
    assert study.types is not None and study.types.satisfaction is None and study.further.adjusted is None


def test_what_stands_behind_the_link_turns_with_the_truth(profile: Profile) -> None:
    frames = world(CONVEX, n=9000)
    convex, _said, _scope = told(profile, frames)
    straight, _said, _scope = told(profile, world(STRAIGHT, n=9000))
    flat, _said, _scope = told(profile, world(FLAT, n=24_000))
    assert convex.further.hinge is not None and straight.further.hinge is not None
    assert (convex.further.hinge.label, convex.further.hinge.p < 0.01) == ("4", True)
    assert straight.further.hinge.p > 0.01
    assert flat.further.zone is not None and (flat.further.zone.first, flat.further.zone.last) == ("1", "5")
    assert straight.further.zone is not None and straight.further.zone.first == ""
    cuts = convex.further.loyalties.cuts
    assert list(cuts.loc[cuts["way"] == "relationship", "cut"]) == [1, 2]
    assert cuts.loc[cuts["way"] == "behavioural", "bend"].iloc[0] == "up"
    assert not cuts.loc[(cuts["way"] == "behavioural") & (cuts["cut"] == 3), "shown"].item(), "nobody came three times"
    everything(convex, profile)


def test_only_pitfalls_that_apply_are_printed(profile: Profile) -> None:
    """Answers crowded at the top are a ceiling, repeated ones come back to the middle; fresh even ones are neither."""
    even, _said, _scope = told(profile, world(STRAIGHT, n=3000))
    shown = captions.pitfalls(even, profile)["frame"]
    assert not shown["Pitfall"].str.contains("Ceiling|Regression|Thin").any()
    frames = world(STRAIGHT, n=3000)
    survey = frames["survey_responses"]
    crowded = survey.assign(
        customer_id=[f"HNL-{k // 2}" for k in range(len(survey))],
        satisfaction=np.where(np.arange(len(survey)) % 10 < 7, 5.0, survey["satisfaction"]),
    )
    study, _said, _scope = told(profile, frames | {"survey_responses": crowded})
    shown = captions.pitfalls(study, profile)["frame"].set_index("Seen in")["Pitfall"]
    assert shown["How satisfied they are"].startswith("Ceiling")
    assert shown["The same people, asked again"].startswith("Regression to the mean")
    assert captions.answered_again(study)["title"] == "The same people, asked again"
    everything(study, profile)


def test_two_branches_with_one_index_and_different_answers_are_named(profile: Profile) -> None:
    rng = np.random.default_rng(3)
    frames = world(STRAIGHT, n=4000)
    survey = frames["survey_responses"].assign(branch=np.where(np.arange(4000) % 2, "seoul", "busan"))
    pair = two_stores()
    for branch, shares in (("seoul", pair.table["first"]), ("busan", pair.table["second"])):
        here = (survey["branch"] == branch).to_numpy()
        survey.loc[here, "satisfaction"] = rng.choice([1.0, 2, 3, 4, 5], here.sum(), p=shares / shares.sum())
    scope = FakeScope(profile, frames | {"survey_responses": survey}, branch="all")
    study = analyse(scope)  # type: ignore[arg-type]
    words = captions.groups(study, profile)
    assert "indexes that do not differ beyond chance" in words["how_to_read"]
    assert words["how_to_read"].startswith(("Seoul and Busan", "Busan and Seoul"))
    spread = displays.groups_spread(study, profile)
    assert set(spread["name"]) == {"Seoul", "Busan", "Donors"}
    assert spread[spread["name"] == "Seoul"]["share"].sum() == pytest.approx(1)


@pytest.mark.parametrize(("elsewhere", "differ"), [(FLAT, True), (CONVEX, False)])
def test_the_finding_of_all_says_itself_that_branches_do_not_share_one_curve(
    profile: Profile, elsewhere: tuple[float, ...], differ: bool
) -> None:
    """The front page prints the finding without the verdict around it."""
    n = [900] * 5
    there = exactly(n, [round(900 * rate) for rate in elsewhere])
    names = {"customer_id": "HNL-b-" + there["transactions"]["customer_id"], "branch": "busan"}
    there["transactions"] = there["transactions"].assign(**names)
    survey = there["survey_responses"]
    there["survey_responses"] = survey.assign(
        response_id="b-" + survey["response_id"], customer_id="HNL-b-" + survey["customer_id"], branch="busan"
    )
    here = exactly(n, [round(900 * rate) for rate in CONVEX])
    both = {name: pd.concat([here[name], there[name]], ignore_index=True) for name in here}
    scope = FakeScope(profile, both, branch="all")
    study = analyse(scope)  # type: ignore[arg-type]
    said = claims(study, scope)  # type: ignore[arg-type]
    assert study.branches_differ == differ
    assert said.findings[0].key == "satisfaction_loyalty.link"
    assert ("the branches do not share one curve.**" in said.findings[0].sentence) == differ
    assert ("The branches do not share one curve" in said.verdict) == differ


def test_a_level_that_would_tell_a_small_number_is_not_drawn(profile: Profile) -> None:
    study, said, _scope = told(profile, world((0.01, 0.3, 0.5, 0.6, 0.8), n=3000))
    curve = displays.curve_frame(study, profile)
    kept, n = study.link.levels[["loyal", "n"]].iloc[0] if study.link else (0, 0)
    assert (0 < kept < 5) == bool(np.isnan(curve["rate"].iloc[0]))
    if 0 < kept < 5:
        assert curve["label"].iloc[0].startswith("<") and f"{kept / n:.1%}" not in said.findings[0].sentence
        assert displays.steps_table(study, profile).iloc[0, 1] == "–"
    assert charts.link_curve(**displays.curve(study, profile)) is not None


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan])
def test_unusable_weights_are_said(profile: Profile, weight: float) -> None:
    frames = world(STRAIGHT, n=1500, weight=weight)
    study, said, _scope = told(profile, frames)
    assert (study.answers.n == 1500) and ("No weight in the survey is positive" in " ".join(said.unknowns)) == (
        not np.isnan(weight)
    )


def test_zero_to_ten_scale(profile: Profile) -> None:
    survey = profile.survey.model_copy(
        update={"satisfaction": profile.survey.satisfaction.model_copy(update={"scale": (0, 10), "codes": []})}
    )
    frames = world(STRAIGHT, n=6000)
    frames["survey_responses"]["satisfaction"] = frames["survey_responses"]["satisfaction"] * 2
    study, said, _scope = told(profile.model_copy(update={"survey": survey}), frames)
    assert study.link is not None and list(study.link.levels["label"]) == ["0-2", "3-4", "5-6", "7-8", "9-10"]
    assert said.verdict.startswith("Loyalty rises with satisfaction, and no bend is shown")
    assert study.link.kind == "straight" and "could have been missed" in said.verdict


def test_levels_without_loyal_customers(profile: Profile) -> None:
    study, said, _scope = told(profile, world((0.0, 0.0, 0.0, 0.0, 1.0), n=1500))
    assert said.verdict.startswith("Loyalty accelerates at the top")
    everything(study, profile)


def test_callbacks_are_the_dissatisfied_who_pay_most(profile: Profile) -> None:
    study, _said, scope = told(profile, world(STRAIGHT, n=3000))
    chosen = very_dissatisfied_valuable(study, scope)  # type: ignore[arg-type]
    assert len(chosen) and (chosen["satisfaction"] == 1).all() and chosen["customer_id"].is_unique
    assert (chosen["answered_on"] >= pd.Timestamp(PERIOD.start)).all()


def _marked() -> set[str]:
    """Every string that this chapter marks for translation."""
    package = ROOT / "crm_analysis" / "satisfaction_loyalty"
    sources = [path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))]
    notebook = json.loads((ROOT / "analyses" / "satisfaction_loyalty.ipynb").read_text(encoding="utf-8"))
    sources += ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources.append(f'_("{"".join(notebook["cells"][0]["source"]).removeprefix("# ")}")')
    found = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                assert isinstance(node.args[0], ast.Constant), ast.unparse(node)
                found.add(node.args[0].value)
    return found


def test_korean_is_complete_and_keeps_every_field() -> None:
    with open(ROOT / "crm_analysis" / "locale" / "ko" / "satisfaction_loyalty.po", "rb") as stream:
        catalog = {str(m.id): str(m.string) for m in read_po(stream, locale="ko") if m.id and m.string}
    missing = sorted(_marked() - catalog.keys())
    assert not missing, missing
    for text, korean in catalog.items():
        fields = {part.split("}")[0] for part in text.split("{")[1:]}
        assert {part.split("}")[0] for part in korean.split("{")[1:]} <= fields, text
        assert text.count("**") == korean.count("**"), text


def test_korean_page(profile: Profile) -> None:
    language.activate("ko")
    _study, said, _scope = told(profile.model_copy(update={"language": "ko"}), world(CONVEX, n=6000))
    assert "매우 만족" in said.verdict and "Loyalty" not in said.verdict


def test_the_method_page_shows_the_pair_that_the_library_makes() -> None:
    page = (ROOT / "book" / "methods" / "satisfaction_loyalty.md").read_text(encoding="utf-8")
    for row in displays.stores_table(two_stores()).itertuples(index=False, name=None):
        assert f"| {' | '.join(row)} |" in page
