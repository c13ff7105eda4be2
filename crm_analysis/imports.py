"""What other packages import of others without our needing it, kept out of this project's own processes."""

from __future__ import annotations

import sys


def spare_address_grammar() -> None:
    """Let jsonschema do without `rfc3987_syntax`, as it does where that is not installed.

    That package compiles 39 grammars of web addresses when it is imported: two seconds in every process that reads a
    notebook or a contract, for a check of addresses in foreign alphabets that none of them makes. To be called before
    the first import of jsonschema; does nothing after it.
    """
    if "jsonschema" not in sys.modules:
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # means: not to be found
