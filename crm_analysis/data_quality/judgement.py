"""What the state of the data allows: the reservations, the gravest first."""

from __future__ import annotations

from dataclasses import dataclass

from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.data_quality.completeness import EVERY

KINDS = ("silent", "totals", "set_aside", "anonymous", "duplicates", "attitude", "stale", "drift")


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a fault is a reservation: shares of lines, of customers, of contact data.

    A silent branch and a total that does not agree are reservations at any size.
    """

    set_aside: float = 0.01
    anonymous: float = 0.05
    surplus_customers: float = 0.005
    attitude_known: float = 0.5
    stale_contacts: float = 0.25


LIMITS = Limits()


def reservations(assessment: Assessment, limits: Limits = LIMITS) -> tuple[str, ...]:
    """The KINDS that apply, gravest first; empty when the data can be used for everything."""
    state = assessment.state
    stale_low = state.contacts.low if state.contacts else None
    applies = {
        "silent": bool(state.reporting.silences),
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


def _at_least(share: float | None, limit: float) -> bool:
    return share is not None and share >= limit
