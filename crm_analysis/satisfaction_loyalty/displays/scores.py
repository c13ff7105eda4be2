"""The scores of the period as finished frames: distribution, index, boxes, items, groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.estimators.proportions import Difference, Estimate, two_means
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import (
    OVERALL,
    intervals,
    item_name,
    level_name,
    levels_hidden,
    levels_shown,
    score_told,
    top_hidden,
    who,
)
from crm_analysis.satisfaction_loyalty.measure import Wave
from crm_analysis.satisfaction_loyalty.study import Study

ALIKE = 3.0  # points of the index that two branches may lie apart and still be called alike


def distribution_frame(distribution: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """What `charts.distribution` draws: name, n, share, low, high; suppressed cells are missing."""
    shown = ~levels_hidden(distribution["n"], profile.privacy.min_cell, distribution["parts"])
    frame = distribution.assign(name=[level_name(profile, label) for label in distribution["label"]])
    frame[["share", "low", "high"]] = frame[["share", "low", "high"]].where(shown, axis=0)
    return frame.assign(n=frame["n"].where(shown))[["name", "n", "share", "low", "high"]]


def distribution_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The distribution of the period as text."""
    frame = distribution_frame(study.wave.distribution, profile)
    return pd.DataFrame(
        {
            _("Level"): frame["name"],
            _("Answers"): levels_shown(
                study.wave.distribution["n"], profile.privacy.min_cell, study.wave.distribution["parts"]
            ),
            _("Share"): [style.percent(share) for share in frame["share"]],
            _("95 % interval"): intervals(frame["low"], frame["high"], "share"),
        }
    )


def distribution_summary(study: Study) -> str:
    """The mean beside the distribution, as the figure's title."""
    wave = study.wave
    if privacy.small(wave.n, study.min_cell):
        return ""
    return _("index {index} ({low} to {high}), n {n}").format(
        index=style.number(wave.index.mean, 1),
        low=style.number(wave.index.low, 1),
        high=style.number(wave.index.high, 1),
        n=answers_text(study, wave.n),
    )


def answers_text(study: Study, n: int) -> str:
    """A number of answers of the period, where it does not tell that of a small branch."""
    return privacy.count(n, study.min_cell, parts=study.period_rows["branch"].value_counts())


def _in_box(study: Study, box: Estimate) -> int:
    """How many answers of the period stand on the levels of a box."""
    return int(_cells(study, box).sum())


def _cells(study: Study, box: Estimate) -> pd.Series:
    """The counts of the levels of a box of the period."""
    wave, levels = study.wave, study.wave.distribution["n"]
    return levels.tail(1) if box is wave.top_box else levels.tail(2) if box is wave.top_two else levels.head(1)


def box_text(study: Study, box: Estimate) -> str:
    """The share of a box of the period; where it would tell too small a count, on which side it lies."""
    if box_shown(study, box):
        return style.percent(box.mean)
    part = _in_box(study, box)
    if privacy.tells(part, study.wave.n, study.min_cell):
        return style.share(part, study.wave.n, study.min_cell)
    return _("withheld")


def box_shown(study: Study, box: Estimate) -> bool:
    """Whether the share of a box tells no count of answers that is too small to show, nor one hidden for its sake."""
    levels = study.wave.distribution
    veiled = levels_hidden(levels["n"], study.min_cell, levels["parts"])
    hidden = _cells(study, box).index.intersection(levels.index[veiled])
    return hidden.empty and not privacy.tells(_in_box(study, box), study.wave.n, study.min_cell)


def before_text(study: Study) -> str:
    """What the answers of the period are compared with."""
    if study.changed is not None and study.changed.since:
        return _("the wave {wave}").format(wave=style.escape(study.changed.since))
    return _("the period before")


def earlier_distribution(study: Study, profile: Profile) -> pd.DataFrame | None:
    """The distribution of the period before, or None."""
    return None if study.changed is None else distribution_frame(study.changed.previous.distribution, profile)


def distribution(study: Study, profile: Profile) -> dict[str, Any]:
    """What `charts.distribution` takes."""
    return {
        "levels": distribution_frame(study.wave.distribution, profile),
        "summary": distribution_summary(study),
        "earlier": earlier_distribution(study, profile),
        "before": before_text(study),
    }


def index_text(study: Study, profile: Profile) -> str:
    """What the index is made of, and where its weights come from."""
    parts = ", ".join(
        f"{style.escape(item_name(profile, item))} {style.percent(weight, 0)}"
        for item, weight in study.index_weights.items()
    )
    if study.index_basis == "overall":
        return _("The index is overall satisfaction placed on 0 to 100.")
    if study.index_basis == "given":
        return _("Weights of the index, given in the profile: {parts}.").format(parts=parts)
    return _("Weights of the index, estimated by the path model and then taken as given: {parts}.").format(parts=parts)


def signed(value: float) -> str:
    """A difference of scores with its sign."""
    return ("+" if value > 0 else "") + style.number(value, 2)


def changed_by(value: str, low: str, high: str, p: float) -> str:
    """A difference as text, with its interval and p-value."""
    return _("{value} ({low} to {high}), {p}").format(value=value, low=low, high=high, p=style.p_value(p))


def _moved(difference: Difference, write: Callable[[float], str]) -> str:
    value, low, high = (write(each) for each in (difference.value, difference.low, difference.high))
    return changed_by(value, low, high, difference.p)


def _of_hundred(difference: float) -> str:
    """A difference of scores up to 100, in points."""
    return style.points(difference / 100)


def scores_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The period's index, boxes and net promoter score, and their change."""
    wave, changed = study.wave, study.changed
    if wave.n < profile.privacy.min_cell:
        return pd.DataFrame()
    overall, (lowest, highest) = profile.survey.satisfaction, study.answers.scale
    rows = [
        (
            _("Index, 0 to 100"),
            style.number(wave.index.mean, 1),
            style.interval(wave.index.low, wave.index.high, "index"),
            _moved(changed.index, _of_hundred) if changed else style.DASH,
        ),
        (
            _("Mean of “{item}”, {low} to {high}").format(
                item=item_name(profile, OVERALL), low=style.number(lowest), high=style.number(highest)
            ),
            style.number(wave.mean.mean, 2),
            style.interval(wave.mean.low, wave.mean.high, "index", digits=2),
            _moved(changed.mean, signed) if changed else style.DASH,
        ),
    ]
    if overall.target is not None:
        low, high = wave.mean.low - overall.target, wave.mean.high - overall.target
        rows.append(
            (
                _("Against its target of {target}").format(target=style.number(overall.target, 1)),
                signed(wave.mean.mean - overall.target),
                style.interval(low, high, "index", digits=2),
                style.DASH,
            )
        )
    boxes = ((_("Top level"), wave.top_box), (_("Two top levels"), wave.top_two), (_("Lowest level"), wave.bottom_box))
    for name, box in boxes:
        moved = _moved(changed.top_box, style.points) if changed else style.DASH
        before = changed is not None and not top_hidden(changed.previous.distribution, study.min_cell)
        change_text = moved if box is wave.top_box and before else style.DASH
        few = not box_shown(study, box)
        between = style.DASH if few else style.interval(box.low, box.high, "share")
        rows.append((name, box_text(study, box), between, style.DASH if few else change_text))
    if wave.nps is not None:
        name, told = _("Net promoter score, −100 to 100"), score_told(wave, study.min_cell)
        since = changed.nps if changed is not None and not score_told(changed.previous, study.min_cell) else None
        rows.append(
            (name, _("withheld"), style.DASH, style.DASH)
            if told
            else (
                name,
                style.number(wave.nps.mean, 1),
                style.interval(wave.nps.low, wave.nps.high, "index"),
                style.DASH if since is None else _moved(since, _of_hundred),
            )
        )
    columns = [_("Measure"), _("Value"), _("95 % interval"), _("Change")]
    return pd.DataFrame(rows, columns=columns)


def _at_top(wave: Wave) -> int:
    return int(wave.distribution["n"].iloc[-1])


def _box_known(wave: Wave, profile: Profile) -> bool:
    return not top_hidden(wave.distribution, profile.privacy.min_cell)


def _top_box(wave: Wave, profile: Profile) -> str:
    if not _box_known(wave, profile):
        told = privacy.tells(_at_top(wave), wave.n, profile.privacy.min_cell)
        return style.share(_at_top(wave), wave.n, profile.privacy.min_cell) if told else style.DASH
    return f"{style.percent(wave.top_box.mean)} ({style.interval(wave.top_box.low, wave.top_box.high, 'share')})"


def _groups(study: Study, profile: Profile) -> list[tuple[str, Wave]]:
    """Who stands beside whom, by name: branches (in `all`), everybody, staff."""
    dealers = "dealer" in set(study.kinds["kind"])
    others = _("Staff and dealers, last twelve months") if dealers else _("Staff, last twelve months")
    several = study.branches if len(study.branches) > 1 else {}
    named = [(profile.branch_name(branch, language.active()), wave) for branch, wave in several.items()]
    rest = [(name, wave) for name, wave in ((who(profile), study.wave), (others, study.staff)) if wave is not None]
    return named + [(name, wave) for name, wave in rest if wave.n >= profile.privacy.min_cell]


def groups_spread(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.spread` draws of groups: name, place, levels, share (missing where suppressed), mean (the index).

    Empty for a single group, which the distribution of the period shows already.
    """
    parts: list[pd.DataFrame] = []
    found = _groups(study, profile)
    for name, wave in found if len(found) > 1 else []:
        levels = wave.distribution
        hidden = levels_hidden(levels["n"], profile.privacy.min_cell, levels["parts"])
        parts.append(
            levels.assign(
                name=name,
                place=range(len(levels)),
                levels=len(levels),
                share=levels["share"].mask(hidden),
                mean=style.number(wave.index.mean, 1),
            )
        )
    columns = ["name", "place", "levels", "share", "mean"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def index_head() -> str:
    """What stands beside the distribution of a group."""
    return _("index")


def groups_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Branches side by side (in `all`) and staff beside customers: who, answers, index, top level."""
    rows = [
        (
            name,
            answers_text(study, wave.n) if wave is study.wave else style.number(wave.n),
            f"{style.number(wave.index.mean, 1)} ({style.interval(wave.index.low, wave.index.high, 'index')})",
            _top_box(wave, profile),
        )
        for name, wave in _groups(study, profile)
    ]
    return pd.DataFrame(rows, columns=[_("Group"), _("Answers"), _("Index"), _("Top level")])


def groups_says(study: Study, profile: Profile) -> str:
    """Two branches whose indexes are alike while their distributions are not; empty where there are none.

    Alike are indexes at most `ALIKE` points apart and not apart beyond chance. The top levels differ beyond chance
    though all pairs are looked at (Bonferroni).
    """
    found, named = [], list(study.branches.items())
    pairs = max(len(named) * (len(named) - 1) // 2, 1)
    for k, (first, a) in enumerate(named):
        for second, b in named[k + 1 :]:
            apart = two_means(a.index, b.index)
            top = two_means(a.top_box, b.top_box, level=1 - (1 - apart.level) / pairs)
            if abs(apart.value) <= ALIKE and apart.low <= 0 <= apart.high and not top.low <= 0 <= top.high:
                found.append((abs(top.value), first, second, a, b))
    shown = [each for each in found if all(_box_known(wave, profile) for wave in each[3:])]
    if not shown:
        return ""
    _gap, first, second, a, b = max(shown, key=lambda each: each[0])
    return _(
        "{first} and {second} have indexes that do not differ beyond chance ({index_first} and {index_second}), yet "
        "{top_first} and {top_second} of their answers are on the top level: compare distributions, not means."
    ).format(
        first=style.escape(profile.branch_name(first, language.active())),
        second=style.escape(profile.branch_name(second, language.active())),
        index_first=style.number(a.index.mean, 1),
        index_second=style.number(b.index.mean, 1),
        top_first=style.percent(a.top_box.mean, 0),
        top_second=style.percent(b.top_box.mean, 0),
    )
