"""Branches beside each other, and the changes that are more than noise: all from findings, none from customers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import special

from crm_analysis.book.cells import Outcome
from crm_analysis.estimators.multiplicity import benjamini_hochberg

FALSE_DISCOVERY_RATE = 0.05
TOTALS = ("money", "count")  # they grow with the branch, so that a gap in them says which branch is larger
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class BranchGap:
    """A branch's measure against the mean of the other branches, weighted by precision.

    `difference` is in the measure's own unit; `p_adjusted` is Benjamini-Hochberg over the branches compared.
    """

    branch: str
    value: float
    low: float
    high: float
    n: int | None
    others: float
    difference: float
    difference_low: float
    difference_high: float
    p_adjusted: float

    @property
    def stands_out(self) -> bool:
        """Whether the branch differs from the others beyond noise."""
        return self.p_adjusted < FALSE_DISCOVERY_RATE


@dataclass(frozen=True, slots=True)
class Moved:
    """A change against the previous period that is more than noise among all changes examined."""

    finding: Mapping[str, Any]
    branch: str
    chapter: str
    p_adjusted: float


def branch_gaps(outcomes: Sequence[Outcome], key: str) -> list[BranchGap]:
    """Each branch's measure `key` against the others, widest gap first.

    Branches whose measure has no interval are left out, and so are totals (money, counts), which differ because
    branches differ in size; with fewer than three branches nothing is compared. Standard
    errors are read back from the 95 % intervals. The others are taken together: shares by their numbers, so that the
    gap is that of all their customers, other measures by inverse variance.
    """
    known = []
    for outcome in outcomes:
        finding = outcome.finding(key)
        if outcome.branch == "all" or finding is None or finding["unit"] in TOTALS:
            continue
        if None in (finding["value"], finding["low"], finding["high"]):
            continue
        error = (finding["high"] - finding["low"]) / (2 * _Z95)
        if error > 0:
            known.append((outcome.branch, finding, error))
    if len(known) < 3:
        return []
    rows = []
    for branch, finding, error in known:
        others = [(f["value"], e, _weight(f, e)) for b, f, e in known if b != branch]
        total = sum(w for *_, w in others)
        mean = sum(v * w for v, _, w in others) / total
        difference = finding["value"] - mean
        spread = math.hypot(error, *(e * w / total for _, e, w in others))
        rows.append((branch, finding, mean, difference, spread, 2 * float(special.ndtr(-abs(difference) / spread))))
    adjusted = benjamini_hochberg([row[-1] for row in rows])
    gaps = [
        BranchGap(
            branch,
            finding["value"],
            finding["low"],
            finding["high"],
            finding["n"],
            mean,
            difference,
            difference - _Z95 * spread,
            difference + _Z95 * spread,
            float(p),
        )
        for (branch, finding, mean, difference, spread, _), p in zip(rows, adjusted, strict=True)
    ]
    return sorted(gaps, key=lambda gap: -abs(gap.difference))


def without_repeats(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes without those of the only branch, where it is the whole: then `all` has said the same already."""
    branches = {outcome.branch for outcome in outcomes} - {"all"}
    values = [
        {
            (outcome.chapter, finding["key"]): finding["value"]
            for outcome in outcomes
            if (outcome.branch == "all") == whole
            for finding in outcome.every_finding()
        }
        for whole in (True, False)
    ]
    common = values[0].keys() & values[1].keys()
    if len(branches) != 1 or not common or any(values[0][key] != values[1][key] for key in common):
        return list(outcomes)
    return [outcome for outcome in outcomes if outcome.branch == "all"]


def _weight(finding: Mapping[str, Any], error: float) -> float:
    return float(finding["n"]) if finding["unit"] == "share" and finding["n"] else error**-2


def moved(outcomes: Sequence[Outcome]) -> tuple[list[Moved], int]:
    """The changes that pass the false discovery rate among all that carry a p-value, and how many were examined."""
    examined = [
        (finding, outcome)
        for outcome in outcomes
        for finding in outcome.every_finding()
        if finding.get("change") and finding["change"]["p"] is not None
    ]
    if not examined:
        return [], 0
    adjusted = benjamini_hochberg([finding["change"]["p"] for finding, _ in examined])
    passed = [
        Moved(finding, outcome.branch, outcome.chapter, float(p))
        for (finding, outcome), p in zip(examined, adjusted, strict=True)
        if p < FALSE_DISCOVERY_RATE
    ]
    return sorted(passed, key=lambda change: change.p_adjusted), len(examined)
