"""A small shop written as plain files, and the installed command run on it as a user would."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

COMMAND = Path(sys.executable).parent / "crm-analysis"
HEADER = ["receipt", "customer", "store", "day", "paid", "kind"]


class Shop:
    """A folder with one transactions file, a profile and a build folder; `run` calls the installed command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
        """Put the files where the command finds them."""
        with open(self.folder / "sales.csv", "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(self.header)
            writer.writerows(self.rows)
        text = yaml.safe_dump(self.profile, allow_unicode=True, sort_keys=False)
        (self.folder / "shop.yaml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`crm-analysis` with arguments, in the shop's folder."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CRM_ANALYSIS")}
        prefix = options.pop("prefix", [])
        environment |= options.pop("environment", {})
        return subprocess.run(
            [*prefix, str(COMMAND), *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
            **options,
        )

    def check(self, **options: Any) -> subprocess.CompletedProcess[str]:
        """`crm-analysis check` on the shop's profile."""
        return self.run("check", "--profile", "shop.yaml", **options)

    def tree(self) -> dict[str, tuple[int, int]]:
        """Every file below the build folder with size and time, to see whether anything was touched."""
        build = self.folder / "build"
        return {
            str(path.relative_to(build)): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(build.rglob("*"))
            if path.is_file()
        }


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


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop whose files are still to be written: change `rows`, `header` or `profile`, then `write`."""
    return Shop(tmp_path)


@pytest.fixture
def refused() -> Callable[[subprocess.CompletedProcess[str]], str]:
    """The one message of a command that was refused with exit code 2 and no traceback."""

    def message(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 2, (done.returncode, done.stdout[-800:], done.stderr[-800:])
        assert "Traceback" not in done.stderr, done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0].removeprefix("crm-analysis: ")

    return message
