"""Present value, internal rate, payback and the value of retention."""

import numpy as np
import pytest

from crm_analysis.crm_roi import cashflow


def test_net_present_value_published():
    """numpy-financial's documented example (Gitman 2003, p. 346)."""
    assert cashflow.net_present_value([-40_000, 5_000, 8_000, 12_000, 30_000], rate=0.08) == pytest.approx(
        3065.22267, abs=5e-6
    )


def test_internal_rate_published():
    """numpy-financial's documented example (Gitman 2003, p. 348)."""
    found = cashflow.internal_rate_of_return([-100, 39, 59, 55, 20])
    assert found.rate == pytest.approx(0.28095, abs=5e-6)
    assert cashflow.net_present_value([-100, 39, 59, 55, 20], rate=found.rate) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("flows", [[-100, 80], [-100, 5, 5], [0, -50, 20, 40], [100, -120], [-1, 0, 0, 0, 1000]])
def test_internal_rate_is_where_the_present_value_is_zero(flows):
    found = cashflow.internal_rate_of_return(flows)
    assert found.rate is not None
    assert cashflow.net_present_value(flows, rate=found.rate) == pytest.approx(0, abs=1e-6 * np.abs(flows).max())


def test_internal_rate_undefined_with_the_reason():
    twice = cashflow.internal_rate_of_return([-100, 230, -132])
    assert twice.rate is None and "change sign 2 times" in twice.reason
    never = cashflow.internal_rate_of_return([-100, -5, 0])
    assert never.rate is None and "never change sign" in never.reason


def test_payback():
    assert cashflow.payback_periods([-100, 40, 40, 40]) == pytest.approx(2.5)
    assert cashflow.payback_periods([-100, 40, 40]) is None
    assert cashflow.payback_periods([10, 5]) == 0.0
    assert cashflow.payback_periods([-100, 150, -80, 60]) == pytest.approx(2 + 30 / 60)
    assert cashflow.discounted_payback_periods([-100, 40, 40, 40], rate=0.0) == pytest.approx(2.5)
    assert cashflow.discounted_payback_periods([-100, 40, 40, 40], rate=0.1) is None


def test_value_of_retention():
    """CLV = m r / (1 + d - r); five more points at d .10, r .80 raise it by 27.5 % (Gupta and Lehmann 2003)."""
    now = cashflow.customer_lifetime_value(100, retention=0.80, rate=0.10)
    then = cashflow.customer_lifetime_value(100, retention=0.85, rate=0.10)
    assert then / now - 1 == pytest.approx(0.275)
    step = 1e-6
    slope = (cashflow.customer_lifetime_value(100, retention=0.80 + step, rate=0.10) - now) / step
    assert slope * 0.80 / now == pytest.approx(cashflow.retention_elasticity(retention=0.80, rate=0.10), rel=1e-4)
    assert cashflow.retention_elasticity(retention=0.80, rate=0.10) == pytest.approx(1.1 / 0.3)
    brute = sum(100 * 0.8**t / 1.1**t for t in range(1, 400))
    assert now == pytest.approx(brute)
    with pytest.raises(ValueError, match="retention"):
        cashflow.customer_lifetime_value(100, retention=1.2, rate=0.1)
