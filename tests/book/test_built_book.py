"""The demo book as a reader gets it: built once by the installed command, then opened, searched and combed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from crm_analysis import customers, demo, profile, tables
from crm_analysis.demo.truth import ID_PREFIX, SILENT_AFTER

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "analyses" / "profiles" / "demo.yaml"
COMMAND = Path(sys.executable).parent / "crm-analysis"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHAPTERS = ("data_quality", "customer_value", "satisfaction_loyalty", "crm_roi")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SWITCHES += ["--disable-sync", "--no-first-run", "--no-default-browser-check", "--disable-domain-reliability"]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's build folder, with its book in `html`."""
    folder = tmp_path_factory.mktemp("book")
    done = subprocess.run(
        [str(COMMAND), "report", "--profile", str(PROFILE)],
        cwd=ROOT,
        env=os.environ | {"CRM_ANALYSIS_BUILD": str(folder)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == str(folder / "demo" / "html" / "index.html")
    return folder / "demo"


@pytest.fixture(scope="session")
def html(build: Path) -> Path:
    return build / "html"


@pytest.fixture(scope="session")
def pages(html: Path) -> dict[str, BeautifulSoup]:
    """The body of every page by its path below the book."""
    found = {}
    for path in sorted(html.rglob("*.html")):
        if "_static" not in path.parts:
            parsed = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
            found[path.relative_to(html).as_posix()] = parsed.find("article") or parsed
    return found


@pytest.fixture(scope="session")
def chapters(pages: dict[str, BeautifulSoup]) -> dict[str, BeautifulSoup]:
    """The opening page of every chapter and branch."""
    found = {name: page for name, page in pages.items() if Path(name).stem in CHAPTERS and name.count("/") == 2}
    assert len(found) == 4 * (1 + len(demo.truth().branches))
    return {name: page for name, page in found.items() if not name.startswith("methods/")}


def words(page: Any) -> str:
    """What a reader reads, white space collapsed."""
    return re.sub(r"\s+", " ", page.get_text(" ")).replace(" ,", ",").replace(" .", ".")


@pytest.fixture(scope="module")  # no second one can be started beside it
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield started
        started.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab whose `faults` collects console errors, script errors and requests that leave this computer."""
    opened = browser.new_page()
    opened.faults = faults = []
    opened.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(f"script: {error}"))
    opened.on("requestfailed", lambda asked: faults.append(f"not there: {asked.url}"))
    opened.on(
        "request",
        lambda asked: None if urlsplit(asked.url).scheme in ("file", "data") else faults.append(f"asked: {asked.url}"),
    )
    yield opened
    opened.close()


def test_every_page_opens_from_the_disk_without_error_or_remote_request(html, pages, tab):
    wrong = {}
    for name in pages:
        tab.goto((html / name).as_uri(), wait_until="load")
        if tab.faults:
            wrong[name] = list(tab.faults)
            tab.faults.clear()
    assert wrong == {}
    assert len(pages) > 60


def test_on_a_narrow_screen_wide_tables_scroll_and_pages_do_not(html, pages, tab):
    tab.set_viewport_size({"width": 800, "height": 900})
    for name in [name for name in pages if Path(name).stem.removesuffix("-annex") in CHAPTERS]:
        tab.goto((html / name).as_uri(), wait_until="load")
        tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
        stuck = """boxes => boxes.filter(box => {
            box.scrollLeft = box.scrollWidth
            return box.scrollLeft < box.scrollWidth - box.clientWidth - 1
        }).length"""
        assert tab.eval_on_selector_all(".crm-table", stuck) == 0, name


def test_equations_are_drawn(html, tab):
    tab.goto((html / "methods" / "crm_roi.html").as_uri(), wait_until="networkidle")
    tab.locator("mjx-container").first.wait_for(timeout=20_000)
    assert tab.locator("mjx-merror").count() == 0
    assert tab.faults == []


def test_search_finds_a_branch(html, tab):
    tab.goto((html / "index.html").as_uri())
    tab.keyboard.press("Control+K")
    tab.locator("input[name=q]:visible").first.fill("Busan")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=Busan*")
    results = tab.locator("#search-results li")
    results.nth(7).wait_for(timeout=20_000)  # they come one by one: Busan's overview, four chapters and their annexes
    assert any("/busan/" in link.get_attribute("href") for link in results.locator("a").all())
    assert tab.faults == []


def test_no_donor_can_be_found_in_any_file(build, html):
    donors = pd.read_csv(build / "source" / "donors.csv", dtype=str)
    ids, mails, phones = (set(donors[name].dropna()) for name in ("후원자번호", "이메일", "휴대폰"))
    assert len(ids) == len(donors) == 20_000
    assert all(name.startswith(ID_PREFIX) for name in ids)  # so that the prefix, too, stands for every one of them
    gifts = pd.read_csv(build / "source" / "gifts_seoul.csv", dtype=str, usecols=["거래번호"])
    assert gifts["거래번호"].str.startswith(ID_PREFIX).all()
    short = {name.removeprefix(ID_PREFIX).lower() for name in ids}  # the search index cuts words at hyphens
    prefix = ID_PREFIX.lower().encode()
    found = []
    for path in sorted(html.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            text = content.decode("utf-8", "replace")
            told = short & set(re.findall(r"\bd\d{7}\b", text.lower()))
            told |= mails & set(re.findall(r"[\w.]+@example\.org", text))
            told |= phones & set(re.findall(r"\b0\d{8,10}\b", text))
            if told or prefix in content.lower():
                found.append((path.relative_to(html), sorted(told)[:3]))
    assert found == []


def test_neither_notebooks_nor_sources_are_published(html):
    assert not list(html.rglob("*.ipynb")) and not list(html.rglob("_sources"))
    assert not [path for path in html.rglob("*") if path.suffix in (".py", ".parquet", ".csv", ".yaml")]


def test_no_address_of_another_computer_is_loaded(html):
    loading = re.compile(
        r"""(?:src|srcset|action)=["'](?:https?:)?//|<link[^>]+href=["'](?:https?:)?//|@import\s+url\(\s*["']?https?:"""
    )
    found = {
        path.relative_to(html).as_posix(): match[0]
        for path in html.rglob("*")
        if path.suffix in (".html", ".css") and (match := loading.search(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_every_chapter_opens_with_its_verdict_and_ends_with_its_footing(chapters):
    for name, page in chapters.items():
        verdicts, foots = page.select(".verdict"), page.select(".foot")
        assert len(verdicts) == 1 and len(words(verdicts[0])) > 30, name
        before = [tag.name for tag in verdicts[0].find_all_previous(["h2", "img", "table"]) if page in tag.parents]
        assert before == [], name
        assert len(foots) == 1, name
        after = [tag.name for tag in foots[0].find_all_next(["h2", "h3", "img", "table"]) if page in tag.parents]
        assert after == [], name
        assert re.search(r"Transaction rows in the files [\d,]+ → set aside [\d,]+", words(foots[0])), name


def test_no_chapter_holds_more_than_three_figures_and_five_findings(chapters):
    for name, page in chapters.items():
        assert 1 <= len(page.select("img")) <= 3, name
        assert 1 <= len(page.select("#what-we-found ol > li")) <= 5, name


def test_every_image_has_its_text(pages):
    silent = [
        name for name, page in pages.items() for image in page.select("img") if not (image.get("alt") or "").strip()
    ]
    assert silent == []


def test_nothing_undefined_and_no_trace_of_an_error_is_printed(pages):
    word = re.compile(r".{0,30}(?:\b(?:nan|NaN|NaT|inf|Traceback|Error:)\b|\bNone\b(?! of)|<NA>).{0,30}")
    found = {name: match[0] for name, page in pages.items() if (match := word.search(words(page)))}
    assert found == {}


def test_the_front_page_holds_five_findings_and_three_actions_at_most(pages):
    front = pages["index.html"]
    assert len(front.select(".verdict")) == 1
    assert 1 <= len(front.select("#what-we-found ol > li")) <= 5
    assert 1 <= len(front.select("#what-to-do tbody tr")) <= 3


def test_the_planted_faults_are_on_the_data_quality_page_of_all_branches(pages):
    said = words(pages["2026Q3/all/data_quality.html"])
    faults = demo.truth().faults
    assert "Gwangju delivered nothing after 31 July 2026" in said
    assert re.search(rf"Incheon, May 2026: .* a difference of {faults.mismatch_amount / 1e6:.2f} m won", said)
    assert f"{faults.double_donors} people are in several branches" in said
    assert f"20,000 numbers belong to {20_000 - faults.double_donors:,} people" in said


def test_no_chapter_counts_the_silent_branch_as_lost(build, monkeypatch, pages):
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(build.parent))
    opened = tables.open(profile.load(PROFILE))

    def counted(branch: str, period: str) -> dict[str, int]:
        found = customers.status(opened.scope(branch, period))
        return found.loc[found["branch"] == "gwangju", "status"].value_counts().to_dict()

    at_its_end = counted("gwangju", f"{SILENT_AFTER:%Y-%m}")
    assert sum(at_its_end.values()) > 1000
    assert counted("gwangju", "2026Q3") == at_its_end
    assert counted("all", "2026Q3") == at_its_end
    for chapter in CHAPTERS:
        said = words(pages[f"2026Q3/gwangju/{chapter}.html"])
        assert "Gwangju reported nothing after 31 July 2026" in said, chapter
        assert "state on 31 July 2026" in said, chapter
