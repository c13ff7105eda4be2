"""What keeping customers is worth: five more points of retention, and the leaky bucket."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi.amounts import Amount
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.lifetime import Bucket, RetentionValue
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _, active
from crm_analysis.profile import Profile

__all__ = ["bucket", "findings", "five_points", "winning"]

ALL = "all"
CELLS = ("kept", "n_lost", "n_new", "n_back")


def _branch(name: str, profile: Profile) -> str:
    return _("All branches") if name == ALL else style.plain(profile.branch_name(name, active()))


def five_points(study: Study, profile: Profile) -> dict[str, Any]:
    """Value of five more points of retention by branch, as keyword arguments of `report.table`."""
    evaluation, kept = study.evaluation, study.finance.keeping
    if kept is None:
        return {"frame": None}
    currency = evaluation.currency
    rows = [
        {
            _("Branch"): _branch(each.branch, profile),
            _("Kept in a year"): intervals.amount(each.retention, "share"),
            _("Margin a year of one kept"): intervals.amount(each.margin_year, "money", currency),
            _("Worth of one"): intervals.amount(each.value, "money", currency),
            _("Five points more, for all there now"): _or_never(each, currency),
            _("Rise"): intervals.amount(each.rise, "share", digits=0),
            _("Elasticity"): style.number(each.elasticity, 2),
        }
        for each in kept.values
    ]
    said = _sentence(kept.here, profile, currency) + " " if kept.here is not None else ""
    if kept.whole_withheld:
        said = (
            _("All branches together are withheld: beside the others they would tell the one too small to show.") + " "
        )
    return intervals.noted(
        evaluation,
        _("What five more points of retention are worth"),
        pd.DataFrame(rows),
        said
        + _(
            "Margin x r / (1 + d - r), d {rate} a year: a scenario in which retention and margin stay as they are. "
            "Kept: neither dormant nor lost, of those who were neither a year ago. Elasticity: per cent more worth for "
            "one per cent (not one point) more retention."
        ).format(rate=style.percent(kept.rate_annual, 0)),
        _("Needs a year of history before the period's end, and enough people kept."),
    )


def _or_never(each: RetentionValue, currency: str) -> str:
    return _("retention is above 95 %") if each.gain_all is None else intervals.amount(each.gain_all, "money", currency)


def _sentence(each: RetentionValue, profile: Profile, currency: str) -> str:
    customers = profile.vocabulary(active()).customers
    if each.gain_all is None:
        return _("**{share} of {customers} were kept**: five more points cannot be had.").format(
            share=style.percent(each.retention.value), customers=customers
        )
    return _(
        "**Keeping {more} instead of {share} of {customers} would be worth {gain}** over their time ({interval})."
    ).format(
        more=style.percent(each.retention.value + 0.05),
        share=style.percent(each.retention.value),
        customers=customers,
        gain=style.money(each.gain_all.value, currency),
        interval=intervals.interval(each.gain_all, "money", currency),
    )


def bucket(study: Study, profile: Profile) -> dict[str, Any]:
    """Who was lost and gained in a year, and what the leak is worth, as keyword arguments of `report.table`."""
    evaluation, kept = study.evaluation, study.finance.keeping
    if kept is None:
        return {"frame": None}
    currency = evaluation.currency
    counts = _counts(kept.buckets, evaluation.min_cell)
    rows = []
    for each, text in zip(kept.buckets, counts, strict=True):
        rows.append(
            {
                _("Branch"): _branch(each.branch, profile),
                _("A year ago"): text["before"],
                _("Lost"): text["n_lost"],
                _("New"): text["n_new"],
                _("Back in the year"): text["n_back"],
                _("Now"): text["now"],
                _("Gained less lost"): text["net"],
                _("Margin a year that left"): _("withheld")
                if each.leak is None
                else intervals.amount(each.leak, "money", currency),
                _("Over their time"): intervals.amount(each.leak_lasting, "money", currency),
            }
        )
    return intervals.noted(
        evaluation,
        _("The leaky bucket"),
        pd.DataFrame(rows),
        _leak_sentence(kept.buckets, currency)
        + _(
            "There: neither dormant nor lost. The margin that left is what those lost had brought in the year before: "
            "no programme keeps everybody, so it is the most that stopping the leak can be worth in a year. Over their "
            "time: a scenario, at the retention and rate of the table above."
        ),
        _("Needs a year of history before the period's end."),
    )


def winning(study: Study) -> dict[str, Any]:
    """Cost of winning a customer against keeping one, as keyword arguments of `report.table`."""
    evaluation, kept = study.evaluation, study.finance.keeping
    if kept is None:
        return {"frame": None}
    found, currency = kept.winning, evaluation.currency
    hidden = found.veiled(evaluation.min_cell)
    rows = [
        (_("one new customer"), found.n_new, found.new_by_branch, found.winning, "money", hidden[0]),
        (_("one customer kept"), found.n_kept, found.kept_by_branch, found.keeping, "money", hidden[1]),
        (_("one new for each kept"), None, (), found.ratio, "ratio", any(hidden)),
    ]
    needs = {
        "no_costs": _("Needs the tables `costs` and `campaigns`."),
        "no_acquisition": _(
            "What a new one costs needs lines in `costs` for campaigns whose programme is acquisition."
        ),
        "no_keeping": _("What keeping one costs needs lines in `costs` for campaigns that serve to keep customers."),
        "short": _("Needs a year of history before the period's end."),
        "nobody": _("Nobody was won, or nobody kept."),
    }
    frame = pd.DataFrame(
        [
            (
                label,
                style.DASH if n is None else privacy.count(n, evaluation.min_cell, parts=parts),
                _("withheld") if veiled else intervals.amount(cost, unit, currency, 1 if unit == "ratio" else None),
            )
            for label, n, parts, cost, unit, veiled in rows
        ],
        columns=[_("Cost of"), _("People within the year"), _("Cost of each, on average")],
    )
    said = needs.get(found.missing, "")
    return intervals.noted(
        evaluation,
        _("Winning against keeping"),
        frame.iloc[:0] if found.winning is None and found.keeping is None else frame,
        (said + " " if said else "")
        + _(
            "Cost of acquisition programmes, and of welcome, retention, win-back and care programmes, over everybody "
            "won or kept in the year: averages, not effects. New are all whose first payment fell in the year, also "
            "those gone again since; the leaky bucket counts the new who are still there. What one more cost stands in "
            "the table above. Intervals "
            "take the numbers of people for chance and the costs for known; costs that branches share are on the page "
            "of all."
        ),
        said,
    )


def _leak_sentence(buckets: tuple[Bucket, ...], currency: str) -> str:
    here = next(iter(buckets), None)
    if here is None or here.leak is None:
        return ""
    tenth = style.money(here.leak.value / 10, currency)
    return (
        _(
            "**{leak} of margin a year left with those lost** ({interval}); every tenth of them kept is worth "
            "{tenth} a year."
        ).format(
            leak=style.money(here.leak.value, currency),
            interval=intervals.interval(here.leak, "money", currency),
            tenth=tenth,
        )
        + " "
    )


def _counts(buckets: tuple[Bucket, ...], min_cell: int) -> list[dict[str, str]]:
    """The counts of each row as text: small ones hidden, and with them what would tell them."""
    hidden = {each.branch: _hidden(each, min_cell) for each in buckets}
    parts = [each for each in buckets if each.branch != ALL]
    if len(parts) > 1:
        lone = np.array([sum(hidden[each.branch][i] for each in parts) == 1 for i in range(len(CELLS))])
        whole = next(each for each in buckets if each.branch == ALL)
        hidden[ALL] = _hidden(whole, min_cell, also=lone)
    found = []
    for each in buckets:
        numbers = dict(zip(CELLS, (each.n_before - each.n_lost, each.n_lost, each.n_new, each.n_back), strict=True))
        veiled = dict(zip(CELLS, hidden[each.branch], strict=True))
        text = {name: _("withheld") if veiled[name] else style.number(n) for name, n in numbers.items()}
        ends = {"before": each.n_before, "now": each.n_now}
        text |= {name: privacy.count(n, min_cell) for name, n in ends.items()}
        text["net"] = _("withheld") if any(privacy.small(n, min_cell) for n in ends.values()) else _signed(each.net)
        found.append(text)
    return found


def _hidden(each: Bucket, min_cell: int, also: np.ndarray | None = None) -> np.ndarray:
    counts = np.array([each.n_before - each.n_lost, each.n_lost, each.n_new, each.n_back])
    lines = [np.array([True, True, False, False]), np.array([True, False, True, True])]
    return privacy.hide_lines(counts, lines, min_cell, also=also)


def _signed(n: int) -> str:
    return f"+{style.number(n)}" if n > 0 else style.number(n)


def findings(study: Study) -> list[Finding]:
    """What five more points are worth and what leaked, for the scope itself."""
    evaluation, kept = study.evaluation, study.finance.keeping
    if kept is None:
        return []
    here, bucket_ = kept.here, next(iter(kept.buckets), None)
    told: list[tuple[str, Amount, int, str, str, str]] = []
    if here is not None and here.gain_all is not None:
        told.append(
            (
                "five_points",
                here.gain_all,
                here.n,
                _("Worth of five more points of retention, over the years (a scenario)"),
                _("scenario: constant retention; delta method 95 %"),
                _("Customers there now x the rise of margin x r / (1 + d - r) when r is five points higher."),
            )
        )
    if bucket_ is not None and bucket_.leak is not None:
        told.append(
            (
                "leak",
                bucket_.leak,
                bucket_.n_lost,
                _("Margin a year that left with those lost"),
                _("not causal; normal 95 % over people"),
                _("Margin, in the year before, of those who were there a year ago and are dormant or lost now."),
            )
        )
    return [
        intervals.finding(
            evaluation, key, amount, label=label, sentence="", basis=basis, n=n, compare=True, definition=definition
        )
        for key, amount, n, label, basis, definition in told
    ]
