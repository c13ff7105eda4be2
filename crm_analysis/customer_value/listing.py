"""Frames for charts, tables of finished text, and the lists of customers behind findings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import customers, language, privacy, style
from crm_analysis.customer_value import future, holdout, scores
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import (
    rule_name,
    segment_name,
    segment_treatment,
    standing_name,
    status_name,
    words,
)
from crm_analysis.language import _

TELLING = 10  # times the smallest cell: the fewest customers that a curve is drawn of
TOPS = (0.01, 0.05, 0.10, 0.20, 0.50)


def who_lower(state: CustomerValue) -> str:
    """The organisation's word for customers."""
    return words(state.scope.profile).customers


def who(state: CustomerValue) -> str:
    """The organisation's word for customers, as a table head."""
    return who_lower(state)[:1].upper() + who_lower(state)[1:]


def _money(state: CustomerValue, amount: float) -> str:
    return style.money(amount, state.scope.profile.currency)


def branch_of(state: CustomerValue, ids: pd.Series | pd.Index) -> pd.Series | None:
    """The branch whose page counts each of these customers, under the same index; None on the page of one branch."""
    if state.scope.branch != "all":
        return None
    known = state.status.set_index("customer_id")["branch"]
    index = ids.index if isinstance(ids, pd.Series) else ids
    return pd.Series(known.reindex(ids).fillna("").to_numpy(object), index=index)


def tally(state: CustomerValue, ids: pd.Series | pd.Index, groups: pd.Series, order: Iterable[Any]) -> pd.DataFrame:
    """Customers by group (rows, in this order) and branch (columns; a single one on the page of one branch)."""
    branch = branch_of(state, ids)
    each = np.full(len(groups), state.scope.branch) if branch is None else branch.to_numpy(object)
    table = pd.crosstab(np.asarray(groups, object), each)
    return table.reindex(list(order), fill_value=0) if len(table) else pd.DataFrame({"": 0}, index=list(order))


def amount_of(state: CustomerValue, amounts: pd.Series, branch: pd.Series | None = None) -> str:
    """The sum of customers' amounts, withheld where too few customers make it up or one holds most of it."""
    return _("withheld") if hidden_amount(state, amounts, branch) else _money(state, float(amounts.sum()))


def hidden_amount(state: CustomerValue, amounts: pd.Series, branch: pd.Series | None = None) -> bool:
    """Whether the sum of customers' amounts is withheld; `branch` as `branch_of` gives it.

    With it, also where exactly one branch's sum is withheld, or where those withheld would tell too much together.
    """
    return _veiled(state, {"": amounts}, branch)[""]


def _withhold(state: CustomerValue, amounts: pd.Series) -> bool:
    rule = state.scope.profile.privacy
    return privacy.withhold(amounts, rule.min_cell, rule.dominance_share)


def _veiled(state: CustomerValue, parts: dict[str, pd.Series], branch: pd.Series | None) -> dict[str, bool]:
    """Which sums are withheld, as `hidden_amount` says it of one; a branch's page withholds the next smallest too."""
    hidden = {name: _withhold(state, part) for name, part in parts.items()}
    if branch is None:
        return hidden
    own = {name: dict(list(part.groupby(branch.reindex(part.index)))) for name, part in parts.items()}
    apart: dict[str, list[pd.Series]] = {name: [] for name in parts}
    for each in branch.unique():
        here = {name: groups[each] for name, groups in own.items() if each in groups}
        veil = pd.Series({name: _withhold(state, part) for name, part in here.items()}, dtype=bool)
        veil = privacy.complement(veil, pd.Series({name: part.sum() for name, part in here.items()}, dtype=float))
        for name in veil.index[veil]:
            apart[name].append(here[name])
    return {
        name: veil or len(apart[name]) == 1 or (bool(apart[name]) and _withhold(state, pd.concat(apart[name])))
        for name, veil in hidden.items()
    }


def sums(
    state: CustomerValue,
    parts: dict[str, pd.Series],
    branch: pd.Series | None = None,
    *,
    behind: pd.Series | None = None,
) -> dict[str, str]:
    """Sums of customers' amounts whose own sum is shown: where one alone is withheld, the next smallest is too.

    `branch` as `branch_of` gives it, under the index of the parts. `behind` is, under the same index, the money that
    estimates rest on: where one customer holds most of it, the estimate is withheld.
    """
    amounts = pd.Series({name: float(part.sum()) for name, part in parts.items()}, dtype=float)
    veil = _veiled(state, parts, branch)
    if behind is not None:
        veil = {name: veil[name] or rests_on_one(state, behind.reindex(part.index)) for name, part in parts.items()}
    hidden = privacy.complement(pd.Series(veil, dtype=bool), amounts)
    return {name: _("withheld") if hidden[name] else _money(state, amounts[name]) for name in parts}


def rests_on_one(state: CustomerValue, margins: pd.Series) -> bool:
    """Whether one customer holds most of the money that an estimate rests on."""
    return privacy.dominated(margins.dropna(), state.scope.profile.privacy.dominance_share)


def margins(state: CustomerValue, ids: pd.Series | pd.Index) -> pd.Series:
    """What these customers brought over the last twelve months, under the same index."""
    known = state.profits.customers.set_index("customer_id")["margin"].astype(float)
    index = ids.index if isinstance(ids, pd.Series) else ids
    return pd.Series(known.reindex(ids).fillna(0.0).to_numpy(), index=index)


def counts(state: CustomerValue, sizes: pd.Series | pd.DataFrame) -> pd.Series:
    """Counts of a table whose total is known, as text: small ones suppressed, and others that would tell them.

    By branch, as `tally` gives them, also those that tell what a branch's page hides.
    """
    cell = state.scope.profile.privacy.min_cell
    return privacy.shown_of_all(sizes, cell) if isinstance(sizes, pd.DataFrame) else privacy.shown(sizes, cell)


def hidden_counts(state: CustomerValue, sizes: pd.Series | pd.DataFrame) -> pd.Series:
    """Which of these counts are hidden (True)."""
    cell = state.scope.profile.privacy.min_cell
    return privacy.hide_of_all(sizes, cell) if isinstance(sizes, pd.DataFrame) else privacy.hide(sizes, cell)


def count(state: CustomerValue, n: int, ids: pd.Series | pd.Index | None = None) -> str:
    """A number of customers as text; on the page of all branches it does not tell that of a small branch.

    `ids` are the customers counted; without them, they are taken to be all.
    """
    branch = branch_of(state, state.status["customer_id"] if ids is None else ids)
    parts = () if branch is None else branch.value_counts()
    return privacy.count(n, state.scope.profile.privacy.min_cell, parts=parts)


def total_hidden(state: CustomerValue) -> bool:
    """Whether how many customers there are must not be told, as it would tell how few one branch has.

    Then a share beside its count, and a count of the best so many per cent, must not be told either.
    """
    branch = branch_of(state, state.status["customer_id"])
    return branch is not None and privacy.total_tells(branch.value_counts(), state.scope.profile.privacy.min_cell)


def of_total(state: CustomerValue, text: str) -> str:
    """A share, an interval or a count that would tell how many customers there are: a dash where that is hidden."""
    return style.DASH if total_hidden(state) else text


def curve(state: CustomerValue) -> pd.DataFrame:
    """The cumulative profit curve; empty where so few customers, or one above all, make it up that they show."""
    shown = state.concentration.n >= TELLING * state.scope.profile.privacy.min_cell
    shown = shown and not hidden_amount(state, _best(state, 0.10))
    return state.concentration.curve if shown else state.concentration.curve.iloc[:0]


def _best(state: CustomerValue, top: float) -> pd.Series:
    """Profit of the best customers, a share `top` of all."""
    profit = state.profits.customers["profit"].astype(float)
    return profit.nlargest(math.ceil(top * len(profit)))


def curve_table(state: CustomerValue) -> pd.DataFrame:
    """What the best customers bring."""
    frame = state.profits.customers
    profit = np.sort(frame["profit"].to_numpy(float))[::-1]
    rows = []
    for top in TOPS:
        size = int(np.ceil(top * len(profit)))
        if size < state.scope.profile.privacy.min_cell or hidden_amount(state, _best(state, top)):
            continue
        share = profit[:size].sum() / profit.sum() if profit.sum() > 0 else np.nan
        rows.append((style.percent(top, 0), of_total(state, style.number(size)), style.percent(share)))
    concentration = state.concentration
    if len(curve(state)):
        above = concentration.n - round(concentration.below_cost.share * concentration.n)
        if not privacy.small(concentration.n - above, state.scope.profile.privacy.min_cell):
            rows.append(
                (
                    _("all who pay for themselves"),
                    of_total(state, style.number(above)),
                    style.percent(concentration.peak),
                )
            )
        rows.append(
            (
                _("everybody"),
                count(state, concentration.n, frame["customer_id"]),
                style.percent(1.0 if profit.sum() > 0 else None),
            )
        )
    return pd.DataFrame(rows, columns=[_("The best"), who(state), _("Share of profit")])


def _segments(state: CustomerValue) -> pd.DataFrame:
    """customers, margin (of the last twelve months) by segment, in the order of the segments."""
    margin = state.profits.customers.set_index("customer_id")["margin"]
    scored = state.scores.assign(margin=state.scores["customer_id"].map(margin).fillna(0.0))
    order = [name for name, _test in scores.SEGMENTS]
    return scored.groupby("segment")["margin"].agg(["size", "sum"]).reindex(order).dropna()


def _segment_sizes(state: CustomerValue, frame: pd.DataFrame) -> pd.DataFrame:
    return tally(state, state.scores["customer_id"], state.scores["segment"], frame.index)


def segments(state: CustomerValue) -> pd.DataFrame:
    """Share of customers and of margin by segment, for the chart; segments too small to show are left out."""
    frame = _segments(state)
    whole = frame.sum()
    hidden = hidden_counts(state, _segment_sizes(state, frame))
    amounts = _segment_amounts(state)
    frame = frame[[not veiled and amounts[key] != _("withheld") for key, veiled in hidden.items()]]
    if frame.empty:
        return pd.DataFrame(columns=["segment", "measure", "share"])
    shares = {words(state.scope.profile).customers: frame["size"] / whole["size"]}
    if whole["sum"] > 0:
        shares[_("margin of the last twelve months")] = frame["sum"] / whole["sum"]
    return pd.concat(
        [
            pd.DataFrame({"segment": [segment_name(key) for key in frame.index], "measure": name, "share": list(share)})
            for name, share in shares.items()
        ],
        ignore_index=True,
    )


def _segment_amounts(state: CustomerValue) -> dict[str, str]:
    """The margin of the last twelve months by segment, as text."""
    margin = state.profits.customers.set_index("customer_id")["margin"]
    scored = state.scores.assign(margin=state.scores["customer_id"].map(margin).fillna(0.0))
    groups = {str(key): group for key, group in scored.groupby("segment")["margin"]}
    return sums(state, groups, branch_of(state, scored["customer_id"]))


def segment_table(state: CustomerValue) -> pd.DataFrame:
    """Segments: customers, share, margin, what to do."""
    frame = _segments(state)
    amounts = _segment_amounts(state)
    sizes = _segment_sizes(state, frame)
    shown, hidden = counts(state, sizes), hidden_counts(state, sizes)
    share = (frame["size"] / frame["size"].sum()).map(style.percent)
    share = share.where(~hidden & (not total_hidden(state)), style.DASH)
    return pd.DataFrame(
        {
            _("Segment"): [segment_name(key) for key in frame.index],
            who(state): shown.to_list(),
            _("Share"): share.to_list(),
            _("Margin, 12 months"): [_("withheld") if hidden[key] else amounts[key] for key in frame.index],
            _("What to do"): [treatment_of(state, key) for key in frame.index],
        }
    )


def treatment_of(state: CustomerValue, key: str) -> str:
    """What to do with a segment of this branch."""
    return segment_treatment(key, commitments=state.scope.has("commitments"), one_time=state.outlook.why == "one_time")


def cut_table(state: CustomerValue) -> pd.DataFrame:
    """The cut points of the scores; empty where they could tell a single customer's amounts."""
    cuts = state.cuts
    if len(state.scores) < TELLING * state.scope.profile.privacy.min_cell:
        return pd.DataFrame()
    said = words(state.scope.profile)
    rows = [
        (
            _("Days since the last {order} (5 is the fewest)").format(order=said.order),
            *map(style.number, reversed(cuts.recency_days)),  # the fewer days, the higher the score
        ),
        (_("Number of {orders}").format(orders=said.orders), *map(style.number, cuts.frequency)),
        (_("Money after refunds"), *(_money(state, value) for value in cuts.monetary)),
    ]
    return pd.DataFrame(rows, columns=[_("Score"), "1 | 2", "2 | 3", "3 | 4", "4 | 5"])


def status_table(state: CustomerValue) -> pd.DataFrame:
    """Customers by status."""
    sizes = state.status["status"].value_counts().reindex(customers.STATUSES).fillna(0).astype(int)
    parts = tally(state, state.status["customer_id"], state.status["status"], sizes.index)
    shown = counts(state, parts)
    share = (sizes / max(sizes.sum(), 1)).map(style.percent)
    hidden = hidden_counts(state, parts) | total_hidden(state)
    return pd.DataFrame(
        {
            _("Status"): [status_name(key) for key in sizes.index],
            who(state): shown.to_list(),
            _("Share"): share.where(~hidden, style.DASH).to_list(),
        }
    )


def branch_table(state: CustomerValue) -> pd.DataFrame:
    """Retention by branch, only where there are several."""
    frame = state.branches[~privacy.hide(state.branches["n"], state.scope.profile.privacy.min_cell)]
    if len(frame) < 2:
        return pd.DataFrame()
    frame = frame.sort_values("share", ascending=False)
    cell, kept = state.scope.profile.privacy.min_cell, (frame["share"] * frame["n"]).round()
    told = [privacy.tells(part, n, cell) for part, n in zip(kept, frame["n"], strict=True)]
    frame.loc[told, ["low", "high", "difference", "p"]] = np.nan
    name = state.scope.profile.branch_name
    return pd.DataFrame(
        {
            _("Branch"): [style.plain(name(branch, language.active())) for branch in frame["branch"]],
            _("Active a year ago"): frame["n"].map(style.number),
            _("Kept"): [style.share(part, n, cell) for part, n in zip(kept, frame["n"], strict=True)],
            _("95 % interval"): [
                style.interval(low, high, "share") for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
            _("Against the others, points"): frame["difference"].map(style.points),
            _("p (Holm)"): frame["p"].map(style.p_value),
        }
    )


def money_table(state: CustomerValue) -> pd.DataFrame:
    """From money paid to profit, over the last twelve months."""
    frame = state.profits.customers
    branch = branch_of(state, frame["customer_id"])
    goods = (frame["regular"] + frame["one_off"] - frame["refunds"] - frame["margin"]).round(6)
    paid = sums(
        state,
        {
            _("Paid under commitments"): frame["regular"],
            _("Paid otherwise"): frame["one_off"],
            _("Refunds"): -frame["refunds"],
            _("Cost of goods and handling"): -goods,
        },
        branch,
    )
    left = sums(
        state,
        {
            _("Margin after refunds"): frame["margin"],
            _("Cost of contacts"): -frame["contact_cost"],
            _("Cost to serve"): -frame["serve_cost"],
            _("Profit"): frame["profit"],
        },
        branch,
    )
    if not state.profits.costs_known:  # no cost recorded is no cost of nothing
        left |= dict.fromkeys((_("Cost of contacts"), _("Cost to serve"), _("Profit")), style.DASH)
    restricted = {_("of both, restricted to a purpose"): amount_of(state, frame["restricted"], branch)}
    rows = [*paid.items()][:2] + [*restricted.items()] + [*paid.items()][2:] + [*left.items()]
    unknown = set() if state.scope.has("commitments") or frame["regular"].any() else {_("Paid under commitments")}
    if "restricted" not in state.scope.columns("transactions"):
        unknown |= set(restricted)
    unknown |= set() if goods.any() else {_("Cost of goods and handling")}
    rows = [row for row in rows if row[0] not in unknown]
    return pd.DataFrame(rows, columns=[_("Item"), _("Last twelve months")])


def classes(state: CustomerValue) -> pd.DataFrame:
    """The holdout by number of repeat purchases, long, for the chart."""
    check = state.outlook.holdout
    columns = ["repeat_purchases", "way", "mean", "error"]
    if check is None:
        return pd.DataFrame(columns=columns)
    wide = holdout.by_class(check)
    wide = wide[wide["n"] >= state.scope.profile.privacy.min_cell]
    parts = [wide.assign(way=_("What took place"), mean=wide["actual"])[columns]]
    parts += [
        wide.assign(way=rule_name(rule.key), mean=wide[rule.key], error=np.nan)[columns] for rule in _drawn(check)
    ]
    return pd.concat(parts, ignore_index=True)


def _drawn(check: holdout.Holdout) -> list[holdout.Rule]:
    """The best model, and the best rule of thumb."""
    return [rule for rule in (check.model, check.thumb) if rule is not None]


def class_table(state: CustomerValue) -> pd.DataFrame:
    """The holdout by number of repeat purchases, as text."""
    check = state.outlook.holdout
    if check is None:
        return pd.DataFrame()
    wide = holdout.by_class(check)
    of_class = holdout.purchase_class(check.customers["x"])
    shown = counts(state, tally(state, check.customers.index, of_class, wide["repeat_purchases"]))
    wide = wide[wide["n"] >= state.scope.profile.privacy.min_cell]
    table = pd.DataFrame(
        {
            _("Repeat {orders} before").format(orders=words(state.scope.profile).orders): wide["repeat_purchases"],
            who(state): [shown[key] for key in wide["repeat_purchases"]],
            _("What took place"): wide["actual"].map(lambda value: style.number(value, 2)),
        }
    )
    for rule in _drawn(check):
        table[rule_name(rule.key)] = wide[rule.key].map(lambda value: style.number(value, 2))
    return table


def rule_table(state: CustomerValue) -> pd.DataFrame:
    """How well each way foresaw the holdout."""
    check = state.outlook.holdout
    if check is None or check.n < TELLING * state.scope.profile.privacy.min_cell:
        return pd.DataFrame()
    rows = [
        (
            rule_name(rule.key),
            style.number(rule.total),
            style.percent(rule.total / check.actual - 1 if check.actual else None),
            style.number(rule.bias, 3),
            style.number(rule.mean_absolute_error, 2),
            style.number(rule.root_mean_squared_error, 2),
            style.number(rule.rank_correlation, 2),
            style.number(rule.lift, 1),
            style.interval(
                rule.better - check.needed * rule.better_error, rule.better + check.needed * rule.better_error, "ratio"
            ),
        )
        for rule in check.rules
    ]
    rows.append((_("What took place"), style.number(check.actual), *(style.DASH,) * 7))
    number = _("Number of {orders}").format(orders=words(state.scope.profile).orders)
    names = [_("Way"), number, _("Off by"), _("Bias a head"), _("Mean absolute error")]
    names += [_("Root mean squared error"), _("Rank correlation"), _("Lift of the best tenth")]
    return pd.DataFrame(rows, columns=[*names, _("Squared error saved")])


def outlook_table(state: CustomerValue) -> pd.DataFrame:
    """What the margin expected over the months ahead consists of, as it comes and discounted to today."""
    frames = dict(list(state.outlook.customers.groupby("part")))
    nobody = state.outlook.customers.iloc[:0]
    parts = {
        _("Running commitments"): frames.get("regular", nobody),
        _("Everybody else"): frames.get("one_off", nobody),
    }
    sizes = pd.Series({name: int((part["expected_value"] > 0).sum()) for name, part in parts.items()})
    ids = state.outlook.customers["customer_id"]
    branch, behind = branch_of(state, ids), margins(state, ids)
    valued = pd.concat([part[part["expected_value"] > 0].assign(name=name) for name, part in parts.items()])
    shown = counts(state, tally(state, valued["customer_id"], valued["name"], parts))
    shown = shown.mask(sizes >= sizes.sum(), count(state, int(sizes.sum()), valued["customer_id"]))
    amounts = sums(state, {name: part["expected_value"] for name, part in parts.items()}, branch, behind=behind)
    today = sums(state, {name: part["discounted_value"] for name, part in parts.items()}, branch, behind=behind)
    kept = [name for name in parts if name != _("Running commitments") or state.scope.has("commitments") or sizes[name]]
    rows = [(name, shown[name], amounts[name], today[name]) for name in kept]
    margin = _("Expected margin, next {months} months").format(months=state.outlook.months)
    discounted = _("Discounted at {rate} a year").format(rate=style.percent(state.outlook.rate_annual, 0))
    return pd.DataFrame(rows, columns=[_("Expected from"), who(state), margin, discounted])


def yield_table(state: CustomerValue) -> pd.DataFrame:
    """Collected per promised over the last twelve months, by how the commitment stood before them."""
    rows = [
        (
            standing_name(each.standing),
            of_total(state, style.number(each.n)),
            style.percent(each.ratio),
            style.interval(*each.interval, "share"),
        )
        for each in state.outlook.yields
        if each.n >= state.scope.profile.privacy.min_cell
    ]
    return pd.DataFrame(
        rows, columns=[_("Commitment a year ago"), who(state), _("Collected of promised"), _("95 % interval")]
    )


def parameter_table(state: CustomerValue) -> pd.DataFrame:
    """Parameters of the fitted models."""
    frame = future.parameters((state.outlook.fit, state.outlook.spend))
    return pd.DataFrame(
        {
            _("Model"): frame["model"],
            _("Parameter"): frame["parameter"],
            _("Estimate"): frame["value"].map(lambda value: _significant(value, 4)),
            _("Standard error"): frame["standard_error"].map(lambda value: _significant(value, 2)),
        }
    )


def _significant(value: float, digits: int) -> str:
    """A number to so many significant digits, written out."""
    if style.undefined(value) or value == 0:
        return style.number(value)
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return style.number(round(value, decimals), max(decimals, 0))


def lists(state: CustomerValue) -> dict[str, pd.DataFrame]:
    """The customers behind the findings, for export only."""
    frame = state.profits.customers
    columns = ["customer_id", "branch", "margin", "contact_cost", "serve_cost", "profit"]
    size = int(np.ceil(0.10 * len(frame)))
    expected = state.outlook.customers.groupby("customer_id")["expected_value"].sum()
    best = frame.nlargest(size, "profit")[["customer_id", "branch", "margin", "profit"]]
    return {
        "below_cost": frame.loc[frame["profit"] < 0, columns].sort_values("profit", ignore_index=True),
        "slipping_away": state.slipping.customers,
        "most_valuable": best.assign(
            expected_value=best["customer_id"].map(expected).fillna(0.0).to_numpy()
        ).reset_index(drop=True),
    }
