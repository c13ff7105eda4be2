"""The drivers as finished frames: what explains satisfaction, and what to fix first."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import intervals, item_name
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix
from crm_analysis.satisfaction_loyalty.study import Study


def drivers_frame(study: Study, profile: Profile, *, most: int = 8) -> pd.DataFrame:
    """What `charts.drivers` draws: name, share, low, high, score, target."""
    table = study.drivers.table.head(most)
    return pd.DataFrame(
        {
            "name": [item_name(profile, item) for item in table["item"]],
            "share": table["share"].astype(float),
            "low": table["low"].astype(float),
            "high": table["high"].astype(float),
            "score": [style.number(mean, 1) for mean in table["mean"]],
            "target": [style.number(target, 1) for target in table["target"]],
        }
    )


def kind_name(kind: str) -> str:
    """A driver's kind in words."""
    names = {"delights": _("delights when good"), "annoys": _("annoys when bad"), "undetermined": _("undetermined")}
    return names[kind]


def fix_table(study: Study, profile: Profile) -> pd.DataFrame:
    """What to fix first: attribute, share of satisfaction explained, score now, target, kind."""
    table = first_to_fix(study.drivers)
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Share of satisfaction explained"): [
                f"{style.percent(share, 0)} ({style.interval(low, high, 'share', digits=0)})"
                for share, low, high in zip(table["share"], table["low"], table["high"], strict=True)
            ],
            _("Score now"): [style.number(mean, 1) for mean in table["mean"]],
            _("Target"): [style.number(target, 1) for target in table["target"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
        }
    )


def drivers_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every item: share with interval, score, penalty, reward, kind."""
    table = study.drivers.table
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Share of satisfaction explained"): [style.percent(share) for share in table["share"]],
            _("95 % interval"): intervals(table["low"], table["high"], "share"),
            _("Score now"): [style.number(mean, 2) for mean in table["mean"]],
            _("Penalty when poor"): [style.number(value, 2) for value in table["penalty"]],
            _("Reward when excellent"): [style.number(value, 2) for value in table["reward"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
        }
    )


def drivers_note(study: Study) -> str:
    """How the drivers were made, or why there are none."""
    drivers = study.drivers
    if drivers.reason == "no_items":
        return _(
            "The profile maps no survey items with the role driver, so nothing can be said about what to fix first."
        )
    if drivers.reason == "too_few":
        return _("Only {n} complete answers: too few to share out satisfaction among the items.").format(
            n=privacy.count(drivers.n, study.min_cell)
        )
    if drivers.reason:
        return _("All answers to an item, or to overall satisfaction, are the same: there is nothing to explain.")
    note = _(
        "{method} shares of R² {r2} with bootstrap intervals, {n} complete answers of the last twelve months; "
        "associations within one survey."
    ).format(method=drivers.method, r2=style.number(drivers.r2, 2), n=style.number(drivers.n))
    if drivers.left_out:
        note += " " + _("Left out, because most did not answer or all said the same: {items}.").format(
            items=", ".join(style.escape(item) for item in drivers.left_out)
        )
    return note
