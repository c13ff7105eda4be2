"""The search of a Korean book, tried on a book of two pages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = {
    "index": "# 후원자 보고서\n\n```{toctree}\nseoul\n```\n",
    "seoul": "# 서울지점\n\n서울에서는 후원자들이 2026년3분기에 donations를 늘렸습니다.\n",
}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    for name, text in PAGES.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    settings = ['extensions = ["myst_parser", "crm_analysis.book.korean_search"]', 'language = "ko"']
    (folder / "conf.py").write_text("\n".join(settings) + "\n", encoding="utf-8")
    built = folder / "html"
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(folder), str(built)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return built


def test_beginnings_of_korean_words_and_stems_of_english_ones_are_in_the_index(book):
    text = (book / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    page = index["docnames"].index("seoul")

    def pages(word: str) -> list[int]:
        found = [index[kind].get(word, []) for kind in ("terms", "titleterms")]
        return [number for each in found for number in (each if isinstance(each, list) else [each])]

    for word in ("서울", "서울지점", "서울에서", "서울에서는", "분기", "분기에", "2026년3분기에", "donat"):
        assert page in pages(word), word
    assert len(pages("후원자")) == 2  # the other page's title, and 후원자들이 on this one
    assert pages("서") == pages("지점") == []  # a single syllable says too little; the end of a word is no beginning


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_noun_of_two_syllables_is_found_in_the_browser(book):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.goto((book / "search.html").as_uri() + "?q=%EC%84%9C%EC%9A%B8")  # 서울
        link = tab.locator("#search-results li a").first
        link.wait_for(timeout=60_000)
        assert "seoul.html" in link.get_attribute("href")
        browser.close()
