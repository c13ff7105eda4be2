"""A whole profile, and the settings that belong to no topic of their own."""

from __future__ import annotations

import difflib
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from crm_analysis.language import available
from crm_analysis.profile.settings.base import NotNegative, Settings, Share, Text
from crm_analysis.profile.settings.places import Table
from crm_analysis.profile.settings.programmes import ContactLimits, Roi
from crm_analysis.profile.settings.surveys import Loyalty, Survey
from crm_analysis.profile.settings.tiers import Tiers

_IDENTIFIER, _CURRENCY = r"^[a-z0-9][a-z0-9_-]{0,40}$", r"^[A-Z]{3}$"
PATTERNS = {
    _IDENTIFIER: "write small letters a to z, digits, - and _ only, at most 41 of them, as it names a folder",
    _CURRENCY: "write the three capital letters of the currency, such as KRW",
}
"""What a text must look like, in words."""


class Words(Settings):
    """What the organisation calls its customers and their orders, in the source language of the book."""

    customer: str = "customer"
    customers: str = "customers"
    order: str = "purchase"
    orders: str = "purchases"


class Calendar(Settings):
    """Fiscal year, default period and movable holidays."""

    fiscal_year_starts: int = Field(1, ge=1, le=12)
    default_period: Literal["year", "half", "quarter", "month"] = "quarter"
    holidays: dict[str, list[date]] = {}


class Branches(Settings):
    """Which branches get pages of their own; `all` always keeps every row."""

    include: list[str] | None = None
    largest: int | None = Field(None, ge=1)
    names: dict[str, Text] = {}


class Coverage(Settings):
    """How far the data reach."""

    history_starts_on: date | None = None
    data_ends_on: date | None = None
    last_covered_day: dict[str, date] = {}
    silent_after_days: int = Field(14, ge=1, description="shortest silence that counts as having stopped reporting")


class StatusRule(Settings):
    """The one rule that says who is new, active, overdue, dormant, lost or reactivated."""

    new_days: int = Field(90, ge=1)
    dormant_unpaid_months: float = Field(6, gt=0, description="with a commitment: months of unpaid dues")
    overdue_rhythm: float = Field(1.5, gt=0, description="silence in multiples of the customer's own usual gap")
    dormant_rhythm: float = Field(3.0, gt=0, description="silence in multiples of the customer's own usual gap")
    dormant_days: int = Field(365, ge=1, description="silence before which nobody is dormant")
    lost_days: int = Field(730, ge=1, description="silence after which everybody is lost")


class Margin(Settings):
    """What remains of an amount paid, where `transactions.margin` and `.cost` are not given."""

    rate: Share = 1.0
    list_prices: bool = Field(False, description="amounts are before discount; the loader converts")


class CostToServe(Settings):
    """What a customer costs, where the tables do not say."""

    per_customer_year: NotNegative = 0.0
    per_order: NotNegative = 0.0
    per_contact: NotNegative = 0.0
    per_point: NotNegative = Field(0.0, description="what a loyalty point costs when it is redeemed")


class Privacy(Settings):
    """What is never shown."""

    min_cell: int = Field(5, ge=2)
    dominance_share: Share = Field(0.85, description="an amount of which one customer holds more is not shown")


class Quality(Settings):
    """Limits of the contract check."""

    max_set_aside: Share = 0.20
    row_count_change: Share = Field(0.5, description="change against the previous period that is worth a warning")
    control_total_tolerance: Share = 0.005
    contact_stale_days: int = Field(365, ge=1)
    contact_decay_annual: Share = Field(0.20, description="used where the organisation has no returned-contact rate")
    owner: str = ""


class Value(Settings):
    """Segments and the models of future value."""

    horizon_months: int = Field(12, ge=3, description="how far ahead future value looks")
    holdout_months: float = Field(12, gt=0)
    discount_rate_annual: float = Field(
        0.10,
        ge=0,
        le=1,
        description="what money a year later is worth less: of customers' value and of programmes' money",
    )
    score_cuts: dict[Literal["recency_days", "frequency", "monetary"], list[float]] = Field(
        {}, description="four inner cut points per score; quintiles at the base period where absent"
    )
    base_period: str | None = Field(None, description="period at which score thresholds are frozen")
    min_repeat_customers: int = Field(100, ge=10, description="repeat customers that a model needs to be fitted")
    category_spend: float | None = Field(
        None,
        gt=0,
        description="what one customer spends a year in the whole category, with anybody, for share of wallet",
    )


class BuiltIn(Settings):
    """The built-in association is written before it is read."""

    seed: int = 20261
    donors: int = Field(20_000, ge=500)


class Profile(Settings):
    """One organisation. Made by `profile.load`; passed to everything."""

    id: str = Field(pattern=_IDENTIFIER)
    name: Text
    language: str = "en"
    currency: str = Field(pattern=_CURRENCY)
    note: Text = ""
    words: Words | dict[str, Words] = Words()
    data: str | None = Field(None, description="the data folder, relative to the profile; --data comes first")
    tables: dict[str, Table]
    calendar: Calendar = Calendar()
    branches: Branches = Branches()
    coverage: Coverage = Coverage()
    status: StatusRule = StatusRule()
    margin: Margin = Margin()
    cost_to_serve: CostToServe = CostToServe()
    privacy: Privacy = Privacy()
    quality: Quality = Quality()
    survey: Survey = Survey()
    loyalty: Loyalty = Loyalty()
    value: Value = Value()
    tiers: Tiers = Tiers()
    roi: Roi = Roi()
    contact_limits: ContactLimits | None = Field(None, description="no limit where absent")
    outbox: str | None = Field(
        None,
        description="folder of campaigns that `export` wrote, relative to the profile; else `outbox` beside the data",
    )
    owners: dict[str, Text] = Field({}, description="who acts, by programme or chapter")
    built_in: BuiltIn | None = None
    path: Path
    data_root: Path
    build_dir: Path

    @property
    def outbox_dir(self) -> Path:
        """Where campaigns that `crm-analysis export` wrote are, and from where every run reads them back.

        The setting `outbox`, relative to the profile; otherwise `outbox` in the data folder, or in the build folder
        where the data are the program's own or a package's.
        """
        if self.outbox is not None:
            return self.path.parent / self.outbox
        foreign = self.built_in is not None or (self.data or "").startswith("package:")
        return (self.build_dir if foreign else self.data_root) / "outbox"

    @field_validator("language")
    @classmethod
    def language_known(cls, language: str) -> str:
        """Pages exist in the languages that have a catalog."""
        if language not in available():
            raise ValueError(f"there are no pages in this language. Languages: {', '.join(available())}")
        return language

    @field_validator("tables")
    @classmethod
    def transactions_given(cls, tables: dict[str, Table]) -> dict[str, Table]:
        """Only `transactions` is required."""
        if "transactions" not in tables:
            near = difflib.get_close_matches("transactions", tables, n=1)
            meant = f"; rename `{near[0]}` if it is meant" if near else ""
            raise ValueError(f"the table `transactions` is required: say under `tables:` where it is{meant}")
        return tables

    @field_validator("tiers")
    @classmethod
    def in_own_currency(cls, tiers: Tiers, others: ValidationInfo) -> Tiers:
        """The department store's thresholds are in won."""
        currency = others.data.get("currency", "KRW")
        if tiers.preset == "department_store" and currency != "KRW":
            raise ValueError(
                f"the preset department_store has thresholds in won, and the currency is {currency}; "
                "write `rules` of your own"
            )
        return tiers

    @field_validator("roi")
    @classmethod
    def ranges_hold_their_settings(cls, roi: Roi, others: ValidationInfo) -> Roi:
        """A range holds the value that the other pages use."""
        margin, value = others.data.get("margin"), others.data.get("value")
        for name, base in (
            ("margin_rate", margin and margin.rate),
            ("discount_rate_annual", value and value.discount_rate_annual),
        ):
            ends = getattr(roi.ranges, name)
            if ends is not None and base is not None and not ends[0] <= base <= ends[1]:
                raise ValueError(f"`ranges.{name}` does not hold the profile's own value, {base:g}")
        return roi

    def text(self, value: Text, language: str | None = None) -> str:
        """A text setting in the language asked for, the profile's own, or any that it has."""
        if isinstance(value, str):
            return value
        for key in (language, self.language, "en"):
            if key in value:
                return value[key]
        return next(iter(value.values()), "")

    def branch_name(self, branch: str, language: str | None = None) -> str:
        """The name under which readers know a branch."""
        return self.text(self.branches.names.get(branch, branch), language)

    def campaign_name(self, campaign_id: str, name: str | None, language: str | None = None) -> str:
        """The name under which readers know a campaign: the profile's, else the table's, else its code."""
        return self.text(self.roi.campaign_names.get(campaign_id, name or campaign_id), language)

    def vocabulary(self, language: str | None = None) -> Words:
        """The organisation's words in a language."""
        if isinstance(self.words, Words):
            return self.words
        for key in (language, self.language, "en"):
            if key in self.words:
                return self.words[key]
        return Words()

    def owner(self, key: str, language: str | None = None) -> str:
        """The role that acts on `key` (a programme or chapter); empty when the profile names none."""
        return self.text(self.owners.get(key, ""), language)
