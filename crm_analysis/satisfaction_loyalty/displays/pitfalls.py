"""What can mislead in these data, each pitfall with its number and the figure that shows it; only those that apply."""

from __future__ import annotations

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import shape
from crm_analysis.satisfaction_loyalty.displays.link import levels_told, shown_link
from crm_analysis.satisfaction_loyalty.displays.names import OVERALL, item_name
from crm_analysis.satisfaction_loyalty.study import Study

CEILING, MOST_NAMED = 0.5, 3
Pitfall = tuple[str, str, str]


def pitfalls_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The pitfalls that apply to these data: what, how much, and where on the page it is seen."""
    found = [
        _self_selection(study),
        _same_survey(study, profile),
        _ceiling(study, profile),
        _thin(study, profile),
        _regression(study),
        _cut(study),
    ]
    columns = [_("Pitfall"), _("Here"), _("Seen in")]
    return pd.DataFrame([each for each in found if each is not None], columns=columns)


def _self_selection(study: Study) -> Pitfall | None:
    silence = study.follow.silence if study.follow else None
    if silence is None or min(silence.answered.n, silence.silent.n) < shape.FLAG_UNDER:
        return None
    gap = silence.difference
    if gap.low <= 0 <= gap.high:
        return None
    return (
        _("Self-selection: those who answer differ from those who do not"),
        _("{points} points of loyalty ({interval})").format(
            points=style.points(gap.value), interval=style.interval(gap.low, gap.high, "points")
        ),
        _("Who answered and who did not"),
    )


def _same_survey(study: Study, profile: Profile) -> Pitfall | None:
    asked = [link for link in study.stated.values() if link.span == link.span and not _ends_told(link, study)]
    if not asked:
        return None
    widest = max(asked, key=lambda link: link.span)
    said = widest.span
    if shown_link(study)[1]:
        return (
            _("Intent asked in the same survey: whoever ticks high on one question does so on the next"),
            _("stated span {stated} points; what they did is not known").format(stated=style.points(said, 0)),
            _("Satisfaction and what {customers} say they will do").format(
                customers=profile.vocabulary(language.active()).customers
            ),
        )
    if study.link is None or not widest.span_low > study.link.span_high or _ends_told(study.link, study):
        return None
    return (
        _("Intent asked in the same survey overstates the link"),
        _("stated span {stated} points, behaviour {behaved}").format(
            stated=style.points(said, 0), behaved=style.points(study.link.span, 0)
        ),
        _("What respondents say they will do"),
    )


def _ends_told(link: shape.Shape, study: Study) -> bool:
    """Whether the rate of the highest or the lowest level would tell too small a count."""
    hidden = levels_told(link, study.min_cell)
    return bool(hidden.iloc[0] or hidden.iloc[-1])


def _ceiling(study: Study, profile: Profile) -> Pitfall | None:
    """Questions that half or more answer at the highest level: a rise can no longer show in them."""
    tops = {} if not study.wave.n else {OVERALL: (study.wave.top_box.mean, study.wave.distribution)}
    for item, levels in study.item_spread.groupby("item", sort=False):
        tops[str(item)] = (float(levels["share"].iloc[-1]), levels)
    high = {
        item: share
        for item, (share, levels) in tops.items()
        if share >= CEILING
        and not privacy.tells(int(levels["n"].iloc[-1]), int(levels["n"].sum()), profile.privacy.min_cell)
    }
    if not high:
        return None
    item = max(high, key=lambda name: high[name])
    return (
        _("Ceiling: most are at the top already, so that a rise cannot show"),
        _("at the top already: {items}").format(
            items=", ".join(
                f"“{style.escape(item_name(profile, name))}” {style.percent(share, 0)}"
                for name, share in sorted(high.items(), key=lambda pair: -pair[1])[:MOST_NAMED]
            )
        ),
        _("How satisfied they are") if item == OVERALL else _("Every item of the survey"),
    )


def _thin(study: Study, profile: Profile) -> Pitfall | None:
    link, item = shown_link(study)
    if link is None or link.any_link is None:
        return None
    fewest = int(link.levels["n"].min())
    if fewest >= shape.FLAG_UNDER and not link.merged:
        return None
    customers = profile.vocabulary(language.active()).customers
    where = (
        _("Satisfaction and what {customers} say they will do").format(customers=customers)
        if item
        else _("Satisfaction and coming back")
    )
    return (
        _("Thin cells: the smallest level decides how sharp the curve is"),
        _("{n} {customers} on the smallest level").format(n=style.number(fewest), customers=customers),
        where,
    )


def _regression(study: Study) -> Pitfall | None:
    again = study.further.again
    if again is None:
        return None
    groups = again.table.set_index("group")
    low, high = groups.loc["low"], groups.loc["high"]
    if min(low["n"], high["n"]) < study.min_cell or not (low["low"] > 0 and high["high"] < 0):
        return None
    return (
        _("Regression to the mean: whoever was extreme answers more moderately next time, whatever was done"),
        _(
            "of {n} who answered twice, those at the bottom moved by {up} points of the scale, those at the top by "
            "{down}"
        ).format(
            n=style.number(again.pairs), up=style.points(low["change"] / 100), down=style.points(high["change"] / 100)
        ),
        again_title(),
    )


def again_title() -> str:
    """Title of the figure of the same people asked again."""
    return _("The same people, asked again")


def again_frame(study: Study) -> pd.DataFrame:
    """What `charts.answered_again` draws: name, first, second, low, high (of the second about the first)."""
    again = study.further.again
    columns = ["name", "n", "first", "second", "low", "high"]
    if again is None:
        return pd.DataFrame(columns=columns)
    table = again.table[again.table["n"] >= study.min_cell]
    names = {"low": _("first near the bottom"), "middle": _("first in between"), "high": _("first at the top")}
    return table.assign(
        name=[f"{names[group]}, n {style.number(n)}" for group, n in zip(table["group"], table["n"], strict=True)],
        low=table["first"] + table["low"],
        high=table["first"] + table["high"],
    )[columns].reset_index(drop=True)


def again_table(study: Study) -> pd.DataFrame:
    """The same as text."""
    frame = again_frame(study)
    if len(frame) < 2:  # noqa: PLR2004 - one group shows no course
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Group"): frame["name"],
            _("First answer, mean"): [style.number(value, 2) for value in frame["first"]],
            _("Next answer, mean"): [style.number(value, 2) for value in frame["second"]],
            _("95 % interval"): [
                style.interval(low, high, "index", digits=2)
                for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
        }
    )


def _cut(study: Study) -> Pitfall | None:
    ways = study.further.loyalties
    tested = ways.cuts[ways.cuts["kink"].notna()]
    if not ways.turns:
        return None
    return (
        _("The cut that defines loyalty can turn the curvature round"),
        _("kink at the top from {low} to {high} points over {n} definitions").format(
            low=style.points(tested["kink"].min()),
            high=style.points(tested["kink"].max()),
            n=style.number(len(tested)),
        ),
        _("The bend, by every definition of loyalty"),
    )
