"""sBG: published numbers, gradient, simulated renewals, recovery, coverage, tenures from tables, and messages."""

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_analysis import value_models
from crm_analysis.errors import DataError
from crm_analysis.value_models import CannotFit, SbgFit, Tenures, sbg

HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491]
REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241]
TRUTH = (1.6, 5.0)


def a_fit(*values: float, cycle_months: int = 12) -> SbgFit:
    return SbgFit(
        values=values,
        covariance=np.eye(2) * 1e-4,
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit="year",
        cycle_months=cycle_months,
    )


def survivors(*cohorts: list[float]) -> Tenures:
    return value_models.tenures_from_survivors(pd.DataFrame(cohorts), cycle_months=12)


def running(*renewals: int, cycle_months: int = 12) -> Tenures:
    return Tenures(pd.DataFrame({"renewals": renewals, "ended": False}), cycle_months)


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return a_fit(*TRUTH).simulate(np.random.default_rng(3).integers(0, 11, 20_000), seed=5)


def test_high_end_customers():
    """Fader and Hardie (2007), "How to project customer retention": 1,000 customers, those left after 1 to 7 years."""
    fit = value_models.fit_sbg(survivors(HIGH_END))
    assert fit.parameters == pytest.approx({"alpha": 0.668088369, "beta": 3.806094991}, rel=1e-6)
    assert fit.log_likelihood == pytest.approx(-1611.158147, abs=1e-6)
    assert float(fit.survival(12)) == pytest.approx(0.377999, abs=5e-7)
    assert (fit.n_customers, fit.n_distinct, fit.unit) == (1000, 8, "year")
    assert fit.converged and fit.notes == ()


def test_regular_customers():
    """The paper's other segment: alpha .704, beta 1.182."""
    fit = value_models.fit_sbg(survivors(REGULAR))
    assert [round(value, 3) for value in fit.values] == [0.704, 1.182]


PARAMETER = st.floats(0.05, 40)


@settings(max_examples=50, deadline=None)
@given(
    theta=st.tuples(PARAMETER, PARAMETER),
    rows=st.lists(
        st.tuples(st.integers(0, 40), st.booleans(), st.integers(1, 50), st.integers(0, 10)), min_size=1, max_size=8
    ),
)
def test_gradient_is_the_slope_of_the_likelihood(theta, rows):
    frame = pd.DataFrame(rows, columns=["renewals", "ended", "customers", "seen_from"])
    likelihood = sbg._likelihood(frame.assign(seen_from=np.minimum(frame["seen_from"], frame["renewals"])))
    theta = np.array(theta)
    value, gradient = likelihood(theta)
    for i, slope in enumerate(gradient):
        step = np.zeros(2)
        step[i] = 1e-4 * theta[i]
        numeric = (likelihood(theta + step)[0] - likelihood(theta - step)[0]) / (2 * step[i])
        assert numeric == pytest.approx(slope, rel=1e-5, abs=1e-6 * (1 + abs(value)) / theta[i])


@settings(max_examples=30, deadline=None)
@given(theta=st.tuples(PARAMETER, PARAMETER), faced=st.integers(0, 30))
def test_probabilities_of_all_tenures_sum_to_one(theta, faced):
    fit = a_fit(*theta)
    likelihood, frame = sbg._likelihood, pd.DataFrame({"renewals": range(faced + 1), "ended": True, "customers": 1})
    frame["seen_from"] = 0
    frame.loc[faced, "ended"] = False
    each = [likelihood(frame.iloc[[i]])(np.array(theta))[0] for i in range(len(frame))]
    assert np.exp(each).sum() == pytest.approx(1, rel=1e-10)
    steps = np.arange(1, faced + 1)
    np.testing.assert_allclose(np.cumprod(fit.retention_rate(steps)), fit.survival(steps), rtol=1e-9)


def test_cohorts_and_individuals_give_one_answer():
    """Two cohorts, the younger one right-censored; row by row; rows in another order."""
    two = survivors(HIGH_END, [400, 350, 310, *[math.nan] * 5])
    assert len(two) == 1400
    assert two.frame[~two.frame["ended"]].value_counts(["cohort", "renewals"]).to_dict() == {(0, 7): 491, (1, 2): 310}
    one_by_one = Tenures(two.frame.sample(frac=1, random_state=1), 12)
    by_cohort, by_row = value_models.fit_sbg(two), value_models.fit_sbg(one_by_one)
    assert by_cohort.values == by_row.values
    np.testing.assert_allclose(by_cohort.covariance, by_row.covariance)


def test_simulated_parameters_are_recovered(drawn):
    fit = value_models.fit_sbg(Tenures(drawn[["renewals", "ended"]], 12))
    errors = (np.array(fit.values) - TRUTH) / np.array(list(fit.standard_errors.values()))
    assert np.abs(errors).max() < 3
    assert fit.converged and fit.notes == ()


def test_predictions_are_the_means_of_simulated_renewals():
    """200,000 customers followed for 60 renewals, looked at after 0, 2 and 5 of them."""
    truth = a_fit(*TRUTH)
    whole = truth.simulate(np.full(200_000, 60), seed=8)
    v = 1.1**-1.0
    for k in (0, 2, 5):
        left = whole.loc[whole["renewals"] >= k, "renewals"].to_numpy() - k
        width = 4 / math.sqrt(len(left))
        now = running(k)
        assert abs(truth.expected_renewals(now, horizon=4)[0] - np.minimum(left, 4).mean()) < width * 2
        assert abs(truth.probability_renewing(now, renewals=3)[0] - (left >= 3).mean()) < width / 2
        assert abs(float(truth.retention_rate(k + 1)) - (left >= 1).mean()) < width / 2
        paid = (1 - v**left) / (1 - v)  # 1 + v + ... over the renewals made, the next one undiscounted
        expected = truth.discounted_residual_renewals(now, rate_annual=0.1)[0]
        assert abs(expected - paid.mean()) < width * paid.std() + v**60 * 20


@pytest.mark.parametrize("cycle_months", [1, 3, 12])
@pytest.mark.parametrize("theta", [TRUTH, (0.668, 3.806), (1.0, 2.0), (30.0, 300.0)])
def test_the_endless_sum_is_the_limit_of_the_finite_ones(theta, cycle_months):
    """DERL (Fader and Hardie 2010, eq. 6) against the sum of 20,000 renewals; just after a renewal it is worth less."""
    fit, now = a_fit(*theta, cycle_months=cycle_months), running(0, 1, 4, 60, cycle_months=cycle_months)
    endless = fit.discounted_residual_renewals(now, rate_annual=0.1)
    np.testing.assert_allclose(endless, fit.discounted_renewals(now, horizon=20_000, rate_annual=0.1), rtol=1e-9)
    after = fit.discounted_residual_renewals(now, rate_annual=0.1, cycles_to_next=1.0)
    np.testing.assert_allclose(after, endless * 1.1 ** (-cycle_months / 12))
    assert endless.is_monotonic_increasing  # those who stayed longer will


def test_mean_lifetime_exists_for_alpha_above_one_only():
    """Whatever beta: E[1 / theta] under Beta(alpha, beta + k)."""
    fit, now = a_fit(3.0, 0.5), running(0, 2)
    assert fit.undefined == {}
    np.testing.assert_allclose(fit.residual_renewals(now), fit.expected_renewals(now, horizon=200_000), rtol=1e-5)
    for alpha, beta in ((1.0, 5.0), (0.668, 3.806)):
        endless = a_fit(alpha, beta)
        assert endless.residual_renewals(now).isna().all()
        assert endless.undefined == {
            "residual_renewals": f"alpha is {alpha:g}, not above 1: so many customers hardly ever leave that the mean "
            "number of further renewals is infinite. Give a horizon or a discount rate."
        }
        assert np.isfinite(endless.discounted_residual_renewals(now, rate_annual=0.1)).all()
    with pytest.raises(DataError, match="An endless horizon needs a discount rate above zero; it is 0 a year."):
        fit.discounted_residual_renewals(now, rate_annual=0.0)


def test_those_who_ended_have_nothing_to_come():
    fit = a_fit(*TRUTH)
    gone = Tenures(pd.DataFrame({"renewals": [3], "ended": [True]}), 12)
    for expected in (
        fit.expected_renewals(gone, horizon=5),
        fit.probability_renewing(gone, renewals=1),
        fit.residual_renewals(gone),
        fit.discounted_residual_renewals(gone, rate_annual=0.1),
    ):
        assert expected.tolist() == [0.0]


def test_curve_with_intervals():
    """Widest beyond the data; retention of the first renewal is its survival."""
    fit = value_models.fit_sbg(survivors(HIGH_END))
    curve = fit.curve(12)
    assert curve["survival"].iloc[0] == 1 and math.isnan(curve["retention"].iloc[0])
    later = curve.iloc[1:]
    assert ((later["survival_low"] < later["survival"]) & (later["survival"] < later["survival_high"])).all()
    assert curve.loc[1, "retention_low"] == pytest.approx(curve.loc[1, "survival_low"])
    draws = np.array([each.survival(12) for each in fit.draws(2000, seed=1)])
    assert curve.loc[12, ["survival_low", "survival_high"]].tolist() == pytest.approx(
        np.quantile(draws, [0.025, 0.975]).tolist(), abs=0.006
    )


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """200 replications of 1,500 commitments that faced 1 to 10 renewals."""
    truth = a_fit(*TRUTH)
    exact = [float(truth.survival(5)), float(truth.survival(15)), *truth.retention_rate(np.array([1, 12]))]
    covered = []
    for seed in range(200):
        faced = np.random.default_rng(seed).integers(1, 11, 1500)
        fit = value_models.fit_sbg(Tenures(truth.simulate(faced, seed=500 + seed)[["renewals", "ended"]], 12))
        table, curve = fit.parameter_table(), fit.curve(15)
        low = [*table["low"], *curve.loc[[5, 15], "survival_low"], *curve.loc[[1, 12], "retention_low"]]
        high = [*table["high"], *curve.loc[[5, 15], "survival_high"], *curve.loc[[1, 12], "retention_high"]]
        covered.append((np.array(low) <= [*TRUTH, *exact]) & ([*TRUTH, *exact] <= np.array(high)))
    shares = np.mean(covered, axis=0)
    assert (shares >= 0.93).all(), shares


def test_customers_who_do_not_differ_are_diagnosed_in_words():
    """Every renewal is made by 80 %: retention does not rise with tenure."""
    counts = [10_000.0]
    while len(counts) < 8:
        counts.append(round(counts[-1] * 0.8))
    fit = value_models.fit_sbg(survivors(counts))
    assert "retention does not rise with tenure, so that customers look alike in their loyalty" in " ".join(fit.notes)
    assert float(fit.survival(10)) == pytest.approx(0.8**10, rel=0.02)


# Input


def test_what_the_model_cannot_bear_is_said_with_the_number():
    with pytest.raises(CannotFit) as few:
        value_models.fit_sbg(survivors([100, 99, 97]))
    assert str(few.value) == "sBG needs at least 10 commitments that ended; 3 of 100 have."
    with pytest.raises(CannotFit) as early:
        value_models.fit_sbg(survivors([100, 80]))
    assert str(early.value) == (
        "sBG needs commitments that faced at least 2 renewals; none of 100 has faced more than 1. Wait for the next "
        "renewal, or take shorter cycles."
    )
    with pytest.raises(CannotFit, match="0 of 0 have"):
        value_models.fit_sbg(running())


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[10, 8, 6], [10, 9, 12]], "1 of 2 cohorts has more survivors than a renewal earlier; first: 1."),
        ([[10, math.nan, 6], [10, 9, 2]], "1 of 2 cohorts has a missing count before a later one; first: 0."),
        ([[10, 8, 6], [0, 0, 0]], "1 of 2 cohorts has no count at the start, or nobody; first: 1."),
        ([[10, 8, -6], [10, 9.5, 2]], "2 of 2 cohorts has a count that is negative or no whole number; first: 0."),
    ],
)
def test_impossible_counts_are_refused(counts, message):
    with pytest.raises(DataError) as refused:
        value_models.tenures_from_survivors(pd.DataFrame(counts), cycle_months=12)
    assert str(refused.value) == (
        f"{message} A cohort's row holds its counts of survivors, largest first, one column a renewal."
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((-1, True), "have a number of renewals missing or negative"),
        ((1.5, True), "have a number of renewals that is no whole number"),
        ((1, None), "do not say whether they ended (true or false)"),
        ((1, False, 2), "were seen later than their last renewal (seen_from > renewals)"),
    ],
)
def test_impossible_tenures_are_refused(row, message):
    with pytest.raises(DataError) as refused:
        Tenures(pd.DataFrame([(2, False, 0), (*row, 0)[:3]], columns=["renewals", "ended", "seen_from"]), 12)
    assert str(refused.value).startswith(f"1 of 2 tenures {message}; first: renewals {float(row[0]):g}")


def test_cycles_are_not_mixed():
    with pytest.raises(DataError) as refused:
        a_fit(*TRUTH).expected_renewals(running(3, cycle_months=1), horizon=2)
    assert str(refused.value) == (
        "The model was fitted to renewals every 12 months and these tenures count renewals every 1: fit each cycle on "
        "its own."
    )
    with pytest.raises(DataError, match="looks ahead by a whole number of renewals, zero or more; asked for -2."):
        a_fit(*TRUTH).expected_renewals(running(3), horizon=-2)
    with pytest.raises(DataError, match="there is no ended."):
        Tenures(pd.DataFrame({"renewals": [1]}), 12)
    with pytest.raises(DataError, match="A cycle of 0 months makes no sense"):
        running(3, cycle_months=0)


# From commitments and dues


def commitments(*rows: tuple[str, str, str | None, str | None], cycle_months: int = 1) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["commitment_id", "started_on", "ended_on", "expires_on"])
    return frame.assign(customer_id="p" + frame["commitment_id"], branch="seoul", cycle_months=cycle_months)


def read(found: Tenures) -> dict[str, tuple[int, bool]]:
    return {
        name: (int(renewals), bool(ended))
        for name, renewals, ended in found.frame[["renewals", "ended"]].itertuples(name=None)
    }


def test_tenures_from_commitments():
    table = commitments(
        ("runs", "2024-01-15", None, None),
        ("due today", "2024-03-30", None, None),
        ("month ends", "2024-01-31", "2024-02-29", None),  # ended on the day of its first renewal
        ("ended between", "2024-01-15", "2024-04-20", None),
        ("ended on a due", "2024-01-15", "2024-04-15", None),
        ("expired", "2024-01-01", None, "2024-03-31"),
        ("will expire", "2024-01-15", None, "2025-01-14"),
        ("ended at once", "2024-01-15", "2024-01-15", None),
        ("not decided", "2024-01-15", "2024-06-20", None),  # its next renewal is not due yet
        ("later", "2024-07-15", None, None),
    )
    found = value_models.tenures(table, cycle_months=1, as_of=date(2024, 6, 30))
    assert read(found) == {
        "runs": (5, False),
        "due today": (3, False),
        "month ends": (0, True),
        "ended between": (3, True),
        "ended on a due": (2, True),
        "expired": (2, True),
        "will expire": (5, False),
        "ended at once": (0, True),
        "not decided": (5, False),
    }
    assert found.frame.loc["runs", "customer_id"] == "pruns"
    coverage = pd.DataFrame({"branch": ["seoul"], "last_covered_day": [date(2024, 4, 14)]})
    cut = read(value_models.tenures(table, cycle_months=1, as_of=date(2024, 6, 30), coverage=coverage))
    assert cut["runs"] == (2, False) and cut["ended between"] == (2, False) and cut["expired"] == (2, True)


def test_tenures_from_dues():
    """Monthly dues from January 2024, looked at on 31 December; what fell due by 30 June counts."""
    table = commitments(
        ("pays", "2024-01-10", None, None),
        ("stopped", "2024-01-10", None, None),
        ("missed two", "2024-01-10", None, None),
        ("just stopped", "2024-01-10", None, None),
        ("said so", "2024-01-10", "2024-03-20", None),
        ("never paid", "2024-01-10", None, None),
        ("no dues known", "2024-01-10", "2024-05-20", None),
    )
    months = range(1, 13)
    paid = {
        "pays": months,
        "stopped": range(1, 5),
        "missed two": [1, 2, 3, 6, 7, 8],
        "just stopped": range(1, 9),
        "said so": range(1, 4),
        "never paid": [],
    }
    due_to = {"said so": 3}
    dues = pd.DataFrame(
        [
            (name, f"2024-{month:02d}-25", f"2024-{month:02d}-27" if month in collected else None)
            for name, collected in paid.items()
            for month in months
            if month <= due_to.get(name, 12)
        ],
        columns=["commitment_id", "due_on", "collected_on"],
    )
    found = value_models.tenures(table, cycle_months=1, as_of=date(2024, 12, 31), dues=dues)
    assert read(found) == {
        "pays": (5, False),
        "stopped": (3, True),
        "missed two": (5, False),
        "just stopped": (5, False),
        "said so": (2, True),
        "never paid": (0, True),
        "no dues known": (4, True),
    }
    early = read(value_models.tenures(table, cycle_months=1, as_of=date(2024, 3, 26), dues=dues, lapsed_after_months=0))
    assert early["pays"] == (1, True)  # March's due is not collected yet


def test_ends_known_early_do_not_bend_retention():
    """Yearly contracts whose leavers say so half a year ahead: 80 % renew, whenever one looks."""
    rng = np.random.default_rng(9)
    started = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3287, 8000), unit="D")
    table = pd.DataFrame({"commitment_id": [f"c{i}" for i in range(8000)], "started_on": started})
    table = table.assign(customer_id=table["commitment_id"], branch="seoul", cycle_months=12)
    years = rng.geometric(0.2, 8000) - 1
    table["ended_on"] = table["started_on"] + pd.to_timedelta((years + 0.5) * 365.25, unit="D")
    as_of = date(2023, 12, 31)
    table["ended_on"] = table["ended_on"].where(table["ended_on"] <= pd.Timestamp(as_of))
    found = value_models.tenures(table, cycle_months=12, as_of=as_of).frame
    faced = found["renewals"] + found["ended"]
    assert found["renewals"].sum() / faced.sum() == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / faced.sum()))


def test_ends_before_the_history_began_are_not_missed():
    """Contracts of 15 years, those that ended before 2018 deleted: told of it, the model finds the truth again."""
    drawn = a_fit(*TRUTH).simulate(np.full(12_000, 100), seed=14)
    rng = np.random.default_rng(14)
    started = pd.Timestamp("2008-01-01") + pd.to_timedelta(rng.integers(0, 5400, 12_000), unit="D")
    table = pd.DataFrame({"commitment_id": drawn.index.astype(str), "started_on": started, "branch": "seoul"})
    table = table.assign(customer_id=table["commitment_id"], cycle_months=12)
    days = (drawn["renewals"] + rng.random(12_000)) * 365.25  # leavers say so at any time before they are due
    table["ended_on"] = (started + pd.to_timedelta(np.ceil(days), unit="D")).where(drawn["ended"])
    known = table[~(table["ended_on"] < "2018-01-01")]
    as_of, from_day = date(2023, 12, 31), date(2018, 1, 1)
    whole = value_models.tenures(table, cycle_months=12, as_of=as_of)
    cut = value_models.tenures(known, cycle_months=12, as_of=as_of)
    told = value_models.tenures(known, cycle_months=12, as_of=as_of, history_starts_on=from_day)
    exact = float(a_fit(*TRUTH).survival(5))
    for found, right in ((whole, True), (cut, False), (told, True)):
        survival = value_models.fit_sbg(found).delta(lambda fit: float(fit.survival(5)))
        assert (abs(survival.value - exact) < 3 * survival.standard_error) is right


def test_commitments_that_cannot_be_counted():
    with pytest.raises(DataError) as backwards:
        value_models.tenures(
            commitments(("a", "2024-01-15", None, None), ("b", "2024-01-15", "2023-12-01", None)),
            cycle_months=1,
            as_of=date(2024, 6, 30),
        )
    assert str(backwards.value) == (
        "commitments: 1 of 2 rows end before they start (first: b, 2024-01-15 to 2023-12-01). Correct the days."
    )
    with pytest.raises(DataError) as cycle:
        value_models.tenures(commitments(("a", "2024-01-15", None, None)), cycle_months=12, as_of=date(2024, 6, 30))
    assert str(cycle.value) == (
        "commitments: none of 1 rows renews every 12 months; there are: 1 months (1). Give `cycle_months` one of these."
    )
