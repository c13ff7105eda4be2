"""Everything the chapter knows about one branch and period, from a scope: one field per topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm_analysis.crm_roi.comebacks import Comeback, comeback
from crm_analysis.crm_roi.evaluation import Evaluation, evaluate
from crm_analysis.crm_roi.finance import Finance, examine_money
from crm_analysis.crm_roi.holdout import Holdout, reconcile
from crm_analysis.crm_roi.planning import NextTest, next_test
from crm_analysis.crm_roi.replay import Replay, replay
from crm_analysis.crm_roi.responders import Policy, Responders, responders
from crm_analysis.crm_roi.rewards import Rewards, rewards
from crm_analysis.crm_roi.thresholds import Threshold, thresholds
from crm_analysis.crm_roi.together import Together, compare_campaigns
from crm_analysis.crm_roi.unrandomised import Comparison, compare

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Study", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """`evaluation` holds gate, effect, cost and return of every campaign; the other fields what goes beyond them.

    `finance` follows the money further (costs in depth, over time, what it rests on).
    `together` compares campaigns with each other, `holdout` those left out of all of them with everybody else (None
    where the profile names no such list). `responders` says who responds to each, `thresholds` the effect at the line
    that lets customers in, `rewards` puts kinds of reward side by side, `comeback` shows how the latest win-back list
    came back. `next_test` plans what would settle the costliest unknown, `replay` says how often the tests find what is
    not there (None without campaigns). `unrandomised` hold lists without control beside those on no list.
    """

    evaluation: Evaluation
    finance: Finance
    responders: tuple[Responders, ...]
    thresholds: tuple[Threshold, ...]
    rewards: Rewards
    comeback: Comeback | None
    together: Together
    holdout: Holdout | None
    unrandomised: tuple[Comparison, ...]
    next_test: NextTest
    replay: Replay | None

    @property
    def policies(self) -> dict[str, Policy]:
        """The worth of choosing whom to contact, by campaign, where it could be judged."""
        return {found.campaign_id: found.policy for found in self.responders if found.policy is not None}


def examine(scope: Scope) -> Study:
    """Compute the chapter; absent tables and thin data leave their parts empty."""
    evaluation = evaluate(scope)
    return Study(
        evaluation=evaluation,
        finance=examine_money(scope, evaluation),
        responders=responders(scope, evaluation),
        thresholds=thresholds(scope, evaluation),
        rewards=rewards(evaluation),
        comeback=comeback(scope, evaluation),
        together=compare_campaigns(evaluation),
        holdout=reconcile(scope, evaluation),
        unrandomised=compare(scope, evaluation),
        next_test=next_test(scope, evaluation),
        replay=None if evaluation.without_tables else replay(scope, evaluation),
    )
