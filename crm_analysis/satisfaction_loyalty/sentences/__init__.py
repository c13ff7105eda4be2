"""A study in sentences: the verdict by the shape of the link, findings, actions, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crm_analysis import language
from crm_analysis.findings import Claims
from crm_analysis.language import _
from crm_analysis.satisfaction_loyalty.advice import actions
from crm_analysis.satisfaction_loyalty.sentences.answers import (
    driver_finding,
    index,
    promoters_finding,
    silence_finding,
    top_box_finding,
)
from crm_analysis.satisfaction_loyalty.sentences.link import link_finding, stated_finding, top_kink, worth_finding
from crm_analysis.satisfaction_loyalty.study import Study
from crm_analysis.satisfaction_loyalty.unknowns import unknowns
from crm_analysis.satisfaction_loyalty.verdicts import Told, verdict

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

MOST_FINDINGS = 5


def claims(study: Study, scope: Scope) -> Claims:
    """All that the chapter says about one branch and period."""
    profile = scope.profile
    words = profile.vocabulary(language.active())
    if study.missing:
        return Claims(
            verdict=_(
                "**Satisfaction is not measured in these data.** Answers with a date, a branch and a score would "
                "measure it; who answered is needed for the link to loyalty."
            )
        )
    told = Told(study, profile, study.link, words) if study.link is not None else None
    promoters = promoters_finding(study)
    findings = [
        link_finding(told) if told else None,
        stated_finding(study, profile, words),
        top_box_finding(study, profile),
        worth_finding(told) if told else None,
        driver_finding(study, profile),
        silence_finding(study, words),
        promoters,
    ]
    said = [finding for finding in findings if finding is not None][:MOST_FINDINGS]
    measures = [index(study, profile), replace(promoters, sentence="") if promoters else None, top_kink(study)]
    stated = {finding.key for finding in said}
    return Claims(
        verdict=verdict(told, study, profile, words),
        findings=tuple(said),
        actions=actions(told, study, scope),
        unknowns=tuple(unknowns(study, words)),
        measures=tuple(each for each in measures if each is not None and each.key not in stated),
    )
