"""Words and tables of branches side by side, and of staff and dealers beside customers."""

from __future__ import annotations

from typing import Any

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays
from crm_analysis.satisfaction_loyalty.captions.parts import NOTHING, noted
from crm_analysis.satisfaction_loyalty.displays import further, measuring
from crm_analysis.satisfaction_loyalty.stores import two_stores
from crm_analysis.satisfaction_loyalty.study import Study


def branch_steps(study: Study, profile: Profile) -> dict[str, Any]:
    """The last step in every branch."""
    return noted(
        _("One curve for all branches?"),
        further.branch_steps_table(study, profile) if study.further.between is not None else None,
        further.branch_steps_note(study),
    )


def branch_split(study: Study, profile: Profile) -> dict[str, Any]:
    """Distribution against curve, branch by branch."""
    return noted(
        _("Why branches keep more or fewer"),
        further.branch_split_table(study, profile) if study.further.between is not None else None,
        _(
            "By distribution: more or fewer {customers} on the levels that stay, on the curve of all. By curve: they "
            "stay more or less often than others on the same level. What comes by distribution asks for satisfaction, "
            "what comes by curve for something else."
        ).format(customers=profile.vocabulary(language.active()).customers),
    )


def groups(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of customers, staff and, where there are several, branches: distributions beside means."""
    table = displays.groups_table(study, profile)
    if len(table) < 2:  # noqa: PLR2004 - one group stands in the distribution above already
        return NOTHING
    title = _("{customers}, staff and branches") if len(study.branches) else _("{customers} and staff")
    notes = [
        displays.groups_says(study, profile),
        _("One bar is all answers of a group in this period, lowest level at the left."),
        _("Branches with fewer than thirty answers in the period are left out.") if len(study.branches) else "",
    ]
    return {
        "table": table,
        "title": title.format(customers=displays.who(profile)),
        "alt": _("Distribution of the answers of {n} groups, with their index.").format(n=style.number(len(table))),
        "how_to_read": " ".join(note for note in notes if note),
    }


def kinds(study: Study, profile: Profile) -> dict[str, Any]:
    """Staff and dealers beside customers by branch."""
    dealers = "dealer" in set(study.kinds["kind"])
    title = _("{customers}, staff and dealers by branch") if dealers else _("{customers} and staff by branch")
    return noted(
        title.format(customers=displays.who(profile)),
        measuring.kinds_table(study, profile) if len(study.kinds) else None,
        _(
            "The twelve months to {day} for all, by the same rules, with the share of every level from the lowest up; "
            "branches without answers of staff or dealers are out."
        ).format(day=style.day(study.as_of))
        + (
            " "
            + _(
                "The page of a branch whose data end earlier counts the twelve months to its own last day, so its "
                "numbers differ."
            )
            if len(study.branches) > 1
            else ""
        ),
    )


def stores(study: Study) -> dict[str, Any]:
    """The constructed pair of stores, where several branches stand side by side."""
    return noted(
        _("A constructed example: two branches with the same index"),
        displays.stores_table(two_stores()) if len(study.branches) > 1 else None,
        _("A constructed pair: same index, same curve, answers spread otherwise; see the method page."),
    )
