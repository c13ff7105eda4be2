"""Words and tables of what satisfaction hangs on: drivers, contrasts, targets, path model."""

from __future__ import annotations

from typing import Any

from crm_analysis import style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays
from crm_analysis.satisfaction_loyalty.captions.parts import NOTHING, noted
from crm_analysis.satisfaction_loyalty.study import Study


def drivers(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the drivers."""
    if study.missing:
        return NOTHING
    if study.drivers.table.empty:
        return NOTHING  # the table of what to fix first, just below, says why
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


def fix_first(study: Study, profile: Profile) -> dict[str, Any]:
    """What to fix first, or why there is nothing."""
    met = _("Every item stands at its target or above.")
    return noted(
        _("What to fix first"),
        displays.fix_table(study, profile),
        displays.fix_note(study),
        otherwise=displays.drivers_note(study, profile) if study.drivers.reason else met,
    )


def penalty_reward(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of penalties and rewards."""
    frame = displays.contrasts_frame(study, profile)
    if study.missing or frame.empty:
        return NOTHING
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
        return NOTHING
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
    return noted(
        _("What leads to satisfaction: the path model"),
        displays.paths_table(study, profile),
        note,
        otherwise="" if study.missing else note,
    )


def performance(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the map of importance and performance."""
    table = displays.performance_table(study, profile)
    if table.empty:
        return NOTHING
    return {
        "table": table,
        "title": _("Importance and performance of the blocks"),
        "alt": _("Effect on satisfaction against the mean of {n} blocks.").format(n=style.number(len(table))),
        "how_to_read": _(
            "{found} Height: total effect, unstandardised: points of satisfaction that go with one point of the block, "
            "directly and through others; lines: 95 % interval. High and left comes first. The table has the effects "
            "on stated loyalty too."
        ).format(found=displays.performance_says(study, profile)),
    }


def reliability(study: Study, profile: Profile) -> dict[str, Any]:
    """Reliability of the blocks of the path model."""
    return noted(
        _("How well the blocks are measured"),
        displays.blocks_table(study, profile) if len(study.paths.items) else None,
        _("Alpha standardised; a block of one item has no reliability of its own. R²: explained by what leads there."),
    )


def path_weights(study: Study, profile: Profile) -> dict[str, Any]:
    """Loadings and weights of the path model."""
    return noted(
        _("What each item weighs"),
        displays.weights_table(study, profile) if len(study.paths.items) else None,
        _("Weights belong to the items on 0 to 100, unstandardised, and add up to one within a block."),
        otherwise=_("Every block is measured by one item, which has all its weight."),
    )
