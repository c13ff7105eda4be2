"""A campaign and a plan as text for a terminal."""

from __future__ import annotations

from crm_analysis import style
from crm_analysis.crm_roi.planning import TestPlan, holdout_options, power_curve
from crm_analysis.launch.campaign import Launched, said_left_out
from crm_analysis.launch.lists import CustomerList
from crm_analysis.launch.planning import Outlook
from crm_analysis.launch.screening import Screening
from crm_analysis.profile import Profile

__all__ = ["said", "said_plan"]

_RETURNS = (0.0, 0.5, 1.0, 2.0, 3.0)


def said(made: Launched, shown: Outlook | None, profile: Profile) -> str:
    """What was written, for whom, who was left out, and what it can show."""
    order = made.order
    lines = [
        f"campaign    {order.name} ({order.programme}{f', {order.owner}' if order.owner else ''})",
        *_list_lines(made.source, made.screening),
        f"arms        {made.n_treated:,} to contact, {made.n_control:,} held out "
        f"({made.n_control / len(made.members):.1%}), drawn alike in {made.n_strata} strata of branch and value "
        f'decile; salt "{order.name}" draws the same again',
        f"outcome     margin from {order.starts_on}, {order.window_days} days after it included; fixed now",
    ]
    if order.contact_cost is None:
        lines.append("cost        not known; no return is stated unless the costs table has lines of this campaign")
    else:
        lines.append(f"cost        {style.money(order.contact_cost, profile.currency)} a contact")
    if shown is not None:
        lines.append(f"can show    {_shows(shown.plain)}")
    lines += [f"{made.contacts}  {made.n_treated:,} customers to contact", f"{made.folder}  read back by every run"]
    return "\n".join(lines)


def said_plan(source: CustomerList, screening: Screening, outlook: Outlook, profile: Profile) -> str:
    """What a test of a list can show, share by share, and the chance of each verdict."""
    plan, spread, currency = outlook.plain, outlook.spread, profile.currency
    lines = _list_lines(source, screening)
    windows = "one past window" if spread.n_windows == 1 else f"{spread.n_windows} past windows"
    lines += [
        f"spread      {style.money(spread.standard_deviation, currency)} standard deviation of margin per customer, "
        f"over {windows} of {spread.window_days + 1} days; {spread.explained:.0%} of its square "
        "foreseen by the year before",
        f"cost        {style.money(plan.cost_per_treated, currency)} for each of {plan.n_treated:,} treated, "
        f"{style.money(plan.cost, currency)} in all; break-even is that much more margin from each of them",
        f"can show    {_shows(plan)}",
        f"            adjusted for value before: a return of {_return(outlook.adjusted)} or more",
        f"forgone     {style.money(plan.forgone, currency)}, what those held out would have brought at a return of "
        f"{plan.expected_roi:.0%}",
        f"duration    {_duration(plan)}",
        "",
        f"{'held out':>10}{'customers':>11}{'return shown':>14}{'forgone':>14}"
        + "".join(f"{f'at {value:.0%}':>9}" for value in _RETURNS),
    ]
    for each in holdout_options(plan):
        chances = power_curve(each, returns=_RETURNS)["earned"]
        lines.append(
            f"{each.holdout_share:>10.0%}{each.n_control:>11,}{_return(each):>14}"
            f"{style.money(each.forgone, currency):>14}" + "".join(f"{chance:>9.0%}" for chance in chances)
        )
    lines.append('The last columns: chance that the verdict is "earned" when the true return is so much.')
    return "\n".join(lines)


def _list_lines(source: CustomerList, screening: Screening) -> list[str]:
    lines = [
        f"list        {source.name}: {len(source.customer_ids):,} customers (state on {source.as_of})",
        f"left out    {said_left_out(screening)}",
    ]
    if screening.consent_on is None:
        lines.append(
            "            the data hold no consent (customers.consent_contact): nobody could be left out for it"
        )
    if not screening.limited:
        lines.append("            the profile limits no contacts (contact_limits)")
    return lines


def _shows(plan: TestPlan) -> str:
    said = (
        f"a return of {_return(plan)} or more is found with {plan.power:.0%} chance; a return of "
        f"{plan.expected_roi:.0%} with {plan.chance_at_expected:.0%}"
    )
    if plan.best_share is None:
        return f"{said}; not even half of the list would find it surely"
    if plan.best_share != plan.holdout_share:
        return f"{said}; hold out {plan.best_share:.0%} to find it with {plan.power:.0%}"
    return said


def _return(plan: TestPlan) -> str:
    return f"{plan.detectable_roi:.0%}"


def _duration(plan: TestPlan) -> str:
    if plan.n_waves == 1:
        return f"{plan.duration_days} days, one outcome window"
    return (
        f"a return of {plan.expected_roi:.0%} needs {plan.n_needed:,} customers with {plan.holdout_share:.0%} held "
        f"out: {plan.n_waves} waves of such a list, {plan.duration_days:,} days"
    )
