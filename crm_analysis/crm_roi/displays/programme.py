"""The programme as a whole: its running total with systems included, and what changed alongside."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi import cells, words
from crm_analysis.crm_roi.amounts import Amount
from crm_analysis.crm_roi.displays import intervals
from crm_analysis.crm_roi.programme import Programme
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["alongside", "curve", "figure", "findings"]


def curve(study: Study) -> pd.DataFrame:
    """month (a date), total, low, high of the whole programme; empty on a branch's page."""
    found = study.finance.programme
    columns = ["month", "total", "low", "high"]
    return pd.DataFrame(columns=columns) if found is None else found.curve[columns]


def figure(study: Study) -> dict[str, Any]:
    """The running total of the whole programme, as keyword arguments of `report.figure`."""
    evaluation, found = study.evaluation, study.finance.programme
    if evaluation.without_tables:
        alt = " "
    elif found is None:
        alt = (
            _("Software, integration and data serve all branches: whether the whole has paid is on the page of all.")
            if evaluation.branch != "all"
            else _("Whether the whole has paid cannot be said: no programme has a return, or there is no cost ledger.")
        )
    else:
        alt = sentence(found, evaluation.currency).replace("**", "")
    return {
        "table": _table(study),
        "title": _("Has the whole paid, systems included?"),
        "alt": alt,
        "how_to_read": ("" if found is None else sentence(found, evaluation.currency) + " ")
        + _(
            "All controlled programmes so far and the software, integration, data and training they share, as they "
            "were paid, by month. Band: 95 % interval, clustered by person. Margin after a programme's window is not "
            "counted."
        ),
    }


def sentence(found: Programme, currency: str) -> str:
    """Whether the whole has paid so far."""
    said = {
        "who": _("All controlled programmes so far, their systems included")
        if found.shared
        else _("All controlled programmes so far (no shared systems stand in the ledger)"),
        "signed": intervals.amount(found.net, "money", currency),
        "net": style.money(abs(found.net.value), currency),
        "interval": intervals.interval(found.net, "money", currency),
        "months": _("1 month") if len(found.curve) == 1 else _("{n} months").format(n=style.number(len(found.curve))),
        "chance": cells.chance(found.chance),
        "paid": intervals.months(found.payback_months),
    }
    if found.net.low is None or found.net.high is None or found.net.low <= 0 <= found.net.high:
        return _(
            "{who}: whether they have paid back after {months} **is not settled**, net {signed}; chance that they "
            "have: {chance}."
        ).format(**said)
    if _paid_back(found):
        return _("**{who}: paid back after {paid}, {net} ahead after {months}** (net {interval}).").format(**said)
    return _(
        "**{who}: not paid back after {months}, {net} short** (net {interval}); chance that they have: {chance}."
    ).format(**said)


def _paid_back(found: Programme) -> bool:
    """Whether the interval of the net says that it has."""
    return found.net.low is not None and found.net.low > 0


def _table(study: Study) -> pd.DataFrame:
    found, currency = study.finance.programme, study.evaluation.currency
    if found is None:
        return pd.DataFrame()
    rows = [
        (
            (
                _("margin gained by the one controlled programme")
                if found.n_campaigns == 1
                else _("margin gained by {n} controlled programmes")
            ).format(n=found.n_campaigns),
            style.money(found.margin, currency),
        ),
        (_("what they cost"), style.money(-found.campaigns, currency)),
    ]
    ordered = sorted(found.by_category.items(), key=lambda item: -item[1])
    rows += [(words.category(code), style.money(-amount, currency)) for code, amount in ordered]
    rows += [
        (_("net so far"), intervals.amount(found.net, "money", currency)),
        (
            _("present value at {rate} a year").format(rate=style.percent(found.rate_annual, 0)),
            intervals.amount(found.present, "money", currency),
        ),
        (_("paid back after"), intervals.months(found.payback_months) if _paid_back(found) else style.DASH),
        (_("chance that it is paid back so far"), cells.chance(found.chance)),
        (_("not in it: programmes whose gain nobody knows cost"), style.money(found.unjudged, currency)),
    ]
    return pd.DataFrame(rows, columns=[_("Step"), _("Amount")])


def alongside(study: Study) -> dict[str, Any]:
    """Satisfaction, sales cycle and productivity before and after, as keyword arguments of `report.table`."""
    names = {
        "satisfaction": _("Satisfaction, mean answer"),
        "sales_cycle": _("Days from first interest to first purchase"),
        "productivity": _("Paid per unit of staff cost, by month"),
    }
    tables = {"survey_responses": "survey_responses", "prospects": "prospects", "costs": "costs"}
    rows = []
    for each in study.finance.alongside:
        if each.found is None:
            said = (
                _("needs the table “{table}”").format(table=tables[each.missing])
                if each.missing in tables
                else _("too few before or after")
            )
            rows.append((names[each.measure], style.DASH, style.DASH, said, style.DASH))
            continue
        found = each.found
        change = Amount(found.difference, found.low, found.high)
        rows.append(
            (
                names[each.measure],
                style.number(found.mean_control, 2),
                style.number(found.mean_treated, 2),
                intervals.amount(change, "ratio"),
                _("{before} and {after}").format(
                    before=style.number(found.n_control), after=style.number(found.n_treated)
                ),
            )
        )
    columns = [_("Measure"), _("Year before the first programme"), _("Latest year"), _("Change"), _("n")]
    return intervals.noted(
        study.evaluation,
        _("What changed alongside: not causal"),
        pd.DataFrame(rows, columns=columns),
        _(
            "Nobody was held out of the years. Prices, staff, projects and the times changed too: none of this may be "
            "credited to the programmes. On a branch's page staff cost counts only where the ledger names the branch."
        ),
        _("There is no programme yet before and after which anything could be compared."),
    )


def findings(study: Study) -> list[Finding]:
    """The net of the whole programme."""
    found = study.finance.programme
    if found is None:
        return []
    return [
        intervals.finding(
            study.evaluation,
            "programme_net",
            found.net,
            label=_("Net of all programmes so far, systems included"),
            sentence=sentence(found, study.evaluation.currency),
            basis=_("randomised, clustered by person, 95 %; chance: flat prior, normal"),
            causal=True,
            definition=_(
                "Margin gained by all controlled programmes so far, less their costs and the software, integration, "
                "data and training that they share."
            ),
        )
    ]
