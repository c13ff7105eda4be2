"""The margin around the line that lets customers into a best-customer campaign."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["around_the_line"]


def around_the_line(dots: pd.DataFrame | None, lines: pd.DataFrame | None, *, currency: str) -> Figure | None:
    """Means by distance from the line, and the two local fits that meet at it; `lines` is empty where none is drawn."""
    if dots is None or lines is None or dots.empty:
        return None
    fig, ax = style.figure(7.2, 3.8)
    for over, colour in ((False, style.GREY), (True, style.ACCENT)):
        mine = dots[(dots["position"] >= 0) == over]
        label = _("in") if over else _("not in")
        ax.scatter(mine["position"], mine["value"], s=np.sqrt(mine["n"]) * 6, color=colour, alpha=0.75, label=label)
        fit = lines[lines["over"] == over]
        ax.plot(fit["position"], fit["value"], color=colour, lw=2)
    ax.axvline(0, color=style.INK, lw=1, ls=":")
    reach = float(np.abs(dots["position"]).max())
    steps = [share for share in (0.1, 0.25, 0.5, 1, 2, 4, 10) if abs(math.log(share)) <= reach * 1.05]
    ax.set_xticks([math.log(share) for share in steps], [style.percent(share, 0) for share in steps])
    ax.yaxis.set_major_formatter(lambda value, _position: style.money(value, currency))
    ax.set_xlabel(_("value before, as a share of the line"))
    ax.set_ylabel(_("margin in the window"))
    ax.legend(loc="upper left", fontsize=9)
    return fig
