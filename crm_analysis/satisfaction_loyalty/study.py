"""Everything the chapter knows about one branch and period, from a scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty import (
    ahead,
    followup,
    further,
    gaps,
    measure,
    pls,
    servqual,
    shape,
    types,
    waves,
)
from crm_analysis.satisfaction_loyalty import answers as reading
from crm_analysis.satisfaction_loyalty import drivers as driving
from crm_analysis.units import Period, add_months

if TYPE_CHECKING:
    from crm_analysis.tables import Scope

DRIVER_MONTHS = 12
BRANCH_FEWEST = 30
VALUABLE_QUANTILE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One branch, or all of them (`of_all`), and period.

    `period_rows` are the answers of the period; `wave` and `changed` what they say and how that differs from the period
    before, or from the last survey wave before it (None where nothing was asked then); `item_gaps` the same for every
    item, and against its target, `item_spread` their distributions; `trend` every wave so far and `trend_spread` the
    distribution of each; `expectations` the gap between what was expected and what was found; `kinds` customers beside
    staff and dealers by branch, `branches` the answers of the period in each of them (of all branches only).
    `index_weights` are those of the index, adding up to one, and `index_basis` where they come from: given, estimated
    (by the path model), or overall (overall satisfaction alone). `follow` and `link` hold behaviour after the answers,
    `stated` the link to what respondents say they will do, `staff` the satisfaction of staff and dealers in the period.
    `further` holds what stands behind the link, `types` the types of customers (None without payments). `missing` names
    absent tables. `queries` are those behind the findings: of the `answers`, and of them `followed` up.
    """

    of_all: bool
    period: Period
    as_of: date
    answers: reading.Answers
    period_rows: pd.DataFrame
    wave: measure.Wave
    changed: measure.WaveChange | None
    item_gaps: pd.DataFrame
    item_spread: pd.DataFrame
    trend: pd.DataFrame
    trend_spread: pd.DataFrame
    index_weights: dict[str, float]
    index_basis: str
    expectations: servqual.Gaps
    kinds: pd.DataFrame
    follow: followup.FollowUp | None
    link: shape.Shape | None
    steps: tuple[followup.StepWorth, ...]
    ahead: ahead.Ahead | None
    steps_ahead: tuple[followup.StepWorth, ...]
    stated: dict[str, shape.Shape]
    further: further.Further
    types: types.Types | None
    drivers: driving.Drivers
    paths: pls.PathModel
    staff: measure.Wave | None
    branches: dict[str, measure.Wave]
    unscored: pd.DataFrame
    missing: tuple[str, ...]
    margin: float
    min_cell: int
    queries: dict[str, str]

    @property
    def branches_differ(self) -> bool:
        """Whether the branches' curves are told apart: one curve of all is then a mixture."""
        between = self.further.between
        if self.link is None or between is None or between.interaction is None:
            return False
        return between.interaction.p < 1 - self.link.level


def analyse(scope: Scope, *, seed: int = 1) -> Study:
    """Read the answers of a scope and compute the chapter; absent tables and thin data leave their parts empty."""
    profile = scope.profile
    survey, rule = profile.survey, profile.loyalty
    answers = reading.load(scope)
    recent = answers.between(add_months(scope.as_of, -DRIVER_MONTHS), scope.as_of)
    paths = pls.model(recent, answers, survey.model, seed=seed)
    basis = "given"
    if not survey.index_weights:
        survey = survey.model_copy(update={"index_weights": pls.index_weights(paths)})
        basis = "estimated"
    _scales, weights_of_index = measure.index_settings(answers, survey)
    basis = "overall" if set(weights_of_index) == {"satisfaction"} else basis
    rows = answers.between(scope.period.start, min(scope.period.end, scope.as_of))
    whole = answers.between(scope.period.start, min(scope.period.end, scope.as_of), unscored=True)
    wave = measure.measure(whole, answers, survey)
    follow = link = None
    steps: list[followup.StepWorth] = []
    steps_ahead: list[followup.StepWorth] = []
    later: ahead.Ahead | None = None
    unscored = pd.DataFrame(columns=["group", "n", "missing", "share", "low", "high"])
    if scope.has("survey_responses") and scope.has("transactions"):
        payments = scope.table("transactions")
        follow = followup.follow(
            answers,
            payments,
            scope.coverage,
            as_of=scope.as_of,
            period_end=scope.period.end,
            rule=rule,
            margin_rate=profile.margin.rate,
        )
        weights = follow.frame["weight"] if answers.weighted else None
        levels = shape.tabulate(
            follow.frame["satisfaction"],
            follow.frame["loyal"],
            scale=answers.scale,
            weights=weights,
            branches=follow.frame["branch"],
        )
        link = shape.examine(levels, margin=rule.indifference_margin, seed=seed)
        margin = followup.margin_per_loyal(follow.frame)
        steps = followup.step_worth(link.levels, margin)
        later = ahead.value_ahead(scope, follow.frame)
        steps_ahead = followup.step_worth(link.levels, later.gap) if later.gap is not None else []
        unscored = followup.missing_by_outcome(
            _scored_or_not(scope), payments, scope.coverage, as_of=scope.as_of, rule=rule
        )
    since, earlier = _earlier(answers, rows, scope)
    until = min(scope.period.end, scope.as_of)
    trend = waves.over_time(answers, survey, until=until, fewest=profile.privacy.min_cell)
    others = _others(scope)
    stated = _stated(answers, recent, rule.indifference_margin, seed)
    return Study(
        of_all=scope.branch == further.ALL,
        period=scope.period,
        as_of=scope.as_of,
        answers=answers,
        period_rows=rows,
        wave=wave,
        changed=_change(answers, whole, wave, earlier, survey, since),
        item_gaps=gaps.item_gaps(whole, earlier, answers),
        item_spread=gaps.item_spread(whole, answers),
        trend=trend,
        trend_spread=waves.spread(answers, trend),
        expectations=servqual.examine(whole, answers, fewest=gaps.FEWEST),
        kinds=_kinds(scope, answers, others),
        follow=follow,
        link=link,
        steps=tuple(steps),
        ahead=later,
        steps_ahead=tuple(steps_ahead),
        stated=stated,
        further=further.look_further(
            scope, answers, recent, follow, link, survey=survey, shown=shape.of_interest(link, stated)[0], seed=seed
        ),
        types=types.classify(follow, answers, types.commitments_of(scope), rule) if follow is not None else None,
        drivers=driving.importance(
            recent,
            answers,
            index=measure.respondent_index(recent, *measure.index_settings(answers, survey)),
            followed=None if follow is None else follow.frame,
            seed=seed,
        ),
        paths=paths,
        staff=_staff(scope, others),
        branches=measure.by_branch(answers, survey, rows, fewest=BRANCH_FEWEST) if scope.branch == further.ALL else {},
        index_weights={name: weight / sum(weights_of_index.values()) for name, weight in weights_of_index.items()},
        index_basis=basis,
        unscored=unscored,
        missing=tuple(table for table in ("survey_responses",) if not scope.has(table)),
        margin=rule.indifference_margin,
        min_cell=profile.privacy.min_cell,
        queries=_queries(scope),
    )


def _queries(scope: Scope) -> dict[str, str]:
    if not scope.has("survey_responses"):
        return {}
    given = reading.given(scope)
    found = {"answers": given}
    if scope.has("transactions") and {"response_id", "customer_id"} <= set(given.columns):
        found["followed"] = followup.followed_up(
            given,
            scope.table("transactions"),
            rule=scope.profile.loyalty,
            margin_rate=scope.profile.margin.rate,
        )
    return {name: str(ibis.to_sql(expression, dialect="duckdb")) for name, expression in found.items()}


def _earlier(answers: reading.Answers, rows: pd.DataFrame, scope: Scope) -> tuple[str, pd.DataFrame | None]:
    """The answers to compare with: the period before, else the last survey wave before the period, with its name."""
    before = scope.previous()
    if len(rows) < shape.FEWEST_ANSWERS:
        return "", None
    if before is not None:
        earlier = answers.between(before.period.start, min(before.period.end, before.as_of), unscored=True)
        if earlier["satisfaction"].notna().sum() >= shape.FEWEST_ANSWERS:
            return "", earlier
    name, earlier = waves.before(answers, scope.period.start)
    return (name, earlier) if earlier["satisfaction"].notna().sum() >= shape.FEWEST_ANSWERS else ("", None)


def _change(
    answers: reading.Answers,
    rows: pd.DataFrame,
    wave: measure.Wave,
    earlier: pd.DataFrame | None,
    survey: Survey,
    since: str,
) -> measure.WaveChange | None:
    if earlier is None:
        return None
    past = measure.measure(earlier, answers, survey)
    return measure.change(
        wave, past, later_rows=rows, earlier_rows=earlier, answers=answers, survey=survey, since=since
    )


def _others(scope: Scope) -> reading.Answers | None:
    """The answers of staff and dealers; None where the survey does not say who answered, or none of them did."""
    if not scope.has("survey_responses") or "respondent_kind" not in scope.columns("survey_responses"):
        return None
    others = reading.load(scope, kinds=reading.STAFF_KINDS)
    return others if others.n else None


def _kinds(scope: Scope, answers: reading.Answers, others: reading.Answers | None) -> pd.DataFrame:
    """Staff and dealers of the last twelve months beside the customers of the same days, by branch."""
    if others is None:
        return pd.DataFrame(columns=list(waves.KIND_COLUMNS))
    return waves.kinds_by_branch(
        answers,
        others,
        scope.profile.survey,
        first=add_months(scope.as_of, -DRIVER_MONTHS),
        last=scope.as_of,
        fewest=scope.profile.privacy.min_cell,
    )


def _stated(answers: reading.Answers, rows: pd.DataFrame, margin: float, seed: int) -> dict[str, shape.Shape]:
    """The link to what respondents say: promoters (9, 10 of 0-10), or the top two levels of another scale."""
    found = {}
    for name, item in answers.items.items():
        if item.role in ("recommend", "repurchase"):
            given = rows[rows[name].notna()]
            levels = shape.tabulate(
                given["satisfaction"],
                given[name] >= measure.loyal_from(item.scale),
                scale=answers.scale,
                weights=given["weight"] if answers.weighted else None,
                branches=given["branch"],
            )
            found[name] = shape.examine(levels, margin=margin, seed=seed)
    return found


def _staff(scope: Scope, others: reading.Answers | None) -> measure.Wave | None:
    if others is None:
        return None
    rows = others.between(add_months(scope.as_of, -DRIVER_MONTHS), scope.as_of)
    return measure.measure(rows, others, scope.profile.survey) if len(rows) >= scope.profile.privacy.min_cell else None


def _scored_or_not(scope: Scope) -> pd.DataFrame:
    """Questionnaires of customers with their score or its absence, codes counting as absent."""
    table = scope.table("survey_responses")
    names = [n for n in ("response_id", "customer_id", "branch", "answered_on", "satisfaction") if n in table.columns]
    raw = (
        table.select(*names)
        .to_pandas()
        .reindex(columns=["response_id", "customer_id", "branch", "answered_on", "satisfaction"])
    )
    raw["satisfaction"] = pd.to_numeric(raw["satisfaction"], errors="coerce")
    raw["satisfaction"] = raw["satisfaction"].mask(raw["satisfaction"].isin(scope.profile.survey.satisfaction.codes))
    return raw


def lists(study: Study, scope: Scope) -> dict[str, pd.DataFrame]:
    """What `crm-analysis list` exports: customers to call back, and answers outside their scale as they were given."""
    return {
        "very_dissatisfied_valuable": very_dissatisfied_valuable(study, scope),
        "answers_off_scale": study.answers.off_scale,
    }


def very_dissatisfied_valuable(study: Study, scope: Scope) -> pd.DataFrame:
    """Customers to call back: on the lowest level in the period, among the most valuable quarter of respondents.

    Value is what the customer paid in the 365 days up to `as_of`. For exports only. Columns: customer_id, branch,
    answered_on, satisfaction, paid_last_year.
    """
    columns = ["customer_id", "branch", "answered_on", "satisfaction", "paid_last_year"]
    rows = study.period_rows[study.period_rows["customer_id"].notna()]
    if rows.empty or not scope.has("transactions"):
        return pd.DataFrame(columns=columns)
    value = followup.paid_within(scope.table("transactions"), study.as_of)
    rows = rows.merge(value, on="customer_id", how="left").fillna({"paid_last_year": 0.0})
    rows = rows.sort_values(["customer_id", "answered_on"], kind="stable").drop_duplicates("customer_id", keep="last")
    bar = rows["paid_last_year"].quantile(VALUABLE_QUANTILE)
    chosen = rows[(rows["satisfaction"] <= study.answers.scale[0]) & (rows["paid_last_year"] >= max(bar, 1e-9))]
    return chosen.sort_values("paid_last_year", ascending=False, kind="stable")[columns].reset_index(drop=True)
