"""Tiers: everybody in exactly one, by rules that can be read; published shares and profits come out."""

from __future__ import annotations

import itertools
import math
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from crm_analysis import customers, privacy
from crm_analysis.customer_value import tiers
from crm_analysis.customer_value.concentration import concentration
from crm_analysis.customer_value.displays import tiers as shown
from crm_analysis.customer_value.profits import customer_profits
from crm_analysis.customer_value.tiers import PRESETS, Thresholds, assign, joined, tier_table, tiered
from crm_analysis.estimators.proportions import wilson
from crm_analysis.profile import reach
from crm_analysis.profile.settings import TierRule, Tiers

END = date(2026, 9, 30)
NO_THRESHOLDS = Thresholds({}, "")


class State(SimpleNamespace):
    """Told apart by identity, as `CustomerValue` is: what is told of one is kept."""

    __eq__, __hash__ = object.__eq__, object.__hash__


def visits(counts: list[tuple[int, float]], *, until: date = END, names: str = "c") -> pd.DataFrame:
    """A log in which each customer made some visits of the same amount, one a week back from a day."""
    rows = [
        (f"{names}{i:04d}", pd.Timestamp(until) - pd.Timedelta(days=7 * week + 1), amount / n)
        for i, (n, amount) in enumerate(counts)
        for week in range(n)
    ]
    return pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])


def long_history(log: pd.DataFrame) -> pd.DataFrame:
    """The same log with one customer who bought long ago, so that the years are covered."""
    old = pd.DataFrame({"customer_id": ["old"], "occurred_at": [pd.Timestamp(2020, 1, 5)], "amount": [1.0]})
    return pd.concat([log, old], ignore_index=True)


def of(scope, **options) -> tiers.Tiered:
    status = customers.status(scope)
    return tiered(scope, status, customer_profits(scope, status), **options)


def rules(*given: dict) -> tuple[TierRule, ...]:
    return tuple(Tiers.model_validate({"rules": list(given)}).rules)


def test_the_department_stores_shares(scope_of):
    """At least 34 visits and 6.7 million won a year 5.4 % of customers; 14 visits and 2.5 million 15.6 %; 6 visits and
    1.2 million 19.0 %; the rest 60.0 % (a department store's published programme). Everybody stands at an edge."""
    top = [(34, 6.7e6)] * 30 + [(50, 9e6)] * 24
    second = [(14, 2.5e6)] * 80 + [(33, 20e6)] * 40 + [(40, 6.69e6)] * 36
    third = [(6, 1.2e6)] * 100 + [(13, 9e6)] * 45 + [(20, 2.49e6)] * 45
    rest = [(5, 9e6)] * 200 + [(6, 1.19e6)] * 200 + [(1, 5e4)] * 200
    log = visits(top + second + third + rest)
    scope = scope_of({"transactions": log}, currency="KRW", tiers={"preset": "department_store"})
    found = of(scope)
    table = found.table.set_index("tier")
    assert dict(table["n"]) == {"first": 54, "second": 156, "third": 190, "rest": 600}
    assert [round(share, 3) for share in table["share"]] == [0.054, 0.156, 0.190, 0.600]
    exact = wilson(54, 1000)
    assert (table.loc["first", "low"], table.loc["first", "high"]) == pytest.approx((exact.low, exact.high))
    assert table["revenue"].sum() == pytest.approx(log["amount"].sum())


def test_profit_by_customer_group_as_quoted():
    """Customers 5, 11, 28, 28 and 28 % bring 80, 25, 16, 2 and -22 % of profit: rounded shares, which add up to 101."""
    sizes, brought = (5, 11, 28, 28, 28), (80, 25, 16, 2, -22)
    frame = pd.DataFrame(
        {
            "tier": np.repeat(["a", "b", "c", "d", "e"], [100 * n for n in sizes]),
            "profit": np.repeat([p / (100 * n) for n, p in zip(sizes, brought, strict=True)], [100 * n for n in sizes]),
        }
    ).assign(revenue=1.0)
    table = tier_table(frame, list("abcde"))
    assert list(table["share"] * 100) == pytest.approx(sizes)
    assert list(table["profit"]) == pytest.approx(brought)
    assert list(table["profit_so_far"] * 101) == pytest.approx(list(itertools.accumulate(brought)))
    assert table["profit_so_far"].max() > 1 and table["profit_so_far"].iloc[-1] == pytest.approx(1.0)
    assert table["profit_each"].iloc[0] * 500 == pytest.approx(80)
    curve = concentration(tiers.Profits(frame.assign(margin=frame["profit"]), True))
    assert curve.peak == pytest.approx(123 / 101) and curve.peak_at == pytest.approx(0.72)
    assert curve.taken == pytest.approx(22 / 101)


def measured(**columns) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    base = {"status": ["active"] * n, "regular_transfer": [False] * n}
    base |= {name: [0.0] * n for name in ("visits", "amount", "profit", "n_orders")}
    base |= {"tenure_months": [10.0] * n, "unpaid_months": [0.0] * n, "days_since_last": [5.0] * n}
    return pd.DataFrame(base | columns)


def test_rules_against_a_plain_reading():
    """Every combination of status, transfer, profit and amount: the association's words, written out again."""
    grid = list(itertools.product(tiers.LIVE + ["dormant"], [True, False], [-1.0, 0.0, 1.0], [0.0, 100.0, 101.0]))
    status, transfer, profit, amount = (list(column) for column in zip(*grid, strict=True))
    frame = measured(status=status, regular_transfer=transfer, profit=profit, amount=amount)
    found = assign(frame, PRESETS["association"], Thresholds({("amount", 0.05): 100.0}, "x"))
    for (state, runs, left, paid), tier in zip(grid, found, strict=True):
        if state == "dormant":
            expected = "dormant"
        elif paid > 100:
            expected = "most_valuable"
        elif state == "new":
            expected = "new"
        elif runs:
            expected = "regular"
        else:
            expected = "growing" if left > 0 else "below_cost"
        assert tier == expected, (state, runs, left, paid)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_are_sound(preset):
    """No name twice, nobody left over, no tier that cannot be reached."""
    assert reach.fault(PRESETS[preset]) == ""


def test_an_annual_giver_is_not_dormant_in_month_seven(scope_of):
    """Two people who paid in February: by month seven the annual giver owes nothing, the monthly one six dues."""
    paid = pd.DataFrame(
        {
            "customer_id": ["annual", "monthly", "old"],
            "occurred_at": pd.to_datetime(["2026-02-10", "2026-02-10", "2024-01-01"]),
            "amount": [120.0, 10.0, 1.0],
            "kind": ["dues", "dues", "gift"],
            "commitment_id": ["a", "m", None],
        }
    )
    commitments = pd.DataFrame(
        {
            "commitment_id": ["a", "m"],
            "customer_id": ["annual", "monthly"],
            "branch": "x",
            "started_on": pd.to_datetime(["2025-02-10", "2025-02-10"]),
            "amount": [120.0, 10.0],
            "cycle_months": [12, 1],
            "ended_on": pd.to_datetime([None, None]),
        }
    )
    scope = scope_of({"transactions": paid, "commitments": commitments}, tiers={"preset": "association"})
    tier = of(scope, thresholds=Thresholds({("amount", 0.05): 1e9}, "")).customers.set_index("customer_id")["tier"]
    assert tier["annual"] == "regular" and tier["monthly"] == "dormant"


def test_every_customer_who_is_not_lost_is_in_exactly_one_tier(scope_of):
    rng = np.random.default_rng(3)
    log = visits([(int(n), float(10 * n)) for n in rng.integers(1, 40, 200)])
    old = visits([(2, 20.0)] * 20, until=date(2023, 1, 1), names="gone")
    scope = scope_of({"transactions": pd.concat([log, old])})
    status = customers.status(scope)
    found = of(scope)
    assert set(found.customers["customer_id"]) == set(status.loc[status["status"] != "lost", "customer_id"])
    assert found.customers["customer_id"].is_unique and set(found.customers["tier"]) <= set(found.order)
    shuffled = scope_of({"transactions": pd.concat([old, log]).sample(frac=1, random_state=1)})
    assert of(shuffled).table.equals(found.table)
    earned = customer_profits(scope, status)
    total = found.customers["profit"].sum() + found.outside["profit"].sum()
    assert total == pytest.approx(earned.total)


def test_deciles_are_tenths_where_nobody_ties(scope_of):
    log = visits([(1, float(n)) for n in range(1, 201)])
    table = of(scope_of({"transactions": log})).table
    assert list(table["n"]) == [20] * 10
    assert list(table["profit"]) == sorted(table["profit"], reverse=True)
    scaled = of(scope_of({"transactions": log.assign(amount=log["amount"] * 1370.5)})).table
    assert list(scaled["n"]) == [20] * 10


def test_a_tie_stays_below_the_top_share():
    frame = measured(amount=[1.0] * 8 + [5.0] * 2)
    rule = rules({"name": "top", "amount": {"top_share": 0.5}}, {"name": "rest"})
    found = assign(frame, rule, tiers.top_shares(rule, frame, source="x"))
    assert list(found) == ["rest"] * 8 + ["top"] * 2
    same = measured(amount=[1.0] * 10)
    assert set(assign(same, rule, tiers.top_shares(rule, same, source="x"))) == {"rest"}


def test_bounds_say_which_side_is_closed():
    frame = measured(visits=[2.0, 3.0, 4.0, math.nan])
    for bounds, held in (
        ({"at_least": 3}, [False, True, True, False]),
        ({"more_than": 3}, [False, False, True, False]),
        ({"at_most": 3}, [True, True, False, False]),
        ({"less_than": 3}, [True, False, False, False]),
        (3, [False, True, True, False]),
    ):
        (rule,) = rules({"name": "a", "visits": bounds}, {"name": "b"})[:1]
        assert list(tiers.holds(rule, frame, NO_THRESHOLDS)) == held


def test_sums_of_cents_meet_a_round_threshold(scope_of):
    """Ten payments of 0.1 add up to 0.9999999999999999 in floating point."""
    log = visits([(10, 1.0)])
    settings = {"rules": [{"name": "one", "amount": 1}, {"name": "less"}]}
    assert list(of(scope_of({"transactions": log}, tiers=settings)).customers["tier"]) == ["one"]


def test_refunds_come_off_the_amount_and_are_no_visit(scope_of):
    log = visits([(3, 300.0)]).assign(kind="sale")
    back = log.iloc[:1].assign(kind="refund", occurred_at=pd.Timestamp(2026, 9, 15))
    settings = {"rules": [{"name": "big", "amount": 201}, {"name": "three", "visits": 3}, {"name": "less"}]}
    found = of(scope_of({"transactions": pd.concat([log, back])}, tiers=settings))
    assert list(found.customers["tier"]) == ["three"]
    assert found.customers["revenue"].iloc[0] == pytest.approx(200.0)


def test_calendar_and_rolling_years_differ(scope_of):
    """Bought in 2025 only, in both, and in 2026 only, seen on 30 September 2026."""
    days = {"then": ["2025-03-01"], "both": ["2025-03-01", "2026-03-01"], "now": ["2026-03-01"], "old": ["2024-12-30"]}
    rows = [(name, pd.Timestamp(day), 100.0) for name, each in days.items() for day in each]
    log = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount"])
    own = [{"name": "payer", "amount": 1}, {"name": "none"}]
    tier = {}
    for year in ("rolling", "calendar"):
        found = of(scope_of({"transactions": log}, tiers={"rules": own, "year": year}))
        tier[year] = dict(zip(found.customers["customer_id"], found.customers["tier"] == "payer", strict=True))
    assert tier["rolling"] == {"both": True, "now": True, "old": False, "then": False}
    assert tier["calendar"] == {"both": True, "now": False, "old": False, "then": True}
    assert found.year_ends == date(2025, 12, 31)


def test_the_fiscal_year_is_the_profiles(scope_of):
    scope = scope_of(
        {"transactions": visits([(1, 1.0)])}, calendar={"fiscal_year_starts": 7}, tiers={"year": "calendar"}
    )
    assert tiers.last_fiscal_year(scope).end == date(2026, 6, 30)


def test_and_or(scope_of):
    """Thresholds of a rule joined by `or` take in more; status goes on being required."""
    given = Tiers.model_validate(
        {"rules": [{"name": "a", "status": ["active"], "all": [{"visits": 10}, {"amount": 100}]}, {"name": "b"}]}
    )
    frame = measured(
        status=["active", "active", "active", "new"], visits=[10.0, 10.0, 1.0, 10.0], amount=[100.0, 1.0, 100.0, 100.0]
    )
    held = {how: list(assign(frame, joined(given, how).rules, NO_THRESHOLDS) == "a") for how in ("all", "any")}
    assert held == {"all": [True, False, False, False], "any": [True, True, True, False]}
    flat = Tiers(rules=rules({"name": "a", "visits": 10, "amount": 100}, {"name": "b"}))
    assert [list(assign(frame, joined(flat, how).rules, NO_THRESHOLDS) == "a") for how in ("all", "any")] == [
        [True, False, False, True],
        [True, True, True, True],
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"name": "A", "visits": {}}, {"name": "B"}], "a threshold is missing: write `at_least`"),
        ([{"name": "A", "visits": None}, {"name": "B"}], "a threshold is missing after `visits`"),
        ([{"name": "A", "visits": "many"}, {"name": "B"}], "write a number, the least that will do"),
        ([{"name": "A", "visits": {"at_least": 3, "less_than": 3}}, {"name": "B"}], "no value lies between"),
        ([{"name": "A", "visits": 3}, {"name": "a"}], 'two rules are named "a"'),
        ([{"name": "A"}, {"name": "B", "visits": 3}], 'nobody is left for "B": whoever fulfils it is in "A" before'),
        ([{"name": "A", "visits": 3}, {"name": "B", "visits": 14}, {"name": "C"}], 'nobody is left for "B"'),
        (
            [{"name": "A", "visits": 3}, {"name": "B", "all": [{"visits": 14}, {"amount": 5}]}, {"name": "C"}],
            'nobody is left for "B"',
        ),
        (
            [
                {"name": "A", "any": [{"visits": 3}, {"amount": 5}]},
                {"name": "B", "any": [{"visits": 4}, {"amount": 9, "profit": 1}]},
                {"name": "C"},
            ],
            'nobody is left for "B"',
        ),
        (
            [{"name": "A", "profit": {"top_share": 0.2}}, {"name": "B", "profit": {"top_share": 0.1}}, {"name": "C"}],
            'nobody is left for "B"',
        ),
        ([{"name": "A", "all": [{"visits": 3}, {"visits": {"at_most": 2}}]}, {"name": "B"}], 'nobody can fulfil "A"'),
        ([{"name": "A", "visits": 3}], 'the last rule, "A", leaves somebody without a tier'),
        ([], "`rules` is empty"),
        ([{"name": "A", "visits": math.nan}, {"name": "B"}], "finite number"),
    ],
)
def test_a_bad_rule_is_one_clear_error(given, said):
    with pytest.raises(ValidationError) as caught:
        Tiers.model_validate({"rules": given})
    assert caught.value.error_count() == 1
    assert said in caught.value.errors()[0]["msg"]


def test_a_rule_is_refused_only_where_nobody_can_be_left_for_it():
    """Against every customer of a grid: a rule is unreachable exactly where an earlier one takes them all in."""
    rng = np.random.default_rng(11)
    grid = pd.DataFrame(list(itertools.product(np.arange(0, 6, 0.5), repeat=2)), columns=["visits", "amount"])
    frame = measured(visits=list(grid["visits"].astype(float)), amount=list(grid["amount"].astype(float)))
    sides, refused = ("at_least", "more_than", "at_most", "less_than"), 0

    def bounds() -> dict:
        return {
            name: {str(rng.choice(sides)): int(rng.integers(1, 5))}
            for name in ("visits", "amount")
            if rng.random() < 0.7
        }

    for _ in range(300):
        first, second = ({"name": name, **bounds()} for name in "ab")
        one, two = (TierRule.model_validate(rule) for rule in (first, second))
        inside = tiers.holds(two, frame, NO_THRESHOLDS) <= tiers.holds(one, frame, NO_THRESHOLDS)
        said = reach.fault([one, two, TierRule(name="c")])
        assert ("nobody is left" in said and '"b"' in said) == bool(inside.all()) or '"c"' in said, (
            first,
            second,
            said,
        )
        refused += "nobody is left" in said
    assert 20 < refused < 280


def test_the_department_store_in_another_currency_is_refused(scope_of):
    with pytest.raises(ValidationError, match="thresholds in won, and the currency is EUR"):
        scope_of({"transactions": visits([(1, 1.0)])}, tiers={"preset": "department_store"})


@pytest.mark.parametrize("counts", [[], [(1, 10.0)], [(1, 0.0)] * 3])
def test_few_or_no_customers(scope_of, counts):
    scope = scope_of({"transactions": visits([*counts, (1, 1.0)])})
    status = customers.status(scope).iloc[: len(counts)]
    earned = customer_profits(scope, customers.status(scope))
    found = tiered(scope, status, earned)
    assert found.table["n"].sum() == len(counts)
    assert found.table["share"].isna().all() if not counts else math.isclose(found.table["share"].sum(), 1.0)


def test_the_alternative_text_names_only_the_bars_that_are_drawn(scope_of):
    """With one tier's profit held by one customer, no tier's share of profit is drawn, and none is read out."""
    given = {"tiers": {"rules": [{"name": "Big", "amount": 90}, {"name": "The others"}]}}
    for amounts, drawn in (([100.0] * 30 + [50.0] * 30, True), ([100_000.0] + [100.0] * 29 + [50.0] * 30, False)):
        scope = scope_of({"transactions": visits([(2, amount) for amount in amounts])}, **given)
        status = customers.status(scope)
        earned = customer_profits(scope, status)
        state = State(scope=scope, status=status, profits=earned, tiers=tiered(scope, status, earned))
        state.outlook, state.matrix = SimpleNamespace(why="", customers=status), SimpleNamespace(customers=status)
        state.scores = status
        assert len(shown.bars(state)) == (4 if drawn else 2)
        alt = shown.figure(state)["alt"]
        assert alt == (
            "Share of customers and of profit in each tier." if drawn else "Share of customers in each tier."
        )


def test_a_small_count_does_not_hide_those_who_stayed():
    """The smallest of a row may open another column, that one another row, and so on to the largest."""
    counts = np.array([[500, 2, 30, 20], [30, 500, 30, 30], [0, 0, 500, 20]])
    place = np.indices(counts.shape)
    lines = [place[axis] == i for axis in (0, 1) for i in range(counts.shape[axis])]
    hidden = privacy.hide_lines(counts, lines, 5)
    assert not hidden[0, 0] and not hidden[2, 2] and hidden.sum() == 4


def test_no_line_of_a_table_tells_a_hidden_cell():
    """Brute force: with the sums of rows and columns known, each small cell may have at least two values."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        counts = rng.choice([0, 0, 1, 2, 4, 6, 9], (4, 4))
        place = np.indices(counts.shape)
        lines = [place[axis] == i for axis in (0, 1) for i in range(4)]
        hidden = privacy.hide_lines(counts, lines, 5)
        assert hidden[(counts > 0) & (counts < 5)].all()
        for line in lines:
            assert hidden[line].sum() != 1
            small = line & hidden & (counts > 0) & (counts < 5)
            if small.any() and not hidden[line].all():
                left = int(counts[line & hidden].sum())
                others = int((line & hidden).sum() - small.sum())
                fits = {
                    value
                    for value in range(1, 5)
                    for rest in itertools.product(range(1, 5), repeat=int(small.sum()) - 1)
                    if (gap := left - value - sum(rest)) == 0 or (others and gap >= 5)
                }
                assert len(fits) > 1
