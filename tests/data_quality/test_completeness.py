"""What counts as filled in, and for whom."""

from __future__ import annotations

import types

import pandas as pd
import pytest

from crm_analysis import language
from crm_analysis.data_quality import listing
from crm_analysis.data_quality.completeness import EVERY, attitudes, one_row_each

PEOPLE = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c", "d"],
        "motive": ["empathy", " ", None, "friend"],
        "stay_reason": ["trust", "trust", None, None],
        "interests": ["children", None, "animals", "children"],
    }
)


def test_blank_is_empty_and_denominators_are_stated() -> None:
    found = attitudes(PEOPLE, {"a", "b"}).set_index("field")
    assert found.loc["motive", ["n", "filled", "n_recent", "filled_recent"]].tolist() == [4, 2, 2, 1]
    assert found.loc["motive", "share"] == pytest.approx(0.5)
    assert found.loc[EVERY, ["filled", "filled_recent"]].tolist() == [1, 1]


def test_known_together_is_never_more_than_the_least_known() -> None:
    found = attitudes(PEOPLE, set(PEOPLE["customer_id"])).set_index("field")
    assert found.loc[EVERY, "filled"] <= found.drop(EVERY)["filled"].min()


def test_nobody_recent_is_undefined_not_zero() -> None:
    assert attitudes(PEOPLE, set())["share_recent"].isna().all()


def test_without_attitude_columns_there_is_no_table() -> None:
    assert attitudes(PEOPLE[["customer_id"]], {"a"}).empty


def test_the_newest_version_of_a_customer_counts_once() -> None:
    versions = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", None],
            "valid_from": pd.to_datetime(["2026-01-01", "2025-01-01", None, None]),
            "motive": ["new", "old", "only", "nobody"],
        }
    )
    assert one_row_each(versions).set_index("customer_id")["motive"].to_dict() == {"a": "new", "b": "only"}


def test_a_column_with_a_gap_is_never_called_full() -> None:
    language.activate("en")
    filled = pd.DataFrame(
        [("customers", "email", 3, 2), ("customers", "name", 3, 3), ("transactions", "branch", 100_000, 99_980)],
        columns=["table", "column", "rows", "filled"],
    )
    state = types.SimpleNamespace(fields=filled.assign(share=filled["filled"] / filled["rows"]))
    shown = listing.fields(state)
    assert shown["Column"].to_list() == ["email", "branch"]
    assert shown["Share"].to_list() == ["66.7\xa0%", "> 99.9\xa0%"]
