"""Gradients, extremes, recovery of known parameters, and messages."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import beta as beta_function

from crm_analysis import value_models
from crm_analysis.errors import DataError
from crm_analysis.value_models import BgNbdFit, CannotFit, Histories, MbgNbdFit, ParetoNbdFit, pareto_nbd
from crm_analysis.value_models.beta_geometric import Given, log_likelihood


def a_fit(kind: type, *values: float, unit: str = "week"):
    size = len(values)
    return kind(
        values=values,
        covariance=np.eye(size) * 1e-4,
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit=unit,
    )


def one(x: float, t_x: float, observed: float, unit: str = "week") -> Histories:
    return Histories(pd.DataFrame({"x": [x], "t_x": [t_x], "T": [observed]}), unit)


TRUTH = {BgNbdFit: (0.6, 8.0, 0.9, 2.5), MbgNbdFit: (0.6, 8.0, 0.9, 2.5), ParetoNbdFit: (0.6, 8.0, 0.7, 12.0)}
FITTERS = {
    BgNbdFit: value_models.fit_bg_nbd,
    MbgNbdFit: value_models.fit_mbg_nbd,
    ParetoNbdFit: value_models.fit_pareto_nbd,
}


@pytest.fixture(scope="module")
def drawn() -> dict[type, pd.DataFrame]:
    observed = np.random.default_rng(5).integers(26, 130, 4000).astype(float)
    return {kind: a_fit(kind, *truth).simulate(observed, seed=12, days_ahead=364) for kind, truth in TRUTH.items()}


@pytest.mark.parametrize(
    "make",
    [lambda rows: log_likelihood(rows, 0), lambda rows: log_likelihood(rows, 1), pareto_nbd.log_likelihood],
    ids=["BG/NBD", "MBG/NBD", "Pareto/NBD"],
)
def test_gradient_is_the_slope_of_the_likelihood(make):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 6, 50)
    observed = rng.uniform(5, 60, 50)
    t_x = np.where(x > 0, observed * rng.random(50), 0.0)
    likelihood = make(pd.DataFrame({"x": x, "t_x": t_x, "T": observed, "n": 1 + x % 3}))
    theta = np.array([0.7, 9.0, 0.8, 3.0])
    gradient = likelihood(theta)[1]
    for i, slope in enumerate(gradient):
        up, down = theta.copy(), theta.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        assert (likelihood(up)[0] - likelihood(down)[0]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", [BgNbdFit, MbgNbdFit, ParetoNbdFit])
def test_simulated_parameters_are_recovered(kind, drawn):
    fit = FITTERS[kind](Histories(drawn[kind][["x", "t_x", "T"]], "week"))
    table = fit.parameter_table()
    log_errors = np.log(table["estimate"] / list(TRUTH[kind])) / (table["standard_error"] / table["estimate"])
    assert np.abs(log_errors).max() < 3
    assert fit.converged


@pytest.mark.parametrize("kind", [BgNbdFit, MbgNbdFit, ParetoNbdFit])
def test_expectations_are_the_means_of_simulated_futures(kind, drawn):
    """A year ahead of 4,000 customers, and P(alive) against who was alive."""
    truth, frame = a_fit(kind, *TRUTH[kind]), drawn[kind]
    histories = Histories(frame[["x", "t_x", "T"]], "week")
    expected = truth.expected_purchases(histories, horizon_days=364)
    for group in (frame["x"] == 0, frame["x"].between(1, 3), frame["x"] > 3):
        error = frame.loc[group, "future"].std() / math.sqrt(group.sum())
        assert abs(expected[group].mean() - frame.loc[group, "future"].mean()) < 3.5 * error
    alive = truth.probability_alive(histories)
    repeat = frame["x"] > 0
    assert alive[repeat].mean() == pytest.approx(frame.loc[repeat, "alive"].mean(), abs=0.03)


@pytest.mark.parametrize("kind", [BgNbdFit, MbgNbdFit, ParetoNbdFit])
@pytest.mark.parametrize(
    "history", [(0, 0, 0), (0, 0, 1e-9), (3, 10, 10), (5000, 99.9, 100), (2000, 30, 500), (1, 1e-6, 900)]
)
def test_extreme_histories_stay_finite(kind, history):
    fit, histories = a_fit(kind, *TRUTH[kind]), one(*history)
    expected = fit.expected_purchases(histories, horizon_days=364).iloc[0]
    assert math.isfinite(expected) and expected >= 0
    assert 0 <= fit.probability_alive(histories).iloc[0] <= 1


def test_thousands_of_purchases_against_the_integral():
    """Eq. 10 with Euler's integral of the hypergeometric function, evaluated directly."""
    r, alpha, a, b, x, observed, t = 0.6, 8.0, 1.5, 2.5, 3000, 100.0, 52.0
    z, c = t / (alpha + observed + t), a + b + x - 1
    density = quad(
        lambda u: np.exp(
            (b + x - 1) * np.log(u) + (c - b - x - 1) * np.log1p(-u) + (r + x) * np.log((1 - z) / (1 - z * u))
        ),
        0.5,
        1,
        points=[1 - 1e-3, 1 - 1e-4],
        limit=500,
    )[0]
    direct = c / (a - 1) * (1 - density / beta_function(b + x, c - b - x))
    fit = a_fit(BgNbdFit, r, alpha, a, b)
    given = Given(np.array([r + x]), np.array([alpha + observed]), np.array([b + x]))
    ours = fit._mean_while_alive(given, t)[0]
    assert ours == pytest.approx(direct, rel=1e-5)


@pytest.mark.parametrize(("kind", "near"), [(BgNbdFit, (0.6, 8.0, 1.0, 2.5)), (ParetoNbdFit, (0.6, 8.0, 1.0, 12.0))])
def test_the_removable_point_at_one(kind, near):
    histories = one(4, 20.0, 40.0)
    at, beside = a_fit(kind, *near), a_fit(kind, near[0], near[1], near[2] + 2e-5, near[3])
    assert at.expected_purchases(histories, horizon_days=364).iloc[0] == pytest.approx(
        beside.expected_purchases(histories, horizon_days=364).iloc[0], rel=1e-4
    )


def test_alpha_equal_to_beta_has_a_closed_form():
    """Pareto/NBD with alpha = beta: the integral is elementary (Fader and Hardie 2005)."""
    r, alpha, s = 0.6, 10.0, 0.7
    x, t_x, observed = 3, 12.0, 30.0
    gone = s / (r + s + x) * ((alpha + t_x) ** -(r + s + x) - (alpha + observed) ** -(r + s + x))
    alive = (alpha + observed) ** -(r + s + x)
    fit = a_fit(ParetoNbdFit, r, alpha, s, alpha)
    assert fit.probability_alive(one(x, t_x, observed)).iloc[0] == pytest.approx(alive / (alive + gone), rel=1e-12)


def test_the_unit_of_time_does_not_matter():
    """Days or weeks: the same likelihood up to the change of variable, the same predictions."""
    frame = a_fit(BgNbdFit, *TRUTH[BgNbdFit]).simulate(np.full(1500, 80.0), seed=2)[["x", "t_x", "T"]]
    weeks = Histories(frame, "week")
    days = Histories(frame.assign(t_x=frame["t_x"] * 7, T=frame["T"] * 7), "day")
    by_week, by_day = value_models.fit_bg_nbd(weeks), value_models.fit_bg_nbd(days)
    assert by_day.parameters["alpha"] == pytest.approx(7 * by_week.parameters["alpha"], rel=1e-5)
    np.testing.assert_allclose(
        by_day.expected_purchases(days, horizon_days=90), by_week.expected_purchases(weeks, horizon_days=90), rtol=1e-5
    )


def test_periods_add_up_and_discounting_takes_off():
    fit, histories = a_fit(BgNbdFit, *TRUTH[BgNbdFit]), one(4, 20.0, 40.0)
    whole = fit.expected_purchases(histories, horizon_days=200).iloc[0]
    parts = sum(fit.expected_purchases(histories, horizon_days=100, start_days=start).iloc[0] for start in (0, 100))
    assert parts == pytest.approx(whole, rel=1e-12)
    year = fit.expected_purchases(histories, horizon_days=365.2425).iloc[0]
    assert fit.discounted_purchases(histories, horizon_months=12, rate_annual=0.0).iloc[0] == pytest.approx(year)
    assert fit.discounted_purchases(histories, horizon_months=12, rate_annual=0.1).iloc[0] < year


def test_delta_interval_agrees_with_draws(drawn):
    fit = value_models.fit_bg_nbd(Histories(drawn[BgNbdFit][["x", "t_x", "T"]], "week"))

    def year(each: BgNbdFit) -> float:
        return float(each.new_customer_purchases(364))

    estimate = fit.delta(year)
    spread = np.std([year(each) for each in fit.draws(400, seed=3)])
    assert estimate.standard_error == pytest.approx(spread, rel=0.12)
    assert estimate.low < estimate.value < estimate.high


def test_gamma_gamma_shrinks_towards_the_population():
    rng = np.random.default_rng(8)
    p, q, gamma, n = 4.0, 3.0, 20.0, 3000
    x = rng.integers(1, 12, n)
    mean_value = rng.gamma(p * x, 1 / rng.gamma(q, 1 / gamma, n)) / x
    frame = pd.DataFrame({"x": x, "t_x": 5.0, "T": 10.0, "mean_value": mean_value})
    histories = Histories(frame, "week")
    fit = value_models.fit_gamma_gamma(histories)
    errors = (np.array(fit.values) - (p, q, gamma)) / np.array(list(fit.standard_errors.values()))
    assert np.abs(errors).max() < 3
    assert fit.mean == pytest.approx(p * gamma / (q - 1), rel=0.05)
    assert fit.correlation_p > 0.01
    expected = fit.expected_value(histories)
    low, high = np.minimum(mean_value, fit.mean), np.maximum(mean_value, fit.mean)
    assert ((expected >= low - 1e-9) & (expected <= high + 1e-9)).all()
    never = Histories(pd.DataFrame({"x": [0], "t_x": [0.0], "T": [5.0], "mean_value": [math.nan]}), "week")
    assert fit.expected_value(never).iloc[0] == pytest.approx(fit.mean)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, 5.0, 4.0), "1 of 1 purchase histories have their last purchase after the end of observation (t_x > T)"),
        ((0, 2.0, 4.0), "1 of 1 purchase histories have no repeat purchase but a time of one (x = 0, t_x > 0)"),
        ((2, 0.0, 4.0), "1 of 1 purchase histories have repeat purchases but no time between them (x > 0, t_x = 0)"),
        ((1.5, 2.0, 4.0), "1 of 1 purchase histories have a repeat count that is no whole number"),
        ((math.nan, 2.0, 4.0), "1 of 1 purchase histories have a value missing or negative"),
    ],
)
def test_impossible_histories_are_refused(row, message):
    with pytest.raises(DataError) as refused:
        one(*row)
    assert str(refused.value) == (
        f"{message}; first: x {float(row[0])}, t_x {row[1]}, T {row[2]}. "
        "Make them with `customers.summarize`, which counts purchases on one day as one."
    )


def test_too_few_repeat_customers_is_said_with_the_number():
    frame = pd.DataFrame({"x": [0] * 97 + [1] * 3, "t_x": [0.0] * 97 + [2.0] * 3, "T": 10.0, "mean_value": 5.0})
    histories = Histories(frame, "week")
    with pytest.raises(CannotFit) as short:
        value_models.fit_bg_nbd(histories)
    assert str(short.value) == "BG/NBD needs at least 10 customers with a repeat purchase; 3 of 100 have one."
    with pytest.raises(
        CannotFit, match="Gamma-Gamma needs at least 10 repeat customers with positive spend; there are 3"
    ):
        value_models.fit_gamma_gamma(histories)


def test_a_prediction_knows_its_unit():
    with pytest.raises(DataError) as mismatch:
        a_fit(BgNbdFit, *TRUTH[BgNbdFit]).expected_purchases(one(1, 2.0, 3.0, unit="day"), horizon_days=30)
    assert str(mismatch.value) == (
        "The model was fitted in weeks and the purchase histories are in days: make them with "
        '`histories(summary, unit="week")`.'
    )


def test_customers_who_hardly_differ_are_diagnosed_in_words():
    """All buy at one rate and nobody drops out: the spread of the rate cannot be told."""
    rng = np.random.default_rng(4)
    x = rng.poisson(5.0, 800)
    frame = pd.DataFrame({"x": x, "t_x": np.where(x > 0, 50 * rng.random(800) ** (1 / np.maximum(x, 1)), 0), "T": 50.0})
    fit = value_models.fit_bg_nbd(Histories(frame, "week"))
    assert fit.notes
    assert fit.expected_purchases(Histories(frame, "week"), horizon_days=350).mean() == pytest.approx(5.0, rel=0.1)
