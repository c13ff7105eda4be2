"""Money, relationship and fit: ranks, a score that says when it knows nothing, and who of the best fails on them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from crm_analysis import customers
from crm_analysis.customer_value import lives, profits, standing
from crm_analysis.customer_value.displays import standing as shown

NOTHING = pd.DataFrame({"customer_id": [], "expected_value": []})


def test_ranks_are_shares_below_and_missing_stays_missing():
    ranks = standing.rank(pd.Series([10.0, 30.0, 30.0, np.nan, 40.0]))
    assert ranks.dropna().to_list() == [0.125, 0.5, 0.5, 0.875] and np.isnan(ranks[3])


def test_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    scores, good = rng.integers(0, 12, 300).astype(float), rng.random(300) < 0.4
    gaps = scores[good][:, None] - scores[~good][None, :]
    value, low, high = standing.area(scores, good)
    assert value == pytest.approx((gaps > 0).mean() + 0.5 * (gaps == 0).mean())
    assert low < value < high


def test_the_interval_of_the_area_holds_the_truth():
    """Two normal curves one apart: the area is 0.76025."""
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        good = rng.random(300) < 0.3
        _value, low, high = standing.area(rng.normal(0, 1, 300) + good, good)
        inside += low <= 0.76025 <= high
    assert inside >= 182


def test_the_regression_agrees_with_a_general_optimiser():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 3))
    good = rng.random(500) < 1 / (1 + np.exp(-(x @ [1.0, -0.5, 0.0] - 0.3)))
    design = np.column_stack([np.ones(500), x])
    own = standing._logistic(design, good)

    def penalised(beta: np.ndarray) -> float:
        score = design @ beta
        return float(np.logaddexp(0, score).sum() - score[good].sum() + standing.RIDGE / 2 * beta[1:] @ beta[1:])

    peer = minimize(penalised, np.zeros(4), method="BFGS", options={"gtol": 1e-7})
    assert own == pytest.approx(peer.x, abs=1e-5)


def people(n: int, effect: float, seed: int = 2) -> tuple[pd.DataFrame, list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    channel = rng.choice(["web", "street"], n)
    known = pd.DataFrame({"channel": channel, "age": rng.normal(50, 10, n)}, index=[f"c{i}" for i in range(n)])
    return known, list(known.index), rng.random(n) < 0.3 + effect * (channel == "web")


def test_fit_is_found_where_there_is_some_and_undefined_where_there_is_none():
    scores, fit = standing.learned(*people(1500, 0.4))
    assert fit.why == "" and fit.low > 0.6 and fit.n == 450
    assert scores.groupby(people(1500, 0.4)[0]["channel"]).mean().idxmax() == "web"
    assert standing.learned(*people(1500, 0.0))[1].why == "nothing"
    few = standing.learned(*people(120, 0.4))
    assert few[1].why == "short" and few[0].empty and np.isnan(few[1].auc)


def log(n: int, seed: int = 6) -> pd.DataFrame:
    """Newcomers through two channels; those from the web go on, those from the street mostly do not."""
    rng = np.random.default_rng(seed)
    rows = [("start", pd.Timestamp(2023, 1, 1), 1.0, "web")]
    for i in range(n):
        first = pd.Timestamp(2023, 6, 1) + pd.Timedelta(days=int(rng.integers(0, 450)))
        channel = "web" if rng.random() < 0.5 else "street"
        stays = rng.random() < (0.8 if channel == "web" else 0.2)
        level = rng.gamma(3, 20)
        for k in range(14 if stays else 1):
            day = first + pd.DateOffset(months=3 * k)
            if day <= pd.Timestamp(2026, 9, 30):
                rows.append((f"c{i}", day, level, channel))
    big = pd.Timestamp(2026, 8, 1)
    rows += [(f"big{i}", big + pd.Timedelta(days=i % 50), 5000.0 + i, "street") for i in range(60)]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "channel"])


def state_of(scope) -> SimpleNamespace:
    status = customers.status(scope)
    earned = profits.customer_profits(scope, status)
    found = standing.standing(scope, status, earned, NOTHING, lives.lives(scope, status))
    scores = status[["customer_id"]].assign(segment="best")
    outlook = SimpleNamespace(why="")
    return SimpleNamespace(scope=scope, status=status, profits=earned, standing=found, scores=scores, outlook=outlook)


def test_large_once_is_money_without_relationship(scope_of):
    """Sixty strangers gave a fortune once: the best by money, and the most loosely tied."""
    state = state_of(scope_of({"transactions": log(900)}, margin={"rate": 0.5}))
    assert "money that nothing holds" in shown.sentence(state)
    once = SimpleNamespace(**vars(state) | {"outlook": SimpleNamespace(why="one_time")})
    assert "half would be, were money and ties unrelated" in shown.sentence(once), "no tie to mend where nobody returns"
    frame = state.standing.customers.set_index("customer_id")
    big = frame[frame.index.str.startswith("big")]
    assert big["best"].all() and (big["relationship"] < 0.3).all()
    assert state.standing.components == ("tenure", "regularity")
    assert state.standing.fit.why == "" and state.standing.fit.low > 0.6
    came = log(900).drop_duplicates("customer_id").set_index("customer_id")["channel"]
    others = frame[~frame.index.str.startswith("big")]
    assert others["fit"].groupby(came).mean()["web"] > others["fit"].groupby(came).mean()["street"] + 0.2
    part = shown.weak(state)["relationship"]
    assert part.share >= 60 / frame["best"].sum()
    table = shown.weak_table(state)
    assert "tied more loosely" in table["note"] and "AUC" in table["note"] and len(table["frame"]) == 3
    assert len(shown.score_table(state)["frame"]) == 5


def test_share_of_wallet_only_where_the_profile_gives_it(scope_of):
    frames = {"transactions": log(300)}
    assert shown.wallet_table(state_of(scope_of(frames)))["frame"] is None
    state = state_of(scope_of(frames, value={"category_spend": 1000.0}))
    paid = state.profits.customers.loc[state.profits.customers["gross"] > 0, "gross"].mean()
    assert f"{paid / 10:.1f}" in shown.wallet_table(state)["frame"].iloc[0, 2]


def test_hardly_anybody_says_so(scope_of):
    frame = pd.DataFrame({"customer_id": ["a", "b"], "occurred_at": pd.to_datetime(["2026-08-01"] * 2), "amount": 5.0})
    state = state_of(scope_of({"transactions": frame}))
    assert state.standing.fit.why == "short"
    assert shown.weak_table(state)["frame"] is None and shown.score_table(state)["frame"] is None
