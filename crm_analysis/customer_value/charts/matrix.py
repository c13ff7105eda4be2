"""The heat map of present value times future value."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 20  # letters on a line
FADE = 0.35  # power that lets small shares be told apart beside one that holds nearly all


def value_matrix(cells: pd.DataFrame, *, rows: list[str], columns: list[str]) -> Figure | None:
    """Heat map with the words of each cell in it.

    cells: present, future (finished names, in `rows` and `columns`), share (of the money; missing where it is not
    shown), label (finished text). None without cells.
    """
    import seaborn as sns

    if cells.empty:
        return None
    sheet, axes = style.figure(7.2, 0.78 * len(rows) + 0.9)
    grid = cells.pivot(index="present", columns="future", values="share").reindex(index=rows, columns=columns)
    label = cells.pivot(index="present", columns="future", values="label").reindex(index=rows, columns=columns)
    sns.heatmap(
        grid.clip(lower=0).fillna(0.0) ** FADE,
        annot=label.fillna(""),
        mask=label.isna(),
        fmt="",
        ax=axes,
        cmap=sns.light_palette(style.ACCENT, as_cmap=True),
        vmin=0,
        vmax=1.35,
        cbar=False,
        linewidths=2,
        linecolor="white",
        annot_kws={"fontsize": 9.5, "color": style.INK},
    )
    axes.set_xlabel(_("future value: expected over the months ahead, after the cost to serve"), labelpad=10)
    axes.set_ylabel(_("present value: the last twelve months"), labelpad=8)
    axes.xaxis.set_ticks_position("top")
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.set_yticklabels([fill(name, WIDTH) for name in rows], rotation=0, fontsize=9)
    axes.set_xticklabels([fill(name, WIDTH) for name in columns], fontsize=9)
    return sheet
