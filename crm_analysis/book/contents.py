"""The table of contents: `book/contents.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from crm_analysis import files
from crm_analysis.errors import UserError

SOURCES = files.project_folder("book")


@dataclass(frozen=True, slots=True)
class Contents:
    """Chapters in the order of the book, what the front page says and compares, and the pages that explain."""

    chapters: tuple[str, ...]
    front_columns: tuple[str, ...]
    front_chart: str
    never_back: str
    kept: str
    earned: str
    after_shared: str
    methods: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path = SOURCES) -> Contents:
        """Read `contents.yaml`. Raises UserError where it is missing."""
        path = folder / "contents.yaml"
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"There is no table of contents {path}. Run from a checkout of crm-analysis.") from None
        return cls(
            tuple(raw["chapters"]),
            tuple(raw["front_columns"]),
            raw["front_chart"],
            raw["front_verdict"]["never_back"],
            raw["front_verdict"]["kept"],
            raw["front_verdict"]["earned"],
            raw["front_verdict"]["after_shared"],
            tuple(raw["methods"]),
        )
