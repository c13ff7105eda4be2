"""Figures of the satisfaction and loyalty chapter, from finished frames."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

from crm_analysis import style
from crm_analysis.language import _

# offsets in points at which a name may stand beside its point, the first that is free taken
_AROUND = tuple((side * 7, up) for up in (5, -12, 16, -23, 28, -35) for side in (1, -1))
_PERCENT = FuncFormatter(lambda value, _position: f"{value * 100:.3g}{style.percent_sign()}")


def _wrapped(name: str, width: int = 14) -> str:
    return "\n".join(textwrap.wrap(style.plain(name, 40), width)) or " "


def link_curve(curve: pd.DataFrame, *, ylabel: str, note: str = "") -> Figure | None:
    """Loyalty by level: dots with 95 % intervals, counts under each level, and the dashed straight line.

    `curve` has columns name, rate, low, high, n, line; `ylabel` says what the rate is of. Heights are shares of
    customers, not of revenue. None when there are fewer than two levels.
    """
    if len(curve) < 2:
        return None
    drawing, axes = style.figure(7.2, 4.0)
    at = np.arange(len(curve))
    axes.plot(at, curve["line"], linestyle=(0, (4, 4)), color=style.GREY, linewidth=1.0)
    axes.vlines(at, curve["low"], curve["high"], color=style.ACCENT, linewidth=2.2)
    axes.plot(at, curve["isotonic"], color=style.ACCENT, linewidth=1.2)
    axes.plot(at, curve["rate"], color=style.ACCENT, linestyle="none", marker="o", markersize=6)
    for x, high, rate in zip(at, curve["high"], curve["rate"], strict=True):
        axes.annotate(
            style.percent(rate, 0 if rate >= 0.1 else 1),
            (x, high),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    names = [f"n {style.number(n)}\n{_wrapped(name)}" for n, name in zip(curve["n"], curve["name"], strict=True)]
    axes.set_xticks(at, names)
    axes.set_xlim(-0.45, len(curve) - 0.55)
    axes.set_ylim(0, max(float(curve["high"].max()) * 1.15, 0.02))
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel(ylabel)
    axes.set_title(note, fontsize=10)
    return drawing


def distribution(
    levels: pd.DataFrame, *, summary: str, earlier: pd.DataFrame | None = None, before: str = ""
) -> Figure | None:
    """Share of answers on every level with 95 % intervals, the period before as hollow marks, the mean in the title.

    `levels` has columns name, share, low, high (missing where suppressed); `earlier` the same rows for what
    `before` names. None without answers.
    """
    if levels.empty or levels["share"].isna().all():
        return None
    drawing, axes = style.figure(7.2, 3.2)
    at = np.arange(len(levels))
    axes.bar(at, levels["share"].fillna(0), width=0.62, color=style.ACCENT, alpha=0.85, label=_("this period"))
    axes.vlines(at, levels["low"], levels["high"], color=style.INK, linewidth=1.4)
    peaks = levels["high"].fillna(0)
    if earlier is not None and len(earlier) == len(levels):
        axes.plot(
            at,
            earlier["share"],
            linestyle="none",
            marker="D",
            markersize=6,
            markerfacecolor="white",
            markeredgecolor=style.INK,
            label=before,
        )
        axes.legend(loc="upper left", fontsize=9)
        peaks = np.maximum(peaks, earlier["share"].fillna(0) + 0.01)
    for x, share, peak in zip(at, levels["share"], peaks, strict=True):
        label = style.percent(share, 0) if share == share else _("too few to show")
        axes.annotate(label, (x, peak), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xticks(at, [_wrapped(name) for name in levels["name"]])
    axes.set_ylim(0, float(peaks.max()) * 1.3)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel(_("share of answers"))
    axes.set_title(summary, fontsize=10)
    return drawing


def drivers(table: pd.DataFrame) -> Figure | None:
    """Share of explained satisfaction per item with 95 % interval; at the right the ranks it can have, score, target.

    `table` has columns name, share, low, high, score, target, rank (the last three texts). None without items.
    """
    if table.empty:
        return None
    rows = table.iloc[::-1].reset_index(drop=True)
    drawing, axes = style.figure(7.2, 1.1 + 0.42 * len(rows))
    at = np.arange(len(rows))
    axes.hlines(at, rows["low"], rows["high"], color=style.ACCENT, linewidth=2.2)
    axes.plot(rows["share"], at, linestyle="none", marker="o", markersize=6, color=style.ACCENT)
    axes.set_yticks(at, [style.plain(name, 34) for name in rows["name"]])
    axes.set_ylim(-0.6, len(rows) - 0.1)
    limit = float(rows["high"].max()) * 1.05
    axes.set_xlim(0, limit * 1.58)
    columns = ((1.18, "rank", _("rank"), style.INK), (1.36, "score", _("score"), style.INK))
    for place, column, head, color in (*columns, (1.54, "target", _("target"), style.MUTE)):
        for y, text in zip(map(float, at), rows[column], strict=True):
            axes.text(limit * place, y, text, ha="right", va="center", fontsize=9, color=color)
        axes.text(limit * place, len(rows) - 0.4, head, ha="right", fontsize=9, color=style.MUTE)
    axes.xaxis.set_major_formatter(_PERCENT)
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= limit * 1.01]
    axes.set_xticks(ticks)
    axes.set_xlabel(_("share of explained satisfaction"), loc="left")
    return drawing


def waves(table: pd.DataFrame, *, note: str = "") -> Figure | None:
    """Index and share on the top level of every wave with 95 % intervals, answers under each.

    `table` has columns name, n (text), index, index_low, index_high, top_box, top_low, top_high (0 to 1; missing where
    suppressed). The index stands on 0 to 100. None with fewer than two waves.
    """
    if len(table) < 2:
        return None
    drawing, axes = style.figure(7.2, 3.4)
    at = np.arange(len(table))
    series = (
        (_("index, 0 to 100"), "index", "index_low", "index_high", 1.0, "o", style.ACCENT),
        (_("top level, %"), "top_box", "top_low", "top_high", 100.0, "s", style.INK),
    )
    for name, middle, low, high, scale, marker, colour in series:
        axes.vlines(at, table[low] * scale, table[high] * scale, color=colour, linewidth=1.8)
        axes.plot(at, table[middle] * scale, color=colour, marker=marker, markersize=5, linewidth=1.1, label=name)
        for x, value, top in zip(at, table[middle] * scale, table[high] * scale, strict=True):
            if value == value:
                axes.annotate(style.number(value, 1), (x, top), xytext=(0, 4), textcoords="offset points", ha="center",
                              fontsize=9)  # fmt: skip
    axes.set_xticks(at, [f"{_wrapped(name, 9)}\nn {n}" for name, n in zip(table["name"], table["n"], strict=True)])
    axes.set_xlim(-0.4, len(table) - 0.6)
    axes.set_ylim(0, 100)
    axes.legend(loc="lower left", fontsize=9, ncols=2)
    axes.set_title(note, fontsize=10)
    return drawing


def promoters(table: pd.DataFrame, *, note: str = "") -> Figure | None:
    """Share of answers on every score from 0 to 10, detractors, passives and promoters apart, the score in the title.

    `table` has columns score, group, share (missing where suppressed). None without answers.
    """
    if table.empty or table["share"].isna().all():
        return None
    drawing, axes = style.figure(7.2, 2.9)
    groups = (("detractors", _("detractors"), style.BAD), ("passives", _("passives"), style.GREY))
    for key, name, colour in (*groups, ("promoters", _("promoters"), style.GOOD)):
        rows = table[table["group"] == key]
        axes.bar(rows["score"], rows["share"].fillna(0), width=0.7, color=colour, label=name)
    for score, share in zip(table["score"], table["share"], strict=True):
        label = style.percent(share, 0 if share >= 0.01 else 1) if share == share else "*"
        axes.annotate(label, (score, share if share == share else 0), xytext=(0, 3), textcoords="offset points",
                      ha="center", fontsize=9)  # fmt: skip
    axes.set_xticks(range(11))
    axes.set_ylim(0, float(table["share"].max()) * 1.2)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel(_("share of answers"))
    axes.legend(loc="upper left", fontsize=9)
    axes.set_title(note, fontsize=10)
    return drawing


def item_spread(table: pd.DataFrame) -> Figure | None:
    """The whole distribution of every item as one bar of 100 %, lowest level left, its mean at the right.

    `table` has columns name, place (0 is the lowest level), levels, share (missing where suppressed), mean (text, with
    its scale). What is suppressed of an item is one hatched gap at the lowest of its places. None without items.
    """
    if table.empty:
        return None
    names = list(dict.fromkeys(table["name"]))
    drawing, axes = style.figure(7.2, 1.5 + 0.36 * len(names))
    shades = _diverging()
    blank: dict[str, Any] = {"facecolor": "white", "edgecolor": style.GREY, "hatch": "////", "linewidth": 0.0}
    for row, name in enumerate(reversed(names)):
        bars, left = table[table["name"] == name], 0.0
        hidden = max(1 - float(bars["share"].sum()), 0.0) if bars["share"].isna().any() else 0.0
        for place, levels, share in zip(bars["place"], bars["levels"], bars["share"], strict=True):
            if share != share:
                axes.barh(row, hidden, left=left, height=0.66, **blank)
                left, hidden = left + hidden, 0.0
                continue
            width = share
            axes.barh(row, width, left=left, height=0.66, color=shades(place / max(levels - 1, 1)), edgecolor="white")
            if width >= 0.07:
                dark = place in (0, levels - 1)
                axes.text(left + width / 2, row, style.percent(width, 0), ha="center", va="center", fontsize=8,
                          color="white" if dark else style.INK)  # fmt: skip
            left += width
        axes.text(1.02, row, str(bars["mean"].iloc[0]), va="center", fontsize=9)
    axes.text(1.02, len(names) - 0.4, _("mean (scale)"), fontsize=9, color=style.MUTE)
    keys = [
        Patch(facecolor=shades(0.0), label=_("lowest level")),
        Patch(facecolor=shades(0.5), label=_("middle")),
        Patch(facecolor=shades(1.0), label=_("highest level")),
    ]
    if table["share"].isna().any():
        keys.append(Patch(**blank, label=_("too few to show")))
    axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=9, frameon=False)
    axes.set_yticks(range(len(names)), [style.plain(name, 34) for name in reversed(names)])
    axes.set_xlim(0, 1.24)
    axes.set_ylim(-0.6, len(names) - 0.1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(_PERCENT)
    axes.set_xlabel(_("share of answers"), loc="left")
    return drawing


def _diverging() -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("levels", [style.BAD, "#eceff1", style.ACCENT])


def service_gaps(table: pd.DataFrame, *, note: str = "") -> Figure | None:
    """Perception less expectation of every dimension with 95 % intervals; left of zero the service falls short.

    `table` has columns name, gap, low, high. None without dimensions.
    """
    if table.empty:
        return None
    rows = table.iloc[::-1].reset_index(drop=True)
    drawing, axes = style.figure(7.2, 1.3 + 0.42 * len(rows))
    at = np.arange(len(rows))
    axes.axvline(0, color=style.GREY, linewidth=1.0)
    axes.hlines(at, rows["low"], rows["high"], color=style.ACCENT, linewidth=2.2)
    axes.plot(rows["gap"], at, linestyle="none", marker="o", markersize=6, color=style.ACCENT)
    for y, gap in zip(map(float, at), rows["gap"], strict=True):
        axes.annotate(
            style.number(gap, 2), (gap, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=9
        )
    axes.set_yticks(at, [style.plain(name, 34) for name in rows["name"]])
    axes.set_ylim(-0.6, len(rows) - 0.3)
    axes.set_xlabel(_("perception less expectation, points of the scale"), loc="left")
    axes.set_title(note, fontsize=10)
    return drawing


def type_map(grids: list[dict[str, Any]], *, often: str) -> Figure | None:
    """Types of customers as four fields per grid: high attitude above, many payments at the right, darker who stayed.

    Each grid has `attitude` (what counts as high) and `frame`: name, share, kept (texts), rate (share that came back,
    missing where suppressed), rows in the order high and often, high and seldom, low and often, low and seldom. None
    without grids.
    """
    if not grids:
        return None
    drawing, axes = style.figure(3.7 * max(len(grids), 2), 3.7, ncols=max(len(grids), 2))
    panels: list[Any] = np.ravel(np.asarray(axes, dtype=object)).tolist()
    shades = LinearSegmentedColormap.from_list("kept", ["#f4f6f8", style.ACCENT])
    for panel, grid in zip(panels, grids, strict=False):
        for place, row in enumerate(grid["frame"].itertuples()):
            x, y = 1 - place % 2, 1 - place // 2
            known = row.rate == row.rate
            shade = shades(row.rate * 0.9) if known else (1.0, 1.0, 1.0)
            panel.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="white", lw=3))
            text = _("{name}\n{share} of all\n{kept} came back").format(name=row.name, share=row.share, kept=row.kept)
            panel.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=9, color=style.ink_on(shade))
        panel.set_xlim(0, 2)
        panel.set_ylim(0, 2)
        panel.set_xticks([0.5, 1.5], [_("less often"), _("often")])
        panel.set_yticks([0.5, 1.5], [_("below"), _("above")], rotation=90, va="center")
        panel.set_title(grid["attitude"], fontsize=10)
        panel.set_xlabel(textwrap.fill(often, 42), fontsize=9)
        panel.grid(visible=False)
    for panel in panels[len(grids) :]:
        panel.set_visible(False)
    return drawing


def smooth_link(curve: pd.DataFrame, *, xlabel: str, ylabel: str, note: str = "") -> Figure | None:
    """Loyalty along a long scale: spline with its 95 % band, answers as bars along the foot. None without a curve.

    `curve` has columns score, rate, low, high, n.
    """
    if curve.empty:
        return None
    drawing, axes = style.figure(7.2, 3.6)
    axes.fill_between(curve["score"], curve["low"], curve["high"], color=style.ACCENT, alpha=0.18, linewidth=0)
    axes.plot(curve["score"], curve["rate"], color=style.ACCENT, linewidth=1.8)
    top = float(curve["high"].max()) * 1.15
    width = float(curve["score"].iloc[1] - curve["score"].iloc[0]) * 0.8
    axes.bar(curve["score"], curve["n"] / curve["n"].max() * top * 0.12, width=width, color=style.GREY, alpha=0.5)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_xlabel(xlabel, loc="left")
    axes.set_ylabel(ylabel)
    axes.set_title(note, fontsize=10)
    return drawing


def penalty_reward(table: pd.DataFrame) -> Figure | None:
    """Penalty of a poor and reward of an excellent score per item, in points of overall satisfaction, 95 % intervals.

    `table` has columns name, penalty, reward, each with `_low` and `_high` (missing where too few), and kind. Items
    whose kind is undetermined are grey. None without items.
    """
    if table.empty:
        return None
    rows = table.iloc[::-1].reset_index(drop=True)
    drawing, axes = style.figure(7.2, 1.1 + 0.42 * len(rows))
    at = np.arange(len(rows))
    known = rows["kind"].ne("undetermined").to_numpy()
    for column, color, shift in (("penalty", style.BAD, 0.15), ("reward", style.GOOD, -0.15)):
        for chosen, shade in ((known, color), (~known, style.GREY)):
            part, y = rows[chosen], at[chosen] + shift
            axes.barh(y, part[column].fillna(0), height=0.28, color=shade, alpha=0.75)
            axes.hlines(y, part[f"{column}_low"], part[f"{column}_high"], color=style.INK, linewidth=1.4)
    axes.axvline(0, color=style.INK, linewidth=0.8)
    axes.set_yticks(at, [style.plain(name, 34) for name in rows["name"]])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    label = _("points of overall satisfaction: upper bar when poor, lower bar when excellent")
    axes.set_xlabel(label.replace(": ", ":\n", 1), loc="center")
    return drawing


def quadrants(table: pd.DataFrame) -> Figure | None:
    """Importance against distance to target: one axis at the stated targets, the other at an equal share per item.

    `table` has columns name, share, low, high, distance, distance_low, distance_high, even, known (False where an
    interval covers an axis: hollow). None without items that have a target.
    """
    if table.empty:
        return None
    drawing, axes = style.figure(7.2, 4.4)
    corners: list[Any] = []
    axes.axvline(0, color=style.MUTE, linewidth=1.0)
    axes.axhline(table["even"].iloc[0], color=style.MUTE, linewidth=1.0)
    axes.hlines(table["share"], table["distance_low"], table["distance_high"], color=style.GREY, linewidth=1.0)
    axes.vlines(table["distance"], table["low"], table["high"], color=style.GREY, linewidth=1.0)
    for x, y, known in zip(table["distance"], table["share"], table["known"], strict=True):
        color = style.BAD if known and x < 0 and y > table["even"].iloc[0] else style.ACCENT
        axes.plot(x, y, marker="o", markersize=7, markeredgecolor=color, markerfacecolor=color if known else "white")
    reach = max(float(table[["distance_low", "distance_high"]].abs().to_numpy().max()) * 1.25, 1.0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(0, float(table["high"].max()) * 1.12)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylabel(_("share of explained satisfaction"))
    axes.set_xlabel(_("score less target, points of 100"))
    for place, side, text in (
        (0.01, "left", _("important, below target")),
        (0.99, "right", _("important, target met")),
    ):
        corners.append(
            axes.text(place, 0.98, text, transform=axes.transAxes, ha=side, va="top", fontsize=9, color=style.MUTE)
        )
    for place, side, text in (
        (0.01, "left", _("less important, below target")),
        (0.99, "right", _("less important, target met")),
    ):
        corners.append(
            axes.text(place, 0.02, text, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=style.MUTE)
        )
    _label_apart(drawing, axes, table.sort_values("share", ascending=False, kind="stable"), corners)
    return drawing


def _label_apart(drawing: Figure, axes: Any, table: pd.DataFrame, taken: list[Any]) -> None:
    """Names beside their points, each at the first place around it that covers no other name and no point."""
    drawing.draw_without_rendering()
    points = axes.transData.transform(table[["distance", "share"]].to_numpy(float))
    boxes = [text.get_window_extent() for text in taken]
    boxes += [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in points]
    for x, y, name in zip(table["distance"], table["share"], table["name"], strict=True):
        label = axes.annotate(
            style.plain(name, 28),
            (x, y),
            xytext=(7, 5),
            textcoords="offset points",
            fontsize=9,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
        costs = []
        for place in _AROUND:
            costs.append((_overlap(_put(label, place), axes.get_window_extent(), boxes), place))
            if costs[-1][0] == 0:
                break
        boxes.append(_put(label, min(costs, key=lambda cost: cost[0])[1]))


def _put(label: Any, place: tuple[int, int]) -> Bbox:
    label.xyann = place
    label.set_ha("left" if place[0] > 0 else "right")
    return label.get_window_extent()


def _overlap(box: Bbox, inside: Bbox, others: list[Bbox]) -> float:
    """Area of `box` that lies outside `inside` or on any of the others."""
    met = [Bbox.intersection(box, other) for other in others]
    within = Bbox.intersection(box, inside)
    outside = box.width * box.height - (within.width * within.height if within else 0.0)
    return round(outside + sum(each.width * each.height for each in met if each is not None), 3)
