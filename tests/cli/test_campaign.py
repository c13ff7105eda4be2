"""A list that measures itself, through the installed command: list, holdout, response, next period, verdict."""

from __future__ import annotations

import copy
import csv
import json
import os
import shutil
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.cli.conftest import Association

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the command is tried on POSIX systems"),
]
SEED = int(os.environ["CRM_TEST_SEED"])
SEGMENT = ("export", "segment:best", "--profile", "shop.yaml")


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


def test_list_to_campaign_and_the_next_check(shop):
    shop.profile["roi"] = {"min_control": 5}
    shop.write()
    arguments = ("--campaign", "SPRING26", "--holdout", "40%", "--starts", "2026-01-05", "--contact-cost", "2")
    done = shop.run("export", "status:active", "--profile", "shop.yaml", *arguments)
    assert done.returncode == 0, done.stderr
    assert "campaign    SPRING26 (retention)" in done.stdout and "2026-01-05, 90 days after it included" in done.stdout
    assert {"outbox/spring26/campaigns.parquet", "outbox/spring26/campaign_members.parquet"} <= done.added
    assert "build/shop/exports/spring26-contacts.csv" in done.added
    again = shop.run("export", "status:active", "--profile", "shop.yaml", *arguments)
    assert (again.returncode, again.stdout) == (2, "") and "outbox/spring26/campaigns.parquet" not in again.touched
    assert again.stderr == (
        'crm-analysis: There is a campaign "SPRING26" already, and an assignment is never changed. Give this '
        "one another name.\n"
    )
    planned = shop.run("check", "--profile", "shop.yaml", "--strict")  # members assigned ahead are no breach
    assert planned.returncode == 0, planned.stdout


def outbox(place: Association) -> tuple[pd.DataFrame, dict]:
    folder = place.folder / "data/outbox/thanks27"
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return pd.read_parquet(folder / "campaign_members.parquet"), record


class Round(Association):
    """The association's Seoul branch, and another quarter written to its files once a campaign was drawn."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, seed=SEED, donors=4_000)
        self._settle(date(2026, 9, 30))

    def copied(self, folder: Path) -> Round:
        """The same in another folder, all that was made of it included."""
        twin = copy.copy(self)
        twin.folder = shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return twin

    def _settle(self, data_ends_on: date) -> None:
        path = self.folder / "haneul.yaml"
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings["coverage"]["data_ends_on"] = data_ends_on
        settings["tables"].pop("control_totals", None)
        path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

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
        members, _ = outbox(self)
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
        self._settle(date(2026, 12, 31))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The association with a campaign drawn from a list of Seoul's, before anybody was contacted."""
    place = Round(tmp_path_factory.mktemp("round"))
    done = place.command(
        "export", "status:active", "--branch", "seoul", "--campaign", "THANKS27", "--holdout", "30%",
        "--starts", "2026-10-01", "--window-days", "60", "--contact-cost", "100000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, record = outbox(place)
    assert record["left_out"]["no_consent"] > 0 and record["left_out"]["running_campaign"] > 0
    return place


@pytest.mark.parametrize(("chance", "verdicts"), [(0.6, {"earned"}), (0.0, {"lost", "unknown"})])
def test_list_response_next_period_verdict(tmp_path, drawn, chance, verdicts):
    """Contacts that cost 100,000 won bring 800,000 from six in ten, or nothing: far more than giving varies."""
    place = drawn.copied(tmp_path)
    members, _ = outbox(place)
    place.next_quarter(chance=chance, amount=800_000)
    done = place.command("run", "--chapter", "crm_roi", "--branch", "seoul", "--period", "2026Q4")
    assert done.returncode == 0, done.stdout + done.stderr
    bundle = json.loads((place.build / "executed/2026Q4/seoul/crm_roi.findings.json").read_text(encoding="utf-8"))
    found = {each["key"]: each for each in [*bundle["claims"]["findings"], *bundle["claims"]["measures"]]}
    roi = found["crm_roi.thanks27.roi"]
    arms = Counter(members["arm"])
    assert roi["n"] == arms["treated"] + arms["control"]
    tone = {"good": "earned", "bad": "lost"}.get(roi["tone"], "unknown")
    assert tone in verdicts, roi["sentence"]
