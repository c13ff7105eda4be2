"""Heat maps of cohorts by tenure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cohort_map(cells: pd.DataFrame, *, unit: str, money: bool = False) -> Figure | None:
    """A heat map: one row per cohort, one column per stretch of tenure; missing cells stay grey.

    cells: wide, index cohort (finished name), columns the number of the stretch. Values are shares, or
    `money` in the unit that the title names. `unit` is the finished word for the stretch. None without cells.
    """
    import seaborn as sns

    if cells.empty or cells.isna().all(axis=None):
        return None
    wide = cells.shape[1]
    sheet, axes = style.figure(7.2, 1.1 + 0.34 * len(cells))
    text = cells.map(lambda value: "" if value != value else _short(value, money=money))
    axes.set_facecolor(style.LINE)
    sns.heatmap(
        cells,
        ax=axes,
        annot=text,
        fmt="",
        cmap=sns.light_palette(style.ACCENT, as_cmap=True),
        vmin=0,
        cbar=False,
        linewidths=1,
        linecolor="white",
        annot_kws={"fontsize": 9.5 if wide < 14 else 8},  # noqa: PLR2004 - room in a cell
    )
    style.write_on_cells(axes)
    axes.set_xlabel(_("{unit} of tenure").format(unit=unit))
    axes.set_ylabel("")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelrotation=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    return sheet


def _short(value: float, *, money: bool) -> str:
    if money:
        return style.number(value, 0 if abs(value) >= 100 else 1)  # noqa: PLR2004 - three digits
    return style.number(value * 100, 0 if value >= 0.1 or value == 0 else 1)  # noqa: PLR2004 - ten per cent
