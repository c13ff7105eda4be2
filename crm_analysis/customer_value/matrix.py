"""Present value times future value: which treatment each customer's cell recommends, and how sure the cell is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from crm_analysis import customers
from crm_analysis.customer_value.chances import chances
from crm_analysis.customer_value.future import Outlook
from crm_analysis.customer_value.profits import Profits
from crm_analysis.profile.settings import Margin
from crm_analysis.units import DAYS_PER_YEAR

PRESENT = ("high", "middle", "low", "gone_high", "gone_low")
ODDS = ("doubtful", "elsewhere", "otherwise")
FUTURE = ("high", "middle", "low")
TREATMENTS = ("protect", "grow", "win_back", "low_cost", "let_go")
PAYING = ("protect", "grow", "win_back")  # treatments that cost a contact
# By present value, then by future value from high to low: a treatment that costs a contact only where it pays for one.
GRID: dict[str, tuple[str, str, str]] = {
    "high": ("protect", "low_cost", "let_go"),
    "middle": ("grow", "low_cost", "let_go"),
    "low": ("grow", "low_cost", "let_go"),
    "gone_high": ("win_back", "low_cost", "let_go"),
    "gone_low": ("win_back", "low_cost", "let_go"),
}

Z95 = 1.96


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the matrix is cut, in the profile's currency.

    `upper` is what contacting a customer costs a year (mean of those who were contacted), a customer's own cost to
    serve the lower line of future value. `basis` says what `upper` is: "contact", "serve" (the mean cost to serve a
    year, where contacts carry no cost) or "median" (of the profits above zero, where no cost is known).
    `serve` is the mean cost to serve a customer who was there all year.
    """

    upper: float
    serve: float
    basis: str

    @property
    def priced(self) -> bool:
        """Whether the lines are costs, so that whoever is expected to bring more pays for a contact."""
        return self.basis != "median"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every customer of the scope in one cell.

    `customers`: customer_id, branch, status; profit (of the last twelve months), expected_value (margin over the
    `months` ahead), serve_cost (over the same months, if they are kept); present, future and treatment (the cell);
    doubtful, the probability that the expected value itself lies in another cell, by the uncertainty of the forecast's
    parameters; elsewhere and otherwise, the probabilities that what the customer turns out to bring lies in another
    cell, and in one of another treatment. These are missing where the forecast does not tell them.

    `one_time`: hardly anybody comes back, so that nobody is to be won back at more than the least cost.
    """

    customers: pd.DataFrame
    lines: Lines
    months: int
    one_time: bool

    @property
    def cells(self) -> pd.DataFrame:
        """The whole grid: present, future, treatment, n, share (of customers), profit, expected_value, serve_cost,
        doubtful, elsewhere and otherwise (expected numbers of customers; missing where unknown).
        """
        sums = ["profit", "expected_value", "serve_cost"]
        grouped = self.customers.groupby(["present", "future"])
        grid = pd.MultiIndex.from_product([PRESENT, FUTURE], names=["present", "future"])
        frame = grouped[sums].sum().reindex(grid).fillna(0.0)
        frame.insert(0, "n", grouped.size().reindex(grid).fillna(0).astype(int))
        for name in ODDS:
            frame[name] = grouped[name].sum(min_count=1).reindex(grid)
        frame["share"] = frame["n"] / max(len(self.customers), 1)
        frame["treatment"] = [treatment(*cell, one_time=self.one_time) for cell in grid]
        columns = ["present", "future", "treatment", "n", "share", *sums, *ODDS]
        return frame.reset_index()[columns]

    def pays(self, ids: pd.Series) -> pd.Series:
        """Whether the cell of each of these customers pays for a contact, under the same index."""
        treatments = self.customers.set_index("customer_id")["treatment"]
        return ids.map(treatments).isin(PAYING)

    def share(self, odds: str) -> float:
        """Expected share of the customers, of those for whom it is known; `odds` is one of the three columns."""
        return float(self.customers[odds].mean())


def treatment(present: str, future: str, *, one_time: bool = False) -> str:
    """The treatment of a cell."""
    found = GRID[present][FUTURE.index(future)]
    return "low_cost" if one_time and found == "win_back" else found


def value_matrix(
    status: pd.DataFrame, year_ago: pd.DataFrame, earned: Profits, outlook: Outlook, margin: Margin
) -> Matrix:
    """Each customer's cell; `year_ago` is the status frame of twelve months back.

    Present value is the profit of the last twelve months: low up to zero, high from `Lines.upper` on, which pays for
    contacting the customer another year. For who is dormant or lost it is what they brought a year while they came,
    from first to last order and over at least one year, less the mean cost to serve: high from the same line on. Future
    value is the expected margin less the cost to serve: low up to zero, high from `Lines.upper` (in proportion to the
    months) on. The cost to serve is that of the last year, the mean one for who was not there all year. Where no cost
    is known nobody costs too much: future value is never low.
    """
    frame = _money(status, earned, outlook)
    lines = _lines(frame, earned)
    horizon = outlook.months / 12
    frame["serve_cost"] = frame["serve_cost"].where(frame["all_year"], lines.serve) * horizon
    past = _past_a_year(status, earned, margin) - lines.serve
    gone = frame["status"].isin(customers.GONE).to_numpy()
    frame["present"] = np.select(
        [gone & (past >= lines.upper), gone, frame["profit"] <= 0, frame["profit"] < lines.upper],
        ["gone_high", "gone_low", "low", "middle"],
        default="high",
    )
    nothing, enough = frame["serve_cost"].to_numpy(float), (frame["serve_cost"] + lines.upper * horizon).to_numpy(float)
    if lines.basis == "median":
        nothing = np.full(len(frame), -np.inf)
    expected = frame["expected_value"].to_numpy(float)
    frame["future"] = np.select([expected <= nothing, expected < enough], ["low", "middle"], default="high")
    one_time = outlook.why == "one_time"
    grid = np.array([[treatment(present, each, one_time=one_time) for each in FUTURE] for present in frame["present"]])
    grid = grid.reshape(-1, len(FUTURE))
    cell = frame["future"].to_numpy(object)[:, None] == np.array(FUTURE, dtype=object)
    frame["treatment"] = grid[cell]
    alike = grid == grid[cell][:, None]
    outcome = _in_columns(chances(status, year_ago, earned, outlook).up_to, nothing, enough)
    known = _in_columns(_expected_up_to(frame["customer_id"], outlook), nothing, enough)
    frame["doubtful"] = np.clip(1 - (known * cell).sum(axis=1), 0, 1)
    frame["elsewhere"] = np.clip(1 - (outcome * cell).sum(axis=1), 0, 1)
    frame["otherwise"] = np.clip(1 - (outcome * alike).sum(axis=1), 0, 1)
    return Matrix(frame.drop(columns="all_year"), lines, outlook.months, one_time)


def _money(status: pd.DataFrame, earned: Profits, outlook: Outlook) -> pd.DataFrame:
    """customer_id, branch, status, profit, expected_value, serve_cost (of the last year), all_year.

    Who is not foreseen, having nothing that could go on, is expected to bring nothing.
    """
    frame = status[["customer_id", "branch", "status"]].reset_index(drop=True)
    expected = outlook.customers.drop_duplicates("customer_id").set_index("customer_id")["expected_value"].astype(float)
    past = earned.customers.set_index("customer_id")[["profit", "serve_cost"]].astype(float)
    past = past.reindex(frame["customer_id"]).fillna(0.0)
    seen_days = (pd.to_datetime(status["observed_to"]) - pd.to_datetime(status["first_on"])).dt.days
    all_year = (seen_days >= math.floor(DAYS_PER_YEAR)) & (status["status"] != "lost")
    return frame.assign(
        profit=past["profit"].to_numpy(),
        expected_value=expected.reindex(frame["customer_id"]).fillna(0.0).to_numpy(),
        serve_cost=past["serve_cost"].to_numpy(),
        all_year=all_year.to_numpy(bool),
    )


def _lines(frame: pd.DataFrame, earned: Profits) -> Lines:
    each = earned.customers
    whole = frame.loc[frame["all_year"], "serve_cost"]
    serve = float(whole.mean()) if len(whole) else float(each["serve_cost"].mean()) if len(each) else 0.0
    contacted = each.loc[each["contact_cost"] > 0, "contact_cost"].astype(float)
    if len(contacted):
        return Lines(float(contacted.mean()), serve, "contact")
    if serve > 0:
        return Lines(serve, serve, "serve")
    brought = each.loc[each["profit"] > 0, "profit"].astype(float)
    return Lines(float(brought.median()) if len(brought) else 0.0, 0.0, "median")


def _past_a_year(status: pd.DataFrame, earned: Profits, margin: Margin) -> np.ndarray:
    """Margin a year of each customer from the first to the last order, over at least one year."""
    paid = float((earned.customers["gross"] - earned.customers["refunds"]).sum())
    rate = float(earned.customers["margin"].sum()) / paid if paid > 0 else margin.rate
    days = (pd.to_datetime(status["last_on"]) - pd.to_datetime(status["first_on"])).dt.days
    brought = status["margin"].astype(float).fillna(status["net"].astype(float) * rate).fillna(0.0)
    return (brought / (days / DAYS_PER_YEAR).clip(lower=1.0).fillna(1.0)).to_numpy(float)


def _in_columns(up_to: Callable[[np.ndarray], np.ndarray], nothing: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """Probabilities of each level of future value, in the order of FUTURE; the lines are each customer's own."""
    low, below = up_to(nothing), up_to(np.nextafter(enough, -np.inf))
    return np.column_stack([1 - below, below - low, low])


def _expected_up_to(ids: pd.Series, outlook: Outlook) -> Callable[[np.ndarray], np.ndarray]:
    """P(the expected value is at most an amount), Normal over the interval that the parameters leave it."""
    columns = ["expected_value", "low", "high"]
    ahead = outlook.customers.drop_duplicates("customer_id").set_index("customer_id")[columns].astype(float)
    foreseen = ids.isin(ahead.index).to_numpy()
    mean, low, high = np.where(foreseen, ahead.reindex(ids).to_numpy(float).T, 0.0)
    sd = (high - low) / (2 * Z95)

    def up_to(amounts: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (amounts - mean) / sd
        certain = np.where(np.isnan(sd), np.nan, (mean <= amounts).astype(float))
        return np.where(sd > 0, ndtr(z), certain)

    return up_to
