"""Everybody in one cell, lines from costs, and cells that are as sure as they are said to be."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from crm_analysis.customer_value import charts, disclosure, exporting
from crm_analysis.customer_value.assessment import CustomerValue, assess
from crm_analysis.customer_value.displays import matrix as displays
from crm_analysis.customer_value.matrix import FUTURE, GRID, PRESENT, treatment

pytestmark = pytest.mark.slow

START, END = pd.Timestamp(2023, 10, 1), pd.Timestamp(2026, 9, 30)
COSTS = {"cost_to_serve": {"per_customer_year": 4.0, "per_contact": 3.0}}
YEAR = 366


def drawn(n: int = 1500, seed: int = 5, years_ahead: int = 1) -> pd.DataFrame:
    """Buyers from BG/NBD in days, spend Gamma-Gamma, with the year after the end still to come."""
    rng = np.random.default_rng(seed)
    last, rows = (END - START).days + years_ahead * YEAR, []
    for i in range(n):
        day, rate, quits = rng.uniform(0, 700), rng.gamma(0.7, 1 / 60), rng.beta(0.6, 3.0)
        level = 1 / rng.gamma(3.0, 1 / 100)
        while day <= last:
            rows.append((f"c{i}", START + timedelta(days=int(day)), round(rng.gamma(4.0, level * 10), 2)))
            if len(rows) > 1 and rows[-2][0] == f"c{i}" and rng.random() < quits:
                break
            day += rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def steady(amount: float, n: int = 60, until: pd.Timestamp = END, name: str = "s") -> pd.DataFrame:
    days = pd.date_range(START, until, freq="40D")
    rows = [(f"{name}{i}", day + timedelta(days=i % 30), amount) for i in range(n) for day in days]
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])
    return frame[frame["occurred_at"] <= until]


def contacts(ids: list[str], each: int = 4) -> pd.DataFrame:
    days = pd.date_range(END - timedelta(days=300), periods=each, freq="60D")
    rows = [(f"k{i}-{day:%m%d}", name, "x", day) for i, name in enumerate(ids) for day in days]
    return pd.DataFrame(rows, columns=["contact_id", "customer_id", "branch", "occurred_at"])


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return drawn()


@pytest.fixture(scope="module")
def assessed() -> dict[str, CustomerValue]:
    """What was assessed already."""
    return {}


@pytest.fixture
def state(scope_of, log, assessed) -> CustomerValue:
    if not assessed:
        frames = {"transactions": log[log["occurred_at"] <= END], "contacts": contacts([f"c{i}" for i in range(400)])}
        assessed["it"] = assess(scope_of(frames, **COSTS))
    return assessed["it"]


def test_every_cell_has_a_treatment_and_worth_never_asks_for_less():
    assert set(GRID) == set(PRESENT) and all(len(row) == len(FUTURE) for row in GRID.values())
    assert treatment("high", "high") == "protect" and treatment("gone_high", "high") == "win_back"
    assert {treatment(present, "low") for present in PRESENT} == {"let_go"}
    assert {treatment(present, "middle") for present in PRESENT} == {"low_cost"}
    assert "win_back" not in {treatment(p, f, one_time=True) for p in PRESENT for f in FUTURE}


def test_the_matrix_foots(state):
    """Every customer once; cells add up to the profit and the expected margin of the page."""
    found, cells = state.matrix, state.matrix.cells
    assert len(cells) == len(PRESENT) * len(FUTURE) and found.customers["customer_id"].is_unique
    assert cells["n"].sum() == len(state.status) == len(found.customers) and cells["share"].sum() == pytest.approx(1)
    assert cells["profit"].sum() == pytest.approx(state.profits.total)
    assert cells["expected_value"].sum() == pytest.approx(state.outlook.value)
    assert (cells["doubtful"].fillna(0) <= cells["n"]).all() and (cells["elsewhere"].fillna(0) <= cells["n"]).all()
    assert (found.customers["otherwise"] <= found.customers["elsewhere"] + 1e-12).all()


def test_lines_are_costs(state):
    """Contacting costs 4 x 3 a year whom it reaches, serving 4: a brute-force reading of the docstring's rule."""
    lines = state.matrix.lines
    assert (lines.upper, lines.basis) == (12.0, "contact") and lines.serve == pytest.approx(4.0)
    for row in state.matrix.customers.sample(200, random_state=1).itertuples():
        if row.status not in ("dormant", "lost"):
            assert row.present == ("low" if row.profit <= 0 else "middle" if row.profit < 12 else "high")
        net = row.expected_value - row.serve_cost
        assert row.future == ("low" if net <= 0 else "middle" if net < 12 - 1e-9 else "high")
        assert row.treatment == treatment(row.present, row.future)
        assert (row.treatment in ("protect", "grow", "win_back")) == (net >= 12 - 1e-9), "what is expected pays for it"


def test_who_is_gone_is_won_back_only_where_what_is_expected_pays_for_it(state):
    frame = state.matrix.customers
    gone, net = frame["status"].isin(["dormant", "lost"]), frame["expected_value"] - frame["serve_cost"]
    assert (gone & (net >= 12)).any() and (frame["present"] == "gone_high").any()
    assert set(frame.loc[gone & (net >= 12 + 1e-9), "treatment"]) == {"win_back"}
    assert "win_back" not in set(frame.loc[gone & (net < 12 - 1e-9), "treatment"])


def test_who_turns_out_elsewhere_is_as_many_as_was_said(state, log):
    """The year after is known here: as many as expected, within four standard errors, land in another cell."""
    assert state.outlook.way == "model"
    frame = state.matrix.customers
    later = log[(log["occurred_at"] > END) & (log["occurred_at"] <= END + timedelta(days=365))]
    net = frame["customer_id"].map(later.groupby("customer_id")["amount"].sum()).fillna(0.0) - frame["serve_cost"]
    came = np.select([net <= 0, net < 12], ["low", "middle"], default="high")
    p = frame["elsewhere"]
    error = np.sqrt((p * (1 - p)).sum())
    assert abs((came != frame["future"]).sum() - p.sum()) < 4 * error + 0.03 * len(frame)


def test_a_year_foretold_to_everybody_leaves_nobody_elsewhere(scope_of):
    """Who buys by the clock brings what like customers brought."""
    state = assess(scope_of({"transactions": steady(50.0)}, **COSTS))
    assert state.matrix.share("elsewhere") < 0.05
    assert set(state.matrix.customers["treatment"]) == {"protect"}


def test_the_treatment_turns_with_the_data(scope_of):
    """The same customers gone for two years, of whom nothing is expected, are not worth a contact."""
    others = steady(30.0, name="o")
    for amount, until, wanted in (
        (50.0, END, {"protect"}),
        (50.0, END - timedelta(days=800), {"let_go"}),
        (0.3, END - timedelta(days=800), {"let_go"}),
    ):
        frame = pd.concat([others, steady(amount, until=until)])
        state = assess(scope_of({"transactions": frame, "contacts": contacts([f"o{i}" for i in range(60)])}, **COSTS))
        own = state.matrix.customers[state.matrix.customers["customer_id"].str.startswith("s")]
        assert set(own["treatment"]) <= wanted, (amount, until)
        assert ("To let go: 60" in displays.sentence(state)) is (wanted == {"let_go"})


def test_without_costs_the_lines_are_zero_and_the_median_and_it_is_said(scope_of, log):
    state = assess(scope_of({"transactions": log[log["occurred_at"] <= END]}))
    profit = state.profits.customers["profit"]
    assert state.matrix.lines.basis == "median" and state.matrix.lines.serve == 0
    assert state.matrix.lines.upper == pytest.approx(profit[profit > 0].median())
    assert "let_go" not in set(state.matrix.customers["treatment"])
    assert "No cost is known" in displays.figure(state)["how_to_read"]


def test_small_cells_are_not_shown(state):
    cells, table = displays.shown_cells(state), displays.table(state)
    small = cells["n"] < 5
    assert (cells.loc[small, "hidden"]).all() and not table.isna().any().any()
    assert set(cells.loc[cells["hidden"], "profit_text"]) <= {"withheld"}
    heat = displays.heat(state)
    assert heat["share"].isna().sum() >= cells["hidden"].sum()
    assert charts.value_matrix(heat, **displays.axes(state)) is not None
    assert "of the expected margin lies with" in displays.figure(state)["how_to_read"]


def test_the_sums_of_the_active_and_of_the_gone_do_not_tell_a_hidden_cell(state):
    gone = pd.Series([False, False, False, True, True])
    for sizes in ([100, 50, 3, 40, 30], [100, 50, 60, 40, 3], [100, 4, 3, 2, 30]):
        hidden = disclosure.hidden_here_and_gone(state, pd.DataFrame({"": sizes}), gone)
        assert hidden[[n < 5 for n in sizes]].all()
        for group in (gone, ~gone):
            assert hidden[group].sum() != 1, sizes


def test_where_nobody_comes_back_there_is_no_matrix(scope_of):
    frame = steady(20.0, n=1)
    once = [(f"p{i}", START + timedelta(days=i % 1000), 20.0) for i in range(1500)]
    frame = pd.concat([frame, pd.DataFrame(once, columns=frame.columns)])
    state = assess(scope_of({"transactions": frame}))
    assert state.outlook.why == "one_time" and displays.shown_cells(state).empty
    assert "hardly anybody comes back" in displays.figure(state)["alt"]
    assert "win_back" not in set(state.matrix.customers["treatment"])
    assert charts.value_matrix(displays.heat(state), **displays.axes(state)) is None


def test_the_export_is_the_page(state):
    frame = exporting.frame(state)
    assert list(frame.columns) == [column.name for column in exporting.COLUMNS]
    assert len(frame) == len(state.status) and frame["customer_id"].is_monotonic_increasing
    assert frame["expected_value"].sum() == pytest.approx(state.outlook.value)
    assert frame["profit_12_months"].sum() == pytest.approx(state.profits.total)
    assert frame["discounted_value"].sum() == pytest.approx(state.outlook.discounted)
    assert set(frame["tier"].dropna()) <= set(state.tiers.order)
    sizes = frame["segment"].value_counts().to_dict()
    assert sizes == state.scores["segment"].value_counts().to_dict()
    assert date.fromisoformat(exporting.explained(state).split("state on ")[1][:10]) == state.scope.as_of
