"""What each customer left over the last twelve months."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import pandas as pd

from crm_analysis import customers
from crm_analysis.customers.summary import last_covered_days
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_YEAR

MONTHS = 12
TOP = 0.10


@dataclass(frozen=True, slots=True)
class Profits:
    """Profit of the last twelve months per customer, in the profile's currency.

    `customers`: customer_id, branch, gross, refunds, regular (collected under commitments), one_off, restricted and
    discount (memos: of gross, and granted before it), n_orders, margin (after refunds), contact_cost, serve_cost,
    reward_cost (part of serve_cost), profit. Customers are those who ordered, were contacted at a cost, or were not
    lost. `costs_known` is False where neither tables nor profile tell what a customer costs.
    """

    customers: pd.DataFrame
    costs_known: bool

    @property
    def total(self) -> float:
        """Profit over all customers."""
        return float(self.customers["profit"].sum())


def customer_profits(scope: Scope, status: pd.DataFrame, *, months_ago: int = 0, until: date | None = None) -> Profits:
    """Profit of the twelve months up to each branch's last covered day, or up to `months_ago` before it, or up to the
    day `until` for branches covered that far.

    `status` is that of the day on which the twelve months end.

    Margin is the row's own (margin, or amount less cost), else the profile's rate. Refunds are taken off. Costs: of
    contacts their own cost, else the profile's per contact; cost rows that a branch bears, outside campaigns, shared
    out by their driver (customer, order, contact where contacts carry no cost); where no such row exists, the
    profile's cost per order and per customer and year, in proportion to the part of the year the customer was there.
    Rewards are points redeemed at the profile's cost per point, and such cost rows of category reward; those of a
    campaign stand with the campaign. Fixed costs and costs of the whole organisation are not shared out. A discount is
    already off the amount and is not deducted again.
    """
    on, ends = customers.months_back(scope, months_ago)
    if until is not None:
        on, ends = until, last_covered_days(until, scope.coverage)
    frame = _payments(scope, ends, on).set_index("customer_id")
    contacts, contacts_cost = _contacts(scope, ends, on)
    there = status.set_index("customer_id")
    served = there.index[there["status"] != "lost"].union(frame.index).union(contacts.index[contacts["cost"] > 0])
    frame = frame.reindex(served).fillna(0.0)
    # Who paid without being in the status frame only had money refunded.
    frame["branch"] = there["branch"].reindex(served)
    frame = frame[frame["branch"].notna()]
    frame["n_contacts"] = contacts["n"].reindex(frame.index).fillna(0.0)
    frame["contact_cost"] = contacts["cost"].reindex(frame.index).fillna(0.0)
    days = (
        pd.to_datetime(there["observed_to"]) - pd.to_datetime(there["first_on"].fillna(there["observed_to"]))
    ).dt.days
    frame["years"] = (days.reindex(frame.index) / DAYS_PER_YEAR).clip(0, 1).fillna(0)
    frame["serve_cost"], frame["reward_cost"], serve_known = _serve_cost(scope, ends, on, frame, contacts_cost)
    frame["profit"] = frame["margin"] - frame["contact_cost"] - frame["serve_cost"]
    known = contacts_cost or serve_known
    return Profits(frame.drop(columns=["years", "points"]).reset_index(names="customer_id"), known)


def _payments(scope: Scope, ends: dict[str, Any], on: Any) -> pd.DataFrame:
    rows = customers.within_year(customers.payments(scope), ends, on)
    is_order = rows.kind != "refund"
    memo = {
        name: rows[column].abs().sum(where=is_order) if column in rows.columns else ibis.null("float64")
        for name, column in (("discount", "discount"), ("points", "points_used"))
    }
    return (
        rows.group_by("customer_id")
        .aggregate(
            **customers.brought(scope, rows),
            refunds=rows.amount.abs().sum(where=~is_order),
            restricted=(
                rows.amount.sum(where=is_order & rows.restricted)
                if "restricted" in rows.columns
                else ibis.null("float64")
            ),
            **memo,
            n_orders=rows._day.nunique(where=is_order),
        )
        .to_pandas()
        .fillna(0.0)
    )


def _contacts(scope: Scope, ends: dict[str, Any], on: Any) -> tuple[pd.DataFrame, bool]:
    """Contacts and their cost per customer, and whether contacts carry a cost."""
    if not scope.has("contacts"):
        return pd.DataFrame({"n": [], "cost": []}, index=pd.Index([], name="customer_id", dtype=object)), False
    table = scope.table("contacts")
    rows = customers.within_year(table.filter(table.customer_id.notnull()), ends, on)
    known = "cost" in scope.columns("contacts")
    each = scope.profile.cost_to_serve.per_contact
    cost = rows.cost.fill_null(each) if known else ibis.literal(each)
    frame = rows.group_by("customer_id").aggregate(n=rows.count(), cost=cost.sum() if known else rows.count() * each)
    return frame.to_pandas().set_index("customer_id").astype(float), known or each > 0


def _serve_cost(
    scope: Scope, ends: dict[str, Any], on: Any, frame: pd.DataFrame, contacts_cost: bool
) -> tuple[pd.Series, pd.Series, bool]:
    """Cost to serve per customer, what of it are rewards, and whether anything tells it."""
    per = scope.profile.cost_to_serve
    borne = _branch_costs(scope, ends, on)
    basis = {"customer": frame["years"], "order": frame["n_orders"]}
    rate = {"customer": per.per_customer_year, "order": per.per_order}
    if not contacts_cost:
        basis["contact"], rate["contact"] = frame["n_contacts"], 0.0
    serving, rewards = pd.Series(0.0, frame.index), frame["points"] * per.per_point
    for driver, amount in basis.items():
        rows = borne[borne["driver"] == driver]
        share = amount / amount.groupby(frame["branch"]).transform("sum")
        own, given = (rows[rows["reward"] == reward].set_index("branch")["amount"] for reward in (False, True))
        charged = (share * frame["branch"].map(own).astype(float)).fillna(0.0)
        serving += charged.where(frame["branch"].isin(own.index), amount * rate[driver])
        rewards += (share * frame["branch"].map(given).astype(float)).fillna(0.0)
    known = bool(len(borne)) or any(value > 0 for value in rate.values()) or bool((rewards > 0).any())
    return serving + rewards, rewards, known


def _branch_costs(scope: Scope, ends: dict[str, Any], on: Any) -> pd.DataFrame:
    """Running costs of the year that a branch bears, by driver: rewards, and all else."""
    nothing = pd.DataFrame({"branch": [], "driver": [], "reward": [], "amount": []})
    if not scope.has("costs") or "driver" not in scope.columns("costs"):
        return nothing
    table = scope.table("costs")
    rows = table.filter(
        table.branch.notnull(), table.campaign_id.isnull(), table.driver.isin(["customer", "order", "contact"])
    )
    rows = customers.within_year(rows.rename(occurred_at="incurred_on"), ends, on)
    of_reward = (rows.category == "reward").fill_null(False) if "category" in rows.columns else ibis.literal(False)
    rows = rows.mutate(reward=of_reward)
    return rows.group_by(["branch", "driver", "reward"]).aggregate(amount=rows.amount.sum()).to_pandas()


def n_best(n: int) -> int:
    """How many customers the best tenth of `n` are.

    >>> n_best(41), n_best(0)
    (5, 1)
    """
    return max(math.ceil(TOP * n), 1)


def since_chosen(then: Profits, now: Profits) -> pd.Series:
    """What the best tenth of a year ago (`then`) brought in the year since (`now`), one profit per customer.

    Who left since counts with nothing. The year that chooses the best flatters them: part of a good year is luck that
    does not come again. The year after does not, as it had no part in the choice.
    """
    chosen = then.customers.set_index("customer_id")["profit"].astype(float).nlargest(n_best(len(then.customers)))
    return now.customers.set_index("customer_id")["profit"].astype(float).reindex(chosen.index).fillna(0.0)
