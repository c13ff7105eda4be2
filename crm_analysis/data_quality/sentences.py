"""The chapter's claims: verdict, findings, actions and what is not known, as templates beside their numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from crm_analysis import language, style
from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.completeness import EVERY
from crm_analysis.data_quality.judgement import little_known, reservations
from crm_analysis.estimators.proportions import two_proportions, wilson
from crm_analysis.findings import MOST_FINDINGS, Action, Change, Claims, Finding
from crm_analysis.language import _

CHAPTER = "data_quality"


def claims(assessment: Assessment) -> Claims:
    """Verdict, at most five findings (reservations first), actions with owner, unknowns, and further measures."""
    held = reservations(assessment)
    built: dict[str, Finding] = {}
    for kind, build in _FINDINGS.items():
        found = build(assessment)
        if found is not None:
            built[kind] = found
    order = [kind for kind in (*held, *(kind for kind in _FINDINGS if kind not in held)) if kind in built]
    shown = [kind for kind in order if kind != "score"][:MOST_FINDINGS]
    return Claims(
        verdict=verdict(assessment, held),
        findings=tuple(built[kind] for kind in shown),
        actions=_actions(assessment, held),
        unknowns=_unknowns(assessment),
        measures=tuple(built[kind] for kind in order if kind not in shown),
    )


def verdict(assessment: Assessment, held: tuple[str, ...]) -> str:
    """What the data can and cannot be used for: one sentence for the gravest reservation, one for what else counts."""
    if not held:
        card = assessment.state.scorecard
        return _("**Usable for everything in this book**: {share} of {cells} checks passed, and no reservation is needed.").format(
            share=style.percent(1 - card.cells_failed / card.cells_checked if card.cells_checked else None, 2),
            cells=style.number(card.cells_checked))
    parts = [_VERDICTS[held[0]](assessment)]
    if held[0] == "silent" and "totals" in held:
        parts.append(_totals_clause(assessment))
    left = len(held) - len(parts)
    if left == 1:
        parts.append(_("One further reservation is below."))
    elif left > 1:
        parts.append(_("{n} further reservations are below.").format(n=left))
    return " ".join(parts)


# verdicts -------------------------------------------------------------------------------------------------------


def _silent_verdict(assessment: Assessment) -> str:
    silences = assessment.state.reporting.silences
    first, period = silences[0], assessment.scope.period
    if assessment.scope.branch != ALL:
        return _("**Not usable after {day}: nothing has been delivered since**, {missing} of the {days} days of {period}. "
                 "Up to that day the data can be used; no change is shown, and nobody counts as lost.").format(
            day=style.day(first.last_covered_day), missing=first.days_missing, days=period.days, period=period)
    if len(silences) > 1:
        return _("**Branches cannot be compared for {period}: {n} of {branches} stopped reporting before its end.** "
                 "Figures of the others can be used.").format(
            period=period, n=len(silences), branches=len(assessment.scope.coverage))
    return _("**Usable, but {branch} cannot be compared for {period}: it reported nothing after {day}.** "
             "Its figures end there; those of the other {others} branches can be used.").format(
        branch=_branch(assessment, first.branch), period=period, day=style.day(first.last_covered_day),
        others=len(assessment.scope.coverage) - 1)


def _totals_verdict(assessment: Assessment) -> str:
    off = assessment.state.footing.mismatches
    worst = off.iloc[0]
    if len(off) > 1:
        return _("**Usable, but not for amounts: {n} of {months} monthly totals do not agree with the finance office.** "
                 "The largest gap is {amount}, in {month}.").format(
            n=len(off), months=len(assessment.state.footing.totals), month=_month(worst["month"]),
            amount=_money(assessment, abs(worst["difference"])))
    template = (
        _("**Usable, but not for the amounts of {month} ({branch}): the files hold {amount} less than the finance office "
          "counted**, {share} of its total.")
        if worst["difference"] < 0 else
        _("**Usable, but not for the amounts of {month} ({branch}): the files hold {amount} more than the finance office "
          "counted**, {share} of its total."))
    return template.format(month=_month(worst["month"]), branch=_branch(assessment, worst["branch"]),
                           amount=_money(assessment, abs(worst["difference"])), share=style.percent(abs(worst["share"])))


def _totals_clause(assessment: Assessment) -> str:
    worst = assessment.state.footing.mismatches.iloc[0]
    return _("The amounts of {month} ({branch}) do not agree with the finance office: the gap is {amount}.").format(
        month=_month(worst["month"]), branch=_branch(assessment, worst["branch"]),
        amount=_money(assessment, abs(worst["difference"])))


def _set_aside_verdict(assessment: Assessment) -> str:
    foot = assessment.state.footing
    return _("**Usable without {rows} lines ({share}) that had to be set aside**; what they hold, {amount}, is in no "
             "figure of this book.").format(
        rows=style.number(foot.rows_set_aside), share=style.percent(foot.set_aside_share),
        amount=_money(assessment, foot.amount_set_aside))


def _anonymous_verdict(assessment: Assessment) -> str:
    facts = assessment.state.facts
    return _("**Usable for turnover, only in part for {customers}: {share} of the lines name none.** What they bought "
             "is in the totals and in nothing that is counted per head.").format(
        customers=_words(assessment).customers, share=style.percent(facts.without_customer / facts.lines))


def _duplicates_verdict(assessment: Assessment) -> str:
    return _("**Usable, but {customers} are counted too often: {share} of the numbers belong to somebody who already has "
             "one.** Sums hold; averages and counts per head are off by as much.").format(
        customers=_words(assessment).customers, share=style.percent(assessment.state.rate("surplus")))


def _attitude_verdict(assessment: Assessment) -> str:
    table = assessment.state.attitudes.set_index("field")
    few = little_known(assessment)
    worst = table.loc[list(few), "share_recent"].idxmin()
    return _("**Usable for payments, not for segments by {fields}**: {worst} is on record for {share} of the {customers} "
             "active in the last year.").format(
        fields=_listed([attitude_name(name) for name in few]), worst=attitude_name(str(worst)),
        share=style.percent(table.loc[worst, "share_recent"], 0), customers=_words(assessment).customers)


def _stale_verdict(assessment: Assessment) -> str:
    contacts = assessment.state.contacts
    assert contacts is not None
    return _("**Usable for analysis, not for a mailing as it is: {share} of the contact data were last confirmed more than "
             "{days} days ago.** About {dead} of {n} no longer reach anybody.").format(
        share=style.percent(contacts.share, 0), days=contacts.limit_days, dead=style.number(contacts.expected_dead),
        n=style.number(contacts.n_dated))


def _drift_verdict(assessment: Assessment) -> str:
    moved = assessment.mix.beyond_noise[0]
    return _("**Usable; one thing changed that is not noise: the mix by {variable}.** Compare with earlier periods only "
             "within its groups.").format(variable=variable_name(moved.variable))


_VERDICTS: dict[str, Callable[[Assessment], str]] = {
    "silent": _silent_verdict, "totals": _totals_verdict, "set_aside": _set_aside_verdict,
    "anonymous": _anonymous_verdict, "duplicates": _duplicates_verdict, "attitude": _attitude_verdict,
    "stale": _stale_verdict, "drift": _drift_verdict,
}


# findings -------------------------------------------------------------------------------------------------------


def _silent(assessment: Assessment) -> Finding | None:
    silences = assessment.state.reporting.silences
    if not silences:
        return None
    worst = max(silences, key=lambda found: found.amount_missing)
    amount = sum(found.amount_missing for found in silences)
    rows = sum(found.rows_missing for found in silences)
    names = _listed([_branch(assessment, found.branch) for found in silences[:3]])
    if len(silences) > 1:
        sentence = _("**{n} branches stopped reporting, among them {names}.** By their own last six months about {rows} "
                     "lines worth {amount} are missing. Each branch's figures end at its last covered day.").format(
            n=len(silences), names=names, rows=style.number(_rounded(rows)), amount=_money(assessment, amount))
    else:
        sentence = _("**{branch} delivered nothing after {day}.** By its own last six months about {rows} lines worth "
                     "{amount} are missing. Every chapter ends its figures there and calls nobody lost.").format(
            branch=names, day=style.day(worst.last_covered_day), rows=style.number(_rounded(rows)),
            amount=_money(assessment, amount))
    return _finding(
        assessment, "silent_branches", sentence, value=worst.days_missing, unit="days", tone="bad",
        n=len(silences), basis=_("counted; what is missing is an expectation"), stake=amount,
        label=_("Days without delivery"), query="lines",
        definition="Days between a branch's last covered day and the period's end. Last covered day: from control totals "
                   "or the profile, else the last day with a row before a silence unlike the branch's own rhythm.",
        filters=("raw transactions by branch", f"up to {assessment.scope.as_of}"))


def _totals(assessment: Assessment) -> Finding | None:
    foot = assessment.state.footing
    if foot.totals.empty:
        return None
    tolerance = style.percent(assessment.scope.profile.quality.control_total_tolerance)
    off = foot.mismatches
    gap = float(foot.totals["difference"].sum())
    if off.empty:
        sentence = _("All {n} monthly totals of the finance office agree within {tolerance}.").format(
            n=len(foot.totals), tolerance=tolerance)
    elif len(off) == 1:
        worst = off.iloc[0]
        sentence = _("**{branch}, {month}: the files hold {ours}, the finance office counted {theirs}**, a difference of "
                     "{gap} ({share}); lines {rows} against {rows_finance}. The other {agree} monthly totals agree within "
                     "{tolerance}.").format(
            branch=_branch(assessment, worst["branch"]), month=_month(worst["month"]),
            ours=_money(assessment, worst["amount_used"]), theirs=_money(assessment, worst["amount_finance"]),
            gap=_money(assessment, abs(worst["difference"])), share=style.percent(abs(worst["share"])),
            rows=style.number(worst["rows_used"]), rows_finance=style.number(worst["rows_finance"]),
            agree=len(foot.totals) - 1, tolerance=tolerance)
    else:
        worst = off.iloc[0]
        sentence = _("**{n} of {months} monthly totals differ from the finance office's by more than {tolerance}**; the "
                     "largest gap is {gap} ({branch}, {month}).").format(
            n=len(off), months=len(foot.totals), tolerance=tolerance, gap=_money(assessment, abs(worst["difference"])),
            branch=_branch(assessment, worst["branch"]), month=_month(worst["month"]))
    return _finding(
        assessment, "control_totals", sentence, value=gap, unit="money", n=len(foot.totals),
        tone="good" if off.empty else "bad", basis=_("counted, not estimated"),
        stake=float(off["difference"].abs().sum()), label=_("Gap to the finance office"), query="months",
        definition="Sum over branch-months of accepted net amount less the finance office's total; months not yet "
                   "delivered in full are left out.",
        filters=("accepted transactions, refunds negative", f"tolerance {tolerance}"))


def _set_aside(assessment: Assessment) -> Finding | None:
    foot = assessment.state.footing
    if foot.set_aside_share is None:
        return None
    if foot.rows_set_aside == 0:
        sentence = _("No line had to be set aside.")
    else:
        top = foot.by_rule.iloc[0] if len(foot.by_rule) else None
        sentence = _("**{rows} of {lines} lines ({share}) are set aside**, with {amount}; the commonest reason, {top} lines: "
                     "{why}.").format(
            rows=style.number(foot.rows_set_aside), lines=style.number(foot.rows_in_files),
            share=style.percent(foot.set_aside_share, 2), amount=_money(assessment, foot.amount_set_aside),
            top=style.number(top["rows"] if top is not None else None),
            why=rule_text(assessment, str(top["rule"])) if top is not None else style.DASH)
    before = assessment.previous.rate("set_aside") if assessment.previous else None
    return _finding(
        assessment, "set_aside_share", sentence, value=foot.set_aside_share, unit="share", n=foot.rows_in_files,
        tone="neutral" if foot.rows_set_aside else "good", basis=_("counted, not estimated"),
        stake=abs(foot.amount_set_aside), label=_("Lines set aside"), compare=True, query="rules",
        change=_change(foot.set_aside_share, before),
        definition="Raw transaction lines with at least one critical breach of the contract, over all raw lines. A line "
                   "with several breaches counts once, under its first rule.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"))


def _anonymous(assessment: Assessment) -> Finding | None:
    facts, foot = assessment.state.facts, assessment.state.footing
    if not facts.without_customer:
        return None
    share = facts.without_customer / facts.lines
    sentence = _("**{n} of {lines} lines ({share}) name no {customer}.** After set-aside they hold {amount}: in the totals, "
                 "in nothing per head.").format(
        n=style.number(facts.without_customer), lines=style.number(facts.lines), share=style.percent(share),
        customer=_words(assessment).customer, amount=_money(assessment, foot.amount_anonymous))
    before = assessment.previous.rate("anonymous") if assessment.previous else None
    return _finding(
        assessment, "anonymous_share", sentence, value=share, unit="share", n=facts.lines, tone="wait",
        basis=_("counted, not estimated"), label=_("Lines without customer"), query="lines",
        change=_change(share, before),
        definition="Raw transaction lines whose customer_id is empty, over all raw lines, before anything is set aside.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"))


def _duplicates(assessment: Assessment) -> Finding | None:
    persons = assessment.state.persons
    if persons is None or not persons.n_customers:
        return None
    words, cell = _words(assessment), assessment.scope.profile.privacy.min_cell
    if persons.n_surplus == 0:
        sentence = _("No {customer} was found under two numbers by certain or strong evidence.").format(
            customer=words.customer)
    elif assessment.scope.branch == ALL:
        sentence = _("**{numbers} numbers belong to {people} people**: {surplus} of them are a second number ({share}), and "
                     "{across} people are in several branches. Name and birth date alone would make it {more} more.").format(
            numbers=style.number(persons.n_customers), people=_people(persons.n_persons, persons.n_surplus, cell),
            surplus=counted(persons.n_surplus, cell), across=counted(persons.n_in_several_branches, cell),
            share=_share(persons.n_surplus, persons.n_customers, cell),
            more=counted(persons.n_persons - persons.n_persons_if_possible, cell))
    else:
        sentence = _("**{surplus} of {numbers} numbers are a second number of somebody in this branch** ({share}). Name and "
                     "birth date alone would make it {more} more; people in several branches are counted for all branches "
                     "together.").format(
            numbers=style.number(persons.n_customers), surplus=counted(persons.n_surplus, cell),
            share=_share(persons.n_surplus, persons.n_customers, cell),
            more=counted(persons.n_persons - persons.n_persons_if_possible, cell))
    return _finding(
        assessment, "surplus_customers", sentence,
        value=None if 0 < persons.n_surplus < cell else assessment.state.rate("surplus"), unit="share",
        n=persons.n_customers, tone="bad" if persons.n_surplus else "good",
        basis=_("deterministic rules; low: certain and strong evidence only"), label=_("Numbers too many"),
        query="customers",
        definition="Customer numbers less persons, over customer numbers. Two numbers are one person when normalised "
                   "name, telephone and birth date agree (certain), or two of them, or name and e-mail (strong), and the "
                   "birth dates do not contradict; clusters by union-find.",
        filters=("accepted customers, newest version", f"up to {assessment.scope.as_of}"))


def _attitude(assessment: Assessment) -> Finding | None:
    table = assessment.state.attitudes
    if table.empty or not table["n_recent"].iloc[0]:
        return None
    single = table[table["field"] != EVERY]
    worst, whole = single.loc[single["share_recent"].idxmin()], table.iloc[-1]
    cell = assessment.scope.profile.privacy.min_cell
    estimate = wilson(int(whole["filled_recent"]), int(whole["n_recent"]))
    hidden = 0 < whole["filled_recent"] < cell
    sentence = _("**{attitudes} are all on record for {share} of the {customers} active in the last year** ({filled} of "
                 "{n}); least known is {worst}, {worst_share}. Of all {everyone} on record it is {all_share}.").format(
        attitudes=_capital(_listed([attitude_name(name) for name in single["field"]])),
        share=style.DASH if hidden else style.percent(whole["share_recent"], 0),
        customers=_words(assessment).customers, filled=counted(int(whole["filled_recent"]), cell),
        n=style.number(whole["n_recent"]), worst=attitude_name(str(worst["field"])),
        worst_share=style.percent(worst["share_recent"], 0), everyone=style.number(whole["n"]),
        all_share=style.DASH if hidden else style.percent(whole["share"], 0))
    return _finding(
        assessment, "attitude_known", sentence, value=None if hidden else whole["share_recent"],
        low=None if hidden else estimate.low, high=None if hidden else estimate.high, unit="share",
        n=int(whole["n_recent"]), tone="bad" if little_known(assessment) else "neutral",
        basis=_("Wilson 95 %"), label=_("Motive, reason to stay and interests known"), query="customers",
        definition="Customers with an accepted payment in the 365 days before the state's day whose motive, stay_reason and "
                   "interests are all filled in, over all such customers.",
        filters=("accepted customers, newest version", "paid within 365 days", f"up to {assessment.scope.as_of}"))


def _stale(assessment: Assessment) -> Finding | None:
    contacts = assessment.state.contacts
    if contacts is None or contacts.share is None:
        return None
    cell = assessment.scope.profile.privacy.min_cell
    decay = contacts.decay
    if decay.source == "own":
        why = _("Contacts come back at {rate} a year here ({interval}, from {n} with a known outcome)").format(
            rate=style.percent(decay.rate_annual), interval=style.interval(decay.low, decay.high, "share"),
            n=style.number(decay.n_checked))
    else:
        why = _("Returned contacts are not recorded often enough, so {rate} a year is assumed").format(
            rate=style.percent(decay.rate_annual))
    sentence = _("**{share} of the contact data were last confirmed more than {days} days ago** ({stale} of {n}; {undated} "
                 "more have no date). {why}: about {dead} no longer reach anybody.").format(
        share=style.percent(contacts.share), days=contacts.limit_days, stale=counted(contacts.n_stale, cell),
        n=style.number(contacts.n_dated), undated=counted(contacts.n_undated, cell), why=why,
        dead=style.number(_rounded(contacts.expected_dead)))
    return _finding(
        assessment, "stale_contacts", sentence, value=contacts.share, low=contacts.low, high=contacts.high, unit="share",
        n=contacts.n_dated, tone="bad" if (contacts.low or 0) >= 0.25 else "neutral", basis=_("Wilson 95 %"),
        label=_("Contact data older than a year"), compare=True, query="customers", change=_stale_change(assessment),
        definition=f"Customers whose contact_verified_on lies more than {contacts.limit_days} days before the state's day, "
                   "over customers with such a date. Decay: maximum likelihood of an exponential lifetime seen once per "
                   "contact (returned or not, at its age); with fewer than five returned, the profile's "
                   "quality.contact_decay_annual.",
        filters=("accepted customers, newest version", f"up to {assessment.scope.as_of}"))


def _drift(assessment: Assessment) -> Finding | None:
    mix = assessment.mix
    if not mix.comparable or not mix.drifts:
        return None
    if not mix.beyond_noise:
        largest = max(mix.drifts, key=lambda found: found.distance)
        sentence = _("The mix of lines ({variables}) did not move more than noise and habit explain.").format(
            variables=_listed([variable_name(found.variable) for found in mix.drifts]))
    else:
        largest = mix.beyond_noise[0]
        sentence = _("**The mix by {variable} moved**: \"{category}\" went from {before} to {now} of the lines; in all {points} "
                     "points changed place, where noise makes up to {noise}.").format(
            variable=variable_name(largest.variable), category=style.escape(category_name(largest.biggest)),
            before=style.percent(largest.share_before), now=style.percent(largest.share_now),
            points=style.points(largest.distance, sign=False), noise=style.points(largest.noise, sign=False))
    return _finding(
        assessment, "drift", sentence, value=largest.distance, unit="points", n=largest.n_now,
        tone="wait" if mix.beyond_noise else "good",
        basis=_("bootstrap of customers, Holm over {n} distributions").format(n=len(mix.drifts)),
        label=_("Largest change of mix"), query="lines",
        definition="Total variation distance between the distributions of the period and the one before; beyond noise when "
                   "larger than 95 % of distances between two samples of as many customers from the pooled distribution "
                   "(Holm-adjusted) and larger than any distance between consecutive earlier periods.",
        filters=("accepted transactions", f"{assessment.scope.period} against {assessment.scope.period.previous()}"))


def _lines(assessment: Assessment) -> Finding:
    facts = assessment.state.facts
    sentence = _("The files hold **{lines} lines: {anonymous} without {customer}, {refunds} refunds or cancellations, "
                 "{copies} exact duplicates**, before anything is set aside.").format(
        lines=style.number(facts.lines), anonymous=style.number(facts.without_customer),
        customer=_words(assessment).customer, refunds=style.number(facts.refunds), copies=style.number(facts.copies))
    return _finding(
        assessment, "lines", sentence, value=facts.lines, unit="count", n=facts.lines, tone="neutral",
        basis=_("counted, not estimated"), label=_("Lines in the files"), query="lines",
        definition="Raw transaction lines of the whole history up to the state's day. Without customer: customer_id empty. "
                   "Refunds: kind refund. Exact duplicates: lines that repeat an earlier one in every column the source "
                   "gave.",
        filters=("raw transactions", f"up to {assessment.scope.as_of}"))


def _score(assessment: Assessment) -> Finding | None:
    score = assessment.state.scorecard.score
    if score is None:
        return None
    before = assessment.previous.scorecard.score if assessment.previous else None
    change = None if before is None else Change(
        previous=before * 100, difference=(score - before) * 100, low=None, high=None, p=None)
    return _finding(
        assessment, "score", _("Data quality scores {score} of 100.").format(score=style.number(score * 100, 1)),
        value=score * 100, unit="index", n=assessment.state.scorecard.cells_checked, tone="neutral",
        basis=_("counted, not estimated"), label=_("Data-quality score"), compare=True, change=change, query="rules",
        definition="Mean over dimensions of the weighted mean over rules of the share passing; a critical rule counts four "
                   "times, a warning twice, an information once.",
        filters=("raw rows of every table", f"up to {assessment.scope.as_of}"))


_FINDINGS: dict[str, Callable[[Assessment], Finding | None]] = {
    "silent": _silent, "totals": _totals, "set_aside": _set_aside, "anonymous": _anonymous, "duplicates": _duplicates,
    "attitude": _attitude, "stale": _stale, "lines": _lines, "drift": _drift, "score": _score,
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
    apart = two_proportions(wilson(before.n_stale, before.n_dated), wilson(now.n_stale, now.n_dated))
    return Change(previous=before.share, difference=apart.value, low=apart.low, high=apart.high, p=apart.p)


# actions and unknowns -------------------------------------------------------------------------------------------


def _actions(assessment: Assessment, held: tuple[str, ...]) -> tuple[Action, ...]:
    found = [_ACTIONS[kind](assessment) for kind in held if kind in _ACTIONS]
    return tuple(found[:3])


def _action(assessment: Assessment, name: str, text: str, role: str, owner_key: str = CHAPTER) -> Action:
    owner = assessment.scope.profile.owner(owner_key, language.active())
    return Action(key=f"{CHAPTER}.{name}", text=text, owner=style.escape(owner) if owner else role,
                  resting_on=_("counted in the files"))


def _act_silent(assessment: Assessment) -> Action:
    found = assessment.state.reporting.silences
    names = _listed([_branch(assessment, each.branch) for each in found[:3]])
    return _action(assessment, "fetch_missing", _("Fetch everything from {branch} since {day}, then run the report again.").format(
        branch=names, day=style.day(min(each.last_covered_day for each in found))), _("Branch office"), "branches")


def _act_totals(assessment: Assessment) -> Action:
    worst = assessment.state.footing.mismatches.iloc[0]
    return _action(assessment, "reconcile", _("Reconcile {month}, {branch}, line by line: {amount} apart.").format(
        month=_month(worst["month"]), branch=_branch(assessment, worst["branch"]),
        amount=_money(assessment, abs(worst["difference"]))), _("Finance office"), "finance")


def _act_set_aside(assessment: Assessment) -> Action:
    rules = assessment.failing
    rules = rules[(rules["severity"] == "critical") & (rules["table"] == "transactions")]
    what = style.escape(_(str(rules.iloc[0]["action"]))) if len(rules) and rules.iloc[0]["action"] else _(
        "Correct the lines set aside in the source system; they are listed under exports/set_aside.")
    return _action(assessment, "correct_lines", what, _("Whoever keeps the source system"))


def _act_anonymous(assessment: Assessment) -> Action:
    return _action(assessment, "name_buyers", _("Find out where lines without a {customer} come from, and ask for the number "
                                                "there.").format(customer=_words(assessment).customer), _("Sales office"))


def _act_duplicates(assessment: Assessment) -> Action:
    return _action(assessment, "merge", _("Merge the pairs on the list same_person, certain ones first."),
                   _("Customer service"), "customer_service")


def _act_attitude(assessment: Assessment) -> Action:
    fields = _listed([attitude_name(name) for name in little_known(assessment)])
    return _action(assessment, "ask_attitude", _("Ask for {fields} in every contact until half of the active {customers} have "
                                                 "answered.").format(fields=fields, customers=_words(assessment).customers),
                   _("Customer service"), "customer_service")


def _act_stale(assessment: Assessment) -> Action:
    return _action(assessment, "confirm_contacts", _("Confirm the contact data on the list stale_contacts before the next "
                                                     "mailing, recently active {customers} first.").format(
        customers=_words(assessment).customers), _("Customer service"), "customer_service")


_ACTIONS: dict[str, Callable[[Assessment], Action]] = {
    "silent": _act_silent, "totals": _act_totals, "set_aside": _act_set_aside, "anonymous": _act_anonymous,
    "duplicates": _act_duplicates, "attitude": _act_attitude, "stale": _act_stale,
}


def _unknowns(assessment: Assessment) -> tuple[str, ...]:
    state, found = assessment.state, []
    if state.footing.totals.empty:
        found.append(_("Whether the files are complete: the finance office's totals are not among the tables "
                       "(control_totals)."))
    if state.persons is None:
        found.append(_("Whether somebody is counted twice: there is no table of {customers} with names, telephone numbers or "
                       "birth dates.").format(customers=_words(assessment).customers))
    if state.contacts is None:
        found.append(_("How old the contact data are: no date of last confirmation (contact_verified_on) is delivered."))
    elif state.contacts.decay.source == "profile":
        found.append(_("How fast contacts stop working here: fewer than five returned contacts are on record."))
    if state.attitudes.empty:
        found.append(_("Why {customers} come and stay: no motive, reason to stay or interests are recorded.").format(
            customers=_words(assessment).customers))
    if not assessment.mix.comparable:
        found.append(_("Whether the mix changed: the period or the one before is not covered in full."))
    return tuple(found)


# words ----------------------------------------------------------------------------------------------------------


def counted(n: int, min_cell: int) -> str:
    """A number of people; one to `min_cell` - 1 are not told apart.

    >>> counted(3, 5), counted(12, 5), counted(0, 5)
    ('fewer than 5', '12', '0')
    """
    if 0 < n < min_cell:
        return _("fewer than {n}").format(n=min_cell)
    return style.number(n)


def attitude_name(field: str) -> str:
    """An attitude column in words."""
    return {"motive": _("motive"), "stay_reason": _("reason to stay"), "interests": _("interests"),
            EVERY: _("all of them")}.get(field, field)


def variable_name(variable: str) -> str:
    """A distribution in words."""
    return {"kind": _("kind"), "channel": _("channel"), "category": _("category"), "amount": _("amount"),
            "payment_method": _("payment method")}.get(variable, variable)


def category_name(category: str) -> str:
    """The two categories that are ours, in words; the data's own are left as they are."""
    return {"(empty)": _("(empty)"), "(other)": _("(other)")}.get(category, category)


def dimension_name(dimension: str) -> str:
    """A dimension of quality in words."""
    return {"completeness": _("Completeness"), "validity": _("Validity"), "uniqueness": _("Uniqueness"),
            "consistency": _("Consistency"), "timeliness": _("Timeliness")}.get(dimension, dimension)


def chapter_name(chapter: str) -> str:
    """A chapter in words."""
    return {"customer_value": _("Customer value"), "satisfaction_loyalty": _("Satisfaction and loyalty"),
            "crm_roi": _("Programmes"), "data_quality": _("Data quality")}.get(chapter, chapter)


def rule_text(assessment: Assessment, rule: str) -> str:
    """What a rule asks for, in words, inert in Markdown."""
    match = assessment.rules.loc[assessment.rules["id"] == rule, "what"]
    return style.escape(_(str(match.iloc[0])) if len(match) else rule)


def _branch(assessment: Assessment, branch: str) -> str:
    return style.escape(assessment.scope.profile.branch_name(branch, language.active()))


def _money(assessment: Assessment, amount: float) -> str:
    return style.money(amount, assessment.scope.profile.currency)


def _words(assessment: Assessment) -> Any:
    return assessment.scope.profile.vocabulary(language.active())


def _month(month: str) -> str:
    stamp = pd.Period(month, freq="M")
    if language.active() == "ko":
        return f"{stamp.year}년 {stamp.month}월"
    return stamp.strftime("%B %Y")


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return _("{first} and {last}").format(first=", ".join(names[:-1]), last=names[-1])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rounded(value: float | None) -> float | None:
    """Two significant digits: an expectation is not a count."""
    if value is None or value == 0 or not math.isfinite(value):
        return value
    scale = 10 ** (math.floor(math.log10(abs(value))) - 1)
    return round(value / scale) * scale


def _people(n_persons: int, n_surplus: int, min_cell: int) -> str:
    """Persons, unless their number would give away a surplus that is not shown."""
    return _("almost as many") if 0 < n_surplus < min_cell else style.number(n_persons)


def _share(part: int, whole: int, min_cell: int) -> str:
    return style.DASH if 0 < part < min_cell else style.percent(part / whole if whole else None, 2)


