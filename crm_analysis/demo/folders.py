"""A folder of generated files, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from crm_analysis.errors import UserError
from crm_analysis.files import cannot_write


@contextlib.contextmanager
def fresh_folder(folder: Path, marker: str) -> Iterator[Path]:
    """An empty folder beside `folder`, put in its place when the block ends well and removed when it does not.

    A folder that holds files but not `marker` is somebody else's and is refused, as is one that cannot be written.
    Raises UserError.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file. Name a new folder for the generated files.")
    if folder.exists() and any(folder.iterdir()) and not (folder / marker).exists():
        raise UserError(
            f"{folder} holds other files, which generated ones would replace. Name a new or an empty folder."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        fresh = work / "fresh"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            os.replace(folder, work / "old")
        os.replace(fresh, folder)
    except duckdb.IOException as error:
        raise cannot_write(folder, OSError(errno.EIO, str(error).splitlines()[0])) from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
