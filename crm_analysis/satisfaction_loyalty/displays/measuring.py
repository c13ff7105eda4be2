"""Measurement as finished frames: waves, promoters, items with their distributions and gaps, service gaps, staff."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import (
    dimension_name,
    groups_told,
    intervals,
    item_name,
    level_name,
    levels_hidden,
    score_told,
    top_hidden,
    who,
)
from crm_analysis.satisfaction_loyalty.displays.scores import answers_text, before_text, changed_by, index_text, signed
from crm_analysis.satisfaction_loyalty.study import Study


def waves_frame(study: Study) -> pd.DataFrame:
    """What `charts.waves` draws: name, n, index, top level, promoters with limits; what tells a small count missing."""
    table = study.trend.copy()
    levels, cell = study.trend_spread.groupby("wave"), study.min_cell
    told = {
        ("top_box", "top_low", "top_high"): [top_hidden(levels.get_group(wave), cell) for wave in table["wave"]],
        ("nps", "nps_low", "nps_high"): [groups_told(groups, cell) for groups in table["nps_groups"]],
    }
    for columns, hides in told.items():
        shown = table[list(columns)].astype(float)
        table[list(columns)] = shown.mask(pd.Series(hides, index=table.index, dtype=bool), axis=0)
    every = study.answers.frame
    parts = [every.loc[_in_wave(every, row), "branch"].value_counts() for row in table.itertuples()]
    counts = [privacy.count(int(n), study.min_cell, parts=part) for n, part in zip(table["n"], parts, strict=True)]
    return table.assign(name=table["wave"].astype(str), n=counts)


def _in_wave(rows: pd.DataFrame, wave: Any) -> pd.Series:
    when = rows["answered_on"].dt.date
    return (when >= wave.first) & (when <= wave.last)


def waves(study: Study) -> dict[str, Any]:
    """What `charts.waves` takes."""
    return {"table": waves_frame(study), "spread": waves_spread(study), "note": change_text(study)}


def waves_spread(study: Study) -> pd.DataFrame:
    """The distribution of every wave: name, place, levels, share, missing where suppressed."""
    parts = []
    for wave, levels in study.trend_spread.groupby("wave", sort=False):
        hidden = levels_hidden(levels["n"], study.min_cell, levels["parts"])
        parts.append(levels.assign(name=str(wave), levels=len(levels), share=levels["share"].mask(hidden)))
    columns = ["name", "place", "levels", "share"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def change_text(study: Study) -> str:
    """The change of the index in words, with what could have been seen; empty without an earlier wave."""
    changed = study.changed
    if changed is None:
        return ""
    p = changed.index.p
    template = (
        _("index {change} points ({low} to {high}) against {before}")
        if p == p and p < 1 - changed.index.level
        else _("index unchanged within noise against {before}; a change of {seen} would have been seen")
    )
    return template.format(
        change=style.points(changed.index.value / 100),
        low=style.points(changed.index.low / 100),
        high=style.points(changed.index.high / 100),
        seen=style.number(changed.detectable_index, 1),
        before=before_text(study),
    )


def scores_note(study: Study, profile: Profile) -> str:
    """What the scores rest on: the index's weights, comparison, smallest change that would have been seen, design,
    repeated answers.
    """
    changed, wave, notes = study.changed, study.wave, [index_text(study, profile)]
    if changed is not None:
        notes.append(
            _(
                "Change is against {before}, with both standard errors; a change of the index by {index} and of the "
                "top level by {top} points would have been seen four times in five."
            ).format(
                before=before_text(study),
                index=style.number(changed.detectable_index, 1),
                top=style.points(changed.detectable_top_box, sign=False),
            )
        )
    if study.answers.weighted and not privacy.small(wave.n, study.min_cell):
        notes.append(
            _("The answers are weighted; for the index they are worth {n} of a simple sample.").format(
                n=style.number(wave.index.n_effective)
            )
        )
    if wave.repeats:
        notes.append(
            _("{n} answers are further ones of the same person, who counts once in the intervals.").format(
                n=privacy.count(wave.repeats, study.min_cell)
            )
        )
    return " ".join(notes)


def waves_table(study: Study) -> pd.DataFrame:
    """Every wave as text: dates, answers, index, top level, promoters."""
    frame = waves_frame(study)
    table = pd.DataFrame(
        {
            _("Wave"): frame["name"],
            _("Answered"): [
                _("{first} to {last}").format(first=style.day(first), last=style.day(last))
                for first, last in zip(frame["first"], frame["last"], strict=True)
            ],
            _("Answers"): frame["n"],
            _("Index"): _with_interval(frame, "index", "index_low", "index_high", "index"),
            _("Top level"): _with_interval(frame, "top_box", "top_low", "top_high", "share"),
        }
    )
    if frame["nps"].notna().any():
        table[_("Net promoter score")] = _with_interval(frame, "nps", "nps_low", "nps_high", "index")
    return table


def _with_interval(frame: pd.DataFrame, middle: str, low: str, high: str, unit: str) -> list[str]:
    return [
        style.DASH
        if pd.isna(value)
        else f"{style.percent(value) if unit == 'share' else style.number(value, 1)} ({style.interval(a, b, unit)})"
        for value, a, b in zip(frame[middle], frame[low], frame[high], strict=True)
    ]


def promoters_frame(study: Study) -> pd.DataFrame:
    """What `charts.promoters` draws: score, group, share, missing where suppressed; n as text. Empty without a score.

    The score beside it tells the number in each group, so each is a table with a total of its own.
    """
    table = study.wave.promoters
    if not promoters_text(study):
        return table.head(0)
    groups = [pd.DataFrame(rows["parts"].tolist(), index=rows.index) for _name, rows in table.groupby("group")]
    hidden = pd.concat([privacy.hide_of_all(parts, study.min_cell) for parts in groups])
    shown = pd.concat([privacy.shown_of_all(parts, study.min_cell) for parts in groups])
    return table.assign(share=table["share"].mask(hidden), n=shown)


def promoters_text(study: Study) -> str:
    """The net promoter score with its interval; empty without one that may be shown."""
    score = study.wave.nps
    if score is None or not score.n or privacy.small(score.n, study.min_cell) or score_told(study.wave, study.min_cell):
        return ""
    return _("net promoter score {score} ({low} to {high}), n {n}").format(
        score=style.number(score.mean, 1),
        low=style.number(score.low, 1),
        high=style.number(score.high, 1),
        n=style.number(score.n) if answers_text(study, study.wave.n) == style.number(study.wave.n) else style.DASH,
    )


def promoters(study: Study) -> dict[str, Any]:
    """What `charts.promoters` takes."""
    return {"table": promoters_frame(study), "note": promoters_text(study)}


def promoters_table(study: Study) -> pd.DataFrame:
    """The answers from 0 to 10 as text."""
    frame = promoters_frame(study)
    names = {"detractors": _("detractors"), "passives": _("passives"), "promoters": _("promoters")}
    return pd.DataFrame(
        {
            _("Score"): frame["score"],
            _("Group"): [names[group] for group in frame["group"]],
            _("Answers"): frame["n"],
            _("Share"): [style.percent(share) for share in frame["share"]],
        }
    )


def spread_frame(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.spread` draws of items: name, place, levels, share, mean."""
    parts = []
    for item, levels in study.item_spread.groupby("item", sort=False):
        if not privacy.small(levels["n"].sum(), study.min_cell):
            hidden = levels_hidden(levels["n"], study.min_cell, levels["parts"])
            parts.append(
                levels.assign(
                    name=item_name(profile, str(item)),
                    share=levels["share"].mask(hidden),
                    mean=_mean_on_scale(study, str(item), levels["mean"].iloc[0]),
                )
            )
    columns = ["name", "place", "levels", "share", "mean"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def mean_head() -> str:
    """What stands beside the distribution of an item."""
    return _("mean (scale)")


def _mean_on_scale(study: Study, item: str, mean: float) -> str:
    low, high = study.answers.items[item].scale
    return _("{mean} ({low}–{high})").format(mean=style.number(mean, 2), low=style.number(low), high=style.number(high))


def gaps_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every item: mean, change with interval and p-value, smallest change that would have been seen, gap to target."""
    table = study.item_gaps[study.item_gaps["n"] >= study.min_cell]
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Answers"): [
                style.number(n) if _whole_known(study) else style.DASH for n in table["n"]
            ],
            _("Mean (scale)"): [
                _mean_on_scale(study, item, mean) for item, mean in zip(table["item"], table["mean"], strict=True)
            ],
            _("Change"): _difference(table, "change"),
            _("Could have been seen"): [style.number(value, 2) for value in table["detectable"]],
            _("Target"): [style.number(target, 1) for target in table["target"]],
            _("Against the target"): _difference(table, "to_target"),
        }
    )  # fmt: skip


def _whole_known(study: Study) -> bool:
    return answers_text(study, study.wave.n) == style.number(study.wave.n)


def _difference(table: pd.DataFrame, name: str) -> list[str]:
    columns = (table[name], table[f"{name}_low"], table[f"{name}_high"], table[f"{name}_p"])
    return [
        style.DASH if pd.isna(value) else changed_by(signed(value), signed(low), signed(high), p)
        for value, low, high, p in zip(*columns, strict=True)
    ]


def gaps_note(study: Study) -> str:
    """What the table of items rests on, and what moved."""
    notes = []
    table = study.item_gaps
    if study.changed is not None:
        notes.append(
            _(
                "In the numbers behind the figure, change is against {before}, with both standard errors; p-values are "
                "Holm-adjusted over the items."
            ).format(before=before_text(study))
        )
        if study.changed.panel:
            notes.append(
                _("{n} answered both times; their covariance is in the interval.").format(
                    n=privacy.count(study.changed.panel, study.min_cell)
                )
            )
    lost = study.answers.item_counts
    outside = int(lost["out_of_range"].sum()) if len(lost) else 0
    if outside:
        notes.append(
            _(
                "{n} answers to items lay outside their scale and were set aside; `crm-analysis list "
                "satisfaction_loyalty.answers_off_scale` writes them to a file."
            ).format(n=privacy.count(outside, study.min_cell))
        )
    for item in lost.loc[lost["fault"] == "scale_mismatch", "item"] if len(lost) else ():
        notes.append(
            _(
                "{item}: more than a fifth of the answers lie outside the scale; put survey.items.{item}.scale right."
            ).format(item=style.escape(str(item)))
        )
    return " ".join(notes) if len(table) else ""


def service_frame(study: Study) -> pd.DataFrame:
    """What `charts.service_gaps` draws: name, gap, low, high, importance (text, empty where nobody gave points)."""
    table = study.expectations.dimensions
    return pd.DataFrame(
        {
            "name": [dimension_name(name) for name in table["dimension"]],
            "gap": table["gap"],
            "low": table["low"],
            "high": table["high"],
            "importance": ["" if pd.isna(share) else style.percent(share, 0) for share in table["importance"]],
        }
    )


def service_note(study: Study) -> str:
    """The gap over all dimensions, plain and weighted; empty without pairs of items."""
    plain, weighted = study.expectations.plain, study.expectations.weighted
    if plain is None or not plain.n:
        return ""
    template = (
        _(
            "over all dimensions {plain} ({low} to {high}); weighted by each respondent's own points {weighted} "
            "({weighted_low} to {weighted_high})"
        )
        if weighted is not None
        else _("over all dimensions {plain} ({low} to {high})")
    )
    return template.format(
        plain=style.number(plain.mean, 2),
        low=style.number(plain.low, 2),
        high=style.number(plain.high, 2),
        weighted=style.number(weighted.mean if weighted else None, 2),
        weighted_low=style.number(weighted.low if weighted else None, 2),
        weighted_high=style.number(weighted.high if weighted else None, 2),
    )


def service_says(study: Study) -> str:
    """Where the service falls furthest short, beyond chance."""
    table = study.expectations.dimensions
    worst = table.loc[table["gap"].idxmin()]
    if not worst["high"] < 0:
        return _("No dimension is shown to fall short of what was expected.")
    return _("Furthest short of what was expected: {worst}, by {gap} points of the scale ({low} to {high}).").format(
        worst=style.escape(dimension_name(str(worst["dimension"]))),
        gap=style.number(-worst["gap"], 2),
        low=style.number(-worst["high"], 2),
        high=style.number(-worst["low"], 2),
    )


def service_gaps(study: Study) -> dict[str, Any]:
    """What `charts.service_gaps` takes."""
    return {"table": service_frame(study), "note": service_note(study)}


def service_table(study: Study) -> pd.DataFrame:
    """Every dimension: answers, gap with interval, whether it differs from none (Holm), mean share of the points.

    Below them all dimensions together, plain and weighted by each respondent's own points.
    """
    table = study.expectations.dimensions
    found = pd.DataFrame(
        {
            _("Dimension"): [dimension_name(name) for name in table["dimension"]],
            _("Answers"): [privacy.count(n, study.min_cell) for n in table["n"]],
            _("Gap"): [style.number(value, 2) for value in table["gap"]],
            _("95 % interval"): _between(table),
            _("Is there a gap?"): [style.DASH if pd.isna(p) else style.p_value(p) for p in table["p"]],
        }
    )
    if table["importance"].notna().any():
        found[_("Share of the points")] = [style.percent(share) for share in table["importance"]]
    both = (
        (_("all, counted alike"), study.expectations.plain),
        (_("all, by each respondent's own points"), study.expectations.weighted),
    )
    rows = [
        (
            name,
            privacy.count(gap.n, study.min_cell),
            style.number(gap.mean, 2),
            style.interval(gap.low, gap.high, "index", digits=2),
            *([style.DASH] * (len(found.columns) - 4)),
        )
        for name, gap in both
        if gap is not None and gap.n >= study.min_cell
    ]
    return pd.concat([found, pd.DataFrame(rows, columns=found.columns)], ignore_index=True)


def service_items_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every pair of items: expected, found, gap with interval."""
    table = study.expectations.items
    return pd.DataFrame(
        {
            _("Dimension"): [dimension_name(name) for name in table["dimension"]],
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Answers"): [privacy.count(n, study.min_cell) for n in table["n"]],
            _("Expected"): [style.number(value, 2) for value in table["expected"]],
            _("Perceived"): [style.number(value, 2) for value in table["perceived"]],
            _("Gap"): [style.number(value, 2) for value in table["gap"]],
            _("95 % interval"): _between(table),
        }
    )


def _between(table: pd.DataFrame) -> list[str]:
    return [style.interval(low, high, "index", digits=2) for low, high in zip(table["low"], table["high"], strict=True)]


def kind_of(kind: str, profile: Profile) -> str:
    """Who answered, in words."""
    return {"customer": who(profile), "staff": _("Staff"), "dealer": _("Dealers")}[kind]


def kinds_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Customers, staff and dealers of every branch in the same twelve months: answers, index, share of each level."""
    table = study.kinds
    if table.empty:
        return pd.DataFrame()
    shown = pd.DataFrame(
        {
            _("Branch"): [profile.branch_name(branch, language.active()) for branch in table["branch"]],
            _("Group"): [kind_of(kind, profile) for kind in table["kind"]],
            _("Answers"): [style.number(n) for n in table["n"]],
            _("Index"): [style.number(value, 1) for value in table["index"]],
            _("95 % interval"): intervals(table["index_low"], table["index_high"], "index"),
        }
    )
    shares = pd.DataFrame([_level_shares(levels, study.min_cell) for levels in table["levels"]])
    return shown.join(shares.rename(columns=lambda label: level_name(profile, str(label))))


def _level_shares(levels: tuple[tuple[str, int, float], ...], min_cell: int) -> dict[str, str]:
    """The share of each level as text, by its label; those that tell a small count, and others with them, a dash."""
    hidden = levels_hidden(pd.Series([n for _label, n, _share in levels]), min_cell)
    return {
        label: style.DASH if veil else style.percent(share)
        for (label, _n, share), veil in zip(levels, hidden, strict=True)
    }
