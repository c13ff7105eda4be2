"""Files that are whole or absent: atomic writes, safe names, fingerprints, and exports that cannot run as formulas."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from crm_analysis.errors import UserError

_UNSAFE = re.compile(r"[^0-9A-Za-z가-힣_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_RESERVED = {"all", "con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}
_UMASK = os.umask(0)
os.umask(_UMASK)
_TEMPORARY = re.compile(r"\..+\.part(\.\w+)?$")
# The variable by which a run tells a notebook to leave its lists of customers elsewhere until it is accepted.
LISTS_VARIABLE = "CRM_ANALYSIS_LISTS"
CHECKOUT = Path(__file__).resolve().parents[1]


_HOLDS = {"analyses": "*.ipynb", "book": "contents.yaml", "data_contracts": "*.yaml"}


def project_folder(name: str) -> Path:
    """`analyses`, `book` or `data_contracts`: the working directory's own where it has one, else the checkout's.

    A folder of that name that holds no such files is somebody's own affair.
    """
    own = Path.cwd() / name
    return own if any(own.glob(_HOLDS[name])) else CHECKOUT / name


def safe_name(text: str) -> str:
    """A file name for any text: letters, digits, `_` and `-`, at most 60 bytes, different for different texts.

    A text that already is such a name, in lower case, comes back as it is; any other gets eight hexadecimal digits of
    its hash.

    >>> safe_name("seoul")
    'seoul'
    """
    normal = unicodedata.normalize("NFC", text)
    kept = _UNSAFE.sub("-", normal).strip("-").lower()
    while len(kept.encode()) > 48:
        kept = kept[:-1]
    if kept == text and kept not in _RESERVED:
        return kept
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept}-{digest}" if kept else digest


@contextlib.contextmanager
def replacing(path: Path, *, suffix: str = "", owner_only: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, renamed onto it when the block ends well and removed when it does not.

    Raises UserError where the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:60]}.", suffix=f".part{suffix}", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o600 if owner_only else 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove every temporary file and folder below `folder` whose writer was killed: what is named `.….part`.

    Only for whoever is alone at work there. Raises UserError where one cannot be removed.
    """
    for leftover in list(Path(folder).rglob(".*.part*")):
        if not _TEMPORARY.match(leftover.name):
            continue
        with writing(leftover):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


def lists_folder(build_dir: Path, period: str, branch: str) -> Path:
    """Where the lists of customers behind the findings of one period and branch are."""
    return Path(build_dir) / "exports" / "lists" / period / safe_name(branch)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission below `path` into a clear UserError."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """The message for a write that failed: what, why, and what to do."""
    if error.errno == errno.ENOSPC or error.errno == errno.EDQUOT or error.errno == errno.EFBIG:
        return UserError(
            f"The disk is full: {path} could not be written and nothing was left half-written. "
            "Free some space and run again; what is finished will be skipped."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(
            f"No permission to write {path}. Give yourself write access to {path.parent} or run from another folder."
        )
    return UserError(f"{path} could not be written: {error.strerror or error}.")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; not-a-number is refused rather than written as invalid JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; None where the file is absent or unreadable."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sha256_of(paths: Iterable[Path]) -> str:
    """One digest over the contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def formula_safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula, made text again by a leading apostrophe.

    >>> formula_safe("=cmd()")
    "'=cmd()"
    >>> formula_safe(-3)
    -3
    """
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _printable(value: Any) -> Any:
    """Text without the control characters that a workbook cannot hold."""
    return _CONTROL.sub("", value) if isinstance(value, str) else value


def export_csv(frame: Any, path: Path) -> Path:
    """Write a customer-level pandas frame as CSV for its owner only (mode 0600), safe against formula injection."""
    path = Path(path)
    with (
        replacing(path, owner_only=True) as temporary,
        open(temporary, "w", encoding="utf-8-sig", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow([formula_safe(str(name)) for name in frame.columns])
        for row in frame.astype(object).where(frame.notna(), "").itertuples(index=False, name=None):
            writer.writerow([formula_safe(value) for value in row])
    return path


def export_parquet(frame: Any, path: Path) -> Path:
    """Write a customer-level pandas frame as Parquet for its owner only."""
    path = Path(path)
    with replacing(path, owner_only=True) as temporary:
        frame.to_parquet(temporary, index=False)
    return path


def export_excel(frame: Any, path: Path, *, columns: Any = None) -> Path:
    """Write a customer-level pandas frame as an Excel workbook for its owner only, formulas made text.

    `columns`, a frame that says what the columns mean, becomes a second sheet.
    """
    path = Path(path)
    with replacing(path, suffix=".xlsx", owner_only=True) as temporary:
        import pandas as pd  # noqa: PLC0415

        with pd.ExcelWriter(temporary) as book:
            for name, sheet in (("customers", frame), ("columns", columns)):
                if sheet is not None:
                    safe = sheet.rename(columns=formula_safe).map(formula_safe).map(_printable)
                    safe.to_excel(book, sheet_name=name, index=False)
    return path
