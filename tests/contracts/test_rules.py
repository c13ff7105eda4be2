"""Each rule breaks on the row it is meant for and on no other; each type of rule has a passing and a failing case."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest

from crm_analysis import contracts
from crm_analysis.contracts.model import OWN_TYPES, Rule

# Rules on whole tables and on several tables have cases of their own below.
_ELSEWHERE = {
    kind for kind in OWN_TYPES if kind not in ("foreign_key", "later_than", "off_scale")
}  # fmt: skip


def breaking(rule: Rule) -> dict[str, Any]:
    """Changes that make a clean row break one row rule."""
    by_hand: dict[str, dict[str, Any]] = {
        "campaign_members_control_contacted": {"arm": "control"},
        "cases_recovery_without_resolution": {"resolved_at": None},
        "cases_recovery_before_resolution": {"recovery_confirmed_on": "2026-02-02"},
        "customers_phone_malformed": {"phone": "call me"},
        "dues_collected_without_date": {"collected_on": None},
        "targets_period_malformed": {"period": "Q3 2026"},
        "transactions_amount_zero": {"amount": 0.0},
        "transactions_recorded_late": {"recorded_at": "2026-09-01", "occurred_at": "2026-03-01"},
        "survey_responses_satisfaction_off_scale": {"satisfaction": 6.0},
        "transactions_margin_above_amount": {"margin": 1001.0},
        "transactions_amount_above_list": {"list_amount": 999.0},
        "dues_collected_above_due": {"amount_collected": 10.5},
    }
    if rule.id in by_hand:
        return by_hand[rule.id]
    given = rule.arguments
    column = given.get("column", rule.column)
    if rule.type == "expect_column_values_to_not_be_null":
        return {column: None}
    if rule.type in ("expect_column_values_to_be_in_set", "expect_column_values_to_match_regex", "foreign_key"):
        return {column: "nonsense"}
    if rule.type == "expect_column_pair_values_a_to_be_greater_than_b":
        return {given["column_A"]: "2025-01-01", given["column_B"]: "2025-01-02"}
    assert rule.type == "expect_column_values_to_be_between", rule.id
    if rule.id.endswith("_future"):
        return {column: "2026-10-01"}
    if rule.id.endswith(("_too_old", "_implausible")) and "min_value" in given and isinstance(given["min_value"], str):
        return {column: "1899-12-30"}
    if rule.id == "customers_contact_stale":
        return {column: "2025-09-29"}
    integer = contracts.load()[rule.table].columns[column].logical_type == "integer"
    below = given["min_value"] - (0 if given.get("strict_min") else 1)
    return {column: int(below) if integer else float(below)}


def row_rules() -> list[Rule]:
    return [
        rule
        for contract in contracts.load().values()
        for rule in contract.rules
        if rule.level == "row" and rule.type not in _ELSEWHERE
    ]


def test_a_clean_data_set_breaks_nothing(data_set: Any) -> None:
    given = data_set(**data_set.clean_tables())
    report = given.check()
    assert given.failed(report) == {}
    assert report.exit_code(strict=True) == 0
    assert {why for _, why in report.not_applicable} == {
        "there is nothing to compare", "the start of the history is not known",
    }  # fmt: skip


@pytest.mark.slow
def test_each_row_rule_breaks_on_its_own_row(data_set: Any) -> None:
    tables, expected = data_set.clean_tables(), {}
    table_of = {rule.id: rule.table for rule in row_rules()}
    n_clean = {name: len(rows) for name, rows in tables.items()}
    for rule in row_rules():
        rows = tables[rule.table]
        key = contracts.load()[rule.table].primary_key
        changes = breaking(rule)
        row = copy.deepcopy(rows[0]) | {key[0]: f"{rows[0][key[0]]}-{rule.id}"}
        if rule.table == "control_totals":
            row = copy.deepcopy(rows[0]) | {"month": f"20{len(rows):02d}-01-01"}
        if rule.table == "campaign_members":
            row = copy.deepcopy(rows[0]) | {"customer_id": f"C-{rule.id}"}
        expected[rule.id] = len(rows)
        rows.append(row | changes)
    given = data_set(settings={"quality": {"max_set_aside": 1.0}}, **tables)
    report = given.check()
    applied = {item.rule.id for item in report.results}
    rows_of = given.failures().groupby("rule")["_row"].agg(set)
    for rule_id, place in expected.items():
        assert rule_id in applied, rule_id
        assert place in rows_of[rule_id], rule_id
        assert min(rows_of[rule_id]) >= n_clean[table_of[rule_id]], rule_id
    assert given.failed(report).keys() >= expected.keys()


def test_empty_cells_are_judged_by_the_missing_rules_alone(data_set: Any) -> None:
    given = data_set(transactions=[data_set.payment(1, amount=None, kind=None), *data_set.several(8)])
    found = given.failed(given.check())
    assert found == {"transactions_amount_missing": 1, "transactions_kind_missing": 1}


def test_both_bounds_of_a_range(data_set: Any) -> None:
    rows = [{"commitment_id": f"K{n}", "customer_id": "A", "branch": "b", "started_on": "2026-01-01", "amount": 1.0,
             "cycle_months": n} for n in (0, 1, 60, 61)]  # fmt: skip
    given = data_set(transactions=[data_set.payment(1)], commitments=rows)
    given.check()
    assert given.rows_of("commitments_cycle_implausible") == [0, 3]


def test_the_last_covered_day_itself_is_no_future(data_set: Any) -> None:
    given = data_set(
        transactions=[
            data_set.payment(1, occurred_at="2026-09-30T23:59:59"),
            data_set.payment(2, occurred_at="2026-10-01"),
        ]
    )
    given.check()
    assert given.rows_of("transactions_occurred_at_future") == [1]


def test_a_share_that_is_still_accepted_is_no_breach(data_set: Any) -> None:
    rows = [data_set.payment(n, customer_id=None if n < 3 else "A", occurred_at="2026-09-01") for n in range(10)]
    given = data_set(transactions=rows)
    report = given.check()
    (anonymous,) = [item for item in report.results if item.rule.id == "transactions_customer_id_missing"]
    assert (anonymous.rows_failed, anonymous.share, anonymous.passed) == (3, 0.3, True)
    assert report.breaches == ()
    assert given.rows_of("transactions_customer_id_missing") == [0, 1, 2]


# -- duplicates -------------------------------------------------------------------------------------------------------


def test_of_a_group_of_duplicates_the_first_is_kept(data_set: Any) -> None:
    rows = [
        data_set.payment(1),
        data_set.payment(2),
        data_set.payment(1, amount=2.0),
        data_set.payment(1),
        data_set.payment(2),
    ]
    given = data_set(settings={"quality": {"max_set_aside": 1.0}}, transactions=rows)
    report = given.check()
    assert given.rows_of("transactions_duplicate_key") == [2, 3, 4]
    assert given.rows_of("transactions_exact_duplicate") == [3, 4]
    assert report.set_aside == {"transactions": 3}


def test_where_the_loader_made_the_key_whole_rows_are_compared_without_it(data_set: Any) -> None:
    rows = [
        data_set.payment(1),
        data_set.payment(2),
        data_set.payment(3, amount=2.0),
        data_set.payment(4, customer_id=None),
        data_set.payment(5, customer_id=None),
    ]
    given = data_set(transactions=rows)
    given.supplied["transactions"] -= {"transaction_id"}
    report = given.check()
    assert given.rows_of("transactions_exact_duplicate") == [1, 4]
    assert {rule.id: why for rule, why in report.not_applicable}[
        "transactions_duplicate_key"
    ] == "the loader makes the key"


def test_a_key_of_several_columns_counts_empty_parts_as_equal(data_set: Any) -> None:
    rows = [
        {"customer_id": "A", "branch": "b", "joined_on": "2024-01-01", "name": name, "valid_from": day}
        for name, day in [("x", None), ("y", None), ("z", "2025-01-01")]
    ]
    given = data_set(transactions=[data_set.payment(1)], customers=rows)
    given.check()
    assert given.rows_of("customers_duplicate_key") == [1]


# -- across tables ----------------------------------------------------------------------------------------------------


def test_orphans(data_set: Any) -> None:
    people = [{"customer_id": "A", "branch": "seoul", "joined_on": "2024-01-01"}]
    rows = [data_set.payment(1), data_set.payment(2, customer_id="Z"), data_set.payment(3, customer_id=None)]
    given = data_set(transactions=rows, customers=people)
    report = given.check()
    assert given.rows_of("transactions_customer_id_orphan") == [1]
    (item,) = [item for item in report.results if item.rule.id == "transactions_customer_id_orphan"]
    assert (item.rows_checked, item.rows_failed) == (2, 1)
    assert report.set_aside["transactions"] == 0


def test_a_foreign_key_to_a_table_that_is_not_there_does_not_apply(data_set: Any) -> None:
    report = data_set(transactions=[data_set.payment(1)]).check()
    reasons = {rule.id: why for rule, why in report.not_applicable}
    assert reasons["transactions_customer_id_orphan"] == "the table customers is not given"
    assert reasons["transactions_refund_of_orphan"] == "the column refund_of is not supplied"


def test_a_refund_needs_an_earlier_payment_except_near_the_start(data_set: Any) -> None:
    rows = [
        data_set.payment(1, customer_id="paid", occurred_at="2025-01-01T12:00"),
        data_set.payment(2, customer_id="paid", occurred_at="2025-01-01T09:00", kind="refund"),  # the same day counts
        data_set.payment(3, customer_id="never", occurred_at="2025-06-01", kind="refund"),
        data_set.payment(4, customer_id="later", occurred_at="2025-06-01", kind="refund"),
        data_set.payment(5, customer_id="later", occurred_at="2025-06-02"),
        data_set.payment(6, customer_id="old", occurred_at="2024-03-31", kind="refund"),  # 91 days after the start
        data_set.payment(7, customer_id="old", occurred_at="2024-04-02", kind="refund"),  # 93 days after
        data_set.payment(8, customer_id=None, occurred_at="2025-06-01", kind="refund"),
    ]
    settings = {"coverage": {"history_starts_on": date(2024, 1, 1)}, "quality": {"max_set_aside": 1.0}}
    given = data_set(settings=settings, transactions=rows)
    given.check()
    assert given.rows_of("transactions_refund_without_sale") == [2, 3, 6]
    assert given.rows_of("transactions_refund_near_start") == [5]
    found = given.failures().set_index("rule")
    assert found.loc["transactions_refund_near_start", "severity"] == "warning"
    assert not found.loc["transactions_refund_near_start", "set_aside"]


def test_without_a_stated_start_the_first_covered_day_is_the_start(data_set: Any) -> None:
    rows = [
        data_set.payment(1, occurred_at="2025-01-01"),
        data_set.payment(2, customer_id="B", kind="refund", occurred_at="2025-02-01"),
    ]
    given = data_set(transactions=rows)
    given.check(coverage=data_set.coverage(("seoul", "2025-01-01", "2026-09-30", False)))
    assert given.rows_of("transactions_refund_near_start") == [1]
    assert given.rows_of("transactions_refund_without_sale") == []


def test_joined_after_the_first_transaction(data_set: Any) -> None:
    people = [
        {"customer_id": "A", "branch": "seoul", "joined_on": "2026-03-01"},
        {"customer_id": "B", "branch": "seoul", "joined_on": "2026-03-02"},
        {"customer_id": "C", "branch": "seoul", "joined_on": "2026-03-02"},
    ]
    given = data_set(
        transactions=[data_set.payment(1), data_set.payment(2, customer_id="B", occurred_at="2026-03-01T23:00")],
        customers=people,
    )
    given.check()
    assert given.rows_of("customers_joined_after_first_transaction") == [1]


def test_declared_codes_for_no_answer_are_not_off_the_scale(data_set: Any) -> None:
    rows = [
        {"response_id": f"R{n}", "branch": "b", "answered_on": "2026-01-01", "satisfaction": value}
        for n, value in enumerate([1.0, 5.0, 6.0, 0.0, None])
    ]
    given = data_set(settings={"survey": {"satisfaction": {"codes": [6], "scale": [1, 5], "role": "overall"}}},
                     transactions=[data_set.payment(1)], survey_responses=rows)  # fmt: skip
    given.check()
    assert given.rows_of("survey_responses_satisfaction_off_scale") == [3]


# -- whole tables -----------------------------------------------------------------------------------------------------


def detail(report: contracts.Report, rule: str) -> tuple[int, int, tuple[dict[str, Any], ...]]:
    (item,) = [item for item in report.results if item.rule.id == rule]
    return item.rows_checked, item.rows_failed, item.details


def test_an_empty_table_and_a_missing_required_column_stop_the_report(data_set: Any) -> None:
    given = data_set(transactions=[data_set.payment(1)], costs=[])
    given.raw["transactions"] = given.raw["transactions"].drop("amount").rename(amuont="tax")
    report = given.check()
    assert [item.rule.id for item in report.stopping] == ["costs_empty", "transactions_amount_column_missing"]
    assert report.exit_code() == 2
    (missing,) = [item for item in report.results if item.rule.id == "transactions_amount_column_missing"]
    assert missing.rule.what == "The required column amount is missing."
    assert missing.examples == ('Did you mean "amuont"?',)
    reasons = {rule.id: why for rule, why in report.not_applicable}
    assert reasons["costs_amount_negative"] == "the table is empty"
    assert reasons["transactions_amount_negative"] == "the column amount is not supplied"


@pytest.mark.parametrize(("allowed", "stops"), [(0.2, True), (0.25, False)])
def test_too_many_rows_set_aside_stop_the_report(data_set: Any, allowed: float, stops: bool) -> None:
    rows = [data_set.payment(1, amount=-1.0), data_set.payment(2), data_set.payment(3), data_set.payment(4)]
    report = data_set(settings={"quality": {"max_set_aside": allowed}}, transactions=rows).check()
    assert bool(report.stopping) is stops
    assert report.exit_code() == 2


def test_row_count_change_beyond_chance_between_complete_periods(data_set: Any) -> None:
    rows = [
        *data_set.monthly("halved", {"2026-04": 100, "2026-07": 40}),
        *data_set.monthly("steady", {"2026-04": 100, "2026-07": 90}, 1000),
        *data_set.monthly("tiny", {"2026-04": 3, "2026-07": 1}, 2000),
        *data_set.monthly("silent", {"2026-04": 100}, 3000),
        *data_set.monthly("new", {"2026-06": 10, "2026-07": 100}, 4000),
    ]
    given = data_set(transactions=rows)
    branches = [(name, "2026-01-01", "2026-09-30", False) for name in ("halved", "steady", "tiny")]
    reach = data_set.coverage(
        *branches, ("silent", "2026-01-01", "2026-06-30", True), ("new", "2026-06-15", "2026-09-30", False)
    )
    report = given.check(coverage=reach)
    assert detail(report, "transactions_row_count_change") == (
        3, 1, ({"branch": "halved", "period": "2026Q3", "rows": 40, "previous": 100, "change": -0.6},)
    )  # fmt: skip


def test_a_period_not_yet_over_is_not_compared(data_set: Any) -> None:
    given = data_set(transactions=data_set.monthly("b", {"2026-01": 100, "2026-04": 100, "2026-07": 5}))
    report = given.check(
        data_ends_on=date(2026, 7, 15), coverage=data_set.coverage(("b", "2025-01-01", "2026-07-15", False))
    )
    assert detail(report, "transactions_row_count_change")[:2] == (1, 0)


def test_a_month_without_rows_is_noticed_where_chance_cannot_explain_it(data_set: Any) -> None:
    year = [f"2026-{month:02d}" for month in range(1, 10)] + ["2025-12", "2025-11"]
    rows = [
        *data_set.monthly("large", {month: 30 for month in year if month != "2026-03"}),
        *data_set.monthly("small", {month: 2 for month in year if month != "2026-03"}, 1000),
        *data_set.monthly("seldom", {"2026-01": 50, "2026-05": 50, "2026-09": 50}, 2000),
    ]
    report = data_set(transactions=rows).check()
    assert detail(report, "transactions_month_missing") == (11, 1, ({"branch": "large", "month": "2026-03"},))


def test_lines_of_one_order_are_one_observation(data_set: Any) -> None:
    def lines(start: int, month: str, orders: int) -> list[dict[str, Any]]:
        return [
            data_set.payment(start + 30 * order + line, occurred_at=f"{month}-05", order_id=f"{start}-{order}")
            for order in range(orders)
            for line in range(30)
        ]

    given = data_set(transactions=[*lines(0, "2026-04", 2), *lines(1000, "2026-07", 4)])
    report = given.check(coverage=data_set.coverage(("seoul", "2026-01-01", "2026-09-30", False)))
    assert detail(report, "transactions_row_count_change")[:2] == (1, 0)  # two orders more, sixty lines


def test_a_branch_that_stopped_reporting(data_set: Any) -> None:
    rows = [
        data_set.payment(1, branch="here", occurred_at="2026-09-29"),
        data_set.payment(2, branch="gone", occurred_at="2026-07-31"),
    ]
    reach = data_set.coverage(("here", "2026-01-01", "2026-09-30", False), ("gone", "2026-01-01", "2026-07-31", True))
    report = data_set(transactions=rows).check(coverage=reach)
    assert detail(report, "transactions_stale") == (2, 1, ({"branch": "gone", "last_covered_day": "2026-07-31"},))


@pytest.mark.parametrize(("last", "failing"), [("2026-08-16", 0), ("2026-08-15", 1)])
def test_a_table_out_of_date(data_set: Any, last: str, failing: int) -> None:
    dues = [{"due_id": "D", "commitment_id": "K", "due_on": last, "amount_due": 1.0}]
    report = data_set(transactions=[data_set.payment(1)], dues=dues).check()
    assert detail(report, "dues_stale")[:2] == (1, failing)


def test_control_totals_are_held_against_accepted_rows_net_of_refunds(data_set: Any) -> None:
    march, april = "2026-03-01", "2026-04-01"
    copied = data_set.payment(2, occurred_at=march)
    rows = [
        data_set.payment(1, occurred_at=march), copied, copied,  # the second copy is set aside
        data_set.payment(3, occurred_at=march, kind="refund", amount=300.0),
        data_set.payment(4, occurred_at=march, branch="busan"),
        data_set.payment(5, occurred_at=april, branch="busan", amount=996.0),
    ]  # fmt: skip
    totals = [
        {"table": "transactions", "branch": "seoul", "month": "2026-03-01", "rows": 3, "amount": 1700.0},
        {"table": "transactions", "branch": "busan", "month": "2026-03-01", "rows": 2, "amount": 1000.0},
        {"table": "transactions", "branch": "busan", "month": "2026-04-01", "rows": None, "amount": 1000.0},
        {"table": "transactions", "branch": "busan", "month": "2026-05-01", "rows": 0, "amount": None},
        {"table": "transactions", "branch": "busan", "month": "2026-10-01", "rows": 9, "amount": 9.0},
    ]
    report = data_set(transactions=rows, control_totals=totals).check()
    checked, broken, details = detail(report, "transactions_control_total")
    assert (checked, broken) == (4, 1)  # 996 of 1,000 is within half a per cent; October is not over
    assert details == (
        {
            "branch": "busan",
            "month": "2026-03",
            "rows": 1,
            "rows_stated": 2.0,
            "amount": 1000.0,
            "amount_stated": 1000.0,
        },
    )


def test_control_totals_of_dues_count_what_was_collected(data_set: Any) -> None:
    dues = [
        {"due_id": "D1", "commitment_id": "K", "due_on": "2026-09-01", "amount_due": 10.0, "amount_collected": 10.0},
        {"due_id": "D2", "commitment_id": "K", "due_on": "2026-09-02", "amount_due": 10.0, "amount_collected": 0.0},
    ]
    totals = [
        {"table": "dues", "branch": branch, "month": "2026-09-01", "rows": 1, "amount": amount}
        for branch, amount in (("a", 6.0), ("b", 4.0))
    ]
    report = data_set(transactions=[data_set.payment(1)], dues=dues, control_totals=totals).check()
    assert detail(report, "dues_control_total")[:2] == (1, 0)


def test_every_type_of_rule_of_our_own_is_used() -> None:
    used = {rule.type for contract in contracts.load().values() for rule in contract.rules if rule.engine == "own"}
    assert used == set(OWN_TYPES)
