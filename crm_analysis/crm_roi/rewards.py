"""Kinds of reward side by side: margin gained for each unit of cost, over all controlled campaigns so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.shrinkage import Pooled, pool

__all__ = ["KINDS", "RewardKind", "Rewards", "compare_kinds", "kind_of", "rewards"]

KINDS = ("price", "gift", "recognition", "choice", "none")
"""Kinds that are compared: lower prices, gifts, recognition, a choice between them, and a contact without a reward."""
_SPELT = {"discount": "price", "coupon": "price", "voucher": "price", "event": "recognition", "": "unknown"}
_REACH = float(stats.norm.ppf(0.975))


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardKind:
    """One kind: `pooled` is the margin gained for each unit of cost (1 breaks even), None without a measured campaign.

    `measured` and `unmeasured` are the names of its campaigns with and without a bounded return.
    """

    kind: str
    measured: tuple[str, ...]
    unmeasured: tuple[str, ...]
    pooled: Pooled | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """`kinds` that occur, best known first; `campaigns` has name, kind, gained, low, high (per unit of cost) and n.

    `between` asks whether the measured kinds differ by more than chance; None with fewer than two. It is a comparison
    of different lists at different times, never an effect of the kind.
    """

    kinds: tuple[RewardKind, ...]
    campaigns: pd.DataFrame
    between: Pooled | None

    @property
    def measured(self) -> tuple[RewardKind, ...]:
        """Kinds with at least one measured campaign."""
        return tuple(kind for kind in self.kinds if kind.pooled is not None)

    @property
    def absent(self) -> tuple[str, ...]:
        """Kinds of which no controlled campaign exists."""
        known = {kind.kind for kind in self.measured}
        return tuple(kind for kind in KINDS if kind not in known)


def rewards(evaluation: Evaluation) -> Rewards:
    """Compare kinds of reward over the campaigns of the period and all before it."""
    results = evaluation.earlier + evaluation.closed
    return compare_kinds(results, {result.campaign_id: kind_of(result.reward_kind) for result in results})


def compare_kinds(results: Sequence[CampaignResult], kinds: dict[str, str]) -> Rewards:
    """Pool the return on cost of campaigns by kind; `kinds` names each campaign's.

    The return of a campaign enters with a standard error of half its 95 % interval over 1.96; a return without a
    bounded interval cannot be weighed and counts as unmeasured. Campaigns are taken as independent of each other.
    """
    rows = []
    for result in results:
        roi = result.roi
        if roi is not None and roi.roi_low is not None and roi.roi_high is not None:
            row = (result.name, kinds[result.campaign_id], 1 + roi.roi, 1 + roi.roi_low, 1 + roi.roi_high)
            rows.append((*row, roi.n_treated + roi.n_control))
    campaigns = pd.DataFrame(rows, columns=["name", "kind", "gained", "low", "high", "n"])
    campaigns["error"] = (campaigns["high"] - campaigns["low"]).astype(float) / (2 * _REACH)
    found = []
    for kind in sorted(set(kinds.values()), key=_place):
        mine = campaigns[campaigns["kind"] == kind]
        others = [r.name for r in results if kinds[r.campaign_id] == kind and r.name not in set(mine["name"])]
        found.append(
            RewardKind(
                kind=kind,
                measured=tuple(mine["name"]),
                unmeasured=tuple(others),
                pooled=pool(mine["gained"], mine["error"]) if len(mine) else None,
            )
        )
    pooled = [kind.pooled for kind in found if kind.pooled is not None]
    between = pool([p.mean for p in pooled], [p.se for p in pooled]) if len(pooled) > 1 else None
    return Rewards(kinds=tuple(found), campaigns=campaigns.drop(columns="error"), between=between)


def kind_of(given: str) -> str:
    """The kind behind a source's word for a reward: one of `KINDS`, unknown, or the word itself."""
    code = given.strip().lower()
    return _SPELT.get(code, code)


def _place(kind: str) -> tuple[int, str]:
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), kind)
