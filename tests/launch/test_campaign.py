"""A list made into a campaign: who is left out and why, what is written, and what is refused."""

from __future__ import annotations

import csv
import json
import stat
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import yaml

from crm_analysis import launch, profile, tables
from crm_analysis.errors import DataError, UserError
from crm_analysis.tables.ingestion import ingest

pytestmark = pytest.mark.slow

ORDER = launch.Order(name="SPRING26", holdout_share=0.4, starts_on=date(2026, 1, 5))
TODAY = date(2026, 1, 2)


def sales() -> list[dict]:
    """Two stores, 120 customers, purchases over 2025 from one seed."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(120):
        who = "=C0003" if number == 3 else f"C{number:04d}"
        day = date(2025, 1, 1) + timedelta(days=int(rng.integers(0, 120)))
        while day <= date(2025, 12, 31):
            store = "north" if number % 3 else "south"
            rows.append(
                {"transaction_id": f"R{len(rows)}", "customer_id": who, "branch": store, "occurred_at": str(day)}
            )
            rows[-1] |= {"amount": f"{rng.gamma(4, 8):.2f}", "kind": "sale"}
            day += timedelta(days=int(rng.exponential(45)) + 1)
    return rows


def write(path: Path, rows: list[dict]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def described(folder: Path, *, bare: bool = False, **settings: object) -> Path:
    """A shop's files and profile; `bare` has sales alone, otherwise consents, contacts and campaigns come with them."""
    rows = sales()
    write(folder / "transactions.csv", rows)
    there = ["transactions"]
    ids = IDS
    if not bare:
        there += ["customers", "contacts", "campaigns", "campaign_members"]
        people = [
            {"customer_id": each, "branch": "north" if i % 3 else "south", "joined_on": "2024-12-01"}
            | {"email": f"c{i}@example.org", "consent_contact": "" if i % 10 == 9 else str(i % 10 != 8).lower()}
            for i, each in enumerate(ids)
        ]
        write(folder / "customers.csv", people)
        made = [
            (ids[0], "2025-12-20", "out"), (ids[0], "2025-12-28", "out"),  # twice within thirty days
            (ids[1], "2025-12-20", "out"), (ids[1], "2025-12-28", "in"),
            (ids[2], "2025-11-20", "out"), (ids[2], "2025-12-28", "out"),
            (ids[3], "2025-12-20", "out"), (ids[3], "2025-12-20", "out"),  # one day counts once
        ]  # fmt: skip
        contacts = [
            {"contact_id": f"K{i}", "branch": "north", "occurred_at": day, "channel": "mail", "direction": way}
            | {"customer_id": who}
            for i, (who, day, way) in enumerate(made)
        ]
        write(folder / "contacts.csv", contacts)
        campaigns = [
            {"campaign_id": name, "name": name, "programme": "retention", "starts_on": start, "ends_on": start}
            | {"window_days": 60}
            for name, start in (("OVER25", "2025-09-01"), ("LATE25", "2025-12-01"))
        ]
        write(folder / "campaigns.csv", campaigns)
        assigned = [
            ("OVER25", "2025-09-01", ids[10], "treated"),
            ("LATE25", "2025-12-01", ids[11], "treated"),
            ("LATE25", "2025-12-01", ids[12], "control"),
        ]
        members = [
            {"campaign_id": name, "customer_id": who, "arm": arm, "assigned_on": start}
            | {"contacted_on": start if arm == "treated" else ""}
            for name, start, who, arm in assigned
        ]
        write(folder / "campaign_members.csv", members)
    given = {
        "id": "shop",
        "name": "Corner shop",
        "currency": "EUR",
        "data": ".",
        "tables": {name: {"files": [f"{name}.csv"]} for name in there},
        "tiers": {"rules": [{"name": "everybody"}]},
        "roi": {"min_control": 20},
        "coverage": {"data_ends_on": date(2025, 12, 31)},
    }
    if not bare:
        given["contact_limits"] = {"max_contacts": 2, "within_days": 30}
    (folder / "shop.yaml").write_text(yaml.safe_dump(given | settings), encoding="utf-8")
    return folder / "shop.yaml"


NAMED = "--campaign: give the campaign a name of 1 to 60 printable characters, such as WELCOME27."
IDS = [f"C{i:04d}" if i != 3 else "=C0003" for i in range(120)]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Opens the tables of a profile anew, as every command does: what lies in the outbox is read with them."""
    monkeypatch.chdir(tmp_path)

    def read(path: Path) -> tables.Tables:
        settings = profile.load(path)
        ingest(settings)
        return tables.open(settings)

    return read


@pytest.fixture
def shop(tmp_path, opened):
    return lambda **settings: opened(described(tmp_path, **settings))


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """Sales alone, read once for the tests that write nothing."""
    folder = tmp_path_factory.mktemp("untouched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_ANALYSIS_BUILD", str(folder / "build"))
        settings = profile.load(described(folder, bare=True, roi={"min_control": 20, "balance_history_days": 120}))
        ingest(settings)
        yield tables.open(settings)


def everybody(name: str = "tier:everybody") -> launch.CustomerList:
    return launch.CustomerList(name, date(2025, 12, 31), pd.Index(IDS).sort_values())


def made_of(shop_tables: tables.Tables, order: launch.Order = ORDER, *, kind: str = "csv") -> launch.Launched:
    return launch.launch(shop_tables, everybody(), order, kind=kind, today=TODAY)


def refusal(shop_tables: tables.Tables, **changes: object) -> str:
    with pytest.raises(UserError) as raised:
        made_of(shop_tables, replace(ORDER, **changes))
    return str(raised.value)


def test_who_is_left_out_and_why(shop):
    made = made_of(shop())
    there = set(made.members["customer_id"])
    # by hand: the eighth and ninth of ten have no or no known consent, then campaigns, then contacts
    silent = {each for i, each in enumerate(IDS) if i % 10 in (8, 9)}
    assert set(IDS) - there == silent | {IDS[11], IDS[12], IDS[0]}
    assert dict(made.screening.left_out) == {
        "no_consent": 12, "consent_unknown": 12, "running_campaign": 2, "contact_limit": 1,
    }  # fmt: skip
    assert made.screening.running == ("LATE25",)
    text = launch.said(made, None, profile.load("shop.yaml"))
    assert "12 without consent; 12 whose consent is not recorded; 2 in a running campaign (LATE25); 1 contacted" in text


def test_what_is_written_is_read_back_without_touching_the_profile(shop, opened, tmp_path):
    before = (tmp_path / "shop.yaml").read_bytes() if (tmp_path / "shop.yaml").exists() else None
    made = made_of(shop(), replace(ORDER, contact_cost=3.0))
    again = opened(tmp_path / "shop.yaml")
    campaigns = again.accepted("campaigns").execute().set_index("campaign_id")
    assert set(campaigns.index) == {"OVER25", "LATE25", "SPRING26"}
    row = campaigns.loc["SPRING26"]
    assert (row["window_days"], row["planned_control_share"], row["contact_cost"]) == (90, 0.4, 3.0)
    assert pd.Timestamp(row["starts_on"]).date() == date(2026, 1, 5)
    members = again.accepted("campaign_members").execute()
    own = members[members["campaign_id"] == "SPRING26"].set_index("customer_id")["arm"]
    assert own.to_dict() == made.members.set_index("customer_id")["arm"].to_dict()
    assert "=C0003" in own.index  # Parquet runs nothing, and the name must stay what it is
    assert before is None or before == (tmp_path / "shop.yaml").read_bytes()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_days_filled_in_on_the_list_of_contacts_reach_the_members(shop, opened, tmp_path, kind):
    made = made_of(shop(), kind=kind)
    write_list = pd.DataFrame.to_csv if kind == "csv" else pd.DataFrame.to_excel
    read_list = pd.read_csv if kind == "csv" else pd.read_excel
    filled = read_list(made.contacts, dtype=str, keep_default_na=False)
    assert (filled[["contacted_on", "delivered_on", "responded_on"]] == "").all(axis=None)
    filled.loc[filled.index % 4 != 0, "contacted_on"] = "2026-01-06"
    filled.loc[2, "contacted_on"] = ""
    write_list(filled, made.contacts, index=False)

    def members() -> pd.DataFrame:
        rows = opened(tmp_path / "shop.yaml").accepted("campaign_members").execute()
        return rows[rows["campaign_id"] == "SPRING26"].set_index("customer_id")

    after = members()
    assert after["arm"].to_dict() == made.members.set_index("customer_id")["arm"].to_dict(), "nobody changes arms"
    days = after.loc[[name.removeprefix("'") for name in filled["customer_id"]], "contacted_on"]
    assert days.notna().tolist() == (filled["contacted_on"] != "").tolist()
    assert after.loc[after["arm"] == "control", "contacted_on"].isna().all()
    assert stat.S_IMODE((made.folder / "campaign_members.parquet").stat().st_mode) == 0o600
    stamp = (made.folder / "campaign_members.parquet").stat().st_mtime_ns
    members()
    assert (made.folder / "campaign_members.parquet").stat().st_mtime_ns == stamp, "a list is taken back once"
    filled["contacted_on"] = ""
    write_list(filled, made.contacts, index=False)
    assert "contacted_on" not in members() or members()["contacted_on"].isna().all(), "a day taken out again is gone"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contacted_on": "next week"}, "contacted_on: 1 of {n} rows hold no day (first: line 2, 'next week'). Write"),
        ({"customer_id": "C9999"}, "1 of {n} rows name customers whom the campaign does not treat (first: line 2, 'C9"),
    ],
)
def test_a_list_of_contacts_that_cannot_be_meant_is_refused_with_its_line(shop, opened, tmp_path, change, message):
    made = made_of(shop())
    filled = pd.read_csv(made.contacts, dtype=str, keep_default_na=False)
    for name, value in change.items():
        filled.loc[0, name] = value
    filled.to_csv(made.contacts, index=False)
    with pytest.raises(DataError) as raised:
        opened(tmp_path / "shop.yaml")
    assert message.format(n=len(filled)) in str(raised.value) and "spring26-contacts.csv" in str(raised.value)


def test_a_list_of_contacts_saved_twice_is_refused_until_one_is_gone(shop, opened, tmp_path):
    made = made_of(shop())
    filled = pd.read_csv(made.contacts, dtype=str, keep_default_na=False)
    copy = made.contacts.with_suffix(".xlsx")
    filled.to_excel(copy, index=False)  # saved as, then filled in where it was
    filled["contacted_on"] = "2026-01-06"
    filled.to_csv(made.contacts, index=False)
    before = (made.folder / "campaign_members.parquet").read_bytes()
    with pytest.raises(DataError) as raised:
        opened(tmp_path / "shop.yaml")
    assert str(raised.value) == (
        f"{made.contacts} and {copy.name}: two lists of contacts of one campaign, and nobody can tell which of them "
        "was filled in. Keep the one with the days and move the other away."
    )
    assert (made.folder / "campaign_members.parquet").read_bytes() == before
    copy.unlink()
    rows = opened(tmp_path / "shop.yaml").accepted("campaign_members").execute()
    assert rows.loc[rows["campaign_id"] == "SPRING26", "contacted_on"].notna().sum() == len(filled)


def test_a_profile_without_campaigns_gets_them_from_the_outbox(shop, opened, tmp_path):
    bare = shop(bare=True)
    assert not bare.has("campaigns")
    made = made_of(bare)
    assert made.screening.consent_on is None and not made.screening.limited
    assert "the data hold no consent" in launch.said(made, None, bare.profile)
    again = opened(tmp_path / "shop.yaml")
    assert again.accepted("campaigns").count().execute() == 1


def test_the_outbox_may_lie_elsewhere(shop, opened, tmp_path):
    made = made_of(shop(bare=True, outbox="sent [1]"))
    assert made.folder == tmp_path / "sent [1]" / "spring26" or made.folder.resolve() == tmp_path / "sent [1]/spring26"
    assert opened(tmp_path / "shop.yaml").has("campaign_members")


def test_the_split_is_the_share_in_every_branch_and_tenth(shop):
    members = made_of(shop()).members
    held = members["arm"] == "control"
    assert abs(held.sum() - 0.4 * len(members)) < 1
    by = held.groupby(members["stratum"]).agg(["sum", "size"])
    assert (abs(by["sum"] - 0.4 * by["size"]) < 1 + 1e-9).all() and len(by) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX")
def test_the_files_are_their_owners_cannot_run_and_name_only_the_treated(shop):
    made = made_of(shop(), kind="xlsx")
    head, *rows = openpyxl.load_workbook(made.contacts)["customers"].iter_rows(values_only=True)
    assert list(head) == ["customer_id", "branch", "email", "contacted_on", "delivered_on", "responded_on"]
    treated = set(made.members.loc[made.members["arm"] == "treated", "customer_id"])
    assert {row[0].removeprefix("'") for row in rows} == treated
    assert not any(row[0].startswith("=") for row in rows)
    for path in [made.contacts, *made.folder.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    record = (made.folder / "record.json").read_text(encoding="utf-8")
    assert json.loads(record)["treated"] == len(treated) and not any(each in record for each in IDS)


def test_the_same_name_draws_the_same_people_and_another_others(shop, tmp_path):
    first = made_of(shop())
    first.folder.rename(tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(first.members, made_of(shop()).members)
    (tmp_path / "outbox" / "spring26").rename(tmp_path / "elsewhere too")
    other = made_of(shop(), replace(ORDER, name="SUMMER26"))
    assert not other.members["arm"].equals(first.members["arm"])


def test_no_campaign_is_written_twice_and_nobody_is_in_two_at_once(shop, opened, tmp_path):
    stale = shop()
    made_of(stale)
    assert "spring26 is there already" in refusal(stale)  # by tables read before it was written
    again = opened(tmp_path / "shop.yaml")
    kept = {path: path.read_bytes() for path in (tmp_path / "outbox/spring26").iterdir()}
    assert refusal(again) == (
        'There is a campaign "SPRING26" already, and an assignment is never changed. Give this one another name.'
    )
    assert refusal(again, name="late25").startswith('There is a campaign "LATE25" already')
    # everybody of the list is in it, or was in LATE25, or gave no consent
    assert refusal(again, name="NEXT26").startswith(
        'Nobody of the 120 customers of "tier:everybody" may be contacted: '
    )
    later = made_of(again, replace(ORDER, name="NEXT26", starts_on=date(2026, 7, 1)))
    assert len(later.members) == 96
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_disk_that_refuses_leaves_neither_half(shop, tmp_path):
    there = shop(bare=True)
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="could not be written"):
        made_of(there)
    assert not list((tmp_path / "build/shop/exports").glob("*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"starts_on": date(2025, 12, 31)}, "--starts 2025-12-31: the data already reach to 2025-12-31. What was paid "
         "by then is known, so a test that starts before cannot be fixed beforehand; start on 2026-01-02 or later."),
        ({"ends_on": date(2026, 1, 4)}, "--ends 2026-01-04 lies before the campaign starts, on 2026-01-05."),
        ({"window_days": 0}, "--window-days 0: an outcome is followed for 1 to 1096 days after the start."),
        ({"contact_cost": -1.0}, "--contact-cost -1: write a cost as a positive number."),
        ({"programme": "winbak"}, '--programme: there is no programme "winbak". Did you mean "winback"? Programmes: '
         "acquisition, welcome, upsell, cross_sell, vip, retention, winback."),
        ({"holdout_share": 0.05}, "--holdout 0.05 holds out 6 of the 120 customers who may be contacted; a result "
         "needs 20 in each arm (roi.min_control). For this share a list of 400 or more is needed; or hold out 17%."),
        ({"holdout_share": 0.9}, "--holdout 0.9 treats 12 of the 120 customers who may be contacted; a result needs 20 "
         "in each arm (roi.min_control). For this share a list of 200 or more is needed."),
        ({"name": " "}, NAMED),
        ({"name": "A" * 61}, NAMED),
    ],
)  # fmt: skip
def test_what_is_refused(untouched, changes, message):
    assert refusal(untouched, **changes) == message
    settings = untouched.profile
    assert not settings.outbox_dir.exists() and not (settings.build_dir / "exports").exists()


def test_the_start_is_the_day_after_the_data_or_today(shop):
    there = shop(bare=True)
    late = launch.launch(there, everybody(), replace(ORDER, starts_on=None), kind="csv", today=date(2026, 3, 1))
    assert late.order.starts_on == date(2026, 3, 1)
    other = replace(ORDER, name="NEXT26", starts_on=None)
    early = launch.launch(there, everybody(), other, kind="csv", today=date(2025, 6, 1))
    assert early.order.starts_on == date(2026, 1, 1)


def test_lists_by_name(untouched):
    there = untouched
    found = launch.choose(there, "tier:Everybody", "all", "2025Q4")
    assert found.name == "tier:everybody" and set(found.customer_ids) == set(IDS)
    south = launch.choose(there, "tier:everybody", "south", "2025Q4")
    assert set(south.customer_ids) == {each for i, each in enumerate(IDS) if i % 3 == 0}
    with pytest.raises(UserError) as near:
        launch.choose(there, "segment:bst", "all", "2025Q4")
    assert str(near.value).startswith('There is no list "segment:bst" for all. Did you mean "segment:best"? Lists of ')
    with pytest.raises(UserError) as unknown:
        launch.choose(there, "customer_value.retention", "all", "2025Q4")
    assert "Lists: segment:best, segment:slipping" in str(unknown.value)
    assert str(unknown.value).endswith("Lists behind findings are there once `crm-analysis run` has made their pages.")
    with pytest.raises(UserError, match="Nobody is on the list"):
        launch.choose(there, "status:lost", "all", "2025Q4")


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("10 %", 0.1), ("0.1", 0.1), ("12,5%", 0.125), ("90%", 0.9)])
def test_shares_as_people_write_them(text, share):
    assert launch.read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "0%", "95%", "10", "ten", "-5%", ""])
def test_shares_that_make_no_test(text):
    with pytest.raises(UserError, match="holdout"):
        launch.read_share(text)


def test_the_plan_of_a_list_is_in_money(untouched):
    there = untouched
    numbers = {"contact_cost": 20.0, "expected_roi": 1.0, "window_days": 60}
    found = launch.plan(there, everybody().customer_ids.to_series(), **numbers)
    assert found.spread.n_windows == 4 and found.plain.cost_per_treated == 20.0
    screened = launch.screen(there, everybody().customer_ids, starts_on=date(2026, 1, 5), window_days=60)
    text = launch.said_plan(everybody(), screened, found, there.profile)
    assert "can show    a return of " in text and "break-even is that much more margin from each of them" in text
    assert "over 4 past windows of 61 days" in text
    once = replace(found, spread=replace(found.spread, n_windows=1))
    assert "over one past window of 61 days" in launch.said_plan(everybody(), screened, once, there.profile)
    with pytest.raises(UserError, match="No test can be planned: a return needs a cost"):
        launch.plan(there, everybody().customer_ids.to_series(), **(numbers | {"contact_cost": 0.0}))
    with pytest.raises(UserError, match="hold no whole window of 366 days"):
        launch.plan(there, everybody().customer_ids.to_series(), **(numbers | {"window_days": 365}))


def test_the_outbox_of_data_that_come_with_the_program_is_in_the_build_folder(untouched):
    demo = profile.load(Path(__file__).parents[2] / "analyses" / "profiles" / "demo.yaml")
    assert demo.outbox_dir == demo.build_dir / "outbox"
    cdnow = profile.load(Path(__file__).parents[2] / "analyses" / "profiles" / "cdnow.yaml")
    assert cdnow.outbox_dir == cdnow.build_dir / "outbox"
    assert untouched.profile.outbox_dir == untouched.profile.data_root / "outbox"


def test_who_is_held_out_of_every_campaign_stays_out(shop):
    there = shop(roi={"min_control": 20, "universal_holdout": "LATE25"})
    made = made_of(there)
    assert dict(made.screening.left_out) == {
        "no_consent": 12, "consent_unknown": 12, "universal_holdout": 1, "contact_limit": 1,
    }  # fmt: skip
    assert IDS[12] not in set(made.members["customer_id"])  # its control
    assert IDS[11] in set(made.members["customer_id"])  # everybody else is free for campaigns
