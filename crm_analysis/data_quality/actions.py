"""What to do about the data, who does it, and what cannot be known from them."""

from __future__ import annotations

from collections.abc import Callable

from crm_analysis import language, style
from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.data_quality.judgement import little_known, mix_is_judged
from crm_analysis.data_quality.wording import attitude_name, branch_name, listed, money, month_name, vocabulary
from crm_analysis.findings import Action
from crm_analysis.language import _

CHAPTER = "data_quality"
MOST_ACTIONS = 3


def actions(assessment: Assessment, held: tuple[str, ...]) -> tuple[Action, ...]:
    """What the gravest reservations call for, at most three."""
    found = [_ACTIONS[kind](assessment) for kind in held if kind in _ACTIONS]
    return tuple(found[:MOST_ACTIONS])


def _action(assessment: Assessment, name: str, text: str, role: str, *keys: str) -> Action:
    """An action of the first of `keys` that the profile names an owner for, else of `role`."""
    named = (assessment.scope.profile.owner(key, language.active()) for key in keys or (CHAPTER,))
    owner = next(filter(None, named), "")
    return Action(
        key=f"{CHAPTER}.{name}",
        text=text,
        owner=style.escape(owner) if owner else role,
        resting_on=_("counted in the files"),
    )


def _act_silent(assessment: Assessment) -> Action:
    found = assessment.state.reporting.silences
    names = listed([branch_name(assessment, each.branch) for each in found[:3]])
    return _action(
        assessment,
        "fetch_missing",
        _("Fetch everything from {branch} since {day}, then run the report again.").format(
            branch=names, day=style.day(min(each.last_covered_day for each in found))
        ),
        _("Branch office"),
        "branches",
    )


def _act_totals(assessment: Assessment) -> Action:
    worst = assessment.state.footing.mismatches.iloc[0]
    return _action(
        assessment,
        "reconcile",
        _("Reconcile {month}, {branch}, line by line: {amount} apart.").format(
            month=month_name(worst["month"]),
            branch=branch_name(assessment, worst["branch"]),
            amount=money(assessment, abs(worst["difference"])),
        ),
        _("Finance office"),
        "finance",
    )


def _act_set_aside(assessment: Assessment) -> Action:
    rules = assessment.failing
    rules = rules[(rules["severity"] == "critical") & (rules["table"] == "transactions")]
    what = (
        style.escape(_(str(rules.iloc[0]["action"])))
        if len(rules) and rules.iloc[0]["action"]
        else _("Correct the lines set aside in the source system; they are listed under exports/set_aside.")
    )
    return _action(assessment, "correct_lines", what, _("Whoever keeps the source system"))


def _act_anonymous(assessment: Assessment) -> Action:
    return _action(
        assessment,
        "name_buyers",
        _("Find out where lines without a {customer} come from, and ask for the number there.").format(
            customer=vocabulary(assessment).customer
        ),
        _("Sales office"),
    )


def _act_duplicates(assessment: Assessment) -> Action:
    return _action(
        assessment,
        "merge",
        _("Merge the pairs on the list same_person, certain ones first."),
        _("Customer service"),
        "customer_service",
        "retention",
    )


def _act_attitude(assessment: Assessment) -> Action:
    fields = listed([attitude_name(name) for name in little_known(assessment)])
    return _action(
        assessment,
        "ask_attitude",
        _(
            "Ask for {fields} in every contact until half of the {customers} who paid in the last year have answered."
        ).format(fields=fields, customers=vocabulary(assessment).customers),
        _("Customer service"),
        "customer_service",
        "retention",
    )


def _act_stale(assessment: Assessment) -> Action:
    return _action(
        assessment,
        "confirm_contacts",
        _(
            "Confirm the contact data older than {days} days before the next "
            "mailing, recently active {customers} first."
        ).format(days=assessment.scope.profile.quality.contact_stale_days, customers=vocabulary(assessment).customers),
        _("Customer service"),
        "customer_service",
        "retention",
    )


_ACTIONS: dict[str, Callable[[Assessment], Action]] = {
    "silent": _act_silent,
    "totals": _act_totals,
    "set_aside": _act_set_aside,
    "anonymous": _act_anonymous,
    "duplicates": _act_duplicates,
    "attitude": _act_attitude,
    "stale": _act_stale,
}


def unknowns(assessment: Assessment) -> tuple[str, ...]:
    """What the tables delivered leave open, a sentence each."""
    state, found = assessment.state, []
    if state.footing.totals.empty:
        found.append(
            _("Whether the files are complete: the finance office's totals are not among the tables (control_totals).")
        )
    if state.persons is None:
        found.append(
            _(
                "Whether somebody is counted twice: there is no table of {customers} with names, telephone numbers or "
                "birth dates."
            ).format(customers=vocabulary(assessment).customers)
        )
    if state.contacts is None:
        found.append(
            _("How old the contact data are: no date of last confirmation (contact_verified_on) is delivered.")
        )
    elif state.contacts.decay.source == "profile":
        found.append(_("How fast contacts stop working here: fewer than five returned contacts are on record."))
    if state.attitudes.empty:
        found.append(
            _("Why {customers} come and stay: no motive, reason to stay or interests are recorded.").format(
                customers=vocabulary(assessment).customers
            )
        )
    if not assessment.mix.comparable:
        found.append(_("Whether the mix changed: the period or the one before is not covered in full."))
    elif not mix_is_judged(assessment):
        found.append(
            _("Whether the mix changed: too few {customers} to tell a change from noise.").format(
                customers=vocabulary(assessment).customers
            )
        )
    return tuple(found)
