"""A study in sentences: the verdict by the shape of the link, findings, actions, and what is not known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.estimators.proportions import normal_quantile
from crm_analysis.findings import Change, Claims, Finding
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile, Words
from crm_analysis.satisfaction_loyalty import shape
from crm_analysis.satisfaction_loyalty.displays import (
    answers_text,
    box_shown,
    box_text,
    index_text,
    item_name,
    kind_name,
    level_name,
)
from crm_analysis.satisfaction_loyalty.displays.drivers import listed
from crm_analysis.satisfaction_loyalty.displays.link import levels_told, link_n, link_n_told, shown_link
from crm_analysis.satisfaction_loyalty.displays.names import score_told, top_hidden
from crm_analysis.satisfaction_loyalty.displays.scores import before_text
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix, may_come_first
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
    verdict,
)

if TYPE_CHECKING:
    from crm_analysis.tables import Scope
from crm_analysis.satisfaction_loyalty.advice import actions
from crm_analysis.satisfaction_loyalty.unknowns import unknowns

MOST_FINDINGS = 5


def claims(study: Study, scope: Scope) -> Claims:
    """All that the chapter says about one branch and period."""
    profile = scope.profile
    words = profile.vocabulary(language.active())
    if study.missing:
        return Claims(
            verdict=_(
                "**Satisfaction is not measured in these data.** Answers with a date, a branch and a score would "
                "measure it; who answered is needed for the link to loyalty."
            )
        )
    told = Told(study, profile, study.link, words) if study.link is not None else None
    findings = [
        _link_finding(told) if told else None,
        _stated_finding(study, profile, words),
        _top_box_finding(study, profile),
        _worth_finding(told) if told else None,
        _driver_finding(study, profile),
        _silence_finding(study, words),
        _promoters_finding(study),
    ]
    said = [finding for finding in findings if finding is not None][:MOST_FINDINGS]
    measures = [each for each in _measures(study, profile) if each.key not in {finding.key for finding in said}]
    return Claims(
        verdict=verdict(told, study, profile, words),
        findings=tuple(replace(each, query=_query(each, study)) for each in said),
        actions=actions(told, study, scope),
        unknowns=tuple(unknowns(study, words)),
        measures=tuple(replace(each, query=_query(each, study)) for each in measures),
    )


def _query(finding: Finding, study: Study) -> str:
    """The query behind a finding: the answers, or what their customers did next."""
    name = finding.key.removeprefix(f"{CHAPTER}.")
    if name == "silence" and study.follow and study.follow.silence:
        return f"{study.follow.silence.query};\n{study.queries['answers']}"
    return study.queries.get("followed" if name in ("link", "step_worth", "top_kink") else "answers", "")


def _link_finding(told: Told) -> Finding | None:
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
    return Finding(
        key=f"{CHAPTER}.link",
        sentence=sentence,
        value=None if hidden else step.value,
        low=None if hidden else step.low,
        high=None if hidden else step.high,
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
        filters=tuple(f"{row.step} {row.rule}".strip() + f": {row.rows:,}" for row in follow.counts.itertuples()),
    )


def _stated_finding(study: Study, profile: Profile, words: Words) -> Finding | None:
    """What the page draws where nobody could be followed: the link to what respondents say they will do."""
    link, item = shown_link(study)
    if link is None or not item:
        return None
    told = Told(study, profile, link, words)
    hidden, rows = told.told(-1, -2), link.levels.to_dict("records")
    step = rise(rows[-2], rows[-1], among=len(rows))
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
        value=None if hidden else step.value,
        low=None if hidden else step.low,
        high=None if hidden else step.high,
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


def _resting_on(study: Study, n: int) -> int | None:
    """A number of answers of the period, unless it would tell that of a small branch."""
    return n if answers_text(study, n) == style.number(n) else None


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


def _change(study: Study, name: str) -> Change | None:
    changed = study.changed
    if changed is None:
        return None
    moved = getattr(changed, name)
    if name == "top_box" and top_hidden(changed.previous.distribution, study.min_cell):
        return None
    if name == "nps" and score_told(changed.previous, study.min_cell):
        return None
    return Change(
        previous=getattr(changed.previous, name).mean,
        difference=moved.value,
        low=moved.low,
        high=moved.high,
        p=moved.p,
    )


def _top_box_finding(study: Study, profile: Profile) -> Finding | None:
    wave = study.wave
    if wave.n < profile.privacy.min_cell:
        return None
    top = style.escape(level_name(profile, f"{study.answers.scale[1]:g}"))
    moved = _change(study, "top_box")
    noise = moved is None or moved.p is None or moved.p >= 0.05
    rising = moved is not None and moved.difference > 0
    if moved is None or moved.previous is None:
        sentence = _(
            "**{share} are “{top}”**; the index stands at {index} of 100, and {lowest} are on the lowest level."
        )
    elif noise:
        sentence = _(
            "**{share} are “{top}”**, unchanged within noise from {before} in {when}; the index stands at "
            "{index} of 100, and {lowest} are on the lowest level."
        )
    elif rising:
        sentence = _(
            "**{share} are “{top}”**, up from {before} in {when}; the index stands at {index} of 100, and "
            "{lowest} are on the lowest level."
        )
    else:
        sentence = _(
            "**{share} are “{top}”**, down from {before} in {when}; the index stands at {index} of 100, and "
            "{lowest} are on the lowest level."
        )
    sentence = sentence.format(
        share=box_text(study, wave.top_box),
        top=top,
        before=style.percent(moved.previous if moved else None),
        when=before_text(study),
        index=style.number(wave.index.mean, 1),
        lowest=box_text(study, wave.bottom_box),
    )
    shown = box_shown(study, wave.top_box)
    tone = "neutral" if noise else "good" if rising else "bad"
    return Finding(
        key=f"{CHAPTER}.top_box",
        sentence=sentence,
        value=wave.top_box.mean if shown else None,
        low=wave.top_box.low if shown else None,
        high=wave.top_box.high if shown else None,
        unit="share",
        basis=_("95 % interval on the effective number, answers of the period")
        if study.answers.weighted
        else _("95 % interval, answers of the period"),
        n=_resting_on(study, wave.n),
        tone=tone,
        label=_("Share on the top level of satisfaction"),
        compare=True,
        change=_of_period(study, moved) if shown else None,
        definition=_("Answers on the highest level of the satisfaction scale over all usable answers of the period."),
    )


def _worth_finding(told: Told) -> Finding | None:
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


def _driver_finding(study: Study, profile: Profile) -> Finding | None:
    best = first_to_fix(study.drivers, most=1)
    if best.empty:
        return None
    row = best.iloc[0]
    name = style.escape(item_name(profile, row["item"]))
    if not row["established"] and pd.isna(row["gain"]):
        sentence = _(
            "**What to fix first is not established.** {item} comes closest ({share} of what the items explain, {mean} "
            "now), but it was answered so much like other items that its own part cannot be told."
        )
    elif not row["established"]:
        sentence = _(
            "**What to fix first is not established.** {item} comes closest ({share} of what the items explain, {mean} "
            "now), but what goes with lifting it may be nothing: {gain_low} to {gain_high} points of the index."
        )
    elif pd.notna(row["target"]):
        sentence = _(
            "Fix first: **{item}**. It makes up {share} of what the items explain ({kind}) and stands at {mean} "
            "against a target of {target}; with reaching it go {gain} points of the index ({gain_low} to {gain_high})."
        )
    else:
        sentence = _(
            "Fix first: **{item}**. It makes up {share} of what the items explain ({kind}) and stands at {mean} on "
            "a scale up to {scale}; with reaching {scale} go {gain} points of the index ({gain_low} to {gain_high})."
        )
    rivals = tuple(each for each in may_come_first(study.drivers) if each != row["item"])
    if row["established"] and rivals:
        sentence += " " + _("That it comes before {items} is not established.").format(items=listed(profile, rivals))
    return Finding(
        key=f"{CHAPTER}.fix_first",
        sentence=sentence.format(
            item=name,
            share=style.percent(row["share"], 0),
            kind=kind_name(row["kind"])
            if row["kind"] != "undetermined"
            else _("whether it annoys or delights is undetermined"),
            mean=style.number(row["mean"], 1),
            target=style.number(row["target"], 1),
            scale=style.number(row["scale_high"]),
            gain=style.number(row["gain"], 1),
            gain_low=style.number(row["gain_low"], 1),
            gain_high=style.number(row["gain_high"], 1),
        ),
        value=float(row["share"]),
        low=float(row["low"]),
        high=float(row["high"]),
        unit="share",
        basis=_("share of what the items explain, 95 % interval; association within one survey"),
        n=study.drivers.n,
        label=_("Explained by {item}").format(item=name),
        definition=_(
            "Share of the explained variance of overall satisfaction ({method}); what to fix first is the item with "
            "which the most points of the index go between its score and its target."
        ).format(method=study.drivers.method),
    )


def _silence_finding(study: Study, words: Words) -> Finding | None:
    silence = study.follow.silence if study.follow else None
    if silence is None or min(silence.answered.n, silence.silent.n) < shape.FLAG_UNDER:
        return None
    groups = (silence.answered, silence.silent)
    if any(privacy.tells(round(each.share * each.n), each.n, study.min_cell) for each in groups):
        return None
    gap = silence.difference
    if gap.low <= 0 <= gap.high:
        sentence = _(
            "Active {customers} who answered and those who did not came back about equally often ({answered} and "
            "{silent}, followed from {anchor})."
        )
    else:
        sentence = _(
            "Who answers is not everybody: **{answered} of active {customers} who answered came back, {silent} of "
            "those who did not** (followed from {anchor})."
        )
    return Finding(
        key=f"{CHAPTER}.silence",
        sentence=sentence.format(
            customers=words.customers,
            answered=rate_text(silence.answered.share),
            silent=rate_text(silence.silent.share),
            anchor=style.day(silence.anchor),
        ),
        value=gap.value,
        low=gap.low,
        high=gap.high,
        unit="points",
        basis=_("95 % interval; active within the year before"),
        n=silence.answered.n + silence.silent.n,
        label=_("Respondents' loyalty less that of the silent"),
        tone="neutral" if gap.low <= 0 <= gap.high else "wait",
    )


def _promoters_finding(study: Study) -> Finding | None:
    """The net promoter score; the page has it as a finding where fewer weighty ones leave room."""
    wave, groups = study.wave, study.wave.promoters
    if wave.nps is None or wave.nps.n < study.min_cell or groups.empty or score_told(wave, study.min_cell):
        return None

    def share(group: str) -> str:
        return style.percent(groups.loc[groups["group"] == group, "share"].sum(), 0)

    return Finding(
        key=f"{CHAPTER}.nps",
        sentence=_(
            "**The net promoter score is {score}**: of those who answered {promoters} are promoters (9 or 10) and "
            "{detractors} detractors (0 to 6)."
        ).format(score=style.number(wave.nps.mean, 1), promoters=share("promoters"), detractors=share("detractors")),
        value=wave.nps.mean,
        low=wave.nps.low,
        high=wave.nps.high,
        unit="index",
        basis=_("95 % interval, counting the design where weighted"),
        n=_resting_on(study, wave.nps.n),
        label=_("Net promoter score, −100 to 100"),
        compare=True,
        change=_of_period(study, _change(study, "nps")) if study.changed and study.changed.nps else None,
    )


def _of_period(study: Study, change: Change | None) -> Change | None:
    """A change against the period before; pages do not put one against an earlier wave under that head."""
    return None if study.changed is not None and study.changed.since else change


def _measures(study: Study, profile: Profile) -> list[Finding]:
    wave = study.wave
    found = []
    if wave.n >= study.min_cell:
        found.append(
            Finding(
                key=f"{CHAPTER}.index",
                sentence="",
                value=wave.index.mean,
                low=wave.index.low,
                high=wave.index.high,
                unit="index",
                basis=_("95 % interval, counting the design where weighted"),
                n=_resting_on(study, wave.index.n),
                label=_("Satisfaction index, 0 to 100"),
                compare=True,
                change=_of_period(study, _change(study, "index")),
                definition=index_text(study, profile),
            )
        )
    promoters = _promoters_finding(study)
    if promoters is not None:
        found.append(replace(promoters, sentence=""))
    link = study.link
    if link is not None and link.top is not None and not levels_told(link, study.min_cell).tail(3).any():
        found.append(
            Finding(
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
        )
    return found
