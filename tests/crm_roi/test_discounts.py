"""Discounts: shares by group against brute force, and what follows a window when it is planted."""

import numpy as np
import pandas as pd
import pytest

from crm_analysis.crm_roi.discounts import aftermaths, discount_use
from crm_analysis.crm_roi.evaluation import evaluate
from crm_analysis.crm_roi.flows import member_flows
from tests.crm_roi.conftest import FrameScope, association, make_profile


def extra(tables, who, *, day, amount, discount=0.0, tag="X"):
    """One more purchase of each of `who`, so many days after the assignment."""
    rows = pd.DataFrame(
        {
            "customer_id": list(who),
            "branch": "seoul",
            "occurred_at": pd.Timestamp("2026-05-01") + pd.Timedelta(days=day),
            "amount": amount,
            "discount": discount,
            "kind": "sale",
        }
    )
    rows["transaction_id"] = [f"{tag}{i}" for i in range(len(rows))]
    paid = tables["transactions"]
    paid = paid if "discount" in paid else paid.assign(discount=0.0)
    return tables | {"transactions": pd.concat([paid, rows], ignore_index=True)}


def arms(tables):
    members = tables["campaign_members"].query("campaign_id == 'CALL26'")
    return tuple(members.loc[members["arm"] == arm, "customer_id"].to_list() for arm in ("treated", "control"))


def after(tables):
    scope = FrameScope(tables, make_profile())
    return aftermaths(member_flows(scope, evaluate(scope)), scope)


@pytest.mark.slow
def test_purchases_pulled_forward_leave_a_dip_and_the_dip_turns_with_the_truth():
    tables = association()
    treated, control = arms(tables)
    base = extra(tables, treated[:150] + control[:150], day=90, amount=20_000.0)
    (none,) = after(base)
    (pulled,) = after(extra(base, control[150:290], day=95, amount=30_000.0, tag="D"))
    (lasting,) = after(extra(base, treated[150:290], day=95, amount=30_000.0, tag="L"))
    assert none.margin.difference == pytest.approx(0)
    assert pulled.margin.difference == pytest.approx(-14_000) and pulled.margin.high < 0
    assert lasting.margin.difference == pytest.approx(14_000) and lasting.margin.low > 0
    assert pulled.of_gain == pytest.approx(pulled.margin.difference / pulled_gain(base))
    assert (none.took_discount, none.on_discount) == (False, None)


def pulled_gain(tables):
    scope = FrameScope(tables, make_profile())
    return evaluate(scope).measured[0].effect("margin").plain.difference


@pytest.mark.slow
def test_buyers_who_learned_to_wait_buy_more_at_a_discount_afterwards():
    tables = association()
    treated, control = arms(tables)
    offered = extra(tables, treated[:120], day=20, amount=10_000.0, discount=10_000.0, tag="O")
    later = extra(offered, treated[:150] + control[:150], day=90, amount=20_000.0, tag="P")
    (waited,) = after(
        extra(later, treated[150:250] + control[150:170], day=91, amount=10_000.0, discount=5_000.0, tag="W")
    )
    (alike,) = after(
        extra(later, treated[150:210] + control[150:210], day=91, amount=10_000.0, discount=5_000.0, tag="W")
    )
    assert waited.took_discount and waited.on_discount.low > 0
    shares = 1_000_000 / 4_000_000, 200_000 / 3_200_000
    assert (waited.on_discount.treated.ratio, waited.on_discount.control.ratio) == pytest.approx(shares)
    assert alike.on_discount.low < 0 < alike.on_discount.high


def test_nothing_after_the_window_is_no_aftermath():
    tables = association()
    paid = tables["transactions"]
    assert (paid["occurred_at"] <= "2026-07-10").all()
    assert after(tables) == ()


def sold(n=900, seed=7):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "customer_id": [f"D{i:04d}" for i in rng.integers(0, 300, n)],
            "branch": "seoul",
            "occurred_at": pd.Timestamp("2025-05-01") + pd.to_timedelta(rng.integers(0, 510, n), unit="D"),
            "amount": 1_000.0 * (1 + rng.integers(0, 20, n)),
            "discount": np.where(rng.random(n) < 0.3, 500.0, 0.0),
            "kind": "sale",
        }
    )
    return rows.assign(transaction_id=[f"T{i}" for i in range(n)])


def test_shares_on_discount_by_group_equal_brute_force():
    paid = sold()
    found = discount_use(FrameScope({"transactions": paid}, make_profile())).groups.set_index("group")
    year = paid[(paid["occurred_at"] > "2025-09-30") & (paid["occurred_at"] <= "2026-09-30")]
    first = paid.groupby("customer_id")["occurred_at"].min()
    spent = year.groupby("customer_id")["amount"].sum()
    reduced = year[year["discount"] > 0].groupby("customer_id")["amount"].sum().reindex(spent.index, fill_value=0)
    assert found.loc["all", "share"] == pytest.approx(reduced.sum() / spent.sum())
    new = spent.index.isin(first[first > "2025-09-30"].index)
    assert found.loc["new", "n"] == new.sum()
    assert found.loc["new", "share"] == pytest.approx(reduced[new].sum() / spent[new].sum())
    known = spent[~new].sort_values(ascending=False)
    assert found.loc[["best", "middle", "rest"], "n"].sum() == len(known)
    assert found.loc["best", "n"] == int(0.2 * len(known))
    weights = found.loc[["new", "best", "middle", "rest"], "n"].sum()
    assert weights == found.loc["all", "n"] and found["shown"].all()
    assert (found["low"] < found["share"]).all() and (found["share"] < found["high"]).all()


def test_without_the_column_or_without_a_discount_there_is_nothing():
    without = discount_use(FrameScope({"transactions": sold().drop(columns="discount")}, make_profile()))
    assert not without.supplied and without.groups.empty
    none = discount_use(FrameScope({"transactions": sold().assign(discount=0.0)}, make_profile()))
    assert none.supplied and none.groups.empty


def test_a_group_of_few_users_is_withheld_and_another_with_it():
    paid = sold()
    first = paid.groupby("customer_id")["occurred_at"].transform("min") > "2025-09-30"
    newcomers = paid.loc[first, "customer_id"].unique()
    hush = first & ~paid["customer_id"].isin(newcomers[:3])
    found = discount_use(
        FrameScope({"transactions": paid.assign(discount=paid["discount"].where(~hush, 0.0))}, make_profile())
    ).groups.set_index("group")
    assert not found.loc["new", "shown"] and (~found.loc[["best", "middle", "rest"], "shown"]).sum() == 1
