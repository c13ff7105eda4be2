"""Programmes without control beside those on no list: frames, words and findings. Nothing here is an effect."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import cells
from crm_analysis.crm_roi.captions import SILENT
from crm_analysis.crm_roi.displays import unrandomised_terms as terms
from crm_analysis.crm_roi.gate import Check
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.crm_roi.study import Study
from crm_analysis.crm_roi.unrandomised import ADJUSTED, Comparison, Occasion
from crm_analysis.estimators.observational import Contrast
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["balance", "bars", "checks", "estimates", "findings", "side_by_side", "trend", "trend_points"]

METHODS = ("own", "naive", *ADJUSTED)
KINDS = ("campaign", "window", "year")
MOST_PANELS = 3
"""Programmes drawn, the costliest first; the tables hold all."""


def side_by_side(study: Study) -> dict[str, Any]:
    """Every estimate of every programme without control, as keyword arguments of `report.table`."""
    if not study.unrandomised:
        return {"frame": None}
    evaluation, rows = study.evaluation, []
    for found in _compared(study):
        at = {occasion.kind: occasion for occasion in _occasions(found)}
        for method in METHODS:
            told = {terms.date(kind): _estimate(at.get(kind), method, evaluation) for kind in KINDS}
            rows.append(
                {
                    _("Programme"): style.plain(found.name),
                    _("Method, and what it rests on"): f"{terms.method(method)}: {terms.assumption(method)}",
                    "n": _listed(found, evaluation)
                    if method == "own"
                    else _("{listed} beside {others}").format(
                        listed=_listed(found, evaluation), others=_pool(found, evaluation)
                    ),
                }
                | told
            )
    return {
        "title": _("Beside those on no list: not causal"),
        "frame": pd.DataFrame(rows),
        "note": " ".join([*(sentence(found, study) for found in study.unrandomised), *([_reading()] if rows else [])]),
    }


def checks(study: Study) -> dict[str, Any]:
    """The rule that says whether anything is identified, and what hidden bias would undo, for `report.table`."""
    if not _compared(study):
        return {"frame": None}
    evaluation, rows = study.evaluation, []
    for found in _compared(study):
        for item in found.checks:
            rows.append(
                (style.plain(found.name), terms.check(item.code), terms.status(item.status), _found(item, found, study))
            )
        if (hidden := _hidden(found)) is not None:
            rows.append((style.plain(found.name), _("What something unrecorded would undo"), _("noted"), hidden))
    note = _(
        "The rule was fixed beforehand. Each check is held at 5 %, so that about one sound comparison in five fails "
        "one of them by chance: the rule would rather say nothing."
    )
    absent = sorted({code for found in _compared(study) for code in found.absent})
    if absent:
        said = _("No table supplies {names}, so that nothing is adjusted for it.")
        note = f"{note} {said.format(names=terms.absent(absent))}"
    return {
        "title": _("Does anything identify what the programme did?"),
        "frame": pd.DataFrame(rows, columns=[_("Programme"), _("Check"), _("Result"), _("Found")]),
        "note": f"{note} {_cost_note(study, evaluation)}".strip(),
    }


def balance(study: Study) -> dict[str, Any]:
    """How unlike the list and the others are, raw and weighted, as keyword arguments of `report.table`."""
    rows = [
        (style.plain(found.name), terms.covariate(row.code), style.number(row.before, 2), style.number(row.after, 2))
        for found in _compared(study)
        if found.real is not None
        for row in found.real.balance.itertuples(index=False)
    ]
    if not rows:
        return {"frame": None}
    columns = [_("Programme"), _("Known before"), _("Unlike, in standard deviations"), _("After weighting")]
    return {
        "title": _("How unlike the list and the others are"),
        "frame": pd.DataFrame(rows, columns=columns),
        "note": _(
            "Difference between list and others in standard deviations of the list. After weighting: the others "
            "weighted to look like the list, those of the list whom nobody resembles left out. Above 0.1 they are "
            "still unlike."
        ),
    }


def bars(study: Study) -> pd.DataFrame:
    """programme, method, label, kind, estimate, low, high of the programmes that are drawn."""
    rows = [
        (found.name, method, terms.method(method), occasion.kind, contrast.estimate, contrast.low, contrast.high)
        for found in _compared(study)[:MOST_PANELS]
        for method in METHODS
        for occasion in _occasions(found)
        if (contrast := occasion.estimates[method]) is not None
    ]
    columns = ["programme", "method", "label", "kind", "estimate", "low", "high"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"estimate": float, "low": float, "high": float})


def trend_points(study: Study) -> pd.DataFrame:
    """programme, window (0 is the programme's, -1 the one before), estimate, low, high of those that are drawn."""
    rows = [
        (found.name, window, estimate, low, high)
        for found in _compared(study)[:MOST_PANELS]
        if found.real is not None
        for window, estimate, low, high in zip(
            found.real.trend.periods,
            found.real.trend.estimates,
            found.real.trend.low,
            found.real.trend.high,
            strict=True,
        )
    ]
    return pd.DataFrame(rows, columns=["programme", "window", "estimate", "low", "high"])


def estimates(study: Study) -> dict[str, Any]:
    """Words of the estimates' figure, as keyword arguments of `report.figure`."""
    if not _compared(study):  # the table says why
        return {"alt": SILENT, "how_to_read": ""}
    return {
        "table": side_by_side(study)["frame"],
        "title": _("What each method says, and what it says when nothing happened"),
        "alt": _("Estimates per member of {names} by five methods, on its date and on earlier dates.").format(
            names=", ".join(style.plain(found.name) for found in _compared(study)[:MOST_PANELS])
        ),
        "how_to_read": _(
            "Not an effect. Filled: the programme's own window; open: dates when nothing happened, where every "
            "estimate ought to lie on zero. Bars: 95 % interval. A method whose open marks lie off zero, or methods "
            "that contradict each other, cannot say what the programme did."
        ),
    }


def trend(study: Study) -> dict[str, Any]:
    """Words of the pre-trend figure, as keyword arguments of `report.figure`."""
    if not _compared(study):
        return {"alt": SILENT, "how_to_read": ""}
    tested = [found for found in _compared(study)[:MOST_PANELS] if found.real is not None]
    points = trend_points(study)
    money = study.evaluation.currency
    table = pd.DataFrame(
        {
            _("Programme"): [style.plain(name) for name in points["programme"]],
            _("Window"): [terms.window(int(window)) for window in points["window"]],
            _("List less others, against the window before"): [style.money(v, money) for v in points["estimate"]],
            _("95 % interval"): [
                style.interval(low, high, "money", money)
                for low, high in zip(points["low"], points["high"], strict=True)
            ],
        }
    )
    said = "; ".join(
        _("{name}, windows of {days} days: {p}").format(
            name=style.escape(found.name), days=found.window_days + 1, p=style.p_value(found.real.trend.p_value)
        )
        for found in tested
        if found.real is not None
    )
    return {
        "table": table,
        "title": _("Did list and others move alike before?"),
        "alt": _("Difference between list and others by window before the programme and in it."),
        "how_to_read": _(
            "Difference in margin per member between list and others, less that of the window just before. Left of the "
            "line all points ought to lie on zero; where they do not, the two were not on the same path and the last "
            "point says nothing. Joint test of the windows before: {said}."
        ).format(said=said),
    }


def findings(study: Study) -> tuple[Finding, ...]:
    """One measure per comparison: the doubly robust estimate where every check passed, otherwise no value."""
    return tuple(_finding(found, study) for found in study.unrandomised)


def _finding(found: Comparison, study: Study) -> Finding:
    contrast = found.real.estimates["aipw"] if found.identified and found.real is not None else None
    return Finding(
        key=f"crm_roi.{found.key}.association",
        sentence=sentence(found, study),
        value=None if contrast is None else contrast.estimate,
        low=None if contrast is None else contrast.low,
        high=None if contrast is None else contrast.high,
        unit="money",
        basis=_("not causal: adjusted for what is known, AIPW 95 %")
        if contrast is not None
        else _("not causal: nothing identifies it"),
        n=None if contrast is None or _tells(found, study.evaluation) else found.real.n_listed,  # type: ignore[union-attr]
        tone="wait",
        label=_("Adjusted difference per member, {name}").format(name=found.name),
        definition=_(
            "Margin per member of the list in the window, less that of customers on no list who were as likely to be "
            "on it by what is known of them before. Stated only where trends before, dates when nothing happened, "
            "overlap and signs speak for it."
        ),
        filters=(
            _("customers known before the day, in no other programme while its window was open"),
            _("branches whose data cover the windows before and the window itself"),
        ),
        query=found.query,
    )


def sentence(found: Comparison, study: Study) -> str:
    """What was found about one programme, in one line, and why it is not causal."""
    name, evaluation = style.escape(found.name), study.evaluation
    if found.real is None or found.state != "compared":
        return {
            "short_history": _(
                "**{name}: not causal, and not even comparable**: the data do not reach back one window before it."
            ),
            "no_pool": _(
                "**{name}: not causal, and not even comparable**: too few people outside its list were known before it "
                "and in no programme meanwhile."
            ),
            "too_few": _(
                "**{name}: not causal, and not even comparable**: too few of its list were known before it and in no "
                "other programme meanwhile."
            ),
            "withheld": _(
                "**{name}: not causal**: too few of those compared paid, or one of them nearly all, so the amounts are "
                "withheld."
            ),
        }[found.state].format(name=name)
    stated = [contrast for code in ADJUSTED if (contrast := found.real.estimates[code]) is not None]
    ends = [contrast.estimate for contrast in stated]
    naive = found.real.estimates["naive"]
    assert naive is not None
    if not found.identified:
        return _(
            "**{name}: not causal, and nothing in the records identifies what it did**: {reasons}. The adjusted "
            "estimates run from {low} a member, the plain difference says {naive}; none of them is a result."
        ).format(
            name=name,
            reasons="; ".join(terms.reason(code, found) for code in found.failed),
            low=style.interval(min(ends), max(ends), "money", evaluation.currency),
            naive=style.money(naive.estimate, evaluation.currency),
        )
    contrast = found.real.estimates["aipw"]
    assert contrast is not None
    template = _(
        "**{name}: not causal.** Adjusted for what is known, no difference can be told between its members and others "
        "like them ({interval} a member): an association, since nobody was held out."
    )
    if contrast.excludes_zero:
        template = (
            _(
                "**{name}: not causal.** Adjusted for what is known, its members left {amount} more each than others "
                "like them ({interval}): an association, since nobody was held out."
            )
            if contrast.estimate > 0
            else _(
                "**{name}: not causal.** Adjusted for what is known, its members left {amount} less each than others "
                "like them ({interval}): an association, since nobody was held out."
            )
        )
    low, high = contrast.low, contrast.high
    if contrast.excludes_zero and contrast.estimate < 0 and low is not None and high is not None:
        low, high = -high, -low
    return template.format(
        name=name,
        amount=style.money(abs(contrast.estimate), evaluation.currency),
        interval=style.interval(low, high, "money", evaluation.currency),
    )


def _reading() -> str:
    return _(
        "Margin per member and window; in brackets: 95 % intervals; n: on the list, beside others known then and in no "
        "programme while the window was open. The columns on the right repeat everything on dates when nothing "
        "happened, where zero is the right answer. What would break even, the range of the controlled programmes and "
        "the hold-out that would settle it stand above, under programmes without control."
    )


def _cost_note(study: Study, evaluation: Evaluation) -> str:
    """What an identified association has to be held against."""
    parts = []
    for found in _compared(study):
        result = _result(found, evaluation)
        if found.identified and result is not None and result.uncontrolled is not None:
            cost = result.uncontrolled.cost_per_treated
            if cost is not None:
                parts.append(
                    _("{name} had to bring {cost} a member to break even.").format(
                        name=style.escape(found.name), cost=style.money(cost, evaluation.currency)
                    )
                )
    return " ".join(parts)


def _result(found: Comparison, evaluation: Evaluation) -> CampaignResult | None:
    return next((result for result in evaluation.closed if result.campaign_id == found.campaign_id), None)


def _compared(study: Study) -> list[Comparison]:
    return [found for found in study.unrandomised if found.state == "compared"]


def _occasions(found: Comparison) -> list[Occasion]:
    return [] if found.real is None else [found.real, *found.placebos]


def _estimate(occasion: Occasion | None, method: str, evaluation: Evaluation) -> str:
    contrast: Contrast | None = None if occasion is None else occasion.estimates[method]
    if contrast is None:
        return style.DASH
    return cells.amount(contrast.estimate, contrast.low, contrast.high, evaluation.currency)


def _listed(found: Comparison, evaluation: Evaluation) -> str:
    """Members compared; beside the members of the list their number must not tell how few were left out."""
    assert found.real is not None
    if privacy.small(found.real.left_out, evaluation.min_cell):
        return f"< {style.number(found.real.n_listed + found.real.left_out)}"
    return privacy.count(found.real.n_listed, evaluation.min_cell, parts=found.real.by_branch["listed"])


def _pool(found: Comparison, evaluation: Evaluation) -> str:
    assert found.real is not None
    return privacy.count(found.real.n_pool, evaluation.min_cell, parts=found.real.by_branch["pool"])


def _tells(found: Comparison, evaluation: Evaluation) -> bool:
    assert found.real is not None
    return privacy.small(found.real.left_out, evaluation.min_cell) or privacy.total_tells(
        found.real.by_branch["listed"], evaluation.min_cell
    )


def _hidden(found: Comparison) -> str | None:
    """How strong something unrecorded would have to be, beside what value before explains."""
    hidden = None if found.real is None else found.real.hidden
    if hidden is None:
        return None
    known = {
        "treatment": style.percent(hidden.benchmark_treatment),
        "outcome": style.percent(hidden.benchmark_outcome),
        "value": style.percent(hidden.robustness),
        "interval": style.percent(hidden.robustness_interval),
    }
    adjusted = found.real.estimates["ancova"] if found.real is not None else None
    if hidden.robustness_interval == 0 or adjusted is None or not adjusted.excludes_zero:
        return _(
            "the estimate adjusted for value before does not differ from zero; a trait that explains {value} of what "
            "is left of list and margin alike would bring it there. Value before explains {treatment} and {outcome}"
        ).format(**known)
    return _(
        "a trait that explains {value} of what is left of list and margin alike would bring the estimate adjusted for "
        "value before to zero, {interval} its interval. Value before explains {treatment} and {outcome}"
    ).format(**known)


def _found(item: Check, found: Comparison, study: Study) -> str:
    numbers = item.numbers
    if item.status == "untested":
        return _("the data do not reach back far enough to test it")
    assert found.real is not None
    match item.code:
        case "pretrend":
            return (
                _("{p}, one window against the one just before")
                if numbers["n"] == 1
                else _("{p}, {n} windows against the one just before")
            ).format(p=style.p_value(numbers["p"]), n=style.number(numbers["n"]))
        case "placebo":
            return (
                _("{n} of {of} adjusted estimates away from zero, on one date")
                if numbers["dates"] == 1
                else _("{n} of {of} adjusted estimates away from zero, on {dates} dates")
            ).format(n=style.number(numbers["n"]), of=style.number(numbers["of"]), dates=style.number(numbers["dates"]))
        case "overlap":
            if found.real.weighted.contrast is None:
                return _("what is known tells the list from everybody else: nobody is left to compare with")
            n = found.real.n_listed
            return _(
                "{share} of the list resemble nobody else; the others, weighted to look like it, are worth {n} people"
            ).format(
                share=style.share(round(numbers["outside"] * n), n, study.evaluation.min_cell, 0),
                n=style.number(numbers["effective"]),
            )
        case _:
            return (
                _("the adjusted estimates do not contradict each other")
                if item.status == "passed"
                else _("the adjusted estimates contradict each other")
            )
