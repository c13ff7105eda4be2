"""The best customers by three things together: money, relationship, and fit with those who stay and pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from crm_analysis import customers
from crm_analysis.customer_value.lives import Lives
from crm_analysis.customer_value.profits import Profits
from crm_analysis.tables import Scope
from crm_analysis.units import DAYS_PER_YEAR

BEST = 0.8  # the best fifth by money
HALF = 0.5
YEAR = 12  # months
MIN_CLASS = 50  # customers of either kind that learning, and checking, need
HELD_OUT = 0.3  # of those who joined last
RARE = 0.02  # kinds of an attribute with a smaller share are one kind
RIDGE = 1.0
STEPS = 25
SURVEY = "attachment"
RELATIONSHIP = ("tenure", "regularity", "channels", "attachment")


@dataclass(frozen=True, slots=True)
class Fit:
    """How well what is known at joining foresees who stays and pays.

    Long-lived and profitable is who paid in the second year of tenure at least the median margin of all who paid in it.
    `auc` is the probability that such a customer is ranked above another one, among the `n` who joined last and were
    not learned from, with its interval (DeLong). `attributes` are what it was learned from. `why`: "short" (too few
    with two covered years), "nothing" (the check does not rule out guessing); scores are then undefined.
    """

    auc: float
    low: float
    high: float
    n: int
    attributes: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """The three scores of customers who are neither dormant nor lost, as ranks from 0 (lowest) to 1.

    `customers`: customer_id, branch, worth (profit of the last twelve months and margin expected over the months
    ahead), money, relationship, fit (missing where undefined), best (the best fifth by money) and the components of
    the relationship. `components` are those the data tell.
    """

    customers: pd.DataFrame
    components: tuple[str, ...]
    fit: Fit


def standing(scope: Scope, status: pd.DataFrame, earned: Profits, expected: pd.DataFrame, found: Lives) -> Standing:
    """`expected`: customer_id, expected_value. Relationship is the mean rank over what is known of a customer."""
    there = status.loc[~status["status"].isin(customers.GONE), ["customer_id", "branch", "first_on", "observed_to"]]
    frame = there[["customer_id", "branch"]].set_index("customer_id")
    profit = earned.customers.set_index("customer_id")["profit"].astype(float)
    ahead = expected.groupby("customer_id")["expected_value"].sum()
    frame["worth"] = profit.reindex(frame.index).fillna(0.0) + ahead.reindex(frame.index).fillna(0.0)
    frame["money"] = rank(frame["worth"])
    parts = _relationship(scope, there).reindex(frame.index)
    known = tuple(name for name in RELATIONSHIP if name in parts and parts[name].nunique() > 1)
    frame = frame.join(parts[list(known)].apply(rank))
    frame["relationship"] = rank(frame[list(known)].mean(axis=1)) if known else math.nan
    scores, fit = _fit(scope, found)
    frame["fit"] = rank(scores.reindex(frame.index)) if not fit.why else math.nan
    frame["best"] = frame["money"] > BEST
    return Standing(frame.reset_index(), known, fit)


def rank(values: pd.Series) -> pd.Series:
    """Share of the others that are below, ties in the middle: 0 to 1; missing stays missing."""
    n = values.notna().sum()
    return (values.rank() - HALF) / n if n else values.astype(float)


def _relationship(scope: Scope, there: pd.DataFrame) -> pd.DataFrame:
    """Per customer: tenure in years, months of the last twelve with an order, channels used, attachment as surveyed."""
    frame = there.set_index("customer_id")
    days = (pd.to_datetime(frame["observed_to"]) - pd.to_datetime(frame["first_on"])).dt.days
    parts = {"tenure": days / DAYS_PER_YEAR}
    rows = customers.payments(scope)
    rows = rows.mutate(day=rows.occurred_at.cast("date"))
    rows = rows.mutate(end=customers.end_of(rows.branch, customers.branch_ends(scope), scope.as_of))
    age = (rows.end.year() - rows.day.year()) * YEAR + rows.end.month() - rows.day.month()
    rows = rows.mutate(age=age).filter(rows.kind != "refund", rows.day <= rows.end)
    measures = {"regularity": rows.age.nunique(where=rows.age < YEAR)}
    if "channel" in rows.columns:
        measures["channels"] = rows.channel.nunique()
    used = rows.group_by("customer_id").aggregate(**measures).to_pandas().set_index("customer_id")
    parts |= {name: used[name].reindex(frame.index).fillna(0.0) for name in measures}
    if scope.has("survey_responses") and {SURVEY, "customer_id"} <= scope.columns("survey_responses"):
        answers = scope.table("survey_responses")
        answers = answers.filter(answers.customer_id.notnull(), answers[SURVEY].notnull())
        last = answers.group_by("customer_id").aggregate(value=answers[SURVEY].argmax(answers.answered_on)).to_pandas()
        parts["attachment"] = last.set_index("customer_id")["value"].astype(float).reindex(frame.index)
    return pd.DataFrame(parts)


def _fit(scope: Scope, found: Lives) -> tuple[pd.Series, Fit]:
    """Scores of truly new customers, and how good they are."""
    members = found.members[found.members["truly_new"]].sort_values(["first_on", "customer_id"])
    nobody = pd.Series(dtype=float)
    if members.empty:
        return nobody, Fit(math.nan, math.nan, math.nan, 0, (), "short")
    known = _at_joining(scope, members)
    covered = members["first_on"] + pd.DateOffset(months=2 * YEAR) - pd.Timedelta(days=1) <= members["observed_to"]
    ids = members.loc[covered, "customer_id"]
    within = found.stretches["unit"] * found.unit_months // YEAR == 1
    second = found.stretches[within & (found.stretches["n_orders"] > 0)].groupby("customer_id")["margin"].sum()
    second = second.reindex(ids)
    good = (second >= second.median()).to_numpy() & (second > 0).to_numpy()
    return learned(known, ids.to_list(), good)


def learned(known: pd.DataFrame, ids: list[str], good: np.ndarray) -> tuple[pd.Series, Fit]:
    """Learn `good` of `ids` (in order of joining) from `known` (attributes by customer), and check it on the last.

    A logistic regression with a small ridge on standardised columns, learned anew from all of them for the scores.
    """
    columns = _columns(known)
    names = tuple(known.columns)
    cut = int(len(ids) * (1 - HELD_OUT))
    parts = (good[:cut], good[cut:])
    if columns.empty or any(min(part.sum(), (~part).sum()) < MIN_CLASS for part in parts):
        return pd.Series(dtype=float), Fit(math.nan, math.nan, math.nan, len(ids) - cut, names, "short")
    x = columns.loc[ids].to_numpy(float)
    auc, low, high = area(x[cut:] @ _logistic(x[:cut], good[:cut]), good[cut:])
    scores = pd.Series(columns.to_numpy(float) @ _logistic(x, good), index=columns.index)
    return scores, Fit(auc, low, high, len(ids) - cut, names, "" if low > HALF else "nothing")


def _at_joining(scope: Scope, members: pd.DataFrame) -> pd.DataFrame:
    """What was known on the day of the first order, one row per member: text, except amount (by rank) and age."""
    rows = customers.payments(scope)
    rows = rows.mutate(day=rows.occurred_at.cast("date")).filter(rows.kind != "refund")
    measures = {"kind": rows.kind.argmin(rows.day)}
    for name in ("channel", "product", "category"):
        if name in rows.columns:
            measures[name] = rows[name].argmin(rows.day)
    first = rows.group_by("customer_id").aggregate(amount=rows.amount.argmin(rows.day), **measures).to_pandas()
    frame = first.set_index("customer_id").reindex(members["customer_id"])
    frame["amount"] = frame["amount"].astype(float).rank(pct=True)
    if scope.has("customers"):
        there = [name for name in ("gender", "birth_date") if name in scope.columns("customers")]
        people = scope.table("customers").select("customer_id", *there).to_pandas().set_index("customer_id")
        people = people[~people.index.duplicated()].reindex(frame.index)
        if "birth_date" in there:
            joined = pd.to_datetime(members.set_index("customer_id")["first_on"])
            people["age"] = (joined - pd.to_datetime(people.pop("birth_date"), errors="coerce")).dt.days / DAYS_PER_YEAR
        frame = frame.join(people)
    return frame


def _columns(known: pd.DataFrame) -> pd.DataFrame:
    """Standardised numbers: an attribute's kinds one by one, rare ones together, unknown as a kind of its own."""
    parts = [pd.Series(1.0, known.index, name="constant")]
    for name in known:
        values = known[name]
        if pd.api.types.is_numeric_dtype(values):
            parts.append(values.fillna(values.median()).astype(float).rename(name))
            continue
        values = values.astype(object).where(values.notna(), "")
        share = values.map(values.value_counts(normalize=True))
        dummies = pd.get_dummies(values.where(share >= RARE, "..."), prefix=name, dtype=float)
        parts += [dummies[column] for column in dummies.columns[1:]]
    frame = pd.concat(parts, axis=1)
    spread = frame.std(ddof=0)
    frame = frame.loc[:, (spread > 0) | (frame.columns == "constant")]
    moving = frame.columns[1:]
    frame[moving] = (frame[moving] - frame[moving].mean()) / spread[moving]
    return frame if len(moving) else frame.iloc[:0]


def _logistic(x: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Coefficients by Newton's method; the first column is the constant and bears no penalty."""
    weights, penalty = np.zeros(x.shape[1]), np.diag([0.0, *[RIDGE] * (x.shape[1] - 1)])
    for _step in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (good - p) - penalty @ weights
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-8:  # noqa: PLR2004 - converged
            break
    return weights


def area(scores: np.ndarray, good: np.ndarray) -> tuple[float, float, float]:
    """Area under the ROC curve with its 95 % interval (DeLong, DeLong and Clarke-Pearson 1988, by mid-ranks).

    >>> area(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))[0]
    1.0
    """
    high, low = scores[good], scores[~good]
    everybody = rankdata(np.concatenate([high, low]))
    above = (everybody[: len(high)] - rankdata(high)) / len(low)
    below = 1 - (everybody[len(high) :] - rankdata(low)) / len(high)
    value = float(above.mean())
    if min(len(high), len(low)) < 2:  # noqa: PLR2004 - one of a kind has no spread
        return value, math.nan, math.nan
    error = math.sqrt(above.var(ddof=1) / len(high) + below.var(ddof=1) / len(low))
    return value, max(value - 1.96 * error, 0.0), min(value + 1.96 * error, 1.0)
