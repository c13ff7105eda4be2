"""What customers did after they answered: behavioural loyalty, only where the follow-up is complete and covered.

Loyal is who bought or gave at least `gap_days` and at most `window_days` after the answer. Dues count as giving,
refunds do not. One customer counts once, with the first answer that qualifies: those who stay answer again, so keeping
the last answer would drop earlier ones by their outcome.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd

from crm_analysis.contracts.totals import signed_amount
from crm_analysis.estimators.proportions import (
    Difference,
    Estimate,
    Proportion,
    normal_quantile,
    two_proportions,
    weighted_mean,
    wilson,
)
from crm_analysis.profile.settings import Loyalty
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.units import add_months

ACTIVE_BEFORE_DAYS = 365
MARGIN_CAP = 0.99
STEPS_HOLD = 0.95
COLUMNS = (
    "customer_id",
    "branch",
    "answered_on",
    "satisfaction",
    "weight",
    "loyal",
    "margin",
    "response_id",
    "times",
    "first_on",
    "times_before",
    "prior",
    "channel",
)
RULES = (
    "anonymous",
    "running",
    "not_covered",
    "unknown_customer",
    "before_first",
    "not_first_order",
    "later_answer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Customers active on one day: the loyalty of those who answered beside that of those who did not.

    Both groups bought or gave within `ACTIVE_BEFORE_DAYS` up to `anchor`, and are followed from there for the same
    window in branches whose data reach that far. Who answered only later counts as silent: whoever stays is asked
    again, so a later answer would sort people by what they did. `query` gives those active and whether they came back.
    """

    anchor: date
    answered: Proportion
    silent: Proportion
    difference: Difference
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """Answers with what their customers did next.

    `frame` has one row per customer: customer_id, branch, answered_on, satisfaction, weight, loyal (bool), margin
    (within the window, before refunds, in the profile's currency), response_id, times (days with a payment within the
    window), and of the time before the answer first_on, times_before and prior (days with a payment, and margin, in the
    `ACTIVE_BEFORE_DAYS` up to the answer) and channel (that of the last payment; missing where unknown). `counts`
    foots: step (answers, left out, used), rule (one of `RULES`), rows. `first` and `last` are the dates of the answers
    used.
    """

    frame: pd.DataFrame
    counts: pd.DataFrame
    first: date | None
    last: date | None
    window_days: int
    silence: Silence | None

    @property
    def n(self) -> int:
        """Customers used."""
        return len(self.frame)


def _payments(transactions: ibis.Table, margin_rate: float = 1.0) -> ibis.Table:
    """Purchases, gifts and dues of known customers by day, with the margin known or assumed."""
    t = transactions.filter(
        transactions.customer_id.notnull(),
        transactions.customer_id != "",
        transactions.kind != "refund",
        transactions.amount > 0,
    )
    known = [t.margin] if "margin" in t.columns else []
    known += [t.amount - t.cost] if "cost" in t.columns else []
    margin = ibis.coalesce(*known, t.amount * margin_rate)
    channel = t.channel.cast("string") if "channel" in t.columns else ibis.literal(None, "string")
    return t.select("customer_id", "branch", margin=margin, paid_on=t.occurred_at.cast("date"), channel=channel)


def reach(coverage: pd.DataFrame, as_of: date) -> dict[str, date]:
    """The last day up to which each branch's behaviour is known, never after `as_of`."""
    days = pd.to_datetime(coverage["last_covered_day"]).dt.date
    return {branch: min(last, as_of) for branch, last in zip(coverage["branch"], days, strict=True)}


def follow(
    answers: Answers,
    transactions: ibis.Table,
    coverage: pd.DataFrame,
    *,
    as_of: date,
    period_end: date,
    rule: Loyalty,
    margin_rate: float = 1.0,
) -> FollowUp:
    """Pool the answers of `rule.link_window_months` whose follow-up closed by `as_of`, and look up what came next.

    Counted and left out, in this order: anonymous; still running at `period_end`; not covered (the window closed, but
    the branch's data do not reach its end: not measurable); customers without any payment; answers before the first
    payment; answers to later orders, where only first ones are wanted; all but the first answer of a customer.
    """
    latest = as_of - timedelta(days=rule.window_days)
    earliest = add_months(latest, -rule.link_window_months)
    pool = answers.frame[answers.frame["answered_on"] > pd.Timestamp(earliest)].copy()
    counted: list[tuple[str, str, int]] = [("answers", "", len(pool))]

    def leave(out: pd.Series, why: str) -> None:
        nonlocal pool
        out = out.astype(bool)
        counted.append(("left out", why, int(out.sum())))
        pool = pool[~out]

    leave(pool["customer_id"].isna(), "anonymous")
    closes = pool["answered_on"] + pd.Timedelta(days=rule.window_days)
    leave(closes > pd.Timestamp(period_end), "running")
    known_to = reach(coverage, as_of)
    closes = pool["answered_on"] + pd.Timedelta(days=rule.window_days)
    until = pd.to_datetime(pool["branch"].map(lambda branch: known_to.get(branch, as_of)))
    leave(closes > until, "not_covered")
    pool = pool.assign(asked=np.arange(len(pool)))
    pool = pool.merge(_after(pool, transactions, rule, margin_rate), on="asked", how="left")
    leave(pool["first_on"].isna(), "unknown_customer")
    leave(pool["first_on"] > pool["answered_on"], "before_first")
    if rule.first_orders_only:
        leave(pool["days_before"] > 1, "not_first_order")
    pool = pool.sort_values(["customer_id", "answered_on", "response_id"], kind="stable")
    leave(pool.duplicated("customer_id", keep="first"), "later_answer")
    counted.append(("used", "", len(pool)))
    pool = pool.assign(loyal=pool["paid"].fillna(0).gt(0), margin=pool["margin"].fillna(0.0).astype(float))
    pool = pool.assign(**{name: pool[name].fillna(0).astype(float) for name in ("times", "times_before", "prior")})
    counts = pd.DataFrame(counted, columns=["step", "rule", "rows"])
    first = pool["answered_on"].min().date() if len(pool) else None
    last = pool["answered_on"].max().date() if len(pool) else None
    return FollowUp(
        frame=pool[list(COLUMNS)].reset_index(drop=True),
        counts=counts[(counts["rows"] > 0) | (counts["step"] != "left out")].reset_index(drop=True),
        first=first,
        last=last,
        window_days=rule.window_days,
        silence=_silence(pool, answers, transactions, known_to, earliest, rule),
    )


def _after(pool: pd.DataFrame, transactions: ibis.Table, rule: Loyalty, margin_rate: float) -> pd.DataFrame:
    """Per answer: first_on, days_before (days with a payment up to the answer), paid and margin within the window.

    Further times (days with a payment within the window) and what went before: times_before, prior, channel.
    """
    if pool.empty:
        numbers = ["days_before", "paid", "margin", "times", "times_before", "prior"]
        empty = pd.DataFrame(columns=["asked", "first_on", *numbers], dtype=float).assign(channel=None)
        return empty.astype({"first_on": "datetime64[us]", "asked": "int64", "channel": "object"})
    asked = pd.DataFrame(
        {
            "asked": pool["asked"].to_numpy(),
            "customer_id": pool["customer_id"].astype(str).to_numpy(),
            "said_on": pool["answered_on"].dt.date.to_numpy(),
            "year_before": (pool["answered_on"] - pd.Timedelta(days=ACTIVE_BEFORE_DAYS)).dt.date.to_numpy(),
            "opens_on": (pool["answered_on"] + pd.Timedelta(days=rule.gap_days)).dt.date.to_numpy(),
            "closes_on": (pool["answered_on"] + pd.Timedelta(days=rule.window_days)).dt.date.to_numpy(),
        }
    )
    found = _followed(ibis.memtable(asked), transactions, margin_rate).to_pandas()
    found["first_on"] = pd.to_datetime(found["first_on"])
    found["channel"] = found["channel"].astype("object").str.slice(len("2026-01-01"))
    return found


def _followed(asked: ibis.Table, transactions: ibis.Table, margin_rate: float) -> ibis.Table:
    """Per `asked` (with customer_id, said_on, year_before, opens_on, closes_on), what its customer paid and when."""
    both = asked.join(_payments(transactions, margin_rate), "customer_id")
    within = (both.paid_on >= both.opens_on.cast("date")) & (both.paid_on <= both.closes_on.cast("date"))
    before = both.paid_on <= both.said_on.cast("date")
    recent = before & (both.paid_on > both.year_before.cast("date"))
    return both.group_by("asked").aggregate(
        first_on=both.paid_on.min(),
        days_before=both.paid_on.nunique(where=before),
        paid=within.sum(),
        margin=both.margin.sum(where=within),
        times=both.paid_on.nunique(where=within),
        times_before=both.paid_on.nunique(where=recent),
        prior=both.margin.sum(where=recent),
        # the day leads, so that the greatest is the last one; of two on one day the last in the alphabet
        channel=(both.paid_on.cast("string") + both.channel).max(where=before),
    )


def followed_up(given: ibis.Table, transactions: ibis.Table, *, rule: Loyalty, margin_rate: float) -> ibis.Table:
    """Every answer of `given` with what its customer paid before and after it, all inside the engine.

    It is what `follow` looks up for the answers it uses, and adds to the columns of `given`: closes_on (last day of the
    window), first_on (of the customer's first payment), days_before (days with a payment up to the answer), paid
    (payments within the window) and margin (of these). Answers without a customer or payment have none of them.
    """
    said = given.answered_on.cast("date")
    asked = given.filter(given.customer_id.notnull()).select(
        "customer_id",
        asked="response_id",
        said_on=said,
        year_before=(said - ibis.interval(days=ACTIVE_BEFORE_DAYS)).cast("date"),
        opens_on=(said + ibis.interval(days=rule.gap_days)).cast("date"),
        closes_on=(said + ibis.interval(days=rule.window_days)).cast("date"),
    )
    found = _followed(asked, transactions, margin_rate)
    found = found.select("asked", "first_on", "days_before", "paid", "margin")
    closes_on = (said + ibis.interval(days=rule.window_days)).cast("date")
    return given.mutate(closes_on=closes_on).left_join(found, given.response_id == found.asked).drop("asked")


def _silence(
    used: pd.DataFrame,
    answers: Answers,
    transactions: ibis.Table,
    known_to: dict[str, date],
    earliest: date,
    rule: Loyalty,
) -> Silence | None:
    """Respondents against the silent, all anchored on the median day of the answers used; None where none is used."""
    if used.empty:
        return None
    anchor: date = used["answered_on"].quantile(0.5, interpolation="lower").date()
    closes = anchor + timedelta(days=rule.window_days)
    opens = anchor + timedelta(days=rule.gap_days)
    covered = [branch for branch, day in known_to.items() if day >= closes]
    paid = _payments(transactions)
    paid = paid.filter(paid.branch.isin(covered)) if covered else paid.limit(0)
    before = (paid.paid_on <= anchor) & (paid.paid_on > anchor - timedelta(days=ACTIVE_BEFORE_DAYS))
    people = paid.group_by("customer_id").aggregate(
        active=before.any(), loyal=((paid.paid_on >= opens) & (paid.paid_on <= closes)).any()
    )
    people = people.filter(people.active)
    active = people.to_pandas()
    spoke = answers.frame
    spoke = spoke[
        spoke["customer_id"].notna()
        & (spoke["answered_on"] > pd.Timestamp(earliest))
        & (spoke["answered_on"] <= pd.Timestamp(anchor))
    ]
    answered = active["customer_id"].isin(set(spoke["customer_id"]))
    groups = [active.loc[flag, "loyal"].astype(bool) for flag in (answered, ~answered)]
    shares = [wilson(int(group.sum()), len(group)) for group in groups]
    return Silence(
        anchor=anchor,
        answered=shares[0],
        silent=shares[1],
        difference=two_proportions(shares[1], shares[0]),
        query=str(ibis.to_sql(people, dialect="duckdb")),
    )


def paid_within(transactions: ibis.Table, as_of: date, days: int = ACTIVE_BEFORE_DAYS) -> pd.DataFrame:
    """What every customer paid in the `days` up to `as_of`, refunds taken off: customer_id, paid_last_year."""
    t = transactions.filter(transactions.customer_id.notnull(), transactions.customer_id != "")
    on = t.occurred_at.cast("date")
    recent = t.filter(on <= as_of, on > as_of - timedelta(days=days))
    return recent.group_by("customer_id").aggregate(paid_last_year=signed_amount(recent).sum()).to_pandas()


def missing_by_outcome(
    raw: pd.DataFrame, transactions: ibis.Table, coverage: pd.DataFrame, *, as_of: date, rule: Loyalty
) -> pd.DataFrame:
    """How often the score is missing, by what the customer did: a gap that goes with the outcome can bend the link.

    `raw` has response_id, customer_id, branch, answered_on, satisfaction (missing where nothing was said). Answers
    whose follow-up is complete and covered are tabulated twice: by coming back within the window (came_back, did_not),
    and by payment days up to the answer (repeat, once). Columns: group, n, missing, share, low, high.
    """
    rows = raw[raw["customer_id"].notna()].copy()
    rows["answered_on"] = pd.to_datetime(rows["answered_on"]).dt.normalize()
    known_to = reach(coverage, as_of)
    until = pd.to_datetime(rows["branch"].map(lambda branch: known_to.get(branch, as_of)))
    rows = rows[rows["answered_on"] + pd.Timedelta(days=rule.window_days) <= until]
    rows = rows.assign(asked=np.arange(len(rows)))
    rows = rows.merge(_after(rows, transactions, rule, 1.0), on="asked", how="left")
    loyal, repeat = rows["paid"].fillna(0).gt(0), rows["days_before"].fillna(0).gt(1)
    absent = rows["satisfaction"].isna()
    found = []
    for group, here in (("came_back", loyal), ("did_not", ~loyal), ("repeat", repeat), ("once", ~repeat)):
        share = wilson(int(absent[here].sum()), int(here.sum()))
        found.append((group, share.n, int(absent[here].sum()), share.share, share.low, share.high))
    return pd.DataFrame(found, columns=["group", "n", "missing", "share", "low", "high"])


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWorth:
    """The difference between two neighbouring levels, in loyalty and in money per hundred customers and window.

    `margin` is what a customer who came back brought within the window, or brings more over the months ahead (see
    `ahead.value_ahead`); the intervals of the money carry its error too.

    Intervals hold for all steps at once (Bonferroni), and so for whichever of them is chosen after looking. An
    association, and an upper bound only if satisfaction caused the whole of it.
    """

    lower: str
    upper: str
    difference: Difference
    margin: Estimate
    money_per_hundred: float
    money_low: float
    money_high: float


def in_money(step: float, low: float, high: float, margin: Estimate, *, level: float) -> tuple[float, float, float]:
    """A difference in loyalty, with its limits, in money per hundred customers: value, low, high.

    The difference times `margin`: that of a customer who came back, or what coming back makes to the months ahead.
    Where it is negative the limits change sides. They and the margin's error, at the same `level`, are combined as
    those of a product of two independent estimates, to first order: each side is the root of the sum of the squares of
    both parts (the delta method, where the limits of the difference are symmetric).
    """
    value, spread = step * margin.mean, step * normal_quantile(level) * margin.se
    ends = margin.mean * (low - step), margin.mean * (high - step)
    down, up = min(ends), max(ends)
    return 100 * value, 100 * (value - math.hypot(down, spread)), 100 * (value + math.hypot(up, spread))


def rise(lower: Mapping[str, Any], upper: Mapping[str, Any], *, among: int) -> Difference:
    """Loyalty at `upper` less that at `lower`, two rows of a table of `among` levels (Newcombe).

    The interval is wide enough for the steps of the table to hold all at once.
    """
    first, second = (wilson(r["rate"] * r["n"], r["n"], n_effective=r["n_effective"]) for r in (lower, upper))
    return two_proportions(first, second, level=1 - (1 - STEPS_HOLD) / (among - 1))


def step_worth(levels: pd.DataFrame, margin: Estimate) -> list[StepWorth]:
    """Worth of every step of a merged table of levels (see `shape.merge_levels`).

    `margin` is that, within the window, of a customer who came back (see `margin_per_loyal`), or the difference that
    coming back makes to the months ahead.
    """
    found = []
    rows = levels.to_dict("records")
    for lower, upper in zip(rows, rows[1:], strict=False):
        step = rise(lower, upper, among=len(rows))
        money, low, high = in_money(step.value, step.low, step.high, margin, level=step.level)
        found.append(
            StepWorth(
                lower=lower["label"],
                upper=upper["label"],
                difference=step,
                margin=margin,
                money_per_hundred=money,
                money_low=low,
                money_high=high,
            )
        )
    return found


def margin_per_loyal(frame: pd.DataFrame) -> Estimate:
    """Mean margin within the window of a customer who came back, with its error; nan where nobody did.

    Margins above the 99th percentile count as that percentile, so that one major donor does not set the figure. The
    weights of the answers count.
    """
    back = frame[frame["loyal"]]
    margin = back["margin"].to_numpy(float)
    capped = np.minimum(margin, np.quantile(margin, MARGIN_CAP)) if margin.size else margin
    return weighted_mean(capped, weights=back["weight"].to_numpy(float))
