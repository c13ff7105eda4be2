"""Whether a campaign's members allow a causal answer: the checks before any effect is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis.estimators.designs import sample_ratio
from crm_analysis.estimators.means import welch

__all__ = ["Check", "Gate", "USUAL_TREATED_SHARES", "overlaps", "pass_gate"]

USUAL_TREATED_SHARES = (0.5, 0.6, 0.65, 2 / 3, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
EVEN_WITHIN = 0.08
"""A treated share this near to one half is taken for a planned half."""
MOST_IN_BOTH_ARMS = 0.05
LARGE_IMBALANCE = 0.1
"""Standardised mean difference above which a covariate counts as different between the arms."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `status` is passed, noted (counted, the result stands) or failed (no return is stated)."""

    code: str
    status: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """The checks of one campaign, and the members that may be compared.

    `state` is measured, or the reason why nothing is: no_members, not_causal (nobody was held out), no_treated,
    small_control, blocked, not_measurable. `units` has one row per member that counts.
    """

    state: str
    checks: tuple[Check, ...]
    units: pd.DataFrame
    n_assigned: int
    n_not_measurable: int


def pass_gate(
    members: pd.DataFrame,
    *,
    min_control: int,
    sample_ratio_alpha: float,
    planned_treated_share: float | None = None,
) -> Gate:
    """Check one campaign's members (columns of `outcomes.outcome_expression`, plus `measurable` and `overlapping`).

    Customers assigned twice to one arm count once, by their first assignment; customers in both arms are left out of
    both, and block the result when they are more than 5 %; members whose window is not covered by their branch's data
    are left out of both arms and counted, never taken for zero. The sample-ratio check runs on assigned counts, against
    the planned treated share, or the usual share nearest to it where none is given.
    """
    n_assigned = len(members)
    if n_assigned == 0:
        return Gate("no_members", (), members, 0, 0)
    both = members["n_arms"] > 1
    repeated = ~both & (members["n_rows"] > 1)
    units = members[~both]
    checks = [
        Check("one_row", "noted" if repeated.any() else "passed", {"n": int(repeated.sum())}),
        Check("both_arms", _status(both.mean() > MOST_IN_BOTH_ARMS, bool(both.any())), {"n": int(both.sum())}),
    ]
    early = units["responded_on"] < units["assigned_on"]
    checks.append(Check("early_response", "noted" if early.any() else "passed", {"n": int(early.sum())}))
    n_treated, n_control = _counts(units)
    seen = units[units["measurable"].astype(bool)]
    n_lost = len(units) - len(seen)
    if n_control == 0 or n_treated == 0:
        state = "not_causal" if n_control == 0 else "no_treated"
        if seen.empty:
            state = "not_measurable"
        return Gate(state, tuple(checks), seen, n_assigned, n_lost)
    checks.append(_sample_ratio(n_treated, n_control, planned_treated_share, sample_ratio_alpha))
    if units["stratum"].nunique() > 1:
        checks.append(_strata(units, sample_ratio_alpha))
    checks.append(_follow_up(units, seen, sample_ratio_alpha))
    seen_treated, seen_control = _counts(seen)
    enough = seen_control >= min_control and seen_treated >= min_control
    checks.append(Check("size", _status(not enough), {"treated": seen_treated, "control": seen_control}))
    if enough:
        checks += [
            _balance(seen, "margin_before", "balance_value"),
            _balance(seen.assign(tenure_days=_tenure(seen)), "tenure_days", "balance_tenure"),
        ]
    n_overlap = int(seen["overlapping"].sum())
    checks.append(Check("overlap", "noted" if n_overlap else "passed", {"n": n_overlap, "of": len(seen)}))
    return Gate(_state(checks, seen), tuple(checks), seen, n_assigned, n_lost)


def overlaps(members: pd.DataFrame) -> pd.Series:
    """Per row, whether the member was treated by another campaign while this campaign's outcome window was open."""
    found = np.zeros(len(members), dtype=bool)
    person, _ = pd.factorize(members["customer_id"])
    start, end = (members[name].to_numpy("datetime64[D]") for name in ("assigned_on", "window_end"))
    several = members.duplicated("customer_id", keep=False).to_numpy()
    rows = {key: np.flatnonzero(several & (members["campaign_id"] == key)) for key in members["campaign_id"].unique()}
    treated = (members["arm"] == "treated").to_numpy()
    where = np.full(person.max(initial=-1) + 1, -1)
    for other, everybody in rows.items():
        theirs = everybody[treated[everybody]]
        if theirs.size == 0:
            continue
        where[person[theirs]] = theirs
        for key, mine in rows.items():
            if key == other or mine.size == 0:
                continue
            match = where[person[mine]]
            found[mine] |= (match >= 0) & (start[match] <= end[mine]) & (end[match] >= start[mine])
        where[person[theirs]] = -1
    return pd.Series(found, index=members.index)


def _state(checks: list[Check], seen: pd.DataFrame) -> str:
    failed = {check.code for check in checks if check.status == "failed"}
    if failed - {"size"}:
        return "blocked"
    if seen.empty:
        return "not_measurable"
    return "small_control" if "size" in failed else "measured"


def _status(failed: bool, noted: bool = False) -> str:
    if failed:
        return "failed"
    return "noted" if noted else "passed"


def _counts(units: pd.DataFrame) -> tuple[int, int]:
    return int((units["arm"] == "treated").sum()), int((units["arm"] == "control").sum())


def _sample_ratio(n_treated: int, n_control: int, planned: float | None, alpha: float) -> Check:
    share = n_treated / (n_treated + n_control)
    if planned is None:
        planned = 0.5 if abs(share - 0.5) <= EVEN_WITHIN else _nearest_usual(share)
    found = sample_ratio([n_treated, n_control], expected_shares=[planned, 1 - planned])
    numbers = {
        "treated": n_treated,
        "control": n_control,
        "planned": planned,
        "chi2": found.chi2,
        "p": found.p_value,
    }
    return Check("sample_ratio", _status(found.p_value < alpha), numbers)


def _nearest_usual(share: float) -> float:
    usual = USUAL_TREATED_SHARES + tuple(1 - s for s in USUAL_TREATED_SHARES)
    return min(usual, key=lambda candidate: abs(candidate - share))


def _strata(units: pd.DataFrame, alpha: float) -> Check:
    """Whether every stratum was split in the same way; otherwise the plain difference would mix strata."""
    counts = pd.crosstab(units["stratum"], units["arm"])
    share = counts["treated"] / counts.sum(axis=1)
    p_value = float(stats.chi2_contingency(counts.to_numpy(), correction=False).pvalue)
    numbers = {"low": float(share.min()), "high": float(share.max()), "p": p_value}
    return Check("strata", _status(p_value < alpha), numbers)


def _follow_up(units: pd.DataFrame, seen: pd.DataFrame, alpha: float) -> Check:
    """Whether one arm lost more members to follow-up than the other."""
    assigned, kept = np.array(_counts(units)), np.array(_counts(seen))
    lost = assigned - kept
    if lost.sum() == 0:
        return Check("follow_up", "passed", {"treated": 0, "control": 0, "p": 1.0})
    p_value = 1.0
    if kept.sum() > 0:
        p_value = float(stats.chi2_contingency(np.vstack([kept, lost]), correction=False).pvalue)
    numbers = {"treated": int(lost[0]), "control": int(lost[1]), "p": p_value}
    return Check("follow_up", _status(p_value < alpha, noted=True), numbers)


def _tenure(units: pd.DataFrame) -> pd.Series:
    days = (units["assigned_on"] - units["first_on"]).dt.days.astype(float)
    return days.clip(lower=0).fillna(0.0)


def _balance(units: pd.DataFrame, column: str, code: str) -> Check:
    treated = units.loc[units["arm"] == "treated", column].to_numpy(float)
    control = units.loc[units["arm"] == "control", column].to_numpy(float)
    found = welch(treated, control)
    spread = float(np.sqrt((treated.var(ddof=1) + control.var(ddof=1)) / 2))
    distance = found.difference / spread if spread > 0 else 0.0
    p_value = 1.0 if found.p_value is None else found.p_value
    numbers = {"treated": found.mean_treated, "control": found.mean_control, "distance": distance, "p": p_value}
    uneven = abs(distance) > LARGE_IMBALANCE and p_value < 0.05
    return Check(code, "noted" if uneven else "passed", numbers)
