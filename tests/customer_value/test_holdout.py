"""The check of the last months: what each way is judged by, and which one is chosen."""

import math
from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from crm_analysis import customers
from crm_analysis.customer_value import charts, holdout, tracking
from crm_analysis.customer_value.assessment import assess
from crm_analysis.customer_value.displays import holdout as displays
from crm_analysis.customer_value.holdout import THUMBS
from crm_analysis.customer_value.pace import hiatus, silence
from crm_analysis.profile.settings import Value
from crm_analysis.value_models import BgNbdFit, histories
from crm_analysis.value_models.promises import mean_discount

END = date(2026, 9, 30)
PLANTED = BgNbdFit(
    values=(0.8, 10.0, 0.7, 2.8),
    covariance=np.diag([0.03, 0.5, 0.1, 0.5]) ** 2,
    log_likelihood=math.nan,
    n_customers=0,
    n_distinct=0,
    converged=True,
    notes=(),
    unit="week",
)


@cache
def log_of(n: int = 900, seed: int = 5) -> pd.DataFrame:
    """A log drawn from BG/NBD in weeks, first orders over two years."""
    rng = np.random.default_rng(seed)
    r, alpha, a, b = PLANTED.values
    rows = []
    for i in range(n):
        t, rate, drop = rng.uniform(0, 104), rng.gamma(r, 1 / alpha), rng.beta(a, b)
        while t < 156:
            rows.append((f"c{i}", pd.Timestamp(2023, 10, 4) + pd.Timedelta(days=int(t * 7)), 10.0))
            if len(rows) > 1 and rows[-2][0] == f"c{i}" and rng.random() < drop:
                break
            t += rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


@pytest.fixture
def checked(scope_of):
    scope = scope_of({"transactions": log_of()})
    seen = holdout.view(scope, 12)
    return seen, holdout.check(scope, seen, customers.status_back(scope, 12), 12, Value())


def test_every_order_is_in_one_month_and_the_hidden_ones_are_those_foreseen(checked):
    seen, found = checked
    total = seen.counts.groupby("customer_id")["orders"].sum()
    now = seen.now.set_index("customer_id")["n_orders"]
    assert total.reindex(now.index).to_list() == now.to_list()
    hidden = seen.between(0, 12).reindex(found.customers.index).fillna(0.0)
    assert hidden.to_list() == found.customers["actual"].to_list()
    before = seen.then.set_index("customer_id")["n_orders"] - seen.earlier.set_index("customer_id")["n_orders"]
    assert seen.inner_months == 12
    shared = before.dropna().index
    assert seen.between(12, 24).reindex(shared).fillna(0.0).to_list() == before[shared].to_list()


def test_tracking_counts_all_repeats_and_lies_in_its_interval(checked):
    seen, found = checked
    track = found.tracking
    repeats = seen.now.set_index("customer_id")["n_repeat_orders"].reindex(found.customers.index)
    assert track["actual_so_far"].iloc[-1] == track["actual"].sum() == repeats.sum()
    assert track.loc[track["hidden"], "actual"].sum() == found.actual
    assert track["expected"].cumsum().to_numpy() == pytest.approx(track["expected_so_far"].to_numpy())
    assert track["customers"].is_monotonic_increasing and track["customers"].iloc[-1] == found.n
    inside = (track["low"] <= track["actual"]) & (track["actual"] <= track["high"])
    assert inside.mean() > 0.85
    assert (track["low"] <= track["expected"]).all() and (track["expected"] <= track["high"]).all()


def test_tracking_is_the_models_mean_of_new_customers(checked):
    """By brute force: each customer's own mean from the first order on, added up."""
    seen, _found = checked
    now = seen.now.set_index("customer_id")
    track = tracking.track(PLANTED, now, seen.counts, months=12, days=365)
    age = (pd.to_datetime(now["observed_to"]) - pd.to_datetime(now["first_on"])).dt.days
    assert track["expected_so_far"].iloc[-1] == pytest.approx(PLANTED.new_customer_purchases(age).sum(), rel=1e-3)
    back = np.maximum(age - 12 * 365 / 12, 0)
    a_year_ago = track.loc[track["ago"] == 12, "expected_so_far"].item()
    assert a_year_ago == pytest.approx(PLANTED.new_customer_purchases(back[back > 0]).sum(), rel=1e-3)


def test_parameters_that_the_data_do_not_determine_give_no_interval_and_no_warning(checked):
    """Draws of a standard error of a thousand on the log scale pass what a number can hold."""
    seen, _found = checked
    wild = replace(PLANTED, covariance=np.eye(4) * 1e6)
    track = tracking.track(wild, seen.now.set_index("customer_id"), seen.counts, months=12, days=365)
    ends = track[["low", "high", "low_so_far", "high_so_far"]]
    assert ends.isna().all().all() and track[["expected", "actual"]].notna().all().all()


def test_everybody_buying_on_one_day_gives_a_track_of_nothing(scope_of):
    log = pd.DataFrame({"customer_id": [f"c{i}" for i in range(80)], "occurred_at": pd.Timestamp(2025, 3, 3)})
    scope = scope_of({"transactions": log.assign(amount=5.0)})
    now = holdout.view(scope, 6).now.set_index("customer_id")
    counts = pd.DataFrame({"customer_id": now.index, "ago": 18, "orders": 1})
    track = tracking.track(replace(PLANTED, covariance=np.eye(4) * 1e6), now, counts, months=12, days=365)
    assert (track["actual"] == 0).all() and track["low"].isna().all()


def test_the_best_of_several_has_to_win_by_more(checked):
    found = checked[1]
    assert len(found.models) == 3 and found.needed == pytest.approx(norm.isf(0.025 / 3))
    one = replace(found, rules=tuple(rule for rule in found.rules if rule.key not in ("mbg_nbd", "pareto_nbd")))
    assert one.needed == pytest.approx(1.96, abs=0.001)
    best = found.model
    assert best.aic == min(rule.aic for rule in found.level)
    squared = {way: (found.customers[way] - found.customers["actual"]) ** 2 for way in (best.key, found.thumb.key)}
    saved = squared[found.thumb.key] - squared[best.key]
    assert best.better == pytest.approx(saved.mean())
    assert best.better_error == pytest.approx(saved.std() / math.sqrt(len(saved)))
    assert found.model_wins is bool(best.better > found.needed * best.better_error)
    rules = tuple(replace(rule, better_error=rule.better / 2.1) for rule in found.rules)
    assert not replace(found, rules=rules).model_wins, "2.1 standard errors are too few for the best of three"
    assert not replace(found, rules=tuple(rule for rule in found.rules if rule.key in holdout.THUMBS)).model_wins


def tried(key, error, *, low, aic, better=1.0):
    """A model with this error and AIC, whose error is at least `low` above the smallest."""
    return holdout.Rule(key, 0.0, 0.0, error, 0.0, 0.0, 0.0, better, 0.1, aic, low)


def test_models_level_within_noise_are_told_apart_by_aic(checked):
    thumbs = [rule for rule in checked[1].rules if rule.key in THUMBS]
    smallest = tried("bg_nbd", 1.0, low=0.0, aic=500.0)

    def chosen(*others):
        return replace(checked[1], rules=(smallest, *others, *thumbs)).model.key

    assert chosen(tried("mbg_nbd", 1.01, low=-0.001, aic=490.0)) == "mbg_nbd"
    assert chosen(tried("mbg_nbd", 1.01, low=-0.001, aic=510.0)) == "bg_nbd"
    assert chosen(tried("mbg_nbd", 1.5, low=0.2, aic=490.0)) == "bg_nbd", "worse beyond noise"
    assert chosen(tried("mbg_nbd", 1.0, low=1e-5, aic=490.0)) == "mbg_nbd", "beyond noise, by nothing that counts"
    beaten = tried("mbg_nbd", 1.01, low=-0.001, aic=490.0, better=0.1)
    assert chosen(beaten) == "bg_nbd", "only the other one beats the rule of thumb"
    neither = replace(smallest, better=0.1)
    assert replace(checked[1], rules=(neither, beaten, *thumbs)).model.key == "mbg_nbd"


def test_how_far_a_model_is_behind_is_a_paired_bootstrap(checked):
    """The same draws of customers for all; the lower end is that of the normal law for as many as these."""
    found = checked[1]
    ways = [rule.key for rule in found.models]
    squared = {way: (found.customers[way] - found.customers["actual"]) ** 2 for way in ways}
    best = min(ways, key=lambda way: squared[way].mean())
    assert found.rule(best).behind_low == 0.0 and found.rule(best) in found.level
    for way in set(ways) - {best}:
        apart = squared[way] - squared[best]
        error = apart.std() / math.sqrt(len(apart))
        assert found.rule(way).behind_low == pytest.approx(apart.mean() - 1.96 * error, abs=0.5 * error)


def test_a_model_far_off_is_not_level():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"actual": rng.poisson(2.0, 800).astype(float)})
    frame = frame.assign(near=2.0, nearly=2.001, far=3.0)
    lows = holdout.behind_lows(frame, ["near", "nearly", "far"])
    assert min(lows["near"], lows["nearly"]) <= 0 < lows["far"] and max(lows["near"], lows["nearly"]) <= 0
    assert holdout.behind_lows(frame, []) == {}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([], ""),
        ([tried("mbg_nbd", 1.5, low=0.2, aic=490.0)], "smaller than those of the other models beyond noise"),
        ([tried("mbg_nbd", 1.01, low=-0.001, aic=490.0)], "Of them the MBG/NBD model is taken, which has the best AIC"),
        (
            [tried("mbg_nbd", 1.01, low=-1, aic=490.0, better=0.1)],
            "that beat the rule of thumb, the BG/NBD model is taken",
        ),
    ],
)
def test_the_page_says_how_the_model_was_chosen(checked, models, said):
    thumbs = [rule for rule in checked[1].rules if rule.key in THUMBS]
    found = replace(checked[1], rules=(tried("bg_nbd", 1.0, low=0.0, aic=500.0), *models, *thumbs))
    choice = displays._choice(found, found.model)
    assert said in choice and bool(choice) is bool(models)


def test_each_number_of_a_way_by_hand():
    frame = pd.DataFrame({"actual": [0.0, 1, 2, 5], "way": [1.0, 1, 1, 3]})
    rule = holdout.judged(frame, "way")
    assert (rule.total, rule.bias, rule.mean_absolute_error) == (6.0, -0.5, 1.0)
    assert rule.root_mean_squared_error == pytest.approx(math.sqrt((1 + 0 + 1 + 4) / 4))
    assert rule.lift == pytest.approx(5 / 2) and math.isnan(rule.better)


def test_lift_of_equal_forecasts_is_one():
    rng = np.random.default_rng(2)
    actual = pd.Series(rng.poisson(1.0, 500).astype(float))
    assert holdout.decile_lift(pd.Series(1.0, actual.index), actual) == pytest.approx(1.0)
    top = actual.nlargest(50).mean() / actual.mean()
    assert holdout.decile_lift(actual, actual) == pytest.approx(top)
    assert math.isnan(holdout.decile_lift(actual, actual * 0))


def test_the_cut_of_silence_is_found():
    """Whoever has been silent for twenty weeks is gone, the others go on at four fifths of their pace."""
    rng = np.random.default_rng(3)
    past = pd.DataFrame({"x": rng.integers(1, 20, 4000), "T": 104.0, "t_x": rng.uniform(1, 104, 4000)})
    pace = past["x"] / 104 * 52
    came = pd.Series(rng.poisson(0.8 * pace.where(silence(past) < 20, 0.0)).astype(float))
    cut, rate = hiatus(past, came, 364.0)
    assert 16 < cut < 24 and rate == pytest.approx(0.8, abs=0.05)


def test_where_nobody_stops_there_is_no_cut():
    past = pd.DataFrame({"x": [4.0] * 40, "T": 52.0, "t_x": np.linspace(1, 52, 40)})
    assert hiatus(past, pd.Series([4.0] * 40), 364.0) == (math.inf, pytest.approx(1.0))


def test_a_model_that_cannot_be_fitted_is_named_with_the_reason(scope_of):
    """One customer in a hundred and fifty comes back, so that models are asked for but cannot be had."""
    days = pd.date_range("2023-10-04", "2025-09-01", periods=150)
    log = pd.DataFrame({"customer_id": [f"c{i}" for i in range(150)], "occurred_at": days, "amount": 5.0})
    again = log.head(9).assign(occurred_at=lambda frame: frame["occurred_at"] + pd.Timedelta(days=50))
    scope = scope_of({"transactions": pd.concat([log, again])}, value={"min_repeat_customers": 10})
    settings = Value(min_repeat_customers=10)
    found = holdout.check(
        scope, holdout.view(scope, 12), customers.status_back(scope, 12), 12, settings.model_copy(
            update={"min_repeat_customers": 5}
        )
    )  # fmt: skip
    assert found.model is None and not found.model_wins and found.tracking is None
    assert dict(found.failed)["bg_nbd"] == (
        "BG/NBD needs at least 10 customers with a repeat purchase; 9 of 150 have one."
    )


def test_a_single_bad_customer_breaks_nothing(scope_of):
    """Somebody with a payment of nothing, one below zero, and one on the last day alone."""
    odd = pd.DataFrame(
        [("zero", pd.Timestamp(2024, 1, 5), 0.0), ("zero", pd.Timestamp(2024, 3, 5), 0.0),
         ("minus", pd.Timestamp(2024, 1, 5), -5.0), ("minus", pd.Timestamp(2024, 2, 5), -5.0),
         ("late", pd.Timestamp(END), 10.0)],
        columns=["customer_id", "occurred_at", "amount"],
    )  # fmt: skip
    scope = scope_of({"transactions": pd.concat([log_of(600), odd])})
    found = holdout.check(scope, holdout.view(scope, 12), customers.status_back(scope, 12), 12, Value())
    assert len(found.models) == 3
    assert {"zero", "minus"} <= set(found.customers.index) and "late" not in found.customers.index


@pytest.mark.slow
def test_a_cohort_of_one_day_is_fitted_all_the_same(scope_of):
    log = log_of(600)
    first = log.groupby("customer_id")["occurred_at"].transform("min")
    log["occurred_at"] = pd.Timestamp(2023, 10, 4) + (log["occurred_at"] - first)
    scope = scope_of({"transactions": log})
    found = holdout.check(scope, holdout.view(scope, 12), customers.status_back(scope, 12), 12, Value())
    assert found.model is not None and histories(holdout.view(scope, 0).now).frame["T"].nunique() == 1
    assert found.tracking["customers"].nunique() == 1


def test_discount_of_an_even_stream():
    assert mean_discount(0.0, 3.0, 1.0) == 1.0
    months = 1.1 ** -((np.arange(12) + 0.5) / 12)
    assert mean_discount(0.10, 0.0, 1.0) == pytest.approx(months.mean(), rel=1e-4)
    assert mean_discount(0.10, 1.0, 1.0) == pytest.approx(mean_discount(0.10, 0.0, 1.0) / 1.1)


@pytest.mark.slow
def test_the_page_shows_the_forecast_month_by_month(scope_of):
    state = assess(scope_of({"transactions": log_of()}, margin={"rate": 0.5}))
    frame, words = displays.tracking(state), displays.track(state)
    assert charts.tracking(frame) is not None and set(words) == {"table", "title", "alt", "how_to_read"}
    held, months = displays.inside(frame)
    assert months == 12 and len(words["table"]) == 12
    assert f"{held} of the 12 hidden months lie within the interval" in words["how_to_read"]
    shocked = frame.assign(actual=frame["actual"].where(~frame["hidden"], frame["actual"] * 5))
    assert displays.inside(shocked)[0] < held, "a shock shows"
    rules = displays.rules(state)
    assert len(rules["frame"]) == 3 + 4 + 1 and rules["note"].startswith("**")
    lost = replace(state.outlook.holdout, rules=tuple(r for r in state.outlook.holdout.rules if r.key in THUMBS))
    without = replace(state, outlook=replace(state.outlook, holdout=replace(lost, tracking=None)))
    assert displays.rules(without)["note"].startswith("**No model could be fitted: the rule of thumb stands.**")
    assert charts.tracking(displays.tracking(without)) is None and displays.track(without)["title"] == ""


@pytest.mark.slow
def test_a_model_whose_months_miss_is_said_to(scope_of):
    state = assess(scope_of({"transactions": log_of()}))
    track = state.outlook.holdout.tracking
    off = track.assign(actual=track["actual"].where(~track["hidden"], track["high"] + 10))
    missed = replace(
        state, outlook=replace(state.outlook, way="model", holdout=replace(state.outlook.holdout, tracking=off))
    )
    assert displays.track(missed)["how_to_read"].startswith("**Only 0 of the 12 hidden months")
    none = off.assign(low=math.nan, high=math.nan)
    unknown = replace(missed, outlook=replace(missed.outlook, holdout=replace(state.outlook.holdout, tracking=none)))
    assert displays.track(unknown)["how_to_read"].startswith("**The forecast over time has no interval**")
    unused = replace(missed, outlook=replace(missed.outlook, way="class"))
    assert displays.track(unused)["how_to_read"].startswith("**Shown, not used**")
    said = displays.track(replace(unknown, outlook=replace(unknown.outlook, way="class")))["how_to_read"]
    assert said.startswith("**Shown, not used**") and "has no interval" in said and "0 of the 0" not in said


@pytest.mark.parametrize("months", [6, 13, 24, 36, 61])
def test_the_months_are_drawn_for_histories_of_any_length(months):
    days = pd.date_range("2020-01-31", periods=months, freq="ME")
    numbers = {f"{name}{end}": 5.0 for name in ("actual", "expected", "low", "high") for end in ("", "_so_far")}
    frame = pd.DataFrame({"month": days, **numbers, "hidden": [i >= months - 3 for i in range(months)]})
    assert charts.tracking(frame) is not None
    assert charts.tracking(frame.head(5)) is None
