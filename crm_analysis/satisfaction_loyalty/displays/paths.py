"""The path model as finished frames: paths, reliability of the blocks, weights, total effects against performance."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import pls
from crm_analysis.satisfaction_loyalty.displays.names import intervals, item_name
from crm_analysis.satisfaction_loyalty.study import Study

RELIABLE = 0.7


def block_name(study: Study, profile: Profile, block: str) -> str:
    """The name of a block: a word known everywhere, the label of its only item, or the dimension as written."""
    known = {
        "image": _("image"),
        "expectation": _("expectation"),
        "quality": _("quality"),
        "value": _("value for money"),
        "satisfaction": _("satisfaction"),
        "complaints": _("complaints"),
        "loyalty": _("loyalty"),
    }
    if block in known:
        return known[block]
    items = study.paths.items
    own = items.loc[items["block"] == block, "item"] if len(items) else items
    return item_name(profile, own.iloc[0]) if len(own) == 1 else style.plain(block.replace("_", " "))


def paths_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every arrow: from, to, standardised coefficient, interval."""
    table = study.paths.paths
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Leading block"): [block_name(study, profile, block) for block in table["source"]],
            _("Block it leads to"): [block_name(study, profile, block) for block in table["target"]],
            _("Path"): [style.number(value, 2) for value in table["coefficient"]],
            _("95 % interval"): [
                style.interval(low, high, "index", digits=2)
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
        }
    )


def paths_note(study: Study, profile: Profile) -> str:
    """What the path model says and rests on, or why there is none."""
    found = study.paths
    if found.reason == "no_model":
        return _("The profile states no path model (`survey.model`) whose blocks the survey's items fill.")
    if found.reason == "too_few":
        return _("Only {n} complete answers: too few for the path model.").format(
            n=privacy.count(found.n, study.min_cell)
        )
    if found.reason == "no_variation":
        return _("All answers to an item of the path model are the same.")
    if found.reason:
        return _("The path model did not settle on weights: its items may run against each other.")
    notes = [_says(study, profile)]
    notes.append(
        _(
            "Partial least squares, path weighting, standardised, bootstrap intervals, {n} complete answers of the "
            "last twelve months. The arrows are assumed; paths are associations within one survey."
        ).format(n=privacy.count(found.n, study.min_cell))
    )
    if found.left_out:
        notes.append(
            _("Blocks or items without usable answers: {items}.").format(
                items=", ".join(style.escape(item_name(profile, name)) for name in found.left_out)
            )
        )
    weak = found.blocks[found.blocks["rho_a"] < RELIABLE]
    if len(weak):
        notes.append(
            _("Not reliable enough to lean on (rho_A under {bar}): {blocks}.").format(
                bar=style.number(RELIABLE, 1),
                blocks=", ".join(block_name(study, profile, block) for block in weak["block"]),
            )
        )
    if found.failed_draws:
        notes.append(
            _("{n} of {all} bootstrap draws did not settle and are left out.").format(
                n=style.number(found.failed_draws), all=style.number(found.draws)
            )
        )
    return " ".join(note for note in notes if note)


def _says(study: Study, profile: Profile) -> str:
    """What moves with satisfaction most in the end."""
    table = pls.importance_performance(study.paths)
    if table.empty:
        return ""
    row = table.iloc[0]
    if row["low"] <= 0:
        return _("No block is shown to go with satisfaction beyond chance.")
    return _(
        "{block} matters most for satisfaction: ten points more go with {points} points ({low} to {high})."
    ).format(
        block=block_name(study, profile, row["block"]).capitalize(),
        points=style.number(10 * row["importance"], 1),
        low=style.number(10 * row["low"], 1),
        high=style.number(10 * row["high"], 1),
    )


def blocks_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every block: items, mean on 0 to 100, reliability, R2."""
    table = study.paths.blocks
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Block"): [block_name(study, profile, block) for block in table["block"]],
            _("Items"): [style.number(n) for n in table["n_items"]],
            _("Mean, 0 to 100"): [style.number(mean, 1) for mean in table["mean"]],
            _("Alpha"): [style.number(value, 2) for value in table["alpha"]],
            _("rho_A"): [style.number(value, 2) for value in table["rho_a"]],
            _("rho_C"): [style.number(value, 2) for value in table["rho_c"]],
            _("AVE"): [style.number(value, 2) for value in table["ave"]],
            _("R²"): [
                style.DASH if pd.isna(r2) else f"{style.number(r2, 2)} ({style.interval(low, high, 'index', digits=2)})"
                for r2, low, high in zip(table["r2"], table["r2_low"], table["r2_high"], strict=True)
            ],
        }
    )


def weights_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every item of a block of several: block, loading, weight within its block on the unstandardised scale."""
    table = study.paths.items
    if table.empty:
        return pd.DataFrame()
    table = table[table.groupby("block")["item"].transform("size") > 1]
    if table.empty:
        return pd.DataFrame()

    return pd.DataFrame(
        {
            _("Item"): [item_name(profile, item) for item in table["item"]],
            _("Block"): [block_name(study, profile, block) for block in table["block"]],
            _("Loading"): [style.number(value, 2) for value in table["loading"]],
            _("Weight in its block"): [style.percent(value) for value in table["share"]],
            _("95 % interval"): intervals(table["share_low"], table["share_high"], "share"),
        }
    )


def performance_frame(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.performance` draws: name, performance (0 to 100), importance with low and high."""
    table = pls.importance_performance(study.paths)
    return table.assign(name=[block_name(study, profile, block) for block in table["block"]])


def performance_axes() -> dict[str, str]:
    """Names of the axes of the map."""
    return {
        "xlabel": _("mean of the block, 0 to 100"),
        "ylabel": _("points of satisfaction per point"),
    }


def performance_says(study: Study, profile: Profile) -> str:
    """What comes first: of the blocks shown to matter, the one whose effect times room is greatest."""
    table = pls.importance_performance(study.paths)
    sure = table[table["low"] > 0]
    if sure.empty:
        return _("No block is shown to go with satisfaction beyond chance.")
    room = sure["importance"] * (100 - sure["performance"])
    row = sure.loc[room.idxmax()]
    said = _(
        "Counted by whole blocks and up to 100 instead of the targets, most is to be had from {block}: effect "
        "{effect}, and {room} points of room."
    ).format(
        block=style.escape(block_name(study, profile, row["block"])),
        effect=style.number(row["importance"], 2),
        room=style.number(100 - row["performance"]),
    )
    if study.drivers.table.empty:
        return said
    return said + " " + _("What to fix first is ranked by items and their targets; go by that.")


def performance_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Total effect on satisfaction and on loyalty against performance, most important first."""
    found = study.paths
    table = pls.importance_performance(found)
    if table.empty:
        return pd.DataFrame()
    onward = pls.importance_performance(found, found.loyalty).set_index("block")

    def effect(row: pd.Series | None) -> str:
        if row is None:
            return style.DASH
        return f"{style.number(row['importance'], 2)} ({style.interval(row['low'], row['high'], 'index', digits=2)})"

    return pd.DataFrame(
        {
            _("Block"): [block_name(study, profile, block) for block in table["block"]],
            _("Points of satisfaction per point"): [effect(row) for _k, row in table.iterrows()],
            _("Points of stated loyalty per point"): [
                effect(onward.loc[block] if block in onward.index else None) for block in table["block"]
            ],
            _("Mean, 0 to 100"): [style.number(value, 1) for value in table["performance"]],
        }
    )
