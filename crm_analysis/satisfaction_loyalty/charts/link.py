"""Satisfaction and loyalty: the curve by level, and the smooth curve along a long scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crm_analysis import style


def link_curve(curve: pd.DataFrame, *, ylabel: str, note: str = "") -> Figure | None:
    """Loyalty by level: dots with 95 % intervals, counts under each level, and the dashed straight line.

    `curve` has columns name, rate, low, high, isotonic (missing where suppressed), n, line, label (the rate as text)
    and thin (drawn hollow); `ylabel` says what the rate is of. Heights are shares of customers, not of revenue. None
    when there are fewer than two levels.
    """
    if len(curve) < 2:
        return None
    drawing, axes = style.figure(7.2, 4.0)
    at = np.arange(len(curve))
    axes.plot(at, curve["line"], linestyle=(0, (4, 4)), color=style.GREY, linewidth=1.0)
    axes.vlines(at, curve["low"], curve["high"], color=style.ACCENT, linewidth=2.2)
    axes.plot(at, curve["isotonic"], color=style.ACCENT, linewidth=1.2)
    for chosen, face in ((~curve["thin"], style.ACCENT), (curve["thin"], "white")):
        axes.plot(at[chosen], curve["rate"][chosen], color=style.ACCENT, linestyle="none", marker="o", markersize=6,
                  markerfacecolor=face)  # fmt: skip
    for x, high, label in zip(at, curve["high"], curve["label"], strict=True):
        axes.annotate(
            label,
            (x, high if high == high else 0.0),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    names = [f"n {n}\n{style.wrapped(name)}" for n, name in zip(curve["n"], curve["name"], strict=True)]
    axes.set_xticks(at, names)
    axes.set_xlim(-0.45, len(curve) - 0.55)
    axes.set_ylim(0, max(float(curve["high"].fillna(0).max()) * 1.15, 0.02))
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.set_ylabel(ylabel)
    axes.set_title(note, fontsize=10)
    return drawing


def smooth_link(curve: pd.DataFrame, *, xlabel: str, ylabel: str, note: str = "") -> Figure | None:
    """Loyalty along a long scale: spline with its 95 % band, answers as bars along the foot. None without a curve.

    `curve` has columns score, rate, low, high, n.
    """
    if curve.empty:
        return None
    drawing, axes = style.figure(7.2, 3.6)
    axes.fill_between(curve["score"], curve["low"], curve["high"], color=style.ACCENT, alpha=0.18, linewidth=0)
    axes.plot(curve["score"], curve["rate"], color=style.ACCENT, linewidth=1.8)
    top = float(curve["high"].max()) * 1.15
    width = float(curve["score"].iloc[1] - curve["score"].iloc[0]) * 0.8
    axes.bar(curve["score"], curve["n"] / curve["n"].max() * top * 0.12, width=width, color=style.GREY, alpha=0.5)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.set_xlabel(xlabel, loc="left")
    axes.set_ylabel(ylabel)
    axes.set_title(note, fontsize=10)
    return drawing
