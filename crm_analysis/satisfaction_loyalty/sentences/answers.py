"""Findings on the answers themselves: level, what to fix first, who stays silent, promoters."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.findings import Change, Finding
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
from crm_analysis.satisfaction_loyalty.displays.names import score_told, top_hidden
from crm_analysis.satisfaction_loyalty.displays.scores import before_text
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix, may_come_first
from crm_analysis.satisfaction_loyalty.study import Study
from crm_analysis.satisfaction_loyalty.verdicts import CHAPTER, rate_text


def top_box_finding(study: Study, profile: Profile) -> Finding | None:
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


def driver_finding(study: Study, profile: Profile) -> Finding | None:
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


def silence_finding(study: Study, words: Words) -> Finding | None:
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


def promoters_finding(study: Study) -> Finding | None:
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


def index(study: Study, profile: Profile) -> Finding | None:
    """The satisfaction index, a measure that branches are compared by."""
    wave = study.wave
    if wave.n < study.min_cell:
        return None
    return Finding(
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


def _of_period(study: Study, change: Change | None) -> Change | None:
    """A change against the period before; pages do not put one against an earlier wave under that head."""
    return None if study.changed is not None and study.changed.since else change


def _resting_on(study: Study, n: int) -> int | None:
    """A number of answers of the period, unless it would tell that of a small branch."""
    return n if answers_text(study, n) == style.number(n) else None
