"""Every string of the chapter has its Korean, with the same fields to fill in."""

import ast
import json
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "crm_analysis"


def marked() -> list[str]:
    notebook = json.loads((ROOT / "analyses" / "customer_value.ipynb").read_text(encoding="utf-8"))
    sources = [path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "customer_value").rglob("*.py"))]
    sources += ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    calls = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sorted({call.args[0].value for call in calls if getattr(call.func, "id", "") == "_"})


@pytest.fixture(scope="module")
def korean() -> dict[str, str]:
    with open(PACKAGE / "locale" / "ko" / "customer_value.po", "rb") as stream:
        return {message.id: message.string for message in read_po(stream, locale="ko") if message.id}


def test_nothing_is_missing_and_nothing_is_left_over(korean):
    assert sorted(korean) == marked()
    assert all(re.search("[가-힣]", text) or text.isascii() for text in korean.values())


def test_fields_agree(korean):
    for source, text in korean.items():
        assert set(re.findall(r"{(\w+)}", source)) == set(re.findall(r"{(\w+)}", text)), source
