"""Histories and branches that nobody planned for: said in words, and never the end of a page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers, value_models
from crm_analysis.customer_value import exporting
from crm_analysis.customer_value.assessment import assess
from crm_analysis.customer_value.matrix import TREATMENTS
from crm_analysis.customer_value.sentences import claims
from crm_analysis.errors import DataError
from crm_analysis.value_models import CannotFit, Histories

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DAYS = pd.date_range("2023-10-01", "2026-09-30", freq="D")


def log(amount: float = 10.0, n: int = 60, every: int = 40, kind: str = "sale") -> pd.DataFrame:
    """Everybody buys by the clock."""
    rows = [(f"c{i}", DAYS[day], amount, kind) for i in range(n) for day in range(i % every, len(DAYS), every)]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind"])


def once(n: int = 200) -> pd.DataFrame:
    rows = [(f"c{i}", DAYS[i * 5 % len(DAYS)], 10.0 + i % 7, "sale") for i in range(n)]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind"])


def one_cohort(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    days = [sorted({0, *rng.integers(1, len(DAYS), rng.geometric(0.2))}) for _ in range(n)]
    rows = [(f"c{i}", DAYS[day], 10.0 + i % 7, "sale") for i in range(n) for day in days[i]]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind"])


NOTHING = {
    "nobody": log(n=60).assign(customer_id=""),
    "one customer": log(n=1),
    "three customers": log(n=3),
    "all one-time buyers": once(),
    "all refunds": log(kind="refund"),
    "all amounts zero": log(amount=0.0),
    "all amounts negative": log(amount=-5.0),
    "all one cohort": one_cohort(),
    "one day": log().assign(occurred_at=DAYS[-30]),
    "nobody pays": log().assign(amount=np.nan),
}


@pytest.mark.parametrize("frame", NOTHING.values(), ids=NOTHING.keys())
def test_the_page_says_what_it_can(scope_of, frame):
    """Everything that the notebook shows is computed and drawn, cell by cell."""
    state = assess(scope_of({"transactions": frame.reset_index(drop=True)}))
    said = claims(state)
    assert said.verdict
    notebook = json.loads((ROOT / "analyses" / "customer_value.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"}
    names: dict = {}
    exec(cells["imports"], names)
    names |= {"state": state, "said": said, "page": state.scope}
    for name, source in cells.items():
        if name not in ("parameters", "imports", "assess", "close"):
            exec(source, names)
    each = exporting.frame(state)
    assert len(each) == len(state.status) and each["treatment"].isin(TREATMENTS).all()


def summary() -> pd.DataFrame:
    """What `customers.summarize` gives, of three customers of whom one cannot be."""
    first = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
    last = pd.to_datetime(["2024-06-01", "2024-02-01", "2026-12-01"])
    return pd.DataFrame(
        {
            "customer_id": ["a", "b", "late"],
            "first_on": first,
            "last_on": last,
            "observed_to": pd.Timestamp(2026, 9, 30),
            "n_orders": [3, 1, 4],
            "n_repeat_orders": [2, 0, 3],
            "mean_per_repeat_period": [10.0, np.nan, 10.0],
        }
    )


def test_a_history_that_cannot_be_is_left_out_and_counted():
    made = value_models.histories(summary())
    assert list(made.frame.index) == ["a", "b"] and made.n_left_out == 1
    assert made.frame["x"].dtype == "int64"
    broken = summary().assign(n_repeat_orders=[2, np.nan, np.inf], mean_per_repeat_period=[np.inf, 1.0, 1.0])
    assert value_models.histories(broken).n_left_out == 3


REFUSED = {
    "recency beyond T": ((2, 9.0, 8.0), "have their last purchase after the end of observation (t_x > T)"),
    "frequency without recency": ((2, np.nan, 8.0), "have a value missing or negative"),
    "frequency with nil recency": ((2, 0.0, 8.0), "have repeat purchases but no time between them (x > 0, t_x = 0)"),
    "recency without frequency": ((0, 3.0, 8.0), "have no repeat purchase but a time of one (x = 0, t_x > 0)"),
    "an endless mean worth": ((1, 3.0, 8.0), "have an infinite value"),
}


@pytest.mark.parametrize(("row", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_one_made_by_hand_is_refused(row, what):
    frame = pd.DataFrame([(1, 2.0, 5.0), row], columns=["x", "t_x", "T"])
    frame["mean_value"] = [1.0, np.inf if "infinite" in what else 1.0]
    with pytest.raises(DataError) as refused:
        Histories(frame, "week")
    assert str(refused.value) == (
        f"1 of 2 purchase histories {what}; first: x {float(row[0])}, t_x {row[1]}, T {row[2]}. Make them with "
        "`customers.summarize`, which counts purchases on one day as one."
    )


@pytest.mark.parametrize(
    ("columns", "lacking"), [(["x", "T"], "no t_x"), (["t_x", "T"], "no x"), (["x"], "no t_x, no T")]
)
def test_a_missing_measure_is_named(columns, lacking):
    with pytest.raises(DataError) as refused:
        Histories(pd.DataFrame(1.0, index=range(3), columns=columns), "week")
    assert str(refused.value) == (
        "Purchase histories need the columns x (repeat purchases), t_x (time of the last) and T (time observed); there "
        f"is {lacking}."
    )


def few(repeat: int, n: int = 50) -> Histories:
    x = np.where(np.arange(n) < repeat, 2, 0)
    frame = pd.DataFrame({"x": x, "t_x": x * 4.0, "T": 30.0 + np.arange(n) % 9})
    frame["mean_value"] = np.where(x > 0, 10.0, np.nan)
    return Histories(frame, "week")


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("BG/NBD", value_models.fit_bg_nbd),
        ("MBG/NBD", value_models.fit_mbg_nbd),
        ("Pareto/NBD", value_models.fit_pareto_nbd),
    ],
)
@pytest.mark.parametrize("repeat", [0, 9])
def test_fewer_customers_than_a_model_can_bear(name, fit, repeat):
    with pytest.raises(CannotFit) as refused:
        fit(few(repeat))
    assert str(refused.value) == (
        f"{name} needs at least 10 customers with a repeat purchase; {repeat} of 50 have one."
    )


def test_spend_that_is_nil_or_negative_is_counted():
    made = few(12)
    made.frame.loc[:3, "mean_value"] = [0.0, -4.0, -1.0, 0.0]
    with pytest.raises(CannotFit) as refused:
        value_models.fit_gamma_gamma(made)
    assert str(refused.value) == (
        "Gamma-Gamma needs at least 10 repeat customers with positive spend; there are 8 of 12: the purchases of the "
        "others are worth nothing or less, or unknown."
    )


def test_a_model_of_weeks_refuses_histories_in_days():
    rng = np.random.default_rng(1)
    weeks = pd.DataFrame({"x": rng.integers(0, 5, 300), "T": 50.0 + rng.integers(0, 20, 300)})
    weeks["t_x"] = np.where(weeks["x"] > 0, weeks["T"] * rng.uniform(0.2, 0.9, 300), 0.0)
    fit = value_models.fit_bg_nbd(Histories(weeks, "week"))
    days = Histories(weeks.assign(t_x=weeks["t_x"] * 7, T=weeks["T"] * 7), "day")
    with pytest.raises(DataError) as refused:
        fit.expected_purchases(days, horizon_days=30)
    assert str(refused.value) == (
        "The model was fitted in weeks and the purchase histories are in days: make them with "
        '`histories(summary, unit="week")`.'
    )


def test_a_single_bad_customer_never_breaks_a_branch(scope_of, monkeypatch):
    """Six customers whose last order lies after the end of the data: the others' forecast is what it was without."""
    frame = log(n=120)
    settings = {"value": {"min_repeat_customers": 500}}
    whole = assess(scope_of({"transactions": frame}, **settings))
    honest = customers.one_off

    def spoilt(scope, months):
        found = honest(scope, months)
        bad = found["customer_id"].isin([f"c{i}" for i in range(6)])
        return found.assign(observed_to=found["observed_to"].mask(bad, pd.Timestamp(2020, 1, 1)))

    monkeypatch.setattr(customers, "one_off", spoilt)
    state = assess(scope_of({"transactions": frame}, **settings))
    assert state.outlook.histories.n_left_out == 6
    assert len(state.outlook.customers) == len(whole.outlook.customers) - 6
    assert state.outlook.value == pytest.approx(whole.outlook.value * 114 / 120, rel=0.02)
    assert len(state.matrix.customers) == 120
    assert any(text.startswith("6 customers are left out of the forecast") for text in claims(state).unknowns)
