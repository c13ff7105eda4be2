"""What stands beside the figures: title, text alternative, and a line on how to read each."""

from __future__ import annotations

import pandas as pd

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays, shape
from crm_analysis.satisfaction_loyalty.study import Study

_NOTHING = {"title": "", "alt": "", "how_to_read": ""}


def link_curve(study: Study, profile: Profile) -> dict[str, str]:
    """Words of the loyalty curve."""
    if study.missing:
        return _NOTHING
    curve, follow = displays.curve_frame(study, profile), study.follow
    if len(curve) < 2 or follow is None:
        n = study.link.n if study.link is not None else 0
        return {
            "title": "",
            "alt": _("No curve: {n} answers have a covered follow-up, {fewest} on two levels are needed.").format(
                n=style.number(n), fewest=shape.FEWEST_ANSWERS
            ),
            "how_to_read": "",
        }
    return {
        "title": _("Satisfaction and coming back"),
        "alt": _("Share that came back within {days} days by level of satisfaction: {levels}.").format(
            days=follow.window_days,
            levels=", ".join(
                f"{style.plain(name)} {style.percent(rate)}"
                for name, rate in zip(curve["name"], curve["rate"], strict=True)
            ),
        ),
        "how_to_read": _(
            "Dots: share of {customers} that came back within {days} days; bars: 95 % interval; dashed: where a "
            "straight link would run; n: {customers} on each level, one answer each. Read heights, not areas. "
            "Answers from {first} to {last}."
        ).format(
            customers=profile.vocabulary(language.active()).customers,
            days=follow.window_days,
            first=style.day(follow.first),
            last=style.day(follow.last),
        ),
    }


def distribution(study: Study, profile: Profile) -> dict[str, str]:
    """Words of the distribution."""
    if study.missing:
        return _NOTHING
    if study.wave.n == 0:
        return {"title": "", "alt": _("No answers in this period, so no distribution to draw."), "how_to_read": ""}
    frame = displays.distribution_frame(study.wave.distribution, profile)
    return {
        "title": _("How satisfied they are"),
        "alt": _("Share of answers on each level: {levels}; {summary}.").format(
            levels=", ".join(
                f"{style.plain(name)} {style.percent(share, 0)}"
                for name, share in zip(frame["name"], frame["share"], strict=True)
            ),
            summary=displays.distribution_summary(study),
        ),
        "how_to_read": _(
            "Bars: share of the period's answers on each level, with 95 % intervals; diamonds: the period before. "
            "Two groups with the same index can have different customers: look at the ends."
        ),
    }


def drivers(study: Study) -> dict[str, str]:
    """Words of the drivers."""
    if study.missing:
        return _NOTHING
    if study.drivers.table.empty:
        return _NOTHING  # the table of what to fix first, just below, says why
    return {
        "title": _("What satisfaction hangs on"),
        "alt": _("Share of explained satisfaction of {n} survey items, the largest first.").format(
            n=len(study.drivers.table)
        ),
        "how_to_read": displays.drivers_note(study),
    }


def below(frame: pd.DataFrame, note: str, otherwise: str = "") -> str:
    """The note below a table that has rows; `otherwise` where there are none."""
    return note if len(frame) else otherwise


def fix_first(study: Study, table: pd.DataFrame) -> str:
    """The note below the table of what to fix first, or why there is none."""
    met = _("Every item stands at its target or above.")
    return below(
        table,
        _("Ranked by the share explained times the room left to the target."),
        displays.drivers_note(study) if study.drivers.reason else met,
    )


def stated(table: pd.DataFrame) -> str:
    """The note below stated loyalty, or why there is none."""
    return below(
        table,
        _("Kept apart from behaviour: promoters, or the two highest levels of an intention."),
        _("The survey asks neither for intent nor for recommendation."),
    )
