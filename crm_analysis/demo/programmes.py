"""Campaigns, who was in them and by what arm, what they really changed, and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis.demo.donors import day, pick
from crm_analysis.demo.giving import payments, to_thousands
from crm_analysis.demo.history import History
from crm_analysis.demo.truth import END, START, CampaignTruth, Truth

_DAY = np.timedelta64(1, "D")
_REACHED = 0.78
_LABELLED = 0.35
"""Share of the gifts a campaign brings that the books attribute to it."""
_OVERLAP = 60
"""Members of the welcome call, per 20,000 donors, who also got the discount."""


def simulate_members(
    rng: np.random.Generator, truth: Truth, donors: pd.DataFrame, due: pd.DataFrame, history: History
) -> pd.DataFrame:
    """One row per campaign and member: donor, arm, assigned, contacted, delivered, responded (days or NaT), stratum."""
    scale = len(donors) / sum(b.donors for b in truth.branches.values())
    frames: dict[str, pd.DataFrame] = {}
    for campaign in truth.campaigns.values():
        who, stratum = _eligible(campaign, donors, due, history, frames, rng, scale)
        n = min(round(campaign.members * scale), len(who))
        chosen = (
            np.arange(n) if campaign.programme == "vip" else np.sort(rng.permutation(len(who))[:n])
        )  # the VIP list is in order of past giving
        frames[campaign.campaign_id] = _assign(rng, campaign, donors, who[chosen], stratum[chosen])
    return pd.concat(frames.values(), ignore_index=True)


def _eligible(
    campaign: CampaignTruth,
    donors: pd.DataFrame,
    due: pd.DataFrame,
    history: History,
    earlier: dict[str, pd.DataFrame],
    rng: np.random.Generator,
    scale: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Donors a campaign may take, from what was known the day before it starts, and their stratum."""
    start = day(campaign.starts_on)
    number = np.arange(len(donors))
    joined, kind = donors["joined"].to_numpy("M8[D]"), donors["kind"].to_numpy()
    silent = history.days_since_last(number, np.full(len(donors), start - _DAY))
    known = (joined < start) & ~np.isnan(silent) & (kind != 2) & (donors["last"].to_numpy("M8[D]") >= start)
    stratum = np.full(len(donors), "all", dtype=object)
    match campaign.campaign_id:
        case "CALL25":
            ok = known & (silent > 150) & (silent < 480)
        case "WELCOME26":
            new = joined >= start - 125 * _DAY
            failed = due[(due["due_on"] < start) & (due["due_on"] >= start - 100 * _DAY) & due["collected_on"].isna()]
            lapsing = ((silent > 100) & (silent < 300)) | np.isin(number, failed["donor"].to_numpy())
            ok = known & (new | lapsing)
            stratum = np.where(new, "new", "lapsing").astype(object)
        case "SPRING26":
            ok = known & (silent <= 365)
            called = np.isin(number, earlier["WELCOME26"]["donor"].to_numpy())
            allowed = rng.permutation(np.flatnonzero(ok & called))[: round(_OVERLAP * scale)]
            ok &= ~called | np.isin(number, allowed)
        case "CONCERT26":
            given = history.amount_between(number, start - 200 * _DAY, start - _DAY)
            best = np.argsort(-given, kind="stable")
            return best, stratum
        case _:
            ok = known & (silent <= 70) & (kind == 0)
    return np.flatnonzero(ok), stratum[ok]


def _assign(
    rng: np.random.Generator, campaign: CampaignTruth, donors: pd.DataFrame, who: np.ndarray, stratum: np.ndarray
) -> pd.DataFrame:
    """Arms drawn at random within branch and stratum, then who was reached."""
    n = len(who)
    group = pd.Series(donors["branch"].to_numpy()[who].astype(str)) + pd.Series(stratum)
    order = pd.DataFrame({"group": group, "draw": rng.random(n)})
    rank = order.groupby("group")["draw"].rank(method="first")
    size = order.groupby("group")["draw"].transform("size")
    control = (
        (rank <= np.floor(size * campaign.holdout + rng.random())).to_numpy() if campaign.holdout else np.zeros(n, bool)
    )
    span = int((day(campaign.ends_on) - day(campaign.starts_on)).astype(int))
    first = day(campaign.starts_on)
    assigned = np.full(n, first)
    contacted = first + rng.integers(1, max(span, 2), n) * _DAY
    reached = ~control & (rng.random(n) < _REACHED)
    responded = reached & (rng.random(n) < 0.28)
    missing = np.datetime64("NaT")
    return pd.DataFrame(
        {
            "campaign": campaign.campaign_id,
            "donor": who,
            "arm": np.where(control, "control", "treated"),
            "assigned": assigned,
            "stratum": stratum,
            "contacted": np.where(control, missing, contacted),
            "delivered": np.where(reached, contacted + rng.integers(0, 2, n) * _DAY, missing),
            "responded": np.where(responded, contacted + rng.integers(1, 15, n) * _DAY, missing),
        }
    )


def campaign_payments(rng: np.random.Generator, truth: Truth, members: pd.DataFrame) -> pd.DataFrame:
    """Payments that would not be there without the campaigns, and bazaar tickets that control members buy too."""
    frames = []
    for campaign in truth.campaigns.values():
        mine = members[members["campaign"] == campaign.campaign_id]
        treated = (mine["arm"] == "treated").to_numpy()
        reached = mine["delivered"].notna().to_numpy()
        rate = np.where(treated, campaign.treated_rate, campaign.control_rate)
        mean = np.where(treated, campaign.treated_mean, campaign.control_mean)
        ticket = campaign.campaign_id == "SPRING26"
        if not ticket:  # only those whom the call reached can follow it
            rate = np.where(reached, rate / _REACHED, 0.0)
        pays = np.flatnonzero(rng.random(len(mine)) < rate)
        if ticket:
            when = day(campaign.ends_on) + rng.integers(1, 12, len(pays)) * _DAY
            amount = mean[pays]
        else:
            window = campaign.window_days
            delivered = mine["delivered"].to_numpy("M8[D]")[pays]
            late = (mine["assigned"].to_numpy("M8[D]")[pays] + window * _DAY - delivered).astype(int)
            when = delivered + np.floor(1 + rng.beta(1.0, 2.5, len(pays)) * (late - 1)).astype(int) * _DAY
            amount = to_thousands(rng.gamma(6.0, 1.0, len(pays)) * mean[pays] / 6.0)
        labelled = ticket | (rng.random(len(pays)) < _LABELLED)
        list_amount = np.where(treated[pays], 2 * amount, amount) if ticket else amount
        frames.append(
            payments(
                donor=mine["donor"].to_numpy()[pays],
                day=when,
                amount=amount,
                kind="sale" if ticket else "gift",
                campaign=np.where(labelled, campaign.campaign_id, ""),
                product="자선바자회 입장권" if ticket else "일반후원",
                list_amount=list_amount,
                discount=list_amount - amount,
            )
        )
    return pd.concat(frames, ignore_index=True)


def simulate_costs(rng: np.random.Generator, truth: Truth, members: pd.DataFrame, scale: float) -> pd.DataFrame:
    """Cost lines, planned and actual: every campaign's, and what the whole programme costs month by month."""
    lines: list[dict[str, object]] = []

    def add(when: object, category: str, amount: float, planned: float, **more: object) -> None:
        lines.append(
            {"day": day(when), "category": category, "amount": round(amount), "planned": round(planned), **more}
        )

    for campaign in truth.campaigns.values():
        treated = int(((members["campaign"] == campaign.campaign_id) & (members["arm"] == "treated")).sum())
        contact = treated * campaign.contact_cost
        nominal = round(campaign.members * (1 - campaign.holdout)) * campaign.contact_cost
        other = (campaign.actual_cost - campaign.forgotten_cost - nominal) * scale
        planned_other = (campaign.planned_cost - nominal) * scale
        mine = {"campaign": campaign.campaign_id}
        add(campaign.starts_on, "campaign", contact, contact, driver="contact", **mine)
        add(campaign.starts_on, "training", 0.3 * other, 0.3 * planned_other, driver="fixed", **mine)
        add(campaign.ends_on, "staff", 0.7 * other, 0.7 * planned_other, driver="fixed", **mine)
        if campaign.forgotten_cost:
            add(campaign.ends_on, "reward", campaign.forgotten_cost * scale, 0.0, driver="fixed", **mine)
    add("2023-10-10", "integration", 46_000_000 * scale, 38_000_000 * scale, driver="fixed", useful_months=60)
    for month in pd.date_range(START, END, freq="MS"):
        add(month, "software", 1_900_000 * scale, 1_900_000 * scale, driver="fixed")
        add(month, "staff", 5_200_000 * scale * rng.uniform(0.97, 1.05), 5_200_000 * scale, driver="customer")
        add(month, "service", 1_150_000 * scale * rng.uniform(0.8, 1.2), 1_150_000 * scale, driver="case")
        if month.month % 3 == 1:
            add(month, "data", 640_000 * scale, 600_000 * scale, driver="customer")
            add(month, "training", 900_000 * scale * rng.uniform(0.7, 1.6), 900_000 * scale, driver="fixed")
    frame = pd.DataFrame(lines).sort_values("day", kind="stable", ignore_index=True)
    return frame[frame["day"] <= pd.Timestamp(END)].reset_index(drop=True)


def simulate_prospects(rng: np.random.Generator, donors: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """People who asked about giving; half of recent donors began as one."""
    recent = np.flatnonzero((donors["joined"] > pd.Timestamp(START)).to_numpy() & (rng.random(len(donors)) < 0.42))
    joined = donors["joined"].to_numpy("M8[D]")[recent]
    others = round(len(recent) * 0.9)
    branch = np.concatenate([donors["branch"].to_numpy()[recent], rng.choice(len(truth.branches), others)])
    first = np.concatenate([joined - rng.integers(0, 60, len(recent)) * _DAY,
                            day(START) + rng.integers(0, 1090, others) * _DAY])  # fmt: skip
    frame = pd.DataFrame(
        {
            "branch": branch,
            "source": pick(
                rng,
                ("홈페이지", "거리모금", "지인소개", "방송", "기업행사"),
                len(branch),
                (0.31, 0.27, 0.16, 0.14, 0.12),
            ),
            "first": np.maximum(first, day(START)),
            "donor": np.concatenate([recent, np.full(others, -1)]),
        }
    )
    last = np.array([day(b.last_day) for b in truth.branches.values()])[branch]
    return frame[frame["first"].to_numpy("M8[D]") <= last].sort_values("first", kind="stable", ignore_index=True)
