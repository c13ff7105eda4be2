"""Planning a test before it starts: what a list can show against break-even, whom to hold out, and for how long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from crm_analysis import privacy
from crm_analysis.crm_roi.effects import net_of_behaviour
from crm_analysis.crm_roi.history import margins_in, past_windows
from crm_analysis.crm_roi.ledger import CampaignCost
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.estimators.designs import smallest_detectable_difference

if TYPE_CHECKING:
    from crm_analysis.profile import Profile
    from crm_analysis.tables import Scope

__all__ = [
    "DEFAULT_RETURN",
    "DEFAULT_WINDOW_DAYS",
    "MOST_USEFUL_ROI",
    "NextTest",
    "Spread",
    "TestPlan",
    "WORTH_SETTLING",
    "chance_of_verdict",
    "holdout_options",
    "next_test",
    "plan_test",
    "power_curve",
    "proposed_test",
    "spread_in_window",
    "spread_of",
]

POWER, SIGNIFICANCE = 0.8, 0.05
SHARES = tuple(round(0.01 * step, 2) for step in range(1, 51))
OFFERED_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
CURVE_RETURNS = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
DEFAULT_RETURN, DEFAULT_WINDOW_DAYS = 1.0, 90
MOST_WINDOWS = 4
MOST_USEFUL_ROI = 3.0
"""A test that shows no smaller return than this is not worth proposing."""
WORTH_SETTLING = 10
"""A test that would need more than this many times the members is not worth repeating as it is."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How much margin per customer and window varies from one customer of a list to the next, seen in past windows.

    `standard_deviation` is that within a window, pooled over `n_windows` windows; money in the profile's currency.
    `explained` is the share of its square that margin in the year before the window predicts (CUPED), pooled too.
    `n_paid` customers left anything in these windows; `largest` is the share of the largest of them in it.
    """

    n_units: int
    n_windows: int
    window_days: int
    mean: float
    standard_deviation: float
    explained: float
    n_paid: int
    largest: float


@dataclass(frozen=True, slots=True)
class TestPlan:
    """A test of `n_units` customers of whom `holdout_share` are held out; money in the profile's currency.

    Everything is against break-even: `detectable_roi` is the smallest true return at which the verdict is "earned" with
    chance `power`, so that `detectable_margin` is what a treated customer must then leave on top. `best_share` is the
    smallest share to hold out with which `expected_roi` is found with that power, None where not even half would do;
    `forgone` is the net that the customers held out would have brought at `expected_roi`. `n_needed` is the number of
    customers with whom `expected_roi` is found when `holdout_share` of them are held out; where the list is shorter it
    takes `n_waves` waves of it and `duration_days` days, one outcome window after the other.
    """

    n_units: int
    holdout_share: float
    n_treated: int
    n_control: int
    min_control: int
    window_days: int
    contact_cost: float
    fixed_cost: float
    cost_per_treated: float
    cost: float
    standard_deviation: float
    detectable_margin: float
    detectable_roi: float
    expected_roi: float
    chance_at_expected: float
    best_share: float | None
    forgone: float
    n_needed: int
    n_waves: int
    duration_days: int
    significance: float
    power: float


@dataclass(frozen=True, slots=True)
class NextTest:
    """The test that would settle the costliest campaign of which nobody knows what it earned.

    `state` is planned, hopeless (a plan is made, but no test of any list shows a return of `MOST_USEFUL_ROI` or less),
    too_near (a plan is made, but the result leaves only returns so near to break-even that finding one takes more than
    `WORTH_SETTLING` times the list), settled (nothing is unknown), unknown_cost, no_spread, short_list or withheld.
    `plan` and the rest are there for the first three alone; `adjusted` is the same test read with CUPED. `passed_over`
    cost more, but no test of their lists would show a useful return that is possible still, or none can be planned.
    """

    state: str
    campaign: CampaignResult | None = None
    spread: Spread | None = None
    plan: TestPlan | None = None
    adjusted: TestPlan | None = None
    by_branch: tuple[int, ...] = ()
    passed_over: tuple[CampaignResult, ...] = ()


def plan_test(
    n_units: int,
    *,
    standard_deviation: float,
    contact_cost: float,
    fixed_cost: float = 0.0,
    holdout_share: float | None = None,
    expected_roi: float = DEFAULT_RETURN,
    window_days: int = DEFAULT_WINDOW_DAYS,
    min_control: int = 30,
    significance: float = SIGNIFICANCE,
    power: float = POWER,
) -> TestPlan:
    """What a randomised test of a list can show, in money and against break-even.

    `standard_deviation` is that of the margin per customer in one outcome window, `contact_cost` the cost of treating
    one customer, `fixed_cost` whatever is spent besides. Without `holdout_share` the best one is taken, half where none
    is enough. The verdict is "earned" where the `1 - significance` interval of the net lies above zero; the effect is
    taken to be added to everybody's margin, and arms are large enough for the normal distribution.

    Raises ValueError where nothing is spent (no return is defined then), the spread is zero or unknown, a share is not
    between 0 and 1, or the list cannot fill two arms of `min_control`.
    """
    if not (math.isfinite(standard_deviation) and standard_deviation > 0):
        raise ValueError("without any spread in margin there is nothing that a test could be planned on")
    if contact_cost < 0 or fixed_cost < 0 or contact_cost + fixed_cost <= 0:
        raise ValueError("a return needs a cost: give what a contact costs, or what is spent besides")
    if holdout_share is not None and not 0 < holdout_share < 1:
        raise ValueError(f"a share between 0 and 1 is held out, not {holdout_share}")
    if n_units < 2 * min_control:
        raise ValueError(f"two arms of at least {min_control} need {2 * min_control} customers, not {n_units}")
    if expected_roi <= 0:
        raise ValueError("the return to be found must lie above zero: at break-even there is nothing to find")
    reach = float(stats.norm.ppf(1 - significance / 2) + stats.norm.ppf(power))

    def arms(share: float) -> tuple[int, int, float]:
        n_control = round(share * n_units)
        n_treated = n_units - n_control
        return n_treated, n_control, contact_cost + fixed_cost / n_treated

    def seen(share: float) -> float:
        n_treated, n_control, cost = arms(share)
        return (
            smallest_detectable_difference(
                n_treated, n_control, standard_deviation=standard_deviation, significance=significance, power=power
            )
            / cost
        )

    possible = [share for share in SHARES if round(share * n_units) >= min_control]
    best = next((share for share in possible if seen(share) <= expected_roi), None)
    share = holdout_share if holdout_share is not None else best or possible[-1]
    n_treated, n_control, cost = arms(share)
    if n_control < 1 or n_treated < 1:
        raise ValueError(f"a share of {share} of {n_units} leaves an arm empty")
    detectable = seen(share)
    n_needed = math.ceil((reach * standard_deviation / (expected_roi * cost)) ** 2 / (share * (1 - share)))
    n_waves = max(1, math.ceil(n_needed / n_units))
    error = standard_deviation * math.sqrt(1 / n_treated + 1 / n_control)
    return TestPlan(
        n_units=n_units,
        holdout_share=share,
        n_treated=n_treated,
        n_control=n_control,
        min_control=min_control,
        window_days=window_days,
        contact_cost=contact_cost,
        fixed_cost=fixed_cost,
        cost_per_treated=cost,
        cost=cost * n_treated,
        standard_deviation=standard_deviation,
        detectable_margin=cost * (1 + detectable),
        detectable_roi=detectable,
        expected_roi=expected_roi,
        chance_at_expected=float(chance_of_verdict(expected_roi * cost, error, significance=significance)[0]),
        best_share=best,
        forgone=n_control * expected_roi * cost,
        n_needed=n_needed,
        n_waves=n_waves,
        duration_days=n_waves * (window_days + 1),
        significance=significance,
        power=power,
    )


def chance_of_verdict(
    net_per_treated: ArrayLike, error: float, *, significance: float = SIGNIFICANCE
) -> tuple[np.ndarray, np.ndarray]:
    """Chances that the verdict is "earned" and that it is "lost", when a treated customer truly nets so much.

    `error` is the standard error of the difference in means.
    """
    critical = float(stats.norm.ppf(1 - significance / 2))
    shift = np.asarray(net_per_treated, dtype=float) / error
    return stats.norm.sf(critical - shift), stats.norm.cdf(-critical - shift)


def power_curve(
    plan: TestPlan, *, returns: Sequence[float] = CURVE_RETURNS, shares: Sequence[float] | None = None
) -> pd.DataFrame:
    """Chance of each verdict by true return: columns holdout_share, roi, earned, lost; the plan's share where None.

    Shares that hold out fewer than the plan's `min_control` are left out.
    """
    frames = []
    for share in (plan.holdout_share,) if shares is None else shares:
        n_control = round(share * plan.n_units)
        n_treated = plan.n_units - n_control
        if min(n_control, n_treated) < plan.min_control:
            continue
        cost = plan.contact_cost + plan.fixed_cost / n_treated
        error = plan.standard_deviation * math.sqrt(1 / n_treated + 1 / n_control)
        earned, lost = chance_of_verdict(np.asarray(returns) * cost, error, significance=plan.significance)
        frames.append(pd.DataFrame({"holdout_share": share, "roi": list(returns), "earned": earned, "lost": lost}))
    if not frames:
        return pd.DataFrame(columns=["holdout_share", "roi", "earned", "lost"])
    return pd.concat(frames, ignore_index=True)


def holdout_options(plan: TestPlan, *, shares: Sequence[float] = OFFERED_SHARES) -> tuple[TestPlan, ...]:
    """The same test with other shares held out, those left out that hold out fewer than `min_control`."""
    every = sorted({*shares, plan.holdout_share})
    return tuple(
        plan_test(
            plan.n_units,
            standard_deviation=plan.standard_deviation,
            contact_cost=plan.contact_cost,
            fixed_cost=plan.fixed_cost,
            holdout_share=share,
            expected_roi=plan.expected_roi,
            window_days=plan.window_days,
            min_control=plan.min_control,
            significance=plan.significance,
            power=plan.power,
        )
        for share in every
        if round(share * plan.n_units) >= plan.min_control
    )


def spread_in_window(units: pd.DataFrame, cost: CampaignCost | None, *, window_days: int) -> Spread:
    """The spread of margin among the members of a campaign (rows of its gate) in its own window.

    What a treated member's own behaviour cost is off the margin, as in the net that decides. Within arms, so that what
    the campaign changed on average is not in it; NaN with fewer than two members.
    """
    arms = units["arm"]
    net = pd.Series(net_of_behaviour(units, cost), index=units.index)
    margin, before = (of - of.groupby(arms).transform("mean") for of in (net, units["margin_before"]))
    freedom = len(units) - arms.nunique()
    varies = freedom > 0 and bool(margin.any()) and bool(before.any())
    left = units["margin"].abs()
    return Spread(
        n_units=len(units),
        n_windows=1,
        window_days=window_days,
        mean=float(units["margin"].mean()),
        standard_deviation=math.sqrt(float((margin**2).sum()) / freedom) if freedom > 0 else math.nan,
        explained=float(np.corrcoef(margin, before)[0, 1]) ** 2 if varies else 0.0,
        n_paid=int((left > 0).sum()),
        largest=float(left.max() / left.sum()) if left.any() else 0.0,
    )


def spread_of(scope: Scope, customer_ids: pd.Series, *, window_days: int) -> Spread:
    """The spread of margin among `customer_ids` in past windows; NaN where the data hold no whole window.

    Up to four windows before the scope's end are pooled, because a list is often chosen by what happened in the last
    one (who went silent has paid nothing in it). A customer without a payment counts with zero.
    """
    ids = pd.Index(customer_ids).unique()
    windows = past_windows(scope, window_days=window_days, most=MOST_WINDOWS)
    found = margins_in(scope, windows, ids)
    variances, explained, means = [], [], []
    left = np.zeros(len(ids))
    for number in range(len(windows)):
        own = found[found["window"] == number].set_index("customer_id").reindex(ids)
        margin, before = (own[name].fillna(0.0).to_numpy(float) for name in ("margin", "margin_before"))
        if len(ids) < 2 or margin.std() == 0:
            variances.append(0.0)
            explained.append(0.0)
        else:
            variances.append(float(margin.var(ddof=1)))
            together = float(np.corrcoef(margin, before)[0, 1]) ** 2 if before.std() > 0 else 0.0
            explained.append(together * variances[-1])
        left += np.abs(margin)
        means.append(float(margin.mean()) if len(ids) else math.nan)
    total = float(np.sum(variances))
    return Spread(
        n_units=len(ids),
        n_windows=len(windows),
        window_days=window_days,
        mean=float(np.mean(means)) if means else math.nan,
        standard_deviation=math.sqrt(total / len(windows)) if windows else math.nan,
        explained=float(np.sum(explained)) / total if total > 0 else 0.0,
        n_paid=int((left > 0).sum()),
        largest=float(left.max(initial=0.0) / left.sum()) if left.any() else 0.0,
    )


def next_test(scope: Scope, evaluation: Evaluation) -> NextTest:
    """The test that settles the costliest campaign of the period without a verdict, on its own list.

    Cost per treated member is what the campaign cost here, the spread is that of its members in its own window, after
    they had been chosen as they will be again: in the windows before, whatever they were chosen by would be in it. The
    plan takes the share to hold out that finds a return of `DEFAULT_RETURN` (less, where a result so far excludes
    that), half where none does. A campaign of which no test would show a useful return, or none of a reasonable size
    one that its result leaves possible, gives way to the next costliest; where there is no other, its plan says so.
    """
    unknown = [result for result in evaluation.closed if result.verdict == "unknown" and len(result.gate.units)]
    if not unknown:
        return NextTest("settled")
    known = [result for result in unknown if _cost_per_treated(result) > 0]
    if not known:
        return NextTest("unknown_cost")
    known.sort(key=lambda result: (-_cost_per_treated(result) * result.n_treated, result.campaign_id))
    best: NextTest | None = None
    for place, result in enumerate(known):
        found = replace(proposed_test(result, scope.profile), passed_over=tuple(known[:place]))
        if found.state == "planned":
            return found
        if best is None or (found.plan is not None and best.plan is None):
            best = found
    assert best is not None
    return best


def proposed_test(campaign: CampaignResult, profile: Profile) -> NextTest:
    """A test on the list of one campaign, or why none is proposed."""
    units = campaign.gate.units
    if not _cost_per_treated(campaign) > 0:
        return NextTest("unknown_cost", campaign)
    if len(units) < 2 * profile.roi.min_control:
        return NextTest("short_list", campaign)
    spread = spread_in_window(units, campaign.cost, window_days=campaign.window_days)
    if not spread.standard_deviation > 0:
        return NextTest("no_spread", campaign)
    if privacy.small(spread.n_paid, profile.privacy.min_cell) or spread.largest > profile.privacy.dominance_share:
        return NextTest("withheld", campaign)

    def planned(standard_deviation: float, share: float | None) -> TestPlan:
        return plan_test(
            len(units),
            standard_deviation=standard_deviation,
            contact_cost=_cost_per_treated(campaign),
            holdout_share=share,
            expected_roi=_return_to_find(campaign),
            window_days=campaign.window_days,
            min_control=profile.roi.min_control,
        )

    plan = planned(spread.standard_deviation, None)
    adjusted = planned(spread.standard_deviation * math.sqrt(1 - spread.explained), plan.holdout_share)
    if plan.expected_roi < DEFAULT_RETURN:
        state = "planned" if plan.n_needed <= WORTH_SETTLING * len(units) else "too_near"
    else:
        state = "planned" if plan.detectable_roi <= MOST_USEFUL_ROI else "hopeless"
    return NextTest(state, campaign, spread, plan, adjusted, tuple(int(n) for n in units["branch"].value_counts()))


def _return_to_find(campaign: CampaignResult) -> float:
    """`DEFAULT_RETURN`; where a result so far excludes it, the return that it showed, or the most that it leaves."""
    roi = campaign.roi
    if roi is None or roi.roi_high is None or not 0 < roi.roi_high < DEFAULT_RETURN:
        return DEFAULT_RETURN
    return roi.roi if roi.roi > 0 else roi.roi_high


def _cost_per_treated(result: CampaignResult) -> float:
    """What a treated member cost, fixed costs and discounts included; zero where that is not known."""
    if result.roi is not None:
        return result.roi.cost_per_treated
    if result.uncontrolled is not None:
        return result.uncontrolled.cost_per_treated or 0.0
    return result.cost.charged / result.n_treated if result.cost is not None and result.n_treated else 0.0
