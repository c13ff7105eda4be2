"""BG/NBD and MBG/NBD: each prediction against a direct integral over lambda and p, simulation or lifetimes; intervals
against their coverage; what is undefined, refused or remarked.
"""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import beta as beta_function
from scipy.special import gamma, pdtrc, roots_genlaguerre, roots_jacobi

from crm_analysis import value_models
from crm_analysis.errors import DataError
from crm_analysis.value_models import BgNbdFit, CannotFit, Histories, MbgNbdFit, fitting
from crm_analysis.value_models.beta_geometric import log_likelihood

KINDS = [BgNbdFit, MbgNbdFit]
FITTERS = {BgNbdFit: value_models.fit_bg_nbd, MbgNbdFit: value_models.fit_mbg_nbd}
TRUTH = (0.6, 8.0, 0.9, 2.5)
LONG = (0.6, 8.0, 1.8, 2.5)  # a > 1: totals have a mean
YEAR = 364.0
ROWS = pd.DataFrame({"x": [0, 1, 4, 7], "t_x": [0.0, 5.0, 20.0, 40.0], "T": [10.0, 30.0, 40.0, 40.0]})


def planted(kind, values=TRUTH, unit="week", covariance=None):
    covariance = np.full((4, 4), np.nan) if covariance is None else covariance
    return kind(
        values=values,
        covariance=covariance,
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit=unit,
    )


def weeks(frame: pd.DataFrame) -> Histories:
    return Histories(frame[["x", "t_x", "T"]], "week")


def drawn(kind, customers=4000, seed=12, **more) -> pd.DataFrame:
    observed = np.random.default_rng(5).integers(26, 130, customers).astype(float)
    return planted(kind).simulate(observed, seed=seed, **more)


def posterior_mean(fit, row, quantity) -> float:
    """Mean of quantity(lambda, p, whether alive at T) given a history, by Gauss rules over lambda and p: from the
    customer's own likelihood (Fader, Hardie and Lee 2005, eq. 3), no closed form in between.
    """
    r, alpha, a, b = fit.values
    x, t_x, observed = row
    node, weight = roots_genlaguerre(150, r + x - 1)
    rate = node / (alpha + t_x)
    p, p_weight = roots_jacobi(100, b - 1, a - 1)
    p, rate, both = ((1 + p) / 2)[None, :], rate[:, None], weight[:, None] * p_weight[None, :]
    k = x + fit.at_zero
    alive = (1 - p) ** k * np.exp(-rate * (observed - t_x))
    gone = p * (1 - p) ** (k - 1) if k else np.zeros_like(p)
    top = both * (alive * quantity(rate, p, True) + gone * quantity(rate, p, False))
    return float(top.sum() / (both * (alive + gone)).sum())


def check(fit, found: pd.Series, quantity, rel=1e-8) -> None:
    for row, value in zip(ROWS.itertuples(index=False), found, strict=True):
        assert value == pytest.approx(posterior_mean(fit, row, quantity), rel=rel)


@pytest.mark.parametrize("values", [TRUTH, LONG, (1.3, 4.0, 0.3, 0.6)])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_integrals_over_rate_and_dropout(kind, values):
    fit, histories, h = planted(kind, values), weeks(ROWS), 26.0
    check(fit, fit.probability_alive(histories), lambda rate, p, alive: alive * np.ones_like(rate * p))
    check(fit, fit.probability_alive(histories, later_days=7 * h), lambda rate, p, alive: alive * np.exp(-rate * p * h))
    check(
        fit,
        fit.expected_purchases(histories, horizon_days=7 * h),
        lambda rate, p, alive: alive * -np.expm1(-rate * p * h) / p,
    )
    check(
        fit,
        fit.expected_purchases(histories, horizon_days=7 * h, start_days=70),
        lambda rate, p, alive: alive * np.exp(-10 * rate * p) * -np.expm1(-rate * p * h) / p,
    )
    chances = fit.purchase_probabilities(histories, horizon_days=7 * h, upto=5)

    def chance(n):  # the customer's own: Fader, Hardie and Lee (2005), eq. 4
        def quantity(rate, p, alive):
            if not alive:
                return np.full_like(rate * p, float(n == 0))
            stay = (1 - p) ** n * np.exp(n * np.log(rate * h) - rate * h) / math.factorial(n)
            return stay + (p * (1 - p) ** (n - 1) * pdtrc(n - 1, rate * h) if n else 0)

        return quantity

    for n in range(6):
        check(fit, chances[n], chance(n))


@pytest.mark.parametrize("kind", KINDS)
def test_endless_discounted_purchases_are_the_limit_of_long_horizons(kind):
    """Against adaptive integration of the purchases of each moment, and above the value of thirty years."""
    fit, histories = planted(kind), weeks(ROWS)
    found = fit.discounted_residual_purchases(histories, rate_annual=0.1)
    per_week = math.log(1.1) / (365.2425 / 7)
    for place in range(len(ROWS)):
        one = weeks(ROWS.iloc[[place]])

        def so_far(t, one=one):  # by parts: delta times the integral of discounted expected purchases to date
            return math.exp(-per_week * t) * fit.expected_purchases(one, horizon_days=7 * t).iloc[0]

        assert found.iloc[place] == pytest.approx(per_week * quad(so_far, 0, 20_000, limit=300)[0], rel=1e-6)
    thirty = fit.discounted_purchases(histories, horizon_months=360, rate_annual=0.1)
    assert ((found > thirty) & (found < 1.1 * thirty)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_totals_and_lifetimes_are_limits(kind):
    fit, histories = planted(kind, LONG), weeks(ROWS)
    almost = fit.discounted_residual_purchases(histories, rate_annual=1e-7)
    np.testing.assert_allclose(fit.residual_purchases(histories), almost, rtol=1e-3)
    days = fit.residual_lifetime_days(histories)
    assert math.isnan(days.iloc[0])  # r + x is 0.6
    for place in (2, 3):
        one = weeks(ROWS.iloc[[place]])
        survival = quad(
            lambda u, one=one: fit.probability_alive(one, later_days=math.exp(u)).iloc[0] * math.exp(u),
            -25,
            40,
            limit=500,
        )[0]
        assert days.iloc[place] == pytest.approx(survival, rel=1e-6)
    half = fit.median_lifetime_days(histories)
    for place, median in enumerate(half):
        one = weeks(ROWS.iloc[[place]])
        later = fit.probability_alive(one, later_days=median) / fit.probability_alive(one)
        assert later.iloc[0] == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_future_has_the_predicted_distribution(kind):
    """20,000 customers a year ahead: shares with n purchases by past frequency, and who is alive."""
    frame = drawn(kind, 20_000, days_ahead=YEAR)
    fit, histories = planted(kind), weeks(frame)
    chances = fit.purchase_probabilities(histories, horizon_days=YEAR, upto=8)
    alive = fit.probability_alive(histories)
    expected = fit.expected_purchases(histories, horizon_days=YEAR)
    for group in (frame["x"] == 0, frame["x"].between(1, 3), frame["x"] > 3):
        n = group.sum()
        for count in range(9):
            share = chances.loc[group, count].mean()
            assert abs((frame.loc[group, "future"] == count).mean() - share) < 4 * math.sqrt(share * (1 - share) / n)
        assert abs(frame.loc[group, "alive"].mean() - alive[group].mean()) < 2.0 / math.sqrt(n)
        error = frame.loc[group, "future"].std() / math.sqrt(n)
        assert abs(frame.loc[group, "future"].mean() - expected[group].mean()) < 4 * error


@pytest.mark.parametrize("kind", KINDS)
def test_new_customers(kind):
    """A million of them simulated; and a new BG/NBD customer is one with x = 0 and T = 0."""
    fit = planted(kind)
    frame = fit.simulate(np.full(200_000, 52.0), seed=3)
    chances = fit.new_customer_probabilities(horizon_days=YEAR, upto=6)
    for n, share in enumerate(chances):
        assert abs((frame["x"] == n).mean() - share) < 4 * math.sqrt(share / len(frame))
    mean = fit.new_customer_purchases(YEAR)
    assert abs(frame["x"].mean() - mean) < 4 * frame["x"].std() / math.sqrt(len(frame))
    counts = fit.new_customer_probabilities(horizon_days=YEAR, upto=3000)
    assert counts.sum() == pytest.approx(1, abs=1e-6)
    start = weeks(pd.DataFrame({"x": [0], "t_x": [0.0], "T": [0.0]}))
    assert fit.expected_purchases(start, horizon_days=YEAR).iloc[0] == pytest.approx(float(mean), rel=1e-12)


def test_agrees_with_lifetimes():
    """Chances of n purchases, expectation and P(alive) of both models, customer by customer. (lifetimes' P(alive) of
    MBG/NBD is its own formula; its chances of n purchases are those of new customers.)
    """
    x, t_x, observed = ROWS["x"], ROWS["t_x"], ROWS["T"]
    for kind in KINDS:
        fit, histories = planted(kind), weeks(ROWS)
        theirs = fit.to_lifetimes(histories)
        np.testing.assert_allclose(
            fit.expected_purchases(histories, horizon_days=YEAR), theirs.predict(52, x, t_x, observed), rtol=1e-8
        )
        np.testing.assert_allclose(
            fit.probability_alive(histories), theirs.conditional_probability_alive(x, t_x, observed), rtol=1e-10
        )
        ours = fit.new_customer_probabilities(horizon_days=YEAR, upto=4)
        for n in range(5):
            assert ours[n] == pytest.approx(float(theirs.probability_of_n_purchases_up_to_time(52, n)), rel=1e-8)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    logs=st.tuples(
        *(st.floats(math.log(low), math.log(high)) for low, high in [(0.01, 50), (0.01, 1e3)] + [(0.01, 50)] * 2)
    ),
    x=st.one_of(st.integers(0, 5), st.integers(1000, 9000)),
    observed=st.floats(1e-9, 1e4),
    share=st.floats(1e-6, 1.0),
    days=st.floats(1e-3, 1e5),
)
def test_stable_everywhere(kind, logs, x, observed, share, days):
    """Whatever the parameters and the history, up to t_x = T, thousands of purchases and hardly any time."""
    fit = planted(kind, tuple(math.exp(value) for value in logs))
    histories = weeks(pd.DataFrame({"x": [x], "t_x": [observed * share if x else 0.0], "T": [observed]}))
    alive = fit.probability_alive(histories).iloc[0]
    later = fit.probability_alive(histories, later_days=days).iloc[0]
    expected = fit.expected_purchases(histories, horizon_days=days).iloc[0]
    chances = fit.purchase_probabilities(histories, horizon_days=days, upto=4).to_numpy()[0]
    endless = fit.discounted_residual_purchases(histories, rate_annual=0.1).iloc[0]
    assert 0 <= later <= alive <= 1 + 1e-12
    assert math.isfinite(expected) and expected >= 0 and math.isfinite(endless) and endless >= 0
    assert (chances >= 0).all() and chances.sum() <= 1 + 1e-9
    # eq. 10: no more than the rate while alive
    rate = (fit.values[0] + x) / (fit.values[1] + observed)
    assert expected <= alive * rate * days / 7 * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_are_no_exception(kind):
    """r, a and b whole: scipy's hypergeometric function alone gives not a number here."""
    histories = weeks(pd.DataFrame({"x": [1000, 160], "t_x": [30.0, 1.0], "T": [30.0, 1.0]}))
    at, beside = (planted(kind, (1.0, 1.0, a, 1.0)) for a in (2.0, 2.0 + 1e-6))
    for predict in (
        lambda fit: fit.probability_alive(histories, later_days=1e4),
        lambda fit: fit.expected_purchases(histories, horizon_days=1e4),
        lambda fit: fit.discounted_residual_purchases(histories, rate_annual=0.1),
    ):
        np.testing.assert_allclose(predict(at), predict(beside), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("b", [0.1, 0.1 + 1e-7, 0.1 - 1e-7])
def test_the_removable_point_where_a_and_b_add_up_to_one(kind, b):
    histories = weeks(ROWS)
    at = planted(kind, (0.6, 8.0, 0.9, b)).expected_purchases(histories, horizon_days=YEAR)
    beside = planted(kind, (0.6, 8.0, 0.9, 0.1001)).expected_purchases(histories, horizon_days=YEAR)
    np.testing.assert_allclose(at, beside, rtol=2e-3)


def test_what_is_undefined_is_said():
    fit, histories = planted(BgNbdFit), weeks(ROWS)
    assert fit.residual_purchases(histories).isna().all()
    assert fit.residual_lifetime_days(histories).isna().all()
    assert fit.undefined == {
        "residual_purchases": "a is 0.9, not above 1: so many customers hardly ever drop out that the mean of all "
        "purchases to come, undiscounted, is infinite",
        "residual_lifetime_days": "a is 0.9, not above 1: so many customers hardly ever drop out that the mean of the "
        "time to dropout is infinite",
    }
    assert planted(BgNbdFit, LONG).undefined == {}
    with pytest.raises(DataError) as refused:
        fit.discounted_residual_purchases(histories, rate_annual=0.0)
    assert str(refused.value) == (
        "An endless horizon needs a discount rate above zero; it is 0 a year. Use `residual_purchases` for the "
        "purchases to come without discount, or give a horizon to `discounted_purchases`."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_covariance_is_symmetric_and_the_inverse_of_the_curvature(kind):
    frame = drawn(kind, 1500)
    fit = FITTERS[kind](weeks(frame))
    assert (fit.covariance == fit.covariance.T).all()
    total = log_likelihood(weeks(frame).compressed(), kind.at_zero)
    theta = np.array(fit.values)
    rows = []
    for place, value in enumerate(theta):
        up, down = theta.copy(), theta.copy()
        up[place], down[place] = value * (1 + 1e-5), value * (1 - 1e-5)
        rows.append((total(up)[1] - total(down)[1]) / (2e-5 * value))
    np.testing.assert_allclose(fit.covariance @ -np.array(rows), np.eye(4), atol=1e-4)
    assert fit.bic == pytest.approx(4 * math.log(1500) - 2 * fit.log_likelihood)
    assert fit.aic == pytest.approx(8 - 2 * fit.log_likelihood)


@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_is_the_integral_of_each_customers_own(kind):
    """Total on the original time scale, duplicates counted, against Gauss rules over lambda and p."""
    r, alpha, a, b = TRUTH
    total = 0.0
    for x, t_x, observed in ROWS.itertuples(index=False):
        node, weight = roots_genlaguerre(150, r + x - 1)
        rate = (node / (alpha + t_x))[:, None]
        p, p_weight = roots_jacobi(100, b - 1, a - 1)
        p = ((1 + p) / 2)[None, :]
        k = x + kind.at_zero
        own = (1 - p) ** k * np.exp(-rate * (observed - t_x)) + (p * (1 - p) ** (k - 1) if k else 0)
        whole = (weight[:, None] * p_weight[None, :] * own).sum() * alpha**r / gamma(r) * (alpha + t_x) ** -(r + x)
        total += 2 * math.log(whole / (2 ** (a + b - 1) * beta_function(a, b)))
    twice = weeks(pd.concat([ROWS, ROWS]))
    assert log_likelihood(twice.compressed(), kind.at_zero)(np.array(TRUTH))[0] == pytest.approx(total, rel=1e-10)


def test_a_sample_of_many_histories_leads_to_the_same_maximum(monkeypatch):
    """More than 40,000 distinct histories are first fitted by a sample; the end is that of all of them."""
    frame = drawn(BgNbdFit, 60_000)
    swift = value_models.fit_bg_nbd(weeks(frame))
    assert swift.n_distinct > 2 * fitting.THINNED_TO
    monkeypatch.setattr(fitting, "THINNED_TO", 10**9)
    slow = value_models.fit_bg_nbd(weeks(frame))
    np.testing.assert_allclose(swift.values, slow.values, rtol=1e-6)
    np.testing.assert_allclose(swift.covariance, slow.covariance, rtol=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_compression_counts_each_distinct_history(rows):
    frame = pd.DataFrame([(x, float(t if x else 0), float(t + more)) for x, t, more in rows], columns=["x", "t_x", "T"])
    expected = frame.groupby(["x", "t_x", "T"]).size().rename("n").reset_index()
    pd.testing.assert_frame_equal(weeks(frame).compressed(), expected, check_dtype=False)


def test_intervals_by_delta_and_by_draws_agree():
    frame = drawn(BgNbdFit, 600)
    histories = Histories(frame[["x", "t_x", "T"]].set_axis([f"c{i}" for i in range(600)]), "week")
    fit = value_models.fit_bg_nbd(histories)

    def year(each, group):
        return each.expected_purchases(group, horizon_days=YEAR)

    delta = fit.interval(year, histories)
    by_draws = fit.interval(year, histories, method="draws", draws=400, seed=4)
    assert list(delta.columns) == ["value", "low", "high"] and delta.index.equals(histories.frame.index)
    np.testing.assert_allclose(delta["value"], year(fit, histories), rtol=1e-12)
    np.testing.assert_allclose(
        np.log(delta["high"] / delta["low"]), np.log(by_draws["high"] / by_draws["low"]), rtol=0.2
    )
    alive = fit.interval(lambda each, group: each.probability_alive(group), histories, upper=1.0)
    assert ((alive["low"] <= alive["value"]) & (alive["value"] <= alive["high"]) & (alive["high"] <= 1)).all()
    assert (alive.loc[(frame["x"] == 0).to_numpy(), ["low", "high"]] == 1).all(axis=None)
    again = fit.interval(year, histories, method="draws", draws=400, seed=4)
    pd.testing.assert_frame_equal(by_draws, again)


def test_intervals_work_each_distinct_history_out_once(monkeypatch):
    sizes = []
    frame = pd.concat([ROWS] * 50, ignore_index=True)
    fit = planted(BgNbdFit, covariance=np.diag([1e-4, 1e-2, 1e-3, 1e-2]))

    def year(each, group):
        sizes.append(len(group))
        return each.expected_purchases(group, horizon_days=YEAR)

    whole = fit.interval(year, weeks(frame))
    assert set(sizes) == {len(ROWS)} and len(sizes) == 9
    np.testing.assert_array_equal(whole["low"].to_numpy()[:4], fit.interval(year, weeks(ROWS))["low"])
    monkeypatch.setattr(fitting, "DRAWN_AT_ONCE", 500)
    in_parts = fit.interval(year, weeks(ROWS), method="draws", draws=250)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(in_parts, fit.interval(year, weeks(ROWS), method="draws", draws=250))


def test_draws_without_a_mean_leave_the_upper_end_open():
    fit = planted(BgNbdFit, (0.6, 8.0, 1.1, 2.5), covariance=np.diag([1e-4, 1e-2, 0.04, 1e-2]))
    found = fit.interval(lambda each, group: each.residual_purchases(group), weeks(ROWS), method="draws")
    assert found["high"].isna().all() and (found["low"] < found["value"]).all()


def test_without_a_covariance_there_are_no_intervals():
    fit = planted(BgNbdFit)
    found = fit.interval(lambda each, group: each.expected_purchases(group, horizon_days=YEAR), weeks(ROWS))
    assert found["value"].notna().all() and found[["low", "high"]].isna().all(axis=None)
    with pytest.raises(DataError) as refused:
        fit.draws(10, seed=1)
    assert str(refused.value) == "The BG/NBD fit has no covariance to draw parameters from: it was not estimated."


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_what_was_planted(kind):
    """200 replications of 4,000 customers: parameters, a new customer's year and a known customer's year."""
    truth = planted(kind)
    observed = np.random.default_rng(5).integers(26, 130, 4000).astype(float)
    known = weeks(ROWS)
    year, mean = truth.expected_purchases(known, horizon_days=YEAR), float(truth.new_customer_purchases(YEAR))
    inside = {"parameters": [], "new": [], "known": []}
    for seed in range(200):
        fit = FITTERS[kind](weeks(truth.simulate(observed, seed=seed)))
        table = fit.parameter_table()
        inside["parameters"].append((table["low"] < list(TRUTH)) & (table["high"] > list(TRUTH)))
        estimate = fit.delta(lambda each: float(each.new_customer_purchases(YEAR)))
        inside["new"].append(estimate.low < mean < estimate.high)
        ends = fit.interval(lambda each, group: each.expected_purchases(group, horizon_days=YEAR), known)
        inside["known"].append((ends["low"] < year) & (ends["high"] > year))
    shares = {name: float(np.mean(rows)) for name, rows in inside.items()}
    assert all(0.93 <= share <= 0.985 for share in shares.values()), shares


@pytest.mark.parametrize("kind", KINDS)
def test_no_repeat_buyers_is_said_with_the_number(kind):
    with pytest.raises(CannotFit) as refused:
        FITTERS[kind](weeks(pd.DataFrame({"x": [0] * 500, "t_x": 0.0, "T": 30.0})))
    assert str(refused.value) == (
        f"{kind.model} needs at least 10 customers with a repeat purchase; 0 of 500 have one."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_one_cohort_is_fine_but_remarked(kind):
    fit = FITTERS[kind](weeks(planted(kind).simulate(np.full(3000, 80.0), seed=2)))
    assert fit.converged and fit.notes == ()
    assert fit.remarks == ("all customers were observed for the same time: the fit holds for that one cohort",)
    assert FITTERS[kind](weeks(drawn(kind, 1500))).remarks == ()


def test_nobody_drops_out_is_said_in_words():
    rng = np.random.default_rng(4)
    rate = rng.gamma(0.8, 1 / 8.0, 2000)
    x = rng.poisson(rate * 50)
    t_x = np.where(x > 0, 50 * rng.random(2000) ** (1 / np.maximum(x, 1)), 0)
    fit = value_models.fit_bg_nbd(weeks(pd.DataFrame({"x": x, "t_x": t_x, "T": 50.0})))
    assert fit.notes == (
        "a runs towards zero: hardly anybody drops out",
        "b runs without limit: hardly anybody drops out, or customers hardly differ in how readily they do",
        "no standard errors for a and b: those of the others take them as known",
    )
    errors = fit.parameter_table()["standard_error"]
    assert errors[["r", "alpha"]].notna().all() and errors[["a", "b"]].isna().all()
    low, high = fit.parameter_table().loc["r", ["low", "high"]]
    assert low < 0.8 < high
    ends = fit.interval(lambda each, group: each.expected_purchases(group, horizon_days=350), weeks(ROWS))
    assert ((ends["low"] < ends["value"]) & (ends["value"] < ends["high"])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_prediction_knows_its_unit(kind):
    fit, days = planted(kind), Histories(ROWS, "day")
    for predict in (
        fit.probability_alive,
        fit.residual_purchases,
        fit.residual_lifetime_days,
        fit.median_lifetime_days,
        lambda h: fit.expected_purchases(h, horizon_days=30),
        lambda h: fit.purchase_probabilities(h, horizon_days=30, upto=2),
        lambda h: fit.discounted_purchases(h, horizon_months=12, rate_annual=0.1),
        lambda h: fit.discounted_residual_purchases(h, rate_annual=0.1),
        fit.to_lifetimes,
    ):
        with pytest.raises(DataError, match="fitted in weeks and the purchase histories are in days"):
            predict(days)


@pytest.mark.parametrize("theta", [(0.05, 500.0, 0.1, 0.3), (4.0, 0.5, 30.0, 80.0), (0.6, 8.0, 1.0, 1.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_at_any_parameters(kind, theta):
    total = log_likelihood(weeks(pd.concat([drawn(kind, 300), ROWS])).compressed(), kind.at_zero)
    for place, slope in enumerate(total(np.array(theta))[1]):
        up, down = np.array(theta), np.array(theta)
        up[place] *= 1 + 1e-6
        down[place] *= 1 - 1e-6
        assert (total(up)[0] - total(down)[0]) / (2e-6 * theta[place]) == pytest.approx(slope, rel=1e-4, abs=1e-3)


def test_bad_input_is_refused_in_words():
    fit, histories = planted(BgNbdFit), weeks(ROWS)
    year = pd.DataFrame({"n_orders": [1]})
    for work, message in [
        (
            lambda: Histories(ROWS, "fortnight"),
            '"fortnight" is not a unit of time here: use one of day, week, month, year.',
        ),
        (
            lambda: value_models.histories(year, unit="weeks"),
            '"weeks" is not a unit of time here: use one of day, week, month, year.',
        ),
        (
            weeks_without_recency,
            "Purchase histories need the columns x (repeat purchases), t_x (time of the last) and T (time observed); "
            "there is no t_x.",
        ),
        (
            lambda: weeks(ROWS.assign(T=[math.inf, 30.0, 40.0, 40.0])),
            "1 of 4 purchase histories have an infinite value; first: x 0.0, t_x 0.0, T inf. Make them with "
            "`customers.summarize`, which counts purchases on one day as one.",
        ),
        (
            lambda: fit.expected_purchases(histories, horizon_days=-30),
            "A prediction looks ahead by zero days or more; asked for -30.",
        ),
        (
            lambda: fit.interval(lambda each, group: each.probability_alive(group), histories, method="bootstrap"),
            'Intervals are made by "delta" or by "draws", not by "bootstrap".',
        ),
    ]:
        with pytest.raises(DataError) as refused:
            work()
        assert str(refused.value) == message


def weeks_without_recency() -> Histories:
    return Histories(ROWS.drop(columns="t_x"), "week")


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_gives_an_empty_answer(kind):
    fit, nobody = planted(kind, covariance=np.eye(4) * 1e-4), weeks(ROWS.iloc[:0])
    for predict in (
        fit.probability_alive,
        fit.median_lifetime_days,
        lambda h: fit.expected_purchases(h, horizon_days=30),
        lambda h: fit.purchase_probabilities(h, horizon_days=30, upto=2),
        lambda h: fit.discounted_residual_purchases(h, rate_annual=0.1),
        lambda h: fit.interval(lambda each, group: each.probability_alive(group), h, upper=1.0),
        lambda h: fit.interval(lambda each, group: each.probability_alive(group), h, method="draws"),
    ):
        assert len(predict(nobody)) == 0
    with pytest.raises(CannotFit, match="0 of 0 have one"):
        FITTERS[kind](nobody)


def test_order_of_customers_and_their_names_do_not_matter():
    frame = drawn(BgNbdFit, 1500)
    fit = value_models.fit_bg_nbd(weeks(frame))
    mixed = frame.sample(frac=1, random_state=3)
    assert value_models.fit_bg_nbd(weeks(mixed)).values == pytest.approx(fit.values, rel=1e-9)
    expected = fit.expected_purchases(weeks(frame), horizon_days=YEAR)
    again = fit.expected_purchases(weeks(mixed), horizon_days=YEAR)
    np.testing.assert_allclose(again.loc[expected.index], expected, rtol=1e-12)
