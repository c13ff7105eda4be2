"""Programmes without control: every method's estimate, also when nothing happened, and the windows before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["estimates", "trends"]

_KINDS = ("campaign", "window", "year")
_STEP = 0.24


def estimates(bars: pd.DataFrame, *, currency: str) -> Figure | None:
    """One panel per programme, a row per method: the estimate in the window, and those of dates without programme."""
    if bars.empty:
        return None
    names = list(dict.fromkeys(bars["programme"]))
    methods = bars.drop_duplicates("method")
    fig, axes = _panels(len(names), 0.7 + (0.5 + 0.52 * len(methods)) * len(names))
    labels = {
        "campaign": _("the programme's window"),
        "window": _("one window earlier"),
        "year": _("a year earlier"),
    }
    look = {"campaign": ("o", style.ACCENT, True), "window": ("s", style.GREY, False), "year": ("D", style.WAIT, False)}
    for ax, name in zip(axes, names, strict=True):
        own = bars[bars["programme"] == name]
        for turn, kind in enumerate(_KINDS):
            marker, colour, filled = look[kind]
            mine = own[own["kind"] == kind].set_index("method")
            rows = [len(methods) - 1 - i for i, code in enumerate(methods["method"]) if code in mine.index]
            mine = mine.reindex([code for code in methods["method"] if code in mine.index])
            if mine.empty:
                continue
            at = np.array(rows) + (1 - turn) * _STEP
            ax.hlines(at, mine["low"], mine["high"], color=colour, lw=1.8)
            face = colour if filled else "white"
            ax.plot(mine["estimate"], at, marker, color=colour, mfc=face, ms=6, label=labels[kind], zorder=3)
        ax.set_yticks(range(len(methods) - 1, -1, -1), methods["label"])
        ax.set_ylim(-0.6, len(methods) - 0.4)
        ax.tick_params(axis="y", length=0)
        _against_zero(ax, currency, vertical=True)
        if len(names) > 1:
            ax.set_title(style.plain(name))
    handles, texts = axes[0].get_legend_handles_labels()
    fig.legend(handles, texts, loc="outside lower center", ncols=3, fontsize=9)
    axes[-1].set_xlabel(_("margin per member and window, with 95 % interval"))
    return fig


def trends(points: pd.DataFrame, *, currency: str) -> Figure | None:
    """One panel per programme: list less others by window, against the window just before."""
    if points.empty:
        return None
    names = list(dict.fromkeys(points["programme"]))
    fig, axes = _panels(len(names), 0.6 + 2.5 * len(names))
    for ax, name in zip(axes, names, strict=True):
        own = points[points["programme"] == name]
        for part, colour in ((own[own["window"] < 0], style.GREY), (own[own["window"] == 0], style.ACCENT)):
            stated = part[part["low"].notna()]
            ax.vlines(stated["window"], stated["low"], stated["high"], color=colour, lw=2)
            ax.plot(part["window"], part["estimate"], "o", color=colour, ms=6)
        ax.axvline(-0.5, color=style.INK, lw=1, ls=":")
        ax.set_xticks(list(own["window"]), [_("programme") if w == 0 else f"{-w}" for w in own["window"]])
        ax.set_xlim(own["window"].min() - 0.5, 0.5)
        _against_zero(ax, currency, vertical=False)
        ax.set_ylabel(_("margin per member, list less others"))
        if len(names) > 1:
            ax.set_title(style.plain(name))
    axes[-1].set_xlabel(_("windows before the programme, the one just before being zero by definition"))
    return fig


def _panels(n: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with `n` axes below each other."""
    axes: Any
    fig, axes = style.figure(7.2, height, nrows=n, squeeze=False)
    return fig, list(axes[:, 0])


def _against_zero(ax: Axes, currency: str, *, vertical: bool) -> None:
    """The line of no difference, and few money ticks."""
    axis = ax.xaxis if vertical else ax.yaxis
    (ax.axvline if vertical else ax.axhline)(0, color=style.INK, lw=1)
    ax.locator_params(axis="x" if vertical else "y", nbins=5)
    axis.set_major_formatter(lambda value, _position: style.money(value, currency))
