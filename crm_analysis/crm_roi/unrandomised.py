"""Programmes without control: four comparisons side by side, the same on dates when nothing happened, and whether any
of them identifies anything.

Nothing here is an effect. Where every check passes, the result is an association adjusted for what is known; where one
fails, the records do not even hold that. The rule was fixed before any programme was looked at:

- pre-trend: the joint test that list and others moved alike before the day, p at or above `PRETREND_ALPHA`;
- placebo: no adjusted estimate differs from zero (95 %) on a date when nothing happened, one window and a year earlier;
- overlap: at most `MOST_OUTSIDE` of the list unlike everybody else, and others worth `roi.min_control` or more;
- sign: where an adjusted estimate differs from zero, all of them have its sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_analysis import privacy
from crm_analysis.crm_roi import pools
from crm_analysis.crm_roi.gate import Check
from crm_analysis.crm_roi.pools import Past
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators import observational as obs
from crm_analysis.estimators.observational import Contrast, EventStudy, HiddenBias, Weighted

if TYPE_CHECKING:
    from crm_analysis.profile import Profile
    from crm_analysis.tables import Scope

__all__ = ["ADJUSTED", "MOST_OUTSIDE", "PRETREND_ALPHA", "Comparison", "Occasion", "compare"]

PRETREND_ALPHA = 0.05
MOST_OUTSIDE = 0.1
ADJUSTED = ("ancova", "did", "aipw")
"""The estimates that are held to the checks; the naive one and the list's own change stand beside them."""
_FEWEST_WINDOWS, _MOST_WINDOWS = 3, 12
_YEAR_DAYS = 365
_MEMBERS_PER_COVARIATE = 10
"""Fewest members of a list for each covariate of the logit (Peduzzi et al. 1996)."""
_MOST_LEVELS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """All estimates for one date: the campaign's (`kind` campaign), or one when nothing happened (window, year).

    Money per member and window. `estimates` are own, naive, ancova, did, aipw; what is undefined is None. `n_listed`
    and `n_pool` count the units compared, `left_out` those of the list that were not known or covered then, or in
    another campaign. `balance` has a row per covariate: code, before, after (standardised differences).
    """

    kind: str
    days_earlier: int
    n_listed: int
    n_pool: int
    left_out: int
    estimates: Mapping[str, Contrast | None]
    weighted: Weighted
    trend: EventStudy
    hidden: HiddenBias | None
    balance: pd.DataFrame
    by_branch: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What can be compared about one campaign without control.

    `state`: compared; no_pool (fewer than `roi.min_control` others to compare with), too_few (of the list itself were
    known before), short_history (no whole window before the day is covered), withheld. `absent` names covariates that
    no table supplies. `checks` are the rule; `identified` whether each of them passed.
    """

    campaign_id: str
    key: str
    name: str
    state: str
    cost: float
    event_on: date | None
    window_days: int
    real: Occasion | None = None
    placebos: tuple[Occasion, ...] = ()
    checks: tuple[Check, ...] = ()
    absent: tuple[str, ...] = ()
    query: str = ""

    @property
    def identified(self) -> bool:
        """Whether every check passed: then it is an association adjusted for what is known, still not an effect."""
        return self.state == "compared" and all(check.status == "passed" for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Codes of the checks that did not pass."""
        return tuple(check.code for check in self.checks if check.status != "passed")


def compare(scope: Scope, evaluation: Evaluation) -> tuple[Comparison, ...]:
    """Compare every closed campaign without control with those whom no campaign treated; the costliest first."""
    lists = [result for result in evaluation.closed if result.state == "not_causal" and len(result.gate.units)]
    if not lists:
        return ()
    customers = pools.known_customers(scope)
    treated = pools.contacts(scope, evaluation)
    found = [_compare(result, scope, customers, treated) for result in lists]
    return tuple(sorted(found, key=lambda comparison: -comparison.cost))


def _compare(result: CampaignResult, scope: Scope, customers: pd.DataFrame, treated: pd.DataFrame) -> Comparison:
    profile = scope.profile
    units = pools.pool_of(result, customers, treated)
    event_on = pd.Timestamp(result.gate.units["assigned_on"].median()).normalize()

    def ended(state: str, **more: object) -> Comparison:
        return Comparison(
            campaign_id=result.campaign_id,
            key=result.key,
            name=result.name,
            state=state,
            cost=result.cost.actual if result.cost else 0.0,
            event_on=event_on.date(),
            window_days=result.window_days,
            **more,  # type: ignore[arg-type]
        )

    length = result.window_days + 1
    reach = int((units["event_on"].min() - customers["covered_from"].min()).days // length) if len(customers) else 0
    if reach < 1:
        return ended("short_history")
    if (~units["listed"]).sum() < profile.roi.min_control:
        return ended("no_pool")
    wanted = int(np.clip(round(_YEAR_DAYS / length), _FEWEST_WINDOWS, _MOST_WINDOWS))
    year = max(1, round((_YEAR_DAYS - 1) / length))
    shifts = tuple(shift for shift in dict.fromkeys((0, 1, year)) if shift < reach)
    depth = max(shift + min(wanted, reach - shift) for shift in shifts)
    past = pools.past_of(units, scope, window_days=result.window_days, depth=depth, shifts=shifts)
    occasions = [
        _occasion(past, treated, result, profile, shift=shift, n_before=min(wanted, reach - shift)) for shift in shifts
    ]
    real = occasions[0]
    if isinstance(real, str):
        return ended(real)
    placebos = tuple(occasion for occasion in occasions[1:] if isinstance(occasion, Occasion))
    return ended(
        "compared",
        real=real,
        placebos=placebos,
        checks=_checks(real, placebos, least=profile.roi.min_control),
        absent=_absent(scope),
        query=past.query,
    )


def _occasion(
    past: Past, treated: pd.DataFrame, result: CampaignResult, profile: Profile, *, shift: int, n_before: int
) -> Occasion | str:
    """The estimates at a date `shift` windows before the campaign's, or the state that says why there are none."""
    units, length = past.units, past.window_days + 1
    day = units["event_on"] - pd.Timedelta(days=shift * length)
    at = past.values.shape[1] - 1 - shift
    listed = units["listed"].to_numpy(bool)
    reaches_back = units["covered_from"] <= day - pd.Timedelta(days=n_before * length)
    busy = pools.in_campaign(
        units, treated, shift_days=shift * length, window_days=past.window_days, but=result.campaign_id
    )
    keep = ((units["first_on"] < day) & reaches_back).to_numpy(bool) & ~busy
    y, before = past.values[:, at], past.values[:, at - n_before : at]
    if _hidden(listed & keep, y, before, profile) or _hidden(~listed & keep, y, before, profile):
        return "withheld"
    keep = keep & ~_told_by_the_others(units["branch"], listed, keep, y, before, profile)
    d = listed[keep]
    if d.sum() < profile.roi.min_control:
        return "too_few"
    if (~d).sum() < profile.roi.min_control:
        return "no_pool"
    if _hidden(listed & keep, y, before, profile) or _hidden(~listed & keep, y, before, profile):
        return "withheld"
    y, before = y[keep], before[keep]
    level = before.mean(axis=1)
    codes, x = _covariates(units[keep], day[keep], past.habits[shift][keep], before, n_listed=int(d.sum()))
    weighted = obs.aipw(y, d, x)
    periods = tuple(range(-n_before, 1))
    return Occasion(
        kind="campaign" if shift == 0 else "window" if shift == 1 else "year",
        days_earlier=shift * length,
        n_listed=int(d.sum()),
        n_pool=int((~d).sum()),
        left_out=int((listed & ~keep).sum()),
        estimates={
            "own": obs.own_change(level[d], y[d]),
            "naive": obs.naive_difference(y, d),
            "ancova": obs.ancova(y, d, level),
            "did": obs.difference_in_differences(before, y, d),
            "aipw": weighted.contrast,
        },
        weighted=weighted,
        trend=obs.event_study(np.column_stack([before, y]), d, periods=periods),
        hidden=obs.hidden_bias(y, d, level),
        balance=_balance(codes, weighted),
        by_branch={
            "listed": _counts(units.loc[keep & listed, "branch"]),
            "pool": _counts(units.loc[keep & ~listed, "branch"]),
        },
    )


def _told_by_the_others(
    branch: pd.Series,
    listed: NDArray[np.bool_],
    keep: NDArray[np.bool_],
    y: NDArray[np.float64],
    before: NDArray[np.float64],
    profile: Profile,
) -> NDArray[np.bool_]:
    """Units of a branch whose amounts alone must be hidden: a sum over all branches would tell them, so they stay out.

    Where several branches' amounts are hidden, the sum tells none of them.
    """
    names, out = branch.to_numpy(object), np.zeros(len(branch), dtype=bool)
    for group in (listed & keep, ~listed & keep):
        there = pd.unique(names[group])
        own = [group & (names == name) for name in there if len(there) > 1]
        veiled = [
            part
            for part in own
            if privacy.small(int(part.sum()), profile.privacy.min_cell) or _hidden(part, y, before, profile)
        ]
        if len(veiled) == 1:
            out |= veiled[0]
    return out


def _hidden(group: NDArray[np.bool_], y: NDArray[np.float64], before: NDArray[np.float64], profile: Profile) -> bool:
    """Whether what a group left, in the window or before, must not be shown."""
    rule = profile.privacy.min_cell, profile.privacy.dominance_share
    return any(privacy.withhold(amounts, *rule) for amounts in (y[group], before[group].sum(axis=1)))


def _covariates(
    units: pd.DataFrame, day: pd.Series, habits: pd.DataFrame, before: NDArray[np.float64], *, n_listed: int
) -> tuple[list[str], NDArray[np.float64]]:
    """Codes and columns of what is known of each unit on its day; a short list takes fewer, in this order."""
    level = before.mean(axis=1)
    positive = np.abs(level[level != 0])
    scale = float(np.median(positive)) if positive.size else 1.0
    silent = habits["days_since_last"].fillna(habits["days_since_last"].max() + 1).fillna(0)
    tenure = (day - units["first_on"]).dt.days
    columns: list[tuple[str, NDArray[np.float64]]] = [
        ("value", level),
        ("value_log", np.arcsinh(level / scale)),
        ("recency", np.log1p(silent.clip(lower=0).to_numpy(float))),
        ("frequency", np.log1p(habits["n_orders"].to_numpy(float))),
        ("tenure", np.log1p(tenure.clip(lower=0).to_numpy(float))),
        ("value_last", np.arcsinh(before[:, -1] / scale)),
    ]
    for code, labels in (("channel", habits["channel"]), ("branch", units["branch"])):
        group = [(code, column) for column in _levels(labels)]
        if n_listed >= _MEMBERS_PER_COVARIATE * (len(columns) + len(group)):
            columns += group
    columns = columns[: max(2, n_listed // _MEMBERS_PER_COVARIATE)]
    return [code for code, _column in columns], np.column_stack([column for _code, column in columns])


def _levels(labels: pd.Series) -> list[NDArray[np.float64]]:
    """A column of zeros and ones for each of the most frequent labels but the first."""
    frequent = labels[labels.notna() & (labels != "")].value_counts()
    ordered = sorted(frequent.index, key=lambda label: (-frequent[label], str(label)))[1:_MOST_LEVELS]
    return [(labels == label).to_numpy(float) for label in ordered]


def _balance(codes: list[str], weighted: Weighted) -> pd.DataFrame:
    """Standardised differences by code; of several columns of one code the largest."""
    frame = pd.DataFrame(
        {"code": codes, "before": weighted.differences_before, "after": weighted.differences_after}
    ).astype({"before": float, "after": float})
    order = frame["before"].abs().fillna(0).groupby(frame["code"], sort=False).idxmax()
    return frame.loc[order].reset_index(drop=True)


def _checks(real: Occasion, placebos: tuple[Occasion, ...], *, least: int) -> tuple[Check, ...]:
    trend = real.trend
    tested = [contrast for occasion in placebos for contrast in _adjusted(occasion)]
    found = sum(contrast.excludes_zero for contrast in tested)
    overlap = real.weighted.overlap
    enough = overlap.outside_share <= MOST_OUTSIDE and overlap.effective_n >= least
    signs = {np.sign(contrast.estimate) for contrast in _adjusted(real)}
    agree = len(signs) == 1 or not any(contrast.excludes_zero for contrast in _adjusted(real))
    return (
        Check(
            "pretrend",
            "untested" if trend.p_value is None else _status(trend.p_value >= PRETREND_ALPHA),
            {"n": trend.rank} | ({} if trend.p_value is None else {"p": trend.p_value}),
        ),
        Check(
            "placebo",
            "untested" if not tested else _status(found == 0),
            {"n": found, "of": len(tested), "dates": len(placebos)},
        ),
        Check("overlap", _status(enough), {"outside": overlap.outside_share, "effective": overlap.effective_n}),
        Check("sign", _status(agree), {"of": len(_adjusted(real))}),
    )


def _adjusted(occasion: Occasion) -> list[Contrast]:
    return [contrast for name in ADJUSTED if (contrast := occasion.estimates[name]) is not None]


def _status(passed: bool) -> str:
    return "passed" if passed else "failed"


def _absent(scope: Scope) -> tuple[str, ...]:
    missing = [] if pools.supplied_channel(scope) else ["channel"]
    if not scope.has("customers"):
        missing.append("tenure")
    return tuple(missing)


def _counts(branch: pd.Series) -> tuple[int, ...]:
    return tuple(int(n) for n in branch.value_counts())
