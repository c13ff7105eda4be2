"""Whether a campaign's members allow a causal answer: the checks before any effect is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis.crm_roi.comparison import FEWEST_UNITS, Comparison, compare, usable_strata
from crm_analysis.estimators.designs import sample_ratio

__all__ = ["Check", "Gate", "USUAL_TREATED_SHARES", "judge_arms", "overlaps", "pass_gate", "shared_controls"]

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
    small_control, blocked, not_measurable. `units` has one row per member that counts. `by_stratum` says that strata
    were split differently by plan, so that only differences within strata compare like with like.
    """

    state: str
    checks: tuple[Check, ...]
    units: pd.DataFrame
    n_assigned: int
    n_not_measurable: int
    by_stratum: bool = False

    def comparison(self) -> Comparison:
        """Both arms of the members that count, as they were drawn."""
        return compare(self.units, strata=self.units["stratum"].fillna("").astype(str) if self.by_stratum else None)

    def comparison_by_stratum(self) -> Comparison | None:
        """Both arms within strata; None where there are none, or where that is `comparison` already."""
        strata = None if self.by_stratum else usable_strata(self.units)
        return None if strata is None else compare(self.units, strata=strata)


def pass_gate(
    members: pd.DataFrame,
    *,
    min_control: int,
    sample_ratio_alpha: float,
    planned_treated_share: float | Mapping[str, float] | None = None,
    drawn_by: str = "customer",
) -> Gate:
    """Check one campaign's members (columns of `outcomes.member_outcomes`, plus `overlapping`).

    Customers assigned twice to one arm count once, by their first assignment; units in both arms are left out of both,
    and block the result when they hold more than 5 % of members; members whose window is not covered by their branch's
    data are left out of both arms and counted, never taken for zero. What was drawn (`unit`) is what is counted: the
    sample-ratio check runs on assigned units, against the planned treated share (one, or one per stratum), or the usual
    share nearest to it where none is given.
    """
    n_assigned = len(members)
    if n_assigned == 0:
        return Gate("no_members", (), members, 0, 0)
    both = _in_both_arms(members)
    repeated = ~both & (members["n_rows"] > 1)
    units = members[~both]
    n_both = int(members.loc[both, "unit"].nunique())
    checks = [
        Check("one_row", "noted" if repeated.any() else "passed", {"n": int(repeated.sum())}),
        Check("both_arms", _status(both.mean() > MOST_IN_BOTH_ARMS, bool(both.any())), {"n": n_both}),
    ]
    if drawn_by != "customer":
        checks.append(_unit(units, drawn_by))
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
    by_stratum = isinstance(planned_treated_share, Mapping)
    drawn = units.drop_duplicates("unit")
    if isinstance(planned_treated_share, Mapping):
        kept = seen.drop_duplicates("unit")
        checks += _planned_by_stratum(drawn, kept, planned_treated_share, sample_ratio_alpha)
    else:
        checks.append(_sample_ratio(*_counts(drawn), planned_treated_share, sample_ratio_alpha))
        if units["stratum"].nunique() > 1:
            checks.append(_strata(drawn, sample_ratio_alpha))
    checks.append(_follow_up(drawn, seen.drop_duplicates("unit"), sample_ratio_alpha))
    seen_treated, seen_control = _counts(seen.drop_duplicates("unit"))
    enough = seen_control >= min_control and seen_treated >= min_control
    checks.append(Check("size", _status(not enough), {"treated": seen_treated, "control": seen_control}))
    checks.append(Check("zeros", "passed", {"n": int((seen["n_orders"] == 0).sum()), "of": len(seen)}))
    failed = any(check.status == "failed" for check in checks)
    if enough and not failed:
        arms = Gate("", (), seen.assign(tenure_days=_tenure(seen)), n_assigned, n_lost, by_stratum).comparison()
        checks += [_balance(arms, "margin_before", "balance_value"), _balance(arms, "tenure_days", "balance_tenure")]
    checks.append(_contamination(seen))
    n_overlap = int(seen["overlapping"].sum())
    checks.append(Check("overlap", "noted" if n_overlap else "passed", {"n": n_overlap, "of": len(seen)}))
    return Gate(_state(checks, seen), tuple(checks), seen, n_assigned, n_lost, by_stratum)


def shared_controls(gates: Mapping[str, Gate]) -> list[tuple[str, ...]]:
    """Campaigns that may be measured and were compared with the same held-out members, from the same day on.

    Arms of one test, each with treated members of its own: their results share the luck of one control group.
    """
    groups: dict[tuple[int, int], list[str]] = {}
    for key, gate in gates.items():
        if gate.state != "measured":
            continue
        control = gate.units[gate.units["arm"] == "control"]
        people = int(pd.util.hash_pandas_object(control["customer_id"], index=False).sum())
        groups.setdefault((people, int(control["assigned_on"].min().value)), []).append(key)
    return [tuple(keys) for keys in groups.values() if len(keys) > 1 and _apart([gates[key].units for key in keys])]


def _apart(units: list[pd.DataFrame]) -> bool:
    treated = pd.concat([of.loc[of["arm"] == "treated", "customer_id"] for of in units])
    return bool(treated.is_unique)


def judge_arms(gates: Mapping[str, Gate], planned: Mapping[str, float], *, alpha: float) -> dict[str, Gate]:
    """Gates of campaigns that shared one control group, each with the check of all assigned counts at once.

    `planned` has the treated share of each campaign against its control, where one was planned; else the shares that
    each campaign's own check was held against.
    """
    checks = {key: {check.code: check.numbers for check in gate.checks} for key, gate in gates.items()}
    if any("sample_ratio" not in of for of in checks.values()):
        return dict(gates)
    ratios = {key: planned.get(key, of["sample_ratio"]["planned"]) for key, of in checks.items()}
    counts = [int(of["sample_ratio"]["treated"]) for of in checks.values()]
    control = int(next(iter(checks.values()))["sample_ratio"]["control"])
    wanted = [share / (1 - share) for share in ratios.values()]
    found = sample_ratio([*counts, control], expected_shares=[*wanted, 1.0])
    numbers = {"arms": len(gates), "chi2": found.chi2, "p": found.p_value}
    check = Check("sample_ratio_arms", _status(found.p_value < alpha), numbers)
    judged = {}
    for key, gate in gates.items():
        at = next(i for i, item in enumerate(gate.checks) if item.code == "sample_ratio") + 1
        every = (*gate.checks[:at], check, *gate.checks[at:])
        judged[key] = replace(gate, checks=every, state="blocked" if check.status == "failed" else gate.state)
    return judged


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


def _in_both_arms(members: pd.DataFrame) -> pd.Series:
    """Rows of units of which some member, or the unit itself, is in both arms."""
    both = members["n_arms"] > 1
    if not members["unit"].is_unique:
        both = both | (members.groupby("unit")["arm"].transform("nunique") > 1)
        both = both.groupby(members["unit"]).transform("any")
    return both


def _unit(units: pd.DataFrame, drawn_by: str) -> Check:
    """Whether what was drawn is known of every member."""
    unknown = int((~units["unit_known"].astype(bool)).sum())
    numbers = {"n": unknown, "of": len(units), "units": int(units["unit"].nunique()), "branch": drawn_by == "branch"}
    return Check("unit", _status(unknown == len(units), unknown > 0), numbers)


def _contamination(seen: pd.DataFrame) -> Check:
    """Held-out members who were contacted all the same: the difference is smaller than the programme's effect."""
    control = seen[seen["arm"] == "control"]
    n = int((control["delivered_on"].notna() | control["contacted_on"].notna()).sum())
    return Check("contamination", "noted" if n else "passed", {"n": n, "of": len(control)})


def _planned_by_stratum(
    drawn: pd.DataFrame, seen: pd.DataFrame, planned: Mapping[str, float], alpha: float
) -> list[Check]:
    """Counts against the shares planned for each stratum, all strata at once; each needs two units in both arms."""
    counts, kept = (_by_stratum(frame) for frame in (drawn, seen))
    treated, control = (int(counts[arm].sum()) for arm in ("treated", "control"))
    sizes = counts.sum(axis=1)
    unplanned = sum(not 0 < planned.get(str(name), 0.0) < 1 for name in counts.index)
    empty = int((kept.min(axis=1) < FEWEST_UNITS).sum())
    if unplanned or empty:
        return [Check("strata", "failed", {"unplanned": unplanned, "empty": empty})]
    wanted = pd.Series({name: planned[name] for name in counts.index}, dtype=float)
    parts = [
        sample_ratio([int(row.treated), int(row.control)], expected_shares=[wanted[row.Index], 1 - wanted[row.Index]])
        for row in counts.itertuples()
    ]
    chi2 = sum(part.chi2 for part in parts)
    p_value = float(stats.chi2.sf(chi2, len(parts)))
    overall = float((wanted * sizes).sum() / sizes.sum())
    share = counts["treated"] / sizes
    numbers = {"treated": treated, "control": control, "planned": overall, "chi2": chi2, "p": p_value}
    return [
        Check("sample_ratio", _status(p_value < alpha), numbers),
        Check("strata", "passed", {"low": float(share.min()), "high": float(share.max()), "p": p_value}),
    ]


def _by_stratum(drawn: pd.DataFrame) -> pd.DataFrame:
    counts = pd.crosstab(drawn["stratum"].fillna(""), drawn["arm"])
    return counts.reindex(columns=["treated", "control"], fill_value=0)


def _sample_ratio(n_treated: int, n_control: int, planned: float | None, alpha: float) -> Check:
    share = n_treated / (n_treated + n_control)
    if planned is None:
        planned = 0.5 if abs(share - 0.5) <= EVEN_WITHIN else _nearest_usual(share)
    if not 0 < planned < 1:  # nobody, or everybody, was to be held out
        numbers = {"treated": n_treated, "control": n_control, "planned": planned, "chi2": math.inf, "p": 0.0}
        return Check("sample_ratio", "failed", numbers)
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


def _balance(arms: Comparison, column: str, code: str) -> Check:
    treated, control = arms.values(column)
    found = arms.difference(treated, control)
    spread = float(np.sqrt((treated.var(ddof=1) + control.var(ddof=1)) / 2))
    distance = found.difference / spread if spread > 0 else 0.0
    p_value = 1.0 if found.p_value is None else found.p_value
    numbers = {"treated": found.mean_treated, "control": found.mean_control, "distance": distance, "p": p_value}
    uneven = abs(distance) > LARGE_IMBALANCE and p_value < 0.05
    return Check(code, "noted" if uneven else "passed", numbers)
