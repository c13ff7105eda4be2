"""What all tests share: one fresh seed for those that reverse planted truths, and where published data are."""

import os
import secrets
from pathlib import Path

import pytest

PUBLISHED = Path(os.environ.get("CRM_ANALYSIS_DATA") or Path(__file__).parents[2] / "shared" / "data")


def pytest_configure() -> None:
    os.environ.setdefault("CRM_TEST_SEED", str(secrets.randbelow(1_000_000)))  # the same in every worker


def pytest_report_header() -> str:
    return f"CRM_TEST_SEED={os.environ['CRM_TEST_SEED']} (set it to repeat a run)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of published data that are not there, and say what would let it run."""
    for marker in item.iter_markers("realdata"):
        for name in marker.args:
            if not (PUBLISHED / name).exists():
                pytest.skip(f"{name} is others' data and not in this project: CRM_ANALYSIS_DATA names its folder")
