"""Gamma-Gamma: gradient, the test of its assumption, intervals, recovery, coverage, and messages. The published numbers
are in test_published.py.
"""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gamma as gamma_distribution

from crm_analysis import value_models
from crm_analysis.errors import DataError
from crm_analysis.value_models import CannotFit, GammaGammaFit, Histories, Occasions, gamma_gamma

TRUTH = (2.0, 3.0, 15.0)


def a_fit(*values: float) -> GammaGammaFit:
    return GammaGammaFit(
        values=values,
        covariance=np.eye(3) * 1e-4,
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit="week",
        correlation=0.0,
        correlation_p=1.0,
        correlation_raw=0.0,
        n_left_out=0,
    )


def spenders(x: np.ndarray | list[int], mean_value: np.ndarray | list[float]) -> Histories:
    frame = pd.DataFrame({"x": x, "mean_value": mean_value})
    return Histories(frame.assign(t_x=np.where(frame["x"] > 0, 5.0, 0.0), T=10.0), "week")


def simulated(n: int, seed: int, *values: float) -> Histories:
    x = np.random.default_rng(seed).geometric(0.35, n)
    drawn = a_fit(*values).simulate(x, seed=seed)
    return spenders(x, drawn["mean_value"])


PARAMETER = st.floats(0.2, 20)


@settings(max_examples=40, deadline=None)
@given(
    theta=st.tuples(PARAMETER, PARAMETER, PARAMETER),
    rows=st.lists(st.tuples(st.integers(1, 60), st.floats(0.1, 1000), st.integers(1, 9)), min_size=1, max_size=8),
)
def test_gradient_is_the_slope_of_the_likelihood(theta, rows):
    likelihood = gamma_gamma._likelihood(pd.DataFrame(rows, columns=["x", "mean_value", "customers"]))
    theta = np.array(theta)
    value, gradient = likelihood(theta)
    for i, slope in enumerate(gradient):
        step = np.zeros(3)
        step[i] = 1e-4 * theta[i]
        numeric = (likelihood(theta + step)[0] - likelihood(theta - step)[0]) / (2 * step[i])
        assert numeric == pytest.approx(slope, rel=1e-5, abs=1e-6 * (1 + abs(value)) / theta[i])


@pytest.mark.parametrize(("x", "z"), [(1, 4.0), (3, 12.0), (25, 7.5)])
def test_likelihood_and_relative_spend_against_the_integral_over_customers(x, z):
    """Over nu ~ Gamma(q, gamma): the density of the mean of x purchases, and its distribution function."""
    p, q, gamma = TRUTH

    def over_nu(function):
        return quad(lambda nu: function(nu) * gamma_distribution.pdf(nu, q, scale=1 / gamma), 0, 20, limit=400)[0]

    density = over_nu(lambda nu: gamma_distribution.pdf(z, p * x, scale=1 / (nu * x)))
    frame = pd.DataFrame({"x": [x], "mean_value": [z], "customers": [1]})
    assert gamma_gamma._likelihood(frame)(np.array(TRUTH))[0] == pytest.approx(math.log(density), rel=1e-7)
    below = over_nu(lambda nu: gamma_distribution.cdf(z, p * x, scale=1 / (nu * x)))
    assert a_fit(*TRUTH).relative_spend(spenders([x], [z])).iloc[0] == pytest.approx(below, rel=1e-7)


def test_simulated_parameters_are_recovered_and_expectations_are_means():
    histories = simulated(30_000, 4, *TRUTH)
    fit = value_models.fit_gamma_gamma(histories)
    errors = (np.array(fit.values) - TRUTH) / np.array(list(fit.standard_errors.values()))
    assert np.abs(errors).max() < 3
    assert fit.converged and fit.notes == () and fit.n_left_out == 0
    true_value = a_fit(*TRUTH).simulate(histories.frame["x"].to_numpy(), seed=4)["true_value"]
    expected = a_fit(*TRUTH).expected_value(histories)
    own = histories.frame["mean_value"]
    for group in (own < 4, own.between(4, 10), own > 10, histories.frame["x"] == 1, histories.frame["x"] > 4):
        error = true_value[group].std() / math.sqrt(group.sum())
        assert abs(expected[group].mean() - true_value[group].mean()) < 4 * error


def test_duplicate_rows_are_compressed_without_a_trace():
    rng = np.random.default_rng(1)
    frame = simulated(400, 2, *TRUTH).frame.round({"mean_value": 1})
    many = frame.loc[rng.integers(0, 400, 3000)].reset_index(drop=True)
    fit = value_models.fit_gamma_gamma(Histories(many, "week"))
    assert (fit.n_customers, fit.n_distinct) == (3000, len(many[["x", "mean_value"]].drop_duplicates()))
    plain = gamma_gamma._likelihood(many[["x", "mean_value"]].assign(customers=1))
    assert plain(np.array(fit.values))[0] == pytest.approx(fit.log_likelihood, rel=1e-12)
    assert np.abs(plain(np.array(fit.values))[1] * fit.values).max() < 1e-4 * 3000


def test_spend_of_discrete_giving():
    """The same model takes giving histories: what is given on an occasion."""
    histories = simulated(500, 3, *TRUTH)
    frame = histories.frame[["x", "mean_value"]]
    giving = Occasions(frame.assign(t_x=frame["x"], n=frame["x"]), "year")
    by_gift, by_purchase = value_models.fit_gamma_gamma(giving), value_models.fit_gamma_gamma(histories)
    assert by_gift.values == by_purchase.values and by_gift.unit == "year"


@pytest.mark.slow
def test_independence_is_not_rejected_where_it_holds():
    """The raw rank correlation is above nil though frequency and spend are unrelated, and would be significant nearly
    always; relative to what the model expects it is not.
    """
    p_values, raw = [], []
    for seed in range(20):
        fit = value_models.fit_gamma_gamma(simulated(1500, seed, 1.0, 4.0, 20.0))
        p_values.append(fit.correlation_p)
        raw.append(fit.correlation_raw)
    assert np.mean(raw) > 0.08
    assert sum(p < 0.05 for p in p_values) <= 3


@pytest.mark.parametrize(("power", "sign"), [(0.4, 1), (-0.4, -1)])
def test_dependence_is_found_and_shown(power, sign):
    """Those who come more often give more (or less) each time: seen in the correlation and in the table."""
    frame = simulated(3000, 7, *TRUTH).frame
    histories = Histories(frame.assign(mean_value=frame["mean_value"] * frame["x"] ** power), "week")
    fit = value_models.fit_gamma_gamma(histories)
    assert sign * fit.correlation > 0.1 and fit.correlation_p < 1e-6
    table = fit.independence(histories)
    outside = (table["relative_spend"] < table["low"]) | (table["relative_spend"] > table["high"])
    assert outside.sum() >= 2
    assert sign * (table["relative_spend"].iloc[-2] - table["relative_spend"].iloc[0]) > 0.1


def test_table_of_independence_counts_everybody_once():
    histories = simulated(3000, 8, *TRUTH)
    table = value_models.fit_gamma_gamma(histories).independence(histories)
    assert table["customers"].sum() == 3000
    assert table["from"].tolist() == [1, 2, 3, 5, 9, 17][: len(table)]
    means = (table["mean_value"] * table["customers"]).sum() / 3000
    assert means == pytest.approx(histories.frame["mean_value"].mean())
    inside = table["relative_spend"].between(table["low"], table["high"])
    assert inside.mean() >= 0.8


def test_intervals_of_expected_value():
    histories = simulated(1500, 9, *TRUTH)
    fit = value_models.fit_gamma_gamma(histories)
    asked = spenders([0, 1, 1, 20], [math.nan, 2.0, 60.0, 60.0])

    def worth(each: GammaGammaFit, group: Histories) -> pd.Series:
        return each.expected_value(group)

    delta, draws = fit.interval(worth, asked), fit.interval(worth, asked, method="draws", draws=800, seed=2)
    assert delta["value"].iloc[0] == pytest.approx(fit.mean)
    assert ((delta["low"] < delta["value"]) & (delta["value"] < delta["high"])).all()
    np.testing.assert_allclose(draws["low"], delta["low"], rtol=0.02)
    np.testing.assert_allclose(draws["high"], delta["high"], rtol=0.02)
    relative = (delta["high"] - delta["low"]) / delta["value"]
    assert relative.iloc[3] < relative.iloc[2]  # twenty purchases of one's own leave little to the population


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """200 replications of 1,000 repeat customers: each parameter, and the expectations of three customers."""
    truth = a_fit(*TRUTH)
    asked = spenders([0, 1, 6], [math.nan, 25.0, 4.0])

    def worth(each: GammaGammaFit, group: Histories) -> pd.Series:
        return each.expected_value(group)

    exact, covered, rejected = worth(truth, asked).to_numpy(), [], []
    for seed in range(200):
        fit = value_models.fit_gamma_gamma(simulated(1000, 3000 + seed, *TRUTH))
        table, expected = fit.parameter_table(), fit.interval(worth, asked)
        covered.append(
            [
                *((table["low"] <= np.array(TRUTH)) & (np.array(TRUTH) <= table["high"])),
                *((expected["low"] <= exact) & (exact <= expected["high"])),
            ]
        )
        rejected.append(fit.correlation_p < 0.05)
    shares = np.mean(covered, axis=0)
    assert (shares >= 0.93).all(), shares
    assert np.mean(rejected) <= 0.08


def test_a_mean_that_does_not_exist_is_said():
    fit = a_fit(2.0, 0.9, 15.0)
    worth = fit.expected_value(spenders([0, 1], [math.nan, 5.0]))
    assert math.isnan(fit.mean) and math.isnan(worth.iloc[0]) and worth.iloc[1] > 0
    assert fit.undefined == {
        "mean": "q is 0.9, not above 1: so few customers spend so much that the mean over all customers is infinite",
        "expected_value": "q is 0.9, not above 1: so few customers spend so much that the mean over all customers is "
        "infinite; defined from p x + q > 1 on.",
    }
    heavy = value_models.fit_gamma_gamma(simulated(2000, 5, 2.0, 0.7, 15.0))
    assert "q <= 1: spend has so heavy a tail that its mean is undefined" in heavy.notes


def test_customers_who_all_spend_the_same_are_diagnosed_in_words():
    x = np.random.default_rng(1).geometric(0.3, 300)
    fit = value_models.fit_gamma_gamma(spenders(x, [20.0] * 300))
    assert fit.notes
    assert math.isnan(fit.correlation)
    assert fit.expected_value(spenders([3], [20.0])).iloc[0] == pytest.approx(20.0, rel=0.01)


def test_spend_of_zero_or_less_is_left_out_and_counted():
    frame = simulated(500, 6, *TRUTH).frame
    without = frame.assign(
        mean_value=frame["mean_value"].mask(frame.index < 12, [0.0, -5.0, math.nan] * 4 + [0.0] * 488)
    )
    fit = value_models.fit_gamma_gamma(Histories(without, "week"))
    assert (fit.n_left_out, fit.n_customers) == (12, 488)
    assert fit.notes == ()
    assert fit.remarks == (
        "12 of 500 repeat customers are left out: their purchases are worth nothing or less on average, or what they "
        "are worth is unknown",
    )
    rest = value_models.fit_gamma_gamma(Histories(frame.iloc[12:], "week"))
    assert fit.values == rest.values and rest.remarks == ()
    assert fit.expected_value(Histories(without, "week")).iloc[:12].tolist() == pytest.approx([fit.mean] * 12)


def test_spend_without_its_column_is_said():
    with pytest.raises(DataError, match="Spend needs the column mean_value"):
        value_models.fit_gamma_gamma(Occasions(pd.DataFrame({"x": [1], "t_x": [1], "n": [3]}), "year"))


@pytest.mark.parametrize(
    ("mean_value", "message"),
    [
        (
            [5.0] * 3,
            "Gamma-Gamma needs at least 10 repeat customers with positive spend; there are 3.",
        ),
        (
            [0.0] * 40,
            "Gamma-Gamma needs at least 10 repeat customers with positive spend; there are 0 of 40: the purchases of "
            "the others are worth nothing or less, or unknown.",
        ),
        (
            [-3.0] * 20 + [8.0] * 9,
            "Gamma-Gamma needs at least 10 repeat customers with positive spend; there are 9 of 29: the purchases of "
            "the others are worth nothing or less, or unknown.",
        ),
    ],
)
def test_too_little_spend_is_said_with_the_number(mean_value, message):
    with pytest.raises(CannotFit) as refused:
        value_models.fit_gamma_gamma(spenders([2] * len(mean_value), mean_value))
    assert str(refused.value) == message
