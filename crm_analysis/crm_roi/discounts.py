"""Whether discounts buy sales or price sensitivity: who buys at a discount, and what follows a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crm_analysis import privacy
from crm_analysis.crm_roi.effects import member_weights
from crm_analysis.crm_roi.flows import MemberFlows, split
from crm_analysis.crm_roi.outcomes import priced
from crm_analysis.estimators.means import MeanDifference
from crm_analysis.estimators.ratios import RatioDifference, delta_ratio, delta_ratio_difference
from crm_analysis.units import add_months

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

__all__ = ["Aftermath", "DiscountUse", "aftermaths", "discount_use"]

GROUPS = ("new", "best", "middle", "rest")
BEST_SHARE, MIDDLE_SHARE = 0.2, 0.4


@dataclass(frozen=True, slots=True)
class DiscountUse:
    """Share of what was paid in twelve months that was paid at a discount, by customer group.

    `groups` has group (all, new: first purchase within them; of the others best: the fifth who paid most, middle: the
    next two fifths, rest), n (customers), users (of them with a discount), share, low, high (delta method over
    customers), shown (False where privacy forbids). Empty where the discount is in no column, or nobody took one.
    """

    supplied: bool
    groups: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The `days` after one campaign's window, treated against control, per member; money in the profile's currency.

    `margin` below zero is a dip: purchases pulled forward. `of_gain` is that margin over the gain within the window,
    where there is shown to be one. `on_discount` is the difference in the share of what was paid at a discount, None
    where the treated took none in the window or nobody bought afterwards. Assumes randomised arms, and that neither was
    treated again meanwhile.
    """

    key: str
    name: str
    days: int
    n_treated: int
    n_control: int
    took_discount: bool
    margin: MeanDifference
    orders: MeanDifference
    of_gain: float | None
    on_discount: RatioDifference | None


def discount_use(scope: Scope) -> DiscountUse:
    """Share of sales on discount in the twelve months up to the scope's end, by customer group. A description."""
    nothing = pd.DataFrame(columns=["group", "n", "users", "share", "low", "high", "shown"])
    if "discount" not in scope.columns("transactions"):
        return DiscountUse(False, nothing)
    end, start = scope.as_of, add_months(scope.as_of, -12)
    rows = priced(scope.table("transactions"), margin_rate=1.0, list_prices=False)
    recent = (rows.on > start) & (rows.on <= end)
    frame = rows.group_by("customer_id").aggregate(
        first_on=rows.on.min(where=rows.is_order),
        paid=rows.paid.sum(where=recent & rows.is_order),
        reduced=rows.paid.sum(where=recent & rows.is_order & (rows.granted > 0)).fill_null(0.0),
    )
    frame = frame.filter(frame.paid > 0).order_by("customer_id").execute()
    if not (frame["reduced"] > 0).any():
        return DiscountUse(True, nothing)
    new = (pd.to_datetime(frame["first_on"]) > pd.Timestamp(start)).to_numpy()
    frame["group"] = _groups(frame["paid"].to_numpy(float), new)
    found = [_share("all", frame, scope)]
    found += [_share(name, frame[frame["group"] == name], scope) for name in GROUPS if (frame["group"] == name).any()]
    groups = pd.DataFrame(found, columns=nothing.columns)
    hidden = ~groups["shown"].to_numpy(bool)
    if hidden[1:].sum() == 1:  # its amount is what the others leave of the whole
        rest = groups.index[1:][~hidden[1:]]
        if len(rest):
            groups.loc[groups.loc[rest, "n"].idxmin(), "shown"] = False
    return DiscountUse(True, groups)


def _groups(paid: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Newcomers, and the others by rank of what they paid; ties keep their order."""
    found = np.full(len(paid), "new", dtype=object)
    known = np.flatnonzero(~new)
    rank = (np.argsort(np.argsort(-paid[known], kind="stable"), kind="stable") + 1) / max(len(known), 1)
    found[known] = np.select([rank <= BEST_SHARE, rank <= BEST_SHARE + MIDDLE_SHARE], ["best", "middle"], "rest")
    return found


def _share(
    name: str, frame: pd.DataFrame, scope: Scope
) -> tuple[str, int, int, float, float | None, float | None, bool]:
    rule = scope.profile.privacy
    found = delta_ratio(frame["reduced"], frame["paid"])
    users = int((frame["reduced"] > 0).sum())
    shown = not (
        privacy.small(len(frame), rule.min_cell)
        or privacy.tells(users, len(frame), rule.min_cell)
        or privacy.withhold(frame["reduced"], rule.min_cell, rule.dominance_share)
    )
    return name, len(frame), users, found.ratio, found.low, found.high, shown


def aftermaths(flows: Sequence[MemberFlows], scope: Scope) -> tuple[Aftermath, ...]:
    """What followed the window of every measured campaign whose data reach at least four weeks beyond it.

    Left out where nobody paid afterwards, or too few for their amounts to be shown.
    """
    return tuple(each for flow in flows if (each := _aftermath(flow, scope)) is not None)


def _aftermath(flow: MemberFlows, scope: Scope) -> Aftermath | None:
    if flow.after is None:
        return None
    stayed, treated = flow.after[flow.followed], flow.treated[flow.followed]
    if treated.sum() < scope.profile.roi.min_control or (~treated).sum() < scope.profile.roi.min_control:
        return None
    rule = scope.profile.privacy
    parts = {name: split(stayed[name].to_numpy(), treated) for name in stayed}
    if not stayed["paid"].any() or any(
        privacy.withhold(arm, rule.min_cell, rule.dominance_share) for arm in parts["left"]
    ):
        return None
    arms = flow.arms(followed=True)
    margin = arms.difference(*parts["left"])
    effect = flow.result.effect("margin")
    gain = effect.plain if effect is not None and (effect.plain.low or 0.0) > 0 else None
    took = _took_discount(flow)
    on_discount = None
    reduced = parts["paid_on_discount"]
    told = not any(privacy.withhold(arm, rule.min_cell, rule.dominance_share) for arm in reduced)
    if took and told and all(arm.sum() > 0 for arm in parts["paid"]) and any(arm.any() for arm in reduced):
        weights = [member_weights(arm.stratum, arm.share, arm.n) for arm in arms.arms]
        on_discount = delta_ratio_difference(
            treated_numerator=weights[0] * reduced[0],
            treated_denominator=weights[0] * parts["paid"][0],
            control_numerator=weights[1] * reduced[1],
            control_denominator=weights[1] * parts["paid"][1],
            treated_unit=arms.arms[0].unit,
            control_unit=arms.arms[1].unit,
        )
    return Aftermath(
        key=flow.result.key,
        name=flow.result.name,
        days=flow.after_days,
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
        took_discount=took,
        margin=margin,
        orders=arms.difference(*parts["n_orders"]),
        of_gain=margin.difference / gain.difference if gain is not None else None,
        on_discount=on_discount,
    )


def _took_discount(flow: MemberFlows) -> bool:
    """Whether the treated took more discount in the window than the control, beyond chance."""
    extra = flow.arms().difference(*split(flow.in_window["granted"].to_numpy(), flow.treated))
    return extra.low is not None and extra.low > 0
