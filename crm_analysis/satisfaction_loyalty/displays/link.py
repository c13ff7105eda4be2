"""The link as finished frames: the curve, its tests, its steps, stated loyalty and the two stores."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import bends, shape
from crm_analysis.satisfaction_loyalty.ahead import FEWEST
from crm_analysis.satisfaction_loyalty.displays.names import intervals, item_name, level_name, who
from crm_analysis.satisfaction_loyalty.measure import loyal_from
from crm_analysis.satisfaction_loyalty.stores import Pair
from crm_analysis.satisfaction_loyalty.study import Study

COARSE = 0.1  # a rate that would tell a branch's count is given to the tenth


def shown_link(study: Study) -> tuple[shape.Shape | None, str]:
    """The link that the page draws, and the survey item it is about, empty for what respondents did."""
    return shape.of_interest(study.link, study.stated)


def curve_frame(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.link_curve` draws: name, rate, low, high, n, line, isotonic, label (the rate as text), thin.

    Rates that would tell too small a count are missing; `label` then says on which side they lie.
    """
    columns = ["name", "rate", "low", "high", "n", "line", "isotonic", "label", "thin"]
    link, _item = shown_link(study)
    if link is None or link.kind in ("too_few", "one_level"):
        return pd.DataFrame(columns=columns)
    levels = link.levels.assign(
        name=[level_name(profile, label) for label in link.levels["label"]],
        line=shape.straight_line(link)["rate"].clip(0, 1),
        isotonic=bends.isotonic(link.levels, falling=link.kind == "falling"),
        label=[level_rate(row, profile.privacy.min_cell) for row in link.levels.itertuples()],
        n=[level_n(row, profile.privacy.min_cell) for row in link.levels.itertuples()],
        thin=link.levels["n"] < shape.FLAG_UNDER,
    )
    drawn = ["rate", "low", "high", "isotonic"]
    levels[drawn] = levels[drawn].mask(levels_told(link, profile.privacy.min_cell), axis=0)
    return levels[columns]


def levels_told(link: shape.Shape, min_cell: int) -> pd.Series:
    """Which levels' rates would tell a number of customers that is too small to show.

    A contrast of such a level with others would tell its rate beside theirs, and is not shown either.
    """
    hidden = [veiled(row, min_cell) for row in link.levels.itertuples()]
    return pd.Series(hidden, index=link.levels.index, dtype=bool)


def veiled(level: Any, min_cell: int) -> bool:
    """Whether a level's rate tells too small a number of customers: its own, or a branch's less what the others show.

    `level` is a row of a table of levels, see `shape.tabulate`.
    """
    return privacy.tells(round(level.rate * level.n), level.n, min_cell) or _of_one_branch(level, min_cell)


def _of_one_branch(level: Any, min_cell: int) -> bool:
    counts, loyal = getattr(level, "n_parts", ()), getattr(level, "loyal_parts", ())
    rest = [n - part for n, part in zip(counts, loyal, strict=True)]
    return any(privacy.total_tells(parts, min_cell) for parts in (counts, loyal, rest))


def level_n(level: Any, min_cell: int) -> str:
    """How many answered on a level, as text; on the page of all not so that it tells a small number of one branch."""
    return privacy.count(int(level.n), min_cell, parts=getattr(level, "n_parts", ()))


def link_n(link: shape.Shape, min_cell: int) -> str:
    """How many answers a link rests on, likewise."""
    return privacy.count(link.n, min_cell, parts=_of_branches(link))


def link_n_told(link: shape.Shape, min_cell: int) -> int | None:
    """The same as the number of a finding: none where it would tell that of one branch."""
    return None if privacy.total_tells(_of_branches(link), min_cell) else link.n


def _of_branches(link: shape.Shape) -> list[int]:
    return [sum(parts) for parts in zip(*link.levels.get("n_parts", ()), strict=True)]


def bounds(level: Any, min_cell: int) -> tuple[float, float]:
    """A level's rate twice; where it is veiled, the least and the most that it can be."""
    part = round(level.rate * level.n)
    if not veiled(level, min_cell):
        return level.rate, level.rate
    if privacy.tells(part, level.n, min_cell):
        least = 0.0 if part < min_cell else 1 - min_cell / level.n
        return least, (1.0 if level.n - part < min_cell else min_cell / level.n)
    width = min(max(COARSE, min_cell / level.n), 1.0)
    least = min(math.floor(level.rate / width) * width, 1.0 - width)
    return least, least + width


def level_rate(level: Any, min_cell: int, digits: int | None = None) -> str:
    """A level's rate, in whole per cent or in tenths where it is small; where it is veiled, on which side it lies or
    between which shares.
    """
    if digits is None:
        digits = 0 if level.rate >= 0.1 else 1  # noqa: PLR2004
    part = round(level.rate * level.n)
    if privacy.tells(part, level.n, min_cell):
        return style.share(part, level.n, min_cell, digits)
    if not veiled(level, min_cell):
        return style.percent(level.rate, digits)
    low, high = bounds(level, min_cell)
    return _("{low} to {high}").format(low=style.percent(low, 0), high=style.percent(high, 0))


def curve_note(study: Study) -> str:
    """What the curve shows at its top, as the figure's title."""
    if study.link is None or len(study.steps) < 2 or levels_told(study.link, study.min_cell).tail(3).any():
        return ""
    last, before = (study.steps[k].difference.value for k in (-1, -2))
    return _("last step {last} points, the step before {before}").format(
        last=style.points(last, 0 if abs(last) >= 0.015 else 1), before=style.points(before, 0)
    )


def curve(study: Study, profile: Profile) -> dict[str, Any]:
    """What `charts.link_curve` takes."""
    return {
        "curve": curve_frame(study, profile),
        "ylabel": loyalty_name(study, profile),
        "note": curve_note(study),
    }


def loyalty_name(study: Study, profile: Profile) -> str:
    """What the heights of the curve are: having come back within the window, or an answer."""
    _link, item = shown_link(study)
    if item:
        return _("“{item}”: {cut} or higher").format(
            item=style.plain(item_name(profile, item)),
            cut=style.number(loyal_from(study.answers.items[item].scale)),
        )
    return _("came back within {days} days").format(days=profile.loyalty.window_days)


def curve_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The levels of the curve as text, thin ones marked."""
    frame = curve_frame(study, profile)
    return pd.DataFrame(
        {
            _("Level"): frame["name"],
            who(profile): [
                n + (" *" if few else "") for n, few in zip(frame["n"], frame["thin"], strict=True)
            ],
            _("Would") if shown_link(study)[1] else _("Came back"): [
                label if rate != rate else style.percent(rate)
                for rate, label in zip(frame["rate"], frame["label"], strict=True)
            ],
            _("95 % interval"): intervals(frame["low"], frame["high"], "share"),
        }
    )


def tests_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The tests of the link as text: test, result."""
    link, _item = shown_link(study)
    if link is None or link.any_link is None:
        return pd.DataFrame()
    yes, no = _("yes"), _("no")

    def answer(test: shape.Test | None, rejected: str, kept: str) -> str:
        if test is None:
            return _("needs three levels")
        return f"{rejected if test.p < 1 - link.level else kept}, {style.p_value(test.p)}"

    rows = [
        (_("Any link?"), answer(link.any_link, yes, _("none seen"))),
        (_("Straight in probability?"), answer(link.straight_probability, no, _("not contradicted"))),
        (_("On a logistic curve?"), answer(link.straight_logit, no, _("not contradicted"))),
    ]
    below, told = None if link.bottom is link.top else link.bottom, levels_told(link, profile.privacy.min_cell)
    kinks = (
        (link.top, told.tail(3).any(), _("Kink at the top, points")),
        (below, told.head(3).any(), _("Kink at the bottom, points")),
    )
    for kink, hidden, name in kinks:
        if kink is not None:
            text = f"{style.points(kink.value)} ({style.interval(kink.low, kink.high, 'points')})"
            rows.append((name, _("withheld") if hidden else text))
    if link.top is not None:
        seen = _("withheld") if told.tail(3).any() else style.points(link.top.detectable, sign=False)
        rows.append((_("Smallest kink at the top we could have seen, points"), seen))
    rows += _where_it_bends(study, profile, told=bool(told.any()))
    return pd.DataFrame(rows, columns=[_("Test"), _("Result")])


def _where_it_bends(study: Study, profile: Profile, *, told: bool) -> list[tuple[str, str]]:
    """The best hinge and the zone of indifference, as rows of the table of tests.

    `told`: whether the size of the hinge would tell the rate of a level that is not shown.
    """
    rows = []
    hinge, zone = study.further.hinge, study.further.zone
    if hinge is not None:
        text = _("“{level}”: the slope changes by {change} points, {p}").format(
            level=style.escape(level_name(profile, hinge.label)),
            change=style.DASH if told else style.points(hinge.change),
            p=style.p_value(hinge.p),
        )
        rows.append((_("Best single hinge, over all inner levels"), text))
    if zone is not None:
        margin = style.points(zone.margin, sign=False)
        if zone.first:
            text = _("“{first}” to “{last}” are alike within {margin} points").format(
                first=style.escape(level_name(profile, zone.first)),
                last=style.escape(level_name(profile, zone.last)),
                margin=margin,
            )
        else:
            text = _("none: no step is shown to be smaller than {margin} points").format(margin=margin)
        rows.append((_("Zone of indifference"), text))
    return rows


def tests_note(study: Study, profile: Profile) -> str:
    """What the table of tests rests on: adjustment, merging, thin levels, follow-up."""
    link, item = shown_link(study)
    if link is None or link.any_link is None:
        return ""
    notes = (
        [
            _("About the answers to “{item}”, not about what {customers} did.").format(
                item=style.escape(item_name(profile, item)), customers=profile.vocabulary(language.active()).customers
            )
        ]
        if item
        else []
    )
    if link.kind == "no_link":
        notes.append(
            _(
                "The first row decides whether there is a link, from all levels together. It shows none, so the rows "
                "below it are no findings, whatever their intervals leave out."
            )
        )
    notes += [_("Kinks are one step less the step below it, adjusted for looking at both.")]
    if "bootstrap" in link.any_link.basis or (link.straight_logit and "bootstrap" in link.straight_logit.basis):
        notes.append(_("Where a level is thin, p-values come from samples drawn as if nothing were there."))
    if link.merged:
        notes.append(
            _("Levels with fewer than {fewest} answers were merged with their neighbour: {levels}.").format(
                fewest=shape.MERGE_UNDER,
                levels=", ".join(style.escape(level_name(profile, label)) for label in link.merged),
            )
        )
    thin = link.levels[link.levels["n"] < shape.FLAG_UNDER]
    if len(thin):
        notes.append(
            _("Levels marked * rest on fewer than {fewest} {customers}.").format(
                fewest=shape.FLAG_UNDER, customers=profile.vocabulary(language.active()).customers
            )
        )
    return " ".join(notes)


def steps_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every step between levels: points of loyalty and money per hundred customers, within the window and ahead."""
    if study.link is None or study.link.kind in ("too_few", "one_level"):
        return pd.DataFrame()
    currency, hidden = profile.currency, levels_told(study.link, profile.privacy.min_cell).to_list()
    veiled = [below or above for below, above in zip(hidden, hidden[1:], strict=False)]
    table = pd.DataFrame(
        [
            (
                f"{level_name(profile, step.lower)} → {level_name(profile, step.upper)}",
                *(
                    [style.DASH] * 4
                    if veil
                    else (
                        style.points(step.difference.value),
                        style.interval(step.difference.low, step.difference.high, "points"),
                        style.money(step.money_per_hundred, currency),
                        style.interval(step.money_low, step.money_high, "money", currency),
                    )
                ),
            )
            for step, veil in zip(study.steps, veiled, strict=True)
        ],
        columns=[
            _("Step"),
            _("Points of loyalty"),
            _("95 % interval"),
            _("Margin per 100 {customers}").format(customers=profile.vocabulary(language.active()).customers),
            _("95 % interval of the margin"),
        ],
    )
    if study.steps_ahead:
        told = [
            (
                style.money(step.money_per_hundred, currency),
                style.interval(step.money_low, step.money_high, "money", currency),
            )
            for step in study.steps_ahead
        ]
        shown = [(style.DASH, style.DASH) if veil else each for each, veil in zip(told, veiled, strict=True)]
        table[_("In the 12 months after the data end")] = [money for money, _interval in shown]
        table[_("95 % interval of it")] = [interval for _money, interval in shown]
    return table


def ahead_note(study: Study, profile: Profile) -> str:
    """How a step is valued over the months ahead, or why it is not."""
    found, currency = study.ahead, profile.currency
    if found is None:
        return ""
    words = {
        "customers": profile.vocabulary(language.active()).customers,
        "fewest": FEWEST,
    }
    if found.gap is None:
        return (
            _(
                "The months ahead are not valued: fewer than {fewest} {customers} came back, or did not. The margin "
                "within the window stands."
            )
            if found.why == "few"
            else _(
                "The months ahead are not valued, as no model of repeat buying can be fitted. The margin within the "
                "window stands."
            )
        ).format(**words)
    return _(
        "In the 12 months after the data end, so on top of the margin within the window, which was counted from "
        "each answer: the step times {gap} ({interval}), by which the margin expected of those who came back exceeds "
        "that of those who did not, a head; whoever has stopped since has little left to bring. Commitments count by "
        "what promises turned out to be worth, all else by BG/NBD and Gamma-Gamma, whichever way of foreseeing the "
        "customer value page has found best. An association too, and an upper bound."
    ).format(
        gap=style.money(found.gap.mean, currency),
        interval=style.interval(found.gap.low, found.gap.high, "money", currency),
    )


def stated_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Stated loyalty by level, apart from behaviour: item, level, answers, share, interval."""
    rows = [
        (
            item_name(profile, item),
            level_name(profile, row.label),
            level_n(row, profile.privacy.min_cell),
            *_stated_share(row, profile.privacy.min_cell),
        )
        for item, link in study.stated.items()
        for row in link.levels[~privacy.hide(link.levels["n"], profile.privacy.min_cell)].itertuples()
    ]
    columns = [_("Item"), _("Level"), _("Answers"), _("Would"), _("95 % interval")]
    return pd.DataFrame(rows, columns=columns)


def _stated_share(row: Any, min_cell: int) -> tuple[str, str]:
    """Share and interval of a level; where it would tell too small a count, on which side it lies."""
    between = style.DASH if veiled(row, min_cell) else style.interval(row.low, row.high, "share")
    return level_rate(row, min_cell, 1), between


def stores_table(pair: Pair) -> pd.DataFrame:
    """The constructed pair of stores as text: level, share of each store's customers, share kept at the level."""
    rows = [
        (style.number(row.level), style.percent(row.first), style.percent(row.second), style.percent(row.curve, 0))
        for row in pair.table.itertuples()
    ]
    rows.append((_("Index, 0 to 100"), style.number(pair.index_first, 1), style.number(pair.index_second, 1), ""))
    same = pair.kept_first - pair.by_distribution
    rows.append((_("Kept, both on this curve"), style.percent(pair.kept_first), style.percent(same), ""))
    return pd.DataFrame(rows, columns=[_("Level"), _("First branch"), _("Second branch"), _("Kept at this level")])
