"""Lines below findings and pages: what a finding rests on, what to do, how the rows foot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.findings import Action, Finding, to_json
from crm_analysis.language import _


def support_line(finding: Finding | Mapping[str, Any], currency: str, *, min_cell: int) -> str:
    """Interval, count and basis of a finding, in brackets: what the sentence rests on."""
    get = finding.get if isinstance(finding, Mapping) else lambda name: getattr(finding, name)
    parts = []
    if not (style.undefined(get("low")) and style.undefined(get("high"))):
        between = style.interval(get("low"), get("high"), str(get("unit")), currency)
        if get("unit") == "points":
            between = _("{points} points").format(points=between)
        elif get("unit") == "ratio":  # the sentence is in money, with an interval of its own
            between = _("ROI {interval}").format(interval=between)
        parts.append(between)
    if (n := get("n")) is not None:
        parts.append(f"n{style.SPACE}{privacy.count(n, min_cell)}")
    if get("basis"):
        parts.append(str(get("basis")).replace(" %", f"{style.SPACE}%"))
    return f"({'; '.join(parts)})" if parts else ""


def actions_html(actions: tuple[Action, ...] | list[Mapping[str, Any]], currency: str) -> str:
    """The table of things to do: action, who, expected a year with interval where one is stated, resting on."""
    rows = []
    told = [action.get("value") if isinstance(action, Mapping) else action.value for action in actions]
    valued = any(not style.undefined(value) for value in told)
    for action in actions:
        get = action.get if isinstance(action, Mapping) else lambda name, action=action: getattr(action, name)
        expected = style.DASH if style.undefined(get("value")) else style.money(get("value"), currency)
        if not style.undefined(get("low")) and not style.undefined(get("high")):
            expected += f' <span class="ci">({style.interval(get("low"), get("high"), "money", currency)})</span>'
        cells = [style.inline_html(str(get("text"))), style.inline_html(get("owner") or style.DASH), expected]
        rows.append(
            f"<tr><td>{cells[0]}</td><td>{cells[1]}</td>"
            + (f'<td class="n">{cells[2]}</td>' if valued else "")
            + f"<td>{style.inline_html(get('resting_on') or style.DASH)}</td></tr>"
        )
    head = (
        f"<th>{_('Action')}</th><th>{_('Who')}</th>"
        + (f'<th class="n">{_("Expected a year")}</th>' if valued else "")
        + f"<th>{_('Resting on')}</th>"
    )
    return f'<div class="crm-table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def footing_rows(footing: pd.DataFrame) -> list[dict[str, Any]]:
    """The footing of a scope as plain JSON rows."""
    return [to_json(dict(row)) for row in footing.to_dict("records")]


def rule_in_short(rule: str) -> str:
    """A rule of transactions in a few words; a rule of the organisation's own by its identifier."""
    known = {
        "amount_missing": _("no amount"),
        "amount_negative": _("negative amount"),
        "branch_missing": _("no branch"),
        "duplicate_key": _("duplicate number"),
        "exact_duplicate": _("exact duplicate"),
        "kind_missing": _("no kind"),
        "kind_unknown": _("unknown kind"),
        "occurred_at_future": _("dated in the future"),
        "occurred_at_missing": _("no date"),
        "occurred_at_too_old": _("dated too early"),
        "refund_without_sale": _("refund without sale"),
        "transaction_id_missing": _("no number"),
    }
    name = rule.removeprefix("transactions_")
    return known.get(name, name.replace("_", " "))


def footing_line(bundle: Mapping[str, Any], currency: str) -> str:
    """The short footing at the foot of every page: from the transaction rows in the files to the rows used, and the
    amount against the finance office's where it stated one.
    """
    transactions = [row for row in bundle["footing"] if row["table"] == "transactions"]

    def total(step: str, field: str) -> float:
        return sum(row[field] or 0 for row in transactions if row["step"] == step)

    in_files, aside = total("in files", "rows"), total("set aside", "rows")
    withheld = any(row["step"] == "used" and style.undefined(row["amount"]) for row in transactions)
    why = ", ".join(
        f"{style.escape(rule_in_short(row['rule']))} {style.number(row['rows'])}"
        for row in transactions
        if row["step"] == "set aside" and row["rows"]
    )
    line = _(
        "Transaction rows in the files {files} → set aside {aside} ({share}{why}) → anonymous {anonymous} → "
        "used {used}; amount used {amount}."
    ).format(
        files=style.number(in_files),
        aside=style.number(aside),
        share=style.percent(aside / in_files if in_files else None, 2),
        why=f": {why}" if why else "",
        anonymous=style.number(total("anonymous", "rows")),
        used=style.number(total("used", "rows")),
        amount=_("withheld") if withheld else style.money(total("used", "amount"), currency),
    )
    control = bundle.get("control")
    if control and control["amount_stated"]:
        said = _("Accepted rows {ours}, finance office {theirs} over the months it stated: difference {share}.")
        line += " " + said.format(
            ours=style.money(control["amount"], currency),
            theirs=style.money(control["amount_stated"], currency),
            share=style.percent(abs(control["amount"] / control["amount_stated"] - 1), 2),
        )
    others = sum(
        row["rows"] or 0 for row in bundle["footing"] if row["step"] == "set aside" and row["table"] != "transactions"
    )
    if others:
        line += " " + _("Rows set aside in other tables: {rows}.").format(rows=style.number(others))
    return line
