"""What donors pay: occasional gifts, regular transfers and their dues, major gifts, anonymous gifts.

Occasional donors follow BG/NBD and Gamma-Gamma exactly (up to whole days and whole thousands of won); monthly
transfers follow a shifted beta-geometric law. Behaviour runs on to `truth.HORIZON`; the files are cut earlier.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis.demo.donors import day, known, pick
from crm_analysis.demo.truth import HORIZON, START, Truth

_DAY = np.timedelta64(1, "D")
_AMOUNTS = np.array([10_000, 20_000, 30_000, 50_000, 100_000])
_AMOUNT_SHARES = (0.34, 0.27, 0.26, 0.11, 0.02)
_FAILURES = ("잔액부족", "카드만료", "한도초과", "해지계좌")
_END_REASONS = ("경제 사정", "연락 두절", "다른 단체 후원", "불만", "기타")
_UNPAID_MONTHS_BILLED = 12
_EXODUS_STREAM = 77
_EXODUS_SHARE = 0.9
COLUMNS = (
    "donor", "day", "amount", "kind", "commitment", "due", "campaign", "product", "list_amount", "discount",
    "restricted",
)  # fmt: skip


def payments(**columns: object) -> pd.DataFrame:
    """Rows of the payments frame; columns that are not given take their neutral value."""
    frame = pd.DataFrame(columns)
    neutral = {"commitment": -1, "due": -1, "campaign": "", "product": "일반후원", "restricted": False}
    for name, value in neutral.items():
        if name not in frame:
            frame[name] = value
    if "list_amount" not in frame:
        frame["list_amount"] = frame["amount"]
    if "discount" not in frame:
        frame["discount"] = 0.0
    return frame[list(COLUMNS)]


def to_thousands(amount: np.ndarray) -> np.ndarray:
    """Whole thousands of won, at least one."""
    return np.maximum(np.round(amount / 1000), 1) * 1000.0


def occasional_gifts(rng: np.random.Generator, truth: Truth, donors: pd.DataFrame) -> pd.DataFrame:
    """Gifts of occasional donors, one row each, the first on the day of joining."""
    who = np.flatnonzero(donors["kind"].to_numpy() == 1)
    branches = list(truth.branches.values())
    code = donors["branch"].to_numpy()[who]
    column = {name: np.array([getattr(b, name) for b in branches])[code]
              for name in ("r", "alpha_weeks", "a", "b", "spend_p", "spend_q", "spend_gamma")}  # fmt: skip
    rate = rng.gamma(column["r"]) / column["alpha_weeks"] / 7.0  # gifts a day
    drop = rng.beta(column["a"], column["b"])
    scale = column["spend_gamma"] / rng.gamma(column["spend_q"])  # 1 / nu
    joined = donors["joined"].to_numpy("M8[D]")[who]
    horizon = (day(HORIZON) - joined).astype(float)
    alive = np.arange(len(who))
    time = rng.random(len(who))
    rows, days = [alive], [np.zeros(len(who))]
    while len(alive):
        time = time + rng.exponential(1.0 / np.maximum(rate[alive], 1e-12))
        inside = time < horizon[alive]
        alive, time = alive[inside], time[inside]
        rows.append(alive)
        days.append(np.floor(time))
        stays = rng.random(len(alive)) >= drop[alive]
        alive, time = alive[stays], time[stays]
    row, offset = np.concatenate(rows), np.concatenate(days).astype(int)
    amount = to_thousands(rng.gamma(column["spend_p"][row]) * scale[row])
    return payments(
        donor=who[row],
        day=joined[row] + offset * _DAY,
        amount=amount,
        kind="gift",
        product=pick(rng, ("일반후원", "해외아동", "재난구호", "국내아동"), len(row), (0.55, 0.18, 0.12, 0.15)),
        restricted=rng.random(len(row)) < 0.12,
    )


def commitments(rng: np.random.Generator, truth: Truth, donors: pd.DataFrame) -> pd.DataFrame:
    """One row per regular transfer or yearly pledge, with how many dues get paid and how it ends.

    `paid` counts dues paid from the first one on; `silent` says that it ends by unpaid dues, not by notice.
    """
    who = np.flatnonzero(donors["kind"].to_numpy() != 1)
    n = len(who)
    major = donors["kind"].to_numpy()[who] == 2
    code = donors["branch"].to_numpy()[who]
    branches = list(truth.branches.values())
    cycle = np.where(major, 12, rng.choice([1, 3, 12], n, p=[0.90, 0.03, 0.07]))
    started = donors["joined"].to_numpy("M8[D]")[who] + rng.integers(0, 8, n) * _DAY
    started = np.minimum(started, donors["last"].to_numpy("M8[D]")[who])
    due_day = rng.choice([5, 10, 15, 25], n)
    month = started.astype("M8[M]")
    in_month = (started - month.astype("M8[D]")).astype(int) + 1
    first_month = month.astype(int) + (in_month > due_day)
    before = np.maximum(np.ceil((day(START).astype("M8[M]").astype(int) - first_month) / cycle), 0).astype(int)
    theta = rng.beta(
        np.array([b.churn_alpha for b in branches])[code],
        np.array([b.churn_beta for b in branches])[code] + before * cycle,
    )
    theta = np.where(major, 0.008, theta)
    ends_at_cycle = np.clip(1 - (1 - theta) ** cycle, 1e-4, 1.0)
    paid = before + rng.geometric(ends_at_cycle)
    monthly = _AMOUNTS[rng.choice(5, n, p=_AMOUNT_SHARES)]
    pledge = np.clip(np.round(np.exp(rng.normal(13.9, 0.9, n)) / 100_000), 3, 600) * 100_000
    amount = np.where(major, pledge, np.where(cycle == 12, monthly * 10, np.where(cycle == 3, monthly * 3, monthly)))
    silent = rng.random(n) < np.array([b.silent_end_share for b in branches])[code]
    if truth.exodus is not None:
        until = day(truth.exodus).astype("M8[M]").astype(int) - first_month + 1
        leaves = (np.random.default_rng([truth.seed, _EXODUS_STREAM]).random(n) < _EXODUS_SHARE) & (until > 0)
        leaves &= (cycle == 1) & ~major & (paid > until)
        paid, silent = np.where(leaves, until, paid), silent & ~leaves
    return pd.DataFrame(
        {
            "donor": who,
            "branch": code,
            "started": started,
            "first_month": first_month,
            "due_day": due_day,
            "cycle": cycle,
            "amount": amount.astype(float),
            "before": before,
            "paid": paid,
            "silent": silent & ~major,
            "end_reason": pick(rng, _END_REASONS, n, (0.38, 0.17, 0.12, 0.15, 0.18)),
            "method": pick(rng, ("CMS", "카드", "휴대폰"), n, (0.62, 0.33, 0.05)),
            "major": major,
        }
    )


def dues(rng: np.random.Generator, truth: Truth, agreed: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Dues of every commitment within history, and the day each commitment ended (NaT while it runs)."""
    cycle, paid = agreed["cycle"].to_numpy(), agreed["paid"].to_numpy()
    first_month, before = agreed["first_month"].to_numpy(), agreed["before"].to_numpy()
    unpaid = np.where(agreed["silent"], np.maximum(_UNPAID_MONTHS_BILLED // cycle, 1), 0)
    horizon_month = day(HORIZON).astype("M8[M]").astype(int)
    last = np.minimum(paid + unpaid, (horizon_month - first_month) // cycle + 1)
    count = np.maximum(last - before, 0)
    row = np.repeat(np.arange(len(agreed)), count)
    position = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + before[row]
    due_on = _month_day(first_month[row] + position * cycle[row], agreed["due_day"].to_numpy()[row])
    fail_rate = np.array([b.failed_transfer_rate for b in truth.branches.values()])[agreed["branch"].to_numpy()[row]]
    fail_rate = np.where(agreed["major"].to_numpy()[row], 0.0, fail_rate)
    kept = position < paid[row]
    failed = ~kept | (rng.random(len(row)) < fail_rate)
    repaired = kept & failed & (rng.random(len(row)) < 0.65)
    collected = kept & (~failed | repaired)
    delay = np.where(failed, rng.integers(5, 24, len(row)), rng.choice([0, 0, 0, 1, 2], len(row)))
    reason = known(failed, pick(rng, _FAILURES, len(row), (0.52, 0.24, 0.14, 0.10)))
    frame = pd.DataFrame(
        {
            "commitment": row,
            "donor": agreed["donor"].to_numpy()[row],
            "due_on": due_on,
            "amount": agreed["amount"].to_numpy()[row],
            "collected_on": np.where(collected, due_on + delay * _DAY, np.datetime64("NaT")),
            "failure": reason,
        }
    )
    end_month = first_month + (paid - 1 + np.where(agreed["silent"], unpaid, 0)) * cycle
    ended = _month_day(end_month, agreed["due_day"].to_numpy()) + rng.integers(1, 20, len(agreed)) * _DAY
    return frame, ended


def _month_day(month: np.ndarray, day_of_month: np.ndarray) -> np.ndarray:
    return month.astype("M8[M]").astype("M8[D]") + (day_of_month - 1) * _DAY


def dues_paid(due: pd.DataFrame) -> pd.DataFrame:
    """The payments that collected dues are."""
    paid = due[due["collected_on"].notna()]
    return payments(
        donor=paid["donor"].to_numpy(),
        day=paid["collected_on"].to_numpy("M8[D]"),
        amount=paid["amount"].to_numpy(),
        kind="dues",
        commitment=paid["commitment"].to_numpy(),
        due=paid.index.to_numpy(),
        product="정기후원",
    )


def further_gifts(rng: np.random.Generator, agreed: pd.DataFrame, ended: np.ndarray) -> pd.DataFrame:
    """Gifts beside a commitment: a few year-end gifts of regular donors, large ones of major donors."""
    start = np.maximum(agreed["started"].to_numpy("M8[D]"), day(START))
    end = np.minimum(np.where(np.isnat(ended), day(HORIZON), ended), day(HORIZON))
    years = np.maximum((end - start).astype(float), 0) / 365.2425
    major = agreed["major"].to_numpy()
    row = np.repeat(np.arange(len(agreed)), rng.poisson(np.where(major, 1.6, 0.22) * years))
    when = start[row] + np.floor(rng.random(len(row)) * (end - start)[row].astype(float)).astype(int) * _DAY
    year_end = (when.astype("M8[Y]").astype("M8[M]") + 11).astype("M8[D]") + rng.integers(0, 28, len(row)) * _DAY
    when = np.where((rng.random(len(row)) < 0.5) & (year_end <= end[row]) & (year_end >= start[row]), year_end, when)
    large = np.clip(np.exp(rng.normal(14.0, 1.0, len(row))), 200_000, 60_000_000)
    amount = to_thousands(np.where(major[row], np.round(large / 100_000) * 100_000, rng.gamma(4.0, 11_000, len(row))))
    return payments(
        donor=agreed["donor"].to_numpy()[row],
        day=when,
        amount=amount,
        kind="gift",
        product=np.where(major[row], "고액후원", "일반후원"),
        restricted=rng.random(len(row)) < np.where(major[row], 0.5, 0.1),
    )


def anonymous_gifts(rng: np.random.Generator, truth: Truth, donors: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Street boxes and one-off transfers without a donor: payments with donor -1, and the branch of each."""
    n = round(0.35 * donors)
    shares = np.array([b.donors for b in truth.branches.values()], dtype=float)
    branch = rng.choice(len(shares), n, p=shares / shares.sum())
    span = int((day(HORIZON) - day(START)).astype(int))
    when = day(START) + rng.integers(0, span, n) * _DAY
    amount = to_thousands(rng.gamma(1.5, 12_000, n))
    return payments(donor=np.full(n, -1), day=when, amount=amount, kind="gift", product="모금함"), branch
