"""The chapter's claims: every finding a template beside its number, with definition, filters and query."""

from __future__ import annotations

from collections.abc import Callable

from crm_analysis.data_quality.actions import actions, unknowns
from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.data_quality.judgement import reservations
from crm_analysis.data_quality.sentences.people import attitude, duplicates, stale
from crm_analysis.data_quality.sentences.rows import anonymous, lines, set_aside, silent, totals
from crm_analysis.data_quality.sentences.standing import drift, score
from crm_analysis.data_quality.verdicts import verdict
from crm_analysis.findings import MOST_FINDINGS, Claims, Finding

__all__ = ["claims"]


def claims(assessment: Assessment) -> Claims:
    """Verdict, at most five findings (reservations first), actions with owner, unknowns, and further measures."""
    held = reservations(assessment)
    built: dict[str, Finding] = {}
    for kind, build in _FINDINGS.items():
        found = build(assessment)
        if found is not None:
            built[kind] = found
    rest = [kind for kind in _FINDINGS if kind not in held]
    if assessment.state.rate("surplus"):
        rest.sort(key=lambda kind: kind != "duplicates")
    order = [kind for kind in (*held, *rest) if kind in built]
    shown = [kind for kind in order if kind != "score"][:MOST_FINDINGS]
    return Claims(
        verdict=verdict(assessment, held),
        findings=tuple(built[kind] for kind in shown),
        actions=actions(assessment, held),
        unknowns=unknowns(assessment),
        measures=tuple(built[kind] for kind in order if kind not in shown),
    )


_FINDINGS: dict[str, Callable[[Assessment], Finding | None]] = {
    "silent": silent,
    "totals": totals,
    "set_aside": set_aside,
    "anonymous": anonymous,
    "duplicates": duplicates,
    "attitude": attitude,
    "stale": stale,
    "lines": lines,
    "drift": drift,
    "score": score,
}
