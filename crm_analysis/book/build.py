"""Assembling the pages of a book and building them with Jupyter Book."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crm_analysis import files, style
from crm_analysis.book import state
from crm_analysis.book.cells import Outcome
from crm_analysis.book.contents import SOURCES, Contents
from crm_analysis.book.front import write_front
from crm_analysis.book.pages import Writer, period_name
from crm_analysis.errors import UserError
from crm_analysis.language import _, activate
from crm_analysis.profile import Profile

# Jupyter Book's own list names sphinx_thebe, which writes a remote address into every page.
_EXTENSIONS = [
    "myst_nb",
    "jupyter_book",
    "sphinx_comments",
    "sphinx_external_toc",
    "sphinx_design",
    "sphinx_book_theme",
    "crm_analysis.book.escaping",
    "crm_analysis.book.korean_search",
]

_JUPYTER_BOOK = (
    "from crm_analysis import imports; imports.spare_address_grammar(); from jupyter_book.cli.main import main; main()"
)


def build(
    profile: Profile,
    contents: Contents,
    outcomes: Sequence[Outcome],
    *,
    language: str,
    notebooks: Path,
    dictionary: Mapping[str, str],
    status_page: str,
) -> Path:
    """Build the book of `outcomes` and return its index page.

    `outcomes` come ordered by period (the front page's first), branch (`all` first) and chapter. `dictionary` holds the
    data dictionary's text by table, `status_page` the text of the run status. The old book stays until the new one is
    whole. Raises UserError with Sphinx's own complaint where a page does not build.
    """
    activate(language)
    sources = profile.build_dir / "book_source"
    shutil.rmtree(sources, ignore_errors=True)
    with files.writing(sources):
        ignored = shutil.ignore_patterns("contents.yaml")
        shutil.copytree(SOURCES, sources, ignore=ignored, copy_function=_copy)
    titles = {chapter: _(title_of(notebooks / f"{chapter}.ipynb")) for chapter in contents.chapters}
    writer = Writer(sources, profile, language, titles)
    toc = _write_pages(writer, contents, outcomes)
    toc["parts"].append({"caption": _("How it is made"), "chapters": [{"file": page} for page in contents.methods]})
    for table, text in dictionary.items():
        writer.write(f"dictionary/{table}", text)
    writer.write("dictionary/index", f"# {_('Data dictionary')}\n\n" + _dictionary_intro(dictionary))
    writer.write("run_status", status_page)
    toc["parts"][-1]["chapters"] += [
        {"file": "dictionary/index", "sections": [{"file": f"dictionary/{table}"} for table in dictionary]},
        {"file": "run_status"},
    ]
    files.write_text(sources / "_toc.yml", yaml.safe_dump(toc, sort_keys=False, allow_unicode=True))
    files.write_text(
        sources / "_config.yml", yaml.safe_dump(_config(profile, language), sort_keys=False, allow_unicode=True)
    )
    _run_sphinx(sources, profile.build_dir)
    return state.index_page(profile)


def _copy(source: str, target: str) -> str:
    with files.writing(Path(target)):
        return shutil.copy2(source, target)


def title_of(notebook: Path) -> str:
    """The title of a notebook: its first heading."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "".join(cells[0]["source"]).splitlines()
    return lines[0].removeprefix("#").strip()


def _write_pages(writer: Writer, contents: Contents, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    periods = list(dict.fromkeys(outcome.period for outcome in outcomes))
    toc: dict[str, Any] = {"format": "jb-book", "root": "index", "parts": []}
    for position, period in enumerate(periods):
        here = [outcome for outcome in outcomes if outcome.period == period]
        place = "index" if position == 0 else f"{period}/index"
        write_front(writer, place, period, here, contents)
        suffix = "" if len(periods) == 1 else f" · {period_name(period)}"
        for number, branch in enumerate(dict.fromkeys(outcome.branch for outcome in here)):
            own = [outcome for outcome in here if outcome.branch == branch]
            pages = []
            for outcome in own:
                siblings = [other for other in here if other.chapter == outcome.chapter]
                first, *annex = writer.chapter(outcome, siblings)
                sections = [{"file": page, "title": _("Annex")} for page in annex]
                entry = {"file": first, "title": writer.titles[outcome.chapter]}
                pages.append(entry | ({"sections": sections} if sections else {}))
            landing = writer.branch(branch, period, own)
            chapters = [{"file": landing, "title": _("Overview")}, *pages]
            if position and not number:
                chapters.insert(0, {"file": place})
            name = _("All branches") if branch == "all" else writer.profile.branch_name(branch, writer.language)
            toc["parts"].append({"caption": style.shortened(name, 60) + suffix, "chapters": chapters})
    return toc


def _dictionary_intro(dictionary: Mapping[str, str]) -> str:
    intro = _("Every table and column, generated from the data contracts in `data_contracts/`.")
    return intro + "\n\n" + "\n".join(f"- [{table}](/dictionary/{table}.md)" for table in dictionary)


def _config(profile: Profile, language: str) -> dict[str, Any]:
    """Jupyter Book's settings: nothing executed, nothing remote, no sources published."""
    name = profile.text(profile.name, language)
    return {
        "title": name,
        "author": "",
        "copyright": "",
        "only_build_toc_files": True,
        "execute": {"execute_notebooks": "off"},
        "html": {
            "use_issues_button": False,
            "use_repository_button": False,
            "use_edit_page_button": False,
            "home_page_in_navbar": True,
        },
        "parse": {"myst_enable_extensions": ["colon_fence", "dollarmath", "deflist"]},
        "sphinx": {
            "recursive_update": True,
            "config": {
                "extensions": _EXTENSIONS,
                "language": language,
                "html_copy_source": False,
                "html_show_sourcelink": False,
                "html_show_search_summary": False,
                "html_show_copyright": False,
                "html_last_updated_fmt": None,
                "html_context": {"default_mode": "auto"},
                "html_theme_options": {
                    "use_download_button": False,
                    "use_fullscreen_button": False,
                    "navbar_persistent": [],
                    "show_toc_level": 2,
                    "search_bar_text": _("Search this book"),
                },
                # Jupyter Book loads every script below _static on every page; this one is for pages with equations.
                "html_extra_path": ["vendored"],
                "mathjax_path": "../mathjax/tex-mml-chtml.js",
                "myst_dmath_allow_space": False,
                "nb_remove_code_source": True,
                "suppress_warnings": ["myst.domains"],
            },
        },
    }


def _run_sphinx(sources: Path, build_dir: Path) -> None:
    """Build into a folder of its own and put it in the old book's place when it is whole."""
    work = build_dir / "book_work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        _build_in(work, sources, build_dir)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _build_in(work: Path, sources: Path, build_dir: Path) -> None:
    command = [sys.executable, "-c", _JUPYTER_BOOK, "build", str(sources)]
    command += ["--path-output", str(work), "--all", "-W", "--keep-going", "-q"]
    environment = os.environ | {"PYTHONUTF8": "1", "SOURCE_DATE_EPOCH": "0"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False)
    built = work / "_build" / "html"
    if done.returncode or not (built / "index.html").exists():
        if os.strerror(errno.ENOSPC) in done.stdout + done.stderr:
            raise files.cannot_write(work, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
        shown = "\n".join(complaints[:20]) or (done.stdout + done.stderr)[-2000:]
        raise UserError(f"The book could not be built; the former one is untouched. Jupyter Book says:\n{shown}")
    final, old = build_dir / "html", build_dir / "html.old"
    shutil.rmtree(old, ignore_errors=True)
    with files.writing(final):
        if final.exists():
            os.replace(final, old)
        os.replace(built, final)
    shutil.rmtree(old, ignore_errors=True)
