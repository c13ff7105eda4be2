"""Tiers: what each brings, as chart, table and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.populations import unsaid
from crm_analysis.customer_value.wording import tier_name, words
from crm_analysis.language import _

OUTSIDE = ":outside"


def _measurable(state: CustomerValue) -> bool:
    return state.tiers.covered or state.tiers.settings.year == "rolling"


def hidden_tiers(state: CustomerValue) -> pd.Series:
    """Which tiers' counts must not be shown; one at least where their sum must not be told."""
    sizes = _sizes(state)
    hidden, n = disclosure.hidden_counts(state, sizes), sizes.sum(axis=1)
    if not hidden.any() and n.any() and not _sum_told(state):
        hidden[n[n > 0].idxmin()] = True
    return hidden


def _sum_told(state: CustomerValue) -> bool:
    """Whether how many have a tier may be told, and with it their shares."""
    return not unsaid(state, "tiers")


def _sizes(state: CustomerValue) -> pd.DataFrame:
    inside = state.tiers.customers
    return disclosure.tally(state, inside["customer_id"], inside["tier"], state.tiers.table["tier"])


def _amounts(state: CustomerValue, column: str) -> dict[str, str]:
    """Money by tier, and of those outside, as text."""
    inside = pd.concat([state.tiers.customers, state.tiers.outside.assign(tier=OUTSIDE)], ignore_index=True)
    parts = {key: inside.loc[inside["tier"] == key, column] for key in (*state.tiers.order, OUTSIDE)}
    return disclosure.sums(state, parts, disclosure.branch_of(state, inside["customer_id"]))


def bars(state: CustomerValue) -> pd.DataFrame:
    """Share of customers and of profit by tier, for the chart; tiers whose counts are hidden are left out.

    Beside an amount, its share of all would tell what is withheld: then no tier's share of profit is shown.
    """
    columns = ["segment", "measure", "share"]
    found, profit = state.tiers.table.set_index("tier"), _amounts(state, "profit")
    kept = [key for key, veiled in hidden_tiers(state).items() if not veiled]
    total = float(found["profit"].sum())
    if not _measurable(state) or len(kept) < 2 or not found.loc[kept, "n"].sum():
        return pd.DataFrame(columns=columns)
    shares = {words(state.scope.profile).customers: found["share"]}
    if total > 0 and _("withheld") not in profit.values():
        shares[_("profit of the year")] = found["profit"] / total
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "segment": [style.plain(tier_name(state.scope.profile, key)) for key in kept],
                    "measure": name,
                    "share": list(share[kept]),
                }
            )
            for name, share in shares.items()
        ],
        ignore_index=True,
    )


def table(state: CustomerValue) -> pd.DataFrame:
    """Tiers: customers, share, revenue, profit, per head, profit so far; those without a tier last."""
    if not _measurable(state) or state.tiers.customers.empty:
        return pd.DataFrame()
    found, hidden = state.tiers.table, hidden_tiers(state)
    revenue, profit = _amounts(state, "revenue"), _amounts(state, "profit")
    currency, withheld = state.scope.profile.currency, _("withheld")
    few = found.set_index("tier")["n"].map(lambda n: privacy.small(n, state.scope.profile.privacy.min_cell))
    shown = disclosure.counts(state, _sizes(state)).mask(hidden & ~few, withheld)
    unsaid = not _sum_told(state)
    whole = not hidden.any() and withheld not in profit.values()
    rows = []
    for row in found.itertuples(index=False):
        veiled = bool(hidden[row.tier])
        apart = veiled or withheld in (profit[row.tier], revenue[row.tier])
        rows.append(
            (
                tier_name(state.scope.profile, row.tier),
                shown[row.tier],
                style.DASH
                if veiled or unsaid
                else f"{style.percent(row.share)} ({style.interval(row.low, row.high, 'share')})",
                withheld if veiled else revenue[row.tier],
                withheld if veiled else profit[row.tier],
                style.DASH if apart else style.money(row.profit_each, currency),
                style.percent(row.profit_so_far, 0) if whole else style.DASH,
            )
        )
    n_outside = len(state.tiers.outside)
    few_outside = privacy.small(n_outside, state.scope.profile.privacy.min_cell)
    money = (withheld, withheld) if few_outside else (revenue[OUTSIDE], profit[OUTSIDE])
    outside = _("lost by now, yet paid or cost something")
    rows.append(
        (
            outside,
            disclosure.count(state, n_outside, state.tiers.outside["customer_id"]),
            style.DASH,
            *money,
            style.DASH,
            style.DASH,
        )
    )
    names = [_("Tier"), disclosure.who(state), _("Share"), _("Revenue"), _("Profit"), _("Profit per head")]
    return pd.DataFrame(rows, columns=[*names, _("Profit so far")])


def figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the tiers, as keyword arguments of `report.figure`."""
    if bars(state).empty:
        return {"title": "", "alt": _why_not(state), "how_to_read": ""}
    return {
        "table": table(state),
        "title": _("Tiers"),
        "alt": (
            _("Share of {customers} and of profit in each tier.")
            if _profit_drawn(state)
            else _("Share of {customers} in each tier.")
        ).format(customers=disclosure.who_lower(state)),
        "how_to_read": f"{sentence(state)} {_reading(state)}".strip(),
    }


def _profit_drawn(state: CustomerValue) -> bool:
    return _("profit of the year") in set(bars(state)["measure"])


def _why_not(state: CustomerValue) -> str:
    if not _measurable(state):
        return _("There are no tiers to show: the data do not cover the year up to {day}.").format(
            day=style.day(state.tiers.year_ends)
        )
    sizes, cell = _sizes(state).sum(axis=1), state.scope.profile.privacy.min_cell
    if (privacy.hide(sizes, cell) < hidden_tiers(state)).any():
        return _(
            "There are no tiers to show: too few people of one branch are in one of them, and could be worked out."
        )
    return _("There are no tiers to show: too few people make them up.")


def _reading(state: CustomerValue) -> str:
    found, profile = state.tiers, state.scope.profile
    text = _("Grey: share of all {customers} who are not lost.").format(customers=words(profile).customers)
    if _profit_drawn(state):
        text += " " + _("Blue: share of their profit; to the left of zero it is taken away.")
    text += " " + _("Everybody is in the first tier whose rule holds. The year ends on {day}.").format(
        day=style.day(found.year_ends)
    )
    if found.thresholds.values:
        text += " " + _("What counts as the top share is read from {source}, and a tie stays below it.").format(
            source=style.period(found.thresholds.source)
        )
    if not found.covered:
        text += " " + _("The history is shorter than that year: yearly amounts are too small.")
    return text


def sentence(state: CustomerValue) -> str:
    """What the tiers say, with interval, and what to do."""
    found, hidden, currency = state.tiers.table.set_index("tier"), hidden_tiers(state), state.scope.profile.currency
    profit, total = _amounts(state, "profit"), float(state.tiers.table["profit"].sum())
    kept = [key for key in found.index if not hidden[key] and found.loc[key, "n"]]
    if not kept or total <= 0 or _("withheld") in profit.values() or not _sum_told(state):
        return ""
    best = max(kept, key=lambda key: found.loc[key, "profit_each"])
    said = {"customers": words(state.scope.profile).customers, **_told(state, found.loc[best], best)}
    template = (
        _(
            "**{tier}: {share} of {customers} ({interval}) bring {of_profit} of the profit**, {each} each: few come "
            "back, so spend no more than that on a second purchase."
        )
        if state.outlook.why == "one_time"
        else _(
            "**{tier}: {share} of {customers} ({interval}) bring {of_profit} of the profit**, {each} each. Serve "
            "them first, and plan with less: the year that chose them flatters them."
        )
    )
    text = template.format(**said, of_profit=style.percent(found.loc[best, "profit"] / total))
    below = [key for key in kept if found.loc[key, "profit"] < 0]
    if below:
        worst = min(below, key=lambda key: found.loc[key, "profit"])
        text += " " + _(
            "**{tier}: {share} ({interval}) take {loss} away**: the cheapest channel only, until they pay again."
        ).format(**_told(state, found.loc[worst], worst), loss=style.money(-found.loc[worst, "profit"], currency))
    return text


def _told(state: CustomerValue, row: pd.Series, key: str) -> dict[str, str]:
    return {
        "tier": style.escape(tier_name(state.scope.profile, key)),
        "share": style.percent(row["share"]),
        "interval": style.interval(row["low"], row["high"], "share"),
        "each": style.money(row["profit_each"], state.scope.profile.currency),
    }
