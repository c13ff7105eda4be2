"""Names, amounts and intervals as they stand in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from crm_analysis import style
from crm_analysis.crm_roi.results import CampaignResult, Evaluation, Portfolio
from crm_analysis.language import _

__all__ = ["interval", "loss_interval", "money", "name_of", "names_of", "tone", "with_shared"]


def loss_interval(low: float, high: float, evaluation: Evaluation, *, lost: bool) -> str:
    """The interval of a net amount, beside a sentence that calls it a loss where it is one."""
    return interval(-high, -low, evaluation) if lost else interval(low, high, evaluation)


def with_shared(portfolio: Portfolio, evaluation: Evaluation) -> str:
    """What is left when the systems and data of the period are paid too, whichever programmes they served."""
    net, low, high = (value - portfolio.shared for value in (portfolio.net, portfolio.low, portfolio.high))
    verdict = portfolio.verdict_with_shared
    template = {
        "earned": _(
            "With all {shared} of the period's shared systems and data charged to the controlled programmes, **{net} "
            "was earned** ({interval})."
        ),
        "lost": _(
            "With all {shared} of the period's shared systems and data charged to the controlled programmes, **{net} "
            "was lost** ({interval})."
        ),
        "unknown": _(
            "With all {shared} of the period's shared systems and data charged to the controlled programmes, it **is "
            "not settled**: net {net} ({interval})."
        ),
    }[verdict]
    return template.format(
        shared=money(portfolio.shared, evaluation),
        net=money(net if verdict == "unknown" else abs(net), evaluation, beside=(low, high)),
        interval=loss_interval(low, high, evaluation, lost=verdict == "lost"),
    )


def tone(verdict: str) -> str:
    """The colour of a verdict."""
    return {"earned": "good", "lost": "bad", "unknown": "wait"}[verdict]


def name_of(result: CampaignResult) -> str:
    """The name of a campaign, inert."""
    return style.escape(result.name)


def names_of(results: Sequence[CampaignResult]) -> str:
    """Names of campaigns, in their order."""
    return ", ".join(name_of(result) for result in results)


def money(amount: float, evaluation: Evaluation, *, beside: tuple[float, float] | None = None) -> str:
    """An amount in the currency of the evaluation, at the scale of the interval `beside` it."""
    return style.money(amount, evaluation.currency, like=max(map(abs, beside)) if beside else None)


def interval(low: float, high: float, evaluation: Evaluation) -> str:
    """An interval of an amount."""
    return style.interval(low, high, "money", evaluation.currency)
