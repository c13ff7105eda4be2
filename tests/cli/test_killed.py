"""Commands killed with kill -9 at random moments: nothing half-written, and the next one ends as if never disturbed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]

REPORT = ("report", "--profile", "shop.yaml", "--branch", "all", "--branch", "north", "--chapter", "data_quality")
BOOK = ("book", *REPORT[1:])
CHECK = ("check", "--profile", "shop.yaml")
MOMENTS = 4  # tests/runs/test_interrupted.py kills a run at ten
TEMPORARY = re.compile(r"^\..+\.part(\.\w+)?$|^\.work-\d+-|^\.runtime$|^book_work$|^html\.old$")


def temporary(path: Path) -> bool:
    """Whether a path is, or lies in, what the next command knows to remove."""
    return any(TEMPORARY.match(part) for part in path.parts)


def judge(build: Path) -> None:
    """Every file that counts is whole."""
    for path in sorted(build.rglob("*")):
        inside = path.relative_to(build)
        if not path.is_file() or temporary(inside):
            continue
        if path.suffix in (".json", ".ipynb"):
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".parquet", ".pq"):
            pq.read_table(path)
        elif path.suffix == ".html" and inside.parts[0] == "html" and "_static" not in inside.parts:
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), path


def made(build: Path) -> dict[str, str]:
    """What a reader and a program read of a build, but the run status, which tells when and how long."""
    found = [path for path in build.glob("html/**/*.html") if path.name != "run_status.html"]
    found += [*build.glob("executed/**/*.findings.json"), *build.glob("data_quality/*.json")]
    return {str(path.relative_to(build)): path.read_text(encoding="utf-8") for path in found}


def alive(folder: Path) -> list[str]:
    """Processes that know the folder: kernels whose run was killed end by themselves a moment later."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if int(entry.name) != os.getpid() and f"{folder}/build".encode() in known:
            found.append(entry.name)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, new_shop_in) -> tuple[Path, float]:
    """The build folder of a report that nobody killed, and the seconds that it took."""
    shop = new_shop_in(tmp_path_factory.mktemp("undisturbed"))
    shop.write()
    seconds = finish(shop, REPORT)
    return shop.folder / "build" / "shop", seconds


@pytest.fixture
def build(new_shop) -> Path:
    new_shop.write()
    return new_shop.folder / "build" / "shop"


def kill(shop, command: tuple[str, ...], seconds: float, *, once: str = "") -> bool:
    """Start a command and kill its whole process group `seconds` later, counted from when a path `once` matches.

    Whether it was still at work; where it was not, it has to have ended well.
    """
    build = shop.folder / "build" / "shop"
    process = shop.start(*command)
    while once and process.poll() is None and not any(build.glob(once)):
        time.sleep(0.005)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    assert code in (0, -signal.SIGKILL)
    until = time.monotonic() + 15
    while alive(shop.folder) and time.monotonic() < until:
        time.sleep(0.1)
    assert alive(shop.folder) == []
    judge(build)
    return code != 0


def finish(shop, command: tuple[str, ...]) -> float:
    """Run a command to its end; the seconds it took. Nothing temporary is left."""
    build = shop.folder / "build" / "shop"
    began = time.monotonic()
    done = shop.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    judge(build)
    assert [path for path in build.rglob("*") if temporary(path.relative_to(build))] == []
    return time.monotonic() - began


def test_a_check_that_was_killed(new_shop, build):
    moments = random.Random(11)
    seconds = finish(new_shop, CHECK)
    undisturbed = made(build)
    shutil.rmtree(build)
    kill(new_shop, CHECK, moments.uniform(0, 0.3), once="tables/.work-*")
    for _ in range(3):
        kill(new_shop, CHECK, moments.uniform(0, seconds))
    kill(new_shop, CHECK, moments.uniform(0, 0.1), once="data_quality/*.parquet")
    finish(new_shop, CHECK)
    assert made(build) == undisturbed


def test_a_report_that_was_killed_at_random_moments(new_shop, build, undisturbed):
    """Each run takes up what the killed one left; one that comes to its end leaves what an undisturbed one leaves."""
    moments = random.Random(12)
    seconds, whole = undisturbed[1], made(undisturbed[0])
    assert len(whole) > 20
    killed = 0
    while killed < MOMENTS:
        if kill(new_shop, REPORT, moments.uniform(0, seconds)):
            killed += 1
        else:
            assert made(build) == whole
            shutil.rmtree(build)
    finish(new_shop, REPORT)
    assert made(build) == whole


def test_a_book_that_was_killed(new_shop, build, undisturbed):
    moments = random.Random(13)
    shutil.copytree(undisturbed[0], build)
    shutil.copy2(undisturbed[0].parents[1] / "sales.csv", new_shop.folder)
    whole = made(build)
    (build / "book.json").unlink()
    seconds = finish(new_shop, BOOK)
    assert made(build) == whole
    for first in ("book_source", "book_work", "book_work/_build/html/index.html"):
        (build / "book.json").unlink(missing_ok=True)
        kill(new_shop, BOOK, moments.uniform(0, seconds / 3), once=first)
    finish(new_shop, BOOK)
    assert made(build) == whole
