"""Where the members of each group went, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIDDEN = "#d5dae1"


def migration(shares: pd.DataFrame) -> Figure | None:
    """Share of each row's group (before) that is in each column's group (now).

    shares: one row per group before and one column per group now, finished names, shares of the row; a missing share
    is drawn grey. None without groups.
    """
    import seaborn as sns

    if shares.empty:
        return None
    n_rows, n_columns = shares.shape
    sheet, axes = style.figure(7.2, 0.42 * n_rows + 1.9)
    axes.set_facecolor(HIDDEN)
    sns.heatmap(
        shares,
        ax=axes,
        cmap=sns.light_palette(style.ACCENT, as_cmap=True),
        vmin=0,
        vmax=1,
        cbar=False,
        linewidths=1.5,
        linecolor="white",
    )
    for i in range(n_rows):
        for j in range(n_columns):
            share = float(shares.iat[i, j])
            if share != share or share == 0:
                continue
            text = "<1" if share < 0.005 else f"{share * 100:.0f}"  # noqa: PLR2004 - rounds to nothing
            axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=9)
    style.write_on_cells(axes)
    axes.set_xlabel(_("group now; % of the row"))
    axes.set_ylabel(_("group before"))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xticks(axes.get_xticks(), shares.columns, rotation=30, ha="left", rotation_mode="anchor", fontsize=8.5)
    axes.set_yticks(axes.get_yticks(), shares.index, rotation=0, fontsize=8.5)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return sheet
