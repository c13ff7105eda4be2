"""Satisfaction over survey waves, and staff and dealers beside customers."""

from __future__ import annotations

from datetime import date

import pandas as pd

from crm_analysis.profile.settings import Survey
from crm_analysis.satisfaction_loyalty.answers import Answers
from crm_analysis.satisfaction_loyalty.measure import distribution, groups_of, measure

MOST_WAVES = 8
WAVE_COLUMNS = (
    "wave",
    "first",
    "last",
    "n",
    "index",
    "index_low",
    "index_high",
    "top_box",
    "top_low",
    "top_high",
    "nps",
    "nps_low",
    "nps_high",
    "nps_groups",
)
KIND_COLUMNS = ("branch", "kind", "n", "index", "index_low", "index_high", "top_box", "low", "high", "levels")


def named(rows: pd.DataFrame) -> pd.Series:
    """The wave of every answer as the survey names it, else the half year of the answer."""
    when = rows["answered_on"]
    half = when.dt.year.astype(str) + "H" + ((when.dt.month > 6).astype(int) + 1).astype(str)
    return rows["wave"].astype("string").mask(lambda wave: wave == "").fillna(half.astype("string"))


def over_time(answers: Answers, survey: Survey, *, until: date, fewest: int) -> pd.DataFrame:
    """One row per wave up to `until`, earliest first, with `WAVE_COLUMNS`; the last `MOST_WAVES`.

    Waves with fewer than `fewest` answers are left out. Intervals are those of `measure`. `nps_groups` are the
    numbers of promoters, passives and detractors, see `measure.groups_of`.
    """
    rows = answers.whole[answers.whole["answered_on"] <= pd.Timestamp(until)]
    found = []
    for name, part in rows.groupby(named(rows), sort=True):
        wave = measure(part, answers, survey)
        if wave.n < fewest:
            continue
        score = wave.nps
        found.append(
            (
                name,
                part["answered_on"].min().date(),
                part["answered_on"].max().date(),
                wave.n,
                *(wave.index.mean, wave.index.low, wave.index.high),
                *(wave.top_box.mean, wave.top_box.low, wave.top_box.high),
                *((score.mean, score.low, score.high) if score is not None else (float("nan"),) * 3),
                groups_of(wave.promoters),
            )
        )
    table = pd.DataFrame(found, columns=list(WAVE_COLUMNS))
    return table.sort_values(["first", "wave"], kind="stable").tail(MOST_WAVES).reset_index(drop=True)


def spread(answers: Answers, trend: pd.DataFrame) -> pd.DataFrame:
    """The whole distribution of every wave of `over_time`: wave, place (0 is lowest), label, n, share, parts."""
    names = named(answers.frame)
    found = []
    for wave in trend["wave"]:
        rows = answers.frame[names == wave]
        weights = rows["weight"].to_numpy(float)
        levels = distribution(rows["satisfaction"], answers.scale, weights, branches=rows["branch"])
        found.append(levels.assign(wave=wave, place=range(len(levels))))
    columns = ["wave", "place", "label", "n", "share", "parts"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def before(answers: Answers, start: date) -> tuple[str, pd.DataFrame]:
    """Name and answers of the last named wave that ended before `start`; an empty name where there is none."""
    every = answers.whole
    rows = every[every["wave"].astype("string").fillna("") != ""]
    ends = rows.groupby("wave")["answered_on"].max()
    ended = ends[ends < pd.Timestamp(start)].sort_values()
    if ended.empty:
        return "", every.head(0)
    return str(ended.index[-1]), rows[rows["wave"] == ended.index[-1]]


def kinds_by_branch(
    answers: Answers, others: Answers, survey: Survey, *, first: date, last: date, fewest: int
) -> pd.DataFrame:
    """Customers, staff and dealers of every branch in the same days, by the same functions; `KIND_COLUMNS`.

    `levels` is the whole distribution, from the lowest level up: label, n and share of each.
    Only branches in which somebody other than a customer answered; cells with fewer than `fewest` answers are left out.
    """
    there = others.between(first, last)
    rows = pd.concat([answers.between(first, last), there], ignore_index=True)
    rows = rows[rows["branch"].isin(there["branch"])]
    found = []
    for (branch, kind), part in rows.groupby(["branch", "respondent_kind"], sort=True):
        if len(part) >= fewest:
            wave = measure(part, answers if kind == "customer" else others, survey)
            box, index = wave.top_box, wave.index
            levels = tuple(wave.distribution[["label", "n", "share"]].itertuples(index=False, name=None))
            scores = (index.mean, index.low, index.high, box.mean, box.low, box.high)
            found.append((branch, kind, wave.n, *scores, levels))
    return pd.DataFrame(found, columns=list(KIND_COLUMNS))
