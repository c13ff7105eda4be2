"""Contacts with donors and what donors said: mailings, calls, complaints and whether they were put right."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis.demo.donors import day, known, pick
from crm_analysis.demo.history import History, choose_at_rate, draw_given_outcome
from crm_analysis.demo.truth import END, FOLLOW_UP_DAYS, START, Truth

_DAY = np.timedelta64(1, "D")
MAILING_COST = 3_200.0
NEWSLETTER_COST = 1_900.0
CALL_COST = 2_600.0
_COMPLAINTS = 1_500
_OTHER_CASES = 2_300
_TOPICS = ("자동이체 오류", "기부금 영수증", "연락 과다", "사용처 설명 부족", "개인정보", "직원 응대")


def simulate_contacts(
    rng: np.random.Generator, truth: Truth, donors: pd.DataFrame, agreed: pd.DataFrame, members: pd.DataFrame
) -> pd.DataFrame:
    """Mailings, calls in the first three months, campaign contacts and calls that donors made, one row each."""
    frames = [_mailings(rng, donors), _early_calls(rng, truth, donors, agreed)]
    called = members[members["contacted"].notna()]
    paper = called["campaign"].isin(["SPRING26", "CONCERT26"]).to_numpy()
    frames.append(
        pd.DataFrame(
            {
                "donor": called["donor"].to_numpy(),
                "day": called["contacted"].to_numpy("M8[D]"),
                "channel": np.where(paper, "mail", "phone"),
                "direction": "out",
                "touchpoint": "campaign",
                "element": np.where(paper, "hard", "human"),
                "campaign": called["campaign"].to_numpy(),
                "cost": 0.0,  # in the campaign's own cost lines
            }
        )
    )
    n = len(donors) // 4
    frames.append(
        _contacts(rng.integers(0, len(donors), n), day(START) + rng.integers(0, 1096, n) * _DAY,
                  pick(rng, ("phone", "email", "chat"), n, (0.6, 0.25, 0.15)), "in", "service", "human", CALL_COST)
    )  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    joined = donors["joined"].to_numpy("M8[D]")[frame["donor"]]
    return _known(frame[frame["day"].to_numpy("M8[D]") >= joined], donors)


def _contacts(donor: np.ndarray, when: np.ndarray, channel: object, direction: str, touchpoint: str, element: str,
              cost: float) -> pd.DataFrame:  # fmt: skip
    return pd.DataFrame(
        {"donor": donor, "day": when, "channel": channel, "direction": direction, "touchpoint": touchpoint,
         "element": element, "campaign": "", "cost": cost}
    )  # fmt: skip


def _mailings(rng: np.random.Generator, donors: pd.DataFrame) -> pd.DataFrame:
    """Paper appeals eight times a year to occasional donors who once asked for paper, a newsletter twice to others."""
    frames = []
    for number, month in enumerate(pd.date_range(START, END, freq="MS")):
        occasional = (donors["kind"] == 1).to_numpy()
        appeal = occasional & (month.month not in (1, 2, 7, 8))
        newsletter = ~occasional & (month.month in (3, 9))
        due = (appeal | newsletter) & donors["mail"].to_numpy() & (donors["joined"] < month).to_numpy()
        who = np.flatnonzero(due & (rng.random(len(donors)) < 0.97))
        when = np.full(len(who), day(month) + (8 + number % 3) * _DAY)
        cost = np.where(occasional[who], MAILING_COST, NEWSLETTER_COST)
        frames.append(_contacts(who, when, "mail", "out", "appeal", "hard", 0.0).assign(cost=cost))
    return pd.concat(frames, ignore_index=True)


def _early_calls(rng: np.random.Generator, truth: Truth, donors: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    """Calls in a donor's first ninety days: more of them go with staying beyond a year."""
    n = np.zeros(len(donors), dtype=int)
    new = (agreed["before"] == 0).to_numpy()
    stays = (agreed["paid"] * agreed["cycle"]).to_numpy() > 12
    drawn = draw_given_outcome(rng, stays, truth.early_contact_shares, truth.kept_by_early_contacts)
    n[agreed["donor"].to_numpy()[new]] = drawn[new]
    occasional = (donors["kind"] == 1).to_numpy()
    n[occasional] = rng.choice(3, occasional.sum(), p=[0.75, 0.20, 0.05])
    n = np.where(n == 2, 2 + (rng.random(len(n)) < 0.3), n)
    who = np.repeat(np.arange(len(donors)), n)
    when = donors["joined"].to_numpy("M8[D]")[who] + rng.integers(2, 90, len(who)) * _DAY
    channel = pick(rng, ("phone", "sms"), len(who), (0.7, 0.3))
    cost = np.where(channel == "phone", CALL_COST, 60.0)
    return _contacts(who, when, channel, "out", "welcome", "human", 0.0).assign(cost=cost)


def simulate_cases(rng: np.random.Generator, truth: Truth, donors: pd.DataFrame, history: History) -> pd.DataFrame:
    """Complaints whose recovery goes with giving again as planted, and other cases without any such link."""
    scale = len(donors) / sum(b.donors for b in truth.branches.values())
    pool_size = round(16 * _COMPLAINTS * scale)
    donor = rng.integers(0, len(donors), pool_size)
    joined, last = donors["joined"].to_numpy("M8[D]")[donor], donors["last"].to_numpy("M8[D]")[donor]
    first = np.maximum(joined, day(START)) + 20 * _DAY
    when = day(START) + rng.integers(0, int((day(END) - day(START)).astype(int)) + 1, pool_size) * _DAY
    fresh = history.days_since_last(donor, when) <= 200
    usable = (when >= first) & (when <= last) & fresh
    donor, when = donor[usable], when[usable]
    _, once = np.unique(donor, return_index=True)
    donor, when = donor[once], when[once]
    again = history.pays_again(donor, when, FOLLOW_UP_DAYS)
    rates = (truth.repeat_if_recovered, truth.repeat_if_not_recovered)
    shares = (truth.recovered_share, 1 - truth.recovered_share)
    overall = sum(s * r for s, r in zip(shares, rates, strict=True))
    chosen = choose_at_rate(rng, again, round(_COMPLAINTS * scale), overall)
    complaints = _case_rows(rng, donor[chosen], when[chosen], True)
    complaints["recovered"] = draw_given_outcome(rng, again[chosen], shares, rates) == 0
    rest = rng.permutation(np.setdiff1d(np.arange(len(donor)), chosen))[: round(_OTHER_CASES * scale)]
    others = _case_rows(rng, donor[rest], when[rest], False)
    others["recovered"] = False
    frame = pd.concat([complaints, others], ignore_index=True)
    last = donors["last"].to_numpy("M8[D]")[frame["donor"]]
    return _known(_with_resolution(rng, frame, last), donors)


def _case_rows(rng: np.random.Generator, donor: np.ndarray, when: np.ndarray, complaint: bool) -> pd.DataFrame:
    n = len(donor)
    kinds = (("complaint", "claim"), (0.82, 0.18)) if complaint else (("inquiry", "suggestion"), (0.85, 0.15))
    return pd.DataFrame(
        {
            "donor": donor,
            "day": when,
            "minute": rng.integers(9 * 60, 18 * 60, n),
            "channel": pick(rng, ("phone", "web", "email", "visit"), n, (0.56, 0.24, 0.14, 0.06)),
            "kind": pick(rng, kinds[0], n, kinds[1]),
            "topic": pick(rng, _TOPICS, n, (0.30, 0.22, 0.16, 0.16, 0.06, 0.10)),
            "company_at_fault": rng.random(n) < 0.62,
            "severity": 1 + rng.choice(5, n, p=[0.18, 0.30, 0.30, 0.15, 0.07]),
        }
    )


def _with_resolution(rng: np.random.Generator, frame: pd.DataFrame, last: np.ndarray) -> pd.DataFrame:
    """Adds when and how a case was resolved, as far as anybody knows on the branch's last day."""
    n = len(frame)
    complaint = frame["kind"].isin(["complaint", "claim"]).to_numpy()
    recovered = frame["recovered"].to_numpy()
    hours = np.where(recovered | ~complaint, rng.integers(2, 72, n), rng.integers(10 * 24, 60 * 24, n))
    resolved = recovered | ~complaint | (rng.random(n) < 0.6)
    received = frame["day"].to_numpy("M8[D]").astype("M8[m]") + frame["minute"].to_numpy() * np.timedelta64(1, "m")
    missing = np.datetime64("NaT")
    done = received + hours * np.timedelta64(60, "m")
    confirmed = frame["day"].to_numpy("M8[D]") + rng.integers(3, 9, n) * _DAY
    resolved &= done < (last + _DAY).astype("M8[m]")
    frame["received_at"] = received
    frame["resolved_at"] = np.where(resolved, done, missing)
    frame["confirmed"] = np.where(recovered & (confirmed <= last), confirmed, missing)
    frame["remedy"] = known(
        resolved & complaint, pick(rng, ("사과", "환불", "정정", "설명"), n, (0.35, 0.12, 0.33, 0.2))
    )
    frame["remedy_cost"] = np.where(frame["remedy"] == "환불", 20_000.0, np.where(recovered, 3_500.0, 0.0))
    return frame


def _known(frame: pd.DataFrame, donors: pd.DataFrame) -> pd.DataFrame:
    """Rows within the files, with the donor's branch, in order of time."""
    frame = frame.assign(branch=donors["branch"].to_numpy()[frame["donor"]])
    when = frame["day"].to_numpy("M8[D]")
    inside = (when >= day(START)) & (when <= donors["last"].to_numpy("M8[D]")[frame["donor"]])
    return frame[inside].sort_values(["day", "donor"], kind="stable", ignore_index=True)
