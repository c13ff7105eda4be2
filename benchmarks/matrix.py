"""The demo book: our matrix and build against the plain way, a papermill loop over the same notebooks, then a build.

Set-up, reading the sources and the contract check are excluded on both sides. The build is the same work on both sides
and is measured once.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Comparison

PROFILE = "analyses/profiles/demo.yaml"
LOOP = """
import sys
from pathlib import Path
import papermill
target, *cells = sys.argv[1:]
for cell in cells:
    chapter, branch, period = cell.split("/")
    parameters = {"profile": "analyses/profiles/demo.yaml", "branch": branch, "period": period, "language": "en"}
    output = f"{target}/{period}-{branch}-{chapter}.ipynb"
    papermill.execute_notebook(f"analyses/{chapter}.ipynb", output, parameters=parameters, progress_bar=False)
"""


def run(*, quick: bool) -> Iterator[Comparison]:
    """All chapters and branches of the demo, one period; with `quick`, `all` and one branch."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CRM_ANALYSIS_BUILD"] = folder
        from crm_analysis.pipeline import Steps, asking

        steps = Steps.of(PROFILE)
        steps.read()
        steps.hold_to_contracts()
        wanted = asking.wanted(steps.profile, ["all", "seoul"] if quick else None, None, None)
        cells = [f"{c.chapter}/{c.branch}/{c.period}" for c in steps.plan(wanted).cells]
        print(f"{PROFILE}, {len(cells)} notebooks, {os.cpu_count()} processors")
        asked = ["--profile", PROFILE, *(["--branch", "all", "--branch", "seoul"] if quick else [])]
        matrix, our_work = _timed([sys.executable, "-m", "crm_analysis", "run", *asked])
        build, _ = _timed([sys.executable, "-m", "crm_analysis", "report", *asked])
        again, _ = _timed([sys.executable, "-m", "crm_analysis", "report", *asked])
        target = Path(folder) / "loop"
        target.mkdir()
        loop, their_work = _timed([sys.executable, "-c", LOOP, str(target), *cells])
        del os.environ["CRM_ANALYSIS_BUILD"]
    print(
        f"matrix {matrix:.1f} s ({our_work:.0f} s of processor time), "
        f"papermill loop {loop:.1f} s ({their_work:.0f} s), "
        f"build {build:.1f} s"
    )
    first = matrix + build
    yield Comparison("demo book, matrix and build", first, "papermill loop and build", loop + build, at_most=0.6)
    yield Comparison("demo book, nothing changed", again, "the first run", first, at_most=0.05)


def _timed(command: list[str]) -> tuple[float, float]:
    """Seconds of wall and of processor time, children of the command included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
