"""Value by year of tenure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOM = 1.06  # of the furthest whiskers, so that they are drawn to their ends


def tenure_lines(years: pd.DataFrame, *, currency: str) -> Figure | None:
    """Mean margin a head by year of tenure, one line per way of looking.

    years: year, way (finished name), mean, low, high. None without rows.
    """
    import seaborn as sns

    if years.empty:
        return None
    sheet, axes = style.figure(7.2, 3.4)
    names = list(dict.fromkeys(years["way"]))
    colours = dict(zip(names, [style.GREY, style.GOOD, style.ACCENT], strict=False))
    shift = {name: 0.03 * (place - 1) for place, name in enumerate(names)}
    apart = years.assign(at=years["year"].astype(float) + years["way"].map(shift).astype(float))
    sns.lineplot(
        apart, x="at", y="mean", hue="way", style="way", ax=axes, palette=colours, markers=True, estimator=None
    )
    for name, own in apart.groupby("way"):
        reach = [own["mean"] - own["low"], own["high"] - own["mean"]]
        axes.errorbar(own["at"], own["mean"], yerr=reach, fmt="none", ecolor=colours[name], elinewidth=1.2, capsize=2)
    axes.set_xticks(sorted(years["year"].unique()))
    axes.set_ylim(ROOM * min(0.0, float(years["low"].min())), ROOM * float(years[["mean", "high"]].max(axis=None)))
    axes.yaxis.set_major_formatter(lambda value, _position: style.money(value, currency))
    axes.set_xlabel(_("year of tenure"))
    axes.set_ylabel(_("margin a head and year"))
    axes.legend(title=None, fontsize=9)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    return sheet
