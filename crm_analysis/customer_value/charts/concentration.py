"""The Lorenz curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_POINTS = 3


def lorenz(curve: pd.DataFrame, *, who: str) -> Figure | None:
    """Share of margin by share of customers, the smallest first, against equal shares.

    curve: share_of_customers, share_of_margin; `who` is the word for customers. None with fewer than three points.
    """
    import seaborn as sns

    if len(curve) < MIN_POINTS:
        return None
    sheet, axes = style.figure(5.2, 4.2)
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    sns.lineplot(curve, x="share_of_customers", y="share_of_margin", ax=axes, color=style.ACCENT, estimator=None)
    axes.fill_between(
        curve["share_of_customers"],
        curve["share_of_customers"],
        curve["share_of_margin"],
        color=style.ACCENT,
        alpha=0.1,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _position: f"{value * 100:.0f} %")
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 < tick <= 1])  # the corner is labelled once
    axes.set_xlabel(_("share of {customers}, the smallest margin first").format(customers=who))
    axes.set_ylabel(_("share of margin, cumulated"))
    axes.grid(axis="y")
    axes.tick_params(length=0)
    return sheet
