"""Types of customers over neighbouring cuts: what each type is, did and brought, and which cuts may be shown.

Two cuts beside each other tell of those between them: their number, who of them came back, what they brought. A cut is
shown only where none of that may not be.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Privacy, Profile
from crm_analysis.satisfaction_loyalty.displays.types import (
    came_back,
    kept_hidden,
    margin_each,
    margin_hidden,
    type_name,
    types_hidden,
)
from crm_analysis.satisfaction_loyalty.types import Typing

AXES = ("attitude", "times")


def type_cuts_table(typing: Typing, profile: Profile) -> pd.DataFrame:
    """Share, return and margin of each type over the cuts that may be shown, those of the profile marked."""
    rows: list[list[str]] = []
    counted = shown_cuts(typing, profile.privacy, outcomes=False)
    followed = shown_cuts(typing, profile.privacy, outcomes=True)
    veiled = types_hidden(typing, profile)
    silent = veiled | kept_hidden(typing, profile)
    for measure, cuts, hides, cell in (
        (_("Share"), counted, veiled, _share),
        (_("Came back"), followed, silent, lambda row: _followed(row, profile)),
        (
            _("Margin each"),
            followed,
            silent | margin_hidden(typing, profile),
            lambda row: margin_each(row, profile),
        ),
    ):
        for (attitude, times), part in typing.grid.groupby(["attitude_from", "repeat_from"], sort=True):
            if attitude not in cuts["attitude"] or times not in cuts["times"]:
                continue
            main = bool(part["main"].any())
            texts = [
                style.DASH if hide and main else cell(row) for row, hide in zip(part.itertuples(), hides, strict=True)
            ]
            rows.append([measure, style.number(attitude) + (" *" if main else ""), style.number(times), *texts])
    first = _("Satisfied from") if typing.what == "satisfaction" else _("Attached from")
    heads = [_("Measure"), first, _("Days from"), *(type_name(name) for name in typing.shares["type"])]
    return pd.DataFrame(rows, columns=heads)


def left_out(typing: Typing, rule: Privacy) -> bool:
    """Whether a cut of the grid is not shown for some measure."""
    cuts = shown_cuts(typing, rule, outcomes=True)
    return len(cuts["attitude"]) * len(cuts["times"]) < len(typing.grid) // len(typing.shares)


def shown_cuts(typing: Typing, rule: Privacy, *, outcomes: bool) -> dict[str, list[float]]:
    """The cuts of each axis, attitude and times, that may be shown together; the profile's own always among them.

    As many as can be shown without a place between neighbouring cuts that holds a number that must not be told; of as
    many those whose smallest place is largest. With `outcomes` these numbers are also those who came back and who did
    not, and what they brought, and the cuts some of those without; of all branches also what the branches' own pages
    leave to be subtracted.
    """
    cuts = {
        "attitude": sorted(typing.grid["attitude_from"].unique().tolist()),
        "times": sorted(typing.grid["repeat_from"].unique().tolist()),
    }
    cuts = _most(typing, cuts, rule, outcomes=False)
    return _most(typing, cuts, rule, outcomes=True) if outcomes else cuts


def _most(typing: Typing, cuts: dict[str, list[float]], rule: Privacy, *, outcomes: bool) -> dict[str, list[float]]:
    """The most of these cuts that may be shown together; the profile's own alone where no others may be."""
    main = {"attitude": typing.attitude_from, "times": typing.repeat_from}
    best, most = {axis: [main[axis]] for axis in AXES}, (1, 0)
    for attitude, times in product(*(_some_of(cuts[axis], main[axis]) for axis in AXES)):
        each = {"attitude": attitude, "times": times}
        told, smallest = _places(typing.cells, each, rule, outcomes=outcomes)
        size = len(attitude) * len(times), smallest
        if not told and size > most:
            best, most = each, size
    return best


def _some_of(cuts: list[float], main: float) -> list[list[float]]:
    """Every choice of cuts that holds the profile's own."""
    others = [cut for cut in cuts if cut != main]
    return [sorted([main, *some]) for size in range(len(others) + 1) for some in combinations(others, size)]


def _places(cells: pd.DataFrame, cuts: dict[str, list[float]], rule: Privacy, *, outcomes: bool) -> tuple[bool, int]:
    """Whether a place between these cuts holds something that must not be told, and how many the smallest holds."""
    merged = cells.assign(
        **{axis: cells[axis].map(lambda at, kept=cuts[axis]: sum(cut <= at for cut in kept)) for axis in AXES}
    )
    groups = merged.groupby(list(AXES))
    parts = merged.groupby([*AXES, "branch"])[["n", "kept"]].sum().unstack(fill_value=0)
    n, kept = parts["n"].to_numpy(), parts["kept"].to_numpy()
    told = _few(n, rule)
    if outcomes:
        paid = groups["paid"].sum().to_numpy()
        dominated = groups["largest"].max() > rule.dominance_share * groups["size"].sum()
        told |= _few(kept, rule) | _few(n - kept, rule) | ((paid > 0) & (paid < rule.min_cell)) | dominated.to_numpy()
    return bool(told.any()), int(n.sum(axis=1).min())


def _few(counts: np.ndarray, rule: Privacy) -> np.ndarray:
    """Which rows hold too few altogether, or in one branch alone, so that all less the others would tell it."""
    return np.array(
        [privacy.small(row.sum(), rule.min_cell) or privacy.total_tells(row, rule.min_cell) for row in counts],
        dtype=bool,
    )


def _share(row: Any) -> str:
    return f"{style.percent(row.share)} ({style.interval(row.low, row.high, 'share')})"


def _followed(row: Any, profile: Profile) -> str:
    return _("{share}, n {n}").format(share=came_back(row, profile), n=style.number(row.n)) if row.n else style.DASH
