"""Whether branches differ in how often people buy and stay, and what is used where a branch cannot say for itself.

Only where all branches are looked at together: the page of one branch reads that branch alone. Customers who ever held
a commitment are left out: what they buy beside it or after it is another habit, and branches differ in how many of them
there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from crm_analysis.customer_value.future import Outlook
from crm_analysis.customer_value.holdout import MODELS, RepeatFit
from crm_analysis.value_models import CannotFit, Difference, Estimate, Histories, difference

NEW_WEEKS = 26  # a branch whose longest history is shorter than this cannot tell who stays
YEAR_DAYS = 364.0  # 52 weeks


@dataclass(frozen=True, slots=True)
class BranchFit:
    """A branch's customers who never held a commitment, and the model used for them.

    `own` is whether it is the branch's own; otherwise it is that of all branches together, and `why` says why: "few"
    (customers who came back), "new" (observed for less than half a year), or "diagnosis" (its own fit ended badly).
    `new_customer` are the purchases expected of a new customer within 52 weeks of the first.
    """

    branch: str
    n: int
    n_repeat: int
    own: bool
    why: str
    fit: RepeatFit
    new_customer: Estimate

    @property
    def edge(self) -> bool:
        """Whether a parameter of the branch's own fit is at the end of its range or not determined."""
        return self.own and bool(self.fit.notes)


@dataclass(frozen=True, slots=True)
class Pooling:
    """The fit of all branches together beside one for each branch.

    `test` asks whether the branches with a fit of their own differ (likelihood ratio, degrees of freedom four times one
    less than their number); None with fewer than two of them. `unreliable` are those whose parameters are at the end of
    their range, where the chi-squared law is only on the safe side. `new_customer` is that of all together.
    """

    pooled: RepeatFit
    new_customer: Estimate
    branches: tuple[BranchFit, ...]
    test: Difference | None
    unreliable: tuple[str, ...]

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.pooled.model

    @property
    def on_pooled(self) -> tuple[BranchFit, ...]:
        """The branches that take the fit of all together."""
        return tuple(each for each in self.branches if not each.own)


def pool(outlook: Outlook, status: pd.DataFrame) -> Pooling | None:
    """Fit each branch's customers by the model in use for all. None with fewer than two branches or without a model."""
    if outlook.fit is None:
        return None
    key = _key(outlook.fit)
    standing = status.set_index("customer_id")
    held = standing["committed"] | (standing["ended_on"].notna() if "ended_on" in standing else False)
    frame = outlook.histories.frame
    frame = frame[~held.reindex(frame.index)]
    branches = standing["branch"].reindex(frame.index)
    if branches.nunique() < 2:
        return None
    try:
        pooled = _fit(key, replace(outlook.histories, frame=frame))
    except CannotFit:
        return None
    parts = []
    for branch, index in branches.groupby(branches, sort=True).groups.items():
        part = frame.loc[index]
        own, why = _own(key, replace(outlook.histories, frame=part), outlook.min_repeat_customers)
        fit = pooled if own is None else own
        repeat = int((part["x"] > 0).sum())
        parts.append(BranchFit(str(branch), len(part), repeat, own is not None, why, fit, new_customer(fit)))
    bearing = [each for each in parts if each.own]
    test = None
    if len(bearing) > 1:
        told = branches.isin([each.branch for each in bearing])
        common = pooled if told.all() else _fit(key, replace(outlook.histories, frame=frame[told]))
        test = difference(common, [each.fit for each in bearing])
    return Pooling(
        pooled=pooled,
        new_customer=new_customer(pooled),
        branches=tuple(parts),
        test=test,
        unreliable=tuple(each.branch for each in bearing if each.edge),
    )


def new_customer(fit: RepeatFit) -> Estimate:
    """Repeat purchases expected of a new customer within 52 weeks of the first purchase, with its 95 % interval."""
    with np.errstate(all="ignore"):  # at the end of a range the steps of the derivative may leave it
        return fit.delta(lambda each: float(each.new_customer_purchases(YEAR_DAYS)))


def _key(fit: RepeatFit) -> str:
    return {"BG/NBD": "bg_nbd", "MBG/NBD": "mbg_nbd", "Pareto/NBD": "pareto_nbd"}[fit.model]


def _fit(key: str, histories: Histories) -> RepeatFit:
    with np.errstate(all="ignore"):  # a search that ends badly is told by `converged`
        return MODELS[key](histories)


def _own(key: str, histories: Histories, min_repeat: int) -> tuple[RepeatFit | None, str]:
    """The fit of a branch, or why there is none."""
    frame = histories.frame
    if int((frame["x"] > 0).sum()) < min_repeat:
        return None, "few"
    if frame["T"].max() < NEW_WEEKS:
        return None, "new"
    try:
        fit = _fit(key, histories)
    except CannotFit:
        return None, "few"
    return (fit, "") if fit.converged else (None, "diagnosis")
