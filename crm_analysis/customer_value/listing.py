"""Frames for charts, tables of finished text, and the lists of customers behind findings."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.customer_value import disclosure, future, holdout, populations, scores
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import (
    rule_name,
    segment_name,
    segment_treatment,
    standing_name,
    words,
)
from crm_analysis.language import _

SMALL = 0.1  # a mean below this needs more digits to be told from another
TOPS = (0.01, 0.05, 0.10, 0.20, 0.50)


def _money(state: CustomerValue, amount: float) -> str:
    return style.money(amount, state.scope.profile.currency)


def curve(state: CustomerValue) -> pd.DataFrame:
    """The cumulative profit curve; empty where so few customers, or one above all, make it up that they show."""
    shown = state.concentration.n >= disclosure.TELLING * state.scope.profile.privacy.min_cell
    shown = shown and not disclosure.hidden_amount(state, _best(state, 0.10))
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
        if size < state.scope.profile.privacy.min_cell or disclosure.hidden_amount(state, _best(state, top)):
            continue
        share = profit[:size].sum() / profit.sum() if profit.sum() > 0 else np.nan
        rows.append(
            (style.percent(top, 0), populations.said(state, "profit", style.number(size)), style.percent(share))
        )
    concentration = state.concentration
    if len(curve(state)):
        above = concentration.n - round(concentration.below_cost.share * concentration.n)
        if not privacy.small(concentration.n - above, state.scope.profile.privacy.min_cell):
            rows.append(
                (
                    _("all who pay for themselves"),
                    populations.said(state, "profit", style.number(above)),
                    style.percent(concentration.peak),
                )
            )
        rows.append(
            (
                _("everybody"),
                _everybody(state),
                style.percent(1.0 if profit.sum() > 0 else None),
            )
        )
    return pd.DataFrame(rows, columns=[_("The best"), disclosure.who(state), _("Share of profit")])


def _everybody(state: CustomerValue) -> str:
    """How many the profit is of, as the table of populations tells it."""
    if "profit" not in populations.told(state):
        return _("withheld")
    return disclosure.count(state, state.concentration.n, state.profits.customers["customer_id"])


def _segments(state: CustomerValue) -> pd.DataFrame:
    """customers, margin (of the last twelve months) by segment, in the order of the segments."""
    margin = state.profits.customers.set_index("customer_id")["margin"]
    scored = state.scores.assign(margin=state.scores["customer_id"].map(margin).fillna(0.0))
    order = [name for name, _test in scores.SEGMENTS]
    return scored.groupby("segment")["margin"].agg(["size", "sum"]).reindex(order).dropna()


def _segment_sizes(state: CustomerValue) -> pd.DataFrame:
    """Customers by segment and branch; with a row without a name where those with a status who never paid are too few
    to be shown, since all who have one are counted elsewhere.
    """
    segment = state.scores.set_index("customer_id")["segment"].reindex(state.status["customer_id"]).fillna("")
    there = [name for name, _test in scores.SEGMENTS if name in set(state.scores["segment"])]
    sizes = disclosure.tally(state, state.status["customer_id"], segment, ["", *there])
    return sizes if disclosure.few(state, sizes.loc[""]) else sizes.drop(index="")


def hidden_segments(state: CustomerValue) -> pd.Series:
    """Which segments' counts are hidden (True); one at least where their sum must not be told."""
    sizes = _segment_sizes(state)
    hidden, n = disclosure.hidden_counts(state, sizes).drop(index="", errors="ignore"), sizes.sum(axis=1)
    if not hidden.any() and len(hidden) and "segments" not in populations.told(state):
        hidden[n[hidden.index].idxmin()] = True
    return hidden


def segments_unsaid(state: CustomerValue) -> bool:
    """Whether how many have a segment must not be told, nor a share of them."""
    return populations.unsaid(state, "segments")


def segments(state: CustomerValue) -> pd.DataFrame:
    """Share of customers and of margin by segment, for the chart; segments too small to show are left out."""
    frame = _segments(state)
    whole = frame.sum()
    hidden = hidden_segments(state)
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
    return disclosure.sums(state, groups, disclosure.branch_of(state, scored["customer_id"]))


def segment_table(state: CustomerValue) -> pd.DataFrame:
    """Segments: customers, share, margin, what to do."""
    frame = _segments(state)
    amounts = _segment_amounts(state)
    hidden = hidden_segments(state)
    few = frame["size"].map(lambda n: privacy.small(n, state.scope.profile.privacy.min_cell))
    shown = disclosure.counts(state, _segment_sizes(state))[frame.index]
    shown = shown.mask(hidden & ~few & ~shown.str.startswith(">"), _("withheld"))
    share = (frame["size"] / frame["size"].sum()).map(style.percent)
    share = share.where(~hidden & (not segments_unsaid(state)), style.DASH)
    return pd.DataFrame(
        {
            _("Segment"): [segment_name(key) for key in frame.index],
            disclosure.who(state): shown.to_list(),
            _("Share"): share.to_list(),
            _("Margin, 12 months"): [_("withheld") if hidden[key] else amounts[key] for key in frame.index],
            _("What to do"): [treatment_of(state, key) for key in frame.index],
        }
    )


def treatment_of(state: CustomerValue, key: str) -> str:
    """What to do with a segment of this branch."""
    return segment_treatment(
        key,
        commitments=state.scope.has("commitments"),
        one_time=state.outlook.why == "one_time",
        priced=state.matrix.lines.priced,
    ).format(order=words(state.scope.profile).order)


def cut_table(state: CustomerValue) -> pd.DataFrame:
    """The cut points of the scores; empty where they could tell a single customer's amounts."""
    cuts = state.cuts
    if len(state.scores) < disclosure.TELLING * state.scope.profile.privacy.min_cell:
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


def results(state: CustomerValue) -> dict[str, str]:
    """Margin, costs and profit of the last twelve months, as text."""
    frame = state.profits.customers
    return disclosure.sums(
        state,
        {
            _("Margin after refunds"): frame["margin"],
            _("Cost of contacts"): -frame["contact_cost"],
            _("Cost to serve"): -frame["serve_cost"],
            _("Profit"): frame["profit"],
        },
        disclosure.branch_of(state, frame["customer_id"]),
    )


def money_table(state: CustomerValue) -> pd.DataFrame:
    """From money paid to profit, over the last twelve months."""
    frame = state.profits.customers
    branch = disclosure.branch_of(state, frame["customer_id"])
    goods = (frame["regular"] + frame["one_off"] - frame["refunds"] - frame["margin"]).round(6)
    paid = disclosure.sums(
        state,
        {
            _("Paid under commitments"): frame["regular"],
            _("Paid otherwise"): frame["one_off"],
            _("Refunds"): -frame["refunds"],
            _("Cost of goods and handling"): -goods,
        },
        branch,
    )
    left = results(state)
    if not state.profits.costs_known:  # no cost recorded is no cost of nothing
        left |= dict.fromkeys((_("Cost of contacts"), _("Cost to serve"), _("Profit")), style.DASH)
    memo = {
        _("of both, restricted to a purpose"): disclosure.amount_of(state, frame["restricted"], branch),
        _("Discounts granted, already taken off"): disclosure.amount_of(state, frame["discount"], branch),
    }
    rewards = [(_("of it, rewards"), disclosure.amount_of(state, -frame["reward_cost"], branch))]
    of_cost = rewards if frame["reward_cost"].any() else []
    rows = [*paid.items()][:2] + [*memo.items()] + [*paid.items()][2:] + [*left.items()][:3] + of_cost
    rows += [*left.items()][3:]
    unknown = set() if state.scope.has("commitments") or frame["regular"].any() else {_("Paid under commitments")}
    unknown |= {
        name
        for name, column in zip(memo, ("restricted", "discount"), strict=True)
        if column not in state.scope.columns("transactions")
    }
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
    shown = disclosure.counts(state, disclosure.tally(state, check.customers.index, of_class, wide["repeat_purchases"]))
    wide = wide[wide["n"] >= state.scope.profile.privacy.min_cell]
    table = pd.DataFrame(
        {
            _("Repeat {orders} before").format(orders=words(state.scope.profile).orders): wide["repeat_purchases"],
            disclosure.who(state): [shown[key] for key in wide["repeat_purchases"]],
            _("What took place"): wide["actual"].map(_mean),
        }
    )
    for rule in _drawn(check):
        table[rule_name(rule.key)] = wide[rule.key].map(_mean)
    return table


def _mean(value: float) -> str:
    """A mean number of purchases, with digits enough to be told from another where people rarely come back."""
    return style.number(value, 2 if value >= SMALL else 4)


def rule_table(state: CustomerValue) -> pd.DataFrame:
    """How well each way foresaw the holdout."""
    check = state.outlook.holdout
    if check is None or check.n < disclosure.TELLING * state.scope.profile.privacy.min_cell:
        return pd.DataFrame()
    digits = 2 if check.thumb.root_mean_squared_error >= 1 else 4
    rows = [
        (
            rule_name(rule.key),
            style.number(rule.total),
            style.percent(rule.total / check.actual - 1 if check.actual else None),
            style.number(rule.bias, max(digits, 3)),
            style.number(rule.mean_absolute_error, digits),
            style.number(rule.root_mean_squared_error, digits),
            style.number(rule.rank_correlation, 2),
            style.number(rule.lift, 1),
            style.interval(
                rule.better - check.needed * rule.better_error,
                rule.better + check.needed * rule.better_error,
                "ratio",
                digits=digits,
            ),
            style.number(rule.aic, 1),
        )
        for rule in check.rules
    ]
    rows.append((_("What took place"), style.number(check.actual), *(style.DASH,) * 8))
    number = _("Number of {orders}").format(orders=words(state.scope.profile).orders)
    names = [_("Way"), number, _("Off by"), _("Bias a head"), _("Mean absolute error")]
    names += [_("Root mean squared error"), _("Rank correlation"), _("Lift of the best tenth")]
    return pd.DataFrame(rows, columns=[*names, _("Squared error saved"), _("AIC before")])


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
    branch, behind = disclosure.branch_of(state, ids), disclosure.margins(state, ids)
    valued = pd.concat([part[part["expected_value"] > 0].assign(name=name) for name, part in parts.items()])
    shown = disclosure.counts(state, disclosure.tally(state, valued["customer_id"], valued["name"], parts))
    shown = shown.mask(sizes >= sizes.sum(), disclosure.count(state, int(sizes.sum()), valued["customer_id"]))
    if populations.unsaid(state, "ahead") and sizes.any():  # their sum would be how many the months ahead count
        shown[sizes[sizes > 0].idxmin()] = _("withheld")
    amounts = disclosure.sums(
        state, {name: part["expected_value"] for name, part in parts.items()}, branch, behind=behind
    )
    today = disclosure.sums(
        state, {name: part["discounted_value"] for name, part in parts.items()}, branch, behind=behind
    )
    kept = [name for name in parts if name != _("Running commitments") or state.scope.has("commitments") or sizes[name]]
    rows = [(name, shown[name], amounts[name], today[name]) for name in kept]
    margin = _("Expected margin, next {months} months").format(months=state.outlook.months)
    discounted = _("Discounted at {rate} a year").format(rate=style.percent(state.outlook.rate_annual, 0))
    return pd.DataFrame(rows, columns=[_("Expected from"), disclosure.who(state), margin, discounted])


def yield_table(state: CustomerValue) -> pd.DataFrame:
    """Collected per promised over the last twelve months, by how the commitment stood before them."""
    rows = [
        (
            standing_name(each.standing),
            disclosure.of_total(state, style.number(each.n)),
            style.percent(each.ratio),
            style.interval(*each.interval, "share"),
        )
        for each in state.outlook.yields
        if each.n >= state.scope.profile.privacy.min_cell
    ]
    return pd.DataFrame(
        rows,
        columns=[_("Commitment a year ago"), disclosure.who(state), _("Collected of promised"), _("95 % interval")],
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
    columns = ["customer_id", "branch", "margin", "contact_cost", "serve_cost", "reward_cost", "profit"]
    size = int(np.ceil(0.10 * len(frame)))
    expected = state.outlook.customers.groupby("customer_id")["expected_value"].sum()
    best = frame.nlargest(size, "profit")[["customer_id", "branch", "margin", "profit"]]
    late, treatments = state.slipping.customers, state.matrix.customers.set_index("customer_id")["treatment"]
    return {
        "below_cost": frame.loc[frame["profit"] < 0, columns].sort_values("profit", ignore_index=True),
        "slipping_away": late.assign(treatment=late["customer_id"].map(treatments)),
        "most_valuable": best.assign(
            expected_value=best["customer_id"].map(expected).fillna(0.0).to_numpy()
        ).reset_index(drop=True),
    }
