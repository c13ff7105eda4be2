"""The association as it is, before anybody writes it down: one seed, one world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.demo import giving, programmes, service, surveys
from crm_analysis.demo.donors import day, known, simulate_donors
from crm_analysis.demo.history import History
from crm_analysis.demo.truth import END, START, Truth, truth


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Frames with numbers for identifiers; `truth.END` and silent branches are already cut off.

    `donors.latent` is regular, occasional, lapsed or major; `payments.donor` is -1 for anonymous gifts.
    """

    truth: Truth
    donors: pd.DataFrame
    commitments: pd.DataFrame
    dues: pd.DataFrame
    payments: pd.DataFrame
    surveys: pd.DataFrame
    members: pd.DataFrame
    costs: pd.DataFrame
    contacts: pd.DataFrame
    cases: pd.DataFrame
    prospects: pd.DataFrame
    double_donors: tuple[tuple[int, int], ...]

    @property
    def scale(self) -> float:
        """Donors here for each donor of the full association."""
        return len(self.donors) / sum(b.donors for b in self.truth.branches.values())


def simulate(seed: int = 20261, donors: int = 20_000, flips: Iterable[str] = ()) -> World:
    """Simulate the association; every part has a stream of its own, so that a flip leaves the other parts alone."""
    planted = truth(seed, flips)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(17)]
    people = simulate_donors(streams[0], planted, donors)
    occasional = giving.occasional_gifts(streams[1], planted, people)
    agreed = giving.commitments(streams[2], planted, people)
    due, ended = giving.dues(streams[3], planted, agreed)
    agreed = agreed.assign(ended=ended)
    anonymous, anonymous_branch = giving.anonymous_gifts(streams[5], planted, donors)
    before = pd.concat(
        [occasional, giving.dues_paid(due), giving.further_gifts(streams[4], agreed, ended)], ignore_index=True
    )
    members = programmes.simulate_members(streams[6], planted, people, due, History(before))
    paid = pd.concat([before, programmes.campaign_payments(streams[7], planted, members)], ignore_index=True)
    history = History(paid)
    answers = surveys.simulate_surveys(streams[8], planted, people, history)
    answers = surveys.add_expectations(streams[15], answers)
    answers = surveys.add_tangibles(streams[16], answers)
    cases = service.simulate_cases(streams[9], planted, people, history)
    contacts = service.simulate_contacts(streams[10], planted, people, agreed, members)
    scale = donors / sum(b.donors for b in planted.branches.values())
    costs = programmes.simulate_costs(streams[11], planted, members, scale)
    prospects = programmes.simulate_prospects(streams[12], people, planted)
    people, doubles = _double_donors(streams[13], people, round(planted.faults.double_donors * scale))
    paid["branch"] = people["branch"].to_numpy()[paid["donor"]]
    everything = pd.concat([paid, anonymous.assign(branch=anonymous_branch)], ignore_index=True)
    people["latent"] = _latent(people, due)
    return World(
        truth=planted,
        donors=people,
        commitments=_cut_commitments(planted, agreed),
        dues=_cut_dues(planted, people, due),
        payments=_cut_payments(planted, everything),
        surveys=answers,
        members=_cut_members(members),
        costs=costs,
        contacts=contacts,
        cases=cases,
        prospects=prospects,
        double_donors=doubles,
    )


def _last(planted: Truth, branch: pd.Series) -> np.ndarray:
    return np.array([day(b.last_day) for b in planted.branches.values()])[branch.to_numpy()]


def _latent(people: pd.DataFrame, due: pd.DataFrame) -> np.ndarray:
    """The four kinds: lapsed is whoever had a regular transfer and paid none in the last year."""
    last_paid = due[due["collected_on"] <= pd.Timestamp(END)].groupby("donor")["collected_on"].max()
    recent = last_paid.reindex(people.index) > pd.Timestamp(END) - pd.Timedelta(days=365)
    kind = people["kind"].to_numpy()
    return np.select([kind == 2, kind == 1, recent.to_numpy()], ["major", "occasional", "regular"], "lapsed")


def _cut_payments(planted: Truth, paid: pd.DataFrame) -> pd.DataFrame:
    when = paid["day"].to_numpy("M8[D]")
    inside = (when >= day(START)) & (when <= _last(planted, paid["branch"]))
    return paid[inside].sort_values(["day", "branch", "donor", "amount"], kind="stable", ignore_index=True)


def _cut_commitments(planted: Truth, agreed: pd.DataFrame) -> pd.DataFrame:
    ended = agreed["ended"].to_numpy("M8[D]")
    past = ended <= _last(planted, agreed["branch"])
    return agreed.assign(
        ended=np.where(past, ended, np.datetime64("NaT")),
        end_reason=known(past, np.where(agreed["silent"], "장기 미납", agreed["end_reason"])),
    )


def _cut_dues(planted: Truth, people: pd.DataFrame, due: pd.DataFrame) -> pd.DataFrame:
    last = _last(planted, people["branch"])[due["donor"].to_numpy()]
    due = due[(due["due_on"].to_numpy("M8[D]") <= last) & (due["due_on"].to_numpy("M8[D]") >= day(START))]
    last = _last(planted, people["branch"])[due["donor"].to_numpy()]
    collected = due["collected_on"].to_numpy("M8[D]")
    return due.assign(collected_on=np.where(collected <= last, collected, np.datetime64("NaT")))


def _cut_members(members: pd.DataFrame) -> pd.DataFrame:
    cut = {
        name: members[name].where(members[name] <= pd.Timestamp(END))
        for name in ("contacted", "delivered", "responded")
    }
    return members.assign(**cut)


def _double_donors(
    rng: np.random.Generator, people: pd.DataFrame, n: int
) -> tuple[pd.DataFrame, tuple[tuple[int, int], ...]]:
    """Make `n` pairs of donors of two branches the same person, under a slightly different name."""
    candidates = rng.permutation(np.flatnonzero((people["kind"] == 1).to_numpy()))
    branch = people["branch"].to_numpy()
    pairs: list[tuple[int, int]] = []
    for one, other in zip(candidates[0::2], candidates[1::2], strict=False):
        if len(pairs) == n:
            break
        if branch[one] != branch[other]:
            pairs.append((int(one), int(other)))
    people = people.copy()
    phone, birth, name, gender = (people[c].to_numpy().copy() for c in ("phone", "birth", "name", "gender"))
    phone = phone.astype(object)
    for position, (one, other) in enumerate(pairs):
        birth[other], gender[other] = birth[one], gender[one]
        phone[other] = f"{phone[one][:3]}-{phone[one][3:7]}-{phone[one][7:]}"
        variants = (f"{name[one][0]} {name[one][1:]}", f"{name[one]} ", f"{name[one]}님", f"{name[one]}(본인)")
        name[other] = variants[position % len(variants)]
    return people.assign(phone=phone, birth=birth, name=name, gender=gender), tuple(pairs)
