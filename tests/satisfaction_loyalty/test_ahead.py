"""What coming back is worth over the year ahead: by hand, against a planted difference, and where it is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm_analysis import customers, value_models
from crm_analysis.satisfaction_loyalty import ahead
from crm_analysis.satisfaction_loyalty.ahead import FEWEST, value_ahead
from crm_analysis.units import months_to_days

N = 400
END = pd.Timestamp(2026, 9, 30)


def bought(*, rate: float = 0.5, n: int = N, seed: int = 3, spend: float = 20.0) -> pd.DataFrame:
    """Customers who bought once in 2024; the even ones of them every two months or so since, the others never again."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        day = pd.Timestamp(2024, 1, 1) + pd.Timedelta(days=int(rng.integers(0, 300)))
        while day <= END:
            rows.append((f"c{i}", day, float(rng.gamma(8, spend / 8))))
            if i % 2:
                break
            day += pd.Timedelta(days=int(rng.exponential(30 / rate)) + 1)
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def followed(n: int = N, *, loyal: Callable[[int], bool] = lambda i: i % 2 == 0) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [f"c{i}" for i in range(n)], "loyal": [loyal(i) for i in range(n)]}).assign(
        weight=1.0
    )


def scope(scope_of: Any, frame: pd.DataFrame, **settings: Any) -> Any:
    return scope_of({"transactions": frame}, margin={"rate": 0.4}, **settings)


def test_it_is_the_difference_of_the_models_means(scope_of) -> None:
    """The same numbers from the models themselves, customer by customer."""
    where = scope(scope_of, bought())
    found = value_ahead(where, followed())
    histories = value_models.histories(customers.one_off(where, 0), as_of=where.as_of)
    fit, spend = value_models.fit_bg_nbd(histories), value_models.fit_gamma_gamma(histories)
    each = 0.4 * fit.expected_purchases(histories, horizon_days=months_to_days(12)) * spend.expected_value(histories)
    each = each.reindex(followed()["customer_id"]).clip(upper=each.quantile(0.99)).to_numpy()
    assert found.gap is not None and found.gap.n == N and found.why == ""
    assert (found.n_back, found.n_away) == (N // 2, N // 2)
    assert found.back == pytest.approx(each[0::2].mean(), rel=0.01)
    assert found.gap.mean == pytest.approx(each[0::2].mean() - each[1::2].mean(), rel=0.01)
    plain = np.hypot(each[0::2].std(ddof=1), each[1::2].std(ddof=1)) / np.sqrt(N / 2)
    assert plain < found.gap.se < 3 * plain, "the parameters' error comes on top"


def test_the_interval_holds_what_the_year_brings(scope_of) -> None:
    """Those who go on buy some six times a year for 20 at a margin of .4; the others are gone."""
    found = value_ahead(scope(scope_of, bought()), followed())
    truth = 0.4 * 20 * 365 / 61
    assert found.gap is not None and found.gap.low < truth < found.gap.high, found.gap
    assert found.away < 0.1 * found.back


@pytest.mark.slow
def test_it_turns_with_who_came_back(scope_of) -> None:
    where = scope(scope_of, bought())
    ours, theirs = (value_ahead(where, followed(loyal=lambda i, odd=odd: i % 2 == odd)) for odd in (0, 1))
    assert ours.gap is not None and theirs.gap is not None
    assert ours.gap.mean == pytest.approx(-theirs.gap.mean) and ours.gap.low > 0 > theirs.gap.high
    alike = value_ahead(where, followed(loyal=lambda i: i % 4 < 2))
    assert alike.gap is not None and alike.gap.low < 0 < alike.gap.high


@pytest.mark.slow
def test_another_model_of_repeat_buying_says_the_same_of_the_difference(scope_of, monkeypatch) -> None:
    """The customer value page may take another model: that moves the difference within its interval."""
    where = scope(scope_of, bought())
    ours = value_ahead(where, followed()).gap
    monkeypatch.setattr(ahead.value_models, "fit_bg_nbd", value_models.fit_pareto_nbd)
    theirs = value_ahead(where, followed()).gap
    assert ours is not None and theirs is not None and ours.mean != theirs.mean
    assert ours.low < theirs.mean < ours.high and theirs.low < ours.mean < theirs.high, (ours, theirs)


def test_commitments_count_by_what_promises_brought(scope_of) -> None:
    """Ten a month, all of it collected: a year of it is 120 at a margin of .4; those who ended bring nothing."""
    days = pd.date_range("2024-01-05", END, freq="MS") + pd.Timedelta(days=4)
    ended = pd.Timestamp(2026, 3, 31)
    rows = [(f"c{i}", day, 10.0, "dues", f"m{i}") for i in range(80) for day in days if i % 2 == 0 or day <= ended]
    paid = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind", "commitment_id"])
    agreed = pd.DataFrame({"commitment_id": [f"m{i}" for i in range(80)], "customer_id": [f"c{i}" for i in range(80)]})
    agreed = agreed.assign(
        branch="x", started_on=pd.Timestamp(2024, 1, 1), amount=10.0, cycle_months=1,
        ended_on=[pd.NaT if i % 2 == 0 else ended for i in range(80)],
    )  # fmt: skip
    where = scope_of({"transactions": paid, "commitments": agreed}, margin={"rate": 0.4})
    found = value_ahead(where, followed(80))
    assert found.gap is not None and found.away == 0
    kept = 0.75  # of what was promised a year ago, half ended halfway through
    assert found.gap.mean == pytest.approx(0.4 * 120 * kept, rel=0.02)
    assert found.gap.low < found.gap.mean < found.gap.high


def test_too_few_of_either_are_not_compared(scope_of) -> None:
    found = value_ahead(scope(scope_of, bought()), followed(loyal=lambda i: i < FEWEST - 1))
    assert found.gap is None and (found.why, found.n_back) == ("few", FEWEST - 1)


@pytest.mark.parametrize("arm", [0, 1])
def test_answers_without_weight_do_not_count_towards_either(scope_of, arm: int) -> None:
    """With no weight at all on one side there was a division by zero and a gap that is no number."""
    silent = followed()
    silent.loc[silent.index % 2 == arm, "weight"] = 0.0
    found = value_ahead(scope(scope_of, bought()), silent)
    assert found.gap is None and found.why == "few" and min(found.n_back, found.n_away) == 0


def test_an_error_that_is_no_number_leaves_the_months_ahead_unvalued(scope_of, monkeypatch) -> None:
    by_model = ahead._by_model
    monkeypatch.setattr(ahead, "_by_model", lambda *given: (by_model(*given)[0], float("nan")))
    found = value_ahead(scope(scope_of, bought()), followed())
    assert found.gap is None and found.why == "no_model"


def test_where_hardly_anybody_comes_back_there_is_no_model(scope_of) -> None:
    once = bought().groupby("customer_id").head(1)
    found = value_ahead(scope(scope_of, once), followed())
    assert found.gap is None and found.why == "no_model"
