"""The chapter's figures, drawn from finished frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

MIN_POINTS = 3
PEAK = 1.001  # of all profit: below that the curve ends at its top
SAME = 1e-9  # of all profit: those who neither bring nor take any belong to the best, as in the words beside the curve


def profit_curve(curve: pd.DataFrame, *, who: str) -> Figure | None:
    """The cumulative profit curve, most profitable customers first, with its peak named, or the best tenth where
    nobody takes profit away again.

    curve: share_of_customers, share_of_profit (1 is all profit); `who` is the word for customers. None where the
    profit of all is not positive.
    """
    import seaborn as sns

    if len(curve) < MIN_POINTS or curve["share_of_profit"].isna().any():
        return None
    sheet, axes = style.figure(7.2, 3.5)
    axes.axhline(1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    sns.lineplot(
        curve, x="share_of_customers", y="share_of_profit", ax=axes, color=style.ACCENT, linewidth=2, estimator=None
    )
    top = curve[curve["share_of_profit"] >= curve["share_of_profit"].max() - SAME].iloc[-1]
    if top["share_of_profit"] < PEAK:
        top = curve.loc[(curve["share_of_customers"] - 0.1).abs().idxmin()]
    axes.plot([top["share_of_customers"]], [top["share_of_profit"]], "o", color=style.BAD, markersize=7)
    axes.annotate(
        _("{peak} of the profit with the best {share} of {customers}").format(
            customers=who,
            peak=style.percent(top["share_of_profit"], 1),
            share=style.percent(top["share_of_customers"], 0),
        ),
        (top["share_of_customers"], top["share_of_profit"]),
        xytext=(0.97, 0.42),
        textcoords="axes fraction",
        ha="right",
        va="top",
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": style.GREY, "shrinkB": 5},
    )
    tail = curve[curve["share_of_profit"] >= 1]
    axes.fill_between(tail["share_of_customers"], 1, tail["share_of_profit"], color=style.BAD, alpha=0.2, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(float(curve["share_of_profit"].max()) * 1.06, 1.06))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _position: f"{value * 100:.0f}{style.percent_sign()}")
    axes.set_xlabel(_("share of {customers}, the most profitable first").format(customers=who))
    axes.set_ylabel(_("share of profit, cumulated"))
    axes.grid(axis="y")
    axes.tick_params(length=0, pad=6)
    return sheet


def segment_map(segments: pd.DataFrame) -> Figure | None:
    """Share of customers beside share of margin by segment.

    segments: segment (finished name), measure (finished name), share; in drawing order. None without rows.
    """
    import seaborn as sns

    if segments.empty:
        return None
    sheet, axes = style.figure(7.2, 0.36 * segments["segment"].nunique() + 1.2)
    sns.barplot(
        segments,
        y="segment",
        x="share",
        hue="measure",
        ax=axes,
        palette=[style.GREY, style.ACCENT][: segments["measure"].nunique()],
        saturation=1,
        errorbar=None,
        width=0.75,
    )
    for bars in axes.containers:
        axes.bar_label(
            cast("BarContainer", bars),
            fmt=lambda share: "<1" if 0 < share < 0.005 else style.number(share * 100),  # noqa: PLR2004 - rounds to 0
            padding=3,
            fontsize=8,
            color=style.MUTE,
        )
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value * 100:.0f}{style.percent_sign()}")
    axes.set_xlabel(_("share of all"))
    axes.set_ylabel("")
    axes.legend(title=None, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9)
    axes.grid(axis="x")
    axes.tick_params(length=0)
    return sheet


def foreseen(classes: pd.DataFrame) -> Figure | None:
    """Purchases in the holdout by number of repeat purchases before it: what took place, and what each way foresaw.

    classes: repeat_purchases (text, in order), way (finished name), mean, error (standard error; missing for what was
    foreseen); what took place comes first. None with fewer than three classes.
    """
    import seaborn as sns

    if classes["repeat_purchases"].nunique() < MIN_POINTS:
        return None
    sheet, axes = style.figure(7.2, 3.4)
    names = list(dict.fromkeys(classes["way"]))
    colours = dict(zip(names, [style.INK, style.ACCENT, style.GREY, "#b45309"], strict=False))
    sns.lineplot(
        classes,
        x="repeat_purchases",
        y="mean",
        hue="way",
        style="way",
        ax=axes,
        palette=colours,
        markers=True,
        dashes={name: "" if i < 2 else (4, 3) for i, name in enumerate(names)},
        estimator=None,
        sort=False,
    )
    actual = classes[classes["error"].notna()]
    axes.errorbar(
        actual["repeat_purchases"],
        actual["mean"],
        yerr=1.96 * actual["error"],
        fmt="none",
        ecolor=style.INK,
        elinewidth=1.2,
        capsize=2,
    )
    axes.set_ylim(bottom=0)
    axes.set_xlabel(_("number of repeats before the holdout"))
    axes.set_ylabel(_("mean number in the holdout"))
    axes.legend(title=None, fontsize=9)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    return sheet
