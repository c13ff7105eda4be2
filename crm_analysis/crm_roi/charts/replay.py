"""How often the tests cry wolf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["false_alarms"]

_PROMISED = 0.05


def false_alarms(rates: pd.DataFrame) -> Figure | None:
    """Share of false alarms of each test with its interval, beside the five per cent that it promises."""
    if rates.empty:
        return None
    fig, ax = style.figure(7.2, 1.0 + 0.42 * len(rates))
    rows = np.arange(len(rates))[::-1]
    for row, item in zip(rows, rates.itertuples(index=False), strict=True):
        colour = style.ACCENT if item.kept else style.BAD
        ax.plot([item.low, item.high], [row, row], color=colour, lw=2.5, solid_capstyle="round")
        ax.plot(item.share, row, "o", color=colour, ms=7)
    ax.axvline(_PROMISED, color=style.INK, lw=1)
    ax.set_yticks(rows, rates["label"])
    ax.set_ylim(-0.6, len(rates) - 0.4)
    ax.set_xlim(0, max(0.1, 1.1 * float(rates["high"].max())))
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda value, _position: style.percent(value, 0))
    ax.set_xlabel(_("found an effect where there was none; the line is the promised 5 %"))
    return fig
