"""BG/BB: published numbers, gradient, identities, simulated futures, recovery, coverage, and messages.

The donations are the 1995 cohort of a public radio station with six yearly occasions that the lifetimes wheel ships
(Fader, Hardie and Shang 2010); estimates, likelihood and expectations to the digits that the BTYD package prints.
"""

import importlib.util
import math
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln, comb, hyp2f1, logsumexp

from crm_analysis import value_models
from crm_analysis.errors import DataError
from crm_analysis.value_models import BgBbFit, CannotFit, Occasions, bg_bb

TRUTH = (1.2, 0.75, 1.4, 6.0)


def a_fit(*values: float, unit: str = "year") -> BgBbFit:
    return BgBbFit(
        values=values,
        covariance=np.eye(4) * 1e-4,
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit=unit,
    )


def some(*rows: tuple[float, float, float], unit: str = "year") -> Occasions:
    return Occasions(pd.DataFrame(rows, columns=["x", "t_x", "n"]), unit)


def every_history(n: int) -> Occasions:
    return some((0, 0, n), *((x, t_x, n) for t_x in range(1, n + 1) for x in range(1, t_x + 1)))


@pytest.fixture(scope="module")
def donations() -> Occasions:
    package = Path(importlib.util.find_spec("lifetimes").submodule_search_locations[0])
    rows = pd.read_csv(package / "datasets" / "donations.csv")
    frame = rows.loc[np.repeat(rows.index, rows["weights"]), ["frequency", "recency", "periods"]]
    return Occasions(frame.set_axis(["x", "t_x", "n"], axis=1).reset_index(drop=True), "year")


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return a_fit(*TRUTH).simulate(np.random.default_rng(2).integers(0, 13, 30_000), seed=7, ahead=5)


def test_donations(donations):
    """Fader, Hardie and Shang (2010), table 2; BTYD's walkthrough prints the expectations of donors A and B from a
    search that stopped some 1e-5 before the maximum.
    """
    fit = value_models.fit_bg_bb(donations)
    assert (fit.n_customers, fit.n_distinct) == (11104, 22)
    assert fit.parameters == pytest.approx(
        {"alpha": 1.203522449, "beta": 0.749716391, "gamma": 0.656718282, "delta": 2.783442694}, rel=1e-6
    )
    assert fit.log_likelihood == pytest.approx(-33225.581274, abs=1e-6)
    assert fit.aic == pytest.approx(2 * 4 + 2 * 33225.581274)
    assert fit.converged and fit.notes == ()
    assert fit.new_customer_purchases(10) == pytest.approx(3.179829, abs=1e-6)
    a_and_b = fit.expected_purchases(some((0, 0, 6), (4, 5, 6)), horizon=10)
    assert a_and_b.tolist() == pytest.approx([0.1302169, 3.627858], rel=5e-5)
    assert "residual_purchases" in fit.undefined
    assert fit.residual_purchases(donations).isna().all()
    assert np.isfinite(fit.discounted_residual_purchases(donations, rate_annual=0.1)).all()


def test_covariance_is_the_inverse_of_the_observed_information(donations):
    """Second differences of the likelihood itself, not of its gradient."""
    fit = value_models.fit_bg_bb(donations)
    likelihood = bg_bb._likelihood(donations.compressed())
    theta, step = np.array(fit.values), 1e-3 * np.array(fit.values)
    hessian = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            value = 0.0
            for si, sj in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = theta.copy()
                moved[i] += si * step[i]
                moved[j] += sj * step[j]
                value += si * sj * likelihood(moved)[0]
            hessian[i, j] = value / (4 * step[i] * step[j])
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(-hessian), rtol=1e-3)
    np.testing.assert_array_equal(fit.covariance, fit.covariance.T)


def test_agrees_with_lifetimes_where_lifetimes_is_right(donations):
    fit = value_models.fit_bg_bb(donations)
    theirs = fit.to_lifetimes(donations)
    assert theirs.data["weights"].sum() == 11104
    x, t_x, n = (donations.compressed()[name] for name in ("x", "t_x", "n"))
    few = Occasions(donations.compressed()[["x", "t_x", "n"]], "year")
    np.testing.assert_allclose(
        fit.expected_purchases(few, horizon=5),
        theirs.conditional_expected_number_of_purchases_up_to_time(5, x, t_x, n),
        rtol=1e-10,
    )
    for later in (0, 1, 4):
        np.testing.assert_allclose(
            fit.probability_alive(few, later=later), theirs.conditional_probability_alive(later, x, t_x, n), rtol=1e-10
        )
    counts = theirs.expected_number_of_transactions_in_first_n_periods(6)["model"]
    np.testing.assert_allclose(fit.new_customer_probabilities(6) * 11104, counts, rtol=1e-10)


def test_lifetimes_is_wrong_on_long_histories():
    """It adds 1e-15 to the likelihood of having dropped out: after 30 gifts on 60 occasions, silent on the last two,
    that number outweighs all else and the donor counts as gone. Ours against the sum in logarithms.
    """
    fit = a_fit(*TRUTH)
    alpha, beta, gamma, delta = TRUTH
    x, t_x, n = 30, 60, 62
    k = np.arange(t_x, n)
    gone = logsumexp(betaln(alpha + x, beta + k - x) + betaln(gamma + 1, delta + k))
    alive = betaln(alpha + x, beta + n - x) + betaln(gamma, delta + n)
    exact = 1 / (1 + math.exp(gone - alive))
    assert fit.probability_alive(some((x, t_x, n))).iloc[0] == pytest.approx(exact, rel=1e-12)
    columns = (np.array([value]) for value in (x, t_x, n))
    assert fit.to_lifetimes().conditional_probability_alive(0, *columns)[0] < 0.9 * exact


PARAMETER = st.floats(0.05, 30)


@settings(max_examples=40, deadline=None)
@given(
    theta=st.tuples(PARAMETER, PARAMETER, PARAMETER, PARAMETER),
    rows=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25), st.integers(0, 25)), min_size=1, max_size=8),
)
def test_gradient_is_the_slope_of_the_likelihood(theta, rows):
    sorted_rows = [sorted(row) for row in rows]
    frame = pd.DataFrame([(x if x else 0, t_x if x else 0, n) for x, t_x, n in sorted_rows], columns=["x", "t_x", "n"])
    likelihood = bg_bb._likelihood(frame.assign(customers=range(1, len(frame) + 1)))
    theta = np.array(theta)
    value, gradient = likelihood(theta)
    for i, slope in enumerate(gradient):
        step = np.zeros(4)
        step[i] = 1e-4 * theta[i]
        numeric = (likelihood(theta + step)[0] - likelihood(theta - step)[0]) / (2 * step[i])
        assert numeric == pytest.approx(slope, rel=1e-5, abs=1e-6 * (1 + abs(value)) / theta[i])


@settings(max_examples=15, deadline=None)
@given(theta=st.tuples(PARAMETER, PARAMETER, PARAMETER, PARAMETER), n=st.integers(0, 8))
def test_probabilities_of_all_histories_sum_to_one(theta, n):
    """As many orders of giving as share (x, t_x): those that place x - 1 gifts before the last."""
    frame = every_history(n).frame
    orders = np.where(frame["x"] > 0, comb(frame["t_x"] - 1, frame["x"] - 1), 1.0)
    likelihood = bg_bb._likelihood
    each = [likelihood(frame.iloc[[i]].assign(customers=1))(np.array(theta))[0] for i in range(len(frame))]
    assert (orders * np.exp(each)).sum() == pytest.approx(1, rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(theta=st.tuples(PARAMETER, PARAMETER, PARAMETER, PARAMETER), n=st.integers(0, 8), horizon=st.integers(1, 8))
def test_identities_of_predictions(theta, n, horizon):
    fit, histories = a_fit(*theta), every_history(n)
    probabilities = fit.purchase_probabilities(histories, horizon=horizon)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-9)
    whole = fit.expected_purchases(histories, horizon=horizon)
    np.testing.assert_allclose(probabilities @ np.arange(horizon + 1), whole, rtol=1e-9)
    parts = sum(fit.expected_purchases(histories, horizon=1, start=start) for start in range(horizon))
    np.testing.assert_allclose(parts, whole, rtol=1e-10)
    np.testing.assert_allclose(fit.discounted_purchases(histories, horizon=horizon, rate_annual=0.0), whole)
    new = fit.new_customer_probabilities(horizon)
    assert new @ np.arange(horizon + 1) == pytest.approx(float(fit.new_customer_purchases(horizon)), rel=1e-9)


@pytest.mark.parametrize("unit", ["month", "quarter", "year"])
@pytest.mark.parametrize("theta", [TRUTH, (1.2, 0.75, 0.66, 2.8), (1.2, 0.75, 1.0, 2.8), (3.0, 2.0, 40.0, 400.0)])
def test_the_endless_sum_is_the_limit_of_the_finite_ones(theta, unit):
    """Eq. 14 against the sum of 20,000 occasions."""
    fit, histories = a_fit(*theta, unit=unit), some((0, 0, 3), (3, 4, 6), (6, 6, 6), (30, 90, 100), unit=unit)
    np.testing.assert_allclose(
        fit.discounted_residual_purchases(histories, rate_annual=0.1),
        fit.discounted_purchases(histories, horizon=20_000, rate_annual=0.1),
        rtol=1e-9,
    )


def test_discounted_expected_residual_transactions_by_the_papers_formula():
    """Eq. 14 as it is printed, with the hypergeometric function, where a library routine bears it."""
    alpha, beta, gamma, delta = theta = (1.203522449, 0.749716391, 0.656718282, 2.783442694)
    x, t_x, n, d = 3, 4, 6, 0.1
    k = np.arange(t_x, n)
    likelihood = np.exp(betaln(alpha + x, beta + k - x) + betaln(gamma + 1, delta + k)).sum()
    likelihood += np.exp(betaln(alpha + x, beta + n - x) + betaln(gamma, delta + n))
    printed = np.exp(betaln(alpha + x + 1, beta + n - x) + betaln(gamma, delta + n + 1)) / (1 + d)
    printed *= hyp2f1(1, delta + n + 1, gamma + delta + n + 1, 1 / (1 + d)) / likelihood
    ours = a_fit(*theta).discounted_residual_purchases(some((x, t_x, n)), rate_annual=d).iloc[0]
    assert ours == pytest.approx(printed, rel=1e-12)


def test_expectations_without_end():
    """With gamma > 1 the sum of all later occasions; at or below 1 it is not a number, and the reason is given."""
    histories = some((0, 0, 3), (3, 4, 6))
    fit = a_fit(1.2, 0.75, 6.0, 20.0)
    assert fit.undefined == {}
    np.testing.assert_allclose(
        fit.residual_purchases(histories), fit.expected_purchases(histories, horizon=20_000), rtol=1e-6
    )
    alive = [fit.probability_alive(histories, later=later) for later in range(1, 4000)]
    np.testing.assert_allclose(fit.residual_lifetime_occasions(histories), sum(alive), rtol=1e-6)
    endless = a_fit(1.2, 0.75, 1.0, 2.8)
    assert endless.residual_lifetime_occasions(histories).isna().all()
    assert endless.undefined["residual_purchases"] == (
        "gamma is 1, not above 1: so many customers hardly ever drop out that the mean number of further occasions is "
        "infinite. Give a horizon or a discount rate."
    )
    with pytest.raises(DataError) as refused:
        fit.discounted_residual_purchases(histories, rate_annual=0.0)
    assert str(refused.value) == (
        "An endless horizon needs a discount rate above zero; it is 0 a year. Use `residual_purchases` for the sum "
        "without discount, or give a horizon to `discounted_purchases`."
    )


def test_expectations_are_the_means_of_simulated_futures(drawn):
    """30,000 customers with 0 to 12 occasions, by how often they gave: gifts on the next five occasions and their
    distribution, alive or not, the customers' own p and theta.
    """
    truth = a_fit(*TRUTH)
    histories = Occasions(drawn[["x", "t_x", "n"]], "year")
    forecast = pd.DataFrame(
        {
            "future": truth.expected_purchases(histories, horizon=5),
            "alive": truth.probability_alive(histories),
            "p": truth.purchase_probability(histories),
            "theta": truth.dropout_probability(histories),
        }
    )
    silent = drawn["n"] - drawn["t_x"]
    groups = (drawn["n"] == 0, drawn["x"] == 0, drawn["x"].between(1, 3), drawn["x"] > 3, silent == 1, silent > 4)
    for group in groups:
        for name, expected in forecast.items():
            actual = drawn.loc[group, name].astype(float)
            assert abs(expected[group].mean() - actual.mean()) <= 4 * actual.std() / math.sqrt(len(actual))
    counts = truth.purchase_probabilities(histories, horizon=5).sum()
    happened = drawn["future"].value_counts().reindex(range(6))
    assert (np.abs(counts - happened) < 4 * np.sqrt(happened)).all()
    new = truth.new_customer_purchases(np.arange(13))
    for n in (1, 5, 12):
        given = drawn.loc[drawn["n"] == n, "x"]
        assert abs(given.mean() - new[n]) < 4 * given.std() / math.sqrt(len(given))


def test_simulated_parameters_are_recovered_from_unequal_numbers_of_occasions(drawn):
    fit = value_models.fit_bg_bb(Occasions(drawn[["x", "t_x", "n"]], "year"))
    errors = (np.array(fit.values) - TRUTH) / np.array(list(fit.standard_errors.values()))
    assert np.abs(errors).max() < 3
    assert fit.converged and fit.notes == () and fit.remarks == ()


@pytest.mark.parametrize("history", [(0, 0, 0), (0, 0, 5000), (3000, 3000, 3000), (2000, 2500, 5000), (1, 1, 4000)])
@pytest.mark.parametrize("theta", [TRUTH, (0.01, 0.01, 0.01, 0.01), (900.0, 700.0, 800.0, 3000.0)])
def test_extreme_histories_stay_finite(theta, history):
    fit, histories = a_fit(*theta, unit="month"), some(history, unit="month")
    expected = fit.expected_purchases(histories, horizon=12).iloc[0]
    assert 0 <= expected <= 12
    assert 0 <= fit.probability_alive(histories).iloc[0] <= 1
    assert 0 <= fit.discounted_residual_purchases(histories, rate_annual=0.05).iloc[0] < math.inf
    assert np.isfinite(bg_bb._likelihood(histories.frame.assign(customers=1))(np.array(theta))[1]).all()


def test_likelihood_of_thousands_of_occasions_against_the_plain_sum():
    alpha, beta, gamma, delta = TRUTH
    x, t_x, n = 1500, 2400, 3000
    k = np.arange(t_x, n)
    plain = np.logaddexp(
        logsumexp(betaln(alpha + x, beta + k - x) + betaln(gamma + 1, delta + k)),
        betaln(alpha + x, beta + n - x) + betaln(gamma, delta + n),
    ) - (betaln(alpha, beta) + betaln(gamma, delta))
    histories = some((x, t_x, n), (1600, 1700, 3000))  # a second one fills the table of tail sums
    each = bg_bb._likelihood(histories.frame.assign(customers=[1, 0]))(np.array(TRUTH))[0]
    assert each == pytest.approx(plain, rel=1e-12)


def test_intervals_of_predictions(donations):
    fit = value_models.fit_bg_bb(donations)

    def year(each: BgBbFit, group: Occasions) -> pd.Series:
        return each.expected_purchases(group, horizon=5)

    delta = fit.interval(year, donations)
    draws = fit.interval(year, donations, method="draws", draws=400, seed=4)
    assert ((delta["low"] < delta["value"]) & (delta["value"] < delta["high"])).all()
    np.testing.assert_allclose(draws["high"] - draws["low"], delta["high"] - delta["low"], rtol=0.2)


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """200 replications of 2,000 customers with 1 to 10 occasions: each parameter, and three customers' expectations."""
    truth = a_fit(*TRUTH)
    asked = some((0, 0, 6), (3, 5, 6), (6, 6, 6))

    def next_five(each: BgBbFit, group: Occasions) -> pd.Series:
        return each.expected_purchases(group, horizon=5)

    exact = next_five(truth, asked).to_numpy()
    covered = []
    for seed in range(200):
        n = np.random.default_rng(seed).integers(1, 11, 2000)
        frame = truth.simulate(n, seed=1000 + seed)[["x", "t_x", "n"]]
        fit = value_models.fit_bg_bb(Occasions(frame, "year"))
        table, expected = fit.parameter_table(), fit.interval(next_five, asked)
        covered.append(
            [
                *((table["low"] <= np.array(TRUTH)) & (np.array(TRUTH) <= table["high"])),
                *((expected["low"] <= exact) & (exact <= expected["high"])),
            ]
        )
    shares = np.mean(covered, axis=0)
    assert (shares >= 0.93).all(), shares


def test_donors_who_hardly_differ_are_diagnosed_in_words():
    """All give with one probability, nobody drops out."""
    rng = np.random.default_rng(6)
    gives = rng.random((3000, 8)) < 0.4
    frame = pd.DataFrame({"x": gives.sum(1), "t_x": (gives * np.arange(1, 9)).max(1), "n": 8})
    fit = value_models.fit_bg_bb(Occasions(frame, "year"))
    assert fit.notes
    assert fit.expected_purchases(Occasions(frame, "year"), horizon=5).mean() == pytest.approx(2.0, rel=0.05)


# Input


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, 5, 4), "have their last gift after the last occasion (t_x > n)"),
        ((3, 2, 4), "have more gifts than occasions up to the last one (x > t_x)"),
        ((0, 2, 4), "have no repeat gift but an occasion of one (x = 0, t_x > 0)"),
        ((1.5, 2, 4), "have a count that is no whole number"),
        ((math.nan, 2, 4), "have a value missing or negative"),
        ((1, 1, -4), "have a value missing or negative"),
    ],
)
def test_impossible_histories_are_refused(row, message):
    with pytest.raises(DataError) as refused:
        some((1, 1, 2), row)
    x, t_x, n = pd.DataFrame([(1, 1, 2), row]).iloc[1]
    assert str(refused.value) == (
        f"1 of 2 giving histories {message}; first: x {x}, t_x {t_x}, n {n}. Make them with `occasions`, which counts "
        "all gifts within one year as one."
    )


def test_what_the_model_cannot_bear_is_said_with_the_number():
    with pytest.raises(CannotFit) as short:
        value_models.fit_bg_bb(some(*[(0, 0, 6)] * 97, *[(1, 2, 6)] * 3))
    assert str(short.value) == "BG/BB needs at least 10 customers with a repeat gift; 3 of 100 have one."
    with pytest.raises(CannotFit, match="BG/BB needs at least 10 customers with a repeat gift; 0 of 50 have one."):
        value_models.fit_bg_bb(some(*[(0, 0, 6)] * 50))
    with pytest.raises(CannotFit) as early:
        value_models.fit_bg_bb(some(*[(1, 1, 2)] * 50))
    assert str(early.value) == (
        "BG/BB needs customers with at least 3 occasions after the first gift; the longest of 50 histories has 2. "
        "Wait, or take shorter occasions than a year."
    )
    with pytest.raises(CannotFit, match="the longest of 40 histories has 0"):
        value_models.fit_bg_bb(some(*[(0, 0, 0)] * 40))
    with pytest.raises(CannotFit, match="the longest of 0 histories has 0"):
        value_models.fit_bg_bb(some())


def test_one_cohort_is_remarked(donations):
    assert value_models.fit_bg_bb(donations).remarks == (
        "all customers had the same number of occasions: the fit holds for that one cohort",
    )


def test_units_and_rates_are_checked():
    with pytest.raises(DataError) as unit:
        a_fit(*TRUTH).expected_purchases(some((1, 1, 2), unit="month"), horizon=3)
    assert str(unit.value) == (
        "The model was fitted with one occasion a year and the giving histories have one a month: make them with "
        '`occasions(transactions, unit="year", ...)`.'
    )
    with pytest.raises(DataError, match='"week" is not an occasion here: use one of month, quarter, half, year.'):
        some((1, 1, 2), unit="week")
    with pytest.raises(DataError) as lacking:
        Occasions(pd.DataFrame({"x": [1], "n": [3]}), "year")
    assert str(lacking.value) == (
        "Giving histories need the columns x (occasions with a gift), t_x (the last of them) and n (occasions); there "
        "is no t_x."
    )
    for horizon in (-1, 1.5, math.nan):
        with pytest.raises(DataError) as ahead:
            a_fit(*TRUTH).expected_purchases(some((1, 1, 2)), horizon=horizon)
        assert str(ahead.value) == (
            f"A prediction looks ahead by a whole number of occasions, zero or more; asked for {horizon:g}."
        )
    assert a_fit(*TRUTH).expected_purchases(some((1, 1, 2)), horizon=0).tolist() == [0.0]
    with pytest.raises(DataError, match="A discount rate of -0.1 a year makes no sense here"):
        a_fit(*TRUTH).discounted_purchases(some((1, 1, 2)), horizon=3, rate_annual=-0.1)


# From transactions


def gifts(*rows: tuple[str | None, str, str, float, str]) -> ibis.Table:
    frame = pd.DataFrame(rows, columns=["customer_id", "branch", "occurred_at", "amount", "kind"])
    return ibis.memtable(frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"])))


def test_occasions_from_transactions():
    log = gifts(
        ("a", "seoul", "2020-03-01", 10.0, "gift"),
        ("a", "seoul", "2021-01-01", 20.0, "gift"),
        ("a", "seoul", "2021-12-31", 10.0, "gift"),  # the same occasion
        ("a", "seoul", "2023-05-05", 50.0, "gift"),
        ("a", "seoul", "2024-02-01", 99.0, "gift"),  # 2024 is not over
        ("b", "seoul", "2023-12-31", 10.0, "gift"),  # no occasion yet
        ("c", "seoul", "2024-01-01", 10.0, "gift"),  # first seen in a year that is not over
        ("d", "busan", "2020-06-01", 10.0, "gift"),
        ("d", "busan", "2022-06-01", 10.0, "refund"),
        ("d", "busan", "2022-07-01", 0.0, "gift"),
        (None, "busan", "2022-08-01", 10.0, "gift"),
        ("e", "seoul", "2021-06-01", 10.0, "gift"),
        ("e", "seoul", "2025-06-01", 10.0, "gift"),  # after as_of
    )
    coverage = pd.DataFrame({"branch": ["seoul", "busan"], "last_covered_day": [date(2024, 6, 30), date(2022, 12, 30)]})
    found = value_models.occasions(log, unit="year", as_of=date(2024, 6, 30), coverage=coverage)
    assert (found.unit, found.as_of) == ("year", date(2024, 6, 30))
    assert {name: tuple(row) for name, row in found.frame[["x", "t_x", "n"]].iterrows()} == {
        "a": (2, 3, 3),
        "b": (0, 0, 0),
        "d": (0, 0, 1),  # busan's 2022 lacks a day
        "e": (0, 0, 2),
    }
    assert found.frame.loc["a", "mean_value"] == 40.0
    assert found.frame["mean_value"].isna().sum() == 3
    fiscal = value_models.occasions(log, unit="year", as_of=date(2024, 6, 30), fiscal_year_starts=3)
    assert tuple(fiscal.frame.loc["a"]) == (2, 3, 3, 79.5)  # years from March: 2020, 2020, 2021, 2023, 2023


@pytest.mark.parametrize(("unit", "months"), [("month", 1), ("quarter", 3), ("half", 6), ("year", 12)])
def test_occasions_against_a_plain_loop(unit, months):
    rng = np.random.default_rng(months)
    day = pd.Timestamp("2018-01-15") + pd.to_timedelta(rng.integers(0, 1900, 600), unit="D")
    frame = pd.DataFrame({"customer_id": rng.integers(0, 60, 600).astype(str), "branch": "b", "occurred_at": day})
    frame["amount"], frame["kind"] = 5.0, "gift"
    as_of = date(2022, 6, 30)
    found = value_models.occasions(ibis.memtable(frame), unit=unit, as_of=as_of).frame
    end = (2022 * 12 + 6) // months - 1
    for customer, own in frame[frame["occurred_at"] <= pd.Timestamp(as_of)].groupby("customer_id"):
        at = sorted({(d.year * 12 + d.month - 1) // months for d in own["occurred_at"]})
        at = [each for each in at if each <= end]
        if not at:
            assert customer not in found.index
            continue
        assert tuple(found.loc[customer, ["x", "t_x", "n"]]) == (len(at) - 1, at[-1] - at[0], end - at[0])


def test_a_log_of_zero_donations_has_no_donors():
    log = gifts(*((str(i), "seoul", f"20{20 + i % 4}-03-01", 0.0, "gift") for i in range(40)))
    found = value_models.occasions(log, unit="year", as_of=date(2024, 12, 31))
    with pytest.raises(CannotFit, match="the longest of 0 histories has 0"):
        value_models.fit_bg_bb(found)
