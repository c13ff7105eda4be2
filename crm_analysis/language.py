"""The language of pages: English in the source, other languages from gettext catalogs in `locale/`.

Strings that reach a reader are marked with `_`. A catalog is one or more `*.po` files in `locale/<language>/`.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from pathlib import Path

from crm_analysis.errors import ProfileError

SOURCE = "en"
FOLDER = Path(__file__).parent / "locale"
_active: ContextVar[str] = ContextVar("language", default=SOURCE)


def available() -> tuple[str, ...]:
    """Languages a page can be made in."""
    return (SOURCE, *sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()))


def activate(language: str) -> None:
    """Make `language` the one that `_` translates to. Raises ProfileError for an unknown one."""
    if language not in available():
        raise ProfileError(f'There is no catalog for language "{language}". Available: {", ".join(available())}.')
    _active.set(language)


def active() -> str:
    """The language in force."""
    return _active.get()


@functools.cache
def _catalog(language: str) -> dict[str, str]:
    if language == SOURCE:
        return {}
    from babel.messages.pofile import read_po  # noqa: PLC0415 - only pages in another language pay for it

    entries: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.po")):
        with open(path, "rb") as stream:
            for message in read_po(stream, locale=language):
                if message.id and message.string and not message.fuzzy and isinstance(message.id, str):
                    entries[message.id] = str(message.string)
    return entries


def _(text: str) -> str:
    """`text` in the active language, or as it is where the catalog lacks it."""
    return _catalog(active()).get(text, text)
