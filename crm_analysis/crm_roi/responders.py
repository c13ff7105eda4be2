"""Who responds: the effect of each randomised campaign by group of members, and whether choosing them would pay."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.comparison import compare
from crm_analysis.crm_roi.effects import net_of_behaviour
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.means import MeanDifference
from crm_analysis.estimators.multiplicity import holm
from crm_analysis.estimators.shrinkage import Pooled, pool, shrink
from crm_analysis.estimators.uplift import Gain, Qini, cross_fit, qini, target
from crm_analysis.units import DAYS_PER_YEAR

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = [
    "Group",
    "Policy",
    "Responders",
    "Split",
    "advised_lists",
    "contact_and_fixed_cost",
    "judge_together",
    "responders",
    "split",
]

FEWEST_TO_LEARN = 100
"""Members of the smaller arm below which no rule is learned."""
FEWEST_TO_SHRINK = 4
"""Groups below which the spread between them is not known and nothing is drawn anywhere."""
BANDS = (10, 5, 4, 3, 2)
TENURE_YEARS = (0.5, 1, 2, 5)
AGES = (30, 40, 50, 60, 70)
REST = "rest"
FOLD_DRAWS = 10
LEVEL = 0.025
"""Chance, one-sided, of one false `target` or more on a page; the 95 % intervals shown end at the same."""
MOST_DRAWS = 0.5
"""Share of the draws of folds above which a member is one of those whom the rule would contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Margin per member of one group of members: `found` is treated less control, `shrunk` what is left of it.

    `shrunk` with `shrunk_low` and `shrunk_high` draws the difference towards that of all members by the share of its
    variance that is chance; None where the group's margin does not vary, and of fewer than `FEWEST_TO_SHRINK` groups.
    `by_branch` holds, per arm, the members by branch where the pages of the branches could tell one of them, else
    nothing. `withheld` marks amounts of too few payers, or of one above all. Of `n_judged` members the learned rule
    would contact `n_targeted`; 0 of 0 where none was learned.
    """

    code: str
    found: MeanDifference
    by_branch: dict[str, tuple[int, ...]]
    shrunk: float | None = None
    shrunk_low: float | None = None
    shrunk_high: float | None = None
    withheld: bool = False
    n_judged: int = 0
    n_targeted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The members of a campaign split in one way (stratum, tenure, age, branch, value).

    `pooled` tests whether the groups' effects differ by more than chance, None where fewer than two of them vary;
    `p_holm` is its p-value adjusted for the number of ways in which this campaign was split.
    """

    code: str
    groups: tuple[Group, ...]
    pooled: Pooled | None
    p_holm: float | None = None

    @property
    def differs(self) -> bool:
        """Whether the groups are shown to respond differently, at 5 % over all the ways of splitting."""
        return self.p_holm is not None and self.p_holm < 0.05  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The worth of contacting only those whose predicted gain exceeds the cost of their contact, over the whole list.

    Profits are in the profile's currency, for all `n` members of the list: margin gained less what their behaviour
    cost, the contacts made and the `fixed_cost`, which is spent unless nobody is contacted. `everybody` is the
    programme's own net carried over to those held out: on its treated members alone it would be the net of
    its return, to the last digit.
    `contact_cost` is what one contact saved would save; `whole_cost` marks that the ledger does not tell contacts from
    the rest, so that all cost counts as theirs. `over_everybody` is targeting less contacting everybody. Profits
    are averages over the draws of folds; `n_targeted` members are those whom the rule would contact in more than
    `MOST_DRAWS` of them, just as the list names them. `members` has customer_id, branch, expected_gain (margin per
    member, before the contact) and chosen (share of draws in which a rule that had not seen the member would contact
    it). `p_target` is the one-sided p-value of targeting being above both others, adjusted by Holm for the campaigns of
    the page (`judge_together`). `decided_by_all` marks a branch's part of a campaign that ran in several.
    """

    n: int
    n_targeted: int
    contact_cost: float
    fixed_cost: float
    whole_cost: bool
    everybody: Gain
    targeted: Gain
    over_everybody: Gain
    members: pd.DataFrame = field(compare=False, repr=False)
    decided_by_all: bool = False
    p_target: float | None = None

    @property
    def advice(self) -> str:
        """target, everybody, nobody, unsettled or all_branches.

        `target` only where targeting is shown above both contacting everybody and contacting nobody, which keeps the
        chance of a false `target` at the level of one test, by Holm's adjustment also over all campaigns of a page. Of
        a campaign that ran in several branches only the page of all branches advises, so that it is tested once.
        """
        if self.decided_by_all:
            return "all_branches"
        if 0 < self.n_targeted < self.n and self.p_target is not None and self.p_target < LEVEL:
            return "target"
        if _above(self.everybody):
            return "everybody"
        if self.everybody.high is not None and self.everybody.high < 0 and not _above(self.targeted):
            return "nobody"
        return "unsettled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Responders:
    """Who responds to one campaign. `qini` and `policy` are None where an arm is too small to learn from, or members
    were not drawn one by one with one chance for all; `policy` also where the campaign's cost is not known."""

    campaign_id: str
    key: str
    name: str
    n_treated: int
    n_control: int
    splits: tuple[Split, ...]
    qini: Qini | None
    policy: Policy | None

    @property
    def differing(self) -> tuple[Split, ...]:
        """The ways of splitting in which groups are shown to respond differently."""
        return tuple(split for split in self.splits if split.differs)


def responders(scope: Scope, evaluation: Evaluation) -> tuple[Responders, ...]:
    """For every randomised campaign of the period: effects by group, Qini curve, and the worth of targeting.

    Groups are made of what was known before the assignment and no campaign can change: stratum, tenure, age, branch
    (over all branches), and value in the year before. Tiers are left out: the table tells those of the period's end.
    """
    measured = [r for r in evaluation.closed if r.state in ("measured", "no_cost") and r.effect("margin") is not None]
    born = _birth_dates(scope) if measured else None
    return judge_together([_of_campaign(result, evaluation, scope, born) for result in measured])


def judge_together(found: Sequence[Responders]) -> tuple[Responders, ...]:
    """The campaigns of one page with `p_target` of their policies, in the order given.

    Above both everybody and nobody is one test of each campaign, at the larger of the two p-values (an
    intersection-union test, Berger 1982); Holm's adjustment (1979) runs over those that the page decides.
    """
    chances = [
        np.nan
        if one.policy is None or one.policy.decided_by_all
        else np.maximum(_p_above(one.policy.over_everybody), _p_above(one.policy.targeted))
        for one in found
    ]
    return tuple(
        one
        if one.policy is None
        else replace(one, policy=replace(one.policy, p_target=None if np.isnan(p) else float(p)))
        for one, p in zip(found, holm(chances), strict=True)
    )


def _of_campaign(result: CampaignResult, evaluation: Evaluation, scope: Scope, born: pd.Series | None) -> Responders:
    units = result.gate.units.reset_index(drop=True)
    fewest = max(scope.profile.roi.min_control, evaluation.min_cell)
    labels = _labels(units, born, fewest=fewest, branches=scope.branch == "all")
    if result.gate.by_stratum:  # drawn at a share of its own in each stratum: only within one do arms compare
        labels = {code: label for code, label in labels.items() if code == "stratum"}
    treated = (units["arm"] == "treated").to_numpy()
    curve, policy = None, None
    singly = units["unit"].is_unique and not result.gate.by_stratum
    if singly and min(treated.sum(), (~treated).sum()) >= FEWEST_TO_LEARN:
        rng = np.random.default_rng(zlib.crc32(result.campaign_id.encode()))
        features = _features(units, labels)
        margin = units["margin"].to_numpy(float)
        curve = qini(margin, treated, cross_fit(margin, treated, features, rng=rng).rank, rng=rng)
        if result.roi is not None:
            policy = _policy(units, features, result, rng)
    rules = evaluation.min_cell, evaluation.dominance_share
    splits = [
        made
        for code, label in labels.items()
        if (made := split(units, label, code=code, fewest=fewest, privacy_rule=rules)) is not None
    ]
    chances = [np.nan if made.pooled is None or made.pooled.p is None else made.pooled.p for made in splits]
    adjusted = holm(chances) if splits else np.empty(0)
    return Responders(
        campaign_id=result.campaign_id,
        key=result.key,
        name=result.name,
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
        splits=tuple(
            _with_rule(made, labels[made.code], policy, None if np.isnan(p) else float(p))
            for made, p in zip(splits, adjusted, strict=True)
        ),
        qini=curve,
        policy=policy,
    )


def split(
    units: pd.DataFrame, label: pd.Series, *, code: str, fewest: int, privacy_rule: tuple[int, float]
) -> Split | None:
    """Effects on margin by group: `label` names each member's group, already merged so that no group is small.

    None where only one group is left.
    """
    codes = list(pd.unique(label))
    if len(codes) < 2:  # noqa: PLR2004 - one group is no split
        return None
    groups = []
    for name in _in_order(codes):
        mine = units[(label == name).to_numpy()]
        both = compare(mine)
        arms = (both.treated, both.control)
        groups.append(
            Group(
                code=str(name),
                found=both.difference(*both.values("margin")),
                by_branch=_told_by_branches(mine, code, fewest),
                withheld=any(privacy.withhold(frame["margin"], *privacy_rule) for frame in arms),
            )
        )
    groups = _complement(groups)
    varying = [i for i, group in enumerate(groups) if group.found.standard_error is not None]
    if len(varying) < 2:  # noqa: PLR2004
        return Split(code=code, groups=tuple(groups), pooled=None)
    estimates = [groups[i].found.difference for i in varying]
    errors = [groups[i].found.standard_error or 0.0 for i in varying]
    if len(varying) >= FEWEST_TO_SHRINK:
        drawn = shrink(estimates, errors)
        for i, value, low, high in zip(varying, drawn.value, drawn.low, drawn.high, strict=True):
            groups[i] = replace(groups[i], shrunk=float(value), shrunk_low=float(low), shrunk_high=float(high))
    return Split(code=code, groups=tuple(groups), pooled=pool(estimates, errors))


def _told_by_branches(mine: pd.DataFrame, code: str, fewest: int) -> dict[str, tuple[int, ...]]:
    """Members by arm and branch where all branches but one state this group, so that the sum tells the one's.

    A branch states a group of `fewest` members or more in both arms; bands of value are each branch's own.
    """
    counts = pd.crosstab(mine["branch"], mine["arm"]).reindex(columns=["treated", "control"], fill_value=0)
    one_missing = int((counts.min(axis=1) < fewest).sum()) == 1
    stated = code not in ("value", "branch") and one_missing
    return {arm: tuple(counts[arm].to_list()) if stated else () for arm in counts}


def _complement(groups: list[Group]) -> list[Group]:
    """One withheld group alone could be told from the whole: the smallest other goes with it."""
    if sum(group.withheld for group in groups) != 1:
        return groups
    size = [np.inf if g.withheld else g.found.n_treated + g.found.n_control for g in groups]
    also = int(np.argmin(size))
    return [replace(g, withheld=True) if i == also else g for i, g in enumerate(groups)]


def _with_rule(made: Split, label: pd.Series, policy: Policy | None, p: float | None) -> Split:
    groups = made.groups
    if policy is not None:
        of = (policy.members["chosen"] > MOST_DRAWS).groupby(label.to_numpy()).agg(["size", "sum"])
        groups = tuple(replace(g, n_judged=int(of["size"][g.code]), n_targeted=int(of["sum"][g.code])) for g in groups)
    return Split(code=made.code, groups=groups, pooled=made.pooled, p_holm=p)


def _in_order(codes: list[str]) -> list[str]:
    """Group codes in their natural order, the rest last."""
    return sorted(codes, key=lambda code: (code == REST, code))


def _labels(units: pd.DataFrame, born: pd.Series | None, *, fewest: int, branches: bool) -> dict[str, pd.Series]:
    """The group of every member in each way of splitting, small groups merged."""
    years = ((units["assigned_on"] - units["first_on"]).dt.days.clip(lower=0) / DAYS_PER_YEAR).fillna(0.0)
    wanted = {"stratum": units["stratum"].fillna("").astype(str), "tenure": _banded(years, TENURE_YEARS)}
    if born is not None:
        birth = pd.to_datetime(units["customer_id"].map(born))
        age = (units["assigned_on"] - birth).dt.days / DAYS_PER_YEAR
        wanted["age"] = _banded(age, AGES)
    if branches:
        wanted["branch"] = units["branch"].fillna("").astype(str)
    found = {code: _merged(label, units["arm"], fewest) for code, label in wanted.items()}
    found["value"] = _value_bands(units, fewest)
    return {code: label for code, label in found.items() if label.nunique() > 1}


def _banded(values: pd.Series, edges: tuple[float, ...]) -> pd.Series:
    """Band number by edges, closed on the left, as sortable text; empty where the value is not known."""
    band = pd.Series(np.digitize(values.fillna(0.0), edges), index=values.index).astype(str)
    return band.where(values.notna(), "")


def _merged(label: pd.Series, arm: pd.Series, fewest: int) -> pd.Series:
    """Groups with fewer than `fewest` members in an arm go together; the smallest stated ones join while they are few.

    Members of whom the attribute is not known are such a group.
    """
    label = label.where(label != "", REST)
    while True:
        counts = pd.crosstab(label, arm).reindex(columns=["treated", "control"], fill_value=0).min(axis=1)
        small = counts[counts < fewest]
        if small.empty or len(counts) == 1:
            return label
        others = counts.drop(index=REST, errors="ignore")
        joining = small.drop(index=REST, errors="ignore").index
        if joining.empty:
            joining = others.nsmallest(1).index
        label = label.where(~label.isin(joining), REST)


def _value_bands(units: pd.DataFrame, fewest: int) -> pd.Series:
    """Tenths by margin in the year before, or fewer bands while one of them has too few members in an arm.

    Members of equal value stay together, so that bands may differ in size.
    """
    place = units["margin_before"].rank(method="max", pct=True).to_numpy()
    for bands in BANDS:
        band = np.ceil(place * bands - 1e-9).astype(int)
        _codes, number = np.unique(band, return_inverse=True)
        label = pd.Series([f"{n + 1:02d}" for n in number], index=units.index)
        counts = pd.crosstab(label, units["arm"]).reindex(columns=["treated", "control"], fill_value=0)
        if int(counts.to_numpy().min()) >= fewest:
            return label
    return pd.Series("01", index=units.index)


def _features(units: pd.DataFrame, labels: dict[str, pd.Series]) -> np.ndarray:
    """What the rule may use: place by value before (also squared), whether there was any, tenure, and the groups."""
    place = units["margin_before"].rank(method="average", pct=True).to_numpy()
    years = (units["assigned_on"] - units["first_on"]).dt.days.clip(lower=0).fillna(0).to_numpy(float) / DAYS_PER_YEAR
    columns = [place, place**2, (units["margin_before"] > 0).to_numpy(float), np.log1p(years)]
    for code in ("stratum", "age", "branch"):
        if code in labels:
            dummies = pd.get_dummies(labels[code], drop_first=True, dtype=float)
            columns += [dummies[name].to_numpy() for name in dummies]
    return np.column_stack(columns)


def contact_and_fixed_cost(result: CampaignResult) -> tuple[float, float]:
    """What one contact saved would save, and the cost that does not depend on how many are contacted.

    Where the ledger does not tell contacts from the rest, all cost counts as theirs and the second is 0.
    """
    roi, cost = result.roi, result.cost
    assert roi is not None and cost is not None
    spread_evenly = cost.charged - cost.charged_by_orders
    contact = spread_evenly / roi.n_treated
    if roi.break_even_contact_cost is not None:
        contact = min(roi.break_even_contact_cost - roi.net / roi.n_treated, contact)
    return contact, max(spread_evenly - contact * roi.n_treated, 0.0)


def _policy(units: pd.DataFrame, features: np.ndarray, result: CampaignResult, rng: np.random.Generator) -> Policy:
    roi = result.roi
    assert roi is not None
    contact, fixed = contact_and_fixed_cost(result)
    treated = (units["arm"] == "treated").to_numpy()
    found = target(net_of_behaviour(units, result.cost), treated, features, cost=contact, rng=rng, draws=FOLD_DRAWS)
    members = units[["customer_id", "branch"]].assign(expected_gain=found.expected, chosen=found.chosen)
    n = len(units)
    return Policy(
        n=n,
        n_targeted=int((found.chosen > MOST_DRAWS).sum()),
        contact_cost=contact,
        fixed_cost=fixed,
        whole_cost=roi.break_even_contact_cost is None,
        everybody=_over_list(found.everybody, fixed),
        targeted=_over_list(found.targeted, fixed * (1 - found.share_idle)),
        over_everybody=_over_list(found.over_everybody, -fixed * found.share_idle),
        members=members,
        decided_by_all=result.elsewhere,
    )


def _over_list(found: Gain, fixed: float) -> Gain:
    """A mean per member as a sum over the whole list, less a fixed cost."""
    low, high = (None if end is None else end * found.n - fixed for end in (found.low, found.high))
    return Gain(found.mean * found.n - fixed, low, high, found.n)


def advised_lists(found: Sequence[Responders]) -> dict[str, pd.DataFrame]:
    """Whom the rule would contact in most draws, of each campaign of which targeting is advised, by finding key."""
    return {
        f"{one.key}.targeting": one.policy.members[one.policy.members["chosen"] > MOST_DRAWS].reset_index(drop=True)
        for one in found
        if one.policy is not None and one.policy.advice == "target"
    }


def _p_above(gain: Gain) -> float:
    """One-sided p-value of a gain above nothing, below `LEVEL` just where its interval is; undefined without one."""
    if gain.low is None:
        return np.nan
    return float(stats.norm.sf(stats.norm.isf(LEVEL) * gain.mean / (gain.mean - gain.low)))


def _above(gain: Gain) -> bool:
    return gain.low is not None and gain.low > 0


def _birth_dates(scope: Scope) -> pd.Series | None:
    """Day of birth by customer; None where the profile maps none."""
    if not scope.has("customers") or "birth_date" not in scope.columns("customers"):
        return None
    customers = scope.table("customers")
    found = customers.group_by("customer_id").aggregate(born=customers.birth_date.cast("date").min()).execute()
    return found.set_index("customer_id")["born"] if found["born"].notna().any() else None
