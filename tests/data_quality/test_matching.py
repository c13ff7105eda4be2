"""Same-person matching: definitions, a brute-force oracle and properties."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_analysis.data_quality.matching import (
    RULES,
    UnionFind,
    expected_by_chance,
    normal_email,
    normal_name,
    normal_phone,
    normalised,
    same_persons,
)


def people(*rows: tuple[str, str, str | None, str | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "branch", "name", "phone", "birth_date"])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("김 민수", "김민수"),
        ("Kim Min-su", "kim minsu"),
        ("김민수", "\u1100\u1175\u11b7\u1106\u1175\u11ab\u1109\u116e"),  # decomposed Hangul
        ("ＫＩＭ", "kim"),
        ("김민수 님", "김민수"),
        ("O'Neill", "ONeill"),
    ],
)
def test_names_that_mean_the_same_are_equal(left: str, right: str) -> None:
    assert normal_name(left) == normal_name(right)


def test_nothing_is_made_of_nothing() -> None:
    assert [normal_name(value) for value in ("", "  -", None, float("nan"), 7)] == [None] * 5
    assert [normal_phone(value) for value in ("", "010", "000-0000-0000", "1111-1111-1111", None)] == [None] * 5
    assert normal_email("no address") is None
    assert normal_email(" A@B.kr ") == "a@b.kr"


def test_country_code_and_lost_zero_do_not_matter() -> None:
    assert len({normal_phone(text) for text in ("010-1234-5678", "+82 10 1234 5678", "1012345678", "01012345678")}) == 1


def test_one_person_in_two_branches_counts_once() -> None:
    found = same_persons(
        people(
            ("a", "seoul", "김 민수", "010-1234-5678", "1980-01-02"),
            ("b", "busan", "김민수", "+82-10-1234-5678", "1980-01-02"),
            ("c", "busan", "이영희", "010-9999-1234", "1990-05-05"),
        )
    )
    assert (found.n_customers, found.n_persons, found.n_surplus, found.n_in_several_branches) == (3, 2, 1, 1)
    pair = found.pairs.iloc[0]
    assert (pair["customer_a"], pair["customer_b"]) == ("a", "b")
    assert (pair["rule"], pair["strength"]) == ("name_phone_birth", "certain")
    assert not pair["name_as_written"]
    assert found.clusters.set_index("customer_id")["person_id"].to_dict() == {"a": "a", "b": "a", "c": "c"}


def test_name_and_birth_date_alone_is_possible_and_not_merged() -> None:
    found = same_persons(
        people(
            ("a", "seoul", "김민수", "010-1234-5678", "1980-01-02"),
            ("b", "busan", "김민수", "010-8765-4321", "1980-01-02"),
        )
    )
    assert (found.n_persons, found.n_persons_if_possible) == (2, 1)
    assert list(found.pairs["strength"]) == ["possible"]


def test_different_birth_dates_are_different_people() -> None:
    found = same_persons(
        people(
            ("a", "seoul", "김민수", "010-1234-5678", "1950-01-02"),
            ("b", "seoul", "김민수", "010-1234-5678", "1980-01-02"),
        )
    )
    assert found.n_persons == 2 and found.pairs.empty


def test_a_chain_through_a_missing_birth_date_does_not_join_two_people() -> None:
    found = same_persons(
        people(
            ("a", "seoul", "김민수", "010-1234-5678", "1950-01-02"),
            ("b", "seoul", "김민수", "010-1234-5678", None),
            ("c", "seoul", "김민수", "010-1234-5678", "1980-01-02"),
        )
    )
    assert found.n_persons == 3 and len(found.pairs) == 2


def test_an_office_telephone_is_a_shared_value_not_a_person() -> None:
    frame = people(*[(f"c{i:02}", "seoul", "후원자", "02-555-1234", None) for i in range(30)])
    found = same_persons(frame)
    assert (found.n_persons, found.shared_values) == (30, 1)


def test_without_identity_columns_nothing_is_claimed() -> None:
    found = same_persons(pd.DataFrame({"customer_id": ["a", "b"], "branch": ["x", "y"]}))
    assert (found.n_customers, found.n_persons, found.fields) == (2, 2, ())
    assert found.by_rule.empty


def test_expected_by_chance_is_the_share_of_agreeing_pairs() -> None:
    frame = normalised(
        people(
            ("a", "x", "A", None, "1980-01-01"),
            ("b", "x", "A", None, "1980-01-02"),
            ("c", "x", "B", None, "1980-01-01"),
            ("d", "x", "C", None, "1980-01-03"),
        )
    )
    assert expected_by_chance(frame, ("name",)) == pytest.approx(1)
    assert expected_by_chance(frame, ("name", "birth_date")) == pytest.approx(6 * (1 / 6) ** 2)


names = st.sampled_from(["Kim Minsu", "kim min-su", "김민수", "김 민수", "Lee", None])
phones = st.sampled_from(["010-1234-5678", "+821012345678", "010-1111-2345", "010-7777-1234", None])
births = st.sampled_from(["1980-01-01", "1990-02-02", None])
emails = st.sampled_from(["a@b.kr", "A@B.kr ", "c@d.kr", None])
branches = st.sampled_from(["seoul", "busan"])
records = st.lists(st.tuples(branches, names, phones, births, emails), min_size=1, max_size=12)


def frame_of(rows: list[tuple[str | None, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["branch", "name", "phone", "birth_date", "email"])
    return frame.assign(customer_id=[f"c{i:02}" for i in range(len(frame))])


def brute_force(customers: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Every pair against every rule, strongest rule first."""
    frame = normalised(customers).sort_values("customer_id")
    rows = [row._asdict() for row in frame.itertuples(index=False)]
    known = {}
    for a, b in itertools.combinations(rows, 2):
        both_born = not pd.isna(a["birth_date"]) and not pd.isna(b["birth_date"])
        if both_born and a["birth_date"] != b["birth_date"]:
            continue
        for rule in RULES:
            if all(not pd.isna(a[field]) and not pd.isna(b[field]) and a[field] == b[field] for field in rule.fields):
                known[(a["customer_id"], b["customer_id"])] = rule.key
                break
    return known


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(records)
def test_blocking_finds_exactly_the_pairs_that_brute_force_finds(rows: list[tuple[str | None, ...]]) -> None:
    customers = frame_of(rows)
    pairs = same_persons(customers).pairs
    found = {(row.customer_a, row.customer_b): row.rule for row in pairs.itertuples()}
    assert found == brute_force(customers)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(records, st.randoms(use_true_random=False))
def test_order_of_rows_is_irrelevant_and_counts_hold(rows: list[tuple[str | None, ...]], random: object) -> None:
    customers = frame_of(rows)
    before = customers.copy()
    found = same_persons(customers)
    again = same_persons(customers.sample(frac=1, random_state=random.randint(0, 2**31)))  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(customers, before)
    pd.testing.assert_frame_equal(found.clusters, again.clusters)
    assert found.n_persons_if_possible <= found.n_persons <= found.n_customers
    born = normalised(customers).merge(found.clusters, on="customer_id").groupby("person_id")["birth_date"].nunique()
    assert (born <= 1).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_union_find_equals_repeated_merging_of_sets(links: list[tuple[int, int]]) -> None:
    sets = UnionFind(range(13))
    groups = [{i} for i in range(13)]
    for a, b in links:
        sets.join(a, b)
        joined = set().union(*[group for group in groups if a in group or b in group])
        groups = [group for group in groups if not group & joined] + [joined]
    assert {i: sets.find(i) for i in range(13)} == {i: min(group) for group in groups for i in group}
