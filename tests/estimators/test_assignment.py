"""The draw of a holdout: everybody alike, strata alike, the same again from the same salt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm_analysis.estimators.assignment import draw_holdout, value_bands


def units(n: int = 1000, strata: int = 60) -> pd.DataFrame:
    return pd.DataFrame(
        {"customer_id": [f"C{i:06d}" for i in range(n)], "stratum": [f"s{i % strata:02d}" for i in range(n)]}
    )


@pytest.mark.parametrize("share", [0.02, 0.1, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("n", [7, 59, 1000, 4321])
def test_the_share_holds_for_all_and_in_every_stratum_to_within_one(share, n):
    frame = units(n)
    held = draw_holdout(frame, share=share, salt="A") == "control"
    assert abs(held.sum() - share * n) < 1
    by = held.groupby(frame["stratum"]).agg(["sum", "size"])
    assert (abs(by["sum"] - share * by["size"]) < 1 + 1e-9).all()


def test_the_same_salt_draws_the_same_people_in_whatever_order_they_stand():
    frame = units()
    shuffled = frame.sample(frac=1, random_state=3)
    one, other = draw_holdout(frame, share=0.2, salt="A"), draw_holdout(shuffled, share=0.2, salt="A")
    pd.testing.assert_series_equal(one, other.reindex(one.index))


def test_the_draw_is_fixed_for_all_time():
    held = draw_holdout(units(30, 3), share=0.2, salt="WELCOME27")
    assert [f"C{i:06d}" for i in np.flatnonzero(held == "control")] == [
        "C000012",
        "C000014",
        "C000016",
        "C000018",
        "C000022",
        "C000023",
    ]


@pytest.mark.slow
def test_everybody_is_held_out_equally_often_over_salts():
    frame = units(40, 7)
    draws = 800
    times = sum((draw_holdout(frame, share=0.25, salt=f"S{i}") == "control").to_numpy(int) for i in range(draws))
    chi2 = float(((times - draws / 4) ** 2 / (draws * 0.25 * 0.75)).sum())
    assert stats.chi2.sf(chi2, len(frame)) > 1e-4
    assert abs(times.mean() / draws - 0.25) < 0.02


def test_two_salts_draw_independently():
    frame = units(4000)
    one, other = (draw_holdout(frame, share=0.5, salt=salt) == "control" for salt in ("A", "B"))
    assert abs((one & other).mean() - 0.25) < 0.04


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_holds_out_nobody_or_everybody_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        draw_holdout(units(), share=share, salt="A")


def test_a_customer_who_stands_there_twice_is_refused():
    frame = pd.concat([units(3), units(1)], ignore_index=True)
    with pytest.raises(ValueError, match="once"):
        draw_holdout(frame, share=0.5, salt="A")


def test_bands_are_equal_in_size_and_in_the_order_of_value():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{i:04d}" for i in range(537)],
            "branch": rng.choice(["a", "b", "c"], 537),
            "value": rng.choice([0.0, 0.0, 5.0, 8.0, 100.0], 537),
        }
    )
    band = value_bands(frame)
    for _, part in frame.assign(band=band).groupby("branch"):
        sizes = part["band"].value_counts()
        assert set(sizes.index) == set(range(1, 11)) and sizes.max() - sizes.min() <= 1
        ranges = part.groupby("band")["value"].agg(["min", "max"])
        assert (ranges["max"].to_numpy()[:-1] <= ranges["min"].to_numpy()[1:]).all()
    shuffled = frame.sample(frac=1, random_state=2)
    pd.testing.assert_series_equal(band, value_bands(shuffled).reindex(frame.index), check_names=False)
