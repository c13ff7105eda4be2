"""Types of customers as finished frames: the quadrants and the table behind them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import who
from crm_analysis.satisfaction_loyalty.study import Study
from crm_analysis.satisfaction_loyalty.types import Typing


def type_name(name: str) -> str:
    """A type in words."""
    return {
        "true": _("true loyalty"),
        "latent": _("latent loyalty"),
        "inertial": _("inertia"),
        "none": _("no loyalty"),
        "apostles": _("apostles"),
        "mercenaries": _("mercenaries"),
        "hostages": _("hostages"),
        "defectors": _("defectors"),
    }[name]


def typings(study: Study) -> list[Typing]:
    """The grids that the data carry, satisfaction first."""
    if study.types is None:
        return []
    return [each for each in (study.types.satisfaction, study.types.attachment) if each is not None]


def quadrants(study: Study, profile: Profile) -> dict[str, Any]:
    """What `charts.quadrants` takes: one frame per grid (name, share, kept as texts, rate), and its axes."""
    grids = []
    for typing in typings(study):
        hidden, silent = types_hidden(typing, profile), kept_hidden(typing, profile)
        rows = [
            {
                "name": type_name(row.type),
                "share": style.DASH if hide else style.percent(row.share, 0),
                "kept": style.DASH if hide or still else _kept(row, profile),
                "rate": float("nan") if hide or still else float(row.kept),
            }
            for row, hide, still in zip(typing.shares.itertuples(), hidden, silent, strict=True)
        ]
        grids.append({"frame": pd.DataFrame(rows), "attitude": _attitude(typing)})
    return {"grids": grids, "often": _often(profile)}


def _of_types(typing: Typing) -> pd.DataFrame:
    """The cells of a grid summed to its types at the cuts in use, in their order, by branch."""
    high, often = typing.cells["attitude"] >= typing.attitude_from, typing.cells["times"] >= typing.repeat_from
    place = (~high).astype(int) * 2 + (~often).astype(int)
    columns = typing.cells.groupby([place.rename("place"), "branch"])[["n", "kept"]].sum().unstack(fill_value=0)
    return columns.reindex(range(len(typing.shares)), fill_value=0)


def types_hidden(typing: Typing, profile: Profile) -> pd.Series:
    """Which types are not shown (True), by their place: too few, or so that these cannot be told by subtraction."""
    return privacy.hide_of_all(_of_types(typing)["n"], profile.privacy.min_cell)


def kept_hidden(typing: Typing, profile: Profile) -> pd.Series:
    """Of which types the number who came back, less that on the branches' pages, would tell a small one (True)."""
    parts, cell = _of_types(typing), profile.privacy.min_cell
    told = [
        len(kept) > 1 and (privacy.total_tells(kept, cell) or privacy.total_tells(n - kept, cell))
        for n, kept in zip(parts["n"].to_numpy(), parts["kept"].to_numpy(), strict=True)
    ]
    return pd.Series(told, index=parts.index, dtype=bool)


def margin_hidden(typing: Typing, profile: Profile) -> pd.Series:
    """Of which types the margin is not shown (True): too few brought any, or one holds too much of it."""
    high, often = typing.cells["attitude"] >= typing.attitude_from, typing.cells["times"] >= typing.repeat_from
    groups = typing.cells.groupby((~high).astype(int) * 2 + (~often).astype(int))
    found = groups.agg(paid=("paid", "sum"), largest=("largest", "max"), size=("size", "sum"))
    rule = profile.privacy
    few = (found["paid"] > 0) & (found["paid"] < rule.min_cell)
    hidden = few | (found["largest"] > rule.dominance_share * found["size"])
    return hidden.reindex(range(len(typing.shares)), fill_value=False)


def came_back(row: Any, profile: Profile) -> str:
    """The share of a type that came back, with its interval; on which side it lies where it would tell too few."""
    return _with_interval(row.kept, row.kept_low, row.kept_high, row.n, profile)


def margin_each(row: Any, profile: Profile) -> str:
    """What a customer of a type brought within the window, with its interval."""
    if not row.n:
        return style.DASH
    interval = style.interval(row.value_low, row.value_high, "money", profile.currency)
    return f"{style.money(row.value, profile.currency)} ({interval})"


def _kept(row: Any, profile: Profile) -> str:
    if not row.n:
        return style.DASH
    return style.share(round(row.kept * row.n), row.n, profile.privacy.min_cell, 0)


def _with_interval(share: float, low: float, high: float, n: int, profile: Profile) -> str:
    if not n or share != share:
        return style.DASH
    if privacy.tells(round(share * n), n, profile.privacy.min_cell):
        return style.share(round(share * n), n, profile.privacy.min_cell, 0)
    return f"{style.percent(share, 0)} ({style.interval(low, high, 'share', digits=0)})"


def _attitude(typing: Typing) -> str:
    text = _("satisfied, {cut} or higher") if typing.what == "satisfaction" else _("attached, {cut} or higher")
    return text.format(cut=style.number(typing.attitude_from))


def _often(profile: Profile) -> str:
    return _("paid on {times} days or more in the year before").format(times=style.number(profile.loyalty.repeat_from))


def types_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Each type's share with interval, what it did next, what it brought, and how many were bound."""
    rows = []
    bound = any(typing.shares["bound"].notna().any() for typing in typings(study))
    for typing in typings(study):
        hidden = zip(
            types_hidden(typing, profile), kept_hidden(typing, profile), margin_hidden(typing, profile), strict=True
        )
        for row, (hide, still, poor) in zip(typing.shares.itertuples(), hidden, strict=True):
            line = [type_name(row.type)]
            if hide:
                line += [style.DASH] * (5 if bound else 4)
            else:
                line += [
                    style.number(row.n),
                    f"{style.percent(row.share)} ({style.interval(row.low, row.high, 'share')})",
                    style.DASH if still else came_back(row, profile),
                    style.DASH if still or poor else margin_each(row, profile),
                ]
                if bound:
                    line.append(_with_interval(row.bound, row.bound_low, row.bound_high, row.n, profile))
            rows.append(line)
    columns = [_("Type"), who(profile), _("Share"), _("Came back"), _("Margin each, within the window")]
    if bound:
        columns.append(_("Under commitment"))
    return pd.DataFrame(rows, columns=columns)


def types_note(study: Study, profile: Profile) -> str:
    """What the types say: who stays without being satisfied, and what holds them."""
    types = study.types
    if types is None or types.satisfaction is None:
        return ""
    hostages = types.satisfaction.shares.set_index("type").loc["hostages"]
    place = types.satisfaction.shares["type"].to_list().index("hostages")
    hidden = types_hidden(types.satisfaction, profile) | kept_hidden(types.satisfaction, profile)
    if not hostages["n"] or hidden[place]:
        return ""
    customers = profile.vocabulary(language.active()).customers
    finding = _(
        "**{share} of the {customers} followed pay often without being satisfied ({interval}); {kept} of them came "
        "back.** The type supposes that something else holds them, which this share does not show: ask them first."
    ).format(
        share=style.percent(hostages["share"], 0),
        customers=customers,
        interval=style.interval(hostages["low"], hostages["high"], "share", digits=0),
        kept=_kept(hostages, profile),
    )
    if types.held is None:
        return finding + " " + _("Whether a contract holds them is not known: no commitments are given.")
    gap = types.held
    if gap.low > 0:
        text = _("Commitments hold them in part: they are bound {points} points more often than apostles ({interval}).")
    elif gap.high < 0:
        text = _(
            "Commitments do not explain it: they are bound less often than apostles ({points} points, {interval}); "
            "look for habit or lack of choice."
        )
    else:
        text = _(
            "Whether commitments hold them is not established: against apostles the difference is {points} points "
            "({interval})."
        )
    return (
        finding
        + " "
        + text.format(points=style.points(gap.value), interval=style.interval(gap.low, gap.high, "points"))
    )
