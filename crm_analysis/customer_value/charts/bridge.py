"""The waterfall from last year's value to this year's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def waterfall(steps: pd.DataFrame) -> Figure | None:
    """Horizontal waterfall, from top to bottom.

    steps: step (finished name), start, end, low, high (interval of the end; may be missing), label (finished text),
    kind (total, up, down). None without rows.
    """
    if steps.empty:
        return None
    sheet, axes = style.figure(7.2, 0.9 + 0.32 * len(steps))
    colours = steps["kind"].map({"total": style.ACCENT, "up": style.GOOD, "down": style.BAD})
    rows = range(len(steps))
    axes.barh(rows, steps["end"] - steps["start"], left=steps["start"], color=colours, height=0.62)
    sure = steps["low"].notna() & steps["high"].notna()
    at = [row for row, known in zip(rows, sure, strict=True) if known]
    if at:
        known = steps[sure]
        reach = [(known["end"] - known["low"]).clip(lower=0), (known["high"] - known["end"]).clip(lower=0)]
        axes.errorbar(known["end"], at, xerr=reach, fmt="none", ecolor=style.INK, elinewidth=1, capsize=2)
    for row in list(rows)[:-1]:
        axes.plot([steps["end"].iloc[row]] * 2, [row - 0.31, row + 1.31], color=style.GREY, linewidth=0.8)
    furthest = steps[["start", "end", "high"]].max(axis=1)
    span = float(furthest.max() - min(0.0, float(steps[["start", "end", "low"]].min().min())))
    for row, (right, label) in enumerate(zip(furthest, steps["label"], strict=True)):
        axes.text(right + 0.012 * span, row, label, va="center", fontsize=8.5, color=style.INK)
    axes.set_yticks(list(rows), list(steps["step"]))
    axes.set_xlim(right=float(furthest.max()) + 0.16 * span)
    axes.set_xticks([])
    axes.axvline(0, color=style.LINE, linewidth=1)
    axes.spines["bottom"].set_visible(False)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    return sheet
