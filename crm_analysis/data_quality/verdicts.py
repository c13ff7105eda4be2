"""The verdict: what the data can and cannot be used for, one template per kind of reservation."""

from __future__ import annotations

from collections.abc import Callable

from crm_analysis import style
from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.judgement import little_known
from crm_analysis.data_quality.wording import (
    attitude_name,
    branch_name,
    listed,
    money,
    month_name,
    rounded,
    small_percent,
    variable_name,
    vocabulary,
)
from crm_analysis.language import _


def verdict(assessment: Assessment, held: tuple[str, ...]) -> str:
    """What the data can and cannot be used for: one sentence for the gravest reservation, one for what else counts."""
    if not held:
        card = assessment.state.scorecard
        return _(
            "**Usable for everything in this book**: {share} of {cells} checks passed, and no reservation is needed."
        ).format(
            share=style.percent(1 - card.cells_failed / card.cells_checked if card.cells_checked else None, 2),
            cells=style.number(card.cells_checked),
        )
    parts = [_VERDICTS[held[0]](assessment)]
    if held[0] == "silent" and "totals" in held:
        parts.append(_totals_clause(assessment))
    if further := held[len(parts) :]:
        parts.append(_("Further reservations: {kinds}.").format(kinds=listed([_in_short()[kind] for kind in further])))
    return " ".join(parts)


def _in_short() -> dict[str, str]:
    return {
        "silent": _("data that ended before the period did"),
        "totals": _("amounts that do not agree with the finance office"),
        "anonymous": _("lines that name nobody"),
        "set_aside": _("lines set aside"),
        "duplicates": _("the same person under several numbers"),
        "attitude": _("attitudes known of few"),
        "stale": _("old contact data"),
        "drift": _("a mix that changed"),
    }


def _silent_verdict(assessment: Assessment) -> str:
    silences = assessment.state.reporting.silences
    first, period = silences[0], style.period(str(assessment.scope.period))
    if assessment.scope.branch != ALL or len(assessment.scope.coverage) == 1:
        return _(
            "**Not usable after {day}: nothing has been delivered since**, {missing} of the {days} days of {period}. "
            "Up to that day the data can be used: changes are of the days covered, and nobody counts as lost since."
        ).format(
            day=style.day(first.last_covered_day),
            missing=first.days_missing,
            days=assessment.scope.period.days,
            period=period,
        )
    if len(silences) > 1:
        return _(
            "**Branches cannot be compared for {period}: {n} of {branches} stopped reporting before its end.** "
            "Figures of the others can be used."
        ).format(period=period, n=len(silences), branches=len(assessment.scope.coverage))
    return _(
        "**Usable, but {branch} cannot be compared for {period}: it reported nothing after {day}.** "
        "Its figures end there; those of the other {others} branches can be used."
    ).format(
        branch=branch_name(assessment, first.branch),
        period=period,
        day=style.day(first.last_covered_day),
        others=len(assessment.scope.coverage) - 1,
    )


def _totals_verdict(assessment: Assessment) -> str:
    off = assessment.state.footing.mismatches
    worst = off.iloc[0]
    if len(off) > 1:
        return _(
            "**Usable, but not for amounts: {n} of {months} monthly totals do not agree with the finance office.** "
            "The largest gap is {amount}, in {month}."
        ).format(
            n=len(off),
            months=len(assessment.state.footing.totals),
            month=month_name(worst["month"]),
            amount=money(assessment, abs(worst["difference"])),
        )
    template = (
        _(
            "**Usable, but not for the amounts of {month} ({branch}): the files hold {amount} less than the finance "
            "office "
            "counted**, {share} of its total."
        )
        if worst["difference"] < 0
        else _(
            "**Usable, but not for the amounts of {month} ({branch}): the files hold {amount} more than the finance "
            "office "
            "counted**, {share} of its total."
        )
    )
    return template.format(
        month=month_name(worst["month"]),
        branch=branch_name(assessment, worst["branch"]),
        amount=money(assessment, abs(worst["difference"])),
        share=style.percent(abs(worst["share"])),
    )


def _totals_clause(assessment: Assessment) -> str:
    worst = assessment.state.footing.mismatches.iloc[0]
    return _("The amounts of {month} ({branch}) do not agree with the finance office: the gap is {amount}.").format(
        month=month_name(worst["month"]),
        branch=branch_name(assessment, worst["branch"]),
        amount=money(assessment, abs(worst["difference"])),
    )


def _set_aside_verdict(assessment: Assessment) -> str:
    foot = assessment.state.footing
    return _(
        "**Usable without {rows} lines ({share}) that had to be set aside**; what they hold, {amount}, is in no "
        "figure of this book."
    ).format(
        rows=style.number(foot.rows_set_aside),
        share=small_percent(foot.set_aside_share),
        amount=money(assessment, foot.amount_set_aside),
    )


def _anonymous_verdict(assessment: Assessment) -> str:
    facts = assessment.state.facts
    return _(
        "**Usable for turnover, only in part for {customers}: {share} of the lines name none.** Their amounts "
        "are in the totals and in nothing that is counted per head."
    ).format(customers=vocabulary(assessment).customers, share=style.percent(facts.without_customer / facts.lines))


def _duplicates_verdict(assessment: Assessment) -> str:
    return _(
        "**Usable, but {customers} are counted too often: {share} of the numbers belong to somebody who already has "
        "one.** Sums hold; averages and counts per head are off by as much."
    ).format(customers=vocabulary(assessment).customers, share=_surplus(assessment))


def _surplus(assessment: Assessment) -> str:
    persons = assessment.state.persons
    assert persons is not None
    return style.share(persons.n_surplus, persons.n_customers, assessment.scope.profile.privacy.min_cell)


def _attitude_verdict(assessment: Assessment) -> str:
    table = assessment.state.attitudes.set_index("field")
    few = little_known(assessment)
    worst = table.loc[list(few), "share_recent"].idxmin()
    cell = assessment.scope.profile.privacy.min_cell
    return _(
        "**Usable for payments, not for segments by {fields}**: of the {customers} who paid in the last year, {share} "
        "have {worst} on record."
    ).format(
        fields=listed([attitude_name(name) for name in few]),
        worst=attitude_name(str(worst)),
        share=style.share(table.loc[worst, "filled_recent"], table.loc[worst, "n_recent"], cell, 0),
        customers=vocabulary(assessment).customers,
    )


def _stale_verdict(assessment: Assessment) -> str:
    contacts = assessment.state.contacts
    assert contacts is not None
    return _(
        "**Usable for analysis, not for a mailing as it is: {share} of the contact data were last confirmed more than "
        "{days} days ago.** About {dead} of {n} no longer reach anybody."
    ).format(
        share=style.share(contacts.n_stale, contacts.n_dated, assessment.scope.profile.privacy.min_cell, 0),
        days=contacts.limit_days,
        dead=style.number(rounded(contacts.expected_dead)),
        n=style.number(contacts.n_dated),
    )


def _drift_verdict(assessment: Assessment) -> str:
    moved = assessment.mix.beyond_noise[0]
    return _(
        "**Usable; one thing changed that is not noise: the mix by {variable}.** Compare with earlier periods only "
        "within its groups."
    ).format(variable=variable_name(moved.variable))


_VERDICTS: dict[str, Callable[[Assessment], str]] = {
    "silent": _silent_verdict,
    "totals": _totals_verdict,
    "set_aside": _set_aside_verdict,
    "anonymous": _anonymous_verdict,
    "duplicates": _duplicates_verdict,
    "attitude": _attitude_verdict,
    "stale": _stale_verdict,
    "drift": _drift_verdict,
}
