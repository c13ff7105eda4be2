"""What a branch and a period may see: nothing later, nothing of another branch, and nothing after its data end."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm_analysis import tables
from crm_analysis.errors import ScopeError
from crm_analysis.profile import Profile
from tests.tables.conftest import Workplace

TRANSACTIONS = "transaction_id,customer_id,branch,occurred_at,amount,kind"


def daily(branch: str, first: date, last: date, every: int = 1) -> list[str]:
    """One gift of 10 on every `every`-th day of a branch."""
    days = [first + timedelta(days=n) for n in range(0, (last - first).days + 1, every)]
    return [f"{branch}{n},{branch}C{n % 7},{branch},{day},10,gift" for n, day in enumerate(days)]


def opened(
    workplace: Workplace, lines: list[str], others: dict[str, str] | None = None, **settings: Any
) -> tables.Tables:
    """Tables over transactions and further tables given as CSV text with canonical headers."""
    workplace.write("transactions.csv", "\n".join([TRANSACTIONS, *lines]) + "\n")
    wanted: dict[str, Any] = {"transactions": {"files": ["transactions.csv"]}}
    for table, text in (others or {}).items():
        workplace.write(f"{table}.csv", text)
        wanted[table] = {"files": [f"{table}.csv"]}
    profile: Profile = workplace.profile(wanted, **settings)
    tables.ingest(profile)
    return tables.open(profile)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tables.Tables:
    """Two branches that report to 30 September 2026 and one that fell silent two months before."""
    start, end = date(2025, 1, 1), date(2026, 9, 30)
    lines = daily("a", start, end) + daily("b", start, end, every=3) + daily("s", start, date(2026, 7, 31))
    workplace = Workplace(tmp_path_factory.mktemp("three"))
    return opened(workplace, lines + ["x1,aC1,a,2027-05-01,10,gift", "x2,aC1,a,2026-12-24,10,gift"])


def test_the_end_of_the_data_is_not_moved_by_misdated_rows(three: tables.Tables) -> None:
    assert three.data_ends_on == date(2026, 9, 30)


def test_a_branch_that_stopped_is_silent_and_a_rare_one_is_not(three: tables.Tables) -> None:
    found = three.coverage.set_index("branch")
    assert list(found["last_covered_day"]) == [date(2026, 9, 30), date(2026, 9, 30), date(2026, 7, 31)]
    assert list(found["silent"]) == [False, False, True]
    assert list(found["source"]) == ["end of data", "end of data", "last row"]


def test_a_branch_of_few_active_days_has_no_rhythm_to_fall_silent_from(tmp_path: Path) -> None:
    lines = daily("a", date(2026, 1, 1), date(2026, 9, 30))
    lines += ["o1,oC1,one,2026-02-03,10,gift", *daily("few", date(2026, 1, 1), date(2026, 1, 10))]
    found = opened(Workplace(tmp_path), lines).coverage.set_index("branch")
    assert list(found.loc[["one", "few"], "last_covered_day"]) == [date(2026, 9, 30)] * 2
    assert not found["silent"].any()


def test_silence_ends_what_a_branch_knows_and_not_what_all_know(three: tables.Tables) -> None:
    assert three.scope("s", "2026Q3").as_of == date(2026, 7, 31)
    assert three.scope("all", "2026Q3").as_of == date(2026, 9, 30)
    assert three.scope("s", "2026Q2").as_of == date(2026, 6, 30)
    assert not three.scope("s", "2026Q2").coverage["silent"].any()
    everywhere = three.scope("all", "2026Q3").coverage.set_index("branch")
    assert everywhere.loc["s", "observed_to"] == date(2026, 7, 31) and everywhere.loc["s", "silent"]


def test_a_scope_sees_its_branch_and_nothing_later(three: tables.Tables) -> None:
    found = three.scope("a", "2026Q2").table("transactions").execute()
    assert set(found["branch"]) == {"a"}
    assert found["occurred_at"].max() == pd.Timestamp("2026-06-30")
    assert found["occurred_at"].min() == pd.Timestamp("2025-01-01")


def test_rows_of_the_future_are_in_the_files_and_never_used(three: tables.Tables) -> None:
    scope = three.scope("a", "latest")
    assert str(scope.period) == "2026Q3"
    steps = scope.footing().set_index(["step", "rule"])["rows"]
    used = (date(2026, 9, 30) - date(2025, 1, 1)).days + 1
    assert steps["in files", ""] == used + 2
    assert steps["set aside", "dated_after_end_of_data"] == 2
    assert steps["used", ""] == used
    assert scope.raw("transactions").count().execute() == used + 2


def test_unknown_branch_names_the_nearest(three: tables.Tables) -> None:
    with pytest.raises(ScopeError) as caught:
        three.scope("aa", "2026Q3")
    assert str(caught.value) == (
        'There is no branch "aa" in test. Did you mean "a"? Branches: all, a, b, s.'
    )


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("2026Q4",
         "2026Q4 lies after the end of the data: the data of test end on 2026-09-30. The last complete quarter is "
         "2026Q3; take that one."),
        ("2026",
         "2026 is not over: the data of test end on 2026-09-30. The last complete year is 2025; take that one, or ask "
         "for it as it stands with --incomplete."),
        ("2024H1",
         "2024H1 holds no rows of the data, which run from 2025-01-01 to 2026-09-30. There are: 2025H1, 2025H2, "
         "2026H1, 2026H2."),
    ],
)  # fmt: skip
def test_periods_that_cannot_be_had(three: tables.Tables, period: str, message: str) -> None:
    with pytest.raises(ScopeError) as caught:
        three.scope("all", period)
    assert str(caught.value) == message


def test_a_period_after_a_branch_fell_silent_lists_those_it_has(three: tables.Tables) -> None:
    with pytest.raises(ScopeError) as caught:
        three.scope("s", "2026-09")
    assert str(caught.value).startswith(
        '2026-09 holds no rows of the branch "s", which run from 2025-01-01 to 2026-07-31. There are: 2025-01, 2025-02,'
    )


def test_an_incomplete_period_on_request(three: tables.Tables) -> None:
    scope = three.scope("all", "2026", incomplete=True)
    assert not scope.complete and scope.as_of == date(2026, 9, 30)
    assert three.scope("all", "2026Q3").complete


def test_earlier_scopes_reach_as_far_back_as_the_data(three: tables.Tables) -> None:
    scope = three.scope("all", "2025Q2")
    previous = scope.previous()
    assert previous is not None and str(previous.period) == "2025Q1"
    assert previous.previous() is None and scope.year_before() is None
    before = three.scope("all", "2026Q2").year_before()
    assert before is not None and str(before.period) == "2025Q2"


def test_weekends_at_the_end_of_a_month_do_not_make_it_incomplete(workplace: Workplace) -> None:
    weekdays = [d for d in pd.date_range("2025-01-01", "2026-02-27").date if d.weekday() < 5]
    lines = [f"{n},C,a,{day},1,sale" for n, day in enumerate(weekdays)]
    assert opened(workplace, lines).data_ends_on == date(2026, 2, 28)


def test_profile_and_control_totals_say_how_far_a_branch_reaches(workplace: Workplace) -> None:
    start, end = date(2026, 1, 1), date(2026, 6, 30)
    totals = "table,branch,month,rows,amount,covered_to\ntransactions,a,2026-05,31,310,2026-05-31\n"
    found = opened(
        workplace,
        daily("a", start, end) + daily("b", start, end) + daily("c", start, end),
        {"control_totals": totals, "branches": "branch,name,opened_on,closed_on\nc,C,2020-01-01,2026-04-30\n"},
        coverage={"last_covered_day": {"b": "2026-06-15"}, "data_ends_on": "2026-06-30"},
    )
    rows = list(found.coverage.drop(columns="first_day").itertuples(index=False, name=None))
    assert rows == [
        ("a", date(2026, 5, 31), True, "control totals"),
        ("b", date(2026, 6, 15), True, "profile"),
        ("c", date(2026, 4, 30), False, "closed"),
    ]


def test_branches_of_the_matrix(workplace: Workplace) -> None:
    start, end = date(2026, 1, 1), date(2026, 6, 30)
    lines = daily("a", start, end, every=2) + daily("b", start, end) + daily("c", start, end, every=3)
    assert opened(workplace, lines, branches={"largest": 2}).branches() == ["b", "a"]
    chosen = opened(workplace, lines, branches={"include": ["c", "a"]})
    assert chosen.branches() == ["c", "a"] and chosen.all_branches() == ["a", "b", "c"]
    assert set(chosen.scope("all", "2026Q2").table("transactions").execute()["branch"]) == {"a", "b", "c"}
    with pytest.raises(ScopeError):
        opened(workplace, lines, branches={"include": ["d"]}).branches()


LINKED = {
    "customers": "customer_id,branch,joined_on,motive,attitude_recorded_on,tier_given,valid_from,valid_to\n"
    "aC1,a,2025-01-01,faith,2026-02-01,old,2025-01-01,2026-03-31\n"
    "aC1,a,2025-01-01,faith,2026-02-01,new,2026-04-01,\n"
    "bC1,b,2026-05-01,family,,late,2026-05-01,\n",
    "commitments": "commitment_id,customer_id,branch,started_on,amount,cycle_months,ended_on,end_reason\n"
    "K1,aC1,a,2025-01-01,10,1,2026-05-15,moved\nK2,bC1,b,2026-06-01,10,1,,\n",
    "dues": "due_id,commitment_id,due_on,amount_due,collected_on,amount_collected\n"
    "D1,K1,2026-03-25,10,2026-04-02,10\nD2,K1,2026-04-25,10,,\nD3,K2,2026-06-25,10,,\n",
    "campaigns": "campaign_id,name,programme,starts_on,ends_on,window_days,branch\n"
    "X,all,retention,2026-01-01,2026-02-01,90,\nY,ours,retention,2026-01-01,2026-02-01,90,b\n"
    "Z,later,retention,2026-05-01,2026-06-01,90,\n",
    "campaign_members": "campaign_id,customer_id,arm,assigned_on,contacted_on,delivered_on,responded_on\n"
    "X,aC1,treated,2026-01-01,2026-01-05,2026-01-06,2026-04-20\nX,bC1,control,2026-01-01,,,\n",
    "costs": "cost_id,incurred_on,category,amount,branch\n1,2026-01-01,software,5,\n2,2026-01-01,staff,7,b\n",
    "targets": "measure,period,value,branch,kind\nretention,2026Q1,0.8,,target\nretention,2026Q1,0.9,b,target\n"
    "retention,2026Q1,0.5,,benchmark\n",
    "control_totals": "table,branch,month,rows,amount\n"
    + "".join(f"transactions,a,2026-0{month},31,310\n" for month in range(1, 7)),
}  # fmt: skip


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> tables.Tables:
    """Two branches with every table whose rows change later."""
    start, end = date(2025, 1, 1), date(2026, 6, 30)
    workplace = Workplace(tmp_path_factory.mktemp("linked"))
    return opened(workplace, daily("a", start, end) + daily("b", start, end), LINKED)


def test_later_values_are_not_seen(linked: tables.Tables) -> None:
    march, june = linked.scope("a", "2026Q1"), linked.scope("a", "2026Q2")
    ends = [scope.table("commitments").execute()[["ended_on", "end_reason"]].iloc[0] for scope in (march, june)]
    assert ends[0].isna().all() and list(ends[1]) == [pd.Timestamp("2026-05-15"), "moved"]
    assert march.table("dues").execute()[["collected_on", "amount_collected"]].isna().all(axis=None)
    assert list(june.table("dues").order_by("due_id").execute()["amount_collected"].fillna(0)) == [10, 0]
    member = march.table("campaign_members").execute().iloc[0]
    assert member["contacted_on"] == pd.Timestamp("2026-01-05") and pd.isna(member["responded_on"])


def test_attributes_are_those_valid_then(linked: tables.Tables) -> None:
    def customers(period: str) -> pd.DataFrame:
        return linked.scope("a", period).table("customers").execute()

    assert list(customers("2026Q1")["tier_given"]) == ["old"]
    assert list(customers("2026Q2")["tier_given"]) == ["new"]
    assert customers("2025Q4")["motive"].isna().all() and list(customers("2026Q1")["motive"]) == ["faith"]


def test_rows_without_branch_column_follow_their_keys(linked: tables.Tables) -> None:
    a, b, every = (linked.scope(branch, "2026Q2") for branch in ("a", "b", "all"))
    assert set(a.table("dues").execute()["due_id"]) == {"D1", "D2"}
    assert set(b.table("dues").execute()["due_id"]) == {"D3"}
    assert every.table("dues").count().execute() == 3
    assert list(b.table("campaign_members").execute()["customer_id"]) == ["bC1"]


def test_campaigns_and_costs_without_branch_belong_to_all(linked: tables.Tables) -> None:
    a, b = linked.scope("a", "2026Q1"), linked.scope("b", "2026Q1")
    assert list(a.table("campaigns").execute()["campaign_id"]) == ["X"]
    found = b.table("campaigns").order_by("campaign_id").execute()
    assert list(zip(found["campaign_id"], found["shared"], strict=True)) == [("X", True), ("Y", False)]
    assert linked.scope("all", "2026Q2").table("campaigns").count().execute() == 3
    assert dict(zip(*b.table("costs").execute()[["amount", "shared"]].T.to_numpy(), strict=True)) == {
        5.0: True,
        7.0: False,
    }


def test_targets_and_control_totals(linked: tables.Tables) -> None:
    a, b = linked.scope("a", "2026Q1"), linked.scope("b", "2026Q1")
    assert a.target("retention") == 0.8 and b.target("retention") == 0.9 and a.target("roi") is None
    totals = a.control_totals()
    assert list(totals["month"]) == list(pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01"]))
    assert not len(b.control_totals())


def test_set_aside_rows_are_left_out_and_the_footing_adds_up(linked: tables.Tables) -> None:
    rows = linked.raw("transactions").execute()
    bad = rows[rows["branch"] == "a"]["_row"].head(3).tolist()
    failures = pd.DataFrame(
        {
            "table": "transactions", "_row": [*bad, bad[0], bad[0] + 9],
            "rule": ["zero", "zero", "duplicate", "duplicate", "late"],
            "severity": "critical", "set_aside": [True, True, True, True, False],
        }
    )  # fmt: skip
    linked.failures_path.parent.mkdir()
    failures.to_parquet(linked.failures_path)
    scope = tables.open(linked.profile).scope("a", "2026Q2")
    total = len(rows[rows["branch"] == "a"])
    assert scope.table("transactions").count().execute() == total - 3
    assert scope.raw("transactions").count().execute() == total
    steps = scope.footing()
    found = steps[steps["table"] == "transactions"].set_index(["step", "rule"])
    assert found.loc[("set aside", "duplicate"), "rows"] == 2
    assert found.loc[("set aside", "zero"), "amount"] == 10
    rest = found.drop(index=("in files", ""))
    assert rest["rows"].sum() == found.loc[("in files", ""), "rows"] == total
    assert rest["amount"].sum() == found.loc[("in files", ""), "amount"]
    linked.failures_path.unlink()


def test_refunds_count_negative_and_anonymous_rows_apart(workplace: Workplace) -> None:
    lines = daily("a", date(2026, 1, 1), date(2026, 3, 31)) + ["r,aC1,a,2026-02-01,4,refund", "n,,a,2026-02-01,6,gift"]
    found = opened(workplace, lines).scope("a", "2026Q1").footing().set_index("step")
    assert dict(found["amount"]) == {"in files": 902.0, "anonymous": 6.0, "used": 896.0}
    assert dict(found["rows"]) == {"in files": 92, "anonymous": 1, "used": 91}
