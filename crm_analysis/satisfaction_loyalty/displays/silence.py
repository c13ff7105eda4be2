"""Who is missing, in finished frames: who did not answer, missing scores, the footing of the answers, pitfalls."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import share_row
from crm_analysis.satisfaction_loyalty.study import Study


def _rule_name(rule: str) -> str:
    names = {
        "": "",
        "blank": _("no answer"),
        "code": _("don't know, refused"),
        "out_of_range": _("outside the scale"),
        "scale_mismatch": _("the scale in the profile does not fit"),
        "undated": _("no date"),
        "weight": _("weight missing, zero or negative"),
        "anonymous": _("anonymous"),
        "running": _("follow-up still running"),
        "not_covered": _("not measurable: data end before the follow-up"),
        "unknown_customer": _("number without any transaction"),
        "before_first": _("answered before the first transaction"),
        "not_first_order": _("not about the first order"),
        "later_answer": _("a further answer of the same person"),
    }
    return names[rule]


def _step_name(step: str) -> str:
    return {"answers": _("answers"), "left out": _("left out"), "used": _("used")}[step]


def footing_table(study: Study) -> pd.DataFrame:
    """From answers to answers used, for the scores and for the link; empty without a survey."""
    if study.missing:
        return pd.DataFrame()
    parts = [(_("Scores, all periods"), study.answers.counts)]
    if study.follow is not None:
        parts.append((_("Link to loyalty"), study.follow.counts))
    rows = [
        (part, _step_name(row.step), _rule_name(row.rule), shown)
        for part, counts in parts
        for row, shown in zip(counts.itertuples(), _footed(counts, study), strict=True)
    ]
    return pd.DataFrame(rows, columns=[_("For"), _("Step"), _("Why"), _("Rows")])


def _footed(counts: pd.DataFrame, study: Study) -> list[str]:
    """The rows of a footing as text; its line "answers" is the total of the others."""
    whole, min_cell = counts["step"] == "answers", study.min_cell
    parts = study.answers.frame["branch"].value_counts()
    shown = privacy.shown(counts.loc[~whole, "rows"], min_cell).reindex(counts.index, fill_value="")
    if privacy.total_tells(parts, min_cell):
        large = counts["rows"] >= min_cell
        shown = shown.mask(large, counts["rows"].map(lambda n: privacy.count(n, min_cell, parts=parts)))
    return shown.where(~whole, counts["rows"].map(lambda n: privacy.count(n, min_cell, parts=parts))).to_list()


def footing_line(study: Study) -> str:
    """The link's footing in one line: answers, what was left out and why, used."""
    if study.follow is None:
        return ""
    parts = [
        f"{_step_name(row.step) if row.step != 'left out' else _rule_name(row.rule)} {shown}"
        for row, shown in zip(study.follow.counts.itertuples(), _footed(study.follow.counts, study), strict=True)
    ]
    return _("Answers that could enter the link: {steps}.").format(steps=" → ".join(parts))


def silence_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Loyalty of respondents beside that of customers who did not answer."""
    silence = study.follow.silence if study.follow else None
    if silence is None:
        return pd.DataFrame()
    groups = ((_("answered"), silence.answered), (_("did not answer"), silence.silent))
    rows = [share_row(name, g.n, g.share, g.low, g.high, profile) for name, g in groups]
    return pd.DataFrame(rows, columns=[_("Group"), _("Number"), _("Came back"), _("95 % interval")])


def unscored_table(study: Study, profile: Profile) -> pd.DataFrame:
    """How often the score is missing, by what the customer did."""
    names = {
        "came_back": _("came back within the window"),
        "did_not": _("did not come back"),
        "repeat": _("had come more than once before the answer"),
        "once": _("had come once"),
    }
    if not study.unscored["missing"].sum():
        return pd.DataFrame()
    rows = [
        share_row(names[row.group], row.n, row.share, row.low, row.high, profile) for row in study.unscored.itertuples()
    ]
    return pd.DataFrame(rows, columns=[_("Group"), _("Answers"), _("Without a score"), _("95 % interval")])
