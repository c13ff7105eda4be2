"""Value by year of tenure, three ways side by side, since survivors flatter it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from crm_analysis.customer_value.lives import Lives
from crm_analysis.estimators.means import bootstrap_means

YEAR = 12  # months
MIN_MEMBERS = 100  # whose years are covered, for a year of tenure to be told
MIN_YEARS = 2
DRAWS = 500
SEED = 20059
WAYS = ("survivors", "followed", "acquired")


@dataclass(frozen=True, slots=True)
class Tenure:
    """Margin after refunds per head and year of tenure, of truly new customers all of whose years are covered.

    `years`: year (1 is the twelve months from the first order on), way, mean, low, high (95 %, bootstrap over
    customers), n. Ways: survivors (who paid in that year), followed (who paid in the last year, in each year), acquired
    (all, leavers with what they brought: nothing). `flattery` is by how much the survivors' mean of the last year is
    above that of all acquired; `growth` what the followed brought in the last year more than in the first. `members`
    are the customers, by id: true or false for each year in which they paid; `largest` is the largest share of a mean
    that one of them holds. `why` says why nothing is told: "short".
    """

    n_years: int
    n: int
    years: pd.DataFrame
    flattery: float
    flattery_low: float
    flattery_high: float
    growth: float
    growth_low: float
    growth_high: float
    members: pd.DataFrame = field(default_factory=pd.DataFrame)
    largest: float = math.nan
    why: str = ""

    def mean(self, way: str, year: int) -> float:
        """One of the means."""
        frame = self.years
        return float(frame.loc[(frame["way"] == way) & (frame["year"] == year), "mean"].iloc[0])


def tenure(found: Lives) -> Tenure:
    """The same people in all three ways: those whose branch covers as many years as at least 100 customers have.

    Costs of earlier years are not recorded per customer, so that this is margin and not profit.
    """
    members = found.members[found.members["truly_new"]]
    covered = _years_covered(members)
    enough = (
        [year for year in range(MIN_YEARS, int(covered.max()) + 1) if (covered >= year).sum() >= MIN_MEMBERS]
        if (len(members))
        else []
    )
    if not enough:
        nothing = pd.DataFrame(columns=["year", "way", "mean", "low", "high", "n"])
        return Tenure(0, 0, nothing, *(math.nan,) * 6, why="short")
    n_years = max(enough)
    ids = members.loc[covered >= n_years, "customer_id"].sort_values()
    own = found.stretches.assign(year=found.stretches["unit"] * found.unit_months // YEAR)
    own = (
        own[own["year"] < n_years].groupby(["customer_id", "year"])[["margin", "n_orders"]].sum().unstack(fill_value=0)
    )
    own = own.reindex(ids).fillna(0.0)
    margin, orders = (own[name].reindex(columns=range(n_years), fill_value=0.0) for name in ("margin", "n_orders"))
    paid = orders > 0
    told = ways(margin.to_numpy(float), paid.to_numpy(bool))
    return replace(told, members=paid, largest=_largest(margin, paid))


def _largest(margin: pd.DataFrame, paid: pd.DataFrame) -> float:
    """The largest share that one customer holds of what the payers of a year, or those of the last one, brought."""
    groups = [margin[year][paid[who]].abs() for year in margin for who in {year, margin.columns[-1]}]
    return max((float(size.max() / size.sum()) for size in groups if size.sum() > 0), default=math.nan)


def _years_covered(members: pd.DataFrame) -> pd.Series:
    """Whole years of tenure up to the last covered day."""
    first, last = members["first_on"], members["observed_to"] + pd.Timedelta(days=1)
    months = (last.dt.year - first.dt.year) * 12 + last.dt.month - first.dt.month - (last.dt.day < first.dt.day)
    return months // YEAR


def ways(margin: np.ndarray, paid: np.ndarray) -> Tenure:
    """The three ways. `margin` and `paid` (true or false): a row per customer, a column per year of tenure."""
    n, n_years = margin.shape
    last = paid[:, -1].astype(float)
    columns = [margin, paid.astype(float), margin * paid, margin * last[:, None]]
    drawn = bootstrap_means(np.hstack(columns), draws=DRAWS, rng=np.random.default_rng(SEED))
    point = np.hstack(columns).mean(0)[None, :]
    rows = []
    told = {name: (_means(point, name, n_years), _means(drawn, name, n_years)) for name in WAYS}
    sizes = {"survivors": paid.sum(0), "followed": [int(last.sum())] * n_years, "acquired": [n] * n_years}
    for name, (mean, each) in told.items():
        low, high = np.nanquantile(each, [0.025, 0.975], axis=0) if sizes[name][-1] > 1 else (mean[0] * np.nan,) * 2
        rows += [
            (year + 1, name, mean[0][year], low[year], high[year], int(sizes[name][year])) for year in range(n_years)
        ]
    flattery = [part[:, -1] - other[:, -1] for part, other in zip(told["survivors"], told["acquired"], strict=True)]
    growth = [part[:, -1] - part[:, 0] for part in told["followed"]]
    sure = last.sum() > 1
    flattered, flattery_low, flattery_high = _with_interval(*flattery, sure=bool(sure))
    grown, growth_low, growth_high = _with_interval(*growth, sure=bool(sure))
    return Tenure(
        n_years=n_years,
        n=n,
        years=pd.DataFrame(rows, columns=["year", "way", "mean", "low", "high", "n"]),
        flattery=flattered,
        flattery_low=flattery_low,
        flattery_high=flattery_high,
        growth=grown,
        growth_low=growth_low,
        growth_high=growth_high,
    )


def _means(sums: np.ndarray, way: str, n_years: int) -> np.ndarray:
    """Means by year of each draw; not a number where nobody is left."""
    everybody, paid, of_payers, of_last = (sums[:, i * n_years : (i + 1) * n_years] for i in range(4))
    if way == "acquired":
        return everybody
    with np.errstate(divide="ignore", invalid="ignore"):
        return of_payers / paid if way == "survivors" else of_last / paid[:, -1:]


def _with_interval(point: np.ndarray, drawn: np.ndarray, *, sure: bool) -> tuple[float, float, float]:
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if sure else (math.nan, math.nan)
    return float(point[0]), float(low), float(high)
