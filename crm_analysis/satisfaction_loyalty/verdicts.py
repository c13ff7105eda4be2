"""The verdict: one sentence per shape of the link, different in kind and not only in digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crm_analysis import style
from crm_analysis.estimators.proportions import normal_quantile
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile, Words
from crm_analysis.satisfaction_loyalty import shape
from crm_analysis.satisfaction_loyalty.displays import item_name, level_name
from crm_analysis.satisfaction_loyalty.displays.link import bounds, level_rate, levels_told, link_n, shown_link
from crm_analysis.satisfaction_loyalty.followup import rise
from crm_analysis.satisfaction_loyalty.measure import loyal_from
from crm_analysis.satisfaction_loyalty.study import Study

CHAPTER = "satisfaction_loyalty"
SMALL_STEP = 0.015  # a step that is told in tenths of a point


@dataclass(frozen=True, slots=True)
class Told:
    """The numbers of the link as the sentences print them."""

    study: Study
    profile: Profile
    link: shape.Shape
    words: Words

    def name(self, position: int) -> str:
        """The name of a level, counted from the lowest (0) or the highest (-1)."""
        label = str(self.link.levels["label"].iloc[position])
        return style.escape(level_name(self.profile, label))

    def rate(self, position: int) -> float:
        """Share that came back at a level."""
        return float(self.link.levels["rate"].iloc[position])

    def rate_at(self, position: int) -> str:
        """The same as text; where it would tell too small a count beside the number of its level, on which side."""
        return level_rate(self.link.levels.iloc[position], self.study.min_cell).replace(" ", style.SPACE)

    def step(self, position: int) -> float:
        """Rise to the level at `position` from the one below."""
        return self.rate(position) - self.rate(position - 1)

    def told(self, *positions: int) -> bool:
        """Whether the rate of one of these levels, or of any where none is named, would tell too small a count."""
        hidden = levels_told(self.link, self.study.min_cell)
        return bool((hidden.iloc[list(positions)] if positions else hidden).any())

    def detectable(self) -> float:
        """The smallest kink at the top that would have been seen; up to the tenth where it would tell a rate."""
        smallest = self.link.top.detectable if self.link.top else math.nan
        hidden = self.link.top is not None and self.told(-1, -2, -3)
        return math.ceil(smallest * 10) / 10 if hidden and math.isfinite(smallest) else smallest

    def rise_text(self, lower: int, upper: int, *, steps: int = 1) -> str:
        """The rise between two levels, a step of `steps`; where it would tell a rate, its least and its most."""
        if not self.told(lower, upper):
            return step_text((self.rate(upper) - self.rate(lower)) / steps)
        (low_from, high_from), (low_to, high_to) = (
            bounds(self.link.levels.iloc[each], self.study.min_cell) for each in (lower, upper)
        )
        least, most = (100 * each / steps for each in (low_to - high_from, high_to - low_from))
        return _("{low} to {high}").format(
            low=style.points(math.floor(least) / 100, 0, sign=least < 0),
            high=style.points(math.ceil(most) / 100, 0, sign=most < 0),
        )

    def step_up(self, position: int) -> str:
        """The rise to the level at `position` from the one below, as text."""
        return self.rise_text(position - 1, position)

    def at_the_top(self, before: str) -> dict[str, str]:
        """Words for the last step, beside `before`, what the steps before it added."""
        return {
            "top": self.name(-1),
            "below": self.name(-2),
            "customers": self.words.customers,
            "last": self.step_up(-1),
            "before": before,
        }

    def slope(self) -> dict[str, str]:
        """Words for the average step of the straight line, with its interval."""
        half = normal_quantile(self.link.level) * self.link.slope_se
        digits = 0 if abs(self.link.slope) >= SMALL_STEP else 1
        names = {"slope": self.link.slope, "low": self.link.slope - half, "high": self.link.slope + half}
        return {name: style.points(each, digits, sign=each < 0) for name, each in names.items()}

    def end_to_end(self) -> dict[str, str]:
        """Words for the highest level less the lowest, with its interval."""
        return {
            "customers": self.words.customers,
            "span": style.points(self.link.span),
            "low": style.points(self.link.span_low),
            "high": style.points(self.link.span_high),
        }


def verdict(told: Told | None, study: Study, profile: Profile, words: Words) -> str:
    """The leading sentence of the page: what the shape of the link means, or why it cannot be told.

    Where nobody could be followed, the link to what respondents say they will do, named as such.
    """
    if "scale_mismatch" in study.answers.faults:
        low, high = study.answers.scale
        return _(
            "The answers do not fit the scale that the profile states ({low} to {high}): more than a fifth lie "
            "outside. **Nothing is computed from them until survey.satisfaction.scale is put right.**"
        ).format(low=style.number(low), high=style.number(high))
    stated, item = shown_link(study)
    if item and stated is not None:
        return _stated(Told(study, profile, stated, words), item)
    if told is None or told.link.kind == "too_few":
        n = link_n(told.link, study.min_cell) if told else style.number(0)
        window = study.follow.window_days if study.follow else 0
        return _(
            "**Too few answers to say where satisfaction turns into loyalty**: {n} {customers} have a score and a "
            "covered follow-up of {window} days; {fewest} are the fewest that are tested."
        ).format(n=n, customers=words.customers, window=window, fewest=shape.FEWEST_ANSWERS)
    said = _SHAPES[told.link.kind](told)
    if study.branches_differ:
        said += " " + _("The branches do not share one curve: act by each branch's own page.")
    return said


def _stated(told: Told, item: str) -> str:
    return _(
        "What {customers} do after their answer cannot be followed here; what they say can: **{shape}**. Of “{top}” "
        "{customers} {at_top} answer “{item}” with {cut} or higher, of “{below}” ones {at_below}, of “{bottom}” ones "
        "{at_bottom}."
    ).format(
        customers=told.words.customers,
        shape=stated_headline(told.link),
        item=style.escape(item_name(told.profile, item)),
        cut=style.number(loyal_from(told.study.answers.items[item].scale)),
        top=told.name(-1),
        below=told.name(-2),
        bottom=told.name(0),
        at_top=told.rate_at(-1),
        at_below=told.rate_at(-2),
        at_bottom=told.rate_at(0),
    )


def stated_headline(link: shape.Shape) -> str:
    """The shape of the link to what respondents say, in a few words."""
    return {
        "accelerating": _("intent accelerates at the top"),
        "takes_off": _("intent takes off above the lowest levels; acceleration at the top is not established"),
        "saturating": _("intent saturates"),
        "straight": _("intent rises with satisfaction, and no bend is shown"),
        "uneven": _("intent rises in unequal steps"),
        "flat": _("intent hardly depends on satisfaction"),
        "no_link": _("no link between satisfaction and intent is established"),
        "falling": _("the more satisfied say so less often"),
        "not_established": _("intent rises with satisfaction, in what shape is not established"),
    }[link.kind]


def step_text(step: float) -> str:
    """A step in points, in tenths where it is small, with a sign only where it falls."""
    return style.points(step, 0 if abs(step) >= SMALL_STEP else 1, sign=step < 0)


def rate_text(share: float) -> str:
    """A share in whole per cent, in tenths where it is small."""
    return style.percent(share, 0 if share >= 0.1 else 1)


def _accelerating(told: Told) -> str:
    return _(
        "Loyalty accelerates at the top: **“{top}” {customers} came back {last} points more often than “{below}” "
        "ones**, against {before} points for the step before."
    ).format(**told.at_the_top(told.step_up(-2)))


def _takes_off(told: Told) -> str:
    return _(
        "Loyalty takes off above “{low}”: **the step to “{next}” goes with {rise} points more {customers} who came "
        "back**, against {before} points for the step below it. Whether the last step adds still more is not "
        "established; a kink of {seen} points would have been seen."
    ).format(
        low=told.name(1),
        next=told.name(2),
        customers=told.words.customers,
        rise=told.step_up(2),
        before=told.step_up(1),
        seen=style.points(told.detectable(), 0, sign=False),
    )


def left_above(told: Told, position: int) -> float:
    """The most by which loyalty may still rise from the level at `position` to the highest; 0 where it does not matter.

    Its interval's upper end, unless that lies within the margin of what would not matter.
    """
    rows = told.link.levels.to_dict("records")
    most = rise(rows[position], rows[-1], among=len(rows)).high
    return 0.0 if most <= told.link.margin else most


def _no_further(told: Told) -> str:
    """The end of the verdict where the last step is small: whether what lies above is known not to matter."""
    template = (
        _("The difference lies on the way up to “{below}”.")
        if left_above(told, -2)
        else _("The difference lies on the way up to “{below}”, not in perfection.")
    )
    return template.format(below=told.name(-2))


def _saturating(told: Told) -> str:
    top, bottom = told.link.top, told.link.bottom
    if top is not None and top.high < 0:
        return (
            _(
                "Loyalty saturates at the top: **the step from “{below}” to “{top}” goes with {last} points of "
                "loyalty, the step before it with {before}**."
            ).format(**told.at_the_top(told.step_up(-2)))
            + f" {_no_further(told)}"
        )
    if bottom is not None and bottom.high < 0:
        return _(
            "Loyalty rises fast and flattens: **the step up from “{lowest}” goes with {first} points of loyalty, the "
            "step after it with {second}**. The difference lies where dissatisfaction ends."
        ).format(lowest=told.name(0), first=told.step_up(1), second=told.step_up(2))
    before = told.rise_text(0, -2, steps=len(told.link.levels) - 2)
    return (
        _(
            "Loyalty levels off at the top: **the last step, from “{below}” to “{top}”, goes with {last} points of "
            "loyalty; the steps before it with {before} on average**."
        ).format(**told.at_the_top(before))
        + f" {_no_further(told)}"
    )


def _straight(told: Told) -> str:
    if told.told():
        return _(
            "Loyalty rises with satisfaction, and no bend is shown: **more {customers} came back the more satisfied "
            "they were**. A kink at the top of less than {seen} points could have been missed."
        ).format(customers=told.words.customers, seen=style.points(told.detectable(), 0, sign=False))
    return _(
        "Loyalty rises with satisfaction, and no bend is shown: **each level goes with {slope} points more "
        "{customers} who came back, on average** ({low} to {high}). A kink at the top of less than {seen} points could "
        "have been missed."
    ).format(
        **told.slope(),
        customers=told.words.customers,
        seen=style.points(told.detectable(), 0, sign=False),
    )


def largest_step(told: Told) -> int:
    """Position of the level with the largest step up to it."""
    return max(range(1, len(told.link.levels)), key=told.step)


def _uneven(told: Told) -> str:
    at = largest_step(told)
    return _(
        "Loyalty rises with satisfaction in unequal steps: **the largest, {rise} points, lies between “{below}” and "
        "“{above}”**. Neither acceleration nor saturation at the ends is established."
    ).format(rise=told.step_up(at), below=told.name(at - 1), above=told.name(at))


def _flat(told: Told) -> str:
    rates = told.link.levels["rate"].to_numpy(float)
    template = (
        _(
            "The link is nearly flat: **between {fewest} and {most} of {customers} came back, whatever they had "
            "answered**. From the lowest level to the highest a difference of {margin} points, less than which would "
            "not matter, is ruled out."
        )
        if told.told(0, -1)
        else _(
            "The link is nearly flat: **between {fewest} and {most} of {customers} came back, whatever they had "
            "answered**. From the lowest level to the highest the difference is {span} points ({low} to {high}); below "
            "{margin} it would not matter."
        )
    )
    return template.format(
        fewest=told.rate_at(int(rates.argmin())),
        most=told.rate_at(int(rates.argmax())),
        margin=style.points(told.link.margin, sign=False),
        **told.end_to_end(),
    )


def _no_link(told: Told) -> str:
    template = (
        _("**No link between satisfaction and loyalty is established** (all {levels} levels tested together, {p}).")
        if told.told(0, -1)
        else _(
            "**No link between satisfaction and loyalty is established** (all {levels} levels tested together, {p}): "
            "“{top}” and “{bottom}” {customers} differ by {span} points, but anything from {low} to {high} fits the "
            "data."
        )
        if told.link.span_low <= 0 <= told.link.span_high
        else _(
            "**No link between satisfaction and loyalty is established** (all {levels} levels tested together, {p}). "
            "Taken alone, “{top}” and “{bottom}” {customers} differ by {span} points ({low} to {high})."
        )
        + " "
        + no_contradiction(told)
    )
    return template.format(
        levels=len(told.link.levels),
        p=style.p_value(told.link.any_link.p if told.link.any_link else None),
        top=told.name(-1),
        bottom=told.name(0),
        **told.end_to_end(),
    )


def no_contradiction(told: Told) -> str:
    """Why the interval of two levels may leave out zero though no link is established."""
    return _(
        "That this interval leaves out zero is no contradiction: it looks at two levels only, the test at all {levels} "
        "together, and among so many comparisons one that looks large is expected by chance."
    ).format(levels=len(told.link.levels))


def _falling(told: Told) -> str:
    return _(
        "More satisfied {customers} came back **less** often: {top} of “{name_top}” against {bottom} of "
        "“{name_bottom}”. Look for contracts or habits that hold the dissatisfied before reading this as an effect."
    ).format(
        customers=told.words.customers,
        top=told.rate_at(-1),
        bottom=told.rate_at(0),
        name_top=told.name(-1),
        name_bottom=told.name(0),
    )


def _not_established(told: Told) -> str:
    if told.link.top is None:
        return _(
            "Satisfied {customers} come back more often ({slope} points a level, {low} to {high}), but **two levels "
            "cannot show a shape**."
        ).format(customers=told.words.customers, **told.slope())
    if told.told():
        return _(
            "Satisfied {customers} come back more often, but **the shape of the link is not established**: the "
            "smallest kink at the top that we could have seen is {seen} points."
        ).format(customers=told.words.customers, seen=style.points(told.detectable(), 0, sign=False))
    return _(
        "Satisfied {customers} come back more often ({slope} points a level, {low} to {high}), but **the shape of the "
        "link is not established**: the smallest kink at the top that we could have seen is {seen} points."
    ).format(
        customers=told.words.customers,
        **told.slope(),
        seen=style.points(told.detectable(), 0, sign=False),
    )


def _one_level(told: Told) -> str:
    return _(
        "**All {n} answers with a covered follow-up are on one level**, so nothing can be said about a link; {rate} "
        "of {customers} came back."
    ).format(
        n=link_n(told.link, told.study.min_cell),
        rate=style.percent(told.link.rate),
        customers=told.words.customers,
    )


_SHAPES = {
    "accelerating": _accelerating,
    "takes_off": _takes_off,
    "saturating": _saturating,
    "straight": _straight,
    "uneven": _uneven,
    "flat": _flat,
    "no_link": _no_link,
    "falling": _falling,
    "not_established": _not_established,
    "one_level": _one_level,
}


def headline(kind: str) -> str:
    """The shape of the link in a few words, for lists of findings."""
    return {
        "accelerating": _("Loyalty accelerates at the top"),
        "takes_off": _("Loyalty takes off above the lowest levels"),
        "saturating": _("Loyalty saturates"),
        "straight": _("Loyalty rises with satisfaction, and no bend is shown"),
        "uneven": _("Loyalty rises in unequal steps"),
        "flat": _("Loyalty hardly depends on satisfaction"),
        "no_link": _("No link between satisfaction and loyalty is established"),
        "falling": _("The more satisfied came back less often"),
        "not_established": _("Loyalty rises with satisfaction, in what shape is not established"),
    }[kind]
