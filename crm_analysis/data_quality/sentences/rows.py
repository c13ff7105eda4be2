"""Rows that came, did not come, or were set aside: findings about what the files hold."""

from __future__ import annotations

from crm_analysis import style
from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.data_quality.sentences.making import change, finding
from crm_analysis.data_quality.wording import (
    branch_name,
    listed,
    money,
    month_name,
    rounded,
    small_percent,
    vocabulary,
)
from crm_analysis.findings import Finding
from crm_analysis.language import _
from crm_analysis.report import rule_in_short


def silent(assessment: Assessment) -> Finding | None:
    silences = assessment.state.reporting.silences
    if not silences:
        return None
    worst = max(silences, key=lambda found: found.amount_missing)
    amount = sum(found.amount_missing for found in silences)
    rows = sum(found.rows_missing for found in silences)
    names = listed([branch_name(assessment, found.branch) for found in silences[:3]])
    if len(silences) > 1:
        sentence = _(
            "**{n} branches stopped reporting, among them {names}.** By their own last six months about {rows} "
            "lines worth {amount} are missing. Each branch's figures end at its last covered day."
        ).format(n=len(silences), names=names, rows=style.number(rounded(rows)), amount=money(assessment, amount))
    elif not round(rows):
        sentence = _(
            "**{branch} delivered nothing after {day}.** Every chapter ends its figures there and calls nobody lost."
        ).format(branch=names, day=style.day(worst.last_covered_day))
    else:
        sentence = _(
            "**{branch} delivered nothing after {day}.** By its own last six months about {rows} lines worth "
            "{amount} are missing. Every chapter ends its figures there and calls nobody lost."
        ).format(
            branch=names,
            day=style.day(worst.last_covered_day),
            rows=style.number(rounded(rows)),
            amount=money(assessment, amount),
        )
    return finding(
        assessment,
        "silent_branches",
        sentence,
        value=worst.days_missing,
        unit="days",
        tone="bad",
        n=None,
        basis=_("counted; what is missing is an expectation"),
        stake=amount,
        label=_("Days without delivery"),
        query="days",
        definition="Days between a branch's last covered day and the period's end. Last covered day: from control "
        "totals or the profile, else the last day with a row before a silence unlike the branch's own rhythm.",
        filters=("raw transactions by branch", f"up to {assessment.scope.as_of}"),
    )


def totals(assessment: Assessment) -> Finding | None:
    foot = assessment.state.footing
    if foot.totals.empty:
        return None
    tolerance = style.percent(assessment.scope.profile.quality.control_total_tolerance)
    off = foot.mismatches
    gap = float(foot.totals["difference"].sum(min_count=1))
    if off.empty:
        sentence = _("All {n} monthly totals of the finance office agree within {tolerance}.").format(
            n=len(foot.totals), tolerance=tolerance
        )
    elif len(off) == 1:
        worst = off.iloc[0]
        sentence = _(
            "**{branch}, {month}: the files hold {ours}, the finance office counted {theirs}**, a difference of "
            "{gap} ({share}); lines {rows} against {rows_finance}. The other {agree} monthly totals agree within "
            "{tolerance}."
        ).format(
            branch=branch_name(assessment, worst["branch"]),
            month=month_name(worst["month"]),
            ours=money(assessment, worst["amount_used"]),
            theirs=money(assessment, worst["amount_finance"]),
            gap=money(assessment, abs(worst["difference"])),
            share=style.percent(abs(worst["share"])),
            rows=style.number(worst["rows_used"]),
            rows_finance=style.number(worst["rows_finance"]),
            agree=len(foot.totals) - 1,
            tolerance=tolerance,
        )
    else:
        worst = off.iloc[0]
        sentence = _(
            "**{n} of {months} monthly totals differ from the finance office's by more than {tolerance}**; the "
            "largest gap is {gap} ({branch}, {month})."
        ).format(
            n=len(off),
            months=len(foot.totals),
            tolerance=tolerance,
            gap=money(assessment, abs(worst["difference"])),
            branch=branch_name(assessment, worst["branch"]),
            month=month_name(worst["month"]),
        )
    return finding(
        assessment,
        "control_totals",
        sentence,
        value=gap,
        unit="money",
        n=len(foot.totals),
        tone="good" if off.empty else "bad",
        basis=_("counted, not estimated"),
        stake=float(off["difference"].abs().sum()),
        label=_("Gap to the finance office"),
        query="months",
        definition="Sum over branch-months of accepted net amount less the finance office's total; months not yet "
        "delivered in full are left out.",
        filters=("accepted transactions, refunds negative", f"tolerance {tolerance}"),
    )


def set_aside(assessment: Assessment) -> Finding | None:
    foot = assessment.state.footing
    if foot.set_aside_share is None:
        return None
    if foot.rows_set_aside == 0:
        sentence = _("No line had to be set aside.")
    else:
        top = foot.by_rule.iloc[0] if len(foot.by_rule) else None
        sentence = (
            _("**{rows} of {lines} lines ({share}) are set aside**; the commonest reason ({top} of them): {why}.")
            if style.undefined(foot.amount_set_aside)
            else _(
                "**{rows} of {lines} lines ({share}) are set aside** (amount: {amount}); the commonest reason ({top} "
                "of them): {why}."
            )
        ).format(
            rows=style.number(foot.rows_set_aside),
            lines=style.number(foot.rows_in_files),
            share=small_percent(foot.set_aside_share),
            amount=money(assessment, foot.amount_set_aside),
            top=style.number(top["rows"] if top is not None else None),
            why=style.escape(rule_in_short(str(top["rule"]))) if top is not None else style.DASH,
        )
    before = assessment.previous.rate("set_aside") if assessment.previous else None
    return finding(
        assessment,
        "set_aside_share",
        sentence,
        value=foot.set_aside_share,
        unit="share",
        n=foot.rows_in_files,
        tone="neutral" if foot.rows_set_aside else "good",
        basis=_("counted, not estimated"),
        stake=0.0 if style.undefined(foot.amount_set_aside) else abs(foot.amount_set_aside),
        label=_("Lines set aside"),
        compare=True,
        query="rules",
        change=change(foot.set_aside_share, before),
        definition="Raw transaction lines with at least one critical breach of the contract, over all raw lines. A "
        "line "
        "with several breaches counts once, under its first rule.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"),
    )


def anonymous(assessment: Assessment) -> Finding | None:
    facts, foot = assessment.state.facts, assessment.state.footing
    if not facts.without_customer:
        return None
    share = facts.without_customer / facts.lines
    sentence = (
        _("**{n} of {lines} lines ({share}) name no {customer}.** They are in the totals, in nothing per head.")
        if style.undefined(foot.amount_anonymous)
        else _(
            "**{n} of {lines} lines ({share}) name no {customer}.** After set-aside they hold {amount}: in the totals, "
            "in nothing per head."
        )
    ).format(
        n=style.number(facts.without_customer),
        lines=style.number(facts.lines),
        share=style.percent(share),
        customer=vocabulary(assessment).customer,
        amount=money(assessment, foot.amount_anonymous),
    )
    before = assessment.previous.rate("anonymous") if assessment.previous else None
    return finding(
        assessment,
        "anonymous_share",
        sentence,
        value=share,
        unit="share",
        n=facts.lines,
        tone="wait",
        basis=_("counted, not estimated"),
        label=_("Lines without {customer}").format(customer=vocabulary(assessment).customer),
        query="lines",
        change=change(share, before),
        definition="Raw transaction lines whose customer_id is empty, over all raw lines, before anything is set "
        "aside.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"),
    )


def lines(assessment: Assessment) -> Finding:
    facts = assessment.state.facts
    sentence = _(
        "The files hold **{lines} lines: {anonymous} without {customer}, {refunds} refunds or cancellations, "
        "{copies} exact duplicates**, before anything is set aside."
    ).format(
        lines=style.number(facts.lines),
        anonymous=style.number(facts.without_customer),
        customer=vocabulary(assessment).customer,
        refunds=style.number(facts.refunds),
        copies=style.number(facts.copies),
    )
    return finding(
        assessment,
        "lines",
        sentence,
        value=facts.lines,
        unit="count",
        n=facts.lines,
        tone="neutral",
        basis=_("counted, not estimated"),
        label=_("Lines in the files"),
        query="lines",
        definition="Raw transaction lines of the whole history up to the state's day. Without customer: customer_id "
        "empty. "
        "Refunds: kind refund. Exact duplicates: lines that repeat an earlier one in every column the source "
        "gave.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"),
    )
