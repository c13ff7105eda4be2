"""The one status rule, on customers whose status a careful reader would agree on."""

from datetime import date, timedelta
from types import SimpleNamespace

import ibis
import pandas as pd
import pytest

from crm_analysis import customers
from crm_analysis.profile.settings import StatusRule
from crm_analysis.units import add_months

RULE = StatusRule()
AS_OF = date(2026, 9, 30)


def classified(rule: StatusRule = RULE, history_starts_on: date | None = None, **known: object) -> str:
    row = {"observed_to": AS_OF, "n_repeat_orders": 0, "first_on": None, "last_on": None} | known
    return customers.classify(pd.DataFrame([row]), rule, history_starts_on=history_starts_on).iloc[0]


def silent_for(days: int) -> date:
    return AS_OF - pd.Timedelta(days=days).to_pytimedelta()


def test_a_customer_who_orders_every_three_weeks_is_at_risk_in_week_five():
    """REFERENCE case from the field: the customer's own rhythm decides, not a calendar."""
    regular = {"n_repeat_orders": 10}
    for weeks, expected in ((3, "active"), (4, "active"), (5, "overdue")):
        last = silent_for(7 * weeks)
        first = last - pd.Timedelta(weeks=30).to_pytimedelta()
        assert classified(first_on=first, last_on=last, **regular) == expected, weeks


def test_silence_beyond_rhythm_and_limit():
    """A slow rhythm stretches the profile's limit; the limit holds where the rhythm is fast."""
    yearly = {"n_repeat_orders": 2, "first_on": date(2023, 3, 1)}
    assert classified(**yearly, last_on=date(2025, 3, 1)) == "overdue"  # 19 months, its gap is 12
    weekly = {"n_repeat_orders": 20}
    assert classified(**weekly, first_on=silent_for(500), last_on=silent_for(360)) == "overdue"
    assert classified(**weekly, first_on=silent_for(500), last_on=silent_for(366)) == "dormant"
    assert classified(**weekly, first_on=silent_for(900), last_on=silent_for(731)) == "lost"
    assert classified(first_on=silent_for(200), last_on=silent_for(200)) == "active"


def test_new_customers_and_the_start_of_history():
    young = {"first_on": silent_for(60), "last_on": silent_for(60)}
    assert classified(**young) == "new"
    assert classified(**young, history_starts_on=silent_for(100)) == "active"
    assert classified(first_on=silent_for(90), last_on=silent_for(90)) == "active"


COMMITTED = {"committed": True, "started_on": date(2023, 10, 25), "first_on": date(2023, 10, 25)}


@pytest.mark.parametrize(
    ("unpaid_since", "expected"),
    [
        (None, "active"),
        (date(2026, 9, 25), "active"),  # one failed transfer five days ago
        (date(2026, 8, 25), "overdue"),
        (date(2026, 5, 25), "overdue"),  # five monthly dues unpaid
        (date(2026, 4, 25), "dormant"),  # six of them: April to September
    ],
)
def test_six_months_of_unpaid_dues_make_a_regular_donor_dormant(unpaid_since, expected):
    paid = {"last_on": unpaid_since or AS_OF, "n_repeat_orders": 30, "cycle_months": 1}
    assert classified(**COMMITTED, **paid, unpaid_since=unpaid_since) == expected


def test_an_annual_giver_is_not_dormant_in_month_seven():
    annual = {**COMMITTED, "cycle_months": 12, "n_repeat_orders": 2}
    assert classified(**annual, last_on=date(2026, 2, 28), unpaid_since=None) == "active"
    assert classified(**annual, last_on=date(2025, 9, 15), unpaid_since=date(2026, 9, 15)) == "active"
    assert classified(**annual, last_on=date(2025, 8, 15), unpaid_since=date(2026, 8, 15)) == "overdue"
    assert classified(**annual, last_on=date(2025, 4, 15), unpaid_since=date(2026, 4, 15)) == "dormant"


def test_an_ended_commitment_is_lost_unless_giving_goes_on():
    ended = {"committed": False, "started_on": date(2024, 1, 1), "first_on": date(2024, 1, 1), "n_repeat_orders": 12}
    assert classified(**ended, last_on=date(2026, 1, 25), ended_on=date(2026, 2, 1)) == "lost"
    assert classified(**ended, last_on=date(2026, 9, 1), ended_on=date(2026, 2, 1)) == "active"


class Scope:
    """A scope over frames in memory."""

    def __init__(self, as_of: date, covered: dict[str, date] | None = None, **frames: pd.DataFrame) -> None:
        self.as_of = as_of
        self.frames = {name: ibis.memtable(frame) for name, frame in frames.items()}
        self.profile = SimpleNamespace(status=RULE, coverage=SimpleNamespace(history_starts_on=None))
        branches = sorted(frames["transactions"]["branch"].unique())
        self.coverage = pd.DataFrame(
            {
                "branch": branches,
                "first_day": [frames["transactions"]["occurred_at"].min().date()] * len(branches),
                "last_covered_day": [(covered or {}).get(branch, as_of) for branch in branches],
            }
        )

    def has(self, name: str) -> bool:
        return name in self.frames

    def columns(self, name: str) -> frozenset[str]:
        return frozenset(self.frames[name].columns)

    def table(self, name: str) -> ibis.Table:
        table = self.frames[name]
        return table.filter(table.occurred_at.date() <= self.as_of) if name == "transactions" else table


def gifts(*rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "branch", "occurred_at"])
    return frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"]), amount=10.0, kind="gift")


def test_a_branch_without_data_loses_nobody():
    """Monthly givers of a branch that stopped reporting two years ago stay where they stood on its last day."""
    days = pd.date_range("2023-01-05", "2024-06-05", freq="MS") + pd.Timedelta(days=4)
    rows = [(f"{branch}{i}", branch, str(day)) for branch in ("open", "silent") for i in range(3) for day in days]
    log = gifts(*rows)
    scope = Scope(AS_OF, {"silent": date(2024, 6, 30)}, transactions=log)
    status = customers.status(scope).set_index("customer_id")["status"]
    assert set(status[status.index.str.startswith("silent")]) == {"active"}
    assert set(status[status.index.str.startswith("open")]) == {"lost"}
    kept = customers.retention(scope).customers.groupby("branch")["kept"].agg(["size", "sum"])
    assert kept.loc["silent"].tolist() == [3, 3]
    assert "open" not in kept.index  # lost already a year ago: not at risk


def test_reactivated_was_gone_and_came_back():
    log = gifts(("back", "x", "2024-01-01"), ("back", "x", "2026-09-01"), ("new", "x", "2026-09-01"))
    status = customers.status(Scope(AS_OF, transactions=log)).set_index("customer_id")["status"]
    assert status.to_dict() == {"back": "reactivated", "new": "new"}


def test_retention_by_hand():
    """Four were there a year ago; one of them has been silent since before that and is dormant now."""
    log = gifts(
        *((name, "x", day) for name in ("a", "b", "c") for day in ("2025-08-01", "2026-08-01")),
        ("d", "x", "2025-08-01"),
        ("late", "x", "2026-01-01"),
        ("long gone", "x", "2022-01-01"),
    )
    result = customers.retention(Scope(AS_OF, transactions=log))
    assert (result.n, result.kept, result.share) == (4, 3, 0.75)
    assert customers.retention(Scope(AS_OF, transactions=log), months=60).n == 0


def test_the_first_days_of_a_history_stand_for_nobody():
    """Whoever is seen in the first weeks comes often: a day less than `new_days` is too short to say who was there."""
    days = [AS_OF - timedelta(days=back) for back in (365 + RULE.new_days - 1, 370, 10)]
    short = gifts(*((f"c{i}", "x", str(day)) for i in range(9) for day in days))
    assert customers.retention(Scope(AS_OF, transactions=short)).n == 0
    longer = gifts(*((f"c{i}", "x", str(day - timedelta(days=9))) for i in range(9) for day in days))
    assert customers.retention(Scope(AS_OF, transactions=longer)).n == 9


def test_retention_change_counts_those_seen_twice_once():
    """Nobody changed: the difference is certain to be zero, however few customers there are."""
    frame = pd.DataFrame({"customer_id": list("abcd"), "branch": "x", "kept": [True, True, False, True]})
    same = customers.Retention(AS_OF, 12, frame)
    change = customers.retention_change(same, same)
    assert (change.difference, change.standard_error) == (0.0, 0.0)
    other = customers.Retention(AS_OF, 12, frame.assign(customer_id=list("efgh")))
    assert customers.retention_change(same, other).standard_error == pytest.approx((2 * 0.75 * 0.25 / 4) ** 0.5)
    assert customers.retention_change(same, customers.Retention(AS_OF, 12, frame.iloc[:0])) is None


def commitments_of(**cycle_months: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "commitment_id": [f"c-{name}" for name in cycle_months],
            "customer_id": list(cycle_months),
            "branch": "x",
            "started_on": date(2025, 1, 10),
            "amount": 100.0,
            "cycle_months": list(cycle_months.values()),
            "ended_on": pd.to_datetime([None] * len(cycle_months)),
        }
    )


def dues_of(commitments: pd.DataFrame, paid_until: dict[str, date]) -> pd.DataFrame:
    rows = []
    for item in commitments.itertuples():
        for k in range(0, 21, item.cycle_months):
            due = add_months(item.started_on, k)
            paid = due <= paid_until[item.customer_id]
            rows.append((f"{item.commitment_id}-{k}", item.commitment_id, due, due if paid else None))
    frame = pd.DataFrame(rows, columns=["due_id", "commitment_id", "due_on", "collected_on"])
    return frame.assign(collected_on=pd.to_datetime(frame["collected_on"]), branch="x", amount_due=100.0)


@pytest.mark.parametrize("with_dues", [True, False])
def test_commitments_through_the_tables(with_dues):
    """The same standing from the table of dues and, without it, from the transactions that name the commitment."""
    commitments = commitments_of(monthly=1, lapsed=1, annual=12)
    dues = dues_of(commitments, {"monthly": AS_OF, "lapsed": date(2026, 3, 10), "annual": AS_OF})
    paid = dues.dropna(subset="collected_on").merge(commitments[["commitment_id", "customer_id"]])
    log = pd.DataFrame(
        {
            "customer_id": paid["customer_id"],
            "branch": "x",
            "occurred_at": paid["collected_on"],
            "amount": 100.0,
            "kind": "dues",
            "commitment_id": paid["commitment_id"],
        }
    )
    frames = {"transactions": log, "commitments": commitments} | ({"dues": dues} if with_dues else {})
    scope = Scope(AS_OF, **frames)
    frame = customers.status(scope).set_index("customer_id")
    assert frame["status"].to_dict() == {"monthly": "active", "lapsed": "dormant", "annual": "active"}
    assert frame["amount_a_year"].to_dict() == {"monthly": 1200.0, "lapsed": 1200.0, "annual": 100.0}
    kept = customers.retention(scope).customers.set_index("customer_id")["kept"]
    assert kept.to_dict() == {"monthly": True, "lapsed": False, "annual": True}
    earlier = customers.status_at(scope, date(2026, 3, 31)).set_index("customer_id")["status"]
    assert set(earlier) == {"active"}
