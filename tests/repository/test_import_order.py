"""A module imports only from the rows above its own (the order in which data become a page)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "crm_analysis"
CHAPTERS = ("data_quality", "customer_value", "satisfaction_loyalty", "crm_roi")
# Within a row nothing imports sideways; `errors` is read by its own row, and `report` draws with `style`.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("units", "files", "language", "imports"),
    ("profile",),
    ("contracts",),
    ("tables", "demo"),
    ("customers", "value_models", "estimators"),
    ("findings", "privacy"),
    ("style",),
    ("report",),
    CHAPTERS,
    ("runs",),
    ("book",),
    ("lookup",),
    ("launch",),
    ("pipeline",),
    ("cli",),
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem not in ("__init__", "__main__"))


def top(path: Path) -> str:
    """The row name of a file: `crm_analysis/runs/keys.py` belongs to `runs`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Row names of the package's modules that a file imports, relative imports resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            names |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return {n.split(".")[1] for n in names if n.startswith("crm_analysis.")} & set(ROW_OF)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_up(path: Path) -> None:
    name = top(path)
    assert name in ROW_OF, f"{name} stands in no row"
    wrong = {other for other in imported(path) if other != name and ROW_OF[other] >= ROW_OF[name]}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}, from its own row or below"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_charts_import_nothing_that_computes(chapter: str) -> None:
    drawn = [*(PACKAGE / chapter).glob("charts*.py"), *(PACKAGE / chapter / "charts").glob("[a-z]*.py")]
    assert drawn
    for path in drawn:
        assert imported(path) <= {"style", "language", "units"}, path


def test_every_row_is_there() -> None:
    missing = [n for n in ROW_OF if not (PACKAGE / n).is_dir() and not (PACKAGE / f"{n}.py").is_file()]
    assert not missing
