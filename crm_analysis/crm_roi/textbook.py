"""What textbooks say about keeping customers, held against the organisation's own data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm_analysis.crm_roi.amounts import Amount
from crm_analysis.crm_roi.associations import complaint_recovery
from crm_analysis.crm_roi.lifetime import Keeping
from crm_analysis.estimators.proportions import two_proportions, wilson

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Claim", "SIX_TIMES", "judge", "textbook_claims"]

SIX_TIMES = 6.0
FIVE_POINTS = (0.25, 0.85)
"""Reichheld and Sasser 1990."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One textbook claim: `verdict` is holds, fails, unsettled or untestable.

    six_times: winning a customer costs at least six times as much as keeping one (`found`: the ratio). five_points:
    five more points of retention raise a customer's value by 25 to 85 % (the rise, a ratio). complaints: complainers
    whose complaint was resolved within a week pay again more often than the others (difference of shares); an
    association. `needs` names the table that an untestable claim lacks, or says short, few or withheld.
    """

    code: str
    verdict: str
    found: Amount | None
    n: int
    needs: str = ""


def judge(found: Amount, *, low: float, high: float | None = None) -> str:
    """Whether an interval lies inside [low, high], outside, or on an end of it."""
    if found.low is None or found.high is None:
        return "unsettled"
    if found.low >= low and (high is None or found.high <= high):
        return "holds"
    return "fails" if found.high < low or (high is not None and found.low > high) else "unsettled"


def textbook_claims(scope: Scope, kept: Keeping) -> tuple[Claim, ...]:
    """The three claims on a scope's own data."""
    return _six_times(kept, scope.profile.privacy.min_cell), _five_points(kept), _complaints(scope)


def _six_times(kept: Keeping, min_cell: int) -> Claim:
    won = kept.winning
    if won.ratio is not None and any(won.veiled(min_cell)):
        return Claim("six_times", "untestable", None, 0, "withheld")
    needs = {"no_costs": "costs", "no_acquisition": "costs, acquisition", "no_keeping": "costs, retention"}
    if won.ratio is None:
        return Claim("six_times", "untestable", None, won.n_new + won.n_kept, needs.get(won.missing, "short"))
    return Claim("six_times", judge(won.ratio, low=SIX_TIMES), won.ratio, won.n_new + won.n_kept)


def _five_points(kept: Keeping) -> Claim:
    here = kept.here
    if here is None or here.rise is None:
        return Claim("five_points", "untestable", None, 0 if here is None else here.n, "short")
    return Claim("five_points", judge(here.rise, low=FIVE_POINTS[0], high=FIVE_POINTS[1]), here.rise, here.n)


def _complaints(scope: Scope) -> Claim:
    if not scope.has("cases"):
        return Claim("complaints", "untestable", None, 0, "cases")
    groups = complaint_recovery(scope).set_index("group")
    others = groups[groups.index != "quick"]
    if "quick" not in groups.index or others.empty:
        return Claim("complaints", "untestable", None, int(groups["n"].sum()), "few")
    quick = groups.loc["quick"]
    first = wilson(float(round((others["n"] * others["share"]).sum())), float(others["n"].sum()))
    second = wilson(float(round(quick["n"] * quick["share"])), float(quick["n"]))
    found = two_proportions(first, second)
    verdict = "holds" if found.low > 0 else "fails" if found.high <= 0 else "unsettled"
    return Claim("complaints", verdict, Amount(found.value, found.low, found.high), int(groups["n"].sum()))
