"""Words and tables of the link: the curve, its tests, its steps, other definitions of loyalty, adjustment."""

from __future__ import annotations

from typing import Any

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays, shape
from crm_analysis.satisfaction_loyalty.captions.parts import NOTHING, followed, noted, weighting
from crm_analysis.satisfaction_loyalty.displays import further
from crm_analysis.satisfaction_loyalty.displays.link import shown_link
from crm_analysis.satisfaction_loyalty.measure import loyal_from
from crm_analysis.satisfaction_loyalty.study import Study


def link_curve(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the loyalty curve."""
    if study.missing:
        return NOTHING
    curve, follow = displays.curve_frame(study, profile), study.follow
    if len(curve) and shown_link(study)[1]:
        return _stated_curve(study, profile)
    if len(curve) < 2 or follow is None:
        n = displays.link_n(study.link, study.min_cell) if study.link is not None else style.number(0)
        return {
            "title": "",
            "alt": _("No curve: {n} answers have a covered follow-up, {fewest} on two levels are needed.").format(
                n=n, fewest=shape.FEWEST_ANSWERS
            ),
            "how_to_read": "",
        }
    return {
        "table": displays.curve_table(study, profile),
        "title": _("Satisfaction and coming back"),
        "alt": _("Share that came back within {days} days by level of satisfaction: {levels}.").format(
            days=follow.window_days,
            levels=", ".join(
                f"{style.plain(name)} {label}" for name, label in zip(curve["name"], curve["label"], strict=True)
            ),
        ),
        "how_to_read": _(
            "Dots: share of {customers} that came back within {days} days; bars: 95 % interval; line: the "
            "rates made monotone; dashed: where a straight link would run; n: {customers} on each level, one answer "
            "each; hollow: fewer than {fewest} of them. Read heights, not areas. Answers from {first} to {last}."
        ).format(
            customers=profile.vocabulary(language.active()).customers,
            days=follow.window_days,
            first=style.day(follow.first),
            last=style.day(follow.last),
            fewest=shape.FLAG_UNDER,
        )
        + weighting(study),
    }


def _stated_curve(study: Study, profile: Profile) -> dict[str, Any]:
    curve, (_shape, item) = displays.curve_frame(study, profile), shown_link(study)
    words = {
        "customers": profile.vocabulary(language.active()).customers,
        "item": style.escape(displays.item_name(profile, item)),
        "cut": style.number(loyal_from(study.answers.items[item].scale)),
    }
    return {
        "table": displays.curve_table(study, profile),
        "title": _("Satisfaction and what {customers} say they will do").format(**words),
        "alt": _("Share that says “{item}” by level of satisfaction: {levels}.").format(
            item=style.plain(displays.item_name(profile, item)),
            levels=", ".join(
                f"{style.plain(name)} {label}" for name, label in zip(curve["name"], curve["label"], strict=True)
            ),
        ),
        "how_to_read": _(
            "Dots: share of {customers} who answer “{item}” with {cut} or higher, asked together with satisfaction; "
            "bars: 95 % interval; line: the rates made monotone; dashed: where a straight link would run; hollow: "
            "fewer than {fewest} {customers}. Intent overstates behaviour."
        ).format(**words, fewest=shape.FLAG_UNDER)
        + weighting(study),
    }


def tests(study: Study, profile: Profile) -> dict[str, Any]:
    """The tests of the link, and below them, or where there are none, what became of the answers."""
    notes = (displays.tests_note(study, profile), displays.footing_line(study))
    return {"frame": displays.tests_table(study, profile), "note": " ".join(note for note in notes if note)}


def steps(study: Study, profile: Profile) -> dict[str, Any]:
    """What each step between levels is worth."""
    return noted(
        _("What a step is worth"),
        displays.steps_table(study, profile) if followed(study) else None,
        " ".join(
            note
            for note in (
                _("An upper bound if satisfaction is the whole cause; margin within the window."),
                _("Intervals hold for all steps at once: whichever is picked after looking, its interval holds."),
                displays.ahead_note(study, profile),
            )
            if note
        ),
    )


def stated(study: Study, profile: Profile) -> dict[str, Any]:
    """Stated loyalty, or why there is none."""
    return noted(
        _("What respondents say they will do"),
        displays.stated_table(study, profile),
        _("Kept apart from behaviour: promoters, or the two highest levels of an intention."),
        otherwise=_("The survey asks neither for intent nor for recommendation."),
    )


def ways(study: Study, profile: Profile) -> dict[str, Any]:
    """What they did beside where the relationship stands."""
    return noted(
        _("Coming back and staying"),
        further.ways_table(study, profile) if followed(study) else None,
        _(
            "Behaviour within the window, and the status at the first quarterly look after it: two kinds of loyalty, "
            "never added up. What people say they will do has a table of its own."
        ),
    )


def cuts(study: Study, profile: Profile) -> dict[str, Any]:
    """The bend at the top by every definition of loyalty."""
    return noted(
        _("The bend, by every definition of loyalty"), further.cuts_table(study, profile), further.cuts_note(study)
    )


def adjusted(study: Study, profile: Profile) -> dict[str, Any]:
    """The link among people alike."""
    note = further.adjusted_note(study, profile)
    table = further.adjusted_table(study, profile) if followed(study) else None
    return noted(_("Among people alike"), table, note, otherwise=note)


def smooth(study: Study) -> dict[str, Any]:
    """Words of the spline; none where no scale is long enough."""
    spline = further.smooth(study)
    if spline is None:
        return NOTHING
    first, last = spline.curve.iloc[0], spline.curve.iloc[-1]
    return {
        "title": _("Along the whole scale"),
        "alt": _("Smooth curve of coming back from {low} at {first} to {high} at {last}.").format(
            low=style.percent(first["rate"], 0),
            first=style.number(first["score"]),
            high=style.percent(last["rate"], 0),
            last=style.number(last["score"]),
        ),
        "how_to_read": _(
            "Line: a smooth fit with its 95 % band; bars at the foot: where the answers lie. Do not read where there "
            "are hardly any. {note}."
        ).format(note=further.smooth_note(study)),
    }
