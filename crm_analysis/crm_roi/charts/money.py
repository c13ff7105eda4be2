"""Money over time and what it rests on: running totals with bands, and tornado."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cash_curves", "programme_curve", "tornado"]

_NEAR_ZERO = 0.06
"""Of the axis: nearer to zero than this a label is written off the line."""


def cash_curves(curves: pd.DataFrame, *, currency: str) -> Figure | None:
    """The running total of each programme by month from its start, one panel each on one scale."""
    if curves.empty:
        return None
    names = list(dict.fromkeys(curves["name"]))
    n_rows, n_columns = math.ceil(len(names) / 2), min(len(names), 2)
    fig, _grid = style.figure(
        max(3.6 * n_columns, 4.4), 3.0 * n_rows, nrows=n_rows, ncols=n_columns, sharey=True, squeeze=False
    )
    reach = float(curves["high"].max() - curves["low"].min())
    for ax, name in zip(fig.axes, names, strict=False):
        mine = curves[curves["name"] == name]
        end = float(mine["total"].iloc[-1])
        low, high = float(mine["low"].iloc[-1]), float(mine["high"].iloc[-1])
        colour = style.GOOD if low > 0 else style.BAD if high < 0 else style.GREY
        ax.fill_between(mine["month"], mine["low"], mine["high"], color=colour, alpha=0.18, lw=0)
        ax.plot(mine["month"], mine["total"], "-o", color=colour, ms=5, lw=2)
        ax.axhline(0, color=style.INK, lw=0.8)
        _name_end(ax, float(mine["month"].iloc[-1]), end, reach=reach, currency=currency, colour=colour)
        ax.set_title(style.plain(name, 34), fontsize=10)
        ax.set_xticks(mine["month"])
        ax.set_xlim(-0.1, float(mine["month"].max()) * 1.32)
        ax.set_xlabel(_("months from the start"))
    for ax in fig.axes[len(names) :]:
        ax.set_visible(False)
    _money_axis(fig.axes, currency)
    for ax in fig.axes[:: min(len(names), 2)]:
        ax.set_ylabel(_("margin gained less cost so far"))
    return fig


def programme_curve(curve: pd.DataFrame, *, currency: str) -> Figure | None:
    """The running total of all programmes and their systems by calendar month."""
    if curve.empty:
        return None
    fig, ax = style.figure(7.2, 3.2)
    day = pd.to_datetime(curve["month"])
    end, high, low = (float(curve[name].iloc[-1]) for name in ("total", "high", "low"))
    colour = style.GOOD if low > 0 else style.BAD if high < 0 else style.GREY
    ax.fill_between(day, curve["low"], curve["high"], color=colour, alpha=0.18, lw=0)
    ax.plot(day, curve["total"], color=colour, lw=2)
    ax.axhline(0, color=style.INK, lw=0.8)
    reach = float(curve["high"].max() - curve["low"].min())
    _name_end(ax, day.iloc[-1], end, reach=reach, currency=currency, colour=colour)
    span = day.iloc[-1] - day.iloc[0]
    ax.set_xlim(day.iloc[0], day.iloc[-1] + 0.18 * span)
    # Six months named at most, the first and the last among them.
    chosen = sorted({*range(0, len(day), max(1, math.ceil(len(day) / 6)))})
    ax.set_xticks([day.iloc[i] for i in chosen], [f"{day.iloc[i]:%Y-%m}" for i in chosen])
    _money_axis([ax], currency)
    ax.set_ylabel(_("margin gained less cost so far"))
    return fig


def _name_end(ax: Axes, x: Any, end: float, *, reach: float, currency: str, colour: str) -> None:
    """The last amount of a running total beside its point, above or below the line of zero where it would meet it."""
    aside = 0 if abs(end) > _NEAR_ZERO * reach else 10 if end >= 0 else -10
    ax.annotate(
        style.money(end, currency),
        (x, end),
        xytext=(6, aside),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=colour,
    )


def tornado(bars: pd.DataFrame, *, currency: str) -> Figure | None:
    """Present value with each assumption at either end, widest first, one panel per programme, each on its scale."""
    if bars.empty:
        return None
    names = list(dict.fromkeys(bars["name"]))
    most = [int((bars["name"] == name).sum()) for name in names]
    fig, _grid = style.figure(
        7.6, 0.8 * len(names) + 0.3 * sum(most), nrows=len(names), squeeze=False, gridspec_kw={"height_ratios": most}
    )
    for ax, name in zip(fig.axes, names, strict=True):
        _tornado_panel(ax, bars[bars["name"] == name], currency)
    fig.axes[-1].set_xlabel(_("present value"))
    return fig


def _tornado_panel(ax: Axes, bars: pd.DataFrame, currency: str) -> None:
    base = float(bars["base"].iloc[0])
    ends = bars[["at_low", "at_high"]].to_numpy(float)
    left, right = min(float(ends.min()), 0.0), max(float(ends.max()), 0.0)
    for row, (low, high) in zip(np.arange(len(bars))[::-1], np.sort(ends, axis=1), strict=True):
        ax.barh(row, min(base, high) - low, left=low, height=0.6, color=style.BAD, alpha=0.75)
        ax.barh(row, high - max(base, low), left=max(base, low), height=0.6, color=style.GOOD, alpha=0.75)
        said = style.interval(float(low), float(high), "money", currency)
        ax.text(1.02, row, said, va="center", fontsize=9, color=style.MUTE, transform=ax.get_yaxis_transform())
    ax.axvline(base, color=style.INK, lw=2)
    ax.axvline(0, color=style.INK, lw=0.8)
    ax.set_yticks(np.arange(len(bars))[::-1], bars["label"])
    ax.set_ylim(-0.6, len(bars) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(left - 0.04 * (right - left), right + 0.04 * (right - left))
    ax.set_xticks([0], [style.money(0, currency)])
    ax.set_title(f"{style.plain(bars['name'].iloc[0], 40)}: {style.money(base, currency)}", fontsize=10)


def _money_axis(axes: list[Axes], currency: str) -> None:
    for ax in axes:
        ax.yaxis.set_major_formatter(lambda value, _position: style.money(value, currency))
        ax.locator_params(axis="y", nbins=6)
