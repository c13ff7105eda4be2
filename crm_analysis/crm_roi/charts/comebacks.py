"""How a win-back list, its held-out members and others as silent came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["comebacks"]


def comebacks(groups: pd.DataFrame, *, currency: str) -> Figure | None:
    """Margin per person in as long a time before the start and in the window, with the interval of the latter."""
    if groups.empty:
        return None
    fig, ax = style.figure(6.8, 3.6)
    look = {
        "treated": (style.BAD, "-", _("called")),
        "held_out": (style.ACCENT, "-", _("on the list, held out")),
        "others": (style.GREY, "--", _("as silent, not on the list")),
    }
    for shift, item in enumerate(groups.itertuples(index=False)):
        colour, line, label = look[item.group]
        x = 1 + 0.05 * (shift - 1)
        ax.plot([0, x], [item.before, item.after], line, marker="o", color=colour, lw=2, ms=6, label=label)
        ax.vlines(x, item.low, item.high, color=colour, lw=1.5, alpha=0.6)
    ax.set_xlim(-0.2, 1.3)
    ax.set_ylim(bottom=min(0.0, float(groups[["before", "low"]].min().min())))
    ax.set_xticks([0, 1], [_("as long before"), _("in the window")])
    ax.yaxis.set_major_formatter(lambda value, _position: style.money(value, currency))
    ax.set_ylabel(_("margin per person"))
    ax.legend(loc="upper left", fontsize=9)
    return fig
