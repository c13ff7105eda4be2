"""How likely it is that a customer brings no more than an amount: what single customers do varies far more than what
is expected of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammainc

from crm_analysis.customer_value.future import Outlook
from crm_analysis.customer_value.holdout import purchase_class
from crm_analysis.customer_value.profits import Profits
from crm_analysis.units import months_to_days

MIN_LIKE = 30  # customers whose outcomes stand for what one of their kind may do
MODEL, NOBODY = "model", "nobody"
CERTAIN = 1e-9


@dataclass(frozen=True, slots=True)
class Chances:
    """Distributions of what each customer brings over the months ahead, around what is expected.

    `customers`, indexed by customer_id: expected_value and kind. Of kind "nobody" nothing is expected, for certain; of
    kind "model" it is nothing with probability `none`, else Gamma distributed with `shape` and `scale`. Other kinds
    are in `outcomes`: what customers of that kind brought lately, relative to what was to be expected of them, in
    order. Of a kind without any nothing is known.
    """

    customers: pd.DataFrame
    outcomes: dict[str, np.ndarray]

    def up_to(self, amounts: np.ndarray) -> np.ndarray:
        """P(the customer brings at most the amount), one amount per customer; missing where nothing is known."""
        frame, amounts = self.customers, np.asarray(amounts, float)
        expected, kind = frame["expected_value"].to_numpy(float), frame["kind"].to_numpy(object)
        found = np.full(len(frame), np.nan)
        found[kind == NOBODY] = (amounts >= 0)[kind == NOBODY]
        is_model = kind == MODEL
        none, shape, scale = (frame.loc[is_model, name].to_numpy(float) for name in ("none", "shape", "scale"))
        line = amounts[is_model]
        some = gammainc(shape, np.clip(line, 0, None) / scale)
        found[is_model] = np.where(line < 0, 0.0, none + (1 - none) * some)
        for name, relative in self.outcomes.items():
            own = (kind == name) & (expected > 0)
            found[own] = np.searchsorted(relative, amounts[own] / expected[own], side="right") / len(relative)
        return found


def chances(status: pd.DataFrame, year_ago: pd.DataFrame, earned: Profits, outlook: Outlook) -> Chances:
    """For the customers of `status`, in their order.

    A regular giver's is what those who stood alike a year ago (`year_ago`, a status frame) paid in the year, per money
    promised. Other customers' is the model's: P(no purchase), and otherwise a sum of purchases whose number is taken
    to be shifted geometric, their worth as Gamma-Gamma has it. Without a model it is what customers with as many
    purchases brought in the holdout. Kinds with fewer than 30 customers take the outcomes of all kinds together.
    """
    ahead = outlook.customers.drop_duplicates("customer_id").set_index("customer_id")
    frame = pd.DataFrame({"expected_value": ahead["expected_value"].astype(float), "kind": ""}, index=ahead.index)
    frame = frame.assign(none=np.nan, shape=np.nan, scale=np.nan)
    regular, one_off = ahead["part"] == "regular", ahead["part"] == "one_off"
    outcomes: dict[str, np.ndarray] = {}
    if regular.any():
        outcomes |= _regular(year_ago, earned)
        standing = _standing(status.set_index("customer_id")["status"].reindex(frame.index[regular]))
        frame.loc[regular, "kind"] = standing.where(standing.isin(list(outcomes)), "regular")
    if outlook.way == "model":
        _by_model(frame, outlook)
    elif outlook.way == "class" and outlook.holdout is not None:
        kind, by_class = _by_class(outlook)
        outcomes |= by_class
        frame.loc[one_off, "kind"] = kind.reindex(frame.index[one_off])
    frame = frame.reindex(pd.Index(status["customer_id"]))
    frame["kind"] = frame["kind"].fillna(NOBODY)
    frame["expected_value"] = frame["expected_value"].fillna(0.0)
    return Chances(frame, outcomes)


def _enough(relative: pd.Series, kind: pd.Series, pooled: str) -> dict[str, np.ndarray]:
    """Outcomes by kind, in order, those of all under `pooled`; only where they are many enough."""
    groups = {str(name): each for name, each in relative.groupby(kind)} | {pooled: relative}
    return {name: np.sort(each.to_numpy(float)) for name, each in groups.items() if len(each) >= MIN_LIKE}


def _standing(status: pd.Series) -> pd.Series:
    return status.where(status.isin(["overdue", "dormant"]), "up to date")


def _regular(year_ago: pd.DataFrame, earned: Profits) -> dict[str, np.ndarray]:
    """What each commitment of a year ago brought in the year, relative to all who stood alike."""
    if "amount_a_year" not in year_ago:
        return {}
    base = year_ago[year_ago["committed"] & (year_ago["amount_a_year"] > 0)]
    standing = _standing(base["status"])
    collected = base["customer_id"].map(earned.customers.set_index("customer_id")["regular"]).fillna(0.0).astype(float)
    promised = base["amount_a_year"].astype(float)
    ratio = collected.groupby(standing).transform("sum") / promised.groupby(standing).transform("sum")
    some = ratio > 0
    return _enough((collected / promised / ratio)[some], standing[some], "regular")


def _by_model(frame: pd.DataFrame, outlook: Outlook) -> None:
    """Fill in kind, none, shape and scale of the customers foreseen by the models."""
    histories, fit, spend = outlook.histories, outlook.fit, outlook.spend
    if fit is None or spend is None:
        return
    ids = histories.frame.index
    days = months_to_days(outlook.months)
    none = fit.purchase_probabilities(histories, horizon_days=days, upto=0)[0].clip(0, 1 - CERTAIN)
    p, q, _gamma = spend.values
    known = p * histories.frame["x"].to_numpy(float) + q
    number = (fit.expected_purchases(histories, horizon_days=days) / (1 - none)).clip(lower=1.0)
    # Relative variance of a sum of so many: their number, the worth of each, and what the customer's own mean may be.
    relative = (1 - 1 / number) + 1 / (p * number) + 1 / np.clip(known - 2, 0.5, None)
    mean = frame["expected_value"].reindex(ids) / (1 - none)
    found = pd.DataFrame({"none": none, "shape": 1 / relative, "scale": mean * relative})[mean > 0]
    frame.loc[found.index, ["none", "shape", "scale"]] = found
    frame.loc[found.index, "kind"] = MODEL


def _by_class(outlook: Outlook) -> tuple[pd.Series, dict[str, np.ndarray]]:
    """The class of each customer's purchases over the latest months, and what each class brought in the holdout.

    Who was not there before the holdout has made all purchases in it.
    """
    check = outlook.holdout
    assert check is not None
    then, brought = check.customers, check.customers["actual_value"].astype(float)
    group = purchase_class(then["lately"])
    mean = brought.groupby(group).transform("mean")
    outcomes = _enough((brought / mean)[mean > 0], group[mean > 0], "one_off")
    x = outlook.histories.frame["x"]
    now = purchase_class(then["actual"].reindex(x.index).fillna(x + 1))
    return now.where(now.isin(list(outcomes)), "one_off"), outcomes
