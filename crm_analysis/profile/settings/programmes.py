"""Programmes: what their money rests on, whom they may contact."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from crm_analysis.errors import selection_refused
from crm_analysis.profile.settings.base import NotNegative, Settings, Share, Text


class Ranges(Settings):
    """How far what a programme's money rests on may be off, as (lowest, highest); for the sensitivity figures."""

    margin_rate: tuple[Share, Share] | None = Field(
        None, description="holds margin.rate; a tenth of it either way where absent"
    )
    discount_rate_annual: tuple[Share, Share] | None = Field(
        None, description="holds value.discount_rate_annual; nothing to twice that rate where absent"
    )
    contact_cost: tuple[NotNegative, NotNegative] = Field((0.8, 1.2), description="times what contacts cost")
    other_costs: tuple[NotNegative, NotNegative] = Field((0.9, 1.1), description="times what other planned lines cost")

    @model_validator(mode="after")
    def ordered(self) -> Ranges:
        """Lowest first; factors hold 1, the ledger as it is."""
        for name in type(self).model_fields:
            ends = getattr(self, name)
            if ends is None:
                continue
            if ends[0] > ends[1]:
                raise ValueError(f"`{name}`: the lowest value, {ends[0]:g}, is above the highest, {ends[1]:g}")
            if name.endswith(("cost", "costs")) and not ends[0] <= 1 <= ends[1]:
                raise ValueError(f"`{name}` are factors on the ledger: write ends that hold 1 between them")
        return self


class EntryRule(Settings):
    """How customers get onto a best-customer list: by what they brought in the days before it starts."""

    measure: Literal["amount", "margin"] = Field("amount", description="what is added up: paid, or margin left")
    days: int = Field(ge=1, le=3660, description="days before the campaign starts over which it is added up")
    threshold: float | None = Field(
        None, gt=0, description="from where on a customer is in; empty: found between members and others"
    )


class Roi(Settings):
    """Assumptions of programme evaluation."""

    balance_history_days: int = Field(365, ge=1)
    sample_ratio_alpha: Share = 0.001
    min_control: int = Field(30, ge=2)
    cap_quantile: Share | None = Field(None, description="outcomes above this quantile are capped, beside the uncapped")
    campaign_names: dict[str, Text] = Field({}, description="how readers know a campaign, where its table says less")
    planned_control_share: dict[str, Share | dict[str, Share]] = Field(
        {},
        description="share held out by plan, by campaign, or by campaign and stratum where strata were split "
        "differently; where absent the usual share nearest to the counts",
    )
    held_out_until: dict[str, date] = Field(
        {}, description="last day on which a campaign's control was still left alone; the window's end where absent"
    )
    ranges: Ranges = Ranges()
    entry_rules: dict[str, EntryRule] = Field({}, description="line that lets customers into a campaign, by campaign")
    universal_holdout: str | None = Field(
        None, description="the campaign whose control arm got no campaign at all, to check the sum of all of them"
    )
    among: str = Field("assigned", description="whose outcomes are compared: everybody assigned, nothing else")

    @field_validator("among")
    @classmethod
    def everybody_assigned(cls, among: str) -> str:
        """Openers, responders and redeemers chose themselves."""
        if among != "assigned":
            raise ValueError(selection_refused(among))
        return among


class ContactLimits(Settings):
    """How often a customer may be contacted before a new campaign leaves them out.

    Counted are days with a contact, from `contacts` (direction out) and from the members of campaigns.
    """

    max_contacts: int = Field(ge=1, description="contacts, the new one included, within the days below")
    within_days: int = Field(ge=1, description="days that end on the day of the new contact")
