"""Tiers of customers, and the conditions that put somebody in one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from crm_analysis.profile import reach
from crm_analysis.profile.settings.base import Finite, Settings, Text


class Range(Settings):
    """Bounds of a measure, all of which must hold. A bare number means `at_least`.

    `top_share` is relative: above the value that this share of customers exceeded at the base period. Whoever equals
    that value is not above it.
    """

    at_least: Finite | None = None
    more_than: Finite | None = None
    at_most: Finite | None = None
    less_than: Finite | None = None
    top_share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def short_form(cls, value: object) -> object:
        """A bare number is the least that will do."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"at_least": value}
        if not isinstance(value, dict | Range):
            raise ValueError("write a number, the least that will do, or bounds such as {at_least: 3}")
        return value

    @model_validator(mode="after")
    def bounded(self) -> Range:
        """At least one bound, and some value between them."""
        given = (self.at_least, self.more_than, self.at_most, self.less_than, self.top_share)
        if all(bound is None for bound in given):
            names = "`at_least`, `more_than`, `at_most`, `less_than` or `top_share`"
            raise ValueError(f"a threshold is missing: write {names}")
        if reach.within(self) is None:
            raise ValueError("no value lies between these thresholds")
        return self


class Condition(Settings):
    """What a customer must fulfil: every measure named here, everything under `all`, and one of those under `any`."""

    visits: Range | None = Field(None, description="distinct days with an order in the year")
    amount: Range | None = Field(None, description="paid in the year after refunds, in the profile's currency")
    profit: Range | None = Field(None, description="profit of the year, in the profile's currency")
    n_orders: Range | None = Field(None, description="distinct days with an order in all history")
    tenure_months: Range | None = Field(None, description="months since the first order or commitment")
    unpaid_months: Range | None = Field(None, description="months since the first unpaid due of a running commitment")
    days_since_last: Range | None = Field(None, description="days since the last order; nothing holds without one")
    regular_transfer: bool | None = Field(None, description="whether a commitment runs")
    status: list[Literal["new", "active", "overdue", "reactivated", "dormant"]] | None = Field(
        None, min_length=1, description="one of these by the profile's status rule"
    )
    all: list[Condition] = []
    any: list[Condition] = []

    @model_validator(mode="before")
    @classmethod
    def nothing_left_open(cls, value: object) -> object:
        """A measure that is named has a threshold, and a combination has parts."""
        for name, given in value.items() if isinstance(value, dict) else ():
            if given is None or given == []:
                raise ValueError(f"a threshold is missing after `{name}`")
        return value


class TierRule(Condition):
    """A tier and who belongs to it; without a condition, everybody left."""

    name: Text = Field(min_length=1, description="how readers know the tier")


class Tiers(Settings):
    """Tiers of customers who are not lost: a preset, or rules of one's own, tried in order, best tier first."""

    preset: Literal["department_store", "association", "deciles"] | None = Field(
        None, description="department_store (visits and yearly amount, in won), association, or deciles by profit"
    )
    rules: list[TierRule] = Field([], description="rules of one's own; the last has no condition and takes the rest")
    year: Literal["rolling", "calendar"] = Field(
        "rolling", description="the last twelve months, or the last fiscal year that is over"
    )

    @model_validator(mode="after")
    def sound(self) -> Tiers:
        """One way of naming tiers, and rules of which each can hold for somebody."""
        if self.preset and self.rules:
            raise ValueError("give `preset` or `rules`, not both")
        if "rules" in self.model_fields_set and not self.rules:
            raise ValueError("`rules` is empty: name a tier, or leave it out")
        fault = reach.fault(self.rules)
        if fault:
            raise ValueError(fault)
        return self
