"""What one customer holds of the amounts of the footing, and which of them are withheld for it."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, tables
from crm_analysis.tables.footing import Contributions, contributions
from crm_analysis.tables.ingestion import ingest


def lines(customers: int, branch: str, amount: int = 1000) -> list[str]:
    return [f"{branch}{i},{branch}-{i},{branch},2026-02-{1 + i % 20:02},{amount}" for i in range(customers)]


def withheld(workplace, *rows: str, branch: str = "all"):
    profile = workplace.gifts(*rows)
    ingest(profile)
    scope = tables.open(profile).scope(branch, "2026Q1")
    return privacy.withheld_steps(contributions(scope), 5, 0.85)


def test_the_largest_customers_share_is_found(workplace):
    profile = workplace.gifts(*lines(9, "a"), "x1,a-0,a,2026-03-01,4000", "x2,,a,2026-03-02,50")
    ingest(profile)
    found = contributions(tables.open(profile).scope("a", "2026Q1")).steps
    used = found[(found["step"] == "used") & found["branch"].isna()].iloc[0]
    assert (used["customers"], used["largest"], used["size"]) == (9, 5000.0, 13000.0)
    assert found.loc[found["step"] == "in files", "customers"].to_list() == [10, 10]


def test_an_amount_of_few_or_of_one_is_withheld(workplace):
    assert not withheld(workplace, *lines(9, "a"), *lines(9, "b"))


def test_a_small_branch_is_not_told_by_the_sum_of_all(workplace):
    rows = [*lines(9, "a"), *lines(9, "b"), *lines(3, "c")]
    assert ("used", "") in withheld(workplace, *rows)
    assert ("used", "") in withheld(workplace, *rows, branch="c")
    assert not withheld(workplace, *rows, branch="a")


def test_a_major_donor_is_not_told(workplace):
    rows = [*lines(9, "a"), "x1,a-0,a,2026-03-01,900000", *lines(9, "b")]
    assert ("used", "") in withheld(workplace, *rows, branch="a")
    assert ("used", "") in withheld(workplace, *rows)


def test_a_few_anonymous_lines_are_not_told_by_the_rest(workplace):
    assert withheld(workplace, *lines(9, "a"), "x2,,a,2026-03-02,50") == {("anonymous", ""), ("in files", "")}


def test_all_that_is_set_aside_is_not_told_where_one_row_of_it_is_not(workplace):
    found = withheld(workplace, *lines(9, "a"), "x2,a-0,a,2031-03-02,900")
    assert found == {("set aside", "dated_after_end_of_data"), ("set aside", None), ("in files", "")}


def rules(**held: dict[str, float]) -> Contributions:
    """Contributions of one scope whose rules set aside these amounts of these persons."""
    aside = pd.DataFrame([(rule, *each) for rule, persons in held.items() for each in persons.items()])
    aside.columns = ["rule", "person", "net"]
    whole = pd.concat([aside, aside.assign(rule=None)]).astype({"rule": object})
    each = whole.groupby(["rule", "person"], dropna=False)["net"].sum().groupby("rule", dropna=False)
    steps = each.agg(customers="size", largest="max", size="sum").reset_index()
    return Contributions(steps.assign(branch=None, step="set aside"), aside)


def persons(prefix: str, n: int, amount: float = 1000.0) -> dict[str, float]:
    return {f"{prefix}{i}": amount for i in range(n)}


def test_two_hidden_rules_are_not_told_by_the_sum_where_they_hold_too_few_together():
    shown = persons("d", 20)
    few = privacy.withheld_steps(rules(duplicate=shown, negative=persons("n", 2), future=persons("f", 2)), 5, 0.85)
    enough = privacy.withheld_steps(rules(duplicate=shown, negative=persons("n", 3), future=persons("f", 2)), 5, 0.85)
    assert ("set aside", None) in few and ("set aside", None) not in enough
    assert {("set aside", "negative"), ("set aside", "future")} <= enough


def test_a_person_in_two_hidden_rules_is_one_person():
    shown = persons("d", 20)
    three_twice = rules(duplicate=shown, negative=persons("n", 3), future=persons("n", 3))
    assert ("set aside", None) in privacy.withheld_steps(three_twice, 5, 0.85)
    donor = {"major": 9000.0}
    one_in_both = rules(duplicate=shown, old=donor | persons("o", 6, 50.0), future=donor | persons("f", 6, 50.0))
    found = privacy.withheld_steps(one_in_both, 5, 0.85)
    assert {("set aside", "old"), ("set aside", "future"), ("set aside", None)} <= found
