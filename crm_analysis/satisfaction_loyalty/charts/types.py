"""Types of customers as fields."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crm_analysis import style
from crm_analysis.language import _


def type_map(grids: list[dict[str, Any]], *, often: str) -> Figure | None:
    """Types of customers as four fields per grid: high attitude above, many payments at the right, darker who stayed.

    Each grid has `attitude` (what counts as high) and `frame`: name, share, kept (texts), rate (share that came back,
    missing where suppressed), rows in the order high and often, high and seldom, low and often, low and seldom. None
    without grids.
    """
    if not grids:
        return None
    drawing, axes = style.figure(3.7 * max(len(grids), 2), 3.7, ncols=max(len(grids), 2))
    panels: list[Any] = np.ravel(np.asarray(axes, dtype=object)).tolist()
    shades = LinearSegmentedColormap.from_list("kept", ["#f4f6f8", style.ACCENT])
    for panel, grid in zip(panels, grids, strict=False):
        for place, row in enumerate(grid["frame"].itertuples()):
            x, y = 1 - place % 2, 1 - place // 2
            known = row.rate == row.rate
            shade = shades(row.rate * 0.9) if known else (1.0, 1.0, 1.0)
            panel.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="white", lw=3))
            text = _("{name}\n{share} of all\n{kept} came back").format(name=row.name, share=row.share, kept=row.kept)
            panel.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=9, color=style.ink_on(shade))
        panel.set_xlim(0, 2)
        panel.set_ylim(0, 2)
        panel.set_xticks([0.5, 1.5], [_("less often"), _("often")])
        panel.set_yticks([0.5, 1.5], [_("below"), _("above")], rotation=90, va="center")
        panel.set_title(grid["attitude"], fontsize=10)
        panel.set_xlabel(textwrap.fill(often, 42), fontsize=9)
        panel.grid(visible=False)
    for panel in panels[len(grids) :]:
        panel.set_visible(False)
    return drawing
