"""Cohorts: heat maps of who still pays and of what an acquired customer has brought, tables and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import words
from crm_analysis.language import _

MARK = "*"
YEAR = 12
THOUSANDS = 100_000  # the largest amount from which on all are told in thousands, as short as a cell wants them


def _cells(state: CustomerValue) -> pd.DataFrame:
    """Cells with what must not be shown missing: shares that tell few, values of few or of one above all, and the
    sums after such a value; of all branches also what would tell the one branch's part that its page hides.
    """
    rule, cells = state.scope.profile.privacy, state.cohorts.cells
    cells = cells[~cells["n"].map(lambda n: privacy.small(n, rule.min_cell)).astype(bool)].copy()
    if cells.empty:
        return cells
    told = [privacy.tells(part, n, rule.min_cell) for part, n in zip(cells["paying"], cells["n"], strict=True)]
    few = cells["paying"].map(lambda n: privacy.small(n, rule.min_cell)).astype(bool)
    veiled = few | ((cells["paying"] > 0) & (cells["largest"] > rule.dominance_share * cells["size"]))
    alone = _hidden_by_one(state).reindex(pd.MultiIndex.from_frame(cells[["cohort", "unit"]]), fill_value=False)
    alone_share, alone_value = alone["share"].to_numpy(bool), alone["value"].to_numpy(bool)
    veiled |= alone_value
    cells["text"] = [style.share(part, n, rule.min_cell) for part, n in zip(cells["paying"], cells["n"], strict=True)]
    cells["text"] = cells["text"].mask(alone_share, style.DASH)
    cells["share"] = cells["share"].mask(pd.Series(told, index=cells.index) | alone_share)
    cells["cumulated"] = cells["cumulated"].mask(veiled.groupby(cells["cohort"]).cummax())
    marks = (~cells["truly_new"].astype(bool)).map({True: MARK, False: ""})
    return cells.assign(name=cells["cohort"].map(style.period) + marks)


def _hidden_by_one(state: CustomerValue) -> pd.DataFrame:
    """Whether exactly one branch's page hides its share, or its value, by cohort and unit: share, value."""
    rule, parts = state.scope.profile.privacy, state.cohorts.by_branch
    few = ((parts["n"] > 0) & (parts["n"] < rule.min_cell)) | (
        (parts["paying"] > 0) & (parts["paying"] < rule.min_cell)
    )
    rest = parts["n"] - parts["paying"]
    tells = few | ((rest > 0) & (rest < rule.min_cell))
    value = few | ((parts["paying"] > 0) & (parts["largest"] > rule.dominance_share * parts["size"]))
    hidden = parts.assign(share=tells, value=value).groupby(["cohort", "unit"])[["share", "value"]].sum()
    return (hidden == 1) & (parts["branch"].nunique() > 1)


def shares(state: CustomerValue) -> pd.DataFrame:
    """Share still paying: a row per cohort (finished name), a column per stretch after the first one."""
    cells = _cells(state)
    return _wide(cells[cells["unit"] > 0], "share") if len(cells) else pd.DataFrame()


def values(state: CustomerValue) -> pd.DataFrame:
    """Margin per acquired customer, cumulated, in `money_unit`: a row per cohort, a column per stretch."""
    cells = _cells(state)
    return _wide(cells, "cumulated") / money_unit(state)[0] if len(cells) else pd.DataFrame()


def money_unit(state: CustomerValue) -> tuple[float, str]:
    """What amounts of the map of value are divided by, and what they are told in."""
    currency = state.scope.profile.currency
    name = _("won") if currency == "KRW" else currency
    if not _cells(state)["cumulated"].max() >= THOUSANDS:
        return 1.0, name
    if currency == "KRW" and language.active() == "ko":
        return 10_000.0, "만원"
    return 1_000.0, _("thousand {currency}").format(currency=name)


def _wide(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    wide = cells.pivot(index="name", columns="unit", values=column).astype(float)
    wide = wide.reindex(cells.sort_values("cohort")["name"].drop_duplicates())
    wide.columns = [str(unit + 1) for unit in wide.columns]
    return wide.dropna(how="all").dropna(axis=1, how="all")


def _table(state: CustomerValue, text: pd.DataFrame) -> pd.DataFrame:
    """A table of finished text, the size of each cohort first."""
    if text.empty:
        return pd.DataFrame()
    cells = _cells(state)
    wide = text.pivot(index="name", columns="unit", values="text").fillna(style.DASH)
    wide = wide.reindex(text.sort_values("cohort")["name"].drop_duplicates())
    wide.columns = [str(unit + 1) for unit in wide.columns]
    size = _sizes(state, cells["cohort"].unique())
    cohort = cells.drop_duplicates("name").set_index("name")["cohort"]
    who = words(state.scope.profile).customers
    wide.insert(0, who[:1].upper() + who[1:], [size[cohort[name]] for name in wide.index])
    return wide.rename_axis(columns=None).reset_index(names=_("First {order} in").format(order=_order(state)))


def _sizes(state: CustomerValue, told: np.ndarray) -> pd.Series:
    """How many are in each cohort, as text; one at least is withheld where together those `told` would give away how
    few have a status, or a segment, and are in none of them.
    """
    parts = state.cohorts.parts
    text, hidden = (
        of(parts, state.scope.profile.privacy.min_cell) for of in (privacy.shown_of_all, privacy.hide_of_all)
    )
    inside = parts.loc[told].sum()
    if not hidden[told].any():
        for frame in (state.status, state.scores.merge(state.status[["customer_id", "branch"]], on="customer_id")):
            whole = pd.Series(len(frame), inside.index) if len(inside) == 1 else frame["branch"].value_counts()
            if disclosure.few(state, whole.sub(inside, fill_value=0).clip(lower=0)):
                text[parts.loc[told].sum(axis=1).idxmin()] = _("withheld")
    return text


def _order(state: CustomerValue) -> str:
    return words(state.scope.profile).order


def share_table(state: CustomerValue) -> pd.DataFrame:
    """Share still paying, as text."""
    cells = _cells(state)
    return _table(state, cells[cells["unit"] > 0]) if len(cells) else pd.DataFrame()


def value_table(state: CustomerValue) -> pd.DataFrame:
    """Margin per acquired customer, cumulated, as text, in the unit that the title names."""
    cells = _cells(state)
    if cells.empty:
        return pd.DataFrame()
    told = cells["cumulated"] / money_unit(state)[0]
    return _table(state, cells.assign(text=[style.number(value, 0 if abs(value) >= 100 else 1) for value in told]))  # noqa: PLR2004 - three digits, as on the map


def unit_name(months: int) -> str:
    """The unit of cohorts and tenure, as it stands in a sentence."""
    return {3: _("quarter"), 6: _("half-year"), 12: _("year")}[months]


def unit(state: CustomerValue) -> str:
    """The unit of cohorts and tenure of this page."""
    return unit_name(state.cohorts.unit_months)


def share_figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the map of who still pays, as keyword arguments of `report.figure`."""
    if shares(state).empty:
        alt = _("There are no cohorts to follow: the history is too short, or too few came in any one period.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    note = _(
        "A row is everybody whose first {order} fell into that {unit}; a column the {unit} of their own tenure (the "
        "first is 100 % by definition). Share with at least one {order} in it. Grey: not yet covered to its end, or "
        "too few to show. {mark} near the start of the records, may have been there before."
    ).format(order=_order(state), unit=unit(state), mark=MARK)
    return {
        "table": share_table(state),
        "title": _("Cohorts: who still pays"),
        "alt": _("Share still paying by cohort and {unit} of tenure.").format(unit=unit(state)),
        "how_to_read": f"{trend_sentence(state)} {note}",
    }


def value_figure(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the map of value, as keyword arguments of `report.figure`."""
    if values(state).empty:
        alt = _("There is no value of cohorts to show: the history is too short, or too few came in any one period.")
        return {"title": "", "alt": alt, "how_to_read": ""}
    note = _(
        "Margin after refunds per {customer} acquired, those who left counted with nothing, added up over the {unit}s "
        "of tenure; the cost of winning and serving them is not taken off. A column compares cohorts at one age."
    ).format(customer=words(state.scope.profile).customer, unit=unit(state))
    return {
        "table": value_table(state),
        "title": _("Cohorts: what an acquired {customer} has brought, {currency}").format(
            customer=words(state.scope.profile).customer, currency=money_unit(state)[1]
        ),
        "alt": _("Cumulated margin per acquired customer by cohort and {unit} of tenure.").format(unit=unit(state)),
        "how_to_read": f"{year_sentence(state)} {note}",
    }


def trend_sentence(state: CustomerValue) -> str:
    """Whether newer cohorts hold better than older ones, and what to do."""
    found, cell = state.cohorts.trend, state.scope.profile.privacy.min_cell
    counts = [] if found is None else [(round(part.share * part.n), part.n) for part in (found.older, found.newer)]
    if found is None or any(privacy.tells(part, n, cell) or n < cell for part, n in counts):
        return _("Whether newer cohorts hold better than older ones cannot be told yet: no two are old enough.")
    gap = found.difference
    said = {
        "customers": words(state.scope.profile).customers,
        "unit": unit(state),
        "position": found.unit + 1,
        "older": style.percent(found.older.share),
        "newer": style.percent(found.newer.share),
        "older_when": _span(found.older_labels),
        "newer_when": _span(found.newer_labels),
        "points": style.points(gap.value, sign=False),
        "interval": style.interval(gap.low, gap.high, "points"),
    }
    if gap.low > 0:
        text = _(
            "**Newer {customers} hold better**: {newer} of those of {newer_when} paid in {unit} {position} of their "
            "tenure, {older} of those of {older_when} ({interval} points). Find out what changed in how they were won, "
            "and keep it."
        )
    elif gap.high < 0:
        text = _(
            "**Newer {customers} leave sooner**: {newer} of those of {newer_when} paid in {unit} {position} of their "
            "tenure, {older} of those of {older_when} ({interval} points). Look at where and how they were won."
        )
    else:
        text = _(
            "**Newer {customers} hold as well as older ones, within noise**: {newer} of those of {newer_when} and "
            "{older} of those of {older_when} paid in {unit} {position} of their tenure ({interval} points)."
        )
    return text.format(**said)


def _span(labels: tuple[str, str]) -> str:
    first, last = (style.period(label) for label in labels)
    return first if first == last else _("{first} to {last}").format(first=first, last=last)


def year_sentence(state: CustomerValue) -> str:
    """What a customer acquired brings in the first year: what winning one may cost."""
    found, currency = state.cohorts, state.scope.profile.currency
    who, brought = (found.newcomers[name] for name in ("customer_id", "brought"))
    few = found.first_year_n < 2 * state.scope.profile.privacy.min_cell
    if few or disclosure.hidden_amount(state, brought, disclosure.branch_of(state, who)):
        return _("What a newcomer brings in the first year is not known: nobody truly new has been here that long.")
    return _(
        "**A new {customer} brings {value} in the first year** ({interval}; {n} {customers}): winning one may cost at "
        "most that, if it is to pay within a year."
    ).format(
        customer=words(state.scope.profile).customer,
        customers=words(state.scope.profile).customers,
        value=style.money(found.first_year, currency),
        interval=style.interval(found.first_year_low, found.first_year_high, "money", currency),
        n=disclosure.count(state, found.first_year_n, who),
    )
