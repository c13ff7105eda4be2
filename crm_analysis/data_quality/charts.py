"""The chapter's three figures, drawn from finished frames."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

_FEW_MONTHS = 3


def scorecard(frame: pd.DataFrame) -> Figure | None:
    """Passing share per dimension: now, a period ago, and the other branches as ticks.

    frame: dimension and text (finished), score, before (may be missing), and `branches`: a list of (name, score) pairs.
    None without any dimension.
    """
    if frame.empty:
        return None
    sheet, axes = style.figure(7.2, 0.62 * len(frame) + 1.1)
    for y, row in enumerate(frame.itertuples(index=False)):
        others = [score for _name, score in row.branches]
        axes.plot(others, [y] * len(others), "|", color=style.GREY, markersize=11, markeredgewidth=1.3, zorder=2)
        if others:
            name, lowest = min(row.branches, key=lambda pair: pair[1])
            if max(others) - lowest > 0.02:
                axes.annotate(
                    style.plain(name, 18),
                    (lowest, y),
                    xytext=(0, 9),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                    color=style.MUTE,
                )
        if not pd.isna(row.before):
            # larger, so that it is seen around the other where nothing changed
            axes.plot(
                [row.before], [y], "o", markerfacecolor="white", markeredgecolor=style.ACCENT, markersize=12, zorder=3
            )
        axes.plot([row.score], [y], "o", color=style.ACCENT, markersize=8, zorder=4)
        _beside(axes, y, row.text)
    lowest = min([*frame["score"], *frame["before"].dropna(), *(s for pairs in frame["branches"] for _n, s in pairs)])
    left = max(0.0, np.floor((lowest - 0.01) * 50) / 50)
    axes.set_xlim(left, 1.005)
    axes.set_ylim(len(frame) - 0.4, -0.7)
    axes.set_yticks(range(len(frame)), list(frame["dimension"]))
    axes.tick_params(length=0)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(_few_ticks())
    axes.xaxis.set_major_formatter(lambda x, _pos: f"{x * 100:.3g}{style.percent_sign()}" if x < 1.001 else "")
    axes.set_xlabel(_("share of checks passed (weighted)"))
    return sheet


def deliveries(months: pd.DataFrame) -> Figure | None:
    """Lines per month: bars for one branch, a heat map against each branch's own median for several.

    months: branch (finished name), month ("2026-05"), rows, covered. None with fewer than three months.
    """
    if months["month"].nunique() < _FEW_MONTHS:
        return None
    names = list(dict.fromkeys(months["branch"]))
    if len(names) == 1:
        return _bars(months)
    return _heat(months, names)


def _bars(months: pd.DataFrame) -> Figure:
    sheet, axes = style.figure(7.2, 2.9)
    x = np.arange(len(months))
    axes.bar(x, months["rows"], color=style.ACCENT, width=0.8)
    _mark_uncovered(axes, x[~months["covered"].to_numpy(dtype=bool)])
    _month_ticks(axes, list(months["month"]))
    axes.set_xlim(-0.6, len(months) - 0.4)
    axes.set_ylabel(_("lines in the month"))
    axes.yaxis.set_major_formatter(lambda value, _pos: style.number(value))
    axes.grid(axis="y")
    axes.tick_params(length=0)
    return sheet


def _mark_uncovered(axes: Axes, at: np.ndarray) -> None:
    if not len(at):
        return
    axes.axvspan(at[0] - 0.5, at[-1] + 0.5, facecolor="none", edgecolor=style.BAD, hatch="///", alpha=0.5, linewidth=0)
    axes.annotate(
        _("not delivered"),
        (at.mean(), 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color=style.BAD,
    )


def _heat(months: pd.DataFrame, names: list[str]) -> Figure:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    wide = months.pivot_table(index="branch", columns="month", values="rows", sort=False).reindex(names)
    wide = wide[sorted(wide.columns)]
    covered = months.pivot_table(index="branch", columns="month", values="covered", aggfunc="max", sort=False)
    covered = covered.reindex(index=names, columns=wide.columns).fillna(1).astype(bool)
    median = wide.where(covered).median(axis=1)
    ratio = wide.div(median.where(median > 0), axis=0)
    sheet, axes = style.figure(7.2, 0.36 * len(names) + 1.3)
    shades = LinearSegmentedColormap.from_list("house", ["#ffffff", "#9cc3f7", style.ACCENT, "#0b3d91"])
    picture = axes.imshow(ratio.to_numpy(dtype=float), aspect="auto", cmap=shades, vmin=0, vmax=2)
    for i, name in enumerate(names):
        missing = [j for j, month in enumerate(wide.columns) if not covered.loc[name, month]]
        for j in missing:
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="white", edgecolor=style.BAD, hatch="////", linewidth=0.6)
            )
    axes.set_yticks(range(len(names)), [style.plain(name, 24) for name in names])
    _month_ticks(axes, list(wide.columns))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = sheet.colorbar(picture, ax=axes, fraction=0.03, pad=0.02, ticks=[0, 1, 2])
    bar.outline.set_visible(False)
    bar.ax.set_yticklabels([_("none"), _("usual"), _("double")], fontsize=8)
    return sheet


def _month_ticks(axes: Axes, months: list[str]) -> None:
    step = max(1, round(len(months) / 12))
    step = next(choice for choice in (1, 2, 3, 6, 12, 24) if choice >= step or choice == 24)
    at = [i for i in range(len(months)) if (int(months[i][5:]) - 1) % step == 0]
    axes.set_xticks(at, [months[i] for i in at], rotation=45, ha="right", fontsize=8)


def footing(steps: pd.DataFrame) -> Figure | None:
    """From the lines in the files to the lines used: what each step takes away.

    steps: label (finished), rows (what is left or taken), kind ("total" or "loss"), in order. The axis does not start
    at zero, so totals are marks and only losses are bars. None when nothing is in the files.
    """
    if steps.empty or not steps["rows"].iloc[0]:
        return None
    sheet, axes = style.figure(7.2, 0.42 * len(steps) + 0.8)
    level = 0.0
    spots = []
    for row in steps.itertuples(index=False):
        if row.kind == "total":
            level = float(row.rows)
            spots.append((level, level))
        else:
            spots.append((level - float(row.rows), level))
            level -= float(row.rows)
    low, high = min(spot[0] for spot in spots), max(spot[1] for spot in spots)
    margin = max((high - low) * 0.12, high * 0.001)
    for y, (row, (left, right)) in enumerate(zip(steps.itertuples(index=False), spots, strict=True)):
        if row.kind == "total":
            axes.plot([right], [y], "|", color=style.INK, markersize=15, markeredgewidth=2.5)
        else:
            shade = style.BAD if row.kind == "loss" else style.WAIT
            axes.barh(y, right - left, left=left, height=0.55, color=shade, edgecolor=shade, linewidth=1)
        text = style.number(row.rows) if row.kind == "total" else f"−{style.number(row.rows)}"
        _beside(axes, y, text)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_yticks(range(len(steps)), [_wrapped(label) for label in steps["label"]])
    axes.xaxis.set_major_formatter(lambda value, _pos: style.number(value))
    axes.xaxis.set_major_locator(_few_ticks())
    axes.tick_params(length=0)
    axes.grid(axis="x")
    axes.set_xlabel(_("lines (the axis does not start at zero)"))
    return sheet


def _beside(axes: Axes, y: int, text: str) -> None:
    """A number at the right of its row."""
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=style.INK,
    )


def _wrapped(label: str) -> str:
    """A label on at most two short lines."""
    return textwrap.fill(style.plain(label.removesuffix("."), 64), 34)


def _few_ticks() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)
