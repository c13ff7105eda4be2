"""What satisfaction hangs on: shares, penalties and rewards, importance against targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from crm_analysis import style
from crm_analysis.language import _

# offsets in points at which a name may stand beside its point, the first that is free taken
_AROUND = tuple((side * 7, up) for up in (5, -12, 16, -23, 28, -35) for side in (1, -1))


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
    axes.xaxis.set_major_formatter(style.percent_tick)
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= limit * 1.01]
    axes.set_xticks(ticks)
    axes.set_xlabel(_("share of explained satisfaction"), loc="left")
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
    taken: list[Any] = [
        axes.axvline(0, color=style.MUTE, linewidth=1.0),
        axes.axhline(table["even"].iloc[0], color=style.MUTE, linewidth=1.0),
    ]
    axes.hlines(table["share"], table["distance_low"], table["distance_high"], color=style.GREY, linewidth=1.0)
    axes.vlines(table["distance"], table["low"], table["high"], color=style.GREY, linewidth=1.0)
    for x, y, known in zip(table["distance"], table["share"], table["known"], strict=True):
        color = style.BAD if known and x < 0 and y > table["even"].iloc[0] else style.ACCENT
        axes.plot(x, y, marker="o", markersize=7, markeredgecolor=color, markerfacecolor=color if known else "white")
    reach = max(float(table[["distance_low", "distance_high"]].abs().to_numpy().max()) * 1.25, 1.0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(0, float(table["high"].max()) * 1.12)
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.set_ylabel(_("share of explained satisfaction"))
    axes.set_xlabel(_("score less target, points of 100"))
    for place, side, text in (
        (0.01, "left", _("important, below target")),
        (0.99, "right", _("important, target met")),
    ):
        taken.append(
            axes.text(place, 0.98, text, transform=axes.transAxes, ha=side, va="top", fontsize=9, color=style.MUTE)
        )
    for place, side, text in (
        (0.01, "left", _("less important, below target")),
        (0.99, "right", _("less important, target met")),
    ):
        taken.append(
            axes.text(place, 0.02, text, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=style.MUTE)
        )
    ordered = table.sort_values("share", ascending=False, kind="stable")
    _label_apart(drawing, axes, ordered["distance"], ordered["share"], ordered["name"], taken)
    return drawing


def performance(table: pd.DataFrame, *, xlabel: str, ylabel: str) -> Figure | None:
    """Importance of every block of the path model, with 95 % intervals, against its mean on 0 to 100.

    `table` has columns name, performance, importance, low, high. High and left comes first. None without blocks.
    """
    if table.empty:
        return None
    drawing, axes = style.figure(7.2, 3.8)
    nothing = axes.axhline(0, color=style.GREY, linewidth=1.0)
    axes.vlines(table["performance"], table["low"], table["high"], color=style.GREY, linewidth=1.4)
    axes.plot(table["performance"], table["importance"], linestyle="none", marker="o", markersize=7, color=style.ACCENT)
    axes.set_xlim(0, 100)
    low, high = min(float(table["low"].min()), 0.0), float(table["high"].max())
    axes.set_ylim(low - (high - low) * 0.05, high + (high - low) * 0.18)
    corners = [
        axes.text(x, 0.98, words, transform=axes.transAxes, ha=side, va="top", fontsize=9, color=style.MUTE)
        for x, side, words in (
            (0.01, "left", _("much effect, low: first")),
            (0.99, "right", _("much effect, high: keep")),
        )
    ]
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    _label_apart(drawing, axes, table["performance"], table["importance"], table["name"], [*corners, nothing])
    return drawing


def _label_apart(drawing: Figure, axes: Any, xs: pd.Series, ys: pd.Series, names: pd.Series, taken: list[Any]) -> None:
    """Names beside their points, each at the first place around it that covers no other name, no line and no point."""
    drawing.draw_without_rendering()
    points = axes.transData.transform(np.column_stack([xs, ys]))
    boxes = [each.get_window_extent().padded(2) for each in taken]  # a line alone has no area
    boxes += [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in points]
    for x, y, name in zip(xs, ys, names, strict=True):
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
