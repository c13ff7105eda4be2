"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+?)(?: ; (.+?))? \\$", LOCK, flags=re.M)
DIRECT = [
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["dev"],
    *PROJECT["build-system"]["requires"],
]


def pinned(name: str, python: str) -> list[str]:
    """Versions that the lock installs on Linux under one version of Python."""
    where = {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": "linux"}
    where |= {"os_name": "posix", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    return [
        version
        for pin, version, marker in PINS
        if canonicalize_name(pin) == canonicalize_name(name) and (not marker or Marker(marker).evaluate(where))
    ]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("requirement", DIRECT)
def test_every_direct_requirement_is_pinned_once_within_its_bounds(requirement: str, python: str) -> None:
    wanted = Requirement(requirement)
    versions = pinned(wanted.name, python)
    assert len(versions) == 1, f"{wanted.name} under Python {python}: {versions}; run `make lock`"
    assert wanted.specifier.contains(Version(versions[0]), prereleases=True)


def test_every_pin_has_a_hash_and_nothing_else_is_in_the_lock() -> None:
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(blocks) == len(PINS) > 150
    for block in blocks:
        first, *rest = block.splitlines()
        assert rest, f"no hash: {first}"
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in rest), first
    assert "://" not in LOCK


def test_conda_environment_delegates_to_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = {Requirement(d).name: Requirement(d) for d in environment["dependencies"] if isinstance(d, str)}
    assert set(plain) == {"python", "pip"}
    assert str(plain["python"].specifier) == PROJECT["project"]["requires-python"]
    assert [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)] == [
        ["--require-hashes", "-r requirements.lock"]
    ]
    assert environment["name"] == PROJECT["project"]["name"]


def test_each_runtime_requirement_beyond_the_named_stack_has_its_reason() -> None:
    source = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = source.split("dependencies = [", 1)[1].split("\n]", 1)[0]
    reasons = set(re.findall(r"# ([a-z-]+): ", block))
    named = {"jupyterlab", "jupyter-book", "pandas", "seaborn", "lifetimes", "papermill", "great-expectations"}
    named |= {"ibis-framework", "open-data-contract-standard"}
    imported_anyway = block.split("# brought in by the stack above anyway", 1)[1]
    for requirement in PROJECT["project"]["dependencies"]:
        name = Requirement(requirement).name
        assert name in named | reasons or f'"{name}' in imported_anyway, f"{name}: no reason given in pyproject.toml"
