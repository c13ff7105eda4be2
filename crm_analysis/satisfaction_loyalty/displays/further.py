"""What stands behind the link as finished frames: definitions of loyalty, adjustment, branches, long scales."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.bends import Spline
from crm_analysis.satisfaction_loyalty.displays.link import level_n, level_rate, levels_told, veiled
from crm_analysis.satisfaction_loyalty.displays.names import item_name, level_name, who
from crm_analysis.satisfaction_loyalty.study import Study


def _way_name(way: str, item: str, profile: Profile) -> str:
    if way == "stated":
        return _("stated: {item}").format(item=item_name(profile, item))
    return {"behavioural": _("behaviour"), "relationship": _("relationship")}[way]


def _cut_name(way: str, cut: float) -> str:
    if way == "stated":
        return _("answer {cut} or higher").format(cut=style.number(cut))
    if way == "behavioural" and cut == 1:
        return _("came back at all")
    if way == "behavioural":
        return _("came back on {times} days or more").format(times=style.number(cut))
    return _("neither dormant nor lost") if cut == 1 else _("neither overdue, dormant nor lost")


def _bend_name(bend: str) -> str:
    return {"up": _("upwards"), "down": _("downwards"), "unclear": _("not established"), "none": style.DASH}[bend]


def cuts_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every definition of loyalty with the kink that the same answers then show at the top."""
    min_cell, rows = profile.privacy.min_cell, []
    for row in study.further.loyalties.cuts.itertuples():
        veiled = _levels_of_definition(row, study)
        share = style.share(round(row.share * row.n), row.n, min_cell) if row.n >= min_cell else style.DASH
        kink = (style.points(row.kink), style.interval(row.low, row.high, "points"))
        rows.append(
            (
                _way_name(row.way, row.item, profile) + (" *" if row.main else ""),
                _cut_name(row.way, row.cut),
                style.DASH if veiled.any() else share,
                *((style.DASH, style.DASH) if veiled.tail(3).any() else kink),
                _bend_name(row.bend),
            )
        )
    columns = [
        _("Loyalty as"),
        _("Cut"),
        _("Share loyal"),
        _("Kink at the top, points"),
        _("95 % interval"),
        _("Bends"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _levels_of_definition(row: Any, study: Study) -> pd.Series:
    """Which levels of a definition that the page uses stand on it without their rate; none of any other."""
    links = {"behavioural": study.link, "relationship": study.further.loyalties.relationship}
    link = (study.stated.get(row.item) if row.way == "stated" else links[row.way]) if row.main else None
    return pd.Series([], dtype=bool) if link is None else levels_told(link, study.min_cell)


def cuts_note(study: Study) -> str:
    """What the table of cuts says, and what to make of it."""
    ways = study.further.loyalties
    if not ways.cuts["shown"].any():
        return ""
    if ways.turns:
        finding = _(
            "**The cut decides which way the link bends**: by some definitions it accelerates at the top, by others it "
            "saturates, each beyond chance. Name the definition with every claim about the shape, and fix it before "
            "looking."
        )
    elif ways.signs:
        finding = _(
            "The estimated bend changes its sign with the cut, but not beyond chance in both directions: rest no "
            "decision on the curvature."
        )
    elif ways.cuts["bend"].isin(["up", "down"]).any():
        finding = _("The bend points the same way by every cut that can be tested.")
    else:
        finding = _("By none of the cuts is a bend at the top established.")
    rest = _(
        "Marked * are the definitions that this page uses elsewhere; kinks are Holm-adjusted within a row, not over "
        "rows."
    )
    return f"{finding} {rest}"


def ways_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Behaviour and relationship side by side at every level; what people say has a table of its own."""
    other = study.further.loyalties.relationship
    if study.link is None or study.link.any_link is None or other is None:
        return pd.DataFrame()
    cell = profile.privacy.min_cell
    there = other.levels.set_index("label")
    rows = []
    for row in study.link.levels.itertuples():
        still = _with_interval(there.loc[row.label], cell) if row.label in there.index else style.DASH
        came = _with_interval(row, cell)
        rows.append((level_name(profile, row.label), level_n(row, cell), came, still))
    columns = [_("Level"), who(profile), _("Came back within the window"), _("Neither dormant nor lost after it")]
    return pd.DataFrame(rows, columns=columns)


def _with_interval(level: Any, min_cell: int) -> str:
    rate = level_rate(level, min_cell, 1)
    return rate if veiled(level, min_cell) else f"{rate} ({style.interval(level.low, level.high, 'share')})"


def adjusted_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Loyalty by level as it is, and among people alike."""
    adjusted = study.further.adjusted
    if adjusted is None or adjusted.table.empty:
        return pd.DataFrame()
    cell = profile.privacy.min_cell
    of_link = {} if study.link is None else {level.label: level for level in study.link.levels.itertuples()}
    rows = [
        (
            level_name(profile, row.label),
            level_n(of_link.get(row.label, row), cell),
            style.DASH
            if row.label in of_link and veiled(of_link[row.label], cell)
            else style.share(round(row.raw * row.n), row.n, cell),
            style.percent(row.adjusted),
            style.interval(row.low, row.high, "share"),
        )
        for row in adjusted.table.itertuples()
    ]
    return pd.DataFrame(
        rows, columns=[_("Level"), who(profile), _("As they are"), _("Among people alike"), _("95 % interval")]
    )


def _covariates(names: tuple[str, ...]) -> str:
    words = {
        "tenure": _("tenure"),
        "prior": _("value in the year before"),
        "channel": _("channel"),
        "branch": _("branch"),
    }
    told = [words[name] for name in names]
    if len(told) < 2:
        return "".join(told)
    return _("{first} and {last}").format(first=", ".join(told[:-1]), last=told[-1])


def adjusted_note(study: Study, profile: Profile) -> str:
    """What the adjustment does to the last step, or why there is none."""
    adjusted = study.further.adjusted
    customers = profile.vocabulary(language.active()).customers
    if adjusted is None or adjusted.reason == "empty":
        return ""
    if adjusted.reason == "too_few":
        return _(
            "No adjustment: the rarer outcome has fewer than ten {customers} per level and class of what would be held "
            "alike."
        ).format(customers=customers)
    same = style.points(adjusted.last_adjusted) == style.points(adjusted.last_raw)
    link = study.link
    template = (
        _(
            "**Among {customers} alike in {covariates}, the last step is {adjusted} points ({interval}).** Still an "
            "association: what was not recorded can stand behind both. Logistic standardisation, {draws} bootstrap "
            "draws of {customers}."
        )
        if link is not None and levels_told(link, profile.privacy.min_cell).tail(2).any()
        else _(
            "**Among {customers} alike in {covariates}, the last step is {adjusted} points ({interval}), unchanged.** "
            "Still an association: what was not recorded can stand behind both. Logistic standardisation, {draws} "
            "bootstrap draws of {customers}."
        )
        if same
        else _(
            "**Among {customers} alike in {covariates}, the last step is {adjusted} points ({interval}) instead of "
            "{raw}.** Still an association: what was not recorded can stand behind both. Logistic standardisation, "
            "{draws} bootstrap draws of {customers}."
        )
    )
    return template.format(
        customers=customers,
        covariates=_covariates(adjusted.used),
        adjusted=style.points(adjusted.last_adjusted),
        interval=style.interval(adjusted.last_low, adjusted.last_high, "points"),
        raw=style.points(adjusted.last_raw),
        draws=style.number(adjusted.draws),
    )


def _branch_name(branch: str, profile: Profile) -> str:
    names = profile.branches.names
    return profile.text(names[branch], language.active()) if branch in names else branch


def branch_steps_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The top step of every branch, its own and drawn to the mean, and whether it differs from the others."""
    between = study.further.between
    if between is None:
        return pd.DataFrame()
    days = study.follow.frame.groupby("branch")["answered_on"].agg(["min", "max"]) if study.follow else pd.DataFrame()
    rows = [
        (
            _branch_name(row.branch, profile),
            style.number(row.n),
            _("{first} to {last}").format(
                first=style.day(days.loc[row.branch, "min"]), last=style.day(days.loc[row.branch, "max"])
            ),
            *(
                [style.DASH] * 2  # both would tell a level of the branch that its own page does not show
                if _step_told(row, profile.privacy.min_cell)
                else [
                    f"{style.points(row.step)} ({style.interval(row.step_low, row.step_high, 'points')})",
                    f"{style.points(row.shrunk)} ({style.interval(row.shrunk_low, row.shrunk_high, 'points')})",
                ]
            ),
            f"{_('yes') if row.distinct else _('not established')}, {style.p_value(row.p_adjusted)}"
            if row.p_adjusted == row.p_adjusted
            else style.DASH,
        )
        for row in between.table.itertuples()
    ]
    columns = [
        _("Branch"),
        who(profile),
        _("Answered"),
        _("Last step, own"),
        _("Last step, partially pooled"),
        _("Differs?"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _step_told(row: Any, min_cell: int) -> bool:
    """Whether a branch's top step would tell how many came back, or did not, on one of its two highest levels."""
    levels = ((row.top_loyal, row.top_n), (row.below_loyal, row.below_n))
    return any(privacy.tells(round(loyal), round(n), min_cell) for loyal, n in levels)


def branch_steps_note(study: Study) -> str:
    """Whether the branches share one curve, and what to make of it."""
    between = study.further.between
    if between is None or between.interaction is None:
        return ""
    p = style.p_value(between.interaction.p)
    if study.branches_differ:
        finding = _(
            "**The branches do not share one curve** (level by branch, {p}): read each branch's own page before "
            "acting, the curve of all is a mixture."
        ).format(p=p)
    else:
        finding = _(
            "That the branches follow different curves is not established (level by branch, {p}): the curve of all "
            "serves for each."
        ).format(p=p)
    rest = _(
        "Partially pooled steps are drawn to the mean of {pooled} points by as much as they are uncertain; the spread "
        "of true steps is put at {tau} points. “Differs?” sets a branch against the others together, false discovery "
        "rate 5 %."
    ).format(pooled=style.points(between.pooled), tau=style.points(between.tau, sign=False))
    window = _(
        "The answers pooled here are of one window for all branches, counted back from the last day of these figures. "
        "A branch's own page counts back from the branch's last day: where that is earlier, its answers and its n are "
        "others."
    )
    return f"{finding} {rest} {window}"


def branch_split_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Each branch's loyalty less that of all, split into where its customers stand and how its curve runs."""
    between, cell = study.further.between, profile.privacy.min_cell
    if between is None:
        return pd.DataFrame()
    rows = [
        (
            _branch_name(row.branch, profile),
            style.share(round(row.rate * row.n), row.n, cell),
            style.share(round(row.top_share * row.n), row.n, cell),
            *(
                [style.DASH] * 3  # beside the rate of all they would tell the branch's
                if privacy.tells(round(row.rate * row.n), row.n, cell)
                else [
                    style.points(each)
                    for each in (row.by_distribution + row.by_curve, row.by_distribution, row.by_curve)
                ]
            ),
        )
        for row in between.table.itertuples()
    ]
    columns = [
        _("Branch"),
        _("Came back"),
        _("On the top level"),
        _("Against all, points"),
        _("of it by distribution"),
        _("of it by curve"),
    ]
    return pd.DataFrame(rows, columns=columns)


def smooth(study: Study) -> Spline | None:
    """The spline to draw: that of the score where its scale is long, else that of the index."""
    return study.further.splines[0] if study.further.splines else None


def smooth_curve(study: Study, profile: Profile) -> dict[str, Any]:
    """What `charts.smooth_link` takes."""
    spline = smooth(study)
    names = {"satisfaction": _("satisfaction"), "index": _("index, 0 to 100")}
    return {
        "curve": pd.DataFrame(columns=["score", "rate", "low", "high", "n"]) if spline is None else spline.curve,
        "xlabel": names[spline.what] if spline is not None else "",
        "ylabel": _("came back within {days} days").format(days=profile.loyalty.window_days),
    }


def smooth_note(study: Study) -> str:
    """Whether the smooth link is straight on the logit scale."""
    spline = smooth(study)
    if spline is None:
        return ""
    bent = study.link is not None and spline.p < 1 - study.link.level
    return (_("The curve bends ({p}, {n} answers)") if bent else _("No bend is established ({p}, {n} answers)")).format(
        p=style.p_value(spline.p), n=style.number(spline.n)
    )
