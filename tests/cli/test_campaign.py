"""A list that measures itself, through the installed command: list, holdout, response, next period, verdict."""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import yaml

from tests.cli.conftest import Association, Shop

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the command is tried on POSIX systems")
SEED = int(os.environ["CRM_TEST_SEED"])
SEGMENT = ("export", "segment:best", "--profile", "shop.yaml")
TEST = ("--campaign", "SPRING26", "--holdout", "40%", "--starts", "2026-01-05")


def write(path: Path, rows: list[dict]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def customers_of(shop: Shop) -> list[str]:
    return sorted({row[1] for row in shop.rows}, key=lambda name: name[-4:])


def full(shop: Shop) -> None:
    """Consents, contacts and a running campaign beside the sales; everybody counts as active."""
    ids = customers_of(shop)
    rows = [
        {
            "customer_id": each,
            "branch": "north" if int(each[-4:]) % 3 else "south",
            "joined_on": "2024-12-01",
            "email": f"{each}@example.org",
            "consent_contact": "" if i % 10 == 9 else str(i % 10 != 8).lower(),
        }
        for i, each in enumerate(ids)
    ]
    write(shop.folder / "customers.csv", rows)
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
    write(shop.folder / "contacts.csv", contacts)
    campaigns = [
        {"campaign_id": name, "name": name, "programme": "retention", "starts_on": start, "ends_on": start}
        | {"window_days": 60}
        for name, start in (("OVER25", "2025-09-01"), ("LATE25", "2025-12-01"))
    ]
    write(shop.folder / "campaigns.csv", campaigns)
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
    write(shop.folder / "campaign_members.csv", members)
    for name in ("customers", "contacts", "campaigns", "campaign_members"):
        shop.profile["tables"][name] = {"files": [f"{name}.csv"]}
    shop.profile["contact_limits"] = {"max_contacts": 2, "within_days": 30}
    shop.profile["tiers"] = {"rules": [{"name": "everybody"}]}
    shop.profile["roi"] = {"min_control": 20}
    shop.write()


def outbox(place, name: str = "spring26") -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    folder = place.folder / ("data/outbox" if isinstance(place, Association) else "outbox") / name
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return pd.read_parquet(folder / "campaigns.parquet"), pd.read_parquet(folder / "campaign_members.parquet"), record


def test_who_is_left_out_and_why(shop):
    full(shop)
    ids = customers_of(shop)
    done = shop.run("export", "tier:everybody", "--profile", "shop.yaml", *TEST)
    assert done.returncode == 0, done.stderr
    campaigns, members, record = outbox(shop)
    listed = set(pd.read_csv(shop.folder / "customers.csv")["customer_id"])
    n = record["on_the_list"]
    assert n <= len(listed)
    left = record["left_out"]
    there = set(members["customer_id"])
    # by hand: the eighth and ninth of ten have no or no known consent, then campaigns, then contacts
    assert not there & {each for i, each in enumerate(ids) if i % 10 in (8, 9)}
    assert {ids[11], ids[12]}.isdisjoint(there) and ids[
        10
    ] in there  # both arms of what still runs; what is over is free
    assert ids[0] not in there and {ids[1], ids[2], ids[3]} <= there
    assert left["running_campaign"] == 2 and left["contact_limit"] == 1
    assert n == len(members) + sum(left.values())
    assert "12 without consent" in done.stdout or f"{left['no_consent']} without consent" in done.stdout
    assert "2 in a running campaign (LATE25)" in done.stdout
    row = campaigns.iloc[0]
    assert (row["campaign_id"], row["window_days"], row["planned_control_share"]) == ("SPRING26", 90, 0.4)
    assert abs((members["arm"] == "control").sum() - 0.4 * len(members)) < 1
    assert set(members["assigned_on"]) == {date(2026, 1, 5)}


def test_the_files_are_their_owners_cannot_run_and_name_only_the_treated(shop):
    for row in shop.rows:
        if row[1] == "C0003":
            row[1] = "=C0003"
    full(shop)
    done = shop.run("export", "tier:everybody", "--profile", "shop.yaml", *TEST, "--format", "xlsx")
    assert done.returncode == 0, done.stderr
    _, members, _ = outbox(shop)
    contacts = shop.folder / "build/shop/exports/spring26-contacts.xlsx"
    head, *rows = openpyxl.load_workbook(contacts)["customers"].iter_rows(values_only=True)
    assert list(head) == ["customer_id", "branch", "email"]
    treated = set(members.loc[members["arm"] == "treated", "customer_id"])
    assert {row[0].removeprefix("'") for row in rows} == treated
    assert not any(row[0].startswith("=") for row in rows)
    for path in [contacts, *(shop.folder / "outbox/spring26").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "=C0003" in set(members["customer_id"])  # Parquet runs nothing, and the name must stay what it is


def test_the_same_name_draws_the_same_people_and_another_others(shop, tmp_path):
    full(shop)
    arguments = ("export", "tier:everybody", "--profile", "shop.yaml", "--holdout", "40%", "--starts", "2026-01-05")
    assert shop.run(*arguments, "--campaign", "ONE").returncode == 0
    _, first, _ = outbox(shop, "one")
    (shop.folder / "outbox").rename(tmp_path / "elsewhere")
    assert shop.run(*arguments, "--campaign", "ONE").returncode == 0
    _, again, _ = outbox(shop, "one")
    pd.testing.assert_frame_equal(first, again)
    (shop.folder / "outbox").rename(tmp_path / "elsewhere too")
    assert shop.run(*arguments, "--campaign", "TWO").returncode == 0
    _, other, _ = outbox(shop, "two")
    assert set(first.query("arm == 'control'")["customer_id"]) != set(other.query("arm == 'control'")["customer_id"])


def test_what_only_the_data_can_refuse(shop, refused):
    full(shop)
    everybody = ("export", "tier:everybody", "--profile", "shop.yaml")
    assert shop.run(*everybody, *TEST).returncode == 0
    again = refused(shop.run(*everybody, *TEST, "--starts", "2026-08-01"), checks=True)
    assert again == (
        'There is a campaign "SPRING26" already, and an assignment is never changed. Give this one another name.'
    )
    given = refused(shop.run(*everybody, "--campaign", "late25", "--holdout", "40%"), checks=True)
    assert given.startswith('There is a campaign "LATE25" already')
    early = refused(shop.run(*everybody, "--campaign", "X", "--holdout", "40%", "--starts", "2025-12-31"), checks=True)
    assert early.startswith(
        "--starts 2025-12-31: the data already reach to 2025-12-31. What was paid by then is known, so a test that "
        "starts before cannot be fixed beforehand; start on "
    )
    empty = refused(shop.run(*everybody, "--campaign", "X", "--holdout", "40%", "--starts", "2026-01-06"), checks=True)
    assert empty.startswith("Nobody of the ") and "in a running campaign (LATE25, SPRING26)" in empty
    assert empty.endswith(". Nothing was written.")
    later = ("--campaign", "X", "--starts", "2026-08-01")
    small = refused(shop.run(*everybody, *later, "--holdout", "5%"), checks=True)
    assert "a result needs 20 in each arm (roi.min_control). For this share a list of 400 or more is needed" in small
    other = ("--profile", "shop.yaml", *later, "--holdout", "40%")
    unknown = refused(shop.run("export", "tier:everybdy", *other), checks=True)
    assert unknown == (
        'There is no list "tier:everybdy" for all. Did you mean "tier:everybody"? Lists of that kind: tier:everybody.'
    )
    finding = refused(shop.run("export", "customer_value.retention", *other), checks=True)
    assert finding.startswith('There is no list "customer_value.retention" for all. Lists: segment:best, ')
    programme = refused(shop.run(*everybody, *later, "--holdout", "40%", "--programme", "winbak"), checks=True)
    assert programme.startswith('--programme: there is no programme "winbak". Did you mean "winback"?')
    ends = refused(shop.run(*everybody, *later, "--holdout", "40%", "--ends", "2026-07-01"), checks=True)
    assert ends == "--ends 2026-07-01 lies before the campaign starts, on 2026-08-01."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--campaign", "X", "--holdout", "0%"), "--holdout 0: with nobody held out there is nothing to compare with"),
        (("--campaign", "X", "--holdout", "95%"), "--holdout 95%: at most 90 % of a list can be held out"),
        (("--campaign", "X", "--holdout", "10"), "--holdout 10: a share above 1 needs its sign. Write 10%"),
        (("--campaign", "X", "--holdout", "some"), '"some" is not a share. Write --holdout 10% or --holdout 0.1.'),
        (("--campaign", "X"), "export segment:best: a campaign needs --holdout, such as"),
        ((), "export segment:best: a campaign needs --campaign and --holdout, such as"),
        (
            ("--campaign", "X", "--holdout", "1%", "--format", "parquet"),
            "--format parquet: the list of those to contact",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(shop, refused, arguments, message):
    shop.write()
    assert refused(shop.run(*SEGMENT, *arguments)).startswith(message)


def test_without_consents_and_limits_that_is_said(shop):
    shop.profile["roi"] = {"min_control": 5}
    shop.write()
    done = shop.run("export", "status:active", "--profile", "shop.yaml", *TEST)
    assert done.returncode == 0, done.stderr
    assert "the data hold no consent (customers.consent_contact): nobody could be left out for it" in done.stdout
    assert "the profile limits no contacts (contact_limits)" in done.stdout


def test_the_plan_is_in_money(shop):
    shop.profile["roi"] = {"min_control": 5}
    shop.profile["roi"]["balance_history_days"] = 120
    shop.write()
    done = shop.run("plan", "status:active", "--profile", "shop.yaml", "--contact-cost", "20", "--window-days", "60")
    assert done.returncode == 0, done.stderr
    assert "can show    a return of " in done.stdout and "break-even is that much more margin" in done.stdout
    none = shop.run("plan", "status:active", "--profile", "shop.yaml", "--contact-cost", "0", "--window-days", "60")
    assert none.returncode == 2 and "No test can be planned: a return needs a cost" in none.stderr


class Round(Association):
    """The association's Seoul branch, and another quarter written to its files once a campaign was drawn."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, seed=SEED, donors=6_000)
        path = folder / "haneul.yaml"
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings["coverage"]["data_ends_on"] = date(2026, 9, 30)
        del settings["tables"]["control_totals"]
        self._settings, self._path = settings, path
        self._save()

    def _save(self) -> None:
        self._path.write_text(yaml.safe_dump(self._settings, allow_unicode=True), encoding="utf-8")

    def next_quarter(self, *, chance: float, amount: float) -> None:
        """Last year's fourth quarter once more, and what the treated give on top of it."""
        path = self.folder / "data" / "gifts_seoul.csv"
        with open(path, encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
        more = []
        for row in rows:
            if "2025-10-01" <= row["거래일자"][:10] <= "2025-12-31" and row["구분"] != "환불":
                day = date.fromisoformat(row["거래일자"][:10]) + timedelta(days=365)
                more.append(row | {"거래일자": str(day), "입력일자": str(day)})
        _, members, _ = outbox(self, "thanks27")
        rng = np.random.default_rng(SEED)
        giving = members[(members["arm"] == "treated") & (rng.random(len(members)) < chance)]
        plain = next(row for row in more if row["구분"] == "일시후원")
        for donor in giving["customer_id"]:
            day = str(date(2026, 10, 2) + timedelta(days=int(rng.integers(0, 50))))
            more.append(plain | {"후원자번호": donor, "거래일자": day, "입력일자": day, "금액": f"{amount:.0f}"})
        for i, row in enumerate(more):
            row |= {
                "거래번호": f"HNL-NEXT{i:06d}",
                "캠페인": "",
                "약정번호": "",
                "원거래번호": "",
                "정가": "",
                "할인액": "",
            }
        with open(path, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows([*rows, *more])
        self._settings["coverage"]["data_ends_on"] = date(2026, 12, 31)
        self._save()


@pytest.mark.slow
@pytest.mark.parametrize(("chance", "verdicts"), [(0.6, {"earned"}), (0.0, {"lost", "unknown"})])
def test_list_response_next_period_verdict(tmp_path, chance, verdicts):
    """Contacts that cost 20,000 won bring 120,000 from six in ten, or nothing: five standard errors either way."""
    place = Round(tmp_path)
    done = place.command(
        "export", "status:active", "--branch", "seoul", "--campaign", "THANKS27", "--holdout", "30%",
        "--starts", "2026-10-01", "--window-days", "60", "--contact-cost", "20000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, members, record = outbox(place, "thanks27")
    assert record["left_out"]["no_consent"] > 0 and record["left_out"].get("running_campaign", 0) >= 0
    running = place.command("report", "--chapter", "crm_roi", "--branch", "seoul", "--period", "2026Q3")
    assert running.returncode == 0, running.stdout + running.stderr
    place.next_quarter(chance=chance, amount=120_000)
    done = place.command("report", "--chapter", "crm_roi", "--branch", "seoul", "--period", "2026Q4")
    assert done.returncode == 0, done.stdout + done.stderr
    bundle = json.loads((place.build / "executed/2026Q4/seoul/crm_roi.findings.json").read_text(encoding="utf-8"))
    found = {each["key"]: each for each in [*bundle["claims"]["findings"], *bundle["claims"]["measures"]]}
    roi = found["crm_roi.thanks27.roi"]
    arms = Counter(members["arm"])
    assert roi["n"] == arms["treated"] + arms["control"]
    tone = {"good": "earned", "bad": "lost"}.get(roi["tone"], "unknown")
    assert tone in verdicts, roi["sentence"]
    page = next((place.build / "html").rglob("*crm_roi*.html")).read_text(encoding="utf-8")
    assert "THANKS27" in page and "30" in page
