"""The chapter's claims: every finding a template beside its number, with definition, filters and query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crm_analysis import privacy, style
from crm_analysis.data_quality.actions import actions, unknowns
from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.completeness import EVERY
from crm_analysis.data_quality.judgement import LIMITS, little_known, mix_is_judged, reservations
from crm_analysis.data_quality.verdicts import verdict
from crm_analysis.data_quality.wording import (
    attitude_name,
    branch_name,
    capital,
    category_name,
    counted,
    listed,
    money,
    month_name,
    people,
    rounded,
    share_of,
    small_percent,
    variable_name,
    vocabulary,
)
from crm_analysis.estimators.proportions import two_proportions, wilson
from crm_analysis.findings import MOST_FINDINGS, Change, Claims, Finding
from crm_analysis.language import _
from crm_analysis.report import rule_in_short

CHAPTER = "data_quality"


def claims(assessment: Assessment) -> Claims:
    """Verdict, at most five findings (reservations first), actions with owner, unknowns, and further measures."""
    held = reservations(assessment)
    built: dict[str, Finding] = {}
    for kind, build in _FINDINGS.items():
        found = build(assessment)
        if found is not None:
            built[kind] = found
    rest = [kind for kind in _FINDINGS if kind not in held]
    if assessment.state.rate("surplus"):
        rest.sort(key=lambda kind: kind != "duplicates")
    order = [kind for kind in (*held, *rest) if kind in built]
    shown = [kind for kind in order if kind != "score"][:MOST_FINDINGS]
    return Claims(
        verdict=verdict(assessment, held),
        findings=tuple(built[kind] for kind in shown),
        actions=actions(assessment, held),
        unknowns=unknowns(assessment),
        measures=tuple(built[kind] for kind in order if kind not in shown),
    )


def _silent(assessment: Assessment) -> Finding | None:
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
    return _finding(
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


def _totals(assessment: Assessment) -> Finding | None:
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
    return _finding(
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


def _set_aside(assessment: Assessment) -> Finding | None:
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
    return _finding(
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
        change=_change(foot.set_aside_share, before),
        definition="Raw transaction lines with at least one critical breach of the contract, over all raw lines. A "
        "line "
        "with several breaches counts once, under its first rule.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"),
    )


def _anonymous(assessment: Assessment) -> Finding | None:
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
    return _finding(
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
        change=_change(share, before),
        definition="Raw transaction lines whose customer_id is empty, over all raw lines, before anything is set "
        "aside.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"),
    )


def _duplicates(assessment: Assessment) -> Finding | None:
    persons = assessment.state.persons
    if persons is None or not persons.n_customers:
        return None
    words, cell = vocabulary(assessment), assessment.scope.profile.privacy.min_cell
    if persons.n_surplus == 0:
        sentence = _("No {customer} was found under two numbers by certain or strong evidence.").format(
            customer=words.customer
        )
    elif assessment.scope.branch == ALL:
        sentence = _(
            "**{numbers} numbers belong to {people} people**: {surplus} of them are a second number ({share}), and "
            "{across} people are in several branches. Name and birth date alone would find {more} more."
        ).format(
            numbers=counted(persons.n_customers, cell, parts=_in_branches(assessment)),
            people=people(persons.n_persons, persons.n_surplus, cell),
            surplus=counted(persons.n_surplus, cell),
            across=counted(persons.n_in_several_branches, cell),
            share=share_of(persons.n_surplus, persons.n_customers, cell),
            more=counted(persons.n_persons - persons.n_persons_if_possible, cell),
        )
    else:
        sentence = _(
            "**{surplus} of {numbers} numbers are a second number of somebody in this branch** ({share}). Name and "
            "birth date alone would find {more} more; people in several branches are counted for all branches "
            "together."
        ).format(
            numbers=counted(persons.n_customers, cell),
            surplus=counted(persons.n_surplus, cell),
            share=share_of(persons.n_surplus, persons.n_customers, cell),
            more=counted(persons.n_persons - persons.n_persons_if_possible, cell),
        )
    return _finding(
        assessment,
        "same_person",
        sentence,
        value=None if privacy.tells(persons.n_surplus, persons.n_customers, cell) else assessment.state.rate("surplus"),
        unit="share",
        n=None if privacy.total_tells(_in_branches(assessment), cell) else persons.n_customers,
        tone="bad" if persons.n_surplus else "good",
        basis=_("deterministic rules, certain and strong evidence only"),
        label=_("Numbers too many"),
        query="persons",
        definition="Customer numbers less persons, over customer numbers. Two numbers are one person when normalised "
        "name, telephone and birth date agree (certain), or two of them, or name and e-mail (strong), and the "
        "birth dates do not contradict; clusters by union-find.",
        filters=("accepted customers, newest version", f"up to {assessment.scope.as_of}"),
    )


def _in_branches(assessment: Assessment) -> list[int]:
    """Customer numbers by branch, on the page of all branches."""
    return [state.persons.n_customers for state in assessment.branches.values() if state.persons is not None]


def _attitude(assessment: Assessment) -> Finding | None:
    table = assessment.state.attitudes
    if table.empty or not table["n_recent"].iloc[0]:
        return None
    single = table[table["field"] != EVERY]
    worst, whole = single.loc[single["share_recent"].idxmin()], table.iloc[-1]
    cell = assessment.scope.profile.privacy.min_cell
    estimate = wilson(int(whole["filled_recent"]), int(whole["n_recent"]))
    hidden = privacy.tells(whole["filled_recent"], whole["n_recent"], cell)
    sentence = _(
        "**{attitudes} are all on record for {share} of the {customers} who paid in the last year** ({filled} of "
        "{n}); least known is {worst}, {worst_share}. Of all {everyone} on record it is {all_share}."
    ).format(
        attitudes=capital(listed([attitude_name(name) for name in single["field"]])),
        share=style.share(whole["filled_recent"], whole["n_recent"], cell, 0),
        customers=vocabulary(assessment).customers,
        filled=counted(int(whole["filled_recent"]), cell),
        n=counted(int(whole["n_recent"]), cell),
        worst=attitude_name(str(worst["field"])),
        worst_share=style.share(worst["filled_recent"], worst["n_recent"], cell, 0),
        everyone=counted(int(whole["n"]), cell),
        all_share=style.share(whole["filled"], whole["n"], cell, 0),
    )
    return _finding(
        assessment,
        "attitude_known",
        sentence,
        value=None if hidden else whole["share_recent"],
        low=None if hidden else estimate.low,
        high=None if hidden else estimate.high,
        unit="share",
        n=int(whole["n_recent"]),
        tone="bad" if little_known(assessment) else "neutral",
        basis=_("Wilson 95 %"),
        label=_("Motive, reason to stay and interests known"),
        compare=True,
        query="attitudes",
        definition="Customers with an accepted payment in the 365 days before the state's day whose motive, "
        "stay_reason and "
        "interests are all filled in, over all such customers.",
        filters=("accepted customers, newest version", "paid within 365 days", f"up to {assessment.scope.as_of}"),
    )


def _stale(assessment: Assessment) -> Finding | None:
    contacts = assessment.state.contacts
    if contacts is None or contacts.share is None:
        return None
    if privacy.small(contacts.n_dated, assessment.scope.profile.privacy.min_cell):
        return None
    cell = assessment.scope.profile.privacy.min_cell
    hidden = privacy.tells(contacts.n_stale, contacts.n_dated, cell)
    decay = contacts.decay
    if decay.source == "own":
        why = _("Contact data go out of date at {rate} a year here ({interval}, from {n} with a known outcome)").format(
            rate=style.percent(decay.rate_annual),
            interval=style.interval(decay.low, decay.high, "share"),
            n=style.number(decay.n_checked),
        )
    else:
        why = _("Returned contacts are not recorded often enough, so {rate} a year is assumed").format(
            rate=style.percent(decay.rate_annual)
        )
    sentence = _(
        "**{share} of the contact data were last confirmed more than {days} days ago** ({stale} of {n}). {why}: "
        "about {dead} no longer reach anybody."
    ).format(
        share=style.share(contacts.n_stale, contacts.n_dated, cell),
        days=contacts.limit_days,
        stale=counted(contacts.n_stale, cell),
        n=style.number(contacts.n_dated),
        why=why,
        dead=style.number(rounded(contacts.expected_dead)),
    )
    if contacts.n_undated:
        sentence += " " + _("{undated} more have no date of confirmation.").format(
            undated=capital(counted(contacts.n_undated, cell))
        )
    return _finding(
        assessment,
        "stale_contacts",
        sentence,
        value=None if hidden else contacts.share,
        low=None if hidden else contacts.low,
        high=None if hidden else contacts.high,
        unit="share",
        n=contacts.n_dated,
        tone="bad" if (contacts.low or 0) >= LIMITS.stale_contacts else "neutral",
        basis=_("Wilson 95 %"),
        label=_("Contact data older than a year"),
        compare=True,
        query="stale",
        change=None if hidden else _stale_change(assessment),
        definition=f"Customers whose contact_verified_on lies more than {contacts.limit_days} days before the state's "
        f"day, "
        "over customers with such a date. Decay: maximum likelihood of an exponential lifetime seen once per "
        "contact (returned or not, at its age); with fewer than five returned, the profile's "
        "quality.contact_decay_annual.",
        filters=("accepted customers, newest version", f"up to {assessment.scope.as_of}"),
    )


def _drift(assessment: Assessment) -> Finding | None:
    mix = assessment.mix
    if not mix.comparable or not mix.drifts or not mix_is_judged(assessment):
        return None
    if not mix.beyond_noise:
        largest = max(mix.drifts, key=lambda found: found.distance)
        sentence = _("The mix of lines ({variables}) did not move more than noise and habit explain.").format(
            variables=listed([variable_name(found.variable) for found in mix.drifts])
        )
    else:
        largest = mix.beyond_noise[0]
        sentence = _(
            '**The mix by {variable} moved**: "{category}" went from {before} to {now} of the lines; in all {points} '
            "points changed place, where noise makes up to {noise}."
        ).format(
            variable=variable_name(largest.variable),
            category=style.escape(category_name(largest.biggest)),
            before=style.percent(largest.share_before),
            now=style.percent(largest.share_now),
            points=style.points(largest.distance, sign=False),
            noise=style.points(largest.noise, sign=False),
        )
    return _finding(
        assessment,
        "drift",
        sentence,
        value=largest.distance,
        unit="points",
        n=largest.n_now,
        tone="wait" if mix.beyond_noise else "good",
        basis=_("bootstrap of customers")
        if len(mix.drifts) == 1
        else _("bootstrap of customers, Holm over {n} distributions").format(n=len(mix.drifts)),
        label=_("Largest change of mix"),
        query="lines",
        definition="Total variation distance between the distributions of the period and the one before; beyond noise "
        "when "
        "larger than 95 % of distances between two samples of as many customers from the pooled distribution "
        "(Holm-adjusted) and larger than any distance between consecutive earlier periods.",
        filters=("accepted transactions", f"{assessment.scope.period} against {assessment.scope.period.previous()}"),
    )


def _lines(assessment: Assessment) -> Finding:
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
    return _finding(
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


def _score(assessment: Assessment) -> Finding | None:
    score = assessment.state.scorecard.score
    if score is None:
        return None
    before = assessment.previous.scorecard.score if assessment.previous else None
    change = (
        None
        if before is None
        else Change(previous=before * 100, difference=(score - before) * 100, low=None, high=None, p=None)
    )
    return _finding(
        assessment,
        "score",
        _("Data quality scores {score} of 100.").format(score=style.number(score * 100, 1)),
        value=score * 100,
        unit="index",
        n=assessment.state.scorecard.cells_checked,
        tone="neutral",
        basis=_("counted, not estimated"),
        label=_("Data-quality score"),
        compare=True,
        change=change,
        query="rules",
        definition="Mean over dimensions of the weighted mean over rules of the share passing; a critical rule counts "
        "four "
        "times, a warning twice, an information once.",
        filters=("raw rows of every table", f"up to {assessment.scope.as_of}"),
    )


_FINDINGS: dict[str, Callable[[Assessment], Finding | None]] = {
    "silent": _silent,
    "totals": _totals,
    "set_aside": _set_aside,
    "anonymous": _anonymous,
    "duplicates": _duplicates,
    "attitude": _attitude,
    "stale": _stale,
    "lines": _lines,
    "drift": _drift,
    "score": _score,
}


def _finding(assessment: Assessment, name: str, sentence: str, *, query: str, **rest: Any) -> Finding:
    return Finding(key=f"{CHAPTER}.{name}", sentence=sentence, query=assessment.queries.get(query, ""), **rest)


def _change(now: float | None, before: float | None) -> Change | None:
    if now is None or before is None:
        return None
    return Change(previous=before, difference=now - before, low=None, high=None, p=None)


def _stale_change(assessment: Assessment) -> Change | None:
    now, before = assessment.state.contacts, assessment.previous.contacts if assessment.previous else None
    if now is None or before is None or not now.n_dated or not before.n_dated:
        return None
    if privacy.tells(before.n_stale, before.n_dated, assessment.scope.profile.privacy.min_cell):
        return None
    apart = two_proportions(wilson(before.n_stale, before.n_dated), wilson(now.n_stale, now.n_dated))
    return Change(previous=before.share, difference=apart.value, low=apart.low, high=apart.high, p=apart.p)
