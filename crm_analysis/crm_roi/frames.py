"""Finished frames: what the chapter's charts draw and its tables print."""

from __future__ import annotations

import math

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import cells, words
from crm_analysis.crm_roi.associations import QUICK_DAYS
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.language import _

__all__ = [
    "cost_plan",
    "cost_plan_table",
    "discounts_charged",
    "earlier_table",
    "ledger_table",
    "money_table",
    "portfolio_dots",
    "portfolio_table",
    "recovery_bars",
    "recovery_table",
    "regression_table",
    "shared_table",
    "uncontrolled_table",
    "waterfall",
    "waterfall_table",
]


def portfolio_dots(evaluation: Evaluation) -> pd.DataFrame:
    """Per closed campaign: name, roi, low, high (ratios; empty where not stated), verdict, note."""
    rows = []
    for result in evaluation.closed:
        roi = result.roi
        rows.append(
            {
                "name": result.name,
                "roi": roi.roi if roi else math.nan,
                "low": roi.roi_low if roi and roi.roi_low is not None else math.nan,
                "high": roi.roi_high if roi and roi.roi_high is not None else math.nan,
                "verdict": result.verdict,
                "note": _("n {n}").format(n=style.number(result.n_treated + result.n_control))
                if roi
                else words.state(result.state),
            }
        )
    frame = pd.DataFrame(rows, columns=["name", "roi", "low", "high", "verdict", "note"])
    return frame.sort_values("roi", ascending=False, na_position="last", ignore_index=True)


def portfolio_table(evaluation: Evaluation) -> pd.DataFrame:
    """Campaigns of the period and running ones, with their result or the reason why there is none."""
    return _results_table(evaluation, evaluation.closed + evaluation.running)


def earlier_table(evaluation: Evaluation) -> pd.DataFrame:
    """Campaigns whose window closed before the period."""
    return _results_table(evaluation, evaluation.earlier)


def _results_table(evaluation: Evaluation, results: tuple[CampaignResult, ...]) -> pd.DataFrame:
    rows = []
    for result in results:
        roi = result.roi
        money = cells.money(evaluation)
        rows.append(
            {
                _("Programme"): style.plain(result.name),
                _("Treated"): cells.count(result, "treated", evaluation),
                _("Held out"): cells.count(result, "control", evaluation),
                _("Margin gained"): money(roi.incremental_margin if roi else None),
                _("Cost"): money(roi.cost if roi else _charged(result, evaluation)),
                _("Net"): cells.amount(roi.net, roi.net_low, roi.net_high, evaluation.currency) if roi else style.DASH,
                _("ROI"): cells.with_interval(style.percent(roi.roi, 0), roi.roi_low, roi.roi_high, "share", evaluation)
                if roi
                else style.DASH,
                _("Result"): _result(result),
            }
        )
    return pd.DataFrame(rows)


def waterfall(evaluation: Evaluation) -> pd.DataFrame:
    """Steps from incremental amount to net over the measured campaigns: label, value, kind (step or total)."""
    portfolio, ledger = evaluation.portfolio, evaluation.ledger
    columns = ["label", "value", "kind"]
    if portfolio is None or ledger is None:
        return pd.DataFrame(columns=columns)
    costs: dict[str, float] = {}
    for result in evaluation.measured:
        for code, amount in _cost_by_category(result).items():
            costs[code] = costs.get(code, 0.0) + amount
    first = (
        _("difference in value before discount") if discounts_charged(evaluation) else _("difference in what was paid")
    )
    rows: list[tuple[str, float, str]] = [(first, portfolio.incremental_revenue, "step")]
    handling = portfolio.incremental_margin - portfolio.incremental_revenue
    if abs(handling) > 1e-9 * max(abs(portfolio.incremental_revenue), 1.0):
        rows.append((_("goods and handling"), handling, "step"))
    ordered = sorted(costs.items(), key=lambda item: -item[1])
    rows += [(words.category(code), -amount, "step") for code, amount in ordered if amount]
    rows.append((_("net"), portfolio.net, "total"))
    if portfolio.shared:
        rows.append((_("shared systems and data"), -portfolio.shared, "step"))
        rows.append((_("net after shared costs"), portfolio.net - portfolio.shared, "total"))
    return pd.DataFrame(rows, columns=columns)


def discounts_charged(evaluation: Evaluation) -> bool:
    """Whether discounts are a cost of some programme: only where margins count the value before them."""
    return any("discount" in _cost_by_category(result) for result in evaluation.measured)


def waterfall_table(evaluation: Evaluation) -> pd.DataFrame:
    """The waterfall's numbers as text."""
    frame = waterfall(evaluation)
    return pd.DataFrame(
        {_("Step"): frame["label"], _("Amount"): [cells.money(evaluation)(value) for value in frame["value"]]}
    )


def cost_plan(evaluation: Evaluation) -> pd.DataFrame:
    """Cost of each closed campaign, in all branches together: name, planned, actual, unplanned."""
    rows = [
        (result.name, result.cost.planned, result.cost.actual, result.cost.unplanned)
        for result in evaluation.closed
        if result.cost is not None and not result.cost.estimated and result.cost.planned is not None
    ]
    return pd.DataFrame(rows, columns=["name", "planned", "actual", "unplanned"])


def cost_plan_table(evaluation: Evaluation) -> pd.DataFrame:
    """Planned and actual cost as text."""
    money = cells.money(evaluation)
    frame = cost_plan(evaluation)
    return pd.DataFrame(
        {
            _("Programme"): [style.plain(name) for name in frame["name"]],
            _("Planned"): [money(value) for value in frame["planned"]],
            _("Actual"): [money(value) for value in frame["actual"]],
            _("Of which nobody planned"): [money(value) for value in frame["unplanned"]],
        }
    )


def money_table(evaluation: Evaluation) -> pd.DataFrame:
    """Break-even points and the cross-check of each measured campaign."""
    money = cells.money(evaluation)
    rows = []
    for result in evaluation.measured:
        roi = result.roi
        assert roi is not None
        bootstrap = style.interval(roi.bootstrap_low, roi.bootstrap_high, "share", digits=0)
        rows.append(
            {
                _("Programme"): style.plain(result.name),
                _("Margin gained per member"): money(roi.margin_per_treated),
                _("Cost per member"): money(roi.cost_per_treated),
                _("Break-even cost of a contact"): _break_even(roi.break_even_contact_cost, evaluation),
                _("Cost per extra payment"): money(result.cost_per_extra_order),
                _("Reached"): _reached(result, evaluation),
                _("ROI, Fieller 95 %"): style.interval(roi.roi_low, roi.roi_high, "share", digits=0),
                _("ROI, bootstrap 95 %"): bootstrap,
            }
        )
    return pd.DataFrame(rows)


def _reached(result: CampaignResult, evaluation: Evaluation) -> str:
    """The share of the treated who were reached, as a side only where it would tell too few of them."""
    if result.delivered_share is None:
        return style.DASH
    part = round(result.delivered_share * result.n_treated)
    return style.share(part, result.n_treated, evaluation.min_cell, 0)


def ledger_table(evaluation: Evaluation) -> pd.DataFrame:
    """Cost lines of the closed campaigns by category, planned and actual, whole campaign."""
    money = cells.money(evaluation)
    rows = []
    for result in evaluation.closed:
        if evaluation.ledger is None or result.cost is None:
            continue
        if result.cost.estimated:
            rows.append(
                _ledger_row(
                    result.name,
                    _("contacts, at the campaign's cost of one contact"),
                    style.DASH,
                    money(result.cost.actual),
                    style.DASH,
                )
            )
            continue
        lines = evaluation.ledger.lines
        mine = lines[lines["campaign_id"] == result.campaign_id]
        for code, group in mine.groupby("category", sort=True):
            planned = group["planned_amount"].astype(float)
            total = float(planned.sum()) if planned.notna().any() else None
            over = float(group["amount"].sum()) - (total or 0.0)
            rows.append(
                _ledger_row(
                    result.name,
                    words.category(str(code)),
                    money(total),
                    money(float(group["amount"].sum())),
                    money(over) if evaluation.ledger.has_plan else style.DASH,
                )
            )
    return pd.DataFrame(rows)


def uncontrolled_table(evaluation: Evaluation) -> pd.DataFrame:
    """What can be said of campaigns without control; nothing in it is an effect."""
    money = cells.money(evaluation)
    rows = []
    for result in evaluation.closed:
        found = result.uncontrolled
        if found is None:
            continue
        share, held = found.holdout_share, found.n_holdout
        if not share and found.detectable_active is not None:  # what the action asks for: judged by who goes on paying
            share, held = 0.5, result.n_treated // 2
        own = style.interval(found.own_lift_low, found.own_lift_high, "share", digits=0) if found.n_own else style.DASH
        rows.append(
            {
                _("Programme"): style.plain(result.name),
                _("Treated"): cells.count(result, "treated", evaluation),
                _("Cost per member"): money(found.cost_per_treated),
                _("Margin per member, as long before"): money(found.margin_before),
                _("Margin per member, in the window"): money(found.margin_in_window),
                _("Lift that would break even"): style.percent(found.break_even_lift, 0),
                _("Lifts of controlled programmes here"): own,
                _("Hold out next time"): _("{share} ({n})").format(share=style.percent(share, 0), n=style.number(held))
                if share
                else style.DASH,
                _("Smallest ROI a test would see"): words.return_seen(
                    found.detectable_roi, planned=found.holdout_share is not None
                ),
            }
        )
    return pd.DataFrame(rows)


def recovery_bars(groups: pd.DataFrame) -> pd.DataFrame:
    """Complaint groups with the label a reader knows them by."""
    names = {
        "quick": _("resolved within {days} days").format(days=QUICK_DAYS),
        "slow": _("resolved later"),
        "open": _("not resolved"),
    }
    return groups.assign(label=[names[group] for group in groups["group"]])


def recovery_table(groups: pd.DataFrame) -> pd.DataFrame:
    """The groups as text."""
    bars = recovery_bars(groups)
    return pd.DataFrame(
        {
            _("Complaint"): bars["label"],
            _("Complaints"): [style.number(n) for n in bars["n"]],
            _("Paid again"): [style.percent(share) for share in bars["share"]],
            _("95 % interval"): [
                style.interval(low, high, "share") for low, high in zip(bars["low"], bars["high"], strict=True)
            ],
        }
    )


def regression_table(falls: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """The list and its counterpart of a year earlier as text."""
    money = cells.money(evaluation)
    names = {"members": _("members of the programme"), "year_before": _("the best of a year earlier, no programme")}
    return pd.DataFrame(
        {
            _("Group"): [names[group] for group in falls["group"]],
            _("Members"): [style.number(n) for n in falls["n"]],
            _("Margin per window, in the year before"): [money(value) for value in falls["before"]],
            _("Margin in the window"): [money(value) for value in falls["after"]],
            _("Change"): [
                style.percent(after / before - 1, 0) if before > 0 else style.DASH
                for before, after in zip(falls["before"], falls["after"], strict=True)
            ],
            _("Change each, 95 % interval"): [
                style.interval(low, high, "money", evaluation.currency)
                for low, high in zip(falls["low"], falls["high"], strict=True)
            ],
        }
    )


def shared_table(evaluation: Evaluation) -> pd.DataFrame:
    """Programme-wide costs that fall in the period, by category, and how treated members would share them out."""
    if evaluation.ledger is None or evaluation.ledger.shared.empty or evaluation.branch != "all":
        return pd.DataFrame()
    money = cells.money(evaluation)
    sums = evaluation.ledger.shared.groupby("category")["charged"].sum().sort_values(ascending=False)
    treated = sum(result.n_treated for result in evaluation.measured)
    rows = [{_("Shared cost"): words.category(str(code)), _("In the period"): money(v)} for code, v in sums.items()]
    for result in evaluation.measured:
        label = _("share of {name}, by treated members").format(name=style.plain(result.name))
        share = evaluation.ledger.shared_total * result.n_treated / treated
        rows.append({_("Shared cost"): label, _("In the period"): money(share)})
    return pd.DataFrame(rows)


def _ledger_row(name: str, category: str, planned: str, actual: str, over: str) -> dict[str, str]:
    return {
        _("Programme"): style.plain(name),
        _("Cost"): category,
        _("Planned"): planned,
        _("Actual"): actual,
        _("Over the plan"): over,
    }


def _charged(result: CampaignResult, evaluation: Evaluation) -> float | None:
    """The cost of those compared; of everybody treated in the scope where nobody can be compared yet."""
    if result.cost is None:
        return None
    if result.n_treated:
        return result.cost.charged
    return None if cells.assigned_tell(result, evaluation) else result.cost.in_scope


def _cost_by_category(result: CampaignResult) -> dict[str, float]:
    assert result.cost is not None
    units = result.gate.units
    discount = float(units.loc[units["arm"] == "treated", "discount"].sum())
    found = dict(result.cost.charged_categories)
    return found | ({"discount": discount} if discount else {})


def _break_even(cost: float | None, evaluation: Evaluation) -> str:
    """A contact that would have to cost less than nothing has no break-even."""
    return _("none") if cost is not None and cost < 0 else style.money(cost, evaluation.currency)


def _result(result: CampaignResult) -> str:
    if result.state == "too_early":
        return _("too early until {day}").format(day=style.day(result.closes_on))
    return words.verdict(result.verdict) if result.roi is not None else words.state(result.state)
