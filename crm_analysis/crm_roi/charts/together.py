"""Campaigns ranked by return, each drawn towards the mean of all as far as chance may explain it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ranking"]


def ranking(frame: pd.DataFrame) -> Figure | None:
    """Rows of name, roi, low, high, shrunk, shrunk_low, shrunk_high (ratios), weight, best first.

    None without two of them; the results alone where none is drawn towards the others (every weight 1).
    """
    if len(frame) < 2:  # noqa: PLR2004
        return None
    fig, ax = style.figure(7.2, 1.3 + 0.5 * len(frame))
    rows = np.arange(len(frame))[::-1].astype(float)
    drawn = frame["shrunk"].to_numpy(float)
    own = frame["roi"].to_numpy(float)
    both = bool((frame["weight"] < 1).any())
    if both:
        ax.hlines(rows + 0.14, frame["low"], frame["high"], color=style.GREY, lw=1.2)
        ax.plot(own, rows + 0.14, "o", mfc="white", mec=style.GREY, ms=6, label=_("its own result"))
    rows_of_best = rows - 0.14 if both else rows
    ax.hlines(rows_of_best, frame["shrunk_low"], frame["shrunk_high"], color=style.ACCENT, lw=2.5)
    ax.plot(drawn, rows_of_best, "o", color=style.ACCENT, ms=7, label=_("drawn towards all programmes"))
    ax.axvline(0, color=style.INK, lw=1)
    ax.set_yticks(rows, [style.plain(name, 28) for name in frame["name"]])
    ax.set_ylim(-0.6, len(frame) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda value, _position: style.percent(value, 0))
    ax.set_xlabel(_("return on cost, with 95 % interval"))
    if both:
        ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.6 / (0.4 + 0.5 * len(frame))), ncols=2, fontsize=9)
    return fig
