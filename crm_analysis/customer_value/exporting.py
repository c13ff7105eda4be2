"""One row per customer with all that the chapter says of them, as files for their owner only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from crm_analysis import files
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.errors import UserError

KINDS = ("parquet", "csv", "xlsx")
MOST_ROWS_OF_A_SHEET = 1_048_575


class Column(NamedTuple):
    """A column of the export, as its users read of it."""

    name: str
    meaning: str
    unit: str


COLUMNS = (
    Column("customer_id", "the customer, as in the transactions", "text"),
    Column("branch", "branch of the last order", "text"),
    Column("status", "new, active, overdue, reactivated, dormant or lost, by the profile's status rule", "text"),
    Column("recency_score", "days since the last order, 5 the most recent; empty without any order", "1 to 5"),
    Column("frequency_score", "number of orders, 5 the most; empty without any order", "1 to 5"),
    Column("monetary_score", "money paid after refunds, 5 the most; empty without any order", "1 to 5"),
    Column("segment", "named segment of the three scores", "text"),
    Column("tier", "tier by the profile's rules; empty for who is lost", "text"),
    Column("profit_12_months", "margin after refunds less costs of contact and service, last twelve months", "money"),
    Column("probability_alive", "probability of being a customer still; empty where no model is used", "0 to 1"),
    Column(
        "expected_purchases", "expected purchases outside commitments over the horizon; empty for others", "purchases"
    ),
    Column("expected_value", "expected margin over the horizon, not discounted", "money"),
    Column(
        "expected_value_low",
        "lower end of the 95 % interval of that expectation (what one customer does varies more); empty where unknown",
        "money",
    ),
    Column("expected_value_high", "upper end of the same interval", "money"),
    Column("discounted_value", "expected margin over the horizon, discounted to today at the profile's rate", "money"),
    Column("cost_to_serve", "what serving the customer over the horizon costs", "money"),
    Column("present_value", "row of the value matrix: high, middle, low, gone_high or gone_low", "text"),
    Column("future_value", "column of the value matrix: high, middle or low", "text"),
    Column("treatment", "what the cell recommends: protect, grow, win_back, low_cost or let_go", "text"),
    Column(
        "probability_elsewhere",
        "probability that the customer turns out to belong in another cell; empty where unknown",
        "0 to 1",
    ),
)


def frame(state: CustomerValue) -> pd.DataFrame:
    """One row per customer of the scope, in the order of their identifiers; the columns are COLUMNS."""
    rows = state.matrix.customers.set_index("customer_id")
    scored = state.scores.set_index("customer_id").reindex(rows.index)
    ahead = state.outlook.customers.drop_duplicates("customer_id").set_index("customer_id").reindex(rows.index)
    found = {
        "branch": rows["branch"],
        "status": rows["status"],
        **{f"{name}_score": scored[name].astype("Int64") for name in ("recency", "frequency", "monetary")},
        "segment": scored["segment"],
        "tier": state.tiers.customers.set_index("customer_id")["tier"].reindex(rows.index),
        "profit_12_months": rows["profit"],
        "probability_alive": ahead["probability_alive"].astype(float),
        "expected_purchases": ahead["expected_purchases"].astype(float),
        "expected_value": rows["expected_value"],
        "expected_value_low": ahead["low"].astype(float),
        "expected_value_high": ahead["high"].astype(float),
        "discounted_value": ahead["discounted_value"].astype(float).fillna(0.0),
        "cost_to_serve": rows["serve_cost"],
        "present_value": rows["present"],
        "future_value": rows["future"],
        "treatment": rows["treatment"],
        "probability_elsewhere": rows["elsewhere"],
    }
    return pd.DataFrame(found, index=rows.index).sort_index().reset_index()[[each.name for each in COLUMNS]]


def described(state: CustomerValue) -> pd.DataFrame:
    """What the columns mean: column, meaning, unit; money in the profile's currency."""
    table = pd.DataFrame(COLUMNS).rename(columns={"name": "column"})
    return table.assign(unit=table["unit"].replace("money", state.scope.profile.currency))


def explained(state: CustomerValue) -> str:
    """The columns as a page of text, with what the numbers rest on."""
    scope, outlook = state.scope, state.outlook
    rows = [f"| {row.column} | {row.meaning} | {row.unit} |" for row in described(state).itertuples(index=False)]
    lines = [
        f"# Customer value: {scope.branch}, {scope.period}, state on {scope.as_of}",
        "",
        f"Horizon: {outlook.months} months; discounted at {outlook.rate_annual:.0%} a year. The numbers are those of "
        "the page customer value for the same branch and period. Customer rows: for their owner only.",
        "",
        "| column | meaning | unit |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def write(state: CustomerValue, folder: Path, kinds: Sequence[str] = KINDS) -> list[tuple[Path, int]]:
    """Write the customers as files of the `kinds`, with a description of the columns; returns paths and their rows.

    Raises UserError where there is no customer, or where they are more than a worksheet holds; then nothing is written.
    """
    found = frame(state)
    scope = state.scope
    if found.empty:
        raise UserError(
            f"No customer is known in {scope.branch} up to {scope.as_of}: every transaction there is anonymous. "
            "`customer_id` in the profile says which column names the customer."
        )
    if "xlsx" in kinds and len(found) > MOST_ROWS_OF_A_SHEET:
        raise UserError(
            f"{len(found):,} customers are more than the {MOST_ROWS_OF_A_SHEET:,} rows of a worksheet. "
            "Take --format parquet or csv, or one branch at a time."
        )
    name = f"customer-value-{scope.period}-{files.safe_name(scope.branch) if scope.branch != 'all' else 'all'}"
    done = []
    for kind in kinds:
        path = Path(folder) / f"{name}.{kind}"
        if kind == "parquet":
            files.export_parquet(found, path)
        elif kind == "csv":
            files.export_csv(found, path)
        else:
            files.export_excel(found, path, columns=described(state))
        done.append((path, len(found)))
    about = Path(folder) / f"{name}-columns.md"
    files.write_text(about, explained(state))
    return [*done, (about, 0)]
