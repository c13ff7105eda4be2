"""A Sphinx extension: titles hold names from the data, which the theme and the search page would insert as HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_AFTER_THE_THEME = 900


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", _page_title, priority=_AFTER_THE_THEME)
    app.connect("html-collect-pages", _search_titles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _page_title(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """The book theme prints `pagetitle`, plain text, without escaping it."""
    if "pagetitle" in context:
        context["pagetitle"] = html.escape(context["pagetitle"])


def _search_titles(app: Sphinx) -> list[Any]:
    """The search page sets found section titles, plain text in the index, as inner HTML."""
    titles = app.builder.indexer._all_titles  # type: ignore[attr-defined]
    for page, found in titles.items():
        titles[page] = [(html.escape(title), anchor) for title, anchor in found]
    return []
