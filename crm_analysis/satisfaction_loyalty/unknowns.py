"""What the chapter does not know of a branch and period, and why."""

from __future__ import annotations

from crm_analysis import privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Words
from crm_analysis.satisfaction_loyalty import shape
from crm_analysis.satisfaction_loyalty.displays import answers_text
from crm_analysis.satisfaction_loyalty.study import Study


def unknowns(study: Study, words: Words) -> list[str]:
    found = []
    link, follow = study.link, study.follow
    if "no_usable_weight" in study.answers.faults:
        found.append(_("No weight in the survey is positive; the answers are used unweighted."))
    if study.wave.n == 0 and not study.answers.faults:
        found.append(_("Nobody answered within this period, so it has no index of its own."))
    elif 0 < study.wave.n < shape.FLAG_UNDER:
        found.append(
            _("Only {n} answers fall in this period: its index and shares are uncertain.").format(
                n=answers_text(study, study.wave.n)
            )
        )
    if link is not None and link.kind not in ("too_few", "one_level", "flat"):
        found.append(
            _("Whether raising satisfaction raises loyalty: the link compares people, it does not move anybody.")
        )
    if link is not None and link.kind == "flat" and link.any_link and link.any_link.p < 1 - link.level:
        found.append(
            _("A link is there ({p}) but smaller than what the profile calls worth acting on.").format(
                p=style.p_value(link.any_link.p)
            )
        )
    if follow is not None:
        left = dict(zip(follow.counts["rule"], follow.counts["rows"], strict=True))
        if left.get("not_covered"):
            found.append(
                _(
                    "What {n} answers led to is not measurable: the branch's data end before their follow-up does. "
                    "They are not counted as lost."
                ).format(n=privacy.count(left["not_covered"], study.min_cell))
            )
        if left.get("anonymous"):
            found.append(
                _("{n} answers are anonymous and cannot be linked to behaviour.").format(
                    n=privacy.count(left["anonymous"], study.min_cell)
                )
            )
        if left.get("unknown_customer"):
            found.append(
                _(
                    "{n} answers carry a number under which no transaction stands, so what they led to is not known: "
                    "ask whether the survey numbers {customers} as the transactions do."
                ).format(n=privacy.count(left["unknown_customer"], study.min_cell), customers=words.customers)
            )
        if left.get("before_first"):
            found.append(
                _("{n} answers were given before the first transaction and say nothing of coming back.").format(
                    n=privacy.count(left["before_first"], study.min_cell)
                )
            )
    if link is not None and len(link.merged):
        found.append(_("The lowest levels rest on few answers and were merged; see the table of tests."))
    if study.drivers.reason == "no_items":
        found.append(_("What to fix first: the survey maps no items beside overall satisfaction."))
    elif study.drivers.reason == "unexplained":
        found.append(_("What to fix first: the items together explain no more of satisfaction than chance would."))
    return found
