"""Names of levels, items and customers, and the pieces that several topics print."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.measure import Wave, groups_of

OVERALL = "satisfaction"
SOLVED_BY_MEAN = 3  # hidden levels that a total and a mean no longer solve


def level_name(profile: Profile, label: str) -> str:
    """The name of a level; of merged levels, all their names; the score itself where the profile names none."""
    names = profile.survey.level_names
    found = []
    for part in label.split("+"):
        score = int(part) if part.lstrip("-").isdigit() else None
        known = names.get(score) if score is not None else None
        found.append(profile.text(known, language.active()) if known else _("score {score}").format(score=part))
    return " / ".join(found)


def item_name(profile: Profile, item: str) -> str:
    """The label of a survey item, or its column name; of overall satisfaction likewise."""
    if item == OVERALL:
        label = profile.survey.satisfaction.label
        return profile.text(label, language.active()) if label else _("overall satisfaction")
    settings = profile.survey.items.get(item)
    return (profile.text(settings.label, language.active()) if settings and settings.label else "") or item


def dimension_name(dimension: str) -> str:
    """The name of a dimension: the five of SERVQUAL in words, others as the profile writes them."""
    known = {
        "reliability": _("reliability"),
        "assurance": _("assurance"),
        "tangibles": _("tangibles"),
        "empathy": _("empathy"),
        "responsiveness": _("responsiveness"),
    }
    return known.get(dimension, style.plain(dimension.replace("_", " ")))


def who(profile: Profile) -> str:
    """The organisation's word for customers, as a table head."""
    word = profile.vocabulary(language.active()).customers
    return word[:1].upper() + word[1:]


def intervals(low: pd.Series, high: pd.Series, unit: str, currency: str = "") -> list[str]:
    return [style.interval(a, b, unit, currency) for a, b in zip(low, high, strict=True)]


def share_row(name: str, n: int, share: float, low: float, high: float, profile: Profile) -> tuple[str, ...]:
    if privacy.small(n, profile.privacy.min_cell):
        return name, privacy.count(n, profile.privacy.min_cell), style.DASH, style.DASH
    part, cell = round(share * n) if n else 0, profile.privacy.min_cell
    if privacy.tells(part, n, cell):
        return name, style.number(n), style.share(part, n, cell), style.DASH
    return name, style.number(n), style.percent(share), style.interval(low, high, "share")


def levels_hidden(counts: pd.Series, min_cell: int, parts: pd.Series | None = None) -> pd.Series:
    """Which levels of a scale, from the lowest up, are hidden (True) beside their total and their mean score.

    Those that `privacy.hide` hides, and further ones until total and mean leave every small count at least two values:
    levels in the middle first, as pages tell the share of the lowest and of the two highest by themselves.

    `parts` are the counts of each branch, as `measure.distribution` has them: a level that one branch alone hides on
    its own page is hidden of all too, with others until three are, as total and mean would solve two.
    """
    hidden = privacy.hide(counts, min_cell)
    of_branches = np.array([]) if parts is None else np.array(parts.tolist())
    told = np.zeros(len(counts), dtype=bool)
    if of_branches.ndim > 1 and of_branches.shape[1] > 1:
        own = pd.DataFrame(of_branches).apply(lambda n: (n > 0) if n.sum() < min_cell else levels_hidden(n, min_cell))
        told = (own.sum(axis=1) == 1).to_numpy() | [privacy.total_tells(row, min_cell) for row in of_branches]
        hidden |= told
    last = len(counts) - 1
    rest = sorted(
        (place for place in range(len(counts)) if not hidden.iloc[place]),
        key=lambda place: (
            not counts.iloc[place],
            place in (0, last - 1, last),
            place in (last - 1, last),
            counts.iloc[place],
        ),
    )
    for place in rest:
        if _mean_leaves_open(counts, hidden, min_cell) and (not told.any() or hidden.sum() >= SOLVED_BY_MEAN):
            break
        hidden.iloc[place] = True
    return hidden


def top_hidden(levels: pd.DataFrame, min_cell: int) -> bool:
    """Whether the share on the highest level tells a count that is too small to show, or one hidden for its sake."""
    counts = levels["n"]
    hidden = levels_hidden(counts, min_cell, levels.get("parts"))
    return bool(hidden.iloc[-1]) or privacy.tells(counts.iloc[-1], counts.sum(), min_cell)


def score_told(wave: Wave, min_cell: int) -> bool:
    """Whether the net promoter score, beside its number of answers and its interval, tells a group of too few.

    It gives promoters less detractors, its standard error both together: so the number in each of the three groups.
    """
    return groups_told(groups_of(wave.promoters), min_cell)


def groups_told(groups: list[tuple[int, ...]], min_cell: int) -> bool:
    """Whether a group, see `measure.groups_of`, is too small to show or would tell a small one of a branch."""
    return any(privacy.small(sum(parts), min_cell) or privacy.total_tells(parts, min_cell) for parts in groups)


def levels_shown(counts: pd.Series, min_cell: int, parts: pd.Series | None = None) -> list[str]:
    """The counts of the levels of a scale as text, beside their total and their mean score."""
    hidden = levels_hidden(counts, min_cell, parts)
    marked = _mean_leaves_open(counts, hidden, min_cell)
    return [
        privacy.count(int(n), min_cell) if not veiled or (marked and privacy.small(n, min_cell)) else _("withheld")
        for n, veiled in zip(counts, hidden, strict=True)
    ]


def _mean_leaves_open(counts: pd.Series, hidden: pd.Series, min_cell: int) -> bool:
    """Whether every small count may have two values, to one who knows sum and mean score of the hidden levels."""
    veiled = {place: int(n) for place, (n, hide) in enumerate(zip(counts, hidden, strict=True)) if hide}
    few = [place for place, n in veiled.items() if privacy.small(n, min_cell)]
    others = [place for place in veiled if place not in few]
    total, score = sum(veiled.values()), sum(place * n for place, n in veiled.items())
    seen: dict[int, set[int]] = {place: set() for place in few}
    for values in product(range(1, min_cell), repeat=len(few)):
        guess = dict(zip(few, values, strict=True))
        left, rest = total - sum(values), score - sum(place * n for place, n in guess.items())
        if _fits(others, left, rest, min_cell):
            for place, n in guess.items():
                seen[place].add(n)
        if all(len(found) > 1 for found in seen.values()):
            return True
    return False


def _fits(places: list[int], left: int, score: int, min_cell: int) -> bool:
    """Whether counts of nothing or at least `min_cell` at `places` can have the sums `left`, and `score` of scores."""
    if left < 0 or score < 0:
        return False
    if not places:
        return left == score == 0
    place, rest = places[0], places[1:]
    if not rest:
        return place * left == score and not privacy.small(left, min_cell)
    if len(rest) == 1:
        n, uneven = divmod(rest[0] * left - score, rest[0] - place)
        return not uneven and 0 <= n <= left and not any(privacy.small(each, min_cell) for each in (n, left - n))
    return any(_fits(rest, left - n, score - place * n, min_cell) for n in (0, *range(min_cell, left + 1)))
