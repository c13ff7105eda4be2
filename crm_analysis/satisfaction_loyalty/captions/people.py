"""Words and tables of who answered and who did not, of the types of customers, and of what can mislead."""

from __future__ import annotations

from typing import Any

from crm_analysis import language, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import displays
from crm_analysis.satisfaction_loyalty.captions.parts import NOTHING, followed, noted
from crm_analysis.satisfaction_loyalty.displays import types as typed
from crm_analysis.satisfaction_loyalty.displays.cuts import left_out, type_cuts_table
from crm_analysis.satisfaction_loyalty.study import Study


def silence(study: Study, profile: Profile) -> dict[str, Any]:
    """Respondents beside those who did not answer."""
    return noted(
        _("Who answered and who did not"),
        displays.silence_table(study, profile) if followed(study) else None,
        _("All active within the year before, followed from the median day of the answers."),
    )


def unscored(study: Study, profile: Profile) -> dict[str, Any]:
    """Where the score is missing."""
    return noted(
        _("Where the score is missing"),
        displays.unscored_table(study, profile) if followed(study) else None,
        _("A gap that goes with what {customers} do can bend the link.").format(
            customers=profile.vocabulary(language.active()).customers
        ),
        otherwise=_("No questionnaire whose follow-up is known lacks its score."),
    )


def answers(study: Study) -> dict[str, Any]:
    """From answers to answers used."""
    return noted(_("From answers to answers used"), displays.footing_table(study))


def pitfalls(study: Study, profile: Profile) -> dict[str, Any]:
    """What can mislead in these data."""
    return noted(
        _("What can mislead here"),
        displays.pitfalls_table(study, profile),
        _("Only what these data show; the last column names the figure or table above that shows it."),
        otherwise=_("None of the usual pitfalls shows in these data."),
    )


def type_map(study: Study, profile: Profile) -> dict[str, Any]:
    """Words and table of the quadrants."""
    if not typed.typings(study):
        return NOTHING
    return {
        "table": typed.types_table(study, profile),
        "title": _("Types of {customers}").format(customers=profile.vocabulary(language.active()).customers),
        "alt": _("Four types by satisfaction and payments of the year before, with the share that came back."),
        "how_to_read": _(
            "Types come from the day of the answer and the year before it; the darker the field, the more came back "
            "afterwards. {note}"
        )
        .format(note=typed.types_note(study, profile))
        .strip(),
    }


def type_cuts(study: Study, profile: Profile) -> dict[str, Any]:
    """The types by satisfaction over neighbouring cuts: shares, who came back, what they brought."""
    return _cuts(_("Types by other cuts of satisfaction"), "satisfaction", study, profile)


def attachment_cuts(study: Study, profile: Profile) -> dict[str, Any]:
    """The types by attachment over neighbouring cuts, likewise; none where attachment is not asked."""
    return _cuts(_("Types by other cuts of attachment"), "attachment", study, profile)


def _cuts(title: str, what: str, study: Study, profile: Profile) -> dict[str, Any]:
    typing = next((each for each in typed.typings(study) if each.what == what), None)
    if typing is None:
        return noted(title, None)
    notes = [
        _(
            "95 % intervals in brackets; * marks the cuts of the profile. A type that vanishes with the next cut is "
            "none; one whose return turns with the cut is drawn by the cut. Margin within the window."
        )
    ]
    if left_out(typing, profile.privacy):
        notes.append(
            _(
                "Cuts are left out where the difference to the next one would tell of fewer than {cell} {customers}."
            ).format(cell=profile.privacy.min_cell, customers=profile.vocabulary(language.active()).customers)
        )
    return noted(title, type_cuts_table(typing, profile), " ".join(notes))


def answered_again(study: Study) -> dict[str, Any]:
    """Words and table of the same people asked again: regression to the mean."""
    table = displays.again_table(study)
    if table.empty:
        return NOTHING
    return {
        "table": table,
        "title": displays.again_title(),
        "alt": _("First and next answer of those who answered twice, by where the first one lay."),
        "how_to_read": _(
            "Lines: mean of the first and of the next answer, by where the first one lay; bars: 95 % interval. Whoever "
            "was at an end moves to the middle whatever is done in between (correlation of both answers {r}): judge a "
            "campaign for the dissatisfied against a random half of them that it left out."
        ).format(r=style.number(study.further.again.correlation if study.further.again else None, 2)),
    }
