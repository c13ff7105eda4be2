"""What tier rules would give before anyone commits to them, for the operator's terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from crm_analysis import customers, style
from crm_analysis.customer_value.profits import Profits, customer_profits
from crm_analysis.customer_value.tiers import (
    BOUNDS,
    assign,
    covers,
    joined,
    key_of,
    measured_over,
    rules_of,
    top_shares,
)
from crm_analysis.errors import ScopeError
from crm_analysis.profile import reach
from crm_analysis.profile.settings import Condition, TierRule
from crm_analysis.tables import Scope

Name = Callable[[str], str]
NONE_GIVEN = "(none)"
WAYS = {"written": "as written", "all": "and", "any": "or"}
SIGNS = {"at_least": ">=", "more_than": ">", "at_most": "<=", "less_than": "<"}


@dataclass(frozen=True, slots=True)
class Preview:
    """How many customers each tier would have.

    `rules` are in the order in which they are tried. `counts` has one row per tier and one column per pair of year
    (`rolling`, `calendar`) and way of joining thresholds (`written`; `all` and `any` where that makes a difference to
    some rule); a year that the data do not cover is missing. `ends` is the day on which each year ends; `covered` is
    False where the history is shorter than the rolling one, which is shown all the same. `given` counts
    the organisation's own tiers (rows, column `tier_given` of the customers table) against the tiers as written over
    the profile's kind of year; None where there are none.
    """

    branch: str
    as_of: date
    rules: tuple[TierRule, ...]
    counts: pd.DataFrame
    ends: dict[str, date]
    given: pd.DataFrame | None
    given_year: str
    covered: bool


def preview(scope: Scope) -> Preview:
    """The tiers of the scope's profile, as written and with thresholds joined by and/or, over both kinds of year.

    Top shares are read from the profile's `value.base_period`, else the period before, as on the page. Raises
    ScopeError where nobody is left to put in a tier.
    """
    settings = scope.profile.tiers
    rules = {way: rules_of(settings if way == "written" else joined(settings, way)) for way in WAYS}
    relative = bool(top_shares(rules["written"], pd.DataFrame(columns=list(_measures())), source="").values)
    earlier = _base(scope) if relative else None
    now, base = _standing(scope), None if earlier is None else _standing(earlier)
    columns, ends, tiers = {}, {}, {}
    for year in ("rolling", "calendar"):
        measured, _earned, ends[year] = measured_over(year, *now)
        if measured.empty:
            raise ScopeError(
                f"{scope.branch} has no customers on {scope.as_of} who are not lost: nobody to put in tiers."
            )
        source = measured_over(year, *base)[0] if base and covers(base[0], base[0].as_of) else measured
        for way, tried in rules.items():
            tier = assign(measured, tried, top_shares(tried, source, source=""))
            tiers[year, way] = tier.set_axis(measured["customer_id"])
            n = tier.value_counts().reindex([key_of(rule) for rule in tried]).fillna(0)
            columns[year, way] = n if year == "rolling" or covers(scope, ends[year]) else n * float("nan")
    counts = pd.DataFrame(columns)
    for way in ("all", "any"):
        if all(tiers[year, way].equals(tiers[year, "written"]) for year in ends):
            counts = counts.drop(columns=[(year, way) for year in ends])
    given_year = settings.year if counts[settings.year, "written"].notna().all() else "rolling"
    given = _given(scope, tiers[given_year, "written"], list(counts.index))
    return Preview(
        scope.branch, scope.as_of, rules["written"], counts, ends, given, given_year, covers(scope, scope.as_of)
    )


def _measures() -> tuple[str, ...]:
    return tuple(Condition.model_fields)


def _base(scope: Scope) -> Scope | None:
    wanted = scope.profile.value.base_period
    return scope.tables.scope(scope.branch, wanted) if wanted is not None else scope.previous()


def _standing(scope: Scope) -> tuple[Scope, pd.DataFrame, Profits]:
    status = customers.status(scope)
    return scope, status, customer_profits(scope, status)


def _given(scope: Scope, tier: pd.Series, order: list[str]) -> pd.DataFrame | None:
    """Own tiers against the rules', the largest own tier first, those without one last."""
    if not scope.has("customers") or "tier_given" not in scope.columns("customers"):
        return None
    rows = scope.table("customers").select("customer_id", "tier_given").to_pandas().dropna()
    own = rows.drop_duplicates("customer_id", keep="last").set_index("customer_id")["tier_given"].astype(str)
    found = own.reindex(tier.index).fillna(NONE_GIVEN)
    table = pd.crosstab(found.to_numpy(), tier.to_numpy()).reindex(columns=order, fill_value=0)
    rank = table.sum(axis=1).where(table.index != NONE_GIVEN, -1).sort_values(ascending=False, kind="stable")
    return table.loc[rank.index]


def render(found: Preview, profile_name: str, name: Name) -> Group:
    """The preview as text for a terminal; `name` gives the name of a tier by its key."""
    total = int(found.counts["rolling", "written"].sum())
    shares = Table(
        title=f"{profile_name}, {found.branch}: {style.number(total)} customers not lost on {found.as_of}",
        title_justify="left",
    )
    shares.add_column("tier")
    shares.add_column("rule")
    for year, way in found.counts.columns:
        span = f"{year} year\nto {found.ends[year]},"
        shares.add_column(f"{span}\n{WAYS[way]}", justify="right")
    for rule in found.rules:
        cells = [
            style.DASH if n != n else f"{style.percent(n / total)}  {style.number(n)}"
            for n in found.counts.loc[key_of(rule)]
        ]
        shares.add_row(escape(name(key_of(rule))), escape(rule_text(rule)), *cells)
    parts: list[Table | str] = [shares, *_notes(found)]
    if found.given is not None:
        parts.append(_crossed(found, found.given, name))
    return Group(*parts)


def _notes(found: Preview) -> list[str]:
    notes = []
    if found.counts["calendar"].isna().any(axis=None):
        notes.append(f"The data do not cover the calendar year that ended on {found.ends['calendar']}.")
    if not found.covered:
        notes.append("The history is shorter than the rolling year: its amounts and visits are too few.")
    if len(found.counts["rolling"].columns) == 1:
        notes.append("No rule has two thresholds to join: and/or makes no difference.")
    if found.given is None:
        notes.append("The customers table has no tier_given to set beside this.")
    notes.append("No tier was changed by this. Small counts are shown here; pages hide them.")
    return notes


def _crossed(found: Preview, given: pd.DataFrame, name: Name) -> Table:
    cross = Table(
        title=f"Own tiers (tier_given) beside these, year to {found.ends[found.given_year]}, as written",
        title_justify="left",
    )
    cross.add_column("tier_given")
    for key in given.columns:
        cross.add_column(escape(name(key)), justify="right")
    cross.add_column("together", justify="right")
    for own, row in given.iterrows():
        cross.add_row(escape(str(own)), *(style.number(n) for n in row), style.number(int(row.sum())))
    cross.add_section()
    cross.add_row("together", *(style.number(n) for n in given.sum()), style.number(int(given.to_numpy().sum())))
    return cross


def rule_text(condition: Condition) -> str:
    """A condition in the words of the profile, such as `visits >= 34 and amount >= 6,700,000`."""
    parts = []
    for name, bounds in reach.ranges(condition).items():
        for bound, _test in BOUNDS:
            if (limit := getattr(bounds, bound)) is not None:
                parts.append(f"{name} {SIGNS[bound]} {style.number(limit, 0 if limit == round(limit) else 2)}")
        if bounds.top_share is not None:
            parts.append(f"{name} in the top {style.percent(bounds.top_share, 0)}")
    if condition.regular_transfer is not None:
        parts.append("regular transfer" if condition.regular_transfer else "no regular transfer")
    if condition.status is not None:
        parts.append("status " + "/".join(condition.status))
    parts += [_within(part) for part in condition.all]
    if condition.any:
        text = " or ".join(_within(part) for part in condition.any)
        parts.append(f"({text})" if parts else text)
    return " and ".join(parts) or "everybody left"


def _within(condition: Condition) -> str:
    text = rule_text(condition)
    return f"({text})" if " and " in text or " or " in text else text
