"""From tables to one row per campaign and customer: arm, outcome in the window, value before, coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.contracts.totals import signed_amount

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["campaigns", "member_outcomes", "outcome_expression", "priced", "scope_expression", "with_columns"]

_CAMPAIGN_COLUMNS = {
    "campaign_id": "string",
    "name": "string",
    "programme": "string",
    "starts_on": "date",
    "ends_on": "date",
    "window_days": "int64",
    "branch": "string",
    "randomisation_unit": "string",
    "reward_kind": "string",
    "contact_cost": "float64",
    "planned_reach": "int64",
    "owner": "string",
    "planned_control_share": "float64",
}


def campaigns(scope: Scope) -> pd.DataFrame:
    """One row per campaign: the canonical columns (absent ones empty) and `closes_on`, the day its window is over.

    `closes_on` is the last assignment plus `window_days`; without members the last contact day plus `window_days`.
    """
    table = with_columns(scope.table("campaigns"), _CAMPAIGN_COLUMNS)
    frame = table.select(*_CAMPAIGN_COLUMNS).order_by("starts_on", "campaign_id").execute()
    if scope.has("campaign_members"):
        members = scope.table("campaign_members")
        last = members.group_by("campaign_id").aggregate(last_assigned_on=members.assigned_on.max()).execute()
        frame = frame.merge(last, on="campaign_id", how="left")
    else:
        frame["last_assigned_on"] = pd.NaT
    opened = pd.to_datetime(frame["last_assigned_on"]).fillna(pd.to_datetime(frame["ends_on"]))
    days = pd.to_timedelta(frame["window_days"].astype("float64").fillna(0), unit="D")
    frame["closes_on"] = (opened + days).dt.date
    for column in ("starts_on", "ends_on", "last_assigned_on"):
        frame[column] = pd.to_datetime(frame[column]).dt.date
    return frame


def scope_expression(scope: Scope, wanted: pd.DataFrame) -> ibis.Table:
    """`outcome_expression` over a scope's tables for the campaigns of `wanted`."""
    profile = scope.profile
    return outcome_expression(
        members=scope.table("campaign_members"),
        transactions=scope.table("transactions"),
        customers=scope.table("customers") if scope.has("customers") else None,
        window_days={row.campaign_id: int(row.window_days) for row in wanted.itertuples(index=False)},
        answers=_answers(scope),
        history_days=profile.roi.balance_history_days,
        margin_rate=profile.margin.rate,
        list_prices=profile.margin.list_prices,
    )


def _answers(scope: Scope) -> ibis.Table | None:
    """Customers' answers to the overall question: customer_id, on, score; None where nobody's can be told."""
    if not scope.has("survey_responses") or "customer_id" not in scope.columns("survey_responses"):
        return None
    item = scope.profile.survey.satisfaction
    rows = with_columns(scope.table("survey_responses"), {"respondent_kind": "string"})
    score = rows.satisfaction.cast("float64")
    rows = rows.filter(
        rows.customer_id.notnull()
        & (rows.respondent_kind.isnull() | (rows.respondent_kind == "customer"))
        & score.between(*item.scale)
        & ~score.isin(item.codes or [item.scale[1] + 1])
    )
    low, high = item.scale
    told = rows.satisfaction.cast("float64")
    return rows.select(
        "customer_id", on=rows.answered_on.cast("date"), score=low + high - told if item.reversed else told
    )


def member_outcomes(scope: Scope, expression: ibis.Table, *, drawn_by: Mapping[str, str] | None = None) -> pd.DataFrame:
    """`scope_expression`, executed, with `observed_to`: how far the data of the member's branch reach.

    `measurable` says whether the whole window of the member lies within that. `unit` is what was drawn: the customer,
    or by `drawn_by` (campaign to unit) its household or branch; `unit_known` is False for a member whose household is
    not recorded, who then stands alone. `n_rows` and `n_arms` count every assignment in the files.
    """
    frame = expression.execute()
    dates = (
        "assigned_on", "last_assigned_on", "window_end", "responded_on", "contacted_on", "delivered_on", "first_on",
    )  # fmt: skip
    for column in dates:
        frame[column] = pd.to_datetime(frame[column])
    covered = scope.coverage
    ends = dict(zip(covered["branch"], pd.to_datetime(covered["last_covered_day"]), strict=True))
    limit = pd.Timestamp(scope.period.end)
    frame["observed_to"] = frame["branch"].map(ends).fillna(pd.Timestamp(scope.as_of)).clip(upper=limit)
    frame["measurable"] = frame["window_end"] <= frame["observed_to"]
    frame = _assigned_again(scope, frame)
    frame["unit"], frame["unit_known"] = frame["customer_id"], True
    for campaign, kind in (drawn_by or {}).items():
        mine = frame["campaign_id"] == campaign
        group = {"household": "household_id", "branch": "branch"}.get(kind)
        if group is None or not mine.any():
            continue
        known = frame.loc[mine, group].notna() & (frame.loc[mine, group] != "")
        frame.loc[mine, "unit"] = frame.loc[mine, group].where(known, frame.loc[mine, "customer_id"])
        frame.loc[mine, "unit_known"] = known
    return frame.sort_values(["campaign_id", "customer_id"], ignore_index=True)


def _assigned_again(scope: Scope, members: pd.DataFrame) -> pd.DataFrame:
    """Members, those assignments that the contract's key sets aside counted too: one arm may hide behind the other."""
    rows = scope.tables.raw("campaign_members")
    rows = rows.filter(
        rows.campaign_id.isin(list(members["campaign_id"].unique()))
        & rows.arm.isin(["treated", "control"])
        & (rows.assigned_on.cast("date") <= scope.period.end)
    )
    counts = rows.group_by("campaign_id", "customer_id").aggregate(all_rows=rows.count(), all_arms=rows.arm.nunique())
    several = counts.filter(counts.all_rows > 1).execute()
    if several.empty:
        return members
    found = members.merge(several, on=["campaign_id", "customer_id"], how="left")
    for name, counted in (("n_rows", "all_rows"), ("n_arms", "all_arms")):
        found[name] = found[name].where(found[counted].isna(), found[counted]).astype("int64")
    return found.drop(columns=["all_rows", "all_arms"])


def outcome_expression(
    *,
    members: ibis.Table,
    transactions: ibis.Table,
    customers: ibis.Table | None,
    window_days: Mapping[str, int],
    history_days: int,
    margin_rate: float,
    list_prices: bool = False,
    answers: ibis.Table | None = None,
) -> ibis.Table:
    """One row per campaign and customer, inside the engine.

    The window runs from the day of assignment to `window_days` after it, both included: both arms count the same days.
    Columns: campaign_id, customer_id, n_rows (assignments found), n_arms, arm, assigned_on, last_assigned_on,
    window_end, stratum, contacted_on, delivered_on, responded_on, branch, household_id, first_on (joined, else first
    purchase), satisfaction (mean of `answers` after the day of assignment, empty without one), revenue, margin,
    discount, n_orders (days with a purchase) in the window, and revenue_before, margin_before in the `history_days`
    before the assignment. A member without a purchase has zeros: no purchase is an outcome.

    Margin is the row's own (margin, or amount less cost), else `margin_rate` of the amount. With `list_prices` the
    rate applies to the value before discount and the discount is returned apart, to be charged to the programme once.
    """
    units = _units(members, window_days)
    rows = priced(transactions, margin_rate=margin_rate, list_prices=list_prices)
    joined = units.join(rows, "customer_id").filter(lambda t: t.on >= t.assigned_on - ibis.interval(days=history_days))
    inside = (joined.on >= joined.assigned_on) & (joined.on <= joined.window_end)
    before = joined.on < joined.assigned_on
    sums = joined.group_by("campaign_id", "customer_id").aggregate(
        revenue=joined.paid.sum(where=inside),
        margin=joined.left.sum(where=inside),
        discount=joined.discount.sum(where=inside),
        n_orders=joined.on.nunique(where=inside & joined.is_order),
        revenue_before=joined.paid.sum(where=before),
        margin_before=joined.left.sum(where=before),
    )
    firsts = rows.group_by("customer_id").aggregate(bought_first=rows.on.min(), sold_by=rows.branch.argmax(rows.on))
    result = units.left_join(sums, ["campaign_id", "customer_id"]).drop("campaign_id_right", "customer_id_right")
    result = result.left_join(firsts, "customer_id").drop("customer_id_right")
    if customers is not None:
        customers = with_columns(customers, {"household_id": "string"})
        owned = customers.group_by("customer_id").aggregate(
            home=customers.branch.min(),
            joined_on=customers.joined_on.cast("date").min(),
            household_id=customers.household_id.min(),
        )
        result = result.left_join(owned, "customer_id").drop("customer_id_right")
    else:
        empty = {"home": ibis.null("string"), "joined_on": ibis.null("date"), "household_id": ibis.null("string")}
        result = result.mutate(**empty)
    if answers is not None:
        asked = units.select("campaign_id", "customer_id", "assigned_on", "window_end").join(answers, "customer_id")
        asked = asked.filter((asked.on > asked.assigned_on) & (asked.on <= asked.window_end))
        scores = asked.group_by("campaign_id", "customer_id").aggregate(satisfaction=asked.score.mean())
        result = result.left_join(scores, ["campaign_id", "customer_id"]).drop("campaign_id_right", "customer_id_right")
    else:
        result = result.mutate(satisfaction=ibis.null("float64"))
    money = ("revenue", "margin", "discount", "n_orders", "revenue_before", "margin_before")
    return result.mutate(
        branch=ibis.coalesce(result.home, result.sold_by),
        first_on=ibis.coalesce(result.joined_on, result.bought_first),
        **{name: result[name].fill_null(0) for name in money},
    ).drop("home", "sold_by", "joined_on", "bought_first")


def _units(members: ibis.Table, window_days: Mapping[str, int]) -> ibis.Table:
    """One row per campaign and customer, with the end of the outcome window."""
    members = with_columns(
        members, {"stratum": "string", "contacted_on": "date", "delivered_on": "date", "responded_on": "date"}
    )
    wanted = members.filter(members.campaign_id.isin(list(window_days)) & members.customer_id.notnull())
    units = wanted.group_by("campaign_id", "customer_id").aggregate(
        n_rows=wanted.count(),
        n_arms=wanted.arm.nunique(),
        arm=wanted.arm.min(),
        assigned_on=wanted.assigned_on.cast("date").min(),
        last_assigned_on=wanted.assigned_on.cast("date").max(),
        stratum=wanted.stratum.min(),
        contacted_on=wanted.contacted_on.cast("date").min(),
        delivered_on=wanted.delivered_on.cast("date").min(),
        responded_on=wanted.responded_on.cast("date").min(),
    )
    if not window_days:
        return units.mutate(window_end=units.assigned_on)
    days = ibis.cases(*((units.campaign_id == key, value) for key, value in window_days.items()), else_=0)
    return units.mutate(window_end=(units.assigned_on + days.as_interval("D")).cast("date"))


def priced(
    transactions: ibis.Table, *, margin_rate: float, list_prices: bool, keep: tuple[str, ...] = ()
) -> ibis.Table:
    """Transactions with their day, what was paid, what it left, and the discount to be charged apart.

    `granted` is the discount as it is recorded, whether or not it is charged. `keep` names further columns of theirs
    that are wanted.
    """
    rows = with_columns(transactions, {"margin": "float64", "cost": "float64", "discount": "float64"})
    rows = rows.filter(rows.customer_id.notnull() & (rows.customer_id != ""))
    sign = (rows.kind == "refund").ifelse(-1.0, 1.0)
    paid = rows.amount.abs()
    granted = rows.discount.abs().fill_null(0.0) if list_prices else ibis.literal(0.0)
    told = ibis.coalesce(rows.margin, paid - rows.cost.abs())
    own = told.notnull()
    left = own.ifelse(signed_amount(rows, told), sign * margin_rate * (paid + granted))
    return rows.select(
        "customer_id",
        "branch",
        *keep,
        on=rows.occurred_at.cast("date"),
        paid=signed_amount(rows),
        left=left,
        discount=own.ifelse(0.0, sign * granted),
        granted=sign * rows.discount.abs().fill_null(0.0),
        is_order=rows.kind != "refund",
    )


def with_columns(table: ibis.Table, columns: Mapping[str, str]) -> ibis.Table:
    """The table with columns that its source did not supply, empty."""
    absent = {name: ibis.null(kind) for name, kind in columns.items() if name not in table.columns}
    return table.mutate(**absent) if absent else table
