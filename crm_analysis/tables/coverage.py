"""How far the data of each branch reach, so that silence of the data is never read as silence of the customers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crm_analysis.errors import DataError
from crm_analysis.profile import Profile

USUAL = 0.95
STRAY_SHARE = 0.05
TAIL_DAYS = 5
SILENT_FACTOR = 3.0
FEWEST_GAPS = 10  # of a branch: below that nobody can tell a pause from an end
COLUMNS = ["branch", "first_day", "last_covered_day", "silent", "source"]


def usual_gap(days: pd.Series, *, fewest: int = 2) -> float:
    """Days between active days that 95 of 100 gaps do not exceed; not-a-number with fewer than `fewest` gaps."""
    gaps = days.drop_duplicates().sort_values().diff().dt.days.dropna()
    return float(np.quantile(gaps, USUAL, method="higher")) if len(gaps) >= fewest else float("nan")


def data_end(days: pd.DataFrame, profile: Profile) -> date:
    """The last day that the data set covers: everything dated later is in the future.

    `days`: branch, day, rows of the transactions. The profile's `coverage.data_ends_on` decides where it is given.
    Otherwise it is found from all branches together. Beginning at the last active day, misdated rows are cut off: a
    tail that begins after a silence (longer than `coverage.silent_after_days` and three usual gaps) and holds less
    than five usual days' rows, or a day that stands farther behind the day before than the usual gap and holds less
    than a twentieth of a usual day's rows. If the days left to the month's end are no more than the usual gap, as over
    a weekend, the month counts as covered to its end.

    Raises DataError when no row has a date.
    """
    if profile.coverage.data_ends_on is not None:
        return profile.coverage.data_ends_on
    daily = days.dropna(subset=["day"]).groupby("day")["rows"].sum().sort_index()
    if daily.empty:
        raise DataError("transactions.occurred_at: no row has a date. Map `occurred_at` to the column that holds it.")
    active = pd.Series(pd.to_datetime(daily.index))
    usual, typical = usual_gap(active), float(daily.median())
    silence = max(profile.coverage.silent_after_days, SILENT_FACTOR * usual)
    last = len(daily) - 1
    for place in range(len(daily) - 1, 0, -1):
        apart = (active[place] - active[place - 1]).days
        tail, day = daily.iloc[place : last + 1].sum(), daily.iloc[place]
        if tail >= TAIL_DAYS * typical:
            break
        if apart > silence or (place == last and apart > usual and day < STRAY_SHARE * typical):
            last = place - 1
    end = active[last]
    month_end = end + pd.offsets.MonthEnd(0)
    return (month_end if (month_end - end).days <= usual else end).date()


def coverage(
    days: pd.DataFrame, profile: Profile, ends: date, controls: Mapping[str, date], closed: Mapping[str, date]
) -> pd.DataFrame:
    """First day, last covered day and silence of every branch.

    The last covered day is, in this order: the finance office's `control_totals.covered_to` (`controls`), the
    profile's `coverage.last_covered_day`, the day a branch was closed (`closed`), and otherwise found: a branch is
    silent when the time from its last active day to the end of the data exceeds both `coverage.silent_after_days` and
    three times its own usual gap between active days; it is then covered to its last active day. Any other branch is
    covered to the end of the data, and so is one with fewer than ten gaps, whose rhythm nobody can know. Rows dated
    after the end of the data extend nothing.
    """
    seen = days.dropna(subset=["day", "branch"])
    seen = seen[seen["day"] <= pd.Timestamp(ends)]
    lines = []
    for branch, own in seen.groupby("branch", sort=True):
        name = str(branch)
        first, last = own["day"].min().date(), own["day"].max().date()
        usual = usual_gap(own["day"], fewest=FEWEST_GAPS)
        limit = max(float(profile.coverage.silent_after_days), SILENT_FACTOR * usual) if usual == usual else usual
        if name in controls:
            covered, source = min(controls[name], ends), "control totals"
        elif name in profile.coverage.last_covered_day:
            covered, source = min(profile.coverage.last_covered_day[name], ends), "profile"
        elif name in closed and closed[name] <= ends:
            covered, source = closed[name], "closed"
        elif limit == limit and (ends - last) > timedelta(days=limit):
            covered, source = last, "last row"
        else:
            covered, source = ends, "end of data"
        lines.append((name, first, covered, covered < ends and source != "closed", source))
    frame = pd.DataFrame(lines, columns=COLUMNS)
    return frame.astype({"silent": bool})
