"""A Sphinx extension: in a Korean book a search for a noun finds the words that begin with it.

Particles stand right behind a noun (서울은, 서울에서) and Sphinx knows no Korean: its index would hold the whole words,
and its search page looks inside them for three letters or more only, where most Korean nouns have two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sphinx.search.en import SearchEnglish

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_HANGUL = re.compile("[가-힣]{2,}")
_LATIN = re.compile("[A-Za-z]{2,}(?=[가-힣])")


class KoreanSearch(SearchEnglish):
    """Every word, the beginnings of its Hangul from two syllables on, and Latin letters that carry a particle.

    English words are found as in an English book.
    """

    lang = "ko"
    language_name = "Korean"

    def split(self, text: str) -> list[str]:
        """The words of a text, each with its beginnings."""
        words = super().split(text)
        hangul = [part for word in words for part in _HANGUL.findall(word)]
        beginnings = [part[:end] for part in hangul for end in range(2, len(part) + 1)]
        return words + beginnings + [part for word in words for part in _LATIN.findall(word)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_search_language(KoreanSearch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
