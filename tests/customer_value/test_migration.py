"""Migration: everybody of before and of now exactly once, and what moved with them adds up."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers, language, privacy
from crm_analysis.customer_value import charts, migration, scores, tiers
from crm_analysis.customer_value.displays import migration as shown
from crm_analysis.customer_value.displays import tiers as shown_tiers
from crm_analysis.customer_value.migration import BACK, LOST, MOVES, NEW, migrate
from crm_analysis.customer_value.profits import customer_profits
from crm_analysis.customer_value.wording import CHEAP, segment_name, segment_treatment
from crm_analysis.estimators.proportions import wilson

pytestmark = pytest.mark.slow

ORDER = ("gold", "silver", "new")


class State(SimpleNamespace):
    """Told apart by identity, as `CustomerValue` is: what is told of one is kept."""

    __eq__, __hash__ = object.__eq__, object.__hash__


def groups(**given: tuple[str, float]) -> pd.DataFrame:
    """customer_id, group, value."""
    rows = [(name, group, value) for name, (group, value) in given.items()]
    return pd.DataFrame(rows, columns=["customer_id", "group", "value"]).astype({"value": float})


def test_a_table_small_enough_to_read():
    before = groups(a=("gold", 100), b=("gold", 90), c=("silver", 10), d=("new", 5), e=("silver", 20))
    after = groups(a=("gold", 120), b=("silver", 30), c=("gold", 60), d=("silver", 15), f=("new", 3), g=("new", 4))
    found = migrate(before, after, order=ORDER, known=pd.Series([*"abcde", "g"]), label="2026Q2")
    assert found.matrix.loc["gold"].to_dict() == {"gold": 1, "silver": 1, "new": 0, LOST: 0}
    assert found.matrix.loc["silver"].to_dict() == {"gold": 1, "silver": 0, "new": 0, LOST: 1}
    assert found.matrix.loc[NEW, "new"] == 1 and found.matrix.loc[BACK, "new"] == 1
    moves = found.moves.set_index("move")
    assert dict(moves["n"]) == {"up": 2, "same": 1, "down": 1, LOST: 1, NEW: 1, BACK: 1}
    assert dict(moves["value"]) == {"up": 60.0, "same": 20.0, "down": -60.0, LOST: -20.0, NEW: 3.0, BACK: 4.0}
    assert dict(moves["of"]) == {"up": 5, "same": 5, "down": 5, LOST: 5, NEW: 6, BACK: 6}
    assert found.net[0] == after["value"].sum() - before["value"].sum() == 7.0
    up = wilson(2, 5)
    assert (moves.loc["up", "low"], moves.loc["up", "high"]) == (up.low, up.high)


@pytest.mark.parametrize("seed", range(5))
def test_the_table_foots(seed):
    """Rows sum to before, columns to now, moves to both, values to the change; the order of rows is irrelevant."""
    rng = np.random.default_rng(seed)

    def draw(share: float) -> pd.DataFrame:
        ids = [f"c{i}" for i in range(300) if rng.random() < share]
        return pd.DataFrame(
            {"customer_id": ids, "group": rng.choice(ORDER, len(ids)), "value": rng.normal(50, 40, len(ids))}
        )

    before, after = draw(0.8), draw(0.7)
    known = before["customer_id"].tolist() + ["c1", "c2", "c3"]
    found = migrate(before, after, order=ORDER, known=pd.Series(known), label="x")
    everybody = set(before["customer_id"]) | set(after["customer_id"])
    assert found.matrix.to_numpy().sum() == len(everybody) == found.moves["n"].sum()
    assert found.customers["customer_id"].is_unique and set(found.customers["customer_id"]) == everybody
    assert dict(found.matrix.loc[list(ORDER)].sum(axis=1)) == dict(before["group"].value_counts().reindex(ORDER))
    assert dict(found.matrix[list(ORDER)].sum()) == dict(after["group"].value_counts().reindex(ORDER))
    assert found.moves["value"].sum() == pytest.approx(after["value"].sum() - before["value"].sum())
    assert found.moves.set_index("move").loc[["up", "same", "down", LOST], "share"].sum() == pytest.approx(1.0)
    mixed = migrate(
        before.sample(frac=1, random_state=1), after.sample(frac=1, random_state=2), order=ORDER,
        known=pd.Series(known), label="x",
    )  # fmt: skip
    assert mixed.matrix.equals(found.matrix)


def test_the_interval_of_what_moved_covers():
    """Drawn again and again from one population, the interval holds the mean change in about 95 of 100."""
    rng, inside, rounds, n = np.random.default_rng(8), 0, 1000, 200
    for _ in range(rounds):
        _value, low, high = migration.summed(pd.Series(rng.normal(3, 10, n)))
        inside += low <= 3 * n <= high
    assert 0.93 <= inside / rounds <= 0.97


def test_a_stray_group_and_a_customer_twice_are_refused():
    good = groups(a=("gold", 1))
    for bad in (groups(a=("platinum", 1)), pd.concat([good, good])):
        with pytest.raises(ValueError, match="each customer is in one group"):
            migrate(good, bad, order=ORDER, known=pd.Series(["a"]), label="x")


@pytest.mark.parametrize("n", [0, 1])
def test_nobody_or_one(n):
    each = groups(a=("gold", 1)).iloc[:n]
    found = migrate(each, each, order=ORDER, known=each["customer_id"], label="x")
    assert found.moves["n"].sum() == n
    assert all(math.isnan(limit) for limit in found.net[1:])
    assert found.moves["share"].isna().all() == (n == 0)


def shop(n: int = 400, seed: int = 4, months: int = 36, until: str = "2026-09-30") -> pd.DataFrame:
    """Monthly buyers, a quarter of whom stop half a year before the end while the best buy more."""
    rng = np.random.default_rng(seed)
    end, rows = pd.Timestamp(until), []
    for i in range(n):
        start, size = int(rng.integers(3, months)), float(rng.gamma(2, 30))
        stop = 6 if i % 4 == 0 else 0
        rows += [
            (f"c{i}", end - pd.DateOffset(months=back) - pd.Timedelta(days=int(rng.integers(0, 20))), size)
            for back in range(start, stop, -2)
        ]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def seen(scope) -> State:
    """The part of `assess` that tiers and migration rest on."""
    status, previous, earlier = customers.status(scope), scope.previous(), None
    earned = customer_profits(scope, status)
    cuts = scores.cuts(status, scope.profile.value, source="")
    if previous is not None:
        before = customers.status_at(previous, previous.as_of)
        earlier = (previous, before, customer_profits(previous, before))
    now, then = tiers.now_and_before(scope, status, earned, earlier)
    moved = migration.between(
        (now, status, earned), (then, *earlier[1:]) if earlier else None, cuts, label=str(scope.period.previous())
    )
    scored = scores.score_customers(status, cuts)
    found = {"status": status, "profits": earned, "tiers": now, "migration": moved, "scores": scored}
    everybody = SimpleNamespace(customers=status, why="", lines=SimpleNamespace(priced=True))
    return State(scope=scope, outlook=everybody, matrix=everybody, **found)


def test_thresholds_are_frozen_at_the_period_before(scope_of):
    """Everybody pays twice as much since: with cut points of their own nobody would have moved."""
    log = shop()
    log["amount"] *= np.where(log["occurred_at"] > pd.Timestamp(2026, 6, 30), 3.0, 1.0)
    rules = [{"name": f"t{n}", "amount": {"top_share": n / 4}} for n in (1, 2, 3)] + [{"name": "t4"}]
    state = seen(scope_of({"transactions": log}, tiers={"rules": rules}))
    moves = state.migration.by_tier.moves.set_index("move")
    assert state.tiers.thresholds.source == "2026Q2"
    assert moves.loc["up", "n"] > 2 * moves.loc["down", "n"]
    assert state.tiers.table["share"].iloc[0] > 0.3


def test_tiers_now_are_those_of_the_table(scope_of):
    state = seen(scope_of({"transactions": shop()}))
    found, table = state.migration.by_tier, state.tiers.table.set_index("tier")
    assert dict(found.matrix[list(found.order)].sum()) == dict(table["n"])
    segments = state.migration.by_segment
    assert set(segments.order) == {name for name, _test in scores.SEGMENTS}
    scored = state.scores["segment"].value_counts().reindex(list(segments.order)).fillna(0).astype(int)
    assert dict(segments.matrix[list(segments.order)].sum()) == dict(scored)


@pytest.mark.parametrize(
    ("period", "months", "why", "said"),
    [
        ("2026Q3", 20, "", "moved up"),
        ("2026Q3", 13, "short", "the data do not cover the year before 2026Q2 ended"),
        ("2023Q4", 36, "no_previous", "there is no period before to compare with"),
    ],
)
def test_without_a_year_before_nobody_moves(scope_of, period, months, why, said):
    state = seen(scope_of({"transactions": shop(months=months)}, period=period))
    found = shown.tiers(state)
    assert state.migration.by_tier.why == state.migration.by_segment.why == why
    assert said in found["how_to_read"] + found["alt"]
    if why:
        assert all(math.isnan(value) for value in state.migration.by_tier.net)
        assert shown.move_table(state).empty and charts.migration(shown.tier_heat(state)) is None
        assert shown.moves(state)["frame"] is None, "the figure above it says why; once is enough"


def test_pages_hide_small_cells_and_foot_where_they_show(scope_of):
    state = seen(scope_of({"transactions": shop()}))
    matrix = shown.tiers(state)["table"]
    cells = {str(text) for text in matrix.to_numpy()[:, 1:].ravel()}
    assert not cells & {"1", "2", "3", "4"}
    heat = shown.tier_heat(state)
    assert ((heat.sum(axis=1) <= 1 + 1e-9) & (heat.fillna(0) >= 0).all(axis=1)).all()
    table = shown.move_table(state)
    assert len(table) == len(MOVES) + 1
    assert charts.migration(heat) is not None and charts.segment_map(shown_tiers.bars(state)) is not None


GROUPS = ("best", "loyal", "sleeping", "gone")


def moved_segments(scope_of, log: pd.DataFrame, **counts: dict[str, int]) -> State:
    """A state whose segments are as given, of branch x to begin with: from "before_after" to how many of a branch."""
    rows = [
        (f"{pair}-{branch}-{i}", branch, *pair.split("__"))
        for pair, of_branch in counts.items()
        for branch, n in of_branch.items()
        for i in range(n)
    ]
    each = pd.DataFrame(rows, columns=["customer_id", "branch", "before", "after"])
    before = each[["customer_id", "before"]].set_axis(["customer_id", "group"], axis=1).assign(value=10.0)
    after = each[["customer_id", "after"]].set_axis(["customer_id", "group"], axis=1).assign(value=4.0)
    found = migrate(before, after, order=GROUPS, known=each["customer_id"], label="2026Q2")
    return peopled(
        each[["customer_id", "branch"]],
        scope=scope_of({"transactions": log}),
        scores=each.loc[each["after"].isin(GROUPS), ["customer_id", "after"]].rename(columns={"after": "segment"}),
        migration=SimpleNamespace(by_tier=None, by_segment=found),
    )


def peopled(people: pd.DataFrame, **given) -> State:
    """A state in which all of these are active, and each part of the page counts them all."""
    status = people.assign(status="active")
    everybody = SimpleNamespace(customers=status, outside=status.iloc[:0], why="", lines=SimpleNamespace(priced=True))
    parts = dict.fromkeys(("outlook", "matrix", "profits", "tiers"), everybody)
    return State(status=status, **parts, **given)


def test_how_many_fell_is_told_only_where_each_number_of_them_is(scope_of):
    """Who fell from a group, less the cells that are shown, would be a cell that is not."""
    common = {
        "best__best": {"x": 90},
        "loyal__best": {"x": 40},
        "gone__gone": {"x": 80},
        "sleeping__sleeping": {"x": 60},
    }
    open_ = moved_segments(scope_of, shop(8), **common, best__sleeping={"x": 30}, best__gone={"x": 20})
    veiled = moved_segments(scope_of, shop(8), **common, best__sleeping={"x": 30}, best__gone={"x": 3})
    said = [shown.segments(state)["how_to_read"].replace("\N{NO-BREAK SPACE}", " ") for state in (open_, veiled)]
    assert "from **Best**: 50 fell or left, €300 a year" in said[0]
    assert "from **Best**: €198 a year, with those who fell or left" in said[1] and "33" not in said[1]
    assert "< 5" in shown.segments(veiled)["table"].to_numpy()


def test_those_lost_are_treated_as_the_segments_say(scope_of):
    """Whoever the map of segments reaches at low cost is not contacted first for having fallen."""
    common = {"loyal__best": {"x": 40}, "gone__gone": {"x": 80}, "best__best": {"x": 60}}
    fell = {"sleeping__gone": "sleeping", "best__loyal": "best"}
    said = {
        key: shown.segments(moved_segments(scope_of, shop(8), **common, **{move: {"x": 50}}))["how_to_read"]
        for move, key in fell.items()
    }
    assert "no more on them than the cheapest contact" in said["sleeping"] and "Contact first" not in said["sleeping"]
    assert "Contact first whoever of them is expected to pay" in said["best"]
    for key in migration.BEST_FIRST:
        low = any(word in segment_treatment(key, commitments=True) for word in ("low cost", "cheapest", "no cost"))
        assert low == (key in CHEAP), key


def test_where_few_never_paid_the_migration_does_not_sum_to_all_in_a_segment(scope_of):
    """How many have a status is told elsewhere: less all who have a segment, it would tell those without."""
    counts = {"best__best": {"x": 90}, "best__sleeping": {"x": 30}, "gone__gone": {"x": 80}, "gone__best": {"x": 40}}
    state = moved_segments(scope_of, shop(8), **counts)
    assert "withheld" not in shown.segments(state)["table"].to_numpy()
    for n, hides in ((3, True), (30, False)):
        unpaid = pd.DataFrame({"customer_id": [f"u{i}" for i in range(n)], "branch": "x"})
        people = pd.concat([state.status[["customer_id", "branch"]], unpaid], ignore_index=True)
        more = peopled(people, scope=state.scope, scores=state.scores, migration=state.migration)
        assert ("withheld" in shown.segments(more)["table"].to_numpy()) is hides


def test_what_a_table_of_groups_hides_the_migration_does_not_sum_to(scope_of):
    """Four of branch y are asleep: their number is hidden in all, and so is a cell of every line that gives it.

    Branch z hides the same cell, beside two who are gone, yet tells how many of it are asleep.
    """
    state = moved_segments(
        scope_of,
        shop(8),
        best__best={"x": 90, "y": 40, "z": 40},
        best__loyal={"x": 30, "y": 20, "z": 20},
        loyal__loyal={"x": 50, "y": 60, "z": 40},
        loyal__sleeping={"x": 300, "y": 4, "z": 20},
        loyal__gone={"z": 2},
        gone__gone={"x": 80, "y": 50, "z": 40},
        gone__best={"x": 80, "y": 50, "z": 40},
    )
    now = state.migration.by_segment.customers.merge(state.status, on="customer_id")
    parts = pd.crosstab(now["after"], now["branch"])
    unsaid = privacy.hide_of_all(parts, 5)
    assert unsaid["sleeping"], "the table of segments hides it"
    table = shown.segments(state)["table"].set_index("From")
    for group in unsaid.index[unsaid]:
        column = table[segment_name(group)]
        assert column.isin(["withheld", "< 5"]).any(), group


def test_one_customer_who_holds_it_all_is_not_told(scope_of):
    log = shop(60)
    log.loc[log["customer_id"] == "c1", "amount"] = 1e7
    state = seen(scope_of({"transactions": log}))
    words = shown_tiers.figure(state)["how_to_read"]
    assert "of the profit" not in words and "Blue" not in words, "no bar of profit is drawn, and none is explained"
    assert set(shown_tiers.bars(state)["measure"]) == {"customers"}
    assert "withheld" in shown_tiers.table(state).to_numpy()
    assert shown.move_table(state).iloc[-1, 3] == "withheld"


def test_tiers_that_would_tell_a_small_branch_say_so(scope_of):
    log = shop(60)
    few = log[log["customer_id"] == "c1"].assign(branch="y")
    named = [log, *(few.assign(customer_id=f"y{i}") for i in range(3))]
    rules = {"rules": [{"name": "Often", "visits": 2}, {"name": "Rest"}]}
    state = seen(scope_of({"transactions": pd.concat(named, ignore_index=True).fillna({"branch": "x"})}, tiers=rules))
    assert shown_tiers.bars(state).empty
    assert "too few people of one branch" in shown_tiers.figure(state)["alt"]
    alone = seen(scope_of({"transactions": shop(3)}, tiers=rules))
    assert "too few people make them up" in shown_tiers.figure(alone)["alt"]


def test_a_calendar_year_that_is_not_covered_has_no_tiers(scope_of):
    state = seen(scope_of({"transactions": shop(months=13)}, tiers={"year": "calendar"}))
    assert not state.tiers.covered
    assert shown_tiers.bars(state).empty and shown_tiers.table(state).empty
    assert "do not cover the year up to 31 December 2025" in shown_tiers.figure(state)["alt"]


def test_sentences_turn_with_the_data(scope_of):
    """Who stops and who buys more: the sentence says which, and the same in Korean."""
    grown, shrunk = shop(), shop()
    recent = grown["occurred_at"] > pd.Timestamp(2026, 6, 30)
    grown.loc[recent, "amount"] *= 5
    states = [seen(scope_of({"transactions": log})) for log in (grown, shrunk[~recent])]
    texts = [shown.tiers(state)["how_to_read"] for state in states]
    assert "yearly profit rose by" in texts[0] and "yearly profit fell by" in texts[1]
    assert "Contact first whoever of them is expected to pay for it" in texts[1]
    language.activate("ko")
    korean = shown.tiers(states[1])["how_to_read"]
    assert "먼저 연락" in korean and "줄었습니다" in korean
    assert shown_tiers.table(states[0]).columns[0] == "등급"


def test_own_names_are_data(scope_of):
    rules = [{"name": {"en": "<b>Top</b>", "ko": "최상"}, "visits": 4}, {"name": "Rest"}]
    state = seen(scope_of({"transactions": shop()}, tiers={"rules": rules}))
    assert "<b>" not in shown_tiers.figure(state)["how_to_read"]
    assert state.tiers.order == ("<b>Top</b>", "Rest")
