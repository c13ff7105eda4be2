"""People: counted twice, asked too little, or no longer to be reached."""

from __future__ import annotations

from crm_analysis import privacy, style
from crm_analysis.data_quality.assessment import ALL, Assessment
from crm_analysis.data_quality.completeness import EVERY
from crm_analysis.data_quality.judgement import LIMITS, little_known
from crm_analysis.data_quality.sentences.making import finding
from crm_analysis.data_quality.wording import (
    attitude_name,
    capital,
    counted,
    listed,
    people,
    rounded,
    share_of,
    vocabulary,
)
from crm_analysis.estimators.proportions import two_proportions, wilson
from crm_analysis.findings import Change, Finding
from crm_analysis.language import _


def duplicates(assessment: Assessment) -> Finding | None:
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
    return finding(
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


def attitude(assessment: Assessment) -> Finding | None:
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
    return finding(
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


def stale(assessment: Assessment) -> Finding | None:
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
    return finding(
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


def _stale_change(assessment: Assessment) -> Change | None:
    now, before = assessment.state.contacts, assessment.previous.contacts if assessment.previous else None
    if now is None or before is None or not now.n_dated or not before.n_dated:
        return None
    if privacy.tells(before.n_stale, before.n_dated, assessment.scope.profile.privacy.min_cell):
        return None
    apart = two_proportions(wilson(before.n_stale, before.n_dated), wilson(now.n_stale, now.n_dated))
    return Change(previous=before.share, difference=apart.value, low=apart.low, high=apart.high, p=apart.p)
