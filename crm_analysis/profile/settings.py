"""The settings of a profile, typed. A key that does not exist here is refused when the profile is loaded.

Amounts are in the profile's currency, rates are shares (0.05 is five per cent), lengths of time carry their unit in
the name.
"""

from __future__ import annotations

import graphlib
import zoneinfo
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from crm_analysis.errors import selection_refused
from crm_analysis.language import available
from crm_analysis.profile import reach

Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = str | dict[str, str]
_IDENTIFIER, _CURRENCY = r"^[a-z0-9][a-z0-9_-]{0,40}$", r"^[A-Z]{3}$"
PATTERNS = {
    _IDENTIFIER: "write small letters a to z, digits, - and _ only, at most 41 of them, as it names a folder",
    _CURRENCY: "write the three capital letters of the currency, such as KRW",
}
"""What a text must look like, in words."""


class Settings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(Settings):
    """What the organisation calls its customers and their orders, in the source language of the book."""

    customer: str = "customer"
    customers: str = "customers"
    order: str = "purchase"
    orders: str = "purchases"


class Column(Settings):
    """How one canonical column is made from a source.

    Give one of: `from` (a header, with optional `values` that rename its cells), `constant`, or `expression` (SQL over
    the source's own columns).
    """

    from_: str | None = Field(None, alias="from")
    values: dict[str, str | None] = {}
    constant: str | float | int | bool | None = None
    expression: str | None = None

    @model_validator(mode="after")
    def one_way(self) -> Column:
        """Exactly one way of making the column."""
        given = [self.from_ is not None, self.constant is not None, self.expression is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of `from`, `constant` and `expression`")
        return self


class Source(Settings):
    """Files that share one layout, or one table of a database, read where it is."""

    files: list[str] = Field([], description="globs below the data folder")
    database: str | None = Field(
        None, description="a DuckDB file below the data folder, or postgresql://USER@HOST/NAME without a password"
    )
    table: str | None = Field(None, description="the table or view of the database, as NAME or SCHEMA.NAME")
    encoding: str = "auto"
    delimiter: str | None = None
    sheet: str | int | list[str] | Literal["*"] | None = None
    header_row: int | None = Field(1, ge=1, description="1-based row of the header; null where the file has none")
    names: list[str] | None = Field(None, description="column names for a file without a header")
    columns: dict[str, str | Column] = {}
    missing: list[str] = Field([], description="cell texts that mean: no value")
    where: str | None = Field(None, description="SQL over the source's columns; other rows belong to another table")
    time_zone: str | None = Field(
        None, description="whose clock says on which day a moment was, for columns that hold moments (with time zone)"
    )
    total_words: list[str] = ["합계", "총계", "소계", "누계", "total", "grand total", "subtotal", "sum"]

    @model_validator(mode="after")
    def one_place(self) -> Source:
        """Either files or a table of a database, with the settings that apply to it."""
        if bool(self.files) == (self.database is not None):
            raise ValueError("say where the rows are: either `files`, or `database` and `table`")
        if self.database is None and self.table is not None:
            raise ValueError("`table` is a table of a `database`; for files leave it out")
        if self.database is not None:
            if not self.table:
                raise ValueError("`database` needs `table`, the table or view to read")
            moot = sorted(_OF_FILES & self.model_fields_set)
            if moot:
                raise ValueError(f"`{moot[0]}` is about files; a table of a database does without it")
            address = urlsplit(self.database) if is_server(self.database) else None
            if address and (address.password is not None or "password=" in address.query):
                raise ValueError("a profile holds no password: take it out and set PGPASSWORD or ~/.pgpass instead")
        return self

    @field_validator("time_zone")
    @classmethod
    def zone_known(cls, time_zone: str | None) -> str | None:
        """A name of the time zone database."""
        if time_zone is not None and time_zone not in zoneinfo.available_timezones():
            raise ValueError("this is no time zone; write one such as Asia/Seoul")
        return time_zone


def is_server(database: str) -> bool:
    """Whether `database` is the address of a PostgreSQL server, and not a file."""
    return database.startswith(("postgresql://", "postgres://"))


_OF_FILES = frozenset(("encoding", "delimiter", "sheet", "header_row", "names", "total_words"))


class Table(Settings):
    """One canonical table, from one or several sources."""

    sources: list[Source] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def short_form(cls, value: object) -> object:
        """A table with one source may be written without `sources`."""
        if isinstance(value, dict) and "sources" not in value:
            return {"sources": [value]}
        return value


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


class Item(Settings):
    """One survey item; its column name is its key under `survey.items`."""

    label: Text = ""
    role: Literal[
        "overall", "driver", "expectation", "perception", "importance", "recommend", "repurchase", "attachment"
    ] = "driver"
    expects: str = Field("", description="the expectation item beside which this perception stands")
    dimension: str = ""
    scale: tuple[float, float] = (1, 5)
    codes: list[float] = Field([], description="values that are no answers: don't know, refused, blank")
    reversed: bool = False
    target: float | None = None


ECSI_PATHS: dict[str, tuple[str, ...]] = {
    "expectation": ("image",),
    "quality": ("expectation",),
    "value": ("expectation", "quality"),
    "satisfaction": ("image", "expectation", "quality", "value"),
    "complaints": ("satisfaction",),
    "loyalty": ("image", "satisfaction", "complaints"),
}
"""The European customer satisfaction index: what leads to each block (Tenenhaus et al. 2005, figure 1)."""


class PathModel(Settings):
    """What leads to what among the dimensions of the survey, for the path model of satisfaction.

    A block holds the items whose `dimension` bears its name; overall satisfaction belongs to `satisfaction`.
    """

    preset: Literal["ecsi"] | None = Field(
        None, description="a structure by name: ecsi is the European customer satisfaction index"
    )
    paths: dict[str, tuple[str, ...]] = Field({}, description="for every block that others lead to, the names of those")
    satisfaction: str = Field("satisfaction", description="the block that the index measures")
    loyalty: str = Field("loyalty", description="the block that satisfaction should lead to in the end")

    @model_validator(mode="after")
    def leads_somewhere(self) -> PathModel:
        """One structure, whose arrows never lead back to where they began."""
        if (self.preset is None) == (not self.paths):
            raise ValueError("give either `preset: ecsi` or `paths`, for example {satisfaction: [quality, price]}")
        try:
            graphlib.TopologicalSorter(self._leading()).prepare()
        except graphlib.CycleError as error:
            round_ = " -> ".join(reversed(error.args[1]))
            raise ValueError(f"the paths lead round in a circle: {round_}; take one of these arrows out") from None
        if self.satisfaction not in self.blocks():
            raise ValueError(f"no path leads to or from the block of satisfaction, `{self.satisfaction}`")
        return self

    def _leading(self) -> dict[str, tuple[str, ...]]:
        return ECSI_PATHS if self.preset else self.paths

    def arrows(self) -> tuple[tuple[str, str], ...]:
        """Every arrow as (source, target)."""
        return tuple((source, target) for target, sources in self._leading().items() for source in sources)

    def blocks(self) -> tuple[str, ...]:
        """Every block, whatever leads to another before it."""
        return tuple(graphlib.TopologicalSorter(self._leading()).static_order())


class Survey(Settings):
    """What the survey's columns mean. `satisfaction` is the overall item."""

    satisfaction: Item = Item(role="overall")
    level_names: dict[int, Text] = {}
    items: dict[str, Item] = {}
    index_weights: dict[str, NotNegative] = {}
    model: PathModel | None = Field(
        None, description="path model between the items' dimensions; weighs the index where `index_weights` does not"
    )


class Loyalty(Settings):
    """How behaviour after an answer is measured."""

    window_days: int = Field(180, ge=1)
    gap_days: int = Field(1, ge=1)
    link_window_months: int = Field(24, ge=1)
    first_orders_only: bool = Field(False, description="keep only the answer to a customer's first order")
    indifference_margin: Share = Field(0.05, description="differences in retention below this do not matter")
    satisfied_from: float | None = Field(
        None, description="lowest score that counts as satisfied in the types; one below the top where absent"
    )
    attached_from: float | None = Field(
        None, description="lowest answer that counts as attached in the types; one below the top where absent"
    )
    repeat_from: int = Field(
        2, ge=1, description="days with a payment, in the year up to the answer, that count as repeat patronage"
    )


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
            raise ValueError("the table `transactions` is required: say under `tables:` where it is")
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
