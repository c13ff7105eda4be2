"""Results to claims: the verdict in money, findings, what to do, and what stays unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import advice, phrases
from crm_analysis.crm_roi.judgements import findings, measures
from crm_analysis.crm_roi.responders import Policy
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.findings import MOST_FINDINGS, Claims, Finding
from crm_analysis.language import _
from crm_analysis.profile import Profile

__all__ = ["claims"]


def claims(
    evaluation: Evaluation,
    *,
    profile: Profile,
    further: Sequence[Finding] = (),
    policies: Mapping[str, Policy] | None = None,
) -> Claims:
    """What the page says about the campaigns of one branch and period.

    `further` findings join the measures; the one on the whole programme also closes the verdict. `policies` say of
    which campaigns choosing whom to contact is known to pay.
    """
    if evaluation.without_tables:
        return _without_tables()
    found = findings(evaluation)
    return Claims(
        verdict=" ".join([_verdict(evaluation), *_whole(further)]),
        findings=tuple(found[:MOST_FINDINGS]),
        actions=advice.actions(evaluation, profile, policies or {}),
        unknowns=advice.unknowns(evaluation, profile),
        measures=tuple(found[MOST_FINDINGS:]) + measures(evaluation) + tuple(further),
    )


def _whole(further: Sequence[Finding]) -> list[str]:
    """Whether all programmes and the systems they share have paid back so far, where that is known."""
    return [finding.sentence for finding in further if finding.key == "crm_roi.programme_net"]


def _without_tables() -> Claims:
    return Claims(
        verdict=_(
            "**What the programmes earn is not known here**: nobody recorded who was treated and who was held out."
        ),
        unknowns=(
            _(
                "Whether any programme earns its cost. Hold out a random share of the next list and record it: the "
                "chapter on programmes then states margin gained, cost and return."
            ),
        ),
    )


def _verdict(evaluation: Evaluation) -> str:
    portfolio, measured = evaluation.portfolio, evaluation.measured
    if portfolio is None:
        return _verdict_without_result(evaluation)
    verdict = "before_shared" if portfolio.settled_by_shared else portfolio.verdict
    between = (portfolio.low, portfolio.high)
    money = {
        "net": phrases.money(abs(portfolio.net), evaluation, beside=between),
        "signed": phrases.money(portfolio.net, evaluation, beside=between),
        "interval": phrases.loss_interval(portfolio.low, portfolio.high, evaluation, lost=portfolio.verdict == "lost"),
    }
    if len(measured) == 1:
        only = phrases.name_of(measured[0])
        template = {
            "earned": _("{name} **earned {net} after its own costs** ({interval})."),
            "lost": _("{name} **lost {net} after its own costs** ({interval})."),
            "unknown": _("Whether {name} earned its cost **is not settled**: net {signed} ({interval})."),
            "before_shared": _(
                "Before shared systems and data, whether {name} earned its cost **is not settled**: net {signed} "
                "({interval})."
            ),
        }[verdict]
        parts = [template.format(name=only, **money)]
    else:
        template = {
            "earned": _(
                "The {n} controlled programmes that closed in {period} **earned {net} after their own costs** "
                "({interval})."
            ),
            "lost": _(
                "The {n} controlled programmes that closed in {period} **lost {net} after their own costs** "
                "({interval})."
            ),
            "unknown": _(
                "Whether the {n} controlled programmes that closed in {period} earned their cost together **is not "
                "settled**: "
                "net {signed} ({interval})."
            ),
            "before_shared": _(
                "Before shared systems and data, whether the {n} controlled programmes that closed in {period} earned "
                "their cost together **is not settled**: net {signed} ({interval})."
            ),
        }[verdict]
        parts = [
            template.format(
                n=portfolio.n_campaigns,
                period=style.period(evaluation.period),
                **money,
            )
        ]
        parts += _contrast(evaluation)
    if portfolio.shared:
        parts.append(phrases.with_shared(portfolio, evaluation))
    unjudged = [result for result in evaluation.closed if result.state == "not_causal"]
    if unjudged:
        parts.append(_("Of {names} nobody can say: nobody was held out.").format(names=phrases.names_of(unjudged)))
    return " ".join(parts)


def _contrast(evaluation: Evaluation) -> list[str]:
    """Which programmes earned, which lost, and which cannot be told."""
    groups = {kind: [r for r in evaluation.measured if r.verdict == kind] for kind in ("earned", "lost", "unknown")}
    words_of = {kind: phrases.names_of(results) for kind, results in groups.items()}
    money = {
        kind: phrases.money(abs(sum(r.roi.net for r in results if r.roi)), evaluation)
        for kind, results in groups.items()
    }
    parts = []
    if groups["earned"] and groups["lost"]:
        template = _("**{winners} earned {gain}; {losers} lost {loss}.**")
        parts.append(
            template.format(
                winners=words_of["earned"], gain=money["earned"], losers=words_of["lost"], loss=money["lost"]
            )
        )
    elif groups["earned"]:
        parts.append(_("{names} earned {net}.").format(names=words_of["earned"], net=money["earned"]))
    elif groups["lost"]:
        parts.append(_("{names} lost {net}.").format(names=words_of["lost"], net=money["lost"]))
    if groups["unknown"] and evaluation.branch != "all":
        template = (
            _("Of the others none can be told from break-even with {n} people here: {names}.")
            if groups["earned"] or groups["lost"]
            else _("With {n} people here no result can be told from break-even: {names}.")
        )
        parts.append(template.format(n=style.number(_people(groups["unknown"])), names=words_of["unknown"]))
    elif groups["unknown"]:
        parts.append(_("Not to be told from break-even: {names}.").format(names=words_of["unknown"]))
    return parts


def _people(results: list[CampaignResult]) -> int:
    """People in the arms of some programmes, each once."""
    return int(pd.concat([result.gate.units["customer_id"] for result in results]).nunique())


def _verdict_without_result(evaluation: Evaluation) -> str:
    if evaluation.closed and all(result.state == "not_causal" for result in evaluation.closed):
        return _(
            "**Nobody knows what {names} earned**: nobody was held out, so there is nothing to compare with."
        ).format(names=phrases.names_of(evaluation.closed))
    if evaluation.closed:
        n = len(evaluation.closed)
        template = (
            _("**No return can be stated for {period}**: the one programme whose window closed cannot be judged.")
            if n == 1
            else _(
                "**No return can be stated for {period}**: none of the {n} programmes whose window closed can be "
                "judged."
            )
        )
        return template.format(period=style.period(evaluation.period), n=n)
    if evaluation.running:
        first = min(result.closes_on for result in evaluation.running)
        return _("**No programme's outcome window closed in {period}**; the first result is due on {day}.").format(
            period=style.period(evaluation.period), day=style.day(first)
        )
    return _("**No programme closed in {period} and none is running.**").format(period=style.period(evaluation.period))
