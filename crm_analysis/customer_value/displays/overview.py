"""What the profit curve, the segments and the check by frequency say: the finding, its interval and what to do."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure, listing, populations
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.holdout import by_class
from crm_analysis.customer_value.scores import SEGMENTS
from crm_analysis.customer_value.tracking import Z95
from crm_analysis.customer_value.wording import rule_name, segment_name, words
from crm_analysis.estimators.proportions import wilson
from crm_analysis.language import _

ROUNDS = 0.005  # a share below this would read as nothing


def curve(state: CustomerValue) -> str:
    """Who carries the profit and who takes it away, with interval, and what to do."""
    shape, cell = state.concentration, state.scope.profile.privacy.min_cell
    below = round(shape.below_cost.share * shape.n)
    told = not populations.unsaid(state, "profit") and not privacy.tells(below, shape.n, cell)
    if state.profits.costs_known and below and told:
        return _(
            "**The best {share} bring {peak} of the profit; {below} ({interval}) take {taken} away again**: reach "
            "those by the cheapest channel."
        ).format(
            share=style.percent(shape.peak_at, 0),
            peak=style.percent(shape.peak),
            below=style.percent(shape.below_cost.share),
            interval=style.interval(shape.below_cost.low, shape.below_cost.high, "share"),
            taken=style.percent(shape.taken),
        )
    said = (
        _("**The best tenth brings {top} ({interval}) of the profit**: few come back, so look at who comes first.")
        if state.outlook.why == "one_time"
        else _("**The best tenth brings {top} ({interval}) of the profit**: learn first what they need.")
    )
    return said.format(
        top=style.percent(shape.top_share, 0), interval=style.interval(shape.top_low, shape.top_high, "share")
    )


def segments(state: CustomerValue) -> str:
    """Which segment is worth most and which is worth least for its size, with interval, and what to do."""
    found = listing.segments(state)
    if found.empty:
        return ""
    found = found.pivot(index="segment", columns="measure", values="share")
    margin = _("margin of the last twelve months")
    if margin not in found or listing.segments_unsaid(state):
        return ""
    found = found.rename(columns={margin: "of_margin", words(state.scope.profile).customers: "share"})
    richest = found["of_margin"].idxmax()
    text = _("**{segment}: {share} of {customers} ({interval}) bring {of_margin} of the margin** ({what}).").format(
        customers=disclosure.who_lower(state), **_told(state, found, richest)
    )
    poor = found[found["of_margin"] < found["share"]]
    poorest = (poor["share"] - poor["of_margin"]).idxmax() if len(poor) else richest
    if poorest != richest:
        text += " " + _("{segment}: {share} ({interval}) bring {of_margin} ({what}).").format(
            **_told(state, found, poorest)
        )
    return text


def _told(state: CustomerValue, found: pd.DataFrame, key: str) -> dict[str, str]:
    row, n = found.loc[key], len(state.scores)
    size = wilson(round(row["share"] * n), n)
    brought = f"< {style.percent(0.01, 0)}" if 0 < row["of_margin"] < ROUNDS else style.percent(row["of_margin"], 0)
    return {
        "segment": key,
        "share": style.percent(size.share),
        "interval": style.interval(size.low, size.high, "share"),
        "of_margin": brought,
        "what": segment_treatments(state)[key],
    }


def classes(state: CustomerValue) -> str:
    """How many classes the better way foresaw within their interval, the worst of the others, and what to do."""
    check = state.outlook.holdout
    if check is None:
        return ""
    best = check.model if check.model is not None and check.model_wins else check.thumb
    frame = by_class(check)
    frame = frame[frame["n"] >= state.scope.profile.privacy.min_cell]
    frame = frame.assign(
        low=frame["actual"] - Z95 * frame["error"],
        high=frame["actual"] + Z95 * frame["error"],
        foreseen=frame[best.key],
    )
    frame["within"] = frame["foreseen"].between(frame["low"], frame["high"])
    outside = frame[~frame["within"]]
    values = {"within": len(frame) - len(outside), "classes": len(frame), "way": rule_name(best.key)}
    if outside.empty:
        return _("**{way}: all {classes} classes foreseen within their interval**: plan by class.").format(**values)
    worst = outside.loc[(outside["foreseen"] - outside["actual"]).abs().idxmax()]
    digits = 2 if worst["actual"] >= listing.SMALL else 4
    return _(
        "**{way}: {within} of {classes} classes foreseen within their interval**; farthest off: number of "
        "repeats {repeats}, {foreseen} foreseen, {actual} took place ({interval}). Plan by the sum, not by that class."
    ).format(
        **values,
        repeats=worst["repeat_purchases"],
        foreseen=style.number(worst["foreseen"], digits),
        actual=style.number(worst["actual"], digits),
        interval=style.interval(worst["low"], worst["high"], "ratio", digits=digits),
    )


def segment_treatments(state: CustomerValue) -> dict[str, str]:
    """What to do with each segment, by its name."""
    return {segment_name(key): listing.treatment_of(state, key) for key, _test in SEGMENTS}
