"""What was run, with what outcome: `manifest.json` in the profile's build folder, and what a page may show of it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crm_analysis import files
from crm_analysis.errors import BusyError
from crm_analysis.profile import Profile
from crm_analysis.runs.jobs import Public

FORMAT = 1
_held: set[Path] = set()


@dataclass(frozen=True, slots=True)
class CellResult:
    """How one cell of the matrix ended: `done`, `failed` or `skipped`.

    `error` is one message for people, `traceback` the notebook's own, `stderr` what the notebook wrote there: they may
    hold values of the data and never reach a page. `public` is what a page may say instead.
    """

    chapter: str
    branch: str
    period: str
    status: str
    seconds: float = 0.0
    error: str = ""
    traceback: str = ""
    stderr: str = ""
    public: Public | None = None

    @property
    def name(self) -> str:
        """`2026Q3/all/customer_value`."""
        return f"{self.period}/{self.branch}/{self.chapter}"


@dataclass(frozen=True, slots=True)
class CellStatus:
    """What there is to show for one cell of the matrix.

    `state` is `fresh` (made from what is there now), `stale` (something it depends on changed since), `failed` (the
    last attempt failed) or `missing` (never made). `notebook` and `findings` are the last good output, where there is
    one; `made_at` says when, `stale_since` when the first attempt after it failed. `error` is for
    a terminal, `public` for a page. Times are ISO 8601, UTC.
    """

    chapter: str
    branch: str
    period: str
    state: str
    reason: str = ""
    notebook: Path | None = None
    findings: Path | None = None
    made_at: str = ""
    stale_since: str = ""
    seconds: float = 0.0
    error: str = ""
    public: Public | None = None
    versions: dict[str, str] = field(default_factory=dict)
    data: str = ""


def now() -> str:
    """The present second, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def name_of(chapter: str, branch: str, period: str) -> str:
    """The manifest's name of a cell; branches may hold any character but appear here as they are."""
    return f"{period}/{branch}/{chapter}"


def output(profile: Profile, chapter: str, branch: str, period: str) -> Path:
    """Where a cell's executed notebook goes; its findings go beside it."""
    folder = branch if branch == "all" else files.safe_name(branch)
    return Path(profile.build_dir) / "executed" / period / folder / f"{chapter}.ipynb"


def findings_beside(notebook: Path) -> Path:
    """The findings file of an executed notebook."""
    return notebook.with_suffix(".findings.json")


class Manifest:
    """The manifest in memory; `save` writes it whole. Only the planning process holds one.

    A record has `good`, the output on disk (key, parts, made_at, seconds, bytes, lists), and `last`, the last attempt.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.path = Path(profile.build_dir) / "manifest.json"
        stored = files.read_json(self.path)
        usable = isinstance(stored, dict) and stored.get("format") == FORMAT
        self.cells: dict[str, dict[str, Any]] = stored["cells"] if usable else {}

    def save(self) -> None:
        """Write the manifest atomically."""
        files.write_json(self.path, {"format": FORMAT, "profile": self.profile.id, "cells": self.cells})

    def record(self, chapter: str, branch: str, period: str) -> dict[str, Any]:
        """The record of a cell, empty when it was never attempted."""
        return self.cells.get(name_of(chapter, branch, period), {})

    def good(self, chapter: str, branch: str, period: str) -> dict[str, Any] | None:
        """The record of the output on disk, None where there is none or a file was changed or removed since."""
        good = self.record(chapter, branch, period).get("good")
        if not good:
            return None
        path = output(self.profile, chapter, branch, period)
        for made, size in ((path, good["bytes"][0]), (findings_beside(path), good["bytes"][1])):
            try:
                if made.stat().st_size != size:
                    return None
            except OSError:
                return None
        if not all((Path(self.profile.build_dir) / name).exists() for name in good["lists"]):
            return None
        return good

    def finished(self, result: CellResult, *, key: str, parts: dict[str, str], made: dict[str, Any] | None) -> None:
        """Record an attempt. `made` describes the new output when it is good."""
        name = name_of(result.chapter, result.branch, result.period)
        old = self.cells.get(name, {})
        last = {k: v for k, v in asdict(result).items() if k not in ("chapter", "branch", "period") and v}
        last |= {"at": now(), "key": key}
        record: dict[str, Any] = {"chapter": result.chapter, "branch": result.branch, "period": result.period}
        if made is not None:
            record |= {"good": {"key": key, "parts": parts, "made_at": last["at"], "seconds": result.seconds, **made}}
        else:
            if old.get("good"):
                record["good"] = old["good"]
            record["stale_since"] = old.get("stale_since") or last["at"]
        self.cells[name] = record | {"last": last}

    def forget_output(self, chapter: str, branch: str, period: str) -> None:
        """The files on disk are no longer what was recorded."""
        self.record(chapter, branch, period).pop("good", None)

    def status_of(self, chapter: str, branch: str, period: str, *, key: str = "", reason: str = "") -> CellStatus:
        """What there is to show; with `key`, whether it is what would be made now."""
        record = self.record(chapter, branch, period)
        last = record.get("last", {})
        good = self.good(chapter, branch, period)
        if last.get("status") == "failed":
            state = "failed"
        elif good is None:
            state = "missing"
        else:
            state = "stale" if key and good["key"] != key else "fresh"
        path = output(self.profile, chapter, branch, period)
        return CellStatus(
            chapter,
            branch,
            period,
            state,
            reason=reason,
            notebook=path if good else None,
            findings=findings_beside(path) if good else None,
            made_at=good["made_at"] if good else "",
            stale_since=record.get("stale_since", "") if state == "failed" else "",
            seconds=last.get("seconds", 0.0),
            error=last.get("error", "") if state == "failed" else "",
            public=Public(**last.get("public", {})) if state == "failed" else None,
            versions=good["versions"] if good else {},
            data=good["parts"].get("data", "") if good else "",
        )


def status(profile: Profile) -> list[CellStatus]:
    """Every cell that the manifest knows, sorted by period, branch (`all` first) and chapter."""
    manifest = Manifest(profile)
    known = [(r["period"], r["branch"] != "all", r["branch"], r["chapter"]) for r in manifest.cells.values()]
    return [manifest.status_of(chapter, branch, period) for period, _, branch, chapter in sorted(known)]


def published(profile: Profile, chapter: str, branch: str, period: str) -> CellStatus:
    """What a page may show of one cell, by the manifest alone."""
    return Manifest(profile).status_of(chapter, branch, period)


@contextlib.contextmanager
def alone(build_dir: Path) -> Iterator[None]:
    """Keep every other process off a build folder, and remove what a killed one left there.

    The lock ends with the process, however that ends. Within a process it may be taken again and again. Raises
    BusyError where another process has it.
    """
    build = Path(build_dir).resolve()
    if build in _held:
        yield
        return
    with _locked(Path(build_dir)):
        _held.add(build)
        try:
            files.sweep(build_dir)
            shutil.rmtree(Path(build_dir) / ".runtime", ignore_errors=True)
            yield
        finally:
            _held.discard(build)


@contextlib.contextmanager
def _locked(build_dir: Path) -> Iterator[None]:
    with files.writing(build_dir):
        build_dir.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows has no fcntl; two runs at once are then the user's own affair
        yield
        return
    path = build_dir / ".lock"
    with files.writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(f"Another run is at work in {build_dir}. Wait for it to end.") from None
        yield
    finally:
        os.close(handle)
