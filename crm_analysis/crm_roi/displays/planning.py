"""The plan of the next test: one page of who, how many, how long, what it costs and what it can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import words
from crm_analysis.crm_roi.planning import (
    DEFAULT_RETURN,
    MOST_USEFUL_ROI,
    WORTH_SETTLING,
    NextTest,
    TestPlan,
    holdout_options,
    power_curve,
)
from crm_analysis.findings import Finding
from crm_analysis.language import _
from crm_analysis.profile import Profile

if TYPE_CHECKING:
    from crm_analysis.crm_roi.study import Study

__all__ = ["curves", "findings", "options", "power", "sheet"]

_FINE = 81
_SHOWN_RETURNS = (0.0, 0.5, 1.0, 2.0, 3.0)
_LABELS = (0.45, 0.55, 0.65, 0.35, 0.75)
_CURVE_SHARES = (0.1, 0.2, 0.5)


def curves(found: NextTest) -> pd.DataFrame:
    """holdout_share, roi, earned, lost, planned, label_at (height at which a line is labelled), for the chart."""
    if found.state != "planned" or found.plan is None:
        return pd.DataFrame(columns=["holdout_share", "roi", "earned", "lost", "planned", "label_at"])
    plan = found.plan
    right = max(2.0, math.ceil(1.5 * plan.detectable_roi))
    shares = _shares(plan)
    frame = power_curve(plan, returns=tuple(np.linspace(-1.0, right, _FINE)), shares=shares)
    heights = dict(zip(shares, _LABELS, strict=False))
    return frame.assign(
        planned=frame["holdout_share"] == plan.holdout_share, label_at=frame["holdout_share"].map(heights)
    )


def _shares(plan: TestPlan) -> list[float]:
    """The planned share, and others that are told apart from it."""
    others = [share for share in _CURVE_SHARES if abs(share - plan.holdout_share) > 0.04]  # noqa: PLR2004
    return sorted([plan.holdout_share, *others])


def power(found: NextTest, *, profile: Profile) -> dict[str, Any]:
    """Words and table of the power curves, as keyword arguments of `report.figure`."""
    if found.state != "planned" or found.plan is None:
        return {"title": "", "alt": " ", "how_to_read": ""}
    plan = found.plan
    return {
        "title": _("What the next test can show"),
        "table": _power_table(plan, profile.currency, told=_told(found, profile)),
        "alt": _(
            "Chance that the verdict is “earned” by true return; with {share} held out a return of {roi} is found with "
            "80 % chance."
        ).format(share=style.percent(plan.holdout_share, 0), roi=words.return_seen(plan.detectable_roi, planned=True)),
        "how_to_read": _(
            "Each line is a share held out, the thick one the plan. Read upward from a return: the height is the "
            "chance that a programme which truly earns so much is seen to earn. At break-even it is 2.5 % whatever the "
            "list. Holding out more than half shows less again."
        ),
    }


def _told(found: NextTest, profile: Profile) -> bool:
    """Whether how many members there are may be told beside the branches' own pages."""
    return not privacy.total_tells(found.by_branch, profile.privacy.min_cell)


def _power_table(plan: TestPlan, currency: str, *, told: bool) -> pd.DataFrame:
    """Share by share; without the columns that would tell how many members there are, where that is hidden."""
    rows = []
    for each in holdout_options(plan):
        chances = power_curve(each, returns=_SHOWN_RETURNS)["earned"]
        forgone = _("Forgone at a return of {roi}").format(roi=style.percent(each.expected_roi, 0))
        counted = {
            _("Members held out"): style.number(each.n_control),
            forgone: style.money(each.forgone, currency),
        }
        rows.append(
            {
                _("Held out"): style.percent(each.holdout_share, 0),
                _("Smallest return shown"): words.return_seen(each.detectable_roi, planned=True),
            }
            | (counted if told else {})
            | {
                _("Seen at {roi}").format(roi=style.percent(roi, 0)): style.percent(chance, 0)
                for roi, chance in zip(_SHOWN_RETURNS, chances, strict=True)
            }
        )
    return pd.DataFrame(rows)


def sheet(study: Study, *, profile: Profile) -> dict[str, Any]:
    """The plan of the next test, as keyword arguments of `report.table`; why there is none where there is none."""
    found = study.next_test
    if study.evaluation.without_tables:
        return {"frame": None}
    title = _("The next test: what would settle the costliest unknown")
    if found.state != "planned":
        return {"title": title, "frame": pd.DataFrame(), "note": _why_not(found)}
    return {"title": title, "frame": options(found, profile=profile), "note": _assumes()}


def _assumes() -> str:
    return _(
        "Tested against break-even, not against zero: the programme must bring back what it costs. The spread is that "
        "of the same members in the programme's own window, so that the next list is taken to be chosen alike; each "
        "customer is taken to react alike. The return to find is 100 %, or where the result so far excludes that, the "
        "one that it showed (the most that it leaves, where it showed a loss); a programme for which that takes more "
        "than {times} times its list is passed over. "
        "`crm-analysis plan` makes such a plan for any list, `crm-analysis export` draws who is held out and writes "
        "whom to contact."
    ).format(times=WORTH_SETTLING)


def _why_not(found: NextTest) -> str:
    name = "" if found.campaign is None else style.escape(found.campaign.name)
    if found.state == "too_near" and found.campaign is not None and found.campaign.roi is not None:
        if found.campaign.elsewhere:
            return _(
                "No test of {name} is planned here: what its result leaves is too near to break-even to be found among "
                "the members here. Decide by the result of all branches."
            ).format(name=name)
        advised = words.too_near(loss=found.campaign.roi.roi <= 0).format(name=name)
        return _("{advised}. No test of it is planned.").format(advised=advised)
    return {
        "settled": _("No programme that closed in the period is left unsettled, so no test is proposed."),
        "unknown_cost": _("What the unsettled programmes cost is not known, so break-even cannot be tested."),
        "short_list": _("The list of {name} is too short for two arms that can be compared."),
        "no_spread": _("Margins of the members of {name} did not vary in its window, so no test can be planned."),
        "hopeless": _(
            "No test of {name} is worth planning: as its members' margins varied in its window, even half of them held "
            "out would not show a return of {roi} or less. Test whether members go on paying at all, or spend less on "
            "each."
        ),
        "withheld": _("No test is planned on the list of {name}: too few of it paid, or one nearly all."),
    }[found.state].format(name=name, roi=style.percent(MOST_USEFUL_ROI, 0))


def options(found: NextTest, *, profile: Profile) -> pd.DataFrame:
    """The page of the plan: question, who, arms, window, cost, what it can show and how long it takes."""
    plan, campaign, adjusted, spread = found.plan, found.campaign, found.adjusted, found.spread
    assert plan is not None and campaign is not None and adjusted is not None and spread is not None
    currency = profile.currency
    who = privacy.count(plan.n_units, profile.privacy.min_cell, parts=found.by_branch)
    told = _told(found, profile)
    rows = [
        (_("Question"), _("Does {name} bring back what it costs?").format(name=style.plain(campaign.name))),
        (_("Why this one"), _reason(found, currency)),
        (_("Whom"), _("the {n} members of {name}").format(n=who, name=style.plain(campaign.name))),
        (_("Held out, drawn at random"), _arms(plan, told=told)),
        (_("Drawn alike in"), _("every branch and tenth of value")),
        (_("Outcome"), _("margin from the day of the draw to {days} days after it").format(days=plan.window_days)),
        (
            _("Cost"),
            _("{each} for each treated").format(each=style.money(plan.cost_per_treated, currency))
            + (", " + _("{total} in all").format(total=style.money(plan.cost, currency)) if told else ""),
        ),
        (
            _("Spread it must beat"),
            _("standard deviation of {sd} a member, in the programme's own window").format(
                sd=style.money(spread.standard_deviation, currency)
            ),
        ),
        (
            _("One wave can show") if _in_waves(plan) else _("It can show"),
            _("a return of {roi} or more with 80 % chance ({adjusted} adjusted for value before)").format(
                roi=words.return_seen(plan.detectable_roi, planned=True),
                adjusted=words.return_seen(adjusted.detectable_roi, planned=True),
            ),
        ),
        (_("Duration"), _duration(plan)),
    ]
    return pd.DataFrame(rows, columns=[_("Test plan"), _("Value")])


def _reason(found: NextTest, currency: str) -> str:
    campaign = found.campaign
    assert campaign is not None and found.plan is not None
    spent = style.money(found.plan.cost_per_treated * campaign.n_treated, currency)
    why = _("the result is not settled") if campaign.roi else words.state(campaign.state)
    if campaign.roi and campaign.elsewhere:
        why = _("the result is not settled here; where that of all branches is, no test is needed")
    text = _("{cost} spent here, and {why}").format(cost=spent, why=why)
    if not found.passed_over:
        return text
    names = ", ".join(style.plain(result.name) for result in found.passed_over)
    return _("{reason}; {names} cost more, but no test of that list would settle it").format(reason=text, names=names)


def _arms(plan: TestPlan, *, told: bool) -> str:
    share = style.percent(plan.holdout_share, 0)
    text = _("{share}: {control} held out, {treated} treated").format(
        share=share, control=style.number(plan.n_control), treated=style.number(plan.n_treated)
    )
    text = text if told else share
    if plan.best_share is None:
        return _("{arms}; the most that this list can show").format(arms=text)
    return _("{arms}; the fewest with which a return of {roi} is found").format(
        arms=text, roi=style.percent(plan.expected_roi, 0)
    )


def _in_waves(plan: TestPlan) -> bool:
    """Whether what the result so far leaves possible shows in several waves of the list alone."""
    return plan.expected_roi < DEFAULT_RETURN and plan.n_waves > 1


def _duration(plan: TestPlan) -> str:
    if plan.n_waves == 1:
        return _("one outcome window, {days} days").format(days=style.number(plan.duration_days))
    return _(
        "{waves} waves of such a list, {days} days, until a return of {roi} is found; {n} members are needed"
    ).format(
        waves=style.number(plan.n_waves),
        days=style.number(plan.duration_days),
        roi=style.percent(plan.expected_roi, 0),
        n=style.number(plan.n_needed),
    )


def findings(study: Study) -> tuple[Finding, ...]:
    """The smallest return that the next test would show."""
    found = study.next_test
    if found.state != "planned" or found.plan is None or found.campaign is None:
        return ()
    plan = found.plan
    said = {"share": style.percent(plan.holdout_share, 0), "name": style.escape(found.campaign.name)}
    if _in_waves(plan):
        sentence = _(
            "Hold out {share} of {name} in {waves} waves: a return of {roi} or more, which its result leaves possible, "
            "would then show."
        ).format(**said, waves=style.number(plan.n_waves), roi=style.percent(plan.expected_roi, 0))
        basis = _("smallest return found with 80 % chance by all waves together, two-sided 5 %, against break-even")
    else:
        sentence = _("Hold out {share} of {name} next time: a return of {roi} or more would then show.").format(
            **said, roi=words.return_seen(plan.detectable_roi, planned=True)
        )
        basis = _("smallest return found with 80 % chance, two-sided 5 %, against break-even")
    return (
        Finding(
            key="crm_roi.next_test",
            sentence=sentence,
            value=plan.expected_roi if _in_waves(plan) else plan.detectable_roi,
            unit="share",
            basis=basis,
            n=None,
            label=_("Next test: smallest return shown"),
            definition=_(
                "(z.975 + z.8) times the standard error of the difference in margin per member, over the cost per "
                "treated member"
            ),
        ),
    )
