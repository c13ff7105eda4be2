"""What the state of the data allows: the reservations, the gravest first."""

from __future__ import annotations

from dataclasses import dataclass

from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.completeness import EVERY

KINDS = ("silent", "totals", "anonymous", "set_aside", "duplicates", "attitude", "stale", "drift")


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a fault is a reservation: shares of lines, of customers, of contact data.

    A total that does not agree is a reservation at any size, and so is a silence on the branch's own page; for all
    branches together a silence counts when the branch has a page of its own or `missing_lines` of the period's lines
    are missing.
    """

    missing_lines: float = 0.01

    set_aside: float = 0.01
    anonymous: float = 0.05
    surplus_customers: float = 0.005
    attitude_known: float = 0.5
    stale_contacts: float = 0.25
    judged_noise: float = 0.33  # where chance moves more of the lines than this, a mix that "did not move" says nothing


LIMITS = Limits()


def mix_is_judged(assessment: Assessment, limits: Limits = LIMITS) -> bool:
    """Whether a change of the mix could have been seen: one was, or chance alone moves few enough of the lines."""
    drifts = assessment.mix.drifts
    return bool(assessment.mix.beyond_noise) or max((each.noise for each in drifts), default=0) <= limits.judged_noise


def reservations(assessment: Assessment, limits: Limits = LIMITS) -> tuple[str, ...]:
    """The KINDS that apply, gravest first; empty when the data can be used for everything."""
    state = assessment.state
    stale_low = state.contacts.low if state.contacts else None
    applies = {
        "silent": _silence_matters(assessment, limits),
        "totals": bool(state.footing.totals["off"].any()),
        "set_aside": _at_least(state.rate("set_aside"), limits.set_aside),
        "anonymous": _at_least(state.rate("anonymous"), limits.anonymous),
        "duplicates": _at_least(state.rate("surplus"), limits.surplus_customers),
        "attitude": bool(little_known(assessment, limits)),
        "stale": _at_least(stale_low, limits.stale_contacts),
        "drift": bool(assessment.mix.beyond_noise),
    }
    return tuple(kind for kind in KINDS if applies[kind])


def little_known(assessment: Assessment, limits: Limits = LIMITS) -> tuple[str, ...]:
    """Attitudes on record for fewer of the recently active customers than `limits.attitude_known`."""
    table = assessment.state.attitudes
    few = table[(table["share_recent"] < limits.attitude_known) & (table["field"] != EVERY)]
    return tuple(few["field"])


def _silence_matters(assessment: Assessment, limits: Limits) -> bool:
    found = assessment.state.reporting
    if not found.silences or assessment.scope.branch != ALL:
        return bool(found.silences)
    months = found.months
    period = assessment.scope.period
    lines = months.loc[months["month"].between(f"{period.start:%Y-%m}", f"{period.end:%Y-%m}"), "rows"].sum()
    missing = sum(silence.rows_missing for silence in found.silences)
    own_page = any(silence.branch in assessment.branches for silence in found.silences)
    return own_page or missing >= limits.missing_lines * (lines + missing)


def _at_least(share: float | None, limit: float) -> bool:
    return share is not None and share >= limit
