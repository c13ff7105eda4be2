"""Migration between tiers and between segments: heat maps, moves and what moved with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure, listing
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.displays.tiers import hidden_tiers
from crm_analysis.customer_value.migration import BACK, LOST, MOVES, NEW, Migration, gains
from crm_analysis.customer_value.wording import CHEAP, segment_name, tier_name, words
from crm_analysis.language import _

Name = Callable[[str], str]


def _tier_names(state: CustomerValue) -> Name:
    return lambda key: _outside_name(key) or tier_name(state.scope.profile, key)


def _segment_names(state: CustomerValue) -> Name:
    return lambda key: _outside_name(key) or segment_name(key)


def _outside_name(key: str) -> str:
    return {NEW: _("not known before"), BACK: _("known, in no group before"), LOST: _("lost by now")}.get(key, "")


def move_name(state: CustomerValue, key: str) -> str:
    """The name of a move."""
    return {
        "up": _("Up"),
        "same": _("Same as before"),
        "down": _("Down"),
        LOST: _("Lost"),
        NEW: _("New"),
        BACK: _("Won back, or first {order}").format(order=words(state.scope.profile).order),
    }[key]


def _merged(found: Migration, min_cell: int) -> pd.DataFrame:
    """The customers of a migration, those who came back counted as new where they are too few to show."""
    each = found.customers
    if privacy.small(int((each["move"] == BACK).sum()), min_cell):
        each = each.replace({"before": {BACK: NEW}, "move": {BACK: NEW}})
    return each


def _matrix(state: CustomerValue, found: Migration) -> tuple[pd.DataFrame, np.ndarray]:
    """Counts from rows to columns, and which of them are hidden; empty where a sum over moves would tell too much.

    On the page of all branches a cell is hidden too where exactly one branch's page hides its part.
    """
    cell = state.scope.profile.privacy.min_cell
    each = _merged(found, cell)
    if found.why or _too_few_moved(each, cell):
        return pd.DataFrame(), np.zeros((0, 0), bool)
    branch = disclosure.branch_of(state, each["customer_id"])
    parts = {} if branch is None else dict(list(each.groupby(branch)))
    if parts and privacy.total_tells([len(own) for own in parts.values()], cell):
        return pd.DataFrame(), np.zeros((0, 0), bool)
    sizes = [_sizes(state, found, each, groups) for groups in ("before", "after")]
    counts, lines = _counted(found, each)
    veiled = np.zeros(counts.shape, int)
    for name, own in parts.items():
        table, of_branch = _counted(found, own)
        unsaid = [privacy.hide(size.get(name, size.sum(axis=1) * 0), cell) for size in sizes]
        hidden = (
            np.ones(table.shape, bool)
            if _too_few_moved(own, cell)
            else _hide(table, of_branch, cell, also=_of_hidden_groups(table, unsaid))
        )
        place = np.ix_(counts.index.get_indexer(table.index), counts.columns.get_indexer(table.columns))
        veiled[place] += hidden & (table.to_numpy() > 0)
    also = _of_hidden_groups(counts, [disclosure.hidden_counts(state, size) for size in sizes])
    also |= _of_hidden_groups(counts, [pd.Series(dtype=bool), _unsaid_now(state, found)])
    return counts, _hide(counts, lines, cell, also=also | (veiled == 1))


def _unsaid_now(state: CustomerValue, found: Migration) -> pd.Series:
    """Which groups' counts of now the table of tiers, or of segments, hides."""
    return hidden_tiers(state) if found is state.migration.by_tier else listing.hidden_segments(state)


def _sizes(state: CustomerValue, found: Migration, each: pd.DataFrame, groups: str) -> pd.DataFrame:
    """How many are in each group, "before" or "after", as the tables of tiers and of segments count them."""
    inside = each[each[groups].isin(found.order)]
    return disclosure.tally(state, inside["customer_id"], inside[groups], found.order)


def _of_hidden_groups(counts: pd.DataFrame, unsaid: list[pd.Series]) -> np.ndarray:
    """One cell of each group whose count is hidden, the smallest with somebody in it: the others do not sum to it.

    `unsaid` are the groups whose counts the tables of tiers and segments hide: those of before (rows), and now.
    """
    cells = counts.to_numpy()
    size, hidden = np.where(cells > 0, cells, np.inf), np.zeros(cells.shape, bool)
    for axis, veil in enumerate(unsaid):
        for place in np.flatnonzero(counts.axes[axis].isin(veil.index[veil])):
            smallest = size.take(place, axis).argmin()
            hidden[(place, smallest) if axis == 0 else (smallest, place)] = True
    return hidden


def _too_few_moved(each: pd.DataFrame, cell: int) -> bool:
    return bool(each["move"].value_counts().map(lambda n: privacy.small(n, cell)).any())


def _hide(counts: pd.DataFrame, lines: list[np.ndarray], cell: int, *, also: np.ndarray | None = None) -> np.ndarray:
    return privacy.hide_lines(counts.to_numpy(int), lines, cell, also=also)


def _counted(found: Migration, each: pd.DataFrame) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Counts from rows to columns, and the lines of them whose sums are known."""
    counts = pd.crosstab(each["before"], each["after"])
    counts = counts.reindex(index=[*found.order, NEW, BACK], columns=[*found.order, LOST], fill_value=0)
    counts = counts.loc[counts.sum(axis=1) > 0, counts.sum() > 0]
    moves = pd.crosstab(each["before"], [each["after"]], values=each["move"], aggfunc="first")
    moves = moves.reindex_like(counts).fillna("").to_numpy(str)
    shape = np.indices(counts.shape)
    lines = [shape[axis] == i for axis in (0, 1) for i in range(counts.shape[axis])]
    lines += [moves == move for move in ("up", "same", "down")]
    return counts, lines


def _heat(state: CustomerValue, found: Migration, name: Name) -> pd.DataFrame:
    counts, hidden = _matrix(state, found)
    share = counts.div(counts.sum(axis=1), axis=0).astype(float)
    share = share.mask(hidden) if len(counts) else share
    plain = [[style.plain(name(key)) for key in axis] for axis in share.axes]
    return share.set_axis(plain[0], axis=0).set_axis(plain[1], axis=1)


def tier_heat(state: CustomerValue) -> pd.DataFrame:
    """Share of those of each tier before who are in each tier now, for the chart; hidden cells are missing."""
    return _heat(state, state.migration.by_tier, _tier_names(state))


def segment_heat(state: CustomerValue) -> pd.DataFrame:
    """The same for segments."""
    return _heat(state, state.migration.by_segment, _segment_names(state))


def _counts(state: CustomerValue, found: Migration, name: Name) -> pd.DataFrame:
    counts, hidden = _matrix(state, found)
    cell = state.scope.profile.privacy.min_cell
    rows = []
    for i, key in enumerate(counts.index):
        texts = [
            (f"< {cell}" if privacy.small(n, cell) else _("withheld")) if hidden[i, j] else style.number(n)
            for j, n in enumerate(counts.loc[key])
        ]
        rows.append((name(key), *texts))
    return pd.DataFrame(rows, columns=[_("From"), *(name(key) for key in counts.columns)])


def tiers(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the migration between tiers, as keyword arguments of `report.figure`."""
    return _figure(state, state.migration.by_tier, _tier_names(state), _("Who moved between tiers"))


def segments(state: CustomerValue) -> dict[str, Any]:
    """Words and table of the migration between segments, as keyword arguments of `report.figure`."""
    return _figure(state, state.migration.by_segment, _segment_names(state), _("Who moved between segments"))


def _figure(state: CustomerValue, found: Migration, name: Name, title: str) -> dict[str, Any]:
    if _matrix(state, found)[0].empty:
        return {"title": "", "alt": _why_not(found), "how_to_read": ""}
    return {
        "table": _counts(state, found, name),
        "title": title,
        "alt": _("Where the {customers} of {period} are now, by group.").format(
            customers=disclosure.who_lower(state), period=style.period(found.before)
        ),
        "how_to_read": f"{sentence(state, found, name)} {_reading(found)}",
    }


def _why_not(found: Migration) -> str:
    if found.why == "no_previous":
        return _("Nobody can be said to have moved: there is no period before to compare with.")
    if found.why == "short":
        return _(
            "Nobody can be said to have moved: the data do not cover the year before {period} ended, and a year cut "
            "short would let everybody rise."
        ).format(period=style.period(found.before))
    return _("Too few people moved to show where they moved from and to.")


def _reading(found: Migration) -> str:
    return _(
        "Each row adds up to 100 %: where those of a group in {period} are now, or where the new ones are. On the "
        "diagonal nobody moved; to the left of it they rose, to the right they fell. Thresholds are the same at both "
        "times. Dark grey: too few to show, or withheld so that those cannot be worked out; palest, without a "
        "number: nobody. Whoever is new leaves that group by time alone."
    ).format(period=style.period(found.before))


def sentence(state: CustomerValue, found: Migration, name: Name) -> str:
    """What the migration says, with interval, and what to do."""
    moves, currency = found.moves.set_index("move"), state.scope.profile.currency
    value, low, high = found.net
    said = {
        "customers": words(state.scope.profile).customers,
        "period": style.period(found.before),
        "base": (
            _("those in a tier then or now") if found is state.migration.by_tier else _("all in a segment then or now")
        ),
        "change": style.money(abs(value), currency),
        "interval": style.interval(low, high, "money", currency),
        **{
            f"{move}_{part}": text
            for move in ("up", "down")
            for part, text in (
                ("share", style.percent(moves.loc[move, "share"])),
                ("interval", style.interval(moves.loc[move, "low"], moves.loc[move, "high"], "share")),
            )
        },
    }
    if disclosure.hidden_amount(
        state, gains(found.customers), disclosure.branch_of(state, found.customers["customer_id"])
    ):
        tail = ""
    elif low > 0:
        tail = _("Over {base}, newcomers and those lost included, yearly profit rose by {change} ({interval}).")
    elif high < 0:
        tail = _("Over {base}, newcomers and those lost included, yearly profit fell by {change} ({interval}).")
    else:
        tail = _(
            "Over {base}, newcomers and those lost included, yearly profit did not change beyond noise ({interval})."
        )
    head = _(
        "**Since {period} {up_share} of {customers} ({up_interval}) moved up and {down_share} ({down_interval}) down.**"
    )
    parts = (head.format(**said), tail.format(**said), _advice(state, found, name))
    return " ".join(part for part in parts if part)


def _advice(state: CustomerValue, found: Migration, name: Name) -> str:
    """From which group most value fell or left, and whom to contact."""
    each = found.customers.assign(gain=gains(found.customers))
    fell = each[each["move"].isin(["down", LOST])]
    by_group = fell.groupby("before")["gain"]
    cell, branch = state.scope.profile.privacy.min_cell, disclosure.branch_of(state, fell["customer_id"])
    known = [
        key
        for key, group in by_group
        if len(group) >= cell
        and not disclosure.hidden_amount(state, group, None if branch is None else branch[group.index])
    ]
    if not known or by_group.sum()[known].min() >= 0:
        return ""
    worst = by_group.sum()[known].idxmin()
    told = _told_in_full(state, found, worst)
    said = (
        _("Most was lost from {group}: {n} fell or left, {loss} a year.")
        if told
        else _("Most was lost from {group}: {loss} a year, with those who fell or left.")
    ).format(
        group=f"**{style.escape(name(worst))}**",
        n=style.number(by_group.size()[worst]) if told else "",
        loss=style.money(-float(by_group.sum()[worst]), state.scope.profile.currency),
    )
    if state.outlook.why == "one_time":
        return f"{said} {_('Time alone moves them where few come back.')}"
    if worst in CHEAP:
        return f"{said} {_('Spend no more on them than the cheapest contact costs.')}"
    if not state.matrix.lines.priced:
        return f"{said} {_('Contact first those of whom most is expected.')}"
    return f"{said} {_('Contact first whoever of them is expected to pay for it.')}"


def _told_in_full(state: CustomerValue, found: Migration, group: str) -> bool:
    """Whether each number of those who fell or left this group is shown: their sum would tell a hidden one."""
    counts, hidden = _matrix(state, found)
    if counts.empty:
        return False
    lower = [*found.order[found.order.index(group) + 1 :], LOST]
    return not hidden[counts.index.get_loc(group), counts.columns.isin(lower)].any()


def moves(state: CustomerValue) -> dict[str, Any]:
    """Moves between tiers with what moved, as keyword arguments of `report.table`."""
    found = state.migration.by_tier
    note = _(
        "Shares of those in a tier in {period}; of the new and those won back, shares of those in a tier now. Value: "
        "profit of the year now less that of the year then, summed; its interval treats {customers} as a sample."
    ).format(period=style.period(found.before), customers=disclosure.who_lower(state))
    return {
        "title": _("What moved with them"),
        "frame": None if found.why else move_table(state),
        "note": "" if found.why else note,
    }


def move_table(state: CustomerValue) -> pd.DataFrame:
    """Moves between tiers: customers, share, value moved and its interval; the net last."""
    found, currency = state.migration.by_tier, state.scope.profile.currency
    if found.why or found.customers.empty:
        return pd.DataFrame()
    each = found.customers.assign(gain=gains(found.customers))
    table = found.moves.set_index("move")
    sizes = disclosure.tally(state, each["customer_id"], each["move"], table.index)
    hidden, shown = disclosure.hidden_counts(state, sizes), disclosure.counts(state, sizes)
    branch = disclosure.branch_of(state, each["customer_id"])
    parts = {move: each.loc[each["move"] == move, "gain"] for move in MOVES}
    value = disclosure.sums(state, parts, branch)
    rows = []
    for move, row in table.iterrows():
        veiled, apart = bool(hidden[move]), value[str(move)] == _("withheld")
        share = f"{style.percent(row['share'])} ({style.interval(row['low'], row['high'], 'share')})"
        low_high = style.interval(row["value_low"], row["value_high"], "money", currency)
        rows.append(
            (
                move_name(state, str(move)),
                shown[move],
                style.DASH if veiled else disclosure.of_total(state, share),
                _("withheld") if veiled else value[str(move)],
                style.DASH if veiled or apart or not row["n"] else low_high,
            )
        )
    net, low, high = found.net
    hide_net = disclosure.hidden_amount(state, each["gain"], branch)
    last = (
        (_("withheld"), style.DASH)
        if hide_net
        else (style.money(net, currency), style.interval(low, high, "money", currency))
    )
    rows.append((_("together"), disclosure.count(state, len(each), each["customer_id"]), style.DASH, *last))
    names = [_("Move"), disclosure.who(state), _("Share"), _("Value moved, a year"), _("95 % interval")]
    return pd.DataFrame(rows, columns=names)
