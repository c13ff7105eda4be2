"""One card per campaign: what was done, to whom, gate, effect, money, verdict, and what to do."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import advice, cells, words
from crm_analysis.crm_roi.displays.rewards import kind_name
from crm_analysis.crm_roi.responders import Policy
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.crm_roi.rewards import kind_of
from crm_analysis.crm_roi.study import Study
from crm_analysis.language import _
from crm_analysis.profile import Profile

__all__ = ["card", "cards"]


def cards(study: Study, *, profile: Profile) -> dict[str, Any]:
    """The closed campaigns one after the other, as keyword arguments of `report.tables_below`."""
    evaluation = study.evaluation
    given = [
        {
            "title": style.escape(result.name),
            "frame": card(result, evaluation, profile, study.policies.get(result.campaign_id)),
            "note": _("The chance holds for whoever thought every result equally likely beforehand.")
            if result.roi is not None
            else "",
        }
        for result in evaluation.closed
    ]
    return {"title": _("One programme at a time"), "given": [] if evaluation.without_tables else given}


def card(
    result: CampaignResult, evaluation: Evaluation, profile: Profile, policy: Policy | None = None
) -> pd.DataFrame:
    """Seven lines about one campaign; the verdict carries its interval and the chance that it earned."""
    rows = [
        (_("What was done"), _done(result)),
        (_("To whom"), _whom(result, evaluation)),
        (_("The gate"), _gate(result)),
        (_("Effect"), _effect(result, evaluation)),
        (_("Money"), _money(result, evaluation)),
        (_("Verdict"), _verdict(result, evaluation, profile)),
        (_("What to do"), _next(result, evaluation, profile, policy)),
    ]
    return pd.DataFrame(rows, columns=[_("Question"), _("Answer")])


def _done(result: CampaignResult) -> str:
    purpose = words.programme(result.programme)
    said = _("{purpose}, from {start}; followed for {days} days, to {end}").format(
        purpose=purpose, start=style.day(result.starts_on), days=result.window_days, end=style.day(result.closes_on)
    )
    kind = kind_of(result.reward_kind)
    return said if kind in ("none", "unknown") else said + _("; reward: {kind}").format(kind=kind_name(kind))


def _whom(result: CampaignResult, evaluation: Evaluation) -> str:
    treated = cells.count(result, "treated", evaluation)
    if result.state == "not_causal":
        said = _("{treated} treated, nobody held out").format(treated=treated)
    else:
        control = cells.count(result, "control", evaluation)
        said = _("{treated} treated, {control} held out").format(treated=treated, control=control)
    if result.drawn_by != "customer":
        said += _("; {units} were drawn").format(units=words.drawn(result.drawn_by))
    if result.delivered_share is not None:
        part = round(result.delivered_share * result.n_treated)
        reached = style.share(part, result.n_treated, evaluation.min_cell, 0)
        said += _("; {share} of the treated reached").format(share=reached)
    if result.shares_control:
        said += _("; its control group serves {n} arms").format(n=len(result.shares_control) + 1)
    return said


def _gate(result: CampaignResult) -> str:
    checks = result.gate.checks
    if not checks:
        return words.state(result.state)
    failed = [words.check(check.code) for check in checks if check.status == "failed"]
    noted = [words.check(check.code) for check in checks if check.status == "noted"]
    if failed:
        return _("failed: {checks}").format(checks=", ".join(failed))
    if noted:
        return _("passed; noted: {checks}").format(checks=", ".join(noted))
    return _("all {n} checks passed").format(n=len(checks)) if result.effects else words.state(result.state)


def _effect(result: CampaignResult, evaluation: Evaluation) -> str:
    margin, active = result.effect("margin"), result.effect("active")
    if margin is None or active is None:
        return _("none stated")
    said = {
        "margin": cells.estimate(margin.plain, "money", evaluation),
        "p": style.p_value(margin.plain.p_value),
        "active": cells.estimate(active.plain, "points", evaluation),
    }
    if margin.adjusted_p is None or result.n_tests < 2:  # noqa: PLR2004 - one test needs no adjusting
        return _("{margin} margin per member, {p}; {active} who paid at all").format(**said)
    return _(
        "{margin} margin per member, {p} ({adjusted} over {n} outcomes, {manner}); {active} who paid at all"
    ).format(**said, adjusted=style.p_value(margin.adjusted_p), n=result.n_tests, manner=result.correction)


def _money(result: CampaignResult, evaluation: Evaluation) -> str:
    roi = result.roi
    if roi is None:
        cost = result.cost
        charged = None if cost is None else cost.charged if result.n_treated else cost.in_scope
        if cells.assigned_tell(result, evaluation):
            charged = None
        return _("cost {cost}; no return is stated").format(cost=style.money(charged, evaluation.currency))
    return _("gained {margin} for {cost}: net {net}, return {roi}").format(
        margin=style.money(roi.incremental_margin, evaluation.currency),
        cost=style.money(roi.cost, evaluation.currency),
        net=cells.amount(roi.net, roi.net_low, roi.net_high, evaluation.currency),
        roi=cells.with_interval(style.percent(roi.roi, 0), roi.roi_low, roi.roi_high, "share", evaluation),
    )


def _verdict(result: CampaignResult, evaluation: Evaluation, profile: Profile) -> str:
    roi = result.roi
    if roi is None:
        why = _as_cell(advice.why_unknown(result, evaluation, profile))
        return _("It is not known {why}").format(why=why[0].lower() + why[1:]) if why else words.state(result.state)
    template = {
        "earned": _("It earned: net {net}; the chance that it earned is {chance}."),
        "lost": _("It lost: net {net}; the chance that it earned is {chance}."),
        "unknown": _("Not settled: net {net}; the chance that it earned is {chance}."),
    }[roi.verdict]
    return template.format(
        net=cells.amount(roi.net, roi.net_low, roi.net_high, evaluation.currency),
        chance=cells.chance(roi.probability_earned),
    )


def _next(result: CampaignResult, evaluation: Evaluation, profile: Profile, policy: Policy | None) -> str:
    step = advice.action(result, evaluation, profile, policy)
    return _("nothing before that is cleared up") if step is None else _as_cell(step.text)


def _as_cell(sentence: str) -> str:
    """A sentence as a cell's plain text, which knows no markup."""
    return html.unescape(sentence).replace("`", "")
