"""A disk that fills up while the book is made: one clear message, the former book untouched, the room given back."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from crm_analysis import profile
from crm_analysis.book import build
from crm_analysis.book.contents import Contents
from crm_analysis.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def book(tmp_path):
    """Builds a book without chapters over a former one."""
    settings = profile.load(ROOT / "analyses" / "profiles" / "demo.yaml").model_copy(update={"build_dir": tmp_path})
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "index.html").write_text("former")

    def make():
        return build.build(
            settings,
            Contents.read(),
            [],
            language="en",
            notebooks=ROOT / "analyses",
            dictionary={},
            status_page="# x\n",
        )

    return make


def _refused(book, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        book()
    assert (folder / "html" / "index.html").read_text() == "former"
    return str(caught.value)


def test_while_the_sources_are_copied(book, tmp_path, monkeypatch):
    def full(source, target, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr(shutil, "copy2", full)
    assert _refused(book, tmp_path).startswith(f"The disk is full: {tmp_path}/book_source/")


def test_while_the_pages_are_written(book, tmp_path, monkeypatch):
    def full(command, **_):
        (tmp_path / "book_work").mkdir()
        complaint = f"WARNING: error writing file index.html: [Errno 28] {os.strerror(errno.ENOSPC)}"
        return subprocess.CompletedProcess(command, 1, "", complaint)

    monkeypatch.setattr(build, "_write_pages", lambda *_: {"parts": []})
    monkeypatch.setattr(subprocess, "run", full)
    assert _refused(book, tmp_path).startswith(f"The disk is full: {tmp_path}/book_work could not be written")
    assert not (tmp_path / "book_work").exists()
