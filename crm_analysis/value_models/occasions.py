"""Giving histories in discrete time: occasions since the first gift, those on which something was given, the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import ibis
import numpy as np
import pandas as pd

from crm_analysis.errors import DataError

MONTHS_PER_OCCASION: Mapping[str, int] = {"month": 1, "quarter": 3, "half": 6, "year": 12}


@dataclass(frozen=True, slots=True)
class Occasions:
    """One row per customer, indexed by customer: of the n occasions after the one of the first gift, x saw a gift, the
    last of them the t_x-th (0 where there was none). An occasion is a whole month, quarter, half or year: `unit`. The
    number of occasions may differ from customer to customer. Optional mean_value is the mean worth of those x.

    Fader, Hardie and Shang (2010) call (x, t_x, n) sufficient: when the gifts in between were made does not matter.
    """

    frame: pd.DataFrame
    unit: str
    as_of: date | None = None

    def __post_init__(self) -> None:
        if self.unit not in MONTHS_PER_OCCASION:
            raise DataError(f'"{self.unit}" is not an occasion here: use one of {", ".join(MONTHS_PER_OCCASION)}.')
        lacking = [name for name in ("x", "t_x", "n") if name not in self.frame]
        if lacking:
            raise DataError(
                "Giving histories need the columns x (occasions with a gift), t_x (the last of them) and n (occasions);"
                f" there is no {', no '.join(lacking)}."
            )
        x, t_x, n = (self.frame[name].to_numpy(float) for name in ("x", "t_x", "n"))
        faults = {
            "have a value missing or negative": ~((x >= 0) & (t_x >= 0) & (n >= 0) & np.isfinite(x + t_x + n)),
            "have a count that is no whole number": (x != np.floor(x)) | (t_x != np.floor(t_x)) | (n != np.floor(n)),
            "have their last gift after the last occasion (t_x > n)": t_x > n,
            "have more gifts than occasions up to the last one (x > t_x)": x > t_x,
            "have no repeat gift but an occasion of one (x = 0, t_x > 0)": (x == 0) & (t_x > 0),
        }
        for what, wrong in faults.items():
            if wrong.any():
                row = self.frame.loc[wrong].iloc[0]
                raise DataError(
                    f"{int(wrong.sum())} of {len(self.frame)} giving histories {what}; first: x {row['x']}, "
                    f"t_x {row['t_x']}, n {row['n']}. Make them with `occasions`, which counts all gifts within one "
                    f"{self.unit} as one."
                )

    def __len__(self) -> int:
        return len(self.frame)

    def compressed(self) -> pd.DataFrame:
        """Distinct (x, t_x, n) with the number of customers who share them, as `customers`."""
        return self.frame.groupby(["x", "t_x", "n"], sort=True).size().rename("customers").reset_index()


def occasions(
    transactions: ibis.Table,
    *,
    unit: str,
    as_of: date,
    coverage: pd.DataFrame | None = None,
    fiscal_year_starts: int = 1,
) -> Occasions:
    """Giving histories from the canonical transactions (customer_id, branch, occurred_at, amount, kind).

    The first gift's period is the acquisition; each later complete period up to `as_of` is an occasion. A period that
    is not over is no occasion, and who gave first in it is left out. Refunds and rows without a customer or a positive
    amount are no gifts. Years, halves and quarters begin with month `fiscal_year_starts`. `coverage` (branch,
    last_covered_day) ends the occasions of a branch that stopped reporting; a customer is of the branch of the last
    gift.
    """
    if unit not in MONTHS_PER_OCCASION:
        raise DataError(f'"{unit}" is not an occasion here: use one of {", ".join(MONTHS_PER_OCCASION)}.')
    months = MONTHS_PER_OCCASION[unit]
    rows = transactions.filter(
        transactions.customer_id.notnull(),
        transactions.customer_id != "",
        transactions.occurred_at.cast("timestamp") < datetime.combine(as_of + timedelta(days=1), time()),
        transactions.kind != "refund",
        transactions.amount > 0,
    )
    on = rows.occurred_at.cast("date")
    month = on.year().cast("int64") * 12 + on.month().cast("int64") - fiscal_year_starts
    rows = rows.select("customer_id", "branch", "amount", at=(month / months).floor().cast("int64"))

    def last_complete(day: date) -> int:
        after = day + timedelta(days=1)
        return (after.year * 12 + after.month - fiscal_year_starts) // months - 1

    ends: dict[str, int] = {}
    if coverage is not None:
        covered = zip(coverage["branch"], pd.to_datetime(coverage["last_covered_day"]), strict=True)
        ends = {str(branch): last_complete(min(day.date(), as_of)) for branch, day in covered if not pd.isna(day)}
    end: ibis.Value = ibis.literal(last_complete(as_of))
    if ends:
        end = ibis.cases(*((rows.branch == branch, ibis.literal(last)) for branch, last in ends.items()), else_=end)
    each = rows.mutate(end=end).filter(lambda t: t["at"] <= t["end"])
    each = each.group_by("customer_id", "at").aggregate(worth=each.amount.sum(), end=each.end.max())
    summary = each.group_by("customer_id").aggregate(
        first=each["at"].min(),
        last=each["at"].max(),
        given=each.count(),
        end=each.end.argmax(each["at"]),
        worth=each.worth.sum(),
        worth_of_first=each.worth.argmin(each["at"]),
    )
    found = summary.to_pandas().sort_values("customer_id", ignore_index=True)
    x = found["given"].to_numpy("int64") - 1
    later = (found["worth"] - found["worth_of_first"]).to_numpy(float)
    frame = pd.DataFrame(
        {
            "x": x,
            "t_x": (found["last"] - found["first"]).to_numpy("int64"),
            "n": (found["end"] - found["first"]).to_numpy("int64"),
            "mean_value": np.where(x > 0, later / np.maximum(x, 1), np.nan),
        },
        index=pd.Index(found["customer_id"], name="customer_id"),
    )
    return Occasions(frame, unit, as_of)
