"""Answers to the satisfaction survey.

Behaviour comes first; the level that a donor answers is then drawn given what the donor does in the 180 days after,
so that P(pays again | level) is the branch's planted curve. Occasional donors are asked more often than regular ones,
so that who answers is less loyal than who does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from crm_analysis.demo.donors import day
from crm_analysis.demo.history import History, choose_at_rate, draw_given_outcome
from crm_analysis.demo.truth import END, FOLLOW_UP_DAYS, START, Truth

ITEMS: Final = ("gift_use", "transfers", "courtesy", "information", "recommend", "keep_giving", "attachment")
# what donors expect of each item on 1 to 5, and the points out of 100 they give its dimension, on average
EXPECTED: Final = {"gift_use": 4.3, "transfers": 4.7, "courtesy": 4.4, "information": 3.9}
POINTS: Final = {"gift_use": 28, "transfers": 24, "courtesy": 14, "information": 34}
EXPECTATIONS: Final = (
    *(f"{item}_expected" for item in EXPECTED),
    *(f"{item}_points" for item in POINTS),
)
TANGIBLES: Final = ("letters", "letters_expected", "letters_points")
# how letters and receipts look: P(score 1-5), whatever the level; more than is expected of them; few points
_LETTERS: Final = (0.02, 0.06, 0.20, 0.42, 0.30)
_LETTERS_EXPECTED: Final = 3.6
_LETTERS_POINTS: Final = 11
_POINTS_OF_THE_LET_DOWN: Final = 16
DONT_KNOW: Final = 9
NO_RECOMMENDATION: Final = 99
_DAY = np.timedelta64(1, "D")
_ACTIVE_DAYS = 400
_REGULAR_ASKED = 0.40
# P(item score 1-5 | satisfaction level 1-5), one row per level
_DELIGHTS: Final = np.array([[0.10, 0.20, 0.38, 0.24, 0.08]] * 4 + [[0.02, 0.06, 0.17, 0.33, 0.42]])
_ANNOYS: Final = np.array(
    [[0.42, 0.32, 0.17, 0.06, 0.03], [0.24, 0.34, 0.26, 0.12, 0.04]] + [[0.06, 0.13, 0.31, 0.32, 0.18]] * 3
)
_WEAK: Final = np.array(
    [[0.02, 0.06, 0.14, 0.36, 0.42], [0.01, 0.05, 0.12, 0.36, 0.46], [0.01, 0.03, 0.10, 0.34, 0.52],
     [0.01, 0.02, 0.09, 0.32, 0.56], [0.00, 0.02, 0.07, 0.29, 0.62]]
)  # fmt: skip
_EVEN: Final = np.array(
    [[0.18, 0.28, 0.32, 0.16, 0.06], [0.11, 0.22, 0.34, 0.24, 0.09], [0.06, 0.15, 0.33, 0.32, 0.14],
     [0.03, 0.09, 0.28, 0.38, 0.22], [0.02, 0.05, 0.21, 0.38, 0.34]]
)  # fmt: skip
_BUSAN_TRANSFER_TROUBLE: Final = 0.30


def simulate_surveys(rng: np.random.Generator, truth: Truth, donors: pd.DataFrame, history: History) -> pd.DataFrame:
    """One row per answer of a donor or a member of staff, in order of the day of the answer."""
    asked = _asked(rng, donors, history)
    answered = []
    scale = len(donors) / sum(b.donors for b in truth.branches.values())
    for code, branch in enumerate(truth.branches.values()):
        pool = asked[(asked["branch"] == code) & (asked["day"] <= pd.Timestamp(branch.last_day))]
        share = min(branch.answers * scale / len(pool), 1.0)
        for _, wave in pool.groupby("wave"):  # so that no wave differs from the others in more than chance
            chosen = choose_at_rate(rng, wave["again"].to_numpy(), round(share * len(wave)), branch.repeat_rate)
            answered.append(wave.iloc[chosen])
    taken = pd.concat(answered, ignore_index=True)
    taken["level"] = 0
    for code, branch in enumerate(truth.branches.values()):
        mine = (taken["branch"] == code).to_numpy()
        drawn = draw_given_outcome(rng, taken["again"].to_numpy()[mine], branch.level_shares, branch.repeat_by_level)
        taken.loc[mine, "level"] = 1 + drawn
    answers = pd.concat([taken, _staff(rng, truth, scale)], ignore_index=True)
    return _with_items(rng, answers).sort_values(["day", "donor"], kind="stable", ignore_index=True)


def add_expectations(rng: np.random.Generator, answers: pd.DataFrame) -> pd.DataFrame:
    """The answers with what was expected of four items, and with 100 points shared out among these, as further columns.

    Whoever was let down by an item (1 or 2) gives it more points, so that the gap weighted by each donor's own points
    is worse than the plain one.
    """
    n = len(answers)
    found = answers.copy()
    for item, mean in EXPECTED.items():
        found[f"{item}_expected"] = np.clip(np.round(mean + rng.normal(0, 0.7, n)), 1, 5).astype(int)
    raw = {
        item: np.maximum(mean + rng.normal(0, 5, n), 1) + _POINTS_OF_THE_LET_DOWN * (answers[item].to_numpy() <= 2)
        for item, mean in POINTS.items()
    }
    total = sum(raw.values())
    given = {item: np.floor(100 * points / total).astype(int) for item, points in raw.items()}
    first = next(iter(given))
    given[first] = given[first] + 100 - sum(given.values())
    for item, points in given.items():
        found[f"{item}_points"] = points
    return found


def add_tangibles(rng: np.random.Generator, answers: pd.DataFrame) -> pd.DataFrame:
    """The answers with how letters and receipts look, what was expected of that, and its part of the 100 points.

    It has nothing to do with the level, so that a driver that drives nothing is among the items. The points of the
    other four keep their proportions.
    """
    n = len(answers)
    score = rng.choice(np.arange(1, 6), n, p=_LETTERS)
    expected = np.clip(np.round(_LETTERS_EXPECTED + rng.normal(0, 0.7, n)), 1, 5).astype(int)
    points = np.clip(np.round(_LETTERS_POINTS + rng.normal(0, 4, n)), 1, 25).astype(int)
    points += _POINTS_OF_THE_LET_DOWN * (score <= 2)  # noqa: PLR2004 - 1 and 2 let down
    found = answers.assign(
        letters=np.where(rng.random(n) < 0.03, DONT_KNOW, score), letters_expected=expected, letters_points=points
    )
    others = [f"{item}_points" for item in POINTS]
    found[others] = found[others].mul(100 - points, axis=0).floordiv(100)
    found[others[0]] += 100 - found[[*others, "letters_points"]].sum(axis=1)
    return found


def _asked(rng: np.random.Generator, donors: pd.DataFrame, history: History) -> pd.DataFrame:
    """Donors asked in each quarterly wave, half of them at a time, with what they do afterwards."""
    waves = pd.date_range("2024-01-01", END, freq="QS")
    number = np.arange(len(donors))
    joined, kind = donors["joined"].to_numpy("M8[D]"), donors["kind"].to_numpy()
    asked = []
    for wave, begin in enumerate(waves):
        when = day(begin) + rng.integers(3, 88, len(donors)) * _DAY
        eligible = (number % 2 == wave % 2) & (when >= joined + 30 * _DAY) & (when <= day(END))
        eligible &= history.days_since_last(number, when) <= _ACTIVE_DAYS
        eligible &= (kind == 1) | (rng.random(len(donors)) < _REGULAR_ASKED)
        who = np.flatnonzero(eligible)
        asked.append(
            pd.DataFrame(
                {
                    "donor": who,
                    "branch": donors["branch"].to_numpy()[who],
                    "day": when[who],
                    "invited": np.maximum(when[who] - rng.integers(1, 12, len(who)) * _DAY, day(begin)),
                    "wave": f"{begin.year}Q{begin.quarter}",
                    "respondent": "customer",
                    "again": history.pays_again(who, when[who], FOLLOW_UP_DAYS),
                }
            )
        )
    return pd.concat(asked, ignore_index=True)


def _staff(rng: np.random.Generator, truth: Truth, scale: float) -> pd.DataFrame:
    """Answers of staff, once a year in June, about their own work."""
    rows = []
    for code, branch in enumerate(truth.branches.values()):
        shares = np.array(branch.level_shares) ** 0.8
        for year in range(START.year + 1, END.year + 1):
            n = max(round((12 + branch.donors / 130) * max(scale, 0.3)), 8)
            when = day(f"{year}-06-03") + rng.integers(0, 20, n) * _DAY
            rows.append(
                pd.DataFrame(
                    {
                        "donor": -1,
                        "branch": code,
                        "day": when,
                        "invited": when,
                        "wave": f"{year}Q2",
                        "respondent": "staff",
                        "again": False,
                        "level": 1 + rng.choice(5, n, p=shares / shares.sum()),
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def _with_items(rng: np.random.Generator, answers: pd.DataFrame) -> pd.DataFrame:
    level = answers["level"].to_numpy()
    n = len(answers)

    def given_level(table: np.ndarray) -> np.ndarray:
        return 1 + (rng.random(n)[:, None] > np.cumsum(table, axis=1)[level - 1, :4]).sum(axis=1)

    answers["gift_use"] = given_level(_DELIGHTS)
    answers["transfers"] = given_level(_ANNOYS)
    trouble = (answers["branch"] == 1) & (rng.random(n) < _BUSAN_TRANSFER_TROUBLE)
    answers["transfers"] = np.where(
        trouble, np.minimum(answers["transfers"], rng.integers(1, 4, n)), answers["transfers"]
    )
    answers["courtesy"] = given_level(_WEAK)
    answers["information"] = given_level(_EVEN)
    answers["recommend"] = np.clip(np.round(2 * level + 0.2 + rng.normal(0, 1.7, n)), 0, 10).astype(int)
    answers["keep_giving"] = np.clip(np.round(0.55 * level + 2.0 + rng.normal(0, 0.9, n)), 1, 5).astype(int)
    answers["attachment"] = np.clip(
        np.round(0.5 * level + 0.7 * answers["again"] + 1.0 + rng.normal(0, 0.8, n)), 1, 5
    ).astype(int)
    for item in ITEMS:
        code = NO_RECOMMENDATION if item == "recommend" else DONT_KNOW
        unknown = rng.random(n) < (0.09 if item == "transfers" else 0.03)
        answers[item] = np.where(unknown, code, answers[item])
    answers["satisfaction"] = np.where(rng.random(n) < 0.012, DONT_KNOW, level)
    return answers
