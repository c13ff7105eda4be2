"""The scores of the period as finished frames: distribution, index, boxes, items, groups."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.estimators.proportions import Estimate
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import intervals, level_name, who
from crm_analysis.satisfaction_loyalty.study import Study


def distribution_frame(distribution: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """What `charts.distribution` draws: name, n, share, low, high; suppressed cells are missing."""
    shown = ~privacy.hide(distribution["n"], profile.privacy.min_cell)
    frame = distribution.assign(name=[level_name(profile, label) for label in distribution["label"]])
    frame[["share", "low", "high"]] = frame[["share", "low", "high"]].where(shown, axis=0)
    return frame.assign(n=frame["n"].where(shown))[["name", "n", "share", "low", "high"]]


def distribution_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The distribution of the period as text."""
    frame = distribution_frame(study.wave.distribution, profile)
    return pd.DataFrame(
        {
            _("Level"): frame["name"],
            _("Answers"): privacy.shown(study.wave.distribution["n"], profile.privacy.min_cell).to_list(),
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
    wave, levels = study.wave, study.wave.distribution["n"]
    cells = levels.tail(1) if box is wave.top_box else levels.tail(2) if box is wave.top_two else levels.head(1)
    return int(cells.sum())


def box_text(study: Study, box: Estimate) -> str:
    """The share of a box of the period; where it would tell too small a count, on which side it lies."""
    return (
        style.percent(box.mean)
        if box_shown(study, box)
        else style.share(_in_box(study, box), study.wave.n, study.min_cell)
    )


def box_shown(study: Study, box: Estimate) -> bool:
    """Whether the share of a box tells no count of answers that is too small to show."""
    return not privacy.tells(_in_box(study, box), study.wave.n, study.min_cell)


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


def scores_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The period's index, boxes and net promoter score, and their change."""
    wave, changed = study.wave, study.changed
    if wave.n < profile.privacy.min_cell:
        return pd.DataFrame()
    rows = [
        (
            _("Index, 0 to 100"),
            style.number(wave.index.mean, 1),
            style.interval(wave.index.low, wave.index.high, "index"),
            f"{style.points(changed.index.value / 100)} ({style.p_value(changed.index.p)})" if changed else style.DASH,
        )
    ]
    boxes = ((_("Top level"), wave.top_box), (_("Two top levels"), wave.top_two), (_("Lowest level"), wave.bottom_box))
    for name, box in boxes:
        moved = f"{style.points(changed.top_box.value)} ({style.p_value(changed.top_box.p)})" if changed else style.DASH
        change_text = moved if box is wave.top_box else style.DASH
        few = not box_shown(study, box)
        between = style.DASH if few else style.interval(box.low, box.high, "share")
        rows.append((name, box_text(study, box), between, style.DASH if few else change_text))
    if wave.nps is not None:
        rows.append(
            (
                _("Net promoter score, −100 to 100"),
                style.number(wave.nps.mean, 1),
                style.interval(wave.nps.low, wave.nps.high, "index"),
                f"{style.points(changed.nps.value / 100)} ({style.p_value(changed.nps.p)})"
                if changed and changed.nps
                else style.DASH,
            )
        )
    columns = [_("Measure"), _("Value"), _("95 % interval"), _("Change")]
    return pd.DataFrame(rows, columns=columns)


def _top_box(share: float, low: float, high: float, part: int, n: int, profile: Profile) -> str:
    if privacy.tells(part, n, profile.privacy.min_cell):
        return style.share(part, n, profile.privacy.min_cell)
    return f"{style.percent(share)} ({style.interval(low, high, 'share')})"


def groups_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Branches side by side (in `all`) and staff beside customers: who, answers, index, top level."""
    rows = [
        (
            profile.branch_name(row["branch"], language.active()),
            style.number(row["n"]),
            f"{style.number(row['index'], 1)} ({style.interval(row['index_low'], row['index_high'], 'index')})",
            _top_box(row["top_box"], row["low"], row["high"], round(row["top_box"] * row["n"]), row["n"], profile),
        )
        for row in study.branches.to_dict("records")
    ]
    dealers = "dealer" in set(study.kinds["kind"])
    others = _("Staff and dealers, last twelve months") if dealers else _("Staff, last twelve months")
    for name, wave in ((who(profile), study.wave), (others, study.staff)):
        if wave is not None and wave.n >= profile.privacy.min_cell:
            index, box = wave.index, wave.top_box
            rows.append(
                (
                    name,
                    answers_text(study, wave.n) if wave is study.wave else style.number(wave.n),
                    f"{style.number(index.mean, 1)} ({style.interval(index.low, index.high, 'index')})",
                    _top_box(box.mean, box.low, box.high, int(wave.distribution["n"].iloc[-1]), wave.n, profile),
                )
            )
    return pd.DataFrame(rows, columns=[_("Group"), _("Answers"), _("Index"), _("Top level")])
