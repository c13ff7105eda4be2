"""The gate's checks and what each found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import words
from crm_analysis.crm_roi.captions import noted
from crm_analysis.crm_roi.gate import Check
from crm_analysis.crm_roi.results import CampaignResult, Evaluation
from crm_analysis.language import _

__all__ = ["checks", "gate_table"]


def checks(evaluation: Evaluation) -> dict[str, Any]:
    """Every check of every closed programme, as keyword arguments of `report.table`."""
    return noted(
        evaluation,
        _("The gate: may the arms be compared?"),
        gate_table(evaluation),
        _("Noted: counted, and the result stands. Failed: no return is stated."),
    )


def gate_table(evaluation: Evaluation) -> pd.DataFrame:
    """Every check of every closed campaign, with what it found."""
    rows = [
        {
            _("Programme"): style.plain(result.name),
            _("Check"): words.check(item.code),
            _("Result"): words.check_status(item.status),
            _("Found"): _found(item, result, evaluation),
        }
        for result in evaluation.closed
        for item in result.gate.checks
    ]
    return pd.DataFrame(rows)


def _found(item: Check, result: CampaignResult, evaluation: Evaluation) -> str:
    numbers = item.numbers
    if numbers.get("n") == 0 and item.code != "zeros":
        return _("none")
    treated, control = (_members(item, arm, result, evaluation) for arm in ("treated", "control"))
    match item.code:
        case "one_row":
            return _("{n} assigned more than once, counted once").format(
                n=privacy.count(int(numbers["n"]), evaluation.min_cell)
            )
        case "both_arms":
            return _("{n} left out of both arms").format(n=privacy.count(int(numbers["n"]), evaluation.min_cell))
        case "early_response":
            return _("{n} responses dated before, not used").format(
                n=privacy.count(int(numbers["n"]), evaluation.min_cell)
            )
        case "sample_ratio":
            return _("{treated} to {control}, planned {share} treated, {p}").format(
                treated=treated,
                control=control,
                share=style.percent(numbers["planned"], 0),
                p=style.p_value(numbers["p"]),
            )
        case "unit":
            return _("{n} of {of} members without one, each taken for one of its own").format(
                n=privacy.count(int(numbers["n"]), evaluation.min_cell),
                of=privacy.count(int(numbers["of"]), evaluation.min_cell),
            )
        case "zeros":
            return _("{share} of members paid nothing and count as zero; nobody's outcome is missing").format(
                share=style.share(numbers["n"], numbers["of"], evaluation.min_cell, 0)
            )
        case "contamination":
            return _("{n} held-out members were contacted all the same: the effect shown is too small").format(
                n=privacy.count(int(numbers["n"]), evaluation.min_cell)
            )
        case "sample_ratio_arms":
            return _("{n} arms and their control group at once, {p}").format(
                n=int(numbers["arms"]), p=style.p_value(numbers["p"])
            )
        case "strata" if "unplanned" in numbers:
            n = int(numbers["unplanned"] + numbers["empty"])
            return (
                _("one stratum without a planned share or with one arm only")
                if n == 1
                else _("{n} strata without a planned share or with one arm only")
            ).format(n=n)
        case "strata":
            low, high = (style.percent(numbers[end], 0) for end in ("low", "high"))
            if low == high:
                return _("treated: {share} of every stratum, {p}").format(share=low, p=style.p_value(numbers["p"]))
            return _("treated from {low} to {high} of a stratum, {p}").format(
                low=low, high=high, p=style.p_value(numbers["p"])
            )
        case "follow_up":
            return _("left out as not measurable: {treated} treated, {control} held out").format(
                treated=treated, control=control
            )
        case "size":
            return _("{treated} treated, {control} held out").format(treated=treated, control=control)
        case "balance_value":
            return _("{treated} and {control} a year before, {p}").format(
                treated=_value_before("treated", numbers, result, evaluation),
                control=_value_before("control", numbers, result, evaluation),
                p=style.p_value(numbers["p"]),
            )
        case "balance_tenure":
            return _("{treated} and {control} days, {p}").format(
                treated=style.number(numbers["treated"]),
                control=style.number(numbers["control"]),
                p=style.p_value(numbers["p"]),
            )
        case _:
            return _("{n} of {of} members were treated by another one meanwhile").format(
                n=privacy.count(int(numbers["n"]), evaluation.min_cell),
                of=privacy.count(int(numbers["of"]), evaluation.min_cell),
            )


def _members(item: Check, arm: str, result: CampaignResult, evaluation: Evaluation) -> str:
    """The members of an arm that a check counts; those assigned do not tell how few could not be followed."""
    if item.code not in ("sample_ratio", "follow_up", "size"):
        return ""
    n = int(item.numbers[arm])
    if item.code != "sample_ratio":
        return privacy.count(n, evaluation.min_cell)
    lost = next((int(check.numbers[arm]) for check in result.gate.checks if check.code == "follow_up"), 0)
    return privacy.count(n, evaluation.min_cell, parts=(n - lost, lost))


def _value_before(arm: str, numbers: Mapping[str, float], result: CampaignResult, evaluation: Evaluation) -> str:
    units = result.gate.units
    rule = evaluation.min_cell, evaluation.dominance_share
    if privacy.withhold(units.loc[units["arm"] == arm, "margin_before"], *rule):
        return _("withheld")
    return style.money(numbers[arm], evaluation.currency)
