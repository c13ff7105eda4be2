"""Types of customers: attachment by repeat patronage, and satisfaction by repeat patronage.

Types are formed from what was known on the day of the answer: what a customer said, and on how many days he or she had
paid in the year up to it. What they did next, whether they came back within the follow-up and the margin they brought,
stands beside the types and is no part of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis.estimators.proportions import (
    Difference,
    effective_n,
    two_proportions,
    weighted_mean,
    wilson,
    wilson_limits,
)
from crm_analysis.profile.settings import Loyalty
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.followup import FollowUp

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

ATTACHMENT = ("true", "latent", "inertial", "none")
SATISFACTION = ("apostles", "mercenaries", "hostages", "defectors")
CAP = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """One grid of four types.

    `shares`: type, n, share, low, high, kept, kept_low, kept_high (share that came back), value, value_low, value_high
    (mean margin within the window, capped at the 99th percentile), bound, bound_low, bound_high (share under a running
    commitment on the day of the answer; missing where commitments are not known). `grid`: attitude_from, repeat_from,
    main, and the columns of `shares` for each type, over cuts next to those used. `cells` holds what lies between
    neighbouring cuts, by branch: attitude and times (the highest cut of the grid that is reached, -inf below all), n,
    kept, paid (customers who brought any margin), largest, size (the greatest and the sum of their margins): what two
    cuts beside each other tell. `what` is attachment or satisfaction.
    """

    what: str
    attitude_from: float
    repeat_from: int
    shares: pd.DataFrame
    grid: pd.DataFrame
    cells: pd.DataFrame
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """Both grids (None where the survey or the follow-up lacks what they need), and what holds the hostages.

    `held` is the share under commitment among the dissatisfied who keep coming (hostages) less that among the satisfied
    who keep coming (apostles); None where commitments are not known or a type is empty. `over` says, of the hostages
    whose commitment has a last day, how many had it end within the follow-up: (ended, known).
    """

    attachment: Typing | None
    satisfaction: Typing | None
    held: Difference | None
    over: tuple[int, int]


def classify(follow: FollowUp, answers: Answers, commitments: pd.DataFrame | None, rule: Loyalty) -> Types:
    """Both grids of types from a follow-up.

    `commitments` has customer_id, started_on, ended_on, expires_on (dates or missing), or is None where there is none.
    Where only first orders count, nobody can have come often before, and there are no types.
    """
    if rule.first_orders_only:
        return Types(attachment=None, satisfaction=None, held=None, over=(0, 0))
    frame = follow.frame.reset_index(drop=True)
    frame = frame.assign(row=frame.index)
    frame["bound"], last_day = _bound(frame, commitments)
    top = answers.scale[1]
    satisfied = top - 1 if rule.satisfied_from is None else rule.satisfied_from
    satisfaction = _typing("satisfaction", frame, frame["satisfaction"], satisfied, answers.scale, rule)
    attachment = None
    for name, item in answers.items.items():
        if item.role == "attachment" and attachment is None:
            said = frame["response_id"].map(answers.frame.set_index("response_id")[name])
            cut = item.scale[1] - 1 if rule.attached_from is None else rule.attached_from
            attachment = _typing("attachment", frame, said, cut, item.scale, rule)
    held, over = None, (0, 0)
    if satisfaction is not None and commitments is not None:
        member = types_of(frame["satisfaction"], frame["times_before"], satisfied, rule.repeat_from, SATISFACTION)
        groups = {name: frame.loc[member == name, "bound"].astype(bool) for name in ("apostles", "hostages")}
        if all(len(group) for group in groups.values()):
            first, second = (wilson(int(groups[name].sum()), len(groups[name])) for name in ("apostles", "hostages"))
            held = two_proportions(first, second)
        known = last_day[(member == "hostages") & frame["bound"].astype(bool)].dropna()
        closes = frame.loc[known.index, "answered_on"] + pd.Timedelta(days=follow.window_days)
        over = (int((known <= closes).sum()), len(known))
    return Types(attachment=attachment, satisfaction=satisfaction, held=held, over=over)


def types_of(
    attitude: pd.Series, times_before: pd.Series, attitude_from: float, repeat_from: int, names: tuple[str, ...]
) -> pd.Series:
    """The type of each customer: `names` are high and often, high and seldom, low and often, low and seldom.

    >>> types_of(pd.Series([5, 5, 1, 1]), pd.Series([3, 0, 3, 0]), 4, 2, ATTACHMENT).tolist()
    ['true', 'latent', 'inertial', 'none']
    """
    place = (attitude < attitude_from).astype(int) * 2 + (times_before < repeat_from).astype(int)
    return place.map(dict(enumerate(names)))


def _typing(
    what: str, frame: pd.DataFrame, attitude: pd.Series, cut: float, scale: tuple[float, float], rule: Loyalty
) -> Typing | None:
    asked = attitude.notna()
    rows, attitude = frame[asked], attitude[asked]
    if rows.empty:
        return None
    names = ATTACHMENT if what == "attachment" else SATISFACTION
    member = types_of(attitude, rows["times_before"], cut, rule.repeat_from, names)
    shares = _what_they_did(_shares(member, rows["weight"], names), member, rows)
    cuts = sorted({c for c in (cut - 1, cut, cut + 1) if scale[0] < c <= scale[1]} | {cut})
    often = sorted({max(rule.repeat_from - 1, 1), rule.repeat_from, rule.repeat_from + 1})
    grid = []
    for from_, times in product(cuts, often):
        main = bool(from_ == cut and times == rule.repeat_from)
        by_cut = types_of(attitude, rows["times_before"], from_, times, names)
        found = shares if main else _what_they_did(_shares(by_cut, rows["weight"], names), by_cut, rows)
        grid.append(found.assign(attitude_from=from_, repeat_from=times, main=main))
    return Typing(
        what=what,
        attitude_from=cut,
        repeat_from=rule.repeat_from,
        shares=shares,
        grid=pd.concat(grid, ignore_index=True),
        cells=_cells(rows, attitude, cuts, often),
        n=len(rows),
    )


def _cells(rows: pd.DataFrame, attitude: pd.Series, cuts: list[float], often: list[int]) -> pd.DataFrame:
    """What lies between neighbouring cuts, by branch (see `Typing`)."""
    frame = pd.DataFrame(
        {
            "attitude": np.array([-np.inf, *cuts])[np.searchsorted(cuts, attitude.to_numpy(float), side="right")],
            "times": np.array([-np.inf, *often])[np.searchsorted(often, rows["times_before"], side="right")],
            "branch": rows["branch"].to_numpy(),
            "kept": rows["loyal"].to_numpy(bool),
            "margin": rows["margin"].to_numpy(float),
        }
    )
    groups = frame.assign(paid=frame["margin"] != 0).groupby(["attitude", "times", "branch"])
    return groups.agg(
        n=("kept", "size"),
        kept=("kept", "sum"),
        paid=("paid", "sum"),
        largest=("margin", "max"),
        size=("margin", "sum"),
    ).reset_index()


def _shares(member: pd.Series, weight: pd.Series, names: tuple[str, ...]) -> pd.DataFrame:
    """Share of each type with Wilson's interval on the effective number of all answers."""
    total = weight.groupby(member).sum().reindex(list(names), fill_value=0.0)
    share = total / weight.sum()
    low, high = wilson_limits(share.to_numpy(float), effective_n(weight))
    n = member.value_counts().reindex(list(names), fill_value=0)
    return pd.DataFrame(
        {"type": list(names), "n": n.to_numpy(int), "share": share.to_numpy(float), "low": low, "high": high}
    )


def _what_they_did(shares: pd.DataFrame, member: pd.Series, rows: pd.DataFrame) -> pd.DataFrame:
    capped = rows["margin"].clip(upper=rows["margin"].quantile(CAP))
    found = []
    for name in shares["type"]:
        here = member == name
        w = rows.loc[here, "weight"].to_numpy(float)
        line: dict[str, float] = {}
        for column, source in (("kept", "loyal"), ("bound", "bound")):
            known = rows.loc[here, source].astype("Float64").notna().to_numpy()
            values = rows.loc[here, source].astype("Float64")[known].to_numpy(float)
            share = float(w[known] @ values / w[known].sum()) if known.any() else float("nan")
            low, high = wilson_limits(share, effective_n(w[known]))
            line |= {column: share, f"{column}_low": float(low), f"{column}_high": float(high)}
        value = weighted_mean(capped[here].to_numpy(float), weights=w)
        line |= {"value": value.mean, "value_low": value.low, "value_high": value.high}
        found.append(line)
    return pd.concat([shares, pd.DataFrame(found)], axis=1)


def _bound(frame: pd.DataFrame, commitments: pd.DataFrame | None) -> tuple[pd.Series, pd.Series]:
    """Whether a commitment ran on the day of the answer (missing where none are known), and its last agreed day."""
    no_day = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    if commitments is None:
        return pd.Series(pd.NA, index=frame.index, dtype="boolean"), no_day
    dated = commitments.assign(
        **{name: pd.to_datetime(commitments[name]) for name in ("started_on", "ended_on", "expires_on")}
    )
    both = frame[["row", "customer_id", "answered_on"]].merge(dated, on="customer_id")
    last = both[["ended_on", "expires_on"]].min(axis=1)
    both = both[(both["started_on"] <= both["answered_on"]) & (last.isna() | (last > both["answered_on"]))]
    bound = frame["row"].isin(both["row"]).astype("boolean")
    agreed = both.dropna(subset=["expires_on"]).groupby("row")["expires_on"].max()
    return bound, frame["row"].map(agreed).astype("datetime64[us]") if len(agreed) else no_day


def commitments_of(scope: Scope) -> pd.DataFrame | None:
    """The scope's commitments as `classify` takes them; None without the table."""
    if not scope.has("commitments"):
        return None
    table = scope.table("commitments")
    names = ("customer_id", "started_on", "ended_on", "expires_on")
    found = table.select(*(name for name in names if name in table.columns)).to_pandas()
    return found.reindex(columns=list(names))
