"""Age of contact data and the rate at which contacts stop working."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis.data_quality.staleness import decay_rate, staleness

AS_OF = date(2026, 9, 30)


def customers(ages_days: list[float | None], status: list[str | None] | None = None) -> pd.DataFrame:
    verified = [None if age is None else pd.Timestamp(AS_OF) - pd.Timedelta(days=age) for age in ages_days]
    frame = pd.DataFrame({"customer_id": range(len(ages_days)), "contact_verified_on": verified})
    return frame if status is None else frame.assign(contact_status=status)


def test_older_than_the_limit_means_strictly_older() -> None:
    found = staleness(customers([364, 365, 366, None]), as_of=AS_OF, limit_days=365, decay_annual=0.2)
    assert (found.n_stale, found.n_dated, found.n_undated) == (1, 3, 1)
    assert found.share == pytest.approx(1 / 3)
    assert found.low is not None and found.high is not None and found.low < 1 / 3 < found.high


def test_wilson_interval_of_a_published_example() -> None:
    # 10 of 20: 0.2993 to 0.7007 (Newcombe 1998, Statistics in Medicine 17, method 3, computed for r = 10, n = 20)
    found = staleness(customers([400] * 10 + [10] * 10), as_of=AS_OF, limit_days=365, decay_annual=0.2)
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (0.2993, 0.7007)


def test_nothing_dated_is_undefined_not_zero() -> None:
    found = staleness(customers([None, None]), as_of=AS_OF, limit_days=365, decay_annual=0.2)
    assert (found.share, found.low, found.high, found.expected_dead) == (None, None, None, None)


def test_a_date_after_the_state_is_not_known_yet() -> None:
    assert staleness(customers([-5, 20]), as_of=AS_OF, limit_days=365, decay_annual=0.2).n_dated == 1


def test_equal_ages_give_the_closed_form() -> None:
    # all contacts two years old, 30 % returned: hazard = -log(0.7) / 2
    hazard, low, high = decay_rate(np.full(100, 2.0), np.arange(100) < 30)
    assert hazard == pytest.approx(-np.log(0.7) / 2)
    assert low < hazard < high


def test_recovers_a_planted_rate() -> None:
    rng = np.random.default_rng(7)
    age = rng.uniform(0.1, 3, 20_000)
    returned = rng.random(20_000) < -np.expm1(-0.25 * age)
    hazard, low, high = decay_rate(age, returned)
    assert low < 0.25 < high and high - low < 0.02 and hazard == pytest.approx(0.25, abs=0.01)


def test_own_returned_contacts_come_before_the_parameter() -> None:
    status = ["returned"] * 6 + ["ok"] * 14
    own = staleness(customers([365] * 20, status), as_of=AS_OF, limit_days=365, decay_annual=0.2)
    assert own.decay.source == "own" and own.decay.rate_annual == pytest.approx(0.3, abs=0.001)
    status = ["returned"] * 4 + ["ok"] * 16
    few = staleness(customers([365] * 20, status), as_of=AS_OF, limit_days=365, decay_annual=0.2)
    assert few.decay.source == "profile" and few.decay.rate_annual == 0.2


def test_expected_dead_counts_returned_ones_whole() -> None:
    found = staleness(customers([365.2425] * 10), as_of=AS_OF, limit_days=365, decay_annual=0.2)
    assert found.expected_dead == pytest.approx(2.0, rel=0.01)


def test_without_any_dead_contact_there_is_no_rate() -> None:
    with pytest.raises(ValueError, match="at least one"):
        decay_rate(np.ones(3), np.zeros(3, dtype=bool))
