"""Notebooks are stored without outputs; a page is a dozen short calls, its annex one call per figure or table."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "analyses").glob("**/*.ipynb"))
CELL_KEYS = {"cell_type", "id", "metadata", "source", "outputs", "execution_count"}
MOST_CELLS, MOST_LINES = 14, 5
KNOWN_TAGS = {"parameters", "annex"}
COMMON = {"profile": "analyses/profiles/demo.yaml", "branch": "all", "period": "latest", "language": "en"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def notebook(request: pytest.FixtureRequest) -> dict:
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_no_outputs_are_stored(notebook: dict) -> None:
    for cell in notebook["cells"]:
        assert set(cell) <= CELL_KEYS
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None, cell["source"]


def test_format_and_kernel_are_the_same_everywhere(notebook: dict) -> None:
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_only_known_cells_and_tags(notebook: dict) -> None:
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        assert set(cell["metadata"].get("tags", [])) <= KNOWN_TAGS, cell["source"]


def test_one_parameters_cell_of_plain_assignments(notebook: dict) -> None:
    tagged = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    tree = ast.parse("".join(tagged[0]["source"]))
    values = {}
    for statement in tree.body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        (target,) = statement.targets
        values[ast.unparse(target)] = ast.literal_eval(statement.value)
    assert COMMON.items() <= values.items()


def test_no_function_class_or_loop(notebook: dict) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            assert not isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.For | ast.While | ast.Lambda
            ), ast.unparse(node)


def test_every_cell_is_a_short_call(notebook: dict) -> None:
    assert len([c for c in notebook["cells"] if "annex" not in c["metadata"].get("tags", [])]) <= MOST_CELLS
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "import" not in source:
            assert len(source.splitlines()) <= MOST_LINES, source
            assert max(map(len, source.splitlines())) <= 120, source


def test_title_and_question_come_first(notebook: dict) -> None:
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")
    assert notebook["cells"][1]["cell_type"] == "markdown"


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
