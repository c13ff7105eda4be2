"""Scores and segments by their definition."""

from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import pytest

from crm_analysis.customer_value import scores
from crm_analysis.profile.settings import Value


def customers_of(n: int = 500, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 900, n)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "last_on": pd.Timestamp(2026, 9, 30) - pd.to_timedelta(days, unit="D"),
            "observed_to": pd.Timestamp(2026, 9, 30),
            "n_orders": rng.geometric(0.4, n),
            "net": rng.gamma(2.0, 50.0, n).round(2),
        }
    )


def test_every_code_is_in_exactly_one_segment():
    codes = np.array(list(product(range(1, 6), repeat=3)))
    named = scores.segment(*codes.T)
    assert len(named) == 125
    assert set(named) == {name for name, _test in scores.SEGMENTS}  # none without a name, none without a code


def test_cut_points_and_their_closed_side():
    cuts = scores.Cuts((10, 20, 30, 40), (1, 2, 3, 4), (5.0, 50.0, 500.0, 5000.0), "given")
    frame = pd.DataFrame(
        {
            "customer_id": ["at the cuts", "just above", "beyond"],
            "last_on": [date(2026, 9, 20), date(2026, 9, 19), date(2020, 1, 1)],
            "observed_to": date(2026, 9, 30),
            "n_orders": [1, 2, 99],
            "net": [5.0, 5.01, 1e9],
        }
    )
    scored = scores.score_customers(frame, cuts).set_index("customer_id")
    assert scored.loc["at the cuts", ["recency", "frequency", "monetary"]].tolist() == [5, 1, 1]
    assert scored.loc["just above", ["recency", "frequency", "monetary"]].tolist() == [4, 2, 2]
    assert scored.loc["beyond", ["recency", "frequency", "monetary"]].tolist() == [1, 5, 5]


def test_scores_do_not_depend_on_the_currency_or_the_order_of_rows():
    frame = customers_of()
    settings = Value()
    plain = scores.score_customers(frame, scores.cuts(frame, settings, source="now"))
    won = frame.assign(net=frame["net"] * 1300)
    pd.testing.assert_frame_equal(plain, scores.score_customers(won, scores.cuts(won, settings, source="now")))
    mixed = frame.sample(frac=1, random_state=1)
    again = scores.score_customers(mixed, scores.cuts(mixed, settings, source="now"))
    pd.testing.assert_frame_equal(
        plain, again.sort_values("customer_id", key=lambda s: s.str[1:].astype(int), ignore_index=True)
    )


def test_equal_values_get_equal_scores():
    """Six in ten bought once: they share the lowest score, and some scores stay empty rather than split them."""
    frame = customers_of().assign(n_orders=[1] * 300 + [2] * 100 + [7] * 100)
    scored = scores.score_customers(frame, scores.cuts(frame, Value(), source="now"))
    by_value = scored.groupby(frame["n_orders"])["frequency"].nunique()
    assert (by_value == 1).all()
    assert (scored.loc[frame["n_orders"] == 1, "frequency"] == 1).all()


def test_an_annual_giver_is_not_silent_in_month_seven():
    """Who holds a commitment that is paid up scores 5 in recency whatever its cycle; cut points stay as they were."""
    frame = customers_of().assign(committed=False, status="active")
    cuts = scores.cuts(frame, Value(), source="now")
    silent = scores.score_customers(frame, cuts)
    of_silence = silent["recency"].eq(1)
    held = frame.assign(committed=of_silence.to_numpy())
    assert scores.cuts(held, Value(), source="now") == cuts
    assert (scores.score_customers(held, cuts).loc[of_silence, "recency"] == 5).all()
    for standing in ("overdue", "dormant", "lost"):
        pd.testing.assert_frame_equal(scores.score_customers(held.assign(status=standing), cuts), silent)


def test_fixed_thresholds_come_first():
    frame = customers_of()
    given = Value.model_validate({"score_cuts": {"monetary": [1, 2, 3, 4]}})
    cuts = scores.cuts(frame, given, source="now")
    assert cuts.monetary == (1, 2, 3, 4)
    assert cuts.frequency == tuple(np.quantile(frame["n_orders"], [0.2, 0.4, 0.6, 0.8], method="inverted_cdf"))


@pytest.mark.parametrize("n", [0, 1])
def test_no_or_one_customer(n):
    frame = customers_of(n)
    assert len(scores.score_customers(frame, scores.cuts(frame, Value(), source="now"))) == n
