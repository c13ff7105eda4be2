"""What to do about each campaign, and what stays unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crm_analysis import privacy, style
from crm_analysis.crm_roi import phrases, words
from crm_analysis.crm_roi.planning import WORTH_SETTLING, proposed_test
from crm_analysis.crm_roi.responders import Policy, contact_and_fixed_cost
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.uplift import Gain
from crm_analysis.findings import Action
from crm_analysis.language import _, active
from crm_analysis.profile import Profile

__all__ = ["action", "actions", "unknowns", "why_unknown"]

KEPT_OUT = 0.1


def actions(evaluation: Evaluation, profile: Profile, policies: Mapping[str, Policy]) -> tuple[Action, ...]:
    """What to do, the largest expected gain first; `policies` as in `action`, by campaign."""
    found = [
        step
        for result in evaluation.closed
        if (step := action(result, evaluation, profile, policies.get(result.campaign_id)))
    ]
    return tuple(sorted(found, key=lambda step: -(step.value or 0.0)))


def action(
    result: CampaignResult, evaluation: Evaluation, profile: Profile, policy: Policy | None = None
) -> Action | None:
    """What to do about one closed campaign; None where nothing follows from what is known.

    Where `policy` is shown to beat contacting everybody and contacting nobody, it is what to do; a branch leaves that
    of a campaign of several branches to the page of all.
    """
    owner = style.escape(
        profile.owner(result.programme, active()) or result.owner or profile.owner("crm_roi", active())
    )
    common: dict[str, Any] = {"key": f"crm_roi.{result.key}.action", "owner": owner}
    if policy is not None and policy.advice == "target":
        return Action(**common, **_targeted_action(policy, result, evaluation))
    if result.roi is not None:
        return Action(**common, **_measured_action(result, evaluation, profile))
    found = result.uncontrolled
    if found is not None and found.holdout_share is not None:
        text = _("Hold out {share} of the next {name} at random ({n} {customers})").format(
            share=style.percent(found.holdout_share, 0),
            name=phrases.name_of(result),
            n=style.number(found.n_holdout),
            customers=profile.vocabulary(active()).customers,
        )
        return Action(**common, text=text, resting_on=_("no control so far: not causal"))
    if found is not None and found.detectable_active is not None:
        text = _(
            "Hold out half of the next {name} at random ({n} {customers}) and judge it by who goes on paying"
        ).format(
            name=phrases.name_of(result),
            n=style.number(result.n_treated // 2),
            customers=profile.vocabulary(active()).customers,
        )
        return Action(**common, text=text, resting_on=_("no control so far: not causal"))
    if result.state == "blocked":
        failed = {check.code for check in result.gate.checks if check.status == "failed"} - {"size"}
        if failed == {"follow_up"}:
            text = _(
                "Find out why one arm of {name} cannot be followed to the end of its window, and complete its data"
            )
        elif failed == {"both_arms"}:
            text = _("Find out why members of {name} stand in both arms before it runs again")
        else:
            text = _("Find out how the list of {name} was split before it runs again")
        return Action(**common, text=text.format(name=phrases.name_of(result)), resting_on=_("the gate's checks"))
    return None


def _targeted_action(policy: Policy, result: CampaignResult, evaluation: Evaluation) -> dict[str, Any]:
    gain = policy.over_everybody
    low, high = (None if end is None else (1 - KEPT_OUT) * end for end in (gain.low, gain.high))
    text = _(
        "Repeat {name} for {share} of its list alone, chosen by the rule, {held} of them still held out: {gain} "
        "({interval}) more than for everybody. `crm-analysis list {key}` writes whom it would choose"
    ).format(
        name=phrases.name_of(result),
        share=style.share(policy.n_targeted, policy.n, evaluation.min_cell, 0),
        held=style.percent(KEPT_OUT, 0),
        gain=phrases.money((1 - KEPT_OUT) * gain.mean, evaluation),
        interval=style.interval(low, high, "money", evaluation.currency),
        key=f"crm_roi.{result.key}.targeting",
    )
    return {
        "text": text,
        **_repeated(policy.targeted, 1 - KEPT_OUT, policy.fixed_cost),
        "resting_on": _("randomised test, the rule judged on members it had not seen, once a year at this size"),
    }


def _repeated(profit: Gain, scale: float, fixed_cost: float) -> dict[str, float | None]:
    """Profit of a programme run for `scale` times as many; its `fixed_cost`, already taken off, is spent once."""
    ends = {"value": profit.mean, "low": profit.low, "high": profit.high}
    return {name: None if end is None else scale * (end + fixed_cost) - fixed_cost for name, end in ends.items()}


def _measured_action(result: CampaignResult, evaluation: Evaluation, profile: Profile) -> dict[str, Any]:
    roi = result.roi
    assert roi is not None
    members = roi.n_treated + roi.n_control
    customers = profile.vocabulary(active()).customers
    tested = _("randomised test, once a year at this size")
    if roi.verdict == "earned":
        _contact, fixed_cost = contact_and_fixed_cost(result)
        net = Gain(roi.net, roi.net_low, roi.net_high, members)
        text = (
            _(
                "Repeat {name} for everybody who qualifies, or for those alone whom the page of all branches names, "
                "{share} still held out"
            )
            if result.elsewhere
            else _("Repeat {name} for everybody who qualifies, {share} still held out")
        )
        return {
            "text": text.format(name=phrases.name_of(result), share=style.percent(KEPT_OUT, 0)),
            **_repeated(net, (1 - KEPT_OUT) * members / roi.n_treated, fixed_cost),
            "resting_on": tested,
        }
    if roi.verdict == "lost":
        saved = {"value": -roi.net, "low": -roi.net_high, "high": -roi.net_low, "resting_on": tested}
        unplanned = (
            0.0 if not result.cost else result.cost.unplanned * result.cost.charged / max(result.cost.actual, 1e-9)
        )
        if roi.net + unplanned > 0:
            text = (
                _("Repeat {name} only without the unplanned cost: {category}")
                if roi.net_low + unplanned > 0
                else _(
                    "Do not repeat {name} with the unplanned cost, {category}; whether it pays without is not settled"
                )
            ).format(
                name=phrases.name_of(result),
                category=words.category(result.cost.unplanned_category if result.cost else ""),
            )
            saved["resting_on"] = _(
                "randomised test, once a year at this size, if the effect does not hang on that cost"
            )
        elif roi.incremental_low > 0:
            text = _(
                "Run {name} only if it costs less than what it brings in, {limit} a member ({interval}); it cost {cost}"
            ).format(
                name=phrases.name_of(result),
                limit=phrases.money(roi.margin_per_treated, evaluation),
                interval=phrases.interval(
                    roi.incremental_low / roi.n_treated, roi.incremental_high / roi.n_treated, evaluation
                ),
                cost=phrases.money(roi.cost_per_treated, evaluation),
            )
        else:
            text = _("Stop {name}").format(name=phrases.name_of(result))
        return {"text": text} | saved
    if result.elsewhere:
        text = _("Decide on {name} by the result of all branches: {n} members here are too few to tell").format(
            name=phrases.name_of(result), n=style.number(members)
        )
        return {"text": text, "resting_on": _("randomised test, not settled")}
    needed, proposed = result.n_to_settle or 0, proposed_test(result, profile)
    if proposed.state == "too_near":
        text = words.too_near(loss=roi.roi <= 0).format(name=phrases.name_of(result))
        resting = _("randomised test, not settled")
    elif 0 < needed <= WORTH_SETTLING * members:
        n = math.ceil(max(needed, members) / 100) * 100
        text = _("Test {name} again with {n} {customers}, before it is extended or stopped").format(
            name=phrases.name_of(result), n=style.number(n), customers=customers
        )
        resting = _("randomised test, not settled; enough if it truly nets what it netted here")
    elif proposed.state == "planned" and proposed.plan is not None:
        n = math.ceil(max(proposed.plan.n_needed, members) / 100) * 100
        text = _(
            "Test {name} again with {n} {customers}, {share} of them held out, before it is extended or stopped"
        ).format(
            name=phrases.name_of(result),
            n=style.number(n),
            customers=customers,
            share=style.percent(proposed.plan.holdout_share, 0),
        )
        resting = _("randomised test, not settled; enough to find a return of {roi}").format(
            roi=style.percent(proposed.plan.expected_roi, 0)
        )
    else:
        text = words.too_near(loss=False).format(name=phrases.name_of(result))
        resting = _("randomised test, not settled")
    return {"text": text, "resting_on": resting}


def unknowns(evaluation: Evaluation, profile: Profile) -> tuple[str, ...]:
    """What cannot be said about campaigns and their costs, and why."""
    found = [sentence for result in evaluation.closed if (sentence := why_unknown(result, evaluation, profile))]
    for result in evaluation.running:
        found.append(
            _("{name} is too early to judge until {day}; {n} {customers} are being followed.").format(
                name=phrases.name_of(result),
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
                ).format(
                    n=privacy.count(result.gate.n_not_measurable, evaluation.min_cell), name=phrases.name_of(result)
                )
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
        template = (
            _("One cost line ({amount}) belongs to a campaign by kind but names none that exists: it is in no return.")
            if ledger.n_orphaned == 1
            else _(
                "{n} cost lines ({amount}) belong to a campaign by kind but name none that exists: they are in no "
                "return."
            )
        )
        amount = phrases.money(ledger.orphaned_total, evaluation)
        found.append(template.format(n=style.number(ledger.n_orphaned), amount=amount))
    if ledger is not None and ledger.n_negative:
        template = (
            _("One cost line is negative ({amount}) and was left out; book a credit against its own line.")
            if ledger.n_negative == 1
            else _("{n} cost lines are negative ({amount}) and were left out; book a credit against its own line.")
        )
        amount = phrases.money(ledger.negative_total, evaluation)
        found.append(template.format(n=style.number(ledger.n_negative), amount=amount))
    return tuple(found)


def why_unknown(result: CampaignResult, evaluation: Evaluation, profile: Profile) -> str:
    """Why a closed campaign has no return, and what would settle it; empty where it has one."""
    name = phrases.name_of(result)
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
            if found is not None and style.undefined(found.margin_in_window):
                return _(
                    "Whether {name} earned anything: nobody was held out, and what its members paid is withheld: too "
                    "few paid, or one of them nearly all."
                ).format(name=name)
            if found is not None and not found.cost_per_treated:
                return _(
                    "Whether {name} earned anything: nobody was held out, and what it cost is not known, so no test "
                    "against break-even can be planned."
                ).format(name=name)
            if found is not None and found.detectable_roi is None and result.n_treated >= 2 * profile.roi.min_control:
                return _without_spread(result, found.detectable_active, customers)
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
            if result.drawn_by != "customer":
                return _(
                    "What {name} earned: {treated} {units} treated and {control} held out are too few here for a "
                    "return."
                ).format(
                    name=name,
                    treated=privacy.count(int(size["treated"]), evaluation.min_cell),
                    control=privacy.count(int(size["control"]), evaluation.min_cell),
                    units=words.drawn(result.drawn_by),
                )
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
        case "whole_branches":
            return _(
                "What {name} earned here: whole branches were drawn, so that this one is in one arm only. The page of "
                "all branches compares them."
            ).format(name=name)
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


def _without_spread(result: CampaignResult, detectable_active: float | None, customers: str) -> str:
    said = _(
        "Whether {name} earned anything: nobody was held out, and margins of its members did not vary in its window, "
        "so no test of its return can be planned."
    ).format(name=phrases.name_of(result))
    if detectable_active is None:
        return said
    tested = _(
        "Who goes on paying at all can be tested: half held out ({n} {customers}) shows a difference of {points} "
        "points."
    ).format(
        n=style.number(result.n_treated // 2),
        customers=customers,
        points=style.points(detectable_active, 0, sign=False),
    )
    return f"{said} {tested}"


def _blocked(result: CampaignResult, evaluation: Evaluation) -> str:
    failed = {check.code: check.numbers for check in result.gate.checks if check.status == "failed"}
    name = phrases.name_of(result)
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
    if "unit" in failed:
        return _(
            "What {name} earned: {units} were drawn, and for no member is it recorded which one. Supply it "
            "(`customers.household_id`), or every interval would be too narrow."
        ).format(name=name, units=words.drawn(result.drawn_by))
    if "sample_ratio_arms" in failed:
        return _(
            "What {name} earned: the {n} arms that share one control group do not fit the planned shares together "
            "({p}). Something other than chance decided who got what, so no return is stated."
        ).format(
            name=name,
            n=int(failed["sample_ratio_arms"]["arms"]),
            p=style.p_value(failed["sample_ratio_arms"]["p"]),
        )
    if "unplanned" in failed.get("strata", {}):
        n = int(failed["strata"]["unplanned"] + failed["strata"]["empty"])
        template = (
            _(
                "What {name} earned: the profile plans a held-out share by stratum, and one stratum has none or has "
                "members in one arm only. No return is stated; complete `roi.planned_control_share`."
            )
            if n == 1
            else _(
                "What {name} earned: the profile plans a held-out share by stratum, and {n} strata have none or have "
                "members in one arm only. No return is stated; complete `roi.planned_control_share`."
            )
        )
        return template.format(name=name, n=n)
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
