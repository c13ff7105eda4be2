"""Nothing of a machine, a registry, a secret or a customer is stored in the repository."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINARY = {".png", ".woff", ".woff2", ".xlsx", ".parquet", ".ico", ".gz"}
# Written in parts, so that this file does not match itself.
HOSTS = "|".join(
    ("py" + r"pi\.org", "python" + "hosted", r"registry\.npm" + "js", r"deb\.deb" + "ian", r"conda\.ana" + "conda")
)
HOME_PATH = r"(?:^|[^A-Za-z0-9_.~-])/(?:ho" + "me|ro" + "ot|Us" + "ers|wo" + "rk|tm" + r"p)/[A-Za-z0-9]"
SECRET = "|".join(
    (
        "AKIA" + "[0-9A-Z]{16}",
        "gh[pousr]" + "_[A-Za-z0-9]{30,}",
        "-----BEGIN " + "[A-Z ]*PRIVATE KEY",
        "xox[abp]" + "-[A-Za-z0-9-]{10,}",
        r"://[^/\s:@]+:[^/\s:@{}$]+@",
    )
)


def tracked() -> list[Path]:
    out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in out.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("what", "pattern"), [("a registry", HOSTS), ("a path of one machine", HOME_PATH), ("a secret", SECRET)]
)
def test_no_file_names(what: str, pattern: str) -> None:
    found = re.compile(pattern, flags=re.M)
    hits = []
    for path in tracked():
        if path.suffix in BINARY or "mathjax" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if found.search(line):
                hits.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not hits, f"{what} is named in {len(hits)} lines: {hits[:5]}"


def test_made_files_are_not_tracked() -> None:
    assert not [p for p in tracked() if {"build", ".venv", "__pycache__"} & set(p.relative_to(ROOT).parts)]


def test_no_large_file_is_tracked() -> None:
    assert not [p for p in tracked() if p.stat().st_size > 2_000_000]
