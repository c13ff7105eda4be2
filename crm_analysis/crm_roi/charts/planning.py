"""What the next test could show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["power_curves"]

_ENOUGH = 0.8


def power_curves(curves: pd.DataFrame) -> Figure | None:
    """Chance of the verdict "earned" by true return, a line per share held out; the planned one is thick."""
    if curves.empty:
        return None
    fig, ax = style.figure(7.2, 3.8)
    right = float(curves["roi"].max())
    for (share, planned), part in curves.groupby(["holdout_share", "planned"]):
        colour = style.ACCENT if planned else style.GREY
        ax.plot(part["roi"], part["earned"], color=colour, lw=2.6 if planned else 1.3, zorder=3 if planned else 2)
        last = part.iloc[(part["earned"] - part["label_at"].iloc[0]).abs().argmin()]
        ax.annotate(
            _("{share} held out").format(share=style.percent(share, 0)) if planned else style.percent(share, 0),
            (last["roi"], last["earned"]),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            zorder=4,
        )
    ax.axhline(_ENOUGH, color=style.LINE, lw=1, zorder=1)
    ax.axvline(0, color=style.INK, lw=1, zorder=1)
    ax.annotate(
        _("break-even"),
        (0, 1.0),
        xytext=(-5, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color=style.MUTE,
    )
    ax.set_xlim(float(curves["roi"].min()), right)
    ax.set_ylim(0, 1.03)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _position: style.percent(value, 0))
    ax.set_xlabel(_("true return on cost"))
    ax.set_ylabel(_("chance of the verdict “earned”"))
    return fig
