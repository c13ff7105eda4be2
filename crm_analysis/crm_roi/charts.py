"""Finished frames to figures. None where there is nothing to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plan_bars", "portfolio", "regression", "recovery", "waterfall"]

_VERDICT = {"earned": style.GOOD, "lost": style.BAD, "unknown": style.GREY}


def portfolio(dots: pd.DataFrame) -> Figure | None:
    """Return of each campaign with its interval; a campaign without a stated return keeps its row and says why."""
    stated = dots["roi"].notna()
    if not stated.any():
        return None
    fig, ax = style.figure(7.2, 1.1 + 0.5 * len(dots))
    rows = np.arange(len(dots))[::-1]
    ends = dots[["roi", "low", "high"]].to_numpy(float)
    left, right = min(np.nanmin(ends), 0.0), max(np.nanmax(ends), 0.0)
    room = 0.06 * (right - left)
    for row, item in zip(rows, dots.itertuples(index=False), strict=True):
        colour = _VERDICT[item.verdict]
        if item.roi != item.roi:
            ax.text(room, row, item.note, va="center", color=style.MUTE, fontsize=9)
            continue
        if item.low == item.low:
            ax.plot([item.low, item.high], [row, row], color=colour, lw=2.5, solid_capstyle="round")
        ax.plot(item.roi, row, "o", color=colour, ms=7)
        edge = item.high if item.high == item.high else item.roi
        ax.text(edge + room, row, item.note, va="center", color=style.MUTE, fontsize=8.5)
    ax.axvline(0, color=style.INK, lw=1)
    ax.set_yticks(rows, [style.plain(name, 28) for name in dots["name"]])
    ax.set_ylim(-0.6, len(dots) - 0.4)
    ax.set_xlim(left - room, right + 4 * room)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda value, _position: style.percent(value, 0))
    ax.set_xlabel(_("return on cost, with 95 % interval"))
    return fig


def waterfall(steps: pd.DataFrame, *, currency: str) -> Figure | None:
    """From what the programmes brought in to what was left."""
    if steps.empty:
        return None
    fig, ax = style.figure(7.2, 0.9 + 0.42 * len(steps))
    rows = np.arange(len(steps))[::-1]
    running = 0.0
    reach = []
    for row, item in zip(rows, steps.itertuples(index=False), strict=True):
        total = item.kind == "total"
        start = 0.0 if total else running
        running = item.value if total else running + item.value
        colour = style.INK if total else style.GOOD if item.value >= 0 else style.BAD
        ax.barh(row, running - start, left=start, height=0.62, color=colour)
        if not total and row > 0:
            ax.plot([running, running], [row - 0.31, row - 0.69], color=style.GREY, lw=0.8)
        reach += [start, running]
        ax.annotate(
            style.money(item.value, currency),
            (max(start, running), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=style.INK,
        )
    low, high = min(*reach, 0.0), max(*reach, 0.0)
    ax.set_xlim(low - 0.03 * (high - low), high + 0.2 * (high - low))
    ax.axvline(0, color=style.INK, lw=0.8)
    ax.set_yticks(rows, steps["label"])
    ax.tick_params(axis="y", length=0)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    return fig


def plan_bars(costs: pd.DataFrame, *, currency: str) -> Figure | None:
    """Actual cost beside the plan, with the part that nobody planned."""
    if costs.empty:
        return None
    fig, ax = style.figure(7.2, 1.0 + 0.62 * len(costs))
    rows = np.arange(len(costs))[::-1].astype(float)
    planned_part = costs["actual"] - costs["unplanned"]
    ax.barh(rows, planned_part, height=0.42, color=style.ACCENT, label=_("spent as planned for"))
    ax.barh(rows, costs["unplanned"], left=planned_part, height=0.42, color=style.BAD, label=_("nobody planned"))
    ax.vlines(costs["planned"], rows - 0.33, rows + 0.33, color=style.INK, lw=2, label=_("plan"))
    for row, item in zip(rows, costs.itertuples(index=False), strict=True):
        ax.annotate(
            style.money(item.actual, currency),
            (max(item.actual, item.planned), row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ax.set_yticks(rows, [style.plain(name, 28) for name in costs["name"]])
    ax.set_xlim(0, 1.18 * float(np.nanmax(costs[["planned", "actual"]].to_numpy(float))))
    ax.set_ylim(-0.6, len(costs) - 0.1)
    ax.tick_params(axis="y", length=0)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, 0.0), ncols=3, fontsize=9)
    return fig


def regression(bands: pd.DataFrame, *, currency: str) -> Figure | None:
    """Value before against value after, for bands of customers who were not on the list, and for the list."""
    if bands.empty or not (bands["group"] == "members").any():
        return None
    fig, ax = style.figure(5.6, 4.2)
    others, members = bands[bands["group"] == "others"], bands[bands["group"] == "members"]
    top = 1.05 * float(bands[["before", "after"]].to_numpy(float).max())
    ax.plot([0, top], [0, top], color=style.GREY, ls="--", lw=1)
    ax.plot(
        others["before"],
        others["after"],
        "o-",
        color=style.ACCENT,
        ms=5,
        lw=1,
        label=_("not on the list, by value before"),
    )
    ax.plot(members["before"], members["after"], "D", color=style.BAD, ms=8, label=_("on the list"))
    ax.text(0.97 * top, top, _("as before"), ha="right", va="bottom", fontsize=9, color=style.MUTE)
    ax.set_xlim(0, top)
    ax.set_ylim(0, 1.06 * top)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _position: style.money(value, currency))
        axis.set_major_locator(_few())
    ax.set_xlabel(_("margin per window, in the year before"))
    ax.set_ylabel(_("margin in the window"))
    ax.legend(loc="upper left", fontsize=9)
    return fig


def recovery(groups: pd.DataFrame) -> Figure | None:
    """Share of complainers who paid again, by how fast the complaint was resolved."""
    if groups.empty:
        return None
    fig, ax = style.figure(7.2, 1.0 + 0.5 * len(groups))
    rows = np.arange(len(groups))[::-1]
    ax.hlines(rows, groups["low"], groups["high"], color=style.ACCENT, lw=2.5)
    ax.plot(groups["share"], rows, "o", color=style.ACCENT, ms=7)
    ax.set_yticks(rows, groups["label"])
    ax.set_ylim(-0.6, len(groups) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda value, _position: style.percent(value, 0))
    ax.set_xlabel(_("paid again after the complaint, with 95 % interval"))
    return fig


def _few():  # noqa: ANN202 - a matplotlib locator
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)
