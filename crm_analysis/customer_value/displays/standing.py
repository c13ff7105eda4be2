"""The best customers by money, relationship and fit: tables and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.wording import segment_name, words
from crm_analysis.estimators.proportions import Proportion, wilson
from crm_analysis.language import _

HALF = 0.5


def score_name(state: CustomerValue, key: str) -> str:
    """The name of a score or of a part of one."""
    return {
        "money": _("Money: profit now and to come"),
        "relationship": _("Relationship"),
        "tenure": _("of it, years since the first {order}"),
        "regularity": _("of it, months with at least one {order}, of the last twelve"),
        "channels": _("of it, channels used"),
        "attachment": _("of it, attachment as surveyed"),
        "fit": _("Fit: likeness to those who stay and pay"),
    }[key].format(order=words(state.scope.profile).order)


def weak(state: CustomerValue) -> dict[str, Proportion]:
    """Share of the best by money in the lower half of all by relationship, by fit, and by both."""
    best = state.standing.customers[state.standing.customers["best"]]
    loose, known = best["relationship"] < HALF, best[best["fit"].notna()]
    unlike = known["fit"] < HALF
    return {
        "relationship": wilson(int(loose.sum()), len(best)),
        "fit": wilson(int(unlike.sum()), len(known)),
        "both": wilson(int((unlike & (known["relationship"] < HALF)).sum()), len(known)),
    }


def _shown(state: CustomerValue) -> bool:
    return int(state.standing.customers["best"].sum()) >= 2 * state.scope.profile.privacy.min_cell


def weak_table(state: CustomerValue) -> dict[str, Any]:
    """How many of the best by money fail on the other two, as keyword arguments of `report.table`."""
    title = _("The best by money, seen three ways")
    if not _shown(state) or not state.standing.components or disclosure.total_hidden(state):
        return {"title": title, "frame": None, "note": ""}
    cell = state.scope.profile.privacy.min_cell
    names = {
        "relationship": _("relationship in the lower half of all"),
        "fit": _("fit in the lower half of all"),
        "both": _("both in the lower half of all"),
    }
    rows = []
    for key, part in weak(state).items():
        number = round(part.share * part.n) if part.n else 0
        told = part.n > 0 and not privacy.tells(number, part.n, cell)
        rows.append(
            (
                names[key],
                privacy.count(part.n, cell) if part.n else style.DASH,
                style.share(number, part.n, cell) if part.n else style.DASH,
                style.interval(part.low, part.high, "share") if told else style.DASH,
            )
        )
    columns = [_("Of the best fifth by money"), _("Known of"), _("Share"), _("95 % interval")]
    return {
        "title": title,
        "frame": pd.DataFrame(rows, columns=columns),
        "note": f"{sentence(state)} {fit_note(state)}",
    }


def sentence(state: CustomerValue) -> str:
    """How many of the best by money are loosely tied, and what to do."""
    part, cell = weak(state)["relationship"], state.scope.profile.privacy.min_cell
    number = round(part.share * part.n)
    if privacy.tells(number, part.n, cell):
        return _("Hardly any of the best by money is loosely tied, or hardly any is not: {share}.").format(
            share=style.share(number, part.n, cell)
        )
    said = {
        "customers": disclosure.who_lower(state),
        "n": style.number(part.n),
        "share": style.percent(part.share),
        "interval": style.interval(part.low, part.high, "share"),
    }
    if state.outlook.why == "one_time":
        return _(
            "**{share} of the best fifth by money ({interval}; of {n}) are tied more loosely than half of all "
            "{customers}**: half would be, were money and ties unrelated. Hardly anybody comes back, so these are ties "
            "of one day."
        ).format(**said)
    return _(
        "**{share} of the best fifth by money ({interval}; of {n}) are tied more loosely than half of all "
        "{customers}**: money that nothing holds. Give them a second reason to come before a discount."
    ).format(**said)


def fit_note(state: CustomerValue) -> str:
    """How good the score of fit is, or why there is none."""
    fit = state.standing.fit
    if fit.why == "short":
        return _(
            "Fit is undefined: of those whose first two years are covered, too few stayed and paid, too few did not, "
            "or nothing known on the first day tells them apart."
        )
    said = {
        "auc": style.number(fit.auc, 2),
        "interval": style.interval(fit.low, fit.high, "ratio"),
        "n": style.number(fit.n),
    }
    if fit.why:
        return _(
            "Fit is undefined: what is known at joining foresees who stays and pays no better than guessing (AUC "
            "{auc}, {interval}, on {n} not learned from)."
        ).format(**said)
    return _(
        "Fit is learned from what is known on the first day and checked on the {n} who came last (AUC {auc}, "
        "{interval}; 0.5 is guessing); it is unknown of those seen near the start of the records."
    ).format(**said)


def score_table(state: CustomerValue) -> dict[str, Any]:
    """Each score of the best and of the others, as keyword arguments of `report.table`."""
    title, found = _("What sets the best by money apart"), state.standing
    if not _shown(state):
        return {"title": title, "frame": None, "note": ""}
    cell, frame = state.scope.profile.privacy.min_cell, found.customers
    rows = []
    for key in ("money", "relationship", *found.components, "fit"):
        groups = [frame.loc[frame["best"] == best, key].dropna() for best in (True, False)]
        means = [style.number(part.mean() * 100) if len(part) >= cell else style.DASH for part in groups]
        rows.append((score_name(state, key), *means))
    columns = [_("Mean rank, 0 to 100"), _("Best fifth by money"), _("All others")]
    note = _(
        "Those neither dormant nor lost. A rank says what share of all is below; 50 is the middle. A relationship "
        "without the part in question (nobody surveyed) rests on the others."
    )
    return {"title": title, "frame": pd.DataFrame(rows, columns=columns), "note": note}


def wallet_table(state: CustomerValue) -> dict[str, Any]:
    """Share of wallet by segment, where the profile gives what is spent in the category."""
    title, spend = _("Share of wallet"), state.scope.profile.value.category_spend
    paid = state.profits.customers.set_index("customer_id")["gross"]
    there = state.scores.assign(paid=state.scores["customer_id"].map(paid).fillna(0.0))
    there = there[there["paid"] > 0]
    if not spend or there.empty:
        return {"title": title, "frame": None, "note": ""}
    rule, branch = state.scope.profile.privacy, disclosure.branch_of(state, there["customer_id"])
    rows = []
    for key, own in there.groupby("segment")["paid"]:
        if len(own) < rule.min_cell or disclosure.hidden_amount(
            state, own, None if branch is None else branch[own.index]
        ):
            continue
        error = own.std(ddof=1) / len(own) ** 0.5
        low, high = ((own.mean() + side * 1.96 * error) / spend for side in (-1, 1))
        mean = style.money(own.mean(), state.scope.profile.currency)
        rows.append(
            (segment_name(str(key)), mean, style.percent(own.mean() / spend), style.interval(low, high, "share"))
        )
    columns = [_("Segment"), _("Paid a head in twelve months"), _("Share of wallet"), _("95 % interval")]
    note = _(
        "Of {spend} that one spends a year in the category, by the profile: one figure for all, so a share above "
        "100 % is somebody who spends more than most. Grow where the share is low and the relationship close."
    ).format(spend=style.money(spend, state.scope.profile.currency))
    return {"title": title, "frame": pd.DataFrame(rows, columns=columns), "note": note}
