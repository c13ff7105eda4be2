"""Pareto/NBD: its integrals, predictions against closed forms and published numbers, extremes, recovery, lifetimes."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln, hyperu

from crm_analysis.errors import DataError
from crm_analysis.value_models import Histories, ParetoNbdFit, fit_pareto_nbd
from crm_analysis.value_models.pareto_nbd import log_likelihood
from crm_analysis.value_models.tail_integrals import log_tail, tails

CDNOW = (0.553277066, 10.577683744, 0.606240021, 11.668735469)
RATE_15_A_YEAR = 0.15


def model(*values: float, unit: str = "week") -> ParetoNbdFit:
    return ParetoNbdFit(
        values=values,
        covariance=np.eye(4) * 1e-4,
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit=unit,
    )


def one(x: float, t_x: float, observed: float) -> Histories:
    return Histories(pd.DataFrame({"x": [x], "t_x": [t_x], "T": [observed]}), "week")


def positive(least: float, most: float):
    return st.floats(math.log(least), math.log(most)).map(math.exp)


PARAMETERS = st.tuples(positive(0.2, 20), positive(0.1, 300), positive(0.2, 20), positive(0.1, 300))


@st.composite
def a_history(draw, most_purchases=3000):
    x = draw(st.integers(0, most_purchases))
    observed = draw(st.one_of(st.just(1e-6), positive(0.01, 1000)))
    return x, observed * draw(st.floats(0.001, 1)) if x else 0.0, observed


def by_quad(a: float, b: float, alpha: float, beta: float, t: float) -> float:
    """log I(a, b; t) by adaptive quadrature in the logarithm of u - t."""

    def log_density(log_time: float) -> float:
        time = math.exp(log_time)
        return log_time - a * math.log(alpha + t + time) - b * math.log(beta + t + time)

    grid = np.linspace(-60, 60, 2401)
    levels = [log_density(each) for each in grid]
    best = int(np.argmax(levels))
    top, points = levels[best], grid[max(best - 8, 0) : best + 9 : 4]
    low, high = grid[best] - 45, grid[best] + min(45 / (a + b - 1) + 10, 300)
    edges = [low, *points, *np.linspace(points[-1], high, 12)[1:]]
    parts = [
        quad(lambda v: math.exp(log_density(v) - top), start, end, epsabs=1e-14, epsrel=1e-12, limit=200)[0]
        for start, end in zip(edges, edges[1:], strict=False)
    ]
    return top + math.log(sum(parts))


# Both ways of the rule, and where one gives way to the other.
@settings(max_examples=25, deadline=None)
@given(PARAMETERS, a_history())
@example((0.5532770, 10.577684, 0.606240, 11.668735), (26, 30.857143, 31.0))
@example((0.6, 10.0, 0.7, 10.0), (3, 12.0, 30.0))
@example((0.3, 300.0, 0.5, 0.1), (0, 0.0, 10.0))
@example((0.3, 0.1, 20.0, 300.0), (0, 0.0, 10.0))
@example((math.exp(-1.0), math.exp(-2.25), math.exp(1.5), math.exp(-0.625)), (0, 0.0, 1e-6))
def test_the_integral_is_that_of_adaptive_quadrature(theta, history):
    r, alpha, s, beta = theta
    x, t_x, observed = history
    for a, b, t in ((r + x, s + 1, t_x), (r + x + 1, s, observed)):
        found = log_tail(np.array([a]), b, alpha, beta, np.array([t]))[0]
        assert found == pytest.approx(by_quad(a, b, alpha, beta, t), rel=1e-10, abs=1e-10)


def test_the_integral_is_elementary_where_alpha_is_beta():
    m = np.array([0.6, 3.2, 5000.5])
    a = m + 1 - 1.7
    found = log_tail(a, 1.7, 12.0, 12.0, np.array([0.0, 5.0, 100.0]))
    np.testing.assert_allclose(found, -m * np.log(12 + np.array([0.0, 5.0, 100.0])) - np.log(m), rtol=1e-12)


def test_means_under_the_integrand_are_its_derivatives():
    a, t, step = np.array([0.7, 4.5, 60.5]), np.array([0.0, 8.0, 30.0]), 1e-6
    at = tails(a, 1.6, 9.0, 14.0, t)
    by_a = (log_tail(a + step, 1.6, 9.0, 14.0, t) - log_tail(a - step, 1.6, 9.0, 14.0, t)) / (2 * step)
    by_beta = (log_tail(a, 1.6, 9.0, 14.0 + step, t) - log_tail(a, 1.6, 9.0, 14.0 - step, t)) / (2 * step)
    np.testing.assert_allclose(by_a, -at.log_alpha_u, rtol=1e-7)
    np.testing.assert_allclose(by_beta, -1.6 * at.per_beta_u, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(PARAMETERS, a_history(most_purchases=200), a_history(most_purchases=5))
def test_gradient_is_the_slope_at_any_parameters(theta, heavy, light):
    rows = pd.DataFrame([(*heavy, 2.0), (*light, 3.0), (0, 0.0, 40.0, 1.0)], columns=["x", "t_x", "T", "n"])
    likelihood = log_likelihood(rows)
    at = np.array(theta)
    value, gradient = likelihood(at)
    for i in range(4):
        step = 1e-5 * at[i]
        moved = [likelihood(at + sign * step * np.eye(4)[i])[0] for sign in (-2, -1, 1, 2)]
        slope = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * step)
        assert gradient[i] * at[i] == pytest.approx(slope * at[i], rel=1e-5, abs=1e-8 * max(abs(value), 100))


@settings(max_examples=25, deadline=None)
@given(PARAMETERS, a_history(most_purchases=50))
def test_likelihood_is_that_of_the_paper(theta, history):
    """Fader and Hardie (2005), eq. 18, with its A0 as an integral over the time of dropout between t_x and T."""
    r, alpha, s, beta = theta
    x, t_x, observed = history
    log_alive = -(r + x) * math.log(alpha + observed) - s * math.log(beta + observed)

    def gone(u: float) -> float:
        return math.exp(-(r + x) * math.log(alpha + u) - (s + 1) * math.log(beta + u) - log_alive)

    edges = t_x + (observed - t_x) * np.array([0, 1e-4, 1e-3, 1e-2, 0.1, 0.4, 1.0])
    both = 1 + s * sum(quad(gone, low, high, limit=200)[0] for low, high in zip(edges, edges[1:], strict=False))
    expected = gammaln(r + x) - gammaln(r) + r * math.log(alpha) + s * math.log(beta) + log_alive + math.log(both)
    rows = pd.DataFrame({"x": [x], "t_x": [t_x], "T": [observed], "n": [1.0]})
    assert log_likelihood(rows)(np.array(theta))[0] == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert model(*theta).probability_alive(one(*history)).iloc[0] == pytest.approx(1 / both, rel=1e-7)


@pytest.mark.parametrize(
    ("history", "alive", "expected", "discounted"),
    [
        ((0, 0.0, 40.0), 0.3571791, 0.2212506, 0.05848859),
        ((2, 92 / 7, 40.0), 0.4225636, 0.9272819, 0.24513121),
        ((1, 59 / 7, 40.0), 0.4136156, 0.5819279, 0.15383529),
    ],
)
def test_apparel_customers_of_clvtools(history, alive, expected, discounted):
    """README of CLVTools 0.9: customers 1, 10 and 1222 of apparelTrans, 40 weeks, predictions for 279 days, and without
    end at a continuous 0.1 a week. Its parameters are printed with four digits, hence the tolerance.
    """
    fit, customer = model(0.7866, 5.3349, 0.3570, 11.6152), one(*history)
    rate_annual = math.expm1(0.1 * 365.2425 / 7)
    assert fit.probability_alive(customer).iloc[0] == pytest.approx(alive, rel=2e-4)
    assert fit.expected_purchases(customer, horizon_days=279).iloc[0] == pytest.approx(expected, rel=2e-4)
    found = fit.discounted_residual_purchases(customer, rate_annual=rate_annual).iloc[0]
    assert found == pytest.approx(discounted, rel=2e-4)


@pytest.mark.parametrize("history", [(7, 35.0, 77.86), (26, 30.857143, 31.0), (0, 0.0, 39.0)])
def test_endless_horizon_is_the_closed_form_of_the_paper(history):
    """Fader, Hardie and Lee (2005), "RFM and CLV", eq. 2, with Tricomi's function of scipy."""
    r, alpha, s, beta = CDNOW
    x, _, observed = history
    fit, customer = model(*CDNOW), one(*history)
    delta = math.log1p(RATE_15_A_YEAR) / (365.2425 / 7)
    psi = hyperu(s, s, delta * (beta + observed))
    alive = fit.probability_alive(customer).iloc[0]
    expected = alive * (r + x) / (alpha + observed) * delta ** (s - 1) * (beta + observed) ** s * psi
    found = fit.discounted_residual_purchases(customer, rate_annual=RATE_15_A_YEAR).iloc[0]
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("s", [0.05, 0.999999999, 1.0, 40.0])
@pytest.mark.parametrize("rate_annual", [1e-9, 0.1, 1e6])
def test_endless_horizon_where_tricomis_function_is_of_no_use(s, rate_annual):
    beta, observed = 12.0, 50.0
    z = (beta + observed) * math.log1p(rate_annual) / (365.2425 / 7)
    edges = [0, *np.geomspace(1e-9, 60 / z, 120)]
    lifetime = sum(
        quad(lambda v: math.exp(-z * v - s * math.log1p(v)), low, high, epsrel=1e-12)[0]
        for low, high in zip(edges, edges[1:], strict=False)
    )
    customer = one(4, 50.0, 50.0)
    found = model(0.6, 8.0, s, beta).discounted_residual_purchases(customer, rate_annual=rate_annual).iloc[0]
    assert found == pytest.approx(4.6 / 58 * (beta + observed) * lifetime, rel=1e-8)


def test_an_endless_horizon_is_the_limit_of_long_ones():
    """Two numbers: months discounted from their middles come near the continuous discount as the horizon grows."""
    fit, customer = model(*CDNOW), one(7, 30.0, 39.0)
    endless = fit.discounted_residual_purchases(customer, rate_annual=RATE_15_A_YEAR).iloc[0]
    months = [fit.discounted_purchases(customer, horizon_months=m, rate_annual=0.15).iloc[0] for m in (12, 120, 960)]
    assert months[0] < months[1] < endless
    assert months[2] == pytest.approx(endless, rel=1e-4)
    undiscounted = fit.discounted_purchases(customer, horizon_months=12, rate_annual=0.0).iloc[0]
    assert undiscounted == pytest.approx(fit.expected_purchases(customer, horizon_days=365.2425).iloc[0], rel=1e-12)
    with pytest.raises(DataError, match="A prediction looks ahead by zero days or more; asked for -1"):
        fit.expected_purchases(customer, horizon_days=-1)
    with pytest.raises(DataError, match="An endless horizon needs a discount rate above zero; it is 0 a year"):
        fit.discounted_residual_purchases(customer, rate_annual=0.0)


@pytest.mark.parametrize(
    ("history", "upto"),
    [((0, 0.0, 0.0), 300), ((7, 30.0, 39.0), 300), ((4000, 999.9, 1000.0), 600), ((3, 9.0, 9.0), 300)],
)
def test_probabilities_of_counts_sum_to_one_and_to_the_expectation(history, upto):
    fit, customer = model(0.6, 8.0, 0.7, 12.0), one(*history)
    counts = fit.purchase_probabilities(customer, horizon_days=364, upto=upto).iloc[0]
    assert counts.sum() == pytest.approx(1, abs=1e-8)
    expected = fit.expected_purchases(customer, horizon_days=364).iloc[0]
    assert (counts * counts.index).sum() == pytest.approx(expected, rel=1e-6)


def test_probabilities_of_counts_of_new_customers():
    """Those of a new customer are those of a history of no length; checked against the average over its two rates."""
    fit = model(*CDNOW)
    found = fit.new_customer_probabilities(horizon_days=364, upto=250)
    customer = fit.purchase_probabilities(one(0, 0.0, 0.0), horizon_days=364, upto=250)
    np.testing.assert_allclose(found, customer.iloc[0], rtol=1e-9)
    assert (found * np.arange(251)).sum() == pytest.approx(fit.new_customer_purchases(364), rel=1e-6)
    frame = fit.simulate(np.full(200_000, 52.0), seed=4)
    shares = np.bincount(frame["x"], minlength=8)[:8] / len(frame)
    np.testing.assert_allclose(found[:8], shares, atol=4 * 0.5 / math.sqrt(len(frame)))
    assert fit.new_customer_probabilities(horizon_days=0, upto=2).tolist() == [1, 0, 0]


def test_alive_later_and_lifetimes_to_come():
    fit, customer = model(0.6, 8.0, 1.5, 12.0), one(4, 20.0, 40.0)
    alive = fit.probability_alive(customer).iloc[0]

    def later(days: float) -> float:
        return fit.probability_alive(customer, later_days=days).iloc[0]

    assert later(fit.median_lifetime_days(customer).iloc[0]) == pytest.approx(alive / 2, rel=1e-12)
    days = np.concatenate([[0], np.geomspace(0.1, 1e12, 200)])
    mean = np.trapezoid([later(each) for each in days], days)
    assert fit.residual_lifetime_days(customer).iloc[0] == pytest.approx(mean, rel=5e-3)
    total = fit.residual_purchases(customer).iloc[0]
    assert fit.expected_purchases(customer, horizon_days=1e14).iloc[0] == pytest.approx(total, rel=1e-5)
    assert fit.undefined == {}


def test_means_that_do_not_exist_are_undefined_with_the_reason():
    fit, customer = model(*CDNOW), one(4, 20.0, 40.0)
    assert math.isnan(fit.residual_lifetime_days(customer).iloc[0])
    assert math.isnan(fit.residual_purchases(customer).iloc[0])
    assert fit.undefined["residual_lifetime_days"] == (
        "s is 0.606, not above 1: so many customers hardly ever drop out that the mean of the time to dropout is "
        "infinite"
    )
    assert math.isfinite(fit.median_lifetime_days(customer).iloc[0])


@settings(max_examples=25, deadline=None)
@given(PARAMETERS, a_history(most_purchases=20_000))
@example((0.55, 10.0, 0.6, 10.0), (5000, 30.0, 30.0))
@example((0.55, 74.0, 0.6, 0.001), (0, 0.0, 1e-9))
def test_every_prediction_stays_in_its_range(theta, history):
    fit, customer = model(*theta), one(*history)
    alive = fit.probability_alive(customer).iloc[0]
    assert 0 <= fit.probability_alive(customer, later_days=90).iloc[0] <= alive <= 1
    if history[1] == history[2]:
        assert alive == pytest.approx(1, abs=1e-9)
    expected = fit.expected_purchases(customer, horizon_days=90).iloc[0]
    assert math.isfinite(expected) and expected >= 0
    endless = fit.discounted_residual_purchases(customer, rate_annual=0.1).iloc[0]
    assert math.isfinite(endless)
    assert endless >= fit.discounted_purchases(customer, horizon_months=12, rate_annual=0.1).iloc[0] * (1 - 1e-3)
    counts = fit.purchase_probabilities(customer, horizon_days=90, upto=3).to_numpy()
    assert (counts >= 0).all() and counts.sum() <= 1 + 1e-9


def test_agrees_with_lifetimes_where_lifetimes_is_right():
    fit = model(*CDNOW)
    frame = fit.simulate(np.random.default_rng(3).uniform(5, 80, 60), seed=3)[["x", "t_x", "T"]]
    histories, theirs = Histories(frame, "week"), fit.to_lifetimes()
    columns = [frame[name].to_numpy(float) for name in ("x", "t_x", "T")]
    np.testing.assert_allclose(
        fit.probability_alive(histories), theirs.conditional_probability_alive(*columns), rtol=1e-9
    )
    expected = theirs.conditional_expected_number_of_purchases_up_to_time(39, *columns)
    np.testing.assert_allclose(fit.expected_purchases(histories, horizon_days=273), expected, rtol=1e-8)
    counts = fit.purchase_probabilities(histories, horizon_days=273, upto=4)
    for n in range(5):
        their_n = theirs.conditional_probability_of_n_purchases_up_to_time(n, 39, *columns)
        np.testing.assert_allclose(counts[n], their_n, rtol=1e-6, atol=1e-12)


def test_where_lifetimes_is_wrong():
    """A heavy buyer soon after the first purchase: lifetimes has no number for P(alive), since its two hypergeometric
    terms cancel. s = 1: no number for the expectation. Many purchases: a probability of exactly zero.
    """
    heavy = (334, 9.497, 9.506)
    fit = model(6.027, 4.855, 1.264, 124.951)
    r, alpha, s, beta = fit.values
    gone = quad(lambda u: math.exp(-(r + 334) * math.log((alpha + u) / (alpha + 9.506))), 9.497, 9.506)[0]
    assert fit.probability_alive(one(*heavy)).iloc[0] == pytest.approx(1 / (1 + s * gone / (beta + 9.506)), rel=1e-6)
    at_one, far = model(0.6, 8.0, 1.0, 12.0), model(0.6, 8.0, 0.7, 12.0)
    assert at_one.new_customer_purchases(364) == pytest.approx(
        model(0.6, 8.0, 1 + 1e-6, 12.0).new_customer_purchases(364), rel=1e-5
    )
    many = far.purchase_probabilities(one(3, 12.0, 30.0), horizon_days=364, upto=120)[120].iloc[0]
    assert 1e-27 < many < 1e-25
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        x, t_x, observed = (np.array([float(each)]) for each in heavy)
        assert np.isnan(fit.to_lifetimes().conditional_probability_alive(x, t_x, observed)).all()
        assert np.isnan(at_one.to_lifetimes().expected_number_of_purchases_up_to_time(np.float64(52)))
        history = [np.array([each]) for each in (3.0, 12.0, 30.0)]
        theirs = far.to_lifetimes().conditional_probability_of_n_purchases_up_to_time(120, 52, *history)
        assert not 1e-27 < float(np.asarray(theirs).ravel()[0]) < 1e-25


def test_a_fit_on_days_is_a_maximum_and_recovers_the_parameters():
    """20,000 customers seen day by day; no neighbour of the optimum is better."""
    truth = model(0.55, 74.0, 0.6, 82.0, unit="day")
    frame = truth.simulate(np.random.default_rng(1).integers(180, 731, 20_000).astype(float), seed=2)
    frame["t_x"] = np.where(frame["x"] > 0, np.minimum(np.ceil(frame["t_x"]), frame["T"]), 0.0)
    histories = Histories(frame[["x", "t_x", "T"]], "day")
    fit = fit_pareto_nbd(histories)
    assert fit.converged and fit.notes == ()
    likelihood = log_likelihood(histories.compressed())
    for i in range(4):
        for factor in (0.999, 1.001):
            moved = np.array(fit.values)
            moved[i] *= factor
            assert likelihood(moved)[0] < fit.log_likelihood
    errors = (np.array(fit.values) - truth.values) / np.array(list(fit.standard_errors.values()))
    assert np.abs(errors).max() < 3


def test_buyers_of_every_hour_and_of_once_in_a_lifetime():
    """Gaps much shorter than the time observed, counts in the thousands: nothing runs off."""
    truth = model(0.3, 0.5, 0.9, 20.0)
    frame = truth.simulate(np.random.default_rng(0).uniform(1, 900, 3000), seed=1)
    assert frame["x"].max() > 2000
    fit = fit_pareto_nbd(Histories(frame[["x", "t_x", "T"]], "week"))
    assert fit.converged and fit.notes == ()
    errors = (np.array(fit.values) - truth.values) / np.array(list(fit.standard_errors.values()))
    assert np.abs(errors).max() < 3


def test_nobody_drops_out_is_said_in_words():
    rng = np.random.default_rng(7)
    x = rng.poisson(rng.gamma(1.5, 0.1, 1500) * 60)
    t_x = np.where(x > 0, 60 * rng.random(1500) ** (1 / np.maximum(x, 1)), 0.0)
    histories = Histories(pd.DataFrame({"x": x, "t_x": t_x, "T": 60.0}), "week")
    fit = fit_pareto_nbd(histories)
    assert fit.notes[0] == "s runs towards zero: hardly anybody drops out"
    assert fit.probability_alive(histories).mean() > 0.97
    assert fit.expected_purchases(histories, horizon_days=70).mean() == pytest.approx(1.5, rel=0.1)


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """200 seeded replications of 3,000 customers: each parameter, and three predictions by either method, lie in their
    95 % intervals in 93 % or more.
    """
    truth, replications = model(0.6, 8.0, 0.7, 12.0), 200
    customers = Histories(pd.DataFrame({"x": [0, 3, 12], "t_x": [0.0, 20.0, 50.0], "T": [60.0, 60.0, 60.0]}), "week")

    def year(fit: ParetoNbdFit, group: Histories) -> pd.Series:
        return fit.expected_purchases(group, horizon_days=364)

    true_year, true_values = year(truth, customers), np.array(truth.values)
    inside = {"parameters": np.zeros(4), "delta": np.zeros(3), "draws": np.zeros(3)}
    for seed in range(replications):
        observed = np.random.default_rng(1000 + seed).integers(26, 130, 3000).astype(float)
        frame = truth.simulate(observed, seed=seed)[["x", "t_x", "T"]]
        fit = fit_pareto_nbd(Histories(frame, "week"))
        table = fit.parameter_table()
        inside["parameters"] += ((table["low"] <= true_values) & (true_values <= table["high"])).to_numpy()
        for method in ("delta", "draws"):
            found = fit.interval(year, customers, method=method, seed=seed)
            inside[method] += ((found["low"] <= true_year) & (true_year <= found["high"])).to_numpy()
    for name, count in inside.items():
        assert (count / replications >= 0.93).all(), (name, count)
