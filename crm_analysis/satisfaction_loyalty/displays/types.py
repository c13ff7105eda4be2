"""Types of customers as finished frames: the quadrants, the table behind them, and other cuts."""

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
        hidden = privacy.hide(typing.shares["n"], profile.privacy.min_cell)
        rows = [
            {
                "name": type_name(row.type),
                "share": style.DASH if hide else style.percent(row.share, 0),
                "kept": style.DASH if hide else _kept(row, profile),
                "rate": float("nan") if hide else float(row.kept),
            }
            for row, hide in zip(typing.shares.itertuples(), hidden, strict=True)
        ]
        grids.append({"frame": pd.DataFrame(rows), "attitude": _attitude(typing)})
    return {"grids": grids, "often": _often(profile)}


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
        hidden = privacy.hide(typing.shares["n"], profile.privacy.min_cell)
        for row, hide in zip(typing.shares.itertuples(), hidden, strict=True):
            line = [type_name(row.type)]
            if hide:
                line += [style.DASH] * (5 if bound else 4)
            else:
                line += [
                    style.number(row.n),
                    f"{style.percent(row.share)} ({style.interval(row.low, row.high, 'share')})",
                    _with_interval(row.kept, row.kept_low, row.kept_high, row.n, profile),
                    f"{style.money(row.value, profile.currency)} "
                    f"({style.interval(row.value_low, row.value_high, 'money', profile.currency)})",
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
    if not hostages["n"] or privacy.tells(int(hostages["n"]), types.satisfaction.n, profile.privacy.min_cell):
        return ""
    customers = profile.vocabulary(language.active()).customers
    finding = _(
        "**{share} of the {customers} followed pay often without being satisfied ({interval}); {kept} of them came "
        "back.** They stay only as long as something holds them: ask them first."
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


def type_cuts_table(study: Study, profile: Profile, what: str) -> pd.DataFrame:
    """Shares of the types over neighbouring cuts, the ones used marked; `what` is satisfaction or attachment."""
    typing = next((each for each in typings(study) if each.what == what), None)
    if typing is None:
        return pd.DataFrame()
    rows = []
    for (attitude, times), part in typing.grid.groupby(["attitude_from", "repeat_from"], sort=True):
        hidden = privacy.hide(part["n"].reset_index(drop=True), profile.privacy.min_cell)
        mark = " *" if part["main"].any() else ""
        rows.append(
            [
                style.number(attitude) + mark,
                style.number(times),
                *(
                    style.DASH if hide else f"{style.percent(row.share)} ({style.interval(row.low, row.high, 'share')})"
                    for row, hide in zip(part.itertuples(), hidden, strict=True)
                ),
            ]
        )
    first = _("Satisfied from") if what == "satisfaction" else _("Attached from")
    heads = [first, _("Days from"), *(type_name(name) for name in typing.shares["type"])]
    return pd.DataFrame(rows, columns=heads)
