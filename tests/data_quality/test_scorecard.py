"""Scores: definitions, an oracle, and what must not move them."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_analysis.data_quality import captions
from crm_analysis.data_quality.scorecard import DIMENSIONS, RULE_COLUMNS, own_checks, rules_frame, score


def rules(*rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["id", "dimension", "severity"])
    return frame.assign(
        table="t", column="", level="row", what="", action="", at_most_share=0.0, share_judged=1.0
    ).assign(chapters=[()] * len(rows))[RULE_COLUMNS]


def counts(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["rule", "rows_checked", "rows_failed"])


def test_a_critical_rule_counts_four_times_a_warning_twice() -> None:
    card = score(
        rules(("a", "validity", "critical"), ("b", "validity", "warning"), ("c", "validity", "info")),
        counts(("a", 100, 50), ("b", 10, 0), ("c", 1000, 1000)),
    )
    assert card.score == pytest.approx((4 * 0.5 + 2 * 1 + 1 * 0) / 7)


def test_the_score_is_the_mean_of_the_dimensions_that_have_rules() -> None:
    card = score(rules(("a", "validity", "info"), ("b", "uniqueness", "critical")), counts(("a", 10, 5), ("b", 10, 0)))
    assert card.score == pytest.approx(0.75)
    assert list(card.dimensions["dimension"]) == ["validity", "uniqueness"]


def test_a_small_table_weighs_as_much_as_a_large_one() -> None:
    pair = rules(("a", "validity", "info"), ("b", "validity", "info"))
    assert score(pair, counts(("a", 10, 5), ("b", 1_000_000, 0))).score == pytest.approx(0.75)


def test_rules_that_checked_nothing_are_left_out_not_passed() -> None:
    pair = rules(("a", "validity", "info"), ("b", "uniqueness", "info"))
    card = score(pair, counts(("a", 10, 5), ("b", 0, 0)))
    assert card.score == pytest.approx(0.5) and card.cells_checked == 10
    nothing = score(pair, counts(("a", 0, 0)))
    assert nothing.score is None and nothing.dimensions.empty


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DIMENSIONS),
            st.sampled_from(["critical", "warning", "info"]),
            st.integers(1, 50),
            st.integers(0, 50),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_scores_lie_between_0_and_1_and_order_is_irrelevant(rows: list[tuple[str, str, int, int]]) -> None:
    table = rules(*[(str(i), dimension, severity) for i, (dimension, severity, _n, _f) in enumerate(rows)])
    seen = counts(*[(str(i), n, min(n, failed)) for i, (_d, _s, n, failed) in enumerate(rows)])
    card = score(table, seen)
    assert card.score is not None and 0 <= card.score <= 1
    assert card.score == pytest.approx(score(table[::-1], seen.sample(frac=1, random_state=1)).score)
    assert card.cells_failed == seen["rows_failed"].sum()


def test_the_chapters_own_checks_appear_only_where_there_is_something_to_check() -> None:
    nothing = dict.fromkeys(
        (
            "n_dated",
            "n_stale",
            "n_customers",
            "n_surplus",
            "totals_compared",
            "totals_off",
            "attitude_cells",
            "attitude_empty",
        ),
        0,
    )
    checks, seen = own_checks(days_covered=31, days_due=92, **nothing)
    card = score(checks, seen)
    assert list(card.rules["id"]) == ["chapter.delivered"]
    assert card.score == pytest.approx(31 / 92)


def test_a_rule_that_judged_half_of_its_table_keeps_that_share() -> None:
    report = {
        "rows": {"t": 200},
        "rules": [
            {"id": "r", "table": "t", "dimension": "validity", "severity": "warning", "level": "row",
             "rows_checked": 100, "rows_failed": 3, "chapters": ["crm_roi"], "details": []}
        ],
    }  # fmt: skip
    row = rules_frame(report).iloc[0]
    assert (row["share_judged"], row["chapters"], row["at_most_share"]) == (0.5, ("crm_roi",), 0.0)


def test_the_caption_speaks_of_a_period_ago_only_where_one_is_drawn() -> None:
    both = rules(("a", "validity", "critical"), ("b", "uniqueness", "warning"))
    card = score(both, counts(("a", 100, 50), ("b", 10, 0)))
    state, part = SimpleNamespace(scorecard=card), SimpleNamespace(scorecard=score(both, counts(("a", 100, 40))))
    scope = SimpleNamespace(branch="a")

    def read(previous: SimpleNamespace | None) -> str:
        given = SimpleNamespace(scope=scope, state=state, previous=previous, branches={})
        return captions.scorecard(given)["how_to_read"]

    assert "hollow: a period ago" in read(state) and "not checked" not in read(state)
    assert read(None).startswith("Dots: this state. Each rule") and "a period ago" not in read(None)
    assert "hollow: a period ago" in read(part) and "Without a hollow dot: not checked a period ago." in read(part)
