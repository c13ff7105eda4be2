"""Who the donors are: branch, latent kind, dates of joining, and what the association wrote down about them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from crm_analysis.demo.truth import END, START, Truth

KINDS: Final = ("regular", "occasional", "major")
_KIND_SHARES: Final = (0.52, 0.46, 0.02)
_BEFORE_HISTORY: Final = (0.35, 0.0, 0.60)
"""Share of each kind that joined before the files begin. Occasional donors never did: their first gift is in view."""

_SURNAMES = list("김이박최정강조윤장임한오서신권황안송류홍")
_SURNAME_WEIGHTS = np.array([21, 15, 9, 5, 5, 4, 4, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1], dtype=float)
_GIVEN_1 = list("민서지현수은영정혜미진성주경재동승우태하윤준")
_GIVEN_2 = list("준연우진현희영숙자호민수아은지훈경철빈석미라")
_MOTIVES = ("아동", "환경", "의료", "재난", "지역사회", "종교", "지인 권유")
_STAY = ("투명한 보고", "결연 아동", "직원 친절", "습관", "세액공제")
_INTERESTS = ("아동 교육", "식수", "의료 지원", "재난 구호", "노인 돌봄")
_DAY = np.timedelta64(1, "D")


def day(value: Any) -> np.datetime64:
    """A date as numpy counts days."""
    return np.datetime64(value, "D")


def pick(
    rng: np.random.Generator, choices: tuple[str, ...], n: int, shares: tuple[float, ...] | None = None
) -> np.ndarray:
    """`n` draws from short texts."""
    return np.array(choices, dtype=object)[rng.choice(len(choices), n, p=shares)]


def known(where: Any, values: np.ndarray) -> np.ndarray:
    """Texts where they are known, None elsewhere."""
    return np.where(where, values, np.array(None, dtype=object))


def branch_sizes(truth: Truth, donors: int) -> np.ndarray:
    """Donors per branch, in the proportions of the truth, adding up to `donors`."""
    shares = np.array([b.donors for b in truth.branches.values()], dtype=float)
    exact = shares / shares.sum() * donors
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: donors - sizes.sum()]] += 1
    return sizes


def simulate_donors(rng: np.random.Generator, truth: Truth, donors: int) -> pd.DataFrame:
    """One row per donor in order of joining: branch (index into the truth), kind, joined (day), and attributes."""
    sizes = branch_sizes(truth, donors)
    branch = np.repeat(np.arange(len(sizes)), sizes)
    kind = rng.choice(3, donors, p=_KIND_SHARES)
    last = np.array([day(b.last_day) for b in truth.branches.values()])[branch]
    start = day(START)
    early = rng.random(donors) < np.array(_BEFORE_HISTORY)[kind]
    within = start + np.floor(rng.random(donors) * ((last - start) / _DAY + 1)).astype(int) * _DAY
    before = day("2019-01-07") + np.floor(rng.random(donors) * 1690).astype(int) * _DAY
    frame = pd.DataFrame({"branch": branch, "kind": kind, "joined": np.where(early, before, within), "last": last})
    frame = frame.sort_values("joined", kind="stable", ignore_index=True)
    return pd.concat([frame, _attributes(rng, truth, frame)], axis=1)


def _attributes(rng: np.random.Generator, truth: Truth, frame: pd.DataFrame) -> pd.DataFrame:
    """Names, ways of contact and attitudes, complete to the degree that each branch cares."""
    n = len(frame)
    surname = pick(rng, tuple(_SURNAMES), n, tuple(_SURNAME_WEIGHTS / _SURNAME_WEIGHTS.sum()))
    name = surname + pick(rng, tuple(_GIVEN_1), n) + pick(rng, tuple(_GIVEN_2), n)
    birth = day("1945-01-01") + rng.integers(0, 21_500, n) * _DAY
    joined, last = frame["joined"].to_numpy("M8[D]"), frame["last"].to_numpy("M8[D]")
    complete = np.array([b.attitude_complete for b in truth.branches.values()])[frame["branch"]]
    form = np.where(rng.random((n, 3)) < 0.85, rng.random((n, 1)), rng.random((n, 3)))  # mostly one form for all three
    recorded = form < complete
    days_known = np.maximum(((last - joined) / _DAY).astype(int), 1)
    verified = joined + np.floor(days_known * rng.beta(1.6, 1.0, n)).astype(int) * _DAY
    verified = np.where(frame["joined"] < pd.Timestamp(START), np.maximum(verified, day("2023-03-01")), verified)
    age_years = ((day(END) - verified) / _DAY).astype(float) / 365.2425
    returned = rng.random(n) < 1 - np.exp(-0.11 * age_years)
    mail = rng.random(n) < np.where(frame["kind"] == 1, 0.52, 0.30)
    household = np.where(rng.random(n) < 0.18, rng.integers(0, n // 8 + 1, n), -1)
    changed = joined + np.floor(days_known * rng.random(n)).astype(int) * _DAY
    return pd.DataFrame(
        {
            "name": name,
            "phone": np.char.add("010", np.char.zfill(rng.integers(20_000_000, 99_999_999, n).astype(str), 8)),
            "birth": birth,
            "gender": pick(rng, ("F", "M"), n, (0.57, 0.43)),
            "household": household,
            "credit": rng.choice(10, n, p=[0.16, 0.17, 0.15, 0.13, 0.11, 0.09, 0.07, 0.05, 0.04, 0.03]) + 1,
            "motive": known(recorded[:, 0], pick(rng, _MOTIVES, n)),
            "stay_reason": known(recorded[:, 1], pick(rng, _STAY, n)),
            "interests": known(recorded[:, 2], pick(rng, _INTERESTS, n)),
            "attitude_recorded": np.where(
                recorded.any(axis=1),
                np.minimum(joined + np.minimum(days_known, 30) * _DAY, last),
                np.datetime64("NaT"),
            ),
            "verified": verified,
            "status": np.where(returned, "returned", "valid"),
            "mail": mail,
            "consent": rng.random(n) < 0.86,
            "consent_changed": changed,
        }
    )
