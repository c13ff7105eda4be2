"""Names of the chapter's codes, as readers know them."""

from __future__ import annotations

import math

from crm_analysis import style
from crm_analysis.language import _

__all__ = [
    "category",
    "check",
    "check_status",
    "drawn",
    "metric",
    "money_unit",
    "programme",
    "return_seen",
    "state",
    "too_near",
    "verdict",
]


def category(code: str) -> str:
    """A cost category."""
    return {
        "software": _("software"),
        "integration": _("integration"),
        "data": _("data"),
        "staff": _("staff"),
        "training": _("training"),
        "campaign": _("contact and material"),
        "reward": _("rewards"),
        "service": _("service"),
        "discount": _("discounts granted"),
    }.get(code, style.plain(code))


def programme(code: str) -> str:
    """The purpose of a campaign."""
    return {
        "acquisition": _("acquisition"),
        "welcome": _("welcome"),
        "upsell": _("upgrade"),
        "cross_sell": _("cross-sell"),
        "vip": _("care for the best"),
        "retention": _("retention"),
        "winback": _("win-back"),
    }.get(code, style.plain(code) or style.DASH)


def state(code: str) -> str:
    """Why a campaign has no return, or that it has one."""
    return {
        "measured": _("measured"),
        "not_causal": _("nobody was held out: not causal"),
        "no_treated": _("nobody was treated"),
        "small_control": _("control too small"),
        "blocked": _("blocked by the gate"),
        "not_measurable": _("not measurable yet"),
        "no_members": _("no members"),
        "no_outcomes": _("no payment in either arm"),
        "no_cost": _("cost unknown"),
        "withheld": _("withheld: too few paid, or one nearly all"),
        "too_early": _("too early"),
        "whole_branches": _("whole branches were drawn: see all branches"),
    }[code]


def drawn(code: str) -> str:
    """What was drawn, several of them, inside a sentence."""
    return {"customer": _("members"), "household": _("households"), "branch": _("branches")}[code]


def verdict(code: str) -> str:
    """earned, lost or unknown, for a table cell."""
    return {"earned": _("earned"), "lost": _("lost"), "unknown": _("not settled")}[code]


def return_seen(roi: float | None, *, planned: bool) -> str:
    """The smallest return that a test would see, rounded up: to 5 % where a hold-out is planned, else to 10 %."""
    steps = 20 if planned else 10
    return style.percent(None if roi is None else math.ceil(roi * steps) / steps, 0)


def too_near(*, loss: bool) -> str:
    """What to do where what a result leaves is too near to break-even; a template of `name`, without a full stop."""
    if loss:
        return _(
            "Do not extend {name}: what its result leaves of a gain is too near to break-even to be found by a test of "
            "reasonable size"
        )
    return _("Do not extend {name}: its result is too near to break-even to be settled by a test of reasonable size")


def metric(code: str) -> str:
    """An outcome per member."""
    return {
        "margin": _("Contribution margin"),
        "capped": _("Contribution margin, capped"),
        "revenue": _("Amount paid"),
        "n_orders": _("Days with a payment"),
        "active": _("Paid at all in the window"),
        "order_value": _("Amount per day with a payment"),
        "order_margin": _("Margin per day with a payment"),
        "satisfaction": _("Satisfaction of those who answered"),
    }[code]


def check(code: str) -> str:
    """A check of the gate."""
    return {
        "one_row": _("One assignment per member"),
        "both_arms": _("Nobody in both arms"),
        "early_response": _("No response before the assignment"),
        "unit": _("What was drawn is known"),
        "zeros": _("No payment counts as zero"),
        "contamination": _("Nobody held out was contacted"),
        "sample_ratio_arms": _("Counts of all arms fit together"),
        "sample_ratio": _("Counts fit the planned split"),
        "strata": _("Same split in every stratum"),
        "follow_up": _("Both arms followed equally"),
        "size": _("Both arms large enough"),
        "balance_value": _("Same value before"),
        "balance_tenure": _("Same tenure"),
        "overlap": _("Overlap with other campaigns"),
    }[code]


def check_status(code: str) -> str:
    """Outcome of a check."""
    return {"passed": _("passed"), "noted": _("noted"), "failed": _("failed")}[code]


def money_unit(currency: str) -> str:
    """One unit of the currency inside a sentence."""
    return _("won") if currency == "KRW" else currency
