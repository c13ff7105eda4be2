"""A setting that nothing reads would be a promise that nobody keeps."""

from __future__ import annotations

import ast
from pathlib import Path

import crm_analysis
from crm_analysis.profile import settings

PACKAGE = Path(crm_analysis.__file__).parent
OWN = Path(settings.__file__)


def read_in(tree: ast.AST) -> set[str]:
    """Names of the attributes that code reads."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_setting_is_read_outside_the_settings() -> None:
    read = set().union(*(read_in(ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py") if path != OWN))
    # A method of a profile may read a setting for its callers, provided that there are any.
    methods = [node for node in ast.walk(ast.parse(OWN.read_text())) if isinstance(node, ast.FunctionDef)]
    read |= set().union(*(read_in(method) for method in methods if method.name in read))
    models = [
        model for model in vars(settings).values() if isinstance(model, type) and issubclass(model, settings.Settings)
    ]
    unread = [f"{model.__name__}.{name}" for model in models for name in model.model_fields if name not in read]
    assert unread == []
