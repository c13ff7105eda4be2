"""Whether branches are told apart, with the demo's planted habits and the times its donors are observed for."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm_analysis import value_models
from crm_analysis.customer_value import pooling
from crm_analysis.demo.donors import simulate_donors
from crm_analysis.demo.truth import truth
from crm_analysis.value_models import BgNbdFit, Histories

PLANTED = truth()
NAMES = list(PLANTED.branches)


def planted(branch: str) -> BgNbdFit:
    """The planted parameters of a branch's occasional donors, as a fit."""
    of = PLANTED.branches[branch]
    return BgNbdFit(
        values=(of.r, of.alpha_weeks, of.a, of.b),
        covariance=np.full((4, 4), np.nan),
        log_likelihood=math.nan,
        n_customers=0,
        n_distinct=0,
        converged=True,
        notes=(),
        unit="week",
    )


def donors(seed: int, n: int = 20_000) -> pd.DataFrame:
    """branch and weeks observed of the demo's occasional donors."""
    frame = simulate_donors(np.random.default_rng(seed), PLANTED, n)
    frame = frame[frame["kind"] == 1]
    weeks = (pd.to_datetime(frame["last"]) - pd.to_datetime(frame["joined"])).dt.days / 7
    return pd.DataFrame({"branch": np.array(NAMES)[frame["branch"]], "weeks": weeks.to_numpy()})


def drawn(seed: int, n: int = 20_000, like: str | None = None) -> tuple[Histories, pd.Series]:
    """Histories of the demo's donors and their branch; all of them with the habits of the branch `like` where given."""
    people = donors(seed, n)
    parts = [
        planted(like or name).simulate(group["weeks"].to_numpy(), seed=seed * 10 + i).set_index(group.index)
        for i, (name, group) in enumerate(people.groupby("branch"))
    ]
    frame = pd.concat(parts).sort_index().assign(mean_value=10.0)
    frame.index = pd.Index([f"c{i}" for i in frame.index], name="customer_id")
    return Histories(frame, "week"), people["branch"].set_axis(frame.index)


def pooled(histories: Histories, branch: pd.Series, min_repeat: int = 100, **columns) -> pooling.Pooling | None:
    """The branches of these histories, as the chapter pools them."""
    status = pd.DataFrame({"customer_id": branch.index, "branch": branch.to_numpy(), "committed": False, **columns})
    outlook = SimpleNamespace(
        fit=value_models.fit_bg_nbd(histories),
        histories=histories,
        min_repeat_customers=min_repeat,
    )
    return pooling.pool(outlook, status)


def test_branches_that_differ_are_told_apart():
    found = pooled(*drawn(1))
    assert [each.branch for each in found.branches] == sorted(NAMES) and all(each.own for each in found.branches)
    assert found.test.degrees_of_freedom == 4 * 5 and found.test.p < 1e-6 and found.test.aic_gain > 0
    of = {each.branch: each for each in found.branches}
    for name, each in of.items():
        true = float(planted(name).new_customer_purchases(364.0))
        assert abs(true - each.new_customer.value) < 3.5 * each.new_customer.standard_error
    assert of["seoul"].new_customer.low > of["busan"].new_customer.high
    values = [each.new_customer.value for each in found.branches]
    assert min(values) < found.new_customer.value < max(values)


def test_branches_that_are_alike_are_not():
    found = pooled(*drawn(2, like="incheon"))
    assert found.test.p > 0.01 and not found.unreliable


def test_the_test_is_twice_the_gain_in_log_likelihood():
    histories, branch = drawn(3, 4000)
    found = pooled(histories, branch, min_repeat=10)
    apart = sum(each.fit.log_likelihood for each in found.branches)
    assert found.test.statistic == pytest.approx(2 * (apart - found.pooled.log_likelihood))


def test_a_branch_too_small_or_too_new_takes_the_fit_of_all():
    histories, branch = drawn(4, 6000)
    frame, branch = histories.frame.copy(), branch.copy()
    small = branch.index[branch == "gwangju"][:60]
    keep = (branch != "gwangju") | branch.index.isin(small)
    young = branch == "daejeon"
    frame.loc[young, "T"] = 20.0
    frame.loc[young, "t_x"] = np.where(frame.loc[young, "x"] > 0, 10.0, 0.0)
    found = pooled(Histories(frame[keep], "week"), branch[keep])
    of = {each.branch: each for each in found.branches}
    assert (of["gwangju"].own, of["gwangju"].why) == (False, "few") and of["gwangju"].n == 60
    assert (of["daejeon"].own, of["daejeon"].why) == (False, "new")
    for name in ("gwangju", "daejeon"):
        assert of[name].fit.values == found.pooled.values and of[name].new_customer == found.new_customer
    assert {each.branch for each in found.on_pooled} == {"gwangju", "daejeon"}
    assert found.test.degrees_of_freedom == 4 * 3, "only branches with a fit of their own are compared"


def test_who_ever_held_a_commitment_is_left_out():
    histories, branch = drawn(5, 3000)
    ended = pd.Series(pd.NaT, branch.index).where(np.arange(len(branch)) >= 100, pd.Timestamp(2025, 1, 1))
    found = pooled(histories, branch, min_repeat=10, ended_on=ended.to_numpy())
    assert sum(each.n for each in found.branches) == len(branch) - 100 == found.pooled.n_customers


def test_one_branch_alone_is_compared_with_nothing():
    histories, branch = drawn(6, 2000)
    assert pooled(histories, pd.Series("x", branch.index)) is None


@pytest.mark.slow
def test_planted_parameters_lie_in_the_intervals_of_two_hundred_replications():
    """Of the 95 % intervals reported for r, alpha, a and b of six branches, at least 93 % hold the planted value."""
    inside, apart = [], []
    for seed in range(200):
        histories, branch = drawn(1000 + seed)
        fits = []
        for name in sorted(NAMES):
            part = Histories(histories.frame[branch == name], "week")
            fits.append(value_models.fit_bg_nbd(part))
            table, true = fits[-1].parameter_table(), np.array(planted(name).values)
            inside.append(((table["low"] <= true) & (true <= table["high"])).to_list())
        together = value_models.fit_bg_nbd(histories)
        apart.append(value_models.difference(together, fits).p < 0.001)
    covered = np.array(inside).reshape(200, len(NAMES), 4)
    assert covered.mean() >= 0.93
    assert covered.mean(axis=(0, 1)).min() >= 0.93, "each of the four parameters"
    assert covered.mean(axis=0).min() >= 0.90, "no branch falls behind by more than chance would have it"
    assert all(apart)
