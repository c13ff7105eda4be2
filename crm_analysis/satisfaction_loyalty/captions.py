"""What `report.figure` and `report.table` show: titles, text alternatives, how to read each, frames and notes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays, shape
from crm_analysis.satisfaction_loyalty.displays import link, measuring
from crm_analysis.satisfaction_loyalty.stores import two_stores
from crm_analysis.satisfaction_loyalty.study import Study

_NOTHING = {"title": "", "alt": "", "how_to_read": ""}


def link_curve(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the loyalty curve."""
    if study.missing:
        return _NOTHING
    curve, follow = displays.curve_frame(study, profile), study.follow
    if len(curve) and link.shown_link(study)[1]:
        return _stated_curve(study, profile)
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
        "table": displays.curve_table(study, profile),
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


def _stated_curve(study: Study, profile: Profile) -> dict[str, Any]:
    curve, (_shape, item) = displays.curve_frame(study, profile), link.shown_link(study)
    words = {
        "customers": profile.vocabulary(language.active()).customers,
        "item": style.escape(displays.item_name(profile, item)),
    }
    return {
        "table": displays.curve_table(study, profile),
        "title": _("Satisfaction and what {customers} say they will do").format(**words),
        "alt": _("Share that says “{item}” by level of satisfaction: {levels}.").format(
            item=style.plain(displays.item_name(profile, item)),
            levels=", ".join(
                f"{style.plain(name)} {style.percent(rate)}"
                for name, rate in zip(curve["name"], curve["rate"], strict=True)
            ),
        ),
        "how_to_read": _(
            "Dots: share of {customers} with one of the highest answers to “{item}”, asked together with satisfaction; "
            "bars: 95 % interval; dashed: where a straight link would run. Intent overstates behaviour."
        ).format(**words),
    }


def distribution(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the distribution."""
    if study.missing:
        return _NOTHING
    if study.wave.n == 0:
        return {"title": "", "alt": _("No answers in this period, so no distribution to draw."), "how_to_read": ""}
    frame = displays.distribution_frame(study.wave.distribution, profile)
    return {
        "table": displays.distribution_table(study, profile),
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
            "Two groups with the same index can hold different {customers}: look at the ends."
        ).format(customers=profile.vocabulary(language.active()).customers),
    }


def drivers(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the drivers."""
    if study.missing:
        return _NOTHING
    if study.drivers.table.empty:
        return _NOTHING  # the table of what to fix first, just below, says why
    return {
        "table": displays.drivers_table(study, profile),
        "title": _("What satisfaction hangs on"),
        "alt": _("Share of explained satisfaction of {n} survey items, the largest first.").format(
            n=len(study.drivers.table)
        ),
        "how_to_read": displays.drivers_note(study),
    }


def tests(study: Study, profile: Profile) -> dict[str, Any]:
    """The tests of the link, and below them, or where there are none, what became of the answers."""
    notes = (displays.tests_note(study, profile), displays.footing_line(study))
    return {"frame": displays.tests_table(study), "note": " ".join(note for note in notes if note)}


def fix_first(study: Study, profile: Profile) -> dict[str, Any]:
    """What to fix first, or why there is nothing."""
    met = _("Every item stands at its target or above.")
    return _noted(
        _("What to fix first"),
        displays.fix_table(study, profile),
        _("Ranked by the share explained times the room left to the target."),
        otherwise=displays.drivers_note(study) if study.drivers.reason else met,
    )


def scores(study: Study, profile: Profile) -> dict[str, Any]:
    """Index, boxes and their change."""
    return _noted(
        _("Index, top and bottom levels, and what changed"),
        displays.scores_table(study, profile),
        measuring.scores_note(study),
    )


def steps(study: Study, profile: Profile) -> dict[str, Any]:
    """What each step between levels is worth."""
    return _noted(
        _("What a step is worth"),
        displays.steps_table(study, profile),
        _("An upper bound if satisfaction is the whole cause; margin within the window."),
    )


def silence(study: Study, profile: Profile) -> dict[str, Any]:
    """Respondents beside those who did not answer."""
    return _noted(
        _("Who answered and who did not"),
        displays.silence_table(study, profile),
        _("All active within the year before, followed from the median day of the answers."),
    )


def unscored(study: Study, profile: Profile) -> dict[str, Any]:
    """Where the score is missing."""
    return _noted(
        _("Where the score is missing"),
        displays.unscored_table(study, profile),
        _("A gap that goes with what {customers} do can bend the link.").format(
            customers=profile.vocabulary(language.active()).customers
        ),
    )


def stated(study: Study, profile: Profile) -> dict[str, Any]:
    """Stated loyalty, or why there is none."""
    return _noted(
        _("What respondents say they will do"),
        displays.stated_table(study, profile),
        _("Kept apart from behaviour: promoters, or the two highest levels of an intention."),
        otherwise=_("The survey asks neither for intent nor for recommendation."),
    )


def items(study: Study, profile: Profile) -> dict[str, Any]:
    """Every item of the survey."""
    return _noted(_("Every item of the survey"), displays.items_table(study, profile))


def groups(study: Study, profile: Profile) -> dict[str, Any]:
    """Customers, staff and, where there are several, branches."""
    title = _("{customers}, staff and branches") if len(study.branches) else _("{customers} and staff")
    return _noted(
        title.format(customers=displays.who(profile)),
        displays.groups_table(study, profile),
        _("Branches with fewer than thirty answers in the period are left out.") if len(study.branches) else "",
    )


def answers(study: Study) -> dict[str, Any]:
    """From answers to answers used."""
    return _noted(_("From answers to answers used"), displays.footing_table(study))


def pitfalls(study: Study, profile: Profile) -> dict[str, Any]:
    """What can mislead in these data."""
    return _noted(_("What can mislead here"), displays.pitfalls_table(study, profile))


def stores(study: Study) -> dict[str, Any]:
    """The constructed pair of stores; none where nobody was surveyed."""
    return _noted(
        _("Two stores with the same index"),
        None if study.missing else displays.stores_table(two_stores()),
        _("A constructed pair: same index, same curve, other visitors; see the method page."),
    )


def waves(study: Study) -> dict[str, Any]:
    """Words and table of the waves."""
    if len(study.trend) < 2:
        return {"title": "", "alt": _("One wave of answers so far, so no course to draw."), "how_to_read": ""}
    table = measuring.waves_table(study)
    return {
        "table": table,
        "title": _("Satisfaction from wave to wave"),
        "alt": _("Index by wave: {waves}.").format(
            waves=", ".join(f"{name} {index}" for name, index in zip(table.iloc[:, 0], table.iloc[:, 3], strict=True))
        ),
        "how_to_read": _(
            "Circles: index from 0 to 100; squares: share on the top level; bars: 95 % intervals. Intervals that "
            "overlap may still differ: the change has its own test in the title."
        ),
    }


def promoters(study: Study) -> dict[str, Any]:
    """Words and table of the promoters."""
    text = measuring.promoters_text(study)
    if not text:
        why = _(
            "No net promoter score: the survey has no question on recommending from 0 to 10, or nobody answered it."
        )
        return {"title": "", "alt": why, "how_to_read": ""}
    return {
        "table": measuring.promoters_table(study),
        "title": _("Would they recommend us"),
        "alt": _("Answers from 0 to 10 by group; {summary}.").format(summary=text),
        "how_to_read": _(
            "Share of promoters (9, 10) less detractors (0 to 6). The same score can hide different answers: look at "
            "the bars before comparing scores. * stands for too few to show."
        ),
    }


def item_spread(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the items: the distribution drawn, the gaps in the table."""
    table = measuring.gaps_table(study, profile)
    if table.empty:
        return {"title": "", "alt": _("No item of the survey was answered in this period."), "how_to_read": ""}
    return {
        "table": table,
        "title": _("Every item of the survey"),
        "alt": _("Distribution of the answers to {n} items, with their means.").format(n=len(table)),
        "how_to_read": " ".join(
            part
            for part in (
                _("One bar is all answers to an item, lowest level at the left; a gap is too few to show."),
                measuring.gaps_note(study),
            )
            if part
        ),
    }


def service_gaps(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of expectations beside perceptions."""
    if study.expectations.reason:
        why = (
            _("The survey asks for no expectations beside perceptions, so there are no service gaps to show.")
            if study.expectations.reason == "no_pairs"
            else _("Too few answers with both expectation and perception for service gaps.")
        )
        return {"title": "", "alt": why, "how_to_read": ""}
    table = study.expectations.dimensions
    worst = table.loc[table["gap"].idxmin()]
    return {
        "table": measuring.service_table(study, profile),
        "title": _("Expected and found"),
        "alt": _("Gap between perception and expectation of {n} dimensions; {summary}.").format(
            n=len(table), summary=measuring.service_note(study)
        ),
        "how_to_read": _(
            "Left of zero the service falls short of what was expected; it falls shortest in “{worst}” ({gap}). "
            "Expectations are nearly always high, so compare dimensions and waves, not the distance from zero."
        ).format(worst=style.escape(str(worst["dimension"])), gap=style.number(worst["gap"], 2)),
    }


def kinds(study: Study, profile: Profile) -> dict[str, Any]:
    """Staff and dealers beside customers by branch."""
    return _noted(
        _("Customers, staff and dealers by branch"),
        measuring.kinds_table(study, profile),
        _(
            "The last twelve months for all, by the same rules; branches without answers of staff or dealers are out."
        ),
        otherwise=_("No answers of staff or dealers in the last twelve months."),
    )


def _noted(title: str, frame: pd.DataFrame | None, note: str = "", *, otherwise: str = "") -> dict[str, Any]:
    """Keyword arguments of `report.table`: the note where the table has rows, `otherwise` where it has none."""
    return {"title": title, "frame": frame, "note": otherwise if frame is None or frame.empty else note}
