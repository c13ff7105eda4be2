"""Margin gained for each unit of cost, by kind of reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["reward_kinds"]


def reward_kinds(bars: pd.DataFrame) -> Figure | None:
    """One row per campaign under its kind; the line is where a unit of cost brings a unit of margin."""
    if bars.empty:
        return None
    fig, ax = style.figure(7.2, 1.1 + 0.45 * len(bars))
    rows = np.arange(len(bars))[::-1]
    for row, item in zip(rows, bars.itertuples(index=False), strict=True):
        colour, size, width = (style.INK, 8, 3.0) if item.pooled else (style.ACCENT, 6, 1.8)
        ax.plot([item.low, item.high], [row, row], color=colour, lw=width, solid_capstyle="round")
        ax.plot(item.gained, row, "D" if item.pooled else "o", color=colour, ms=size)
    ax.axvline(1, color=style.INK, lw=1)
    ax.axvline(0, color=style.LINE, lw=1)
    ax.set_yticks(rows, bars["label"])
    for label, pooled in zip(ax.get_yticklabels(), bars["pooled"], strict=True):
        label.set_fontweight("bold" if pooled else "normal")
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.6, len(bars) - 0.4)
    ax.xaxis.set_major_formatter(lambda value, _position: style.number(value, 1))
    ax.set_xlabel(_("margin gained for each unit of cost, with 95 % interval"))
    return fig
