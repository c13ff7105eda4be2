"""How satisfied respondents are: index 0-100, boxes, distribution, net promoter score, and change between waves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.estimators.proportions import (
    Difference,
    Estimate,
    detectable,
    effective_n,
    linear_scores,
    two_means,
    weighted_mean,
    wilson_limits,
)
from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.shape import bands

PROMOTER, DETRACTOR = 9, 6
RECOMMEND_SCALE = (0, 10)


def loyal_from(scale: tuple[float, float]) -> float:
    """From which answer an intent counts as loyal: 9 of 0 to 10, the second highest level of another scale."""
    return PROMOTER if scale == RECOMMEND_SCALE else scale[1] - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Satisfaction of one group of answers.

    `index` is on 0-100; `mean` that of overall satisfaction on its own scale; the boxes are shares; `nps` is on -100 to
    100 and None without a 0-10 recommend item. `distribution` has one row per level: score, label, n, share, low, high,
    parts (its answers in each branch).
    `repeats` counts answers beyond the first of the same customer: such a customer counts as one draw in every standard
    error. `promoters` has the answers behind `nps`: score, group (detractors, passives, promoters), n, share,
    parts.
    """

    n: int
    index: Estimate
    mean: Estimate
    top_box: Estimate
    top_two: Estimate
    bottom_box: Estimate
    nps: Estimate | None
    distribution: pd.DataFrame
    index_items: tuple[str, ...]
    repeats: int
    promoters: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveChange:
    """A later wave beside an earlier one; `panel` counts customers who answered both.

    The differences carry the covariance of those customers' answers. `detectable_index` and `detectable_top_box` are
    the smallest true changes that would have been seen with 80 % power. `since` names an earlier survey wave; it is
    empty where the earlier answers are those of the period before.
    """

    index: Difference
    mean: Difference
    top_box: Difference
    nps: Difference | None
    previous: Wave
    panel: int
    detectable_index: float
    detectable_top_box: float
    since: str = ""


def respondent_index(
    items: pd.DataFrame, scales: Mapping[str, tuple[float, float]], weights: Mapping[str, float] | None = None
) -> pd.Series:
    """Index 0-100 of every respondent: sum of w_i (x_i - low_i) / (high_i - low_i) * 100, weights normalised.

    The ACSI form (Fornell, Johnson, Anderson, Cha and Bryant 1996, p. 17) on unstandardised items; equal weights where
    none are given. Missing where a respondent left out any item of the index.
    """
    w = {name: 1.0 for name in scales} if weights is None else {name: float(weights.get(name, 0.0)) for name in scales}
    total = sum(w.values())
    if total <= 0:
        raise ValueError("the weights of the index add up to nothing")
    return sum(
        (w[name] / total * (items[name] - low) / (high - low) * 100.0 for name, (low, high) in scales.items()),
        start=pd.Series(0.0, index=items.index),
    )


def index_settings(answers: Answers, survey: Survey) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Scales and weights of the index's items: those the profile weighs, else overall satisfaction alone."""
    scales = {"satisfaction": survey.satisfaction.scale} | {name: item.scale for name, item in answers.items.items()}
    weights = {name: w for name, w in survey.index_weights.items() if w > 0 and name in scales}
    if not weights:
        weights = {"satisfaction": 1.0}
    return {name: scales[name] for name in weights}, weights


def people(rows: pd.DataFrame) -> np.ndarray | None:
    """Who gave each answer, where somebody gave several; anonymous answers stand alone. None where nobody did."""
    known = rows["customer_id"].notna()
    if not rows.loc[known, "customer_id"].duplicated().any():
        return None
    alone = pd.Series([f"\n{k}" for k in range(len(rows))], index=rows.index)
    return rows["customer_id"].astype(object).where(known, alone).to_numpy()


def mean_of(values: pd.Series, rows: pd.DataFrame, answers: Answers, *, correction: bool = True) -> Estimate:
    """Mean of `values`, aligned with `rows` of `answers.frame`, under the survey's design; missing values left out."""
    given = values.notna()
    kept = rows[given]
    return weighted_mean(
        values[given].astype(float),
        weights=kept["weight"] if answers.weighted else None,
        strata=kept["stratum"].fillna("") if answers.stratified else None,
        clusters=people(kept),
        correction=correction,
    )


def measure(rows: pd.DataFrame, answers: Answers, survey: Survey) -> Wave:
    """Satisfaction of `rows`, a part of `answers.whole`, with weights and strata where the survey has them.

    Rows without an overall score count for the items alone, the promoters among them; `n` leaves them out. The index
    has `survey.index_weights`, given or estimated, on unstandardised items.
    """
    low, high = answers.scale
    scored = rows[rows["satisfaction"].notna()]
    score = scored["satisfaction"]
    scales, weights = index_settings(answers, survey)
    recommend = recommend_item(answers)
    return Wave(
        n=len(scored),
        index=mean_of(respondent_index(rows, scales, weights), rows, answers),
        mean=mean_of(score, scored, answers),
        top_box=_box(score >= high, scored, answers),
        top_two=_box(score >= high - 1, scored, answers),
        bottom_box=_box(score <= low, scored, answers),
        nps=_nps(rows, answers),
        distribution=distribution(
            score,
            answers.scale,
            scored["weight"].to_numpy(float) if answers.weighted else None,
            branches=scored["branch"],
        ),
        index_items=tuple(scales),
        repeats=int(scored["customer_id"].dropna().duplicated().sum()),
        promoters=promoters(rows[recommend], rows["weight"], branches=rows["branch"])
        if recommend
        else promoters(pd.Series(dtype=float)),
    )


def _box(hit: pd.Series, rows: pd.DataFrame, answers: Answers) -> Estimate:
    """A share with its linearised standard error and Wilson's interval on the effective n of the design.

    The effective n is the one that gives a simple sample the linearised standard error (Korn and Graubard 1998), at
    most the number of answers; at 0 and 1, Kish's.
    """
    linear = mean_of(hit.astype(float), rows, answers)
    if linear.n == 0:
        return linear
    worth, spread = linear.n_effective, linear.mean * (1 - linear.mean)
    if worth < linear.n and spread > 0 and linear.se > 0:
        worth = min(spread / linear.se**2 + 1, float(linear.n))
    low, high = wilson_limits(linear.mean, worth)
    return Estimate(
        mean=linear.mean,
        se=linear.se,
        low=float(low),
        high=float(high),
        n=linear.n,
        n_effective=worth,
        level=linear.level,
        basis="Wilson 95%",
    )


def recommend_item(answers: Answers) -> str:
    """The item asked from 0 to 10 whether respondents would recommend; empty where there is none."""
    names = [n for n, item in answers.items.items() if item.role == "recommend" and item.scale == RECOMMEND_SCALE]
    return names[0] if names else ""


def promoter_signs(scores: pd.Series) -> pd.Series:
    """100 for promoters (9, 10), -100 for detractors (0 to 6), 0 between, missing where there is no answer."""
    signs = 100.0 * ((scores >= PROMOTER).astype(float) - (scores <= DETRACTOR).astype(float))
    return signs.where(scores.notna())


def promoters(
    scores: pd.Series, weights: pd.Series | None = None, *, branches: pd.Series | None = None
) -> pd.DataFrame:
    """The answers from 0 to 10 behind the score: score, group, n, share (weighted), parts (n of each branch, in order
    of name); empty without answers.

    Shares add up to one; those of the group `promoters` less those of the group `detractors` are the score.
    """
    given = scores.dropna()
    columns = ["score", "group", "n", "share", "parts"]
    if given.empty:
        return pd.DataFrame(columns=columns)
    w = pd.Series(1.0, index=given.index) if weights is None else weights[given.index]
    levels = np.arange(RECOMMEND_SCALE[0], RECOMMEND_SCALE[1] + 1)
    at = given.round().astype(int).to_numpy()
    of = pd.Series("", index=given.index) if branches is None else branches[given.index].astype(str)
    return pd.DataFrame(
        {
            "score": levels,
            "group": np.where(levels >= PROMOTER, "promoters", np.where(levels <= DETRACTOR, "detractors", "passives")),
            "n": np.bincount(at, minlength=levels.size),
            "share": np.bincount(at, weights=w.to_numpy(float), minlength=levels.size) / float(w.sum()),
            "parts": _parts(at, of, levels.size),
        }
    )[columns]


def groups_of(table: pd.DataFrame) -> list[tuple[int, ...]]:
    """Of a table as `promoters` gives it, the number of each group in each branch."""
    return [tuple(map(sum, zip(*parts, strict=True))) for _group, parts in table.groupby("group")["parts"]]


def _nps(rows: pd.DataFrame, answers: Answers) -> Estimate | None:
    name = recommend_item(answers)
    if not name:
        return None
    return mean_of(promoter_signs(rows[name]), rows, answers, correction=answers.weighted or answers.stratified)


def net_promoter_score(
    scores: pd.Series, *, weights: pd.Series | None = None, strata: pd.Series | None = None
) -> Estimate:
    """Promoters (9, 10) less detractors (0 to 6), in points from -100 to 100, from answers on 0 to 10.

    Without weights the standard error is the multinomial one.
    """
    signs = promoter_signs(scores)
    return weighted_mean(signs, weights=weights, strata=strata, correction=weights is not None or strata is not None)


def distribution(
    scores: pd.Series,
    scale: tuple[float, float],
    weights: np.ndarray | None = None,
    *,
    branches: pd.Series | None = None,
) -> pd.DataFrame:
    """Share of answers per level: score, label, n, share, low, high; shares add up to one.

    With the branch of every answer also parts: how many of a level's answers are of each branch, in order of name.
    """
    w = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=float)
    s = scores.to_numpy(float)
    edges = bands(scale)
    at = np.searchsorted([top for _, top in edges], np.floor(s), side="left").clip(max=len(edges) - 1)
    total, worth = w.sum(), effective_n(w)
    share = np.bincount(at, weights=w, minlength=len(edges)) / total if total > 0 else np.full(len(edges), np.nan)
    lower, upper = wilson_limits(share, worth)
    found = pd.DataFrame(
        {
            "score": [(first + last) / 2 for first, last in edges],
            "label": [f"{first:g}" if first == last else f"{first:g}-{last:g}" for first, last in edges],
            "n": np.bincount(at, minlength=len(edges)),
            "share": share,
            "low": lower,
            "high": upper,
        }
    )
    if branches is None:
        return found
    return found.assign(parts=_parts(at, branches.astype(str), len(edges)))


def _parts(at: np.ndarray, branches: pd.Series, levels: int) -> list[tuple[int, ...]]:
    """How many answers of each level are of each branch."""
    names, of = np.unique(branches, return_inverse=True)
    counts = np.bincount(at * len(names) + of, minlength=levels * len(names)).reshape(levels, len(names))
    return [tuple(row) for row in counts.tolist()]


def panel_covariance(
    earlier: pd.Series, later: pd.Series, *, earlier_rows: pd.DataFrame, later_rows: pd.DataFrame, weighted: bool
) -> float:
    """Covariance of two weighted means that is due to customers who answered both waves.

    The sum over those customers of the product of their linearised scores (Kish 1965, section 12.4, in linearised
    form); zero without any. Assumes that other customers were drawn independently.
    """
    parts = []
    for values, rows in ((earlier, earlier_rows), (later, later_rows)):
        given = values.notna()
        weights = rows.loc[given, "weight"] if weighted else None
        n = int(given.sum())
        scores = pd.Series(linear_scores(values[given], weights)) * (np.sqrt(n / (n - 1)) if n > 1 else 0.0)
        parts.append(scores.groupby(rows.loc[given, "customer_id"].to_numpy()).sum())  # missing ids are no group
    both = pd.concat(parts, axis=1, join="inner")
    return float((both.iloc[:, 0] * both.iloc[:, 1]).sum())


def change(
    later: Wave,
    earlier: Wave,
    *,
    later_rows: pd.DataFrame,
    earlier_rows: pd.DataFrame,
    answers: Answers,
    survey: Survey,
    since: str = "",
) -> WaveChange:
    """Later less earlier, with both standard errors and the covariance of customers who answered both waves."""
    both = set(later_rows["customer_id"].dropna()) & set(earlier_rows["customer_id"].dropna())
    scales, weights = index_settings(answers, survey)
    recommend, top = recommend_item(answers), answers.scale[1]

    def shared(value: Callable[[pd.DataFrame], pd.Series]) -> float:
        if not both:
            return 0.0
        return panel_covariance(
            value(earlier_rows),
            value(later_rows),
            earlier_rows=earlier_rows,
            later_rows=later_rows,
            weighted=answers.weighted,
        )

    def at_top(rows: pd.DataFrame) -> pd.Series:
        score = rows["satisfaction"]
        return (score >= top).astype(float).where(score.notna())

    index = two_means(
        earlier.index, later.index, covariance=shared(lambda rows: respondent_index(rows, scales, weights))
    )
    top_box = two_means(earlier.top_box, later.top_box, covariance=shared(at_top))
    nps = None
    if earlier.nps is not None and later.nps is not None and earlier.nps.n and later.nps.n:
        nps = two_means(earlier.nps, later.nps, covariance=shared(lambda rows: promoter_signs(rows[recommend])))
    return WaveChange(
        index=index,
        mean=two_means(earlier.mean, later.mean, covariance=shared(lambda rows: rows["satisfaction"])),
        top_box=top_box,
        nps=nps,
        previous=earlier,
        panel=len(both),
        detectable_index=detectable(index.se),
        detectable_top_box=detectable(top_box.se),
        since=since,
    )


def by_branch(answers: Answers, survey: Survey, rows: pd.DataFrame, *, fewest: int) -> dict[str, Wave]:
    """Every branch with at least `fewest` answers in `rows`, in order of name."""
    return {
        str(branch): measure(part, answers, survey)
        for branch, part in rows.groupby("branch", sort=True)
        if len(part) >= fewest
    }
