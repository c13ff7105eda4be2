"""A small shop written as plain files, and the installed command run on it as a user would."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup

from crm_analysis import demo

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "crm-analysis"
HEADER = ["receipt", "customer", "store", "day", "paid", "kind"]


@dataclass(frozen=True)
class Done:
    """How a command ended; the files it left that were not there before, and those it changed or removed."""

    returncode: int
    stdout: str
    stderr: str
    added: frozenset[str]
    touched: frozenset[str]


def environment() -> dict[str, str]:
    """The variables of this process without the command's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CRM_ANALYSIS")}


class Place:
    """A folder in which the installed command is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, **options: Any) -> Done:
        """`crm-analysis` with arguments, in this folder."""
        before = self.tree()
        prefix = options.pop("prefix", [])
        done = subprocess.run(
            [*prefix, str(COMMAND), *arguments],
            cwd=self.folder,
            env=environment() | options.pop("environment", {}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=900,
            **options,
        )
        after = self.tree()
        added = frozenset(after.keys() - before.keys())
        touched = frozenset(name for name, state in before.items() if after.get(name) != state)
        return Done(done.returncode, done.stdout, done.stderr, added, touched)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`crm-analysis` with arguments, in this folder and a process group of its own, silent and not waited for."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(
            [str(COMMAND), *arguments], cwd=self.folder, env=environment(), start_new_session=True, **quiet
        )

    def tree(self) -> dict[str, tuple[int, int]]:
        """Every file below the folder but the lock, with size and time, to see whether anything was touched."""
        return {
            str(path.relative_to(self.folder)): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }


class Shop(Place):
    """A folder with one transactions file, a profile and a build folder; `run` calls the installed command in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.profile: dict[str, Any] = {
            "id": "shop",
            "name": "Corner shop",
            "currency": "EUR",
            "data": ".",
            "tables": {
                "transactions": {
                    "files": ["sales.csv"],
                    "columns": {
                        "transaction_id": "receipt",
                        "customer_id": "customer",
                        "branch": "store",
                        "occurred_at": "day",
                        "amount": "paid",
                        "kind": "kind",
                    },
                }
            },
        }
        self.rows = sales()
        self.header = list(HEADER)

    def write(self) -> None:
        """Put the files where the command finds them; sales that stand there already keep their time."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self.header, *self.rows])
        file = self.folder / "sales.csv"
        if not file.exists() or file.read_bytes() != text.getvalue().encode():
            file.write_bytes(text.getvalue().encode())
        text = yaml.safe_dump(self.profile, allow_unicode=True, sort_keys=False)
        (self.folder / "shop.yaml").write_text(text, encoding="utf-8")

    def check(self, **options: Any) -> Done:
        """`crm-analysis check` on the shop's profile."""
        return self.run("check", "--profile", "shop.yaml", **options)


def sales() -> list[list[str]]:
    """Two stores, 120 customers, purchases over 2025 from one seed."""
    rng = np.random.default_rng(7)
    rows = []
    for customer in range(120):
        store = "north" if customer % 3 else "south"
        day = date(2025, 1, 1) + timedelta(days=int(rng.integers(0, 120)))
        while day <= date(2025, 12, 31):
            rows.append(
                [f"R{len(rows):05d}", f"C{customer:04d}", store, day.isoformat(), f"{rng.gamma(4, 8):.2f}", "sale"]
            )
            day += timedelta(days=int(rng.exponential(45)) + 1)
    rows.sort(key=lambda row: row[3])
    return rows


FAULTS = {
    "good": "Letter with a control",
    "alone": "Letter without control",
    "few": "Letter with a small control",
    "twice": "Letter assigned twice",
    "both": "Letter in both arms",
    "early": "Letter answered early",
    "open": "Letter still running",
    "empty": "Letter without purchases",
    "lost": "Letter lost to follow up",
}
"""The campaigns of a shop with programmes, each with one fault but the first."""


def with_programmes(shop: Shop) -> None:
    """Campaigns, members and costs beside the sales, one fault a campaign, and two faults in the ledger.

    Each list has customers of its own. Those of `empty` paid before the campaign and never again; the store of most
    treated members of `lost` stopped reporting inside the window.
    """
    rng = np.random.default_rng(8)
    sizes = {key: (40 if key == "few" else 60, 12 if key == "few" else 60) for key in FAULTS}
    sizes["alone"] = (120, 0)
    rows: list[list[str]] = []
    members: list[list[str]] = []
    for key, (treated, control) in sizes.items():
        starts = {"open": date(2025, 12, 10), "lost": date(2025, 10, 1)}.get(key, date(2025, 4, 1))
        for number in range(treated + control):
            arm = "treated" if number < treated else "control"
            customer = f"{key.upper()}{number:03d}"
            store = "south" if key == "lost" and number < 40 else "north"
            day = date(2025, 1, 2) + timedelta(days=int(rng.integers(0, 80)))
            while day <= (date(2025, 10, 31) if store == "south" else date(2025, 12, 31)):
                if key != "empty" or day < starts:
                    paid = rng.gamma(4, 8) + (12.0 if arm == "treated" and day >= starts else 0.0)
                    rows.append([f"P{len(rows):05d}", customer, store, day.isoformat(), f"{paid:.2f}", "sale"])
                day += timedelta(days=int(rng.exponential(25)) + 1)
            answered = starts - timedelta(days=3) if key == "early" and number % 10 == 0 else None
            members.append([key, customer, arm, starts.isoformat(), answered.isoformat() if answered else ""])
            if key == "twice" and number % 6 == 0:
                members.append([key, customer, arm, (starts + timedelta(days=9)).isoformat(), ""])
            if key == "both" and number % 6 == 0:
                other = "control" if arm == "treated" else "treated"
                members.append([key, customer, other, starts.isoformat(), ""])
    shop.rows = sorted(rows, key=lambda row: row[3])
    days = {"open": date(2025, 12, 10), "lost": date(2025, 10, 1)}
    campaigns = [
        [key, name, "retention", days.get(key, date(2025, 4, 1)).isoformat(), "2025-12-31", "60", "2.0"]
        for key, name in FAULTS.items()
    ]
    costs = [[f"K{n}", "2025-04-01", "campaign", "120.0", key, "120.0", "contact"] for n, key in enumerate(FAULTS)]
    costs.append(["NEGATIVE", "2025-05-01", "campaign", "-50.0", "good", "", "fixed"])
    costs.append(["ORPHAN", "2025-05-01", "campaign", "333.0", "", "", "fixed"])
    headers = {
        "campaigns": ["campaign_id", "name", "programme", "starts_on", "ends_on", "window_days", "contact_cost"],
        "campaign_members": ["campaign_id", "customer_id", "arm", "assigned_on", "responded_on"],
        "costs": ["cost_id", "incurred_on", "category", "amount", "campaign_id", "planned_amount", "driver"],
    }
    for table, lines in (("campaigns", campaigns), ("campaign_members", members), ("costs", costs)):
        with (shop.folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([headers[table], *lines])
        shop.profile["tables"][table] = {"files": [f"{table}.csv"]}
    shop.profile["margin"] = {"rate": 0.5}


class Association(Place):
    """The built-in association as files of its own, with a profile that knows nothing of how they came to be."""

    def __init__(self, folder: Path, *, seed: int, donors: int, flips: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        demo.generate(folder / "data", seed=seed, donors=donors, flips=flips)
        settings = yaml.safe_load((ROOT / "analyses" / "profiles" / "demo.yaml").read_text(encoding="utf-8"))
        del settings["built_in"]
        settings |= {"id": "haneul", "data": "data"}
        (folder / "haneul.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

    @property
    def build(self) -> Path:
        """The profile's build folder."""
        return self.folder / "build" / "haneul"

    def command(self, name: str, *arguments: str, **options: Any) -> Done:
        """`crm-analysis NAME` on the association's profile."""
        return self.run(name, "--profile", "haneul.yaml", *arguments, **options)

    def claims(self, chapter: str, branch: str) -> dict[str, Any]:
        """What a chapter claims about a branch in the last quarter."""
        path = self.build / "executed" / "2026Q3" / branch / f"{chapter}.findings.json"
        return json.loads(path.read_text(encoding="utf-8"))["claims"]


def words(page: Path) -> str:
    """What a reader reads on a built page, white space collapsed."""
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
    return re.sub(r"\s+", " ", article.get_text(" ")).replace(" ,", ",").replace(" .", ".").replace(" :", ":")


@pytest.fixture(scope="session")
def association(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Association]:
    """Makes an association once per seed, size and flips: `association(seed=1, donors=1500)`."""
    made: dict[tuple[Any, ...], Association] = {}

    def make(*, seed: int, donors: int, flips: tuple[str, ...] = ()) -> Association:
        key = (seed, donors, flips)
        if key not in made:
            made[key] = Association(tmp_path_factory.mktemp("haneul"), seed=seed, donors=donors, flips=flips)
        return made[key]

    return make


@pytest.fixture
def read() -> Callable[[Path], str]:
    """The words of a built page."""
    return words


@pytest.fixture(scope="session")
def checked_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop as it comes, read, checked and planned for."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.write()
    for command in (["check"], ["run", "--dry-run"]):
        done = shop.run(*command, "--profile", "shop.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
    return shop.folder


@pytest.fixture(scope="session")
def programme_shop(tmp_path_factory: pytest.TempPathFactory, new_shop_in: Callable[[Path], Shop]) -> Shop:
    """A shop whose campaigns have one fault each, its files written."""
    shop = new_shop_in(tmp_path_factory.mktemp("programmes"))
    with_programmes(shop)
    shop.write()
    return shop


@pytest.fixture(scope="session")
def new_shop_in(checked_shop: Path) -> Callable[[Path], Shop]:
    """Makes a shop in a folder that was never read, its files still to be written: change `rows`, `header` or
    `profile`, then `write`.

    Its build folder knows that the contracts hold to the standard, so that not every command proves it anew.
    """

    def make(folder: Path) -> Shop:
        (folder / "build").mkdir()
        shutil.copy(checked_shop / "build" / "contracts.json", folder / "build")
        return Shop(folder)

    return make


@pytest.fixture
def new_shop(tmp_path: Path, new_shop_in: Callable[[Path], Shop]) -> Shop:
    """A shop as `new_shop_in` makes it, in a folder of the test's own."""
    return new_shop_in(tmp_path)


@pytest.fixture
def shop(new_shop: Shop, checked_shop: Path) -> Shop:
    """A shop as `new_shop`, whose build folder holds what a good check of the files as they come left."""
    shutil.copytree(checked_shop / "build", new_shop.folder / "build", dirs_exist_ok=True)
    shutil.copy2(checked_shop / "sales.csv", new_shop.folder)
    return new_shop


@pytest.fixture
def refused() -> Callable[..., str]:
    """The one message of a command that was refused: exit code 2, no traceback, not a file added or touched.

    With `reads`, for what only the data can tell, the command may leave the tables that it read to the end.
    """

    def message(done: Done, *, reads: bool = False) -> str:
        assert done.returncode == 2, (done.returncode, done.stdout[-800:], done.stderr[-800:])
        assert "Traceback" not in done.stderr, done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        changed = done.added | done.touched
        if reads:
            read = re.compile(r"build/\w+/tables/[\w/]+\.(json|parquet|pq)")
            changed = {name for name in changed if not read.fullmatch(name)}
        assert not changed
        return lines[0].removeprefix("crm-analysis: ")

    return message
