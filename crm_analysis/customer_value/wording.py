"""Names of segments, statuses and rules as readers see them, and the organisation's own words."""

from __future__ import annotations

from crm_analysis import language
from crm_analysis.customer_value.tiers import key_of
from crm_analysis.language import _
from crm_analysis.profile import Profile
from crm_analysis.profile.settings import Words


def words(profile: Profile) -> Words:
    """What the organisation calls its customers and their orders, in the active language."""
    return profile.vocabulary(language.active())


CHEAP = frozenset({"cooling", "large_gone", "sleeping", "gone", "below_cost", "dormant"})
"""Segments and tiers on which no more is to be spent than the cheapest contact costs."""


def segment_name(key: str) -> str:
    """The name of a segment."""
    return {
        "best": _("Best"),
        "slipping": _("Once frequent, now slipping"),
        "large": _("Large amounts"),
        "loyal": _("Loyal"),
        "newcomers": _("Newcomers"),
        "growing": _("Growing"),
        "cooling": _("Cooling"),
        "large_gone": _("Large amounts, long silent"),
        "sleeping": _("Sleeping"),
        "gone": _("Gone"),
    }[key]


def segment_treatment(key: str, *, commitments: bool, one_time: bool = False, priced: bool = True) -> str:
    """What to do with a segment; a regular commitment is offered only where there are `commitments`, nobody is called
    in person where hardly anybody comes back (`one_time`), what pays is not said where no cost is known (not `priced`).
    """
    if one_time and key in ("slipping", "large_gone", "cooling"):
        return _("cheapest channel only")
    if one_time and key == "newcomers":
        return _("try for a second {order}, at low cost")
    return {
        "best": _("keep: answer them first"),
        "slipping": _("win back, where the matrix expects it to pay")
        if priced
        else _("win back, where the matrix says so"),
        "large": _("win a second and a third time"),
        "loyal": _("thank, then offer the next step"),
        "newcomers": _("welcome: two contacts in three months"),
        "growing": _("invite to a regular commitment") if commitments else _("invite back sooner"),
        "cooling": _("one reminder at low cost"),
        "large_gone": _("one contact at low cost, where the matrix expects it to pay")
        if priced
        else _("one contact at low cost, where the matrix says so"),
        "sleeping": _("cheapest channel only"),
        "gone": _("no cost"),
    }[key]


def tier_name(profile: Profile, key: str) -> str:
    """The name of a tier: the profile's own, else that of its preset."""
    for rule in profile.tiers.rules:
        if key_of(rule) == key:
            return profile.text(rule.name, language.active())
    if key.startswith("decile_"):
        return _("Tenth {n}").format(n=key.removeprefix("decile_"))
    return {
        "first": _("First tier"),
        "second": _("Second tier"),
        "third": _("Third tier"),
        "rest": _("The rest"),
        "most_valuable": _("Most valuable"),
        "regular": _("Regular transfer"),
        "growing": _("Growing"),
        "new": _("New"),
        "below_cost": _("Below cost, in no other tier"),
        "dormant": _("Dormant"),
    }[key]


def status_name(key: str) -> str:
    """The name of a status."""
    return {
        "new": _("New"),
        "active": _("Active"),
        "overdue": _("Overdue"),
        "reactivated": _("Reactivated"),
        "dormant": _("Dormant"),
        "lost": _("Lost"),
    }[key]


def rule_name(key: str) -> str:
    """The name of a way of foreseeing purchases."""
    return {
        "bg_nbd": _("BG/NBD model"),
        "mbg_nbd": _("MBG/NBD model"),
        "pareto_nbd": _("Pareto/NBD model"),
        "mean_rate": _("Own mean rate so far"),
        "last_period": _("Same as the last period"),
        "hiatus": _("Own pace, unless silent too long"),
        "class": _("As others with as many lately"),
    }[key]


def standing_name(key: str) -> str:
    """How a commitment stands."""
    return {"up to date": _("up to date"), "overdue": _("overdue"), "dormant": _("dormant")}[key]
