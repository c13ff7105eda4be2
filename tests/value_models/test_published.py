"""CDNOW B as the papers define it: the log of 2,357 customers in the lifetimes wheel, same-day purchases merged,
calibration to 30 September 1997, weeks. Parameters, standard errors and likelihoods to the digits that CLVTools and
BTYD print for the same data; each test names the paper.
"""

import importlib.util
import warnings
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter

from crm_analysis import customers, value_models
from crm_analysis.value_models import Histories

WEEKS_52 = 52 * 7


def log() -> pd.DataFrame:
    package = Path(importlib.util.find_spec("lifetimes").submodule_search_locations[0])
    with open(package / "datasets" / "CDNOW_sample.txt", encoding="ascii") as stream:
        rows = pd.read_csv(stream, sep=r"\s+", header=None, names=["all", "customer_id", "day", "quantity", "amount"])
    rows["customer_id"] = rows["customer_id"].astype(str)
    return rows.assign(occurred_at=pd.to_datetime(rows["day"].astype(str)), branch="us", kind="sale")


@pytest.fixture(scope="module")
def cdnow() -> Histories:
    columns = ["customer_id", "branch", "occurred_at", "amount", "kind"]
    summary = customers.summarize(ibis.memtable(log()[columns]), as_of=date(1997, 9, 30)).to_pandas()
    return value_models.histories(summary, unit="week", as_of=date(1997, 9, 30))


CUSTOMER_1516 = Histories(pd.DataFrame({"x": [26], "t_x": [30.857143], "T": [31.0]}), "week")


def test_distinct_histories(cdnow):
    assert (len(cdnow), len(cdnow.compressed())) == (2357, 1016)


def test_bg_nbd(cdnow):
    """Fader, Hardie and Lee (2005a), "Counting your customers" the easy way."""
    fit = value_models.fit_bg_nbd(cdnow)
    assert fit.parameters == pytest.approx(
        {"r": 0.242594525, "alpha": 4.413602010, "a": 0.792922197, "b": 2.425907456}, rel=1e-6
    )
    assert fit.log_likelihood == pytest.approx(-9582.429207, abs=1e-6)
    published = {"r": 0.012557, "alpha": 0.378224, "a": 0.185734, "b": 0.705413}
    assert fit.standard_errors == pytest.approx(published, rel=5e-5)
    assert fit.converged and fit.notes == ()
    assert fit.new_customer_purchases(WEEKS_52) == pytest.approx(1.4440124, rel=1e-6)


def test_mbg_nbd(cdnow):
    """Hoppe and Wagner (2007), CBG/NBD: r .525, alpha 6.183, a .891, b 1.614, which the tests of lifetimes quote too.
    lifetimes' own fit of the same rows comes to the same; its likelihood, per customer on rescaled time, does not
    compare.
    """
    fit = value_models.fit_mbg_nbd(cdnow)
    published = {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}
    assert {name: round(value, 3) for name, value in fit.parameters.items()} == published
    assert fit.converged and fit.notes == ()
    frame = cdnow.frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its start values divide by zero
        theirs = ModifiedBetaGeoFitter().fit(frame["x"], frame["t_x"], frame["T"])
    assert fit.parameters == pytest.approx(dict(theirs.params_), rel=1e-5)
    assert value_models.fit_bg_nbd(cdnow).log_likelihood < fit.log_likelihood < -9582


def test_pareto_nbd(cdnow):
    """Fader, Hardie and Lee (2005b); expectation and P(alive) of customer 1516 from the same source."""
    fit = value_models.fit_pareto_nbd(cdnow)
    assert fit.parameters == pytest.approx(
        {"r": 0.553277066, "alpha": 10.577683744, "s": 0.606240021, "beta": 11.668735469}, rel=1e-6
    )
    assert fit.log_likelihood == pytest.approx(-9594.976179, abs=1e-6)
    published = {"r": 0.047628, "alpha": 0.842721, "s": 0.187278, "beta": 6.210983}
    assert fit.standard_errors == pytest.approx(published, rel=5e-5)
    assert fit.new_customer_purchases(WEEKS_52) == pytest.approx(1.4734343, rel=1e-6)
    assert fit.expected_purchases(CUSTOMER_1516, horizon_days=WEEKS_52).iloc[0] == pytest.approx(25.455183, rel=1e-6)
    assert fit.probability_alive(CUSTOMER_1516).iloc[0] == pytest.approx(0.9978734, rel=1e-6)


def test_gamma_gamma(cdnow):
    """Fader and Hardie (2013), the Gamma-Gamma model of monetary value."""
    fit = value_models.fit_gamma_gamma(cdnow)
    assert fit.n_customers == 946
    assert fit.parameters == pytest.approx({"p": 6.249572374, "q": 3.744224745, "gamma": 15.443521224}, rel=1e-6)
    assert fit.log_likelihood == pytest.approx(-4055.917695, abs=1e-6)
    assert fit.mean == pytest.approx(35.170371, rel=1e-6)


def test_holdout_of_the_papers(cdnow):
    """1,882 holdout transactions to 30 June 1998; BG/NBD and Pareto/NBD see them within a few per cent."""
    rows = log().drop_duplicates(["customer_id", "occurred_at"])
    holdout = rows[(rows["occurred_at"] > "1997-09-30") & (rows["occurred_at"] <= "1998-06-30")]
    assert len(holdout) == 1882
    days = (date(1998, 6, 30) - date(1997, 9, 30)).days
    for fit in (value_models.fit_bg_nbd(cdnow), value_models.fit_pareto_nbd(cdnow)):
        expected = fit.expected_purchases(cdnow, horizon_days=days).sum()
        assert expected == pytest.approx(len(holdout), rel=0.15)


def test_agrees_with_lifetimes_where_lifetimes_is_right(cdnow):
    """Predictions of the converted fitters, customer by customer."""
    frame = cdnow.frame
    x, t_x, observed = frame["x"], frame["t_x"], frame["T"]
    bg = value_models.fit_bg_nbd(cdnow)
    theirs = bg.to_lifetimes(cdnow)
    expected = theirs.conditional_expected_number_of_purchases_up_to_time(39, x, t_x, observed)
    np.testing.assert_allclose(bg.expected_purchases(cdnow, horizon_days=39 * 7), expected, rtol=1e-7)
    np.testing.assert_allclose(
        bg.probability_alive(cdnow), theirs.conditional_probability_alive(x, t_x, observed), rtol=1e-9
    )
    gg = value_models.fit_gamma_gamma(cdnow)
    repeat = frame[frame["x"] > 0]
    spend = gg.to_lifetimes().conditional_expected_average_profit(repeat["x"], repeat["mean_value"])
    np.testing.assert_allclose(gg.expected_value(cdnow)[repeat.index], spend, rtol=1e-9)
    pareto = value_models.fit_pareto_nbd(cdnow)
    alive = pareto.to_lifetimes().conditional_probability_alive(x, t_x, observed)
    np.testing.assert_allclose(pareto.probability_alive(cdnow), np.asarray(alive), rtol=1e-6)


def test_where_lifetimes_is_wrong_about_a_fit(cdnow):
    """Of its covariance the diagonal is right and the rest is not, nor even symmetric. Its likelihood is per customer,
    on time that it has shrunk: multiplied out and with the scale put back it is the published one.
    """
    frame = cdnow.frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = BetaGeoFitter().fit(frame["x"], frame["t_x"], frame["T"])
    ours = value_models.fit_bg_nbd(cdnow)
    assert ours.parameters == pytest.approx(dict(theirs.params_), rel=1e-6)
    wrong = theirs.variance_matrix_.to_numpy()
    np.testing.assert_allclose(np.diag(wrong), np.diag(ours.covariance), rtol=1e-3)
    np.testing.assert_allclose(ours.covariance, ours.covariance.T, rtol=1e-9)
    assert wrong[2, 3] > 5 * wrong[3, 2] and ours.covariance[2, 3] == pytest.approx(0.123, abs=0.001)
    per_customer = theirs._negative_log_likelihood_
    assert per_customer == pytest.approx(0.250350, abs=1e-6)
    shrunk = -per_customer * len(frame) + frame["x"].sum() * np.log(theirs._scale)
    assert shrunk == pytest.approx(ours.log_likelihood, abs=1e-4)
