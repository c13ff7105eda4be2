"""Small sources written as the files an organisation would export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm_analysis.profile import Profile

GIFTS = {
    "transaction_id": "번호",
    "customer_id": "고객번호",
    "branch": "지점",
    "occurred_at": "거래일자",
    "amount": "금액",
    "kind": {"constant": "gift"},
}
HEADER = "번호,고객번호,지점,거래일자,금액"


class Workplace:
    """A folder with source files, and profiles over them."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        self.build = root / "build" / "test"
        self.data.mkdir()

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        """Write a source file."""
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    def profile(self, tables: dict[str, Any] | None = None, **settings: Any) -> Profile:
        """A profile over the folder; without `tables`, of gifts.csv in the layout of HEADER."""
        return Profile.model_validate(
            {
                "id": "test",
                "name": "Test",
                "currency": "KRW",
                "tables": tables or {"transactions": {"files": ["gifts.csv"], "columns": GIFTS}},
                "path": self.data / "test.yaml",
                "data_root": self.data,
                "build_dir": self.build,
                **settings,
            }
        )

    def gifts(self, *lines: str) -> Profile:
        """Write gifts.csv, and a profile over it whose data end with March 2026."""
        self.write("gifts.csv", "\n".join([HEADER, *lines]) + "\n")
        return self.profile(coverage={"data_ends_on": "2026-03-31"})


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """An empty data folder."""
    return Workplace(tmp_path)


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """What a folder holds, to see that a failure changed nothing."""

    def look(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return look
