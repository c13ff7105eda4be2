"""Everything that contracts say about a breach is there in Korean."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from crm_analysis import contracts
from crm_analysis.contracts import presenting
from crm_analysis.contracts.model import DIMENSIONS, SEVERITIES
from crm_analysis.contracts.results import implied_rules
from crm_analysis.language import _catalog

FIELD = re.compile(r"\{\w+\}")


def spoken() -> list[str]:
    """Texts of rules, and literals that the module of the table and the dictionary marks for translation."""
    found = [*SEVERITIES, *DIMENSIONS, *presenting._TYPES.values()]
    for contract in contracts.load().values():
        for rule in (*contract.rules, *implied_rules(contract)):
            found += [rule.what, rule.action]
    for node in ast.walk(ast.parse(Path(presenting.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            found += [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("text", spoken())
def test_is_translated_with_the_same_fields(text: str) -> None:
    korean = _catalog("ko").get(text)
    assert korean and re.search("[가-힣]", korean), text
    assert sorted(FIELD.findall(korean)) == sorted(FIELD.findall(text))
