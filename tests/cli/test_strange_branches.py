"""Branches named by nobody's friend: they run, land in safe files, and stand on the page as the text they are."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup

from crm_analysis import files

pytestmark = pytest.mark.slow

NAMES = (
    "../../etc",
    "a/b",
    "=cmd()",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "지점 1",
    "\N{HOSPITAL}",
    "n" * 300,
)


def renamed(shop):
    """The shop, its stores named strangely, its files written."""
    for row in shop.rows:
        row[2] = NAMES[int(row[1][1:]) % len(NAMES)]
    shop.write()
    return shop


@pytest.fixture
def strange(new_shop):
    return renamed(new_shop)


@pytest.fixture(scope="module")
def never_run(tmp_path_factory, new_shop_in):
    """A shop of such stores whose files were read and checked, and of which nothing was run."""
    shop = renamed(new_shop_in(tmp_path_factory.mktemp("strange")))
    done = shop.check()
    assert done.returncode == 0, done.stdout + done.stderr
    return shop


def test_strange_names_run_and_stand_escaped_in_the_book(strange, read):
    before = {path for path in strange.folder.parent.rglob("*") if strange.folder not in path.parents}
    done = strange.run("report", "--profile", "shop.yaml", "--chapter", "data_quality", "--period", "2025Q4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 notebooks run" in done.stdout

    build = strange.folder / "build"
    assert {path.name for path in strange.folder.iterdir()} == {"build", "sales.csv", "shop.yaml"}
    assert {path for path in strange.folder.parent.rglob("*") if strange.folder not in path.parents} == before
    folders = {path.name for path in (build / "shop" / "executed" / "2025Q4").iterdir()}
    assert folders == {"all", *(files.safe_name(name) for name in NAMES)}
    for path in build.rglob("*"):
        assert re.fullmatch(r"[0-9A-Za-z가-힣._-]+", path.name), path
        assert len(path.name.encode()) <= 120, path

    html = build / "shop" / "html"
    for page in html.rglob("*.html"):
        parsed = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        assert not [script for script in parsed.find_all("script") if "alert(1)" in script.get_text()], page
        assert not parsed.find_all(attrs={"onerror": True}), page
    index = (html / "searchindex.js").read_text(encoding="utf-8")  # whose titles become inner HTML
    assert "<script" not in index and "<img" not in index
    for name in NAMES[:-1]:
        page = html / "2025Q4" / files.safe_name(name) / "data_quality.html"
        assert name in read(page), name
        assert name in read(html / "run_status.html"), name
    assert "n" * 40 in read(html / "2025Q4" / files.safe_name(NAMES[-1]) / "index.html")


@pytest.mark.parametrize("name", NAMES[:5])
def test_a_strange_name_can_be_asked_for_and_explained(never_run, name):
    asked = ("--profile", "shop.yaml", f"--branch={name}")
    done = never_run.run("run", *asked, "--chapter", "data_quality", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"run   2025Q4/{name}/data_quality  never run\n1 of 1 would run.\n"
    told = never_run.run("explain", "data_quality.score", *asked)
    assert told.returncode == 2
    assert told.stderr.startswith(f"crm-analysis: Nothing was run for {name}.")
