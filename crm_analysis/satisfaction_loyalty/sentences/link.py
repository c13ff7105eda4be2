"""Findings on the link from satisfaction to loyalty: its shape, what respondents say instead, and a step in money."""

from __future__ import annotations

import math

from crm_analysis import style
from crm_analysis.estimators.proportions import normal_quantile
from crm_analysis.findings import Finding
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile, Words
from crm_analysis.satisfaction_loyalty.displays import item_name, level_name
from crm_analysis.satisfaction_loyalty.displays.link import levels_told, link_n, link_n_told, shown_link
from crm_analysis.satisfaction_loyalty.followup import in_money, rise
from crm_analysis.satisfaction_loyalty.measure import loyal_from
from crm_analysis.satisfaction_loyalty.study import Study
from crm_analysis.satisfaction_loyalty.verdicts import (
    CHAPTER,
    Told,
    headline,
    largest_step,
    no_contradiction,
    rate_text,
    stated_headline,
)


def link_finding(told: Told) -> Finding | None:
    link, follow = told.link, told.study.follow
    if link.kind in ("too_few", "one_level") or follow is None or not told.study.steps:
        return None
    step = told.study.steps[-1].difference
    template = (
        _(
            "**{shape}.** Of {n} {customers} who answered from {first} to {last} and were followed for {window} days, "
            "{rate} came back: {bottom} at “{name_bottom}”, {below} at “{name_below}”, {top} at “{name_top}”."
        )
        if len(link.levels) > 2  # noqa: PLR2004 - two levels have none between
        else _(
            "**{shape}.** Of {n} {customers} who answered from {first} to {last} and were followed for {window} days, "
            "{rate} came back: {bottom} at “{name_bottom}”, {top} at “{name_top}”."
        )
    )
    sentence = template.format(
        shape=_("{shape}, but the branches do not share one curve").format(shape=headline(link.kind))
        if told.study.branches_differ
        else headline(link.kind),
        n=link_n(link, told.study.min_cell),
        customers=told.words.customers,
        first=style.day(follow.first),
        last=style.day(follow.last),
        window=follow.window_days,
        rate=rate_text(link.rate),
        bottom=told.rate_at(0),
        below=told.rate_at(-2),
        top=told.rate_at(-1),
        name_bottom=told.name(0),
        name_below=told.name(-2),
        name_top=told.name(-1),
    )
    hidden = told.told(-1, -2)
    if link.kind == "no_link" and not hidden and not step.low <= 0 <= step.high:
        sentence += " " + no_contradiction(told)
    value, low, high = (None, None, None) if hidden else (step.value, step.low, step.high)
    return Finding(
        key=f"{CHAPTER}.link",
        sentence=sentence,
        value=value,
        low=low,
        high=high,
        unit="points",
        basis=_("association, not proof")
        if hidden
        else _("last step, 95 % interval for all {steps} steps at once; association, not proof").format(
            steps=len(told.study.steps)
        )
        if len(told.study.steps) > 1
        else _("last step, 95 % interval; association, not proof"),
        n=link_n_told(link, told.study.min_cell),
        stake=_stake(told),
        tone="wait" if link.kind in ("no_link", "not_established", "uneven") else "neutral",
        label=_("Last step of satisfaction, points of loyalty"),
        definition=_(
            "Share with a payment at least {gap} and at most {window} days after the answer, top level less the "
            "level below; one answer per customer, the first whose follow-up is complete and covered."
        ).format(gap=told.profile.loyalty.gap_days, window=follow.window_days),
        filters=tuple(f"{row.rule or row.step}: {row.rows}" for row in follow.counts.itertuples()),
    )


def stated_finding(study: Study, profile: Profile, words: Words) -> Finding | None:
    """What the page draws where nobody could be followed: the link to what respondents say they will do."""
    link, item = shown_link(study)
    if link is None or not item:
        return None
    told = Told(study, profile, link, words)
    hidden, rows = told.told(-1, -2), link.levels.to_dict("records")
    step = rise(rows[-2], rows[-1], among=len(rows))
    value, low, high = (None, None, None) if hidden else (step.value, step.low, step.high)
    return Finding(
        key=f"{CHAPTER}.stated_link",
        sentence=_(
            "**Said, not done: {shape}.** Of {n} {customers} who answered both questions, {top} of “{name_top}” ones "
            "answer “{item}” with {cut} or higher, {below} of “{name_below}” ones."
        ).format(
            shape=stated_headline(link),
            n=link_n(link, told.study.min_cell),
            customers=words.customers,
            top=told.rate_at(-1),
            below=told.rate_at(-2),
            name_top=told.name(-1),
            name_below=told.name(-2),
            item=style.escape(item_name(profile, item)),
            cut=style.number(loyal_from(study.answers.items[item].scale)),
        ),
        value=value,
        low=low,
        high=high,
        unit="points",
        basis=_("association within one survey")
        if hidden
        else _("last step, 95 % interval for all {steps} steps at once; association within one survey").format(
            steps=len(rows) - 1
        ),
        n=link_n_told(link, study.min_cell),
        tone="wait",
        label=_("Last step of satisfaction, points of intent"),
        definition=_(
            "Share that answers the question of intent high enough, top level less the level below; asked together "
            "with satisfaction."
        ),
    )


def worth_finding(told: Told) -> Finding | None:
    link, steps = told.link, told.study.steps
    silent = ("too_few", "one_level", "flat", "no_link", "falling")
    if link.kind in silent or not steps or not math.isfinite(steps[0].margin.se):
        return None
    window = told.study.follow.window_days if told.study.follow else 0
    later: tuple[float, float, float] | None = None
    if link.kind == "straight":
        if told.told():
            return None  # beside the money of the steps that are shown it would tell the rate of a level that is not
        half = normal_quantile(link.level) * link.slope_se
        value, low, high = in_money(link.slope, link.slope - half, link.slope + half, steps[0].margin, level=link.level)
        if told.study.ahead is not None and told.study.ahead.gap is not None:
            later = in_money(link.slope, link.slope - half, link.slope + half, told.study.ahead.gap, level=link.level)
        sentence = _(
            "A hundred {customers} one level higher, on average over the scale, go with **{money} more margin within "
            "{window} days**. That is a difference between people, and an upper bound if satisfaction is the whole "
            "cause."
        ).format(customers=told.words.customers, money=style.money(value, told.profile.currency), window=window)
    else:
        position = -1 if link.kind == "accelerating" else largest_step(told) - 1
        at = position % len(steps)
        if told.told(at, at + 1):
            return None  # beside the money of other steps it would tell the rate of a level that is not shown
        step = steps[position]
        value, low, high = step.money_per_hundred, step.money_low, step.money_high
        if told.study.steps_ahead:
            year = told.study.steps_ahead[position]
            later = year.money_per_hundred, year.money_low, year.money_high
        sentence = _(
            "A hundred {customers} at “{upper}” rather than “{lower}” go with **{money} more margin within {window} "
            "days**. That is a difference between people, and an upper bound if satisfaction is the whole cause."
        ).format(
            customers=told.words.customers,
            upper=style.escape(level_name(told.profile, step.upper)),
            lower=style.escape(level_name(told.profile, step.lower)),
            money=style.money(value, told.profile.currency),
            window=window,
        )
    if later is not None:
        sentence += " " + _(
            "In the 12 months after the end of the data it would be another {money} ({interval}), likewise: what comes "
            "after those {window} days, less from whoever has stopped by then."
        ).format(
            money=style.money(later[0], told.profile.currency),
            interval=style.interval(later[1], later[2], "money", told.profile.currency),
            window=window,
        )
    return Finding(
        key=f"{CHAPTER}.step_worth",
        sentence=sentence,
        value=value,
        low=low,
        high=high,
        unit="money",
        basis=_("association, not proof; interval of the line's slope and of the margin per head together")
        if link.kind == "straight"
        else _(
            "association, not proof; interval wide enough for any step that is picked, the error of the "
            "margin per head in it"
        ),
        n=link_n_told(link, told.study.min_cell),
        label=_("Margin that goes with a step of satisfaction, per 100 {customers}").format(
            customers=told.words.customers
        ),
        definition=_(
            "Step in loyalty times the mean margin, within the window, of a customer who came back; in the 12 months "
            "after the end of the data, times what those who came back are expected to bring more than those who did "
            "not."
        ),
    )


def top_kink(study: Study) -> Finding | None:
    """The kink at the top of the link, a measure that branches are compared by."""
    link = study.link
    if link is None or link.top is None or levels_told(link, study.min_cell).tail(3).any():
        return None
    return Finding(
        key=f"{CHAPTER}.top_kink",
        sentence="",
        value=link.top.value,
        low=link.top.low,
        high=link.top.high,
        unit="points",
        basis=_("95 % interval, adjusted for two kinks; association, not proof"),
        n=link_n_told(link, study.min_cell),
        label=_("Kink at the top, points of loyalty"),
        compare=True,
        definition=_("Last step of the link less the step before it."),
    )


def _stake(told: Told) -> float:
    """Margin a year that goes with lifting the second level by one step: orders the front page, nothing else."""
    if not told.study.steps or told.study.follow is None:
        return 0.0
    last = told.study.steps[-1]
    n = float(told.link.levels["n"].iloc[-2])
    stake = abs(last.money_per_hundred) / 100 * n * 365 / told.study.follow.window_days
    if not math.isfinite(stake):
        return 0.0
    return float(f"{stake:.0e}") if told.told(-1, -2) else stake  # one digit: more would tell the rate that is hidden
