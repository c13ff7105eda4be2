"""What the README and the Makefile promise is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DESCRIBED = set(re.findall(r"^([a-z-]+):.*## \S", MAKEFILE, flags=re.M))


def test_first_screen_shows_the_two_commands() -> None:
    first = "\n".join(README.splitlines()[:40])
    assert "make report" in first and "make test" in first


def test_every_make_target_named_is_there_and_every_target_is_described() -> None:
    promised = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert promised <= DESCRIBED
    phony = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.M).group(1).split())
    assert phony == DESCRIBED


def test_make_help_lists_every_target() -> None:
    out = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+)", out, flags=re.M)) == DESCRIBED


def test_every_command_named_is_there_and_every_command_is_named() -> None:
    command = [sys.executable, "-m", "crm_analysis.cli", "--help"]
    plain = os.environ | {"COLUMNS": "200", "PYTHONUTF8": "1", "NO_COLOR": "1"}
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=plain).stdout
    listed = set(re.findall(r"^    ([a-z]+)\s{2,}\S", out, flags=re.M))
    promised = set(re.findall(r"`crm-analysis ([a-z]+)", README))
    assert promised == listed
