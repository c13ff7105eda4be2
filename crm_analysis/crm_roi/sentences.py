"""Results to claims: the verdict in money, findings, what to do, and what stays unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import words
from crm_analysis.crm_roi.evaluation import CampaignResult, Evaluation
from crm_analysis.findings import MOST_FINDINGS, Action, Claims, Finding
from crm_analysis.language import _, active
from crm_analysis.profile import Profile

__all__ = ["claims"]

KEPT_OUT = 0.1
WORTH_SETTLING = 10
"""A test that would need more than this many times the members is not worth repeating as it is."""


def claims(evaluation: Evaluation, *, profile: Profile, further: Sequence[Finding] = ()) -> Claims:
    """What the page says about the campaigns of one branch and period; `further` findings join the measures."""
    if evaluation.without_tables:
        return _without_tables()
    found = _findings(evaluation)
    return Claims(
        verdict=_verdict(evaluation),
        findings=tuple(found[:MOST_FINDINGS]),
        actions=_actions(evaluation, profile),
        unknowns=_unknowns(evaluation, profile),
        measures=tuple(found[MOST_FINDINGS:]) + _measures(evaluation) + tuple(further),
    )


def _without_tables() -> Claims:
    return Claims(
        verdict=_(
            "**What the programmes earn is not known here**: nobody recorded who was treated and who was held out."
        ),
        unknowns=(
            _(
                "Whether any programme earns its cost. Hold out a random share of the next list and record it: the "
                "chapter on programmes then states margin gained, cost and return."
            ),
        ),
    )


def _verdict(evaluation: Evaluation) -> str:
    portfolio, measured = evaluation.portfolio, evaluation.measured
    if portfolio is None:
        return _verdict_without_result(evaluation)
    money = {
        "net": _money(abs(portfolio.net), evaluation),
        "interval": _loss_interval(portfolio.low, portfolio.high, evaluation, lost=portfolio.verdict == "lost"),
    }
    if len(measured) == 1:
        only = _name(measured[0])
        template = {
            "earned": _("{name} **earned {net} after all its costs** ({interval})."),
            "lost": _("{name} **lost {net} after all its costs** ({interval})."),
            "unknown": _("Whether {name} earned its cost **is not settled**: net {signed} ({interval})."),
        }[portfolio.verdict]
        parts = [template.format(name=only, signed=_money(portfolio.net, evaluation), **money)]
    else:
        template = {
            "earned": _(
                "The {n} controlled programmes that closed in {period} **earned {net} after all their costs** "
                "({interval})."
            ),
            "lost": _(
                "The {n} controlled programmes that closed in {period} **lost {net} after all their costs** "
                "({interval})."
            ),
            "unknown": _(
                "Whether the {n} controlled programmes that closed in {period} earned their cost together **is not "
                "settled**: "
                "net {signed} ({interval})."
            ),
        }[portfolio.verdict]
        parts = [
            template.format(
                n=portfolio.n_campaigns,
                period=style.period(evaluation.period),
                signed=_money(portfolio.net, evaluation),
                **money,
            )
        ]
        parts += _contrast(evaluation)
    unjudged = [result for result in evaluation.closed if result.state == "not_causal"]
    if unjudged:
        parts.append(_("Of {names} nobody can say: nobody was held out.").format(names=_names(unjudged)))
    return " ".join(parts)


def _contrast(evaluation: Evaluation) -> list[str]:
    """Which programmes earned, which lost, and which cannot be told."""
    groups = {kind: [r for r in evaluation.measured if r.verdict == kind] for kind in ("earned", "lost", "unknown")}
    words_of = {kind: _names(results) for kind, results in groups.items()}
    money = {
        kind: _money(abs(sum(r.roi.net for r in results if r.roi)), evaluation) for kind, results in groups.items()
    }
    parts = []
    if groups["earned"] and groups["lost"]:
        template = _("**{winners} earned {gain}; {losers} lost {loss}.**")
        parts.append(
            template.format(
                winners=words_of["earned"], gain=money["earned"], losers=words_of["lost"], loss=money["lost"]
            )
        )
    elif groups["earned"]:
        parts.append(_("{names} earned {net}.").format(names=words_of["earned"], net=money["earned"]))
    elif groups["lost"]:
        parts.append(_("{names} lost {net}.").format(names=words_of["lost"], net=money["lost"]))
    if groups["unknown"] and evaluation.branch != "all":
        template = (
            _("Of the others none can be told from break-even with {n} people here: {names}.")
            if groups["earned"] or groups["lost"]
            else _("With {n} people here no result can be told from break-even: {names}.")
        )
        parts.append(template.format(n=style.number(_people(groups["unknown"])), names=words_of["unknown"]))
    elif groups["unknown"]:
        parts.append(_("Not to be told from break-even: {names}.").format(names=words_of["unknown"]))
    return parts


def _people(results: list[CampaignResult]) -> int:
    """People in the arms of some programmes, each once."""
    return int(pd.concat([result.gate.units["customer_id"] for result in results]).nunique())


def _verdict_without_result(evaluation: Evaluation) -> str:
    if evaluation.closed and all(result.state == "not_causal" for result in evaluation.closed):
        return _(
            "**Nobody knows what {names} earned**: nobody was held out, so there is nothing to compare with."
        ).format(names=_names(evaluation.closed))
    if evaluation.closed:
        return _(
            "**No return can be stated for {period}**: none of the {n} programmes whose window closed can be judged."
        ).format(period=style.period(evaluation.period), n=len(evaluation.closed))
    if evaluation.running:
        first = min(result.closes_on for result in evaluation.running)
        return _("**No programme's outcome window closed in {period}**; the first result is due on {day}.").format(
            period=style.period(evaluation.period), day=style.day(first)
        )
    return _("**No programme closed in {period} and none is running.**").format(period=style.period(evaluation.period))


def _findings(evaluation: Evaluation) -> list[Finding]:
    found: list[Finding] = []
    portfolio = evaluation.portfolio
    if portfolio is not None and portfolio.n_campaigns > 1:
        found.append(_net_finding(evaluation))
    judged = [finding for result in evaluation.closed if (finding := _campaign_finding(result, evaluation))]
    found += sorted(judged, key=lambda finding: (not finding.causal, -finding.stake))
    if evaluation.branch == "all":
        found += [finding for result in evaluation.closed if (finding := _unplanned_finding(result, evaluation))]
    return found


def _net_finding(evaluation: Evaluation) -> Finding:
    portfolio = evaluation.portfolio
    assert portfolio is not None
    template = {
        "earned": _(
            "**All controlled programmes together brought in {margin} of margin for {cost} of cost**: {net} net."
        ),
        "lost": _("**All controlled programmes together cost {cost} and brought in {margin} of margin**: {net} net."),
        "unknown": _(
            "**All controlled programmes together: margin gained {margin}, cost {cost}**; the net of {net} is within "
            "chance."
        ),
    }[portfolio.verdict]
    if portfolio.verdict == "lost" and portfolio.incremental_margin < 0:
        template = (
            _("**All controlled programmes together cost {cost}, and margin fell by {fall}**: {net} net.")
            if portfolio.margin_high < 0
            else _(
                "**All controlled programmes together cost {cost}**: {net} net. That margin was {fall} lower is within "
                "chance; only the net loss is settled."
            )
        )
    sentence = template.format(
        fall=_money(abs(portfolio.incremental_margin), evaluation),
        margin=_money(portfolio.incremental_margin, evaluation),
        cost=_money(portfolio.cost, evaluation),
        net=_money(portfolio.net, evaluation),
    )
    return Finding(
        key="crm_roi.net",
        sentence=sentence,
        value=portfolio.net,
        low=portfolio.low,
        high=portfolio.high,
        unit="money",
        basis=_("randomised, clustered by person, 95 %"),
        n=portfolio.n_members,
        stake=abs(portfolio.net),
        tone=_tone(portfolio.verdict),
        causal=True,
        label=_("Net of programmes"),
        compare=True,
        definition=_(
            "Sum over controlled campaigns whose window closed in the period: treated members x difference in margin "
            "per "
            "member, less the campaign's cost. Shared systems are not in it."
        ),
        filters=_filters(),
        query=evaluation.query,
    )


def _campaign_finding(result: CampaignResult, evaluation: Evaluation) -> Finding | None:
    if result.roi is not None:
        return _roi_finding(result, evaluation)
    if result.state == "not_causal":
        return _uncontrolled_finding(result, evaluation)
    if result.state == "no_cost" and (effect := result.effect("margin")) is not None:
        plain = effect.plain
        return Finding(
            key=f"crm_roi.{result.key}.margin",
            sentence=_(
                "**{name} changed margin by {gain} a member**; its cost is in no table, so no return is stated."
            ).format(name=_name(result), gain=_money(plain.difference, evaluation)),
            value=plain.difference,
            low=plain.low,
            high=plain.high,
            unit="money",
            basis=_("randomised, Welch 95 %"),
            n=_members(result, evaluation),
            tone="wait",
            causal=True,
            label=_("Margin gained per member, {name}").format(name=result.name),
        )
    return None


def _members(result: CampaignResult, evaluation: Evaluation) -> int | None:
    """Members of both arms, unless their number would tell that of a small branch."""
    tells = any(privacy.total_tells(result.by_branch(arm), evaluation.min_cell) for arm in ("treated", "control"))
    return None if tells else result.n_treated + result.n_control


def _roi_finding(result: CampaignResult, evaluation: Evaluation) -> Finding:
    roi = result.roi
    assert roi is not None
    template = {
        "earned": _(
            "**{name} earned {net} net** ({interval}) on a cost of {cost}: {ratio} {unit} net for each {unit} spent."
        ),
        "lost": _("**{name} lost {net}** ({interval}): it cost {cost} and brought in {margin} of margin."),
        "unknown": _(
            "**{name} is not settled**: net {signed} ({interval}), from a margin gained of {margin} at a cost of "
            "{cost}; had every result been equally likely beforehand, the chance that it earned would be {chance}."
        ),
    }[roi.verdict]
    if roi.verdict == "lost" and roi.incremental_margin < 0:
        template = (
            _("**{name} lost {net}** ({interval}): it cost {cost}, and margin fell by {fall} instead of rising.")
            if roi.incremental_high < 0
            else _(
                "**{name} lost {net}** ({interval}): it cost {cost}. That margin was {fall} lower is within chance; "
                "only the net loss is settled."
            )
        )
    sentence = template.format(
        name=_name(result),
        fall=_money(abs(roi.incremental_margin), evaluation),
        interval=_loss_interval(roi.net_low, roi.net_high, evaluation, lost=roi.verdict == "lost"),
        signed=_money(roi.net, evaluation),
        net=_money(abs(roi.net), evaluation),
        cost=_money(roi.cost, evaluation),
        margin=_money(roi.incremental_margin, evaluation),
        ratio=style.number(roi.roi, 2),
        unit=words.money_unit(evaluation.currency),
        chance=style.percent(roi.probability_earned, 0),
    )
    if roi.roi_low is None:
        sentence += " " + _("Its return has no bounded interval; only the net is stated.")
    return Finding(
        key=f"crm_roi.{result.key}.roi",
        sentence=sentence,
        value=roi.roi,
        low=roi.roi_low,
        high=roi.roi_high,
        unit="ratio",
        basis=_("randomised, Fieller 95 %; chance that it earned: flat prior, normal")
        if roi.verdict == "unknown"
        else _("randomised, Fieller 95 %"),
        n=_members(result, evaluation),
        stake=abs(roi.net),
        tone=_tone(roi.verdict),
        causal=True,
        label=_("ROI, {name}").format(name=result.name),
        definition=_(
            "Net incremental margin over programme cost. Incremental margin is treated members x (mean margin of "
            "treated less "
            "mean margin of held-out members) over {days} days from assignment; no payment counts as zero; everybody "
            "assigned counts, reached or not."
        ).format(days=result.window_days),
        filters=_filters(),
        query=evaluation.query,
    )


def _uncontrolled_finding(result: CampaignResult, evaluation: Evaluation) -> Finding | None:
    found = result.uncontrolled
    if found is None or found.cost_per_treated is None or result.n_treated < evaluation.min_cell:
        return None
    if style.undefined(found.margin_in_window):
        sentence = _(
            "**{name} cost {total} and nobody was held out.** What its members paid is withheld: too few paid, or one "
            "of them nearly all."
        )
    elif found.break_even_lift is None:
        sentence = _(
            "**{name} cost {total} and nobody was held out.** At {cost} a member it cost more than all that its "
            "members "
            "left in the window ({margin} each): it cannot have earned its cost within it."
        )
    elif found.n_own > 1:
        sentence = _(
            "**{name} cost {total} and nobody was held out.** To break even it must have raised its members' margin by "
            "{lift}; controlled programmes here moved it by {own}."
        )
    elif found.n_own == 1:
        sentence = _(
            "**{name} cost {total} and nobody was held out.** To break even it must have raised its members' margin by "
            "{lift}; the one controlled programme here moved it by {own}."
        )
    else:
        sentence = _(
            "**{name} cost {total} and nobody was held out.** To break even it must have raised its members' margin "
            "by {lift}."
        )
    return Finding(
        key=f"crm_roi.{result.key}.break_even",
        sentence=sentence.format(
            name=_name(result),
            total=_money(found.cost_per_treated * result.n_treated, evaluation),
            cost=_money(found.cost_per_treated, evaluation),
            lift=style.percent(found.break_even_lift, 0),
            margin=_money(found.margin_in_window, evaluation),
            own=style.interval(found.own_lift_low, found.own_lift_high, "share", digits=0)
            if found.n_own > 1
            else style.percent(found.own_lift_low, 0),
        ),
        value=found.cost_per_treated,
        unit="money",
        basis=_("not causal: no control"),
        n=None if privacy.total_tells(result.by_branch("treated"), evaluation.min_cell) else result.n_treated,
        stake=found.cost_per_treated * result.n_treated,
        tone="wait",
        label=_("Break-even margin per member, {name}").format(name=result.name),
        definition=_("Cost charged to the treated members over their number: the margin each would have had to add."),
        filters=_filters(),
        query=evaluation.query,
    )


def _unplanned_finding(result: CampaignResult, evaluation: Evaluation) -> Finding | None:
    cost = result.cost
    if cost is None or cost.unplanned <= 0 or cost.planned is None:
        return None
    sentence = _(
        "**{amount} of {name}'s cost was in no plan**: {category}. It cost {actual} against {planned} planned."
    ).format(
        amount=_money(cost.unplanned, evaluation),
        name=_name(result),
        category=words.category(cost.unplanned_category),
        actual=_money(cost.actual, evaluation),
        planned=_money(cost.planned, evaluation),
    )
    return Finding(
        key=f"crm_roi.{result.key}.unplanned",
        sentence=sentence,
        value=cost.unplanned,
        unit="money",
        basis=_("cost ledger, all branches"),
        n=None,  # lines of a ledger are no customers
        stake=cost.unplanned,
        tone="bad",
        label=_("Cost nobody planned, {name}").format(name=result.name),
        definition=_("Cost lines of the campaign with an amount and no planned amount."),
    )


def _measures(evaluation: Evaluation) -> tuple[Finding, ...]:
    portfolio = evaluation.portfolio
    if portfolio is None:
        return ()
    measures = []
    if portfolio.n_campaigns == 1:
        measures.append(_net_finding(evaluation))
    if portfolio.shared:
        measures.append(
            Finding(
                key="crm_roi.shared",
                sentence="",
                value=portfolio.shared,
                unit="money",
                basis=_("cost ledger"),
                n=None,
                label=_("Shared systems and data in the period"),
            )
        )
    return tuple(measures)


def _actions(evaluation: Evaluation, profile: Profile) -> tuple[Action, ...]:
    found = [action for result in evaluation.closed if (action := _action(result, evaluation, profile))]
    return tuple(sorted(found, key=lambda action: -(action.value or 0.0)))


def _action(result: CampaignResult, evaluation: Evaluation, profile: Profile) -> Action | None:
    owner = style.escape(
        profile.owner(result.programme, active()) or result.owner or profile.owner("crm_roi", active())
    )
    common: dict[str, Any] = {"key": f"crm_roi.{result.key}.action", "owner": owner}
    if result.roi is not None:
        return Action(**common, **_measured_action(result, evaluation, profile))
    found = result.uncontrolled
    if found is not None and found.holdout_share is not None:
        text = _("Hold out {share} of the next {name} at random ({n} {customers})").format(
            share=style.percent(found.holdout_share, 0),
            name=_name(result),
            n=style.number(found.n_holdout),
            customers=profile.vocabulary(active()).customers,
        )
        return Action(**common, text=text, resting_on=_("no control so far: not causal"))
    if found is not None and found.detectable_active is not None:
        text = _(
            "Hold out half of the next {name} at random ({n} {customers}) and judge it by who goes on paying"
        ).format(
            name=_name(result),
            n=style.number(result.n_treated // 2),
            customers=profile.vocabulary(active()).customers,
        )
        return Action(**common, text=text, resting_on=_("no control so far: not causal"))
    if result.state == "blocked":
        text = _("Find out how the list of {name} was split before it runs again").format(name=_name(result))
        return Action(**common, text=text, resting_on=_("the gate's checks"))
    return None


def _measured_action(result: CampaignResult, evaluation: Evaluation, profile: Profile) -> dict[str, Any]:
    roi = result.roi
    assert roi is not None
    members = roi.n_treated + roi.n_control
    customers = profile.vocabulary(active()).customers
    tested = _("randomised test, once a year at this size")
    if roi.verdict == "earned":
        scale = (1 - KEPT_OUT) * members / roi.n_treated
        return {
            "text": _("Repeat {name} for everybody who qualifies, {share} still held out").format(
                name=_name(result), share=style.percent(KEPT_OUT, 0)
            ),
            "value": roi.net * scale,
            "low": roi.net_low * scale,
            "high": roi.net_high * scale,
            "resting_on": tested,
        }
    if roi.verdict == "lost":
        saved = {"value": -roi.net, "low": -roi.net_high, "high": -roi.net_low, "resting_on": tested}
        unplanned = (
            0.0 if not result.cost else result.cost.unplanned * result.cost.charged / max(result.cost.actual, 1e-9)
        )
        if roi.net + unplanned > 0:
            text = _("Repeat {name} only without the unplanned cost: {category}").format(
                name=_name(result), category=words.category(result.cost.unplanned_category if result.cost else "")
            )
        elif roi.incremental_low > 0:
            text = _("Run {name} only if it costs less than {limit} a member; it cost {cost}").format(
                name=_name(result),
                limit=_money(roi.margin_per_treated, evaluation),
                cost=_money(roi.cost_per_treated, evaluation),
            )
        else:
            text = _("Stop {name}").format(name=_name(result))
        return {"text": text} | saved
    if evaluation.branch != "all":
        text = _("Decide on {name} by the result of all branches: {n} members here are too few to tell").format(
            name=_name(result), n=style.number(members)
        )
        return {"text": text, "resting_on": _("randomised test, not settled")}
    needed = result.n_to_settle or 0
    if 0 < needed <= WORTH_SETTLING * members:
        n = math.ceil(max(needed, members) / 100) * 100
        text = _("Test {name} again with {n} {customers}, before it is extended or stopped").format(
            name=_name(result), n=style.number(n), customers=customers
        )
    else:
        text = _(
            "Do not extend {name}: its result is too near to break-even to be settled by a test of reasonable size"
        ).format(name=_name(result))
    return {"text": text, "resting_on": _("randomised test, not settled")}


def _unknowns(evaluation: Evaluation, profile: Profile) -> tuple[str, ...]:
    found = [sentence for result in evaluation.closed if (sentence := _why_unknown(result, evaluation, profile))]
    for result in evaluation.running:
        found.append(
            _("{name} is too early to judge until {day}; {n} {customers} are being followed.").format(
                name=_name(result),
                day=style.day(result.closes_on),
                n=privacy.count(result.gate.n_assigned, evaluation.min_cell),
                customers=profile.vocabulary(active()).customers,
            )
        )
    for result in evaluation.measured:
        if result.gate.n_not_measurable:
            found.append(
                _(
                    "{n} members of {name} could not be followed to the end of their window and are in neither arm: "
                    "not measurable, not zero."
                ).format(n=privacy.count(result.gate.n_not_measurable, evaluation.min_cell), name=_name(result))
            )
    ledger = evaluation.ledger
    if "costs" in evaluation.missing:
        found.append(
            _(
                "What the programmes really cost: the table `costs` is missing, and only the cost of contacts is "
                "counted."
            )
        )
    if ledger is not None and ledger.n_orphaned:
        found.append(
            _(
                "{n} cost lines ({amount}) belong to a campaign by kind but name none that exists: they are in no "
                "return."
            ).format(n=style.number(ledger.n_orphaned), amount=_money(ledger.orphaned_total, evaluation))
        )
    if ledger is not None and ledger.n_negative:
        found.append(
            _("{n} cost lines are negative ({amount}) and were left out; book a credit against its own line.").format(
                n=style.number(ledger.n_negative), amount=_money(ledger.negative_total, evaluation)
            )
        )
    return tuple(found)


def _why_unknown(result: CampaignResult, evaluation: Evaluation, profile: Profile) -> str:
    """Why a closed campaign has no return, and what would settle it; empty where it has one."""
    name = _name(result)
    customers = profile.vocabulary(active()).customers
    match result.state:
        case "not_causal":
            found = result.uncontrolled
            if found is not None and found.holdout_share is None and found.detectable_roi is not None:
                return _(
                    "Whether {name} earned anything: nobody was held out, and amounts on this list differ so much "
                    "that even "
                    "half held out would only show a return of {roi} or more. Who goes on paying at all can be "
                    "tested: half "
                    "held out ({n} {customers}) shows a difference of {points} points."
                ).format(
                    name=name,
                    n=style.number(result.n_treated // 2),
                    customers=customers,
                    roi=words.return_seen(found.detectable_roi, planned=False),
                    points=style.points(found.detectable_active, 0, sign=False),
                )
            if found is None or found.holdout_share is None or found.detectable_roi is None:
                return _(
                    "Whether {name} earned anything: nobody was held out, and the list is too short for a test."
                ).format(name=name)
            return _(
                "Whether {name} earned anything: nobody was held out. Next time hold out {share} ({n} {customers}) "
                "to see a "
                "return of {roi} or more."
            ).format(
                name=name,
                share=style.percent(found.holdout_share, 0),
                n=style.number(found.n_holdout),
                customers=customers,
                roi=words.return_seen(found.detectable_roi, planned=True),
            )
        case "blocked":
            return _blocked(result, evaluation)
        case "small_control":
            size = next(check.numbers for check in result.gate.checks if check.code == "size")
            return _(
                "What {name} earned: {treated} treated and {control} held out are too few here for a return."
            ).format(
                name=name,
                treated=privacy.count(int(size["treated"]), evaluation.min_cell),
                control=privacy.count(int(size["control"]), evaluation.min_cell),
            )
        case "not_measurable":
            return _(
                "What {name} earned here: its window closed on {day}, the data reach to {reach}. Not measurable, not "
                "zero."
            ).format(name=name, day=style.day(result.closes_on), reach=style.day(evaluation.as_of))
        case "no_outcomes":
            return _(
                "What {name} earned: nobody in either arm paid anything in the window. Either the window is empty or "
                "the transactions of these members are missing; no return is stated."
            ).format(name=name)
        case "no_cost":
            return _("What {name} cost: no line of the ledger names it and it states no cost of a contact.").format(
                name=name
            )
        case "withheld":
            return _(
                "What {name} earned: too few of one arm's members paid, or one of them nearly all, so the amounts are "
                "withheld and no return is stated."
            ).format(name=name)
        case "no_treated":
            return _("What {name} earned: everybody was held out, nobody treated.").format(name=name)
        case "no_members":
            return _("What {name} earned: it has no members.").format(name=name)
        case _:
            return ""


def _blocked(result: CampaignResult, evaluation: Evaluation) -> str:
    failed = {check.code: check.numbers for check in result.gate.checks if check.status == "failed"}
    name = _name(result)
    if "sample_ratio" in failed:
        numbers = failed["sample_ratio"]
        return _(
            "What {name} earned: {treated} treated and {control} held out do not fit a planned share of {share} ({p}). "
            "Something other than chance decided who was treated, so no return is stated."
        ).format(
            name=name,
            treated=privacy.count(int(numbers["treated"]), evaluation.min_cell),
            control=privacy.count(int(numbers["control"]), evaluation.min_cell),
            share=style.percent(numbers["planned"], 0),
            p=style.p_value(numbers["p"]),
        )
    if "strata" in failed:
        return _(
            "What {name} earned: the treated are {low} of one stratum and {high} of another, so the plain difference "
            "would mix strata. No return is stated; split every stratum alike next time."
        ).format(
            name=name,
            low=style.percent(failed["strata"]["low"], 0),
            high=style.percent(failed["strata"]["high"], 0),
        )
    if "both_arms" in failed:
        return _("What {name} earned: {n} members are in both arms, so no return is stated.").format(
            name=name, n=privacy.count(int(failed["both_arms"]["n"]), evaluation.min_cell)
        )
    return _(
        "What {name} earned: one arm lost more members to follow-up than the other ({treated} treated, {control} "
        "held out), "
        "so no return is stated."
    ).format(
        name=name,
        treated=privacy.count(int(failed["follow_up"]["treated"]), evaluation.min_cell),
        control=privacy.count(int(failed["follow_up"]["control"]), evaluation.min_cell),
    )


def _filters() -> tuple[str, ...]:
    return (
        _("campaigns whose outcome window closed in the period"),
        _("members in one arm only, whose window is covered by their branch's data"),
        _("transactions from the day of assignment to the end of the window, refunds taken off"),
    )


def _loss_interval(low: float, high: float, evaluation: Evaluation, *, lost: bool) -> str:
    """The interval of a net amount, beside a sentence that calls it a loss where it is one."""
    return _interval(-high, -low, evaluation) if lost else _interval(low, high, evaluation)


def _tone(verdict: str) -> str:
    return {"earned": "good", "lost": "bad", "unknown": "wait"}[verdict]


def _name(result: CampaignResult) -> str:
    return style.escape(result.name)


def _names(results: list[CampaignResult] | tuple[CampaignResult, ...]) -> str:
    return ", ".join(_name(result) for result in results)


def _money(amount: float, evaluation: Evaluation) -> str:
    return style.money(amount, evaluation.currency)


def _interval(low: float, high: float, evaluation: Evaluation) -> str:
    return style.interval(low, high, "money", evaluation.currency)
