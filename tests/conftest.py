"""One fresh seed for the tests that reverse planted truths, the same in every worker."""

import os
import secrets


def pytest_configure() -> None:
    os.environ.setdefault("CRM_TEST_SEED", str(secrets.randbelow(1_000_000)))


def pytest_report_header() -> str:
    return f"CRM_TEST_SEED={os.environ['CRM_TEST_SEED']} (set it to repeat a run)"
