"""How long commitments last, counted in renewals: from counts of survivors, or from the commitments themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crm_analysis.errors import DataError, listed

LAPSED_AFTER_MONTHS = 6


@dataclass(frozen=True, slots=True)
class Tenures:
    """One row per commitment (a regular transfer, a contract, a membership), indexed by commitment: renewals made after
    the first payment, and whether it then ended (bool). Where it did, the next renewal was due and did not come; where
    it did not, the next renewal has not been decided yet (right-censored). A renewal falls due every `cycle_months`.

    Optional column seen_from: the renewals made before observation began (left-truncated, 0 by default): those who
    ended earlier are unknown, so that a commitment tells about its later renewals alone.
    """

    frame: pd.DataFrame
    cycle_months: int
    as_of: date | None = None

    def __post_init__(self) -> None:
        if not (self.cycle_months >= 1 and self.cycle_months == int(self.cycle_months)):
            raise DataError(f"A cycle of {self.cycle_months} months makes no sense: give a whole number, 1 or more.")
        lacking = [name for name in ("renewals", "ended") if name not in self.frame]
        if lacking:
            raise DataError(
                "Tenures need the columns renewals (those made) and ended (true or false); "
                f"there is no {', no '.join(lacking)}."
            )
        renewals, ended = self.frame["renewals"].to_numpy(float), self.frame["ended"]
        seen_from = self.frame["seen_from"].to_numpy(float) if "seen_from" in self.frame else np.zeros(len(renewals))
        faults = {
            "have a number of renewals missing or negative": ~((renewals >= 0) & np.isfinite(renewals)),
            "have a number of renewals that is no whole number": renewals != np.floor(renewals),
            "do not say whether they ended (true or false)": ~ended.isin([True, False]).to_numpy(bool),
            "were seen later than their last renewal (seen_from > renewals)": ~(seen_from <= renewals),
        }
        for what, wrong in faults.items():
            if wrong.any():
                row = self.frame.loc[wrong].iloc[0]
                raise DataError(
                    f"{int(wrong.sum())} of {len(self.frame)} tenures {what}; first: renewals {row['renewals']}, "
                    f"ended {row['ended']}. Make them with `tenures` or `tenures_from_survivors`."
                )

    def __len__(self) -> int:
        return len(self.frame)

    def compressed(self) -> pd.DataFrame:
        """Distinct (renewals, ended, seen_from) with the number of commitments that share them, as `customers`."""
        frame = self.frame if "seen_from" in self.frame else self.frame.assign(seen_from=0)
        return frame.groupby(["renewals", "ended", "seen_from"], sort=True).size().rename("customers").reset_index()


def tenures_from_survivors(survivors: pd.DataFrame, *, cycle_months: int, as_of: date | None = None) -> Tenures:
    """Tenures from counts: a row per cohort; in its columns, in order, those who were there at first, after the first
    renewal, after the second and so on; missing where a cohort has not got there yet.

    Raises DataError where a count rises, is negative or no whole number, or is missing before a later one.
    """
    counts = survivors.to_numpy(float)
    known = ~np.isnan(counts)
    steps = np.diff(counts, axis=1)
    faults = {
        "has no count at the start, or nobody": ~(counts[:, 0] > 0),
        "has a missing count before a later one": (np.diff(known.astype(int), axis=1) > 0).any(axis=1),
        "has more survivors than a renewal earlier": (steps > 0).any(axis=1),
        "has a count that is negative or no whole number": (known & ((counts < 0) | (counts % 1 != 0))).any(axis=1),
    }
    for what, wrong in faults.items():
        if wrong.any():
            raise DataError(
                f"{int(wrong.sum())} of {len(counts)} cohorts {what}; first: {survivors.index[wrong][0]}. "
                "A cohort's row holds its counts of survivors, largest first, one column a renewal."
            )
    n_known = known.sum(axis=1)
    last = counts[np.arange(len(counts)), n_known - 1]
    row, at = np.nonzero(~np.isnan(steps))
    renewals = np.concatenate([at, n_known - 1])
    times = np.concatenate([-steps[row, at], last]).astype(int)
    ended = np.concatenate([np.ones(len(at), bool), np.zeros(len(last), bool)])
    cohort = survivors.index.to_numpy()[np.concatenate([row, np.arange(len(counts))])]
    frame = pd.DataFrame({"renewals": renewals, "ended": ended, "cohort": cohort})
    return Tenures(frame.loc[np.repeat(frame.index, times)].reset_index(drop=True), cycle_months, as_of)


def tenures(
    commitments: pd.DataFrame,
    *,
    cycle_months: int,
    as_of: date,
    dues: pd.DataFrame | None = None,
    coverage: pd.DataFrame | None = None,
    history_starts_on: date | None = None,
    lapsed_after_months: int = LAPSED_AFTER_MONTHS,
) -> Tenures:
    """Tenures of the commitments with that cycle, from the canonical tables as they were known at `as_of`.

    `commitments` has commitment_id, customer_id, branch, started_on, cycle_months and, where known, ended_on and
    expires_on (which ends one that has no ended_on); `dues` has commitment_id, due_on and collected_on. `coverage`
    (branch, last_covered_day) ends what is known of a branch. Other cycles are left out: a monthly and a yearly renewal
    are different decisions.

    Renewals fall due every cycle from started_on. Without dues, those before the end were made. With dues, those up to
    the last due that was collected were made, whatever was missed in between, and the next one counts as not made when
    neither it nor a later one was collected within `lapsed_after_months`, said or not.

    A renewal counts, made or not, once it is decided for everybody who faced it: due by `as_of` or, with dues,
    `lapsed_after_months` before. Ends that are known earlier wait for that day: to count them at once, and those who
    stay not yet, would make retention look worse than it is.

    Where the tables lack what ended before `history_starts_on`, give that day: what began earlier is followed from the
    first renewal whose whole cycle lies behind it. Who is left of old cohorts would make retention look better than it
    was.

    Raises DataError where no commitment has that cycle, or one ends before it starts.
    """
    table = commitments.copy()
    for name in ("started_on", "ended_on", "expires_on"):
        table[name] = pd.to_datetime(table[name]) if name in table else pd.NaT
    seen = pd.Series(pd.Timestamp(as_of), table.index)
    if coverage is not None:
        last_day = dict(zip(coverage["branch"], pd.to_datetime(coverage["last_covered_day"]), strict=True))
        seen = pd.concat([seen, pd.to_datetime(table["branch"].map(last_day))], axis=1).min(axis=1)
    table["seen"] = seen
    table["finish"] = table["ended_on"].fillna(table["expires_on"])
    backwards = table["finish"] < table["started_on"]
    if backwards.any():
        one = table.loc[backwards].iloc[0]
        raise DataError(
            f"commitments: {int(backwards.sum())} of {len(table)} rows end before they start (first: "
            f"{one['commitment_id']}, {one['started_on']:%Y-%m-%d} to {one['finish']:%Y-%m-%d}). Correct the days."
        )
    table = table[(table["started_on"] <= table["seen"]) & (table["cycle_months"] == cycle_months)]
    if table.empty:
        cycles = commitments["cycle_months"].value_counts().sort_index()
        there = listed(f"{months:g} months ({n})" for months, n in cycles.items())
        raise DataError(f"commitments: none of {len(commitments)} rows renews every {cycle_months} months; there are: "
                        f"{there or 'none at all'}. Give `cycle_months` one of these.")  # fmt: skip
    decided = table["seen"] if dues is None else table["seen"] - pd.DateOffset(months=lapsed_after_months)
    faced = _whole_cycles(table["started_on"], decided, cycle_months).clip(lower=0)
    known_end = table["finish"].where(table["finish"] <= table["seen"])
    till_end = _whole_cycles(table["started_on"], known_end - pd.Timedelta(days=1), cycle_months).clip(lower=0)
    made = till_end.fillna(np.inf)
    if dues is not None:
        made = _last_paid(table, dues, cycle_months).fillna(made)
    seen_from = pd.Series(0.0, table.index)
    if history_starts_on is not None:
        first_day = pd.Timestamp(history_starts_on)
        before = _whole_cycles(table["started_on"], pd.Series(first_day, table.index), cycle_months)
        seen_from = (before + 1).where(table["started_on"] < first_day, 0.0)
    frame = pd.DataFrame(
        {
            "renewals": np.minimum(made, faced).astype("int64").to_numpy(),
            "ended": (made < faced).to_numpy(),
            "seen_from": seen_from.astype("int64").to_numpy(),
            "customer_id": table["customer_id"].to_numpy(),
        },
        index=pd.Index(table["commitment_id"], name="commitment_id"),
    )
    return Tenures(frame[frame["renewals"] >= frame["seen_from"]], cycle_months, as_of)


def _last_paid(table: pd.DataFrame, dues: pd.DataFrame, cycle_months: int) -> pd.Series:
    """Per commitment the renewal that the last collected due paid for, 0 where none was; missing without any due."""
    each = dues[["commitment_id", "due_on", "collected_on"]].merge(
        table[["commitment_id", "started_on", "seen"]], on="commitment_id"
    )
    due_on, collected_on = pd.to_datetime(each["due_on"]), pd.to_datetime(each["collected_on"])
    renewal = _whole_cycles(each["started_on"], due_on, cycle_months).clip(lower=0)
    paid = renewal.where(collected_on <= each["seen"]).where(due_on <= each["seen"])
    last = paid[due_on <= each["seen"]].fillna(0).groupby(each["commitment_id"]).max()
    return table["commitment_id"].map(last).astype(float)


def _whole_cycles(start: pd.Series, day: pd.Series, cycle_months: int) -> pd.Series:
    """Whole cycles from `start` to `day`, by calendar months; the last day of a short month completes one."""
    months = (day.dt.year - start.dt.year) * 12 + day.dt.month - start.dt.month
    short = (day.dt.day < start.dt.day) & ~day.dt.is_month_end
    return np.floor((months - short) / cycle_months)
