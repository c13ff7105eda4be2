"""Types of customers: rules over the whole grid, what they did next, and what binds them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crm_analysis.profile.settings import Item, Loyalty, Privacy, Survey
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare
from crm_analysis.satisfaction_loyalty.displays.cuts import left_out, shown_cuts
from crm_analysis.satisfaction_loyalty.followup import FollowUp
from crm_analysis.satisfaction_loyalty.types import ATTACHMENT, CAP, SATISFACTION, Typing, classify, types_of

RULE = Loyalty(repeat_from=2)
SAID_ON = pd.Timestamp("2026-01-01")


def followed(**columns: object) -> FollowUp:
    """Customers who answered on one day; columns are broadcast."""
    base = {
        "branch": "a", "answered_on": SAID_ON, "satisfaction": 4.0, "weight": 1.0, "loyal": True, "margin": 10.0,
        "times": 1.0, "first_on": SAID_ON, "times_before": 2.0, "prior": 0.0, "channel": None,
    }  # fmt: skip
    length = max(len(value) for value in columns.values() if isinstance(value, list | np.ndarray))
    frame = pd.DataFrame({name: columns.get(name, value) for name, value in base.items()}, index=range(length))
    names = [f"c{k}" for k in range(length)]
    return FollowUp(
        frame=frame.assign(customer_id=names, response_id=[f"r{k}" for k in range(length)]),
        counts=pd.DataFrame(columns=["step", "rule", "rows"]),
        first=None,
        last=None,
        window_days=180,
        silence=None,
    )


def answers_of(follow: FollowUp, **items: object) -> Answers:
    settings = {name: Item(role="attachment") for name in items}
    raw = follow.frame[["response_id", "customer_id", "branch", "answered_on", "satisfaction"]]
    return prepare(raw.assign(**items), Survey(items=settings))


@pytest.mark.parametrize("names", [ATTACHMENT, SATISFACTION])
def test_every_customer_has_exactly_one_type(names: tuple[str, ...]) -> None:
    grid = [(attitude, times) for attitude in range(1, 6) for times in range(5)]
    attitude, times = (pd.Series(values) for values in zip(*grid, strict=True))
    found = types_of(attitude, times, 4, 2, names)
    assert found.notna().all() and set(found) == set(names)
    assert set(found[(attitude >= 4) & (times >= 2)]) == {names[0]}
    assert set(found[(attitude >= 4) & (times < 2)]) == {names[1]}
    assert set(found[(attitude < 4) & (times >= 2)]) == {names[2]}
    assert set(found[(attitude < 4) & (times < 2)]) == {names[3]}


def test_shares_add_up_over_every_cut_and_retention_stands_beside() -> None:
    rng = np.random.default_rng(3)
    n = 800
    follow = followed(
        satisfaction=rng.integers(1, 6, n).astype(float), times_before=rng.integers(0, 5, n).astype(float),
        loyal=rng.random(n) < 0.5, margin=rng.exponential(20, n),
    )  # fmt: skip
    found = classify(follow, answers_of(follow, close=rng.integers(1, 6, n).astype(float)), None, RULE)
    assert found.satisfaction is not None and found.attachment is not None and found.held is None
    for typing in (found.satisfaction, found.attachment):
        assert typing.shares["share"].sum() == pytest.approx(1) and typing.shares["n"].sum() == n
        totals = typing.grid.groupby(["attitude_from", "repeat_from"])[["share", "n"]].sum()
        assert totals["share"].to_numpy() == pytest.approx(1) and (totals["n"] == n).all()
        main = typing.grid[typing.grid["main"]]
        assert main["n"].tolist() == typing.shares["n"].tolist()
        assert (
            (typing.shares["low"] < typing.shares["share"]) & (typing.shares["share"] < typing.shares["high"])
        ).all()
        kept = float((typing.shares["n"] * typing.shares["kept"]).sum())
        assert kept == pytest.approx(follow.frame["loyal"].sum())
        assert typing.shares["bound"].isna().all()


def some(n: int, seed: int, **columns: object) -> tuple[FollowUp, Typing]:
    """Customers of every kind, and their types by satisfaction."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, object] = {
        "satisfaction": rng.integers(1, 6, n).astype(float), "times_before": rng.integers(0, 5, n).astype(float),
        "loyal": rng.random(n) < 0.5, "margin": rng.exponential(20, n),
    }  # fmt: skip
    follow = followed(**(drawn | columns))
    found = classify(follow, answers_of(follow), None, RULE).satisfaction
    assert found is not None
    return follow, found


def test_what_a_type_did_and_brought_is_known_at_every_cut() -> None:
    """By brute force over the rows; over the four types of a cut nobody and no money is lost."""
    follow, typing = some(600, 4)
    frame = follow.frame
    capped = frame["margin"].clip(upper=frame["margin"].quantile(CAP))
    assert len(typing.grid) == 9 * 4
    for (attitude, times), part in typing.grid.groupby(["attitude_from", "repeat_from"]):
        high, often = frame["satisfaction"] >= attitude, frame["times_before"] >= times
        for name, here in zip(SATISFACTION, (high & often, high & ~often, ~high & often, ~high & ~often), strict=True):
            row = part.set_index("type").loc[name]
            assert row["n"] == here.sum()
            assert row["kept"] == pytest.approx(frame.loc[here, "loyal"].mean())
            assert row["kept_low"] < row["kept"] < row["kept_high"]
            assert row["value"] == pytest.approx(capped[here].mean())
            assert row["value_low"] < row["value"] < row["value_high"]
        assert (part["n"] * part["kept"]).sum() == pytest.approx(frame["loyal"].sum())
        assert (part["n"] * part["value"]).sum() == pytest.approx(capped.sum())
    main = typing.grid[typing.grid["main"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(main[typing.shares.columns], typing.shares)


def between(cuts: list[float]) -> list[tuple[float, float]]:
    """Every stretch that begins and ends at a cut, or is open."""
    edges = [-np.inf, *cuts, np.inf]
    return [(low, high) for k, low in enumerate(edges) for high in edges[k + 1 :]]


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 600, 3000])
@pytest.mark.parametrize("outcomes", [False, True])
def test_no_two_cuts_that_are_shown_tell_of_too_few_by_their_difference(n: int, outcomes: bool) -> None:
    rule = Privacy(min_cell=5)
    shown = []
    for seed in range(3):
        follow, typing = some(n, seed)
        cuts = shown_cuts(typing, rule, outcomes=outcomes)
        assert 4 in cuts["attitude"] and 2 in cuts["times"], "the profile's own cuts stand"
        size = len(cuts["attitude"]) * len(cuts["times"])
        shown.append(size)
        if size == 1:
            continue
        frame = follow.frame
        for low, high in between(cuts["attitude"]):
            for first, last in between(cuts["times"]):
                here = frame["satisfaction"].ge(low) & frame["satisfaction"].lt(high)
                here &= frame["times_before"].ge(first) & frame["times_before"].lt(last)
                assert not 0 < here.sum() < 5
                if outcomes:
                    kept = frame.loc[here, "loyal"]
                    assert not 0 < kept.sum() < 5 and not 0 < (~kept).sum() < 5
    if n == 3000:
        assert shown == [9] * 3, "where every place is large all cuts are shown"
    if n == 40:
        assert max(shown) < 9


def test_all_branches_show_no_cut_that_less_the_other_branches_tells_of_a_small_one() -> None:
    """Branch b has two customers who are satisfied with 5 and came often; branch a has many of every kind."""
    rng = np.random.default_rng(8)
    many = 4000
    _follow, typing = some(
        many + 60, 9,
        branch=["a"] * many + ["b"] * 60,
        satisfaction=[*rng.integers(1, 6, many).astype(float), *[5.0] * 2, *[4.0] * 28, *[1.0] * 30],
        times_before=[*rng.integers(0, 5, many).astype(float), *[4.0] * 60],
    )  # fmt: skip
    assert 5 not in shown_cuts(typing, Privacy(min_cell=5), outcomes=False)["attitude"]
    assert 5 in shown_cuts(typing, Privacy(min_cell=2), outcomes=False)["attitude"], "two may be told there"
    assert left_out(typing, Privacy(min_cell=5))
    alone = some(many, 9)[1]
    assert not left_out(alone, Privacy(min_cell=5))
    assert 5 in shown_cuts(alone, Privacy(min_cell=5), outcomes=False)["attitude"]


def test_what_one_customer_brought_is_not_told_by_two_cuts() -> None:
    margin = np.full(3000, 1.0)
    follow, _typing = some(3000, 2)
    margin[follow.frame.index[(follow.frame["satisfaction"] == 4) & (follow.frame["times_before"] >= 3)][0]] = 1e6
    _follow, typing = some(3000, 2, margin=margin)
    with_money = shown_cuts(typing, Privacy(min_cell=5), outcomes=True)
    assert len(with_money["attitude"]) * len(with_money["times"]) < 9
    assert shown_cuts(typing, Privacy(min_cell=5), outcomes=False) == {"attitude": [3, 4, 5], "times": [1, 2, 3]}


def test_cut_points_come_from_the_profile() -> None:
    follow = followed(satisfaction=[3.0, 3.0, 5.0, 5.0], times_before=[5.0, 1.0, 5.0, 1.0])
    rule = Loyalty(satisfied_from=3, attached_from=2, repeat_from=5)
    found = classify(follow, answers_of(follow, close=[1.0, 2.0, np.nan, 5.0]), None, rule)
    assert found.satisfaction is not None and found.attachment is not None
    assert found.satisfaction.shares.set_index("type")["n"].to_dict() == {
        "apostles": 2, "mercenaries": 2, "hostages": 0, "defectors": 0
    }  # fmt: skip
    assert found.attachment.n == 3
    assert found.attachment.shares.set_index("type").loc["inertial", "n"] == 1


def test_hostages_are_held_by_what_ran_on_the_day_of_the_answer() -> None:
    follow = followed(satisfaction=[2.0] * 4 + [5.0] * 4, times_before=[3.0] * 8)
    day = pd.to_datetime
    commitments = pd.DataFrame(
        {
            "customer_id": ["c0", "c1", "c2", "c3", "c4", "c4"],
            "started_on": day(["2025-01-01", "2025-01-01", "2026-02-01", "2025-01-01", "2025-01-01", "2025-06-01"]),
            "ended_on": day([None, None, None, "2025-12-01", None, None]),
            "expires_on": day(["2026-03-01", "2027-01-01", None, None, None, None]),
        }
    )
    found = classify(follow, answers_of(follow), commitments, RULE)
    assert found.satisfaction is not None and found.held is not None
    bound = found.satisfaction.shares.set_index("type")["bound"]
    assert bound["hostages"] == pytest.approx(2 / 4), "one began later, one had ended"
    assert bound["apostles"] == pytest.approx(1 / 4)
    assert found.held.value == pytest.approx(0.25)
    assert found.over == (1, 2), "of two with a last day, one contract ran out within the follow-up"


def test_without_answers_there_are_no_types() -> None:
    follow = followed(satisfaction=[4.0]).frame.head(0)
    empty = FollowUp(frame=follow, counts=pd.DataFrame(), first=None, last=None, window_days=180, silence=None)
    found = classify(empty, prepare(follow, Survey()), None, RULE)
    assert found.attachment is None and found.satisfaction is None
