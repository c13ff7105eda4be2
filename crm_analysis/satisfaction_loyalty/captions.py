"""What `report.figure` and `report.table` show: titles, text alternatives, how to read each, frames and notes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays, shape
from crm_analysis.satisfaction_loyalty.displays import further, link, measuring
from crm_analysis.satisfaction_loyalty.displays import types as typed
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
            "Dots: share of {customers} that came back within {days} days; bars: 95 % interval; line: the "
            "rates made monotone; dashed: where a straight link would run; n: {customers} on each level, one answer "
            "each. Read heights, not areas. Answers from {first} to {last}."
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
            "Bars: share of the period's answers on each level, with 95 % intervals; diamonds: {before}. "
            "Two groups with the same index can hold different {customers}: look at the ends."
        ).format(customers=profile.vocabulary(language.active()).customers, before=displays.before_text(study)),
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
        "how_to_read": _(
            "{found} Dots: shares of what the items explain together; bars: 95 % interval; rank: every place the item "
            "can hold. {note}"
        ).format(found=displays.drivers_says(study, profile), note=displays.drivers_note(study, profile)),
    }


def penalty_reward(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of penalties and rewards."""
    frame = displays.contrasts_frame(study, profile)
    if study.missing or frame.empty:
        return _NOTHING
    return {
        "table": displays.contrasts_table(study, profile),
        "title": _("What annoys and what delights"),
        "alt": _("Penalty of poor and reward of excellent scores on overall satisfaction for {n} survey items.").format(
            n=style.number(len(frame))
        ),
        "how_to_read": _(
            "{found} Upper bar: how much lower overall satisfaction is where the item is poor (lowest two fifths of "
            "its scale); lower bar: how much higher where it is excellent (highest fifth); lines: 95 % interval. Grey: "
            "whether one outweighs the other is undetermined (Holm across items)."
        ).format(found=displays.contrasts_says(study, profile)),
    }


def quadrants(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of importance against performance."""
    frame = displays.quadrants_frame(study, profile)
    if study.missing or frame.empty:
        return _NOTHING
    without = len(study.drivers.table) - len(frame)
    note = _("{n} items have no target in the profile and are not on the map.").format(n=style.number(without))
    return {
        "table": displays.quadrants_table(study, profile),
        "title": _("Importance against targets"),
        "alt": _("Share of explained satisfaction against score less target for {n} survey items.").format(
            n=style.number(len(frame))
        ),
        "how_to_read": _(
            "{found} Upright line: the target that the profile states; level line: an equal share for every item. "
            "Hollow: an interval covers a line, so the place is open. What to fix first also weighs how far below the "
            "target an item lies. {note}"
        )
        .format(found=displays.quadrants_says(study, profile), note=note if without else "")
        .strip(),
    }


def paths(study: Study, profile: Profile) -> dict[str, Any]:
    """The path model, or why there is none."""
    note = displays.paths_note(study, profile)
    return _noted(
        _("What leads to satisfaction: the path model"),
        displays.paths_table(study, profile),
        note,
        otherwise="" if study.missing else note,
    )


def performance(study: Study, profile: Profile) -> dict[str, Any]:
    """Total effects of the path model against performance."""
    return _noted(
        _("Importance and performance of the blocks"),
        displays.performance_table(study, profile),
        _(
            "Total effects, unstandardised: points of 100 of the target that go with one point of the block, directly "
            "and through others. High effect and low mean come first."
        ),
    )


def reliability(study: Study, profile: Profile) -> dict[str, Any]:
    """Reliability of the blocks of the path model."""
    return _noted(
        _("How well the blocks are measured"),
        displays.blocks_table(study, profile),
        _("Alpha standardised; a block of one item has no reliability of its own. R²: explained by what leads there."),
    )


def path_weights(study: Study, profile: Profile) -> dict[str, Any]:
    """Loadings and weights of the path model."""
    return _noted(
        _("What each item weighs"),
        displays.weights_table(study, profile),
        _("Weights belong to the items on 0 to 100, unstandardised, and add up to one within a block."),
    )


def tests(study: Study, profile: Profile) -> dict[str, Any]:
    """The tests of the link, and below them, or where there are none, what became of the answers."""
    notes = (displays.tests_note(study, profile), displays.footing_line(study))
    return {"frame": displays.tests_table(study, profile), "note": " ".join(note for note in notes if note)}


def fix_first(study: Study, profile: Profile) -> dict[str, Any]:
    """What to fix first, or why there is nothing."""
    met = _("Every item stands at its target or above.")
    return _noted(
        _("What to fix first"),
        displays.fix_table(study, profile),
        displays.fix_note(study),
        otherwise=displays.drivers_note(study, profile) if study.drivers.reason else met,
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
    """The constructed pair of stores, beside all branches only; none where nobody was surveyed."""
    return _noted(
        _("Two branches with the same index"),
        None if study.missing or not study.of_all else displays.stores_table(two_stores()),
        _("A constructed pair: same index, same curve, answers spread otherwise; see the method page."),
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
                _("One bar is all answers to an item, lowest level at the left; a mean reads on the scale beside it."),
                measuring.gaps_note(study),
            )
            if part
        ),
    }


def service_gaps(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of expectations beside perceptions."""
    if study.expectations.reason == "no_pairs":
        return _NOTHING
    if study.expectations.reason:
        why = _("Too few answers with both expectation and perception for service gaps.")
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
    dealers = "dealer" in set(study.kinds["kind"])
    title = _("{customers}, staff and dealers by branch") if dealers else _("{customers} and staff by branch")
    return _noted(
        title.format(customers=displays.who(profile)),
        measuring.kinds_table(study, profile),
        _("The last twelve months for all, by the same rules; branches without answers of staff or dealers are out."),
        otherwise=_("No answers of staff or dealers in the last twelve months."),
    )


def ways(study: Study, profile: Profile) -> dict[str, Any]:
    """What they did beside where the relationship stands."""
    return _noted(
        _("Coming back and staying"),
        further.ways_table(study, profile),
        _(
            "Behaviour within the window, and the status at the first yearly look after it: two kinds of loyalty, "
            "never added up. What people say they will do has a table of its own."
        ),
    )


def cuts(study: Study, profile: Profile) -> dict[str, Any]:
    """The bend at the top by every definition of loyalty."""
    return _noted(
        _("The bend, by every definition of loyalty"), further.cuts_table(study, profile), further.cuts_note(study)
    )


def adjusted(study: Study, profile: Profile) -> dict[str, Any]:
    """The link among people alike."""
    note = further.adjusted_note(study, profile)
    return _noted(_("Among people alike"), further.adjusted_table(study, profile), note, otherwise=note)


def branch_steps(study: Study, profile: Profile) -> dict[str, Any]:
    """The last step in every branch."""
    return _noted(
        _("One curve for all branches?"),
        further.branch_steps_table(study, profile) if study.of_all else None,
        further.branch_steps_note(study),
    )


def branch_split(study: Study, profile: Profile) -> dict[str, Any]:
    """Distribution against curve, branch by branch."""
    return _noted(
        _("Why branches keep more or fewer"),
        further.branch_split_table(study, profile) if study.of_all else None,
        _(
            "By distribution: more or fewer {customers} on the levels that stay, on the curve of all. By curve: they "
            "stay more or less often than others on the same level. The first asks for satisfaction, the second for "
            "something else."
        ).format(customers=profile.vocabulary(language.active()).customers),
    )


def smooth(study: Study) -> dict[str, Any]:
    """Words of the spline; none where no scale is long enough."""
    spline = further.smooth(study)
    if spline is None:
        return _NOTHING
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


def type_map(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the quadrants."""
    if not typed.typings(study):
        return _NOTHING
    return {
        "table": typed.types_table(study, profile),
        "title": _("Types of {customers}").format(customers=profile.vocabulary(language.active()).customers),
        "alt": _("Four types by satisfaction and payments of the year before, with the share that came back."),
        "how_to_read": _(
            "Types come from the day of the answer and the year before it; the darker the field, the more came back "
            "afterwards. {note}"
        )
        .format(note=typed.types_note(study, profile))
        .strip(),
    }


def type_cuts(study: Study, profile: Profile) -> dict[str, Any]:
    """Shares of the types over neighbouring cuts."""
    return _noted(
        _("Types by other cuts"),
        typed.type_cuts_table(study, profile),
        _(
            "Shares with 95 % intervals; * marks the cuts of the profile. A type that vanishes with the next cut is "
            "none."
        ),
    )


def _noted(title: str, frame: pd.DataFrame | None, note: str = "", *, otherwise: str = "") -> dict[str, Any]:
    """Keyword arguments of `report.table`: the note where the table has rows, `otherwise` where it has none."""
    return {"title": title, "frame": frame, "note": otherwise if frame is None or frame.empty else note}
