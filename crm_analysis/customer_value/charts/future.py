"""Forecasts over time, expected value by frequency and recency, and how long commitments last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_MONTHS = 6
MIN_CELLS = 4
TICKS = 4


def tracking(months: pd.DataFrame, *, each: str = "") -> Figure | None:
    """Repeat purchases by month or week (`each` is the panel's title) and cumulated: what took place, the forecast and
    its interval.

    months: month (timestamp), actual, expected, low, high, the same with `_so_far`, hidden (bool); the oldest first.
    None with fewer than six months.
    """
    import seaborn as sns

    if len(months) < MIN_MONTHS:
        return None
    sheet, _unused = style.figure(7.2, 3.2)
    sheet.clear()
    axes = sheet.subplots(1, 2)
    border = months.loc[~months["hidden"].astype(bool), "month"].max()
    for panel, suffix, title in ((axes[0], "", each or _("each month")), (axes[1], "_so_far", _("cumulated"))):
        panel.fill_between(
            months["month"],
            months[f"low{suffix}"].astype(float),
            months[f"high{suffix}"].astype(float),
            color=style.ACCENT,
            alpha=0.18,
            linewidth=0,
        )
        for column, colour, name, width in (
            (f"expected{suffix}", style.ACCENT, _("foreseen"), 1.6),
            (f"actual{suffix}", style.INK, _("took place"), 1.2),
        ):
            sns.lineplot(
                x=months["month"], y=months[column].astype(float), ax=panel, color=colour, label=name,
                linewidth=width, estimator=None,
            )  # fmt: skip
        if not pd.isna(border):
            panel.axvline(border, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
        panel.set_ylim(bottom=0)
        panel.set_title(title, fontsize=9.5, loc="left")
        panel.set_xlabel("")
        panel.set_ylabel("")
        ticks = months["month"].iloc[:: max(len(months) // TICKS, 1)]
        panel.set_xticks(ticks, [day.strftime("%Y-%m") for day in ticks])
        panel.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
        panel.grid(axis="y")
        panel.tick_params(length=0, labelsize=8)
        panel.legend().set_visible(False)
    axes[0].legend(title=None, fontsize=8.5, loc="lower right")
    axes[0].set_ylabel(_("number of repeats"))
    return sheet


def value_map(means: pd.DataFrame, *, currency: str) -> Figure | None:
    """Heat map of the mean expected value: repeat purchases (rows) by months of silence (columns), missing cells blank.

    None with fewer than four cells.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    if means.size < MIN_CELLS or means.notna().sum().sum() < MIN_CELLS:
        return None
    sheet, axes = style.figure(7.2, 0.9 + 0.42 * len(means))
    labels = means.map(lambda value: style.money(value, currency) if value == value else "")
    sns.heatmap(
        means.astype(float),
        annot=labels,
        fmt="",
        ax=axes,
        cmap=plt.get_cmap("Blues"),
        cbar=False,
        linewidths=1,
        linecolor="white",
        annot_kws={"fontsize": 8.5},
        vmin=0,
    )
    style.write_on_cells(axes)
    axes.set_xlabel(_("months of silence"))
    axes.set_ylabel(_("number of repeats"))
    axes.tick_params(length=0)
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    return sheet


def survival(curve: pd.DataFrame) -> Figure | None:
    """Share of commitments still kept by number of renewals: as counted, with interval, and by the model.

    curve: renewals, counted, low, high, model (missing without one). None with fewer than three renewals.
    """
    import seaborn as sns

    if len(curve) < 3:
        return None
    sheet, axes = style.figure(7.2, 3.2)
    axes.fill_between(
        curve["renewals"], curve["low"], curve["high"], color=style.GREY, alpha=0.35, linewidth=0, step="post"
    )
    axes.step(curve["renewals"], curve["counted"], where="post", color=style.INK, linewidth=1.4, label=_("counted"))
    if curve["model"].notna().any():
        sns.lineplot(
            curve, x="renewals", y="model", ax=axes, color=style.ACCENT, linewidth=1.8, estimator=None, label=_("model")
        )
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value * 100:.0f} %")
    axes.set_xlabel(_("number of renewals"))
    axes.set_ylabel(_("share still kept"))
    axes.legend(title=None, fontsize=9)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    return sheet
