"""A setting that nothing reads would be a promise that nobody keeps."""

from __future__ import annotations

import ast
from pathlib import Path

import crm_analysis
from crm_analysis.profile import settings

PACKAGE = Path(crm_analysis.__file__).parent
OWN = Path(settings.__file__).parent


def read_in(tree: ast.AST) -> set[str]:
    """Names of the attributes that code reads."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def models(kind: type[settings.Settings]) -> list[type[settings.Settings]]:
    """Every group of settings below a kind."""
    return [found for below in kind.__subclasses__() for found in (below, *models(below))]


def test_every_setting_is_read_outside_the_settings() -> None:
    others = [path for path in PACKAGE.rglob("*.py") if path.parent != OWN]
    read = set().union(*(read_in(ast.parse(path.read_text())) for path in others))
    # A method of a profile may read a setting for its callers, provided that there are any.
    trees = [ast.parse(path.read_text()) for path in OWN.glob("*.py")]
    methods = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    read |= set().union(*(read_in(method) for method in methods if method.name in read))
    every = models(settings.Settings)
    assert settings.Profile in every and len(every) > 25
    unread = [f"{model.__name__}.{name}" for model in every for name in model.model_fields if name not in read]
    assert unread == []
