"""How satisfied they are: distributions, waves, promoters, items, service gaps."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from crm_analysis import style
from crm_analysis.language import _

_BLANK: dict[str, Any] = {"facecolor": "white", "edgecolor": style.GREY, "hatch": "////", "linewidth": 0.0}
_ROOM, _ROOM_UPRIGHT = 0.07, 0.13  # the smallest share that has room for its number


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
        label = style.percent(share, 0) if share == share else _("withheld")
        axes.annotate(label, (x, peak), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xticks(at, [style.wrapped(name) for name in levels["name"]])
    axes.set_ylim(0, float(peaks.max()) * 1.3)
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.set_ylabel(_("share of answers"))
    axes.set_title(summary, fontsize=10)
    return drawing


def waves(table: pd.DataFrame, spread: pd.DataFrame, *, note: str = "") -> Figure | None:
    """Index and share on the top level of every wave with 95 % intervals; below, the whole distribution of each.

    `table` has columns name, n (text), index, index_low, index_high, top_box, top_low, top_high (0 to 1; missing where
    suppressed), `spread` the columns name, place (0 is the lowest level), levels, share (missing where suppressed). The
    index stands on 0 to 100. None with fewer than two waves.
    """
    if len(table) < 2:
        return None
    drawing, panels = style.figure(7.2, 5.0, nrows=2, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
    axes, below = cast("list[Any]", panels)
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
    axes.set_xlim(-0.5, len(table) - 0.5)
    axes.set_ylim(0, 100)
    axes.legend(loc="lower left", fontsize=9, ncols=2)
    axes.set_title(textwrap.fill(note, 72), fontsize=10)
    for column, name in enumerate(table["name"]):
        _stack(below, column, spread[spread["name"] == name], upright=True)
    names = [f"{style.wrapped(name, 9)}\nn {n}" for name, n in zip(table["name"], table["n"], strict=True)]
    below.set_xticks(at, names)
    below.set_ylim(0, 1)
    below.yaxis.set_major_formatter(style.percent_tick)
    below.set_ylabel(_("share of answers"))
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
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.set_ylabel(_("share of answers"))
    axes.legend(loc="upper left", fontsize=9)
    axes.set_title(textwrap.fill(note, 72), fontsize=10)
    return drawing


def spread(table: pd.DataFrame, *, head: str) -> Figure | None:
    """The whole distribution of every item, or group, as one bar of 100 %, lowest level left, its mean at the right.

    `table` has columns name, place (0 is the lowest level), levels, share (missing where suppressed), mean (text);
    `head` says what the mean is of. What is suppressed of a bar is one hatched gap at the lowest of its places. None
    without rows.
    """
    if table.empty:
        return None
    names = list(dict.fromkeys(table["name"]))
    drawing, axes = style.figure(7.2, 1.5 + 0.36 * len(names))
    for row, name in enumerate(reversed(names)):
        bars = table[table["name"] == name]
        _stack(axes, row, bars, upright=False)
        axes.text(1.02, row, str(bars["mean"].iloc[0]), va="center", fontsize=9)
    axes.text(1.02, len(names) - 0.4, head, fontsize=9, color=style.MUTE)
    shades = _diverging()
    keys = [
        Patch(facecolor=shades(0.0), label=_("lowest level")),
        Patch(facecolor=shades(0.5), label=_("middle")),
        Patch(facecolor=shades(1.0), label=_("highest level")),
    ]
    if table["share"].isna().any():
        keys.append(Patch(**_BLANK, label=_("withheld: would tell too few")))
    drawing.legend(handles=keys, loc="outside upper left", ncols=4, fontsize=9, frameon=False)
    axes.set_yticks(range(len(names)), [style.plain(name, 34) for name in reversed(names)])
    axes.set_xlim(0, 1.24)
    axes.set_ylim(-0.6, len(names) - 0.1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(style.percent_tick)
    axes.set_xlabel(_("share of answers"), loc="left")
    return drawing


def _stack(axes: Any, at: float, bars: pd.DataFrame, *, upright: bool) -> None:
    """One bar of 100 % at `at`, its parts in order of `place` with their shares written on them where there is room."""
    shades, start = _diverging(), 0.0
    hidden = max(1 - float(bars["share"].sum()), 0.0) if bars["share"].isna().any() else 0.0

    def draw(size: float, **look: Any) -> None:
        if upright:
            axes.bar(at, size, bottom=start, width=0.66, **look)
        else:
            axes.barh(at, size, left=start, height=0.66, **look)

    for place, levels, share in zip(bars["place"], bars["levels"], bars["share"], strict=True):
        if share != share:
            draw(hidden, **_BLANK)
            start, hidden = start + hidden, 0.0
            continue
        draw(share, color=shades(place / max(levels - 1, 1)), edgecolor="white")
        if share >= (_ROOM_UPRIGHT if upright else _ROOM):
            middle = start + share / 2
            axes.text(
                *((at, middle) if upright else (middle, at)),
                style.percent(share, 0),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if place in (0, levels - 1) else style.INK,
            )
        start += share


def _diverging() -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("levels", [style.BAD, "#eceff1", style.ACCENT])


def service_gaps(table: pd.DataFrame, *, note: str = "") -> Figure | None:
    """Perception less expectation of every dimension with 95 % intervals; left of zero the service falls short.

    `table` has columns name, gap, low, high, importance (text, at the right). None without dimensions.
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
    axes.set_ylim(-0.6, len(rows) - 0.1)
    if rows["importance"].ne("").any():
        for y, text in zip(map(float, at), rows["importance"], strict=True):
            axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
        axes.text(
            1.02, len(rows) - 0.4, _("points"), transform=axes.get_yaxis_transform(), fontsize=9, color=style.MUTE
        )
    axes.set_xlabel(_("perception less expectation, points of the scale"), loc="left")
    axes.set_title(textwrap.fill(note, 72), fontsize=10)
    return drawing


def answered_again(table: pd.DataFrame) -> Figure | None:
    """The same people's first and second answer, by where the first one lay: the ends come back to the middle.

    `table` has columns name, first, second (means), low, high (95 % interval of the second about the first). None with
    fewer than two groups.
    """
    if len(table) < 2:
        return None
    drawing, axes = style.figure(7.2, 3.0)
    ends = _apart(table["second"].to_numpy(float), float(np.ptp(table[["first", "second"]].to_numpy())) * 0.07)
    for row, end, colour in zip(table.itertuples(), ends, (style.BAD, style.GREY, style.ACCENT), strict=False):
        axes.plot([0, 1], [row.first, row.second], color=colour, marker="o", markersize=6, linewidth=1.6)
        axes.vlines(1, row.low, row.high, color=colour, linewidth=2.2)
        axes.annotate(f"{style.plain(row.name, 60)}:  {style.number(row.first, 1)}", (0, row.first), xytext=(-9, 0),
                      textcoords="offset points", ha="right", va="center", fontsize=9, color=colour)  # fmt: skip
        axes.annotate(style.number(row.second, 1), (1, end), xytext=(9, 0), textcoords="offset points", ha="left",
                      va="center", fontsize=9, color=colour)  # fmt: skip
    axes.set_xticks([0, 1], [_("first answer"), _("next answer")])
    axes.set_xlim(-1.1, 1.3)
    axes.set_ylabel(_("mean score"))
    axes.margins(y=0.15)
    return drawing


def _apart(heights: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Heights moved as little as it takes to keep them `least` apart, in their order."""
    order, moved = np.argsort(heights, kind="stable"), heights.copy()
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + least)
    return np.asarray(moved - (moved - heights).mean())
