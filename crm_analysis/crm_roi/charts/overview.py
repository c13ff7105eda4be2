"""Return, money and associations of the campaigns of a period."""

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
        ax.text(1.01, row, item.note, va="center", color=style.MUTE, fontsize=9, transform=ax.get_yaxis_transform())
    ax.axvline(0, color=style.INK, lw=1)
    ax.set_yticks(rows, [style.plain(name, 28) for name in dots["name"]])
    ax.set_ylim(-0.6, len(dots) - 0.4)
    ax.set_xlim(left - room, right + room)
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
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            zorder=3,
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
    ax.barh(rows, planned_part, height=0.42, color=style.ACCENT, label=_("spent on planned lines"))
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


def regression(falls: pd.DataFrame, *, currency: str) -> Figure | None:
    """Margin per member before and after: the list, and as many best customers a year earlier without any programme."""
    if falls.empty:
        return None
    fig, ax = style.figure(6.4, 3.4)
    look = {
        "members": (style.BAD, "-", _("members of the programme")),
        "year_before": (style.GREY, "--", _("as many of the best, a year earlier, no programme")),
    }
    top = float(falls[["before", "after"]].to_numpy(float).max())
    for item in falls.itertuples(index=False):
        colour, line, label = look[item.group]
        ax.plot([0, 1], [item.before, item.after], line, marker="o", color=colour, lw=2, ms=7, label=label)
        for position, column, side in ((0, "before", "right"), (1, "after", "left")):
            value = getattr(item, column)
            gaps = value - falls.loc[falls["group"] != item.group, column]
            aside = 0 if (gaps.abs() > 0.08 * top).all() else 6 if (gaps > 0).all() else -6
            offset = (-9 if side == "right" else 9, aside)
            ax.annotate(
                style.money(value, currency),
                (position, value),
                xytext=offset,
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=9,
                color=colour,
            )
    ax.set_xlim(-0.45, 1.45)
    ax.set_ylim(0, 1.3 * top)
    ax.set_xticks([0, 1], [_("per window, in the year before"), _("in the window")])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper center", fontsize=9)
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
