"""Multiple testing: statsmodels as oracle, definitions of the step-down procedure."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from crm_analysis.estimators.multiplicity import benjamini_hochberg, holm, holm_levels

P = [0.01, 0.04, 0.03, 0.005, 0.9]


def test_holm_agrees_with_statsmodels() -> None:
    assert holm(P) == pytest.approx(multipletests(P, method="holm")[1])


def test_benjamini_hochberg_agrees_with_statsmodels() -> None:
    assert benjamini_hochberg(P) == pytest.approx(multipletests(P, method="fdr_bh")[1])


def test_undefined_values_are_not_tests() -> None:
    with_gap = [0.01, float("nan"), 0.04]
    assert holm(with_gap)[[0, 2]] == pytest.approx(holm([0.01, 0.04]))
    assert np.isnan(holm(with_gap)[1]) and np.isnan(benjamini_hochberg(with_gap)[1])
    assert holm([]).size == 0 and benjamini_hochberg([]).size == 0


def test_levels_agree_with_the_test() -> None:
    """An interval at its level excludes zero exactly where Holm rejects."""
    rng = np.random.default_rng(7)
    for _ in range(200):
        p = rng.beta(0.3, 2, 4)
        assert ((p <= 1 - holm_levels(p)) == (holm(p) <= 0.05 + 1e-12)).all()


def test_levels_of_two() -> None:
    assert holm_levels([0.001, 0.04]) == pytest.approx([0.975, 0.95])
    assert holm_levels([0.04, 0.2]) == pytest.approx([0.975, 0.975])


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])
