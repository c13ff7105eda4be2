"""Whether a built book is still true: one key over everything it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crm_analysis import __version__, files
from crm_analysis.book.contents import SOURCES
from crm_analysis.profile import Profile


def index_page(profile: Profile) -> Path:
    """The page a reader opens."""
    return profile.build_dir / "html" / "index.html"


def key(profile: Profile, cells: Iterable[Any]) -> str:
    """A digest over the matrix's cells and their standing, the book's sources and code, the contracts and the profile.

    `cells` are the statuses of the run matrix; each is represented by its own text form.
    """
    digest = hashlib.sha256(__version__.encode())
    digest.update(json.dumps([repr(cell) for cell in cells]).encode())
    made_of = [
        profile.path,
        *sorted(path for path in SOURCES.rglob("*") if path.is_file()),
        *sorted((files.CHECKOUT / "crm_analysis").rglob("*.py")),
        *sorted((files.CHECKOUT / "crm_analysis" / "locale" / profile.language).glob("*.po")),
        *sorted(files.project_folder("data_contracts").glob("*.yaml")),
        *profile.build_dir.glob("data_quality/report.json"),
    ]
    digest.update(" ".join(version(name) for name in ("jupyter-book", "sphinx", "sphinx-book-theme")).encode())
    digest.update(files.sha256_of(made_of).encode())
    return digest.hexdigest()


def unchanged(profile: Profile, book_key: str) -> bool:
    """Whether the book standing under `html/` was built from what `book_key` describes."""
    stored = files.read_json(profile.build_dir / "book.json")
    return bool(stored) and stored["key"] == book_key and index_page(profile).exists()


def forget(profile: Profile) -> None:
    """The book under `html/` is about to be replaced: if that is cut short, it is built again."""
    with files.writing(profile.build_dir / "book.json"):
        (profile.build_dir / "book.json").unlink(missing_ok=True)


def record(profile: Profile, book_key: str) -> None:
    """Remember what the book standing under `html/` was built from."""
    files.write_json(profile.build_dir / "book.json", {"key": book_key})
