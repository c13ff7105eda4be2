"""One customer, refunds alone, spend of nothing, one cohort: every topic still says something, and warns of nothing."""

from types import SimpleNamespace

import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.customer_value import bridge, charts, cohorts, concentration, lives, profits, standing, tenure
from crm_analysis.customer_value.displays import bridge as bridge_shown
from crm_analysis.customer_value.displays import cohorts as cohorts_shown
from crm_analysis.customer_value.displays import concentration as concentration_shown
from crm_analysis.customer_value.displays import standing as standing_shown
from crm_analysis.customer_value.displays import tenure as tenure_shown

pytestmark = pytest.mark.slow

LATER = [(f"c{i}", f"2026-02-{1 + i % 20:02}", 1000.0 + i, "refund") for i in range(150)]
CASES = {
    "one customer": [("a", "2024-01-05", 5.0, "sale")],
    "a refund and a sale of nothing": [("a", "2026-08-05", 5.0, "refund"), ("b", "2023-08-05", 0.0, "sale")],
    "nothing but nothing": [("z", "2023-01-01", 0.0, "sale")]
    + [(f"c{i}", "2024-02-01", 0.0, "sale") for i in range(50)],
    "one cohort": [("z", "2023-01-01", 1.0, "sale")]
    + [(f"c{i}", f"2024-02-{1 + i % 20:02}", 10.0 + i, "sale") for i in range(150)],
    "more refunded than paid": [("z", "2020-01-01", 1.0, "sale")]
    + [(f"c{i}", f"2025-02-{1 + i % 20:02}", 10.0 + i, "sale") for i in range(150)]
    + LATER,
    "all on the last day": [(f"c{i}", "2026-09-30", 10.0, "sale") for i in range(300)],
}


class State(SimpleNamespace):
    """Told apart by identity, as `CustomerValue` is: what is told of one is kept."""

    __eq__, __hash__ = object.__eq__, object.__hash__


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
def test_every_topic_bears_it(scope_of, rows):
    log = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "amount", "kind"])
    scope = scope_of({"transactions": log.assign(occurred_at=pd.to_datetime(log["occurred_at"]))})
    status = customers.status(scope)
    earned, found = profits.customer_profits(scope, status), lives.lives(scope, status)
    expected = pd.DataFrame({"customer_id": [], "expected_value": []})
    everybody = SimpleNamespace(customers=status, outside=status.iloc[:0], why="")
    state = State(
        **dict.fromkeys(("outlook", "matrix", "tiers"), everybody),
        scope=scope,
        status=status,
        profits=earned,
        bridge=bridge.bridge(scope, status),
        cohorts=cohorts.cohorts(found, fiscal_year_starts=1),
        tenure=tenure.tenure(found),
        inequality=concentration.inequality(earned),
        standing=standing.standing(scope, status, earned, expected, found),
        scores=status[["customer_id"]].assign(segment="best"),
    )
    figures = (
        bridge_shown.figure,
        cohorts_shown.share_figure,
        cohorts_shown.value_figure,
        tenure_shown.figure,
        concentration_shown.figure,
    )
    assert all(words(state)["alt"] for words in figures)
    tables = (concentration_shown.group_table, standing_shown.weak_table, standing_shown.score_table)
    assert all(words(state)["title"] for words in tables)
    charts.waterfall(bridge_shown.waterfall(state))
    charts.cohort_map(cohorts_shown.shares(state), unit="quarter")
    charts.cohort_map(cohorts_shown.values(state), unit="quarter", money=True)
    charts.tenure_lines(tenure_shown.lines(state), currency="EUR")
    charts.lorenz(concentration_shown.lorenz(state), who="customers")
    if not state.bridge.why:
        assert state.bridge.steps["amount"].sum() == pytest.approx(state.bridge.change)
