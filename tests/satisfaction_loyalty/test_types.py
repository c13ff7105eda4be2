"""Types of customers: rules over the whole grid, what they did next, and what binds them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crm_analysis.profile.settings import Item, Loyalty, Survey
from crm_analysis.satisfaction_loyalty.answers import Answers, prepare
from crm_analysis.satisfaction_loyalty.followup import FollowUp
from crm_analysis.satisfaction_loyalty.types import ATTACHMENT, SATISFACTION, classify, types_of

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
