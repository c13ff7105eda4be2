"""Qini curves and effects by value before, one panel per campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["effect_bands", "qini_curves"]


def qini_curves(curves: pd.DataFrame, *, currency: str) -> Figure | None:
    """Margin gained by treating the best so far, beside random order."""
    if curves.empty:
        return None
    names = list(pd.unique(curves["name"]))
    fig, panels = _panels(len(names))
    for ax, name in zip(panels, names, strict=True):
        mine = curves[curves["name"] == name]
        ax.fill_between(mine["targeted"], mine["low"], mine["high"], color=style.ACCENT, alpha=0.15, lw=0)
        ax.plot(mine["targeted"], mine["line"], "--", color=style.GREY, lw=1.5, label=_("random order"))
        ax.plot(mine["targeted"], mine["gain"], color=style.ACCENT, lw=2, label=_("most responsive first"))
        ax.axhline(0, color=style.INK, lw=0.8)
        ax.set_title(style.plain(name, 28), fontsize=10)
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
        ax.xaxis.set_major_formatter(lambda value, _position: style.percent(value, 0))
        ax.yaxis.set_major_formatter(lambda value, _position: style.money(value, currency))
        ax.set_xlabel(_("share of members treated"))
    panels[0].set_ylabel(_("margin gained per member"))
    panels[0].legend(loc="upper left", fontsize=9)
    return fig


def effect_bands(bands: pd.DataFrame, *, currency: str) -> Figure | None:
    """Effect by band of value before: plain with interval, shrunken where it is known, and the effect on all."""
    if bands.empty:
        return None
    names = list(pd.unique(bands["name"]))
    fig, panels = _panels(len(names))
    for ax, name in zip(panels, names, strict=True):
        mine = bands[bands["name"] == name]
        ax.axhline(0, color=style.INK, lw=0.8)
        ax.axhline(mine["all"].iloc[0], color=style.GREY, lw=1.5, ls="--", label=_("all together"))
        ax.vlines(mine["band"], mine["low"], mine["high"], color=style.ACCENT, lw=1.2, alpha=0.6)
        ax.plot(mine["band"], mine["value"], "o", color=style.ACCENT, mfc="white", ms=6, label=_("difference"))
        if mine["shrunk"].notna().any():
            ax.plot(mine["band"], mine["shrunk"], "o", color=style.ACCENT, ms=5, label=_("shrunken"))
        ax.set_title(style.plain(name, 28), fontsize=10)
        ax.set_xticks(range(1, int(mine["n_bands"].iloc[0]) + 1))
        ax.set_xlim(0.5, mine["n_bands"].iloc[0] + 0.5)
        ax.yaxis.set_major_formatter(lambda value, _position: style.money(value, currency))
        ax.set_xlabel(_("value before, lowest to highest"))
    panels[0].set_ylabel(_("margin per member"))
    named = max((ax.get_legend_handles_labels() for ax in panels), key=lambda drawn: len(drawn[1]))
    fig.legend(*named, loc="outside lower center", ncols=3, fontsize=9)
    return fig


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """A row of panels, one per campaign."""
    fig, axes = style.figure(max(4.6, 3.6 * n), 3.4, ncols=n, squeeze=False)
    return fig, list(np.ravel(np.asarray(axes, dtype=object)))
