"""How the tables stand as a whole: their mix, and their score."""

from __future__ import annotations

from crm_analysis import style
from crm_analysis.data_quality.assessment import Assessment
from crm_analysis.data_quality.judgement import mix_is_judged
from crm_analysis.data_quality.sentences.making import finding
from crm_analysis.data_quality.wording import (
    category_name,
    listed,
    variable_name,
)
from crm_analysis.findings import Change, Finding
from crm_analysis.language import _


def drift(assessment: Assessment) -> Finding | None:
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
    return finding(
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


def score(assessment: Assessment) -> Finding | None:
    score = assessment.state.scorecard.score
    if score is None:
        return None
    before = assessment.previous.scorecard.score if assessment.previous else None
    change = (
        None
        if before is None
        else Change(previous=before * 100, difference=(score - before) * 100, low=None, high=None, p=None)
    )
    return finding(
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
