"""Those left out of every programme beside everybody else, and beside the sum of the programmes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import captions, cells, words
from crm_analysis.crm_roi.holdout import Holdout
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["findings", "reconciliation", "reconciliation_table"]


def reconciliation(study: Study) -> dict[str, Any]:
    """The universal holdout beside the sum of the programmes; no table where the profile names none."""
    found = study.holdout
    if found is None:
        return {"frame": None}
    return captions.noted(
        study.evaluation,
        _("Does the sum of the programmes agree with those left out of all of them?"),
        reconciliation_table(study),
        _note(found),
    )


def _note(found: Holdout) -> str:
    note = _(
        "Everybody else less the universal holdout holds what all programmes did together, those without held-out "
        "members and the effect of one upon another included; the sum holds the controlled programmes that began and "
        "closed in that time. A difference beyond chance is worth a question before the next budget."
    )
    if found.complete or found.state != "measured":
        return note
    return note + " " + _("So far: the time of the holdout is not over.")


def reconciliation_table(study: Study) -> pd.DataFrame:
    """Lines from the holdout to the sum of programmes and what lies between them."""
    found, evaluation = study.holdout, study.evaluation
    if found is None:
        return pd.DataFrame()
    rows = [(_("From, to"), _span(found))]
    if found.state != "measured" or found.difference is None:
        rows.append((_("Result"), _state(found.state)))
        return pd.DataFrame(rows, columns=[_("Line"), _("Amount")])
    difference = found.difference
    together = _amount(found.total, found.total_low, found.total_high, evaluation)
    rows += [
        (
            _("Left out of every programme"),
            privacy.count(found.n_held_out, evaluation.min_cell, parts=_by_branch(found, "control")),
        ),
        (
            _("Everybody else"),
            privacy.count(found.n_everybody, evaluation.min_cell, parts=_by_branch(found, "treated")),
        ),
        (_("Left out, and treated all the same"), privacy.count(found.n_treated_anyway, evaluation.min_cell)),
        (_("Margin per person, everybody else less those left out"), cells.estimate(difference, "money", evaluation)),
        (_("The same for everybody else together"), together),
        (_("Margin gained by the measured programmes, summed"), _summed(found, evaluation)),
        (_("Difference of the two"), _amount(found.gap, found.gap_low, found.gap_high, evaluation)),
        (_("Result"), _agreement(found)),
    ]
    if found.unmeasured:
        names = ", ".join(style.plain(result.name) for result in found.unmeasured)
        rows.append((_("In the first but not in the sum"), names))
    return pd.DataFrame(rows, columns=[_("Line"), _("Amount")])


def _by_branch(found: Holdout, arm: str) -> list[int]:
    if found.gate is None:
        return []
    units = found.gate.units
    return [int(n) for n in units.loc[units["arm"] == arm, "branch"].value_counts()]


def _span(found: Holdout) -> str:
    if found.since is None or found.until is None:
        return style.DASH
    return _("{low} to {high}").format(low=style.day(found.since), high=style.day(found.until))


def _state(code: str) -> str:
    return _("has not begun") if code == "not_started" else words.state(code)


def _amount(value: float | None, low: float | None, high: float | None, evaluation: Evaluation) -> str:
    return cells.amount(value, low, high, evaluation.currency)


def _summed(found: Holdout, evaluation: Evaluation) -> str:
    total = found.sum_of_campaigns
    if total is None:
        return _("none")
    return _amount(total.incremental_margin, total.margin_low, total.margin_high, evaluation)


def _agreement(found: Holdout) -> str:
    if found.gap_low is None or found.gap_high is None:
        return style.DASH
    if found.gap_low > 0:
        return _("more than the programmes add up to")
    return _("less than the programmes add up to") if found.gap_high < 0 else _("they agree within chance")


def findings(study: Study) -> tuple[Finding, ...]:
    """What all programmes together changed, by those left out of all of them."""
    found, evaluation = study.holdout, study.evaluation
    if found is None or found.difference is None or found.total is None:
        return ()
    tells = any(privacy.total_tells(_by_branch(found, arm), evaluation.min_cell) for arm in ("treated", "control"))
    return (
        Finding(
            key="crm_roi.holdout",
            sentence="",
            value=found.total,
            low=found.total_low,
            high=found.total_high,
            unit="money",
            basis=_("universal holdout, Welch 95 %"),
            n=None if tells else found.n_everybody + found.n_held_out,
            causal=True,
            label=_("Margin of all programmes, by the universal holdout"),
            definition=_(
                "Everybody else x (their mean margin less that of those left out of every programme), from the day of "
                "assignment on; assumes that those left out were drawn at random."
            ),
        ),
    )
