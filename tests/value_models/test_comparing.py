"""Whether branches differ, against the law of the test when they do not; and products of intervals."""

import numpy as np
import pandas as pd
import pytest

from crm_analysis.errors import DataError
from crm_analysis.value_models import BgNbdFit, Histories, fit_bg_nbd, fit_mbg_nbd
from crm_analysis.value_models.comparing import difference, product

TRUTH = (0.6, 8.0, 0.9, 2.5)


def branch(seed: int, values=TRUTH, size: int = 800) -> pd.DataFrame:
    model = BgNbdFit(
        values=values,
        covariance=np.eye(4),
        log_likelihood=0.0,
        n_customers=1,
        n_distinct=1,
        converged=True,
        notes=(),
        unit="week",
    )
    observed = np.random.default_rng(5).integers(26, 130, size).astype(float)
    return model.simulate(observed, seed=seed)[["x", "t_x", "T"]]


def compared(frames: list[pd.DataFrame]):
    parts = [fit_bg_nbd(Histories(frame, "week")) for frame in frames]
    return difference(fit_bg_nbd(Histories(pd.concat(frames), "week")), parts)


def test_branches_that_differ_are_told_apart():
    found = compared([branch(1), branch(2), branch(3, (0.6, 8.0, 0.9, 1.2))])
    assert found.degrees_of_freedom == 8
    assert found.p < 1e-3 and found.aic_gain > 0


@pytest.mark.slow
def test_branches_that_do_not_differ_seldom_seem_to():
    """Forty pairs drawn from one model: p is uniform."""
    p = np.array([compared([branch(2 * i), branch(2 * i + 1)]).p for i in range(40)])
    assert (p < 0.05).sum() <= 6 and 0.3 < p.mean() < 0.7


def test_fits_of_other_customers_or_models_are_refused():
    first, second = (fit_bg_nbd(Histories(branch(seed), "week")) for seed in (1, 2))
    with pytest.raises(DataError) as refused:
        difference(first, [first, second])
    assert str(refused.value) == (
        "The pooled fit is of 800 customers and those of the branches of 1,600: fit them to the same customers."
    )
    other = fit_mbg_nbd(Histories(branch(1), "week"))
    with pytest.raises(DataError) as refused:
        difference(first, [first, other])
    assert str(refused.value) == (
        "Branches are compared by two fits or more of BG/NBD in weeks; these are BG/NBD in weeks, MBG/NBD in weeks."
    )


def test_a_product_has_the_interval_of_two_independent_factors():
    """Against a million draws of two log-normal factors; nothing times anything is nothing."""
    rng = np.random.default_rng(2)
    spread = np.array([0.1, 0.3])
    value = np.array([2.0, 50.0])
    ends = [
        pd.DataFrame({"value": [v, 0.0], "low": [v / np.exp(1.96 * s), 0.0], "high": [v * np.exp(1.96 * s), 0.0]})
        for v, s in zip(value, spread, strict=True)
    ]
    found = product(*ends)
    drawn = np.prod(value * np.exp(spread * rng.standard_normal((1_000_000, 2))), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.loc[0].tolist() == pytest.approx([100.0, low, high], rel=0.01)
    assert found.loc[1].tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(DataError, match="not for the same customers"):
        product(ends[0], ends[1].iloc[:1])
