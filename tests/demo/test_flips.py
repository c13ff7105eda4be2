"""A branch's own truth reversed: its verdict turns with it.

Run through the command, as an organisation would: nothing but the files differs between the two associations. What the
programmes earned and who reports are turned at a fresh seed in tests/cli/test_truth_flips.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from crm_analysis import demo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SEED = 40417
TURNED = ("seoul_straight", "daegu_convex")


def claims(folder: Path, chapter: str, branch: str, flips: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a chapter claims about a branch of the association with `flips`, made and run below `folder`."""
    place = folder / ("-".join(flips) or "as_planted")
    if not place.exists():
        demo.generate(place / "data", seed=SEED, flips=flips)
        settings = yaml.safe_load((ROOT / "analyses" / "profiles" / "demo.yaml").read_text(encoding="utf-8"))
        del settings["built_in"]
        settings["data"] = "data"
        (place / "profile.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "crm_analysis", "run", "--profile", str(place / "profile.yaml"), "--workers", "1"]
        + ["--chapter", chapter, "--branch", branch],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CRM_ANALYSIS_BUILD": str(place / "build")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = next((place / "build" / "demo" / "executed").glob(f"2026Q3/{branch}/{chapter}.findings.json"))
    return json.loads(found.read_text(encoding="utf-8"))["claims"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flips")


def test_link_from_convex_to_straight_and_back(folder):
    assert "accelerates at the top" in claims(folder, "satisfaction_loyalty", "seoul")["verdict"]
    assert "accelerates at the top" not in claims(folder, "satisfaction_loyalty", "seoul", TURNED)["verdict"]
    assert "accelerates at the top" not in claims(folder, "satisfaction_loyalty", "daegu")["verdict"]
    assert "accelerates at the top" in claims(folder, "satisfaction_loyalty", "daegu", TURNED)["verdict"]


def test_a_branch_whose_rhythm_alone_tells_that_it_went_silent(folder):
    assert "31 July 2026" not in claims(folder, "data_quality", "busan")["verdict"]
    assert "31 July 2026" in claims(folder, "data_quality", "busan", ("busan_silent", "rhythm_only"))["verdict"]
