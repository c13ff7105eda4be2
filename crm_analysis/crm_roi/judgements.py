"""Results to findings: net, return, break-even and unplanned cost of campaigns, each sentence beside its number."""

from __future__ import annotations

from crm_analysis import privacy, style
from crm_analysis.crm_roi import phrases, words
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["findings", "measures"]


def findings(evaluation: Evaluation) -> list[Finding]:
    """What the page claims of the campaigns, together and one by one, the largest stake first."""
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
        "before_shared": _(
            "**All controlled programmes together: margin gained {margin}, cost {cost}**; the net of {net} before "
            "shared systems and data is within chance."
        ),
        "fell": _("**All controlled programmes together cost {cost}, and margin fell by {fall}**: {net} net."),
        "perhaps_fell": _(
            "**All controlled programmes together cost {cost}**: {net} net. That margin was {fall} lower is within "
            "chance; only the net loss is settled."
        ),
        "perhaps_rose": _(
            "**All controlled programmes together cost {cost}**: {net} net. That margin was {margin} higher is within "
            "chance; only the net loss is settled."
        ),
    }[
        "before_shared"
        if portfolio.settled_by_shared
        else _outcome(portfolio.verdict, portfolio.incremental_margin, portfolio.margin_low, portfolio.margin_high)
    ]
    sentence = template.format(
        fall=phrases.money(abs(portfolio.incremental_margin), evaluation),
        margin=phrases.money(portfolio.incremental_margin, evaluation),
        cost=phrases.money(portfolio.cost, evaluation),
        net=phrases.money(portfolio.net, evaluation, beside=(portfolio.low, portfolio.high)),
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
        tone=phrases.tone(portfolio.verdict),
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


def _outcome(verdict: str, margin: float, margin_low: float, margin_high: float) -> str:
    """The verdict; of a loss, also whether margin `fell`, or `perhaps_fell` or `perhaps_rose`, within chance."""
    if verdict != "lost" or margin_low > 0:
        return verdict
    if margin_high < 0:
        return "fell"
    return "perhaps_fell" if margin < 0 else "perhaps_rose"


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
            ).format(name=phrases.name_of(result), gain=phrases.money(plain.difference, evaluation)),
            value=plain.difference,
            low=plain.low,
            high=plain.high,
            unit="money",
            basis=_("randomised, Welch 95 %"),
            n=_members(result, evaluation),
            tone="wait",
            causal=True,
            label=_("Margin gained per member, {name}").format(name=result.name),
            query=evaluation.query,
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
            "**{name} is not settled**: net {signed} ({interval}), from a margin gained of {margin} ({gained}) at a "
            "cost of {cost}; had every result been equally likely beforehand, the chance that it earned would be "
            "{chance}."
        ),
        "fell": _("**{name} lost {net}** ({interval}): it cost {cost}, and margin fell by {fall} instead of rising."),
        "perhaps_fell": _(
            "**{name} lost {net}** ({interval}): it cost {cost}. That margin was {fall} lower is within chance; "
            "only the net loss is settled."
        ),
        "perhaps_rose": _(
            "**{name} lost {net}** ({interval}): it cost {cost}. That margin was {margin} higher is within chance; "
            "only the net loss is settled."
        ),
    }[_outcome(roi.verdict, roi.incremental_margin, roi.incremental_low, roi.incremental_high)]
    sentence = template.format(
        name=phrases.name_of(result),
        fall=phrases.money(abs(roi.incremental_margin), evaluation),
        interval=phrases.loss_interval(roi.net_low, roi.net_high, evaluation, lost=roi.verdict == "lost"),
        signed=phrases.money(roi.net, evaluation, beside=(roi.net_low, roi.net_high)),
        net=phrases.money(abs(roi.net), evaluation, beside=(roi.net_low, roi.net_high)),
        cost=phrases.money(roi.cost, evaluation),
        margin=phrases.money(roi.incremental_margin, evaluation),
        gained=phrases.interval(roi.incremental_low, roi.incremental_high, evaluation),
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
        tone=phrases.tone(roi.verdict),
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
            "{lift}; the estimates of controlled programmes here run from {own}."
        )
    elif found.n_own == 1:
        sentence = _(
            "**{name} cost {total} and nobody was held out.** To break even it must have raised its members' margin by "
            "{lift}; the estimate of the one controlled programme here is {own}."
        )
    else:
        sentence = _(
            "**{name} cost {total} and nobody was held out.** To break even it must have raised its members' margin "
            "by {lift}."
        )
    return Finding(
        key=f"crm_roi.{result.key}.break_even",
        sentence=sentence.format(
            name=phrases.name_of(result),
            total=phrases.money(found.cost_per_treated * result.n_treated, evaluation),
            cost=phrases.money(found.cost_per_treated, evaluation),
            lift=style.percent(found.break_even_lift, 0),
            margin=phrases.money(found.margin_in_window, evaluation),
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
        amount=phrases.money(cost.unplanned, evaluation),
        name=phrases.name_of(result),
        category=words.category(cost.unplanned_category),
        actual=phrases.money(cost.actual, evaluation),
        planned=phrases.money(cost.planned, evaluation),
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
        query=evaluation.ledger.query if evaluation.ledger else "",
    )


def measures(evaluation: Evaluation) -> tuple[Finding, ...]:
    """Further values for the front page and for comparison between branches."""
    portfolio = evaluation.portfolio
    if portfolio is None:
        return ()
    measures = []
    if portfolio.n_campaigns == 1:
        measures.append(_net_finding(evaluation))
    if portfolio.shared:
        measures.append(
            Finding(
                key="crm_roi.net_after_shared",
                sentence=phrases.with_shared(portfolio, evaluation),
                value=portfolio.net - portfolio.shared,
                low=portfolio.low - portfolio.shared,
                high=portfolio.high - portfolio.shared,
                unit="money",
                basis=_("randomised, clustered by person, 95 %; shared costs as booked"),
                n=portfolio.n_members,
                tone=phrases.tone(portfolio.verdict_with_shared),
                causal=True,
                label=_("Net of programmes after shared costs"),
                definition=_(
                    "Net of the controlled campaigns whose window closed in the period, less the systems and data that "
                    "fall in it. Those also serve programmes that nobody can judge."
                ),
                filters=_filters(),
                query=evaluation.query,
            )
        )
    return tuple(measures)


def _filters() -> tuple[str, ...]:
    return (
        _("campaigns whose outcome window closed in the period"),
        _("members in one arm only, whose window is covered by their branch's data"),
        _("transactions from the day of assignment to the end of the window, refunds taken off"),
    )
