"""Words and tables of the scores: distribution, index, waves, promoters, items, service gaps."""

from __future__ import annotations

from typing import Any

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays
from crm_analysis.satisfaction_loyalty.captions.parts import NOTHING, noted, weighting
from crm_analysis.satisfaction_loyalty.displays import measuring
from crm_analysis.satisfaction_loyalty.study import Study


def distribution(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the distribution."""
    if study.missing:
        return NOTHING
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
        ).format(customers=profile.vocabulary(language.active()).customers, before=displays.before_text(study))
        + weighting(study),
    }


def scores(study: Study, profile: Profile) -> dict[str, Any]:
    """Index, boxes and their change."""
    return noted(
        _("Index, top and bottom levels, and what changed"),
        displays.scores_table(study, profile),
        measuring.scores_note(study, profile),
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
            "overlap may still differ: the change has its own test in the title. Below, all answers of each wave, the "
            "lowest level at the foot."
        ),
    }


def promoters(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the promoters."""
    text = measuring.promoters_text(study)
    if not any(item.role == "recommend" for item in profile.survey.items.values()):
        return NOTHING
    if not text:
        why = (
            _("The net promoter score is withheld: it would tell a number of answers under {cell}.").format(
                cell=profile.privacy.min_cell
            )
            if study.wave.nps is not None and study.wave.nps.n >= profile.privacy.min_cell
            else _("No net promoter score: recommending is not asked from 0 to 10, or too few answered it.")
        )
        return {"title": "", "alt": why, "how_to_read": ""}
    return {
        "table": measuring.promoters_table(study),
        "title": _("Would they recommend us"),
        "alt": _("Answers from 0 to 10 by group; {summary}.").format(summary=text),
        "how_to_read": _(
            "Share of promoters (9, 10) less detractors (0 to 6). The same score can hide different answers: look at "
            "the bars before comparing scores. * stands for withheld: it would tell too few, here or in one branch."
        )
        + weighting(study),
    }


def item_spread(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the items: the distribution drawn, the gaps in the table."""
    table = measuring.gaps_table(study, profile)
    if not profile.survey.items:
        return NOTHING
    if table.empty:
        return {"title": "", "alt": _("No item of the survey was answered in this period."), "how_to_read": ""}
    return {
        "table": table,
        "title": _("Every item of the survey"),
        "alt": _("Distribution of the answers to {n} items, with their means.").format(n=len(table)),
        "how_to_read": " ".join(
            part
            for part in (
                _(
                    "One bar is all answers to an item, lowest level at the left, scales of more than seven levels in "
                    "five bands; a mean reads on the scale beside it."
                ),
                measuring.gaps_note(study),
            )
            if part
        ),
    }


def service_gaps(study: Study) -> dict[str, Any]:
    """Words and table of expectations beside perceptions."""
    if study.expectations.reason == "no_pairs":
        return NOTHING
    if study.expectations.reason:
        why = _("Too few answers with both expectation and perception for service gaps.")
        return {"title": "", "alt": why, "how_to_read": ""}
    table = study.expectations.dimensions
    return {
        "table": measuring.service_table(study),
        "title": _("Expected and found"),
        "alt": _("Gap between perception and expectation of {n} dimensions; {summary}.").format(
            n=len(table), summary=measuring.service_note(study)
        ),
        "how_to_read": " ".join(
            part
            for part in (
                measuring.service_says(study),
                _(
                    "Left of zero the service falls short of what was expected; bars: 95 % interval. Expectations are "
                    "nearly always high, so compare dimensions and waves, not the distance from zero."
                ),
                _("Points: how respondents share out 100 points of importance, on average.")
                if table["importance"].notna().any()
                else "",
            )
            if part
        ),
    }


def service_items(study: Study, profile: Profile) -> dict[str, Any]:
    """Every pair of expectation and perception."""
    table = measuring.service_items_table(study, profile)
    return noted(_("Expected and found, item by item"), None if table.empty else table)
